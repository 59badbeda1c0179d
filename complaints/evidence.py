"""Takes a received complaint, leaves it analysed: the trace, the links and the authentication of its spam.

The trust boundary is the reporter's: the hosts they named, those learned from them (`learned.py`), and the
mail hosts of their addresses' domains (`mail_hosts.py`). The keys of the spam's signatures are asked for at
the same time; what these cover decides whether the sender's own wish for complaints counts (`declared.py`).
A complaint whose spam does not show where it came from is refused with the reason; nobody is guessed at.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from sqlmodel import Session

from abuse_lookup import Resolver
from complaints import mail_hosts, outcomes
from complaints.attachments import look_into
from complaints.campaign import campaign_of
from complaints.db import look_at, move
from complaints.message import parse
from complaints.models import Complaint, ComplaintState, Reporter, Submission
from complaints.office import Office
from complaints.pasted import is_weighty
from complaints.signatures import Keys, key_names
from complaints.spam import Evidence, read
from complaints.trace import Trust

MENDED = "the header was put together again from a text"
TRIES = 5  # how often a temporary DNS failure puts the reading off before we go on without the answer


async def step(office: Office, resolver: Resolver, complaint_id: str) -> None:
    """The worker's step: read the spam of a received complaint."""
    found = await asyncio.to_thread(_load, office, complaint_id)
    if found is None:
        return
    complaint, reporter, spam = found
    # Keys are asked for once: a complaint does not wait for the name servers of whoever signed the spam
    (trusted, failed), keys = await asyncio.gather(
        mail_hosts.trusted(office, resolver, reporter), keys_of(resolver, spam)
    )
    if failed and complaint.lookups < TRIES:
        await asyncio.to_thread(_put_off, office, complaint_id)
        return
    trust = Trust.of(trusted)
    evidence = await asyncio.to_thread(
        read,
        spam,
        trust,
        complaint.way_in_grade,
        keys=keys,
        now=office.clock(),
        own=office.own_domains(reporter),
        look_into=look_into,
        certain=complaint.certain_hops,
        doubts=[MENDED] if is_weighty(complaint.repairs) else (),
    )
    await asyncio.to_thread(_record, office, complaint, evidence, failed)


async def keys_of(resolver: Resolver, spam: bytes) -> Keys:
    """What the DNS says where the keys of a spam's signatures should stand."""
    return await resolver.all_txt(await asyncio.to_thread(lambda: key_names(parse(spam))))


async def ask_keys(name_servers: Sequence[tuple[str, int]], spam: bytes) -> Keys:
    """The same without a running service. Raises ConfigError where there is no name server to ask."""
    return await keys_of(Resolver(name_servers), spam)


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
        "campaign": campaign_of(document, evidence.subject or ""),
        "grade": document["grade"],
        "source_ip": source["ip"] if source else None,
        "due_at": office.clock(),
        "lookups": 0,
    }
    with office.db.transaction() as session:
        complaint = session.get_one(Complaint, read_from.id)
        if lost := _lost(session, complaint):
            document["lost"] = lost
        if source is None:
            reason = outcomes.of_evidence(document).says
            move(session, complaint, ComplaintState.REFUSED, reason=reason, **facts)
            look_at(session, "notice", complaint.submission_id)
            return
        move(session, complaint, ComplaintState.ANALYSED, reason=None, **facts)
        look_at(session, "contacts", complaint.id)


def _lost(session: Session, complaint: Complaint) -> str | None:
    """What did not survive the way in, as it was said when the submission was unwrapped."""
    outcome = session.get_one(Submission, complaint.submission_id).outcome
    return next((line.get("lost") for line in outcome if line["complaint"] == complaint.id), None)
