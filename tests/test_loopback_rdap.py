"""The loopback internet's RDAP servers, asked over TLS."""

import asyncio
import ssl
from collections.abc import Callable

import httpx
import pytest

from complaints.loopback import Internet, World
from tests.loopback_clients import (
    WORLD,
    abuse_emails,
    base_url,
    on,
    rdap,
)


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
