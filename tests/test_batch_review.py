"""Many complaints decided at once: in groups, each complaint with a consent of its own, and nothing unseen."""

import contextlib
import html
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import event
from sqlmodel import col, select

from complaints import batches, consent, retention, review_groups
from complaints.account_tables import PolicyVersion
from complaints.batches import Decision
from complaints.campaign import campaign_of
from complaints.models import (
    Complaint,
    ComplaintState,
    Consent,
    ConsentedReport,
    Json,
    Report,
    ReportState,
    Submission,
    SubmissionState,
)
from complaints.review_groups import BY
from tests.house import CLOUD
from tests.website import LINK_DESK, NETWORK_DESK, Form, Website, forms, running_website, spam

ELSEWHERE = "203.0.113.99"


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


@pytest.fixture
def three(website: Website) -> list[str]:
    """Two complaints of one source, one of another."""
    far = spam(subject="Watches").replace(CLOUD.encode(), ELSEWHERE.encode())
    return [
        website.waiting(spam(subject="Offer 1"), batch="run"),
        website.waiting(spam(subject="Offer 2"), batch="run"),
        website.waiting(far.replace(b"pills.example/buy", b"watches.example/buy"), batch="run"),
    ]


def path(website: Website, batch: str = "run") -> str:
    return urlsplit(website.office.batch_url(website.alice.reporter, batch)).path


def groups(website: Website, by: str = "source", batch: str = "run") -> list[Json]:
    answer = website.api("GET", "/review", params={"by": by, "batch": batch})
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["groups"]
    return found


def group_forms(page: httpx.Response) -> list[Form]:
    return [form for form in forms(page) if any(name == "shown" for name, _ in form.fields)]


def press(website: Website, form: Form, do: str, **more: str | list[str]) -> httpx.Response:
    return website.http.post(path(website), data=form.data(do, **more))


def states(website: Website, *complaints: str) -> list[str]:
    return [website.show(one)["state"] for one in complaints]


def consents(website: Website) -> dict[str, list[tuple[str, str]]]:
    """Complaint → (recipient, digest) of each report consented to."""
    with website.office.db.reading() as session:
        given = session.exec(select(Consent)).all()
        return {
            one.complaint_id: [
                (row.to, row.digest)
                for row in session.exec(select(ConsentedReport).where(ConsentedReport.consent_id == one.id))
            ]
            for one in given
        }


@pytest.mark.parametrize("by", BY)
def test_every_complaint_that_waits_is_in_one_group(website: Website, three: list[str], by: str) -> None:
    found = groups(website, by)
    assert sorted(one["id"] for group in found for one in group["complaints"]) == sorted(three)
    assert [len(group["complaints"]) for group in found] == ([3] if by == "desk" else [2, 1])
    titles = {"source": [CLOUD, ELSEWHERE], "campaign": ["pills.example", "watches.example"]}
    assert [group["title"] for group in found] == titles.get(by, [NETWORK_DESK])


def test_the_name_of_a_campaign_leaves_out_what_varies_and_takes_linear_time() -> None:
    assert campaign_of({}, "Fwd: Re: Your order A-4711 is ready") == "your order # is ready"
    start = time.process_time()
    campaign_of({}, "a" * 200_000)
    assert time.process_time() - start < 2  # square time: five minutes


def test_a_batch_is_what_was_handed_in_under_one_label(website: Website, three: list[str]) -> None:
    other = website.waiting(spam(subject="Alone"))
    assert other not in {one["id"] for group in groups(website) for one in group["complaints"]}
    everything = {one["id"] for group in groups(website, batch="") for one in group["complaints"]}
    assert everything == {other, *three}
    assert website.api("GET", "/review", params={"batch": "no label'"}).status_code == 422
    assert website.api("GET", "/review", params={"by": "colour"}).status_code == 422


def test_a_confirmed_group_is_one_consent_for_each_with_the_digests_shown(
    website: Website, three: list[str]
) -> None:
    page = website.http.get(path(website))
    shown = {one: {r["to"]: r["digest"] for r in website.show(one)["reports"]} for one in three[:2]}
    answer = press(website, group_forms(page)[0], "confirm", read="yes")
    assert answer.status_code == 303, answer.text
    assert states(website, *three) == ["confirmed", "confirmed", "awaiting_consent"]
    assert consents(website) == {one: [(NETWORK_DESK, shown[one][NETWORK_DESK])] for one in three[:2]}


def test_a_desk_that_was_only_offered_gets_nothing_from_a_group(website: Website, three: list[str]) -> None:
    [form, _] = group_forms(website.http.get(path(website)))
    press(website, form, "confirm", read="yes", to=[NETWORK_DESK, LINK_DESK])
    assert {to for reports in consents(website).values() for to, _ in reports} == {NETWORK_DESK}


