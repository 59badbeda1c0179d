"""Charsets in which an identity looks different from ASCII: takes a text, leaves it in UTF-8.

Most need no decoding: an address in ASCII stands in them as it is.
"""

import re
from collections.abc import Iterator

from complaints.leaks.readings import in_utf8

_DECLARED = re.compile(rb"charset\*?\s{0,5}=(?:3d)?\s{0,5}[\"']?([a-z0-9][a-z0-9_.:-]{1,40})")
_WIDE = re.compile(r"(?:utf|ucs|iso-10646-ucs|unicode)[_-]?(?:16|32|2|4)?(?:[_-]?[bl]e)?|unicode-1-1.*")
_SHIFTED = {"utf-7": b"+", "utf7": b"+", "unicode-1-1-utf-7": b"+"}
_EBCDIC = re.compile(r"(?:cp|ibm|csibm|ebcdic.*)-?0?(?:37|273|424|500|875|1026|1140)?(?:_.*)?")
_EBCDIC_PAGES = re.compile(r"ebcdic|0?37\Z|273|424|500|875|1026|1140")


def declared(lower: bytes) -> set[str]:
    """The charsets that a text, in lower case, names."""
    if b"charset" not in lower:
        return set()
    return {name.decode("ascii").rstrip(".:-") for name in _DECLARED.findall(lower)}


def decoded(octets: bytes, charsets: set[str], *, foreign: bool) -> Iterator[tuple[str, bytes]]:
    """Yield (charset, the octets in UTF-8) for each charset in which they may say something else.

    `foreign`: what is looked for holds letters beyond ASCII.
    """
    is_ascii, has_zeros = octets.isascii(), b"\0" in octets
    for charset in sorted(charsets):
        if charset in _SHIFTED:
            applies = _SHIFTED[charset] in octets
        elif _WIDE.fullmatch(charset):
            applies = has_zeros
        elif _EBCDIC.fullmatch(charset) and _EBCDIC_PAGES.search(charset):
            applies = not is_ascii
        elif charset.startswith(("iso-2022", "iso2022", "csiso2022", "hz")):
            applies = foreign and (b"\x1b" in octets or b"~{" in octets)
        else:
            applies = foreign and not is_ascii
        if applies:
            text = in_utf8(octets, charset)
            if text != octets:
                yield charset, text
