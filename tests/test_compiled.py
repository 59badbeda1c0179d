"""A compiled wheel reads every message as the plain source does, and hides the same in it.

The wheel is made by scripts/compile, which takes minutes of a compiler's time: `.ci/run` makes one and names
its folder in PLAINT_TESTS_COMPILED.
"""

import os
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench import compiled
from tests.readings import COLLECTIONS

pytestmark = pytest.mark.timeout(300)
READINGS = "from tests.readings import main; main()"


@pytest.fixture(scope="module")
def wheel() -> Path:
    folder = os.environ.get("PLAINT_TESTS_COMPILED")
    if not folder:
        pytest.skip("PLAINT_TESTS_COMPILED names no folder with a wheel made by scripts/compile")
    return compiled.wheel_in(Path(folder))


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    compiled.unpack(wheel, folder)
    return folder


def _modules() -> list[str]:
    project = tomllib.loads((compiled.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    modules = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]
    assert isinstance(modules, list)
    return modules


def _readings(*folders: Path) -> list[str]:
    ran = subprocess.run(
        compiled.command(READINGS),
        env=compiled.environment(*folders),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_a_compiled_wheel_reads_and_redacts_thousands_of_messages_as_the_plain_source_does(
    unpacked: Path,
) -> None:
    with ThreadPoolExecutor() as both:
        plain, fast = both.map(lambda path: _readings(*path), [(compiled.ROOT,), (unpacked, compiled.ROOT)])
    assert plain.pop(0) == "0"
    assert fast.pop(0) == str(len(_modules()))
    assert [was for was, now in zip(plain, fast, strict=True) if was != now] == []
    if not COLLECTIONS.exists():
        pytest.skip(f"../shared/data/messages absent: only {len(plain)} messages of our own were compared")


def test_a_wheel_of_other_sources_is_refused(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="was changed"):
        compiled.unpack(wheel, tmp_path / "unpacked")
