"""Whether the right desks are read off real answers of registries, as JSON: ours beside peers.

`../shared/data/registry/expected.json` says what a careful person reads off each answer. Every reader gets
the same bytes and gives the mailboxes that it would write to, best first. For each peer, over the answers
that it claims to read, the columns are `[peer, ours, of]`:

- `contact`: the best mailbox is a right one; where there is none, nothing, or one of a last resort
- `scope`: it is right, and said to be the desk of the network (or of the registrar, for a domain)
- `unsafe`: answers from which a mailbox is proposed that must not get a complaint, or that is nobody's desk
- `refused`, `absent`: refusals, and names that are not registered, told from answers
- `mistaken`: answers that were taken for a refusal or for a name that is not registered

Of `unsafe` and `mistaken` fewer are better. A peer that is absent stands in `skipped` with the reason.
Exits 69 without `../shared/data`, 1 where a peer is ahead of us in a column. `--python PATH`: an
interpreter that has the peers (ipwhois, whoisit, asyncwhois, and abuse-whois with packaging and
pydantic<2.11). querycontacts reads no answers of registries: it asks one DNS zone.
"""

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from abuse_lookup import Contact, MailAnswer, Resolver, Status, Target, UnusableTarget
from abuse_lookup.answer import Answer, Sighting
from abuse_lookup.desks import KnownDesks
from abuse_lookup.judge import Case, Judge
from abuse_lookup.mail_domain import MailDomains
from abuse_lookup.ranking import ranked
from abuse_lookup.rdap_answer import read_domain, read_number, related_links
from abuse_lookup.whois import next_steps
from abuse_lookup.whois_answer import Referral, read
from abuse_lookup.whois_dialect import decoded

REGISTRY = Path(__file__).parents[1] / "../shared/data/registry"
PEERS = Path(__file__).with_name("peer_registries.py")
EX_UNAVAILABLE = 69
KNOWN = KnownDesks()


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
    registry: str = ""

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


class AllTakeMail(MailDomains):
    """Which domains took mail when the answers were recorded is not known: all do."""

    def __init__(self) -> None:
        super().__init__(Resolver([("127.0.0.1", 9)], seconds=0.1), lambda _: True)

    async def check(self, domain: str) -> MailAnswer:
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
            entry["registry"] or "",
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


REFUSED = ("throttled", "response_unavailable")
ABSENT = ("notfound", "_free.", "status_available")
MISLABELLED = {
    "php-whois/ml_free.txt": ("refused", "it can temporarily not be answered"),
    "php-whois/ga_free.txt": ("refused", "it can temporarily not be answered"),
    "php-whois/nz_free.txt": ("refused", "440 Request Denied"),
    "phpWhois/google.ch.txt": ("refused", "requests of this client are not permitted"),
    "phpWhois/nic.li.txt": ("refused", "requests of this client are not permitted"),
    "phpWhois/peter.morgan.name.txt": ("absent", "No match"),
    "phpWhois/a2ba91bff88c6983f6af010c41236206df64001d.de.txt": ("absent", "Status: free"),
    "phpWhois/urllog.net.txt": ("absent", "No match for domain"),
    "phpWhois/www.tv.txt": ("absent", "No match for"),
    "php-whois/vu_free.txt": ("", "the name is not valid"),
    "php-whois/tr_free.txt": ("", "invalid input"),
    "php-whois/gf_google.gf.txt": ("", "NO OBJECT FOUND!, of the contacts"),
    "likexian-notfound/name_science.name.txt": ("", "not available for second level registration"),
    "ruby-whois/whois.sx__sx__status_unavailable.txt": ("", "premium name (No match)"),
    "ruby-whois/whois.nic.bo__bo__status_available.txt": ("", "takes no questions but about .bo"),
    "ruby-whois/whois.nic.wed__wed__status_available.txt": ("", "prohibited string"),
}
"""Raw answers that do not say what their name does: what they are ("" for neither), and what they say."""


def called(file: str) -> str:
    """What an answer is by its file name, or by what it says where the name is wrong."""
    if file in MISLABELLED:
        return MISLABELLED[file][0]
    if any(word in file for word in REFUSED):
        return "refused"
    return "absent" if any(word in file for word in ABSENT) else "found"


def raw_domains(folder: Path = REGISTRY) -> list[Question]:
    """Every raw WHOIS answer about a domain; `action` is what its name says: refused, absent or found."""
    with zipfile.ZipFile(folder / "whois-domain.zip") as answers:
        rows = [row for row in json.loads(answers.read("index.json")) if called(row["file"])]
        nobody: frozenset[str] = frozenset()
        return [
            Question(
                f"raw/{row['file']}",
                answers.read(row["file"]),
                row["domain"] or "example.com",
                "domain",
                row.get("server") or "",
                *(nobody, nobody, nobody, nobody),
                called(row["file"]),
            )
            for row in rows
        ]


def status(question: Question) -> str:
    """Tell a refusal and a name that is not there from an answer."""
    report = read(decoded(question.raw, question.server), _target(question))
    return "refused" if report.refusal else "absent" if report.absent else "found"


def _target(question: Question) -> Target:
    """Two labelled answers are about no name at all."""
    try:
        return Target.parse(question.query)
    except UnusableTarget:
        return Target.parse("example.com")


def lowered(addresses: list[str]) -> frozenset[str]:
    return frozenset(address.lower() for address in addresses)


