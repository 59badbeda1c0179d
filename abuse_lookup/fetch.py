"""Takes a URL; leaves one HTTP answer, bounded in size, from a server that the DNS and TLS both vouch for.

Connections go to the address our own resolver gives, TLS is verified for the name. No redirect is followed
here, no proxy, cookie or credential is used.
"""

import asyncio
import importlib.util
import ssl
import sys
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpcore
import httpx

from abuse_lookup.errors import ConfigError
from abuse_lookup.reach import CONNECT_SECONDS, Reach, Unreachable

if importlib.util.find_spec("sniffio") is None:
    # httpcore tries to import it several times a question; this spares the search of all folders each time
    sys.modules["sniffio"] = None  # type: ignore[assignment]

MOST_BYTES = 1 << 20
"""Octets of a body: the largest registry answers seen are below 200 kB."""


_GZIP, _GZIP_OR_ZLIB = b"\x1f\x8b\x08", 47
_MOST_HOSTS = 100  # whose connections are kept open
_KEPT_OPEN = 30.0  # seconds
_BROKEN = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
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
    """An HTTP client for GET; close it with `aclose`.

    It keeps the connections of each host itself: how many questions go at once is decided elsewhere, and a
    pool looks at all it has, and waits for locks, before and after each.
    """

    def __init__(self, reach: Reach, *, ca_file: Path | None, user_agent: str) -> None:
        self._reach, self._context = reach, trusting(ca_file)
        # Identity only: a compressed body could unfold to any size before we count it.
        self._fields = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._idle: dict[str, list[_Connection]] = {}

    async def get(self, url: httpx.URL, accept: str, more: Mapping[str, str] | None = None) -> Page:
        """Ask once, with `more` header fields; raises `FetchError`. The caller's timeout bounds it."""
        fields = {"Host": url.netloc.decode("ascii"), **self._fields, "Accept": accept, **(more or {})}
        try:
            request = httpcore.Request(
                "GET",
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=[(name.encode("ascii"), value.encode("ascii")) for name, value in fields.items()],
                extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _PATIENCE)},
            )
            async with self._connection(request.url.origin) as connection:
                response = await connection.handle_async_request(request)
                try:
                    headers = httpx.Headers(response.headers)
                    body = _unpacked(await _bounded(response), headers, url.host)
                finally:
                    await response.aclose()
            return Page(url, response.status, headers, body)
        except (*_BROKEN, ValueError, OSError) as error:
            raise FetchError(f"{url.host}: {str(error) or type(error).__name__}") from error

    @asynccontextmanager
    async def _connection(self, origin: httpcore.Origin) -> AsyncIterator["_Connection"]:
        """Lend one connection, the one used last; it is kept where it can be used again."""
        connection = await self._used_before(str(origin)) or await self._opened(origin)
        try:
            yield connection
        finally:
            if connection.is_available():
                await self._keep(str(origin), connection)
            else:
                await connection.aclose()

    async def _used_before(self, origin: str) -> "_Connection | None":
        kept = self._idle.get(origin, [])
        while kept:
            if not (connection := kept.pop()).has_expired():
                return connection
            await connection.aclose()
        return None

    async def _opened(self, origin: httpcore.Origin) -> "_Connection":
        host = origin.host.decode("ascii")
        if origin.scheme not in {b"https", b"http"}:
            raise httpcore.UnsupportedProtocol(f"{origin.scheme.decode('ascii', 'replace')} is not spoken")
        stream = await self._connected(host, origin.port)
        if origin.scheme == b"https":
            await stream.secure(self._context, host)
        return _Connection(origin, stream, _KEPT_OPEN)

    async def _connected(self, host: str, port: int) -> "_Stream":
        """Open a socket, after `Reach` resolved and judged the name."""
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        try:
            addresses = await self._reach.addresses(host)
        except Unreachable as error:
            raise FetchError(str(error), permanent=error.permanent) from error
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return _Stream(*await asyncio.open_connection(address, port))
            except OSError as error:
                problem = httpcore.ConnectError(f"{address} port {port}: {str(error) or 'no answer'}")
        raise problem

    async def _keep(self, origin: str, connection: "_Connection") -> None:
        self._idle[origin] = [*self._idle.pop(origin, []), connection]  # the host used last is last
        if len(self._idle) > _MOST_HOSTS:
            for old in self._idle.pop(next(iter(self._idle))):
                await old.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        while self._idle:
            _, connections = self._idle.popitem()
            for connection in connections:
                await connection.aclose()


async def _bounded(response: httpcore.Response) -> bytes | None:
    body = bytearray()
    try:
        async for chunk in response.aiter_stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return None
    except _BROKEN as error:
        raise OSError(f"the answer broke off: {str(error) or type(error).__name__}") from error
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


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """The certificates we trust, read once in a process, and again when `ca_file` was changed.

    Raises ConfigError.
    """
    try:
        facts = ca_file.stat() if ca_file else None
        return _trusting(ca_file, facts and (facts.st_mtime_ns, facts.st_size, facts.st_ino))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"CA file {ca_file}: {error}; give a PEM file") from error


@lru_cache(maxsize=2)
def _trusting(ca_file: Path | None, _facts: object) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


class _NoLock:
    """A connection here is lent to one question at a time; httpcore's lock gives the loop away even then."""

    async def __aenter__(self) -> None:
        """Nobody else has it."""

    async def __aexit__(self, *_: object) -> None:
        """Nobody waits for it."""


class _Connection(httpcore.AsyncHTTP11Connection):
    """HTTP/1.1 over one stream."""

    def __init__(self, origin: httpcore.Origin, stream: httpcore.AsyncNetworkStream, kept: float) -> None:
        super().__init__(origin, stream, kept)
        self._state_lock: Any = _NoLock()


class _Stream(httpcore.AsyncNetworkStream):
    """A connection of asyncio's, as httpcore wants it: half of the work of its own way over anyio."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as above
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except OSError as error:
            raise httpcore.ReadError(str(error) or "no answer") from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        if not buffer:
            return  # h11 ends a question without a body by no octets
        try:
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()
        except OSError as error:
            raise httpcore.WriteError(str(error) or "the question could not be sent") from error

    async def aclose(self) -> None:
        self._writer.transport.abort()  # the answer is complete, or nobody wants it any more
        await asyncio.sleep(0)

    async def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Speak TLS from now on, with whoever proves to be `name`: not for the address."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._writer.start_tls(context, server_hostname=name)
        except BaseException as error:
            self._writer.transport.abort()
            if not isinstance(error, OSError):
                raise
            raise httpcore.ConnectError(str(error) or "no TLS in time") from error

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # asked of an idle connection: has the server ended it
            return self._reader.at_eof() or self._writer.is_closing()
        return self._writer.get_extra_info(info)
