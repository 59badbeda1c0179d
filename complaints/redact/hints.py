"""Where letters of base64 and hex are worth opening: takes what is wanted, leaves stretches of letters.

Opening all letters of a mail at every offset makes three octets of each, and nearly all of them are noise.
What can be read, what is wanted and what may hide it show in the letters already: in base64 every fourth one
begins three octets, so readable octets are a row of classes of letters, and a word is one of three rows,
whichever of its octets begins a group.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, product
from math import prod
from typing import NamedTuple

import re2
from ahocorasick_rs import BytesAhoCorasick, Implementation

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_READABLE = frozenset({*b"\t\n\r", *range(0x20, 0x7F)})
_ANY = frozenset(range(256))
_CONTINUED = range(0x80, 0xC0)
# What stands unseen between letters, and letters that look like others (`spellings.py`), in UTF-8.
_ODD = (
    (b"\xc2", b"\xad"),
    (b"\xe2", b"\x80", b"\x8b\x8c\x8d\x8e\x8f\xaa\xab\xac\xad\xae"),
    (b"\xe2", b"\x81", b"\xa0\xa1\xa2\xa3\xa4"),
    (b"\xef", b"\xbb", b"\xbf"),
    (b"\xcd", b"\x8f"),
    (b"\xe1", b"\xa0", b"\x8e"),
    (b"\xef", b"\xb9\xbc\xbd", _CONTINUED),
    (b"\xe2", b"\x92\x93", _CONTINUED),
    (b"\xf0", b"\x9d", _CONTINUED),
)
_LONGEST_ROW = 5
_ENOUGH = 6
"""Octets of a word that fill the longest row, wherever they begin a group."""
_MOST_ROWS = 128
"""Rows of letters that one word may be, of those that its classes of letters allow."""
_AROUND = 128
"""Letters before and behind a hint that are opened with it: what is spelled begins and ends near it."""

Classes = Sequence[frozenset[int]]
"""What each octet, or each number of a letter of base64, may be."""


class Worth(NamedTuple):
    """What letters may hold: whether a digest, and the stretches to open, in order and apart."""

    digest: bool
    stretches: list[tuple[int, int]]


class Hints:
    """What to look for in letters: words that are wanted, and digests as text, each with whether it is hex.

    Where a word is empty nothing tells of it, and all letters are worth opening.
    """

    def __init__(self, words: Iterable[bytes], digests: Iterable[tuple[bytes, bool]]) -> None:
        wanted = set(words)
        self._all = b"" in wanted
        digested = {row for digest, is_hex in digests for row in _rarest(_letters_of(digest, is_hex=is_hex))}
        spelled = {row for word in wanted - {b""} for octets in _ways(_cased(word)) for row in _rows(octets)}
        rows = [*digested, *((spelled | _odd_rows()) - digested)]
        self._digests = len(digested)
        self._rows = BytesAhoCorasick(rows, implementation=Implementation.DFA)

    def look(self, letters: bytes) -> Worth:
        """Say what is worth a closer look, in one go over the letters for each question."""
        digest, places = False, []
        for row, start, end in self._rows.find_matches_as_indexes(letters, overlapping=True):
            digest = digest or row < self._digests
            places.append((start, end))
        if self._all:
            return Worth(digest, [(0, len(letters))])
        places += [match.span() for match in _CAN_BE_READ.finditer(letters)]
        return Worth(digest, list(_joined(sorted(places))) if places else places)


def _joined(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Widen places to stretches that begin with a group of the first, and join what meets."""
    first, last = -1, -1
    for start, end in places:
        begin = max(0, start - _AROUND) // 4 * 4
        if begin > last:
            if last >= 0:
                yield first, last
            first = begin
        last = max(last, end + _AROUND)
    if last >= 0:
        yield first, last


def _cased(word: bytes) -> Classes:
    return [frozenset((letter, bytes((letter,)).upper()[0])) for letter in word]


@cache
def _odd_rows() -> frozenset[bytes]:
    return frozenset(row for octets in _ODD for row in _rows(list(map(frozenset, octets))))


