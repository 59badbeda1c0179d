"""The loopback internet's worlds, DNS, WHOIS and RDAP, asked by real clients over real sockets."""

import asyncio
import contextlib
import json
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.reversename
import httpx
import pytest

from complaints.loopback import Internet, World, WorldError, loopback_internet, places, spams

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WORLD = """
[networks."198.51.100.0/24"]
name = "WIDE"
registry = "ripe"
abuse = "abuse@wide.example"

[networks."198.51.100.0/26"]
name = "EXAMPLE-CLOUD"
registry = "ripe"
abuse = ["abuse@cloud.example", "spam@cloud.example"]
published = ["rdap", "whois", "zone"]

[networks."203.0.113.0/26"]
name = "TOP"
registry = "arin"
abuse = "abuse@top.example"
published = ["rdap-top", "whois"]

[networks."203.0.113.64/26"]
name = "LINKED"
registry = "lacnic"
abuse = "abuse@linked.example"
published = ["rdap-linked", "whois"]
org = "Compañía de Redes"

[networks."203.0.113.128/26"]
name = "REMARKS"
registry = "apnic"
abuse = "abuse@remarks.example"
published = ["rdap-remarks", "whois-remarks"]

[networks."203.0.113.192/27"]
name = "SAVANNA"
registry = "afrinic"

[networks."203.0.113.224/27"]
name = "MOVED"
registry = "ripe"
via = "arin"
abuse = "abuse@moved.example"

[networks."2001:db8:1::/48"]
name = "SIX"
registry = "apnic"
abuse = "abuse@six.example"
published = ["rdap", "whois", "zone"]

[networks."192.0.2.0/28"]
name = "BROKEN"
registry = "ripe"
abuse = "abuse@broken.example"

[autnums.64496]
name = "CLOUD-AS"
registry = "ripe"
abuse = "abuse@cloud.example"

[domains."pills.example"]
addresses = ["198.51.100.9", "2001:db8:1::9"]
txt = ["v=spf1 -all"]

[domains."nomail.example"]
mx = ["."]

[domains."many.example"]
mx = ["mx1.many.example", "mx2.many.example"]

[domains."hidden.example"]
registrar = "discreet"

[registrars.discreet]
name = "Discreet Names"
iana_id = 7
abuse = "abuse@discreet.example"
whois = "whois.discreet.example"
rdap = "rdap.discreet.example"
published = []

[reverse]
"198.51.100.9" = "host9.cloud.example"

[zones]
"odd.example" = '''
alias    IN CNAME  far.odd.example.
far      IN CNAME  www.pills.example.
round    IN CNAME  about.odd.example.
about    IN CNAME  round.odd.example.
*.wild   IN A      192.0.2.7
a.b.deep IN A      192.0.2.8
'''
"""


def on(world: World | str, ask: Callable[[Internet], Awaitable[None]]) -> None:
    """Run a conversation with a world."""

    async def held() -> None:
        async with loopback_internet(World.parse(world) if isinstance(world, str) else world) as internet:
            await ask(internet)

    asyncio.run(held())


async def dns_answer(
    internet: Internet, name: str, rdtype: str, *, tcp: bool = False, edns: bool = True, seconds: float = 2
) -> dns.message.Message:
    """One question to the nameserver, as it answers."""
    host, port = internet.dns.split(":")
    query = dns.message.make_query(name, rdtype, use_edns=edns, payload=1232 if edns else None)
    ask = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await ask(query, host, port=int(port), timeout=seconds)


async def records(internet: Internet, name: str, rdtype: str) -> list[str]:
    """What a stub resolver finds (it repeats by TCP what was cut)."""
    host, port = internet.dns.split(":")
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [host], int(port), 3
    return sorted(str(record) for record in await resolver.resolve(name, rdtype))


