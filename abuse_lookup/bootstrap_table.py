"""Takes the text of one of IANA's RDAP bootstrap files (RFC 9224 §3); leaves which servers it names for what.

Pure. Addresses and names by the longest match, AS numbers by the smallest range, handles of entities by their
object tag (RFC 8521 §2).
"""

import ipaddress
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from abuse_lookup.target import IPNetwork, Target

Urls = tuple[str, ...]
Prefix = tuple[int, int, int]
"""IP version, prefix length, and the number that the prefix begins with."""


class Services:
    """What one bootstrap file says."""

    def __init__(self, document: Any) -> None:
        self.published = _text(document, "publication")
        """When IANA wrote it, RFC 3339; empty when it does not say."""
        self.urls: set[str] = set()
        self.size = 0
        """Number of keys that have a server."""
        self._prefixes: dict[Prefix, Urls] = {}
        self._ranges: list[tuple[int, int, Urls]] = []
        self._words: dict[str, Urls] = {}
        for keys, urls in _rows(document):
            self.urls.update(urls)
            for key in keys:
                self._add(key, urls)
        self.plain = frozenset(url for url in self.urls if url.startswith("http://"))
        self._lengths = sorted({(version, length) for version, length, _ in self._prefixes}, reverse=True)

    @classmethod
    def read(cls, raw: bytes | str) -> "Services":
        """Read a file; raises ValueError with what is wrong with it."""
        try:
            document = json.loads(raw)
        except RecursionError:
            raise ValueError("it is nested too deep") from None
        if not isinstance(document, dict) or not isinstance(document.get("services"), list):
            raise ValueError("it has no list of services")  # noqa: TRY004 - one error for all that is wrong
        return cls(document)

    def find(self, target: Target) -> Urls:
        """Find the base URLs for a target, in the file's order; empty when there are none."""
        if target.asn is not None:
            return self._for_number(target.asn)
        if target.host is not None:
            return self._for_name(target.host)
        network = target.network if target.network is not None else ipaddress.ip_network(str(target.ip))
        return self._for_network(network)

    def tagged(self, handle: str) -> Urls:
        """Find the base URLs for an entity by the tag at the end of its handle (`AMS346-RIPE`)."""
        name, hyphen, tag = handle.rpartition("-")
        return self._words.get(tag.lower(), ()) if name and hyphen else ()

    def of_organisation(self, suffix: str) -> str | None:
        """Find a base URL at a host under this domain (`ripe.net`), https only."""
        mine = (url for url in sorted(self.urls) if url.startswith("https://"))
        return next((url for url in mine if f".{urlsplit(url).hostname}".endswith(f".{suffix}")), None)

    def _add(self, key: str, urls: Urls) -> None:
        self.size += 1
        if prefix := _prefix(key):
            first = int(prefix.network_address) >> (prefix.max_prefixlen - prefix.prefixlen)
            self._prefixes.setdefault((prefix.version, prefix.prefixlen, first), urls)
            return
        first_text, _, last_text = key.partition("-")
        if first_text.isdecimal() and len(key) < 32:
            last = int(last_text) if last_text.isdecimal() else int(first_text)
            self._ranges.append((int(first_text), last, urls))
        self._words.setdefault(key.strip("."), urls)

    def _for_network(self, network: IPNetwork) -> Urls:
        number = int(network.network_address)
        for version, length in self._lengths:
            if version == network.version and length <= network.prefixlen:
                first = number >> (network.max_prefixlen - length)
                if (urls := self._prefixes.get((version, length, first))) is not None:
                    return urls
        return ()

    def _for_number(self, asn: int) -> Urls:
        mine = [(last - first, urls) for first, last, urls in self._ranges if first <= asn <= last]
        return min(mine, key=lambda item: item[0])[1] if mine else ()

    def _for_name(self, host: str) -> Urls:
        """Longest match by whole labels (RFC 9224 §4); an empty key stands for the root."""
        labels = host.split(".")
        names = (".".join(labels[start:]) for start in range(len(labels) + 1))
        return next((self._words[name] for name in names if name in self._words), ())


def _rows(document: Any) -> Iterator[tuple[list[str], Urls]]:
    """Walk the services: [keys, URLs], or [people, tags, URLs] (RFC 8521 §3); others are skipped."""
    for service in document["services"]:
        match service:
            case [list(keys), list(urls)] | [_, list(keys), list(urls)]:
                bases = tuple(url if url.endswith("/") else f"{url}/" for url in urls if _is_base(url))
                if bases:
                    yield [key.lower() for key in keys if isinstance(key, str)], bases


def _is_base(url: Any) -> bool:
    try:
        return (
            isinstance(url, str) and url.startswith(("https://", "http://")) and bool(urlsplit(url).hostname)
        )
    except ValueError:
        return False


def _prefix(key: str) -> IPNetwork | None:
    if "/" not in key:
        return None
    try:
        return ipaddress.ip_network(key, strict=False)
    except ValueError:
        return None


def _text(document: Any, name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""
