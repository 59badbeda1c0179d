"""Takes what somebody asks about, as text; leaves a `Target`: what kind of thing it is, in one normal form.

Kinds: ``ip``, ``network`` (CIDR), ``asn``, ``domain``, ``url`` and ``address`` (a mail address).
Nothing here asks the network.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import cache
from typing import Literal
from urllib.parse import urlsplit

import idna
from publicsuffixlist import PublicSuffixList

from abuse_lookup.errors import UnusableTarget

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Kind = Literal["ip", "network", "asn", "domain", "url", "address"]

LONGEST = 8192
"""Characters of a target that are looked at: no URL that a browser follows is longer."""

# Addresses and AS numbers set aside for documentation count as public: examples, tests and the demo live
# there, and no real host answers for them (RFC 5737, RFC 3849, RFC 9637, RFC 5398).
DOCUMENTATION: tuple[IPNetwork, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)
_DOCUMENTATION_ASN = (range(64496, 64512), range(65536, 65552))
_RESERVED_ASN = (
    range(1),  # RFC 7607
    range(23456, 23457),  # RFC 6793 §9
    range(64512, 65536),  # RFC 6996 §5, RFC 7300
    range(4200000000, 4294967296),
)
# RFC 6761, RFC 6762, RFC 7686, RFC 8375 and the root zone's reservation of "internal".
_LOCAL_SUFFIXES = ("localhost", "local", "internal", "invalid", "onion", "home.arpa", "arpa", "alt")

_ASN = re.compile(r"(?i:asn?)[ :]?(?:([0-9]{1,20})\.)?([0-9]{1,20})")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LEGACY_IPV4 = re.compile(r"(0[xX][0-9a-fA-F]{0,8}|[0-9]{1,11})(\.(0[xX][0-9a-fA-F]{0,8}|[0-9]{1,11})){0,3}")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to look up. Exactly one of `ip`, `network`, `asn` and `host` is set."""

    text: str
    kind: Kind
    ip: IPAddress | None = None
    network: IPNetwork | None = None
    asn: int | None = None
    host: str | None = None
    """Host name in A-labels, lower case, without a final dot."""

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Read `text`; raises `UnusableTarget` naming it when it is none of the kinds."""
        bare = text.strip()
        if not bare or len(bare) > LONGEST or not bare.isprintable():
            raise UnusableTarget(text, "it is empty, too long or holds control characters")
        if _SCHEME.match(bare):
            return _from_url(text, bare)
        if match := _ASN.fullmatch(bare):
            return _from_asn(text, match)
        if "@" in bare:
            return _from_mail_address(text, bare)
        if (ip := parse_ip(bare)) is not None:
            return cls(text, "ip", ip=ip)
        if "/" in bare:
            return _from_cidr(text, bare)
        return cls(text, "domain", host=_host(text, bare))

    @property
    def key(self) -> str:
        """The normal form of what is asked: equal for equal questions."""
        if self.asn is not None:
            return f"AS{self.asn}"
        return str(self.ip or self.network or self.host)

    @property
    def organisation(self) -> str | None:
        """The registered domain the host belongs to, if there is one."""
        return organisational_domain(self.host) if self.host else None

    def refusal(self) -> str | None:
        """Say why nobody on the public Internet answers for this target; None when somebody does."""
        if self.ip is not None:
            return ip_refusal(self.ip)
        if self.network is not None:
            ends = (self.network.network_address, self.network.broadcast_address)
            return next((why for end in ends if (why := ip_refusal(end))), None)
        if self.asn is not None:
            return asn_refusal(self.asn)
        return host_refusal(self.host or "")


def parse_ip(text: str) -> IPAddress | None:
    """Read an IP address as people and mail write it (`[192.0.2.1]`, `IPv6:2001:db8::1`); None if it is none.

    IPv4 wrapped in IPv6 comes out as the IPv4 address: its network is the one that answers for it
    (RFC 4291 §2.5.5.2, RFC 3056 §2, RFC 6052 §2.1).
    """
    bare = text.strip().strip("[]")
    if bare[:5].lower() == "ipv6:":
        bare = bare[5:]
    try:
        ip = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.scope_id is not None:
        ip = ipaddress.IPv6Address(int(ip))
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or (ip.sixtofour if ip in _SIX_TO_FOUR else None) or ip


def ip_refusal(ip: IPAddress) -> str | None:
    """Say why this address is not on the public Internet, or None."""
    if any(ip in network for network in DOCUMENTATION):
        return None
    for name in ("loopback", "link_local", "multicast", "unspecified", "private", "reserved"):
        if getattr(ip, f"is_{name}"):
            return f"{ip} is {name.replace('_', '-')}: nobody on the public Internet answers for it"
    return None if ip.is_global else f"{ip} is shared or reserved address space: no network answers for it"


def asn_refusal(asn: int) -> str | None:
    """Say why this AS number belongs to nobody, or None."""
    if any(asn in known for known in _DOCUMENTATION_ASN):
        return None
    if any(asn in known for known in _RESERVED_ASN):
        return f"AS{asn} is private or reserved: no network answers for it"
    return None


def host_refusal(host: str) -> str | None:
    """Say why this name is not one of the public DNS, or None. `.example` and `.test` count as public."""
    if "." not in host:
        return f"{host} is a single label: a name on the public Internet has at least two"
    if any(host == suffix or host.endswith("." + suffix) for suffix in _LOCAL_SUFFIXES):
        return f"{host} ends in a name reserved for local use"
    return None


def organisational_domain(host: str) -> str | None:
    """Find the domain registered under a public suffix (`www.shop.example.co.uk` -> `example.co.uk`).

    Only ICANN's part of the Public Suffix List counts: for `victim.github.io` the organisation that can act
    is `github.io`. None for a public suffix itself.
    """
    found = _suffixes().privatesuffix(host.lower().rstrip("."))
    return str(found) if found else None


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


def _from_url(text: str, bare: str) -> Target:
    try:
        host = urlsplit(bare).hostname
    except ValueError as error:
        raise UnusableTarget(text, f"it is not a URL ({error})") from None
    if not host:
        raise UnusableTarget(text, "the URL names no host")
    if (ip := parse_ip(host) or _legacy_ipv4(host)) is not None:
        return Target(text, "url", ip=ip)
    return Target(text, "url", host=_host(text, host))


def _legacy_ipv4(host: str) -> IPAddress | None:
    """IPv4 as browsers still read it in a URL: one number, hexadecimal, octal, fewer than four parts."""
    if not _LEGACY_IPV4.fullmatch(host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _from_asn(text: str, match: re.Match[str]) -> Target:
    high, low = match.groups()
    number = int(low) if high is None else (int(high) << 16) + int(low)
    if number >= 1 << 32 or (high is not None and int(low) >= 1 << 16):
        raise UnusableTarget(text, "an AS number has at most 32 bits (RFC 6793)")
    return Target(text, "asn", asn=number)


def _from_mail_address(text: str, bare: str) -> Target:
    domain = bare.rpartition("@")[2].rstrip(">")
    if domain.startswith("[") and (ip := parse_ip(domain)) is not None:
        return Target(text, "address", ip=ip)
    return Target(text, "address", host=_host(text, domain))


def _from_cidr(text: str, bare: str) -> Target:
    try:
        return Target(text, "network", network=ipaddress.ip_network(bare, strict=False))
    except ValueError:
        raise UnusableTarget(text, "it has a slash but is neither a network nor a URL") from None


def _host(text: str, name: str) -> str:
    host = normal_host(name)
    if host is None:
        raise UnusableTarget(text, f"{name[:200]!r} is not a host name")
    return host


def normal_host(name: str) -> str | None:
    """Read a host name into A-labels, lower case, without a final dot (RFC 5891 §4); None for others."""
    bare = name.strip().rstrip(".").lower()
    if not bare.isascii():
        try:
            bare = idna.encode(bare, uts46=True, transitional=False).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    labels = bare.split(".")
    if len(bare) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        return None
    return bare
