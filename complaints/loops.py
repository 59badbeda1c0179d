"""Mail that goes in circles: takes a mail as it came to the door, leaves why it is not taken, or nothing.

Only the mail itself is looked at, never what it carries: a spam may have passed any number of hosts, and
quotes whatever it likes.
"""

import re

from complaints.message import parse
from complaints.tokens import ALPHABET, ID_LETTERS

MOST_HOPS = 100
"""Received fields of a mail that may still be on its way (RFC 5321 §6.3)."""
_ID = rf"[{ALPHABET}]{{{ID_LETTERS}}}"
_OURS = re.compile(rf"\s*<(?:letter-{_ID}|pl-{_ID}-\d{{2,4}}\.[{ALPHABET}]{{8}})@")
_CIRCLES = f"This mail passed more than {MOST_HOPS} hosts and goes in circles"
_CAME_BACK = "This is a mail that we sent; forward spam here, and answers to their own address"


def why_it_loops(raw: bytes, mail_domain: str) -> str:
    """Say why this mail would never come to rest here, or "".

    One of our letters or reports, told by its Message-ID, comes back where a mailbox passes on all it gets:
    acknowledging it would make the next. Probes have another Message-ID, and are to come back.
    """
    message = parse(raw)
    if len(message.fields("received")) > MOST_HOPS:
        return _CIRCLES
    message_id = (message.get("message-id") or "").lower()
    ours = _OURS.match(message_id)
    return _CAME_BACK if ours and message_id[ours.end() :].strip() == f"{mail_domain.lower()}>" else ""
