"""Whom a spam's links and lures are about: grouped by who answers for them, the innocent ones told apart.

Takes what one spam advertises; leaves one group of links per responsible host, the most likely guilty first,
and the mail addresses that answers are to go to. Well-known bystanders (namespaces, fonts, icons, footers of
mail programs, sites of impersonated brands) are rows of `data/bystanders.toml`.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from complaints.hosts import organisational_domain
from complaints.links import Link, Lure
from complaints.message import Message

MOST_DROP_BOXES = 3
"""Addresses of one spam whose providers are told: it rarely has more, and a list of victims often has."""

# How a link is used, the surest sign of guilt first: what a reader is led to, then what is merely named,
# then what a mail program loads by itself.
_GUILT = ("form", "refresh", "anchor", "qr", "pdf", "text", "subject", "calendar", "script", "image", "style")
_LOADED = frozenset({"image", "style", "script"})
_PICTURE = re.compile(r"(?i)\.(?:png|jpe?g|gif|webp|svg|ico|bmp|avif)$")
_STYLE = re.compile(r"(?i)\.(?:css|js|mjs|woff2?|ttf|otf|eot|dtd|xsd)$")
_PATH = re.compile(r"^[a-z]+://[^/?#]*|[?#].*", re.IGNORECASE | re.DOTALL)
_SHOWN_LINK = 2_000
_HEADER_ADDRESS = re.compile(r"[^\s<>@,;:\"()]{1,64}@([A-Za-z0-9.-]{1,253})")
_LONGEST_HEADER = 4_000


@dataclass(frozen=True, slots=True)
class Group:
    """The links of one spam that one organisation answers for.

    `host` is the host of the link most likely meant to be followed, `url` that link; `domain` the registrable
    domain, or the address; `links` how many links there are; `found_in` where, sorted; `used` how the best of
    them is used; `notes` what is remarkable about them; `bystander` why nobody here is to be blamed, or None.
    """

    host: str
    domain: str
    url: str
    links: int
    found_in: tuple[str, ...]
    used: str
    notes: tuple[str, ...] = ()
    bystander: str | None = None

    @property
    def led_to(self) -> bool:
        """Whether the reader is led there; False when a mail program only loads something from there."""
        return self.used not in _LOADED


def groups(links: Iterable[Link], own: Iterable[str] = ()) -> tuple[Group, ...]:
    """Group links by who answers for them: guilty first, bystanders last, each in order of appearance.

    `own` are the mail domains of the reporter and of this service. Customers that a public suffix keeps apart
    (`shop.github.io`) are groups of their own; the desk found for each is the platform's.
    """
    domains: dict[str, list[Link]] = {}
    for link in links:
        domains.setdefault(link.domain, []).append(link)
    ours = {organisational_domain(domain.lower()) or domain.lower() for domain in own}
    alone = not any(_is_suspect(link) for link in _all(domains) if link.domain not in ours)
    found = [_group(domain, members, ours, alone) for domain, members in domains.items()]
    return tuple(sorted(found, key=lambda group: (group.bystander is not None, _rank(group.used))))


def _all(domains: dict[str, list[Link]]) -> Iterable[Link]:
    return (link for members in domains.values() for link in members)


def _group(domain: str, members: Sequence[Link], ours: set[str], alone: bool) -> Group:
    if domain in ours:
        reasons: list[str | None] = ["It is your own mail domain, or ours."] * len(members)
    else:
        reasons = [_innocence(link, alone) for link in members]
    # One guilty link is enough: a form on a platform is not excused by the platform's logo beside it.
    guilty = [link for link, reason in zip(members, reasons, strict=True) if reason is None]
    first = min(guilty or members, key=lambda link: _rank(_used(link)))
    return Group(
        host=first.host,
        domain=domain,
        url=first.url[:_SHOWN_LINK],
        links=len(members),
        found_in=tuple(sorted({link.found_in for link in members})),
        used=_used(first),
        notes=tuple(dict.fromkeys(note for link in guilty for note in link.notes)),
        bystander=None if guilty else next(reason for reason in reasons if reason),
    )


def _used(link: Link) -> str:
    """How a link is used: what the reader of the parts says, else what the name of the file tells."""
    if link.used:
        return link.used
    if link.found_in in _GUILT:
        return link.found_in
    path = link.url.partition("?")[0].partition("#")[0]
    if _PICTURE.search(path):
        return "image"
    return "style" if _STYLE.search(path) else "anchor"


def _rank(used: str) -> int:
    return _GUILT.index(used) if used in _GUILT else _GUILT.index("text")


def _is_suspect(link: Link) -> bool:
    """Whether a reader is led to it and no row knows it, so that others can be bystanders beside it."""
    known = (row for row in _rows_for(link.host) if row.get("only") != "loaded")
    return _used(link) not in _LOADED and not any(_covers(row, link) for row in known)


def _innocence(link: Link, alone: bool) -> str | None:
    """Why nobody is to be blamed for this link; None when no row says so."""
    loaded = _used(link) in _LOADED
    for row in _rows_for(link.host):
        only = row.get("only")
        if not _covers(row, link) or (only == "loaded" and not loaded):
            continue
        if only == "beside" and alone and not loaded:
            continue
        return f"{row['name']}: {row['why']}"
    return None


def _covers(row: dict[str, Any], link: Link) -> bool:
    paths = row.get("paths")
    if paths is None:
        return True
    # urllib raises on what browsers take: a bracket before the @ of `http://[@shop.example/`.
    path = _PATH.sub("", link.url) or "/"
    return path.startswith(paths)


@lru_cache(maxsize=4096)
def _rows_for(host: str) -> tuple[dict[str, Any], ...]:
    """The rows that may be about links to a host; many links of a spam lead to the same."""
    return tuple(row for name in (*_names(host), "*") for row in _rows().get(name, ()))


def _names(host: str) -> list[str]:
    """Under which names a row may stand: the host alone, itself and the names above it."""
    labels = host.split(".")
    return ["=" + host, *(".".join(labels[n:]) for n in range(len(labels) - 1))]


def is_well_known(host: str) -> bool:
    """Tell whether a host belongs to a known bystander, whatever it is used for (a brand, a footer)."""
    return any(name in _rows() for name in _names(host))


@cache
def _rows() -> dict[str, list[dict[str, Any]]]:
    """The rows by each of their hosts."""
    text = files("complaints").joinpath("data/bystanders.toml").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = {}
    for row in tomllib.loads(text)["bystander"]:
        if "paths" in row:
            row["paths"] = tuple(row["paths"])
        for host in row["hosts"]:
            found.setdefault(host, []).append(row)
    return found


@dataclass(frozen=True, slots=True)
class DropBox:
    """A mail address that the spam wants to be answered at; `found_in` is `reply-to` or a lure's place."""

    address: str
    domain: str
    found_in: str


