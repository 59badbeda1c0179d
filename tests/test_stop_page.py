"""The opt-out of desks: one POST, from the page or from a mail program."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from complaints import outbox, replies
from complaints.models import Letter, Report, ReportState, Suppression
from tests.house import ALICE
from tests.visitor import confirm, reports, review, stop
from tests.website import NETWORK_DESK, Website, running_website


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def test_a_desk_stops_our_reports_with_one_post_and_twice_is_once(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    opt_out = stop(website)
    page = website.http.get(opt_out)
    assert NETWORK_DESK in page.text
    assert "Alice" not in page.text
    assert ALICE not in page.text
    assert website.http.post(opt_out).status_code == 422
    assert reports(website)[NETWORK_DESK].state != ReportState.SUPPRESSED, "a bare POST stops nothing"
    assert '<button name="do" value="stop"' in page.text
    for _ in range(2):
        answer = website.http.post(opt_out, data={"do": "stop"})
        assert answer.status_code == 200
        assert "No more reports" in answer.text
    assert reports(website)[NETWORK_DESK].state == ReportState.SUPPRESSED
    assert "not wanted" in review(website, complaint).text
    with website.office.db.reading() as session:
        [row] = session.exec(select(Suppression)).all()
    assert (row.address, row.asked_by, row.asked_at) == (NETWORK_DESK, "page", website.clock.now)


@pytest.mark.parametrize(
    "form",
    [{"data": {"List-Unsubscribe": "One-Click"}}, {"files": {"List-Unsubscribe": (None, "One-Click")}}],
)
def test_a_mail_programs_one_click_stops_our_reports(website: Website, form: dict[str, Any]) -> None:
    website.waiting()
    assert website.http.post(stop(website), **form).status_code == 200
    with website.office.db.reading() as session:
        assert session.get_one(Suppression, NETWORK_DESK).asked_by == "one-click request"


def test_a_desk_that_answers_stop_gets_no_more_and_its_answer_is_told(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    with website.office.db.transaction() as session:
        row = session.get_one(Report, reports(website)[NETWORK_DESK].id)
        answer = b"From: desk@cloud.example\r\nSubject: Re\r\n\r\nStop.\r\n\r\n> Hello,\r\n"
        replies.receive(session, website.office, outbox.REPLY, row, "desk@cloud.example", answer)
    assert reports(website)[NETWORK_DESK].state == ReportState.SUPPRESSED
    with website.office.db.reading() as session:
        assert session.get_one(Suppression, NETWORK_DESK).asked_by == "answer to a report"
        assert session.exec(select(Letter).where(Letter.kind == "answer")).one().to == ALICE


def test_a_stop_link_that_is_not_ours_stops_nothing(website: Website) -> None:
    website.waiting()
    for token in ("", "a", "a" * 20, "%00" * 20, stop(website).rpartition("/")[2].upper()):
        assert website.http.get(f"/stop/{token}").status_code == 404
        assert website.http.post(f"/stop/{token}").status_code == 404
    with website.office.db.reading() as session:
        assert not session.exec(select(Suppression)).all()
