"""Opt-out: takes a desk's wish for no more reports, leaves its mailbox suppressed.

The link stands in every report (RFC 6650 §5). Opening it changes nothing, nor does a POST that says neither
what the button on the page says nor what a mail program's one click does (RFC 8058 §3.2); a second one
changes nothing more.
"""

from typing import Annotated

from fastapi import APIRouter, Form
from sqlmodel import Session
from starlette.responses import HTMLResponse

from complaints import replies, tokens
from complaints.models import Report
from complaints.web.page import page
from complaints.web.problems import not_found
from complaints.web.security import Opened

router = APIRouter()
ONE_CLICK = "One-Click"
BUTTON = "stop"


@router.get("/stop/{token}")
def stop_form(office: Opened, token: str) -> HTMLResponse:
    """Which mailbox it is about, and a button."""
    with office.db.reading() as session:
        return page("stop.html", mailbox=_report(session, token).to, stopped=False)


@router.post("/stop/{token}")
def stop(
    office: Opened,
    token: str,
    one_click: Annotated[str, Form(alias="List-Unsubscribe")] = "",
    do: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Send no more reports to this mailbox."""
    if one_click != ONE_CLICK and do != BUTTON:
        with office.db.reading() as session:
            return page("stop.html", 422, mailbox=_report(session, token).to, stopped=False)
    asked_by = "one-click request" if one_click == ONE_CLICK else "page"
    with office.db.transaction() as session:
        report = _report(session, token)
        replies.suppress(session, office, report.to, asked_by=asked_by, reason=f"report {report.id}")
    return page("stop.html", mailbox=report.to, stopped=True)


def _report(session: Session, token: str) -> Report:
    right = len(token) == tokens.REPORT_LETTERS and set(token) <= set(tokens.ALPHABET)
    report = replies.report_of(session, token) if right else None
    if report is None:
        raise not_found()
    return report
