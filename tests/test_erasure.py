"""A reporter who goes leaves nothing behind: planted everywhere, erased, and looked for in every file there is."""

import asyncio
import contextlib
import gzip
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import aiosmtplib
import psycopg
import pytest
from sqlalchemy import text
from sqlmodel import select

from complaints import (
    accountability,
    choices,
    doctor,
    erasure,
    evidence,
    probes,
    replies,
    reporters,
    retention,
    show,
    step_up,
    submission,
    worker,
)
from complaints.db import Database, metadata
from complaints.erasure import UnfinishedError
from complaints.loopback import World
from complaints.models import Letter, Report, Reporter, Suppression
from complaints.office import Office, utc_now
from tests.house import ALICE, BOB, House, house, spam
from tests.postgresql import Server
from tests.test_cli import plaint

CLOUD_DESK = "abuse@cloud.example"
MARKS = [
    b"alice@victim.example",
    b"Alice Victim",
    b"alias-of-alice",
    b"Zyzzyva",
    b"alice-gateway.victim.example",
]
"""The identity, and words that stand in her spam, her note and a desk's answer to her."""


async def plant(home: House) -> None:
    """Have something of Alice's in every table that can hold something."""
    with home.office.db.transaction() as session:
        alice = session.exec(select(Reporter)).one()
        alice.aliases, alice.trust = ["alias-of-alice@victim.example"], ["alice-gateway.victim.example"]
        session.add(alice)
        session.flush()
        probes.ask(session, home.office, alice, "")
        reporters.ask(session, home.office, ALICE)
        step_up.ask(session, home.office, alice, "address", "Zyzzyva@victim.example")
        choices.choose(session, home.office, alice, {"news": True}, via="test")
        accountability.read_evidence(session, home.office, alice.id, "", by="root", reason="Zyzzyva asked me")
        accountability.disclose(
            session, home.office, alice, authority="Court", law="§ 1", what="Zyzzyva", at=home.office.clock()
        )
        reporters.add(session, home.office, BOB, verified=True)
    spams = [spam(subject=f"Zyzzyva {number}", body=f"Zyzzyva {number}\r\n") for number in range(4)]
    packed, keyed = gzip.compress(spams[3]), {"Idempotency-Key": "zyzzyva"}
    assert (await home.api("POST", "/submissions", content=packed, headers=keyed)).status_code == 202
    await home.forward(spams[:3])
    first, second, third, _ = [await home.show(item["id"]) for item in await home.complaints(4)]
    await home.confirm(first, [CLOUD_DESK], note="Zyzzyva, says the reporter.")
    await home.until(first["id"], "sent")
    await home.confirm(second, [CLOUD_DESK])
    await home.api("POST", f"/complaints/{third['id']}/discard")
    answer = b"From: abuse@cloud.example\r\nSubject: Re: Zyzzyva\r\n\r\nZyzzyva, says the desk.\r\n"
    with home.office.db.transaction() as session:
        report = session.exec(
            select(Report).where(Report.complaint_id == first["id"], Report.to == CLOUD_DESK)
        ).one()
        replies.receive(session, home.office, "reply", report, CLOUD_DESK, answer)
        replies.suppress(session, home.office, CLOUD_DESK, asked_by="mail", reason=f"report {report.id}")


def gone(home: House) -> None:
    """Erase Alice as `plaint reporters erase` does."""
    with home.office.db.transaction() as session:
        alice = session.exec(select(Reporter).where(Reporter.address == ALICE)).one()
        erasure.erase(session, home.office, alice)
    erasure.sweep(home.office)


async def until_gone(home: House) -> None:
    """The same, as soon as no letter to her is on its way."""
    for _ in range(20):
        with contextlib.suppress(erasure.ErasureError):
            return await asyncio.to_thread(gone, home)
        await asyncio.sleep(0.1)
    raise AssertionError("a letter is on its way for ever")


def everything(office: Office) -> bytes:
    """Every row of every table, and every file of the data directory and of SQLite with all that is free in it."""
    files = {path for path in office.settings.data.rglob("*") if path.is_file()}
    if office.db.embedded:
        database = Path(office.db.engine.url.database or "")
        files |= {database, *database.parent.glob(f"{database.name}-*")}
    found = [path.read_bytes() for path in files]
    with office.db.engine.connect() as connection:
        for table in metadata().sorted_tables:
            found += [repr(row).encode() for row in connection.execute(table.select())]
    return b"\n".join(found)


def sealed_columns(office: Office) -> dict[str, bytes]:
    """What the columns hold that the data map calls sealed, by table and column."""
    tables = {table.name: table for table in metadata().sorted_tables}
    with office.db.engine.connect() as connection:
        return {
            f"{row['name']}.{column}": b"".join(
                value or b""
                for (value,) in connection.execute(
                    tables[row["name"]].select().with_only_columns(tables[row["name"]].c[column])
                )
            )
            for row in retention.data_map()["table"]
            for column in row.get("sealed", [])
        }


