"""What lines of text may do to a terminal: nothing. Takes hostile text, leaves lines that fit the screen.

No colours: what a colour would say, a mark and a word say, on every terminal and in every pipe.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import TextWrapper
from typing import TextIO

__all__ = ["Marks", "Screen", "clean"]

LONGEST = 2_000
"""Characters of one text that are printed; a spam may bring megabytes."""
_NARROWEST, _WIDEST, _PIPED = 40, 120, 80


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters a picture is drawn with: hosts, the lines between them, the trust boundary."""

    host: str
    source: str
    claimed: str
    line: str
    claimed_line: str
    boundary: str


DRAWN = Marks(host="●", source="◆", claimed="○", line="│", claimed_line="┆", boundary="═")
TYPED = Marks(host="*", source="#", claimed="o", line="|", claimed_line=":", boundary="=")
"""For a pipe, a file, or a terminal that does not know UTF-8."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Where lines are printed: how wide it is, and what it can draw."""

    width: int = _PIPED
    marks: Marks = TYPED

    @classmethod
    def of(cls, stream: TextIO) -> "Screen":
        """The screen behind a stream; 80 columns of ASCII where there is none."""
        if not stream.isatty():
            return cls()
        columns = shutil.get_terminal_size((_PIPED, 24)).columns
        knows = (stream.encoding or "").lower().replace("-", "").startswith("utf")
        return cls(min(max(columns, _NARROWEST), _WIDEST), DRAWN if knows else TYPED)

    def fit(self, text: object, first: str = "", rest: str | None = None) -> Iterator[str]:
        """One cleaned text as lines of the screen, each behind `first` or `rest`.

        A word longer than the screen is not broken, so that an address can be copied.
        """
        wrapper = TextWrapper(
            self.width,
            initial_indent=first,
            subsequent_indent=first if rest is None else rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from wrapper.wrap(clean(text)) or [first.rstrip()]


def clean(text: object) -> str:
    """One line without control or invisible characters, whatever the spam put into it."""
    shown = str(text)
    shown = shown if len(shown) <= LONGEST else shown[:LONGEST] + " ..."
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)
