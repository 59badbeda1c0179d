"""What one SMTP listener bears: its limits, and a lobby that counts who is in. In memory only."""

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Limits:
    """Bounds of a listener and of each session. A count of 0 means no limit."""

    recipients: int = 100
    """Of one message (RFC 5321 §4.5.3.1.8)."""
    connections: int = 1000
    connections_per_prefix: int = 50
    """Open at once from one IPv4 /24 or IPv6 /48."""
    arrivals_per_prefix: int = 600
    """Connections per minute from one prefix."""
    recipients_per_prefix: int = 1200
    """RCPT commands per minute from one prefix."""
    held_bytes: int = 536_870_912
    """Mail data in memory, over all sessions; as much again may wait to be written down."""
    patience: int = 100
    """Of a session: an error costs 10, a command that moves no mail 1; a message that is kept restores it."""
    idle_seconds: float = 300.0
    """RFC 5321 §4.5.3.2.7."""
    crowded_seconds: float = 10.0
    """The same while more than three quarters of the connections are taken."""
    data_seconds: float = 300.0
    """From the 354 to the final dot, and one more for every `slowest` octets that came by then."""
    slowest: int = 1000
    session_seconds: float = 3600.0
    """After which no command is taken any more."""
    answer_seconds: float = 30.0
    """Until a recipient counts as one that cannot be looked up."""
    own_networks: tuple[IPNetwork, ...] = (
        ipaddress.IPv4Network("127.0.0.0/8"),
        ipaddress.IPv6Network("::1/128"),
    )
    """Hosts of ours that pass on mail for many: nothing is counted for their prefix."""


def lies_in(peer: object, networks: tuple[IPNetwork, ...]) -> bool:
    """Tell whether a peer name, as a socket gives it, is an address in one of the networks."""
    octets = _octets(peer) if networks else b""
    return octets != b"" and any(ipaddress.ip_address(octets) in network for network in networks)


def _octets(peer: object) -> bytes:
    """Four or sixteen, an IPv4 address in IPv6 as four; none where the peer has no address."""
    if not isinstance(peer, tuple):
        return b""
    host = peer[0].partition("%")[0]
    try:
        # The C library reads an address, and octets are compared, in a fifth of the time of `ipaddress`
        octets = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return b""
    return octets.removeprefix(_MAPPED)


_MAPPED = bytes(10) + b"\xff\xff"
"""What an IPv4 address in IPv6 begins with (RFC 4291 §2.5.5.2)."""


class Visitor(Protocol):
    """What the lobby knows of a session."""

    prefix: bytes
    """As `Lobby.prefix` gave it."""
    heard: float
    """When it began to wait for what it waits for, by the lobby's clock."""
    until: float
    """When it has to end in any case."""

    @property
    def idle(self) -> bool:
        """Whether it waits for a command, so that nothing is lost by cutting it."""

    def dismiss(self, reply: str) -> None:
        """Say `reply` and close."""

    def time_out(self) -> None:
        """End because it is too late; called again and again until it is gone."""


_CLOSING = "421 4.3.2 Shutting down; try again later"
_MOST_NETWORKS = 10_000
"""Counted at once. With more of them in one minute all counts begin anew: nobody fills our memory."""


