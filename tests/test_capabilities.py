"""Links that open a page without a login: they end, are renewed only by mail, and machines that follow them do nothing."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from complaints import erasure
from complaints.models import Complaint, ComplaintState, Consent, Letter, Report, Reporter, ReportState
from complaints.policy import POLICY
from complaints.standing_tables import StandingConsent
from tests.visitor import press, review
from tests.website import Website, forms, running_website


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as made:
        yield made


def letters(website: Website, kind: str) -> list[str]:
    """The texts of the letters of a kind on their way to Alice."""
    with website.office.db.reading() as session:
        rows = session.exec(select(Letter).where(Letter.kind == kind)).all()
        assert {row.to for row in rows} <= {website.alice.reporter.address}
        key = website.alice.reporter.key
        return [website.office.vault.unseal(key, row.raw).decode() for row in rows]


def test_a_link_ends_and_a_new_one_goes_to_the_registered_address_only(website: Website) -> None:
    complaint = website.waiting()
    old = website.review(complaint)
    website.clock.now += website.office.link_life
    assert website.http.get(old).status_code == 200
    website.clock.turn(days=1)
    ended = website.http.get(old)
    assert (ended.status_code, "This link has ended" in ended.text) == (410, True)
    assert website.http.post(old, data={"do": "discard"}).status_code == 410
    for rest in ("/raw", "/receipt", f"/reports/{complaint}-01"):
        assert website.http.get(old + rest).status_code == 410
    asked = website.http.post(old.replace("/review/", "/link/"))
    assert website.alice.reporter.address not in asked.text
    [letter] = letters(website, "link")
    fresh = re.search(r"http://[^\s]+(/review/\S+)", letter)
    assert fresh
    assert website.http.get(fresh[1]).status_code == 200
    website.http.post(old.replace("/review/", "/link/"))
    assert len(letters(website, "link")) == 1  # not again within the hour
    website.clock.now += timedelta(hours=2)
    website.http.post(old.replace("/review/", "/link/"))
    assert len(letters(website, "link")) == 2


def test_no_letter_is_mailed_for_a_link_that_is_good_or_is_none(website: Website) -> None:
    good = website.review(website.waiting()).replace("/review/", "/link/")
    for path in (good, good[:-1] + "x", "/link/x", "/link/PL-222222222222.1.a", "/link/%00.%00.%00"):
        assert website.http.post(path).status_code == 404
    assert letters(website, "link") == []


def test_an_ended_link_to_what_was_erased_is_like_one_that_never_was(website: Website) -> None:
    path = website.review(website.waiting()).replace("/review/", "/link/")
    with website.office.db.transaction() as session:
        erasure.erase(session, website.office, session.get_one(Reporter, website.alice.reporter.id))
    website.clock.now += website.office.link_life + timedelta(days=1)
    assert website.http.post(path).status_code == 404


def test_a_page_of_hosts_ends_too(website: Website) -> None:
    path = website.office.hosts_url(website.alice.reporter).removeprefix(website.office.settings.url)
    assert website.http.get(path).status_code == 200
    website.clock.now += website.office.link_life + timedelta(days=1)
    assert website.http.get(path).status_code == 410
    assert website.http.post(path, data={"do": "add", "host": "mx.victim.example"}).status_code == 410


def test_no_copy_of_a_page_behind_a_link_is_kept_and_its_address_goes_nowhere(website: Website) -> None:
    complaint = website.waiting()
    for path in (website.review(complaint), website.review(complaint) + "/receipt"):
        headers = website.http.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"]


def test_a_link_with_a_slash_too_many_is_sent_nowhere(website: Website) -> None:
    """Redirected it would be to http: and to whatever host the client wrote."""
    answer = website.http.get(website.review(website.waiting()) + "/", headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_a_mail_scanner_that_follows_links_achieves_nothing(website: Website, method: str) -> None:
    complaint = website.waiting()
    website.look(complaint)  # whoever looks has the reports written; a machine that does no more than that
    before = website.dump()
    path = website.review(complaint)
    for link in (path, f"{path}?do=confirm&read=yes", f"{path}/raw", path.replace("/review/", "/link/")):
        website.http.request(method, link, headers={"Purpose": "prefetch", "Sec-Purpose": "prefetch"})
    assert website.dump() == before


def test_a_mail_scanner_that_sends_the_form_as_it_is_filled_achieves_nothing(website: Website) -> None:
    complaint = website.waiting()
    path = website.review(complaint)
    [form] = [one for one in forms(review(website, complaint)) if ("do", "confirm") in one.buttons]
    sent = [
        form.fields,
        [],
        *([*form.fields, button] for button in form.buttons if button != ("do", "discard")),
    ]
    for fields in sent:
        data: dict[str, list[str]] = {}
        for name, value in fields:
            data.setdefault(name, []).append(value)
        website.http.post(path, data=data)
    with website.office.db.reading() as session:
        assert session.exec(select(Consent)).all() == []
        assert {row.state for row in session.exec(select(Report)).all()} == {ReportState.DRAFT}


def test_a_machine_that_presses_the_first_button_of_each_page_decides_nothing(website: Website) -> None:
    """A browser without a person in front of it: it sends what is filled in, and never ticks a box."""
    complaint = website.waiting()
    website.look(complaint)
    with website.office.db.reading() as session:
        alice, office = session.get_one(Reporter, website.alice.reporter.id), website.office
    urls = [office.review_url(complaint), office.batch_url(alice), office.standing_url(alice)]
    for path in [url.removeprefix(office.settings.url) for url in urls]:
        form = forms(website.http.get(path))[0]
        assert form.buttons, path
        website.http.post(path, data=form.data(form.buttons[0][1]))
    with office.db.reading() as session:
        assert session.exec(select(Consent)).first() is None
        assert session.exec(select(StandingConsent)).first() is None
        assert session.get_one(Complaint, complaint).state == ComplaintState.AWAITING_CONSENT
        assert {row.state for row in session.exec(select(Report)).all()} == {ReportState.DRAFT}


def test_a_machine_that_presses_discard_only_puts_it_aside(website: Website) -> None:
    complaint = website.waiting()
    press(website, complaint, "discard")
    press(website, complaint, "undo", review(website, complaint))
    with website.office.db.reading() as session:
        assert session.get_one(Complaint, complaint).state == ComplaintState.AWAITING_CONSENT


def test_that_a_desk_may_do_what_it_likes_is_said_where_one_chooses(website: Website) -> None:
    [form] = [
        part for part in review(website, website.waiting()).text.split("<form") if 'value="confirm"' in part
    ]
    assert "What a desk does with a report is beyond us" in form


def test_under_another_policy_nothing_is_confirmed_before_it_is_accepted(website: Website) -> None:
    complaint = website.waiting()
    with website.office.db.transaction() as session:
        alice = session.get_one(Reporter, website.alice.reporter.id)
        alice.policy = "0"
        session.add(alice)
    answer = press(website, complaint, "confirm", read="yes")
    assert answer.status_code == 409
    assert f"privacy policy: version {POLICY}; you accepted version 0" in answer.text
    with website.office.db.reading() as session:
        assert session.exec(select(Consent)).all() == []
