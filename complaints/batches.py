"""Many complaints decided at once: takes groups of those that await consent, leaves one consent for each.

What a group's `shown` says was looked at is what a decision covers, or nothing (promises 1 and 2). A desk
that was not proposed for a complaint gets nothing by a decision on its group.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from complaints import consent, draft, dropping, review_groups
from complaints.consent import REDACTIONS, STATISTICS, Choice, ConsentError, EmptyError, StaleError
from complaints.db import OvertakenError
from complaints.models import Complaint, ComplaintState, Json, Report, Reporter, ReportState
from complaints.office import Office
from complaints.redact import CannotRedact
from complaints.review_groups import Group, Heading, Member, headings, of_batch, parts

LABEL = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""The label of a batch: what was handed in under the same one is reviewed together."""
LISTED_AT_ONCE = 100
"""Complaints of groups that one page lists; a group that finds no room is listed when it is opened."""
WRITTEN_AT_ONCE = 30
"""Complaints whose reports are written when the groups are shown, some tenths of a second; a larger group is
written when it is opened."""
MOST_GROUPS = 40
"""Groups on one page."""
PER_TRANSACTION = 50


@dataclass(frozen=True)
class Decision:
    """What the reporter decided about a group, or about the part of it after the first `skip`.

    `shown` is the group's when it was looked at; to discard, also the heading's, which then is about all of
    it. `to` names the desks that get their reports (None: all that are proposed); complaints in `without` are
    left as they are.
    """

    by: str
    key: str
    shown: str
    confirm: bool
    to: Collection[str] | None = None
    without: Collection[str] = ()
    redaction: str | None = None
    skip: int = 0


@dataclass
class Decided:
    """What a decision did: complaints and reports by number, and what was left, each with the reason."""

    complaints: int = 0
    reports: int = 0
    left: list[Json] = field(default_factory=list)

    def document(self) -> Json:
        """{"complaints", "reports", "left": [{"complaint", "reason"}]}."""
        return {"complaints": self.complaints, "reports": self.reports, "left": self.left}


@dataclass(frozen=True)
class Page:
    """One page of groups, or one group that is opened.

    `opened`: it is the one group. `listed` are the groups of it whose complaints can be seen and confirmed,
    by key; `desks` says of the others who would get how many reports. `number` of `pages` counts from 1;
    `waiting` is how many spams wait in all.
    """

    headings: Sequence[Heading]
    listed: Mapping[str, Group]
    desks: Mapping[str, Sequence[tuple[str, int]]]
    opened: bool
    number: int
    pages: int
    waiting: int


def look(
    office: Office,
    reporter_id: str,
    batch: str,
    by: str,
    key: str | None = None,
    number: int = 1,
    skip: int = 0,
) -> Page:
    """A page of groups to be shown, with the reports of those that are listed written.

    Reports are written when somebody looks; of ten thousand complaints, nobody looks at all at once. `key`:
    the group that is opened, shown alone from the one after the first `skip` on.
    """

    def now() -> tuple[list[Heading], list[Group]]:
        with office.db.reading() as session:
            found = headings(session, office, reporter_id, batch, by)
            if opened := [heading for heading in found if heading.key == key]:
                return found, parts(session, opened, skip)
            return found, parts(session, _roomy(_on_page(found, number)))

    found, groups = now()
    if _written(office, groups, key):
        found, groups = now()
    opened = [heading for heading in found if heading.key == key]
    there = opened or _on_page(found, number)
    listed = {group.key: group for group in groups if not group.unwritten}
    with office.db.reading() as session:
        closed = [heading.key for heading in there if heading.key not in listed]
        desks = review_groups.desks(session, reporter_id, batch, by, closed)
    waiting = sum(len(heading.complaints) for heading in found)
    return Page(there, listed, desks, bool(opened), min(number, _pages(found)), _pages(found), waiting)


