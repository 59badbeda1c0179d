"""Finding the links in a script.

Takes the text of one; leaves the absolute URLs in it. No script is run: where one only puts together, turns
round or decodes literals, the result is read.
"""

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote

from complaints.encodings import decode_base64, decode_text
from complaints.text_links import schemed, trim

_LONGEST = 200_000
_ATOB = re.compile(r"atob\s*\(\s*['\"]([A-Za-z0-9+/=_-]{8,})['\"]")
_UNESCAPE = re.compile(r"(?:unescape|decodeURI(?:Component)?)\s*\(\s*['\"]([^'\"]{8,})['\"]")
_CHAR_CODES = re.compile(r"fromCharCode\s*\(\s*([0-9a-fA-FxX,\s]{8,})\)")
_CHAR_CODE = re.compile(r"0[xX][0-9a-fA-F]{1,4}|\d{1,5}")
_ESCAPE = re.compile(r"\\(?:u\{?([0-9a-fA-F]{4,6})\}?|x([0-9a-fA-F]{2}))")
_ADDED = re.compile(r"(['\"])\s*\+\s*\1")
_LISTED = re.compile(r"(['\"])\s*,\s*\1")
# A place without its scheme, where a script sends the reader.
_SENT_TO = re.compile(
    r"(?:location(?:\.href)?\s*=|(?:open|replace|assign)\s*\()\s*['\"](//[a-z0-9.-]{4,253}[^'\"\s]{0,2000})",
    re.IGNORECASE,
)


def links_of_script(text: str) -> Iterator[str]:
    """Give the URLs that stand in a script, also where literals are decoded or put together."""
    text = text[:_LONGEST]
    for one in (unescape(text).replace("\\/", "/"), *_decoded(text)):
        if ":/" in one or ":\\" in one:
            yield from map(trim, schemed(one))
        if "//" in one:
            yield from ("http:" + match[1] for match in _SENT_TO.finditer(one))


def _decoded(text: str) -> Iterator[str]:
    """Give the text, or literals of it, as the script itself reads them."""
    if "\\x" in text or "\\u" in text:
        yield _ESCAPE.sub(lambda match: chr(min(int(match[1] or match[2], 16), 0x10FFFF)), text)
    if "+" in text:
        yield _ADDED.sub("", text)
    if ".join" in text:
        yield _LISTED.sub("", text)
    if "ptth" in text and "reverse" in text:
        yield text[::-1]
    if "atob" in text:
        for match in _ATOB.finditer(text):
            literal = decode_text(decode_base64(match[1].encode()), None)
            # A place without its scheme is sent to.
            yield f"location='{literal}'" if literal.startswith("//") else literal
    if "unescape" in text or "decodeURI" in text:
        yield from (unquote(match[1]) for match in _UNESCAPE.finditer(text))
    if "fromCharCode" in text:
        yield from (_characters(match[1]) for match in _CHAR_CODES.finditer(text))


def _characters(codes: str) -> str:
    numbers = (number.strip() for number in codes[:40_000].split(","))
    values = [int(n, 16 if n[:2].lower() == "0x" else 10) for n in numbers if _CHAR_CODE.fullmatch(n)]
    return "".join(map(chr, values))
