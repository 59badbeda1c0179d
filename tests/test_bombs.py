"""No mail takes more than a second of processor time or 256 MiB to read, its own bytes among them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import bombs

SECONDS, MIBS = 2.0, 256
"""Of processor time: a second on a machine of its own, and two beside other tests."""
ROOT = Path(__file__).parents[1]
EACH = 11
"""Bombs of one test: the process that reads them loads the parsers once."""
BATCHES = [
    (kind, names[n : n + EACH])
    for kind, recipes in bombs.KINDS.items()
    for names in [list(recipes)]
    for n in range(0, len(names), EACH)
]
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc"
)


def cost(kind: str, *names: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.bombs", kind, *names]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "names"), BATCHES, ids=lambda part: part if isinstance(part, str) else part[0]
)
def test_bombs_are_read_in_a_second_and_little_memory(kind: str, names: list[str]) -> None:
    spent = dict(zip(names, cost(kind, *names), strict=True))
    assert all(one["seconds"] is not None for one in spent.values()), spent
    assert {name: one for name, one in spent.items() if one["seconds"] > SECONDS or one["mib"] > MIBS} == {}


def test_the_measure_sees_time_and_memory() -> None:
    (spent,) = cost("spam", "64 MiB of text")
    assert spent["mib"] >= 64
    assert spent["size"] > 60 * bombs.MIB
    assert spent["seconds"] > 0