def _pages(found: Sequence[Heading]) -> int:
    return max(1, -(-len(found) // MOST_GROUPS))


def _on_page(found: Sequence[Heading], number: int) -> Sequence[Heading]:
    """The groups of one page; of the last one, when there are no longer so many."""
    last = min(number, _pages(found)) * MOST_GROUPS
    return found[last - MOST_GROUPS : last]


def _roomy(found: Sequence[Heading]) -> list[Heading]:
    """The groups whose complaints find room on a page: the smallest, for most are."""
    room, roomy = LISTED_AT_ONCE, list[Heading]()
    for heading in reversed(found):
        if len(heading.complaints) <= room:
            roomy.append(heading)
            room -= len(heading.complaints)
    return roomy


def _written(office: Office, groups: Sequence[Group], key: str | None) -> bool:
    """Write the proposed reports of the group `key`, and of small ones; False: there was nothing to do."""
    room, wanted = WRITTEN_AT_ONCE, list[str]()
    for group in groups:
        if group.key == key:
            wanted += group.unwritten
        elif len(group.unwritten) <= room:
            wanted += group.unwritten
            room -= len(group.unwritten)
    for complaint_id in wanted:
        draft.written(office, complaint_id, proposed=True)
    return bool(wanted)


def document(office: Office, reporter: Reporter, batch: str, by: str, key: str | None = None) -> Json:
    """{"groups", "states", "review_url"}: what of a batch awaits consent, how many stand where, the page.

    Of each group the first part. `key`: the group that is looked at.
    """

    def now() -> list[Group]:
        with office.db.reading() as session:
            return parts(session, headings(session, office, reporter.id, batch, by))

    found = now()
    if _written(office, found, key):
        found = now()
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
        select(Complaint.state, func.count())
        .where(*of_batch(reporter_id, batch))
        .group_by(col(Complaint.state))
    )
    return {ComplaintState(state): number for state, number in session.exec(query)}


def decide(office: Office, reporter_id: str, batch: str, decision: Decision, via: str) -> Decided:
    """Confirm or discard each complaint of a group, every one with its own consent record.

    Raises StaleError when the group is no longer what was shown, EmptyError for a confirmation without
    desks, ConsentError for an unknown redaction.
    """
    with office.db.reading() as session:
        found = headings(session, office, reporter_id, batch, decision.by)
        named = [heading for heading in found if heading.key == decision.key]
        if named and not decision.confirm and decision.shown == named[0].shown:
            return _drop(office, named[0].complaints, decision.without)
        group = next(iter(parts(session, named, decision.skip)), None)
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
    if not decision.confirm:
        return _drop(office, [(one.id, one.version) for one in group.members], decision.without)
    nothing_leaves = decision.redaction == STATISTICS
    if decision.to is not None and not decision.to and not nothing_leaves:
        raise EmptyError("no desk was chosen; nothing was sent")
    wanted = {one.id: one for one in group.members if one.id not in set(decision.without)}
    return _each(office, list(wanted), _confirming(office, decision, wanted, via))


def undo(office: Office, reporter_id: str, batch: str, via: str) -> Decided:
    """Take back every consent in a batch whose undo window is open, and bring back what was discarded."""
    with office.db.reading() as session:
        open_window = select(Report.complaint_id).where(*_not_left(office))
        those = select(Complaint.id).where(*of_batch(reporter_id, batch))
        confirmed = list(
            session.exec(
                those.where(Complaint.state == ComplaintState.CONFIRMED, col(Complaint.id).in_(open_window))
            )
        )
        discarded = list(session.exec(those.where(*_DISCARDED)))
    done = _each(office, confirmed, lambda session, row: consent.undo(session, office, row, via=via))
    _all(office, discarded, done, lambda session, some: dropping.bring_back(session, office, some))
    return done


def undoable(session: Session, office: Office, reporter_id: str, batch: str) -> Json:
    """{"until", "confirmed", "discarded"}: what `undo` would take back, and until when all of it goes."""
    waiting = (
        select(func.min(Report.next_at), func.count(func.distinct(Report.complaint_id)))
        .join(Complaint, col(Complaint.id) == col(Report.complaint_id))
        .where(*of_batch(reporter_id, batch), Complaint.state == ComplaintState.CONFIRMED)
        .where(*_not_left(office))
    )
    until, confirmed = session.exec(waiting).one()
    discarded = select(func.count()).where(*of_batch(reporter_id, batch), *_DISCARDED)
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


Act = Callable[[Session, Complaint], int]


def _confirming(office: Office, decision: Decision, members: Mapping[str, Member], via: str) -> Act:
    def act(session: Session, row: Complaint) -> int:
        drafts = [
            one
            for one in members[row.id].drafts
            if one.ticked and (decision.to is None or one.to in decision.to)
        ]
        counted_only = (decision.redaction or row.redaction) == STATISTICS
        if not drafts and not counted_only:
            raise EmptyError("none of the chosen desks is proposed for it")
        choice = Choice({one.id: one.digest for one in drafts}, decision.redaction)
        consent.confirm(session, office, row, choice, via=via)
        return 0 if counted_only else len(drafts)

    return act


def _drop(office: Office, seen: Sequence[tuple[str, int]], without: Collection[str]) -> Decided:
    left_out, done = set(without), Decided()
    versions = {one: version for one, version in seen if one not in left_out}

    def drop(session: Session, some: Sequence[str]) -> Mapping[str, str]:
        return dropping.drop(session, {one: versions[one] for one in some})

    _all(office, list(versions), done, drop)
    return done


def _all(
    office: Office,
    complaints: Sequence[str],
    done: Decided,
    act: Callable[[Session, Sequence[str]], Mapping[str, str]],
) -> None:
    """Do it to very many; `act` says which of them stay as they are, and why."""
    for start in range(0, len(complaints), dropping.AT_ONCE):
        some = complaints[start : start + dropping.AT_ONCE]
        try:
            with office.db.transaction() as session:
                stays = act(session, some)
        except OvertakenError as error:
            stays = dict.fromkeys(some, f"{error}")
        done.complaints += len(some) - len(stays)
        done.left += [{"complaint": one, "reason": reason} for one, reason in stays.items()]


def _each(office: Office, complaints: Sequence[str], act: Act) -> Decided:
    """Do it to each, many in one transaction; where one of these refuses, each in one of its own."""
    done = Decided()
    for start in range(0, len(complaints), PER_TRANSACTION):
        some = complaints[start : start + PER_TRANSACTION]
        try:
            reports = _together(office, some, act)
        except REFUSALS:
            for one in some:
                try:
                    reports = _together(office, [one], act)
                except REFUSALS as error:
                    done.left.append({"complaint": one, "reason": f"{error}"})
                else:
                    done.complaints += 1
                    done.reports += reports
        else:
            done.complaints += len(some)
            done.reports += reports
    return done


REFUSALS = (ConsentError, CannotRedact, OvertakenError)


def _together(office: Office, complaints: Sequence[str], act: Act) -> int:
    with office.db.transaction() as session:
        rows = [session.get_one(Complaint, one, with_for_update=True) for one in complaints]
        return sum(act(session, row) for row in rows)
