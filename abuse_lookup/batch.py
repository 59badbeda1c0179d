"""Takes a stream of items and a coroutine for each; leaves the results as they come, so many at once."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


async def each_done(
    items: AsyncIterable[Item] | Iterable[Item], work: Callable[[Item], Awaitable[Done]], at_once: int
) -> AsyncIterator[Done]:
    """Yield the result of `work` for each item as soon as it is there.

    At most `at_once` items are taken whose result was not yet yielded. The first error of `work`, or of
    `items`, is raised, and what is still in work is cancelled; so it is when the caller stops early. Raises
    `ValueError` when `at_once` is not positive.
    """
    if at_once < 1:
        raise ValueError(f"at_once is {at_once}: at least one has to be in work")
    room, done = asyncio.Semaphore(at_once), asyncio.Queue[asyncio.Future[Any]]()
    working: set[asyncio.Future[Any]] = set()

    async def feed() -> None:
        stream = aiter(items) if isinstance(items, AsyncIterable) else _each(items)
        while True:
            await room.acquire()
            try:
                item = await anext(stream)
            except StopAsyncIteration:
                return
            _start(asyncio.ensure_future(work(item)))
            await asyncio.sleep(0)  # what is in work goes on meanwhile, however many items there are

    def _start(task: asyncio.Future[Any]) -> None:
        working.add(task)
        task.add_done_callback(done.put_nowait)

    feeding = asyncio.ensure_future(feed())
    _start(feeding)
    try:
        while working:
            task = await done.get()
            working.discard(task)
            result = task.result()
            if task is not feeding:
                room.release()
                yield result
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def _each(items: Iterable[Item]) -> AsyncIterator[Item]:
    for item in items:
        yield item
