"""Handing in many mails: takes the mails of a source, leaves each handed in, told of and remembered.

They go in groups: first the group is safely kept, then told of on stdout, then remembered in the checkpoint;
so a stop at any instant, of whatever kind, loses none, and repeats at most one group, as duplicates.
"""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING

from complaints.dates import parse_date
from complaints.mailboxes import Mail
from complaints.message import parse
from complaints.remote import Items, refusal
from complaints.terminal import Json

if TYPE_CHECKING:
    from complaints.client import Client
    from complaints.workbench import Workbench

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of mails that wait to be handed in together; one alone may be larger."""


class StoppedError(Exception):
    """A signal came while nothing was under way."""


class Stop:
    """Whether a signal asked for the end; what is under way is finished first."""

    def __init__(self) -> None:
        self.by: int | None = None
        self._asked = threading.Event()
        self._idle = False

    @contextmanager
    def on_signals(self) -> Iterator["Stop"]:
        """SIGINT and SIGTERM ask for the end while the block runs; the second SIGINT takes it at once."""
        before = [(number, signal.signal(number, self._ask)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            yield self
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self.by == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.by = number
        self._asked.set()
        if self._idle:
            raise StoppedError

    @contextmanager
    def idle(self) -> Iterator[None]:
        """While the block runs there is nothing to finish: a signal ends it."""
        self._idle = True
        try:
            if self.by is not None:
                raise StoppedError
            yield
        finally:
            self._idle = False

    def pause(self, seconds: float) -> None:
        """Wait. Raises StoppedError when a signal comes."""
        if self._asked.wait(seconds):
            raise StoppedError


@dataclass
class Tally:
    """What became of the mails so far."""

    statuses: Counter[str] = field(default_factory=Counter)
    states: Mapping[str, int] = field(default_factory=dict)
    too_old: int = 0


@dataclass(frozen=True)
class Batch:
    """How one batch is handed in.

    `tell` gets the line of each spam; then `settle` the mails that are kept at the other end, and at last
    `keep` all that are done.
    """

    work: "Client"
    label: str
    stop: Stop
    tell: Callable[[Json], None]
    settle: Callable[[Sequence[Mail]], None]
    keep: Callable[[Sequence[Mail]], None]

    def run(self, mails: Iterable[Mail], tally: Tally) -> None:
        """Hand in all of them. Raises StoppedError after a signal, ClientError, SourceError."""
        with self.work.workbench() as bench:
            if bench is not None:
                tally.states = bench.states  # counted there as they come
            for group in self._groups(mails):
                fresh = self._hand_in(group, tally)
                if bench is not None:
                    self._read(bench, fresh)
            if bench is not None:
                self._read(bench, bench.left)

    def _read(self, bench: "Workbench", complaint_ids: Sequence[str]) -> None:
        """Have complaints read. They are kept: a signal ends the waiting for that, and it is done later."""
        with self.stop.idle():
            bench.put(complaint_ids)

    def _hand_in(self, group: Sequence[Mail], tally: Tally) -> list[str]:
        """One group; returns its new complaints."""
        handed = [(mail.raw, mail.name) for mail in group if mail.raw is not None]
        answers = self.work.hand_in(handed, self.label, self.stop.pause)
        done: list[Mail] = []
        taken: list[Mail] = []
        fresh: list[str] = []
        try:
            for mail in group:
                told = list(lines(mail, [] if mail.raw is None else next(answers)))
                for line in told:
                    tally.statuses[line["status"]] += 1
                    fresh += [line["complaint"]] if line["status"] == "accepted" else []
                    self.tell(line)
                done.append(mail)
                taken += [mail] if any(line["status"] != "refused" for line in told) else []
        finally:
            self.settle(taken)
            self.keep(done)
        return fresh

    def _groups(self, mails: Iterable[Mail]) -> Iterator[list[Mail]]:
        group: list[Mail] = []
        size, coming = 0, iter(mails)
        while True:
            try:
                with self.stop.idle():
                    mail = next(coming, None)
            except StoppedError:
                if group:  # read already: what is under way is finished
                    yield group
                raise
            if group and (mail is None or len(group) == self.work.most_at_once or size >= MOST_BYTES):
                yield group
                group, size = [], 0
            if mail is None:
                return
            group.append(mail)
            size += len(mail.raw or b"")


def lines(mail: Mail, items: Items) -> Iterator[Json]:
    """What is told of a mail, one line per spam in it (DESIGN: file, index, complaint, status, reason)."""
    if mail.why is not None:
        items = [refusal(mail.why)]
    for item in items:
        yield item | {"file": mail.file, "index": item["index"] if mail.index is None else mail.index}


def chosen(mails: Iterator[Mail], moment: datetime | None, limit: int, tally: Tally) -> Iterator[Mail]:
    """Those received since a moment (what does not say when it was is taken), and no more than `limit`."""
    if moment is not None:
        mails = _since(mails, moment, tally)
    return islice(mails, limit) if limit else mails


def _since(mails: Iterable[Mail], moment: datetime, tally: Tally) -> Iterator[Mail]:
    for mail in mails:
        when = received_at(mail.raw) if mail.raw is not None else None
        if when is not None and when < moment:
            tally.too_old += 1
        else:
            yield mail


def received_at(raw: bytes) -> datetime | None:
    """When the topmost Received line says that a mail came (RFC 5321 §4.4), or else its Date."""
    message = parse(raw)
    stamp = (message.get("Received") or "").rpartition(";")[2]
    return parse_date(stamp) or parse_date(message.get("Date") or "")
