"""Takes a host, an address, an AS number or a mailbox; leaves the desk that is known for it from experience.

Four kinds of rows, each with `source` and `date`: `[[platform]]` (who runs the sites under a host suffix),
`[[proxy]]` (whose networks only pass traffic on), `[[form]]` (mailboxes that answer "use the form") and
`[[override]]` (who is right whatever registries say, or a mailbox that is never to be used). The shipped rows
lie in `data/`; an operator's own, of the same form, win over them.
"""

import hashlib
import ipaddress
import logging
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from abuse_lookup.answer import Answer, Confidence, Finding, Lookup, Scope, Sighting, Span, Status
from abuse_lookup.desk_rows import Desk, read_desks
from abuse_lookup.errors import ConfigError, UnusableTarget
from abuse_lookup.knowledge import text_of
from abuse_lookup.target import IPAddress, IPNetwork, Target

_log = logging.getLogger(__name__)
SHIPPED = ("platforms", "proxies", "desks")
"""Files under `data/` with rows of these kinds."""
_LOOK_EVERY = 1.0  # seconds between two looks at the operator's file


class DeskRows:
    """Rows by what they are about; of two about the same thing the later wins."""

    def __init__(self, desks: Iterable[Desk]) -> None:
        self.desks = tuple(desks)
        self._suffixes: dict[str, Desk] = {}
        self._domains: dict[str, Desk] = {}
        self._mailboxes: dict[str, Desk] = {}
        self._asns: dict[int, Desk] = {}
        self._networks: dict[str, dict[IPNetwork, Desk]] = {"proxy": {}, "override": {}}
        for desk in self.desks:
            self._suffixes |= dict.fromkeys(desk.suffixes, desk)
            self._domains |= dict.fromkeys(desk.domains, desk)
            self._mailboxes |= dict.fromkeys(desk.mailboxes, desk)
            self._asns |= dict.fromkeys(desk.asns, desk)
            if desk.networks:
                self._networks[desk.table] |= dict.fromkeys(desk.networks, desk)
        self._by_length = {
            (table, version): _by_length(known, version)
            for table, known in self._networks.items()
            for version in (4, 6)
        }
        nets = [net for known in self._networks.values() for net in known]
        self._edges = {
            version: sorted(
                {edge for net in nets if net.version == version for edge in (int(net[0]), int(net[-1]) + 1)}
            )
            for version in (4, 6)
        }

    def platform(self, host: str) -> Desk | None:
        """Find who runs the sites under the longest suffix of `host`."""
        return _by_suffix(self._suffixes, host)

    def domain(self, host: str) -> Desk | None:
        """Find the override for a domain or the closest one above it."""
        return _by_suffix(self._domains, host)

    def mailbox(self, address: str) -> Desk | None:
        """Find what is known of a mailbox: a better one, a form, or that it is never to be used."""
        return self._mailboxes.get(address.lower())

    def asn(self, number: int) -> Desk | None:
        """Find who answers for an AS number."""
        return self._asns.get(number)

    def network(self, table: str, asked: IPNetwork) -> tuple[IPNetwork, Desk] | None:
        """Find the smallest network of a `proxy` or `override` row that holds all of `asked`."""
        first, bits = int(asked.network_address), asked.max_prefixlen
        for length, known in self._by_length[table, asked.version]:
            if length <= asked.prefixlen and (found := known.get(first >> (bits - length))) is not None:
                return found
        return None

    def alike(self, ip: IPAddress) -> tuple[int, int]:
        """The first and the last address around `ip` of those that no network of a row tells apart."""
        edges = self._edges[ip.version]
        at = bisect_right(edges, int(ip))
        first = edges[at - 1] if at else 0
        last = edges[at] - 1 if at < len(edges) else (1 << ip.max_prefixlen) - 1
        return first, last


