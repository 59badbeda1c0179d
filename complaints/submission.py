"""Takes what a reporter hands in, in whatever way, leaves a submission row and one complaint per spam.

Every way in (SMTP, HTTP, page, command line) ends at `accept`; its row is durable before anyone is told
"accepted". `unwrap` then turns the submission's spams into complaints, as slices of the same raw bytes.
A probe of ours that came back becomes none: its hosts are learned (`probes.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import func
from sqlmodel import Session, col, select

from complaints import mended, outcomes, probes, tokens
from complaints.account_tables import SubmissionAddress
from complaints.dates import rfc3339
from complaints.db import insert_all, look_at, move
from complaints.loops import letter_id
from complaints.message import parse
from complaints.models import (
    Complaint,
    ComplaintState,
    Json,
    Letter,
    Reporter,
    Submission,
    SubmissionState,
)
from complaints.office import Office
from complaints.outcomes import Outcome
from complaints.passed_on import NOT_FROM_YOU, PASSED_ON
from complaints.sameness import delivery_mark
from complaints.unwrap import Item, open_file, unwrap_forward, unwrap_paste

DELIVERED_AGAIN = timedelta(days=5)
"""How long a sender may try to deliver what it believes not delivered (RFC 5321 §4.5.4.1)."""
LOOKED_THROUGH = 1_000
"""Submissions before this one among which it is looked for."""
REPORTED = (ComplaintState.CONFIRMED, ComplaintState.CLOSED)


_NONE_YET: list[Json] = []
BATCH = "batch"
"""The way in of `plaint batch`: whoever runs it is told by its lines, so no letter goes to the reporter."""


class TooLargeError(Exception):
    """The submission is over PLAINT_MAX_BYTES; `remedy` is what to do instead."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.says)
        self.remedy = outcome.remedy


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
    pasted: bool = False,
    batch: str = "",
) -> Submission:
    """Store the raw bytes of a submission; after the commit it is never lost (promise 3).

    `forwarded`: a mail whose attachments are the spams; otherwise `raw` is a spam itself, or an archive
    or mailbox of spams. `pasted`: `raw` is the source of one as text, to be repaired. What comes under one
    `batch` label is reviewed together. Raises TooLargeError.
    """
    row = columns(office, reporter.id, office.vault.sealer(reporter.key), raw, via=via, forwarded=forwarded)
    row |= {"filename": filename, "pasted": pasted, "batch": batch or row["batch"]}
    submission = Submission(**row)
    session.add(submission)
    look_at(session, "unwrap", submission.id)
    return submission


def columns(
    office: Office, reporter_id: str, seal: Callable[[bytes], bytes], raw: bytes, *, via: str, forwarded: bool
) -> Json:
    """The columns of a new submission; `accept_all` stores them. `seal` is the reporter's `Vault.sealer`.

    Raises TooLargeError.
    """
    if len(raw) > office.settings.max_bytes:
        raise TooLargeError(outcomes.of_size(len(raw), office.settings.max_bytes))
    now = office.clock()
    submission_id = tokens.ordered_letters(now)
    return {
        "id": submission_id,
        "reporter_id": reporter_id,
        "state": SubmissionState.RECEIVED,
        "via": via,
        "forwarded": forwarded,
        "filename": "",
        "pasted": False,
        "batch": submission_id,
        "received_at": now,
        "digest": tokens.digest(raw),
        "size": len(raw),
        "raw": seal(raw),
        "outcome": _NONE_YET,
    }


def accept_all(office: Office, rows: Sequence[Json]) -> None:
    """Store many new submissions, as `accept` does one, durably."""
    if rows:
        office.db.append(Submission, rows, "unwrap")


def accept_with(session: Session, rows: Sequence[Json]) -> None:
    """Store many new submissions, as `accept` does one, in a transaction that does more."""
    insert_all(session, Submission, rows)
    for row in rows:
        look_at(session, "unwrap", row["id"])


