"""How a reporter chooses to appear: by page, API and command line; what is shown of it; whom a desk means."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from complaints import hiding, reporters
from complaints.models import Complaint, Json, Reporter, ReportState
from complaints.redact.pseudonyms import PSEUDONYM, generation, pseudonym, resolve
from tests.house import ALICE, BOB
from tests.test_cli import plaint
from tests.visitor import confirm, press, reports, review, shown_texts
from tests.website import LINK_DESK, NETWORK_DESK, Website, running_website, spam

BODY = "Your number: 4711-A. Dear Maria,\r\nhttps://pills.example/t/x7Gk29sLqP?c=1\r\n"


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def drafted(website: Website, desk: str = NETWORK_DESK) -> str:
    report = reports(website)[desk]
    with website.office.db.reading() as session:
        complaint = session.get_one(Complaint, report.complaint_id)
        reporter = session.get_one(Reporter, complaint.reporter_id)
        return website.office.vault.unseal(reporter.key, report.raw).decode()


def difference(website: Website, complaint: str, desk: str = NETWORK_DESK) -> Json:
    found: Json = website.api(
        "GET", f"/complaints/{complaint}/reports/{reports(website)[desk].id}/redaction"
    ).json()
    return found


def test_statistics_only_sends_nothing_and_ends_the_complaint(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint, redaction="statistics", report=[])
    shown = website.show(complaint)
    assert (shown["state"], shown["redaction"]) == ("closed", "statistics")
    assert "nothing was sent" in shown["reason"]
    assert {report.state for report in reports(website).values()} == {ReportState.DRAFT}


def test_statistics_only_needs_no_desk_but_the_tick(website: Website) -> None:
    complaint = website.waiting()
    answer = press(website, complaint, "confirm", redaction="statistics", report=[])
    assert answer.status_code == 422
    assert website.show(complaint)["state"] == "awaiting_consent"


def test_strictly_redacted_reports_hold_no_code_no_second_and_no_id(website: Website) -> None:
    complaint = website.waiting(spam(body=BODY))
    assert "x7Gk29sLqP" in drafted(website)
    press(website, complaint, "preview", redaction="strict")
    written = drafted(website)
    for hidden in ("x7Gk29sLqP", "4F2A81C0", "20261102.1@pills", "?c=1"):
        assert hidden not in written, hidden
    for kept in ("by mx.victim.example", "pills.example/t/", "Cheap pills", "seller.example"):
        assert kept in written, kept


def test_words_of_the_reporter_are_hidden_too_but_never_in_received_lines(website: Website) -> None:
    complaint = website.waiting(spam(body=BODY, helo="relay4711-a.seller.example"))
    press(website, complaint, "preview", hide="4711-A\r\n\r\n  Maria ")
    written = drafted(website)
    assert "Your number: redacted-" in written
    assert "Dear redacted-" in written
    assert "from relay4711-a.seller.example" in written
    assert website.show(complaint)["state"] == "awaiting_consent"
    page = review(website, complaint)
    assert ">\n4711-A\nMaria</textarea>" in page.text


def test_too_many_words_are_refused(website: Website) -> None:
    complaint = website.waiting()
    assert press(website, complaint, "preview", hide="\n".join(map(str, range(30)))).status_code == 422


def test_the_page_and_the_api_show_what_was_done_and_what_was_left(website: Website) -> None:
    complaint = website.waiting(spam(body=BODY))
    found = difference(website, complaint)
    edits = found["edits"]
    assert isinstance(edits, list)
    local = ALICE.partition("@")[0]
    assert {"rule": "address", "where": "header Delivered-To", "line": 2}.items() <= edits[0].items()
    assert (edits[0]["old"], bool(PSEUDONYM.fullmatch(edits[0]["new"]))) == (local, True)
    assert found["count"] == sum(edit["count"] for edit in edits)
    left = [(one["what"], one["text"]) for one in found["kept"]]
    assert ("name", "Maria") in left
    assert ("link", "x7Gk29sLqP") in left
    page = review(website, complaint)
    assert f'<code class="wrap">{local}</code></del>' in page.text
    assert "What redaction does not hide" in page.text
    assert edits[0]["new"] in "".join(shown_texts(page)), "the page shows the very bytes"


def test_with_my_address_nothing_is_hidden_and_said_to_be(website: Website) -> None:
    complaint = website.waiting()
    press(website, complaint, "preview", redaction="none")
    found = difference(website, complaint)
    assert (found["count"], found["level"]) == (0, "none")
    assert ALICE in drafted(website)


def test_a_desk_knows_a_reporter_again_and_two_desks_cannot_join_what_they_know(website: Website) -> None:
    website.waiting(spam(subject="One"))
    first = PSEUDONYM.search(drafted(website))
    other = PSEUDONYM.search(drafted(website, LINK_DESK))
    website.waiting(spam(subject="Two"))
    again = PSEUDONYM.search(drafted(website))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first[0] == again[0] != other[0]


def test_only_the_reporter_learns_whom_a_desk_means(website: Website) -> None:
    website.waiting()
    quoted = PSEUDONYM.search(drafted(website))
    assert quoted is not None
    [item] = website.api("GET", f"/pseudonyms/your%20user%20{quoted[0].upper()}").json()["items"]
    assert (item["private"], item["to"]) == (ALICE.partition("@")[0], NETWORK_DESK)
    assert website.api("GET", "/pseudonyms/redacted-aaaaaaaaaaaaa").status_code == 404
    with website.office.db.reading() as session:
        bob = reporters.find(session, BOB)
        assert bob is not None
        assert hiding.whose(session, website.office, bob, quoted[0]) == []


def test_pseudonyms_change_with_the_year_and_are_resolved_with_its_key() -> None:
    assert generation(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) != generation(
        datetime(2027, 1, 1, tzinfo=UTC)
    )
    key, later = b"key of the one year", b"key of the next year"
    quoted = pseudonym(key, "alice").decode()
    assert quoted != pseudonym(later, "alice").decode()
    assert resolve(f"see {quoted}@victim.example", key, ["bob", "alice"]) == "alice"
    assert resolve(quoted, later, ["bob", "alice"]) is None
    assert resolve("alice", key, ["alice"]) is None


@pytest.fixture
def spam_file(tmp_path: Path) -> Path:
    file = tmp_path / "spam.eml"
    file.write_bytes(
        b"Received: from a.example (a.example [192.0.2.7]) by mx.victim.example with SMTP id x1y2z3;"
        b" Mon, 23 Nov 2026 10:00:03 +0000\r\nTo: alice@victim.example\r\nSubject: x\r\n\r\nhttps://a.example/?u=99\r\n"
    )
    return file


def test_plaint_redact_writes_the_message_and_explains_on_the_side(spam_file: Path, tmp_path: Path) -> None:
    words = ["redact", str(spam_file), "--reporter", "alice@victim.example", "--data", str(tmp_path / "data")]
    plain = plaint(*words, "--explain")
    assert plain.code == 0
    assert re.search(rb"To: redacted-[a-z2-7]{13}@victim\.example\r\n", plain.out)
    assert b"?u=99" in plain.out
    assert "1 redactions: 1x address" in plain.err
    assert plaint(*words).out == plain.out, "same input, same output"
    strict = plaint(*words, "--level", "strict")
    assert b"?u=redacted-" in strict.out
    assert b"10:00:00 +0000" in strict.out
    document = json.loads(plaint(*words, "--json").out)
    assert (document["file"], document["count"]) == (str(spam_file), 1)


def test_plaint_redact_refuses_what_it_cannot_do(spam_file: Path, tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    bad = plaint("redact", str(spam_file), "--reporter", "no address", *data)
    assert (bad.code, bad.out) == (65, b"")
    assert plaint("redact", str(spam_file), "--reporter", "a@b.example", "--level", "all", *data).code == 2
    assert plaint("redact", str(spam_file), str(spam_file), "--reporter", "a@b.example", *data).code == 2
    out = tmp_path / "out"
    done = plaint("redact", str(spam_file), "--reporter", "alice@victim.example", "--out", str(out), *data)
    assert (done.code, done.out) == (0, b"")
    assert b"redacted-" in (out / "spam.eml").read_bytes()


def test_of_a_large_spam_the_beginning_is_compared_and_all_of_it_counted(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of ten megabytes is there at once: nothing of it is redacted anew beyond the first 64 KiB."""
    monkeypatch.setattr(hiding, "MOST_CHANGES", 5)
    many = f"Hello {ALICE}\r\n" * 2500
    complaint = website.waiting(spam(body=many))
    page = review(website, complaint)
    [row, _] = sorted(reports(website).values(), key=lambda row: row.id)
    with website.office.db.reading() as session:
        found, alice = session.get_one(Complaint, complaint), website.alice.reporter
        raw = website.office.spam_of(session, found)
        told = hiding.difference(website.office, alice, found, row, raw)
    assert told is not None
    assert 60_000 < told["compared"] <= 65_536
    assert told["count"] == sum(change["count"] for change in row.changes) > 2500
    assert len(row.changes) < 20
    assert told["more"] + sum(edit["count"] for edit in told["edits"]) == told["count"]
    assert f"was left in the first {told['compared']} bytes" in page.text
    assert f"{told['count']} redactions" in page.text


