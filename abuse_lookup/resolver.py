"""Takes names and addresses; leaves what the DNS says, as four-valued answers, never as exceptions.

Also used by the rest of Plaint: mail hosts for sending, deliverability of addresses.
dnspython draws ids and source ports, and answers of strangers are not believed.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.reversename
import dns.rrset

from abuse_lookup import journal
from abuse_lookup.answer import Answer, MailAnswer, Status
from abuse_lookup.errors import ConfigError
from abuse_lookup.target import parse_ip

Texts = tuple[str, ...]
MOST_NAMES = 10
"""Names of one address that are confirmed, and addresses of one name that are looked at (RFC 8601 §3 asks
for a limit)."""
_CACHED_ANSWERS = 50_000
_NO_ANSWER = (dns.resolver.LifetimeTimeout, dns.resolver.NoNameservers, dns.resolver.YXDOMAIN)
_FAILURES = (dns.exception.DNSException, OSError, EOFError, UnicodeError, ValueError)


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of the DNS, without a final dot, and the mailbox its start of authority names, as it stands."""

    name: str
    mailbox: str | None


class Resolver:
    """The questions Plaint asks the DNS.

    `nameservers` are (address, port) pairs; empty means the system's. `seconds` bounds one question over all
    servers and retries. `clock` gives aware UTC and is used for expiry only. Raises `ConfigError` when
    there is no name server to ask.
    """

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] = (),
        *,
        seconds: float = 5.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._resolver = _configured(nameservers)
        self._resolver.lifetime = seconds
        self._resolver.timeout = max(seconds / 3, 0.05)
        self._resolver.cache = dns.resolver.LRUCache(_CACHED_ANSWERS)
        self.server = ", ".join(_server_name(server) for server in self._resolver.nameservers)

    async def addresses(self, name: str, *, six: bool = True) -> Answer[Texts]:
        """Ask for A and AAAA of a host name, IPv4 first; an address literal is its own answer.

        Without `six` for A alone.
        """
        if (ip := parse_ip(name)) is not None:
            return Answer(Status.FOUND, (str(ip),))
        if not six:
            return await self._texts(name, "A")
        four, v6 = await asyncio.gather(self._texts(name, "A"), self._texts(name, "AAAA"))
        if four.found or v6.found:
            return _joined(four, v6)
        return four if four.failed or not v6.failed else v6

    async def ptr(self, ip: str) -> Answer[Texts]:
        """Ask for the names of an address: lower case, without a final dot, unconfirmed."""
        address = parse_ip(ip)
        if address is None:
            return Answer(Status.PERMANENT, (), reason=f"{ip!r} is not an IP address")
        answer = await self._texts(dns.reversename.from_address(str(address)).to_text(), "PTR")
        return _mapped(answer, tuple(name.rstrip(".").lower() for name in answer.value))

    async def confirmed_ptr(self, ip: str) -> Answer[Texts]:
        """Ask for the names of an address that point back to it (RFC 8601 §3); ABSENT when none does."""
        names = await self.ptr(ip)
        if not names.found:
            return names
        asked = names.value[:MOST_NAMES]
        forward = await asyncio.gather(*(self.addresses(name) for name in asked))
        address = str(parse_ip(ip))
        confirmed = tuple(name for name, there in zip(asked, forward, strict=True) if address in there.value)
        if confirmed:
            return _mapped(names, confirmed)
        if failed := next((there for there in forward if there.failed), None):
            return Answer(failed.status, (), failed.server, failed.reason, failed.expires)
        reason = f"{asked[0]} is the reverse name of {ip} but does not point back to it"
        return Answer(Status.ABSENT, (), names.server, reason, names.expires)

    async def mx(self, domain: str) -> MailAnswer:
        """Ask for the mail hosts of a domain: its MX records, else its own addresses (RFC 5321 §5.1)."""
        answer = await self._ask(domain, "MX")
        if not answer.found:
            return _mail(answer) if answer.failed else await self._implicit_mx(domain, answer)
        pairs = sorted((int(r.preference), r.exchange.to_text(omit_final_dot=True)) for r in answer.value)
        if all(host in {"", "."} for _, host in pairs):
            reason = f"{domain} says by a null MX that it takes no mail (RFC 7505)"
            return MailAnswer(Status.ABSENT, (), answer.server, reason, answer.expires, null=True)
        usable = tuple((preference, host.lower()) for preference, host in pairs if host not in {"", "."})
        return MailAnswer(Status.FOUND, usable, answer.server, "", answer.expires)

    async def txt(self, name: str) -> Answer[Texts]:
        """Ask for TXT records, each with its strings joined (RFC 7208 §3.3), as UTF-8 with replacements."""
        answer = await self._ask(name, "TXT")
        texts = (b"".join(record.strings) for record in answer.value)
        return _mapped(answer, tuple(text.decode("utf-8", "replace") for text in texts))

    async def ipv4(self, name: str) -> Answer[Texts]:
        """Ask for A records alone, for zones that say something else than where a host is."""
        return await self._texts(name, "A")

    async def hinfo(self, name: str) -> Answer[Texts]:
        """Ask for HINFO; the value is its two strings (RFC 1035 §3.3.2) as UTF-8 with replacements."""
        answer = await self._ask(name, "HINFO")
        strings = (part for record in answer.value[:1] for part in (record.cpu, record.os))
        return _mapped(answer, tuple(part.decode("utf-8", "replace") for part in strings))

    async def zone(self, name: str) -> Answer[tuple[Zone, ...]]:
        """Find the zone a name lies in, whether the name exists or not, and who says to run it.

        The start of authority comes with a negative answer as well (RFC 2308 §2), so one question is enough.
        """
        with journal.asking("dns", self.server, f"SOA {name}") as asked:
            answer = await self._zone(name)
            asked.said("\n".join(f"{zone.name} SOA, run by {zone.mailbox}" for zone in answer.value))
            asked.ended(answer.status, answer.reason)
            return answer

    async def _zone(self, name: str) -> Answer[tuple[Zone, ...]]:
        try:
            found = await self._resolved(name, "SOA")
            server, sections = f"{found.nameserver or ''}", _sections([found.response])
        except dns.resolver.NXDOMAIN as error:
            server, sections = self.server, _sections(_responses(error).values())
        except _FAILURES as error:
            return self._failed(name, "SOA", error)
        for rrset in sections:
            if rrset.rdtype == dns.rdatatype.SOA:
                zone = Zone(_plain(rrset.name), _mailbox(rrset[0].rname))
                return Answer(Status.FOUND, (zone,), server, "", self._at(time.time() + rrset.ttl))
        return Answer(Status.ABSENT, (), server, f"{name}: no start of authority is told")

    async def all_txt(self, names: Collection[str]) -> dict[str, Texts | None]:
        """Ask for the TXT records of several names at once: none is an empty tuple, None is no answer now."""
        answers = await asyncio.gather(*(self.txt(name) for name in names))
        return {
            name: None if answer.status is Status.TEMPORARY else answer.value
            for name, answer in zip(names, answers, strict=True)
        }

    async def _implicit_mx(self, domain: str, no_mx: Answer[Any]) -> MailAnswer:
        own = await self.addresses(domain)
        if own.found:
            itself = ((0, domain.rstrip(".").lower()),)
            return MailAnswer(Status.FOUND, itself, own.server, "", own.expires, implicit=True)
        if own.status is Status.ABSENT:
            reason = f"{domain} has neither mail hosts nor an address"
            return MailAnswer(Status.ABSENT, (), own.server, reason, no_mx.expires)
        return _mail(own)

    async def _texts(self, name: str, kind: str) -> Answer[Texts]:
        answer = await self._ask(name, kind)
        return _mapped(answer, tuple(record.to_text() for record in answer.value))

    async def _ask(self, name: str, kind: str) -> Answer[tuple[Any, ...]]:
        with journal.asking("dns", self.server, f"{kind} {name}") as asked:
            asked.cached = journal.is_open() and self._knows(name, kind)
            answer = await self._resolve(name, kind)
            asked.said("\n".join(record.to_text() for record in answer.value))
            asked.ended(answer.status, answer.reason)
            return answer

    def _knows(self, name: str, kind: str) -> bool:
        """Whether this was asked before and the answer is still good."""
        try:
            key = (dns.name.from_text(name), dns.rdatatype.from_text(kind), dns.rdataclass.IN)
        except (dns.exception.DNSException, UnicodeError, ValueError):
            return False
        return self._resolver.cache is not None and self._resolver.cache.get(key) is not None

    async def _resolve(self, name: str, kind: str) -> Answer[tuple[Any, ...]]:
        try:
            found = await self._resolved(name, kind)
        except dns.resolver.NXDOMAIN as error:
            return self._absent(f"{name} does not exist", _negative_expiry(error))
        except _FAILURES as error:
            return self._failed(name, kind, error)
        if found.rrset is None and _only_refers(found.response):
            reason = f"{kind} of {name}: the server refers elsewhere and does not answer"
            return Answer(Status.TEMPORARY, (), self.server, reason)
        if found.rrset is None:
            return self._absent(f"{name} has no {kind} record", found.expiration)
        server = f"{found.nameserver or ''}"
        return Answer(Status.FOUND, tuple(found.rrset), server, "", self._at(found.expiration))

    async def _resolved(self, name: str, kind: str) -> dns.resolver.Answer:
        question = dns.name.from_text(name)  # absolute: no search list ever applies
        # Named, or it would look for other event loops before every question, which takes as long as asking
        backend = dns.asyncbackend.get_backend("asyncio")
        return await self._resolver.resolve(
            question, kind, search=False, raise_on_no_answer=False, backend=backend
        )

    def _failed(self, name: str, kind: str, error: Exception) -> Answer[tuple[Any, ...]]:
        if isinstance(error, _NO_ANSWER):
            return Answer(Status.TEMPORARY, (), self.server, _why(name, kind, error))
        if isinstance(error, OSError | EOFError):
            reason = f"{kind} of {name}: {str(error) or type(error).__name__}"
            return Answer(Status.TEMPORARY, (), self.server, reason)
        return Answer(Status.PERMANENT, (), self.server, f"{name[:80]!r} cannot be asked for: {error}")

    def _absent(self, reason: str, expiry: float | None) -> Answer[tuple[Any, ...]]:
        return Answer(Status.ABSENT, (), self.server, reason, self._at(expiry))

    def _at(self, epoch: float | None) -> datetime | None:
        """Convert: dnspython counts in `time.time()`; the caller's clock may be another one."""
        if epoch is None:
            return None
        return datetime.fromtimestamp(self._clock().timestamp() + max(0.0, epoch - time.time()), UTC)


