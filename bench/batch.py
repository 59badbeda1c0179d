"""What `plaint batch` costs, as JSON: real messages from an mbox into the local database; and its parts.

An mbox of `--messages` (10,000) real messages from ../shared/data is handed in by the command itself, up to
"awaiting consent", with lookups warmed by a run before (loopback registries in a process of their own).
Then the parts are measured in this process, over the same messages, in processor time:

- `trace`: parse and trace; `read`: the whole evidence, links and signatures with it
- `insert`: accepting and unwrapping, in the same groups, into a fresh database
- `lookups`: the desks of every question, all known

`ratio` is the sum of trace and insert over the processor time of all processes of the batch, `ratio_of_all`
that of insert, read and lookups. `look_ms` is what the first look at a complaint costs: redacting, composing
and searching all its reports, which a batch does not do. `peak_mb` is the memory of all its processes at one
time, shared pages counted once (PSS), `rss_mb` counted in each. `large` is an mbox of `--gigabytes` (3), most
of it mails that are too large, of which nothing may be held. `compiled` is how many modules of ours were
compiled ones: none of the source as it stands; `--compiled FOLDER` measures the wheel that scripts/compile
left there, command and parts alike. Exits 69 without ../shared/data or that wheel, 1 where a bound is missed.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import select

from bench import compiled
from bench.evidence import CORPORA, DATA, corpus
from complaints import report, reporters
from complaints.batch import MOST_BYTES
from complaints.client import Local
from complaints.contacts import questions
from complaints.mbox import pieces
from complaints.message import parse
from complaints.models import Complaint, ComplaintState, Report
from complaints.office import Office
from complaints.outside import looking_up
from complaints.settings import load
from complaints.spam import read
from complaints.trace import trace
from complaints.trust import Trust

ALICE = "alice@victim.example"
FROM = b"From bulk@pills.example Thu Nov 26 10:00:00 2026\n"
WORLD = '[catch_all]\nregistry = "arin"\nabuse = "abuse@net-{net}.example"\nnames = "198.51.100.77"\n'
AT_LEAST, AT_MOST_MB = 0.5, 300
TRUST = Trust.of([])
PARTS = ("trace", "read", "insert", "lookups")
LOOKED_AT = 200
"""Complaints whose reports are written, to tell what a look costs."""
_HEAD, _FIELD = re.compile(rb"\AFrom [^\n]*\n"), re.compile(rb"[!-9;-~]+[ \t]*:")


def messages(count: int) -> list[bytes]:
    """Real messages, spread over the corpora; more than there are differ in their subjects."""
    found = [_HEAD.sub(b"", raw) for name in CORPORA for raw in corpus(name, max(count // 2, 1))]
    found = [raw for raw in found if _FIELD.match(raw) and len(raw) < MOST_BYTES][:count]
    rounds, wanted = 0, list(found)
    while len(wanted) < count:
        rounds += 1
        again = [raw.replace(b"\nSubject: ", b"\nSubject: %d " % rounds, 1) for raw in found]
        wanted += [new for new, raw in zip(again, found, strict=True) if new != raw]
    return wanted[:count]


def write_mbox(file: Path, mails: Sequence[bytes]) -> None:
    """As mboxrd."""
    with file.open("wb") as out:
        for raw in mails:
            body = raw.replace(b"\nFrom ", b"\n>From ")
            out.write(FROM + body + (b"" if body.endswith(b"\n") else b"\n") + b"\n")


@contextmanager
def internet(folder: Path) -> Iterator[dict[str, str]]:
    """Loopback registries that answer for everything; leaves the variables of a shell in them."""
    (folder / "world.toml").write_text(WORLD)
    command = [sys.executable, "-m", "complaints.loopback", str(folder / "world.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        settings = {}
        while (line := process.stdout.readline()).startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            settings[name] = value.strip("'")
        try:
            yield settings | {"PLAINT_LIMIT_LOOKUPS": "0", "PLAINT_MAIL_DOMAIN": "plaint.example"}
        finally:
            process.terminate()


@dataclass(frozen=True)
class Cost:
    """Of one run of the command: seconds, processor seconds, and the most memory at one time in megabytes."""

    seconds: float
    cpu: float
    pss: float
    rss: float


def run_batch(mbox: Path, data: Path) -> Cost:
    """`plaint batch`, with all its processes watched."""
    command = [
        sys.executable,
        "-m",
        "cli",
        "batch",
        str(mbox),
        "--json",
        "--data",
        str(data),
        "--reporter",
        ALICE,
    ]
    began, peak = time.perf_counter(), {"Pss": 0.0, "Rss": 0.0}
    with (data.parent / "lines.jsonl").open("w") as lines, subprocess.Popen(command, stdout=lines) as process:
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                break
            for name, megabytes in memory(process.pid).items():
                peak[name] = max(peak[name], megabytes)
            time.sleep(0.1)
    assert process.returncode in {0, 1}, process.returncode
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, peak["Pss"], peak["Rss"])


def memory(pid: int) -> dict[str, float]:
    """What a process and all that come from it hold now, in megabytes."""
    total = {"Pss": 0.0, "Rss": 0.0}
    for one in family(pid):
        for line in _text(Path(f"/proc/{one}/smaps_rollup")).splitlines():
            name, _, rest = line.partition(":")
            if name in total:
                total[name] += int(rest.split()[0]) / 1024
    return total


def family(pid: int) -> Iterator[int]:
    """A process, and all that come from it."""
    yield pid
    with suppress(OSError):  # it has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in _text(task / "children").split():
                yield from family(int(child))


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # it has just ended
        return ""


def fresh(data: Path, warm: Path | None = None) -> Office:
    """A data directory with a reporter, and what a lookup before has learned."""
    data.mkdir()
    for file in warm.glob("lookups*") if warm else ():
        shutil.copy(file, data)
    office = Office.open(load(data=data))
    with office.db.transaction() as session:
        reporters.add(session, office, ALICE, verified=True)
    return office


def parts(done: Office, mails: Sequence[bytes], empty: Office) -> dict[str, float]:
    """Processor seconds of each part alone."""
    costs: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        costs[name] = time.process_time() - began

    with part("trace"):
        for raw in mails:
            trace(parse(raw), TRUST)
    with part("read"):
        for raw in mails:
            read(raw, TRUST).document()
    with Local(empty.settings, ALICE) as work, part("insert"):
        for first in range(0, len(mails), Local.most_at_once):
            list(
                work.hand_in([(raw, "") for raw in mails[first : first + Local.most_at_once]], "", time.sleep)
            )
    with done.db.reading() as session:
        reporter = reporters.find(session, ALICE)
        assert reporter is not None
        waiting = select(Complaint).where(Complaint.state == ComplaintState.AWAITING_CONSENT)
        ids = [one.id for one in session.exec(waiting)]
    own = done.own_domains(reporter)
    targets: list[str] = []
    looks: list[float] = []
    for one in ids:
        with done.db.reading() as session:
            complaint = session.get_one(Complaint, one)
            rows = list(session.exec(select(Report).where(Report.complaint_id == one)))
            spam = done.spam_of(session, complaint)
        assert complaint.evidence is not None
        targets += [
            asked.target for asked in questions(complaint.source_ip or "", complaint.evidence, own)[0]
        ]
        if len(looks) < LOOKED_AT:
            began = time.process_time()
            report.write(done, reporter, complaint, rows, spam)
            looks.append(time.process_time() - began)

    async def look() -> None:
        async with looking_up(done) as lookup:
            with part("lookups"):
                for target in targets:
                    await lookup.find_contacts(target)

    asyncio.run(look())
    look_ms = sum(looks) / max(len(looks), 1) * 1000
    return costs | {"awaiting": len(ids), "asked": len(targets), "look_ms": look_ms}


def large(folder: Path, gigabytes: float, mails: Sequence[bytes]) -> dict[str, Any]:
    """An mbox that is mostly one hole after the other, each too large a mail; how it is handed in."""
    file = folder / "large.mbox"
    write_mbox(file, mails)
    with file.open("r+b") as out:
        out.seek(0, os.SEEK_END)
        for _ in range(int(gigabytes * 10)):
            out.write(FROM + b"Subject: a hole\n\n")
            out.seek(100_000_000, os.SEEK_CUR)
            out.write(b"\n\n")
    office = fresh(folder / "large")
    office.close()
    cost = run_batch(file, folder / "large")
    return {
        "gigabytes": round(file.stat().st_size / 1e9, 2),
        "seconds": round(cost.seconds, 1),
        **_memory(cost),
    }


def _memory(cost: Cost) -> dict[str, int]:
    return {"peak_mb": round(cost.pss), "rss_mb": round(cost.rss)}


def main() -> int:
    """Measure, print, and say whether the bounds hold."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--messages", type=int, default=10_000)
    options.add_argument("--gigabytes", type=float, default=3.0)
    options.add_argument("--compiled", type=Path, metavar="FOLDER")
    given = options.parse_args()
    if given.compiled:
        return of_wheel(
            given.compiled, ["--messages", f"{given.messages}", "--gigabytes", f"{given.gigabytes}"]
        )
    if not DATA.exists():
        sys.stderr.write(f"{DATA} is missing: there is nothing to measure with\n")
        return 69
    mails = messages(given.messages)
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as name:
        folder = Path(name)
        write_mbox(folder / "spam.mbox", mails)
        with internet(folder) as settings:
            os.environ.update(settings)
            fresh(folder / "cold").close()
            cold = run_batch(folder / "spam.mbox", folder / "cold")
            office = fresh(folder / "warm", folder / "cold")
            warm = run_batch(folder / "spam.mbox", folder / "warm")
            costs = parts(office, mails, fresh(folder / "empty"))
            figures = {"large": large(folder, given.gigabytes, mails[:50])}
            began = time.process_time()
            with (folder / "spam.mbox").open("rb") as stream:
                assert sum(1 for _ in pieces(stream, MOST_BYTES)) == len(mails)
            reading = (folder / "spam.mbox").stat().st_size / 1e6 / (time.process_time() - began)
            office.close()
    told = tell(len(mails), cold, warm, costs) | {"mbox_mb_per_cpu_second": round(reading)} | figures
    print(json.dumps(told, indent=2))
    missed = told["ratio"] < AT_LEAST or max(told["peak_mb"], figures["large"]["peak_mb"]) > AT_MOST_MB
    return int(missed)


