"""Asking first whether a text can hold anything never hides what looking at all of it finds."""

import base64
import random
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import re2

from complaints import leaks
from complaints.leaks import encoded_words, find_leaks, readings, scan
from complaints.leaks.reading import Reading
from complaints.leaks.wanted import Wanted, wanted
from complaints.redact import Identity
from tests.leak_nests import texts

NUMBER = 400
Patch = pytest.MonkeyPatch
Found = set[tuple[str, str]]


UNUSUAL = (
    "_JOINT", "_BESIDE_AT", "_AT_BESIDE", "_CODE_FROM", "_SOFT_BREAK_FROM", "_CUT_PERCENT_FROM",
    "_CUT_ENTITY_FROM", "_CONTINUATION",
)  # fmt: skip


class Everything(Wanted):
    """What is wanted, where the answer to every question is that it may be anywhere."""

    anything_readable = readable_in_hex = staticmethod(scan.everywhere)
    fewest_letters = 0

    def told_in(self, letters: bytes) -> tuple[bool, bool]:
        return True, True

    def is_split_by_tags(self, tagged: Reading) -> bool:
        return True

    def stands_in_next(self, reading: Reading, *, plain: bool) -> bool:
        return False

    def may_stand_in(self, octets: bytes) -> bool:
        return True


def everything(
    addresses: tuple[str, ...], names: tuple[str, ...], phrases: tuple[str, ...], own_words: frozenset[str]
) -> Everything:
    one = wanted(addresses, names, phrases, own_words)
    return Everything(one.addresses, one.digests, one.words, one.usual)


def seen(raw: bytes, who: Identity) -> Found:
    return {(leak.what, leak.where) for leak in find_leaks(raw, who)}


