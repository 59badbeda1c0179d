"""Takes a received complaint, leaves it analysed: the trace, the links and the authentication of its spam.

The trust boundary is the reporter's: the hosts they named, those learned from them (`learned.py`), and the
mail hosts of their addresses' domains (`mail_hosts.py`). The keys of the spam's signatures are asked for at
the same time; what these cover decides whether the sender's own wish for complaints counts (`declared.py`).
A complaint whose spam does not show where it came from is refused with the reason; nobody is guessed at.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from abuse_lookup import Resolver
from complaints import mail_hosts, outcomes, tokens
from complaints.attachments import look_into
from complaints.campaign import campaign_of
from complaints.db import look_at, move
from complaints.message import Message, parse
from complaints.models import Complaint, ComplaintState, Json, Reporter, Submission
from complaints.office import Office
from complaints.pasted import is_weighty
from complaints.signatures import Keys, key_names
from complaints.spam import Evidence, read
from complaints.trace import Trust

MENDED = "the header was put together again from a text"
LARGE = 262_144
"""Octets from which a spam is not held while the DNS is asked: how long that takes is not ours to say, and
forty may wait at a time. It is taken out of the database once more."""
TRIES = 5  # how often a temporary DNS failure puts the reading off before we go on without the answer


@dataclass(frozen=True)
class Waiting:
    """A complaint to be read, and with what; `told` is the outcome of its submission.

    `message`: its spam, None for a large one; `names`: where the keys of its signatures should stand.
    """

    complaint: Complaint
    reporter: Reporter
    message: Message | None
    told: Sequence[Json]
    names: Sequence[str]


Found = tuple[Waiting, Evidence, list[str]]
"""What was found in the spam of a complaint, and the domains whose mail hosts were not to be had for it."""


async def step(office: Office, resolver: Resolver, *complaint_ids: str) -> None:
    """The worker's step: read the spams of received complaints; what is found of all is durable at once."""
    waiting = await asyncio.to_thread(received, office, complaint_ids)
    done, later = await read_all(office, resolver, waiting)
    await asyncio.to_thread(_keep, office, done, later)


async def read_all(
    office: Office, resolver: Resolver, found: Sequence[Waiting]
) -> tuple[list[Found], set[str]]:
    """What is in these spams; and the ids of those that are to be read later."""
    reporters = {one.reporter.id: one.reporter for one in found}
    # Keys are asked for once: a complaint does not wait for the name servers of whoever signed the spam
    hosts, keys = await asyncio.gather(
        asyncio.gather(*(mail_hosts.trusted(office, resolver, one) for one in reporters.values())),
        asyncio.gather(*(resolver.all_txt(one.names) for one in found)),
    )
    trusted = dict(zip(reporters, hosts, strict=True))
    read_ones = [
        (one, known)
        for one, known in zip(found, keys, strict=True)
        if not trusted[one.reporter.id][1] or one.complaint.lookups >= TRIES
    ]
    trust = {reporter_id: Trust.of(hosts) for reporter_id, (hosts, _) in trusted.items()}

    def each() -> list[Found]:
        return [
            (one, _read(office, one, trust[one.reporter.id], known), trusted[one.reporter.id][1])
            for one, known in read_ones
        ]

    done = await asyncio.to_thread(each)
    return done, {one.complaint.id for one in found} - {one.complaint.id for one, _ in read_ones}


def _read(office: Office, one: Waiting, trust: Trust, keys: Keys) -> Evidence:
    return read(
        message_of(office, one),
        trust,
        one.complaint.way_in_grade,
        keys=keys,
        now=office.clock(),
        own=office.own_domains(one.reporter),
        look_into=look_into,
        certain=one.complaint.certain_hops,
        doubts=[MENDED] if is_weighty(one.complaint.repairs) else (),
    )


def message_of(office: Office, one: Waiting) -> Message:
    """The spam that is to be read."""
    if one.message is not None:
        return one.message
    with office.db.reading() as session:
        return parse(office.spam_of(session, session.get_one(Complaint, one.complaint.id)))


