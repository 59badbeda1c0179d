"""A reporter's submission address, from their own page: its card, a new one, a test of forwarding.

The account's URL is the capability. GET shows, POST acts; nothing here is kept by a browser (no-store).
"""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from complaints import card, probes, submission_address
from complaints.office import Office
from complaints.probes import ProbeError
from complaints.submission_address import TooManyError
from complaints.web.problems import Problem, not_found, own_page
from complaints.web.security import Opened

router = APIRouter()
FILES = {"plaint.vcf": ("vcard", f"{card.MEDIA_TYPE}; charset=utf-8"), "plaint.svg": ("svg", "image/svg+xml")}


@router.get("/account/{token}/card/{name}")
def file(office: Opened, token: str, name: str) -> Response:
    """The address as a contact (plaint.vcf), or its QR code (plaint.svg)."""
    with office.db.reading() as session:
        reporter = own_page(session, office, "account", token)
        document = submission_address.document(session, office, reporter)
    what, media = FILES.get(name, ("", ""))
    if not what or not document[what]:
        raise not_found()
    headers = {"Content-Disposition": f'attachment; filename="{name}"'} if what == "vcard" else {}
    return Response(document[what], media_type=media, headers=headers)


@router.post("/account/{token}/submission-address")
async def change(request: Request, office: Opened, token: str) -> Response:
    """Give a new address (`do=new`), or mail a test that is to be forwarded to it (`do=test`)."""
    async with request.form(max_files=0, max_fields=5) as form:
        do = form.get("do")
    await run_in_threadpool(_do, office, token, do)
    return RedirectResponse(f"/account/{token}#submission", 303)


def _do(office: Office, token: str, do: object) -> None:
    try:
        with office.db.transaction() as session:
            reporter = own_page(session, office, "account", token)
            if do == "new":
                submission_address.renew(session, office, reporter)
            elif do == "test":
                probes.ask(session, office, reporter)
            else:
                raise not_found()
    except (TooManyError, ProbeError) as error:
        raise Problem(429, "Not now", f"{error}.", "Go back to your page; nothing was done.") from error
