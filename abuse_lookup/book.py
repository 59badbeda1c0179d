"""Takes what servers were asked and said; leaves, per server, when it may be asked again.

A `Book` has one `Page` per server: its token buckets, its pauses, and who is asking it right now. Pages are
plain values with exact rules; a book only makes sure that one page is changed by one at a time: in memory,
or in a SQLite file for all processes of a machine (a service may bring its own, see `Book`).
"""

import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import inf
from typing import Protocol, TypeVar

from abuse_lookup.shared_file import SharedFile

_log = logging.getLogger(__name__)
MOST_SERVERS = 10_000
"""Servers that one process remembers: strangers name them, in referrals and redirects."""
MOST_SILENCES = 3
SILENCE_PAUSE = 60.0
LOOK_AGAIN = 0.05
"""Seconds until we look again whether another process has ended its turn at a server."""
ON_THE_WAY = 2.0
"""Seconds for which a question that got no answer is taken to be under way still."""
_CLOCKS = 1.001  # what a server's clock may be slower than the book's
PURGED_EVERY = 3600.0
"""Seconds after which a shared book looks for pages that may go."""
_IDLE = 86400.0  # seconds until a page that holds nobody back is thrown away

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: no `seconds` (half open, wherever they begin) hold more than `questions`.

    It holds `burst` tokens, which may be spent at once, and refills evenly. A token is spent at the latest
    moment at which its question may have reached the server, and held ready until then. Raises `ValueError`
    where the burst is more than half of the questions: the rest could not keep the promise.
    """

    questions: int
    seconds: float
    burst: int

    def __post_init__(self) -> None:
        if not 1 <= self.burst <= (self.questions + 1) / 2 or self.seconds <= 0:
            raise ValueError(f"{self}: a burst is at least 1 and at most half of the questions")

    @property
    def interval(self) -> float:
        """Seconds in which one token comes back."""
        return self.seconds * _CLOCKS / (self.questions - self.burst + 1)

    def __str__(self) -> str:
        window = "a minute" if self.seconds == 60 else f"in {self.seconds:g} s"
        return f"at most {self.questions} questions {window}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server gets at most: every bucket holds, and so many questions are under way at once."""

    buckets: tuple[Bucket, ...] = ()
    at_once: int = 1


@dataclass(slots=True)
class Page:
    """How one server stands with us; moments are epoch seconds."""

    full_again: dict[str, float] = field(default_factory=dict)
    """By the seconds of a bucket, when it will be full again."""
    paused_until: float = 0.0
    reason: str = ""
    """Why it is paused."""
    silences: int = 0
    """How often in a row it did not answer."""
    turns: dict[str, float] = field(default_factory=dict)
    """Who is asking it right now, and when that turn is over at the latest: its process may have died."""

    def take(self, who: str, limits: Limits, now: float, until: float) -> tuple[float, str]:
        """Take a turn for `who` that ends at `until` at the latest, where every bucket has a token for it.

        Whoever takes one asks between `now` and `until`. Returns 0.0, or nothing is taken and it is the
        seconds to wait at least (infinite for a server that keeps silent), and why.
        """
        self.turns.pop(who, None)
        for one, end in sorted(self.turns.items(), key=lambda turn: turn[1]):
            if end <= now:  # it died, and may have asked until then
                del self.turns[one]
                self._spend(limits, end, now)
        paused = self.paused_until - now
        # For a limit one may wait, however long; not for a server that may be gone
        waits = [
            (
                inf if paused > 0 and self.silences >= MOST_SILENCES else paused,
                f"is not asked for another {paused:.0f} s: {self.reason}",
            )
        ]
        for bucket in limits.buckets:
            spoken_for = (len(self.turns) + 1 - bucket.burst) * bucket.interval
            wait = max(0.0, self._full(bucket, now) - now) + spoken_for
            waits.append((wait, f"gets {bucket}; next in {wait:.0f} s"))
        if len(self.turns) >= limits.at_once:
            waits.append((LOOK_AGAIN, "was busy with our earlier questions"))
        wait, why = max(waits)
        if wait > 0:
            return wait, why
        self.turns[who] = until
        return 0.0, ""

    def give_back(self, who: str) -> None:
        """Undo `take`: nothing was asked."""
        self.turns.pop(who, None)

    def leave(self, who: str, limits: Limits, now: float, *, answered: bool | None) -> None:
        """End the turn of `who`, who asked; `answered` is None where the server was not silent either."""
        self.turns.pop(who, None)
        self._spend(limits, now if answered else now + ON_THE_WAY, now)
        if answered is None:
            return
        self.silences = 0 if answered else self.silences + 1
        if self.silences >= MOST_SILENCES:
            self.pause(now + SILENCE_PAUSE, f"it did not answer {self.silences} times in a row")

    def pause(self, until: float, reason: str) -> None:
        """Ask nothing until then; a shorter pause changes nothing."""
        if until > self.paused_until:
            self.paused_until, self.reason = until, reason

    def is_idle(self, now: float) -> bool:
        """Whether nothing on it has held anybody back for a day, so that it is as good as a new one."""
        return max(self.paused_until, *self.full_again.values(), *self.turns.values(), 0.0) < now - _IDLE

    def _spend(self, limits: Limits, at: float, now: float) -> None:
        """Take a token out of every bucket for a question that was at the server then, or before."""
        for bucket in limits.buckets:
            self.full_again[f"{bucket.seconds:g}"] = max(self._full(bucket, now), at) + bucket.interval

    def _full(self, bucket: Bucket, now: float) -> float:
        """When the bucket will be full; never later than a clock that was set back can make it."""
        latest = now + ON_THE_WAY + bucket.burst * bucket.interval
        return min(self.full_again.get(f"{bucket.seconds:g}", 0.0), latest)

    def text(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str | None) -> "Page":
        """Undo `text`; a new page for None and for what another version wrote."""
        try:
            return cls(**json.loads(text)) if text else cls()
        except (ValueError, TypeError):
            return cls()


