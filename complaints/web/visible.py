"""Text of strangers made visible: takes text or bytes as they came, leaves text in which nothing hides.

Escaping keeps markup out of a page; this keeps out what a browser would act on without markup: control and
escape characters, direction marks that make a line read differently from its bytes, lone surrogates that no
page can carry.
"""

import sys
import unicodedata
from functools import cache

_KEPT = "\n\t"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LAST = 0xE0FFF  # the last assigned format characters are the tags of plane 14 (Unicode 16, chapter 23)


def visible(text: str) -> str:
    r"""Show each hidden character: C0 controls as their pictures (ESC is ␛), others as `\u202e`.

    Line feed and tab stay as they are.
    """
    return text if text.isascii() and text.isprintable() else text.translate(_pictures())


def visible_bytes(raw: bytes) -> str:
    r"""Show bytes as text: UTF-8 where they are, `\xff` where they are not; CRLF is one line end."""
    return visible(raw.replace(b"\r\n", b"\n").decode("utf-8", "backslashreplace"))


@cache
def _pictures() -> dict[int, str]:
    last = min(_LAST, sys.maxunicode)
    hidden = [point for point in range(last + 1) if unicodedata.category(chr(point)) in _HIDDEN]
    return {point: _picture(point) for point in hidden if chr(point) not in _KEPT}


def _picture(point: int) -> str:
    if point < 0x20:
        return chr(0x2400 + point)
    if point == 0x7F:
        return "\u2421"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
