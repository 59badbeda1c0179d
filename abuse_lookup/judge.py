"""Takes what servers said; leaves contacts that may be used, mailboxes that may not, and failures.

A mailbox is rejected when it is a placeholder or a registry's own (`data/refused.toml`), or when its domain
takes no mail. The rest is ranked.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from abuse_lookup.answer import (
    CONFIDENCES,
    Answer,
    Contact,
    Failure,
    Finding,
    MailAnswer,
    Rejected,
    Sighting,
    Span,
    Status,
)
from abuse_lookup.mailbox import is_desk_name
from abuse_lookup.overrides import refusal
from abuse_lookup.resolver import Resolver

_SCOPE_ORDER = {"network": 0, "host": 0, "sender": 1, "domain": 2, "registrar": 3}


@dataclass(slots=True)
class Case:
    """What is known so far of one target."""

    contacts: list[Contact] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    span: Span | None = None
    better_servers: list[str] = field(default_factory=list)
    """WHOIS servers that know more than a rejected registry mailbox, or than an answer that names them."""

    @property
    def settled(self) -> bool:
        """Whether a contact is good enough to ask no further source."""
        return any(contact.confidence != "low" for contact in self.contacts)


class Judge:
    """Turns findings into contacts; asks the DNS whether their domains take mail."""

    def __init__(self, resolver: Resolver, clock: Callable[[], datetime]) -> None:
        self._resolver, self._clock = resolver, clock

    async def take(self, case: Case, source: str, answers: Iterable[Answer[Sighting]]) -> None:
        """Add what one source said to the case; the server asked last knows best and comes first."""
        for answer in reversed(list(answers)):
            if answer.failed:
                permanent = answer.status is Status.PERMANENT
                case.failures.append(Failure(source, answer.server, answer.reason, permanent))
            if case.span is None or (answer.value.span and answer.value.span.size < case.span.size):
                case.span = answer.value.span
            await self._take_findings(case, source, answer)
            case.better_servers += answer.value.servers

    async def take_guess(self, case: Case, address: str, scope_why: str, server: str) -> None:
        """Add a mailbox that nobody named, as RFC 2142 §2 gives it, where its domain takes mail."""
        finding = Finding("low", scope_why, address, scope="domain")
        await self._take_findings(case, "dns", Answer(Status.FOUND, Sighting((finding,)), server))

    async def _take_findings(self, case: Case, source: str, answer: Answer[Sighting]) -> None:
        allowed = [found for finding in answer.value.findings if (found := _allowed(case, finding))]
        domains = {found.address.rpartition("@")[2] for found in allowed if found.address}
        mail = dict(zip(domains, await asyncio.gather(*map(self._resolver.mx, domains)), strict=True))
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
                        now,
                        found.address,
                        found.form,
                    )
                )


def ranked(contacts: Sequence[Contact]) -> tuple[Contact, ...]:
    """Order contacts, best first, each once, none of low confidence beside a better one of its scope."""
    best: dict[str, Contact] = {}
    for contact in sorted(contacts, key=_rank):
        best.setdefault((contact.address or contact.form or "").lower(), contact)
    kept = list(best.values())
    sure = {contact.scope for contact in kept if contact.confidence != "low"}
    return tuple(contact for contact in kept if contact.confidence != "low" or contact.scope not in sure)


def unique(rejected: Sequence[Rejected]) -> tuple[Rejected, ...]:
    """Keep each rejected mailbox once."""
    return tuple({item.address.lower(): item for item in reversed(rejected)}.values())[::-1]


def _rank(contact: Contact) -> tuple[int, int, bool, bool]:
    """Order by confidence, scope, a platform's own desk before its network's, desk names before others."""
    desk = contact.address is not None and is_desk_name(contact.address)
    confidence = CONFIDENCES.index(contact.confidence)
    return confidence, _SCOPE_ORDER[contact.scope], contact.source != "known", not desk


def _allowed(case: Case, finding: Finding) -> Finding | None:
    if finding.address is None:
        return finding
    known = refusal(finding.address, finding.holder)
    if known is None:
        return finding
    if known.whois:
        case.better_servers.append(known.whois)
    if known.last_resort:
        return replace(finding, confidence="low", why=f"{finding.why}; {known.why}")
    case.rejected.append(Rejected(finding.address, known.why))
    return None


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
