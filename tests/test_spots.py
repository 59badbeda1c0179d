"""What is searched before a pattern is tried: it may find neither more nor less than the pattern alone."""

import random
import re

from complaints.redact import spots
from complaints.redact.known import MOST, Known

_PIECES = (
    b'http:// HTTPS:\\ ftp: // www. &#104; &#x74;&#x74;&#x74;&#x74;&#x74; @ %40 = ? / . - < > " \xff'
    b" a.example mail.b.example abc 4f2a81c09d7e5 4f2a-81c0 b81c09d7e5f4"
)
ATOMS = [*_PIECES.split(), b" ", b"\n", b"\t", b"x" * 251]


def texts(count: int) -> list[bytes]:
    chance = random.Random(1)
    return [b"".join(chance.choices(ATOMS, k=chance.randrange(1, 20))) for _ in range(count)]


def test_links_and_addresses_are_those_of_the_patterns_alone() -> None:
    for text in texts(3_000):
        for found, pattern in (
            (spots.urls(text, text.lower()), spots._URL),
            (spots.addresses(text), spots._ADDRESS),
        ):
            assert [match.span() for match in found] == [match.span() for match in pattern.finditer(text)], (
                text
            )


def test_words_stand_where_they_are_said_to() -> None:
    for text in texts(500):
        for at, word in spots.words(text, lambda word: b"c" in word):
            assert text[at : at + len(word)] == word
        wanted = [word for word in re.findall(rb"[^\s<>,;:()\[\]\"'@/=?&#]{6,}", text) if b"c" in word]
        assert [word for _, word in spots.words(text, lambda word: b"c" in word)] == wanted


def test_known_codes_are_found_wherever_they_stand_alone() -> None:
    codes = [
        b"4f2a81c09d7e5",
        b"4f2a-81c0",
        b"b81c09d7e5f4.abc",
        b"=4f2a81c09d7e5",
        b"x" * 251,
        b"//\xff//\xff//",
    ]
    known = Known()
    for code in codes:
        known.add(code, "id")
    for text in texts(3_000):
        alone = [rb"(?<![A-Za-z0-9])" + re.escape(code) + rb"(?![A-Za-z0-9])" for code in codes]
        wanted = [match.span() for pattern in alone for match in re.finditer(pattern, text)]
        assert sorted((start, end) for start, end, _ in known.standing(text)) == sorted(wanted), text


def test_no_more_codes_are_known_than_can_be_searched() -> None:
    known = Known()
    for number in range(MOST + 5):
        known.add(b"4f2a81c09d7e%d" % number, "id")
    assert known.full
    assert not list(known.standing(b"4f2a81c09d7e%d" % MOST))
