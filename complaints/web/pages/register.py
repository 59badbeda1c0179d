"""Registration: takes a mail address, then the mailed link and code; leaves a reporter, shows secrets once.

The first answer is the same whether or not an address is registered: it tells nobody who reports.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form
from sqlalchemy import func
from sqlmodel import Session, col, select
from starlette.responses import HTMLResponse

from complaints import choices, policies, reporters
from complaints.account_tables import Registration
from complaints.mail_clients import clients
from complaints.office import Office
from complaints.reporters import ReporterError
from complaints.web.page import page
from complaints.web.problems import FieldError, Problem
from complaints.web.security import Opened

router = APIRouter()
MOST_LETTERS = 3  # to one address while they are good: nobody's mailbox is flooded from here


@router.get("/register")
async def ask_form() -> HTMLResponse:
    """The form for an address."""
    return page("register.html", address="", errors=[])


@router.post("/register")
def ask(office: Opened, address: Annotated[str, Form()] = "") -> HTMLResponse:
    """Mail a link and a code to the address."""
    try:
        checked = reporters.checked_address(office, address.strip())
    except ReporterError as error:
        return page("register.html", 422, address=address, errors=[FieldError("address", str(error))])
    with office.db.transaction() as session:
        if _waiting(session, office, checked) < MOST_LETTERS:
            reporters.ask(session, office, checked)
    return page("register_sent.html", address=checked, minutes=reporters.LIFE_MINUTES)


@router.get("/register/{token}")
def complete_form(office: Opened, token: str) -> HTMLResponse:
    """The page behind the mailed link: it asks for the code and acts on nothing."""
    with office.db.reading() as session:
        _still_good(session, office, token)
        applies = policies.in_force(session, office)
    return _complete_form(applies)


@router.post("/register/{token}")
def complete(
    office: Opened,
    token: str,
    code: Annotated[str, Form()] = "",
    policy: Annotated[str, Form()] = "",
    adult: Annotated[str, Form()] = "",
    agreed: Annotated[list[str] | None, Form(alias="for")] = None,
) -> HTMLResponse:
    """Finish the registration; the page that answers is the only place the secrets are ever shown."""
    errors = []
    with office.db.reading() as session:
        applies = policies.in_force(session, office)
    ticked = [name for name in agreed or [] if name in choices.offered(applies)]
    if policy != applies:
        errors.append(
            FieldError("policy", "Tick that you accept the policy; else we may not report for you.")
        )
    if adult != "yes":
        errors.append(FieldError("adult", "Tick that you are old enough; Plaint is not for children."))
    if errors:
        return _complete_form(applies, errors, code, ticked)
    with office.db.transaction() as session:
        _still_good(session, office, token, lock=True)
        secrets = reporters.complete(session, office, token, code)
        if secrets:
            choices.declare_adult(session, office, secrets.reporter, via="page")
            # What a reporter who registers again does not tick stays as they chose before
            choices.choose(session, office, secrets.reporter, dict.fromkeys(ticked, True), via="page")
    if secrets is None:
        wrong = FieldError("code", "This is not the code in our mail; it has six digits.")
        return _complete_form(applies, [wrong], code, ticked)
    return page(
        "registered.html",
        secrets=secrets,
        url=office.settings.url,
        hosts=office.hosts_url(secrets.reporter),
        account=office.account_url(secrets.reporter),
        clients=clients(),
    )


def _complete_form(
    applies: str, errors: Sequence[FieldError] = (), code: str = "", ticked: Sequence[str] = ()
) -> HTMLResponse:
    return page(
        "register_complete.html",
        422 if errors else 200,
        code=code,
        policy=applies,
        errors=errors,
        purposes=choices.offered(applies),
        ticked=ticked,
    )


def _still_good(session: Session, office: Office, token: str, *, lock: bool = False) -> None:
    if reporters.asked(session, office, token, lock=lock) is None:
        raise Problem(
            404,
            "This link is no longer good",
            "It was used, or it is too old, or a wrong code was entered too often.",
            "Ask for a new one on the page Register.",
        )


def _waiting(session: Session, office: Office, address: str) -> int:
    query = select(func.count()).where(
        func.lower(Registration.address) == address.lower(), col(Registration.expires_at) > office.clock()
    )
    return session.exec(query).one()
