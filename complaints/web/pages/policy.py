"""The privacy policy: what applies, every version with what it changed, and a reporter's answer to a new one.

The URL of the answer is the capability, one per reporter: no login, no cookie. GET shows and chooses nothing;
neither choice is made beforehand, so a machine that sends the form as it is filled answers nothing.
"""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form
from starlette.responses import HTMLResponse, RedirectResponse, Response

from complaints import accountability, choices, ledger, policies, policy, retention
from complaints.account import AccountError, ask
from complaints.office import Office
from complaints.policies import PolicyError
from complaints.web.page import page
from complaints.web.pages.home import PUBLIC, kept_rows, processors
from complaints.web.policy_text import blocks
from complaints.web.problems import FieldError, not_found, own_page
from complaints.web.security import Opened

router = APIRouter()
AGREE, LEAVE = "agree", "leave"


@router.get("/privacy")
def privacy(office: Opened) -> HTMLResponse:
    """What is promised and kept, with this installation's own periods, places and partners."""
    with office.db.reading() as session:
        applies, coming = policies.in_force(session, office), policies.coming(session, office)
        disclosed = accountability.disclosures_by_year(session)
        counted = choices.statistics(session)
        kept_here = policies.kept_here(session, office)
    return page(
        "privacy.html",
        headers=PUBLIC,
        policy=applies,
        coming=coming,
        blocks=blocks(policy.text(applies)),
        versions=policy.versions(),
        settings=office.settings,
        processors=processors(office.settings),
        kept=kept_rows(),
        rules=retention.rules(kept_here),
        receipt_key=ledger.public_key(office),
        disclosed=disclosed,
        counted=counted,
    )


@router.get("/privacy/{version}")
def one_version(version: str) -> HTMLResponse:
    """A version whole, and what it changed."""
    if version not in policy.versions():
        raise not_found()
    before = str(policy.number(version) - 1)
    return page(
        "policy_version.html",
        headers=PUBLIC,
        version=version,
        before=before if before in policy.versions() else None,
        changes=policy.changes(before, version),
        difference=policy.difference(before, version),
        blocks=blocks(policy.text(version)),
    )


@router.get("/policy/{token}")
def show(office: Opened, token: str) -> HTMLResponse:
    """What changes, from when on, and the two choices."""
    return _page(office, token)


@router.post("/policy/{token}")
def decide(
    office: Opened,
    token: str,
    choice: Annotated[str, Form()] = "",
    version: Annotated[str, Form()] = "",
) -> Response:
    """Keep the answer. Who does not agree is led to their copy, and to leaving."""
    if choice not in {AGREE, LEAVE}:
        return _page(office, token, 422, FieldError("agree", "Choose one of the two."))
    try:
        with office.db.transaction() as session:
            reporter = own_page(session, office, "policy", token)
            policies.answer(session, office, reporter, version, agree=choice == AGREE, via="page")
            account = urlsplit(office.account_url(reporter)).path
    except PolicyError as error:
        return _page(office, token, 422, FieldError("agree", f"Not done: {error}."))
    if choice == AGREE:
        return RedirectResponse(f"/policy/{token}", 303)
    return RedirectResponse(f"{account}#{_leaving(office, token)}", 303)


def _leaving(office: Office, token: str) -> str:
    """Have the code for the copy mailed; the place on the account page where leaving goes on."""
    try:
        with office.db.transaction() as session:
            ask(session, office, own_page(session, office, "policy", token), "export")
    except AccountError:
        return "erase"  # too many codes already: the page says so when asked for one more
    return "export"


def _page(office: Office, token: str, status: int = 200, error: FieldError | None = None) -> HTMLResponse:
    with office.db.reading() as session:
        reporter = own_page(session, office, "policy", token)
        document = policies.document(session, office, reporter)
        asked = policies.asked(session, office, reporter)
    return page(
        "policy.html",
        status,
        asked=asked,
        accepted=document["accepted"],
        changes=document["asked"]["changes"] if asked else [],
        difference=[(line[:1], line[1:]) for line in document["asked"]["difference"]] if asked else [],
        errors=[error] if error else [],
    )
