"""The smallest stretch that shows somebody: takes pieces of a text and a question, leaves where it is.

The question (`Asking`) is asked of ever smaller stretches, by halves. Whatever it finds in one it finds in
all that hold it, nearly; where that is not so, a stretch is larger than it had to be, and the caller asks
again of what is left.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from complaints.redact import Edit, stand_in

Shows = Callable[[bytes], bool]
"""Whether octets show whom they must not."""
_A_SEARCH = 2_000
"""Octets that a search costs besides its own."""
_MOST_STRETCHES = 16
_PIECE = re.compile(rb"[A-Za-z0-9_+-]+|[^A-Za-z0-9_+-]")
_LONGEST_LINES = 16_384
"""Octets of lines in which words are told apart."""
_BREAKS = frozenset(bytes((octet,)) for octet in b" \t\r\n\"'<>()")
_SHORT_PIECE = 8
ENOUGH = b"zZ" * 40 + b" "
"""Of a few letters nobody asks what may be encoded in them."""


class SpentError(Exception):
    """No more may be searched."""


@dataclass
class Asking:
    """The question, and how many octets may still be searched."""

    shows: Shows
    left: int

    def __call__(self, octets: bytes) -> bool:
        """Whether these show somebody. Raises SpentError."""
        self.left -= len(octets) + _A_SEARCH
        if self.left < 0:
            raise SpentError
        return self.shows(octets)

    def clears(self, octets: bytes) -> bool:
        """Whether octets show nobody; what cannot be searched any more may."""
        try:
            return not self(octets)
        except SpentError:
            return False

    def say(self, line: bytes) -> bytes:
        """What stands for something withheld, unless that names somebody itself."""
        return stand_in.WORDS_GONE if self.shows(b"\r\n" + line) else line

    def stretches(self, items: Sequence[bytes], head: bytes = b"") -> Iterator[tuple[int, int]]:
        """Yield the smallest stretches of items that show, as first and last + 1, each read behind `head`.

        When no more can be searched, or they are many, all that is left is one.
        """
        start, found = 0, 0
        try:
            while start < len(items) and self(head + b"".join(items[start:])):
                if found == _MOST_STRETCHES:
                    yield start, len(items)
                    return
                low, high = self._half_of(items, start, head)
                end = low + self._fewest(items[low:high], head)
                first = end - self._fewest(items[low:end][::-1], head, backwards=True)
                yield first, end
                start, found = end, found + 1
        except SpentError:
            yield start, len(items)

    def _half_of(self, items: Sequence[bytes], low: int, head: bytes) -> tuple[int, int]:
        """Half after half of the items from `low` on, as long as one of the two shows somebody by itself.

        All together they are twice as long as the items, however many those are.
        """
        high = len(items)
        while high - low > 1:
            middle = (low + high) // 2
            if self(head + b"".join(items[low:middle])):
                high = middle
            elif self(head + b"".join(items[middle:high])):
                low = middle
            else:
                break
        return low, high

    def _fewest(self, items: Sequence[bytes], head: bytes, *, backwards: bool = False) -> int:
        """How many items it takes, from the first on, to show what all of them show."""
        low, high = 1, len(items)
        while low < high:
            middle = (low + high) // 2
            some = items[:middle][::-1] if backwards else items[:middle]
            if self(head + b"".join(some)):
                high = middle
            else:
                low = middle + 1
        return low


@dataclass
class Less:
    """A text of lines without what shows in it; `first_line` is the number of its first one.

    `rises`: whether a line of it is a line of the message; of base64 none is.
    """

    ask: Asking
    head: bytes
    where: str
    first_line: int
    rises: bool
    edits: list[Edit] = field(default_factory=list)

    def of(self, text: bytes) -> bytes:
        """The text with as few of its words withheld as can be, or else of its lines."""
        lines = text.splitlines(keepends=True)
        kept: list[bytes] = []
        position = 0
        for first, last in self.ask.stretches(lines, self.head):
            kept += [*lines[position:first], self._lines(lines[first:last], first)]
            position = last
        return b"".join((*kept, *lines[position:]))

    def _lines(self, lines: Sequence[bytes], first: int) -> bytes:
        old = b"".join(lines)
        number = self.first_line + first * self.rises
        less, gone = self._words(old)
        if gone and self.ask.clears(self.head + ENOUGH + less):
            self.edits += [
                Edit(stand_in.WORDS, self.where, number, words, stand_in.WORDS_GONE) for words in gone
            ]
            return less
        new = self.ask.say(stand_in.of_lines(len(lines)))
        self.edits.append(Edit(stand_in.LINES, self.where, number, old.strip(), new))
        return new + old[len(old.rstrip(b"\r\n")) :]

    def _words(self, old: bytes) -> tuple[bytes, list[bytes]]:
        """Lines without the words that show, and those."""
        if len(old) > _LONGEST_LINES or not is_utf8(old):
            return old, []
        pieces = _PIECE.findall(old)
        kept: list[bytes] = []
        gone: list[bytes] = []
        position = 0
        for first, least in self.ask.stretches(pieces, self.head + ENOUGH):
            start, end = max(first, position), _end_of_token(pieces, first, least)
            if start < end:
                kept += [*pieces[position:start], stand_in.WORDS_GONE]
                gone.append(b"".join(pieces[start:end]))
                position = end
        return b"".join((*kept, *pieces[position:])), gone


def _end_of_token(pieces: Sequence[bytes], first: int, last: int) -> int:
    """Where what is encoded there ends: half of a digest shows somebody as well as all of it."""
    size = max(map(len, pieces[first:last]))
    spaced = size <= _SHORT_PIECE and any(piece.isspace() for piece in pieces[first:last])
    while last < len(pieces):
        behind = pieces[last + 1] if last + 1 < len(pieces) else b""
        in_a_row = spaced and pieces[last] == b" " and behind.isalnum() and len(behind) <= size
        if pieces[last] in _BREAKS and not in_a_row:
            break
        last += 1
    return last


def is_utf8(content: bytes) -> bool:
    """Whether octets are text in UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
