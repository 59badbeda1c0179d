"""What may be encoded shows in its letters before any is decoded: nothing is overlooked, and noise stays closed."""

import base64
import random

import pytest

from complaints.redact.glance import glued, opened
from complaints.redact.hints import Hints, Worth

WORDS = (b"alice", b"bob", b"reporter")
DIGESTS = ((b"6384e2b2184bcbf58eccf10ca7a6563c", True), (b"Y4TisgLFy/WOzPEMp6ZWPA", False))
HINTS = Hints(WORDS, DIGESTS)
NOISE = base64.b64encode(random.Random(7).randbytes(30_000))


def shown(worth: Worth, letters: bytes) -> bytes:
    return b"\n".join(opened(letters[start:end]) for start, end in worth.stretches)


def in_noise(token: bytes, at: int) -> bytes:
    return glued(NOISE[:at] + token + NOISE[at : 2 * at])


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("encoding", ["ascii", "utf-16-le", "utf-16-be"])
def test_a_word_shows_wherever_it_begins_in_a_group(word: bytes, encoding: str) -> None:
    octets = word.decode().title().encode(encoding)
    tokens = [base64.b64encode(b"\xff" * before + octets + b"\xff" * 5) for before in range(3)]
    widened = b"\xff\xff" + octets + b"\xff\xff"
    tokens += [widened.hex().encode(), b"f" + widened.hex().upper().encode()]
    for at in range(4_000, 4_004):
        for letters in (in_noise(token, at) for token in tokens):
            assert octets in shown(HINTS.look(letters), letters)


@pytest.mark.parametrize("odd", ["\u00ad", "\u200b", "\u2060", "\ufeff", "\u034f", "\u180e"])
def test_what_stands_unseen_between_letters_shows(odd: str) -> None:
    octets = odd.join("carol").encode()
    tokens = [base64.b64encode(b"\xff" * before + octets) for before in range(3)]
    for letters in (in_noise(token, 4_000) for token in (*tokens, octets.hex().encode())):
        assert octets in shown(HINTS.look(letters), letters)


def test_letters_that_look_like_others_show() -> None:
    for octets in ("ｃａｒｏｌ".encode(), "ⓒⓐⓡⓞⓛ".encode(), "𝐜𝐚𝐫𝐨𝐥".encode()):
        for before in range(3):
            letters = in_noise(base64.b64encode(b"\xff" * before + octets), 4_000)
            assert octets in shown(HINTS.look(letters), letters)


@pytest.mark.parametrize("text", [b"c%61rol%40example", b"user=42\r\nfrom=us", b"0123456789 ?~}|{"])
def test_sixteen_octets_that_can_be_read_show_wherever_they_begin(text: bytes) -> None:
    tokens = [base64.b64encode(b"\xff" * before + text + b"\xff" * 5) for before in range(3)]
    tokens += [text.hex().encode(), b"f" + text.hex().upper().encode()]
    for letters in (in_noise(token, at) for token in tokens for at in range(4_000, 4_004)):
        assert text in shown(HINTS.look(letters), letters)


@pytest.mark.parametrize(("digest", "is_hex"), DIGESTS)
def test_a_digest_is_told_of(digest: bytes, is_hex: bool) -> None:
    assert HINTS.look(in_noise(digest, 4_000)).digest
    assert HINTS.look(in_noise(digest.upper(), 4_000)).digest == is_hex
    assert not HINTS.look(glued(NOISE)).digest


def test_noise_stays_closed() -> None:
    letters = glued(NOISE)
    assert sum(end - start for start, end in HINTS.look(letters).stretches) < len(letters) / 10


def test_all_is_opened_for_a_word_of_which_nothing_tells() -> None:
    assert Hints([b"alice", b""], ()).look(NOISE) == Worth(digest=False, stretches=[(0, len(NOISE))])
