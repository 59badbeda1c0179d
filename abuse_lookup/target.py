"""Takes what somebody asks about, as text; leaves a `Target`: what kind of thing it is, in one normal form.

Kinds: ``ip``, ``network`` (CIDR), ``asn``, ``domain``, ``url`` and ``address`` (a mail address), each in the
spellings that people, mail, registries and reports of other people use. What can be read in two ways is
refused rather than guessed: the wrong network would be accused. Nothing here asks the network.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import idna
from publicsuffixlist import PublicSuffixList

from abuse_lookup.errors import UnusableTarget
from abuse_lookup.knowledge import rows
from abuse_lookup.special import (
    IPAddress,
    IPNetwork,
    asn_refusal,
    host_refusal,
    ip_refusal,
    network_refusal,
)
from abuse_lookup.spelling import bare_text

__all__ = [
    "IPAddress",
    "IPNetwork",
    "Kind",
    "Target",
    "ip_refusal",
    "normal_host",
    "organisational_domain",
    "parse_ip",
]

Kind = Literal["ip", "network", "asn", "domain", "url", "address"]

LONGEST = 8192
"""Characters of a target that are looked at: no URL that a browser follows is longer."""

# RFC 5396 §2: asplain `AS65536`, asdot `AS1.0`
_ASN = re.compile(r"(?i:asn?)[ :#]*(?:([0-9]{1,20})\.)?([0-9]{1,20})")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:(?=[/\\]{2})")
_WEB = re.compile(r"(?i)(?:https?|wss?|ftp):")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LEGACY_IPV4 = re.compile(r"(0[xX][0-9a-fA-F]{0,8}|[0-9]{1,11})(\.(0[xX][0-9a-fA-F]{0,8}|[0-9]{1,11})){0,3}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"(.+):[0-9]{1,5}")
_SHORT_CIDR = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){0,2})\.?/([0-9]{1,2})")
_RANGE = re.compile(r"([0-9A-Fa-f:.]{2,45}) ?[-\u2013] ?([0-9A-Fa-f:.]{2,45})")
_REVERSED = re.compile(r"((?:[0-9a-f]{1,3}\.)+)(in-addr|ip6)\.arpa")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_TEREDO = ipaddress.IPv6Network("2001::/32")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_THIS_NETWORK = 1 << 24  # as IPv4, smaller numbers are in 0.0.0.0/8, which nobody has


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
        bare = bare_text(text) if len(text) <= LONGEST else ""
        if not bare or not bare.isprintable():
            raise UnusableTarget(text, "it is empty, too long or holds control characters")
        if (named := _by_prefix(text, bare)) is not None:
            return named
        if (ip := _bare_ip(bare)) is not None:
            return cls(text, "ip", ip=ip)
        if "/" in bare:
            return _with_slash(text, bare)
        if "@" in bare:
            return _from_mail_address(text, bare)
        return _from_number(text, bare) or cls(text, "domain", host=_host(text, _without_port(bare)))

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
            return network_refusal(self.network)
        if self.asn is not None:
            return asn_refusal(self.asn)
        return host_refusal(self.host or "")


def parse_ip(text: str) -> IPAddress | None:
    """Read an IP address as people and mail write it (`[192.0.2.1]`, `IPv6:2001:db8::1`); None if it is none.

    IPv4 wrapped in IPv6 comes out as the IPv4 address: its network is the one that answers for it
    (RFC 4291 §2.5.5.2, RFC 3056 §2, RFC 6052 §2.1, RFC 4380 §4).
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
    if ip in _TEREDO:
        return ipaddress.IPv4Address(~int(ip) & 0xFFFFFFFF)  # the client's, every bit turned
    return ip.ipv4_mapped or (ip.sixtofour if ip in _SIX_TO_FOUR else None) or ip


def organisational_domain(host: str) -> str | None:
    """Find the domain registered under a public suffix (`www.shop.example.co.uk` -> `example.co.uk`).

    Only ICANN's part of the Public Suffix List counts: for `victim.github.io` the organisation that can act
    is `github.io`. So do names below which domains are sold (`data/suffixes.toml`): `pills.us.com` has an
    owner and a registrar of its own. None for a public suffix itself.
    """
    bare = host.lower().rstrip(".")
    found = _suffixes().privatesuffix(bare)
    if found in sellers() and bare != found:
        return f"{bare.removesuffix(f'.{found}').rpartition('.')[2]}.{found}"
    return str(found) if found else None


@cache
def sellers() -> dict[str, str]:
    """Map the names below which domains are sold to the WHOIS servers that know them."""
    return {str(row["name"]): str(row["whois"]) for row in rows("suffixes", "suffix")}


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


def normal_host(name: str) -> str | None:
    """Read a host name into A-labels, lower case, without a final dot (RFC 5891 §4); None for others."""
    bare = name.strip().rstrip(".").lower()
    if len(bare) > 253:
        return None
    bare = bare if bare.isascii() else _a_labels(bare)
    labels = bare.split(".")
    is_name = len(bare) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    # What ends in a number is an address, or nothing
    return bare if is_name and not _NUMBER.fullmatch(labels[-1]) else None