class Book(Protocol):
    """The pages of all servers, and the one clock by which all who share them go."""

    is_far: bool
    """Whether it is asked over a network, where what is wanted at one time is better wanted together."""

    def change(self, server: str, how: Callable[[Page, float], T]) -> Awaitable[T]:
        """Let `how` change the page of `server`, at a moment (epoch seconds); nobody else has it meanwhile.

        Returns what `how` returns. A change is made as a whole, also when its caller is cancelled, and before
        those that are asked for afterwards; `how` may be called again where it is not certain that it was.
        Raises `BookError` when the page cannot be had now.
        """

    def close(self) -> None:
        """Let go of files."""


class BookError(Exception):
    """The shared book cannot be read or written now, so nobody knows whether a server may be asked."""


class MemoryBook:
    """The book of one process."""

    is_far = False

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._pages: dict[str, Page] = {}
        self._clock = clock

    async def change(self, server: str, how: Callable[[Page, float], T]) -> T:
        """Let `how` change the page of `server`."""
        page = self._pages[server] = self._pages.pop(server, Page())
        if len(self._pages) > MOST_SERVERS:
            del self._pages[next(iter(self._pages))]  # the one that was asked longest ago
        return how(page, self._clock().timestamp())

    def close(self) -> None:
        """Nothing to let go of."""


class FileBook:
    """The book of all processes that share one SQLite file.

    Where the file is broken or the disk is full, the limits hold in this process alone; a file that is only
    locked is waited for, and then nothing is asked.
    """

    is_far = False

    def __init__(self, file: SharedFile, clock: Callable[[], datetime]) -> None:
        self._file, self._own, self._clock = file, MemoryBook(clock), clock
        self._purged = 0.0
        file.add("CREATE TABLE IF NOT EXISTS server (name TEXT PRIMARY KEY, page TEXT NOT NULL)")

    async def change(self, server: str, how: Callable[[Page, float], T]) -> T:
        """Let `how` change the page of `server`."""

        def work(connection: sqlite3.Connection) -> T:
            now = self._clock().timestamp()
            if abs(now - self._purged) > PURGED_EVERY:
                self._purged = now
                connection.executemany("DELETE FROM server WHERE name = ?", _idle(connection, now))
            row = connection.execute("SELECT page FROM server WHERE name = ?", (server,)).fetchone()
            page = Page.parse(row and row[0])
            result = how(page, now)
            connection.execute("INSERT OR REPLACE INTO server VALUES (?, ?)", (server, page.text()))
            return result

        try:
            return await self._file.write(work)
        except sqlite3.Error as error:
            if self._file.is_only_busy(error):
                raise BookError(f"the shared book of limits is locked ({error})") from error
            _log.warning("book of limits not usable, they hold for this process alone: %s", error)
            return await self._own.change(server, how)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _idle(connection: sqlite3.Connection, now: float) -> list[tuple[str]]:
    pages = connection.execute("SELECT name, page FROM server").fetchall()
    return [(name,) for name, page in pages if Page.parse(page).is_idle(now)]
