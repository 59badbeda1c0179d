"""Whether the right desks are read off real answers of registries, as JSON: ours beside peers.

`../shared/data/registry/expected.json` says what a careful person reads off each answer. Every reader gets
the same bytes and gives the mailboxes that it would write to, best first. For each peer, over the answers
that it claims to read, the columns are `[peer, ours, of]`:

- `contact`: the best mailbox is a right one; where there is none, nothing, or one of a last resort
- `scope`: it is right, and said to be the desk of the network (or of the registrar, for a domain)
- `past_traps`: of the answers that hold other mailboxes too, those read right without proposing any of them
- `step`: what is next; a peer need only tell whether to write, ours also whom else to ask
- `unsafe`: answers from which a mailbox is proposed that must not get a complaint, or that is nobody's desk
- `refused`, `absent`: refusals, and names that are not registered, told from answers
- `told`: of all raw answers about domains, those told right: an answer, a refusal, nothing registered
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
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from abuse_lookup import Contact, MailAnswer, Resolver, Status, Target, UnusableTarget
from abuse_lookup.answer import Answer, Sighting
from abuse_lookup.desks import KnownDesks
from abuse_lookup.judge import Case, Judge
from abuse_lookup.mail_domain import MailDomains
from abuse_lookup.mailbox import addresses_in
from abuse_lookup.ranking import ranked
from abuse_lookup.rdap_answer import read_domain, read_number, related_links
from abuse_lookup.whois import next_steps
from abuse_lookup.whois_answer import Referral, read
from abuse_lookup.whois_dialect import decoded
from bench.registry_corpus import REGISTRY, Question, domains, numbers, raw_domains

PEERS = Path(__file__).with_name("peer_registries.py")
EX_UNAVAILABLE = 69
KNOWN = KnownDesks()


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
    unsafe = bool(nobodys) or (bool(proposed) and not question.abuse and not right)
    marks = {
        "contact": int(right),
        "scope": int(right and bool(proposed) and says_desk),
        "unsafe": int(unsafe),
    }
    if others(question):
        marks["past_traps"] = int(right and not others(question) & set(proposed))
    return marks


@cache
def others(question: Question) -> frozenset[str]:
    """Mailboxes that stand in an answer and that a careful person would not write to."""
    lines = decoded(question.raw, question.server).splitlines()
    named = {address.lower() for line in lines for address in addresses_in(line)}
    return frozenset(named - question.abuse - question.weak)


def next_step(question: Question, action: str | None, *, writes: bool) -> Marks:
    """Judge the next step; who names no step is right when it writes, or does not, as a person would."""
    if action is not None:
        return {"step": int(action == question.action)}
    return {"step": int(writes == (question.action == "send"))}


def told(question: Question, said: str) -> Marks:
    """Judge whether a refusal or a name that is not there was told from an answer."""
    right = said == question.action
    return {
        "told": int((said if said in {"refused", "absent"} else "found") == question.action),
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
            theirs.append(next_step(question, None, writes=bool(proposed)))
            reading = ours(question)
            wanted = "registrar" if question.kind == "domain" else "network"
            scoped = all(contact.scope == wanted for contact in reading.contacts)
            own.append(marked(question, reading.proposed, says_desk=scoped))
            own.append(next_step(question, reading.action, writes=bool(reading.contacts)))
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
        "past_traps": sum(bool(others(question)) for question in read_here),
        "step": len(read_here),
        "unsafe": len(read_here),
        "told": len(raw),
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
