"""Where in a message an offset lies, in words: takes a message, leaves fields, parts and lines."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property

from complaints.message import Header, Message

# Fields other hosts wrote about the way of the mail: their words are host names and ids, not the reporter's
# name.
_TRACE = re.compile(
    r"received|received-spf|message-id|references|in-reply-to|return-path|.*authentication-results.*"
    r"|arc-.*|.*dkim-signature|x-received|list-id|content-type|content-transfer-encoding|mime-version|date",
    re.IGNORECASE,
)


class Places:
    """The fields and parts of a message, by offset; read only where something is found, which is seldom."""

    def __init__(self, message: Message) -> None:
        self.raw = message.raw
        self._message = message
        self._known = (0, 1)

    def outside_parts(self) -> Iterator[tuple[int, int]]:
        """Yield the stretches before, between and behind the parts, where all header fields stand."""
        position = 0
        for part in self._message.leaves():
            yield position, part.start
            position = part.end
        yield position, len(self.raw)

    @cached_property
    def headers(self) -> list[Header]:
        """The fields of the message, and of its parts."""
        inner = [header for part in self._message.leaves() if part.depth for header in part.headers]
        return [*self._message.headers, *inner]

    @cached_property
    def starts(self) -> list[int]:
        """Where each of those begins."""
        return [header.start for header in self.headers]

    @cached_property
    def _parts(self) -> tuple[list[int], list[str]]:
        leaves = list(self._message.leaves())
        return [part.start for part in leaves], [part.content_type for part in leaves]

    def line(self, offset: int) -> int:
        """Return the line an offset lies in, counted from 1."""
        # Offsets come in order, nearly always: each line end is counted once.
        known, line = self._known if self._known[0] <= offset else (0, 1)
        line += self.raw.count(b"\n", known, offset)
        self._known = (offset, line)
        return line

    def header(self, offset: int) -> Header | None:
        """Return the header field an offset lies in."""
        if offset < self._message.body:
            return self._message.field_at(offset)
        index = bisect_right(self.starts, offset) - 1
        return self.headers[index] if index >= 0 and offset < self.headers[index].end else None

    def in_trace(self, offset: int) -> bool:
        """Tell whether an offset lies in a field hosts wrote about the mail's way, or in a field's name."""
        header = self.header(offset)
        if header is None:
            return False
        return offset < header.start + len(header.name) or _TRACE.fullmatch(header.name) is not None

    def told(self, offsets: Iterable[int]) -> Iterator[tuple[str, int]]:
        """Yield for each of some offsets, in order, the field or part that it lies in, and the line."""
        end, where, known, line = -1, "", 0, 1
        for offset in offsets:
            if offset >= end:  # a field has many finds
                header = self.header(offset)
                end = header.end if header is not None else -1
                where = f"header {header.name}" if header is not None else self._part(offset)
                line = self.line(offset)
            else:
                line += self.raw[known:offset].count(b"\n")
            known = offset
            yield where, line

    def _part(self, offset: int) -> str:
        starts, kinds = self._parts
        index = bisect_right(starts, offset) - 1
        return f"part {index + 1} ({kinds[index]})" if index >= 0 else "structure"

    def bodies(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the stretches between two offsets that are no header fields."""
        found, position = [], start
        first = max(0, bisect_right(self.starts, start) - 1)
        for header in self.headers[first:]:
            if header.start >= end:
                break
            if header.start > position:
                found.append((position, header.start))
            position = max(position, header.end)
        if position < end:
            found.append((position, end))
        return found
