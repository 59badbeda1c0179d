"""The spam in a forward made inside the text: its header lines, as far as the mail program showed them."""

import re

from complaints.message import Message, parse
from complaints.received import parse_received

MAX_INLINE = 4 * 1024 * 1024
"""Bytes of text in which a spam is looked for that was forwarded inline."""

_DUMP = re.compile(r"^[>| \t]*(Received:[ \t]|Received:\s*from\b)", re.IGNORECASE | re.MULTILINE)
_QUOTE = re.compile(rb"^(?:[>|] ?)+", re.MULTILINE)


def forwarded_inline(message: Message) -> bytes | None:
    """Return the spam whose header a forward shows in its text; None without a readable Received line.

    Lines are lost on that way and the body is rebuilt; the chain can be read.
    """
    left = MAX_INLINE
    for part in message.leaves():
        if not part.content_type.startswith("text/plain"):
            continue
        text = part.content(left)
        left -= len(text)
        if match := _DUMP.search(text.decode("latin-1")):
            spam = _QUOTE.sub(b"", text[_block_start(text, match.start()) :])
            received = parse(spam).fields("received")
            if any(line.from_ip and line.by for line in map(parse_received, (h.value for h in received))):
                return spam
    return None


def _block_start(text: bytes, position: int) -> int:
    """Return the start of the header block around `position`: after the blank line before it."""
    start = text.rfind(b"\n\n", 0, position)
    crlf = text.rfind(b"\n\r\n", 0, position)
    before = max(start + 2 if start >= 0 else 0, crlf + 3 if crlf >= 0 else 0)
    return before if parse(_QUOTE.sub(b"", text[before:position])).headers else position
