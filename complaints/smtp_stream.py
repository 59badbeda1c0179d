"""The wire of an SMTP session: takes what a transport brings, leaves it in one buffer, and writes replies.

asyncio's stream reader and writer would copy everything once more and cost as much as the whole dialogue.
"""

import asyncio
import ssl
from abc import abstractmethod
from typing import cast

MOST_UNSEEN = 65_536
"""Octets that may come while nobody looks; then reading is paused."""


class Over(Exception):  # noqa: N818 - the end of a dialogue is no error
    """The dialogue is over; its argument, if any, is the last reply."""


class Wire(asyncio.Protocol):
    """One connection, and the task that speaks over it until it is lost."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.input = bytearray()
        """What came and was not yet taken out."""
        self.encrypted = False
        self._unseen = 0
        self._ended = False
        self._paused = False
        self._more: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._out: list[str] = []
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @abstractmethod
    async def session(self) -> None:
        """Speak. Is cancelled when the connection is lost."""

    @abstractmethod
    def too_slow(self) -> None:
        """Be told that the deadline has passed."""

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session."""
        self.transport = cast("asyncio.Transport", transport)
        self._session = self.loop.create_task(self.session())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is given
        """End the session, whatever it was at."""
        if self._timer is not None:
            self._timer.cancel()
        self._session.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self.input += data
        self._unseen += len(data)
        if self._unseen > MOST_UNSEEN and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Still answer whoever closed its half of the connection; TLS has no halves."""
        self._ended = True
        self._wake()
        return not self.encrypted

    def pause_writing(self) -> None:
        """The client is slow to read."""
        self._room = self.loop.create_future()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    # What the session calls

    def say(self, *replies: str) -> None:
        """Put replies by; those to pipelined commands go out together (RFC 2920 §3.2)."""
        self._out += replies

    async def flush(self) -> None:
        """Write what was put by, and wait while the client does not take it."""
        if self._out:
            self.transport.write(("\r\n".join(self._out) + "\r\n").encode("ascii", "replace"))
            self._out.clear()
            if self.transport.is_closing():
                await asyncio.sleep(0)  # in which the loss of the connection is told
            elif self._room is not None:
                await self._room

    async def receive(self) -> int:
        """Wait for more input than there was, and tell how much came. Raises Over at its end."""
        self._seen()
        await self.flush()
        if not self._unseen and not self._ended:
            self._more = self.loop.create_future()
            await self._more
        if not self._unseen:
            raise Over
        return self._unseen

    def _seen(self) -> None:
        self._unseen = 0
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    async def encrypt(self, context: ssl.SSLContext) -> None:
        """Go on under TLS; what came in clear text and was not taken out is forgotten.

        Raises ssl.SSLError and ConnectionError. Call it after a flush.
        """
        self._seen()
        self.input.clear()
        # It stops reading before it waits for anything
        upgraded = await self.loop.start_tls(self.transport, self, context, server_side=True)
        self.transport = cast("asyncio.Transport", upgraded)
        self.encrypted = True

    def expect(self, seconds: float) -> None:
        """Set the deadline anew, so many seconds from now."""
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer()

    def _set_timer(self) -> None:
        """One timer per connection, set anew when it fires early: putting a deadline off costs nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(self._deadline, self._time_is_up)

    def _time_is_up(self) -> None:
        if self.loop.time() < self._deadline:
            self._set_timer()
        else:
            self.too_slow()

    def dismiss(self, reply: str) -> None:
        """End the session from outside its dialogue."""
        transport = self.transport
        if transport.is_closing() or transport.get_write_buffer_size():
            transport.abort()  # it does not even read what it was told before
        else:
            transport.write(f"{reply}\r\n".encode())
            transport.close()
