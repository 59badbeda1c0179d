"""What the database itself refuses, whoever asks: SQL for SQLite and PostgreSQL, installed by a migration.

The promise "no consent, no sending" is kept by the code (`forward.sendable_bytes`) and, should the code ever
be wrong, by these triggers: a report enters its way out only with bytes, and under a consent that names its
digest and its recipient, stands in the chain, and was not withdrawn; no consent covers a report it was not
shown with; a report that is on its way, or was, is neither written anew nor sent again; and what records a
consent is only ever added to. Where a row stands, none is put in its place: REPLACE would delete unseen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, text

from complaints.models import REPORT_STEPS, ReportState

Event = Literal["INSERT", "UPDATE", "DELETE", "TRUNCATE"]

_STANDING = """EXISTS (
    SELECT 1 FROM consented_report AS c
    JOIN consent AS k ON k.id = c.consent_id AND k.complaint_id = NEW.complaint_id
    JOIN consent_entry AS e
        ON e.complaint_id = k.complaint_id AND e.reporter_id = k.reporter_id AND e.kind = 'consent'
    LEFT JOIN withdrawal AS w ON w.consent_id = c.consent_id
    WHERE c.report_id = NEW.id AND c.digest = NEW.digest AND c."to" = NEW."to" AND w.consent_id IS NULL
)"""
# `queued` again after `sending` or `unconfirmed` is a record of what happened; `sending` asks anew
_ENTERS = """NEW.state <> OLD.state AND (
    NEW.state IN ('consented', 'sending')
    OR (NEW.state = 'queued' AND OLD.state NOT IN ('sending', 'unconfirmed'))
)"""
_UNWRITTEN = "NEW.digest = '' OR length(NEW.raw) = 0"
# Its bytes may go when their time is over; they are never replaced
_REWRITES = """NEW.id <> OLD.id OR NEW.complaint_id <> OLD.complaint_id OR (
    OLD.state NOT IN ('draft', 'cancelled', 'suppressed') AND (
        NEW.digest <> OLD.digest OR NEW."to" <> OLD."to" OR (NEW.raw <> OLD.raw AND length(NEW.raw) > 0)
        OR NEW.message_id <> OLD.message_id
    )
)"""
# From `draft` any end is harmless, and a restored backup needs it; changed steps need a migration
_LEGAL = ", ".join(
    f"'{step} {to}'"
    for step, ends in REPORT_STEPS.items()
    if step != ReportState.DRAFT
    for to in sorted(ends)
)
_STEPS_BACK = f"""NEW.state <> OLD.state AND OLD.state <> 'draft'
    AND OLD.state || ' ' || NEW.state NOT IN ({_LEGAL})"""
_CONSENTED = "EXISTS (SELECT 1 FROM consented_report AS c WHERE c.report_id = OLD.id)"
# `shown` is JSON: the report's id stands in it in quotes, or it was not shown
_NOT_SHOWN = """NOT EXISTS (
    SELECT 1 FROM consent AS k JOIN report AS r ON r.complaint_id = k.complaint_id
    WHERE k.id = NEW.consent_id AND r.id = NEW.report_id
    AND replace(CAST(k.shown AS TEXT), '"' || r.id || '"', '') <> CAST(k.shown AS TEXT)
)"""
_BREAKS_THE_CHAIN = """NOT (
    (NEW.number = 1 AND NEW.previous = '')
    OR EXISTS (
        SELECT 1 FROM consent_entry AS e
        WHERE e.reporter_id = NEW.reporter_id AND e.number = NEW.number - 1 AND e.digest = NEW.previous
    )
)"""
_NOT_ERASED = (
    "NOT EXISTS (SELECT 1 FROM reporter AS r WHERE r.id = OLD.reporter_id AND r.erased_at IS NOT NULL)"
)
_NOT_ERASED_CONSENT = """NOT EXISTS (
    SELECT 1 FROM consent AS k JOIN reporter AS r ON r.id = k.reporter_id
    WHERE k.id = OLD.consent_id AND r.erased_at IS NOT NULL
)"""
# Else what was withdrawn would stand again until the rest is erased
_STILL_COVERS = f"""{_NOT_ERASED_CONSENT}
    OR EXISTS (SELECT 1 FROM consented_report AS c WHERE c.consent_id = OLD.consent_id)"""  # noqa: S608 - all ours
_TAKEN_REPORT = """r.token_hash = NEW.token_hash OR r.message_id = NEW.message_id
    OR (r.complaint_id = NEW.complaint_id AND r."to" = NEW."to")"""
_OTHER_REPORT = f"""(
        NEW.token_hash <> OLD.token_hash OR NEW.message_id <> OLD.message_id OR NEW."to" <> OLD."to"
    ) AND EXISTS (SELECT 1 FROM report AS r WHERE r.id <> OLD.id AND ({_TAKEN_REPORT}))"""  # noqa: S608 - all ours


def _there(table: str, *keys: str) -> str:
    """A row stands already where the new one would: by one of these keys, or by SQLite's own number."""
    same = " OR ".join(f"({key})" for key in (*keys, "r.rowid = NEW.rowid"))
    return f"EXISTS (SELECT 1 FROM {table} AS r WHERE {same})"  # noqa: S608 - all ours


