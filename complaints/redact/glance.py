"""One look at a text that tells which secrets may stand in it, at the speed of searching bytes.

Nearly all of a mail holds nothing of its reporter. Patterns for every spelling (`spellings.py`) are slow
beside this: the text is made plain in a few views, each by one operation over all of it (lower case, tags
taken out, escapes undone, look-alike letters folded), and what is no letter or digit is dropped. A secret
can only stand where its letters follow each other in one of the views. A view may say too much, and then
the patterns decide; it must never say too little.
"""

import binascii
import re
import unicodedata
from collections.abc import Callable, Iterator

_NO_LETTERS = bytes(set(range(256)) - set(b"abcdefghijklmnopqrstuvwxyz0123456789"))
_NO_ALNUM = _NO_LETTERS.translate(None, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER = bytes(range(256)).lower()
_ALNUM = rb"(?:3[0-9]|[46][1-9a-f]|[57][0-9a])"
# With what an escape begins, and what it may look like; without the sign nothing is searched for.
_MAY_BE_ESCAPED = tuple(
    (sign, re.compile(pattern))
    for sign, pattern in zip(
        (b"%", b"=", b"&", b"\\", b"*"),
        (
            rb"%(?:25|3d){0,5}(?:u00)?" + _ALNUM,
            rb"=(?:25|3d){0,5}(?:u00)?" + _ALNUM,
            rb"&(?:amp;|#0{0,6}38;|#x0{0,6}26;){0,5}(?:#|shy|zw|nobr|zero|lrm|rlm|commat|period|equals)",
            rb"\\[ux0-9{]",
            rb"\*[0-9]{1,3}\*?=",
        ),
        strict=True,
    )
)
_NEAR = 400
"""Octets before and behind an escape that belong to the same word, with the tags and gaps inside it."""
_TAG = re.compile(rb"<[^<>]{0,300}>")
_PERCENT = re.compile(rb"[%=](?:25|3d){0,5}(?:u00)?([2-7][0-9a-f])")
_NUMBER = re.compile(
    rb"&(?:amp;|#0{0,6}38;|#x0{0,6}26;){0,5}#(?:x0{0,6}([0-9a-f]{2,6})|0{0,6}([0-9]{2,7}));?"
)
_NAMED = re.compile(
    rb"&(?:amp;){0,5}(?:(?:shy|zwnj|zwj|lrm|rlm|nobreak|zerowidthspace|commat|equals|period);?|[a-z]{2,20};)"
)
_HEX = re.compile(rb"\\{1,4}(?:u\{?0{0,5}|x|0{0,5})([0-9a-f]{2})\}?")
_OCTAL = re.compile(rb"\\{1,4}0{0,2}([0-7]{2,3})")
_CONTINUED = re.compile(rb"\"?;\s{0,5}[a-z-]{1,20}\*\d{1,3}\*?=\"?")
# First octets, in UTF-8, of what NFKC folds to ASCII letters: full-width, small, circled, mathematical.
_TWINS = (b"\xef\xbc", b"\xef\xbd", b"\xef\xb9", b"\xe2\x92", b"\xe2\x93", b"\xf0\x9d")

_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_NO_TOKEN = bytes(octet for octet in range(256) if octet not in _BASE64)
_FREQUENT_TWINS = (b"\xef\xbd", b"\xf0\x9d")
_NO_TWIN = bytes(set(range(256)) - set(b"".join(_FREQUENT_TWINS)))
_FEWEST_TWINS = 6
# A run of one class is searched as a run of ones: the longer it is, the faster that goes.
_IS_READABLE = bytes(ord("1") if 0x20 <= octet < 0x7F else ord("0") for octet in range(256))
_IS_HEX = bytes(ord("1") if octet in b"0123456789abcdefABCDEF" else ord("0") for octet in range(256))
_READABLE_RUN = b"1" * 16
_HEX_RUN = b"1" * 12
_DIGEST = 32
_APART = b"\0\0\0\0"
HEX = re.compile(rb"[0-9A-Fa-f]{12,}+")


def views(lower: bytes, *, escapes: bool = True) -> Iterator[tuple[bytes, Callable[[], bytes] | None]]:
    """Yield the letters and digits of a text in lower case, as each way of reading it shows them.

    With each view comes the same text with its gaps left open: a string that stands as often there stands
    nowhere in pieces. None where something was undone. Without `escapes` only as it stands, and without its
    tags.
    """
    yield lower.translate(None, _NO_LETTERS), lambda: lower
    if b"<" in lower:
        yield _TAG.sub(b"", lower).translate(None, _NO_LETTERS), lambda: _TAG.sub(b"\n", lower)
    if not escapes:
        return
    if around := _around_escapes(lower):
        for plain in _unescaped(around):
            yield plain.translate(None, _NO_LETTERS), None
            if b"<" in plain:
                yield _TAG.sub(b"", plain).translate(None, _NO_LETTERS), None
    if not lower.isascii() and any(twin[:1] in lower and twin in lower for twin in _TWINS):
        folded = unicodedata.normalize("NFKC", lower.decode("utf-8", "ignore")).lower().encode()
        yield folded.translate(None, _NO_LETTERS), None
        yield _TAG.sub(b"", folded).translate(None, _NO_LETTERS), None


def _around_escapes(lower: bytes) -> bytes:
    """Return the stretches in which letters may be escaped: nearly always nothing, or little."""
    starts = [
        match.start()
        for sign, pattern in _MAY_BE_ESCAPED
        if sign in lower
        for match in pattern.finditer(lower)
    ]
    if not starts:
        return b""
    if len(starts) > 2:
        starts.sort()
    pieces: list[list[int]] = []
    end = -1
    for start in starts:
        if not pieces or start - _NEAR > end:
            pieces.append([max(0, start - _NEAR), start + _NEAR])
        else:
            pieces[-1][1] = start + _NEAR
        end = pieces[-1][1]
    return b"\n".join([lower[first:last] for first, last in pieces])


def _unescaped(lower: bytes) -> list[bytes]:
    """Undo escapes, of escapes too; a backslash before digits may be octal or hexadecimal."""
    plain = lower
    for _ in range(3):
        before = plain
        if b"%" in plain or b"=" in plain:
            plain = _PERCENT.sub(_octet, plain)
        if b"&" in plain:
            plain = _NAMED.sub(b"", _NUMBER.sub(_numbered, plain))
        if plain == before:
            break
    if b"*" in plain:
        plain = _CONTINUED.sub(b"", plain)
    if b"\\" not in plain:
        return [plain.lower()]
    octal = _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 255]), plain)
    return [_HEX.sub(_octet, plain).lower(), octal.lower()]


