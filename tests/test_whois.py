"""WHOIS answers as registries write them, read for their abuse contacts and referrals."""

import time
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abuse_lookup import Target
from abuse_lookup.errors import ConfigError
from abuse_lookup.knowledge import checked, rows
from abuse_lookup.mailbox import complaint_addresses
from abuse_lookup.overrides import refusal
from abuse_lookup.span import parse_span, span_text
from abuse_lookup.whois_answer import read
from abuse_lookup.whois_dialect import query_for


def mailboxes(text: str, target: str) -> list[str]:
    return [found.address or "" for found in read(text, Target.parse(target)).sighting.findings]


ARIN = """
NetRange:       198.51.100.0 - 198.51.100.255
OrgName:        Cloud
OrgTechEmail:   noc@cloud.example
OrgAbuseName:   Abuse Desk
OrgAbuseEmail:  abuse@cloud.example
OrgAbuseName:   Doe, Jane
OrgAbuseEmail:  jane@cloud.example
"""


def test_arin_names_the_organisations_desk_and_ranks_people_below_roles() -> None:
    found = read(ARIN, Target.parse("198.51.100.7")).sighting
    assert [(f.address, f.confidence) for f in found.findings] == [
        ("abuse@cloud.example", "high"),
        ("jane@cloud.example", "medium"),
    ]
    assert found.span is not None
    assert span_text(found.span) == "198.51.100.0/24"


def test_the_smallest_network_that_covers_the_target_speaks_first() -> None:
    text = (
        "# start\nNetRange: 198.51.0.0 - 198.51.255.255\nOrgAbuseEmail: abuse@big.example\n# end\n"
        "# start\nNetRange: 198.51.100.0 - 198.51.100.255\nOrgAbuseEmail: abuse@small.example\n# end\n"
        "# start\nNetRange: 198.51.101.0 - 198.51.101.255\nOrgAbuseEmail: abuse@other.example\n# end\n"
    )
    found = read(text, Target.parse("198.51.100.7")).sighting
    assert [(f.address, f.confidence) for f in found.findings] == [
        ("abuse@small.example", "high"),
        ("abuse@big.example", "low"),
    ]


def test_an_answer_about_another_network_is_not_believed() -> None:
    assert mailboxes(ARIN, "203.0.113.1") == []


def test_ripe_says_it_in_a_comment_and_route_objects_say_nothing() -> None:
    text = (
        "% Information related to '203.0.113.0 - 203.0.113.255'\n\n"
        "% Abuse contact for '203.0.113.0 - 203.0.113.255' is 'abuse@net.example'\n\n"
        "inetnum: 203.0.113.0 - 203.0.113.255\nnetname: NET\n\n"
        "% Information related to '203.0.113.0/24AS64496'\n\n"
        "route: 203.0.113.0/24\nremarks: abuse reports to abuse@transit.example\nnotify: noc@transit.example\n"
    )
    assert mailboxes(text, "203.0.113.9") == ["abuse@net.example"]


def test_lacnic_is_followed_from_the_handle_to_its_mailbox() -> None:
    text = (
        "inetnum:     203.0/16\nowner: Red\nowner-c: OWN\nabuse-c: ABU\n\n"
        "nic-hdl: OWN\ne-mail: owner@red.example\n\nnic-hdl: ABU\ne-mail: desk@red.example\n"
    )
    assert mailboxes(text, "203.0.113.9") == ["desk@red.example"]


def test_remarks_count_only_where_they_speak_of_abuse_and_not_of_what_not_to_do() -> None:
    lines = [
        "please send abuse reports to desk@net.example",
        "spam complaints go here:",
        "more@net.example",
        "for peering write to peering@net.example",
        "do NOT send spam reports to noc@net.example",
        "or use abuse[at]other.example",
        "abuse: abuse@both.example, network: noc@both.example",
        "reportar abusos a seguridad@red.example",
        "abuse@gone.example is invalid",
    ]
    assert complaint_addresses(lines) == [
        ("desk@net.example", "medium"),
        ("abuse@other.example", "medium"),
        ("abuse@both.example", "medium"),
        ("seguridad@red.example", "medium"),
        ("more@net.example", "low"),
    ]


