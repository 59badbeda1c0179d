"""The inbox: a small web page on which one sees what the mail hosts took, and answers as a desk.

Strict on purpose, as it shows hostile mail: no script, nothing from elsewhere, only this machine's host
names, and a form that only its own pages may send.
"""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from .letters import VERDICTS, Letter, Received
from .pages import STYLE, list_page, message_page, subject_of

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LONGEST_ANSWER = 20_000


class Inbox:
    """The inbox as an ASGI application (`app`) over a list of messages that grows."""

    def __init__(
        self,
        messages: Callable[[], Sequence[Received]],
        is_desk: Callable[[str], bool],
        deliver: Callable[[Letter], Awaitable[str]],
        reply: Callable[[Received, str, str], Letter | None],
    ) -> None:
        self._messages = messages
        self._is_desk = is_desk
        self._deliver = deliver
        self._reply = reply
        routes = [
            Route("/", self._list),
            Route("/messages.json", self._json),
            Route("/style.css", self._style),
            Route("/messages/{number:int}.eml", self._source),
            Route("/messages/{number:int}", self._message),
            Route("/messages/{number:int}/answer", self._answer, methods=["POST"]),
        ]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        self.app = Starlette(routes=routes, middleware=[hosts])

    async def _list(self, request: Request) -> Response:
        return HTMLResponse(list_page(self._messages(), request.query_params.get("to")), headers=HEADERS)

    async def _message(self, request: Request) -> Response:
        return self._shown(self._wanted(request))

    async def _source(self, request: Request) -> Response:
        received = self._wanted(request)
        disposition = f'attachment; filename="{received.number}.eml"'
        headers = {**HEADERS, "Content-Disposition": disposition, "Content-Type": "message/rfc822"}
        return Response(received.raw, headers=headers)

    async def _style(self, _request: Request) -> Response:
        return Response(STYLE, media_type="text/css", headers=HEADERS)

    async def _json(self, _request: Request) -> Response:
        return JSONResponse([_row(received) for received in self._messages()], headers=HEADERS)

    async def _answer(self, request: Request) -> Response:
        received = self._wanted(request)
        # A page elsewhere must not make this browser speak for a desk.
        if request.headers.get("origin") not in (None, f"http://{request.headers['host']}"):
            raise HTTPException(403, "this form is sent from the inbox's own pages only")
        body = await request.body()
        fields = parse_qs(body[: 4 * LONGEST_ANSWER].decode("utf-8", "replace"), keep_blank_values=True)
        verdict, text = fields.get("verdict", [""])[0], fields.get("text", [""])[0].strip()[:LONGEST_ANSWER]
        if verdict not in VERDICTS:
            raise HTTPException(422, f"verdict must be one of {', '.join(VERDICTS)}")
        letter = self._reply(received, verdict, text)
        if letter is None:
            return self._shown(received, "The message names no address to answer to.", 422)
        try:
            said = await self._deliver(letter)
        except OSError as error:
            return self._shown(received, f"Not sent to {letter.rcpt_to}: {error}", 502)
        return self._shown(received, f"Sent to {letter.rcpt_to}; Plaint answered: {said}")

    def _shown(self, received: Received, note: str = "", status: int = 200) -> Response:
        desk = self._is_desk(received.rcpt_tos[0])
        page = message_page(received, desk=desk, note=note, failed=status != 200)
        return HTMLResponse(page, status, headers=HEADERS)

    def _wanted(self, request: Request) -> Received:
        number = request.path_params["number"]
        for received in self._messages():
            if received.number == number:
                return received
        raise HTTPException(
            404, f"there is no message {number}; the oldest are dropped when there are too many"
        )


def _row(received: Received) -> dict[str, object]:
    return {
        "number": received.number,
        "mail_from": received.mail_from,
        "rcpt_tos": list(received.rcpt_tos),
        "at": received.at.isoformat(),
        "tls": received.tls,
        "helo": received.helo,
        "host": received.host,
        "answer": received.answer,
        "size": len(received.raw),
        "subject": subject_of(received),
        "source": f"/messages/{received.number}.eml",
    }
