"""Takes a URL; leaves one HTTP answer, bounded in size, from a server that the DNS and TLS both vouch for.

Connections go to the address our own resolver gives, TLS is verified for the name. No redirect is followed
here, no proxy, cookie or credential is used.
"""

import ssl
import typing
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpcore
import httpx

from abuse_lookup.errors import ConfigError
from abuse_lookup.reach import CONNECT_SECONDS, Reach, Unreachable

MOST_BYTES = 1 << 20
"""Octets of a body: the largest registry answers seen are below 200 kB."""


_GZIP, _GZIP_OR_ZLIB = b"\x1f\x8b\x08", 47
_MOST_POOLS = 100  # hosts whose connections are kept open
_PATIENCE = 60.0  # seconds; the caller's deadline is shorter, this is for callers that set none


class FetchError(Exception):
    """No answer that could be read, and why; `permanent` when asking again will not help."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Page:
    """One HTTP answer. `body` is None when it was larger than `MOST_BYTES`."""

    url: httpx.URL
    status: int
    headers: httpx.Headers
    body: bytes | None


class Fetcher:
    """An HTTP client for GET; close it with `aclose`."""

    def __init__(self, reach: Reach, *, ca_file: Path | None, user_agent: str) -> None:
        transport = _Transport(reach, _trust(ca_file))
        # Identity only: a compressed body could unfold to any size before we count it.
        headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._client = httpx.AsyncClient(
            transport=transport, headers=headers, trust_env=False, follow_redirects=False, timeout=_PATIENCE
        )

    async def get(self, url: httpx.URL, accept: str, more: Mapping[str, str] | None = None) -> Page:
        """Ask once, with `more` header fields; raises `FetchError`. The caller's timeout bounds it."""
        try:
            headers = {"Accept": accept, **(more or {})}
            async with self._client.stream("GET", url, headers=headers) as response:
                self._client.cookies.clear()
                body = _unpacked(await _bounded(response), response.headers, url.host)
                return Page(url, response.status_code, response.headers, body)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise FetchError(f"{url.host}: {str(error) or type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()


async def _bounded(response: httpx.Response) -> bytes | None:
    body = bytearray()
    async for chunk in response.aiter_raw(65536):
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def _unpacked(body: bytes | None, headers: httpx.Headers, host: str) -> bytes | None:
    """Undo the compression of servers that compress although asked not to; None beyond the bound."""
    coding = headers.get("Content-Encoding", "identity").strip().lower()
    if body is None or (coding in {"", "identity"} and not body.startswith(_GZIP)):
        return body
    if coding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
        raise FetchError(
            f"{host} compressed its answer ({coding[:20]}) although asked not to", permanent=True
        )
    try:
        unpacked = zlib.decompressobj(_GZIP_OR_ZLIB).decompress(body, MOST_BYTES + 1)
    except zlib.error as error:
        raise FetchError(f"{host} compressed its answer, and wrongly so: {error}") from error
    return unpacked if len(unpacked) <= MOST_BYTES else None


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"CA file {ca_file}: {error}; give a PEM file") from error
    return context


class _Network(httpcore.AsyncNetworkBackend):
    """Opens the sockets of httpcore, after `Reach` resolved and judged the name.

    TLS is started by httpcore for the name in the URL, not for the address.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[typing.Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        try:
            addresses = await self._reach.addresses(host)
        except Unreachable as error:
            raise FetchError(str(error), permanent=error.permanent) from error
        for address in addresses:
            try:
                seconds = min(timeout or CONNECT_SECONDS, CONNECT_SECONDS)
                return await self._sockets.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = httpcore.ConnectError(f"{address} port {port}: {error}")
        raise problem

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the signature is httpcore's
        socket_options: Iterable[typing.Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol(f"no lookup goes to a Unix socket ({path})")

    async def sleep(self, seconds: float) -> None:
        await self._sockets.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise httpx.ReadError(f"the answer broke off: {str(error) or type(error).__name__}") from error

    async def aclose(self) -> None:
        await self._response.aclose()


class _Transport(httpx.AsyncBaseTransport):
    """Joins httpx to connection pools that resolve through `Reach`.

    One for each host: a pool looks at all of its connections before and after every question.
    """

    def __init__(self, reach: Reach, context: ssl.SSLContext) -> None:
        self._network, self._context = _Network(reach), context
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    async def _pool(self, host: str) -> httpcore.AsyncConnectionPool:
        pool = self._pools.pop(host, None) or httpcore.AsyncConnectionPool(
            ssl_context=self._context, network_backend=self._network, max_connections=64, keepalive_expiry=30
        )
        self._pools[host] = pool  # the one used last is last
        if len(self._pools) > _MOST_POOLS:
            unused = (name for name, one in self._pools.items() if all(c.is_idle() for c in one.connections))
            if (oldest := next(unused, host)) != host:
                await self._pools.pop(oldest).aclose()
        return pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        core = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            extensions=request.extensions,
        )
        try:
            pool = await self._pool(url.host)
            response = await pool.handle_async_request(core)
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            httpcore.UnsupportedProtocol,
        ) as error:
            raise httpx.TransportError(str(error) or type(error).__name__, request=request) from error
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()
