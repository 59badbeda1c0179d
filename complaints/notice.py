"""Takes unwrapped submissions whose complaints are all drafted or refused, leaves one letter to the reporter.

The letter acknowledges a submission: for every spam in it what would go to whom and where to look at it, or
why nothing can and what to do instead. It goes to the registered address, never to an envelope sender.
A reporter may choose one letter a day, or letters only about what was refused or needs a second look; what
then waits untold is told before it expires. It says when what waits expires; what did, the next letter tells,
so that no letter comes about it alone.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import exists, func
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select, update

from complaints import choices, learned, outbox, outcomes, probes
from complaints.db import look_at, move
from complaints.grades import GRADES
from complaints.models import (
    UNDERWAY,
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

REMINDED = timedelta(days=2)
"""How long before it expires a complaint is told of again; half of its time where that is shorter."""
EXPIRED_OF_LATE = timedelta(days=30)
MOST_EXPIRED = 10
MOST_TOLD = 100
"""Spams of each list that a letter tells of one by one; more are counted."""


def step(office: Office, submission_id: str) -> None:
    """The worker's step: tell the reporter once nothing of a submission is under way any more."""
    with office.db.transaction() as session:
        submission = session.get(Submission, submission_id)
        if submission is None or submission.state != SubmissionState.UNWRAPPED:
            return
        reporter = session.get_one(Reporter, submission.reporter_id)
        wait = _wait(session, office, reporter)
        due = submission.received_at + wait
        if due > office.clock():
            look_at(session, "notice", submission.id, due)
            return
        if session.exec(_waiting(reporter, underway=True).where(Submission.id == submission.id)).first():
            return
        # What is late and still under way brings the letter with it once it is settled: one letter, not two
        late = _waiting(reporter, underway=True).where(col(Submission.received_at) <= office.clock() - wait)
        if wait and session.exec(late.limit(1)).first():
            return
        settled = session.exec(_waiting(reporter, underway=False)).all() if wait else [submission]
        _tell(session, office, reporter, settled)


def _wait(session: Session, office: Office, reporter: Reporter) -> timedelta:
    """How long a notice waits for others to join it: a day for a reporter who chose one letter a day."""
    wait = timedelta(seconds=office.settings.notice_seconds)
    return max(wait, choices.DIGEST_WAIT) if choices.chosen(session, reporter)["digests"] else wait


def _waiting(reporter: Reporter, *, underway: bool) -> Any:
    """The reporter's submissions that no letter told of yet, settled or under way, without their mails."""
    still = exists().where(
        col(Complaint.submission_id) == col(Submission.id), col(Complaint.state).in_(UNDERWAY)
    )
    query = select(Submission).options(defer(Submission.raw))  # type: ignore[arg-type]
    query = query.where(
        Submission.reporter_id == reporter.id,
        col(Submission.state) == SubmissionState.UNWRAPPED,
        still if underway else ~still,
    )
    return query.order_by(col(Submission.received_at))


def _tell(session: Session, office: Office, reporter: Reporter, submissions: Sequence[Submission]) -> None:
    lines = [line for submission in submissions for line in submission.outcome]
    items = [_item(session, office, line) for line in lines if _is_news(session, line)]
    for submission in submissions:
        move(session, submission, SubmissionState.NOTICED)
    chosen = choices.chosen(session, reporter)
    if chosen["quiet"] and not any(item["second_look"] for item in items):
        return
    if not items:
        return  # probes only, or what came twice: that was told when it came
    if len(items) == 1 and not items[0].get("url"):
        items[0]["part"] = "Your mail"  # there may be no spam in it at all
    usable = [item for item in items if item["list"] == "complaints"]
    refused = [item for item in items if item["list"] == "refused"]
    values: Json = {
        "refused": refused[:MOST_TOLD],
        "more_refused": len(refused[MOST_TOLD:]),
        "help": f"{office.settings.url}/help",
        "hosts": office.hosts_url(reporter),
        "account": office.account_url(reporter),
        **_expired(session, office, reporter, [line["complaint"] for line in lines]),
    }
    known = [item for item in items if item["list"] == "known"]
    kind = "notice" if usable or known else "refused"
    if kind == "notice":
        values |= {
            "complaints": usable[:MOST_TOLD],
            "count": len(usable),
            "known": known[:MOST_TOLD],
            "more_known": len(known[MOST_TOLD:]),
            "link": review_link(office, reporter, submissions) if len(usable) > 1 else "",
            "until": min((item["until"] for item in usable if item["until"]), default=None),
            "digest": office.unsubscribe_url(reporter, "digests") if chosen["digests"] else "",
            "quiet": office.unsubscribe_url(reporter, "quiet") if chosen["quiet"] else "",
        }
    outbox.put_letter(session, office, kind, to=reporter.address, reporter=reporter, values=values)


