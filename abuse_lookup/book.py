"""Takes what servers were asked and said; leaves, per server, when it may be asked again.

A `Book` has one `Page` per server: its token buckets, its pauses, and who is asking it right now. Pages are
plain values with exact rules; a book only makes sure that one page is changed by one at a time: in memory,
or in a SQLite file for all processes of a machine (a service may bring its own, see `Book`).
"""

import json
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
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
_ON_THE_WAY = 1.01  # what a question may be late at the server after its token was taken, of the window

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: no `seconds` (half open, wherever they begin) hold more than `questions`.

    It holds `burst` tokens, which may be spent at once, and refills evenly. Raises `ValueError` where the
    burst is more than half of the questions: the rest could not keep the promise.
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
        return self.seconds * _ON_THE_WAY / (self.questions - self.burst + 1)

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
        """Take a turn for `who` that ends at `until` at the latest, and a token of every bucket.

        Returns 0.0, or nothing is taken and it is the seconds to wait at least (infinite for a server that
        keeps silent), and why.
        """
        self.turns = {one: end for one, end in self.turns.items() if end > now}
        paused = self.paused_until - now
        # For a limit one may wait, however long; not for a server that may be gone
        waits = [
            (
                inf if paused > 0 and self.silences >= MOST_SILENCES else paused,
                f"is not asked for another {paused:.0f} s: {self.reason}",
            )
        ]
        for bucket in limits.buckets:
            wait = self._full(bucket, now) - (bucket.burst - 1) * bucket.interval - now
            waits.append((wait, f"gets {bucket}; next in {wait:.0f} s"))
        if len(self.turns) >= limits.at_once:
            waits.append((LOOK_AGAIN, "was busy with our earlier questions"))
        wait, why = max(waits)
        if wait > 0:
            return wait, why
        for bucket in limits.buckets:
            self.full_again[f"{bucket.seconds:g}"] = max(self._full(bucket, now), now) + bucket.interval
        self.turns[who] = until
        return 0.0, ""

    def give_back(self, who: str, limits: Limits) -> None:
        """Undo `take`: nothing was asked."""
        if self.turns.pop(who, None) is not None:
            for bucket in limits.buckets:
                key = f"{bucket.seconds:g}"
                self.full_again[key] = self.full_again.get(key, 0.0) - bucket.interval

    def leave(self, who: str, now: float, *, answered: bool | None) -> None:
        """End the turn of `who`; `answered` is None where the server neither answered nor was silent."""
        self.turns.pop(who, None)
        if answered is None:
            return
        self.silences = 0 if answered else self.silences + 1
        if self.silences >= MOST_SILENCES:
            self.pause(now + SILENCE_PAUSE, f"it did not answer {self.silences} times in a row")

    def pause(self, until: float, reason: str) -> None:
        """Ask nothing until then; a shorter pause changes nothing."""
        if until > self.paused_until:
            self.paused_until, self.reason = until, reason

    def _full(self, bucket: Bucket, now: float) -> float:
        """When the bucket will be full; never later than a clock that was set back can make it."""
        return min(self.full_again.get(f"{bucket.seconds:g}", 0.0), now + bucket.burst * bucket.interval)

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
    """The pages of all servers."""

    async def change(self, server: str, how: Callable[[Page], T]) -> T:
        """Let `how` change the page of `server`; nobody else reads or writes it meanwhile.

        Returns what `how` returns. Raises `BookError` when the page cannot be had now.
        """

    def close(self) -> None:
        """Let go of files."""


class BookError(Exception):
    """The shared book cannot be read or written now, so nobody knows whether a server may be asked."""


class MemoryBook:
    """The book of one process."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}

    async def change(self, server: str, how: Callable[[Page], T]) -> T:
        """Let `how` change the page of `server`."""
        page = self._pages[server] = self._pages.pop(server, Page())
        if len(self._pages) > MOST_SERVERS:
            del self._pages[next(iter(self._pages))]  # the one that was asked longest ago
        return how(page)

    def close(self) -> None:
        """Nothing to let go of."""


class FileBook:
    """The book of all processes that share one SQLite file.

    Where the file is broken or the disk is full, the limits hold in this process alone; a file that is only
    locked is waited for, and then nothing is asked.
    """

    def __init__(self, file: SharedFile) -> None:
        self._file, self._own = file, MemoryBook()
        file.add("CREATE TABLE IF NOT EXISTS server (name TEXT PRIMARY KEY, page TEXT NOT NULL)")

    async def change(self, server: str, how: Callable[[Page], T]) -> T:
        """Let `how` change the page of `server`."""

        def work(connection: sqlite3.Connection) -> T:
            row = connection.execute("SELECT page FROM server WHERE name = ?", (server,)).fetchone()
            page = Page.parse(row and row[0])
            result = how(page)
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
