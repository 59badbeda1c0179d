"""One spelling of a mail address: whether it stands in a reading, and what may be asked beforehand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from complaints.leaks.reading import ROT13, Reading, letters_of
from complaints.leaks.scan import joined, maybe, spread

_SIGNS = re.compile(rb"[^a-z0-9\x80-\xff]+")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LONG = 5
"""From this length on a local part counts also behind other letters, as in a bounce address."""
_AT = rb"(?:-40|={1,2}a={1,2}|\s?[@=#!~*:/|%._+-]{1,3}\s?|[\s\[({<_.-]{1,3}at[\s\])}>_.-]{1,3})"
_DOT = rb"(?:[._-]|\*-|\s?[\s\[({_.-](?:dot|\.)[\s\])}_.-]\s?)"
_TAG = rb"(?:[+/][^\s@<>\"]{0,64}?)?"
_GAP = rb"[^a-z0-9\x80-\xff._+@=-]{0,4}"
_GAP_AT = rb"[^a-z0-9\x80-\xff@=]{0,6}[@=][^a-z0-9\x80-\xff]{0,6}"
_REWRITTEN = re.compile(rb"-[2-7][0-9a-f]\Z")
"""A sign as a code, as URL Defense of Proofpoint writes it."""
_TOLD = 5
"""So many letters on either side of the @ are looked at beforehand."""
_TELLING_JOINED = 10
"""So many letters of an address in a row are no chance, whatever stands or does not stand between them."""


@dataclass(frozen=True)
class Address:
    """One spelling of an address: `local` and `domain` in lower case, as octets."""

    what: str
    local: bytes
    domain: bytes
    dots: bool
    """Whether dots in the local part are nothing, and so may be anywhere."""

    @cached_property
    def gates(self) -> tuple[tuple[str, tuple[bytes, ...]], ...]:
        """Per way of turning it: the letters a reading must hold all of, the longest first."""
        plain = {letters_of(self.local), *map(letters_of, self.domain.split(b"."))}
        needles = sorted(plain - {b""}, key=len, reverse=True)
        return (
            ("", tuple(needles)),
            ("reversed", tuple(needle[::-1] for needle in needles)),
            ("rot13", tuple(needle.translate(ROT13) for needle in needles)),
        )

    def described(self) -> Iterator[bytes]:
        """Patterns of which one matches any reading it stands in, however it is turned around there."""
        local, labels = letters_of(self.local), list(map(letters_of, self.domain.split(b".")))
        for turn, order in ((bytes, 1), (_rotated, 1), (_reversed, -1)):
            host: list[bytes] = []
            left = _TOLD
            for label in labels:
                if left > 0:
                    host += [maybe(turn(b"dot"))] * bool(host) + [spread(turn(label[:left]))]
                    left -= len(label)
            box = spread(turn(local[-_TOLD:]))
            sign = b"(?:" + b"|".join((spread(turn(b"at")), spread(turn(b"a")), b"40")) + b")?"
            yield joined(*(box, sign, *host)[::order])
            yield joined(*(box, b"[+/]")[::order])  # the tag behind it may hold any letters
            front = spread(turn(b"".join(labels)[-_TOLD:]))
            yield joined(*(front, spread(turn(local[:_TOLD])))[::order])

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[bytes], ...]:
        local = re.escape(self.local)
        if self.dots:
            local = rb"\.?".join(re.escape(bytes([octet])) for octet in self.local.replace(b".", b""))
        labels = [re.escape(label) for label in self.domain.split(b".")]
        return (
            re.compile(rb"(?P<local>" + local + rb")" + _TAG + _AT + _DOT.join(labels)),
            re.compile(rb"[._-]".join(labels) + rb"[=!/#_+-]{1,3}(?P<local>" + local + rb")(?![a-z0-9])"),
            *self._run_together,
        )

    @property
    def _run_together(self) -> tuple[re.Pattern[bytes], ...]:
        """The address as a name of something else: with dashes for its signs, or without any."""
        parts = [[piece for piece in _SIGNS.split(part) if piece] for part in (self.local, self.domain)]
        if not parts[0] or sum(len(piece) for part in parts for piece in part) < _TELLING_JOINED:
            return ()
        local, domain = (rb"[_-]?".join(map(re.escape, part)) for part in parts)
        return (re.compile(rb"(?P<local>" + local + rb")[_-]?(?:at[_-])?" + domain),)

    @cached_property
    def _spaced(self) -> re.Pattern[bytes]:
        """The address with something between its letters, such as a fold or spaces."""
        dots = b"." if self.dots else b""
        parts = (self.local.translate(None, dots), self.domain)
        gap = _GAP.replace(b"._", b"_") if self.dots else _GAP
        local, domain = (gap.join(re.escape(bytes([octet])) for octet in part) for part in parts)
        return re.compile(rb"(?P<local>" + local + rb")" + _GAP_AT + domain)

    def stands_in(self, reading: Reading, *, edges: bool) -> str | None:
        """How it was turned around where it stands there; None when it does not. `edges` as in `found`."""
        edges &= len(self.local) < _LONG
        for way, needles in self.gates if reading.whole else self.gates[:1]:
            if all(needle in reading.letters for needle in needles):
                text = reading.turned(way)
                if self._seen(text, edges) or (b"\n" in text and self._seen(_FOLD.sub(b"", text), edges)):
                    return way
        return None

    def _seen(self, lower: bytes, edges: bool) -> bool:
        joined = letters_of(self.local) + letters_of(self.domain)
        patterns = (*self._patterns, self._spaced) if joined in letters_of(lower) else self._patterns
        for match in (match for pattern in patterns for match in pattern.finditer(lower)):
            start = match.start("local")
            before = lower[max(0, start - 3) : start]
            if not edges or not before[-1:].isalnum() or _REWRITTEN.match(before):
                return True
        return False


def _rotated(letters: bytes) -> bytes:
    return letters.translate(ROT13)


def _reversed(letters: bytes) -> bytes:
    return letters[::-1]
