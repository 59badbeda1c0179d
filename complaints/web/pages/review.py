"""The review page: shows one complaint and takes the reporter's decision on it.

The URL is the capability (no login, no cookie). GET shows; every decision is a POST of the one form on the
page. The form's nonce says what was shown, and consent is given to exactly that (promises 1, 2 and 8).
"""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Form
from pydantic import BaseModel
from sqlmodel import Session, select
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from complaints import consent, draft, ledger, policies
from complaints.consent import REDACTIONS, STATISTICS, Choice, ConsentError, StaleError
from complaints.db import OvertakenError
from complaints.models import Complaint, Report, Reporter
from complaints.office import Office, made_at
from complaints.own_hosts import HostError
from complaints.redact import CannotRedact
from complaints.web.intake import LONGEST_NOTE, LONGEST_WORDS, MOST_WORDS, plain_note, words_to_hide
from complaints.web.pages.review_view import Said, Trail, Typed, review_page, trail
from complaints.web.problems import (
    REMEDY_ENDED,
    FieldError,
    LinkEnded,
    kept_file,
    not_found,
    opened_by,
    own_page,
)
from complaints.web.security import Opened
from complaints.web.shown import changes_since, read_nonce

router = APIRouter()


class Decision(BaseModel):
    """The fields of the one form on the page; `do` is the button that was pressed."""

    do: str = ""
    nonce: str = ""
    report: list[str] = []
    read: str = ""
    redaction: str = ""
    note: str = ""
    hide: str = ""
    hop: str = ""
    repair: str = ""

    def typed(self, *, read: bool = False) -> Typed:
        """What is put back into the form; the tick for `read` only while nothing changed."""
        return Typed(tuple(self.report), self.redaction, plain_note(self.note), read, plain_note(self.hide))


class FieldsError(Exception):
    """The form is incomplete; nothing was done."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(error.what for error in errors))
        self.errors = errors


@router.get("/review/{token}")
@router.get("/batch/{batch}/review/{token}")
def review(office: Opened, token: str, batch: str = "") -> HTMLResponse:
    """Show the complaint; opened from a batch, with the way to those beside it."""
    _write(office, token)
    with office.db.reading() as session:
        complaint = _complaint(session, office, token)
        return review_page(session, office, complaint, way=_way(session, office, complaint, batch))


@router.post("/review/{token}")
@router.post("/batch/{batch}/review/{token}")
def decide(office: Opened, token: str, decision: Annotated[Decision, Form()], batch: str = "") -> Response:
    """Do what the pressed button says, or show the page again with what is in the way."""
    act = ACTS.get(decision.do, _no_button)

    def again(status: int, said: Said) -> HTMLResponse:
        """The page as things are now, with what was typed."""
        _write(office, token)
        with office.db.reading() as session:
            complaint = _complaint(session, office, token)
            return review_page(
                session, office, complaint, status, said, _way(session, office, complaint, batch)
            )

    try:
        with office.db.transaction() as session:
            complaint = _complaint(session, office, token, lock=True)
            _way(session, office, complaint, batch)
            act(session, office, complaint, decision)
    except FieldsError as error:
        return again(422, Said(decision.typed(read=bool(decision.read)), errors=error.errors))
    except CannotRedact as error:
        return again(422, Said(decision.typed(), errors=[FieldError("note", str(error))]))
    except (ConsentError, OvertakenError) as error:
        changes = error.changes if isinstance(error, StaleError) else [str(error)]
        stale = isinstance(error, StaleError | OvertakenError)
        return again(409, Said(decision.typed(), changes, stale=stale))
    if decision.do == "preview":
        return again(200, Said(decision.typed(), previewed=True))
    return RedirectResponse(f"/batch/{batch}/review/{token}" if batch else f"/review/{token}", 303)


def _way(session: Session, office: Office, complaint: Complaint, batch: str) -> Trail | None:
    """The way along a batch. Raises Problem (404) where its link is none, or none for this complaint."""
    if not batch:
        return None
    if own_page(session, office, "batch", batch).id != complaint.reporter_id:
        raise not_found()
    way = trail(session, office, complaint, batch)
    if way is None:
        raise not_found()
    return way


@router.get("/review/{token}/raw")
def raw(office: Opened, token: str) -> Response:
    """The spam as it came, to be saved."""
    with office.db.reading() as session:
        complaint = _complaint(session, office, token)
        return kept_file(office.spam_of(session, complaint), complaint.id)


@router.get("/review/{token}/receipt")
def receipt(office: Opened, token: str) -> Response:
    """The signed receipt of what was consented to or withdrawn here, to be saved."""
    with office.db.reading() as session:
        complaint = _complaint(session, office, token)
        reporter = session.get_one(Reporter, complaint.reporter_id)
        document = ledger.receipt(session, office, reporter, complaint.id)
    headers = {"Content-Disposition": f'attachment; filename="{complaint.id}-receipt.json"'}
    return JSONResponse(document, headers=headers)


@router.get("/review/{token}/reports/{report_id}")
def report(office: Opened, token: str, report_id: str) -> Response:
    """Exactly the bytes one desk gets, to be saved."""
    _write(office, token)
    with office.db.reading() as session:
        complaint = _complaint(session, office, token)
        row = next((row for row in _reports(session, complaint) if row.id == report_id), None)
        if row is None:
            raise not_found()
        reporter = session.get_one(Reporter, complaint.reporter_id)
        return kept_file(office.report_bytes(reporter, row), row.id, written=bool(row.digest))


def _confirm(session: Session, office: Office, complaint: Complaint, decision: Decision) -> None:
    digests = _shown(session, office, complaint, decision)
    errors = []
    if not decision.report and decision.redaction != STATISTICS:
        errors.append(FieldError("desks", "Choose at least one desk, or discard the complaint."))
    if not decision.read:
        errors.append(FieldError("read", "Tick that you have read what will be sent."))
    if errors:
        raise FieldsError(errors)
    choice = Choice({one: digests.get(one, "") for one in decision.report}, *_wish(decision))
    consent.confirm(session, office, complaint, choice, via="page")


def _preview(session: Session, office: Office, complaint: Complaint, decision: Decision) -> None:
    _shown(session, office, complaint, decision)
    consent.redraft(session, office, complaint, Choice({}, *_wish(decision)))


def _discard(session: Session, _office: Office, complaint: Complaint, _decision: Decision) -> None:
    consent.discard(session, complaint)


def _undo(session: Session, office: Office, complaint: Complaint, _decision: Decision) -> None:
    consent.undo(session, office, complaint, via="page")


def _withdraw(session: Session, office: Office, complaint: Complaint, _decision: Decision) -> None:
    consent.withdraw(session, office, complaint, via="page")


def _refresh(session: Session, office: Office, complaint: Complaint, _decision: Decision) -> None:
    consent.refresh(session, office, complaint)


def _mine(session: Session, office: Office, complaint: Complaint, decision: Decision) -> None:
    """The host that handed over at a hop is the reporter's own."""
    _shown(session, office, complaint, decision)
    if not decision.hop.isascii() or not decision.hop.isdecimal():
        raise FieldsError([FieldError("trace", "Say at which line of the trace the host stands.")])
    try:
        consent.mine(session, office, complaint, int(decision.hop[:6]))
    except HostError as error:
        raise FieldsError([FieldError("trace", f"Not trusted: {error}.")]) from error


