"""Takes answers to targets; leaves them for the next question, with how long they are good.

Three ages (RFC 5861): fresh; stale, but given at once while it is asked anew; stale, and given only where
asking anew fails. In this process answers are parsed (`Shelf`), between processes they are JSON (`Cache`).
"""

import json
import logging
import zlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta

from abuse_lookup import answer, journal
from abuse_lookup.answer import Failure, Lookup, Span
from abuse_lookup.cache import Cache, span_keys, without_pool
from abuse_lookup.shelf import Entry, Shelf
from abuse_lookup.span import parse_span
from abuse_lookup.target import IPAddress, Target, ip_refusal

_log = logging.getLogger(__name__)
KEPT_FOUND = timedelta(days=1)
KEPT_HOST = timedelta(hours=1)
"""Where a host is may change any hour; what is known of its network is kept by itself."""
KEPT_ABSENT = timedelta(hours=1)
KEPT_ERROR = timedelta(minutes=2)
AT_ONCE = timedelta(days=1)
"""How long beyond its freshness an answer is given without waiting for the new one (RFC 5861 §3)."""
KEPT_ANYWAY = timedelta(days=7)
"""How old an answer may be that stands in where asking anew fails (RFC 5861 §4)."""
_PURGED_EVERY = 500  # answers kept
_TIMES = ("fresh_until", "kept_until")

# Answers of another shape than this version's are asked for again.
_KINDS = (kind for kind in vars(answer).values() if isinstance(kind, type) and is_dataclass(kind))
_SHAPE = zlib.crc32(repr(sorted((kind.__name__, [f.name for f in fields(kind)]) for kind in _KINDS)).encode())


class Kept:
    """The answers to targets that are kept."""

    def __init__(self, cache: Cache, clock: Callable[[], datetime], zones: tuple[str, ...] = ()) -> None:
        """Keep answers made with these contact zones; those made with others are asked for again."""
        self._shape = zlib.crc32(repr(zones).encode(), _SHAPE)
        self._cache, self._clock = cache, clock
        self._shelf, self._hand = Shelf(), Shelf()
        self._puts = 0

    def at_hand(self, text: str) -> Lookup | None:
        """Return a fresh answer that this process has, for a target as it is written."""
        return self._hand.at_hand(text, self._clock())

    def put_at_hand(self, target: Target, entry: Entry, alike: Span | None) -> None:
        """Have the finished answer at hand, for all addresses in `alike`."""
        now = self._clock()
        if entry.fresh_until > now:
            self._hand.put(target, target.key, entry, alike, now)
            self._hand.note(target, entry)

    def clear_hand(self) -> None:
        """Finish all answers anew."""
        self._hand = Shelf()

    async def get(self, target: Target, keys: list[str]) -> Entry | None:
        """Return the best that is known, fresh or not; put it at hand."""
        now = self._clock()
        entry = self._shelf.get(target, keys[0])
        if entry is None or entry.fresh_until <= now:
            entry = _newer(entry, await self._shared(target, keys))
        if entry is None or entry.kept_until <= now:
            return None
        if entry.fresh_until > now:
            journal.kept(target.key, entry.fresh_until)
        return replace(entry, found=replace(entry.found, target=target.text, kind=target.kind))

    def is_fresh(self, entry: Entry | None) -> bool:
        """Whether nothing needs to be asked."""
        return entry is not None and entry.fresh_until > self._clock()

    def is_given_at_once(self, entry: Entry | None) -> bool:
        """Whether a stale answer is better now than a fresh one later."""
        return (
            entry is not None
            and entry.kept_until > entry.fresh_until
            and entry.fresh_until + AT_ONCE > self._clock()
        )

    async def put(
        self,
        target: Target,
        keys: list[str],
        found: Lookup,
        span: Span | None,
        *,
        settled: bool,
        longest: timedelta,
    ) -> Entry:
        """Keep an answer about `span`, fresh for `longest`; shorter where nobody or not all was found.

        A `settled` one is kept beyond, for when asking anew fails, unless where it leads to changes any hour.
        It can be had before this first waits.
        """
        now = self._clock()
        fresh_until = now + _lifetime(found, settled=settled, longest=longest)
        kept_until = now + KEPT_ANYWAY if settled and longest > KEPT_HOST else fresh_until
        entry = Entry(found, fresh_until, kept_until, _about(target.ip, span, found))
        await self._put(target, keys, entry)
        return entry

    async def put_again(
        self, target: Target, keys: list[str], entry: Entry, failures: tuple[Failure, ...]
    ) -> Entry:
        """Keep a stale answer for a while longer, with what failed when it was asked anew."""
        found = replace(entry.found, failures=failures, stale=True)
        entry = replace(entry, found=found, fresh_until=self._clock() + KEPT_ERROR)
        await self._put(target, keys, entry)
        return entry

    async def _put(self, target: Target, keys: list[str], entry: Entry) -> None:
        now, before = self._clock(), self._shelf.get(target, keys[0])
        self._shelf.put(target, keys[0], entry, entry.about, now)
        if entry.about is not None and target.ip is not None:
            keys = [*span_keys(entry.about, target.ip), *_outdated(target.ip, before, entry.about)]
        else:
            keys = keys[:1]
        await self._cache.put(
            list(dict.fromkeys(keys)), _text(entry, self._shape), max(entry.kept_until, entry.fresh_until)
        )
        self._puts += 1
        if self._puts % _PURGED_EVERY == 0:
            await self._cache.purge(now)

    async def _shared(self, target: Target, keys: list[str]) -> Entry | None:
        text = await self._cache.get(keys, self._clock())
        entry = _parsed(text, target, self._shape) if text is not None else None
        if entry is not None:
            self._shelf.put(target, keys[0], entry, entry.about, self._clock())
        return entry


