"""Takes the mailboxes of desks; leaves what earlier reports to each came to, for `abuse_lookup` to rank by.

Counts and dates per desk, over all reporters and naming none of them.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, exists, or_
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from abuse_lookup import Record
from complaints.models import Attempt, Reply, Report, ReportState, Suppression
from complaints.office import Office

LATEST = 200
"""Reports per desk that are looked at, the newest first: what came before is history for nobody."""
SETTLED = timedelta(days=1)
"""After so long without a bounce a sent report counts as delivered."""


_TO: Any = col(Report.to) == bindparam("mailbox")
_ANY_HISTORY = select(
    or_(
        exists().where(_TO, col(Report.sent_at).is_not(None)),
        exists().where(_TO, col(Report.state) == ReportState.FAILED),
        exists().where(col(Suppression.address) == bindparam("lower")),
    )
)
"""Built once: building a question takes longer than answering this one."""


class DeskHistory:
    """The history of an office, as `abuse_lookup.History` wants it."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def of(self, mailboxes: Collection[str]) -> Mapping[str, Record]:
        """The records of those mailboxes that reports were sent to, or that asked for none."""
        return await asyncio.to_thread(self._of, mailboxes)

    def _of(self, mailboxes: Collection[str]) -> Mapping[str, Record]:
        with self._office.db.reading() as session:
            known = [mailbox for mailbox in mailboxes if _is_known(session, mailbox)]
            found = {mailbox: self._record(session, mailbox) for mailbox in known}
        return {mailbox: record for mailbox, record in found.items() if record != Record()}

    def _record(self, session: Session, mailbox: str) -> Record:
        sent = _sent(session, mailbox)
        replies = _replies(session, [report_id for report_id, _ in sent])
        bounced_reports = {reply.report_id for reply in replies if reply.failed}
        settled = self._office.clock() - SETTLED
        delivered = [at for report_id, at in sent if at < settled and report_id not in bounced_reports]
        answers = [reply for reply in replies if _is_answer(reply)]
        bounces = sorted([*_first_bounces(replies), *self._refusals(session, mailbox)])
        good = max([*delivered, *(reply.at for reply in answers)], default=None)
        bounces = [at for at in bounces if good is None or at > good]
        return Record(
            bounced=len(bounces),
            first_bounced=bounces[0] if bounces else None,
            last_bounced=bounces[-1] if bounces else None,
            delivered=max(delivered, default=None),
            answered=len(answers),
            last_answered=max((reply.at for reply in answers), default=None),
            resolved=sum(reply.status == "resolved" for reply in answers),
            opted_out=_opted_out(session, mailbox),
        )

    def _refusals(self, session: Session, mailbox: str) -> Sequence[datetime]:
        """When its mail host refused reports for good; a relay's refusals may be about us, not about it."""
        if self._office.settings.relay_host is not None:
            return ()
        refused = (
            select(Attempt.ended_at)
            .join(Report, col(Report.id) == col(Attempt.mail_id))
            .where(Report.to == mailbox, col(Report.sent_at).is_(None), Report.state == ReportState.FAILED)
            .where(Attempt.outcome == "refused")
            .order_by(col(Attempt.ended_at).desc())
            .limit(LATEST)
        )
        return [at for at in session.exec(refused) if at is not None]


def _is_known(session: Session, mailbox: str) -> bool:
    """Whether there is any history to read: of most desks of a batch there is none."""
    asked: Any = session.execute(_ANY_HISTORY, {"mailbox": mailbox, "lower": mailbox.lower()})
    return bool(asked.scalar_one())


def _sent(session: Session, mailbox: str) -> Sequence[tuple[str, datetime]]:
    latest = (
        select(Report.id, Report.sent_at)
        .where(Report.to == mailbox, col(Report.sent_at).is_not(None))
        .order_by(col(Report.sent_at).desc())
        .limit(LATEST)
    )
    return [(report_id, at) for report_id, at in session.exec(latest) if at is not None]


def _replies(session: Session, report_ids: Sequence[str]) -> Sequence[Reply]:
    """What came back for them, without the mails themselves."""
    if not report_ids:
        return ()
    heavy = (defer(Reply.raw, raiseload=True), defer(Reply.text, raiseload=True))  # type: ignore[arg-type]
    return session.exec(select(Reply).where(col(Reply.report_id).in_(report_ids)).options(*heavy)).all()


def _is_answer(reply: Reply) -> bool:
    """Whether somebody read the report: an answer, or a verdict that does not say "wrong address"."""
    return reply.kind == "answer" or (reply.kind == "verdict" and reply.status not in {"not ours", "stop"})


def _first_bounces(replies: Sequence[Reply]) -> Sequence[datetime]:
    """When each report that came back did so: a second bounce of it is no second report."""
    first: dict[str, datetime] = {}
    for reply in replies:
        if reply.failed:
            first[reply.report_id] = min(reply.at, first.get(reply.report_id, reply.at))
    return list(first.values())


def _opted_out(session: Session, mailbox: str) -> datetime | None:
    row = session.get(Suppression, mailbox.lower())
    return row.asked_at if row is not None and row.lifted_at is None else None
