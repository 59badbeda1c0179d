"""Mail to the people who run this installation: postmaster and abuse at our domain.

Takes such a mail, leaves it in a letter to PLAINT_CONTACT, as it came. Whoever writes chooses neither the
recipient nor the sender of that letter, and its null return path brings nothing back.
"""

import re
from collections import deque
from collections.abc import Callable
from email.utils import parseaddr

from sqlmodel import Session

from complaints import outbox
from complaints.fields import FieldError, address_field
from complaints.message import parse
from complaints.office import Office
from complaints.settings import Settings

MAILBOXES = frozenset({"postmaster", "abuse"})
"""Where a person is expected (RFC 5321 §4.5.1, RFC 2142 §4), and where nobody would read spam."""
MOST_AN_HOUR = 20
"""Mails passed on by one process: nobody floods the operator's mailbox, nor uses us to do it."""
MOST_OCTETS = 1_048_576
_LINE_END = re.compile(rb"\r\n|\r|\n")


def mailbox(settings: Settings, address: str) -> str:
    """The mailbox of people that an address names, with our domain or without any; "" for another."""
    word = address.lower().removesuffix(f"@{settings.mail_domain.lower()}")
    return word if word in MAILBOXES else ""


def reachable(settings: Settings) -> bool:
    """Whether mail to the contact leaves this house: one at our own domain would come back here."""
    domain = settings.contact.rpartition("@")[2].lower()
    return "@" in settings.contact and domain != settings.mail_domain.lower()


class Allowance:
    """How many mails may still be passed on within this hour. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._passed: deque[float] = deque()

    def is_used_up(self) -> bool:
        """Whether the next one must wait."""
        while self._passed and self._passed[0] <= self._clock() - 3600:
            self._passed.popleft()
        return len(self._passed) >= MOST_AN_HOUR

    def spend(self) -> None:
        """One was passed on."""
        self._passed.append(self._clock())


def pass_on(session: Session, office: Office, word: str, mail_from: str, raw: bytes) -> None:
    """Queue the letter that carries a mail to the contact. Its line ends become CRLF: bare ones smuggle."""
    outbox.put_letter(
        session,
        office,
        "people",
        to=office.settings.contact,
        reporter=None,
        reply_to=_writer(raw, mail_from),
        values={
            "mailbox": f"{word}@{office.settings.mail_domain}",
            "mail_from": mail_from,
            "subject": parse(raw).get("subject") or "",
        },
        enclosed=_LINE_END.sub(b"\r\n", raw),
    )


def _writer(raw: bytes, mail_from: str) -> str | None:
    """Whom an answer should go to, None where nobody can be answered."""
    for address in (parseaddr(parse(raw).get("from") or "")[1], mail_from):
        try:
            address_field("Reply-To", address)
        except FieldError:
            continue
        return address
    return None
