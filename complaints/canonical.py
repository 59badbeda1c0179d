"""The bytes a signature is about (RFC 6376 §3.4): canonical fields, and digests of the canonical body.

Takes the raw bytes of a message; leaves what a signer hashed. Time is linear and memory constant on every
body: docs/decisions/0012-dkim-in-linear-time.md says why dkimpy does not do it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from complaints.message import Header

MOST_BREAKS = 1_000_000
"""Line ends and runs of white space in one body; 64 MiB of lines as mailers write them have fewer."""

_CHUNK = 1 << 20
_RUN = re.compile(rb"  +")
_BLANKS = re.compile(rb"[ \t]+")
_LINE_END = re.compile(rb"\r?\n")
_BLANK_LINES_BACKWARDS = re.compile(rb"(?:\n\r)*")
_SIGNATURE_VALUE = re.compile(rb"((?:\A|;)[ \t\r\n]*+b[ \t\r\n]*+=)[^;]*+")


class UnreadableBodyError(ValueError):
    """The body has more line ends and runs of white space than are read."""


@dataclass(frozen=True, slots=True)
class BodyHash:
    """Which digest of the body: `limit` is l=, the number of canonical octets hashed (None for all)."""

    relaxed: bool
    algorithm: str
    limit: int | None


def field_bytes(header: Header, *, relaxed: bool) -> bytes:
    """Return one field as it is hashed, with its CRLF."""
    if relaxed:
        name, _, value = _LINE_END.sub(b"", header.raw).partition(b":")
        return name.rstrip().lower() + b":" + _BLANKS.sub(b" ", value).strip() + b"\r\n"
    whole = _LINE_END.sub(b"\r\n", header.raw)
    return whole if whole.endswith(b"\n") else whole + b"\r\n"


def unsigned(header: Header) -> Header:
    """Return the signature field with its b= emptied, white space around it included (RFC 6376 §3.7)."""
    name, _, value = header.raw.partition(b":")
    raw = name + b":" + _SIGNATURE_VALUE.sub(rb"\1", value, count=1)
    return Header(header.name, raw, header.start, header.end)


def body_digests(
    raw: bytes, start: int, wanted: Iterable[BodyHash]
) -> tuple[dict[BodyHash, bytes], dict[bool, int]]:
    """Return the digests of the body that begins at `start`, and its canonical length: relaxed, and simple.

    The body is read once per canonicalisation, however many digests are wanted. Raises UnreadableBodyError.
    """
    digests: dict[BodyHash, bytes] = {}
    sizes: dict[bool, int] = {}
    asked = set(wanted)
    for relaxed in sorted({one.relaxed for one in asked}):
        hashes = {
            name: _Running(hashlib.new(name, usedforsecurity=False))
            for name in sorted({one.algorithm for one in asked if one.relaxed is relaxed})
        }
        for one in asked:
            if one.relaxed is relaxed and one.limit is not None:
                hashes[one.algorithm].limits.append(one.limit)
        for piece in _body(raw, start, relaxed=relaxed):
            for running in hashes.values():
                running.update(piece)
        for one in asked:
            if one.relaxed is relaxed:
                digests[one] = hashes[one.algorithm].digest(one.limit)
                sizes[relaxed] = hashes[one.algorithm].size
    return digests, sizes


@dataclass(slots=True)
class _Running:
    """One hash, with its state at certain lengths."""

    hash: "hashlib._Hash"
    limits: list[int] = field(default_factory=list)
    at: dict[int, bytes] = field(default_factory=dict)
    size: int = 0

    def update(self, piece: bytes) -> None:
        after = self.size + len(piece)
        for limit in [limit for limit in self.limits if limit <= after]:
            self.limits.remove(limit)
            early = self.hash.copy()
            early.update(piece[: limit - self.size])
            self.at[limit] = early.digest()
        self.hash.update(piece)
        self.size = after

    def digest(self, limit: int | None) -> bytes:
        return self.at.get(limit, self.hash.digest()) if limit is not None else self.hash.digest()


def _body(raw: bytes, start: int, *, relaxed: bool) -> Iterator[bytes]:
    """Iterate the canonical body in pieces: empty lines at its end are ignored, and it ends in CRLF.

    An empty body is one CRLF when simple and nothing when relaxed (RFC 6376 §3.4.3 and §3.4.4).
    """
    blank, found = 0, False
    for piece in _relaxed(_lines(raw, start)) if relaxed else _lines(raw, start):
        kept = piece.rstrip(b"\r\n")
        tail = piece[len(kept) :]
        match = _BLANK_LINES_BACKWARDS.match(tail[::-1])
        ends = match.end() // 2 if match else 0
        if len(kept) + len(tail) == 2 * ends:
            blank += ends
            continue
        while blank:
            some = min(blank, _CHUNK)
            yield b"\r\n" * some
            blank -= some
        yield piece[: len(piece) - 2 * ends]
        blank, found = ends, True
    if found or not relaxed:
        yield b"\r\n"


def _lines(raw: bytes, start: int) -> Iterator[bytes]:
    """Iterate the body with every line end CRLF; a bare CR is content. No piece ends in half a line end."""
    held, breaks = b"", 0
    for at in range(start, len(raw), _CHUNK):
        piece = held + raw[at : at + _CHUNK]
        held = b"\r" if piece.endswith(b"\r") else b""
        if held:
            piece = piece[:-1]
        ends = piece.count(b"\n")
        breaks = _within(breaks + ends)
        if ends != piece.count(b"\r\n"):
            piece = piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        if piece:
            yield piece
    if held:
        yield held


def _relaxed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Iterate with runs of white space as one space, and none of it at the ends of lines."""
    held, breaks = b"", 0
    for one in pieces:
        piece = held + one
        if b"\t" in piece:
            piece = piece.replace(b"\t", b" ")
        piece, runs = _RUN.subn(b" ", piece)
        breaks = _within(breaks + runs)
        piece = piece.replace(b" \r\n", b"\r\n")
        held = b" " if piece.endswith(b" ") else b""
        if held:
            piece = piece[:-1]
        if piece:
            yield piece


def _within(breaks: int) -> int:
    if breaks > MOST_BREAKS:
        raise UnreadableBodyError(f"more than {MOST_BREAKS} line ends or runs of white space")
    return breaks
