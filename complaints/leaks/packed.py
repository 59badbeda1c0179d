"""What archives hold: takes octets, leaves those of each packed stream, however damaged the rest is.

Members of a zip are found by their own headers (APPNOTE 4.3.7), not by its directory: a reader of damaged
archives would find them too.
"""

import bz2
import lzma
import re
import struct
import zlib
from base64 import a85decode
from collections.abc import Iterator
from dataclasses import dataclass

from complaints.leaks.reading import octets_of
from complaints.leaks.scan import finder

MOST_OCTETS = 32 * 1024 * 1024
"""Unpacked octets of one message that are looked at."""
MOST_STREAMS = 2_000
_SIGNS = b"\x04\x1f\xfd\0"
_WORDS = (finder(rb"BZh"), finder(rb"stream"))
"""What the beginnings hold that is rare in texts."""
_ZLIB_FROM = rb"[\x08\x18\x28\x38\x48\x58\x68\x78]"
_STREAM = rb"stream\r?\n(?:" + _ZLIB_FROM + rb"|G[Q\[abh])"
_ASCII85 = re.compile(rb"stream\r?\n(?=G[Q\[abh])([!-uz\s]*+)")
"""A stream of a PDF file whose zlib is ASCII85: its first octets are one of few pairs of letters."""
_START = finder(rb"PK\x03\x04|\x1f\x8b\x08|BZh[1-9]1AY&SY|\xfd7zXZ\x00", _STREAM, rb"[zi]TXt[ -~]{1,79}\x00")
"""Where an archive begins that is opened here, a stream of a PDF file, or a text in a picture."""
_ZLIB = re.compile(
    rb"(?:stream\r?\n|zTXt[ -~]{1,79}\0\0|iTXt[ -~]{1,79}\x00\x01\x00[^\x00]{0,99}\x00[^\x00]{0,999}\x00)(?="
    + _ZLIB_FROM
    + rb")"
)
"""What stands before the zlib in them (ISO 32000-1, 7.3.8; PNG, 11.3.4)."""
_TOKEN_FROM = finder(rb"e(?:J[w-z]|N[o-r]|A[E-H]|F[4-7])[A-Za-z0-9+/_-]{12}")
"""With what zlib begins in base64: a stream that mailers put into a link (RFC 1950 §2.2)."""
_TOKEN = re.compile(rb"[A-Za-z0-9+/_-]+(?>(?:=?\r?\n[ \t]*[A-Za-z0-9+/_-]+)*)")
_NO_TOKEN = b"=\r\n\t "
_BEGINS = re.compile(rb"(?:[%=]..|.*[^A-Za-z0-9]|)\Z", re.DOTALL)
"""What may stand before a token: a sign, the code of one, or nothing."""
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PICTURE = re.compile(rb"/Subtype\s{0,9}/Image")
_BEFORE = 1024
_ZIP_HEADER = struct.Struct("<4sHHHHHIIIHH")
_ENCRYPTED = 1
_CHUNK = 65_536
_FEW = 64
"""So many octets at once are unpacked of what may be broken: of those with the break nothing is said."""


@dataclass
class Room:
    """How much may still be unpacked. `full` says that something was left packed for lack of room."""

    octets: int = MOST_OCTETS
    streams: int = MOST_STREAMS
    full: bool = False


def unpacked(octets: bytes, room: Room) -> Iterator[bytes]:
    """Yield what the gzip, bzip2, xz streams and zip members hold that begin anywhere in these octets."""
    # Packed octets are never all ASCII, but for a file that is only stored in a zip.
    if octets.isascii():
        if 4 not in octets:
            return
    elif not any(sign in octets for sign in _SIGNS) and all(word(octets, 0) < 0 for word in _WORDS):
        return
    view, place = memoryview(octets), 0
    while (start := _START(octets, place)) >= 0:
        if room.streams <= 0 or room.octets <= 0:
            room.full = True
            return
        if octets[start] in b"siz" and not _is_text(octets, start):
            place = start + 4
            continue
        room.streams -= 1
        if octets.startswith(b"PK", start):
            content, end = _member(octets, view, start, room)
        elif octets[start] in b"siz":
            content, end = _stream(octets, view, start, room)
        else:
            make = _opener(octets[start : start + 1])
            content, end = _inflated(make, view[start:], room)
            end += start
        if content:
            yield content
        place = max(end, start + 4)


