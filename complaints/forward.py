"""Takes queued reports and letters, hands them to the next hop over SMTP, records what it answered.

The one way mail leaves. A report is checked against its consent on the very bytes about to be sent, right
before the socket opens, and fails closed; the attempt is committed as `sending` before the final dot and its
outcome after it, so that nothing is ever sent twice by itself (promises 1, 2, 4, 6).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from complaints import ledger, outbox, signing, tokens
from complaints.db import OvertakenError, look_at, move
from complaints.models import (
    Attempt,
    Complaint,
    Consent,
    ConsentedReport,
    Letter,
    LetterState,
    Reply,
    Report,
    Reporter,
    ReportState,
    Suppression,
    Withdrawal,
)
from complaints.office import Office
from complaints.report import close_if_done, leaks_in
from complaints.smtp_out import Outcome
from complaints.vault import VaultError, kept_secret

SELECTOR = "plaint"
LEFT_OPEN = "May have been sent: the service stopped before the next hop's answer was recorded."
LONGEST_BACK_OFF = timedelta(hours=4)
TURNS = 0x7475726E  # "turn": an advisory lock's number on PostgreSQL, beside that of a desk
UNSETTLED = {"queued", "sending", "unconfirmed"}
Mail = Report | Letter
Table = type[Report] | type[Letter]
Send = Callable[["Outgoing", Callable[[], Awaitable[None]]], Awaitable[Outcome]]


class AsideError(Exception):
    """A mail does not leave now: it goes to `state` for the reason told, or waits until `next_at`."""

    def __init__(self, why: str = "", *, state: str | None = None, next_at: datetime | None = None) -> None:
        super().__init__(why)
        self.to = state
        self.next_at = next_at


class HoldError(AsideError):
    """A report must never leave as it is; the message is the reason shown to the reporter."""

    def __init__(self, why: str) -> None:
        super().__init__(why, state="held")


@dataclass(frozen=True)
class Outgoing:
    """One mail for one recipient, signed, as it goes between DATA and the final dot."""

    mail_id: str
    mail_from: str
    to: str
    raw: bytes
    digest: str = ""
    """Of a report before it was signed, as consented to."""


@dataclass(frozen=True)
class Forwarder:
    """One worker's way out: its name, and the SMTP client."""

    office: Office
    worker: str
    send: Send
    rng: random.Random

    async def report(self, report_id: str) -> None:
        """The worker's step: send a queued report whose time has come."""
        await self._step(Report, report_id)

    async def letter(self, letter_id: str) -> None:
        """The worker's step: send a queued letter whose time has come."""
        await self._step(Letter, letter_id)

    async def _step(self, table: Table, mail_id: str) -> None:
        outgoing = await asyncio.to_thread(self._open, table, mail_id)
        if outgoing is None:
            return
        if table is Report and not await asyncio.to_thread(self._takes_turn, mail_id):
            return
        attempt_id = tokens.random_letters(tokens.ID_LETTERS)

        async def before_dot() -> None:
            await asyncio.to_thread(self._sending, table, outgoing, attempt_id)

        try:
            outcome = await self.send(outgoing, before_dot)
        except OvertakenError:
            # undone, opted out or sent by another worker meanwhile: the dot was never written
            await asyncio.to_thread(self._returns_turn, table, mail_id)
            return
        await asyncio.to_thread(self._record, table, mail_id, attempt_id, outcome)

    def _open(self, table: Table, mail_id: str) -> Outgoing | None:
        """Read and check what is due; what must not leave now is put aside."""
        with self.office.db.reading() as session:
            row: Mail | None = session.get(table, mail_id)  # type: ignore[assignment]
            if row is None or row.state not in {"queued", "sending"}:
                return None
            try:
                return self._outgoing(session, row)
            except AsideError as error:
                aside = error
        with self.office.db.transaction() as session:
            _put_aside(session, session.get_one(table, mail_id), aside)  # type: ignore[arg-type]
        return None

    def _outgoing(self, session: Session, row: Mail) -> Outgoing:
        """The mail as it may leave at this moment. Raises AsideError, HoldError."""
        if row.state == "sending":
            raise AsideError(LEFT_OPEN, state=None if self._is_ours(session, row) else "unconfirmed")
        if row.next_at and row.next_at > self.office.clock():
            raise AsideError(next_at=row.next_at)
        if isinstance(row, Letter):
            reporter = session.get_one(Reporter, row.reporter_id) if row.reporter_id else None
            raw = self.office.vault.unseal(reporter.key if reporter else None, row.raw)
            return Outgoing(row.id, row.mail_from, row.to, self._signed(raw))
        if _suppressed(session, row):
            raise AsideError("This desk asked for no more reports.", state="suppressed")
        if until := _over_limit(session, self.office, row):
            raise AsideError(next_at=until)
        raw = sendable_bytes(session, self.office, row)
        mail_from = outbox.report_address(self.office, outbox.BOUNCE, outbox.report_token(raw))
        return Outgoing(row.id, mail_from, row.to, self._signed(raw), row.digest)

    def _takes_turn(self, report_id: str) -> bool:
        """Take one of the reports that a desk gets an hour, of which no two take the last; else it waits."""
        if not self.office.settings.limit_reports:
            return True
        with self.office.db.transaction() as session:
            row = session.get_one(Report, report_id)
            if not self.office.db.embedded:  # SQLite has one writer at a time anyway
                session.execute(select(func.pg_advisory_xact_lock(TURNS, func.hashtext(row.to))))
            if until := _over_limit(session, self.office, row):
                _put_aside(session, row, AsideError(next_at=until))
                return False
            row.turn_at = self.office.clock()
            session.add(row)
            return True

    def _returns_turn(self, table: Table, mail_id: str) -> None:
        """The desk did not get it."""
        if table is not Report or not self.office.settings.limit_reports:
            return
        with self.office.db.transaction() as session:
            mine = update(Report).where(col(Report.id) == mail_id, col(Report.state) != ReportState.SENDING)
            session.execute(mine.values(turn_at=None).execution_options(synchronize_session=False))

    def _is_ours(self, session: Session, row: Mail) -> bool:
        """Whether the open attempt is this worker's own; one left behind is never repeated (promise 4)."""
        query = select(Attempt).where(Attempt.mail_id == row.id, Attempt.outcome == "sending")
        attempt = session.exec(query.order_by(col(Attempt.at).desc())).first()
        return attempt is not None and attempt.worker == self.worker

    def _signed(self, raw: bytes) -> bytes:
        pem = kept_secret(self.office.vault.folder / "dkim.pem", signing.make_key)
        return signing.sign(raw, selector=SELECTOR, domain=self.office.settings.mail_domain, pem=pem) + raw

    def _sending(self, table: Table, mail: Outgoing, attempt_id: str) -> None:
        """Record that the final dot comes next. Raises OvertakenError when this mail may no longer leave."""
        now = self.office.clock()
        with self.office.db.transaction() as session:
            row: Mail | None = session.get(table, mail.mail_id, with_for_update=True)  # type: ignore[assignment]
            if row is None or row.state != "queued":
                raise OvertakenError(f"{mail.mail_id} is {row.state if row else 'erased'}")
            if isinstance(row, Report):
                # Taken back and consented to anew meanwhile: other bytes, or a new time to take them back
                if row.digest != mail.digest or (row.next_at or now) > now:
                    raise OvertakenError(f"{mail.mail_id} is no longer what was opened")
                if _suppressed(session, row):
                    raise OvertakenError(f"{mail.mail_id}: its desk asked for no more reports")
            move(session, row, type(row.state)("sending"))
            session.add(Attempt(id=attempt_id, mail_id=mail.mail_id, at=now, worker=self.worker))

    def _record(self, table: Table, mail_id: str, attempt_id: str, outcome: Outcome) -> None:
        now = self.office.clock()
        outcome = replace(outcome, text=tokens.without_secrets(outcome.text))
        with self.office.db.transaction() as session:
            attempt = session.get(Attempt, attempt_id) or Attempt(
                id=attempt_id, mail_id=mail_id, at=now, worker=self.worker
            )
            attempt.host, attempt.tls, attempt.outcome = outcome.host, outcome.tls, outcome.state
            attempt.code, attempt.text, attempt.ended_at = outcome.code, outcome.text, now
            session.add(attempt)
            row: Mail = session.get_one(table, mail_id)  # type: ignore[assignment]
            if row.state in UNSETTLED:  # else undone, opted out or bounced while the next hop was thinking
                _settle(session, row, outcome, now, self._back_off(row))
            if isinstance(row, Report):
                _bounced_meanwhile(session, row)
        if isinstance(row, Report):
            self._close(mail_id)

    def _close(self, report_id: str) -> None:
        """Close the complaint if this was its last report; not in the transaction that keeps the outcome.

        Whoever decides on the complaint at this moment overtakes the closing, and must not undo the record.
        """
        with suppress(OvertakenError), self.office.db.transaction() as session:
            close_if_done(session, session.get_one(Report, report_id))

    def _back_off(self, row: Mail) -> datetime | None:
        """When to try again: doubling from PLAINT_RETRY_SECONDS with jitter; None when given up."""
        settings, now = self.office.settings, self.office.clock()
        if row.first_at and now - row.first_at >= timedelta(seconds=settings.give_up_seconds):
            return None
        wait = min(timedelta(seconds=settings.retry_seconds) * 2 ** min(row.attempts, 20), LONGEST_BACK_OFF)
        delay: timedelta = wait * self.rng.uniform(0.8, 1.2)
        return now + delay


