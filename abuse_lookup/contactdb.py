"""Takes a target; leaves what contact zones in the DNS say about it.

A zone publishes TXT records with mail addresses, under the reversed address (RFC 5782 §2.1 has the form) or
under the domain. What is known of a zone is a row of `data/zones.toml`.
"""

import asyncio
import ipaddress
import re
from dataclasses import replace

from abuse_lookup.answer import Answer, Finding, Scope, Sighting, Status
from abuse_lookup.knowledge import Row, rows
from abuse_lookup.mailbox import mail_address
from abuse_lookup.resolver import Resolver
from abuse_lookup.target import IPAddress, Target

_SEPARATORS = re.compile(r"[,;\s]+")
_MOST_RECORDS = 20
_LONGEST_SHOWN = 120


class ContactZones:
    """The contact zones that the operator uses."""

    def __init__(self, resolver: Resolver, zones: tuple[str, ...]) -> None:
        self._resolver = resolver
        self._zones = tuple(_row(zone.strip().strip(".").lower()) for zone in zones if zone.strip())

    async def look_up(self, target: Target) -> list[Answer[Sighting]]:
        """Ask every zone that answers for this kind of target; returns one answer per zone asked."""
        names = [(row, name) for row in self._zones if (name := _name(row, target))]
        return list(await asyncio.gather(*(self._ask(row, name) for row, name in names)))

    async def _ask(self, row: Row, name: str) -> Answer[Sighting]:
        zone = str(row["zone"])
        answer = await self._resolver.txt(name)
        if not answer.found:
            return Answer(answer.status, Sighting(), zone, answer.reason, answer.expires)
        found, sentence = _read(answer.value)
        if sentence:
            # A zone that refuses says so in prose, often with its own support's mailbox in it
            reason = f"{zone} answered with a sentence instead of contacts: {sentence[:_LONGEST_SHOWN]!r}"
            return Answer(Status.TEMPORARY, Sighting(), zone, reason)
        if not found:
            return Answer(Status.ABSENT, Sighting(), zone, f"{zone} holds no mailbox for it", answer.expires)
        if row.get("count") == "a" and (problem := await self._miscounted(name, len(answer.value))):
            return Answer(Status.TEMPORARY, Sighting(), zone, f"{zone}: {problem}")
        pattern = await self._pattern(row, name)
        findings = tuple(replace(pattern, address=address) for address in found)
        return Answer(Status.FOUND, Sighting(findings), zone, "", answer.expires)

    async def _pattern(self, row: Row, name: str) -> Finding:
        """What a mailbox of this answer is worth, and why: a zone's guess is never a registered contact."""
        zone = row["zone"]
        scope: Scope = "domain" if row["by"] == "domain" else "network"
        listed = Finding("medium", f"the contact zone {zone} lists it", scope=scope)
        if row.get("origin") != "hinfo":
            return listed
        origin = await self._resolver.hinfo(name)
        word = origin.value[0].strip().lower() if origin.value else ""
        if word == "lookup":
            return replace(listed, why=f"it is registered with the contact zone {zone}")
        said = "where nobody has registered one" if word == "default" else "and does not say on what grounds"
        return replace(listed, confidence="low", why=f"the contact zone {zone} names it {said}")

    async def _miscounted(self, name: str, records: int) -> str | None:
        """Why the records are not those the zone holds; None when they are, or nobody counts them."""
        count = await self._resolver.ipv4(name)
        if count.failed:
            return f"the number of its contacts is not known: {count.reason}"
        said = [int(ipaddress.IPv4Address(text)) for text in count.value]
        if said and records not in said:
            return f"it holds {said[0] if said[0] < 1 << 24 else count.value[0]} contacts, and {records} came"
        return None


def terms(zone: str) -> str:
    """What the keeper of a contact zone asks of its users, and what is known to be wrong in it; one line."""
    row = _row(zone)
    known = f"; known: it {row['failures']}" if "failures" in row else ""
    return f"{zone}, asked by {row['by']}: {row.get('terms', 'its terms are not known to us')}{known}"


def _row(zone: str) -> Row:
    known = next((row for row in rows("zones", "zone") if row["zone"] == zone), {"zone": zone})
    return {"by": "address", **known}


def _read(texts: tuple[str, ...]) -> tuple[list[str], str]:
    """Read the mailboxes out of TXT records, or the first record that is prose and not a list of them."""
    found: dict[str, None] = {}
    for text in texts[:_MOST_RECORDS]:
        words = [word for word in _SEPARATORS.split(text) if word]
        if any("@" not in word for word in words):
            return [], text
        # Test points name `root@localhost`: no name of the public DNS, so no mailbox
        found |= {address: None for word in words if (address := mail_address(word))}
    return list(found), ""


def _name(row: Row, target: Target) -> str | None:
    """Make the name to ask for, None where the zone does not answer for this kind of target."""
    if row["by"] == "domain":
        return f"{target.organisation or target.host}.{row['zone']}" if target.host else None
    ip = target.ip if target.ip is not None else target.network and target.network.network_address
    return f"{_reversed(ip)}.{row['zone']}" if ip else None


def _reversed(ip: IPAddress) -> str:
    return ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
