"""Whatever the API refuses, it refuses as problem+json (RFC 9457), with what to do next."""

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from complaints.logs import place_of
from tests.postgresql import Server
from tests.visitor import problem
from tests.website import Website, running_website, spam


def test_the_log_of_an_error_tells_its_code_and_never_its_text() -> None:
    full = sqlite3.OperationalError("alice@victim.example")
    full.sqlite_errorname = "SQLITE_FULL"
    texts = [
        place_of(error)
        for error in (OSError(errno.ENOSPC, "alice"), full, ValueError("alice"), OSError("alice"))
    ]
    assert [text.partition(" at ")[0] for text in texts] == [
        "OSError (ENOSPC)", "OperationalError (SQLITE_FULL)", "ValueError", "OSError",
    ]  # fmt: skip
    assert not any("alice" in text for text in texts)


@pytest.fixture(scope="module")
def website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    with running_website(tmp_path_factory.mktemp("website"), max_bytes=100_000) as running:
        yield running


@pytest.mark.parametrize(
    ("status", "method", "path", "more"),
    [
        (400, "POST", "/submissions", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}),
        (404, "GET", "/nothing", {}),
        (405, "DELETE", "/complaints", {}),
        (413, "POST", "/submissions", {"content": b"x" * 300_000}),
        (413, "POST", "/hosts", {"content": b"x" * 2_000_000}),
        (415, "POST", "/hosts", {"content": b"host=a", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
        (415, "POST", "/hosts", {"content": b"\xff"}),
        (415, "POST", "/submissions", {"json": {"mail": "x"}}),
        (422, "POST", "/hosts", {"json": {"hosts": 1}}),
        (422, "POST", "/hosts", {}),
        (422, "POST", "/hosts", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
        (422, "POST", "/submissions?batch=no%20label", {"content": b"x"}),
    ],
)  # fmt: skip
def test_a_refusal_is_a_problem_document(
    website: Website, status: int, method: str, path: str, more: dict[str, Any]
) -> None:
    document = problem(website.api(method, path, **more), status)
    assert ("openapi.json" in document["remedy"]) == (status in {404, 405})


def test_a_database_that_is_full_is_503_and_nothing_is_kept(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        raw = spam()
        with website.office.db.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        limit = f"PRAGMA max_page_count = {pages}"
        listening = _each_connection(website, limit)
        full = website.api("POST", "/submissions", content=raw + Random(1).randbytes(500_000))
        listening()
        assert problem(full, 503)["title"] == "Not now"
        assert int(full.headers["retry-after"]) > 0
        [item] = website.api("POST", "/submissions", content=raw).json()["items"]
        assert item["status"] == "accepted"


def _each_connection(website: Website, statement: str) -> Any:
    """Say this on every connection from now on, until the returned function is called."""
    from sqlalchemy import event

    def say(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(statement)

    engine = website.office.db.engine
    engine.dispose()
    event.listen(engine, "connect", say)

    def no_more() -> None:
        event.remove(engine, "connect", say)
        engine.dispose()

    return no_more


def test_a_database_that_is_stopped_is_503_until_it_is_back(
    postgres_server: Server, postgresql_url: str, tmp_path: Path
) -> None:
    with running_website(tmp_path, database_url=postgresql_url) as website:
        postgres_server.stop()
        try:
            away = website.api("POST", "/submissions", content=spam())
            page = website.http.get(website.review("PL-222222222222"))
        finally:
            postgres_server.start()
        problem(away, 503)
        assert int(away.headers["retry-after"]) > 0
        assert page.status_code == 503
        assert "Not now" in page.text
        assert website.api("POST", "/submissions", content=spam()).status_code == 202
