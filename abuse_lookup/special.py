"""Takes an address, AS number or host name; leaves why nobody on the public Internet answers for it, or None.

The knowledge is in `data/special.toml`, complete and the same under every version of Python: IANA's
registries of special-purpose addresses (RFC 6890 §2.2) and AS numbers (RFC 6996 §5, RFC 7300, RFC 7607). What
is set aside for documentation counts as public (RFC 5737, RFC 3849, RFC 5398): examples and tests live there.
"""

import ipaddress
from functools import cache

from abuse_lookup.knowledge import rows

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

LARGEST = {4: 8, 6: 12}
"""Prefix lengths of the largest blocks that IANA hands to a registry."""

# RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476 and the root zone's reservation of "internal".
_LOCAL_SUFFIXES = ("localhost", "local", "internal", "invalid", "onion", "home.arpa", "arpa", "alt")


def ip_refusal(ip: IPAddress) -> str | None:
    """Say why this address is not on the public Internet, or None."""
    number = int(ip)
    for first, last, what in _special(ip.version):
        if first <= number <= last:
            return f"{ip} is {what}: nobody on the public Internet answers for it" if what else None
    return None


def network_refusal(network: IPNetwork) -> str | None:
    """Say why nobody answers for this network, or None."""
    if network.prefixlen < LARGEST[network.version]:
        return f"{network} is larger than what any registry holds: nobody answers for all of it"
    return ip_refusal(network.network_address) or ip_refusal(network.broadcast_address)


def asn_refusal(asn: int) -> str | None:
    """Say why this AS number belongs to nobody, or None."""
    for row in rows("special", "asn"):
        if row["first"] <= asn <= row["last"]:
            return f"AS{asn} is private or reserved ({row['what']}): no network answers for it"
    return None


def host_refusal(host: str) -> str | None:
    """Say why this name is not one of the public DNS, or None. `.example` and `.test` count as public."""
    if "." not in host:
        return f"{host} is a single label: a name on the public Internet has at least two"
    if any(host == suffix or host.endswith("." + suffix) for suffix in _LOCAL_SUFFIXES):
        return f"{host} ends in a name reserved for local use"
    return None


@cache
def _special(version: int) -> tuple[tuple[int, int, str], ...]:
    """All networks as (first, last, what), the most specific first; what is empty where it is reached."""
    found = [
        (network, "" if row.get("reached") else str(row["what"]))
        for row in rows("special", "address")
        for network in map(ipaddress.ip_network, row["networks"])
        if network.version == version
    ]
    found.sort(key=lambda item: -item[0].prefixlen)
    return tuple((int(net.network_address), int(net.broadcast_address), what) for net, what in found)
