"""What stands where something was withheld: takes what it was, leaves one line that says so.

It tells kind and rough size of what is gone and nothing more: the digest of a file that was made for one
recipient, or its exact size, would be as good a name for them as the one that was withheld.
"""

import re

PART, LINES, WORDS, FIELD = "part withheld", "lines withheld", "words withheld", "field withheld"
RULES = frozenset({PART, LINES, WORDS, FIELD})
"""The rules by which something is withheld."""
BEGINS = b"[withheld"
WORDS_GONE = b"[withheld]"
"""It stands for a few words of a line; and for anything of a reporter whose name is a word of ours."""
_KIND = re.compile(r"(?:application|audio|font|image|message|model|text|video)/[a-z0-9.+-]{1,80}")


def of_part(kind: str, octets: int) -> bytes:
    """What stands for the body of a part: `kind` its media type, `octets` its decoded size."""
    return b"[withheld: %b, which shows the reporter]" % described(kind, octets)


def described(kind: str, octets: int) -> bytes:
    """What a part was, for a desk and for its reporter."""
    named = kind if _KIND.fullmatch(kind) else "a file"
    return f"{named}, about {_rough(octets)}".encode()


def of_lines(number: int) -> bytes:
    """What stands for so many lines of a text."""
    return b"[withheld: a line that shows the reporter]" if number == 1 else b"[withheld: %d lines]" % number


def of_field() -> bytes:
    """What stands for the value of a header field."""
    return b"[withheld: it shows the reporter]"


def _rough(octets: int) -> str:
    """A size by its first digit: what is made for one recipient is a few octets longer or shorter."""
    if octets < 1_000:
        return "1 kB"
    kilo = str(octets // 1_000)
    return f"{kilo[0]}{'0' * (len(kilo) - 1)} kB"
