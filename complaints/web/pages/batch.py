"""The review of many complaints: shows them in groups, takes one decision for each group.

The URL is the capability (no login, no cookie), of one batch or of all that awaits consent. Each group is a
form of its own that carries the digest of what it shows; GET shows, POST decides (promises 1, 2 and 8). A
group that finds no room on a page is listed when it is opened, in parts: nothing unlisted is confirmed.
"""

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Form, Query
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, RedirectResponse, Response

from complaints import batches
from complaints.batches import Decided, Decision
from complaints.consent import REDACTIONS, STATISTICS, ConsentError, EmptyError, StaleError
from complaints.models import UNDERWAY, ComplaintState, Reporter
from complaints.office import Office
from complaints.policy import STATEMENT
from complaints.review_groups import BY, MOST_IN_PART
from complaints.web import words
from complaints.web.page import page
from complaints.web.problems import FieldError, own_page
from complaints.web.security import Opened

router = APIRouter()

DEFAULT = next(iter(BY))
MOST_DESKS = 5
"""Desks named of a group that is not listed."""


Skip = Annotated[int, Field(ge=0, le=2**31)]


class GroupForm(BaseModel):
    """The fields of a group's form; `do` is the button that was pressed."""

    do: str = ""
    key: str = ""
    shown: str = ""
    skip: Skip = 0
    to: list[str] = []
    listed: list[str] = []
    keep: list[str] = []
    read: str = ""
    redaction: str = ""


@dataclass(frozen=True)
class Said:
    """What the answer to a POST says on top of the page."""

    errors: tuple[FieldError, ...] = ()
    changes: tuple[str, ...] = ()
    decided: Decided | None = None
    did: str = ""


@dataclass(frozen=True)
class Place:
    """Where among the groups one is: a page of them, or in an opened group after the first `skip`."""

    by: str
    page: int = 1
    key: str | None = None
    skip: int = 0

    def query(self, **other: str | int | None) -> str:
        """`?by=...` of this place, or of one that differs in something."""
        at = {"by": self.by, "page": self.page, "key": self.key, "skip": self.skip} | other
        return "?" + urlencode({name: value for name, value in at.items() if value not in _USUAL[name]})


_USUAL = {"by": (), "page": (1,), "key": (None,), "skip": (0,)}


def _place(
    by: Annotated[str, Query(description=f"one of: {', '.join(BY)}")] = DEFAULT,
    page: Annotated[int, Query(ge=1, le=2**31, description="of the groups, from 1 on")] = 1,
    key: Annotated[
        str | None, Query(description="the group that is opened: its reports are written now")
    ] = None,
    skip: Annotated[Skip, Query(description="how many of the opened group come before what is shown")] = 0,
) -> Place:
    return Place(by if by in BY else DEFAULT, page, key, skip)


At = Annotated[Place, Depends(_place)]


@router.get("/batch/{token}")
def batch(office: Opened, token: str, at: At) -> HTMLResponse:
    """Show what awaits consent, in groups."""
    return _page(office, token, at)


@router.post("/batch/{token}")
def decide(office: Opened, token: str, form: Annotated[GroupForm, Form()], at: At) -> Response:
    """Do to a whole group what the pressed button says, or show the page again with what is in the way."""
    with office.db.reading() as session:
        reporter = own_page(session, office, "batch", token)
    label = _label(token)
    said, status = Said(), 200
    try:
        if form.do == "undo":
            said = Said(decided=batches.undo(office, reporter.id, label, "page"), did="taken back")
        else:
            decision = _decision(form, at.by)
            decided = batches.decide(office, reporter.id, label, decision, "page")
            said = Said(decided=decided, did="confirmed" if decision.confirm else "discarded")
    except FieldsError as error:
        said, status = Said(errors=tuple(error.errors)), 422
    except EmptyError:
        said, status = Said(errors=(FieldError("groups", NO_DESK),)), 422
    except ConsentError as error:
        changes = error.changes if isinstance(error, StaleError) else [str(error)]
        said, status = Said(changes=tuple(changes)), 409
    if said.decided and not said.decided.left:
        return RedirectResponse(f"/batch/{token}{at.query()}", 303)
    if form.key or form.shown:
        at = replace(at, key=form.key, skip=form.skip)
    return _page(office, token, at, said, status)


NO_DESK = "Choose at least one desk of the group, or discard it."


class FieldsError(Exception):
    """The form is incomplete; nothing was done."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(error.what for error in errors))
        self.errors = errors


def _decision(form: GroupForm, by: str) -> Decision:
    if form.do not in {"confirm", "discard"}:
        raise FieldsError(FieldError("groups", "Use one of the buttons of this page."))
    confirm = form.do == "confirm"
    if confirm and not form.read:
        raise FieldsError(FieldError("groups", "Tick that you have read what will be sent."))
    if confirm and not form.to and form.redaction != STATISTICS:
        raise FieldsError(FieldError("groups", NO_DESK))
    return Decision(
        by,
        form.key,
        form.shown,
        confirm,
        to=frozenset(form.to),
        without=set(form.listed) - set(form.keep),
        redaction=form.redaction or None,
        skip=form.skip,
    )


def _label(token: str) -> str:
    return token.partition(".")[0].partition("-")[2]


def _page(office: Office, token: str, at: Place, said: Said | None = None, status: int = 200) -> HTMLResponse:
    with office.db.reading() as session:
        reporter: Reporter = own_page(session, office, "batch", token)
    label, said = _label(token), said or Said()
    shown = batches.look(office, reporter.id, label, at.by, at.key, at.page, at.skip)
    with office.db.reading() as session:
        states = batches.states(session, reporter.id, label)
        undo = batches.undoable(session, office, reporter.id, label)
    return page(
        "batch.html",
        status,
        shown=shown,
        at=at,
        part=MOST_IN_PART,
        most_desks=MOST_DESKS,
        states={state: n for state, n in states.items() if state != ComplaintState.AWAITING_CONSENT},
        underway=sum(states.get(state, 0) for state in UNDERWAY),
        undo=undo,
        label=label,
        ways=BY,
        said=said,
        errors=said.errors,
        words=words.COMPLAINT,
        review=lambda complaint: f"/batch/{token}{urlsplit(office.review_url(complaint)).path}",
        statement=STATEMENT,
        redactions=REDACTIONS,
        undo_seconds=office.settings.undo_seconds,
    )
