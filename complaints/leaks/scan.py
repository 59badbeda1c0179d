"""Asking a text in one pass whether it may hold any of many things: takes patterns, leaves where.

The machine for patterns is RE2's: its time is linear in the text whatever the patterns are. It makes states
as it meets them, which takes the longer the more patterns there are, and longest where several count. So what
counts is asked for by itself, and hundreds of plain rows of letters by Aho-Corasick, whose states are made
beforehand. An answer is `no` only where nothing that is described is there; whoever gets a `yes` looks for
himself.
"""

from base64 import b32encode, b64encode
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import cache

import re2
from ahocorasick_rs import BytesAhoCorasick, Implementation

LETTERS = rb"A-Za-z0-9\x80-\xff"
"""What `letters_of` leaves of a text, as the inside of a class."""
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
ARCHIVES = (b"UEsDB", b"H4sI", b"/Td6WFoA", b"QlpoO", b"QlpoN", b"QlpoM")
"""With what archives begin in base64: zip, gzip, xz, bzip2."""
FUNCTIONS = (b"fromcharcode", b"fromcodepoint", b"uint8array")
"""With what scripts make texts of numbers."""
_GAP = b"[^" + LETTERS + b"]*"
_IN_TAGS = b"[^" + LETTERS + b"<>]*"
_BEHIND_TAG = 4
_HEX_GAP = b"(?:0[xX]|[+/])*"
_SPACE = rb"(?:[\t-\r ._+,-]|\xc2\xa0|&nbsp;)+"
_EACH_CASE = {octet: bytes({octet, ord(chr(octet).upper())}) for octet in b"abcdefghijklmnopqrstuvwxyz"}
_PRINTABLE = frozenset(range(0x20, 0x7F))
_ZERO = frozenset((0,))
_CHUNK = 65_536
Place = Callable[[bytes, int], int]
"""Where in these octets, from this offset on, what is asked for may begin; -1 when nowhere."""


