"""Refusals: takes what went wrong with a request, leaves problem+json (RFC 9457) or a page that says it.

Requests under /api get JSON, all others a page; both from the same `Problem`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from complaints import db
from complaints.fields import one_line
from complaints.logs import place_of
from complaints.models import Json, Reporter
from complaints.office import LinkEndedError, LinkError, Office
from complaints.web.page import mail_file, page

log = logging.getLogger(__name__)

# What Starlette and FastAPI raise by themselves, in words that tell what to do next
WORDS = {
    404: ("Not found", "There is nothing here.", "Check the address; links from our mails work only whole."),
    405: ("Not possible here", "This address does not do that.", "Open the page and use the form on it."),
    500: (
        "Something went wrong here",
        "The service failed to answer; what was not acknowledged was not stored.",
        "Try again in a few minutes. If it stays so, tell the operator the time and the address of the page.",
    ),
    503: (
        "Not now",
        "The service cannot use its database at this moment; what was not acknowledged counts as not stored.",
        "Try again in a minute.",
    ),
}
IN_THE_API = {
    404: "GET /api/v1/complaints lists what is yours; /api/v1/openapi.json describes every address.",
    405: "What each address takes is described at /api/v1/openapi.json.",
}
AWAY_SECONDS = 30  # after which to ask again, while the database is away


KNOWN_AGAIN = "What is kept will be known again then."
REMEDY_ENDED = "Take the link of our last letter, or hand in a spam: the letter about it has a new one."


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a form; `field` is its id on the page."""

    field: str
    what: str


class Problem(HTTPException):
    """A request cannot be served: what was wrong (`detail`) and what to do next (`remedy`)."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        remedy: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, detail, headers)
        self.title = title
        self.remedy = remedy
        self.more = more

    def document(self) -> Json:
        """The members of RFC 9457 §3.1, `remedy`, and what else the problem carries."""
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status_code,
            "detail": self.detail,
            "remedy": self.remedy,
            **self.more,
        }


class ProblemDocument(BaseModel):
    """RFC 9457: every refusal of the API, as application/problem+json."""

    model_config = ConfigDict(extra="allow")
    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="what was wrong")
    remedy: str = Field(description="what to do next")
    changes: list[str] | None = Field(None, description="409: what differs from what was shown")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the description of an operation of the API says of its refusals."""
    content = {"application/problem+json": {"schema": ProblemDocument.model_json_schema()}}
    return {status: {"description": "Problem (RFC 9457)", "content": content} for status in (401, *statuses)}


ANYWHERE = documented(400, 413, 415, 422, 500, 503)
"""What any operation of the API may refuse with."""


def not_found() -> Problem:
    """The one 404: the same for what never was and for what is another's."""
    return Problem(404, *WORDS[404])


def kept_file(content: bytes, name: str, *, written: bool = True) -> Response:
    """Stored mail, to be saved. Raises Problem (410) when it was deleted after its time, or never written."""
    if not written:
        detail = "It was not written: a report is when somebody looks at it before it is decided on."
        raise Problem(410, "Not written", detail, "Nothing of it was sent, and nothing will be.")
    if not content:
        detail = "Its bytes were deleted when their time here was over."
        raise Problem(410, "Deleted", detail, "The digest of a report stands in the complaint's document.")
    return mail_file(content, name)


class LinkEnded(Problem):
    """A link of ours whose day is over; `token` is its last part."""

    def __init__(self, token: str, remedy: str) -> None:
        super().__init__(410, "This link has ended", "Links of ours are good for a while only.", remedy)
        self.token = token


def opened_by(office: Office, purpose: str, token: str, secret: str = "") -> str:
    """The subject whose page this capability URL opens. Raises Problem: 404, or 410 when its day is over."""
    try:
        return office.opened_by(purpose, token, secret)
    except LinkEndedError as error:
        raise LinkEnded(token if purpose == "review" else "", REMEDY_ENDED) from error
    except LinkError as error:
        raise not_found() from error


def own_page(session: Session, office: Office, purpose: str, token: str) -> Reporter:
    """The reporter whose page this capability URL opens; new secrets end it. Raises Problem: 404 or 410."""
    reporter_id = token.partition(".")[0].partition("-")[0]
    reporter = session.get(Reporter, reporter_id) if reporter_id.isprintable() else None
    if reporter is None:
        raise not_found()
    opened_by(office, purpose, token, reporter.token_hash or "")
    return reporter


def handle(app: FastAPI) -> None:
    """Let every refusal of the application come out of here."""

    @app.exception_handler(HTTPException)
    async def _refused(request: Request, error: HTTPException) -> Response:
        return _answer(request, error if isinstance(error, Problem) else _worded(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        kind = request.headers.get("content-type", "")
        if "json" not in kind.lower() and any(_unread(one) for one in error.errors()):
            detail = f"The body is {one_line(kind)[:100] or 'of no named type'}, and this takes JSON."
            remedy = "Send it as JSON, with the header Content-Type: application/json."
            return _answer(request, Problem(415, "Not JSON", detail, remedy))
        errors = [{"in": _named(one), "what": one["msg"]} for one in error.errors()]
        detail = "; ".join(f"{one['in']}: {one['what']}" for one in errors)
        remedy = "Correct what is named and send it again."
        return _answer(request, Problem(422, "Invalid request", detail, remedy, errors=errors))


def _named(error: dict[str, Any]) -> str:
    """What an error is about, without the names that pydantic gives the kinds that a value may have."""
    return ".".join(str(name) for name in error["loc"] if "[" not in str(name))


def failure(request: Request, error: Exception) -> Response:
    """The answer when the service itself failed: 503 while the database is away, else 500."""
    return _answer(request, _failed(error))


def midway(error: Exception, *, named: bool) -> Json:
    """The document of what ended an answer that had begun; with `retry_after` in seconds if that helps.

    `named`: the request has an Idempotency-Key.
    """
    problem = error if isinstance(error, Problem) else _failed(error)
    if problem is not error:
        log.error("a request failed midway: %s", place_of(error))
    again = "Under the same Idempotency-Key it goes on from there." if named else KNOWN_AGAIN
    remedy = f"What is listed is kept. {problem.remedy} {again}"
    after = (problem.headers or {}).get("Retry-After")
    return problem.document() | {"remedy": remedy} | ({"retry_after": int(after)} if after else {})


def _failed(error: Exception) -> Problem:
    if db.is_away(error):
        return Problem(503, *WORDS[503], headers={"Retry-After": str(AWAY_SECONDS)})
    return Problem(500, *WORDS[500])


def _unread(error: Json) -> bool:
    """Whether it is about a body that was sent and not read as JSON."""
    return bool(error["loc"] == ("body",) and error["type"] != "missing")


def _worded(error: HTTPException) -> Problem:
    other = ("The request cannot be read", str(error.detail), "Correct it and send it again.")
    title, detail, remedy = WORDS.get(error.status_code, other)
    return Problem(error.status_code, title, detail, remedy, headers=error.headers)


def _answer(request: Request, problem: Problem) -> Response:
    if request.url.path.startswith("/api/"):
        kind = "application/problem+json"
        remedy = IN_THE_API.get(problem.status_code, problem.remedy)
        return JSONResponse(
            problem.document() | {"remedy": remedy}, problem.status_code, problem.headers, media_type=kind
        )
    if isinstance(problem, LinkEnded) and problem.token:
        return page("link_ended.html", problem.status_code, token=problem.token)
    return page("problem.html", problem.status_code, headers=problem.headers, problem=problem)