async def whois(internet: Internet, host: str, query: str, seconds: float = 5) -> bytes:
    """The answer of the WHOIS server of this name, which is looked up first."""
    [address] = await records(internet, host, "A")
    reader, writer = await asyncio.open_connection(address, internet.whois_port)
    try:
        writer.write(f"{query}\r\n".encode())
        return await asyncio.wait_for(reader.read(), seconds)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def rdap(internet: Internet, url: str, seconds: float = 5) -> httpx.Response:
    """GET over TLS: the host name is looked up in the loopback DNS, the certificate checked against its CA."""
    wanted = httpx.URL(url)
    [address] = await records(internet, wanted.host, "A")
    trusted = ssl.create_default_context(cafile=str(internet.ca_file))
    async with httpx.AsyncClient(verify=trusted, trust_env=False, timeout=seconds) as client:
        return await client.get(
            wanted.copy_with(host=address),
            headers={"Host": f"{wanted.host}:{wanted.port}"},
            extensions={"sni_hostname": wanted.host},
        )


def base_url(internet: Internet, file: str, entry: str) -> str:
    """The base URL that a bootstrap file gives for one entry."""
    services = json.loads((internet.rdap_bootstrap / f"{file}.json").read_text())["services"]
    [url] = [urls[0] for *_, entries, urls in services if entry in entries]
    assert url.endswith("/")
    return str(url)


def abuse_emails(value: Any) -> list[str]:
    """The addresses of all entities with the abuse role, wherever they are nested."""
    found: list[str] = []
    if isinstance(value, dict):
        if "abuse" in value.get("roles", ()):
            card = value.get("vcardArray", ["vcard", []])[1]
            found += [entry[3] for entry in card if entry[0] == "email"]
        value = list(value.values())
    if isinstance(value, list):
        found += [email for each in value for email in abuse_emails(each)]
    return found


# --- worlds ---------------------------------------------------------------------------------------------------


def test_the_smallest_network_that_covers_an_address_answers_for_it() -> None:
    world = World.parse(WORLD)
    found = {address: world.network_of(ip_address(address)) for address in ("198.51.100.9", "198.51.100.99")}
    assert [network.name for network in found.values() if network] == ["EXAMPLE-CLOUD", "WIDE"]
    wide = world.network_of(ip_network("198.51.100.0/25"))
    assert wide is not None
    assert wide.name == "WIDE"
    assert world.network_of(ip_address("8.8.8.8")) is None


def test_more_toml_laid_over_a_world_adds_tables_and_replaces_keys() -> None:
    world = World.parse(WORLD).extended(
        '[networks."203.0.113.0/26"]\nabuse = "new@top.example"\n[domains."more.example"]\n'
    )
    top = world.network_of(ip_address("203.0.113.1"))
    assert top is not None
    assert (top.abuse, top.name) == (("new@top.example",), "TOP")
    assert "more.example" in world.domains
    assert World.parse(WORLD).domain_of("more.example") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[networks", "not TOML"),
        ("[netwroks]\n", "netwroks"),
        ('[networks."192.0.2.1/24"]\nname = "X"\nregistry = "ripe"', "host bits"),
        ('[networks."192.0.2.0/24"]\nname = "X"\nregistry = "ripe"\nabsue = "a@b.example"', "absue"),
        ('[networks."192.0.2.0/24"]\nregistry = "ripe"', "name"),
        ('[networks."192.0.2.0/24"]\nname = "X"\nregistry = "krnic"', "krnic"),
        ('[networks."192.0.2.0/24"]\nname = "X"\nregistry = "ripe"\nrdap = "418"', "418"),
        ('[domains."x.example"]\nregistrar = "nobody"', "nobody"),
        ('[dns]\n"x.example" = "sulk"', "sulk"),
        ('[mailboxes]\n"a@x.example" = "sulk"', "sulk"),
        ("[world]\nspeed = 3", "speed"),
    ],
)
def test_a_world_with_a_mistake_says_where_it_is(text: str, told: str) -> None:
    with pytest.raises(WorldError, match=told):
        World.parse(text)


def test_a_zone_that_does_not_parse_is_named() -> None:
    async def held() -> None:
        async with loopback_internet(World.parse("[zones]\n'odd.example' = 'x IN A not-an-address'")):
            pass

    with pytest.raises(WorldError, match=r"odd\.example"):
        asyncio.run(held())


