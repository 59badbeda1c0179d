"""A world: the description from which DNS, WHOIS, RDAP and mail of the loopback internet are answered.

Takes TOML text (worlds/base.toml, then the world's own tables laid over it) and leaves a `World`: checked
tables and the few questions that all servers ask of it (which network covers this address, is this a desk).

    [networks."198.51.100.0/26"]        # a new network is three lines; everything else is derived
    name = "EXAMPLE-CLOUD"
    registry = "ripe"
    abuse = "abuse@cloud.example"

    [domains."pills.example"]
    addresses = ["198.51.100.9"]

    [networks."203.0.113.0/26"]         # published elsewhere than in RDAP and WHOIS, and misbehaving
    name = "ODD"
    registry = "arin"
    abuse = "abuse@odd.example"
    published = ["whois-remarks"]
    rdap = "429"

    [reverse]
    "198.51.100.9" = "host9.cloud.example"

    [zones]                             # DNS records as they stand in a master file
    "signed.example" = 'sel._domainkey TXT "v=DKIM1; p=..."'

    [dns]
    "dead.example" = "timeout"          # this name and all below it

    [mailboxes]
    "abuse@odd.example" = "bounce"

    [mail_hosts]
    "mx.odd.example" = "no-starttls"

What may be published where, and all ways to misbehave, are listed at the top of tables.py. The text of every
world is laid over worlds/base.toml, which has the registries, a registrar and names that misbehave.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Self

from .tables import (
    DNS_WAYS,
    MAILBOX_WAYS,
    SMTP_WAYS,
    Autnum,
    CatchAll,
    Domain,
    Holding,
    IPAddress,
    IPNetwork,
    Network,
    Registrar,
    Registry,
    Table,
    WorldError,
    no_unknown,
    read_autnum,
    read_catch_all,
    read_domain,
    read_each,
    read_network,
    read_registrar,
    read_registry,
    read_ways,
)

TABLES = (
    *(
        "world",
        "root",
        "registries",
        "names",
        "registrars",
        "networks",
        "autnums",
        "domains",
        "reverse",
        "zones",
    ),
    *("dns", "mailboxes", "mail_hosts", "catch_all"),
)
# Second labels below country codes that are registries of their own, where the catch-all sells third labels.
SECOND_LEVEL = ("ac", "co", "com", "edu", "gob", "gov", "net", "or", "org")


@dataclass(frozen=True)
class Constants:
    """The [world] table."""

    whois_root: str
    contact_zone: str
    top_level_domains: tuple[str, ...]
    ttl: int
    slow_seconds: float
    retry_after: int


@dataclass(frozen=True)
class World:
    """All tables of one world; immutable, extended by laying more TOML over it."""

    tables: Table
    constants: Constants
    root: Mapping[str, str]
    registries: Mapping[str, Registry]
    names: Registry
    registrars: Mapping[str, Registrar]
    networks: Mapping[IPNetwork, Network]
    autnums: Mapping[int, Autnum]
    domains: Mapping[str, Domain]
    reverse: Mapping[IPAddress, str]
    zones: Mapping[str, str]
    dns: Mapping[str, str]
    mailboxes: Mapping[str, str]
    mail_hosts: Mapping[str, str]
    catch_all: CatchAll | None
    folder: Path | None = field(default=None, compare=False)

    @classmethod
    def load(cls, name: str) -> Self:
        """Read a shipped world by name ("demo"), a TOML file, or a folder's world.toml. Raises WorldError."""
        shipped = Path(str(files(__package__).joinpath("worlds", name)))
        for path in (shipped / "world.toml", Path(name), Path(name) / "world.toml"):
            if path.is_file():
                return cls.parse(path.read_text("utf-8"), folder=path.parent)
        raise WorldError(
            f"there is no world {name!r}: give the name of a shipped one or the path of a TOML file"
        )

    @classmethod
    def parse(cls, text: str, *, folder: Path | None = None) -> Self:
        """Lay TOML text over worlds/base.toml. Raises WorldError."""
        base = files(__package__).joinpath("worlds", "base.toml").read_text("utf-8")
        return cls._read(_laid_over(_toml(base), _toml(text)), folder)

    def extended(self, text: str) -> Self:
        """Lay more TOML over this world: new tables are added, known keys replaced. Raises WorldError."""
        return self._read(_laid_over(self.tables, _toml(text)), self.folder)

    @classmethod
    def _read(cls, tables: Table, folder: Path | None) -> Self:
        no_unknown("the world", tables, TABLES)
        world = cls(
            tables=tables,
            constants=_constants(tables["world"]),
            root=tables["root"],
            registries=read_each(tables, "registries", read_registry),
            names=read_registry("names", tables["names"]),
            registrars=read_each(tables, "registrars", read_registrar),
            networks={n.cidr: n for n in read_each(tables, "networks", read_network).values()},
            autnums={a.asn: a for a in read_each(tables, "autnums", read_autnum).values()},
            domains={d.name: d for d in read_each(tables, "domains", read_domain).values()},
            reverse={ip_address(key): _bare(name) for key, name in tables.get("reverse", {}).items()},
            zones={_bare(key): text for key, text in tables.get("zones", {}).items()},
            dns=read_ways(tables, "dns", DNS_WAYS),
            mailboxes=read_ways(tables, "mailboxes", MAILBOX_WAYS),
            mail_hosts=read_ways(tables, "mail_hosts", SMTP_WAYS),
            catch_all=read_catch_all(tables["catch_all"]) if "catch_all" in tables else None,
            folder=folder,
        )
        world._check_references()
        return world

    def _check_references(self) -> None:
        for holding in self.holdings:
            for key in filter(None, (holding.registry, holding.via)):
                if key not in self.registries:
                    raise WorldError(
                        f"{holding.name} names registry {key!r}; known: {sorted(self.registries)}"
                    )
        if self.catch_all and self.catch_all.registry not in self.registries:
            raise WorldError(f"[catch_all] names registry {self.catch_all.registry!r}, which is not known")
        for domain in self.domains.values():
            if domain.registrar not in self.registrars:
                raise WorldError(
                    f"{domain.name} names registrar {domain.registrar!r}; known: {sorted(self.registrars)}"
                )

    @property
    def holdings(self) -> list[Holding]:
        """All networks and autonomous systems that the world names."""
        return [*self.networks.values(), *self.autnums.values()]

    def network_of(self, target: IPAddress | IPNetwork) -> Network | None:
        """Find the smallest registered network that covers the target, else the catch-all's, else None."""
        wanted = ip_network(target)
        for length in self._prefix_lengths[wanted.version]:
            if length <= wanted.prefixlen and (
                found := self.networks.get(wanted.supernet(new_prefix=length))
            ):
                return found
        return self.catch_all.network(wanted) if self.catch_all else None

    @cached_property
    def _prefix_lengths(self) -> dict[int, list[int]]:
        return {
            version: sorted({n.prefixlen for n in self.networks if n.version == version}, reverse=True)
            for version in (4, 6)
        }

    def domain_of(self, name: str) -> Domain | None:
        """Find the registered domain of exactly this name (RFC 9082 §3.1.3), not of a name below it."""
        name = _bare(name)
        if found := self.domains.get(name):
            return found
        labels = name.split(".")
        registrable = len(labels) == 2 or (len(labels) == 3 and labels[1] in SECOND_LEVEL)
        everyone = self.catch_all
        if everyone and everyone.names and registrable and labels[-1] in self.constants.top_level_domains:
            return Domain(name=name, addresses=(ip_address(everyone.names),))
        return None

    @cached_property
    def desks(self) -> frozenset[str]:
        """The mailboxes of all desks that the world names, in lower case."""
        abuse = [a for h in self.holdings for a in h.abuse] + [
            a for r in self.registrars.values() for a in r.abuse
        ]
        return frozenset(address.lower() for address in abuse)

    def is_desk(self, mailbox: str) -> bool:
        """Whether a desk reads this mailbox: one that the world names, or any abuse@ (RFC 2142 §4)."""
        return mailbox.lower() in self.desks or mailbox.lower().startswith("abuse@")

    @cached_property
    def mail_domains(self) -> tuple[str, ...]:
        """Domains whose mail is taken here; a `*.` pattern stands for all names below."""
        found = {mailbox.rpartition("@")[2] for mailbox in (*self.desks, *self.mailboxes)}
        found |= {domain.name for domain in self.domains.values() if domain.mx is not None}
        found -= {domain.name for domain in self.domains.values() if domain.mx == (".",)}
        if self.catch_all:
            found.add(self.catch_all.mail_domain)
        return tuple(sorted(found))

    def takes_mail_for(self, domain: str) -> bool:
        """Whether a mailbox at this domain is one of this world's."""
        domain = domain.lower()
        if domain in self.mail_domains or f"*.{domain.partition('.')[2]}" in self.mail_domains:
            return True
        everyone = self.catch_all is not None and bool(self.catch_all.names)
        return everyone and domain not in self.domains and domain not in self.zones


def _constants(table: Table) -> Constants:
    no_unknown("[world]", table, Constants.__dataclass_fields__)
    return Constants(**{**table, "top_level_domains": tuple(table["top_level_domains"])})


def _toml(text: str) -> Table:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WorldError(f"the world is not TOML: {error}") from error


def _laid_over(base: Table, top: Table) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = (
            _laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def _bare(name: str) -> str:
    return name.lower().rstrip(".")
