"""Looking desks up, over real sockets, in a loopback internet that also misbehaves."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from abuse_lookup import AbuseLookup, Config, Lookup, UnusableTarget, open_lookup
from complaints.loopback import Internet, World, loopback_internet

CLOUD = """
[networks."198.51.100.0/26"]
name = "CLOUD"
registry = "ripe"
abuse = "abuse@cloud.example"
"""


@dataclass
class Seen:
    """The answers, and what the servers were asked for them."""

    found: list[Lookup]
    net: Internet

    def asked(self) -> list[tuple[str, str]]:
        return [(q.protocol, q.server) for q in self.net.questions if q.protocol in {"rdap", "whois"}]


def config_for(net: Internet, **settings: Any) -> Config:
    host, _, port = net.dns.rpartition(":")
    wanted: dict[str, Any] = {
        "dns": ((host, int(port)),),
        "rdap_bootstrap": net.rdap_bootstrap,
        "whois_root": net.whois_root,
        "whois_port": net.whois_port,
        "ca_file": net.ca_file,
        "contact_zones": net.contact_zones,
        "limit_per_minute": 0,
        "seconds": 10.0,
    }
    return Config(**(wanted | settings))


@asynccontextmanager
async def looking(world: str, **settings: Any) -> AsyncIterator[tuple[AbuseLookup, Internet]]:
    text = World.load("demo") if world == "demo" else World.parse(world)
    async with loopback_internet(text) as net, open_lookup(config_for(net, **settings)) as lookup:
        yield lookup, net


def look_up(world: str, *targets: str, **settings: Any) -> Seen:
    async def run() -> Seen:
        async with looking(world, **settings) as (lookup, net):
            return Seen([await lookup.find_contacts(target) for target in targets], net)

    return asyncio.run(run())


def best(found: Lookup) -> tuple[str | None, str, str, str]:
    first = found.contacts[0]
    return first.address, first.scope, first.source, first.confidence


@pytest.mark.parametrize(
    ("target", "contact", "network"),
    [
        ("192.0.2.10", ("abuse@victim.example", "network", "rdap", "high"), "192.0.2.0/26"),
        ("192.0.2.130", ("abuse@moved.example", "network", "rdap", "high"), "192.0.2.128/25"),
        ("198.51.100.70", ("abuse@isp.example", "network", "rdap", "high"), "198.51.100.64/26"),
        ("198.51.100.140", ("spam-report@pacific-host.example", "network", "rdap", "medium"), "198.51.100.128/26"),
        ("198.51.100.200", ("abuso@redes.example", "network", "rdap", "high"), "198.51.100.192/26"),
        ("203.0.113.20", ("abuse@savanna.example", "network", "whois", "high"), "203.0.113.0/26"),
        ("203.0.113.70", ("abuse@zoned.example", "network", "dns", "medium"), None),
        ("203.0.113.140", ("abuse@quiet.example", "domain", "dns", "low"), "203.0.113.128/26"),
        ("2001:db8:1::80", ("abuse@six.example", "network", "rdap", "high"), "2001:db8:1::/48"),
        ("198.51.100.16/28", ("abuse@cloud.example", "network", "rdap", "high"), "198.51.100.0/26"),
        ("AS64496", ("abuse@cloud.example", "network", "rdap", "high"), None),
        ("https://www.pills.example/x", ("abuse@cloud.example", "host", "rdap", "high"), None),
        ("joe@pills.example", ("abuse@cloud.example", "host", "rdap", "high"), None),
    ],
)  # fmt: skip
def test_the_desk_is_found_wherever_it_is_published(
    target: str, contact: tuple[str, str, str, str], network: str | None
) -> None:
    before = datetime.now(UTC)
    seen = look_up("demo", target)
    [found] = seen.found
    assert best(found) == contact
    assert found.network == network
    assert found.failures == ()
    first = found.contacts[0]
    assert first.server
    assert first.source not in {"rdap", "whois"} or (first.source, first.server) in seen.asked()
    assert first.why.endswith(".")
    assert before <= first.as_of <= datetime.now(UTC)


def test_a_domain_names_its_hosts_desk_before_itself_and_its_registrar() -> None:
    [found] = look_up("demo", "www.pills.example").found
    assert [(c.address, c.scope, c.confidence) for c in found.contacts] == [
        ("abuse@cloud.example", "host", "high"),
        ("abuse@pills.example", "domain", "low"),
        ("abuse@thrifty.example", "registrar", "low"),
    ]
    assert "198.51.100.9" in found.contacts[0].why


def test_a_platforms_own_desk_comes_before_its_networks() -> None:
    [found] = look_up(
        CLOUD + '[domains."shop.workers.dev"]\naddresses=["198.51.100.9"]\n', "shop.workers.dev"
    ).found
    first = found.contacts[0]
    assert (first.form, first.source, first.scope) == (
        "https://www.cloudflare.com/abuse/form",
        "known",
        "host",
    )
    assert found.document()["contacts"][0]["form"] == first.form
    assert "address" not in found.document()["contacts"][0]


def test_no_more_is_asked_than_is_needed() -> None:
    assert look_up("demo", "198.51.100.70").asked() == [("rdap", "rdap.arin.example")]


def test_neighbours_cost_no_new_question() -> None:
    seen = look_up("demo", "198.51.100.1", "198.51.100.2", "198.51.100.62")
    assert seen.asked() == [("rdap", "rdap.ripe.example")]
    assert [found.target for found in seen.found] == ["198.51.100.1", "198.51.100.2", "198.51.100.62"]
    assert {best(found)[0] for found in seen.found} == {"abuse@cloud.example"}


def test_neighbours_asked_at_once_are_asked_once() -> None:
    async def run() -> tuple[list[Lookup], list[str]]:
        async with looking("demo") as (lookup, net):
            found = await asyncio.gather(*(lookup.find_contacts(f"198.51.100.{n}") for n in range(60)))
            return list(found), [q.server for q in net.asked("rdap")]

    found, asked = asyncio.run(run())
    assert asked == ["rdap.ripe.example"]
    assert len(found) == 60


def test_the_cache_file_is_shared_and_outlives_the_process(tmp_path: Path) -> None:
    async def run() -> tuple[Lookup, Lookup, int]:
        async with loopback_internet(World.parse(CLOUD)) as net:
            config = config_for(net, cache_path=tmp_path / "lookup.db")
            async with open_lookup(config) as one, open_lookup(config) as other:
                first = await one.find_contacts("198.51.100.1")
                await other.find_contacts("198.51.100.9")
            async with open_lookup(config) as later:
                again = await later.find_contacts("198.51.100.1")
            return first, again, len(net.asked("rdap"))

    first, again, questions = asyncio.run(run())
    assert questions == 1
    assert first == again


@pytest.mark.parametrize("target", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "AS64512", "printer.local"])
def test_nobody_is_asked_about_what_is_not_public(target: str) -> None:
    seen = look_up("demo", target)
    assert seen.asked() == []
    assert seen.found[0].contacts == ()
    assert seen.found[0].rejected[0].why


def test_text_that_is_no_target_is_refused() -> None:
    with pytest.raises(UnusableTarget, match="two words"):
        look_up(CLOUD, "two words")


@pytest.mark.parametrize(
    ("way", "reason", "permanent"),
    [
        ("404", None, None),
        ("500", "answered 500", False),
        ("html", "text/html", False),
        ("bad-json", "no RDAP", False),
        ("loop", "redirects in a loop", True),
        ("downgrade", "not over TLS", True),
        ("timeout", "did not answer in time", False),
        ("huge", "more than a registry answer", True),
    ],
)
def test_whois_takes_over_from_rdap_that_misbehaves(
    way: str, reason: str | None, permanent: bool | None
) -> None:
    [found] = look_up(CLOUD + f'rdap = "{way}"\n', "198.51.100.1", seconds=3.0).found
    assert best(found) == ("abuse@cloud.example", "network", "whois", "high")
    if reason is None:
        assert found.failures == ()
    else:
        [failure] = found.failures
        assert (failure.source, failure.server, failure.permanent) == ("rdap", "rdap.ripe.example", permanent)
        assert reason in failure.reason


def test_an_rdap_answer_is_read_whatever_it_calls_itself() -> None:
    [found] = look_up(CLOUD + 'rdap = "wrong-type"\n', "198.51.100.1").found
    assert best(found) == ("abuse@cloud.example", "network", "rdap", "high")


def test_a_limit_that_ends_in_time_is_waited_for() -> None:
    world = "[world]\nretry_after = 1\n" + CLOUD + 'rdap = "429-once"\n'
    started = time.monotonic()
    [found] = look_up(world, "198.51.100.1").found
    assert best(found)[2] == "rdap"
    assert time.monotonic() - started >= 1


def test_a_limit_that_does_not_end_leaves_the_server_alone() -> None:
    world = "[world]\nretry_after = 600\n" + CLOUD + 'rdap = "429"\n'
    world += '[networks."198.51.100.64/26"]\nname = "TWO"\nregistry = "ripe"\nabuse = "abuse@two.example"\n'
    seen = look_up(world, "198.51.100.1", "198.51.100.70")
    assert [best(found)[2] for found in seen.found] == ["whois", "whois"]
    assert [server for kind, server in seen.asked() if kind == "rdap"] == ["rdap.ripe.example"]
    assert "is not asked for another" in seen.found[1].failures[0].reason


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("timeout", "did not answer"),
        ("refuse", ""),
        ("empty", "without an answer"),
        ("rate-limit", "it answered"),
        ("loop", None),
        ("garbage", None),
    ],
)
def test_whois_that_misbehaves_is_a_failure_not_a_hang(way: str, reason: str | None) -> None:
    started = time.monotonic()
    [found] = look_up(CLOUD + f'rdap = "500"\nwhois = "{way}"\n', "198.51.100.1", seconds=3.0).found
    assert time.monotonic() - started < 5
    assert found.contacts == ()
    failures = [f for f in found.failures if f.source == "whois"]
    if reason is not None:
        assert reason in failures[0].reason
        assert failures[0].server == "whois.ripe.example"


@pytest.mark.parametrize("way", ["no-newline", "huge", "slow"])
def test_whois_that_is_only_odd_still_answers(way: str) -> None:
    world = "[world]\nslow_seconds = 0.2\n" + CLOUD + f'rdap = "404"\nwhois = "{way}"\n'
    [found] = look_up(world, "198.51.100.1").found
    assert best(found) == ("abuse@cloud.example", "network", "whois", "high")


def test_a_network_that_moved_is_followed_in_whois_too() -> None:
    [found] = look_up(CLOUD + 'via = "arin"\nrdap = "404"\n', "198.51.100.1").found
    assert best(found) == ("abuse@cloud.example", "network", "whois", "high")
    assert found.contacts[0].server == "whois.ripe.example"


def test_a_registrys_certificate_is_verified() -> None:
    [found] = look_up(CLOUD, "198.51.100.1", ca_file=None).found
    assert best(found)[2] == "whois"
    assert "certificate" in found.failures[0].reason.lower()


def test_a_mailbox_that_cannot_receive_is_rejected_with_the_reason() -> None:
    [found] = look_up(CLOUD + '[domains."cloud.example"]\nmx = ["."]\n', "198.51.100.1").found
    assert found.contacts == ()
    assert {item.address for item in found.rejected} == {"abuse@cloud.example"}
    assert "null MX" in found.rejected[0].why


def test_a_mailbox_whose_domain_cannot_be_checked_is_kept_and_says_so() -> None:
    [found] = look_up(CLOUD + '[dns]\n"cloud.example" = "servfail"\n', "198.51.100.1").found
    assert best(found)[0] == "abuse@cloud.example"
    assert "could not be checked" in found.contacts[0].why
    assert [(f.source, f.permanent) for f in found.failures] == [("dns", False)]


def test_a_registry_mailbox_is_rejected_and_the_search_goes_on() -> None:
    world = CLOUD.replace("abuse@cloud.example", "abuse@lacnic.net")
    [found] = look_up(world + '[zones]\n"lacnic.net" = "@ IN MX 10 mx.lacnic.net."\n', "198.51.100.1").found
    assert found.contacts == ()
    assert [item.address for item in found.rejected] == ["abuse@lacnic.net"]


def test_a_national_registrys_server_is_asked_where_its_mailbox_is_no_desk() -> None:
    world = (
        CLOUD.replace("abuse@cloud.example", "irt@nic.or.kr")
        + """
