"""Where fuzzing begins: takes our data tables and, where it is at hand, a collection of real mail.

Real mail is read when a run needs it and never kept; `cases/` holds bytes of our own making only.
"""

import json
import re
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
_LONGEST = 12_000
"""Bytes of a real message that serves as a seed: longer ones only slow the mutations down."""


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in {"source", "date"}:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def clients() -> list[bytes]:
    """Return what mail programs hand over, as far as it lies in a file."""
    return [file.read_bytes() for file in sorted((ROOT / "tests" / "clients").glob("*.eml"))]


@cache
def words_of_tables() -> tuple[bytes, ...]:
    """Return the short texts of our data tables: names of hosts, software and fields that parsers look for."""
    tables = [*ROOT.glob("complaints/data/*.toml"), *ROOT.glob("abuse_lookup/data/*.toml")]
    texts = {text for table in tables for text in _strings(tomllib.loads(table.read_text("utf-8")))}
    return tuple(sorted(text.encode() for text in texts if 1 < len(text) < 60))


def received() -> Iterator[bytes]:
    """Yield Received fields of the suites of other parsers."""
    for file in sorted(DATA.glob("received/*.json")):
        for case in json.loads(file.read_text("utf-8"))["cases"]:
            for text in _strings(case):
                if " by " in text or "from " in text:
                    yield text.encode("utf-8", "replace")[:8192]


def urls() -> Iterator[bytes]:
    """Yield links and texts with links of the suites of other finders."""
    for file in sorted(DATA.glob("urls/*.json")):
        for case in json.loads(file.read_text("utf-8"))["cases"]:
            yield from (text.encode("utf-8", "replace") for text in _strings(case) if "." in text)


def messages() -> Iterator[bytes]:
    """Yield real messages, some of every suite."""
    archives = sorted(DATA.glob("messages/*.zip")) + sorted(DATA.glob("bounces/*.zip"))
    for archive in archives:
        with zipfile.ZipFile(archive) as opened:
            names = sorted(entry.filename for entry in opened.infolist() if entry.file_size < _LONGEST)
            names = [name for name in names if not name.endswith((".md", ".json", ".jsonl", ".csv", ".txt"))]
            for name in names[:: max(1, len(names) // 40)]:
                yield opened.read(name)


def headers() -> Iterator[bytes]:
    """Yield the header blocks of real messages."""
    yield from (re.split(rb"\r?\n\r?\n", message, maxsplit=1)[0] + b"\n\n" for message in messages())


def bodies() -> Iterator[bytes]:
    """Yield the bodies of real messages."""
    yield from (re.split(rb"\r?\n\r?\n", message, maxsplit=1)[-1] for message in messages())


def dates() -> Iterator[bytes]:
    """Yield the dates of real messages."""
    for block in headers():
        yield from re.findall(rb"(?im)^date:([^\n]{1,80})", block)


def whois() -> Iterator[bytes]:
    """Yield real WHOIS answers."""
    for file in sorted(DATA.glob("registry/whois-ip/*/*"))[::2]:
        if file.is_file() and file.stat().st_size < _LONGEST:
            yield file.read_bytes()


def rdap() -> Iterator[bytes]:
    """Yield real RDAP answers."""
    for file in sorted(DATA.glob("registry/rdap/*/*.json")):
        if file.stat().st_size < 2 * _LONGEST:
            yield file.read_bytes()
