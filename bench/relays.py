"""Our source beside SpamAssassin's last external relay, message by message, as JSON.

The trust settings are the same: `trusted_networks` of both are the networks that only a neighbour can have.
What we know beyond networks (a provider's own servers, names that the writing host verified, addresses that
a line above showed to be the reporter's) is translated into SpamAssassin's own words: for every message the
addresses that our walk passed through are added to its `trusted_networks`. What is compared is thus what
each reads in the lines and at which line it stops; `untranslated` tells how many are equal without that.
X-Originating-IP counts as a hop for neither.

Every difference is listed with the rule that explains it (`REASONS`); what no rule explains is `unexplained`.
`speed` has messages per second of processor time at this alone, both on all bytes of the messages, parsed in
one process. Exits 69 without SpamAssassin (Debian: spamassassin) or without `../shared/data`.
`--suite NAME` (a part of a file name), `--shrink N` (every Nth message).
"""

import argparse
import base64
import json
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from complaints.hosts import address, canonical_ip
from complaints.message import parse
from complaints.reserved import INSIDE_NETWORKS, why_not_public
from complaints.trace import Hop, Trace, Trust, trace
from complaints.trust import providers

DATA = Path(__file__).parents[1] / "../shared/data/messages"
PROGRAM = Path(__file__).with_name("relays.pl")
NEIGHBOURS = tuple(str(network) for network in INSIDE_NETWORKS)


@dataclass(frozen=True)
class Pair:
    """One message, read by us and by SpamAssassin; `theirs` is a line of what relays.pl writes."""

    name: str
    ours: Trace
    theirs: dict[str, Any]

    @property
    def our_ip(self) -> str | None:
        """Our source."""
        return self.ours.source.ip if self.ours.source else None

    @property
    def their_ip(self) -> str | None:
        """Their last external relay."""
        found = self.theirs["relays"]
        return canonical_ip(found[0]["ip"]) if found else None

    @property
    def end(self) -> Hop:
        """The last hop that we believed."""
        return [hop for hop in self.ours.hops if hop.trusted][-1]

    def read_by_them(self, ip: str | None) -> bool:
        """Tell whether SpamAssassin found this address in any line."""
        relays = [*self.theirs["trusted"], *self.theirs["relays"]]
        return any(canonical_ip(relay["ip"]) == ip for relay in relays)


def _is_never_public(pair: Pair) -> bool:
    return pair.our_ip is None and pair.their_ip is not None and why_not_public(pair.their_ip) is not None


def _is_unread(pair: Pair) -> bool:
    return pair.our_ip is not None and not pair.read_by_them(pair.our_ip)


def _is_authenticated(pair: Pair) -> bool:
    return any(relay["auth"] and canonical_ip(relay["ip"]) == pair.our_ip for relay in pair.theirs["trusted"])


def _lacks_an_address(pair: Pair) -> bool:
    named = pair.end.helo or pair.end.from_name
    return pair.our_ip is None and pair.end.from_ip is None and named is not None


def _is_not_by_a_trusted_host(pair: Pair) -> bool:
    below = pair.ours.hops[pair.end.n + 1 :]
    return pair.our_ip is None and bool(below) and below[0].from_ip == pair.their_ip


REASONS: dict[str, tuple[str, Callable[[Pair], bool]]] = {
    "never public": ("the address they name can belong to nobody; we never accuse it", _is_never_public),
    "unread": ("SpamAssassin cannot read the line that we name", _is_unread),
    "authenticated": (
        "SpamAssassin believes what an authenticated client handed over; we name the client",
        _is_authenticated,
    ),
    "no address": (
        "a believed line names a client without its address; SpamAssassin passes over it, we end there",
        _lacks_an_address,
    ),
    "writer": (
        "SpamAssassin believes the line below a neighbour's whoever wrote it; we name nobody then",
        _is_not_by_a_trusted_host,
    ),
}
"""Name of the reason, what it says, and the rule that finds it; the first that fits counts."""


def reason_of(pair: Pair) -> str:
    """Name the rule that explains a difference, or `unexplained`."""
    return next((name for name, (_, rule) in REASONS.items() if rule(pair)), "unexplained")


