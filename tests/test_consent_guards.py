"""The database itself refuses what has no consent, on SQLite and PostgreSQL, also to whoever writes SQL by hand."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from complaints import guards
from complaints.db import DatabaseError
from complaints.models import Consent, Report
from complaints.office import Office
from tests.house import unguarded
from tests.visitor import confirm, press
from tests.website import Website, running_website, spam


@pytest.fixture
def website(tmp_path: Path, database_url: str) -> Iterator[Website]:
    with running_website(tmp_path, database_url=database_url) as made:
        yield made


def run_sql(website: Website, statement: str, **values: Any) -> int:
    with website.office.db.transaction() as session:
        return int(session.execute(text(statement), values).rowcount)  # type: ignore[attr-defined]


def refused(website: Website, statement: str, **values: Any) -> str:
    with pytest.raises(DBAPIError) as error:
        run_sql(website, statement, **values)
    return str(error.value)


def consented(website: Website) -> str:
    """A complaint whose report to the network is on its way, and the other one a draft."""
    complaint = website.waiting()
    confirm(website, complaint, report=f"{complaint}-01")
    return complaint


def test_no_report_enters_its_way_out_without_a_consent(website: Website) -> None:
    website.look(website.waiting())
    for state in ("consented", "queued", "sending"):
        assert "no standing consent" in refused(website, "UPDATE report SET state = :state", state=state)
    copied = (
        'INSERT INTO report (id, complaint_id, token_hash, "to", state, ticked, contact, drafted_at, raw, '
        "digest, message_id, changes, attempts) SELECT id || 'x', complaint_id, token_hash || 'x', "
        "\"to\" || 'x', 'queued', ticked, contact, drafted_at, raw, digest, message_id || 'x', changes, "
        "attempts FROM report"
    )
    assert "no standing consent" in refused(website, copied)


def test_a_report_consented_to_is_not_written_anew(website: Website) -> None:
    columns = ("raw", "digest", '"to"', "message_id")
    website.look(complaint := website.waiting())
    for column in columns:
        assert run_sql(website, f"UPDATE report SET {column} = {column}") > 0
    confirm(website, complaint)
    for column in columns:
        value = b"other" if column == "raw" else "other"
        change = f"UPDATE report SET {column} = :value WHERE state = 'queued'"
        assert "not written anew" in refused(website, change, value=value)


def test_what_was_not_written_is_neither_consented_to_nor_sent(website: Website) -> None:
    consented(website)
    unwritten = "UPDATE report SET raw = :none, digest = '' WHERE state = 'draft'"
    assert run_sql(website, unwritten, none=b"") > 0
    covered = (
        'INSERT INTO consented_report SELECT k.id, r.id, r.digest, r."to" FROM consent AS k, report AS r'
        " WHERE r.state = 'draft'"
    )
    with website.office.db.transaction() as session:
        one = "consented_report_shown"
        session.execute(
            text(f"DROP TRIGGER {one}{'' if website.office.db.embedded else ' ON consented_report'}")
        )
    assert "not written yet" in refused(website, covered)
    run_sql(website, "UPDATE report SET raw = :none WHERE state = 'queued'", none=b"")
    sending = "UPDATE report SET state = 'sending' WHERE state = 'queued'"
    assert "not written yet" in refused(website, sending)


def test_after_a_withdrawal_nothing_is_sent_any_more(website: Website) -> None:
    consented(website)
    sending = "UPDATE report SET state = 'sending' WHERE state = 'queued'"
    withdraw = "INSERT INTO withdrawal SELECT id, given_at, 'sql' FROM consent"
    assert run_sql(website, withdraw) == 1
    assert "no standing consent" in refused(website, sending)


def test_what_records_a_consent_is_only_added_to(website: Website) -> None:
    press(website, consented(website), "undo")
    for change in (
        "UPDATE consent SET redaction = 'none'",
        "UPDATE consented_report SET digest = 'sha256:other'",
        "UPDATE withdrawal SET via = 'other'",
        "UPDATE consent_entry SET digest = 'other' WHERE number = 2",
    ):
        assert "never changed" in refused(website, change)
    for table in ("consent_entry", "withdrawal", "consented_report", "consent"):
        assert "is kept as long as its reporter" in refused(website, f"DELETE FROM {table}")
    run_sql(website, "UPDATE reporter SET erased_at = created_at")
    # A withdrawal goes after what it took back: else that would stand again for a moment
    assert "is kept as long as its reporter" in refused(website, "DELETE FROM withdrawal")
    for table in ("consented_report", "withdrawal", "consent_entry", "consent"):
        assert run_sql(website, f"DELETE FROM {table}") >= 1


def test_an_entry_that_does_not_follow_the_last_one_is_refused(website: Website) -> None:
    consented(website)
    entry = (
        "INSERT INTO consent_entry SELECT reporter_id, {number}, kind, complaint_id, at, {previous}, "
        "'sha256:new', body FROM consent_entry"
    )
    for number, previous in (("3", "digest"), ("2", "'sha256:other'"), ("2", "''")):
        said = refused(website, entry.format(number=number, previous=previous))
        assert "names the digest" in said
    assert run_sql(website, entry.format(number="2", previous="digest")) == 1


# ---- whoever writes SQL by hand, in whatever order


@dataclass
class Rows:
    """What an attack may name: a report that was sent, one taken back, one never consented to, and consents."""

    sent: str
    taken_back: str
    draft: str
    beside: str
    standing: str
    withdrawn: str


@pytest.fixture
def rows(website: Website) -> Rows:
    sent, back, never = (website.waiting(spam(subject=one)) for one in ("Sent", "Taken back", "Never"))
    website.look(never)
    for complaint in (sent, back):
        confirm(website, complaint, report=f"{complaint}-01")
    press(website, back, "undo")
    for state in ("sending", "sent"):
        run_sql(website, f"UPDATE report SET state = '{state}' WHERE id = '{sent}-01'")
    with website.office.db.reading() as session:
        given = {row.complaint_id: row.id for row in session.exec(select(Consent))}
    return Rows(f"{sent}-01", f"{back}-01", f"{never}-01", f"{sent}-02", given[sent], given[back])


COVER = 'INSERT INTO consented_report SELECT {consent}, id, digest, "to" FROM report WHERE id = {report}'
ALL_OF_REPORT = ", ".join(f'"{column.name}"' for column in Report.__table__.columns)  # type: ignore[attr-defined]
AS_DRAFT = ALL_OF_REPORT.replace('"state"', "'draft'")
ANYWHERE: dict[str, tuple[str, ...]] = {
    "delete": ("DELETE FROM withdrawal",),
    "revive by another time": ("UPDATE withdrawal SET consent_id = {standing}",),
    "draft again": ("UPDATE report SET state = 'draft' WHERE id = {sent}",),
    "queued again": ("UPDATE report SET state = 'queued' WHERE id = {sent}",),
    "unsure": ("UPDATE report SET state = 'unconfirmed' WHERE id = {sent}",),
    "cancelled": ("UPDATE report SET state = 'cancelled' WHERE id = {sent}",),
    "cover": (COVER.format(consent="{standing}", report="{draft}"),),
    "cover one beside": (COVER.format(consent="{standing}", report="{beside}"),),
    "cover by nobody": (COVER.format(consent="'nobody'", report="{draft}"),),
    "cover again": (COVER.format(consent="{standing}", report="{taken_back}"),),
    "move over": (
        (
            "UPDATE report SET complaint_id = (SELECT complaint_id FROM consent WHERE id = {standing}), "
            "\"to\" = 'abuse@third.example' WHERE id = {draft}"
        ),
        COVER.format(consent="{standing}", report="{draft}"),
    ),
    "erase and take back": (
        "UPDATE reporter SET erased_at = created_at",
        "DELETE FROM withdrawal",
        "UPDATE reporter SET erased_at = NULL",
    ),
    "upsert": (
        (
            "INSERT INTO withdrawal SELECT {withdrawn}, at, 'x' FROM withdrawal WHERE true "
            "ON CONFLICT (consent_id) DO UPDATE SET consent_id = {standing}"
        ),
    ),
    "shadow": (
        (
            "CREATE TEMPORARY TABLE consented_report AS SELECT {standing} AS consent_id, id AS report_id, digest, "
            '"to" FROM report WHERE id = {draft}'
        ),
        "CREATE TEMPORARY TABLE withdrawal (consent_id TEXT)",
        (
            "CREATE TEMPORARY TABLE consent AS SELECT {standing} AS id, complaint_id, 'r' AS reporter_id FROM report "
            "WHERE id = {draft}"
        ),
        (
            "CREATE TEMPORARY TABLE consent_entry AS SELECT 'r' AS reporter_id, complaint_id, 'consent' AS kind "
            "FROM report WHERE id = {draft}"
        ),
    ),
    "forget": ("DELETE FROM consented_report", "DELETE FROM report WHERE id = {sent}"),
}
SQLITE = {
    "replace": ("REPLACE INTO withdrawal SELECT {withdrawn}, at, 'other' FROM withdrawal",),
    "replace by number": (
        "REPLACE INTO withdrawal (rowid, consent_id, at, via) SELECT rowid, {standing}, at, via FROM withdrawal",
    ),
    "replace a consent": (
        (
            "REPLACE INTO consent SELECT k.id, r.complaint_id, k.reporter_id, k.given_at, k.via, k.policy, k.statement, "
            "k.redaction, k.note, json_array(r.id) FROM consent AS k, report AS r WHERE k.id = {standing} AND r.id = {draft}"
        ),
        COVER.format(consent="{standing}", report="{draft}"),
    ),
    "replace what is covered": (
        "REPLACE INTO consented_report SELECT consent_id, report_id, 'sha256:other', \"to\" FROM consented_report",
    ),
    "replace an entry": (
        (
            "REPLACE INTO consent_entry SELECT reporter_id, number, kind, complaint_id, at, previous, 'sha256:other', "
            "body FROM consent_entry WHERE number = 1"
        ),
    ),
    "replace a report": (
        f"REPLACE INTO report ({ALL_OF_REPORT}) SELECT {AS_DRAFT} FROM report WHERE id = {{sent}}",
    ),
    "replace a report by its place": (
        'UPDATE OR REPLACE report SET "to" = (SELECT "to" FROM report WHERE id = {sent}) WHERE id = {beside}',
    ),
    "take its id": ("UPDATE OR REPLACE report SET id = {sent} WHERE id = {draft}",),
    "take a withdrawal's": ("UPDATE OR REPLACE withdrawal SET consent_id = {standing}",),
    "unchecked": (
        "PRAGMA defer_foreign_keys = ON",
        "DELETE FROM reporter",
        "DELETE FROM withdrawal",
        "DELETE FROM consent WHERE id = {withdrawn}",
    ),
}
POSTGRESQL = {
    "truncate": ("TRUNCATE withdrawal",),
    **{
        f"truncate {table}": (f"TRUNCATE {table} CASCADE",)
        for table in ("report", "consent", "consented_report", "consent_entry")
    },
    "merge": ("MERGE INTO withdrawal USING consent ON consent.id = consent_id WHEN MATCHED THEN DELETE",),
    "merge into": (
        (
            "MERGE INTO consented_report AS c USING report AS r ON false WHEN NOT MATCHED AND r.id = {draft} THEN "
            'INSERT VALUES ({standing}, r.id, r.digest, r."to")'
        ),
    ),
    "at once": (
        (
            "WITH gone AS (DELETE FROM withdrawal RETURNING 1) UPDATE report SET state = 'queued' "
            "WHERE id = {taken_back} AND EXISTS (SELECT 1 FROM gone)"
        ),
    ),
    "deferred": ("SET CONSTRAINTS ALL DEFERRED", COVER.format(consent="'nobody'", report="{draft}")),
}
GO = tuple(
    f"UPDATE report SET state = '{state}' WHERE id = {{{which}}}"
    for which in ("draft", "beside", "taken_back", "sent")
    for state in ("consented", "queued", "sending")
)
LEAVING = "SELECT id FROM report WHERE state IN ('consented', 'queued', 'sending')"
SENT = "SELECT state FROM report WHERE id = {sent}"


def attacks(website: Website, rows: Rows) -> Iterator[tuple[str, list[str], Callable[[str], list[Any]]]]:
    """Each attack's name and statements, and what runs one SQL on a database as it was before: then undone."""
    own = SQLITE if website.office.db.embedded else POSTGRESQL
    names = {name: f"'{value}'" for name, value in vars(rows).items()}
    for name, statements in (ANYWHERE | own).items():
        said = [one.format(**names) for one in (*statements, *GO)]
        if website.office.db.embedded:
            # A connection of somebody else's: none of our PRAGMAs, so neither foreign keys nor recursive triggers
            for recursive in ("OFF", "ON"):
                file = sqlite3.connect(website.office.settings.database.removeprefix("sqlite:///"))
                with closing(file), closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
                    file.backup(copy)
                    copy.execute(f"PRAGMA recursive_triggers = {recursive}")
                    yield name, said, lambda one, copy=copy: copy.execute(one).fetchall()  # type: ignore[misc]
        else:
            with website.office.db.engine.connect() as connection:

                def run(one: str, connection: Any = connection) -> list[Any]:
                    with connection.begin_nested():
                        done = connection.exec_driver_sql(one)
                        return list(done) if done.returns_rows else []

                yield name, said, run
                connection.rollback()


