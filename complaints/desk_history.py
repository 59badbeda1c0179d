"""Takes the mailboxes of desks; leaves what earlier reports to each came to, for `abuse_lookup` to rank by.

Counts and dates per desk, over all reporters and naming none of them.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, bindparam, exists, func, or_
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from abuse_lookup import Record
from complaints.models import Attempt, Reply, Report, ReportState, Suppression
from complaints.office import Office

LATEST = 200
"""Reports per desk that are looked at, the newest first: what came before is history for nobody."""
SETTLED = timedelta(days=1)
"""After so long without a bounce a sent report counts as delivered."""


class DeskHistory:
    """The history of an office, as `abuse_lookup.History` wants it."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._any = _any_history(office)
        self._wanted: set[str] = set()
        self._asking: asyncio.Task[Mapping[str, Record]] | None = None

    async def of(self, mailboxes: Collection[str]) -> Mapping[str, Record]:
        """The records of those mailboxes that reports were sent to, or that asked for none."""
        self._wanted.update(mailboxes)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        found = await asyncio.shield(self._asking)
        return {mailbox: found[mailbox] for mailbox in mailboxes if mailbox in found}

    async def _ask(self) -> Mapping[str, Record]:
        """One question for all who come in this turn of the event loop: most of a batch do so together."""
        await asyncio.sleep(0)
        wanted, self._wanted, self._asking = self._wanted, set(), None
        return await asyncio.to_thread(self._of, wanted)

    def _of(self, mailboxes: Collection[str]) -> Mapping[str, Record]:
        with self._office.db.reading() as session:
            # Of most desks there is none, and all of them are asked about at once
            asked = {"mailboxes": {mailbox: mailbox.lower() for mailbox in mailboxes}}
            known = session.connection().execute(self._any, asked).scalars().all()
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


def _any_history(office: Office) -> Any:
    """The question which of `mailboxes`, each with its form in lower case, have any history.

    Built once: building it takes longer than answering it. A list goes over as JSON, whatever its length.
    """
    pairs = bindparam("mailboxes", type_=JSON)
    each = (func.json_each if office.db.embedded else func.json_each_text)(pairs).table_valued("key", "value")
    to: Any = col(Report.to) == each.c.key
    return select(each.c.key).where(
        or_(
            exists().where(to, col(Report.sent_at).is_not(None)),
            exists().where(to, col(Report.state) == ReportState.FAILED),
            exists().where(col(Suppression.address) == each.c.value),
        )
    )


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
