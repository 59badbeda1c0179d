"""Many complaints decided at once: takes those that await consent, leaves groups, and one consent for each.

A group is what a reporter can judge as one: spams of one source, of one campaign, or for the same desks. Its
`shown` is a digest of every report in it; a decision names it, so it covers what was looked at or nothing
(promises 1 and 2). A desk that was not proposed for a complaint gets nothing by a decision on its group.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import and_, func
from sqlmodel import Session, col, select

from complaints import consent, draft, policies
from complaints.consent import REDACTIONS, STATISTICS, Choice, ConsentError, EmptyError, StaleError
from complaints.db import OvertakenError
from complaints.models import Complaint, ComplaintState, Json, Report, Reporter, ReportState, Submission
from complaints.office import Office
from complaints.policy import STATEMENT_VERSION
from complaints.redact import CannotRedact
from complaints.report import OPEN
from complaints.show import stamp

BY = {"source": "where it came from", "campaign": "what it advertises", "desk": "who would get it"}
"""What complaints are grouped by, in words."""
LABEL = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""The label of a batch: what was handed in under the same one is reviewed together."""
MOST_IN_GROUP = 200
"""Complaints of one group that are shown and decided on at a time; the others come after them."""
WRITTEN_AT_ONCE = 30
"""Complaints whose reports are written when the groups are shown, some tenths of a second; a larger group is
written when it is opened."""
PER_TRANSACTION = 50
# Only what is compared and shown: evidence and contacts of ten thousand complaints are a gigabyte
_SHOWN: tuple[Any, ...] = (
    Complaint.id,
    Complaint.version,
    Complaint.subject,
    Complaint.source_ip,
    Complaint.campaign,
    Complaint.received_at,
)
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
    campaign: str
    received_at: datetime
    drafts: tuple[Draft, ...] = ()

    def key(self, by: str) -> str:
        """The name of the group it belongs to."""
        if by == "source":
            return self.source_ip or ""
        if by == "campaign":
            return self.campaign
        return ", ".join(sorted(draft.to for draft in self.drafts if draft.ticked))


@dataclass(frozen=True)
class Group:
    """Complaints that are decided on at once, oldest first; `beyond` more of the group come after them.

    `policy` is the version of the privacy policy it is shown under.
    """

    by: str
    key: str
    members: tuple[Member, ...]
    policy: str
    beyond: int = 0

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
        """`sha256:` and hex over all that a decision on the group rests on."""
        lines = [f"{self.policy} {STATEMENT_VERSION} {self.by} {self.key}"]
        for one in self.members:
            lines.append(f"{one.id} {one.version}")
            # Of what is only offered nothing goes out by a decision on the group, so its bytes do not count
            lines += [
                f"{row.id} {row.to} {row.digest if row.ticked else ''} {row.ticked}" for row in one.drafts
            ]
        return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()

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


@dataclass(frozen=True)
class Decision:
    """What the reporter decided about a group.

    `shown` is the group's when it was looked at. `to` names the desks that get their reports (None: all that
    are proposed); complaints in `without` are left as they are.
    """

    by: str
    key: str
    shown: str
    confirm: bool
    to: Collection[str] | None = None
    without: Collection[str] = ()
    redaction: str | None = None


@dataclass
class Decided:
    """What a decision did: complaints and reports by number, and what was left, each with the reason."""

    complaints: int = 0
    reports: int = 0
    left: list[Json] = field(default_factory=list)

    def document(self) -> Json:
        """{"complaints", "reports", "left": [{"complaint", "reason"}]}."""
        return {"complaints": self.complaints, "reports": self.reports, "left": self.left}


def groups(session: Session, office: Office, reporter_id: str, batch: str, by: str) -> list[Group]:
    """What of a batch ("": of all that was handed in) awaits consent, the largest group first."""
    policy = policies.in_force(session, office)
    members = sorted(_members(session, reporter_id, batch), key=lambda one: one.key(by))
    found = []
    for key, same in groupby(members, key=lambda one: one.key(by)):
        one_group = sorted(same, key=lambda one: (one.received_at, one.id))
        shown = tuple(one_group[:MOST_IN_GROUP])
        found.append(Group(by, key, shown, policy, len(one_group) - len(shown)))
    return sorted(found, key=lambda group: (-len(group.members) - group.beyond, group.key))


