"""Takes the text of a WHOIS answer (RFC 3912); leaves what it says about complaints and where to ask next.

Pure. The answer is cut into segments, one per network or AS number, and the smallest that covers the target
speaks first. What fields and texts mean is data (`abuse_lookup.whois_dialect`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from abuse_lookup.answer import CONFIDENCES, Confidence, Finding, Sighting, Span
from abuse_lookup.knowledge import rows
from abuse_lookup.mailbox import addresses_in, complaint_addresses, found_invalid, is_desk_name
from abuse_lookup.span import as_numbers, is_beyond_registries, parse_span
from abuse_lookup.target import Target, normal_host
from abuse_lookup.whois_dialect import (
    RWHOIS_PORT,
    Refused,
    field_of,
    hands_numbers_out,
    is_hearsay,
    meaning,
    port_of,
    present_name,
    refused,
    says_absent,
    servers_in,
    transferred_to,
)

_MOST_LINES = 20_000
_LONGEST_REFUSAL = 60  # lines
_MOST_ABSENT_LINES = 300  # with terms of use, an answer about nothing has fewer
_MOST_FINDINGS = 50  # every one costs a look at the DNS
_SEGMENT_START = re.compile(r"(?i)# start|% information related to|\[ network information ]")
_ABUSE_COMMENT = re.compile(r"(?i)[%#]+ *abuse contact for '?[^']{1,120}'? is '?([^'\s]{3,320})'?")
_ARIN_HANDLE = re.compile(r"\((NET6?-[0-9A-F-]{3,60})\)\s+([0-9A-Fa-f:.]{2,45} - [0-9A-Fa-f:.]{2,45})")
_REFERRAL = re.compile(r"(?:(r?whois)://)?([A-Za-z0-9.-]{3,253})(?::(\d{1,5}))?(?:/.*)?")


@dataclass(frozen=True, slots=True)
class Referral:
    """Another server that should be asked. `port` is None where the answer names none."""

    host: str
    port: int | None = None
    query: str | None = None
    """What to ask there, where it is not the target."""
    binding: bool = True
    """The answer says so in a field; False for a server merely mentioned in a text."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one WHOIS answer holds."""

    sighting: Sighting
    referrals: tuple[Referral, ...] = ()
    refusal: str | None = None
    """The text by which the server said: not now."""
    refusal_seconds: float = 0.0
    told: bool = True
    """The answer tells of something: it is not a text that nobody here can read."""
    absent: bool = False
    """The server says that it knows nothing of the target."""
    registrar: str = ""
    """Who registered the domain, as the answer says."""
    other: str = ""
    """The domain that the answer is about, where that is not the one asked about."""


@dataclass(slots=True)
class _Segment:
    lines: list[tuple[str, str, str]] = field(default_factory=list)
    """(key, value, whole line); the key is empty for text."""
    main: str = ""
    """What the segment is about: `range`, `number`, `other`, or unknown."""
    subject: str = ""
    main_at: int = 0
    """The line that says so."""

    @property
    def span(self) -> Span | None:
        return parse_span(self.subject) if self.main == "range" else None

    @property
    def handed_on(self) -> bool:
        """Whether it names another registry of numbers: its own mailboxes are those of who handed it on."""
        found = (_referral(value) for value in self.values("referral"))
        named = any(hands_numbers_out(referral.host) for referral in found if referral)
        return named or any(transferred_to(value) for value in self.values("type"))

    @property
    def hearsay(self) -> bool:
        """Whether the object comes from a routing registry, where anybody may write."""
        return any(is_hearsay(value.split()[0]) for value in self.values("origin"))

    def values(self, wanted: str) -> list[str]:
        return [value for key, value, _ in self.lines if value and meaning(key) == wanted]


def read(text: str, target: Target) -> Report:
    """Read one server's answer to a question about `target`; never raises on content."""
    lines = text.splitlines()[:_MOST_LINES]
    segments = _segments(lines)
    chosen = _covering(segments, target)
    other = _other_domain(segments, target)
    findings = [] if other else list(_ranked(chosen, target))
    if all(found.confidence == "low" for found in findings):
        findings += _manager(text, chosen)
    registrar = _registrar(segments) if target.host is not None else ""
    told = any(segment.main for segment in segments) if target.host is None else _delegated(segments)
    refusal = None if findings or registrar else _refusal(lines, known=told)
    if refusal is not None:
        return Report(Sighting(), (), f"it answered {refusal.said!r}", refusal.seconds)
    sighting = Sighting(_best(findings), chosen[0].span if chosen else None)
    steps = (*_requery(text, target), *_referrals(segments, lines), *_contact_handles(chosen, target))
    absent = not (findings or registrar or told) and says_absent(lines[:_MOST_ABSENT_LINES])
    return Report(
        sighting,
        tuple(dict.fromkeys(steps)),
        told=bool(told or findings or absent or steps),
        absent=absent,
        registrar=registrar,
        other=other,
    )


def _best(findings: list[Finding]) -> tuple[Finding, ...]:
    """Leave each finding once, the surest first, and no more than a desk can have."""
    unique = sorted(dict.fromkeys(findings), key=lambda found: CONFIDENCES.index(found.confidence))
    return tuple(unique[:_MOST_FINDINGS])


