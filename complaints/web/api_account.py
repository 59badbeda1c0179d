"""The part of the API about a reporter's account: what is kept, corrections, choices, a copy, leaving.

A token alone shows and corrects; what tells everything or cannot be undone takes a freshly mailed code.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session
from starlette.responses import Response

from complaints import account, choices, erasure, policies
from complaints.account import AccountError, CodeError, WaitError
from complaints.choices import ChoiceError
from complaints.models import Json, Reporter
from complaints.office import Office
from complaints.policies import PolicyError
from complaints.web.api import PREFIX
from complaints.web.pages.account import archive
from complaints.web.problems import ANYWHERE, Problem, documented
from complaints.web.security import Asking, Opened

router = APIRouter(prefix=PREFIX, responses=ANYWHERE)
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A ZIP file",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_CODED = documented(403, 429)


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Names(_Wish):
    """Names to be hidden in reports."""

    names: list[str] = Field(max_length=account.MOST_NAMES)


class CodeWish(_Wish):
    """What a code is wanted for."""

    wish: Literal["export", "erase", "address", "alias"] = Field(alias="for")
    address: str = Field("", max_length=320, description="the new address, or the alias")


class Code(_Wish):
    """The code that was mailed; blanks in it do not matter."""

    code: str = Field(max_length=40)


class TwoCodes(Code):
    """The code mailed to the registered address, and the one mailed to the new address."""

    second: str = Field(max_length=40)


class Leave(Code):
    """The code, and that it is meant."""

    sure: Literal["yes"]


class Alias(_Wish):
    """Another address of the reporter's."""

    address: str = Field(max_length=320)


class PolicyAnswer(_Wish):
    """The version that `GET /account/policy` asks about, and whether you agree to it."""

    version: str = Field(max_length=8)
    agree: bool


class PolicyDocument(BaseModel):
    """What applies, what you accepted, and what is asked."""

    model_config = ConfigDict(extra="allow")
    in_force: str
    accepted: str | None
    asked: dict[str, Any] | None = Field(
        description="version, since, changes in words, difference as a diff, url; null when nothing is asked"
    )


class AccountDocument(BaseModel):
    """What is kept of a reporter, where it went, who read it."""

    model_config = ConfigDict(extra="allow")
    id: str
    address: str
    names: list[str]
    aliases: list[str]
    kept: dict[str, int] = Field(description="how many rows of what")
    retention: dict[str, str] = Field(description="how long what is kept")
    preferences: list[dict[str, Any]] = Field(description="purpose, chosen, words, without")
    desks: list[dict[str, Any]] = Field(description="every desk that got something, and what it got when")
    readings: list[dict[str, Any]] = Field(description="who of those that run the service read what, and why")
    disclosures: list[dict[str, Any]] = Field(description="what authorities got: at, authority, law, what")
    url: str = Field(description="the page of your account; who has it can read it")


class CodeDocument(BaseModel):
    """Codes on their way."""

    model_config = ConfigDict(extra="allow")
    wish: str = Field(alias="for")
    mailed_to: list[str]
    expires_at: str


@router.get("/account", response_model=AccountDocument)
def show(office: Opened, reporter: Asking) -> Json:
    """What is kept of you, every desk that got something and what, and who read it here."""
    with office.db.reading() as session:
        return account.document(session, office, session.get_one(Reporter, reporter.id))


@router.post("/account/names", response_model=AccountDocument)
def names(office: Opened, reporter: Asking, wish: Names) -> Json:
    """Correct the names that are hidden in reports made from now on."""
    return _changed(office, reporter, lambda session, row: account.rename(session, row, wish.names))


@router.post("/account/preferences", response_model=AccountDocument)
def preferences(office: Opened, reporter: Asking, wish: dict[str, bool]) -> Json:
    """Say yes or no to uses of your data; what you do not name stays as it is."""
    return _changed(
        office, reporter, lambda session, row: choices.choose(session, office, row, wish, via="api")
    )


@router.get("/account/policy", response_model=PolicyDocument)
def policy(office: Opened, reporter: Asking) -> Json:
    """Which privacy policy applies, which you accepted, and what a new one changes."""
    with office.db.reading() as session:
        return policies.document(session, office, session.get_one(Reporter, reporter.id))