def test_a_world_is_loaded_by_name_or_path(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(WORLD)
    assert World.load(str(tmp_path / "mine.toml")).tables == World.parse(WORLD).tables
    with pytest.raises(WorldError, match="atlantis"):
        World.load("atlantis")


def test_a_catch_all_answers_for_public_addresses_only() -> None:
    world = World.parse('[catch_all]\nregistry = "arin"\nabuse = "abuse@net-{net}.elsewhere.example"')
    found = {
        text: world.network_of(ip_address(text))
        for text in ("45.67.8.9", "2a00:1450:4001::5", "10.1.2.3", "127.0.0.1", "fe80::1", "224.0.0.5")
    }
    assert [network and (str(network.cidr), network.abuse[0]) for network in found.values()] == [
        ("45.67.0.0/16", "abuse@net-45-67.elsewhere.example"),
        ("2a00:1450::/32", "abuse@net-2a00-1450.elsewhere.example"),
        *[None] * 4,
    ]
    assert world.takes_mail_for("net-45-67.elsewhere.example")
    assert not world.takes_mail_for("elsewhere.example")


def test_the_demo_spams_are_fresh_and_come_from_networks_with_a_desk() -> None:
    world = World.load("demo")
    found = spams(world, NOW)
    assert len(found) == 6
    for name, raw in found.items():
        assert not [left for left in (b"[[", b"@@") if left in raw], name
        assert not [line for line in raw.split(b"\r\n") if b"\n" in line or len(line) > 998], name
        top = raw.partition(b"Received: ")[2].partition(b"\r\nReceived")[0].partition(b"\r\nFrom")[0].decode()
        assert "by mx.victim.example" in top, name
        source = ip_address(top.partition("[")[2].partition("]")[0].removeprefix("IPv6:"))
        network = world.network_of(source)
        assert network in world.networks.values(), name
        date = parsedate_to_datetime(top.partition("; ")[2].splitlines()[0])
        assert 0 < (NOW - date).total_seconds() < 86400, name


def test_a_world_without_spams_has_none() -> None:
    assert spams(World.parse(WORLD), NOW) == {}


# --- DNS ------------------------------------------------------------------------------------------------------


def test_dns_answers_what_a_world_declares_and_implies() -> None:
    async def ask(internet: Internet) -> None:
        async def found(name: str, rdtype: str) -> list[str]:
            return await records(internet, name, rdtype)

        assert await found("pills.example", "A") == ["198.51.100.9"]
        assert await found("www.PILLS.example", "AAAA") == ["2001:db8:1::9"]
        assert await found("pills.example", "TXT") == ['"v=spf1 -all"']
        assert await found("pills.example", "NS") == ["ns.loopback.example."]
        assert (await found("pills.example", "SOA"))[0].startswith("ns.loopback.example. ")
        assert await found("cloud.example", "MX") == ["10 mx.cloud.example."]
        assert await found("many.example", "MX") == ["10 mx1.many.example.", "20 mx2.many.example."]
        assert await found("nomail.example", "MX") == ["0 ."]
        assert await found("alias.odd.example", "A") == ["198.51.100.9"]
        assert await found("any.name.wild.odd.example", "A") == ["192.0.2.7"]
        reverse = dns.reversename.from_address("198.51.100.9").to_text()
        assert await found(reverse, "PTR") == ["host9.cloud.example."]
        assert await found("host9.cloud.example", "A") == ["198.51.100.9"]
        assert await found("whois.ripe.example", "A") != await found("whois.arin.example", "A")

    on(WORLD, ask)


@pytest.mark.parametrize(
    ("name", "rdtype", "rcode", "zone"),
    [
        ("nothing.pills.example", "A", "NXDOMAIN", "pills.example."),
        ("pills.example", "MX", "NOERROR", "pills.example."),
        ("unknown.example", "A", "NXDOMAIN", "example."),
        ("9.100.51.198.in-addr.arpa", "TXT", "NOERROR", "in-addr.arpa."),
        ("deep.odd.example", "A", "NOERROR", "odd.example."),
        ("unknown", "A", "NXDOMAIN", "."),
    ],
)
def test_dns_says_no_with_the_soa_of_the_zone(name: str, rdtype: str, rcode: str, zone: str) -> None:
    async def ask(internet: Internet) -> None:
        answer = await dns_answer(internet, name, rdtype)
        assert dns.rcode.to_text(answer.rcode()) == rcode
        assert not answer.answer
        [soa] = answer.authority
        assert (str(soa.name), answer.flags & dns.flags.AA) == (zone, dns.flags.AA)

    on(WORLD, ask)


def test_an_alias_that_goes_round_is_a_server_failure() -> None:
    async def ask(internet: Internet) -> None:
        assert (await dns_answer(internet, "round.odd.example", "A")).rcode() == dns.rcode.SERVFAIL

    on(WORLD, ask)


@pytest.mark.parametrize(
    ("length", "edns", "cut"),
    [(400, False, False), (700, False, True), (700, True, False), (1300, True, True)],
)
def test_an_answer_too_long_for_the_asker_comes_by_tcp(length: int, edns: bool, cut: bool) -> None:
    async def ask(internet: Internet) -> None:
        answer = await dns_answer(internet, "long.example", "TXT", edns=edns)
        assert bool(answer.flags & dns.flags.TC) is cut
        assert bool(answer.answer) is not cut
        whole = await dns_answer(internet, "long.example", "TXT", edns=edns, tcp=True)
        assert sum(len(s) for s in whole.answer[0][0].strings) == length
        assert len((await records(internet, "long.example", "TXT"))[0]) > length

    on(f'[domains."long.example"]\ntxt = ["{"x" * length}"]', ask)


def test_dns_misbehaves_on_request() -> None:
    async def ask(internet: Internet) -> None:
        async def rcode(name: str) -> int:
            return (await dns_answer(internet, name, "A")).rcode()

        assert await rcode("servfail.misbehaving.example") == dns.rcode.SERVFAIL
        assert await rcode("deeper.refused.misbehaving.example") == dns.rcode.REFUSED
        lame = await dns_answer(internet, "lame.misbehaving.example", "A")
        assert (lame.rcode(), lame.answer, lame.flags & dns.flags.AA) == (dns.rcode.NOERROR, [], 0)
        assert str(lame.authority[0].name) == "."
        with pytest.raises(dns.exception.Timeout):
            await dns_answer(internet, "timeout.misbehaving.example", "A", seconds=0.3)
        with pytest.raises(dns.exception.DNSException):
            await dns_answer(internet, "garbage.misbehaving.example", "A", seconds=0.3)
        cut = await dns_answer(internet, "truncated.misbehaving.example", "TXT")
        assert cut.flags & dns.flags.TC
        assert await records(internet, "truncated.misbehaving.example", "TXT") == [
            '"long answers come by TCP"'
        ]
        start = time.monotonic()
        await dns_answer(internet, "slow.misbehaving.example", "A")
        assert time.monotonic() - start >= 0.2
        with pytest.raises(dns.resolver.NoNameservers):
            await records(internet, "mine.example", "A")

    on('[world]\nslow_seconds = 0.2\n[dns]\n"mine.example" = "servfail"', ask)


def test_the_contact_zone_answers_for_reversed_addresses() -> None:
    async def ask(internet: Internet) -> None:
        zone = internet.contact_zones[0]
        assert internet.settings()["PLAINT_CONTACT_ZONES"] == zone
        assert await records(internet, f"9.100.51.198.{zone}", "TXT") == [
            '"abuse@cloud.example,spam@cloud.example"'
        ]
        nibbles = dns.reversename.from_address("2001:db8:1::9").to_text().removesuffix("ip6.arpa.")
        assert await records(internet, nibbles + zone, "TXT") == ['"abuse@six.example"']
        for absent in (f"1.113.0.203.{zone}", f"8.8.8.8.{zone}", f"x.{zone}"):
            assert (await dns_answer(internet, absent, "TXT")).rcode() == dns.rcode.NXDOMAIN
        assert (await dns_answer(internet, f"9.100.51.198.{zone}", "A")).rcode() == dns.rcode.NOERROR

    on(WORLD, ask)


def test_a_catch_all_may_stand_for_all_names_too() -> None:
    async def ask(internet: Internet) -> None:
        assert await records(internet, "www.somewhere.com", "A") == ["192.0.2.99"]
        [mx] = await records(internet, "somewhere.com", "MX")
        assert (await records(internet, mx.split()[1], "A"))[0].startswith("127.")
        for absent in (
            "_dmarc.somewhere.com",
            "nothing.known.example",
            "somewhere.invalid",
            "1.2.3.4.in-addr.arpa",
        ):
            assert (await dns_answer(internet, absent, "TXT")).rcode() == dns.rcode.NXDOMAIN, absent
        assert b"somewhere.com" in (await whois(internet, "whois.nic.example", "somewhere.com")).lower()

    on(
        '[domains."known.example"]\n'
        '[catch_all]\nregistry = "arin"\nabuse = "abuse@elsewhere.example"\nnames = "192.0.2.99"',
        ask,
    )


def test_bytes_that_are_no_dns_message_are_ignored() -> None:
    async def ask(internet: Internet) -> None:
        host, port = internet.dns.split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for junk in (b"", b"\x00", b"\xff" * 40, b"GET / HTTP/1.0\r\n\r\n"):
                client.sendto(junk, (host, int(port)))
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x00\x05junk!\x00")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert await records(internet, "pills.example", "A") == ["198.51.100.9"]

    on(WORLD, ask)


# --- WHOIS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "host", "line"),
    [
        (
            "198.51.100.9",
            "whois.ripe.example",
            "% Abuse contact for '198.51.100.0 - 198.51.100.63' is 'abuse@cloud.example'",
        ),
        ("203.0.113.5", "whois.arin.example", "OrgAbuseEmail:  abuse@top.example"),
        ("203.0.113.70", "whois.lacnic.example", "e-mail:      abuse@linked.example"),
        ("203.0.113.130", "whois.apnic.example", "remarks:        Report abuse to abuse@remarks.example"),
        (
            "203.0.113.200",
            "whois.afrinic.example",
            "% No abuse contact registered for 203.0.113.192 - 203.0.113.223",
        ),
        ("2001:db8:1::5", "whois.apnic.example", "abuse-mailbox:  abuse@six.example"),
        ("AS64496", "whois.ripe.example", "% Abuse contact for 'AS64496' is 'abuse@cloud.example'"),
        ("pills.example", "whois.nic.example", "Registrar Abuse Contact Email: abuse@registrar.example"),
    ],
)
def test_the_root_refers_and_the_registry_answers_in_its_dialect(query: str, host: str, line: str) -> None:
    async def ask(internet: Internet) -> None:
        root = (await whois(internet, internet.whois_root, query)).decode()
        assert f"\r\nrefer:        {host}\r\n" in root
        answer = (await whois(internet, host, f"-B {query}")).decode("latin-1")
        assert line in answer.split("\r\n")
        assert "{" not in answer

    on(WORLD, ask)


