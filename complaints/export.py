"""Everything that is kept of a reporter, as one ZIP: documents as JSON, mail as .eml, consents as a receipt.

Takes a reporter; leaves the archive at a place or in pieces, a complaint at a time, so that it needs no more
memory than one of them and is on no disk of ours.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

from sqlalchemy import func
from sqlmodel import Session, col, select

from complaints import accountability, choices, ledger, policies, retention, show, submission_address
from complaints.account_tables import AnsweredRequest, StepUp
from complaints.erasure import addresses, theirs
from complaints.models import Attempt, Complaint, Json, Letter, Probe, Reply, Report, Reporter, Submission
from complaints.office import Office
from complaints.standing_tables import StandingConsent

Member = tuple[str, bytes]
Sessions = Callable[[], AbstractContextManager[Session]]

README = """What is in this archive

account.json          your address, names, aliases, mail hosts, what you accepted and chose when, who read
                      what you handed in, and what authorities got
complaints/ID.json    everything about one complaint: evidence, desks, reports, what became of them
complaints/ID.eml     the spam, byte for byte as it came
submissions/ID.eml    what you handed in, where it was not the spam itself
complaints/REPORT.eml each report, exactly as the desk got it or would have got it
replies/              what desks answered, as it came
letters/              our letters to you
deliveries.json       what became of each letter, and each try to deliver one or a report
receipt.json          your consents and withdrawals, signed; check it with: plaint verify-receipt receipt.json
data-map.json         what is kept for how long, and why
"""


def write(session: Session, office: Office, reporter: Reporter, place: IO[bytes]) -> None:
    """Write the archive to a file opened for writing bytes."""
    with ZipFile(place, "w", ZIP_DEFLATED) as archive:
        for name, content in _members(lambda: nullcontext(session), office, reporter.id):
            archive.writestr(name, content)


def stream(office: Office, reporter: Reporter) -> Iterator[bytes]:
    """The archive in pieces; no database connection is held while one is on its way to a slow reader."""
    place = _Pieces()
    with ZipFile(place, "w", ZIP_DEFLATED) as archive:
        for name, content in _members(office.db.reading, office, reporter.id):
            archive.writestr(name, content)
            yield place.taken()
    yield place.taken()


class _Pieces(io.RawIOBase):
    """A place that can only be written on, and from which what was written is taken."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._written.append(bytes(piece))
        return len(self._written[-1])

    def taken(self) -> bytes:
        pieces, self._written = self._written, []
        return b"".join(pieces)


def _members(sessions: Sessions, office: Office, reporter_id: str) -> Iterator[Member]:
    """The files of the archive; each complaint and letter is read in a session of its own."""
    with sessions() as session:
        reporter = session.get_one(Reporter, reporter_id)
        rules = retention.rules(policies.kept_of(session, office, reporter))
        told = [
            _json("account.json", account(session, office, reporter)),
            _json("data-map.json", retention.data_map() | {"kept": rules}),
            _json("receipt.json", ledger.receipt(session, office, reporter)),
            _json("deliveries.json", deliveries(session, reporter)),
        ]
        complaints = select(Complaint.id).where(Complaint.reporter_id == reporter_id)
        ids = session.exec(complaints.order_by(col(Complaint.id))).all()
        forwards = _forwards(session, reporter_id)
        mine = theirs(Letter, reporter_id, addresses(reporter))
        letters = session.exec(select(Letter.id).where(mine)).all()
    yield "README.txt", README.encode()
    yield from told
    for complaint_id in ids:
        with sessions() as session:
            found = list(_of_complaint(session, office, reporter, session.get_one(Complaint, complaint_id)))
        yield from found
    for submission_id in forwards:
        with sessions() as session:
            sealed = session.exec(select(Submission.raw).where(Submission.id == submission_id)).first()
        if sealed:
            yield f"submissions/{submission_id}.eml", office.vault.unseal(reporter.key, sealed)
    for letter_id in letters:
        with sessions() as session:
            letter = session.get(Letter, letter_id)
            key = reporter.key if letter and letter.reporter_id else None  # before they were registered
            raw = office.vault.unseal(key, letter.raw) if letter else b""
        if letter and raw:
            yield f"letters/{letter.id}-{letter.kind}.eml", raw


def _forwards(session: Session, reporter_id: str) -> Sequence[str]:
    """The submissions that are not themselves the spam of a complaint."""
    whole = select(Complaint.submission_id).where(
        Complaint.reporter_id == reporter_id,
        col(Complaint.raw).is_(None),
        func.coalesce(Complaint.slice_start, 0) == 0,
        func.coalesce(Complaint.slice_end, Submission.size) == Submission.size,
        Complaint.submission_id == Submission.id,
    )
    others = select(Submission.id).where(Submission.reporter_id == reporter_id, ~whole.exists())
    return session.exec(others.order_by(col(Submission.id))).all()


