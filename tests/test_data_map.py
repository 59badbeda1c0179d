"""The data map tells of every column and file that can hold personal data; and what it says goes, goes in time."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from complaints import outbox, policy, retention
from complaints.account_tables import Registration
from complaints.db import metadata
from complaints.models import (
    Attempt,
    Complaint,
    Letter,
    LetterState,
    Reply,
    Report,
    ReportState,
    Submission,
    SubmissionState,
)
from complaints.serve import serve
from complaints.settings import SettingsError, load
from complaints.web.pages.home import processors
from tests.house import unguarded
from tests.visitor import asked, confirm
from tests.website import Website, running_website, spam

# Columns that hold nothing of a person. A new column must be declared in the data map, or listed here.
IMPERSONAL = {
    "announced_at", "asked_at", "at", "attempts", "certain_hops", "code_hash", "complaint_id", "consent_id",
    "created_at", "digest", "drafted_at", "due_at", "effective_at", "ended_at", "entered_at", "erased_at",
    "expires_at", "failed", "first_at", "forbidden_until", "forwarded", "given_at", "grade", "id", "key_hash",
    "letter_id", "lifted_at", "lookups", "mail_id", "message_id", "moved_at", "next_at", "number", "pasted",
    "policy_at", "previous", "received_at", "redaction", "reminded_at", "report_id", "reporter_id",
    "retires_at", "returned_at", "second_hash", "sent_at", "size", "slice_end", "slice_start", "state",
    "submission_id", "ticked", "tls", "token_hash", "tries", "turn_at", "used_at", "verified_at", "version",
    "via", "way_in_grade",
}  # fmt: skip
"""In whatever table: ids, states, times, digests, counts."""
IMPERSONAL_HERE = {
    "answered_request.fingerprint", "attempt.code", "attempt.outcome", "attempt.worker", "complaint.delivery",
    "consent.policy", "consent_entry.kind", "disclosure.authority", "disclosure.law", "letter.kind",
    "lookup_server.name", "lookup_server.page", "probe.returned", "reply.kind", "reporter.policy", "reporter.promised",
    "standing_consent.policy", "step_up.purpose", "unfinished_erasure.left",
}  # fmt: skip
"""A column of this name could hold anything; these do not."""


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as made:
        yield made


def test_every_column_is_in_the_data_map_or_holds_nothing_of_a_person() -> None:
    declared = {(row["name"], column) for row in retention.data_map()["table"] for column in row["columns"]}
    there = {(table.name, column.name) for table in metadata().sorted_tables for column in table.columns}
    assert declared - there == set(), "the map tells of columns that are not there"
    personal = {
        (table, column)
        for table, column in there
        if column not in IMPERSONAL and f"{table}.{column}" not in IMPERSONAL_HERE
    }
    assert personal - declared == set(), "columns that nobody declared: what of a person do they hold?"


def test_every_row_of_the_map_says_what_for_and_how_long() -> None:
    kept = retention.rules(policy.terms(policy.POLICY).kept)
    for row in [*retention.data_map()["table"], *retention.data_map()["file"]]:
        assert row["purpose"], row
        assert row["kept"] in kept, row
        assert set(row.get("sealed", [])) <= set(row.get("columns", {})), row


def test_what_is_declared_sealed_is_never_stored_in_clear(website: Website) -> None:
    complaint = website.waiting(spam(body="A sentence nobody else would write.\r\n"))
    confirm(website, complaint)
    sealed = [
        (row["name"], column) for row in retention.data_map()["table"] for column in row.get("sealed", [])
    ]
    with website.office.db.engine.connect() as connection:
        for table, column in sealed:
            for (value,) in connection.exec_driver_sql(f'SELECT "{column}" FROM "{table}"'):
                assert value is None or b"nobody else" not in value, (table, column)


def test_every_file_of_a_data_directory_is_in_the_map(website: Website) -> None:
    website.waiting()
    known = {row["name"].rstrip("/") for row in retention.data_map()["file"]}
    there = {path.name.partition("-")[0] for path in website.office.settings.data.iterdir()}
    assert there - known - {"plaint.sqlite"} == set()


def test_a_spam_goes_a_month_after_it_was_handed_in_once_its_complaint_ended(website: Website) -> None:
    kept, gone = website.waiting(), website.waiting(spam(subject="Another"), batch="another-mailbox")
    repaired = [{"kind": "wrapped", "said": "Another"}]
    with website.office.db.transaction() as session:
        row = session.get_one(Complaint, gone)
        row.note, row.hide, row.repairs = "Another word", ["Another name"], repaired
        session.add(row)
    website.http.post(website.review(gone), data={"do": "discard"})
    noticed(website)
    website.clock.turn(days=29)
    let_go(website)
    assert b"Subject: Another" in website.http.get(website.review(gone) + "/raw").content
    website.clock.turn(days=2)
    let_go(website)
    assert website.http.get(website.review(gone) + "/raw").status_code == 410
    page = website.http.get(website.review(gone))
    assert page.status_code == 200
    assert retention.DELETED in page.text
    assert "Another" not in page.text
    assert website.api("GET", f"/complaints/{gone}").json()["evidence"] is None
    assert b"Subject:" in website.http.get(website.review(kept) + "/raw").content  # it still awaits consent
    assert website.api("GET", f"/complaints/{kept}").json()["evidence"]
    assert "another" not in website.dump().lower()
    with website.office.db.reading() as session:
        bare = session.get_one(Complaint, gone)
    [row] = [row for row in retention.data_map()["table"] if row["name"] == "complaint"]
    assert [column for column in row["columns"] if getattr(bare, column)] == ["reason"]
    assert bare.reason == retention.DELETED


def test_what_was_sent_goes_after_three_months_and_that_it_was_sent_stays(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    noticed(website)
    with website.office.db.transaction() as session:
        unguarded(session)
        report = session.get_one(Report, f"{complaint}-01")
        report.state, report.sent_at = ReportState.SENT, website.clock()
        session.get_one(Complaint, complaint).state = "closed"  # type: ignore[assignment]
        reply = Reply(id="r", report_id=report.id, at=website.clock(), kind="answer", text="Thanks, Alice", digest="d", raw=website.office.vault.seal(website.alice.reporter.key, b"x"))  # fmt: skip
        session.add_all(
            [reply, Attempt(id="a", mail_id=report.id, at=website.clock(), worker="w", text="250 Alice")]
        )
        digest = report.digest
    website.clock.turn(days=89)
    let_go(website)
    assert website.http.get(website.review(complaint) + f"/reports/{complaint}-01").status_code == 200
    website.clock.turn(days=2)
    let_go(website)
    assert website.http.get(website.review(complaint) + f"/reports/{complaint}-01").status_code == 410
    [report_now] = [one for one in website.show(complaint)["reports"] if one["state"] == "sent"]
    assert report_now["digest"] == digest
    assert report_now["replies"][0]["text"] == ""
    assert "Alice" not in str(report_now)


def test_a_letter_goes_two_weeks_after_it_was_sent(website: Website) -> None:
    website.waiting()
    noticed(website)
    with website.office.db.transaction() as session:
        outbox.put_letter(session, website.office, "link", to=website.alice.reporter.address, reporter=website.alice.reporter, values={"subject": "x", "url": "u", "until": website.clock()})  # fmt: skip
        session.flush()
        letter = session.exec(select(Letter)).first()
        assert letter is not None
        letter.state, letter.sent_at, letter.next_at = "sent", website.clock(), None  # type: ignore[assignment]
    website.clock.turn(days=13)
    let_go(website)
    assert count(website, Letter) == 1
    website.clock.turn(days=2)
    let_go(website)
    assert count(website, Letter) == 0


def test_an_unused_registration_goes_when_its_hour_is_over(website: Website) -> None:
    asked(website)
    with website.office.db.transaction() as session:
        for number, state in enumerate(("sent", "queued")):
            mail = b"From: somebody\r\n\r\nHello\r\n"
            passed_on = outbox.put_letter(session, website.office, "people", to="operator@example.net", reporter=None, values={"mailbox": "abuse", "mail_from": "", "subject": ""}, enclosed=mail)  # fmt: skip
            passed_on.state = LetterState(state)
            passed_on.id = f"people {number}"
    website.clock.turn(minutes=59)
    let_go(website)
    assert (count(website, Registration), count(website, Letter)) == (1, 3)
    website.clock.turn(minutes=2)
    let_go(website)
    assert count(website, Registration) == 0
    assert "carol" not in website.dump(), "we wrote that nothing of the address is left after an hour"
    with website.office.db.reading() as session:
        assert session.exec(select(Letter.state)).all() == ["queued"], "what was passed on is no longer ours"


def noticed(website: Website) -> None:
    """As if the notices of all submissions had been written."""
    with website.office.db.transaction() as session:
        for row in session.exec(select(Submission)):
            row.state = SubmissionState.NOTICED
            session.add(row)


def let_go(website: Website) -> None:
    while retention.step(website.office):
        pass


def count(website: Website, table: Any) -> int:
    with website.office.db.reading() as session:
        return len(session.exec(select(table)).all())


# ---- what the policy promises about them, on the page


def test_the_page_tells_what_is_kept_and_how_long_by_these_settings(tmp_path: Path) -> None:
    with running_website(tmp_path, retention_spam_seconds=3 * 86_400) as website:
        page = website.http.get("/privacy").text
        assert "3 days after it was handed in" in page
        for row in retention.data_map()["table"]:
            assert row["purpose"] in page.replace("&#39;", "'")


def test_the_page_names_whoever_else_sees_something_as_it_is_set_up(tmp_path: Path) -> None:
    given = {
        "relay": "smtp://relay.example:25",
        "dns": "192.0.2.53:53",
        "contact_zones": "zone.example",
        "contact": "operator@example.net",
        "hosted_in": "Frankfurt",
    }
    with running_website(tmp_path, **given) as website:
        page = website.http.get("/privacy").text
        for named in ("relay.example", "192.0.2.53", "zone.example", "operator@example.net", "Frankfurt"):
            assert named in page
    with running_website(tmp_path / "other", contact_zones="") as website:
        page = website.http.get("/privacy").text
        assert "A mail relay" not in page
        assert "Contact zones" not in page
        assert "A database server" not in page
        assert "does not say where" not in page
    elsewhere = load(data=tmp_path, database_url="postgresql://plaint:secret@db.example:5432/plaint")
    told = dict(processors(elsewhere))["A database server"]
    assert ("db.example" in told, "secret" in told) == (True, False)
    given = {"public_url": "https://plaint.example", "contact": "operator@example.net"}
    with running_website(tmp_path / "third", **given) as website:
        assert "does not say where" in website.http.get("/privacy").text


def test_the_key_of_receipts_is_on_the_page(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    receipt = website.http.get(website.review(complaint) + "/receipt").json()
    assert receipt["public_key"] in website.http.get("/privacy").text.replace("&#43;", "+")


def test_an_installation_for_people_does_not_start_without_a_contact(tmp_path: Path) -> None:
    given = {"data": tmp_path, "public_url": "https://plaint.example", "http": "127.0.0.1:0"}
    with pytest.raises(SettingsError, match="PLAINT_CONTACT"):
        asyncio.run(serve(load(**given), ("web",), lambda _: None))
    with pytest.raises(SettingsError, match="PLAINT_CONTACT"):  # a resolver on the same host is no way round
        load(**given, dns="127.0.0.1:53").check_for_people()
    load(**given, contact="operator@example.net").check_for_people()
    load(data=tmp_path).check_for_people()  # on one machine nobody needs one
    with pytest.raises(SettingsError, match="neither a mail address"):
        load(**given, contact="somebody")
