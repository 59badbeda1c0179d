"""Searching finished bytes for the reporter: takes what is about to be sent, leaves traces of an identity.

It shares no code with the redactor, so that a mistake there is found here, and works another way: it does not
follow the structure of the message, about which programs differ, but takes its bytes as one text, reads that
in every way that could change it (`readings.py`), opens whatever is encoded in it from wherever it may begin
(`opened.py`, `charsets.py`, `packed.py`), and reads that again. In each reading it looks for the identity in
plain (`wanted.py`, `words.py`). Whatever a bound leaves unread is a leak: nobody knows what it says.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from complaints.leaks.charsets import declared, decoded
from complaints.leaks.opened import (
    Opened,
    bodies,
    is_binary,
    is_shaped,
    letters_in,
    readable_in,
    short_bodies,
    tokens,
    told,
)
from complaints.leaks.packed import MOST_OCTETS, Room, unpacked, unpacked_tokens
from complaints.leaks.reading import Reading
from complaints.leaks.readings import read, without_tags
from complaints.leaks.scan import finder
from complaints.leaks.wanted import Wanted, wanted
from complaints.leaks.words import in_ascii

__all__ = ["MOST_INSIDE", "Leak", "Person", "find_leaks", "words_in"]
MOST_INSIDE = 6
"""Encodings inside each other that are opened."""
_MOST_TIMES = 12
_SPARE = 16 * 1024 * 1024
"""So many times its size, and so many octets more, are read of a message."""
_LONE_CR = finder(rb"\r[^\n]")
_TOGETHER = 1024 * 1024
"""Readings of so many octets are asked about as one: each question costs as much as reading 400 octets."""


class Person(Protocol):
    """Anything with mail addresses and names, such as the redactor's identity."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """`local@domain`, the registered one and the aliases."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names as written; words of at least three letters are searched, shorter ones beside each other."""

    @property
    def words(self) -> tuple[str, ...]:
        """What else is to be hidden, each as it is written."""


@dataclass(frozen=True)
class Leak:
    """`what` of the identity was found, `how` it was hidden (the views, outermost first), and `where`.

    What could not be searched is `unread`, and `how` says why.
    """

    what: str
    how: str
    where: str


def find_leaks(raw: bytes, identity: Person, *, own_words: Collection[str] = ()) -> list[Leak]:
    """Search `raw` for the addresses (also tagged, as in VERP, reversed, rot13, digests), names and words.

    `own_words`, in lower case, are words of our own text around the spam: such a name (a Mr Page, a Ms
    Link) proves nothing there, so it is searched in the spam by a call without them. Takes time and memory
    linear in the size of `raw`. Never raises on content.
    """
    looked_for = wanted(
        tuple(identity.addresses), tuple(identity.names), tuple(identity.words), frozenset(own_words)
    )
    search = _Search(looked_for, _MOST_TIMES * len(raw) + _SPARE)
    search.add(_Text(raw, "", "message", 0))
    if _LONE_CR(raw, 0) >= 0:
        search.add(_Text(raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), "other line ends", "message", 0))
    while search.queue:
        search.look(search.queue.popleft())
    return list(search.leaks.values())


def words_in(identity: Person) -> set[str]:
    """What is looked for of a person as words, in lower case: what `own_words` may make be passed over."""
    texts = (*identity.names, *identity.words)
    locals_ = (address.strip().lower().rpartition("@")[0] for address in identity.addresses)
    words = {word for text in texts for word in text.lower().split()}
    return words.union(locals_, (other for word in words for other in in_ascii(word)))


@dataclass(eq=False)
class _Text:
    """Octets to read: `how` they were opened so far, `where` they stand, how many encodings deep."""

    octets: bytes
    how: str
    where: str
    inside: int
    attached: bool = False
    """Whether this is what can be read in something that is no text: names there prove nothing."""
    is_decoded: bool = False
    """Whether its charset is undone."""
    edged: bool = True
    """Whether it begins where it was meant to; otherwise there may be noise before what it says."""