def test_every_abuse_address_is_named_and_none_that_is_not_published() -> None:
    async def ask(internet: Internet) -> None:
        cloud = await whois(internet, "whois.ripe.example", "198.51.100.9")
        assert b"abuse-mailbox:  abuse@cloud.example\r\nabuse-mailbox:  spam@cloud.example\r\n" in cloud
        remarks = await whois(internet, "whois.apnic.example", "203.0.113.130")
        assert b"abuse-mailbox" not in remarks
        assert b"Abuse contact" not in remarks

    on(WORLD, ask)


def test_lacnic_writes_latin_1() -> None:
    async def ask(internet: Internet) -> None:
        answer = await whois(internet, "whois.lacnic.example", "203.0.113.70")
        assert "owner:       Compañía de Redes".encode("latin-1") in answer

    on(WORLD, ask)


def test_a_moved_network_is_referred_by_the_registry_iana_names() -> None:
    async def ask(internet: Internet) -> None:
        root = await whois(internet, internet.whois_root, "203.0.113.225")
        assert b"refer:        whois.arin.example" in root
        arin = await whois(internet, "whois.arin.example", "n + 203.0.113.225")
        assert b"ReferralServer:  whois://whois.ripe.example" in arin
        assert b"abuse@moved.example" not in arin
        assert b"abuse@moved.example" in await whois(internet, "whois.ripe.example", "203.0.113.225")

    on(WORLD, ask)


