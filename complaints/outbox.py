"""Letters on their way out: takes a rendered letter, leaves a queued row that `forward` sends.

Also the one place that makes our addresses: the bounce, reply and opt-out address of a report.
"""

from collections.abc import Mapping

from sqlmodel import Session

from complaints import tokens
from complaints.db import look_at
from complaints.letters import compose_letter, render
from complaints.message import parse
from complaints.models import Letter, Reporter
from complaints.office import Office

SERVICE = "plaint"  # local part of what our letters come from
BOUNCE, REPLY, STOP = "bounce", "reply", "stop"
"""`<word>-<token>@`: the three addresses of a report. The token stands in its bytes; the row has its hash."""


def report_address(office: Office, word: str, token: str) -> str:
    """One of a report's addresses; well under 64 octets of local part (RFC 5321 §4.5.3.1.1)."""
    return f"{word}-{token}@{office.settings.mail_domain}"


def parse_report_address(local: str) -> tuple[str, str] | None:
    """(word, token) of a local part made by `report_address`, or None. Case does not matter."""
    word, dash, token = local.lower().partition("-")
    known = dash and word in {BOUNCE, REPLY, STOP} and len(token) == tokens.REPORT_LETTERS
    return (word, token) if known else None


def report_token(raw: bytes) -> str:
    """The token in the addresses of a report that `report.write` made, from its bytes."""
    found = parse_report_address((parse(raw).get("Reply-To") or "").strip("<> ").partition("@")[0])
    assert found
    return found[1]


def _people(office: Office) -> str | None:
    """The mailbox of whoever runs this installation; None where they are reached by a page."""
    contact = office.settings.contact
    return contact if contact and "://" not in contact else None


def put_letter(
    session: Session,
    office: Office,
    kind: str,
    *,
    to: str,
    reporter: Reporter | None,
    reply_to: str | None = None,
    mark: str = "",
    unsubscribe: str = "",
    values: Mapping[str, object],
    enclosed: bytes = b"",
) -> Letter:
    """Render a letter and queue it; its null return path keeps it from bouncing in a loop.

    Whoever answers one reaches the people who run this installation, unless `reply_to` says another.
    `mark` is the left side of its Message-ID, where one must be known again. `unsubscribe` is the link
    that ends letters of this kind: a mail program offers it as a button (RFC 8058 §3.1). `enclosed` is a
    mail to be attached, with CRLF for its line ends.
    """
    letter_id = tokens.random_letters(tokens.ID_LETTERS)
    message_id = f"<{mark or f'letter-{letter_id}'}@{office.settings.mail_domain}>"
    now = office.clock()
    raw = compose_letter(
        render(kind, **values),
        sender=f"Plaint <{SERVICE}@{office.settings.mail_domain}>",
        to=to,
        message_id=message_id,
        date=now,
        reply_to=reply_to or _people(office),
        headers={
            "List-Unsubscribe": f"<{unsubscribe}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        if unsubscribe
        else None,
        enclosed=enclosed,
    )
    letter = Letter(
        id=letter_id,
        reporter_id=reporter.id if reporter else None,
        kind=kind,
        to=to,
        mail_from="",
        raw=office.vault.seal(reporter.key if reporter else None, raw),
        next_at=now,
    )
    session.add(letter)
    look_at(session, "letter", letter.id)
    return letter
