"""Hiding a reporter in a report with this installation's keys, showing how, and knowing them again.

Takes a reporter, a complaint and the row of a report; leaves the redacted spam, what was done to it in words
for the reporter, and whose pseudonym it is that a desk quotes back.
"""

from sqlmodel import Session, col, select

from complaints import tokens
from complaints.arf.wire import legal
from complaints.leaks import find_leaks
from complaints.leaks.codes import codes_in_both
from complaints.message import parse
from complaints.models import Complaint, Json, Report, Reporter
from complaints.office import Office
from complaints.redact import LEVELS, Identity, Redacted, redact
from complaints.redact.copies import Copies
from complaints.redact.difference import explain
from complaints.redact.hide import privates_of
from complaints.redact.pseudonyms import generation, resolve
from complaints.redact.stand_in import RULES as WITHHELD
from complaints.redact.stretches import Shows
from complaints.redact.withhold import withheld

NOTHING_HIDDEN: Json = {
    "count": 0,
    "rules": {},
    "edits": [],
    "more": 0,
    "kept": [],
    "not_hidden": ["Your address and name are shown to the desk, as you chose."],
}


def identity_of(reporter: Reporter, complaint: Complaint | None = None, raw: bytes = b"") -> Identity:
    """What redaction hides of a reporter, in this complaint.

    Whoever knows a submission address hands in as its owner, so what looks like one in `raw` is hidden too.
    """
    words = tuple(complaint.hide) if complaint else ()
    addresses = (reporter.address, *reporter.aliases, *tokens.submission_addresses(raw))
    return Identity(addresses, tuple(reporter.names), words)


def level_of(complaint: Complaint) -> str:
    """The level at which a complaint's reports are redacted; one that is only counted keeps its drafts."""
    return complaint.redaction if complaint.redaction in LEVELS else "identity"


def copies(reporter: Reporter, complaint: Complaint, spam: bytes) -> Copies:
    """The spam as each desk of a complaint may see it."""
    return Copies(spam, identity_of(reporter, complaint, spam), level_of(complaint), own_hops(complaint))


def own_hops(complaint: Complaint) -> int:
    """The number of Received fields that the reporter's own hosts wrote."""
    return ((complaint.evidence or {}).get("source") or {}).get("hop") or 0


def shows(reporter: Reporter, complaint: Complaint, spam: bytes) -> Shows:
    """Ask the search before sending whether octets of a redacted spam show what the reporter hides."""
    identity, hops, strict = (
        identity_of(reporter, complaint, spam),
        own_hops(complaint),
        level_of(complaint) == "strict",
    )

    def asked(octets: bytes) -> bool:
        return bool(find_leaks(octets, identity) or (strict and codes_in_both(spam, octets, own_hops=hops)))

    return asked


def redacted(
    office: Office, reporter: Reporter, complaint: Complaint, report: Report, spam: bytes
) -> Redacted:
    """The spam as this desk sees it in its report, which is written."""
    done = copies(reporter, complaint, spam).under(pseudonym_key(office, reporter, report))
    if not any(change["rule"] in WITHHELD for change in report.changes):
        return done
    return withheld(done, shows(reporter, complaint, spam))


def redacted_link(office: Office, reporter: Reporter, complaint: Complaint, report: Report, link: str) -> str:
    """A link outside the spam, as this desk may see it; what is hidden already stays as it is."""
    key = pseudonym_key(office, reporter, report)
    done = redact(
        f"\r\n{link}".encode(), identity_of(reporter, complaint), key=key, level=level_of(complaint)
    )
    return done.raw.removeprefix(b"\r\n").decode("utf-8", "replace")


def pseudonym_key(office: Office, reporter: Reporter, report: Report) -> bytes:
    """The redaction key of a report (RFC 6590 §3): one per desk, reporter and generation of keys.

    So two desks cannot join what they know of a reporter, and nobody can after the next rotation.
    """
    subject = f"{report.to.lower()} {reporter.id} {generation(report.drafted_at)}"
    return office.vault.derive("pseudonym", subject).encode()


def difference(
    office: Office, reporter: Reporter, complaint: Complaint, report: Report, spam: bytes
) -> Json | None:
    """What redaction did to the spam in this report, as `redact.difference` documents it.

    None when nothing was hidden, or the frozen report was made for another identity than the reporter's now.
    """
    if (level := level_of(complaint)) == "none" or not spam or not report.raw:
        return None
    done = redacted(office, reporter, complaint, report, spam)
    enclosed = legal(done.raw)[0]
    if enclosed[: parse(enclosed).body].strip() not in office.report_bytes(reporter, report):
        return None
    return explain(spam, done, identity_of(reporter, complaint, spam), level)


def whose(session: Session, office: Office, reporter: Reporter, quoted: str) -> list[Json]:
    """Whom of the reporter's a pseudonym stands for that a desk quotes, and to which desks.

    `{"private", "to", "since"}` each; empty for a pseudonym of somebody else.
    """
    who = identity_of(reporter)
    privates = privates_of(who.addresses, who.names)
    rows = session.exec(
        select(Report)
        .join(Complaint, col(Complaint.id) == col(Report.complaint_id))
        .where(Complaint.reporter_id == reporter.id)
        .order_by(col(Report.drafted_at))
    )
    found: dict[str, Json] = {}
    tried: set[tuple[str, str]] = set()
    for row in rows:
        place = (row.to.lower(), generation(row.drafted_at))
        if place in tried:
            continue
        tried.add(place)
        private = resolve(quoted, pseudonym_key(office, reporter, row), privates)
        if private is not None:
            found.setdefault(row.to, {"private": private, "to": row.to, "since": row.drafted_at})
    return list(found.values())
