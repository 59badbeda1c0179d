"""What may be encoded in a text, opened all at once: takes bytes, leaves octets, at the speed of copying.

Nearly all of a mail is no token that holds anything of its reporter. So all letters of a text are taken for
one token; where they are worth it (`hints.py`) they are opened at every offset, and looked at once
(`sieve.py`); only where that tells something are tokens told apart and opened one by one.
"""

import re
from binascii import hexlify, unhexlify
from collections.abc import Iterator

from ahocorasick_rs import BytesAhoCorasick
from pybase64 import b64decode

from complaints.redact.deflated import HEADS
from complaints.redact.sieve import runs

_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_NO_TOKEN = bytes(octet for octet in range(256) if octet not in _BASE64)
_IS_HEX = bytes(ord("1") if octet in b"0123456789abcdefABCDEF" else ord("0") for octet in range(256))
_HEX_RUN = b"1" * 12
_BEGINNINGS = BytesAhoCorasick([b"begin ", *HEADS])
_HEAD = len(b"begin ") - 1
_PIECE = 131_072
"""Octets that are asked about at once: what is found in them stays small."""
_APART = b"\0\0\0\0"
_APART_IN_HEX = hexlify(_APART)
HEX = re.compile(rb"[0-9A-Fa-f]{12,}+")


def beginnings(text: bytes) -> Iterator[int]:
    """Yield each place at which something that is uuencoded, or packed in a token, may begin."""
    for piece in range(0, len(text), _PIECE):
        for _, start, _ in _BEGINNINGS.find_matches_as_indexes(text[piece : piece + _PIECE + _HEAD]):
            yield piece + start


def glued(text: bytes) -> bytes:
    """Return all letters that base64 and hex consist of, in the standard alphabet, without what is between.

    Words before and behind a token do no harm: of four letters in a row one begins a group.
    """
    return text.translate(_STANDARD, _NO_TOKEN)


def opened(letters: bytes, *, shifted: bool = False) -> bytes:
    """Return what glued letters hold as base64 and hex read from each letter, one behind the other.

    Four letters are three octets, so there are four ways. `shifted`: as base64 not from the first letter.
    """
    filled = letters + b"AAAA"
    size = len(filled)
    phases = (1, 2, 3) if shifted else (0, 1, 2, 3)
    ways = [b64decode(filled[phase : size - (size - phase) % 4], None, True) for phase in phases]
    if digits := _APART_IN_HEX.join(runs(letters, _IS_HEX, _HEX_RUN)):
        # What is put between them are digits too, an even number: of two ways to read all of it, each stretch
        # is read from its first digit in one and from its second in the other.
        size = len(digits)
        ways += [unhexlify(digits[: size - size % 2]), unhexlify(digits[1 : size - (size + 1) % 2])]
    return _APART.join(ways)


def holds(text: bytes, needles: tuple[bytes, ...]) -> bool:
    """Tell whether any of a few strings stands in a text; a loop costs less here than a generator."""
    for needle in needles:  # noqa: SIM110
        if needle in text:
            return True
    return False


def octets_of(letters: bytes) -> bytes:
    """Decode letters of the standard alphabet; up to three at the end that fill no group are dropped."""
    return b64decode(letters[: len(letters) // 4 * 4], None, True)
