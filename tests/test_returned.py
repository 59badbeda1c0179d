"""What comes back: bounces, machines, people and verdicts, by hand-written and by real mail."""

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.returned import LONGEST_TEXT, classify

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "bounces"
DSN = b"""From: MAILER-DAEMON@mx.host.example
To: bounce-abc@plaint.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry, your message could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.host.example

Final-Recipient: rfc822; first@host.example
Action: delayed
Status: 4.2.2

Final-Recipient: rfc822; abuse@host.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 No such user here

--b
Content-Type: text/rfc822-headers

Message-ID: <r1.x@plaint.example>
Subject: You won
--b--
"""


def answer(first_line: str, head: str = "") -> bytes:
    return (
        f"From: Desk <abuse@host.example>\nSubject: Re: You won\nIn-Reply-To: <r1.x@plaint.example>\n{head}\n"
        f"{first_line}\n\nRegards,\nthe desk\n\n> Hello,\n> stop\n"
    ).encode()


def kind(raw: bytes, mail_from: str = "abuse@host.example") -> str:
    return classify(raw, mail_from=mail_from).kind


def test_a_delivery_status_gives_the_worst_recipient_its_status_and_our_message_id() -> None:
    returned = classify(DSN)
    assert (returned.kind, returned.status, returned.failed) == ("bounce", "5.1.1", True)
    assert returned.recipient == "abuse@host.example"
    assert returned.original_message_id == "<r1.x@plaint.example>"
    assert returned.text.startswith("550 5.1.1 No such user here\n\nI'm sorry")


def test_a_delay_is_a_bounce_that_has_not_failed() -> None:
    delayed = DSN.replace(b"Action: failed\nStatus: 5.1.1", b"Action: delayed\nStatus: 4.4.1")
    returned = classify(delayed)
    assert (returned.kind, returned.failed, (returned.status or "")[0]) == ("bounce", False, "4")


def test_a_success_notice_has_not_failed() -> None:
    relayed = (
        DSN.replace(b"failed", b"relayed").replace(b"5.1.1\nD", b"2.1.5\nD").replace(b"delayed", b"relayed")
    )
    assert not classify(relayed).failed


def test_a_bounce_for_people_is_read_by_its_words() -> None:
    raw = (
        b"From: Mail Delivery Subsystem <mailer-daemon@old.example>\nTo: bounce-abc@plaint.example\n"
        b"Subject: failure notice\n\nHi. This is the program at old.example.\n<abuse@old.example>:\n"
        b"550 sorry, no mailbox here by that name.\n\n--- Below this line is a copy.\nMessage-ID: <r1.x@plaint.example>\n"
    )
    returned = classify(raw, mail_from="")
    assert (returned.kind, returned.status, returned.failed) == ("bounce", "550", True)
    assert returned.recipient == "abuse@old.example"
    assert returned.original_message_id == "<r1.x@plaint.example>"


@pytest.mark.parametrize(
    "head",
    [
        "Auto-Submitted: auto-replied\n",
        "Auto-Submitted: auto-generated (ticket)\n",
        "Precedence: bulk\n",
        "Precedence: auto_reply\n",
        "List-Id: <desk.host.example>\n",
        "X-Autoreply: yes\n",
        "X-Auto-Response-Suppress: All\n",
    ],
)
def test_machines_are_told_from_people_by_their_fields(head: str) -> None:
    assert kind(answer("Resolved", head)) == "automatic"


def test_the_null_sender_and_vacation_subjects_are_automatic() -> None:
    assert kind(answer("We are on it."), mail_from="") == "automatic"
    assert kind(answer("We are on it."), mail_from="<>") == "automatic"
    assert kind(answer("x").replace(b"Re: You won", b"Automatic reply: You won")) == "automatic"
    assert kind(answer("x").replace(b"Re: You won", b"[Ticket #12] request received")) == "automatic"


def test_auto_submitted_no_is_a_person() -> None:
    assert kind(answer("We looked into it.", "Auto-Submitted: no\n")) == "answer"


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("resolved", "resolved"),
        ("Resolved.", "resolved"),
        ("*Verdict: Not ours!*", "not ours"),
        ("Innocent bystander", "innocent"),
        ("STOP", "stop"),
        ("opt-out", "stop"),
        ("In progress...", "in progress"),
    ],
)
def test_a_first_line_that_is_a_verdict_is_one(line: str, verdict: str) -> None:
    returned = classify(answer(line), mail_from="abuse@host.example")
    assert (returned.kind, returned.status) == ("verdict", verdict)


