"""What a reporter is told of those who run the service: who read what they handed in, what authorities got.

Takes a reason before anything is shown; leaves rows that the account page and the export show.
"""

import getpass
from collections import Counter
from datetime import datetime

from sqlmodel import Session, col, or_, select

from complaints import tokens
from complaints.account_tables import Disclosure, Reading
from complaints.dates import rfc3339
from complaints.models import Json, Reporter
from complaints.office import Office

SHORTEST_REASON = 10
EXPORTED = "plaint reporters export: a copy of everything, to be handed to you"
IN_YOUR_NAME = "with the command line on the data directory, in your name"
LISTED = f"a list with the subjects only, {IN_YOUR_NAME}"
RECEIPT = f"your receipt, with your words to desks, {IN_YOUR_NAME}"
WHOSE = f"which name or address of yours a desk means, {IN_YOUR_NAME}"


class ReasonError(Exception):
    """What must be said for the record is missing; the message says what."""


def me() -> str:
    """Who works at this machine, as its system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id
        return "an operator"


def read_in_your_name(
    session: Session, office: Office, reporter_id: str, complaint_id: str, reason: str = IN_YOUR_NAME
) -> None:
    """As `read_evidence`, for the verbs of a reporter on a data directory: whoever can open it may use them.

    Once a day for each complaint, reason and reader: the reporter may be the one who sits there.
    """
    today = office.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    known = select(Reading.id).where(
        Reading.reporter_id == reporter_id,
        Reading.complaint_id == complaint_id,
        Reading.by == me(),
        Reading.reason == reason,
        col(Reading.at) >= today,
    )
    if session.exec(known).first() is None:
        read_evidence(session, office, reporter_id, complaint_id, by=me(), reason=reason)


def list_in_your_name(office: Office, reporter_id: str, reason: str = LISTED) -> None:
    """The same before something of all complaints is shown: LISTED, RECEIPT or WHOSE."""
    with office.db.transaction() as session:
        read_in_your_name(session, office, reporter_id, "", reason)


def read_evidence(
    session: Session, office: Office, reporter_id: str, complaint_id: str, *, by: str, reason: str
) -> None:
    """Keep that somebody reads what a reporter handed in. Commit this before anything is shown.

    Raises ReasonError for a reason that says nothing.
    """
    if len(reason.strip()) < SHORTEST_REASON:
        raise ReasonError("say why, in a few words: the reporter reads it")
    row = Reading(
        id=tokens.random_letters(tokens.ID_LETTERS),
        reporter_id=reporter_id,
        complaint_id=complaint_id,
        at=office.clock(),
        by=by,
        reason=reason.strip(),
    )
    session.add(row)


def readings(session: Session, reporter: Reporter) -> list[Json]:
    """[{"at", "by", "complaint", "reason"}], newest first; `complaint` is "" when it was everything."""
    rows = session.exec(
        select(Reading).where(Reading.reporter_id == reporter.id).order_by(col(Reading.at).desc())
    )
    return [
        {"at": rfc3339(row.at), "by": row.by, "complaint": row.complaint_id, "reason": row.reason}
        for row in rows
    ]


def disclose(
    session: Session,
    office: Office,
    reporter: Reporter | None,
    *,
    authority: str,
    law: str,
    what: str,
    at: datetime,
    forbidden_until: datetime | None = None,
) -> Disclosure:
    """Put a disclosure on record. Raises ReasonError when authority, law or what was given is not said."""
    missing = [
        word for word, said in (("authority", authority), ("law", law), ("what", what)) if not said.strip()
    ]
    if missing:
        raise ReasonError(f"say {', '.join(missing)}: nothing is disclosed without")
    row = Disclosure(
        id=tokens.random_letters(tokens.ID_LETTERS),
        reporter_id=reporter.id if reporter else None,
        authority=authority.strip(),
        law=law.strip(),
        what=what.strip(),
        at=at,
        forbidden_until=forbidden_until,
        entered_at=office.clock(),
    )
    session.add(row)
    return row


def disclosures(session: Session, office: Office, reporter: Reporter) -> list[Json]:
    """[{"at", "authority", "law", "what"}], newest first, without those the law still forbids to tell of."""
    rows = session.exec(
        select(Disclosure)
        .where(
            Disclosure.reporter_id == reporter.id,
            or_(col(Disclosure.forbidden_until).is_(None), col(Disclosure.forbidden_until) <= office.clock()),
        )
        .order_by(col(Disclosure.at).desc())
    )
    return [disclosure_document(row) for row in rows]


def disclosure_document(row: Disclosure) -> Json:
    """A disclosure as its reporter may know it."""
    return {"at": rfc3339(row.at), "authority": row.authority, "law": row.law, "what": row.what}


def disclosures_by_year(session: Session) -> dict[int, int]:
    """Year → how many disclosures there were, for everybody: those that are secret and of erased ones too."""
    return dict(sorted(Counter(at.year for at in session.exec(select(Disclosure.at))).items()))
