"""The mail hosts of a world: takes mail over SMTP for all its domains, keeps it, misbehaves on request.

A mailbox misbehaves by its local part (tempfail@, permfail@, slow@, bounce@, autoreply@, answer@, drop@,
norcpt@, greylist@ at any domain of the world, also with +tag), or because the world's [mailboxes] say so.
When one of several recipients refuses the message, all of it is refused: DATA has one reply (RFC 5321 §3.3).
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from .letters import VERDICTS, Letter, Received, answer, automatic_reply, bounce
from .questions import Ask
from .tables import MAILBOX_WAYS
from .world import World

LARGEST_MESSAGE = 64 * 2**20
MOST_MESSAGES = 5000
MOST_BYTES = 512 * 2**20
# Real spam has lines of megabytes; aiosmtpd's limit of 1001 would refuse the reports that quote it.
LONGEST_LINE = 16 * 2**20
REFUSALS = {
    "tempfail": "451 4.3.0 temporary failure, try again later",
    "permfail": "550 5.7.1 message refused",
}


class Post:
    """The post office of a world: who may be written to, what has come, and how the mailboxes react."""

    def __init__(
        self, world: World, clock: Callable[[], datetime], ask: Ask, send: Callable[[Letter], None]
    ) -> None:
        self._world = world
        self._clock = clock
        self._ask = ask
        self._send = send
        self._greeted: set[tuple[str, str]] = set()
        self._count = 0
        self._size = 0
        self.messages: list[Received] = []
        self.arrival = asyncio.Condition()

    def way_of(self, mailbox: str) -> str:
        """Return how this mailbox misbehaves, "" when it does not."""
        local = mailbox.lower().rpartition("@")[0].partition("+")[0]
        return self._world.mailboxes.get(mailbox.lower()) or (local if local in MAILBOX_WAYS else "")

    def refusal(self, host: str, mail_from: str, mailbox: str) -> str:
        """Return the reply to RCPT that refuses this mailbox, "" when it is welcome."""
        self._ask("smtp", host, mailbox)
        way = self.way_of(mailbox)
        if not self._world.takes_mail_for(mailbox.rpartition("@")[2]):
            return f"550 5.7.1 <{mailbox}>: relaying denied"
        if way == "norcpt":
            return f"550 5.1.1 <{mailbox}>: user unknown"
        if way == "greylist" and (mail_from, mailbox) not in self._greeted:
            self._greeted.add((mail_from, mailbox))
            return f"451 4.7.1 <{mailbox}>: greylisted, try again later"
        return ""

    async def take(self, host: str, session: Session, envelope: Envelope) -> str:
        """Keep a message and return the reply to its final dot; "" = none, the connection is to be cut."""
        ways = {mailbox: self.way_of(mailbox) for mailbox in envelope.rcpt_tos}
        for way in ways.values():
            if way in REFUSALS:
                return REFUSALS[way]
        self._count += 1
        received = Received(
            number=self._count,
            # aiosmtpd leaves the null sender in its brackets.
            mail_from=(envelope.mail_from or "").removeprefix("<>"),
            rcpt_tos=tuple(envelope.rcpt_tos),
            raw=envelope.original_content or b"",
            at=self._clock(),
            tls=session.ssl is not None,
            helo=session.host_name or "",
            host=host,
            answer="" if "drop" in ways.values() else f"250 2.0.0 kept as {self._count}",
        )
        await self._keep(received)
        if "slow" in ways.values():
            await asyncio.sleep(self._world.constants.slow_seconds)
        for mailbox, way in ways.items():
            if letter := self._reaction(received, mailbox, way):
                self._send(letter)
        return received.answer

    async def _keep(self, received: Received) -> None:
        self.messages.append(received)
        self._size += len(received.raw)
        while len(self.messages) > MOST_MESSAGES or self._size > MOST_BYTES:
            self._size -= len(self.messages.pop(0).raw)
        async with self.arrival:
            self.arrival.notify_all()

    def _reaction(self, received: Received, mailbox: str, way: str) -> Letter | None:
        now = self._clock()
        if way == "bounce":
            return bounce(received, mailbox, now)
        if way == "autoreply":
            return automatic_reply(received, mailbox, now)
        return answer(received, mailbox, VERDICTS["resolved"], now) if way == "answer" else None


class _Hooks:
    """What aiosmtpd calls."""

    def __init__(self, post: Post, host: str) -> None:
        self._post = post
        self._host = host

    async def handle_RCPT(  # noqa: N802 - the name aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, rcpt_options: list[Any]
    ) -> str:
        refusal = self._post.refusal(self._host, envelope.mail_from or "", address)
        if not refusal:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(rcpt_options)
        return refusal or "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - the name aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        reply = await self._post.take(self._host, session, envelope)
        if not reply:
            cast("asyncio.Transport", server.transport).abort()
            await asyncio.Event().wait()  # until aiosmtpd notices and cancels this
        return reply


class MailHost(SMTP):
    """One connection to one mail host, which knows its name by the address it was called on."""

    line_length_limit = LONGEST_LINE

    def __init__(self, post: Post, host: str, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            _Hooks(post, host),
            hostname=host,
            ident="ESMTP loopback",
            enable_SMTPUTF8=True,
            data_size_limit=LARGEST_MESSAGE,
            tls_context=tls,
        )

    @property
    def ended(self) -> bool:
        """Whether the connection is over."""
        return self._handler_coroutine is not None and self._handler_coroutine.done()

    async def end(self) -> None:
        """Cut the connection and wait until its task is gone."""
        if self.transport is not None:
            cast("asyncio.Transport", self.transport).abort()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
            await asyncio.gather(self._handler_coroutine, return_exceptions=True)


class MailListeners:
    """The listening sockets of the mail hosts and the connections to them; `close` leaves none."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._servers: list[asyncio.Server] = []
        self._connections: list[MailHost] = []

    async def listen(self, sock: socket.socket, host: str, tls: ssl.SSLContext | None) -> None:
        """Take mail on the socket as the mail host of this name, with STARTTLS if there is a context."""

        def connection() -> MailHost:
            made = MailHost(self._post, host, tls)
            self._connections = [c for c in self._connections if not c.ended] + [made]
            return made

        self._servers.append(await asyncio.get_running_loop().create_server(connection, sock=sock))

    async def close(self) -> None:
        """Stop listening and cut the connections that are open."""
        for server in self._servers:
            server.close()
        await asyncio.gather(*(connection.end() for connection in self._connections))
        for server in self._servers:
            await server.wait_closed()


async def talk_silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Be a mail host that accepts connections and never says a word."""
    await asyncio.Event().wait()


async def talk_421(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a mail host that is closed (RFC 5321 §3.8)."""
    writer.write(b"421 4.3.2 service not available, closing\r\n")
    await writer.drain()