@pytest.mark.parametrize(
    "line", ["We have resolved to look into it.", "Stop sending these?", "Hello", "-", "> stop"]
)
def test_a_sentence_or_a_quote_is_no_verdict(line: str) -> None:
    assert kind(answer(line)) == "answer"


def test_an_answer_keeps_its_text_and_the_message_it_answers() -> None:
    returned = classify(answer("We looked into it."), mail_from="abuse@host.example")
    assert returned.text.startswith("We looked into it.\n\nRegards,")
    assert returned.original_message_id == "<r1.x@plaint.example>"
    assert (returned.status, returned.recipient, returned.failed) == (None, None, False)


def test_an_answer_that_encloses_our_report_about_a_bounce_is_still_an_answer() -> None:
    report = b"Content-Type: message/rfc822\n\n" + DSN
    raw = (
        b"From: abuse@host.example\nSubject: Re: x\nContent-Type: multipart/mixed; boundary=o\n\n--o\n\nWe acted.\n--o\n"
        + report
        + b"\n--o--\n"
    )
    assert kind(raw) == "answer"


def test_html_answers_become_text_without_scripts() -> None:
    raw = b"From: a@host.example\nSubject: Re: x\nContent-Type: text/html\n\n<style>p{}</style><p>We <b>acted</b>.</p><script>evil()</script>"
    text = classify(raw, mail_from="a@host.example").text
    assert "acted" in text
    assert "evil" not in text
    assert "<" not in text


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), st.sampled_from(["", "a@b.example", "\ud800"]))
def test_nothing_makes_it_raise_and_its_text_is_safe_to_show(noise: bytes, mail_from: str) -> None:
    for raw in (noise, DSN[:700] + noise, b"Content-Type: text/html\n\n" + noise):
        returned = classify(raw, mail_from=mail_from)
        assert len(returned.text) <= LONGEST_TEXT
        assert all(char == "\n" or char.isprintable() or ord(char) > 0x9F for char in returned.text)


def test_a_huge_mail_has_bounded_text() -> None:
    assert len(classify(answer("x" * 3_000_000), mail_from="a@b.example").text) == LONGEST_TEXT


def mails(name: str) -> dict[str, bytes]:
    archive = DATA / f"{name}.zip"
    if not archive.exists():
        pytest.skip(f"shared/data/bounces/{name}.zip absent")
    with zipfile.ZipFile(archive) as opened:
        return {one: opened.read(one) for one in opened.namelist() if not one.endswith("README.md")}


def test_real_bounces_of_ninety_mail_systems_are_recognised() -> None:
    # Without those a mail server cannot hand over: files with CR line ends only.
    bounces = {
        name: raw
        for name, raw in mails("sisimai").items()
        if name.split("/")[-1].startswith(("lhost-", "rhost-", "rfc3464-"))
        and not name.startswith("cr-only/")
    }
    results = [classify(raw) for raw in bounces.values()]
    recognised = sum(one.kind == "bounce" for one in results)
    named = sum(one.recipient is not None for one in results)
    assert recognised >= 0.96 * len(bounces), f"{recognised} of {len(bounces)}"
    assert named >= 0.94 * len(bounces), f"{named} of {len(bounces)}"


def test_historic_bounces_name_the_recipient_that_failed() -> None:
    files = mails("flufl")
    cases = [case for case in json.loads(files["expected.json"])["cases"] if case["file"] in files]
    right = 0
    for case in cases:
        returned = classify(files[case["file"]])
        wanted = case["failing_addresses"]
        right += returned.recipient in wanted if wanted else not returned.failed
    assert right >= 0.75 * len(cases), f"{right} of {len(cases)}"


def test_real_automatic_replies_are_not_answers() -> None:
    folder = DATA / "autoreply"
    if not folder.exists():
        pytest.skip("shared/data/bounces/autoreply absent")
    for file in sorted(folder.glob("*.eml")):
        assert classify(file.read_bytes(), mail_from="desk@host.example").kind == "automatic", file.name


def test_ordinary_mail_is_hardly_ever_taken_for_a_bounce() -> None:
    archive = DATA.parent / "messages" / "spamassassin-public.zip"
    if not archive.exists():
        pytest.skip("shared/data/messages/spamassassin-public.zip absent")
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if "ham" in name and name.endswith(".eml")][::4]
        kinds = [classify(opened.read(name), mail_from="someone@host.example").kind for name in names]
    assert kinds.count("bounce") <= 2, f"{kinds.count('bounce')} of {len(kinds)}"
