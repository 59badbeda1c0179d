"""What people and mail write about, read into one form."""

import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abuse_lookup import Target, UnusableTarget
from abuse_lookup.target import normal_host, organisational_domain, parse_ip


@pytest.mark.parametrize(
    ("text", "kind", "key"),
    [
        ("192.0.2.1", "ip", "192.0.2.1"),
        (" 192.0.2.1\n".strip(), "ip", "192.0.2.1"),
        ("[192.0.2.1]", "ip", "192.0.2.1"),
        ("[IPv6:2001:db8::1]", "ip", "2001:db8::1"),
        ("2001:DB8:0:0::1", "ip", "2001:db8::1"),
        ("::ffff:192.0.2.1", "ip", "192.0.2.1"),
        ("2002:c000:0201::1", "ip", "192.0.2.1"),
        ("64:ff9b::c000:201", "ip", "192.0.2.1"),
        ("192.0.2.0/24", "network", "192.0.2.0/24"),
        ("192.0.2.77/24", "network", "192.0.2.0/24"),
        ("AS64496", "asn", "AS64496"),
        ("asn64496", "asn", "AS64496"),
        ("AS1.0", "asn", "AS65536"),
        ("WWW.Pills.Example.", "domain", "www.pills.example"),
        ("bücher.example", "domain", "xn--bcher-kva.example"),
        ("https://user:pw@www.pills.example:8443/a?b@c", "url", "www.pills.example"),
        ("http://[2001:db8::1]:80/", "url", "2001:db8::1"),
        ("http://3221225985/", "url", "192.0.2.1"),
        ("http://0xC0.0.0x2.1/", "url", "192.0.2.1"),
        ("joe@pills.example", "address", "pills.example"),
        ("<joe@pills.example>", "address", "pills.example"),
        ("joe@[192.0.2.1]", "address", "192.0.2.1"),
    ],
)
def test_a_target_is_read_into_its_kind_and_normal_form(text: str, kind: str, key: str) -> None:
    target = Target.parse(text)
    assert (target.kind, target.key) == (kind, key)
    assert target.refusal() is None


@pytest.mark.parametrize(
    "text",
    ["", "   ", "a b", "-x.example", "x..example", "1.2.3.4.5", "192.0.2.1/64", "AS99999999999", "http://", "@",
     "joe@", "http://[::1", "a\x00.example", "x" * 9000, "999.1.1.1"],
)  # fmt: skip
def test_what_is_no_target_is_refused_by_name(text: str) -> None:
    with pytest.raises(UnusableTarget) as refused:
        Target.parse(text)
    assert refused.value.target == text
    assert "give an IP address" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.16.0.9", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "shared"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fc00::1", "private"),
        ("224.0.0.5", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("255.255.255.255", ""),
        ("2002:7f00:1::", "loopback"),
        ("64:ff9b::a01:203", "private"),
        ("10.0.0.0/8", "private"),
        ("AS64512", "private or reserved"),
        ("AS0", "private or reserved"),
        ("localhost.", "single label"),
        ("printer.local", "local use"),
        ("http://intranet/", "single label"),
        ("1.0.0.127.in-addr.arpa", "loopback"),
        ("host.in-addr.arpa", "local use"),
    ],
)
def test_targets_that_nobody_on_the_public_internet_answers_for_say_why(text: str, because: str) -> None:
    why = Target.parse(text).refusal()
    assert why is not None
    assert because in why


@pytest.mark.parametrize(
    "text", ["192.0.2.9", "198.51.100.0/24", "203.0.113.1", "2001:db8::5", "AS64500", "8.8.8.8"]
)
def test_documentation_ranges_count_as_public(text: str) -> None:
    assert Target.parse(text).refusal() is None


def test_the_organisation_is_below_the_registrys_suffix_not_below_a_platforms() -> None:
    assert organisational_domain("www.shop.example.co.uk") == "example.co.uk"
    assert organisational_domain("victim.github.io") == "github.io"
    assert organisational_domain("co.uk") is None


@given(st.text(max_size=80))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    try:
        target = Target.parse(text)
    except UnusableTarget:
        return
    assert target.key
    assert target.refusal() is None or isinstance(target.refusal(), str)


