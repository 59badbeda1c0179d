"""How well and how fast finished bytes are searched for their reporter, as JSON; on one core, processor time.

- `places`: every hiding place of every person (`tests/redaction_places.py`): `missed` lists the places where
  the person was not found, `false` those where somebody else was, whose message it is not.
- `real`: every message of `../shared/data` whose recipient is known: `unredacted` how many show their
  recipient, `leaks` what was found after redaction at level `identity`, `in_files` what of that stands in
  packed files only, which redaction does not write anew (such a report goes out with the header block alone),
  `false` what was found for somebody who never got it. `refused` counts those that redaction does not take.
- `speed`: megabytes a second on two corpora, also of what this identity was never looked for in before, and
  the ratio to the standard library in the same round: parsing the message and decoding all of its parts.
  `plain` is the source as it stands, `compiled` the wheel that scripts/compile makes of it (`--compiled
  FOLDER` takes one that it left there), which is what counts.
- `hostile`: for one message of each shape, what an octet of 64 MiB costs beside an octet of 4 MiB, and
  whether the search reached its end; each shape in a process of its own, `stopped` (the exit code)
  where it takes too much. `peak_mib` is the memory it had at most, `octets_per_octet` of the message's.

Exits 69 without `../shared/data`, 1 where something was missed, or where the search is far slower beside the
standard library than it was. `--every N` takes one in N of the places and the messages, `--only
places|real|speed|hostile`, `--shape NAME` one shape, here and now.
"""

import argparse
import email
import json
import resource
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from email.policy import compat32
from email.utils import getaddresses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import compiled
from complaints.leaks import find_leaks
from complaints.redact import CannotRedact, Identity, redact
from tests import leak_places

DATA = Path(__file__).parents[1] / "../shared/data/messages"
CORPORA = ("spamassassin-public", "phishing-pot")
KEY = b"a redaction key of ours"
NOBODY = Identity(("xaverl.zellwegerin-77@nowhere-else.example",), ("Xaverl Zellwegerin",))
MIB = 1024 * 1024
FLOORS = {"spamassassin-public": 0.36, "phishing-pot": 0.24}
"""What `times_as_fast_as_stdlib` may not fall below: half of what it was on 2026-11-26, on a busy machine."""
SMALL, LARGE = 4 * MIB, 64 * MIB
MOST_SECONDS, MOST_MEMORY = 900, 8 * 1024 * MIB
"""Processor time and memory that one shape may take of both sizes."""
RECIPIENTS = ("delivered-to", "x-original-to", "x-envelope-to", "envelope-to", "apparently-to", "to")


def places(every: int) -> dict[str, Any]:
    """Search each place for its person, and for another one."""
    missed: dict[str, list[str]] = {}
    false: dict[str, list[str]] = {}
    tried = 0
    for number, case in enumerate(leak_places.cases()):
        if number % every:
            continue
        tried += 1
        who = Identity(case.person.addresses, case.person.names)
        if not find_leaks(case.raw, who):
            missed.setdefault(case.place, []).append(case.hidden[0])
        if found := find_leaks(case.raw, NOBODY):
            false.setdefault(case.place, []).append(str(found[0]))
    return {"tried": tried, "missed": missed, "false": false}


def known() -> Iterator[tuple[str, bytes, Identity]]:
    """Each message of the corpora whose recipient is known: its name, its bytes, and whose it is."""
    for corpus in CORPORA:
        with zipfile.ZipFile(DATA / f"{corpus}.zip") as opened:
            for name in sorted(one for one in opened.namelist() if not one.endswith(("/", ".md", ".json"))):
                raw = opened.read(name)
                if corpus == "phishing-pot":
                    # The collection put phishing@pot for its trap, but not where that stood encoded.
                    yield name, raw, Identity(("phishing@pot", "rodrigo-f-p@hotmail.com"), ("Rodrigo",))
                elif (address := recipient(raw)) is not None:
                    yield name, raw, Identity((address,))


def recipient(raw: bytes) -> str | None:
    """The address that a header says the message went to."""
    message = email.message_from_bytes(raw, policy=compat32)
    for field in RECIPIENTS:
        for _, address in getaddresses([str(value) for value in message.get_all(field, [])[:1]]):
            local, at, domain = address.partition("@")
            if (
                at
                and local.isascii()
                and domain.isascii()
                and "." in domain
                and not set(address) & set(' "<>()')
            ):
                return address
    return None


def real(every: int) -> dict[str, Any]:
    """Redact each message and search it; search it unredacted too, and for somebody else."""
    tried = shown = refused = 0
    leaks: dict[str, str] = {}
    in_files: dict[str, str] = {}
    false: dict[str, str] = {}
    missed: list[str] = []
    for number, (name, raw, who) in enumerate(known()):
        if number % every:
            continue
        tried += 1
        if found := find_leaks(raw, NOBODY):
            false[name] = str(found[0])
        if find_leaks(raw, who):
            shown += 1
        elif who.addresses[0].lower().encode() in raw.lower():
            missed.append(name)
        try:
            done = redact(raw, who, key=KEY)
        except CannotRedact:
            refused += 1
            continue
        if found := find_leaks(done.raw, who):
            told = in_files if all("unpacked" in leak.how for leak in found) else leaks
            told[name] = "; ".join(f"{leak.what} ({leak.how}, {leak.where})" for leak in found[:3])
    counts = {"tried": tried, "unredacted": shown, "refused": refused, "in_files": in_files}
    return counts | {"missed": missed, "leaks": leaks, "false": false}


