"""Takes the name of a table of this package; leaves its rows, each with where and when it was learned.

What is known about registries, mailboxes and providers is data under `data/`, never an `if`.
"""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from abuse_lookup.errors import ConfigError

Row = Mapping[str, Any]


@cache
def rows(name: str, table: str) -> tuple[Row, ...]:
    """Read the rows `[[table]]` of `data/<name>.toml`; raises `ConfigError` on a rootless row."""
    return checked(f"{name}.toml", table, tomllib.loads(text_of(name)).get(table, []))


def text_of(name: str) -> str:
    """Read `data/<name>.toml`."""
    return files("abuse_lookup").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")


def checked(name: str, table: str, found: list[dict[str, Any]]) -> tuple[Row, ...]:
    """Hand back rows that all say where they come from and when that was; raises `ConfigError` otherwise."""
    for number, row in enumerate(found, 1):
        if not isinstance(row.get("date"), date) or not str(row.get("source", "")).strip():
            raise ConfigError(f"{name}: [[{table}]] number {number} needs `source` and `date`: {dict(row)!r}")
    return tuple(found)
