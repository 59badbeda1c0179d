"""Takes what servers said; leaves contacts that may be used, mailboxes that may not, and failures.

A mailbox is rejected when it is a placeholder or a registry's own (`data/refused.toml`), or when its domain
takes no mail. What is known of mailboxes and networks (`desks.py`) is put on top: a change of it needs no new
question.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from abuse_lookup.answer import (
    Answer,
    Confidence,
    Contact,
    Failure,
    Finding,
    Lookup,
    MailAnswer,
    Rejected,
    Scope,
    Sighting,
    Span,
    Status,
)
from abuse_lookup.desk_rows import Desk
from abuse_lookup.desks import KnownDesks, said
from abuse_lookup.mail_domain import MailDomains
from abuse_lookup.overrides import refusal
from abuse_lookup.ranking import ranked, unique


@dataclass(slots=True)
class Case:
    """What is known so far of one target."""

    contacts: list[Contact] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    span: Span | None = None
    better_servers: list[str] = field(default_factory=list)
    """WHOIS servers that know more: than a registry mailbox that was rejected, or by an answer's remarks."""
    hidden_by: str = ""
    """Who passes traffic on at every address of a name, so that its host is not visible."""
    until: float | None = None
    """Until when the DNS is waited for, in the loop's time; None: the caller sees to it."""

    @property
    def settled(self) -> bool:
        """Whether a contact is good enough to ask no further source."""
        return any(contact.confidence != "low" for contact in self.contacts)


