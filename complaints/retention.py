"""Lets what was kept go when its time is over: takes the clock and the terms, leaves rows without content.

A row stays as the record that something happened (states, times, digests, counts); what a person could be
known by goes. The periods are those of the terms that each reporter agreed to (`policies`). Consents stay as
long as their reporter: they show that nothing was sent without one. What is kept where and why stands in
`data/data_map.toml`, which a test holds against the schema.
"""

import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from sqlalchemy import CursorResult, func
from sqlmodel import Session, col, delete, or_, select, update

from complaints import once, policies
from complaints.account_tables import AnsweredRequest, Registration, StepUp
from complaints.models import (
    Attempt,
    Complaint,
    ComplaintState,
    Json,
    Letter,
    LetterState,
    Probe,
    Reply,
    Report,
    ReportState,
    Submission,
    SubmissionState,
)
from complaints.office import Office
from complaints.policies import Whose
from complaints.policy import Kept

ENDED = (ComplaintState.CLOSED, ComplaintState.REFUSED, ComplaintState.EXPIRED, ComplaintState.DISCARDED)
UNSENT = (ReportState.DRAFT, ReportState.SUPPRESSED, ReportState.CANCELLED, ReportState.HELD)
HANDED_ON = (LetterState.SENT, LetterState.FAILED, LetterState.UNCONFIRMED)
DELETED = "Its content was deleted when its time here was over."
AN_HOUR = timedelta(hours=1)  # as long as the link of a registration is good
AT_ONCE = 500
"""Complaints of one round: a transaction stays short, and the rest is there in the next one."""
GONE = b""
"""What stands where sealed bytes were."""


@cache
def data_map() -> Json:
    """The declared map of personal data: `table` and `file` rows."""
    return tomllib.loads(files("complaints").joinpath("data/data_map.toml").read_text("utf-8"))


def rules(kept: Kept) -> dict[str, str]:
    """Each way of keeping of the data map, in words for the page of the privacy policy."""
    ended = " after it was handed in, once its complaint has ended"
    letters = _days(kept.letter)
    return {
        "account": "as long as the reporter is registered",
        "hour": "an hour, if it is not completed",
        "day": "a day",
        "desk": "until the desk wants reports again",
        "batch": "until the same mailbox is handed in anew, or the file is deleted",
        "cache": "until the registry's answer ends, at most a few days",
        "spam": f"{_days(kept.spam)}{ended}",
        "report": f"{_days(kept.report)}{ended}",
        "letter": f"{letters} after it was sent; one to somebody who is not registered, an hour",
    }


def _days(seconds: int) -> str:
    if not seconds:
        return "without end"
    days = seconds / 86_400
    return "1 day" if days == 1 else f"{days:.1f}".removesuffix(".0") + " days"


def step(office: Office) -> int:
    """Let go of what is over; returns how many rows lost something. Again and again until it is 0."""
    with office.db.transaction() as session:
        return sum(_rounds(session, office))


def _rounds(session: Session, office: Office) -> Iterator[int]:
    now = office.clock()
    policies.write_down(session, office)
    yield _rows(session, delete(Registration).where(col(Registration.expires_at) <= now))
    yield _gone(session, _to_nobody(now))
    yield _rows(session, delete(StepUp).where(col(StepUp.asked_at) <= now - timedelta(days=1)))
    yield _rows(session, delete(AnsweredRequest).where(col(AnsweredRequest.at) <= now - once.KEPT))
    for kept, whose in policies.kept_by(session, office):
        if kept.letter:
            yield _letters(session, now - timedelta(seconds=kept.letter), whose)
        if kept.spam:
            yield _spams(session, now - timedelta(seconds=kept.spam), whose)
        if kept.report:
            yield _reports(session, now - timedelta(seconds=kept.report), whose)


def _letters(session: Session, since: datetime, whose: Whose) -> int:
    """Letters that ended, and the probes among them."""
    over = or_(
        col(Letter.sent_at) < since,
        (col(Letter.state).in_([LetterState.FAILED, LetterState.UNCONFIRMED]))
        & (col(Letter.first_at) < since),
    )
    return _gone(session, over & whose(Letter.reporter_id))


