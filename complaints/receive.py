"""What the SMTP door asks: whose address a recipient is, and how a mail to it is stored.

Takes recipients and raw bytes, leaves submissions and replies, many mails in one durable transaction.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from complaints import outbox, replies, reporters, submission, submission_address
from complaints.group_commit import GroupCommit
from complaints.loops import MOST_HOPS, in_circles, letter_id
from complaints.message import parse
from complaints.models import Letter, Report, Reporter
from complaints.office import Office
from complaints.smtp_in import Refuse

PEOPLE = frozenset({"postmaster", "abuse"})
"""Mailboxes where a person is expected (RFC 5321 §4.5.1, RFC 2142 §4), and where nobody would read spam."""


@dataclass(frozen=True)
class Recipient:
    """Exactly one of: a reporter's submission address, or (word, report) of a report's address."""

    reporter_id: str | None = None
    word: str = ""
    report_id: str = ""


@dataclass(frozen=True)
class Mail:
    """One mail at the final dot."""

    recipients: Sequence[Recipient]
    mail_from: str
    raw: bytes


class Reception:
    """The database side of the SMTP door."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._commits = GroupCommit(self._write)

    async def known(self, address: str) -> Recipient | None:
        """The recipient behind an address, None for one we do not know. Raises Refuse over a limit."""
        return await asyncio.to_thread(self._known, address)

    async def accept(self, recipients: Sequence[Recipient], mail_from: str, raw: bytes) -> None:
        """Returns when the mail is durably stored; any exception means nothing of it was.

        Raises Refuse for a mail that goes in circles.
        """
        message = parse(raw)
        if in_circles(message):
            raise Refuse(554, "5.4.6", f"This mail passed more than {MOST_HOPS} hosts and goes in circles")
        known_as = letter_id(message, self._office.settings.mail_domain)
        if known_as != "" and await asyncio.to_thread(self._wrote, known_as):
            raise Refuse(554, "5.4.6", "This is a letter that we sent; forward spam here and nothing else")
        await self._commits.put(Mail(recipients, mail_from, raw))

    async def close(self) -> None:
        """Write what waits, then end."""
        await self._commits.close()

    def _wrote(self, known_as: str) -> bool:
        with self._office.db.reading() as session:
            return session.get(Letter, known_as) is not None

    def _known(self, address: str) -> Recipient | None:
        """One statement for any address in our domain, so that the time tells nothing but known or not."""
        settings = self._office.settings
        if settings.contact and address.lower().removesuffix(f"@{settings.mail_domain.lower()}") in PEOPLE:
            raise Refuse(550, "5.1.1", f"People are reached at {settings.contact}")
        local, _, domain = address.rpartition("@")
        if domain.lower() != settings.mail_domain.lower():
            return None
        with self._office.db.reading() as session:
            if parsed := outbox.parse_report_address(local):
                report_id = replies.report_id_of(session, parsed[1])
                return Recipient(word=parsed[0], report_id=report_id) if report_id else None
            reporter_id = reporters.id_by_submission_address(session, self._office, address)
            if reporter_id is None:
                if wrong := submission_address.mistake(local):
                    raise Refuse(550, "5.1.1", wrong)
                return None
            if settings.limit_submissions:
                self._check_limit(session, reporter_id)
            return Recipient(reporter_id=reporter_id)

    def _check_limit(self, session: Session, reporter_id: str) -> None:
        try:
            submission.check_limit(session, self._office, session.get_one(Reporter, reporter_id))
        except submission.OverLimitError as error:
            raise Refuse(452, "4.5.3", str(error)) from error

    def _write(self, mails: Sequence[Mail]) -> None:
        with self._office.db.transaction() as session:
            for mail in mails:
                for recipient in dict.fromkeys(mail.recipients):
                    if recipient.reporter_id:
                        reporter = session.get_one(Reporter, recipient.reporter_id)
                        submission.accept(
                            session, self._office, reporter, mail.raw, via="smtp", forwarded=True
                        )
                    else:
                        report = session.get_one(Report, recipient.report_id)
                        replies.receive(
                            session, self._office, recipient.word, report, mail.mail_from, mail.raw
                        )
