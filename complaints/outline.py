"""The evidence as people look at it: takes an evidence document, leaves what the page and the terminal draw.

The steps of the way with verdict, pause and encryption, and the links by the host that answers for them. A
document may be an old one: what it does not have yet is left out, never guessed at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

__all__ = ["VERDICTS", "Answer", "Group", "Step", "answers", "groups", "pause", "steps"]

Json = Mapping[str, Any]

VERDICTS = {
    "yours": "your host",
    "source": "source",
    "end": "the trace ends here",
    "claimed": "not believed",
}
"""Verdict → its words. Only the lines above the trust boundary are `yours`, `source` or `end`."""

# Protocol types of encrypted transfers, with and without authentication, and their UTF8 kin (RFC 3848 §2)
_ENCRYPTED = frozenset(
    {"ESMTPS", "ESMTPSA", "LMTPS", "LMTPSA", "UTF8SMTPS", "UTF8SMTPSA", "UTF8LMTPS", "UTF8LMTPSA", "HTTPS"}
)


@dataclass(frozen=True, slots=True)
class Step:
    """One hop as it is shown.

    `before` is how much earlier than the line above this line was written: None where one of them has no
    date, negative where a clock ran back. `tls` says how the transfer was encrypted, as the line says.
    """

    hop: Json
    verdict: str
    before: timedelta | None
    tls: str | None

    @property
    def words(self) -> str:
        """The verdict in words."""
        return VERDICTS[self.verdict]

    @property
    def runs_back(self) -> bool:
        """Tell whether the line claims to be younger than the one above, which was written after it."""
        return self.before is not None and self.before < timedelta(0)


@dataclass(frozen=True, slots=True)
class Group:
    """The links one organisation answers for; `bystander` is why it is held to be innocent, where it is.

    `host` is the host most likely meant to be followed, `domain` the registrable domain, or the address.
    """

    host: str
    domain: str
    links: tuple[Json, ...]
    bystander: str | None

    @property
    def found_in(self) -> list[str]:
        """The places in the message where a link to the host was found, each once."""
        return list(dict.fromkeys(link["found_in"] for link in self.links))

    @property
    def notes(self) -> list[str]:
        """What is odd about the links of the host, each once."""
        return list(dict.fromkeys(note for link in self.links for note in link.get("notes") or ()))


@dataclass(frozen=True, slots=True)
class Answer:
    """Where the spam wants to be answered. `drop_box`: a mail address whose keeper can be told."""

    value: str
    kind: str
    found_in: str
    drop_box: bool


def steps(evidence: Json) -> list[Step]:
    """Return the hops of the document, newest first, each with what is said beside it."""
    hops = evidence["hops"]
    source = (evidence.get("source") or {}).get("hop")
    last = max((n for n, hop in enumerate(hops) if hop["trusted"]), default=-1)
    found = []
    above: datetime | None = None
    for n, hop in enumerate(hops):
        date = _moment(hop.get("date"))
        before = above - date if n and above and date else None
        found.append(Step(hop, _verdict(hop, n, source, last), before, _tls(hop)))
        above = date
    return found


def groups(evidence: Json) -> list[Group]:
    """Return the links of the document by who answers for them: as its hosts are ordered, bystanders last."""
    by_domain: dict[str, list[Json]] = {}
    for link in evidence.get("links") or ():
        by_domain.setdefault(link["domain"], []).append(link)
    rows = {row["domain"]: row for row in evidence.get("hosts") or () if row["domain"] in by_domain}
    found = []
    for domain in dict.fromkeys([*rows, *by_domain]):
        links, row = by_domain[domain], rows.get(domain, {})
        host = row.get("host") or links[0]["host"]
        found.append(Group(host, domain, tuple(links), row.get("bystander")))
    return sorted(found, key=lambda group: group.bystander is not None)


def answers(evidence: Json) -> list[Answer]:
    """Return where answers are to go: drop-boxes first, then what else is named, each once."""
    boxes = evidence.get("drop_boxes") or ()
    found = [Answer(box["address"], "mail", box["found_in"], drop_box=True) for box in boxes]
    known = {answer.value.lower() for answer in found}
    lures = [lure for lure in evidence.get("lures") or () if lure["value"].lower() not in known]
    return found + [Answer(lure["value"], lure["kind"], lure["found_in"], drop_box=False) for lure in lures]


def pause(time: timedelta) -> str:
    """Say how long in at most two units: `7 s`, `47 min`, `3 h 5 min`, `2 d`; without a sign."""
    seconds = abs(round(time.total_seconds()))
    sizes = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    for n, (size, unit) in enumerate(sizes):
        if seconds >= size:
            rest = (seconds % size) // sizes[n + 1][0] if unit == "h" else 0
            return f"{seconds // size} {unit}" + (f" {rest} min" if rest else "")
    return "0 s"


def _verdict(hop: Json, n: int, source: int | None, last: int) -> str:
    if not hop["trusted"]:
        return "claimed"
    if n == source:
        return "source"
    return "end" if source is None and n == last else "yours"


def _tls(hop: Json) -> str | None:
    if version := hop.get("tls"):
        return str(version)
    words = str(hop.get("with") or "").upper().split()
    return "TLS" if words and words[0] in _ENCRYPTED else None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
