"""What the SMTP door asks: whose address a recipient is, and how a mail to it is stored.

Takes recipients and raw bytes, leaves submissions and replies, many mails in one durable transaction.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from complaints import outbox, replies, reporters, submission, submission_address
from complaints.group_commit import GroupCommit
from complaints.models import Report, Reporter
from complaints.office import Office
from complaints.smtp_in import Refuse


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
        """Returns when the mail is durably stored; any exception means nothing of it was."""
        await self._commits.put(Mail(recipients, mail_from, raw))

    async def close(self) -> None:
        """Write what waits, then end."""
        await self._commits.close()

    def _known(self, address: str) -> Recipient | None:
        with self._office.db.reading() as session:
            local, _, domain = address.rpartition("@")
            if domain.lower() != self._office.settings.mail_domain.lower():
                return None
            if parsed := outbox.parse_report_address(local):
                report = replies.report_of(session, parsed[1])
                return Recipient(word=parsed[0], report_id=report.id) if report else None
            reporter = reporters.by_submission_address(session, self._office, address)
            if reporter is None:
                if wrong := submission_address.mistake(local):
                    raise Refuse(550, "5.1.1", wrong)
                return None
            try:
                submission.check_limit(session, self._office, reporter)
            except submission.OverLimitError as error:
                raise Refuse(452, "4.5.3", str(error)) from error
            return Recipient(reporter_id=reporter.id)

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
