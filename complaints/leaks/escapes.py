"""What escapes of links, pages and scripts stand for: takes one, leaves its octets in UTF-8."""

from collections.abc import Iterable
from html.entities import html5

from complaints.leaks.reading import letters_of

_FEW = 50_000


class _Codes(dict[bytes, bytes]):
    """What each escape stands for, found out once and then kept; a message has few different ones."""

    def __missing__(self, code: bytes) -> bytes:
        if len(self) > _FEW:
            self.clear()
        self[code] = found = _meant(code)
        return found


def _meant(code: bytes) -> bytes:
    """What one escape stands for, in UTF-8; itself when for nothing."""
    if code.startswith(b"%"):
        return _char(int(code[-4:], 16)) if b"u" in code else bytes.fromhex(code[-2:].decode("ascii"))
    if code.startswith(b"&"):
        return _entity(code)
    text = code.lstrip(b"\\")
    if text[:1] in b"uUx":
        return _char(int(text[1:].strip(b"{}"), 16))
    digits = text.strip()
    if not digits or digits in b"/@.":
        return digits  # a line that goes on, or a character that needed no escape
    return _char(int(digits, 8 if len(digits) == 3 else 16))


def _entity(code: bytes) -> bytes:
    name = code.rstrip(b";").rpartition(b";")[2].removeprefix(b"&").decode("ascii")
    if name.startswith("#"):
        return _char(int(f"0{name[1:]}", 0) if name[1] in "xX" else int(name[1:]))
    text = html5.get(f"{name};") or html5.get(f"{name.lower()};")
    return code if text is None else text.encode("utf-8")


def _char(number: int) -> bytes:
    return chr(number).encode("utf-8", "ignore") if number < 0x110000 else b""


CODES = _Codes()


class Disturbed(dict[bytes, bool]):
    """Whether undoing an escape may take away one of some words, in lower case, that stands in its signs.

    Such as `deal` behind a percent sign, which would begin with a code; `1234` with a backslash in it, whose
    digits would be one; or a word before an escape that means a letter, with which it would be another word.
    """

    def __init__(self, words: Iterable[bytes]) -> None:
        super().__init__()
        self._words = frozenset(words)
        self._letters = tuple(map(letters_of, self._words))
        self._beginnings = tuple({word[:size] for word in self._words for size in range(1, len(word))})

    def __missing__(self, code: bytes) -> bool:
        if len(self) > _FEW:
            self.clear()
        meant = CODES[code].decode("utf-8", "ignore")
        lower, letters = code.lower(), letters_of(code)
        self[code] = found = CODES[code] != code and (
            not meant
            or any(map(str.isalnum, meant))
            or lower.endswith(self._beginnings)
            or any(word in lower for word in self._words)
            or (letters != b"" and any(letters in word for word in self._letters))
        )
        return found
