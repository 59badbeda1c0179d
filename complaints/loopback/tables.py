"""The tables of a world: what each kind of TOML table may say, read into frozen dataclasses and checked.

Every `*_WAYS` lists how one kind of server misbehaves on request; docs stand beside each list.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeVar

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
Table = Mapping[str, Any]
T = TypeVar("T")

# Where a network's abuse address stands: inside RDAP's registrant, beside it, behind a link, in remarks; in
# WHOIS's own field or in remarks; in the contact zone.
PUBLISHED = ("rdap", "rdap-top", "rdap-linked", "rdap-remarks", "whois", "whois-remarks", "zone")
EVERYWHERE = ("rdap", "whois")
# lame: an upward referral instead of an answer; truncated: TC over UDP at any size, tcp-timeout: and then
# silence; garbage: no message; wrong-id, wrong-question: another's answer; alias-loop: a CNAME to itself.
DNS_WAYS = (
    *("servfail", "refused", "timeout", "truncated", "tcp-timeout", "lame", "garbage", "slow"),
    *("wrong-id", "wrong-question", "alias-loop"),
)
# refuse: reset after the query; cut: reset within the answer; drip: an octet at a time; huge: 8 MiB; other:
# about another network. Referrals: loop to the server itself, ring to the root, chain to ever new names,
# private to a link-local address, lame to a name that does not exist.
WHOIS_WAYS = (
    *("timeout", "refuse", "cut", "empty", "garbage", "rate-limit", "no-newline", "other"),
    *("huge", "endless", "slow", "drip", "loop", "ring", "chain", "private", "lame"),
)
# 429-once: the first time only; 429-date: Retry-After as a date; html: an error page with status 200;
# error-200: an error object with status 200; empty: `{}`; doubled: a second, empty list of entities; other:
# about another network. Redirects: loop, chase to ever new URLs, downgrade to http, private to a link-local
# address, nowhere. Bodies: reset half way, drip an octet at a time, gzip unasked, bomb of 8 MiB.
RDAP_WAYS = (
    *("403", "404", "429", "429-once", "429-date", "500", "503", "error-200"),
    *("html", "bad-json", "wrong-type", "empty", "garbage", "bom", "latin-1", "doubled", "other"),
    *("loop", "chase", "downgrade", "private", "nowhere"),
    *("slow", "timeout", "drip", "reset", "endless", "huge", "gzip", "bomb"),
)
# Of a whole server: its certificate is for another name, out of date, or signed by nobody known.
TLS_WAYS = ("tls-name", "tls-expired", "tls-untrusted")
# down: nothing listens; silent: accepts and says nothing; bad-certificate: STARTTLS, nobody vouches for it.
SMTP_WAYS = ("down", "silent", "421", "no-starttls", "bad-certificate")
# drop: the connection is cut after the final dot, without a reply; norcpt: 550 at RCPT; greylist: 451 once.
MAILBOX_WAYS = (
    *("tempfail", "permfail", "norcpt", "greylist", "slow", "drop"),
    *("bounce", "autoreply", "answer"),
)
# A catch-all stands for the public internet, so it never covers what is not routed there (RFC 6890 §2.2).
NEVER_ROUTED = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "224.0.0.0/3", "::/8", "fc00::/7", "fe80::/10", "ff00::/8"),
    )
)


class WorldError(ValueError):
    """The world's text cannot be served; the message names the table, the key and what would be right."""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry of numbers or of names: its servers, and how its WHOIS writes (templates, see base.toml)."""

    key: str
    whois: str
    rdap: str
    none: str
    rate_limit: str
    network: str = ""
    autnum: str = ""
    elsewhere: str = ""
    domain: str = ""
    rdap_path: str = ""
    charset: str = "ascii"
    whois_way: str = ""
    rdap_way: str = ""


