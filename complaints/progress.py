"""How far many things have come: takes counts, leaves one line of a terminal that is written over and over.

Only on a terminal; without colours or cursor commands, so that every terminal can do it.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TextIO

_FIRST_SECONDS, _EVERY_SECONDS = 1.0, 0.25


class Progress:
    """One line on `stream`; `total` is None where nobody knows how many there are."""

    def __init__(
        self, stream: TextIO, total: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self.total, self._clock = stream, total, clock
        self._started, self._done, self._shown = clock(), 0, 0

    def step(self) -> None:
        """One more is done."""
        self._done += 1

    def text(self) -> str:
        """How many, how fast, how long still."""
        seconds = max(self._clock() - self._started, 0.001)
        rate = self._done / seconds
        parts = [f"{self._done:,}" + ("" if self.total is None else f" of {self.total:,}")]
        parts.append(f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second")
        if self.total is not None and rate:
            parts.append(f"{_length((self.total - self._done) / rate)} left")
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


def _length(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