def test_of_a_large_spam_every_redaction_is_told_with_its_words(website: Website) -> None:
    filler = f"{'w' * 76}\r\n" * 1500
    raw = spam(body=f"{filler}Dear Alice Liddell,\r\n{filler}to: {ALICE}\r\n")
    complaint = website.waiting(raw)
    page = review(website, complaint)
    told = difference(website, complaint)
    assert told["more"] == 0
    assert sum(edit["count"] for edit in told["edits"]) == told["count"]
    last = {edit["old"]: edit for edit in told["edits"][-3:]}
    assert set(last) == {"Alice", "Liddell", "alice"}
    lines = raw.decode().split("\r\n")
    assert "Dear Alice Liddell" in lines[last["Liddell"]["line"] - 1]
    assert f"to: {ALICE}" == lines[last["alice"]["line"] - 1]
    assert all(edit["new"].startswith("redacted-") for edit in last.values())
    assert f"line {last['alice']['line']}" in page.text


def test_of_a_dense_spam_no_more_is_redacted_anew_than_is_told(website: Website) -> None:
    complaint = website.waiting(spam(body=f"Hello {ALICE}\r\n" * 1200))
    review(website, complaint)
    told = difference(website, complaint)
    assert len(told["edits"]) >= 200
    assert told["compared"] < 10_000
    assert told["more"] + sum(edit["count"] for edit in told["edits"]) == told["count"] > 1200
    assert [edit["line"] for edit in told["edits"]] == sorted(edit["line"] for edit in told["edits"])
