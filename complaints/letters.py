"""Letters to reporters and desks: takes a letter's name and values, leaves subject and body, or a mail.

Each letter is a folder in templates/letters with subject.txt and body.txt (plain text only). A value stays
inside its line: control characters and line breaks in it become spaces. Text of several lines goes through
the filter `quoted`, which puts `> ` before each of its lines, so nobody can forge a line of ours.

| letter | to | values |
| --- | --- | --- |
| registration | reporter | link, code, minutes |
| notice | reporter | as refused; link, until, digest, quiet, known: [{part, reason, remedy, url}],
  more_known, count,
  complaints: [{subject, grade, means, lost, source, desks, offered, url, remark, remedy}] |
| refused | reporter | refused: [{part, grade, means, reason, remedy, look}], more_refused, help, hosts,
  account, expired: [{subject, url}], more_expired |
| reminder | reporter | complaints: [{subject, until, url}], count (with the rest), link, quiet, account |
| waiting | reporter | count, url, until |
| answer | reporter | desk, kind, subject, text, url, reply_to |
| probe | reporter | to, days, url, domain, mark |
| learned | reporter | to, grade, means, lost, own: [{what, new}], passed_over, url |
| code | reporter, or an address to be theirs | wish, code, minutes, known |
| policy | reporter | version, since, changes: [words], difference, url, whole |
| news | reporter who chose to | subject, text, url |
| people | whoever runs this installation | mailbox, mail_from, subject |
"""

import base64
import quopri
import secrets
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from complaints.fields import address_field, date_field, message_id_field, one_line, raw_field, text_field

_TEMPLATES = Path(__file__).parent / "templates" / "letters"


class _Block(str):
    """Text of several lines that is safe as it stands."""

    __slots__ = ()


@dataclass(frozen=True)
class Letter:
    """A rendered letter: `subject` is one line, `body` ends with a line end; lines end in LF."""

    subject: str
    body: str


def render(letter: str, **values: object) -> Letter:
    """Render one of the letters of the table above.

    Raises jinja2.TemplateNotFound for an unknown letter, jinja2.UndefinedError for a missing value.
    """
    subject = _environment().get_template(f"{letter}/subject.txt").render(**values)
    body = _environment().get_template(f"{letter}/body.txt").render(**values)
    return Letter(one_line(subject), body.rstrip() + "\n")


def compose_letter(
    letter: Letter,
    *,
    sender: str,
    to: str,
    message_id: str,
    date: datetime,
    reply_to: str | None = None,
    headers: Mapping[str, str] | None = None,
    enclosed: bytes = b"",
) -> bytes:
    """Write a letter as a mail: text/plain, UTF-8, CRLF, `Auto-Submitted: auto-generated` (RFC 3834 §5).

    `enclosed`, a mail with CRLF for its line ends, is attached to it.

    `sender`, `to` and `reply_to` are `address` or `Name <address>`; `headers` are further fields, e.g.
    In-Reply-To. Control characters in names and texts become spaces. Raises complaints.fields.FieldError
    for an address, Message-ID or other field value that is none.
    """
    encoding, content = _encoded(letter.body)
    kind = b"Content-Type: text/plain; charset=utf-8\r\n" + raw_field("Content-Transfer-Encoding", encoding)
    if enclosed:
        kind, content = _mixed(kind + b"\r\n" + content, enclosed)
    fields = [
        address_field("From", sender),
        address_field("To", to),
        address_field("Reply-To", reply_to) if reply_to else b"",
        text_field("Subject", letter.subject),
        date_field("Date", date),
        message_id_field("Message-ID", message_id),
        b"Auto-Submitted: auto-generated\r\n",
        *(raw_field(name, value) for name, value in (headers or {}).items()),
        b"MIME-Version: 1.0\r\n",
        kind,
    ]
    return b"".join(fields) + b"\r\n" + content


def _mixed(text: bytes, enclosed: bytes) -> tuple[bytes, bytes]:
    """Return the content fields and the body of a letter with a mail attached.

    What no relay carries as it stands (RFC 5321 §4.5.3.1.6) is attached as a file.
    """
    boundary = f"={secrets.token_hex(16)}"
    encoding = "7bit" if enclosed.isascii() and b"\0" not in enclosed else "8bit"
    kind = b"Content-Type: message/rfc822\r\n"
    if b"\0" in enclosed or max(map(len, enclosed.split(b"\r\n"))) > 998:
        encoding, enclosed = "base64", base64.encodebytes(enclosed).replace(b"\n", b"\r\n")
        kind = b'Content-Type: application/octet-stream; name="mail.eml"\r\n'
    parts = [text, kind + raw_field("Content-Transfer-Encoding", encoding) + b"\r\n" + enclosed]
    mark = b"--" + boundary.encode()
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    head = f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n'.encode()
    return head + raw_field("Content-Transfer-Encoding", "8bit" if encoding == "8bit" else "7bit"), body


def _encoded(body: str) -> tuple[str, bytes]:
    """Return the transfer encoding and the body in it: plain where every relay can carry it as it stands."""
    lines = body.encode("utf-8", "replace").splitlines()
    content = b"".join(line + b"\r\n" for line in lines)
    if body.isascii() and max(map(len, lines), default=0) <= 998:
        return "7bit", content
    return "quoted-printable", b"".join(
        quopri.encodestring(line).rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n" for line in lines
    )


def _shown(value: object) -> object:
    """Jinja calls this on every value it prints."""
    return one_line(str(value)) if isinstance(value, str) and not isinstance(value, _Block) else value


def _quoted(text: str) -> _Block:
    lines = [one_line(line.expandtabs()) for line in text.strip().split("\n")]
    wrapped = [piece for line in lines for piece in textwrap.wrap(line, 74, break_long_words=False) or [""]]
    return _Block("\n".join(f"> {line}".rstrip() for line in wrapped))


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%d %B %Y, %H:%M UTC")


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %B %Y}"


@cache
def _environment() -> Environment:
    filters: dict[str, Any] = {"quoted": _quoted, "utc": _utc, "day": _day}
    # No autoescape: letters are text/plain, where HTML entities would be shown as they are.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    return environment