def check_limit(session: Session, office: Office, reporter: Reporter) -> None:
    """Raise OverLimitError when this hour's submissions of the reporter are used up."""
    limit = office.settings.limit_submissions
    if limit and _since(session, reporter, office.clock() - timedelta(hours=1)) >= limit:
        raise OverLimitError(f"{limit} submissions an hour are taken; try again later")


def contents(
    office: Office,
    reporter: Reporter,
    raw: bytes,
    *,
    forwarded: bool,
    pasted: bool = False,
    filename: str = "",
) -> list[Item]:
    """What is in the raw bytes of a submission.

    Done before the transaction that keeps it: an archive may take seconds to open, and nobody else writes
    into the embedded database meanwhile. Raises TooLargeError.
    """
    if len(raw) > office.settings.max_bytes:
        raise TooLargeError(outcomes.of_size(len(raw), office.settings.max_bytes))
    if forwarded:
        with office.db.reading() as session:
            theirs = [reporter.address, *reporter.aliases]
            return unwrap_forward(raw, partial(_is_address_of, session, reporter), theirs)
    return unwrap_paste(raw) if pasted else open_file(raw, filename)


def unwrap(session: Session, office: Office, submission: Submission, items: Sequence[Item]) -> Accepted:
    """Make one complaint of each spam among the contents; what is already a complaint is a duplicate.

    Raises db.OvertakenError when another worker did it.
    """
    reporter = session.get_one(Reporter, submission.reporter_id)
    move(session, submission, SubmissionState.UNWRAPPED)
    if submission.forwarded and [item.spam for item in items] == [None]:
        raw = office.vault.unseal(reporter.key, submission.raw)
        items = [_test_without_header(session, office, reporter, raw, items[0])]
    lines = [_take(session, office, reporter, submission, item) for item in items]
    if _came_before(session, submission, lines):
        lines = [line | {"repeated": True} for line in lines]
    submission.outcome = [line | {"index": n} for n, line in enumerate(lines)]
    session.add(submission)
    ours = [line for line in lines if line.get("ours")]
    if submission.via == BATCH or ours == lines:  # a letter about our own letters would come back as well
        move(session, submission, SubmissionState.NOTICED)
    else:
        look_at(session, "notice", submission.id)
    return Accepted(submission.id, submission.outcome)


def _is_address_of(session: Session, reporter: Reporter, address: str) -> bool:
    """Tell whether this is a submission address of the reporter's, current or retired."""
    row = session.get(SubmissionAddress, tokens.hashed(address.strip().lower().rpartition("@")[0]))
    return row is not None and row.reporter_id == reporter.id


def _take(session: Session, office: Office, reporter: Reporter, submission: Submission, item: Item) -> Json:
    """One line of the outcome: complaint, status, grade of the way in, and for people reason and remedy."""
    if item.spam is None:
        return {
            "complaint": None, "status": "refused", "grade": item.grade,
            "reason": item.reason, "remedy": item.remedy,
        }  # fmt: skip
    if probe := probes.take(session, office, reporter, item.spam, item.grade):
        return probe
    message = parse(item.spam)
    letter = session.get(Letter, letter_id(message, office.settings.mail_domain))
    if letter and letter.reporter_id == reporter.id:
        own = outcomes.OUR_OWN
        return {
            "complaint": None, "status": "refused", "grade": item.grade, "ours": True,
            "reason": own.says, "remedy": own.remedy,
        }  # fmt: skip
    digest, mark = tokens.digest(item.spam), delivery_mark(message)
    if known := _known(session, reporter, digest, mark, item.grade):
        came_by = session.exec(select(Submission.via).where(Submission.id == known.submission_id)).one()
        outcome = outcomes.of_duplicate(known.id, known.state, known.received_at, letter=came_by != BATCH)
        return {
            "complaint": known.id, "status": "duplicate", "grade": item.grade,
            "since": rfc3339(known.received_at), "state": known.state.value,
            "reason": outcome.says, "remedy": outcome.remedy,
        }  # fmt: skip
    verbatim = item.start is not None
    complaint = Complaint(
        id="PL-" + tokens.random_letters(tokens.ID_LETTERS),
        reporter_id=reporter.id,
        submission_id=submission.id,
        slice_start=item.start,
        slice_end=item.end,
        raw=None if verbatim else office.vault.seal(reporter.key, item.spam),
        digest=digest,
        delivery=mark,
        way_in_grade=item.grade,
        repairs=mended.as_documents(item.repairs),
        certain_hops=item.certain,
        received_at=submission.received_at,
        due_at=submission.received_at,
        hide=[],
    )
    session.add(complaint)
    session.flush()
    look_at(session, "evidence", complaint.id)
    line: Json = {"complaint": complaint.id, "status": "accepted", "grade": item.grade}
    line |= {"lost": item.lost} if item.lost else {}
    return line | ({"repairs": complaint.repairs} if complaint.repairs else {})


