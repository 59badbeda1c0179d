"""Answers kept by network: in memory, in a file that processes share, and in the database."""

import asyncio
import ipaddress
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abuse_lookup import ConfigError
from abuse_lookup.answer import Lookup, Span
from abuse_lookup.book import BookError
from abuse_lookup.cache import Cache, FileCache, MemoryCache, OneAtATime, covering_keys, span_keys
from abuse_lookup.shared_file import SharedFile
from abuse_lookup.shelf import Entry, Shelf
from abuse_lookup.target import Target
from complaints.db import Database
from complaints.lookup_store import LookupStore
from tests import postgresql

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def ip4(text: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(text)


async def is_kept_by_key_until_it_expires(cache: Cache) -> None:
    await cache.put(["a"], "one", LATER)
    assert await cache.get(["a"], NOW) == "one"
    assert await cache.get(["a"], LATER) is None
    assert await cache.get(["b"], NOW) is None
    await cache.put(["a"], "two", LATER)
    assert await cache.get(["a"], NOW) == "two"
    await cache.put(["wide"], "wide", LATER)
    await cache.put(["narrow"], "narrow", LATER)
    assert await cache.get(["missing", "narrow", "wide"], NOW) == "narrow"
    assert (await cache.purge(NOW), await cache.purge(LATER)) == (0, 3)
    assert await cache.get(["a"], NOW) is None
    cache.close()


def test_memory_keeps_answers_by_key_until_they_expire() -> None:
    asyncio.run(is_kept_by_key_until_it_expires(MemoryCache()))


def test_a_file_keeps_answers_by_key_until_they_expire(tmp_path: Path) -> None:
    asyncio.run(is_kept_by_key_until_it_expires(FileCache(SharedFile(tmp_path / "c.db"))))


def opened(url: str) -> Database:
    return Database(url.replace("postgresql://", "postgresql+psycopg://"))


def test_a_database_keeps_answers_by_key_until_they_expire(postgresql_url: str) -> None:
    async def run(database: Database) -> None:
        await is_kept_by_key_until_it_expires(LookupStore(database))

    with closing(opened(postgresql_url)) as database:
        database.upgrade()
        asyncio.run(run(database))


def test_a_database_that_cannot_be_asked_is_a_miss(postgres: str) -> None:
    """Here it has no tables yet."""

    async def run(database: Database) -> None:
        store = LookupStore(database)
        await store.put(["a"], "one", LATER)
        assert await store.get(["a"], NOW) is None
        assert await store.purge(NOW) == 0
        with pytest.raises(BookError, match="cannot be had"):
            await store.change("s", lambda page, _: page.silences)
        store.close()

    with postgresql.database(postgres) as url, closing(opened(url)) as database:
        asyncio.run(run(database))


def test_what_the_database_cannot_hold_fails_alone(postgresql_url: str) -> None:
    async def run(database: Database) -> None:
        store = LookupStore(database)
        bad = ["nul\0", "\udcff"]
        await asyncio.gather(
            *(store.put(["bad"], text, LATER) for text in bad),
            store.put(["a"], "one", LATER),
            store.change("s", lambda page, _: page.pause(1e12, "why")),
        )
        wanted = [store.get([key], NOW) for key in ("bad", "a", *bad)]
        assert await asyncio.gather(*wanted) == [None, "one", None, None]
        assert await store.change("s", lambda page, _: page.reason) == "why"
        store.close()

    with closing(opened(postgresql_url)) as database:
        database.upgrade()
        asyncio.run(run(database))


def test_a_connection_that_was_cut_is_made_anew(postgresql_url: str) -> None:
    async def run(database: Database) -> None:
        store = LookupStore(database)
        await store.put(["a"], "one", LATER)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        with psycopg.connect(postgresql_url, autocommit=True) as other:
            other.execute(cut + " AND datname = current_database()")
        assert await store.get(["a"], NOW) == "one"
        store.close()

    with closing(opened(postgresql_url)) as database:
        database.upgrade()
        asyncio.run(run(database))


def test_a_neighbour_is_covered_and_a_stranger_is_not() -> None:
    span = Span(ip4("198.51.100.3"), ip4("198.51.100.70"))
    keys = set(span_keys(span, ip4("198.51.100.9")))
    for last, covered in ((3, True), (70, True), (2, False), (71, False)):
        assert bool(keys & set(covering_keys(ip4(f"198.51.100.{last}")))) == covered


def test_a_pool_speaks_for_its_neighbourhood_only() -> None:
    keys = set(span_keys(Span(ip4("12.0.0.0"), ip4("12.255.255.255")), ip4("12.100.128.1")))
    assert keys & set(covering_keys(ip4("12.100.128.200")))
    assert not keys & set(covering_keys(ip4("12.100.129.1")))


@given(st.ip_addresses(v=6), st.integers(0, 2**70), st.integers(0, 2**70))
def test_every_range_covers_what_is_in_it(middle: ipaddress.IPv6Address, below: int, above: int) -> None:
    first = ipaddress.IPv6Address(max(0, int(middle) - below))
    last = ipaddress.IPv6Address(min(2**128 - 1, int(middle) + above))
    keys = set(span_keys(Span(first, last), middle))
    assert keys & set(covering_keys(middle))
    assert len(keys) <= 254


def test_memory_is_bounded() -> None:
    async def run() -> list[str | None]:
        cache = MemoryCache(most=3)
        for number in range(5):
            await cache.put([str(number)], "x", LATER)
        return [await cache.get([str(n)], NOW) for n in range(5)]

    assert asyncio.run(run()) == [None, None, "x", "x", "x"]


def test_a_file_is_shared(tmp_path: Path) -> None:
    async def run() -> None:
        one, other = FileCache(SharedFile(tmp_path / "c.db")), FileCache(SharedFile(tmp_path / "c.db"))
        await one.put(["a"], "x", LATER)
        assert await other.get(["a"], NOW) == "x"
        one.close()
        other.close()

    asyncio.run(run())


def test_a_file_of_another_kind_is_a_configuration_error_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "c.db").write_text("not a database, but long enough to look like one" * 10)
    before = (tmp_path / "c.db").read_bytes()
    with pytest.raises(ConfigError, match=r"c\.db"):
        SharedFile(tmp_path / "c.db")
    assert (tmp_path / "c.db").read_bytes() == before


