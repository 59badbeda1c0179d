"""The page of a reporter's mail hosts: what is trusted, since when and why; name, remove, ask for a probe.

The URL is the capability, one per reporter: no login, no cookie. GET shows; every change is a POST. Removing
a host changes nothing that was sent; it counts for every spam that is read from then on.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from complaints import learned, own_hosts, policies, probes
from complaints.message import parse
from complaints.models import Reporter
from complaints.office import Office
from complaints.own_hosts import HostError
from complaints.probes import ProbeError
from complaints.web import intake
from complaints.web.intake import Way
from complaints.web.page import page
from complaints.web.problems import FieldError, own_page
from complaints.web.security import Opened
from complaints.web.uploads import Form, Upload, read_form

router = APIRouter()
NO_PROBE = "This is no test mail of ours. Hand spam in on the page Report spam."


@router.get("/hosts/{token}")
def hosts(office: Opened, token: str) -> HTMLResponse:
    """Show the hosts and the probes."""
    with office.db.reading() as session:
        return _page(session, office, own_page(session, office, "hosts", token))


@router.post("/hosts/{token}")
async def change(request: Request, office: Opened, token: str) -> Response:
    """Do what the pressed button says, or show the page again with what is in the way."""
    form = await read_form(request, office)
    errors = await run_in_threadpool(_act, office, token, form.fields)
    if not errors and form.fields.get("do") == "return":
        errors = await _take_back(request, office, token, form)
    if errors:
        return await run_in_threadpool(_again, office, token, errors, form.fields)
    return RedirectResponse(f"/hosts/{token}", 303)


def _act(office: Office, token: str, fields: dict[str, str]) -> list[FieldError]:
    """One change in one transaction; what is in its way."""
    do = fields.get("do", "")
    try:
        with office.db.transaction() as session:
            reporter = own_page(session, office, "hosts", token)
            if do == "add":
                learned.add(session, office, reporter, [own_hosts.named(fields.get("host", ""))], "named")
            elif do == "remove":
                learned.remove(session, reporter, fields.get("what", ""))
            elif do == "probe":
                probes.ask(session, office, reporter, fields.get("to", ""))
            elif do != "return":
                return [FieldError("main", "Use one of the buttons of this page.")]
    except HostError as error:
        return [FieldError("host" if do == "add" else "trusted", f"Not done: {error}.")]
    except ProbeError as error:
        return [FieldError("to", f"Not sent: {error}.")]
    return []


async def _take_back(request: Request, office: Office, token: str, form: Form) -> list[FieldError]:
    """Take a returned probe like any submission; a spam is not taken here."""
    uploads = list(form.uploads)
    if form.fields.get("paste", "").strip():
        uploads.append(form.pasted(form.fields["paste"]))
    if not uploads:
        return [FieldError("paste", "Choose the file of the test mail, or paste its source.")]
    reporter = await run_in_threadpool(_probes_only, office, token, uploads)
    if reporter is None:
        return [FieldError("paste", NO_PROBE)]
    portions = intake.of(request).take(office, reporter, uploads, Way("page"))
    return [
        FieldError("paste", f"{item['reason']} {item.get('remedy') or ''}".strip())
        async for taken in portions
        for item in taken.items
        if item["status"] == "refused"
    ]


def _probes_only(office: Office, token: str, uploads: Sequence[Upload]) -> Reporter | None:
    with office.db.reading() as session:
        reporter = own_page(session, office, "hosts", token)
        found = (probes.recognised(session, office, reporter, parse(upload.raw())) for upload in uploads)
        return reporter if all(found) else None


def _again(office: Office, token: str, errors: list[FieldError], fields: dict[str, str]) -> HTMLResponse:
    with office.db.reading() as session:
        return _page(session, office, own_page(session, office, "hosts", token), 422, errors, fields)


def _page(
    session: Session,
    office: Office,
    reporter: Reporter,
    status: int = 200,
    errors: Sequence[FieldError] = (),
    fields: dict[str, str] | None = None,
) -> HTMLResponse:
    return page(
        "hosts.html",
        status,
        policy_change=policies.asked(session, office, reporter),
        hosts=[row | {"what": learned.value(row)} for row in learned.document(office, reporter)["hosts"]],
        account=urlsplit(office.account_url(reporter)).path,
        probes=probes.recent(session, reporter),
        standing=urlsplit(office.standing_url(reporter)).path,
        addresses=probes.addresses(reporter),
        now=office.clock(),
        errors=errors,
        fields={"host": "", "to": "", "paste": ""} | (fields or {}),
    )
