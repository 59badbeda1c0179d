"""Real answers of registries, read as a careful person reads them: who gets the complaint, and what is next."""

import pytest

from bench.registries import judged, ours, status
from bench.registry_corpus import REGISTRY, Question, domains, numbers, raw_domains

pytestmark = pytest.mark.skipif(not REGISTRY.is_dir(), reason="../shared/data/registry absent")
SCOPES = {"domain": {"registrar"}}
"""What a desk is responsible for, by what was asked about; for all else it is the network."""


def mistakes(questions: list[Question]) -> list[str]:
    found = []
    for question in questions:
        reading = ours(question)
        problems = judged(question, reading)
        if reading.action != question.action:
            problems.append(f"would {reading.action}, not {question.action}")
        scopes = {contact.scope for contact in reading.contacts}
        if not scopes <= SCOPES.get(question.kind, {"network"}):
            problems.append(f"wrong scope {scopes}")
        found += [f"{question.file}: {problem}" for problem in problems]
    return found


def test_answers_about_addresses_and_as_numbers_are_read_as_a_careful_person_reads_them() -> None:
    asked = numbers()
    assert len(asked) > 90
    assert mistakes(asked) == []


def test_answers_about_domains_name_the_registrars_desk_or_who_the_registrar_is() -> None:
    asked = domains()
    assert len(asked) > 200
    assert mistakes(asked) == []


def test_refusals_and_names_that_are_not_there_are_told_from_answers() -> None:
    raw = raw_domains()
    assert len(raw) > 800
    assert [(one.file, status(one), one.action) for one in raw if status(one) != one.action] == []


def test_of_what_nobody_labelled_only_fields_that_say_abuse_are_believed() -> None:
    for question in raw_domains():
        for contact in ours(question).contacts:
            assert (contact.scope, contact.confidence) == ("registrar", "high"), question.file
