"""Targets that read what registries answer and what people ask for."""

import json
from collections.abc import Hashable

from abuse_lookup import Target as Asked
from abuse_lookup.answer import Sighting
from abuse_lookup.errors import UnusableTarget
from abuse_lookup.mailbox import addresses_in, complaint_addresses, complaint_forms, mail_address
from abuse_lookup.rdap_answer import (
    linked_abuse_entities,
    notices,
    read_domain,
    read_entity,
    read_number,
    related_links,
)
from abuse_lookup.span import parse_span, span_text
from abuse_lookup.whois_answer import read
from abuse_lookup.whois_dialect import query_for
from tests.fuzz import grammar, seeds
from tests.fuzz.target import Target, printable

_ASKED = tuple(map(Asked.parse, ("198.51.100.7", "2001:db8::7", "example.com", "AS64496")))


def _checked(found: Sighting) -> Hashable:
    for finding in found.findings:
        printable(finding.address)
        assert finding.address is None or mail_address(finding.address) == finding.address, finding.address
    return (
        min(len(found.findings), 4),
        found.span is None,
        *sorted({finding.confidence for finding in found.findings}),
    )


def check_whois(data: bytes) -> Hashable:
    text = data.decode("utf-8", "replace")
    kinds = []
    for asked in _ASKED[: 1 + len(data) % 4]:
        report = read(text, asked)
        kinds.append(_checked(report.sighting))
        query = query_for("whois.example", asked)
        assert "\n" not in query.strip()
    return tuple(kinds[:2])


def check_rdap(data: bytes) -> Hashable:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    kinds = (
        _checked(read_number(document)),
        _checked(read_domain(document)),
        _checked(read_entity(document, "x")),
    )
    links = [*linked_abuse_entities(document), *related_links(document)]
    assert isinstance(notices(document), str)
    return (*kinds, min(len(links), 3))


def check_target(data: bytes) -> Hashable:
    text = data.decode("utf-8", "replace")
    try:
        asked = Asked.parse(text)
    except UnusableTarget:
        return None
    assert sum(value is not None for value in (asked.ip, asked.network, asked.asn, asked.host)) == 1
    printable(asked.key, asked.organisation)
    refused = asked.refusal()
    if refused is None:
        again = Asked.parse(asked.key)
        assert again.key == asked.key, (asked, again)
    return (asked.kind, (refused or "")[:12], asked.organisation is None)


def check_mailboxes(data: bytes) -> Hashable:
    text = data.decode("utf-8", "replace")
    found = addresses_in(text)
    assert all(mail_address(address) == address for address in found), found
    lines = text.splitlines()
    ranked, forms = complaint_addresses(lines), complaint_forms(lines)
    printable(*found, *(address for address, _ in ranked), *forms)
    span = parse_span(text)
    assert span is None or parse_span(span_text(span)) == span, (text, span)
    return (min(len(found), 3), min(len(ranked), 3), min(len(forms), 2), span is None)


_WHOIS = (
    (
        b"NetRange:       198.51.100.0 - 198.51.100.255\nOrgName:        Cloud\nOrgAbuseEmail:  abuse@cloud.example\n"
        b"ReferralServer: rwhois://rwhois.example:4321\n"
    ),
    (
        b"% Abuse contact for '198.51.100.0 - 198.51.100.255' is 'abuse@net.example'\n\ninetnum: 198.51.100.0 - 198.51.100.255\n"
        b"remarks: abuse reports to abuse@net.example\nabuse-c: AR1-TEST\n\nrole: AR1-TEST\nabuse-mailbox: abuse@role.example\n"
    ),
    b"inetnum: 198.51/16\nowner: X\nabuse-c: ABC\n\nnic-hdl-br: ABC\ne-mail: abuse@lac.example\n",
    b"Domain Name: EXAMPLE.COM\nRegistrar Abuse Contact Email: abuse@registrar.example\nRegistrar WHOIS Server: whois.example\n",
)
_RDAP = (
    json.dumps(
        {
            "objectClassName": "ip network", "startAddress": "198.51.100.0", "endAddress": "198.51.100.255", "name": "X",
            "cidr0_cidrs": [{"v4prefix": "198.51.100.0", "length": 24}],
            "entities": [{"roles": ["abuse"], "handle": "H", "vcardArray": ["vcard", [["email", {"pref": "1"}, "text", "a@b.example"]]],
                          "entities": [{"roles": "registrar", "vcardArray": ["vcard", [["fn", {}, "text", "R"]]]}]}],
            "remarks": [{"title": "t", "description": ["send abuse to abuse@c.example"]}],
            "notices": [{"title": "x", "description": "y"}], "links": [{"rel": "related", "href": "https://r.example", "type": ""}],
        }
    ).encode(),
)  # fmt: skip
_FIELDS = (
    b"abuse",
    b"e-mail: ",
    b"OrgAbuseEmail: ",
    b"inetnum: ",
    b"refer: ",
    b"%",
    b"\n\n",
    b"- ",
    b"/24",
    b"whois.",
    b"AS64496",
)
_JSON = (
    b'"entities":[',
    b'"roles":',
    b"{}",
    b"[]",
    b"null",
    b'"vcardArray":',
    b"1e999",
    b"true",
    b'"abuse"',
    b'"',
    b"\\u0000",
    b"\\ud800",
)
_SPELLED = (
    b"(hxxps[:]//www[.]pills[dot]example/x).",
    b'"Joe" <mailto:joe%40pills.example?x>,',
    b"192.0.2.0 - 192.0.2.255",
    b"1.2.0.192.in-addr.arpa",
    b"8.b.d.0.1.0.0.2.ip6.arpa",
    b"[2001:db8::1]:25",
    b"2001:0:c633:6401:0:ffff:3fff:fdfe",
    "b\u00fccher\uff0eexample".encode(),
    b"3221225985",
)
_SIGNS = (
    b"hxxp",
    b"[.]",
    b"(at)",
    b"mailto:",
    b"://",
    b"\\",
    b"<",
    b">",
    b"0x",
    b"AS",
    b".arpa",
    b"/",
    b":",
    b"%2e",
    b"\xe3\x80\x82",
    b"\xf0\x9f\x92\xa9",
    b"\xc3\x9f",
)
TARGETS = (
    Target("whois", check_whois, _WHOIS, seeds.whois, longest=30_000, seconds=0.4, words=_FIELDS),
    Target("rdap", check_rdap, _RDAP, seeds.rdap, longest=30_000, seconds=0.4, words=_JSON),
    Target("targets", check_target, (b"192.0.2.0/24", b"AS64496", b"a@b.example", b"http://x.example/", *_SPELLED), seeds.urls, grammar.link, 600, words=_SIGNS),
    Target("mailboxes", check_mailboxes, (b"send abuse to abuse@x.example or https://x.example/abuse", b"192.0.2.0 - 192.0.2.9"), seeds.whois, longest=8_000, words=_FIELDS),
)  # fmt: skip
