"""Serving ASGI applications from within this loop: RDAP with TLS, the inbox without."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette

from .certificates import Certificates

STARTING = 10.0


@dataclass(frozen=True)
class Site:
    """An application, the listening socket it is served on, and its certificates for TLS."""

    app: Starlette
    sock: socket.socket
    certificates: Certificates | None = None


class _Server(uvicorn.Server):
    """uvicorn that leaves the process's signals alone: whoever runs the internet decides when it ends."""

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
            while not all(server.started for server in servers) and not any(task.done() for task in serving):
                await asyncio.sleep(0.005)
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)


def _server(site: Site) -> _Server:
    certificates = site.certificates
    return _Server(
        uvicorn.Config(
            site.app,
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
