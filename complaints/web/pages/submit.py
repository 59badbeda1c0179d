"""Handing in spam on a page: takes files or a pasted message with the secret submission address as the key.

The answer is a page of its own (a capability URL that lists the submissions), so that it can be reloaded
without handing anything in twice, and shows each spam's grade as soon as it was read.
"""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from complaints import outcomes, reporters, tokens
from complaints.grades import GRADES
from complaints.mail_clients import anchor_of, clients
from complaints.models import Complaint, ComplaintState, Json, Reporter, Submission
from complaints.notice import UNDERWAY
from complaints.office import Office
from complaints.web import intake
from complaints.web.page import page
from complaints.web.pages.review_view import review_path
from complaints.web.problems import FieldError, not_found
from complaints.web.security import Opened

router = APIRouter()
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
    sent = await intake.read_form(request, office)
    uploads = list(sent.uploads)
    if sent.fields.get("paste", "").strip():
        uploads.append(intake.pasted(sent.fields["paste"]))
    reporter = await run_in_threadpool(_reporter, office, sent.fields.get("address", ""))
    if reporter is None:
        return _form(office, 422, [FieldError("address", NOT_OURS)], sent.fields)
    if not uploads:
        return _form(office, 422, [FieldError("files", "Choose a file, or paste a message.")], sent.fields)
    forwarded = sent.fields.get("forwarded") == "yes"
    taken = await intake.take(office, reporter, uploads, via="page", forwarded=forwarded)
    return RedirectResponse(f"/submitted/{_token(office, taken.submission_ids)}", 303)


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


def _reporter(office: Office, address: str) -> Reporter | None:
    with office.db.reading() as session:
        return reporters.by_submission_address(session, office, address)


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
        most_files=intake.MOST_FILES,
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
