"""How registries differ: each answers in fields, headings, charsets and refusals of its own."""

import pytest

from abuse_lookup import Target
from abuse_lookup.answer import Finding
from abuse_lookup.knowledge import rows
from abuse_lookup.whois_answer import Report, read
from abuse_lookup.whois_dialect import decoded, gone, port_of, present_name, query_for, refused, says_absent
from bench.registries import ours
from bench.registry_corpus import Question

IP = Target.parse("198.51.100.7")


def named(report: Report) -> list[tuple[str | None, str]]:
    return [(found.address, found.confidence) for found in report.sighting.findings]


TAIWAN = """
   Island Telecom Co., Ltd.
   Taipei Taiwan
   TW

   Netname: ISLAND-NET
   Netblock: 198.51.100.0/24

   Administrator contact:
      network-adm@island.example

   Technical contact:
      tech@island.example
"""


def test_taiwan_puts_mailboxes_below_headings_and_the_spam_contact_is_the_desk() -> None:
    assert named(read(TAIWAN, IP)) == [("network-adm@island.example", "low")]
    with_desk = TAIWAN + "\n   Spam contact:\n      desk@island.example\n"
    assert named(read(with_desk, IP)) == [("desk@island.example", "high")]


KOREA = """
KRNIC is not a ISP but a National Internet Registry similar to APNIC.

IPv4 Address       : 198.51.100.0-198.51.100.127
Network Name       : PENINSULA-INFRA

[ Technical Contact Information ]
Name               : IP Administrator
E-Mail             : customer@spammer.example

[ ISP IPv4 Admin Contact Information ]
Name               : IP Administrator
E-Mail             : ip@provider.example
"""


def test_korea_before_2010_names_the_provider_after_its_customer() -> None:
    assert named(read(KOREA, IP)) == [("ip@provider.example", "medium")]
    abuse = "\n[ ISP Network Abuse Contact Information ]\nName : Desk\nPhone : +82\nE-Mail : desk@provider.example\n"
    assert named(read(KOREA + abuse, IP)) == [("desk@provider.example", "high")]


def test_korea_names_the_provider_before_its_customer_today() -> None:
    text = (
        "KRNIC is not an ISP but a National Internet Registry similar to APNIC.\n\n[ Network Information ]\n"
        "IPv4 Address       : 198.51.0.0 - 198.51.255.255 (/16)\n\nName   : IP Manager\nE-Mail : ip@provider.example\n\n"
        "[ Network Information ]\nIPv4 Address       : 198.51.100.0 - 198.51.100.63 (/26)\nNetwork Type : CUSTOMER\n\n"
        "Name   : IP Manager\nE-Mail : boss@spammer.example\n"
    )
    assert named(read(text, IP)) == [("ip@provider.example", "medium")]


@pytest.mark.parametrize(
    "handed_on",
    [
        "NetType: Early Registrations, Transferred to RIPE NCC\n",
        "NetType: Allocated to RIPE NCC\n",
        "ReferralServer: whois://whois.ripe.net:43\n",
        "ResourceLink: https://apps.example/search\nResourceLink: whois.ripe.net\n",
    ],
)
def test_who_handed_a_network_on_is_not_its_desk(handed_on: str) -> None:
    text = f"NetRange: 198.51.0.0 - 198.51.255.255\nOrgName: RIPE NCC\n{handed_on}OrgAbuseEmail: abuse@ripe.net\n"
    report = read(text, IP)
    assert named(report) == []
    assert [(step.host, step.binding) for step in report.referrals] == [("whois.ripe.net", True)]


def test_a_providers_own_rwhois_server_takes_nothing_away_from_its_desk() -> None:
    text = (
        "NetRange: 198.51.0.0 - 198.51.255.255\nReferralServer: rwhois://rwhois.cloud.example:4321\n"
        "OrgAbuseEmail: abuse@cloud.example\n"
    )
    assert named(read(text, IP)) == [("abuse@cloud.example", "high")]


