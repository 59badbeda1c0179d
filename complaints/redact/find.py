"""One thing to take out of a text, and putting in what stands for it."""

from collections.abc import Iterable
from typing import NamedTuple


class CannotRedact(ValueError):  # noqa: N818 - the name is part of the contract with the callers
    """The message cannot be made safe to send; the message says what is in the way and what to do."""


class Find(NamedTuple):
    """`text[start:end]` gives the reporter away; `new` goes in its place. `plain`: it may be made longer.

    A tuple: a mail has hundreds, and nothing immutable is made faster.
    """

    start: int
    end: int
    new: bytes
    rule: str
    plain: bool = True

    def moved(self, by: int) -> "Find":
        """The same find in a text that begins earlier."""
        if not by:
            return self
        return Find(self.start + by, self.end + by, self.new, self.rule, self.plain)


def splice(text: bytes, finds: Iterable[Find], *, group: int = 1) -> bytes:
    """Put in what replaces each find; finds are in order and apart.

    With `group`, lengths change by multiples of it. A text inside n layers of base64 takes 3**n: then the
    length of every layer around it changes by whole groups, and what follows the find keeps its letters.
    """
    pieces, position = [], 0
    for find in finds:
        grown = len(find.new) - (find.end - find.start)
        pad = b"x" * (-grown % group) if find.plain else b""
        pieces += [text[position : find.start], find.new, pad]
        position = find.end
    return b"".join((*pieces, text[position:]))
