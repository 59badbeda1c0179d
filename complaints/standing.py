"""Standing consent: takes a drafted complaint and the reporter's grant, leaves it confirmed, or as it was.

Only for the network of the source, only where every condition holds that makes a mistake unlikely, only so
many a day, and always with time to undo. Each sending is a consent of its own, recorded under the grant. Off
unless a reporter gave it; whatever does not fit waits for the reporter as any other complaint does. With the
grant goes what was confirmed under it and has not left.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import exists, func
from sqlmodel import Session, col, select

from complaints import consent, draft, learned, ledger, outbox, outcomes, policies, tokens
from complaints.consent import Choice, ConsentError, confirm
from complaints.db import OvertakenError, look_at
from complaints.models import (
    Complaint,
    ComplaintState,
    Consent,
    Json,
    Reply,
    Report,
    Reporter,
    ReportState,
    Withdrawal,
)
from complaints.office import Office
from complaints.policy import STANDING, STANDING_STATEMENT
from complaints.redact import CannotRedact
from complaints.show import stamp
from complaints.standing_tables import StandingConsent

BY_HAND = 20
"""Complaints that the reporter has confirmed by hand before a grant works."""
LOOKED_BACK = timedelta(days=90)
"""How far back the history must be clean."""
LEAST_UNDO = timedelta(minutes=10)
MOST_DAILY = 100
FRESH = timedelta(days=2)
GRADES = {"A", "B"}
REVOKED = "revocation of the standing consent"
"""The way of a withdrawal that came with it: no sign that what was confirmed was wrong."""
NOT_OURS = {"not ours", "innocent"}
"""Verdicts of desks that say: this was the wrong one."""


class StandingError(Exception):
    """The grant cannot be given or revoked as asked; nothing changed."""


def current(session: Session, reporter_id: str) -> StandingConsent | None:
    """The reporter's grant, if one stands."""
    query = select(StandingConsent).where(
        StandingConsent.reporter_id == reporter_id, col(StandingConsent.revoked_at).is_(None)
    )
    return session.exec(query).first()


def give(session: Session, office: Office, reporter: Reporter, daily: int, *, via: str) -> StandingConsent:
    """Record the grant. Raises StandingError while a condition on the reporter does not hold."""
    if not 1 <= daily <= MOST_DAILY:
        raise StandingError(f"choose 1 to {MOST_DAILY} complaints a day")
    session.refresh(reporter, with_for_update={"key_share": True})
    if current(session, reporter.id):
        raise StandingError("a standing consent is given already; revoke it first")
    if missing := [why for why, holds in conditions(session, office, reporter) if not holds]:
        raise StandingError("; ".join(missing))
    policy = policies.in_force(session, office)
    grant = StandingConsent(
        id=tokens.random_letters(tokens.ID_LETTERS),
        reporter_id=reporter.id,
        given_at=office.clock(),
        via=via,
        policy=policy,
        statement=STANDING_STATEMENT,
        daily=daily,
        hosts=sorted(learned.trusted(reporter)),
    )
    session.add(grant)
    session.flush()
    said = {"grant": grant.id, "via": via, "policy": policy, "daily": daily}
    ledger.add(session, office, reporter.id, "standing consent", said | {"statement": STANDING_STATEMENT})
    return grant


def revoke(session: Session, office: Office, reporter: Reporter, *, via: str) -> int:
    """End the grant and take back what it confirmed and has not left; returns how many reports that were.

    Raises StandingError when no grant stands.
    """
    # Complaints before their reporter, as every decision locks them
    waiting = _not_left(session, reporter)
    session.refresh(reporter, with_for_update=learned.LOCK)
    grant = current(session, reporter.id)
    if grant is None:
        raise StandingError("no standing consent is given")
    grant.revoked_at, grant.revoked_via = office.clock(), via
    session.add(grant)
    ledger.add(session, office, reporter.id, "revocation", {"grant": grant.id, "via": via})
    # What a worker confirmed while we waited for the reporter is among them now
    return sum(
        _take_back(session, office, complaint)
        for complaint in {row.id: row for row in [*waiting, *_not_left(session, reporter)]}.values()
    )


def _not_left(session: Session, reporter: Reporter) -> list[Complaint]:
    """What was confirmed under a grant and is queued still, locked."""
    under = exists().where(
        col(Consent.complaint_id) == col(Complaint.id),
        col(Consent.via) == STANDING,
        ~exists().where(col(Withdrawal.consent_id) == col(Consent.id)),
    )
    queued = exists().where(
        col(Report.complaint_id) == col(Complaint.id), col(Report.state) == ReportState.QUEUED
    )
    query = select(Complaint).where(
        Complaint.reporter_id == reporter.id, Complaint.state == ComplaintState.CONFIRMED, under, queued
    )
    return list(session.exec(query.order_by(col(Complaint.id)).with_for_update(key_share=True)))


def _take_back(session: Session, office: Office, complaint: Complaint) -> int:
    """It awaits the reporter again, unless a desk was tried already: then it ends."""
    # Overtaken: a worker writes the final dot of it right now, which keeps nobody from revoking
    for undo in (consent.undo, consent.withdraw):
        with suppress(ConsentError, OvertakenError), session.begin_nested():
            return undo(session, office, complaint, via=REVOKED)
    return 0


