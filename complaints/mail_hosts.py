"""Asks the DNS for the reporter's own mail hosts: the MX hosts of their domains, with addresses and names.

Takes a reporter, leaves what to trust in a reading. The addresses of an MX host are the reporter's own, and
so are the names that point to them and back (RFC 8601 §3), each for itself and never the domain it lies in.
Of a provider's MX host only the name is taken: which of a provider's many hosts are inside, and which are
relays of its customers, stands in `data/providers.toml`.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from abuse_lookup import Resolver, Status
from complaints import learned
from complaints.dates import rfc3339
from complaints.models import Json, Reporter
from complaints.office import Office
from complaints.own_hosts import Host, is_whole_domain, why_not
from complaints.trust import provider_of

T = TypeVar("T")

MOST_DOMAINS, MOST_HOSTS, MOST_ADDRESSES = 10, 10, 20
"""Domains of one reporter, MX hosts of one domain, and addresses of one domain's hosts that are asked for."""
AT_ONCE = 8
SECONDS = 30.0
"""For one domain; what is not known by then counts as not known for now."""
NAME_SECONDS = 6.0
"""For the names of one domain's addresses: reverse zones are often broken, and nothing depends on them."""


async def trusted(office: Office, resolver: Resolver, reporter: Reporter) -> tuple[list[str], list[str]]:
    """Everything this reporter trusts, and the domains whose mail hosts are not known for now.

    For those the hosts of the last answer are trusted still: else the reporter's own could be accused.
    """
    found, failed = await lookup(resolver, [reporter.address, *reporter.aliases])
    found += [row for row in reporter.mail_hosts if row["of"] in failed]
    await asyncio.to_thread(_keep, office, reporter.id, found)
    return [*learned.trusted(reporter), *map(learned.value, found)], failed


async def lookup(resolver: Resolver, addresses: Sequence[str]) -> tuple[list[Json], list[str]]:
    """The mail hosts of these addresses' domains as rows of `Reporter.mail_hosts`, and the failed domains."""
    domains = list(dict.fromkeys(address.rpartition("@")[2].lower() for address in addresses))[:MOST_DOMAINS]
    gate = asyncio.Semaphore(AT_ONCE)
    answers = await asyncio.gather(*(_of_domain(resolver, gate, domain) for domain in domains))
    rows = [row for answer in answers for row in answer or []]
    return rows, [domain for domain, answer in zip(domains, answers, strict=True) if answer is None]


async def _of_domain(resolver: Resolver, gate: asyncio.Semaphore, domain: str) -> list[Json] | None:
    """The rows of one domain; None when they are not to be had for now."""
    try:
        async with asyncio.timeout(SECONDS):
            answer = await _through(gate, resolver.mx(domain))
            if answer.status is Status.TEMPORARY:
                return None
            hosts = list(dict.fromkeys(host for _, host in answer.value))[:MOST_HOSTS]
            rows = [{"host": host, "how": "mx", "of": domain} for host in hosts if _is_name(host, domain)]
            own = [host for host in hosts if provider_of(host) is None]
            there = await asyncio.gather(*(_through(gate, resolver.addresses(host)) for host in own))
    except TimeoutError:
        return None
    if own and all(found.status is Status.TEMPORARY for found in there):
        return None
    via: dict[str, str] = {}
    for host, found in zip(own, there, strict=True):
        for ip in found.value:
            if why_not(Host("address", ip)) is None:
                via.setdefault(ip, host)
    addresses = list(via)[:MOST_ADDRESSES]
    rows += [{"address": ip, "how": "mx", "of": domain, "via": via[ip]} for ip in addresses]
    known = {row["host"] for row in rows if "host" in row}
    for ip, name in await _names(resolver, gate, addresses):
        if name not in known and provider_of(name) is None and _is_name(name, domain):
            known.add(name)
            rows.append({"host": name, "how": "mx", "of": domain, "via": ip})
    return rows


def _is_name(host: str, domain: str) -> bool:
    """Tell whether a name that DNS gave can be trusted by name: it is one host, or the domain itself."""
    return why_not(Host("host", host)) is None and (host == domain or not is_whole_domain(host))


async def _names(
    resolver: Resolver, gate: asyncio.Semaphore, addresses: Sequence[str]
) -> list[tuple[str, str]]:
    """(address, confirmed name) of each address, as far as they came in time."""
    tasks = [asyncio.create_task(_through(gate, resolver.confirmed_ptr(ip))) for ip in addresses]
    if not tasks:
        return []
    done, late = await asyncio.wait(tasks, timeout=NAME_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return [
        (ip, name)
        for ip, task in zip(addresses, tasks, strict=True)
        if task in done
        for name in task.result().value
    ]


async def _through(gate: asyncio.Semaphore, question: Awaitable[T]) -> T:
    async with gate:
        return await question


def _keep(office: Office, reporter_id: str, found: list[Json]) -> None:
    """Remember what the DNS said, with the time since when it says so; written only when it changed."""
    with office.db.reading() as session:
        if _same(session.get_one(Reporter, reporter_id).mail_hosts, found):
            return
    with office.db.transaction() as session:
        reporter = session.get_one(Reporter, reporter_id, with_for_update=learned.LOCK)
        since = {_fact(row): row["since"] for row in reporter.mail_hosts}
        now = rfc3339(office.clock())
        reporter.mail_hosts = [row | {"since": since.get(_fact(row), now)} for row in found]
        session.add(reporter)


def _fact(row: Json) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, text) for name, text in row.items() if name != "since"))


def _same(kept: list[Json], found: list[Json]) -> bool:
    return sorted(map(_fact, kept)) == sorted(map(_fact, found))
