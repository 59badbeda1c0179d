"""Mail goes out: takes the finished bytes of one mail and one recipient, leaves the next hop's answer.

One attempt, no memory: what is tried again, and when, is the caller's. The bytes go between DATA and the dot
exactly as they came in. `before_dot` is awaited when everything but the final dot is sent, so that the caller
can write down that this attempt may succeed; what dies after the dot is `unknown`, never `deferred`
(promise 4).
"""

import asyncio
import functools
import logging
import random
import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import aiosmtplib

from abuse_lookup.answer import Answer, MailAnswer, Status
from abuse_lookup.target import ip_refusal, normal_host, parse_ip
from complaints.smtp_transaction import (
    LOST,
    BeforeDot,
    Parcel,
    State,
    one_line,
    refusal,
    transact,
    trouble,
)

log = logging.getLogger(__name__)
CONNECT_SECONDS = 30.0
"""For the TCP handshake with one address; a dead host must not hold up the next one."""
MOST_ADDRESSES = 6
"""Addresses tried in one attempt (RFC 5321 §5.1 asks for two at least)."""
QUIT_SECONDS = 5.0
_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_UNSENDABLE = re.compile(r"[\s<>\x00-\x1f\x7f\ud800-\udfff]")
_ADDRESS = re.compile(r"[^\s<>\x00-\x1f\x7f\ud800-\udfff]+@[^\s<>@\x00-\x1f\x7f\ud800-\udfff]+")


class Resolver(Protocol):
    """The two questions asked of the DNS; `abuse_lookup.resolver.Resolver` answers them."""

    async def mx(self, domain: str) -> MailAnswer:
        """Mail hosts of a domain, or its own name where it has none (RFC 5321 §5.1)."""

    async def addresses(self, name: str) -> Answer[tuple[str, ...]]:
        """IP addresses of a host."""


@dataclass(frozen=True)
class Relay:
    """Everything goes to one mail host of ours, `PLAINT_RELAY`, which may be a private one."""

    host: str
    port: int


@dataclass(frozen=True)
class Direct:
    """Straight to the mail hosts of the recipient's domain; `allow_private` also to private addresses."""

    port: int = 25
    allow_private: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of an attempt.

    `sent`: the next hop answered 250. `refused`: it will never take this mail. `deferred`: it may later.
    `unknown`: the answer to the final dot did not come; the mail may have been sent.
    """

    state: State
    code: int | None
    """The reply code; None when nobody answered."""
    text: str
    """The answer, or what happened, on one line of printable characters."""
    host: str
    """The mail host, or the domain when none was reached."""
    tls: bool = False
    """Whether the mail went through TLS. The certificate of a mail host is not verified (RFC 7435)."""


@dataclass(frozen=True)
class _Stop:
    """One address of one mail host."""

    host: str
    ip: str
    port: int

    @property
    def server_name(self) -> str:
        """The name to ask for in TLS."""
        return self.ip if parse_ip(self.host) else self.host


class _NotLetInError(Exception):
    """A host did not let us come as far as the envelope."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.text)


async def send(
    raw: bytes,
    *,
    mail_from: str,
    to: str,
    route: Relay | Direct,
    hostname: str,
    resolver: Resolver,
    rng: random.Random,
    before_dot: BeforeDot,
    timeout: float = 300.0,  # noqa: ASYNC109 - for each step, not for all (RFC 5321 §4.5.3.2)
) -> Outcome:
    """Try once to hand a mail to the next hop.

    `raw` has CRLF line ends only and its last line ended; `mail_from` is "" for the null sender; `hostname`
    is what we say in EHLO. `timeout` is in seconds for each answer, and twice as long for the one to the
    final dot. What `before_dot` raises comes through, and the mail is not sent. Raises ValueError for bytes
    or a sender that cannot go over the wire.
    """
    parcel = Parcel(_checked(raw), _ascii_domain(mail_from), _ascii_domain(to))
    if _UNSENDABLE.search(parcel.mail_from):
        raise ValueError(f"{mail_from!r} cannot be said in MAIL FROM: it holds a space, bracket or control")
    if not _ADDRESS.fullmatch(parcel.to):
        return Outcome("refused", None, one_line(f"{to} is not a mail address"), "")
    stops, failures = await _stops(parcel, route, resolver, rng)
    for stop in stops:
        try:
            return await _deliver(stop, parcel, hostname, before_dot, timeout)
        except _NotLetInError as failure:
            if failure.outcome.state == "refused" and isinstance(route, Direct):
                return failure.outcome
            failures.append(failure.outcome)
    outcome = next((failure for failure in failures if failure.state == "deferred"), failures[0])
    # That our own relay is not to be had says nothing about the recipient.
    return replace(outcome, state="deferred") if isinstance(route, Relay) else outcome


def _checked(raw: bytes) -> bytes:
    """Refuse what a mail host might read differently than we do, such as the end of the mail."""
    if found := _BARE_LINE_END.search(raw):
        raise ValueError(
            f"bare CR or LF at octet {found.start()} of a mail to send; lines end with CR LF only"
        )
    if not raw.endswith(b"\r\n"):
        raise ValueError("the last line of a mail to send does not end with CR LF")
    return raw


