"""Questions spaced by server: exact over tasks, processes and restarts, and what was just said is not asked."""

import asyncio
import ipaddress
import multiprocessing
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abuse_lookup import ConfigError
from abuse_lookup.answer import Span
from abuse_lookup.book import (
    LOOK_AGAIN,
    ON_THE_WAY,
    SILENCE_PAUSE,
    Book,
    BookError,
    Bucket,
    FileBook,
    Limits,
    MemoryBook,
    Page,
)
from abuse_lookup.cache import MemoryCache
from abuse_lookup.opening import now as utc_now
from abuse_lookup.pace import NotNow, Pace, limit_rows
from abuse_lookup.shared_file import SharedFile
from complaints.db import Database
from complaints.lookup_config import lookup_config
from complaints.lookup_store import LookupStore
from complaints.settings import SettingsError, load

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FAR = 1e12


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def most_in_any(seconds: float, moments: list[float]) -> int:
    """The most questions that any half-open window of so many seconds holds."""
    return max(sum(start <= one < start + seconds for one in moments) for start in moments)


@pytest.mark.parametrize("at_once", [1, 2, 5])
@settings(max_examples=25)
@given(
    questions=st.integers(1, 12),
    part=st.floats(0, 1),
    seconds=st.sampled_from([1.0, 60.0, 900.0]),
    luck=st.randoms(use_true_random=False),
)
def test_no_server_sees_more_than_its_limit_in_any_window_however_late_questions_leave(
    at_once: int, questions: int, part: float, seconds: float, luck: random.Random
) -> None:
    """Each is asked after a pause, under way for a time, and seen within it; some ask and die.

    What took very long got no answer, and may be seen a little later still.
    """
    bucket = Bucket(questions, seconds, max(1, int(part * (questions + 1) / 2)))
    limits, page = Limits((bucket,), at_once), Page()
    now, seen, under_way = 1.7e9, [], list[tuple[float, str]]()
    for number in range(2 * questions + 10):
        now += luck.choice([0.0, 0.0, luck.uniform(0, 2 * bucket.interval), luck.uniform(0, seconds)])
        way = luck.choice([0.0, luck.uniform(0, min(30.0, seconds)), luck.uniform(0, 30)])
        step = 0.0
        when, dies = luck.choice([0.0, 1.0, luck.random()]), luck.random() < 0.1
        name, late = (f"long {number}", ON_THE_WAY) if way > 20 else (str(number), 0.0)
        while True:
            for end, who in [one for one in sorted(under_way) if one[0] <= now]:
                page.leave(who, limits, end, answered=not who.startswith("long") or None)
                under_way.remove((end, who))
            wait, why = page.take(name, limits, now, now + 30 + late)
            if not wait:
                break
            assert f"at most {questions} questions" in why or "was busy" in why
            now += max(wait + 1e-6, step)
            step = 2 * step + 0.01
        seen.append(now + when * (way + late))
        if not dies:
            under_way.append((now + way, name))
    assert most_in_any(seconds, seen) <= questions


@given(questions=st.integers(1, 60), part=st.floats(0, 1), gaps=st.lists(st.floats(0, 40), min_size=1))
def test_nobody_waits_longer_than_he_has_to(questions: int, part: float, gaps: list[float]) -> None:
    limits, page = Limits((Bucket(questions, 60.0, max(1, int(part * (questions + 1) / 2))),)), Page()
    now = 1.7e9
    for gap in gaps:
        now += gap
        if wait := page.take("me", limits, now, FAR)[0]:
            assert page.take("me", limits, now + wait * 0.99 - 1e-3, FAR)[0] > 0
            now += wait + 1e-6
            assert page.take("me", limits, now, FAR)[0] == 0
        page.leave("me", limits, now, answered=True)


