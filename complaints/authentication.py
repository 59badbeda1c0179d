"""Reading what the border found out about the sender (RFC 8601, RFC 7208 §9.1).

Takes a message and its trace; leaves the results of methods such as DKIM and SPF that the reporter's own
mail host recorded. A field that anybody else may have written is shown as not believed, or not at all.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from complaints.dkim_tags import dns_name, tags_of
from complaints.encodings import printable, without_comments
from complaints.hosts import clean_host, is_under, organisational_domain
from complaints.message import Header, Message
from complaints.trace import Trace
from complaints.trust import provider_of

_MOST_FIELDS = 50
_MOST_RESULTS = 100
_LONGEST = 16_384
_MARK = re.compile(r"\\.|[\";]", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_QUOTED = r"\"(?>(?:[^\"\\]|\\.)*)\"?"
_ID = re.compile(rf"\s*+({_QUOTED}|[^\s\"=]++)(?:\s++([^\s=]++))?\s*+", re.DOTALL)
_RESULT = re.compile(r"\s*+([a-z][a-z0-9-]{1,30})(?:\s*+/\s*+\d++)?\s*+=\s*+([a-z]{2,20})\b", re.IGNORECASE)
# The words of a result: properties, and what stands beside them
_WORD = re.compile(
    rf"\s*+(?:([a-z][\w-]{{0,30}})\s*+\.\s*+([a-z][\w-]{{0,30}})\s*+=\s*+)?((?>(?:{_QUOTED}|[^\s\"])+))",
    re.IGNORECASE | re.DOTALL,
)
_SPF = re.compile(r"\s*(pass|fail|softfail|neutral|none|temperror|permerror)\b", re.IGNORECASE)
_SPF_PAIR = re.compile(
    r"\b(envelope-from|client-ip|helo|receiver|identity)\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE
)
_SPF_DOMAIN = re.compile(
    r"domain of (?:transitioning )?<?([^\s<>]+)|lookup of ([^\s:]+)|: ([^\s]+) does not designate",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Result:
    """One result, `domain` and `selector` where it has them; `believed` only from the reporter's border."""

    method: str
    result: str
    domain: str | None
    selector: str | None
    by: str | None
    believed: bool


def authentication(message: Message, trace: Trace) -> tuple[Result, ...]:
    """Return the results in the order of their fields; ARC's come last and are never believed.

    A field is believed when it bears the name of a believed host, or none, and stands above the border's own
    Received field, where only the border and the hosts behind it write. Below that, the sender may have
    written it: it is believed only from hosts that take forged ones out (`data/authservers.toml`). Where the
    way in has mixed up the fields (grade C), none is.
    """
    hosts = [hop.by for hop in trace.hops if hop.trusted and hop.by]
    border, stranger = _offsets(message, trace)
    results: list[Result] = []
    below = 0
    for header in message.fields("authentication-results")[:_MOST_FIELDS]:
        name, pieces = _read(_pieces(header))
        believed = trace.grade in "AB" and header.start < stranger and bool(hosts)
        if header.start < border:
            believed = believed and (name is None or _is_border(name, hosts))
        else:
            believed = believed and below == 0 and name is not None and _takes_out_forged(hosts[-1], name)
            below += believed
        results += _results(pieces, by=name, believed=believed)
    for header in message.fields("received-spf")[:1]:
        believed = trace.grade in "AB" and header.start < border
        results += _read_spf(header, hosts[-1] if hosts else None, believed=believed)
    results += _arc(message)
    return tuple(dict.fromkeys(results))[:_MOST_RESULTS]


def _offsets(message: Message, trace: Trace) -> tuple[int, int]:
    """Return where the lowest believed Received field begins, and the first one that is not believed."""
    fields = message.fields("received")
    believed = sum(1 for hop in trace.hops if hop.trusted)
    border = fields[believed - 1].start if 0 < believed <= len(fields) else 0
    return border, fields[believed].start if believed < len(fields) else len(message.raw)


def _pieces(header: Header) -> list[str]:
    """Return a field body split at its semicolons, without comments.

    Encoded words stay as they are: what a sender hides in one must not become a result.
    """
    text = printable(header.value[:_LONGEST].decode("utf-8", "replace"))
    return list(_split(without_comments(text)))


