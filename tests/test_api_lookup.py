"""Who answers, over HTTP: real registries on loopback, and a web that never stands still for them."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from complaints.loopback import World
from complaints.web.api_lookup import MOST_TARGETS, Allowance
from tests.house import CLOUD, SAVANNA, House, house
from tests.test_cli import CLOUD_DESK
from tests.visitor import problem
from tests.website import Website, running_website

HANGING = World.load("demo").extended(
    '[networks."198.51.100.248/29"]\nname = "HANGS"\nregistry = "ripe"\nrdap = "timeout"\nwhois = "timeout"\n'
)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path, limit_lookups=25) as running:
        yield running


def test_a_target_is_answered_with_the_document_of_the_command_line(tmp_path: Path) -> None:
    async def run(home: House) -> None:
        answer = await home.api("GET", "/lookup", params={"target": CLOUD})
        assert answer.status_code == 200
        document = answer.json()
        assert list(document)[:6] == ["target", "kind", "network", "contacts", "rejected", "failures"]
        assert document["contacts"][0]["address"] == CLOUD_DESK
        assert "form" not in document["contacts"][0]
        assert datetime.fromisoformat(document["contacts"][0]["as_of"]).utcoffset() == timedelta(0)
        assert "questions" not in document

        several = await home.api(
            "GET", "/lookup", params={"target": [SAVANNA, "two words", "10.0.0.1"], "explain": "1"}
        )
        items = several.json()["items"]
        assert [one["target"] for one in items] == [SAVANNA, "two words", "10.0.0.1"]
        assert "not a host name" in items[1]["error"]
        assert {"whois", "rdap", "dns"} <= {one["source"] for one in items[0]["questions"]}
        assert items[2]["questions"] == []

        again = await home.api("GET", "/lookup", params={"target": CLOUD, "explain": "true"})
        assert [one["source"] for one in again.json()["questions"]] == ["cache"]

        unusable = problem(await home.api("GET", "/lookup", params={"target": "two words"}), 422)
        assert "two words" in unusable["detail"]

    async def main() -> None:
        async with house(tmp_path, roles=("web", "smtp")) as home:
            await run(home)

    asyncio.run(main())


def test_a_registry_that_hangs_holds_up_nobody_else_and_ends_in_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path, world=HANGING, lookup_seconds=2) as home:
            started = time.monotonic()
            slow = asyncio.create_task(home.api("GET", "/lookup", params={"target": "198.51.100.249"}))
            await asyncio.sleep(0.2)
            for _ in range(5):
                assert (await home.http.get("/healthz")).status_code == 200
                assert (await home.api("GET", "/complaints")).status_code == 200
            assert not slow.done()
            found = (await slow).json()
            assert time.monotonic() - started < 8
            assert found["contacts"] == []
            assert {one["source"] for one in found["failures"]} >= {"rdap", "whois"}

    asyncio.run(main())


def test_only_reporters_may_ask(website: Website) -> None:
    refused = website.http.get("/api/v1/lookup", params={"target": CLOUD})
    problem(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("targets", [[], ["192.0.2.1"] * (MOST_TARGETS + 1)])
def test_the_number_of_targets_is_bounded(website: Website, targets: list[str]) -> None:
    said = problem(website.api("GET", "/lookup", params={"target": targets}), 422)
    assert "target" in said["detail"]


def test_a_reporter_asks_about_so_many_targets_a_minute_and_others_are_not_held_up(website: Website) -> None:
    def ask(count: int, who: Any = None) -> httpx.Response:
        return website.api(
            "GET", "/lookup", params={"target": ["a.example"] * count}, who=who or website.alice
        )

    assert ask(20).status_code == 200
    website.clock.turn(seconds=20)
    assert ask(5).status_code == 200
    refused = ask(1)
    assert problem(refused, 429)["detail"].startswith("25 targets a minute")
    assert refused.headers["retry-after"] == "40"
    assert ask(20, website.bob).status_code == 200
    website.clock.turn(seconds=40)
    assert ask(20).status_code == 200
    problem(ask(1), 429)


def test_what_was_asked_a_minute_ago_is_forgotten() -> None:
    allowance = Allowance()
    for n in range(1000):
        assert allowance.take(f"R{n}", 3, 3, NOON) == 0
    assert allowance.take("R1", 1, 3, NOON + timedelta(seconds=59)) == 1
    assert allowance.take("R1", 3, 3, NOON + timedelta(seconds=60)) == 0
    assert len(allowance._asked) == 1
    assert allowance.take("other", 5, 3, NOON) == 60
