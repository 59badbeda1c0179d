"""What is packed inside a file: takes octets of any kind, leaves what the streams in them hold, and in those.

Found by how each begins, wherever it does: gzip (RFC 1952 §2.3.1), members of a zip (APPNOTE 4.3.7), bzip2,
xz, streams of a PDF file (ISO 32000-1, 7.3.8) and texts in a picture (PNG 11.3.4). Nothing in them can be
rewritten without breaking the file around it, so they are only looked into.
"""

import base64
import bz2
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from complaints.redact.hide import WORDS, Hider
from complaints.redact.sieve import automaton

MOST_OCTETS = 16 * 1024 * 1024
"""Octets unpacked of one message."""
MOST_STREAMS = 2_000
MOST_INSIDE = 4
"""Files packed into each other that are opened."""
_TEXT_CHUNK = r"[zi]TXt"
_PACKED = (r"PK\x03\x04", r"\x1f\x8b\x08", r"BZh[1-9]1AY&SY", r"\xfd7zXZ\x00", _TEXT_CHUNK, r"%PDF-")
_MAY_BE = automaton([re.sub("[A-Z]", lambda letter: f"[{letter[0]}]", one) for one in _PACKED])
_BEGIN = re.compile(
    rb"PK\x03\x04(?P<zip>)|(?P<gzip>)\x1f\x8b\x08|(?P<bzip2>)BZh[1-9]1AY&SY|(?P<xz>)\xfd7zXZ\x00"
    rb"|zTXt[ -~]{1,79}\x00\x00(?P<text>)"
    rb"|iTXt[ -~]{1,79}\x00\x01\x00[^\x00]{0,99}\x00[^\x00]{0,999}\x00(?P<itext>)"
    rb"|stream\r?\n(?P<pdf>)"
)
_PICTURE = re.compile(rb"/Subtype\s{0,9}/Image|/FontFile|/Length1\b|/CIDFontType0C|/Type1C|/OpenType")
"""Streams of a PDF file that hold no letters but pixels and the shapes of letters."""
_ASCII85 = re.compile(rb"/(?:ASCII85Decode|A85)\b")
"""Around what is packed; ReportLab writes so."""
_DICTIONARY = 1_024
"""Octets before a stream of a PDF file in which it is told what it is."""
_KERNED = re.compile(rb"\)\s{0,3}-?[0-9.]{1,9}\s{0,3}\(")
"""What stands between the pieces of one line of a page (ISO 32000-1, 9.4.3)."""
_LOCAL_HEADER = 30
_CHUNK = 65_536
_HEAD = 4_096
_READABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"


class _Opener(Protocol):
    """What unpacks a stream piece by piece."""

    @property
    def eof(self) -> bool:
        """Whether the stream is at its end."""

    @property
    def unused_data(self) -> bytes:
        """What was given and stands behind it."""

    def decompress(self, data: memoryview, max_length: int, /) -> bytes:
        """Unpack some more, at most so many octets."""


@dataclass
class Room:
    """How much may still be unpacked of one message; `full` says that something was left for lack of it."""

    octets: int = MOST_OCTETS
    streams: int = MOST_STREAMS
    full: bool = False


def may_hold(content: bytes) -> bool:
    """Tell at the speed of reading whether anything packed may be in these octets."""
    return not content.isascii() and _MAY_BE.search(content) is not None


def shows(content: bytes, room: Room, hider: Hider) -> bool:
    """Tell whether anything packed in these octets gives an identity away.

    In what is no text mere names prove nothing, and no letters are taken for an encoding.
    """
    for stream in streams(content, room):
        head = stream[:_HEAD].replace(b"\0", b"")
        is_text = len(head.translate(None, _READABLE)) * 8 <= len(head)
        finds = hider.finds(stream.replace(b"\0", b""), tokens=is_text)
        if any(is_text or find.rule not in WORDS for find in finds):
            return True
    return False


