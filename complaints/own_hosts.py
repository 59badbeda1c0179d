"""Which mail hosts a reporter may call their own.

Takes names and addresses as mail hosts wrote them, and the Received chain of a returned probe; leaves the
hosts to trust, or the sentence that says why one must not be trusted. Whoever trusts a host believes every
line it writes: a host that strangers send through too would let them forge the lines below.
"""

import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from importlib.resources import files
from ipaddress import ip_network
from re import Pattern
from re import compile as compile_pattern

from complaints.hosts import canonical_ip, clean_host, is_under, organisational_domain
from complaints.message import Message
from complaints.received import Received, parse_received
from complaints.reserved import why_not_public
from complaints.trace import trace
from complaints.trust import Border, Trust, is_customer_name, provider_of, providers

MOST_LINES = 40
"""Received fields read of a returned probe; no mail passes through as many hosts of one reporter."""
WIDEST = {4: 16, 6: 32}
"""The shortest prefix of a network one reporter can own, by IP version."""
_ROLES = frozenset({"mailbox", "filter", "forwarder"})


class HostError(Exception):
    """A host, address or network cannot be trusted; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Host:
    """One thing to trust. `kind` is host, address or network."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What a returned probe tells: its hosts from the newest, what was passed over and why.

    `reason` says why nothing can be learned of it at all; then there are no hosts.
    """

    own: tuple[Host, ...] = ()
    passed_over: tuple[str, ...] = ()
    reason: str | None = None


def named(text: str) -> Host:
    """A host, address or network as a person typed it. Raises HostError saying what is wrong with it."""
    try:
        found = Trust.of([text])
    except ValueError as error:
        raise HostError(str(error).removeprefix("trust: ")) from error
    if found.networks:
        host = Host("network", str(found.networks[0]))
    elif found.addresses:
        host = Host("address", min(found.addresses))
    elif found.hosts:
        host = Host("host", min(found.hosts))
    else:
        raise HostError("there is nothing to trust; write mx.example.org or 192.0.2.0/24")
    if why := why_not(host):
        raise HostError(f"{host.value} {why}")
    return host


def why_not(host: Host) -> str | None:
    """Say what follows the host's name in the sentence why it must not be trusted; None when it may be."""
    if host.kind == "network":
        return _why_not_network(host.value)
    return _why_not_address(host.value) if host.kind == "address" else _why_not_name(host.value)


def _why_not_name(name: str) -> str | None:
    if organisational_domain(name) is None:
        return "is no full host name: whole top-level domains and bare words are never trusted"
    for provider, pattern, tail in _outbound():
        if pattern.match(name):
            return f"is a relay of {provider}: its customers send through it too"
        if is_under(tail, name):
            return f"holds relays of {provider}: its customers send through them too; name one host of it"
    found = provider_of(name)
    if found is not None and found.role not in _ROLES:
        return f"belongs to {found.name}: its customers send through it too"
    return None


def _why_not_address(ip: str) -> str | None:
    if reason := why_not_public(ip):
        return f"is {reason}: it is never accused, and everybody has such addresses; name the host itself"
    return _why_not_network(ip)


def _why_not_network(text: str) -> str | None:
    network = ip_network(text)
    if network.prefixlen < WIDEST[network.version]:
        return f"is larger than a network of one reporter (/{WIDEST[network.version]} at most)"
    for provider in providers():
        if any(other.version == network.version and other.overlaps(network) for other in provider.shared):
            return f"lies in a network of {provider.name}: its customers send through it too"
    return None


@cache
def _outbound() -> tuple[tuple[str, Pattern[str], str], ...]:
    """Provider, pattern and fixed end of every relay name that customers send through."""
    rows = tomllib.loads(files("complaints").joinpath("data/providers.toml").read_text("utf-8"))["provider"]
    return tuple(
        (row["name"], compile_pattern(translate(name)), name.rpartition("*")[2].lstrip("."))
        for row in rows
        for name in row.get("outbound", ())
    )


def is_whole_domain(name: str) -> bool:
    """Tell whether a name is a registrable domain: trusting it would trust every host below it."""
    return organisational_domain(name) == name


def handed_over(line: Received) -> list[Host]:
    """The host that handed a message over, as the writer of this line saw it: its address, and its name.

    The name counts when the writer verified it and it is not one that a network gives to its customers.
    Raises HostError when there is nothing to trust, or it must not be.
    """
    ip, name = line.from_ip, line.from_name
    if ip is None:
        raise HostError(
            f"{line.by or 'The writing host'} did not write which address handed the message over; "
            "what the client said of itself is never trusted"
        )
    for claim in (name, line.helo, line.rdns):
        # A claim is enough to refuse, never to trust
        if claim and (reason := _why_not_relay(claim)):
            raise HostError(f"{claim} ({ip}) {reason}")
    good = name and line.verified and not is_customer_name(name, ip) and not is_whole_domain(name)
    names = [Host("host", name)] if name and good and why_not(Host("host", name)) is None else []
    if names and provider_of(names[0].value) is not None:
        return names  # the provider's row says which addresses are its own
    if reason := why_not(Host("address", ip)):
        if names and why_not_public(ip):
            return names
        raise HostError(f"{ip} {reason}")
    return [Host("address", ip), *names]


