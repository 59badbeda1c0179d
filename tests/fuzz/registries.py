"""Targets that read what registries answer and what people ask for."""

import json
from collections.abc import Hashable

import httpx

from abuse_lookup import Target as Asked
from abuse_lookup.answer import Sighting
from abuse_lookup.bootstrap_table import Services
from abuse_lookup.declared import Signed, declaration, hints
from abuse_lookup.errors import UnusableTarget
from abuse_lookup.fetch import Page
from abuse_lookup.mailbox import addresses_in, complaint_addresses, complaint_forms, mail_address
from abuse_lookup.rdap_answer import (
    domain_name,
    linked_contacts,
    notices,
    numbers,
    parent_links,
    parent_span,
    read_domain,
    read_entity,
    read_number,
    related_links,
    withheld,
)
from abuse_lookup.rdap_page import Ended, reply_of
from abuse_lookup.span import parse_span, span_text
from abuse_lookup.target import normal_host
from abuse_lookup.whois import next_steps
from abuse_lookup.whois_answer import Referral, Report, read
from abuse_lookup.whois_dialect import decoded, query_for
from tests.fuzz import grammar, seeds
from tests.fuzz.target import Target, printable

_SERVERS = ("whois.example", "whois.arin.net", "whois.nic.ad.jp", "whois.trabis.gov.tr", "rwhois.example")
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
    server = _SERVERS[len(data) % len(_SERVERS)]
    text = decoded(data, server)
    kinds: list[Hashable] = []
    for asked in _ASKED[: 1 + len(data) % 4]:
        report = read(text, asked)
        kinds.append(_checked(report.sighting))
        kinds.append(
            (report.refusal is None, report.absent, bool(report.registrar), min(len(report.referrals), 3))
        )
        _check_steps(report, server, asked)
        assert "\n" not in query_for(server, asked).strip()
    return tuple(kinds[:4])


def _check_steps(report: Report, server: str, asked: Asked) -> None:
    """Whatever an answer says, the next question is one line to a proper host name, and a pause is bounded."""
    assert len(report.sighting.findings) <= 50
    if report.refusal is not None:
        assert report.sighting.findings == ()
        assert not report.absent
        assert 1 <= report.refusal_seconds <= 86400
    for step in next_steps(Referral(server), report, asked):
        assert normal_host(step.host) == step.host, step
        assert step.port is None or 0 < step.port < 65536, step
        assert step.query is None or (step.query.isascii() and step.query.isprintable()), step
        assert (step.host, step.query) != (server, None)
    printable(server)


def check_rdap(data: bytes) -> Hashable:
    status = (200, 200, 200, 404, 429, 500)[len(data) % 6]
    headers = httpx.Headers({"Content-Type": "application/rdap+json"})
    try:
        reply = reply_of(Page(httpx.URL("https://rdap.example/ip/198.51.100.7"), status, headers, data))
    except Ended as end:
        printable(end.answer.reason)
        return end.answer.status
    document = reply.document
    number, domain = read_number(document), read_domain(document)
    kinds = (
        _checked(number),
        _checked(domain),
        _checked(read_entity(document, "x")),
        _checked(read_entity(document, "x", "registrar", is_desk=False)),
    )
    for finding in (*number.findings, *domain.findings):
        printable(finding.why, finding.form)
    named = [*linked_contacts(document, domain=True), *linked_contacts(document, domain=False)]
    printable(*(each.handle for each in named), domain_name(document))
    links = [*named, *related_links(document), *parent_links(document), parent_span(document)]
    assert all(notices(document))
    return (*kinds, min(len(links), 3), bool(reply.limit), withheld(document), numbers(document) is None)


def check_bootstrap(data: bytes) -> Hashable:
    try:
        table = Services.read(data)
    except ValueError:
        return None
    found = [table.find(asked) for asked in _ASKED]
    found += [table.tagged("X-RIPE"), tuple(filter(None, [table.of_organisation("example")]))]
    for url in (url for urls in found for url in urls):
        assert url.startswith(("https://", "http://")), url
        assert url.endswith("/"), url
    return (min(table.size, 5), *(min(len(urls), 2) for urls in found))


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


def check_declared(data: bytes) -> Hashable:
    """Fields of a message, of which the first octet says what the signatures cover."""
    lines = data[1:].decode("utf-8", "replace").split("\n")
    fields = [(name, body) for name, _, body in (line.partition(":") for line in lines)]
    names = ("from", *["cfbl-address"] * (data[0] & 3 if data else 0), *["CFBL-Feedback-ID"] * 2)
    signed = [Signed(domain, names) for domain in ("shop.example", "esp.example")]
    found = declaration(fields, signed)
    told = sum(name.lower() == "cfbl-address" for name, _ in fields)
    assert bool(told) == bool(found.contacts or found.rejected)
    assert len(found.contacts) <= min(told, names.count("cfbl-address"), 5), "more than a signature covers"
    for contact in found.contacts:
        assert contact.address.rpartition("@")[2].endswith(("shop.example", "esp.example"))
        printable(contact.address, contact.why)
    assert declaration(fields, []).contacts == ()
    shown = hints(fields)
    printable(*(hint.value for hint in shown), *(item.address for item in found.rejected))
    return (
        *sorted({contact.rule for contact in found.contacts}),
        len(found.rejected) > 0,
        min(len(shown), 2),
    )