@dataclass
class _Search:
    """One search on its way: what was found, what is still to be read, and how much may be."""

    wanted: Wanted
    left: int
    queue: deque[_Text] = field(default_factory=deque)
    leaks: dict[tuple[str, str], Leak] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    charsets: set[str] = field(default_factory=set)
    room: Room = field(default_factory=Room)

    def add(self, text: _Text) -> None:
        """Take note of a text to be read, unless it was before."""
        key = hash(text.octets)
        if not text.octets or key in self.seen:
            return
        self.seen.add(key)
        if text.inside > MOST_INSIDE:
            self.unread(f"more than {MOST_INSIDE} encodings inside each other", text.where)
        elif self.left < 0:
            self.unread("more encodings of more than can be opened", text.where)
        else:
            self.left -= len(text.octets)
            self.queue.append(text)

    def unread(self, why: str, where: str) -> None:
        """Take note of what a bound leaves unread."""
        self.leaks.setdefault(("unread", where), Leak("unread", why, where))

    def look(self, text: _Text) -> None:
        """Read a text in every way, and take note of what is encoded in it."""
        for what in self.wanted.digested(text.octets) if text.inside else ():
            self._leak(text, what, "")
        for content in unpacked(text.octets, self.room):
            self._open(text, Opened("unpacked", content))
        if self.room.full:
            self.unread(
                f"archives that hold more than {MOST_OCTETS // 1024**2} MB, or too many files", text.where
            )
        if not text.is_decoded:
            self.charsets |= declared(text.octets)
            for charset, octets in decoded(text.octets, self.charsets, foreign=bool(self.wanted.foreign)):
                self.add(
                    _Text(
                        octets, _then(text.how, f"in {charset}"), text.where, text.inside, text.attached, True
                    )
                )
        plain = text.octets.translate(None, b"\0") if 0 in text.octets else text.octets
        if text.inside and not text.attached and is_binary(text.octets):
            self._found(text, [Reading("", plain, whole=True)], words=False, plain=True)
            self.add(
                _Text(readable_in(plain), text.how, text.where, text.inside, attached=True, is_decoded=True)
            )
            return
        self._read(text, plain)

    def _read(self, text: _Text, plain: bytes) -> None:
        rest = self._open_bodies(text, plain) if is_shaped(plain) else plain
        done = read(rest)
        whole = b"\n".join([reading.octets for reading in done.readings if reading.whole])
        letters = letters_in(whole)
        in_plain, encoded = self.wanted.told_in(letters)
        self._found(text, done.readings, words=not text.attached, plain=in_plain)
        if not done.finished:
            self.unread("more escapes inside each other than are undone", text.where)
        readable: dict[tuple[str, bool], list[bytes]] = {}
        for token in tokens(whole, letters, self.wanted, otherwise=encoded):
            if token.is_likely:
                self._open(text, token)
            else:
                # Rows of readable characters are a text; octets that hold letters beyond ASCII may be none.
                readable.setdefault((token.how, token.octets.isascii()), []).append(token.octets)
        for content in unpacked_tokens(whole, self.room):
            self._open(text, Opened("zlib", content))
        for (how, _), found in readable.items():
            self._open(text, Opened(how, b"\n".join(found), is_likely=False))

    def _open_bodies(self, text: _Text, plain: bytes) -> bytes:
        """Open the base64 that fills lines of a text; returns the text without what is long of it."""
        rest, long = bodies(plain)
        for body, line in zip(long, _lines(plain, long), strict=True):
            where = f"the body at line {line}" if text.where == "message" and not text.inside else text.where
            if body.is_likely:
                self._open(text, body, where)
            else:
                for token in told(body.how, body.octets, self.wanted):
                    self._open(text, token, where)
        together: dict[tuple[bool, bool], list[bytes]] = {}
        for short in short_bodies(rest):
            if short.how != "base64" or 0 in short.octets:
                self._open(text, short)
            else:
                # There may be many, most of them words that were no base64: each kind is read as one text.
                kind = is_binary(short.octets), short.octets.isascii()
                together.setdefault(kind, []).append(short.octets)
        for found in together.values():
            self._open(text, Opened("base64", b"\n".join(found)))
        return rest

    def _open(self, text: _Text, opened: Opened, where: str = "") -> None:
        how, where = _then(text.how, opened.how), where or text.where
        inside = text.inside + 1
        self.add(_Text(opened.octets, how, where, inside, text.attached, edged=opened.is_likely))

    def _found(self, text: _Text, readings: Iterable[Reading], *, words: bool, plain: bool) -> None:
        """Take note of what stands in readings; `plain` is whether it may stand in those that are whole."""
        readings = [
            one
            for reading in readings
            for one in (reading, *(self._untagged(reading, plain=plain) if reading.tagged else ()))
        ]
        whole = plain or self.wanted.has_short_words
        asked = [
            one.octets
            for one in readings
            if (whole or not one.whole) and not self.wanted.stands_in_next(one, plain=plain)
        ]
        if sum(map(len, asked)) < _TOGETHER:
            asked = [b"\n".join(asked)]
        if not any(map(self.wanted.may_stand_in, asked)):
            return
        for reading in readings:
            if not self.wanted.may_stand_in(reading.octets):
                continue
            for what, way in self.wanted.found(reading, words=words and not reading.tokens, edges=text.edged):
                self._leak(text, what, _then(reading.how, way))

    def _untagged(self, tagged: Reading, *, plain: bool) -> Iterator[Reading]:
        if plain or self.wanted.is_split_by_tags(tagged):
            yield from without_tags(tagged)

    def _leak(self, text: _Text, what: str, how: str) -> None:
        how = _then(text.how, how) or "as it stands"
        self.leaks.setdefault((what, text.where), Leak(what, how, text.where))


def _then(how: str, more: str) -> str:
    return f"{how}, {more}" if how and more else how or more


def _lines(text: bytes, long: list[Opened]) -> Iterator[int]:
    """The number of the line, from 1, at which each begins."""
    line, position = 1, 0
    for one in long:
        line += text.count(b"\n", position, one.start)
        position = one.start
        yield line
