"""Reading a message by byte offsets.

Takes the raw bytes of any mail, however broken; leaves its header fields and its parts as slices of those
bytes. Nothing here raises on content, re-serialises, or takes more than linear time.
"""

import binascii
import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from complaints.encodings import decode_base64, decode_text, parameters, printable
from complaints.header import MAX_HEADERS, Block, Header, block_of, read_block, read_fields

__all__ = ["MAX_DEPTH", "MAX_HEADERS", "MAX_PARTS", "Header", "Message", "Part", "leaves_within", "parse"]

MAX_PARTS = 10_000
"""Leaf parts read from one message."""
MAX_DEPTH = 32
"""Multiparts inside each other; a deeper one is one leaf."""
MAX_MULTIPARTS = 1_000
"""Multiparts read from one message; a further one is one leaf."""
MAX_NESTING = 4
"""Enclosed messages inside each other that are looked into."""
LARGEST_ENCLOSED = 32 * 1024 * 1024
"""Bytes of a message inside another that are worth reading: each level is a copy of its own."""

_END = re.compile(rb"\n(\r?\n)")
_ORDINARY_BLOCK = 131_072
"""Bytes of a header block that is read in one go."""
_FIRST_LINES = 400
_PREFACE = re.compile(rb"(?:\xef\xbb\xbf)?(?:[ \t]*\r?\n)*(?:>?From [^\n]*\n)?")
_PATIENCE = 2_000
"""Lines in a row that begin with dashes and are no delimiter, until only the open boundaries are searched."""


class Part(NamedTuple):
    """A leaf of the MIME tree: its fields, and its body as `raw[start:end]`; a tuple, as `Header` is.

    `locations` are the fields that may say which URL it came from (RFC 2557 §4.2), `delsp` whether blanks at
    line ends are none of the text (RFC 3676 §4).
    """

    fields: Block | tuple[Header, ...]
    content_type: str
    charset: str | None
    transfer_encoding: str
    filename: str | None
    start: int
    end: int
    depth: int
    raw: bytes
    locations: tuple[Header, ...] = ()
    delsp: bool = False

    @property
    def headers(self) -> tuple[Header, ...]:
        """The header fields in their order; of a message that is one part, its own."""
        return self.fields.all() if isinstance(self.fields, Block) else self.fields

    def content(self, limit: int | None = None) -> bytes:
        """Return the body with its transfer encoding undone; damaged encodings give what can be read.

        `limit` is the number of encoded bytes that are read at most.
        """
        end = self.end if limit is None else min(self.end, self.start + limit)
        body = self.raw[self.start : end]
        if self.transfer_encoding == "base64":
            return decode_base64(body)
        if self.transfer_encoding == "quoted-printable":
            return binascii.a2b_qp(body)
        return body

    def text(self, limit: int | None = None) -> str:
        """Return the content in its charset; unknown charsets and bad bytes never fail."""
        return decode_text(self.content(limit), self.charset)


class Message:
    """A message: header fields in their order, `body` the offset where its body starts, the leaf parts.

    Nobody changes one. A plain class, for one is made of every message and every message inside.
    """

    __slots__ = ("_block", "_parts", "body", "raw")

    def __init__(self, raw: bytes, block: Block, body: int) -> None:
        self.raw = raw
        self._block = block
        self.body = body
        self._parts: tuple[Part, ...] | None = None

    @property
    def headers(self) -> tuple[Header, ...]:
        """All header fields in their order."""
        return self._block.all()

    @property
    def names(self) -> Iterable[str]:
        """The names of all header fields in lower case, each once."""
        return self._block.names()

    def field_at(self, offset: int) -> Header | None:
        """Return the header field that an offset lies in."""
        return self._block.at(offset)

    def get(self, name: str) -> str | None:
        """Return the text of the first field of this name, or None."""
        found = self._block.named(name.lower())
        return found[0].text if found else None

    def all(self, name: str) -> list[str]:
        """Return the texts of all fields of this name, topmost first."""
        return [header.text for header in self._block.named(name.lower())]

    def fields(self, name: str) -> list[Header]:
        """Return all fields of this name, topmost first."""
        return self._block.named(name.lower())

    @property
    def subject(self) -> str | None:
        """The decoded subject on one line."""
        return self.get("subject")

    @property
    def parts(self) -> tuple[Part, ...]:
        """All leaf parts in order, at most `MAX_PARTS`."""
        if self._parts is None:
            self._parts = tuple(_split(self.raw, self._block, self.body))
        return self._parts

    def leaves(self) -> Iterator[Part]:
        """Iterate the leaf parts in order; a message/* part is a leaf, its content the message inside."""
        return iter(self.parts)


