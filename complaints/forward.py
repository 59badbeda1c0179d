"""Takes queued reports and letters, hands them to the next hop over SMTP, records what it answered.

The one way mail leaves. A report is checked against its consent on the very bytes about to be sent, right
before the socket opens, and fails closed; the attempt is committed as `sending` before the final dot and its
outcome after it, so that nothing is ever sent twice by itself (promises 1, 2, 4, 6).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from complaints import outbox, signing, tokens
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
from complaints.vault import kept_secret

SELECTOR = "plaint"
LONGEST_BACK_OFF = timedelta(hours=4)
UNSETTLED = {"queued", "sending", "unconfirmed"}
Mail = Report | Letter
Table = type[Report] | type[Letter]
Send = Callable[["Outgoing", Callable[[], Awaitable[None]]], Awaitable[Outcome]]


class HoldError(Exception):
    """The report must not leave; the message is the reason shown to the reporter."""


@dataclass(frozen=True)
class Outgoing:
    """One mail for one recipient, signed, as it goes between DATA and the final dot."""

    mail_id: str
    mail_from: str
    to: str
    raw: bytes


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
        attempt_id = tokens.random_letters(tokens.ID_LETTERS)

        async def before_dot() -> None:
            await asyncio.to_thread(self._sending, table, mail_id, attempt_id)

        try:
            outcome = await self.send(outgoing, before_dot)
        except OvertakenError:
            return  # undone, opted out or sent by another worker meanwhile: the dot was never written
        await asyncio.to_thread(self._record, table, mail_id, attempt_id, outcome)

    def _open(self, table: Table, mail_id: str) -> Outgoing | None:
        """Read and check what is due; everything that must not leave is moved aside here."""
        with self.office.db.transaction() as session:
            row: Mail | None = session.get(table, mail_id)  # type: ignore[assignment]
            if row is None:
                return None
            if row.state == "sending":
                self._unresolved(session, row)
            if row.state != "queued":
                return None
            if row.next_at and row.next_at > self.office.clock():
                look_at(session, table.__tablename__, row.id, row.next_at)
                return None
            if isinstance(row, Letter):
                return self._open_letter(session, row)
            return self._open_report(session, row)

    def _open_letter(self, session: Session, letter: Letter) -> Outgoing:
        reporter = session.get_one(Reporter, letter.reporter_id) if letter.reporter_id else None
        raw = self.office.vault.unseal(reporter.key if reporter else None, letter.raw)
        return Outgoing(letter.id, letter.mail_from, letter.to, self._signed(raw))

    def _open_report(self, session: Session, report: Report) -> Outgoing | None:
        if _suppressed(session, report):
            move(
                session,
                report,
                ReportState.SUPPRESSED,
                next_at=None,
                detail="This desk asked for no more reports.",
            )
            close_if_done(session, report)
            return None
        if until := _over_limit(session, self.office, report):
            report.next_at = until
            session.add(report)
            return None
        try:
            raw = sendable_bytes(session, self.office, report)
        except HoldError as error:
            move(session, report, ReportState.HELD, next_at=None, detail=str(error))
            close_if_done(session, report)
            return None
        mail_from = outbox.report_address(self.office, outbox.BOUNCE, report.token)
        return Outgoing(report.id, mail_from, report.to, self._signed(raw))

    def _signed(self, raw: bytes) -> bytes:
        pem = kept_secret(self.office.vault.folder / "dkim.pem", signing.make_key)
        return signing.sign(raw, selector=SELECTOR, domain=self.office.settings.mail_domain, pem=pem) + raw

    def _unresolved(self, session: Session, row: Mail) -> None:
        """An attempt another worker left behind is never repeated by itself (promise 4)."""
        query = select(Attempt).where(Attempt.mail_id == row.id, Attempt.outcome == "sending")
        attempt = session.exec(query.order_by(col(Attempt.at).desc())).first()
        if attempt is None or attempt.worker != self.worker:
            unconfirmed(session, row)

    def _sending(self, table: Table, mail_id: str, attempt_id: str) -> None:
        with self.office.db.transaction() as session:
            row: Mail = session.get_one(table, mail_id)  # type: ignore[assignment]
            if row.state != "queued":
                raise OvertakenError(f"{mail_id} is {row.state}")
            move(session, row, type(row.state)("sending"))
            session.add(Attempt(id=attempt_id, mail_id=mail_id, at=self.office.clock(), worker=self.worker))

    def _record(self, table: Table, mail_id: str, attempt_id: str, outcome: Outcome) -> None:
        now = self.office.clock()
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
                close_if_done(session, row)

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

    Raises HoldError when no consent names this digest and recipient, or when the bytes still show what
    the reporter chose to hide.
    """
    complaint = session.get_one(Complaint, report.complaint_id)
    reporter = session.get_one(Reporter, complaint.reporter_id)
    raw = office.vault.unseal(reporter.key, report.raw)
    consent = _consent_for(session, report, tokens.digest(raw))
    if consent is None:
        raise HoldError("No consent covers exactly these bytes to this recipient; nothing was sent.")
    if consent.redaction != "none" and (found := leaks_in(raw, reporter)):
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
    """When the desk may get its next report, if this hour's are used up (PLAINT_LIMIT_REPORTS)."""
    limit, now = office.settings.limit_reports, office.clock()
    if not limit:
        return None
    hour_ago = now - timedelta(hours=1)
    query = select(func.count(), func.min(Report.sent_at)).where(
        Report.to == report.to, col(Report.sent_at) > hour_ago
    )
    sent, oldest = session.exec(query).one()
    return oldest + timedelta(hours=1, seconds=1) if oldest and sent >= limit else None


def _settle(session: Session, row: Mail, outcome: Outcome, now: datetime, again: datetime | None) -> None:
    """Turn what the next hop said into the row's state."""
    states = type(row.state)
    said = f"{outcome.host}: {outcome.text}"
    facts = {"attempts": row.attempts + 1, "first_at": row.first_at or now, "detail": said}
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


def unconfirmed(session: Session, row: Mail) -> None:
    """The attempt may have reached the next hop; only a person sends it again."""
    said = "May have been sent: the service stopped before the next hop's answer was recorded."
    move(session, row, type(row.state)("unconfirmed"), detail=said, next_at=None)
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
            unconfirmed(session, row)
        return len(open_now)


def resend(session: Session, office: Office, report: Report) -> None:
    """A person decides to send an unconfirmed report again. Raises ValueError for any other state."""
    if report.state != ReportState.UNCONFIRMED:
        raise ValueError(f"{report.id} is {report.state}; only an unconfirmed report can be sent again")
    move(session, report, ReportState.QUEUED, next_at=office.clock(), first_at=office.clock())
    look_at(session, "report", report.id)
