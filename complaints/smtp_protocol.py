"""SMTP as the open internet speaks it to us: takes a connection, asks a handler, leaves replies (RFC 5321).

LMTP as a mail server of the operator's own speaks it is the same with another greeting (RFC 2033).

`Door` is the dialogue of aiosmtpd's server protocol (`smtp_wire.py`). That of aiosmtpd 1.4 reads DATA line by
line, parses addresses with a general parser, takes a bare LF for the end of a command and refuses lines over
1,000 octets, which real spam has. Here only CRLF ends a command and only CRLF.CRLF a message; a bare CR or LF
is content (RFC 5321 §2.3.8). Nothing is written down of who came and what was said.
"""

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from complaints.logs import place_of
from complaints.smtp_limits import IPNetwork, Lobby, lies_in
from complaints.smtp_proxy import ProxyError, read_proxy
from complaints.smtp_syntax import (
    FAREWELLS,
    MOVES_MAIL,
    address_problem,
    command_problem,
    mail_problem,
    parse_path,
    too_big,
)
from complaints.smtp_wire import CHUNK, Over, Wire

log = logging.getLogger(__name__)
END = b"\r\n.\r\n"


@dataclass(frozen=True)
class Entrance:
    """What a listener is."""

    hostname: str
    """The name it greets with."""
    max_bytes: int
    """Octets of the largest message."""
    tls: ssl.SSLContext | None = None
    """Offers STARTTLS."""
    lmtp: bool = False
    proxies: tuple[IPNetwork, ...] = ()
    """Peers that begin with a header of the PROXY protocol, every time; it is believed of nobody else."""


@dataclass
class Mail:
    """One mail transaction, from MAIL to the answer after the dot."""

    sender: str
    """The reverse-path, "" for `<>`."""
    utf8: bool = False
    recipients: dict[str, object] = field(default_factory=dict)
    """What the handler made of each forward-path."""
    taken: int = 0
    """RCPT commands that were answered 2xx, doubled ones too."""


class Handler(Protocol):
    """Whom a door asks. Both answer with one SMTP reply line and raise nothing."""

    async def rcpt(self, mail: Mail, address: str) -> str:
        """Take a recipient (2xx, and put it into `mail.recipients`) or refuse it."""

    async def data(self, mail: Mail, raw: bytes) -> str:
        """Take the content of a mail. A 250 promises that it is kept."""