def test_a_broken_cache_file_is_started_anew(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    FileCache(SharedFile(path)).close()
    path.write_bytes(path.read_bytes()[:16] + b"\xff" * 4000)

    async def run() -> str | None:
        cache = FileCache(SharedFile(path))
        await cache.put(["a"], "x", LATER)
        found = await cache.get(["a"], NOW)
        cache.close()
        return found

    assert asyncio.run(run()) == "x"


def test_a_file_that_breaks_or_is_full_while_it_is_open_is_a_miss(tmp_path: Path) -> None:
    async def run() -> None:
        cache = FileCache(file := SharedFile(tmp_path / "c.db"))
        await cache.put(["a"], "x", LATER)
        await file.read(lambda connection: connection.execute("PRAGMA max_page_count=1"))
        await cache.put(["b"], "y" * 100_000, LATER)
        assert await cache.get(["b"], NOW) is None
        assert await cache.get(["a"], NOW) == "x"
        await file.read(lambda connection: connection.execute("DROP TABLE answer"))
        assert await cache.get(["a"], NOW) is None
        await cache.put(["a"], "x", LATER)
        assert await cache.purge(NOW) == 0
        cache.close()

    asyncio.run(run())


def test_a_locked_file_is_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abuse_lookup.shared_file._PATIENCE", 0.01)

    async def run() -> None:
        cache = FileCache(SharedFile(tmp_path / "c.db"))
        with closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await cache.put(["a"], "x", LATER)
            assert await cache.get(["a"], NOW) is None
        await cache.put(["a"], "x", LATER)
        assert await cache.get(["a"], NOW) == "x"
        cache.close()

    asyncio.run(run())


def test_equal_questions_wait_for_the_first() -> None:
    one, running, most = OneAtATime(), 0, 0

    async def ask(key: str) -> None:
        nonlocal running, most
        async with one.asking(key):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    async def run() -> None:
        await asyncio.gather(*(ask("same") for _ in range(20)))

    asyncio.run(run())
    assert most == 1
    assert one._waiting == {}


def entry(name: str, kept: datetime = LATER) -> Entry:
    return Entry(Lookup(name, "ip"), LATER, kept)


def on_shelf(shelf: Shelf, text: str) -> str | None:
    found = shelf.get(Target.parse(text), "")
    return found.found.target if found else None


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(0, 20), st.booleans()), max_size=12
    )
)
def test_ranges_on_the_shelf_hold_what_a_list_of_them_would(puts: list[tuple[int, int, int, bool]]) -> None:
    """For every address: the smallest range put in that is still kept, but for what was asked about itself."""
    shelf = Shelf()
    naive: dict[int, tuple[str | None, int, int, bool]] = {}
    for count, (about, below, above, kept) in enumerate(puts):
        first, last = max(0, about - below), min(255, about + above)
        span = Span(ip4(f"192.0.2.{first}"), ip4(f"192.0.2.{last}"))
        put = entry(str(count), LATER if kept else NOW)
        shelf.put(Target.parse(f"192.0.2.{about}"), "", put, span, NOW)
        before = dict(naive)
        own = before.get(about, (None, -1, -1, False))
        for number in range(first, last + 1):
            _, start, end, alive = old = before.get(number, (None, -1, 999, False))
            asked_itself = old[0] is not None and old == own and _joined(before, old, number, about)
            if not (alive and end - start < last - first and not asked_itself):
                naive[number] = (str(count), first, last, kept)
    for number in range(256):
        assert on_shelf(shelf, f"192.0.2.{number}") == naive.get(number, (None,))[0]
    ranges = shelf._ranges[4]
    assert all(first <= last for first, last in zip(ranges.firsts, ranges.lasts, strict=True))
    assert all(last < first for last, first in zip(ranges.lasts, ranges.firsts[1:], strict=False))


