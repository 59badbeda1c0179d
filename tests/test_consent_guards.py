"""The database itself refuses what has no consent, on SQLite and PostgreSQL, also to whoever writes SQL by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from complaints.guards import GUARDS
from complaints.office import Office
from tests.house import House, house

CLOUD_DESK = "abuse@cloud.example"


def run_sql(office: Office, statement: str, **values: Any) -> int:
    with office.db.transaction() as session:
        return int(session.execute(text(statement), values).rowcount)  # type: ignore[attr-defined]


def refused(office: Office, statement: str, **values: Any) -> str:
    with pytest.raises(DBAPIError) as error:
        run_sql(office, statement, **values)
    return str(error.value)


@asynccontextmanager
async def awaiting(tmp_path: Path, database_url: str) -> AsyncIterator[tuple[House, dict[str, Any]]]:
    async with house(tmp_path, database_url, undo_seconds=600) as home:
        [document] = await home.waiting()
        yield home, document


def test_no_report_enters_its_way_out_without_a_consent(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with awaiting(tmp_path, database_url) as (home, _):
            for state in ("consented", "queued", "sending"):
                said = refused(home.office, "UPDATE report SET state = :state", state=state)
                assert "no standing consent" in said
            copied = (
                'INSERT INTO report (id, complaint_id, token, "to", state, ticked, contact, drafted_at, raw, '
                "digest, message_id, changes, attempts) SELECT id || 'x', complaint_id, token || 'x', "
                "\"to\" || 'x', 'queued', ticked, contact, drafted_at, raw, digest, message_id || 'x', changes, "
                "attempts FROM report"
            )
            assert "no standing consent" in refused(home.office, copied)

    asyncio.run(main())


def test_a_report_consented_to_is_not_written_anew(tmp_path: Path, database_url: str) -> None:
    columns = ("raw", "digest", '"to"', "message_id")

    async def main() -> None:
        async with awaiting(tmp_path, database_url) as (home, document):
            for column in columns:
                assert run_sql(home.office, f"UPDATE report SET {column} = {column}") > 0
            assert (await home.confirm(document, [CLOUD_DESK])).status_code == 202
            for column in columns:
                value = b"other" if column == "raw" else "other"
                change = f"UPDATE report SET {column} = :value WHERE state = 'queued'"
                assert "not written anew" in refused(home.office, change, value=value)

    asyncio.run(main())


def test_what_was_not_written_is_neither_consented_to_nor_sent(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with awaiting(tmp_path, database_url) as (home, document):
            await home.confirm(document, [CLOUD_DESK])
            unwritten = "UPDATE report SET raw = :none, digest = '' WHERE state = 'draft'"
            assert run_sql(home.office, unwritten, none=b"") > 0
            consented = (
                'INSERT INTO consented_report SELECT k.id, r.id, r.digest, r."to" FROM consent AS k, report AS r'
                " WHERE r.state = 'draft'"
            )
            assert "not written yet" in refused(home.office, consented)
            run_sql(home.office, "UPDATE report SET raw = :none WHERE state = 'queued'", none=b"")
            sending = "UPDATE report SET state = 'sending' WHERE state = 'queued'"
            assert "not written yet" in refused(home.office, sending)

    asyncio.run(main())


def test_after_a_withdrawal_nothing_is_sent_any_more(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with awaiting(tmp_path, database_url) as (home, document):
            await home.confirm(document, [CLOUD_DESK])
            sending = "UPDATE report SET state = 'sending' WHERE state = 'queued'"
            withdraw = "INSERT INTO withdrawal SELECT id, given_at, 'sql' FROM consent"
            assert run_sql(home.office, withdraw) == 1
            assert "no standing consent" in refused(home.office, sending)

    asyncio.run(main())


def test_what_records_a_consent_is_only_added_to(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with awaiting(tmp_path, database_url) as (home, document):
            await home.confirm(document, [CLOUD_DESK])
            assert (await home.api("POST", f"/complaints/{document['id']}/undo")).status_code == 202
            for change in (
                "UPDATE consent SET redaction = 'none'",
                "UPDATE consented_report SET digest = 'sha256:other'",
                "UPDATE withdrawal SET via = 'other'",
                "UPDATE consent_entry SET digest = 'other' WHERE number = 2",
            ):
                assert "never changed" in refused(home.office, change)
            for table in ("consent_entry", "withdrawal", "consented_report", "consent"):
                assert "is kept as long as its reporter" in refused(home.office, f"DELETE FROM {table}")
            run_sql(home.office, "UPDATE reporter SET erased_at = created_at")
            for table in ("consent_entry", "withdrawal", "consented_report", "consent"):
                assert run_sql(home.office, f"DELETE FROM {table}") >= 1

    asyncio.run(main())


def test_an_entry_that_does_not_follow_the_last_one_is_refused(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with awaiting(tmp_path, database_url) as (home, document):
            await home.confirm(document, [CLOUD_DESK])
            entry = (
                "INSERT INTO consent_entry SELECT reporter_id, {number}, kind, complaint_id, at, {previous}, "
                "'sha256:new', body FROM consent_entry"
            )
            for number, previous in (("3", "digest"), ("2", "'sha256:other'"), ("2", "''")):
                said = refused(home.office, entry.format(number=number, previous=previous))
                assert "names the digest" in said
            assert run_sql(home.office, entry.format(number="2", previous="digest")) == 1

    asyncio.run(main())


def test_every_guard_has_a_name_of_its_own() -> None:
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)