def test_a_registrar_names_the_abuse_address_its_registry_keeps_to_itself() -> None:
    async def ask(internet: Internet) -> None:
        registry = await whois(internet, "whois.nic.example", "hidden.example")
        assert b"Registrar WHOIS Server: whois.discreet.example" in registry
        assert b"abuse@discreet.example" not in registry
        assert b"abuse@discreet.example" in await whois(internet, "whois.discreet.example", "hidden.example")
        assert b"No match" in await whois(internet, "whois.discreet.example", "pills.example")

    on(WORLD, ask)


def test_what_no_registry_holds_is_not_found() -> None:
    async def ask(internet: Internet) -> None:
        assert b"refer:" not in await whois(internet, internet.whois_root, "8.8.8.8")
        assert b"no entries found" in await whois(internet, "whois.ripe.example", "8.8.8.8")
        assert b"No match found for 198.51.100.9" in await whois(
            internet, "whois.arin.example", "198.51.100.9"
        )
        assert b"No match" in await whois(internet, "whois.nic.example", "absent.example")
        assert b"no entries found" in await whois(internet, "whois.ripe.example", "")
        assert await whois(internet, "whois.ripe.example", "x" * 5000) == b""

    on(WORLD, ask)


@pytest.mark.parametrize(
    ("way", "holds"),
    [
        ("empty", lambda answer: answer == b""),
        ("refuse", lambda answer: answer == b""),
        ("garbage", lambda answer: bytes(range(256)) in answer),
        ("rate-limit", lambda answer: b"ERROR:201" in answer and b"abuse@" not in answer),
        ("loop", lambda answer: b"whois.ripe.example" in answer and b"abuse@" not in answer),
        ("no-newline", lambda answer: b"abuse@broken.example" in answer and not answer.endswith(b"\n")),
        ("huge", lambda answer: len(answer) > 8_000_000 and b"abuse@broken.example" in answer),
        ("slow", lambda answer: b"abuse@broken.example" in answer),
    ],
)
def test_whois_misbehaves_on_request(way: str, holds: Callable[[bytes], bool]) -> None:
    async def ask(internet: Internet) -> None:
        start = time.monotonic()
        try:
            answer = await whois(internet, "whois.ripe.example", "192.0.2.1")
        except ConnectionResetError:
            assert way == "refuse"
            return
        assert holds(answer)
        assert (time.monotonic() - start >= 0.2) or way != "slow"
        assert b"abuse@cloud.example" in await whois(internet, "whois.ripe.example", "198.51.100.9")

    more = f'[networks."192.0.2.0/28"]\nwhois = "{way}"\n[world]\nslow_seconds = 0.2'
    on(World.parse(WORLD).extended(more), ask)


