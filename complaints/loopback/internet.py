"""The loopback internet: takes a world, leaves running servers and the settings that point Plaint at them."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import aiosmtplib

from .bootstrap import write_bootstrap
from .certificates import LONG_OVER, Authority, Certificates
from .inbox import Inbox
from .letters import VERDICTS, Letter, Received, answer
from .mailhost import MailListeners, Post, talk_421, talk_silent
from .nameserver import UDP, Nameserver, serve_tcp
from .namespace import mail_hosts, rdap_hosts, zone, zone_texts
from .places import (
    LOOPBACK,
    Places,
    listening_sockets,
    paired_sockets,
    places_of,
    servers_of,
    tcp_socket,
)
from .questions import Protocol, Question
from .rdap import Rdap
from .streams import Streams
from .web import Site, web_servers
from .whois import Whois
from .world import World

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]
MOST_QUESTIONS = 100_000


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Internet:
    """A running loopback internet: where its servers are, what they were asked and what mail they took.

    `plaint_smtp` (host, port) may be set at any time: desks answer to there. `zones` are master file texts.
    """

    def __init__(self, world: World, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.dns = ""
        self.whois_root = world.constants.whois_root
        self.whois_port = 0
        self.rdap_bootstrap = Path()
        self.ca_file = Path()
        self.mx_port = 0
        self.inbox_url = ""
        self.contact_zones = (world.constants.contact_zone,)
        self.zones: dict[str, str] = {}
        self.questions: list[Question] = []
        self.plaint_smtp: tuple[str, int] | None = None
        self.post = Post(world, clock, self.ask, self.send)
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def messages(self) -> list[Received]:
        """What the mail hosts have taken, oldest first; bounded, the oldest go."""
        return self.post.messages

    def settings(self) -> dict[str, str]:
        """Return the PLAINT_* settings that make Plaint live in this internet."""
        return {
            "PLAINT_DNS": self.dns,
            "PLAINT_WHOIS_ROOT": self.whois_root,
            "PLAINT_WHOIS_PORT": str(self.whois_port),
            "PLAINT_RDAP_BOOTSTRAP": str(self.rdap_bootstrap),
            "PLAINT_CA_FILE": str(self.ca_file),
            "PLAINT_MX_PORT": str(self.mx_port),
            "PLAINT_CONTACT_ZONES": ",".join(self.contact_zones),
        }

    async def wait_for(self, count: int, to: str | None = None, seconds: float = 10) -> list[Received]:
        """Return the messages (to this mailbox) once there are `count`. Raises TimeoutError."""

        def found() -> list[Received]:
            return [m for m in self.messages if to is None or to.lower() in map(str.lower, m.rcpt_tos)]

        async with self.post.arrival:
            try:
                await asyncio.wait_for(self.post.arrival.wait_for(lambda: len(found()) >= count), seconds)
            except TimeoutError:
                came = [f"{m.mail_from} -> {', '.join(m.rcpt_tos)}" for m in self.messages]
                wanted = f"{count} messages to {to or 'anybody'}"
                raise TimeoutError(
                    f"{len(found())} of {wanted} in {seconds} s; all that came: {came}"
                ) from None
        return found()

    def asked(self, protocol: Protocol, containing: str = "") -> list[Question]:
        """Return the questions of one protocol whose text contains this."""
        return [q for q in self.questions if q.protocol == protocol and containing in q.question]

    def ask(self, protocol: Protocol, server: str, question: str) -> None:
        """Record a question that a server was asked."""
        self.questions.append(Question(protocol, server, question, self.clock()))
        del self.questions[:-MOST_QUESTIONS]

    async def deliver(self, letter: Letter) -> str:
        """Hand a letter to Plaint's SMTP door and return its answer. Raises OSError saying why not."""
        if self.plaint_smtp is None:
            raise OSError("plaint_smtp is not set: nobody takes mail for Plaint")
        host, port = self.plaint_smtp
        try:
            # Not aiosmtplib.send(): it takes no null sender.
            async with aiosmtplib.SMTP(hostname=host, port=port, start_tls=False) as door:
                _, said = await door.sendmail(letter.mail_from, letter.rcpt_to, letter.raw)
        except aiosmtplib.SMTPException as error:
            raise OSError(f"{host}:{port} did not take it: {error}") from error
        return said

    def send(self, letter: Letter) -> None:
        """Deliver a letter in the background; what fails is logged."""
        task = asyncio.get_running_loop().create_task(self._send(letter))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, letter: Letter) -> None:
        try:
            await self.deliver(letter)
        except OSError as error:
            log.warning("a letter from <%s> to <%s> failed: %s", letter.mail_from, letter.rcpt_to, error)

    async def stop_sending(self) -> None:
        """End what is still being sent."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    def reply(self, received: Received, verdict: str, text: str) -> Letter | None:
        """Write what the desk that got this message answers: verdict (one of VERDICTS), then text."""
        words = "\n\n".join(filter(None, (VERDICTS[verdict], text)))
        return answer(received, received.rcpt_tos[0], words, self.clock())


@asynccontextmanager
async def loopback_internet(
    world: World | str = "demo", *, clock: Clock = _utc_now, inbox_port: int = 0
) -> AsyncIterator[Internet]:
    """Run a world (or a shipped one, by name) until the block ends. Raises WorldError, OSError."""
    if isinstance(world, str):
        world = World.load(world)
    places = places_of(world, mail_hosts(world))
    internet = Internet(world, clock)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="loopback-internet-")))
        authority = Authority(folder / "tls")
        certificates = authority.issue("server", [*rdap_hosts(world), *places.mail, "localhost"])
        internet.ca_file = certificates.ca_file
        untrusted = Authority(folder / "untrusted").issue("server", ["untrusted.example", *rdap_hosts(world)])
        stack.push_async_callback(internet.stop_sending)
        streams = Streams()
        stack.push_async_callback(streams.close)
        await _start_dns(internet, places, stack, streams)
        await _start_whois(internet, places, streams)
        await _start_mail(internet, places, stack, streams, (certificates, untrusted))
        odd = _odd_contexts(world, authority, untrusted)
        await _start_web(internet, stack, certificates, odd, inbox_port, folder)
        yield internet


def _odd_contexts(world: World, authority: Authority, untrusted: Certificates) -> dict[str, ssl.SSLContext]:
    """Make the TLS contexts of RDAP servers whose certificates are not as they should be, by host name."""
    issue = {
        "tls-name": lambda: authority.issue("stranger", ["stranger.example"]),
        "tls-expired": lambda: authority.issue("expired", rdap_hosts(world), LONG_OVER),
        "tls-untrusted": lambda: untrusted,
    }
    mine = (server for server in servers_of(world) if server.rdap_way in issue)
    return {server.rdap: issue[server.rdap_way]().server_context() for server in mine}


async def _start_dns(internet: Internet, places: Places, stack: AsyncExitStack, streams: Streams) -> None:
    internet.zones = zone_texts(internet.world, places)
    zones = [zone(origin, text) for origin, text in internet.zones.items()]
    server = Nameserver(internet.world, zones, internet.ask)
    udp, tcp = paired_sockets(LOOPBACK)
    await streams.listen(tcp, partial(serve_tcp, server))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: UDP(server), sock=udp)
    stack.callback(transport.close)
    internet.dns = f"{LOOPBACK}:{udp.getsockname()[1]}"


async def _start_whois(internet: Internet, places: Places, streams: Streams) -> None:
    whois = Whois(internet.world, places, internet.ask)
    sockets = listening_sockets(places.whois.values())
    internet.whois_port = next(iter(sockets.values())).getsockname()[1]
    for host, address in places.whois.items():
        if sock := sockets.pop(address, None):
            await streams.listen(sock, partial(whois.serve, host))


async def _start_mail(
    internet: Internet,
    places: Places,
    stack: AsyncExitStack,
    streams: Streams,
    certificates: tuple[Certificates, Certificates],
) -> None:
    trusted, untrusted = (each.server_context() for each in certificates)
    contexts = {"bad-certificate": untrusted, "no-starttls": None}
    listeners = MailListeners(internet.post)
    stack.push_async_callback(listeners.close)
    sockets = listening_sockets(places.mail.values())
    internet.mx_port = next(iter(sockets.values())).getsockname()[1]
    for host, address in places.mail.items():
        way = internet.world.mail_hosts.get(host, "")
        if sock := sockets.pop(address, None):
            if way == "down":
                sock.close()
            elif way in ("silent", "421"):
                await streams.listen(sock, talk_silent if way == "silent" else talk_421)
            else:
                await listeners.listen(sock, host, contexts.get(way, trusted))


async def _start_web(
    internet: Internet,
    stack: AsyncExitStack,
    certificates: Certificates,
    odd: dict[str, ssl.SSLContext],
    inbox_port: int,
    folder: Path,
) -> None:
    inbox_sock = tcp_socket(LOOPBACK, inbox_port)
    rdap_sock = tcp_socket(LOOPBACK, 0)
    closing = asyncio.Event()
    rdap = Rdap(internet.world, rdap_sock.getsockname()[1], internet.ask, closing, internet.clock)
    inbox = Inbox(lambda: internet.messages, internet.world.is_desk, internet.deliver, internet.reply)
    sites = Site(rdap.app, rdap_sock, certificates, odd), Site(inbox.app, inbox_sock)
    await stack.enter_async_context(web_servers(*sites))
    stack.callback(closing.set)
    internet.rdap_bootstrap = folder / "bootstrap"
    write_bootstrap(internet.world, internet.rdap_bootstrap, rdap.base_of, internet.clock())
    internet.inbox_url = f"http://{LOOPBACK}:{inbox_sock.getsockname()[1]}/"
