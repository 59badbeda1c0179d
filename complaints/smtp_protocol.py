"""SMTP as the open internet speaks it to us: takes a connection, asks a handler, leaves replies (RFC 5321).

LMTP as a mail server of the operator's own speaks it is the same with another greeting (RFC 2033).

`Door` is the dialogue of aiosmtpd's server protocol (`smtp_wire.py`). That of aiosmtpd 1.4 reads DATA line by
line, parses addresses with a general parser, takes a bare LF for the end of a command and refuses lines over
1,000 octets, which real spam has. Here only CRLF ends a command and only CRLF.CRLF a message; a bare CR or LF
is content (RFC 5321 §2.3.8). Nothing is written down of who came and what was said.
"""

import asyncio
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from complaints.smtp_limits import IPNetwork, Lobby, lies_in
from complaints.smtp_proxy import read_proxy
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


@dataclass(slots=True)
class Mail:
    """One mail transaction, from MAIL to the answer after the dot."""

    sender: str
    """The reverse-path, "" for `<>`."""
    utf8: bool = False
    recipients: dict[str, object] = field(default_factory=dict)
    """What the handler made of each forward-path."""
    taken: int = 0
    """RCPT commands that were answered 2xx, doubled ones too."""

    def count(self, reply: str) -> str:
        """Count a RCPT command by its reply."""
        self.taken += reply[:1] == "2"
        return reply


class Handler(Protocol):
    """Whom a door asks. Both answer with one SMTP reply line and raise nothing."""

    def rcpt(self, mail: Mail, address: str) -> str | Awaitable[str]:
        """Take a recipient (2xx, and put it into `mail.recipients`) or refuse it; at once if it can."""

    async def data(self, mail: Mail, raw: bytes) -> str:
        """Take the content of a mail. A 250 promises that it is kept."""


