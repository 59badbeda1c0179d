"""A reporter's own page: what is kept, where it went, who read it; correct, choose, download, move, leave.

The URL is the capability, one per reporter: no login, no cookie. GET shows; every change is a POST, and what
cannot be undone or tells everything takes a code mailed at that moment.
"""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from complaints import account, choices, erasure, export, ledger, policies, retention, step_up
from complaints.account import AccountError
from complaints.grades import GRADES
from complaints.models import Reporter
from complaints.office import Office
from complaints.web.page import page
from complaints.web.problems import FieldError, kept_file, not_found, own_page
from complaints.web.security import Opened

router = APIRouter()
MOST_FIELDS = 20
CODE = "code"
Fields = Mapping[str, str]
Act = Callable[[Session, Office, Reporter, Fields], bool]


@router.get("/account/{token}")
def show(office: Opened, token: str) -> HTMLResponse:
    """Show what is kept of a reporter."""
    with office.db.reading() as session:
        return _page(session, office, token)


@router.get("/account/{token}/receipt")
def receipt(office: Opened, token: str) -> JSONResponse:
    """The signed receipt of every consent and withdrawal, to be saved."""
    with office.db.reading() as session:
        document = ledger.receipt(session, office, own_page(session, office, "account", token))
    return JSONResponse(
        document, headers={"Content-Disposition": 'attachment; filename="plaint-receipt.json"'}
    )


@router.get("/account/{token}/reports/{report_id}")
def report(office: Opened, token: str, report_id: str) -> Response:
    """Exactly what a desk got; not the spam it was made from, which a review link shows."""
    with office.db.reading() as session:
        reporter = own_page(session, office, "account", token)
        row = account.left_report(session, reporter, report_id if report_id.isprintable() else "")
        if row is None:
            raise not_found()
        return kept_file(office.report_bytes(reporter, row), row.id)


@router.post("/account/{token}")
async def change(request: Request, office: Opened, token: str) -> Response:
    """Do what the pressed button says, or show the page again with what is in the way."""
    async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        ticked = [value for value in form.getlist("for") if isinstance(value, str)]
    return await run_in_threadpool(_change, office, token, fields, ticked)


def _change(office: Office, token: str, fields: Fields, ticked: Sequence[str]) -> Response:
    do = fields.get("do", "")
    asks = do.removeprefix("ask-") if do.startswith("ask-") else ""
    if asks:
        wrong = _ask(office, token, asks, fields)
    elif do == "address":
        return _move(office, token, fields)
    elif do == "preferences":
        wrong = _prefer(office, token, ticked)
    elif do in ACTS:
        wrong = _act(office, token, do, fields)
    else:
        wrong = FieldError("main", "Use one of the buttons of this page.")
    if wrong:
        with office.db.reading() as session:
            return _page(session, office, token, 422, [wrong], fields)
    if do == "erase":
        erasure.sweep(office)
        return page("erased.html")
    if do == "export":
        with office.db.reading() as session:
            reporter = own_page(session, office, "account", token)
        return archive(office, reporter)
    return RedirectResponse(f"/account/{token}#{asks or SECTIONS[do]}", 303)


def archive(office: Office, reporter: Reporter) -> StreamingResponse:
    """Everything that is kept of a reporter, to be saved."""
    headers = {"Content-Disposition": 'attachment; filename="plaint-export.zip"'}
    return StreamingResponse(export.stream(office, reporter), media_type="application/zip", headers=headers)


def _ask(office: Office, token: str, purpose: str, fields: Fields) -> FieldError | None:
    """Have the codes for a wish mailed."""
    place = {"alias": "alias", "address": "new-address"}.get(purpose, f"ask-{purpose}")
    if purpose not in step_up.WISHES:
        return FieldError("main", "Use one of the buttons of this page.")
    with office.db.reading() as session:
        own_page(session, office, "account", token)
    try:
        about = purpose in {"alias", "address"}
        value = account.checked(office, fields.get("address", "")) if about else ""
        with office.db.transaction() as session:
            account.ask(session, office, own_page(session, office, "account", token), purpose, value)
    except AccountError as error:
        return FieldError(place, f"Not done: {error}.")
    return None


