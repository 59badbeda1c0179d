"""Removes a reporter and everything of theirs: takes a reporter's row, leaves nothing to know a person by.

Reports that were sent are with the desks; what is not sent is never sent. Their key goes with their row, so
what was sealed under it is noise wherever else a copy of it lies. What stays are mailboxes of desks that
asked for no more reports, and how many disclosures there were, to whom and under which law.
"""

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select, update

from complaints import backup_keys
from complaints.account_tables import (
    AnsweredRequest,
    Choice,
    Disclosure,
    Reading,
    Registration,
    StepUp,
    SubmissionAddress,
    UnfinishedErasure,
)
from complaints.db import Database, look_at
from complaints.models import (
    Attempt,
    Complaint,
    Consent,
    ConsentedReport,
    ConsentEntry,
    Letter,
    LetterState,
    Probe,
    Reply,
    Report,
    Reporter,
    ReportState,
    Submission,
    Suppression,
    Withdrawal,
)
from complaints.office import Office
from complaints.standing_tables import StandingConsent

log = logging.getLogger(__name__)

TABLES: tuple[Any, ...] = (
    Attempt,
    Reply,
    ConsentedReport,
    Withdrawal,
    ConsentEntry,
    Consent,
    StandingConsent,
    Report,
    Complaint,
    Submission,
    Probe,
    Letter,
    SubmissionAddress,
    Registration,
    StepUp,
    AnsweredRequest,
    Choice,
    Reading,
    Reporter,
)
"""Where something of a reporter is, in the order in which it can go."""
LOG = "the write-ahead log"
"""What is left when PostgreSQL's tables are written anew."""
LOCK_SECONDS = 10
"""How long a table is waited for: whoever asks for it meanwhile waits behind us."""


class ErasureError(Exception):
    """The reporter cannot be erased at this moment; the message says why and what to do."""


class UnfinishedError(Exception):
    """They are erased, and something of theirs could not be removed from files yet; the message says why."""


def erase(session: Session, office: Office, reporter: Reporter) -> None:
    """Remove everything of a reporter, in this transaction; `sweep` then empties what the database kept free.

    Raises ErasureError while one of their mails is being handed over: what a host is taking at this moment
    cannot be stopped, and its outcome must not be lost.
    """
    sending = [
        *session.exec(_reports(reporter.id).where(Report.state == ReportState.SENDING)),
        *session.exec(_letters(reporter.id).where(Letter.state == LetterState.SENDING)),
    ]
    if sending:
        raise ErasureError("a mail of theirs is being handed over right now; try again in a few minutes")
    reporter.erased_at = office.clock()  # the database lets consents go from here on
    session.add(reporter)
    session.flush()
    _forget_reasons(session, list(session.exec(_reports(reporter.id))))
    # That an authority got something stays on record; whom and what it was about goes
    theirs_told = update(Disclosure).where(col(Disclosure.reporter_id) == reporter.id)
    session.execute(theirs_told.values(reporter_id=None, what=""))
    for table in TABLES:
        gone = delete(table).where(theirs(table, reporter.id, addresses(reporter)))
        session.execute(gone.execution_options(synchronize_session=False))
    backup_keys.drop(office.vault, reporter.id)
    tables = [] if office.db.embedded else [one.__tablename__ for one in (*TABLES, Disclosure)]
    session.add(UnfinishedErasure(id=reporter.id, at=office.clock(), left=tables))
    look_at(session, "erased", reporter.id)


def addresses(reporter: Any) -> list[str]:
    """A reporter's own addresses as they are compared: the registered one, and the others."""
    return [address.lower() for address in (reporter.address, *reporter.aliases)]


def theirs(table: Any, reporter_id: str, addresses: Sequence[str]) -> Any:
    """The condition under which a row of one of TABLES is a reporter's; `addresses` as they are compared.

    What was written to an address before it was a reporter's names it and nobody else.
    """
    reports, letters = _reports(reporter_id), _letters(reporter_id)
    consents = select(Consent.id).where(Consent.reporter_id == reporter_id)
    conditions: dict[Any, Any] = {
        Attempt: col(Attempt.mail_id).in_(reports)
        | col(Attempt.mail_id).in_(letters)
        | col(Attempt.mail_id).in_(select(Letter.id).where(_before(addresses))),
        Reply: col(Reply.report_id).in_(reports),
        Withdrawal: col(Withdrawal.consent_id).in_(consents),
        ConsentedReport: col(ConsentedReport.consent_id).in_(consents),
        Report: col(Report.id).in_(reports),
        Registration: func.lower(Registration.address).in_(addresses),
        Letter: (col(Letter.reporter_id) == reporter_id) | _before(addresses),
        Reporter: col(Reporter.id) == reporter_id,
    }
    # In the tables not named above a row says whose it is
    return conditions[table] if table in conditions else table.reporter_id == reporter_id  # noqa: SIM401


def _before(addresses: Sequence[str]) -> Any:
    """Letters about a registration to addresses that were nobody's then."""
    to_them = func.lower(Letter.to).in_(addresses)
    return col(Letter.reporter_id).is_(None) & (col(Letter.kind) == "registration") & to_them


def _reports(reporter_id: str) -> Any:
    complaints = select(Complaint.id).where(Complaint.reporter_id == reporter_id)
    return select(Report.id).where(col(Report.complaint_id).in_(complaints))


