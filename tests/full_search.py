"""Redaction without its shortcut: every pattern runs over every text, and every token is opened.

What `complaints.redact.sieve` says too seldom shows as a difference to this.
"""

from collections.abc import Iterator
from dataclasses import replace

from complaints.redact import Identity
from complaints.redact.find import Find
from complaints.redact.hide import Hider, hider
from complaints.redact.sieve import Sieve
from complaints.redact.walk import Walk

KEY = b"a redaction key of ours"


class Everywhere(Sieve):
    """Says of each place and of all octets that something may stand there."""

    def __init__(self) -> None:
        super().__init__(())

    def starts(self, text: bytes) -> Iterator[int]:
        yield from range(len(text))

    def look(self, octets: bytes) -> tuple[bool, bytes]:
        return bool(octets), b""

    def tells(self, octets: bytes) -> bool:
        return bool(octets)


EVERYWHERE = Everywhere()


def fast(who: Identity) -> Hider:
    """The hider of an identity, as `redact` makes it."""
    return hider(KEY, who.addresses, who.names, who.words)


def finds_fully(who: Identity, text: bytes) -> list[Find]:
    """What the search of everything finds in a text."""
    return replace(fast(who), sieve=EVERYWHERE).finds(text)


def redacted_fully(who: Identity, raw: bytes) -> bytes:
    """What the search of everything leaves of a message."""
    return Walk(replace(fast(who), sieve=EVERYWHERE)).message(raw)