class KnownDesks:
    """The shipped rows and the operator's, which are read again when their file changes.

    Raises `ConfigError` when the operator's file cannot be used at the start. A file that was broken later
    changes nothing: the last good rows stay, the log and `problem` say what is wrong.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.problem = ""
        """What is wrong with the operator's file as it is now; empty when it is in use."""
        self.digest = ""
        """Of the operator's rows in use; empty when there are none."""
        self._seen = self._stamp()
        self._next_look = time.monotonic() + _LOOK_EVERY
        self._own = self._read()

    def changed(self) -> bool:
        """Look at the operator's file once a second; returns whether other rows are in use now."""
        if self.file is None or (now := time.monotonic()) < self._next_look:
            return False
        self._next_look = now + _LOOK_EVERY
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            self._own = self._read()
        except ConfigError as error:
            self.problem = f"{error}; the rows of before stay in use"
            _log.error("known desks: %s", self.problem)
            return False
        self.problem = ""
        _log.info("known desks: %d rows of %s are in use", len(self._own.desks), self.file)
        return True

    @property
    def desks(self) -> Iterator[Desk]:
        """Every row in use, the operator's first."""
        for rows in self._both:
            yield from rows.desks

    def about(self, query: str) -> list[Desk]:
        """List the rows that hold for an address, network, AS number, host or mailbox, or that name it."""
        word = query.strip().lower()
        try:
            target = Target.parse(query)
        except UnusableTarget:
            target = None
        hold = [] if target is None else self._holding(target, word)
        naming = [desk for desk in self.desks if word in " ".join((desk.provider, *desk.about)).lower()]
        return list({desk.place: desk for desk in (*hold, *naming)}.values())

    def _holding(self, target: Target, word: str) -> list[Desk]:
        if target.host is None:
            found = [self._number(table, target)[1] for table in ("override", "proxy")]
        else:
            found = [self.domain(target.host), self.platform(target.host)]
        return [desk for desk in (self.mailbox(word), *found) if desk]

    def platform(self, host: str) -> Desk | None:
        """Find who runs the sites under the longest suffix of `host` (`shop.workers.dev`)."""
        return next((desk for rows in self._both if (desk := rows.platform(host))), None)

    def mailbox(self, address: str) -> Desk | None:
        """Find what is known of a mailbox that servers name."""
        return next((desk for rows in self._both if (desk := rows.mailbox(address))), None)

    def forbid_all_of(self, found: Lookup) -> bool:
        """Tell whether every contact of an answer is a mailbox that is never to be used."""
        desks = [self.mailbox(contact.address or "") for contact in found.contacts]
        return bool(desks) and all(desk is not None and desk.never for desk in desks)

    def domain(self, host: str) -> Desk | None:
        """Find who is right for a domain, whatever is registered."""
        return next((desk for rows in self._both if (desk := rows.domain(host))), None)

    def override(self, target: Target) -> Answer[Sighting] | None:
        """Tell who is right for an address, network or AS number, whatever its registry says."""
        network, desk = self._number("override", target)
        span = Span(network[0], network[-1]) if network else None
        return said(desk, "network", span=span) if desk else None

    def proxy(self, target: Target) -> Desk | None:
        """Tell who only passes traffic on at an address, in a network or AS."""
        return self._number("proxy", target)[1]

    def alike(self, ip: IPAddress, span: Span) -> Span:
        """Narrow a range to those addresses around `ip` that no network of a row tells apart."""
        first, last = int(span.first), int(span.last)
        for rows in self._both:
            low, high = rows.alike(ip)
            first, last = max(first, low), min(last, high)
        kind = type(ip)
        return Span(kind(first), kind(last))

    def _number(self, table: str, target: Target) -> tuple[IPNetwork | None, Desk | None]:
        if target.asn is not None:
            found = (rows.asn(target.asn) for rows in self._both)
            return None, next((desk for desk in found if desk and desk.table == table), None)
        asked = target.network if target.ip is None else ipaddress.ip_network(target.ip)
        if asked is None:
            return None, None
        there = (rows.network(table, asked) for rows in self._both)
        return next((one for one in there if one), (None, None))

    @property
    def _both(self) -> tuple[DeskRows, DeskRows]:
        return self._own, shipped_desks()

    def _read(self) -> DeskRows:
        if self.file is None or self._seen is None:
            self.digest = ""
            return DeskRows(())
        try:
            text = self.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.file}: {error}; give a TOML file, or remove it") from error
        rows = DeskRows(read_desks(text, str(self.file)))
        self.digest = f"#{hashlib.sha256(text.encode()).hexdigest()[:16]}" if rows.desks else ""
        return rows

    def _stamp(self) -> tuple[int, int, int] | None:
        """What changes when the file does; None where there is none."""
        try:
            facts = self.file.stat() if self.file else None
        except OSError:
            return None
        return (facts.st_mtime_ns, facts.st_size, facts.st_ino) if facts else None


@cache
def shipped_desks() -> DeskRows:
    """Read the rows that come with the library."""
    return DeskRows(desk for name in SHIPPED for desk in read_desks(text_of(name), f"{name}.toml"))


def said(
    desk: Desk,
    scope: Scope,
    *,
    confidence: Confidence = "high",
    about: str = "",
    span: Span | None = None,
) -> Answer[Sighting]:
    """Put a row in the shape of an answer. `about`: the part of the sentence before its own why."""
    why = f"{about}{desk.sentence}"
    as_of = datetime(desk.date.year, desk.date.month, desk.date.day, tzinfo=UTC)
    finding = Finding(confidence, why, desk.address, desk.form, scope=scope, as_of=as_of)
    return Answer(Status.FOUND, Sighting((finding,), span), desk.provider)


_Numbered = dict[int, tuple[IPNetwork, Desk]]


def _by_length(known: dict[IPNetwork, Desk], version: int) -> list[tuple[int, _Numbered]]:
    """Sort networks by their length, the longest first, and each by the bits of its prefix."""
    found: dict[int, _Numbered] = {}
    for net, desk in known.items():
        if net.version == version:
            prefix = int(net.network_address) >> (net.max_prefixlen - net.prefixlen)
            found.setdefault(net.prefixlen, {})[prefix] = (net, desk)
    return sorted(found.items(), reverse=True)


def _by_suffix(known: dict[str, Desk], host: str) -> Desk | None:
    """Find the row of the longest suffix in whole labels; of mailboxes, only that of the domain itself."""
    labels = host.split(".")
    for name in (".".join(labels[n:]) for n in range(len(labels))):
        desk = known.get(name)
        if desk is not None and (desk.kind != "mail" or name == host):
            return replace(desk, matched=name)
    return None
