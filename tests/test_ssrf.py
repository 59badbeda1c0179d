"""Nothing that strangers write makes a lookup open a socket to loopback, private or link-local addresses.

The loopback internet's own servers are listed as allowed; everything else on loopback is what an attacker is
after. Python itself reports every socket that is connected, and a canary listens.
"""

import asyncio
import ipaddress
import json
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, cast

import dns.message
import dns.rrset
import httpx
import pytest

from abuse_lookup import AbuseLookup, Lookup, Resolver, UnusableTarget, open_lookup, opening
from abuse_lookup.fetch import Fetcher, FetchError
from abuse_lookup.reach import Reach, Unreachable
from abuse_lookup.target import parse_ip
from complaints.loopback import Internet, World, loopback_internet
from tests.test_lookup import config_for

CANARY = "127.0.0.200"
OURS = ("127.0.0.1/32", "127.0.0.8/29", "127.0.0.16/28")  # RDAP and DNS, and the WHOIS servers
_reported: list[str] | None = None


def _report(event: str, arguments: tuple[Any, ...]) -> None:
    if _reported is not None and event == "socket.connect":
        _reported.append(str(arguments[1][0] if isinstance(arguments[1], tuple) else arguments[1]))


sys.addaudithook(_report)


@contextmanager
def connections() -> Iterator[list[str]]:
    """Collect the address of every socket that is connected inside the block."""
    global _reported  # noqa: PLW0603 - audit hooks cannot be taken out again
    _reported = []
    try:
        yield _reported
    finally:
        _reported = None


NAMES = f"""
[zones]
"evil.example" = '''
@       IN A {CANARY}
whois   IN A {CANARY}
rdap    IN A {CANARY}
six     IN AAAA ::1
mapped  IN AAAA ::ffff:{CANARY}
nat64   IN AAAA 64:ff9b::7f00:c8
sixto4  IN AAAA 2002:7f00:c8::1
any     IN A 0.0.0.0
private IN A 10.0.0.1
local   IN A 169.254.169.254
shared  IN A 100.64.0.1
group   IN A 224.0.0.1
unique  IN AAAA fd00::1
link    IN AAAA fe80::1
alias   IN CNAME evil.example.
mail    IN MX 1 evil.example.
'''
"""


@asynccontextmanager
async def trapped(world: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[AbuseLookup, Internet]]:
    """Open a lookup as on the public Internet, but for the servers of this world; a canary listens beside."""
    monkeypatch.setattr(opening, "_on_loopback", lambda _: False)
    async with loopback_internet(World.parse(world + NAMES)) as net:
        config = config_for(net, allow_nets=OURS, seconds=5.0)
        sung: list[object] = []
        async with await asyncio.start_server(lambda *peer: sung.append(peer), CANARY, net.whois_port):
            async with open_lookup(config) as lookup:
                yield lookup, net
            assert sung == []


def looked_up(
    monkeypatch: pytest.MonkeyPatch, world: str, targets: Sequence[str]
) -> dict[str, Lookup | None]:
    """Look targets up and check every connection that was opened for them; None for what is no target."""

    async def run() -> dict[str, Lookup | None]:
        async with trapped(world, monkeypatch) as (lookup, _):

            async def one(target: str) -> Lookup | None:
                with suppress(UnusableTarget):
                    return await lookup.find_contacts(target)
                return None

            with connections() as opened:
                found = await asyncio.gather(*map(one, targets))
            ours = {str(ip) for net in OURS for ip in ipaddress.ip_network(net)}
            assert set(opened) <= ours, set(opened) - ours
            return dict(zip(targets, found, strict=True))

    return asyncio.run(run())


def test_no_target_is_ever_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = (
        *("127.0.0.200", "http://127.0.0.200/", "http://2130706632/", "http://0x7f.0.0.200/", "http://0177.0.0.0310/"),
        *("http://[::1]/", "http://[::ffff:127.0.0.200]/", "[::ffff:7f00:c8]", "64:ff9b::7f00:c8", "2002:7f00:c8::1"),
        *("0.0.0.0", "::", "10.0.0.1", "169.254.169.254", "http://169.254.169.254/latest/", "224.0.0.1", "fe80::1"),
        *("fd00::1", "100.64.0.1", "joe@[127.0.0.200]", "localhost", "http://localhost/", "127.0.0.0/8", "::/0"),
        *("evil.example", "http://rdap.evil.example/", "joe@evil.example", "joe@mail.evil.example", "six.evil.example"),
        *("mapped.evil.example", "nat64.evil.example", "sixto4.evil.example", "any.evil.example", "alias.evil.example"),
        *("http://user:pass@rdap.evil.example:8443/", "http://evil.example.:43/"),
    )  # fmt: skip
    looked_up(monkeypatch, "", targets)


def networks(lines: Sequence[str]) -> tuple[str, list[str]]:
    """Make a network for each text of TOML, and an address in each."""
    heads = [
        f'[networks."2001:db8:{n:x}::/48"]\nname = "N"\nregistry = "arin"\n' for n in range(1, len(lines) + 1)
    ]
    world = "\n".join(head + line for head, line in zip(heads, lines, strict=True))
    return world, [f"2001:db8:{n:x}::1" for n in range(1, len(lines) + 1)]


