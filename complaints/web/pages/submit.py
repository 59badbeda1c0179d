"""Handing in spam on a page: takes files or a pasted message with the secret submission address as the key.

The answer is a page of its own (a capability URL that lists the submissions), so that it can be reloaded
without handing anything in twice, and shows each spam's grade as soon as it was read. A mailbox that had to
be divided is answered with numbers, and with the page on which all of it is reviewed.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

from fastapi import APIRouter, Request
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from complaints import outcomes, reporters, tokens
from complaints.grades import GRADES
from complaints.mail_clients import anchor_of, clients
from complaints.models import UNDERWAY, Complaint, ComplaintState, Json, Reporter, Submission
from complaints.office import Office
from complaints.web import intake, problems
from complaints.web.intake import Taken, Way, chained
from complaints.web.page import page
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
        return await _many(office, reporter, first, portions)
    return RedirectResponse(f"/submitted/{_token(office, first.submission_ids)}", 303)


async def _many(
    office: Office, reporter: Reporter, first: Taken, portions: AsyncIterator[Taken]
) -> HTMLResponse:
    """Tell what became of a mailbox of any size: numbers, some that were not taken, and where to go on."""
    batch = next(iter(first.submission_ids), "")
    counts, refused = Counter[str](), list[Json]()
    problem: Json | None = None
    try:
        async for taken in chained(first, portions):
            batch = batch or next(iter(taken.submission_ids), "")
            counts.update(item["status"] for item in taken.items)
            refused += [item for item in taken.items if item["status"] == "refused"]
            del refused[MOST_TOLD:]
    except Exception as error:  # noqa: BLE001 - whatever it is, what is kept is told
        problem = problems.midway(error)
    url = office.batch_url(reporter, batch) if batch else ""
    return page("submitted_many.html", counts=counts, refused=refused, problem=problem, url=url)


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