def test_two_registries_on_one_as_number_are_equally_close() -> None:
    text = (
        "ASNumber: 64496\nOrgName: Registry\nReferralServer: whois://whois.lacnic.net\nOrgAbuseEmail: abuse@registry.example\n\n"
        "aut-num: AS64496\nowner: University\nabuse-c: CIR\n\nnic-hdl: CIR\ne-mail: nic@university.example\n"
    )
    assert named(read(text, Target.parse("AS64496"))) == [("nic@university.example", "high")]


def test_of_two_objects_about_one_range_neither_is_wider() -> None:
    one = "inetnum: 198.51.100.0 - 198.51.100.255\nabuse-mailbox: {}@net.example\n\n"
    assert named(read(one.format("a") + one.format("b"), IP)) == [
        ("a@net.example", "high"),
        ("b@net.example", "high"),
    ]


def test_a_national_registrys_mailbox_comes_after_the_providers_own_desk() -> None:
    text = (
        "inetnum: 198.51.100.0 - 198.51.100.255\nmnt-irt: IRT-IDNIC-ID\n\n"
        "irt: IRT-IDNIC-ID\nabuse-mailbox: abuse@idnic.net\n\nrole: NOC\ne-mail: abuse@provider.example\n"
    )
    nobody: frozenset[str] = frozenset()
    asked = Question(
        "x", text.encode("ascii"), "198.51.100.7", "ip", "whois.apnic.net", *(nobody,) * 4, "send"
    )
    assert ours(asked).proposed == ["abuse@provider.example", "abuse@idnic.net"]


def test_an_answer_about_another_domain_names_nobody_but_may_refer_on() -> None:
    text = "domain: EXAMPLE\nrefer: whois.nic.example\nRegistrar Abuse Contact Email: abuse@other.example\n"
    report = read(text.replace("EXAMPLE", "other.example"), Target.parse("pills.example"))
    assert named(report) == []
    assert report.other == "other.example"
    assert [step.host for step in report.referrals] == ["whois.nic.example"]
    assert read(text, Target.parse("pills.example")).other == ""


def test_a_routing_registry_is_hearsay() -> None:
    text = "aut-num: AS64496\nas-name: NET\nremarks: abuse reports to abuse@net.example\nsource: RADB\n"
    assert named(read(text, Target.parse("AS64496"))) == [("abuse@net.example", "low")]
    assert named(read(text.replace("RADB", "RIPE"), Target.parse("AS64496"))) == [
        ("abuse@net.example", "medium")
    ]


def test_a_mailbox_that_the_registry_found_invalid_counts_little() -> None:
    text = (
        "% Abuse contact for '198.51.100.0 - 198.51.100.255' is 'abuse@dead.example'\n\n"
        "inetnum: 198.51.100.0 - 198.51.100.255\n\nrole: ABUSE\nabuse-mailbox: abuse@dead.example\n"
        "remarks: abuse@dead.example is invalid\nremarks: abuse@live.example was validated on 2026-01-01\n"
    )
    found = read(text, IP).sighting.findings
    assert [(f.address, f.confidence) for f in found][:2] == [
        ("abuse@live.example", "medium"),
        ("abuse@dead.example", "low"),
    ]
    assert "found it invalid" in found[1].why


RWHOIS = """%rwhois V-1.5:003fff:00 rwhois.cloud.example (by Network Solutions, Inc. V-1.5.9.5)
network:Class-Name:network
network:IP-Network:198.51.100.0/26
network:Organization;I:Cloud
network:Tech-Contact;I:noc@cloud.example
network:Abuse-Contact;I:abuse@cloud.example
network:Updated-By:joe@cloud.example

%referral rwhois://root.rwhois.net:4321/auth-area=.
%ok
"""


def test_rwhois_fields_are_read_and_its_root_is_not_asked() -> None:
    report = read(RWHOIS, IP)
    assert named(report) == [("abuse@cloud.example", "high")]
    assert report.referrals == ()
    assert gone("root.rwhois.net")


