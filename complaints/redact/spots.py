"""Where in a text a link, an address, an id or a word stands: takes bytes, leaves matches and offsets.

A mail is long and holds few of them, and a pattern of Python looks at every octet: so what must stand in each
(`http`, `@`) is searched first, at the speed of reading, and the pattern is tried where that stands.
"""

import re
from collections.abc import Callable, Iterable, Iterator

_URL = re.compile(
    rb"(?:\b(?:https?|ftp):[/\\]{0,3}|(?<![:\w/])//(?=[a-z0-9-]+\.)|(?<![\w./@-])www\.|(?:&#x?[0-9a-f]{1,6};){5,})[^\s<>\"'\\^`{}]{3,}",
    re.IGNORECASE,
)
_URL_STARTS = (b"http", b"ftp:", b"//", b"www.")
_FIVE_ENTITIES = re.compile(rb"&#x?[0-9a-f]{1,6};(?:&#x?[0-9a-f]{1,6};){4}")
_ADDRESS = re.compile(
    rb"(?<![A-Za-z0-9._%+=~/&?#-])(?P<local>[A-Za-z0-9._%+=~#-]{1,250})(?:@|%40)(?=[A-Za-z0-9-]{1,63}\.[A-Za-z0-9.-]{2})"
)
_IN_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+=~#-"
_LONGEST_LOCAL = 250
_NOT_IN_ID = b' \t\n\r\f\v<>@,;"'
_IN_ID = bytes(octet for octet in range(256) if octet not in _NOT_IN_ID)
_LONGEST_LEFT = 400
_RIGHT = re.compile(rb"[^\s<>,;@\"]{1,255}")
_SHORTEST_WORD = 6
_LONGEST_DIVIDED = 262_144
"""Octets of a text whose words are all made at once."""
_WORD = re.compile(rb"\S+")
_BETWEEN_WORDS = b" \t\n\r\f\v<>,;:()[]\"'@/=?&#"
_SPACED = bytes.maketrans(_BETWEEN_WORDS, b" " * len(_BETWEEN_WORDS))


def places(text: bytes, sign: bytes) -> Iterator[int]:
    """Yield each offset at which a sign stands."""
    place = text.find(sign)
    while place >= 0:
        yield place
        place = text.find(sign, place + 1)


def begun(pattern: re.Pattern[bytes], text: bytes, starts: Iterable[int]) -> Iterator[re.Match[bytes]]:
    """Yield what `finditer` does, of a pattern that can match at these offsets only, which are in order."""
    end = 0
    for start in starts:
        if start >= end and (match := pattern.match(text, start)) is not None:
            yield match
            end = match.end()


def urls(text: bytes, lower: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the links of a text, also those of entities; `lower` is the text in lower case."""
    starts = [place for sign in _URL_STARTS for place in places(lower, sign)]
    if b"&#" in lower:
        starts += [match.start() for match in _FIVE_ENTITIES.finditer(lower)]
    return begun(_URL, text, sorted(starts))


def addresses(text: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the addresses of a text, up to their @."""
    ats = [*places(text, b"@")]
    if b"%40" in text:
        ats = sorted((*ats, *places(text, b"%40")))
    last = -1
    for at in ats:
        before = text[max(0, at - _LONGEST_LOCAL) : at]
        start = at - len(before) + len(before.rstrip(_IN_LOCAL))
        if last < start < at and (match := _ADDRESS.match(text, start)) is not None:
            yield match
            last = start


def ids(text: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield start, place of the @ and end of each `left@right`; a word without an @ costs nothing."""
    done, at = 0, text.find(b"@")
    while at >= 0:
        before = text[max(done, at - _LONGEST_LEFT) : at]
        left = len(before.rstrip(_IN_ID)) - len(before)
        right = _RIGHT.match(text, at + 1) if left else None
        if right is not None:
            yield at + left, at, right.end()
            done = right.end()
        at = text.find(b"@", max(done, at + 1))


def words(text: bytes, wanted: Callable[[bytes], bool]) -> Iterator[tuple[int, bytes]]:
    """Yield where each word that is wanted stands, and the word; words of a few letters are not asked for."""
    spaced = b" %b " % text.translate(_SPACED)
    all_of_them = spaced.split() if len(text) < _LONGEST_DIVIDED else _each(spaced)
    place = 0
    for word in all_of_them:
        if len(word) >= _SHORTEST_WORD and wanted(word):
            place = spaced.index(b" %b " % word, place)
            yield place, word
            place += len(word) + 1


def _each(spaced: bytes) -> Iterator[bytes]:
    return (match[0] for match in _WORD.finditer(spaced))
