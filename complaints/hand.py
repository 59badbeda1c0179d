"""The children of the workbench, and the process that makes them: each reads lines of ids from its socket.

The maker (`main`) loads the program once, reads the settings from its standard input, and forks a child for
every socket that comes in there; so a child begins at once, and shares the memory of what was loaded. Each
line of a child, ids of complaints, is answered when all of them are done. When the parent is gone, the
sockets end, and so do all of them.
"""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TextIO, TypeVar

from sqlalchemy.orm import configure_mappers
from sqlmodel import col, select

from abuse_lookup import AbuseLookup
from abuse_lookup.desks import shipped_desks
from abuse_lookup.fetch import trusting
from complaints import confined, straight
from complaints.contacts import questions
from complaints.db import Database
from complaints.draft import proposed_desks
from complaints.logs import place_of
from complaints.models import Complaint
from complaints.office import Office
from complaints.outside import looking_up, sender
from complaints.own_hosts import Host, why_not
from complaints.settings import Settings
from complaints.spam import read
from complaints.trace import Trust
from complaints.trust import provider_of
from complaints.vault import Vault
from complaints.worker import Worker

log = logging.getLogger(__name__)
T = TypeVar("T")
SPECIMEN = b"""\
Received: from mail.bulk.example (mail.bulk.example [192.0.2.1]) by mx.victim.example with ESMTPS id 1;
 Thu, 26 Nov 2026 10:00:00 +0000
DKIM-Signature: v=1; a=rsa-sha256; d=bulk.example; s=a; h=from; bh=AAAA; b=AAAA
Authentication-Results: mx.victim.example; dkim=none
From: "Bulk" <a@bulk.example>
To: <b@victim.example>
Reply-To: <c@bulk.example>
Date: Thu, 26 Nov 2026 10:00:00 +0000
Message-ID: <1@bulk.example>
Subject: =?utf-8?q?A_specimen?=
Content-Type: multipart/alternative; boundary=x

--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

See http://shop.bulk.example/a=3D1, or www.bulk.example
--x
Content-Type: text/html; charset=utf-8

<html><body><a href="http://shop.bulk.example/a">Shop</a><img src="http://img.bulk.example/a"></body></html>
--x--
"""
"""A spam that has most of what makes a program look things up."""
LOOKED_THROUGH = 20_000
"""New objects after which Python looks for what nobody needs; most of a spam's go by themselves."""
STEPS = ("evidence", "contacts", "draft")


class AtOnce(ThreadPoolExecutor):
    """Runs what is given to it then and there.

    A child does one thing at a time: threads would only wait for each other, and for being woken up.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """A future that is done."""
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is raised where the future is awaited
            done.set_exception(error)
        return done


def rehearse(settings: Settings) -> None:
    """Have loaded now what is loaded at its first use: tables, lists of suffixes, patterns.

    A second of work and a third of the memory, which the children then share.
    """
    configure_mappers()
    trusting(settings.ca_file)
    document = read(SPECIMEN, Trust.of([])).document()
    proposed_desks({"lookups": [{"role": "source", "target": "192.0.2.1", "contacts": []}]}, set())
    questions("192.0.2.1", document, {"victim.example"})
    shipped_desks()
    provider_of("mx.victim.example")
    why_not(Host("host", "mx.victim.example"))


async def _work_off(settings: Settings, lines: TextIO) -> None:
    asyncio.get_running_loop().set_default_executor(AtOnce())
    # The parent has looked at the schema
    office = Office(settings, Vault.open(settings.data), Database(settings.database))
    try:
        async with looking_up(office) as lookup:
            worker = Worker(office, lookup, sender(settings, lookup))
            # In a thread of its own: what the lookups do in the background goes on meanwhile
            waiting = ThreadPoolExecutor(1)
            while line := await asyncio.get_running_loop().run_in_executor(waiting, lines.readline):
                ids: list[str] = json.loads(line)
                left = await _straight(office, lookup, ids)
                for step in STEPS if left else ():
                    await worker.run(step, *left)
                lines.write(json.dumps(await asyncio.to_thread(_states, office, ids)) + "\n")
                lines.flush()
    finally:
        office.close()


async def _straight(office: Office, lookup: AbuseLookup, ids: list[str]) -> list[str]:
    """All that can be, in one go; returns those that are left to be done step by step."""
    try:
        done = await straight.step(office, lookup, *ids)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
        log.error("complaints could not be worked off together: %s", place_of(error))  # noqa: TRY400 - see logs
        return ids
    return [one for one in ids if one not in done]


def _states(office: Office, ids: Sequence[str]) -> list[str]:
    with office.db.reading() as session:
        return [str(one) for one in session.exec(select(Complaint.state).where(col(Complaint.id).in_(ids)))]


def _child(ours: int, settings: Settings) -> int:
    """A child's whole life; returns its exit code."""
    try:
        with socket.socket(fileno=ours) as connection, connection.makefile("rw", encoding="utf-8") as lines:
            asyncio.run(_work_off(settings, lines))
    except ConnectionError:  # its parent is gone, and nobody is left to tell
        return 1
    except Exception as error:  # noqa: BLE001 - its parent sees that it is gone; what it had stays for later
        log.error("a child of the batch ended: %s", place_of(error))  # noqa: TRY400 - see logs
        return 1
    return 0


def _settings(asked: socket.socket) -> Settings | None:
    """The line that comes before all sockets, byte by byte, for those come with the bytes after it."""
    said = b""
    while not said.endswith(b"\n"):
        if not (more := asked.recv(1)):
            return None
        said += more
    return Settings.model_validate_json(said)


def main() -> None:
    """Make children until the parent is gone; Ctrl-C on the terminal is for that, which lets them end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    confined.make_ready("complaints.decoders")
    with socket.socket(fileno=sys.stdin.fileno()) as asked:
        if (settings := _settings(asked)) is None:
            return
        rehearse(settings)
        gc.collect()
        gc.freeze()  # what is loaded stays: it is not looked through again, nor copied for that
        gc.set_threshold(LOOKED_THROUGH)
        while True:
            said, sockets, _, _ = socket.recv_fds(asked, 1, 1)
            if not said:
                break
            if os.fork() == 0:
                asked.close()
                os._exit(_child(sockets[0], settings))
            os.close(sockets[0])
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    confined.stop()
    with suppress(ChildProcessError):
        while True:
            os.wait()


if __name__ == "__main__":
    main()
