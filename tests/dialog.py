"""Plays SMTP dialogues that are written down as text; `tests/dialogs/README` describes the language."""

import asyncio
import fnmatch
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

SECONDS = 10


def kind_of(path: Path) -> str:
    """The kind of door a dialogue is for: what stands behind `D:` in its first line."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first[3:] if first.startswith("D: ") else ""


def escaped(text: str) -> bytes:
    """The octets of a text with escapes."""
    return re.sub(
        rb"\\(r|n|x[0-9a-f]{2})",
        lambda m: {b"r": b"\r", b"n": b"\n"}.get(m[1]) or bytes.fromhex(m[1][1:].decode()),
        text.encode(),
    )


async def play(
    path: Path,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    kept: Callable[[], Awaitable[list[bytes]]],
    words: Mapping[str, str] | None = None,
) -> None:
    """Say and hear what is written down; `kept` gives every mail kept so far, `words` what {word} stands for."""
    seen = 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        kind, text, where = line[:2], line[3:], f"{path.name}:{number}: {line}"
        for word, value in (words or {}).items():
            text = text.replace(f"{{{word}}}", value)
        match kind, text:
            case "C:", "-":
                writer.write_eof()
            case "C:", _:
                writer.write(text.encode() + b"\r\n")
            case "c:", _:
                writer.write(escaped(text))
            case "S:", "-":
                assert await asyncio.wait_for(reader.read(), SECONDS) == b"", where
            case "S:", _:
                got = (await asyncio.wait_for(reader.readline(), SECONDS)).decode()
                assert got.endswith("\r\n"), f"{where}: got {got!r}"
                assert fnmatch.fnmatchcase(got[:-2], text), f"{where}: got {got!r}"
            case "K:", "-":
                assert (await kept())[seen:] == [], where
            case "K:", _:
                assert (await kept())[seen : seen + 1] == [escaped(text)], where
                seen += 1
            case _:
                assert not kind or kind == "D:" or kind.startswith("#"), where
