"""A real PostgreSQL server in a folder of its own, on a free port, beside whatever the machine runs."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from complaints.demo import free_port

UNSAFE = "-c fsync=off -c full_page_writes=off"
"""For tests that kill this service only, never the machine: the server need not wait for the disk."""


def programs() -> Path | None:
    """The folder of its programs, None where it is not installed (Debian: apt-get install postgresql)."""
    found = shutil.which("initdb")
    folders = (
        [Path(found).resolve().parent]
        if found
        else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server, and how it is stopped and started. `url` ends where a database name begins."""

    url: str
    control: tuple[str, ...]

    def start(self) -> None:
        """Return when it takes connections."""
        subprocess.run([*self.control, "start"], check=True, capture_output=True, cwd="/")

    def stop(self) -> None:
        """Cut its connections, and return when it is gone."""
        subprocess.run([*self.control, "-m", "fast", "stop"], check=True, capture_output=True, cwd="/")


@contextmanager
def running(programs: Path, options: str = "") -> Iterator[Server]:
    """Run a server, with more options for it if given; it is removed at the end."""
    # Not in a folder of root's: the server refuses to run as root, and "postgres" cannot enter there
    folder = Path(tempfile.mkdtemp(prefix="plaint-postgres-"))
    prefix: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        prefix = ["runuser", "-u", "postgres", "--"]
    port = free_port()
    data = folder / "data"
    subprocess.run(
        [*prefix, programs / "initdb", "-D", data, "-A", "trust", "-U", "plaint", "--no-sync", "--wal-segsize=1", "-E", "UTF8", "--locale=C"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    given = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200 {options}"
    control = (
        *(*prefix, str(programs / "pg_ctl"), "-D", str(data)),
        *("-w", "-l", str(folder / "log"), "-o", given),
    )
    server = Server(f"postgresql://plaint@127.0.0.1:{port}/", control)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def database(server: str, template: str = "template1") -> Iterator[str]:
    """The URL of a database of its own on a server (a URL without a name), a copy of `template`."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server + "postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield server + name
    with psycopg.connect(server + "postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