def database_files(office: Office) -> bytes:
    """All files of a PostgreSQL server, its log and its write-ahead log too, after a checkpoint."""
    with office.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
        folder = Path(str(connection.execute(text("SHOW data_directory")).scalar_one()))
    found = []
    for path in folder.parent.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            found += [path.read_bytes()] if path.is_file() else []
    assert any(b"pg_wal" in bytes(path) for path in folder.iterdir())
    return b"\n".join(found)


def written_down(office: Office) -> bytes:
    """The same, after the server made its statistics, which keep values of columns apart from the tables."""
    with office.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return database_files(office)


async def emptied(office: Office, more: Sequence[bytes] = ()) -> None:
    """The worker has written PostgreSQL's tables anew and its log over; nothing of Alice is in its files."""
    async with asyncio.timeout(20):
        while await asyncio.to_thread(erasure.unfinished, office):
            await asyncio.sleep(0.1)
    there = await asyncio.to_thread(database_files, office)
    assert [mark for mark in (*MARKS, *more) if mark in there] == []


def test_an_erasure_answers_at_once_though_the_tables_cannot_be_written_anew_yet(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "LOCK_SECONDS", 1)
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.5)

    async def main() -> None:
        async with house(tmp_path, database_url) as home:
            with home.office.db.transaction() as session:
                alice = session.exec(select(Reporter)).one()
                alice.names = ["Zyzzyva"]
                session.add(alice)
            await home.api("POST", "/account/codes", json={"for": "erase"})
            code = await asyncio.to_thread(mailed_code, home)
            with home.office.db.engine.connect() as reader:
                reader.execute(text("SELECT count(*) FROM reporter"))  # VACUUM FULL waits until this ends
                body = {"code": code, "sure": "yes"}
                erased = await asyncio.wait_for(home.api("POST", "/account/erase", json=body), 10)
                assert erased.json() == {"erased": True}
                assert b"Zyzzyva" in await asyncio.to_thread(database_files, home.office)
                # It does not wait for ever, keeps what is left to do, and tells the operator of it
                while len((left := await asyncio.to_thread(erasure.unfinished, home.office))[0].left) > 1:
                    await asyncio.sleep(0.1)
                assert left[0].left == ["reporter"]
                later = replace(home.office, clock=lambda: utc_now() + timedelta(hours=2))
                ok, told = await doctor._erasures(later, cast(Any, None))
                assert (ok, "to be written anew: reporter)" in told) == (False, True)
            await emptied(home.office)

    if not database_url.startswith("sqlite"):  # that overwrites what it frees at once
        asyncio.run(main())


def test_an_erasure_says_what_keeps_the_log_of_the_database_from_being_emptied_and_ends_when_it_may(
    postgres_server: Server, postgresql_url: str
) -> None:
    name, role = postgresql_url.rpartition("/")[2], f"role_{uuid4().hex[:8]}"
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN")
        theirs = Database(f"postgresql+psycopg://{role}@{postgres_server.url.partition('@')[2]}{name}")
        with pytest.raises(UnfinishedError, match=f"GRANT pg_monitor, pg_checkpoint TO .{role}.") as refused:
            erasure.log_overwritten(theirs)
        admin.execute(str(refused.value).partition("as a superuser: ")[2])
        admin.execute("SELECT pg_create_physical_replication_slot('late', true)")
        with pytest.raises(UnfinishedError, match="held back"):
            erasure.log_overwritten(theirs)
        admin.execute("SELECT pg_drop_replication_slot('late')")
        erasure.log_overwritten(theirs)
        theirs.close()
        admin.execute(f"REVOKE ALL ON FUNCTION pg_switch_wal() FROM {role}")
        admin.execute(f"DROP ROLE {role}")


def mailed_code(home: House) -> str:
    """The code of the last letter with one, as it stands in it."""
    with home.office.db.reading() as session:
        alice = session.exec(select(Reporter)).one()
        letter = session.exec(select(Letter).where(Letter.kind == "code")).all()[-1]
        found = re.search(
            rb"\b\d{6}\b", home.office.vault.unseal(alice.key, letter.raw).split(b"\r\n\r\n", 1)[1]
        )
    assert found
    return found[0].decode()


