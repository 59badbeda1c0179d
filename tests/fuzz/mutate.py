"""Making broken mail from mail: takes an input, leaves another one near it.

Mutations know lines, tokens and numbers; one in some hundred repeats a piece many times, which is how a
pattern that takes more than linear time shows.
"""

from collections.abc import Sequence
from random import Random

_PUMPED = 400
"""One mutation in so many repeats a piece until the input is as long as it may be."""
_NUMBERS = (
    *b"0 1 -1 9 31 32 59 60 99 127 128 255 256 0999 1000 9999 65535 65536 2147483648 0x7f 0177".split(),
    *(b"18446744073709551616", b"9" * 20, "\u0661\u0662".encode(), "\u00b2".encode()),
)
_ODD = (
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n ",
        b"\r\n\t",
        b"\n\n",
        b"\x0b",
        b"\x0c",
        b"\x1b[2J",
        b"\x7f",
        b"\xff",
        b"\x80",
    ),
    *(
        b"(",
        b")",
        b"[",
        b"]",
        b"<",
        b">",
        b'"',
        b"'",
        b"\\",
        b";",
        b":",
        b",",
        b"=",
        b"@",
        b".",
        b"..",
        b"%",
        b"&",
        b"#",
    ),
    *(
        b"?",
        b"/",
        b"//",
        b"--",
        b"*",
        b"+",
        b"~",
        b"^",
        b"$",
        b"=?",
        b"?=",
        b"%00",
        b"%25",
        b"&#0;",
        b"=00",
        b"=\n",
    ),
    *(
        "\u200b \u00ad \u202e \u2028 \ufeff \u3002 \uff0e \u0130 \u00df \u1e9e \ufb01 \u0660 \U0001f4a9".encode().split(
            b" "
        )
    ),
    *(b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80", b"+AAA-", b"\x1b$B", b"\x1b(B", b"~{"),
)


class Mutator:
    """Mutates inputs; `words` is what they are made of, `longest` how many bytes they may have."""

    def __init__(self, random: Random, words: Sequence[bytes], longest: int) -> None:
        self.random = random
        self.words = tuple(words) or _ODD
        self.longest = longest

    def __call__(self, data: bytes, other: bytes) -> bytes:
        """Return a mutation of `data`, pieces of `other` mixed in."""
        draw = self.random.random
        if draw() * _PUMPED < 1:
            return self._pumped(data)
        rounds = 1 + int(draw() * draw() * 6)
        for _ in range(rounds):
            data = self._once(data, other)
        return data[: self.longest]

    def _once(self, data: bytes, other: bytes) -> bytes:
        draw = self.random.random
        size = len(data)
        at = int(draw() * (size + 1))
        until = min(size, at + 1 + int(draw() * draw() * 40))
        kind = int(draw() * 12)
        if kind < 3:
            return data[:at] + self._piece() + data[until if kind == 0 else at :]
        if kind == 3:
            return data[:at] + data[until:]
        if kind == 4:
            return data[:until] + data[at:]
        if kind == 5:
            start = int(draw() * (len(other) + 1))
            return data[:at] + other[start : start + 1 + int(draw() * 60)] + data[at:]
        if kind == 6 and at < size:
            return data[:at] + bytes((data[at] ^ (1 << int(draw() * 8)),)) + data[at + 1 :]
        if kind == 7:
            return self._number(data, at)
        if kind == 8:
            return self._lines(data, at)
        if kind == 9:
            piece = data[at:until]
            return data[:at] + (piece.swapcase() if draw() < 0.5 else piece[::-1]) + data[until:]
        if kind == 10:
            return (
                data[:at] + other[int(draw() * (len(other) + 1)) :]
                if draw() < 0.3
                else data[:at] + data[until:]
            )
        return data[:at] + bytes((int(draw() * 256),)) + data[at + 1 :]

    def _piece(self) -> bytes:
        draw = self.random.random
        choice = _ODD if draw() < 0.3 else self.words
        return choice[int(draw() * len(choice))]

    def _number(self, data: bytes, at: int) -> bytes:
        end = at
        while end < len(data) and 0x30 <= data[end] <= 0x39:
            end += 1
        return data[:at] + _NUMBERS[int(self.random.random() * len(_NUMBERS))] + data[end:]

    def _lines(self, data: bytes, at: int) -> bytes:
        """Take the line at `at` out, double it, or put it first."""
        start = data.rfind(b"\n", 0, at) + 1
        end = data.find(b"\n", at) + 1 or len(data)
        line, kind = data[start:end], int(self.random.random() * 4)
        if kind == 0:
            return data[:start] + data[end:]
        if kind == 1:
            return data[:end] + line + data[end:]
        if kind == 2:
            return line + data[:start] + data[end:]
        return data[:start] + line.replace(b" ", b"\r\n ", 1) + data[end:]

    def _pumped(self, data: bytes) -> bytes:
        draw = self.random.random
        at = int(draw() * (len(data) + 1))
        piece = data[at : at + 1 + int(draw() * draw() * 12)] if draw() < 0.6 else self._piece()
        room = self.longest - len(data)
        if not piece or room <= 0:
            return data[: self.longest]
        return data[:at] + piece * (room // len(piece)) + data[at:]
