"""Takes the wish to ask a server; leaves when it is our turn, and what it said a moment ago if that will do.

Limits are data (`data/limits.toml`, and the operator's own rows). A server's Retry-After or limit text, and
its silence, stop us as long as they say. All processes that share a `Book` share all of it.
"""

import asyncio
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from abuse_lookup.answer import Span
from abuse_lookup.book import MOST_SERVERS, Book, BookError, Bucket, Limits, MemoryBook, Page
from abuse_lookup.cache import Cache, MemoryCache, covering_keys, span_keys
from abuse_lookup.errors import ConfigError
from abuse_lookup.knowledge import Row, checked, rows
from abuse_lookup.target import IPAddress

MINUTE = 60.0
BURST_PART = 25
"""A 25th of the questions of a limit may be asked at once; the rest comes evenly, so 96 % are reached."""
KEPT = timedelta(minutes=2)
"""How long what a server said is repeated to those who were waiting to ask it the same."""
_LONGEST_TEXT = 256 * 1024  # characters of an answer that is repeated
_LEASE_MARGIN = 2.0  # seconds a turn may take beyond its exchange, until others think that we died


class NotNow(Exception):  # noqa: N818 - reads as what it says
    """The server may not be asked in time; the message says when it may."""


class Turn:
    """Our turn at a server. When `known` is there, nothing is to be asked."""

    def __init__(self, known: str | None = None) -> None:
        self.known = known
        """What it said a moment ago about the same question or the same network, as `keep` got it."""
        self.said: tuple[str, Span | None, bool] | None = None
        self.paused: tuple[float, str] | None = None

    def keep(self, text: str, span: Span | None = None, *, whole: bool = False) -> None:
        """Repeat this answer to whoever waits to ask the same, or about an address in `span`.

        Of a pool only about the neighbourhood, unless it holds for the `whole` of it (see `cache.span_keys`).
        """
        self.said = (text, span, whole)

    def pause(self, seconds: float, reason: str) -> None:
        """Ask nothing of this server for so long, because it said so."""
        self.paused = (max(0.0, seconds), reason)


class Pace:
    """Whose turn it is at which server.

    `per_minute` bounds every server; 0 lifts all limits but the number of questions at once. No exchange
    takes longer than `exchange_seconds`. `own` are the operator's rows.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], datetime],
        book: Book | None = None,
        cache: Cache | None = None,
        *,
        exchange_seconds: float = 60.0,
        own: Iterable[Row] = (),
    ) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._book: Book = book if book is not None else MemoryBook(clock)
        self._cache: Cache = cache if cache is not None else MemoryCache()
        self._exchange_seconds = exchange_seconds
        self._own = tuple(own)
        self._limits: dict[str, Limits] = {}
        self._room: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def turn(
        self, server: str, patience: float, question: str = "", about: IPAddress | None = None
    ) -> AsyncIterator[Turn]:
        """Hold a turn at `server` for one exchange.

        `question` is what shall be asked; with `about`, it is asked about this address. Raises `NotNow` when
        the turn does not come within `patience` seconds, and `TimeoutError` when the exchange takes longer
        than what is left of them.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        if len(self._room) > MOST_SERVERS:
            self._room.clear()  # a page alone lets no more ask at once either
            self._limits.clear()
        room = self._room.setdefault(server, asyncio.Semaphore(self.limits(server).at_once))
        try:
            async with asyncio.timeout_at(deadline):
                await room.acquire()
        except TimeoutError:
            raise NotNow(
                f"{server} was busy with our earlier questions for {max(0.0, patience):.0f} s"
            ) from None
        what, who = _What(question, about), uuid4().hex
        try:
            until, known = await self._taken(server, who, deadline, what)
        except BaseException:
            room.release()
            raise
        if known is not None:
            room.release()
            await asyncio.sleep(0)  # whoever is next asks before we read what was said
            yield Turn(known)
            return
        async with self._exchange(server, who, min(until, deadline), what, room) as turn:
            yield turn

    async def _taken(self, server: str, who: str, deadline: float, what: "_What") -> tuple[float, str | None]:
        """Wait for a turn and take it; returns when its exchange must be over, or what was said meanwhile."""
        limits, loop = self.limits(server), asyncio.get_running_loop()

        def take(page: Page, now: float) -> tuple[float, str]:
            return page.take(who, limits, now, now + self._exchange_seconds + _LEASE_MARGIN)

        try:
            while True:
                until = loop.time() + self._exchange_seconds  # before the take: it may come late
                if self._book.is_far:
                    both = self._book.change(server, take), self._said(what)
                    (wait, why), known = await asyncio.gather(*both)
                else:
                    wait, why = await self._book.change(server, take)
                    known = await self._said(what)
                if known is not None:
                    await self._give_back(server, who)
                    return until, known
                if not wait:
                    return until, None
                if wait > deadline - loop.time():
                    raise NotNow(f"{server} {why}")
                await asyncio.sleep(wait)
        except BookError as error:
            raise NotNow(f"{server} not asked: {error}") from error
        except asyncio.CancelledError:
            await self._give_back(server, who)
            raise

    async def _give_back(self, server: str, who: str) -> None:
        with suppress(BookError):  # then the turn ends by itself
            await self._book.change(server, lambda page, _: page.give_back(who))

    @asynccontextmanager
    async def _exchange(
        self, server: str, who: str, until: float, what: "_What", room: asyncio.Semaphore
    ) -> AsyncIterator[Turn]:
        """Bound the exchange; what came of it is written down before the turn ends, for those who wait.

        Whoever is next asks before we read the answer; a far book gets his taking together with our leaving.
        """
        turn = Turn()
        answered: bool | None = None
        seconds = until - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(until) as bound:
                yield turn
            answered = True
        except TimeoutError:
            # A question that had no time to be answered is no silence
            answered = False if bound.expired() and seconds >= self._exchange_seconds / 2 else None
            raise
        finally:
            if self._book.is_far:
                leaving = asyncio.ensure_future(self._end(server, who, turn, answered, what))
                room.release()
                await asyncio.shield(leaving)
            else:
                try:
                    await self._end(server, who, turn, answered, what)
                finally:
                    room.release()
                await asyncio.sleep(0)

    async def _end(self, server: str, who: str, turn: Turn, answered: bool | None, what: "_What") -> None:
        limits = self.limits(server)

        def leave(page: Page, now: float) -> None:
            page.leave(who, limits, now, answered=answered)
            if turn.paused is not None:
                seconds, reason = turn.paused
                page.pause(now + seconds, reason)

        keeping: Awaitable[None] | None = None
        if turn.said is not None and what.question and len(turn.said[0]) <= _LONGEST_TEXT:
            text, span, whole = turn.said
            keeping = self._cache.put(what.keys_for(span, whole=whole), text, self._clock() + KEPT)
            if not self._book.is_far:
                await keeping
                keeping = None
        with suppress(BookError):  # then the turn ends by itself
            await self._book.change(server, leave)
        if keeping is not None:
            await keeping

    def limits(self, server: str) -> Limits:
        """What `server` gets at most."""
        if (found := self._limits.get(server)) is None:
            found = self._limits[server] = _limits(server, self._per_minute, self._own)
        return found

    def close(self) -> None:
        """Let go of the book's file."""
        self._book.close()

    def _said(self, what: "_What") -> Awaitable[str | None]:
        return self._cache.get(what.keys if what.question else [], self._clock())


