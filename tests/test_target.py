"""What people and mail write about, read into one form."""

import ipaddress

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
        ("1.0.0.127.in-addr.arpa", "local use"),
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
