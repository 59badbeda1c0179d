"""Encoded words (RFC 2047) and the way back: takes some in a row, leaves UTF-8, and the reverse."""

import base64
import binascii
import re

from complaints.encodings import decode_base64, decode_words
from complaints.redact.sieve import automaton

_ENCODED_WORDS = re.compile(
    rb"=\?[^?\s]{1,40}\?[bBqQ]\?[^?]*+\?=(?>(?:\s*+=\?[^?\s]{1,40}\?[bBqQ]\?[^?]*+\?=)*)"
)
_PLAIN_WORD = re.compile(rb"=\?(?:utf-?8|us-ascii)\?(?:b\?([^?]*+)|q\?([^?]*+))\?=", re.IGNORECASE)
_LETTERS = re.compile(rb"=\?[^?\s]{1,40}\?[bB]\?([^?]*+)\?=")
_ALL_PLAIN = automaton([r"(?:[\t-\r ]*=\?(?:utf-?8|us-ascii)\?[bq]\?[^?]*\?=)+"])
_PLAIN = frozenset({b"utf-8", b"utf8", b"us-ascii"})
_LAST_GROUP = r"(?:[a-z0-9+/]{3}=|[a-z0-9+/]{2}==)?"
_WHOLE_GROUPS = automaton([rf"(?:[\t-\r ]*=\?(?:utf-?8|us-ascii)\?b\?(?:[a-z0-9+/]{{4}})*{_LAST_GROUP}\?=)+"])
_MOST_AT_ONCE = 3_000
_IN_GROUP = (3).__and__
"""How many of so many letters stand in a group that is not full."""
_IN_WORD = 45
"""Octets of an encoded word that fill it."""


def encoded_words(text: bytes) -> list[re.Match[bytes]]:
    """Return each row of encoded words in a text; nearly all of it is in a header field or two."""
    first = text.find(b"=?")
    last = text.rfind(b"?=") if first >= 0 else -1
    return list(_ENCODED_WORDS.finditer(text, first, last + 2)) if last > first else []


def readings(words: bytes) -> list[bytes]:
    """Decode encoded words; nearly all are UTF-8 or ASCII, and some fields have thousands.

    Where one breaks off within a group of letters, all as if they were one is a second reading.
    """
    said, rest = _alike(words)
    if rest:
        more, rest = _alike(rest)
        said += more
    if not rest:
        return [said]
    letters: list[bytes] = _LETTERS.findall(words)
    broken = any(len(one) % 4 and not one.endswith(b"=") for one in letters[:-1])
    return [decoded(words), *([decode_base64(b"".join(letters))] if broken else [])]


def decoded(words: bytes) -> bytes:
    """Decode encoded words one by one."""
    if _ALL_PLAIN.fullmatch(words) is None:
        return decode_words(words).encode("utf-8", "replace")
    plain = _PLAIN_WORD.findall(words)
    if len(plain) < _MOST_AT_ONCE and _WHOLE_GROUPS.fullmatch(words):
        # Each ends with a group of four letters: so together they say what they say one by one.
        return decode_base64(b"".join([coded for coded, _ in plain]))
    if any(coded for coded, _ in plain):
        return b"".join(
            [
                decode_base64(coded) if coded else binascii.a2b_qp(quoted, header=True)
                for coded, quoted in plain
            ]
        )
    return binascii.a2b_qp(b"".join([quoted for _, quoted in plain]), header=True)


def _alike(words: bytes) -> tuple[bytes, bytes]:
    """Decode words that begin alike and have the same space between them, as programs write them.

    Leaves what they say, and the rest: everything, where letters cannot be put together before decoding.
    """
    head = words[: words.find(b"?", words.find(b"?", 2) + 1) + 1]
    if head[2:-3].lower() not in _PLAIN:
        return b"", words
    start = len(head)
    first = words.find(b"?=", start)
    following = words.find(b"=?", first + 2)
    pieces = words[start:].split(words[first:following] + head) if following > 0 else [words[start:]]
    pieces[-1], _, rest = pieces[-1].partition(b"?=")
    letters = b"".join(pieces)
    if b"?" in letters:
        return b"", words
    if head[-2:-1] in b"qQ":
        return binascii.a2b_qp(letters, header=True), rest.lstrip()
    whole = b"=" not in letters[:-2] and not any(map(_IN_GROUP, map(len, pieces)))
    return (decode_base64(letters), rest.lstrip()) if whole else (b"", words)


def as_words(text: bytes) -> bytes:
    """Encode UTF-8 text as encoded words of at most 75 characters (RFC 2047 §2), each of whole characters."""
    octets, words = text.decode("utf-8", "replace").encode("utf-8"), []
    start = 0
    while True:
        end = start + _IN_WORD
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        words.append(b"=?utf-8?B?" + base64.b64encode(octets[start:end]) + b"?=")
        start = end
        if start >= len(octets):
            return b"\r\n ".join(words)
