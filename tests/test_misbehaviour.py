"""Every kind of server misbehaving in every way: an answer or a clear failure comes within the deadline.

One loopback internet has a registry of its own for every way, so that all of them can be asked at once.
"""

import asyncio
import ipaddress
import time
from collections import Counter
from dataclasses import dataclass
from typing import cast

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from abuse_lookup import AbuseLookup, Lookup, Resolver, open_lookup
from complaints.loopback import Question, World, loopback_internet
from complaints.loopback.tables import DNS_WAYS, RDAP_WAYS, TLS_WAYS, WHOIS_WAYS
from tests.test_lookup import config_for

SECONDS = 10.0
GRACE = 3.0  # for a machine that does something else too
DESK = "abuse@desk.example"

# What must come of it. RDAP: the failure's words, or None where the answer is good although it is odd.
RDAP: dict[str, str | None] = {
    "403": "answered 403",
    "404": "",
    "429": "answered 429",
    "429-once": None,
    "429-date": "answered 429",
    "500": "answered 500",
    "503": "answered 503",
    "error-200": "answered 429",
    "html": "text/html that is no RDAP",
    "bad-json": "that is no RDAP",
    "wrong-type": None,
    "empty": "that is no RDAP",
    "garbage": "that is no RDAP",
    "bom": None,
    "latin-1": None,
    "doubled": None,
    "other": "answered about 233.252.0.0/24",
    "loop": "redirects in a loop",
    "chase": "more than 6 redirects",
    "downgrade": "not over TLS",
    "private": "not a public address",
    "nowhere": "redirects to no usable URL",
    "slow": None,
    "timeout": "did not answer in time",
    "drip": "did not answer in time",
    "reset": "broke off",
    "endless": "more than a registry answer can hold",
    "huge": "more than a registry answer can hold",
    "gzip": None,
    "bomb": "more than a registry answer can hold",
    "tls-name": "certificate",
    "tls-expired": "certificate",
    "tls-untrusted": "certificate",
}
# WHOIS: the same; "" where nobody is found and nothing failed.
WHOIS: dict[str, str | None] = {
    "timeout": "did not answer",
    "refuse": "",
    "cut": "broke off",
    "empty": "without an answer",
    "garbage": "no text",
    "rate-limit": "it answered",
    "no-newline": None,
    "other": "",
    "huge": None,
    "endless": "nothing that tells of it",
    "slow": None,
    "drip": "did not answer",
    "loop": "",
    "ring": "only name each other",
    "chain": "gave up after",
    "private": "not a public address",
    "lame": "does not exist",
}
DNS: dict[str, str | None] = {
    "servfail": "SERVFAIL",
    "refused": "REFUSED",
    "timeout": "no answer in time",
    "truncated": None,
    "tcp-timeout": "no answer in time",
    "lame": "refers elsewhere",
    "garbage": "no",
    "slow": None,
    "wrong-id": "no answer in time",
    "wrong-question": "no answer in time",
    "alias-loop": "nonsense",
}
CASES = [
    *(("rdap", way, said) for way, said in RDAP.items()),
    # An answer about another domain is no failure: it counts little, for it may be an alias.
    *(("registrar", way, "" if way == "other" else said) for way, said in RDAP.items()),
    *(("whois", way, said) for way, said in WHOIS.items()),
    *(("dns", way, said) for way, said in DNS.items()),
    *(("mx", way, said) for way, said in DNS.items()),
    *(("zone", way, said) for way, said in DNS.items()),
]
KEYS = [f"{kind}-{way}" for kind, way, _ in CASES]
RIPE = World.parse("").registries["ripe"]
TEMPLATES = "".join(
    f"{name} = '''{getattr(RIPE, name)}'''\n"
    for name in ("network", "autnum", "none", "elsewhere", "rate_limit")
)


def test_no_way_to_misbehave_is_left_out() -> None:
    assert set(RDAP) == {*RDAP_WAYS, *TLS_WAYS}
    assert set(WHOIS) == set(WHOIS_WAYS)
    assert set(DNS) == set(DNS_WAYS)


def world() -> str:
    """A server of its own for every case; what misbehaves is its RDAP, its WHOIS or a name in the DNS."""
    text, ways = "[world]\nslow_seconds = 0.3\nretry_after = 1\n", "[dns]\n"
    for number, (kind, way, _) in enumerate(CASES):
        key = f"{kind}-{way}"
        net = f"[networks.'{network(number)}']\nname = 'N{number}'\n"
        servers = f"whois = 'whois.{key}.example'\nrdap = 'rdap.{key}.example'\n"
        if kind in {"rdap", "whois", "dns"}:
            text += f"[registries.{key}]\ncharset = 'latin-1'\n" + servers + TEMPLATES
            text += f"rdap_way = '{way}'\n" if kind == "rdap" else ""
            text += net + f"registry = '{key}'\nabuse = '{DESK}'\n"
            text += f"rdap = '404'\nwhois = '{way}'\n" if kind == "whois" else ""
            ways += f"'rdap.{key}.example' = '{way}'\n" if kind == "dns" else ""
        elif kind == "registrar":
            text += f"[registrars.{key}]\nname = 'R'\niana_id = {number}\nabuse = '{DESK}'\n{servers}rdap_way = '{way}'\n"
            text += f"published = ['whois']\n[domains.'shop-{way}.example']\nregistrar = '{key}'\n"
        elif kind == "mx":
            text += net + f"registry = 'ripe'\nabuse = 'abuse@{key}.example'\n"
            ways += f"'{key}.example' = '{way}'\n"
        else:
            text += net + f"registry = 'ripe'\nabuse = '{DESK}'\npublished = ['zone']\n"
            ways += f"'{reversed_name(number)}' = '{way}'\n"
    return text + ways


