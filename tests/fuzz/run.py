"""Running one target: takes how many inputs and how much time, leaves a count and what was broken.

Two ways to choose the next input: by coverage (atheris, an own process per target, for libFuzzer ends the
one it runs in), or, where atheris is absent, by the kind of answer that an input got. Both use the same
mutations. What breaks a promise is cut down and written to a folder.
"""

import hashlib
import json
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NoReturn

from tests.fuzz import seeds
from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Target

_MOST_KEPT = 4_000
_EACH = 3
"""Inputs written down of one kind of failure."""
_MADE = 0.1
"""The share of inputs that a grammar makes afresh."""


@dataclass
class Run:
    """What a run did; `broken` counts by kind of failure."""

    target: str
    engine: str
    executions: int = 0
    seconds: float = 0.0
    kinds: int = 0
    broken: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """Return the run as one line of JSON."""
        return json.dumps({**self.__dict__, "seconds": round(self.seconds, 1)})


class Watch:
    """Executes inputs of one target, times them, writes down what breaks."""

    def __init__(self, target: Target, folder: Path | None, run: Run) -> None:
        self.target, self.folder, self.run = target, folder, run
        self.seen: set[Hashable] = set()

    def __call__(self, data: bytes) -> bool:
        """Execute one input; tell whether it got a kind of answer that none before it got."""
        self.run.executions += 1
        began = time.perf_counter()
        try:
            kind = self.target.check(data)
        except Exception as error:  # noqa: BLE001 - whatever is raised is the finding
            self._broken(data, failure_of(error), traceback.format_exc())
            return False
        if time.perf_counter() - began > self.target.seconds and is_slow(self.target, data):
            self._broken(
                data, f"slow-{self.target.name}", f"more than {self.target.seconds} s of processor time"
            )
        if kind in self.seen:
            return False
        self.seen.add(kind)
        self.run.kinds = len(self.seen)
        return True

    def _broken(self, data: bytes, failure: str, why: str) -> None:
        count = self.run.broken[failure] = self.run.broken.get(failure, 0) + 1
        if self.folder is None or count > _EACH:
            return
        small = reduced(data, lambda one: fails_with(self.target, one) == failure)
        where = self.folder / self.target.name
        where.mkdir(parents=True, exist_ok=True)
        name = f"{failure}-{hashlib.sha256(small).hexdigest()[:8]}"
        (where / name).write_bytes(small)
        (where / f"{name}.why").write_text(f"{why}\n{small[:400]!r}\n")


def failure_of(error: Exception) -> str:
    """Name a failure by its type and the last line of ours that it passed."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename
    ]
    last = [frame for frame in frames if str(seeds.ROOT) in frame.filename][-1:] or frames[-1:]
    place = f"{Path(last[0].filename).stem}-{last[0].lineno}" if last else "nowhere"
    return f"{type(error).__name__}-{place}"


def fails_with(target: Target, data: bytes) -> str | None:
    """Return the name of the failure that an input leads to, or None."""
    try:
        target.check(data)
    except Exception as error:  # noqa: BLE001 - whatever is raised is the finding
        return failure_of(error)
    return f"slow-{target.name}" if is_slow(target, data) else None


def is_slow(target: Target, data: bytes) -> bool:
    """Tell whether an input takes too much processor time, three times in a row."""
    for _ in range(3):
        began = time.process_time()
        target.check(data)
        if time.process_time() - began <= target.seconds:
            return False
    return True


def reduced(data: bytes, fails: Callable[[bytes], bool], seconds: float = 10.0) -> bytes:
    """Cut an input down to what is needed for it to fail: ever smaller pieces are left out."""
    until = time.monotonic() + seconds
    size = max(1, len(data) // 2)
    while size and time.monotonic() < until:
        at = 0
        while at < len(data) and time.monotonic() < until:
            less = data[:at] + data[at + size :]
            if less != data and fails(less):
                data = less
            else:
                at += size
        size //= 2
    return data


def plain(
    target: Target, *, runs: int, seconds: float, seed: int, folder: Path | None, shared: bool = True
) -> Run:
    """Mutate, keeping inputs that got a new kind of answer. An interrupt ends the run and keeps its count."""
    random = Random(seed)
    pool = [*target.seeds, *(target.shared() if shared else ())]
    first = len(pool)
    mutate = Mutator(random, (*target.words, *seeds.words_of_tables()), target.longest)
    run = Run(target.name, "plain")
    watch = Watch(target, folder, run)
    began = time.monotonic()
    draw, make = random.random, target.make
    for one in pool if runs > len(pool) else ():
        watch(one[: target.longest])
    with suppress(KeyboardInterrupt):
        while run.executions < runs and time.monotonic() - began < seconds:
            if make is not None and draw() < _MADE:
                data = make(random)[: target.longest]
            else:
                data = mutate(pool[int(draw() * len(pool))], pool[int(draw() * len(pool))])
            if watch(data):
                if len(pool) < first + _MOST_KEPT:
                    pool.append(data)
                else:
                    pool[first + int(draw() * _MOST_KEPT)] = data
    run.seconds = time.monotonic() - began
    return run


def by_coverage(target: Target, *, runs: int, seconds: float, seed: int, folder: Path | None) -> NoReturn:
    """Let libFuzzer choose by the branches an input reaches; prints the run and ends this process."""
    import atheris

    random = Random(seed)
    pool = [*target.seeds, *target.shared()]
    mutate = Mutator(random, (*target.words, *seeds.words_of_tables()), target.longest)
    run = Run(target.name, "atheris")
    watch = Watch(target, folder, run)
    began = time.monotonic()

    def one(data: bytes) -> None:
        watch(data)
        if run.executions >= runs or time.monotonic() - began > seconds:
            run.seconds = time.monotonic() - began
            print(run.line(), flush=True)
            os._exit(0)

    def mutation(data: bytes, longest: int, seed: int) -> bytes:
        random.seed(seed)
        draw = random.random
        if draw() < 0.4:
            return bytes(atheris.Mutate(data, longest))
        if target.make is not None and draw() < _MADE:
            return target.make(random)[:longest]
        return mutate(data, pool[int(draw() * len(pool))])[:longest]

    with tempfile.TemporaryDirectory() as corpus:
        for n, seed_input in enumerate(pool):
            Path(corpus, str(n)).write_bytes(seed_input[: target.longest])
        flags = [
            f"-max_len={target.longest}",
            "-timeout=60",
            "-rss_limit_mb=2048",
            f"-seed={seed}",
            "-print_final_stats=0",
        ]
        atheris.Setup(["fuzz", *flags, corpus], one, custom_mutator=mutation)
        atheris.Fuzz()
    raise AssertionError("libFuzzer ends its process")
