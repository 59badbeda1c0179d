"""An mbox (RFC 4155) of any size: takes a stream, leaves its mails one after the other, one held at a time.

Where a mail begins and ends is the rule of `mbox_marks.py`. What quoted `From ` at the start of a line as
`>From ` (mboxo, mboxrd) is undone, one `>` of each such line, so that signatures hold again; in a mail with a
bare `From ` line nothing was quoted (mboxcl2), and it stays as it is.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from complaints.mbox_marks import (
    BEHIND,
    BLANK,
    FIELD,
    LENGTH,
    LINE,
    MOST_BLANK,
    MOST_EMPTY,
    START,
    told_end,
)

HEAD = 8_192
"""Bytes by whose look an mbox is known."""
LONGEST_EMPTY = 2 * MOST_BLANK
"""Bytes of an empty mail."""
_LINE = 65_536  # bytes read at once of a line without end
_PROOF = 4_096  # bytes by which a mail is known again
_QUOTED = re.compile(rb"\n>(>*From )")
_BODY = re.compile(rb"^\r?\n", re.MULTILINE)
_TELLING = rb"(?:\r?\n|From |(?i:content-length))"
_TELLS, _NEXT_TELLS = re.compile(_TELLING), re.compile(rb"\n" + _TELLING)
"""A line of a header by which we may learn where something begins or ends; all others are taken together."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A mail in an mbox: its number, the bytes from its `From ` line to the next, and how many it has itself.

    `raw` is None when these are more than may be held. `proof` is a digest by which it is known again.
    """

    index: int
    start: int
    end: int
    size: int
    raw: bytes | None
    proof: str

    def mark(self) -> str:
        """What `go_on` takes."""
        return json.dumps({"index": self.index, "start": self.start, "end": self.end, "proof": self.proof})


class Beside(Protocol):
    """A stream whose bytes further on can be looked at while it is read."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    def slice(self, start: int, end: int) -> bytes:
        """Those between two offsets."""


