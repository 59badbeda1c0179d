"""Withholding what cannot be rewritten: takes a redacted spam and a question, leaves a little less of it.

The question is somebody else's, the search before sending: whether octets still show the reporter. Where it
says so of a redacted spam, the smallest stretch of which it says so goes, and a line stands there instead:
for the value of a header field, words or lines of a text, or else for the whole body of a part. Fields that
are evidence, delimiters, and what says how to read a part stay; what shows in those is not hidden here, and
whoever asks sees that by asking again.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from complaints.encodings import parameters
from complaints.message import Header, Message, Part, parse
from complaints.redact import Edit, Redacted, stand_in
from complaints.redact.coding import decoded, encoded
from complaints.redact.stretches import ENOUGH, Asking, Less, Shows, is_utf8

_EVIDENCE = re.compile(
    r"received|x-received|received-spf|return-path|from|sender|reply-to|subject|date|message-id|mime-version"
    r"|authentication-results|arc-.*|dkim-signature|domainkey-signature|cfbl-.*|feedback-id",
    re.IGNORECASE,
)
"""Fields that tell where a spam came from, and who signed it."""
_STRUCTURAL = re.compile(r"content-(?:type|disposition|transfer-encoding)", re.IGNORECASE)
_NEEDED = ("boundary", "charset", "format", "delsp", "type", "report-type")
_TEXTS = ("text/", "application/", "message/")
_HEAD = 4_096
_MOST_NESTED = 4
_TIMES, _SPARE = 6, 8 * 1024 * 1024
"""So many times its size, and so many octets more, are searched of one message."""
_Change = tuple[int, int, bytes]
"""Where octets of a message begin and end, and what stands there instead."""


def withheld(done: Redacted, shows: Shows) -> Redacted:
    """The redaction without what still shows in it; the same object where nothing does.

    Takes time linear in its size: what could not be told apart within that goes in larger pieces.
    """
    if not shows(done.raw):
        return done
    net = _Net(Asking(shows, _TIMES * len(done.raw) + _SPARE))
    raw = net.message(done.raw, 0)
    return replace(done, raw=raw, edits=(*done.edits, *net.edits))


@dataclass
class _Net:
    """One spam on its way."""

    ask: Asking
    edits: list[Edit] = field(default_factory=list)

    def message(self, raw: bytes, nested: int) -> bytes:
        """The message without what shows in its fields, parts, and around those."""
        message = parse(raw)
        changes = list(self._fields(raw, message.headers))
        leaves = message.parts
        units = [_unit(part) for part in leaves]
        showing = [n for first, last in self.ask.stretches(units) for n in range(first, last)]
        for number in showing:
            changes += self._part(leaves[number], number, nested)
        changes += self._around(message)
        return _spliced(raw, changes)

    def _fields(self, raw: bytes, headers: Sequence[Header]) -> Iterator[_Change]:
        """Withhold values of fields that are no evidence; those that say how to read a part keep that."""
        free = [header for header in headers if not _EVIDENCE.fullmatch(header.name)]
        for first, last in self.ask.stretches([header.raw for header in free]):
            for header in free[first:last]:
                structural = _STRUCTURAL.fullmatch(header.name)
                new = _bare(header) if structural else self.ask.say(stand_in.of_field())
                end = header.start + len(header.raw.rstrip(b"\r\n"))
                yield header.start + len(header.name) + 1, end, b" " + new
                line = raw.count(b"\n", 0, header.start) + 1
                self.edits.append(
                    Edit(stand_in.FIELD, f"header {header.name}", line, header.value.strip(), new)
                )

    def _part(self, part: Part, number: int, nested: int) -> Iterator[_Change]:
        """Withhold what shows in a part: fields, words, lines, of the message inside, or else its body."""
        body = part.raw[part.start : part.end]
        if part.depth:
            yield from self._fields(part.raw, part.headers)
        content, where = decoded(part.transfer_encoding, body), f"part {number + 1} ({part.content_type})"
        smaller, edits = self._less(part, body, content, where, nested)
        if smaller == body or not self.ask.clears(_unit(part, smaller)):
            if not self.ask.clears(_unit(part, b"")) and self.ask.clears(_unit(part, body, bare=True)):
                return  # its fields show, not it
            line = self.ask.say(stand_in.of_part(part.content_type, len(content)))
            smaller = encoded(part.transfer_encoding, body, line + b"\r\n")
            told = stand_in.described(part.content_type, len(content))
            edits = [Edit(stand_in.PART, where, part.raw.count(b"\n", 0, part.start) + 1, told, line)]
        self.edits += edits
        yield part.start, part.end, smaller

    def _less(
        self, part: Part, body: bytes, content: bytes, where: str, nested: int
    ) -> tuple[bytes, list[Edit]]:
        """The body without the lines that show, or what does of the message inside, if it can be read so."""
        encoding = part.transfer_encoding
        if part.content_type.startswith("message/") and nested < _MOST_NESTED:
            inside = _Net(self.ask)
            return encoded(encoding, body, inside.message(content, nested + 1)), inside.edits
        # A line of quoted-printable says something by itself, and keeps its own octets.
        in_place = encoding != "base64"
        if (
            not part.content_type.startswith(_TEXTS)
            or b"\0" in content[:_HEAD]
            or not (in_place or is_utf8(content))
        ):
            return body, []
        kind = f"Content-Type: text/plain; charset={part.charset}\r\n" if part.charset else ""
        line = part.raw.count(b"\n", 0, part.start) + 1
        less = Less(self.ask, f"{kind}\r\n".encode("utf-8", "replace"), where, line, in_place)
        new = less.of(body if in_place else content)
        return (new if in_place else encoded(encoding, body, new)), less.edits

    def _around(self, message: Message) -> Iterator[_Change]:
        """Withhold lines before the first delimiter and behind the last part."""
        raw, leaves = message.raw, message.parts
        if not leaves or not leaves[0].depth:
            return
        opening = raw.find(b"\n--", max(message.body - 1, 0)) + 1
        for start, end in ((message.body, opening), (leaves[-1].end, len(raw))):
            lines = raw[start:end].splitlines(keepends=True)
            loose = [b"" if line.startswith(b"--") else line for line in lines]
            shown = {n for stretch in self.ask.stretches(loose) for n in range(*stretch)}
            place = start
            for number, line in enumerate(lines):
                if number in shown and loose[number].strip():
                    new = self.ask.say(stand_in.of_lines(1))
                    yield place, place + len(line.rstrip(b"\r\n")), new
                    at = raw.count(b"\n", 0, place) + 1
                    self.edits.append(Edit(stand_in.LINES, "structure", at, line.strip(), new))
                place += len(line)


def _unit(part: Part, body: bytes | None = None, *, bare: bool = False) -> bytes:
    """A part by itself, with another body, or without the fields that are its own.

    Of a message that is one part its fields are those that say how to read it.
    """
    fields = [one.raw for one in part.headers if part.depth or one.name.lower().startswith("content-")]
    head = ENOUGH + b"\r\n" if bare else b"".join(fields)
    return head + b"\r\n" + (part.raw[part.start : part.end] if body is None else body) + b"\r\n\r\n"


def _bare(header: Header) -> bytes:
    """The value of a field that says how to read a part, without what it says besides."""
    kind, values = parameters(header.value)
    needed = "".join(f'; {name}="{values[name]}"' for name in _NEEDED if name in values)
    kind = kind if "/" in kind else kind.partition(" ")[0]
    return (kind + needed).encode("utf-8", "replace")


def _spliced(raw: bytes, changes: list[_Change]) -> bytes:
    pieces, position = [], 0
    for start, end, new in sorted(changes):
        pieces += [raw[position:start], new]
        position = end
    return b"".join((*pieces, raw[position:]))
