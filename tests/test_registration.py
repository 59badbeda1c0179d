"""Registering on the pages: the mailed link and code, the policy, and secrets shown once."""

import asyncio
import email
import email.policy
import io
import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from sqlmodel import select

from complaints import account, erasure, export, reporters
from complaints.models import Attempt, Letter, Reporter
from complaints.policy import POLICY
from tests.house import ALICE, BOB, house
from tests.house import spam as fresh_spam
from tests.visitor import (
    asked,
)
from tests.website import (
    Website,
    forms,
    running_website,
)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def test_registration_goes_by_a_mailed_link_and_code_and_the_new_address_takes_spam(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            new = await home.http.post("/register", data={"address": " Carol@victim.example "})
            known = await home.http.post("/register", data={"address": ALICE})
            assert new.status_code == known.status_code == 200
            assert new.text.replace("Carol@victim.example", "X") == known.text.replace(ALICE, "X")
            [letter] = await home.internet.wait_for(1, to="carol@victim.example")
            mail = email.message_from_bytes(letter.raw, policy=email.policy.default).get_content()
            [link], [code] = (
                re.findall(r"http://\S+/register/\S+", mail),
                re.findall(r"^ +(\d{6})\s*$", mail, re.MULTILINE),
            )
            assert link.startswith(home.settings.url + "/")
            done = await home.http.post(link, data={"code": code, "policy": POLICY, "adult": "yes"})
            address, token = re.findall(r"<dd><code>(\S+)</code></dd>", done.text)
            await home.forward([fresh_spam(to="carol@victim.example")], to=address)
            home.token = token
            [line] = await home.complaints(1)
            assert line["subject"] == "Cheap pills"

    asyncio.run(main())


def test_nobodys_mailbox_is_flooded_with_registration_letters(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            for address in ("a@nowhere.invalid", "plaint@plaint.example"):
                refused = await home.http.post("/register", data={"address": address})
                assert refused.status_code == 422
            for address in ("carol@victim.example", "CAROL@victim.example") * 4:
                assert (await home.http.post("/register", data={"address": address})).status_code == 200
            await asyncio.sleep(1)
            assert len(home.internet.messages) == 3

    asyncio.run(main())


def test_registering_takes_the_link_the_code_and_the_policy(website: Website) -> None:
    link, code = asked(website)
    page = website.http.get(link)
    assert f'name="policy" value="{POLICY}"' in page.text
    assert "checked" not in page.text
    assert website.http.post(link, data={"code": code}).status_code == 422
    wrong = website.http.post(link, data={"code": "12", "policy": POLICY, "adult": "yes"})
    assert wrong.status_code == 422
    assert '<a href="#code">' in wrong.text
    assert forms(wrong)[0].fields == [("code", "12")]
    done = website.http.post(
        link, data={"code": f" {code[:3]} {code[3:]} ", "policy": POLICY, "adult": "yes"}
    )
    assert done.status_code == 200
    address, token = re.findall(r"<dd><code>(\S+)</code></dd>", done.text)
    with website.office.db.reading() as session:
        reporter = reporters.by_submission_address(session, website.office, address)
        assert reporter is not None
        assert (reporter.address, reporter.policy) == ("carol@example.com", POLICY)
    assert (
        website.http.get("/api/v1/complaints", headers={"Authorization": f"Bearer {token}"}).status_code
        == 200
    )
    for again in (
        website.http.get(link),
        website.http.post(link, data={"code": code, "policy": POLICY, "adult": "yes"}),
    ):
        assert again.status_code == 404
        assert "no longer good" in again.text


def test_a_code_can_be_guessed_only_a_few_times(website: Website) -> None:
    link, code = asked(website)
    wrong = "000000" if code != "000000" else "000001"
    for _ in range(reporters.CODE_TRIES):
        assert (
            website.http.post(link, data={"code": wrong, "policy": POLICY, "adult": "yes"}).status_code == 422
        )
    assert website.http.post(link, data={"code": code, "policy": POLICY, "adult": "yes"}).status_code == 404
    with website.office.db.reading() as session:
        assert reporters.find(session, "carol@example.com") is None


def test_a_registration_link_ends(website: Website) -> None:
    link, _ = asked(website)
    website.clock.turn(minutes=reporters.LIFE_MINUTES)
    assert website.http.get(link).status_code == 404
    assert website.http.get("/register/nothing").status_code == 404


def test_an_address_that_is_none_is_refused_with_what_is_wrong(website: Website) -> None:
    for address in ("", "nobody", "a@b@c", "<script>@x"):
        answer = website.http.post("/register", data={"address": address})
        assert answer.status_code == 422
        assert 'aria-describedby="address-error"' in answer.text
        assert forms(answer)[0].fields == [("address", address)]
    with website.office.db.reading() as session:
        assert not session.exec(select(Letter)).all()


def test_whoever_registers_and_leaves_leaves_no_letter_about_it(website: Website) -> None:
    """The letter with the link was written when nobody was registered yet."""
    link, code = asked(website)
    website.http.post(link, data={"code": code, "policy": POLICY, "adult": "yes"})
    with website.office.db.transaction() as session:
        letter = session.exec(select(Letter).where(Letter.to == "carol@example.com")).one()
        answer = "250 kept for carol@example.com"
        session.add(Attempt(id="a", mail_id=letter.id, at=website.clock(), worker="w", text=answer))
        carol = reporters.find(session, "CAROL@example.com")
        assert carol is not None
        assert account.document(session, website.office, carol)["kept"]["letters"] == 1
        with ZipFile(io.BytesIO(b"".join(export.stream(website.office, carol)))) as archive:
            assert f"letters/{letter.id}-registration.eml" in archive.namelist()
        erasure.erase(session, website.office, carol)
    assert "carol" not in website.dump().lower()
    assert ALICE in website.dump()


def test_what_the_database_keeps_free_holds_nothing_of_whoever_left(website: Website) -> None:
    """Not in freed pages, nor in the log: both are overwritten or emptied at once."""
    website.waiting(fresh_spam(subject="Zyzzyva"))
    with website.office.db.transaction() as session:
        alice = session.get_one(Reporter, website.alice.reporter.id)
        erasure.erase(session, website.office, alice)
    erasure.sweep(website.office)
    files = [path for path in website.office.settings.data.iterdir() if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    assert BOB.encode() in kept
    assert [mark for mark in (ALICE, "Alice Liddell", "Zyzzyva") if mark.encode() in kept] == []


def test_how_long_the_search_takes_tells_nobody_who_is_registered(website: Website) -> None:
    """Not by reading one reporter after the other until the address is met."""
    with website.office.db.engine.connect() as connection:
        sql = "EXPLAIN QUERY PLAN SELECT id FROM reporter WHERE lower(reporter.address) = 'carol@example.com'"
        assert "USING INDEX reporter_by_address" in str(connection.exec_driver_sql(sql).all())
