"""What the host that handed the spam over is: a mailing list, a relay for customers, an alias service.

Takes the message, its lines and where the walk ended; leaves notes and doubts. All of it rests on the name
that the last believed host verified; what the lines below tell is said as a claim and moves nothing.
"""

import re
from typing import NamedTuple

from complaints.hosts import organisational_domain
from complaints.message import Message
from complaints.received import Received
from complaints.reserved import why_not_public
from complaints.trust import Provider, provider_of

_NEAR = 12
"""Lines below the source that are looked at."""
_LIST_ID = re.compile(r"<([A-Za-z0-9._-]{3,120})>")
_LIST_POST = re.compile(r"mailto:[^@\s<>]{1,100}@([A-Za-z0-9.-]{3,120})", re.IGNORECASE)
_DOMAIN = re.compile(r"@([A-Za-z0-9.-]{3,253})")


class Passage(NamedTuple):
    """What is to be said to the reporter, and what lowers the confidence (in words that name no host)."""

    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


_NOTHING = Passage()


def rewriter(message: Message, line: Received) -> Provider | None:
    """Return the alias service that wrote the message anew, so that no line tells who gave it to them.

    Its relay sends only for those who own the sender's domain, so the sender's address tells.
    """
    found = provider_of(line.from_name) if line.verified and line.from_name else None
    if found is None or found.role != "rewriter":
        return None
    sender = _DOMAIN.search(message.get("from") or "")
    return found if sender and sender[1].lower() in found.senders else None


def passage(message: Message, lines: list[Received], n: int) -> Passage:
    """Say through what the message came, where hop `n` saw the source."""
    name = lines[n].from_name
    organisation = organisational_domain(name) if lines[n].verified and name else None
    if organisation is None:
        return _NOTHING
    below = [
        (i, line)
        for i, line in enumerate(lines[n + 1 : n + 1 + _NEAR], n + 1)
        if line.by and line.by.endswith(organisation) and organisational_domain(line.by) == organisation
    ]
    if not below:
        return _NOTHING
    given = next((pair for pair in below if _is_from_outside(pair[1], organisation)), None)
    if given and (name_of_list := _mailing_list(message, organisation)):
        hop, line = given
        note = (
            f"This came through the mailing list {name_of_list}, whose host is {name}. Hop {hop} claims that "
            f"{line.from_ip} gave it to the list. If you get that list, name {organisation} as trusted: the "
            "trace then goes on to the host that it names."
        )
        return Passage((note,), ("the host that handed the message over is that of a mailing list",))
    if client := next((i for i, line in below if line.authenticated), None):
        note = (
            f"Hop {client}, written in the name of {organisation}, tells of a client that signed in there: "
            "the source is a relay, and its desk can find the customer."
        )
        return Passage((note,))
    if given and (message.fields("x-forwarded-to") or message.fields("x-forwarded-for")):
        note = (
            f"The header says that a mailbox at {organisation} passed the message on; hop {given[0]} claims "
            f"that {given[1].from_ip} gave it to that. If the mailbox is yours, do not report the relay."
        )
        return Passage((note,), ("the header says that a mailbox passed the message on",))
    return _NOTHING


def _is_from_outside(line: Received, organisation: str) -> bool:
    if (
        line.from_ip is None
        or line.authenticated
        or why_not_public(line.from_ip)
        or provider_of(line.from_ip)
    ):
        return False
    return line.from_name is None or organisational_domain(line.from_name) != organisation


def _mailing_list(message: Message, organisation: str) -> str | None:
    """Return the name of the list (RFC 2919, RFC 2369 §3.4) that a host of this organisation serves."""
    if not message.fields("list-id") or not message.fields("list-post"):
        return None
    named = _LIST_ID.search(message.get("list-id") or "")
    post = _LIST_POST.search(message.get("list-post") or "")
    if named is None or post is None:
        return None
    domains = {organisational_domain(named[1].lower()), organisational_domain(post[1].lower())}
    return named[1] if organisation in domains else None
