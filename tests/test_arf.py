"""The feedback report: exact, readable by others, and deaf to what a spam or note would inject."""

import email
import email.policy
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.arf import Report, compose, own_words, parse_report
from complaints.fields import FieldError
from complaints.returned import VERDICTS

DATA = Path(__file__).parent.parent.parent / "shared" / "data"
SPAM = (
    b"Received: from bad.example ([192.0.2.7]) by mx.victim.example; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    b"From: shop@bad.example\r\nSubject: You won\r\nMessage-ID: <1@bad.example>\r\n\r\nClick https://bad.example/\r\n"
)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def report(**values: Any) -> Report:
    given_values: dict[str, Any] = {
        "sender": "Plaint <plaint@plaint.example>",
        "to": "abuse@host.example",
        "reply_to": "reply-abc@plaint.example",
        "message_id": "<r1.x@plaint.example>",
        "date": NOON,
        "user_agent": "Plaint/0.1",
        "spam": SPAM,
        "subject": "You won",
        "why": "The registry names you for 192.0.2.0/24.",
        "trace": "mx.victim.example took it from 192.0.2.7.",
        "note": "I never asked for this.",
        "opt_out_url": "https://plaint.example/stop/abc",
        "opt_out_mailto": "stop-abc@plaint.example",
        "source_ip": "192.0.2.7",
        "arrival_date": datetime(2026, 11, 23, 10, tzinfo=UTC),
        "original_mail_from": "shop@bad.example",
        "original_rcpt_to": ("redacted-x@victim.example",),
        "reporting_mta": "mx.victim.example",
        "authentication_results": ("mx.victim.example; spf=fail smtp.mailfrom=bad.example",),
        "reported_domains": ("bad.example",),
        "reported_uris": ("https://bad.example/",),
    }
    return Report(**(given_values | values))


def read(raw: bytes) -> email.message.EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def machine(raw: bytes) -> list[str]:
    part = re.search(
        rb"message/feedback-report\r\nContent-Transfer-Encoding: 7bit\r\n\r\n(.*?)\r\n\r\n--", raw, re.DOTALL
    )
    assert part is not None
    return part[1].decode("ascii").split("\r\n")


def legal_on_the_wire(raw: bytes) -> bool:
    lines = raw.split(b"\r\n")
    bare = any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    return not bare and max(map(len, lines)) <= 998 and raw.endswith(b"--\r\n")


def test_a_desk_reads_what_is_asked_of_it_and_each_word_that_a_program_understands() -> None:
    text = " ".join(str(read(compose(report())).get_body()).split())
    assert "stop what your rules forbid" in text
    words = text.partition("first line that is only ")[2].partition(" (no more reports to you)")[0]
    named = words.replace(" or ", " ").split(", ")
    assert {VERDICTS[word.strip()] for word in named} == set(VERDICTS.values()) - {"received"}


