"""Runs the stages' steps: jobs from the engine, and a sweep that finds in the rows what no job is about.

One step does one row. A step that was overtaken by another worker is done; one that failed is tried again
with back-off, so that one poisonous row never stops the others.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from abuse_lookup import AbuseLookup
from complaints import consent, contacts, draft, erasure, evidence, notice, retention, standing, submission
from complaints.account_tables import UnfinishedErasure
from complaints.db import OvertakenError, look_at, move
from complaints.forward import Forwarder, Send, settle_after_crash
from complaints.jobs import Engine, Job
from complaints.logs import place_of
from complaints.models import (
    Attempt,
    Complaint,
    ComplaintState,
    Letter,
    LetterState,
    Report,
    ReportState,
    Submission,
    SubmissionState,
)
from complaints.office import Office
from complaints.outcomes import UNREADABLE
from complaints.tokens import random_letters

log = logging.getLogger(__name__)

CONCURRENCY = 40
SWEEP_ROWS = 500
EMBEDDED_SWEEP, SHARED_SWEEP = 2.0, 5.0  # seconds between two sweeps
LET_GO_EVERY = timedelta(hours=1)
LOST_ATTEMPT = timedelta(minutes=15)  # longer than any time-out of a delivery (RFC 5321 §4.5.3.2)
READING, MOST_TRIES = {"evidence", "contacts", "draft"}, 5
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 3600.0  # seconds before a failed step is tried again


class Worker:
    """All steps of one process."""

    def __init__(self, office: Office, lookup: AbuseLookup, send: Send) -> None:
        self.name = random_letters(12)
        self._office = office
        self._failures: dict[str, tuple[int, datetime]] = {}
        self._let_go_at = office.clock()
        self._engine: Engine | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        forwarder = Forwarder(office, self.name, send, random.Random())  # noqa: S311 - jitter is no secret
        self._steps: dict[str, Callable[..., Awaitable[None]]] = {
            "unwrap": lambda row_id: asyncio.to_thread(submission.step, office, row_id),
            "evidence": lambda *row_ids: evidence.step(office, lookup.resolver, *row_ids),
            "contacts": lambda *row_ids: contacts.step(office, lookup, *row_ids),
            "draft": lambda *row_ids: asyncio.to_thread(draft.step, office, *row_ids),
            "notice": lambda row_id: asyncio.to_thread(notice.step, office, row_id),
            "standing": lambda row_id: asyncio.to_thread(standing.step, office, row_id),
            "expire": lambda row_id: asyncio.to_thread(consent.step, office, row_id),
            "erased": lambda row_id: asyncio.to_thread(erasure.finish, office, row_id),
            "report": forwarder.report,
            "letter": forwarder.letter,
        }

    async def start(self) -> None:
        """Begin to work; what a crash left behind is settled first."""
        if self._office.db.embedded:
            await asyncio.to_thread(settle_after_crash, self._office)
        steps = {name: self._guarded(name) for name in self._steps}
        self._engine = await Engine.start(self._office.db.url, steps, concurrency=CONCURRENCY)
        if self._office.db.embedded:
            self._office.db.on_commit = self._engine.put_from_thread
        self._sweeping = asyncio.create_task(self._sweep_for_ever(), name="sweep")

    async def stop(self) -> None:
        """Finish the steps under way and end."""
        self._office.db.on_commit = None
        self._stopping.set()
        if self._sweeping:
            # Not cancelled: what runs in a thread would go on with a database that is closed meanwhile
            await asyncio.gather(self._sweeping, return_exceptions=True)
        if self._engine:
            await self._engine.stop()

    async def finished(self) -> None:
        """Returns, or raises what went wrong, when the engine ended, at once where none could start."""
        if self._engine is not None:
            await asyncio.shield(self._engine.finished)

    async def run(self, step: str, *row_ids: str) -> None:
        """One step on these rows, now (for a process without a queue of its own).

        Of the steps up to the draft on all of them at once; where that fails, each row has its own try.
        """
        if len(row_ids) > 1:
            with contextlib.suppress(Exception):
                await self._steps[step](*row_ids)
                return
        for row_id in row_ids:
            await self._guarded(step)(row_id)

    def _guarded(self, step: str) -> Callable[[str], Awaitable[None]]:
        async def run(row_id: str) -> None:
            key = f"{step}:{row_id}"
            try:
                await self._steps[step](row_id)
            except OvertakenError:
                log.debug("%s was overtaken", step)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other rows go on
                tries = self._failures.get(key, (0, None))[0] + 1
                pause = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE)
                self._failures[key] = (tries, self._office.clock() + timedelta(seconds=pause))
                told = (step, tries, pause, place_of(error))
                log.error("step %s failed (try %d, next in %d s): %s", *told)  # noqa: TRY400 - see logs
                if step in READING and tries >= MOST_TRIES:
                    await asyncio.to_thread(self._give_up, row_id)
            else:
                self._failures.pop(key, None)

        return run

    def _give_up(self, complaint_id: str) -> None:
        """A spam we cannot read is refused, so that its reporter hears of it and of the others with it."""
        with self._office.db.transaction() as session:
            complaint = session.get_one(Complaint, complaint_id)
            move(session, complaint, ComplaintState.REFUSED, reason=UNREADABLE.says)
            look_at(session, "notice", complaint.submission_id)

    async def _sweep_for_ever(self) -> None:
        assert self._engine is not None
        every = EMBEDDED_SWEEP if self._office.db.embedded else SHARED_SWEEP
        while not self._stopping.is_set():
            try:
                await self.sweep(self._engine)
                await self._let_go()
            except Exception as error:  # noqa: BLE001 - the database may be back at the next one
                log.error("the sweep failed, next in %d s: %s", every, place_of(error))  # noqa: TRY400 - see logs
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), every)

    async def _let_go(self) -> None:
        """Once an hour, and again at once while there is more to let go of."""
        if self._let_go_at <= self._office.clock():
            more = await asyncio.to_thread(retention.step, self._office)
            self._let_go_at = self._office.clock() + (timedelta() if more else LET_GO_EVERY)
            if not more:
                await asyncio.to_thread(notice.remind, self._office)

    async def sweep(self, engine: Engine) -> None:
        """Queue every step that is due by the rows' states and does not wait in the queue already."""
        now = self._office.clock()
        jobs = await asyncio.to_thread(due_jobs, self._office, now)
        pausing = {key for key, (_, until) in self._failures.items() if until > now}
        await engine.put([job for job in jobs if job.key not in pausing], now)


