"""What data may be used for is chosen, where it is asked for and later; and one click of a mail program ends it."""

import email
import email.policy
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlmodel import select

from complaints import choices, notice, reporters
from complaints.account_tables import Choice
from complaints.models import Letter, Report, Reporter, ReportState, Submission, SubmissionState
from complaints.policy import POLICY
from tests.house import ALICE, unguarded
from tests.test_cli import plaint
from tests.visitor import asked, confirm
from tests.website import NETWORK_DESK, Website, forms, running_website, spam


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def choose(website: Website, **said: bool) -> None:
    with website.office.db.transaction() as session:
        choices.choose(session, website.office, website.alice.reporter, said, via="test")


def chosen(website: Website) -> dict[str, bool]:
    with website.office.db.reading() as session:
        return choices.chosen(session, website.alice.reporter)


def letters(website: Website, kind: str) -> list[Any]:
    with website.office.db.reading() as session:
        alice = website.alice.reporter.id
        rows = session.exec(select(Letter).where(Letter.kind == kind, Letter.reporter_id == alice)).all()
        raws = [website.office.vault.unseal(website.alice.reporter.key, row.raw) for row in rows]
    return [email.message_from_bytes(raw, policy=email.policy.default) for raw in raws]


def test_registering_offers_each_use_and_none_is_ticked(website: Website) -> None:
    link, code = asked(website)
    [form] = forms(website.http.get(link))
    offered = {value for name, value in form.unticked if name == "for"}
    assert offered == set(choices.PURPOSES)
    for purpose in choices.PURPOSES.values():
        assert purpose.without in website.http.get(link).text
    website.http.post(link, data={"code": code, "policy": POLICY, "adult": "yes", "for": ["digests", "x"]})
    with website.office.db.reading() as session:
        carol = reporters.find(session, "carol@example.com")
        assert carol
        kept = {
            row.purpose: (row.chosen, row.via)
            for row in session.exec(select(Choice).where(Choice.reporter_id == carol.id))
        }
    assert kept == {"digests": (True, "page"), choices.ADULT: (True, "page")}


def test_each_optional_field_says_so_and_what_is_missing_without_it(website: Website) -> None:
    account = urlsplit(website.office.account_url(website.alice.reporter)).path
    asked_for = []
    for path in (website.review(website.waiting()), account):
        page = website.http.get(path).text
        for field in re.finditer(r'<textarea id="(\w+)"(?![^>]* (?:required|readonly))', page):
            asked_for.append(field[1])
            before = page[page.rindex("<h2", 0, field.start()) : field.start()].lower()
            label = before[before.rindex("optional") :]
            assert "without" in label, field[1]
    assert asked_for == ["note", "hide", "names"]


def test_nobody_registers_who_does_not_say_to_be_old_enough(website: Website) -> None:
    link, code = asked(website)
    refused = website.http.post(link, data={"code": code, "policy": POLICY, "for": "news"})
    assert (refused.status_code, 'href="#adult"' in refused.text) == (422, True)
    assert ("for", "news") in forms(refused)[0].fields
    with website.office.db.reading() as session:
        assert reporters.find(session, "carol@example.com") is None