@pytest.mark.parametrize(
    ("line", "refuses", "absent"),
    [
        ("%error 230 No Objects Found", False, True),
        ("%error 401 Not authorized for directive", True, False),
        ("%error 503 Idle time exceeded", True, False),
    ],
)
def test_rwhois_errors_are_told_apart(line: str, refuses: bool, absent: bool) -> None:
    report = read(f"%rwhois V-1.5:003fff:00 rwhois.cloud.example\n{line}\n", IP)
    assert (report.refusal is not None, report.absent) == (refuses, absent)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("The WHOIS query quota for 192.0.2.1 has been exceeded\nand will be replenished in 50 seconds.", 50),
        ("-1: Still in grace period, wait 7777777 seconds", 86400),
        ("Please go away for 13 Seconds", 13),
        ("Rate limit exceeded. Try again after: 2h", 7200),
        ("% Too many requests...", 60),
        ("BLACKLISTED: You have exceeded the query limit for your network or IP address", 3600),
        ("% You have exceeded allowed connection rate.", 300),
        ("% You are not allowed to connect.", 3600),
        ("Number of allowed queries exceeded.", 300),
        ("Your access is too fast,please try again later.", 300),
        ("Service temporarily unavailable.", 300),
        ("* Sorry, the Whois database is currently down.", 300),
        (
            "Requests of this client are not permitted. Please use https://nic.example/whois/ for queries.",
            3600,
        ),
        ("whois.nic.example: Server too busy, try again later", 60),
    ],
)
def test_a_refusal_says_for_how_long_the_server_is_left_alone(text: str, seconds: float) -> None:
    refusal = refused(text.splitlines(), beside_data=False)
    assert refusal is not None
    assert refusal.seconds == seconds


@pytest.mark.parametrize(
    "line",
    [
        "Persistent abuse may lead to your address being",
        "blacklisted. All data is (c) Registry",
        "Access to this service is rate limited.",
        "Please note that the query limit is 500 per day from the same IP.",
        "by queries in excess of the permitted rate; see the terms of use",
    ],
)
def test_terms_of_use_refuse_nothing(line: str) -> None:
    assert refused([line], beside_data=False) is None


@pytest.mark.parametrize(
    "line",
    [
        "Once you have reached the daily limit, further queries are rejected.",
        "We reserve the right to restrict access in case of too many queries.",
        "IP addresses will be blocked due to excessive querying.",
    ],
)
def test_among_other_lines_one_that_says_what_would_happen_refuses_nothing(line: str) -> None:
    assert refused([*(["Terms of use."] * 6), line], beside_data=False) is None


def test_a_refusal_beside_data_without_mailboxes_is_a_refusal() -> None:
    data = "\n\ninetnum: 198.51.100.0/24\nowner: Rede\nabuse-c: ABC\n\nnic-hdl-br: ABC\nperson: X\n"
    assert read("% Query rate limit exceeded. Reduced information." + data, IP).refusal
    assert read("% Copyright. The data is rate limited" + data, IP).refusal is None


@pytest.mark.parametrize(
    "line",
    [
        'No match for "PILLS.EXAMPLE".',
        "NOT FOUND",
        "Domain not found.",
        "The queried object does not exist: DOMAIN NOT FOUND",
        "% No entries found for the selected source(s).",
        "%ERROR:101: no entries found",
        "pills.example is free",
        "Status: AVAILABLE",
        "query_status: 220 Available",
        "pills.example: no existe",
        "Domain Status: No Object Found",
        "No match found for n + 198.51.100.7.",
        "No match!!",
        "This address has not been allocated.",
        "Nincs találat / No match",
        "We do not have an entry in our database matching your query.",
        "% Not Registered - The domain you have requested (pills.example) is not a registered one.",
    ],
)
def test_what_is_not_there_is_told_from_what_names_no_mailbox(line: str) -> None:
    assert says_absent([line])
    assert read(line + "\n", Target.parse("pills.example")).absent


@pytest.mark.parametrize(
    "line",
    [
        "More information is available at https://nic.example/",
        "Domain not available",
        "provided for free by Nominet",
        "It allows persons to check whether a domain name is still available or not",
    ],
)
def test_terms_of_use_do_not_say_that_nothing_is_there(line: str) -> None:
    assert not says_absent([line])


