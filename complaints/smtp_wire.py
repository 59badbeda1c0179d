"""The wire of an SMTP session: takes what a connection brings, leaves it to a dialogue, tells what that says.

`Wire` is aiosmtpd's server protocol, whose set-up, transport and STARTTLS it keeps. aiosmtpd 1.4 looks at
itself for every connection, reads through a stream reader, wakes a task for every line, and drops the work at
hand with the client.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

from aiosmtpd.smtp import SMTP

from complaints.logs import place_of
from complaints.smtp_limits import Lobby
from complaints.smtp_proxy import ProxyError

log = logging.getLogger(__name__)

# aiosmtpd logs peers and addresses (promise 10). A filter survives a later logging.config; being disabled
# saves making what a filter would throw away.
_THEIRS = logging.getLogger("mail.log")
_THEIRS.addFilter(lambda _record: False)
_THEIRS.disabled = True

CHUNK = 65_536


class Over(Exception):  # noqa: N818 - the end of a dialogue is no error
    """The dialogue is over; its argument, if any, is the last reply."""


class Wire(SMTP):
    """What one session of a listener has beneath its dialogue.

    What comes is read at once, within `data_received`, as much of it as is there. Only what takes time is a
    coroutine, which `work` runs; what comes meanwhile waits. It is run without a task, so it cannot be
    cancelled, and has no `asyncio.current_task`.
    """

    # What is in slots is found sooner than among aiosmtpd's many attributes.
    __slots__ = (
        "_busy",
        "_deaf",
        "_ended",
        "_held",
        "_in",
        "_inside",
        "_lobby",
        "_out",
        "_over",
        "_reads",
        "_work",
        "heard",
        "prefix",
        "until",
    )
    idle: bool
    transport: asyncio.Transport | None
    _loop: asyncio.AbstractEventLoop
    _paused: bool

    def __init__(self, lobby: Lobby, loop: asyncio.AbstractEventLoop, reads: "Callable[[Any], bool]") -> None:
        asyncio.StreamReaderProtocol.__init__(self, None, self._cb_client_connected, loop=loop)  # type: ignore[arg-type] # may be None
        self._lobby = lobby
        self._reads = reads
        """Called with this: reads one thing of `_in` and acts on it. False when no more can be read now.

        May raise `Over`.
        """
        self.prefix = b""
        self.heard = 0.0
        """When it began to wait for what it waits for, by the lobby's clock."""
        self.until = inf
        """When the mail that comes has to be there."""
        self._in = bytearray()
        self._out = ""
        self._work: Coroutine[Any, Any, None] | None = None
        """What takes time."""
        self._over = False
        self._busy = False
        """Whether nothing is read now: it is over, something takes time, or replies are not read."""
        self._ended = False
        """Whether nothing more will come."""
        self._deaf = False
        """Whether reading from the connection is paused."""
        self._inside = False
        self._held = 0

    def _handle_client(self) -> None:  # type: ignore[override]
        """Begin; called by `connection_made` of aiosmtpd."""
        self._lobby.watch(self)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take what came, and no more than a chunk that nobody reads."""
        self._in += data
        if not self._busy:
            self._go_on()
        elif len(self._in) > CHUNK and not self._deaf and self.transport is not None:
            self._deaf = True
            self.transport.pause_reading()

    def eof_received(self) -> bool | None:
        """Still answer whoever closed its half of the connection; aiosmtpd would drop the work at hand."""
        self._ended = True
        self._go_on()
        return asyncio.StreamReaderProtocol.eof_received(self)

    def pause_writing(self) -> None:
        """Read nothing more: replies are not read."""
        super().pause_writing()
        self._busy = True

    def resume_writing(self) -> None:
        """Read on."""
        super().resume_writing()
        self._free()

    def connection_lost(self, error: Exception | None) -> None:
        """Let the work at hand end by itself: aiosmtpd would cancel it, and with it the keeping of a mail."""
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self.transport, self._over, self._busy = None, True, True
        self._lobby.forget(self)
        self._leave()
        # Both lead back to here: what is left is freed at once, and not searched for later
        self._client_connected_cb = self._writer = None  # type: ignore[assignment]

    async def shake_hands(self, context: ssl.SSLContext) -> None:
        """Go on in TLS. Raises OSError when the connection ends before that."""
        clear = self.transport
        assert clear is not None
        try:
            encrypted = await self._loop.start_tls(clear, self, context, server_side=True)
            if encrypted is None:  # it was closed by us meanwhile
                raise ConnectionAbortedError  # noqa: TRY301 - it ends as if the client had closed it
        except BaseException:
            # asyncio does not tell a protocol of what is lost in a handshake: it would be inside for ever
            clear.abort()
            self.connection_lost(None)
            raise
        self.transport, self._over_ssl = encrypted, True

    def _go_on(self) -> None:
        """Read as long as there is something to read and nothing takes time; then say what there is to say.

        Replies to pipelined commands go out together (RFC 2920 §3.2).
        """
        if self._busy:
            return
        try:
            while self._reads(self):
                pass
            self._flush()
        except Exception as error:  # noqa: BLE001 - asyncio would write it down as it is, with what was said
            self._end(error)
        if self._ended or self._deaf:
            self._read_all()

    def _read_all(self) -> None:
        if self._busy:
            return
        if self._ended:
            self._end(Over())
        elif self.transport is not None:
            self._deaf = False
            self.transport.resume_reading()

    def work(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run what takes time; nothing more is read before it ends. Whether it has ended.

        It may raise what `_reads` may.
        """
        self._work, self._busy = work, True
        self._step()
        return not self._busy

    def _step(self) -> None:
        assert self._work is not None
        try:
            waits = self._work.send(None)
        except StopIteration:
            self._work = None
            self._busy = self._over or self._paused
            return
        if waits is None:  # for a turn of the loop, as asyncio.sleep(0) does
            self._loop.call_soon(self._work_on)
        else:
            waits._asyncio_future_blocking = False  # noqa: SLF001 - what a task does with what it waits for
            waits.add_done_callback(self._work_on)

    def _work_on(self, _future: object = None) -> None:
        try:
            self._step()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - see `_go_on`
            self._end(error)
        self._go_on()

    def _free(self) -> None:
        self._busy = self._over or self._paused or self._work is not None
        self._go_on()

    def _end(self, error: BaseException) -> None:
        last = ""
        if isinstance(error, Over):
            last = "".join(error.args)
        elif isinstance(error, (ConnectionError, ssl.SSLError, ProxyError, asyncio.CancelledError)):
            self._lobby.counts["broken"] += 1
        else:
            log.error("an SMTP session failed: %s", place_of(error))
        if not self._over:
            self._over = self._busy = True
            self._say(last)
            self._flush()
            self._leave()
            if self.transport is not None:
                self.transport.close()

    def _reset_timeout(self, _duration: float | None = None) -> None:
        self.heard = self._lobby.clock()

    def time_out(self) -> None:
        """End the session because it is too late; called again and again until it is gone."""
        if self.transport is not None and not self.transport.is_closing():
            self._lobby.counts["timeouts"] += 1
        self.dismiss("421 4.4.2 Too slow; closing the connection")

    def _enter(self) -> None:
        """Come in, as whoever `prefix` is. Raises `Over`."""
        if refusal := self._lobby.enter(self):
            raise Over(refusal)
        self._inside = True

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
        transport, self._over, self._busy = self.transport, True, True
        if transport is None:
            return
        if transport.is_closing() or transport.get_write_buffer_size():
            transport.abort()  # it does not even read what it was told before
        else:
            transport.write(f"{reply}\r\n".encode())
            transport.close()

    def _say(self, reply: str) -> None:
        if reply:
            self._out += f"{reply}\r\n"

    def _flush(self) -> None:
        if self._out and self.transport is not None:
            self.transport.write(self._out.encode("ascii", "replace"))
            self._out = ""


class _Once:
    """The loop as aiosmtpd has it, which would make a task of `_handle_client`: that has begun already."""

    def get_debug(self) -> bool:
        """No."""
        return False

    def create_future(self) -> None:
        """None is needed by what serves as a pattern only."""

    def create_task(self, begun: None) -> None:
        """Nothing is left to do."""


# What aiosmtpd finds out about itself and a handler takes long, and is the same for every session.
for _name, _value in vars(SMTP(None, hostname="localhost", loop=_Once())).items():  # type: ignore[arg-type]
    setattr(Wire, _name, _value)