@dataclass(frozen=True)
class Guard:
    """`event` on a row of `table` fails with `message` where `condition` (SQL on OLD and NEW) holds.

    A TRUNCATE has no rows and always fails.
    """

    name: str
    table: str
    event: Event
    condition: str
    message: str
    only: Literal["", "sqlite", "postgresql"] = ""


_KEPT = "a consent is kept as long as its reporter"
_STAYS = "a consent is never changed"
_FROZEN = "a report that was consented to is not written anew"
_NO_CONSENT = "no standing consent names this report, its digest and its recipient"
_NOT_WRITTEN = "a report that was not written yet cannot be consented to"
_CHAIN = "an entry names the digest of the one before it"
_PLACE = "where a row stands none is put in its place"
_ENDED = "a report that came to its end stays there"
_COVERS = "a consent covers only reports of its complaint that it was shown with"

GUARDS = (
    Guard("report_is_new", "report", "INSERT", "NEW.state NOT IN ('draft', 'suppressed')", _NO_CONSENT),
    Guard("report_needs_consent", "report", "UPDATE", f"{_ENTERS} AND NOT {_STANDING}", _NO_CONSENT),
    Guard("report_needs_bytes", "report", "UPDATE", f"{_ENTERS} AND ({_UNWRITTEN})", _NOT_WRITTEN),
    Guard("report_is_frozen", "report", "UPDATE", _REWRITES, _FROZEN),
    Guard("report_goes_on", "report", "UPDATE", _STEPS_BACK, _ENDED),
    Guard("report_kept", "report", "DELETE", _CONSENTED, _KEPT),
    Guard("consent_stays", "consent", "UPDATE", "1 = 1", _STAYS),
    Guard("consent_kept", "consent", "DELETE", _NOT_ERASED, _KEPT),
    Guard("consented_report_written", "consented_report", "INSERT", "NEW.digest = ''", _NOT_WRITTEN),
    Guard("consented_report_shown", "consented_report", "INSERT", _NOT_SHOWN, _COVERS),
    Guard("consented_report_stays", "consented_report", "UPDATE", "1 = 1", _STAYS),
    Guard("consented_report_kept", "consented_report", "DELETE", _NOT_ERASED_CONSENT, _KEPT),
    Guard("withdrawal_stays", "withdrawal", "UPDATE", "1 = 1", _STAYS),
    Guard("withdrawal_kept", "withdrawal", "DELETE", _STILL_COVERS, _KEPT),
    Guard("consent_entry_links", "consent_entry", "INSERT", _BREAKS_THE_CHAIN, _CHAIN),
    Guard("consent_entry_stays", "consent_entry", "UPDATE", "1 = 1", _STAYS),
    Guard("consent_entry_kept", "consent_entry", "DELETE", _NOT_ERASED, _KEPT),
    # What REPLACE deletes on SQLite fires no trigger, unless `recursive_triggers` is on
    *(
        Guard(f"{table}_in_place", table, "INSERT", _there(table, *keys), _PLACE, "sqlite")
        for table, keys in {
            "report": ("r.id = NEW.id", _TAKEN_REPORT),
            "consent": ("r.id = NEW.id",),
            "consented_report": ("r.consent_id = NEW.consent_id AND r.report_id = NEW.report_id",),
            "withdrawal": ("r.consent_id = NEW.consent_id",),
            "consent_entry": (
                "r.reporter_id = NEW.reporter_id AND r.number = NEW.number",
                "r.digest = NEW.digest",
            ),
        }.items()
    ),
    Guard("report_takes_no_place", "report", "UPDATE", _OTHER_REPORT, _PLACE, "sqlite"),
    *(
        Guard(f"{table}_not_emptied", table, "TRUNCATE", "", _KEPT, "postgresql")
        for table in ("report", "consent", "consented_report", "withdrawal", "consent_entry")
    ),
)


