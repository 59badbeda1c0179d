"""What every answer of the web keeps: headers, bounded bodies, no secrets in failures; and who is asking.

Takes ASGI requests, leaves them safer: `Guard` is the outermost layer of the application, `BodyLimit` the
next; `asking` is the dependency that turns a bearer token into a reporter.
"""

import asyncio
import logging
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from complaints import reporters
from complaints.logs import place_of
from complaints.models import Reporter
from complaints.office import Office
from complaints.outcomes import LESS
from complaints.spool import BLOCK
from complaints.web.problems import Problem, failure

log = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # capability URLs are secrets
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
HSTS = "max-age=31536000"  # RFC 6797 §6.1.1; only where people come by https
PUBLIC = frozenset({"/", "/help", "/privacy", "/register", "/submit"})  # the pages a search engine may list
UPLOADS = frozenset({"/submit", "/api/v1/submissions"})
FORM_BYTES = 1_048_576  # any request but an upload
HELD_BYTES = 2 * BLOCK  # of an upload, what is in memory while it comes in; the rest is in a spool
AT_ONCE = 400  # uploads that come in, or as much of other bodies
FEW_SECONDS = 5
# How much of a refused body is read away, so that its sender hears the answer
LINGER_BYTES, LINGER_SECONDS = 67_108_864, 20


class Guard:
    """Sets the headers, answers HEAD like GET without the body (RFC 9110 §9.3.2), and catches what failed."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = HEADERS | ({"Strict-Transport-Security": HSTS} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._set_headers(MutableHeaders(scope=message), scope["path"])
            elif head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app({**scope, "method": "GET"} if head else scope, receive, answer)
        except ClientDisconnect:
            log.debug("a client went away before its request was complete")
        except Exception as error:  # noqa: BLE001 - whatever it is, the asker gets an answer
            log.error("a request failed: %s", place_of(error))  # noqa: TRY400 - see logs
            if not started:
                request = Request(scope, receive)
                await failure(request, error)(scope, receive, answer)

    def _set_headers(self, headers: MutableHeaders, path: str) -> None:
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")
        if path not in PUBLIC and not path.startswith("/static/"):
            headers["X-Robots-Tag"] = "noindex, nofollow"


class _Room:
    """What bodies may take of this process's memory, all of them together, until they are answered."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, size: int) -> bool:
        """Whether there was room for so many more octets; they are taken then."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        self._left += size


class BodyLimit:
    """Refuses bodies over the limit while they come in, and reads the rest of a refused one away.

    Without that a client that is still sending would meet a reset connection in place of the answer. Whoever
    sends slowly takes no more room than what has come of theirs. How large an upload may be says who reads it
    (`uploads.py`).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._room = _Room(AT_ONCE * HELD_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        limit = None if scope["path"] in UPLOADS else FORM_BYTES
        body = _Body(Headers(scope=scope), receive, limit, self._room)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.drain()
            await send(message)

        try:
            await self._app(scope, body.receive, answer)
        finally:
            body.forget()


class _Body:
    """One request body on its way in."""

    def __init__(self, headers: Headers, receive: Receive, limit: int | None, room: _Room) -> None:
        length = headers.get("content-length", "")
        self._declared = int(length) if length.isdecimal() else 0
        self._waits = headers.get("expect", "").lower() == "100-continue"  # RFC 9110 §10.1.1
        self._receive = receive
        self._limit = limit
        self._room, self._taken = room, 0
        self._size = 0
        self._ended = False

    async def receive(self) -> Message:
        if self._limit is not None and self._declared > self._limit:
            raise self._too_large()
        message = await self._next()
        if self._limit is not None and self._size > self._limit:
            raise self._too_large()
        held = self._size if self._limit is not None else min(self._size, HELD_BYTES)
        if not self._room.take(held - self._taken):
            raise Problem(
                503,
                "Too much at a time",
                "Other uploads take all the room there is right now; nothing of this one was kept.",
                "Send it again in a few seconds.",
                headers={"Retry-After": str(FEW_SECONDS)},
            )
        self._taken = held
        return message

    def forget(self) -> None:
        """The request is answered, and its body is in nobody's memory."""
        self._room.give(self._taken)
        self._taken = 0

    async def _next(self) -> Message:
        message = await self._receive()
        self._waits = False
        self._size += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        if self._waits:
            return  # the client asked first, so it has sent nothing
        if not self._ended:
            self.forget()  # it was refused: what came of it is kept by nobody, however long the rest takes
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._ended and self._size < LINGER_BYTES:
                    await self._next()
        except TimeoutError:
            log.debug("a refused body did not end in %d s", LINGER_SECONDS)

    def _too_large(self) -> Problem:
        return Problem(
            413,
            "Too large",
            f"The request is larger than the {self._limit} bytes that are taken.",
            LESS,
        )


def opened(request: Request) -> Office:
    """The office of this application."""
    office = request.app.state.office
    assert isinstance(office, Office)
    return office


async def _office(request: Request) -> Office:
    """As `opened`; async, so that it costs no thread."""
    return opened(request)


Opened = Annotated[Office, Depends(_office)]
_bearer = HTTPBearer(
    auto_error=False, bearerFormat="plaint_...", description="The API token shown once at registration."
)


def asking(
    office: Opened, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Reporter:
    """The reporter whose bearer token (RFC 6750) came with the request; 401 without."""
    if credentials:
        with office.db.reading() as session:
            reporter = reporters.by_token(session, credentials.credentials)
        if reporter:
            return reporter
    raise Problem(
        401,
        "Not signed in",
        "The API token is unknown or was replaced." if credentials else "The request carries no API token.",
        "Send the header 'Authorization: Bearer TOKEN' with the token shown at registration; "
        "registering the same address again gives a new one.",
        headers={"WWW-Authenticate": "Bearer"},
    )


Asking = Annotated[Reporter, Depends(asking)]
