"""Jobs: "look at row N now". PgQueuer spreads, delays and takes them over; the rows' states are the truth.

On PostgreSQL a job is enqueued in the same transaction as the row it is about, and a dead worker's job is
taken over by another machine. On the embedded default the same engine keeps its queue in memory, filled
after each commit and from the rows at every sweep. See docs/decisions/0003-jobs.md, and 0050 of new mails.
The engine is imported where it runs, PostgreSQL's drivers where there is a PostgreSQL: a batch needs neither.
"""
# ruff: noqa: PLC0415 - see above

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgqueuer import PgQueuer
    from pgqueuer.models import Job as EngineJob

TAKEOVER = timedelta(seconds=10)  # a worker silent for this long is dead: its jobs go to another
BATCH = 10
ROWS_OF_A_JOB = 16
"""New rows that one job is about: each job costs PostgreSQL as much as a submission does."""


@dataclass(frozen=True)
class Job:
    """Look at row `row_id` with the step named `step`, not before `at` (None: now)."""

    step: str
    row_id: str
    at: datetime | None = None

    def delay(self, now: datetime) -> timedelta:
        """How long the engine waits, never negative."""
        return max(self.at - now, timedelta()) if self.at else timedelta()

    @property
    def key(self) -> str:
        """Names the work: the engine keeps one job of a key, waiting or running."""
        return f"{self.step}:{self.row_id}"


def enqueue_in_transaction(raw: Any, jobs: Sequence[Job], now: datetime) -> None:
    """Put jobs into PostgreSQL's queue, visible when the open transaction of psycopg's connection commits.

    The statement is PgQueuer's. Its client would ask for the numbers of the jobs, and psycopg look at every
    item of every array for how it is to be written: for a mail that costs as much as all else that is stored.
    """
    import psycopg

    unique = {job.key: job for job in jobs}
    each = unique.values()
    arrays = (
        ["0"] * len(unique),
        [_quoted(job.step) for job in each],
        [_quoted(f"\\x{job.row_id.encode().hex()}") for job in each],
        [f'"{job.delay(now).total_seconds()} s"' for job in each],
        [_quoted(key) for key in unique],
        ["NULL"] * len(unique),
    )
    with psycopg.RawCursor(raw) as cursor:
        cursor.execute(enqueuing().encode(), [f"{{{','.join(items)}}}" for items in arrays])


def about_new(step: str, row_ids: Sequence[str]) -> list[str]:
    """The arrays that `enqueuing` takes, for one look at each of rows that come with it.

    Nothing in the queue can be about them yet: such a job has no key, and is about several rows.
    """
    groups = [row_ids[at : at + ROWS_OF_A_JOB] for at in range(0, len(row_ids), ROWS_OF_A_JOB)]
    payloads = [_quoted(f"\\x{' '.join(group).encode().hex()}") for group in groups]
    arrays = (["0"], [_quoted(step)], payloads, ['"0 s"'], ["NULL"], ["NULL"])
    return [f"{{{','.join(items if items is payloads else items * len(groups))}}}" for items in arrays]


@lru_cache(maxsize=1)
def enqueuing() -> str:
    """PgQueuer's statement, which begins WITH; $1 to $6 are arrays as text."""
    from pgqueuer.adapters.persistence.qb import QueryQueueBuilder

    return QueryQueueBuilder().build_enqueue_query("skip").strip()


def _quoted(text: str) -> str:
    """An item of an array as text (PostgreSQL's manual, "Array Input and Output Syntax")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def install_statements() -> str:
    """The DDL of PgQueuer's own tables, for the migration on PostgreSQL."""
    from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

    return QueryBuilderEnvironment().build_install_query()


_WITHOUT_KEY = "SELECT entrypoint, payload FROM pgqueuer WHERE dedupe_key IS NULL"
"""Of `about_new`."""


class Engine:
    """One worker's side of the queue: runs the steps it was given until stopped."""

    def __init__(self, queuer: "PgQueuer", pool: Any | None) -> None:
        self._queuer = queuer
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._running: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, database_url: str, steps: dict[str, Callable[[str], Awaitable[None]]], *, concurrency: int
    ) -> "Engine":
        """Begin to run `steps` (name → coroutine taking a row id) from the queue of `database_url`."""
        from pgqueuer import PgQueuer

        pool = None
        if database_url.startswith("postgresql"):
            import asyncpg

            # asyncpg, not psycopg: listening and asking at once, which psycopg serialises with one lock
            dsn = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
            pool = await asyncpg.create_pool(dsn, min_size=2, max_size=4)
            queuer = PgQueuer.from_asyncpg_pool(pool)
        else:
            queuer = PgQueuer.in_memory()
        for name, step in steps.items():
            queuer.entrypoint(name, accepts_context=False)(_entrypoint(step))
        engine = cls(queuer, pool)
        engine._running = asyncio.create_task(
            queuer.run(
                dequeue_timeout=timedelta(seconds=5),
                batch_size=BATCH,
                max_concurrent_tasks=max(concurrency, 2 * BATCH),
                heartbeat_timeout=TAKEOVER,
            ),
            name="jobs",
        )
        return engine

    @property
    def finished(self) -> asyncio.Task[None]:
        """Ends only when the engine stopped or failed."""
        assert self._running is not None
        return self._running

    async def put(self, jobs: Sequence[Job], now: datetime) -> None:
        """Put jobs into the queue, but for work that waits or runs there already."""
        if self._pool is not None:
            without_key = await self._pool.fetch(_WITHOUT_KEY)
            waiting = {
                f"{step}:{row_id}" for step, payload in without_key for row_id in payload.decode().split()
            }
            jobs = [job for job in jobs if job.key not in waiting]
        if jobs:
            assert self._queuer.queries is not None
            await self._queuer.queries.enqueue(*_columns(jobs, now), on_conflict="skip")

    def put_from_thread(self, jobs: Sequence[Job], now: datetime) -> None:
        """`put` for threads that committed a transaction; does not wait."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self.put(jobs, now), self._loop)

    async def stop(self, seconds: float = 20) -> None:
        """Let running steps finish, take no new ones; after `seconds` they are cut off."""
        self._queuer.shutdown.set()
        done, _ = await asyncio.wait([self.finished], timeout=seconds)
        if not done:
            self.finished.cancel()
        await asyncio.gather(self.finished, return_exceptions=True)
        if self._pool is not None:
            await self._pool.close()


def _entrypoint(step: Callable[[str], Awaitable[None]]) -> "Callable[[EngineJob], Awaitable[None]]":
    async def run(job: "EngineJob") -> None:
        await asyncio.gather(*map(step, (job.payload or b"").decode().split()))

    return run


Columns = tuple[
    list[str],
    list[bytes | None],
    list[int],
    list[timedelta | None],
    list[str | None],
    list[dict[str, str] | None],
]


def _columns(jobs: Sequence[Job], now: datetime) -> Columns:
    jobs = list({job.key: job for job in jobs}.values())
    return (
        [job.step for job in jobs],
        [job.row_id.encode() for job in jobs],
        [0] * len(jobs),
        [job.delay(now) for job in jobs],
        [job.key for job in jobs],
        [None] * len(jobs),
    )