_DECLARED = (
    b"\x01From: News <news@shop.example>\nCFBL-Address: fbl@shop.example; report=arf\nCFBL-Feedback-ID: 1:2:3\n",
    b"\x02From: news@shop.example\nCFBL-Address: (a) fbl@esp.example (b) ; report=xarf\nCFBL-Address: fbl@m.shop.example\n",
    b"\x01From: news@shop.example\nX-Report-Abuse: abuse@esp.example\nFeedback-ID: 1:2\nX-CSA-Complaints: csa@esp.example\n",
)
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
    (
        b"[ JPNIC ]\n\nNetwork Information:\na. [Network Number] 198.51.100.0/24\nn. [Technical Contact] CK637JP\no. [Abuse]\n"
        b"\n[ \x1b$B;q\x1b(B ]\n"
    ),
    (
        b"KRNIC is not an ISP\n\n[ Network Information ]\nIPv4 Address : 198.51.100.0-198.51.100.255\nE-Mail : ip@net.example\n"
        b"[ ISP Network Abuse Contact Information ]\nE-Mail : desk@net.example\n"
    ),
    b"Netname: X\nNetblock: 198.51.100.0/24\n\nAdministrator contact:\n   adm@net.example\n",
    b"%rwhois V-1.5:003fff:00 x\nnetwork:IP-Network:198.51.100.0/28\nnetwork:Abuse-Contact;I:abuse@net.example\n%ok\n",
    b"The WHOIS query quota for 192.0.2.1 has been exceeded\nand will be replenished in 50 seconds.\n",
    b"Big BIG (NET-198-51-0-0-1) 198.51.0.0 - 198.51.255.255\n",
    b"Domain Name: EXAMPLE.COM\nRegistrar Abuse Contact Email: abuse@registrar.example\nRegistrar WHOIS Server: whois.example\n",
)
_RDAP = (
    json.dumps(
        {
            "objectClassName": "ip network",
            "startAddress": "198.51.100.0",
            "endAddress": "198.51.100.255",
            "name": "X",
            "cidr0_cidrs": [{"v4prefix": "198.51.100.0", "length": 24}],
            "entities": [
                {
                    "roles": ["abuse"],
                    "handle": "H",
                    "vcardArray": ["vcard", [["email", {"pref": "1"}, "text", "a@b.example"]]],
                    "entities": [{"roles": "registrar", "vcardArray": ["vcard", [["fn", {}, "text", "R"]]]}],
                }
            ],
            "remarks": [{"title": "t", "description": ["send abuse to abuse@c.example"]}],
            "notices": [{"title": "x", "description": "maxed at 10 queries per 1 minutes"}],
            "links": [
                {"rel": "related", "href": "https://r.example", "type": ""},
                {"rel": "up", "href": "https://r.example/ip/198.51.0.0/16"},
            ],
            "port43": "whois.rir.example",
            "parentHandle": "198.51.0.0 - 198.51.255.255",
            "startAutnum": 64496,
            "endAutnum": 64497,
            "redacted": [{"name": {"description": "Abuse Email"}, "method": "removal"}],
            "ldhName": "X.EXAMPLE",
        }
    ).encode(),
    json.dumps(
        {
            "entities": [
                {
                    "roles": ["abuse"],
                    "handle": "H-RIPE",
                    "links": [{"rel": "self", "href": "https://r.example/entity/H"}],
                },
                {
                    "roles": ["abuse"],
                    "contact_URI": "https://x.example/f",
                    "jscard": {
                        "emails": {"a": {"address": "a@b.example", "pref": 1, "contexts": {"abuse": True}}},
                        "links": {"l": {"kind": "contact", "uri": "https://x.example/abuse"}},
                        "name": {"full": "N"},
                    },
                },
                {
                    "roles": ["registrar"],
                    "vcardArray": [
                        "vcard",
                        [
                            ["contact-uri", {}, "uri", "https://x.example/abuse"],
                            ["adr", {"label": "a@c.example"}, "text", [[""]]],
                            ["note", {}, "text", "a@d.example"],
                        ],
                    ],
                },
            ]
        }
    ).encode(),
    json.dumps({"errorCode": 429, "title": "t", "description": ["d"]}).encode(),
)
_BOOTSTRAP = (
    json.dumps({"version": "1.0", "publication": "2024-01-01T00:00:00Z", "services": [[["198.51.100.0/24", "2001:db8::/32"], ["https://a.example/x", "http://a.example/"]]]}).encode(),
    json.dumps({"services": [[["64496-64511", "com", ""], ["https://b.example/"]], [["x@y.example"], ["RIPE"], ["https://c.example"]]]}).encode(),
)  # fmt: skip
_FIELDS = (
    b"[Technical Contact] CK637JP",
    b"KRNIC is not",
    b"Netblock: ",
    b"NetType: Allocated to APNIC",
    b"source: RADB",
    b"(NET-198-51-100-0-1) 198.51.0.0 - 198.51.255.255",
    b"% Query rate limit exceeded",
    b"No match",
    b"Registrar:",
    b"%ok",
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
    Target("declared", check_declared, _DECLARED, longest=4_000, words=(b"CFBL-Address:", b"; report=", b"xarf", b"@shop.example", b'"', b"(", b"\\", b"\nFrom:")),
    Target("bootstrap", check_bootstrap, _BOOTSTRAP, longest=20_000, seconds=0.2, words=(*_JSON, b'"services":[', b"/24", b"64496-", b"https://x.example")),
    Target("targets", check_target, (b"192.0.2.0/24", b"AS64496", b"a@b.example", b"http://x.example/", *_SPELLED), seeds.urls, grammar.link, 600, words=_SIGNS),
    Target("mailboxes", check_mailboxes, (b"send abuse to abuse@x.example or https://x.example/abuse", b"192.0.2.0 - 192.0.2.9"), seeds.whois, longest=8_000, words=_FIELDS),
)  # fmt: skip