def of(dialect: str) -> list[Guard]:
    """The guards of a database; `dialect` as SQLAlchemy names it."""
    return [guard for guard in GUARDS if guard.only in {"", dialect}]


def install(connection: Connection) -> None:
    """Make the database refuse, as of now: guards of another version are replaced."""
    for guard in of(connection.dialect.name):
        statements = _sqlite(guard)
        if connection.dialect.name == "postgresql":
            statements = _postgresql(guard, connection.execute(text("SELECT current_schema()")).scalar_one())
        for statement in statements:
            connection.exec_driver_sql(statement)


def missing(connection: Connection) -> list[str]:
    """The names of guards that somebody dropped or switched off."""
    there = _IN_SQLITE if connection.dialect.name == "sqlite" else _IN_POSTGRESQL
    found = set(connection.execute(text(there)).scalars())
    return [guard.name for guard in of(connection.dialect.name) if guard.name not in found]


_IN_SQLITE = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
_IN_POSTGRESQL = """SELECT t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND t.tgenabled IN ('O', 'A')"""


def _sqlite(guard: Guard) -> Iterator[str]:
    yield f"DROP TRIGGER IF EXISTS {guard.name}"
    trigger = f"CREATE TRIGGER {guard.name} BEFORE {guard.event} ON {guard.table} WHEN {guard.condition}"
    yield f"{trigger} BEGIN SELECT RAISE(ABORT, '{guard.message}'); END"


def _postgresql(guard: Guard, schema: str) -> Iterator[str]:
    row = "OLD" if guard.event == "DELETE" else "NEW"
    refuse = f"RAISE EXCEPTION '{guard.message}' USING ERRCODE = 'check_violation'"
    checks = f"IF {guard.condition} THEN {refuse}; END IF; RETURN {row}" if guard.condition else refuse
    # Else a table of the same name among somebody's temporary ones would be asked in place of ours
    path = f'SET search_path = "{schema}", pg_temp'
    each = "STATEMENT" if guard.event == "TRUNCATE" else "ROW"
    yield f"DROP TRIGGER IF EXISTS {guard.name} ON {guard.table}"
    yield (
        f"CREATE OR REPLACE FUNCTION {guard.name}() RETURNS trigger LANGUAGE plpgsql {path} "
        f"AS $$ BEGIN {checks}; END $$"
    )
    yield (
        f"CREATE TRIGGER {guard.name} BEFORE {guard.event} ON {guard.table} "
        f"FOR EACH {each} EXECUTE FUNCTION {guard.name}()"
    )