def _test_without_header(
    session: Session, office: Office, reporter: Reporter, raw: bytes, item: Item
) -> Item:
    """A test mail of ours that was forwarded within the text: what its remedy says is then to be tried."""
    inline = probes.came_inline(session, office, reporter, raw)
    return (
        replace(item, reason=outcomes.TEST_WITHOUT_HEADER)
        if inline and item.reason not in {PASSED_ON, NOT_FROM_YOU}
        else item
    )


def _known(
    session: Session, reporter: Reporter, digest: str, mark: str | None, grade: str
) -> Complaint | None:
    """The complaint about this spam, if there is one: about the same bytes, or the same delivery.

    A worse copy is no reason to refuse a better one, unless it was reported.
    """
    own = select(Complaint).where(Complaint.reporter_id == reporter.id)
    if same := session.exec(own.where(Complaint.digest == digest)).first():
        return same
    if mark is None:
        return None
    twins = session.exec(own.where(Complaint.delivery == mark))
    return next((twin for twin in twins if twin.way_in_grade <= grade or twin.state in REPORTED), None)


def _came_before(session: Session, submission: Submission, lines: Sequence[Json]) -> bool:
    """Whether its sender delivered this very mail before, because our 250 was lost on the way."""
    if submission.via != "smtp" or any(line["status"] == "accepted" for line in lines):
        return False
    earlier = (
        select(Submission.digest)
        .where(
            Submission.reporter_id == submission.reporter_id,
            Submission.id != submission.id,
            col(Submission.received_at) > submission.received_at - DELIVERED_AGAIN,
            # Whichever of the two is unwrapped first is told of
            col(Submission.received_at) < submission.received_at + DELIVERED_AGAIN,
            col(Submission.state) != SubmissionState.RECEIVED,
        )
        .order_by(col(Submission.received_at).desc())
        .limit(LOOKED_THROUGH)
    )
    return submission.digest in session.exec(earlier).all()


def _since(session: Session, reporter: Reporter, moment: datetime) -> int:
    query = select(func.count()).where(
        col(Submission.reporter_id) == reporter.id, col(Submission.received_at) > moment
    )
    return session.exec(query).one()


def step(office: Office, submission_id: str) -> None:
    """The worker's step: unwrap a received submission."""
    with office.db.reading() as session:
        submission = session.get(Submission, submission_id)
        if submission is None or submission.state != SubmissionState.RECEIVED:
            return
        reporter = session.get_one(Reporter, submission.reporter_id)
    items = contents_of(office, reporter, submission)
    with office.db.transaction() as session:
        now = session.get(Submission, submission_id)
        if now and now.state == SubmissionState.RECEIVED:  # nobody was faster, and nobody was erased
            unwrap(session, office, now, items)


def contents_of(office: Office, reporter: Reporter, submission: Submission) -> list[Item]:
    """`contents` of what is stored."""
    raw = office.vault.unseal(reporter.key, submission.raw)
    return contents(
        office,
        reporter,
        raw,
        forwarded=submission.forwarded,
        pasted=submission.pasted,
        filename=submission.filename,
    )