class Door(Wire):
    """One SMTP session. Answers hostile input with 5xx, too much of anything with 4xx, and raises nothing.

    `handler` is asked at RCPT and after the dot, `lobby` about limits.
    """

    __slots__ = (
        "_encrypted",
        "_ends",
        "_entrance",
        "_greeted",
        "_handler",
        "_mail",
        "_max_bytes",
        "_most",
        "_patience",
        "_refusal",
        "_seen",
        "_stuffed",
    )

    def __init__(
        self,
        handler: Handler,
        lobby: Lobby,
        entrance: Entrance,
        *,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(lobby, loop, Door._arrive)
        self._handler = handler
        self._entrance = entrance
        self._max_bytes = entrance.max_bytes
        self._most = self._max_bytes + self._max_bytes // 3 + len(END)  # dot-stuffing adds at most a third
        self._patience = lobby.limits.patience
        self._ends = 0.0
        self._encrypted = False
        self._greeted = False
        self._mail: Mail | None = None
        self._seen = 0
        """Octets in which no end was found."""
        self._stuffed = False
        self._refusal = ""
        """Of a mail that is thrown away."""

    def _arrive(self) -> bool:
        """Find out who is at the other end, through a proxy of ours if there is one, and greet."""
        peer: object = self.session.peer if self.session else None
        if lies_in(peer, self._entrance.proxies):
            header = read_proxy(self._in)
            if header is None:
                return False
            del self._in[: header.octets]
            peer = (header.client, 0)
        self.prefix = self._lobby.prefix(peer)
        self._enter()
        self._ends = self.heard + self._lobby.limits.session_seconds
        self._say(f"220 {self._entrance.hostname} {'LMTP' if self._entrance.lmtp else 'ESMTP'} Plaint")
        self._reads = Door._command
        return bool(self._in)

    @property
    def idle(self) -> bool:  # type: ignore[override]
        """Whether it waits for a command, so that nothing is lost by cutting it."""
        return self._work is None and self._reads is Door._command

    def _command(self) -> bool:
        """Read the next command, without its CRLF, and obey it."""
        came = self._in
        end = came.find(b"\r\n", self._seen)
        if end < 0:
            if len(came) > CHUNK:
                raise Over("500 5.5.2 No end of the command in sight; closing the connection")
            self._seen = max(0, len(came) - 1)
            return False
        line, more = bytes(came[:end]), len(came) > end + 2
        del came[: end + 2]
        self._seen = 0
        self.heard = self._lobby.clock()
        word, _, rest = line.partition(b" ")
        verb, argument = word.upper(), rest.decode("utf-8", "surrogateescape")
        problem = command_problem(line, verb, argument, self._greeted, self._entrance.lmtp)
        if problem and verb in FAREWELLS:
            raise Over(FAREWELLS[verb])
        answer = problem or self._answer(verb, argument.strip())
        if isinstance(answer, str):
            self._answered(verb, answer)
            return more
        return self.work(self._answer_later(verb, answer))

    async def _answer_later(self, verb: bytes, answer: Awaitable[str]) -> None:
        self._answered(verb, await answer)
        self._say_goodbye()

    def _answered(self, verb: bytes, reply: str) -> None:
        """Say it, and how much more of such is borne. Raises `Over`."""
        self._out += f"{reply}\r\n" if reply else ""
        if verb not in MOVES_MAIL or reply[:1] > "3":
            self._bear(reply)
        if self.heard > self._ends:
            raise Over("421 4.4.2 This has lasted long enough; connect again")

    def _bear(self, reply: str) -> None:
        if reply[:1] == "5":
            self._lobby.counts["refused"] += 1
            self._patience -= 10
        else:
            self._patience -= 1
        if self._patience <= 0:
            raise Over("421 4.7.0 Too many errors or idle commands; closing the connection")

    def _say_goodbye(self) -> None:
        """Raise `Over` where the lobby closed meanwhile; who waited for a command then was sent away."""
        if self._lobby.closing:
            raise Over(self._lobby.closing)

    def _answer(self, verb: bytes, argument: str) -> str | Awaitable[str]:  # noqa: C901, PLR0911 - all commands
        match verb:
            case b"MAIL":
                return self._mail_from(argument)
            case b"RCPT":
                return self._rcpt_to(argument)
            case b"DATA":
                return self._data()
            case b"EHLO" | b"HELO" | b"LHLO":
                return self._hello(verb.decode(), argument)
            case b"QUIT":
                raise Over("221 2.0.0 Bye")
            case b"RSET":
                self._mail = None
                return "250 2.0.0 OK"
            case b"NOOP":
                return "250 2.0.0 OK"
            case b"VRFY" | b"EXPN":  # RFC 5321 §7.3: 252 neither confirms nor denies
                return "252 2.5.2 Addresses are not verified here; send the mail and see"
            case b"STARTTLS":
                if self._entrance.tls is None or self._encrypted:
                    return "502 5.5.1 TLS is not offered, or is in use already"
                return self._start_tls(self._entrance.tls)
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
            return f"250 {self._entrance.hostname}"
        offers = [self._entrance.hostname, f"SIZE {self._max_bytes}", "8BITMIME", "SMTPUTF8", "PIPELINING"]
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

    def _rcpt_to(self, argument: str) -> str | Awaitable[str]:
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
        reply = address_problem(address, utf8=mail.utf8, code=553) or self._handler.rcpt(mail, address)
        return mail.count(reply) if isinstance(reply, str) else self._looked_up(mail, reply)

    async def _looked_up(self, mail: Mail, reply: Awaitable[str]) -> str:
        return mail.count(await reply)

    def _data(self) -> str:
        """RFC 5321 §4.1.1.4."""
        if self._mail is None or not self._mail.recipients:
            return "503 5.5.1 No recipient was taken; send RCPT first"
        self._reads = Door._content
        self._in[:0] = b"\r\n"  # the CRLF of the DATA command, after which the dot may come at once
        self._stuffed, self._refusal = False, ""
        self.until = self.heard + self._lobby.limits.data_seconds
        return "354 Go on; end with <CR><LF>.<CR><LF>"

    def _content(self) -> bool:
        """Read the mail, and have it kept; where it is too much, to its end all the same."""
        came = self._in
        end = came.find(b"\r\n.", self._seen)
        if end >= 0 and not came.startswith(END, end):
            self._stuffed = True  # or only a line that should have been
            end = came.find(END, end)
        if end < 0:
            self._more_to_come()
            return False
        raw = bytes(memoryview(came)[2 : end + 2])
        del came[: end + len(END)]
        if self._stuffed:  # RFC 5321 §4.5.2
            raw = raw.removeprefix(b".").replace(b"\r\n.", b"\r\n")
        self._reads, self._seen, self.until = Door._command, 0, inf
        self.heard = self._lobby.clock()
        return self.work(self._keep(raw))

    def _more_to_come(self) -> None:
        """Count what came of a mail, and throw it away where it is too much."""
        self.heard = self._lobby.clock()
        self.until += (len(self._in) - self._held) / self._lobby.limits.slowest
        self._hold(len(self._in))
        if len(self._in) > self._most:
            self._refusal = too_big(self._max_bytes)
        elif self._lobby.overloaded():
            self._refusal = self._refusal or "452 4.3.1 Too much mail at once; try again later"
        if self._refusal:
            del self._in[: -len(END)]
            self._hold(len(self._in))
        self._seen = max(0, len(self._in) - len(END) + 1)

    async def _keep(self, raw: bytes) -> None:
        mail, self._mail = self._mail, None
        assert mail is not None
        if len(raw) > self._max_bytes:
            self._refusal = self._refusal or too_big(self._max_bytes)
        reply = self._refusal or await self._handler.data(mail, raw)
        self._hold(0)
        if reply[:1] == "2":
            self._lobby.counts["messages"] += 1
            self._patience = self._lobby.limits.patience
        # RFC 2033 §4.2: one reply for each recipient that was taken. It is kept for all of them or for none.
        self._answered(b"DATA", "\r\n".join([reply] * mail.taken) if self._entrance.lmtp else reply)
        self._say_goodbye()

    async def _start_tls(self, context: ssl.SSLContext) -> str:
        """RFC 3207 §4.2: what either side said in clear text, before or after the command, is forgotten."""
        self._say("220 2.0.0 Go on")
        self._flush()
        await self._writer.drain()  # clear text may come until that is over
        self._in.clear()  # from here on it stops reading clear text before it waits for anything
        self._deaf = True  # so that the old transport is not paused while the new one comes
        await self.shake_hands(context)
        self._encrypted, self._greeted, self._mail = True, False, None
        return ""