def _ways(octets: Classes) -> Iterator[Classes]:
    """As they are, and in UTF-16; a few tell of all."""
    yield octets[:_ENOUGH]
    yield list(chain.from_iterable((octet, frozenset((0,))) for octet in octets))[
        : min(2 * len(octets) - 1, _ENOUGH)
    ]


def _rows(octets: Classes) -> Iterator[bytes]:
    """Yield the rows of letters of which one stands where these octets are encoded."""
    yield from _in_base64(octets)
    digits = [map(nibble, octet) for octet in octets for nibble in (_high, _low)]
    yield from _rarest([frozenset(chain.from_iterable(map(_hex_letters, some))) for some in digits])


def _high(octet: int) -> int:
    return octet >> 4


def _low(octet: int) -> int:
    return octet & 15


def _hex_letters(digit: int) -> Iterator[int]:
    text = f"{digit:x}"
    return (_ALPHABET.index(letter) for letter in {text, text.upper()})


def _letters_of(text: bytes, *, is_hex: bool) -> Classes:
    """The first letters of a text that stands as it is, in hex without regard to case."""
    forms = (
        {letter, letter.upper()} if is_hex else {letter} for letter in text[:_LONGEST_ROW].decode("ascii")
    )
    return [frozenset(map(_ALPHABET.index, form)) for form in forms]


def _in_base64(octets: Classes) -> Iterator[bytes]:
    """The rows, whether the first octet begins a group, or one or two stand before."""
    for before in range(3):
        padded = [*[_ANY] * before, *octets, *[_ANY] * (-(before + len(octets)) % 3)]
        letters: list[frozenset[int]] = []
        for start in range(0, len(padded), 3):
            first, second, third = padded[start : start + 3]
            letters += [
                frozenset(one >> 2 for one in first),
                _joint({(one & 3) << 4 for one in first}, {two >> 4 for two in second}),
                _joint({(two & 15) << 2 for two in second}, {three >> 6 for three in third}),
                frozenset(three & 63 for three in third),
            ]
        yield from _rarest(letters)


def _joint(high: set[int], low: set[int]) -> frozenset[int]:
    return frozenset(left | right for left in high for right in low)


def _rarest(letters: Classes) -> Iterator[bytes]:
    """Yield all that a few letters in a row may be, of those few that noise is the least likely to hold."""
    few = [
        letters[start:end]
        for start in range(len(letters))
        for end in range(start + 1, min(start + _LONGEST_ROW, len(letters)) + 1)
    ]
    chosen = min((some for some in few if _size(some) <= _MOST_ROWS), key=_likely, default=letters[:1])
    for row in product(*chosen):
        yield "".join(map(_ALPHABET.__getitem__, row)).encode("ascii")


def _size(letters: Classes) -> int:
    return prod(map(len, letters))


def _likely(letters: Classes) -> float:
    return float(_size(letters) / len(_ALPHABET) ** len(letters))


def _class(wanted: Callable[[int], bool]) -> str:
    return f"[{''.join(letter for number, letter in enumerate(_ALPHABET) if wanted(number))}]"


def _can_be_read() -> "re2._Regexp":
    """Matches four groups of base64 of readable octets, and eight of them in hex.

    Sixteen readable octets are at least four whole groups, whichever of them begins one.
    """
    first = _class(lambda number: any(number << 2 | rest in _READABLE for rest in range(4)))
    second = _class(lambda number: number & 15 in {octet >> 4 for octet in _READABLE})
    low = _class(lambda number: number & 3 == 0) + _class(_READABLE.__contains__)
    high = _class(lambda number: number & 3 == 1) + _class(lambda number: 64 + number in _READABLE)
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture, options.log_errors = True, False
    pattern = f"(?:{first}{second}(?:{low}|{high})){{4,}}|(?:[2-7][0-9A-Fa-f]|0[9ADad]){{8,}}"
    return re2.compile(pattern.encode("ascii"), options)


_CAN_BE_READ = _can_be_read()