@dataclass(frozen=True, kw_only=True)
class Registrar:
    """A registrar of domains; `published` says where the *registry* names its abuse address.

    The registrar's own WHOIS and RDAP servers always do.
    """

    key: str
    name: str
    iana_id: int
    abuse: tuple[str, ...]
    whois: str
    rdap: str
    published: tuple[str, ...] = EVERYWHERE
    rdap_path: str = ""
    whois_way: str = ""
    rdap_way: str = ""


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What networks and autonomous systems have in common.

    `registry` holds it; `via` is the registry IANA names when that is another one. `rdap` and `whois` say how
    the answers misbehave, `rdap_body` and `whois_body` are answers verbatim, and `via_body` is what `via`
    answers over RDAP, where it does not redirect. `rdap_to` is a URL that the answer redirects to.
    """

    name: str
    registry: str
    abuse: tuple[str, ...] = ()
    published: tuple[str, ...] = EVERYWHERE
    via: str = ""
    org: str = ""
    country: str = "ZZ"
    asn: int = 0
    remarks: tuple[str, ...] = ()
    rdap: str = ""
    whois: str = ""
    rdap_body: str = ""
    via_body: str = ""
    rdap_to: str = ""
    whois_body: str = ""

    @property
    def org_handle(self) -> str:
        """The handle of the organisation, from the name: capitals, digits and hyphens."""
        return re.sub(r"[^A-Z0-9-]+", "", self.name.upper())[:24] or "NONAME"

    @property
    def domain(self) -> str:
        """The domain of the desk, or a neutral one; hostmaster@ there stands in the answers as a trap."""
        return self.abuse[0].rpartition("@")[2] if self.abuse else "loopback.example"


@dataclass(frozen=True, kw_only=True)
class Network(Holding):
    """A registered network."""

    cidr: IPNetwork

    @property
    def range(self) -> str:
        """First and last address as registries write them, `192.0.2.0 - 192.0.2.63`."""
        return f"{self.cidr[0]} - {self.cidr[-1]}"

    @property
    def handle(self) -> str:
        """The handle of the network, `NET-192-0-2-0-1`."""
        return f"NET-{re.sub('[.:]+', '-', str(self.cidr[0])).rstrip('-')}-1"


@dataclass(frozen=True, kw_only=True)
class Autnum(Holding):
    """A registered autonomous system number."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A registered domain. `mx`: None = derived if a desk is here, () = none, (".",) = null MX (RFC 7505)."""

    name: str
    addresses: tuple[IPAddress, ...] = ()
    mx: tuple[str, ...] | None = None
    txt: tuple[str, ...] = ()
    registrar: str = "loopback"
    rdap: str = ""
    whois: str = ""
    rdap_body: str = ""
    whois_body: str = ""


