"""Takes a lookup and what earlier reports came to; leaves its contacts in the order that experience teaches.

The history is handed in, one record per mailbox. It is applied after the cache: answers are shared, and what
came back since changes nothing about what a registry said.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from abuse_lookup.answer import Contact, Lookup, Rejected
from abuse_lookup.ranking import rank, unique

REMEMBERED = timedelta(days=60)
"""How long a bounce counts: a mailbox may have been repaired, and one report finds out."""
DEAD_BOUNCES = 3
DEAD_SPAN = timedelta(days=2)
"""So many bounces over so long, with nothing good since, and the mailbox counts as gone."""


@dataclass(frozen=True, slots=True)
class Record:
    """What earlier reports to one mailbox came to. Times are aware UTC."""

    bounced: int = 0
    """Reports that came back or were refused since the last sign that the mailbox works."""
    first_bounced: datetime | None = None
    last_bounced: datetime | None = None
    delivered: datetime | None = None
    """The last report that stayed there, as far as can be told."""
    answered: int = 0
    """Answers of a person, verdicts among them."""
    last_answered: datetime | None = None
    resolved: int = 0
    """Of these, how often the desk said that it had acted."""
    opted_out: datetime | None = None
    """When it asked for no more reports, where that still holds."""


class History(Protocol):
    """Where records come from."""

    async def of(self, mailboxes: Collection[str]) -> Mapping[str, Record]:
        """Return the record of each mailbox that there is one of, by the mailbox as it was given."""


async def remembered(found: Lookup, history: History, now: datetime) -> Lookup:
    """Rank `found` by what is known of its mailboxes, and reject those that are gone or opted out."""
    mailboxes = [contact.address for contact in found.contacts if contact.address]
    records = await history.of(mailboxes) if mailboxes else {}
    if not records:
        return found
    kept: list[tuple[bool, int, Contact]] = []
    rejected: list[Rejected] = []
    for contact in found.contacts:
        record = records.get(contact.address or "", Record())
        if why := _refused(record, now):
            rejected.append(Rejected(contact.address or "", why))
        elif bounced := _bounced(record, now):
            weak = replace(contact, confidence="low", why=f"{contact.why} {bounced}")
            kept.append((True, -record.answered, weak))
        else:
            kept.append((False, -record.answered, _praised(contact, record)))
    kept.sort(key=lambda item: (item[0], *rank(item[2], item[1])))
    return replace(
        found,
        contacts=tuple(contact for *_, contact in kept),
        rejected=unique([*found.rejected, *rejected]),
    )


def _refused(record: Record, now: datetime) -> str | None:
    if record.opted_out is not None:
        return f"it asked on {_day(record.opted_out)} to get no more reports"
    if record.first_bounced is None or record.last_bounced is None or not _bounced(record, now):
        return None
    if record.bounced < DEAD_BOUNCES or record.last_bounced - record.first_bounced < DEAD_SPAN:
        return None
    since = f"{_day(record.first_bounced)} to {_day(record.last_bounced)}"
    return f"reports to it bounced {_times(record.bounced)} from {since}, and none has arrived since"


def _bounced(record: Record, now: datetime) -> str | None:
    """Say that it bounced lately and did nothing good since."""
    last = record.last_bounced
    good = max((when for when in (record.delivered, record.last_answered) if when), default=None)
    if not record.bounced or last is None or last < now - REMEMBERED or (good and good > last):
        return None
    return f"It bounced {_times(record.bounced)}, last on {_day(last)}."


def _praised(contact: Contact, record: Record) -> Contact:
    if not record.answered or record.last_answered is None:
        return contact
    acted = f" and acted {_times(record.resolved)}" if record.resolved else ""
    said = f"It answered {_times(record.answered)}{acted}, last on {_day(record.last_answered)}."
    return replace(contact, why=f"{contact.why} {said}")


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _day(when: datetime) -> str:
    return f"{when.day} {when:%B %Y}"
