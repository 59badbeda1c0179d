"""Takes a target; leaves the desks responsible for it, ranked, with reasons, and everything that failed.

An address, network or AS number: RDAP, then WHOIS, then what the DNS says (`last_resort.py`), each only
while nobody good is known. A domain: the desks of the networks its hosts are in, its registrar's, and what
its owner publishes; or the desk of the platform that it is on. What is known of networks and mailboxes, and
what earlier reports came to, is put on top of what the cache holds.
"""

import asyncio
import ipaddress
import logging
import traceback
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextvars import Context
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

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
    Status,
)
from abuse_lookup.batch import each_done
from abuse_lookup.cache import NEIGHBOURHOOD, OneAtATime, covering_keys
from abuse_lookup.declared import Declared
from abuse_lookup.desks import KnownDesks, said
from abuse_lookup.history import History, remembered
from abuse_lookup.judge import Case, Judge, dns_failure
from abuse_lookup.kept import KEPT_ABSENT, KEPT_ERROR, KEPT_FOUND, KEPT_HOST, Kept
from abuse_lookup.last_resort import LastResort
from abuse_lookup.mailbox import mail_address
from abuse_lookup.ranking import ranked, unique
from abuse_lookup.rdap import Rdap
from abuse_lookup.resolver import Resolver
from abuse_lookup.shelf import Entry
from abuse_lookup.span import span_text
from abuse_lookup.target import Target, parse_ip
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
        last_resort: LastResort,
        judge: Judge,
        *,
        known: KnownDesks,
        history: History | None,
        kept: Kept,
        clock: Callable[[], datetime],
        seconds: float,
    ) -> None:
        self.resolver, self.known, self._history = resolver, known, history
        self._rdap, self._whois, self._last_resort, self._judge = rdap, whois, last_resort, judge
        self._kept = kept
        self._clock, self._seconds = clock, seconds
        self._one = OneAtATime()
        self._renewing: dict[str, asyncio.Task[Entry]] = {}

    async def find_contacts(self, target: str, *, explain: bool = False, patient: bool = False) -> Lookup:
        """Look up an IP address, CIDR, AS number, domain, URL or mail address, within the configured seconds.

        Never raises on a server's behaviour: that is in `failures`. Raises `UnusableTarget` for text that is
        none of these. With `explain` the answer holds all `questions`; a `patient` lookup waits for limits
        of servers however long that takes, as `find_many` does.
        """
        seconds = _PATIENCE_OF_MANY if patient else self._seconds
        if explain:
            with journal.recording() as questions:
                found = await self._answer(target, seconds, at_hand=False)
            return replace(found, questions=journal.in_order(questions))
        return await self._answer(target, seconds)

    async def find_many(
        self, targets: AsyncIterable[str] | Iterable[str], at_once: int = 1000
    ) -> AsyncIterator[Lookup]:
        """Look up many targets, up to `at_once` at a time; yields each answer as soon as it is there.

        So not in the order of the targets: `Lookup.target` is the text that was handed in. A server's limits
        are waited for, however long that takes, and each single question is bounded as ever. Raises
        `UnusableTarget` when it comes to a text that is none: leave those out beforehand (`Target.parse`).
        """
        patiently = partial(self.find_contacts, patient=True)
        async for found in each_done(targets, patiently, at_once, self._at_hand):
            yield found

    async def aclose(self) -> None:
        """End what is being asked in the background."""
        for task in (tasks := list(self._renewing.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _at_hand(self, text: str) -> Lookup | None:
        """Return a finished answer that this process has, where nothing else is to be looked at."""
        return self._kept_at_hand(text) if self._history is None else None

    def _kept_at_hand(self, text: str) -> Lookup | None:
        if self.known.changed():
            self._kept.clear_hand()
        return self._kept.at_hand(text)

    async def _answer(self, text: str, seconds: float, *, at_hand: bool = True) -> Lookup:
        found = self._kept_at_hand(text) if at_hand else None
        if found is None:
            found = await self._look_up(text, seconds)
        return await remembered(found, self._history, self._clock()) if self._history else found

    async def _look_up(self, text: str, seconds: float) -> Lookup:
        target = Target.parse(text)
        if why := target.refusal():
            return Lookup(text, target.kind, rejected=(Rejected(target.key, why),))
        entry = await self._find(target, seconds, at_once=True)
        alike = self.known.alike(target.ip, entry.about) if target.ip and entry.about else None
        self._kept.put_at_hand(target, entry, alike)
        return entry.found

    async def check_declared(self, declared: Declared) -> Lookup:
        """Check a mailbox that a sender declares as any other: is it refused, does its domain take mail."""
        case = Case()
        if mail_address(declared.address) is None:
            why = "only a mailer that speaks SMTPUTF8 could reach it"
            case.rejected.append(Rejected(declared.address, why))
        else:
            finding = Finding("medium", declared.why, declared.address, scope="sender")
            said_so = Answer(Status.FOUND, Sighting((finding,)), declared.signer)
            await self._judge.take(case, "header", [said_so])
        found = _lookup(Target(declared.signer, "domain", host=declared.signer), case, self._clock())
        return await remembered(found, self._history, self._clock()) if self._history else found

    async def _find(self, target: Target, seconds: float, *, at_once: bool = False) -> Entry:
        """Answer with what servers said, and what is known put on top of it."""
        keys, proxy = self._keys(target), None
        until = asyncio.get_running_loop().time() + seconds
        if target.host is not None:
            entry = await self._answered(target, seconds, self._ask_domain, keys, longest=KEPT_HOST)
        elif (right := self.known.override(target)) is not None:
            return await self._overridden(target, right)
        else:
            entry = await self._answered(target, seconds, self._ask_number, keys, at_once=at_once)
            proxy = self.known.proxy(target)
        return replace(entry, found=await self._judge.with_known(entry.found, proxy, until=until))

    async def _overridden(self, target: Target, right: Answer[Sighting]) -> Entry:
        """Answer from a row that is right whatever registries say, without a question to them."""
        case = Case()
        await self._judge.take(case, "known", [right])
        found = _lookup(target, case, self._clock())
        until = self._clock() + (KEPT_ERROR if case.failures else KEPT_ABSENT)
        return Entry(found, until, until)

    async def _answered(
        self,
        target: Target,
        seconds: float,
        ask: Ask,
        keys: list[str],
        *,
        longest: timedelta = KEPT_FOUND,
        at_once: bool = False,
    ) -> Entry:
        """Answer from what is kept, or ask; equal questions and those of neighbours go one at a time.

        An answer is fresh for `longest`. With `at_once` a stale one will do, and is renewed behind it.
        """
        kept = await self._usable(target, keys)
        if kept is not None and self._kept.is_fresh(kept):
            return kept
        if kept is not None and at_once and self._kept.is_given_at_once(kept):
            self._renew(target, ask, keys, kept.found.network)
            journal.kept(target.key, kept.fresh_until)
            return replace(kept, found=replace(kept.found, stale=True))
        case, asked = Case(), False
        try:
            async with asyncio.timeout(seconds), self._one.asking(_flight(target, keys)) as waited:
                kept = await self._usable(target, keys) if waited else kept
                if kept is not None and self._kept.is_fresh(kept):
                    return kept
                asked = True
                await ask(case, target, seconds)
        except TimeoutError:
            reason = f"the {seconds:g} s for this target were over before every source had answered"
            case.failures.append(Failure("lookup", target.key, reason, permanent=False))
        except Exception as error:  # noqa: BLE001 - see the next line
            # A mistake of ours about one answer must not end the answers about all the others. Only its kind
            # and place are logged: its words can hold what was asked about
            place = traceback.extract_tb(error.__traceback__)[-1]
            told = (target.kind, type(error).__name__, Path(place.filename).name, place.lineno)
            _log.error("looking up one %s failed: %s at %s:%s", *told)
            reason = "this program failed on an answer; its log says where"
            case.failures.append(Failure("lookup", target.key, reason, permanent=False))
        found = _lookup(target, case, self._clock())
        if kept is not None and not case.settled and any(not failure.permanent for failure in found.failures):
            # What was known before stands in
            return await self._kept.put_again(target, keys, kept, found.failures)
        if not asked:
            return Entry(found, self._clock(), self._clock())
        return await self._kept.put(target, keys, found, case.span, settled=case.settled, longest=longest)

    async def _usable(self, target: Target, keys: list[str]) -> Entry | None:
        """Find what is kept, unless it names nothing but mailboxes that are never to be used now."""
        kept = await self._kept.get(target, keys)
        return kept if kept is None or not self.known.forbid_all_of(kept.found) else None

    def _renew(self, target: Target, ask: Ask, keys: list[str], network: str | None) -> None:
        """Ask anew in the background, once for all addresses of a network."""
        name = network or keys[0]
        if name in self._renewing:
            return

        def ended(task: asyncio.Task[Entry]) -> None:
            del self._renewing[name]
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("answer for %s not renewed", target.key, exc_info=error)

        # In a context of its own, lest it notes its questions in the journal of the lookup that started it
        task = asyncio.create_task(self._answered(target, self._seconds, ask, keys), context=Context())
        self._renewing[name] = task
        task.add_done_callback(ended)

    def _keys(self, target: Target) -> list[str]:
        """Name where the answer is kept; one about a name holds as long as the known desks are the same."""
        if target.ip is not None:
            return covering_keys(target.ip)
        rows = self.known.digest if target.host is not None else ""
        return [f"{'mail' if target.kind == 'address' else 'host'}:{target.key}{rows}"]

    async def _ask_number(self, case: Case, target: Target, seconds: float) -> None:
        await self._judge.take(case, "rdap", await self._rdap.look_up(target, seconds * _RDAP_SHARE))
        await self._ask_whois(case, target, seconds * _WHOIS_SHARE)
        await self._last_resort.ask_of_number(case, target)

    async def _ask_whois(self, case: Case, target: Target, seconds: float) -> None:
        """Start at the root, but first at a server that is known to know more than a rejected mailbox."""
        asked: list[str | None] = []
        questions: set[tuple[str, str]] = set()
        while not case.settled and len(asked) < 2:
            start = next((server for server in case.better_servers if server not in asked), None)
            if start in asked:
                return
            asked.append(start)
            answers = await self._whois.look_up(target, seconds, first=start, asked=questions)
            await self._judge.take(case, "whois", answers)

    async def _ask_domain(self, case: Case, target: Target, seconds: float) -> None:
        host = target.host or ""
        if (right := self.known.domain(host)) is not None:
            await self._judge.take(case, "known", [said(right, "domain")])
        if (platform := self.known.platform(host)) is not None:
            # Who registered its name, and its abuse@, are the platform's: its desk is the one for its users
            scopes: tuple[Scope, ...] = ("domain",) if platform.kind == "name" else ("host", "domain")
            await self._judge.take(case, "known", [said(platform, scope) for scope in scopes])
            await self._ask_hosts(case, target, seconds)
            return
        await asyncio.gather(
            self._ask_hosts(case, target, seconds),
            self._ask_registrar(case, target, seconds),
            self._last_resort.ask_of_owner(case, target),
        )
        await self._last_resort.ask_of_zone(case, target)
        if case.hidden_by:
            case.contacts = [_next_who_can_act(contact, case.hidden_by) for contact in case.contacts]

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
        return (await self._find(target, seconds)).found

    async def _ask_registrar(self, case: Case, target: Target, seconds: float) -> None:
        """Ask who registered the domain. Low: a registrar acts on abuse of the DNS, not on every spam."""
        if (domain := target.organisation) is None:
            return
        keys = [f"registrar:{domain}"]
        registered = Target(domain, "domain", host=domain)
        until = asyncio.get_running_loop().time() + seconds
        entry = await self._answered(registered, seconds * 0.9, self._ask_registration, keys)
        found = await self._judge.with_known(entry.found, until=until)
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


def _lookup(target: Target, case: Case, now: datetime) -> Lookup:
    return Lookup(
        target.text,
        target.kind,
        span_text(case.span) if case.span else None,
        ranked(case.contacts),
        unique(case.rejected),
        tuple(dict.fromkeys(case.failures)),
        now,
    )


def _next_who_can_act(contact: Contact, proxy: str) -> Contact:
    """Raise the registrar of a name whose host is hidden: besides the proxy, nobody else is known."""
    if contact.scope != "registrar" or contact.confidence != "low":
        return contact
    why = f"{contact.why} {proxy} hides the host of this name, so whoever registered it is told, too."
    return replace(contact, confidence="medium", why=why)


def _flight(target: Target, keys: list[str]) -> str:
    """Name what is asked about one at a time: the /24 or /48 around an address."""
    if (ip := target.ip) is None:
        return keys[0]
    return f"{ip.version}/{int(ip) >> (ip.max_prefixlen - NEIGHBOURHOOD[ip.version])}"