def test_no_order_of_statements_gets_out_what_is_not_consented_to_or_was_sent(
    website: Website, rows: Rows
) -> None:
    for name, statements, run in attacks(website, rows):
        done = 0
        for statement in statements:
            try:
                run(statement)
                done += 1
            except (DBAPIError, sqlite3.Error):
                continue
        assert run(LEAVING) == [], name
        assert [state for (state,) in run(SENT.format(sent=f"'{rows.sent}'"))] in (["sent"], ["bounced"]), (
            name
        )
        if name not in {"shadow", "unchecked", "deferred", "erase and take back"}:
            assert done == 0, f"{name}: something was let through"


def test_what_is_copied_in_meets_the_same_refusal(tmp_path: Path, postgresql_url: str) -> None:
    with running_website(tmp_path, database_url=postgresql_url) as website:
        complaint = consented(website)
        with website.office.db.reading() as session:
            row = session.get_one(Report, f"{complaint}-02")
            given = session.exec(select(Consent)).one()
            connection: Any = session.connection().connection.driver_connection
            with (
                pytest.raises(Exception, match="that it was shown with"),
                connection.cursor() as cursor,
                cursor.copy("COPY consented_report FROM STDIN") as copy,
            ):
                copy.write_row([given.id, row.id, row.digest, row.to])


def test_a_service_does_not_start_on_a_database_that_no_longer_refuses(website: Website) -> None:
    with website.office.db.transaction() as session:
        unguarded(session)
    with pytest.raises(DatabaseError, match=r"no longer refuses .*report_needs_consent.*plaint db upgrade"):
        Office.open(website.office.settings)
    website.office.db.upgrade()
    website.office.db.check_schema()
    if not website.office.db.embedded:
        run_sql(website, "ALTER TABLE report DISABLE TRIGGER report_needs_consent")
        with pytest.raises(DatabaseError, match="report_needs_consent"):
            website.office.db.check_schema()


def test_every_guard_has_a_name_of_its_own() -> None:
    assert len({guard.name for guard in guards.GUARDS}) == len(guards.GUARDS)
