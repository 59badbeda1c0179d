"""A report is written when somebody looks at it, once; what nobody looked at can be neither consented to nor sent."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import ZipFile

import pytest
from sqlmodel import col, select

from complaints import batches, client, consent, draft, export, report, retention, tokens
from complaints.batches import Decision
from complaints.client import Local
from complaints.consent import Choice, StaleError
from complaints.forward import HoldError, sendable_bytes
from complaints.models import Complaint, Report
from tests.visitor import confirm
from tests.website import NETWORK_DESK, Website, forms, running_website, spam


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def stored(website: Website, complaint: str) -> list[Report]:
    with website.office.db.reading() as session:
        rows = select(Report).where(Report.complaint_id == complaint)
        return list(session.exec(rows.order_by(col(Report.id))))


def is_written(website: Website, complaint: str) -> list[bool]:
    rows = stored(website, complaint)
    assert [bool(row.raw) for row in rows] == [bool(row.digest) for row in rows]
    return [bool(row.digest) for row in rows]


def unredactable() -> bytes:
    """A spam of messages in messages, more than redaction goes down into."""
    inner = b"To: alice@victim.example\r\n\r\n"
    for depth in range(12):
        mark = b"b%d" % depth
        inner = (
            b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\nContent-Type: message/rfc822\r\n\r\n%b'
            b"\r\n--%b--\r\n" % (mark, mark, inner, mark)
        )
    head = spam(subject="Nested").partition(b"Content-Type")[0]
    return head + b"MIME-Version: 1.0\r\n" + inner


DOORS: dict[str, Callable[[Website, str], object]] = {
    "the page": lambda website, complaint: website.http.get(website.review(complaint)),
    "the API": lambda website, complaint: website.show(complaint),
    "a report by the API": lambda website, complaint: website.api(
        "GET", f"/complaints/{complaint}/reports/{complaint}-01"
    ),
    "what was hidden, by the API": lambda website, complaint: website.api(
        "GET", f"/complaints/{complaint}/reports/{complaint}-01/redaction"
    ),
    "a report by its page": lambda website, complaint: website.http.get(
        website.review(complaint) + f"/reports/{complaint}-01"
    ),
    "the command line": lambda website, complaint: local(website, lambda work: work.show(complaint)),
    "a report by the command line": lambda website, complaint: local(
        website, lambda work: work.report(complaint, f"{complaint}-01")
    ),
}


def local(website: Website, do: Callable[[client.Client], object]) -> None:
    with Local(website.office.settings, website.alice.reporter.address) as work:
        do(work)


@pytest.mark.parametrize("door", DOORS)
def test_a_report_is_written_at_every_door_that_shows_it_and_only_once(website: Website, door: str) -> None:
    complaint = website.waiting()
    assert is_written(website, complaint) == [False, False]
    DOORS[door](website, complaint)
    assert is_written(website, complaint) == [True, True]
    before = [(row.raw, row.digest, row.message_id) for row in stored(website, complaint)]
    DOORS[door](website, complaint)
    assert [(row.raw, row.digest, row.message_id) for row in stored(website, complaint)] == before


def test_of_two_who_look_at_once_both_see_the_same_bytes(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaint, write = website.waiting(), report.write

    def second_while_first(*given: object) -> None:
        monkeypatch.setattr(report, "write", write)
        draft.written(website.office, complaint)
        write(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(report, "write", second_while_first)
    draft.written(website.office, complaint)
    first = [row.digest for row in stored(website, complaint)]
    assert all(first)
    draft.written(website.office, complaint)
    assert [row.digest for row in stored(website, complaint)] == first
    [shown, _] = website.show(complaint)["reports"]
    raw = website.api("GET", f"/complaints/{complaint}/reports/{shown['id']}").content
    assert shown["digest"] == tokens.digest(raw)


def test_what_was_rendered_before_a_change_is_not_kept(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaint, write = website.waiting(), report.write

    def discarded_meanwhile(*given: object) -> None:
        with website.office.db.transaction() as session:
            consent.discard(session, session.get_one(Complaint, complaint))
        write(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(report, "write", discarded_meanwhile)
    draft.written(website.office, complaint)
    assert is_written(website, complaint) == [False, False]
    page = website.http.get(website.review(complaint))
    assert "It was not written" in page.text
    answer = website.http.get(website.review(complaint) + f"/reports/{complaint}-01")
    assert answer.status_code == 410
    assert "was not written" in answer.text


@pytest.mark.parametrize("digest", ["", None, "sha256:guessed"])
def test_nobody_consents_to_what_was_not_written(website: Website, digest: str | None) -> None:
    complaint = website.waiting()
    [row, *_] = stored(website, complaint)
    choice = Choice({row.id: digest})
    with website.office.db.transaction() as session:
        unseen = session.get_one(Complaint, complaint)
        with pytest.raises(StaleError) as refused:
            consent.confirm(session, website.office, unseen, choice, via="test")
    assert "not written yet" in str(refused.value.changes)
    with website.office.db.reading() as session, pytest.raises(HoldError, match="never written"):
        sendable_bytes(session, website.office, session.get_one(Report, row.id))


def test_read_anew_it_is_written_anew_when_looked_at(website: Website) -> None:
    complaint = website.waiting()
    old = website.show(complaint)["reports"]
    website.api("POST", f"/complaints/{complaint}/refresh")
    website.analyse(complaint)
    assert is_written(website, complaint) == [False, False]
    shown = {"reports": {old[0]["id"]: old[0]["digest"]}}
    assert website.api("POST", f"/complaints/{complaint}/confirm", json=shown).status_code == 409
    assert is_written(website, complaint) == [True, True]


def test_what_cannot_be_told_is_refused_with_the_reason_when_it_is_looked_at(website: Website) -> None:
    complaint = website.waiting(unredactable())
    assert website.show(complaint)["state"] == "refused"
    document = website.show(complaint)
    assert "deep in each other" in document["reason"]
    assert {one["address"] for one in document["rejected"]} >= {NETWORK_DESK}
    assert document["reports"] == []
    assert website.http.get(website.review(complaint)).status_code == 200


def test_a_group_is_written_as_far_as_its_decision_goes_when_it_is_opened(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "WRITTEN_AT_ONCE", 1)
    two = [website.waiting(spam(subject=f"Offer {n}"), batch="run") for n in range(2)]
    path = urlsplit(website.office.batch_url(website.alice.reporter, "run")).path
    [form] = [one for one in forms(website.http.get(path)) if any(name == "shown" for name, _ in one.fields)]
    assert [is_written(website, one) for one in two] == [[False, False]] * 2
    assert form.buttons == [("do", "discard")], "nobody has seen what would be confirmed"
    unseen = dict(form.fields)
    [group] = website.api("GET", "/review", params={"batch": "run"}).json()["groups"]
    for shown, why in ((unseen["shown"], "look at it again"), (group["shown"], "not written yet")):
        decision = Decision("source", unseen["key"], shown, confirm=True)
        with pytest.raises(StaleError, match=why):
            batches.decide(website.office, website.alice.reporter.id, "run", decision, "test")
    opened = website.http.get(path, params={"by": "source", "key": unseen["key"]})
    assert [is_written(website, one) for one in two] == [[True, False]] * 2, "only what is proposed"
    [form] = [one for one in forms(opened) if any(name == "shown" for name, _ in one.fields)]
    website.look(two[0])  # on its own page, from the list; that changes nothing of what the group sends
    assert website.http.post(path, data=form.data("confirm", read="yes")).status_code == 303
    assert [website.show(one)["state"] for one in two] == ["confirmed"] * 2


def test_a_group_is_discarded_without_a_look(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "WRITTEN_AT_ONCE", 0)
    complaint = website.waiting(batch="run")
    path = urlsplit(website.office.batch_url(website.alice.reporter, "run")).path
    [form] = [one for one in forms(website.http.get(path)) if any(name == "shown" for name, _ in one.fields)]
    assert website.http.post(path, data=form.data("discard")).status_code == 303
    assert is_written(website, complaint) == [False, False]


def test_what_nobody_looked_at_is_in_no_copy_of_ones_data_and_goes_with_its_time(website: Website) -> None:
    complaint, seen = website.waiting(), website.waiting(spam(subject="Seen"))
    confirm(website, seen)
    names = ZipFile(BytesIO(b"".join(export.stream(website.office, website.alice.reporter)))).namelist()
    assert f"complaints/{complaint}.eml" in names
    assert f"complaints/{complaint}-01.eml" not in names
    assert f"complaints/{seen}-01.eml" in names
    website.api("POST", f"/complaints/{complaint}/discard")
    website.clock.turn(days=31)
    retention.step(website.office)
    assert all(one.contact["why"] == retention.DELETED for one in stored(website, complaint))