def _a_labels(name: str) -> str:
    """IDNA 2008, and for what it forbids but the DNS has (emoji), the plain mapping of UTS #46."""
    try:
        return idna.encode(name, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        labels = _folded(name).split(".")
    return ".".join(one if one.isascii() else f"xn--{one.encode('punycode').decode()}" for one in labels)


def _by_prefix(text: str, bare: str) -> Target | None:
    """What says itself what it is: a URL, `mailto:` or `AS`; None for the rest."""
    if bare[:7].lower() == "mailto:":
        return _from_mail_address(text, unquote(bare[7:].partition("?")[0]))  # RFC 6068 §2
    if _SCHEME.match(bare) or bare.startswith("//"):
        return _from_url(text, bare)
    match = _ASN.fullmatch(bare)
    return _from_asn(text, match) if match else None


def _bare_ip(bare: str) -> IPAddress | None:
    """An address with or without a port; in hexadecimal it is one too, for nothing else looks so."""
    if (ip := parse_ip(bare)) is not None:
        return ip
    if match := _PORT.fullmatch(bare):
        inner = match[1]
        bracketed = inner.startswith("[") and inner.endswith("]")
        if bracketed or ":" not in inner:
            return parse_ip(inner)
    return _legacy_ipv4(bare) if bare[:2].lower() == "0x" else None


def _from_url(text: str, bare: str) -> Target:
    if _WEB.match(bare) or bare.startswith("//"):
        bare = bare.replace("\\", "/")  # as browsers do: the host ends there
    try:
        host = urlsplit(bare).hostname
    except ValueError as error:
        raise UnusableTarget(text, f"it is not a URL ({error})") from None
    if not host:
        raise UnusableTarget(text, "the URL names no host")
    host = unquote(host)
    host = (host if host.isascii() else _folded(host)).rstrip(".")
    if (ip := parse_ip(host) or _legacy_ipv4(host)) is not None:
        return Target(text, "url", ip=ip)
    return Target(text, "url", host=_host(text, host))


def _folded(host: str) -> str:
    """Letters, digits and dots of other scripts as browsers read them; empty for what they refuse."""
    try:
        return idna.uts46_remap(host, std3_rules=False, transitional=False)
    except (idna.IDNAError, UnicodeError):
        return ""


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
    domain = bare.rpartition("@")[2]
    if (ip := parse_ip(domain)) is not None:
        return Target(text, "address", ip=ip)
    return Target(text, "address", host=_host(text, domain))


def _with_slash(text: str, bare: str) -> Target:
    """A network, or a URL without its scheme, or a mail address with a slash before the @."""
    short = _SHORT_CIDR.fullmatch(bare)
    if short:  # `10/8`, `190.46/15`: what is left out is zero
        bare = f"{short[1]}{'.0' * (3 - short[1].count('.'))}/{short[2]}"
    head = bare.partition("/")[0]
    try:
        return Target(text, "network", network=ipaddress.ip_network(bare, strict=False))
    except ValueError:
        if parse_ip(head) is not None and bare.partition("/")[2].replace(".", "").isdigit():
            raise UnusableTarget(text, "the part after the slash is no prefix length of it") from None
    if "." in head:
        return _from_url(text, f"//{bare}")
    if "@" in bare:
        return _from_mail_address(text, bare)
    raise UnusableTarget(text, "it has a slash but is neither a network nor a URL")


def _from_number(text: str, bare: str) -> Target | None:
    """What is made of digits alone, a range, or a name of the reverse DNS; None for other texts."""
    if bare.isascii() and bare.isdigit() and int(bare) < 1 << 32:
        number = int(bare)  # an AS number, or the decimal form of an address: no number is both
        if number < _THIS_NETWORK:
            return Target(text, "asn", asn=number)
        return Target(text, "ip", ip=ipaddress.IPv4Address(number))
    if match := _RANGE.fullmatch(bare):
        return _from_range(text, match[1], match[2])
    if match := _REVERSED.fullmatch(bare.lower()):
        return _from_reversed(text, match[1].rstrip(".").split(".")[::-1], match[2])
    if bare.replace(".", "").isdigit():
        why = "it looks like an IPv4 address, but can be read in more than one way: no four numbers up to 255"
        raise UnusableTarget(text, f"{why} without a zero first")
    return None


def _from_range(text: str, first: str, last: str) -> Target | None:
    try:
        ends: Any = ipaddress.ip_address(first), ipaddress.ip_address(last)
        networks: list[IPNetwork] = list(ipaddress.summarize_address_range(*ends))
    except (ValueError, TypeError):
        return None
    if len(networks) > 1:
        some = ", ".join(map(str, networks[:4]))
        raise UnusableTarget(text, f"it is no single network but {len(networks)}: {some}")
    return Target(text, "network", network=networks[0])


def _from_reversed(text: str, parts: list[str], tree: str) -> Target | None:
    """`1.2.0.192.in-addr.arpa` (RFC 1035 §3.5), `....ip6.arpa` (RFC 3596 §2.5): an address or network."""
    try:
        if tree == "in-addr":
            whole, bits = ".".join(parts + ["0"] * (4 - len(parts))), 8 * len(parts)
        else:
            digits = "".join(parts).ljust(32, "0")
            whole, bits = ":".join(digits[n : n + 4] for n in range(0, 32, 4)), 4 * len(parts)
        network = ipaddress.ip_network(f"{whole}/{bits}")
    except ValueError:
        return None
    if network.num_addresses > 1:
        return Target(text, "network", network=network)
    return Target(text, "ip", ip=parse_ip(str(network.network_address)))


def _without_port(bare: str) -> str:
    match = _PORT.fullmatch(bare)
    return match[1] if match else bare


def _host(text: str, name: str) -> str:
    host = normal_host(name)
    if host is None:
        raise UnusableTarget(text, f"{name[:200]!r} is not a host name")
    return host