def finder(*patterns: bytes) -> Place:
    """Make ready to ask where one of these patterns, in the syntax of RE2 over octets, first matches."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    options.log_errors = False
    if not patterns:
        return lambda _, __: -1
    try:
        compiled = re2.compile(b"|".join(patterns), options)
    except re2.error:  # larger than the machine takes: nothing can be told beforehand
        return everywhere
    return _asked(compiled)


def kinds_finder(*kinds: Iterable[bytes]) -> Callable[[bytes], set[int]]:
    """Make ready to ask of which of these kinds (their numbers) any row of octets is in a text.

    A kind that holds an empty row is in every text.
    """
    always = {number for number, rows in enumerate(kinds) if b"" in rows}
    rows = [(row, number) for number, rows in enumerate(kinds) if number not in always for row in rows]
    of_row = [number for _, number in rows]
    longest = max((len(row) for row, _ in rows), default=0)
    machine = BytesAhoCorasick([row for row, _ in rows], implementation=Implementation.DFA)

    def found(text: bytes) -> set[int]:
        seen = always.copy()
        for start in range(0, len(text), _CHUNK):  # it makes a list of all that it finds
            piece = text[start : start + _CHUNK + longest]
            seen.update(
                [of_row[row] for row, _, _ in machine.find_matches_as_indexes(piece, overlapping=True)]
            )
            if len(seen) == len(kinds):
                break
        return seen

    return found


def _directly(compiled: "re2._Regexp") -> Place:
    # `search` makes a generator and a match of each answer, which costs more than searching a short text.
    inner = compiled._regexp.Match  # noqa: SLF001
    anchor = re2._Anchor.UNANCHORED  # noqa: SLF001
    return lambda text, start: inner(anchor, text, start, len(text))[0][0]


def _by_search(compiled: "re2._Regexp") -> Place:
    search = compiled.search

    def place(text: bytes, start: int) -> int:
        match = search(text, start)
        return match.start() if match else -1

    return place


def way_to_ask() -> Callable[["re2._Regexp"], Place]:
    """How to ask a machine: past `search` where this version of google-re2 has what that takes."""
    try:
        ask = _directly(re2.compile(b"b"))
        if (ask(b"ab", 0), ask(b"a", 0)) == (1, -1):
            return _directly
    except (AttributeError, TypeError, LookupError):
        pass  # names of its own, which another version need not have
    return _by_search


_asked = way_to_ask()


def everywhere(text: bytes, start: int) -> int:
    """Tell nothing: what is asked for may begin wherever anything is left."""
    return start if start < len(text) else -1


def exactly(octets: bytes) -> bytes:
    """These octets."""
    return b"".join(b"\\x%02x" % octet for octet in octets)


def spread(letters: bytes) -> bytes:
    """These letters, in lower case, in either case and with anything between them that is no letter."""
    return _GAP.join(_octet(octet) for octet in letters)


def in_each_case(octets: bytes) -> bytes:
    """These octets, in lower case, in either case."""
    return b"".join(map(_octet, octets))


def joined(*patterns: bytes) -> bytes:
    """Patterns behind each other, with anything between them that is no letter."""
    return _GAP.join(pattern for pattern in patterns if pattern)


def split_by_tags(letters: bytes, ends: AbstractSet[bytes]) -> Iterator[bytes]:
    """Patterns of which one matches wherever tags stand between these letters, in lower case.

    Behind a tag, or a comment, four of them follow, or fewer before another tag, or the last ones; behind
    those no letter of ASCII stands, or one of the `ends`. A comment without an end takes no letters with it.
    """
    end = b"(?:" + b"|".join((b"[^A-Za-z0-9]", rb"\z", *(in_each_case(one) for one in sorted(ends)))) + b")"
    for start in range(1, len(letters)):
        rest = [_octet(octet) for octet in letters[start : start + _BEHIND_TAG]]
        for size in range(1, len(rest)):
            yield b">" + _IN_TAGS + _IN_TAGS.join(rest[:size]) + _IN_TAGS + b"<"
        yield b">" + _IN_TAGS + _IN_TAGS.join(rest) + (end if len(rest) < _BEHIND_TAG else b"")


def standing_alone(text: bytes) -> bytes:
    """Words, in lower case, in either case, that no other letter of ASCII touches."""
    words = map(in_each_case, text.split(b" "))
    return rb"(?:\A|[^A-Za-z0-9])" + _SPACE.join(words) + rb"(?:[^A-Za-z0-9]|\z)"


def maybe(letters: bytes) -> bytes:
    """These letters, or nothing."""
    return b"(?:" + spread(letters) + b")?"


@cache
def _octet(octet: int) -> bytes:
    return _class(_EACH_CASE.get(octet, bytes((octet,))))


def _class(octets: bytes) -> bytes:
    escaped = b"".join(b"\\x%02x" % octet for octet in sorted(set(octets)))
    return b"[" + escaped + b"]" if len(octets) > 1 else escaped


@cache
def readable(shortest: int) -> bytes:
    """Letters of base64, with nothing between them, that decode from some letter on to readable ASCII.

    So many printable octets, or six each followed by a zero (UTF-16), wherever in a group they begin; of
    those only the groups that they fill are described.
    """
    groups = max((shortest - 2) // 3, 1)
    wide = ((_PRINTABLE, _ZERO, _PRINTABLE), (_ZERO, _PRINTABLE, _ZERO))
    return b"|".join(
        (
            b"(?:" + _group(_PRINTABLE, _PRINTABLE, _PRINTABLE) + b"){%d}" % groups,
            b"".join(_group(*wide[number % 2]) for number in range(3)),
            b"".join(_group(*wide[number % 2]) for number in (1, 2, 3)),
        )
    )


def _group(first: frozenset[int], second: frozenset[int], third: frozenset[int]) -> bytes:
    """Four letters of base64 that decode to three octets, each one of a set."""
    high = {octet & 3 for octet in first}
    middle = {octet >> 4 for octet in second}
    low = {octet & 15 for octet in second}
    ends: dict[frozenset[int], set[int]] = {}
    for top in range(4):
        rest = frozenset(octet & 63 for octet in third if octet >> 6 == top)
        if rest:
            ends.setdefault(rest, set()).add(top)
    return (
        _letters({octet >> 2 for octet in first})
        + _letters({value for value in range(64) if value >> 4 in high and value & 15 in middle})
        + b"(?:"
        + b"|".join(
            _letters({value for value in range(64) if value >> 2 in low and value & 3 in tops})
            + _letters(rest)
            for rest, tops in ends.items()
        )
        + b")"
    )


def _letters(values: set[int] | frozenset[int]) -> bytes:
    return _class(bytes(BASE64[value] for value in values))


@cache
def readable_hex(shortest: int) -> bytes:
    """Hex digits among letters of base64 that decode to readable ASCII, also in UTF-16."""
    pair = b"[2-7]" + _HEX_GAP + b"[0-9a-fA-F]" + _HEX_GAP
    zero = (b"0" + _HEX_GAP) * 2
    return b"(?:" + pair + b"){%d}" % shortest + b"|(?:" + pair + zero + b"){6}"


def in_base64(octets: bytes) -> tuple[bytes, ...]:
    """The letters of base64 that these octets alone fill, from each place in a group."""
    found = []
    for place in range(3):
        letters = b64encode(bytes(place) + octets + bytes(2))
        found.append(letters[-(-place * 4 // 3) : (place + len(octets)) * 4 // 3])
    return tuple(found)


def in_base32(octets: bytes) -> tuple[bytes, ...]:
    """The letters of base32, in lower case, that these octets alone fill, from each place in a group."""
    found = []
    for place in range(5):
        letters = b32encode(bytes(place) + octets + bytes(4)).lower()
        found.append(letters[-(-place * 8 // 5) : (place + len(octets)) * 8 // 5])
    return tuple(found)
