"""Takes the wish to ask a server; leaves when it is our turn: one question at a time, so many a minute.

Limits are data (`data/limits.toml`). A server's own Retry-After or limit text stops us as long as it says.
The book of questions asked is in memory, or a SQLite file that all processes share.
"""

import asyncio
import sqlite3
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from abuse_lookup.errors import ConfigError
from abuse_lookup.knowledge import rows

WINDOW = 60.0
"""Seconds in which at most the limit's number of questions begin."""
MOST_SILENCES = 3
SILENCE_PAUSE = 60.0


class NotNow(Exception):  # noqa: N818 - reads as what it says
    """The server may not be asked in time; the message says when it may."""


class Book(Protocol):
    """When each server was, and will be, asked."""

    def reserve(self, server: str, limit: int, now: float, latest: float) -> float:
        """Write down and return the next moment (epoch seconds) at which `server` may be asked.

        Nothing is written when that is after `latest`.
        """

    def close(self) -> None:
        """Let go of files."""


class MemoryBook:
    """The book of one process."""

    def __init__(self) -> None:
        self._asked: dict[str, deque[float]] = defaultdict(deque)

    def reserve(self, server: str, limit: int, now: float, latest: float) -> float:
        """Write down and return the next moment at which `server` may be asked."""
        asked = self._asked[server]
        while asked and asked[0] <= now - WINDOW:
            asked.popleft()
        moment = now if len(asked) < limit else max(now, asked[-limit] + WINDOW)
        if moment <= latest:
            asked.append(moment)
        return moment

    def close(self) -> None:
        """Nothing to let go of."""


class FileBook:
    """The book of all processes that share one SQLite file; raises `ConfigError` when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(path, timeout=2.0, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.execute("CREATE TABLE IF NOT EXISTS asked (server TEXT, moment REAL)")
            self._connection.execute("CREATE INDEX IF NOT EXISTS asked_when ON asked (server, moment)")
        except sqlite3.Error as error:
            raise ConfigError(f"cache file {path}: {error}; remove it or name another one") from error

    def reserve(self, server: str, limit: int, now: float, latest: float) -> float:
        """Write down and return the next moment for `server`; raises `NotNow` when the file is locked."""
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            run("DELETE FROM asked WHERE server = ? AND moment <= ?", (server, now - WINDOW))
            query = "SELECT moment FROM asked WHERE server = ? ORDER BY moment DESC LIMIT 1 OFFSET ?"
            oldest = run(query, (server, limit - 1)).fetchone()
            moment = now if oldest is None else max(now, float(oldest[0]) + WINDOW)
            if moment <= latest:
                run("INSERT INTO asked VALUES (?, ?)", (server, moment))
            run("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise NotNow(f"{server} not asked: the shared book of limits is not usable ({error})") from error
        return moment

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Pace:
    """Whose turn it is at which server. `per_minute` bounds every server; 0 lifts all limits."""

    def __init__(self, per_minute: int, clock: Callable[[], datetime], book: Book) -> None:
        self._per_minute, self._clock, self._book = per_minute, clock, book
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._paused: dict[str, tuple[float, str]] = {}
        self._silences: dict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def turn(self, server: str, patience: float) -> AsyncIterator[None]:
        """Hold the one turn at `server`; raises `NotNow` when it does not come within `patience` seconds."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        lock = self._turns[server]
        try:
            async with asyncio.timeout(patience):
                await lock.acquire()
        except TimeoutError:
            raise NotNow(f"{server} was busy with our earlier questions for {patience:.0f} s") from None
        try:
            if wait := self._wait(server, patience - (loop.time() - started)):
                await asyncio.sleep(wait)
            yield
        finally:
            lock.release()

    def silent(self, server: str) -> None:
        """Note that `server` did not answer; after a few times in a row it is left alone for a while."""
        self._silences[server] += 1
        if self._silences[server] >= MOST_SILENCES:
            self.pause(server, SILENCE_PAUSE, f"it did not answer {self._silences[server]} times in a row")

    def answered(self, server: str) -> None:
        """Note that `server` answered."""
        self._silences.pop(server, None)

    def pause(self, server: str, seconds: float, reason: str) -> None:
        """Ask nothing of `server` for so long, because it said so."""
        until = self._now() + max(0.0, seconds)
        if until > self._paused.get(server, (0.0, ""))[0]:
            self._paused[server] = (until, reason)

    def limit(self, server: str) -> int:
        """Questions a minute that `server` gets at most; 0 for no limit."""
        if not self._per_minute:
            return 0
        known = (
            int(row["per_minute"]) for row in rows("limits", "limit") if _is_under(server, row["server"])
        )
        return min((self._per_minute, *known))

    def close(self) -> None:
        """Let go of the book's file."""
        self._book.close()

    def _wait(self, server: str, patience: float) -> float:
        now = self._now()
        until, reason = self._paused.get(server, (0.0, ""))
        if until > now + patience:
            raise NotNow(f"{server} is not asked for another {until - now:.0f} s: {reason}")
        earliest = max(now, until)
        if limit := self.limit(server):
            moment = self._book.reserve(server, limit, earliest, now + patience)
            if moment > now + patience:
                raise NotNow(
                    f"{server} gets at most {limit} questions a minute; next in {moment - now:.0f} s"
                )
            earliest = moment
        return earliest - now

    def _now(self) -> float:
        return self._clock().timestamp()


def _is_under(server: str, suffix: str) -> bool:
    return server == suffix or server.endswith("." + suffix)
