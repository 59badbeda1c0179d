"""Takes an analysed complaint, leaves on it a snapshot of who answers for what is in its evidence.

The only stage that looks desks up: of the source, of the hosts it leads to, of who signed it, of the mail
addresses it wants answers at. Each contact is kept with its reason, server and time; what failed and what was
rejected is kept beside it, never hidden.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import update
from sqlmodel import Session, col, select

from abuse_lookup import AbuseLookup, Contact, Lookup, Reason, Rejected, Target
from abuse_lookup.errors import UnusableTarget
from complaints.db import look_at
from complaints.declared import contacts_in
from complaints.models import Complaint, ComplaintState, Json, Reporter
from complaints.office import Office

LINK_HOSTS = 8
"""Link hosts looked up per complaint; the rest is counted. Most spams lead to one or two; each further one
costs registries up to a dozen questions, and the reporter one more desk to judge."""
BYSTANDERS = 2
"""Of these, most likely bystanders: a bank may want to know who pretends to be it, a namespace never does."""
SIGNERS = 2
TRIES = 4  # how often temporary failures put the draft off when no desk of the source is known yet


@dataclass(frozen=True)
class Question:
    """What is looked up, its role (`source`, `link`, `signer`, `drop-box`), and `facts` about that.

    `sender-declared` is a role, too: there the mailbox is known, and the target is who vouches for it.
    """

    target: str
    role: str
    facts: Json = field(default_factory=dict)


Told = list[tuple[Question, Lookup]]


async def step(office: Office, lookup: AbuseLookup, *complaint_ids: str) -> None:
    """The worker's step: look up the desks of analysed complaints. What several ask for is asked once."""
    found = await asyncio.to_thread(_load, office, complaint_ids)
    spams = [
        (complaint.source_ip or "", complaint.evidence or {}, office.own_domains(reporter))
        for complaint, reporter in found
    ]
    told = await answers_to(lookup, spams)
    await asyncio.to_thread(_keep, office, [(one, *said) for (one, _), said in zip(found, told, strict=True)])


async def answers_to(
    lookup: AbuseLookup, spams: Sequence[tuple[str, Json, set[str]]]
) -> list[tuple[Told, int]]:
    """What is told of each spam (source, evidence, own domains), and how many links were not asked."""
    asked = [questions(*spam) for spam in spams]
    targets = list(dict.fromkeys(question.target for some, _ in asked for question in some))
    answers = dict(zip(targets, await asyncio.gather(*map(lookup.find_contacts, targets)), strict=True))
    done = []
    for (_, evidence, _), (some, not_asked) in zip(spams, asked, strict=True):
        told = [(question, answers[question.target]) for question in some]
        told += await declared(lookup, evidence)
        told.sort(key=lambda pair: bool(pair[0].facts.get("bystander")))  # bystanders stay last
        done.append((told, not_asked))
    return done


def questions(source_ip: str, evidence: Json, own: set[str]) -> tuple[list[Question], int]:
    """What is to be looked up, the source first, and how many suspect link hosts are too many for it."""
    hosts = [group for group in evidence.get("hosts", []) if _askable(group["host"])]
    suspects = [group for group in hosts if not group["bystander"]]
    # Nobody is led to a namespace or a font, and of their own domain the reporter knows whom to ask.
    bystanders = [
        group
        for group in hosts
        if group["bystander"] and group["led_to"] and not _is_own(group["domain"], own)
    ]
    asked = [Question(source_ip, "source"), *_signers(evidence, own)]
    asked += [_link(group) for group in suspects[:LINK_HOSTS]]
    asked += [
        Question(box["address"], "drop-box", {"found_in": box["found_in"]})
        for box in evidence.get("drop_boxes", [])
        if _askable(box["address"]) and not _is_own(box["domain"], own)
    ]
    asked += [_link(group) for group in bystanders[:BYSTANDERS]]
    return asked, max(0, len(suspects) - LINK_HOSTS)


async def declared(lookup: AbuseLookup, evidence: Json) -> list[tuple[Question, Lookup]]:
    """The mailboxes that the sender declares for complaints (RFC 9477), checked as any other."""
    found = []
    for contact in contacts_in(evidence):
        question = Question(
            contact.signer, "sender-declared", {"rule": contact.rule, "report": contact.report}
        )
        found.append((question, await lookup.check_declared(contact)))
    if rejected := (evidence.get("sender_declared") or {}).get("rejected"):
        items = tuple(Rejected(item["address"], item["why"]) for item in rejected)
        found.append(
            (Question("CFBL-Address", "sender-declared"), Lookup("CFBL-Address", "domain", rejected=items))
        )
    return found


