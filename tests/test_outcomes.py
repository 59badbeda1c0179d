"""Whatever becomes of a spam is told in one plain sentence, with what to do next, alike in letter, page and API."""

import asyncio
import base64
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import aiosmtplib
import pytest
from sqlmodel import col, select

from abuse_lookup.answer import Lookup
from complaints import choices, consent, notice, outcomes, submission
from complaints.demo import as_attachments
from complaints.message import parse
from complaints.models import Complaint, Json, Letter, Reporter, Submission, SubmissionState
from complaints.passed_on import PASSED_ON, REMEDY
from complaints.sameness import delivery_mark
from complaints.spam import Trust, read
from tests.house import ALICE, CLOUD, house
from tests.house import spam as fresh_spam
from tests.visitor import review
from tests.website import (
    LINK_DESK,
    NETWORK_DESK,
    NOON,
    Website,
    contact,
    running_website,
    source_answer,
    spam,
)

NO_RECEIVED = b"From: shop@pills.example\r\nTo: alice@victim.example\r\nSubject: Bare\r\n\r\nBuy.\r\n"
INSIDE = (
    b"Received: from desktop (desktop [10.0.0.7])\r\n"
    b"\tby mx.victim.example with ESMTP id 7; Mon, 2 Nov 2026 09:00:00 +0000\r\n"
    b"From: hr@victim.example\r\nSubject: Inside\r\n\r\nMeeting.\r\n"
)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def came(website: Website, spams: Sequence[bytes], raw: bytes = b"") -> Submission:
    """A mail of Alice's with these spams attached came in at the door; what is new in it was looked up."""
    with website.office.db.transaction() as session:
        mail = raw or as_attachments(list(spams), website.alice.submission_address)
        alice = website.alice.reporter
        row = submission.accept(session, website.office, alice, mail, via="smtp", forwarded=True)
        lines = submission.unwrap(
            session, website.office, row, submission.contents_of(website.office, alice, row)
        ).outcome
    for line in lines:
        if line["status"] == "accepted":
            website.analyse(line["complaint"])
    notice.step(website.office, row.id)
    return row


def letters(website: Website) -> list[tuple[str, str]]:
    """(subject, text) of each letter to Alice that tells of what she handed in."""
    with website.office.db.reading() as session:
        kinds = col(Letter.kind).in_(["notice", "refused", "reminder"])
        rows = session.exec(select(Letter).where(kinds).order_by(col(Letter.next_at))).all()
        assert {row.to for row in rows} <= {ALICE}
        mails = [parse(website.office.vault.unseal(website.alice.reporter.key, row.raw)) for row in rows]
    return [(mail.get("subject") or "", next(mail.leaves()).text()) for mail in mails]


def choose(website: Website, **said: bool) -> None:
    with website.office.db.transaction() as session:
        choices.choose(session, website.office, website.alice.reporter, said, via="test")


# ---- the acknowledgement


def test_one_letter_lists_every_item_of_a_mail_with_grade_and_reason_and_one_link(website: Website) -> None:
    known = came(website, [spam(subject="Before")]).outcome[0]["complaint"]
    website.clock.turn(days=1)
    row = came(website, [spam(), NO_RECEIVED, spam(subject="Before"), b"", spam(subject="Another")])
    subject, text = letters(website)[-1]
    assert len(letters(website)) == 2
    assert subject == "Please look: 2 complaints await your consent"
    assert "grade A (complete, as it came)" in text
    assert f"You handed in this spam on 2 November 2026 already: {known}, which waits for you." in text
    assert "spam 2, grade D" in text
    assert outcomes.NO_RECEIVED.says in text
    assert "spam 4, grade D" in text
    link = notice.review_link(website.office, website.alice.reporter, [row])
    assert text.count(link) == 1
    page = website.http.get(link)
    assert ("Cheap pills" in page.text, "Another" in page.text, "Before" in page.text) == (True, True, False)


