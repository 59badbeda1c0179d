"""The ways a program or a person reads a text: takes octets, leaves what each way makes of them.

Each way is one operation over the whole text, and works on what the one before left, so that escapes inside
encoded words inside quoted-printable are seen through. Nothing is asked about what the message says it is:
a text is read in every way that could change it.
"""

import binascii
import re
import unicodedata
from dataclasses import dataclass
from html.entities import html5

from complaints.leaks.reading import Reading

ROUNDS = 6
"""Escapes inside each other, of different kinds, that are undone; of one kind it may be any number."""
_QUOTED = re.compile(rb"=(?:[0-9A-Fa-f]{2}|[ \t]*+\r?\n)")
_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")
_DAMAGED = re.compile(rb"=([0-9A-Fa-f]{2}[^\s\"'>]{4,})")
_ENCODED_WORDS = re.compile(
    rb"=\?[^?\s]{1,60}\?[bBqQ]\?[^?]*+\?=(?>(?:\s*+=\?[^?\s]{1,60}\?[bBqQ]\?[^?]*+\?=)*)"
)
_ENCODED_WORD = re.compile(rb"=\?([^?\s*]{1,60})(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*+)\?=")
_CONTINUED = re.compile(rb"\"?\s{0,5};\s{0,9}[A-Za-z-]{1,20}\*\d{1,4}\*?=\"?")
_CONCATENATED = re.compile(rb"['\"`]\s{0,9}\+\s{0,9}['\"`]")
_JOINTS = (b"'+", b"' +", b'"+', b'" +', b"`+", b"` +")
_PERCENT = re.compile(rb"(%(?>(?:25)*)(?:u[0-9A-Fa-f]{4}|[0-9A-Fa-f]{2}))")
_ENTITY = re.compile(rb"(&(?>(?:amp;|#38;|#x26;)*)(?:#[xX][0-9A-Fa-f]{1,12}|#[0-9]{1,12}|[A-Za-z]{2,24});?)")
_BACKSLASH = re.compile(
    rb"(\\++(?:u\{[0-9A-Fa-f]{1,8}\}|[uU]0*[0-9A-Fa-f]{2,4}|x[0-9A-Fa-f]{2}|0{2,4}[2-7][0-9A-Fa-f](?![0-9A-Fa-f]) ?"
    rb"|[0-7]{3}|[2-7][0-9A-Fa-f] ?|[/@.]|\r?\n))"
)
_CUT_ESCAPE = re.compile(rb"[%&\\][^\s%&\\]{0,12}\r?\n[ \t]+")
_BESIDE = 80
_NO_BASE64 = bytes(
    octet
    for octet in range(256)
    if octet not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)
_TAG = re.compile(rb"<[^<>]*+>")
_UNSEEN = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e01ef]+"
)
_NO_CHARSETS = frozenset(
    ("utf-8", "utf8", "us-ascii", "ascii", "idna", "punycode", "unicode_escape", "unicode-escape", "raw_unicode_escape",
     "raw-unicode-escape", "undefined")
)  # fmt: skip
"""Nothing to decode, or names of things in Python that are no charset, some of which take quadratic time."""
_FEW = 50_000


class _Codes(dict[bytes, bytes]):
    """What each escape stands for, found out once and then kept; a message has few different ones."""

    def __missing__(self, code: bytes) -> bytes:
        if len(self) > _FEW:
            self.clear()
        self[code] = found = _meant(code)
        return found


def _meant(code: bytes) -> bytes:
    """What one escape stands for, in UTF-8; itself when for nothing."""
    if code.startswith(b"%"):
        return _char(int(code[-4:], 16)) if b"u" in code else bytes.fromhex(code[-2:].decode("ascii"))
    if code.startswith(b"&"):
        return _entity(code)
    text = code.lstrip(b"\\")
    if text[:1] in b"uUx":
        return _char(int(text[1:].strip(b"{}"), 16))
    digits = text.strip()
    if not digits or digits in b"/@.":
        return digits  # a line that goes on, or a character that needed no escape
    return _char(int(digits, 8 if len(digits) == 3 else 16))


def _entity(code: bytes) -> bytes:
    name = code.rstrip(b";").rpartition(b";")[2].removeprefix(b"&").decode("ascii")
    if name[:2] in {"#x", "#X"}:
        return _char(int(name[2:], 16))
    if name.startswith("#"):
        return _char(int(name[1:]))
    text = html5.get(f"{name};") or html5.get(f"{name.lower()};")
    return code if text is None else text.encode("utf-8")


def _char(number: int) -> bytes:
    return chr(number).encode("utf-8", "ignore") if number < 0x110000 else b""


_CODES = _Codes()


@dataclass(frozen=True)
class Read:
    """All readings of a text; `whole` are those in which encoded tokens stand unbroken.

    `finished` is False when there were more escapes inside each other than are undone.
    """

    readings: list[Reading]
    whole: list[bytes]
    finished: bool


