"""Takes an analysed complaint with its contacts, leaves one draft per desk, awaiting consent.

Which desks are proposed and which are ticked is decided here: the source's best-founded desks are ticked,
desks of link hosts, signers and drop-boxes wait for the reporter's own judgement unless there is proof, and
nobody is accused by a guess alone while a better answer exists.

The bytes of the reports are written when somebody looks (`written`), not before: a draft that nobody looked
at has neither bytes nor digest, and nobody can consent to it (docs/decisions/0038).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network
from itertools import count
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, delete, select

from complaints import learned, outcomes, report
from complaints.db import insert_all, look_at, move
from complaints.hosts import canonical_ip
from complaints.models import Complaint, ComplaintState, Json, Report, Reporter, ReportState, Suppression
from complaints.office import Office
from complaints.redact import CannotRedact

# What a report says of a target besides its name
PART_FACTS = ("url", "found_in", "selector", "rule", "report")
SENDERS_OWN = (
    "The sender itself named this mailbox for complaints. A report there confirms to the sender that your"
    " mailbox exists and is read, and which message it got: tick it if you trust the sender to stop."
)
DONE = "Every desk that answers for it has its report already."
AGAIN = (ReportState.DRAFT, ReportState.CANCELLED, ReportState.SUPPRESSED)
"""States of reports that may be written anew."""
STOPPED = "This desk asked for no more reports."
NOTHING_YET: Json = {
    "state": ReportState.DRAFT,
    "raw": b"",
    "digest": "",
    "changes": [],
    "attempts": 0,
    "first_at": None,
    "next_at": None,
    "sent_at": None,
    "detail": None,
}
"""Of a report that is not written."""
STRENGTH = {"high": 3, "medium": 2, "low": 1}
_NOT_WRITTEN: tuple[Any, ...] = (col(Report.state).in_(report.OPEN), Report.digest == "")


def step(office: Office, *complaint_ids: str) -> None:
    """The worker's step: propose the reports of analysed, looked-up complaints."""
    wanted = (col(Complaint.id).in_(complaint_ids), Complaint.state == ComplaintState.ANALYSED)
    with office.db.reading() as session:
        found = [
            (one, session.get_one(Reporter, one.reporter_id))
            for one in session.exec(select(Complaint).where(*wanted, col(Complaint.contacts).is_not(None)))
        ]
        ids = [one.id for one, _ in found]
        rows = session.exec(select(Report).where(col(Report.complaint_id).in_(ids))).all()
    proposals = [
        propose(office, one, reporter, [row for row in rows if row.complaint_id == one.id])
        for one, reporter in found
    ]
    if not proposals:
        return
    with office.db.transaction() as session:
        suppress(session, proposals)
        for proposal in proposals:
            _store(session, office, proposal)
        insert_all(session, Report, [row for one in proposals for row in one.fresh])


@dataclass(frozen=True)
class Proposal:
    """What is to be stored of a complaint: its drafts, without bytes; what is said of the others.

    `fresh`: the columns of those that are new; `again`: rows that are used again. `contacts`: with what is
    said of desks that get none. `done`: there are desks, and each has its report. `stale`: it had drafts
    before.
    """

    complaint: Complaint
    fresh: list[Json]
    again: list[Report]
    contacts: Json
    done: bool
    stale: bool


def propose(
    office: Office,
    complaint: Complaint,
    reporter: Reporter,
    rows: Sequence[Report],
    spam: bytes | None = None,
) -> Proposal:
    """What is proposed for a complaint with contacts that has these reports; `spam` where it is at hand."""
    # Rows that were consented to once (and undone) stay: they are the record of a promise
    kept = [row for row in rows if row.state != ReportState.DRAFT]
    contacts = complaint.contacts or {}
    desks, rejected = proposed_desks(contacts, office.own_domains(reporter))
    beside = _beside(complaint, reporter)
    _untick(desks, beside)
    if any(_only_declared(desk) for desk in desks) and _hides_ids(office, reporter, complaint, spam):
        why = "Its sender needs the message's own number, which shows your address or name."
        rejected += [{"address": desk["address"], "why": why} for desk in desks if _only_declared(desk)]
        desks = [desk for desk in desks if not _only_declared(desk)]
    fresh, again = _drafts(office, complaint, desks, kept)
    done = bool(desks) and not fresh and not again
    said = contacts | {"rejected": rejected, "beside": beside}
    return Proposal(complaint, fresh, again, said, done, len(kept) < len(rows))


