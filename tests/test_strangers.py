"""What strangers answer neither misleads a lookup nor ends or delays it, over real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from abuse_lookup import Lookup, open_lookup
from abuse_lookup.rdap_page import retry_after
from abuse_lookup.target import Target
from abuse_lookup.whois_answer import read
from complaints.loopback import World, loopback_internet
from tests.test_lookup import config_for, look_up
from tests.test_rdap_walk import NET, body, desk, first, link

DESK = '[domains."a.example"]\nmx = ["mx.a.example"]\n'
SILENT = """
[domains."proxy.example"]
mx = ["one.away.example", "two.away.example"]
[dns]
"away.example" = "timeout"
"abuse-contacts.example" = "timeout"
"""
PROXY = """
[[proxy]]
provider = "A shield"
networks = ["198.51.100.0/24"]
address = "abuse@proxy.example"
why = "it only passes traffic on"
source = "a call"
date = 2026-11-20
"""
HERE = {"startAddress": "198.51.100.0", "endAddress": "198.51.100.63"}


def test_an_object_about_all_addresses_is_about_nobodys_network() -> None:
    everything = {"startAddress": "0.0.0.0", "endAddress": "255.255.255.255"}
    [found] = look_up(
        DESK + NET + body(**everything, entities=[desk("abuse@a.example")]), "198.51.100.1"
    ).found
    assert "abuse@a.example" not in [contact.address for contact in found.contacts]
    assert found.network != "0.0.0.0/0"
    assert "0.0.0.0/0, which is nobody's network" in str(found.failures)


def test_whois_about_all_addresses_is_about_nobodys_network() -> None:
    text = "inetnum: 0.0.0.0 - 255.255.255.255\nnetname: IANA-BLK\nabuse-mailbox: abuse@a.example\n"
    sighting = read(text, Target.parse("198.51.100.1")).sighting
    assert (sighting.findings, sighting.span) == ((), None)


def test_an_object_of_another_kind_is_not_believed() -> None:
    other = body(objectClassName="domain", ldhName="a.example", entities=[desk("abuse@a.example")])
    [found] = look_up(DESK + NET + other, "198.51.100.1").found
    assert "abuse@a.example" not in [contact.address for contact in found.contacts]
    assert "answered about an object of the kind domain" in str(found.failures)


def test_a_contact_that_turns_out_to_be_another_one_is_not_believed() -> None:
    named = {
        "roles": ["abuse"],
        "handle": "DESK-1",
        "links": [link("{base:ripe}entity/ABUSE-OTHER-RIPE", "self")],
    }
    other = '[networks."203.0.113.0/24"]\nname = "OTHER"\nregistry = "ripe"\nabuse = "abuse@a.example"\n'
    world = DESK + NET + body(**HERE, entities=[named]) + other
    [found] = look_up(world, "198.51.100.1").found
    assert "abuse@a.example" not in [contact.address for contact in found.contacts]


@pytest.mark.parametrize("zone", ["-99999999999999999999", "+9999"])
def test_a_retry_after_that_no_clock_can_tell_is_a_minute(zone: str) -> None:
    assert retry_after(f"Fri, 20 Nov 2026 19:12:08 {zone}", datetime(2026, 11, 26, tzinfo=UTC)) == 60.0


@pytest.mark.parametrize("href", ["https://xn--/entity/DESK-1", "https://[::1/entity/DESK-1"])
def test_a_link_that_is_no_url_is_a_failure_beside_the_answer(href: str) -> None:
    named = {"roles": ["abuse"], "links": [link(href, "self")]}
    [found] = look_up(DESK + NET + body(**HERE, entities=[named]), "198.51.100.1").found
    assert "no usable URL" in str(found.failures)
    assert found.network == "198.51.100.0/26"


def test_links_to_a_server_that_the_operator_names_over_plain_http_are_followed(tmp_path: Path) -> None:
    async def run() -> Lookup:
        async with loopback_internet(World.parse(DESK)) as net, plain_registry() as base:
            (tmp_path / "ipv4.json").write_text(json.dumps({"services": [[["198.51.100.0/24"], [base]]]}))
            config = replace(config_for(net), rdap_bootstrap=tmp_path)
            async with open_lookup(config) as lookup:
                return await lookup.find_contacts("198.51.100.1")

    assert first(asyncio.run(run())) == ("abuse@a.example", "127.0.0.1", "high")


@asynccontextmanager
async def plain_registry() -> AsyncIterator[str]:
    """An RDAP server without TLS, whose network only links to its desk; yields its base URL."""
    base = ""

    def answer(path: str) -> dict[str, Any]:
        if "/entity/" in path:
            return {"objectClassName": "entity", "handle": "DESK-1", **desk("abuse@a.example")}
        named = {"roles": ["abuse"], "handle": "DESK-1", "links": [link(f"{base}entity/DESK-1", "self")]}
        return {"objectClassName": "ip network", **HERE, "entities": [named]}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split()
        text = json.dumps(answer(asked[1].decode())).encode() if len(asked) > 1 else b""
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/rdap+json\r\n\r\n" + text)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/r/"
        yield base


def test_the_deadline_holds_for_the_desk_of_a_row_of_our_own_as_well(tmp_path: Path) -> None:
    world = NET + 'rdap = "timeout"\nwhois = "timeout"\n' + SILENT
    (tmp_path / "desks.toml").write_text(PROXY)
    began = time.monotonic()
    [found] = look_up(world, "198.51.100.1", seconds=3.0, desks=tmp_path / "desks.toml").found
    assert time.monotonic() - began < 4.2
    assert [contact.address for contact in found.contacts] == ["abuse@proxy.example"]
    assert "could not be checked" in found.contacts[0].why


def test_a_mistake_of_ours_about_one_answer_is_a_failure_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("abuse_lookup.rdap.read_number", broken)
    [found] = look_up("demo", "198.51.100.23").found
    assert [(f.source, "failed on an answer" in f.reason) for f in found.failures] == [("lookup", True)]
    assert "RuntimeError at test_strangers.py" in caplog.text
    assert "a mistake" not in caplog.text  # its words can hold what was asked about