class Judge:
    """Turns findings into contacts; asks the DNS whether their domains take mail."""

    def __init__(self, mail: MailDomains, known: KnownDesks, clock: Callable[[], datetime]) -> None:
        self._mail, self._known, self._clock = mail, known, clock

    async def take(self, case: Case, source: str, answers: Iterable[Answer[Sighting]]) -> None:
        """Add what one source said to the case; the server asked last knows best and comes first."""
        for answer in reversed(list(answers)):
            if answer.failed:
                permanent = answer.status is Status.PERMANENT
                case.failures.append(Failure(source, answer.server, answer.reason, permanent))
            if case.span is None or (answer.value.span and answer.value.span.size < case.span.size):
                case.span = answer.value.span
            await self._take_findings(case, source, answer)
            case.better_servers += answer.value.whois

    async def take_guess(self, case: Case, address: str, scope_why: str, server: str) -> None:
        """Add a mailbox that nobody named, as RFC 2142 §2 gives it, where its domain takes mail."""
        finding = Finding("low", scope_why, address, scope="domain")
        await self._take_findings(case, "dns", Answer(Status.FOUND, Sighting((finding,)), server))

    async def _take_findings(self, case: Case, source: str, answer: Answer[Sighting]) -> None:
        named = answer.value.findings
        allowed = [found for finding in named if (found := self._allowed(case, finding))]
        allowed.sort(key=lambda found: found not in named)  # last resorts after what nothing is known against
        domains = {found.address.rpartition("@")[2] for found in allowed if found.address}
        checks = (self._mail.check_until(domain, case.until) for domain in domains)
        mail = dict(zip(domains, await asyncio.gather(*checks), strict=True))
        now = self._clock()
        for found in allowed:
            takes_mail = mail[found.address.rpartition("@")[2]] if found.address else None
            if takes_mail is None or not _refuses_mail(case, found, takes_mail):
                case.contacts.append(
                    Contact(
                        found.scope,
                        source,
                        answer.server,
                        found.confidence,
                        _sentence(found.why, takes_mail),
                        found.as_of or now,
                        found.address,
                        found.form,
                    )
                )

    def _allowed(self, case: Case, finding: Finding) -> Finding | None:
        if finding.address is None:
            return finding
        if (desk := self._known.mailbox(finding.address)) is not None and desk.never:
            case.rejected.append(Rejected(finding.address, _refusal_of(desk)))
            return None
        known = refusal(finding.address, finding.holder)
        if known is None:
            return finding
        if known.whois:
            case.better_servers.append(known.whois)
        if known.last_resort:
            return replace(finding, confidence="low", why=f"{finding.why}; {known.why}")
        case.rejected.append(Rejected(finding.address, known.why))
        return None

    async def with_known(self, found: Lookup, proxy: Desk | None = None, *, until: float) -> Lookup:
        """Put what is known on top of what servers said: better mailboxes, forms, who only passes traffic on.

        What the DNS has not said at `until`, in the loop's time, stays unchecked and says so.
        Returns `found` itself where nothing is known.
        """
        named = [*(c.address for c in found.contacts if c.address), *(r.address for r in found.rejected)]
        if proxy is None and not any(map(self._known.mailbox, named)):
            return found
        case = Case(rejected=list(found.rejected), failures=list(found.failures), until=until)
        contacts = found.contacts
        if proxy is not None:
            contacts = tuple(replace(one, why=f"{one.why} {proxy.sentence}.") for one in contacts)
            if proxy.address or proxy.form:
                await self.take(case, "known", [said(proxy, "network")])
        for contact in contacts:
            desk = self._known.mailbox(contact.address) if contact.address else None
            if desk is None:
                case.contacts.append(contact)
            else:
                await self._redirect(case, contact, desk)
        await self._revive(case, found)
        return replace(
            found,
            contacts=ranked(case.contacts),
            rejected=unique(case.rejected),
            failures=tuple(dict.fromkeys(case.failures)),
        )

    async def _redirect(self, case: Case, contact: Contact, desk: Desk) -> None:
        """Put the right desk in the place of a mailbox that somebody named; a form goes beside it.

        The mailbox stays where a form is wanted: mail is what a report can be sent by.
        """
        if desk.table == "form":
            case.contacts.append(replace(contact, why=f"{contact.why} {desk.sentence}: {desk.form}."))
            behind: Confidence = "medium" if contact.confidence == "high" else contact.confidence
            await self.take(case, "known", [said(desk, contact.scope, confidence=behind)])
            return
        case.rejected.append(Rejected(contact.address or "", _refusal_of(desk)))
        if not desk.never:
            about = f"{contact.why.rstrip('.')}; instead of {contact.address}: "
            answer = said(desk, contact.scope, confidence=contact.confidence, about=about)
            await self.take(case, "known", [answer])

    async def _revive(self, case: Case, found: Lookup) -> None:
        """Use the better mailbox of one that was rejected because it takes no mail any more."""
        for item in found.rejected:
            desk = self._known.mailbox(item.address)
            if desk is not None and not desk.never and item.why != _refusal_of(desk):
                about = f"{item.address} is named, but {item.why}; instead: "
                scope: Scope = "network" if found.kind in {"ip", "network", "asn"} else "host"
                await self.take(case, "known", [said(desk, scope, confidence="medium", about=about)])


def dns_failure(answer: Answer[Any]) -> Failure:
    """Note an answer of the DNS that is none."""
    return Failure("dns", answer.server, answer.reason, answer.status is Status.PERMANENT)


def _refusal_of(desk: Desk) -> str:
    """Say why a mailbox is not used that a row is about."""
    right = desk.address or desk.form
    return f"{desk.why} ({desk.source})" + (f"; {right} is right" if right else "")


def _refuses_mail(case: Case, found: Finding, mail: MailAnswer) -> bool:
    """Whether the mailbox cannot receive; notes why, or that it could not be found out."""
    if mail.status in {Status.ABSENT, Status.PERMANENT}:
        case.rejected.append(Rejected(found.address or "", f"it cannot receive mail: {mail.reason}"))
        return True
    if mail.failed:
        case.failures.append(Failure("dns", mail.server, mail.reason, permanent=False))
    return False


def _sentence(why: str, mail: MailAnswer | None) -> str:
    unchecked = (
        "; whether its domain takes mail could not be checked" if mail is not None and mail.failed else ""
    )
    return f"{why[0].upper()}{why[1:]}{unchecked}."