def test_an_independent_reader_sees_the_three_parts_of_rfc_5965() -> None:
    message = read(compose(report()))
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "feedback-report"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/feedback-report",
        "message/rfc822",
    ]
    assert message["Subject"] == "You won"
    assert message["Auto-Submitted"] == "auto-generated"
    assert (
        message["List-Unsubscribe"] == "<https://plaint.example/stop/abc>, <mailto:stop-abc@plaint.example>"
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert not [defect for part in message.walk() for defect in part.defects]


def test_the_machine_readable_part_is_exact() -> None:
    assert machine(compose(report(source_port=4242, incidents=3))) == [
        "Feedback-Type: abuse",
        "User-Agent: Plaint/0.1",
        "Version: 1",
        "Original-Mail-From: <shop@bad.example>",
        "Arrival-Date: Mon, 23 Nov 2026 10:00:00 +0000",
        "Reporting-MTA: dns; mx.victim.example",
        "Source-IP: 192.0.2.7",
        "Source-Port: 4242",
        "Incidents: 3",
        "Original-Rcpt-To: <redacted-x@victim.example>",
        "Authentication-Results: mx.victim.example; spf=fail smtp.mailfrom=bad.example",
        "Reported-Domain: bad.example",
        "Reported-URI: https://bad.example/",
    ]


def test_everything_in_part_two_stands_in_part_one_too() -> None:
    raw = compose(report(source_ip="2001:db8::7", source_port=4242))
    body = read(raw).get_body(("plain",))
    assert body is not None
    text = body.get_content()
    for fact in (
        "2001:db8::7",
        "4242",
        "2026-11-23 10:00:00 UTC",
        "mx.victim.example",
        "shop@bad.example",
        "redacted-x@victim.example",
        "spf=fail",
        "bad.example",
        "https://bad.example/",
        "The registry names you for 192.0.2.0/24.",
        "took it from 192.0.2.7",
        "> I never asked for this.",
        "https://plaint.example/stop/abc",
        "stop-abc@plaint.example",
    ):
        assert fact in text, fact
    assert "Source-IP: IPv6:2001:db8::7" in machine(raw)


def test_the_null_sender_and_hosts_that_are_none() -> None:
    fields = machine(
        compose(report(original_mail_from="", reporting_mta="not a host", reported_domains=("a b",)))
    )
    assert "Original-Mail-From: <>" in fields
    assert not [field for field in fields if field.startswith(("Reporting-MTA", "Reported-Domain"))]


def test_the_spam_is_enclosed_byte_for_byte() -> None:
    spam = SPAM + b"\x80\xffbytes of no charset\r\n--=_report_\r\n"
    raw = compose(report(spam=spam))
    assert b"Content-Transfer-Encoding: 8bit\r\n\r\n" + spam + b"\r\n--" in raw
    assert parse(raw).spam == spam


def parse(raw: bytes) -> Any:
    feedback = parse_report(raw)
    assert feedback is not None
    return feedback


def test_header_only_reports_enclose_the_header_block() -> None:
    raw = compose(report(headers_only=True))
    assert read(raw).get_payload()[2].get_content_type() == "text/rfc822-headers"  # type: ignore[union-attr,index]
    assert parse(raw).spam == SPAM.split(b"\r\n\r\n")[0] + b"\r\n"
    assert b"Click https" not in raw


def test_what_smtp_cannot_carry_is_changed_as_relays_would_and_told() -> None:
    long_line = b"x" * 700 + b" " + b"\xc3\xa4" * 900
    raw = compose(report(spam=b"Subject: a\r\rb: c\n\n\0nul\r\n" + long_line + b"\r\n"))
    assert legal_on_the_wire(raw)
    text = parse(raw).text
    for told in ("bare CR or LF", "1 NUL octets", "more than 998 octets"):
        assert told in " ".join(text.split())
    enclosed = parse(raw).spam
    assert enclosed.startswith(b"Subject: a\r\n\r\nb: c\r\n\r\n nul\r\n")
    assert enclosed.split(b"\r\n\r\n nul\r\n")[1].replace(b"\r\n ", b"").replace(b"\r\n", b"") in (
        long_line,
        long_line.replace(b" ", b""),
    )
    for line in enclosed.split(b"\r\n"):
        line.decode("utf-8")


def test_the_same_report_has_the_same_bytes_and_no_boundary_in_the_spam() -> None:
    once = compose(report())
    assert once == compose(report())
    boundary = re.search(rb'boundary="([^"]+)"', once)
    assert boundary is not None
    other = compose(report(spam=SPAM + b"--" + boundary[1] + b"\r\n"))
    assert other.count(b'boundary="' + boundary[1]) == 0


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Plain", "Plain"),
        ("", "FW:"),
        ("Grüße = ☃", "Grüße = ☃"),
        ("=?utf-8?q?already?=", "=?utf-8?q?already?="),
        ("a\r\nBcc: x@y.example", "a Bcc: x@y.example"),
        ("w" * 2000, "w" * 2000),
        ("ä" * 500, "ä" * 500),
    ],
)
def test_the_subject_is_that_of_the_spam(subject: str, expected: str) -> None:
    raw = compose(report(subject=subject))
    if max(map(len, subject.split() or [""])) < 900:
        assert legal_on_the_wire(raw)
    assert re.sub(r"\s+", " ", str(read(raw)["Subject"])) == re.sub(r"\s+", " ", expected)
    assert "Bcc" not in read(raw)


