"""Writing the header fields of our own mail so that no value can start a line.

Takes text from anywhere (spam subjects, notes, names); leaves ASCII header fields that end in CRLF.
"""

import re
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime, formataddr

# C0, DEL, C1, line and paragraph separators, direction marks, lone surrogates: all that could start a line,
# drive a terminal, or make a text read differently from its bytes.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?"
)
_NAMED = re.compile(r"(.*)<([^<>]*)>")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,200}@[!-;=?-~]{1,200}>")
_LINE = 76  # RFC 2047 §2: lines with encoded words have at most 76 characters


class FieldError(ValueError):
    """A value cannot stand in its field; the message names both."""


def one_line(text: str) -> str:
    """Return `text` on one line: each run of control characters and line breaks becomes one space."""
    return _CONTROL.sub(" ", text).strip()


def text_field(name: str, text: str) -> bytes:
    """Write an unstructured field (RFC 5322 §2.2.1), RFC 2047 encoded where it is not plain ASCII."""
    clean = one_line(text)
    # ASCII that looks like an encoded word has to be encoded, or a reader would decode it.
    charset = "us-ascii" if clean.isascii() and "=?" not in clean else "utf-8"
    folded = Header(clean, charset, maxlinelen=_LINE, header_name=name).encode(linesep="\r\n")
    # Folding leaves a line of white space only where a long word follows it: RFC 5322 §3.2.2 forbids such
    # lines.
    folded = re.sub(r"\r\n[ \t]+(?=\r\n|\Z)", "", folded)
    return f"{name}: {folded.strip()}\r\n".encode("ascii")


def raw_field(name: str, value: str) -> bytes:
    """Write a structured field, its value ASCII already, on one line. Raises FieldError where it is not."""
    if not value.isascii() or _CONTROL.search(value):
        raise FieldError(f"{name}: {value!r} holds other characters than printable ASCII")
    if len(name) + len(value) + 2 > 998:
        raise FieldError(f"{name}: {len(value)} characters do not fit a line of 998 (RFC 5322 §2.1.1)")
    return f"{name}: {value}\r\n".encode("ascii")


def address_field(name: str, text: str) -> bytes:
    """Write `address` or `Display name <address>`. Raises FieldError where it holds no plain mail address."""
    match = _NAMED.fullmatch(clean := one_line(text))
    display, address = (match[1].strip(' "'), match[2]) if match else ("", clean)
    return raw_field(name, formataddr((display, check_address(name, address))))


def message_id_field(name: str, message_id: str) -> bytes:
    """Write a field that holds one `<left@right>` (RFC 5322 §3.6.4). Raises FieldError for anything else."""
    if not _MESSAGE_ID.fullmatch(message_id):
        raise FieldError(f"{name}: {message_id!r} is not of the form <left@right>")
    return raw_field(name, message_id)


def date_field(name: str, moment: datetime) -> bytes:
    """Write a date (RFC 5322 §3.3) in UTC. `moment` is aware."""
    return raw_field(name, format_datetime(moment.astimezone(UTC)))


def check_address(name: str, address: str) -> str:
    """Return `address` when it is a plain ASCII `local@host`, else raise FieldError naming the field."""
    if not _ADDRESS.fullmatch(address):
        raise FieldError(f"{name}: {address!r} is not a mail address of the form name@host")
    return address
