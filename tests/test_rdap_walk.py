"""From the registry that IANA names to whoever knows better, over real sockets."""

import asyncio
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from abuse_lookup import Lookup, open_lookup
from complaints.loopback import World, loopback_internet
from tests.test_lookup import Seen, config_for, look_up
from tests.test_rdap import REGISTRY, needs_answers

DESKS = """
[domains."portal.example"]
mx = ["mx.portal.example"]
[domains."a.example"]
mx = ["mx.a.example"]
"""
NET = """
[networks."198.51.100.0/26"]
name = "CLOUD"
registry = "arin"
"""


def body(**members: Any) -> str:
    return f"rdap_body = '''{json.dumps(members)}'''\n"


def desk(address: str) -> dict[str, Any]:
    return {"roles": ["abuse"], "vcardArray": ["vcard", [["email", {}, "text", address]]]}


def link(href: str, rel: str) -> dict[str, str]:
    return {"href": href, "rel": rel, "type": "application/rdap+json"}


def network(name: str, registry: str, abuse: str, cidr: str = "203.0.113.0/24") -> str:
    return f'[networks."{cidr}"]\nname = "{name}"\nregistry = "{registry}"\nabuse = "{abuse}"\n'


def asked(seen: Seen, protocol: str = "rdap") -> list[tuple[str, str]]:
    return [(q.server, q.question) for q in seen.net.asked(protocol)]  # type: ignore[arg-type]


def first(found: Lookup) -> tuple[str | None, str, str]:
    best = found.contacts[0]
    return best.address, best.server, best.confidence


def test_a_registrar_knows_its_desk_better_than_the_registry_and_both_are_kept() -> None:
    seller = {"roles": ["registrar"], "entities": [desk("abuse@portal.example")]}
    links = [link("{base:loopback}domain/pills.example", "related")]
    world = (
        DESKS + '[domains."pills.example"]\n' + body(ldhName="PILLS.EXAMPLE", entities=[seller], links=links)
    )
    [found] = look_up(world, "pills.example").found
    registrar = [(c.address, c.server) for c in found.contacts if c.scope == "registrar"]
    assert registrar == [
        ("abuse@registrar.example", "rdap.registrar.example"),
        ("abuse@portal.example", "rdap.nic.example"),
    ]


def test_a_registrar_that_fails_leaves_what_the_registry_said() -> None:
    seller = {"roles": ["registrar"], "entities": [desk("abuse@portal.example")]}
    links = [link("{base:loopback}domain/pills.example", "related")]
    world = (
        DESKS + '[domains."pills.example"]\n' + body(ldhName="pills.example", entities=[seller], links=links)
    )
    [found] = look_up(world + '[registrars.loopback]\nrdap_way = "500"\n', "pills.example").found
    assert [c.address for c in found.contacts if c.scope == "registrar"] == ["abuse@portal.example"]
    assert [(f.server, f.reason) for f in found.failures] == [
        ("rdap.registrar.example", "rdap.registrar.example answered 500")
    ]


def test_a_registrar_that_is_only_named_is_asked_for_at_the_registry() -> None:
    seller = {"roles": ["registrar"], "handle": "9999"}
    world = DESKS + '[domains."pills.example"]\n' + body(ldhName="pills.example", entities=[seller])
    assert ("rdap.nic.example", "/entity/9999") in asked(look_up(world, "pills.example"))


def test_the_whois_server_that_a_registry_of_names_points_to_is_asked_first() -> None:
    world = (
        DESKS
        + '[domains."pills.example"]\n'
        + body(ldhName="pills.example", port43="whois.registrar.example")
    )
    seen = look_up(world, "pills.example")
    assert asked(seen, "whois")[0] == ("whois.registrar.example", "pills.example")
    assert "abuse@registrar.example" in [contact.address for contact in seen.found[0].contacts]


def test_an_answer_about_another_domain_counts_little() -> None:
    seller = {"roles": ["registrar"], "entities": [desk("abuse@portal.example")]}
    world = DESKS + '[domains."pills.example"]\n' + body(ldhName="other.example", entities=[seller])
    world += 'whois = "empty"\n'
    [found] = look_up(world, "pills.example").found
    whys = {contact.address: contact.why for contact in found.contacts}
    assert "in an answer about other.example" in whys["abuse@portal.example"]


def test_a_contact_named_by_its_handle_is_asked_for_at_the_registry_of_its_tag() -> None:
    world = NET + body(startAddress="198.51.100.0", endAddress="198.51.100.63", entities=[{"roles": ["abuse"], "handle": "ABUSE-OTHER-RIPE"}])  # fmt: skip
    seen = look_up(world + network("OTHER", "ripe", "abuse@other.example"), "198.51.100.1")
    assert first(seen.found[0]) == ("abuse@other.example", "rdap.arin.example", "high")
    assert asked(seen)[1] == ("rdap.ripe.example", "/entity/ABUSE-OTHER-RIPE")