def sendable_bytes(session: Session, office: Office, report: Report) -> bytes:
    """The exact bytes of a report if, and only if, a standing consent covers them.

    Raises HoldError when no consent names this digest and recipient, in the tables and in the chain, or when
    the bytes still show what the reporter chose to hide.
    """
    complaint = session.get_one(Complaint, report.complaint_id)
    reporter = session.get_one(Reporter, complaint.reporter_id)
    if not report.raw or not report.digest:
        raise HoldError("It was never written, or its bytes are gone; nothing was sent.")
    try:
        raw = office.vault.unseal(reporter.key, report.raw)
        consent = _consent_for(session, report, tokens.digest(raw))
        said = {"id": report.id, "to": report.to, "digest": tokens.digest(raw)}
        if consent is None or not ledger.stands(session, office, reporter, consent.id, said):
            raise HoldError("No consent covers exactly these bytes to this recipient; nothing was sent.")
    except VaultError as error:
        raise HoldError("What is stored of it does not open with your key; nothing was sent.") from error
    if consent.redaction != "none" and (found := leaks_in(office, raw, reporter, complaint)):
        raise HoldError(
            f"Something you chose to hide was found in the finished report ({found}); nothing was sent."
        )
    return raw


def _consent_for(session: Session, report: Report, digest: str) -> Consent | None:
    query = (
        select(Consent)
        .join(ConsentedReport, col(ConsentedReport.consent_id) == col(Consent.id))
        .join(Withdrawal, col(Withdrawal.consent_id) == col(Consent.id), isouter=True)
        .where(
            ConsentedReport.report_id == report.id,
            ConsentedReport.digest == digest,
            ConsentedReport.to == report.to,
            col(Withdrawal.consent_id).is_(None),
        )
    )
    return session.exec(query).first()


