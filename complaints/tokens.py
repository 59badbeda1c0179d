"""Secrets as text: random ones, ones derived from the master secret, and their digests.

Takes bytes and names, leaves letters of one alphabet without look-alikes, always lower case, so that a
person can type them and mail software can change their case unharmed.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Iterable
from datetime import datetime
from itertools import islice

ALPHABET = "023456789abcdefghjkmnpqrstuvwxyz"  # 32 letters, five bits each: no i, l, o, 1

_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]  # ten bits each
_LETTER_OF_BYTE = (ALPHABET * 8).encode()  # 256 is eight times 32: each letter as likely as any other

SUBMISSION_LETTERS = 26  # 130 bits: nobody guesses a submission address
ID_LETTERS = 12  # 60 bits: no two complaints meet
REPORT_LETTERS = 20  # 100 bits in a return path of well under 64 octets (RFC 5321 §4.5.3.1.1)
CAPABILITY_LETTERS = 32  # 160 bits
MOST_ADDRESSES = 10
"""Addresses of the form of ours that are taken from one mail: each costs time to hide."""
_SECRET = re.compile(
    rf"(?<![0-9a-z])(?:[{ALPHABET}]{{{CAPABILITY_LETTERS}}}|[{ALPHABET}]{{{SUBMISSION_LETTERS}}}"
    rf"|[{ALPHABET}]{{{REPORT_LETTERS}}})(?![0-9a-z])",
    re.IGNORECASE | re.ASCII,
)


# Begins with what is rare, so that a large mail is passed over quickly
_SUBMISSION = re.compile(
    rf"@(?<=(?<![0-9a-z])[{ALPHABET}]{{{SUBMISSION_LETTERS}}}@)[0-9a-z.-]{{1,253}}".encode(), re.IGNORECASE
)


def random_letters(count: int) -> str:
    """`count` random letters, five bits each, from the system's randomness."""
    return os.urandom(count).translate(_LETTER_OF_BYTE).decode()


def ordered_letters(moment: datetime) -> str:
    """16 letters: eight that sort by the millisecond, for 34 years, and eight random ones (40 bits).

    What is stored one after the other is so beside each other in every index, and a page of it is written
    once for many rows. For what a table's primary key keeps unique, and whose time is no secret.
    """
    stamp, pairs = int(moment.timestamp() * 1000), _PAIRS
    first, second = pairs[stamp >> 30 & 1023], pairs[stamp >> 20 & 1023]
    return f"{first}{second}{pairs[stamp >> 10 & 1023]}{pairs[stamp & 1023]}{random_letters(8)}"


def derived_letters(secret: bytes, purpose: str, subject: str, count: int = CAPABILITY_LETTERS) -> str:
    """Letters only the holder of `secret` can make: HMAC-SHA-256 (RFC 2104) over purpose and subject.

    A capability derived this way is stored nowhere, so a stolen database opens no page.
    """
    mac = hmac.new(secret, f"{purpose}\0{subject}".encode(), hashlib.sha256).digest()
    return _letters(mac, count)


def without_secrets(text: str) -> str:
    """The text without whatever has the form of a secret of ours: what others quote is kept in the clear."""
    return _SECRET.sub("[...]", text)


def submission_addresses(raw: bytes, domain: str) -> list[str]:
    """What stands in a mail and has the form of a submission address, in lower case; the first few of it."""
    found = islice(_SUBMISSION.finditer(raw), 1000)
    names = (raw[at.start() - SUBMISSION_LETTERS : at.end()].decode().lower().rstrip(".") for at in found)
    return list(dict.fromkeys(name for name in names if name.endswith(f"@{domain.lower()}")))[:MOST_ADDRESSES]


def same(given: str, expected: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def hashed(secret: str) -> str:
    """What is stored of a random secret: hex SHA-256. Its 100+ bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def digest(raw: bytes) -> str:
    """The digest of evidence and reports: `sha256:` and the hex SHA-256 of exactly these bytes."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def digest_of(parts: Iterable[bytes]) -> str:
    """The `digest` of what comes in parts."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return "sha256:" + whole.hexdigest()


def _letters(source: bytes, count: int) -> str:
    number = int.from_bytes(source, "big")
    return "".join(ALPHABET[(number >> (5 * place)) & 31] for place in range(count))
