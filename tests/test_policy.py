"""A new version of the privacy policy is told before it applies, with two equal choices; without yes nothing is sent."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from sqlmodel import select

from complaints import doctor, policies, policy, reporters
from complaints.account_tables import Choice, PolicyVersion
from complaints.models import Consent, Letter, Reporter
from complaints.policies import PolicyError
from complaints.web.policy_text import blocks
from tests.house import ALICE
from tests.test_cli import plaint
from tests.test_purposes import letters
from tests.visitor import asked, confirm, press
from tests.website import NOON, Website, forms, running_website, spam

DAY = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        under_the_first(running)
        yield running


def under_the_first(website: Website) -> None:
    """As if everybody had registered when version 1 applied."""
    with website.office.db.transaction() as session:
        for row in session.exec(select(PolicyVersion)).all():
            session.delete(row)
        session.add(PolicyVersion(version="1", announced_at=NOON, effective_at=NOON))
        for reporter in session.exec(select(Reporter)):
            reporter.policy = "1"


def announce(website: Website, since: datetime = DAY) -> int:
    with website.office.db.transaction() as session:
        return policies.announce(session, website.office, "2", since)


def page_of(website: Website) -> str:
    return urlsplit(website.office.policy_url(alice(website))).path


def alice(website: Website) -> Reporter:
    with website.office.db.reading() as session:
        return session.get_one(Reporter, website.alice.reporter.id)


def test_everybody_gets_a_letter_with_the_day_the_difference_and_both_choices(website: Website) -> None:
    assert announce(website) == 2
    [letter] = letters(website, "policy")[:1]
    text = " ".join(letter.get_content().replace("> ", "").split())
    assert "01 December 2026" in letter["Subject"]
    for words in policy.changes("1", "2"):
        assert words in text
    for sign, line in policy.difference("1", "2"):
        assert f"{sign} {' '.join(line.split())}".strip() in text
    assert "You agree." in text
    assert "You do not agree." in text
    [url] = set(re.findall(r"http://\S+/policy/\S+", letter.get_content()))
    assert website.http.get(urlsplit(url).path).status_code == 200
    assert letter["List-Unsubscribe"] is None


def test_until_the_day_the_old_version_applies_and_after_it_nothing_is_sent_without_yes(
    website: Website,
) -> None:
    announce(website)
    first, second = website.waiting(), website.waiting(spam(subject="Another"))
    assert confirm(website, first).status_code == 303
    with website.office.db.reading() as session:
        assert session.exec(select(Consent)).one().policy == "1"
    website.clock.now = DAY
    assert press(website, second, "confirm", read="yes").status_code == 409
    website.http.post(page_of(website), data={"choice": "agree", "version": "2"})
    assert confirm(website, second).status_code == 303
    with website.office.db.reading() as session:
        assert sorted(row.policy for row in session.exec(select(Consent))) == ["1", "2"]


def test_who_agrees_early_still_consents_under_the_old_version_until_the_day(website: Website) -> None:
    announce(website)
    website.http.post(page_of(website), data={"choice": "agree", "version": "2"})
    assert alice(website).policy == "2"
    confirm(website, website.waiting())
    with website.office.db.reading() as session:
        assert session.exec(select(Consent)).one().policy == "1"


def test_a_banner_on_every_page_of_a_reporter_until_they_agree(website: Website) -> None:
    office = website.office
    pages = [
        website.review(website.waiting()),
        *(
            urlsplit(url(alice(website))).path
            for url in (office.hosts_url, office.account_url, office.standing_url)
        ),
    ]
    assert [path for path in pages if "/policy/" in website.http.get(path).text] == []
    announce(website)
    for path in pages:
        shown = website.http.get(path).text
        assert "Our privacy policy changes" in shown
        assert "/policy/" in shown
    website.clock.now = DAY
    assert "Nothing new is sent for you until you agree" in website.http.get(pages[0]).text
    website.http.post(page_of(website), data={"choice": "agree", "version": "2"})
    assert [path for path in pages if "/policy/" in website.http.get(path).text] == []


def test_neither_looking_nor_sending_the_form_as_it_is_filled_answers(website: Website) -> None:
    announce(website)
    path = page_of(website)
    before = website.dump()
    for method in ("GET", "HEAD", "OPTIONS", "PUT"):
        answer = website.http.request(method, path, params={"choice": "agree", "version": "2"})
        assert "set-cookie" not in answer.headers
    [form] = forms(website.http.get(path))
    assert website.http.post(path, data=form.data()).status_code == 422
    assert website.dump() == before
    assert {value for name, value in form.unticked if name == "choice"} == {"agree", "leave"}
    for forged in (path[:-1] + "x", "/policy/x", path.replace("/policy/", "/account/")):
        assert website.http.post(forged, data={"choice": "agree", "version": "2"}).status_code == 404


def test_who_does_not_agree_is_led_to_the_copy_and_to_leaving(website: Website) -> None:
    announce(website)
    led = website.http.post(page_of(website), data={"choice": "leave", "version": "2"})
    assert (led.status_code, "/account/" in led.headers["location"]) == (303, True)
    account = website.http.get(led.headers["location"]).text
    assert 'value="export" class="primary"' in account
    [code] = letters(website, "code")
    assert re.search(r"\b\d{6}\b", code.get_content())
    assert alice(website).policy == "1"
    with website.office.db.reading() as session:
        [said] = session.exec(select(Choice).where(Choice.purpose == "policy 2"))
        assert (said.chosen, said.via) == (False, "page")
    assert "You said that you do not agree" in website.http.get(page_of(website)).text


def test_a_version_is_announced_once_early_enough_and_only_a_newer_one(website: Website) -> None:
    for version, since, why in (
        ("2", website.clock() + timedelta(days=13), "14 days"),
        ("1", DAY, "no newer"),
        ("99", DAY, "no version 99"),
    ):
        with pytest.raises(PolicyError, match=why), website.office.db.transaction() as session:
            policies.announce(session, website.office, version, since)
    announce(website)
    with pytest.raises(PolicyError, match="announced already"):
        announce(website)


def test_whoever_registers_meanwhile_accepts_what_applies_and_gets_the_letter(website: Website) -> None:
    announce(website)
    link, code = asked(website)
    website.http.post(link, data={"code": code, "policy": "1", "adult": "yes"})
    with website.office.db.reading() as session:
        carol = reporters.find(session, "carol@example.com")
        assert carol
        assert carol.policy == "1"
        told = session.exec(select(Letter).where(Letter.kind == "policy", Letter.reporter_id == carol.id))
        assert len(told.all()) == 1


def test_program_and_command_line_answer_too(website: Website) -> None:
    announce(website)
    asked_ = website.api("GET", "/account/policy").json()
    assert (asked_["in_force"], asked_["accepted"], asked_["asked"]["version"]) == ("1", "1", "2")
    assert asked_["asked"]["changes"] == list(policy.changes("1", "2"))
    assert website.api("POST", "/account/policy", json={"version": "99", "agree": True}).status_code == 422
    where = ("--server", str(website.http.base_url), "--token", website.alice.token)
    assert b"plaint account accept 2" in plaint("account", "policy", *where).out
    assert plaint("account", "refuse", "2", *where).code == 0
    assert plaint("account", "accept", "2", *where).code == 0
    assert website.api("GET", "/account/policy").json()["asked"] is None
    assert plaint("account", "accept", "2", *where).code == 65


def test_the_operator_sees_who_must_agree_anew_before_anything_is_announced(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    with running_website(tmp_path) as website:
        under_the_first(website)
    day = f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%d}"
    ran = plaint("policy", "announce", "2", "--from", day, *data)
    assert (ran.code, "2 of 2 who must agree anew" in ran.err) == (2, True)
    assert policy.changes("1", "2")[0] in ran.err
    assert plaint("policy", "announce", "2", "--from", day, "--yes", *data).code == 0
    rows = [json.loads(line) for line in plaint("policy", "show", "--json", *data).out.splitlines()]
    assert [(row["version"], row["state"], row["accepted"], row["must_consent"]) for row in rows] == [
        ("1", "in force", 2, 0),
        ("2", "announced", 0, 2),
        ("3", "not announced", 0, 2),
    ]
    assert plaint("policy", "announce", "2", "--from", day, "--yes", *data).code == 65


def test_an_operator_is_told_of_a_version_that_nobody_was_told_of(website: Website) -> None:
    def told() -> tuple[bool, str]:
        return asyncio.run(doctor._policy(website.office, cast(Any, None)))

    ok, detail = told()
    assert (ok, f"plaint policy announce {policy.POLICY} --from DAY" in detail) == (False, True)
    announce(website)
    assert told() == (True, "version 1 applies, 2 from 01 December 2026 on")


def test_every_version_stays_readable_with_what_it_changed(website: Website) -> None:
    announce(website)
    assert "Policy version 1" in website.http.get("/privacy").text
    assert 'href="/privacy/2"' in website.http.get("/privacy").text
    second = website.http.get("/privacy/2").text
    assert "<ins>" in second
    assert "<del>" in second
    for version in policy.versions():
        shown = website.http.get(f"/privacy/{version}").text
        for block in blocks(policy.text(version)):
            assert block.lines[0][0][1].split("\n")[0].split("'")[0] in shown
    assert website.http.get("/privacy/99").status_code == 404
    website.clock.now = DAY
    assert "Policy version 2" in website.http.get("/privacy").text


def test_a_new_installation_begins_with_the_newest_version(tmp_path: Path) -> None:
    with running_website(tmp_path) as website, website.office.db.reading() as session:
        assert policies.in_force(session, website.office) == policy.POLICY
        assert session.get_one(Reporter, website.alice.reporter.id).policy == policy.POLICY
        assert policies.asked(session, website.office, website.alice.reporter) is None
        assert website.alice.reporter.address == ALICE
