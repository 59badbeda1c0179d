"""Real answers of registries, read as a careful person reads them: who gets the complaint, and what is next."""

import json
import zipfile

import pytest

from abuse_lookup import Target, UnusableTarget
from abuse_lookup.whois_answer import Report, read
from abuse_lookup.whois_dialect import decoded
from bench.registries import REGISTRY, Question, domains, judged, numbers, ours

pytestmark = pytest.mark.skipif(not REGISTRY.is_dir(), reason="../shared/data/registry absent")
SCOPES = {"domain": {"registrar"}}
"""What a desk is responsible for, by what was asked about; for all else it is the network."""
# What their file names call them, and what they say:
MISLABELLED = {
    "php-whois/ml_free.txt": "refuses: it can temporarily not be answered",
    "php-whois/ga_free.txt": "refuses: it can temporarily not be answered",
    "php-whois/nz_free.txt": "refuses: 440 Request Denied",
    "php-whois/vu_free.txt": "the name is not valid",
    "php-whois/tr_free.txt": "invalid input",
    "php-whois/gf_google.gf.txt": "NO OBJECT FOUND!, of the contacts",
    "likexian-notfound/name_science.name.txt": "not available for second level registration",
    "phpWhois/peter.morgan.name.txt": "No match",
    "phpWhois/a2ba91bff88c6983f6af010c41236206df64001d.de.txt": "Status: free",
    "phpWhois/urllog.net.txt": "No match for domain",
    "phpWhois/www.tv.txt": "No match for",
    "ruby-whois/whois.sx__sx__status_unavailable.txt": "premium name (No match)",
    "ruby-whois/whois.nic.bo__bo__status_available.txt": "takes no questions but about .bo",
    "ruby-whois/whois.nic.wed__wed__status_available.txt": "prohibited string",
}


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


def raw_domain_answers() -> list[tuple[str, Report]]:
    """Every raw answer about a domain, also those that nobody labelled."""
    reports = []
    with zipfile.ZipFile(REGISTRY / "whois-domain.zip") as answers:
        for row in json.loads(answers.read("index.json")):
            try:
                target = Target.parse(row["domain"] or "example.com")
            except UnusableTarget:
                target = Target.parse("example.com")
            text = decoded(answers.read(row["file"]), row.get("server") or "")
            reports.append((row["file"], read(text, target)))
    return reports


def test_refusals_and_names_that_are_not_there_are_told_from_answers() -> None:
    reports = raw_domain_answers()
    assert len(reports) > 800
    refused, absent = (("throttled", "response_unavailable"), ("notfound", "_free.", "status_available"))
    for name, report in reports:
        if name in MISLABELLED:
            continue
        assert (report.refusal is not None) == any(word in name for word in refused), (name, report.refusal)
        assert report.absent == any(word in name for word in absent), name


def test_of_what_nobody_labelled_only_fields_that_say_abuse_are_believed() -> None:
    for name, report in raw_domain_answers():
        for found in report.sighting.findings:
            assert found.scope == "registrar", name
            assert found.confidence == "high", name
