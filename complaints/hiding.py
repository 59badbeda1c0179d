"""Hiding a reporter in a report with this installation's keys, showing how, and knowing them again.

Takes a reporter, a complaint and the row of a report; leaves the redacted spam, what was done to it in words
for the reporter, and whose pseudonym it is that a desk quotes back.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import extract, func
from sqlmodel import Session, col, select

from complaints import tokens
from complaints.arf.wire import legal
from complaints.leaks import find_leaks
from complaints.leaks.codes import codes_in_both
from complaints.message import Part, parse
from complaints.models import Complaint, Json, Report, Reporter
from complaints.office import Office
from complaints.redact import LEVELS, Identity, Redacted, redact
from complaints.redact.copies import Copies
from complaints.redact.difference import MOST_EDITS, Edits, explain, redact_lines
from complaints.redact.hide import privates_of
from complaints.redact.pseudonyms import generation, resolve
from complaints.redact.stand_in import RULES as WITHHELD
from complaints.redact.stretches import Shows
from complaints.redact.withhold import withheld

COMPARED = 65_536
"""Bytes of a spam that are redacted anew at most, to tell what was done: a page is to be there at once."""
MOST_CHANGES = 1000
"""Changes of a report that are kept each with its line."""
_SPARE = 3  # lines over which what is found in one may go on
_LONGEST_LINE = 2000
NOTHING_HIDDEN: Json = {
    "count": 0,
    "compared": None,
    "rules": {},
    "edits": [],
    "more": 0,
    "kept": [],
    "not_hidden": ["Your address and name are shown to the desk, as you chose."],
}


def identity_of(reporter: Reporter, complaint: Complaint | None = None) -> Identity:
    """What redaction hides of a reporter, in this complaint."""
    words = tuple(complaint.hide) if complaint else ()
    return Identity((reporter.address, *reporter.aliases), tuple(reporter.names), words)


def identity_in(office: Office, reporter: Reporter, complaint: Complaint, raw: bytes) -> Identity:
    """The same, and every submission address that these bytes name.

    Whoever knows one hands in as its owner.
    """
    known = identity_of(reporter, complaint)
    secret = tokens.submission_addresses(raw, office.settings.mail_domain)
    return replace(known, addresses=(*known.addresses, *secret))


def level_of(complaint: Complaint) -> str:
    """The level at which a complaint's reports are redacted; one that is only counted keeps its drafts."""
    return complaint.redaction if complaint.redaction in LEVELS else "identity"


def copies(office: Office, reporter: Reporter, complaint: Complaint, spam: bytes) -> Copies:
    """The spam as each desk of a complaint may see it."""
    identity = identity_in(office, reporter, complaint, spam)
    return Copies(spam, identity, level_of(complaint), own_hops(complaint))


def own_hops(complaint: Complaint) -> int:
    """The number of Received fields that the reporter's own hosts wrote."""
    return ((complaint.evidence or {}).get("source") or {}).get("hop") or 0


def shows(office: Office, reporter: Reporter, complaint: Complaint, spam: bytes) -> Shows:
    """Ask the search before sending whether octets of a redacted spam show what the reporter hides."""
    identity, hops, strict = (
        identity_in(office, reporter, complaint, spam),
        own_hops(complaint),
        level_of(complaint) == "strict",
    )

    def asked(octets: bytes) -> bool:
        return bool(find_leaks(octets, identity) or (strict and codes_in_both(spam, octets, own_hops=hops)))

    return asked


def _as_written(
    office: Office, reporter: Reporter, complaint: Complaint, report: Report, done: Redacted, spam: bytes
) -> Redacted:
    """A redaction without what was withheld when the report was written."""
    if not any(change["rule"] in WITHHELD for change in report.changes):
        return done
    return withheld(done, shows(office, reporter, complaint, spam))


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
    return _key(office, reporter, report.to, report.drafted_at)


def _key(office: Office, reporter: Reporter, to: str, drafted_at: datetime) -> bytes:
    subject = f"{to.lower()} {reporter.id} {generation(drafted_at)}"
    return office.vault.derive("pseudonym", subject).encode()


def difference(
    office: Office, reporter: Reporter, complaint: Complaint, report: Report, spam: bytes
) -> Json | None:
    """As `differences`, for one report."""
    raw = office.report_bytes(reporter, report)
    return differences(office, reporter, complaint, [(report, raw)], spam)[report.id]


def differences(
    office: Office,
    reporter: Reporter,
    complaint: Complaint,
    reports: Sequence[tuple[Report, bytes]],
    spam: bytes,
) -> dict[str, Json | None]:
    """Report id → what redaction did to the spam in it, as `redact.difference` documents it.

    `reports`: each with its bytes, which are empty where it was not written or their time is over.
    Redacted anew is no more than the list has room for: the beginning, up to the last change that is told,
    and further on single lines. `count` and `rules` are of all; `kept` is of the first `compared` bytes.
    None when nothing was hidden, or the frozen report was made for another identity than the reporter's now.
    """
    found: dict[str, Json | None] = {report.id: None for report, _ in reports}
    if (level := level_of(complaint)) == "none" or not spam:
        return found
    start = spam if len(spam) <= COMPARED else spam[: spam.rfind(b"\n", 0, COMPARED) + 1 or COMPARED]
    head, rest = _beginning(start, next((report.changes for report, raw in reports if raw), ()))
    shared = copies(office, reporter, complaint, head)
    kept = None
    for report, raw in reports:
        if not raw:
            continue
        key = pseudonym_key(office, reporter, report)
        done = _as_written(office, reporter, complaint, report, shared.under(key), head)
        enclosed = legal(done.raw)[0]
        if enclosed[: parse(enclosed).body].strip() not in raw:
            continue
        one = explain(head + rest, replace(done, raw=done.raw + rest), level, kept)
        kept = one["kept"]  # the same for every desk
        if len(head) == len(spam):
            found[report.id] = one | {"compared": None}
            continue
        further = _further(one["edits"], report.changes)
        lines = _lines(spam, {change["line"] for change in further})
        told = redact_lines(
            lines, identity_in(office, reporter, complaint, b"".join(lines.values())), key, level
        )
        compared = None if len(head + rest) == len(spam) else len(head + rest)
        found[report.id] = _of_all(one, report, further, told) | {"compared": compared}
    return found