def _read(pieces: list[str]) -> tuple[str | None, list[str]]:
    """Return the authserv-id, None where the writer left it out, and the results.

    A field of another version than 1 has no results for us (RFC 8601 §2.2).
    """
    match = _ID.fullmatch(pieces[0]) if pieces else None
    if match is None:
        return None, pieces
    name = _unquoted(match[1]).rstrip(".")
    return dns_name(name) or name.lower(), pieces[1:] if match[2] in {None, "1"} else []


def _split(text: str) -> Iterator[str]:
    """Split at semicolons outside of quotes."""
    begin, quoted = 0, False
    for match in _MARK.finditer(text):
        if match[0] == '"':
            quoted = not quoted
        elif match[0] == ";" and not quoted:
            yield text[begin : match.start()]
            begin = match.end()
    yield text[begin:]


def _unquoted(text: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", text.replace('"', "")) if '"' in text else text


def _is_border(name: str, hosts: list[str]) -> bool:
    """Tell whether an authserv-id belongs to one of the believed hosts."""
    if name in hosts:
        return True
    domain = organisational_domain(name)
    if domain is None:
        return False
    provider = provider_of(name)
    return any(is_under(host, domain) or (provider is not None and provider.owns(host)) for host in hosts)


@cache
def _authservers() -> list[tuple[list[str], list[str]]]:
    text = files("complaints").joinpath("data/authservers.toml").read_text("utf-8")
    return [(row["by"], row["ids"]) for row in tomllib.loads(text)["authserver"]]


def _takes_out_forged(host: str, name: str) -> bool:
    """Tell whether a border is known to remove fields of this authserv-id that came with a message."""
    return any(
        any(fnmatchcase(host, own) for own in by) and any(fnmatchcase(name, own) for own in ids)
        for by, ids in _authservers()
    )


def _results(pieces: list[str], *, by: str | None, believed: bool) -> Iterator[Result]:
    for piece in pieces:
        match = _RESULT.match(piece)
        if match is None or match[1].lower() in {"i", "action"}:
            continue
        values: dict[str, str] = {}
        for word in _WORD.finditer(piece, match.end()):
            if word[1]:
                values.setdefault(f"{word[1]}.{word[2]}".lower(), _unquoted(word[3]))
        yield Result(
            match[1].lower(), match[2].lower(), _domain(values), values.get("header.s"), by, believed
        )


def _arc(message: Message) -> Iterator[Result]:
    """What the newest ARC set says (RFC 8617 §4.1), and its verdict on the chain since the oldest sealer."""
    for header in message.fields("arc-authentication-results")[:1]:
        name, pieces = _read(_pieces(header)[1:])
        yield from _results(pieces, by=name, believed=False)
    seals = [tags for header in message.fields("arc-seal")[:_MOST_FIELDS] if (tags := tags_of(header))]
    numbered = {int(tags["i"]): tags for tags in reversed(seals) if tags.get("i", "").isdecimal()}
    if numbered:
        oldest, newest = numbered[min(numbered)], numbered[max(numbered)]
        if (verdict := newest.get("cv", "")) in {"none", "pass", "fail"}:
            domain, by = dns_name(oldest.get("d", "")), dns_name(newest.get("d", ""))
            yield Result("arc", verdict, domain, dns_name(oldest.get("s", "")), by, believed=False)


def _domain(values: dict[str, str]) -> str | None:
    """Return the domain a result is about."""
    for name in ("header.d", "header.i", "smtp.mailfrom", "header.from", "smtp.helo", "policy.iprev"):
        if value := values.get(name):
            return _host(value)
    return None


def _host(address: str) -> str | None:
    host = dns_name(address.rpartition("@")[2].strip("<>\"'."))
    return None if host == "none" else host


def _read_spf(header: Header, by: str | None, *, believed: bool) -> list[Result]:
    text = printable(header.value[:4_096].decode("utf-8", "replace"))
    match = _SPF.match(text)
    if match is None:
        return []
    pairs = {name.lower(): value for name, value in _SPF_PAIR.findall(text)}
    said = _SPF_DOMAIN.search(text)
    domain = pairs.get("envelope-from") or (next((g for g in said.groups() if g), None) if said else None)
    writer = pairs.get("receiver", by)
    named = writer if clean_host(writer or "") else by
    return [Result("spf", match[1].lower(), _host(domain or ""), None, named, believed=believed)]
