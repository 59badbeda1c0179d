"""Takes what comes back to a report's addresses, leaves reply rows, settled reports and suppressed desks.

Automatic mail is kept and shown but never passed on or answered; a person's answer reaches the reporter in
a letter of ours, so the desk never learns the reporter's address.
"""

from dataclasses import replace

from sqlmodel import Session, select

from complaints import outbox, tokens
from complaints.db import move
from complaints.models import Complaint, Reply, Report, Reporter, ReportState, Suppression
from complaints.office import Office
from complaints.report import close_if_done
from complaints.returned import Returned, classify


def report_of(session: Session, token: str) -> Report | None:
    """The report whose return, reply or opt-out address carries this token."""
    return session.exec(select(Report).where(Report.token_hash == tokens.hashed(token))).first()


def report_id_of(session: Session, token: str) -> str | None:
    """The id of that report, without reading its bytes."""
    return session.exec(select(Report.id).where(Report.token_hash == tokens.hashed(token))).first()


def receive(session: Session, office: Office, word: str, report: Report, mail_from: str, raw: bytes) -> None:
    """Keep a mail that came to one of a report's addresses, and act on what it is. Twice is once."""
    # Held until commit: the answer to the final dot may be recorded at this very moment
    session.refresh(report, with_for_update=True)
    complaint = session.get_one(Complaint, report.complaint_id)
    reporter = session.get_one(Reporter, complaint.reporter_id)
    returned = classify(raw, mail_from=mail_from)
    # An answer quotes the report, and with it the secret of its addresses
    returned = replace(returned, text=tokens.without_secrets(returned.text))
    digest = tokens.digest(raw)
    seen = select(Reply.id).where(Reply.report_id == report.id, Reply.digest == digest)
    if session.exec(seen).first():
        return
    reply = Reply(
        id=tokens.random_letters(tokens.ID_LETTERS),
        report_id=report.id,
        at=office.clock(),
        kind=returned.kind,
        status=returned.status,
        failed=returned.kind == "bounce" and returned.failed,
        text=returned.text,
        digest=digest,
        raw=office.vault.seal(reporter.key, raw),
    )
    session.add(reply)
    _settle(session, report, returned)
    if returned.kind not in {"answer", "verdict"}:
        return
    if word == outbox.STOP or returned.status == "stop":
        asked = "mail to the opt-out address" if word == outbox.STOP else "answer to a report"
        suppress(session, office, report.to, asked_by=asked, reason=f"report {report.id}")
    if word == outbox.REPLY:
        _tell(session, office, reporter, complaint, report, reply)


def suppress(session: Session, office: Office, address: str, *, asked_by: str, reason: str) -> None:
    """A mailbox wants no more reports (RFC 6650 §5); asking twice changes nothing."""
    row = session.get(Suppression, address.lower())
    if row is None:
        row = Suppression(address=address.lower(), asked_at=office.clock(), asked_by=asked_by, reason=reason)
    elif row.lifted_at is not None:
        row.asked_at, row.asked_by, row.reason, row.lifted_at = office.clock(), asked_by, reason, None
    session.add(row)
    waiting = select(Report).where(Report.to == address, Report.state == ReportState.QUEUED)
    for report in session.exec(waiting).all():
        move(
            session,
            report,
            ReportState.SUPPRESSED,
            next_at=None,
            detail="This desk asked for no more reports.",
        )
        close_if_done(session, report)


def resume(session: Session, office: Office, address: str) -> bool:
    """Let reports to a mailbox flow again; False when it was not suppressed."""
    row = session.get(Suppression, address.lower())
    if row is None or row.lifted_at is not None:
        return False
    row.lifted_at = office.clock()
    session.add(row)
    return True


def _settle(session: Session, report: Report, returned: Returned) -> None:
    said = " ".join(filter(None, (returned.status, returned.text)))[:500]
    if (
        returned.kind == "bounce"
        and returned.failed
        and report.state in {ReportState.SENT, ReportState.UNCONFIRMED}
    ):
        move(session, report, ReportState.BOUNCED, detail=said)
    elif report.state == ReportState.UNCONFIRMED and returned.kind in {"answer", "verdict", "automatic"}:
        move(session, report, ReportState.SENT)


def _tell(
    session: Session, office: Office, reporter: Reporter, complaint: Complaint, report: Report, reply: Reply
) -> None:
    values = {
        "desk": report.to,
        "kind": reply.kind,
        "subject": complaint.subject,
        "text": reply.text,
        "url": office.review_url(complaint.id),
        "reply_to": None,
    }
    outbox.put_letter(session, office, "answer", to=reporter.address, reporter=reporter, values=values)