def unpacked_tokens(text: bytes, room: Room) -> Iterator[bytes]:
    """Yield what the tokens hold that are zlib in base64; one that is broken, up to where it breaks."""
    place = _TOKEN_FROM(text, 0)
    while place >= 0:
        token = _TOKEN.match(text, place)
        end = token.end() if token else place + 1
        if _BEGINS.match(text[max(place - 3, 0) : place]):
            if room.streams <= 0 or room.octets <= 0:
                room.full = True
                return
            octets = octets_of(text[place:end].translate(_STANDARD, _NO_TOKEN))
            content, _ = _inflated(zlib.decompressobj(), memoryview(octets), room, at_once=_FEW)
            if content:
                room.streams -= 1
                yield content
        place = _TOKEN_FROM(text, end)


def _opener(first: bytes) -> "zlib._Decompress | bz2.BZ2Decompressor | lzma.LZMADecompressor":
    if first == b"\x1f":
        return zlib.decompressobj(31)
    return bz2.BZ2Decompressor() if first == b"B" else lzma.LZMADecompressor(memlimit=2 * MOST_OCTETS)


def _member(octets: bytes, view: memoryview, start: int, room: Room) -> tuple[bytes, int]:
    """Return the name and content of a zip member, and where it ends. Nobody without the key reads others."""
    if len(octets) - start < _ZIP_HEADER.size:
        return b"", len(octets)
    _, _, flags, method, _, _, _, size, _, name_size, extra = _ZIP_HEADER.unpack_from(octets, start)
    name_at = start + _ZIP_HEADER.size
    name = octets[name_at : name_at + name_size] + b"\n"
    at = name_at + name_size + extra
    if flags & _ENCRYPTED:
        return name, at
    if method == 0:
        return name + octets[at : at + size], at  # what is stored may hold archives by itself
    if method == 8:
        content, end = _inflated(zlib.decompressobj(-15), view[at:], room)
        return name + content, at + end
    if method == 12:
        content, end = _inflated(bz2.BZ2Decompressor(), view[at:], room)
        return name + content, at + end
    return name, at


def _is_text(octets: bytes, start: int) -> bool:
    """Whether a stream may hold letters; nobody reads the pixels of a picture."""
    first = max(start - _BEFORE, 0)
    if octets[start : start + 1] == b"s" and _PICTURE.search(
        octets, max(octets.rfind(b"obj", first, start), first), start
    ):
        return False
    return _ZLIB.match(octets, start) is not None or _ASCII85.match(octets, start) is not None


def _stream(octets: bytes, view: memoryview, start: int, room: Room) -> tuple[bytes, int]:
    """Return what a stream of a PDF file holds, or a text in a picture, and where it ends."""
    coded = _ASCII85.match(octets, start)
    if coded is None:
        at = _ZLIB.match(octets, start).end()  # type: ignore[union-attr]  # `_is_text` said so
        content, end = _inflated(zlib.decompressobj(), view[at:], room)
        return content, at + end
    try:
        packed = a85decode(coded[1], ignorechars=b" \t\r\n\f\v")
    except ValueError:  # broken: nobody can read what it holds
        return b"", coded.end()
    return _inflated(zlib.decompressobj(), memoryview(packed), room)[0], coded.end()


def _inflated(
    opener: "zlib._Decompress | bz2.BZ2Decompressor | lzma.LZMADecompressor",
    packed: memoryview,
    room: Room,
    at_once: int = _CHUNK,
) -> tuple[bytes, int]:
    """Unpack one stream as far as it goes and there is room; returns where it ended too."""
    pieces: list[bytes] = []
    place = 0
    try:
        while place < len(packed) and not opener.eof:
            given = packed[place : place + at_once]
            place += len(given)
            piece = opener.decompress(given, room.octets + 1)
            room.octets -= len(piece)
            pieces.append(piece)
            if room.octets < 0:
                room.full = True
                break
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        return b"".join(pieces), 0  # damaged, or none: what came before has been read
    return b"".join(pieces), place - len(opener.unused_data)
