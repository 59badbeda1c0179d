"""What a reporter lets us use their data for besides the complaints: purposes, and yes or no to each.

Takes a choice from the page, a mail program's one-click request or the API; leaves a row with its time and
way. What nobody chose is as `Purpose.by_itself` says; what their version of the policy does not name is no.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from complaints import outbox, policies
from complaints.account_tables import Choice
from complaints.models import Complaint, Json, Report, Reporter, ReportState
from complaints.office import Office
from complaints.policy import terms

ADULT = "adult"
"""Declared once, at registration: old enough to decide about one's own data."""
DIGEST_WAIT = timedelta(days=1)


class ChoiceError(Exception):
    """There is no such purpose for this reporter; the message says which there are."""


@dataclass(frozen=True)
class Purpose:
    """A use of data that a reporter may refuse: what it is, what one misses without it, what holds first."""

    words: str
    without: str
    by_itself: bool


PURPOSES = {
    "news": Purpose(
        "Mail me news about Plaint, a few times a year.",
        "Without it you get no news. Under another privacy policy nothing is sent before you accepted it.",
        by_itself=False,
    ),
    "digests": Purpose(
        "Collect the letters about what awaits my consent into one a day.",
        "Without it you get a letter for each time you hand something in.",
        by_itself=False,
    ),
    "quiet": Purpose(
        "Write to me about what I hand in only if something of it was refused or needs a second look.",
        "Without it every mail of spam is acknowledged. With it, what waits for you is told once more before "
        "it expires.",
        by_itself=False,
    ),
    "statistics": Purpose(
        "Count my complaints in the public statistics: only as numbers, never with a word of them.",
        "Without it nothing is different for you.",
        by_itself=False,
    ),
}


def offered(version: str) -> dict[str, Purpose]:
    """The purposes that a version of the privacy policy names."""
    return {name: purpose for name, purpose in PURPOSES.items() if name in terms(version).uses}


def chosen(session: Session, reporter: Reporter) -> dict[str, bool]:
    """Each purpose and whether the reporter agrees to it."""
    rows = session.exec(select(Choice).where(Choice.reporter_id == reporter.id))
    said = {row.purpose: row.chosen for row in rows}
    named = policies.uses(reporter)
    return {name: said.get(name, purpose.by_itself) and name in named for name, purpose in PURPOSES.items()}


def choose(session: Session, office: Office, reporter: Reporter, said: Mapping[str, bool], via: str) -> None:
    """Keep what a reporter chose; what is as before keeps its time. Raises ChoiceError."""
    if unknown := set(said) - set(PURPOSES):
        raise ChoiceError(f"{', '.join(sorted(unknown))}: there are {', '.join(PURPOSES)}")
    wanted = {name for name, yes in said.items() if yes}
    if later := wanted - policies.uses(reporter):
        raise ChoiceError(
            f"the version of the privacy policy that you agreed to does not name {', '.join(sorted(later))}: "
            "agree to the newer one first"
        )
    now = chosen(session, reporter)
    for name, yes in said.items():
        if now[name] != yes:
            _keep(session, office, reporter, name, yes=yes, via=via)


def declare_adult(session: Session, office: Office, reporter: Reporter, via: str) -> None:
    """Keep that a reporter declared to be old enough."""
    _keep(session, office, reporter, ADULT, yes=True, via=via)


def _keep(session: Session, office: Office, reporter: Reporter, purpose: str, *, yes: bool, via: str) -> None:
    session.merge(Choice(reporter_id=reporter.id, purpose=purpose, chosen=yes, at=office.clock(), via=via))
    session.flush()


def document(session: Session, reporter: Reporter) -> list[Json]:
    """[{"purpose", "chosen", "words", "without"}] of every purpose that their version of the policy names."""
    named = policies.uses(reporter)
    return [
        {"purpose": name, "chosen": yes, "words": PURPOSES[name].words, "without": PURPOSES[name].without}
        for name, yes in chosen(session, reporter).items()
        if name in named
    ]


def kept(session: Session, reporter: Reporter) -> list[Choice]:
    """Every choice and declaration that was made, for the export."""
    return list(session.exec(select(Choice).where(Choice.reporter_id == reporter.id)))


def willing(purpose: str) -> Any:
    """The ids of the verified reporters who agree to a purpose, as a subquery."""
    yes = select(Choice.reporter_id).where(Choice.purpose == purpose, col(Choice.chosen).is_(True))
    return select(Reporter.id).where(
        col(Reporter.verified_at).is_not(None),
        col(Reporter.id).in_(yes),
        col(Reporter.policy).in_(policies.naming(purpose)),
    )


def statistics(session: Session) -> Json:
    """{"reporters", "complaints", "reports_sent"}: counts over those who agree to be counted."""
    counted = col(Complaint.reporter_id).in_(willing("statistics"))
    complaints = session.exec(select(func.count()).select_from(Complaint).where(counted)).one()
    sent = (
        select(func.count())
        .select_from(Report)
        .join(Complaint, col(Complaint.id) == col(Report.complaint_id))
    )
    gone = col(Report.state).in_([ReportState.SENT, ReportState.BOUNCED])
    reporters = select(func.count()).select_from(Reporter).where(col(Reporter.id).in_(willing("statistics")))
    return {
        "reporters": session.exec(reporters).one(),
        "complaints": complaints,
        "reports_sent": session.exec(sent.where(counted, gone)).one(),
    }


def send_news(session: Session, office: Office, subject: str, text: str) -> int:
    """Mail news to everybody who agreed to get any, each with a one-click way out; returns how many."""
    readers = session.exec(select(Reporter).where(col(Reporter.id).in_(willing("news")))).all()
    for reporter in readers:
        url = office.unsubscribe_url(reporter, "news")
        values = {"subject": subject, "text": text, "url": url}
        outbox.put_letter(
            session, office, "news", to=reporter.address, reporter=reporter, values=values, unsubscribe=url
        )
    return len(readers)