def test_a_domain_with_name_servers_is_there_whatever_its_terms_say() -> None:
    report = read("domain: pills.example\nnserver: ns1.pills.example\n% No entries found for contacts\n", Target.parse("pills.example"))  # fmt: skip
    assert not report.absent


@pytest.mark.parametrize(
    ("text", "registrar"),
    [
        ("Registrar: Thrifty Names Ltd\n", "Thrifty Names Ltd"),
        ("Registrar:\n    Thrifty Names Ltd\n    Street 1\n", "Thrifty Names Ltd"),
        ("Sponsoring Registrar: Thrifty (R11)\n", "Thrifty (R11)"),
        ("Registrar:\n    Name: Thrifty\n    Website: thrifty.example\n", "Thrifty"),
        ("Registrar\tThrifty SA\n", "Thrifty SA"),
        ("Authorized Agency : Thrifty(http://thrifty.example)\n", "Thrifty(http://thrifty.example)"),
        ("Registrant: Thrifty\n", ""),
    ],
)
def test_the_registrar_is_named_as_registries_name_it(text: str, registrar: str) -> None:
    assert read("Domain Name: pills.example\n" + text, Target.parse("pills.example")).registrar == registrar


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Registrar Abuse Contact Email: abuse@thrifty.example\n", "abuse@thrifty.example"),
        ("Abuse Contact:\n   +31.20\n   abuse@thrifty.example\n\n", "abuse@thrifty.example"),
        ("registrar:\nabuse-email:  abuse@thrifty.example\n", "abuse@thrifty.example"),
        ("Registrar Abuse Contact Email: abuse[at]thrifty.example\n", "abuse@thrifty.example"),
        ("Registrar Abuse Contact Email: mailto:abuse@thrifty.example\n", "abuse@thrifty.example"),
    ],
)
def test_registrars_desks_are_found_in_every_spelling(text: str, address: str) -> None:
    [found] = read("Domain Name: pills.example\n" + text, Target.parse("pills.example")).sighting.findings
    assert found == Finding("high", found.why, address, scope="registrar")


@pytest.mark.parametrize(
    ("server", "charset"),
    [
        ("whois.nic.ad.jp", "iso2022_jp"),
        ("whois.tcinet.ru", "utf-8"),
        ("whois.trabis.gov.tr", "iso8859_9"),
        ("whois.registrar.cn", "gb18030"),
        ("whois.registrar.kr", "euc_kr"),
        ("whois.registrar.jp", "shift_jis"),
        ("whois.registrar.ru", "koi8_r"),
        ("whois.elsewhere.example", "latin-1"),
    ],
)
def test_every_server_is_read_in_its_charset(server: str, charset: str) -> None:
    names = {"iso2022_jp": "日本", "shift_jis": "日本", "gb18030": "中国联通", "euc_kr": "한국"}
    name = names.get(charset) or {"utf-8": "Имя", "koi8_r": "Имя", "iso8859_9": "Işık"}.get(charset, "Núcleo")
    assert decoded(name.encode(charset), server) == name


def test_half_a_character_is_no_letter_of_the_mailbox_behind_it() -> None:
    octets = "Registrar Abuse Contact Email: \u4e83abuse@net.example\n".encode("gb18030")
    assert b"zabuse@net.example" in octets  # the last octet of the character
    found = read(decoded(octets, "whois.registrar.cn"), Target.parse("pills.example")).sighting.findings
    assert [f.address for f in found] == ["abuse@net.example"]


def test_octets_of_no_charset_at_all_are_read_all_the_same() -> None:
    assert decoded(b"\xff\xfe\x80abuse@net.example", "whois.nic.ad.jp").endswith("abuse@net.example")


