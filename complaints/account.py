"""A reporter's own account: what is kept of them, where their data went, and what they may change themselves.

Takes a reporter's row and their wish; leaves their row corrected, moved to another address, or gone. What
cannot be undone, or tells everything, takes a fresh code (`step_up`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, or_
from sqlalchemy.orm import load_only
from sqlmodel import Session, col, select

from complaints import (
    accountability,
    choices,
    erasure,
    outbox,
    policies,
    probes,
    reporters,
    retention,
    show,
    step_up,
    submission_address,
)
from complaints.account_tables import StepUp
from complaints.models import (
    Complaint,
    ComplaintState,
    Json,
    Letter,
    Report,
    Reporter,
    ReportState,
    Submission,
)
from complaints.office import Office

MOST_NAMES, LONGEST_NAME = 20, 100
MOST_ALIASES = 20
SHOWN = 200
"""Reports listed on the page; the export has all."""
LEFT = (ReportState.SENDING, ReportState.SENT, ReportState.BOUNCED, ReportState.UNCONFIRMED)
"""A report in one of these states is, or may be, with its desk."""
WRONG_CODE = (
    "this is not the code in our last mail, or it is too old or was tried too often; ask for a new one"
)


class AccountError(Exception):
    """What was asked for is not done; the message says why and what to do."""


class CodeError(AccountError):
    """The code does not fit."""


class WaitError(AccountError):
    """Not now: too many codes were mailed, or a mail is being handed over."""


LINK_AGAIN = timedelta(hours=1)
"""So often at most the link to what waits is mailed."""


class Counted(NamedTuple):
    """How many reports to a desk are in a state, and when the last of them was drafted."""

    to: str
    state: ReportState
    number: int
    last: datetime


def document(session: Session, office: Office, reporter: Reporter) -> Json:
    """What is kept of a reporter, as the page and the API show it."""
    counted = _reports_by_desk(session, reporter)
    return {
        "id": reporter.id,
        "address": reporter.address,
        "names": reporter.names,
        "aliases": reporter.aliases,
        "registered_at": show.stamp(reporter.created_at),
        "policy": {"version": reporter.policy, "accepted_at": show.stamp(reporter.policy_at)},
        "kept": _counts(session, reporter, counted),
        "retention": retention.rules(policies.kept_of(session, office, reporter)),
        "preferences": choices.document(session, reporter),
        "desks": where_it_went(session, reporter, counted),
        "readings": accountability.readings(session, reporter),
        "disclosures": accountability.disclosures(session, office, reporter),
        "url": office.account_url(reporter),
        "hosts_url": office.hosts_url(reporter),
        "standing_url": office.standing_url(reporter),
    }


def mail_waiting(session: Session, office: Office, reporter: Reporter) -> None:
    """Mail the link to all that waits for them: whoever sees this page only does not open it.

    Raises WaitError when nothing waits, or one was mailed within the hour.
    """
    count = waiting(session, reporter)
    since = office.clock() - LINK_AGAIN
    recent = select(Letter.id).where(
        Letter.reporter_id == reporter.id,
        Letter.kind == "waiting",
        or_(col(Letter.next_at) > since, col(Letter.sent_at) > since),
    )
    if not count or session.exec(recent).first() is not None:
        raise WaitError("nothing waits for you" if not count else "it was mailed within the last hour")
    values = {"count": count, "url": office.batch_url(reporter), "until": office.clock() + office.link_life}
    outbox.put_letter(session, office, "waiting", to=reporter.address, reporter=reporter, values=values)


def waiting(session: Session, reporter: Reporter) -> int:
    """How many complaints await their consent."""
    query = select(func.count()).select_from(Complaint)
    awaits = Complaint.state == ComplaintState.AWAITING_CONSENT
    return session.exec(query.where(Complaint.reporter_id == reporter.id, awaits)).one()


def card(session: Session, office: Office, reporter: Reporter) -> Json:
    """The submission address with its card, and `tests`: the test mails of late and what came of each."""
    tests = [
        {
            "to": row.to,
            "asked_at": show.stamp(row.asked_at),
            "expires_at": show.stamp(row.expires_at),
            "returned_at": show.stamp(row.returned_at),
            "grade": row.grade,
        }
        for row in probes.recent(session, reporter)
    ]
    return submission_address.document(session, office, reporter) | {"tests": tests}


def _counts(session: Session, reporter: Reporter, counted: Sequence[Counted]) -> Json:
    def rows(table: Any) -> int:
        counted = select(func.count()).select_from(table).where(table.reporter_id == reporter.id)
        return session.exec(counted).one()

    return {
        "submissions": rows(Submission),
        "complaints": rows(Complaint),
        "waiting": waiting(session, reporter),
        "reports": sum(one.number for one in counted),
        "reports_sent": sum(one.number for one in counted if one.state in LEFT),
        # Also the one that came before they were registered
        "letters": session.exec(
            select(func.count())
            .select_from(Letter)
            .where(erasure.theirs(Letter, reporter.id, erasure.addresses(reporter)))
        ).one(),
    }


def _reports_by_desk(session: Session, reporter: Reporter) -> list[Counted]:
    """What there is of reports, from indexes alone: a hundred thousand take a tenth of a second."""
    query: Any = (
        select(Report.to, Report.state, func.count(), func.max(Report.drafted_at))
        .join(Complaint, col(Complaint.id) == col(Report.complaint_id))
        .where(Complaint.reporter_id == reporter.id)
        .group_by(col(Report.to), col(Report.state))
    )
    return [Counted(*row) for row in session.exec(query)]


def where_it_went(session: Session, reporter: Reporter, counted: Sequence[Counted]) -> list[Json]:
    """Every desk that got something, or may have: [{"to", "reports": [...], "count"}], the last one first.

    Of all reports the `SHOWN` of the newest spams are told one by one.
    """
    left = [one for one in counted if one.state in LEFT]
    desks: dict[str, Json] = {}
    for one in sorted(sorted(left), key=lambda one: one.last, reverse=True):
        desk = desks.setdefault(one.to, {"to": one.to, "count": 0, "reports": []})
        desk["count"] += one.number
    if not desks:
        return []
    # Neither bytes nor evidence
    told: Any = (Report.to, Report.state, Report.sent_at, Report.first_at, Report.digest)
    of_it: Any = (Complaint.subject, Complaint.redaction)
    newest = (
        select(Report, Complaint)
        .options(load_only(*told), load_only(*of_it))
        .join(Complaint, col(Complaint.id) == col(Report.complaint_id))
        .where(Complaint.reporter_id == reporter.id, col(Report.state).in_(LEFT))
        # In the order of an index of complaints: it is read until there are enough
        .order_by(col(Complaint.received_at).desc(), col(Complaint.id).desc())
        .limit(SHOWN)
    )
    for report, complaint in session.exec(newest):
        if report.to in desks:
            desks[report.to]["reports"].append(
                {"id": report.id, "complaint": complaint.id, "subject": complaint.subject,
                 "state": report.state.value, "sent_at": show.stamp(report.sent_at or report.first_at),
                 "redaction": complaint.redaction, "digest": report.digest}
            )  # fmt: skip
    return list(desks.values())


def left_report(session: Session, reporter: Reporter, report_id: str) -> Report | None:
    """A report of theirs that is, or may be, with its desk."""
    row = session.get(Report, report_id)
    if row is None or row.state not in LEFT:
        return None
    return row if session.get_one(Complaint, row.complaint_id).reporter_id == reporter.id else None


def rename(session: Session, reporter: Reporter, names: Sequence[str]) -> None:
    """Correct the names that are hidden in reports. Raises AccountError for what is no name."""
    found = [name for name in dict.fromkeys(" ".join(name.split()) for name in names) if name]
    if len(found) > MOST_NAMES or any(len(name) > LONGEST_NAME or not name.isprintable() for name in found):
        raise AccountError(
            f"give at most {MOST_NAMES} names of at most {LONGEST_NAME} letters, one on a line"
        )
    session.refresh(reporter, with_for_update=step_up.LOCK)
    reporter.names = found
    session.add(reporter)


def checked(office: Office, text: str) -> str:
    """An address to be added or moved to; asks the DNS, outside a transaction. Raises AccountError."""
    try:
        return reporters.checked_address(office, text.strip())
    except reporters.ReporterError as error:
        raise AccountError(f"{error}") from error


def ask(session: Session, office: Office, reporter: Reporter, purpose: str, value: str = "") -> StepUp:
    """Have the codes mailed that a wish needs; `value` is the checked address it is about.

    An address that is another reporter's is answered like any other: it tells nobody who reports.
    Raises AccountError when nothing is to be done, or too many codes were mailed.
    """
    if purpose not in step_up.WISHES:
        raise AccountError(f"{purpose!r} needs no code; these do: {', '.join(step_up.WISHES)}")
    if purpose in {"address", "alias"} and not value:
        raise AccountError("say which address")
    own = {one.lower() for one in (reporter.address, *(reporter.aliases if purpose == "alias" else ()))}
    if value.lower() in own:
        raise AccountError(f"{value} is yours already")
    if purpose == "alias" and len(reporter.aliases) >= MOST_ALIASES:
        raise AccountError(f"{MOST_ALIASES} other addresses are kept; remove one first")
    try:
        return step_up.ask(session, office, reporter, purpose, value)
    except step_up.TooManyError as error:
        raise WaitError(str(error)) from error


def asked_document(row: StepUp, reporter: Reporter) -> Json:
    """{"for", "mailed_to", "expires_at"} of codes that were mailed."""
    to = [reporter.address] if row.code_hash else []
    return {
        "for": row.purpose,
        "mailed_to": [*to, *([row.value] if row.value else [])],
        "expires_at": show.stamp(row.expires_at),
    }


def add_alias(session: Session, office: Office, reporter: Reporter, code: str) -> bool:
    """Keep the alias whose mailbox got this code. False when the code does not fit: commit that, too."""
    row = step_up.take(session, office, reporter, "alias", "", code)
    if row is None:
        return False
    session.refresh(reporter, with_for_update=step_up.LOCK)
    reporter.aliases = [*reporter.aliases, row.value]
    session.add(reporter)
    return True


def remove_alias(session: Session, reporter: Reporter, alias: str) -> None:
    """Forget another address; in reports that are made from now on it is not hidden. Raises AccountError."""
    session.refresh(reporter, with_for_update=step_up.LOCK)
    if alias not in reporter.aliases:
        raise AccountError(f"{alias} is not among your other addresses")
    reporter.aliases = [one for one in reporter.aliases if one != alias]
    session.add(reporter)


def move(session: Session, office: Office, reporter: Reporter, code: str, second: str) -> str:
    """Register under the new address: `code` came to the old one, `second` to the new one.

    The old one stays as an alias, so that it stays hidden in spam that goes there. What opens the account
    by the old mailbox ends: links made until now, and the API token; returns the new one. Empty when the
    codes do not fit: commit that, too. Raises AccountError when the new address is another reporter's.
    """
    row = step_up.take(session, office, reporter, "address", code, second)
    if row is None:
        return ""
    # Only who reads mail at the new address gets here, and may know what it is registered for
    other = reporters.find(session, row.value)
    if other and other.id != reporter.id:
        raise AccountError(f"{row.value} is registered by itself; erase that registration first")
    session.refresh(reporter, with_for_update=step_up.LOCK)
    rest = [one for one in reporter.aliases if one.lower() != row.value.lower()]
    reporter.aliases = [*rest, reporter.address]
    reporter.address, reporter.moved_at = row.value, office.clock()
    return reporters.new_token(session, reporter)


def may_export(session: Session, office: Office, reporter: Reporter, code: str) -> bool:
    """Whether this code lets its reader have everything, once. Commit either way."""
    return step_up.take(session, office, reporter, "export", code) is not None


def erase(session: Session, office: Office, reporter: Reporter, code: str) -> bool:
    """Remove the reporter and everything of theirs; `erasure.sweep` after the commit. False: wrong code.

    Raises AccountError while a mail of theirs is being handed over; roll back then, and the code stays good.
    """
    if step_up.take(session, office, reporter, "erase", code) is None:
        return False
    try:
        erasure.erase(session, office, reporter)
    except erasure.ErasureError as error:
        raise WaitError(str(error)) from error
    return True
