"""One automaton for every spelling of an address: takes bytes, leaves the few offsets worth a closer look.

Nearly all of a mail holds nothing of its reporter, and the patterns of `spellings.py` are slow beside a
search that tells so. Here each of them is loosened until RE2 can run all at once as one automaton, at the
speed of reading: it never goes back, whatever a sender writes. Loosened means: what bounds or looks ahead is
left out and the end is cut off, so that what a pattern matches begins where this says it may. It may say so
too often, and then the pattern decides; it must never say so too seldom.
"""

import re
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby

import re2

_MEMORY = 16 << 20
"""Octets that the states of one automaton may take at most."""
_LONGEST = 80_000
"""Characters of the patterns of one automaton, some three addresses."""
_READ_AGAIN = 20_000_000
_FEWEST_LOOKS = 64
_READABLE = frozenset(b"\t\n\r" + bytes(range(0x20, 0x7F)))
_IS_READABLE = bytes(ord("1") if octet in _READABLE else ord("0") for octet in range(256))
_TEXT = b"1" * 16
"""So many readable characters in a row are a text; noise has none."""
MOST_LETTERS = 10
"""Letters of a secret that are looked for: more make the automaton large, and not rarer in mail."""
# What `spellings.GAP` may be, without its bounds.
GAP = (
    r"(?:\xc2?\xad|\xe2[\x80\x81][\x8b-\x8f\xa0-\xa4\xaa-\xae]|\xef\xbb\xbf|\xcd\x8f|\xe1\xa0\x8e|\x00|[%=](?:25)*00|<!--[^<]*-->|<[^<>]*>"
    r"|&#?[a-z0-9]*;?|=[ \t]*\r*\n|\r*\n[ \t>]+| \r*\n|\\\r?\n|['\"][\t-\r ]*[+,][\t-\r ]*['\"]"
    r"|\"?;[\t-\r ]*[a-z-]+\*[0-9]+\*?=\"?)*"
)
BESIDE_AT = r"(?:['\"]|[\t-\r ]*\([^()]*\)[\t-\r ]*)*"
_BOUNDED = re.compile(r"\{0,\d+\}")


class Sieve:
    """Where in a text the loosened patterns match, which are in the syntax of RE2."""

    def __init__(self, loose: Iterable[str]) -> None:
        self._automata = [automaton(some) for some in _divided(dict.fromkeys(loose))]

    def starts(self, text: bytes) -> Iterator[int]:
        """Yield each offset at which something may be spelled, in order."""
        found = [_starts(one, text) for one in self._automata]
        yield from found[0] if len(found) == 1 else (start for start, _ in groupby(merge(*found)))

    def look(self, octets: bytes) -> tuple[bool, bytes]:
        """Tell whether something may be spelled in decoded octets; and what is readable in them, in lines.

        Nothing of both in nearly all noise. Not asked of one automaton: it would know how much is readable
        in each of its states, and noise leads into more of them than its memory holds.
        """
        if self.spells(octets):
            return True, b""
        return False, b"\n".join(runs(octets, _IS_READABLE, _TEXT))

    def spells(self, text: bytes) -> bool:
        """Tell whether something may be spelled there."""
        for one in self._automata:  # noqa: SIM110 - a loop costs less here than a generator
            if one.search(text) is not None:
                return True
        return False

    def tells(self, octets: bytes) -> bool:
        """Tell whether decoded octets are more than noise: something may be spelled there, or is readable."""
        return _TEXT in octets.translate(_IS_READABLE) or self.spells(octets)


def _starts(one: "re2._Regexp", text: bytes) -> Iterator[int]:
    match = one.search(text)
    while match is not None:
        start = match.start()
        yield start
        match = one.search(text, start + 1)


def _divided(patterns: Iterable[str]) -> Iterator[list[str]]:
    """Divide patterns among automata: one of all addresses of a reporter would have more states than fit."""
    some: list[str] = []
    for pattern in patterns:
        if some and sum(map(len, some)) + len(pattern) > _LONGEST:
            yield some
            some = []
        some.append(pattern)
    yield some


def runs(octets: bytes, told_by: bytes, least: bytes) -> list[bytes]:
    """Return the stretches of octets of one class, told by a table that makes them `1` and all others `0`.

    `least` is the shortest of them, as ones: the longer it is, the faster they are found.
    """
    told = octets.translate(told_by)
    found: list[bytes] = []
    start = told.find(least)
    while start >= 0:
        end = told.find(b"0", start)
        end = end if end >= 0 else len(octets)
        found.append(octets[start:end])
        start = told.find(least, end)
    return found


def few_looks(text: bytes) -> int:
    """How many places of a text may be looked at one by one, until reading on from each costs too much."""
    return max(_FEWEST_LOOKS, _READ_AGAIN // max(1, len(text)))


def automaton(patterns: list[str]) -> "re2._Regexp":
    """Return what searches octets for any of some patterns, in one pass and without regard to case."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY
    options.case_sensitive, options.dot_nl, options.never_capture = False, True, True
    options.log_errors = False
    return re2.compile("|".join(patterns).encode("latin-1"), options)


def loosened(pattern: str) -> str:
    """The same without upper bounds."""
    return _BOUNDED.sub("*", pattern)


def twins(alike: Iterable[str]) -> str:
    """Characters that look alike, in UTF-8, as alternatives behind others: all of one row that end alike."""
    rows: dict[bytes, list[bytes]] = {}
    for octets in (one.encode() for one in alike):
        rows.setdefault(octets[:-2], []).append(octets[-2:])
    return "".join(
        f"|{_escaped(row)}[{_escaped({end[0] for end in ends})}][{_escaped({end[1] for end in ends})}]"
        for row, ends in rows.items()
    )


def _escaped(octets: Iterable[int]) -> str:
    return "".join(f"\\x{octet:02x}" for octet in octets)
