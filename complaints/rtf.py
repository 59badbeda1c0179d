"""What Outlook packed into RTF, read back: HTML or text ([MS-OXRTFEX]), and the text of other RTF.

Takes the bytes of a Rich Text document, leaves (HTML, text), one of them empty. Time is linear; what is
damaged is read as far as it goes.
"""

import re
from dataclasses import dataclass, field, replace

from complaints.encodings import decode_text

__all__ = ["CHARSETS", "read_rtf"]

CHARSETS = {
    0: "cp1252", 1: "cp1252", 77: "mac-roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "cp950",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250",
}  # fmt: skip
"""Charsets of a font table (`\\fcharset`)."""
_TOKEN = re.compile(
    rb"(?P<open>\{)|(?P<close>\})|\\'(?P<hex>[0-9a-fA-F]{2})"
    rb"|\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?[0-9]{1,9})? ?|\\(?P<symbol>[^a-zA-Z])|(?P<text>[^{}\\]+)",
    re.DOTALL,
)
_DEEPEST = 200
"""Groups within each other that are told apart; what is deeper is read as if it stood there."""
_NO_TEXT = frozenset(
    {
        *("colortbl", "stylesheet", "info", "pict", "object", "pntext", "header", "footer", "listtable"),
        *("mhtmltag", "themedata", "datastore", "xmlnstbl", "generator", "listoverridetable"),
    }
)
_SIGNS = {
    "par": "\r\n", "line": "\r\n", "sect": "\r\n", "row": "\r\n", "tab": "\t", "cell": "\t",
    "lquote": "\u2018", "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d", "bullet": "\u2022",
    "endash": "\u2013", "emdash": "\u2014", "emspace": "\u2003", "enspace": "\u2002",
}  # fmt: skip
_SYMBOLS = {"~": "\xa0", "_": "\u00ad", "{": "{", "}": "}", "\\": "\\", "\n": "\r\n", "\r": "\r\n"}
_LINK = re.compile(r'HYPERLINK[^"]{0,40}"([^"]{1,2000})"')


@dataclass(frozen=True, slots=True)
class _Group:
    """What holds within a group."""

    silent: bool = False
    """A destination that shows nothing."""
    wrapped: bool = False
    """RTF that only stands for a tag of the HTML (`\\htmlrtf`)."""
    fonts: bool = False
    field: bool = False
    """The instruction of a field, which may be a link."""
    charset: str = "cp1252"
    skipped: int = 1
    """Characters behind a `\\u` that stand for it in old programs (`\\uc`)."""


@dataclass
class _Reader:
    within: _Group = field(default_factory=_Group)
    stack: list[_Group] = field(default_factory=list)
    deeper: int = 0
    fonts: dict[int, str] = field(default_factory=dict)
    font: int = 0
    is_html: bool = False
    star: bool = False
    skip: int = 0
    pending: bytearray = field(default_factory=bytearray)
    out: list[str] = field(default_factory=list)
    instruction: list[str] = field(default_factory=list)

    def bytes(self, raw: bytes) -> None:
        """Text in the charset of the font."""
        if self.skip:
            given = min(self.skip, len(raw))
            self.skip -= given
            raw = raw[given:]
        self.pending += raw

    def say(self, text: str) -> None:
        """Text as it is."""
        self.flush()
        within = self.within
        if within.field:
            self.instruction.append(text)
        elif not (within.silent or within.wrapped or within.fonts):
            self.out.append(text)

    def flush(self) -> None:
        if self.pending:
            raw, self.pending = bytes(self.pending), bytearray()
            self.say(decode_text(raw, self.within.charset))

    def open(self) -> None:
        self.flush()
        if len(self.stack) < _DEEPEST:
            self.stack.append(self.within)
        else:
            self.deeper += 1

    def close(self) -> None:
        self.flush()
        if self.deeper:
            self.deeper -= 1
        elif self.stack:
            if self.within.field and not self.stack[-1].field:
                self._link()
            self.within = self.stack.pop()

    def word(self, name: str, number: int | None) -> None:
        """A control word."""
        star, self.star = self.star, False
        if sign := _SIGNS.get(name):
            self.say(sign)
        elif name == "u" and number is not None:
            self.say(chr(number & 0xFFFF))  # two halves of a character beyond U+FFFF meet at the end
            self.skip = self.within.skipped
        else:
            self.flush()
            self._setting(name, number, star=star)

    def _setting(self, name: str, number: int | None, *, star: bool) -> None:
        if name == "fromhtml":
            self.is_html = True
        elif name in {"ansicpg", "fonttbl", "f", "fcharset"}:
            self._font(name, number or 0)
        elif name == "htmltag":
            self.within = replace(self.within, silent=False, wrapped=False)
        elif name == "htmlrtf":
            self.within = replace(self.within, wrapped=number != 0)
        elif name == "uc":
            self.within = replace(self.within, skipped=min(max(number or 0, 0), 8))
        elif name == "fldinst":
            self.within = replace(self.within, field=True)
        elif star or name in _NO_TEXT:
            self.within = replace(self.within, silent=True)

    def _font(self, name: str, number: int) -> None:
        """In which charset text is: by the font, else by the code page of the document."""
        if name == "ansicpg":
            self.within = replace(self.within, charset="utf-8" if number == 65001 else f"cp{number}")
        elif name == "fonttbl":
            self.within = replace(self.within, fonts=True)
        elif name == "f":
            self.font = number
            self.within = replace(self.within, charset=self.fonts.get(number, self.within.charset))
        elif self.within.fonts and number in CHARSETS:
            self.fonts[self.font] = CHARSETS[number]

    def _link(self) -> None:
        """A link of a field, told in the text, for it is shown nowhere."""
        found = _LINK.search("".join(self.instruction))
        self.instruction.clear()
        if found and not self.is_html:
            self.out.append(f"<{found[1]}> ")


def read_rtf(raw: bytes) -> tuple[str, str]:
    """Return the HTML a document was made from, or its text; both are empty for what is no RTF."""
    if not raw.startswith(b"{\\rtf"):
        return "", ""
    reader, at = _Reader(), 0
    while found := _TOKEN.match(raw, at):
        at = found.end()
        match found.lastgroup:
            case "open":
                reader.open()
            case "close":
                reader.close()
            case "hex":
                reader.bytes(bytes.fromhex(found["hex"].decode()))
            case "text":
                reader.bytes(found["text"].replace(b"\r", b"").replace(b"\n", b""))
            case "symbol":
                symbol = found["symbol"].decode("latin-1")
                reader.star = symbol == "*"
                if shown := _SYMBOLS.get(symbol):
                    reader.say(shown)
            case _:
                name, number = found["word"].decode(), found["number"]
                if name == "bin" and number:
                    at += max(0, int(number))
                else:
                    reader.word(name, int(number) if number else None)
    reader.flush()
    shown = "".join(reader.out).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return (shown, "") if reader.is_html else ("", shown)
