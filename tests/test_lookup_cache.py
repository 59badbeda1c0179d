"""Answers kept by network, and questions spaced by server."""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abuse_lookup import ConfigError
from abuse_lookup.answer import Span
from abuse_lookup.cache import Cache, FileCache, MemoryCache, OneAtATime, covering_keys, span_keys
from abuse_lookup.pace import WINDOW, Book, FileBook, MemoryBook, NotNow, Pace

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def ip4(text: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(text)


@pytest.fixture(params=["memory", "file"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    made: Cache = MemoryCache() if request.param == "memory" else FileCache(tmp_path / "cache.db")
    yield made
    made.close()


def test_an_answer_is_kept_until_it_expires(cache: Cache) -> None:
    cache.put(["a"], "one", LATER)
    assert cache.get(["a"], NOW) == "one"
    assert cache.get(["a"], LATER) is None
    assert cache.get(["b"], NOW) is None


def test_the_most_specific_key_wins(cache: Cache) -> None:
    cache.put(["wide"], "wide", LATER)
    cache.put(["narrow"], "narrow", LATER)
    assert cache.get(["missing", "narrow", "wide"], NOW) == "narrow"


def test_a_neighbour_is_covered_and_a_stranger_is_not(cache: Cache) -> None:
    span = Span(ip4("198.51.100.3"), ip4("198.51.100.70"))
    cache.put(span_keys(span, ip4("198.51.100.9")), "net", LATER)
    assert cache.get(covering_keys(ip4("198.51.100.3")), NOW) == "net"
    assert cache.get(covering_keys(ip4("198.51.100.70")), NOW) == "net"
    assert cache.get(covering_keys(ip4("198.51.100.2")), NOW) is None
    assert cache.get(covering_keys(ip4("198.51.100.71")), NOW) is None


def test_a_pool_speaks_for_its_neighbourhood_only(cache: Cache) -> None:
    cache.put(span_keys(Span(ip4("12.0.0.0"), ip4("12.255.255.255")), ip4("12.100.128.1")), "pool", LATER)
    assert cache.get(covering_keys(ip4("12.100.128.200")), NOW) == "pool"
    assert cache.get(covering_keys(ip4("12.100.129.1")), NOW) is None


@given(st.ip_addresses(v=6), st.integers(0, 2**70), st.integers(0, 2**70))
def test_every_range_covers_what_is_in_it(middle: ipaddress.IPv6Address, below: int, above: int) -> None:
    first = ipaddress.IPv6Address(max(0, int(middle) - below))
    last = ipaddress.IPv6Address(min(2**128 - 1, int(middle) + above))
    keys = set(span_keys(Span(first, last), middle))
    assert keys & set(covering_keys(middle))
    assert len(keys) <= 254


def test_memory_is_bounded() -> None:
    cache = MemoryCache(most=3)
    for number in range(5):
        cache.put([str(number)], "x", LATER)
    assert [cache.get([str(n)], NOW) for n in range(5)] == [None, None, "x", "x", "x"]


def test_a_file_is_shared_and_purged(tmp_path: Path) -> None:
    one, other = FileCache(tmp_path / "c.db"), FileCache(tmp_path / "c.db")
    one.put(["a"], "x", LATER)
    assert other.get(["a"], NOW) == "x"
    assert (other.purge(NOW), other.purge(LATER)) == (0, 1)
    one.close()
    other.close()


def test_a_file_that_is_no_cache_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "c.db").write_text("not a database, but long enough to look like one" * 10)
    for opened in (FileCache, FileBook):
        with pytest.raises(ConfigError, match=r"c\.db"):
            opened(tmp_path / "c.db")


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


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(params=["memory", "file"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Book]:
    made: Book = MemoryBook() if request.param == "memory" else FileBook(tmp_path / "book.db")
    yield made
    made.close()


@given(limit=st.integers(1, 5), gaps=st.lists(st.floats(0, 30), max_size=40))
def test_no_window_holds_more_questions_than_the_limit(limit: int, gaps: list[float]) -> None:
    book, now, moments = MemoryBook(), 1_000.0, []
    for gap in gaps:
        now += gap
        moments.append(book.reserve("s", limit, now, now + 1e9))
    for moment in moments:
        assert sum(moment <= other < moment + WINDOW for other in moments) <= limit


def test_the_limit_is_used_to_the_full(book: Book) -> None:
    moments = [book.reserve("s", 4, 1_000.0, 1e9) for _ in range(9)]
    assert moments == [1000.0] * 4 + [1060.0] * 4 + [1120.0]
    assert book.reserve("another", 4, 1_000.0, 1e9) == 1000.0


def test_a_turn_that_comes_too_late_is_not_written_down(book: Book) -> None:
    assert [book.reserve("s", 1, 1_000.0, 1_001.0) for _ in range(3)] == [1000.0, 1060.0, 1060.0]


def test_processes_share_one_book(tmp_path: Path) -> None:
    one, other = FileBook(tmp_path / "b.db"), FileBook(tmp_path / "b.db")
    assert one.reserve("s", 1, 1_000.0, 1e9) == 1000.0
    assert other.reserve("s", 1, 1_000.0, 1e9) == 1060.0
    one.close()
    other.close()


def take(pace: Pace, server: str, patience: float = 0.05) -> None:
    async def run() -> None:
        async with pace.turn(server, patience):
            pass

    asyncio.run(run())


def paced(per_minute: int, clock: Callable[[], datetime]) -> Pace:
    return Pace(per_minute, clock, MemoryBook())


def test_known_limits_are_lower_than_the_general_one_and_zero_lifts_all() -> None:
    assert paced(60, Clock()).limit("rdap.lacnic.net") == 6
    assert paced(3, Clock()).limit("whois.lacnic.net") == 3
    assert paced(60, Clock()).limit("rdap.elsewhere.example") == 60
    assert paced(60, Clock()).limit("notlacnic.net") == 60
    assert paced(0, Clock()).limit("rdap.lacnic.net") == 0


def test_a_question_over_the_limit_says_when_it_may_be_asked() -> None:
    clock = Clock()
    pace = paced(1, clock)
    take(pace, "whois.example")
    with pytest.raises(NotNow, match="at most 1 questions a minute; next in 60 s"):
        take(pace, "whois.example")
    clock.now += timedelta(seconds=60)
    take(pace, "whois.example")


def test_a_pause_holds_until_it_is_over() -> None:
    clock = Clock()
    pace = paced(0, clock)
    pace.pause("whois.example", 30, "it said so")
    pace.pause("whois.example", 5, "a shorter one changes nothing")
    with pytest.raises(NotNow, match="another 30 s: it said so"):
        take(pace, "whois.example")
    take(pace, "other.example")
    clock.now += timedelta(seconds=30)
    take(pace, "whois.example")


def test_a_server_that_stays_silent_is_left_alone_for_a_while() -> None:
    pace = paced(0, Clock())
    for _ in range(2):
        pace.silent("whois.example")
    pace.answered("whois.example")
    pace.silent("whois.example")
    take(pace, "whois.example")
    pace.silent("whois.example")
    pace.silent("whois.example")
    with pytest.raises(NotNow, match="did not answer 3 times"):
        take(pace, "whois.example")


def test_one_question_at_a_time_goes_to_a_server() -> None:
    pace, running, most = paced(0, Clock()), 0, 0

    async def ask(server: str) -> None:
        nonlocal running, most
        async with pace.turn(server, 5):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.002)
            running -= 1

    async def run() -> None:
        await asyncio.gather(*(ask("whois.example") for _ in range(10)))

    asyncio.run(run())
    assert most == 1


def test_a_busy_server_is_not_waited_for_for_ever() -> None:
    pace = paced(0, Clock())

    async def run() -> None:
        async with pace.turn("whois.example", 1), pace.turn("whois.example", 0.05):
            pass

    started = time.monotonic()
    with pytest.raises(NotNow, match="busy with our earlier questions"):
        asyncio.run(run())
    assert time.monotonic() - started < 1
