"""The reporter's mail hosts in the DNS: MX names, their addresses, and the names that point there and back."""

import asyncio
from pathlib import Path
from typing import Any

from sqlmodel import select

from abuse_lookup import Resolver
from complaints import evidence, mail_hosts, reporters, submission
from complaints.loopback import World, loopback_internet
from complaints.models import Complaint, ComplaintState, Json, Reporter
from complaints.office import Office
from complaints.settings import load
from complaints.trust import Trust

ZONES = """
[zones]
"office.example" = '''
@    IN MX 10 mx1.office.example.
@    IN MX 20 in.hoster.example.
mx1  IN A 192.0.2.20
mx1  IN A 10.9.8.7
'''
"hoster.example" = '''
@    IN A 203.0.113.30
in   IN A 203.0.113.31
gate IN A 192.0.2.20
ec2-203-0-113-31.compute IN A 203.0.113.31
'''
"cloudmail.example" = '''
@    IN MX 10 aspmx.l.google.com.
'''
"google.com" = '''
aspmx.l IN A 203.0.113.40
'''
"bare.example" = '''
@    IN MX 10 hoster.example.
'''
"lame.example" = '''
@    IN MX 10 mx.lame.example.
mx   IN A 203.0.113.50
'''
[reverse]
"192.0.2.20" = "gate.hoster.example"
"203.0.113.31" = "ec2-203-0-113-31.compute.hoster.example"
"203.0.113.30" = "hoster.example"
"203.0.113.40" = "mail-ed1-f41.google.com"
"""


def found(*addresses: str, more: str = "", world: str = ZONES) -> tuple[list[Json], list[str]]:
    """The rows and failed domains of these addresses, in a world with the zones above."""

    async def main() -> tuple[list[Json], list[str]]:
        async with loopback_internet(World.load("demo").extended(world + more)) as internet:
            host, _, port = internet.dns.rpartition(":")
            return await mail_hosts.lookup(Resolver([(host, int(port))], seconds=1), addresses)

    return asyncio.run(main())


def test_mx_hosts_their_public_addresses_and_confirmed_names_are_the_reporters_own() -> None:
    rows, failed = found("alice@office.example")
    assert failed == []
    mx = {"how": "mx", "of": "office.example"}
    assert rows == [
        {"host": "mx1.office.example", **mx},
        {"host": "in.hoster.example", **mx},
        {"address": "192.0.2.20", **mx, "via": "mx1.office.example"},
        {"address": "203.0.113.31", **mx, "via": "in.hoster.example"},
        {"host": "gate.hoster.example", **mx, "via": "192.0.2.20"},
        {"host": "ec2-203-0-113-31.compute.hoster.example", **mx, "via": "203.0.113.31"},
    ]


def test_a_name_that_points_there_trusts_that_host_and_not_its_neighbours() -> None:
    trust = Trust.of([row.get("host") or row["address"] for row in found("alice@office.example")[0]])
    assert trust.has_host("ec2-203-0-113-31.compute.hoster.example")
    assert not trust.has_host("ec2-203-0-113-99.compute.hoster.example")
    assert not trust.has_host("out.hoster.example")


def test_of_a_provider_only_the_name_is_taken() -> None:
    """Which of a provider's hosts are inside stands in its row, never in the addresses of the day."""
    rows, _ = found("alice@cloudmail.example")
    assert rows == [{"host": "aspmx.l.google.com", "how": "mx", "of": "cloudmail.example"}]


def test_a_domain_that_is_somebody_elses_mail_host_is_trusted_by_its_address_only() -> None:
    rows, _ = found("alice@bare.example")
    assert [row.get("host") or row["address"] for row in rows] == ["203.0.113.30"]
    own, _ = found("alice@hoster.example")
    assert [row.get("host") or row["address"] for row in own] == ["hoster.example", "203.0.113.30"]