TEXT = st.text(max_size=60) | st.sampled_from(
    ["a\r\nBcc: x@y.example", "\r\n\r\nbody", "x\x00y", "\u2028Bcc: a", "\ud800", "--=_report_"]
)


@settings(max_examples=300, deadline=None)
@given(TEXT, TEXT, TEXT, TEXT, st.lists(TEXT, max_size=3), st.binary(max_size=200))
def test_nothing_injects_a_field_a_part_or_a_line(
    subject: str, note: str, why: str, path: str, uris: list[str], spam: bytes
) -> None:
    raw = compose(
        report(
            subject=subject,
            note=note,
            why=why,
            trace=why,
            original_mail_from=path,
            original_rcpt_to=(path,),
            reporting_mta=path,
            authentication_results=(path,),
            reported_domains=(path,),
            reported_uris=tuple(uris),
            spam=spam,
        )
    )
    assert legal_on_the_wire(raw)
    top = raw.split(b"\r\n\r\n")[0]
    names = re.findall(rb"^([!-9;-~]+):", top, re.MULTILINE)
    assert [name.decode() for name in names] == [
        "From",
        "To",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ]
    boundary = re.search(rb'boundary="([^"]+)"', top)
    assert boundary is not None
    assert len(re.findall(rb"^--" + re.escape(boundary[1]) + rb"(?:--)?\r$", raw, re.MULTILINE)) == 4
    known = "Feedback-Type User-Agent Version Original-Mail-From Arrival-Date Reporting-MTA Source-IP Original-Rcpt-To"
    known += " Authentication-Results Reported-Domain Reported-URI"
    assert {field.partition(":")[0] for field in machine(raw)} <= set(known.split())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sender", "a@b.example\r\nBcc: c@d.example, x"),
        ("to", "abuse@host.example, other@host.example"),
        ("to", "no address"),
        ("reply_to", "<a@b"),
        ("message_id", "<a@b>\r\nX: y"),
        ("opt_out_url", "https://x.example/\r\nX: y"),
        ("opt_out_url", "javascript:alert(1)"),
        ("opt_out_mailto", "x"),
        ("user_agent", "Plaint\r\nX: y"),
        ("source_ip", "192.0.2.7\r\nX: y"),
    ],
)
def test_a_wrong_value_of_our_own_is_refused_by_name(field: str, value: str) -> None:
    with pytest.raises(FieldError, match=re.escape(value.split("\r", maxsplit=1)[0][:8])):
        compose(report(**{field: value}))


def test_our_own_words_are_the_words_of_every_report() -> None:
    assert {"page", "button", "spam", "unsubscribe"} <= own_words()
    assert "alice" not in own_words()


def test_what_is_no_report_is_none() -> None:
    good = compose(report())
    for bad in (
        SPAM,
        b"",
        good.replace(b"Version: 1\r\n", b""),
        good.replace(b"Version: 1\r\n", b"Version: 1\r\nVersion: 1\r\n"),
        good.replace(b"Version: 1\r\n", b"Version: 1\r\nReceived-Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n"),
        good.replace(b"message/rfc822", b"text/html"),
    ):
        assert parse_report(bad) is None


def test_stray_carriage_returns_and_the_historic_date_are_understood() -> None:
    raw = compose(report())
    start = raw.index(b"Feedback-Type")
    end = raw.index(b"\r\n\r\n--", start)
    odd = (
        raw[:start]
        + raw[start:end].replace(b"\r\n", b"\r\r\n").replace(b"Arrival-Date", b"Received-Date")
        + raw[end:]
    )
    feedback = parse(odd)
    assert feedback.feedback_type == "abuse"
    assert feedback.all("arrival-date") == ["Mon, 23 Nov 2026 10:00:00 +0000"]


def test_reports_of_real_providers_are_read() -> None:
    folder = DATA / "bounces" / "arf" / "abuseio-fbl"
    if not folder.exists():
        pytest.skip("shared/data/bounces/arf absent")
    files = sorted(folder.rglob("*.eml"))
    reports = [parse_report(file.read_bytes()) for file in files]
    read_ones = [one for one in reports if one is not None]
    assert len(read_ones) >= len(files) * 0.9
    assert all(one.feedback_type == "abuse" and one.spam for one in read_ones)
