"""How fast a spam is redacted, as JSON, and that nothing leaks: on one core, in processor time.

- `corpora`: megabytes of mail a second for `identity` and `strict`, beside `stdlib` in the same round (the
  floor: `email.parser.BytesParser`, policy compat32, with all text parts decoded); medians of the rounds,
  messages spread evenly over each corpus, patterns of the one reporter made before. `plain` is the source as
  it stands, `compiled` the wheel that scripts/compile makes of it (about a minute; `--compiled FOLDER` takes
  one that it left there) and what counts.
- `real`: every message of the corpus whose recipient is known (`--messages`: so many), searched by the
  independent checker; source of the trace and sites of the links before and after.
- `places`: every hiding place of `tests/redaction_places.py` for every person, every code in every place;
  `missed` are those in which the search of everything leaves other bytes (`tests/full_search.py`).
- `linear`: what a byte of 16 MB costs beside a byte of 1 MB, for one message of each shape.

Exits 69 without `../shared/data` or a C compiler, 1 where something leaks, is lost, is not linear, or is far
slower beside the standard library than it was. `--only` one of these, `--messages N`, `--rounds N`.
"""

import argparse
import base64
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import compiled
from bench.evidence import CORPORA, DATA, corpus, stdlib
from complaints.leaks import find_leaks
from complaints.links import links
from complaints.message import parse
from complaints.redact import CannotRedact, Identity, redact
from complaints.trace import trace
from complaints.trust import Trust
from tests.full_search import redacted_fully
from tests.redaction_places import EVIDENCE, PEOPLE, TOKEN_PLACES, TOKENS, cases

KEY = b"a redaction key of ours"
WANTED = 20.0
"""Megabytes a second."""
FLOORS = {"spamassassin-public": 0.7, "phishing-pot": 0.35}
"""What `identity_to_stdlib` of `compiled` may not fall below: about half of what it was on 2026-11-27."""
MEGABYTE = 1_000_000
MOST_PER_BYTE = 1.6
TRAP = Identity(("phishing@pot", "rodrigo-f-p@hotmail.com"), ("Rodrigo",))
"""The collection's own trap address, and the one it overlooked where it stood encoded."""
ALICE = Identity(("alice.reporter@victim.example",), ("Alice Reporter",))
WHO = {"phishing-pot": TRAP, "spamassassin-public": ALICE}


def redacting(who: Identity, level: str) -> Callable[[bytes], object]:
    """Redact one message, or be refused."""

    def work(raw: bytes) -> object:
        try:
            return redact(raw, who, key=KEY, level=level)
        except CannotRedact:
            return None

    return work


def seconds(work: Callable[[bytes], object], messages: list[bytes]) -> float:
    """Processor time for all messages."""
    began = time.process_time()
    for raw in messages:
        work(raw)
    return time.process_time() - began


def one_round(name: str, messages: list[bytes]) -> dict[str, float]:
    """Seconds of each subject on the messages of a corpus, each with its caches warm."""
    subjects = {level: redacting(WHO[name], level) for level in ("identity", "strict")} | {"stdlib": stdlib}
    for work in subjects.values():
        seconds(work, messages[::5])
    seconds(subjects["identity"], messages)  # the first find of an identity compiles patterns, for 50 ms each
    return {subject: seconds(work, messages) for subject, work in subjects.items()}


def tell_one_round() -> None:
    """Print the seconds of one round, asked for on the input as the name of a corpus and a count."""
    name, count = sys.stdin.read().split()
    print(json.dumps(one_round(name, corpus(name, int(count)))))


def compiled_round(unpacked: Path, name: str, count: int) -> dict[str, float]:
    """Return what `tell_one_round` says where the compiled modules are found first."""
    ran = subprocess.run(
        compiled.command("from bench.redact import tell_one_round; tell_one_round()"),
        env=compiled.environment(unpacked, compiled.ROOT),
        input=f"{name} {count}",
        capture_output=True,
        text=True,
        check=True,
    )
    return {subject: float(taken) for subject, taken in json.loads(ran.stdout).items()}


def rates(name: str, count: int, rounds: int, unpacked: Path) -> dict[str, Any]:
    """Megabytes a second on one corpus."""
    messages = corpus(name, count)
    size = sum(map(len, messages)) / MEGABYTE
    taken: dict[str, list[dict[str, float]]] = {"plain": [], "compiled": []}
    for _ in range(rounds):
        taken["plain"].append(one_round(name, messages))
        taken["compiled"].append(compiled_round(unpacked, name, count))
    return {"messages": len(messages), "megabytes": round(size, 1), "wanted": WANTED} | {
        variant: {
            "megabytes_per_second": {
                one: round(statistics.median(size / each[one] for each in found), 1) for one in found[0]
            },
            "identity_to_stdlib": round(
                statistics.median(each["stdlib"] / each["identity"] for each in found), 2
            ),
        }
        for variant, found in taken.items()
    }


