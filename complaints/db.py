"""The database: one engine, transactions at the edge, and the only way a row changes state.

Takes a SQLAlchemy URL (SQLite file or PostgreSQL), leaves sessions. The only commits of the service are in
`Database.transaction` and `Database.append` (on PostgreSQL `insert.OneTrip`); what they acknowledge is
durable (SQLite synchronous=FULL, PostgreSQL synchronous_commit=on).
"""

# The tool of the migrations is large, and most processes need none: it is imported where it is used.
# ruff: noqa: PLC0415 - see above

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event, inspect, text, update
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError  # noqa: A004
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, SQLModel

from complaints import account_tables, guards, lookup_tables, models, standing_tables
from complaints.insert import ROWS_AT_ONCE, OneTrip, insert, quoted, stored
from complaints.jobs import Job, enqueue_in_transaction

if TYPE_CHECKING:
    import alembic.config

DECLARED_IN = (models, account_tables, lookup_tables, standing_tables)
"""The modules whose tables make up the schema."""
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MILLISECONDS = 30_000


class OvertakenError(Exception):
    """Another worker or the reporter changed the row first; nothing was done."""


class DatabaseError(Exception):
    """The database cannot be used as it is; the message says the command that mends it."""


# What SQLite says of a file that cannot be used now: https://www.sqlite.org/rescode.html
_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


def is_away(error: BaseException) -> bool:
    """Whether an error is the database's, and the same may work later: it is stopped, busy or full."""
    if isinstance(error, TimeoutError):
        return True  # every connection of the pool is in use
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _AWAY
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


