"""Transfer encodings and folds undone, with the way back: where in the encoded bytes a decoded one stands.

So that a find inside an encoding changes its own bytes and no others (quoted-printable, folded fields), or as
few as can be (base64, whose groups move).
"""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby

from complaints.encodings import decode_base64
from complaints.redact.find import Find, splice

_QP = re.compile(rb"=(?:([0-9A-Fa-f]{2})|\n|\r[^\n]*\n?|(=)|\Z)")
_FOLD_IN_WORD = re.compile(rb"(?<=[^\s>,;])\r?\n[ \t]+(?=[^\s<])")
_LINE = re.compile(rb"[^\n]*+\n|[^\n]++")
_LINES = re.compile(rb"(?>(?:[^\n]*+\n){1,32})|[^\n]++")
_QP_UNSAFE = re.compile(rb"[^\t\r\n -<>-~]")
_LONGEST_QP_LINE = 76


@dataclass(frozen=True, slots=True)
class Mapped:
    """`text` is what `raw` says without its escapes; the offsets of both, at each escape and behind it."""

    raw: bytes
    text: bytes
    text_starts: list[int]
    raw_starts: list[int]

    def find_in_raw(self, find: Find) -> Find:
        """The same find in the raw bytes, with all escapes that are part of it."""
        start, end = self._raw(find.start), self._raw(find.end - 1, after=True)
        return Find(start, end, find.new, find.rule, find.plain)

    def _raw(self, offset: int, *, after: bool = False) -> int:
        index = bisect_right(self.text_starts, offset) - 1
        start = self.raw_starts[index] + offset - self.text_starts[index]
        if not after:
            return start
        # An escape takes more bytes than the one it says: it ends where the next stretch begins.
        more = self.text_starts[index + 1] if index + 1 < len(self.text_starts) else None
        return self.raw_starts[index + 1] if more == offset + 1 and self._is_escape(index) else start + 1

    def _is_escape(self, index: int) -> bool:
        length = self.raw_starts[index + 1] - self.raw_starts[index]
        return length != self.text_starts[index + 1] - self.text_starts[index]


def mapped(raw: bytes, pattern: re.Pattern[bytes], meaning: Callable[[re.Match[bytes]], bytes]) -> Mapped:
    """Undo every match of the pattern, each of which means at most one byte."""
    pieces: list[bytes] = []
    text_starts, raw_starts = [0], [0]
    position = size = 0
    for match in pattern.finditer(raw):
        start, end = match.span()
        octet = meaning(match)
        pieces += [raw[position:start], octet]
        size += start - position
        if octet:
            text_starts.append(size)
            raw_starts.append(start)
            size += 1
        text_starts.append(size)
        raw_starts.append(end)
        position = end
    pieces.append(raw[position:])
    return Mapped(raw, b"".join(pieces), text_starts, raw_starts)


def joined(field: bytes) -> bytes:
    """A header field in which words that a fold cuts in two are whole (a link in angle brackets, say)."""
    return _FOLD_IN_WORD.sub(b"", field)


def unfolded(field: bytes) -> Mapped:
    """The same with the way back."""
    return mapped(field, _FOLD_IN_WORD, lambda _: b"")


def quoted_printable(body: bytes) -> Mapped:
    """Read quoted-printable as `binascii.a2b_qp` does."""
    return mapped(body, _QP, lambda m: bytes.fromhex(m[1].decode()) if m[1] else m[2] or b"")


def in_quoted_printable(
    body: bytes, content: bytes, finds: list[Find], cuts: tuple[re.Pattern[bytes], ...] = (_LINES, _LINE)
) -> list[Find] | None:
    """Return the finds of the content where they stand in the body; None where its lines say something else.

    No escape goes on behind the end of its line. So some lines at a time are decoded all over the body, which
    is fast, single lines only around a find, and escapes are mapped only in lines that it stands in; finds
    are in order and apart.
    """
    if not cuts:
        here = quoted_printable(body)
        return [here.find_in_raw(find) for find in finds] if here.text == content else None
    pieces = cuts[0].findall(body)
    said = list(map(binascii.a2b_qp, pieces))
    if b"".join(said) != content:
        return None
    raw_starts = list(accumulate(map(len, pieces), initial=0))
    text_starts = list(accumulate(map(len, said), initial=0))
    found: list[Find] = []
    for (first, last), inside in groupby(finds, lambda find: _pieces_of(find, text_starts)):
        start, end = text_starts[first], text_starts[last + 1]
        moved = [find.moved(-start) for find in inside]
        there = in_quoted_printable(b"".join(pieces[first : last + 1]), content[start:end], moved, cuts[1:])
        if there is None:
            return None
        found += [find.moved(raw_starts[first]) for find in there]
    return found


def _pieces_of(find: Find, starts: list[int]) -> tuple[int, int]:
    """The first and last piece in which a find stands."""
    return bisect_right(starts, find.start) - 1, bisect_right(starts, find.end - 1) - 1


def decoded(encoding: str, body: bytes) -> bytes:
    """Undo a transfer encoding; any other than base64 and quoted-printable leaves the bytes as they are."""
    if encoding == "base64":
        return decode_base64(body)
    return binascii.a2b_qp(body) if encoding == "quoted-printable" else body


def spliced(encoding: str, body: bytes, content: bytes, finds: list[Find]) -> bytes:
    """Put what replaces each find of the decoded content into the encoded body."""
    if encoding == "quoted-printable":
        there = in_quoted_printable(body, content, finds)
        if there is not None:
            return b"".join(_into_lines(body, iter(there)))
    return encoded(encoding, body, splice(content, finds))


def _into_lines(body: bytes, finds: Iterator[Find]) -> Iterator[bytes]:
    """Yield the body with the finds replaced; soft breaks keep lines at 76 characters (RFC 2045 §6.7)."""
    newline = b"=\r\n" if b"\r\n" in body else b"=\n"
    position, column = 0, 0
    for find in finds:
        before = body[position : find.start]
        yield before
        last = before.rfind(b"\n")
        column = len(before) - last - 1 if last >= 0 else column + len(before)
        new = _QP_UNSAFE.sub(lambda match: b"=%02X" % match[0][0], find.new)
        rest = body.find(b"\n", find.end)
        rest = (rest if rest >= 0 else len(body)) - find.end
        if column and column + len(new) >= _LONGEST_QP_LINE:
            yield newline
            column = 0
        yield new
        column += len(new)
        if rest > 2 and column + rest > _LONGEST_QP_LINE + 1 and rest < _LONGEST_QP_LINE:
            yield newline
            column = 0
        position = find.end
    yield body[position:]


def encoded(encoding: str, body: bytes, content: bytes) -> bytes:
    """Encode again, with the line length and line ends the body had."""
    newline = b"\r\n" if b"\r\n" in body else b"\n"
    if encoding == "quoted-printable":
        # The codec writes the line ends it meets; soft breaks take those of the first line.
        return binascii.b2a_qp(content, istext=True)
    if encoding != "base64":
        return content
    lines = body.split(newline, 2)
    width = max(4, len(lines[0].strip()) // 4 * 4) if len(lines) > 1 else max(4, len(body) * 2)
    letters = base64.b64encode(content)
    pieces = [letters[place : place + width] for place in range(0, len(letters), width)]
    return newline.join(pieces) + (newline if body.endswith(newline) else b"")
