"""What a redirector or a security rewriter hides in its URL.

Takes the host and the URL of a link; leaves the text of the target it names, decoded. The services are rows
of `data/redirectors.toml`. Nothing is ever fetched or resolved: what only the service knows stays unknown,
and is said to be.
"""

import re
import tomllib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import islice
from urllib.parse import unquote

from complaints.encodings import decode_base64
from complaints.hosts import organisational_domain

_MOST_PARAMETERS = 100
_MOST_INNER = 8
_LONGEST_TARGET = 16_384
_DASH_HEX = re.compile(r"-([0-9A-Fa-f]{2})")
_RUN = re.compile(r"\*(?:\*([A-Za-z0-9_-]))?")
_RUN_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_COUNTRY = re.compile(r"(?:com?\.)?[a-z]{2}|com")
_SHIFTED_BACK = str.maketrans(
    {chr(a + (n + 5) % 26): chr(a + n) for a in (ord("a"), ord("A")) for n in range(26)}
)
# An absolute URL inside another one: plain, percent-encoded once or more, or in base64 (aHR0c is `http`).
_INNER = re.compile(
    r"https?(?::|%(?:25){0,4}3a)(?:[/\\]|%(?:25){0,4}(?:2f|5c)){1,3}[^/\\]|(?<![A-Za-z0-9+_-])aHR0c[A-Za-z0-9+/_-]{8,}+",
    re.IGNORECASE,
)
# The same as the value of a parameter, without its scheme; the words of a search are none.
_BARE_INNER = re.compile(
    r"(?<==)(?<![?&][qp]=)(?<!query=)(?<!search=)(?<!text=)"
    r"(?:www\.|(?://|%2f%2f)(?=[a-z0-9]))[a-z0-9.-]+\.[a-z]{2,}[^&#]*",
    re.IGNORECASE,
)
# What can stand in a URL; a base64 run may go on with other things than the URL.
_CLEAN = re.compile(r"https?:[^\x00-\x20\x7f\ufffd]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hidden:
    """The target that a service names: its text, and whether that is no more than the host."""

    service: str
    target: str | None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Redirector:
    """One row of the data: a service, the paths it redirects at, and where in its URLs the target stands."""

    name: str
    path: str
    parameters: tuple[str, ...]
    pattern: re.Pattern[str] | None
    decode: str
    opaque: bool
    receiving: bool


@cache
def _redirectors() -> dict[str, list[Redirector]]:
    text = files("complaints").joinpath("data/redirectors.toml").read_text("utf-8")
    found: dict[str, list[Redirector]] = {}
    for row in tomllib.loads(text)["redirector"]:
        redirector = Redirector(
            name=row["name"],
            path=row.get("path", "/"),
            parameters=tuple(name.lower() for name in row.get("parameter", ())),
            pattern=re.compile(row["pattern"]) if "pattern" in row else None,
            decode=row.get("decode", "plain"),
            opaque=row.get("opaque", False),
            receiving=row.get("receiving", False),
        )
        for host in row["host"]:
            found.setdefault(host, []).append(redirector)
    return found


@lru_cache(maxsize=4096)
def redirectors_of(host: str) -> tuple[Redirector, ...]:
    """Return the services at this host, those of the host itself before those of a domain above it."""
    table = _redirectors()
    found: list[Redirector] = []
    rest = host
    while rest:
        if rest in table:
            found += table[rest]
        rest = rest.partition(".")[2]
    if not _brands().isdisjoint(host.split(".")):
        brand, _, suffix = (organisational_domain(host) or "").partition(".")
        # A brand under any other ending may be anybody's.
        if _COUNTRY.fullmatch(suffix):
            found += table.get(f"{brand}.*", ())
    return tuple(found)


@cache
def _brands() -> frozenset[str]:
    """Return the labels that name a service under the ending of any country."""
    return frozenset(host.removesuffix(".*") for host in _redirectors() if host.endswith(".*"))


def hidden(host: str, url: str) -> Iterator[Hidden]:
    """Give what the services at this host may hide in `url`, the surest reading first.

    A target of None means that the link is rewritten and only its service can tell where it leads.
    """
    rows = redirectors_of(host)
    if not rows:
        return
    rest = url.partition("://")[2]
    path = "/" + rest[len(rest.partition("/")[0].partition("?")[0]) :].removeprefix("/")
    unread = None
    for row in rows:
        if not path.startswith(row.path):
            continue
        target = _target(row, url)
        if target:
            yield Hidden(row.name, target[:_LONGEST_TARGET], row.opaque and "/" not in target)
        elif row.opaque and len(path) > 1:
            unread = unread or Hidden(row.name, None)
    if unread:
        yield unread


def _target(row: Redirector, url: str) -> str | None:
    if row.pattern is not None:
        match = row.pattern.search(url)
        return _PATTERN_DECODERS[row.decode](match) if match else None
    values = _parameters(url)
    value = next((values[name] for name in row.parameters if values.get(name)), None)
    return _VALUE_DECODERS[row.decode](value) if value is not None else None


def _parameters(url: str) -> dict[str, str]:
    """Return the parameters by their names in lower case, the first of each name."""
    pairs = url.partition("?")[2].replace("&amp;", "&").split("&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]
    found: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        found.setdefault(name.lower(), unquote(value))
    return found


def _octets_of_base64(value: str) -> bytes:
    return decode_base64(value.replace("-", "+").replace("_", "/").encode("ascii", "ignore"))


def _text_of_base64(value: str) -> str:
    return _octets_of_base64(value).decode("utf-8", "replace")


def _inflated(value: str) -> str | None:
    try:
        return (
            zlib.decompressobj()
            .decompress(_octets_of_base64(value), _LONGEST_TARGET)
            .decode("utf-8", "replace")
        )
    except zlib.error:
        return None


def _shifted_back(target: str) -> str | None:
    """Undo letters moved on by five; how digits are moved is not known, so a host with any stays unread."""
    if not target.lower().startswith("myyu"):
        return target
    back = target.translate(_SHIFTED_BACK)
    host = back.partition(":")[2].lstrip("/").partition("/")[0]
    return None if any(character.isdigit() for character in host) else back


def _unhyphened(label: str) -> str:
    return label.replace("--", "\0").replace("-", ".").replace("\0", "-")


def _filled(found: re.Match[str]) -> str:
    """Put back what URL Defense v3 took out: `*` stands for one character, `**` and a letter for a run.

    The letter counts octets of UTF-8; without anything taken out a `*` is one.
    """
    if not found["runs"]:
        return unquote(found["target"])
    taken = _text_of_base64(found["runs"])
    position = 0

    def fill(match: re.Match[str]) -> str:
        nonlocal position
        start, octets = position, _RUN_LETTERS.index(match[1]) + 2 if match[1] else 1
        while octets > 0 and position < len(taken):
            octets -= len(taken[position].encode("utf-8", "replace")) if match[1] else 1
            position += 1
        return taken[start:position]

    return unquote(_RUN.sub(fill, found["target"]))


_PATTERN_DECODERS: dict[str, Callable[[re.Match[str]], str | None]] = {
    "plain": lambda match: unquote(match["target"]),
    "runs": _filled,
    "base64": lambda match: _text_of_base64(match["target"]),
    "host": lambda match: f"http://{match['target']}{match['rest'] or ''}",
    "hyphens": lambda match: f"http://{_unhyphened(match['target'])}{match['rest'] or ''}",
    "shift-five": lambda match: _shifted_back(unquote(match["target"])),
}
_VALUE_DECODERS: dict[str, Callable[[str], str | None]] = {
    "plain": lambda value: value,
    "base64": lambda value: _text_of_base64(value.removeprefix("a1")),
    "base64-zlib": _inflated,
    "hex-dash": lambda value: unquote(_DASH_HEX.sub(r"%\1", value.replace("_", "/"))),
}


def inner_urls(url: str) -> list[str]:
    """Return the absolute URLs that stand inside this one: in a parameter, behind the path, or in base64.

    Whoever follows such a link is, on most redirectors, led to one of them; which one only the server knows.
    """
    found: list[str] = []
    position = 8
    while len(found) < _MOST_INNER and (match := _INNER.search(url, position)):
        if match[0].startswith("aHR0c"):
            text, position = _text_of_base64(match[0]), match.end()
        else:
            text, position = _encoded(url, match)
        if text[:4].lower() == "http" and (whole := _CLEAN.match(_percent_decoded(text))):
            found.append(whole[0])
    if "=www." in url or "=/" in url or "=%2" in url:
        bare = islice(_BARE_INNER.finditer(url, 8), _MOST_INNER - len(found))
        found += ["http://" + unquote(match[0]).lstrip("/") for match in bare]
    return found


def _percent_decoded(text: str) -> str:
    for _ in range(5):
        if "%" not in text[:14]:
            break
        text = unquote(text)
    return text


def _encoded(url: str, match: re.Match[str]) -> tuple[str, int]:
    """Return the URL that begins at `match`, as it is encoded, and where it ends in `url`."""
    start, in_parameter = match.start(), url[match.start() - 1] == "="
    stops = "&" if in_parameter else ""
    if "%" in match[0]:
        stops += "#" if "/" in match[0] else "/?#"
    ends = [end for stop in stops if (end := url.find(stop, match.end())) >= 0]
    end = min(ends, default=len(url))
    return url[start:end], end