@pytest.mark.parametrize(("limit", "way"), [((60, 60.0, 3), 0.9), ((60, 10.0, 3), 0.15), ((6, 60.0, 1), 0.3)])
def test_a_limit_is_used_to_the_full_but_for_what_its_burst_costs(
    limit: tuple[int, float, int], way: float
) -> None:
    page, start, taken = Page(), 1.7e9, 0
    bucket, now = Bucket(*limit), start
    while now < start + 3600:
        wait, _ = page.take("me", Limits((bucket,)), now, FAR)
        now += wait + 1e-6 if wait else way
        if not wait:
            page.leave("me", Limits((bucket,)), now, answered=True)
            taken += 1
    assert taken >= 0.95 * 3600 / bucket.seconds * bucket.questions


def test_a_question_without_an_answer_may_be_on_its_way_for_a_while() -> None:
    for answered, wait in ((True, 60.06), (False, 62.06), (None, 62.06)):
        page, limits = Page(), Limits((Bucket(1, 60.0, 1),))
        page.take("a", limits, 1000.0, FAR)
        page.leave("a", limits, 1000.0, answered=answered)
        assert page.take("b", limits, 1000.0, FAR)[0] == pytest.approx(wait)


def test_who_dies_with_a_turn_has_asked_at_its_end() -> None:
    page, limits = Page(), Limits((Bucket(1, 60.0, 1),), at_once=2)
    page.take("dead", limits, 1000.0, 1010.0)
    assert page.take("b", limits, 1009.0, FAR)[0] > 0
    assert page.take("b", limits, 1069.9, FAR)[0] == pytest.approx(0.16)
    assert page.take("b", limits, 1070.07, FAR)[0] == 0


def test_all_buckets_hold_and_nothing_is_taken_of_one_when_another_is_empty() -> None:
    page = Page()
    limits = Limits((Bucket(100, 1.0, 50), Bucket(1, 86400.0, 1)), at_once=10)
    assert page.take("a", limits, 1000.0, FAR) == (0.0, "")
    page.leave("a", limits, 1000.0, answered=True)
    before = dict(page.full_again)
    wait, why = page.take("b", limits, 1000.0, FAR)
    assert wait == pytest.approx(86400 * 1.001)
    assert "at most 1 questions in 86400 s" in why
    assert page.full_again == before


def test_a_turn_that_is_given_back_leaves_its_token() -> None:
    page, limits = Page(), Limits((Bucket(1, 60.0, 1),))
    page.take("a", limits, 1000.0, FAR)
    page.give_back("a")
    page.give_back("a")
    assert page.take("b", limits, 1000.0, FAR) == (0.0, "")
    page.leave("b", limits, 1000.0, answered=True)
    assert page.take("c", limits, 1000.0, FAR)[0] == pytest.approx(60.06)


def test_a_dead_process_blocks_a_server_only_until_its_turn_is_over() -> None:
    page, limits = Page(), Limits()
    assert page.take("dead", limits, 1000.0, 1010.0) == (0.0, "")
    assert page.take("b", limits, 1009.9, FAR) == (LOOK_AGAIN, "was busy with our earlier questions")
    assert page.take("b", limits, 1010.0, FAR) == (0.0, "")


def test_a_clock_that_was_set_back_costs_one_window_at_most() -> None:
    page, limits = Page(), Limits((Bucket(10, 60.0, 2),), at_once=9)
    for _ in range(2):
        page.take("a", limits, 1_000_000.0, FAR)
        page.leave("a", limits, 1_000_000.0, answered=True)
    assert 0 < page.take("b", limits, 1000.0, FAR)[0] <= 60.6


def test_a_bucket_that_could_not_keep_its_promise_is_refused() -> None:
    for burst in (0, 6):
        with pytest.raises(ValueError, match="burst"):
            Bucket(10, 60.0, burst)


def test_a_page_survives_being_written_and_what_is_no_page_is_a_new_one() -> None:
    page = Page()
    page.take("a", Limits((Bucket(2, 60.0, 1),)), 1000.0, FAR)
    page.pause(2000.0, "it said so")
    assert Page.parse(page.text()) == page
    for text in (None, "", "[]", "{", '{"of": "another version"}'):
        assert Page.parse(text) == Page()


