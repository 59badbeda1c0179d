"""The API at /api/v1: takes requests with a reporter's token, leaves submissions, consents and documents."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlmodel import Session
from starlette.responses import JSONResponse, Response, StreamingResponse

from complaints import consent, draft, hiding, once, show
from complaints.batches import LABEL
from complaints.consent import Choice, ConsentError, EmptyError, StaleError
from complaints.db import OvertakenError
from complaints.models import Complaint, ComplaintState, Json, Report, Reporter
from complaints.office import Office
from complaints.once import Key, ReusedError
from complaints.own_hosts import HostError
from complaints.redact import CannotRedact
from complaints.submission import BATCH
from complaints.web import idempotency, intake, problems
from complaints.web.idempotency import Again
from complaints.web.intake import Taken, Way, chained
from complaints.web.problems import ANYWHERE, Problem, documented, kept_file, not_found
from complaints.web.security import Asking, Opened
from complaints.web.shapes import ComplaintDocument, ComplaintList, Confirmation, Hop, Items, Repair
from complaints.web.uploads import read_body, read_form

PREFIX = "/api/v1"
LONGEST_QUOTED = 1000
TRUE = frozenset({"1", "true", "yes", "on"})
Act = Callable[[Session, Complaint], object]


router = APIRouter(prefix=PREFIX, responses=ANYWHERE)
DECISION: dict[str, Any] = {
    "status_code": 202,
    "response_model": ComplaintDocument,
    "responses": documented(404, 409),
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILES = {
    "schema": {
        "type": "object",
        "properties": {
            "file": {"type": "array", "items": _BINARY["schema"]},
            "forwarded": {"type": "string", "description": "1: each file is a mail with the spams attached"},
        },
    }
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "message/rfc822": _BINARY,
            "application/mbox": _BINARY,
            "application/octet-stream": _BINARY,
            "multipart/form-data": _FILES,
        },
    }
}
_MAIL: dict[int | str, dict[str, Any]] = {
    200: {"description": "The exact bytes", "content": {"message/rfc822": _BINARY}}
}


@router.post(
    "/submissions",
    status_code=202,
    response_model=Items,
    responses=documented(429),
    openapi_extra=_BODY,
)
async def submit(
    request: Request,
    office: Opened,
    reporter: Asking,
    forward: Annotated[bool, Query(description="The spams are attached to the body.")] = False,
    filename: Annotated[str, Query(description="The name of a raw body.")] = "",
    pasted: Annotated[bool, Query(description="The body is source as text, to be repaired.")] = False,
    batch: Annotated[
        str,
        Query(
            pattern=f"^({LABEL.pattern})?$",
            description="A label: what comes under it is reviewed together, and no letter tells of it.",
        ),
    ] = "",
    key: idempotency.Name = None,
) -> Response:
    """Hand in spam: a message as it came, a mailbox, an archive of them, or a form with many of these.

    202 comes after a durable commit; what could not be used is in the items, with the reason and a remedy. A
    mailbox may have any size: its items come while it is read, each when it is durable, and no letter tells
    of it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        detail, remedy = "JSON holds no message as it came.", "Send the message itself as message/rfc822."
        raise Problem(415, "Not a message", detail, remedy)
    if kind == "multipart/form-data":
        form = await read_form(request, office)
        uploads, forward = form.uploads, forward or form.fields.get("forwarded", "").lower() in TRUE
    else:
        uploads = [await read_body(request, office, filename, pasted=pasted)]
    if not uploads:
        raise Problem(422, "Nothing in it", "The form holds no file.", "Send each message as a file field.")
    way = Way(BATCH if batch else "api", forward, batch, key)
    portions = intake.of(request).take(office, reporter, uploads, way)
    first = await anext(portions)  # what is in the way of all of it has an answer of its own
    if first.whole:
        return JSONResponse({"items": first.items}, 202)
    document = _document(first, portions, named=key is not None)
    return StreamingResponse(document, 202, media_type="application/json")


