"""Packed tokens inside a text: takes a text, leaves what zlib and gzip in base64 say, and the way back.

Mailers pack what they know of a click into its link, the recipient too (Mailgun does). Such a token begins
with the header of a stream (RFC 1950 §2.2, RFC 1952 §2.3.1) and so with letters that tell it from a word.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from complaints.redact.find import Find, splice
from complaints.redact.tokens import URL_SAFE

_ZLIB, _GZIP = rb"e(?:J[w-z]|N[o-r]|A[E-H]|F[4-7])", b"H4sI"
HEADS = (*(b"e" + row for row in b"Jw Jx Jy Jz No Np Nq Nr AE AF AG AH F4 F5 F6 F7".split()), _GZIP)
"""The letters with which such a token begins."""
_TOKEN = re.compile(
    rb"(?:(?<![A-Za-z0-9+])|(?<=[%=][0-9A-Fa-f]{2}))(?:" + _ZLIB + b"|" + _GZIP + rb")[A-Za-z0-9+/_-]{16,}+"
    rb"(?>(?:\r?\n[ \t]{1,8}[A-Za-z0-9+/_-]++)*)"
)
_BREAK = re.compile(rb"\s+")
_TIMES = 16
"""So many times its own size is unpacked of a token: what mailers write is smaller."""
_ZLIB_OR_GZIP = 47


@dataclass(frozen=True)
class Packed:
    """A token from `start` to `end` in the text, in the alphabet of links or not, and what it says."""

    start: int
    end: int
    content: bytes
    url_safe: bool

    def encoded(self, finds: list[Find]) -> Find:
        """The token written anew without what was found in its content."""
        packed = zlib.compress(splice(self.content, finds))
        letters = base64.urlsafe_b64encode(packed) if self.url_safe else base64.b64encode(packed)
        rule = f"{finds[0].rule} in a packed token"
        return Find(self.start, self.end, letters.rstrip(b"="), rule, plain=False)


def packed_finds(text: bytes, places: Iterable[int], finds: Callable[[bytes], list[Find]]) -> Iterator[Find]:
    """Yield what in packed tokens the question `finds` has an answer to; at `places` one may begin."""
    found = list(_tokens(text, places))
    # Most say nothing, which is told of all of them at once.
    if found and finds(b"\n\n".join([one.content for one in found])):
        yield from (one.encoded(inside) for one in found if (inside := finds(one.content)))


def _tokens(text: bytes, places: Iterable[int]) -> Iterator[Packed]:
    done = 0
    for place in places:
        match = _TOKEN.match(text, place) if place >= done else None
        if match is None:
            continue
        done = match.end()
        letters = _BREAK.sub(b"", match[0])
        # A single letter over holds nothing.
        whole = letters[:-1] if len(letters) % 4 == 1 else letters
        octets = binascii.a2b_base64(whole.translate(URL_SAFE) + b"==")
        opener = zlib.decompressobj(_ZLIB_OR_GZIP)
        content = _unpacked(opener, octets, _TIMES * len(letters))
        if content:
            used = -(-(len(octets) - len(opener.unused_data)) * 4 // 3)
            end = match.end() if used >= len(letters) else _place(match, used)
            yield Packed(match.start(), end, content, url_safe=b"+" not in letters and b"/" not in letters)


def _unpacked(opener: "zlib._Decompress", octets: bytes, most: int) -> bytes:
    """What a stream says, of a broken one what stands before the break."""
    try:
        return opener.decompress(octets, most)
    except zlib.error:
        pass
    # All was refused at once: piece by piece it says something up to where it breaks.
    opener, pieces = zlib.decompressobj(_ZLIB_OR_GZIP), list[bytes]()
    with suppress(zlib.error):
        pieces += (opener.decompress(octets[place : place + 1]) for place in range(len(octets)))
    return b"".join(pieces)


def _place(match: re.Match[bytes], used: int) -> int:
    """Where in the text so many letters of a token end, line breaks inside it not counted."""
    place = match.start()
    for piece in _BREAK.split(match[0]):
        if used <= len(piece):
            return place + used
        used -= len(piece)
        gap = _BREAK.match(match.string, place + len(piece))
        place = gap.end() if gap else match.end()
    return match.end()
