"""The part of the API about a reporter's submission address: its card, a new one, a test of forwarding."""

from fastapi import APIRouter

from complaints import account, probes, submission_address
from complaints.models import Json, Reporter
from complaints.probes import ProbeError
from complaints.submission_address import TooManyError
from complaints.web.api import PREFIX
from complaints.web.problems import ANYWHERE, Problem, documented
from complaints.web.security import Asking, Opened
from complaints.web.shapes import CardDocument

router = APIRouter(prefix=PREFIX, responses=ANYWHERE)


@router.get("/account/card", response_model=CardDocument)
def card(office: Opened, reporter: Asking) -> Json:
    """Your submission address, as a contact (vCard 4.0) and as a QR code; what came of your last tests."""
    with office.db.reading() as session:
        return account.card(session, office, session.get_one(Reporter, reporter.id))


@router.post("/account/card/new", response_model=CardDocument, responses=documented(429))
def renew(office: Opened, reporter: Asking) -> Json:
    """Have a new submission address; the one until now works for 30 days more."""
    try:
        with office.db.transaction() as session:
            row = session.get_one(Reporter, reporter.id)
            submission_address.renew(session, office, row)
            return account.card(session, office, row)
    except TooManyError as error:
        raise Problem(429, "Not now", f"{error}.", "Use one of those you have.") from error


@router.post("/account/test", status_code=202, response_model=CardDocument, responses=documented(429))
def test(office: Opened, reporter: Asking) -> Json:
    """Have a test mailed to your registered address; forward it, and we tell what your mail program loses."""
    try:
        with office.db.transaction() as session:
            row = session.get_one(Reporter, reporter.id)
            probes.ask(session, office, row)
            session.flush()
            return account.card(session, office, row)
    except ProbeError as error:
        raise Problem(429, "Not now", f"{error}.", "Forward the last one.") from error