@dataclass(frozen=True, kw_only=True)
class CatchAll:
    """Who answers for every public address (and, with `names`, every domain) that the world does not name.

    `{net}` in `abuse` is replaced by the covering network (`203-0` for 203.0.0.0/16), so that a real corpus
    meets many desks. `names` is the address that unknown names get, "" for none.
    """

    registry: str
    abuse: str
    prefix4: int = 16
    prefix6: int = 32
    names: str = ""
    published: tuple[str, ...] = EVERYWHERE

    def network(self, target: IPNetwork) -> Network | None:
        """Make up the network that covers the target; None for what is never routed or too wide to guess."""
        length = self.prefix4 if target.version == 4 else self.prefix6
        if target.prefixlen < length or any(covers(never, target) for never in NEVER_ROUTED):
            return None
        cidr: IPNetwork = target.supernet(new_prefix=length)
        net = "-".join(
            re.findall(r"[0-9a-f]+", str(cidr[0]))[: -(-length // (8 if target.version == 4 else 16))]
        )
        return Network(
            cidr=cidr,
            name=f"NET-{net}",
            registry=self.registry,
            abuse=(self.abuse.replace("{net}", net),),
            published=self.published,
            org=f"Operator of net {net}",
        )

    @property
    def mail_domain(self) -> str:
        """The pattern of its desks' domains, `*.elsewhere.example`."""
        host = self.abuse.rpartition("@")[2]
        return ".".join("*" if "{net}" in label else label for label in host.split("."))


def read_each(tables: Table, kind: str, read: Callable[[str, Table], T]) -> dict[str, T]:
    """Read all tables of one kind. Raises WorldError naming the table."""
    found: dict[str, T] = {}
    for key, table in tables.get(kind, {}).items():
        try:
            found[key] = read(key, table)
        except (ValueError, TypeError) as error:
            raise WorldError(f'[{kind}."{key}"]: {error}') from error
    return found


def read_registry(key: str, table: Table) -> Registry:
    """Read a [registries.*] table, or [names]."""
    _check_ways(table, whois_way=WHOIS_WAYS, rdap_way=(*RDAP_WAYS, *TLS_WAYS))
    return Registry(**_known(Registry, table), key=key)


def read_registrar(key: str, table: Table) -> Registrar:
    """Read a [registrars.*] table."""
    _check_ways(table, whois_way=WHOIS_WAYS, rdap_way=(*RDAP_WAYS, *TLS_WAYS), published=PUBLISHED)
    return Registrar(**_known(Registrar, table, "abuse", "published"), key=key)


def read_network(key: str, table: Table) -> Network:
    """Read a [networks."CIDR"] table."""
    return Network(**_holding(Network, table), cidr=ip_network(key))


def read_autnum(key: str, table: Table) -> Autnum:
    """Read an [autnums."NUMBER"] table."""
    return Autnum(**_holding(Autnum, table), asn=int(key))


def read_domain(key: str, table: Table) -> Domain:
    """Read a [domains."NAME"] table."""
    _check_ways(table, whois=WHOIS_WAYS, rdap=RDAP_WAYS)
    values = _known(Domain, table, "addresses", "mx", "txt")
    addresses = tuple(ip_address(text) for text in values.pop("addresses", ()))
    return Domain(**values, name=key.lower(), addresses=addresses)


def read_catch_all(table: Table) -> CatchAll:
    """Read the [catch_all] table."""
    _check_ways(table, published=PUBLISHED)
    return CatchAll(**_known(CatchAll, table, "published"))


def read_ways(tables: Table, kind: str, ways: tuple[str, ...]) -> dict[str, str]:
    """Read a table of name = way, names in lower case. Raises WorldError for a way that is not known."""
    for key in tables.get(kind, {}):
        try:
            _check_ways(tables[kind], **{key: ways})
        except ValueError as error:
            raise WorldError(f'[{kind}] "{key}": {error}') from error
    return {key.lower(): way for key, way in tables.get(kind, {}).items()}


def no_unknown(what: str, table: Table, known: Iterable[str]) -> None:
    """Raise WorldError when the table has keys that nobody reads."""
    if unknown := sorted(set(table) - set(known)):
        raise WorldError(f"{what} has unknown keys {unknown}; known: {sorted(known)}")


def covers(wide: IPNetwork, narrow: IPNetwork) -> bool:
    """Whether all of the narrow network lies in the wide one."""
    if isinstance(wide, IPv4Network):
        return isinstance(narrow, IPv4Network) and narrow.subnet_of(wide)
    return isinstance(narrow, IPv6Network) and narrow.subnet_of(wide)


def _holding(cls: type[Holding], table: Table) -> dict[str, Any]:
    _check_ways(table, published=PUBLISHED, whois=WHOIS_WAYS, rdap=RDAP_WAYS)
    values = _known(cls, table, "abuse", "published", "remarks")
    return {**values, "org": values.get("org") or values.get("name", "")}


def _known(cls: type, table: Table, *lists: str) -> dict[str, Any]:
    """Return the table's values; those of `lists` may be one string or several and become tuples."""
    no_unknown(f"a {cls.__name__.lower()}", table, (field.name for field in fields(cls)))
    return {key: _strings(value) if key in lists else value for key, value in table.items()}


def _check_ways(table: Table, **known: tuple[str, ...]) -> None:
    for key, ways in known.items():
        for way in filter(None, _strings(table.get(key, ()))):
            if way not in ways:
                raise ValueError(f"{key} = {way!r} is not known; known: {', '.join(ways)}")


def _strings(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