def test_no_whois_referral_leads_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    referrals = (
        *(
            "whois.evil.example",
            "evil.example",
            "whois://whois.evil.example",
            "rwhois://rdap.evil.example:4321",
        ),
        *(CANARY, f"rwhois://{CANARY}:4321", "[::1]", "localhost", "whois.evil.example:22", "2130706632"),
        *("any.evil.example", "local.evil.example", "mapped.evil.example", "private.evil.example"),
    )
    head = "NetRange: 2001:db8:: - 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
    world, targets = networks(
        [
            f'rdap = "404"\nwhois_body = """{head}\nReferralServer: {referral}\nComment: whois -h {referral}\n"""\n'
            for referral in referrals
        ]
    )
    for found in looked_up(monkeypatch, world, targets).values():
        assert found is not None
        assert found.contacts == ()


URLS = (
    *(f"https://{CANARY}/", "https://rdap.evil.example/", "https://[::1]/", f"https://[::ffff:{CANARY}]/"),
    *("https://localhost/", "https://2130706632/", "https://0x7f.0.0.200/", "https://any.evil.example/"),
    *("https://local.evil.example/", "https://nat64.evil.example/", "https://alias.evil.example:8443/"),
    *("https://rdap.arin.example@evil.example/", "https://0.0.0.0/", "https://169.254.169.254/"),
    *("http://rdap.evil.example/", "ftp://rdap.evil.example/", "file:///etc/passwd", "//rdap.evil.example/x"),
    *(
        "https://rdap.evil.example\\@rdap.arin.example/",
        "https://rdap.evil.example%2f/",
        "gopher://evil.example:70/",
    ),
)


def test_no_rdap_redirect_leads_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    world, targets = networks([f"rdap_to = '{url}'\n" for url in URLS])
    for found in looked_up(monkeypatch, world, targets).values():
        assert found is not None
        assert found.contacts == ()
        assert [failure for failure in found.failures if failure.source == "rdap"]


@pytest.mark.parametrize("relation", ["related", "up", "self"])
def test_no_link_in_an_answer_leads_inside(relation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(url: str) -> str:
        links = [{"rel": relation, "href": f"{url}ip/2001:db8::/32"}]
        entities = [{"roles": ["abuse"], "links": links}] if relation == "self" else []
        return json.dumps({"handle": "N", "links": links, "entities": entities})

    world, targets = networks([f"rdap_body = '''{answer(url)}'''\nwhois = 'empty'\n" for url in URLS])
    for found in looked_up(monkeypatch, world, targets).values():
        assert found is not None
        assert found.contacts == ()


def test_no_mailbox_is_connected_to_by_looking_whether_it_takes_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    desks = 'abuse = ["abuse@mail.evil.example", "abuse@evil.example"]\npublished = ["rdap", "zone"]\n'
    world, targets = networks([desks])
    looked_up(monkeypatch, world, targets)


def test_the_servers_of_this_world_are_reached_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is above does not hold because nothing works."""
    world, targets = networks(['abuse = "abuse@n.example"\n', 'abuse = "abuse@n.example"\nrdap = "404"\n'])
    for found in looked_up(monkeypatch, world, targets).values():
        assert found is not None
        named = [*(contact.address for contact in found.contacts), *(item.address for item in found.rejected)]
        assert named == ["abuse@n.example"]


INSIDE = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1"),
    *("::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
    *(
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:7f00:1::80ff:fffe",
        "fc00::1",
        "fd12::1",
    ),
    *("fe80::1", "fec0::1", "ff02::1", "100::1", "5f00::1"),
)


@pytest.mark.parametrize("address", INSIDE)
def test_no_such_address_is_permitted(address: str) -> None:
    reach = Reach(Resolver([("127.0.0.1", 9)]), (), dns_on_loopback=False)
    ip = parse_ip(address)
    assert ip is not None
    assert not reach.permits(ip)
    assert not reach.permits(ipaddress.ip_address(address))
    for literal in (address, f"[{address}]"):
        with pytest.raises(Unreachable, match="not a public address"):
            asyncio.run(reach.addresses(literal))


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "::", "fe80::1", "224.0.0.1"])
def test_even_a_world_on_loopback_does_not_reach_these(address: str) -> None:
    reach = Reach(Resolver([("127.0.0.1", 9)]), (), dns_on_loopback=True)
    assert not reach.permits(ipaddress.ip_address(address))


class Rebinding(asyncio.DatagramProtocol):
    """A name server whose answer is another one every time, and good for no second."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query, recursion_available=True)
        if query.question[0].rdtype == dns.rdatatype.RdataType.A and self.answers:
            texts = self.answers.pop(0)
            answer.answer.append(dns.rrset.from_text(query.question[0].name, 0, "IN", "A", *texts))
        self.transport.sendto(answer.to_wire(), addr)


@pytest.mark.parametrize(
    ("answers", "opened"),
    [
        ([["127.0.0.150"], [CANARY], [CANARY]], ["127.0.0.150"]),
        ([[CANARY, "127.0.0.150"]], ["127.0.0.150"]),
        ([[CANARY], ["127.0.0.150"]], []),
    ],
)
def test_the_address_that_was_judged_is_the_one_connected_to(
    answers: list[list[str]], opened: list[str]
) -> None:
    async def run() -> list[str]:
        loop = asyncio.get_running_loop()
        server = Rebinding(*answers)
        transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
        resolver = Resolver([transport.get_extra_info("sockname")], seconds=3.0)
        reach = Reach(resolver, ("127.0.0.150/32",), dns_on_loopback=False)
        fetcher = Fetcher(reach, ca_file=None, user_agent="tests")
        with connections() as seen, suppress(FetchError):
            await fetcher.get(httpx.URL("https://rebind.example:9/"), "*/*")
        await fetcher.aclose()
        transport.close()
        return [address for address in seen if address != "127.0.0.1"]

    assert asyncio.run(run()) == opened