def test_a_group_is_trimmed_by_desk_and_by_complaint(website: Website, three: list[str]) -> None:
    with website.office.db.transaction() as session:
        query = select(Report).where(Report.to == LINK_DESK, Report.complaint_id == three[0])
        session.exec(query).one().ticked = True
    [form, _] = group_forms(website.http.get(path(website)))
    assert ("to", LINK_DESK) in form.fields
    answer = press(website, form, "confirm", read="yes", to=[LINK_DESK])
    assert answer.status_code == 200
    assert "none of the chosen desks is proposed for it" in html.unescape(answer.text)
    assert states(website, *three) == ["confirmed", "awaiting_consent", "awaiting_consent"]
    [form, _] = group_forms(website.http.get(path(website)))
    press(website, form, "discard", keep=[])
    assert states(website, *three)[1] == "awaiting_consent"


@pytest.mark.parametrize("missing", ["read", "to"])
def test_an_incomplete_decision_sends_nothing(website: Website, three: list[str], missing: str) -> None:
    [form, _] = group_forms(website.http.get(path(website)))
    complete: dict[str, str | list[str]] = {"read": "yes", "to": [NETWORK_DESK]}
    answer = press(website, form, "confirm", **complete | {missing: []})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert not consents(website)


def test_a_form_filled_in_by_a_machine_confirms_nothing(website: Website, three: list[str]) -> None:
    for form in group_forms(website.http.get(path(website))):
        assert press(website, form, "confirm").status_code == 422
        assert website.http.head(path(website)).status_code == 200
    assert not consents(website)


@pytest.mark.parametrize("change", ["one more", "one less", "written anew", "policy"])
def test_a_group_that_changed_since_it_was_shown_is_not_decided(
    website: Website, three: list[str], change: str
) -> None:
    [form, _] = group_forms(website.http.get(path(website)))
    if change == "one more":
        website.waiting(spam(subject="Offer 3"), batch="run")
    elif change == "policy":
        with website.office.db.transaction() as session:
            for version in session.exec(select(PolicyVersion)):
                session.delete(version)
            now = website.clock()
            session.add(PolicyVersion(version="1", announced_at=now, effective_at=now))
    else:
        with website.office.db.transaction() as session:
            row = session.get_one(Complaint, three[0])
            if change == "one less":
                consent.discard(session, row)
            else:
                consent.redraft(session, website.office, row, consent.Choice({}, note="Please."))
    for do in ("confirm", "discard"):
        answer = press(website, form, do, read="yes")
        assert answer.status_code == 409
        assert "things changed since you saw them" in answer.text
    assert not consents(website)


def test_what_was_decided_is_taken_back_at_once_while_it_can_be(website: Website, three: list[str]) -> None:
    first, second = group_forms(website.http.get(path(website)))
    press(website, first, "confirm", read="yes")
    press(website, second, "discard")
    assert states(website, *three) == ["confirmed", "confirmed", "discarded"]
    page = website.http.get(path(website))
    assert "has not left yet" in page.text
    [undo] = [form for form in forms(page) if ("do", "undo") in form.buttons]
    assert press(website, undo, "undo").status_code == 303
    assert states(website, *three) == ["awaiting_consent"] * 3
    press(website, group_forms(website.http.get(path(website)))[0], "confirm", read="yes")
    website.clock.turn(hours=1)
    assert not [f for f in forms(website.http.get(path(website))) if ("do", "undo") in f.buttons]


def test_what_was_discarded_and_deleted_is_not_brought_back(website: Website, three: list[str]) -> None:
    for form in group_forms(website.http.get(path(website))):
        press(website, form, "discard")
    with website.office.db.transaction() as session:
        for row in session.exec(select(Submission).where(Submission.batch == "run")):
            row.state = SubmissionState.NOTICED
    website.clock.turn(days=31)
    retention.step(website.office)
    page = website.http.get(path(website))
    assert ("do", "undo") not in [button for form in forms(page) for button in form.buttons]
    assert batches.undo(website.office, website.alice.reporter.id, "run", "test").complaints == 0
    answer = website.api("POST", f"/complaints/{three[0]}/undo")
    assert answer.status_code == 409
    assert "was deleted" in answer.text
    assert "Bring it back" not in website.http.get(website.review(three[0])).text
    assert states(website, *three) == ["discarded"] * 3


