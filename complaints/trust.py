"""Whom a reporter believes.

Takes what the reporter named and what the topmost line implies; leaves a border: which hosts may write
lines that are believed, and which addresses stand inside. Mailbox providers are rows of
`data/providers.toml`.
"""

import re
import tomllib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fnmatch import translate
from functools import cache, lru_cache
from importlib.resources import files
from ipaddress import ip_network
from typing import Literal

from complaints.hosts import Network, address, canonical_ip, clean_host, organisational_domain, packed

# Names that a network gives to its customers' machines: the numbers of the address stand in them.
_CUSTOMER = re.compile(
    r"(?:^|[.-])(?:a?dsl|dyn(?:amic)?|dial(?:up|in)?|pool|ppp|dhcp|cable|client|customer|cust|vps|vm|vds|static|srv|server|"
    r"host|node|ip|unassigned|ec2|compute|cloud|user)s?[.\d-]*\d",
)


def is_below(host: str, domains: AbstractSet[str]) -> bool:
    """Tell whether a name is one of these domains or lies below one (all in lower case)."""
    while host and domains:
        if host in domains:
            return True
        host = host.partition(".")[2]
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """A row of `data/providers.toml`; there is one object for each."""

    role: str
    name: str
    hosts: frozenset[str]
    internal: tuple[Network, ...]
    shared: tuple[Network, ...]
    senders: frozenset[str]
    outbound: re.Pattern[str]
    unqualified: re.Pattern[str]

    def owns(self, host: str) -> bool:
        """Tell whether the provider's own servers carry this name."""
        if "." not in host:
            return bool(self.unqualified.match(host))
        return is_below(host, self.hosts)


