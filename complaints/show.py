"""Takes complaint rows, leaves the documents that the API, the pages and the command line show."""

from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select, tuple_

from complaints import outcomes
from complaints.models import Attempt, Complaint, ComplaintState, Json, Reply, Report
from complaints.office import Office


def stamp(moment: datetime | None) -> str | None:
    """RFC 3339 UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def complaint_document(session: Session, office: Office, complaint: Complaint) -> Json:
    """Everything the reporter may know of a complaint."""
    reports = session.exec(select(Report).where(Report.complaint_id == complaint.id).order_by(col(Report.id)))
    contacts = complaint.contacts or {}
    return {
        "id": complaint.id,
        "state": complaint.state.value,
        "received_at": stamp(complaint.received_at),
        "subject": complaint.subject,
        "source_ip": complaint.source_ip,
        "grade": complaint.grade,
        "digest": complaint.digest,
        "reason": complaint.reason,
        "outcome": outcome._asdict() if (outcome := outcomes.of_complaint(complaint)) else None,
        "evidence": complaint.evidence,
        "repairs": complaint.repairs,
        "reports": [_report_document(session, report) for report in reports],
        "rejected": contacts.get("rejected", []),
        "lookups": contacts.get("lookups", []),
        "redaction": complaint.redaction,
        "note": complaint.note,
        "expires_at": stamp(complaint.due_at) if complaint.state == ComplaintState.AWAITING_CONSENT else None,
        "review_url": office.review_url(complaint.id),
    }


def _report_document(session: Session, report: Report) -> Json:
    attempts = session.exec(select(Attempt).where(Attempt.mail_id == report.id).order_by(col(Attempt.at)))
    replies = session.exec(select(Reply).where(Reply.report_id == report.id).order_by(col(Reply.at)))
    contact = report.contact
    return {
        "id": report.id,
        "to": report.to,
        "scope": contact["scope"],
        "why": contact["why"],
        "confidence": contact["confidence"],
        "source": contact["source"],
        "server": contact["server"],
        "as_of": contact["as_of"],
        "state": report.state.value,
        "digest": report.digest,
        "ticked": report.ticked,
        "unticked": None if report.ticked else contact.get("unticked"),
        "message_id": report.message_id,
        "attempts": [_attempt_document(attempt) for attempt in attempts],
        "next_at": stamp(report.next_at),
        "sent_at": stamp(report.sent_at),
        "detail": report.detail,
        "replies": [
            {"at": stamp(reply.at), "kind": reply.kind, "status": reply.status, "text": reply.text}
            for reply in replies
        ],
    }


def _attempt_document(attempt: Attempt) -> Json:
    return {
        "at": stamp(attempt.at),
        "host": attempt.host,
        "tls": attempt.tls,
        "outcome": attempt.outcome,
        "code": attempt.code,
        "text": attempt.text,
    }


def complaint_line(complaint: Complaint) -> Json:
    """One complaint in a list."""
    return {
        "id": complaint.id,
        "state": complaint.state.value,
        "received_at": stamp(complaint.received_at),
        "subject": complaint.subject,
        "source_ip": complaint.source_ip,
        "grade": complaint.grade,
    }


def complaint_page(
    session: Session,
    reporter_id: str,
    *,
    state: ComplaintState | None = None,
    limit: int = 50,
    after: str | None = None,
) -> list[Complaint]:
    """A reporter's complaints, newest first; `after` is the last id of the page before (keyset paging)."""
    query = select(Complaint).where(Complaint.reporter_id == reporter_id)
    if state:
        query = query.where(Complaint.state == state)
    last = session.get(Complaint, after) if after else None
    if last is not None and last.reporter_id == reporter_id:
        place: Any = tuple_(Complaint.received_at, Complaint.id)
        query = query.where(place < (last.received_at, last.id))
    order = (col(Complaint.received_at).desc(), col(Complaint.id).desc())
    return list(session.exec(query.order_by(*order).limit(limit)))


def own_complaint(session: Session, reporter_id: str, complaint_id: str) -> Complaint | None:
    """A complaint of this reporter; another's is like one that does not exist."""
    complaint = session.get(Complaint, complaint_id)
    return complaint if complaint and complaint.reporter_id == reporter_id else None