async def _document(first: Taken, portions: AsyncIterator[Taken], *, named: bool) -> AsyncIterator[bytes]:
    """Write `Items`, each on a line of its own once it is durable; what ended it early is its `problem`."""
    yield b'{"items":['
    comma = b""
    try:
        async for taken in chained(first, portions):
            yield comma + b",".join(b"\n" + _json(item) for item in taken.items)
            comma = b"," if taken.items else comma
    except Exception as error:  # noqa: BLE001 - whatever it is, the asker hears what is kept
        yield b'\n],"problem":' + _json(problems.midway(error, named=named)) + b"}\n"
    else:
        yield b"\n]}\n"


def _json(document: Json) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


@router.get("/complaints", response_model=ComplaintList)
def complaints(
    office: Opened,
    reporter: Asking,
    state: Annotated[ComplaintState | Literal[""], Query(description="Only those in this state.")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Annotated[str, Query(description="The last id of the page before.")] = "",
) -> Json:
    """Your complaints, newest first."""
    with office.db.reading() as session:
        wanted = ComplaintState(state) if state else None
        rows = show.complaint_page(session, reporter.id, state=wanted, limit=limit + 1, after=_id(after))
        lines = [show.complaint_line(row) for row in rows[:limit]]
    more = {"state": state, "limit": limit, "after": lines[-1]["id"]} if len(rows) > limit else None
    query = urlencode({name: value for name, value in more.items() if value}) if more else ""
    return {"items": lines, "next": f"{office.settings.url}{PREFIX}/complaints?{query}" if query else None}


@router.get("/complaints/{complaint_id}", response_model=ComplaintDocument, responses=documented(404))
def complaint(office: Opened, reporter: Asking, complaint_id: str) -> Json:
    """Everything about one complaint: its evidence, and each report with what became of it."""
    look(office, reporter, complaint_id)
    with office.db.reading() as session:
        return show.complaint_document(session, office, own(session, reporter, complaint_id))


@router.get("/complaints/{complaint_id}/raw", response_class=Response, responses=_MAIL | documented(404, 410))
def raw(office: Opened, reporter: Asking, complaint_id: str) -> Response:
    """The spam, byte for byte as it came."""
    with office.db.reading() as session:
        found = own(session, reporter, complaint_id)
        return kept_file(office.spam_of(session, found), found.id)


@router.get(
    "/complaints/{complaint_id}/reports/{report_id}",
    response_class=Response,
    responses=_MAIL | documented(404, 410),
)
def report(office: Opened, reporter: Asking, complaint_id: str, report_id: str) -> Response:
    """Exactly the bytes this desk gets; `digest` in the complaint's document is of these."""
    look(office, reporter, complaint_id)
    with office.db.reading() as session:
        found = own(session, reporter, complaint_id)
        row = session.get(Report, _id(report_id))
        if row is None or row.complaint_id != found.id:
            raise not_found()
        return kept_file(office.report_bytes(reporter, row), row.id, written=bool(row.digest))


@router.get("/complaints/{complaint_id}/reports/{report_id}/redaction", responses=documented(404))
def redaction(office: Opened, reporter: Asking, complaint_id: str, report_id: str) -> Json:
    """What redaction took out of the spam for this desk and put there instead; it holds what was hidden."""
    look(office, reporter, complaint_id)
    with office.db.reading() as session:
        found = own(session, reporter, complaint_id)
        row = session.get(Report, _id(report_id))
        if row is None or row.complaint_id != found.id:
            raise not_found()
        spam = office.spam_of(session, found)
        document = hiding.difference(office, reporter, found, row, spam)
        return document or hiding.NOTHING_HIDDEN | {"level": hiding.level_of(found)}


@router.get("/pseudonyms/{quoted}", responses=documented(404))
def whose(office: Opened, reporter: Asking, quoted: str) -> Json:
    """Which address or name of yours a desk means that quotes `redacted-...`, and which desks know it so."""
    with office.db.reading() as session:
        found = hiding.whose(session, office, reporter, quoted[:LONGEST_QUOTED])
    if not found:
        raise not_found()
    return {"items": [item | {"since": show.stamp(item["since"])} for item in found]}


@router.post("/complaints/{complaint_id}/confirm", **DECISION)
def confirm(
    office: Opened, reporter: Asking, complaint_id: str, confirmation: Confirmation, again: Again
) -> Json:
    """Consent to sending these reports; they leave after the undo window."""
    look(office, reporter, complaint_id)
    note = None if confirmation.note is None else intake.plain_note(confirmation.note)
    hide = None if confirmation.hide is None else intake.words_to_hide(confirmation.hide)
    choice = Choice(confirmation.reports, confirmation.redaction, note, hide)

    def confirm_it(session: Session, row: Complaint) -> None:
        consent.confirm(session, office, row, choice, via="api")

    return act(office, reporter, complaint_id, confirm_it, again)


@router.post("/complaints/{complaint_id}/discard", **DECISION)
def discard(office: Opened, reporter: Asking, complaint_id: str, again: Again) -> Json:
    """Send nothing."""
    return act(office, reporter, complaint_id, consent.discard, again)


@router.post("/complaints/{complaint_id}/undo", **DECISION)
def undo(office: Opened, reporter: Asking, complaint_id: str, again: Again) -> Json:
    """Take the consent back while nothing has left."""

    def take_back(session: Session, row: Complaint) -> None:
        consent.undo(session, office, row, via="api")

    return act(office, reporter, complaint_id, take_back, again)


@router.post("/complaints/{complaint_id}/refresh", **DECISION)
def refresh(office: Opened, reporter: Asking, complaint_id: str, again: Again) -> Json:
    """Trace and look up again; digests shown before are then stale."""
    return act(
        office, reporter, complaint_id, lambda session, row: consent.refresh(session, office, row), again
    )


@router.post("/complaints/{complaint_id}/mine", **DECISION)
def mine(office: Opened, reporter: Asking, complaint_id: str, hop: Hop, again: Again) -> Json:
    """The host that handed over at this believed line of the trace is yours: trust it, and trace again."""
    return act(
        office,
        reporter,
        complaint_id,
        lambda session, row: consent.mine(session, office, row, hop.hop),
        again,
    )


@router.post("/complaints/{complaint_id}/repairs", **DECISION)
def repairs(office: Opened, reporter: Asking, complaint_id: str, wish: Repair, again: Again) -> Json:
    """Take a repair of a pasted spam back, or do it again; the spam is then read anew."""
    return act(
        office,
        reporter,
        complaint_id,
        lambda session, row: consent.repair(session, office, row, wish.kind, revoked=wish.revoked),
        again,
    )


def look(office: Office, reporter: Reporter, complaint_id: str) -> None:
    """Have the reports of one's own complaint written, before they are shown. Raises Problem."""
    with office.db.reading() as session:
        found = own(session, reporter, complaint_id).id
    draft.written(office, found)


def act(office: Office, reporter: Reporter, complaint_id: str, decide: Act, again: Key | None) -> Json:
    """Do something to one's own complaint in one transaction and show it as it is then."""

    def decided(session: Session) -> Json:
        row = own(session, reporter, complaint_id)
        decide(session, row)
        session.flush()
        return show.complaint_document(session, office, row)

    try:
        with office.db.transaction() as session:
            return once.done(session, office, reporter, again, lambda: decided(session))
    except ReusedError as error:
        raise idempotency.reused(error) from error
    except StaleError as error:
        raise conflict(error, error.changes) from error
    except (EmptyError, CannotRedact) as error:
        remedy = "Correct it and confirm again; nothing was sent."
        raise Problem(422, "Not confirmed", str(error), remedy) from error
    except HostError as error:
        remedy = "Name a line that a host of yours wrote; nothing changed."
        raise Problem(422, "Not trusted", f"{error}.", remedy) from error
    except (ConsentError, OvertakenError) as error:
        raise conflict(error, []) from error


def conflict(error: Exception, changes: list[str]) -> Problem:
    """The refusal of what is no longer as it was shown."""
    remedy = "Show the complaint again and decide anew."
    return Problem(409, "Not as it was shown", str(error), remedy, changes=changes)


def own(session: Session, reporter: Reporter, complaint_id: str) -> Complaint:
    """A complaint of this reporter; another's is like one that does not exist. Raises Problem."""
    row = show.own_complaint(session, reporter.id, _id(complaint_id))
    if row is None:
        raise not_found()
    return row


def _id(text: str) -> str:
    """An id as a person typed it; one that cannot be an id names nothing (PostgreSQL takes no NUL)."""
    return text if text.isprintable() else ""
