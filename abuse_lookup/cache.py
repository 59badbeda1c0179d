"""Takes answers with their expiry; leaves them for the next question, also of another process.

An answer about a network is kept under the prefixes that make up the *returned range*, so that neighbours
need no new question. `MemoryCache` and `FileCache` (SQLite, shared between processes) have one shape.
"""

import asyncio
import ipaddress
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol

from abuse_lookup.answer import Span
from abuse_lookup.shared_file import SharedFile
from abuse_lookup.target import IPAddress

_log = logging.getLogger(__name__)
_MOST_ENTRIES = 50_000
# A registration larger than this is a pool that is handed on in parts, and the parts may have desks of
# their own: it speaks for its neighbourhood only. (bits of the prefix: IPv4, IPv6)
_POOL = {4: 16, 6: 32}
NEIGHBOURHOOD = {4: 24, 6: 48}
"""Prefix lengths of what is asked about one at a time, and of what a pool's answer is kept for."""


class Cache(Protocol):
    """Where answers wait. `keys` go from the most specific to the least."""

    def get(self, keys: Sequence[str], now: datetime) -> Awaitable[str | None]:
        """Return the value of the first key that is there and not expired, if it can be had."""

    def put(self, keys: Sequence[str], value: str, expires: datetime) -> Awaitable[None]:
        """Keep `value` under every key until `expires` (aware UTC), if it can be kept."""

    async def purge(self, now: datetime) -> int:
        """Drop what has expired; returns the number of keys."""

    def close(self) -> None:
        """Let go of files."""


class MemoryCache:
    """Answers of this process; the oldest entries go first when it is full."""

    def __init__(self, most: int = _MOST_ENTRIES) -> None:
        self._entries: dict[str, tuple[str, datetime]] = {}
        self._most = most

    async def get(self, keys: Sequence[str], now: datetime) -> str | None:
        """Return the value of the first key that is there and not expired."""
        for key in keys:
            if (entry := self._entries.get(key)) is not None:
                if entry[1] > now:
                    return entry[0]
                del self._entries[key]
        return None

    async def put(self, keys: Sequence[str], value: str, expires: datetime) -> None:
        """Keep `value` under every key until `expires`."""
        for key in keys:
            self._entries.pop(key, None)
            self._entries[key] = (value, expires)
        while len(self._entries) > self._most:
            del self._entries[next(iter(self._entries))]

    async def purge(self, now: datetime) -> int:
        """Drop what has expired; returns the number of keys."""
        gone = [key for key, (_, expires) in self._entries.items() if expires <= now]
        for key in gone:
            del self._entries[key]
        return len(gone)

    def close(self) -> None:
        """Nothing to let go of."""


class FileCache:
    """Answers in one SQLite file that many processes share.

    A cache must never stop a lookup: a locked, broken or full file is logged and counts as a miss.
    """

    def __init__(self, file: SharedFile) -> None:
        self._file = file
        file.add(
            "CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, value TEXT, expires REAL)",
            "CREATE INDEX IF NOT EXISTS answer_expires ON answer (expires)",
        )

    async def get(self, keys: Sequence[str], now: datetime) -> str | None:
        """Return the value of the first key that is there and not expired."""
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, value FROM answer WHERE key IN ({marks}) AND expires > ?"  # noqa: S608 - marks only
        values = (*keys, now.timestamp())
        try:
            found = dict(
                await self._file.read(lambda connection: connection.execute(query, values).fetchall())
            )
        except sqlite3.Error as error:
            _log.warning("lookup cache not readable: %s", error)
            return None
        return next((found[key] for key in keys if key in found), None)

    async def put(self, keys: Sequence[str], value: str, expires: datetime) -> None:
        """Keep `value` under every key until `expires`."""
        rows = [(key, value, expires.timestamp()) for key in keys]

        def write(connection: sqlite3.Connection) -> None:
            # Nothing of SQLite's leaves its thread: a cursor that another one frees is misuse
            connection.executemany("INSERT OR REPLACE INTO answer VALUES (?, ?, ?)", rows)

        try:
            await self._file.write(write)
        except sqlite3.Error as error:
            _log.warning("lookup cache not writable: %s", error)

    async def purge(self, now: datetime) -> int:
        """Drop what has expired; returns the number of rows."""
        gone = "DELETE FROM answer WHERE expires <= ?"
        try:
            return await self._file.write(
                lambda connection: connection.execute(gone, (now.timestamp(),)).rowcount
            )
        except sqlite3.Error as error:
            _log.warning("lookup cache not purged: %s", error)
            return 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def covering_keys(ip: IPAddress) -> list[str]:
    """List the keys under which an answer for `ip` may be kept: every prefix, the longest first."""
    number, bits = int(ip), ip.max_prefixlen
    return [
        f"net{ip.version}/{length}/{number >> (bits - length) << (bits - length):x}"
        for length in range(bits, -1, -1)
    ]


def span_keys(span: Span, around: IPAddress, *, whole: bool = False) -> list[str]:
    """List the keys for an answer about `span`, asked for `around`.

    Only the neighbourhood's for a pool, unless the answer holds for the `whole` of it.
    """
    span = span if whole else without_pool(span, around)
    pieces = ipaddress.summarize_address_range(span.first, span.last)
    return [f"net{around.version}/{piece.prefixlen}/{int(piece.network_address):x}" for piece in pieces]


def without_pool(span: Span, around: IPAddress) -> Span:
    """Cut a pool to the neighbourhood of the address that was asked about; others stay as they are."""
    if span.size <= 1 << (around.max_prefixlen - _POOL[around.version]):
        return span
    near = neighbourhood(around)
    first, last = max(int(span.first), int(near[0])), min(int(span.last), int(near[-1]))
    return Span(type(around)(first), type(around)(last))


def neighbourhood(ip: IPAddress) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return the /24 or /48 around an address."""
    return ipaddress.ip_network((ip, NEIGHBOURHOOD[ip.version]), strict=False)


class OneAtATime:
    """Lets one task at a time ask about a key; the others wait and then find the answer in the cache."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def asking(self, key: str) -> AsyncIterator[bool]:
        """Hold the key for the body of the `async with`; it gets whether others held it before."""
        lock, users = self._waiting.get(key, (asyncio.Lock(), 0))
        self._waiting[key] = (lock, users + 1)
        try:
            async with lock:
                yield users > 0
        finally:
            lock, users = self._waiting[key]
            if users == 1:
                del self._waiting[key]
            else:
                self._waiting[key] = (lock, users - 1)
