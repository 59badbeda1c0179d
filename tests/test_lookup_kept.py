"""Answers that are kept: how long, for whom, what becomes of old ones, and that nothing is asked twice."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from abuse_lookup import AbuseLookup, Lookup, open_lookup
from complaints.lookup_tables import LookupAnswer, LookupServer
from complaints.loopback import Internet, World, loopback_internet
from complaints.office import Office
from complaints.outside import looking_up
from complaints.settings import load
from tests.test_lookup import CLOUD, config_for, looking

SIX = """
[networks."2001:db8:100::/40"]
name = "SIX"
registry = "ripe"
abuse = "abuse@six.example"
"""
SHOP = CLOUD + '[domains."shop.example"]\naddresses = ["198.51.100.9"]\n'


class Clock:
    """A clock that runs, and can be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@asynccontextmanager
async def looking_at(clock: Clock, world: str) -> AsyncIterator[tuple[AbuseLookup, Internet]]:
    async with (
        loopback_internet(World.parse(world)) as net,
        open_lookup(config_for(net), clock=clock) as lookup,
    ):
        yield lookup, net


def asked(net: Internet) -> int:
    return len(net.asked("rdap")) + len(net.asked("whois"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_stale_answer_is_given_at_once_with_its_age_and_renewed_once_behind_it(tmp_path: Path) -> None:
    clock = Clock()

    async def run() -> None:
        async with loopback_internet(World.parse(CLOUD)) as net:
            config = config_for(net, cache_path=tmp_path / "c.db")
            async with open_lookup(config, clock=clock) as lookup, open_lookup(config, clock=clock) as other:
                first = await lookup.find_contacts("198.51.100.1")
                clock.ahead = timedelta(hours=25)
                many = await asyncio.gather(*(lookup.find_contacts(f"198.51.100.{n}") for n in range(60)))
                assert {(one.stale, one.as_of) for one in many} == {(True, first.as_of)}
                assert many[7].contacts == first.contacts
                await until(lambda: not lookup._renewing)
                assert asked(net) == 2
                renewed = await lookup.find_contacts("198.51.100.1")
                assert (renewed.stale, renewed.failures) == (False, ())
                assert renewed.as_of is not None
                assert first.as_of is not None
                assert renewed.as_of - first.as_of >= timedelta(hours=25)
                assert await other.find_contacts("198.51.100.1") == renewed
                assert asked(net) == 2

    asyncio.run(run())


def test_an_answer_too_old_for_that_is_asked_anew_first() -> None:
    clock = Clock()

    async def run() -> None:
        async with looking_at(clock, CLOUD) as (lookup, _):
            first = await lookup.find_contacts("198.51.100.1")
            clock.ahead = timedelta(days=3)
            again = await lookup.find_contacts("198.51.100.1")
            assert first.as_of is not None
            assert again.as_of is not None
            assert (again.stale, again.as_of - first.as_of > timedelta(days=2)) == (False, True)

    asyncio.run(run())


@pytest.mark.parametrize(("days", "there"), [(3, True), (8, False)])
def test_the_last_answer_stands_in_for_a_registry_that_is_down(
    tmp_path: Path, days: int, there: bool
) -> None:
    clock = Clock()

    async def run() -> tuple[Lookup, list[Lookup]]:
        async with loopback_internet(World.parse(CLOUD)) as net:
            config = config_for(net, cache_path=tmp_path / "c.db", seconds=1.0)
            async with open_lookup(config, clock=clock) as lookup:
                first = await lookup.find_contacts("198.51.100.1")
        clock.ahead = timedelta(days=days)
        async with open_lookup(replace(config, ca_file=None), clock=clock) as lookup:
            found = [await lookup.find_contacts("198.51.100.1")]
            started = time.monotonic()
            found.append(await lookup.find_contacts("198.51.100.2"))
            if there:  # that it is down is known for the whole network now
                assert time.monotonic() - started < 0.5
            return first, found

    first, found = asyncio.run(run())
    for one in found:
        assert one.stale == there
        assert one.contacts == (first.contacts if there else ())
        assert {failure.source for failure in one.failures} >= {"rdap", "whois"}
        if there:
            assert one.as_of == first.as_of


def test_one_network_is_asked_about_once_even_from_far_ends_of_it_at_once() -> None:
    async def run() -> tuple[list[Lookup], int]:
        async with looking(SIX) as (lookup, net):
            targets = [f"2001:db8:1{n:02x}::{n + 1:x}" for n in range(100)]
            found = [one async for one in lookup.find_many(targets)]
            return found, asked(net)

    found, questions = asyncio.run(run())
    assert questions == 1
    assert {one.contacts[0].address for one in found} == {"abuse@six.example"}
    assert {one.network for one in found} == {"2001:db8:100::/40"}


def test_one_network_is_asked_about_once_by_all_processes_at_once(tmp_path: Path) -> None:
    async def ask(lookup: AbuseLookup, first: int) -> None:
        targets = [f"2001:db8:1{n:02x}::1" for n in range(first, 60, 3)]
        async for one in lookup.find_many(targets):
            assert one.contacts[0].address == "abuse@six.example"

    async def run() -> int:
        async with loopback_internet(World.parse(SIX)) as net:
            config = config_for(net, cache_path=tmp_path / "c.db")
            async with open_lookup(config) as one, open_lookup(config) as two, open_lookup(config) as three:
                await asyncio.gather(*(ask(lookup, n) for n, lookup in enumerate((one, two, three))))
            return asked(net)

    assert asyncio.run(run()) == 1


def test_hosts_of_one_domain_cost_one_question_about_its_registrar() -> None:
    async def run() -> list[str]:
        async with looking(SHOP) as (lookup, net):
            hosts = [f"www{n}.shop.example" for n in range(20)] + ["shop.example"]
            await asyncio.gather(*(lookup.find_contacts(host) for host in hosts))
            return [f"{q.server} {q.question}" for q in net.asked("rdap") if "/domain/" in q.question]

    questions = asyncio.run(run())
    assert len(questions) == len(set(questions))


def test_failures_are_kept_for_minutes_and_nobody_is_asked_in_them() -> None:
    clock = Clock()
    world = CLOUD + 'rdap = "500"\nwhois = "empty"\n'

    async def run() -> None:
        async with looking_at(clock, world) as (lookup, net):
            first = await lookup.find_contacts("198.51.100.1")
            before = asked(net)
            assert await lookup.find_contacts("198.51.100.1") == first
            assert asked(net) == before
            clock.ahead = timedelta(minutes=3)
            await lookup.find_contacts("198.51.100.1")
            assert asked(net) > before

    asyncio.run(run())


def test_where_a_host_is_is_asked_anew_after_an_hour_but_not_its_network() -> None:
    clock = Clock()

    async def run() -> None:
        async with looking_at(clock, SHOP) as (lookup, net):
            first = await lookup.find_contacts("shop.example")
            before = asked(net)
            clock.ahead = timedelta(minutes=61)
            again = await lookup.find_contacts("shop.example")
            assert asked(net) == before
            assert (again.as_of != first.as_of, again.stale) == (True, False)

    asyncio.run(run())


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    async def run() -> None:
        async with looking(CLOUD, cache_path=tmp_path / "c.db") as (lookup, _):
            await lookup.find_contacts("198.51.100.1")

    asyncio.run(run())
    return tmp_path / "c.db"


@pytest.mark.parametrize("how", ["another shape", "no lookup", "no json", "as it was"])
def test_what_another_version_kept_is_asked_anew(filled: Path, how: str) -> None:
    with closing(sqlite3.connect(filled, isolation_level=None)) as file:
        file.execute("DELETE FROM answer WHERE key LIKE 'said:%'")
        for key, value in file.execute("SELECT key, value FROM answer").fetchall():
            document = json.loads(value)
            if how == "another shape":
                document["shape"] += 1
            elif how == "no lookup":
                document["found"] = {"target": 1}
            text = "{" if how == "no json" else json.dumps(document)
            file.execute("UPDATE answer SET value = ? WHERE key = ?", (text, key))

    async def run() -> int:
        async with looking(CLOUD, cache_path=filled) as (lookup, net):
            found = await lookup.find_contacts("198.51.100.9")
            assert found.contacts[0].address == "abuse@cloud.example"
            return len(net.asked("rdap"))

    assert asyncio.run(run()) == (0 if how == "as it was" else 1)


def test_what_was_kept_under_other_contact_zones_is_asked_anew(tmp_path: Path) -> None:
    clock = Clock()

    async def run() -> list[int]:
        async with loopback_internet(World.parse(CLOUD)) as net:
            config, questions = config_for(net, cache_path=tmp_path / "c.db"), []
            for zones in ((), (), ("contacts.example",)):
                async with open_lookup(replace(config, contact_zones=zones), clock=clock) as lookup:
                    await lookup.find_contacts("198.51.100.1")
                questions.append(asked(net))
                clock.ahead += timedelta(minutes=3)  # what a server just said is forgotten
            return questions

    first, same, other = asyncio.run(run())
    assert first == same < other


def test_a_lookup_that_waited_in_vain_leaves_no_failure_behind() -> None:
    """Its neighbour's question took all its time; what that one finds must not be hidden by it."""
    world = "[world]\nslow_seconds = 0.7\n" + CLOUD + 'rdap = "slow"\n'

    async def run() -> None:
        async with looking(world, seconds=2.0) as (lookup, net):
            first = asyncio.create_task(lookup.find_contacts("198.51.100.1"))
            await asyncio.sleep(0.05)
            lookup._seconds = 0.1
            waited = await lookup.find_contacts("198.51.100.2")
            assert "were over" in waited.failures[0].reason
            await first
            again = await lookup.find_contacts("198.51.100.2")
            assert again.contacts[0].address == "abuse@cloud.example"
            assert len(net.asked("rdap")) == 1

    asyncio.run(run())


def test_the_service_keeps_answers_and_limits_where_all_its_processes_see_them(
    database_url: str, tmp_path: Path
) -> None:
    """In PostgreSQL where that is the database; beside the embedded one in a file."""
    embedded = database_url.startswith("sqlite")

    async def run() -> tuple[int, list[str], list[str]]:
        async with loopback_internet(World.parse(CLOUD)) as net:
            given = {name.removeprefix("PLAINT_").lower(): value for name, value in net.settings().items()}
            settings = load(data=tmp_path, database_url="" if embedded else database_url, **given)
            office = Office.open(settings)
            async with looking_up(office) as one, looking_up(office) as other:
                first = await one.find_contacts("198.51.100.1")
                second = await other.find_contacts("198.51.100.2")
                assert first.contacts == second.contacts
            with office.db.reading() as session:
                answers = session.exec(select(LookupAnswer.key)).all()
                servers = session.exec(select(LookupServer.name)).all()
            office.close()
            return asked(net), list(answers), list(servers)

    questions, answers, servers = asyncio.run(run())
    assert questions == 1
    assert (tmp_path / "lookups.sqlite").exists() == embedded
    assert servers == ([] if embedded else ["rdap.ripe.example"])
    assert any(key.startswith("net4/26/") for key in answers) == (not embedded)


def test_a_registry_that_is_dead_does_not_hold_up_a_batch() -> None:
    world = SIX.replace("/40", "/48") + 'rdap = "timeout"\nwhois = "timeout"\n' + CLOUD

    async def run() -> list[Lookup]:
        async with looking(world, seconds=1.0) as (lookup, _):
            dead = [f"2001:db8:100:{n:x}::1" for n in range(20)]
            wanted = [*dead, *(f"198.51.100.{n}" for n in range(8))]
            return [one async for one in lookup.find_many(wanted)]

    started = time.monotonic()
    found = asyncio.run(run())
    assert time.monotonic() - started < 15
    assert sum(bool(one.contacts) for one in found) == 8
