"""A request that is sent again under its Idempotency-Key is done once, and answered as the first time."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, text
from sqlmodel import select

from complaints import retention
from complaints.account_tables import AnsweredRequest
from complaints.models import Consent, Submission
from complaints.office import Office
from complaints.web.app import create_app
from tests.visitor import problem
from tests.website import Website, nobody, running_website, spam

NUMBERS = count()


@pytest.fixture(scope="module")
def website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    with running_website(tmp_path_factory.mktemp("website")) as running:
        yield running


@pytest.fixture
def key() -> str:
    return f"key-{next(NUMBERS)}"


def hand_in(website: Website, key: str, raw: bytes, **more: Any) -> httpx.Response:
    return website.api("POST", "/submissions", content=raw, headers={"Idempotency-Key": key}, **more)


def fresh() -> bytes:
    return spam(subject=f"Number {next(NUMBERS)}")


def rows(website: Website, table: Any) -> int:
    with website.office.db.reading() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def test_what_is_handed_in_again_is_answered_as_it_was_and_kept_once(website: Website, key: str) -> None:
    raw, before = fresh(), rows(website, Submission)
    first = hand_in(website, key, raw)
    assert first.json()["items"][0]["status"] == "accepted"
    again = [hand_in(website, key, raw), hand_in(website, f'"{key}"', raw)]
    assert [one.content for one in again] == [first.content] * 2
    assert [one.status_code for one in again] == [202, 202]
    assert rows(website, Submission) == before + 1


def test_a_form_is_known_again_though_its_boundary_is_another(website: Website, key: str) -> None:
    files, name = {"file": ("a.eml", fresh())}, {"Idempotency-Key": key}
    first, again = (website.api("POST", "/submissions", files=files, headers=name) for _ in range(2))
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert first.json()["items"] == again.json()["items"]


@pytest.mark.parametrize("other", ["bytes", "name", "way"])
def test_something_else_under_the_same_key_is_refused(website: Website, key: str, other: str) -> None:
    raw, before = fresh(), rows(website, Submission)
    hand_in(website, key, raw)
    path = {"name": "/submissions?filename=b", "way": "/submissions?forward=1"}.get(other, "/submissions")
    body = fresh() if other == "bytes" else raw
    answer = website.api("POST", path, content=body, headers={"Idempotency-Key": key})
    assert "Idempotency-Key" in problem(answer, 422)["detail"].title()
    assert rows(website, Submission) == before + 1


def test_a_key_is_its_reporters_own(website: Website, key: str) -> None:
    raw = fresh()
    [mine] = hand_in(website, key, raw).json()["items"]
    [bobs] = hand_in(website, key, raw, who=website.bob).json()["items"]
    assert bobs["status"] == "accepted"
    assert bobs["complaint"] != mine["complaint"]


@pytest.mark.parametrize("key", ["", "x" * 256, "two words"])
def test_a_key_that_is_none_is_refused(website: Website, key: str) -> None:
    problem(hand_in(website, key, fresh()), 422)


def test_those_that_come_at_once_get_the_answer_of_the_one_that_was_done(
    database_url: str, tmp_path: Path, key: str
) -> None:
    with running_website(tmp_path, database_url=database_url) as website:
        raw = fresh()
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: hand_in(website, key, raw), range(8)))
        assert {one.status_code for one in answers} == {202}
        assert len({one.content for one in answers}) == 1
        assert rows(website, Submission) == 1
        problem(hand_in(website, key, fresh()), 422)


def test_after_a_day_the_key_is_forgotten(website: Website, key: str) -> None:
    raw = fresh()
    hand_in(website, key, raw)
    website.clock.turn(hours=23)
    retention.step(website.office)
    assert hand_in(website, key, raw).json()["items"][0]["status"] == "accepted"
    website.clock.turn(hours=1)
    assert hand_in(website, key, raw).json()["items"][0]["status"] == "duplicate"
    website.clock.turn(hours=24)
    retention.step(website.office)
    assert rows(website, AnsweredRequest) == 0


def test_promise_3_the_key_is_on_disk_exactly_when_the_spam_is(website: Website, key: str) -> None:
    raw, before = fresh(), rows(website, Submission)
    with website.office.db.transaction() as session:
        session.execute(text("ALTER TABLE complaint RENAME TO hidden"))
    problem(hand_in(website, key, raw), 500)
    with website.office.db.transaction() as session:
        session.execute(text("ALTER TABLE hidden RENAME TO complaint"))
    first = hand_in(website, key, raw)
    assert first.json()["items"][0]["status"] == "accepted"
    assert rows(website, Submission) == before + 1

    # What another process on the same files says is what a restart would say: nothing was closed yet
    async def beside() -> httpx.Response:
        office = Office.open(website.office.settings, website.clock)
        transport = httpx.ASGITransport(create_app(office, ready=_ready, look_up=nobody))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            token = {"Authorization": f"Bearer {website.alice.token}", "Idempotency-Key": key}
            answer = await http.post("/api/v1/submissions", content=raw, headers=token)
        office.close()
        return answer

    assert asyncio.run(beside()).content == first.content


async def _ready() -> bool:
    return True


def test_a_confirmation_that_is_sent_again_confirms_once(website: Website, key: str) -> None:
    document = website.show(website.waiting(fresh()))
    path, name = f"/complaints/{document['id']}/confirm", {"Idempotency-Key": key}
    body = {"reports": {document["reports"][0]["id"]: document["reports"][0]["digest"]}}
    stale = {"reports": {document["reports"][0]["id"]: "sha256:0"}}
    before = rows(website, Consent)
    problem(website.api("POST", path, json=stale, headers=name), 409)  # refused: the key stands for nothing
    first = website.api("POST", path, json=body, headers=name)
    assert (first.status_code, first.json()["state"]) == (202, "confirmed")
    again = website.api("POST", path, json=body, headers=name)
    assert (again.status_code, again.content) == (202, first.content)
    assert rows(website, Consent) == before + 1
    problem(website.api("POST", path, json=body), 409)
    problem(website.api("POST", path, json=stale, headers=name), 422)
    other = f"/complaints/{document['id']}/undo"
    problem(website.api("POST", other, headers=name), 422)


def test_an_answer_that_is_kept_is_sealed(website: Website, key: str) -> None:
    website.api(
        "POST", "/submissions?filename=very-own-name", content=fresh(), headers={"Idempotency-Key": key}
    )
    assert f"'{key}'" not in website.dump()
    with website.office.db.engine.connect() as connection:
        kept = [value for (value,) in connection.exec_driver_sql("SELECT answer FROM answered_request")]
    assert kept
    assert not any(b"very-own-name" in value for value in kept)
