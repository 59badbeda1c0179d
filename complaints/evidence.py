"""Takes a received complaint, leaves it analysed: the trace, the links and the authentication of its spam.

The trust boundary is the reporter's: the hosts they named, those learned from them (`learned.py`), and the
mail hosts of their addresses' domains (`mail_hosts.py`).
A complaint whose spam does not show where it came from is refused with the reason; nobody is guessed at.
"""

import asyncio
from datetime import timedelta

from abuse_lookup import Resolver
from complaints import mail_hosts
from complaints.db import look_at, move
from complaints.models import Complaint, ComplaintState, Reporter
from complaints.office import Office
from complaints.spam import Evidence, read
from complaints.trace import Trust

TRIES = 5  # how often a temporary DNS failure puts the reading off before we go on without the answer


async def step(office: Office, resolver: Resolver, complaint_id: str) -> None:
    """The worker's step: read the spam of a received complaint."""
    found = await asyncio.to_thread(_load, office, complaint_id)
    if found is None:
        return
    complaint, reporter, spam = found
    trusted, failed = await mail_hosts.trusted(office, resolver, reporter)
    if failed and complaint.lookups < TRIES:
        await asyncio.to_thread(_put_off, office, complaint_id)
        return
    evidence = await asyncio.to_thread(read, spam, Trust.of(trusted), complaint.way_in_grade)
    await asyncio.to_thread(_record, office, complaint, evidence, failed)


def _load(office: Office, complaint_id: str) -> tuple[Complaint, Reporter, bytes] | None:
    with office.db.reading() as session:
        complaint = session.get(Complaint, complaint_id)
        if complaint is None or complaint.state != ComplaintState.RECEIVED:
            return None
        return complaint, session.get_one(Reporter, complaint.reporter_id), office.spam_of(session, complaint)


def _put_off(office: Office, complaint_id: str) -> None:
    with office.db.transaction() as session:
        complaint = session.get_one(Complaint, complaint_id)
        complaint.lookups += 1
        complaint.due_at = office.clock() + timedelta(seconds=15 * 2**complaint.lookups)
        session.add(complaint)
        look_at(session, "evidence", complaint_id, complaint.due_at)


def _record(office: Office, read_from: Complaint, evidence: Evidence, failed: list[str]) -> None:
    document = evidence.document()
    document["notes"] += [f"The mail hosts of {domain} could not be looked up." for domain in failed]
    source = document["source"]
    facts = {
        "evidence": document,
        "subject": evidence.subject or "",
        "grade": document["grade"],
        "source_ip": source["ip"] if source else None,
        "due_at": office.clock(),
        "lookups": 0,
    }
    with office.db.transaction() as session:
        complaint = session.get_one(Complaint, read_from.id)
        if source is None:
            reason = (
                " ".join(document["notes"])
                or "No host outside your own mail system can be named as its source."
            )
            move(session, complaint, ComplaintState.REFUSED, reason=reason, **facts)
            look_at(session, "notice", complaint.submission_id)
            return
        move(session, complaint, ComplaintState.ANALYSED, reason=None, **facts)
        look_at(session, "contacts", complaint.id)