def test_what_is_erased_is_found_nowhere_any_more(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.2)

    async def main() -> None:
        async with house(tmp_path, database_url, undo_seconds=2) as home:
            await plant(home)
            with home.office.db.reading() as session:
                alice = session.exec(select(Reporter).where(Reporter.address == ALICE)).one()
                her_id, her_key = alice.id.encode(), alice.key
            before = everything(home.office)
            assert [mark for mark in MARKS if mark not in before] == []
            sealed = sealed_columns(home.office)
            assert [name for name, held in sealed.items() if not held] == [], "nothing was looked at"
            assert [name for name, held in sealed.items() for mark in MARKS if mark in held] == []
            if not home.office.db.embedded:
                before = await asyncio.to_thread(written_down, home.office)
                assert [mark for mark in (*MARKS, her_key) if mark not in before] == [], (
                    "nothing was looked at"
                )
            await asyncio.to_thread(gone, home)
            async with asyncio.timeout(20):  # SQLite's log is emptied as soon as nobody reads in it
                while await asyncio.to_thread(erasure.unfinished, home.office):
                    await asyncio.sleep(0.1)
            after = everything(home.office)
            assert [mark for mark in (*MARKS, her_id) if mark in after] == []
            if not home.office.db.embedded:
                await emptied(home.office, [her_key])
            with home.office.db.reading() as session:
                assert [row.address for row in session.exec(select(Reporter))] == [BOB]
                [desk] = session.exec(select(Suppression))
                assert (desk.address, desk.reason) == (CLOUD_DESK, "")
            assert (await home.api("GET", "/complaints")).status_code == 401

    asyncio.run(main())


def test_promise_10_nothing_that_the_service_writes_into_its_log_tells_of_anybody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when all goes well, nor when a step, a page, the API and the door fail over a mail."""

    def fails(*_: object, **__: object) -> None:
        raise ValueError(f"cannot read the mail of Alice Victim <{ALICE}>: Zyzzyva")

    async def main() -> None:
        async with house(tmp_path, undo_seconds=2) as home:
            await plant(home)
            document = (await home.api("GET", "/complaints")).json()["items"][0]
            look = home.office.review_url(document["id"])
            with monkeypatch.context() as patch:
                patch.setattr(evidence, "step", fails)
                patch.setattr(show, "complaint_document", fails)
                patch.setattr(submission, "accept_all", fails)
                with pytest.raises(aiosmtplib.SMTPDataError):
                    await home.forward([spam(subject="Zyzzyva")])
                assert (await home.api("GET", f"/complaints/{document['id']}")).status_code == 500
                uploaded = await home.api("POST", "/submissions", content=spam(subject="Zyzzyva again"))
                assert uploaded.status_code == 202
                while "step evidence failed" not in caplog.text:
                    await asyncio.sleep(0.1)
            assert (await home.http.get(look)).status_code == 200
            account, token = home.office.account_url(alice_of(home)), home.token
            await asyncio.to_thread(gone, home)
            secrets = [document["id"], look, account, token, home.submission_address]
            secrets += ["198.51.100.23", "pills.example"]
            written = "\n".join(caplog.messages) + caplog.text
            marks = [mark.decode() for mark in MARKS]
            assert [mark for mark in (*marks, *map(str, secrets)) if mark in written] == []

    # As `plaint serve` writes, and besides everything that is ours
    caplog.set_level(logging.WARNING)
    for name in ("complaints", "abuse_lookup"):
        caplog.set_level(logging.DEBUG, name)
    asyncio.run(main())


def alice_of(home: House) -> Reporter:
    with home.office.db.reading() as session:
        return session.exec(select(Reporter).where(Reporter.address == ALICE)).one()


def test_what_was_consented_to_and_not_sent_is_never_sent_after_an_erasure(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path, undo_seconds=3) as home:
            [document] = await home.waiting()
            await home.confirm(document, [CLOUD_DESK])
            await until_gone(home)
            await asyncio.sleep(3)  # the undo window
            await home.sweeps()
            assert [m for m in home.internet.messages if CLOUD_DESK in m.rcpt_tos] == []

    asyncio.run(main())


def test_nobody_is_erased_while_a_mail_of_theirs_is_being_handed_over(tmp_path: Path) -> None:
    async def main() -> None:
        world = World.load("demo").extended(
            f'[world]\nslow_seconds = 3\n[mailboxes]\n"{CLOUD_DESK}" = "slow"\n'
        )
        async with house(tmp_path, world=world) as home:
            [document] = await home.waiting()
            await home.confirm(document, [CLOUD_DESK])
            await home.until(document["id"], "sending")
            with pytest.raises(erasure.ErasureError, match="in a few minutes"):
                await asyncio.to_thread(gone, home)
            await home.until(document["id"], "sent")
            await asyncio.to_thread(gone, home)

    asyncio.run(main())


def test_the_command_line_erases_only_when_told_so_twice(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    assert plaint("reporters", "add", "carol@example.com", "--verified", *data).code == 0
    ran = plaint("reporters", "erase", "carol@example.com", *data)
    assert (ran.code, "nothing was removed" in ran.err) == (2, True)
    assert plaint("reporters", "erase", "carol@example.com", "--yes", *data).code == 0
    assert plaint("reporters", "list", "--json", *data).out == b""
    assert b"carol" not in b"".join(path.read_bytes() for path in (tmp_path / "data").glob("plaint.sqlite*"))
