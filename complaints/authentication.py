"""Reading what the border found out about the sender (RFC 8601, RFC 7208 §9.1).

Takes a message and its trace; leaves the results of methods such as DKIM and SPF that the reporter's own mail host
recorded. A field that anybody else may have written is shown as not believed, or not at all.
"""

import re
from dataclasses import dataclass

from complaints.hosts import is_under, organisational_domain
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
    """One result: `domain` and `selector` where the method has them; `believed` only from the reporter's border."""

    method: str
    result: str
    domain: str | None
    selector: str | None
    by: str | None
    believed: bool


def authentication(message: Message, trace: Trace) -> tuple[Result, ...]:
    """Return the results in the order of their fields; ARC results come last and are never believed."""
    limit = _border(message, trace)
    hosts = [hop.by for hop in trace.hops if hop.trusted and hop.by]
    results: list[Result] = []
    for header in message.fields("authentication-results"):
        results += _read(
            header,
            believed=header.start < limit and _is_border(_authserv(header), hosts),
            by=_authserv(header),
        )
    spf = message.fields("received-spf")
    if spf and spf[0].start < limit:
        results += _read_spf(spf[0], hosts[-1] if hosts else None)
    for header in message.fields("arc-authentication-results")[:1]:
        results += _read(header, believed=False, by=_authserv(header))
    return tuple(dict.fromkeys(results))[:_MOST_RESULTS]


def _border(message: Message, trace: Trace) -> int:
    """Return the offset of the first Received field that is not believed: what stands above it came with the border.

    The border adds its results above or right below its own Received field, so the field may follow the last
    believed line; what stands below a stranger's line may be the stranger's.
    """
    fields = message.fields("received")
    believed = sum(1 for hop in trace.hops if hop.trusted)
    return fields[believed].start if believed < len(fields) else len(message.raw)


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


def _is_border(authserv: str | None, hosts: list[str]) -> bool:
    """Tell whether an authserv-id belongs to one of the believed hosts; one left out belongs to the place it stands."""
    if authserv is None:
        return bool(hosts)
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


def _read_spf(header: Header, by: str | None) -> list[Result]:
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
            writer if writer and "." in writer and "<" not in writer else by,
            believed=True,
        )
    ]