def _why_not_relay(claim: str) -> str | None:
    """As `why_not`, for what a host said of itself: only what marks a relay of many counts."""
    name = clean_host(claim)
    known = name and (provider_of(name) is not None or any(p.match(name) for _, p, _ in _outbound()))
    return _why_not_name(name) if name and known else None


def read_probe(
    message: Message, *, ours: str, relayed: bool, domains: Collection[str], known: Sequence[str] = ()
) -> Chain:
    """Read the Received chain of a probe that came back, down to the line that names us as the sender.

    `ours` is the name our host gives itself; `relayed`: it hands mail to a relay of ours, whose lines are
    not the reporter's. `domains` are those of the reporter's own addresses, `known` is what they trust
    already: with both, the probe must lead to us, as a spam that came its way would lead to its source.
    """
    lines = [parse_received(field.body) for field in message.fields("received")[:MOST_LINES]]
    if not lines:
        return Chain(reason="There is no Received line in what came back, so it shows no host.")
    last = _handover(lines, ours, relayed=relayed)
    if last is None:
        return Chain(
            reason=f"No line in what came back shows which host took it from {ours}, "
            "so nothing tells where your own hosts begin."
        )
    own, passed = _own_of(lines[: last + 1], ours, domains)
    seen = trace(message, Trust.of([*known, *(host.value for host in own)]))
    believed = sum(hop.trusted for hop in seen.hops)
    if believed <= last:
        passed.append(
            f"A spam that comes this way is read down to line {believed - 1} and no further; "
            "if the host that handed over there is yours alone, name it by hand."
        )
    return Chain(tuple(dict.fromkeys(own)), tuple(dict.fromkeys(passed)))


def _own_of(lines: list[Received], ours: str, domains: Collection[str]) -> tuple[list[Host], list[str]]:
    """The hosts of these lines, the last of which saw us, down to the first that must not be trusted."""
    own, passed = list[Host](), list[str]()
    border = Border(Trust())
    for n, line in enumerate(lines):
        if line.defect:
            passed.append(f"Line {n} is broken ({line.defect}); nothing below it was used.")
            break
        _learn(own, passed, _writers(line), ours, domains)
        border.learn(line.by)
        if n == len(lines) - 1 or _is_inside(border, line):
            continue
        try:
            _learn(own, passed, handed_over(line), ours, domains)
        except HostError as error:
            passed.append(f"{error}. Nothing below it was used.")
            break
    return own, passed


def _handover(lines: list[Received], ours: str, *, relayed: bool) -> int | None:
    """The line in which the first host that is not ours took the probe from one that is."""
    named_us = [n for n, line in enumerate(lines) if _is_from(line, ours)]
    if not named_us:
        return None
    last = named_us[-1]  # we write no Received line: what is below was put there by somebody else
    if not relayed:
        return last
    relay = lines[last].by or ""
    home = organisational_domain(relay) or relay
    while last >= 0 and is_under(lines[last].by or home, home):
        last -= 1
    return last if last >= 0 else None


def _is_from(line: Received, ours: str) -> bool:
    """Tell whether a host that is not ours took it from one that is."""
    names = (name for name in (line.helo, line.from_name) if name)
    return any(is_under(name, ours) for name in names) and not is_under(line.by or "", ours)


def _is_inside(border: Border, line: Received) -> bool:
    """Tell whether it came from a neighbour, the host itself or inside the provider: nothing to learn."""
    if line.from_ip is None:
        return line.helo is None and line.from_name is None
    if line.from_ip == line.by_ip or why_not_public(line.from_ip) is not None:
        return True
    return border.internal_of(line.from_ip, line.helo) is not None


def _writers(line: Received) -> list[Host]:
    if line.by is None:
        return []
    ip = canonical_ip(line.by)
    if ip is None:
        return [Host("host", line.by)]
    return [] if why_not_public(ip) else [Host("address", ip)]


def _learn(
    own: list[Host], passed: list[str], found: Iterable[Host], ours: str, domains: Collection[str]
) -> None:
    for host in found:
        reason = why_not(host)
        if host.kind == "host" and is_under(host.value, ours):
            reason = "is our own"
        elif host.kind == "host" and is_whole_domain(host.value) and host.value not in domains:
            reason = "names a whole domain and not one host"
        if reason:
            passed.append(f"{host.value} {reason}.")
        else:
            own.append(host)
