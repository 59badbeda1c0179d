"""Takes a stream, and leaves its lines as they come, without ever holding up the event loop or much memory.

Blank lines and those that begin with # are left out.
"""

import asyncio
import io
import os
import stat
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO

LONGEST = 65_536
"""Bytes of a line; what is longer is cut, and no target."""


async def lines(stream: BinaryIO) -> AsyncIterator[str]:
    """The lines of a stream, without blanks around them, as UTF-8 with replacements."""
    rest = b""
    async for chunk in _chunks(stream):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in _worth(whole):
            yield line
        rest = rest[:LONGEST]
    for line in _worth([rest]):
        yield line


def count(stream: BinaryIO) -> int | None:
    """How many lines are still to come, where the stream is a file and can be read twice; else None."""
    try:
        number = stream.fileno()
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return None
        begin, found, rest = os.lseek(number, 0, os.SEEK_CUR), 0, b""
        while chunk := os.read(number, LONGEST):
            *whole, rest = (rest + chunk).split(b"\n")
            found, rest = found + sum(1 for _ in _worth(whole)), rest[:LONGEST]
        os.lseek(number, begin, os.SEEK_SET)
    except OSError:
        return None
    return found + sum(1 for _ in _worth([rest]))


def _worth(raw: list[bytes]) -> Iterator[str]:
    for line in raw:
        text = line.decode("utf-8", "replace").strip()
        if text and not text.startswith("#"):
            yield text


async def _chunks(stream: BinaryIO) -> AsyncIterator[bytes]:
    """What there is to read, as soon as it is there; a file always has something."""
    try:
        number = stream.fileno()
    except io.UnsupportedOperation:
        yield stream.read()
        return
    while True:
        await _readable(number)
        if not (chunk := os.read(number, LONGEST)):
            return
        yield chunk


async def _readable(number: int) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(number, ready.set)
    except PermissionError:  # what epoll says of a file
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(number)