@dataclass(frozen=True, slots=True)
class Trust:
    """What the reporter calls their own: hosts (exact or as suffix), networks, single addresses.

    `strangers` are hosts below one of `hosts` that are not the reporter's; `order` has the networks and
    their exceptions in the order they were named, when there are exceptions.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    addresses: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    order: tuple[tuple[Network, bool], ...] = ()

    @classmethod
    def of(cls, hosts_or_cidrs: Iterable[str]) -> "Trust":
        """Build from host names, addresses and networks in CIDR notation.

        An entry that begins with `!` is no part of what is named otherwise, like the customer's machine in
        one's own network: `!192.0.2.7`, `192.0.2.0/24`. Of networks the first entry that has an address
        decides. Raises ValueError naming the first entry that is none of them.
        """
        hosts, strangers, networks = set[str](), set[str](), list[tuple[Network, bool]]()
        for entry in hosts_or_cidrs:
            text = entry.strip()
            named = not text.startswith("!")
            text = text.removeprefix("!").strip().strip("[]")
            if text in {"", "."}:
                # The null MX (RFC 7505) names no host.
                continue
            if ip := canonical_ip(text):
                networks.append((ip_network(ip), named))
            elif "/" in text:
                networks.append((_network(text), named))
            elif (host := clean_host(text)) and not host.startswith("."):
                (hosts if named else strangers).add(host)
            else:
                raise ValueError(
                    f"trust: {entry!r} is no host, address or network; write mx.example.org or 192.0.2.0/24"
                )
        mine = [network for network, named in networks if named]
        return cls(
            frozenset(hosts),
            tuple(network for network in mine if network.num_addresses > 1),
            frozenset(str(network.network_address) for network in mine if network.num_addresses == 1),
            frozenset(strangers),
            () if len(mine) == len(networks) else tuple(networks),
        )

    def has_host(self, host: str | None) -> bool:
        """Tell whether a name is one of the hosts or lies below one."""
        if host is None or not self.hosts or is_below(host, self.strangers):
            return False
        return is_below(host, self.hosts)

    def has_ip(self, ip: str | None) -> bool:
        """Tell whether an address was named by the reporter."""
        if ip is None:
            return False
        if self.order:
            return next((named for network, named in self.order if address(ip) in network), False)
        if ip in self.addresses:
            return True
        return bool(self.networks) and any(address(ip) in network for network in self.networks)


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"trust: {text!r} is not a network: {error}; write it like 192.0.2.0/24") from error


@cache
def providers() -> tuple[Provider, ...]:
    """Return the known mailbox providers."""
    rows = tomllib.loads(files("complaints").joinpath("data/providers.toml").read_text("utf-8"))["provider"]
    return tuple(
        Provider(
            role=row["role"],
            name=row["name"],
            hosts=frozenset(row["hosts"]),
            internal=tuple(ip_network(net) for net in row.get("internal", ())),
            shared=tuple(ip_network(net) for net in row.get("shared", ())),
            senders=frozenset(row.get("senders", ())),
            outbound=re.compile("|".join(translate(name) for name in row.get("outbound", ())) or r"(?!)"),
            unqualified=re.compile("|".join(row.get("unqualified", ())) or r"(?!)"),
        )
        for row in rows
    )


@lru_cache(maxsize=1024)
def provider_of(host: str) -> Provider | None:
    """Return the provider whose servers carry this name or internal address, or None."""
    if ip := canonical_ip(host):
        return _in_ranges(ip, _ranges("internal"))
    if "." not in host:
        return next((provider for provider in providers() if provider.owns(host)), None)
    by_host, longer = _by_host()
    two_labels = host[host.rfind(".", 0, host.rfind(".")) + 1 :]
    if found := by_host.get(two_labels):
        return found
    while two_labels in longer and host:
        if host in by_host:
            return by_host[host]
        host = host.partition(".")[2]
    return None


@cache
def _by_host() -> tuple[dict[str, Provider], frozenset[str]]:
    """Return the providers by their domains; no domain lies below another provider's.

    Behind them the last two labels of all that have more.
    """
    found = {host: provider for provider in reversed(providers()) for host in provider.hosts}
    return found, frozenset(".".join(host.split(".")[-2:]) for host in found if host.count(".") > 1)


_Ranges = dict[tuple[int, int], list[tuple[bytes, bytes, Provider]]]
"""First and last address of networks, by their length in bytes and the first of these, and whose they are."""


@cache
def _ranges(kind: Literal["internal", "shared"]) -> _Ranges:
    found: _Ranges = {}
    for provider in providers():
        for network in provider.internal if kind == "internal" else provider.shared:
            first, last = network[0].packed, network[-1].packed
            for byte in range(first[0], last[0] + 1):
                found.setdefault((len(first), byte), []).append((first, last, provider))
    return found


def _in_ranges(ip: str, ranges: _Ranges) -> Provider | None:
    address = packed(ip)
    for first, last, owner in ranges.get((len(address), address[0]), ()):
        if first <= address <= last:
            return owner
    return None


@lru_cache(maxsize=1024)
def is_customer_name(name: str, ip: str) -> bool:
    """Tell whether a name looks like one that a network hands to its customers, not like its own host."""
    octets = ip.split(".")
    if len(octets) == 4:
        numbers = re.split(r"\D+", name)
        if octets[3] in numbers and octets[2] in numbers:
            return True
        if "".join(f"{int(octet):02x}" for octet in octets) in name:
            return True
    return bool(_CUSTOMER.search(name))


class Border:
    """The boundary of one walk; it learns the organisations of the topmost host and of polled mailboxes."""

    __slots__ = ("domains", "own", "providers", "seen", "trust")

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self.domains: set[str] = set()
        self.own: set[str] = set()
        self.seen: set[str] = set()
        """Addresses that believed lines showed to be the border's own."""
        self.providers: list[Provider] = []
        for host in trust.hosts:
            self._join(provider_of(host))

    def learn(self, host: str | None) -> None:
        """Take a host that is believed without question: names of its organisation belong inside."""
        if host is None:
            return
        self.own.add(host)
        found = provider_of(host)
        if found is not None and found.role == "mailbox":
            self._join(found)
        elif domain := organisational_domain(host):
            self.domains.add(domain)

    def _join(self, provider: Provider | None) -> None:
        if provider is not None and provider not in self.providers:
            self.providers.append(provider)

    def writes(self, host: str | None) -> bool:
        """Tell whether lines written under this name may be believed, if the walk gets to them."""
        if host is None:
            return False
        if host in self.own:
            return True
        if is_below(host, self.trust.strangers):
            return False
        if is_below(host, self.trust.hosts) or is_below(host, self.domains):
            return True
        if self.providers and provider_of(host) in self.providers:
            return True
        return self.trust.has_ip(canonical_ip(host))

    def internal_of(self, ip: str, helo: str | None) -> Provider | None:
        """Return the reporter's mailbox provider when one of its receiving servers has this address.

        `helo` counts only in networks where the provider alone decides what its machines say.
        """
        found = _in_ranges(ip, _ranges("internal"))
        if found is not None and found in self.providers:
            return found
        found = _in_ranges(ip, _ranges("shared")) if helo is not None else None
        if found is None or helo is None or found not in self.providers:
            return None
        return found if found.owns(helo) and not found.outbound.match(helo) else None

    def is_own_name(self, name: str, ip: str) -> bool:
        """Tell whether a verified name marks a host of the border, and not a customer under its domain."""
        if self.trust.has_host(name):
            return True
        if not self.writes(name) or is_customer_name(name, ip):
            return False
        return not any(provider.outbound.match(name) for provider in self.providers)

    def forwarder(self, name: str) -> Provider | None:
        """Return the alias service that a verified name belongs to; from then on its lines are believed."""
        found = provider_of(name)
        if found is None or found.role != "forwarder" or found.outbound.match(name):
            return None
        self._join(found)
        return found
