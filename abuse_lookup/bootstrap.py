"""Takes a target; leaves the base URLs of the RDAP servers that IANA names for it (RFC 9224)."""

import asyncio
import ipaddress
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx

from abuse_lookup import journal
from abuse_lookup.answer import Answer, Status
from abuse_lookup.fetch import Fetcher, FetchError
from abuse_lookup.pace import NotNow, Pace
from abuse_lookup.target import IPNetwork, Target

IANA = "https://data.iana.org/rdap/"
_KEPT = timedelta(days=1)
_RETRIED = timedelta(minutes=2)
_FETCH_SECONDS = 5.0

Services = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
"""(keys, base URLs) as RFC 9224 §3 has them."""


class Bootstrap:
    """IANA's files, from a folder or a URL, kept for a day. None means IANA itself."""

    def __init__(
        self, place: Path | str | None, fetcher: Fetcher, pace: Pace, clock: Callable[[], datetime]
    ) -> None:
        self._own = place is not None
        self._place = place if place is not None else IANA
        self._fetcher, self._pace, self._clock = fetcher, pace, clock
        self._files: dict[str, tuple[Answer[Services], datetime]] = {}
        self._plain: set[str] = set()
        self._loading = asyncio.Lock()

    async def bases(self, target: Target) -> Answer[tuple[str, ...]]:
        """Find the base URLs for a target, https first; ABSENT when IANA names none."""
        name = _file_for(target)
        answer = await self._services(name)
        if not answer.found:
            return Answer(answer.status, (), answer.server, answer.reason)
        urls = _longest_match(answer.value, target)
        if not urls:
            return Answer(Status.ABSENT, (), answer.server, f"{name} names no RDAP server for {target.key}")
        return Answer(Status.FOUND, tuple(sorted(urls, key=lambda url: not url.startswith("https://"))))

    def may_be_plain(self, url: str) -> bool:
        """Whether this http URL is under a base that the operator's own files name."""
        return any(url.startswith(base) for base in self._plain)

    async def _services(self, name: str) -> Answer[Services]:
        async with self._loading:
            kept = self._files.get(name)
            if kept is None or kept[1] <= self._clock():
                fresh = await self._load(name)
                if not fresh.found and kept is not None and kept[0].found:
                    fresh = kept[0]  # yesterday's file is better than none
                kept = (fresh, self._clock() + (_KEPT if fresh.found else _RETRIED))
                self._files[name] = kept
                if self._own:
                    bases = (url for _, urls in fresh.value for url in urls)
                    self._plain.update(url for url in bases if url.startswith("http://"))
            return kept[0]

    async def _load(self, name: str) -> Answer[Services]:
        where = f"{str(self._place).rstrip('/')}/{name}"
        with journal.asking("rdap", where, name) as noted:
            answer = await self._load_from(where)
            noted.ended(answer.status, answer.reason)
            return answer

    async def _load_from(self, where: str) -> Answer[Services]:
        try:
            raw = await self._read(where)
        except (OSError, FetchError, NotNow, TimeoutError) as error:
            reason = f"bootstrap file not read: {str(error) or 'no answer in time'}"
            return Answer(Status.TEMPORARY, (), where, reason)
        try:
            return Answer(Status.FOUND, tuple(_parsed(json.loads(raw))), where)
        except (ValueError, RecursionError) as error:
            return Answer(Status.PERMANENT, (), where, f"not a bootstrap file of RFC 9224: {error}")

    async def _read(self, where: str) -> bytes:
        if not where.startswith(("https://", "http://")):
            return await asyncio.to_thread(Path(where).read_bytes)
        url = httpx.URL(where)
        async with asyncio.timeout(_FETCH_SECONDS), self._pace.turn(url.host, _FETCH_SECONDS):
            page = await self._fetcher.get(url, "application/json")
        if page.status != httpx.codes.OK or page.body is None:
            raise FetchError(f"{url.host} answered {page.status}")
        return page.body


def _file_for(target: Target) -> str:
    if target.asn is not None:
        return "asn.json"
    if target.host is not None:
        return "dns.json"
    number = target.ip or target.network
    return "ipv4.json" if number is not None and number.version == 4 else "ipv6.json"


def _parsed(document: Any) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, list):
        raise ValueError("it has no list of services")  # noqa: TRY004 - one error for whatever is wrong with the file
    for service in services:
        match service:
            case [list(keys), list(urls)]:
                bases = (url if url.endswith("/") else f"{url}/" for url in urls if isinstance(url, str))
                yield tuple(str(key).lower() for key in keys), tuple(bases)


def _longest_match(services: Services, target: Target) -> tuple[str, ...]:
    """Choose by the longest prefix or label match (RFC 9224 §4, §5), or the range of AS numbers (§5.3)."""
    best = -1
    found: tuple[str, ...] = ()
    for keys, urls in services:
        for key in keys:
            length = _match_length(key, target)
            if length > best:
                best, found = length, urls
    return found


def _match_length(key: str, target: Target) -> int:
    """Length of the match of one key, -1 for none."""
    if target.asn is not None:
        first, _, last = key.partition("-")
        inside = first.isdecimal() and int(first) <= target.asn <= int(last if last.isdecimal() else first)
        return 0 if inside else -1
    if target.host is not None:
        bare = key.rstrip(".")
        ends = not bare or target.host == bare or target.host.endswith("." + bare)
        return len(bare) if ends else -1
    return _prefix_length(key, target)


def _prefix_length(key: str, target: Target) -> int:
    prefix = _prefix(key)
    wanted = target.network if target.network is not None else ipaddress.ip_network(str(target.ip))
    if prefix is None or prefix.version != wanted.version:
        return -1
    inside = wanted.network_address in prefix and wanted.broadcast_address in prefix
    return prefix.prefixlen if inside else -1


@lru_cache(maxsize=4096)
def _prefix(key: str) -> IPNetwork | None:
    try:
        return ipaddress.ip_network(key, strict=False)
    except ValueError:
        return None
