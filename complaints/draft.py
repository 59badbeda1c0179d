"""Takes an analysed complaint with its contacts, leaves one drafted report per desk, awaiting consent.

Which desks are proposed and which are ticked is decided here: the source's best-founded desks are ticked,
desks of link hosts wait for the reporter's own judgement, and nobody is accused by a guess alone while a
better answer exists.
"""

from datetime import timedelta

from sqlmodel import Session, col, delete, select

from complaints import report, tokens
from complaints.db import look_at, move
from complaints.models import Complaint, ComplaintState, Json, Report, Reporter, ReportState, Suppression
from complaints.office import Office
from complaints.redact import CannotRedact

STRENGTH = {"high": 3, "medium": 2, "low": 1}


def step(office: Office, complaint_id: str) -> None:
    """The worker's step: draft the reports of an analysed, looked-up complaint."""
    with office.db.transaction() as session:
        complaint = session.get(Complaint, complaint_id)
        if complaint is None or complaint.state != ComplaintState.ANALYSED or complaint.contacts is None:
            return
        reporter = session.get_one(Reporter, complaint.reporter_id)
        desks, rejected = proposed_desks(complaint.contacts, own_domains(office, reporter))
        rejected += _draft(session, office, reporter, complaint, desks)
        complaint.contacts = complaint.contacts | {"rejected": rejected}
        session.add(complaint)
        drafted = session.exec(select(Report.id).where(Report.complaint_id == complaint.id)).first()
        look_at(session, "notice", complaint.submission_id)
        if drafted is None:
            move(session, complaint, ComplaintState.REFUSED, reason=_no_desk(complaint.contacts, rejected))
            return
        expires = office.clock() + timedelta(seconds=office.settings.consent_seconds)
        move(session, complaint, ComplaintState.AWAITING_CONSENT, due_at=expires)


def own_domains(office: Office, reporter: Reporter) -> set[str]:
    """Mail domains never reported to: ours and the reporter's own."""
    addresses = [reporter.address, *reporter.aliases]
    return {office.settings.mail_domain, *(address.rpartition("@")[2].lower() for address in addresses)}


def proposed_desks(contacts: Json, own: set[str]) -> tuple[list[Json], list[Json]]:
    """The desks of a contacts snapshot, one per mailbox, each with `ticked`; and those rejected."""
    best = _best_of_source(contacts)
    desks: dict[str, Json] = {}
    rejected: list[Json] = []
    for lookup in contacts["lookups"]:
        rejected += [item | {"target": lookup["target"]} for item in lookup.get("rejected", [])]
        for contact in lookup["contacts"]:
            address = contact.get("address")
            if not address:
                continue
            if address.rpartition("@")[2].lower() in own:
                rejected.append(
                    {"address": address, "why": "This is your own mail domain.", "target": lookup["target"]}
                )
                continue
            ticked = lookup["role"] == "source" and STRENGTH.get(contact["confidence"], 0) == best
            desk = contact | {
                "role": lookup["role"],
                "target": lookup["target"],
                "network": lookup.get("network"),
            }
            _merge(desks, desk | {"ticked": ticked})
    return list(desks.values()), rejected


def _best_of_source(contacts: Json) -> int:
    source = next(lookup for lookup in contacts["lookups"] if lookup["role"] == "source")
    return max((STRENGTH.get(contact["confidence"], 0) for contact in source["contacts"]), default=0)


def _merge(desks: dict[str, Json], desk: Json) -> None:
    known = desks.setdefault(desk["address"].lower(), desk | {"targets": []})
    known["ticked"] = known["ticked"] or desk["ticked"]
    if desk["target"] not in known["targets"]:
        known["targets"].append(desk["target"])


def _draft(
    session: Session, office: Office, reporter: Reporter, complaint: Complaint, desks: list[Json]
) -> list[Json]:
    """Write a report row per desk; returns those that cannot be written without giving the reporter away."""
    # Rows that were consented to once (and undone) stay: they are the record of a promise
    session.execute(
        delete(Report).where(col(Report.complaint_id) == complaint.id, col(Report.state) == ReportState.DRAFT)
    )
    kept = {
        row.to.lower(): row for row in session.exec(select(Report).where(Report.complaint_id == complaint.id))
    }
    drafts = []
    for desk in desks:
        number = len(kept) + 1
        draft = kept.setdefault(desk["address"].lower(), _new_report(office, complaint, desk, number))
        draft.ticked, draft.contact = desk["ticked"], desk
        drafts.append(draft)
    try:
        report.write(session, office, reporter, complaint, drafts)
    except CannotRedact as error:
        why = f"Cannot be told without giving you away: {error}"
        return [{"address": draft.to, "why": why} for draft in drafts]
    for draft in drafts:
        if _suppressed(session, draft.to):
            draft.state, draft.ticked = ReportState.SUPPRESSED, False
            draft.detail = "This desk asked for no more reports."
        session.add(draft)
    session.flush()
    return []


def _new_report(office: Office, complaint: Complaint, desk: Json, number: int) -> Report:
    return Report(
        id=f"{complaint.id}-{number:02}",
        complaint_id=complaint.id,
        token=tokens.random_letters(tokens.REPORT_LETTERS),
        to=desk["address"],
        ticked=desk["ticked"],
        contact=desk,
        drafted_at=office.clock(),
        raw=b"",
        digest="",
        message_id="",
    )


def _suppressed(session: Session, address: str) -> bool:
    row = session.get(Suppression, address.lower())
    return row is not None and row.lifted_at is None


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
