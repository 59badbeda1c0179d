"""Takes unwrapped submissions whose complaints are all drafted or refused, leaves one letter to the reporter.

The letter says per spam what would go to whom and where to look at it, and for what could not be used why
and what to do instead. It goes to the registered address, never to an envelope sender.
"""

from datetime import timedelta

from sqlmodel import Session, col, select

from complaints import choices, outbox, probes
from complaints.db import look_at, move
from complaints.grades import GRADES
from complaints.models import (
    Complaint,
    ComplaintState,
    Consent,
    Json,
    Report,
    Reporter,
    Submission,
    SubmissionState,
)
from complaints.office import Office
from complaints.policy import STANDING

REMEDIES = {
    ComplaintState.REFUSED: "Forward the spam as an attachment from the mailbox that first received it; "
    "if that is what you did, nobody can be told about this one.",
    ComplaintState.EXPIRED: "Nothing; it was not confirmed in time.",
}
UNDERWAY = (ComplaintState.RECEIVED, ComplaintState.ANALYSED)


def step(office: Office, submission_id: str) -> None:
    """The worker's step: tell the reporter once nothing of a submission is under way any more."""
    with office.db.transaction() as session:
        submission = session.get(Submission, submission_id)
        if submission is None or submission.state != SubmissionState.UNWRAPPED:
            return
        reporter = session.get_one(Reporter, submission.reporter_id)
        due = submission.received_at + _wait(session, office, reporter)
        if due > office.clock():
            look_at(session, "notice", submission.id, due)
            return
        settled = [row for row in _waiting(session, reporter) if not _underway(session, row)]
        if submission in settled:
            _tell(session, office, reporter, settled)


def _wait(session: Session, office: Office, reporter: Reporter) -> timedelta:
    """How long a notice waits for others to join it: a day for a reporter who chose one letter a day."""
    wait = timedelta(seconds=office.settings.notice_seconds)
    return max(wait, choices.DIGEST_WAIT) if choices.chosen(session, reporter)["digests"] else wait


def _waiting(session: Session, reporter: Reporter) -> list[Submission]:
    query = select(Submission).where(
        Submission.reporter_id == reporter.id, col(Submission.state) == SubmissionState.UNWRAPPED
    )
    return list(session.exec(query.order_by(col(Submission.received_at))))


def _underway(session: Session, submission: Submission) -> bool:
    query = select(Complaint.id).where(
        Complaint.submission_id == submission.id, col(Complaint.state).in_(UNDERWAY)
    )
    return session.exec(query).first() is not None


def _tell(session: Session, office: Office, reporter: Reporter, submissions: list[Submission]) -> None:
    lines = [line for submission in submissions for line in submission.outcome]
    items = [
        _item(session, office, line)
        for line in lines
        if not probes.is_learned(line) and not _told(session, line)
    ]
    for submission in submissions:
        move(session, submission, SubmissionState.NOTICED)
    if not items:
        return  # probes only: what each taught was told when it came
    usable = [item for item in items if item["url"]]
    refused = [item for item in items if not item["url"]]
    days = max(1, office.settings.consent_seconds // 86400)
    values: Json = {"refused": refused, "hosts": office.hosts_url(reporter)}
    values["account"] = office.account_url(reporter)
    if usable:
        one_a_day = choices.chosen(session, reporter)["digests"]
        digest = office.unsubscribe_url(reporter, "digests") if one_a_day else ""
        values |= {"complaints": usable, "days": days, "digest": digest}
    kind = "notice" if usable else "refused"
    outbox.put_letter(session, office, kind, to=reporter.address, reporter=reporter, values=values)


def _told(session: Session, line: Json) -> bool:
    """Whether it was confirmed under a standing consent: a letter of its own told of it."""
    given = select(Consent.id).where(Consent.complaint_id == line["complaint"], Consent.via == STANDING)
    return line["complaint"] is not None and session.exec(given).first() is not None


def _item(session: Session, office: Office, line: Json) -> Json:
    """One spam as the letter needs it."""
    complaint = session.get(Complaint, line["complaint"]) if line["complaint"] else None
    part = f"spam {line['index'] + 1}"
    if complaint is None:
        return {
            "url": None,
            "part": part,
            "reason": line["reason"],
            "remedy": line.get("remedy") or "",
            "look": "",
        }
    # Whoever was quicker than this letter finds there what became of it
    awaits = complaint.state in {
        ComplaintState.AWAITING_CONSENT,
        ComplaintState.CONFIRMED,
        ComplaintState.CLOSED,
    }
    traced = complaint.state == ComplaintState.REFUSED and complaint.evidence is not None
    reports = session.exec(select(Report).where(Report.complaint_id == complaint.id).order_by(col(Report.id)))
    return {
        "subject": complaint.subject,
        "grade": complaint.grade,
        "means": GRADES[complaint.grade].short if complaint.grade else "",
        "source": complaint.source_ip,
        "desks": [{"to": row.to, "why": row.contact["why"]} for row in reports],
        "url": office.review_url(complaint.id) if awaits else None,
        "look": office.review_url(complaint.id) if traced else "",
        "part": f"{part} ({complaint.subject})" if complaint.subject else part,
        "reason": complaint.reason
        or line.get("reason")
        or f"It is {complaint.state.value.replace('_', ' ')}.",
        "remedy": REMEDIES.get(complaint.state, "Nothing; it stays as it is."),
    }
