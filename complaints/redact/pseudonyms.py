"""What stands for a private string (RFC 6590): takes a redaction key, leaves pseudonyms and finds them again.

The transformation (§3 step 1, §4) is HMAC-SHA-256 under a key that only this installation can make, another
one for each desk, reporter and generation of keys. So one desk sees that two reports are of one reporter; two
desks cannot join what they have; and without the key nobody can try addresses until one fits, as anybody
could with a plain digest.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

MARK = "redacted-"
_LETTERS, _OCTETS = 13, 9
"""65 bits, of the first nine octets: no two private strings of a desk's lifetime meet (RFC 6590 §5.2)."""
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_MARK = MARK.encode()
_SINGLE = [letter.encode() for letter in _ALPHABET]
# Base32, ten bits at a time.
_PAIRS = [first + second for first in _SINGLE for second in _SINGLE]
PSEUDONYM = re.compile(rf"{MARK}[a-z2-7]{{{_LETTERS}}}")
PSEUDONYM_ONLY = re.compile(PSEUDONYM.pattern.encode())


def generation(moment: datetime) -> str:
    """The generation of keys at a moment: a new one each calendar year, in UTC.

    A desk can follow a reporter that long, and what it collected is of no use afterwards.
    """
    return str(moment.astimezone(UTC).year)


def pseudonym(key: bytes, private: str | bytes) -> bytes:
    """What stands for a private string: letters, digits and a hyphen, so that it fits wherever that stood."""
    return pseudonyms(key)(private.encode() if isinstance(private, str) else private)


def pseudonyms(key: bytes) -> Callable[[bytes], bytes]:
    """Return `pseudonym` under a key. What HMAC does with it is done once: a mail has hundreds of codes."""
    prepared = hmac.new(key, digestmod="sha256")

    def stands_for(private: bytes) -> bytes:
        mac = prepared.copy()
        mac.update(private)
        bits = int.from_bytes(mac.digest()[:_OCTETS], "big") >> (_OCTETS * 8 - _LETTERS * 5)
        return b"".join(
            (
                _MARK,
                _PAIRS[bits >> 55],
                _PAIRS[bits >> 45 & 1023],
                _PAIRS[bits >> 35 & 1023],
                _PAIRS[bits >> 25 & 1023],
                _PAIRS[bits >> 15 & 1023],
                _PAIRS[bits >> 5 & 1023],
                _SINGLE[bits & 31],
            )
        )

    return stands_for


def resolve(quoted: str, key: bytes, privates: Iterable[str]) -> str | None:
    """Which of the private strings a pseudonym stands for under this key; None when it is none of them."""
    given = PSEUDONYM.search(quoted.lower())
    if given is None:
        return None
    return next(
        (private for private in privates if hmac.compare_digest(pseudonym(key, private).decode(), given[0])),
        None,
    )


def sha1_pseudonym(key: str, private: str) -> str:
    """Return the transformation of RFC 6590 appendix A, for whoever reproduces it; Plaint does not."""
    digest = hashlib.sha1((key + private).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")
