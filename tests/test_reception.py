"""The database side of the SMTP door: many submissions by one statement, and addresses that are known for seconds."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import select

from complaints import erasure, receive, reporters, submission
from complaints.jobs import Engine
from complaints.models import Json, Reporter, Submission
from complaints.office import Office
from complaints.receive import Reception, Recipient
from complaints.reporters import Secrets
from complaints.settings import load
from complaints.worker import due_jobs
from tests.house import ALICE, spam


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    office = Office.open(load(data=tmp_path, database_url=database_url, mail_domain="plaint.example"))
    yield office
    office.close()


@pytest.fixture
def on_postgresql(tmp_path: Path, postgresql_url: str) -> Iterator[Office]:
    office = Office.open(load(data=tmp_path, database_url=postgresql_url, mail_domain="plaint.example"))
    yield office
    office.close()


def registered(office: Office) -> Secrets:
    with office.db.transaction() as session:
        return reporters.add(session, office, ALICE, verified=True)


def test_many_at_once_are_stored_as_one_by_one(office: Office) -> None:
    registered(office)
    with office.db.transaction() as session:
        alice = session.exec(select(Reporter)).one()
        mail = spam()  # it tells the time
        alone = submission.accept(session, office, alice, mail, via="smtp", forwarded=True)
        seal = office.vault.sealer(alice.key)
        several = [
            submission.columns(office, alice.id, seal, mail, via="smtp", forwarded=True) for _ in range(3)
        ]
        submission.accept_with(session, several[:1])
    submission.accept_all(office, several[1:])
    submission.accept_all(office, [])
    with office.db.reading() as session:
        rows = list(session.exec(select(Submission)))
        assert {row.id for row in rows} == {alone.id, *(row["id"] for row in several)}
        assert {row.batch for row in rows} == {row.id for row in rows}
        assert {office.vault.unseal(alice.key, row.raw) for row in rows} == {mail}
        own = {"id", "batch", "received_at", "raw"}
        assert len({str(sorted(row.model_dump(exclude=own).items())) for row in rows}) == 1


def columns(office: Office, reporter: Reporter, count: int) -> list[Json]:
    seal = office.vault.sealer(reporter.key)
    return [
        submission.columns(office, reporter.id, seal, b"%d" % n, via="smtp", forwarded=n % 2 > 0)
        for n in range(count)
    ]


def kept(office: Office) -> dict[str, tuple[str, str, bool]]:
    with office.db.reading() as session:
        return {
            row.id: (row.reporter_id, row.digest, row.forwarded) for row in session.exec(select(Submission))
        }


def test_a_group_of_several_reporters_is_stored_whole_or_not_at_all(office: Office) -> None:
    registered(office)
    with office.db.transaction() as session:
        reporters.add(session, office, "bob@victim.example", verified=True)
    with office.db.reading() as session:
        one, other = session.exec(select(Reporter)).all()
    group = columns(office, one, 60) + columns(office, other, 60)
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        submission.accept_all(office, [*group, columns(office, one, 1)[0] | {"reporter_id": "gone"}])
    assert kept(office) == {}
    submission.accept_all(office, group)
    assert kept(office) == {row["id"]: (row["reporter_id"], row["digest"], row["forwarded"]) for row in group}


def test_one_job_is_about_many_new_rows_and_the_sweep_asks_for_none_of_them_again(
    on_postgresql: Office,
) -> None:
    office = on_postgresql
    registered(office)
    with office.db.reading() as session:
        group = columns(office, session.exec(select(Reporter)).one(), 20)
    submission.accept_all(office, group)
    seen: list[str] = []

    async def look(row_id: str) -> None:
        seen.append(row_id)

    async def scene() -> None:
        busy_elsewhere = await Engine.start(office.db.url, {"letter": look}, concurrency=1)
        due = [job for job in due_jobs(office, office.clock()) if job.step == "unwrap"]
        assert len(due) == 20
        await busy_elsewhere.put(due, office.clock())
        await busy_elsewhere.stop()
        with office.db.reading() as session:
            assert session.execute(text("SELECT count(*) FROM pgqueuer")).scalar_one() == 2
        engine = await Engine.start(office.db.url, {"unwrap": look}, concurrency=1)
        until = time.monotonic() + 20
        while len(seen) < 20 and time.monotonic() < until:
            await asyncio.sleep(0.01)
        await engine.stop()

    asyncio.run(scene())
    assert sorted(seen) == sorted(row["id"] for row in group)


def test_a_connection_that_the_server_ended_meanwhile_costs_no_mail(on_postgresql: Office) -> None:
    office = on_postgresql
    registered(office)
    with office.db.reading() as session:
        alice = session.exec(select(Reporter)).one()
    submission.accept_all(office, columns(office, alice, 1))
    ending = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'WITH stored%'"
    with office.db.reading() as session:
        assert session.execute(text(ending)).scalars().all() == [True]
    submission.accept_all(office, columns(office, alice, 2))
    assert len(kept(office)) == 3


def test_an_address_known_a_moment_ago_lets_nothing_in_for_a_reporter_who_is_gone(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = registered(office).submission_address

    async def scene() -> Recipient | None:
        reception = Reception(office)
        recipient = await reception.known(address)
        assert recipient is not None
        with office.db.transaction() as session:
            erasure.erase(session, office, session.exec(select(Reporter)).one())
        assert reception.lately(address) == recipient
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            await reception.accept([recipient], ALICE, spam())
        monkeypatch.setattr(receive, "monotonic", lambda: time.monotonic() + receive.KNOWN_SECONDS)
        assert reception.lately(address) is None
        answer = await reception.known(address)
        await reception.close()
        return answer

    assert asyncio.run(scene()) is None
    with office.db.reading() as session:
        assert session.exec(select(Submission)).all() == []