def of_wheel(folder: Path, arguments: list[str]) -> int:
    """Measure where the modules of a wheel are found first, by this process and all that it starts."""
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as name:
        unpacked = Path(name) / "unpacked"
        compiled.made_ready(folder, unpacked)
        command = compiled.command("import sys; from bench.batch import main; sys.exit(main())")
        environment = compiled.environment(unpacked, compiled.ROOT)
        return subprocess.run([*command, *arguments], cwd=name, env=environment, check=False).returncode


def _compiled() -> int:
    loaded = [module for name, module in sys.modules.items() if name.startswith("complaints.")]
    return sum((module.__file__ or "").endswith(".so") for module in loaded)


def tell(count: int, cold: Cost, warm: Cost, costs: dict[str, float]) -> dict[str, Any]:
    """The figures; processor time in milliseconds per message."""
    alone = {name: round(costs[name] / count * 1000, 2) for name in PARTS}
    whole = warm.cpu / count * 1000
    return {
        "messages": count,
        "compiled": _compiled(),
        "awaiting_consent": costs["awaiting"],
        "lookups_per_complaint": round(costs["asked"] / max(costs["awaiting"], 1), 1),
        "per_second": round(count / warm.seconds, 1),
        "per_second_cold": round(count / cold.seconds, 1),
        "cpu_ms": round(whole, 2),
        "parts_cpu_ms": alone,
        "look_ms": round(costs["look_ms"], 2),
        "ratio": round((alone["trace"] + alone["insert"]) / whole, 2),
        "ratio_of_all": round((sum(alone.values()) - alone["trace"]) / whole, 2),
        "wall_ratio": round((sum(alone.values()) - alone["trace"]) / (warm.seconds / count * 1000), 2),
        **_memory(warm),
    }


if __name__ == "__main__":
    sys.exit(main())
