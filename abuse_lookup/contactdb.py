"""Takes a target; leaves what contact zones in the DNS say about it.

A zone publishes TXT records with mail addresses, under the reversed address (RFC 5782 §2.1 has the form) or
under the domain.
"""

import asyncio
import re

from abuse_lookup.answer import Answer, Finding, Sighting, Status
from abuse_lookup.knowledge import rows
from abuse_lookup.mailbox import mail_address
from abuse_lookup.resolver import Resolver
from abuse_lookup.target import IPAddress, Target

_SEPARATORS = re.compile(r"[,;\s]+")


class ContactZones:
    """The contact zones that the operator uses."""

    def __init__(self, resolver: Resolver, zones: tuple[str, ...]) -> None:
        self._resolver = resolver
        self._zones = tuple(zone.strip().strip(".").lower() for zone in zones if zone.strip())

    async def look_up(self, target: Target) -> list[Answer[Sighting]]:
        """Ask every zone that answers for this kind of target; returns one answer per zone asked."""
        names = [(zone, name) for zone in self._zones if (name := _name(zone, target))]
        return list(await asyncio.gather(*(self._ask(zone, name) for zone, name in names)))

    async def _ask(self, zone: str, name: str) -> Answer[Sighting]:
        answer = await self._resolver.txt(name)
        if not answer.found:
            return Answer(answer.status, Sighting(), zone, answer.reason, answer.expires)
        words = (word for text in answer.value for word in _SEPARATORS.split(text))
        found = list(dict.fromkeys(address for word in words if (address := mail_address(word))))
        if not found:
            return Answer(Status.ABSENT, Sighting(), zone, f"{zone} holds no mailbox for it", answer.expires)
        why = f"the contact zone {zone} lists it"
        findings = tuple(Finding("medium", why, address) for address in found)
        return Answer(Status.FOUND, Sighting(findings), zone, "", answer.expires)


def _name(zone: str, target: Target) -> str | None:
    """Make the name to ask for, None where the zone does not answer for this kind of target."""
    by = next((str(row["by"]) for row in rows("zones", "zone") if row["zone"] == zone), "address")
    if by == "domain":
        return f"{target.organisation or target.host}.{zone}" if target.host else None
    ip = target.ip if target.ip is not None else target.network and target.network.network_address
    return f"{_reversed(ip)}.{zone}" if ip else None


def _reversed(ip: IPAddress) -> str:
    return ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
