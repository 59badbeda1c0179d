"""What the tests share: real servers on loopback, real databases, and no way to the internet."""

import contextlib
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from complaints import worker
from complaints.db import Database
from tests import postgresql


@pytest.fixture(autouse=True, scope="session")
def _no_internet() -> Iterator[None]:
    """Every connection and datagram that is not for this machine is an error."""
    patch = pytest.MonkeyPatch()
    for name, position in (("connect", 0), ("connect_ex", 0), ("sendto", -1)):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name), position))
    yield
    patch.undo()


def _guarded(original: Any, position: int) -> Any:
    def guard(self: socket.socket, *args: Any) -> Any:
        address = args[position]
        if self.family in {socket.AF_INET, socket.AF_INET6} and not str(address[0]).startswith(
            ("127.", "::1", "localhost")
        ):
            raise AssertionError(f"a test tried to reach {address}")
        return original(self, *args)

    return guard


@pytest.fixture(autouse=True)
def _sweeping_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test puts into the rows by hand is found soon."""
    monkeypatch.setattr(worker, "EMBEDDED_SWEEP", 0.3)
    monkeypatch.setattr(worker, "SHARED_SWEEP", 0.3)


@pytest.fixture(autouse=True, scope="session")
def _migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty SQLite database gets its schema as a copy of one that went through every migration."""
    migrate, made = Database.upgrade, tmp_path_factory.mktemp("schema") / "plaint.sqlite"
    first = Database(f"sqlite:///{made}")
    migrate(first)
    first.close()

    def upgrade(database: Database) -> None:
        if not database.embedded or not database.is_empty():
            migrate(database)
            return
        target = database.engine.raw_connection()
        with contextlib.closing(sqlite3.connect(made)) as source:
            source.backup(target.driver_connection)  # type: ignore[arg-type]
        target.close()

    patch = pytest.MonkeyPatch()
    patch.setattr(Database, "upgrade", upgrade)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PLAINT_"):
            monkeypatch.delenv(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """In continuous integration a missing real part is a failure, not a skip."""
    report = yield
    if report.skipped and os.environ.get("PLAINT_TESTS_SKIP_NOTHING"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped where nothing may be: {report.longrepr}"
    return report


LONG = (
    "test_real_mail",
    "test_crash",
    "test_promises",
    "test_demo",
    "test_wheel",
    "test_erasure",
    "test_browser",
)
"""Where single tests take seconds, of which most are waited."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: one worker begins with them, and nobody waits for the last of them at the end."""
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(scope="session")
def postgres(postgres_server: postgresql.Server) -> str:
    """The URL of this test run's own PostgreSQL server, without a database name."""
    return postgres_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server of this test run's own. A test that stops it starts it again."""
    programs = postgresql.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with postgresql.running(programs, postgresql.UNSAFE) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Each test that takes it runs on a fresh SQLite file and on a fresh PostgreSQL database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'plaint.sqlite'}"
        return
    yield request.getfixturevalue("postgresql_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As `database_url`, but nothing was ever made there: for what is about the schema itself."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'plaint.sqlite'}"
        return
    with postgresql.database(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
def postgresql_url(postgres: str, _postgresql_schema: str) -> Iterator[str]:
    """A fresh PostgreSQL database with the schema."""
    with postgresql.database(postgres, _postgresql_schema) as url:
        yield url


@pytest.fixture(scope="session")
def _postgresql_schema(postgres: str) -> Iterator[str]:
    """The name of a database that went through every migration, to be copied."""
    with postgresql.database(postgres) as url:
        made = Database(url)
        made.upgrade()
        made.close()
        yield url.rpartition("/")[2]