def _letters(reporter_id: str) -> Any:
    return select(Letter.id).where(Letter.reporter_id == reporter_id)


def _forget_reasons(session: Session, report_ids: list[str]) -> None:
    """A desk's wish for no more reports stays; which report it was about goes."""
    about = {f"report {report_id}" for report_id in report_ids}
    for row in session.exec(select(Suppression)):
        if row.reason in about:
            row.reason = ""
            session.add(row)


def sweep(office: Office) -> None:
    """Call after the commit: their key goes from beside the backups, and SQLite's files are emptied at once.

    PostgreSQL takes long for that, so there the worker does it, asked by the erasure itself (`finish`).
    """
    for row in unfinished(office):
        if office.db.embedded:
            with contextlib.suppress(UnfinishedError):  # the worker tries again
                finish(office, row.id)
        else:
            backup_keys.drop(office.vault, row.id)


def unfinished(office: Office) -> list[UnfinishedErasure]:
    """The erasures of which something still lies in files, the oldest first."""
    with office.db.reading() as session:
        return list(session.exec(select(UnfinishedErasure).order_by(col(UnfinishedErasure.at))))


def finish(office: Office, reporter_id: str) -> None:
    """The worker's step after an erasure: leaves nothing of it in the files of the database, nor a key.

    Raises UnfinishedError when something could not be done now; what is left is in the row, for the next try.
    """
    with office.db.reading() as session:
        row = session.get(UnfinishedErasure, reporter_id)
    if row is None:
        return
    # Again: the first time was before the commit, and a backup may have read them in between
    backup_keys.drop(office.vault, reporter_id)
    left, why = ([], "") if office.db.embedded else _left_of(office.db, row.left)
    if office.db.embedded and not _emptied_log(office.db):
        raise UnfinishedError("SQLite's log is being read; it is emptied later")
    with office.db.transaction() as session:
        if left:
            session.execute(
                update(UnfinishedErasure).where(col(UnfinishedErasure.id) == reporter_id).values(left=left)
            )
        else:
            session.execute(delete(UnfinishedErasure).where(col(UnfinishedErasure.id) == reporter_id))
    # The row that went just now named them by their id
    if office.db.embedded:
        _emptied_log(office.db)
    elif not left:
        written_anew(office.db, [UnfinishedErasure.__tablename__])
    if left:
        log.warning("something of what was erased is still in files of the database: %s", why)
        raise UnfinishedError(why)


def _left_of(db: Database, tables: Sequence[str]) -> tuple[list[str], str]:
    """Empty PostgreSQL's files; return what is left to do, and why."""
    if left := written_anew(db, [table for table in tables if table != LOG]):
        return left, f"not written anew yet, for they are in use: {', '.join(left)}"
    try:
        log_overwritten(db)
    except UnfinishedError as error:
        return [LOG], str(error)
    return [], ""


def _emptied_log(db: Database) -> bool:
    """Whether SQLite's log is empty; freed pages SQLite overwrites by itself (`secure_delete`)."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        busy, _, _ = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
        return not busy


def written_anew(db: Database, tables: Sequence[str]) -> list[str]:
    """Write tables of PostgreSQL anew without dead rows, each locked meanwhile; returns those in use."""
    left = []
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        for table in tables:
            try:
                connection.execute(text(f'VACUUM FULL "{table}"'))
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise
                left.append(table)
        connection.execute(text("RESET lock_timeout"))
    return left


def log_overwritten(db: Database) -> None:
    """Leave nothing in the files of PostgreSQL's write-ahead log of what was written to it until now.

    A file that a checkpoint no longer needs keeps what it holds, under a later name, until its turn has come.
    So the log moves on past every name that is there; what is left of each file is filled with zeros
    (https://www.postgresql.org/docs/current/wal-configuration.html).

    Raises UnfinishedError when the role may not do that, or when something holds a file back.
    """
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            first = _next_file(connection)
            connection.execute(text("CHECKPOINT"))
            names = connection.execute(text("SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != _MAY_NOT:
                raise
            role = connection.execute(text("SELECT current_user")).scalar_one()
            raise UnfinishedError(may_not(role)) from error
        there = set(names.scalars())
        if held := sorted(name for name in there if name < first):
            raise UnfinishedError(
                f"files of the write-ahead log ({len(held)}, {held[0]} the first) are held back: by a "
                "replication slot, wal_keep_size, or an archive_command that fails"
            )
        while _next_file(connection) <= max(there):
            pass


_MAY_NOT = "42501"  # insufficient_privilege


def may_not(role: str) -> str:
    """Why the log is not emptied by a role of PostgreSQL, and how it will be."""
    return (
        f"the role {role} may not empty the write-ahead log; let it, as a superuser: "
        f'GRANT pg_monitor, pg_checkpoint TO "{role}"; GRANT EXECUTE ON FUNCTION pg_switch_wal() TO "{role}"'
    )


def _next_file(connection: Connection) -> str:
    """Begin the next file of the write-ahead log; returns its name."""
    connection.execute(text("SELECT pg_switch_wal()"))
    connection.execute(text("SELECT pg_logical_emit_message(false, 'plaint', '')"))
    return str(connection.execute(text("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")).scalar_one())
