"""Takes a target; leaves the desks responsible for it, ranked, with reasons, and everything that failed.

An address, network or AS number: RDAP, then WHOIS, then what the DNS says (`last_resort.py`), each only
while nobody good is known. A domain: the desks of the networks its hosts are in, its registrar's, and what
its owner publishes; or the desk of the platform that it is on. What is known of networks and mailboxes, and
what earlier reports came to, is put on top of what the cache holds.
"""

import asyncio
import ipaddress
import json
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from abuse_lookup import journal
from abuse_lookup.answer import (
    Answer,
    Contact,
    Failure,
    Finding,
    Lookup,
    Rejected,
    Scope,
    Sighting,
    Span,
    Status,
)
from abuse_lookup.batch import each_done
from abuse_lookup.cache import Cache, OneAtATime, covering_keys, neighbourhood, span_keys
from abuse_lookup.declared import Declared
from abuse_lookup.desks import KnownDesks, said
from abuse_lookup.history import History, remembered
from abuse_lookup.judge import Case, Judge, dns_failure
from abuse_lookup.last_resort import LastResort
from abuse_lookup.mailbox import mail_address
from abuse_lookup.ranking import ranked, unique
from abuse_lookup.rdap import Rdap
from abuse_lookup.resolver import Resolver
from abuse_lookup.span import span_text
from abuse_lookup.target import IPAddress, Target, parse_ip
from abuse_lookup.whois import Whois

_log = logging.getLogger(__name__)
KEPT_FOUND = timedelta(days=1)
KEPT_ABSENT = timedelta(hours=1)
KEPT_ERROR = timedelta(minutes=2)
MOST_HOSTS = 4
"""Addresses of one domain whose networks are looked up."""
_MOST_RECENT = 100_000
_RDAP_SHARE, _WHOIS_SHARE = 0.4, 0.4  # of the deadline; the rest is for the DNS

Ask = Callable[[Case, Target, float], Awaitable[None]]


