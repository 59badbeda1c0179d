"""Repairing the source of a message that was pasted.

Takes a text that went through a viewer, a clipboard and a text field; leaves the message it was, each repair
in words and with the numbers of the lines it touched, so that it can be taken back. Nothing is guessed: a
line is joined, unquoted or left out, never written; and how far its Received lines are certain is told.
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from complaints.mail_clients import lines_above
from complaints.unfinished import Field, certain_hops, longest_line

MOST_FIELDS = 5_000
"""Header fields that are looked at, as in `message.MAX_HEADERS`."""
SHORTEST_CUT = 60
"""Columns at which lines are cut inside of words, at least."""
MOST_NUMBERS, MOST_SPANS = 20, 8
"""Line numbers that a repair lists, and runs of them that it names; the others are counted."""

_LIGHT = frozenset({"blank", "above", "trailing", "unquoted"})
"""Kinds of repair that change no header line."""

_LINE = re.compile(rb"\r?\n")
_NBSP = b"\xc2\xa0"
_NBSPS = re.compile(rb"(?:\xc2\xa0)+")
_BOM = b"\xef\xbb\xbf"
_QUOTE = re.compile(rb"(?:[>|] ?)+")
_MBOX = re.compile(rb">?From \S")
_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9]*(?:[-_][A-Za-z0-9]+)*)[ \t]*:")
_LIKE_A_FIELD = re.compile(rb"[ \t]*[A-Za-z][A-Za-z-]+[ \t]*:")
_ENTITY = re.compile(rb"&(?:lt|gt|amp|quot|nbsp|#39|#160);")
_ENTITIES = {b"&lt;": b"<", b"&gt;": b">", b"&amp;": b"&", b"&quot;": b'"', b"&#39;": b"'"}
_KNOWN = frozenset(
    b"received return-path delivered-to from to cc bcc subject date message-id reply-to sender in-reply-to "
    b"references mime-version content-type content-transfer-encoding dkim-signature received-spf "
    b"authentication-results arc-seal arc-message-signature arc-authentication-results list-unsubscribe "
    b"importance priority organization thread-topic thread-index accept-language content-language".split()
)


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing that was done to a pasted text: its kind, what it was in words, and in which lines.

    `lines` are the first `MOST_NUMBERS` of their numbers, `where` all of them in words, as far as they fit.
    """

    kind: str
    words: str
    lines: tuple[int, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """The message, what was done to get it, and how many of its Received lines are certain."""

    spam: bytes
    repairs: tuple[Repair, ...]
    certain: int


def is_weighty(repairs: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether repairs, as a complaint keeps them, leave a doubt about its header lines."""
    return any(not one["revoked"] and one["kind"] not in _LIGHT for one in repairs)


@dataclass(slots=True)
class _Text:
    """A text under repair: numbered lines, the repairs so far, and the kinds that the reporter took back."""

    lines: list[tuple[int, bytes]]
    without: Container[str]
    repairs: list[Repair] = field(default_factory=list)

    def note(self, kind: str, words: str, numbers: list[int]) -> None:
        count = len(numbers)
        if count:
            words = words.replace("#", str(count)).replace("(s)", "" if count == 1 else "s")
            self.repairs.append(Repair(kind, words, tuple(numbers[:MOST_NUMBERS]), _where(numbers)))


def repair(
    raw: bytes, without: Container[str] = (), *, first_line: int = 1, end_is_sure: bool = True
) -> Repaired:
    """Repair a pasted message; `without` are the kinds of repair that the reporter took back.

    `first_line` is the number of its first line; `end_is_sure`: a blank line would end the header. What needs
    no repair comes out as it came in, with the line ends of mail (RFC 5322 §2.1). Never raises.
    """
    text = _Text(list(enumerate(_LINE.split(raw), first_line)), without)
    _start(text)
    _unescape(text)
    _unquote(text)
    _space(text)
    header = _Header(text)
    header.read()
    guessed = header.spaced or "trailing" in without or not end_is_sure
    certain = certain_hops(header.fields, guessed=guessed, ended=header.ended)
    return Repaired(header.message(), tuple(text.repairs), certain)


def _where(numbers: list[int]) -> str:
    """Return line numbers in words: `line 3`, `lines 4, 7`."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    shown = ", ".join(f"{a}" if a == b else f"{a}\u2013{b}" for a, b in spans[:MOST_SPANS])
    return f"line{'' if len(numbers) == 1 else 's'} {shown}{', …' if len(spans) > MOST_SPANS else ''}"


def _is_blank(line: bytes) -> bool:
    return not line.replace(_NBSP, b" ").strip()


def _start(text: _Text) -> None:
    """Leave out what a viewer shows above the header, and blank lines."""
    lines = text.lines
    if lines[0][1].startswith(_BOM):
        lines[0] = (lines[0][0], lines[0][1][len(_BOM) :])
    _drop_blank(text)
    count = 0 if "above" in text.without else lines_above([line for _, line in lines[:40]])
    if 0 < count < len(lines):
        text.note("above", "left out # line(s) above the header", [n for n, _ in lines[:count]])
        del lines[:count]
        _drop_blank(text)


def _drop_blank(text: _Text) -> None:
    count = 0
    while count < len(text.lines) and _is_blank(text.lines[count][1]):
        count += 1
    if count and "blank" not in text.without and count < len(text.lines):
        text.note("blank", "left out # blank line(s) before the header", [n for n, _ in text.lines[:count]])
        del text.lines[:count]


def _unescape(text: _Text) -> None:
    """Undo the escapes of HTML (`&lt;`) where the text holds no `<` that was not escaped."""
    if "unescaped" in text.without or any(b"<" in line for _, line in text.lines):
        return
    if not any(b"&lt;" in line and _FIELD.match(line) for _, line in text.lines[:200]):
        return
    found = [n for n, line in text.lines if _ENTITY.search(line)]
    text.lines = [(n, _ENTITY.sub(lambda m: _ENTITIES.get(m[0], b" "), line)) for n, line in text.lines]
    text.note("unescaped", "turned the escapes of HTML (such as &lt;) back in # line(s)", found)


def _unquote(text: _Text) -> None:
    """Take the marks of a quotation off all lines, as many as the first one has."""
    first = text.lines[0][1]
    marks = _QUOTE.match(first)
    if marks is None or "unquoted" in text.without or _MBOX.match(first):
        return
    depth = sum(marks[0].count(mark) for mark in (b">", b"|"))
    quote = re.compile(rb"(?:[>|] ?){1,%d}" % min(depth, 20))
    found = [n for n, line in text.lines if line[:1] in {b">", b"|"}]
    text.lines = [
        (n, quote.sub(b"", line, count=1) if line[:1] in {b">", b"|"} else line) for n, line in text.lines
    ]
    text.note("unquoted", "took the marks of a quotation off # line(s)", found)


def _space(text: _Text) -> None:
    """Turn non-breaking spaces at the places of ordinary ones back, and empty lines of blanks, in the header.

    Inside of a line they stay unless it has no others: a stranger's words may hold them.
    """
    spaces, blanks = [], []
    for place, (n, line) in enumerate(text.lines):
        if not line:
            if place:
                break
            continue
        made = line
        if _NBSP in line and "spaces" not in text.without:
            made = _ordinary(line)
            if made != line:
                spaces.append(n)
        if _is_blank(made) and "trailing" not in text.without:
            made = b""
            blanks.append(n)
        text.lines[place] = (n, made)
    text.note("spaces", "turned non-breaking spaces into ordinary ones in # line(s)", spaces)
    text.note("trailing", "emptied # line(s) that held only blanks", blanks)


def _ordinary(line: bytes) -> bytes:
    name = _FIELD.match(line)
    value = line[name.end() :] if name else line
    if b" " not in value.strip() and b"\t" not in value.strip():
        return line.replace(_NBSP, b" ")
    indent = len(line) - len(line.replace(_NBSP, b"  ").lstrip())
    line = line[:indent].replace(_NBSP, b" ") + line[indent:]
    line = _NBSPS.sub(_beside_a_blank, line)
    return re.sub(rb"^([A-Za-z][A-Za-z0-9-]*:)\xc2\xa0", rb"\1 ", line)


def _beside_a_blank(run: re.Match[bytes]) -> bytes:
    """Turn a whole run of non-breaking spaces that a blank or the end stands beside."""
    line, (start, end) = run.string, run.span()
    is_beside = end == len(line) or line[end : end + 1] == b" " or line[start - 1 : start] == b" "
    return b" " * ((end - start) // 2) if is_beside else run[0]


class _Header:
    """The header of a text under repair: its fields, and the place in `text.lines` where the rest begins."""

    def __init__(self, text: _Text) -> None:
        self.text = text
        self.lines = text.lines
        self.fields: list[Field] = []
        self.preface: list[bytes] = []
        self.rest = 0
        self.named = "paired" not in text.without and _is_named(self.lines)
        self.spaced = _is_spaced(self.lines)
        # Whether a blank line shows that the last field is whole
        self.ended = True
        self.joined: list[int] = []
        self.paired: list[int] = []
        self.dropped: list[int] = []

    def read(self) -> None:
        """Find the fields, and note what was joined and left out."""
        place = 0
        if self.lines and _MBOX.match(self.lines[0][1]):
            self.preface, place = [self.lines[0][1]], 1
        while place < len(self.lines) and len(self.fields) <= MOST_FIELDS:
            number, line = self.lines[place]
            if not line:
                if not self.fields or not (self.spaced and self._goes_on(place)):
                    break
                self.dropped.append(number)
            elif not self._take(number, line):
                self.ended = False
                break
            place += 1
        self.rest = place
        self.text.note("spaced", "left out # blank line(s) between header lines", self.dropped)
        self.text.note("paired", "put # name(s) and what belongs to them on one line", self.paired)
        self.text.note("joined", "joined # broken header line(s)", self.joined)
        self._mark_cut_words()

    def _take(self, number: int, line: bytes) -> bool:
        if name := self._name(line):
            if self.named:
                value = line.partition(b"\t")[2]
                line = name + (b": " + value if value else b":")
                self.paired += [number] if value else []
            self.fields.append(Field(name, [line], set()))
        elif not self.fields:
            return False
        elif line[:1] in {b" ", b"\t"}:
            self.fields[-1].lines.append(line)
        else:
            return self._join(number, line)
        return True

    def _join(self, number: int, line: bytes) -> bool:
        """Take a line without an indent as the rest of the field above."""
        last = self.fields[-1]
        alone = len(last.lines) == 1 and last.lines[0].strip().rstrip(b":").rstrip() == last.name
        if ("paired" if alone else "joined") in self.text.without:
            return False
        last.bare.add(len(last.lines))
        last.lines.append(line)
        (self.paired if alone else self.joined).append(number)
        return True

    def _name(self, line: bytes) -> bytes | None:
        if self.named:
            word = line.partition(b"\t")[0].strip().rstrip(b":")
            return word if _is_name(word) else None
        return _name_of(line)

    def _goes_on(self, place: int) -> bool:
        """Tell whether the header goes on below a blank line."""
        if "spaced" in self.text.without:
            self.ended = False
            return False
        if place + 1 >= len(self.lines) or not self.lines[place + 1][1]:
            return False
        line = self.lines[place + 1][1]
        # A Received line never is the last of a header, so what stands below it may be the rest of it.
        return (
            line[:1] in {b" ", b"\t"}
            or self._name(line) is not None
            or self.fields[-1].name.lower() == b"received"
        )

    def _mark_cut_words(self) -> None:
        """Find out whether lines were cut at one column, without regard to words: then they are joined so."""
        cuts = [
            len(one.lines[n - 1]) for one in self.fields for n in one.bare if n > 1 or b": " in one.lines[0]
        ]
        longest = longest_line(self.fields)
        full = cuts.count(longest)
        if longest >= SHORTEST_CUT and full >= 3 and full >= 0.9 * len(cuts):
            for place, one in enumerate(self.fields):
                tight = frozenset(n for n in one.bare if len(one.lines[n - 1]) == longest)
                self.fields[place] = one._replace(tight=tight)

    def message(self) -> bytes:
        """The message: each field as it was, what was joined to it as a fold of it, and the rest."""
        out = list(self.preface)
        for one in self.fields:
            pieces = [one.lines[0]]
            for n, line in enumerate(one.lines[1:], 1):
                if n in one.tight:
                    pieces[-1] += line
                elif _LIKE_A_FIELD.match(line) and one.name.lower() == b"received":
                    # On a line of its own it would be taken for a message that is glued to this field
                    pieces[-1] += b" " + line.lstrip()
                else:
                    pieces.append(b" " + line if n in one.bare else line)
            out += pieces
        return b"\r\n".join(out + [line for _, line in self.lines[self.rest :]])


def _name_of(line: bytes) -> bytes | None:
    """Return the name of the field that begins here; a time or an address with a colon begins none."""
    match = _FIELD.match(line)
    if match is None:
        return None
    name = match[1].lower()
    if line[match.end() : match.end() + 1] in {b"", b" ", b"\t"} or name in _KNOWN or name.startswith(b"x-"):
        return match[1]
    return None


def _is_name(word: bytes) -> bool:
    return (
        word.lower() in _KNOWN
        or re.fullmatch(rb"(?i)(?:x|arc|list|resent|content)(?:-[a-z0-9]+)+", word) is not None
    )


def _is_named(lines: list[tuple[int, bytes]]) -> bool:
    """Tell whether a viewer showed the header as a table: names that stand alone, or with a tab behind."""
    shown = [line for _, line in lines[:60] if line]
    if not shown or _FIELD.match(shown[0]):
        return False
    names = [line for line in shown if _is_name(line.partition(b"\t")[0].strip())]
    return len(names) >= 3 and names[0] == shown[0]


def _is_spaced(lines: list[tuple[int, bytes]]) -> bool:
    """Tell whether a blank line stands below each of the first three header lines."""
    start = 1 if lines and _MBOX.match(lines[0][1]) else 0
    first = [line for _, line in lines[start : start + 6]]
    if len(first) < 6 or any(first[1::2]) or not all(first[0::2]):
        return False
    return _name_of(first[0]) is not None and sum(_name_of(line) is not None for line in first[0::2]) >= 2