def test_servers_known_to_have_moved_or_gone() -> None:
    assert present_name("whois.krnic.net") == present_name("whois.nida.or.kr") == "whois.kisa.or.kr"
    assert present_name("whois.elsewhere.example") == "whois.elsewhere.example"
    assert gone("whois.radb.net")
    assert gone("whois.ripe.net") is None
    assert port_of("rwhois.cloud.example") == 4321
    assert port_of("whois.cloud.example") is None


def test_no_server_moved_to_one_that_moved_or_is_gone() -> None:
    moved = {str(row["name"]): str(row["now"]) for row in rows("whois", "server") if "now" in row}
    assert [name for name, now in moved.items() if present_name(now) != now or gone(now)] == []


def test_every_charset_and_question_can_be_used() -> None:
    for row in rows("whois", "server"):
        "x".encode(row.get("charset", "utf-8"))
    for row in rows("whois", "query"):
        question = query_for(str(row["server"]), IP)
        assert question.isascii()
        assert "\n" not in question


def test_rwhois_puts_a_handle_where_others_put_the_mailbox() -> None:
    text = (
        "network:IP-Network:198.51.100.0/24\nnetwork:Abuse-Contact;I:POC-SEC\nnetwork:NOC-Contact;I:POC-NOC\n\n"
        "contact:ID;I:POC-NOC\ncontact:Email:noc@host.example\n\n"
        "contact:ID;I:POC-SEC\ncontact:Email:security@host.example\n%ok\n"
    )
    assert named(read(text, IP)) == [("security@host.example", "high")]


def test_the_abuse_mailbox_of_a_registrant_or_reseller_is_not_the_registrars() -> None:
    text = (
        "Domain Name: pills.example\nRegistrar: Seller\nRegistrant Abuse Contact Email: abuse@pills.example\n"
        "Reseller Abuse Contact Email: abuse@shop.example\nRegistrar Abuse Contact Email: abuse@seller.example\n"
    )
    assert named(read(text, Target.parse("pills.example"))) == [("abuse@seller.example", "high")]


@pytest.mark.parametrize(
    "text",
    [
        "%ERROR:100: internal software error",
        "Your request could not be processed due to rate limiting. Please try again in 60 seconds",
        "Access to the whois service has been temporarily restricted.",
        "Your query is rejected. Over the query limit.",
        "Sorry, you have reached the maximum of queries",
        "Blocked due to excessive queries",
        (
            "The IP address used to perform the query is not authorised or has exceeded the established limit for "
            "queries. To request access to the service complete the form"
        ),
        "<html><head><title>503 Service Temporarily Unavailable</title></head></html>",
        "Timeout while waiting for the backend",
    ],
)
def test_a_server_that_answers_only_this_has_not_answered(text: str) -> None:
    assert read(text + "\n", Target.parse("pills.example")).refusal


def test_of_two_networks_in_one_rwhois_answer_the_smaller_speaks() -> None:
    text = (
        "network:Class-Name:network\nnetwork:IP-Network:198.51.96.0/19\nnetwork:Abuse-Contact:abuse@up.example\n\n"
        "network:Class-Name:network\nnetwork:IP-Network:198.51.100.0/29\nnetwork:Abuse-Contact:abuse@down.example\n"
    )
    assert named(read(text, IP)) == [("abuse@down.example", "high"), ("abuse@up.example", "low")]


def test_arin_tells_of_several_as_numbers_at_once() -> None:
    text = "ASNumber:       64496 - 64500\nASName: X\n\nOrgAbuseEmail:  abuse@net.example\n"
    assert named(read(text, Target.parse("AS64498"))) == [("abuse@net.example", "high")]
    assert named(read(text, Target.parse("AS64501"))) == []


def test_a_mailbox_in_the_registrars_block_counts_when_its_name_says_that_it_takes_complaints() -> None:
    block = "DOMAIN NAME: pills.example\n\nREGISTRAR:\nSeller sp. z o.o.\n{}\nwww.seller.example\n"
    pills = Target.parse("pills.example")
    assert named(read(block.format("abuse@seller.example"), pills)) == [("abuse@seller.example", "medium")]
    assert named(read(block.format("info@seller.example"), pills)) == []
