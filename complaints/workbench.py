"""Reads and looks up the complaints of a batch in processes of its own, one per core; the parent hands in.

Takes ids of complaints, leaves them awaiting consent, or refused. What the children do is in `hand.py`. What
is not done when everything ends stands in the rows, for `plaint serve` or the next batch.
"""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from sqlmodel import col, select

from complaints.models import UNDERWAY, Complaint
from complaints.office import Office
from complaints.settings import Settings

AT_ONCE = 32
"""Complaints that a child works on at a time: they wait for name servers and registries together."""
RENEWED = 320
"""Complaints after which a child is replaced: what it keeps of lookups would grow with the mailbox."""
UNREAD = "not read yet"


class Workbench:
    """The children; as a context, it ends when all that was put on it is done.

    Where the block was left by an exception, it ends when what is under way is done.
    """

    def __init__(self, settings: Settings, left: Sequence[str] = ()) -> None:
        self.left = left
        """Complaints of earlier batches that are unread."""
        self.states: Counter[str] = Counter()
        """How many complaints came to which state; whole once the block has ended."""
        self._counting = threading.Lock()
        self._settings = settings
        hands = len(os.sched_getaffinity(0))
        self._work: queue.Queue[Sequence[str] | None] = queue.Queue(maxsize=hands)
        self._hands = [threading.Thread(target=self._hand, name="workbench") for _ in range(hands)]

    def __enter__(self) -> Self:
        environment = os.environ | {"MALLOC_ARENA_MAX": "1"}  # else each thread keeps memory for itself
        command = [sys.executable, "-m", "complaints.hand"]
        self._asking, asked = socket.socketpair()
        with asked:
            self._asking.sendall(self._settings.model_dump_json().encode() + b"\n")
            self._maker = subprocess.Popen(command, stdin=asked.fileno(), env=environment)  # noqa: S603 - ourselves
        for hand in self._hands:
            hand.start()
        return self

    def __exit__(self, *left_by: object) -> None:
        if any(left_by):
            with suppress(queue.Empty):
                while True:
                    self._work.get_nowait()
        for _hand in self._hands:
            self._work.put(None)
        for hand in self._hands:
            hand.join()
        self._asking.close()
        self._maker.wait()

    def put(self, complaint_ids: Sequence[str]) -> None:
        """Have complaints worked off; waits while more of them wait than the children can begin with."""
        for first in range(0, len(complaint_ids), AT_ONCE):
            self._work.put(complaint_ids[first : first + AT_ONCE])

    def _hand(self) -> None:
        """One child after the other, each from its first complaints on."""
        ids = self._work.get()
        while ids is not None:
            ids = self._child(ids)

    def _child(self, ids: Sequence[str] | None) -> Sequence[str] | None:
        """One child's life; returns what the next begins with. Should it die, what it had stays for later."""
        connection = self._born()
        child = connection.makefile("rw", encoding="utf-8")
        done = 0
        while ids is not None and done < RENEWED:
            try:
                child.write(f"{json.dumps(list(ids))}\n")
                child.flush()
                came_to = Counter(json.loads(child.readline()))
            except (OSError, ValueError):
                came_to = Counter({UNREAD: len(ids)})
            with self._counting:
                self.states.update(came_to)
            done += len(ids)
            ids = self._work.get()
        with suppress(OSError, ValueError):
            connection.shutdown(socket.SHUT_WR)
            child.read()  # until it has ended: never are there two of one hand in memory
        with suppress(OSError):
            child.close()
        connection.close()
        return ids

    def _born(self) -> socket.socket:
        """Have a child made; what is said to it, and what it answers."""
        ours, theirs = socket.socketpair()
        with theirs, suppress(OSError):  # nobody makes children any more: the first line is not answered
            socket.send_fds(self._asking, [b"+"], [theirs.fileno()])
        return ours


def unfinished(office: Office, reporter_id: str) -> list[str]:
    """A reporter's complaints that are still to be read, looked up or drafted, the oldest first."""
    query = select(Complaint.id).where(
        Complaint.reporter_id == reporter_id, col(Complaint.state).in_(UNDERWAY)
    )
    with office.db.reading() as session:
        return list(session.exec(query.order_by(col(Complaint.received_at))))