def _suppressed(session: Session, report: Report) -> bool:
    row = session.get(Suppression, report.to.lower())
    return row is not None and row.lifted_at is None


def _over_limit(session: Session, office: Office, report: Report) -> datetime | None:
    """When the desk may get its next report, if this hour's are used up (PLAINT_LIMIT_REPORTS).

    What is under way to it counts like what it got.
    """
    limit, now = office.settings.limit_reports, office.clock()
    if not limit:
        return None
    hour_ago = now - timedelta(hours=1)
    # Sent while there was no limit, it took no turn
    at = func.coalesce(Report.turn_at, Report.sent_at)
    lately = (col(Report.turn_at) > hour_ago) | (
        col(Report.turn_at).is_(None) & (col(Report.sent_at) > hour_ago)
    )
    others = select(func.count(), func.min(at)).where(Report.to == report.to, Report.id != report.id, lately)
    taken, oldest = session.exec(others).one()
    return oldest + timedelta(hours=1, seconds=1) if taken >= limit else None


def _settle(session: Session, row: Mail, outcome: Outcome, now: datetime, again: datetime | None) -> None:
    """Turn what the next hop said into the row's state."""
    states = type(row.state)
    said = f"{outcome.host}: {outcome.text}"
    facts = {"attempts": row.attempts + 1, "first_at": row.first_at or now, "detail": said}
    if isinstance(row, Report) and outcome.state not in {"sent", "unknown"}:
        row.turn_at = None  # its desk did not get it
    if outcome.state == "sent":
        move(session, row, states("sent"), sent_at=now, next_at=None, **facts)
    elif outcome.state == "unknown":
        move(session, row, states("unconfirmed"), next_at=None, **facts)
    elif outcome.state == "refused" or again is None:
        move(session, row, states("failed"), next_at=None, **facts)
    elif row.state == "sending":
        move(session, row, states("queued"), next_at=again, **facts)
    else:
        for name, value in (facts | {"next_at": again}).items():
            setattr(row, name, value)
        session.add(row)


def _bounced_meanwhile(session: Session, report: Report) -> None:
    """A bounce can be here before the answer to the final dot is."""
    query = select(Reply.text).where(Reply.report_id == report.id, Reply.failed)
    bounced = session.exec(query).first()
    if bounced is not None and report.state in {ReportState.SENT, ReportState.UNCONFIRMED}:
        move(session, report, ReportState.BOUNCED, detail=bounced[:500])


def _put_aside(session: Session, row: Mail, aside: AsideError) -> None:
    if aside.to is not None:
        move(session, row, type(row.state)(aside.to), next_at=None, detail=str(aside))
    elif aside.next_at is not None:
        row.next_at = aside.next_at
        session.add(row)
        look_at(session, row.__tablename__, row.id, row.next_at)
    if isinstance(row, Report):
        close_if_done(session, row)


def settle_after_crash(office: Office) -> int:
    """At the start of the embedded service nobody else sends: every open attempt is a dead one's."""
    with office.db.transaction() as session:
        open_now: list[Mail] = [
            *session.exec(select(Report).where(Report.state == ReportState.SENDING)),
            *session.exec(select(Letter).where(Letter.state == LetterState.SENDING)),
        ]
        for row in open_now:
            _put_aside(session, row, AsideError(LEFT_OPEN, state="unconfirmed"))
        return len(open_now)


def resend(session: Session, office: Office, report: Report) -> None:
    """A person decides to send an unconfirmed report again. Raises ValueError for any other state."""
    if report.state != ReportState.UNCONFIRMED:
        raise ValueError(f"{report.id} is {report.state}; only an unconfirmed report can be sent again")
    move(session, report, ReportState.QUEUED, next_at=office.clock(), first_at=office.clock())
    look_at(session, "report", report.id)
