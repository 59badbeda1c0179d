"""What the database itself refuses, whoever asks: SQL for SQLite and PostgreSQL, installed by a migration.

The promise "no consent, no sending" is kept by the code (`forward.sendable_bytes`) and, should the code ever
be wrong, by these triggers: a report enters its way out only with bytes, and under a consent that names its
digest and its recipient and was not withdrawn; no consent names a report that was not written; a report that
is on its way, or was, is not written anew; and what records a consent is only ever added to.
"""

from dataclasses import dataclass
from typing import Literal

Event = Literal["INSERT", "UPDATE", "DELETE"]

_STANDING = """EXISTS (
    SELECT 1 FROM consented_report AS c LEFT JOIN withdrawal AS w ON w.consent_id = c.consent_id
    WHERE c.report_id = NEW.id AND c.digest = NEW.digest AND c."to" = NEW."to" AND w.consent_id IS NULL
)"""
# `queued` again after `sending` or `unconfirmed` is a record of what happened; `sending` asks anew
_ENTERS = """NEW.state <> OLD.state AND (
    NEW.state IN ('consented', 'sending')
    OR (NEW.state = 'queued' AND OLD.state NOT IN ('sending', 'unconfirmed'))
)"""
_UNWRITTEN = "NEW.digest = '' OR length(NEW.raw) = 0"
# Its bytes may go when their time is over; they are never replaced
_REWRITES = """OLD.state NOT IN ('draft', 'cancelled', 'suppressed') AND (
    NEW.digest <> OLD.digest OR NEW."to" <> OLD."to" OR (NEW.raw <> OLD.raw AND length(NEW.raw) > 0)
    OR NEW.message_id <> OLD.message_id OR NEW.complaint_id <> OLD.complaint_id OR NEW.id <> OLD.id
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


@dataclass(frozen=True)
class Guard:
    """`event` on a row of `table` fails with `message` where `condition` (SQL on OLD and NEW) holds."""

    name: str
    table: str
    event: Event
    condition: str
    message: str
    since: str = "0004"  # the migration that installs it


_KEPT = "a consent is kept as long as its reporter"
_STAYS = "a consent is never changed"
_FROZEN = "a report that was consented to is not written anew"
_NO_CONSENT = "no standing consent names this report, its digest and its recipient"
_NOT_WRITTEN = "a report that was not written yet cannot be consented to"
_CHAIN = "an entry names the digest of the one before it"

GUARDS = (
    Guard("report_is_new", "report", "INSERT", "NEW.state NOT IN ('draft', 'suppressed')", _NO_CONSENT),
    Guard("report_needs_consent", "report", "UPDATE", f"{_ENTERS} AND NOT {_STANDING}", _NO_CONSENT),
    Guard("report_needs_bytes", "report", "UPDATE", f"{_ENTERS} AND ({_UNWRITTEN})", _NOT_WRITTEN, "0013"),
    Guard("report_is_frozen", "report", "UPDATE", _REWRITES, _FROZEN),
    Guard("consent_stays", "consent", "UPDATE", "1 = 1", _STAYS),
    Guard("consent_kept", "consent", "DELETE", _NOT_ERASED, _KEPT),
    Guard("consented_report_written", "consented_report", "INSERT", "NEW.digest = ''", _NOT_WRITTEN, "0013"),
    Guard("consented_report_stays", "consented_report", "UPDATE", "1 = 1", _STAYS),
    Guard("consented_report_kept", "consented_report", "DELETE", _NOT_ERASED_CONSENT, _KEPT),
    Guard("withdrawal_stays", "withdrawal", "UPDATE", "1 = 1", _STAYS),
    Guard("withdrawal_kept", "withdrawal", "DELETE", _NOT_ERASED_CONSENT, _KEPT),
    Guard("consent_entry_links", "consent_entry", "INSERT", _BREAKS_THE_CHAIN, _CHAIN),
    Guard("consent_entry_stays", "consent_entry", "UPDATE", "1 = 1", _STAYS),
    Guard("consent_entry_kept", "consent_entry", "DELETE", _NOT_ERASED, _KEPT),
)


def install_statements(dialect: str, revision: str) -> list[str]:
    """The SQL by which a migration makes the database refuse; `dialect` as SQLAlchemy names it."""
    make = _sqlite if dialect == "sqlite" else _postgresql
    return [statement for guard in GUARDS if guard.since == revision for statement in make(guard)]


def _sqlite(guard: Guard) -> list[str]:
    trigger = f"CREATE TRIGGER {guard.name} BEFORE {guard.event} ON {guard.table} WHEN {guard.condition}"
    return [f"{trigger} BEGIN SELECT RAISE(ABORT, '{guard.message}'); END"]


def _postgresql(guard: Guard) -> list[str]:
    row = "OLD" if guard.event == "DELETE" else "NEW"
    refuse = f"RAISE EXCEPTION '{guard.message}' USING ERRCODE = 'check_violation'"
    body = f"BEGIN IF {guard.condition} THEN {refuse}; END IF; RETURN {row}; END"
    trigger = f"CREATE TRIGGER {guard.name} BEFORE {guard.event} ON {guard.table}"
    return [
        f"CREATE FUNCTION {guard.name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"{trigger} FOR EACH ROW EXECUTE FUNCTION {guard.name}()",
    ]
