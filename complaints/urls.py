"""One link, as browsers read it.

Takes a link with all its disguises; leaves the URL and the host that a browser would go to, and what stood
before it. Redirectors are rows of `data/redirectors.toml`. Nothing is ever fetched or resolved.
"""

import re
import tomllib
from dataclasses import dataclass
from fnmatch import translate
from functools import cache, lru_cache
from importlib.resources import files
from ipaddress import IPv4Address
from urllib.parse import parse_qsl, unquote

import idna

from complaints.encodings import decode_base64, printable
from complaints.hosts import canonical_ip

LONGEST = 16_384
"""Characters of one URL that are read."""
_MOST_WRAPPINGS = 6

# Characters that show nothing, or that browsers drop inside a URL: soft hyphen, zero-width, direction marks,
# joiners.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_DROPPED = re.compile(r"[\x00-\x1f\x7f]+")
_DOTS = re.compile("[\u3002\uff0e\uff61\u2024\ufe52]")
_URL = re.compile(
    r"(?P<scheme>https?|ftp):[/\\]*(?P<authority>[^/\\?#]*+)(?P<rest>.*+)", re.IGNORECASE | re.DOTALL
)
_PORT = re.compile(r":\d{0,5}$")
# Browsers ask for a host with & or _ in it, and a wildcard in the DNS answers; not so for the registered
# part.
_NAME = re.compile(r"(?![-.])[a-z0-9_&.-]*[a-z0-9-]{1,63}\.[a-z0-9-]{2,63}")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+)){0,3}", re.IGNORECASE)
_DEFANGED = re.compile(r"\[(?:\.|dot)\]|\((?:\.|dot)\)|\{(?:\.|dot)\}", re.IGNORECASE)
_HXXP = re.compile(r"\bh(?:xx|\*\*|__|tt|XX)p(s?)(?:\[:\]|:)(?:\[//\]|//)", re.IGNORECASE)
_DASH_HEX = re.compile(r"-([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a link leads: its URL, its host as A-labels or address, and the wrappings taken off."""

    url: str
    host: str
    via: tuple[str, ...] = ()


def refang(text: str) -> str:
    """Undo what people write to make a link harmless: `hxxp`, `[.]`, `(dot)`."""
    if "[" in text or "(" in text or "{" in text:
        text = _DEFANGED.sub(".", text)
    return _HXXP.sub(r"http\1://", text) if "xxp" in text.lower() or "[:]" in text or "[//]" in text else text


@lru_cache(maxsize=4096)
def read_url(text: str) -> Target | None:
    """Read one absolute URL and undo its wrappings; None when a browser would go nowhere with it."""
    found = _canonical(text)
    if found is None:
        return None
    via: list[str] = []
    while len(via) < _MOST_WRAPPINGS:
        inner = _unwrap(found)
        if inner is None:
            break
        via.append(found.url)
        found = inner
    return Target(found.url, found.host, tuple(via))


def _canonical(text: str) -> Target | None:
    """Read scheme, authority and the rest as the WHATWG URL standard does for special schemes."""
    cleaned = _DROPPED.sub("", INVISIBLE.sub("", text[:LONGEST])).strip()
    match = _URL.fullmatch(cleaned)
    if match is None:
        return None
    user, at, place = match["authority"].rpartition("@")
    port = _PORT.search(place)
    written = place[: port.start()] if port else place
    host = read_host(written)
    if host is None:
        return None
    # An undisguised host stays as it was written, for the link is evidence; a disguise is of no use to
    # anyone.
    shown = written if written.lower() == host else f"[{host}]" if ":" in host else host
    rest = printable(match["rest"].replace("\\", "/"))
    if "." in user.partition(":")[0] or "%" in user:
        # A host name before the @ is there to be taken for the host.
        user = at = ""
    return Target(f"{match['scheme']}://{printable(user)}{at}{shown}{port[0] if port else ''}{rest}", host)


def read_host(text: str) -> str | None:
    """Return the host as the DNS sees it: decoded, lower case, A-labels; addresses in canonical form."""
    host = unquote(text) if "%" in text else text
    host = _DROPPED.sub("", INVISIBLE.sub("", _DOTS.sub(".", host))).strip(" .[]").lower()
    if not host:
        return None
    if ip := canonical_ip(host):
        return ip
    if _NUMBER.fullmatch(host):
        return _numeric(host)
    if not host.isascii() and len(host) <= 253:
        host = _a_label(host)
    if len(host) > 253 or ".." in host or not _NAME.fullmatch(host) or host.rpartition(".")[2].isdigit():
        return None
    return host


def _numeric(host: str) -> str | None:
    """Read a host of numbers as inet_aton does: decimal, octal or hex, the last one filling what is left."""
    values = []
    for piece in host.split("."):
        digits = piece.removeprefix("0x")
        if len(digits.lstrip("0")) > 12:
            return None
        if digits != piece:
            values.append(int(digits or "0", 16))
        elif piece.startswith("0") and piece.strip("01234567") == "":
            values.append(int(piece, 8))
        else:
            values.append(int(piece))
    *first, last = values
    if any(value > 255 for value in first) or last >= 256 ** (4 - len(first)):
        return None
    return str(IPv4Address(sum(value << (24 - 8 * n) for n, value in enumerate(first)) + last))


def _a_label(host: str) -> str:
    """Return the A-labels (RFC 5891) of a name by UTS 46, or plain Punycode where that forbids one."""
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return ".".join(label if label.isascii() else "xn--" + _punycode(label) for label in host.split("."))


def _punycode(label: str) -> str:
    return label[:63].encode("punycode").decode("ascii")


@dataclass(frozen=True, slots=True)
class _Redirector:
    host: re.Pattern[str]
    path: str
    parameters: tuple[str, ...]
    pattern: re.Pattern[str] | None
    decode: str


@cache
def _redirectors() -> tuple[_Redirector, ...]:
    rows = tomllib.loads(files("complaints").joinpath("data/redirectors.toml").read_text("utf-8"))[
        "redirector"
    ]
    return tuple(
        _Redirector(
            host=re.compile(translate(row["host"])),
            path=row.get("path", "/"),
            parameters=tuple(row.get("parameter", ())),
            pattern=re.compile(row["pattern"]) if "pattern" in row else None,
            decode=row.get("decode", "plain"),
        )
        for row in rows
    )


@lru_cache(maxsize=4096)
def _redirectors_of(host: str) -> tuple[_Redirector, ...]:
    return tuple(row for row in _redirectors() if row.host.match(host))


def _unwrap(found: Target) -> Target | None:
    """Return what a known redirector hides in this URL, or None."""
    rest = found.url.partition("://")[2]
    path = "/" + rest[len(rest.partition("/")[0].partition("?")[0]) :].removeprefix("/")
    for row in _redirectors_of(found.host):
        if not path.startswith(row.path):
            continue
        hidden = _hidden(row, found.url)
        target = _absolute(hidden) if hidden else None
        if target is not None and target.url != found.url:
            return target
    return None


def _hidden(row: _Redirector, url: str) -> str | None:
    if row.pattern is not None:
        match = row.pattern.search(url)
        if match is None:
            return None
        target = match["target"]
        return _fill_runs(target, match["runs"]) if row.decode == "runs" else unquote(target)
    values = dict(reversed(parse_qsl(url.partition("?")[2].replace("&amp;", "&"), max_num_fields=None)[:100]))
    value = next((values[name] for name in row.parameters if values.get(name)), None)
    if value is None:
        return None
    if row.decode == "base64":
        bare = value.removeprefix("a1")
        return decode_base64(bare.replace("-", "+").replace("_", "/").encode("ascii", "ignore")).decode(
            "utf-8", "replace"
        )
    if row.decode == "hex-dash":
        return unquote(_DASH_HEX.sub(r"%\1", value.replace("_", "/")))
    return value


def _fill_runs(target: str, encoded: str) -> str:
    """Put back what URL Defense v3 took out: `*` stands for one character, `**` and a letter for a run."""
    characters = iter(
        decode_base64(encoded.replace("-", "+").replace("_", "/").encode("ascii", "ignore")).decode(
            "utf-8", "replace"
        )
    )
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    def fill(match: re.Match[str]) -> str:
        count = letters.index(match[1]) + 2 if match[1] else 1
        return "".join(next(characters, "") for _ in range(count))

    return unquote(re.sub(r"\*(?:\*([A-Za-z0-9_-]))?", fill, target))


def _absolute(hidden: str) -> Target | None:
    """Read a redirect target, which may be encoded once more or lack its scheme."""
    text = hidden.strip()
    for _ in range(2):
        if found := _canonical(text):
            return found
        text = unquote(text)
    return _canonical(text) or (_canonical(f"http://{text}") if _NAME.match(text.lower()) else None)
