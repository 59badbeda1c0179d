"""Deciding on the review page: consent to what was shown, or nothing; undo, discard, preview."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from complaints import consent
from complaints.models import (
    Complaint,
    Consent,
    ConsentedReport,
    ReportState,
)
from tests.house import ALICE
from tests.visitor import (
    confirm,
    press,
    reports,
    review,
    shown_texts,
)
from tests.website import (
    LINK_DESK,
    NETWORK_DESK,
    Website,
    contact,
    forms,
    running_website,
    source_answer,
    spam,
)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def test_confirming_queues_the_ticked_reports_and_the_page_says_when_they_leave(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    states = {to: report.state for to, report in reports(website).items()}
    assert states == {NETWORK_DESK: ReportState.QUEUED, LINK_DESK: ReportState.DRAFT}
    page = review(website, complaint)
    assert "1 report will leave at 12:10 UTC." in page.text
    assert forms(page)[0].buttons == [("do", "undo")]


def test_both_desks_can_be_ticked(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint, report=[report.id for report in reports(website).values()])
    assert {report.state for report in reports(website).values()} == {ReportState.QUEUED}
    assert "2 reports will leave" in review(website, complaint).text


def test_without_the_tick_nothing_is_sent_and_nothing_typed_is_lost(website: Website) -> None:
    complaint = website.waiting()
    chosen = [report.id for report in reports(website).values()]
    answer = press(
        website, complaint, "confirm", report=chosen, note="Mine </textarea><b>\u202e", redaction="none"
    )
    assert answer.status_code == 422
    assert "<title>Error: " in answer.text
    assert '<a href="#read">Tick that you have read what will be sent.</a>' in answer.text
    form, *_ = forms(answer)
    assert [value for name, value in form.fields if name == "report"] == sorted(chosen)
    assert dict(form.fields)["note"] == "Mine </textarea><b>\u202e"
    assert dict(form.fields)["redaction"] == "none"
    assert website.show(complaint)["state"] == "awaiting_consent"
    again = website.http.post(website.review(complaint), data=form.data("confirm", read="yes"))
    assert again.status_code == 303


def test_without_a_desk_nothing_is_sent(website: Website) -> None:
    complaint = website.waiting()
    answer = press(website, complaint, "confirm", report=[], read="yes")
    assert answer.status_code == 422
    assert 'href="#desks"' in answer.text
    assert ("read", "yes") in forms(answer)[0].fields, "the tick stands, for nothing changed"


@pytest.mark.parametrize(
    "more", [{"redaction": "everything"}, {"note": f"I am {ALICE}"}, {"note": "x" * 4001}]
)
def test_a_choice_that_cannot_be_is_refused_and_nothing_changes(
    website: Website, more: dict[str, Any]
) -> None:
    complaint = website.waiting()
    website.look(complaint)
    before = website.dump()
    answer = press(website, complaint, "confirm", read="yes", **more)
    assert answer.status_code == 422
    assert f'href="#{next(iter(more))}"' in answer.text
    assert website.dump() == before


def test_an_unknown_button_does_nothing(website: Website) -> None:
    complaint = website.waiting()
    website.look(complaint)
    before = website.dump()
    form, *_ = forms(review(website, complaint))
    for do in ("", "send", "CONFIRM"):
        answer = website.http.post(
            website.review(complaint), data=form.data() | {"do": [do], "read": ["yes"]}
        )
        assert answer.status_code == 422
    assert website.http.post(website.review(complaint)).status_code == 422
    assert website.dump() == before


def test_a_form_shown_before_a_refresh_is_stale_and_says_what_changed(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    press(website, complaint, "refresh")
    other = "abuse@other.example"
    website.analyse(complaint, source=source_answer(contact(other), contact(NETWORK_DESK)), links=())
    answer = press(website, complaint, "confirm", old, read="yes", note="Kept")
    assert answer.status_code == 409
    assert f"{other} is new." in answer.text
    assert f"The report to {NETWORK_DESK} was written anew." in answer.text
    assert "is no longer proposed." in answer.text
    form, *_ = forms(answer)
    assert dict(form.fields)["note"] == "Kept"
    assert ("read", "yes") in form.unticked, "what changed must be read anew"
    assert website.show(complaint)["state"] == "awaiting_consent"
    assert (
        website.http.post(website.review(complaint), data=form.data("confirm", read="yes")).status_code == 303
    )


def test_a_form_is_good_once(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    assert press(website, complaint, "confirm", old, read="yes").status_code == 303
    again = press(website, complaint, "confirm", old, read="yes")
    assert again.status_code == 409
    assert press(website, complaint, "undo").status_code == 303
    assert website.show(complaint)["state"] == "awaiting_consent"
    after_undo = press(website, complaint, "confirm", old, read="yes")
    assert after_undo.status_code == 409
    assert "decided on" in after_undo.text
    confirm(website, complaint)


def forged(nonce: str, **more: Any) -> str:
    content, _, mac = nonce.partition(".")
    shown = json.loads(base64.urlsafe_b64decode(content)) | more
    return base64.urlsafe_b64encode(json.dumps(shown).encode()).decode() + "." + mac


@pytest.mark.parametrize(
    "kind", ["missing", "garbage", "digest", "version", "another complaint's", "too old"]
)
def test_a_nonce_that_is_not_for_this_page_confirms_nothing(website: Website, kind: str) -> None:
    complaint = website.waiting()
    page = review(website, complaint)
    good = dict(forms(page)[0].fields)["nonce"]
    other = dict(forms(review(website, website.waiting(spam(subject="Another"))))[0].fields)["nonce"]
    nonces = {
        "missing": "", "garbage": "é.\x00", "another complaint's": other, "too old": good,
        "digest": forged(good, reports={}), "version": forged(good, version=99),
    }  # fmt: skip
    if kind == "too old":
        website.clock.turn(days=8)
    answer = press(website, complaint, "confirm", page, read="yes", nonce=nonces[kind])
    assert answer.status_code == 409
    assert all(report.state == ReportState.DRAFT for report in reports(website).values())
    with website.office.db.reading() as session:
        assert not session.exec(select(Consent)).all()


def test_a_report_the_page_did_not_show_cannot_be_confirmed(website: Website) -> None:
    complaint, other = website.waiting(), website.waiting(spam(subject="Another"))
    answer = press(website, complaint, "confirm", read="yes", report=[f"{other}-01"])
    assert answer.status_code == 409
    assert website.show(complaint)["state"] == website.show(other)["state"] == "awaiting_consent"


def test_promise_2_a_preview_is_what_is_then_sent(website: Website) -> None:
    complaint = website.waiting()
    before = reports(website)[NETWORK_DESK].digest
    answer = press(website, complaint, "preview", note="The third one.", read="yes")
    assert answer.status_code == 200
    assert "The third one." in shown_texts(answer)[0]
    assert ("read", "yes") in forms(answer)[0].unticked, "new bytes must be read anew"
    previewed = reports(website)[NETWORK_DESK].digest
    assert previewed != before
    assert previewed in answer.text
    confirmed = website.http.post(
        website.review(complaint), data=forms(answer)[0].data("confirm", read="yes")
    )
    assert confirmed.status_code == 303
    with website.office.db.reading() as session:
        [kept] = session.exec(select(ConsentedReport)).all()
        [given] = session.exec(select(Consent)).all()
    assert kept.digest == given.shown[0]["digest"] == previewed
    assert given.note == "The third one."


def test_a_preview_makes_forms_shown_before_it_stale(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    assert press(website, complaint, "preview", note="New words").status_code == 200
    assert press(website, complaint, "confirm", old, read="yes").status_code == 409
    assert press(website, complaint, "preview", old).status_code == 409


def test_a_preview_with_the_address_shows_it(website: Website) -> None:
    complaint = website.waiting()
    answer = press(website, complaint, "preview", redaction="none")
    assert f"To: {ALICE}" in shown_texts(answer)[0]
    assert "replacements to hide you" not in answer.text


def test_of_many_presses_at_once_one_counts(tmp_path: Path, database_url: str) -> None:
    with running_website(tmp_path, database_url=database_url) as website:
        complaint = website.waiting()
        page = review(website, complaint)

        def send(do: str) -> int:
            return press(website, complaint, do, page, read="yes", note="Words\0 and more").status_code

        with ThreadPoolExecutor(8) as pool:
            answers = sorted(pool.map(send, ["confirm", "preview"] * 4))
        assert answers in ([200] + [409] * 7, [303] + [409] * 7)
        with website.office.db.reading() as session:
            assert len(session.exec(select(Consent)).all()) == answers.count(303)


def test_undo_ends_with_its_window(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    page = review(website, complaint)
    website.clock.turn(minutes=10)
    late = press(website, complaint, "undo", page)
    assert late.status_code == 409
    assert "the undo window is over" in late.text
    [only] = forms(review(website, complaint))
    assert only.buttons == [("do", "withdraw")]  # it could not be handed over yet


def test_discarding_needs_no_tick_and_can_be_taken_back(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    assert press(website, complaint, "discard").status_code == 303
    page = review(website, complaint)
    assert "You decided to send nothing." in page.text
    [only] = forms(page)
    assert only.buttons == [("do", "undo")]
    assert press(website, complaint, "confirm", old, read="yes").status_code == 409
    assert press(website, complaint, "discard", old).status_code == 409
    assert press(website, complaint, "undo", page).status_code == 303
    assert "waits for you" in review(website, complaint).text
    assert press(website, complaint, "confirm", old, read="yes").status_code == 409  # an old form stays old


def test_an_expired_complaint_can_no_longer_be_confirmed(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    website.clock.turn(days=7)
    consent.step(website.office, complaint)
    assert press(website, complaint, "confirm", old, read="yes").status_code == 409
    assert "expired" in review(website, complaint).text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"note": "Second time."}, "Your words to the desk are now: Second time."),
        ({"hide": "Wonderland"}, "The words to hide are now: Wonderland."),
        ({"redaction": "none"}, "The reports are now: With my address. They were: Redacted."),
    ],
)
def test_what_was_changed_in_another_tab_is_named_in_this_one(
    website: Website, change: dict[str, str], says: str
) -> None:
    complaint = website.waiting()
    first, second = review(website, complaint), review(website, complaint)
    assert press(website, complaint, "preview", second, **change).status_code == 200
    answer = press(website, complaint, "confirm", first, read="yes")
    assert answer.status_code == 409
    assert says in answer.text
    assert website.show(complaint)["state"] == "awaiting_consent"


def test_another_source_is_named_though_the_desk_is_the_same(website: Website) -> None:
    complaint = website.waiting()
    page = review(website, complaint)
    with website.office.db.transaction() as session:
        row = session.get_one(Complaint, complaint)
        row.evidence, row.source_ip = (row.evidence or {}) | {"explanation": "Otherwise."}, "198.51.100.24"
        session.add(row)
    answer = press(website, complaint, "confirm", page, read="yes")
    assert answer.status_code == 409
    assert "The source is now 198.51.100.24; it was 198.51.100.23." in answer.text
    assert "The evidence was read anew" in answer.text


def test_a_form_made_before_this_version_of_the_program_is_too_old(website: Website) -> None:
    complaint = website.waiting()
    page = review(website, complaint)
    content = base64.urlsafe_b64encode(json.dumps({"at": 1, "version": 1}).encode()).decode()
    mac = website.office.vault.derive("shown", f"{complaint} {content}")
    answer = press(website, complaint, "confirm", page, read="yes", nonce=f"{content}.{mac}")
    assert answer.status_code == 409
    assert "This form is too old" in answer.text
