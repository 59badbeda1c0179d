"""Takes a stream of items and a coroutine for each; leaves the results as they come, so many at once."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_TOGETHER = 100  # results at hand that are handed on in one go

Item = TypeVar("Item")
Done = TypeVar("Done")


def _nothing(_item: object) -> None:
    return None


async def each_done(
    items: AsyncIterable[Item] | Iterable[Item],
    work: Callable[[Item], Awaitable[Done]],
    at_once: int,
    at_hand: Callable[[Item], Done | None] = _nothing,
) -> AsyncIterator[Done]:
    """Yield the result of `work` for each item as soon as it is there, or what is `at_hand` for it.

    At most `at_once` items are taken whose result was not yet yielded. The first error of `work`, or of
    `items`, is raised, and what is still in work is cancelled; so it is when the caller stops early. Raises
    `ValueError` when `at_once` is not positive.
    """
    if at_once < 1:
        raise ValueError(f"at_once is {at_once}: at least one has to be in work")
    room, done = asyncio.Semaphore(at_once), asyncio.Queue[asyncio.Future[Any] | list[Done]]()
    working: set[asyncio.Future[Any]] = set()

    def start(task: asyncio.Future[Any]) -> None:
        working.add(task)
        task.add_done_callback(done.put_nowait)

    async def feed() -> None:
        async for one in _asked_or_at_hand(items, at_hand, room):
            if isinstance(one, list):
                done.put_nowait(one)
            else:
                start(asyncio.ensure_future(work(one.item)))
            await asyncio.sleep(0)  # what is in work goes on meanwhile, however many items there are

    feeding = asyncio.ensure_future(feed())
    start(feeding)
    try:
        while working:
            task = await done.get()
            if isinstance(task, list):
                results = task
            else:
                working.discard(task)
                result = task.result()
                results = [result] if task is not feeding else []
            for result in results:
                room.release()
                yield result
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Item]):
    item: Item


async def _asked_or_at_hand(
    items: AsyncIterable[Item] | Iterable[Item],
    at_hand: Callable[[Item], Done | None],
    room: asyncio.Semaphore,
) -> AsyncIterator["_Asked[Item] | list[Done]"]:
    """Yield the items that are to be worked on, and together the results that are there without work."""
    most = 1 if isinstance(items, AsyncIterable) else _TOGETHER  # the next item may be long in coming
    ready: list[Done] = []
    async for item in _with_room(items, room):
        if (found := at_hand(item)) is None:
            yield _Asked(item)
            continue
        ready.append(found)
        if len(ready) >= most or room.locked():
            yield ready
            ready = []
    if ready:
        yield ready


async def _with_room(
    items: AsyncIterable[Item] | Iterable[Item], room: asyncio.Semaphore
) -> AsyncIterator[Item]:
    """Take an item only where there is room for it."""
    stream = aiter(items) if isinstance(items, AsyncIterable) else None
    each = iter(()) if isinstance(items, AsyncIterable) else iter(items)
    while True:
        await room.acquire()
        try:
            item = await anext(stream) if stream is not None else next(each)
        except (StopAsyncIteration, StopIteration):
            return
        yield item
