"""What is encoded inside a text: takes octets, leaves what base64, hex and uuencoding in them hold.

Tokens are not told apart: all letters of base64 in a text are read as one run, from each of four letters, so
that a token is read rightly from wherever it begins and however it is broken into pieces. Most of what comes
out is noise; what can be read in it goes on to be searched.
"""

import binascii
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from complaints.leaks.reading import letters_of, octets_of
from complaints.leaks.scan import FUNCTIONS, finder
from complaints.leaks.wanted import TELLING, Wanted

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_NO_TOKEN = bytes(octet for octet in range(256) if octet not in _LETTERS + b"+/-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_KINDS = bytes(
    ord("1") if octet in _LETTERS + b"+/" else octet if octet in b"\r\n=" else ord("0")
    for octet in range(256)
)
_HEX_DIGITS = b"0123456789abcdefABCDEF"
_IS_HEX = bytes(ord("1") if octet in _HEX_DIGITS else ord("0") for octet in range(256))
_HEX_RUN = b"1" * 16
_READABLE = bytes(
    ord("1" if 0x20 <= octet < 0x7F or octet in b"\t\r\n" else "0" if octet else "Z") for octet in range(256)
)
"""Printable ASCII and what ends or folds its lines, zeros, others."""
_WIDE = b"1Z" * 6
_BETWEEN = b"\1"
"""Ends what can be read."""
_LONG_LINE = re.compile(rb"[A-Za-z0-9+/]{60}")
_LINES = re.compile(rb"(?:1{60,}=*\r?\n)+")
_FIRST_LINE = rb"\n\r?\n[A-Za-z0-9+/]+=*\r?(?:\n|\z)"
_LONG_LINE_FROM = finder(rb"\n[A-Za-z0-9+/]{60}")
_PARAGRAPH_START = finder(_FIRST_LINE)
_SHAPED = finder(rb"\n(?:[A-Za-z0-9+/]{60}|" + _FIRST_LINE.removeprefix(rb"\n") + rb")")
"""Either of the two, in one pass; what begins with one octet always is looked for several times as fast."""
_PARAGRAPH = re.compile(rb"\n\r?\n(?>(?:[A-Za-z0-9+/]++=*\r?(?:\n|\Z))+)")
_SHORTEST_BODY = 8
_ONES = re.compile(rb"1*")
_FEWEST_LINES = 2
_MARGIN = 64
"""More letters than too few whole groups, or as many in hex, and what stands beside them, can have."""
_APART = b"/" * 8
"""Whole groups that decode to nothing readable."""
_STRETCH, _LONGEST_STRETCH = 512, 8192
_ARCHIVES = re.compile(rb"UEsDB|H4sI[A-P]|/Td6WFoA|Qlpo[MNO]")
_IS_NUMBERS = bytes(ord("1" if octet in b"0123456789, \t\r\n" else "0") for octet in range(256))
_NUMBERS_RUN = b"1" * 20
_BEGIN = finder(rb"begin ")
_UU_BEGIN = re.compile(rb"begin (?:[0-7]{3,4} |(?<==ybegin ))")
_LESS_42 = bytes((octet - 42) % 256 for octet in range(256))
_BINARY = bytes(octet for octet in range(32) if octet not in b"\t\n\r\f\x1b")
_HEAD = 4096


@dataclass(eq=False)
class Opened:
    """Octets that were encoded in some way, `how`, and from which offset of the text on.

    `is_likely`: all of it was read as it was meant, or may have been; else it is what could be read in noise.
    """

    how: str
    octets: bytes
    start: int = 0
    is_likely: bool = True


def is_shaped(text: bytes) -> bool:
    """Whether a text may hold any that `bodies` or `short_bodies` finds."""
    return _SHAPED(text, 0) >= 0 or _BEGIN(text, 0) >= 0 or _LONG_LINE.match(text) is not None


def bodies(text: bytes) -> tuple[bytes, list[Opened]]:
    """Cut out long base64, such as bodies; returns the text without them, and what they hold.

    The last line, which may be a short word, stays in the text as well.
    """
    place = _body_from(text, 0)
    if place < 0:
        return text, []
    kinds = text.translate(_KINDS)
    rest: list[bytes] = []
    found: list[Opened] = []
    position = 0
    while place >= 0:
        lines = _LINES.match(kinds, place)
        end = lines.end() if lines else place + 1
        if lines and kinds.count(b"\n", place, end) >= _FEWEST_LINES and not _is_hex(text[place:end]):
            last = _ONES.match(kinds, end)
            letters = text[place : last.end() if last else end].translate(None, _NO_TOKEN)
            found += [
                Opened("base64", octets, place, is_likely=phase == 0)
                for phase, octets in enumerate(_phases(letters))
            ]
            rest.append(text[position:place])
            position = end
        place = _body_from(text, end)
    return b"\n".join((*rest, text[position:])) if found else text, found


