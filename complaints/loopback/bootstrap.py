"""IANA's RDAP bootstrap files for a world (RFC 9224): which server knows which addresses, numbers, names."""

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from .tables import Registrar, Registry
from .world import World

Services = list[list[list[str]]]
# What IANA has dealt out to the registries, coarsely: the catch-all answers for all of it.
ALL_IPV4 = [f"{n}.0.0.0/8" for n in range(1, 224) if n not in (10, 127)]
ALL_IPV6 = ["2000::/3"]


def write_bootstrap(
    world: World, folder: Path, base_of: Callable[[Registry | Registrar], str], now: datetime
) -> None:
    """Write ipv4.json, ipv6.json, asn.json, dns.json and object-tags.json into the folder."""
    folder.mkdir()
    bases = {key: base_of(registry) for key, registry in world.registries.items()}
    keys: dict[str, dict[str, list[str]]] = {name: defaultdict(list) for name in ("ipv4", "ipv6", "asn")}
    for network in world.networks.values():
        keys[f"ipv{network.cidr.version}"][network.via or network.registry].append(str(network.cidr))
    for autnum in world.autnums.values():
        keys["asn"][autnum.via or autnum.registry].append(str(autnum.asn))
    if world.catch_all:
        keys["ipv4"][world.catch_all.registry] += ALL_IPV4
        keys["ipv6"][world.catch_all.registry] += ALL_IPV6
    for name, by_registry in keys.items():
        _write(folder, name, now, [[entries, [bases[key]]] for key, entries in by_registry.items()])
    _write(folder, "dns", now, [[list(world.constants.top_level_domains), [base_of(world.names)]]])
    # An object tag row has its maintainers' addresses in front (RFC 8521 §3).
    tags = [[["hostmaster@loopback.example"], [key.upper()], [base]] for key, base in bases.items()]
    _write(folder, "object-tags", now, tags)


def _write(folder: Path, name: str, now: datetime, services: Services) -> None:
    document = {
        "version": "1.0",
        "publication": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": f"RDAP bootstrap file of the loopback internet: {name}",
        "services": services,
    }
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1), "utf-8")
