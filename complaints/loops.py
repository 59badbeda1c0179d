"""Mail that goes in circles: takes a mail as it came to the door, leaves whether it did.

Only the mail itself is looked at, never what it carries: a spam may have passed any number of hosts, and
quotes whatever it likes.
"""

import re

from complaints.message import Message
from complaints.tokens import ALPHABET, ID_LETTERS

MOST_HOPS = 100
"""Received fields of a mail that may still be on its way (RFC 5321 §6.3)."""
_LETTER = re.compile(rf"\s*<letter-([{ALPHABET}]{{{ID_LETTERS}}})@([^<>\s]+)>\s*")
_BEFORE_HEADER = b"\r\n \t\xef"
"""What a mail begins with whose header may come after a blank line (`message.parse`)."""


def may_have_been_here(raw: bytes) -> bool:
    """Whether a mail is worth reading for what is below; few are, and it costs as much as keeping it."""
    if raw[:1] in _BEFORE_HEADER:
        return True
    header = raw.partition(b"\r\n\r\n")[0]
    return header.count(b"\n") >= MOST_HOPS or b"<letter-" in header


def in_circles(message: Message) -> bool:
    """Whether it passed more hosts than any mail does that will come to rest."""
    return len(message.fields("received")) > MOST_HOPS


def letter_id(message: Message, mail_domain: str) -> str:
    """The id of the letter of ours that this mail says it is, or "".

    One comes back where a mailbox passes on all it gets: acknowledging it would make the next. Anybody can
    write a Message-ID, so ask whether there is such a letter. Probes have other ones, and are to come back.
    """
    match = _LETTER.fullmatch(message.get("message-id") or "")
    return match[1] if match and match[2].lower() == mail_domain.lower() else ""