def _refusal(lines: list[str], *, known: bool) -> Refused | None:
    """Find a refusal: alone in a short answer, or beside data from which the mailboxes were left out."""
    if known:
        return refused((line for line in lines if line[:1] in {"%", "#"}), beside_data=True)
    return refused(lines, beside_data=False) if len(lines) <= _LONGEST_REFUSAL else None


def _segments(lines: list[str]) -> list[_Segment]:
    found = [_Segment()]
    after_gap, blank = True, 0  # where the last object in the segment begins
    heading = ""
    for line in lines:
        key, value, whole = field_of(line)
        if key and not value:
            heading = key if meaning(key) in {"abuse", "manager", "registrar"} else ""
        elif heading and value and (not key or meaning(key) in {"mailbox", "name", "holder"}):
            key = heading  # SIDN, KRNIC, TWNIC and EURid put the values on the lines below such a name
        what = meaning(key)
        heading = heading if value or key else ""
        is_main = what in {"range", "number", "other"} and bool(value)
        begun = found[-1].lines
        if _SEGMENT_START.match(line.strip()):
            found.append(_Segment())
            blank = 0
        elif is_main and found[-1].main and (after_gap or blank > found[-1].main_at):
            # What stands above it in the same object (RWhois: its class, its name) goes with it
            start = len(begun) if after_gap else blank
            found.append(_Segment(begun[start:]))
            del begun[start:]
            blank = 0
        if is_main and not found[-1].main:
            found[-1].main, found[-1].subject, found[-1].main_at = what, value, len(found[-1].lines)
        found[-1].lines.append((key, value, whole))
        after_gap = not value
        blank = blank if key or value else len(found[-1].lines)
    return found


def _covering(segments: list[_Segment], target: Target) -> list[_Segment]:
    """Choose the segments that speak about the target, the most specific first."""
    if target.host is not None:
        return segments
    if target.asn is not None:
        mine = [s for s in segments if s.main == "number" and target.asn in as_numbers(s.subject)]
    else:
        spans = [(span.size, s) for s in segments if (span := s.span) and _covers(span, target)]
        spans = [(size, s) for size, s in spans if s.span and not is_beyond_registries(s.span)]
        mine = [segment for _, segment in sorted(spans, key=lambda item: item[0])]
    if mine or any(segment.main for segment in segments):
        return mine
    return segments


def _covers(span: Span, target: Target) -> bool:
    if target.network is not None:
        return target.network.network_address in span and target.network.broadcast_address in span
    return target.ip is not None and target.ip in span


def _ranked(segments: list[_Segment], target: Target) -> Iterator[Finding]:
    """List findings; what only a wider network says counts little once a smaller one has spoken."""
    if target.host is not None:
        yield from _registrar_findings(segments)
        return
    spoken: int | None = None
    for segment in segments:
        if segment.handed_on:
            continue
        size, hearsay = (span.size if (span := segment.span) else 0), segment.hearsay
        findings = list(_number_findings(segment))
        for found in findings:
            if spoken is not None and size > spoken:
                yield _lowered(found, f"{found.why} of a wider network")
            elif hearsay:
                yield _lowered(found, f"{found.why}, in a routing registry where anybody may write")
            else:
                yield found
        if spoken is None and any(found.confidence != "low" for found in findings):
            spoken = size


def _lowered(found: Finding, why: str) -> Finding:
    return Finding("low", why, found.address, holder=found.holder)


def _manager(text: str, chosen: list[_Segment]) -> list[Finding]:
    """Read the one mailbox of registries that publish no other: the widest network's, the provider's."""
    for row in rows("whois", "manager"):
        if str(row["marker"]) not in text or not chosen:
            continue
        values = (value for key, value, _ in chosen[-1].lines if key == row["field"])
        confidence: Confidence = "low" if row["confidence"] == "low" else "medium"
        for value in values:
            if addresses := addresses_in(value):
                return [Finding(confidence, str(row["why"]), address) for address in addresses]
    return []


def _registrar_findings(segments: list[_Segment]) -> Iterator[Finding]:
    why = "the WHOIS answer names it as the registrar's abuse contact"
    for segment in segments:
        for value in segment.values("abuse"):
            for address in addresses_in(value):
                yield Finding("high", why, address, scope="registrar")
    why = "the WHOIS answer lists it for the registrar, and its name says that it takes complaints"
    for address in (
        found
        for segment in segments
        for value in segment.values("registrar")
        for found in addresses_in(value)
    ):
        if is_desk_name(address):
            yield Finding("medium", why, address, scope="registrar")


def _registrar(segments: list[_Segment]) -> str:
    names = (value for segment in segments for value in segment.values("registrar"))
    return next(names, "")[:120]


def _other_domain(segments: list[_Segment], target: Target) -> str:
    """Return the domain that an answer names where it is another than the one asked about, or around it."""
    if target.host is None:
        return ""
    wanted = target.organisation or target.host
    values = (value for segment in segments for value in segment.values("domain"))
    named = [host for value in values if (host := normal_host(value.split()[0]))]
    if any(wanted.startswith(host) or f".{target.host}".endswith("." + host) for host in named):
        return ""
    return named[0] if named else ""


