"""The review of many complaints: shows them in groups, takes one decision for each group.

The URL is the capability (no login, no cookie), of one batch or of all that awaits consent. Each group is a
form of its own that carries the digest of what it shows; GET shows, POST decides (promises 1, 2 and 8).
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query
from pydantic import BaseModel
from sqlmodel import Session
from starlette.responses import HTMLResponse, RedirectResponse, Response

from complaints import batches
from complaints.batches import BY, Decided, Decision, Group
from complaints.consent import REDACTIONS, STATISTICS, ConsentError, EmptyError, StaleError
from complaints.models import UNDERWAY, ComplaintState, Reporter
from complaints.office import Office
from complaints.policy import STATEMENT
from complaints.web import words
from complaints.web.page import page
from complaints.web.problems import FieldError, own_page
from complaints.web.security import Opened

router = APIRouter()

MOST_GROUPS = 40
"""Groups on one page; the others come when these are decided."""
DEFAULT = next(iter(BY))


class GroupForm(BaseModel):
    """The fields of a group's form; `do` is the button that was pressed."""

    do: str = ""
    key: str = ""
    shown: str = ""
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


By = Annotated[str, Query(description=f"one of: {', '.join(BY)}")]
Key = Annotated[str | None, Query(description="the group that is opened: its reports are written now")]


@router.get("/batch/{token}")
def batch(office: Opened, token: str, by: By = DEFAULT, key: Key = None) -> HTMLResponse:
    """Show what awaits consent, in groups."""
    return _page(office, token, by, key)


@router.post("/batch/{token}")
def decide(office: Opened, token: str, form: Annotated[GroupForm, Form()], by: By = DEFAULT) -> Response:
    """Do to a whole group what the pressed button says, or show the page again with what is in the way."""
    with office.db.reading() as session:
        reporter = own_page(session, office, "batch", token)
    label = _label(token)
    said, status = Said(), 200
    try:
        if form.do == "undo":
            said = Said(decided=batches.undo(office, reporter.id, label, "page"), did="taken back")
        else:
            decision = _decision(form, by)
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
        return RedirectResponse(f"/batch/{token}" + (f"?by={by}" if by != DEFAULT else ""), 303)
    return _page(office, token, by, form.key, said, status)


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
        by if by in BY else DEFAULT,
        form.key,
        form.shown,
        confirm,
        to=frozenset(form.to),
        without=set(form.listed) - set(form.keep),
        redaction=form.redaction or None,
    )


def _label(token: str) -> str:
    return token.partition(".")[0].partition("-")[2]


def _page(
    office: Office, token: str, by: str, key: str | None, said: Said | None = None, status: int = 200
) -> HTMLResponse:
    with office.db.reading() as session:
        reporter: Reporter = own_page(session, office, "batch", token)
    label, by = _label(token), by if by in BY else DEFAULT
    found = batches.look(office, reporter.id, label, by, key)
    found.sort(key=lambda group: group.key != key)
    with office.db.reading() as session:
        return _shown(session, office, reporter, label, by, found, said, status)


def _shown(
    session: Session,
    office: Office,
    reporter: Reporter,
    label: str,
    by: str,
    found: list[Group],
    said: Said | None,
    status: int,
) -> HTMLResponse:
    states = batches.states(session, reporter.id, label)
    return page(
        "batch.html",
        status,
        groups=found[:MOST_GROUPS],
        more=len(found) - MOST_GROUPS,
        waiting=sum(len(group.members) + group.beyond for group in found),
        states={state: n for state, n in states.items() if state != ComplaintState.AWAITING_CONSENT},
        underway=sum(states.get(state, 0) for state in UNDERWAY),
        undo=batches.undoable(session, office, reporter.id, label),
        label=label,
        by=by,
        ways=BY,
        said=said or Said(),
        errors=said.errors if said else (),
        words=words.COMPLAINT,
        review=lambda complaint: urlsplit(office.review_url(complaint)).path,
        statement=STATEMENT,
        redactions=REDACTIONS,
        undo_seconds=office.settings.undo_seconds,
    )