class AbuseLookup:
    """Finds contacts. Get one from `open_lookup`."""

    resolver: Resolver

    def __init__(
        self,
        resolver: Resolver,
        rdap: Rdap,
        whois: Whois,
        last_resort: LastResort,
        judge: Judge,
        *,
        known: KnownDesks,
        history: History | None,
        cache: Cache,
        clock: Callable[[], datetime],
        seconds: float,
    ) -> None:
        self.resolver, self.known, self._history = resolver, known, history
        self._rdap, self._whois, self._last_resort = rdap, whois, last_resort
        self._cache, self._clock, self._seconds = cache, clock, seconds
        self._judge = judge
        self._one = OneAtATime()
        self._recent: dict[str, tuple[Lookup, datetime]] = {}

    async def find_contacts(self, target: str, *, explain: bool = False) -> Lookup:
        """Look up an IP address, CIDR, AS number, domain, URL or mail address, within the configured seconds.

        Never raises on a server's behaviour: that is in `failures`. Raises `UnusableTarget` for text that is
        none of these. With `explain` the answer holds all `questions`.
        """
        if explain:
            with journal.recording() as questions:
                found = await self.find_contacts(target)
            return replace(found, questions=journal.in_order(questions))
        if self.known.changed():
            self._recent.clear()
        if (recent := self._recent.get(target)) is None or recent[1] <= self._clock():
            recent = await self._asked(target)
        else:
            journal.kept(target, recent[1])
        return await remembered(recent[0], self._history, self._clock()) if self._history else recent[0]

    async def _asked(self, text: str) -> tuple[Lookup, datetime]:
        target = Target.parse(text)
        if why := target.refusal():
            return Lookup(text, target.kind, rejected=(Rejected(target.key, why),)), self._clock()
        recent = await self._find(target, self._seconds)
        while len(self._recent) >= _MOST_RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[text] = recent
        return recent

    async def find_many(
        self, targets: AsyncIterable[str] | Iterable[str], at_once: int = 1000
    ) -> AsyncIterator[Lookup]:
        """Look up many targets, up to `at_once` at a time; yields each answer as soon as it is there.

        So not in the order of the targets: `Lookup.target` is the text that was handed in. Limits of servers
        are waited for, however long that takes; a target's own seconds count without it. Raises
        `UnusableTarget` when it comes to a text that is none: leave those out beforehand (`Target.parse`).
        """
        async for found in each_done(targets, self.find_contacts, at_once):
            yield found

    async def check_declared(self, declared: Declared) -> Lookup:
        """Check a mailbox that a sender declares as any other: is it refused, does its domain take mail."""
        case = Case()
        if mail_address(declared.address) is None:
            why = "only a mailer that speaks SMTPUTF8 could reach it"
            case.rejected.append(Rejected(declared.address, why))
        else:
            finding = Finding("medium", declared.why, declared.address, scope="sender")
            await self._judge.take(
                case, "header", [Answer(Status.FOUND, Sighting((finding,)), declared.signer)]
            )
        found = Lookup(
            declared.signer,
            "domain",
            contacts=ranked(case.contacts),
            rejected=unique(case.rejected),
            failures=tuple(case.failures),
        )
        return await remembered(found, self._history, self._clock()) if self._history else found

    async def _find(self, target: Target, seconds: float) -> tuple[Lookup, datetime]:
        if target.host is not None:
            found, expires = await self._answered(target, seconds, self._ask_domain, self._keys(target))
            return await self._judge.with_known(found), expires
        if (right := self.known.override(target)) is not None:
            return await self._overridden(target, right)
        found, expires = await self._answered(target, seconds, self._ask_number, self._keys(target))
        return await self._judge.with_known(found, self.known.proxy(target)), expires

    async def _overridden(self, target: Target, right: Answer[Sighting]) -> tuple[Lookup, datetime]:
        """Answer from a row that is right whatever registries say, without a question to them."""
        case = Case()
        await self._judge.take(case, "known", [right])
        found = _lookup(target, case)
        return found, self._clock() + (KEPT_ERROR if case.failures else KEPT_ABSENT)

    async def _answered(
        self, target: Target, seconds: float, ask: Ask, keys: list[str]
    ) -> tuple[Lookup, datetime]:
        """Answer from the cache, or ask; equal questions and those of neighbours go one at a time."""
        if kept := self._kept(target, keys):
            return kept
        case = Case()
        try:
            async with asyncio.timeout(seconds), self._one.asking(_flight(target, keys)):
                if kept := self._kept(target, keys):
                    return kept
                await ask(case, target, seconds)
        except TimeoutError:
            reason = f"the {seconds:g} s for this target were over before every source had answered"
            case.failures.append(Failure("lookup", target.key, reason, permanent=False))
        return self._keep(target, case, keys[:1])

    def _keys(self, target: Target) -> list[str]:
        """Name where the answer is kept; one about a name holds as long as the known desks are the same."""
        if target.ip is not None:
            return covering_keys(target.ip)
        rows = self.known.digest if target.host is not None else ""
        return [f"{'mail' if target.kind == 'address' else 'host'}:{target.key}{rows}"]

    def _kept(self, target: Target, keys: list[str]) -> tuple[Lookup, datetime] | None:
        text = self._cache.get(keys, self._clock())
        if text is None:
            return None
        try:
            document = json.loads(text)
            expires = datetime.fromisoformat(document["expires"])
            journal.kept(target.key, expires)
            return replace(Lookup.from_document(document), target=target.text, kind=target.kind), expires
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("cached answer for %s is not readable, asking again: %s", target.key, error)
            return None

    def _keep(self, target: Target, case: Case, keys: list[str]) -> tuple[Lookup, datetime]:
        found = _lookup(target, case)
        expires = self._clock() + _lifetime(found, settled=case.settled)
        if target.ip is not None and case.span is not None and _holds_for(case.span, target.ip, found):
            keys = span_keys(case.span, target.ip)
        text = json.dumps({**found.document(), "expires": expires.isoformat()})
        self._cache.put(keys, text, expires)
        return found, expires

    async def _ask_number(self, case: Case, target: Target, seconds: float) -> None:
        await self._judge.take(case, "rdap", await self._rdap.look_up(target, seconds * _RDAP_SHARE))
        await self._ask_whois(case, target, seconds * _WHOIS_SHARE)
        await self._last_resort.ask_of_number(case, target)

    async def _ask_whois(self, case: Case, target: Target, seconds: float) -> None:
        """Start at the root, but first at a server that is known to know more than a rejected mailbox."""
        asked: list[str | None] = []
        while not case.settled and len(asked) < 2:
            start = next((server for server in case.better_servers if server not in asked), None)
            if start in asked:
                return
            asked.append(start)
            answers = await self._whois.look_up(target, seconds, first=start)
            await self._judge.take(case, "whois", answers)

    async def _ask_domain(self, case: Case, target: Target, seconds: float) -> None:
        host = target.host or ""
        if (right := self.known.domain(host)) is not None:
            await self._judge.take(case, "known", [said(right, "domain")])
        if (platform := self.known.platform(host)) is not None:
            # Who registered its name, and its abuse@, are the platform's: its desk is the one for its users
            scope: Scope = "domain" if platform.kind == "name" else "host"
            await self._judge.take(case, "known", [said(platform, scope)])
            await self._ask_hosts(case, target, seconds)
            return
        await asyncio.gather(
            self._ask_hosts(case, target, seconds),
            self._ask_registrar(case, target, seconds),
            self._last_resort.ask_of_owner(case, target),
        )
        if case.hidden_by:
            case.contacts = [_next_who_can_act(contact, case.hidden_by) for contact in case.contacts]
        await self._last_resort.ask_of_zone(case, target)

    async def _ask_hosts(self, case: Case, target: Target, seconds: float) -> None:
        """Look up the networks of its web host, or of its mail hosts for a mail address."""
        names = [target.host or ""]
        if target.kind == "address":
            mail = await self.resolver.mx(names[0])
            if mail.failed:
                case.failures.append(dns_failure(mail))
            names = [host for _, host in mail.value[:2]]
        for name in names:
            answer = await self.resolver.addresses(name)
            if answer.failed:
                case.failures.append(dns_failure(answer))
            addresses = answer.value[:MOST_HOSTS]
            found = await asyncio.gather(*(self._host_part(ip, seconds * 0.9) for ip in addresses))
            for ip, there in zip(addresses, found, strict=True):
                _add_host(case, name, ip, there)
            passing = [self.known.proxy(Target(ip, "ip", ip=parse_ip(ip))) for ip in addresses]
            if passing and all(passing):
                case.hidden_by = " and ".join(dict.fromkeys(one.provider for one in passing if one))

    async def _host_part(self, ip: str, seconds: float) -> Lookup:
        address = parse_ip(ip) or ipaddress.ip_address(ip)
        target = Target(ip, "ip", ip=address)
        if why := target.refusal():
            return Lookup(ip, "ip", rejected=(Rejected(ip, why),))
        return (await self._find(target, seconds))[0]

    async def _ask_registrar(self, case: Case, target: Target, seconds: float) -> None:
        """Ask who registered the domain. Low: a registrar acts on abuse of the DNS, not on every spam."""
        if (domain := target.organisation) is None:
            return
        keys = [f"registrar:{domain}"]
        registered = Target(domain, "domain", host=domain)
        found, _ = await self._answered(registered, seconds * 0.9, self._ask_registration, keys)
        found = await self._judge.with_known(found)
        case.contacts += [replace(contact, confidence="low") for contact in found.contacts]
        case.rejected += found.rejected
        case.failures += found.failures

    async def _ask_registration(self, case: Case, target: Target, seconds: float) -> None:
        await self._judge.take(case, "rdap", await self._rdap.look_up(target, seconds * _RDAP_SHARE))
        await self._ask_whois(case, target, seconds * _WHOIS_SHARE)