def _delegated(segments: list[_Segment]) -> bool:
    """Whether the answer tells of a domain that is there: its name servers, or since when."""
    return any(segment.values("delegation") for segment in segments)


def _number_findings(segment: _Segment) -> Iterator[Finding]:
    holder = " ".join((*segment.values("holder"), *segment.values("remark")))
    invalid = found_invalid(segment.values("remark"))
    for address, confidence, why in _named(segment):
        if address in invalid:
            yield Finding("low", f"{why}, but the registry found it invalid", address, holder=holder)
        else:
            yield Finding(confidence, why, address, holder=holder)


def _named(segment: _Segment) -> Iterator[tuple[str, Confidence, str]]:
    """List mailboxes with how sure it is that complaints are taken there, and why."""
    for _, _, line in segment.lines:
        if match := _ABUSE_COMMENT.match(line.strip()):
            for address in addresses_in(match[1]):
                why = "the registry's WHOIS answer names it as the abuse contact of this network"
                yield address, "high", why
    yield from _abuse_fields(segment)
    yield from _handles(segment)
    yield from _texts(segment)


def _abuse_fields(segment: _Segment) -> Iterator[tuple[str, Confidence, str]]:
    named = ""
    for key, value, _ in segment.lines:
        if key.endswith("abusename"):
            named = value
        if meaning(key) == "abuse":
            # ARIN writes people as "Last, First": a person's mailbox ranks below a role's.
            confidence: Confidence = "medium" if "," in named else "high"
            for address in addresses_in(value):
                yield (
                    address,
                    confidence,
                    f"the registry's WHOIS answer names it as the abuse contact ({key})",
                )


def _handles(segment: _Segment) -> Iterator[tuple[str, Confidence, str]]:
    """Follow `abuse-c`, or a handle in the place of a mailbox, to that object's e-mail within the answer."""
    named = (*segment.values("abuse handle"), *segment.values("abuse"))
    wanted = {value.upper() for value in named if "@" not in value and " " not in value}
    mails: dict[str, list[str]] = {}
    handle = ""
    for key, value, _ in segment.lines:
        if meaning(key) == "handle":
            handle = value.upper()
        elif not key and not value:
            handle = ""
        elif handle and meaning(key) == "mailbox":
            mails.setdefault(handle, []).extend(addresses_in(value))
    for name in sorted(wanted):
        for address in mails.get(name, ()):
            yield address, "high", f"the registry's WHOIS answer names it as the abuse contact ({name})"


def _texts(segment: _Segment) -> Iterator[tuple[str, Confidence, str]]:
    for address, confidence in complaint_addresses(segment.values("remark")):
        yield address, confidence, "remarks about abuse in the registry's WHOIS answer name it"
    mailboxes = [address for value in segment.values("mailbox") for address in addresses_in(value)]
    for address in mailboxes:
        if is_desk_name(address):
            yield (
                address,
                "low",
                "the registry's WHOIS answer lists it, and its name says that it takes complaints",
            )


def _referrals(segments: list[_Segment], lines: list[str]) -> Iterator[Referral]:
    for segment in segments:
        for value in segment.values("referral"):
            if found := _referral(value):
                yield found
        for value in segment.values("type"):
            if host := transferred_to(value):
                yield Referral(host)
    texts = [line for line in lines if line.lstrip()[:1] in {"%", "#"} or "remarks:" in line.lower()[:12]]
    texts = [line for line in texts if not line.startswith("%rwhois ")]  # its own name and version
    for host in servers_in(texts):
        yield Referral(host, port_of(host), binding=False)


def _referral(value: str) -> Referral | None:
    match = _REFERRAL.fullmatch(value.strip())
    host = normal_host(match[2]) if match else None
    if match is None or host is None or "." not in host:
        return None
    host = present_name(host)
    port = int(match[3]) if match[3] else port_of(host)
    if port is not None and not 0 < port < 65536:
        return None
    if match[1] == "rwhois":
        return Referral(host, port or RWHOIS_PORT, binding=False)
    return Referral(host, port)


def _requery(text: str, target: Target) -> Iterator[Referral]:
    """ARIN lists overlapping networks by handle only: ask for the smallest that covers the target."""
    spans = [(handle, parse_span(span)) for handle, span in _ARIN_HANDLE.findall(text[:200_000])]
    mine = [(span.size, handle) for handle, span in spans if span and _covers(span, target)]
    if mine:
        yield Referral("", None, f"n ! {min(mine)[1]}")


def _contact_handles(chosen: list[_Segment], target: Target) -> Iterator[Referral]:
    """Ask for the people that an answer only names by handle, where it names no mailbox (JPNIC)."""
    if target.host is not None:
        return
    for row in rows("whois", "handle"):
        for key, value, _ in (line for segment in chosen[:1] for line in segment.lines):
            if key == row["field"] and re.fullmatch(str(row["value"]), value):
                yield Referral("", None, str(row["query"]).format(q=value), binding=False)
                return
