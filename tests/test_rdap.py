"""RDAP answers as registries write them, and the bootstrap files that lead to them."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abuse_lookup import Status, Target
from abuse_lookup.answer import CONFIDENCES
from abuse_lookup.book import MemoryBook
from abuse_lookup.bootstrap import Bootstrap
from abuse_lookup.fetch import Fetcher
from abuse_lookup.mailbox import is_desk_name
from abuse_lookup.overrides import refusal
from abuse_lookup.pace import Pace
from abuse_lookup.rdap import _retry_after
from abuse_lookup.rdap_answer import linked_abuse_entities, read_domain, read_number, related_links
from abuse_lookup.reach import Reach
from abuse_lookup.resolver import Resolver

REGISTRY = Path(__file__).parent.parent.parent / "shared" / "data" / "registry"
needs_answers = pytest.mark.skipif(not REGISTRY.is_dir(), reason="../shared/data/registry absent")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def entity(*properties: list[Any], roles: Any = ("abuse",), **more: Any) -> dict[str, Any]:
    roles = list(roles) if isinstance(roles, tuple) else roles
    return {"roles": roles, "vcardArray": ["vcard", [["version", {}, "text", "4.0"], *properties]], **more}


def email(address: Any, **parameters: Any) -> list[Any]:
    return ["email", parameters, "text", address]


def addresses(*entities: Any) -> list[str | None]:
    return [found.address or found.form for found in read_number({"entities": list(entities)}).findings]


def test_an_abuse_entity_is_found_at_any_depth() -> None:
    deep = entity(email("abuse@net.example"))
    for _ in range(5):
        deep = {"roles": ["registrant"], "entities": [deep]}
    assert addresses(deep)[0] == "abuse@net.example"


def test_roles_may_be_a_list_a_string_or_missing() -> None:
    assert addresses(entity(email("a@net.example"), roles=("technical", "Abuse"))) == ["a@net.example"]
    assert addresses(entity(email("a@net.example"), roles="abuse")) == ["a@net.example"]
    assert addresses(entity(email("a@net.example"), roles=None)) == []
    assert addresses(entity(email("noc@net.example"), roles=("technical",))) == []


def test_a_jcards_preferred_mailbox_comes_first() -> None:
    card = entity(
        email("second@net.example"), email("first@net.example", pref="1"), email("desk@net.example", type=["work", "abuse"])
    )  # fmt: skip
    assert addresses(card) == ["desk@net.example", "first@net.example", "second@net.example"]


def test_mailboxes_in_lists_and_contact_uris_are_read() -> None:
    assert addresses(entity(email(["a@net.example", "b@net.example"]))) == ["a@net.example", "b@net.example"]
    assert addresses(entity(["contact-uri", {}, "uri", "mailto:c@net.example?subject=x"])) == [
        "c@net.example"
    ]
    assert addresses(entity(["contact-uri", {}, "uri", "https://net.example/abuse"])) == [
        "https://net.example/abuse"
    ]


def test_remarks_rank_below_roles() -> None:
    document = {
        "remarks": [{"description": ["Send abuse reports to remarks@net.example"]}],
        "entities": [entity(email("role@net.example"))],
    }
    assert [(f.address, f.confidence) for f in read_number(document).findings] == [
        ("role@net.example", "high"),
        ("remarks@net.example", "medium"),
    ]


def test_a_domain_names_its_registrars_desk_not_its_owners() -> None:
    document = {
        "entities": [
            entity(email("owner@pills.example"), roles=("abuse", "registrant")),
            {"roles": ["registrar"], "entities": [entity(email("abuse@registrar.example"))]},
        ],
        "links": [
            {
                "rel": "related",
                "type": "application/rdap+json",
                "href": "https://rdap.registrar.example/domain/x",
            },
            {"rel": "related", "type": "text/html", "href": "https://registrar.example/"},
            "nonsense",
        ],
    }
    assert [(f.address, f.scope) for f in read_domain(document).findings] == [
        ("abuse@registrar.example", "registrar")
    ]
    assert related_links(document) == ["https://rdap.registrar.example/domain/x"]


def test_an_abuse_contact_that_is_only_linked_to_is_named() -> None:
    link = {"rel": "self", "type": "application/rdap+json", "href": "https://rdap.example/entity/A"}
    assert linked_abuse_entities({"entities": [{"roles": ["abuse"], "links": [link]}]}) == [link["href"]]
    assert linked_abuse_entities({"entities": [entity(email("a@net.example"), links=[link])]}) == []


@needs_answers
def test_real_rdap_answers_are_read_as_a_careful_person_reads_them() -> None:
    expected = json.loads((REGISTRY / "expected.json").read_text("utf-8"))["ip_asn_rdap"]
    mine = [entry for entry in expected if entry["file"].startswith("rdap/")]
    wrong = []
    for entry in mine:
        document = json.loads((REGISTRY / entry["file"]).read_text("utf-8"))
        findings = (read_domain if entry["kind"] == "domain" else read_number)(document).findings
        usable = [f for f in findings if f.address and refusal(f.address, f.holder) is None]
        usable.sort(key=lambda f: (CONFIDENCES.index(f.confidence), not is_desk_name(f.address or "")))
        best = [(f.address or "").lower() for f in usable]
        abuse, weak, never = ({a.lower() for a in entry[key]} for key in ("abuse", "weak", "must_not"))
        right = best[:1] and best[0] in abuse if abuse else not best or best[0] in weak
        if not right or never & set(best):
            wrong.append(f"{entry['file']}: {best} instead of {sorted(abuse)}")
        if entry["kind"] == "domain":
            assert all(found.scope == "registrar" for found in usable)
    assert len(mine) > 30
    assert wrong == []


@needs_answers
def test_malformed_jcards_do_no_harm() -> None:
    torn = sorted((REGISTRY / "rdap" / "jcard-torture").glob("*.json"))
    assert torn
    for path in torn:
        try:
            card = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        for document in ({"roles": ["abuse"], "vcardArray": card}, card):
            read_number({"entities": [document]})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["entities", "roles", "vcardArray", "remarks", "description", "links", "rel", "href", "startAddress"]),
        inner,
        max_size=4,
    ),
    max_leaves=30,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["entities", "remarks", "links", "notices", "name", "endAddress"]), anything
    )
)
def test_reading_never_raises(document: dict[str, Any]) -> None:
    read_number(document)
    read_domain(document)
    related_links(document)
    linked_abuse_entities(document)


def test_a_wide_and_deep_answer_is_bounded() -> None:
    wide = {"entities": [{"roles": ["x"], "entities": [{"roles": ["y"]}] * 1000}] * 1000}
    started = time.perf_counter()
    read_number(wide)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0), ("", 60.0), ("soon", 60.0), ("9" * 30, 86400.0)],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    assert _retry_after(value, NOW) == seconds


def bases(folder: Path, target: str) -> tuple[Status, tuple[str, ...], bool]:
    async def run() -> tuple[Status, tuple[str, ...], bool]:
        reach = Reach(Resolver([("127.0.0.1", 9)], seconds=0.1), (), dns_on_loopback=False)
        fetcher = Fetcher(reach, ca_file=None, user_agent="tests")
        bootstrap = Bootstrap(folder, fetcher, Pace(0, lambda: NOW, MemoryBook()), lambda: NOW)
        answer = await bootstrap.bases(Target.parse(target))
        await fetcher.aclose()
        return answer.status, answer.value, bootstrap.may_be_plain("http://plain.example/ip/192.0.2.1")

    return asyncio.run(run())


@pytest.fixture
def iana(tmp_path: Path) -> Path:
    files = {
        "ipv4.json": [
            [["192.0.0.0/8"], ["https://wide.example/"]],
            [["192.0.2.0/24"], ["http://plain.example/", "https://narrow.example"]],
        ],
        "ipv6.json": [[["2001:db8::/32"], ["https://six.example/"]]],
        "asn.json": [[["64496-64511", "65536"], ["https://asn.example/"]]],
        "dns.json": [[["example"], ["https://tld.example/"]], [["co.example"], ["https://second.example/"]]],
    }
    for name, services in files.items():
        (tmp_path / name).write_text(json.dumps({"version": "1.0", "services": services}))
    return tmp_path


@pytest.mark.parametrize(
    ("target", "urls"),
    [
        ("192.0.2.1", ("https://narrow.example/", "http://plain.example/")),
        ("192.0.3.1", ("https://wide.example/",)),
        ("192.0.2.0/25", ("https://narrow.example/", "http://plain.example/")),
        ("192.0.0.0/16", ("https://wide.example/",)),
        ("2001:db8::1", ("https://six.example/",)),
        ("AS64500", ("https://asn.example/",)),
        ("AS65536", ("https://asn.example/",)),
        ("www.pills.example", ("https://tld.example/",)),
        ("pills.co.example", ("https://second.example/",)),
        ("203.0.113.1", ()),
        ("AS65537", ()),
        ("pills.test", ()),
    ],
)
def test_the_longest_match_of_ianas_files_wins(iana: Path, target: str, urls: tuple[str, ...]) -> None:
    status, found, _ = bases(iana, target)
    assert found == urls
    assert status is (Status.FOUND if urls else Status.ABSENT)


def test_plain_http_is_only_for_what_the_operators_files_name(iana: Path) -> None:
    assert bases(iana, "192.0.2.1")[2] is True
    assert bases(iana, "AS64500")[2] is False


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"services": 7}', "[" * 100_000])
def test_a_bootstrap_file_that_is_none_is_a_permanent_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "ipv4.json").write_text(text)
    assert bases(tmp_path, "192.0.2.1")[0] is Status.PERMANENT


def test_a_missing_bootstrap_file_is_a_temporary_error(tmp_path: Path) -> None:
    assert bases(tmp_path, "192.0.2.1")[0] is Status.TEMPORARY


def test_services_of_odd_shape_are_passed_over(tmp_path: Path) -> None:
    services = [7, ["x"], [["192.0.2.0/24", "rubbish", 7], ["https://a.example", 9]], [["x"], "y"]]
    (tmp_path / "ipv4.json").write_text(json.dumps({"services": services}))
    assert bases(tmp_path, "192.0.2.1")[1] == ("https://a.example/",)
