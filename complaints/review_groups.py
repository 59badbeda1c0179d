"""What awaits consent, in groups: takes the complaints of a reporter, leaves groups to be shown. Reads only.

A group is what a reporter can judge as one: spams of one source, of one campaign, or for the same desks. A
heading names a group and its complaints, and no more, so that ten thousand are quickly sorted; a part of a
group has each complaint and report that a decision on it rests on.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, func, literal_column, tuple_
from sqlmodel import Session, col, select

from complaints import policies
from complaints.models import Complaint, ComplaintState, Json, Report, Submission
from complaints.office import Office
from complaints.policy import STATEMENT_VERSION
from complaints.report import OPEN
from complaints.show import stamp

BY = {"source": "where it came from", "campaign": "what it advertises", "desk": "who would get it"}
"""What complaints are grouped by, in words."""
MOST_IN_PART = 100
"""Complaints of one group that are shown and decided on at a time; the others come after them."""
MOST_COUNTED = 1000
"""Complaints that wait, which the page of one of them counts; of more it says so."""
_AT_ONCE = 500  # values in one question to the database
# The empty text is no value of its own: PostgreSQL must see that what is grouped by is what is asked for
_KEYS: dict[str, Any] = {
    "source": func.coalesce(Complaint.source_ip, literal_column("''")),
    "campaign": func.coalesce(Complaint.campaign, literal_column("''")),
}
# Only what is compared and shown: evidence and contacts of ten thousand complaints are a gigabyte
_SHOWN: tuple[Any, ...] = (
    Complaint.id,
    Complaint.version,
    Complaint.subject,
    Complaint.source_ip,
    Complaint.received_at,
)
_IDS = col(Complaint.id)
_DRAFT: tuple[Any, ...] = (Report.complaint_id, Report.id, Report.to, Report.digest, Report.ticked)
_NOWHERE = "nothing that can be named"


@dataclass(frozen=True)
class Draft:
    """A report as it stands: `ticked` when it is proposed; `digest` "" while it is not written."""

    id: str
    to: str
    digest: str
    ticked: bool


@dataclass(frozen=True)
class Member:
    """A complaint of a group."""

    id: str
    version: int
    subject: str
    source_ip: str | None
    received_at: datetime
    drafts: tuple[Draft, ...] = ()


@dataclass(frozen=True)
class Heading:
    """A group by its name: `complaints` are the id and version of each, oldest first.

    `policy` is the version of the privacy policy it is shown under.
    """

    by: str
    key: str
    complaints: tuple[tuple[str, int], ...]
    policy: str

    @property
    def title(self) -> str:
        """The name of the group as it is shown."""
        return self.key or _NOWHERE

    @property
    def shown(self) -> str:
        """`sha256:` and hex over which complaints these are: enough to drop all of them, never to confirm."""
        return _digest([f"all {self.policy} {self.by} {self.key}", *(f"{i} {v}" for i, v in self.complaints)])


@dataclass(frozen=True)
class Group:
    """Complaints that are decided on at once, oldest first: all of a group, or a part of a large one.

    `skipped` of the group come before them and `beyond` more after them.
    """

    by: str
    key: str
    members: tuple[Member, ...]
    policy: str
    beyond: int = 0
    skipped: int = 0

    @property
    def unwritten(self) -> list[str]:
        """The complaints of which a proposed report was not written yet: nobody looked at them."""
        return [one.id for one in self.members if any(row.ticked and not row.digest for row in one.drafts)]

    @property
    def title(self) -> str:
        """The name of the group as it is shown."""
        return self.key or _NOWHERE

    @property
    def shown(self) -> str:
        """`sha256:` and hex over all that a decision on these rests on."""
        lines = [f"{self.policy} {STATEMENT_VERSION} {self.by} {self.key}"]
        for one in self.members:
            lines.append(f"{one.id} {one.version}")
            # Of what is only offered nothing goes out by a decision on the group, so its bytes do not count
            lines += [
                f"{row.id} {row.to} {row.digest if row.ticked else ''} {row.ticked}" for row in one.drafts
            ]
        return _digest(lines)

    def desks(self) -> list[Json]:
        """[{"to", "reports", "only_offered"}]: how many reports are proposed, and how many only offered."""
        found: dict[str, Json] = {}
        for row in (row for one in self.members for row in one.drafts):
            desk = found.setdefault(row.to, {"to": row.to, "reports": 0, "only_offered": 0})
            desk["reports" if row.ticked else "only_offered"] += 1
        return sorted(found.values(), key=lambda desk: (-desk["reports"], desk["to"]))

    def document(self, office: Office) -> Json:
        """The group as the API gives it."""
        return {
            "by": self.by,
            "key": self.key,
            "title": self.title,
            "shown": self.shown,
            "written": not self.unwritten,
            "beyond": self.beyond,
            "desks": self.desks(),
            "complaints": [
                {
                    "id": one.id,
                    "received_at": stamp(one.received_at),
                    "subject": one.subject,
                    "source_ip": one.source_ip,
                    "to": [draft.to for draft in one.drafts if draft.ticked],
                    "review_url": office.review_url(one.id),
                }
                for one in self.members
            ],
        }


def headings(session: Session, office: Office, reporter_id: str, batch: str, by: str) -> list[Heading]:
    """What of a batch ("": of all that was handed in) awaits consent, the largest group first."""
    policy = policies.in_force(session, office)
    found: dict[str, list[tuple[str, int]]] = {}
    for key, complaint, version in _named(session, reporter_id, batch, by):
        found.setdefault(key, []).append((complaint, version))
    some = [Heading(by, key, tuple(complaints), policy) for key, complaints in found.items()]
    return sorted(some, key=lambda heading: (-len(heading.complaints), heading.key))


def parts(session: Session, wanted: Sequence[Heading], skip: int = 0) -> list[Group]:
    """Of each of these groups `MOST_IN_PART` complaints at most, after the first `skip` where it has more."""
    begins = [skip if skip < len(heading.complaints) else 0 for heading in wanted]
    slices = [
        heading.complaints[first : first + MOST_IN_PART]
        for heading, first in zip(wanted, begins, strict=True)
    ]
    members = _members(session, [complaint for some in slices for complaint, _ in some])
    return [
        Group(
            heading.by,
            heading.key,
            tuple(members[complaint] for complaint, _ in some if complaint in members),
            heading.policy,
            len(heading.complaints) - first - len(some),
            first,
        )
        for heading, first, some in zip(wanted, begins, slices, strict=True)
    ]


def desks(
    session: Session, reporter_id: str, batch: str, by: str, keys: Collection[str]
) -> Mapping[str, Sequence[tuple[str, int]]]:
    """Key → who would get how many reports, the most first; of groups by desk nothing: their names say it."""
    if by not in _KEYS or not keys:
        return {}
    key = _KEYS[by]
    query: Any = (
        select(key, Report.to, func.count())
        .join(Report, _PROPOSED, isouter=True)
        .where(*waiting(reporter_id, batch), key.in_(keys))
        .group_by(key, col(Report.to))
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for name, to, count in session.connection().execute(query):
        if to is not None:
            found.setdefault(name, []).append((to, count))
    return {name: sorted(some, key=lambda desk: (-desk[1], desk[0])) for name, some in found.items()}


def of_batch(reporter_id: str, batch: str) -> list[Any]:
    """The complaints of a reporter, or of one batch of theirs."""
    conditions: list[Any] = [Complaint.reporter_id == reporter_id]
    if batch:
        handed_in = select(Submission.id).where(
            Submission.reporter_id == reporter_id, Submission.batch == batch
        )
        conditions.append(col(Complaint.submission_id).in_(handed_in))
    return conditions


def waiting(reporter_id: str, batch: str) -> list[Any]:
    """Those of them that await consent."""
    return [*of_batch(reporter_id, batch), Complaint.state == ComplaintState.AWAITING_CONSENT]


@dataclass(frozen=True)
class Beside:
    """Where a complaint stands among those of a batch that wait, oldest first.

    `number` of `waiting`, from 1 on; None where it does not wait itself, or more than `MOST_COUNTED` do.
    `before` and `after` are the ids of its neighbours that wait, None at the ends.
    """

    number: int | None
    waiting: int | None
    before: str | None
    after: str | None


def beside(session: Session, reporter_id: str, batch: str, complaint_id: str) -> Beside | None:
    """The neighbours of a complaint; None where it is none of this batch."""
    ask, place = session.connection().execute, (col(Complaint.received_at), col(Complaint.id))
    own: Any = select(*place, Complaint.state).where(*of_batch(reporter_id, batch))
    if (found := ask(own.where(Complaint.id == complaint_id)).first()) is None:
        return None
    here, those = tuple_(*found[:2]), waiting(reporter_id, batch)
    earlier, later = (tuple_(*place) < here, tuple_(*place) > here)
    ids: Any = select(Complaint.id).where(*those)
    backwards = ids.where(earlier).order_by(*(one.desc() for one in place)).limit(1)
    forwards = ids.where(later).order_by(*place).limit(1)

    def count(some: Any) -> int:
        few = some.limit(MOST_COUNTED + 1).subquery()
        counted: int = ask(select(func.count()).select_from(few)).scalar_one()
        return counted

    total = count(ids)
    known = total <= MOST_COUNTED
    number = count(ids.where(earlier)) + 1 if known and found[2] == ComplaintState.AWAITING_CONSENT else None
    return Beside(number, total if known else None, ask(backwards).scalar(), ask(forwards).scalar())


# Joined from the outside: asked for their state alone, SQLite begins with the drafts of everybody
_PROPOSED: Any = and_(
    col(Report.complaint_id) == col(Complaint.id), col(Report.ticked), col(Report.state).in_(OPEN)
)


def _named(session: Session, reporter_id: str, batch: str, by: str) -> Iterator[tuple[str, str, int]]:
    """The group, the id and the version of each that awaits consent, oldest first."""
    oldest_first = (col(Complaint.received_at), col(Complaint.id))
    those = waiting(reporter_id, batch)
    # Rows as they are: as objects they take three times as long
    ask = session.connection().execute
    if by in _KEYS:
        yield from ask(
            select(_KEYS[by], Complaint.id, Complaint.version).where(*those).order_by(*oldest_first)
        )
        return
    query: Any = select(Complaint.id, Complaint.version, Report.to).join(Report, _PROPOSED, isouter=True)
    for (complaint, version), same in groupby(
        ask(query.where(*those).order_by(*oldest_first)), itemgetter(0, 1)
    ):
        yield ", ".join(sorted(to for _, _, to in same if to is not None)), complaint, version


def _members(session: Session, complaints: Sequence[str]) -> dict[str, Member]:
    found: dict[str, Member] = {}
    ask = session.connection().execute
    for some in _chunks(complaints):
        drafts: dict[str, list[Draft]] = {}
        of_them: Any = select(*_DRAFT).where(col(Report.complaint_id).in_(some), col(Report.state).in_(OPEN))
        for complaint, *draft in ask(of_them.order_by(col(Report.id))):
            drafts.setdefault(complaint, []).append(Draft(*draft))
        for complaint, version, subject, ip, received_at in ask(select(*_SHOWN).where(_IDS.in_(some))):
            written = tuple(drafts.get(complaint, ()))
            found[complaint] = Member(complaint, version, subject, ip, received_at, written)
    return found


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def _digest(lines: Iterable[str]) -> str:
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
