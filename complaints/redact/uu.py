"""What is uuencoded inside a text, with the way back: a find changes the lines it sits in and no others.

Takes a text, leaves its blocks from `begin` to `end` (POSIX, uuencode). A line that is none is passed over.
"""

import binascii
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from complaints.redact.find import Find, splice

_BEGIN = re.compile(rb"begin [0-7]{3,4} ")
_LINE = re.compile(rb"[^\r\n]+")
_OCTETS = 45
"""Of one line."""


@dataclass(frozen=True, slots=True)
class Block:
    """`content` is what the lines say; `starts` where in it each line begins, `spans` where each stands."""

    content: bytes
    starts: list[int]
    spans: list[tuple[int, int]]

    def encoded(self, text: bytes, finds: list[Find]) -> Iterator[Find]:
        """Write anew the lines in which finds sit; finds are in order and apart, `text` holds the block."""
        first, last, group = -1, -2, list[Find]()
        for find in finds:
            left, right = self._line(find.start), self._line(find.end - 1)
            if left > last and group:
                yield self._anew(text, first, last, group)
                group = []
            first, last = (first if group else left), max(right, last)
            group.append(find)
        if group:
            yield self._anew(text, first, last, group)

    def _line(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1

    def _anew(self, text: bytes, first: int, last: int, finds: list[Find]) -> Find:
        begin = self.starts[first]
        end = self.starts[last + 1] if last + 1 < len(self.starts) else len(self.content)
        new = splice(self.content[begin:end], [find.moved(-begin) for find in finds])
        start, stop = self.spans[first][0], self.spans[last][1]
        line_end = b"\r\n" if text[stop : stop + 1] == b"\r" else b"\n"
        backtick = b"`" in text[start:stop]
        lines = [
            binascii.b2a_uu(new[place : place + _OCTETS], backtick=backtick).rstrip(b"\n")
            for place in range(0, len(new), _OCTETS)
        ]
        return Find(start, stop, line_end.join(lines), f"{finds[0].rule} in uuencoding", plain=False)


def blocks(text: bytes) -> Iterator[Block]:
    """Yield what is uuencoded; one that is cut off ends with the text. Takes linear time."""
    place = 0
    while (match := _BEGIN.search(text, place)) is not None:
        start = text.find(b"\n", match.end()) + 1
        if not start:
            return
        place = text.find(b"\nend", start)
        place = len(text) if place < 0 else place + 1
        yield _block(text, start, place)


def _block(text: bytes, start: int, end: int) -> Block:
    pieces: list[bytes] = []
    starts: list[int] = []
    spans: list[tuple[int, int]] = []
    size = 0
    for line in _LINE.finditer(text, start, end):
        try:
            octets = binascii.a2b_uu(line[0])
        except binascii.Error:
            continue
        if octets:
            pieces.append(octets)
            starts.append(size)
            spans.append(line.span())
            size += len(octets)
    return Block(b"".join(pieces), starts, spans)
