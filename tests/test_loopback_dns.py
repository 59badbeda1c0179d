"""The loopback internet's DNS, asked by dnspython."""

import asyncio
import socket
import time

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.reversename
import pytest

from complaints.loopback import Internet
from tests.loopback_clients import (
    WORLD,
    dns_answer,
    on,
    records,
    whois,
)


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
