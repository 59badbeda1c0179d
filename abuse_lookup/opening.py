"""Takes a `Config`; leaves an open `AbuseLookup`, with everything it needs wired together in one place."""

import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from abuse_lookup.book import Book, FileBook, MemoryBook
from abuse_lookup.bootstrap import Bootstrap
from abuse_lookup.cache import Cache, FileCache, MemoryCache
from abuse_lookup.contactdb import ContactZones
from abuse_lookup.desks import KnownDesks
from abuse_lookup.fetch import Fetcher
from abuse_lookup.history import History
from abuse_lookup.judge import Judge
from abuse_lookup.kept import Kept
from abuse_lookup.last_resort import LastResort
from abuse_lookup.lookup import AbuseLookup
from abuse_lookup.mail_domain import MailDomains
from abuse_lookup.pace import Pace, limit_rows
from abuse_lookup.rdap import Rdap
from abuse_lookup.reach import Reach
from abuse_lookup.resolver import Resolver
from abuse_lookup.shared_file import SharedFile
from abuse_lookup.whois import Whois

EXCHANGE_SHARE = 0.4
"""Of a target's seconds, for one question to one server."""


def now() -> datetime:
    """Return the time, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Config:
    """What a lookup may use: every outside host and port. The defaults are those of the public Internet."""

    dns: tuple[tuple[str, int], ...] = ()
    """Name servers as (address, port); empty: the system's.

    Servers named here that are on loopback mean that the whole world is: loopback and private hosts may then
    be spoken to. So do not name a local caching resolver here: leave this empty for it.
    """
    rdap_bootstrap: Path | str | None = None
    """Folder or URL with IANA's bootstrap files (RFC 9224); None: IANA's own, of which a copy is shipped.

    A folder is read again when it changed. Fetched files are kept beside `cache_path`.
    """
    whois_root: str = "whois.iana.org"
    whois_port: int = 43
    """Port of every WHOIS server that names none."""
    seconds: float = 20.0
    """A target's deadline."""
    ca_file: Path | None = None
    """PEM file of a CA that RDAP servers may be signed by, besides the public ones."""
    allow_nets: tuple[str, ...] = ()
    """CIDRs that are not public and may be spoken to nevertheless."""
    contact_zones: tuple[str, ...] = ("abuse-contacts.abusix.zone",)
    cache_path: Path | None = None
    """SQLite file that processes share; None: memory."""
    user_agent: str = "abuse_lookup/0.1"
    """How registries know who asks; name a contact in it."""
    limit_per_minute: int = 60
    """Questions a minute to one server, at most; known limits are lower. 0: no limits at all."""
    limits: Path | None = None
    """TOML file with own `[[limit]]` rows in the form of data/limits.toml, for agreements with registries."""
    desks: Path | None = None
    """TOML file with known desks of your own, which win over the shipped ones; read again when it changes."""


@asynccontextmanager
async def open_lookup(
    config: Config,
    *,
    clock: Callable[[], datetime] = now,
    history: History | None = None,
    shared: tuple[Cache, Book] | None = None,
) -> AsyncIterator[AbuseLookup]:
    """Open a lookup for the body of the `async with`; raises `ConfigError` for what cannot work.

    `history` tells what earlier reports to a mailbox came to; contacts are ranked by it. `shared` are a cache
    and a book of the caller's own, in the place of a file at `cache_path`; they are closed too.
    """
    known = KnownDesks(config.desks)
    resolver = Resolver(config.dns, seconds=min(5.0, config.seconds / 4), clock=clock)
    reach = Reach(resolver, config.allow_nets, dns_on_loopback=_on_loopback(config.dns))
    own = limit_rows(config.limits) if config.limits else ()
    cache, book = shared or _stores(config.cache_path, clock)
    longest = config.seconds * EXCHANGE_SHARE
    pace = Pace(config.limit_per_minute, clock, book, cache, exchange_seconds=longest, own=own)
    judge = Judge(MailDomains(resolver, reach.permits), known, clock)
    last_resort = LastResort(resolver, ContactZones(resolver, config.contact_zones), judge)
    fetcher = Fetcher(reach, ca_file=config.ca_file, user_agent=config.user_agent)
    kept = config.cache_path.parent / "rdap-bootstrap" if config.cache_path else None
    bootstrap = Bootstrap(config.rdap_bootstrap, fetcher, pace, clock, folder=kept)
    try:
        lookup = AbuseLookup(
            resolver,
            Rdap(bootstrap, fetcher, pace, clock),
            Whois(reach, pace, cache, clock, root=config.whois_root, port=config.whois_port),
            last_resort,
            judge,
            known=known,
            history=history,
            kept=Kept(cache, clock, config.contact_zones),
            clock=clock,
            seconds=config.seconds,
        )
        async with aclosing(lookup):
            yield lookup
    finally:
        await bootstrap.aclose()
        await fetcher.aclose()
        pace.close()
        cache.close()


def _stores(path: Path | None, clock: Callable[[], datetime]) -> tuple[Cache, Book]:
    if path is None:
        return MemoryCache(), MemoryBook(clock)
    file = SharedFile(path)
    return FileCache(file), FileBook(file, clock)


def _on_loopback(dns: tuple[tuple[str, int], ...]) -> bool:
    """Whether every configured name server is on loopback; `Resolver` has checked that they are addresses."""
    return bool(dns) and all(ipaddress.ip_address(host).is_loopback for host, _ in dns)
