"""Standing consent: narrow, explicit, revocable, off by default; each sending a consent of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlmodel import col, select

from complaints import learned, notice, standing
from complaints.models import (
    Complaint,
    ComplaintState,
    Consent,
    ConsentedReport,
    Letter,
    Reply,
    Report,
    Reporter,
    ReportState,
)
from complaints.own_hosts import Host
from complaints.policy import STANDING, STANDING_STATEMENT
from tests.house import unguarded
from tests.visitor import confirm
from tests.website import NETWORK_DESK, Website, contact, forms, running_website, source_answer, spam


@pytest.fixture
def website(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    monkeypatch.setattr(standing, "BY_HAND", 2)
    with running_website(tmp_path) as made:
        yield made


def path(website: Website) -> str:
    return urlsplit(website.office.standing_url(website.alice.reporter)).path


def eligible(website: Website) -> None:
    """Alice has confirmed two by hand, and a probe of hers came back."""
    for number in range(2):
        confirm(website, website.waiting(spam(subject=f"By hand {number}")))
    with website.office.db.transaction() as session:
        alice = session.get_one(Reporter, website.alice.reporter.id)
        alice.trust = ["mail.victim.example"]
        alice.learned = [{"host": "mx.victim.example", "how": "probe", "since": "2026-11-01T00:00:00Z"}]
        session.add(alice)


def given(website: Website, daily: str = "10") -> None:
    eligible(website)
    answer = website.http.post(path(website), data={"do": "give", "agree": "yes", "daily": daily})
    assert answer.status_code == 303, answer.text


def arrives(website: Website, subject: str = "New", **more: Any) -> str:
    """A spam is drafted, and the worker looks whether it is confirmed under the grant."""
    complaint = website.waiting(spam(subject=subject), **more)
    standing.step(website.office, complaint)
    return complaint


def state(website: Website, complaint: str) -> str:
    return str(website.show(complaint)["state"])


def test_it_is_off_unless_it_was_given(website: Website) -> None:
    eligible(website)
    assert state(website, arrives(website)) == "awaiting_consent"


def test_twenty_complaints_by_hand_come_first() -> None:
    assert standing.BY_HAND == 20


def test_a_clear_case_is_confirmed_for_the_networks_desk_alone_and_told_before_it_leaves(
    website: Website,
) -> None:
    given(website)
    complaint = arrives(website)
    assert state(website, complaint) == "confirmed"
    reports = {one["to"]: one for one in website.show(complaint)["reports"]}
    assert {to for to, one in reports.items() if one["state"] == "queued"} == {NETWORK_DESK}
    with website.office.db.reading() as session:
        row = session.exec(select(Consent).where(Consent.complaint_id == complaint)).one()
        assert row.via == STANDING
        covered = session.exec(select(ConsentedReport).where(ConsentedReport.consent_id == row.id)).one()
        assert (covered.to, covered.digest) == (NETWORK_DESK, reports[NETWORK_DESK]["digest"])
        letter = session.exec(select(Letter).where(Letter.kind == "standing")).one()
        text = website.office.vault.unseal(website.alice.reporter.key, letter.raw).decode()
        leaves = session.get_one(Report, reports[NETWORK_DESK]["id"]).next_at
        assert leaves is not None
        assert leaves - website.clock() >= timedelta(minutes=10)
    assert NETWORK_DESK in text
    assert website.review(complaint) in text
    assert path(website) in text
    assert website.api("POST", f"/complaints/{complaint}/undo").status_code == 202


def test_each_sending_is_recorded_under_the_grant(website: Website) -> None:
    given(website)
    complaint = arrives(website)
    entries = [link["entry"] for link in website.api("GET", "/receipt").json()["chain"]]
    [grant] = [entry for entry in entries if entry["kind"] == "standing consent"]
    [sent] = [entry for entry in entries if entry["kind"] == "consent" and entry["complaint"] == complaint]
    assert sent["grant"] == grant["grant"]
    assert grant["statement"] == STANDING_STATEMENT


def test_undo_keeps_its_ten_minutes_also_where_there_is_no_undo_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "BY_HAND", 2)
    with running_website(tmp_path, undo_seconds=0) as website:
        given(website)
        complaint = arrives(website)
        website.clock.turn(minutes=9)
        assert website.api("POST", f"/complaints/{complaint}/undo").status_code == 202


@pytest.mark.parametrize(
    "source",
    [
        source_answer(contact(NETWORK_DESK, confidence="medium")),
        source_answer(contact(NETWORK_DESK, scope="domain")),
        source_answer(contact(NETWORK_DESK, scope="host")),
    ],
)
def test_a_desk_that_is_not_surely_the_networks_waits_for_the_reporter(website: Website, source: Any) -> None:
    given(website)
    assert state(website, arrives(website, source=source)) == "awaiting_consent"


@pytest.mark.parametrize(
    "unfit", ["grade", "doubt", "note", "shown", "old", "policy", "probe", "held", "verdict"]
)
def test_whatever_is_not_clear_waits_for_the_reporter(website: Website, unfit: str) -> None:
    given(website)
    complaint = website.waiting(spam(subject="Unclear"))
    with website.office.db.transaction() as session:
        spoil(website, session.get_one(Complaint, complaint), session, unfit)
    standing.step(website.office, complaint)
    assert state(website, complaint) == "awaiting_consent"


def spoil(website: Website, row: Complaint, session: Any, unfit: str) -> None:
    alice = session.get_one(Reporter, website.alice.reporter.id)
    sent = session.exec(select(Report).where(Report.state == ReportState.QUEUED)).first()
    if unfit == "grade":
        row.grade = "C"
    elif unfit == "doubt":
        row.evidence = (row.evidence or {}) | {
            "source": (row.evidence or {})["source"] | {"confidence": "medium"}
        }
    elif unfit == "note":
        row.note = "Words."
    elif unfit == "shown":
        row.redaction = "none"
    elif unfit == "old":
        website.clock.turn(days=2)
    elif unfit == "policy":
        alice.policy = "0"
    elif unfit == "probe":
        alice.learned = [{"host": "mx.victim.example", "how": "hop", "since": "2026-11-01T00:00:00Z"}]
    elif unfit == "held":
        unguarded(session)
        sent.state = ReportState.HELD
    else:
        session.add(Reply(id="v", report_id=sent.id, at=website.clock(), kind="verdict", status="not ours", text="", digest="v", raw=b""))  # fmt: skip


def test_what_is_over_the_daily_cap_waits(website: Website) -> None:
    given(website, daily="2")
    first = [state(website, arrives(website, f"Number {number}")) for number in range(3)]
    assert first == ["confirmed", "confirmed", "awaiting_consent"]
    website.clock.turn(days=1, minutes=1)
    assert state(website, arrives(website, "Tomorrow", source=source_answer())) == "confirmed"


def test_taking_one_back_ends_its_working_until_the_history_is_clean_again(website: Website) -> None:
    given(website)
    website.api("POST", f"/complaints/{arrives(website)}/undo")
    assert state(website, arrives(website, "Another")) == "awaiting_consent"


def test_revoked_is_over_at_once(website: Website) -> None:
    given(website)
    assert website.http.post(path(website), data={"do": "revoke"}).status_code == 303
    assert state(website, arrives(website)) == "awaiting_consent"
    assert website.http.post(path(website), data={"do": "revoke"}).status_code == 422
    kinds = [link["entry"]["kind"] for link in website.api("GET", "/receipt").json()["chain"]]
    assert kinds[-2:] == ["standing consent", "revocation"]


def test_with_the_grant_goes_what_it_confirmed_and_has_not_left(website: Website) -> None:
    given(website)
    fresh, tried = arrives(website, "Fresh"), arrives(website, "Tried")
    by_hand = website.waiting(spam(subject="Mine"))
    confirm(website, by_hand)
    with website.office.db.transaction() as session:
        for row in session.exec(select(Report).where(Report.complaint_id == tried)):
            row.attempts = 1
            session.add(row)
    assert website.http.post(path(website), data={"do": "revoke"}).status_code == 303
    assert state(website, fresh) == "awaiting_consent"
    assert state(website, tried) == "closed"
    assert state(website, by_hand) == "confirmed"
    with website.office.db.reading() as session:
        left = session.exec(select(Report.complaint_id).where(Report.state == ReportState.QUEUED)).all()
    assert not {fresh, tried} & set(left)
    again = website.http.post(path(website), data={"do": "give", "agree": "yes", "daily": "5"})
    assert again.status_code == 303, "revoking is no sign that what was confirmed was wrong"


@pytest.mark.parametrize("change", ["more", "fewer", "probed"])
def test_with_other_mail_hosts_it_waits_until_it_is_given_anew(website: Website, change: str) -> None:
    given(website)
    alice = website.alice.reporter
    with website.office.db.transaction() as session:
        row = session.get_one(Reporter, alice.id)
        if change == "fewer":
            row.trust = []
        else:
            how = "probe" if change == "probed" else "named"
            learned.add(session, website.office, row, [Host("host", "in.other.example")], how)
        session.add(row)
    assert state(website, arrives(website)) == ("confirmed" if change == "probed" else "awaiting_consent")
    told = {one["what"]: one["holds"] for one in website.api("GET", "/standing-consent").json()["conditions"]}
    assert [holds for what, holds in told.items() if "gave it with" in what] == [change == "probed"]


def test_many_workers_at_once_stay_within_the_daily_cap(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "BY_HAND", 2)
    with running_website(tmp_path, database_url=database_url) as website:
        given(website, daily="1")
        waiting = [website.waiting(spam(subject=f"At once {number}")) for number in range(4)]
        for complaint in waiting:
            website.look(complaint)
        with ThreadPoolExecutor(len(waiting)) as workers:
            list(workers.map(lambda complaint: standing.step(website.office, complaint), waiting))
        assert [state(website, complaint) for complaint in waiting].count("confirmed") == 1


def test_it_cannot_be_given_before_what_must_hold_holds(website: Website) -> None:
    answer = website.http.post(path(website), data={"do": "give", "agree": "yes", "daily": "5"})
    assert answer.status_code == 422
    assert "confirmed by a test mail" in answer.text
    assert website.api("GET", "/standing-consent").json()["given"] is None


@pytest.mark.parametrize("data", [{"do": "give", "daily": "5"}, {"do": "give", "agree": "yes", "daily": "0"}, {"do": "give", "agree": "yes", "daily": "101"}, {"do": "give", "agree": "yes", "daily": "x"}, {"agree": "yes", "daily": "5"}, {}])  # fmt: skip
def test_it_is_given_only_by_the_tick_the_number_and_the_button(
    website: Website, data: dict[str, str]
) -> None:
    eligible(website)
    assert website.http.post(path(website), data=data).status_code == 422
    assert website.api("GET", "/standing-consent").json()["given"] is None


def test_looking_at_the_page_or_sending_it_as_it_is_filled_gives_nothing(website: Website) -> None:
    eligible(website)
    for method in ("GET", "HEAD", "OPTIONS"):
        website.http.request(method, path(website))
    [form] = forms(website.http.get(path(website)))
    website.http.post(path(website), data=form.data("give"))
    assert website.api("GET", "/standing-consent").json()["given"] is None


def test_the_api_gives_and_revokes_it(website: Website) -> None:
    eligible(website)
    wrong = website.api("POST", "/standing-consent", json={"daily": 5, "statement": "yes"})
    assert wrong.status_code == 422
    wish = {"daily": 5, "statement": website.api("GET", "/standing-consent").json()["statement"]}
    assert website.api("POST", "/standing-consent", json=wish).json()["given"]["daily"] == 5
    assert website.api("POST", "/standing-consent", json=wish).status_code == 409
    assert website.api("POST", "/standing-consent/revoke").json()["given"] is None
    assert website.api("POST", "/standing-consent/revoke").status_code == 409


def test_another_reporters_grant_is_not_mine(website: Website) -> None:
    given(website)
    assert website.api("GET", "/standing-consent", who=website.bob).json()["given"] is None
    alice, bob = path(website), urlsplit(website.office.standing_url(website.bob.reporter)).path
    mixed = f"/standing/{bob.split('/')[-1].partition('.')[0]}.{alice.partition('.')[2]}"
    assert website.http.get(mixed).status_code == 404


def test_a_complaint_that_is_decided_already_is_left_alone(website: Website) -> None:
    given(website)
    complaint = website.waiting(spam(subject="Decided"))
    website.api("POST", f"/complaints/{complaint}/discard")
    standing.step(website.office, complaint)
    with website.office.db.reading() as session:
        assert session.get_one(Complaint, complaint).state == ComplaintState.DISCARDED


def test_the_notice_of_a_submission_tells_nothing_twice(website: Website) -> None:
    given(website)
    by_grant, by_hand = arrives(website, "Under the grant"), website.waiting(spam(subject="By hand"), source=source_answer(contact(NETWORK_DESK, confidence="medium")))  # fmt: skip
    confirm(website, by_hand)
    with website.office.db.reading() as session:
        mine = session.exec(select(Complaint.submission_id).where(col(Complaint.id).in_([by_grant, by_hand])))
        submissions = list(mine)
    for submission_id in submissions:
        notice.step(website.office, submission_id)
    with website.office.db.reading() as session:
        letters = session.exec(select(Letter).where(Letter.kind == "notice")).all()
        texts = [website.office.vault.unseal(website.alice.reporter.key, one.raw).decode() for one in letters]
    assert "By hand" in "".join(texts)
    assert "Under the grant" not in "".join(texts)