def parse(raw: bytes) -> Message:
    """Read a message; a byte order mark, blank lines and an mbox `From ` line before it are passed over."""
    preface = _PREFACE.match(raw)
    start = preface.end() if preface else 0
    end, body = _blank(raw, start, start + _ORDINARY_BLOCK)
    if body and (block := read_block(raw, start, end)):
        return Message(raw, block, body)
    headers, body = read_fields(raw, start, len(raw))
    return Message(raw, block_of(headers), body)


def _blank(raw: bytes, start: int, stop: int) -> tuple[int, int]:
    """Return where the first blank line begins and ends; zeros for nowhere."""
    if raw.find(b"\r", start, min(stop, start + _FIRST_LINES)) < 0:
        # Without CR at the line ends there is one way to look, at half of the cost.
        found = raw.find(b"\n\n", start, stop)
        if found >= 0 and raw.find(b"\r", start, found) < 0:
            return found + 1, found + 2
    blank = _END.search(raw, start, stop)
    return blank.span(1) if blank else (0, 0)


def leaves_within(message: Message, nesting: int = 0) -> Iterator[Part]:
    """Iterate the leaf parts in order, also of enclosed messages, `MAX_NESTING` deep."""
    for part in message.leaves():
        if part.content_type.startswith("message/") and nesting < MAX_NESTING:
            yield from leaves_within(parse(part.content(LARGEST_ENCLOSED)), nesting + 1)
        else:
            yield part


class _Open(NamedTuple):
    """A part whose end has not been seen: what its header said, and where its body starts."""

    fields: Block | tuple[Header, ...]
    content_type: str
    parameters: dict[str, str]
    encoding: Header | None
    disposition: Header | None
    locations: tuple[Header, ...]
    start: int
    depth: int
    boundary: bytes | None


def _open_top(block: Block, body: int) -> _Open:
    named = block.named
    kinds, encodings = named("content-type"), named("content-transfer-encoding")
    dispositions, places = named("content-disposition"), named("content-base") + named("content-location")
    kind = kinds[0] if kinds else None
    encoding = encodings[-1] if encodings else None
    disposition = dispositions[-1] if dispositions else None
    locations = tuple(sorted(places, key=_start)) if places else ()
    return _open(block, kind, encoding, disposition, locations, body, 0, "text/plain")


_start = itemgetter(2)


def _open_part(headers: tuple[Header, ...], body: int, depth: int, default: str) -> _Open:
    kind = encoding = disposition = None
    locations: list[Header] = []
    for header in headers:
        # Most fields of some parts are others, which is told by the first letter.
        if header[0][0] not in "Cc":
            continue
        name = header[0].lower()
        if name == "content-type":
            kind = kind or header
        elif name == "content-transfer-encoding":
            encoding = header
        elif name == "content-disposition":
            disposition = header
        elif name in {"content-base", "content-location"}:
            locations.append(header)
    return _open(headers, kind, encoding, disposition, tuple(locations), body, depth, default)


def _open(
    fields: Block | tuple[Header, ...],
    kind: Header | None,
    encoding: Header | None,
    disposition: Header | None,
    locations: tuple[Header, ...],
    body: int,
    depth: int,
    default: str,
) -> _Open:
    content_type, values = parameters(kind.value) if kind else (default, {})
    boundary = None
    if values.get("boundary") and depth < MAX_DEPTH and content_type.startswith("multipart/"):
        boundary = values["boundary"].rstrip().encode("utf-8", "surrogateescape")
    if "/" not in content_type:
        content_type = default
    return tuple.__new__(
        _Open, (fields, content_type, values, encoding, disposition, locations, body, depth, boundary)
    )


