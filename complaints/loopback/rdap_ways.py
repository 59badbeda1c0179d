"""How an RDAP server misbehaves: takes a good body and the way, leaves the response as it is then."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import repeat

from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from .registration import error_object

MEDIA_TYPE = "application/rdap+json"
HTML_PAGE = "<!DOCTYPE html><title>Maintenance</title><p>The service is being maintained.</p>"
HUGE_LINES = 100_000
BOMB = 1 << 23
DRIP_SECONDS = 0.05
LINK_LOCAL = "169.254.169.254"
"""Where hosting providers keep the secrets of a machine: nobody may be sent there (RFC 3927)."""


class _Reset(Response):
    """Half of the body, then the connection is cut."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": half, "more_body": True})
        scope["abort"]()
        await asyncio.sleep(DRIP_SECONDS)  # until the server knows that nobody is there


def answer(body: str, media_type: str = MEDIA_TYPE) -> Response:
    """Make an answer as it should be."""
    # The header is set by hand: RFC 7480 §4.2 names the media type bare, and JSON needs no charset.
    return Response(body, headers={"Content-Type": media_type, "Access-Control-Allow-Origin": "*"})


def refusal(code: int, title: str, description: str, headers: dict[str, str] | None = None) -> Response:
    """Make an error with its object (RFC 9083 §6)."""
    body = json.dumps(error_object(code, title, description))
    return Response(body, status_code=code, headers={"Content-Type": MEDIA_TYPE, **(headers or {})})


def spoilt(way: str, body: str, url: str, retry_after: int, now: datetime) -> Response:
    """Answer as a server does that misbehaves this way; "" and ways of TLS answer as they should."""
    if way in ("429", "503"):
        return refusal(int(way), "Too Many Requests", "Too many", {"Retry-After": str(retry_after)})
    if way == "429-date":
        moment = format_datetime(now + timedelta(seconds=retry_after), usegmt=True)
        return refusal(429, "Too Many Requests", "Too many", {"Retry-After": moment})
    made = _RESPONSES.get(way) or _BODIES.get(way)
    return made(body, url) if made else answer(body)


def _zipped(content: bytes) -> Response:
    return Response(gzip.compress(content), headers={"Content-Type": MEDIA_TYPE, "Content-Encoding": "gzip"})


async def _drip(body: str) -> AsyncIterator[bytes]:
    for octet in body.encode():
        yield bytes([octet])
        await asyncio.sleep(DRIP_SECONDS)


async def _endless() -> AsyncIterator[bytes]:
    for chunk in repeat(b" " * 65536):
        yield chunk
        await asyncio.sleep(0)


def _other(body: str) -> str:
    """Make the answer one about something that nobody asked for."""
    about = {"startAddress": "233.252.0.0", "endAddress": "233.252.0.255", "ldhName": "other.example"}
    return json.dumps({**json.loads(body), **about, "startAutnum": 1, "endAutnum": 1, "cidr0_cidrs": []})


def _padded(body: str) -> str:
    padding = [{"title": "padding", "description": ["x" * 79] * HUGE_LINES}]
    return json.dumps({**json.loads(body), "notices": padding})


_Make = Callable[[str, str], Response]
_RESPONSES: dict[str, _Make] = {
    "403": lambda _, url: refusal(403, "Forbidden", url),
    "404": lambda _, url: refusal(404, "Not Found", f"{url} is not here"),
    "500": lambda *_: PlainTextResponse("Internal Server Error", 500),
    "timeout": lambda *_: PlainTextResponse("the server is closing", 503),
    "html": lambda *_: Response(HTML_PAGE, media_type="text/html"),
    "loop": lambda _, url: RedirectResponse(url, status_code=302),
    "chase": lambda _, url: RedirectResponse(f"{url}?{time.monotonic_ns()}", status_code=307),
    "downgrade": lambda _, url: RedirectResponse("http" + url.removeprefix("https"), status_code=302),
    "private": lambda _, url: RedirectResponse(f"https://{LINK_LOCAL}/{url[8:]}", status_code=302),
    "nowhere": lambda *_: RedirectResponse("https://[::/", status_code=301),
    "drip": lambda body, _: StreamingResponse(_drip(body), media_type=MEDIA_TYPE),
    "endless": lambda *_: StreamingResponse(_endless(), media_type=MEDIA_TYPE),
    "reset": lambda body, _: _Reset(body, media_type=MEDIA_TYPE),
    "gzip": lambda body, _: _zipped(body.encode()),
    "bomb": lambda *_: _zipped(b" " * BOMB),
    "garbage": lambda *_: Response(bytes(range(256)) * 16, media_type=MEDIA_TYPE),
    "bom": lambda body, _: Response(b"\xef\xbb\xbf" + body.encode(), media_type=MEDIA_TYPE),
    "latin-1": lambda body, _: Response(
        json.dumps({**json.loads(body), "lang": "espa\xf1ol"}, ensure_ascii=False).encode("latin-1"),
        media_type=MEDIA_TYPE,
    ),
}
_BODIES: dict[str, _Make] = {
    "bad-json": lambda body, _: answer(body[: len(body) // 2]),
    "wrong-type": lambda body, _: answer(body, "text/plain"),
    "empty": lambda *_: answer("{}"),
    "doubled": lambda body, _: answer(body.rstrip()[:-1] + ', "entities": []}'),
    "error-200": lambda *_: answer(json.dumps(error_object(429, "Too Many Requests"))),
    "other": lambda body, _: answer(_other(body)),
    "huge": lambda body, _: answer(_padded(body)),
}
WAYS = (*_RESPONSES, *_BODIES)
