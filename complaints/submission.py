"""Takes what a reporter hands in, in whatever way, leaves a submission row and one complaint per spam.

Every way in (SMTP, HTTP, page, command line) ends at `accept`; its row is durable before anyone is told
"accepted". `unwrap` then turns the submission's spams into complaints, as slices of the same raw bytes.
A probe of ours that came back becomes none: its hosts are learned (`probes.py`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from complaints import probes, tokens
from complaints.db import look_at, move
from complaints.models import Complaint, Json, Reporter, Submission, SubmissionState
from complaints.office import Office
from complaints.unwrap import Item, open_file, unwrap_forward


class TooLargeError(Exception):
    """The submission is over PLAINT_MAX_BYTES."""


class OverLimitError(Exception):
    """The reporter handed in more than PLAINT_LIMIT_SUBMISSIONS within an hour."""


@dataclass(frozen=True)
class Accepted:
    """What became of each spam of a submission: index, complaint, status, reason, remedy."""

    submission_id: str
    outcome: list[Json]


def accept(
    session: Session,
    office: Office,
    reporter: Reporter,
    raw: bytes,
    *,
    via: str,
    forwarded: bool,
    filename: str = "",
) -> Submission:
    """Store the raw bytes of a submission; after the commit it is never lost (promise 3).

    `forwarded`: a mail whose attachments are the spams; otherwise `raw` is a spam itself, or an archive
    or mailbox of spams. Raises TooLargeError.
    """
    if len(raw) > office.settings.max_bytes:
        raise TooLargeError(f"{len(raw)} bytes; at most {office.settings.max_bytes} are taken")
    submission = Submission(
        id=tokens.random_letters(tokens.ID_LETTERS),
        reporter_id=reporter.id,
        via=via,
        forwarded=forwarded,
        filename=filename,
        received_at=office.clock(),
        digest=tokens.digest(raw),
        size=len(raw),
        raw=office.vault.seal(reporter.key, raw),
    )
    session.add(submission)
    look_at(session, "unwrap", submission.id)
    return submission


def check_limit(session: Session, office: Office, reporter: Reporter) -> None:
    """Raise OverLimitError when this hour's submissions of the reporter are used up."""
    limit = office.settings.limit_submissions
    if limit and _since(session, reporter, office.clock() - timedelta(hours=1)) >= limit:
        raise OverLimitError(f"{limit} submissions an hour are taken; try again later")


def unwrap(session: Session, office: Office, submission: Submission) -> Accepted:
    """Make one complaint of each spam in a submission; what is already a complaint is a duplicate.

    Raises db.OvertakenError when another worker did it.
    """
    reporter = session.get_one(Reporter, submission.reporter_id)
    raw = office.vault.unseal(reporter.key, submission.raw)
    items = unwrap_forward(raw) if submission.forwarded else open_file(raw, submission.filename)
    move(session, submission, SubmissionState.UNWRAPPED)
    submission.outcome = [
        _take(session, office, reporter, submission, item) | {"index": n} for n, item in enumerate(items)
    ]
    session.add(submission)
    look_at(session, "notice", submission.id)
    return Accepted(submission.id, submission.outcome)


def _take(session: Session, office: Office, reporter: Reporter, submission: Submission, item: Item) -> Json:
    if item.spam is None:
        return {"complaint": None, "status": "refused", "reason": item.reason, "remedy": item.remedy}
    if probe := probes.take(session, office, reporter, item.spam):
        return probe
    digest = tokens.digest(item.spam)
    known = session.exec(
        select(Complaint.id).where(Complaint.reporter_id == reporter.id, Complaint.digest == digest)
    ).first()
    if known:
        return {
            "complaint": known,
            "status": "duplicate",
            "reason": f"you reported this spam before, as {known}",
        }
    verbatim = item.start is not None
    complaint = Complaint(
        id="PL-" + tokens.random_letters(tokens.ID_LETTERS),
        reporter_id=reporter.id,
        submission_id=submission.id,
        slice_start=item.start,
        slice_end=item.end,
        raw=None if verbatim else office.vault.seal(reporter.key, item.spam),
        digest=digest,
        way_in_grade=item.grade,
        received_at=submission.received_at,
        due_at=submission.received_at,
    )
    session.add(complaint)
    session.flush()
    look_at(session, "evidence", complaint.id)
    return {"complaint": complaint.id, "status": "accepted"}


def _since(session: Session, reporter: Reporter, moment: datetime) -> int:
    query = select(func.count()).where(
        col(Submission.reporter_id) == reporter.id, col(Submission.received_at) > moment
    )
    return session.exec(query).one()


def step(office: Office, submission_id: str) -> None:
    """The worker's step: unwrap a received submission."""
    with office.db.transaction() as session:
        submission = session.get(Submission, submission_id)
        if submission and submission.state == SubmissionState.RECEIVED:
            unwrap(session, office, submission)
