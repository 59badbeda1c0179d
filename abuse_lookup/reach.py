"""Takes a host name; leaves an open connection to an address that may be spoken to.

Targets, referrals and redirects come from strangers. Every name is resolved through the `Resolver`, and its
address is judged before a socket opens: nothing makes us speak to loopback, private or link-local
addresses unless the operator listed them, or runs the whole DNS on loopback (tests, the demo).
"""

import asyncio
import ipaddress
from collections.abc import Sequence

from abuse_lookup.answer import Status
from abuse_lookup.errors import ConfigError
from abuse_lookup.resolver import Resolver
from abuse_lookup.target import IPAddress, IPNetwork, ip_refusal, parse_ip

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_MOST_TRIED = 3
CONNECT_SECONDS = 3.0
"""For one address of a server, so that the next one has its turn."""


class Unreachable(Exception):  # noqa: N818 - reads as what it says
    """No connection, and why; `permanent` when asking again will not help."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Reach:
    """Decides which addresses may be spoken to, and connects to them.

    `allow_nets` are CIDRs. `dns_on_loopback`: the configured name server is on loopback, so the
    world it tells of may be there too. Raises `ConfigError` for what is no CIDR.
    """

    def __init__(self, resolver: Resolver, allow_nets: Sequence[str], *, dns_on_loopback: bool) -> None:
        self._resolver = resolver
        self._dns_on_loopback = dns_on_loopback
        try:
            self._allowed: list[IPNetwork] = [ipaddress.ip_network(net) for net in allow_nets]
        except ValueError as error:
            raise ConfigError(f"allow_nets {list(allow_nets)!r}: {error}; give CIDRs") from error

    def permits(self, ip: IPAddress) -> bool:
        """Whether a connection to this address may be opened."""
        if any(ip in net for net in self._allowed):
            return True
        if self._dns_on_loopback and (ip.is_loopback or ip.is_private):
            return not (ip.is_link_local or ip.is_unspecified)
        return ip_refusal(ip) is None

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Resolve `host` to addresses that may be spoken to; raises `Unreachable`."""
        answer = await self._resolver.addresses(host)
        if answer.failed:
            raise Unreachable(answer.reason, permanent=answer.status is Status.PERMANENT)
        if not answer.found:
            raise Unreachable(answer.reason or f"{host} has no address", permanent=True)
        permitted = tuple(text for text in answer.value if (ip := parse_ip(text)) and self.permits(ip))
        if not permitted:
            raise Unreachable(
                f"{host} is at {answer.value[0]}, which is not a public address", permanent=True
            )
        return permitted[:_MOST_TRIED]

    async def connect(self, host: str, port: int) -> Streams:
        """Open a TCP connection to `host`; raises `Unreachable`, and is bounded by the caller's timeout."""
        problem = ""
        for address in await self.addresses(host):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(address, port)
            except TimeoutError:
                problem = f"{host} ({address} port {port}): no connection within {CONNECT_SECONDS:g} s"
            except OSError as error:
                problem = f"{host} ({address} port {port}): {error.strerror or error}"
        raise Unreachable(problem)
