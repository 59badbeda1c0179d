"""What the SMTP door asks: whose address a recipient is, and how a mail to it is stored.

Takes recipients and raw bytes, leaves submissions and replies, many mails in one durable transaction.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import NamedTuple

from sqlmodel import Session

from complaints import outbox, people, replies, reporters, submission, submission_address
from complaints.group_commit import GroupCommit
from complaints.loops import MOST_HOPS, in_circles, letter_id, may_have_been_here
from complaints.message import Message, parse
from complaints.models import Json, Letter, Report, Reporter
from complaints.office import Office
from complaints.settings import Settings
from complaints.smtp_in import Refuse
from complaints.vault import Vault

KNOWN_SECONDS = 5.0
"""How long a reporter's address that was found is taken as known without asking again."""
MOST_KNOWN = 10_000
"""Addresses known at a time; with more all are asked for anew."""
LARGE = 65_536
"""Octets from which a mail is sealed in a thread: compressing that much would hold up every other session."""


@dataclass(frozen=True)
class Recipient:
    """One of: a reporter's submission address, (word, report) of a report's address, a mailbox of people."""

    reporter_id: str | None = None
    key: bytes = field(default=b"", repr=False)
    """The reporter's, as their row has it."""
    vault: Vault | None = field(default=None, repr=False, compare=False)
    """Which opens it."""
    word: str = ""
    report_id: str = ""

    @cached_property
    def seal(self) -> Callable[[bytes], bytes]:
        """What seals a mail to the reporter; the key is opened for the first one."""
        assert self.vault is not None
        return self.vault.sealer(self.key)


_NEVER = (0.0, Recipient())


class Mail(NamedTuple):
    """One mail at the final dot: its submissions, sealed, and the other addresses that it goes to."""

    submissions: Sequence[Json]
    replied: Sequence[Recipient]
    mail_from: str
    raw: bytes


class Reception:
    """The database side of the SMTP door."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._commits = GroupCommit(self._write)
        self._found: dict[str, tuple[float, Recipient]] = {}
        self._to_people = people.Allowance(monotonic)

    def lately(self, address: str) -> Recipient | None:
        """The recipient behind an address that was found a moment ago.

        Who hands in much is not looked up for every mail. Nothing wrong comes in by that: the row of a
        reporter who is gone refuses the submission. Unknown addresses are looked up every time, all alike.
        """
        until, recipient = self._found.get(address, _NEVER)
        return recipient if until > monotonic() else None

    async def known(self, address: str) -> Recipient | None:
        """The recipient behind an address, None for one we do not know. Raises Refuse over a limit."""
        found = await asyncio.to_thread(self._known, address)
        if found and found.reporter_id and not self._office.settings.limit_submissions:
            if len(self._found) >= MOST_KNOWN:
                self._found.clear()
            self._found[address] = (monotonic() + KNOWN_SECONDS, found)
        return found

    async def accept(self, recipients: Sequence[Recipient], mail_from: str, raw: bytes) -> None:
        """Returns when the mail is durably stored; any exception means nothing of it was.

        Raises Refuse for a mail that goes in circles.
        """
        if len(raw) >= LARGE or may_have_been_here(raw):
            await self._refuse_circles(parse(raw))
        if any(one.word in people.MAILBOXES for one in recipients):
            if len(raw) > people.MOST_OCTETS:
                told = f"Mail for people may have {people.MOST_OCTETS} octets at most; this has more"
                raise Refuse(552, "5.3.4", told)
            self._to_people.spend()
        if len(raw) < LARGE:
            mail = self._sealed(recipients, mail_from, raw)
        else:
            mail = await asyncio.to_thread(self._sealed, recipients, mail_from, raw)
        await self._commits.put(mail)

    async def close(self) -> None:
        """Write what waits, then end."""
        await self._commits.close()

    async def _refuse_circles(self, message: Message) -> None:
        if in_circles(message):
            raise Refuse(554, "5.4.6", f"This mail passed more than {MOST_HOPS} hosts and goes in circles")
        known_as = letter_id(message, self._office.settings.mail_domain)
        if known_as != "" and await asyncio.to_thread(self._wrote, known_as):
            raise Refuse(554, "5.4.6", "This is a letter that we sent; forward spam here and nothing else")

    def _wrote(self, known_as: str) -> bool:
        with self._office.db.reading() as session:
            return session.get(Letter, known_as) is not None

    def _known(self, address: str) -> Recipient | None:
        """One statement for any address in our domain, so that the time tells nothing but known or not."""
        settings = self._office.settings
        if settings.contact and (mailbox := people.mailbox(settings, address)):
            return self._person(settings, mailbox)
        local, _, domain = address.rpartition("@")
        if domain.lower() != settings.mail_domain.lower():
            return None
        with self._office.db.reading() as session:
            if parsed := outbox.parse_report_address(local):
                report_id = replies.report_id_of(session, parsed[1])
                return Recipient(word=parsed[0], report_id=report_id) if report_id else None
            found = reporters.key_by_submission_address(session, self._office, address)
            if found is None:
                if wrong := submission_address.mistake(local):
                    raise Refuse(550, "5.1.1", wrong)
                return None
            if settings.limit_submissions:
                self._check_limit(session, found[0])
            return Recipient(*found, self._office.vault)

    def _person(self, settings: Settings, mailbox: str) -> Recipient:
        if not people.reachable(settings):
            raise Refuse(550, "5.1.1", f"People are reached at {settings.contact}")
        if self._to_people.is_used_up():
            raise Refuse(452, "4.5.3", f"Too much mail for people; try later, or write to {settings.contact}")
        return Recipient(word=mailbox)

    def _check_limit(self, session: Session, reporter_id: str) -> None:
        try:
            submission.check_limit(session, self._office, session.get_one(Reporter, reporter_id))
        except submission.OverLimitError as error:
            raise Refuse(452, "4.5.3", str(error)) from error

    def _sealed(self, recipients: Sequence[Recipient], mail_from: str, raw: bytes) -> Mail:
        """Everything about a mail that needs no database, before its turn to be written comes."""
        different = recipients if len(recipients) == 1 else list(dict.fromkeys(recipients))
        rows = [
            submission.columns(self._office, one.reporter_id, one.seal, raw, via="smtp", forwarded=True)
            for one in different
            if one.reporter_id
        ]
        return Mail(rows, [one for one in different if not one.reporter_id], mail_from, raw)

    def _write(self, mails: Sequence[Mail]) -> None:
        rows = [row for mail in mails for row in mail.submissions]
        replied = [(mail, one) for mail in mails for one in mail.replied]
        if not replied:
            submission.accept_all(self._office, rows)
            return
        with self._office.db.transaction() as session:
            submission.accept_with(session, rows)
            for mail, one in replied:
                if one.word in people.MAILBOXES:
                    people.pass_on(session, self._office, one.word, mail.mail_from, mail.raw)
                    continue
                report = session.get_one(Report, one.report_id)
                replies.receive(session, self._office, one.word, report, mail.mail_from, mail.raw)
