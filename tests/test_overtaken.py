"""While a desk's host takes its time: whatever was changed before the final dot, what was opened no longer leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from complaints import consent, erasure, replies
from complaints.consent import Choice
from complaints.forward import Forwarder, Outgoing
from complaints.models import Complaint, Report, Reporter
from tests.house import CLOUD
from tests.test_consent_property import CLOUD_DESK, Stage, stage

MINUTE = timedelta(minutes=1)
Meanwhile = Callable[[Stage, Session, Complaint], None]


def taken_back(made: Stage, session: Session, complaint: Complaint) -> Report:
    """The clock was set back, so the undo window is open once more."""
    made.ahead -= 5 * MINUTE
    consent.undo(session, made.office, complaint, via="page")
    return to_the_cloud(session, complaint)


def other_words(made: Stage, session: Session, complaint: Complaint) -> None:
    row = taken_back(made, session, complaint)
    choice = Choice({row.id: row.digest}, note="Other words.")
    consent.confirm(session, made.office, complaint, choice, via="page")
    made.ahead += 5 * MINUTE


def once_more(made: Stage, session: Session, complaint: Complaint) -> None:
    """The very same bytes, with a new undo window."""
    row = taken_back(made, session, complaint)
    consent.confirm(session, made.office, complaint, Choice({row.id: row.digest}), via="page")


def withdrawn(made: Stage, session: Session, complaint: Complaint) -> None:
    consent.withdraw(session, made.office, complaint, via="page")


def opted_out(made: Stage, session: Session, _complaint: Complaint) -> None:
    replies.suppress(session, made.office, CLOUD_DESK.title(), asked_by="test", reason="test")


def erased(made: Stage, session: Session, complaint: Complaint) -> None:
    erasure.erase(session, made.office, session.get_one(Reporter, complaint.reporter_id))


def to_the_cloud(session: Session, complaint: Complaint) -> Report:
    return session.exec(
        select(Report).where(Report.complaint_id == complaint.id, Report.to == CLOUD_DESK)
    ).one()


async def handed_over(made: Stage, complaint_id: str, meanwhile: Meanwhile) -> None:
    """A report is confirmed, opened when it is due, and all but its dot is with the desk's host."""
    with made.office.db.transaction() as session:
        complaint = session.get_one(Complaint, complaint_id)
        row = to_the_cloud(session, complaint)
        consent.confirm(session, made.office, complaint, Choice({row.id: row.digest}), via="page")
        report_id = row.id
    made.ahead += 2 * MINUTE
    changed = []

    def act() -> None:
        with made.office.db.transaction() as session:
            meanwhile(made, session, session.get_one(Complaint, complaint_id))
        changed.append(meanwhile)

    async def send(mail: Outgoing, before_dot: Callable[[], Awaitable[None]]) -> Any:
        async def dot() -> None:
            await asyncio.to_thread(act)
            await before_dot()

        return await made.deliver(mail, dot)

    await Forwarder(made.office, "slow", send, made.rng).report(report_id)
    assert changed, "the desk's host was never reached"


def test_what_was_opened_before_it_was_changed_is_never_sent(tmp_path: Path, database_url: str) -> None:
    changes: list[Meanwhile] = [other_words, once_more, withdrawn, opted_out, erased]

    async def main() -> None:
        async with stage(tmp_path, database_url, seed=1, spams=[CLOUD] * len(changes)) as made:
            await made.look()
            with made.office.db.reading() as session:
                complaints = session.exec(select(Complaint.id)).all()
            for complaint_id, meanwhile in zip(complaints, changes, strict=True):
                await handed_over(made, complaint_id, meanwhile)
                assert made.internet.messages == [], meanwhile.__name__
                with made.office.db.transaction() as session:
                    replies.resume(session, made.office, CLOUD_DESK)

    asyncio.run(main())
