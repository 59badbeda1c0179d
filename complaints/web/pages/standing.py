"""The page of a reporter's standing consent: what it is, what must hold, giving and revoking it.

The URL is the capability, one per reporter: no login, no cookie. GET shows; giving and revoking are POSTs,
and giving wants the ticked statement.
"""

from typing import Annotated

from fastapi import APIRouter, Form
from pydantic import BaseModel
from sqlmodel import Session
from starlette.responses import HTMLResponse, RedirectResponse, Response

from complaints import policies, standing
from complaints.models import Reporter
from complaints.office import Office
from complaints.standing import MOST_DAILY, StandingError
from complaints.web.page import page
from complaints.web.problems import FieldError, own_page
from complaints.web.security import Opened

router = APIRouter()


class Wish(BaseModel):
    """The fields of the form; `do` is the button that was pressed."""

    do: str = ""
    agree: str = ""
    daily: str = ""


@router.get("/standing/{token}")
def show(office: Opened, token: str) -> HTMLResponse:
    """Show it."""
    with office.db.reading() as session:
        return _page(session, office, own_page(session, office, "standing", token))


@router.post("/standing/{token}")
def change(office: Opened, token: str, wish: Annotated[Wish, Form()]) -> Response:
    """Give or revoke it, or show the page again with what is in the way."""
    error = None
    try:
        with office.db.transaction() as session:
            reporter = own_page(session, office, "standing", token)
            error = _act(session, office, reporter, wish)
    except StandingError as refusal:
        error = FieldError("give", f"Not done: {refusal}.")
    if error is None:
        return RedirectResponse(f"/standing/{token}", 303)
    with office.db.reading() as session:
        return _page(session, office, own_page(session, office, "standing", token), 422, error, wish)


def _act(session: Session, office: Office, reporter: Reporter, wish: Wish) -> FieldError | None:
    if wish.do == "revoke":
        standing.revoke(session, office, reporter, via="page")
        return None
    if wish.do != "give":
        return FieldError("give", "Use one of the buttons of this page.")
    if not wish.agree:
        return FieldError("agree", "Tick that you agree; else we ask you each time.")
    daily = wish.daily.strip()
    if not (daily.isascii() and daily.isdecimal()):
        return FieldError("daily", f"Choose 1 to {MOST_DAILY} complaints a day.")
    standing.give(session, office, reporter, int(daily[:6]), via="page")
    return None


def _page(
    session: Session,
    office: Office,
    reporter: Reporter,
    status: int = 200,
    error: FieldError | None = None,
    wish: Wish | None = None,
) -> HTMLResponse:
    return page(
        "standing.html",
        status,
        policy_change=policies.asked(session, office, reporter),
        document=standing.document(session, office, reporter),
        errors=[error] if error else [],
        daily=(wish.daily if wish else "") or "10",
        most=MOST_DAILY,
        seconds=max(office.settings.undo_seconds, standing.LEAST_UNDO.seconds),
    )