def stdlib(raw: bytes) -> None:
    """Parse a message and decode all of its parts with the standard library."""
    for part in email.message_from_bytes(raw, policy=compat32).walk():
        part.get_payload(decode=True)


def timed(work: Callable[[bytes], object], messages: list[bytes]) -> float:
    """Processor seconds for all messages."""
    began = time.process_time()
    for raw in messages:
        work(raw)
    return time.process_time() - began


def speed(every: int) -> dict[str, Any]:
    """Rates on redacted mail, which is what is searched, and the ratio to the standard library."""
    found: dict[str, Any] = {}
    who = Identity(("phishing@pot", "rodrigo-f-p@hotmail.com"), ("Rodrigo Ferreira",))

    def ours(raw: bytes) -> object:
        return find_leaks(raw, who)

    for corpus in CORPORA:
        with zipfile.ZipFile(DATA / f"{corpus}.zip") as opened:
            names = sorted(one for one in opened.namelist() if not one.endswith(("/", ".md", ".json")))
            messages = [opened.read(name) for name in names[:: 20 * every]]
        messages = [redact(raw, who, key=KEY).raw for raw in messages]
        size = sum(map(len, messages))
        first = timed(ours, messages)
        rounds = [(timed(ours, messages), timed(stdlib, messages)) for _ in range(5)]
        found[corpus] = {
            "messages": len(messages),
            "bytes": size,
            "mb_per_second_the_first_time": round(size / first / 1e6, 1),
            "mb_per_second": round(statistics.median(size / mine / 1e6 for mine, _ in rounds), 1),
            "stdlib_mb_per_second": round(statistics.median(size / theirs / 1e6 for _, theirs in rounds), 1),
            "times_as_fast_as_stdlib": round(statistics.median(theirs / mine for mine, theirs in rounds), 2),
        }
    return found


def shape(name: str) -> dict[str, Any]:
    """What an octet of a large message costs beside one of a small message of the same shape."""
    who = Identity(("alice.reporter@victim.example", "al@victim.example"), ("Alice Miller",))
    find_leaks(b"Subject: hello\r\n\r\nhello\r\n", who)
    before, seconds, leaks = peak(), {}, []
    for size in (SMALL, LARGE):
        raw = leak_places.HOSTILE[name](size)
        began = time.process_time()
        leaks = find_leaks(raw, who)
        seconds[size] = time.process_time() - began
    return {
        "seconds": round(seconds[LARGE], 1),
        "cost_per_byte_64_to_4": round(seconds[LARGE] / LARGE / (seconds[SMALL] / SMALL), 2),
        "peak_mib": peak() // MIB,
        "octets_per_octet": round((peak() - before) / LARGE),
        "said": sorted({f"{leak.what}: {leak.how}"[:80] for leak in leaks})[:3],
    }


def peak() -> int:
    """Octets of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compiled_speed(every: int, unpacked: Path) -> dict[str, Any]:
    """What `speed` says where the compiled modules are found first."""
    ran = subprocess.run(
        compiled.command(f"import json; from bench.leaks import speed; print(json.dumps(speed({every})))"),
        env=compiled.environment(unpacked, compiled.ROOT),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def both_speeds(every: int, made: Path | None) -> dict[str, Any]:
    """What `speed` says of the source, and of a wheel (raises SystemExit where none can be made)."""
    with TemporaryDirectory() as folder:
        unpacked = Path(folder, "unpacked")
        compiled.made_ready(made, unpacked)
        return {"plain": speed(every), "compiled": compiled_speed(every, unpacked)}


def hostile() -> dict[str, Any]:
    """Each shape in a process of its own, stopped where it takes too much."""
    found: dict[str, Any] = {}
    for name in leak_places.HOSTILE:
        command = [sys.executable, "-m", "bench.leaks", "--only", "hostile", "--shape", name]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        print(name, ran.stdout or ran.returncode, file=sys.stderr)
        found |= json.loads(ran.stdout or "{}").get("hostile", {name: {"stopped": ran.returncode}})
    return found


def main() -> None:
    """Measure, print, tell by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", choices=("places", "real", "speed", "hostile"))
    parser.add_argument("--compiled", type=Path, metavar="FOLDER")
    parser.add_argument("--shape", choices=leak_places.HOSTILE)
    options = parser.parse_args()
    only = options.only
    if only in {None, "real", "speed"} and not all((DATA / f"{name}.zip").exists() for name in CORPORA):
        print(f"the messages are not here ({DATA} is absent)", file=sys.stderr)
        sys.exit(69)
    document: dict[str, Any] = {}
    if only in {None, "places"}:
        document["places"] = places(options.every)
    if only in {None, "real"}:
        document["real"] = real(options.every)
    if only in {None, "speed"}:
        document["speed"] = both_speeds(options.every, options.compiled)
    if only in {None, "hostile"}:
        if options.shape:
            resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        document["hostile"] = {options.shape: shape(options.shape)} if options.shape else hostile()
    print(json.dumps(document, indent=1, ensure_ascii=False))
    wrong = [
        document.get(part, {}).get(kind)
        for part in ("places", "real")
        for kind in ("missed", "false", "leaks")
    ]
    rates = document.get("speed", {}).get("compiled", {})
    slow = [one["times_as_fast_as_stdlib"] < FLOORS[name] for name, one in rates.items()]
    sys.exit(1 if any(wrong) or any(slow) else 0)


if __name__ == "__main__":
    main()