def _to_nobody(now: datetime) -> Any:
    """Letters about a registration that nobody finished, or about one that became a reporter's meanwhile.

    And mail of others that was passed on to whoever runs this: it is theirs now.
    """
    written = func.coalesce(Letter.sent_at, Letter.first_at, Letter.next_at)
    asked = (col(Letter.kind) == "registration") & (col(Letter.state) != LetterState.SENDING)
    passed_on = (col(Letter.kind) == "people") & col(Letter.state).in_(HANDED_ON)
    return col(Letter.reporter_id).is_(None) & (written <= now - AN_HOUR) & (asked | passed_on)


def _gone(session: Session, over: Any) -> int:
    """Remove letters, and what there is about them."""
    ids = list(session.exec(select(Letter.id).where(over).limit(AT_ONCE)))
    session.execute(delete(Probe).where(col(Probe.letter_id).in_(ids)))
    session.execute(delete(Attempt).where(col(Attempt.mail_id).in_(ids)))
    return _rows(session, delete(Letter).where(col(Letter.id).in_(ids)))


def _spams(session: Session, since: datetime, whose: Whose) -> int:
    over = (
        select(Complaint.id)
        .where(
            col(Complaint.state).in_(ENDED), col(Complaint.received_at) < since, whose(Complaint.reporter_id)
        )
        .where(
            or_(
                col(Complaint.evidence).is_not(None),
                col(Complaint.source_ip).is_not(None),
                col(Complaint.reason).is_distinct_from(DELETED),
            )
        )
        .order_by(col(Complaint.received_at))
        .limit(AT_ONCE)
    )
    ids = list(session.exec(over))
    empty: Json = {"raw": None, "evidence": None, "contacts": None, "note": "", "hide": []}
    empty |= {"subject": "", "campaign": "", "repairs": [], "source_ip": None}
    done = _rows(session, update(Complaint).where(col(Complaint.id).in_(ids)).values(reason=DELETED, **empty))
    unsent = col(Report.state).in_(UNSENT) & col(Report.complaint_id).in_(ids)
    _empty(session, select(Report.id, Report.contact).where(unsent))
    alive = select(Complaint.submission_id).where(col(Complaint.reason).is_distinct_from(DELETED))
    unused = (
        whose(Submission.reporter_id),
        col(Submission.received_at) < since,
        col(Submission.raw) != GONE,
        col(Submission.state) == SubmissionState.NOTICED,
        col(Submission.id).not_in(alive),
    )
    bare: Json = {"raw": GONE, "filename": "", "outcome": [], "batch": Submission.id}
    return done + _rows(session, update(Submission).where(*unused).values(**bare))


def _reports(session: Session, since: datetime, whose: Whose) -> int:
    over = (
        select(Report.id, Report.contact)
        .join(Complaint, col(Complaint.id) == col(Report.complaint_id))
        .where(
            col(Complaint.state).in_(ENDED), col(Complaint.received_at) < since, whose(Complaint.reporter_id)
        )
        .where(col(Report.raw) != GONE)
        .limit(AT_ONCE)
    )
    ids = _empty(session, over)
    session.execute(update(Reply).where(col(Reply.report_id).in_(ids)).values(raw=GONE, text=""))
    session.execute(update(Attempt).where(col(Attempt.mail_id).in_(ids)).values(text=""))
    return len(ids)


def _empty(session: Session, which: Any) -> list[str]:
    """Take the content out of reports; `which` selects their ids and contacts."""
    rows = list(session.exec(which))
    for report_id, contact in rows:
        bare = dict(contact) | {"targets": [], "parts": [], "why": DELETED}
        values: Json = {"raw": GONE, "contact": bare, "changes": [], "detail": None}
        session.execute(update(Report).where(col(Report.id) == report_id).values(**values))
    return [report_id for report_id, _ in rows]


def _rows(session: Session, statement: Any) -> int:
    done = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(done, CursorResult)
    return int(done.rowcount)
