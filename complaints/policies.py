"""Which version of the privacy policy is in force here, which is coming, who accepted what, and what follows.

An operator announces a version with its day; every reporter then gets a letter with what changes and two
choices. Until the day the old version applies; from then on nothing is sent for whoever has not accepted.

What is kept of a reporter stays under the terms that they agreed to. A longer period, of a later version or
of the operator's settings, is for whoever agreed since; a shorter one is in everybody's favour and applies to
all at once. A use that a version does not name is refused to whoever did not agree to a later one.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, true, update
from sqlmodel import Session, col, select

from complaints import outbox
from complaints.account_tables import Choice, PolicyVersion
from complaints.models import Json, Reporter
from complaints.office import Office
from complaints.policy import POLICY, Kept, changes, difference, number, terms, versions
from complaints.settings import Settings

LEAST_NOTICE = timedelta(days=14)
"""So long before its day a version is announced, at least."""


class PolicyError(Exception):
    """The version cannot be announced or answered as asked; the message says why."""


def in_force(session: Session, office: Office) -> str:
    """The version that applies now; the newest one where nobody registered yet."""
    rows = [row for row in _announced(session) if row.effective_at <= office.clock()]
    return rows[-1].version if rows else POLICY


def coming(session: Session, office: Office) -> PolicyVersion | None:
    """The version that was announced and does not apply yet, if any."""
    rows = [row for row in _announced(session) if row.effective_at > office.clock()]
    return rows[-1] if rows else None


def _announced(session: Session) -> list[PolicyVersion]:
    return sorted(session.exec(select(PolicyVersion)), key=lambda row: number(row.version))


def begin(session: Session, office: Office) -> None:
    """With the first reporter the newest version is in force, and any later one is announced."""
    if not _announced(session):
        session.add(PolicyVersion(version=POLICY, announced_at=office.clock(), effective_at=office.clock()))
        session.flush()


def accepted(session: Session, office: Office, reporter: Reporter) -> bool:
    """Whether the reporter accepted what applies now; a later version counts as well."""
    return number(reporter.policy) >= number(in_force(session, office))


def accept(office: Office, reporter: Reporter, version: str) -> None:
    """From now on this version applies to what is kept of the reporter, with what we say of periods today."""
    reporter.policy, reporter.policy_at = version, office.clock()
    reporter.promised = _periods(version, office.settings).written()


def uses(reporter: Reporter) -> frozenset[str]:
    """What a reporter may choose that their data is used for; nothing before they agreed to anything."""
    return terms(reporter.policy).uses if reporter.policy in versions() else frozenset()


def naming(use: str) -> list[str]:
    """The versions that name a use of data."""
    return [version for version in versions() if use in terms(version).uses]


def kept_here(session: Session, office: Office) -> Kept:
    """How long this installation keeps what, as it says to whoever agrees now."""
    return _periods(in_force(session, office), office.settings)


def kept_of(session: Session, office: Office, reporter: Reporter) -> Kept:
    """How long what is theirs is kept."""
    now = kept_here(session, office)
    return now.shorter(Kept.read(reporter.promised)) if reporter.promised else now


Whose = Callable[[Any], Any]
"""Of a column of reporter ids the condition that it is one of those meant."""


def kept_by(session: Session, office: Office) -> Iterator[tuple[Kept, Whose]]:
    """Each set of periods that applies to somebody, and to whom; what is nobody's is with the present one."""
    now = kept_here(session, office)
    groups: dict[Kept, list[str]] = {}
    for promised in session.exec(select(Reporter.promised).distinct()):
        if promised:
            groups.setdefault(now.shorter(Kept.read(promised)), []).append(promised)
    others = [text for kept, texts in groups.items() if kept != now for text in texts]
    for kept, texts in groups.items():
        if kept != now:
            yield kept, _promised_one_of(texts)
    yield now, _but(_promised_one_of(others)) if others else lambda _: true()


def _promised_one_of(texts: list[str]) -> Whose:
    ids = select(Reporter.id).where(col(Reporter.promised).in_(texts))
    return lambda column: col(column).in_(ids)


def _but(whose: Whose) -> Whose:
    return lambda column: or_(col(column).is_(None), ~whose(column))


def write_down(session: Session, office: Office) -> None:
    """Keep for whoever agreed before this was kept what is said today, under their version."""
    unwritten = col(Reporter.promised).is_(None) & col(Reporter.policy).is_not(None)
    for version in session.exec(select(Reporter.policy).where(unwritten).distinct()).all():
        if version in versions():
            said = _periods(version, office.settings).written()
            theirs = unwritten & (col(Reporter.policy) == version)
            session.execute(update(Reporter).where(theirs).values(promised=said))


def _periods(version: str, settings: Settings) -> Kept:
    """What a version says, and what the operator set instead."""
    said = terms(version).kept
    given = (
        settings.retention_spam_seconds,
        settings.retention_report_seconds,
        settings.retention_letter_seconds,
    )
    named = (said.spam, said.report, said.letter)
    return Kept(*(old if new is None else new for old, new in zip(named, given, strict=True)))