def _ascii_domain(address: str) -> str:
    """Write the domain in A-labels, which every mail host understands (RFC 6531 §3.2)."""
    local, at, domain = address.rpartition("@")
    return f"{local}@{normal_host(domain) or domain}" if at else address


# Where to


async def _stops(
    parcel: Parcel, route: Relay | Direct, resolver: Resolver, rng: random.Random
) -> tuple[list[_Stop], list[Outcome]]:
    """Find addresses to try, the best first, and why others will not do. One of the two is not empty."""
    domain = parcel.to.rpartition("@")[2]
    if isinstance(route, Relay):
        hosts = [route.host]
    elif domain.startswith("["):  # RFC 5321 §4.1.3
        hosts = [domain]
    else:
        mail = await resolver.mx(domain)
        if not mail.found:
            return [], [_unresolved(domain, mail)]
        hosts = _in_order(mail.value, rng)
    stops: list[_Stop] = []
    failures: list[Outcome] = []
    for host in hosts[:MOST_ADDRESSES]:
        answer = await resolver.addresses(host)
        if not answer.found:
            failures.append(_unresolved(host, answer))
        for ip in answer.value:
            if problem := _private(ip, route):
                failures.append(Outcome("refused", None, f"not connected to {host}: {problem}", host))
            else:
                stops.append(_Stop(host, ip, route.port))
    return stops[:MOST_ADDRESSES], failures


def _in_order(mail_hosts: Sequence[tuple[int, str]], rng: random.Random) -> list[str]:
    """RFC 5321 §5.1: by preference, in random order among equals."""
    return [
        host for _, _, host in sorted((preference, rng.random(), host) for preference, host in mail_hosts)
    ]


def _private(ip: str, route: Relay | Direct) -> str | None:
    address = parse_ip(ip)
    if isinstance(route, Relay) or route.allow_private or address is None:
        return None
    return ip_refusal(address)


def _unresolved(name: str, answer: Answer[Any]) -> Outcome:
    state: State = "deferred" if answer.status is Status.TEMPORARY else "refused"
    return Outcome(state, None, one_line(answer.reason), name)


# One address


async def _deliver(
    stop: _Stop, parcel: Parcel, hostname: str, before_dot: BeforeDot, seconds: float
) -> Outcome:
    """Speak with one address. Raises _NotLetInError before the envelope; from then on its answer counts."""
    try:
        client, tls = await _enter(stop, hostname, seconds)
    except aiosmtplib.SMTPResponseException as error:
        raise _NotLetInError(Outcome(*refusal(error), host=stop.host)) from error
    except LOST as error:
        raise _NotLetInError(Outcome("deferred", None, trouble(error), host=stop.host)) from error
    try:
        verdict = await transact(client, parcel, before_dot, seconds)
        if verdict.state != "unknown":
            await _leave(client)
    finally:
        client.close()
    return Outcome(*verdict, host=stop.host, tls=tls)


async def _enter(stop: _Stop, hostname: str, seconds: float) -> tuple[aiosmtplib.SMTP, bool]:
    """Connect and greet, through TLS where it is offered and works; in clear text rather than not at all."""
    client = await _greet(stop, hostname, seconds)
    if not client.supports_extension("starttls"):
        return client, False
    tls = False
    try:
        await client.starttls(server_hostname=stop.server_name, tls_context=_unverified())
        await client.ehlo()
        tls = True
    except (*LOST, ValueError) as error:
        log.info("TLS with a mail host failed, going on without: %s", type(error).__name__)
    finally:
        if not tls:
            client.close()
    return (client, True) if tls else (await _greet(stop, hostname, seconds), False)


async def _greet(stop: _Stop, hostname: str, seconds: float) -> aiosmtplib.SMTP:
    """Connect; EHLO, or HELO where that is not known (RFC 5321 §3.2)."""
    client = aiosmtplib.SMTP(
        sock=await _dial(stop.ip, stop.port, min(seconds, CONNECT_SECONDS)),
        local_hostname=hostname,
        start_tls=False,
        timeout=seconds,
    )
    greeted = False
    try:
        await client.connect()
        try:
            await client.ehlo()
        except aiosmtplib.SMTPHeloError as error:
            if error.code < 500 or not client.is_connected:
                raise
            await client.helo()
        greeted = True
    finally:
        if not greeted:
            client.close()
    return client


async def _dial(ip: str, port: int, seconds: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, (ip, port))
    except BaseException:
        sock.close()
        raise
    return sock


@functools.cache
def _unverified() -> ssl.SSLContext:
    """Make TLS that keeps listeners out but does not tell who is there: names in MX records prove nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Say good-bye (RFC 5321 §4.1.1.10); by now the outcome is known and no trouble changes it."""
    with suppress(*LOST):
        await client.execute_command(b"QUIT", timeout=QUIT_SECONDS)
