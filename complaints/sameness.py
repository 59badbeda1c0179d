"""Knowing one delivery of a message again, in whatever way it comes to us.

Takes a message; leaves a mark that line ends, transfer encodings and the order of the header do not change:
the Received lines hold the queue ids and seconds of exactly this delivery.
"""

import re
from hashlib import sha256

from complaints.message import Message

COMPARED = 500
"""Letters of the text that take part: a mail program appends things, and a long text costs time."""
_READ = 4_096
MOST_LINES = 200
_NO_LETTER = re.compile(r"[\W_]+")


def delivery_mark(message: Message) -> str | None:
    """The hex SHA-256 over Received lines, Message-ID, subject and the beginning of the text.

    None without a Received line: then only the digest of all bytes tells two messages apart.
    """
    received = sorted(b" ".join(field.value.split()) for field in message.fields("received")[:MOST_LINES])
    if not received:
        return None
    words = _NO_LETTER.sub("", _text(message)).lower()[:COMPARED]
    shown = "\0".join([message.get("message-id") or "", message.subject or "", words])
    return sha256(b"\0".join([*received, shown.encode("utf-8", "replace")])).hexdigest()


def _text(message: Message) -> str:
    part = next((part for part in message.leaves() if part.content_type.startswith("text/")), None)
    return part.text(_READ) if part else ""