class Door(Wire):
    """One SMTP session. Answers hostile input with 5xx, too much of anything with 4xx, and raises nothing.

    `handler` is asked at RCPT and after the dot, `lobby` about limits.
    """

    _encrypted = False
    _greeted = False
    _mail: Mail | None = None
    _stuffed = False
    _ends = 0.0

    def __init__(
        self,
        handler: Handler,
        lobby: Lobby,
        entrance: Entrance,
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(lobby, entrance.hostname, loop)
        self._handler = handler
        self._entrance = entrance
        self._max_bytes = entrance.max_bytes
        self._patience = lobby.limits.patience

    async def _handle_client(self) -> None:
        try:
            self.prefix = self._lobby.prefix(await self._peer())
            if refusal := self._lobby.enter(self):
                self.dismiss(refusal)
                return
            self._inside = True
            await self._converse()
        except (ConnectionError, ssl.SSLError, ProxyError):
            self._lobby.counts["broken"] += 1
        except Over:  # before it began, or nobody is there any more
            pass
        except Exception as error:  # noqa: BLE001 - asyncio would write the error down as it is, with what was said
            log.error("an SMTP session failed: %s", place_of(error))  # noqa: TRY400 - ditto
        finally:
            self._leave()
            if self.transport is not None:
                self.transport.close()

    async def _peer(self) -> object:
        """Who is at the other end, through a proxy of ours if there is one. Raises ProxyError."""
        peer = self.session.peer
        if not lies_in(peer, self._entrance.proxies):
            return peer
        while (header := read_proxy(self._in)) is None:
            await self._receive()
        del self._in[: header.octets]
        return (header.client, 0)

    async def _converse(self) -> None:
        self._say(f"220 {self.hostname} {'LMTP' if self._entrance.lmtp else 'ESMTP'} Plaint")
        self._ends = self.heard + self._lobby.limits.session_seconds
        try:
            while not self._lobby.closing and self.transport is not None:
                await self._obey(await self._command())
            self._say(self._lobby.closing)
        except Over as over:
            self._say("".join(over.args))
        await self._flush()

    async def _command(self) -> bytes:
        """Read the next command; its CRLF is not part of it."""
        start = 0
        while (end := self._in.find(b"\r\n", start)) < 0:
            if len(self._in) > CHUNK:
                raise Over("500 5.5.2 No end of the command in sight; closing the connection")
            start = max(0, len(self._in) - 1)
            self.idle = True
            await self._receive()
            self.idle = False
        line = bytes(self._in[:end])
        del self._in[: end + 2]
        return line

    async def _obey(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        verb = word.upper().decode("latin-1")
        if verb in FAREWELLS:
            raise Over(FAREWELLS[verb])
        self._reset_timeout()
        reply = command_problem(line, verb, rest, greeted=self._greeted, lmtp=self._entrance.lmtp)
        reply = reply or await self._answer(verb, rest.decode("utf-8", "surrogateescape").strip())
        self._say(reply)
        if reply.startswith("5"):
            self._lobby.counts["refused"] += 1
            self._patience -= 10
        elif verb not in MOVES_MAIL or reply.startswith("4"):
            self._patience -= 1
        if self._patience <= 0:
            raise Over("421 4.7.0 Too many errors or idle commands; closing the connection")
        if self.heard > self._ends:
            raise Over("421 4.4.2 This has lasted long enough; connect again")

    async def _answer(self, verb: str, argument: str) -> str:  # noqa: PLR0911 - one line per command
        match verb:
            case "MAIL":
                return self._mail_from(argument)
            case "RCPT":
                return await self._rcpt_to(argument)
            case "DATA":
                return await self._data()
            case "EHLO" | "HELO" | "LHLO":
                return self._hello(verb, argument)
            case "RSET":
                self._mail = None
                return "250 2.0.0 OK"
            case "NOOP":
                return "250 2.0.0 OK"
            case "VRFY" | "EXPN":  # RFC 5321 §7.3: 252 neither confirms nor denies
                return "252 2.5.2 Addresses are not verified here; send the mail and see"
            case "STARTTLS":
                return await self._start_tls()
            case "QUIT":
                raise Over("221 2.0.0 Bye")
            case _:
                return "214 2.0.0 Forward spam to the address you were given when you registered"

    # Commands

    def _hello(self, verb: str, name: str) -> str:
        """RFC 5321 §4.1.1.1; the name is not used for anything."""
        if not name:
            return f"501 5.5.4 Syntax: {verb} your-host-name"
        self._greeted = True
        self._mail = None
        if verb == "HELO":
            return f"250 {self.hostname}"
        offers = [self.hostname, f"SIZE {self._max_bytes}", "8BITMIME", "SMTPUTF8", "PIPELINING"]
        if self._entrance.tls and not self._encrypted:
            offers.append("STARTTLS")
        return "".join(f"250-{offer}\r\n" for offer in offers) + "250 ENHANCEDSTATUSCODES"

    def _mail_from(self, argument: str) -> str:
        """RFC 5321 §4.1.1.2."""
        if self._mail is not None:
            return "503 5.5.1 A mail is under way; send RSET to drop it"
        path = parse_path(argument, "FROM:")
        if path is None:
            return "501 5.5.4 Syntax: MAIL FROM:<address>"
        address, parameters = path
        utf8 = "SMTPUTF8" in parameters
        problem = mail_problem(parameters, self._max_bytes) if parameters else ""
        if problem := problem or address_problem(address, utf8=utf8, code=550):
            return problem
        self._mail = Mail(address, utf8)
        return "250 2.1.0 OK"

    async def _rcpt_to(self, argument: str) -> str:
        """RFC 5321 §4.1.1.3."""
        mail = self._mail
        if mail is None:
            return "503 5.5.1 Send MAIL first"
        address, parameters = parse_path(argument, "TO:") or ("", {})
        if not address:
            return "501 5.5.4 Syntax: RCPT TO:<address>"
        if parameters:
            return "555 5.5.4 RCPT parameters are not known here"
        most = self._lobby.limits.recipients
        if most and mail.taken >= most:
            return f"452 4.5.3 {most} recipients are taken at most; send the rest in another mail"
        if not self._lobby.may_ask(self):
            return "450 4.7.1 Too many recipients from your network in this minute; try again later"
        problem = address_problem(address, utf8=mail.utf8, code=553)
        reply = problem or await self._handler.rcpt(mail, address)
        mail.taken += reply.startswith("2")
        return reply

    async def _data(self) -> str:
        """RFC 5321 §4.1.1.4."""
        mail = self._mail
        if mail is None or not mail.recipients:
            return "503 5.5.1 No recipient was taken; send RCPT first"
        self._say("354 Go on; end with <CR><LF>.<CR><LF>")
        content = await self._content()
        self._mail = None
        reply = content if isinstance(content, str) else await self._handler.data(mail, content)
        self._hold(0)
        if reply.startswith("2"):
            self._lobby.counts["messages"] += 1
            self._patience = self._lobby.limits.patience
        # RFC 2033 §4.2: one reply for each recipient that was taken. It is kept for all of them or for none.
        return "\r\n".join([reply] * mail.taken) if self._entrance.lmtp else reply

    async def _content(self) -> bytes | str:
        """Read the message; the refusal to give where it was read to its end and thrown away."""
        limits = self._lobby.limits
        self.until = self.heard + limits.data_seconds
        most = self._max_bytes + self._max_bytes // 3 + len(END)  # dot-stuffing adds at most a third
        refusal = ""
        start = 0
        self._in[:0] = b"\r\n"  # the CRLF of the DATA command, after which the dot may come at once
        self._stuffed = False
        while (end := self._end(start)) < 0:
            self._hold(len(self._in))
            if len(self._in) > most:
                refusal = too_big(self._max_bytes)
            elif self._lobby.overloaded():
                refusal = refusal or "452 4.3.1 Too much mail at once; try again later"
            if refusal:
                del self._in[: -len(END)]
                self._hold(len(self._in))
            start = max(0, len(self._in) - len(END) + 1)
            self.until += await self._receive() / limits.slowest
            self.heard = self._lobby.clock()
        self.until = inf
        raw = bytes(memoryview(self._in)[2 : end + 2])
        del self._in[: end + len(END)]
        if self._stuffed:  # RFC 5321 §4.5.2
            raw = raw.removeprefix(b".").replace(b"\r\n.", b"\r\n")
        return refusal or (raw if len(raw) <= self._max_bytes else too_big(self._max_bytes))

    def _end(self, start: int) -> int:
        """Where the message ends, or -1; on the way to it, note whether any line begins with a dot."""
        dot = self._in.find(END[:3], start)
        if dot < 0 or self._in.startswith(END, dot):
            return dot
        self._stuffed = True
        return self._in.find(END, dot)

    async def _start_tls(self) -> str:
        """RFC 3207 §4.2: what either side said in clear text, before or after the command, is forgotten."""
        if self._entrance.tls is None or self._encrypted:
            return "502 5.5.1 TLS is not offered, or is in use already"
        self._say("220 2.0.0 Go on")
        await self._flush()
        self._in.clear()  # after a flush, start_tls stops reading clear text before it waits for anything
        self._fresh, self._deaf = 0, True  # so that the old transport is not paused while the new one comes
        await self._writer.start_tls(self._entrance.tls)
        self.transport = self._writer.transport
        self._encrypted, self._greeted, self._mail = True, False, None
        return ""
