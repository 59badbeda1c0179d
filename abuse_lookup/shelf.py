"""Takes parsed answers; leaves them at hand for this process: by what was asked, and by range of addresses.

Ranges never overlap: where an answer about a larger range comes to one about a smaller, the smaller one keeps
its part as long as it is kept at all, for it knows better.
"""

import socket
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter

from abuse_lookup.answer import Lookup, Span
from abuse_lookup.target import Target

_MOST = 100_000
_THE_REST = attrgetter(*(one.name for one in fields(Lookup) if one.name not in {"target", "kind"}))


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer, how long it is fresh, and until when it is better than none (RFC 5861 §4); aware UTC."""

    found: Lookup
    fresh_until: datetime
    kept_until: datetime
    about: Span | None = None
    """The addresses it is the answer for; None where it is for the target alone."""


class _Ranges:
    """Entries by range of one IP version, in three lists of one length, sorted."""

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.lasts: list[int] = []
        self.entries: list[tuple[Entry, int]] = []
        """With the size of the range each was put in for."""

    def get(self, number: int) -> Entry | None:
        at = bisect_right(self.firsts, number) - 1
        return self.entries[at][0] if at >= 0 and number <= self.lasts[at] else None

    def put(self, first: int, last: int, about: int, entry: Entry, now: datetime) -> None:
        """Keep an answer about `about` for a range that holds it; where it is, no former answer stays."""
        if len(self.firsts) >= _MOST:
            self.__init__()  # type: ignore[misc] # starts anew: what is asked for still comes back from the cache
        new = (entry, last - first)
        low = bisect_left(self.lasts, first)
        high = bisect_right(self.firsts, last)
        pieces: list[tuple[int, int, tuple[Entry, int]]] = []
        at = first
        for start, end, old in zip(
            self.firsts[low:high], self.lasts[low:high], self.entries[low:high], strict=True
        ):
            if old[1] < new[1] and old[0].kept_until > now and not start <= about <= end:
                pieces += [(at, start - 1, new)] if at < start else []
                pieces.append((start, end, old))
                at = end + 1
                continue
            pieces += [(start, first - 1, old)] if start < first else []
            if end > last:
                pieces += [(at, last, new), (last + 1, end, old)]
                at = last + 1
        if at <= last:
            pieces.append((at, last, new))
        self.firsts[low:high] = [piece[0] for piece in pieces]
        self.lasts[low:high] = [piece[1] for piece in pieces]
        self.entries[low:high] = [piece[2] for piece in pieces]


class Shelf:
    """The answers of this process."""

    def __init__(self) -> None:
        self._texts: dict[str, Entry] = {}
        self._keys: dict[str, Entry] = {}
        self._ranges = {4: _Ranges(), 6: _Ranges()}
        self._ranges4 = self._ranges[4]

    def at_hand(self, text: str, now: datetime) -> Lookup | None:
        """Return a fresh answer to a target as it was written, without reading the target if possible."""
        if (entry := self._texts.get(text)) is not None:
            if entry.fresh_until > now:
                return entry.found
            del self._texts[text]
            return None
        try:
            number = int.from_bytes(socket.inet_pton(socket.AF_INET, text))
        except (OSError, ValueError):
            return None
        entry = self._ranges4.get(number)
        if entry is None or entry.fresh_until <= now:
            return None
        return Lookup(text, "ip", *_THE_REST(entry.found))  # a third of what `replace` takes

    def get(self, target: Target, key: str) -> Entry | None:
        """Return what is there about a target, fresh or not."""
        if target.ip is not None:
            return self._ranges[target.ip.version].get(int(target.ip))
        return self._keys.get(key)

    def put(self, target: Target, key: str, entry: Entry, span: Span | None, now: datetime) -> None:
        """Keep an answer under `key`; one about an address for all of `span`."""
        if target.ip is not None:
            number = int(target.ip)
            first, last = (int(span.first), int(span.last)) if span else (number, number)
            self._ranges[target.ip.version].put(first, last, number, entry, now)
        else:
            _add(self._keys, key, entry)

    def note(self, target: Target, entry: Entry) -> None:
        """Keep an answer under the very text that was asked, where reading the text would take longer."""
        if target.kind != "ip" or target.ip is None or target.ip.version == 6:
            _add(self._texts, target.text, entry)


def _add(entries: dict[str, Entry], key: str, entry: Entry) -> None:
    entries.pop(key, None)
    entries[key] = entry
    while len(entries) > _MOST:
        del entries[next(iter(entries))]
