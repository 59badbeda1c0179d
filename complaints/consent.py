"""The reporter's act: takes a complaint awaiting consent and what the reporter was shown, leaves a consent.

Nothing leaves without a row made here: it stores the digest and recipient of every report, the statement
and policy version shown, the way and the time. It can be undone until the undo window closes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, select

from complaints import learned, ledger, mended, policies, report, tokens
from complaints.db import look_at, move
from complaints.message import parse
from complaints.models import (
    Complaint,
    ComplaintState,
    Consent,
    ConsentedReport,
    Json,
    Report,
    Reporter,
    ReportState,
    Withdrawal,
)
from complaints.office import Office
from complaints.own_hosts import handed_over
from complaints.policy import STATEMENT, STATEMENT_VERSION
from complaints.received import parse_received
from complaints.report import OPEN

STATISTICS = "statistics"
REDACTIONS = {
    "identity": "Redacted",
    "strict": "Redacted strictly",
    "none": "With my address",
    STATISTICS: "Statistics only: send nothing",
}
COUNTED = "Counted in the statistics, as you chose; nothing was sent."


class ConsentError(Exception):
    """The complaint cannot be confirmed as asked; nothing was stored."""


class EmptyError(ConsentError):
    """No report was chosen, so there is nothing to consent to."""


class StaleError(ConsentError):
    """What was shown is no longer what would be sent; `changes` says what differs."""

    def __init__(self, message: str, changes: list[str]) -> None:
        super().__init__(message)
        self.changes = changes


@dataclass(frozen=True)
class Choice:
    """What the reporter decided: report id → the digest shown (None: take the current one), and the rest."""

    reports: Mapping[str, str | None]
    redaction: str | None = None
    note: str | None = None
    hide: tuple[str, ...] | None = None


def confirm(
    session: Session,
    office: Office,
    complaint: Complaint,
    choice: Choice,
    *,
    via: str,
    grant: str | None = None,
    undo: timedelta = timedelta(),
) -> Consent:
    """Record the consent and queue the chosen reports; they leave after the undo window, `undo` at least.

    `grant` is the standing consent it was given under.

    Raises StaleError when the complaint does not await consent or a digest shown is no longer current,
    EmptyError when nothing was chosen, ConsentError for an unknown redaction, report or suppressed desk,
    CannotRedact when the note or choice would give the reporter away, OvertakenError on a race.
    """
    if complaint.state != ComplaintState.AWAITING_CONSENT:
        raise StaleError(
            f"{complaint.id} does not await consent: it is {complaint.state}", [f"state: {complaint.state}"]
        )
    _check_policy(session, office, complaint)
    if (choice.redaction or complaint.redaction) == STATISTICS:
        return _count(session, office, complaint, choice, via)
    if not choice.reports:
        raise EmptyError(f"{complaint.id}: no recipient was chosen; nothing was sent")
    chosen = _chosen(session, complaint, choice)
    if (choice.redaction or complaint.redaction) == "strict":
        _check_strict(chosen)
    shown = [{"report": row.id, "to": row.to, "digest": row.digest} for row in chosen]
    redraft(session, office, complaint, choice)
    consent = _record(session, office, complaint, chosen, shown, via, grant, undo)
    move(session, complaint, ComplaintState.CONFIRMED, due_at=None)
    return consent


def _count(session: Session, office: Office, complaint: Complaint, choice: Choice, via: str) -> Consent:
    """The reporter wants the spam counted and nothing sent: the record of it covers no report."""
    redraft(session, office, complaint, choice)
    consent = _record(session, office, complaint, [], [], via, None, timedelta())
    move(session, complaint, ComplaintState.CONFIRMED, due_at=None)
    move(session, complaint, ComplaintState.CLOSED, reason=COUNTED)
    return consent


def _check_strict(chosen: list[Report]) -> None:
    """A sender that asks for reports must find its message in them (RFC 9477 §3.5); strictly it cannot."""
    for row in chosen:
        if all(part["role"] == "sender-declared" for part in report.parts_of(row.contact)):
            raise ConsentError(
                f"{row.to} is the sender's own mailbox and needs the message's own number, which the strict "
                "redaction hides; untick it, or choose another redaction"
            )


def _check_policy(session: Session, office: Office, complaint: Complaint) -> None:
    """Nobody consents under a policy they did not accept."""
    reporter = session.get_one(Reporter, complaint.reporter_id)
    if not policies.accepted(session, office, reporter):
        said = f"version {reporter.policy}" if reporter.policy else "none"
        now = policies.in_force(session, office)
        raise StaleError(
            f"the privacy policy is now version {now}, you accepted {said}: read what changed and choose, "
            f"on {office.policy_url(reporter)} or with `plaint account policy`",
            [f"privacy policy: version {now}; you accepted {said}"],
        )


def _chosen(session: Session, complaint: Complaint, choice: Choice) -> list[Report]:
    rows = {row.id: row for row in session.exec(select(Report).where(Report.complaint_id == complaint.id))}
    changes = []
    for report_id, digest in choice.reports.items():
        row = rows.get(report_id)
        if row is None:
            changes.append(f"{report_id}: no longer proposed")
        elif row.state not in OPEN:
            changes.append(f"{report_id} to {row.to}: {row.state}")
        elif not row.digest:
            changes.append(f"{report_id} to {row.to}: not written yet; look at it first")
        elif digest is not None and digest != row.digest:
            changes.append(f"{report_id} to {row.to}: changed since it was shown")
    if changes:
        raise StaleError(f"{complaint.id} changed since it was shown; look at it again", changes)
    return [rows[report_id] for report_id in choice.reports]


def redraft(session: Session, office: Office, complaint: Complaint, choice: Choice) -> None:
    """Write the drafts anew where the reporter's note, redaction or words to hide are others now.

    What nobody has looked at stays unwritten.
    Forms and digests shown before are then stale. Raises StaleError when the complaint does not await
    consent, ConsentError for an unknown redaction, CannotRedact when it would give the reporter away.
    """
    redaction = choice.redaction or complaint.redaction
    note = complaint.note if choice.note is None else choice.note
    if complaint.state != ComplaintState.AWAITING_CONSENT:
        raise StaleError(
            f"{complaint.id} does not await consent: it is {complaint.state}", [f"state: {complaint.state}"]
        )
    if redaction not in REDACTIONS:
        raise ConsentError(f"unknown redaction {redaction!r}; there are: {', '.join(REDACTIONS)}")
    hide = list(complaint.hide if choice.hide is None else choice.hide)
    if (redaction, note, hide) == (complaint.redaction, complaint.note, complaint.hide):
        return
    complaint.redaction, complaint.note, complaint.hide = redaction, note, hide
    complaint.version += 1
    reporter = session.get_one(Reporter, complaint.reporter_id)
    query = select(Report).where(
        Report.complaint_id == complaint.id, col(Report.state).in_(OPEN), Report.digest != ""
    )
    report.write(office, reporter, complaint, session.exec(query).all(), office.spam_of(session, complaint))
    session.add(complaint)


def _record(
    session: Session,
    office: Office,
    complaint: Complaint,
    chosen: list[Report],
    shown: list[Json],
    via: str,
    grant: str | None,
    undo: timedelta,
) -> Consent:
    now = office.clock()
    consent = Consent(
        id=tokens.random_letters(tokens.ID_LETTERS),
        complaint_id=complaint.id,
        reporter_id=complaint.reporter_id,
        given_at=now,
        via=via,
        policy=policies.in_force(session, office),
        statement=STATEMENT,
        redaction=complaint.redaction,
        note=complaint.note,
        shown=shown,
    )
    session.add(consent)
    session.flush()
    reports = [{"id": row.id, "to": row.to, "digest": row.digest} for row in chosen]
    for item in reports:
        session.add(
            ConsentedReport(consent_id=consent.id, report_id=item["id"], digest=item["digest"], to=item["to"])
        )
    ledger.add(
        session,
        office,
        complaint.reporter_id,
        "consent",
        _said(consent, complaint, reports) | {"grant": grant},
    )
    leaves = now + max(undo, timedelta(seconds=office.settings.undo_seconds))
    for row in chosen:
        move(session, row, ReportState.CONSENTED)
        move(session, row, ReportState.QUEUED, next_at=leaves, first_at=leaves, detail=None)
        look_at(session, "report", row.id, leaves)
    return consent


def _said(consent: Consent, complaint: Complaint, reports: list[Json]) -> Json:
    """What the chain keeps of a consent."""
    return {
        "consent": consent.id,
        "complaint": complaint.id,
        "spam": complaint.digest,
        "via": consent.via,
        "policy": consent.policy,
        "statement": {"version": STATEMENT_VERSION, "text": consent.statement},
        "redaction": consent.redaction,
        "note": consent.note,
        "hidden_words": complaint.hide,
        "shown": consent.shown,
        "reports": reports,
    }


def undo(session: Session, office: Office, complaint: Complaint, *, via: str) -> int:
    """Take the consent back while nothing left yet; returns how many reports were cancelled.

    A discarded complaint awaits consent again. Raises ConsentError when the undo window is over, something
    was already sent, or the content of a discarded one was deleted.
    """
    expires = office.clock() + timedelta(seconds=office.settings.consent_seconds)
    if complaint.state == ComplaintState.DISCARDED:
        if complaint.evidence is None:
            raise ConsentError(f"{complaint.id} cannot be brought back: {complaint.reason}")
        move(session, complaint, ComplaintState.AWAITING_CONSENT, due_at=expires)
        return 0
    queued = _undoable(session, office, complaint)
    if not queued:
        raise ConsentError(f"{complaint.id}: nothing can be undone; the undo window is over")
    _take_back(session, office, complaint, queued, via)
    move(session, complaint, ComplaintState.AWAITING_CONSENT, due_at=expires)
    return len(queued)


def withdraw(session: Session, office: Office, complaint: Complaint, *, via: str) -> int:
    """Take back what has not been sent yet, also after the undo window; returns how many reports that were.

    What a desk has, or may have, cannot be called back. Raises ConsentError when nothing is left to withdraw.
    """
    queued = _queued(session, complaint)
    if not queued:
        raise ConsentError(f"{complaint.id}: nothing is left that could be withdrawn")
    _take_back(session, office, complaint, queued, via)
    report.close_if_done(session, queued[0])
    return len(queued)


def _take_back(
    session: Session, office: Office, complaint: Complaint, queued: list[Report], via: str
) -> None:
    for row in queued:
        move(session, row, ReportState.CANCELLED, next_at=None, detail="Withdrawn before it left.")
    # Not the latest one by its time: a clock may have been set back in between
    covers = select(ConsentedReport.consent_id).where(
        col(ConsentedReport.report_id).in_(row.id for row in queued)
    )
    withdrawn = select(Withdrawal.consent_id)
    standing = select(Consent.id).where(col(Consent.id).in_(covers), col(Consent.id).not_in(withdrawn))
    consent_id = session.exec(standing).one()
    session.add(Withdrawal(consent_id=consent_id, at=office.clock(), via=via))
    said = {
        "consent": consent_id,
        "complaint": complaint.id,
        "via": via,
        "reports": [{"id": row.id, "to": row.to, "digest": row.digest} for row in queued],
    }
    ledger.add(session, office, complaint.reporter_id, "withdrawal", said)


def undo_until(session: Session, office: Office, complaint: Complaint) -> Json | None:
    """{"until", "reports"} while the consent can be taken back, else None."""
    queued = _undoable(session, office, complaint)
    return (
        {"until": min(row.next_at for row in queued if row.next_at), "reports": len(queued)}
        if queued
        else None
    )


def withdrawable(session: Session, complaint: Complaint) -> int:
    """How many reports have not been sent yet and can be withdrawn."""
    return len(_queued(session, complaint))


def _undoable(session: Session, office: Office, complaint: Complaint) -> list[Report]:
    if complaint.state != ComplaintState.CONFIRMED:
        return []
    untried = [row for row in _queued(session, complaint) if row.attempts == 0]
    return [row for row in untried if row.next_at and row.next_at > office.clock()]


def _queued(session: Session, complaint: Complaint) -> list[Report]:
    # Of a closed one an operator may send an unconfirmed report again; it too can be withdrawn until then
    if complaint.state not in {ComplaintState.CONFIRMED, ComplaintState.CLOSED}:
        return []
    rows = session.exec(select(Report).where(Report.complaint_id == complaint.id))
    return [row for row in rows if row.state == ReportState.QUEUED]


def discard(session: Session, complaint: Complaint) -> None:
    """The reporter wants nothing sent. Raises ConsentError when it does not await consent."""
    if complaint.state != ComplaintState.AWAITING_CONSENT:
        raise ConsentError(f"{complaint.id} does not await consent: it is {complaint.state}")
    move(session, complaint, ComplaintState.DISCARDED, due_at=None)


def refresh(session: Session, office: Office, complaint: Complaint) -> None:
    """Trace and look up again; forms and digests shown before are then stale.

    Raises ConsentError when the complaint does not await consent.
    """
    if complaint.state != ComplaintState.AWAITING_CONSENT:
        raise ConsentError(f"{complaint.id} does not await consent: it is {complaint.state}")
    _read_again(session, office, complaint)


def mine(session: Session, office: Office, complaint: Complaint, hop: int) -> None:
    """The host that handed over at this hop is the reporter's own: trust it, and read the spam again.

    Only a believed hop says who handed over. Also for a complaint refused because its trace ended too early.
    Raises ConsentError when the complaint's state does not allow it or there is no such believed hop,
    HostError when the host must not be trusted.
    """
    hops = (complaint.evidence or {}).get("hops", [])
    if complaint.state not in {ComplaintState.AWAITING_CONSENT, ComplaintState.REFUSED} or not hops:
        raise ConsentError(f"{complaint.id} is {complaint.state}: its way is not read anew any more")
    if not 0 <= hop < len(hops) or not hops[hop]["trusted"]:
        raise ConsentError(
            f"{complaint.id}: line {hop} is not one that is believed, so it tells nothing of hosts of yours"
        )
    line = parse(office.spam_of(session, complaint)).fields("received")[hop]
    reporter = session.get_one(Reporter, complaint.reporter_id)
    hosts = handed_over(parse_received(line.body))
    learned.add(session, office, reporter, hosts, "hop", complaint=complaint.id, hop=str(hop))
    _read_again(session, office, complaint)


def repair(session: Session, office: Office, complaint: Complaint, kind: str, *, revoked: bool) -> None:
    """Take a repair of a pasted spam back, or do it again, and read the spam anew.

    Raises ConsentError when the complaint's state does not allow it, or no header is left without it.
    """
    if complaint.state not in {ComplaintState.AWAITING_CONSENT, ComplaintState.REFUSED}:
        raise ConsentError(f"{complaint.id} is {complaint.state}: it is not read anew any more")
    try:
        mended.make_anew(session, office, complaint, kind, revoked=revoked)
    except mended.RepairError as error:
        raise ConsentError(str(error)) from error
    _read_again(session, office, complaint)


def _read_again(session: Session, office: Office, complaint: Complaint) -> None:
    values = {"due_at": office.clock(), "contacts": None, "lookups": 0, "reason": None}
    move(session, complaint, ComplaintState.RECEIVED, **values)
    look_at(session, "evidence", complaint.id)


def expire(session: Session, office: Office, complaint_id: str) -> None:
    """What nobody confirmed in PLAINT_CONSENT_SECONDS is never sent."""
    complaint = session.get_one(Complaint, complaint_id)
    due = complaint.due_at is not None and complaint.due_at <= office.clock()
    if complaint.state == ComplaintState.AWAITING_CONSENT and due:
        move(session, complaint, ComplaintState.EXPIRED, due_at=None, reason="Nobody confirmed it in time.")


def step(office: Office, complaint_id: str) -> None:
    """The worker's step: let a complaint whose time is over expire."""
    with office.db.transaction() as session:
        expire(session, office, complaint_id)