def drop_boxes(message: Message, lures: Iterable[Lure], own: Iterable[str] = ()) -> tuple[DropBox, ...]:
    """Return where answers are to go, Reply-To first, at most `MOST_DROP_BOXES`.

    Passed over are whoever may be a victim: the address in From and everybody at its domain (anybody can
    write there what they like), recipients, `own` domains, and well-known bystanders.
    """
    wanted = [(address, "reply-to") for address, _ in _addresses(message, "Reply-To")]
    wanted += ((lure.value, lure.found_in) for lure in lures if lure.kind == "mail")
    if not wanted:
        return ()
    senders = {domain for _, domain in _addresses(message, "From", "Sender")}
    victims = recipients(message)
    barred = {organisational_domain(domain) or domain for domain in {*senders, *map(str.lower, own)}}
    found: dict[str, DropBox] = {}
    for address, found_in in wanted:
        domain = address.rpartition("@")[2].lower()
        if address.lower() in victims or (organisational_domain(domain) or domain) in barred:
            continue
        if "." in domain and not is_well_known(domain):
            found.setdefault(address.lower(), DropBox(address, domain, found_in))
    return tuple(found.values())[:MOST_DROP_BOXES]


def recipients(message: Message) -> set[str]:
    """Return whom a spam was sent to, in lower case: its text names them too, not to be answered there."""
    return {address for address, _ in _addresses(message, "To", "Cc", "Delivered-To", "X-Original-To")}


def _addresses(message: Message, *names: str) -> list[tuple[str, str]]:
    """The addresses in these fields in lower case, each with its domain."""
    texts = (text[:_LONGEST_HEADER] for name in names for text in message.all(name)[:10])
    signed = (text for text in texts if "@" in text)
    return [(hit[0].lower(), hit[1].lower()) for text in signed for hit in _HEADER_ADDRESS.finditer(text)]
