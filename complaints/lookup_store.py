"""Takes what a lookup keeps; leaves it in the service's database, for the processes of all its machines.

For PostgreSQL. Beside the embedded database there is a file instead (`abuse_lookup.shared_file`), so that
questions to registries do not wait for the durable commits of mail. What is lost here in a crash can be asked
again.

All that is wanted while the database is at work goes to it together: one statement reads, one writes. A page
is changed by compare-and-set, so that nobody holds a lock while Python thinks.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString, TypeVar

import psycopg

from abuse_lookup.book import PURGED_EVERY, BookError, Page
from complaints.db import Database

log = logging.getLogger(__name__)
T = TypeVar("T")
_PATIENCE = 5.0  # seconds for what goes together
_MOST_GETS = 100  # that go together

# Lists go over as JSON, which is written at once: the items of an array are each written by themselves.
# One snapshot: who sees that a turn was left sees what was said in it
_READ: LiteralString = """
SELECT 'page', name, page, 0::float8
  FROM lookup_server WHERE name = ANY(ARRAY(SELECT json_array_elements_text(%(names)s::json)))
UNION ALL
SELECT 'answer', key, value, extract(epoch FROM expires_at)::float8
  FROM lookup_answer WHERE key = ANY(ARRAY(SELECT json_array_elements_text(%(keys)s::json)))