def test_a_contact_that_is_only_named_and_cannot_be_had_is_a_failure() -> None:
    named = {"roles": ["abuse"], "links": [link("https://rdap.gone.example/entity/A", "self")]}
    world = NET + body(startAddress="198.51.100.0", endAddress="198.51.100.63", entities=[named])
    [found] = look_up(world, "198.51.100.1").found
    assert ("rdap", "rdap.gone.example") in [(failure.source, failure.server) for failure in found.failures]


def test_the_desk_inside_a_holder_that_is_only_linked_to_is_found() -> None:
    holder = {"roles": ["registrant"], "links": [link("{base:ripe}entity/ORG-OTHER-RIPE", "self")]}
    world = NET + body(startAddress="198.51.100.0", endAddress="198.51.100.63", entities=[holder])
    [found] = look_up(world + network("OTHER", "ripe", "abuse@other.example"), "198.51.100.1").found
    assert first(found) == ("abuse@other.example", "rdap.arin.example", "high")
    assert "hostmaster@other.example" not in str(found)


@pytest.mark.parametrize(
    "around",
    [
        {"links": [link("{base:arin}ip/198.51.100.0/24", "up")]},
        {"links": [link("{base:arin}ip/198.51.100.128", "rdap-up")]},
        {"parentHandle": "198.51.100.0 - 198.51.100.255"},
        {"parentHandle": "198.51.100.0/24"},
    ],
)
def test_a_network_that_names_nobody_is_answered_for_by_the_one_around_it(around: dict[str, Any]) -> None:
    world = (
        NET + 'whois = "empty"\n' + body(startAddress="198.51.100.0", endAddress="198.51.100.63", **around)
    )
    world += network("WIDE", "arin", "abuse@wide.example", "198.51.100.0/24")
    [found] = look_up(world, "198.51.100.1").found
    assert first(found) == ("abuse@wide.example", "rdap.arin.example", "low")
    assert "the wider network" in found.contacts[0].why
    assert "198.51.100.0/24" in found.contacts[0].why
    assert found.network == "198.51.100.0/26"


def test_a_registrys_pool_is_not_asked_about() -> None:
    world = NET + body(startAddress="198.51.100.0", endAddress="198.51.100.63", parentHandle="198.0.0.0/8")
    assert len(asked(look_up(world, "198.51.100.1"))) == 1


def test_a_registry_that_points_to_another_one_is_followed_there() -> None:
    moved = {
        "startAddress": "203.0.113.0",
        "endAddress": "203.0.113.255",
        "entities": [desk("abuse@ripe.net")],
    }
    remarks = [{"description": ["These addresses are described at whois.ripe.example."]}]
    world = network("MOVED", "ripe", "abuse@moved.example") + 'via = "arin"\n'
    world += f"via_body = '''{json.dumps({**moved, 'remarks': remarks})}'''\n"
    world += network(
        "ELSE", "ripe", "abuse@else.example", "192.0.2.0/24"
    )  # so that IANA names RIPE for something
    seen = look_up(world, "203.0.113.1")
    assert first(seen.found[0]) == ("abuse@moved.example", "rdap.ripe.example", "high")
    assert [item.address for item in seen.found[0].rejected] == ["abuse@ripe.net"]
    assert asked(seen, "whois") == []


@pytest.mark.parametrize(
    ("target", "answer", "about"),
    [
        ("198.51.100.1", {"startAddress": "192.0.2.0", "endAddress": "192.0.2.255"}, "192.0.2.0/24"),
        ("AS64500", {"startAutnum": 64501, "endAutnum": 64510}, "AS64501"),
    ],
)
def test_an_answer_about_something_else_is_not_believed(
    target: str, answer: dict[str, Any], about: str
) -> None:
    stranger = body(handle="X", entities=[desk("abuse@stranger.example")], **answer)
    world = NET + stranger + '[autnums."64500"]\nname = "A"\nregistry = "arin"\n' + stranger
    [found] = look_up(world, target).found
    assert "abuse@stranger.example" not in [contact.address for contact in found.contacts]
    assert f"answered about {about}" in found.failures[0].reason
    assert found.failures[0].permanent