def written(office: Office, complaint_id: str, *, proposed: bool = False) -> None:
    """Write what was not written yet of a complaint's drafts, for somebody is about to look at them.

    `proposed`: only those that are ticked. Rendering takes its time, so it happens between two short
    transactions, and is kept where nothing changed meanwhile: of two who look at once, one finds what the
    other wrote. A complaint that cannot be told without giving the reporter away has its desks rejected.
    """
    with office.db.reading() as session:
        # Asked first: nearly always there are none, and a complaint with its evidence is large
        drafts = [row for row in _unwritten(session, complaint_id) if row.ticked or not proposed]
        complaint = session.get(Complaint, complaint_id) if drafts else None
        if complaint is None or complaint.state != ComplaintState.AWAITING_CONSENT:
            return
        reporter = session.get_one(Reporter, complaint.reporter_id)
        spam = office.spam_of(session, complaint)
    why = ""
    try:
        report.write(office, reporter, complaint, drafts, spam)
    except CannotRedact as error:
        why = f"Cannot be told without giving you away: {error}"
    with office.db.transaction() as session:
        now = session.get(Complaint, complaint_id, with_for_update=True)
        if now is None or (now.state, now.version) != (complaint.state, complaint.version):
            return
        if why:
            _reject(session, now, why)
        else:
            _keep(session, drafts)


def _unwritten(session: Session, complaint_id: str) -> Sequence[Report]:
    rows = select(Report).where(Report.complaint_id == complaint_id, *_NOT_WRITTEN)
    return session.exec(rows.order_by(col(Report.id))).all()


def _keep(session: Session, drafts: Sequence[Report]) -> None:
    """Freeze what was rendered, where nobody was faster."""
    for row in drafts:
        values = {name: getattr(row, name) for name in report.WRITTEN}
        session.execute(update(Report).where(col(Report.id) == row.id, *_NOT_WRITTEN).values(**values))


def _reject(session: Session, complaint: Complaint, why: str) -> None:
    """Take the desks back that nothing can be told; with none left, refuse the complaint."""
    contacts = dict(complaint.contacts or {"lookups": []})
    lost = _unwritten(session, complaint.id)
    contacts["rejected"] = [*contacts.get("rejected", []), *({"address": row.to, "why": why} for row in lost)]
    mine = col(Report.complaint_id) == complaint.id
    session.execute(delete(Report).where(mine, *_NOT_WRITTEN, col(Report.state) == ReportState.DRAFT))
    left = select(Report.id).where(mine, col(Report.state).in_(report.OPEN), Report.digest != "")
    if session.exec(left).first() is None:
        reason = _no_desk(contacts, contacts["rejected"])
        move(session, complaint, ComplaintState.REFUSED, due_at=None, reason=reason, contacts=contacts)
        look_at(session, "notice", complaint.submission_id)
        return
    complaint.contacts = contacts
    complaint.version += 1
    session.add(complaint)


def _hides_ids(office: Office, reporter: Reporter, complaint: Complaint, spam: bytes | None) -> bool:
    if spam is None:
        with office.db.reading() as session:
            spam = office.spam_of(session, complaint)
    return report.hides_ids(reporter, spam)


def _beside(complaint: Complaint, reporter: Reporter) -> list[str] | None:
    """[source, network, own host] when the source stands in one network with a mail host of the reporter."""
    source = (complaint.contacts or {})["lookups"][0]
    try:
        network = ip_network(source["network"] or "")
    except ValueError:
        return None
    for own in (*learned.trusted(reporter), *map(learned.value, reporter.mail_hosts)):
        if (ip := canonical_ip(own)) and ip_address(ip) in network:
            return [source["target"], str(network), ip]
    return None


