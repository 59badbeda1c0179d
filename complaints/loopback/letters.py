"""What mailboxes send back: takes a received message, leaves a bounce, an automatic reply, an answer."""

import email
import email.message
import email.utils
import quopri
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

VERDICTS = {
    "resolved": "Thank you. We have found the customer and closed the account.",
    "not ours": "Thank you, but this address is not in our network. Please send it to whom it concerns.",
}
AUTOMATIC = "Thank you. Your message has the number {number} at our abuse desk. Nobody has read it yet."


@dataclass(frozen=True)
class Received:
    """One message as a mail host took it: `raw` is what stood between DATA and the final dot, dot-unstuffed.

    `answer` is the reply to the final dot, "" when the connection was dropped instead; `host` is the mail
    host's name, `number` counts from 1, `at` is aware.
    """

    number: int
    mail_from: str
    rcpt_tos: tuple[str, ...]
    raw: bytes
    at: datetime
    tls: bool
    helo: str
    host: str
    answer: str

    @property
    def message(self) -> email.message.Message:
        """The parsed message (compat32: tolerant, headers as they stand)."""
        return email.message_from_bytes(self.raw)


@dataclass(frozen=True)
class Letter:
    """One message on its way to Plaint's SMTP door; `mail_from` "" is the null sender."""

    mail_from: str
    rcpt_to: str
    raw: bytes


def bounce(received: Received, mailbox: str, now: datetime) -> Letter | None:
    """Write a delivery status notification to the envelope sender (RFC 3464); None to the null sender."""
    if not received.mail_from:
        return None
    boundary = f"=_loopback_{received.number}"
    header = {
        "From": f"Mail Delivery System <MAILER-DAEMON@{received.host}>",
        "To": received.mail_from,
        "Subject": "Undelivered Mail Returned to Sender",
        "Date": email.utils.format_datetime(now),
        "Message-ID": f"<bounce-{received.number}-{now.timestamp():.0f}@{received.host}>",
        "Auto-Submitted": "auto-replied",
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/report; report-type=delivery-status; boundary="{boundary}"',
    }
    status = {
        "Final-Recipient": f"rfc822; {mailbox}",
        "Action": "failed",
        "Status": "5.1.1",
        "Diagnostic-Code": f"smtp; 550 5.1.1 <{mailbox}>: user unknown",
    }
    reporting = {
        "Reporting-MTA": f"dns; {received.host}",
        "Arrival-Date": email.utils.format_datetime(received.at),
    }
    words = f"This is the mail system at host {received.host}.\r\n\r\n<{mailbox}>: user unknown"
    returned, _, _ = received.raw.partition(b"\r\n\r\n")
    parts = (
        _fields({"Content-Type": "text/plain; charset=utf-8"}) + words.encode(),
        _fields({"Content-Type": "message/delivery-status"}) + _fields(reporting) + _fields(status).rstrip(),
        _fields({"Content-Type": "text/rfc822-headers"}) + returned,
    )
    body = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n\r\n" for part in parts)
    return Letter("", received.mail_from, _fields(header) + body + f"--{boundary}--\r\n".encode())


def automatic_reply(received: Received, mailbox: str, now: datetime) -> Letter | None:
    """Acknowledge as a ticket system does (RFC 3834 §3), to the envelope sender; None to the null sender.

    Like many such systems it does not look whether the message was itself automatic.
    """
    if not received.mail_from:
        return None
    header = {"Subject": f"Auto: {_subject(received)}", "Auto-Submitted": "auto-replied"}
    text = AUTOMATIC.format(number=received.number)
    to = received.mail_from
    return Letter("", to, _reply(received, now, mailbox=mailbox, to=to, header=header, text=text))


def answer(received: Received, mailbox: str, text: str, now: datetime) -> Letter | None:
    """Write what a person at the desk writes, to Reply-To or else From; None if there is neither."""
    message = received.message
    _, to = email.utils.parseaddr(_one_line(message.get("Reply-To") or message.get("From") or ""))
    if "@" not in to:
        return None
    header = {"Subject": f"Re: {_subject(received)}"}
    return Letter(mailbox, to, _reply(received, now, mailbox=mailbox, to=to, header=header, text=text))


def _reply(
    received: Received, now: datetime, *, mailbox: str, to: str, header: Mapping[str, str], text: str
) -> bytes:
    answered = _one_line(received.message.get("Message-ID", ""))
    fields = {
        "From": f"Abuse Desk <{mailbox}>",
        "To": to,
        "Date": email.utils.format_datetime(now),
        "Message-ID": f"<reply-{received.number}-{now.timestamp():.6f}@{received.host}>",
        **header,
        **({"In-Reply-To": answered, "References": answered} if answered else {}),
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "quoted-printable",
    }
    lines = quopri.encodestring("\n".join(text.splitlines()).encode()) + b"\n"
    return _fields(fields) + lines.replace(b"\n", b"\r\n")


def _fields(fields: Mapping[str, str]) -> bytes:
    """Write a block of header fields with the empty line that ends it."""
    return b"".join(f"{name}: {_one_line(value)}\r\n".encode() for name, value in fields.items()) + b"\r\n"


def _subject(received: Received) -> str:
    return _one_line(received.message.get("Subject", "")) or "your report"


def _one_line(value: object) -> str:
    """Join a header value's lines; bytes that are no text become question marks."""
    return " ".join(str(value).encode("utf-8", "replace").decode("utf-8").split())
