"""The checker finds every person in every place, nobody where there is nobody, and ends on hostile mail."""

import time
from collections.abc import Iterator

import pytest

from bench.leaks import DATA, NOBODY, known
from complaints.leaks import find_leaks
from complaints.redact import CannotRedact, Identity, redact
from tests.leak_places import (
    EVERYBODY,
    HOSTILE,
    INNOCENT,
    MORE_NAME_PLACES,
    MORE_PLACES,
    cases,
)
from tests.redaction_places import NAME_PLACES, PLACES, Case, Person

EVERY = 23
"""One in so many is tried here; `bench/leaks.py` tries all."""


def test_there_are_as_many_places_and_people_as_promised() -> None:
    assert len({*PLACES, *MORE_PLACES, *NAME_PLACES, *MORE_NAME_PLACES}) >= 150
    assert len({person.addresses for person in EVERYBODY}) == len(EVERYBODY) >= 50


def sampled() -> Iterator[Case]:
    return (case for number, case in enumerate(cases()) if number % EVERY == 0)


def test_every_person_is_found_in_every_place_and_nobody_else() -> None:
    tried: set[str] = set()
    for case in sampled():
        who = Identity(case.person.addresses, case.person.names)
        assert find_leaks(case.raw, who), (case.place, case.hidden)
        assert find_leaks(case.raw, NOBODY) == [], (case.place, case.hidden)
        tried.add(case.place)
    assert len(tried) >= 150


@pytest.mark.parametrize(("person", "text"), INNOCENT, ids=[text[:30] for _, text in INNOCENT])
def test_what_only_looks_like_a_person_is_none(person: Person, text: str) -> None:
    raw = f"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
    assert find_leaks(raw, Identity(person.addresses, person.names)) == []


WHO = Identity(("alice.reporter@victim.example", "al@victim.example"), ("Alice Miller",))


def seconds(raw: bytes) -> float:
    began = time.process_time()
    find_leaks(raw, WHO)
    return time.process_time() - began


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_mail_takes_time_linear_in_its_size(shape: str) -> None:
    small, large = (seconds(HOSTILE[shape](size)) for size in (25_000, 100_000))
    assert large < 0.2 + small * 12


@pytest.mark.skipif(not DATA.exists(), reason="shared/data/messages absent")
def test_real_mail_shows_nothing_of_its_recipient_once_redacted() -> None:
    tried = shown = 0
    for number, (name, raw, who) in enumerate(known()):
        if number % 90:
            continue
        try:
            redacted = redact(raw, who, key=b"a redaction key of ours").raw
        except CannotRedact:
            continue
        assert find_leaks(redacted, who) == [], name
        assert find_leaks(raw, NOBODY) == [], name
        tried += 1
        shown += bool(find_leaks(raw, who))
    assert tried >= 50
    assert shown > tried * 0.9
