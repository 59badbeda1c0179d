"""What is seen of a text: takes UTF-8, leaves it without what nobody sees, look-alike letters as ASCII."""

import re
import unicodedata

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
_SHORT_SIGNS = 32
_MARK = ((b"\xcc", re.compile(rb"\xcc[\x80-\xbf]")), (b"\xcd", re.compile(rb"\xcd[\x80-\xaf]")))
_MARKS = re.compile("[\u0300-\u036f]+")
_MARKED = re.compile("[A-Za-z\xc0-\u02af\u0370-\u04ff]")
_SIGN = (
    rb"\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|[\x81\x82\x84\x85\x91-\x93])|\xc2[\xaa\xad\xb2\xb3\xb9\xba]|\xef[\xb8-\xbe]"
    rb"|\xca|\xcc|\xcd|\xcb[\xa0-\xa4]|\xf0(?:\x9d|\x9f[\x84\x85])|\xe1[\x85\x9e\xa0\xb4-\xb6]|\xd8\x9c|\xe3\x85\xa4|\xf3\xa0"
)
"""With what all of these begin in UTF-8."""
HAS_SIGN = finder(_SIGN)
_FROM_SIGNS = re.compile(rb"([\xc2\xca-\xcd\xd8\xe1-\xe3\xef\xf0\xf3][\x80-\xff]*)")
"""From the first of these octets on; in UTF-8 they stand nowhere else."""
_FEW = 50_000


def visible(text: bytes) -> bytes:
    """Take out what nobody sees, and fold look-alike letters to ASCII (NFKC)."""
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode("utf-8", "ignore").encode()
    pieces = _FROM_SIGNS.split(text)
    if any(lead in text and mark.search(text) for lead, mark in _MARK):
        # Marks belong to letters, which may be ASCII.
        pieces[1::2] = map(_bare, pieces[1::2])
        pieces = _FROM_SIGNS.split(_marked(b"".join(pieces).decode()).encode())
    # What is done to them depends on nothing beside them.
    pieces[1::2] = map(_SIGNS.__getitem__, pieces[1::2])
    return b"".join(pieces)


def _bare(signs: bytes) -> bytes:
    return _UNSEEN.sub("", signs.decode()).encode()


def _marked(text: str) -> str:
    """Compose letters with the marks behind them."""
    pieces: list[str] = []
    position = 0
    for match in _MARKS.finditer(text):
        start = match.start() - 1
        if start >= position and _MARKED.match(text, start):
            pieces += (text[position:start], unicodedata.normalize("NFKC", text[start : match.end()]))
            position = match.end()
    return "".join((*pieces, text[position:]))


def _seen(signs: bytes) -> bytes:
    bare = _UNSEEN.sub("", signs.decode("utf-8", "ignore"))
    return _ALIKE.sub(_folded, bare).encode("utf-8", "ignore")


class _Signs(dict[bytes, bytes]):
    """What is seen of each stretch beyond ASCII; a message has few different short ones."""

    def __missing__(self, signs: bytes) -> bytes:
        found = _seen(signs)
        if len(signs) <= _SHORT_SIGNS:
            if len(self) > _FEW:
                self.clear()
            self[signs] = found
        return found


_SIGNS = _Signs()


def _folded(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match[0])
