"""How fast mail is taken in, as JSON: our door with group commit, beside three peers in the same run.

Messages of 10 KB over loopback from Postfix's smtp-source; every server is a process of its own, all take
turns, several rounds. `door` has every message in SQLite (WAL, synchronous=FULL) before it answers 250.
`stock` (aiosmtpd as it comes) and `smtp_sink` (Postfix's, in C) store nothing, `postfix` puts them into its
queue. Figures are messages per second; `cpu_us` is the server's processor time per message.
Exits 69 without smtp-source (Debian: postfix). `--rounds N`, `--shrink N` (an Nth of the messages).
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiosmtpd import smtp as aiosmtpd_smtp

from complaints.group_commit import GroupCommit
from complaints.smtp_in import Intake, serve_smtp
from complaints.smtp_protocol import Entrance
from tests import postfix

RECIPIENT = "report@plaint.example"
PAUSE = 1.0
"""Seconds between rounds, in which Postfix empties its queue and the disk comes to rest."""


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

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def writer(path: Path) -> Callable[[Sequence[tuple[str, bytes]]], None]:
    """Write into one SQLite table, through a connection of the thread that writes first."""
    opened: list[sqlite3.Connection] = []

    def write(items: Sequence[tuple[str, bytes]]) -> None:
        if not opened:
            connection = sqlite3.connect(path, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("CREATE TABLE mail (id INTEGER PRIMARY KEY, sender TEXT, raw BLOB)")
            opened.append(connection)
        # One statement for all: executemany would let go of the interpreter lock for every row and queue for
        # it again behind the busy event loop (measured: a third slower).
        rows = ", ".join(["(?, ?)"] * len(items))
        opened[0].execute(
            f"INSERT INTO mail (sender, raw) VALUES {rows}", [part for item in items for part in item]
        )

    return write


async def serve_door(folder: Path) -> int:
    """Start our door; answers its port."""
    commits = GroupCommit(writer(folder / "mail.sqlite"))

    async def known(address: str) -> str | None:
        return address if address == RECIPIENT else None

    async def accept(recipients: list[str], mail_from: str, raw: bytes) -> None:
        assert recipients == [RECIPIENT]
        await commits.put((mail_from, raw))

    intake = Intake(known=known, accept=accept)
    server = await serve_smtp(("127.0.0.1", 0), Entrance("mx.plaint.example", 1 << 25), intake=intake)
    return server.port


async def serve_stock(_folder: Path) -> int:
    """Start aiosmtpd with only the host name given, which it would look up for every connection."""

    class Sink:
        async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
            return "250 OK"

    loop = asyncio.get_running_loop()
    sink = Sink()
    server = await loop.create_server(
        lambda: aiosmtpd_smtp.SMTP(sink, hostname="mx", loop=loop), "127.0.0.1", 0
    )
    return int(server.sockets[0].getsockname()[1])


async def be_server(name: str, folder: Path) -> None:
    """Say the port on stdout, then serve until killed."""
    print(await {"door": serve_door, "stock": serve_stock}[name](folder), flush=True)
    await asyncio.Event().wait()


@contextmanager
def ours(name: str, folder: Path) -> Iterator[Server]:
    """Run this file as a server."""
    command = [sys.executable, "-m", "bench.intake", "--serve", name, "--folder", str(folder)]
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


def load(program: str, server: Server, shape: Shape, shrink: int) -> dict[str, float]:
    """One round: messages per second, and processor time per message where it can be told."""
    messages = shape.messages // shrink
    kind = ["-d"] if shape.reused else []
    sizes = ["-s", str(shape.connections), "-m", str(messages), "-l", "10240"]
    envelope = ["-f", "ann@reporter.example", "-t", RECIPIENT, f"127.0.0.1:{server.port}"]
    cpu = server.cpu_seconds() if server.pid else 0.0
    began = time.monotonic()
    subprocess.run([program, *kind, *sizes, *envelope], check=True, timeout=300)
    rate = {"rate": messages / (time.monotonic() - began)}
    return rate | {"cpu_us": (server.cpu_seconds() - cpu) / messages * 1e6} if server.pid else rate


def summary(figures: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Median, least and most of each server, and what the door makes of each peer's median."""
    rates = {name: [round_["rate"] for round_ in rounds] for name, rounds in figures.items()}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    table: dict[str, Any] = {
        name: {"median": round(medians[name]), "min": round(min(values)), "max": round(max(values))}
        for name, values in rates.items()
    }
    for name, rounds in figures.items():
        if "cpu_us" in rounds[0]:
            table[name]["cpu_us"] = round(statistics.median(r["cpu_us"] for r in rounds))
    ratios = {
        f"door/{name}": round(medians["door"] / rate, 2) for name, rate in medians.items() if name != "door"
    }
    return {"messages_per_second": table, "ratios": ratios}


def measure(source: str, rounds: int, shrink: int) -> dict[str, Any]:
    """Run all servers at once, load them in turns."""
    figures: dict[str, dict[str, list[dict[str, float]]]] = {name: defaultdict(list) for name in SHAPES}
    skipped = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {name: stack.enter_context(ours(name, folder)) for name in ("door", "stock")}
        if sink := shutil.which("smtp-sink", path="/usr/sbin"):
            servers["smtp_sink"] = stack.enter_context(smtp_sink(sink))
        if reason := postfix.missing():
            skipped["postfix"] = reason
        else:
            servers["postfix"] = Server(stack.enter_context(postfix.running()).port)
        for _ in range(rounds):
            for kind, shape in SHAPES.items():
                for name, server in servers.items():
                    figures[kind][name].append(load(source, server, shape, shrink))
                    time.sleep(PAUSE)
        stored = stored_messages(folder / "mail.sqlite")
    sent = rounds * sum(shape.messages // shrink for shape in SHAPES.values())
    assert stored == sent, f"{sent} messages were answered 250 but {stored} are stored"
    shapes = {kind: summary(by_server) for kind, by_server in figures.items()}
    return {"message_bytes": 10240, "rounds": rounds, "stored": stored, "shapes": shapes, "skipped": skipped}


def stored_messages(path: Path) -> int:
    """Count what the door has kept."""
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM mail").fetchone()[0])
    finally:
        connection.close()


def main() -> None:
    """Be a server of the benchmark, or the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(be_server(options.serve, options.folder))
        return
    source = shutil.which("smtp-source", path="/usr/sbin")
    if source is None:
        print("smtp-source, which sends the messages, is not installed (Debian: postfix)", file=sys.stderr)
        sys.exit(69)
    print(json.dumps(measure(source, options.rounds, options.shrink), indent=1))


if __name__ == "__main__":
    main()
