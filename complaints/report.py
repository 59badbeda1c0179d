"""What one desk gets: takes a complaint and a contact, leaves the frozen bytes of a report and their digest.

Preview, digest and sent bytes all come from `write`, once; afterwards they are only read (promise 2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, select

from complaints import __version__, arf, outbox, tokens
from complaints.db import move
from complaints.declared import ids_of
from complaints.hiding import (
    changes_of,
    copies,
    identity_in,
    identity_of,
    own_hops,
    pseudonym_key,
    redacted_link,
    shows,
)
from complaints.leaks import find_leaks, words_in
from complaints.leaks.codes import codes_in_both, tells_the_second
from complaints.links import links
from complaints.message import Message, parse
from complaints.models import Complaint, ComplaintState, Json, Report, Reporter, ReportState
from complaints.office import Office
from complaints.redact import CannotRedact, Identity, Redacted, redact, stand_in
from complaints.redact.copies import Copies
from complaints.redact.stretches import Shows
from complaints.redact.withhold import withheld

MOST_LINKS = 10  # links named outside the enclosed spam
MOST_WITHHELD = 5  # withheld parts that a desk is told of one by one
# Places that a desk's own eyes would pass over.
HIDDEN = {"qr": "QR code", "pdf": "PDF file", "archive": "packed file"}
_Site = tuple[str, str]
USER_AGENT = f"Plaint/{__version__}"
OWN_WORDS = arf.own_words()
WRITTEN = ("raw", "digest", "token_hash", "message_id", "changes", "drafted_at")
"""The columns that `write` sets; before, a draft has no bytes and no digest."""
OPEN = (ReportState.DRAFT, ReportState.CANCELLED)  # states in which a report can be consented to
ENDED = frozenset(
    {
        ReportState.SENT,
        ReportState.BOUNCED,
        ReportState.FAILED,
        ReportState.HELD,
        ReportState.SUPPRESSED,
        ReportState.UNCONFIRMED,
        ReportState.DRAFT,
        ReportState.CANCELLED,
    }
)


def write(
    office: Office, reporter: Reporter, complaint: Complaint, reports: Sequence[Report], spam: bytes
) -> None:
    """Render a complaint's reports with its redaction and note, and freeze them on their rows.

    What the search of the finished report finds that redaction did not hide is withheld, in as small pieces
    as can be told apart. Where that is not enough, the header block alone is enclosed.
    Raises CannotRedact when even that would give the reporter away.
    """
    shared = _Shared(copies(office, reporter, complaint, spam))
    for number, report in enumerate(reports):
        raw = _freeze(office, reporter, complaint, report, shared)
        # They differ in pseudonyms and desk only: one is searched here, each one again before it leaves
        if number or not _still_shown(office, raw, reporter, complaint, spam):
            continue
        shared.shows = shows(office, reporter, complaint, spam)
        raw = _freeze(office, reporter, complaint, report, shared)
        if _still_shown(office, raw, reporter, complaint, spam):
            shared.headers_only = True
            raw = _freeze(office, reporter, complaint, report, shared)
            if found := _still_shown(office, raw, reporter, complaint, spam):
                raise CannotRedact(f"what you chose to hide would still show ({found})")


def _still_shown(office: Office, raw: bytes, reporter: Reporter, complaint: Complaint, spam: bytes) -> str:
    """What a fresh report still shows, in words; "" for nothing."""
    if complaint.redaction == "none":
        return ""
    return leaks_in(office, raw, reporter, complaint) or _codes_left(raw, complaint, spam)


def _codes_left(raw: bytes, complaint: Complaint, spam: bytes) -> str:
    """At level strict, what of the recipient's codes stands in it, or that a date is told to the second."""
    if complaint.redaction != "strict":
        return ""
    if codes := codes_in_both(spam, raw, own_hops=own_hops(complaint)):
        return "; ".join(codes[:3])
    enclosed = arf.parse_report(raw)
    return "the second of a date" if enclosed and tells_the_second(enclosed.spam) else ""


def leaks_in(office: Office, raw: bytes, reporter: Reporter, complaint: Complaint) -> str:
    """Where a finished report still shows what its reporter hides, in words; "" where nowhere (promise 6)."""
    identity = identity_in(office, reporter, complaint, raw)
    leaks = find_leaks(raw, identity, own_words=OWN_WORDS)
    if not leaks and not OWN_WORDS.isdisjoint(words_in(identity)):
        # A Mr Page: in our own words his name proves nothing, in the spam it does.
        enclosed = arf.parse_report(raw)
        leaks = find_leaks(enclosed.spam, identity) if enclosed else []
    return "; ".join(f"{leak.how} in {leak.where}" for leak in leaks[:3])


