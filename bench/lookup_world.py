"""Registries of numbers on loopback, for bench/lookup.py: many networks, a settable delay, a count of all.

Run by itself it serves: RDAP over TLS (registry n under /rn/ and as rdap-n.example), a WHOIS root that knows
nobody, and a DNS in which every name is at 127.0.0.1 and takes mail. It prints {"https", "whois", "dns"}
(ports) and then obeys lines on standard input: `delay SECONDS`, `stats` (since the
last time: when each server was asked, and how long it was busy with answers).
"""

import argparse
import asyncio
import ipaddress
import json
import random
import socket
import struct
import sys
import time
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from complaints.loopback.certificates import Authority
from complaints.operate import fastest_loop

REGISTRIES, LARGEST = 16, 15
"""The largest holds every fourth network, and more; of the others, 0, 4, 8 and 12 hold nothing."""
SHAPES = ("nested", "top", "remarks", "two-mails")
"""How a registry writes down the contact: the abuse entity inside another one, at the top, in remarks only,
or with a second mailbox that is not declared for abuse."""
_FIRST = int(ipaddress.IPv4Address("20.0.0.0"))
_LENGTHS = (17, 18, 19, 20, 20, 21, 21, 22, 22, 22, 23, 23, 23, 24, 24, 24, 24, 24, 25, 26)


@dataclass(frozen=True)
class Net:
    """One registration; `desk` is the mailbox a careful reader of its answer names. A provider has four."""

    cidr: ipaddress.IPv4Network
    registry: int
    desk: str
    shape: str


