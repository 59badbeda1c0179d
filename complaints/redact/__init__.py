"""Taking the reporter out of a spam (RFC 6590): takes raw bytes and an identity, leaves bytes a desk may see.

Level `identity`: a local part of the reporter's addresses becomes a keyed pseudonym wherever the address
stands, in whatever encoding; so do the reporter's names, and the bare local part where it is a word by
itself. The domain stays, as in RFC 6590 appendix A: the Received lines name its hosts, and they are the
evidence. So the address `alice+shop@victim.example` becomes `redacted-<13 letters>@victim.example`; the same
reporter under the same key always gets the same pseudonym, and nobody without the key can compute it. A
digest of the address becomes another number of the same length. Level `strict` also hides what tells the
sender which of its recipients this was: codes in links, list fields, bounce addresses and ids, the
recipient's own hosts, and the second (`codes.py`, `strict.py`).

Everything else stays byte for byte: structure, hosts, Subject, what is left of signatures. A part in an
encoding is written anew only where something had to be hidden inside it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from complaints.redact.codes import Codes
from complaints.redact.find import CannotRedact, splice
from complaints.redact.hide import hider
from complaints.redact.pseudonyms import pseudonyms, sha1_pseudonym
from complaints.redact.walk import MAX_NESTED, Edit, Walk

__all__ = [
    "LEVELS",
    "MAX_NESTED",
    "CannotRedact",
    "Change",
    "Edit",
    "Identity",
    "Redacted",
    "redact",
    "sha1_pseudonym",
]
LEVELS = ("identity", "strict", "none")


@dataclass(frozen=True)
class Identity:
    """Whom to hide: the registered address and all aliases (`local@domain`), and names as written.

    `words` are what the reporter wants hidden besides, each as it is written.
    """

    addresses: tuple[str, ...]
    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """`count` replacements by one rule, `where` a header field or part, `line` of the raw bytes from 1."""

    rule: str
    where: str
    line: int
    count: int


@dataclass(frozen=True)
class Redacted:
    """The bytes a desk may see, each replacement, and in sentences what could not or was not to be hidden.

    `stands`: each pseudonym that may have been put in, and what it stands for.
    """

    raw: bytes
    edits: tuple[Edit, ...]
    not_hidden: tuple[str, ...]
    stands: Mapping[bytes, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The replacements counted by rule and place: what may be kept without keeping what was hidden."""
        counted = Counter((edit.rule, edit.where, edit.line) for edit in self.edits)
        return tuple(Change(*place, count) for place, count in counted.items())


def redact(
    raw: bytes, identity: Identity, *, key: bytes, level: str = "identity", own_hops: int = 0
) -> Redacted:
    """Hide the identity in a spam. `key` is our redaction key (RFC 6590 §3), of at least 16 bytes.

    Levels `identity` and `strict` hide what is told above, `none` returns the bytes as they are. `own_hops`
    is the number of Received fields above the one whose `from` is the source; hosts of the reporter wrote
    them.
    Raises CannotRedact when there is no address to hide or something cannot be looked into far enough,
    ValueError for another level or a short key.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown redaction level {level!r}; there are: {', '.join(LEVELS)}")
    if len(key) < 16:
        raise ValueError(f"the redaction key has {len(key)} bytes; it needs at least 16")
    if level == "none":
        return Redacted(raw, (), ("Your address and name are shown to the desk, as you chose.",))
    addresses = tuple(address.strip() for address in identity.addresses)
    if not addresses or not all(re.fullmatch(r"[^@\s]+@[^@\s]+", address) for address in addresses):
        raise CannotRedact(
            f"{identity.addresses!r} holds something that is no mail address; correct it and try again"
        )
    finder = hider(key, addresses, identity.names, identity.words)
    stands = {new: private.encode() for private, new in finder.pseudonyms.items()}
    codes = None
    if level == "strict":
        new_for = pseudonyms(key)

        @cache  # the same code stands in many places of a message
        def standing(code: bytes) -> bytes:
            new = new_for(code)
            stands[new] = code
            return new

        codes = Codes(standing, lambda text: splice(text, finder.finds(text)))
    walk = Walk(finder, codes)
    new = walk.message(raw, own_hops)
    told = _STRICT if codes else _IDENTITY
    not_hidden = tuple(dict.fromkeys((*walk.kept, *_domains(addresses), *told)))
    return Redacted(new, tuple(walk.edits), not_hidden, stands)


_IDENTITY = (
    "The Message-ID, the time, and codes in links may tell the sender of the spam whom it was sent to.",
)
_STRICT = (
    "The host of yours that took the spam over stays: without it nobody can check where it came from.",
    "What the sender's hosts wrote stays, signatures and Received lines: their records may tell of you.",
    "A code that looks like a word is not recognised.",
)


def _domains(addresses: tuple[str, ...]) -> Iterator[str]:
    for domain in dict.fromkeys(address.rpartition("@")[2].lower() for address in addresses):
        yield f"The domain {domain} of your address stays: the Received lines, the evidence, name its hosts."