def test_news_go_only_to_those_who_chose_them_and_one_click_ends_them(website: Website) -> None:
    def send() -> int:
        with website.office.db.transaction() as session:
            return choices.send_news(session, website.office, "What is new", "Much.\nFrom us\n")

    assert send() == 0
    choose(website, news=True)
    assert send() == 1
    [letter] = letters(website, "news")
    assert letter["To"] == ALICE
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = re.fullmatch(r"<(http://[^>]+/unsubscribe/[^>]+)>", letter["List-Unsubscribe"])
    assert url
    assert url[1] in letter.get_content()
    path = urlsplit(url[1]).path
    for method in ("GET", "HEAD"):
        assert website.http.request(method, path, params={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert chosen(website)["news"] is True
    for _ in range(2):
        assert website.http.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert chosen(website) == dict.fromkeys(choices.PURPOSES, False)
    with website.office.db.reading() as session:
        assert session.exec(select(Choice)).one().via == "one-click request"
    assert send() == 0


def test_the_link_in_a_letter_ends_one_use_and_nothing_else(website: Website) -> None:
    choose(website, news=True, digests=True, statistics=True)
    path = urlsplit(website.office.unsubscribe_url(website.alice.reporter, "statistics")).path
    assert website.http.post(path).status_code == 422
    assert website.http.post(path, json={"List-Unsubscribe": "One-Click"}).status_code == 422
    assert chosen(website)["statistics"] is True, "a machine that only sends a POST ends nothing"
    assert website.http.post(path, data=pressed(website, path)).status_code == 200
    assert chosen(website) == dict.fromkeys(choices.PURPOSES, False) | {"news": True, "digests": True}
    forged = path.replace("-statistics.", "-digests.")
    assert forged != path
    for other in (
        forged,
        "/unsubscribe/x",
        path.replace("/unsubscribe/", "/account/"),
        "/unsubscribe/%00-news.1.a",
    ):
        assert website.http.post(other).status_code == 404
    assert chosen(website)["digests"] is True
    website.clock.now += website.office.link_life + timedelta(days=1)
    assert website.http.get(path).status_code == 410


def test_a_changed_address_ends_the_links_in_mails_to_the_old_one(website: Website) -> None:
    choose(website, news=True)
    path = urlsplit(website.office.unsubscribe_url(website.alice.reporter, "news")).path
    with website.office.db.transaction() as session:
        session.get_one(Reporter, website.alice.reporter.id).moved_at = website.clock.now
    assert website.http.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 404
    assert chosen(website)["news"] is True
    with website.office.db.reading() as session:
        moved = session.get_one(Reporter, website.alice.reporter.id)
    path = urlsplit(website.office.unsubscribe_url(moved, "news")).path
    assert website.http.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200


def pressed(website: Website, path: str) -> dict[str, str]:
    """What a person's press of the button on a page with one form sends."""
    [button] = re.findall(r'<button name="(\w+)" value="(\w+)"', website.http.get(path).text)
    return dict([button])


def test_letters_that_are_needed_carry_no_way_to_end_them(website: Website) -> None:
    website.waiting()
    tell(website)
    [letter] = letters(website, "notice")
    assert letter["List-Unsubscribe"] is None
    account = re.search(r"http://\S+(/account/\S+)", letter.get_content())
    assert account
    assert website.http.get(account[1]).status_code == 200


def test_whoever_chose_one_letter_a_day_gets_one_a_day(website: Website) -> None:
    choose(website, digests=True)
    website.waiting()
    website.clock.turn(hours=23)
    website.waiting(spam(subject="Another"))
    tell(website)
    assert letters(website, "notice") == []
    website.clock.turn(hours=1)
    tell(website)
    [letter] = letters(website, "notice")
    assert letter["Subject"] == "Please look: 2 complaints await your consent"
    end = re.search(r"http://\S+(/unsubscribe/\S+)", letter.get_content())
    assert end
    assert website.http.post(end[1], data=pressed(website, end[1])).status_code == 200
    assert chosen(website)["digests"] is False
    website.waiting(spam(subject="A third"))
    tell(website)
    assert len(letters(website, "notice")) == 2
    assert "/unsubscribe/" not in letters(website, "notice")[1].get_content()


def test_only_who_agrees_is_counted_in_public(website: Website) -> None:
    def counted() -> dict[str, int]:
        with website.office.db.reading() as session:
            return choices.statistics(session)

    complaint = website.waiting()
    confirm(website, complaint)
    with website.office.db.transaction() as session:
        unguarded(session)
        session.exec(select(Report).where(Report.to == NETWORK_DESK)).one().state = ReportState.SENT
    assert counted() == {"reporters": 0, "complaints": 0, "reports_sent": 0}
    choose(website, statistics=True)
    assert counted() == {"reporters": 1, "complaints": 1, "reports_sent": 1}


def test_the_operator_mails_news_by_command(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    assert plaint("reporters", "add", "carol@example.com", "--verified", *data).code == 0
    text = tmp_path / "news.txt"
    text.write_text("Much is new.\n")
    ran = plaint("news", str(text), "--subject", "What is new", *data)
    assert (ran.code, "0 letters" in ran.err) == (0, True)


def tell(website: Website) -> None:
    with website.office.db.reading() as session:
        waiting = session.exec(
            select(Submission.id).where(Submission.state == SubmissionState.UNWRAPPED)
        ).all()
    for submission in waiting:
        notice.step(website.office, submission)


def test_choices_are_kept_on_both_databases(tmp_path: Path, database_url: str) -> None:
    with running_website(tmp_path, database_url=database_url) as website:
        choose(website, news=True)
        choose(website, news=False)
        choose(website, statistics=True)
        assert chosen(website) == dict.fromkeys(choices.PURPOSES, False) | {"statistics": True}
        with website.office.db.reading() as session:
            assert choices.statistics(session)["reporters"] == 1