@dataclass(frozen=True)
class _What:
    """What shall be asked, and about which address."""

    question: str
    about: IPAddress | None

    @cached_property
    def keys(self) -> list[str]:
        """The keys under which its answer may have been kept."""
        if self.about is None:
            return [f"said:{self.question}"]
        return [f"said:{self.question}:{key}" for key in covering_keys(self.about)]

    def keys_for(self, span: Span | None, *, whole: bool) -> list[str]:
        """The keys for an answer about `span`."""
        if self.about is None or span is None or self.about not in span:
            return self.keys[:1]
        return [f"said:{self.question}:{key}" for key in span_keys(span, self.about, whole=whole)]


def _limits(server: str, per_minute: int, own: Iterable[Row]) -> Limits:
    """Put together the general limit and the rows that name the server; the operator's go before both."""
    mine = [row for row in own if _covers(row, server)]
    agreed = bool(mine)
    mine = mine or [row for row in rows("limits", "limit") if _covers(row, server)]
    at_once = min((int(row["at_once"]) for row in mine if "at_once" in row), default=1)
    if not per_minute:
        return Limits(at_once=at_once)
    buckets = [_bucket(row) for row in mine if "questions" in row]
    if not (agreed and buckets):
        buckets.append(Bucket(per_minute, MINUTE, _burst(per_minute)))
    tightest: dict[float, Bucket] = {}
    for bucket in sorted(buckets, key=lambda bucket: bucket.questions):
        tightest.setdefault(bucket.seconds, bucket)
    return Limits(tuple(tightest.values()), at_once)


def _covers(row: Row, server: str) -> bool:
    return server == row["server"] or server.endswith(f".{row['server']}")


def _bucket(row: Row) -> Bucket:
    questions = int(row["questions"])
    return Bucket(questions, float(row["seconds"]), int(row.get("burst", _burst(questions))))


def _burst(questions: int) -> int:
    return 1 + questions // BURST_PART


def limit_rows(file: Path) -> tuple[Row, ...]:
    """Read the operator's own `[[limit]]` rows, as data/limits.toml has them; raises `ConfigError`."""
    try:
        found = checked(str(file), "limit", tomllib.loads(file.read_text(encoding="utf-8")).get("limit", []))
        for row in found:
            _limits(str(row["server"]), 1, [row])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"limits in {file}: {error}") from error
    return found
