"""RDAP answers as registries write them."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abuse_lookup.answer import CONFIDENCES, Status
from abuse_lookup.contact_card import read_card
from abuse_lookup.fetch import Page
from abuse_lookup.mailbox import is_desk_name
from abuse_lookup.overrides import refusal
from abuse_lookup.rdap_answer import (
    Elsewhere,
    linked_contacts,
    read_domain,
    read_number,
    related_links,
    withheld,
)
from abuse_lookup.rdap_page import Ended, reply_of, retry_after

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
    named = {"roles": ["abuse"], "links": [link], "handle": "A-RIPE"}
    assert linked_contacts({"entities": [named]}, domain=False) == [Elsewhere((link["href"],), "A-RIPE")]
    assert linked_contacts({"entities": [entity(email("a@net.example"), links=[link])]}, domain=False) == []


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
        scope = "registrar" if entry["kind"] == "domain" else "network"
        assert {found.scope for found in findings} <= {scope}, entry["file"]
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


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["entities", "remarks", "links", "notices", "name", "endAddress"]), anything
    )
)
def test_reading_never_raises(document: dict[str, Any]) -> None:
    read_number(document)
    read_domain(document)
    related_links(document)
    linked_contacts(document, domain=False)
    linked_contacts(document, domain=True)


def test_an_answer_with_very_many_mailboxes_is_bounded() -> None:
    many = [entity(email(f"abuse@net{n}.example")) for n in range(500)]
    assert len(read_number({"entities": many}).findings) == 20


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
    assert retry_after(value, NOW) == seconds


def weights(*entities: Any) -> dict[str | None, str]:
    found = read_number({"entities": list(entities)}).findings
    return {finding.address or finding.form: finding.confidence for finding in found}


def test_beside_the_mailbox_that_a_card_prefers_others_count_little() -> None:
    declared = entity(email("noc@net.example", type="email"), email("abuse@net.example", type=["abuse"]))
    preferred = entity(email("noc@a.example"), email("desk@a.example", pref=1), email("spam@a.example"))
    equal = entity(email("one@b.example"), email("two@b.example"))
    assert weights(declared) == {"abuse@net.example": "high", "noc@net.example": "low"}
    assert weights(preferred) == {"desk@a.example": "high", "spam@a.example": "high", "noc@a.example": "low"}
    assert weights(equal) == {"one@b.example": "high", "two@b.example": "high"}


@pytest.mark.parametrize(
    "card",
    [
        [["email", "text", "abuse@net.example"]],
        [["email", {}, "abuse@net.example"]],
        [["EMAIL", {"group": "x"}, "text", ["", ["abuse@net.example"]]]],
        [["email", {}, "text", "", "abuse@net.example"]],
        [["email", None, "text", {"value": "Abuse <abuse@net.example>"}]],
        [["email", {}, "uri", "mailto:abuse@net.example"]],
        [7, None, [], [[]], ["email"], ["email", {}, "text", "abuse[at]net.example"]],
    ],
)
def test_a_jcards_mailbox_is_read_however_its_property_is_bent(card: list[Any]) -> None:
    for frame in (
        ["vcard", card],
        ["vcard", [["version", {}, "text", "4.0"]], card],
        ["vcard", *card],
        [card],
    ):
        assert addresses({"roles": ["abuse"], "vcardArray": frame}) == ["abuse@net.example"], frame


def test_a_mailbox_in_the_wrong_place_is_read_with_less_trust() -> None:
    note = entity(["note", {}, "text", "Write to abuse@net.example"])
    label = entity(["adr", {"label": "1 Street\nabuse@net.example"}, "text", ["", "", "", "", "", "", ""]])
    assert weights(note) == weights(label) == {"abuse@net.example": "medium"}
    assert addresses(entity(["note", {}, "text", "noc@net.example"], email("abuse@net.example"))) == [
        "abuse@net.example",
        "noc@net.example",
    ]


def test_what_a_registry_masked_is_no_mailbox() -> None:
    masked = entity(
        email("a****e@net.example"), email("REDACTED FOR PRIVACY"), email("Please query the RDDS")
    )
    assert addresses(masked) == []
    redacted = [{"name": {"description": "Abuse Email"}, "method": "removal"}, 7, {"name": "x"}]
    assert withheld({"redacted": redacted})
    assert not withheld({"redacted": [{"name": {"type": "Registrant Name"}}]})


@pytest.mark.parametrize(
    "card",
    [
        {"@type": "Card", "emails": {"e1": {"address": "abuse@net.example"}}},
        {"emails": {"e1": {"@type": "EmailAddress", "email": "abuse@net.example", "pref": 1}}},
        {"emails": [{"email": "abuse@net.example"}]},
        {"emails": {"e1": "abuse@net.example"}},
        {"links": {"l1": {"kind": "contact", "uri": "mailto:abuse@net.example"}}},
    ],
)
@pytest.mark.parametrize("member", ["jscard", "jscontact_card"])
def test_a_jscontact_card_is_read_too(card: dict[str, Any], member: str) -> None:
    assert addresses({"roles": ["abuse"], member: card}) == ["abuse@net.example"]


def test_a_jscontact_cards_names_and_forms_are_read() -> None:
    card = {
        "name": {"full": "Net Desk"},
        "organizations": {"o": {"name": "Net Ltd."}},
        "links": {
            "a": {"kind": "contact", "uri": "https://net.example/form"},
            "b": {"uri": "https://net.example/"},
        },
    }
    found = read_card({"jscard": card})
    assert found.names == ("Net Desk", "Net Ltd.")
    assert found.forms == ("https://net.example/form",)


def test_a_home_page_is_no_form() -> None:
    assert weights(entity(["url", {}, "uri", "https://net.example/"])) == {}
    assert weights(entity(["url", {}, "uri", "https://net.example/abuse"])) == {
        "https://net.example/abuse": "high"
    }


def test_a_form_in_remarks_is_named_where_there_is_nothing_better() -> None:
    remarks = [{"description": "Abuse reports: https://net.example/report"}]
    assert [f.form for f in read_number({"remarks": remarks}).findings] == ["https://net.example/report"]
    document = {"remarks": remarks, "entities": [entity(email("abuse@net.example"))]}
    assert [f.form for f in read_number(document).findings] == [None]


@pytest.mark.parametrize(
    "document",
    [
        {"startAddress": "192.0.2.0", "endAddress": "192.0.2.255"},
        {"startAddress": "192.0.2.0/32", "endAddress": "192.0.2.255/32"},
        {"startAddress": "192.000.002.000", "endAddress": "192.000.002.255"},
        {"cidr0_cidrs": [{"v4prefix": "192.0.2.0", "length": 24}]},
        {"handle": "192.0.2.0 - 192.0.2.255"},
    ],
)
def test_the_range_is_read_however_a_registry_writes_it(document: dict[str, Any]) -> None:
    span = read_number(document).span
    assert span is not None
    assert (str(span.first), str(span.last)) == ("192.0.2.0", "192.0.2.255")


def test_the_whois_servers_that_an_answer_names_are_read() -> None:
    remarks = [{"description": ["Look it up at WHOIS.nic.example, or", "whois -h whois.nic.example"]}]
    assert read_number({"port43": "whois.rir.example", "remarks": remarks}).whois == (
        "whois.rir.example",
        "whois.nic.example",
    )


@pytest.mark.parametrize(
    "roles", [["registrar", "abuse"], ["sponsor", "abuse"], ["abuse contact", "registrar"]]
)
def test_a_registrar_that_is_its_own_desk_is_found(roles: list[str]) -> None:
    document = {"entities": [entity(email("abuse@registrar.example"), roles=tuple(roles))]}
    assert [f.confidence for f in read_domain(document).findings] == ["high"]


def test_the_registrars_own_card_counts_where_it_names_a_desk() -> None:
    registrar = entity(
        email("info@registrar.example"), email("abuse@registrar.example"), roles=("registrar",)
    )
    found = [(f.address, f.confidence, f.scope) for f in read_domain({"entities": [registrar]}).findings]
    assert found == [("abuse@registrar.example", "medium", "registrar")]
    remark = {"roles": ["registrar"], "remarks": [{"description": "Report abuse to desk@registrar.example"}]}
    assert [f.address for f in read_domain({"entities": [remark]}).findings] == ["desk@registrar.example"]


def test_a_desk_beside_the_registrar_counts_less_and_one_inside_the_owner_not_at_all() -> None:
    inside = {"roles": ["registrant"], "entities": [entity(email("abuse@pills.example"))]}
    document = {"entities": [inside, entity(email("abuse@reseller.example"))]}
    found = [(f.address, f.confidence) for f in read_domain(document).findings]
    assert found == [("abuse@reseller.example", "medium")]


def test_somebody_called_abuse_counts_also_without_the_role() -> None:
    team = entity(["fn", {}, "text", "Abuse Team"], email("team@net.example"), roles=("technical",))
    assert weights(team) == {"team@net.example": "medium"}
    assert weights(entity(email("noc@net.example"), roles=None, handle="ABUSE1-NET")) == {
        "noc@net.example": "medium"
    }
    assert weights(entity(email("noc@net.example"), roles=None, handle="NOC1-NET")) == {}


def test_what_the_registry_itself_doubts_is_said() -> None:
    doubted = entity(email("abuse@net.example"), remarks=[{"title": "Unvalidated POC", "description": ["x"]}])
    [finding] = read_number({"entities": [doubted]}).findings
    assert "ARIN got no answer" in finding.why


def test_a_contact_that_the_registry_found_invalid_counts_little() -> None:
    said = [{"title": "remarks", "description": ["abuse@net.example is invalid"]}]
    assert weights(entity(email("abuse@net.example"), remarks=said)) == {"abuse@net.example": "low"}


def test_a_notice_that_the_limit_is_reached_is_told_from_terms_that_speak_of_limits() -> None:
    def limit(words: str) -> str:
        body = json.dumps({"handle": "N", "notices": [{"title": "Notice", "description": [words]}]}).encode()
        return reply_of(Page(httpx.URL("https://rdap.example/x"), 200, httpx.Headers(), body)).limit

    assert limit("Query rate limit exceeded. Reduced information.")
    assert not limit("Access is limited: when too many queries come, further ones are rejected for a while.")


@pytest.mark.parametrize("wrapped", ["[%s]", "\ufeff%s", "%s"])
def test_an_object_is_read_in_whatever_it_is_wrapped(wrapped: str) -> None:
    body = (wrapped % json.dumps({"handle": "N"})).encode()
    page = Page(httpx.URL("https://rdap.example/ip/192.0.2.1"), 200, httpx.Headers(), body)
    assert reply_of(page).document == {"handle": "N"}


@pytest.mark.parametrize(
    ("status", "body", "answer", "words"),
    [
        (404, "", Status.ABSENT, "knows nothing"),
        (200, '{"errorCode": 404}', Status.ABSENT, "knows nothing"),
        (200, '{"errorCode": "501", "title": "no\\u0007bell"}', Status.PERMANENT, "answered 501 (no bell)"),
        (400, "<html>", Status.PERMANENT, "answered 400"),
        (
            403,
            '{"title": "Forbidden", "description": ["Rate limit exceeded"]}',
            Status.TEMPORARY,
            "answered 403",
        ),
        (403, "<html><p>You are being rate limited</p></html>", Status.TEMPORARY, "answered 403"),
        (403, '{"title": "Forbidden"}', Status.PERMANENT, "answered 403"),
        (408, "", Status.TEMPORARY, "answered 408"),
        (204, "", Status.TEMPORARY, "answered 204"),
        (200, "[1, 2]", Status.TEMPORARY, "no RDAP"),
        (200, '{"x": 1}', Status.TEMPORARY, "no RDAP"),
        (200, "[" * 50_000, Status.TEMPORARY, "no RDAP"),
        (200, '{"handle": ' + "9" * 5000 + "}", Status.TEMPORARY, "no RDAP"),
    ],
)
def test_what_is_no_object_is_absent_or_an_error(status: int, body: str, answer: Status, words: str) -> None:
    page = Page(httpx.URL("https://rdap.example/ip/192.0.2.1"), status, httpx.Headers(), body.encode())
    with pytest.raises(Ended, match=re.escape(words)) as ended:
        reply_of(page)
    assert ended.value.answer.status is answer
