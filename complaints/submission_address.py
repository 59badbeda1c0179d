"""A reporter's secret submission address: takes a reporter, leaves a new one, the present one, or its card.

Mail is let in by its hash; the address itself is sealed under the reporter's key, so that they can look it up
(docs/decisions/0029). After a new one the old one works for GRACE.
"""

import re
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from complaints import card, tokens
from complaints.account_tables import SubmissionAddress
from complaints.dates import rfc3339
from complaints.models import Json, Reporter
from complaints.office import Office

GRACE = timedelta(days=30)  # address books and filters need time to learn the new address
MOST = 5
"""Addresses of one reporter that work at a time."""
_LETTERS = rf"[{tokens.ALPHABET}]"
_INSIDE = re.compile(rf"(?<!{_LETTERS}){_LETTERS}{{{tokens.SUBMISSION_LETTERS}}}(?!{_LETTERS})")
_NEARLY = range(tokens.SUBMISSION_LETTERS - 4, tokens.SUBMISSION_LETTERS + 5)


class TooManyError(Exception):
    """No further address is given for now; the message says why and what to do."""


def give(session: Session, office: Office, reporter: Reporter) -> str:
    """A new address; those before work for GRACE."""
    now = office.clock()
    for old in session.exec(_of(reporter).where(col(SubmissionAddress.retires_at).is_(None))):
        old.retires_at = now + GRACE
        session.add(old)
    local = tokens.random_letters(tokens.SUBMISSION_LETTERS)
    sealed = office.vault.seal(reporter.key, local.encode())
    row = SubmissionAddress(hash=tokens.hashed(local), reporter_id=reporter.id, created_at=now, sealed=sealed)
    session.add(row)
    return f"{local}@{office.settings.mail_domain}"


def renew(session: Session, office: Office, reporter: Reporter) -> None:
    """As `give`, at the wish of whoever has the reporter's link or token. Raises TooManyError."""
    live = session.exec(_of(reporter).where(col(SubmissionAddress.retires_at) > office.clock())).all()
    if len(live) + 1 >= MOST:
        first = min(row.retires_at for row in live if row.retires_at)
        raise TooManyError(
            f"{MOST} addresses of yours work already; the next one can be had after {first:%d %B %Y}"
        )
    give(session, office, reporter)


def document(session: Session, office: Office, reporter: Reporter) -> Json:
    """{"submission_address", "since", "old": [{"submission_address", "until"}], "vcard", "svg"}.

    An address that was given before addresses were kept is null, and so is then its card.
    """
    now = office.clock()
    rows = list(session.exec(_of(reporter).order_by(col(SubmissionAddress.created_at).desc())))
    present = next((row for row in rows if row.retires_at is None), None)
    address = _unsealed(office, reporter, present) if present else None
    return {
        "submission_address": address,
        "since": rfc3339(present.created_at) if present else None,
        "old": [
            {"submission_address": _unsealed(office, reporter, row), "until": rfc3339(row.retires_at)}
            for row in rows
            if row.retires_at and row.retires_at > now
        ],
        "vcard": card.vcard(address, present.created_at, reporter.id, f"{office.settings.url}/help")
        if present and address
        else None,
        "svg": card.qr_svg(address) if address else None,
    }


def mistake(local: str) -> str | None:
    """What is wrong with a local part that is nearly a submission address; None of any other.

    It looks at the shape alone, so the answer tells nothing of which addresses there are.
    """
    local, count = local.lower(), tokens.SUBMISSION_LETTERS
    if len(local) > count and _INSIDE.search(local):
        return (
            f"A submission address is {count} letters and digits and the @; take away what stands around them"
        )
    if len(local) == count and local.isascii() and local.isalnum():
        strange = sorted(set(local) - set(tokens.ALPHABET))
        return f"No submission address has {' or '.join(strange)} in it; copy it again" if strange else None
    if len(local) in _NEARLY and len(local) != count and set(local) <= set(tokens.ALPHABET):
        return f"A submission address has {count} letters and digits before the @, not {len(local)}"
    return None


def _of(reporter: Reporter) -> Any:
    return select(SubmissionAddress).where(SubmissionAddress.reporter_id == reporter.id)


def _unsealed(office: Office, reporter: Reporter, row: SubmissionAddress) -> str | None:
    if row.sealed is None:
        return None
    return f"{office.vault.unseal(reporter.key, row.sealed).decode()}@{office.settings.mail_domain}"