def test_whois_may_never_answer() -> None:
    async def ask(internet: Internet) -> None:
        with pytest.raises(TimeoutError):
            await whois(internet, "whois.ripe.example", "192.0.2.1", seconds=0.3)

    on(World.parse(WORLD).extended('[registries.ripe]\nwhois_way = "timeout"'), ask)


def test_an_answer_may_be_given_verbatim() -> None:
    async def ask(internet: Internet) -> None:
        assert (await whois(internet, "whois.ripe.example", "192.0.2.1")).strip() == b"odd: answer"
        found = await rdap(internet, base_url(internet, "ipv4", "192.0.2.0/28") + "ip/192.0.2.1")
        assert found.json() == {"odd": "answer"}

    verbatim = '[networks."192.0.2.0/28"]\nwhois_body = "odd: answer"\nrdap_body = \'{"odd": "answer"}\''
    on(World.parse(WORLD).extended(verbatim), ask)


def test_where_loopback_has_one_address_a_joint_whois_answers_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ask(internet: Internet) -> None:
        assert await records(internet, internet.whois_root, "A") == ["127.0.0.1"]
        assert await records(internet, "mx.cloud.example", "A") == ["127.0.0.1"]
        assert b"abuse@moved.example" in await whois(internet, internet.whois_root, "203.0.113.225")
        assert b"abuse@registrar.example" in await whois(internet, internet.whois_root, "pills.example")
        assert b"0 objects" in await whois(internet, internet.whois_root, "8.8.8.8")

    monkeypatch.setattr(places, "_listens", lambda address: False)
    on(WORLD, ask)