# -- books --------------------------------------------------------------------------------------------------


@contextmanager
def open_book(kind: str, place: str) -> Iterator[Book]:
    if kind == "database":
        with closing(Database(place.replace("postgresql://", "postgresql+psycopg://"))) as database:
            if database.is_empty():
                database.upgrade()
            with closing(LookupStore(database)) as store:
                yield store
        return
    book = MemoryBook(utc_now) if kind == "memory" else FileBook(SharedFile(Path(place)), utc_now)
    with closing(book):
        yield book


def hammer(kind: str, place: str, seconds: float, moments: "multiprocessing.Queue[list[float]]") -> None:
    """Take turns as fast as possible, as one of several processes; hand in when each was."""

    async def run(book: Book) -> list[float]:
        taken: list[float] = []
        limits, until = Limits((Bucket(20, 1.0, 2),), at_once=1000), time.time() + seconds

        def who() -> str:
            return f"{os.getpid()}/{len(taken)}"

        while time.time() < until:
            wait = await book.change("s", lambda page, now: page.take(who(), limits, now, now + 5)[0])
            if wait:
                await asyncio.sleep(min(wait, 0.01))
                continue
            await asyncio.sleep(random.uniform(0, 0.03))
            moment = time.time()
            await book.change("s", lambda page, now: page.leave(who(), limits, now, answered=True))
            taken.append(moment)
        return taken

    with open_book(kind, place) as book:
        moments.put(asyncio.run(run(book)))


def test_processes_that_hammer_one_file_never_pass_the_limit(tmp_path: Path) -> None:
    hammered_by_three("file", str(tmp_path / "b.db"))


def test_processes_that_hammer_one_database_never_pass_the_limit(postgresql_url: str) -> None:
    hammered_by_three("database", postgresql_url)


