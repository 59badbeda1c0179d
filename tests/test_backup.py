"""A backup restores everything, into either database, and nothing of whoever was erased since it was made."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from complaints import backup, backup_keys, erasure, export, probes, reporters
from complaints.account_tables import Choice
from complaints.backup import BackupError
from complaints.choices import PURPOSES
from complaints.db import metadata
from complaints.models import ComplaintState, Report, Reporter, ReportState, Suppression
from complaints.office import Office
from complaints.settings import load
from complaints.standing_tables import StandingConsent
from complaints.worker import due_jobs
from tests.house import ALICE, BOB, house
from tests.test_cli import plaint
from tests.test_erasure import CLOUD_DESK, MARKS, everything, gone, plant
from tests.website import running_website, spam

LEFT_OUT = {
    "registration",
    "step_up",
    "answered_request",
    "unfinished_erasure",
    "lookup_answer",
    "lookup_server",
}
"""What lasts an hour, what is about files of this database, and what was asked of registries: it is asked again."""


def archive(office: Office, address: str) -> dict[str, bytes]:
    """Everything that is kept of a reporter, by name."""
    with office.db.reading() as session:
        reporter = reporters.find(session, address)
        assert reporter
    return dict(export._members(office.db.reading, office, reporter.id))


def empty_office(office: Office, folder: Path, database: str | None = None) -> Office:
    """A new machine: an empty database, and the secrets folder of the old one."""
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700, parents=True)
    for file in office.vault.folder.iterdir():
        copy = secrets / file.name
        copy.write_bytes(file.read_bytes())
        copy.chmod(0o600)
    given: dict[str, Any] = {"http": office.settings.http} | ({"database_url": database} if database else {})
    return Office.open(load(data=folder, mail_domain=office.settings.mail_domain, **given), office.clock)


def test_who_was_erased_after_a_backup_is_in_nothing_that_is_restored_from_it(
    tmp_path: Path, database_url: str
) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url, undo_seconds=2) as home:
            await plant(home)
            file = tmp_path / "backup.jsonl"
            assert await asyncio.to_thread(backup.write, home.office, file) == 2
            with pytest.raises(BackupError, match="reporters already"):
                await asyncio.to_thread(
                    backup.restore, home.office, file, backup_keys.place(home.office.vault)
                )
            whole, keys = file.read_bytes(), home.office.vault.folder / backup_keys.NAME
            assert [mark for mark in MARKS if mark in whole] == []
            both = await asyncio.to_thread(empty_office, home.office, tmp_path / "both")
            before = await asyncio.to_thread(archive, home.office, ALICE)
            await asyncio.to_thread(gone, home)
            one = await asyncio.to_thread(empty_office, home.office, tmp_path / "one")
            told = await asyncio.to_thread(backup.restore, one, file, backup_keys.place(one.vault))
            assert (told["reporters"], told["erased_since"]) == (1, 1)
            with one.db.reading() as session:
                assert [row.address for row in session.exec(select(Reporter))] == [BOB]
                [desk] = session.exec(select(Suppression))
                assert (desk.address, desk.reason) == (CLOUD_DESK, "")
            # Neither in the file with every secret that is left, nor in what was made of it
            assert [mark for mark in MARKS if mark in everything(one) + whole + keys.read_bytes()] == []
            one.close()
            # The keys of the day of the backup would have opened all of it: so no older copy of them is kept
            told = await asyncio.to_thread(backup.restore, both, file, backup_keys.place(both.vault))
            assert (told["reporters"], told["erased_since"]) == (2, 0)
            compare(before, await asyncio.to_thread(archive, both, ALICE))
            both.close()

    asyncio.run(main())


def compare(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """All is as it was, but for uses of data, which are refused, and what is too short-lived for a backup."""
    assert set(after) == set(before)
    for name, content in before.items():
        if name.endswith(".eml"):
            assert after[name] == content, name
    was, now = (json.loads(one["account.json"]) for one in (before, after))
    assert [row["chosen"] for row in now.pop("choices")] == [False]
    was.pop("choices")
    for short_lived in ("codes", "answered_requests"):
        assert was.pop(short_lived) != now.pop(short_lived) == []
    assert now == was
    entries = [json.loads(one["receipt.json"])["chain"] for one in (before, after)]
    assert entries[0] == entries[1] != []


def test_a_backup_of_one_database_is_restored_into_the_other(tmp_path: Path, database_url: str) -> None:
    with running_website(tmp_path / "a") as website:
        complaint = website.waiting(spam(subject="Zyzzyva"))
        before = website.show(complaint)
        file = tmp_path / "backup.jsonl"
        assert backup.write(website.office, file) == 2
        other = empty_office(website.office, tmp_path / "b", database_url)
        backup.restore(other, file, backup_keys.place(other.vault))
        with other.db.reading() as session:
            rows = {row.id: (row.to, row.digest, row.state) for row in session.exec(select(Report))}
        assert rows == {one["id"]: (one["to"], one["digest"], one["state"]) for one in before["reports"]}
        assert archive(other, ALICE)[f"complaints/{complaint}.eml"] == spam(subject="Zyzzyva")
        other.close()


def test_nothing_leaves_because_it_was_restored(tmp_path: Path) -> None:
    with running_website(tmp_path / "a") as website:
        from tests.visitor import confirm

        confirm(website, website.waiting())
        with website.office.db.transaction() as session:
            alice = session.get_one(Reporter, website.alice.reporter.id)
            probes.ask(session, website.office, alice)
            at = website.clock()
            session.add(
                StandingConsent(
                    id="g", reporter_id=alice.id, given_at=at, via="test", policy="3", statement="", daily=3
                )
            )
            use = Choice(reporter_id=alice.id, purpose=next(iter(PURPOSES)), chosen=True, at=at, via="test")
            session.merge(use)
        file = tmp_path / "backup.jsonl"
        backup.write(website.office, file)
        other = empty_office(website.office, tmp_path / "b")
        told = backup.restore(other, file, backup_keys.place(other.vault))
        with other.db.reading() as session:
            states = [row.state for row in session.exec(select(Report))]
            assert session.exec(select(StandingConsent)).one().revoked_at is not None
            assert not any(one.chosen for one in session.exec(select(Choice)) if one.purpose in PURPOSES)
        assert told["unconfirmed"] == states.count(ReportState.UNCONFIRMED) > 0
        assert ReportState.QUEUED not in states
        website.clock.turn(days=1)
        assert "letter" not in {job.step for job in due_jobs(other, website.clock())}
        with other.db.reading() as session:
            from complaints.models import Complaint

            assert session.exec(select(Complaint)).one().state == ComplaintState.CLOSED
        other.close()


def test_an_erasure_while_a_backup_is_being_written_takes_the_key_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_website(tmp_path / "a") as website:
        office, real = website.office, backup_keys.write

        def write(vault: Any, keys: dict[str, bytes]) -> None:
            with office.db.transaction() as session:
                erasure.erase(session, office, session.get_one(Reporter, website.alice.reporter.id))
            real(vault, keys)

        monkeypatch.setattr(backup_keys, "write", write)
        backup.write(office, tmp_path / "backup.jsonl")
        assert set(backup_keys.read(backup_keys.place(office.vault))) == {website.bob.reporter.id}


def test_an_erasure_that_a_backup_met_takes_the_key_in_the_end_though_the_process_died(
    tmp_path: Path, database_url: str
) -> None:
    with running_website(tmp_path / "a", database_url=database_url) as website:
        office, gone_id = website.office, website.alice.reporter.id
        keys = backup_keys.place(office.vault)
        backup.write(office, tmp_path / "backup.jsonl")
        all_keys = backup_keys.read(keys)
        with office.db.transaction() as session:
            erasure.erase(session, office, session.get_one(Reporter, gone_id))
            backup_keys.write(office.vault, all_keys)  # a backup began before, and writes them now
        # Here the process dies: nothing after the commit is done. The next worker finds it in the rows
        [left] = [job for job in due_jobs(office, website.clock()) if job.step == "erased"]
        assert gone_id in backup_keys.read(keys)
        erasure.finish(office, left.row_id)
        assert set(backup_keys.read(keys)) == {website.bob.reporter.id}
        assert erasure.unfinished(office) == []


def test_a_damaged_backup_or_one_without_keys_changes_nothing(tmp_path: Path) -> None:
    with running_website(tmp_path / "a") as website:
        file = tmp_path / "backup.jsonl"
        backup.write(website.office, file)
        with pytest.raises(BackupError, match="name of its own"):
            backup.write(website.office, file)
        other = empty_office(website.office, tmp_path / "b")
        whole = file.read_bytes()
        for damaged in (
            whole[:-200],
            whole.replace(b'"sealed":"A', b'"sealed":"B', 1)[:-1] + b"x\n",
            b"",
            b"{}\n",
        ):
            file.write_bytes(damaged)
            with pytest.raises(BackupError):
                backup.restore(other, file, backup_keys.place(other.vault))
        file.write_bytes(whole)
        with pytest.raises(BackupError, match="no keys"):
            backup.restore(other, file, tmp_path / "nothing")
        with other.db.reading() as session:
            assert session.exec(select(Reporter)).all() == []
        other.close()


def test_every_table_is_in_a_backup_or_needs_none() -> None:
    there = {table.name for table in metadata().sorted_tables}
    kept = {table.__tablename__ for table in (*backup.PERSONAL, *backup.COMMON)} | {"disclosure"}
    assert there - kept == LEFT_OUT & there
    assert not kept & LEFT_OUT


def test_the_operator_backs_up_and_restores_by_command(tmp_path: Path) -> None:
    data, file = ("--data", str(tmp_path / "data")), tmp_path / "b.jsonl"
    assert plaint("reporters", "add", "carol@example.com", "--verified", *data).code == 0
    made = plaint("backup", str(file), *data)
    assert (made.code, f"wrote {file}: 1 reporter. " in made.err) == (0, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"carol" not in file.read_bytes()
    assert plaint("backup", str(file), *data).code == 65
    assert plaint("restore", str(file), *data).code == 65
    keys = tmp_path / "data" / "secrets"
    office = Office.open(load(data=tmp_path / "data"))
    other = empty_office(office, tmp_path / "new")
    office.close()
    other.close()
    restored = plaint("restore", str(file), "--data", str(tmp_path / "new"))
    assert (restored.code, "restored 1 reporter; " in restored.err) == (0, True), restored.err
    assert b"carol@example.com" in plaint("reporters", "list", "--data", str(tmp_path / "new")).out
    assert keys.is_dir()
