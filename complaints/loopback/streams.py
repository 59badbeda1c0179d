"""TCP conversations of our own (DNS, WHOIS, odd mail hosts): one task each, ended with the internet."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

log = logging.getLogger(__name__)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Streams:
    """Listeners and their conversations; `close` leaves neither socket nor task."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._talks: set[asyncio.Task[None]] = set()

    async def listen(self, sock: socket.socket, talk: Talk) -> None:
        """Hold `talk` with everybody who connects to the socket."""

        async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)
            try:
                await talk(reader, writer)
            except (
                ConnectionError,
                TimeoutError,
                asyncio.IncompleteReadError,
                asyncio.LimitOverrunError,
            ) as error:
                log.info("a conversation with %s ended early: %s", writer.get_extra_info("peername"), error)
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

        self._servers.append(await asyncio.start_server(held, sock=sock))

    async def close(self) -> None:
        """Stop listening and cut the conversations that still go on."""
        for server in self._servers:
            server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
