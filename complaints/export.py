"""Everything that is kept of a reporter, as one ZIP: documents as JSON, mail as .eml, consents as a receipt.

Takes a reporter's row and a place to write to; leaves the archive there, a complaint at a time, so that it
needs no more memory than one of them.
"""

import json
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

from sqlmodel import Session, col, select

from complaints import ledger, retention, show
from complaints.models import Complaint, Json, Letter, Probe, Reply, Report, Reporter, Submission
from complaints.office import Office

README = """What is in this archive

account.json          your address, names, aliases, mail hosts, and what you accepted when
complaints/ID.json    everything about one complaint: evidence, desks, reports, what became of them
complaints/ID.eml     the spam, byte for byte as it came
complaints/REPORT.eml each report, exactly as the desk got it or would have got it
replies/              what desks answered, as it came
letters/              our letters to you
receipt.json          your consents and withdrawals, signed; check it with: plaint verify-receipt receipt.json
data-map.json         what is kept for how long, and why
"""


def write(session: Session, office: Office, reporter: Reporter, place: IO[bytes]) -> None:
    """Write the archive to a file opened for writing bytes."""
    with ZipFile(place, "w", ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", README)
        _put(archive, "account.json", account(session, reporter))
        _put(archive, "data-map.json", retention.data_map() | {"kept": retention.rules(office.settings)})
        _put(archive, "receipt.json", ledger.receipt(session, office, reporter))
        ids = select(Complaint.id).where(Complaint.reporter_id == reporter.id).order_by(col(Complaint.id))
        for complaint_id in session.exec(ids).all():
            _put_complaint(archive, session, office, reporter, complaint_id)
        for letter in session.exec(select(Letter).where(Letter.reporter_id == reporter.id)):
            _put_mail(
                archive,
                f"letters/{letter.id}-{letter.kind}.eml",
                office.vault.unseal(reporter.key, letter.raw),
            )


def account(session: Session, reporter: Reporter) -> Json:
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
        "submissions": [
            {
                "id": row.id,
                "received_at": show.stamp(row.received_at),
                "via": row.via,
                "filename": row.filename,
                "digest": row.digest,
                "size": row.size,
                "outcome": row.outcome,
            }
            for row in session.exec(submissions.order_by(col(Submission.received_at)))
        ],
        "probes": [{"to": row.to, "asked_at": show.stamp(row.asked_at)} for row in session.exec(probes)],
    }


def _put_complaint(
    archive: ZipFile, session: Session, office: Office, reporter: Reporter, complaint_id: str
) -> None:
    complaint = session.get_one(Complaint, complaint_id)
    folder = f"complaints/{complaint_id}"
    _put(archive, f"{folder}.json", show.complaint_document(session, office, complaint))
    _put_mail(archive, f"{folder}.eml", office.spam_of(session, complaint))
    for report in session.exec(select(Report).where(Report.complaint_id == complaint_id)):
        _put_mail(archive, f"complaints/{report.id}.eml", office.report_bytes(reporter, report))
        for reply in session.exec(select(Reply).where(Reply.report_id == report.id)):
            raw = office.vault.unseal(reporter.key, reply.raw) if reply.raw else b""
            _put_mail(archive, f"replies/{report.id}-{reply.id}.eml", raw)
    session.expunge(complaint)


def _put(archive: ZipFile, name: str, document: Any) -> None:
    archive.writestr(name, json.dumps(document, indent=1, ensure_ascii=False, default=str))


def _put_mail(archive: ZipFile, name: str, raw: bytes) -> None:
    """What was deleted after its time is not there."""
    if raw:
        archive.writestr(name, raw)