class _Minute:
    """How often each network did something in the minute that runs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = 0
        self.counts: Counter[bytes] = Counter()

    def within(self, prefix: bytes, most: int) -> bool:
        """Count once more; False when it is more often than `most`. Our own networks are not counted."""
        if not prefix or not most:
            return True
        minute = int(self._clock() // 60)
        if minute != self._began or len(self.counts) >= _MOST_NETWORKS:
            self._began = minute
            self.counts.clear()
        self.counts[prefix] += 1
        return self.counts[prefix] <= most


class Lobby:
    """The sessions of one listener and what they share. `clock` gives seconds that only grow."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.limits = limits
        self.clock = clock
        self.closing = ""
        """The reply to say good-bye with, once no more is taken."""
        self.inside: set[Visitor] = set()
        self.empty = asyncio.Event()
        """Set while nobody is inside."""
        self.empty.set()
        self.held = 0
        """Octets of mail data in memory."""
        self.counts: Counter[str] = Counter()
        """Of `messages`, `refused` commands, `turned_away` and `broken` connections, `timeouts`."""
        self._own = [
            (len(own.network_address.packed), int(own.netmask), int(own.network_address))
            for own in limits.own_networks
        ]
        self._inside_of: Counter[bytes] = Counter()
        self._watched: set[Visitor] = set()
        self._watching: asyncio.TimerHandle | None = None
        self._arrivals = _Minute(clock)
        self._asked = _Minute(clock)

    def prefix(self, peer: object) -> bytes:
        """Cut a peer name to the network that limits count for; empty for our own or an unknown one."""
        octets = _octets(peer)
        number = int.from_bytes(octets, "big")
        for length, mask, network in self._own:
            if len(octets) == length and number & mask == network:
                return b""
        return octets[: 3 if len(octets) == 4 else 6]

    def enter(self, visitor: Visitor) -> str:
        """Let a session in until it leaves, and say "". Else give the reply to turn it away with."""
        limits, prefix = self.limits, visitor.prefix
        if self.closing:
            return self.closing
        if limits.connections and len(self.inside) >= limits.connections:
            self.counts["turned_away"] += 1
            return "421 4.3.2 Too many connections; try again later"
        many = prefix and 0 < limits.connections_per_prefix <= self._inside_of[prefix]
        if many or not self._arrivals.within(prefix, limits.arrivals_per_prefix):
            self.counts["turned_away"] += 1
            return "421 4.7.0 Too many connections from your network; try again later"
        self.inside.add(visitor)
        self.empty.clear()
        if prefix:
            self._inside_of[prefix] += 1
        return ""

    def leave(self, visitor: Visitor) -> None:
        """Forget a session that was let in."""
        self.inside.remove(visitor)
        if not self.inside:
            self.empty.set()
        if prefix := visitor.prefix:
            self._inside_of[prefix] -= 1
            if not self._inside_of[prefix]:
                del self._inside_of[prefix]

    def close(self) -> None:
        """Let nobody in any more and send away who waits for a command; mails under way may finish."""
        self.closing = _CLOSING
        for visitor in [visitor for visitor in self.inside if visitor.idle]:
            visitor.dismiss(self.closing)

    def cut(self) -> None:
        """Send away whoever is left."""
        for visitor in list(self.inside):
            visitor.dismiss(_CLOSING)

    def watch(self, visitor: Visitor) -> None:
        """Time a session out, in good order or not, until it is forgotten."""
        self._watched.add(visitor)
        if self._watching is None:
            self._watch_on()

    def forget(self, visitor: Visitor) -> None:
        """Watch a session no longer."""
        self._watched.discard(visitor)

    def _watch_on(self) -> None:
        """One timer for all: one for each, set anew by its commands, costs more than these."""
        limits = self.limits
        shortest = min(limits.idle_seconds, limits.crowded_seconds, limits.data_seconds)
        self._watching = asyncio.get_running_loop().call_later(min(1.0, shortest / 20), self._look_round)

    def _look_round(self) -> None:
        self._watching = None
        now = self.clock()
        silent_since = now - self.idle_seconds()
        for visitor in [one for one in self._watched if one.heard <= silent_since or one.until <= now]:
            visitor.time_out()
        if self._watched:
            self._watch_on()

    def may_ask(self, visitor: Visitor) -> bool:
        """Count one more RCPT; False when the prefix has used up its minute."""
        return self._asked.within(visitor.prefix, self.limits.recipients_per_prefix)

    def idle_seconds(self) -> float:
        """How long a session may be silent: who holds many connections open does not keep others out."""
        limits = self.limits
        crowded = 0 < 3 * limits.connections < 4 * len(self.inside)
        return min(limits.idle_seconds, limits.crowded_seconds) if crowded else limits.idle_seconds

    def overloaded(self) -> bool:
        """Whether more mail data is in memory than may be."""
        return 0 < self.limits.held_bytes < self.held
