"""What one SMTP listener bears: its limits, and a lobby that counts who is in. In memory only."""

import asyncio
import ipaddress
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
    """Open at once from one IPv4 /24 or IPv6 /56."""
    recipients_per_prefix: int = 1200
    """RCPT commands per minute from one prefix."""
    held_bytes: int = 536_870_912
    """Mail data in memory, over all sessions."""
    patience: int = 100
    """Of a session: an error costs 10, a command that moves no mail 1; a message that is kept restores it."""
    idle_seconds: float = 300.0
    """RFC 5321 §4.5.3.2.7."""
    data_seconds: float = 900.0
    """From the 354 to the final dot."""
    own_networks: tuple[IPNetwork, ...] = (
        ipaddress.IPv4Network("127.0.0.0/8"),
        ipaddress.IPv6Network("::1/128"),
    )
    """Hosts of ours that pass on mail for many: nothing is counted for their prefix."""


class Visitor(Protocol):
    """What the lobby knows of a session."""

    prefix: bytes
    """As `Lobby.prefix` gave it."""
    idle: bool
    """Whether it waits for a command, so that nothing is lost by cutting it."""

    def dismiss(self, reply: str) -> None:
        """Say `reply` and close."""


_CLOSING = "421 4.3.2 Shutting down; try again later"


class Lobby:
    """The sessions of one listener and what they share. `clock` gives seconds that only grow."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.limits = limits
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
        self._clock = clock
        self._inside_of: Counter[bytes] = Counter()
        self._asked_by: Counter[bytes] = Counter()
        self._minute = 0

    def prefix(self, peer: object) -> bytes:
        """Cut a peer name to the network that limits count for; empty for our own or an unknown one."""
        try:
            address = ipaddress.ip_address(peer[0].partition("%")[0]) if isinstance(peer, tuple) else None
        except ValueError:
            return b""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if address is None or any(address in network for network in self.limits.own_networks):
            return b""
        return address.packed[: 3 if address.version == 4 else 7]

    def enter(self, visitor: Visitor) -> str:
        """Let a session in until it leaves, and say "". Else give the reply to turn it away with."""
        limits, prefix = self.limits, visitor.prefix
        if self.closing:
            return self.closing
        if limits.connections and len(self.inside) >= limits.connections:
            self.counts["turned_away"] += 1
            return "421 4.3.2 Too many connections; try again later"
        if prefix and 0 < limits.connections_per_prefix <= self._inside_of[prefix]:
            self.counts["turned_away"] += 1
            return "421 4.7.0 Too many connections from your network; try again later"
        self.inside.add(visitor)
        self.empty.clear()
        self._inside_of[prefix] += 1
        return ""

    def leave(self, visitor: Visitor) -> None:
        """Forget a session that was let in."""
        self.inside.remove(visitor)
        if not self.inside:
            self.empty.set()
        self._inside_of[visitor.prefix] -= 1
        if not self._inside_of[visitor.prefix]:
            del self._inside_of[visitor.prefix]

    def close(self) -> None:
        """Let nobody in any more and send away who waits for a command; mails under way may finish."""
        self.closing = _CLOSING
        for visitor in [visitor for visitor in self.inside if visitor.idle]:
            visitor.dismiss(self.closing)

    def cut(self) -> None:
        """Send away whoever is left."""
        for visitor in list(self.inside):
            visitor.dismiss(_CLOSING)

    def may_ask(self, visitor: Visitor) -> bool:
        """Count one more RCPT; False when the prefix has used up its minute."""
        if not visitor.prefix or not self.limits.recipients_per_prefix:
            return True
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute = minute
            self._asked_by.clear()
        self._asked_by[visitor.prefix] += 1
        return self._asked_by[visitor.prefix] <= self.limits.recipients_per_prefix

    def overloaded(self) -> bool:
        """Whether more mail data is in memory than may be."""
        return 0 < self.limits.held_bytes < self.held
