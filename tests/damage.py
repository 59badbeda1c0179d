"""What viewers, clipboards and text fields do to the source of a message."""

import random
from collections.abc import Callable

Damage = Callable[[bytes, random.Random], bytes]
WIDTHS = (60, 64, 72, 76, 78, 80)


def lines_of(raw: bytes) -> list[bytes]:
    return raw.replace(b"\r\n", b"\n").split(b"\n")


def unfolded(raw: bytes) -> list[bytes]:
    lines: list[bytes] = []
    for line in lines_of(raw):
        if line[:1] in {b" ", b"\t"} and lines and lines[-1]:
            lines[-1] += b" " + line.strip()
        else:
            lines.append(line)
    return lines


def at_words(line: bytes, width: int) -> bytes:
    """Break a line at blanks, as a mail program does."""
    rows = [b""]
    for word in line.split(b" "):
        if rows[-1] and len(rows[-1]) + 1 + len(word) > width:
            rows.append(word)
        else:
            rows[-1] = rows[-1] + b" " + word if rows[-1] else word
    return b"\n".join(rows)


def at_columns(line: bytes, width: int) -> bytes:
    """Break a line at a column, as a terminal does."""
    return b"\n".join(line[n : n + width] for n in range(0, max(1, len(line)), width))


def wrapped(cut: Callable[[bytes, int], bytes], lines: Callable[[bytes], list[bytes]]) -> Damage:
    def damage(raw: bytes, rng: random.Random) -> bytes:
        width = rng.choice(WIDTHS)
        return b"\n".join(cut(line, width) for line in lines(raw))

    return damage


def escaped(raw: bytes) -> bytes:
    return raw.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")


def without_indent(raw: bytes) -> list[bytes]:
    return [line.lstrip(b" \t") for line in lines_of(raw)]


def quoted(raw: bytes) -> list[bytes]:
    return [b"> " + line for line in lines_of(raw)]


DAMAGES: dict[str, Damage] = {
    "line ends": lambda raw, _: b"\n".join(lines_of(raw)),
    "no indent": lambda raw, _: b"\n".join(without_indent(raw)),
    "wrapped at words": wrapped(at_words, unfolded),
    "wrapped at words, indent kept": wrapped(at_words, lines_of),
    "cut at a column": wrapped(at_columns, unfolded),
    "cut at a column, indent kept": wrapped(at_columns, lines_of),
    "quoted": lambda raw, _: b"\n".join(quoted(raw)),
    "quoted and wrapped": wrapped(at_words, quoted),
    "blank lines between": lambda raw, _: b"\n\n".join(lines_of(raw)),
    "blank lines between, no indent": lambda raw, _: b"\n\n".join(without_indent(raw)),
    "names on lines of their own": lambda raw, _: b"\n".join(
        line.replace(b": ", b":\n", 1) for line in unfolded(raw)
    ),
    "escaped": lambda raw, _: b"\n".join(lines_of(escaped(raw))),
}
