"""The page behind a link of ours that has ended: it has a new one mailed, to the registered address only."""

from datetime import timedelta

from fastapi import APIRouter
from sqlmodel import col, or_, select
from starlette.responses import HTMLResponse

from complaints import outbox
from complaints.models import Complaint, Letter, Reporter
from complaints.office import ended_link
from complaints.web.page import page
from complaints.web.problems import not_found
from complaints.web.security import Opened

router = APIRouter()
AGAIN = timedelta(hours=1)
"""So often at most a new link is mailed to one reporter."""


@router.post("/link/{token}")
def renew(office: Opened, token: str) -> HTMLResponse:
    """Mail a new review link for one that has ended; the answer tells nothing of whom it goes to."""
    complaint_id = ended_link(office, "review", token)
    if complaint_id is None:
        raise not_found()
    with office.db.transaction() as session:
        complaint = session.get(Complaint, complaint_id)
        if complaint is None:
            raise not_found()  # its reporter was erased
        reporter = session.get_one(Reporter, complaint.reporter_id)
        since = office.clock() - AGAIN
        recent = select(Letter.id).where(
            Letter.reporter_id == reporter.id,
            Letter.kind == "link",
            or_(col(Letter.next_at) > since, col(Letter.sent_at) > since),
        )
        if session.exec(recent).first() is None:
            values = {
                "subject": complaint.subject,
                "url": office.review_url(complaint.id),
                "until": office.clock() + office.link_life,
            }
            outbox.put_letter(session, office, "link", to=reporter.address, reporter=reporter, values=values)
    return page("link_sent.html")
