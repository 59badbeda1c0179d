"""Takes the name of a WHOIS server, or a line that it sent; leaves what is known of its dialect.

RFC 3912 fixes nothing but that one line is sent and text comes back. How each server wants to be asked, in
which charset it answers, what fields mean and by which texts it refuses is data: `data/whois.toml`. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from abuse_lookup.knowledge import Row, rows
from abuse_lookup.target import Target, normal_host

RWHOIS_PORT = 4321
"""RFC 2167 §3.1."""
_LONGEST_TEXT = 2000
_FEW, _LONGEST_ALONE = 5, 320
"""An answer of so few lines holds no terms of use: a line of so many characters may refuse there."""
LONGEST_LINE = 120
"""Characters of a line by which a server refuses or says that there is nothing; longer ones are terms."""
_MOST_SECONDS = 86400.0
_LONGEST_KEY = 48
_BRACKETED = re.compile(r"(?:[a-z]\. ?)?\[([^\]]{1,48})\]\s*(.*)")
_SERVER_IN_TEXT = re.compile(r"(?i)\b(r?whois\.[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,5})\b")
_SECONDS = re.compile(r"(?i)\b(\d{1,7}) ?(s|sec|seconds?|m|min|minutes?|h|hours?)\b")
_TERMS = re.compile(r"(?i)\b(?:may|might|will|would|reserve|if|once|whenever|results? in|in case of)\b")
"""Words of a line that says what would happen; among others it is a term of use, and refuses nothing."""
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Refused:
    """A server said: not now."""

    said: str
    seconds: float
    """How long it is left alone: what it says itself, at most a day, else what is known of such texts."""


def query_for(server: str, target: Target) -> str:
    """Put the question in the form that `server` wants (RFC 3912 §2: one line)."""
    if target.asn is not None:
        kind, plain, default = "asn", str(target.asn), f"AS{target.asn}"
    elif target.host is not None:
        kind, plain = "domain", target.organisation or target.host
        default = plain
    else:
        kind, plain = "ip", str(target.ip or target.network)
        default = plain
    known = (row for row in rows("whois", "query") if row["server"] == server and kind in row["kinds"])
    form = next((str(row["form"]) for row in known), None)
    return form.format(q=plain) if form else default


def decoded(octets: bytes, server: str) -> str:
    """Read the octets in the server's charset, UTF-8, its country's, or Latin-1, whichever fits first."""
    country = server.rpartition(".")[2]
    legacy = (str(row["charset"]) for row in rows("whois", "legacy") if row["suffix"] == country)
    for charset in (str(_server(server).get("charset", "utf-8")), "utf-8", *legacy):
        try:
            return octets.decode(charset)
        except UnicodeDecodeError:
            continue
    return octets.decode("latin-1")


def present_name(server: str) -> str:
    """Return the name under which a server answers today, where it is known to have moved."""
    return str(_server(server).get("now", server))


def gone(server: str) -> str | None:
    """Say why a server is not worth asking: it answers no more."""
    why = _server(server).get("gone")
    return str(why) if why else None


def hands_numbers_out(server: str) -> bool:
    """Whether a server is that of a registry of addresses and AS numbers, and not of one network."""
    return bool(_server(server).get("numbers"))


@cache
def _mirrors() -> frozenset[str]:
    return frozenset(str(row["source_name"]) for row in rows("whois", "mirror"))


def is_hearsay(source: str) -> bool:
    """Whether an RPSL `source` is a routing registry, where anybody may write (`RADB`)."""
    return source.upper() in _mirrors()


def transferred_to(network_type: str) -> str | None:
    """Return the server of the registry that a network was handed to, as ARIN's type of the network says."""
    found = (
        row for row in rows("whois", "transferred") if _compiled(str(row["pattern"])).search(network_type)
    )
    return next((str(row["whois"]) for row in found), None)


def port_of(server: str) -> int | None:
    """Return the port of a server that does not listen on 43, where the referral names none."""
    if server.startswith("rwhois."):
        return RWHOIS_PORT
    port = _server(server).get("port")
    return int(port) if port else None


def servers_in(lines: Iterable[str]) -> list[str]:
    """List the WHOIS servers that texts mention, under the names they answer by today, in order."""
    named = (line[:_LONGEST_TEXT] for line in lines if "whois." in line.lower())
    found = (normal_host(name) for line in named for name in _SERVER_IN_TEXT.findall(line))
    return list(dict.fromkeys(present_name(host) for host in found if host))


@cache
def _servers() -> dict[str, Row]:
    return {str(row["name"]): row for row in rows("whois", "server")}


def _server(name: str) -> Row:
    return _servers().get(name, {})


@cache
def _fields() -> dict[str, str]:
    return {str(row["name"]): str(row["gives"]) for row in rows("whois", "field")}


@lru_cache(maxsize=4096)
def meaning(key: str) -> str:
    """Say what a field of this name (lower case, without padding) holds; empty where it is of no use."""
    if exact := _fields().get(key):
        return exact
    named = (row for row in rows("whois", "named") if str(row["containing"]) in key)
    return next((str(row["gives"]) for row in named), "")


def field_of(line: str) -> tuple[str, str, str]:
    """Read a line of an answer: its field (lower case, without padding; empty for text), value, the line."""
    bare = line.strip().removeprefix("** ")  # TRABIS puts that before its headings
    if bare[:1] in {"%", "#"} or not bare:
        return "", bare, line
    if match := _BRACKETED.match(bare):
        return match[1].strip().lower(), match[2].strip(), line
    if bare.startswith(("network:", "contact:", "referral:")):
        kind, _, rest = bare.partition(":")
        name, _, value = rest.partition(":")
        return f"{kind}:{name.partition(';')[0].strip().lower()}", value.removeprefix("I:").strip(), line
    key, colon, value = bare.partition(":")
    if colon and len(key) <= _LONGEST_KEY:
        return key.rstrip(" .\t").lower(), value.strip(), line
    key, _, value = bare.partition("\t")
    if len(key) <= _LONGEST_KEY and meaning(key.lower()) == "registrar":
        return key.lower(), value.strip(), line  # SWITCH and registro.it write no colon here
    return "", bare, line


def refused(lines: Iterable[str], *, beside_data: bool) -> Refused | None:
    """Find the line by which a server refuses; `beside_data`: only texts that go with a shortened answer."""
    said = [bare for line in lines if (bare := line.strip())]
    if len(said) > _FEW:
        short = [line for line in said if len(line) <= LONGEST_LINE and not _TERMS.search(line)]
    else:
        short = [line for line in said if len(line) <= _LONGEST_ALONE]
    found = [
        Refused(line, _said_seconds(" ".join(short[number : number + 2]), row))
        for row in rows("whois", "refusal")
        if row.get("beside_data") or not beside_data
        for number, line in enumerate(short)
        if _compiled(str(row["pattern"])).search(line)
    ]
    return max(found, key=lambda one: one.seconds, default=None)


def says_absent(lines: Iterable[str]) -> bool:
    """Whether a line says that the server knows nothing of what was asked."""
    short = [bare for line in lines if 0 < len(bare := line.strip(" \t%*#-.!")) <= LONGEST_LINE]
    patterns = [_compiled(str(row["pattern"])) for row in rows("whois", "absent")]
    return any(pattern.search(line) for line in short for pattern in patterns)


def _said_seconds(said: str, row: Row) -> float:
    found = _SECONDS.search(said)
    if found is None:
        return float(row["seconds"])
    return min(max(1.0, float(found[1]) * _UNITS[found[2][0].lower()]), _MOST_SECONDS)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