def _beginning(start: bytes, changes: Sequence[Json]) -> tuple[bytes, bytes]:
    """Where the changes stand that are told, and what follows if nothing was changed there.

    A text is cut behind them, the last part of a message only: what is said of the others stays true.
    """
    exact, merged = changes[:MOST_CHANGES], len(changes) > MOST_CHANGES
    lines = start.count(b"\n") + 1
    inside = sorted(change["line"] for change in exact if change["line"] <= lines)
    if any(change["rule"] in WITHHELD for change in changes) or (merged and len(inside) < MOST_EDITS):
        return start, b""
    told, message = inside[:MOST_EDITS], parse(start)
    behind = _offset(start, (told[-1] if told else 0) + _SPARE)
    last = max(message.leaves(), key=lambda part: part.start, default=None)
    if last is None or not _is_plain(last) or behind >= last.end:
        return start, b""
    cut = max(behind, last.start)
    return start[:cut], b"" if merged or len(inside) > MOST_EDITS else start[cut:]


def _is_plain(part: Part) -> bool:
    """Whether a part stands there as it is read."""
    return part.content_type.startswith("text/") and part.transfer_encoding in {"", "7bit", "8bit", "binary"}


def _further(edits: Sequence[Json], changes: Sequence[Json]) -> list[Json]:
    """The changes that are not among the edits, as far as there is room: what is gone for good first."""
    told = {(edit["rule"], edit["where"], edit["line"]) for edit in edits}
    rest = [change for change in changes if (change["rule"], change["where"], change["line"]) not in told]
    return sorted(rest, key=lambda change: change["rule"] not in WITHHELD)[: max(0, MOST_EDITS - len(edits))]


def _of_all(one: Json, report: Report, further: Sequence[Json], told: Edits) -> Json:
    """What the beginning shows and the lines further on, with the counts of the whole."""
    rules: Counter[str] = Counter()
    for change in report.changes:
        rules[change["rule"]] += change["count"]
    edits = list(one["edits"])
    for change in further:
        # Of a part in an encoding it is said where it begins: what was changed stands in no line
        words = told.get((change["rule"], change["line"]), Counter())
        if words.total() == change["count"]:
            edits += [change | {"old": old, "new": new, "count": n} for (old, new), n in words.items()]
        else:
            edits.append(change | {"old": "", "new": ""})
    return one | {
        "edits": edits,
        "count": rules.total(),
        "rules": dict(rules.most_common()),
        "more": max(0, rules.total() - sum(edit["count"] for edit in edits)),
    }


def _lines(raw: bytes, wanted: Collection[int]) -> dict[int, bytes]:
    """Lines by their number from 1, the beginning of each."""
    found: dict[int, bytes] = {}
    at, line = 0, 1
    for number in sorted(wanted):
        at, line = _offset(raw, number - line, at), number
        found[number] = raw[at : raw.find(b"\n", at, at + _LONGEST_LINE) + 1 or at + _LONGEST_LINE]
    return found


def _offset(raw: bytes, lines: int, at: int = 0) -> int:
    """Where one is so many lines further on."""
    while lines > 0 and at < len(raw):
        if (here := raw.count(b"\n", at, at + COMPARED)) < lines:
            at, lines = at + COMPARED, lines - here
            continue
        for _ in range(lines):
            at = raw.find(b"\n", at) + 1
        lines = 0
    return min(at, len(raw))


def changes_of(done: Redacted) -> list[Json]:
    """What a report's row keeps of its redaction: beyond MOST_CHANGES the lines of the rest go, no count."""
    changes = done.changes
    told, rest = changes[:MOST_CHANGES], changes[MOST_CHANGES:]
    together: dict[tuple[str, str], Json] = {}
    for change in rest:
        first = together.setdefault((change.rule, change.where), asdict(change) | {"count": 0})
        first["count"] += change.count
    return [*map(asdict, told), *together.values()]


def whose(session: Session, office: Office, reporter: Reporter, quoted: str) -> list[Json]:
    """Whom of the reporter's a pseudonym stands for that a desk quotes, and to which desks.

    `{"private", "to", "since"}` each; empty for a pseudonym of somebody else.
    """
    who = identity_of(reporter)
    privates = privates_of(who.addresses, who.names)
    rows = session.exec(
        select(Report.to, func.min(Report.drafted_at))
        .join(Complaint, col(Complaint.id) == col(Report.complaint_id))
        .where(Complaint.reporter_id == reporter.id)
        .group_by(Report.to, extract("year", col(Report.drafted_at)))
        .order_by(func.min(Report.drafted_at))
    )
    found: dict[str, Json] = {}
    tried: set[tuple[str, str]] = set()
    for to, drafted_at in rows:
        place = (to.lower(), generation(drafted_at))
        if place in tried:
            continue
        tried.add(place)
        private = resolve(quoted, _key(office, reporter, to, drafted_at), privates)
        if private is not None:
            found.setdefault(to, {"private": private, "to": to, "since": drafted_at})
    return list(found.values())