def _untick(desks: list[Json], beside: list[str] | None) -> None:
    """What may be the reporter's own provider is ticked by nobody but the reporter."""
    for desk in desks:
        if beside and desk["ticked"] and desk["role"] == "source":
            desk["ticked"], desk["unticked"] = False, outcomes.of_neighbour(*beside).says


def _store(session: Session, office: Office, one: Proposal) -> None:
    """Put the drafts where the reporter finds them; or refuse the complaint with the reason.

    Those that are new are still to be inserted.
    """
    complaint = session.merge(one.complaint, load=False)  # `move` sees whether it is still as it was read
    look_at(session, "standing", complaint.id)
    look_at(session, "notice", complaint.submission_id)
    to, values = outcome(office, one)
    move(session, complaint, to, **values)
    if to == ComplaintState.AWAITING_CONSENT and one.stale:
        mine = (col(Report.complaint_id) == complaint.id, col(Report.state) == ReportState.DRAFT)
        session.execute(delete(Report).where(*mine))
    session.add_all(one.again)


def outcome(office: Office, one: Proposal) -> tuple[ComplaintState, Json]:
    """The state that a complaint comes to by what is proposed for it, and its columns."""
    if one.fresh or one.again:
        expires = office.clock() + timedelta(seconds=office.settings.consent_seconds)
        return ComplaintState.AWAITING_CONSENT, {"due_at": expires, "contacts": one.contacts}
    reason = DONE if one.done else _no_desk(one.contacts, one.contacts["rejected"])
    return ComplaintState.REFUSED, {"reason": reason, "contacts": one.contacts}


def proposed_desks(contacts: Json, own: set[str]) -> tuple[list[Json], list[Json]]:
    """The desks of a contacts snapshot, one per mailbox, and those rejected.

    Each desk has `parts`, `{"role", "target", ...}` for everything it answers for, the first of which found
    it; `ticked`, and else `unticked`, the reason. Bystanders come last.
    """
    best = _best_of_source(contacts)
    signers = {lookup["target"] for lookup in contacts["lookups"] if lookup["role"] == "signer"}
    desks: dict[str, Json] = {}
    rejected: list[Json] = []
    for lookup in contacts["lookups"]:
        rejected += [item | {"target": lookup["target"]} for item in lookup.get("rejected", [])]
        for contact in lookup["contacts"]:
            address = contact.get("address")
            if not address:
                continue
            if address.rpartition("@")[2].lower() in own:
                rejected.append({"address": address, "why": outcomes.OWN_DOMAIN, "target": lookup["target"]})
                continue
            _merge(desks, contact, lookup, _why_not_ticked(contact, lookup, best, signers))
    return list(desks.values()), rejected


def _best_of_source(contacts: Json) -> int:
    source = next(lookup for lookup in contacts["lookups"] if lookup["role"] == "source")
    return max((STRENGTH.get(contact["confidence"], 0) for contact in source["contacts"]), default=0)


def _why_not_ticked(contact: Json, lookup: Json, best: int, signers: set[str]) -> str | None:
    """Why the reporter has to decide on this desk; None when it is proposed (docs/decisions/0008)."""
    sure = contact["confidence"] == "high"
    if lookup["role"] == "sender-declared":
        return SENDERS_OWN
    if contact["source"] == "soa":
        return "Whoever keeps a DNS zone need not run the host: tick it if you know that they do."
    if lookup["role"] == "source":
        found = STRENGTH.get(contact["confidence"], 0) == best
        return None if found else "A better-founded desk for the same host is ticked."
    if lookup["role"] == "signer":
        return None if sure else "Whoever signs a mail may be the spammer, and this desk is not well founded."
    if lookup["role"] == "drop-box":
        return "A mail address in a spam may be anybody's: tick it if the spam wants its answers there."
    return _why_no_link_desk(contact, lookup, signers)


def _why_no_link_desk(contact: Json, lookup: Json, signers: set[str]) -> str | None:
    if lookup.get("bystander"):
        return f"A bystander. {lookup['bystander']}."
    if not lookup.get("led_to", True):
        return "The message only shows or loads something from there; it leads nobody to it."
    # Who advertises the very domain that signed the message is no victim; its host is told, not it.
    sure = contact["confidence"] == "high" and contact["scope"] in {"host", "network"}
    if sure and lookup.get("domain") in signers:
        return None
    return "A link may lead to somebody innocent: tick it if the spam advertises this host."


