"""Takes items from many sessions at once, leaves them written by one thread, as many as wait per commit.

A commit costs a flush to disk however many rows it holds. Whatever queued while the last commit ran goes
into the next one: nobody waits for company longer than a turn of the event loop, and under load hundreds
share one flush.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_ITEMS = 256
"""Items of one write: more no longer makes it cheaper per item and only makes the first of them wait."""
MOST_FAILURES = 3
"""Items of a failed batch that may fail by themselves in a row until the rest is not tried any more."""


class ClosedError(RuntimeError):
    """Something was put after `close`; it is not written."""


class GroupCommit(Generic[T]):
    """One writer thread between an event loop and a database.

    `write(items)` runs in that thread, writes all of 1 to 256 items in one transaction and returns after the
    durable commit, or raises and leaves none of them. When it raises, the items are written one by one, so
    that one poisonous item fails alone; after three failures in a row it is the database that is ill, and
    the rest fails with the last error at once. Belongs to one event loop.
    """

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self._write = write
        self._arrived: list[tuple[T, asyncio.Future[None]]] = []
        self._waiting: queue.SimpleQueue[list[tuple[T, asyncio.Future[None]]]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()
        self._closed = False

    async def put(self, item: T) -> None:
        """Return once the transaction that holds `item` is committed.

        Raises what `write` raised for it, and `ClosedError` after `close`. Cancelling the caller does not
        take the item back.
        """
        if self._closed:
            raise ClosedError("the writer is closed; the item was not written")
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        # What the loop has at hand in this turn comes to the writer together: else that would wake for the
        # first of it, and fight with the loop for the interpreter while the rest is prepared.
        if not self._arrived:
            loop.call_soon(self._hand_over)
        self._arrived.append((item, done))
        await done

    async def close(self) -> None:
        """Write what waits, then end the thread. May be called twice."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._waiting.put([])
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        if self._arrived:
            self._waiting.put(self._arrived)
            self._arrived = []

    def _run(self) -> None:
        closing = False
        while not closing:
            handed = self._waiting.get()
            waiting = list(handed)
            while handed and not self._waiting.empty():
                handed = self._waiting.get()
                waiting += handed
            closing = not handed  # the mark of `close` is the last thing ever put
            for at in range(0, len(waiting), MOST_ITEMS):
                pairs = waiting[at : at + MOST_ITEMS]
                _tell(pairs, self._outcomes([item for item, _ in pairs]))

    def _outcomes(self, items: list[T]) -> list[Exception | None]:
        """One entry per item: None when it is committed, else why it is not."""
        error = self._attempt(items)
        if error is None or len(items) == 1:
            return [error] * len(items)
        outcomes: list[Exception | None] = []
        failures = 0
        for item in items:
            if failures < MOST_FAILURES:
                error = self._attempt([item])
                failures = failures + 1 if error else 0
            outcomes.append(error)
        return outcomes

    def _attempt(self, items: list[T]) -> Exception | None:
        try:
            self._write(items)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait
            return error
        return None


def _tell(pairs: Sequence[tuple[object, asyncio.Future[None]]], outcomes: list[Exception | None]) -> None:
    """Wake all who wait through their event loop, with one call for the whole batch."""

    def settle() -> None:
        for (_, done), error in zip(pairs, outcomes, strict=True):
            if done.done():  # its caller was cancelled meanwhile
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    loop = pairs[0][1].get_loop()
    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop is closed: the process is ending, the items are written, and nobody is left to tell.
        if not loop.is_closed():
            raise