def _take_back(session: Session, office: Office, complaint: Complaint, decision: Decision) -> None:
    """A repair of the pasted spam was wrong."""
    consent.repair(session, office, complaint, decision.repair, revoked=True)


def _do_again(session: Session, office: Office, complaint: Complaint, decision: Decision) -> None:
    consent.repair(session, office, complaint, decision.repair, revoked=False)


def _no_button(_session: Session, _office: Office, _complaint: Complaint, _decision: Decision) -> None:
    raise FieldsError([FieldError("buttons", "Use one of the buttons of this page.")])


ACTS: dict[str, Callable[[Session, Office, Complaint, Decision], None]] = {
    "confirm": _confirm,
    "preview": _preview,
    "discard": _discard,
    "undo": _undo,
    "withdraw": _withdraw,
    "refresh": _refresh,
    "mine": _mine,
    "take_back": _take_back,
    "do_again": _do_again,
}


def _wish(decision: Decision) -> tuple[str | None, str, tuple[str, ...]]:
    if decision.redaction and decision.redaction not in REDACTIONS:
        raise FieldsError(
            [FieldError("redaction", "Choose one of the ways to be named that the page offers.")]
        )
    note = plain_note(decision.note)
    if len(note) > LONGEST_NOTE:
        raise FieldsError([FieldError("note", f"Say it in at most {LONGEST_NOTE} characters.")])
    hide = words_to_hide(plain_note(decision.hide).splitlines())
    if len(hide) > MOST_WORDS or max(map(len, hide), default=0) > LONGEST_WORDS:
        raise FieldsError(
            [FieldError("hide", f"Name at most {MOST_WORDS}, of {LONGEST_WORDS} characters each.")]
        )
    return decision.redaction or None, note, hide


def _shown(session: Session, office: Office, complaint: Complaint, decision: Decision) -> dict[str, str]:
    """Report id → digest, as the page showed them. Raises StaleError when that is no longer so."""
    shown = read_nonce(office, complaint, decision.nonce)
    if shown is None:
        raise StaleError(complaint.id, ["This form is too old, or was not made for this complaint."])
    if found := changes_since(
        shown, complaint, _reports(session, complaint), policies.in_force(session, office)
    ):
        raise StaleError(complaint.id, found)
    return shown.digests


def _write(office: Office, token: str) -> None:
    """What is about to be shown has its bytes first."""
    complaint_id = opened_by(office, "review", token)
    with office.db.reading() as session:
        # Not the complaint itself: the evidence of a spam full of links is large, and is read once for a page
        reporter_id = session.exec(select(Complaint.reporter_id).where(Complaint.id == complaint_id)).first()
        if reporter_id is None:
            raise not_found()
        _check(session, token, reporter_id)
    draft.written(office, complaint_id)


def _complaint(session: Session, office: Office, token: str, *, lock: bool = False) -> Complaint:
    """The complaint this capability URL opens. `lock`: no other decision on it until the transaction ends."""
    complaint_id = opened_by(office, "review", token)
    complaint = session.get(Complaint, complaint_id, with_for_update=lock)
    if complaint is None:
        raise not_found()
    _check(session, token, complaint.reporter_id)
    return complaint


def _check(session: Session, token: str, reporter_id: str) -> None:
    """Raise LinkEnded where a link was made for a mailbox that the reporter has left."""
    moved_at = session.get_one(Reporter, reporter_id).moved_at
    if moved_at and made_at(token) <= moved_at:
        raise LinkEnded("", REMEDY_ENDED)  # it lies in a mailbox that is no longer theirs


def _reports(session: Session, complaint: Complaint) -> list[Report]:
    return list(session.exec(select(Report).where(Report.complaint_id == complaint.id)))