def look(office: Office, reporter_id: str, batch: str, by: str, key: str | None = None) -> list[Group]:
    """The groups, to be shown: with the proposed reports of the group `key` written, and of small ones.

    Reports are written when somebody looks; of ten thousand complaints, nobody looks at all at once.
    """
    with office.db.reading() as session:
        found = groups(session, office, reporter_id, batch, by)
    room, wanted = WRITTEN_AT_ONCE, list[str]()
    for group in found:
        if group.key == key:
            wanted += group.unwritten
        elif len(group.unwritten) <= room:
            wanted += group.unwritten
            room -= len(group.unwritten)
    for complaint_id in wanted:
        draft.written(office, complaint_id, proposed=True)
    if not wanted:
        return found
    with office.db.reading() as session:
        return groups(session, office, reporter_id, batch, by)


def document(office: Office, reporter: Reporter, batch: str, by: str, key: str | None = None) -> Json:
    """{"groups", "states", "review_url"}: what of a batch awaits consent, how many stand where, the page.

    `key`: the group that is looked at.
    """
    found = look(office, reporter.id, batch, by, key)
    with office.db.reading() as session:
        counted = states(session, reporter.id, batch)
    return {
        "groups": [group.document(office) for group in found],
        "states": {state.value: number for state, number in counted.items()},
        "review_url": office.batch_url(reporter, batch),
    }


def states(session: Session, reporter_id: str, batch: str) -> dict[ComplaintState, int]:
    """How many complaints of a batch are in which state."""
    query = (
        select(Complaint.state, func.count()).where(*_of(reporter_id, batch)).group_by(col(Complaint.state))
    )
    return {ComplaintState(state): number for state, number in session.exec(query)}


def decide(office: Office, reporter_id: str, batch: str, decision: Decision, via: str) -> Decided:
    """Confirm or discard each complaint of a group, every one with its own consent record.

    Raises StaleError when the group is no longer what was shown, EmptyError for a confirmation without
    desks, ConsentError for an unknown redaction.
    """
    with office.db.reading() as session:
        now = groups(session, office, reporter_id, batch, decision.by)
    group = next((one for one in now if one.key == decision.key), None)
    if group is None or group.shown != decision.shown:
        changes = ["It is no longer the group that you saw: something was added, decided on or written anew."]
        raise StaleError("the group changed since it was shown; look at it again", changes)
    if decision.confirm and group.unwritten:
        raise StaleError(
            "its reports are not written yet: open the group, and look at it",
            [f"{one}: nobody looked at it yet" for one in group.unwritten[:3]],
        )
    if decision.redaction and decision.redaction not in REDACTIONS:
        raise ConsentError(f"unknown redaction {decision.redaction!r}; there are: {', '.join(REDACTIONS)}")
    nothing_leaves = decision.redaction == STATISTICS
    if decision.confirm and decision.to is not None and not decision.to and not nothing_leaves:
        raise EmptyError("no desk was chosen; nothing was sent")
    without = set(decision.without)
    wanted = [one for one in group.members if one.id not in without]
    act = _confirming(office, decision, via) if decision.confirm else _discarding
    return _each(office, wanted, act)


def undo(office: Office, reporter_id: str, batch: str, via: str) -> Decided:
    """Take back every consent in a batch whose undo window is open, and bring back what was discarded."""
    with office.db.reading() as session:
        open_window = select(Report.complaint_id).where(*_not_left(office))
        query: Any = select(*_SHOWN).where(
            *_of(reporter_id, batch),
            and_(*_DISCARDED)
            | and_(col(Complaint.state) == ComplaintState.CONFIRMED, col(Complaint.id).in_(open_window)),
        )
        back = [Member(*row) for row in session.exec(query)]
    return _each(office, back, lambda session, row, _: consent.undo(session, office, row, via=via))


