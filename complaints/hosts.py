"""Host names and addresses as mail writes them.

Takes text out of hostile mail; leaves canonical addresses, organisational domains, and the answer to the
one question that must never be got wrong: may this address be accused at all?
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET6, inet_ntop, inet_pton

from publicsuffixlist import PublicSuffixList

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 and 2001:db8::/32 (RFC 5737, RFC 3849) are missing here on
# purpose: the demonstration and the tests run a small internet on them, where they stand for public
# addresses. In the real internet no router carries them, so a host that was *seen* cannot have had one.
_NEVER_PUBLIC: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network (RFC 1122)"),
    ("10.0.0.0/8", "a private network (RFC 1918)"),
    ("100.64.0.0/10", "shared carrier address space (RFC 6598)"),
    ("127.0.0.0/8", "loopback (RFC 1122)"),
    ("169.254.0.0/16", "link-local (RFC 3927)"),
    ("172.16.0.0/12", "a private network (RFC 1918)"),
    ("192.0.0.0/24", "protocol assignments (RFC 6890)"),
    ("192.88.99.0/24", "the retired 6to4 relay (RFC 7526)"),
    ("192.168.0.0/16", "a private network (RFC 1918)"),
    ("198.18.0.0/15", "benchmarking (RFC 2544)"),
    ("224.0.0.0/4", "multicast (RFC 5771)"),
    ("240.0.0.0/4", "reserved (RFC 1112)"),
    ("::/128", "the unspecified address (RFC 4291)"),
    ("::1/128", "loopback (RFC 4291)"),
    ("64:ff9b::/96", "a translated IPv4 address (RFC 6052)"),
    ("64:ff9b:1::/48", "local-use translation (RFC 8215)"),
    ("100::/64", "discard-only (RFC 6666)"),
    ("2001::/32", "a Teredo tunnel (RFC 4380)"),
    ("2001:2::/48", "benchmarking (RFC 5180)"),
    ("2001:10::/28", "an overlay identifier (RFC 4843)"),
    ("2001:20::/28", "an overlay identifier (RFC 7343)"),
    ("3fff::/20", "documentation (RFC 9637)"),
    ("5f00::/16", "segment routing (RFC 9602)"),
    ("fc00::/7", "a private network (RFC 4193)"),
    ("fe80::/10", "link-local (RFC 4291)"),
    ("fec0::/10", "site-local (RFC 3879)"),
    ("ff00::/8", "multicast (RFC 4291)"),
)
_INSIDE_ONLY = ("private", "loopback", "link-local", "carrier", "site-local")
_TABLE: tuple[tuple[Network, str], ...] = tuple((ip_network(net), what) for net, what in _NEVER_PUBLIC)
_V4 = re.compile(
    r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)", re.ASCII
)
_HOST = re.compile(r"[^\s@\[\]()<>\"',;:/\\]{1,253}")


def canonical_ip(text: str) -> str | None:
    """Return the address in its one canonical spelling, or None when `text` is not an address.

    Takes every spelling that mail uses: `IPv6:` tags (RFC 5321 §4.1.3), zone indices, mapped IPv4.
    """
    return _canonical_ip(text) if len(text) <= 60 else None


@lru_cache(maxsize=8192)
def _canonical_ip(text: str) -> str | None:
    if ":" not in text:
        return text if _V4.fullmatch(text) else None
    bare = text[5:] if text[:5].lower() == "ipv6:" else text
    try:
        packed = inet_pton(AF_INET6, bare.partition("%")[0])
    except (OSError, ValueError):
        return None
    if packed[:2] != b"\0\0":
        return inet_ntop(AF_INET6, packed)
    address = IPv6Address(packed)
    return str(address.ipv4_mapped or address)


@lru_cache(maxsize=8192)
def address(ip: str) -> Address:
    """Return the parsed form of a canonical address (raises ValueError on anything else)."""
    return ip_address(ip)


@lru_cache(maxsize=8192)
def why_not_public(ip: str) -> str | None:
    """Say in words why this address can never be accused, or None when it is an ordinary public one."""
    parsed = address(ip)
    for network, what in _TABLE:
        if parsed in network:
            return what
    if isinstance(parsed, IPv6Address) and parsed.sixtofour is not None:
        inner = str(parsed.sixtofour)
        if reason := why_not_public(inner):
            return f"a 6to4 tunnel (RFC 3056) of {inner}, {reason}"
    return None


@lru_cache(maxsize=8192)
def is_inside_only(ip: str) -> bool:
    """Tell whether only a neighbour can have this address: private, loopback, link-local, carrier NAT."""
    reason = why_not_public(ip)
    return reason is not None and any(word in reason for word in _INSIDE_ONLY)


def clean_host(text: str) -> str | None:
    """Return a host name in lower case without its final dot, or None when it cannot be one."""
    return _clean_host(text) if len(text) < 300 else None


@lru_cache(maxsize=8192)
def _clean_host(text: str) -> str | None:
    host = text.strip().rstrip(".").lower()
    return host if _HOST.fullmatch(host) else None


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(maxsize=16384)
def organisational_domain(host: str) -> str | None:
    """Return the registrable domain by the Public Suffix List, None for addresses and bare names."""
    if "." not in host or canonical_ip(host):
        return None
    found = _suffixes().privatesuffix(host)
    return str(found) if found else None


@lru_cache(maxsize=16384)
def is_under(host: str, domain: str) -> bool:
    """Tell whether `host` is `domain` or a name below it (both in lower case)."""
    return host == domain or host.endswith("." + domain)
