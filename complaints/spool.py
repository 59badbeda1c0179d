"""A body on its way in: takes octets one after the other, leaves them to be read in any order.

It takes constant memory. What is more than one block lies on the disk, sealed (AES-256-GCM) under a key that
nothing but this process's memory has, in a file without a name: no mail lies in clear beside the database,
and nothing can be read of what a killed process leaves behind.
"""

import io
import os
import secrets
import tempfile
import threading
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BLOCK = 262_144
"""Octets sealed at a time: so many of a body are in memory while it comes in and while it is read."""
_TAG = 16  # octets of a tag of GCM (NIST SP 800-38D §5.2.1.2)
_ROOM_FOR = 64  # blocks after which the free space of the disk is looked at again


class NoRoomError(Exception):
    """Bodies on their way in would take more than half of what is free on the disk."""


class _Taken:
    """What all spools of this process have on the disk."""

    def __init__(self) -> None:
        self.octets = 0
        self._lock = threading.Lock()

    def add(self, octets: int) -> None:
        with self._lock:
            self.octets += octets


TAKEN = _Taken()


class Spool:
    """Octets that were written, to be read in any order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cipher = AESGCM(secrets.token_bytes(32))
        self._tail = bytearray()
        self._file: BinaryIO | None = None
        self._blocks = 0
        self._open = (-1, b"")

    @property
    def size(self) -> int:
        """How many octets were written."""
        return self._blocks * BLOCK + len(self._tail)

    def write(self, data: bytes | memoryview) -> None:
        """Add octets at the end. Raises NoRoomError when the disk has not enough room for them."""
        self._tail += data
        whole = len(self._tail) // BLOCK
        for n in range(whole):
            self._put(bytes(memoryview(self._tail)[n * BLOCK : (n + 1) * BLOCK]))
        if whole:
            del self._tail[: whole * BLOCK]

    def slice(self, start: int, end: int) -> bytes:
        """Return what was written between two offsets, as far as there are any."""
        parts = []
        for block in range(start // BLOCK, min(self._blocks, -(-end // BLOCK))):
            first = block * BLOCK
            parts.append(self._opened(block)[max(0, start - first) : end - first])
        first = self._blocks * BLOCK
        parts.append(bytes(self._tail[max(0, start - first) : max(0, end - first)]))
        return b"".join(parts)

    def __del__(self) -> None:
        TAKEN.add(-self._blocks * BLOCK)
        if self._file:
            self._file.close()

    def _put(self, clear: bytes) -> None:
        sealed = self._cipher.encrypt(_nonce(self._blocks), clear, None)
        try:
            self._keep(sealed)
        except OSError as error:
            raise NoRoomError from error
        self._blocks += 1
        TAKEN.add(BLOCK)

    def _keep(self, sealed: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - kept open
        if self._blocks % _ROOM_FOR == 0:
            disk = os.fstatvfs(self._file.fileno())
            if TAKEN.octets + _ROOM_FOR * BLOCK > disk.f_bavail * disk.f_frsize:
                raise NoRoomError
        self._file.seek(self._blocks * (BLOCK + _TAG))
        rest = memoryview(sealed)
        while rest:  # an unbuffered file may take less at once
            rest = rest[self._file.write(rest) :]

    def _opened(self, block: int) -> bytes:
        if self._open[0] != block:
            assert self._file
            sealed = os.pread(self._file.fileno(), BLOCK + _TAG, block * (BLOCK + _TAG))
            self._open = (block, self._cipher.decrypt(_nonce(block), sealed, None))
        return self._open[1]


class Part(io.RawIOBase):
    """What stands in a spool between two offsets, as a file: `io.BufferedReader` makes lines of it."""

    def __init__(self, spool: Spool, start: int, end: int) -> None:
        super().__init__()
        self._spool, self._start, self._at = spool, start, 0
        self.size = end - start

    def slice(self, start: int, end: int) -> bytes:
        """Return what stands between two offsets, as far as there is anything."""
        return self._spool.slice(self._start + start, self._start + min(end, self.size))

    def readable(self) -> bool:
        """Tell that it is read from its front to its end."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on."""
        found = self.slice(self._at, self._at + len(buffer))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _nonce(block: int) -> bytes:
    """Unique under a key: each block is written once (NIST SP 800-38D §8.2.1)."""
    return block.to_bytes(12, "big")