def hammered_by_three(kind: str, place: str) -> None:
    with open_book(kind, place):
        pass  # makes the tables
    spawn = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[list[float]] = spawn.Queue()
    processes = [spawn.Process(target=hammer, args=(kind, place, 1.5, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    by_process = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    taken = sorted(moment for moments in by_process for moment in moments)
    assert most_in_any(1.0, taken) <= 20
    assert len(taken) >= 0.8 * 19 * (taken[-1] - taken[0])


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_book_keeps_each_servers_page(kind: str, tmp_path: Path) -> None:
    keeps_each_servers_page(kind, str(tmp_path / "b.db"))


def test_a_book_in_the_database_keeps_each_servers_page(postgresql_url: str) -> None:
    keeps_each_servers_page("database", postgresql_url)


def keeps_each_servers_page(kind: str, place: str) -> None:
    async def run() -> None:
        with open_book(kind, place) as book:
            await book.change("a", lambda page, _: page.pause(FAR, "why"))
            assert await book.change("a", lambda page, _: page.paused_until) == FAR
            assert await book.change("b", lambda page, _: page.paused_until) == 0.0
            with pytest.raises(ZeroDivisionError):
                await book.change("a", lambda page, _: page.pause(1 / 0, "why"))
            assert await book.change("a", lambda page, _: page.paused_until) == FAR
        if kind != "memory":
            with open_book(kind, place) as again:
                assert await again.change("a", lambda page, _: page.reason) == "why"

    asyncio.run(run())


def test_a_page_that_holds_nobody_back_for_a_day_is_thrown_away(tmp_path: Path) -> None:
    clock = Clock()

    async def run() -> list[tuple[str]]:
        book = FileBook(file := SharedFile(tmp_path / "b.db"), clock)
        with closing(book):
            await book.change("idle", lambda page, now: page.pause(now + 5, "why"))
            await book.change("paused", lambda page, now: page.pause(now + 9000, "why"))
            clock.now += timedelta(days=1, seconds=10)
            await book.change("s", lambda page, now: page.pause(now, "why"))
            query = "SELECT name FROM server ORDER BY name"
            return await file.read(lambda connection: connection.execute(query).fetchall())

    assert asyncio.run(run()) == [("paused",), ("s",)]


def test_a_database_goes_by_its_own_clock_and_throws_idle_pages_away(postgresql_url: str) -> None:
    early, late = Clock(), Clock()
    late.now += timedelta(days=365)

    async def run() -> None:
        with open_book("database", postgresql_url) as store:
            assert isinstance(store, LookupStore)
            async with Pace(1, early, store, store).turn("a", 1):
                pass
            with pytest.raises(NotNow, match="at most 1 questions a minute; next in 60 s"):
                async with Pace(1, late, store, store).turn("a", 1):
                    pass
            await store.change("paused", lambda page, _: page.pause(FAR, "why"))
            await store.purge(late.now)
            assert await store.change("a", lambda page, _: page.full_again) == {}
            assert await store.change("paused", lambda page, _: page.reason) == "why"

    asyncio.run(run())


def test_a_book_that_is_locked_says_so_and_a_broken_one_is_this_processs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abuse_lookup.shared_file._PATIENCE", 0.01)

    async def run() -> None:
        book = FileBook(file := SharedFile(tmp_path / "b.db"), Clock())
        pace = Pace(1, Clock(), book)
        with closing(sqlite3.connect(tmp_path / "b.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(BookError, match="locked"):
                await book.change("s", lambda page, _: None)
            with pytest.raises(NotNow, match="s not asked: the shared book of limits is locked"):
                async with pace.turn("s", 0.05):
                    pass
        await file.read(lambda connection: connection.execute("DROP TABLE server"))
        async with pace.turn("s", 0.05):
            pass
        with pytest.raises(NotNow, match="at most 1 questions a minute"):
            async with pace.turn("s", 0.05):
                pass
        book.close()

    asyncio.run(run())


def test_memory_is_bounded_and_the_server_asked_longest_ago_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("abuse_lookup.book.MOST_SERVERS", 3)

    async def run() -> list[float]:
        book = MemoryBook(Clock())
        for server in ("a", "b", "c", "a", "d"):
            await book.change(server, lambda page, _: page.pause(FAR, "why"))
        return [
            await book.change(server, lambda page, _: page.paused_until) for server in ("a", "c", "d", "b")
        ]

    assert asyncio.run(run()) == [FAR, FAR, FAR, 0.0]


# -- turns --------------------------------------------------------------------------------------------------


def take(pace: Pace, server: str, patience: float = 0.05) -> None:
    async def run() -> None:
        async with pace.turn(server, patience):
            pass

    asyncio.run(run())


def paced(per_minute: int, clock: Callable[[], datetime]) -> Pace:
    return Pace(per_minute, clock)


def per_minute(pace: Pace, server: str) -> int:
    return min((bucket.questions for bucket in pace.limits(server).buckets), default=0)


def test_known_limits_are_lower_than_the_general_one_and_zero_lifts_all() -> None:
    assert per_minute(paced(60, Clock()), "rdap.lacnic.net") == 6
    assert per_minute(paced(3, Clock()), "whois.lacnic.net") == 3
    assert per_minute(paced(60, Clock()), "rdap.elsewhere.example") == 60
    assert per_minute(paced(60, Clock()), "notlacnic.net") == 60
    assert per_minute(paced(0, Clock()), "rdap.lacnic.net") == 0
    assert paced(60, Clock()).limits("whois.afrinic.net").buckets[0].seconds in {60, 86400}
    assert len(paced(60, Clock()).limits("whois.afrinic.net").buckets) == 2


def test_an_operators_own_row_stands_for_ours_and_for_the_general_limit(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    row = '[[limit]]\nserver = "lacnic.net"\nquestions = 600\nseconds = 60\nat_once = 4\n'
    file.write_text(row + 'source = "agreed by mail"\ndate = 2026-11-26\n')
    pace = Pace(60, Clock(), own=limit_rows(file))
    assert per_minute(pace, "rdap.lacnic.net") == 600
    assert pace.limits("rdap.lacnic.net").at_once == 4
    assert pace.limits("whois.ripe.net").at_once == 1
    for text in ("[[limit]", row, row.replace("600", "0") + 'source = "x"\ndate = 2026-11-26\n'):
        file.write_text(text)
        with pytest.raises(ConfigError, match=r"limits\.toml"):
            limit_rows(file)


def test_the_service_says_who_asks_and_reads_the_operators_limits(tmp_path: Path) -> None:
    config = lookup_config(load(data=tmp_path, public_url="https://plaint.example"))
    assert config.user_agent.endswith(" (+https://plaint.example)")
    assert config.limits is None
    (tmp_path / "limits.toml").write_text("")
    config = lookup_config(load(data=tmp_path, contact="postmaster@plaint.example"))
    assert config.user_agent.endswith("; postmaster@plaint.example)")
    assert config.limits == tmp_path / "limits.toml"
    with pytest.raises(SettingsError, match="PLAINT_CONTACT"):
        load(data=tmp_path, contact="two\nlines")


def test_a_question_over_the_limit_says_when_it_may_be_asked() -> None:
    clock = Clock()
    pace = paced(1, clock)
    take(pace, "whois.example")
    with pytest.raises(NotNow, match="at most 1 questions a minute; next in 60 s"):
        take(pace, "whois.example")
    clock.now += timedelta(seconds=60.061)
    take(pace, "whois.example")


def pause(pace: Pace, seconds: float, reason: str) -> None:
    async def run() -> None:
        async with pace.turn("whois.example", 1) as turn:
            turn.pause(seconds, reason)

    asyncio.run(run())


def test_a_pause_holds_until_it_is_over_for_all_who_share_the_book() -> None:
    clock = Clock()
    book = MemoryBook(clock)
    pace, other = Pace(0, clock, book), Pace(0, clock, book)
    pause(pace, 30, "it said so")
    for one in (pace, other):
        with pytest.raises(NotNow, match=r"whois\.example is not asked for another 30 s: it said so"):
            take(one, "whois.example")
    take(pace, "other.example")
    clock.now += timedelta(seconds=30)
    take(other, "whois.example")


def be_silent(pace: Pace) -> None:
    async def run() -> None:
        async with pace.turn("whois.example", 5):
            await asyncio.sleep(5)

    with pytest.raises(TimeoutError):
        asyncio.run(run())


def test_a_server_that_stays_silent_is_left_alone_for_a_while_by_all() -> None:
    clock = Clock()
    book = MemoryBook(clock)
    pace, other = (Pace(0, clock, book, exchange_seconds=0.01) for _ in range(2))
    be_silent(pace)
    be_silent(other)
    take(pace, "whois.example")  # it answered
    be_silent(pace)
    be_silent(other)
    take_refused = "did not answer 3 times in a row"
    be_silent(pace)
    for one in (pace, other):
        with pytest.raises(NotNow, match=take_refused):
            take(one, "whois.example", patience=3600)  # at once: it may be gone
    clock.now += timedelta(seconds=SILENCE_PAUSE)
    take(pace, "whois.example")


def test_a_question_that_had_no_time_left_is_no_silence() -> None:
    pace = Pace(0, Clock(), exchange_seconds=10)

    async def run() -> None:
        async with pace.turn("whois.example", 0.01):
            await asyncio.sleep(5)

    for _ in range(5):
        with pytest.raises(TimeoutError):
            asyncio.run(run())
    take(pace, "whois.example")


@pytest.mark.parametrize("at_once", [1, 3])
def test_so_many_questions_at_a_time_go_to_a_server(at_once: int) -> None:
    row = {"server": "example", "at_once": at_once}
    pace, running, most = Pace(0, Clock(), own=[row]), 0, 0

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
    assert most == at_once


def test_one_question_at_a_time_over_all_who_share_the_book(tmp_path: Path) -> None:
    running = most = 0

    async def ask(pace: Pace) -> None:
        nonlocal running, most
        async with pace.turn("whois.example", 5):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.005)
            running -= 1

    async def run() -> None:
        files = [SharedFile(tmp_path / "b.db") for _ in range(2)]
        paces = [Pace(0, lambda: datetime.now(UTC), FileBook(file, utc_now)) for file in files]
        await asyncio.gather(*(ask(pace) for pace in paces for _ in range(3)))
        for pace in paces:
            pace.close()

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


def test_a_turn_that_is_cancelled_is_over(tmp_path: Path) -> None:
    async def run() -> None:
        pace = Pace(0, lambda: datetime.now(UTC), FileBook(SharedFile(tmp_path / "b.db"), utc_now))

        async def hold() -> None:
            async with pace.turn("s", 5):
                await asyncio.sleep(60)

        for pause_before in (0.0, 0.0005, 0.002, 0.05):
            task = asyncio.create_task(hold())
            await asyncio.sleep(pause_before)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(2), pace.turn("s", 2):
            pass
        pace.close()

    asyncio.run(run())


# -- what was just said ------------------------------------------------------------------------------------


def ip(text: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(text)


NET = Span(ip("198.51.0.0"), ip("198.51.255.255"))


def test_those_who_wait_get_what_was_said_about_their_network_and_spend_no_token() -> None:
    clock, asked = Clock(), []
    pace = Pace(60, clock, MemoryBook(clock), MemoryCache())

    async def ask(address: str) -> str:
        async with pace.turn("rdap.example", 5, "rdap", ip(address)) as turn:
            if turn.known is not None:
                return turn.known
            asked.append(address)
            await asyncio.sleep(0.01)
            turn.keep(f"about {address}", NET)
            return "asked"

    async def run() -> list[str]:
        return await asyncio.gather(*(ask(f"198.51.{n}.1") for n in range(50)), ask("203.0.113.1"))

    said = asyncio.run(run())
    assert asked == ["198.51.0.1", "203.0.113.1"]
    assert said[1:50] == ["about 198.51.0.1"] * 49

    async def full_again() -> float:
        return await pace._book.change("rdap.example", lambda page, _: page.full_again["60"])

    tokens = asyncio.run(full_again())
    assert tokens - NOW.timestamp() == pytest.approx(2 * 60.06 / 58, abs=0.01)
    clock.now += timedelta(minutes=3)
    assert asyncio.run(ask("198.51.7.7")) == "asked"


def test_what_was_said_reaches_other_processes_before_their_turn(tmp_path: Path) -> None:
    from abuse_lookup.cache import FileCache

    asked = []

    async def ask(pace: Pace, address: str) -> None:
        async with pace.turn("rdap.example", 5, "rdap", ip(address)) as turn:
            if turn.known is None:
                asked.append(address)
                await asyncio.sleep(0.01)
                turn.keep("said", NET)

    async def run() -> None:
        files = [SharedFile(tmp_path / "b.db") for _ in range(3)]
        paces = [Pace(0, lambda: datetime.now(UTC), FileBook(one, utc_now), FileCache(one)) for one in files]
        await asyncio.gather(*(ask(paces[n % 3], f"198.51.{n}.1") for n in range(30)))
        for pace in paces:
            pace.close()

    asyncio.run(run())
    assert len(asked) == 1


def test_an_answer_about_something_else_is_not_repeated() -> None:
    async def run() -> list[str | None]:
        pace = Pace(0, Clock())
        known = []
        for question, about, span in (
            ("rdap", ip("198.51.0.1"), Span(ip("203.0.113.0"), ip("203.0.113.255"))),
            ("rdap", ip("198.51.0.2"), None),
            ("whois", ip("198.51.0.1"), None),
            ("rdap", None, None),
            ("rdap", ip("198.51.0.1"), None),
            ("rdap", None, None),
        ):
            async with pace.turn("s", 1, question, about) as turn:
                known.append(turn.known)
                turn.keep(f"{question} {about}", span)
        return known

    assert asyncio.run(run()) == [None, None, None, None, "rdap 198.51.0.1", "rdap None"]
