"""The spam in a forward made inside the text: its header lines, as far as the mail program showed them.

Everything in such a text that the spam's sender wrote stands below what the mail program wrote. So only the
block directly below the program's own line ("Forwarded message") can be the header; what looks like one
further down, or where no such line stands, may be the spam's own text and is never read as its way.
"""

import re
from collections.abc import Container

from complaints.forward_text import forward_texts
from complaints.mail_clients import phrase_in
from complaints.message import Message, parse
from complaints.pasted import Repaired, repair
from complaints.received import parse_received

MOST_ABOVE = 500
"""Lines of the reporter's own words above the forward."""
FIELDS_OF_A_BLOCK = 3
"""Lines that show of whom, to whom, when and about what the forwarded message was."""
_A_BLOCK_ALREADY = 2
# In bold, as `*From:* x`, and with the colon of Chinese and Japanese too.
_LIKE_A_FIELD = re.compile(r"[^\s:\uff1a>][^:\uff1a]{0,40}(?::[*_]{0,2}(?:\s|$)|\uff1a)")
_COLON = re.compile(r":[*_]{0,2}|\uff1a")


def forwarded_inline(message: Message, without: Container[str] = ()) -> Repaired | None:
    """Return the spam whose header a forward shows in its text; None without a readable Received line.

    Lines may be lost on that way, and the body is what was shown of it. `without` as in `pasted.repair`.
    """
    for kind, text in forward_texts(message):
        lines = text.split("\n")
        start = _start(lines)
        if start is None:
            continue
        block = "\n".join(lines[start:]).encode("utf-8", "replace")
        repaired = repair(block, without, first_line=start + 1, end_is_sure=kind == "text/plain")
        received = parse(repaired.spam).fields("received")
        if any(line.from_ip and line.by for line in map(parse_received, (h.value for h in received))):
            return repaired
    return None


def shows_a_forward(message: Message) -> bool:
    """Tell whether a mail forwards another within its text: what is attached may then be a part of that one.

    By the line that a mail program puts above it, or by a block of fields of which one has the subject. A
    report (RFC 6522) says in its text what it carries.
    """
    if (message.get("content-type") or "").strip().lower().startswith("multipart/report"):
        return False
    subject = (message.get("subject") or "").strip()
    for _, text in forward_texts(message):
        fields: list[str] = []
        for line in text.split("\n")[:MOST_ABOVE]:
            if phrase_in(line):
                return True
            if _LIKE_A_FIELD.match(line):
                fields.append(_COLON.split(line, maxsplit=1)[1].strip())
            elif line:
                fields.clear()
            if len(fields) >= FIELDS_OF_A_BLOCK and any(told and subject.endswith(told) for told in fields):
                return True
    return False


def _start(lines: list[str]) -> int | None:
    """Return the line below the one that the mail program put above the forward.

    None when something above it may be a forward or a quotation already, in a language we do not know: names
    and values may stand on lines of their own.
    """
    fields = 0
    for n, line in enumerate(lines[:MOST_ABOVE]):
        if line.startswith((">", "|")):
            return None
        if phrase_in(line):
            return n + 1
        fields += bool(_LIKE_A_FIELD.match(line))
        if fields == _A_BLOCK_ALREADY:
            return None
    return None