def _prefer(office: Office, token: str, ticked: Sequence[str]) -> FieldError | None:
    said = {name: name in ticked for name in choices.PURPOSES}
    with office.db.transaction() as session:
        choices.choose(session, office, own_page(session, office, "account", token), said, via="page")
    return None


def _act(office: Office, token: str, do: str, fields: Fields) -> FieldError | None:
    """One change in one transaction; a wrong code is committed as a try."""
    if do == "erase" and fields.get("sure") != "yes":
        return FieldError("sure", "Tick that you want to be removed; nothing was removed.")
    try:
        with office.db.transaction() as session:
            done = ACTS[do](session, office, own_page(session, office, "account", token), fields)
    except AccountError as error:
        place = {"names": "names", "remove-alias": "hidden", "waiting": "mail-waiting"}.get(do, f"ask-{do}")
        return FieldError(place, f"Not done: {error}.")
    return None if done else _wrong_code(office, token, do)


def _move(office: Office, token: str, fields: Fields) -> Response:
    """Change the address. This page ends with it, so the answer shows where the new one is, and the token."""
    wrong: FieldError | None = None
    try:
        with office.db.transaction() as session:
            reporter = own_page(session, office, "account", token)
            made = account.move(session, office, reporter, fields.get(CODE, ""), fields.get("second", ""))
    except AccountError as error:
        wrong = FieldError("ask-address", f"Not done: {error}.")
    else:
        if made:
            url = urlsplit(office.account_url(reporter)).path
            return page("moved.html", address=reporter.address, token=made, account=url)
        wrong = _wrong_code(office, token, "address")
    with office.db.reading() as session:
        return _page(session, office, token, 422, [wrong], fields)


def _wrong_code(office: Office, token: str, do: str) -> FieldError:
    """Beside the field of the code; there is none when the code is no longer good."""
    with office.db.reading() as session:
        good = do in step_up.waiting(session, office, own_page(session, office, "account", token))
    return FieldError(f"{do}-code" if good else f"ask-{do}", f"Not done: {account.WRONG_CODE}.")


def _rename(session: Session, office: Office, reporter: Reporter, fields: Fields) -> bool:
    del office
    account.rename(session, reporter, fields.get("names", "").splitlines())
    return True


def _mail_waiting(session: Session, office: Office, reporter: Reporter, fields: Fields) -> bool:
    del fields
    account.mail_waiting(session, office, reporter)
    return True


def _remove_alias(session: Session, office: Office, reporter: Reporter, fields: Fields) -> bool:
    del office
    account.remove_alias(session, reporter, fields.get("what", ""))
    return True


ACTS: dict[str, Act] = {
    "names": _rename,
    "waiting": _mail_waiting,
    "remove-alias": _remove_alias,
    "alias": lambda session, office, reporter, fields: account.add_alias(
        session, office, reporter, fields.get("second", "")
    ),
    "export": lambda session, office, reporter, fields: account.may_export(
        session, office, reporter, fields.get(CODE, "")
    ),
    "erase": lambda session, office, reporter, fields: account.erase(
        session, office, reporter, fields.get(CODE, "")
    ),
}
SECTIONS = {
    "names": "hidden",
    "waiting": "kept",
    "remove-alias": "hidden",
    "alias": "hidden",
    "preferences": "uses",
}
"""Where on the page one sees what a button changed."""


def _page(
    session: Session,
    office: Office,
    token: str,
    status: int = 200,
    errors: Sequence[FieldError] = (),
    fields: Fields | None = None,
) -> HTMLResponse:
    reporter = own_page(session, office, "account", token)
    typed, shown = fields or {}, account.document(session, office, reporter)
    asked = typed.get("do", "")
    return page(
        "account.html",
        status,
        policy_change=policies.asked(session, office, reporter),
        account=shown,
        here=f"/account/{token}",
        card=account.card(session, office, reporter),
        grades=GRADES,
        hosts=urlsplit(shown["hosts_url"]).path,
        standing=urlsplit(shown["standing_url"]).path,
        data_map=retention.data_map()["table"],
        waiting=step_up.waiting(session, office, reporter),
        errors=errors,
        fields={
            "names": typed.get("names", "\n".join(reporter.names)),
            "alias": typed.get("address", "") if asked == "ask-alias" else "",
            "address": typed.get("address", "") if asked == "ask-address" else "",
        },
    )
