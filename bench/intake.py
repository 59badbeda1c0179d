"""How fast mail is taken in, as JSON: `plaint serve --role smtp`, beside three peers in the same run.

Messages of 10 KB over loopback from Postfix's smtp-source; every server is a process of its own, all take
turns, several rounds. `plaint` looks up the recipient and has every message as a sealed submission in SQLite
(WAL, synchronous=FULL) before it answers 250, `plaint_pg` in PostgreSQL (fsync on). `stock` (aiosmtpd as it
comes) and `smtp_sink` (Postfix's, in C) store nothing, `postfix` puts them into its queue. Figures are
messages per second; `cpu_us` is the server's processor time per message (PostgreSQL's own not counted).
`floors` are the ratios that are promised. `latency` is of the 250 after the dot, over 50 connections at half
the rate measured before. `flushes` counts fsync and fdatasync of one round of `plaint` (strace).
`--rounds N`, `--shrink N` (an Nth of the messages), `--long N`: send so many more and watch the memory.
Exits 69 without smtp-source (Debian: postfix), 1 where a floor is missed.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiosmtpd import smtp as aiosmtpd_smtp
from sqlalchemy import func
from sqlmodel import select

from bench.house import REPORTER, House, furnished, postgresql_database, serving
from complaints.models import Submission
from complaints.office import Office
from tests import postfix

PAUSE = 1.0
"""Seconds between rounds, in which Postfix empties its queue and the disk comes to rest."""
FLOORS = {
    ("reused_50", "stock"): 3.0,
    ("reused_50", "postfix"): 4.0,
    ("fresh_50", "stock"): 2.0,
    ("fresh_50", "postfix"): 2.0,
    ("reused_1", "postfix"): 1.0,
    ("fresh_1", "postfix"): 1.0,
}
"""What the median of `plaint` is at least, as a multiple of a peer's."""
POSTGRESQL_FLOOR = 0.75
"""What that of `plaint_pg` is at least, as a multiple of that of `plaint`, with 50 connections."""
MOST_MILLISECONDS = 100.0


@dataclass(frozen=True)
class Shape:
    """One kind of load: connections at once, messages of a round, a new connection for each or not."""

    connections: int
    messages: int
    reused: bool


SHAPES = {
    "reused_50": Shape(50, 8000, reused=True),
    "reused_1": Shape(1, 2000, reused=True),
    "fresh_50": Shape(50, 4000, reused=False),
    "fresh_1": Shape(1, 1000, reused=False),
}


@dataclass(frozen=True)
class Server:
    """A running server; `pid` where its processor time is that of one process."""

    port: int
    pid: int | None = None
    recipient: str = "report@plaint.example"

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> float:
        """Resident memory now."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024


async def be_stock() -> None:
    """Start aiosmtpd with only the host name given, which it would look up for every connection."""

    class Sink:
        async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
            return "250 OK"

    loop = asyncio.get_running_loop()
    sink = Sink()
    server = await loop.create_server(
        lambda: aiosmtpd_smtp.SMTP(sink, hostname="mx", loop=loop), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


@contextmanager
def stock() -> Iterator[Server]:
    """Run this file as the stock server."""
    command = [sys.executable, "-m", "bench.intake", "--be-stock"]
    with subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    ) as process:
        try:
            assert process.stdout is not None
            yield Server(int(process.stdout.readline()), process.pid)
        finally:
            process.terminate()


@contextmanager
def smtp_sink(program: str) -> Iterator[Server]:
    """Run Postfix's smtp-sink."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with subprocess.Popen([program, "-u", "nobody", f"127.0.0.1:{port}", "1000"]) as process:
        try:
            time.sleep(0.5)
            yield Server(port, process.pid)
        finally:
            process.terminate()