def read(text: bytes) -> Read:
    """Read a text, which holds no zeros, in every way."""
    bases = [Reading("", text)]
    aside: list[Reading] = []
    if b"=?" in text and (words := _around_words(text)):
        aside.append(Reading("encoded words", words))
    if b"=" in text and _QUOTED.search(text):
        bases.append(Reading("quoted-printable", binascii.a2b_qp(_SOFT_BREAK.sub(b"=", text))))
        # Where the text is not encoded, what looks like a code behind a sign of equality is none.
        if damaged := _DAMAGED.findall(text):
            aside.append(Reading("", b"\n".join(damaged)))
    done = Read(bases[:-1], [], finished=True)
    finished = True
    for base in (bases[-1], *aside):
        finished &= _see_through(base, done)
    return Read(done.readings, done.whole, finished)


def _see_through(base: Reading, done: Read) -> bool:
    """Add all readings of a base; returns whether all escapes are undone."""
    last = base
    done.readings.append(base)

    def then(how: str, octets: bytes) -> None:
        nonlocal last
        if octets != last.octets:
            last = Reading(f"{last.how}, {how}" if last.how else how, octets)
            done.readings.append(last)

    if b"\n " in last.octets or b"\n\t" in last.octets:
        then("folded", _CUT_ESCAPE.sub(_mended, last.octets))
    if b"*0" in last.octets or b"*1" in last.octets:
        then("continued parameters", _CONTINUED.sub(b"", last.octets))
    for _ in range(ROUNDS):
        before = last
        then("escaped", _unescaped(last.octets))
        if before is last:
            break
    finished = before is last or _unescaped(last.octets) == last.octets
    if b"*1" in last.octets and before is not last:
        then("continued parameters", _CONTINUED.sub(b"", last.octets))
    done.whole.append(last.octets)
    if any(joint in last.octets for joint in _JOINTS):
        then("concatenated", _CONCATENATED.sub(b"", last.octets))
    if not last.octets.isascii():
        then("invisible or look-alike letters", _visible(last.octets))
    if b"<!--" in last.octets:
        then("split by comments", _uncommented(last.octets))
    if b"<" in last.octets:
        then("split by tags", _TAG.sub(b"", last.octets))
    return finished


def _mended(match: re.Match[bytes]) -> bytes:
    return b"".join(match[0].split())


def _around_words(text: bytes) -> bytes:
    """Decode encoded words; returns them with what stands beside them, each on a line."""
    pieces: list[bytes] = []
    end = 0
    for match in _ENCODED_WORDS.finditer(text):
        before = text[max(end, match.start() - _BESIDE) : match.start()]
        behind = text[match.end() : match.end() + _BESIDE]
        pieces.append(before + _words(match) + behind)
        end = match.end()
    return b"\n".join(pieces)


def _words(match: re.Match[bytes]) -> bytes:
    """Decode encoded words that follow each other (RFC 2047 §6.2), to UTF-8."""
    found: list[tuple[str, bytes]] = []
    for charset, kind, payload in _ENCODED_WORD.findall(match[0]):
        octets = base64_octets(payload) if kind in b"bB" else binascii.a2b_qp(payload, header=True)
        name = charset.decode("ascii", "replace").lower()
        if found and found[-1][0] == name:
            octets = found.pop()[1] + octets
        found.append((name, octets))
    return b"".join(in_utf8(octets, name) for name, octets in found)


def in_utf8(octets: bytes, charset: str) -> bytes:
    """Octets of a charset in UTF-8; as they are when Python knows no such charset."""
    if charset in _NO_CHARSETS:
        return octets
    try:
        return octets.decode(charset, "ignore").encode("utf-8", "ignore")
    except (LookupError, ValueError):
        return octets


def base64_octets(letters: bytes) -> bytes:
    """Decode the letters of the standard alphabet among these octets; what fills no group is zeros."""
    whole = letters.translate(None, _NO_BASE64)
    return binascii.a2b_base64(whole + b"A" * (-len(whole) % 4))


def _unescaped(text: bytes) -> bytes:
    """Undo percent-encoding, HTML entities and the escapes of scripts and style sheets, once each."""
    for sign, pattern in ((b"%", _PERCENT), (b"&", _ENTITY), (b"\\", _BACKSLASH)):
        if sign in text:
            pieces = pattern.split(text)
            if len(pieces) > 1:
                pieces[1::2] = map(_CODES.__getitem__, pieces[1::2])
                text = b"".join(pieces)
    return text


def _visible(text: bytes) -> bytes:
    """Take out what nobody sees, and fold look-alike letters to ASCII (NFKC)."""
    bare = _UNSEEN.sub("", text.decode("utf-8", "ignore"))
    if not unicodedata.is_normalized("NFKC", bare):
        bare = unicodedata.normalize("NFKC", bare)
    return bare.encode("utf-8", "ignore")


def _uncommented(text: bytes) -> bytes:
    first, *rest = text.split(b"<!--")
    return b"".join((first, *map(_behind_comment, rest)))


def _behind_comment(piece: bytes) -> bytes:
    comment, end, behind = piece.partition(b"-->")
    return behind if end else comment
