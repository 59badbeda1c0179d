"""Many complaints dropped, or brought back, at once: takes those that were seen, moves them by one statement.

What `consent.discard` and `consent.undo` do to one, under the same conditions: each is locked and compared
with what was seen, and moves by a step of `COMPLAINT_STEPS`, or is left with the reason. Nothing of it sends
or consents, so there is no record but the state of each.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from complaints.db import OvertakenError
from complaints.models import COMPLAINT_STEPS, Complaint, ComplaintState
from complaints.office import Office

AT_ONCE = 500
"""Complaints in one transaction: some hundredths of a second, for which others wait."""


def drop(session: Session, seen: Mapping[str, int]) -> dict[str, str]:
    """Discard complaints, id → version as they were seen; of those no longer so, id → why they stay."""
    stays: dict[str, str] = {}
    for complaint, state, version, _ in _locked(session, list(seen)):
        if ComplaintState.DISCARDED not in COMPLAINT_STEPS[state]:
            stays[complaint] = f"{complaint} does not await consent: it is {state}"
        elif version != seen[complaint]:
            stays[complaint] = f"{complaint} changed since it was shown"
    _move(session, [one for one in seen if one not in stays], ComplaintState.DISCARDED, None)
    return stays


def bring_back(session: Session, office: Office, complaints: Sequence[str]) -> dict[str, str]:
    """Let discarded complaints await consent again; of those that cannot, id → why they stay."""
    stays: dict[str, str] = {}
    for complaint, state, _, has_content in _locked(session, complaints):
        if state != ComplaintState.DISCARDED:
            stays[complaint] = f"{complaint} is no longer discarded: it is {state}"
        elif not has_content:
            stays[complaint] = f"{complaint} cannot be brought back: its content was deleted"
    expires = office.clock() + timedelta(seconds=office.settings.consent_seconds)
    back = [one for one in complaints if one not in stays]
    _move(session, back, ComplaintState.AWAITING_CONSENT, expires)
    return stays


def _locked(session: Session, complaints: Sequence[str]) -> Sequence[Any]:
    """The id, state and version of each, and whether it has its evidence; nobody changes them meanwhile.

    Oldest first, as whoever else decides on several takes them: two that wait for each other would both fail.
    """
    query: Any = select(
        Complaint.id, Complaint.state, Complaint.version, col(Complaint.evidence).is_not(None)
    ).where(col(Complaint.id).in_(complaints))
    oldest_first = query.order_by(col(Complaint.received_at), col(Complaint.id))
    return session.connection().execute(oldest_first.with_for_update()).all()


def _move(session: Session, complaints: Sequence[str], to: ComplaintState, due_at: datetime | None) -> None:
    if not complaints:
        return
    step: Any = update(Complaint).where(
        col(Complaint.id).in_(complaints),
        col(Complaint.state).in_([seen for seen, ends in COMPLAINT_STEPS.items() if to in ends]),
    )
    done = session.connection().execute(
        step.values(state=to, due_at=due_at, version=col(Complaint.version) + 1)
    )
    if done.rowcount != len(complaints):  # one was erased meanwhile
        raise OvertakenError(f"of {len(complaints)} complaints some are gone; nothing was done")