def test_a_desk_that_is_only_offered_is_told_apart_from_where_the_report_would_go(website: Website) -> None:
    came(website, [spam()])
    text = letters(website)[0][1]
    assert re.findall(r"Would go to: (\S+)", text) == [NETWORK_DESK]
    assert re.findall(r"Gets nothing unless you tick it: (\S+)", text) == [LINK_DESK]


def test_each_mail_has_an_acknowledgement_of_its_own(website: Website) -> None:
    came(website, [spam()])
    came(website, [spam(subject="Another")])
    assert [subject for subject, _ in letters(website)] == [
        "Please look: 1 complaint awaits your consent"
    ] * 2


def test_a_mail_that_its_sender_delivers_twice_is_told_of_once(website: Website) -> None:
    mail = as_attachments([spam(), NO_RECEIVED], website.alice.submission_address)
    came(website, [], mail)
    website.clock.turn(hours=1)
    again = came(website, [], mail)
    assert [line["status"] for line in again.outcome] == ["duplicate", "refused"]
    assert len(letters(website)) == 1
    came(website, [spam(), NO_RECEIVED])
    assert letters(website)[-1][0] == "You handed this in before", "forwarded anew, it is answered anew"


def test_over_the_wire_a_mail_that_comes_twice_is_told_of_once_and_a_mistyped_address_is_explained(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            mail = as_attachments([fresh_spam(), b""], home.submission_address)
            for _ in range(2):
                await home.smtp(mail, home.submission_address, mail_from="someone@else.example")
            for _ in range(200):
                with home.office.db.reading() as session:
                    states = session.exec(select(Submission.state)).all()
                if states == [SubmissionState.NOTICED] * 2:
                    break
                await asyncio.sleep(0.05)
            [letter] = await home.internet.wait_for(1, to=ALICE)
            assert letter.rcpt_tos == (ALICE,)
            with home.office.db.reading() as session:
                assert [row.kind for row in session.exec(select(Letter))] == ["notice"]
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
                await home.smtp(mail, f"submit.{home.submission_address}")
            assert refused.value.recipients[0].code == 550
            assert "26 letters and digits" in refused.value.recipients[0].message

    asyncio.run(main())


def test_who_wants_few_letters_gets_one_only_when_something_needs_them(website: Website) -> None:
    choose(website, quiet=True)
    came(website, [spam()])
    website.clock.turn(days=3)
    came(website, [spam(), spam(subject="Somewhat old")])
    assert letters(website) == []
    came(website, [spam(subject="Another"), NO_RECEIVED])
    [(subject, text)] = letters(website)
    assert subject == "Please look: 1 complaint awaits your consent"
    assert "only when something needs you" in text


def test_what_a_quiet_reporter_was_not_told_of_is_told_once_before_it_expires(
    tmp_path: Path, database_url: str
) -> None:
    with running_website(tmp_path, database_url=database_url) as website:
        came(website, [spam(subject="Loud")])
        with website.office.db.transaction() as session:
            bob = session.get_one(Reporter, website.bob.reporter.id)
            choices.choose(session, website.office, bob, {"quiet": True}, via="test")
        choose(website, quiet=True)
        came(website, [spam(subject="One")])
        website.clock.turn(days=1)
        came(website, [spam(subject="Two")])
        website.clock.turn(days=3, hours=23)
        notice.remind(website.office)
        assert len(letters(website)) == 1
        website.clock.turn(hours=1)
        for _ in range(2):
            notice.remind(website.office)
        (_, _), (subject, text) = letters(website)
        assert subject == "2 complaints will expire unless you confirm"
        assert "One" in text
        assert "Until 09 November 2026, 12:00 UTC" in text
        website.clock.turn(days=1)
        notice.remind(website.office)
        assert letters(website)[-1][0] == "1 complaint will expire unless you confirm"


def test_a_letter_says_when_what_waits_expires_and_the_next_one_what_did(website: Website) -> None:
    """So that nobody gets a letter for each, and nobody believes a report left that did not."""
    came(website, [spam(subject="One"), spam(subject="Two")])
    [(_, first)] = letters(website)
    assert "expires, the first of it on\r\n09 November 2026, 12:00 UTC, and is never sent" in first
    website.clock.turn(days=7, hours=1)
    with website.office.db.reading() as session:
        over = session.exec(select(Complaint.id).where(Complaint.state == "awaiting_consent")).all()
    for complaint in over:
        consent.step(website.office, complaint)
    assert len(letters(website)) == 1, "no letter about it alone"
    came(website, [NO_RECEIVED])
    came(website, [spam(subject="Three")])
    _, (_, refused), (_, notice_of_three) = letters(website)
    assert "Expired since our last letter" in refused
    assert [subject for subject in ("One", "Two") if f" - {subject}\r\n" in refused] == ["One", "Two"]
    assert "Expired" not in notice_of_three
    assert "on\r\n16 November 2026, 13:00 UTC" in notice_of_three


def test_a_reminder_of_thousands_tells_of_some_and_counts_the_rest(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice, "MOST_TOLD", 1)
    choose(website, quiet=True)
    came(website, [spam(subject="One"), spam(subject="Two")])
    website.clock.turn(days=5, hours=1)
    for _ in range(2):
        notice.remind(website.office)
    [(subject, text)] = letters(website)
    assert subject == "2 complaints will expire unless you confirm"
    assert (text.count("/review/"), text.count("/batch/")) == (1, 1)
    assert "And 1 more" in text


def test_one_letter_a_day_waits_for_what_is_late(website: Website) -> None:
    choose(website, digests=True)
    late = website.hand_in(spam(subject="Late"))
    website.clock.turn(hours=1)
    came(website, [spam(subject="Quick")])
    website.clock.turn(days=1)
    with website.office.db.reading() as session:
        rows = session.exec(select(Submission).order_by(col(Submission.received_at))).all()
    for row in rows:
        notice.step(website.office, row.id)
    assert letters(website) == [], "the other would follow within the day"
    website.analyse(late)
    for row in rows:
        notice.step(website.office, row.id)
    assert [subject for subject, _ in letters(website)] == ["Please look: 2 complaints await your consent"]


# ---- known again


def in_other_forms(raw: bytes) -> Iterator[bytes]:
    """The same delivery, as other ways leave it."""
    yield raw.replace(b"\r\n", b"\n")
    yield raw.rstrip() + b"\r\n\r\n"
    header, _, body = raw.partition(b"\r\n\r\n")
    yield header + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(body)
    lines = header.replace(b"\r\n\t", b" ").split(b"\r\n")
    yield b"\r\n".join(lines[::-1]) + b"\r\n\r\n" + body


def test_the_same_delivery_in_another_form_is_known_again() -> None:
    mark = delivery_mark(parse(spam()))
    assert mark
    assert {delivery_mark(parse(form)) for form in in_other_forms(spam())} == {mark}
    others = [spam(subject="Other"), spam(body="More."), spam().replace(b"4F2A81C0", b"4F2A81C1")]
    assert mark not in {delivery_mark(parse(other)) for other in others}
    assert delivery_mark(parse(NO_RECEIVED)) is None


def test_the_same_spam_over_another_way_is_a_duplicate_and_a_better_copy_is_not(website: Website) -> None:
    inline = b"From: alice@victim.example\r\nUser-Agent: Mozilla Thunderbird\r\n\r\n-------- Forwarded Message --------\n"
    inline += spam().replace(b"\r\n\t", b" ").replace(b"\r\n", b"\n")
    [line] = came(website, [], inline).outcome
    assert (line["status"], line["grade"]) == ("accepted", "C")
    [better] = came(website, [spam()]).outcome
    assert (better["status"], better["grade"]) == ("accepted", "A")
    for again in (inline, spam().rstrip()):
        item = website.api("POST", "/submissions", params={"forward": int(again is inline)}, content=again)
        [told] = item.json()["items"]
        assert told["status"] == "duplicate", told
    assert told["complaint"] == better["complaint"]
    assert told["remedy"] == "Look at it there and decide; once is enough."


# ---- one sentence each


def test_a_spam_that_is_too_old_waits_with_a_word_about_it(website: Website) -> None:
    website.clock.turn(days=20)
    row = came(website, [spam()])
    document = website.show(row.outcome[0]["complaint"])
    told = document["outcome"]
    assert (document["state"], told["code"]) == ("awaiting_consent", "too_old")
    assert told["says"].startswith("It was 20 days old when you handed it in")
    assert told["says"] in review(website, document["id"]).text
    assert told["says"] in " ".join(letters(website)[-1][1].split())
    choose(website, quiet=True)
    came(website, [spam(subject="Another")])
    assert len(letters(website)) == 2, "it needs a second look"


def test_age_counts_from_the_newest_believed_line_to_the_handing_in() -> None:
    evidence = read(spam(), Trust.of(["mx.victim.example"])).document()
    assert outcomes.arrived(evidence) == NOON - timedelta(hours=3)
    assert outcomes.of_age(evidence, NOON + timedelta(days=1)) is None
    old = outcomes.of_age(evidence, NOON + timedelta(days=3))
    assert old
    assert (old.code, "3 days old" in old.says) == ("old", True)
    assert outcomes.of_age(None, NOON) is None
    undated = spam().replace(format_datetime(NOON - timedelta(hours=3)).encode(), b"soon")
    assert outcomes.of_age(read(undated, Trust.of(["mx.victim.example"])).document(), NOON) is None


def test_a_source_beside_a_mail_host_of_the_reporters_is_not_ticked(website: Website) -> None:
    with website.office.db.transaction() as session:
        alice = session.get_one(Reporter, website.alice.reporter.id)
        alice.learned = [{"address": "198.51.100.5", "how": "probe", "since": "2026-11-01T00:00:00Z"}]
        session.add(alice)
    document = website.show(website.waiting())
    assert document["outcome"]["code"] == "own_network"
    assert "198.51.100.5" in document["outcome"]["says"]
    ticked = {report["to"]: report["ticked"] for report in document["reports"]}
    assert ticked["abuse@cloud.example"] is False


def case(kind: str) -> tuple[bytes, Lookup | None]:
    if kind == "no_received":
        return NO_RECEIVED, None
    if kind == "own_host":
        return INSIDE, None
    if kind == "own_domain":
        return spam(), source_answer(contact("postmaster@victim.example"))
    assert kind == "no_desk"
    return spam(), Lookup(CLOUD, "ip", "198.51.100.0/26")


def test_a_rule_that_passes_spam_on_whole_is_told_what_to_do(website: Website) -> None:
    passed = spam(body="\r\n").replace(b"Cheap pills", b"Passed on by a rule")
    with website.office.db.transaction() as session:
        reporter = session.get_one(Reporter, website.alice.reporter.id)
        row = submission.accept(session, website.office, reporter, passed, via="smtp", forwarded=True)
        found = submission.contents_of(website.office, reporter, row)
        [line] = submission.unwrap(session, website.office, row, found).outcome
    assert (line["status"], line["reason"], line["remedy"]) == ("refused", PASSED_ON, REMEDY)


@pytest.mark.parametrize("kind", ["no_received", "own_host", "own_domain", "no_desk"])
def test_a_refusal_is_said_alike_in_letter_page_and_api(website: Website, kind: str) -> None:
    raw, source = case(kind)
    complaint = website.hand_in(raw)
    website.analyse(complaint, source=source, links=())
    told: Json = website.show(complaint)["outcome"]
    assert told["code"] == kind
    assert told["remedy"] in review(website, complaint).text
    with website.office.db.reading() as session:
        row = session.get_one(Complaint, complaint)
    notice.step(website.office, row.submission_id)
    [(subject, text)] = letters(website)
    assert subject == "We could not use what you sent"
    for words in (told["says"], told["remedy"]):
        assert words in text
