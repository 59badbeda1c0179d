"""Fresh codes for what a link or a token alone must not do: takes a wish, mails six digits, takes them back.

A link or a token can leak from a mailbox years old; a fresh code shows that its owner reads mail at the
address now. Codes are kept as keyed digests: six digits behind a bare hash could be read off.
"""

import re
import secrets
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from complaints import outbox, tokens
from complaints.account_tables import StepUp
from complaints.models import Reporter
from complaints.office import Office

LIFE_MINUTES = 15
TRIES = 5
"""For one code, of a million."""
MOST = 6
MOST_DAILY = 12
"""Wishes of one reporter within an hour, and within a day.

Who has a link and not the mailbox tries 60 of a million codes a day, and its owner gets 12 letters about it.
"""
MOST_TO_ONE = 3
"""Codes to one address that is not yet known to be a reporter's, within an hour, whoever asks."""
HOUR = timedelta(hours=1)
KEPT = timedelta(days=1)
LOCK = {"key_share": True}
WISHES = {
    "export": "download everything that is kept of you",
    "erase": "remove you and everything of yours, for good",
    "address": "change the address you are registered with",
    "alias": "add this address as one of yours",
}
"""Each thing that needs a code, in the words of the letter that brings it."""


class TooManyError(Exception):
    """So many codes were mailed that no more are for now; the message says until when."""


def ask(session: Session, office: Office, reporter: Reporter, purpose: str, value: str = "") -> StepUp:
    """Mail the codes that a wish needs; an older code for the same wish is no longer good.

    `value` is the new address or the alias. An alias shows itself to be the reporter's by its own code; a
    change of address needs one code from each of both. Raises TooManyError.
    """
    now = office.clock()
    # Two wishes at once do not both fit under the limit
    session.refresh(reporter, with_for_update=LOCK)
    _bounded(session, reporter, value, now)
    for older in _live(session, reporter, purpose):
        older.used_at = now
        session.add(older)
    row = StepUp(
        id=tokens.random_letters(tokens.ID_LETTERS),
        reporter_id=reporter.id,
        purpose=purpose,
        value=value,
        asked_at=now,
        expires_at=now + timedelta(minutes=LIFE_MINUTES),
    )
    if purpose != "alias":
        row.code_hash = _mail(session, office, reporter, row, reporter.address)
    if value:
        row.second_hash = _mail(session, office, reporter, row, value)
    session.add(row)
    session.flush()
    return row


def take(
    session: Session, office: Office, reporter: Reporter, purpose: str, code: str, second: str = ""
) -> StepUp | None:
    """The wish that these codes grant, which then is done; None when they do not, and the try is counted.

    Commit either way: a try that is rolled back was never counted.
    """
    # Two tries at once are two tries; none are left of a reporter who was just erased
    lock = select(Reporter.id).where(Reporter.id == reporter.id).with_for_update(key_share=True)
    if session.exec(lock).first() is None:
        return None
    row = next(iter(_live(session, reporter, purpose)), None)
    if row is None or row.expires_at <= office.clock() or row.tries >= TRIES:
        return None
    row.tries += 1
    session.add(row)
    pairs = [(row.code_hash, reporter.address, code), (row.second_hash, row.value, second)]
    right = [
        tokens.same(_digest(office, row, to, "".join(re.findall("[0-9]", given))), kept)
        for kept, to, given in pairs
        if kept
    ]
    if not right or not all(right):
        return None
    row.used_at = office.clock()
    return row


def waiting(session: Session, office: Office, reporter: Reporter) -> dict[str, StepUp]:
    """The wishes whose codes are good and not typed yet, by purpose."""
    query = select(StepUp).where(
        StepUp.reporter_id == reporter.id,
        col(StepUp.used_at).is_(None),
        col(StepUp.expires_at) > office.clock(),
        col(StepUp.tries) < TRIES,
    )
    return {row.purpose: row for row in session.exec(query)}


def _bounded(session: Session, reporter: Reporter, value: str, now: datetime) -> None:
    count = select(func.count())
    for most, span, when in (
        (MOST, HOUR, "this hour; try again in an hour"),
        (MOST_DAILY, KEPT, "a day; try again tomorrow"),
    ):
        asked = count.where(StepUp.reporter_id == reporter.id, col(StepUp.asked_at) > now - span)
        if session.exec(asked).one() >= most:
            raise TooManyError(f"{most} codes were mailed within {when}")
    to_it = count.where(func.lower(StepUp.value) == value.lower(), col(StepUp.asked_at) > now - HOUR)
    if value and session.exec(to_it).one() >= MOST_TO_ONE:
        raise TooManyError(f"{MOST_TO_ONE} codes were mailed to {value} within this hour; try again later")


def _live(session: Session, reporter: Reporter, purpose: str) -> list[StepUp]:
    """Codes for a wish that were not used."""
    query = select(StepUp).where(
        StepUp.reporter_id == reporter.id, StepUp.purpose == purpose, col(StepUp.used_at).is_(None)
    )
    return list(session.exec(query))


def _mail(session: Session, office: Office, reporter: Reporter, row: StepUp, to: str) -> str:
    """Mail a code to one address; what is kept of it."""
    code = f"{secrets.randbelow(1_000_000):06}"
    values = {
        "wish": WISHES[row.purpose],
        "code": code,
        "minutes": LIFE_MINUTES,
        "known": to == reporter.address,
    }
    outbox.put_letter(session, office, "code", to=to, reporter=reporter, values=values)
    return _digest(office, row, to, code)


def _digest(office: Office, row: StepUp, to: str, code: str) -> str:
    return office.vault.derive("step-up", f"{row.id} {to} {code}")