def send(program: str, server: Server, shape: Shape, messages: int) -> None:
    """Send messages and return when the last is answered; raises CalledProcessError where one is refused."""
    kind = ["-d"] if shape.reused else []
    sizes = ["-s", str(shape.connections), "-m", str(messages), "-l", "10240"]
    envelope = ["-f", REPORTER, "-t", server.recipient, f"127.0.0.1:{server.port}"]
    subprocess.run([program, *kind, *sizes, *envelope], check=True, timeout=900)


def load(program: str, server: Server, shape: Shape, messages: int) -> dict[str, float]:
    """One round: messages per second, and processor time per message where it can be told."""
    cpu = server.cpu_seconds() if server.pid else 0.0
    began = time.monotonic()
    send(program, server, shape, messages)
    rate = {"rate": messages / (time.monotonic() - began)}
    return rate | {"cpu_us": (server.cpu_seconds() - cpu) / messages * 1e6} if server.pid else rate


def summary(figures: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Median, least and most of each server, and what `plaint` makes of each peer's median."""
    rates = {name: [round_["rate"] for round_ in rounds] for name, rounds in figures.items()}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    table: dict[str, Any] = {
        name: {"median": round(medians[name]), "min": round(min(values)), "max": round(max(values))}
        for name, values in rates.items()
    }
    for name, rounds in figures.items():
        if "cpu_us" in rounds[0]:
            table[name]["cpu_us"] = round(statistics.median(r["cpu_us"] for r in rounds))
    ratios = {name: round(medians["plaint"] / rate, 2) for name, rate in medians.items() if name != "plaint"}
    return {"messages_per_second": table, "plaint_over": ratios}


def floors(shapes: dict[str, Any]) -> list[dict[str, Any]]:
    """Each floor beside what was measured, where its peer ran."""
    rows = []
    for (shape, peer), floor in FLOORS.items():
        if (ratio := shapes[shape]["plaint_over"].get(peer)) is not None:
            rows.append({"what": f"{shape} plaint/{peer}", "ratio": ratio, "floor": floor})
    for shape in ("reused_50", "fresh_50"):
        if over := shapes[shape]["plaint_over"].get("plaint_pg"):
            ratio = round(1 / over, 2)
            rows += [{"what": f"{shape} plaint_pg/plaint", "ratio": ratio, "floor": POSTGRESQL_FLOOR}]
    return [row | {"holds": row["ratio"] >= row["floor"]} for row in rows]


async def paced(server: Server, rate: float, seconds: float) -> list[float]:
    """Send so many messages per second over 50 reused connections; milliseconds from the dot to the 250."""
    connections, waits = 50, []
    mail = b"Subject: paced\r\n\r\n" + b"".join(b"%076d\r\n" % n for n in range(130)) + b".\r\n"
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.5

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await reader.readline()
        due = begin + number / rate
        for said in [b"HELO bench\r\n"]:
            writer.write(said)
            await reader.readline()
        while due < begin + seconds:
            await asyncio.sleep(max(0.0, due - loop.time()))
            for said in (b"MAIL FROM:<>\r\n", b"RCPT TO:<%s>\r\n" % server.recipient.encode(), b"DATA\r\n"):
                writer.write(said)
                await reader.readline()
            writer.write(mail)
            sent = loop.time()
            assert (await reader.readline()).startswith(b"250")
            waits.append((loop.time() - sent) * 1000)
            due += connections / rate
        writer.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    return waits


def latency(server: Server, rate: float) -> dict[str, float]:
    """The 250 at this rate."""
    waits = sorted(asyncio.run(paced(server, rate, 10.0)))
    p99 = waits[int(len(waits) * 0.99)]
    return {"rate": round(rate), "p50_ms": round(statistics.median(waits), 1), "p99_ms": round(p99, 1)}


def flushes(program: str, server: Server, messages: int) -> dict[str, Any]:
    """Count the flushes to disk of one round, from outside."""
    tracer = shutil.which("strace")
    if tracer is None:
        return {"skipped": "strace is not installed"}
    command = [tracer, "-f", "-c", "-e", "trace=fsync,fdatasync", "-p", str(server.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(1.0)
        send(program, server, SHAPES["reused_50"], messages)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    rows = [line.split() for line in said.splitlines()]
    counts = [int(row[3]) for row in rows if row and row[-1] in {"fsync", "fdatasync"}]
    return {"messages": messages, "flushes": sum(counts), "each": round(messages / max(1, sum(counts)), 1)}


def grown(program: str, server: Server, messages: int) -> dict[str, Any]:
    """Memory after a tenth of the messages and after all of them."""
    first = messages // 10
    send(program, server, SHAPES["reused_50"], first)
    before = server.megabytes()
    send(program, server, SHAPES["reused_50"], messages - first)
    return {
        "messages": messages,
        "mb_after_a_tenth": round(before, 1),
        "mb_at_the_end": round(server.megabytes(), 1),
    }


def measure(source: str, rounds: int, shrink: int, more: int) -> dict[str, Any]:
    """Run all servers at once, load them in turns."""
    figures: dict[str, dict[str, list[dict[str, float]]]] = {name: defaultdict(list) for name in SHAPES}
    skipped = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        houses = {"plaint": furnished(folder / "sqlite")}
        if database := stack.enter_context(postgresql_database()):
            houses["plaint_pg"] = furnished(folder / "postgresql", database)
        else:
            skipped["plaint_pg"] = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        servers = {
            name: Server(house.port, stack.enter_context(serving(house)).pid, house.address)
            for name, house in houses.items()
        }
        servers["stock"] = stack.enter_context(stock())
        if sink := shutil.which("smtp-sink", path="/usr/sbin"):
            servers["smtp_sink"] = stack.enter_context(smtp_sink(sink))
        if reason := postfix.missing():
            skipped["postfix"] = reason
        else:
            servers["postfix"] = Server(stack.enter_context(postfix.running()).port)
        for _ in range(rounds):
            for kind, shape in SHAPES.items():
                for name, server in servers.items():
                    figures[kind][name].append(load(source, server, shape, shape.messages // shrink))
                    time.sleep(PAUSE)
        sent = rounds * sum(shape.messages // shrink for shape in SHAPES.values())
        stored = {name: stored_messages(house) for name, house in houses.items()}
        assert set(stored.values()) == {sent}, f"{sent} messages were answered 250 but {stored} are stored"
        shapes = {kind: summary(by_server) for kind, by_server in figures.items()}
        results: dict[str, Any] = {"message_bytes": 10240, "rounds": rounds, "stored": stored}
        results |= {"shapes": shapes, "floors": floors(shapes), "skipped": skipped}
        half = shapes["reused_50"]["messages_per_second"]["plaint"]["median"] / 2
        results["latency"] = latency(servers["plaint"], half)
        results["flushes"] = flushes(source, servers["plaint"], 4000 // shrink)
        if more:
            results["memory"] = grown(source, servers["plaint"], more)
    return results


def stored_messages(house: House) -> int:
    """Count what a house has kept."""
    office = Office.open(house.settings)
    try:
        with office.db.reading() as session:
            return session.exec(select(func.count()).select_from(Submission)).one()
    finally:
        office.close()


def main() -> None:
    """Be a server of the benchmark, or the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--be-stock", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_stock:
        asyncio.run(be_stock())
        return
    source = shutil.which("smtp-source", path="/usr/sbin")
    if source is None:
        print("smtp-source, which sends the messages, is not installed (Debian: postfix)", file=sys.stderr)
        sys.exit(69)
    results = measure(source, options.rounds, options.shrink, options.long)
    print(json.dumps(results, indent=1))
    held = all(row["holds"] for row in results["floors"])
    sys.exit(0 if held and results["latency"]["p99_ms"] < MOST_MILLISECONDS else 1)


if __name__ == "__main__":
    main()