def all_rates(options: argparse.Namespace) -> dict[str, Any]:
    """Megabytes a second on all corpora (raises SystemExit where nothing can be compiled)."""
    with TemporaryDirectory() as folder:
        unpacked = Path(folder, "unpacked")
        compiled.made_ready(options.compiled, unpacked)
        some = min(options.messages, 500)
        return {name: rates(name, some, options.rounds, unpacked) for name in CORPORA}


def real(name: str, count: int, level: str) -> dict[str, Any]:
    """Leaks and losses on one corpus."""
    told = {"messages": 0, "leaks": 0, "sources_changed": 0, "sites_lost": 0, "refused": 0, "redactions": 0}
    who, border = WHO[name], Trust.of([])
    for raw in corpus(name, count):
        message = parse(raw)
        source = trace(message, border).source
        told["messages"] += 1
        try:
            done = redact(raw, who, key=KEY, level=level, own_hops=source.hop if source else 0)
        except CannotRedact:
            told["refused"] += 1
            continue
        redacted = parse(done.raw)
        found = trace(redacted, border).source
        before, after = ({link.domain for link in links(one).web} for one in (message, redacted))
        told["leaks"] += bool(find_leaks(done.raw, who))
        told["sources_changed"] += (found and found.ip) != (source and source.ip)
        told["sites_lost"] += not before <= after
        told["redactions"] += len(done.edits)
    return told


def places() -> dict[str, int]:
    """All of the generator."""
    told = {"cases": 0, "leaks": 0, "missed": 0, "evidence_lost": 0, "codes": 0, "codes_seen": 0}
    for person in PEOPLE:
        who = Identity(person.addresses, person.names)
        for case in cases(person):
            done = redact(case.raw, who, key=KEY).raw
            told["cases"] += 1
            told["leaks"] += bool(find_leaks(done, who))
            told["missed"] += redacted_fully(who, case.raw) != done
            told["evidence_lost"] += any(done.count(item) != case.raw.count(item) for item in EVIDENCE)
    for make in TOKEN_PLACES.values():
        for code in TOKENS:
            told["codes"] += 1
            done = redact(make(code), ALICE, key=KEY, level="strict").raw
            told["codes_seen"] += code.encode() in done
    return told


_TEXT = b"The quick brown fox sees http://a.example/x1y2z3 and jumps over alice@victim.example.\r\n"
SHAPES: dict[str, Callable[[int], bytes]] = {
    "text": lambda size: b"Subject: x\r\n\r\n" + _TEXT * (size // len(_TEXT)),
    "base64": lambda size: b"Content-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(_TEXT * (size // 118)),
    "tokens": lambda size: b"Subject: x\r\n\r\n" + (base64.b64encode(bytes(range(60))) + b" ") * (size // 81),
    "header": lambda size: b"X-A: b c d e f g h\r\n" * (size // 20) + b"\r\n",
    "parts": lambda size: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + (
        b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n") * (size // 40),
    "tags": lambda size: b"Content-Type: text/html\r\n\r\n" + b"<b>a</b>&#97;" * (size // 13),
}  # fmt: skip


def linear(level: str) -> dict[str, float]:
    """What a byte of a large message costs beside a byte of a small one of the same shape."""
    found = {}
    for name, make in SHAPES.items():
        cost = {}
        for size, tries in ((MEGABYTE, 3), (16 * MEGABYTE, 1)):
            raw = make(size)
            cost[size] = min(seconds(redacting(ALICE, level), [raw]) for _ in range(tries)) / size
        found[name] = round(cost[16 * MEGABYTE] / cost[MEGABYTE], 2)
    return found


def main() -> None:
    """Measure, print, tell by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("corpora", "real", "places", "linear"))
    parser.add_argument("--compiled", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if not all((DATA / f"{name}.zip").exists() for name in CORPORA):
        print(f"the messages are not here ({DATA} is absent)", file=sys.stderr)
        sys.exit(69)
    document: dict[str, Any] = {}
    wanted = [options.only] if options.only else ["corpora", "real", "places", "linear"]
    if "corpora" in wanted:
        document["corpora"] = all_rates(options)
    if "real" in wanted:
        document["real"] = {
            level: real("phishing-pot", options.messages, level) for level in ("identity", "strict")
        }
    if "places" in wanted:
        document["places"] = places()
    if "linear" in wanted:
        document["linear"] = {level: linear(level) for level in ("identity", "strict")}
    print(json.dumps(document, indent=1))
    sys.exit(1 if _wrong(document) else 0)


def _wrong(document: dict[str, Any]) -> bool:
    told = [*document.get("real", {}).values(), document.get("places", {})]
    bad = ("leaks", "missed", "sources_changed", "evidence_lost", "codes_seen")
    costs = [cost for level in document.get("linear", {}).values() for cost in level.values()]
    corpora: dict[str, Any] = document.get("corpora", {})
    slow = [one["compiled"]["identity_to_stdlib"] < FLOORS[name] for name, one in corpora.items()]
    leaks = any(one.get(name) for one in told for name in bad)
    return leaks or any(cost > MOST_PER_BYTE for cost in costs) or any(slow)


if __name__ == "__main__":
    main()