def test_one_that_refuses_leaves_the_others(website: Website, three: list[str]) -> None:
    [group] = [group for group in groups(website) if group["key"] == CLOUD]

    with website.office.db.transaction() as session:
        row = session.exec(
            select(Report).where(Report.complaint_id == three[1], Report.to == NETWORK_DESK)
        ).one()
        row.contact = row.contact | {"parts": [{"role": "sender-declared", "target": "x"}]}
    decision = {"key": CLOUD, "shown": group["shown"], "confirm": True, "redaction": "strict"}
    done = website.api("POST", "/review", params={"batch": "run"}, json=decision).json()
    assert (done["complaints"], done["reports"]) == (1, 1)
    [left] = done["left"]
    assert left["complaint"] == three[1]
    assert "sender's own mailbox" in left["reason"]
    assert states(website, *three[:2]) == ["confirmed", "awaiting_consent"]


def test_what_is_only_counted_needs_no_desk_and_is_not_said_to_leave(
    website: Website, three: list[str]
) -> None:
    first, _ = group_forms(website.http.get(path(website)))
    answer = press(website, first, "confirm", read="yes", to=[], redaction="statistics")
    assert answer.status_code == 303, html.unescape(answer.text)
    [group] = groups(website)
    decision = {"key": group["key"], "shown": group["shown"], "confirm": True, "redaction": "statistics"}
    done = website.api("POST", "/review", params={"batch": "run"}, json=decision).json()
    assert (done["complaints"], done["reports"], done["left"]) == (1, 0, [])
    assert states(website, *three) == ["closed"] * 3
    assert not any(consents(website).values())


@contextlib.contextmanager
def statements(website: Website) -> Iterator[list[tuple[str, Any]]]:
    """What the database is asked meanwhile: statements and their values."""
    asked: list[tuple[str, Any]] = []
    engine = website.office.db.engine

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", hear)
    yield asked
    event.remove(engine, "before_cursor_execute", hear)


def test_taking_a_large_batch_back_reads_no_evidence_of_all_of_it_at_once(
    website: Website, three: list[str]
) -> None:
    for form in group_forms(website.http.get(path(website))):
        press(website, form, "discard")
    with statements(website) as asked:
        done = batches.undo(website.office, website.alice.reporter.id, "run", "test")
    assert done.complaints == 3
    whole = [one.replace("\n", " ") for one, _ in asked if "complaint.evidence," in one]
    assert all("WHERE complaint.id = ?" in one for one in whole), whole


def test_groups_are_found_without_going_through_the_drafts_of_others(website: Website) -> None:
    engine = website.office.db.engine
    with statements(website) as asked, website.office.db.reading() as session:
        for by in BY:
            review_groups.headings(session, website.office, "nobody", "", by)
            review_groups.desks(session, "nobody", "", by, ["key"])
    queries = [one for one in asked if "FROM complaint" in one[0]]
    assert len(queries) == 5
    for query, values in queries:
        with engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
        assert "complaint_of_reporter_by_state" in plan[0][3], plan
        assert " report " not in plan[0][3], plan


def test_a_page_that_is_opened_too_soon_says_so(website: Website) -> None:
    website.hand_in(spam(subject="Offer 1"), batch="run")
    early = " ".join(website.http.get(path(website)).text.split())
    assert "Nothing here waits for you yet. 1 spam is still being read or looked up: load this page" in early


def test_the_link_is_the_reporters_alone_and_ends_with_new_secrets(
    website: Website, three: list[str]
) -> None:
    own = path(website)
    bobs = urlsplit(website.office.batch_url(website.bob.reporter, "run")).path
    assert "Nothing here waits for you" in website.http.get(bobs).text
    subject, _, rest = own.removeprefix("/batch/").partition(".")
    for forged in (
        f"{subject}x.{rest}",
        f"{subject.partition('-')[0]}.{rest}",
        "-.1.x",
        f"{subject}.{rest}x",
    ):
        assert website.http.get(f"/batch/{forged}").status_code == 404
    with website.office.db.transaction() as session:
        website.alice.reporter.token_hash = "renewed"
        session.merge(website.alice.reporter)
    assert website.http.get(own).status_code == 404


def test_a_large_group_is_decided_in_parts(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_groups, "MOST_IN_PART", 2)
    monkeypatch.setattr(batches, "PER_TRANSACTION", 1)
    for number in range(3):
        website.waiting(spam(subject=f"Offer {number}"), batch="run")
    [group] = groups(website)
    assert (len(group["complaints"]), group["beyond"]) == (2, 1)
    page = website.http.get(path(website)).text
    assert all(f"/review/{one['id']}." in page for one in group["complaints"]), "each can be looked at"
    decision = Decision("source", group["key"], group["shown"], confirm=False)
    done = batches.decide(website.office, website.alice.reporter.id, "run", decision, "test")
    assert done.complaints == 2
    assert [len(one["complaints"]) for one in groups(website)] == [1]
    with website.office.db.reading() as session:
        assert not session.exec(select(Report).where(col(Report.state) != ReportState.DRAFT)).all()
        kept = session.exec(select(Complaint.state)).all()
    assert sorted(kept) == [ComplaintState.AWAITING_CONSENT, *[ComplaintState.DISCARDED] * 2]


