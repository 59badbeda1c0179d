"""Where the mails of an mbox (RFC 4155) begin and end: one rule, for files of any size and for bytes in hand.

A `From ` line begins a mail at the front and after a blank line, where a time stands in it and a header field
follows: a sentence may begin with "From" too. An empty mail has none: blank lines follow, and the line of the
next mail. Content-Length (mboxcl) is believed where such a line or the end stands right behind it; what lies
within is the mail's own, whatever its sender made it look like.
"""

import re
from collections.abc import Iterator
from itertools import islice

LINE = re.compile(rb"From [^\n]{0,500}\d:\d\d[^\n]{0,500}\n")
FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|>From ")
MOST_EMPTY, MOST_BLANK = 20, 4
"""Empty mails in a row that are known as such, and the blank lines of each."""
_GAP = rb"(?:\r?\n){1,%d}" % MOST_BLANK
_EMPTY = re.compile(LINE.pattern + _GAP)
START = re.compile(
    rb"From [^\n]*\n(?=(?>(?>%b%b){0,%d})(?:%b))" % (_GAP, LINE.pattern, MOST_EMPTY, FIELD.pattern)
)
"""The front of an mbox."""
LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,15})[ \t\r]*\n", re.IGNORECASE | re.MULTILINE)
BLANK = (b"\n", b"\r\n")
BEHIND = 7
"""Bytes behind a told length by which it is believed: two line ends, and `From `."""
_NEXT = re.compile(b"^" + LINE.pattern + b"(?=" + FIELD.pattern + b")", re.MULTILINE)
_LONGEST = 1_100  # bytes of an empty mail with its line
_BODY = re.compile(rb"^\r?\n", re.MULTILINE)


def told_end(end: int, size: int, behind: bytes) -> int:
    """Where a mail ends by its Content-Length, the line ends behind it included; 0 when that cannot be right.

    `end` is what was told, `size` that of the whole mbox, `behind` the `BEHIND` bytes at `end`.
    """
    if end > size:
        return 0
    gap = len(behind) - len(behind.lstrip(b"\r\n"))
    return end + gap if end + gap == size or behind[gap:].startswith(b"From ") else 0


def mails_in(raw: bytes, most: int) -> list[tuple[int, int]]:
    """Where the mails of an mbox lie, without `From ` lines and the blank lines behind; empty: it is none.

    Of more than `most` there is one slice more, of all the others.
    """
    first = START.match(raw)
    if first is None:
        return []
    marks = list(islice(_marks(raw, first.end()), most))
    starts = [first.end(), *(start for _, start in marks)]
    ends = [_without_blank_line(raw, end) for end in (*(line for line, _ in marks), len(raw))]
    return list(zip(starts, ends, strict=True))


def _marks(raw: bytes, start: int) -> Iterator[tuple[int, int]]:
    """The first and last byte of each further `From ` line, after the mail that begins at `start`."""
    quiet = _told(raw, start)
    for found in _NEXT.finditer(raw, start):
        line = found.start()
        if _may_begin(raw, line, quiet):
            yield from reversed(_empty_before(raw, start, line, quiet))
            yield line, found.end()
            start = found.end()
            quiet = _told(raw, start)


def _may_begin(raw: bytes, line: int, quiet: int) -> bool:
    return line == quiet or (line > quiet and raw.endswith((b"\n\n", b"\n\r\n"), 0, line))


def _empty_before(raw: bytes, start: int, end: int, quiet: int) -> list[tuple[int, int]]:
    """The `From ` lines of empty mails right before a mail, the last one first."""
    found: list[tuple[int, int]] = []
    while len(found) < MOST_EMPTY:
        line = raw.rfind(b"\nFrom ", max(start - 1, end - _LONGEST), end) + 1
        if not line or not _may_begin(raw, line, quiet) or not _EMPTY.fullmatch(raw, line, end):
            break
        found.append((line, raw.index(b"\n", line) + 1))
        end = line
    return found


def _told(raw: bytes, start: int) -> int:
    """Where the mail at `start` ends by its own Content-Length; 0 when it tells none that can be right."""
    body = _BODY.search(raw, start)
    if body is None or not (told := LENGTH.findall(raw, start, body.end())):
        return 0
    end = body.end() + int(told[-1])
    return told_end(end, len(raw), raw[end : end + BEHIND])


def _without_blank_line(raw: bytes, end: int) -> int:
    """The end of a mail: a blank line behind it belongs to the mbox."""
    if not raw.endswith((b"\n\n", b"\n\r\n"), 0, end):
        return end
    return end - (2 if raw.endswith(b"\r\n", 0, end) else 1)