@pytest.mark.parametrize(
    ("text", "desks"),
    [
        ("contact security@net.example for spam, not noc@net.example", ["security@net.example"]),
        ("This is not for spam complaint,please send spam complaint to gd@net.example", ["gd@net.example"]),
        ("Do not send spam reports, abuse reports or the like to noc@net.example", []),
        ("Do not send spam to noc@net.example, info@net.example or tech@net.example", []),
        ("Spam complaints to noc@net.example are ignored", []),
        ("Non-abuse issues: noc@net.example", []),
        ("for anything other than abuse write to noc@net.example", []),
        ("Spam: desk@net.example, peering: peering@net.example", ["desk@net.example"]),
        ("Spam: desk@net.example and cert@net.example", ["cert@net.example", "desk@net.example"]),
        ("desk@net.example (abuse)", ["desk@net.example"]),
        ("abuse@net.example (do not call)", ["abuse@net.example"]),
        ("Send abuse ONLY to: desk [at] net [dot] example", ["desk@net.example"]),
        ("If you report spam, do not use the addresses above but desk@net.example", ["desk@net.example"]),
        ("For abuse related issues,\nkindly send your complaint to\ndesk@net.example", ["desk@net.example"]),
        ("For abuse see our page\nTechnical contact:\nnoc@net.example", []),
    ],
)
def test_each_address_of_a_remark_counts_for_what_is_said_of_it(text: str, desks: list[str]) -> None:
    assert sorted(address for address, _ in complaint_addresses(text.splitlines())) == desks


def test_addresses_are_found_whole() -> None:
    assert complaint_addresses(["abuse: <24x7-abuse.desk+x@mail2.net1.example>."]) == [
        ("24x7-abuse.desk+x@mail2.net1.example", "medium")
    ]


def test_referrals_come_from_fields_before_texts() -> None:
    text = (
        "% see also whois.text.example\ninetnum: 198.51.100.0 - 198.51.100.255\n"
        "ReferralServer:  whois://whois.field.example:43\nReferralServer: http://nonsense.example/\n"
        "ReferralServer: rwhois://rwhois.cloud.example:4321/auth\nReferralServer: rwhois://x.example:65536\n"
    )
    assert [(r.host, r.port, r.binding) for r in read(text, Target.parse("198.51.100.1")).referrals] == [
        ("whois.field.example", 43, True),
        ("rwhois.cloud.example", 4321, False),
        ("whois.text.example", None, False),
    ]


def test_arins_list_of_overlapping_networks_is_asked_again_by_the_smallest_handle() -> None:
    text = (
        "Big Inc BIG (NET-198-51-0-0-1) 198.51.0.0 - 198.51.255.255\n"
        "Small Inc SMALL (NET-198-51-100-0-1) 198.51.100.0 - 198.51.100.127\n"
        "Other Inc OTHER (NET-198-51-101-0-1) 198.51.101.0 - 198.51.101.127\n"
    )
    assert [r.query for r in read(text, Target.parse("198.51.100.1")).referrals] == ["n ! NET-198-51-100-0-1"]


@pytest.mark.parametrize(
    "text",
    [
        "%ERROR:201: access denied for 192.0.2.1\n",
        "WHOIS LIMIT EXCEEDED - SEE WWW.NIC.EXAMPLE FOR DETAILS\n",
        "# Query rate limit exceeded. Please wait and try again.\n",
    ],
)
def test_a_refusal_is_no_answer(text: str) -> None:
    report = read(text, Target.parse("198.51.100.1"))
    assert report.refusal
    assert report.refusal_seconds >= 60


def test_terms_of_use_are_no_refusal() -> None:
    text = (
        "Domain not found\nAccess to the whois service is rate limited. For more information, please\n"
        "terminate your access, including without limitation, for\nexcessive querying of the database or\n"
    )
    assert read(text, Target.parse("pills.example")).refusal is None


def test_mailboxes_below_a_heading_about_abuse_are_found() -> None:
    korean = (
        "KRNIC is not ISP but National Internet Registry\n\nIP Address : 198.51.100.0-198.51.100.255\n\n"
        "[ Technical Contact Information ]\nName : Tech\nE-Mail : tech@net.example\n\n"
        "[ ISP Network Abuse Contact Information ]\nName : Desk\nE-Mail : desk@net.example\n"
    )
    assert mailboxes(korean, "198.51.100.1")[0] == "desk@net.example"
    assert mailboxes(
        "Abuse Contact:\n   +31.20\n   abuse@nl.example\n\nOther:\n  x@y.example\n", "a.example"
    ) == ["abuse@nl.example"]


def test_terms_that_speak_of_limits_are_no_refusal_where_there_is_an_answer() -> None:
    text = "Domain Name: PILLS.EXAMPLE\nRegistrar Abuse Contact Email: abuse@registrar.example\nrate limit applies\n"
    report = read(text, Target.parse("pills.example"))
    assert report.refusal is None
    assert [(f.address, f.scope) for f in report.sighting.findings] == [
        ("abuse@registrar.example", "registrar")
    ]


