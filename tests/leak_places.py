"""Where the checker must find a person: all places of the redactor's generator, and more; and hostile shapes.

`cases` yields a message, whose it is, and the place. The people are more varied than the redactor's: tags,
short local parts, hyphens, other scripts in names, domains and local parts, and aliases.
"""

import base64
import gzip
import io
import random
import zipfile
from collections.abc import Callable, Iterator

from tests.redaction_places import PEOPLE, Case
from tests.redaction_places import cases as cases_of


def cases() -> Iterator[Case]:
    """Every place of every person."""
    for person in PEOPLE:
        yield from cases_of(person)


_HEAD = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"


def _of(piece: bytes, head: bytes = _HEAD) -> Callable[[int], bytes]:
    return lambda size: head + piece * ((size - len(head)) // len(piece))


def _bomb(size: int) -> bytes:
    return _HEAD + base64.encodebytes(gzip.compress(bytes(size * 20), 1)[: size * 3 // 4])


def _zip_of_many(size: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(min(size // 200, 60_000)):
            archive.writestr(f"{number}.txt", b"The quick brown fox")
    return _HEAD + base64.encodebytes(packed.getvalue())[:size]


def _base64_of_base64(size: int) -> bytes:
    text = b"Nothing is said here, again and again. " * (size // 160)
    for _ in range(4):
        text = base64.encodebytes(text)
    return _HEAD + text[:size]


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "base64 of an attachment": lambda size: (
        _HEAD + base64.encodebytes(random.Random(1).randbytes(size * 3 // 4))
    ),
    "base64 without line breaks": lambda size: (
        _HEAD + base64.b64encode(random.Random(1).randbytes(size * 3 // 4))
    ),
    "base64 of base64 of base64": _base64_of_base64,
    "base64 that is text from any letter": _of(b"QUFB"),
    "percent signs": _of(b"%"),
    "percent signs of percent signs": _of(b"%25"),
    "percent of letters": _of(b"%61%6c"),
    "ampersands": _of(b"&"),
    "entities": _of(b"&#97;&amp;"),
    "backslashes": _of(b"\\"),
    "script escapes": _of(b"\\u0061"),
    "parts": _of(b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"),
    "short bodies in base64": _of(b"\n\nYWJjZGVmZ2hpamts\n"),
    "nested messages": _of(
        b"\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n"
    ),
    "archive bomb": _bomb,
    "archive of many files": _zip_of_many,
    "starts of archives": _of(b"PK\3\4 \x1f\x8b\x08 UEsDB H4sIA "),
    "beginnings of tags": _of(b"<"),
    "beginnings of comments": _of(b"<!--"),
    "encoded words": _of(b"=?utf-8?q?=41?= ", b"Subject: "),
    "beginnings of encoded words": _of(b"=?a?q?", b"Subject: "),
    "folds": _of(b"a%\r\n ", b"Subject: "),
    "continued parameters": _of(b"; name*1*=a", b"Content-Type: a/b"),
    "local parts": _of(b"alice.reporter"),
    "local parts and domains": _of(b"alice.reporter victim.example al@ "),
    "names in a field of hosts": _of(b" alice", b"Received: x"),
    "names in hosts": _of(b" alice.example"),
    "zero-width spaces": _of("a\u200b".encode()),
    "full-width letters": _of("\uff41".encode()),
    "hex": _of(b"616c"),
    "zeros": _of(b"\0"),
    "uuencoded beginnings": _of(b"begin 644 a\n"),
    "character codes": _of(b"97, 98, ", b"\r\nString.fromCharCode("),
    "text": _of(b"The quick brown fox jumps over the lazy dog.\r\n"),
}
"""What costs most, of any size: none of it shows anybody, and some of it may not be read to the end."""
