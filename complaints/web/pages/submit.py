"""Handing in spam on a page: takes files or a pasted message with the secret submission address as the key.

The answer is a page of its own (a capability URL that lists the submissions), so that it can be reloaded
without handing anything in twice, and shows each spam's grade as soon as it was read. A mailbox that had to
be divided is answered while it is read: with how far that is, in the end with numbers, and with the page on
which all of it is reviewed. It is read to its end, whether that is waited for or not.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from complaints import outcomes, reporters, tokens
from complaints.grades import GRADES
from complaints.mail_clients import anchor_of, clients
from complaints.models import UNDERWAY, Complaint, ComplaintState, Json, Reporter, Submission
from complaints.office import Office
from complaints.web import intake, problems
from complaints.web.intake import Taken, Way, chained
from complaints.web.page import page, page_in_two, part
from complaints.web.pages.review_view import review_path
from complaints.web.problems import FieldError, not_found
from complaints.web.security import Opened
from complaints.web.uploads import MOST_FILES, Fields, read_form

router = APIRouter()
MOST_TOLD = 200
"""Of a mailbox of any size, those that could not be used and are told of one by one."""
NOT_OURS = (
    "This is not a submission address of ours. Yours stands on your account's page, to which our letters "
    "link; without one, register again to get a new one."
)


@router.get("/submit")
async def form(office: Opened) -> HTMLResponse:
    """The form."""
    return _form(office)


@router.post("/submit")
async def submit(request: Request, office: Opened) -> Response:
    """Take what was handed in; nothing is kept when anything of it is refused as a whole."""
    sent = await read_form(request, office, lambda fields: _reporter(office, fields) is not None)
    uploads = list(sent.uploads)
    if sent.fields.get("paste", "").strip():
        uploads.append(sent.pasted(sent.fields["paste"]))
    reporter = await run_in_threadpool(_reporter, office, sent.fields)
    if reporter is None:
        return _form(office, 422, [FieldError("address", NOT_OURS)], sent.fields)
    if not uploads:
        return _form(office, 422, [FieldError("files", "Choose a file, or paste a message.")], sent.fields)
    way = Way("page", forwarded=sent.fields.get("forwarded") == "yes")
    portions = intake.of(request).take(office, reporter, uploads, way)
    first = await anext(portions)
    if not first.whole:
        reading = _Reading()
        intake.of(request).go_on(reading.run(chained(first, portions)))
        return StreamingResponse(_told(office, reporter, reading), media_type="text/html")
    return RedirectResponse(f"/submitted/{_token(office, first.submission_ids)}", 303)


@dataclass
class _Reading:
    """How far the reading of a mailbox of any size has come."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[Json] = field(default_factory=list)
    """Some of those that could not be used."""
    batch: str = ""
    share: float = 0.0
    problem: Json | None = None
    ended: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, portions: AsyncIterator[Taken]) -> None:
        """Read all of it; what is in the way of that is told."""
        try:
            async for taken in portions:
                self.batch = self.batch or next(iter(taken.submission_ids), "")
                self.counts.update(item["status"] for item in taken.items)
                self.refused += [item for item in taken.items if item["status"] == "refused"]
                del self.refused[MOST_TOLD:]
                self.share = taken.share
                self.news.set()
        except Exception as error:  # noqa: BLE001 - whatever it is, what is kept is told
            self.problem = problems.midway(error, named=False)
        finally:
            self.ended = True
            self.news.set()


async def _told(office: Office, reporter: Reporter, reading: _Reading) -> AsyncIterator[str]:
    """The page of a mailbox, as it is read: a line for every hundredth of it, then what became of it."""
    before, after = page_in_two("submitted_many.html")
    yield before
    lines = 0
    while not reading.ended:
        await reading.news.wait()
        reading.news.clear()
        if (share := int(reading.share * 100)) > lines and not reading.ended:
            lines = share
            yield part("_so_far.html", spams=reading.counts.total(), share=share)
    url = office.batch_url(reporter, reading.batch) if reading.batch else ""
    yield part("_read_all.html", reading=reading, url=url)
    yield after


@router.get("/submitted/{token}")
def submitted(office: Opened, token: str) -> HTMLResponse:
    """What became of each spam that was handed in, as far as it was read."""
    names, _, given = token.partition(".")
    ids = names.split("-")
    if not tokens.same(given, office.vault.derive("submitted", names)):
        raise not_found()
    with office.db.reading() as session:
        items = [item for one in ids for item in _items(session, office, session.get(Submission, one))]
    underway = any(item["underway"] for item in items)
    return page("submitted.html", items=items, underway=underway, grades=GRADES)


def _reporter(office: Office, fields: Fields) -> Reporter | None:
    with office.db.reading() as session:
        return reporters.by_submission_address(session, office, fields.get("address", ""))


def _form(
    office: Office, status: int = 200, errors: Sequence[FieldError] = (), fields: dict[str, str] | None = None
) -> HTMLResponse:
    fields = fields or {}
    return page(
        "submit.html",
        status,
        errors=errors,
        address=fields.get("address", ""),
        paste=fields.get("paste", ""),
        forwarded=fields.get("forwarded") == "yes",
        settings=office.settings,
        most_files=MOST_FILES,
        clients=clients(),
    )


def _token(office: Office, ids: Sequence[str]) -> str:
    names = "-".join(ids)
    return f"{names}.{office.vault.derive('submitted', names)}"


def _items(session: Session, office: Office, submission: Submission | None) -> list[Json]:
    """The outcome of a submission, each line with what its complaint says of itself by now."""
    if submission is None:
        return []
    named = [line["complaint"] for line in submission.outcome if line["complaint"]]
    rows = {row.id: row for row in session.exec(select(Complaint).where(col(Complaint.id).in_(named)))}
    name = submission.filename or "pasted message"
    unsaid: Json = {"file": name, "reason": None, "remedy": None, "lost": None, "grade": None}
    unsaid |= {"help": None, "repairs": []}
    return [unsaid | line | _read(office, line, rows.get(line["complaint"])) for line in submission.outcome]


def _read(office: Office, line: Json, complaint: Complaint | None) -> Json:
    if complaint is None:
        help_of = anchor_of(line.get("remedy") or "")
        return {"underway": False, "url": None, "subject": "", "help": help_of}
    found = {
        "underway": complaint.state in UNDERWAY,
        "url": review_path(office, complaint.id),
        "grade": complaint.grade,
        "subject": complaint.subject,
        "state": complaint.state,
        "repairs": complaint.repairs,
        "mendable": complaint.state in {ComplaintState.AWAITING_CONSENT, ComplaintState.REFUSED},
    }
    if line["status"] == "duplicate":
        return found
    if complaint.state == ComplaintState.REFUSED:
        found["status"] = "refused"
    if outcome := outcomes.of_complaint(complaint):
        found |= {"reason": outcome.says, "remedy": outcome.remedy}
    return found