def conditions(session: Session, office: Office, reporter: Reporter) -> Iterator[tuple[str, bool]]:
    """What must hold of a reporter, in words, and whether it does."""
    since = office.clock() - LOOKED_BACK
    theirs = select(func.count()).select_from(Consent).where(Consent.reporter_id == reporter.id)
    by_hand = session.exec(theirs.where(Consent.via != STANDING)).one()
    yield f"you confirmed {BY_HAND} complaints by hand first (so far {by_hand})", by_hand >= BY_HAND
    probed = any(row.get("how") == "probe" for row in reporter.learned)
    yield "your mail hosts are confirmed by a test mail that you returned", probed
    yield "you accepted the present privacy policy", policies.accepted(session, office, reporter)
    reports = (
        select(func.count())
        .select_from(Report)
        .join(Complaint, col(Complaint.id) == col(Report.complaint_id))
        .where(Complaint.reporter_id == reporter.id, col(Report.drafted_at) > since)
    )
    held = session.exec(reports.where(Report.state == ReportState.HELD)).one()
    yield "no report of yours was held back in the last 90 days", not held
    answered = reports.join(Reply, col(Reply.report_id) == col(Report.id)).where(Reply.kind == "verdict")
    wrong = session.exec(answered.where(col(Reply.status).in_(NOT_OURS))).one()
    yield "no desk said in the last 90 days that you reported the wrong one", not wrong
    undone = theirs.join(Withdrawal, col(Withdrawal.consent_id) == col(Consent.id)).where(
        Consent.via == STANDING, col(Withdrawal.at) > since, Withdrawal.via != REVOKED
    )
    yield "you took back none that was confirmed for you in the last 90 days", not session.exec(undone).one()
    if grant := current(session, reporter.id):
        yield (
            "your mail hosts are those you gave it with, or were confirmed by a test mail",
            _same(grant, reporter),
        )


def _same(grant: StandingConsent, reporter: Reporter) -> bool:
    """Whether the border lies where the reporter saw it; else another host may be taken for the source."""
    probed = {learned.value(row) for row in reporter.learned if row.get("how") == "probe"}
    now, then = set(learned.trusted(reporter)), set(grant.hosts or ())
    return grant.hosts is not None and then <= now and now - then <= probed


def step(office: Office, complaint_id: str) -> None:
    """The worker's step: confirm a drafted complaint under the reporter's grant, where all of it fits."""
    with office.db.reading() as session:
        found = session.get(Complaint, complaint_id)
        if found is None or current(session, found.reporter_id) is None:
            return
    draft.written(office, complaint_id, proposed=True)
    with office.db.transaction() as session:
        complaint = session.get(Complaint, complaint_id, with_for_update=True)
        if complaint is None or complaint.state != ComplaintState.AWAITING_CONSENT:
            return
        # Two workers do not both fit under the cap, and none goes on under a grant that is being revoked
        reporter = session.get_one(Reporter, complaint.reporter_id, with_for_update=learned.LOCK)
        grant = current(session, reporter.id)
        if grant is None:
            return
        chosen = _chosen(session, complaint)
        if not chosen or not _fits(session, office, reporter, complaint, grant):
            return
        try:
            with session.begin_nested():
                choice = Choice({row.id: row.digest for row in chosen})
                confirm(session, office, complaint, choice, via=STANDING, grant=grant.id, undo=LEAST_UNDO)
        except (ConsentError, CannotRedact):
            return  # it waits for the reporter
        _tell(session, office, reporter, complaint, chosen)
        look_at(session, "notice", complaint.submission_id)


def _chosen(session: Session, complaint: Complaint) -> list[Report]:
    """The ticked reports to desks of the source's own network, and no other."""
    rows = session.exec(select(Report).where(Report.complaint_id == complaint.id))
    return [
        row
        for row in rows
        if row.ticked
        and row.state == ReportState.DRAFT
        and row.contact["role"] == "source"
        and row.contact["scope"] == "network"
        and row.contact["confidence"] == "high"
    ]


def _fits(
    session: Session, office: Office, reporter: Reporter, complaint: Complaint, grant: StandingConsent
) -> bool:
    now = office.clock()
    source = (complaint.evidence or {}).get("source") or {}
    today = select(func.count()).where(
        Consent.reporter_id == reporter.id,
        Consent.via == STANDING,
        col(Consent.given_at) > now - timedelta(days=1),
    )
    return (
        all(holds for _, holds in conditions(session, office, reporter))
        and session.exec(today).one() < grant.daily
        and complaint.grade in GRADES
        and source.get("confidence") == "high"
        and complaint.redaction in {"identity", "strict"}
        and not complaint.note
        and outcomes.of_complaint(complaint) is None
        and now - complaint.received_at < FRESH
    )


def _tell(
    session: Session, office: Office, reporter: Reporter, complaint: Complaint, chosen: list[Report]
) -> None:
    leaves = min(row.next_at for row in chosen if row.next_at)
    values: Json = {
        "subject": complaint.subject,
        "desks": [{"to": row.to, "why": row.contact["why"]} for row in chosen],
        "leaves": leaves,
        "url": office.review_url(complaint.id),
        "standing": office.standing_url(reporter),
    }
    outbox.put_letter(session, office, "standing", to=reporter.address, reporter=reporter, values=values)


def document(session: Session, office: Office, reporter: Reporter) -> Json:
    """The grant, if one stands, and what must hold for it to work."""
    grant = current(session, reporter.id)
    return {
        "given": None
        if grant is None
        else {"id": grant.id, "given_at": stamp(grant.given_at), "daily": grant.daily, "via": grant.via},
        "conditions": [
            {"what": what, "holds": holds} for what, holds in conditions(session, office, reporter)
        ],
        "statement": STANDING_STATEMENT,
        "url": office.standing_url(reporter),
    }
