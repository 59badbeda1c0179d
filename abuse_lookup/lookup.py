"""Takes a target; leaves the desks responsible for it, ranked, with reasons, and everything that failed.

An address, network or AS number: RDAP, then WHOIS, then contact zones, then `abuse@` of the confirmed reverse
name, each only while nobody good is known. A domain: the desks of the networks its hosts are in, its
registrar's, and `abuse@` of the domain itself.
"""

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextvars import Context
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from abuse_lookup import journal
from abuse_lookup.answer import Answer, Failure, Finding, Lookup, Rejected, Sighting, Status
from abuse_lookup.batch import each_done
from abuse_lookup.cache import Cache, OneAtATime, covering_keys, neighbourhood
from abuse_lookup.contactdb import ContactZones
from abuse_lookup.judge import Case, Judge, ranked, unique
from abuse_lookup.kept import KEPT_FOUND, KEPT_HOST, Kept, lifetime
from abuse_lookup.overrides import known_desk
from abuse_lookup.rdap import Rdap
from abuse_lookup.resolver import Resolver
from abuse_lookup.shelf import Entry
from abuse_lookup.span import span_text
from abuse_lookup.target import Target, organisational_domain, parse_ip
from abuse_lookup.whois import Whois

_log = logging.getLogger(__name__)
MOST_HOSTS = 4
"""Addresses of one domain whose networks are looked up."""
_PATIENCE_OF_MANY = 86400.0  # seconds; what waits in a batch waits for limits
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
        zones: ContactZones,
        *,
        cache: Cache,
        clock: Callable[[], datetime],
        seconds: float,
    ) -> None:
        self.resolver = resolver
        self._rdap, self._whois, self._zones = rdap, whois, zones
        self._kept = Kept(cache, clock)
        self._clock, self._seconds = clock, seconds
        self._judge = Judge(resolver, clock)
        self._one = OneAtATime()
        self._renewing: dict[str, asyncio.Task[Lookup]] = {}

    async def find_contacts(self, target: str, *, explain: bool = False) -> Lookup:
        """Look up an IP address, CIDR, AS number, domain, URL or mail address, within the configured seconds.

        Never raises on a server's behaviour: that is in `failures`. Raises `UnusableTarget` for text that is
        none of these. With `explain` the answer holds all `questions`.
        """
        if explain:
            with journal.recording() as questions:
                found = await self._look_up(target, self._seconds)
            return replace(found, questions=journal.in_order(questions))
        return self._kept.at_hand(target) or await self._look_up(target, self._seconds)

    async def find_many(
        self, targets: AsyncIterable[str] | Iterable[str], at_once: int = 1000
    ) -> AsyncIterator[Lookup]:
        """Look up many targets, up to `at_once` at a time; yields each answer as soon as it is there.

        So not in the order of the targets: `Lookup.target` is the text that was handed in. A server's limits
        are waited for, however long that takes, and each single question is bounded as ever. Raises
        `UnusableTarget` when it comes to a text that is none: leave those out beforehand (`Target.parse`).
        """

        async def one(target: str) -> Lookup:
            return self._kept.at_hand(target) or await self._look_up(target, _PATIENCE_OF_MANY)

        async for found in each_done(targets, one, at_once):
            yield found

    async def aclose(self) -> None:
        """End what is being asked in the background."""
        for task in (tasks := list(self._renewing.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, text: str, seconds: float) -> Lookup:
        target = Target.parse(text)
        if why := target.refusal():
            return Lookup(text, target.kind, rejected=(Rejected(target.key, why),))
        return await self._find(target, seconds, at_once=True)

    async def _find(self, target: Target, seconds: float, *, at_once: bool = False) -> Lookup:
        if target.host is not None:
            return await self._answered(target, seconds, self._ask_domain, _keys(target), longest=KEPT_HOST)
        return await self._answered(target, seconds, self._ask_number, _keys(target), at_once=at_once)

    async def _answered(
        self,
        target: Target,
        seconds: float,
        ask: Ask,
        keys: list[str],
        *,
        longest: timedelta = KEPT_FOUND,
        at_once: bool = False,
    ) -> Lookup:
        """Answer from what is kept, or ask; equal questions and those of neighbours go one at a time.

        With `at_once` a stale answer will do, which is then renewed in the background.
        """
        kept = await self._kept.get(target, keys)
        if kept is not None and self._kept.is_fresh(kept):
            return kept.found
        if kept is not None and at_once and self._kept.is_given_at_once(kept):
            self._renew(target, ask, keys, kept.found.network)
            return replace(kept.found, stale=True)
        case, asked = Case(), False
        try:
            async with asyncio.timeout(seconds), self._one.asking(_flight(target, keys)):
                kept = await self._kept.get(target, keys)
                if kept is not None and self._kept.is_fresh(kept):
                    return kept.found
                asked = True
                await ask(case, target, seconds)
        except TimeoutError:
            reason = f"the {seconds:g} s for this target were over before every source had answered"
            case.failures.append(Failure("lookup", target.key, reason, permanent=False))
        return await self._keep(
            target, keys, case, kept if longest > KEPT_HOST else None, longest, asked=asked
        )

    async def _keep(
        self,
        target: Target,
        keys: list[str],
        case: Case,
        before: Entry | None,
        longest: timedelta,
        *,
        asked: bool,
    ) -> Lookup:
        """Keep what was found; where that failed, what was known before stands in, with the failures."""
        found = Lookup(
            target.text,
            target.kind,
            span_text(case.span) if case.span else None,
            ranked(case.contacts),
            unique(case.rejected),
            tuple(dict.fromkeys(case.failures)),
            self._clock(),
        )
        unsure = any(not failure.permanent for failure in found.failures)
        if before is not None and unsure and not case.settled:
            return (await self._kept.put_again(target, keys, before, found.failures)).found
        if not asked:
            return found
        good_for = lifetime(found, settled=case.settled, longest=longest)
        lasting = case.settled and longest > KEPT_HOST
        return (await self._kept.put(target, keys, found, case.span, good_for, lasting=lasting)).found

    def _renew(self, target: Target, ask: Ask, keys: list[str], network: str | None) -> None:
        """Ask anew in the background, once for all addresses of a network."""
        name = network or keys[0]
        if name in self._renewing:
            return

        def ended(task: asyncio.Task[Lookup]) -> None:
            del self._renewing[name]
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("answer for %s not renewed", target.key, exc_info=error)

        # In a context of its own, lest it notes its questions in the journal of the lookup that started it
        task = asyncio.create_task(self._answered(target, self._seconds, ask, keys), context=Context())
        self._renewing[name] = task
        task.add_done_callback(ended)

    async def _ask_number(self, case: Case, target: Target, seconds: float) -> None:
        await self._judge.take(case, "rdap", await self._rdap.look_up(target, seconds * _RDAP_SHARE))
        await self._ask_whois(case, target, seconds * _WHOIS_SHARE)
        if not case.settled:
            await self._judge.take(case, "dns", await self._zones.look_up(target))
        if not case.contacts and target.ip is not None:
            await self._guess_from_reverse_name(case, str(target.ip))

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

    async def _guess_from_reverse_name(self, case: Case, ip: str) -> None:
        names = await self.resolver.confirmed_ptr(ip)
        if names.failed:
            case.failures.append(_dns_failure(names))
        domains = dict.fromkeys(organisational_domain(name) for name in names.value)
        for domain in list(domains)[:1]:
            if domain is not None:
                why = f"no contact is registered; {ip} is called {names.value[0]}, which points back to it"
                await self._judge.take_guess(case, f"abuse@{domain}", why, names.server)

    async def _ask_domain(self, case: Case, target: Target, seconds: float) -> None:
        host = target.host or ""
        if desk := known_desk(host):
            finding = Finding("high", desk.why, desk.address, desk.form, scope="host")
            known = Answer(Status.FOUND, Sighting((finding,)), desk.provider)
            await self._judge.take(case, "known", [known])
        await asyncio.gather(
            self._ask_hosts(case, target, seconds),
            self._ask_registrar(case, target, seconds),
            self._ask_owner(case, target),
        )

    async def _ask_hosts(self, case: Case, target: Target, seconds: float) -> None:
        """Look up the networks of its web host, or of its mail hosts for a mail address."""
        names = [target.host or ""]
        if target.kind == "address":
            mail = await self.resolver.mx(names[0])
            if mail.failed:
                case.failures.append(_dns_failure(mail))
            names = [host for _, host in mail.value[:2]]
        for name in names:
            answer = await self.resolver.addresses(name)
            if answer.failed:
                case.failures.append(_dns_failure(answer))
            addresses = answer.value[:MOST_HOSTS]
            found = await asyncio.gather(*(self._host_part(ip, seconds * 0.9) for ip in addresses))
            for ip, there in zip(addresses, found, strict=True):
                _add_host(case, name, ip, there)

    async def _host_part(self, ip: str, seconds: float) -> Lookup:
        address = parse_ip(ip) or ipaddress.ip_address(ip)
        target = Target(ip, "ip", ip=address)
        if why := target.refusal():
            return Lookup(ip, "ip", rejected=(Rejected(ip, why),))
        return await self._find(target, seconds)

    async def _ask_registrar(self, case: Case, target: Target, seconds: float) -> None:
        """Ask who registered the domain. Low: a registrar acts on abuse of the DNS, not on every spam."""
        if (domain := target.organisation) is None:
            return
        keys = [f"registrar:{domain}"]
        registered = Target(domain, "domain", host=domain)
        found = await self._answered(registered, seconds * 0.9, self._ask_registration, keys)
        case.contacts += [replace(contact, confidence="low") for contact in found.contacts]
        case.rejected += found.rejected
        case.failures += found.failures

    async def _ask_registration(self, case: Case, target: Target, seconds: float) -> None:
        await self._judge.take(case, "rdap", await self._rdap.look_up(target, seconds * _RDAP_SHARE))
        if not case.settled:
            answers = await self._whois.look_up(target, seconds * _WHOIS_SHARE)
            await self._judge.take(case, "whois", answers)

    async def _ask_owner(self, case: Case, target: Target) -> None:
        """Propose what the domain's owner publishes: contact zones by domain, and RFC 2142's mailbox."""
        await self._judge.take(case, "dns", await self._zones.look_up(target))
        if (domain := target.organisation) is not None:
            why = f"RFC 2142 names it for complaints about {domain}, whose owner may be the spammer"
            await self._judge.take_guess(case, f"abuse@{domain}", why, domain)


def _add_host(case: Case, name: str, ip: str, found: Lookup) -> None:
    for contact in found.contacts:
        why = f"It answers for {ip}, where {name} is. {contact.why}" if name != ip else contact.why
        case.contacts.append(replace(contact, scope="host", why=why))
    case.rejected += found.rejected
    case.failures += found.failures


def _dns_failure(answer: Answer[Any]) -> Failure:
    return Failure("dns", answer.server, answer.reason, answer.status is Status.PERMANENT)


def _flight(target: Target, keys: list[str]) -> str:
    return str(neighbourhood(target.ip)) if target.ip is not None else keys[0]


def _keys(target: Target) -> list[str]:
    if target.ip is not None:
        return covering_keys(target.ip)
    return [f"{'mail' if target.kind == 'address' else 'host'}:{target.key}"]