def due_jobs(office: Office, now: datetime) -> list[Job]:
    """What the rows say must be done by `now`."""
    with office.db.reading() as session:
        jobs = [
            Job(step, row_id)
            for step, table, state, due in (
                ("unwrap", Submission, SubmissionState.RECEIVED, Submission.received_at),
                ("notice", Submission, SubmissionState.UNWRAPPED, Submission.received_at),
                ("evidence", Complaint, ComplaintState.RECEIVED, Complaint.due_at),
                ("expire", Complaint, ComplaintState.AWAITING_CONSENT, Complaint.due_at),
                ("report", Report, ReportState.QUEUED, Report.next_at),
                ("letter", Letter, LetterState.QUEUED, Letter.next_at),
            )
            for row_id in _ids(session, table, state, due, now)
        ]
        jobs += [Job("erased", row_id) for row_id in session.exec(select(UnfinishedErasure.id))]
        return jobs + _analysed(session, now) + _lost(session, now)


def _ids(session: Session, table: Any, state: Any, due: Any, now: datetime) -> list[str]:
    query = select(table.id).where(table.state == state, col(due) <= now).order_by(col(due)).limit(SWEEP_ROWS)
    return list(session.exec(query))


def _analysed(session: Session, now: datetime) -> list[Job]:
    """Complaints whose desks are to be looked up, or whose reports are to be drafted from what was found."""
    query = select(Complaint.id, col(Complaint.contacts).is_(None)).where(
        Complaint.state == ComplaintState.ANALYSED, col(Complaint.due_at) <= now
    )
    return [
        Job("contacts" if unknown else "draft", i) for i, unknown in session.exec(query.limit(SWEEP_ROWS))
    ]


def _lost(session: Session, now: datetime) -> list[Job]:
    """Sends that began long ago and were never settled: their worker is gone."""
    jobs = []
    for step, table, state in (
        ("report", Report, ReportState.SENDING),
        ("letter", Letter, LetterState.SENDING),
    ):
        query = select(table.id).join(Attempt, col(Attempt.mail_id) == col(table.id))
        query = query.where(
            table.state == state, Attempt.outcome == "sending", Attempt.at < now - LOST_ATTEMPT
        )
        jobs += [Job(step, row_id) for row_id in session.exec(query.limit(SWEEP_ROWS))]
    return jobs
