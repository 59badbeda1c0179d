"""The account over the API and on the command line: the same as on the page, with the same codes."""

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import select

from complaints import step_up
from complaints.account_tables import Choice
from complaints.models import Reporter
from tests.house import ALICE, BOB, House, house
from tests.test_account_page import NEW, codes, reachable, wrong
from tests.test_cli import plaint
from tests.visitor import problem
from tests.website import Website, running_website, spam


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def asked(website: Website, wish: str, address: str = "") -> dict[str, str]:
    website.clock.turn(seconds=1)
    answer = website.api("POST", "/account/codes", json={"for": wish, "address": address})
    assert answer.status_code == 202, answer.text
    mailed = codes(website.office)
    assert set(answer.json()["mailed_to"]) <= set(mailed)
    assert not any(code in answer.text for code in mailed.values())
    return mailed


def test_it_shows_and_corrects_what_is_kept(website: Website) -> None:
    shown = website.api("GET", "/account").json()
    assert (shown["address"], shown["names"], shown["desks"]) == (ALICE, ["Alice Liddell"], [])
    assert {row["purpose"]: row["chosen"] for row in shown["preferences"]} == {
        "news": False,
        "digests": False,
        "statistics": False,
    }
    assert website.api("POST", "/account/names", json={"names": ["A. Liddell"]}).json()["names"] == [
        "A. Liddell"
    ]
    chosen = website.api("POST", "/account/preferences", json={"statistics": True}).json()["preferences"]
    assert [row["purpose"] for row in chosen if row["chosen"]] == ["statistics"]
    with website.office.db.reading() as session:
        assert session.exec(select(Choice)).one().via == "api"
    problem(website.api("POST", "/account/preferences", json={"advertising": True}), 422)
    problem(website.api("POST", "/account/names", json={"names": ["x" * 101]}), 422)
    problem(website.http.get("/api/v1/account"), 401)


def test_a_token_alone_neither_takes_everything_nor_removes_nor_moves(website: Website) -> None:
    for deed, said in (("export", {"code": "123456"}), ("erase", {"code": "123456", "sure": "yes"}),
                       ("address", {"code": "1", "second": "2"}), ("aliases", {"code": "\u0661\u0662\u0663"})):  # fmt: skip
        answer = website.api(
            "POST", f"/account/{deed}", content=json.dumps(said), headers={"Content-Type": "application/json"}
        )
        assert "codes" in problem(answer, 403)["remedy"]
    with website.office.db.reading() as session:
        assert {row.address for row in session.exec(select(Reporter))} == {ALICE, BOB}


def test_a_copy_of_everything(website: Website) -> None:
    website.waiting(spam(subject="Zyzzyva"))
    code = asked(website, "export")[ALICE]
    problem(website.api("POST", "/account/export", json={"code": wrong(code)}), 403)
    problem(website.api("POST", "/account/export", json={"code": code}, who=website.bob), 403)
    answer = website.api("POST", "/account/export", json={"code": code})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert any(b"Zyzzyva" in archive.read(name) for name in archive.namelist())
    problem(website.api("POST", "/account/export", json={"code": code}), 403)


def test_an_alias_and_another_address(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    reachable(monkeypatch)
    mailed = asked(website, "alias", "second@example.com")
    added = website.api("POST", "/account/aliases", json={"code": mailed["second@example.com"]})
    assert added.json()["aliases"] == ["second@example.com"]
    mailed = asked(website, "address", NEW)
    moved = website.api("POST", "/account/address", json={"code": mailed[ALICE], "second": mailed[NEW]})
    assert (moved.json()["address"], moved.json()["aliases"]) == (NEW, ["second@example.com", ALICE])
    problem(website.api("GET", "/account"), 401)
    website.alice = replace(website.alice, token=moved.json()["token"])
    gone = website.api("POST", "/account/aliases/remove", json={"address": "second@example.com"})
    assert gone.json()["aliases"] == [ALICE]
    problem(website.api("POST", "/account/codes", json={"for": "alias", "address": "no address"}), 422)
    problem(website.api("POST", "/account/codes", json={"for": "alias", "address": ""}), 422)


def test_leaving(website: Website) -> None:
    code = asked(website, "erase")[ALICE]
    problem(website.api("POST", "/account/erase", json={"code": code}), 422)
    assert website.api("POST", "/account/erase", json={"code": code, "sure": "yes"}).json() == {
        "erased": True
    }
    problem(website.api("GET", "/account"), 401)


def test_too_many_codes_are_refused_for_now(website: Website) -> None:
    for _ in range(step_up.MOST):
        asked(website, "export")
    problem(website.api("POST", "/account/codes", json={"for": "erase"}), 429)


def test_the_command_line_does_the_same_on_a_server_and_on_a_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with house(tmp_path, roles=("smtp", "web")) as home:
            server = ("--server", home.settings.url, "--token", home.token)
            await asyncio.to_thread(on_the_command_line, home, tmp_path / "server.zip", server)
            data = ("--data", str(home.settings.data), "--reporter", ALICE)
            await asyncio.to_thread(on_the_command_line, home, tmp_path / "data.zip", data)
            assert plaint_ok("account", "erase", *data) == b""
            code = codes(home.office)[ALICE]
            assert plaint("account", "erase", "--code", code, *data).code == 2
            assert plaint_ok("account", "erase", "--code", code, "--yes", *data) == b""
            with home.office.db.reading() as session:
                assert session.exec(select(Reporter)).all() == []

    asyncio.run(main())


def plaint_ok(*words: str) -> bytes:
    ran = plaint(*words)
    assert ran.code == 0, ran.err
    return ran.out


def on_the_command_line(home: House, out: Path, where: tuple[str, ...]) -> None:
    assert json.loads(plaint_ok("account", "show", "--json", *where))["address"] == ALICE
    assert ALICE.encode() in plaint_ok("account", "show", *where)
    assert plaint_ok("account", "export", "--out", str(out), *where) == b""
    code = codes(home.office)[ALICE]
    assert plaint("account", "export", "--out", str(out), "--code", wrong(code), *where).code == 77
    assert plaint_ok("account", "export", "--out", str(out), "--code", code, *where) == b""
    assert json.loads(zipfile.ZipFile(out).read("account.json"))["address"] == ALICE
    assert plaint("account", "export", "--out", str(out), "--code", code, *where).code == 65