def ours(question: Question) -> Reading:
    """Read an answer as the walker and the judge do."""
    target = _target(question)
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
    of_domain = question.kind == "domain"
    sighting = (read_domain if of_domain else read_number)(document)
    # The same registry's WHOIS server is asked too where nobody is found; nobody is referred to by that.
    own = str(document.get("port43") or "").lower()
    sighting = replace(sighting, whois=tuple(host for host in sighting.whois if host != own))
    links = [Referral(link) for link in related_links(document)] if of_domain else []
    return _judged("rdap", sighting, links, question)


def _judged(
    source: str, sighting: Sighting, steps: list[Referral], question: Question, *, named: bool = False
) -> Reading:
    case = Case()
    judge = Judge(AllTakeMail(), KNOWN, lambda: datetime.now(UTC))
    asyncio.run(judge.take(case, source, [Answer(Status.FOUND, sighting, question.server)]))
    contacts = ranked(case.contacts)
    steps = steps + [Referral(server) for server in case.better_servers]
    if not contacts and not steps and any(item.address.endswith("@iana.org") for item in case.rejected):
        return Reading((), "do-not-send")  # IANA holds what nobody uses
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


def read_by_peers(python: str, questions: list[Question]) -> dict[str, Any]:
    """Have every peer of that interpreter read the same bytes."""
    asked = [
        {
            "file": question.file,
            "raw": base64.b64encode(question.raw).decode("ascii"),
            "query": question.query,
            "kind": question.kind,
            "rdap": question.is_rdap,
            "registry": question.registry,
        }
        for question in questions
    ]
    command = [python, "-W", "ignore", str(PEERS)]
    ran = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout))


Marks = dict[str, int]


def marked(question: Question, proposed: list[str], *, says_desk: bool) -> Marks:
    """Judge one reading of a labelled answer, ours or a peer's."""
    best = proposed[0] if proposed else None
    right = best in question.abuse if question.abuse else not proposed or best in question.weak
    nobodys = set(proposed) & (question.must_not | question.unclassified)
    return {
        "contact": int(right),
        "scope": int(right and bool(proposed) and says_desk),
        "unsafe": int(bool(nobodys) or (bool(proposed) and not question.abuse and not right)),
    }


def told(question: Question, said: str) -> Marks:
    """Judge whether a refusal or a name that is not there was told from an answer."""
    right = said == question.action
    return {
        "refused": int(right and question.action == "refused"),
        "absent": int(right and question.action == "absent"),
        "mistaken": int(question.action == "found" and said in {"refused", "absent"}),
    }


FEWER = {"unsafe", "mistaken"}


def table(
    answers: dict[str, dict[str, Any]], labelled: list[Question], raw: list[Question]
) -> dict[str, list[int]]:
    """Set one peer's marks beside ours, over the answers that it reads."""
    theirs: list[Marks] = []
    own: list[Marks] = []
    for question in labelled:
        if (answer := answers.get(question.file)) is not None:
            proposed = [address.lower() for address in answer["addresses"]]
            theirs.append(marked(question, proposed, says_desk=answer["says_desk"]))
            reading = ours(question)
            wanted = "registrar" if question.kind == "domain" else "network"
            scoped = all(contact.scope == wanted for contact in reading.contacts)
            own.append(marked(question, reading.proposed, says_desk=scoped))
    read_too = [question for question in raw if question.file in answers]
    for question in read_too:
        said = answers[question.file]["status"]
        theirs.append(told(question, said))
        own.append(told(question, status(question)))
    return {
        name: [sum(marks.get(name, 0) for marks in theirs), sum(marks.get(name, 0) for marks in own), of]
        for name, of in _asked(answers, labelled, read_too).items()
    }


def _asked(answers: dict[str, Any], labelled: list[Question], raw: list[Question]) -> dict[str, int]:
    """How many answers each column is out of; a column without any is left out."""
    read_here = [question for question in labelled if question.file in answers]
    counts = {
        "contact": len(read_here),
        "scope": sum(bool(question.abuse) for question in read_here),
        "unsafe": len(read_here),
        **{name: sum(question.action == name for question in raw) for name in ("refused", "absent")},
        "mistaken": sum(question.action == "found" for question in raw),
    }
    return {name: count for name, count in counts.items() if count}


def main() -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the peers")
    python = parser.parse_args().python
    if not REGISTRY.is_dir():
        print(f"{REGISTRY} is absent", file=sys.stderr)
        return EX_UNAVAILABLE
    labelled, raw = [*numbers(), *domains()], raw_domains()
    peers = read_by_peers(python, labelled + raw)
    absent = {name for name in ("ipwhois", "whoisit", "asyncwhois", "abuse-whois") if name not in peers}
    report: dict[str, Any] = {
        "labelled": len(labelled),
        "ours_wrong": [f"{q.file}: {problem}" for q in labelled for problem in judged(q, ours(q))],
        "peers": {
            name: {"version": peer["version"], **table(peer["answers"], labelled, raw)}
            for name, peer in peers.items()
        },
        "skipped": {name: f"{python} has no {name}" for name in sorted(absent)},
    }
    print(json.dumps(report, indent=2))
    behind = [
        (name, column)
        for name, row in report["peers"].items()
        for column, cell in row.items()
        if column != "version" and (cell[0] < cell[1] if column in FEWER else cell[0] > cell[1])
    ]
    return 1 if behind or report["ours_wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
