"""Mail comes in: takes SMTP sessions, asks who a recipient is, leaves each mail with whoever keeps it.

Every 250 after the dot comes after `accept` has returned, that is after a durable commit (promise 3); every
other end is a 4xx or 5xx with a sentence (promise 12). No database here, and no word in the log of who
wrote to whom.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from complaints.logs import place_of
from complaints.smtp_limits import Limits, Lobby
from complaints.smtp_protocol import Door, Entrance, Mail

log = logging.getLogger(__name__)
R = TypeVar("R")
HostPort = tuple[str, int]

_UNPRINTABLE = re.compile(r"[^ -~]")
_OK = "250 2.1.5 OK"
_TRY_AGAIN = "451 4.3.0 This mail cannot be kept right now; try again later"
_TOO_MUCH = "452 4.3.1 Too much mail waits to be written down; try again later"
_UNKNOWN = "550 5.1.1 No such address here; send to the address that you were given when you registered"


class Refuse(Exception):  # noqa: N818 - reads as what it does
    """Raised by `known` or `accept` to answer with this reply, e.g. `Refuse(452, "4.2.2", "Over the limit")`.

    `text` is one sentence that says what was wrong and what to do; it may be shown to anyone.
    """

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        """Keep the reply as one printable line."""
        self.reply = _UNPRINTABLE.sub("?", f"{code} {enhanced} {text}")[:500]
        super().__init__(self.reply)


class Intake(Generic[R]):
    """Answers the doors of a listener.

    `known(address)` gives what is known as a recipient, or None for 550 5.1.1. It is asked for every address
    as written, also `postmaster` without a domain (RFC 5321 §4.5.1), unless `lately(address)`, which raises
    nothing, has a recipient at once. `accept(recipients, mail_from, raw)` keeps a mail durably before it
    returns: `mail_from` is "" for the null sender, `raw` exactly what came between DATA and the dot. `known`
    and `accept` may raise `Refuse`; any other exception becomes a 451, logged without its text. An `accept`
    that has begun is never cancelled, and has no task of its own (`smtp_wire.Wire`).
    """

    def __init__(
        self,
        *,
        known: Callable[[str], Awaitable[R | None]],
        accept: Callable[[list[R], str, bytes], Awaitable[None]],
        lately: Callable[[str], R | None] = lambda _: None,
        limits: Limits | None = None,
    ) -> None:
        self._lately = lately
        self._known = known
        self._accept = accept
        self._limits = limits or Limits()
        self._waiting = 0
        self._keeping = 0
        self.at_rest = asyncio.Event()
        """Set while `accept` has no mail."""
        self.at_rest.set()

    def rcpt(self, mail: Mail, address: str) -> str | Awaitable[str]:
        """Answer RCPT (RFC 5321 §4.1.1.3)."""
        if address in mail.recipients:
            return _OK
        recipient = self._lately(address)
        if recipient is None:
            return self._ask(mail, address)
        mail.recipients[address] = recipient
        return _OK

    async def _ask(self, mail: Mail, address: str) -> str:
        try:
            recipient = await asyncio.create_task(self._in_time(address))
        except Refuse as refusal:
            return refusal.reply
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is to try again
            log.error("a recipient could not be looked up: %s", place_of(error))  # noqa: TRY400 - see place_of
            return _TRY_AGAIN
        if recipient is None:
            return _UNKNOWN
        mail.recipients[address] = recipient
        return _OK

    async def _in_time(self, address: str) -> R | None:
        async with asyncio.timeout(self._limits.answer_seconds):
            return await self._known(address)

    async def data(self, mail: Mail, raw: bytes) -> str:
        """Answer the final dot, once the mail is kept (RFC 5321 §4.1.1.4)."""
        if 0 < self._limits.held_bytes < self._waiting:  # a database that hangs, and clients that come again
            return _TOO_MUCH
        recipients: list[Any] = list(mail.recipients.values())
        self._waiting += len(raw)
        self._keeping += 1
        if self._keeping == 1:
            self.at_rest.clear()
        try:
            await self._accept(recipients, mail.sender, raw)
        except Refuse as refusal:
            return refusal.reply
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is to try again
            log.error("a mail could not be kept: %s", place_of(error))  # noqa: TRY400 - see place_of
            return _TRY_AGAIN
        finally:
            self._waiting -= len(raw)
            self._keeping -= 1
            if not self._keeping:
                self.at_rest.set()
        return "250 2.0.0 Kept; thank you"


class SmtpServer:
    """A listener and its sessions. `close` and `wait_closed` are used as with `asyncio.Server`."""

    def __init__(
        self, server: asyncio.Server, lobby: Lobby, at_rest: asyncio.Event, path: Path | None = None
    ) -> None:
        self._server = server
        self._at_rest = at_rest
        self._path = path
        self.lobby = lobby

    @property
    def port(self) -> int:
        """The port it listens on, also when 0 was asked for."""
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Take no more connections; say 421 to those that wait for a command."""
        self._server.close()
        self.lobby.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def wait_closed(self, seconds: float = 30.0) -> None:
        """Let mails under way finish for so many seconds, then cut the rest.

        What `accept` has by then may finish as many seconds longer. Nobody was told 250 for what does not.
        """
        await _within(seconds, self.lobby.empty)
        self.lobby.cut()
        await _within(1.0, self.lobby.empty)
        await _within(seconds, self._at_rest)


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def serve_smtp(
    where: HostPort | Path, entrance: Entrance, *, intake: Intake[R], limits: Limits | None = None
) -> SmtpServer:
    """Listen for SMTP, or LMTP, at a host and port (0: any free one) or at a socket in the file system.

    Whoever may enter its folder may speak to that socket; an old one of this name is replaced. Raises OSError
    when the place cannot be had.
    """
    loop = asyncio.get_running_loop()
    lobby = Lobby(limits or Limits(), loop.time)

    def door() -> Door:
        return Door(intake, lobby, entrance, loop=loop)

    if isinstance(where, Path):
        server = await loop.create_unix_server(door, where, backlog=1024)
        await asyncio.to_thread(where.chmod, 0o666)
        return SmtpServer(server, lobby, intake.at_rest, where)
    server = await loop.create_server(door, *where, backlog=1024)
    return SmtpServer(server, lobby, intake.at_rest)
