"""Removes a reporter and everything of theirs: takes a reporter's row, leaves nothing to know a person by.

Reports that were sent are with the desks; what is not sent is never sent. Their key goes with their row, so
what was sealed under it is noise wherever else a copy of it lies. What stays are mailboxes of desks that
asked for no more reports, and how many disclosures there were, to whom and under which law.
"""

from typing import Any

from sqlalchemy import delete, text
from sqlmodel import Session, col, select, update

from complaints import backup_keys, tokens
from complaints.account_tables import (
    AnsweredRequest,
    Choice,
    Disclosure,
    Reading,
    Registration,
    StepUp,
    SubmissionAddress,
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

TABLES: tuple[Any, ...] = (
    Attempt,
    Reply,
    Withdrawal,
    ConsentedReport,
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


class ErasureError(Exception):
    """The reporter cannot be erased at this moment; the message says why and what to do."""


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
        gone = delete(table).where(theirs(table, reporter.id, reporter.address))
        session.execute(gone.execution_options(synchronize_session=False))
    backup_keys.drop(office.vault, reporter.id)
    if not office.db.embedded:
        look_at(session, "rewrite", tokens.random_letters(tokens.ID_LETTERS))


def theirs(table: Any, reporter_id: str, address: str) -> Any:
    """The condition under which a row of one of TABLES is a reporter's."""
    reports, letters = _reports(reporter_id), _letters(reporter_id)
    consents = select(Consent.id).where(Consent.reporter_id == reporter_id)
    conditions: dict[Any, Any] = {
        Attempt: col(Attempt.mail_id).in_(reports) | col(Attempt.mail_id).in_(letters),
        Reply: col(Reply.report_id).in_(reports),
        Withdrawal: col(Withdrawal.consent_id).in_(consents),
        ConsentedReport: col(ConsentedReport.consent_id).in_(consents),
        Report: col(Report.id).in_(reports),
        Registration: col(Registration.address) == address,
        Reporter: col(Reporter.id) == reporter_id,
    }
    # In the tables not named above a row says whose it is
    return conditions[table] if table in conditions else table.reporter_id == reporter_id  # noqa: SIM401


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


def sweep(db: Database) -> None:
    """Empty what SQLite keeps of deleted rows at once: its log. Freed pages it overwrites (`secure_delete`).

    PostgreSQL takes long for that, so there the worker does it (`rewrite`), asked by the erasure itself.
    """
    if db.embedded:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


def rewrite(db: Database) -> None:
    """The worker's step on PostgreSQL: write the tables anew without dead rows; each is locked meanwhile.

    The write-ahead log goes with its own recycling.
    """
    if db.embedded:
        return
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in (*TABLES, Disclosure):
            connection.execute(text(f'VACUUM FULL "{table.__tablename__}"'))
