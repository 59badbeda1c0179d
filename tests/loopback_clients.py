"""Worlds to test the loopback internet with, and the clients that ask it over real sockets."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiosmtplib
import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.reversename
import httpx

from complaints.loopback import Internet, World, loopback_internet

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WORLD = """
[networks."198.51.100.0/24"]
name = "WIDE"
registry = "ripe"
abuse = "abuse@wide.example"

[networks."198.51.100.0/26"]
name = "EXAMPLE-CLOUD"
registry = "ripe"
abuse = ["abuse@cloud.example", "spam@cloud.example"]
published = ["rdap", "whois", "zone"]

[networks."203.0.113.0/26"]
name = "TOP"
registry = "arin"
abuse = "abuse@top.example"
published = ["rdap-top", "whois"]

[networks."203.0.113.64/26"]
name = "LINKED"
registry = "lacnic"
abuse = "abuse@linked.example"
published = ["rdap-linked", "whois"]
org = "Compañía de Redes"

[networks."203.0.113.128/26"]
name = "REMARKS"
registry = "apnic"
abuse = "abuse@remarks.example"
published = ["rdap-remarks", "whois-remarks"]

[networks."203.0.113.192/27"]
name = "SAVANNA"
registry = "afrinic"

[networks."203.0.113.224/27"]
name = "MOVED"
registry = "ripe"
via = "arin"
abuse = "abuse@moved.example"

[networks."2001:db8:1::/48"]
name = "SIX"
registry = "apnic"
abuse = "abuse@six.example"
published = ["rdap", "whois", "zone"]

[networks."192.0.2.0/28"]
name = "BROKEN"
registry = "ripe"
abuse = "abuse@broken.example"

[autnums.64496]
name = "CLOUD-AS"
registry = "ripe"
abuse = "abuse@cloud.example"

[domains."pills.example"]
addresses = ["198.51.100.9", "2001:db8:1::9"]
txt = ["v=spf1 -all"]

[domains."nomail.example"]
mx = ["."]

[domains."many.example"]
mx = ["mx1.many.example", "mx2.many.example"]

[domains."hidden.example"]
registrar = "discreet"

[registrars.discreet]
name = "Discreet Names"
iana_id = 7
abuse = "abuse@discreet.example"
whois = "whois.discreet.example"
rdap = "rdap.discreet.example"
published = []

[reverse]
"198.51.100.9" = "host9.cloud.example"

[zones]
"odd.example" = '''
alias    IN CNAME  far.odd.example.
far      IN CNAME  www.pills.example.
round    IN CNAME  about.odd.example.
about    IN CNAME  round.odd.example.
*.wild   IN A      192.0.2.7
a.b.deep IN A      192.0.2.8
'''
"""


@contextlib.asynccontextmanager
async def running(world: World | str) -> AsyncIterator[Internet]:
    """A world at NOW."""
    world = World.parse(world) if isinstance(world, str) else world
    async with loopback_internet(world, clock=lambda: NOW) as internet:
        yield internet


def on(world: World | str, ask: Callable[[Internet], Awaitable[None]]) -> None:
    """Run a conversation with a world."""

    async def held() -> None:
        async with running(world) as internet:
            await ask(internet)

    asyncio.run(held())


async def dns_answer(
    internet: Internet, name: str, rdtype: str, *, tcp: bool = False, edns: bool = True, seconds: float = 2
) -> dns.message.Message:
    """One question to the nameserver, as it answers."""
    host, port = internet.dns.split(":")
    query = dns.message.make_query(name, rdtype, use_edns=edns, payload=1232 if edns else None)
    ask = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await ask(query, host, port=int(port), timeout=seconds)


async def records(internet: Internet, name: str, rdtype: str) -> list[str]:
    """What a stub resolver finds (it repeats by TCP what was cut)."""
    return sorted(str(record) for record in await stub_resolver(internet).resolve(name, rdtype))


async def whois(internet: Internet, host: str, query: str, seconds: float = 5) -> bytes:
    """The answer of the WHOIS server of this name, which is looked up first."""
    address = await address_of(internet, host)
    reader, writer = await asyncio.open_connection(address, internet.whois_port)
    try:
        writer.write(f"{query}\r\n".encode())
        return await asyncio.wait_for(reader.read(), seconds)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def rdap(internet: Internet, url: str, seconds: float = 5) -> httpx.Response:
    """GET over TLS: the host name is looked up in the loopback DNS, the certificate checked against its CA."""
    wanted = httpx.URL(url)
    address = await address_of(internet, wanted.host)
    async with httpx.AsyncClient(verify=trusting(internet), trust_env=False, timeout=seconds) as client:
        return await client.get(
            wanted.copy_with(host=address),
            headers={"Host": f"{wanted.host}:{wanted.port}"},
            extensions={"sni_hostname": wanted.host},
        )


def base_url(internet: Internet, file: str, entry: str) -> str:
    """The base URL that a bootstrap file gives for one entry."""
    services = json.loads((internet.rdap_bootstrap / f"{file}.json").read_text())["services"]
    [url] = [urls[0] for *_, entries, urls in services if entry in entries]
    assert url.endswith("/")
    return str(url)


def abuse_emails(value: Any) -> list[str]:
    """The addresses of all entities with the abuse role, wherever they are nested."""
    found: list[str] = []
    if isinstance(value, dict):
        if "abuse" in value.get("roles", ()):
            card = value.get("vcardArray", ["vcard", []])[1]
            found += [entry[3] for entry in card if entry[0] == "email"]
        value = list(value.values())
    if isinstance(value, list):
        found += [email for each in value for email in abuse_emails(each)]
    return found


RETURN_PATH = "r.81a7@plaint.example"
MAIL_WORLD = """
[world]
slow_seconds = 0.3

