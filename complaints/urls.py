"""One link, as browsers read it.

Takes a link with all its disguises; leaves the URL and the host that a browser would go to, what stood before
it, and sentences about what was done to mislead. Nothing is ever fetched or resolved.
"""

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address
from typing import NamedTuple
from urllib.parse import unquote

import idna

from complaints.encodings import printable
from complaints.hosts import canonical_ip
from complaints.lookalikes import lookalike_note
from complaints.redirectors import hidden, redirectors_of

LONGEST = 16_384
"""Characters of one URL that are read."""
_MOST_WRAPPINGS = 6
_SHORT = 200
_LONGEST_NAME = 253
_LONGEST_HOST = 2_048
"""Characters of a host before its disguises are undone."""

# Characters that show nothing, or that browsers drop inside a URL: soft hyphen, zero-width, direction marks,
# joiners.
UNSEEN = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
INVISIBLE = re.compile(UNSEEN)
_DROPPED = re.compile(r"[\x00-\x1f\x7f]+")
_DOTS = re.compile("[\u3002\uff0e\uff61\u2024\ufe52]")
# The undisguised link, which most are: nothing in it has to be undone.
_PLAIN = re.compile(r"(?:https?|ftp)://([A-Za-z0-9.-]{4,253}+)(?::\d{1,5})?(?:[/?#][!-\[\]-~]*+)?")
_PLAIN_HOST = re.compile(r"[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]{1,63}){0,20}\.[a-z][a-z0-9-]{1,62}")
_URL = re.compile(
    r"(?P<scheme>https?|ftp):[/\\]*(?P<authority>[^/\\?#]*+)(?P<path>[^?#]*+)(?P<rest>.*+)",
    re.IGNORECASE | re.DOTALL,
)
_ENCODED_COLON = re.compile(r"(https?|ftp)%3a", re.IGNORECASE)
_PORT = re.compile(r":\d{0,5}$")
# Browsers ask for a host with marks in it, and a wildcard in the DNS answers; not so for the registered part.
_NAME = re.compile(
    r"(?!\.)(?:[a-z0-9_&!$'(*+),;=~{}\"`.-]*\.)?(?![-.])[a-z0-9_&.-]*[a-z0-9-]{1,63}\.[a-z0-9-]{2,63}"
)
_NUMERIC_END = re.compile(r"\.(?:\d+|0x[0-9a-f]*)\Z")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+)){0,3}", re.IGNORECASE)
_BRACKETED_DOT = re.compile(r" ?[\[({](?:\.|dot)[\])}] ?", re.IGNORECASE)
# Each begins with the one character that is searched for, the fastest that a pattern can be.
_ROUND_DOT = re.compile(r"\((?:\.\)|(?i:dot))")
_SQUARE_DOT = re.compile(r"\[(?:\.\]|(?i:dot))")
_CURLY_DOT = re.compile(r"\{(?:\.\}|(?i:dot))")
_HXXP = re.compile(r"\bh(?:xx|\*\*)p(s?)(?:\[:\]|:)(?:\[//\]|//)", re.IGNORECASE)
_BRACKETED_COLON = re.compile(r"\b(https?)(?:\[:\](?:\[//\]|//)|:\[//\])", re.IGNORECASE)


class Target(NamedTuple):
    """Where a link leads: URL, host as A-labels or address, the wrappings taken off, what misleads."""

    url: str
    host: str
    via: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def lower_ascii(text: str) -> bytes:
    """Return UTF-8 with the letters of ASCII in lower case, many times faster than str.lower() does it."""
    return text.encode("utf-8", "surrogatepass").lower()


def refang(text: str, lowered: bytes | None = None) -> str:
    """Undo what people write to make a link harmless: `hxxp`, `[.]`, `(dot)`; `lowered` is `lower_ascii`."""
    if lowered is None:
        lowered = lower_ascii(text)
    bracketed = "[" in text
    if (
        ("(" in text and _ROUND_DOT.search(text))
        or (bracketed and _SQUARE_DOT.search(text))
        or ("{" in text and _CURLY_DOT.search(text))
    ):
        text = _BRACKETED_DOT.sub(".", text)
    if b"hxxp" in lowered or ("*" in text and b"h**p" in lowered):
        text = _HXXP.sub(r"http\1://", text)
    if bracketed and ("[:]" in text or "[//]" in text):
        text = _BRACKETED_COLON.sub(r"\1://", text)
    return text


def read_url(text: str) -> Target | None:
    """Read one absolute URL and undo its wrappings; None when a browser would go nowhere with it."""
    if host := direct_host(text):
        # What Target() does, without a call of Python code.
        return tuple.__new__(Target, (text, host, (), ()))
    return _read_short(text) if len(text) < _SHORT else _read(text)


def direct_host(text: str) -> str | None:
    """Return the host of an absolute URL that leads there as it stands, which most do."""
    if len(text) <= LONGEST and (plain := _PLAIN.fullmatch(text)) and _is_direct(host := plain[1].lower()):
        return host
    return None


@lru_cache(maxsize=8192)
def _is_plain(host: str) -> bool:
    return _PLAIN_HOST.fullmatch(host) is not None or canonical_ip(host) is not None


@lru_cache(maxsize=8192)
def _is_direct(host: str) -> bool:
    """Tell whether a link to this host needs no more than its URL: no service there leads on, no disguise."""
    return _is_plain(host) and "xn--" not in host and not redirectors_of(host)


