"""One spam for several desks: takes a redaction under one key, leaves the same under others.

Copies differ in their pseudonyms. Where all of those stand there as they are, another desk's copy is the
first one with its own pseudonyms in their places, without another search. Inside an encoding that is not so:
then the search is made again, and tells by its result whether the next copies can be had without.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from complaints.redact import Identity, Redacted, redact, stand_in
from complaints.redact.pseudonyms import PSEUDONYM_ONLY, pseudonym

Swap = Callable[[bytes], bytes]
"""Puts one desk's pseudonyms where the first copy has those of another."""
_SAME_FOR_ALL = (b"", b"00")


@dataclass
class Copies:
    """The redactions of one spam: whom to hide, how, and `own_hops` as `redact` takes them."""

    raw: bytes
    identity: Identity
    level: str
    own_hops: int
    first: Redacted | None = None
    _alike: bool | None = None
    """Whether a copy is the first one with other pseudonyms; None until that is known."""
    _swaps: dict[bytes, Swap | None] = field(default_factory=dict)

    def under(self, key: bytes) -> Redacted:
        """The redaction under a key: the same bytes as `redact` leaves. Raises what it raises."""
        if self.first is not None and self._alike:
            swap = self._swaps[key] = self._swap(key)
            edits = tuple(edit._replace(new=swap(edit.new)) for edit in self.first.edits)
            return replace(self.first, raw=swap(self.first.raw), edits=edits)
        done = redact(self.raw, self.identity, key=key, level=self.level, own_hops=self.own_hops)
        if self.first is None:
            self.first, self._alike = done, _in_plain_sight(done) or None
        elif self._alike is None:
            self._alike = self._swap(key)(self.first.raw) == done.raw
        self._swaps[key] = self._swap(key) if self._alike and done is not self.first else None
        return done

    def swap(self, key: bytes) -> Swap | None:
        """What turns the first copy into the one under this key; None where it was made by itself."""
        return self._swaps.get(key)

    def _swap(self, key: bytes) -> Swap:
        assert self.first is not None
        stands, known = self.first.stands, dict[bytes, bytes]()

        def other(mine: bytes) -> bytes:
            if mine not in known:
                known[mine] = pseudonym(key, stands[mine]) if mine in stands else mine
            return known[mine]

        return lambda text: PSEUDONYM_ONLY.sub(lambda match: other(match[0]), text)


def _in_plain_sight(done: Redacted) -> bool:
    """Tell whether every pseudonym that was put in can be read there, and nothing else depends on the key."""
    put = Counter(edit.new for edit in done.edits)
    if any(new not in done.stands and not _is_same_for_all(new) for new in put):
        return False
    standing = Counter(PSEUDONYM_ONLY.findall(done.raw))
    return all(standing[new] == count for new, count in put.items() if new in done.stands)


def _is_same_for_all(new: bytes) -> bool:
    return new in _SAME_FOR_ALL or new.startswith((b"X-Redacted: ", stand_in.BEGINS))