def _lifetime(found: Lookup, *, settled: bool, longest: timedelta) -> timedelta:
    """How long an answer is fresh: `longest` when found, an hour for nobody, minutes after errors."""
    unsure = any(not failure.permanent for failure in found.failures)
    if settled:
        return min(longest, KEPT_ABSENT) if unsure else longest
    return KEPT_ERROR if unsure else min(longest, KEPT_ABSENT)


def _newer(one: Entry | None, other: Entry | None) -> Entry | None:
    if one is None or other is None:
        return one or other
    return one if one.fresh_until >= other.fresh_until else other


def _about(ip: IPAddress | None, span: Span | None, found: Lookup) -> Span | None:
    """The range an answer holds for; None where it is about the one address only.

    It holds for the range when it is the registry's, and the range is one of the public Internet.
    """
    if ip is None or span is None or ip not in span or not found.contacts:
        return None
    if any(contact.source not in {"rdap", "whois"} for contact in found.contacts):
        return None
    span = without_pool(span, ip)
    return span if ip_refusal(span.first) is None and ip_refusal(span.last) is None else None


def _outdated(ip: IPAddress, before: Entry | None, about: Span) -> list[str]:
    """The keys of a former answer about a smaller range than the new one, which would else be found first."""
    if before is None or before.about is None or ip not in before.about:
        return []
    inside = before.about.first in about and before.about.last in about
    return span_keys(before.about, ip) if inside else []


def _text(entry: Entry, shape: int) -> str:
    return json.dumps(
        {
            "shape": shape,
            "fresh_until": entry.fresh_until.isoformat(),
            "kept_until": entry.kept_until.isoformat(),
            "found": entry.found.document(),
        }
    )


def _parsed(text: str, target: Target, shape: int) -> Entry | None:
    try:
        document = json.loads(text)
        if document["shape"] != shape:
            return None
        found = Lookup.from_document(document["found"])
        fresh_until, kept_until = (datetime.fromisoformat(document[name]) for name in _TIMES)
        span = parse_span(found.network) if found.network else None
        return Entry(found, fresh_until, kept_until, _about(target.ip, span, found))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _log.warning("cached answer for %s is not readable, asking again: %s", target.key, error)
        return None
