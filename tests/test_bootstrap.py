"""IANA's bootstrap files: what they say of a target, and how they are kept fresh."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from abuse_lookup import Status, Target
from abuse_lookup.bootstrap import Bootstrap
from abuse_lookup.bootstrap_files import RemoteFiles, _due
from abuse_lookup.fetch import Fetcher
from abuse_lookup.pace import Pace
from abuse_lookup.reach import Reach
from abuse_lookup.resolver import Resolver

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def text(**services: str) -> str:
    return json.dumps({"version": "1.0", "services": [[[key], [url]] for key, url in services.items()]})


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def opened(
    place: Path | str | None, folder: Path | None = None, clock: Clock | None = None
) -> AsyncIterator[Bootstrap]:
    clock = clock or Clock()
    reach = Reach(Resolver([("127.0.0.1", 9)], seconds=0.1), (), dns_on_loopback=True)
    fetcher = Fetcher(reach, ca_file=None, user_agent="tests")
    bootstrap = Bootstrap(place, fetcher, Pace(0, clock), clock, folder=folder)
    try:
        yield bootstrap
    finally:
        await bootstrap.aclose()
        await fetcher.aclose()


def bases(place: Path | None, target: str) -> tuple[Status, tuple[str, ...], bool]:
    async def run() -> tuple[Status, tuple[str, ...], bool]:
        async with opened(place) as bootstrap:
            answer = await bootstrap.bases(Target.parse(target))
            return answer.status, answer.value, bootstrap.may_be_plain("http://plain.example/ip/192.0.2.1")

    return asyncio.run(run())


@pytest.fixture
def iana(tmp_path: Path) -> Path:
    files = {
        "ipv4.json": [
            [["192.0.0.0/8"], ["https://wide.example/"]],
            [["192.0.2.0/24"], ["http://plain.example/", "https://narrow.example"]],
        ],
        "ipv6.json": [[["2001:db8::/32"], ["https://six.example/"]]],
        "asn.json": [[["64496-64511", "65536"], ["https://asn.example/"]], [["64500-64501"], ["https://few.example/"]]],
        "dns.json": [[["example"], ["https://tld.example/"]], [["CO.example."], ["https://second.example/"]]],
        "object-tags.json": [[["hostmaster@x.example"], ["RIPE"], ["http://plain.example/", "https://tag.example/db/"]]],
    }  # fmt: skip
    for name, services in files.items():
        (tmp_path / name).write_text(json.dumps({"version": "1.0", "services": services}))
    return tmp_path


@pytest.mark.parametrize(
    ("target", "urls"),
    [
        ("192.0.2.1", ("https://narrow.example/", "http://plain.example/")),
        ("192.0.3.1", ("https://wide.example/",)),
        ("192.0.2.0/25", ("https://narrow.example/", "http://plain.example/")),
        ("192.0.0.0/16", ("https://wide.example/",)),
        ("2001:db8::1", ("https://six.example/",)),
        ("AS64499", ("https://asn.example/",)),
        ("AS64500", ("https://few.example/",)),
        ("AS65536", ("https://asn.example/",)),
        ("www.pills.example", ("https://tld.example/",)),
        ("pills.co.example", ("https://second.example/",)),
        ("pillsco.example", ("https://tld.example/",)),
        ("203.0.113.1", ()),
        ("2001:db9::1", ()),
        ("AS65537", ()),
        ("pills.test", ()),
    ],
)
def test_the_longest_match_of_ianas_files_wins(iana: Path, target: str, urls: tuple[str, ...]) -> None:
    status, found, _ = bases(iana, target)
    assert found == urls
    assert status is (Status.FOUND if urls else Status.ABSENT)


@pytest.mark.parametrize(
    ("handle", "urls"),
    [
        ("AMS346-RIPE", ("https://tag.example/db/", "http://plain.example/")),
        ("ORG-X1-ripe", ("https://tag.example/db/", "http://plain.example/")),
        ("RIPE", ()),
        ("-RIPE", ()),
        ("GOVI", ()),
    ],
)
def test_an_entitys_handle_leads_to_the_registry_of_its_tag(
    iana: Path, handle: str, urls: tuple[str, ...]
) -> None:
    async def run() -> tuple[str, ...]:
        async with opened(iana) as bootstrap:
            return await bootstrap.bases_of_entity(handle)

    assert asyncio.run(run()) == urls


def test_a_registry_is_known_by_the_domain_of_its_other_servers() -> None:
    async def run(host: str) -> str | None:
        async with opened(None) as bootstrap:
            return await bootstrap.base_of_registry(host, Target.parse("192.0.2.1"))

    assert asyncio.run(run("whois.ripe.net")) == "https://rdap.db.ripe.net/"
    assert asyncio.run(run("whois.notripe.net")) is None


def test_plain_http_is_only_for_what_the_operators_files_name(iana: Path) -> None:
    assert bases(iana, "192.0.2.1")[2] is True
    assert bases(iana, "AS64500")[2] is False
    assert bases(None, "2.0.0.1")[1:] == (("https://rdap.db.ripe.net/",), False)
    assert bases(None, "41.0.0.1")[1] == ("https://rdap.afrinic.net/rdap/",)


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"services": 7}', "[" * 100_000])
def test_a_bootstrap_file_that_is_none_is_a_permanent_error(tmp_path: Path, broken: str) -> None:
    (tmp_path / "ipv4.json").write_text(broken)
    assert bases(tmp_path, "192.0.2.1")[0] is Status.PERMANENT


def test_a_missing_bootstrap_file_is_a_temporary_error(tmp_path: Path) -> None:
    assert bases(tmp_path, "192.0.2.1")[0] is Status.TEMPORARY


def test_services_of_odd_shape_are_passed_over(tmp_path: Path) -> None:
    services = [7, ["x"], [["192.0.2.0/24", "rubbish", 7], ["https://a.example", 9, "ftp://b.example", "https:///"]], [["x"], "y"]]  # fmt: skip
    (tmp_path / "ipv4.json").write_text(json.dumps({"services": services}))
    assert bases(tmp_path, "192.0.2.1")[1] == ("https://a.example/",)


@pytest.mark.parametrize(
    ("target", "base"),
    [
        ("8.8.8.8", "https://rdap.arin.net/registry/"),
        ("1.1.1.1", "https://rdap.apnic.net/"),
        ("2a00:1450::1", "https://rdap.db.ripe.net/"),
        ("AS28000", "https://rdap.lacnic.net/rdap/"),
        ("example.com", "https://rdap.verisign.com/com/v1/"),
    ],
)
def test_the_shipped_files_answer_without_a_network(target: str, base: str) -> None:
    assert bases(None, target)[1][:1] == (base,)


def test_an_operators_file_is_read_again_when_it_changed_and_a_broken_one_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "ipv4.json"

    async def run() -> list[tuple[str, ...]]:
        seen = []
        async with opened(tmp_path) as bootstrap:
            for number, written in enumerate(
                [text(**{"192.0.2.0/24": "https://a.example/"}), text(**{"192.0.2.0/24": "https://b.example/"}), "{", text()]
            ):  # fmt: skip
                path.write_text(written)
                os.utime(path, (number, number))
                seen.append((await bootstrap.bases(Target.parse("192.0.2.1"))).value)
            path.unlink()
            seen.append((await bootstrap.bases(Target.parse("192.0.2.1"))).value)
        return seen

    a, b = ("https://a.example/",), ("https://b.example/",)
    assert asyncio.run(run()) == [a, b, b, b, b]


@dataclass
class Iana:
    """A loopback HTTP server that hands out one file, and keeps what it was asked."""

    body: str = ""
    head: str = "200 OK"
    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        answer = f"HTTP/1.1 {self.head}\r\nConnection: close\r\nContent-Length: {len(self.body)}\r\n\r\n{self.body}"
        writer.write(answer.encode())
        await writer.drain()
        writer.close()


def with_server(run: Callable[[Iana], object]) -> None:
    async def held() -> None:
        iana = Iana()
        async with await asyncio.start_server(iana.talk, "127.0.0.1", 0) as server:
            iana.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            await run(iana)  # type: ignore[misc]

    asyncio.run(held())


async def settled(bootstrap: Bootstrap) -> tuple[str, ...]:
    """What it answers once fetches in the background are over."""
    await bootstrap.bases(Target.parse("192.0.2.1"))
    assert isinstance(bootstrap._files, RemoteFiles)
    await asyncio.gather(*bootstrap._files._refreshing.values())
    return (await bootstrap.bases(Target.parse("192.0.2.1"))).value


A, B = text(**{"192.0.2.0/24": "https://a.example/"}), text(**{"192.0.2.0/24": "https://b.example/"})


def test_a_fetched_file_is_kept_for_other_processes_and_the_next_start(tmp_path: Path) -> None:
    async def run(iana: Iana) -> None:
        iana.body = A
        for _ in range(2):
            async with opened(iana.url, tmp_path) as one, opened(iana.url, tmp_path) as other:
                assert await settled(one) == await settled(other) == ("https://a.example/",)
        assert len(iana.asked) == 1

    with_server(run)


def test_a_file_is_refreshed_daily_and_only_if_it_changed(tmp_path: Path) -> None:
    clock = Clock()

    async def run(iana: Iana) -> None:
        iana.body, iana.head = A, '200 OK\r\nETag: "one"\r\nLast-Modified: Tue, 24 Nov 2026 00:00:00 GMT'
        async with opened(iana.url, tmp_path, clock) as bootstrap, opened(iana.url, tmp_path, clock) as other:
            assert await settled(bootstrap) == ("https://a.example/",)
            clock.now += timedelta(hours=23)
            await settled(bootstrap)
            assert len(iana.asked) == 1
            clock.now += timedelta(hours=2)
            iana.body, iana.head = "", "304 Not Modified"
            assert await settled(bootstrap) == ("https://a.example/",)
            assert 'If-None-Match: "one"\r\n' in iana.asked[1]
            assert "If-Modified-Since: Tue, 24 Nov 2026 00:00:00 GMT\r\n" in iana.asked[1]
            clock.now += timedelta(hours=25)
            iana.body, iana.head = B, "200 OK\r\nCache-Control: public, max-age=259200"
            assert await settled(bootstrap) == await settled(other) == ("https://b.example/",)
            clock.now += timedelta(hours=71)
            await settled(bootstrap)
            assert len(iana.asked) == 3

    with_server(run)


@pytest.mark.parametrize(
    ("header", "value", "days"),
    [
        ("Expires", "Sun, 29 Nov 2026 12:00:00 GMT", 3),
        ("Expires", "Thu, 26 Nov 2026 12:00:01 GMT", 1),
        ("Expires", "0", 1),
        ("Expires", "Thu, 26 Nov 2099 12:00:00 GMT", 14),
        ("Cache-Control", 'public, max-age="172800"', 2),
        ("Cache-Control", "no-store, max-age=0", 1),
        ("Cache-Control", "s-maxage=9999999", 1),
        ("Date", "Thu, 26 Nov 2026 12:00:00 GMT", 1),
    ],
)
def test_http_says_how_long_a_file_is_good_within_reason(header: str, value: str, days: int) -> None:
    assert _due(httpx.Headers({header: value}), NOW) == NOW + timedelta(days=days)


@pytest.mark.parametrize(
    ("head", "body"),
    [("200 OK", "{"), ("200 OK", text()), ("200 OK", "<html>"), ("500 Broken", B), ("302 Found", B), ("404 No", "")],
)  # fmt: skip
def test_a_broken_or_empty_file_never_replaces_a_good_one(tmp_path: Path, head: str, body: str) -> None:
    clock = Clock()

    async def run(iana: Iana) -> None:
        iana.body = A
        async with opened(iana.url, tmp_path, clock) as bootstrap:
            await settled(bootstrap)
            clock.now += timedelta(days=2)
            iana.head, iana.body = head, body
            for _ in range(3):
                assert await settled(bootstrap) == ("https://a.example/",)
        async with opened(iana.url, tmp_path, clock) as again:
            assert await settled(again) == ("https://a.example/",)
        assert len(iana.asked) == 2  # it is left alone for a while

    with_server(run)


def test_a_server_that_never_answers_holds_up_no_question(tmp_path: Path) -> None:
    clock = Clock()

    async def run() -> None:
        async with opened(None, tmp_path, clock) as bootstrap:
            async with asyncio.timeout(2):
                assert (await bootstrap.bases(Target.parse("8.8.8.8"))).found
                clock.now += timedelta(days=2)
                assert (await bootstrap.bases(Target.parse("8.8.8.8"))).found

    asyncio.run(run())


def test_a_kept_file_that_is_torn_is_fetched_again(tmp_path: Path) -> None:
    async def run(iana: Iana) -> None:
        iana.body = A
        for torn in (
            "",
            "[]",
            '{"url": 7}',
            json.dumps({"url": iana.url + "ipv4.json", "due": "x", "document": {}}),
        ):
            (tmp_path / "ipv4.json").write_text(torn)
            async with opened(iana.url, tmp_path) as bootstrap:
                assert await settled(bootstrap) == ("https://a.example/",)
        assert len(iana.asked) == 4

    with_server(run)


def test_a_newer_shipped_file_goes_before_an_older_kept_one(tmp_path: Path) -> None:
    async def run() -> tuple[str, ...]:
        old = {"publication": "2001-01-01T00:00:00Z", **json.loads(A)}
        due = (NOW + timedelta(days=9)).isoformat()
        kept = {
            "url": "https://data.iana.org/rdap/ipv4.json",
            "due": due,
            "etag": "",
            "modified": "",
            "document": old,
        }
        (tmp_path / "ipv4.json").write_text(json.dumps(kept))
        async with opened(None, tmp_path) as bootstrap:
            return (await bootstrap.bases(Target.parse("8.8.8.8"))).value

    assert asyncio.run(run()) == ("https://rdap.arin.net/registry/",)