def announce(session: Session, office: Office, version: str, since: datetime) -> int:
    """Mail every reporter that a version applies from a day on; returns how many letters.

    Raises PolicyError.
    """
    if version not in versions():
        raise PolicyError(f"there is no version {version}; there are: {', '.join(versions())}")
    if number(version) <= number(in_force(session, office)):
        raise PolicyError(f"version {version} is no newer than the one in force")
    if since < office.clock() + LEAST_NOTICE:
        raise PolicyError(f"give at least {LEAST_NOTICE.days} days' notice: people must be able to leave")
    if row := coming(session, office):
        raise PolicyError(f"version {row.version} is announced already, for {row.effective_at:%d %B %Y}")
    begin(session, office)
    row = PolicyVersion(version=version, announced_at=office.clock(), effective_at=since)
    session.add(row)
    session.flush()
    readers = session.exec(select(Reporter).where(col(Reporter.verified_at).is_not(None))).all()
    return sum(tell(session, office, reporter) for reporter in readers)


def tell(session: Session, office: Office, reporter: Reporter) -> bool:
    """Mail a reporter what is coming, unless they accepted it already."""
    row = coming(session, office)
    if row is None or number(reporter.policy) >= number(row.version):
        return False
    old = reporter.policy or in_force(session, office)
    values = {
        "version": row.version,
        "since": row.effective_at,
        "changes": changes(old, row.version),
        "difference": "\n".join(f"{sign or ' '} {line}" for sign, line in difference(old, row.version)),
        "url": office.policy_url(reporter),
        "whole": f"{office.settings.url}/privacy/{row.version}",
    }
    outbox.put_letter(session, office, "policy", to=reporter.address, reporter=reporter, values=values)
    return True


def asked(session: Session, office: Office, reporter: Reporter) -> Json | None:
    """What a reporter has to decide: {"version", "since", "url", "over", "refused"}; None when nothing."""
    row = coming(session, office)
    wanted = row.version if row else in_force(session, office)
    if number(reporter.policy) >= number(wanted):
        return None
    said = session.get(Choice, (reporter.id, f"policy {wanted}"))
    return {
        "version": wanted,
        "since": row.effective_at if row else _since(session, wanted),
        "over": row is None,
        "refused": said is not None and not said.chosen,
        "url": office.policy_url(reporter),
    }


def _since(session: Session, version: str) -> datetime | None:
    row = session.get(PolicyVersion, version)
    return row.effective_at if row else None


def answer(
    session: Session, office: Office, reporter: Reporter, version: str, *, agree: bool, via: str
) -> None:
    """Keep what a reporter answers to a version; yes lets it count from now on. Raises PolicyError.

    No changes nothing else: the version accepted last applies to what is kept, and from the day of the new
    one nothing is sent.
    """
    session.refresh(reporter, with_for_update={"key_share": True})
    wanted = asked(session, office, reporter)
    if wanted is None:
        raise PolicyError("there is nothing to answer: you accepted the version that applies")
    if version != wanted["version"]:
        raise PolicyError(f"what is asked is version {wanted['version']}, not {version}: read it first")
    now = office.clock()
    session.merge(Choice(reporter_id=reporter.id, purpose=f"policy {version}", chosen=agree, at=now, via=via))
    if agree:
        accept(office, reporter, version)
        session.add(reporter)
    session.flush()


def document(session: Session, office: Office, reporter: Reporter) -> Json:
    """{"in_force", "accepted", "asked": null or {..., "changes", "difference"}} for one reporter."""
    wanted = asked(session, office, reporter)
    if wanted:
        old = reporter.policy or in_force(session, office)
        wanted |= {
            "since": wanted["since"].isoformat() if wanted["since"] else None,
            "changes": list(changes(old, wanted["version"])),
            "difference": [f"{sign}{line}" for sign, line in difference(old, wanted["version"])],
        }
    return {
        "in_force": in_force(session, office),
        "accepted": reporter.policy,
        "asked": wanted,
    }


def overview(session: Session, office: Office) -> list[Json]:
    """Each version for the operator: its state and days, and how many reporters accepted it or refused it."""
    applies, next_ = in_force(session, office), coming(session, office)
    held: dict[str | None, int] = dict(
        session.exec(
            select(Reporter.policy, func.count())
            .where(col(Reporter.verified_at).is_not(None))
            .group_by(col(Reporter.policy))
        ).all()
    )
    rows = {row.version: row for row in _announced(session)}
    return [
        {
            "version": version,
            "state": _state(version, applies, next_.version if next_ else None),
            "announced_at": rows[version].announced_at.isoformat() if version in rows else None,
            "effective_at": rows[version].effective_at.isoformat() if version in rows else None,
            "accepted": held.get(version, 0),
            "refused": session.exec(
                select(func.count()).where(
                    Choice.purpose == f"policy {version}", col(Choice.chosen).is_(False)
                )
            ).one(),
            "must_consent": sum(
                count for accepted, count in held.items() if number(accepted) < number(version)
            ),
        }
        for version in versions()
    ]


def _state(version: str, applies: str, next_: str | None) -> str:
    if version == applies:
        return "in force"
    if version == next_:
        return "announced"
    return "over" if number(version) < number(applies) else "not announced"
