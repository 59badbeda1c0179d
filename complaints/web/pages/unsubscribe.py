"""Unsubscribing: takes a reporter's wish that their data be used for one purpose no more, leaves it so.

The link stands in every letter that is not needed. Opening it changes nothing, nor does a POST that says
neither what the button on the page says nor what a mail program's one click does (RFC 8058 §3.2); a second
one changes nothing more. Another address of the reporter ends it, as every link in mails to the old one.
"""

from typing import Annotated

from fastapi import APIRouter, Form
from sqlmodel import Session
from starlette.responses import HTMLResponse

from complaints import choices
from complaints.models import Reporter
from complaints.office import Office, moved
from complaints.web.page import page
from complaints.web.pages.stop import BUTTON, ONE_CLICK
from complaints.web.problems import not_found, opened_by
from complaints.web.security import Opened

router = APIRouter()


@router.get("/unsubscribe/{token}")
def ask(office: Opened, token: str) -> HTMLResponse:
    """Which use it is about, and a button."""
    with office.db.reading() as session:
        _, purpose = _opened(session, office, token)
    return page("unsubscribe.html", words=choices.PURPOSES[purpose].words, ended=False)


@router.post("/unsubscribe/{token}")
def end(
    office: Opened,
    token: str,
    one_click: Annotated[str, Form(alias="List-Unsubscribe")] = "",
    do: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Use their data for it no more."""
    if one_click != ONE_CLICK and do != BUTTON:
        with office.db.reading() as session:
            _, purpose = _opened(session, office, token)
        return page("unsubscribe.html", 422, words=choices.PURPOSES[purpose].words, ended=False)
    via = "one-click request" if one_click == ONE_CLICK else "mail link"
    with office.db.transaction() as session:
        reporter, purpose = _opened(session, office, token)
        choices.choose(session, office, reporter, {purpose: False}, via=via)
    return page("unsubscribe.html", words=choices.PURPOSES[purpose].words, ended=True)


def _opened(session: Session, office: Office, token: str) -> tuple[Reporter, str]:
    reporter_id, _, purpose = token.partition(".")[0].partition("-")
    reporter = session.get(Reporter, reporter_id) if reporter_id.isprintable() else None
    if reporter is None or purpose not in choices.PURPOSES:
        raise not_found()
    opened_by(office, "unsubscribe", token, moved(reporter))
    return reporter, purpose
