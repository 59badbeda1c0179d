"""The one place that wires: settings → office, lookup, SMTP door, web, worker; and takes them down again.

`running` is the whole service as an async context; `serve` runs it until a signal. Any number of processes,
each with any of the roles, may share one PostgreSQL database.
"""

import asyncio
import contextlib
import ctypes
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import uvicorn
from sqlalchemy import text

from abuse_lookup import AbuseLookup
from complaints.logs import place_of
from complaints.lookups import look_up
from complaints.office import Office
from complaints.outside import looking_up, sender
from complaints.receive import Reception
from complaints.settings import Settings, SettingsError, host_port
from complaints.smtp_in import Intake, SmtpServer, serve_smtp
from complaints.smtp_limits import Limits
from complaints.smtp_protocol import Entrance
from complaints.web.app import create_app
from complaints.worker import Worker

log = logging.getLogger(__name__)

ROLES = ("smtp", "web", "worker")
RESTART_SECONDS = 5.0
M_MMAP_THRESHOLD, MAPPED_BYTES = -3, 1_048_576
"""mallopt(3): blocks of so many octets are taken from the system one by one, and given back one by one."""
FROM_OUR_OWN = Limits(
    recipients=1000, connections_per_prefix=0, arrivals_per_prefix=0, recipients_per_prefix=0
)
"""Of the LMTP door: behind it is one mail server, which bears the open internet."""


@dataclass
class Service:
    """What runs in this process; ports are the real ones, also where 0 was asked for."""

    office: Office
    smtp_port: int | None = None
    http_port: int | None = None
    worker: Worker | None = None


@asynccontextmanager
async def running(settings: Settings, roles: Collection[str] = ROLES) -> AsyncIterator[Service]:
    """The service, up while the block runs. Raises what `Office.open` raises, and OSError for taken ports."""
    office = await asyncio.to_thread(Office.open, settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(office.close)
        service = Service(office)
        if {"worker", "web"} & set(roles):
            lookup = await stack.enter_async_context(looking_up(office))
        if "worker" in roles:
            await stack.enter_async_context(_working(service, lookup))
        if "smtp" in roles:
            await stack.enter_async_context(_smtp(service))
        if "web" in roles:
            await stack.enter_async_context(_web(service, lookup, need_smtp="smtp" in roles))
        yield service


async def serve(settings: Settings, roles: Collection[str], started: Callable[[Service], None]) -> None:
    """Run until SIGINT or SIGTERM; `started` is called once everything listens. Raises SettingsError."""
    settings.check_for_people()
    _give_memory_back()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, roles) as service:
        started(service)
        await stop.wait()


def _give_memory_back() -> None:
    """Let what a large mail took go back to the system at once.

    The C library of Linux raises its bound for that with every large block that is freed, and keeps them:
    after fifty mails of 25 MB, 1,040 MB instead of 360.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library has no such bound
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)


@asynccontextmanager
async def _working(service: Service, lookup: AbuseLookup) -> AsyncIterator[None]:
    """A worker that is started again when its queue's database went away."""
    send_mail = sender(service.office.settings, lookup)
    service.worker = Worker(service.office, lookup, send_mail)
    await service.worker.start()

    async def keep() -> None:
        while True:
            assert service.worker is not None
            try:
                await service.worker.finished()
            except Exception as error:  # noqa: BLE001 - it is started again, whatever stopped it
                again = (RESTART_SECONDS, place_of(error))
                log.error("the worker stopped, starting again in %d s: %s", *again)  # noqa: TRY400 - see logs
            await service.worker.stop()
            await asyncio.sleep(RESTART_SECONDS)
            service.worker = Worker(service.office, lookup, send_mail)
            try:
                await service.worker.start()
            except Exception as error:  # noqa: BLE001 - the next round tries again
                log.error("the worker could not start: %s", place_of(error))  # noqa: TRY400 - see logs

    keeping = asyncio.create_task(keep(), name="keep working")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await service.worker.stop()


@asynccontextmanager
async def _smtp(service: Service) -> AsyncIterator[None]:
    settings = service.office.settings
    reception = Reception(service.office)
    intake = Intake(known=reception.known, lately=reception.lately, accept=reception.accept)
    entrance = Entrance(
        settings.mail_domain, settings.max_bytes, _certificate(settings), proxies=settings.proxies
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(reception.close)
        server = await serve_smtp(host_port(settings.smtp), entrance, intake=intake)
        servers = [server]
        stack.push_async_callback(_close, servers)
        if at := settings.lmtp_at:
            inner = replace(entrance, tls=None, lmtp=True, proxies=())
            servers.append(await serve_smtp(at, inner, intake=intake, limits=FROM_OUR_OWN))
        service.smtp_port = server.port
        try:
            yield
        finally:
            service.smtp_port = None


async def _close(servers: list[SmtpServer]) -> None:
    for server in servers:
        server.close()
    await asyncio.gather(*(server.wait_closed() for server in servers))


def _certificate(settings: Settings) -> ssl.SSLContext | None:
    if settings.smtp_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.smtp_cert, settings.smtp_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"PLAINT_SMTP_CERT {settings.smtp_cert}: cannot be loaded: {error}") from error
    return context


class _Uvicorn(uvicorn.Server):
    """Signals are ours: one handler stops all of the service in order."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # What was accepted at the very moment the listener closed is known only now
        await asyncio.sleep(0.01)
        for connection in list(self.server_state.connections):
            connection.transport.close()
        await asyncio.sleep(0)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _web(service: Service, lookup: AbuseLookup, *, need_smtp: bool) -> AsyncIterator[None]:
    async def ready() -> bool:
        await asyncio.to_thread(_ping, service.office)
        return service.smtp_port is not None or not need_smtp

    host, port = host_port(service.office.settings.http)
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    service.http_port = int(listener.getsockname()[1])
    app = create_app(service.office, ready=ready, look_up=partial(look_up, lookup))
    server = _Uvicorn(
        uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=10
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn sets a plain attribute
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        await app.state.intake.close()  # what is read now ends in good order
        server.should_exit = True
        await task
        listener.close()


def _ping(office: Office) -> None:
    with office.db.reading() as session:
        session.execute(text("SELECT 1"))
