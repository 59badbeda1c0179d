"""Host names and addresses as mail writes them.

Takes text out of hostile mail; leaves canonical addresses and organisational domains.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from publicsuffixlist import PublicSuffixList

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_V4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)", re.ASCII)
_LONGEST_WRITTEN = 300
_HOST = re.compile(r"[^\s@\[\]()<>\"',;:/\\]{1,253}")


def canonical_ip(text: str) -> str | None:
    """Return the address in its one canonical spelling, or None when `text` is not an address.

    Takes every spelling that mail uses: `IPv6:` tags (RFC 5321 §4.1.3), zone indices, mapped IPv4.
    """
    if ":" in text:
        return _canonical_ipv6(text) if len(text) <= 60 else None
    return text if text[-1:].isdigit() and _V4.fullmatch(text) else None


@lru_cache(maxsize=2048)
def _canonical_ipv6(text: str) -> str | None:
    bare = text[5:] if text[0] in "Ii" and text[:5].lower() == "ipv6:" else text
    try:
        packed = inet_pton(AF_INET6, bare.partition("%")[0] if "%" in bare else bare)
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


def packed(ip: str) -> bytes:
    """Return the bytes of a canonical address (raises OSError on anything else): compared fastest."""
    return inet_pton(AF_INET6 if ":" in ip else AF_INET, ip)


def clean_host(text: str) -> str | None:
    """Return a host name in lower case without its final dot, or None when it cannot be one."""
    if len(text) >= _LONGEST_WRITTEN:
        return None
    host = text.strip().rstrip(".").lower()
    return host if _HOST.fullmatch(host) else None


@lru_cache(maxsize=1)
def suffixes() -> PublicSuffixList:
    """Return the Public Suffix List."""
    return PublicSuffixList()


@lru_cache(maxsize=2048)
def organisational_domain(host: str) -> str | None:
    """Return the registrable domain by the Public Suffix List, None for addresses and bare names."""
    if "." not in host or canonical_ip(host):
        return None
    found = suffixes().privatesuffix(host)
    return str(found) if found else None


@lru_cache(maxsize=2048)
def is_under(host: str, domain: str) -> bool:
    """Tell whether `host` is `domain` or a name below it (both in lower case)."""
    return host == domain or host.endswith("." + domain)