class Database:
    """Sessions on one database, and the hook that learns of jobs after a commit (embedded default)."""

    def __init__(self, url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.url = url
        self.clock = clock
        self.embedded = url.startswith("sqlite")
        self.engine = _engine(url)
        self._one_trip = None if self.embedded else OneTrip(self.engine)
        self.on_commit: Callable[[Sequence[Job], datetime], None] | None = None
        # One writer at a time inside a process: waiting here is cheaper than SQLite's busy polling
        self._writer = threading.RLock() if self.embedded else nullcontext()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session whose work is durable when the block ends, or undone when it raises."""
        with self._writer, Session(self.engine, expire_on_commit=False) as session:
            connection = session.connection(execution_options={"plaint_writes": True})
            yield session
            session.flush()
            jobs: list[Job] = session.info.get("jobs", [])
            now = self.clock()
            if jobs and not self.embedded:
                enqueue_in_transaction(connection.connection.driver_connection, jobs, now)
            session.commit()
        if jobs and self.on_commit:
            self.on_commit(jobs, now)

    def append(self, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], step: str) -> None:
        """Insert rows that all have the same columns, and ask for a step on each: a transaction of their own.

        It is durable when this returns, or undone when it raises. What `transaction` does beside it, for work
        of any kind, costs a row of a small batch more than all of this.
        """
        if self._one_trip is not None:
            self._one_trip.append(model, rows, step)
            return
        jobs = [Job(step, row["id"]) for row in rows] if self.on_commit else []
        now = self.clock()
        with self._writer:
            pooled = self.engine.raw_connection()
            raw: Any = pooled.driver_connection
            try:
                if len(rows) > ROWS_AT_ONCE:  # else it is one statement, and a transaction by itself
                    raw.execute("BEGIN IMMEDIATE")
                insert(raw, self.engine.dialect, model, rows)
                raw.commit()
            except BaseException:
                pooled.invalidate()
                raise
            finally:
                pooled.close()
        if jobs and self.on_commit:
            self.on_commit(jobs, now)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def is_empty(self) -> bool:
        """Whether no table was ever made here."""
        return not inspect(self.engine).get_table_names()

    def upgrade(self) -> None:
        """Bring the schema to what this version needs (alembic)."""
        with self._writer:
            import alembic.command

            alembic.command.upgrade(self._alembic(), "head")
            with (
                self.engine.connect().execution_options(plaint_writes=True) as connection,
                connection.begin(),
            ):
                if guards.missing(connection):
                    guards.install(connection)
            if self.embedded:  # what the schema no longer keeps is not kept in its log either
                with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))

    def revision(self) -> str | None:
        """The schema that the database has."""
        with self.engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def check_schema(self) -> None:
        """Raise DatabaseError unless the schema is the one this version wants, and refuses by itself."""
        # By their numbers: the tool that makes them follow each other takes a tenth of a program's memory
        wanted = max(file.name[:4] for file in MIGRATIONS.glob("versions/[0-9]*.py"))
        found = self.revision()
        if found != wanted:
            state = f"has schema {found}" if found else "has no schema"
            raise DatabaseError(f"the database {state}, this version needs {wanted}; run: plaint db upgrade")
        with self.engine.connect() as connection:
            lost = guards.missing(connection)
        if lost:
            raise DatabaseError(
                "the database no longer refuses by itself what nobody consented to: "
                f"{', '.join(lost)} is gone or switched off; find out why, then run: plaint db upgrade"
            )

    def close(self) -> None:
        """Close every connection."""
        if self._one_trip is not None:
            self._one_trip.close()
        self.engine.dispose()

    def _alembic(self) -> "alembic.config.Config":
        import alembic.config

        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["engine"] = self.engine
        return config


def look_at(session: Session, step: str, row_id: str, at: datetime | None = None) -> None:
    """Ask for a step on a row, from `at` on; the job becomes visible with the commit."""
    session.info.setdefault("jobs", []).append(Job(step, row_id, at))


def insert_all(session: Session, model: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, by as few statements as will do."""
    if rows:
        connection = session.connection()
        insert(connection.connection.driver_connection, connection.dialect, model, rows)


def move(session: Session, row: Any, to: Any, **values: Any) -> None:
    """Compare-and-set a row's state to `to`, with other columns, if nobody was faster.

    Raises OvertakenError when the row is no longer as read; ValueError when the step is not legal at all.
    """
    if to not in models.STEPS[type(row.state)][row.state]:
        raise ValueError(f"{type(row).__name__} {row.id}: {row.state} → {to} is not a legal step")
    table: Any = type(row)
    condition = [table.id == row.id, table.state == row.state]
    if isinstance(row, models.Complaint):
        condition.append(table.version == row.version)
        values["version"] = row.version + 1
    session.flush()
    done = session.execute(
        update(table)
        .where(*condition)
        .values(state=to, **values)
        .execution_options(synchronize_session=False)
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]
        raise OvertakenError(f"{type(row).__name__} {row.id} is no longer {row.state}")
    for name, value in ({"state": to} | values).items():
        set_committed_value(row, name, value)


def move_all(session: Session, table: Any, seen: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """As `move`, for new complaints that all get the same columns, by one statement.

    Each row has `id`, `state` and the columns; `seen` is the state of all of them, at their first version.
    Raises OvertakenError when one is no longer as seen.
    """
    if not rows:
        return
    legal = models.STEPS[type(seen)]
    for to in {row["state"] for row in rows}:
        if to not in legal[seen] and not any(to in legal[way] for way in legal[seen]):
            raise ValueError(f"{seen} → {to} is not a legal step")
    connection = session.connection()
    raw: Any = connection.connection.driver_connection
    names = tuple(name for name in rows[0] if name != "id")
    values, _ = stored(table, (*names, "id"), connection.dialect, rows)
    sign = "?" if isinstance(raw, sqlite3.Connection) else "%s"
    columns = ", ".join(f"{quoted(name)} = {sign}" for name in names)
    statement = (
        f"UPDATE {table.__table__.name} SET {columns}, version = 1"  # noqa: S608 - names of ours, values apart
        f" WHERE id = {sign} AND state = '{seen.value}' AND version = 0"
    )
    cursor = raw.cursor()
    try:
        cursor.executemany(statement, values)
        if cursor.rowcount != len(rows):
            raise OvertakenError(f"one of {len(rows)} rows is no longer {seen}")
    finally:
        cursor.close()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        engine = create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True, hide_parameters=True)

        @event.listens_for(engine, "connect")
        def _durable(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET synchronous_commit TO on")
                cursor.execute("SET timezone TO 'UTC'")
            connection.commit()

        return engine
    if database := make_url(url).database:
        _closed_to_others(Path(database))
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_MILLISECONDS / 1000},
        hide_parameters=True,
        pool_size=10,
        max_overflow=20,
        pool_use_lifo=True,  # what the last one read of the file is still known to its connection
    )

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={BUSY_MILLISECONDS}",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("plaint_writes")
        # IMMEDIATE takes the write lock first: a reader that turns writer could not wait, only fail
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _closed_to_others(file: Path) -> None:
    """Whoever made its folder may let others in; SQLite gives its log the rights of its file."""
    with suppress(OSError):
        for one in (file, *file.parent.glob(f"{file.name}-*")) if file.exists() else ():
            one.chmod(one.stat().st_mode & 0o770)  # not opened: closing it would end SQLite's locks
        file.touch(mode=0o600, exist_ok=False)


def metadata() -> Any:
    """The declared schema, for migrations and tests."""
    return SQLModel.metadata
