"""Many targets: read as they come, answered in the wanted order, with no more in memory than a window."""

import asyncio
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from abuse_lookup import AbuseLookup, Lookup, Target
from complaints import lines_in, lookups
from complaints.lookups import look_up_many
from complaints.progress import Progress, showing


class Registry:
    """Answers at once, but for targets that wait until `go`."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[str] = []

    async def find_contacts(self, target: str, *, explain: bool = False, patient: bool = False) -> Lookup:
        parsed = Target.parse(target)
        self.asked.append(target)
        if target.startswith("slow"):
            await self.go.wait()
        return Lookup(target, parsed.kind)


async def stream(*targets: str) -> AsyncIterator[str]:
    for target in targets:
        yield target


def ask(registry: Registry, targets: AsyncIterator[str], *, as_asked: bool) -> AsyncIterator[dict[str, Any]]:
    return look_up_many(cast("AbuseLookup", registry), targets, as_asked=as_asked)


def test_answers_come_in_the_order_asked_or_as_they_are_there() -> None:
    targets = ("slow.example", "two words", "quick.example")

    async def run(*, as_asked: bool) -> list[str]:
        registry = Registry()
        found = []
        if as_asked:
            asyncio.get_running_loop().call_later(0.05, registry.go.set)
        async for document in ask(registry, stream(*targets), as_asked=as_asked):
            found.append(document["target"])
            if len(found) == 2:
                registry.go.set()
        return found

    assert asyncio.run(run(as_asked=True)) == list(targets)
    assert asyncio.run(run(as_asked=False)) == ["two words", "quick.example", "slow.example"]


def test_no_more_targets_are_taken_in_than_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "WINDOW", 50)
    taken = 0

    async def endless() -> AsyncIterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "slow.example" if taken == 1 else f"n{taken}.example"
            await asyncio.sleep(0)

    async def run() -> None:
        registry = Registry()
        answers = ask(registry, endless(), as_asked=True)
        asyncio.get_running_loop().call_later(0.2, registry.go.set)
        assert (await anext(answers))["target"] == "slow.example"
        assert taken <= 52
        for _ in range(500):
            await anext(answers)
        assert taken <= 501 + 52
        await answers.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


def read(stream: Any) -> list[str]:
    async def run() -> list[str]:
        return [line async for line in lines_in.lines(stream)]

    return asyncio.run(run())


TEXT = b"# a list\n192.0.2.1\r\n\n   \n  pills.example  \n#192.0.2.9\nhttp://x.example/#part\n\xff.example"
LINES = ["192.0.2.1", "pills.example", "http://x.example/#part", "\ufffd.example"]


def test_lines_are_read_from_memory_files_and_pipes_alike(tmp_path: Path) -> None:
    assert read(io.BytesIO(TEXT)) == LINES
    file = tmp_path / "targets"
    file.write_bytes(TEXT)
    with file.open("rb") as opened:
        assert lines_in.count(opened) == len(LINES)
        assert read(opened) == LINES
    own, theirs = os.pipe()
    os.write(theirs, TEXT)
    os.close(theirs)
    with os.fdopen(own, "rb") as pipe:
        assert lines_in.count(pipe) is None
        assert read(pipe) == LINES


def test_a_line_comes_as_soon_as_it_is_there_and_nothing_waits_for_it() -> None:
    async def run() -> None:
        own, theirs = os.pipe()
        with os.fdopen(own, "rb") as pipe:
            lines = lines_in.lines(pipe)
            first = asyncio.ensure_future(lines.__anext__())
            await asyncio.sleep(0.01)
            assert not first.done()
            os.write(theirs, b"192.0.2.1\n192.0.2")
            assert await asyncio.wait_for(first, 5) == "192.0.2.1"
            os.write(theirs, b".2\n")
            assert await asyncio.wait_for(anext(lines), 5) == "192.0.2.2"
            os.close(theirs)
            with pytest.raises(StopAsyncIteration):
                await anext(lines)

    asyncio.run(run())


def test_a_line_without_end_is_one_short_line(tmp_path: Path) -> None:
    file = tmp_path / "endless"
    file.write_bytes(b"x" * 3_000_000 + b"\n192.0.2.1\n")
    with file.open("rb") as opened:
        first, second = read(opened)
    assert len(first) <= 2 * lines_in.LONGEST
    assert second == "192.0.2.1"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_says_how_many_how_fast_and_how_long_still() -> None:
    now = [0.0]
    progress = Progress(Terminal(), 1_200_000, lambda: now[0])
    for _ in range(1000):
        progress.step()
    now[0] = 10.0
    assert progress.text() == "1,000 of 1,200,000, 100 a second, 3 h left"
    unknown = Progress(Terminal(), None, lambda: now[0])
    now[0] = 20.0
    unknown.step()
    assert unknown.text() == "1, 0.1 a second"


def test_the_line_is_written_over_and_gone_at_the_end() -> None:
    screen = Terminal()
    progress = Progress(screen, 2)
    progress.show()
    width = len(screen.getvalue()) - 1
    progress.hide()
    assert screen.getvalue().endswith("\r" + " " * width + "\r")
    assert "\x1b" not in screen.getvalue()


def test_progress_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("complaints.progress._FIRST_SECONDS", 0.0)

    async def run(stream: io.StringIO) -> str:
        async with showing(Progress(stream, 3), stream):
            await asyncio.sleep(0.05)
        return stream.getvalue()

    assert "0 of 3" in asyncio.run(run(Terminal()))
    assert asyncio.run(run(io.StringIO())) == ""
    monkeypatch.setenv("TERM", "dumb")
    assert asyncio.run(run(Terminal())) == ""
