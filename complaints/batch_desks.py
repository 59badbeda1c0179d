"""Whom a batch would tell, before anything is handed in: takes its mails, leaves source, desk and how many.

Asks registries about the sources only; nothing is stored but what every lookup keeps.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from complaints.client import Client
from complaints.draft import proposed_desks
from complaints.mailboxes import Mail
from complaints.message import parse
from complaints.models import Json
from complaints.trace import trace
from complaints.trust import Trust
from complaints.unwrap import open_file

NO_SOURCE = "No host outside your own mail system can be named as its source."
NO_DESK = "Nobody is known to answer for it."


@dataclass(frozen=True)
class Sources:
    """How many messages each source sent; how many have none, by the reason."""

    known: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


def sources_of(work: Client, mails: Iterable[Mail], step: Callable[[float | None], None]) -> Sources:
    """Trace all of them; `step` is told how much of all was read."""
    trust = Trust.of(work.trusted())
    found = Sources()
    for mail in mails:
        if mail.raw is None:
            found.unknown[mail.why.says if mail.why else ""] += 1
        for item in open_file(mail.raw, mail.name) if mail.raw is not None else ():
            if item.spam is None:
                found.unknown[item.reason or ""] += 1
            elif source := trace(parse(item.spam), trust, item.grade).source:
                found.known[source.ip] += 1
            else:
                found.unknown[NO_SOURCE] += 1
        step(mail.share)
    return found


def desks_of(work: Client, sources: Sources, step: Callable[[], None]) -> Iterator[Json]:
    """One row for each source and desk, the most messages first: source, desk, messages, why.

    `step` is called for each source that was looked up.
    """
    found = work.lookups(list(sources.known), step)
    rows = [row for one in found for row in _rows(one["target"], one, sources.known[one["target"]])]
    yield from sorted(rows, key=lambda row: (-row["messages"], row["source"]))
    for reason, count in sources.unknown.most_common():
        yield _row(None, None, count, reason)


def _rows(ip: str, lookup: Json, messages: int) -> Iterator[Json]:
    desks, _ = proposed_desks({"lookups": [lookup | {"role": "source"}]}, set())
    ticked = [desk for desk in desks if desk["ticked"]]
    for desk in ticked:
        yield _row(ip, desk["address"], messages, desk["why"])
    if not ticked:
        yield _row(ip, None, messages, NO_DESK)


def _row(source: str | None, desk: str | None, messages: int, why: str) -> Json:
    return {"source": source, "desk": desk, "messages": messages, "why": why}