def _expired(session: Session, office: Office, reporter: Reporter, told: Sequence[str]) -> Json:
    """What expired and was told of in no letter: {"expired": [{"subject", "url"}], "more_expired"}; told now.

    Not what is told of one by one, nor what is so old that it went.
    """
    since = office.clock() - timedelta(seconds=office.settings.consent_seconds) - EXPIRED_OF_LATE
    mine: tuple[Any, ...] = (
        Complaint.reporter_id == reporter.id,
        Complaint.state == ComplaintState.EXPIRED,
        col(Complaint.received_at) > since,
        col(Complaint.reminded_at).is_(None),
    )
    news = (*mine, col(Complaint.id).not_in([one for one in told if one]))
    count = session.exec(select(func.count()).select_from(Complaint).where(*news)).one()
    query = select(Complaint.id, Complaint.subject).where(*news).order_by(col(Complaint.received_at))
    rows = session.exec(query.limit(MOST_EXPIRED)).all()
    session.execute(
        update(Complaint)
        .where(*mine)
        .values(reminded_at=office.clock())
        .execution_options(synchronize_session=False)
    )
    expired = [{"subject": subject, "url": office.review_url(row_id)} for row_id, subject in rows]
    return {"expired": expired, "more_expired": count - len(expired)}


def review_link(office: Office, reporter: Reporter, submissions: Sequence[Submission]) -> str:
    """The one link under which all of these submissions that awaits consent is reviewed at once."""
    batches = {row.batch for row in submissions}
    return office.batch_url(reporter, batches.pop() if len(batches) == 1 else "")


def _is_news(session: Session, line: Json) -> bool:
    """Whether the reporter was not told of it before: in a letter of its own, or when it first came."""
    if probes.is_learned(line) or line.get("repeated"):
        return False
    given = select(Consent.id).where(Consent.complaint_id == line["complaint"], Consent.via == STANDING)
    return line["status"] == "duplicate" or not (line["complaint"] and session.exec(given).first())


def _item(session: Session, office: Office, line: Json) -> Json:
    """One spam as the letter needs it; `list` tells in which of its lists."""
    complaint = session.get(Complaint, line["complaint"]) if line["complaint"] else None
    part = f"spam {line['index'] + 1}"
    if complaint is None:
        grade = line.get("grade")
        return {
            "list": "refused", "second_look": True, "part": part, "look": "",
            "reason": line["reason"], "remedy": line.get("remedy") or "",
            "grade": grade, "means": GRADES[grade].short if grade else "",
        }  # fmt: skip
    outcome = outcomes.of_complaint(complaint)
    item = {
        "part": f"{part} ({complaint.subject})" if complaint.subject else part,
        "subject": complaint.subject,
        "grade": complaint.grade,
        "means": GRADES[complaint.grade].short if complaint.grade else "",
        "url": office.review_url(complaint.id),
        "until": complaint.due_at,
    }
    if line["status"] == "duplicate":
        told = {"reason": line["reason"], "remedy": line["remedy"]}
        return item | told | {"list": "known", "second_look": False}
    if complaint.state in {ComplaintState.REFUSED, ComplaintState.EXPIRED}:
        assert outcome is not None
        return item | {
            "list": "refused", "second_look": True, "reason": outcome.says, "remedy": outcome.remedy,
            "look": item["url"] if complaint.evidence else "",
        }  # fmt: skip
    # Whoever was quicker than this letter finds there what became of it
    mine = select(Report).where(Report.complaint_id == complaint.id).order_by(col(Report.id))
    reports = session.exec(mine).all()
    return item | {
        "list": "complaints",
        "second_look": outcome is not None and outcome.code != "old",
        "lost": line.get("lost", ""),
        "source": complaint.source_ip,
        "desks": [{"to": row.to, "why": row.contact["why"]} for row in reports if row.ticked],
        "offered": [row.to for row in reports if not row.ticked],
        "remark": outcome.says if outcome else "",
        "remedy": outcome.remedy if outcome else "",
    }


def remind(office: Office) -> None:
    """Write to those who chose few letters about what is about to expire: once per complaint."""
    with office.db.reading() as session:
        ids = list(session.exec(select(Complaint.reporter_id).where(*_expiring(office)).distinct()))
    for reporter_id in ids:
        with office.db.transaction() as session:
            reporter = session.get(Reporter, reporter_id, with_for_update=learned.LOCK)
            if reporter:
                _remind(session, office, reporter)


def _expiring(office: Office) -> tuple[Any, ...]:
    before = min(REMINDED, timedelta(seconds=office.settings.consent_seconds) / 2)
    return (
        Complaint.state == ComplaintState.AWAITING_CONSENT,
        col(Complaint.due_at) <= office.clock() + before,
        col(Complaint.reminded_at).is_(None),
        col(Complaint.reporter_id).in_(choices.willing("quiet")),
    )


def _remind(session: Session, office: Office, reporter: Reporter) -> None:
    mine = (*_expiring(office), Complaint.reporter_id == reporter.id)
    count = session.exec(select(func.count()).select_from(Complaint).where(*mine)).one()
    rows = session.exec(select(Complaint).where(*mine).order_by(col(Complaint.due_at)).limit(MOST_TOLD)).all()
    if not rows:
        return
    values: Json = {
        "complaints": [
            {"subject": row.subject, "until": row.due_at, "url": office.review_url(row.id)} for row in rows
        ],
        "count": count,
        "link": office.batch_url(reporter) if count > 1 else "",
        "account": office.account_url(reporter),
        "quiet": office.unsubscribe_url(reporter, "quiet"),
    }
    outbox.put_letter(session, office, "reminder", to=reporter.address, reporter=reporter, values=values)
    told = update(Complaint).where(*mine).values(reminded_at=office.clock())
    session.execute(told.execution_options(synchronize_session=False))
