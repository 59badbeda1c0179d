"""Whatever reporters, desks, operators, workers and crashes do, in any order and at once: only what stands
consented to reaches the wire, and once.

A model keeps what was consented to; the loopback internet keeps what arrived; after every step they are compared.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, select

from abuse_lookup import open_lookup
from complaints import consent, draft, forward, replies, reporters, submission
from complaints.consent import Choice, ConsentError
from complaints.db import OvertakenError
from complaints.forward import Forwarder, Outgoing, Send
from complaints.lookup_config import lookup_config
from complaints.loopback import Internet, World, loopback_internet
from complaints.models import Complaint, ComplaintState, Report, ReportState
from complaints.office import Office, utc_now
from complaints.outside import sender
from complaints.redact import CannotRedact
from complaints.tokens import digest
from complaints.worker import Worker
from tests.house import ALICE, CLOUD, SAVANNA, house_settings, spam

CLOUD_DESK, SAVANNA_DESK = "abuse@cloud.example", "abuse@savanna.example"
REACHABLE = {CLOUD_DESK, SAVANNA_DESK}  # the desks of this world that have mail hosts
SEEDS = range(4)
STEPS = 70


class CrashError(Exception):
    """The process is gone at this very place."""


@dataclass
class Stage:
    """One house whose steps are taken by hand, and the model of what was consented to in it."""

    office: Office
    internet: Internet
    rng: random.Random
    deliver: Send
    worker: Worker
    ahead: timedelta = timedelta()
    crash_at: str = ""
    standing: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Report id → digest and recipient of its standing consent."""
    ever: set[tuple[str, str]] = field(default_factory=set)
    resent: int = 0

    async def send(self, mail: Outgoing, before_dot: Callable[[], Awaitable[None]]) -> Any:
        crash_at, self.crash_at = self.crash_at, ""
        if crash_at == "connected":
            raise CrashError(crash_at)

        async def dot() -> None:
            await before_dot()
            if crash_at == "before the dot":
                raise CrashError(crash_at)

        outcome = await self.deliver(mail, dot)
        if crash_at == "after the dot":
            raise CrashError(crash_at)
        return outcome

    def forwarder(self) -> Forwarder:
        """A worker; each crash makes the next one another."""
        return Forwarder(self.office, f"w{self.rng.random()}", self.send, self.rng)

    # -- what people and machines do; each returns when it is done or refused -----------------------------

    async def look(self) -> None:
        """At everything that awaits consent: what was not written yet is now."""
        with self.office.db.reading() as session:
            ids = session.exec(select(Complaint.id).where(Complaint.state == ComplaintState.AWAITING_CONSENT))
            waiting = sorted(ids)
        for complaint_id in waiting:
            await asyncio.to_thread(draft.written, self.office, complaint_id)

    async def confirm(self) -> None:
        """Also what nobody looked at, which the code or the database refuses."""
        if self.rng.random() < 0.8:
            await self.look()

        def act(session: Session) -> dict[str, tuple[str, str]]:
            complaint, rows = self._any_complaint(session, ComplaintState.AWAITING_CONSENT)
            rows = [row for row in rows if row.to in REACHABLE]
            some = self.rng.sample(rows, self.rng.randint(0, len(rows)))
            stale = self.rng.random() < 0.2
            chosen = {row.id: "sha256:stale" if stale else row.digest for row in some}
            choice = Choice(
                chosen, self.rng.choice([None, "identity", "none"]), self.rng.choice([None, "", "Again!"])
            )
            consent.confirm(session, self.office, complaint, choice, via="test")
            return {row.id: (row.digest, row.to) for row in some}

        given = await self._transaction(act)
        self.standing |= given or {}
        self.ever |= set((given or {}).values())

    async def take_back(self) -> None:
        act_on = self.rng.choice([consent.undo, consent.withdraw])

        def act(session: Session) -> list[str]:
            complaint, _ = self._any_complaint(session)
            act_on(session, self.office, complaint, via="test")
            rows = session.exec(select(Report).where(Report.complaint_id == complaint.id))
            return [row.id for row in rows if row.state == ReportState.CANCELLED]

        for report_id in await self._transaction(act) or []:
            self.standing.pop(report_id, None)

    async def change_mind(self) -> None:
        def act(session: Session) -> None:
            complaint, _ = self._any_complaint(session)
            how = self.rng.choice(["discard", "refresh", "redraft"])
            if how == "discard":
                consent.discard(session, complaint)
            elif how == "refresh":
                consent.refresh(session, self.office, complaint)
            else:
                consent.redraft(session, self.office, complaint, Choice({}, "none", "Other words."))

        await self._transaction(act)

    async def desk(self) -> None:
        def act(session: Session) -> None:
            if self.rng.random() < 0.2:
                replies.suppress(session, self.office, CLOUD_DESK, asked_by="test", reason="test")
            else:
                replies.resume(session, self.office, CLOUD_DESK)

        await self._transaction(act)

    async def tamper(self) -> None:
        """Somebody with the database in hand; where it lets them, the code must still refuse."""
        change = self.rng.choice(
            [
                "UPDATE report SET state = 'queued' WHERE state IN ('draft', 'cancelled', 'held', 'sent')",
                "UPDATE report SET state = 'sending' WHERE state = 'queued'",
                "UPDATE report SET \"to\" = 'abuse@other.example' WHERE state = 'queued'",
                "UPDATE report SET digest = 'sha256:0' WHERE state IN ('queued', 'draft')",
                "UPDATE consented_report SET digest = (SELECT digest FROM report LIMIT 1)",
                "DELETE FROM withdrawal",
                "UPDATE complaint SET redaction = 'none', note = 'x' WHERE state = 'confirmed'",
            ]
        )

        def act(session: Session) -> None:
            session.execute(text(change))

        await self._transaction(act)

    async def work(self) -> None:
        """A worker takes whatever is there to do."""
        with self.office.db.reading() as session:
            reports = [
                (row.id, row.state) for row in session.exec(select(Report)).all() if row.state != "draft"
            ]
            complaints = [(row.id, row.state) for row in session.exec(select(Complaint)).all()]
        self.rng.shuffle(reports)
        self.crash_at = self.rng.choice([""] * 7 + ["connected", "before the dot", "after the dot"])
        for report_id, _ in reports[:6]:
            with suppress(CrashError, OvertakenError):  # the worker takes both for done
                await self.forwarder().report(report_id)
        for complaint_id, state in complaints:
            if state in {ComplaintState.RECEIVED, ComplaintState.ANALYSED}:
                for step in ("evidence", "contacts", "draft"):
                    await self.worker.run(step, complaint_id)

    async def start_again(self) -> None:
        await asyncio.to_thread(forward.settle_after_crash, self.office)

    async def send_again(self) -> None:
        def act(session: Session) -> int:
            unsure = session.exec(select(Report).where(Report.state == ReportState.UNCONFIRMED)).all()
            for row in unsure:
                forward.resend(session, self.office, row)
            return len(unsure)

        self.resent += await self._transaction(act) or 0

    async def wait(self) -> None:
        self.ahead += timedelta(seconds=self.rng.choice([1, 30, 120, 7200]))

    async def race(self) -> None:
        """Two at once; the database decides who was first."""
        await asyncio.gather(self.work(), self.rng.choice([self.take_back, self.confirm, self.desk])())

    def _any_complaint(
        self, session: Session, state: ComplaintState | None = None
    ) -> tuple[Complaint, list[Report]]:
        """Any; one in this state rather, if there is one."""
        complaints = sorted(session.exec(select(Complaint)).all(), key=lambda row: row.id)
        wanted = [row for row in complaints if row.state == state]
        complaint = self.rng.choice(wanted or complaints)
        rows = session.exec(select(Report).where(Report.complaint_id == complaint.id).order_by(Report.id))
        return complaint, list(rows)

    async def _transaction(self, act: Callable[[Session], Any]) -> Any:
        def run() -> Any:
            with self.office.db.transaction() as session:
                return act(session)

        refusals = (ConsentError, OvertakenError, CannotRedact, DBAPIError, ValueError)
        with suppress(*refusals):
            return await asyncio.to_thread(run)
        return None

    # -- what must hold -----------------------------------------------------------------------------------

    def check(self) -> None:
        arrived = [(digest(unsigned(mail.raw)), mail.rcpt_tos[0]) for mail in self.internet.messages]
        strangers = set(arrived) - self.ever
        assert not strangers, f"nobody consented to {strangers}"
        assert len(arrived) <= len(set(arrived)) + self.resent, "a report was sent twice by itself"
        with self.office.db.reading() as session:
            cancelled = [row for row in session.exec(select(Report)) if row.state == ReportState.CANCELLED]
            for row in cancelled:
                assert (row.digest, row.to) not in arrived, f"{row.id} was taken back and still arrived"
            on_its_way = session.exec(select(Report).where(Report.state == ReportState.QUEUED)).all()
            assert {row.id for row in on_its_way} <= set(self.standing), "queued without a standing consent"


