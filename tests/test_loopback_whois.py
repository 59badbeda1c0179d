"""The loopback internet's WHOIS servers, asked over TCP."""

import time
from collections.abc import Callable

import pytest

from complaints.loopback import Internet, World, places
from tests.loopback_clients import WORLD, base_url, on, rdap, records, whois


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
