"""Putting a message together again from what Outlook keeps of it: header lines, texts, attachments.

Takes texts and files; leaves the bytes of a message. The header lines stand as they are kept, and the body is
coded as they say, for nothing else is known of how it was. The same parts always give the same bytes.
"""

import binascii
import re
from typing import NamedTuple

from complaints.encodings import parameters
from complaints.message import Message, parse

__all__ = ["File", "remake"]

_BANNER = re.compile(r"\A\s*Microsoft Mail Internet Headers Version [0-9.]+[ \t]*\r?\n")
_MIME_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")


class File(NamedTuple):
    """An attachment: its name, its media type (or nothing), its bytes."""

    name: str
    kind: str
    content: bytes


def remake(headers: str, text: str, html: str, files: list[File]) -> tuple[bytes, list[str]]:
    """Return the bytes of a message, and what of it is missing: "header", "body".

    `headers` may hold the header lines of the parts too, below the first blank line (Outlook keeps both);
    only those of the message are taken.
    """
    block = parse(_BANNER.sub("", headers).strip("\0\r\n").encode("utf-8", "replace") + b"\r\n")
    missing = [] if block.headers else ["header"]
    if not (text.strip() or html.strip() or files):
        missing.append("body")
    top = block.raw[block.headers[0].start : block.headers[-1].end] if block.headers else b""
    return top + (b"" if top.endswith(b"\n") else b"\r\n") + b"\r\n" + _body(
        block, text, html, files
    ), missing


def _body(block: Message, text: str, html: str, files: list[File]) -> bytes:
    fields = block.fields("content-type")
    kind, values = parameters(fields[0].value) if fields else ("text/plain", {})
    boundary = values.get("boundary", "").rstrip().encode("utf-8", "surrogateescape")
    if kind.startswith("multipart/") and boundary:
        parts = [_part(b"text/plain; charset=utf-8", b"", text.encode("utf-8", "replace"))] if text else []
        if html:
            parts.append(_part(b"text/html; charset=utf-8", b"", html.encode("utf-8", "replace")))
        parts += [_part(_kind(file), _named(file), file.content) for file in files]
        return b"".join(b"--" + boundary + b"\r\n" + part for part in parts) + b"--" + boundary + b"--\r\n"
    if not kind.startswith("text/") and files:
        return _coded(files[0].content, block)
    chosen = html if html and (kind == "text/html" or not text) else text
    return _coded(_encode(chosen, values.get("charset")), block)


def _encode(text: str, charset: str | None) -> bytes:
    try:
        return text.encode(charset or "utf-8", "replace")
    except (LookupError, ValueError, OSError):  # OSError: a codec that may not be loaded any more
        return text.encode("utf-8", "replace")


def _coded(content: bytes, block: Message) -> bytes:
    """Code a body as the header says."""
    said = (block.get("content-transfer-encoding") or "").strip().lower()
    if said == "base64":
        return _lines(content)
    return binascii.b2a_qp(content) + b"\r\n" if said == "quoted-printable" else content


def _part(kind: bytes, disposition: bytes, content: bytes) -> bytes:
    head = b"Content-Type: " + kind + b"\r\n" + disposition + b"Content-Transfer-Encoding: base64\r\n\r\n"
    return head + _lines(content)


def _lines(content: bytes) -> bytes:
    pieces = (content[n : n + 57] for n in range(0, len(content), 57))
    return b"".join(binascii.b2a_base64(piece, newline=False) + b"\r\n" for piece in pieces)


def _kind(file: File) -> bytes:
    said = file.kind.strip().lower()
    return said.encode() if _MIME_TYPE.fullmatch(said) else b"application/octet-stream"


def _named(file: File) -> bytes:
    name = re.sub(r"[\"\\\x00-\x1f\ufffd]", "_", file.name).encode("utf-8", "replace")
    return b'Content-Disposition: attachment; filename="' + name + b'"\r\n'