def _only_declared(desk: Json) -> bool:
    return all(part["role"] == "sender-declared" for part in desk["parts"])


def _merge(desks: dict[str, Json], contact: Json, lookup: Json, why_not: str | None) -> None:
    first = contact | {
        "role": lookup["role"],
        "network": lookup.get("network"),
        "targets": [],
        "parts": [],
        "ticked": False,
        "unticked": why_not,
    }
    known = desks.setdefault(contact["address"].lower(), first)
    if why_not is None:
        known["ticked"], known["unticked"] = True, None
    if lookup["target"] not in known["targets"]:
        known["targets"].append(lookup["target"])
    part = {name: lookup[name] for name in ("role", "target", *PART_FACTS) if name in lookup}
    if part not in known["parts"]:
        known["parts"].append(part)


def _drafts(
    office: Office, complaint: Complaint, desks: list[Json], kept: list[Report]
) -> tuple[list[Json], list[Report]]:
    """One report per desk, without bytes: the columns of new ones, and those that were kept and serve again.

    A desk that has its report, or may have it, gets no second one, and what it got stays as it was.
    """
    rows = {row.to.lower(): row for row in kept}
    free = (n for n in count(1) if _report_id(complaint, n) not in {row.id for row in kept})
    again = []
    for desk in desks:
        draft = rows.get(desk["address"].lower())
        if draft is not None and draft.state in AGAIN:
            draft.ticked, draft.contact = desk["ticked"], desk
            draft.raw, draft.digest, draft.changes = b"", "", []
            again.append(draft)
    new = [desk for desk in desks if desk["address"].lower() not in rows]
    return [_new_report(office, complaint, desk, next(free)) for desk in new], again


def _report_id(complaint: Complaint, number: int) -> str:
    """Name a report: `PL-...-01` is the first of its complaint."""
    return f"{complaint.id}-{number:02}"


def _new_report(office: Office, complaint: Complaint, desk: Json, number: int) -> Json:
    """The columns of a report; making a row of SQLModel's takes half a millisecond."""
    report_id = _report_id(complaint, number)
    return NOTHING_YET | {
        "id": report_id,
        "complaint_id": complaint.id,
        "token_hash": report_id,  # of nothing: `report.write` gives it its secret
        "to": desk["address"],
        "ticked": desk["ticked"],
        "contact": desk,
        "drafted_at": office.clock(),
        "message_id": report.new_message_id(office, report_id),
    }


def suppress(session: Session, proposals: Sequence[Proposal]) -> None:
    """Nothing is proposed to a mailbox that wants no reports."""
    mailboxes = {row["to"].lower() for one in proposals for row in one.fresh}
    stopped = suppressed(session, mailboxes | {row.to.lower() for one in proposals for row in one.again})
    off: Json = {"state": ReportState.SUPPRESSED, "ticked": False, "detail": STOPPED}
    for row in (row for one in proposals for row in one.fresh if row["to"].lower() in stopped):
        row.update(off)
    for draft in (row for one in proposals for row in one.again if row.to.lower() in stopped):
        draft.state, draft.ticked, draft.detail = off["state"], False, STOPPED


def suppressed(session: Session, mailboxes: set[str]) -> set[str]:
    """Those of the mailboxes, in lower case, that want no reports."""
    asked = (col(Suppression.address).in_(mailboxes), col(Suppression.lifted_at).is_(None))
    return set(session.exec(select(Suppression.address).where(*asked)))


def _no_desk(contacts: Json, rejected: list[Json]) -> str:
    """Why nobody can be told, in words a reporter understands."""
    source = contacts["lookups"][0]
    tried = [
        f"{failure['server'] or failure['source']}: {failure['reason']}" for failure in source["failures"]
    ]
    for why in dict.fromkeys(item["why"] for item in rejected):
        addresses = [item["address"] for item in rejected if item["why"] == why]
        tried.append(f"{', '.join(addresses)}: {why}")
    return f"No abuse desk can be told about {source['target']}." + (
        f" Tried: {'; '.join(tried)}" if tried else ""
    )