class _File:
    """A file as one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def slice(self, start: int, end: int) -> bytes:
        return os.pread(self._descriptor, end - start, start)


def is_mbox(head: bytes) -> bool:
    """Tell by the first bytes."""
    return START.match(head) is not None


def go_on(stream: BinaryIO, mark: str | None) -> tuple[int, int]:
    """Where the mail after the marked one begins, and its number; (0, 0) when this is not the mbox it was.

    The marked mail itself is taken again when more of it was written since.
    """
    if not mark:
        return 0, 0
    known = json.loads(mark)
    start, end, index = known["start"], known["end"], known["index"]
    stream.seek(start)
    if _proof(stream.read(min(_PROOF, end - start))) != known["proof"]:
        return 0, 0
    stream.seek(end)
    return (end, index + 1) if stream.read(5) in {b"", b"From "} else (start, index)


def pieces(
    stream: BinaryIO,
    most: int,
    *,
    head: bytes = b"",
    at: int = 0,
    index: int = 0,
    beside: Beside | None = None,
) -> Iterator[Piece]:
    """The mails of a stream that stands at a `From ` line, of which `head` is read already.

    `most` is how many bytes of a mail are held; `at` and `index` where that line is, and its mail's number;
    `beside` what the stream reads from, where it is no file.
    """
    file = None if head else beside or _file(stream)
    mail = _Growing(most, at, index)
    maybe, quiet, blank, offset = _Maybe(), 0, True, at
    lines = _Lines(stream, head)
    while True:
        if not maybe and offset > at and (run := lines.run(in_header=mail.in_header)):
            mail.add(run)
            offset += len(run)
            blank = run in BLANK or run.endswith((b"\n\n", b"\n\r\n"))
            continue
        line, whole = lines.line()
        if not line:
            break
        if maybe.opened_by(line):
            for where, (opening, *gap) in maybe.taken(offset):
                if mail.size:
                    yield mail.piece(where)
                    mail = _Growing(most, where, mail.index + 1)
                mail.add(opening, opens=True)
                mail.add_each(gap)
        looked_at = whole and offset >= quiet and (blank or offset == quiet)
        mail.add_each(maybe.passed_by(line, mark=offset == at or bool(looked_at and LINE.match(line))))
        offset += len(line)
        blank = line in BLANK
        if blank and mail.length is not None:
            quiet = _end_told(file, offset, mail.length)
            mail.length = None
    mail.add_each(maybe.passed_by(b"", mark=False))
    if mail.size:
        yield mail.piece(offset)


class _Maybe:
    """`From ` lines that begin mails if a header field follows the last one; the others then, empty mails."""

    def __init__(self) -> None:
        self._groups: list[list[bytes]] = []
        """Each such line with the blank lines behind it."""

    def __bool__(self) -> bool:
        return bool(self._groups)

    def opened_by(self, line: bytes) -> bool:
        """Tell by the next line whether they begin mails."""
        return bool(self._groups) and len(self._groups[-1]) == 1 and FIELD.match(line) is not None

    def taken(self, end: int) -> list[tuple[int, list[bytes]]]:
        """All of them, which end at an offset, with the offset of each."""
        found: list[tuple[int, list[bytes]]] = []
        for group in reversed(self._groups):
            end -= sum(map(len, group))
            found.append((end, group))
        self._groups = []
        return found[::-1]

    def passed_by(self, line: bytes, *, mark: bool) -> list[bytes]:
        """Keep the next line if it may belong here; return the lines, it among them, that begin nothing."""
        groups = self._groups
        if mark and (not groups or len(groups[-1]) > 1):
            groups.append([line])
            return groups.pop(0) if len(groups) > MOST_EMPTY + 1 else []
        if groups and line in BLANK and len(groups[-1]) <= MOST_BLANK:
            groups[-1].append(line)
            return []
        self._groups = [[line]] if mark else []
        return [one for group in groups for one in group] + ([] if mark else [line])


class _Growing:
    """A mail that is being read."""

    def __init__(self, most: int, start: int, index: int) -> None:
        self._most, self._start, self.index = most, start, index
        self._lines: list[bytes] = []
        self._head = b""
        self.in_header = True
        self.size = 0
        self.length: int | None = None
        """What Content-Length says, once; None again when it was looked at."""

    def add(self, line: bytes, *, opens: bool = False) -> None:
        """One more line; `opens`: the `From ` line itself, which is no part of the mail."""
        if len(self._head) < _PROOF:
            self._head += line[:_PROOF]
        if opens:
            return
        if self.in_header:
            self.in_header = line not in BLANK
            if told := LENGTH.match(line):
                self.length = int(told[1])
        self.size += len(line)
        if self.size <= self._most:
            self._lines.append(line)
        else:
            self._lines.clear()

    def add_each(self, lines: Iterable[bytes]) -> None:
        """Lines one by one."""
        for line in lines:
            self.add(line)

    def piece(self, end: int) -> Piece:
        """The mail, whole; the blank line before the next one belongs to the mbox."""
        raw = _unquoted(b"".join(self._lines)) if self.size <= self._most else None
        return Piece(self.index, self._start, end, self.size, raw, _proof(self._head[: end - self._start]))


class _Lines:
    """The lines of a stream of which `head` is read already; many at once where none can begin a mail."""

    def __init__(self, stream: BinaryIO, head: bytes) -> None:
        self._read = getattr(stream, "read1", stream.read)  # what a pipe has, without waiting for more
        self._buffer, self._at = head, 0
        self._fresh = True

    def line(self) -> tuple[bytes, bool]:
        """The next, and whether it is whole from its first byte on: one without end comes in parts.

        Empty at the end.
        """
        while (end := self._buffer.find(b"\n", self._at, self._at + _LINE) + 1) == 0:
            if len(self._buffer) - self._at >= _LINE:
                end = self._at + _LINE
                break
            more = self._read(_LINE)
            self._buffer, self._at = self._buffer[self._at :] + more, 0
            if not more:
                end = len(self._buffer)
                break
        line, whole = self._buffer[self._at : end], self._fresh
        self._at, self._fresh = end, line.endswith(b"\n")
        return line, whole

    def run(self, *, in_header: bool) -> bytes:
        """The next whole lines that are at hand, up to one that begins `From `; empty where that is next.

        In a header also up to one that ends it, or tells the length of the body.
        """
        if not self._fresh or self._buffer.startswith(b"From ", self._at):
            return b""
        if in_header:
            if _TELLS.match(self._buffer, self._at):
                return b""
            telling = _NEXT_TELLS.search(self._buffer, self._at)
            found = telling.start() if telling else -1
        else:
            found = self._buffer.find(b"\nFrom ", self._at)
        end = (found if found >= 0 else self._buffer.rfind(b"\n", self._at)) + 1
        run, self._at = self._buffer[self._at : max(end, self._at)], max(end, self._at)
        return run


def _file(stream: BinaryIO) -> Beside | None:
    """Where bytes further on can be looked at; None for a stream that is no file."""
    try:
        return _File(stream.fileno()) if stream.seekable() else None
    except io.UnsupportedOperation:
        return None


def _end_told(file: Beside | None, body: int, length: int) -> int:
    """Where a mail ends whose body of `length` begins at `body`; 0 when that cannot be right."""
    if file is None:
        return 0
    end = body + length
    return told_end(end, file.size, file.slice(end, end + BEHIND))


def _unquoted(raw: bytes) -> bytes:
    if raw in BLANK:
        return b""
    if raw.endswith((b"\n\n", b"\n\r\n")):
        raw = raw[:-2] if raw.endswith(b"\r\n") else raw[:-1]
    if b"\n>" not in raw or (body := _BODY.search(raw)) is None:
        return raw
    line = body.end() - 1  # the end of the line before the body
    if raw.find(b"\nFrom ", line) >= 0:
        return raw
    return raw[:line] + _QUOTED.sub(rb"\n\1", raw[line:])


def _proof(begin: bytes) -> str:
    return hashlib.sha256(begin[:_PROOF]).hexdigest()