def _add_host(case: Case, name: str, ip: str, found: Lookup) -> None:
    for contact in found.contacts:
        why = f"It answers for {ip}, where {name} is. {contact.why}" if name != ip else contact.why
        case.contacts.append(replace(contact, scope="host", why=why))
    case.rejected += found.rejected
    case.failures += found.failures


def _lookup(target: Target, case: Case) -> Lookup:
    return Lookup(
        target.text,
        target.kind,
        span_text(case.span) if case.span else None,
        ranked(case.contacts),
        unique(case.rejected),
        tuple(dict.fromkeys(case.failures)),
    )


def _next_who_can_act(contact: Contact, proxy: str) -> Contact:
    """Raise the registrar of a name whose host is hidden: besides the proxy, nobody else is known."""
    if contact.scope != "registrar" or contact.confidence != "low":
        return contact
    why = f"{contact.why} {proxy} hides the host of this name, so whoever registered it is told, too."
    return replace(contact, confidence="medium", why=why)


def _flight(target: Target, keys: list[str]) -> str:
    return str(neighbourhood(target.ip)) if target.ip is not None else keys[0]


def _holds_for(span: Span, ip: IPAddress, found: Lookup) -> bool:
    """Whether the answer is the registry's, for the whole network, not only for the one address."""
    by_registry = all(contact.source in {"rdap", "whois"} for contact in found.contacts)
    return ip in span and bool(found.contacts) and by_registry


def _lifetime(found: Lookup, *, settled: bool) -> timedelta:
    """How long an answer is good: a day when found, an hour when nobody is there, minutes after errors."""
    unsure = any(not failure.permanent for failure in found.failures)
    if settled:
        return KEPT_ABSENT if unsure else KEPT_FOUND
    return KEPT_ERROR if unsure else KEPT_ABSENT
