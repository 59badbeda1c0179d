"""The cast and the stage: Alice reports, Bob is another reporter, spam comes from the demo world's networks."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from typing import Any, TypeVar

import aiosmtplib
import httpx
from sqlalchemy import text
from sqlmodel import Session

from complaints import guards, reporters
from complaints.demo import as_attachments, free_port
from complaints.loopback import Internet, World, loopback_internet
from complaints.models import Json
from complaints.office import Office, utc_now
from complaints.serve import ROLES, Service, running
from complaints.settings import Settings, load

T = TypeVar("T")
ALICE = "alice@victim.example"
BOB = "bob@victim.example"
CLOUD = "198.51.100.23"  # its desk: abuse@cloud.example, by RDAP
SAVANNA = "203.0.113.9"  # its desk: abuse@savanna.example, by WHOIS only
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: to load the certificates of all the world takes longer than most tests."""


def spam(
    ip: str = CLOUD,
    *,
    subject: str = "Cheap pills",
    body: str = "Buy now: http://pills.example/buy\r\n",
    to: str = ALICE,
) -> bytes:
    """A spam that mx.victim.example took from `ip`; each subject makes another spam."""
    when = format_datetime(utc_now())
    literal = f"IPv6:{ip}" if ":" in ip else ip
    return (
        f"Return-Path: <bulk@pills.example>\r\n"
        f"Delivered-To: {to}\r\n"
        f"Received: from seller.example (unknown [{literal}])\r\n"
        f"\tby mx.victim.example (Postfix) with ESMTP id 4F2A81C0\r\n"
        f"\tfor <{to}>; {when}\r\n"
        f"From: Shop <shop@pills.example>\r\n"
        f"To: {to}\r\n"
        f"Subject: {subject}\r\n"
        f"Date: {when}\r\n"
        f"Message-ID: <{abs(hash(subject))}@pills.example>\r\n"
        f"MIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n"
        f"\r\n"
        f"Hello {to},\r\n{body}"
    ).encode()


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
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        return await self.http.request(method, f"/api/v1{path}", headers=headers, **more)

    async def forward(self, spams: Sequence[bytes], to: str = "") -> None:
        """Alice's mail client forwards spams as attachments. Raises when the door refuses."""
        to = to or self.submission_address
        await self.smtp(as_attachments(list(spams), to), to)

    async def smtp(self, raw: bytes, to: str, mail_from: str = ALICE) -> None:
        """Hand a mail to Plaint's SMTP door."""
        await aiosmtplib.send(
            raw,
            sender=mail_from,
            recipients=[to],
            hostname="127.0.0.1",
            port=self.service.smtp_port,
            start_tls=False,
        )

    async def waiting(self, *spams: bytes) -> list[Json]:
        """The show documents of these spams, forwarded and awaiting consent."""
        await self.forward(spams or [spam()])
        found = [await self.show(item["id"]) for item in await self.complaints(len(spams) or 1)]
        return sorted(found, key=lambda document: document["id"])

    async def confirm(self, document: Json, to: Sequence[str] = (), **more: Any) -> httpx.Response:
        """Consent to the ticked reports of a show document, or to those to the given desks."""
        chosen = [one for one in document["reports"] if (one["to"] in to if to else one["ticked"])]
        body = {"reports": {one["id"]: one["digest"] for one in chosen}} | more
        return await self.api("POST", f"/complaints/{document['id']}/confirm", json=body)

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

    async def sweeps(self, count: int = 2) -> None:
        """Look at every row this often, with time to do what is found: for what must not happen any more."""
        worker = self.service.worker
        assert worker is not None
        assert worker._engine is not None
        for _ in range(count):
            await worker.sweep(worker._engine)
            await asyncio.sleep(0.3)

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
                made = reporters.add(session, service.office, ALICE, names=["Alice Victim"], verified=True)
            assert service.smtp_port is not None
            internet.plaint_smtp = ("127.0.0.1", service.smtp_port)
            async with httpx.AsyncClient(base_url=settings.url, timeout=30, verify=NO_TLS) as http:
                yield House(internet, service, settings, made.submission_address, made.token, http)
                assert not http.cookies, "whatever was asked for, no answer set a cookie"


def unguarded(session: Session) -> None:
    """Take the database's own refusals away, to see that the code refuses by itself."""
    dialect = session.connection().dialect.name
    for guard in guards.of(dialect):
        on_table = "" if dialect == "sqlite" else f" ON {guard.table}"
        session.execute(text(f"DROP TRIGGER {guard.name}{on_table}"))


@contextmanager
def in_a_thread(opened: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """What an asynchronous context opens, up in a thread with a loop of its own until the block ends."""
    running: list[T] = []
    stop, up = asyncio.Event(), threading.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        async with opened as one:
            running.append(one)
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), name="opened")
    thread.start()
    while not up.wait(0.1):
        assert thread.is_alive(), "it did not start"
    yield running[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()
