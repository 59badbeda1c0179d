"""What the search before sending finds and redaction does not hide is withheld, and nothing else is."""

import random
import re
import time
from functools import cache

import pytest

from complaints.leaks import find_leaks
from complaints.message import parse
from complaints.redact import Identity, Redacted, redact
from complaints.redact.stand_in import RULES
from complaints.redact.withhold import withheld
from tests.leak_nests import texts
from tests.leak_places import HOSTILE, MORE_NAME_PLACES, MORE_PLACES, cases
from tests.redaction_places import EVIDENCE, parts

KEY = b"a redaction key of ours"
ALICE = Identity(("alice.reporter@victim.example",), ("Alice Miller",))
EVERY = 29
"""One in so many is tried here."""


def searched(raw: bytes, who: Identity = ALICE) -> Redacted:
    """Redacted, and then without what the search finds."""
    return withheld(redact(raw, who, key=KEY), lambda octets: bool(find_leaks(octets, who)))


def test_in_every_place_that_only_the_search_looks_into_the_find_is_withheld_and_the_evidence_stays() -> None:
    tried = 0
    for number, case in enumerate(cases()):
        if number % EVERY or case.place not in MORE_PLACES | MORE_NAME_PLACES:
            continue
        who = Identity(case.person.addresses, case.person.names)
        done = searched(case.raw, who)
        assert find_leaks(done.raw, who) == [], (case.place, case.hidden)
        lost = [item for item in EVIDENCE if done.raw.count(item) != case.raw.count(item)]
        assert not lost, (case.place, case.hidden)
        tried += 1
    assert tried > 30
