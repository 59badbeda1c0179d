"""Making a spam's bytes legal inside a message: leaves what SMTP can carry, and what changed."""

import re
from collections.abc import Iterator

LONGEST_LINE = 998
"""Octets of a line without CRLF (RFC 5321 §4.5.3.1.6)."""
_LINE_END = re.compile(rb"\r\n|\r|\n")


def legal(spam: bytes) -> tuple[bytes, list[str]]:
    """Make the spam's bytes legal inside a message; return them and, in words, what that changed.

    message/rfc822 may not be base64 or quoted-printable (RFC 2046 §5.2.1), and BINARYMIME is rarely
    offered, so what SMTP cannot carry has to give way: a bare CR or LF becomes CRLF (RFC 5321 §2.3.8), a
    NUL a space (RFC 2045 §2.8), and a line of more than 998 octets is folded with CRLF and a space, which
    is what relays do to it in transit (RFC 5321 §4.5.3.1.6). All else stays byte for byte; the stored spam
    stays untouched.
    """
    changed = []
    ends = spam.count(b"\r\n")
    if ends == spam.count(b"\n") == spam.count(b"\r"):
        lines = spam.split(b"\r\n")
    else:
        lines = _LINE_END.split(spam) if b"\r" in spam else spam.split(b"\n")
    if len(lines) - 1 != ends and b"\r" in spam:
        changed.append("bare CR or LF characters are written as line ends")
    if b"\0" in spam:
        changed.append(f"{spam.count(0)} NUL octets are written as spaces")
        lines = [line.replace(b"\0", b" ") for line in lines]
    if any(len(line) > LONGEST_LINE for line in lines):
        changed.append(f"lines of more than {LONGEST_LINE} octets, which mail cannot carry, are folded")
        lines = [piece for line in lines for piece in _folded(line)]
    return b"\r\n".join(lines), changed


def _folded(line: bytes) -> Iterator[bytes]:
    """Cut a long line, after a space where one is near; every further piece starts with a space."""
    position, room = 0, LONGEST_LINE
    lead = b""
    while len(line) - position > room:
        cut = line.rfind(b" ", position + room // 2, position + room)
        end = cut if cut > 0 else _whole_character(line, position + room)
        yield lead + line[position:end]
        position = end
        # A piece cut at a space starts with that space.
        lead = b"" if cut > 0 else b" "
        room = LONGEST_LINE - len(lead)
    yield lead + line[position:]


def _whole_character(line: bytes, end: int) -> int:
    """Move a cut back before a UTF-8 character it would split."""
    for back in range(4):
        if line[end - back] & 0xC0 != 0x80:
            return end - back
    return end
