"""Addresses for which nobody on the public internet answers are never accused."""

import pytest

from complaints.hosts import canonical_ip
from complaints.reserved import is_inside_only, why_not_public


@pytest.mark.parametrize(
    "ip",
    ["10.1.2.3", "127.0.0.1", "169.254.1.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255", "::1", "fe80::1", "fc00::1",
     "fdff::1", "fec0::1", "2002:a00:1::", "2002:7f00:1::", "2002:ac10:1::", "2002:c0a8:1::", "2002:6440:1::", "::ffff:10.0.0.1"],
)  # fmt: skip
def test_addresses_that_only_a_neighbour_has_are_never_public(ip: str) -> None:
    canonical = canonical_ip(ip) or ip
    assert why_not_public(canonical)
    assert is_inside_only(canonical)


@pytest.mark.parametrize(
    "ip",
    ["0.0.0.0", "192.0.0.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::c633:6407",
     "::ffff:0:c633:6407", "64:ff9b::a00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001:0:1::1", "2001:2::1", "2001:10::1", "2001:20::1",
     "2002:808:808::", "2002:c633:6407::1", "3ffe::1", "3fff::1", "5f00::1", "ff02::1"],
)  # fmt: skip
def test_addresses_that_nobody_has_are_never_public_and_no_neighbours(ip: str) -> None:
    canonical = canonical_ip(ip) or ip
    assert why_not_public(canonical)
    assert not is_inside_only(canonical)


@pytest.mark.parametrize(
    "ip",
    ["192.0.2.1", "8.8.8.8", "1.1.1.1", "11.0.0.1", "172.32.0.1", "100.128.0.1", "223.255.255.255", "2001:db8::1", "2603:10b6::1", "2001:4860::1",
     "2a00::1"],
)  # fmt: skip
def test_ordinary_addresses_are_public(ip: str) -> None:
    assert why_not_public(ip) is None
    assert not is_inside_only(ip)