def hides_ids(reporter: Reporter, spam: bytes) -> bool:
    """Whether hiding the reporter would change what a sender finds its own message by (RFC 9477 §3.5)."""
    message = parse(spam)
    try:
        done = redact(spam[: message.body], identity_of(reporter), key=bytes(16))
    except CannotRedact:
        return True
    return ids_of(parse(done.raw)) != ids_of(message)


@dataclass
class _Shared:
    """What the reports of one complaint have in common: the search of the spam, and its links.

    `shows` is there when redaction left something that the search of a finished report finds.
    """

    copies: Copies
    first: Sequence[_Site] | None = None
    shows: Shows | None = None
    headers_only: bool = False

    def under(self, key: bytes) -> Redacted:
        """The copy under this key, without what still shows in it."""
        done = self.copies.under(key)
        return withheld(done, self.shows) if self.shows else done

    def sites(self, key: bytes, message: Message) -> Sequence[_Site]:
        """The links of the copy under this key, as (URL, host), also where those are withheld in it."""
        swap = self.copies.swap(key)
        if swap is None or self.first is None:
            if self.shows:
                message = parse(self.copies.under(key).raw)
            found = [(link.url, link.host) for link in links(message).web]
            self.first = self.first if self.first is not None else found
            return found

        def text(own: str) -> str:
            return swap(own.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

        return [(text(url), text(host)) for url, host in self.first]


def _freeze(
    office: Office,
    reporter: Reporter,
    complaint: Complaint,
    report: Report,
    shared: _Shared,
) -> bytes:
    """Render one report onto its row; returns its bytes."""
    report.drafted_at = office.clock()
    report.message_id = new_message_id(office, report.id)
    token = tokens.random_letters(tokens.REPORT_LETTERS)
    report.token_hash = tokens.hashed(token)
    hidden = shared.under(pseudonym_key(office, reporter, report))
    raw = arf.compose(_values(office, reporter, complaint, report, shared, hidden, token))
    report.raw, report.digest = office.vault.seal(reporter.key, raw), tokens.digest(raw)
    report.changes = changes_of(hidden)
    return raw


def new_message_id(office: Office, report_id: str) -> str:
    """A Message-ID that no report had (RFC 5322 §3.6.4)."""
    return f"<{report_id}.{tokens.random_letters(8)}@{office.settings.mail_domain}>"


def _values(
    office: Office,
    reporter: Reporter,
    complaint: Complaint,
    report: Report,
    shared: _Shared,
    hidden: Redacted,
    token: str,
) -> arf.Report:
    """Everything a report says, read from the redacted spam wherever it could show the reporter."""
    message = parse(hidden.raw)
    evidence, contact = complaint.evidence or {}, report.contact
    strict = complaint.redaction == "strict"
    received = _taken_over(evidence, at_border=strict)
    arrived = datetime.fromisoformat(received["date"]) if received.get("date") else None
    found = []
    if not shared.headers_only:
        sites = shared.sites(pseudonym_key(office, reporter, report), message)
        found = _uris(sites, parts_of(contact), identity_of(reporter))
    if strict:
        found = [redacted_link(office, reporter, complaint, report, uri) for uri in found]
    if shared.shows:
        found = [uri for uri in found if not shared.shows(f"\r\n{uri}".encode())]
    recipient = message.get("Delivered-To") or message.get("X-Original-To")
    return arf.Report(
        sender=f"Plaint <{outbox.SERVICE}@{office.settings.mail_domain}>",
        to=report.to,
        reply_to=outbox.report_address(office, outbox.REPLY, token),
        message_id=report.message_id,
        date=report.drafted_at,
        user_agent=USER_AGENT,
        spam=hidden.raw,
        subject=message.subject or "",
        why=_why(contact),
        trace=(evidence.get("source") or {}).get("why", ""),
        note=complaint.note,
        opt_out_url=f"{office.settings.url}/stop/{token}",
        opt_out_mailto=outbox.report_address(office, outbox.STOP, token),
        source_ip=complaint.source_ip,
        arrival_date=arrived.replace(second=0) if arrived and strict else arrived,
        original_mail_from=_envelope_sender(message),
        original_rcpt_to=(recipient,) if recipient else (),
        reporting_mta=received.get("by"),
        authentication_results=tuple(
            _authentication(result) for result in evidence.get("authentication", [])
        ),
        reported_domains=_domains(parts_of(contact)),
        reported_uris=tuple(found),
        headers_only=shared.headers_only,
        redacted=complaint.redaction != "none",
        changed=tuple(_withheld(hidden, headers_only=shared.headers_only)),
    )


def _withheld(hidden: Redacted, *, headers_only: bool) -> Iterator[str]:
    """What a desk is told of what is withheld in its copy."""
    part, many, one = arf.CHANGED
    rules = {stand_in.FIELD} if headers_only else stand_in.RULES
    edits = [edit for edit in hidden.edits if edit.rule in rules]
    parts = [edit.old.decode() for edit in edits if edit.rule == stand_in.PART]
    yield from (part.format(what) for what in parts[:MOST_WITHHELD])
    if rest := len(edits) - min(len(parts), MOST_WITHHELD):
        yield one if rest == 1 else many.format(rest)


def _taken_over(evidence: Json, *, at_border: bool) -> Json:
    """The hop at which the spam arrived: the topmost, or the one at the border, which `strict` leaves."""
    hops = evidence.get("hops") or [{}]
    number = (evidence.get("source") or {}).get("hop") or 0
    found: Json = hops[number if at_border and number < len(hops) else 0]
    return found


def parts_of(contact: Json) -> list[Json]:
    """What a desk answers for, `{"role", "target", ...}`; an older row has its targets and one role."""
    simple = [{"role": contact["role"], "target": target} for target in contact["targets"]]
    return contact.get("parts") or simple


def _why(contact: Json) -> str:
    told = dict.fromkeys(_told(part) for part in parts_of(contact))
    return f"this mailbox answers for {'; and for '.join(told)}. {contact['why']}"


def _told(part: Json) -> str:
    """The part that a desk's target plays in the spam, for the desk."""
    target = part["target"]
    match part["role"]:
        case "source":
            return "the host that handed the message over"
        case "signer":
            selector = f", selector {part['selector']}" if part.get("selector") else ""
            return f"{target}, which signed this message (DKIM{selector}, verified by us)"
        case "drop-box":
            return f"the mailbox {target}, at which the message wants to be answered"
        case "sender-declared":
            return f"{target}, whose signed CFBL-Address asks for reports here (RFC 9477, {part.get('rule')})"
    hidden = [name for place, name in HIDDEN.items() if part.get("found_in") == [place]]
    return f"{target}, which the message advertises{''.join(f' in a {name}' for name in hidden)}"


def _domains(parts: list[Json]) -> tuple[str, ...]:
    domains = (part["target"].rpartition("@")[2] for part in parts if part["role"] != "source")
    return tuple(dict.fromkeys(domains))


def _uris(web: Sequence[_Site], parts: list[Json], identity: Identity) -> list[str]:
    """What to name to a desk: first what it answers for, then the rest of what the spam advertises.

    `web` is read from the redacted spam; the link of a PDF file or a picture is not in it, and is named only
    when it does not show the reporter.
    """
    targets = {part["target"] for part in parts}
    boxes = [f"mailto:{part['target']}" for part in parts if part["role"] == "drop-box"]
    inside = [part["url"] for part in parts if "url" in part and set(part["found_in"]) & set(HIDDEN)]
    inside = [url for url in inside if not find_leaks(f"\r\n{url}".encode(), identity)]
    own = [url for url, host in web if host in targets]
    others = [url for url, host in web if host not in targets]
    return list(dict.fromkeys([*boxes, *inside, *own, *others]))[:MOST_LINKS]


def _envelope_sender(message: Message) -> str | None:
    """The Return-Path that final delivery wrote (RFC 5321 §4.4), without angle brackets."""
    path = message.get("Return-Path")
    return path.strip().removeprefix("<").removesuffix(">") if path else None


def _authentication(result: Json) -> str:
    """One result in the syntax of RFC 8601 §2.2."""
    subject = {"dkim": "header.d", "dmarc": "header.from"}.get(result["method"], "smtp.mailfrom")
    domain = f" {subject}={result['domain']}" if result.get("domain") else ""
    return f"{result['by']}; {result['method']}={result['result']}{domain}"


def close_if_done(session: Session, report: Report) -> None:
    """A confirmed complaint is closed when each report consented to has ended."""
    session.flush()
    complaint = session.get_one(Complaint, report.complaint_id)
    if complaint.state != ComplaintState.CONFIRMED:
        return
    states = session.exec(select(Report.state).where(Report.complaint_id == complaint.id)).all()
    if all(state in ENDED for state in states):
        move(session, complaint, ComplaintState.CLOSED)
