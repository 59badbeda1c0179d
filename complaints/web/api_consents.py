"""The part of the API about what was consented to: receipts, and taking back what has not been sent."""

from typing import Any

from fastapi import APIRouter
from sqlmodel import Session

from complaints import consent, ledger
from complaints.models import Complaint, Json
from complaints.web.api import DECISION, PREFIX, act, own
from complaints.web.problems import documented
from complaints.web.security import Asking, Opened

router = APIRouter(prefix=PREFIX, responses=documented(500))
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


@router.post("/complaints/{complaint_id}/withdraw", **DECISION)
def withdraw(office: Opened, reporter: Asking, complaint_id: str) -> Json:
    """Take back what has not been sent yet, also after the undo window. What a desk has stays with it."""

    def take_back(session: Session, row: Complaint) -> None:
        consent.withdraw(session, office, row, via="api")

    return act(office, reporter, complaint_id, take_back)