def _configured(nameservers: Sequence[tuple[str, int]]) -> dns.asyncresolver.Resolver:
    if nameservers:
        resolver = dns.asyncresolver.Resolver(configure=False)
        try:
            resolver.nameservers = [
                dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(host)), port)
                for host, port in nameservers
            ]
        except ValueError as error:
            raise ConfigError(f"name servers {list(nameservers)!r}: {error}; give IP addresses") from error
        return resolver
    try:
        return dns.asyncresolver.Resolver(configure=True)
    except dns.resolver.NoResolverConfiguration as error:
        raise ConfigError("the system names no DNS server; name one in the configuration") from error


def _server_name(server: Any) -> str:
    if isinstance(server, dns.nameserver.Do53Nameserver):
        return f"{server.address}:{server.port}"
    return str(server)


def _responses(error: dns.resolver.NXDOMAIN) -> dict[dns.name.Name, dns.message.QueryMessage]:
    return error.kwargs.get("responses") or {}


def _sections(responses: Iterable[dns.message.Message]) -> list[dns.rrset.RRset]:
    return [rrset for response in responses for rrset in (*response.answer, *response.authority)]


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _mailbox(rname: dns.name.Name) -> str | None:
    """Decode a mailbox written as a name: its first label, dots in it escaped, is the local part.

    RFC 1035 §8 has the form; a root RNAME says that there is none.
    """
    if len(rname.labels) < 3:
        return None
    domain = dns.name.Name(rname.labels[1:])
    return f"{rname.labels[0].decode('ascii', 'replace')}@{_plain(domain)}"