def undoable(session: Session, office: Office, reporter_id: str, batch: str) -> Json:
    """{"until", "confirmed", "discarded"}: what `undo` would take back, and until when all of it goes."""
    waiting = (
        select(func.min(Report.next_at), func.count(func.distinct(Report.complaint_id)))
        .join(Complaint, col(Complaint.id) == col(Report.complaint_id))
        .where(*_of(reporter_id, batch), Complaint.state == ComplaintState.CONFIRMED)
        .where(*_not_left(office))
    )
    until, confirmed = session.exec(waiting).one()
    discarded = select(func.count()).where(*_of(reporter_id, batch), *_DISCARDED)
    return {"until": until, "confirmed": confirmed, "discarded": session.exec(discarded).one()}


# Without evidence its content was deleted, and nothing is left to bring back
_DISCARDED: tuple[Any, ...] = (
    Complaint.state == ComplaintState.DISCARDED,
    col(Complaint.evidence).is_not(None),
)


def _not_left(office: Office) -> tuple[Any, ...]:
    return (
        Report.state == ReportState.QUEUED,
        Report.attempts == 0,
        col(Report.next_at) > office.clock(),
    )


Act = Callable[[Session, Complaint, Member], int]


def _confirming(office: Office, decision: Decision, via: str) -> Act:
    def act(session: Session, row: Complaint, member: Member) -> int:
        drafts = [
            one for one in member.drafts if one.ticked and (decision.to is None or one.to in decision.to)
        ]
        counted_only = (decision.redaction or row.redaction) == STATISTICS
        if not drafts and not counted_only:
            raise EmptyError("none of the chosen desks is proposed for it")
        choice = Choice({one.id: one.digest for one in drafts}, decision.redaction)
        consent.confirm(session, office, row, choice, via=via)
        return 0 if counted_only else len(drafts)

    return act


def _discarding(session: Session, row: Complaint, _member: Member) -> int:
    consent.discard(session, row)
    return 0


def _each(office: Office, members: Sequence[Member], act: Act) -> Decided:
    """Do it to each, many in one transaction; where one of these refuses, each in one of its own."""
    done = Decided()
    for start in range(0, len(members), PER_TRANSACTION):
        some = members[start : start + PER_TRANSACTION]
        try:
            reports = _together(office, some, act)
        except REFUSALS:
            for member in some:
                try:
                    reports = _together(office, [member], act)
                except REFUSALS as error:
                    done.left.append({"complaint": member.id, "reason": f"{error}"})
                else:
                    done.complaints += 1
                    done.reports += reports
        else:
            done.complaints += len(some)
            done.reports += reports
    return done


REFUSALS = (ConsentError, CannotRedact, OvertakenError)


def _together(office: Office, members: Sequence[Member], act: Act) -> int:
    with office.db.transaction() as session:
        rows = {one.id: session.get_one(Complaint, one.id, with_for_update=True) for one in members}
        return sum(act(session, rows[one.id], one) for one in members)


def _of(reporter_id: str, batch: str) -> list[Any]:
    """The complaints of a reporter, or of one batch of theirs."""
    conditions: list[Any] = [Complaint.reporter_id == reporter_id]
    if batch:
        handed_in = select(Submission.id).where(
            Submission.reporter_id == reporter_id, Submission.batch == batch
        )
        conditions.append(col(Complaint.submission_id).in_(handed_in))
    return conditions


def _members(session: Session, reporter_id: str, batch: str) -> Iterator[Member]:
    query: Any = (
        select(*_SHOWN, Report.state, Report.id, Report.to, Report.digest, Report.ticked)  # type: ignore[call-overload]
        .join(Report, col(Report.complaint_id) == col(Complaint.id))
        .where(*_of(reporter_id, batch), Complaint.state == ComplaintState.AWAITING_CONSENT)
        .order_by(col(Complaint.id), col(Report.id))
    )
    # Asked for their state, SQLite begins with the drafts of everybody
    rows = (row for row in session.exec(query) if row.state in OPEN)
    for _, same in groupby(rows, key=lambda row: row[0]):
        lines = list(same)
        drafts = tuple(Draft(*line[7:]) for line in lines)
        complaint, version, subject, source_ip, campaign, received_at = lines[0][:6]
        yield Member(complaint, version, subject, source_ip, campaign, received_at, drafts)