# --- RDAP -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "entry", "path", "abuse"),
    [
        ("ipv4", "198.51.100.0/26", "ip/198.51.100.9", ["abuse@cloud.example", "spam@cloud.example"]),
        ("ipv4", "198.51.100.0/26", "ip/198.51.100.0/26", ["abuse@cloud.example", "spam@cloud.example"]),
        ("ipv4", "198.51.100.0/24", "ip/198.51.100.0/25", ["abuse@wide.example"]),
        ("ipv4", "203.0.113.0/26", "ip/203.0.113.5", ["abuse@top.example"]),
        ("ipv4", "203.0.113.64/26", "ip/203.0.113.70", []),
        ("ipv4", "203.0.113.128/26", "ip/203.0.113.130", []),
        ("ipv6", "2001:db8:1::/48", "ip/2001:db8:1::5", ["abuse@six.example"]),
        ("asn", "64496", "autnum/64496", ["abuse@cloud.example"]),
        ("dns", "example", "domain/pills.example", ["abuse@registrar.example"]),
        ("dns", "example", "domain/hidden.example", []),
    ],
)
def test_rdap_answers_where_the_bootstrap_points(file: str, entry: str, path: str, abuse: list[str]) -> None:
    async def ask(internet: Internet) -> None:
        found = await rdap(internet, base_url(internet, file, entry) + path)
        assert (found.status_code, found.headers["content-type"]) == (200, "application/rdap+json")
        assert abuse_emails(found.json()) == abuse

    on(WORLD, ask)


def test_the_abuse_desk_stands_where_the_network_publishes_it() -> None:
    async def ask(internet: Internet) -> None:
        arin, apnic = (
            base_url(internet, "ipv4", "203.0.113.0/26"),
            base_url(internet, "ipv4", "203.0.113.128/26"),
        )
        assert arin.endswith("/registry/")
        top = (await rdap(internet, f"{arin}ip/203.0.113.5")).json()
        assert [entity["roles"] for entity in top["entities"]] == [["registrant"], ["abuse"]]
        assert (top["startAddress"], top["endAddress"]) == ("203.0.113.0", "203.0.113.63")
        assert top["cidr0_cidrs"] == [{"v4prefix": "203.0.113.0", "length": 26}]
        remarks = (await rdap(internet, f"{apnic}ip/203.0.113.130")).json()["remarks"]
        assert remarks[0]["description"] == ["Please send abuse reports to abuse@remarks.example"]

    on(WORLD, ask)


def test_a_linked_abuse_entity_is_found_by_its_link() -> None:
    async def ask(internet: Internet) -> None:
        found = (
            await rdap(internet, base_url(internet, "ipv4", "203.0.113.64/26") + "ip/203.0.113.70")
        ).json()
        [linked] = [entity for entity in found["entities"] if "abuse" in entity["roles"]]
        assert "vcardArray" not in linked
        assert abuse_emails((await rdap(internet, linked["links"][0]["href"])).json()) == [
            "abuse@linked.example"
        ]
        tagged = base_url(internet, "object-tags", linked["handle"].rpartition("-")[2])
        assert (await rdap(internet, f"{tagged}entity/{linked['handle'].lower()}")).status_code == 200

    on(WORLD, ask)


def test_rdap_redirects_to_the_registry_a_network_moved_to() -> None:
    async def ask(internet: Internet) -> None:
        first = await rdap(internet, base_url(internet, "ipv4", "203.0.113.224/27") + "ip/203.0.113.225")
        assert first.status_code == 301
        assert httpx.URL(first.headers["location"]).host == "rdap.ripe.example"
        assert abuse_emails((await rdap(internet, first.headers["location"])).json()) == [
            "abuse@moved.example"
        ]

    on(WORLD, ask)


def test_a_domain_links_to_the_registrar_who_names_its_desk() -> None:
    async def ask(internet: Internet) -> None:
        registry = (
            await rdap(internet, base_url(internet, "dns", "example") + "domain/hidden.example")
        ).json()
        [related] = [link["href"] for link in registry["links"] if link["rel"] == "related"]
        assert httpx.URL(related).host == "rdap.discreet.example"
        assert abuse_emails((await rdap(internet, related)).json()) == ["abuse@discreet.example"]

    on(WORLD, ask)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("ip/8.8.8.8", 404),
        ("ip/203.0.113.5", 404),
        ("ip/nonsense", 400),
        ("autnum/x", 400),
        ("autnum/1", 404),
        ("entity/NOBODY", 404),
        ("domain/pills.example", 404),
        ("nothing", 404),
        ("", 404),
        ("help", 200),
    ],
)
def test_what_a_registry_does_not_hold_is_an_error_object(path: str, status: int) -> None:
    async def ask(internet: Internet) -> None:
        found = await rdap(internet, base_url(internet, "ipv4", "198.51.100.0/26") + path)
        assert (found.status_code, found.headers["content-type"]) == (status, "application/rdap+json")
        assert status == 200 or found.json()["errorCode"] == status

    on(WORLD, ask)


