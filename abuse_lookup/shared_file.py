"""Takes statements; leaves them done in one SQLite file that processes share.

They take microseconds, so they are done at once on the event loop, where a thread would first wait for its
turn in the interpreter; only where another process is writing, a thread waits for it. What is in the file can
be asked again: a broken one of ours is thrown away. synchronous=NORMAL in WAL mode never breaks it, and may
lose the last moments before a power failure.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from abuse_lookup.errors import ConfigError

_log = logging.getLogger(__name__)
_VERSION = 2
_MAGIC = b"SQLite format 3\0"
_CHECKPOINT_EVERY = 500  # writes
_PATIENCE = 5.0  # seconds to wait for another process that writes

T = TypeVar("T")


class SharedFile:
    """A connection that never waits, and a thread with one that does. Belongs to the thread that made it.

    Raises `ConfigError` for a file of another kind.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._writes, self._waiting = path, 0, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lookup-file")
        try:
            self._patient = self._thread.submit(self._open).result()
            self._quick = sqlite3.connect(path, timeout=0.0, isolation_level=None)
            self._quick.execute("PRAGMA synchronous=NORMAL")
            self._quick.execute("PRAGMA wal_autocheckpoint=0")  # that waits for the disk: the thread does it
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise ConfigError(f"cache file {path}: {error}; remove it or name another one") from error

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except sqlite3.DatabaseError as error:
            if self.is_only_busy(error) or not self._is_sqlite():
                raise
            _log.warning("cache file %s is broken, starting a new one: %s", self._path, error)
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                connection.execute("BEGIN IMMEDIATE")
                for name in ("answer", "asked", "server"):
                    connection.execute(f"DROP TABLE IF EXISTS {name}")
                connection.execute(f"PRAGMA user_version={_VERSION}")
                connection.execute("COMMIT")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _is_sqlite(self) -> bool:
        with self._path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC

    def add(self, *statements: str) -> None:
        """Run statements that make a table; raises `ConfigError`."""

        def make() -> None:
            for statement in statements:
                self._patient.execute(statement)

        try:
            self._thread.submit(make).result()
        except sqlite3.Error as error:
            raise ConfigError(f"cache file {self._path}: {error}; remove it or name another one") from error

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which leaves no cursor behind, also when cancelled; raises `sqlite3.Error`."""
        if not self._waiting:  # lest it overtakes what was wanted earlier
            try:
                return work(self._quick)
            except sqlite3.OperationalError as error:
                if not self.is_only_busy(error):
                    raise
        self._waiting += 1
        waiting = asyncio.get_running_loop().run_in_executor(self._thread, work, self._patient)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await asyncio.wait([waiting])
            raise
        finally:
            self._waiting -= 1

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` inside a transaction that no other process writes in; raises `sqlite3.Error`."""
        self._writes += 1
        if self._writes % _CHECKPOINT_EVERY == 0:
            self._thread.submit(self._patient.execute, "PRAGMA wal_checkpoint(PASSIVE)")
        return await self.read(lambda connection: _in_transaction(connection, work))

    @staticmethod
    def is_only_busy(error: sqlite3.Error) -> bool:
        """Whether another process was writing for too long, and nothing else is wrong."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

    def close(self) -> None:
        """End the thread and close the file; may be called twice."""
        try:
            self._thread.submit(self._patient.close)
        except RuntimeError:
            return  # closed already
        self._thread.shutdown()
        self._quick.close()


def _in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
