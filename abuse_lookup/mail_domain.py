"""Takes the domain of a mailbox; leaves whether it can take mail at all, and else why not.

A domain that says so by a null MX, that has no mail host, or whose mail hosts do not exist or are at no
public address cannot. What the DNS does not answer now is not a no.
"""

import asyncio
from collections.abc import Callable

from abuse_lookup.answer import Answer, MailAnswer, Status
from abuse_lookup.resolver import Resolver
from abuse_lookup.target import IPAddress, parse_ip

_MOST_HOSTS = 8


class MailDomains:
    """Asks the DNS, which is cached below by its own times to live. `permits` tells public addresses."""

    def __init__(self, resolver: Resolver, permits: Callable[[IPAddress], bool]) -> None:
        self._resolver, self._permits = resolver, permits

    async def check_until(self, domain: str, until: float | None) -> MailAnswer:
        """Check as `check` does; what is not known at `until`, in the loop's time, is TEMPORARY."""
        try:
            async with asyncio.timeout_at(until):
                return await self.check(domain)
        except TimeoutError:
            reason = f"no time was left to ask for the mail hosts of {domain}"
            return MailAnswer(Status.TEMPORARY, (), self._resolver.server, reason)

    async def check(self, domain: str) -> MailAnswer:
        """Find the mail hosts of a domain (RFC 5321 §5.1, RFC 7505) that mail can be sent to.

        FOUND with those, ABSENT or PERMANENT with the reason why there are none, TEMPORARY when that is not
        known. One good host is enough: the best is asked for first, the others only when it is not good.
        """
        mail = await self._resolver.mx(domain)
        hosts = mail.value[:_MOST_HOSTS]
        if not hosts:
            return mail
        checked = [await self._places(hosts[0][1])]
        if not self._reachable(checked[0]):
            checked += await asyncio.gather(*(self._places(host) for _, host in hosts[1:]))
        good = tuple(pair for pair, found in zip(hosts, checked, strict=False) if self._reachable(found))
        if good:
            return MailAnswer(Status.FOUND, good, mail.server, "", mail.expires, mail.implicit)
        if unsure := next((found for found in checked if found.status is Status.TEMPORARY), None):
            return MailAnswer(Status.TEMPORARY, (), unsure.server, unsure.reason)
        reason = f"no mail host of {domain} can be reached: {self._why(hosts[0][1], checked[0])}"
        return MailAnswer(Status.ABSENT, (), mail.server, reason, mail.expires)

    async def _places(self, host: str) -> Answer[tuple[str, ...]]:
        """Ask where a host is; for its IPv6 addresses only where no IPv4 address will do."""
        four = await self._resolver.addresses(host, six=False)
        return four if self._reachable(four) else await self._resolver.addresses(host)

    def _reachable(self, found: Answer[tuple[str, ...]]) -> bool:
        return any(ip is not None and self._permits(ip) for ip in map(parse_ip, found.value))

    def _why(self, host: str, found: Answer[tuple[str, ...]]) -> str:
        return f"{host} is at {found.value[0]}, no public address" if found.found else found.reason
