"""`plaint serve` as an operator runs it, in a process of its own, with one reporter: for benches to load."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from complaints import reporters
from complaints.demo import free_port
from complaints.office import Office
from complaints.settings import Settings, load
from tests import postgresql

REPORTER = "ann@reporter.example"
START_SECONDS = 60.0


@dataclass(frozen=True)
class House:
    """A data directory with one reporter, and the secret address for spam."""

    settings: Settings
    address: str

    @property
    def port(self) -> int:
        """Where its mail comes in."""
        return int(self.settings.smtp.rpartition(":")[2])

    def serve(self) -> subprocess.Popen[bytes]:
        """Start its SMTP role; returns once it greets."""
        values = {
            name: getattr(self.settings, name) for name in ("smtp", "http", "mail_domain", "database_url")
        }
        given = {f"PLAINT_{name.upper()}": value for name, value in values.items() if value}
        command = [sys.executable, "-m", "cli", "serve", "--role", "smtp", "--data", str(self.settings.data)]
        root = Path(__file__).parents[1]
        process = subprocess.Popen(command, env=os.environ | given, cwd=root, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    if connection.recv(100).startswith(b"220"):
                        return process
            except OSError:
                time.sleep(0.02)
        process.kill()
        raise RuntimeError("plaint serve did not start")


def furnished(folder: Path, database: str | None = None) -> House:
    """Make a house in an empty folder; in a SQLite file of its own where no database is given."""
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("smtp", "http")}
    settings = load(data=folder, mail_domain="plaint.example", database_url=database, **ports)
    office = Office.open(settings)
    try:
        with office.db.transaction() as session:
            made = reporters.add(session, office, REPORTER, verified=True)
    finally:
        office.close()
    return House(settings, made.submission_address)


@contextmanager
def serving(house: House) -> Iterator[subprocess.Popen[bytes]]:
    """Run its service while the block runs; it need not live to the end."""
    process = house.serve()
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def postgresql_database() -> Iterator[str | None]:
    """A fresh database of a PostgreSQL server that waits for the disk; None where there is no PostgreSQL."""
    programs = postgresql.programs()
    if programs is None:
        yield None
        return
    with postgresql.running(programs) as server:
        name = f"bench_{uuid4().hex}"
        with psycopg.connect(server.url + "postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        yield server.url + name
