"""How far down the Received lines of a pasted header are certain.

A text that was wrapped shows the rest of a line as a line of its own. A spammer who guesses where can make
such a rest look like a header line: a name or an address of theirs, quoted by an honest host, then reads as
what that host wrote. So a line counts only while every line above it has visibly come to its end.
"""

import re
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from complaints.received import parse_received

SHORTEST_WRAP, LONGEST_WRAP = 72, 100
"""Columns at which programs wrap text; a line longer than that was not cut there."""
LONGEST_UNSEEN = 82
"""The same for a text of which no line shows that it was wrapped: then only at the usual columns."""
WIDEST_SCREEN = 200
"""The same for a Received line that has not come to its date."""
LONGEST_WORD = 40
"""Characters of a word that some programs leave on its line although it no longer fits."""

_DATED = re.compile(
    rb"\d{1,2}:\d\d(?::\d\d)?\s+(?:[+-]\d{4}|[A-Za-z]{1,5})(?:\s*\([^()\[\]\d]{1,40}\))?\s*\Z"
)
_QUOTED = re.compile(rb'\\.|"')
_FRONT_OF_ADDRESS = re.compile(rb"(?:[\[(<].*|.*[.:].*|[0-9]+)")
_OF_ADDRESS = re.compile(rb"[\[(<]*(?:IPv6:)?[0-9A-Fa-f:.]+", re.IGNORECASE)
_REST_OF_ADDRESS = re.compile(rb"[0-9A-Fa-f:.]+[\])>,;]*")
_NO_CLIENT = re.compile(rb"[A-Za-z-]+:\s*(?:by |\(qmail \d+ )", re.IGNORECASE)
_TIME = re.compile(rb"\d{1,2}:\d\d(?::\d\d)?")
# Written by hosts on the way, with what a stranger said only inside brackets or quotes, if at all.
_CLOSED = re.compile(
    rb"return-path|delivered-to|envelope-to|message-id|date|mime-version|x-original-to|x-virus-scanned"
    rb"|dkim-signature|arc-(?:seal|message-signature)|x-gm-message-state|x-google-(?:smtp-source|dkim-signature)"
    rb"|x-spam-(?:flag|level|score|checker-version)",
    re.IGNORECASE,
)
_RECEIVED = frozenset({b"received", b"x-received"})
_ORIGINATOR = frozenset(
    {b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"}
)


class Field(NamedTuple):
    """A header field as it was pasted: its lines without line ends.

    `bare` are the places of those that were joined to it although they have no indent, `tight` of those that
    were cut inside a word.
    """

    name: bytes
    lines: list[bytes]
    bare: set[int]
    tight: AbstractSet[int] = frozenset()

    @property
    def text(self) -> bytes:
        """The lines as one."""
        return self.text_cut(self.tight)

    def text_cut(self, tight: AbstractSet[int]) -> bytes:
        """The lines as one, if these were cut inside a word."""
        pieces = [self.lines[0]]
        for n, line in enumerate(self.lines[1:], 1):
            pieces += [line] if n in tight else [b" ", line.strip()]
        return b"".join(pieces).rstrip()


def certain_hops(fields: list[Field], *, guessed: bool, ended: bool) -> int:
    """Return how many Received lines from the top are certain.

    `guessed`: the header has no certain end, so what stands below its From or Subject may be text;
    `ended`: the last field surely is whole.
    """
    cuts = any(field.bare for field in fields)
    narrowest = _widest(fields)
    if not _is_wrapped(fields, narrowest):
        narrowest = max(narrowest, SHORTEST_WRAP)
    widths = range(narrowest, (LONGEST_WRAP if cuts else LONGEST_UNSEEN) + 1)
    longest = longest_line(fields)
    count, originators = 0, False
    for n, field in enumerate(fields):
        name = field.name.lower()
        if name == b"received":
            if (guessed and originators) or _is_cut_in_address(field) or _reads_in_two_ways(field, longest):
                return count
            count += 1
        originators = originators or name in _ORIGINATOR
        if n + 1 < len(fields) and not _is_finished(field, fields[n + 1], widths, cuts=cuts):
            return count - 1 if name == b"received" else count
    return count if ended or not fields or fields[-1].name.lower() != b"received" else count - 1


def longest_line(fields: list[Field]) -> int:
    """Return the length of the longest line."""
    return max((len(line) for field in fields for line in field.lines), default=0)


def _is_dated(text: bytes) -> bool:
    """Tell whether a Received field has come to its date, with which it ends (RFC 5321 §4.4)."""
    return _DATED.search(text[-200:]) is not None


def _widest(fields: list[Field]) -> int:
    """Return the longest line that a program which wraps at words would have cut, had it wrapped narrower."""
    found = 0
    for field in fields:
        for line in field.lines:
            first, blank, last = line.strip().rpartition(b" ")
            if blank and first and len(last) <= LONGEST_WORD:
                found = max(found, len(line.rstrip()))
    return found


def _is_wrapped(fields: list[Field], narrowest: int) -> bool:
    """Tell whether a line that was joined stands where a program would have wrapped at this width or more.

    Otherwise it was indents that went, and lines were cut where hosts fold them.
    """
    return any(
        len(field.lines[n - 1]) + 1 + len(field.lines[n].split(b" ", 1)[0]) > narrowest
        for field in fields
        for n in field.bare
    )


def _is_finished(field: Field, below: Field, widths: range, *, cuts: bool) -> bool:
    """Tell whether a field ends where the next begins, whatever a stranger may have written into it.

    `widths` are those that the text may have been wrapped at, `cuts` tells whether it shows that.
    """
    name, last = field.name.lower(), field.lines[-1].rstrip()
    word = len(below.lines[0].strip().split(b" ", 1)[0])
    # Wrapped narrower, this line would be cut itself; wider, the next word would stand on it.
    fits = max(len(last), widths.start) > min(len(last) + word, widths.stop - 1)
    if name in _RECEIVED:
        # Hosts fold after what the client said: a line with an indent of its own is theirs. So is all of a
        # line that names no client.
        kept = last[:1] in {b" ", b"\t"} and len(field.lines) - 1 not in field.bare
        kept = kept or _NO_CLIENT.match(field.text) is not None
        if not _is_dated(field.text):
            return not cuts and max(len(last), widths.start) > min(len(last) + word, WIDEST_SCREEN)
        return (kept or fits) and (not cuts or _names_its_writer(field))
    if _CLOSED.fullmatch(name):
        return _is_balanced(field.text) and (fits or b'"' not in field.text)
    return fits and not field.bare


def _names_its_writer(field: Field) -> bool:
    line = parse_received(field.text.partition(b":")[2])
    return bool(line.by or line.id or line.defect) or b"(qmail " in field.text


def _is_balanced(text: bytes) -> bool:
    marks = _QUOTED.findall(text)
    pairs = ((b"<", b">"), (b"(", b")"))
    return marks.count(b'"') % 2 == 0 and all(text.count(left) == text.count(right) for left, right in pairs)


def _reads_in_two_ways(field: Field, longest: int) -> bool:
    """Tell whether it matters if lines as long as can be were cut between words or inside of one."""
    full = {n for n in field.bare if len(field.lines[n - 1]) == longest}
    if not full:
        return False
    taken, other = (
        parse_received(field.text_cut(tight).partition(b":")[2])
        for tight in (field.tight, full ^ field.tight)
    )
    if taken.defect or other.defect:
        return True
    return taken.from_ip != other.from_ip and (other.from_ip is not None or not field.tight)


def _is_cut_in_address(field: Field) -> bool:
    """Tell whether a line may have been cut inside an address, of which the front would be another one."""
    for n in field.bare - field.tight:
        front, rest = field.lines[n - 1].rpartition(b" ")[2], field.lines[n].strip().split(b" ", 1)[0]
        if (
            _OF_ADDRESS.fullmatch(front)
            and _FRONT_OF_ADDRESS.fullmatch(front)
            and _REST_OF_ADDRESS.fullmatch(rest)
            and not _TIME.fullmatch(rest)
        ):
            return True
    return False