def _leaf(raw: bytes, part: _Open, end: int) -> Part:
    values = part.parameters
    filename = parameters(part.disposition.value)[1].get("filename", "") if part.disposition else ""
    filename = filename or values.get("name", "")
    return Part(
        part.fields,
        part.content_type,
        values.get("charset"),
        _encoding(part.encoding.value) if part.encoding else "",
        (printable(filename) or None) if filename else None,
        part.start,
        max(part.start, end),
        part.depth,
        raw,
        part.locations,
        values.get("delsp", "")[:3].lower() == "yes",
    )


def _encoding(value: bytes) -> str:
    return value.decode("ascii", "replace").split(";")[0].split("(")[0].strip().lower()


def _split(raw: bytes, block: Block, body: int) -> Iterator[Part]:
    """Walk all delimiter lines once, with the open multiparts on a stack (RFC 2046 §5.1.1)."""
    stop = len(raw)
    top = _open_top(block, body)
    if top.boundary is None:
        yield _leaf(raw, top, stop)
        return
    stack, current = [top], None
    count, opened = 0, 1
    for start, end, level, closing in _delimiters(raw, body, stack):
        if current is not None:
            yield _leaf(raw, current, _before(raw, start))
            current, count = None, count + 1
        del stack[level + (0 if closing else 1) :]
        if not stack or count >= MAX_PARTS:
            return
        if closing:
            continue
        default = "message/rfc822" if stack[-1].content_type == "multipart/digest" else "text/plain"
        headers, begin = read_fields(raw, min(end + 1, stop), stop)
        part = _open_part(headers, begin, len(stack), default)
        if part.boundary is None or opened >= MAX_MULTIPARTS:
            current = part
        else:
            stack.append(part)
            opened += 1
    if current is not None:
        yield _leaf(raw, current, stop)
    elif count == 0:
        # A multipart without one delimiter: Outlook keeps the header and loses the structure.
        yield _leaf(raw, _unstructured(stack[0]), stop)


def _delimiters(raw: bytes, body: int, stack: list[_Open]) -> Iterator[tuple[int, int, int, bool]]:
    """Yield start, end, level and whether it closes, of each line that belongs to a multipart on the stack.

    Whoever takes them changes the stack in between. A message may hold millions of lines that begin with
    dashes: after some of them in a row the pattern knows the boundaries that are open.
    """
    # The line end before the body may be the one that belongs to the first delimiter.
    position, only, missed = max(body - 1, 0), None, 0
    while (start := _next_dashes(raw, position, only)) >= 0:
        end = raw.find(b"\n", start + 1)
        position = end if end >= 0 else len(raw)
        level, closing = _which(stack, raw[start + 3 : position].rstrip())
        if level < 0:
            missed += 1
            if missed == _PATIENCE:
                only = _only(stack)
            continue
        yield start, position, level, closing
        only, missed = None, 0


def _next_dashes(raw: bytes, position: int, only: re.Pattern[bytes] | None) -> int:
    """Return where a line end is followed by dashes, and by what `only` says; -1 for nowhere."""
    if only is None:
        return raw.find(b"\n--", position)
    match = only.search(raw, position)
    return match.start() if match else -1


def _only(stack: list[_Open]) -> re.Pattern[bytes]:
    boundaries = b"|".join(re.escape(part.boundary) for part in stack if part.boundary is not None)
    return re.compile(rb"\n--(?:" + boundaries + rb")")


def _unstructured(part: _Open) -> _Open:
    return part._replace(content_type="text/plain", boundary=None)


def _which(stack: list[_Open], line: bytes) -> tuple[int, bool]:
    """Return which open multipart a delimiter line belongs to (-1 for none), and whether it closes it."""
    for level in range(len(stack) - 1, -1, -1):
        boundary = stack[level].boundary
        if boundary == line:
            return level, False
        if boundary is not None and line == boundary + b"--":
            return level, True
    return -1, False


def _before(raw: bytes, newline: int) -> int:
    """Return the end of a part: the line break before a delimiter belongs to the delimiter."""
    return newline - 1 if newline > 0 and raw[newline - 1] == 0x0D else newline
