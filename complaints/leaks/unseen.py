"""What is seen of a text: takes UTF-8, leaves it without what nobody sees, look-alike letters as ASCII."""

import re
import unicodedata
from collections.abc import Callable

from complaints.leaks.scan import finder

_UNSEEN = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e01ef]+"
)
# What NFKC makes letters, digits and signs of ASCII of; and letters with the marks that they are composed of.
_ALIKE = re.compile(
    "[\xaa\xb2\xb3\xb9\xba\u02b0-\u02b8\u02e0-\u02e4\u1d2c-\u1d6a\u2070-\u209c\u2100-\u214f\u2460-\u24ff\ufe50-\ufe6b\uff01-\uff5e"
    "\U0001d400-\U0001d7ff\U0001f100-\U0001f16f]+"
)
_SHORT = 32
_MARK = ((b"\xcc", re.compile(rb"\xcc[\x80-\xbf]")), (b"\xcd", re.compile(rb"\xcd[\x80-\xaf]")))
_MARKS = re.compile(rb"\xcc[\x80-\xbf](?:\xcc[\x80-\xbf])*")
_ONE_LEAD = bytes(0xCC if octet == 0xCD else octet for octet in range(256))
"""With it all marks begin with one octet; what is no mark of these two stays as it is in NFKC."""
_MARKED = re.compile("[A-Za-z\xc0-\u02af\u0370-\u04ff]")
_SIGN = (
    rb"\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|[\x81\x82\x84\x85\x91-\x93])|\xc2[\xaa\xad\xb2\xb3\xb9\xba]|\xef[\xb8-\xbe]"
    rb"|\xca|\xcc|\xcd|\xcb[\xa0-\xa4]|\xf0(?:\x9d|\x9f[\x84\x85])|\xe1[\x85\x9e\xa0\xb4-\xb6]|\xd8\x9c|\xe3\x85\xa4|\xf3\xa0"
)
"""With what all of these begin in UTF-8."""
_BEYOND = bytes(ord(" " if octet < 0x80 else "x") for octet in range(256))
_STRETCH = re.compile(rb"xx*")
"""What is beyond ASCII, in what `_BEYOND` makes of a text: one letter is looked for faster than a class."""
_FEW, _MANY = 50_000, 100_000
_LOOK_ALIKE = str.maketrans(
    "\u0430\u0441\u0435\u04bb\u0456\u0458\u043a\u043c\u043e\u0440\u051b\u0455\u0442\u0443\u051d\u0445\u0501"
    "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0405\u0422\u0423\u0425"
    "\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u0131\u0251\u0261",
    "acehijkmopqstywxdABCEHIJKMOPSTYXaeikvoptuxABEZHIKMNOPTYXiag",
)
"""Letters of Cyrillic, Greek and phonetics that look like one of ASCII (Unicode UTS 39, confusables)."""
_OTHER = rb"(?:[\xce\xcf\xd0\xd1\xd3\xd4][\x80-\xbf]|\xc4\xb1|\xc9[\x91\xa1])"
_TAGS = rb"(?:<[^<>]*>)*"
_MIXED = (rb"[A-Za-z]" + _TAGS + _OTHER, _OTHER + _TAGS + rb"[A-Za-z]")
_IS_MIXED = finder(*_MIXED)
_HAS_ANY, _HAS_SIGN = finder(_SIGN, _OTHER), finder(_SIGN, *_MIXED)
_ASCII = bytes(range(0x80))


def looks_otherwise(text: bytes) -> bool:
    """Whether anything in UTF-8 looks otherwise than it is written."""
    beyond = text.translate(None, _ASCII)
    return (4 * len(beyond) > len(text) or _HAS_ANY(beyond, 0) >= 0) and _HAS_SIGN(text, 0) >= 0


def is_mixed(text: bytes) -> bool:
    """Whether a letter of another alphabet is beside one of ASCII: no language mixes them within a word."""
    return _IS_MIXED(text, 0) >= 0


def visible(text: bytes) -> bytes:
    """Take out what nobody sees, and fold look-alike letters to ASCII (NFKC)."""
    if any(lead in text and mark.search(text) for lead, mark in _MARK):
        # Marks belong to letters, which may be ASCII.
        text = _marked(_beyond_ascii(text, _BARE))
    return _beyond_ascii(text, _SEEN)


def _beyond_ascii(text: bytes, seen: "_Stretches") -> bytes:
    done: list[bytes] = []
    pieces: list[bytes] = []
    position = 0
    for match in _STRETCH.finditer(text.translate(_BEYOND)):
        start, end = match.span()
        pieces += (text[position:start], seen[text[start:end]])
        position = end
        if len(pieces) > _MANY:  # joining them takes many times their size
            done.append(b"".join(pieces))
            pieces.clear()
    return b"".join((*done, *pieces, text[position:]))


def in_latin(text: bytes) -> bytes:
    """Write the letters of other alphabets that look like one of ASCII as that."""
    return _beyond_ascii(text, _IN_LATIN)


def _marked(text: bytes) -> bytes:
    """Compose letters with the marks behind them."""
    pieces: list[bytes] = []
    position = 0
    for match in _MARKS.finditer(text.translate(_ONE_LEAD)):
        start, end = match.span()
        letter = text[max(start - 2, position) : start].decode("utf-8", "ignore")[-1:]
        if _MARKED.match(letter):
            composed = unicodedata.normalize("NFKC", letter + text[start:end].decode("utf-8", "ignore"))
            pieces += (text[position : start - len(letter.encode())], composed.encode())
            position = end
    return b"".join((*pieces, text[position:]))


class _Stretches(dict[bytes, bytes]):
    """What is made of each stretch beyond ASCII; a message has few different short ones."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, stretch: bytes) -> bytes:
        made = self._make(stretch.decode("utf-8", "ignore")).encode("utf-8", "ignore")
        if len(stretch) <= _SHORT:
            if len(self) > _FEW:
                self.clear()
            self[stretch] = made
        return made


def _bare(text: str) -> str:
    return _UNSEEN.sub("", text)


def _seen(text: str) -> str:
    return _ALIKE.sub(_folded, _bare(text))


def _folded(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match[0])


_BARE, _SEEN = _Stretches(_bare), _Stretches(_seen)
_IN_LATIN = _Stretches(lambda text: text.translate(_LOOK_ALIKE))
