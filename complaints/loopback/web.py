"""Serving ASGI applications from within this loop: RDAP with TLS, the inbox without."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from .certificates import Certificates

STARTING = 10.0
TICK = 1.0


@dataclass(frozen=True)
class Site:
    """An application, the listening socket it is served on, and its certificates for TLS."""

    app: Starlette
    sock: socket.socket
    certificates: Certificates | None = None
    odd: Mapping[str, ssl.SSLContext] = field(default_factory=dict)
    """TLS contexts of the hosts whose certificate is another one."""


class _Server(uvicorn.Server):
    """uvicorn that leaves the process's signals alone, and ends at once when nobody is connected."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.ending = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn's own sleeps even when there is nothing to wait for, and tests start many internets.
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            await self.hang_up_late_callers()
            return
        for server in self.servers:
            server.close()
            # Since Python 3.12 this waits for clients that connected and never began to speak TLS.
            with suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), TICK)
        await self.hang_up_late_callers()

    async def hang_up_late_callers(self) -> None:
        """Close what was accepted at the very moment the listeners closed: it is known only now."""
        await asyncio.sleep(0.01)
        for connection in list(self.server_state.connections):
            connection.transport.close()
        await asyncio.sleep(0)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def web_servers(*sites: Site) -> AsyncIterator[None]:
    """Serve all sites until the block ends; together, because each takes a moment to stop."""
    servers = [_server(site) for site in sites]
    serving = [
        asyncio.create_task(server.serve(sockets=[site.sock]))
        for server, site in zip(servers, sites, strict=True)
    ]
    try:
        async with asyncio.timeout(STARTING):
            await asyncio.gather(*(server.up.wait() for server in servers))
        yield
    finally:
        for server in servers:
            server.should_exit = True
            server.ending.set()
        await asyncio.gather(*serving)


def _server(site: Site) -> _Server:
    certificates = site.certificates

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the application a way to cut the connection, for servers that do."""
        mine = (c for c in server.server_state.connections if getattr(c, "scope", None) is scope)
        for connection in mine:
            scope["abort"] = connection.transport.abort
        await site.app(scope, receive, send)

    server = _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            http="h11",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=certificates.cert_file if certificates else None,
            ssl_keyfile=certificates.key_file if certificates else None,
            timeout_graceful_shutdown=1,
        )
    )
    if certificates is not None:
        server.config.load()
        assert server.config.ssl is not None
        server.config.ssl.sni_callback = partial(_choose, site.odd)
    return server


def _choose(
    odd: Mapping[str, ssl.SSLContext], asked: ssl.SSLObject, host: str | None, _: ssl.SSLContext
) -> None:
    if host is not None and host in odd:
        asked.context = odd[host]
