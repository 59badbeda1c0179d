"""One reading of a text, and what is made of it once however often it is looked at."""

import codecs
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property

from pybase64 import b64decode

_LOWER = bytes(range(256)).lower()
_ASCII_ALNUM = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NO_ASCII_LETTERS = bytes(octet for octet in range(256) if octet not in _ASCII_ALNUM)
_NO_LETTERS = bytes(octet for octet in range(128) if octet not in _ASCII_ALNUM)
ROT13 = bytes.maketrans(
    b"abcdefghijklmnopqrstuvwxyz", codecs.encode("abcdefghijklmnopqrstuvwxyz", "rot13").encode()
)


@dataclass(eq=False)
class Reading:
    """One way to read a text: `how`, as told to people, and its octets, of which none is zero.

    In a `whole` one encoded tokens stand unbroken, and an address may stand backwards or in rot13. Of
    `tokens` alone nobody can tell a name from a part of somebody else's address.
    """

    how: str
    octets: bytes
    whole: bool = False
    tokens: bool = False
    undone: AbstractSet[bytes] | None = None
    """The escapes that the next reading undid, if nothing else is different there."""
    tagged: bool = False
    """Whether readings without its tags are still to be made of it."""
    quoted: bool = False
    """Whether the next base is this one as quoted-printable."""

    @cached_property
    def letters(self) -> bytes:
        """The letters and digits, in lower case; what is beyond ASCII stays as it is."""
        return letters_of(self.octets)

    @cached_property
    def lower(self) -> bytes:
        """The octets in lower case, as far as they are ASCII."""
        return self.octets.lower()

    def turned(self, way: str) -> bytes:
        """The octets in lower case, each way an address is turned around undone."""
        if way == "rot13":
            return self.lower.translate(ROT13)
        return self.lower[::-1] if way == "reversed" else self.lower


def letters_of(octets: bytes) -> bytes:
    """Drop all ASCII that is neither letter nor digit, also zeros, and turn to lower case."""
    return octets.translate(_LOWER, _NO_LETTERS)


def ascii_letters_of(octets: bytes) -> bytes:
    """Drop all that is neither letter nor digit of ASCII, and turn to lower case."""
    return octets.translate(_LOWER, _NO_ASCII_LETTERS)


def octets_of(letters: bytes) -> bytes:
    """Decode letters of base64, of which there are no others, whether they fill a group or not."""
    return b64decode(letters + b"A" * (-len(letters) % 4), validate=True)[: len(letters) * 3 // 4]