@pytest.mark.parametrize(
    ("way", "holds"),
    [
        ("404", lambda r: r.status_code == 404),
        ("429", lambda r: (r.status_code, r.headers["retry-after"]) == (429, "7")),
        ("500", lambda r: r.status_code == 500),
        ("html", lambda r: r.status_code == 200 and r.headers["content-type"].startswith("text/html")),
        ("bad-json", lambda r: r.status_code == 200 and r.text.startswith("{") and not r.text.endswith("}")),
        ("loop", lambda r: r.status_code == 302 and r.headers["location"].endswith("ip/192.0.2.1")),
        ("downgrade", lambda r: r.status_code == 302 and r.headers["location"].startswith("http://")),
        (
            "wrong-type",
            lambda r: r.headers["content-type"] == "text/plain" and "abuse@broken.example" in r.text,
        ),
        ("huge", lambda r: len(r.content) > 8_000_000 and r.json()["handle"]),
        ("slow", lambda r: r.elapsed.total_seconds() >= 0.2 and r.status_code == 200),
    ],
)
def test_rdap_misbehaves_on_request(way: str, holds: Callable[[httpx.Response], bool]) -> None:
    async def ask(internet: Internet) -> None:
        assert holds(await rdap(internet, base_url(internet, "ipv4", "192.0.2.0/28") + "ip/192.0.2.1"))
        other = await rdap(internet, base_url(internet, "ipv4", "198.51.100.0/26") + "ip/198.51.100.9")
        assert other.status_code == 200

    more = f'[networks."192.0.2.0/28"]\nrdap = "{way}"\n[world]\nslow_seconds = 0.2\nretry_after = 7'
    on(World.parse(WORLD).extended(more), ask)


def test_rdap_may_limit_only_the_first_question() -> None:
    async def ask(internet: Internet) -> None:
        base = base_url(internet, "ipv4", "198.51.100.0/26")
        statuses = [
            (await rdap(internet, f"{base}ip/{ip}")).status_code
            for ip in ["198.51.100.9"] * 2 + ["192.0.2.1"]
        ]
        assert statuses == [429, 200, 429]

    on(World.parse(WORLD).extended('[registries.ripe]\nrdap_way = "429-once"'), ask)


def test_a_client_that_does_not_know_the_authority_refuses_rdap() -> None:
    async def ask(internet: Internet) -> None:
        port = httpx.URL(base_url(internet, "ipv4", "198.51.100.0/26")).port
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(
                "127.0.0.1", port, ssl=ssl.create_default_context(), server_hostname="rdap.ripe.example"
            )
        strict = ssl.create_default_context(cafile=str(internet.ca_file))
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=strict, server_hostname="bank.example")

    on(WORLD, ask)


# --- questions ------------------------------------------------------------------------------------------------


def test_every_question_is_recorded() -> None:
    async def ask(internet: Internet) -> None:
        await whois(internet, "whois.ripe.example", "198.51.100.9")
        await rdap(internet, base_url(internet, "ipv4", "198.51.100.0/26") + "ip/198.51.100.9")
        await dns_answer(internet, "Pills.Example", "AAAA", tcp=True)
        seen = {(q.protocol, q.server, q.question) for q in internet.questions}
        assert seen >= {
            ("dns", "127.0.0.1 udp", "A whois.ripe.example"),
            ("dns", "127.0.0.1 tcp", "AAAA pills.example"),
            ("whois", "whois.ripe.example", "198.51.100.9"),
            ("rdap", "rdap.ripe.example", "/ip/198.51.100.9"),
        }
        assert [q.server for q in internet.asked("whois", "198.51")] == ["whois.ripe.example"]
        assert {q.at for q in internet.questions} == {NOW}

    async def held() -> None:
        async with loopback_internet(World.parse(WORLD), clock=lambda: NOW) as internet:
            await ask(internet)

    asyncio.run(held())