def test_the_second_base_url_is_asked_when_the_first_fails(tmp_path: Path) -> None:
    async def run() -> tuple[Lookup, list[str]]:
        async with loopback_internet(World.parse(network("N", "ripe", "abuse@n.example"))) as net:
            shutil.copytree(net.rdap_bootstrap, tmp_path / "b")
            file = tmp_path / "b" / "ipv4.json"
            services = json.loads(file.read_text())["services"]
            mine = next(service for service in services if "203.0.113.0/24" in service[0])
            mine[1].insert(0, mine[1][0].replace("rdap.ripe.example", "rdap.gone.example"))
            file.write_text(json.dumps({"services": services}))
            async with open_lookup(config_for(net, rdap_bootstrap=tmp_path / "b")) as lookup:
                found = await lookup.find_contacts("203.0.113.1")
            return found, [q.server for q in net.asked("rdap")]

    found, servers = asyncio.run(run())
    assert first(found) == ("abuse@n.example", "rdap.ripe.example", "high")
    assert found.failures[0].server == "rdap.gone.example"
    assert servers == ["rdap.ripe.example"]


def test_a_notice_about_limits_slows_us_down() -> None:
    notice = [{"title": "Limits", "description": ["Query rate is maxed at 60 queries per 1 minutes"]}]
    world = DESKS + NET + body(startAddress="198.51.100.0", endAddress="198.51.100.63", notices=notice, entities=[desk("abuse@a.example")])  # fmt: skip
    started = time.monotonic()
    seen = look_up(world + network("B", "arin", "abuse@b.example"), "198.51.100.1", "203.0.113.1")
    assert time.monotonic() - started >= 1
    assert [first(found)[0] for found in seen.found] == ["abuse@a.example", "abuse@b.example"]


def test_an_answer_cut_for_asking_too_much_is_no_proof_that_nobody_is_there() -> None:
    cut = [{"type": "object truncated due to excessive load", "description": ["Too many questions."]}]
    world = NET + body(startAddress="198.51.100.0", endAddress="198.51.100.63", remarks=cut)
    [found] = look_up(world, "198.51.100.1", seconds=2.0).found
    [failure] = [failure for failure in found.failures if failure.source == "rdap"]
    assert "left data out: truncated due to excessive load" in failure.reason
    assert not failure.permanent


def as_world(entries: list[dict[str, Any]]) -> tuple[str, dict[str, dict[str, Any]]]:
    """Make a world that answers as real registries did, and say what a person reads off each answer."""
    text = '[world]\ntop_level_domains = ["com", "fr", "cz", "click", "moscow", "versicherung", "example"]\n'
    text += '[catch_all]\nregistry = "ripe"\nabuse = "abuse@{net}.elsewhere.example"\nnames = "127.0.0.1"\npublished = []\n'
    wanted = {}
    for entry in entries:
        answer = json.dumps(json.loads((REGISTRY / entry["file"]).read_text("utf-8"))).replace("'", "\\u0027")
        query = entry["query"].lower().removeprefix("as")
        if entry["kind"] == "ip":
            target, table = query, f'networks."{query}"'
        elif entry["kind"] == "autnum":
            target, table = f"AS{query}", f'autnums."{query}"'
        else:
            target = query if "." in query else f"{query}.example"
            table = f'domains."{target}"'
        head = f'mx = ["mx.{target}"]\n' if entry["kind"] == "domain" else 'name = "N"\nregistry = "ripe"\n'
        text += f"[{table}]\n{head}whois = \"empty\"\nrdap_body = '''{answer}'''\n"
        wanted[target] = entry
    return text, wanted


@needs_answers
def test_real_answers_lead_to_the_desk_that_a_careful_person_reads_off_them() -> None:
    expected = json.loads((REGISTRY / "expected.json").read_text("utf-8"))["ip_asn_rdap"]
    left = [entry for entry in expected if entry["file"].startswith("rdap/")]
    seen: list[tuple[dict[str, Any], Lookup]] = []
    while left:  # some are recorded twice, and neighbours would be answered from the cache
        once = {entry["query"].lower().removeprefix("as")[:7]: entry for entry in left}
        left = [entry for entry in left if entry not in once.values()]
        world, wanted = as_world(list(once.values()))
        found = look_up(world, *wanted, seconds=5.0, contact_zones=()).found
        seen += [(wanted[one.target], one) for one in found]
    assert len(seen) > 30
    for entry, one in seen:
        scope = "registrar" if entry["kind"] == "domain" else "network"
        mine = [contact for contact in one.contacts if contact.scope == scope]
        abuse, weak, never = ({text.lower() for text in entry[key]} for key in ("abuse", "weak", "must_not"))
        if abuse:
            assert mine[0].address in abuse, entry["file"]
        else:
            assert {contact.address for contact in mine} <= weak, entry["file"]
        assert not never & {(contact.address or "").lower() for contact in one.contacts}, entry["file"]
