"""A reporter's complaints, newest first and searched: takes what to look for, leaves a page. Reads only.

What is looked for stands in the tables in clear: subject, source, desks, time and state. Nothing is put there
to be found, and what is sealed (the spam, the reports) is not searched. A search looks through so many
complaints at a time and says how far it came, so that none takes long however much was handed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from sqlalchemy import Row, tuple_
from sqlmodel import Session, col, select

from complaints.models import Complaint, ComplaintState, Report, ReportState

ON_A_PAGE = 50
LOOKED_THROUGH = 10_000
"""Complaints that one page of a search looks through at most, some tenths of a second."""
_AT_ONCE = 500
_COLUMNS: tuple[Any, ...] = (
    Complaint.id,
    Complaint.received_at,
    Complaint.state,
    Complaint.subject,
    Complaint.source_ip,
)


class SearchError(ValueError):
    """What is looked for is not of its kind; `field` says which, the message how it is written."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Search:
    """What to look for; what is empty does not count.

    `words`: each stands in the subject, whatever the case, or one is the complaint's id. `source`: an address
    or network. `desk`: part of a desk's address. From `since` on and before `until`, both aware.
    """

    words: str = ""
    source: IPv4Network | IPv6Network | None = None
    desk: str = ""
    since: datetime | None = None
    until: datetime | None = None
    state: ComplaintState | None = None


@dataclass(frozen=True)
class Desk:
    """A desk of a complaint, and what became of its report; for one that left, the report's id."""

    to: str
    state: ReportState
    report: str


@dataclass(frozen=True)
class Line:
    """A complaint in the list. Of its desks those that are proposed, or got something."""

    id: str
    received_at: datetime
    state: ComplaintState
    subject: str
    source_ip: str | None
    desks: Sequence[Desk]


@dataclass(frozen=True)
class Page:
    """Lines; `after` is the id from which the list goes on, None at its end.

    `unfinished`: how many were looked through where the search stopped before the page was full; `back_to`,
    the time of the last of them.
    """

    lines: Sequence[Line]
    after: str | None = None
    unfinished: int = 0
    back_to: datetime | None = None


def network(text: str) -> IPv4Network | IPv6Network | None:
    """The address or network that somebody typed; None for nothing. Raises SearchError."""
    if not (wanted := text.strip().strip("[]")):
        return None
    try:
        return ip_network(wanted, strict=False)
    except ValueError:
        said = "Write an address or a network, like 203.0.113.9 or 203.0.113.0/24."
        raise SearchError("source", said) from None


def find(session: Session, reporter_id: str, search: Search, after: str | None = None) -> Page:
    """A page of what is found; `after` is what the page before said (another's is like none)."""
    query = _candidates(reporter_id, search)
    place = _place(session, reporter_id, after) if after else None
    found: list[Line] = []
    looked, ask = 0, session.connection().execute
    at_once = _AT_ONCE if search.words or search.source or search.desk else ON_A_PAGE + 1
    while looked < LOOKED_THROUGH:
        onward = query.where(tuple_(*_ORDER) < place) if place else query
        rows = ask(onward.limit(at_once)).all()
        fitting = [row for row in rows if _fits(row, search)]
        if not search.desk:
            fitting = fitting[: ON_A_PAGE + 1 - len(found)]
        desks = _desks(session, [row.id for row in fitting])
        for row in fitting:
            said = desks.get(row.id, ())
            if search.desk and not any(search.desk.casefold() in one.to.casefold() for one in said):
                continue
            if len(found) == ON_A_PAGE:
                return Page(found, found[-1].id)
            state = ComplaintState(row.state)
            found.append(Line(row.id, row.received_at, state, row.subject, row.source_ip, said))
        looked += len(rows)
        if len(rows) < at_once:
            return Page(found)
        place = (rows[-1].received_at, rows[-1].id)
    return Page(found, rows[-1].id, looked, rows[-1].received_at)


_ORDER: tuple[Any, ...] = (col(Complaint.received_at), col(Complaint.id))


def _candidates(reporter_id: str, search: Search) -> Any:
    """By what an index has: reporter, state and time."""
    query: Any = select(*_COLUMNS).where(Complaint.reporter_id == reporter_id)
    if search.state:
        query = query.where(Complaint.state == search.state)
    if search.since:
        query = query.where(Complaint.received_at >= search.since)
    if search.until:
        query = query.where(Complaint.received_at < search.until)
    return query.order_by(*(one.desc() for one in _ORDER))


def _place(session: Session, reporter_id: str, after: str) -> tuple[datetime, str] | None:
    own: Any = select(*_ORDER).where(Complaint.id == after, Complaint.reporter_id == reporter_id)
    found = session.connection().execute(own).first()
    return (found[0], found[1]) if found else None


def _fits(row: Row[Any], search: Search) -> bool:
    if search.source:
        if not row.source_ip:
            return False
        address = ip_address(row.source_ip)
        if address.version != search.source.version or address not in search.source:
            return False
    words = search.words.casefold().split()
    subject = row.subject.casefold() if words else ""
    return all(word in subject or word == row.id.casefold() for word in words)


def _desks(session: Session, complaints: Sequence[str]) -> Mapping[str, Sequence[Desk]]:
    of_desk: tuple[Any, ...] = (Report.complaint_id, Report.to, Report.state, Report.id, Report.ticked)
    query: Any = select(*of_desk)
    found: dict[str, list[Desk]] = {}
    asked = query.where(col(Report.complaint_id).in_(complaints)).order_by(col(Report.to))
    for complaint, to, state, report, ticked in session.connection().execute(asked) if complaints else ():
        if ticked or state != ReportState.DRAFT:
            found.setdefault(complaint, []).append(Desk(to, ReportState(state), report))
    return found
