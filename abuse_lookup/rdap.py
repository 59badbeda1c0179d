"""Takes a target; leaves what RDAP servers say about it (RFC 9082, RFC 9083), each in an answer of its own.

From the registry that IANA names the walk goes on to whoever knows better: the registrar of a domain, the
description of a contact that was only named, the registry that another one points to, the network around one
that names nobody.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote, unquote, urlsplit

from abuse_lookup import journal
from abuse_lookup.answer import Answer, Finding, Scope, Sighting, Span, Status
from abuse_lookup.bootstrap import Bootstrap
from abuse_lookup.fetch import Fetcher
from abuse_lookup.overrides import refusal
from abuse_lookup.pace import Pace
from abuse_lookup.rdap_answer import (
    Elsewhere,
    domain_name,
    linked_contacts,
    numbers,
    parent_links,
    parent_span,
    read_domain,
    read_entity,
    read_number,
    related_links,
    withheld,
)
from abuse_lookup.rdap_page import Asker, Ended, Reply, Walk, failed
from abuse_lookup.span import is_beyond_registries, parse_span, span_text
from abuse_lookup.target import Target, organisational_domain

_MOST_LINKED = 2
"""Contacts that an answer only names, and networks around one, that are asked for."""
_POOL = {4: 9, 6: 24}  # bits: IANA hands out /8, and /12 to /23 in IPv6, and what is wider is nobody's
_OTHER_KINDS = {"ip network", "autnum", "domain", "entity", "nameserver"}  # RFC 9083 §5
_REGISTRAR_SHARE = 0.5  # of the time left, where the registry has named the registrar's desk already


class Rdap:
    """An RDAP client."""

    def __init__(
        self, bootstrap: Bootstrap, fetcher: Fetcher, pace: Pace, clock: Callable[[], datetime]
    ) -> None:
        self._bootstrap = bootstrap
        self._asker = Asker(bootstrap, fetcher, pace, clock)

    async def look_up(self, target: Target, seconds: float) -> list[Answer[Sighting]]:
        """Ask the server that IANA names, and go on; returns the servers' answers, who knows best comes last.

        Takes at most `seconds`. Never raises on a server's behaviour.
        """
        walk = Walk(asyncio.get_running_loop().time() + seconds)
        try:
            async with asyncio.timeout(seconds):
                bases = await self._bootstrap.bases(target)
        except TimeoutError:
            return [failed(self._bootstrap.where, "the bootstrap file could not be had in time")]
        if not bases.found:
            return [Answer(bases.status, Sighting(), bases.server, bases.reason)]
        answers: list[Answer[Sighting]] = []
        for number, base in enumerate(bases.value):
            share = walk.within(1 / (len(bases.value) - number))
            ask = self._number if target.host is None else self._domain
            found = await ask(base + _path(target), target, share)
            answers += found
            if not found[0].failed:
                break
        return answers

    async def _domain(self, url: str, target: Target, walk: Walk) -> list[Answer[Sighting]]:
        """Ask the registry of a name, and the registrar that it links to."""
        try:
            reply = await self._asker.get(url, walk)
        except Ended as end:
            return [end.answer]
        sighting = _about(read_domain(reply.document), reply, target)
        sighting, answers = await self._with_linked(sighting, reply, target, walk)
        answers.insert(0, _answer(sighting, reply))
        share = walk.within(_REGISTRAR_SHARE if sighting.findings else 1)
        for link in self._not_asked(related_links(reply.document), walk)[:1]:
            try:
                there = await self._asker.get(link, share)
            except Ended as end:
                answers.append(end.answer)
            else:
                answers.append(_answer(_about(read_domain(there.document), there, target), there))
        return answers

    async def _number(
        self, url: str, target: Target, walk: Walk, *, on: bool = True
    ) -> list[Answer[Sighting]]:
        """Ask a registry of numbers, and go `on` where it names nobody who may be written to."""
        try:
            reply = await self._asker.get(url, walk)
        except Ended as end:
            return [end.answer]
        sighting = read_number(reply.document)
        if other := _other(sighting, reply, target):
            return [
                failed(reply.host, f"{reply.host} answered about {other}, not {target.key}", permanent=True)
            ]
        sighting, answers = await self._with_linked(sighting, reply, target, walk)
        sighting = replace(sighting, whois=tuple(_strangers(sighting, reply)))
        answers.insert(0, _answer(sighting, reply))
        if on and not _usable(sighting) and not reply.limit:
            for base in await self._registries(sighting, reply, target):
                answers += await self._number(base + _path(target), target, walk, on=False)
            for link in self._not_asked(related_links(reply.document), walk)[:1]:
                answers += await self._number(link, target, walk, on=False)
            if sighting.span and not sighting.whois and not any(_usable(answer.value) for answer in answers):
                answers += await self._parents(reply, sighting.span, walk)
        return answers

    async def _registries(self, sighting: Sighting, reply: Reply, target: Target) -> list[str]:
        """List the RDAP bases of other registries that the answer, or a refused mailbox, points to."""
        found = [await self._bootstrap.base_of_registry(host, target) for host in _pointed(sighting)]
        return [
            base
            for base in dict.fromkeys(found)
            if base and not _same(urlsplit(base).hostname or "", reply.host)
        ][:2]

    async def _with_linked(
        self, sighting: Sighting, reply: Reply, target: Target, walk: Walk
    ) -> tuple[Sighting, list[Answer[Sighting]]]:
        """Fetch the contacts that the answer only names; returns the failures of those that cannot be had."""
        scope: Scope = "network" if target.host is None else "registrar"
        contacts = linked_contacts(reply.document, domain=scope == "registrar")
        desks = [named for named in contacts if named.is_desk][:_MOST_LINKED]
        problems: list[Answer[Sighting]] = []
        for named in desks or ([] if sighting.findings else contacts[:1]):
            for url in self._not_asked(await self._places(named, reply), walk)[:1]:
                try:
                    there = await self._asker.get(url, walk)
                except Ended as end:
                    problems += [end.answer] if end.answer.failed else []
                    continue
                if other := _other_entity(named, there):
                    why = f"{there.host} answered about {other}, not {named.handle}"
                    problems.append(failed(there.host, why, permanent=True))
                    continue
                found = read_entity(there.document, sighting.holder, scope, is_desk=named.is_desk)
                sighting = sighting.with_better(found)
        return sighting, problems

    async def _places(self, named: Elsewhere, reply: Reply) -> list[str]:
        """List where a contact is described: its links, the registry of its tag, the server that named it."""
        bases = await self._bootstrap.bases_of_entity(named.handle)
        return [
            *named.links,
            *(base + _entity_path(named.handle) for base in bases),
            *(_base(reply) + _entity_path(named.handle) for _ in [0] if named.handle and not bases),
        ]

    async def _parents(self, reply: Reply, span: Span, walk: Walk) -> list[Answer[Sighting]]:
        """Ask about the networks around one that names nobody; what they name counts little."""
        answers: list[Answer[Sighting]] = []
        for _ in range(_MOST_LINKED):
            around = [*parent_links(reply.document), *_parent_urls(reply)]
            link = next((link for link in self._not_asked(around, walk) if not _is_pool(link)), None)
            if link is None:
                break
            try:
                reply = await self._asker.get(link, walk)
            except Ended as end:
                answers.append(end.answer)
                break
            wide = read_number(reply.document, "the wider network")
            if wide.span is None or not _holds(wide.span, span):
                break
            findings = tuple(_lowered(finding, wide.span) for finding in wide.findings)
            answers.append(_answer(Sighting(findings, None, wide.holder), reply))
            if _usable(answers[-1].value):
                break
        return answers

    def _not_asked(self, links: list[str], walk: Walk) -> list[str]:
        """Leave out what was asked; whom a link names over plain http, we ask over TLS.

        Unless the operator's own bootstrap files name that server over plain http.
        """
        plain = self._bootstrap.may_be_plain
        upgraded = [
            f"https{link[4:]}" if link.startswith("http://") and not plain(link) else link for link in links
        ]
        return [link for link in dict.fromkeys(upgraded) if link not in walk.asked]


def _path(target: Target) -> str:
    """Name the object (RFC 9082 §3.1)."""
    if target.asn is not None:
        return f"autnum/{target.asn}"
    if target.host is not None:
        return f"domain/{quote(target.organisation or target.host)}"
    return f"ip/{target.ip or target.network}"


def _entity_path(handle: str) -> str:
    return f"entity/{quote(handle, safe='')}"


def _base(reply: Reply) -> str:
    """Cut the object off a URL, to ask the same server about another one."""
    text = str(reply.url)
    cut = max(text.rfind(f"/{kind}/") for kind in ("ip", "autnum", "domain"))
    return text[: cut + 1] if cut > 0 else f"{reply.url.scheme}://{reply.url.netloc.decode()}/"


def _parent_urls(reply: Reply) -> Iterator[str]:
    if span := parent_span(reply.document):
        yield f"{_base(reply)}ip/{span_text(span)}"


def _is_pool(link: str) -> bool:
    """Whether a link is about no single network, or about space that registries deal out."""
    if "/ip/" not in link:
        return False  # the answer will tell
    span = parse_span(unquote(link.rpartition("/ip/")[2]))
    return span is None or " - " in span_text(span) or _bits(span) < _POOL[span.first.version]


def _holds(wide: Span, narrow: Span) -> bool:
    """Whether one network lies in another one that somebody runs."""
    inside = narrow.first in wide and narrow.last in wide and narrow != wide
    return inside and _bits(wide) >= _POOL[wide.first.version]


def _bits(span: Span) -> int:
    """Length of the prefix that holds as many addresses."""
    return span.first.max_prefixlen - (span.size - 1).bit_length()


def _same(host: str, other: str) -> bool:
    """Whether two servers are of one organisation."""
    return (organisational_domain(host) or host) == (organisational_domain(other) or other)


def _strangers(sighting: Sighting, reply: Reply) -> Iterator[str]:
    return (host for host in sighting.whois if not _same(host, reply.host))


def _pointed(sighting: Sighting) -> Iterator[str]:
    yield from sighting.whois
    for finding in sighting.findings:
        known = refusal(finding.address, finding.holder) if finding.address else None
        if known is not None and known.whois:
            yield known.whois


def _usable(sighting: Sighting) -> bool:
    """Whether it names somebody who may be written to."""
    return any(
        finding.address is None or refusal(finding.address, finding.holder) is None
        for finding in sighting.findings
    )


def _lowered(finding: Finding, span: Span) -> Finding:
    why = f"{finding.why}, {span_text(span)}; nobody is named for the smaller network itself"
    return replace(finding, confidence="low", why=why)


def _other(sighting: Sighting, reply: Reply, target: Target) -> str:
    """Say what else than the target the answer is about; empty when it is about the target."""
    ends = (target.network[0], target.network[-1]) if target.network is not None else (target.ip,)
    if sighting.span is not None and any(ip is not None and ip not in sighting.span for ip in ends):
        return span_text(sighting.span)
    if sighting.span is not None and is_beyond_registries(sighting.span):
        return f"{span_text(sighting.span)}, which is nobody's network"
    kind = str(reply.document.get("objectClassName"))
    if kind in _OTHER_KINDS - {"autnum" if target.asn is not None else "ip network"}:
        return f"an object of the kind {kind}"
    about = numbers(reply.document)
    if target.asn is not None and about is not None and target.asn not in about:
        return f"AS{about.start}"
    return ""


def _other_entity(named: Elsewhere, there: Reply) -> str:
    """Say which other contact than the desk that was named the answer is about; empty when it is about it."""
    handle = there.document.get("handle")
    same = not isinstance(handle, str) or handle.strip().lower() == named.handle.lower()
    return "" if same or not named.is_desk or not named.handle else str(handle)


def _about(sighting: Sighting, reply: Reply, target: Target) -> Sighting:
    """Trust an answer that calls the domain by another name but little: an alias, or a mistake."""
    name = domain_name(reply.document)
    servers = tuple(_strangers(sighting, reply))
    if name is None or name in {target.host, target.organisation}:
        return replace(sighting, whois=servers)
    why = f", in an answer about {name}"
    findings = tuple(replace(f, confidence="low", why=f.why + why) for f in sighting.findings)
    return replace(sighting, findings=findings, whois=servers)


def _answer(sighting: Sighting, reply: Reply) -> Answer[Sighting]:
    """Tell an answer with a mailbox from one without, and from one that was cut because we ask too much."""
    answer = _judged(sighting, reply)
    journal.read_in(str(reply.url), answer.status, answer.reason, sighting.told())
    return answer


def _judged(sighting: Sighting, reply: Reply) -> Answer[Sighting]:
    if sighting.findings:
        return Answer(Status.FOUND, sighting, reply.host)
    if reply.limit:
        return replace(failed(reply.host, f"{reply.host} left data out: {reply.limit}"), value=sighting)
    hidden = " and says that it withheld some" if withheld(reply.document) else ""
    reason = f"{reply.host} names no mailbox for complaints{hidden}"
    return Answer(Status.ABSENT, sighting, reply.host, reason)
