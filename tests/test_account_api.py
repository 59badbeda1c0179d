"""The account over the API and on the command line: the same as on the page, with the same codes."""

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import delete, select

from complaints import step_up
from complaints.account_tables import Choice, StepUp
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
        "quiet": False,
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
    for wish in ("export", "erase"):  # with codes on their way, and others given
        website.api("POST", "/account/codes", json={"for": wish})
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
            await asyncio.to_thread(corrected, home, "a", data)
            server = ("--server", home.settings.url, "--token", home.token)
            token = await asyncio.to_thread(corrected, home, "b", server)
            fresh = ("--server", home.settings.url, "--token", token)
            assert (await asyncio.to_thread(plaint, "account", "show", *server)).code == 77
            assert b"b-moved@example.com" in await asyncio.to_thread(plaint_ok, "account", "show", *fresh)
            await asyncio.to_thread(moved_back, home)
            assert plaint_ok("account", "erase", *data) == b""
            code = codes(home.office)[ALICE]
            assert plaint("account", "erase", "--code", code, *data).code == 2
            assert plaint_ok("account", "erase", "--code", code, "--yes", *data) == b""
            with home.office.db.reading() as session:
                assert session.exec(select(Reporter)).all() == []

    asyncio.run(main())


def corrected(home: House, who: str, where: tuple[str, ...]) -> str:
    """Everything an account has to be changed, by verb; returns the token after a change of address."""
    plaint_ok("account", "names", "Alice Liddell", f"{who} Archer", *where)
    plaint_ok("account", "prefer", "statistics", "yes", *where)
    alias, new = f"{who}-other@example.com", f"{who}-moved@example.com"
    plaint_ok("account", "alias", alias, *where)
    plaint_ok("account", "alias", alias, "--code", codes(home.office)[alias], *where)
    shown = json.loads(plaint_ok("account", "show", "--json", *where))
    assert shown["names"] == ["Alice Liddell", f"{who} Archer"]
    assert alias in shown["aliases"]
    assert [row["purpose"] for row in shown["preferences"] if row["chosen"]] == ["statistics"]
    plaint_ok("account", "unalias", alias, *where)
    assert b"applies; you accepted" in plaint_ok("account", "policy", *where)
    assert b"no standing consent is given" in plaint_ok("account", "standing", *where)
    refused = plaint("account", "standing", "--daily", "5", "--yes", *where)
    assert (refused.code != 0, "by hand first" in refused.err) == (True, True)
    plaint_ok("account", "move", new, *where)
    mailed = codes(home.office)
    old = shown["address"]
    moved = plaint_ok(
        "account", "move", new, "--code", mailed[old], "--second", mailed[new], "--json", *where
    )
    if "--data" in where:
        moved_back(home)
        home.token = json.loads(moved)["token"]
        refusals(where)
    return str(json.loads(moved)["token"])


def refusals(where: tuple[str, ...]) -> None:
    """What is wrong is said with the exit code of its kind."""
    for words, code in (
        (("prefer", "statistics", "maybe"), 2),
        (("prefer", "advertising", "yes"), 65),
        (("unalias", "nobody@example.com"), 65),
        (("accept", "99"), 65),
        (("standing", "--daily", "5"), 2),
        (("standing", "--revoke"), 65),
    ):
        assert plaint("account", *words, *where).code == code, words


def moved_back(home: House) -> None:
    """Registered under the first address again, for what is done in its name."""
    with home.office.db.transaction() as session:
        row = session.exec(select(Reporter)).one()
        row.address, row.aliases = ALICE, []
        session.add(row)
        session.execute(delete(StepUp))  # so many codes are mailed within an hour


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