@router.post("/account/policy", response_model=AccountDocument)
def answer(office: Opened, reporter: Asking, wish: PolicyAnswer) -> Json:
    """Agree to a new version, or not. Without it nothing new is sent once it applies; leaving is `erase`."""
    return _changed(
        office,
        reporter,
        lambda session, row: policies.answer(session, office, row, wish.version, agree=wish.agree, via="api"),
    )


@router.post("/account/codes", status_code=202, response_model=CodeDocument, responses=documented(429))
def codes(office: Opened, reporter: Asking, wish: CodeWish) -> Json:
    """Have the code mailed that a copy, leaving, a new address or an alias takes; good for 15 minutes."""
    try:
        about = wish.wish in {"address", "alias"}
        value = account.checked(office, wish.address) if about else ""
        with office.db.transaction() as session:
            row = session.get_one(Reporter, reporter.id)
            return account.asked_document(account.ask(session, office, row, wish.wish, value), row)
    except AccountError as error:
        raise _refused(error) from error


@router.post("/account/aliases", response_model=AccountDocument, responses=_CODED)
def add_alias(office: Opened, reporter: Asking, wish: Code) -> Json:
    """Add the address to which this code was mailed."""
    _coded(office, reporter, lambda session, row: account.add_alias(session, office, row, wish.code))
    return show(office, reporter)


@router.post("/account/aliases/remove", response_model=AccountDocument)
def remove_alias(office: Opened, reporter: Asking, wish: Alias) -> Json:
    """Forget another address of yours."""
    return _changed(office, reporter, lambda session, row: account.remove_alias(session, row, wish.address))


@router.post("/account/address", response_model=AccountDocument, responses=_CODED)
def address(office: Opened, reporter: Asking, wish: TwoCodes) -> Json:
    """Be registered under the new address from now on; the old one stays among the aliases.

    Links made until now and this token end at that moment; `token` in the answer is the new one.
    """
    token = _coded(
        office, reporter, lambda session, row: account.move(session, office, row, wish.code, wish.second)
    )
    return show(office, reporter) | {"token": token}


@router.post("/account/export", response_class=Response, responses=_ZIP | _CODED)
def export(office: Opened, reporter: Asking, wish: Code) -> Response:
    """Everything that is kept of you, as one ZIP file."""
    _coded(office, reporter, lambda session, row: account.may_export(session, office, row, wish.code))
    return archive(office, reporter)


@router.post("/account/erase", responses=_CODED)
def erase(office: Opened, reporter: Asking, wish: Leave) -> Json:
    """Remove you and everything of yours, for good. What desks got stays with them."""
    _coded(office, reporter, lambda session, row: account.erase(session, office, row, wish.code))
    erasure.sweep(office)
    return {"erased": True}


def _changed(office: Office, reporter: Reporter, change: Callable[[Session, Reporter], object]) -> Json:
    """Change one's own account in one transaction; the document after it."""
    try:
        with office.db.transaction() as session:
            row = session.get_one(Reporter, reporter.id)
            change(session, row)
            session.flush()
            return account.document(session, office, row)
    except (AccountError, ChoiceError, PolicyError) as error:
        raise _refused(error) from error


T = TypeVar("T", bool, str)


def _coded(office: Office, reporter: Reporter, act: Callable[[Session, Reporter], T]) -> T:
    """Do what takes a code; a wrong one is committed as a try."""
    try:
        with office.db.transaction() as session:
            done = act(session, session.get_one(Reporter, reporter.id))
        if not done:
            raise CodeError(account.WRONG_CODE)
    except AccountError as error:
        raise _refused(error) from error
    return done


def _refused(error: Exception) -> Problem:
    if isinstance(error, CodeError):
        remedy = "POST /api/v1/account/codes has a new one mailed; nothing was done."
        return Problem(403, "The code does not fit", f"{error}.", remedy)
    if isinstance(error, WaitError):
        return Problem(429, "Not now", f"{error}.", "Wait as long as that says; nothing was done.")
    return Problem(422, "Not done", f"{error}.", "Correct it and send it again.")
