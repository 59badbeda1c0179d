"""Addresses that can never be accused.

Takes a canonical address; leaves the reason why nobody on the public internet answers for it, and whether
only a neighbour of the host that saw it can have it.
"""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from complaints.hosts import packed

_INSIDE: tuple[tuple[str, str], ...] = (
    ("10.0.0.0/8", "a private network (RFC 1918)"),
    ("100.64.0.0/10", "shared carrier address space (RFC 6598)"),
    ("127.0.0.0/8", "loopback (RFC 1122)"),
    ("169.254.0.0/16", "link-local (RFC 3927)"),
    ("172.16.0.0/12", "a private network (RFC 1918)"),
    ("192.168.0.0/16", "a private network (RFC 1918)"),
    ("::1/128", "loopback (RFC 4291)"),
    ("2002:a00::/24", "a private network (RFC 1918) in its 6to4 form (RFC 3056)"),
    ("2002:6440::/26", "shared carrier address space (RFC 6598) in its 6to4 form (RFC 3056)"),
    ("2002:7f00::/24", "loopback (RFC 1122) in its 6to4 form (RFC 3056)"),
    ("2002:a9fe::/32", "link-local (RFC 3927) in its 6to4 form (RFC 3056)"),
    ("2002:ac10::/28", "a private network (RFC 1918) in its 6to4 form (RFC 3056)"),
    ("2002:c0a8::/32", "a private network (RFC 1918) in its 6to4 form (RFC 3056)"),
    ("fc00::/7", "a private network (RFC 4193)"),
    ("fe80::/10", "link-local (RFC 4291)"),
    ("fec0::/10", "site-local (RFC 3879)"),
)
# 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 and 2001:db8::/32 (RFC 5737, RFC 3849) are missing here on
# purpose: the demonstration and the tests run a small internet on them, where they stand for public
# addresses. In the real internet no router carries them, so a host that was *seen* cannot have had one.
_NOBODY: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network (RFC 1122)"),
    ("192.0.0.0/24", "protocol assignments (RFC 6890)"),
    ("192.88.99.0/24", "the retired 6to4 relay (RFC 7526)"),
    ("198.18.0.0/15", "benchmarking (RFC 2544)"),
    ("224.0.0.0/4", "multicast (RFC 5771)"),
    ("240.0.0.0/4", "reserved (RFC 1112)"),
    ("::/128", "the unspecified address (RFC 4291)"),
    ("::/96", "the old form of an IPv4 address (RFC 4291)"),
    ("::ffff:0:0:0/96", "a translated IPv4 address (RFC 2765)"),
    ("64:ff9b::/96", "a translated IPv4 address (RFC 6052)"),
    ("64:ff9b:1::/48", "local-use translation (RFC 8215)"),
    ("100::/64", "discard-only (RFC 6666)"),
    ("2001::/32", "a Teredo tunnel (RFC 4380)"),
    ("2001:2::/48", "benchmarking (RFC 5180)"),
    ("2001:10::/28", "an overlay identifier (RFC 4843)"),
    ("2001:20::/28", "an overlay identifier (RFC 7343)"),
    ("2002::/16", "a 6to4 tunnel (RFC 3056)"),
    ("3ffe::/16", "the closed 6bone (RFC 3701)"),
    ("3fff::/20", "documentation (RFC 9637)"),
    ("5f00::/16", "segment routing (RFC 9602)"),
    ("ff00::/8", "multicast (RFC 4291)"),
)

INSIDE_NETWORKS: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(net) for net, _ in _INSIDE)
"""Networks that only a neighbour can have: private, loopback, link-local, carrier NAT."""

# First and last address, by their length in bytes and the first of these: most addresses find nothing there.
_ROWS: dict[tuple[int, int], list[tuple[bytes, bytes, tuple[str, bool]]]] = {}
for _rows, _is_inside in ((_INSIDE, True), (_NOBODY, False)):
    for _text, _what in _rows:
        _net = ip_network(_text)
        _first, _last = _net[0].packed, _net[-1].packed
        for _byte in range(_first[0], _last[0] + 1):
            _ROWS.setdefault((len(_first), _byte), []).append((_first, _last, (_what, _is_inside)))
_ORDINARY = (None, False)


@lru_cache(maxsize=2048)
def _row(ip: str) -> tuple[str | None, bool]:
    address = packed(ip)
    for first, last, row in _ROWS.get((len(address), address[0]), ()):
        if first <= address <= last:
            return row
    return _ORDINARY


def why_not_public(ip: str) -> str | None:
    """Say in words why this address can never be accused, or None when it is an ordinary public one."""
    return _row(ip)[0]


def is_inside_only(ip: str) -> bool:
    """Tell whether only a neighbour can have this address: private, loopback, link-local, carrier NAT."""
    return _row(ip)[1]