def unsigned(raw: bytes) -> bytes:
    """A report without the DKIM signature that was put on top of it in transit."""
    lines = raw.split(b"\r\n")
    assert lines[0].startswith(b"DKIM-Signature:")
    first = next(place for place, line in enumerate(lines) if place and line[:1] not in {b" ", b"\t"})
    return b"\r\n".join(lines[first:])


@asynccontextmanager
async def stage(
    tmp_path: Path, database_url: str, seed: int, spams: Sequence[str] = ()
) -> AsyncIterator[Stage]:
    rng = random.Random(seed)
    way = rng.choice(["keep", "keep", "tempfail", "drop", "permfail"])
    world = World.load("demo").extended(f'[mailboxes]\n"{CLOUD_DESK}" = "{way}"\n' if way != "keep" else "")
    async with loopback_internet(world) as internet:
        settings = house_settings(tmp_path, internet, database_url=database_url, undo_seconds=60)
        ahead: list[Stage] = []

        def clock() -> datetime:
            return utc_now() + (ahead[0].ahead if ahead else timedelta())

        office = await asyncio.to_thread(Office.open, settings, clock)
        try:
            async with open_lookup(lookup_config(settings)) as lookup:
                deliver = sender(settings, lookup)
                made = Stage(office, internet, rng, deliver, Worker(office, lookup, deliver))
                ahead.append(made)
                some = [SAVANNA if number % 3 == 1 else CLOUD for number in range(rng.randint(6, 9))]
                await hand_in(made, spams or some)
                yield made
        finally:
            office.close()


