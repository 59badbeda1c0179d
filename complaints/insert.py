"""Many rows at once: takes mappings that all have the same columns, leaves them in a table.

The ORM and executemany take each row by itself: SQLite's module then lets go of the interpreter lock for
every row, and queues for it again behind a busy event loop. PostgreSQL's COPY is read and planned for no row;
in binary, what is sealed costs its server half of what it does as text.
"""
# ruff: noqa: PLC0415 - PostgreSQL's driver is imported where there is a PostgreSQL

import json
import select
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from struct import pack
from typing import Any

from pydantic_core import to_json
from sqlalchemy import JSON, Dialect, Engine
from sqlmodel import SQLModel

from complaints.jobs import about_new, enqueuing

ROWS_AT_ONCE = 64
"""Rows that SQLite gets in one statement: of so few lengths each is prepared once."""
JOB_ARRAYS = 6
"""Parameters of `enqueuing`."""


def insert(raw: Any, dialect: Dialect, model: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert on the driver's own connection, in the transaction that is open."""
    names = tuple(rows[0])
    values, types = stored(model, names, dialect, rows)
    into = _into(model, names)
    if isinstance(raw, sqlite3.Connection):
        values = list(values)
        for first in range(0, len(values), ROWS_AT_ONCE):
            some = values[first : first + ROWS_AT_ONCE]
            raw.execute(_statement(into, len(names), len(some)), tuple(chain.from_iterable(some)))
        return
    with raw.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(_dumped(types))
        for row in values:
            copy.write_row(row)


def _dumped(types: Sequence[str]) -> list[str]:
    """As which psycopg is to write them: JSON is text already."""
    return ["text" if name == "json" else name for name in types]


def _into(model: type[SQLModel], names: tuple[str, ...]) -> str:
    return f"{model.__tablename__} ({', '.join(map(quoted, names))})"


@lru_cache(maxsize=256)
def _statement(into: str, columns: int, rows: int) -> str:
    """SQLite's; the same string again is a statement that the driver has prepared."""
    row = f"({', '.join('?' * columns)})"
    return f"INSERT INTO {into} VALUES {', '.join([row] * rows)}"  # noqa: S608 - names of ours, values apart


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return f'"{name}"'


class OneTrip:
    """A connection to PostgreSQL on which rows and the jobs about them go in by one statement.

    COPY within a transaction takes six trips to the server, and for each the thread lets go of the
    interpreter lock several times, behind a busy event loop. This does it once, within libpq. The connection
    is not shared: psycopg forgets all prepared statements of one of its own at every rollback.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._raw: Any = None
        self._prepared: dict[str, bytes] = {}
        self._one_at_a_time = threading.Lock()

    def append(self, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], step: str) -> None:
        """Insert the rows and ask for a step on each. Durable when this returns, or undone when it raises."""
        with self._one_at_a_time:
            try:
                self._connect()
                self._execute(*self._composed(model, rows, about_new(step, [row["id"] for row in rows])))
            except BaseException:
                self._close()
                raise

    def close(self) -> None:
        """Close the connection; `append` makes another one."""
        with self._one_at_a_time:
            self._close()

    def _composed(
        self, model: type[SQLModel], rows: Sequence[Mapping[str, Any]], jobs: Sequence[str]
    ) -> tuple[str, list[Any]]:
        """The statement and its parameters: those of the jobs as text, then one for each column, in binary.

        What is the same in all rows is one value, else it is an array.
        """
        from psycopg.adapt import PyFormat, Transformer
        from psycopg.pq import Format

        names = tuple(rows[0])
        values, types = stored(model, names, self._engine.dialect, rows)
        oid_of = self._raw.adapters.types.get_oid
        transformer = Transformer(self._raw)
        transformer.set_dumper_types([oid_of(name) for name in _dumped(types)], Format.BINARY)
        formats = [PyFormat.BINARY] * len(names)
        columns = list(zip(*(transformer.dump_sequence(row, formats) for row in values), strict=True))
        one = tuple(column.count(column[0]) == len(column) for column in columns)
        parameters = [text.encode() for text in jobs] + [
            column[0] if alone else _array(oid_of(name), column)
            for name, column, alone in zip(types, columns, one, strict=True)
        ]
        return _with_jobs(_into(model, names), tuple(types), one), parameters

    def _execute(self, statement: str, parameters: list[Any]) -> None:
        """The statement is a transaction of its own, committed before the server says that it is ready."""
        pgconn = self._raw.pgconn
        if statement not in self._prepared:
            self._prepared[statement] = b"append_%d" % len(self._prepared)
            _check(pgconn.prepare(self._prepared[statement], statement.encode()))
        formats = [0] * JOB_ARRAYS + [1] * (len(parameters) - JOB_ARRAYS)
        _check(pgconn.exec_prepared(self._prepared[statement], parameters, formats))

    def _connect(self) -> None:
        if self._raw is not None and _was_cut(self._raw.fileno()):
            self._close()
        if self._raw is None:
            pooled = self._engine.raw_connection()
            self._raw = pooled.driver_connection
            pooled.detach()
            self._prepared = {}

    def _close(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None


def _was_cut(descriptor: int) -> bool:
    """Whether the server said something that it was not asked: it does so when it ends a connection."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _check(result: Any) -> None:
    """Raise what psycopg would."""
    import psycopg
    from psycopg.pq import DiagnosticField, ExecStatus

    if result.status not in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
        state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        kind = psycopg.errors.lookup(state) if state else psycopg.OperationalError
        raise kind(result.error_message.decode(errors="replace"))


def _array(oid: int, items: Sequence[Any]) -> bytes:
    """Of one dimension, as `array_recv` of PostgreSQL reads it."""
    head = pack("!iiIii", 1, None in items, oid, len(items), 1)
    each = (b"\xff\xff\xff\xff" if item is None else pack("!i", len(item)) + item for item in items)
    return head + b"".join(each)


@lru_cache(maxsize=64)
def _with_jobs(into: str, types: tuple[str, ...], one: tuple[bool, ...]) -> str:
    values, columns, arrays = [], [], []
    for number, (name, alone) in enumerate(zip(types, one, strict=True), JOB_ARRAYS + 1):
        if alone:
            values.append(f"${number}::{name}")
        else:
            values.append(f"column_{number}")
            columns.append(f"column_{number}")
            arrays.append(f"${number}::{name}[]")
    rows = f" FROM unnest({', '.join(arrays)}) AS rows ({', '.join(columns)})" if arrays else ""
    stored = f"WITH stored AS (INSERT INTO {into} SELECT {', '.join(values)}{rows}), "
    return stored + enqueuing().removeprefix("WITH")


def stored(
    model: type[SQLModel], names: tuple[str, ...], dialect: Dialect, rows: Sequence[Mapping[str, Any]]
) -> tuple[Iterable[tuple[Any, ...]], list[str]]:
    """The values of these columns in each row as the driver takes them, and their types in PostgreSQL."""
    values_of, converters, types = _columns(model, names, dialect)
    columns: list[Sequence[Any]] = list(zip(*map(values_of, rows), strict=True))
    for at, convert in converters:
        first = columns[at][0]
        made = convert(first)  # most are the same in all rows, and need it once
        columns[at] = [made if value is first else convert(value) for value in columns[at]]
    return zip(*columns, strict=True), types


def as_json(value: Any) -> str:
    """What `json.dumps` makes of it in another spelling, in a third of the time.

    Halves of surrogate pairs, which mail may bring, have no UTF-8: such a text is spelt in ASCII.
    """
    try:
        return to_json(value).decode()
    except ValueError:
        return json.dumps(value)


@lru_cache(maxsize=8)
def _columns(
    model: type[SQLModel], names: tuple[str, ...], dialect: Dialect
) -> tuple[Callable[[Mapping[str, Any]], tuple[Any, ...]], list[tuple[int, Callable[[Any], Any]]], list[str]]:
    """The values of a row, how those that are stored as others are made, and the types of all in PostgreSQL.

    JSON comes as text.
    """
    table = model.__table__  # type: ignore[attr-defined]
    types = [table.c[name].type for name in names]
    made = [
        # psycopg's own would be made into text for each row
        (_as_json_or_null if one.none_as_null else as_json)
        if isinstance(one, JSON)
        else one.dialect_impl(dialect).bind_processor(dialect)
        for one in types
    ]
    converters = [(at, convert) for at, convert in enumerate(made) if convert]
    called = [
        "json" if isinstance(one, JSON) else one.compile(dialect).lower().partition("(")[0] for one in types
    ]
    return itemgetter(*names), converters, called


def _as_json_or_null(value: Any) -> str | None:
    return None if value is None else as_json(value)
