"""Redaction without its shortcut: every pattern runs over every text, and every token is opened.

What `complaints.redact.sieve` says too seldom shows as a difference to this.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from complaints.redact import Identity
from complaints.redact.find import Find
from complaints.redact.hide import Hider, hider
from complaints.redact.hints import Hints
from complaints.redact.sieve import Sieve
from complaints.redact.spellings import Secret
from complaints.redact.walk import Walk

KEY = b"a redaction key of ours"
_TEXT = re.compile(rb"[\t\n\r -~]{16,}")


class Everywhere(Sieve):
    """Says of each place that something may stand there, and asks the patterns themselves."""

    def __init__(self, secrets: tuple[Secret, ...]) -> None:
        self.secrets = secrets

    def starts(self, text: bytes) -> Iterator[int]:
        yield from range(len(text))

    def look(self, octets: bytes) -> tuple[bool, bytes]:
        return self.spells(octets), b"\n".join(_TEXT.findall(octets))

    def spells(self, text: bytes) -> bool:
        lower = text.lower()
        return any(secret.pattern.search(lower) for secret in self.secrets)

    def tells(self, octets: bytes) -> bool:
        return self.spells(octets) or _TEXT.search(octets) is not None


def fast(who: Identity) -> Hider:
    """The hider of an identity, as `redact` makes it."""
    return hider(KEY, who.addresses, who.names, who.words)


def slow(who: Identity) -> Hider:
    """The same without its shortcut."""
    quick = fast(who)
    everything = Hints([b""], [(digest, is_hex) for digest, is_hex, _ in quick.digests])
    return replace(quick, sieve=Everywhere(quick.secrets), hints=everything)


def finds_fully(who: Identity, text: bytes) -> list[Find]:
    """What the search of everything finds in a text."""
    return slow(who).finds(text)


def redacted_fully(who: Identity, raw: bytes) -> bytes:
    """What the search of everything leaves of a message."""
    return Walk(slow(who)).message(raw)