def _body_from(text: bytes, start: int) -> int:
    """Where the next line begins, from an offset on, of which many letters of base64 are the first; or -1."""
    if start == 0 and _LONG_LINE.match(text):
        return 0
    place = _LONG_LINE_FROM(text, max(start - 1, 0))
    return place + 1 if place >= 0 else -1


def _is_hex(lines: bytes) -> bool:
    return not lines.translate(None, _HEX_DIGITS + b"\r\n")


def short_bodies(text: bytes) -> Iterator[Opened]:
    """Yield what is uuencoded, and what paragraphs hold that consist of letters of base64 alone.

    Most of these are words of a text.
    """
    if _BEGIN(text, 0) >= 0:
        if _UU_BEGIN.search(text):
            yield Opened("uuencoded", b"\n".join(_uudecoded(text)))
        if b"=ybegin " in text:
            yield Opened("yEnc", b"\n".join(_ydecoded(text)))
    place = _PARAGRAPH_START(text, 0)
    while place >= 0:
        end = _PARAGRAPH.match(text, place).end()  # type: ignore[union-attr]  # it begins there
        letters = text[place:end].translate(None, _NO_TOKEN)
        if len(letters) >= _SHORTEST_BODY:
            yield Opened("base64", next(_phases(letters)), place)
        place = _PARAGRAPH_START(text, end)


def _phases(letters: bytes) -> Iterator[bytes]:
    """Decode letters of base64 from each of the first four on."""
    return (octets_of(letters[phase:]) for phase in range(4))


def letters_in(text: bytes) -> bytes:
    """All letters of base64 in a text, as one run."""
    return text.translate(_STANDARD, _NO_TOKEN)


def tokens(text: bytes, standard: bytes, wanted: Wanted, *, otherwise: bool) -> Iterator[Opened]:
    """Yield what in all encoded tokens of a text can be read, or may hold what is wanted.

    `standard` are its letters of base64; `otherwise` is whether `told_in` says that there is something.
    """
    if len(standard) < wanted.fewest_letters:
        return
    place = wanted.anything_readable(standard, 0)
    if place < 0 and not otherwise:
        return
    # What can be read from each of four letters is searched as one text anyway.
    whole = [(0, len(standard))]
    stretches = whole if otherwise and wanted.foreign else _stretches(standard, place, wanted)
    together = _APART.join([standard[start:end] for start, end in stretches])
    if stretches:
        octets = _BETWEEN.join(_phases(together))
        kinds = octets.translate(_READABLE)
        if stretches != whole and _WIDE in kinds:
            octets = _BETWEEN.join(_phases(standard))
            kinds = octets.translate(_READABLE)
        yield from told("base64", octets, wanted, kinds)
    if otherwise:
        yield from (Opened("base64", digest) for digest in wanted.digested_in(standard))
        yield from _archives(standard)
    if otherwise or wanted.readable_in_hex(together, 0) >= 0:
        yield from _hex_tokens(text, wanted)


def _hex_tokens(text: bytes, wanted: Wanted) -> Iterator[Opened]:
    letters = letters_of(text)
    if letters.count(b"0x") >= _SHORTEST_BODY:
        letters = letters.replace(b"0x", b"")
    if runs := _runs(letters, letters.translate(_IS_HEX), _HEX_RUN):
        yield from (Opened("hex", octets) for octets in wanted.digested_in_hex(b" ".join(runs)))
        for octets in _hex_in(runs):
            yield from told("hex", octets, wanted)
    yield from (Opened("base32", octets) for octets in wanted.in_base32(letters))
    if any(word in letters for word in FUNCTIONS):
        for run in _runs(text, text.translate(_IS_NUMBERS), _NUMBERS_RUN):
            yield Opened("character codes", bytes(_numbers(run)))


def _numbers(run: bytes) -> Iterator[int]:
    position = 0
    while position >= 0:  # not all of them at once, each of which takes many times its size
        end = run.find(b",", position + _HEAD)
        for number in run[position : end if end >= 0 else len(run)].split(b","):
            digits = number.strip()
            if 1 < len(digits) < 4 and digits.isdigit() and int(digits) < 256:
                yield int(digits)
        position = end + 1 if end >= 0 else -1