async def ask_keys(name_servers: Sequence[tuple[str, int]], spam: bytes) -> Keys:
    """What the DNS says where the keys of a spam's signatures should stand, without a running service.

    Raises ConfigError where there is no name server to ask.
    """
    return await Resolver(name_servers).all_txt(key_names(parse(spam)))


def received(office: Office, complaint_ids: Sequence[str], *conditions: Any) -> list[Waiting]:
    """Those of the complaints that are to be read, and for which the conditions hold."""
    wanted = (col(Complaint.id).in_(complaint_ids), Complaint.state == ComplaintState.RECEIVED)
    with office.db.reading() as session:
        found = session.exec(select(Complaint).where(*wanted, *conditions)).all()
        of_theirs = col(Submission.id).in_({one.submission_id for one in found})
        whole = select(Submission.id, Submission.raw, Submission.outcome).where(of_theirs)
        submissions = {name: (raw, outcome) for name, raw, outcome in session.exec(whole)}
        reporters = {name: session.get_one(Reporter, name) for name in {one.reporter_id for one in found}}
        return [
            _waiting(one, whose, office.spam_in(raw, whose, one), told)
            for one in found
            for whose, (raw, told) in [(reporters[one.reporter_id], submissions[one.submission_id])]
        ]


def _waiting(one: Complaint, whose: Reporter, spam: bytes, told: Sequence[Json]) -> Waiting:
    message = parse(spam)
    return Waiting(one, whose, message if len(spam) < LARGE else None, told, key_names(message))


def _keep(office: Office, done: Sequence[Found], again: set[str]) -> None:
    """What was read, and which complaints are to be read later, in one transaction."""
    if not done and not again:
        return
    with office.db.transaction() as session:
        for complaint_id in again:
            _put_off(session, office, complaint_id)
        for one, evidence, failed in done:
            record(session, office, one.complaint, evidence, failed, one.told)


def _put_off(session: Session, office: Office, complaint_id: str) -> None:
    complaint = session.get_one(Complaint, complaint_id)
    complaint.lookups += 1
    complaint.due_at = office.clock() + timedelta(seconds=15 * 2**complaint.lookups)
    session.add(complaint)
    look_at(session, "evidence", complaint_id, complaint.due_at)


def record(
    session: Session,
    office: Office,
    seen: Complaint,
    evidence: Evidence,
    failed: list[str],
    told: Sequence[Json] = (),
) -> None:
    """Keep what was read of a complaint. Raises OvertakenError when it is no longer as it was `seen`."""
    to, values = outcome(office, seen.id, evidence, failed, told)
    complaint = session.merge(seen, load=False)
    move(session, complaint, to, **values)
    if to == ComplaintState.REFUSED:
        look_at(session, "notice", complaint.submission_id)
    else:
        look_at(session, "contacts", complaint.id)


def outcome(
    office: Office, complaint_id: str, evidence: Evidence, failed: list[str], told: Sequence[Json]
) -> tuple[ComplaintState, Json]:
    """The state that a complaint comes to by what was read, and its columns.

    `failed`: domains whose mail hosts are not known for now. `told`: the outcome of its submission.
    """
    document = evidence.document()
    for hop in document["hops"]:  # a submission address, where a spam names one
        hop["for"] = hop["for"] and tokens.without_secrets(hop["for"])
    document["notes"] += [f"The mail hosts of {domain} could not be looked up." for domain in failed]
    # What did not survive the way in, as it was said then
    if lost := next((line.get("lost") for line in told if line["complaint"] == complaint_id), None):
        document["lost"] = lost
    source = document["source"]
    values = {
        "evidence": document,
        "subject": evidence.subject or "",
        "campaign": campaign_of(document, evidence.subject or ""),
        "grade": document["grade"],
        "source_ip": source["ip"] if source else None,
        "due_at": office.clock(),
        "lookups": 0,
        "reason": None if source else outcomes.of_evidence(document).says,
    }
    return ComplaintState.ANALYSED if source else ComplaintState.REFUSED, values
