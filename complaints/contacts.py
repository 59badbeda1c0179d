"""Takes an analysed complaint, leaves on it a snapshot of who answers for its source and its links.

The only stage that looks desks up. Each contact is kept with its reason, server and time; what failed and
what was rejected is kept beside it, never hidden.
"""

import asyncio
from datetime import timedelta

from abuse_lookup import AbuseLookup, Lookup, Target
from abuse_lookup.errors import UnusableTarget
from complaints.db import look_at
from complaints.models import Complaint, ComplaintState, Json
from complaints.office import Office

LINK_HOSTS = 5  # link hosts looked up per complaint; the rest is counted
TRIES = 4  # how often temporary failures put the draft off when no desk of the source is known yet


async def step(office: Office, lookup: AbuseLookup, complaint_id: str) -> None:
    """The worker's step: look up the desks of an analysed complaint."""
    complaint = await asyncio.to_thread(_load, office, complaint_id)
    if complaint is None or complaint.evidence is None or complaint.source_ip is None:
        return
    hosts = list(dict.fromkeys(link["host"] for link in complaint.evidence["links"]))
    hosts = [host for host in hosts if _askable(host)]
    source, *links = await asyncio.gather(
        lookup.find_contacts(complaint.source_ip),
        *(lookup.find_contacts(host) for host in hosts[:LINK_HOSTS]),
    )
    await asyncio.to_thread(_record, office, complaint, source, links, max(0, len(hosts) - LINK_HOSTS))


def _askable(host: str) -> bool:
    """Whether what a link names can be looked up at all; a spam may name anything as its host."""
    try:
        Target.parse(host)
    except UnusableTarget:
        return False
    return True


def snapshot(source: Lookup, links: list[Lookup], not_asked: int) -> Json:
    """What the complaint keeps: each question's document with its role, and how many links were not asked."""
    lookups = [
        source.document() | {"role": "source"},
        *(link.document() | {"role": "link"} for link in links),
    ]
    return {"lookups": lookups, "links_not_looked_up": not_asked}


def _load(office: Office, complaint_id: str) -> Complaint | None:
    with office.db.reading() as session:
        complaint = session.get(Complaint, complaint_id)
        return complaint if complaint and complaint.state == ComplaintState.ANALYSED else None


def _record(office: Office, seen: Complaint, source: Lookup, links: list[Lookup], not_asked: int) -> None:
    unsure = not source.contacts and any(not failure.permanent for failure in source.failures)
    with office.db.transaction() as session:
        complaint = session.get_one(Complaint, seen.id)
        if complaint.state != ComplaintState.ANALYSED or complaint.version != seen.version:
            return
        complaint.lookups += 1
        if unsure and complaint.lookups < TRIES:
            complaint.due_at = office.clock() + timedelta(seconds=15 * 2**complaint.lookups)
            look_at(session, "contacts", complaint.id, complaint.due_at)
        else:
            complaint.contacts = snapshot(source, links, not_asked)
            look_at(session, "draft", complaint.id)
        session.add(complaint)