@lru_cache(maxsize=4096)
def _read_short(text: str) -> Target | None:
    return _read(text)


def _read(text: str) -> Target | None:
    found = read_one(text)
    if found is None or not redirectors_of(found.host):
        return found
    via: list[str] = []
    notes = list(found.notes)
    while len(via) < _MOST_WRAPPINGS:
        inner, note = _unwrapped(found)
        if note:
            notes.append(note)
        if inner is None:
            break
        via.append(found.url)
        notes += inner.notes
        found = inner
    if via or notes:
        return Target(found.url, found.host, tuple(via), tuple(dict.fromkeys(notes)))
    return found


def read_one(text: str) -> Target | None:
    """Read one absolute URL as it stands; None when a browser would go nowhere with it."""
    if len(text) <= LONGEST and (plain := _PLAIN.fullmatch(text)) and _is_plain(host := plain[1].lower()):
        note = lookalike_note(host) if "xn--" in host else None
        return Target(text, host, (), (note,) if note else ())
    return _canonical(text)


def _canonical(text: str) -> Target | None:
    """Read scheme, authority and the rest as the WHATWG URL standard does for special schemes."""
    cleaned = text[:LONGEST]
    if not (cleaned.isascii() and cleaned.isprintable()):
        cleaned = _DROPPED.sub("", INVISIBLE.sub("", cleaned))
    cleaned = cleaned.strip()
    match = _URL.fullmatch(_ENCODED_COLON.sub(r"\1:", cleaned, count=1) if "%" in cleaned[:9] else cleaned)
    if match is None:
        return None
    user, at, place = match["authority"].rpartition("@")
    if "%40" in place:
        # Browsers of old went to what stands behind it, those of today nowhere.
        user, at, place = place.replace("%40", "@").rpartition("@")
    port = _PORT.search(place)
    written = place[: port.start()] if port else place
    host = read_host(written)
    if host is None:
        return None
    # An undisguised host stays as it was written, for the link is evidence; a disguise is of no use to
    # anyone.
    shown = written if written.lower() == host else f"[{host}]" if ":" in host else host
    rest = match["path"].replace("\\", "/") + match["rest"]
    notes = [note] if (note := lookalike_note(host)) else []
    if "." in user.partition(":")[0] or "%" in user:
        # A host name before the @ is there to be taken for the host.
        notes.append(f"{printable(user[:200])} stood before an @ to be taken for the host, which is {host}")
        user = at = ""
    url = f"{match['scheme']}://{printable(user)}{at}{shown}{port[0] if port else ''}{printable(rest)}"
    return Target(url.replace(" ", "%20"), host, (), tuple(notes))


def read_host(text: str) -> str | None:
    """Return the host as the DNS sees it: decoded, lower case, A-labels; addresses in canonical form."""
    return _read_host(text) if len(text) <= _LONGEST_HOST else None


@lru_cache(maxsize=4096)
def _read_host(text: str) -> str | None:
    host = text
    if host.isascii() and _PLAIN_HOST.fullmatch(plain := host.lower()) and len(host) <= _LONGEST_NAME:
        return plain
    if "%" in host:
        host = _percent_decoded(host)
    if not host.isascii():
        host = unicodedata.normalize("NFKC", _DOTS.sub(".", INVISIBLE.sub("", host)))
    host = _DROPPED.sub("", host).strip(" .[]").lower()
    if not host:
        return None
    if ip := canonical_ip(host):
        return ip
    if _NUMBER.fullmatch(host):
        return _numeric(host)
    if not host.isascii():
        host = (_a_label(host) or "") if len(host) <= _LONGEST_NAME else ""
    if len(host) > _LONGEST_NAME or ".." in host or not _NAME.fullmatch(host) or _NUMERIC_END.search(host):
        return None
    return host


def _percent_decoded(host: str) -> str:
    """Return a host without its percent-encoding; empty where that hid a control character.

    Browsers go nowhere with it. Older ones cut the host there, so what stands behind is none.
    """
    for _ in range(3):
        if "%" not in host:
            break
        host = unquote(host)
    return "" if _DROPPED.search(host) else host


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


def _a_label(host: str) -> str | None:
    """Return the A-labels (RFC 5891) of a name by UTS 46, or plain Punycode where that forbids one."""
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        # An emoji is registered here and there; punctuation is the sentence around the name.
        if any(unicodedata.category(letter)[0] in "PZC" and letter not in "-._&" for letter in host):
            return None
        return ".".join(label if label.isascii() else "xn--" + _punycode(label) for label in host.split("."))


def _punycode(label: str) -> str:
    return label[:63].encode("punycode").decode("ascii")


def _unwrapped(found: Target) -> tuple[Target | None, str | None]:
    """Return what a known service hides in this URL, and a note where it keeps some of it to itself."""
    for wrapping in hidden(found.host, found.url):
        if wrapping.target is None:
            return None, f"{wrapping.service} rewrote this link and does not say where it leads"
        target = _absolute(wrapping.target)
        if target is not None and target.url != found.url:
            note = f"{wrapping.service} rewrote this link and names no more than the host"
            return target, note if wrapping.partial else None
    return None, None


def _absolute(text: str) -> Target | None:
    """Read a redirect target, which may be encoded once more or lack its scheme."""
    text = text.strip()
    for _ in range(2):
        if found := read_one(text):
            return found
        text = unquote(text)
    return read_one(text) or (read_one(f"http://{text}") if _NAME.match(text.lower()) else None)