def deliveries(session: Session, reporter: Reporter) -> Json:
    """Our letters and what became of them, and each try to deliver one or a report."""
    own = addresses(reporter)
    letters = session.exec(select(Letter).where(theirs(Letter, reporter.id, own)))
    tries = session.exec(select(Attempt).where(theirs(Attempt, reporter.id, own)))
    return {
        "letters": [_row(row, "id", "kind", "to", "state", "sent_at", "detail") for row in letters],
        "tries": [_row(row, "mail_id", "at", "host", "tls", "outcome", "code", "text") for row in tries],
    }


def _row(row: Any, *columns: str) -> Json:
    """These columns; times are ISO 8601."""
    values = ((column, getattr(row, column)) for column in columns)
    return {name: show.stamp(value) if isinstance(value, datetime) else value for name, value in values}


def account(session: Session, office: Office, reporter: Reporter) -> Json:
    """What is kept of the reporter besides what they handed in."""
    submissions = select(Submission).where(Submission.reporter_id == reporter.id)
    probes = select(Probe).where(Probe.reporter_id == reporter.id)
    return {
        "id": reporter.id,
        "address": reporter.address,
        "names": reporter.names,
        "aliases": reporter.aliases,
        "mail_hosts": {"named": reporter.trust, "learned": reporter.learned, "by_dns": reporter.mail_hosts},
        "registered_at": show.stamp(reporter.created_at),
        "verified_at": show.stamp(reporter.verified_at),
        "policy": {"version": reporter.policy, "accepted_at": show.stamp(reporter.policy_at)},
        "choices": [
            {"purpose": row.purpose, "chosen": row.chosen, "at": show.stamp(row.at), "via": row.via}
            for row in choices.kept(session, reporter)
        ],
        "readings": accountability.readings(session, reporter),
        "disclosures": accountability.disclosures(session, office, reporter),
        "submissions": [
            {"id": row.id, "received_at": show.stamp(row.received_at), "via": row.via,
             "filename": row.filename, "digest": row.digest, "size": row.size, "outcome": row.outcome}
            for row in session.exec(submissions.order_by(col(Submission.received_at)))
        ],
        "probes": [
            {"to": row.to, "asked_at": show.stamp(row.asked_at), "returned_at": show.stamp(row.returned_at),
             "grade": row.grade}
            for row in session.exec(probes)
        ],
        "codes": [
            _row(row, "purpose", "value", "asked_at", "used_at")
            for row in session.exec(select(StepUp).where(StepUp.reporter_id == reporter.id))
        ],
        "standing_consents": [
            _row(row, "given_at", "via", "policy", "statement", "daily", "hosts", "revoked_at", "revoked_via")
            for row in session.exec(select(StandingConsent).where(StandingConsent.reporter_id == reporter.id))
        ],
        "answered_requests": [
            {"at": show.stamp(row.at), "answer": json.loads(office.vault.unseal(reporter.key, row.answer))}
            for row in session.exec(select(AnsweredRequest).where(AnsweredRequest.reporter_id == reporter.id))
            if row.answer
        ],
        "submission_address": submission_address.document(session, office, reporter),
    }  # fmt: skip


def _of_complaint(
    session: Session, office: Office, reporter: Reporter, complaint: Complaint
) -> Iterator[Member]:
    """One complaint's files; what was deleted after its time is not there."""
    document = show.complaint_document(session, office, complaint)
    document |= {"campaign": complaint.campaign, "hide": complaint.hide}
    redacted = select(Report.id, Report.changes).where(Report.complaint_id == complaint.id)
    document["changes"] = dict(session.exec(redacted).all())
    yield _json(f"complaints/{complaint.id}.json", document)
    mails = {f"complaints/{complaint.id}.eml": office.spam_of(session, complaint)}
    for report in session.exec(select(Report).where(Report.complaint_id == complaint.id)):
        mails[f"complaints/{report.id}.eml"] = office.report_bytes(reporter, report)
        for reply in session.exec(select(Reply).where(Reply.report_id == report.id)):
            raw = office.vault.unseal(reporter.key, reply.raw) if reply.raw else b""
            mails[f"replies/{report.id}-{reply.id}.eml"] = raw
    session.expunge(complaint)
    yield from ((name, raw) for name, raw in mails.items() if raw)


def _json(name: str, document: Any) -> Member:
    return name, json.dumps(document, indent=1, ensure_ascii=False, default=str).encode()
