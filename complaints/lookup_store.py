"""Takes what a lookup keeps; leaves it in the service's database, for the processes of all its machines.

For PostgreSQL. Beside the embedded database there is a file instead (`abuse_lookup.shared_file`), so that
questions to registries do not wait for the durable commits of mail. What is lost here in a crash can be asked
again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import delete, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from abuse_lookup.book import BookError, Page
from complaints.db import Database
from complaints.lookup_tables import LookupAnswer, LookupServer

log = logging.getLogger(__name__)
T = TypeVar("T")


class DatabaseCache:
    """An `abuse_lookup.cache.Cache`: a database that cannot be asked counts as a miss."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, keys: Sequence[str], now: datetime) -> str | None:
        """Return the value of the first key that is there and not expired."""
        return await asyncio.to_thread(self._get, keys, now)

    async def put(self, keys: Sequence[str], value: str, expires: datetime) -> None:
        """Keep `value` under every key until `expires`."""
        await asyncio.to_thread(self._put, keys, value, expires)

    async def purge(self, now: datetime) -> int:
        """Drop what has expired; returns the number of rows."""
        return await asyncio.to_thread(self._purge, now)

    def close(self) -> None:
        """Nothing to let go of: the database is its owner's."""

    def _get(self, keys: Sequence[str], now: datetime) -> str | None:
        table: Any = LookupAnswer
        query = select(table.key, table.value).where(table.key.in_(keys), table.expires_at > now)
        try:
            with self._db.reading() as session:
                found: dict[str, str] = {row.key: row.value for row in session.execute(query)}
        except SQLAlchemyError as error:
            log.warning("lookup cache not readable: %s", type(error).__name__)
            return None
        return next((found[key] for key in keys if key in found), None)

    def _put(self, keys: Sequence[str], value: str, expires: datetime) -> None:
        # In one order everywhere, lest two who keep answers under the same keys wait for each other
        rows = [{"key": key, "value": value, "expires": expires} for key in sorted(keys)]
        statement = text(
            "INSERT INTO lookup_answer (key, value, expires_at) VALUES (:key, :value, :expires)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at"
        ).bindparams(expires=expires)
        try:
            with _quickly(self._db) as session:
                session.execute(statement, rows)
        except SQLAlchemyError as error:
            log.warning("lookup cache not writable: %s", type(error).__name__)

    def _purge(self, now: datetime) -> int:
        table: Any = LookupAnswer
        try:
            with _quickly(self._db) as session:
                done: Any = session.execute(delete(table).where(table.expires_at <= now))
                return int(done.rowcount)
        except SQLAlchemyError as error:
            log.warning("lookup cache not purged: %s", type(error).__name__)
            return 0


class DatabaseBook:
    """An `abuse_lookup.book.Book`: whoever changes a page holds its row.

    It has threads of its own: a turn that has come does not queue behind all that is looked for in the cache.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="lookup-book")

    async def change(self, server: str, how: Callable[[Page], T]) -> T:
        """Let `how` change the page of `server`; raises `BookError` when the database cannot be asked."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._change, server, how)

    def close(self) -> None:
        """End the threads; the database is its owner's."""
        self._threads.shutdown()

    def _change(self, server: str, how: Callable[[Page], T]) -> T:
        try:
            with _quickly(self._db) as session:
                row = session.get(LookupServer, server, with_for_update=True)
                if row is None:
                    blank = "INSERT INTO lookup_server (name, page) VALUES (:name, '') ON CONFLICT DO NOTHING"
                    session.execute(text(blank), {"name": server})
                    row = session.get_one(LookupServer, server, with_for_update=True)
                page = Page.parse(row.page)
                result = how(page)
                row.page = page.text()
                session.add(row)
        except SQLAlchemyError as error:
            raise BookError(f"the shared book of limits cannot be had ({type(error).__name__})") from error
        return result


@contextmanager
def _quickly(db: Database) -> Iterator[Session]:
    """A transaction that is not waited for until it is on disk."""
    with db.transaction() as session:
        if not db.embedded:
            session.execute(text("SET LOCAL synchronous_commit TO off"))
        yield session