def _octet(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode("ascii"))


def _numbered(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16) if match[1] else int(match[2])
    return chr(code).encode("utf-8", "ignore") if code < 0x110000 else b""


def letters_of(private: str) -> bytes:
    """Return the longest run of ASCII letters and digits in a private string: what a view must hold."""
    runs = re.findall(rb"[a-z0-9]+", private.lower().encode("utf-8"))
    return max(runs, key=len, default=b"")


def glued(text: bytes) -> bytes:
    """Return all letters that base64 and hex consist of, in the standard alphabet, without what is between.

    Words before and behind a token do no harm: of four letters in a row one begins a group.
    """
    return text.translate(_STANDARD, _NO_TOKEN)


def opened(letters: bytes, *, hexadecimal: bool = True) -> bytes:
    """Return what glued letters hold: as base64 read from each letter, and as hex, one behind the other.

    Four letters are three octets, so reading from the next letter is the same bits moved by six; the moves by
    two, four and six are all there are. `hexadecimal`: there may be hex.
    """
    whole = octets_of(letters + b"AAAA")
    bits, size = int.from_bytes(whole, "big"), len(whole) + 1
    pieces = [whole, *[(bits << by).to_bytes(size, "big") for by in (2, 4, 6)]]
    if hexadecimal and (runs := _runs(letters, _IS_HEX, _HEX_RUN)):
        for phase in (0, 1):
            digits = [run[phase : phase + (len(run) - phase) // 2 * 2] for run in runs]
            pieces.append(bytes.fromhex(_APART.hex().join(map(bytes.decode, digits))))
    return _APART.join(pieces)


def _runs(text: bytes, kinds: bytes, shortest: bytes) -> list[bytes]:
    """Return the stretches of one class of octets, told by a table that makes them ones."""
    told = text.translate(kinds)
    runs: list[bytes] = []
    start = told.find(shortest)
    while start >= 0:
        end = told.find(b"0", start)
        end = end if end >= 0 else len(text)
        runs.append(text[start:end])
        start = told.find(shortest, end)
    return runs


def hex_digits(letters: bytes) -> int:
    """Tell whether hex digits stand in a row: as many as a digest has (32), as count at all (12), or 0."""
    told = letters.translate(_IS_HEX)
    if _HEX_RUN not in told:
        return 0
    return _DIGEST if b"1" * _DIGEST in told else len(_HEX_RUN)


def has_twins(octets: bytes) -> bool:
    """Tell whether decoded octets hold several letters that only look like ASCII; noise has few."""
    fewest = _FEWEST_TWINS + (len(octets) >> 15)
    # Without all other octets there is little to count in, and no pair of these has gone.
    few = octets.translate(None, _NO_TWIN)
    return any(few.count(twin) >= fewest <= octets.count(twin) for twin in _FREQUENT_TWINS)


def readable_in(octets: bytes) -> bytes:
    """Return the stretches of at least 16 readable characters, each on a line; none in most noise."""
    return b"\n".join(_runs(octets, _IS_READABLE, _READABLE_RUN))


def holds(text: bytes, needles: tuple[bytes, ...]) -> bool:
    """Tell whether any of a few strings stands in a text; a loop costs less here than a generator."""
    for needle in needles:  # noqa: SIM110
        if needle in text:
            return True
    return False


def letters_in(octets: bytes) -> bytes:
    """Return the ASCII letters and digits, in lower case."""
    return octets.translate(_LOWER, _NO_ALNUM)


def octets_of(letters: bytes) -> bytes:
    """Decode letters of the standard alphabet; up to three at the end that fill no group are dropped."""
    return binascii.a2b_base64(letters[: len(letters) // 4 * 4])
