"""Every question of a lookup, and what came of it, when somebody wants to know."""

import asyncio
from typing import Any

import pytest

from abuse_lookup import Lookup, journal
from abuse_lookup.answer import Question, Status
from tests.test_lookup import CLOUD, looking


def explained(world: str, *targets: str, **settings: Any) -> list[Lookup]:
    async def run() -> list[Lookup]:
        async with looking(world, **settings) as (lookup, _):
            return [await lookup.find_contacts(target, explain=True) for target in targets]

    return asyncio.run(run())


def asked(found: Lookup, source: str) -> list[Question]:
    return [question for question in found.questions or () if question.source == source]


def test_every_question_is_noted_in_order_with_its_answer_as_it_came() -> None:
    [found] = explained("demo", "203.0.113.20")
    assert found.questions is not None
    assert [q.at for q in found.questions] == sorted(q.at for q in found.questions)
    rdap, root, whois = asked(found, "rdap")[-1], *asked(found, "whois")
    assert rdap.server == "rdap.afrinic.example"
    assert rdap.question.endswith("/ip/203.0.113.20")
    assert (rdap.status, rdap.read) == (Status.ABSENT, ("203.0.113.0 - 203.0.113.63",))
    assert "names no mailbox" in rdap.reason
    assert rdap.answer.startswith('{"rdapConformance"')
    assert (root.server, root.read) == ("whois.iana.example", ("refers to whois.afrinic.example",))
    assert whois.read == ("203.0.113.0 - 203.0.113.63", "abuse@savanna.example (network, high)")
    assert "Abuse contact for" in whois.answer
    assert 0 <= whois.seconds < 10
    assert "MX savanna.example" in [question.question for question in asked(found, "dns")]


def test_the_dns_is_noted_too_reverse_names_and_zones_among_it() -> None:
    [found] = explained("demo", "203.0.113.140")
    said = {question.question: question for question in asked(found, "dns")}
    assert "PTR 140.113.0.203.in-addr.arpa." in said
    assert any(question.startswith("TXT 140.113.0.203.") for question in said)
    assert {said[question].status for question in said if question.startswith("TXT")} == {Status.ABSENT}
    assert [q for q in said if q.startswith("MX ")] != []


@pytest.mark.parametrize(
    "target",
    ["198.51.100.23", "203.0.113.20", "203.0.113.140", "203.0.113.70", "192.0.2.130", "2001:db8:1::80", "AS64496",
     "www.pills.example", "joe@pills.example", "nobody.example"],
)  # fmt: skip
def test_no_question_that_a_server_saw_is_missing(target: str) -> None:
    """Asks the servers: a module that asks past the journal would be missing in explanations."""

    async def run() -> tuple[Lookup, set[str], set[str]]:
        async with looking("demo") as (lookup, net):
            found = await lookup.find_contacts(target, explain=True)
            seen = {q.question.lower().rstrip(".") for q in net.questions if q.protocol in {"dns", "whois"}}
            return found, seen, {q.question for q in net.questions if q.protocol == "rdap"}

    found, seen, paths = asyncio.run(run())
    noted = [question for question in found.questions or () if not question.cached]
    assert seen - {q.question.lower().rstrip(".") for q in noted} == set()
    assert [path for path in paths if not any(q.question.endswith(path) for q in noted)] == []
    assert seen


def test_a_failure_is_noted_where_it_happened() -> None:
    [found] = explained(CLOUD + 'rdap = "500"\n', "198.51.100.1")
    failed = next(question for question in asked(found, "rdap") if question.status is Status.TEMPORARY)
    assert "500" in failed.reason
    [found] = explained(CLOUD + 'rdap = "timeout"\n', "198.51.100.1", seconds=2.0)
    failed = next(question for question in asked(found, "rdap") if question.status is Status.TEMPORARY)
    assert "did not answer in time" in failed.reason
    assert failed.seconds >= 0.5


def test_what_is_still_good_is_marked_as_kept() -> None:
    first, again, neighbour = explained("demo", "198.51.100.1", "198.51.100.1", "198.51.100.2")
    assert first.questions is not None
    assert not any(question.source == "cache" for question in first.questions)
    for found in (again, neighbour):
        [kept] = found.questions or ()
        assert (kept.source, kept.question, kept.cached) == ("cache", found.target, True)
        assert "good until" in kept.reason
    dns = explained(CLOUD + 'rdap = "404"\n', "198.51.100.1", "198.51.100.16/28")[1]
    known = {question.question: question.cached for question in asked(dns, "dns")}
    assert known["MX cloud.example"]


def test_what_a_server_said_to_another_lookup_a_moment_ago_is_marked_as_kept() -> None:
    world = '[networks."2001:db8::/32"]\nname = "WIDE"\nregistry = "ripe"\nabuse = "abuse@cloud.example"\n'

    async def run() -> tuple[list[Lookup], int]:
        async with looking(world) as (lookup, net):
            targets = ("2001:db8:1::1", "2001:db8:2::1")  # asked at once, for they are no neighbours
            found = await asyncio.gather(*(lookup.find_contacts(one, explain=True) for one in targets))
            return found, len(net.asked("rdap"))

    found, count = asyncio.run(run())
    urls = [q for one in found for q in asked(one, "rdap") if q.question.startswith("https://")]
    assert count == 1
    assert sorted(question.cached for question in urls) == [False, True]
    assert all(question.answer for question in urls)


def test_nothing_is_noted_when_nobody_asks() -> None:
    async def run() -> Lookup:
        async with looking("demo") as (lookup, _):
            return await lookup.find_contacts("198.51.100.1")

    found = asyncio.run(run())
    assert found.questions is None
    assert "questions" not in found.document()


def test_two_lookups_at_once_do_not_get_into_each_others_journals() -> None:
    async def run() -> list[Lookup]:
        async with looking("demo") as (lookup, _):
            targets = ("198.51.100.1", "203.0.113.20", "198.51.100.70")
            return await asyncio.gather(*(lookup.find_contacts(one, explain=True) for one in targets))

    for found in asyncio.run(run()):
        urls = [q.question for q in asked(found, "rdap") if q.question.startswith("https://")]
        assert urls
        assert all(url.endswith(found.target) for url in urls)


def test_the_document_of_a_question_has_the_published_shape() -> None:
    [found] = explained("demo", "203.0.113.20")
    documents = found.document()["questions"]
    for document in documents:
        assert list(document)[:6] == ["at", "source", "server", "question", "status", "seconds"]
        assert set(document) <= {
            "at",
            "source",
            "server",
            "question",
            "status",
            "seconds",
            "reason",
            "read",
            "answer",
            "cached",
        }
        assert document["status"] in {"found", "absent", "temporary", "permanent"}


def test_a_long_answer_and_many_questions_are_bounded() -> None:
    with journal.recording() as questions:
        for n in range(journal.MOST_QUESTIONS + 5):
            with journal.asking("whois", "whois.example", str(n)) as noted:
                noted.said(b"\xff" * 1_000_000)
    assert len(questions) == journal.MOST_QUESTIONS
    assert len(questions[0].answer) < journal.MOST_CHARACTERS + 20


def test_what_breaks_off_is_noted_as_given_up() -> None:
    wanted = journal.asking("dns", "127.0.0.1:9", "A one.example")
    with journal.recording() as questions, pytest.raises(TimeoutError), wanted:
        raise TimeoutError
    assert (questions[0].status, questions[0].reason) == (Status.TEMPORARY, "given up: the time was over")
