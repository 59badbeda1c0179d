"""Group commit, against real SQLite files with WAL and synchronous=FULL."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from complaints.group_commit import ClosedError, GroupCommit


class Shelf:
    """A table of unique names, written by whatever thread calls `write`; counts its transactions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.batches: list[list[str]] = []
        self.hold = threading.Event()
        self.hold.set()
        self._connection: sqlite3.Connection | None = None

    def write(self, names: Sequence[str]) -> None:
        self.hold.wait(10)
        if self._connection is None:
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS shelf (name TEXT PRIMARY KEY NOT NULL)")
        self.batches.append(list(names))
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany("INSERT INTO shelf VALUES (?)", [(name,) for name in names])
        except sqlite3.Error:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def read(self) -> set[str]:
        """What another process would see now."""
        other = sqlite3.connect(self.path)
        try:
            return {name for (name,) in other.execute("SELECT name FROM shelf")}
        finally:
            other.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@pytest.fixture
def shelf(tmp_path: Path) -> "Shelf":
    return Shelf(tmp_path / "shelf.sqlite")


def test_when_put_returns_another_connection_sees_the_item(shelf: Shelf) -> None:
    async def scene() -> None:
        commits = GroupCommit(shelf.write)
        for name in ("one", "two", "three"):
            await commits.put(name)
            assert name in shelf.read()
        await commits.close()

    asyncio.run(scene())
    shelf.close()


def test_what_waits_during_a_write_shares_the_next_one_and_no_write_exceeds_256(shelf: Shelf) -> None:
    async def scene() -> None:
        commits = GroupCommit(shelf.write)
        shelf.hold.clear()
        first = asyncio.create_task(commits.put("first"))
        await asyncio.sleep(0.05)  # the writer now holds the first item
        rest = [asyncio.create_task(commits.put(f"item {n}")) for n in range(300)]
        await asyncio.sleep(0.05)
        assert not first.done()
        shelf.hold.set()
        await asyncio.gather(first, *rest)
        await commits.close()

    asyncio.run(scene())
    assert [len(batch) for batch in shelf.batches] == [1, 256, 44]
    assert len(shelf.read()) == 301
    shelf.close()


def test_nobody_waits_for_company(shelf: Shelf) -> None:
    async def scene() -> None:
        commits = GroupCommit(shelf.write)
        for n in range(5):
            await commits.put(str(n))
        await commits.close()

    asyncio.run(scene())
    assert shelf.batches == [["0"], ["1"], ["2"], ["3"], ["4"]]
    shelf.close()


def test_one_poisonous_item_fails_alone(shelf: Shelf) -> None:
    async def scene() -> list[BaseException | None]:
        commits = GroupCommit(shelf.write)
        await commits.put("taken")
        shelf.hold.clear()
        first = asyncio.create_task(commits.put("first"))
        await asyncio.sleep(0.05)
        names = ["a", "b", "taken", "c"]
        rest = [asyncio.create_task(commits.put(name)) for name in names]
        await asyncio.sleep(0.05)
        shelf.hold.set()
        await first
        outcomes = await asyncio.gather(*rest, return_exceptions=True)
        await commits.close()
        return outcomes

    good, also_good, poisoned, last = asyncio.run(scene())
    assert good is also_good is last is None
    assert isinstance(poisoned, sqlite3.IntegrityError)
    assert shelf.read() == {"taken", "first", "a", "b", "c"}
    shelf.close()


def test_an_ill_database_fails_the_batch_after_three_single_tries_and_is_used_again_when_well(
    shelf: Shelf,
) -> None:
    tries: list[int] = []
    ill = True

    def write(names: Sequence[str]) -> None:
        tries.append(len(names))
        if ill:
            shelf.hold.wait(10)
            raise sqlite3.OperationalError("disk I/O error")
        shelf.write(names)

    async def scene() -> list[BaseException | None]:
        nonlocal ill
        commits = GroupCommit(write)
        shelf.hold.clear()
        first = asyncio.create_task(commits.put("first"))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(commits.put(str(n))) for n in range(100)]
        await asyncio.sleep(0.05)
        shelf.hold.set()
        outcomes = await asyncio.gather(first, *rest, return_exceptions=True)
        ill = False
        await commits.put("well again")
        await commits.close()
        return outcomes

    outcomes = asyncio.run(scene())
    assert len(outcomes) == 101
    assert all(isinstance(outcome, sqlite3.OperationalError) for outcome in outcomes)
    assert tries == [1, 100, 1, 1, 1, 1]  # the last is "well again"
    assert shelf.read() == {"well again"}
    shelf.close()


def test_a_caller_who_gives_up_neither_loses_the_item_nor_disturbs_the_others(shelf: Shelf) -> None:
    async def scene() -> None:
        commits = GroupCommit(shelf.write)
        shelf.hold.clear()
        first = asyncio.create_task(commits.put("first"))
        await asyncio.sleep(0.05)
        gone = asyncio.create_task(commits.put("gone"))
        stays = asyncio.create_task(commits.put("stays"))
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.sleep(0)
        shelf.hold.set()
        async with asyncio.timeout(5):
            await asyncio.gather(first, stays)
        await commits.close()

    asyncio.run(scene())
    assert shelf.batches == [["first"], ["gone", "stays"]]
    assert shelf.read() == {"first", "gone", "stays"}
    shelf.close()


def test_close_writes_what_waits_and_refuses_what_comes_later(shelf: Shelf) -> None:
    async def scene() -> None:
        commits = GroupCommit(shelf.write)
        shelf.hold.clear()
        waiting = [asyncio.create_task(commits.put(str(n))) for n in range(10)]
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(commits.close())
        await asyncio.sleep(0.05)
        with pytest.raises(ClosedError, match="not written"):
            await commits.put("late")
        shelf.hold.set()
        await closing
        await asyncio.gather(*waiting)
        await commits.close()

    asyncio.run(scene())
    assert shelf.read() == {str(n) for n in range(10)}
    assert not [thread for thread in threading.enumerate() if thread.name == "group-commit"]
    shelf.close()


def test_four_thousand_puts_from_many_tasks_are_each_written_once(shelf: Shelf) -> None:
    async def scene() -> None:
        commits = GroupCommit(shelf.write)

        async def session(number: int) -> None:
            for n in range(80):
                await commits.put(f"{number} {n}")

        await asyncio.gather(*(session(number) for number in range(50)))
        await commits.close()

    asyncio.run(scene())
    assert len(shelf.read()) == 4000
    assert sum(map(len, shelf.batches)) == 4000
    assert len(shelf.batches) < 2000  # they did share commits
    shelf.close()
