"""WHOIS (RFC 3912): a root that refers, registries in their own dialects, a registry of names, registrars.

Takes a host name (which server is asked) and a query line; leaves the answer's bytes. The dialects are
templates in worlds/base.toml.
"""

import asyncio
import re
import socket
import string
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_network

from .places import Places, servers_of
from .questions import Ask
from .tables import Autnum, Domain, Holding, Network, Registrar, Registry
from .world import World

Fields = Mapping[str, str | Sequence[str]]
LONGEST_QUERY = 1024
HUGE = 8 * 2**20
GARBAGE = bytes(range(256)) * 16
FILLER = b"% " + b"x" * 76 + b"\r\n"
DRIP_SECONDS = 0.05
PRIVATE, NOWHERE = "whois.private.misbehaving.example", "whois.nowhere.misbehaving.example"
"""Names that every world has: at a link-local address, and one that does not exist."""


class Whois:
    """The WHOIS servers of a world: `answer` is what they say, `serve` how they say it on a connection."""

    def __init__(self, world: World, places: Places, ask: Ask) -> None:
        self._world = world
        self._joint = places.joint
        self._ask = ask
        self._servers = {server.whois: server for server in servers_of(world)}
        self._referrals = 0

    def answer(self, host: str, query: str) -> tuple[bytes, str]:
        """Return what the server at `host` answers, and how it misbehaves on the way ("" = not at all)."""
        self._ask("whois", host, query)
        words = query.split()
        wanted = words[-1] if words else ""
        if host == self._world.constants.whois_root:
            holder = self._holder(wanted)
            if not self._joint or holder is None:
                return _wire(self._root(wanted, holder), "", "ascii"), ""
            host = holder
        server = self._servers[host]
        if isinstance(server, Registrar):
            text, way = self._sold(server, wanted)
            return _wire(text, way, "utf-8"), way
        text, way = self._named(wanted) if server.domain else self._numbered(server, wanted)
        return _wire(server.rate_limit if way == "rate-limit" else text, way, server.charset), way

    def _find(self, wanted: str) -> Network | Autnum | Domain | None:
        if number := re.fullmatch(r"(?i)(?:AS)?(\d{1,10})", wanted):
            return self._world.autnums.get(int(number[1]))
        try:
            return self._world.network_of(ip_network(wanted, strict=False))
        except ValueError:
            return self._world.domain_of(wanted)

    def _holder(self, wanted: str) -> str | None:
        """Return the host name of the server that IANA names; on a joint server of the one that holds it."""
        found = self._find(wanted)
        if isinstance(found, Holding):
            key = found.registry if self._joint else found.via or found.registry
            return self._world.registries[key].whois
        if wanted.lower().rpartition(".")[2] in self._world.constants.top_level_domains:
            return self._world.names.whois
        return None

    def _root(self, wanted: str, holder: str | None) -> str:
        if holder is None:
            return self._world.root["none"]
        found = self._find(wanted)
        fields = (
            _holding_fields(found)
            if isinstance(found, Holding)
            else {"tld": wanted.rpartition(".")[2].upper()}
        )
        return _filled(self._world.root["found"], {"refer": holder, **fields})

    def _numbered(self, registry: Registry, wanted: str) -> tuple[str, str]:
        """Answer as a registry of numbers: what it holds, where else to ask, or that there is nothing."""
        found = self._find(wanted)
        if not isinstance(found, Holding):
            return _filled(registry.none, {"query": wanted}), registry.whois_way
        way = found.whois or registry.whois_way
        fields = {**_holding_fields(found), "query": wanted}
        if refer := self._astray(way, registry.whois):
            return _filled(registry.elsewhere, {**fields, "refer": refer}), way
        if way == "other":
            fields |= {"range": "233.252.0.0 - 233.252.0.255", "cidr": "233.252.0.0/24"}
            fields |= {"inetnum": "inetnum:        233.252.0.0 - 233.252.0.255", "asn": "1"}
        if found.registry == registry.key:
            template = registry.network if isinstance(found, Network) else registry.autnum
            return found.whois_body or _filled(template, fields), way
        if found.via == registry.key:
            there = self._world.registries[found.registry].whois
            return _filled(registry.elsewhere, {**fields, "refer": there}), ""
        return _filled(registry.none, {"query": wanted}), registry.whois_way

    def _named(self, wanted: str) -> tuple[str, str]:
        """Answer as the registry of names, which may keep the registrar's abuse address to itself."""
        names = self._world.names
        domain = self._world.domain_of(wanted)
        if domain is None:
            return _filled(names.none, {"query": wanted.upper()}), names.whois_way
        registrar = self._world.registrars[domain.registrar]
        if "whois" not in registrar.published:
            registrar = replace(registrar, abuse=())
        way = domain.whois or names.whois_way
        if refer := self._astray(way, names.whois):
            registrar = replace(registrar, whois=refer)
        return domain.whois_body or _filled(names.domain, _domain_fields(domain, registrar)), way

    def _sold(self, registrar: Registrar, wanted: str) -> tuple[str, str]:
        """Answer as a registrar, for the domains it sold."""
        names = self._world.names
        domain = self._world.domain_of(wanted)
        if domain is None or domain.registrar != registrar.key:
            return _filled(names.none, {"query": wanted.upper()}), registrar.whois_way
        if registrar.whois_way == "rate-limit":
            return names.rate_limit, "rate-limit"
        return _filled(names.domain, _domain_fields(domain, registrar)), registrar.whois_way

    def _astray(self, way: str, host: str) -> str:
        """Say where a server refers to that leads nowhere; empty for other ways."""
        self._referrals += 1
        return {
            "loop": host,
            "ring": self._world.constants.whois_root,
            "chain": f"whois.n{self._referrals}.{host}",
            "private": PRIVATE,
            "lame": NOWHERE,
        }.get(way, "")

    async def serve(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold one connection: a query line, the answer, end (RFC 3912 §2)."""
        line = await reader.readuntil(b"\n")
        if len(line) > LONGEST_QUERY:
            return
        answer, way = self.answer(host, line.decode("utf-8", "replace").strip())
        if way == "timeout":
            await asyncio.Event().wait()
        if way == "slow":
            await asyncio.sleep(self._world.constants.slow_seconds)
        if way in ("refuse", "cut"):
            if way == "cut":
                writer.write(answer[: len(answer) // 2])
                await writer.drain()
                # Without lingering, closing is a reset.
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        if way in ("drip", "endless"):
            await _keep_talking(writer, answer if way == "drip" else b"")
            return
        writer.write(GARBAGE if way == "garbage" else answer)
        await writer.drain()


async def _keep_talking(writer: asyncio.StreamWriter, answer: bytes) -> None:
    """Send the answer an octet at a time, or comments without end."""
    for octet in answer:
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(DRIP_SECONDS)
    while not answer:
        writer.write(FILLER)
        await writer.drain()


def _wire(text: str, way: str, charset: str) -> bytes:
    """Encode the text with the line ends of RFC 3912 §2, spoilt as the way says."""
    lines = text.strip("\n").replace("\n", "\r\n")
    if way == "empty":
        return b""
    if way == "huge":
        lines += "\r\n" + FILLER.decode() * (HUGE // len(FILLER))
    elif way != "no-newline":
        lines += "\r\n\r\n"
    return lines.encode(charset, "replace")


def _holding_fields(holding: Holding) -> dict[str, str | Sequence[str]]:
    abuse = holding.abuse if "whois" in holding.published else ()
    remarks = [f"Report abuse to {a}" for a in holding.abuse if "whois-remarks" in holding.published]
    fields: dict[str, str | Sequence[str]] = {
        "abuse": abuse,
        "remark": (*holding.remarks, *remarks),
        "name": holding.name,
        "org": holding.org,
        "org_handle": holding.org_handle,
        "country": holding.country,
        "domain": holding.domain,
        "registry": holding.registry.upper(),
        "asn": str(holding.asn or ""),
        "asn_or_na": f"AS{holding.asn}" if holding.asn else "N/A",
    }
    if isinstance(holding, Network):
        v4 = holding.cidr.version == 4
        fields |= {
            "range": holding.range,
            "range_without_abuse": "" if abuse else holding.range,
            "cidr": str(holding.cidr),
            "inetnum": f"inetnum:        {holding.range}" if v4 else f"inet6num:       {holding.cidr}",
            "handle": holding.handle,
        }
    return fields


def _domain_fields(domain: Domain, registrar: Registrar) -> Fields:
    return {
        "domain_upper": domain.name.upper(),
        "refer": registrar.whois,
        "registrar": registrar.name,
        "registrar_rdap": registrar.rdap,
        "iana_id": str(registrar.iana_id),
        "abuse": registrar.abuse,
        "nameserver": "NS.LOOPBACK.EXAMPLE",
    }


def _filled(template: str, fields: Fields) -> str:
    """Fill in the template's lines; a line with an empty field goes, one with several values is repeated."""
    lines: list[str] = []
    for line in template.splitlines():
        names = [name for _, name, _, _ in string.Formatter().parse(line) if name]
        values = {name: fields.get(name, "") for name in names}
        many = next((name for name, value in values.items() if not isinstance(value, str)), None)
        repeated = [{**values, many: each} for each in values[many]] if many else [values]
        lines += [line.format_map(each) for each in repeated if all(each.values())]
    return "\n".join(lines)
