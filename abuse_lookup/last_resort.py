"""Takes a case whose registries named nobody good; leaves what the DNS says of who runs a host or a domain.

In this order, each only while nobody better is known: contact zones by address; contact zones by the domain
of the host's confirmed name; `abuse@` of that domain (RFC 2142 §4); whoever runs the zone of the reverse
name, or of the domain. The last is a hint: who keeps a zone need not keep the host.
"""

import re

from abuse_lookup.answer import Answer, Finding, Sighting, Status
from abuse_lookup.contactdb import ContactZones
from abuse_lookup.judge import Case, Judge, dns_failure
from abuse_lookup.knowledge import rows
from abuse_lookup.mailbox import mail_address
from abuse_lookup.resolver import Resolver
from abuse_lookup.target import IPAddress, Target, organisational_domain


class LastResort:
    """The sources that come after the registries."""

    def __init__(self, resolver: Resolver, zones: ContactZones, judge: Judge) -> None:
        self._resolver, self._zones, self._judge = resolver, zones, judge

    async def ask_of_number(self, case: Case, target: Target) -> None:
        """Propose who may answer for an address, network or AS number."""
        if not case.settled:
            await self._judge.take(case, "dns", await self._zones.look_up(target))
        if not case.settled and target.ip is not None:
            await self._ask_of_name(case, target.ip)

    async def ask_of_owner(self, case: Case, target: Target) -> None:
        """Propose what the domain's owner publishes: contact zones by domain, and RFC 2142's mailbox."""
        await self._judge.take(case, "dns", await self._zones.look_up(target))
        if (domain := target.organisation) is not None:
            why = f"RFC 2142 names it for complaints about {domain}, whose owner may be the spammer"
            await self._judge.take_guess(case, f"abuse@{domain}", why, domain)

    async def ask_of_zone(self, case: Case, target: Target) -> None:
        """Propose who runs the domain's zone, when there is nobody else."""
        if not case.contacts and (domain := target.organisation) is not None:
            await self._hint(case, domain, domain)

    async def _ask_of_name(self, case: Case, ip: IPAddress) -> None:
        names = await self._resolver.confirmed_ptr(str(ip))
        if names.failed:
            case.failures.append(dns_failure(names))
        name, domain = next(
            ((name, domain) for name in names.value if (domain := organisational_domain(name))), ("", None)
        )
        if domain is not None:
            named = Target(domain, "domain", host=domain)
            await self._judge.take(case, "dns", await self._zones.look_up(named))
            if not case.contacts:
                why = f"no contact is registered; {ip} is called {name}, which points back to it"
                await self._judge.take_guess(case, f"abuse@{domain}", why, names.server)
        if not case.contacts:
            await self._hint(case, ip.reverse_pointer, str(ip))
        if not case.contacts and domain is not None:
            await self._hint(case, domain, str(ip))

    async def _hint(self, case: Case, name: str, what: str) -> None:
        """Propose who runs the zone of a name; the registries and DNS hosters run zones for others."""
        answer = await self._resolver.zone(name)
        if answer.failed:
            case.failures.append(dns_failure(answer))
        for zone in answer.value:
            address = mail_address(zone.mailbox or "")
            if address is None or _runs_zones_of_others(address) or not _is_own(zone.name, name):
                continue
            why = f"nobody better is known; it runs the DNS zone {zone.name} of {what}, not the host itself"
            finding = Finding("low", why, address, scope="domain")
            await self._judge.take(case, "soa", [Answer(Status.FOUND, Sighting((finding,)), answer.server)])


def _is_own(zone: str, name: str) -> bool:
    """Whether the zone belongs to whoever has the name, and is not the registry's above it."""
    return zone.endswith(".arpa") or (organisational_domain(name) or name) == organisational_domain(zone)


def _runs_zones_of_others(address: str) -> bool:
    patterns = (str(row["pattern"]) for row in rows("rnames", "rname"))
    return any(re.fullmatch(pattern, address, re.IGNORECASE) for pattern in patterns)
