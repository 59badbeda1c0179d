"""How far down the Received lines of a pasted header are certain.

A text that was wrapped shows the rest of a line as a line of its own. A spammer who guesses where can make
such a rest look like a header line: a name or an address of theirs, quoted by an honest host, then reads as
what that host wrote. So a line counts only while every line above it has visibly come to its end.
"""

import re
from typing import NamedTuple

from complaints.received import parse_received

SHORTEST_WRAP, LONGEST_WRAP = 72, 100
"""Columns at which programs wrap text; a line longer than that was not cut there."""
LONGEST_WORD = 40
"""Characters of a word that some programs leave on its line although it no longer fits."""

_DATED = re.compile(rb"\d{1,2}:\d\d(?::\d\d)?\s+(?:[+-]\d{4}|[A-Za-z]{1,5})(?:\s*\([^()]*\))?\s*\Z")
_QUOTED = re.compile(rb'\\.|"')
_ADDRESS = frozenset(b"0123456789abcdefABCDEF:.")
_REST_OF_ADDRESS = re.compile(rb"[0-9A-Fa-f:.]+[\])>,;]*")
_TIME = re.compile(rb"\d{1,2}:\d\d(?::\d\d)?")
# Written by hosts on the way, with what a stranger said only inside brackets or quotes, if at all.
_CLOSED = re.compile(
    rb"return-path|delivered-to|envelope-to|message-id|date|mime-version|x-original-to|x-virus-scanned"
    rb"|dkim-signature|arc-(?:seal|message-signature)|x-gm-message-state|x-google-(?:smtp-source|dkim-signature)"
    rb"|x-spam-(?:flag|level|score|checker-version)",
    re.IGNORECASE,
)
_ORIGINATOR = frozenset(
    {b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"}
)


class Field(NamedTuple):
    """A header field as it was pasted: its lines without line ends.

    `bare` are the places of those that were joined to it although they have no indent, with `glue` between.
    """

    name: bytes
    lines: list[bytes]
    bare: set[int]
    glue: bytes = b" "

    @property
    def text(self) -> bytes:
        """The lines as one."""
        pieces = [self.lines[0].rstrip()]
        for n, line in enumerate(self.lines[1:], 1):
            pieces += [self.glue if n in self.bare else b" ", line.strip()]
        return b"".join(pieces)


def certain_hops(fields: list[Field], *, spaced: bool) -> int | None:
    """Return how many Received lines from the top are certain; None when all of them are.

    `spaced`: blank lines stood between the header lines, so that the end of the header is a guess.
    """
    widest = _widest(fields)
    count, originators = 0, False
    for n, field in enumerate(fields):
        name = field.name.lower()
        if name == b"received":
            if (spaced and originators) or _is_cut_in_address(field):
                return count
            count += 1
        originators = originators or name in _ORIGINATOR
        if n + 1 < len(fields) and not _is_finished(field, fields[n + 1], widest):
            more = any(below.name.lower() == b"received" for below in fields[n + 1 :])
            return (count - 1 if name == b"received" else count) if more else None
    return None


def is_dated(text: bytes) -> bool:
    """Tell whether a Received field has come to its date, with which it ends (RFC 5321 §4.4)."""
    return _DATED.search(text[-200:]) is not None


def _widest(fields: list[Field]) -> int:
    """Return the longest line that a program which wraps at words would have cut, had it wrapped narrower."""
    found = SHORTEST_WRAP
    for field in fields:
        for line in field.lines:
            first, blank, last = line.strip().rpartition(b" ")
            if blank and first and len(last) <= LONGEST_WORD:
                found = max(found, len(line.rstrip()))
    return found


def _is_finished(field: Field, below: Field, widest: int) -> bool:
    """Tell whether a field ends where the next begins, whatever a stranger may have written into it."""
    name, last = field.name.lower(), field.lines[-1].rstrip()
    word = len(below.lines[0].strip().split(b" ", 1)[0])
    fits = len(last) > LONGEST_WRAP or len(last) + 1 + word <= widest
    if name in {b"received", b"x-received"}:
        # Hosts fold after what the client said: a line with an indent of its own is theirs.
        kept = last[:1] in {b" ", b"\t"} and len(field.lines) - 1 not in field.bare
        return is_dated(field.text) and (kept or fits) and _names_its_writer(field)
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


def _is_cut_in_address(field: Field) -> bool:
    """Tell whether a line may have been cut inside an address, of which the front would be another one."""
    if not field.glue:
        return False
    for n in field.bare:
        before, first = field.lines[n - 1].rstrip(), field.lines[n].strip().split(b" ", 1)[0]
        if (
            before
            and before[-1] in _ADDRESS
            and _REST_OF_ADDRESS.fullmatch(first)
            and not _TIME.fullmatch(first)
        ):
            return True
    return False
