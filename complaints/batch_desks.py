"""Whom a batch would tell, before anything is handed in: takes its mails, leaves source, desk and how many.

Asks registries about the sources only; nothing is stored but what every lookup keeps.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

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


def desks_of(work: Client, mails: Iterable[Mail], step: Callable[[float | None], None]) -> Iterator[Json]:
    """One row for each source and desk, the most messages first: source, desk, messages, why."""
    trust = Trust.of(work.trusted())
    sources: Counter[str | None] = Counter()
    refused: Counter[str] = Counter()
    for mail in mails:
        if mail.raw is None:
            refused[mail.why.says if mail.why else ""] += 1
        for item in open_file(mail.raw, mail.name) if mail.raw is not None else ():
            if item.spam is None:
                refused[item.reason or ""] += 1
            else:
                source = trace(parse(item.spam), trust, item.grade).source
                sources[source.ip if source else None] += 1
        step(mail.share)
    unknown = sources.pop(None, 0)
    found = work.lookups([ip for ip in sources if ip])
    rows = [row for lookup in found for row in _rows(lookup["target"], lookup, sources[lookup["target"]])]
    yield from sorted(rows, key=lambda row: (-row["messages"], row["source"]))
    if unknown:
        yield _row(None, None, unknown, NO_SOURCE)
    for reason, count in refused.most_common():
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
