"""Reading what the border found out about the sender (RFC 8601, RFC 7208 §9.1).

Takes a message and its trace; leaves the results of methods such as DKIM and SPF that the reporter's own
mail host recorded. A field that anybody else may have written is shown as not believed, or not at all.
"""

import re
from dataclasses import dataclass

from complaints.hosts import clean_host, is_under, organisational_domain
from complaints.message import Header, Message
from complaints.trace import Trace
from complaints.trust import provider_of

_MOST_RESULTS = 100
_COMMENT = re.compile(r"\([^()]*+\)")
_RESULT = re.compile(r"^\s*+([a-z][a-z0-9-]{1,30})(?:/\d+)?\s*+=\s*+([a-z]{2,20})\b", re.IGNORECASE)
_PROPERTY = re.compile(
    r"\b(smtp|header|policy|body)\.([a-z][a-z-]{0,30})\s*=\s*(?:\"([^\"]*)\"|([^\s;]+))", re.IGNORECASE
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
    """Return the results in the order of their fields; ARC results come last and are never believed.

    A field above the border's own Received field can only be the border's. One below it may come with the
    message: it is believed when a provider known to remove forged ones wrote that Received field, or when it
    bears the border's name (forged ones must have been removed, RFC 8601 §5) and there is none above.
    """
    hosts = [hop.by for hop in trace.hops if hop.trusted and hop.by]
    border, stranger = _offsets(message, trace)
    provider = provider_of(hosts[-1]) if hosts else None
    cleans = provider is not None and provider.role == "mailbox"
    results: list[Result] = []
    above = False
    for header in message.fields("authentication-results"):
        name = _authserv(header)
        own = header.start < stranger and bool(hosts) and (name is None or _is_border(name, hosts))
        believed = own and (header.start < border or cleans or (name is not None and not above))
        above = above or (believed and header.start < border)
        results += _read(header, believed=believed, by=name)
    for header in message.fields("received-spf")[:1]:
        believed = header.start < border or (cleans and header.start < stranger)
        results += _read_spf(header, hosts[-1] if hosts else None, believed=believed)
    for header in message.fields("arc-authentication-results")[:1]:
        results += _read(header, believed=False, by=_authserv(header))
    return tuple(dict.fromkeys(results))[:_MOST_RESULTS]


def _offsets(message: Message, trace: Trace) -> tuple[int, int]:
    """Return where the lowest believed Received field begins, and the first one that is not believed."""
    fields = message.fields("received")
    believed = sum(1 for hop in trace.hops if hop.trusted)
    border = fields[believed - 1].start if 0 < believed <= len(fields) else 0
    return border, fields[believed].start if believed < len(fields) else len(message.raw)


def _authserv(header: Header) -> str | None:
    """Return the authserv-id: the first word, unless the writer left it out and began with a result."""
    first = _COMMENT.sub(" ", header.text).partition(";")[0].strip()
    if first.lower().startswith("i=") or "=" in first:
        second = _COMMENT.sub(" ", header.text).partition(";")[2].partition(";")[0].strip()
        return (
            second.split()[0].lower()
            if first.lower().startswith("i=") and second and "=" not in second
            else None
        )
    return first.split()[0].lower().rstrip(".") if first else None


def _is_border(authserv: str, hosts: list[str]) -> bool:
    """Tell whether an authserv-id belongs to one of the believed hosts."""
    domain = organisational_domain(authserv) or authserv
    if any(host == authserv or is_under(host, authserv) or is_under(host, domain) for host in hosts):
        return True
    provider = provider_of(authserv)
    return provider is not None and any(provider.owns(host) for host in hosts)


def _read(header: Header, *, believed: bool, by: str | None) -> list[Result]:
    results = []
    for piece in _COMMENT.sub(" ", header.text[:16_384]).split(";"):
        match = _RESULT.match(piece)
        if match is None:
            continue
        values = {
            f"{kind}.{name}".lower(): quoted or plain
            for kind, name, quoted, plain in _PROPERTY.findall(piece)
        }
        method = match[1].lower()
        if method in {"i", "action"}:
            continue
        results.append(
            Result(method, match[2].lower(), _domain(values), values.get("header.s"), by, believed)
        )
    return results


def _domain(values: dict[str, str]) -> str | None:
    """Return the domain a result is about."""
    for name in ("header.d", "header.i", "smtp.mailfrom", "header.from", "smtp.helo", "policy.iprev"):
        if value := values.get(name):
            domain = value.rpartition("@")[2].strip("<>\"'.").lower()
            return domain if domain and domain != "none" else None
    return None


def _read_spf(header: Header, by: str | None, *, believed: bool) -> list[Result]:
    text = header.text[:4_096]
    match = _SPF.match(text)
    if match is None:
        return []
    pairs = {name.lower(): value for name, value in _SPF_PAIR.findall(text)}
    said = _SPF_DOMAIN.search(text)
    domain = pairs.get("envelope-from") or (next((g for g in said.groups() if g), None) if said else None)
    writer = pairs.get("receiver", by)
    cleaned = domain.rpartition("@")[2].strip("<>\"'.").lower() if domain else None
    return [
        Result(
            "spf",
            match[1].lower(),
            cleaned or None,
            None,
            writer if clean_host(writer or "") else by,
            believed=believed,
        )
    ]
