"""What the tests share: real servers on loopback, real databases, and no way to the internet."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from complaints import reporters
from complaints.demo import free_port
from complaints.loopback import Internet, World, loopback_internet
from complaints.models import Json
from complaints.office import Office
from complaints.serve import ROLES, Service, running
from complaints.settings import Settings, load

ALICE = "alice@victim.example"
BOB = "bob@victim.example"


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


def _postgres_programs() -> Path | None:
    found = shutil.which("initdb")
    folders = (
        [Path(found).resolve().parent]
        if found
        else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of this test run's own; yields its URL without a database name."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tmp_path_factory.mktemp("postgres"))
    prefix: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        for parent in (folder.parent, folder.parent.parent):
            parent.chmod(0o755)
        prefix = ["runuser", "-u", "postgres", "--"]
    port = free_port()
    data = folder / "data"
    subprocess.run(
        [*prefix, programs / "initdb", "-D", data, "-A", "trust", "-U", "plaint", "--no-sync", "-E", "UTF8", "--locale=C"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200"
    control = [*prefix, programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options]
    subprocess.run([*control, "start"], check=True, capture_output=True, cwd="/")
    yield f"postgresql://plaint@127.0.0.1:{port}/"
    subprocess.run([*control, "-m", "fast", "stop"], check=True, capture_output=True, cwd="/")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Each test that takes it runs on a fresh SQLite file and on a fresh PostgreSQL database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'plaint.sqlite'}"
        return
    server, name = request.getfixturevalue("postgres"), f"test_{uuid4().hex}"
    with psycopg.connect(server + "postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    yield server + name
    with psycopg.connect(server + "postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]


@dataclass
class House:
    """A running service on a loopback internet, with one registered reporter."""

    internet: Internet
    service: Service
    settings: Settings
    submission_address: str
    token: str
    http: httpx.AsyncClient

    @property
    def office(self) -> Office:
        return self.service.office

    async def api(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One API request as the reporter."""
        return await self.http.request(
            method, f"/api/v1{path}", headers={"Authorization": f"Bearer {self.token}"}, **more
        )

    async def complaints(
        self, count: int, state: str = "awaiting_consent", seconds: float = 30
    ) -> list[Json]:
        """The reporter's complaints in a state, as soon as there are `count`."""
        for _ in range(int(seconds / 0.1)):
            items: list[Json] = (await self.api("GET", "/complaints", params={"limit": 200})).json()["items"]
            found = [item for item in items if item["state"] == state]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"{len(found)} of {count} complaints are {state}: {items}")

    async def show(self, complaint: str) -> Json:
        """The show document."""
        document: Json = (await self.api("GET", f"/complaints/{complaint}")).json()
        return document

    async def until(self, complaint: str, wanted: str, seconds: float = 20) -> Json:
        """The show document once a report of the complaint is in this state."""
        for _ in range(int(seconds / 0.1)):
            document = await self.show(complaint)
            if wanted in {report["state"] for report in document["reports"]}:
                return document
            await asyncio.sleep(0.1)
        states = [(report["state"], report["detail"]) for report in document["reports"]]
        raise AssertionError(f"no report of {complaint} became {wanted}: {states}")


def house_settings(tmp_path: Path, internet: Internet, **given: Any) -> Settings:
    """Settings of a service inside a loopback internet, without an undo window unless asked for."""
    world = {name.removeprefix("PLAINT_").lower(): value for name, value in internet.settings().items()}
    defaults = {
        "data": tmp_path / "data",
        "smtp": f"127.0.0.1:{free_port()}",
        "http": f"127.0.0.1:{free_port()}",
        "mail_domain": "plaint.example",
        "undo_seconds": 0,
        "retry_seconds": 1,
        "limit_lookups": 0,
    }
    return load(**(defaults | world | given))


@asynccontextmanager
async def house(
    tmp_path: Path,
    database_url: str = "",
    *,
    world: World | str = "demo",
    roles: tuple[str, ...] = ROLES,
    **given: Any,
) -> AsyncIterator[House]:
    """The whole service with Alice registered, on a loopback internet."""
    async with loopback_internet(world) as internet:
        settings = house_settings(tmp_path, internet, database_url=database_url, **given)
        async with running(settings, roles) as service:
            with service.office.db.transaction() as session:
                made = reporters.find(session, ALICE) and None
                made = made or reporters.add(
                    session, service.office, ALICE, names=["Alice Victim"], verified=True
                )
            assert service.smtp_port is not None
            internet.plaint_smtp = ("127.0.0.1", service.smtp_port)
            async with httpx.AsyncClient(base_url=settings.url, timeout=30) as http:
                yield House(internet, service, settings, made.submission_address, made.token, http)