def installed() -> bool:
    """Tell whether SpamAssassin's modules are there."""
    try:
        ran = subprocess.run(["perl", "-MMail::SpamAssassin", "-e1"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return ran.returncode == 0


def messages(data: Path = DATA, suite: str = "", shrink: int = 1) -> Iterator[tuple[str, bytes]]:
    """All messages that have a Received field, by name."""
    for archive in sorted(data.glob("*.zip")):
        if suite not in archive.stem:
            continue
        with zipfile.ZipFile(archive) as opened:
            for name in sorted(opened.namelist())[::shrink]:
                if name.endswith(".eml") and (raw := opened.read(name)) and parse(raw).fields("received"):
                    yield f"{archive.stem}/{name}", raw


def passed_through(found: Trace) -> list[str]:
    """The addresses that our walk passed through, as networks where a provider owns them whole."""
    source = found.source.hop if found.source else None
    passed = [hop.from_ip for hop in found.hops if hop.trusted and hop.n != source and hop.from_ip]
    return sorted({_network(ip) for ip in passed if not why_not_public(ip)})


@cache
def _network(ip: str) -> str:
    whole = (net for provider in providers() for net in (*provider.internal, *provider.shared))
    return next((str(net) for net in whole if address(ip) in net), ip)


def asked(tasks: Sequence[tuple[str, bytes, Sequence[str]]], *options: str) -> list[dict[str, Any]]:
    """Run relays.pl over (name, bytes, trusted networks)."""
    lines = [
        f"{name}\t{base64.b64encode(raw).decode()}\t{' '.join(trusted)}\n" for name, raw, trusted in tasks
    ]
    ran = subprocess.run(
        ["perl", str(PROGRAM), *options], input="".join(lines), capture_output=True, check=True, text=True
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def seconds_of_spamassassin(raws: Sequence[bytes]) -> float:
    """Processor seconds that SpamAssassin takes for the relays of these messages, parsed in one process."""
    found: float = asked([("", raw, ()) for raw in raws], "--time")[0]["seconds"]
    return found


def seconds_of_ours(raws: Sequence[bytes]) -> float:
    """Processor seconds that we take for the same."""
    trust, begun = Trust.of(NEIGHBOURS), time.process_time()
    for raw in raws:
        trace(parse(raw), trust)
    return time.process_time() - begun


def pairs(read: Sequence[tuple[str, bytes]], *, translated: bool = True) -> list[Pair]:
    """Read every message both ways."""
    trust = Trust.of(NEIGHBOURS)
    parsed = [parse(raw) for _, raw in read]
    ours = [trace(message, trust) for message in parsed]
    tasks = [
        (name, raw[: message.body], [*NEIGHBOURS, *(passed_through(found) if translated else ())])
        for (name, raw), message, found in zip(read, parsed, ours, strict=True)
    ]
    theirs = asked(tasks)
    return [Pair(name, found, answer) for (name, _), found, answer in zip(read, ours, theirs, strict=True)]


def report(read: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    """Compare, explain and measure."""
    compared = pairs(read)
    different = [pair for pair in compared if pair.our_ip != pair.their_ip]
    plain = pairs(read, translated=False)
    raws = [raw for _, raw in read]
    theirs, ours = seconds_of_spamassassin(raws), seconds_of_ours(raws)
    return {
        "messages": len(compared),
        "equal": len(compared) - len(different),
        "share": round(1 - len(different) / len(compared), 5),
        "translated": sum(bool(passed_through(pair.ours)) for pair in compared),
        "untranslated": {"equal": sum(pair.our_ip == pair.their_ip for pair in plain)},
        "reasons": {
            name: {"files": count, "says": REASONS[name][0] if name in REASONS else "look at it"}
            for name, count in Counter(map(reason_of, different)).items()
        },
        "differences": [
            {"file": pair.name, "ours": pair.our_ip, "theirs": pair.their_ip, "reason": reason_of(pair)}
            for pair in different
        ],
        "speed": {
            "ours": round(len(raws) / ours),
            "spamassassin": round(len(raws) / theirs),
            "times": round(theirs / ours, 1),
        },
    }


def main() -> None:
    """Print the report."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--suite", default="")
    arguments.add_argument("--shrink", type=int, default=1)
    wanted = arguments.parse_args()
    if not installed() or not DATA.is_dir():
        print("relays: SpamAssassin or ../shared/data is missing", file=sys.stderr)
        sys.exit(69)
    print(json.dumps(report(list(messages(DATA, wanted.suite, wanted.shrink))), indent=1))


if __name__ == "__main__":
    main()
