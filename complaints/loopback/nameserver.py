"""DNS over UDP and TCP: takes queries, leaves answers from the zones of a world, or misbehaves.

Authoritative for every name there is (RFC 1035), with EDNS (RFC 6891), truncation (RFC 2181 §9) and negative
answers that carry the zone's SOA (RFC 2308).
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rrset
import dns.zone

from .namespace import CATCH_ALL_MAIL_HOST, reversed_address
from .places import LOOPBACK
from .questions import Ask
from .world import World

log = logging.getLogger(__name__)
IN = dns.rdataclass.IN
SOA, NS, CNAME, TXT, A, MX = (
    getattr(dns.rdatatype.RdataType, name) for name in ("SOA", "NS", "CNAME", "TXT", "A", "MX")
)
LONGEST_CHAIN = 8
PLAIN_UDP = 512
EDNS_UDP = 1232
# Top-level names that no catch-all answers for (RFC 6761, RFC 6762, RFC 7686).
NEVER_NAMES = (b"arpa", b"internal", b"invalid", b"local", b"localhost", b"onion")
Found = tuple[bool, dns.rrset.RRset | None]
Answer = tuple[dns.rcode.Rcode, list[dns.rrset.RRset], list[dns.rrset.RRset]]


class Nameserver:
    """Answers DNS messages from the zones of a world; no sockets here."""

    def __init__(self, world: World, zones: Iterable[dns.zone.Zone], ask: Ask) -> None:
        self._world = world
        self._nodes = {name: node for zone in zones for name, node in zone.nodes.items()}
        self._ask = ask
        self._contact_zone = dns.name.from_text(world.constants.contact_zone)
        self._ways = {dns.name.from_text(name): way for name, way in world.dns.items()}
        # All owner names with their ancestors: an empty non-terminal exists too (RFC 4592 §2.2.2).
        self._names = {ancestor for name in self._nodes for ancestor in _with_ancestors(name)}

    def answer(self, wire: bytes, transport: str) -> tuple[bytes | None, float]:
        """Return the reply's wire form (None = keep silent) and the seconds to wait before it is sent."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException as error:
            log.info("a DNS query does not parse: %s", error)
            return None, 0
        if query.flags & dns.flags.QR or not query.question:
            return None, 0
        asked = query.question[0]
        name = asked.name.canonicalize()
        text = f"{dns.rdatatype.to_text(asked.rdtype)} {name.to_text(omit_final_dot=True)}"
        self._ask("dns", f"{LOOPBACK} {transport}", text)
        way = next((self._ways[each] for each in _with_ancestors(name) if each in self._ways), "")
        if way == "timeout" or (way == "tcp-timeout" and transport == "tcp"):
            return None, 0
        if way == "garbage":
            return wire[:2] + b"\xff" * 30, 0
        response = self._response(query, name, asked.rdtype, way)
        cut = way in ("truncated", "tcp-timeout") and transport == "udp"
        delay = self._world.constants.slow_seconds if way == "slow" else 0
        return _fitted(query, response, transport, always_cut=cut), delay

    def _response(
        self, query: dns.message.Message, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, way: str
    ) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True, our_payload=EDNS_UDP)
        if way in ("servfail", "refused"):
            response.set_rcode(dns.rcode.SERVFAIL if way == "servfail" else dns.rcode.REFUSED)
        elif way == "lame":
            # An upward referral: the server was delegated the name and points back to the root.
            response.authority.append(
                dns.rrset.from_text(dns.name.root, 300, IN, NS, f"lame.{name.to_text()}")
            )
        else:
            response.flags |= dns.flags.AA
            rcode, response.answer, response.authority = self._find(name, rdtype)
            response.set_rcode(rcode)
        return _misdirected(response, name, way)

    def _find(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Answer:
        """Follow aliases (RFC 1034 §4.3.2) and end in data, NODATA or NXDOMAIN."""
        found: list[dns.rrset.RRset] = []
        for _ in range(LONGEST_CHAIN):
            exists, rrset = self._records(name, rdtype)
            if rrset is not None:
                return dns.rcode.NOERROR, [*found, rrset], []
            _, alias = self._records(name, CNAME)
            if alias is None:
                rcode = dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN
                return rcode, found, [self._authority(name)]
            found.append(alias)
            name = cast("dns.rdtypes.ANY.CNAME.CNAME", alias[0]).target.canonicalize()
        return dns.rcode.SERVFAIL, [], []

    def _records(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Found:
        """Return whether the name exists, and its records of this type."""
        owner = name if name in self._names else self._wildcard(name)
        if owner is not None:
            return True, self._rrset(owner, rdtype, name)
        if name.is_subdomain(self._contact_zone):
            return self._contacts(name, rdtype)
        return self._catch_all(name, rdtype)

    def _rrset(
        self, owner: dns.name.Name, rdtype: dns.rdatatype.RdataType, name: dns.name.Name
    ) -> dns.rrset.RRset | None:
        node = self._nodes.get(owner)
        rdataset = node.get_rdataset(IN, rdtype) if node else None
        return dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset)) if rdataset else None

    def _wildcard(self, name: dns.name.Name) -> dns.name.Name | None:
        """Find the wildcard at the closest encloser (RFC 4592 §3.3.1), if it has one."""
        encloser = next(ancestor for ancestor in _with_ancestors(name) if ancestor in self._names)
        wildcard = dns.name.Name((b"*", *encloser.labels))
        return wildcard if wildcard in self._names else None

    def _contacts(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Found:
        """Answer for the contact zone: TXT of a reversed address gives its network's abuse addresses."""
        labels = [label.decode("ascii", "replace") for label in name.relativize(self._contact_zone).labels]
        address = reversed_address(labels)
        network = self._world.network_of(address) if address else None
        if network is None or "zone" not in network.published:
            return False, None
        ttl = self._world.constants.ttl
        addresses = '"' + ",".join(network.abuse) + '"'
        return True, dns.rrset.from_text(name, ttl, IN, TXT, addresses) if rdtype == TXT else None

    def _catch_all(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Found:
        """Answer for a name the world does not know, where the catch-all also stands for all names."""
        everyone = self._world.catch_all
        if everyone is None or not everyone.names or not self._is_foreign(name):
            return False, None
        text = {A: everyone.names, MX: f"10 {CATCH_ALL_MAIL_HOST}."}.get(rdtype)
        return True, dns.rrset.from_text(name, self._world.constants.ttl, IN, rdtype, text) if text else None

    def _is_foreign(self, name: dns.name.Name) -> bool:
        """Whether the name is unknown, and not merely absent from a domain of this world."""
        if len(name.labels) < 3 or name.labels[-2] in NEVER_NAMES or name.labels[0].startswith(b"_"):
            return False
        return len(self._authority(name).name.labels) < 3

    def _authority(self, name: dns.name.Name) -> dns.rrset.RRset:
        """Return the SOA of the zone the name lies in; the root's at the latest."""
        found = (self._rrset(ancestor, SOA, ancestor) for ancestor in _with_ancestors(name))
        return next(rrset for rrset in found if rrset is not None)


def _misdirected(response: dns.message.Message, name: dns.name.Name, way: str) -> dns.message.Message:
    """Make it the answer to another question, or one that leads round and round."""
    if way == "wrong-id":
        response.id ^= 1
    elif way == "wrong-question":
        response.question = [dns.rrset.RRset(dns.name.from_text("stranger.example"), IN, A)]
    elif way == "alias-loop":
        response.answer, response.authority = [dns.rrset.from_text(name, 300, IN, CNAME, name.to_text())], []
    return response


def _with_ancestors(name: dns.name.Name) -> list[dns.name.Name]:
    return [dns.name.Name(name.labels[start:]) for start in range(len(name.labels))]


def _fitted(
    query: dns.message.Message, response: dns.message.Message, transport: str, *, always_cut: bool
) -> bytes:
    """Write the wire form, emptied and with TC set (RFC 2181 §9) when it is too long for the asker."""
    limit = 65535
    if transport == "udp":
        limit = min(max(query.payload, PLAIN_UDP), EDNS_UDP) if query.edns >= 0 else PLAIN_UDP
    with suppress(dns.exception.TooBig):
        if not always_cut:
            return response.to_wire(max_size=limit)
    response.answer, response.authority = [], []
    response.flags |= dns.flags.TC
    return response.to_wire(max_size=limit)


class UDP(asyncio.DatagramProtocol):
    """The UDP side of a nameserver."""

    def __init__(self, server: Nameserver) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the replies."""
        # cast: asyncio's own datagram transports do not inherit from DatagramTransport before Python 3.12
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query, now or after the delay it deserves."""
        reply, delay = self._server.answer(data, "udp")
        if reply is not None:
            asyncio.get_running_loop().call_later(delay, self._send, reply, addr)

    def _send(self, reply: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(reply, addr)


async def serve_tcp(server: Nameserver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hold one TCP connection: any number of queries, each with its two length octets (RFC 7766 §8)."""
    with suppress(asyncio.IncompleteReadError):
        while True:
            length = int.from_bytes(await reader.readexactly(2), "big")
            reply, delay = server.answer(await reader.readexactly(length), "tcp")
            if reply is None:
                continue
            await asyncio.sleep(delay)
            writer.write(len(reply).to_bytes(2, "big") + reply)
            await writer.drain()