def _stretches(standard: bytes, place: int, wanted: Wanted) -> list[tuple[int, int]]:
    """The stretches, of whole groups of four, in which enough can be read from some letter on, or in hex.

    They hold all of each row of readable characters, wherever in a group it begins: where it goes on behind a
    stretch, it is seen there again, or goes on no more than the margin. `place` is the first, -1 for none.
    """
    found: list[tuple[int, int]] = []
    size = _STRETCH
    while place >= 0:
        start, end = max(place - _MARGIN, 0) // 4 * 4, (place + size) // 4 * 4
        size = _STRETCH
        if found and found[-1][1] >= start:
            start = found.pop()[0]
            size = min(end - start, _LONGEST_STRETCH)
        found.append((start, end + _MARGIN))
        place = wanted.anything_readable(standard, end)
    return found


def _archives(standard: bytes) -> Iterator[Opened]:
    """Decode from where archives seem to begin: the first of each place in a group of four letters."""
    places: dict[int, int] = {}
    for match in _ARCHIVES.finditer(standard):
        if len(places) < 4:
            places.setdefault(match.start() % 4, match.start())
    for place in places.values():
        yield Opened("base64", next(_phases(standard[place:])))


def told(how: str, octets: bytes, wanted: Wanted, kinds: bytes = b"") -> Iterator[Opened]:
    """Yield what can be read in octets that were most likely decoded in vain; `kinds` if they are known."""
    if wanted.foreign and any(form in octets for form in wanted.foreign):
        yield Opened(how, octets, is_likely=False)
    kinds = kinds or octets.translate(_READABLE)
    runs = _runs(octets, kinds, b"1" * wanted.readable)
    if _WIDE in kinds:
        narrow = octets.replace(b"\0", b"")
        runs += _runs(narrow, narrow.translate(_READABLE), b"1" * wanted.readable)
    # A picture of one colour is a row of one letter, and so may be what that decodes to, again and again.
    fewest = wanted.fewest
    runs = [
        run for run in dict.fromkeys(runs) if len(set(run[:TELLING])) >= fewest or len(set(run)) >= fewest
    ]
    if runs and (max(map(len, runs)) >= TELLING or wanted.hinted(b"\n".join(runs))):
        yield Opened(how, b"\n".join(runs), is_likely=False)


def readable_in(octets: bytes) -> bytes:
    """Return the stretches of at least 16 readable characters, each on a line."""
    return b"\n".join(_runs(octets, octets.translate(_READABLE), b"1" * TELLING))


def _runs(octets: bytes, kinds: bytes, run: bytes) -> list[bytes]:
    found: list[bytes] = []
    start = kinds.find(run)
    while start >= 0:
        end = _ONES.match(kinds, start).end()  # type: ignore[union-attr]  # so many are there
        found.append(octets[start:end])
        start = kinds.find(run, end)
    return found


def _hex_in(runs: list[bytes]) -> Iterator[bytes]:
    """Decode runs of hex digits, from either of the first two."""
    for phase in (0, 1):
        even = [run[phase : phase + (len(run) - phase) // 2 * 2] for run in runs]
        yield bytes.fromhex(b"0d0a".join(even).decode("ascii"))


def _uudecoded(text: bytes) -> Iterator[bytes]:
    """Decode each file; it may be packed, so nothing may stand between its lines."""
    place = 0
    while (match := _UU_BEGIN.search(text, place)) is not None:
        start = text.find(b"\n", match.end())
        if start < 0:
            return
        place = text.find(b"\nend", start)
        place = len(text) if place < 0 else place
        lines: list[bytes] = []
        for line in text[start + 1 : place].split(b"\n"):
            with suppress(binascii.Error):  # no line of it
                lines.append(binascii.a2b_uu(line.rstrip(b"\r")))
        yield b"".join(lines)


def _ydecoded(text: bytes) -> Iterator[bytes]:
    """Decode what is in yEnc: each octet is 42 more, and some have a sign before them (yEnc draft 1.3)."""
    for piece in text.split(b"=ybegin ")[1:]:
        lines = piece.partition(b"=yend")[0].split(b"\n")[1:]
        first, *marked = b"".join(
            line.rstrip(b"\r") for line in lines if not line.startswith(b"=ypart")
        ).split(b"=")
        whole = [first.translate(_LESS_42)]
        whole += [bytes(((one[0] - 106) % 256,)) + one[1:].translate(_LESS_42) for one in marked if one]
        yield b"".join(whole)


def is_binary(octets: bytes) -> bool:
    """Whether octets are no text: more than one in fifty of the first is a control character.

    Every other octet of a text in UTF-16 is zero, and that is text.
    """
    head = octets[:_HEAD].rstrip(b"\0")
    if head.count(0) * 4 > len(head):
        head = head.replace(b"\0", b"")
    return (len(head) - len(head.translate(None, _BINARY))) * 50 > len(head)