[registries.kisa]
whois = "whois.kisa.or.kr"
rdap = "rdap.kisa.example"
network = '''
query : {query}

# ENGLISH

KRNIC is not an ISP but a National Internet Registry similar to APNIC.

[ Network Information ]
IPv4 Address       : {range}
Organization Name  : {org}

Name               : IP Manager
E-Mail             : manager@provider.example
'''
none = "{query}"
rate_limit = "limit"
[domains."provider.example"]
mx = ["mx.provider.example"]
"""
    )
    world = world.replace(
        'registry = "ripe"',
        'registry = "kisa"\nvia = "ripe"\nrdap_body = \'\'\''
        + json.dumps(
            {
                "entities": [
                    {"roles": ["abuse"], "vcardArray": ["vcard", [["email", {}, "text", "irt@nic.or.kr"]]]}
                ]
            }
        )
        + "'''",
    )
    seen = look_up(world, "198.51.100.1")
    assert best(seen.found[0]) == ("manager@provider.example", "network", "whois", "medium")
    assert seen.found[0].contacts[0].server == "whois.kisa.or.kr"
    assert [item.address for item in seen.found[0].rejected] == ["irt@nic.or.kr"]


def test_a_dead_name_server_is_a_clear_failure_within_the_deadline(tmp_path: Path) -> None:
    async def run() -> Lookup:
        config = Config(dns=(("127.0.0.1", 9),), rdap_bootstrap=tmp_path, seconds=1.0, limit_per_minute=0)
        async with open_lookup(config) as lookup:
            return await lookup.find_contacts("198.51.100.1")

    started = time.monotonic()
    found = asyncio.run(run())
    assert time.monotonic() - started < 2
    assert found.contacts == ()
    assert {failure.source for failure in found.failures} >= {"rdap", "whois"}


def test_the_deadline_holds_when_everything_hangs() -> None:
    world = CLOUD + 'rdap = "timeout"\nwhois = "timeout"\n[dns]\n"abuse-contacts.example" = "timeout"\n'
    started = time.monotonic()
    [found] = look_up(world, "198.51.100.1", seconds=1.5).found
    assert time.monotonic() - started < 3
    assert found.contacts == ()
    assert all(not failure.permanent for failure in found.failures)


def test_limits_hold_over_all_questions_to_one_server() -> None:
    world = "".join(
        f'[networks."198.51.100.{n * 8}/29"]\nname = "N{n}"\nregistry = "ripe"\nabuse = "abuse@n{n}.example"\n'
        for n in range(8)
    )
    targets = [f"198.51.100.{n * 8 + 1}" for n in range(8)]
    seen = look_up(world, *targets, limit_per_minute=25, seconds=2.0)
    rdap = [server for kind, server in seen.asked() if kind == "rdap"]
    assert len(rdap) == 2
    assert "gets at most 25 questions a minute" in seen.found[-1].failures[0].reason


def test_the_document_has_the_published_shape() -> None:
    [found] = look_up("demo", "198.51.100.1").found
    document = found.document()
    assert list(document) == [
        "target",
        "kind",
        "network",
        "contacts",
        "rejected",
        "failures",
        "as_of",
        "stale",
    ]
    assert list(document["contacts"][0]) == [
        "address",
        "scope",
        "source",
        "server",
        "confidence",
        "why",
        "as_of",
        "also",
    ]
    assert Lookup.from_document(document) == found