@given(st.ip_addresses())
def test_every_address_reads_back_from_its_own_text(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    read = parse_ip(str(ip))
    assert read is not None
    assert parse_ip(str(read)) == read


@given(st.text(max_size=300))
def test_a_host_name_normalises_to_itself(text: str) -> None:
    host = normal_host(text)
    assert host is None or normal_host(host) == host


@pytest.mark.parametrize(
    ("text", "kind", "key"),
    [
        # addresses
        ("192.0.2.1.", "ip", "192.0.2.1"),
        ("(192.0.2.1),", "ip", "192.0.2.1"),
        ("192[.]0[.]2[.]1", "ip", "192.0.2.1"),
        ("192.0.2.1:8080", "ip", "192.0.2.1"),
        ("[2001:db8::1]:25", "ip", "2001:db8::1"),
        ("2001:db8::", "ip", "2001:db8::"),
        ("2001:DB8:0000::0001%eth0", "ip", "2001:db8::1"),
        ("IPv6:2001:db8::1", "ip", "2001:db8::1"),
        ("0xC0000201", "ip", "192.0.2.1"),
        ("3221225985", "ip", "192.0.2.1"),
        ("2001:0:c633:6401:0:ffff:3fff:fdfe", "ip", "192.0.2.1"),
        ("1.2.0.192.in-addr.arpa.", "ip", "192.0.2.1"),
        ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa", "ip", "2001:db8::1"),
        # networks
        ("192.0.2/24", "network", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.0", "network", "192.0.2.0/24"),
        ("192.0.2.0 - 192.0.2.255", "network", "192.0.2.0/24"),
        ("192.0.2.0-192.0.2.7", "network", "192.0.2.0/29"),
        ("2001:db8:: - 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "network", "2001:db8::/32"),
        ("2.0.192.in-addr.arpa", "network", "192.0.2.0/24"),
        ("8.b.d.0.1.0.0.2.ip6.arpa", "network", "2001:db8::/32"),
        ("2001:db8::/32,", "network", "2001:db8::/32"),
        # AS numbers
        ("AS 64496", "asn", "AS64496"),
        ("ASN: 64496", "asn", "AS64496"),
        ("as#64496", "asn", "AS64496"),
        ("64496", "asn", "AS64496"),
        ("AS1.4", "asn", "AS65540"),
        # domains
        ("www[.]pills[.]example", "domain", "www.pills.example"),
        ("www(dot)pills(.)example", "domain", "www.pills.example"),
        ("pills.example:8080", "domain", "pills.example"),
        ("'pills.example'", "domain", "pills.example"),
        ("(see pills.example)?".removeprefix("(see "), "domain", "pills.example"),
        ("(pills.example", "domain", "pills.example"),
        ("((pills.example).)", "domain", "pills.example"),
        ("\u201cpills.example\u201d.", "domain", "pills.example"),
        ("\ufeffpills.example\u200b", "domain", "pills.example"),
        ("B\u00dcCHER.example", "domain", "xn--bcher-kva.example"),
        ("stra\u00dfe.example", "domain", "xn--strae-oqa.example"),
        ("\U0001f4a9.example", "domain", "xn--ls8h.example"),
        ("xn--bcher-kva.example", "domain", "xn--bcher-kva.example"),
        ("_dmarc.pills.example", "domain", "_dmarc.pills.example"),
        # URLs
        ("hxxps://www[.]pills[.]example/x", "url", "www.pills.example"),
        ("hXXp[:]//pills.example", "url", "pills.example"),
        ("<http://pills.example/a>.", "url", "pills.example"),
        ("URL:http://pills.example", "url", "pills.example"),
        ("pills.example/buy?to=joe@bank.example", "url", "pills.example"),
        ("//pills.example/x", "url", "pills.example"),
        ("http://pills.example\\@bank.example/", "url", "pills.example"),
        ("http://bank.example@pills.example/", "url", "pills.example"),
        ("http://%70ills.example/", "url", "pills.example"),
        ("http://\uff11\uff19\uff12\uff0e0.2.1/", "url", "192.0.2.1"),
        ("http://[::ffff:192.0.2.1]/", "url", "192.0.2.1"),
        ("ftp://pills.example", "url", "pills.example"),
        ("192.0.2.1/index.html", "url", "192.0.2.1"),
        ("http://0xC0.0.0x2.1./", "url", "192.0.2.1"),
        # mail addresses
        ("mailto:joe@pills.example?subject=x@y.example", "address", "pills.example"),
        ("mailto:joe%40pills.example", "address", "pills.example"),
        ('"Joe, Bank" <joe@pills.example>,', "address", "pills.example"),
        ("joe@pills.example>", "address", "pills.example"),
        ("<joe@pills.example", "address", "pills.example"),
        ("joe[at]pills[.]example", "address", "pills.example"),
        ("joe(@)pills(.)example", "address", "pills.example"),
        ("a@b@pills.example", "address", "pills.example"),
        ("joe/dept@pills.example", "address", "pills.example"),
        ("joe@[IPv6:2001:db8::1]", "address", "2001:db8::1"),
    ],
)  # fmt: skip
def test_every_spelling_that_people_use_is_understood(text: str, kind: str, key: str) -> None:
    target = Target.parse(text)
    assert (target.kind, target.key, target.text) == (kind, key, text)
    assert target.refusal() is None


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("192.000.002.001", "more than one way"),
        ("192.0.02.1", "more than one way"),
        ("1.10", "more than one way"),
        ("192.0.2", "more than one way"),
        ("256.1.1.1", "more than one way"),
        ("192.0.2.0 - 192.0.3.0", "no single network but 2: 192.0.2.0/24, 192.0.3.0/32"),
        ("192.0.2.0/33", "no prefix length"),
        ("192.0.2.1/64", "no prefix length"),
        ("AS4294967296", "32 bits"),
        ("AS1.65536", "32 bits"),
        ("joe/dept", "neither a network nor a URL"),
        ("http://user@/", "names no host"),
        ("two words", "'two words' is not a host name"),
        ("one.example two.example", "not a host name"),
        ("pills.example\nbank.example", "control characters"),
        ("pills.example\x1b[31m", "control characters"),
    ],
)
def test_what_could_mean_two_things_is_refused_with_the_reason(text: str, because: str) -> None:
    with pytest.raises(UnusableTarget) as refused:
        Target.parse(text)
    assert because in refused.value.why


@pytest.mark.parametrize(
    "text",
    # IANA's special-purpose registries: not globally reachable, one address of each, ends included
    ["0.0.0.0", "0.255.255.255", "10.0.0.1", "100.64.0.0", "100.127.255.255", "127.0.0.1", "169.254.0.1", "172.16.0.0", "172.31.255.255",
     "192.0.0.0", "192.0.0.8", "192.0.0.170", "192.0.0.171", "192.88.99.2", "192.168.0.0", "198.18.0.0", "198.19.255.255", "224.0.0.1",
     "240.0.0.1", "255.255.255.255", "::1", "::", "::ffff:10.0.0.1", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:30::1",
     "2001:1ff::1", "2002:a00:1::", "2001:0:c633:6401:0:ffff:f5ff:fffe", "5f00::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1",
     "ff02::1", "3ffe::1", "4000::1", "::c000:201", "0.0.0.0/0", "8.0.0.0/7", "2000::/3", "::/0", "127.0.0.0/8", "192.168.0.0/16",
     "AS0", "AS23456", "AS64512", "AS65534", "AS65535", "AS65552", "AS131071", "AS4200000000", "AS4294967294", "AS4294967295"],
)  # fmt: skip
def test_nobody_is_asked_about_what_iana_set_aside(text: str) -> None:
    assert Target.parse(text).refusal()


@pytest.mark.parametrize(
    "text",
    ["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
     "172.15.255.255", "172.32.0.0", "192.0.0.9", "192.0.0.10", "192.0.1.0", "192.31.196.1", "192.52.193.1", "192.175.48.1", "192.167.255.255",
     "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:1::1", "2001:3::1", "2001:4:112::1",
     "2001:200::1", "2001:4860::1", "2003::1", "2400::1", "2a00::1", "2620:4f:8000::1", "2001:db8::1", "3fff::1", "8.0.0.0/8", "2a00::/12",
     "AS1", "AS112", "AS64495", "AS64496", "AS65551", "AS131072", "AS4199999999"],
)  # fmt: skip
def test_what_is_globally_reachable_is_asked_about(text: str) -> None:
    assert Target.parse(text).refusal() is None


@pytest.mark.parametrize(
    ("host", "organisation"),
    [
        ("pills.us.com", "pills.us.com"),
        ("www.shop.pills.us.com", "pills.us.com"),
        ("us.com", "us.com"),
        ("notus.com", "notus.com"),
        ("pills.eu.org", "pills.eu.org"),
        ("victim.github.io", "github.io"),
    ],
)
def test_below_names_that_sell_domains_each_domain_is_its_own_owners(host: str, organisation: str) -> None:
    assert organisational_domain(host) == organisation


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3_000_000,
        "." * 3_000_000 + "a",
        "<" * 8_000,
        "((" * 4_000 + "a" + "))" * 90,
        "a" * 8_000 + "\u00fc",
        "[.]" * 2_700,
    ],
)
def test_no_text_takes_long_to_read(text: str) -> None:
    started = time.process_time()
    with pytest.raises(UnusableTarget):
        Target.parse(text)
    assert time.process_time() - started < 0.5
