"""The repairs of a spam that came as text: kept with its complaint, and taken back one by one.

What was handed in stays as it is; the spam of the complaint is made from it anew, with other repairs.
"""

from collections.abc import Sequence

from sqlmodel import Session, select

from complaints import tokens
from complaints.message import parse
from complaints.models import Complaint, Json, Reporter, Submission
from complaints.office import Office
from complaints.pasted import Repair
from complaints.sameness import delivery_mark
from complaints.unwrap import mended_again


class RepairError(Exception):
    """The spam cannot be read with other repairs; nothing changed."""


def as_documents(repairs: Sequence[Repair]) -> list[Json]:
    """Repairs as a complaint keeps and shows them: none taken back."""
    return [
        {
            "kind": one.kind,
            "words": one.words,
            "lines": list(one.lines),
            "where": one.where,
            "revoked": False,
        }
        for one in repairs
    ]


def make_anew(session: Session, office: Office, complaint: Complaint, kind: str, *, revoked: bool) -> None:
    """Take one kind of repair back, or do it again; the spam's bytes and digest are others then.

    Raises RepairError.
    """
    kept = {one["kind"]: one for one in complaint.repairs}
    if kind not in kept:
        raise RepairError("There is no such repair.")
    submission = session.get_one(Submission, complaint.submission_id)
    reporter = session.get_one(Reporter, complaint.reporter_id)
    if not submission.raw:
        raise RepairError("What you handed in was deleted when its time here was over.")
    without = {name for name, one in kept.items() if (revoked if name == kind else one["revoked"])}
    raw = office.vault.unseal(reporter.key, submission.raw)
    item = mended_again(raw, forwarded=submission.forwarded, without=without)
    if item is None or item.spam is None:
        raise RepairError("Without this repair no header can be found, so it stays.")
    digest = tokens.digest(item.spam)
    same = select(Complaint.id).where(Complaint.reporter_id == reporter.id, Complaint.digest == digest)
    if other := session.exec(same.where(Complaint.id != complaint.id)).first():
        raise RepairError(f"The message is then the one of your complaint {other}.")
    complaint.raw, complaint.digest = office.vault.seal(reporter.key, item.spam), digest
    complaint.delivery = delivery_mark(parse(item.spam))
    complaint.way_in_grade, complaint.certain_hops = item.grade, item.certain
    done = {one["kind"]: one for one in as_documents(item.repairs)}
    taken_back = {name: kept[name] | {"revoked": True} for name in kept if name in without}
    complaint.repairs = list((taken_back | done).values())
    session.add(complaint)
