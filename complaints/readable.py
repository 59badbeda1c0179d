"""What a mail reader makes of a part, whatever its labels say.

Takes a leaf part; leaves its text and whether that is running text, a page, or a calendar. Labels are
believed until the bytes say otherwise: pages called plain text, encodings named wrongly or not at all.
"""

import binascii
import re
from typing import NamedTuple

from complaints.encodings import decode_base64, decode_text
from complaints.message import Part

_PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml", "image/svg+xml", "text/x-amp-html"})
_PAGE_NAMES = (".html", ".htm", ".shtml", ".svg", ".xhtml", ".mht")
_CARD_TYPES = frozenset({"text/calendar", "text/vcard", "text/x-vcard", "text/directory", "application/ics"})
_CARD_NAMES = (".ics", ".vcf", ".vcs")
_UNTYPED = frozenset(
    {"application/octet-stream", "application/unknown", "application/x-unknown", "application/html"}
)
# What has links in it and is neither text nor page: only what begins like a link counts there, no bare name.
_CODE_TYPES = frozenset(
    f"application/{name}"
    for name in ("json", "xml", "rtf", "javascript", "x-javascript", "ecmascript", "hta", "internet-shortcut")
) | {"text/javascript", "text/x-javascript", "text/vbscript"}
_CODE_NAMES = (
    *(
        ".url",
        ".website",
        ".webloc",
        ".desktop",
        ".js",
        ".jse",
        ".mjs",
        ".vbs",
        ".hta",
        ".wsf",
        ".ps1",
        ".bat",
        ".cmd",
    ),
    *(".xml", ".json", ".rtf", ".iqy", ".jnlp", ".xsl", ".library-ms", ".search-ms", ".settingcontent-ms"),
)
_UUENCODED = frozenset({"x-uuencode", "uuencode", "x-uue"})
_UU_BEGIN = re.compile(rb"(?m)^begin [0-7]{3,4} [^\r\n]{1,200}\r?\n")
_PAGE_START = re.compile(
    r"(?:\ufeff|\s)*(?:<!--.{0,400}?-->\s*)?<(?:!doctype|html|head|body|meta|table|div|p|a|center|style|svg)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_BASE64_LINES = re.compile(rb"\s*(?>(?:[A-Za-z0-9+/]{40,100}\r?\n){1,3})[A-Za-z0-9+/=\r\n]*+\s*\Z")
_META_CHARSET = re.compile(
    rb"(?i)<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*['\"]?([a-z0-9_.:-]{2,40})"
)
_FOLD = re.compile(r"\r?\n[ \t]")
# RFC 5545 §3.8 and RFC 6350 §6: what people see or follow, not who else is invited, nor identifiers.
_SHOWN = re.compile(
    r"(?im)^((?:item\d+\.)?(?:URL|ATTACH|DESCRIPTION|SUMMARY|LOCATION|COMMENT|CONTACT|CONFERENCE|IMAGE|SOURCE|STYLED-DESCRIPTION"
    r"|ORGANIZER|NOTE|EMAIL|TEL|X-(?!WR-|LIC-|ENTOURAGE)[A-Z0-9-]{1,60}))((?:;[^:;\r\n\"]{0,200}(?:\"[^\"\r\n]{0,400}\")?)*?):([^\r\n]*)"
)
_ALTERNATIVE = re.compile(r"(?i)ALTREP=\"([^\"]+)\"")
_CARD_ESCAPES = {"\\n": "\n", "\\N": "\n", "\\,": ",", "\\;": ";", "\\\\": "\\"}
_CARD_ESCAPE = re.compile(r"\\[nN,;\\]")


class Readable(NamedTuple):
    """The text of a part; `kind` is `text`, `page`, `calendar`, or `code` for what only programs read."""

    kind: str
    text: str


def readable(part: Part, limit: int) -> Readable | None:
    """Return what can be read in a part, at most `limit` characters; None for pictures and the like."""
    kind, name = part.content_type, (part.filename or "").lower()
    if kind in _PAGE_TYPES or name.endswith(_PAGE_NAMES):
        return Readable("page", _decoded(part, limit, page=True))
    if kind in _CARD_TYPES or name.endswith(_CARD_NAMES):
        return Readable("calendar", _decoded(part, limit))
    if kind in _CODE_TYPES or name.endswith(_CODE_NAMES):
        return Readable("code", _decoded(part, limit))
    if kind.startswith(("text/", "multipart/")) or name.endswith((".txt", ".eml")):
        text = _decoded(part, limit)
        return Readable("page" if _is_page(text) else "text", text)
    if kind in _UNTYPED and not name.endswith((".exe", ".zip", ".pdf")):
        head = _content(part, 4_000)[:2_000]
        if _is_page(decode_text(head, part.charset)):
            return Readable("page", _decoded(part, limit, page=True))
    return None


def _is_page(text: str) -> bool:
    head = text[:2_000].lstrip("\ufeff \t\r\n")
    return head.startswith("<") and bool(_PAGE_START.match(head))


def _content(part: Part, limit: int) -> bytes:
    """Return the bytes of a part, its transfer encoding undone even where it is named wrongly."""
    encoding = part.transfer_encoding.strip("\"'")
    content = part.content(limit)
    if encoding in _UUENCODED or (b"\nbegin " in content and _UU_BEGIN.search(content)):
        return _uudecoded(content)
    if encoding == "base64":
        body = part.raw[part.start : min(part.start + 400, part.end)]
        raw = part.raw[part.start : min(part.end, part.start + limit)]
        # Nothing encoded has blanks between words, or markup.
        return (
            raw if _is_plain(body) else content if part.transfer_encoding == encoding else decode_base64(raw)
        )
    if encoding == "quoted-printable":
        return content
    if len(content) > 80 and b" " not in content[:200] and _BASE64_LINES.match(content):
        return decode_base64(content)
    if b"=3D" not in content:
        return content
    head = content[:4_000]
    quoted = b"=\r\n" in head or b"=\n" in head or b'=3D"' in content or b"=3Dhttp" in content
    return binascii.a2b_qp(content) if quoted else content


def _is_plain(body: bytes) -> bool:
    lines = body.split(b"\n")[:3]
    if body.lstrip()[:1] == b"<":
        return True
    return any(line.strip().count(b" ") > 2 and not _is_in_fours(line.split()) for line in lines)


def _is_in_fours(words: list[bytes]) -> bool:
    """Tell base64 with blanks between its groups from a sentence."""
    return all(len(word) % 4 == 0 for word in words)


def _uudecoded(content: bytes) -> bytes:
    """Put in the place of each uuencoded file what is in it, as mail readers show it."""
    lines, kept, inside = content.splitlines(keepends=True), list[bytes](), False
    for line in lines:
        if not inside and line[:6] == b"begin " and _UU_BEGIN.match(line):
            inside = True
        elif inside and line.rstrip() == b"end":
            inside = False
        elif inside:
            kept.append(_uu_line(line))
        else:
            kept.append(line)
    return b"".join(kept)


def _uu_line(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        return line


def _decoded(part: Part, limit: int, page: bool = False) -> str:
    # An encoded byte gives one character at most, but three or four of them may be needed for it.
    content = _content(part, 4 * limit)
    charset = part.charset
    if b"\0" in content[:200]:
        charset = _wide_charset(content, charset)
    elif charset is None and page and not content.isascii():
        label = _META_CHARSET.search(content[:4_000])
        charset = label[1].decode("ascii") if label else None
    text = decode_text(content, charset)[:limit]
    if (
        part.delsp
        and part.content_type == "text/plain"
        and (" \n" in text or " \r\n" in text)
        and "://" in text
    ):
        return _unflowed(text)
    return text


def _wide_charset(content: bytes, charset: str | None) -> str | None:
    """Recognise UTF-16, with its mark or by the zeros between ASCII letters, under whatever label."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if "16" in (charset or "") or "32" in (charset or ""):
        return charset
    even, odd = content[:200:2].count(0), content[1:200:2].count(0)
    if even > 30 > odd or odd > 30 > even or (len(content) < 120 and max(even, odd) > 4 * min(even, odd) + 4):
        return "utf-16-be" if even > odd else "utf-16-le"
    return charset


def _unflowed(text: str) -> str:
    """Join lines that were cut anywhere, also inside a link: format=flowed; delsp=yes (RFC 3676 §4.1)."""
    return text.replace(" \r\n", "").replace(" \n", "")


def shown_of_calendar(text: str) -> tuple[list[str], list[str]]:
    """Return the running texts and the pages of a calendar or card, its lines unfolded (RFC 5545 §3.1)."""
    texts, pages = [], []
    for name, parameters, escaped in _SHOWN.findall(_FOLD.sub("", text)):
        if "base64" in parameters.lower() or "encoding=b" in parameters.lower():
            continue
        value = _CARD_ESCAPE.sub(lambda match: _CARD_ESCAPES[match[0]], escaped)
        if "quoted-printable" in parameters.lower():
            value = decode_text(binascii.a2b_qp(value.encode("utf-8", "replace")), None)
        if (
            "text/html" in parameters.lower()
            or name.upper() == "X-ALT-DESC"
            or _PAGE_START.match(value[:2_000])
        ):
            pages.append(value)
        else:
            texts.append(value)
        if '"' in parameters:
            texts += _ALTERNATIVE.findall(parameters)
    return texts, pages