def test_registries_are_asked_in_their_own_form() -> None:
    ip, asn, host = Target.parse("198.51.100.1"), Target.parse("AS64496"), Target.parse("www.pills.example")
    assert query_for("whois.arin.net", ip) == "n + 198.51.100.1"
    assert query_for("whois.ripe.net", asn) == "-r AS64496"
    assert query_for("whois.nic.ad.jp", ip) == "198.51.100.1/e"
    assert query_for("whois.elsewhere.example", host) == "pills.example"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("198.51.100.0 - 198.51.100.255", "198.51.100.0/24"),
        ("074.125.000.000 - 074.125.255.255", "74.125.0.0/16"),
        ("190.46/15", "190.46.0.0/15"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("115.0.0.0 - 115.23.255.255 (/12+/13)", "115.0.0.0 - 115.23.255.255"),
        ("198.51.100.9", "198.51.100.9/32"),
    ],
)
def test_ranges_are_read_as_registries_write_them(text: str, span: str) -> None:
    found = parse_span(text)
    assert found is not None
    assert span_text(found) == span


@pytest.mark.parametrize(
    "text", ["", "-", "1 - 2", "198.51.100.9 - 198.51.100.1", "2001:db8::1 - 192.0.2.1", "a/b"]
)
def test_what_is_no_range_is_none(text: str) -> None:
    assert parse_span(text) is None


@given(st.text(max_size=2000))
def test_reading_never_raises(text: str) -> None:
    for target in ("198.51.100.1", "AS64496", "pills.example"):
        read(text, Target.parse(target))


@pytest.mark.parametrize(
    "junk",
    [
        "a@",
        "remarks: abuse " + "x" * 50,
        "a.b.",
        "network:",
        "[",
        "% abuse contact for '",
        "abuse:\n x@y.example\n",
        "abuse-c: A\nnic-hdl: A\ne-mail: a@b.example\n",
        "inetnum: 198.51.0.0 - 198.51.255.255\nremarks: abuse@b.example\n\n",
        "(NET-1-1-1-1-1) 198.51.0.0 - 198.51.255.255\n",
        "no match for limit exceeded the ",
        "whois.a.",
        "Registrar:\n",
    ],
)
@pytest.mark.parametrize("target", ["198.51.100.1", "pills.example"])
def test_reading_takes_linear_time(junk: str, target: str) -> None:
    def seconds(size: int) -> float:
        started = time.process_time()
        for text in (junk, junk + "\n"):
            read((text * (size // len(text)))[:size], Target.parse(target))
        return time.process_time() - started

    small = max(seconds(32 * 1024), 0.005)
    # A second try: a processor shared with other work is slower for a while
    assert any(seconds(256 * 1024) < 8 * 4 * small for _ in range(2))


def test_every_row_of_knowledge_says_where_and_when() -> None:
    for name, table in (
        ("refused", "mailbox"),
        ("limits", "limit"),
        ("zones", "zone"),
        ("whois", "query"),
        ("suffixes", "suffix"),
        ("whois", "field"),
        ("whois", "named"),
        ("whois", "manager"),
        ("whois", "server"),
        ("whois", "handle"),
        ("whois", "mirror"),
        ("whois", "absent"),
        ("whois", "legacy"),
        ("whois", "transferred"),
        ("whois", "refusal"),
    ):
        assert rows(name, table), (name, table)


@pytest.mark.parametrize(
    "row", [{"source": "x"}, {"date": date(2026, 1, 1)}, {"source": " ", "date": date(2026, 1, 1)}]
)
def test_an_undated_row_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="needs `source` and `date`"):
        checked("x.toml", "row", [row])


@pytest.mark.parametrize(
    ("address", "holder", "refused"),
    [
        ("hostmaster@nic.ad.jp", "Some ISP", True),
        ("hostmaster@nic.ad.jp", "Japan Network Information Center", False),
        ("abuse@lacnic.net", "Red", True),
        ("please-query@registrar.example", "", True),
        ("REDACTED@x.example", "", True),
        ("noreply@x.example", "", True),
        ("bbb@aaa.com", "", True),
        ("abuse@cloud.example", "", False),
        ("mail-abuse@cert.br", "", False),
        ("not.available@net.example", "Net", True),
        ("asdf@asdf.com", "Net", True),
        ("abuse@spam.invalid", "Net", True),
        ("compliance@arin.net", "Net", True),
        ("mailer-daemon@net.example", "Net", True),
        ("abuse@invalid.net.example", "Net", False),
        ("abuse@none-such.example", "Net", False),
    ],
)
def test_placeholders_and_registries_are_refused_but_on_their_own_networks(
    address: str, holder: str, refused: bool
) -> None:
    known = refusal(address, holder)
    assert (known is not None and not known.last_resort) == refused
