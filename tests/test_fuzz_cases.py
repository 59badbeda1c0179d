"""What broke a parser once breaks none again, and a few hundred mutations of every kind of input break none."""

from pathlib import Path

import pytest

from tests.fuzz.run import is_slow, plain
from tests.fuzz.targets import TARGETS

CASES = sorted(file for file in (Path(__file__).parent / "fuzz" / "cases").rglob("*") if file.is_file())
COSTLY = {"fields": 100, "redact": 100}
"""Target → how many mutations, where one takes milliseconds."""


@pytest.mark.parametrize("file", CASES, ids=lambda file: f"{file.parent.name}-{file.name}")
def test_a_case_that_broke_a_parser_breaks_it_no_more(file: Path) -> None:
    target, data = TARGETS[file.parent.name], file.read_bytes()
    target.check(data)
    assert not is_slow(target, data)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_input_keeps_every_promise(name: str, tmp_path: Path) -> None:
    run = plain(
        TARGETS[name], runs=COSTLY.get(name, 300), seconds=10, seed=2026, folder=tmp_path, shared=False
    )
    why = "\n".join(file.read_text() for file in sorted(tmp_path.rglob("*.why")))
    assert run.broken == {}, why
    assert run.executions > 0


def test_fuzzing_finds_what_breaks_a_promise(tmp_path: Path) -> None:
    """The harness itself: an input that raises is found, cut down and written to a file."""
    from tests.fuzz.target import Target

    def check(data: bytes) -> None:
        assert b"[" not in data, "a bracket"

    run = plain(
        Target("bracket", check, (b"a" * 50,)), runs=2_000, seconds=10, seed=1, folder=tmp_path, shared=False
    )
    assert sum(run.broken.values()) > 0
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".why"]
    assert b"[" in kept