def _link(group: Json) -> Question:
    facts = {name: group[name] for name in ("domain", "url", "found_in", "led_to", "bystander")}
    return Question(group["host"], "link", facts)


def _signers(evidence: Json, own: set[str]) -> Iterator[Question]:
    """The domains whose signature we found to be good, and that answer for what they sign (RFC 6376 §1)."""
    seen: set[str] = set()
    for signature in evidence.get("signatures", []):
        domain = signature["domain"]
        if not signature["candidate"] or not domain or domain in seen or len(seen) == SIGNERS:
            continue
        if _askable(domain) and not _is_own(domain, own):
            seen.add(domain)
            yield Question(domain, "signer", {"selector": signature["selector"]})


def _is_own(domain: str, own: set[str]) -> bool:
    return any(domain == one or domain.endswith("." + one) for one in own)


def _askable(target: str) -> bool:
    """Whether what a spam names can be looked up at all; it may name anything."""
    try:
        Target.parse(target)
    except UnusableTarget:
        return False
    return True


def snapshot(answers: Sequence[tuple[Question, Lookup]], not_asked: int) -> Json:
    """What the complaint keeps: each question's document with its part, and how many links were not asked."""
    lookups = [
        _fitting(question, answer).document() | {"role": question.role} | question.facts
        for question, answer in answers
    ]
    return {"lookups": lookups, "links_not_looked_up": not_asked}


def _fitting(question: Question, answer: Lookup) -> Lookup:
    """Keep the contacts that answer for the part the target played.

    A signer vouches with its name, so its web hosts and its registrar have no part in it; whoever keeps a
    drop-box answers for its user.
    """
    contacts = answer.contacts
    if question.role == "signer":
        contacts = tuple(desk for one in contacts if (desk := _of_domain(one)))
    elif question.role == "drop-box":
        contacts = tuple(replace(one, scope="sender") for one in contacts if one.scope != "registrar")
    else:
        return answer
    return replace(answer, contacts=contacts)


def _of_domain(contact: Contact) -> Contact | None:
    """The contact as the desk of the domain itself, with the reason for that; None where it is not."""
    ways: tuple[Contact | Reason, ...] = (contact, *contact.also)
    reason = next((way for way in ways if way.scope == "domain"), None)
    if reason is None:
        return None
    return Contact(
        "domain",
        reason.source,
        reason.server,
        reason.confidence,
        reason.why,
        reason.as_of,
        contact.address,
        contact.form,
    )


def _load(office: Office, complaint_ids: Sequence[str]) -> list[tuple[Complaint, Reporter]]:
    wanted = (col(Complaint.id).in_(complaint_ids), Complaint.state == ComplaintState.ANALYSED)
    with office.db.reading() as session:
        return [
            (one, session.get_one(Reporter, one.reporter_id))
            for one in session.exec(select(Complaint).where(*wanted))
            if one.evidence is not None and one.source_ip is not None
        ]


def _keep(office: Office, done: Sequence[tuple[Complaint, Told, int]]) -> None:
    """The answers for all of them, in one transaction."""
    if not done:
        return
    with office.db.transaction() as session:
        for complaint, told, not_asked in done:
            record(session, office, complaint, told, not_asked)


def record(session: Session, office: Office, seen: Complaint, answers: Told, not_asked: int) -> None:
    """Keep what was answered, the source's first, where the complaint is still as it was `seen`."""
    now = outcome(office, seen.lookups, answers, not_asked)
    as_seen = (
        col(Complaint.id) == seen.id,
        col(Complaint.state) == ComplaintState.ANALYSED,
        col(Complaint.version) == seen.version,
    )
    kept = session.execute(
        update(Complaint).where(*as_seen).values(**now).execution_options(synchronize_session=False)
    )
    if kept.rowcount:  # type: ignore[attr-defined]
        look_at(session, "draft" if "contacts" in now else "contacts", seen.id, now.get("due_at"))


def outcome(office: Office, lookups: int, answers: Told, not_asked: int) -> Json:
    """The columns of a complaint that come of the answers; no `contacts` while those are too unsure.

    `lookups`: how often it was asked before.
    """
    source = answers[0][1]
    unsure = not source.contacts and any(not failure.permanent for failure in source.failures)
    if unsure and lookups + 1 < TRIES:
        wait = timedelta(seconds=15 * 2 ** (lookups + 1))
        return {"lookups": lookups + 1, "due_at": office.clock() + wait}
    return {"lookups": lookups + 1, "contacts": snapshot(answers, not_asked)}