def test_of_a_group_over_several_pages_only_what_a_page_listed_is_confirmed(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_groups, "MOST_IN_PART", 2)
    monkeypatch.setattr(batches, "LISTED_AT_ONCE", 2)
    with running_website(tmp_path, database_url=database_url) as website:
        five = sorted(website.waiting(spam(subject=f"Offer {number}"), batch="run") for number in range(5))
        [closed] = group_forms(website.http.get(path(website)))
        assert closed.buttons == [("do", "discard")], "it cannot be confirmed before it was listed"
        forged = closed.data() | {"do": "confirm", "read": "yes", "to": NETWORK_DESK}
        assert website.http.post(path(website), data=forged).status_code == 409
        [opened] = re.findall(r'class="button" href="([^"]+)"', website.http.get(path(website)).text)
        first = website.http.get(path(website) + html.unescape(opened))
        [onward] = re.findall(r'href="([^"]+)" rel="next"', first.text)
        second = website.http.get(path(website) + html.unescape(onward))
        assert "number 3 to 4 of 5" in " ".join(second.text.split())
        assert [one for one in five if f"/review/{one}." in second.text] == five[2:4]
        [form] = group_forms(second)
        answer = website.http.post(
            path(website) + html.unescape(onward), data=form.data("confirm", read="yes")
        )
        assert answer.status_code == 303
        assert answer.headers["location"] == path(website) + html.unescape(onward)
        assert sorted(consents(website)) == five[2:4]
        again = press(website, form, "confirm", read="yes")
        assert again.status_code == 409, "the same form, from the history of the browser"
        assert press(website, closed, "discard").status_code == 409
        assert states(website, *five) == ["awaiting_consent"] * 2 + ["confirmed"] * 2 + ["awaiting_consent"]
        [closed] = group_forms(website.http.get(path(website)))
        assert press(website, closed, "discard").status_code == 303, (
            "a group is dropped at once, however large"
        )
        assert states(website, *five) == ["discarded"] * 2 + ["confirmed"] * 2 + ["discarded"]
        assert [website.http.get(path(website), params={"by": by}).status_code for by in BY] == [200] * 3


def test_the_groups_are_paged_and_a_decision_leads_back_to_its_page(
    website: Website, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_GROUPS", 1)
    assert "Page 1 of 2" in website.http.get(path(website)).text
    second = website.http.get(path(website), params={"page": 2})
    [form] = group_forms(second)
    assert ("key", ELSEWHERE) in form.fields
    answer = website.http.post(path(website) + "?by=source&page=2", data=form.data("confirm", read="yes"))
    assert answer.headers["location"].endswith("?by=source&page=2")
    assert sorted(consents(website)) == three[2:]
    beyond = website.http.get(answer.headers["location"])
    assert [("key", CLOUD) in one.fields for one in group_forms(beyond)] == [True], "the last page there is"
    assert website.http.get(path(website), params={"page": 0}).status_code == 422


def in_a_terminal(website: Website, typed: str) -> tuple[int, str]:
    """`plaint review` on a terminal: its exit code, and what was on the screen."""
    own, theirs = pty.openpty()
    settings = {"PLAINT_SERVER": str(website.http.base_url), "PLAINT_TOKEN": website.alice.token}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "review", "--batch", "run"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | settings,
    )  # fmt: skip
    os.close(theirs)
    os.write(own, typed.encode())
    screen = b""
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while part := os.read(own, 65536):
            screen += part
    os.close(own)
    return process.wait(10), screen.decode()


def test_groups_are_decided_on_in_the_terminal(
    website: Website, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_groups, "MOST_IN_PART", 1)
    code, screen = in_a_terminal(website, "c\nyes\nc\nyes\nd\n")
    assert code == 0, screen
    assert states(website, *three) == ["confirmed", "confirmed", "discarded"]
    assert screen.count("1 complaint decided, 1 report will leave; plaint undo") == 2, "part by part"
    assert "1 complaint decided, 0 reports" in screen


def test_in_the_terminal_nothing_is_confirmed_without_the_word(website: Website, three: list[str]) -> None:
    code, screen = in_a_terminal(website, f"c\ny\no\n{three[0]}\nt\n1\nc\nt\n1\nc\nyes\nq\n")
    assert code == 0, screen
    assert "Not confirmed; nothing was sent." in screen
    assert "No desk is left." in screen
    assert states(website, *three) == ["awaiting_consent", "confirmed", "awaiting_consent"]


def test_hostile_subjects_are_text_on_the_page(website: Website) -> None:
    website.waiting(spam(subject="<script>alert(1)</script>"), batch="run")
    page = website.http.get(path(website), params={"by": "campaign"})
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
