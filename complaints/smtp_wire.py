"""The wire of an SMTP session: takes what a connection brings, leaves it to a dialogue, tells what that says.

`Wire` is aiosmtpd's server protocol, whose set-up, transport and STARTTLS it keeps. aiosmtpd 1.4 looks at
itself for every connection, reads through a stream reader, and drops the work at hand with the client.
"""

import asyncio
import logging
from typing import cast

from aiosmtpd.smtp import SMTP

from complaints.smtp_limits import Lobby

# aiosmtpd logs peers and addresses (promise 10). A filter survives a later logging.config; a level would not.
logging.getLogger("mail.log").addFilter(lambda _record: False)

CHUNK = 65_536


class Over(Exception):  # noqa: N818 - the end of a dialogue is no error
    """The dialogue is over; its argument, if any, is the last reply."""


class Wire(SMTP):
    """What one session of a listener has beneath its dialogue, `_handle_client`, which aiosmtpd starts."""

    def __init__(self, lobby: Lobby, hostname: str, loop: asyncio.AbstractEventLoop) -> None:
        # What aiosmtpd finds out about itself and a handler takes long, and is the same for every connection.
        if not lobby.alike:
            lobby.alike = vars(SMTP(None, hostname=hostname, loop=loop))
        vars(self).update(lobby.alike)
        reader = asyncio.StreamReader(loop=loop)
        asyncio.StreamReaderProtocol.__init__(self, reader, self._cb_client_connected, loop=loop)
        self.idle = False
        """Whether it waits for a command, so that nothing is lost by cutting it."""
        self.prefix = b""
        self._lobby = lobby
        self._inside = False
        self._in = bytearray()
        self._fresh = 0
        """Octets of `_in` that came since somebody listened."""
        self._ear: asyncio.Future[None] | None = None
        """Waits for more of it, or for its end."""
        self._ended = False
        self._deaf = False
        """Whether reading is paused."""
        self._out: list[str] = []
        self._held = 0
        self._deadline = 0.0

    def data_received(self, data: bytes) -> None:
        """Take what came, and no more than a chunk that nobody listens to."""
        self._in += data
        self._fresh += len(data)
        if self._ear is not None:
            self._wake()
        elif self._fresh > CHUNK and not self._deaf:
            self._deaf = True
            cast("asyncio.Transport", self.transport).pause_reading()

    def eof_received(self) -> bool | None:
        """Still answer whoever closed its half of the connection; aiosmtpd would drop the work at hand."""
        self._ended = True
        self._wake()
        return asyncio.StreamReaderProtocol.eof_received(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Let the dialogue end by itself: aiosmtpd would cancel it, and with it the keeping of a mail."""
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self.transport = None
        self._leave()
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        ear, self._ear = self._ear, None
        if ear is not None and not ear.done():  # the process ends, where it is cancelled
            ear.set_result(None)

    def _reset_timeout(self, duration: float | None = None) -> None:
        self._deadline = self.loop.time() + (duration or self._lobby.idle_seconds())
        if self.transport is None:  # it comes, or is gone
            return
        if self._timeout_handle is None or self._timeout_handle.when() > self._deadline:
            self._set_timer()

    def _set_timer(self) -> None:
        """One timer per connection, set anew when it fires early: putting a deadline off costs nothing."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._timeout_handle = self.loop.call_at(self._deadline, self._timeout_cb)

    def _timeout_cb(self) -> None:
        if self.loop.time() < self._deadline:
            self._set_timer()
        else:
            self._lobby.counts["timeouts"] += 1
            self.dismiss("421 4.4.2 Too slow; closing the connection")

    def _leave(self) -> None:
        if self._inside:
            self._inside = False
            self._hold(0)
            self._lobby.leave(self)

    def _hold(self, octets: int) -> None:
        """Tell the lobby how much mail data this session has in memory."""
        self._lobby.held += octets - self._held
        self._held = octets

    def dismiss(self, reply: str) -> None:
        """End the session from outside its dialogue."""
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size():
            transport.abort()  # it does not even read what it was told before
        else:
            transport.write(f"{reply}\r\n".encode())
            transport.close()

    async def _receive(self) -> int:
        """Wait for more input and tell how much came.

        Replies to pipelined commands go out together (RFC 2920 §3.2).
        """
        self._fresh = 0  # whoever asks for more has looked at all that is there
        await self._flush()
        if self._deaf:
            self._deaf = False
            cast("asyncio.Transport", self.transport).resume_reading()
        if not self._fresh and not self._ended:
            self._ear = self.loop.create_future()
            await self._ear
        if not self._fresh:
            raise Over
        return self._fresh

    def _say(self, *replies: str) -> None:
        self._out += replies

    async def _flush(self) -> None:
        if self.transport is None:
            raise Over
        if self._out:
            self._writer.write(("\r\n".join(self._out) + "\r\n").encode("ascii", "replace"))
            self._out.clear()
            if self._paused:  # type: ignore[attr-defined] # of the protocol that StreamWriter.drain asks
                await self._writer.drain()