def test_a_silent_reverse_zone_puts_nothing_off_and_a_silent_domain_does() -> None:
    rows, failed = found("a@lame.example", more='[dns]\n"113.0.203.in-addr.arpa" = "servfail"\n')
    assert ([row.get("host") or row["address"] for row in rows], failed) == (
        ["mx.lame.example", "203.0.113.50"],
        [],
    )
    rows, failed = found("a@lame.example", "b@office.example", more='[dns]\n"lame.example" = "servfail"\n')
    assert failed == ["lame.example"]
    assert {row["of"] for row in rows} == {"office.example"}


def test_what_is_asked_is_bounded() -> None:
    many = "".join(f"@ IN MX {n} m{n}.many.example.\n" for n in range(60))
    many += "".join(f"m{n} IN A 203.0.113.{n + 60}\n" for n in range(60))
    domains = [f"a@d{n}.example" for n in range(30)]
    zone = f"[zones]\n\"many.example\" = '''\n{many}'''\n"
    rows, _ = found("a@many.example", *domains, world=zone)
    assert (
        len([row for row in rows if row["of"] == "many.example" and "via" not in row])
        == mail_hosts.MOST_HOSTS
    )
    assert len({row["of"] for row in rows}) <= mail_hosts.MOST_DOMAINS


def office_of(tmp_path: Path, dns: str, address: str) -> tuple[Office, str]:
    office = Office.open(load(data=tmp_path / "data", mail_domain="plaint.example", dns=dns))
    with office.db.transaction() as session:
        reporter = reporters.add(session, office, address, verified=True).reporter
    return office, reporter.id


def read(office: Office, resolver: Resolver, raw: bytes) -> Any:
    """Hand a spam in and read it; returns its row."""

    async def main() -> Complaint:
        with office.db.transaction() as session:
            reporter = session.exec(select(Reporter)).one()
            row = submission.accept(session, office, reporter, raw, via="test", forwarded=False)
            [item] = submission.unwrap(
                session, office, row, submission.contents_of(office, reporter, row)
            ).outcome
        await evidence.step(office, resolver, item["complaint"])
        with office.db.reading() as session:
            return session.get_one(Complaint, item["complaint"])

    return main()


def spam(subject: str) -> bytes:
    """It came to the hoster's gateway and on to the office's own store, which has another name."""
    date = "Thu, 26 Nov 2026 08:00:00 +0000"
    return (
        f"Received: from gate.hoster.example (gate.hoster.example [192.0.2.20])\r\n"
        f"\tby store.victim.example (Postfix) with ESMTPS id 2; {date}\r\n"
        f"Received: from seller.example (unknown [198.51.100.23])\r\n"
        f"\tby gate.hoster.example (Postfix) with ESMTP id 1; {date}\r\n"
        f"Subject: {subject}\r\n\r\nBuy.\r\n"
    ).encode()


def test_the_reporters_gateway_is_never_accused_and_known_still_when_the_dns_is_silent(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with loopback_internet(World.load("demo").extended(ZONES)) as internet:
            host, _, port = internet.dns.rpartition(":")
            resolver = Resolver([(host, int(port))], seconds=1)
            office, reporter_id = office_of(tmp_path, internet.dns, "alice@office.example")
            complaint = await read(office, resolver, spam("one"))
            assert (complaint.state, complaint.source_ip) == (ComplaintState.ANALYSED, "198.51.100.23")
            with office.db.reading() as session:
                kept = session.get_one(Reporter, reporter_id).mail_hosts
            assert {"address": "192.0.2.20", "via": "mx1.office.example"}.items() <= kept[2].items()
            assert all(row["since"] for row in kept)
            silent = Resolver([("127.0.0.1", 9)], seconds=0.2)
            later = await read(office, silent, spam("two"))
            assert later.state == ComplaintState.RECEIVED, "a temporary failure puts the reading off"
            with office.db.transaction() as session:
                session.get_one(Complaint, later.id).lookups = evidence.TRIES
            await evidence.step(office, silent, later.id)
            with office.db.reading() as session:
                again = session.get_one(Complaint, later.id)
                assert session.get_one(Reporter, reporter_id).mail_hosts == kept
            assert again.source_ip == "198.51.100.23"
            assert "could not be looked up" in str(again.evidence)
            office.close()

    asyncio.run(main())
