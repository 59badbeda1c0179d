"""Encoded words (RFC 2047) and the way back: takes some in a row, leaves UTF-8, and the reverse."""

import base64
import binascii
import re

from complaints.encodings import decode_base64, decode_words
from complaints.redact.sieve import automaton

ENCODED_WORDS = re.compile(
    rb"=\?[^?\s]{1,40}\?[bBqQ]\?[^?]*+\?=(?>(?:\s++=\?[^?\s]{1,40}\?[bBqQ]\?[^?]*+\?=)*)"
)
_PLAIN_WORD = re.compile(rb"=\?(?:utf-?8|us-ascii)\?(?:b\?([^?]*+)|q\?([^?]*+))\?=", re.IGNORECASE)
_ALL_PLAIN = automaton([r"(?:[\t-\r ]*=\?(?:utf-?8|us-ascii)\?[bq]\?[^?]*\?=)+"])
_LAST_GROUP = r"(?:[a-z0-9+/]{3}=|[a-z0-9+/]{2}==)?"
_WHOLE_GROUPS = automaton([rf"(?:[\t-\r ]*=\?(?:utf-?8|us-ascii)\?b\?(?:[a-z0-9+/]{{4}})*{_LAST_GROUP}\?=)+"])
_MOST_AT_ONCE = 3_000
_IN_WORD = 45
"""Octets of an encoded word that fill it."""


def decoded(words: bytes) -> bytes:
    """Decode encoded words; nearly all are UTF-8 or ASCII, and some fields have thousands."""
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
