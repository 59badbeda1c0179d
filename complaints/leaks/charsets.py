"""Charsets in which an identity looks different from ASCII: takes a text, leaves it in UTF-8.

Most need no decoding: an address in ASCII stands in them as it is.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from complaints.leaks.encoded_words import in_utf8
from complaints.leaks.scan import finder

_CHARSET = finder(rb"(?i)charset")
_LONGEST = 80
_DECLARED = re.compile(rb"charset\*?\s{0,5}=(?:3d)?\s{0,5}[\"']?([a-z0-9][a-z0-9_.:-]{1,40})")
_WIDE = re.compile(r"(?:utf|ucs|iso-10646-ucs|unicode)[_-]?(?:16|32|2|4)?(?:[_-]?[bl]e)?|unicode-1-1.*")
_SHIFTED = frozenset(("utf-7", "utf7", "unicode-1-1-utf-7"))
_EBCDIC = re.compile(r"(?:cp|ibm|csibm|ebcdic.*)-?0?(?:37|273|424|500|875|1026|1140)?(?:_.*)?")
_EBCDIC_PAGES = re.compile(r"ebcdic|0?37\Z|273|424|500|875|1026|1140")

_TWO_OCTETS = (
    "gb", "big5", "cp93", "cp94", "cp95", "ms932", "ms949", "shift", "sjis", "x-sjis", "windows-31j", "euc",
    "x-euc", "ks",
)  # fmt: skip
_FULL_WIDTH = re.compile(rb"[\xa2\xa3][\xb0-\xfe\x40-\x7e\xa1-\xaf]|\x82[\x4f-\x9a]")
"""Letters of ASCII in full width, in such charsets."""


def declared(text: bytes) -> set[str]:
    """The charsets that a text names."""
    found: set[str] = set()
    place = _CHARSET(text, 0)
    while place >= 0:
        if match := _DECLARED.match(text[place : place + _LONGEST].lower()):
            found.add(match[1].decode("ascii").rstrip(".:-"))
        place = _CHARSET(text, place + 1)
    return found


def decoded(octets: bytes, charsets: set[str], *, foreign: bool) -> Iterator[tuple[str, bytes]]:
    """Yield (charset, the octets in UTF-8) for each charset in which they may say something else.

    `foreign`: what is looked for holds letters beyond ASCII.
    """
    for charset in sorted(charsets):
        kind = _kind(charset)
        if kind == "shifted":
            applies = b"+"[0] in octets
        elif kind == "wide":
            applies = 0 in octets
        elif kind == "other":
            applies = not octets.isascii()
        elif kind == "escaped":
            applies = 0x1B in octets or b"~"[0] in octets
        elif kind == "of two octets":
            applies = _FULL_WIDTH.search(octets) is not None or (foreign and not octets.isascii())
        else:
            applies = foreign and not octets.isascii()
        if applies:
            text = in_utf8(octets, charset)
            if text != octets:
                yield charset, text


@lru_cache(maxsize=1024)
def _kind(charset: str) -> str:
    """How a charset writes letters of ASCII."""
    if charset in _SHIFTED:
        return "shifted"
    if _WIDE.fullmatch(charset):
        return "wide"
    if _EBCDIC.fullmatch(charset) and _EBCDIC_PAGES.search(charset):
        return "other"
    if charset.startswith(_TWO_OCTETS):
        return "of two octets"
    return "escaped" if charset.startswith(("iso-2022", "iso2022", "csiso2022", "hz")) else "as they are"
