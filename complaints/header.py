"""The fields of a header, by byte offsets.

Takes the raw bytes of any mail, however broken; leaves its header fields as slices of those bytes. Nothing
here raises on content or takes more than linear time.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from complaints.encodings import decode_words, printable

MAX_HEADERS = 5_000
"""Header fields read from one block; what follows belongs to the body."""
LONGEST_FIELD = 65_536
"""Bytes of one header field body that `value` and `text` read."""

# A line that ends in LF, CRLF or at the end of the bytes; a bare CR is content (RFC 5321 §2.3.8).
# Each repetition of a group costs memory until the match ends: a field has 20,000 lines at most.
_ONE_FIELD = rb"(?!--)([!-9;-~]++)[ \t]*+:[^\n]*+(?>(?:\n[ \t][^\n]*+){0,20000})\n?"
_FIELD = re.compile(_ONE_FIELD)
_FIELDS = re.compile(rb"^(" + _ONE_FIELD + rb")", re.MULTILINE)
_STRAY = re.compile(rb">?From [^\n]*\n")
_BLANK = re.compile(rb"\r?\n")
_FOLD = re.compile(rb"\r?\n(?=[ \t])|\r?\n\Z")


class Header(NamedTuple):
    """One header field (a tuple: a message has dozens, and nothing immutable is made faster).

    `raw` is the whole field as it stands in the message, `message.raw[start:end]`, with its folds and final
    line end.
    """

    name: str
    raw: bytes
    start: int
    end: int

    @property
    def body(self) -> bytes:
        """The field body with its folds and final line end."""
        return self.raw[self.raw.index(b":") + 1 :]

    @property
    def value(self) -> bytes:
        """The start of the field body, unfolded (RFC 5322 §2.2.3), otherwise byte for byte."""
        raw = self.raw
        colon = raw.index(b":") + 1
        body = raw[colon : colon + LONGEST_FIELD]
        value = body.strip()
        # Most fields are one line, and have nothing to unfold.
        return _FOLD.sub(b"", body).strip() if b"\n" in value else value

    @property
    def text(self) -> str:
        """The start of the field body for people: unfolded, decoded (RFC 2047), control characters hidden."""
        return printable(decode_words(self.value))


class Block:
    """The header fields of one message. A `Header` is made when one is asked for: most never are."""

    __slots__ = ("_all", "_names", "_places", "_raws", "_starts")

    def __init__(self, raws: tuple[bytes, ...], names: tuple[bytes, ...], starts: list[int]) -> None:
        self._raws = raws
        self._names = names
        self._starts = starts
        self._all: tuple[Header, ...] | None = None
        places: dict[str, list[int]] = {}
        for place, name in enumerate(b"\n".join(names).lower().decode("ascii").split("\n") if names else ()):
            if name in places:
                places[name].append(place)
            else:
                places[name] = [place]
        self._places = places

    def all(self) -> tuple[Header, ...]:
        """Return the fields in their order."""
        if self._all is None:
            self._all = tuple(self._made(range(len(self._raws))))
        return self._all

    def names(self) -> Iterable[str]:
        """Return the names that there are in lower case, each once."""
        return self._places

    def named(self, name: str) -> list[Header]:
        """Return all fields of this name, in lower case, topmost first."""
        places = self._places.get(name)
        return self._made(places) if places else []

    def at(self, offset: int) -> Header | None:
        """Return the field that an offset lies in."""
        place = bisect_right(self._starts, offset) - 1
        # Behind the last field there is a start of none.
        if not 0 <= place < len(self._raws) or offset >= self._starts[place] + len(self._raws[place]):
            return None
        return self._made((place,))[0]

    def _made(self, places: Iterable[int]) -> list[Header]:
        raws, names, starts, new = self._raws, self._names, self._starts, tuple.__new__
        # What Header() does, without a call of Python code.
        return [
            new(Header, (str(names[n], "ascii"), raws[n], starts[n], starts[n] + len(raws[n])))
            for n in places
        ]


def read_block(raw: bytes, start: int, end: int) -> Block | None:
    """Read what is nothing but fields, as nearly every header is, in one go; None for anything else.

    Of a part this would not be linear: the block reaches to the next blank line, over parts that have none.
    """
    found = _FIELDS.findall(raw, start, end)
    if not found or len(found) > MAX_HEADERS:
        return None
    raws, names = zip(*found, strict=True)
    starts = list(accumulate(map(len, raws), initial=start))
    # Anything between the fields makes them end before the block does.
    return Block(raws, names, starts) if starts[-1] == end else None


def read_fields(raw: bytes, start: int, stop: int) -> tuple[tuple[Header, ...], int]:
    """Read the fields from `start`, one by one; return them and the offset of the body."""
    headers: list[Header] = []
    position, field_at = start, _FIELD.match
    while position < stop and len(headers) < MAX_HEADERS:
        match = field_at(raw, position, stop)
        if match is not None:
            end = match.end()
            whole, name = match.group(0, 1)
            headers.append(Header(str(name, "ascii"), whole, position, end))
            position = end
            continue
        # An mbox line among the fields is passed over; any other line without a name ends the block, as it
        # does for the mail servers that wrote the fields above it.
        stray = _STRAY.match(raw, position, stop) if headers else None
        if stray is None:
            break
        position = stray.end()
    blank = _BLANK.match(raw, position, stop)
    return tuple(headers), blank.end() if blank else position


def block_of(headers: tuple[Header, ...]) -> Block:
    """Return the block of fields that were read one by one."""
    return Block(
        tuple(header.raw for header in headers),
        tuple(header.name.encode("ascii") for header in headers),
        [header.start for header in headers],
    )