def _joined(naive: dict[int, tuple[str | None, int, int, bool]], old: object, one: int, other: int) -> bool:
    """Whether both numbers are in one unbroken piece of a former range."""
    low, high = sorted((one, other))
    return all(naive.get(number) == old for number in range(low, high + 1))


def test_an_answer_about_a_larger_network_leaves_the_smaller_ones_in_it() -> None:
    shelf = Shelf()
    shelf.put(Target.parse("192.0.2.9"), "", entry("small"), Span(ip4("192.0.2.8"), ip4("192.0.2.15")), NOW)
    shelf.put(Target.parse("192.0.2.1"), "", entry("large"), Span(ip4("192.0.2.0"), ip4("192.0.2.255")), NOW)
    assert [on_shelf(shelf, f"192.0.2.{n}") for n in (7, 8, 15, 16)] == ["large", "small", "small", "large"]
    assert shelf.at_hand("192.0.2.200", NOW) == Lookup("192.0.2.200", "ip")
    assert shelf.at_hand("192.0.2.200", LATER) is None
    assert shelf.at_hand("192.0.3.1", NOW) is None
    assert shelf.at_hand("no\0address", NOW) is None


def test_a_renewed_answer_takes_the_place_of_the_smaller_one_it_was_asked_for() -> None:
    shelf = Shelf()
    target = Target.parse("192.0.2.9")
    shelf.put(target, "", entry("small"), Span(ip4("192.0.2.8"), ip4("192.0.2.15")), NOW)
    shelf.put(target, "", entry("merged"), Span(ip4("192.0.2.0"), ip4("192.0.2.255")), NOW)
    assert on_shelf(shelf, "192.0.2.9") == "merged"
