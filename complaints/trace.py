"""Finding who handed the spam over.

Takes a message and what the reporter trusts; leaves the hops, each with one sentence of reason, and the
source: the first address outside the border, as seen by the last believed host. Lines below it are claims
of strangers and are shown, never used.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from complaints.encodings import parameters
from complaints.hosts import canonical_ip, organisational_domain
from complaints.lines import hides_an_address, is_from_a_program, is_from_qmails_door, is_peer, read
from complaints.message import Header, Message
from complaints.neighbours import BY_ITS_WORD, doubt_about
from complaints.rebuild import contradicts, is_late, order
from complaints.received import Received
from complaints.reserved import is_inside_only, why_not_public
from complaints.through import passage, rewriter
from complaints.trust import Border, Trust
from complaints.two_ways import TWO_READINGS, as_written

__all__ = ["MAX_HOPS", "Hop", "Source", "Trace", "Trust", "trace"]

MAX_HOPS = 200
"""Received fields read; real mail is bounced as looping long before (RFC 5321 §6.3 names 100)."""

_BOUNDARY = re.compile(rb"boundary=\"?([^\"\s;]{4,100})", re.IGNORECASE)
_GAP = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Source:
    """The host that handed the spam to the first host the reporter trusts, and the hop that saw it.

    `doubts` say what lowers the confidence, in words that name no host.
    """

    ip: str
    hop: int
    why: str
    confidence: str
    doubts: tuple[str, ...] = ()


class Hop(NamedTuple):
    """One Received field, newest first; `trusted` tells whether it is believed, `tls` what it says of TLS."""

    n: int
    from_ip: str | None
    from_name: str | None
    helo: str | None
    by: str | None
    with_: str | None
    id: str | None
    for_: str | None
    date: datetime | None
    trusted: bool
    why: str
    tls: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """The reading of a Received chain. `grade` is A to D: how much of the original survived."""

    source: Source | None
    hops: tuple[Hop, ...]
    confidence: str
    notes: tuple[str, ...]
    grade: str


@dataclass(slots=True)
class _Walk:
    """The state of one walk down the chain; two doubts make the confidence low.

    `named` tells whether a line has named the host that wrote it; until then its organisation is not known.
    """

    message: Message
    fields: list[Header]
    lines: list[Received]
    border: Border
    whys: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    believed: int = 0
    named: bool = False
    grade: str = "A"


def trace(
    message: Message,
    trust: Trust,
    grade: str = "A",
    *,
    ordered: bool = False,
    doubts: Sequence[str] = (),
) -> Trace:
    """Walk the Received fields from the top and find the source.

    `grade` is what the way in allows at best (`A` for bytes that came unchanged); a message without one
    readable Received field is always `D`. `ordered`: its fields stand in their order whatever the grade.
    `doubts` are those that the way in leaves.
    """
    fields = message.fields("received")
    lines = [read(header) for header in fields[:MAX_HOPS]]
    rebuilt = order(lines, trust) if grade == "C" and not ordered else None
    came = (fields, lines)
    if rebuilt:
        fields, lines = [fields[n] for n in rebuilt] + fields[MAX_HOPS:], [lines[n] for n in rebuilt]
    if not any(line.by or line.from_ip or line.helo for line in lines):
        return _nothing(lines)
    walk = _Walk(message, fields, lines, Border(trust), grade=grade, doubts=[*doubts])
    if len(fields) > MAX_HOPS:
        walk.notes.append(f"{len(fields)} Received lines; only the first {MAX_HOPS} were read.")
    if message.fields("resent-from") or message.fields("resent-date"):
        walk.notes.append(
            "The message was resent (Resent- fields): the newest lines belong to the resending."
        )
    if rebuilt:
        walk.doubts += [_DISORDER, _DISORDER]
        walk.notes.append(
            "The Received lines came in a mixed order; by the names of the trusted hosts and the times they "
            "were put back into theirs."
        )
    if is_late(lines, trust):
        walk.grade = max(grade, "C")
        walk.doubts += [_DISORDER, _DISORDER]
        walk.notes.append(
            "The Received lines are not in their order: a trusted host wrote a lower one later."
        )
    source = _walk(walk)
    first = _walk(_Walk(message, *came, Border(trust))) if rebuilt else source
    if (
        grade == "C"
        and source
        and (first is None or first.ip != source.ip or contradicts(fields, lines, walk.border, source.ip))
    ):
        source = None
        walk.notes.append(
            "The order of the Received lines is not certain, and read in another they name another address "
            "outside: nobody is named."
        )
    if walk.grade == "A" and _lost_its_parts(message):
        walk.grade = "B"
    confidence = source.confidence if source else "low"
    return Trace(source, _hops(walk, source), confidence, tuple(dict.fromkeys(walk.notes)), walk.grade)


_DISORDER = "the Received lines are not in their order"


def _nothing(lines: list[Received]) -> Trace:
    note = "There is no Received line in this message, so nothing tells which host handed it over."
    hops = tuple([_hop(n, line, False, "This line cannot be read.") for n, line in enumerate(lines)])
    return Trace(None, hops, "low", (note,), "D")


def _lost_its_parts(message: Message) -> bool:
    """Tell whether the header announces parts that are not there, as Outlook and Exchange leave them."""
    fields = message.fields("content-type")
    if not fields or not fields[0].body.lstrip()[:10].lower().startswith(b"multipart/"):
        return False
    plain = _BOUNDARY.search(fields[0].body)
    if plain and message.raw.find(b"--" + plain[1], message.body) >= 0:
        return False
    boundary = parameters(fields[0].value)[1].get("boundary", "").encode("utf-8", "replace")
    return message.raw.find(b"--" + boundary, message.body) < 0


def _walk(walk: _Walk) -> Source | None:
    """Go down while the host that handed over is inside the border; stop at the first that is not."""
    border, lines = walk.border, walk.lines
    n = 0
    while True:
        line = as_written(walk.fields[n], lines[n])
        if line is not lines[n] and not line.defect:
            walk.doubts += [TWO_READINGS, TWO_READINGS]
        lines[n] = line
        walk.believed = n + 1
        if not walk.named:
            _learn_writer(walk, line)
        if line.defect:
            walk.whys.append(
                f"{_opening(n)} but it is broken ({line.defect}), so nothing below it can be believed."
            )
            walk.notes.append(f"Hop {n} is broken ({line.defect}): the walk ends there.")
            return None
        if line.by_ip is not None:
            border.seen.add(line.by_ip)
        hidden = line.from_ip is None and hides_an_address(walk.fields[n], line)
        inside = None if hidden else _inside(border, line)
        if inside is None:
            return _outside(walk, n)
        if line.from_ip is not None:
            border.seen.add(line.from_ip)
        walk.whys.append(f"{_opening(n)} {inside}.")
        if n + 1 == len(lines):
            walk.notes.append("The message began inside the trusted hosts: no line names an address outside.")
            return None
        if not _fits(walk, n):
            return None
        n += 1


def _learn_writer(walk: _Walk, line: Received) -> None:
    """Take the first host that a line names as its writer for the topmost one.

    qmail writes lines without any name above that of its own door, Gmail wrote private addresses, and a bare
    name tells nothing of the organisation.
    """
    if line.by is None:
        return
    walk.border.learn(line.by)
    ip = canonical_ip(line.by)
    walk.named = not is_inside_only(ip) if ip else organisational_domain(line.by) is not None


def _opening(n: int) -> str:
    return "The topmost line is always believed:" if n == 0 else "A believed line:"


def _inside(border: Border, line: Received) -> str | None:  # noqa: C901, PLR0911 - one return per reason to believe
    """Say why the host that handed over belongs inside the border, or None when it does not."""
    if line.dialect == "fetchmail":
        return "it was fetched from the reporter's mailbox"
    ip = line.from_ip
    if ip is None:
        return _inside_without_address(border, line)
    if border.trust.has_ip(ip):
        return f"{ip} was named as trusted"
    if is_inside_only(ip):
        return f"it came from {ip}, {why_not_public(ip)}, a neighbour of the host that wrote this line"
    if border.providers and (provider := border.internal_of(ip, line.helo)):
        return f"{ip} is an address of {provider.name}'s own receiving servers"
    if ip == line.by_ip:
        return f"{line.by} handed the message to itself"
    if ip in border.seen:
        return f"{ip} is, by a line above, one of the reporter's own mail hosts"
    if not line.verified or line.from_name is None:
        return None
    if border.is_own_name(line.from_name, ip):
        return f"the writing host verified that {ip} is {line.from_name}, a trusted name"
    if alias := border.forwarder(line.from_name):
        return f"{ip} is {line.from_name} of {alias.name}, a service that forwards mail for the reporter"
    return None


_LOCAL = frozenset({"lmtp", "webmail"})
_LOCAL_WITH = ("local", "lmtp", "qmail-scanner")
# These always write the address of a client on the network; without one the message came from the same host.
_ALWAYS_WITH_ADDRESS = frozenset({"sendmail", "postfix", "exim"})


def _inside_without_address(border: Border, line: Received) -> str | None:
    if line.dialect in _LOCAL or (line.with_ or "").lower().startswith(_LOCAL_WITH):
        return f"a delivery inside {line.by or 'one host'} ({line.with_})"
    if line.helo is None and line.from_name is None:
        return f"{line.by or 'the host'} passed the message on within itself"
    if line.dialect in _ALWAYS_WITH_ADDRESS:
        return f"{line.by} took it from a program on itself"
    if line.dialect == "exchange" and border.writes(line.helo):
        return f"{line.by} took it from its own store"
    return None


def _outside(walk: _Walk, n: int) -> Source | None:
    """Name the source where the walk ends, or say why there is none."""
    line, writer = walk.lines[n], walk.lines[n].by or "the topmost host"
    ip = line.from_ip
    if ip is None:
        walk.whys.append(f"{_opening(n)} but {writer} did not write which address handed the message over.")
        walk.notes.append(f"Hop {n} names no address that {writer} saw; what the client claimed is not used.")
        return None
    reason = why_not_public(ip)
    if reason is not None:
        walk.whys.append(f"{_opening(n)} {writer} saw {ip}, which is {reason} and is never accused.")
        walk.notes.append(f"{ip} is {reason}: it is never accused.")
        return None
    if service := rewriter(walk.message, line):
        walk.whys.append(f"{_opening(n)} {writer} took it from {service.name}, which writes mail anew.")
        walk.notes.append(
            f"{service.name} wrote the message anew, so no line tells which host gave it to them."
        )
        return None
    walk.whys.append(
        f"{_opening(n)} {writer} saw {ip} hand the message over, the first address outside the border."
    )
    _judge(walk, n)
    name = f" ({line.from_name})" if line.from_name else ""
    doubts = tuple(dict.fromkeys(walk.doubts))
    return Source(
        ip=ip,
        hop=n,
        why=f"{writer} is the last trusted host and saw {ip}{name} hand the spam over.",
        confidence=("high", "medium", "low")[min(len(walk.doubts), 2)],
        doubts=doubts,
    )


def _judge(walk: _Walk, n: int) -> None:
    """Find what makes the line that saw the source less certain."""
    line = walk.lines[n]
    if line.by is None or (
        n == 0 and organisational_domain(line.by) is None and canonical_ip(line.by) is None
    ):
        walk.doubts.append("the line does not fully name the host that wrote it")
    if line.date is None:
        walk.doubts.append("the line has no readable date")
    if not walk.doubts and any(is_from_a_program(walk.fields[i], walk.lines[i]) for i in range(n)):
        walk.doubts.append(
            "a program on the recipient's host passed it on, and may have written the lines below"
        )
    top = walk.lines[0].date
    if n and top and line.date and not -_GAP < top - line.date < _GAP:
        walk.notes.append(f"The clocks of hop 0 and hop {n} lie more than a day apart.")
        walk.doubts.append("the clocks of the recipient's hosts lie more than a day apart")
    through = passage(walk.message, walk.lines, n)
    walk.notes += through.notes
    walk.doubts += through.doubts


def _fits(walk: _Walk, n: int) -> bool:  # noqa: PLR0911 - one return per way to fit
    """Tell whether line n+1 can be what the host inside, which handed over line n, wrote."""
    above, below = walk.lines[n], walk.lines[n + 1]
    border = walk.border
    if above.dialect == "fetchmail" or is_from_qmails_door(walk.fields[n], above):
        # What was fetched is what the mailbox host stored: its topmost line is as good as that of any
        # message. And qmail's door writes a line whenever its queue says that it was called from there.
        border.learn(below.by)
        return True
    if not walk.named and not border.trust.hosts and not border.writes(below.by):
        walk.doubts.append("the topmost line does not name the host that wrote it")
        return True
    if border.writes(below.by):
        if doubt := doubt_about(border, above, below):
            walk.doubts.append(doubt)
            walk.notes.append(
                f"Hop {n} came from the neighbour {above.from_ip}, which called itself {above.helo}."
                if above.helo
                else f"Hop {n} came from the neighbour {above.from_ip}, which gave no name."
            )
        return True
    if below.by is None and below.from_ip is None:
        return True
    if below.by_ip is not None and below.by_ip == above.from_ip:
        return True
    named = above.from_ip is not None and border.trust.has_ip(above.from_ip)
    if is_peer(above, below.by) and (named or above.verified or is_inside_only(above.from_ip or "127.0.0.1")):
        if not (named or above.verified):
            walk.doubts.append(BY_ITS_WORD)
        border.learn(below.by)
        return True
    if named and above.from_ip:
        walk.doubts.append("a trusted address wrote its line under a name not seen before")
        walk.notes.append(
            f"{above.from_ip} is trusted, but hop {n + 1} was written by {below.by}, a name not seen before."
        )
        border.own.add(below.by or "")
        return True
    walk.notes.append(
        f"Hop {n} came from inside, but hop {n + 1} was written by "
        f"{below.by or 'no host'}, which is not trusted: it may be forged. If that host is yours, name it."
    )
    return False


def _hops(walk: _Walk, source: Source | None) -> tuple[Hop, ...]:
    """Give every line its hop; those below the walk are claims."""
    below = (
        "Below the source: written by strangers, not believed."
        if source
        else "Not believed: the walk ended above this line."
    )
    claims = len(walk.lines) - len(walk.whys)
    whys = walk.whys + [below] * claims
    return tuple([_hop(n, line, n < walk.believed, whys[n]) for n, line in enumerate(walk.lines)])


def _hop(n: int, line: Received, trusted: bool, why: str) -> Hop:
    from_ip, from_name, helo, by, _, with_, _, id_, for_, date = line[:10]
    # What Hop() does, without a call of Python code.
    return tuple.__new__(
        Hop, (n, from_ip, from_name, helo, by, with_, id_, for_, date, trusted, why, line.tls)
    )