@cache
def networks(count: int) -> tuple[Net, ...]:
    """Make `count` networks, the same every time; none overlaps another, all registries have their share."""
    rng = random.Random(count)
    blocks = [_FIRST + (n << 24) for n in range(REGISTRIES)]
    made = []
    for n in range(count):
        length, registry = rng.choice(_LENGTHS), n % REGISTRIES if n % 4 else LARGEST
        size = 1 << (32 - length)
        start = (blocks[registry] + size - 1) // size * size
        blocks[registry] = start + size
        cidr = ipaddress.IPv4Network((start, length))
        made.append(Net(cidr, registry, f"abuse@provider-{n // 4}.example", SHAPES[n // 4 % len(SHAPES)]))
    return tuple(made)


def addresses(nets: tuple[Net, ...], count: int) -> list[tuple[str, str]]:
    """Draw `count` different addresses, some of every network, in random order, each with its desk."""
    rng = random.Random(count)
    drawn = [_drawn(rng, net) for net in nets]
    seen = {address for address, _ in drawn}
    while len(drawn) < count:
        address, desk = _drawn(rng, rng.choice(nets))
        if address not in seen:
            seen.add(address)
            drawn.append((address, desk))
    rng.shuffle(drawn)
    return drawn[:count]


def _drawn(rng: random.Random, net: Net) -> tuple[str, str]:
    return str(net.cidr[rng.randrange(net.cidr.num_addresses)]), net.desk


def registration(net: Net) -> dict[str, Any]:
    """Write the RDAP answer (RFC 9083 §5.4) about a network."""
    holder, abuse = _entities(net)
    document: dict[str, Any] = {
        "rdapConformance": ["rdap_level_0", "cidr0"],
        "objectClassName": "ip network",
        "handle": str(net.cidr),
        "startAddress": str(net.cidr[0]),
        "endAddress": str(net.cidr[-1]),
        "ipVersion": "v4",
        "name": f"NET-{net.desk}",
        "type": "ALLOCATED PA",
        "country": "NL",
        "parentHandle": "20.0.0.0 - 20.255.255.255",
        "status": ["active"],
        "links": [{"rel": "self", "href": "https://rdap.example/", "type": "application/rdap+json"}],
        "events": [{"eventAction": "last changed", "eventDate": "2026-01-01T00:00:00Z"}],
        "notices": [{"title": "Terms", "description": ["These are the terms of the registry. " * 20]}],
        "entities": [holder],
    }
    if net.shape == "nested":
        holder["entities"] = [abuse]
    elif net.shape == "remarks":
        text = f"Please report abuse to {net.desk}"
        document["remarks"] = [{"title": "remarks", "description": ["Network of a provider", text]}]
    else:
        document["entities"].append(abuse)
    return document


def _entities(net: Net) -> tuple[dict[str, Any], dict[str, Any]]:
    domain = net.desk.partition("@")[2]
    mails = [f"noc@{domain}", net.desk] if net.shape == "two-mails" else [net.desk]
    return _entity(f"ORG-{domain}", ["registrant"], []), _entity(f"AB-{domain}", ["abuse"], mails)


def _entity(handle: str, roles: list[str], mails: list[str]) -> dict[str, Any]:
    card: list[Any] = [["version", {}, "text", "4.0"], ["fn", {}, "text", f"The name of {handle}"]]
    for mail in mails:
        kind = {"type": "abuse"} if mail.startswith("abuse") and len(mails) > 1 else {}
        card.append(["email", kind, "text", mail])
    more = {"remarks": [{"description": ["Kept by the registry. " * 10]}]}
    return {
        "objectClassName": "entity",
        "handle": handle,
        "roles": roles,
        "vcardArray": ["vcard", card],
    } | more


class World:
    """What all servers share: the networks, the delay and the count."""

    def __init__(self, count: int) -> None:
        self.nets = sorted(networks(count), key=lambda net: net.cidr)
        self.starts = [int(net.cidr[0]) for net in self.nets]
        self.entities = {entity["handle"]: entity for net in self.nets for entity in _entities(net)}
        self.delay = 0.0
        self.asked: dict[str, list[float]] = {}
        self.busy: dict[str, float] = {}

    def registration(self, address: str) -> dict[str, Any] | None:
        """The answer about an address."""
        number = int(ipaddress.IPv4Address(address))
        at = bisect_right(self.starts, number) - 1
        found = self.nets[at] if at >= 0 and number <= int(self.nets[at].cidr[-1]) else None
        return registration(found) if found else None

    def entity(self, handle: str) -> dict[str, Any] | None:
        """The answer about an entity by itself, for those who ask for each."""
        return self.entities.get(handle)

    def note(self, server: str) -> None:
        """Count one question."""
        self.asked.setdefault(server, []).append(time.time())


class Http(asyncio.Protocol):
    """RDAP over persistent connections; each request is answered after the delay."""

    def __init__(self, world: World) -> None:
        self.world, self.received = world, b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            _, registry, kind, key = head.split(b" ", 2)[1].decode().split("/", 3)
            self.world.note(registry)
            found = self.world.entity(key) if kind == "entity" else self.world.registration(key)
            body = json.dumps(found or {"errorCode": 404}).encode()
            status = "200 OK" if found else "404 Not Found"
            length = f"Content-Length: {len(body)}\r\nContent-Type: application/rdap+json\r\n\r\n"
            answer = f"HTTP/1.1 {status}\r\n{length}".encode() + body
            loop = asyncio.get_running_loop()
            loop.call_later(self.world.delay, self.answer, answer, registry, loop.time())

    def answer(self, answer: bytes, registry: str, since: float) -> None:
        """Send it, if somebody is still there; the server was busy with it all the time."""
        seconds = asyncio.get_running_loop().time() - since
        self.world.busy[registry] = self.world.busy.get(registry, 0.0) + seconds
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(answer)


class Dns(asyncio.DatagramProtocol):
    """Every name has the address 127.0.0.1 and is its own mail host; there is nothing else."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: Any) -> None:
        end = data.index(b"\0", 12) + 5
        (kind,) = struct.unpack(">H", data[end - 4 : end - 2])
        records = {1: b"\x7f\0\0\1", 15: struct.pack(">HH", 10, 0xC00C)}
        answer = b""
        if record := records.get(kind):
            answer = struct.pack(">HHHIH", 0xC00C, kind, 1, 3600, len(record)) + record
        head = data[:2] + struct.pack(">HHHHH", 0x8580, 1, bool(answer), 0, 0)
        self.transport.sendto(head + data[12:end] + answer, address)


async def serve(count: int, folder: Path) -> None:
    """Serve until standard input ends."""
    world, loop = World(count), asyncio.get_running_loop()
    names = ["localhost", *(f"rdap-{n}.example" for n in range(REGISTRIES))]
    context = Authority(folder).issue("server", names).server_context()
    https = await loop.create_server(lambda: Http(world), "127.0.0.1", 0, ssl=context)

    async def whois(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        world.note("whois")
        await reader.readline()
        writer.write(b"% no match\r\n")
        writer.close()

    root = await asyncio.start_server(whois, "127.0.0.1", 0)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    await loop.create_datagram_endpoint(Dns, sock=udp)
    ports = [one.sockets[0].getsockname()[1] for one in (https, root)]
    print(json.dumps({"https": ports[0], "whois": ports[1], "dns": udp.getsockname()[1]}), flush=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)).split():
        if line[0] == "delay":
            world.delay = float(line[1])
        else:
            print(json.dumps([world.asked, world.busy]), flush=True)
            world.asked, world.busy = {}, {}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(serve(options.count, options.folder))