async def hand_in(made: Stage, sources: Sequence[str]) -> None:
    with made.office.db.transaction() as session:
        reporter = reporters.add(session, made.office, ALICE, names=["Alice Victim"], verified=True).reporter
        ids = []
        for number, source in enumerate(sources):
            raw = spam(source, subject=f"Offer {number}")
            taken = submission.accept(session, made.office, reporter, raw, via="cli", forwarded=False)
            outcome = submission.unwrap(
                session, made.office, taken, submission.contents_of(made.office, reporter, taken)
            ).outcome
            ids += [item["complaint"] for item in outcome]
    for complaint_id in ids:
        for step in ("evidence", "contacts", "draft"):
            await made.worker.run(step, complaint_id)


@pytest.mark.parametrize("seed", SEEDS)
def test_only_what_stands_consented_to_reaches_the_wire_and_once(
    tmp_path: Path, database_url: str, seed: int
) -> None:
    async def main() -> None:
        async with stage(tmp_path, database_url, seed) as made:
            acts = [
                *[made.confirm] * 4,
                *[made.work] * 6,
                *[made.race] * 3,
                *[made.wait] * 3,
                made.take_back,
                made.take_back,
                made.change_mind,
                made.desk,
                made.tamper,
                made.start_again,
                made.send_again,
            ]
            for _ in range(STEPS):
                await made.rng.choice(acts)()
                made.check()

    asyncio.run(main())


def test_the_comparison_sees_a_report_that_nobody_consented_to(tmp_path: Path) -> None:
    async def main() -> None:
        async with stage(tmp_path, f"sqlite:///{tmp_path / 'plaint.sqlite'}", 1) as made:
            while not made.internet.messages:
                await made.look()
                await made.confirm()
                made.ahead += timedelta(seconds=61)
                await made.work()
            made.check()
            made.ever.clear()
            with pytest.raises(AssertionError, match="nobody consented"):
                made.check()

    asyncio.run(main())