UNION ALL
SELECT 'now', '', '', extract(epoch FROM clock_timestamp())::float8"""
# In one order everywhere, lest two who write wait for each other
_WRITE: LiteralString = """
WITH new AS (
  SELECT * FROM json_to_recordset(%(pages)s::json) AS new (name text, was text, page text)
), held AS MATERIALIZED (
  SELECT name FROM lookup_server WHERE name = ANY(ARRAY(SELECT name FROM new)) ORDER BY name FOR UPDATE
), added AS (
  INSERT INTO lookup_server (name, page) SELECT name, page FROM new WHERE was IS NULL ORDER BY name
  ON CONFLICT DO NOTHING RETURNING name
), changed AS (
  UPDATE lookup_server AS old SET page = new.page FROM new JOIN held USING (name)
  WHERE old.name = new.name AND old.page = new.was RETURNING old.name
), kept AS (
  INSERT INTO lookup_answer (key, value, expires_at)
  SELECT key, value, to_timestamp(expires)
    FROM json_to_recordset(%(puts)s::json) AS put (key text, value text, expires float8)
   ORDER BY key
  ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
)
SELECT name FROM added UNION ALL SELECT name FROM changed"""
_PURGE: LiteralString = """
DELETE FROM lookup_answer WHERE key IN (
  SELECT key FROM lookup_answer WHERE expires_at <= %s ORDER BY key FOR UPDATE SKIP LOCKED)"""
_PURGE_PAGES: LiteralString = """
DELETE FROM lookup_server AS old USING unnest(%s::text[], %s::text[]) AS idle (name, page)
 WHERE old.name = idle.name AND old.page = idle.page"""


@dataclass(eq=False)
class _Wish:
    """What somebody waits for; he may be gone when it is done."""

    done: "asyncio.Future[Any]"

    def end(self, result: object) -> None:
        if not self.done.done():
            self.done.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(eq=False)
class _Get(_Wish):
    keys: Sequence[str]
    now: float


@dataclass(eq=False)
class _Put(_Wish):
    keys: Sequence[str]
    value: str
    expires: float


@dataclass(eq=False)
class _Change(_Wish):
    server: str
    how: Callable[[Page, float], object]


@dataclass
class _Batch:
    """What goes to the database together."""

    gets: list[_Get] = field(default_factory=list)
    puts: list[_Put] = field(default_factory=list)
    changes: list[_Change] = field(default_factory=list)

    def each(self) -> "list[_Batch]":
        """Take it apart, in the order in which its wishes come true."""
        puts = [_Batch(puts=[one]) for one in self.puts]
        changes = [_Batch(changes=[one]) for one in self.changes]
        return [*puts, *changes, *(_Batch([one]) for one in self.gets)]

    def fail(self, error: Exception) -> None:
        if self.each():
            log.warning("lookup cache and limits cannot be had: %s", type(error).__name__)
        for miss in (*self.gets, *self.puts):
            miss.end(None)
        for change in self.changes:
            change.fail(BookError(f"the shared book of limits cannot be had ({type(error).__name__})"))


class _Pages:
    """The pages that one batch changes."""

    def __init__(self, found: dict[str, str], now: float) -> None:
        self.was, self._now = found, now
        self.is_: dict[str, str] = {}
        self._pages: dict[str, Page] = {}
        self.results: list[tuple[_Change, object]] = []

    def change(self, change: _Change) -> None:
        """Let one wish change its page; when it fails, it has changed nothing."""
        name = change.server
        if name not in self._pages:
            self._pages[name] = Page.parse(self.was.get(name))
            self.is_[name] = self.was.get(name, Page().text())
        try:
            self.results.append((change, change.how(self._pages[name], self._now)))
        except Exception as error:  # noqa: BLE001 - it is raised where the wish came from
            change.fail(error)
            self._pages[name] = Page.parse(self.is_[name])
        else:
            self.is_[name] = self._pages[name].text()

    def changed(self) -> list[str]:
        """Name those that are to be written."""
        blank = Page().text()
        return [name for name, text in self.is_.items() if text != self.was.get(name, blank)]


class LookupStore:
    """An `abuse_lookup.cache.Cache` and an `abuse_lookup.book.Book` in one; belongs to one event loop.

    A database that cannot be asked is a miss for answers, and a `BookError` for pages. The moments on pages
    are the database's: the clocks of machines differ.
    """

    is_far = True

    def __init__(self, db: Database) -> None:
        self._db = db
        self._wanted = _Batch()
        self._working: asyncio.Task[None] | None = None
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._connecting = asyncio.Lock()
        self._purged = 0.0

    def get(self, keys: Sequence[str], now: datetime) -> "asyncio.Future[str | None]":
        """Return the value of the first key that is there and not expired."""
        done = self._promised()
        self._wanted.gets.append(_Get(done, keys, now.timestamp()))
        return done

    def put(self, keys: Sequence[str], value: str, expires: datetime) -> "asyncio.Future[None]":
        """Keep `value` under every key until `expires`."""
        done = self._promised()
        self._wanted.puts.append(_Put(done, keys, value, expires.timestamp()))
        return done

    def change(self, server: str, how: Callable[[Page, float], T]) -> "asyncio.Future[T]":
        """Let `how` change the page of `server`; raises `BookError` when the database cannot be asked."""
        done = self._promised()
        self._wanted.changes.append(_Change(done, server, how))
        return done

    async def purge(self, now: datetime) -> int:
        """Drop expired answers, and once an hour idle servers; returns the number of answers."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._purge(now)
        except (psycopg.Error, OSError) as error:
            log.warning("lookup cache not purged: %s", type(error).__name__)
            return 0

    def close(self) -> None:
        """Let go of the connection; the database is its owner's."""
        if self._working is not None:
            self._working.cancel()
        self._wanted.fail(ConnectionAbortedError("closed"))
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    def _promised(self) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        if self._working is None or self._working.done():
            self._working = loop.create_task(self._work())
        return loop.create_future()

    async def _work(self) -> None:
        while (wanted := self._wanted).gets or wanted.puts or wanted.changes:
            batch = _Batch(wanted.gets[:_MOST_GETS], wanted.puts, wanted.changes)
            self._wanted = _Batch(wanted.gets[_MOST_GETS:])
            await self._do(batch)

    async def _do(self, batch: _Batch, *, again: bool = True) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._done(batch)
        except (psycopg.OperationalError, OSError) as error:
            if self._connection is not None:
                self._connection.pgconn.finish()
            self._connection = None
            if again:  # it was an old connection; a change that is made twice costs a token at most
                await self._do(batch, again=False)
            else:
                batch.fail(error)
        except asyncio.CancelledError:
            batch.fail(ConnectionAbortedError("closed"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever a server sent, nobody else's wish fails with it
            alone = batch.each()
            if len(alone) == 1:
                batch.fail(error)
                return
            for one in alone:
                await self._do(one)

    async def _done(self, batch: _Batch) -> None:
        connection = await self._connected()
        pages, answers = await self._read(connection, batch)
        for change in batch.changes:
            pages.change(change)
        puts = {key: (one.value, one.expires) for one in batch.puts for key in one.keys}
        lost = await self._written(connection, pages, puts)
        for put in batch.puts:
            put.end(None)
        for change, result in pages.results:
            if change.server not in lost:
                change.end(result)
        if lost:  # what was said belongs to the page as it will be found then
            again = [change for change, _ in pages.results if change.server in lost]
            self._wanted = _Batch(
                batch.gets + self._wanted.gets, self._wanted.puts, again + self._wanted.changes
            )
            return
        answers |= puts
        for get in batch.gets:
            known = (answers[key] for key in get.keys if key in answers)
            get.end(next((value for value, expires in known if expires > get.now), None))

    async def _read(
        self, connection: psycopg.AsyncConnection[tuple[Any, ...]], batch: _Batch
    ) -> tuple[_Pages, dict[str, tuple[str, float]]]:
        """Read the pages that are to be changed and the answers that are wanted, with their expiry."""
        found, answers, now = dict[str, str](), dict[str, tuple[str, float]](), 0.0
        if batch.gets or batch.changes:
            wanted = {
                "names": json.dumps(list({one.server for one in batch.changes})),
                "keys": json.dumps(list({key for one in batch.gets for key in one.keys})),
            }
            for kind, name, text, moment in await (await connection.execute(_READ, wanted)).fetchall():
                if kind == "answer":
                    answers[name] = (text, moment)
                elif kind == "page":
                    found[name] = text
                else:
                    now = moment
        return _Pages(found, now), answers

    async def _written(
        self,
        connection: psycopg.AsyncConnection[tuple[Any, ...]],
        pages: _Pages,
        puts: dict[str, tuple[str, float]],
    ) -> set[str]:
        """Write it all; returns the servers whose pages others changed meanwhile."""
        names = pages.changed()
        if not names and not puts:
            return set()
        values = {
            "pages": json.dumps(
                [{"name": name, "was": pages.was.get(name), "page": pages.is_[name]} for name in names]
            ),
            "puts": json.dumps(
                [{"key": key, "value": value, "expires": expires} for key, (value, expires) in puts.items()]
            ),
        }
        done = await (await connection.execute(_WRITE, values)).fetchall()
        return set(names) - {name for (name,) in done}

    async def _connected(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        async with self._connecting:
            if self._connection is None:
                self._connection = await self._opened()
        return self._connection

    async def _opened(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        engine = self._db.engine
        words, settings = engine.dialect.create_connect_args(engine.url)
        connection = await psycopg.AsyncConnection.connect(*words, **settings, autocommit=True)
        try:
            # What is kept here may be lost in a crash of the database, with the questions of its last moment
            await connection.execute("SET synchronous_commit TO off")
        except BaseException:
            connection.pgconn.finish()
            raise
        return connection

    async def _purge(self, now: datetime) -> int:
        connection = await self._connected()
        if abs(now.timestamp() - self._purged) > PURGED_EVERY:
            self._purged = now.timestamp()
            rows = await (await connection.execute("SELECT name, page FROM lookup_server")).fetchall()
            idle = [(name, page) for name, page in rows if Page.parse(page).is_idle(self._purged)]
            await connection.execute(_PURGE_PAGES, [[one[at] for one in idle] for at in (0, 1)])
        return (await connection.execute(_PURGE, [now])).rowcount
