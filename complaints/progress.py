"""How far many things have come: takes counts, leaves one line of a terminal that is written over and over.

Only on a terminal; without colours or cursor commands, so that every terminal can do it.
"""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TextIO

_FIRST_SECONDS, _EVERY_SECONDS = 1.0, 0.25


class Progress:
    """One line on `stream`; `total` is None where nobody knows how many there are."""

    def __init__(
        self, stream: TextIO, total: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self.total, self._clock = stream, total, clock
        self._started, self._done, self._shown = clock(), 0, 0
        self._share: float | None = None
        self._first_share = 0.0

    def step(self, share: float | None = None) -> None:
        """One more is done; `share` of all is, where that is known better than by counting."""
        if self._share is None and share is not None:
            self._first_share = share  # a batch that goes on begins in the middle
        self._done, self._share = self._done + 1, share

    def text(self) -> str:
        """How many, how fast, how long still."""
        seconds = max(self._clock() - self._started, 0.001)
        rate = self._done / seconds
        parts = [f"{self._done:,}" + ("" if self.total is None else f" of {self.total:,}")]
        parts.append(f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second")
        if self.total is not None and rate:
            parts.append(f"{_length((self.total - self._done) / rate)} left")
        elif self._share is not None:
            parts[0] += f" ({self._share:.0%})"
            if (came := self._share - self._first_share) > 0:
                parts.append(f"{_length(seconds * (1 - self._share) / came)} left")
        return ", ".join(parts)

    def show(self) -> None:
        """Write the line over the one before."""
        text = self.text()
        self._stream.write("\r" + text.ljust(self._shown))
        self._stream.flush()
        self._shown = len(text)

    def hide(self) -> None:
        """Leave an empty line, for a result to be written on."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0


@asynccontextmanager
async def showing(progress: Progress, stream: TextIO) -> AsyncIterator[None]:
    """Show the line while the block runs, where `stream` is a terminal; it is gone at the end."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return

    async def draw() -> None:
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            progress.show()
            await asyncio.sleep(_EVERY_SECONDS)

    drawing = asyncio.create_task(draw(), name="progress")
    try:
        yield
    finally:
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
        progress.hide()


@contextmanager
def drawn(progress: Progress, stream: TextIO) -> Iterator[None]:
    """As `showing`, beside work that waits for no event loop."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    ended = threading.Event()

    def draw() -> None:
        pause = _FIRST_SECONDS
        while not ended.wait(pause):
            progress.show()
            pause = _EVERY_SECONDS

    drawing = threading.Thread(target=draw, name="progress", daemon=True)
    drawing.start()
    try:
        yield
    finally:
        ended.set()
        drawing.join()
        progress.hide()


def _length(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