def streams(content: bytes, room: Room, inside: int = 0) -> Iterator[bytes]:
    """Yield what each stream in a file holds, and what is packed in that."""
    view, place = memoryview(content), 0
    while (begin := _BEGIN.search(content, place)) is not None:
        if room.streams <= 0 or room.octets <= 0:
            room.full = True
            return
        room.streams -= 1
        name, kind, start, opener = _what(content, begin, room)
        packed = memoryview(_from_ascii85(content, start, room)) if kind == "ascii85" else view[start:]
        unpacked, end = _unpacked(opener, packed, room) if opener is not None else (b"", 0)
        place = max(begin.end(), start + end) if end and kind != "ascii85" else begin.end()
        found = name + unpacked
        if found:
            yield _KERNED.sub(b"", found) if kind in {"pdf", "ascii85"} else found
        if inside < MOST_INSIDE and may_hold(unpacked):
            yield from streams(unpacked, room, inside + 1)


def _what(content: bytes, begin: re.Match[bytes], room: Room) -> tuple[bytes, str, int, _Opener | None]:
    """The name of what begins there, its kind, where its packed octets are, and what unpacks them."""
    kind = begin.lastgroup or ""
    if kind == "zip":
        return _member(content, begin.start(), room)
    if kind == "gzip":
        return b"", kind, begin.start(), zlib.decompressobj(31)
    if kind == "bzip2":
        return b"", kind, begin.start(), bz2.BZ2Decompressor()
    if kind == "xz":
        return b"", kind, begin.start(), lzma.LZMADecompressor(memlimit=2 * MOST_OCTETS)
    start = begin.end()
    dictionary = content[
        max(content.rfind(b"obj", max(begin.start() - _DICTIONARY, 0), start), 0) : begin.start()
    ]
    if kind == "pdf" and _PICTURE.search(dictionary):
        return b"", kind, start, None
    if kind == "pdf" and _ASCII85.search(dictionary):
        kind = "ascii85"
    return b"", kind, start, zlib.decompressobj()


def _from_ascii85(content: bytes, start: int, room: Room) -> bytes:
    """What stands there in ASCII85 (ISO 32000-1, 7.4.3), up to its end; nothing where that is broken."""
    end = content.find(b"~>", start, start + room.octets)
    letters = content[start : end if end >= 0 else start + room.octets]
    room.octets -= len(letters)
    try:
        return base64.a85decode(letters, ignorechars=b"\0\t\n\x0c\r ")
    except ValueError:
        return b""


def _member(content: bytes, start: int, room: Room) -> tuple[bytes, str, int, _Opener | None]:
    """A file in a zip; of one that is encrypted only the name, for nobody without the key reads more."""
    header = content[start : start + _LOCAL_HEADER].ljust(_LOCAL_HEADER, b"\0")
    flags, method = (int.from_bytes(header[at : at + 2], "little") for at in (6, 8))
    size, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    at = start + _LOCAL_HEADER
    name, packed = content[at : at + size] + b"\n", at + size + extra
    opener: _Opener | None = None
    if not flags & 1:
        opener = zlib.decompressobj(-15) if method == 8 else bz2.BZ2Decompressor() if method == 12 else None
    stored = min(int.from_bytes(header[18:22], "little"), room.octets) if method == 0 else 0
    room.octets -= stored
    return name + content[packed : packed + stored], "zip", packed, opener


def _unpacked(opener: _Opener, packed: memoryview, room: Room) -> tuple[bytes, int]:
    """Unpack a stream as far as it goes and there is room; where it ends, or 0 for damaged."""
    pieces: list[bytes] = []
    place = 0
    try:
        while place < len(packed) and not opener.eof:
            given = packed[place : place + _CHUNK]
            place += len(given)
            pieces.append(opener.decompress(given, room.octets + 1))
            room.octets -= len(pieces[-1])
            if room.octets < 0:
                room.full = True
                break
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        return b"".join(pieces), 0
    return b"".join(pieces), place - len(opener.unused_data)
