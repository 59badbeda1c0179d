"""Undoing the encodings of mail: transfer encodings, charsets, encoded words, parameters.

Takes bytes as they stand in a message; leaves bytes or text. Damaged input gives what can be read, never an
error.
"""

import binascii
import codecs
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from pybase64 import b64decode

_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
)
_WORD = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?]*+)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[^?\s]{1,40}\?[bBqQ]\?)")
_PARAMETER = re.compile(r";\s*+([^\s=;]++)\s*+=\s*+(?:\"((?>(?:[^\"\\]|\\.)*))\"|([^;\s\"]*+))", re.DOTALL)
_COMMENT = re.compile(r"\([^()\"]*+\)")
_STRUCTURE = re.compile(r"\\.|[\"()]", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
# C0, DEL, C1, line and paragraph separators, bidirectional overrides, lone surrogates: all that could start a
# line, drive a terminal, or make a shown text read differently from its bytes.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_FIELD = 16_384
_SHORT = 200
"""Bytes of a field that may be met again, and is read once for all messages."""
_MOST_RUNS = 10_000
"""Runs of base64, each with its padding, in one body."""

# Charset labels seen in mail whose plain reading loses characters, or that Python does not know by this name.
_CHARSETS = {
    "": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "ansi_x3.4-1968": "utf-8",
    "unknown-8bit": "utf-8",
    "default": "utf-8",
    "x-unknown": "utf-8",
    "utf8": "utf-8",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "iso-8859-8-i": "iso-8859-8",
    "windows-874": "cp874",
    "x-sjis": "cp932",
    "shift_jis": "cp932",
    "unicode-1-1-utf-7": "utf-7",
}
# What Python knows as codecs and no mail has as a charset: two are quadratic, the others read escapes.
_NO_CHARSETS = frozenset({"punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined"})


def decode_base64(body: bytes) -> bytes:
    """Decode base64 whatever stands between its letters (RFC 2045 §6.8), also after padding in the middle."""
    letters = body.translate(None, _NOT_BASE64)
    if b"=" not in letters.rstrip(b"="):
        return _decode_run(letters.rstrip(b"="))
    *runs, rest = letters.split(b"=", _MOST_RUNS)
    return b"".join(_decode_run(run) for run in (*runs, rest.replace(b"=", b"")) if run)


def _decode_run(run: bytes) -> bytes:
    usable = run[:-1] if len(run) % 4 == 1 else run
    return b64decode(usable + b"=" * (-len(usable) % 4), None, True)


def decode_text(content: bytes, charset: str | None) -> str:
    """Decode bytes in their declared charset; without a usable one as UTF-8, or else Windows-1252."""
    label = (charset or "").strip().lower()
    codec = _codec(label)
    try:
        if codec == "cp1252" and content.isascii():
            # Python reads this codec through a table, letter by letter.
            return content.decode("ascii")
        if codec != "utf-8":
            return content.decode(codec, "replace")
        return content.decode("utf-8")
    except ValueError:
        # Neither the label nor UTF-8 fits: the reading that accepts every byte.
        return content.decode("cp1252", "replace") if label != "utf-8" else content.decode("utf-8", "replace")


@lru_cache(maxsize=1024)
def _codec(label: str) -> str:
    """Return the codec for a charset label, UTF-8 for a label that names none."""
    try:
        codec = codecs.lookup(_CHARSETS.get(label, label))
        # bytes.decode refuses what is no codec of texts: zlib, hex and the like.
        b"a".decode(codec.name, "replace")
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if codec.name.replace("_", "-") in _NO_CHARSETS else codec.name


def decode_words(value: bytes) -> str:
    """Decode a header field body: encoded words (RFC 2047), raw UTF-8 (RFC 6532), or any 8-bit bytes."""
    text = decode_text(value, None)
    if "=?" not in text:
        return text
    return _WORD.sub(_decode_word, _BETWEEN_WORDS.sub(r"\1", text))


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, payload = match[1].partition("*")[0], match[2], match[3].encode("utf-8", "replace")
    if encoding in "bB":
        return decode_text(decode_base64(payload), charset)
    return decode_text(binascii.a2b_qp(payload, header=True), charset)


def printable(text: str) -> str:
    """Replace everything that could start a line or drive a terminal by U+FFFD; a tab becomes a space."""
    return _CONTROL.sub("\ufffd", text.replace("\t", " "))


def parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """Read `type/subtype; name=value; ...` (RFC 2045 §5.1) with RFC 2231 continuations and charsets undone.

    Returns the type in lower case and the parameters by lower-case name; the first of two equal names counts.
    """
    kind, found = _parameters(value) if len(value) < _SHORT else _read_parameters(value)
    return kind, found.copy()


@lru_cache(maxsize=1024)
def _parameters(value: bytes) -> tuple[str, dict[str, str]]:
    return _read_parameters(value)


def _read_parameters(value: bytes) -> tuple[str, dict[str, str]]:
    text = value[:_LONGEST_FIELD].decode("utf-8", "replace")
    kind = text.partition(";")[0]
    if "(" in kind:
        kind = _COMMENT.sub("", kind)
    kind = kind.strip().lower()
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for match in _PARAMETER.finditer(text):
        name = match[1].lower()
        content: str = match[3] if match[2] is None else match[2]
        if "\\" in content and match[2] is not None:
            content = _QUOTED_PAIR.sub(r"\1", content)
        if "*" not in name:
            plain.setdefault(name, content)
        else:
            base, _, rest = name.partition("*")
            number = rest.rstrip("*")
            order = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 0
            pieces.setdefault(base, []).append((order, name.endswith("*"), content))
    for name, found in pieces.items():
        plain.setdefault(name, _join(sorted(found)))
    for name, content in plain.items():
        if "=?" in content and name in {"name", "filename"}:
            plain[name] = decode_words(content.encode("utf-8", "replace"))
    return kind, plain


def _join(pieces: list[tuple[int, bool, str]]) -> str:
    """Put RFC 2231 pieces together; the charset stands before the first encoded one."""
    charset, octets = None, b""
    for index, (_, encoded, content) in enumerate(pieces):
        rest = content
        if index == 0 and encoded and content.count("'") >= 2:
            charset, _, rest = content.split("'", 2)
        octets += unquote_to_bytes(rest) if encoded else rest.encode("utf-8", "replace")
    return decode_text(octets, charset)


def without_comments(text: str) -> str:
    """Return a structured field body with each comment (RFC 5322 §3.2.2, nested or not closed) as one space.

    What stands in quotes stays as it is.
    """
    kept, begin, depth, quoted = [], 0, 0, False
    for match in _STRUCTURE.finditer(text):
        mark = match[0]
        if mark == '"' and depth == 0:
            quoted = not quoted
        elif mark == "(" and not quoted:
            if depth == 0:
                kept.append(text[begin : match.start()])
            depth += 1
        elif mark == ")" and not quoted and depth:
            depth -= 1
            begin = match.end()
    return " ".join([*kept, *([] if depth else [text[begin:]])])