def network(number: int) -> str:
    return f"2001:db8:{number + 1:x}::/48"


def target(number: int) -> str:
    kind, way, _ = CASES[number]
    return f"shop-{way}.example" if kind == "registrar" else network(number).replace("/48", "7")


def reversed_name(number: int) -> str:
    """What the contact zone is asked for."""
    pointer = ipaddress.ip_address(target(number)).reverse_pointer
    return f"{pointer.removesuffix('.ip6.arpa')}.abuse-contacts.example"


@dataclass
class Outcome:
    """What a lookup of one case came to."""

    found: Lookup
    seconds: float
    asked: list[Question]


async def outcomes() -> dict[str, Outcome]:
    gate = asyncio.Semaphore(12)
    mixed = sorted(
        range(len(CASES)), key=lambda number: CASES[number][1]
    )  # so that no server has a long queue

    async def outcome(lookup: AbuseLookup, number: int) -> tuple[Lookup, float]:
        async with gate:
            started = time.monotonic()
            found = await lookup.find_contacts(target(number))
            return found, time.monotonic() - started

    async with (
        loopback_internet(World.parse(world())) as net,
        open_lookup(config_for(net, seconds=SECONDS)) as lookup,
    ):
        done = await asyncio.gather(*(outcome(lookup, number) for number in mixed))
        return {
            key: Outcome(found, seconds, [q for q in net.questions if q.server.endswith(f".{key}.example")])
            for key, (found, seconds) in zip((KEYS[number] for number in mixed), done, strict=True)
        }


@pytest.fixture(scope="module")
def seen() -> dict[str, Outcome]:
    return asyncio.run(outcomes())


@pytest.mark.parametrize(("kind", "way", "said"), CASES, ids=KEYS)
def test_an_answer_or_a_clear_failure_comes_in_time(
    seen: dict[str, Outcome], kind: str, way: str, said: str | None
) -> None:
    case = seen[f"{kind}-{way}"]
    source = {"registrar": "rdap", "mx": "dns", "zone": "dns", "dns": "rdap"}.get(kind, kind)
    failures = [failure for failure in case.found.failures if failure.source == source]
    assert case.seconds < SECONDS + GRACE
    assert all(failure.server for failure in failures)
    if said:
        assert [failure for failure in failures if said in failure.reason], failures
    elif way != "refuse":
        assert failures == []


@pytest.mark.parametrize(("kind", "way", "said"), CASES, ids=KEYS)
def test_what_can_be_known_is_known_and_nothing_else(
    seen: dict[str, Outcome], kind: str, way: str, said: str | None
) -> None:
    contacts = seen[f"{kind}-{way}"].found.contacts
    desks = [contact for contact in contacts if contact.scope in {"network", "registrar"}]
    assert {contact.address for contact in desks} <= {DESK, f"abuse@mx-{way}.example"}
    if kind == "mx":
        assert "could not be checked" in desks[0].why if said else desks
    elif kind in {"rdap", "dns", "registrar"}:
        assert desks[0].source == ("rdap" if said is None else "whois")  # which takes over
    elif said is None:
        assert desks[0].source == ("whois" if kind == "whois" else "dns")
    else:
        assert desks == []


@pytest.mark.parametrize("key", KEYS)
def test_nothing_is_asked_in_a_loop(seen: dict[str, Outcome], key: str) -> None:
    """Each question once, and once more where the server itself says when to come again."""
    asked = Counter((q.protocol, q.server, q.question.partition("?")[0]) for q in seen[key].asked)
    if key == "whois-chain":
        return  # ever new names of one server; the number of steps is bounded
    most = {"429": 2, "429-once": 2, "429-date": 2, "503": 2, "chase": 6}.get(key.partition("-")[2], 1)
    assert max(asked.values(), default=0) <= most, asked


A = dns.rdatatype.RdataType.A


class Liar(asyncio.DatagramProtocol):
    """A stranger who answers before the name server does, from its port and another, with forged addresses."""

    def __init__(self, other: asyncio.DatagramTransport) -> None:
        self.other = other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        right = _answer(query, "192.0.2.1" if query.question[0].rdtype == A else None)
        for change in (1, 2, 0x8000):
            forged = _answer(query, "192.0.2.66")
            forged.id = query.id ^ change
            self.transport.sendto(forged.to_wire(), addr)  # the right port, but another id
        self.other.sendto(_answer(query, "192.0.2.66").to_wire(), addr)  # the right id, from another port
        stranger = _answer(query, "192.0.2.66")
        stranger.question = [dns.rrset.RRset(dns.name.from_text("else.example"), dns.rdataclass.IN, A)]
        self.transport.sendto(stranger.to_wire(), addr)  # an answer to another question
        asyncio.get_running_loop().call_later(0.1, self.transport.sendto, right.to_wire(), addr)


def _answer(query: dns.message.Message, address: str | None) -> dns.message.Message:
    answer = dns.message.make_response(query, recursion_available=True)
    if address:
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", address))
    return answer


def test_no_answer_of_a_stranger_is_believed_by_the_resolver() -> None:
    async def run() -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        other, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        liar, _ = await loop.create_datagram_endpoint(lambda: Liar(other), local_addr=("127.0.0.1", 0))
        try:
            resolver = Resolver([liar.get_extra_info("sockname")], seconds=5.0)
            return (await resolver.addresses("registry.example")).value
        finally:
            liar.close()
            other.close()

    assert asyncio.run(run()) == ("192.0.2.1",)
