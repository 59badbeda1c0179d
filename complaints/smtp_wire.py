"""The wire of an SMTP session: takes what a connection brings, leaves it to a dialogue, tells what that says.

`Wire` is aiosmtpd's server protocol, whose set-up, transport and STARTTLS it keeps. aiosmtpd 1.4 looks at
itself for every connection, reads through a stream reader, runs a task for every session, and drops the work
at hand with the client.
"""

import asyncio
import logging
import types
from collections.abc import Coroutine, Generator
from math import inf
from typing import Any

from aiosmtpd.smtp import SMTP

from complaints.smtp_limits import Lobby

# aiosmtpd logs peers and addresses (promise 10). A filter survives a later logging.config, which may enable it.
_LOG = logging.getLogger("mail.log")
_LOG.addFilter(lambda _record: False)
_LOG.disabled = True  # costs nothing, where a filter is asked only about records that are made already

CHUNK = 65_536
_MORE = object()
"""What a dialogue waits for when it waits for input, in place of a future."""


class Over(Exception):  # noqa: N818 - the end of a dialogue is no error
    """The dialogue is over; its argument, if any, is the last reply."""


class _AtOnce:
    """The loop as aiosmtpd has it: the one task it would make stays the coroutine, which the wire drives."""

    @staticmethod
    def create_task(dialogue: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
        return dialogue


class Wire(SMTP):
    """What one session of a listener has beneath its dialogue, `_handle_client`, which aiosmtpd starts.

    The dialogue is a coroutine without a task: what comes drives it on at once, within `data_received`, up to
    where it waits for more. A task would be woken through the loop for every command. So it has no
    `asyncio.current_task`, and cannot be cancelled.
    """

    idle = False
    """Whether it waits for a command, so that nothing is lost by cutting it."""
    prefix = b""
    heard = 0.0
    """When it began to wait for what it waits for, by the lobby's clock."""
    until = inf
    """When the mail that comes has to be there."""
    transport: asyncio.Transport | None
    _inside = False
    _fresh = 0
    """Octets of `_in` that came since somebody listened."""
    _listening = False
    """Whether the dialogue waits for more of it, or for its end."""
    _ended = False
    _deaf = False
    """Whether reading is paused."""
    _out = ""
    _held = 0

    def __init__(self, lobby: Lobby, hostname: str, loop: asyncio.AbstractEventLoop) -> None:
        # What aiosmtpd finds out about itself and a handler takes long, and is the same for every connection.
        if not lobby.alike:
            lobby.alike = vars(SMTP(None, hostname=hostname, loop=loop)) | {"loop": _AtOnce}
        vars(self).update(lobby.alike)
        asyncio.StreamReaderProtocol.__init__(self, None, self._cb_client_connected, loop=loop)
        self._lobby = lobby
        self._in = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the dialogue."""
        self._lobby.watch(self)
        super().connection_made(transport)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take what came, and no more than a chunk that nobody listens to."""
        self._in += data
        self._fresh += len(data)
        if self._listening:
            self._listening = False
            self._go_on()
        elif self._fresh > CHUNK and not self._deaf and self.transport is not None:
            self._deaf = True
            self.transport.pause_reading()

    def eof_received(self) -> bool | None:
        """Still answer whoever closed its half of the connection; aiosmtpd would drop the work at hand."""
        self._nothing_more()
        return asyncio.StreamReaderProtocol.eof_received(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Let the dialogue end by itself: aiosmtpd would cancel it, and with it the keeping of a mail."""
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self.transport = None
        self._lobby.forget(self)
        self._leave()
        self._nothing_more()
        # Both lead back to here: what is left is freed at once, and not searched for later
        self._client_connected_cb = self._writer = None

    def _nothing_more(self) -> None:
        self._ended = True
        if self._listening:
            self._listening = False
            self._go_on()

    def _go_on(self, _future: object = None) -> None:
        """Drive the dialogue up to where it waits."""
        try:
            waits = self._handler_coroutine.send(None)
        except StopIteration:
            return
        if waits is _MORE:
            self._listening = True
        elif waits is None:  # a turn of the loop, as asyncio.sleep(0) does
            self._loop.call_soon(self._go_on)
        else:
            waits._asyncio_future_blocking = False  # noqa: SLF001 - what a task does with what it waits for
            waits.add_done_callback(self._go_on)

    def _reset_timeout(self, _duration: float | None = None) -> None:
        self.heard = self._lobby.clock()

    def time_out(self) -> None:
        """End the session because it is too late; called again and again until it is gone."""
        if self.transport is not None and not self.transport.is_closing():
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
        transport = self.transport
        if transport is None:
            return
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
            self.transport.resume_reading()
        if not self._fresh and not self._ended:
            await _more()
        if not self._fresh:
            raise Over
        return self._fresh

    def _say(self, reply: str) -> None:
        if reply:
            self._out += f"{reply}\r\n"

    async def _flush(self) -> None:
        if self.transport is None:
            raise Over
        if self._out:
            self.transport.write(self._out.encode("ascii", "replace"))
            self._out = ""
            if self._paused:  # type: ignore[attr-defined] # of the protocol that StreamWriter.drain asks
                await self._writer.drain()


@types.coroutine
def _more() -> Generator[object, None, None]:
    yield _MORE