def _negative_expiry(error: dns.resolver.NXDOMAIN) -> float | None:
    lifetimes = [response.resolve_chaining().minimum_ttl for response in _responses(error).values()]
    return time.time() + min(lifetimes) if lifetimes else None


def _why(name: str, kind: str, error: dns.exception.DNSException) -> str:
    if isinstance(error, dns.resolver.LifetimeTimeout):
        return f"{kind} of {name}: no answer in time"
    came = [(r.rcode(), problem) for *_, problem, r in error.kwargs.get("errors") or () if r is not None]
    codes = [dns.rcode.to_text(code) if code else f"nonsense ({problem})" for code, problem in came]
    said = f"the servers answered {', '.join(codes)}" if codes else "no usable answer"
    return f"{kind} of {name}: {said}"


def _only_refers(response: dns.message.Message) -> bool:
    """Tell a referral from an answer that there is nothing, which has an SOA (RFC 2308 §2.2)."""
    kinds = {rrset.rdtype for rrset in response.authority}
    return dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds and not response.answer


def _mapped(answer: Answer[Any], value: Texts) -> Answer[Texts]:
    return Answer(answer.status, value, answer.server, answer.reason, answer.expires)


def _joined(four: Answer[Texts], six: Answer[Texts]) -> Answer[Texts]:
    first = four if four.found else six
    return _mapped(first, (four.value + six.value)[: 2 * MOST_NAMES])


def _mail(answer: Answer[Any]) -> MailAnswer:
    return MailAnswer(answer.status, (), answer.server, answer.reason, answer.expires)
