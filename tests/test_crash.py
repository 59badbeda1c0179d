"""kill -9 of `plaint serve`, under SMTP load and while it forwards: nothing acknowledged is lost, nothing sent twice."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosmtplib
import httpx
import pytest
from sqlmodel import col, select

from complaints import reporters, tokens
from complaints.demo import as_attachments
from complaints.loopback import World, loopback_internet
from complaints.models import Complaint, Report, ReportState
from complaints.office import Office
from complaints.settings import Settings
from tests.house import ALICE, CLOUD, house_settings, spam

CLOUD_DESK = "abuse@cloud.example"


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """`plaint serve` as its own process; killed at the end if it still runs."""
    names = set(Settings.model_fields) - {"data"}
    given = {
        f"PLAINT_{name.upper()}": str(value)
        for name in names
        if (value := getattr(settings, name)) is not None
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "serve", "--data", str(settings.data),
        env=os.environ | given, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=settings.url) as http:
            for _ in range(200):
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/readyz")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
            else:
                raise AssertionError("plaint serve did not become ready")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def send_until_killed(settings: Settings, to: str, worker: int, acknowledged: set[str]) -> None:
    """One client that hands in spam after spam; notes what was answered 250."""
    for number in range(10_000):
        raw = spam(CLOUD, subject=f"client {worker} spam {number}")
        try:
            await aiosmtplib.send(
                as_attachments([raw], to), sender=ALICE, recipients=[to], timeout=5, start_tls=False,
                hostname="127.0.0.1", port=int(settings.smtp.rpartition(":")[2]),
            )  # fmt: skip
        except (aiosmtplib.SMTPException, OSError):
            return
        acknowledged.add(tokens.digest(raw))


def test_kill_9_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        rng = random.Random(4)
        async with loopback_internet("demo") as internet:
            settings = house_settings(tmp_path, internet, database_url=database_url)
            office = Office.open(settings)
            with office.db.transaction() as session:
                made = reporters.add(session, office, ALICE, verified=True)
            acknowledged: set[str] = set()
            for round_ in range(2):
                async with served(settings) as process:
                    clients = [
                        asyncio.create_task(
                            send_until_killed(
                                settings, made.submission_address, round_ * 100 + n, acknowledged
                            )
                        )
                        for n in range(6)
                    ]
                    await asyncio.sleep(rng.uniform(0.8, 1.6))
                    for _ in range(100):  # longer on a slow machine, so that there is something to lose
                        if len(acknowledged) > 10 * (round_ + 1):
                            break
                        await asyncio.sleep(0.1)
                    process.send_signal(signal.SIGKILL)
                    await process.wait()
                    await asyncio.gather(*clients)
            assert len(acknowledged) > 20
            async with served(settings):
                for _ in range(1000):  # the door takes more in a second than is unwrapped in one
                    with office.db.reading() as session:
                        kept = list(session.exec(select(Complaint.digest)))
                    if acknowledged <= set(kept):
                        break
                    await asyncio.sleep(0.1)
            assert acknowledged <= set(kept)
            assert len(kept) == len(set(kept))
            office.close()

    asyncio.run(main())


def test_kill_9_while_forwarding_sends_nothing_twice(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        world = World.load("demo").extended(
            f'[world]\nslow_seconds = 0.7\n[mailboxes]\n"{CLOUD_DESK}" = "slow"\n'
        )
        async with loopback_internet(world) as internet:
            settings = house_settings(tmp_path, internet, database_url=database_url, undo_seconds=0)
            office = Office.open(settings)
            with office.db.transaction() as session:
                made = reporters.add(session, office, ALICE, verified=True)
            api = {"Authorization": f"Bearer {made.token}"}
            spams = [spam(CLOUD, subject=f"Offer {n}") for n in range(12)]
            async with (
                served(settings) as process,
                httpx.AsyncClient(base_url=settings.url, headers=api) as http,
            ):
                await aiosmtplib.send(
                    as_attachments(spams, made.submission_address), sender=ALICE, start_tls=False,
                    recipients=[made.submission_address], hostname="127.0.0.1", port=int(settings.smtp.rpartition(":")[2]),
                )  # fmt: skip
                documents = await confirmable(http, len(spams))
                for document in documents:
                    chosen = {
                        one["id"]: one["digest"] for one in document["reports"] if one["to"] == CLOUD_DESK
                    }
                    answer = await http.post(
                        f"/api/v1/complaints/{document['id']}/confirm", json={"reports": chosen}
                    )
                    assert answer.status_code == 202
                await asyncio.sleep(0.4)
                process.send_signal(signal.SIGKILL)
                await process.wait()
            async with served(settings):
                states = await settled(office)
            ids = [m.message["Message-ID"] for m in internet.messages if CLOUD_DESK in m.rcpt_tos]
            assert len(ids) == len(set(ids)), "a desk got a report twice"
            with office.db.reading() as session:
                sent = set(session.exec(select(Report.message_id).where(Report.state == ReportState.SENT)))
            assert sent <= set(ids)
            assert set(states) <= {ReportState.SENT, ReportState.UNCONFIRMED}
            assert len(ids) + states.count(ReportState.UNCONFIRMED) >= len(spams)
            office.close()

    asyncio.run(main())


async def confirmable(http: httpx.AsyncClient, count: int) -> list[dict[str, list[dict[str, str]]]]:
    for _ in range(300):
        items = (await http.get("/api/v1/complaints", params={"state": "awaiting_consent"})).json()["items"]
        if len(items) == count:
            return [(await http.get(f"/api/v1/complaints/{item['id']}")).json() for item in items]
        await asyncio.sleep(0.1)
    raise AssertionError(f"{len(items)} of {count} complaints await consent")


async def settled(office: Office) -> list[ReportState]:
    """The states of the reports to the desk, once none of them is on its way."""
    underway = {ReportState.QUEUED, ReportState.SENDING}
    for _ in range(400):
        with office.db.reading() as session:
            states = [row.state for row in session.exec(select(Report).where(col(Report.to) == CLOUD_DESK))]
        if not underway & set(states):
            return states
        await asyncio.sleep(0.1)
    pytest.fail(f"still under way: {states}")
