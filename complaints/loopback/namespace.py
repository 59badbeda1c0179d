"""The world's DNS data: takes a `World` and the places of its servers, leaves zones and the mail host names.

Each zone is written as master file text first (RFC 1035 §5.1), so that it can be read by eye and so that a
world's own `[zones]` text mixes with what is derived.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, ip_address

import dns.exception
import dns.reversename
import dns.zone

from .places import LOOPBACK, Places, servers_of
from .tables import Domain, IPAddress, WorldError
from .world import World

NAMESERVER = "ns.loopback.example"
CATCH_ALL_MAIL_HOST = "mx.elsewhere.example"
Record = tuple[str, str]


def mail_hosts(world: World) -> list[str]:
    """List the hosts that take mail in this world, in a stable order: each gets its own loopback address."""
    hosts = [host for domain in world.mail_domains for host in _mail_hosts_of(world, domain)]
    if world.catch_all and world.catch_all.names:
        hosts.append(CATCH_ALL_MAIL_HOST)
    return list(dict.fromkeys((*hosts, *world.mail_hosts)))


def rdap_hosts(world: World) -> list[str]:
    """List the host names of all RDAP servers, without repetition."""
    return list(dict.fromkeys(server.rdap for server in servers_of(world)))


def zone_texts(world: World, places: Places) -> dict[str, str]:
    """Return origin (with final dot) → master file text of each zone of the world.

    In `[zones]` text, `{mail}` is the address of the first mail host.
    """
    texts = {origin: [f"$TTL {world.constants.ttl}"] for origin in _origins(world)}
    for owner, record in _records(world, places):
        texts[_origin_of(owner, texts)].append(f"{owner}. {record}")
    first_mail_host = next(iter(places.mail.values()), LOOPBACK)
    for name, text in world.zones.items():
        texts[f"{name}."].append(f"$ORIGIN {name}.\n" + text.replace("{mail}", first_mail_host))
    for origin, lines in texts.items():
        if not any(re.search(r"\bSOA\b", line) for line in lines):
            lines.insert(1, f"{origin} SOA {NAMESERVER}. . 1 3600 600 86400 60")
            lines.insert(2, f"{origin} NS {NAMESERVER}.")
    return {origin: "\n".join(lines) + "\n" for origin, lines in texts.items()}


@lru_cache(maxsize=256)
def zone(origin: str, text: str) -> dns.zone.Zone:
    """Parse one of `zone_texts`, to be read only. Raises WorldError naming the zone and what is wrong.

    Kept, since whoever starts many worlds starts mostly the same ones.
    """
    try:
        return dns.zone.from_text(text, origin=origin, relativize=False, check_origin=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise WorldError(f"the zone {origin} does not parse: {error}") from error


def reversed_address(labels: list[str]) -> IPAddress | None:
    """Read reversed octets or nibbles (RFC 5782 §2.1, §2.4) as an address; None when they are none."""
    if len(labels) == 4:
        text = ".".join(reversed(labels))
    elif len(labels) == 32 and all(len(label) == 1 for label in labels):
        nibbles = "".join(reversed(labels))
        text = ":".join(nibbles[start : start + 4] for start in range(0, 32, 4))
    else:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _origins(world: World) -> list[str]:
    """List all zone cuts, so that negative answers name their zone (RFC 2308 §3)."""
    constants = world.constants
    names = {"in-addr.arpa", "ip6.arpa", constants.contact_zone, *constants.top_level_domains}
    names |= {*world.domains, *world.zones, *(domain.removeprefix("*.") for domain in world.mail_domains)}
    return [".", *(f"{name}." for name in sorted(names))]


def _origin_of(owner: str, origins: Iterable[str]) -> str:
    labels = owner.lower().split(".")
    ancestors = (".".join(labels[start:]) + "." for start in range(len(labels)))
    return next((ancestor for ancestor in ancestors if ancestor in origins), ".")


def _records(world: World, places: Places) -> Iterator[Record]:
    yield NAMESERVER, f"A {LOOPBACK}"
    for host, address in (*places.whois.items(), *places.mail.items()):
        yield host, f"A {address}"
    for host, address in places.whois.items():
        yield f"*.{host}", f"A {address}"  # for referrals to ever new names
    for host in rdap_hosts(world):
        yield host, f"A {LOOPBACK}"
    for domain in world.domains.values():
        yield from _domain_records(domain)
    for mail_domain in world.mail_domains:
        for n, host in enumerate(_mx_of(world, mail_domain), start=1):
            yield mail_domain, f"MX {10 * n} {host}."
    yield from _reverse(world, places)


def _domain_records(domain: Domain) -> Iterator[Record]:
    for address in domain.addresses:
        yield domain.name, f"{_address_type(address)} {address}"
        yield f"www.{domain.name}", f"{_address_type(address)} {address}"
    for text in domain.txt:
        yield domain.name, f"TXT {_quoted(text)}"
    if domain.mx == (".",):
        yield domain.name, "MX 0 ."


def _mx_of(world: World, mail_domain: str) -> list[str]:
    """Return the MX hosts of a mail domain: as declared, else one derived; none where the world says []."""
    declared = world.domains.get(mail_domain)
    if declared is not None and declared.mx is not None:
        return [host.lower().rstrip(".") for host in declared.mx]
    return [f"mx.{mail_domain.removeprefix('*.')}"]


def _mail_hosts_of(world: World, mail_domain: str) -> list[str]:
    """Return who takes the mail of a domain: its MX hosts, else the domain itself (RFC 5321 §5.1)."""
    declared = world.domains.get(mail_domain)
    itself = [mail_domain] if declared is not None and not declared.addresses else []
    return _mx_of(world, mail_domain) or itself


def _reverse(world: World, places: Places) -> Iterator[Record]:
    """Name the addresses, and give the names their addresses, so that they verify.

    A host that listens on loopback keeps its own address, and `[zones]` text may say something else.
    """
    taken = {*world.domains, *places.mail, *places.whois}
    for address, name in world.reverse.items():
        owner = dns.reversename.from_address(str(address)).to_text(omit_final_dot=True)
        yield owner, f"PTR {name}."
        if name not in taken and not any(name.endswith(f".{zone}") for zone in world.zones):
            yield name, f"{_address_type(address)} {address}"


def _address_type(address: IPAddress) -> str:
    return "A" if isinstance(address, IPv4Address) else "AAAA"


def _quoted(text: str) -> str:
    """Write a TXT value as character strings of at most 255 octets (RFC 1035 §3.3.14)."""
    chunks = [text[start : start + 255] for start in range(0, len(text), 255)] or [""]
    return " ".join('"' + chunk.replace("\\", "\\\\").replace('"', '\\"') + '"' for chunk in chunks)
