"""Whether the right desks are read off real answers of registries, as JSON: ours beside peers.

`../shared/data/registry/expected.json` says what a careful person reads off each answer. For every answer a
reader gives the mailboxes that it would write to, best first, and what it would do next. Columns:

- `right`: the best mailbox is one of `abuse`, or none where there is none (one of `weak` is allowed then)
- `unsafe`: answers from which a mailbox of `must_not` is proposed, or one nobody called a desk
- `action`: what it would do next is what the person would do; peers do not say, so theirs is null
- `refused`, `available`: refusals told from answers, and names not registered told from registered ones

A peer that is absent stands in `skipped` with the reason. Exits 69 without `../shared/data`, 1 where a peer
is ahead of us in a column. `--python PATH`: an interpreter that has the peers.
"""

import asyncio
import json
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from abuse_lookup import Contact, MailAnswer, Resolver, Status, Target, UnusableTarget
from abuse_lookup.answer import Answer, Sighting
from abuse_lookup.judge import Case, Judge, ranked
from abuse_lookup.rdap_answer import read_domain, read_number, related_links
from abuse_lookup.whois import next_steps
from abuse_lookup.whois_answer import Referral, read
from abuse_lookup.whois_dialect import decoded

REGISTRY = Path(__file__).parents[1] / "../shared/data/registry"
PEERS = Path(__file__).with_name("peer_registries.py")
EX_UNAVAILABLE = 69


@dataclass(frozen=True)
class Question:
    """One answer of a registry, and what a careful person reads off it."""

    file: str
    raw: bytes
    query: str
    kind: str
    """`ip`, `asn`, `autnum` or `domain`."""
    server: str
    abuse: frozenset[str]
    weak: frozenset[str]
    must_not: frozenset[str]
    unclassified: frozenset[str]
    action: str

    @property
    def is_rdap(self) -> bool:
        return self.file.startswith("rdap/")


@dataclass(frozen=True)
class Reading:
    """What a reader makes of one answer."""

    contacts: tuple[Contact, ...] = ()
    """Best first."""
    action: str | None = None

    @property
    def proposed(self) -> list[str]:
        return [contact.address.lower() for contact in self.contacts if contact.address]


@dataclass
class Score:
    """How many answers were read as a careful person reads them."""

    asked: int = 0
    right: int = 0
    unsafe: int = 0
    action: int = 0
    wrong: list[str] = field(default_factory=list)


class AllTakeMail(Resolver):
    """Which domains took mail when the answers were recorded is not known: all do."""

    def __init__(self) -> None:
        super().__init__([("127.0.0.1", 9)], seconds=0.1)

    async def mx(self, domain: str) -> MailAnswer:
        return MailAnswer(Status.FOUND, ((10, f"mx.{domain}"),))


def servers(folder: Path) -> dict[str, str]:
    """The server that gave each answer, where the index says it."""
    found: dict[str, str] = {}
    for part in ("whois-ip", "rdap"):
        rows = json.loads((folder / part / "index.json").read_text("utf-8"))
        found |= {f"{part}/{row['file']}": row.get("server") or "" for row in rows}
    return found


def numbers(folder: Path = REGISTRY) -> list[Question]:
    """Answers about addresses and AS numbers, and RDAP's about domains."""
    known, said = servers(folder), json.loads((folder / "expected.json").read_text("utf-8"))
    return [
        Question(
            entry["file"],
            (folder / entry["file"]).read_bytes(),
            f"AS{entry['query']}" if str(entry["query"]).isdecimal() else entry["query"],
            entry["kind"],
            known.get(entry["file"], ""),
            lowered(entry["abuse"]),
            lowered(entry["weak"]),
            lowered(entry["must_not"]),
            lowered(entry["unclassified_emails"]),
            entry["action"],
        )
        for entry in said["ip_asn_rdap"]
    ]


def domains(folder: Path = REGISTRY) -> list[Question]:
    """WHOIS answers about domains, with the registrar's desk where a field names it."""
    said = json.loads((folder / "expected.json").read_text("utf-8"))["domain_whois"]
    with zipfile.ZipFile(folder / "whois-domain.zip") as answers:
        index = {f"whois-domain/{row['file']}": row for row in json.loads(answers.read("index.json"))}
        return [
            Question(
                entry["file"],
                answers.read(entry["file"].removeprefix("whois-domain/")),
                entry["domain"],
                "domain",
                index[entry["file"]].get("server") or "",
                lowered(entry["registrar_abuse"]),
                frozenset(),
                frozenset(),
                frozenset(),
                entry["action"],
            )
            for entry in said
        ]


def lowered(addresses: list[str]) -> frozenset[str]:
    return frozenset(address.lower() for address in addresses)


def ours(question: Question) -> Reading:
    """Read an answer as the walker and the judge do."""
    try:
        target = Target.parse(question.query)
    except UnusableTarget:
        target = Target.parse("example.com")
    if target.refusal() and target.host is None:
        return Reading((), "do-not-send")
    if question.is_rdap:
        return _ours_rdap(question)
    report = read(decoded(question.raw, question.server), target)
    if report.refusal:
        return Reading((), "retry-later")
    steps = next_steps(Referral(question.server or "whois.example"), report, target)
    return _judged("whois", report.sighting, steps, question, named=bool(report.registrar))


def _ours_rdap(question: Question) -> Reading:
    document = json.loads(question.raw)
    if question.kind == "domain":
        links = [Referral(link) for link in related_links(document)]
        return _judged("rdap", read_domain(document), links, question)
    return _judged("rdap", read_number(document), [], question)


def _judged(
    source: str, sighting: Sighting, steps: list[Referral], question: Question, *, named: bool = False
) -> Reading:
    case = Case()
    judge = Judge(AllTakeMail(), lambda: datetime.now(UTC))
    asyncio.run(judge.take(case, source, [Answer(Status.FOUND, sighting, question.server)]))
    contacts = ranked(case.contacts)
    steps = steps + [Referral(server) for server in case.better_servers]
    return Reading(contacts, _action(contacts, steps, question, named=named))


def _action(contacts: tuple[Contact, ...], steps: list[Referral], question: Question, *, named: bool) -> str:
    """Name the next step; where a registry only names the registrar, that is who knows."""
    if any(contact.confidence != "low" for contact in contacts):
        return "send"
    if question.kind == "domain" and (steps or named):
        return "follow-registrar"
    if not steps:
        return "send" if contacts else "no-contact"
    if steps[0].query is None:
        return "follow-referral"
    return "requery-handle" if steps[0].query.startswith("n ") else "follow-handle"


def judged(question: Question, reading: Reading) -> list[str]:
    """What is wrong with a reading; empty when nothing is."""
    found, problems = reading.proposed, []
    if question.abuse and found[:1] and found[0] not in question.abuse:
        problems.append(f"{found[0]} instead of {sorted(question.abuse)}")
    if question.abuse and not found:
        problems.append(f"nothing instead of {sorted(question.abuse)}")
    if not question.abuse and found and not set(found) <= question.weak:
        problems.append(f"{found} where there is no desk")
    if forbidden := question.must_not & set(found):
        problems.append(f"proposes {sorted(forbidden)}, which must not get a complaint")
    if stray := question.unclassified & set(found):
        problems.append(f"proposes {sorted(stray)}, which nobody called a desk")
    if not question.abuse and any(contact.confidence != "low" for contact in reading.contacts):
        problems.append("more than low confidence where there is no desk")
    return problems