@pytest.fixture(scope="module")
def complete() -> list[tuple[bytes, Identity, Found]]:
    """Texts in which people are nested, and what the search that asks nothing beforehand finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaks, "wanted", everything)
        patch.setattr(leaks, "is_shaped", lambda _: True)
        for question in UNUSUAL:
            patch.setattr(readings, question, scan.everywhere)
        patch.setattr(readings, "looks_otherwise", lambda _: True)
        patch.setattr(encoded_words, "_LONG_ROW", 1 << 60)
        patch.setattr(readings, "_leads_on", lambda _: True)
        return [(raw, who, seen(raw, who)) for raw, who in texts(7, NUMBER)]


def test_what_is_found_is_the_same_whether_it_is_asked_for_first_or_not(
    complete: list[tuple[bytes, Identity, Found]],
) -> None:
    assert sum(bool(found) for _, _, found in complete) > NUMBER / 3
    for raw, who, found in complete:
        assert seen(raw, who) == found, (raw, who)


def test_what_is_readable_or_wanted_is_seen_wherever_in_a_group_it_begins() -> None:
    rng = random.Random(3)
    person = wanted(("ж@victim.example",), (), (), frozenset())
    for shortest in (6, 12, 16):
        seen_in_base64, seen_in_hex = (
            scan.finder(one(shortest)) for one in (scan.readable, scan.readable_hex)
        )
        for place in range(6):
            row = bytes(rng.randrange(0x20, 0x7F) for _ in range(shortest))
            wide = bytes(rng.randrange(0x20, 0x7F) if not number % 2 else 0 for number in range(12))
            for octets in (row, wide):
                noise = b"\xff" * place + octets + b"\xff\xff"
                assert seen_in_base64(base64.b64encode(noise), 0) >= 0, (shortest, place, octets)
                assert seen_in_hex(b"0" * place + noise.hex("+").encode(), 0) >= 0, (shortest, place, octets)
                assert seen_in_hex(b"0x" + noise.hex("x").replace("x", "0x").encode(), 0) >= 0
            said = b"\xff" * place + "ж".encode() + b"\xff\xff"
            assert person.told_in(base64.b64encode(said))[1]
            assert person.told_in(said.hex().encode())[1]


TAGS = ("<i></i>", '<a href="x">', "</b>\r\n<b>", "<!-- a > b -->", "<!-- a --><i>", "<p>", "<a><o>")


@pytest.mark.parametrize("tag", TAGS)
def test_what_tags_split_is_seen_wherever_they_stand_and_nowhere_without_asking(
    tag: str, monkeypatch: Patch
) -> None:
    who = Identity(("al.reporter@victim.example",), ("Zoey Millerin",))
    texts = [f"Dear Millerin{tag},"]  # not split at all
    if not tag.startswith("</b>"):
        texts += [f"<p>Dear {'Millerin'[:cut]}{tag}{'Millerin'[cut:]}, hello" for cut in range(1, 8)]
        texts += [f"<p>Dear {tag.join('millerin')}</p>, hello", f"<p>{tag.join(['MI', 'LLE', 'RIN'])}!"]
    local = who.addresses[0].partition("@")[0]
    for domain in ("@victim.example", f"{tag}@{tag}victim.exa{tag}mple"):
        texts += [f"to {local[:cut]}{tag}{local[cut:]}{domain}\r\n" for cut in range(1, len(local))]
    raws = [f"Subject: x\r\n\r\n{one}\r\n".encode() for one in texts]
    assert [raw for raw in raws if not seen(raw, who)] == []
    monkeypatch.setattr(Wanted, "is_split_by_tags", lambda _, __: False)
    assert sum(not seen(raw, who) for raw in raws) > len(raws) / 2


def test_another_version_of_the_machine_is_asked_by_what_it_promises_and_says_the_same(
    monkeypatch: Patch,
) -> None:
    monkeypatch.setattr(
        scan, "re2", SimpleNamespace(compile=re2.compile, Options=re2.Options, error=re2.error)
    )
    monkeypatch.setattr(scan, "_asked", scan.way_to_ask())
    by_search = scan.finder(rb"\A[xy]", b"al+ice", b"\xff")
    monkeypatch.undo()
    directly = scan.finder(rb"\A[xy]", b"al+ice", b"\xff")
    said = []
    for text in (b"", b"alice", b"xalllice", b"a\0\xffb", b"...allice, allice", b"nobody"):
        said += [(by_search(text, start), directly(text, start)) for start in range(len(text) + 1)]
    assert [one for one in said if one[0] != one[1]] == []
    assert len(set(said)) > 5


def nowhere(_: bytes, __: int) -> int:
    return -1


QUESTIONS: dict[str, Callable[[Patch], None]] = {
    "may it stand in a reading": lambda patch: patch.setattr(Wanted, "may_stand_in", lambda _, __: False),
    "is anything readable": lambda patch: patch.setattr(Wanted, "anything_readable", staticmethod(nowhere)),
    "is anything readable in hex": lambda patch: patch.setattr(
        Wanted, "readable_in_hex", staticmethod(nowhere)
    ),
    "are there letters of it": lambda patch: patch.setattr(Wanted, "told_in", lambda _, __: (False, True)),
    "are there letters of anything encoded": lambda patch: patch.setattr(
        Wanted, "told_in", lambda _, __: (True, False)
    ),
    "does it stand in the next reading": lambda patch: patch.setattr(
        Wanted, "stands_in_next", lambda _, __, plain: True
    ),
    "are there lines of base64": lambda patch: patch.setattr(leaks, "is_shaped", lambda _: False),
    "is anything joined": lambda patch: patch.setattr(readings, "_JOINT", nowhere),
    "is anything not seen": lambda patch: patch.setattr(readings, "looks_otherwise", lambda _: False),
    "are encoded words nothing but a text": lambda patch: patch.setattr(
        encoded_words, "_is_plain", lambda _, __: True
    ),
    "may an escape lead on": lambda patch: patch.setattr(readings, "_leads_on", lambda _: False),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_can_hide_something_if_it_is_answered_wrongly(
    question: str, complete: list[tuple[bytes, Identity, Found]], monkeypatch: Patch
) -> None:
    wanted.cache_clear()  # each remembers its answers
    QUESTIONS[question](monkeypatch)
    assert any(seen(raw, who) < found for raw, who, found in complete)