[networks."198.51.100.0/26"]
name = "EXAMPLE-CLOUD"
registry = "ripe"
abuse = "abuse@cloud.example"

[domains."victim.example"]
mx = ["mx.victim.example"]

[domains."fallback.example"]
mx = []

[domains."hosts.example"]
mx = ["down.hosts.example", "silent.hosts.example", "busy.hosts.example", "plain.hosts.example", "odd.hosts.example"]

[mail_hosts]
"down.hosts.example" = "down"
"silent.hosts.example" = "silent"
"busy.hosts.example" = "421"
"plain.hosts.example" = "no-starttls"
"odd.hosts.example" = "bad-certificate"

[mailboxes]
"abuse@gone.example" = "bounce"
"""
# Where Plaint would be: another loopback internet, whose mail domain is Plaint's.
PLAINT = '[domains."plaint.example"]\nmx = ["mx.plaint.example"]'
REPORT = (
    b"From: Plaint <report@plaint.example>\r\nReply-To: a.k3m@plaint.example\r\nTo: abuse@cloud.example\r\n"
    b"Subject: =?utf-8?q?=5Babuse=5D_M=C3=BCll?=\r\nMessage-ID: <r81@plaint.example>\r\n"
    b"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nM\xc3\xbcll <b>from</b> 198.51.100.9\r\n"
    b"Review: http://127.0.0.1:8025/r/abc?x=1&y=2 http://pills.example/\r\n"
    b"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: <script>alert(1)</script>\r\n\r\n"
    b'see <a href="http://127.0.0.1:1/x">this</a>\r\n--b--\r\n'
)


def with_mail(ask: Callable[[Internet], Awaitable[None]]) -> None:
    """Run a conversation with the world of mail hosts."""
    on(MAIL_WORLD, ask)


def with_plaint(ask: Callable[[Internet, Internet], Awaitable[None]]) -> None:
    """A world, and beside it a mail host that stands for Plaint's SMTP door."""

    async def held() -> None:
        async with running(MAIL_WORLD) as internet, running(PLAINT) as plaint:
            internet.plaint_smtp = (await mx_address(plaint, "plaint.example"), plaint.mx_port)
            await ask(internet, plaint)

    asyncio.run(held())


def stub_resolver(internet: Internet) -> dns.asyncresolver.Resolver:
    """A resolver that knows only this internet."""
    host, port = internet.dns.split(":")
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [host], int(port), 3
    return resolver


async def address_of(internet: Internet, host: str) -> str:
    """The only IPv4 address of a host."""
    [address] = await records(internet, host, "A")
    return address


async def mx_address(internet: Internet, domain: str) -> str:
    """The loopback address of the first mail host of a domain, found as a sender finds it."""
    mx = await stub_resolver(internet).resolve(domain, "MX", raise_on_no_answer=False)
    return await address_of(internet, str(mx[0].exchange) if mx.rrset else domain)


async def send(internet: Internet, *to: str, raw: bytes = REPORT, sender: str = RETURN_PATH) -> str:
    """Deliver straight to the MX and return its reply; SMTP refusals are returned as their code and text."""
    host = await mx_address(internet, to[0].rpartition("@")[2])
    try:
        async with aiosmtplib.SMTP(hostname=host, port=internet.mx_port, start_tls=False) as client:
            _, said = await client.sendmail(sender, to, raw)
    except aiosmtplib.SMTPRecipientsRefused as refused:
        return f"{refused.recipients[0].code} {refused.recipients[0].message}"
    except aiosmtplib.SMTPResponseException as refused:
        return f"{refused.code} {refused.message}"
    return said


def trusting(internet: Internet) -> ssl.SSLContext:
    """A client's TLS context that knows this internet's authority only."""
    return ssl.create_default_context(cafile=str(internet.ca_file))


def browsing(internet: Internet) -> httpx.AsyncClient:
    """A browser of the inbox."""
    return httpx.AsyncClient(base_url=internet.inbox_url, trust_env=False)
