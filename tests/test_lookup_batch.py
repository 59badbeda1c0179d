"""Many targets in one go."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from abuse_lookup.batch import each_done
from tests.test_lookup import CLOUD, looking


async def work(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


def test_results_come_as_they_are_done_not_in_order() -> None:
    async def run() -> list[float]:
        return [done async for done in each_done([0.04, 0.0, 0.02], work, 3)]

    assert asyncio.run(run()) == [0.0, 0.02, 0.04]


def test_no_more_is_in_work_than_allowed_and_no_more_is_taken_from_the_stream() -> None:
    taken = running = most = 0

    async def stream() -> AsyncIterator[int]:
        nonlocal taken
        for number in range(20):
            taken += 1
            yield number

    async def one(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return number

    async def run() -> set[int]:
        seen = set()
        async for number in each_done(stream(), one, 3):
            seen.add(number)
            assert taken <= len(seen) + 3
        return seen

    assert asyncio.run(run()) == set(range(20))
    assert most == 3


def test_a_result_is_handed_on_while_the_stream_waits_for_its_next_item() -> None:
    async def run() -> int:
        more = asyncio.Event()

        async def typed() -> AsyncIterator[int]:
            yield 1
            await more.wait()
            yield 2

        async def one(number: int) -> int:
            return number

        total = 0
        async with asyncio.timeout(5):
            async for number in each_done(typed(), one, 10):
                total += number
                more.set()
        return total

    assert asyncio.run(run()) == 3


def test_what_is_at_hand_is_handed_on_without_work_and_without_waiting_for_more() -> None:
    async def run(count: int, at_once: int) -> tuple[list[int], list[int]]:
        worked, more = [], asyncio.Event()

        async def one(number: int) -> int:
            worked.append(number)
            return number

        async def slow() -> AsyncIterator[int]:
            yield 0
            await more.wait()

        def known(number: int) -> int | None:
            return number if number % 10 else None

        async with asyncio.timeout(5):
            async for number in each_done(slow(), one, at_once, lambda number: number):
                assert number == 0
                more.set()
            seen = [number async for number in each_done(range(count), one, at_once, known)]
        return worked, seen

    for at_once in (1, 7, 1000):
        worked, seen = asyncio.run(run(1234, at_once))
        assert worked == list(range(0, 1234, 10))
        assert sorted(seen) == list(range(1234))


def test_an_error_ends_the_batch_and_what_was_in_work() -> None:
    cancelled = []

    async def one(number: int) -> int:
        if number == 1:
            raise RuntimeError("no")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    async def run() -> None:
        async for _ in each_done([0, 1, 2], one, 3):
            pass

    with pytest.raises(RuntimeError, match="no"):
        asyncio.run(run())
    assert sorted(cancelled) == [0, 2]
    with pytest.raises(ValueError, match="at least one"):
        asyncio.run(anext(each_done([1], one, 0)))  # type: ignore[arg-type]


def test_many_targets_are_answered_each_with_its_own_text() -> None:
    targets = [f"198.51.100.{n}" for n in range(60)]

    async def run() -> tuple[list[str], int]:
        async with looking(CLOUD) as (lookup, net):
            found = [one async for one in lookup.find_many(targets, at_once=20)]
            assert {one.contacts[0].address for one in found} == {"abuse@cloud.example"}
            return [one.target for one in found], len(net.asked("rdap"))

    answered, questions = asyncio.run(run())
    assert sorted(answered) == sorted(targets)
    assert questions == 1
