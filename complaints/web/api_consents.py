"""The part of the API about what was consented to: receipts, and taking back what has not been sent."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from sqlmodel import Session

from complaints import consent, ledger, standing
from complaints.models import Complaint, Json, Reporter
from complaints.office import Office
from complaints.policy import STANDING_STATEMENT
from complaints.standing import StandingError
from complaints.web.api import DECISION, PREFIX, act, own
from complaints.web.idempotency import Again
from complaints.web.problems import ANYWHERE, Problem, documented
from complaints.web.security import Asking, Opened

router = APIRouter(prefix=PREFIX, responses=ANYWHERE)
_RECEIPT: dict[int | str, dict[str, Any]] = {
    200: {"description": "A signed consent receipt (ISO/IEC TS 27560); check it with `plaint verify-receipt`"}
}


@router.get("/receipt", responses=_RECEIPT)
def receipt(office: Opened, reporter: Asking) -> Json:
    """The receipt of everything you ever consented to or withdrew, as one unbroken chain."""
    with office.db.reading() as session:
        return ledger.receipt(session, office, reporter)


@router.get("/complaints/{complaint_id}/receipt", responses=_RECEIPT | documented(404))
def receipt_of_complaint(office: Opened, reporter: Asking, complaint_id: str) -> Json:
    """The receipt of what you consented to or withdrew about one complaint."""
    with office.db.reading() as session:
        complaint = own(session, reporter, complaint_id)
        return ledger.receipt(session, office, reporter, complaint.id)


class Wish(BaseModel):
    """A standing consent to give: how many complaints a day, and the statement agreed to, word for word."""

    daily: int
    statement: str


@router.get("/standing-consent")
def standing_consent(office: Opened, reporter: Asking) -> Json:
    """Your standing consent, if you gave one; what must hold for it; the page on which you can change it."""
    with office.db.reading() as session:
        return standing.document(session, office, reporter)


@router.post("/standing-consent", status_code=201, responses=documented(409))
def give(office: Opened, reporter: Asking, wish: Wish) -> Json:
    """Let reports to the network of the source leave without asking each time. Narrow, and off by default."""
    if wish.statement != STANDING_STATEMENT:
        remedy = "Send the `statement` of GET /api/v1/standing-consent as it stands there."
        raise Problem(422, "Not agreed", "The statement is not the one to agree to.", remedy)
    return _change(
        office, reporter, lambda session, row: standing.give(session, office, row, wish.daily, via="api")
    )


@router.post("/standing-consent/revoke", responses=documented(409))
def revoke(office: Opened, reporter: Asking) -> Json:
    """End it at once."""
    return _change(office, reporter, lambda session, row: standing.revoke(session, office, row, via="api"))


def _change(office: Office, reporter: Reporter, decide: Callable[[Session, Reporter], object]) -> Json:
    try:
        with office.db.transaction() as session:
            row = session.get_one(Reporter, reporter.id)
            decide(session, row)
            session.flush()
            return standing.document(session, office, row)
    except StandingError as error:
        remedy = "GET /api/v1/standing-consent says what must hold."
        raise Problem(409, "Not changed", f"{error}.", remedy) from error


@router.post("/complaints/{complaint_id}/withdraw", **DECISION)
def withdraw(office: Opened, reporter: Asking, complaint_id: str, again: Again) -> Json:
    """Take back what has not been sent yet, also after the undo window. What a desk has stays with it."""

    def take_back(session: Session, row: Complaint) -> None:
        consent.withdraw(session, office, row, via="api")

    return act(office, reporter, complaint_id, take_back, again)
