"""The copy of everything holds what the data map says is kept of a reporter, and nothing of anybody else."""

import asyncio
import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from complaints import erasure, export, retention
from complaints.account_tables import Disclosure
from complaints.models import Complaint, Reporter
from complaints.office import Office
from complaints.receipts import verify
from complaints.standing_tables import StandingConsent
from tests.house import ALICE, BOB, house
from tests.test_erasure import MARKS, plant


def test_an_export_holds_everything_that_is_kept(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url, undo_seconds=2) as home:
            await plant(home)
            place = io.BytesIO()
            with home.office.db.transaction() as session:
                alice = session.exec(select(Reporter).where(Reporter.address == ALICE)).one()
                alice.learned = [{"host": "learned.example", "how": "hop", "since": "2026-11-26T12:00:00Z"}]
                session.exec(select(Complaint)).first().hide = ["a word to hide"]  # type: ignore[union-attr]
                grant = StandingConsent(
                    id="g", reporter_id=alice.id, given_at=home.office.clock(), via="test", policy="2",
                    statement="what was agreed to", daily=3, hosts=["mx.agreed.example"], revoked_via="a way",
                )  # fmt: skip
                session.add(grant)
            with home.office.db.reading() as session:
                export.write(session, home.office, alice, place)
                kept = dict(kept_of(session, home.office, alice))
            check_archive(zipfile.ZipFile(place))
            told = b"\n".join(map(zipfile.ZipFile(place).read, zipfile.ZipFile(place).namelist()))
            lacks = {where for where, values in kept.items() for one in values if not is_told(one, told)}
            assert lacks == set()
            tables = {where.partition(".")[0] for where, values in kept.items() if values}
            assert tables == {where.partition(".")[0] for where in kept}, "nothing was planted in one"

    asyncio.run(main())


def kept_of(session: Session, office: Office, reporter: Reporter) -> Iterator[tuple[str, list[bytes]]]:
    """Column by column of the data map, what stands there of a reporter, opened where it is sealed."""
    tables = {table.__tablename__: table for table in (*erasure.TABLES, Disclosure)}
    for row in retention.data_map()["table"]:
        if row["name"] not in tables:
            continue
        table = tables[row["name"]]
        found = session.exec(select(table).where(erasure.theirs(table, reporter.id, [ALICE]))).all()
        for column in row["columns"].keys() - OURS.get(row["name"], set()):
            values: list[Any] = [getattr(one, column) for one in found]
            if column in row.get("sealed", []):
                keys = [reporter.key if getattr(one, "reporter_id", "theirs") else None for one in found]
                values = [office.vault.unseal(key, one) for key, one in zip(keys, values, strict=True) if one]
            yield f"{row['name']}.{column}", [one for value in values for one in leaves(value)]


OURS = {
    "reporter": {"key"},
    "submission_address": {"hash"},
    "registration": {"address"},
}
"""What is for us alone: keys and hashes, of which nothing can be read."""


def leaves(value: Any) -> Iterator[bytes]:
    """The texts and octets in a value of a column, or of the JSON that stands in it."""
    with contextlib.suppress(ValueError):
        value = json.loads(value) if isinstance(value, bytes) and value[:1] == b"{" else value
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)
    elif isinstance(value, str | bytes) and value:
        yield value if isinstance(value, bytes) else value.encode()


def is_told(value: bytes, archive: bytes) -> bool:
    """Whether it stands there as it is, or as JSON writes it."""
    return (
        value in archive
        or json.dumps(value.decode("utf-8", "replace"), ensure_ascii=False).encode()[1:-1] in archive
    )


def check_archive(archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    account = json.loads(archive.read("account.json"))
    assert (account["address"], account["aliases"]) == (ALICE, ["alias-of-alice@victim.example"])
    assert [(row["purpose"], row["chosen"]) for row in account["choices"]] == [("news", True)]
    assert [row["reason"] for row in account["readings"]] == ["Zyzzyva asked me"]
    assert [row["what"] for row in account["disclosures"]] == ["Zyzzyva"]
    spams = [
        name
        for name in names
        if name.startswith("complaints/") and name.endswith(".eml") and name.count("-") == 1
    ]
    assert len(spams) == 4
    assert all(b"Subject: Zyzzyva" in archive.read(name) for name in spams)
    assert any(
        b"Zyzzyva, says the desk." in archive.read(name) for name in names if name.startswith("replies/")
    )
    assert any(name.startswith("letters/") and name.endswith("-notice.eml") for name in names)
    receipt = json.loads(archive.read("receipt.json"))
    sent = {
        name: archive.read(name)
        for name in names
        if name.endswith("-01.eml") and b"says the reporter" in archive.read(name)
    }
    assert sent
    assert verify(receipt, sent)
    assert json.loads(archive.read("data-map.json"))["kept"]["account"]


def test_an_export_tells_nothing_of_others(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            await plant(home)
            place = io.BytesIO()
            with home.office.db.reading() as session:
                bob = session.exec(select(Reporter).where(Reporter.address == BOB)).one()
                export.write(session, home.office, bob, place)
            archive = zipfile.ZipFile(place)
            whole = b"".join(archive.read(name) for name in archive.namelist())
            assert [mark for mark in MARKS if mark in whole] == []

    asyncio.run(main())
