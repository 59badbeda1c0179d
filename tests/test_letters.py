"""Our letters: each renders with the worst of values, and none lets a value forge a line or field."""

import email
import email.policy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateNotFound, UndefinedError

from complaints import letters
from complaints.fields import FieldError, address_field, message_id_field, raw_field, text_field
from complaints.letters import Letter, compose_letter, render

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVIL = "x\r\nBcc: a@b.example\n\nhttps://evil.example/ \x1b[2J\u2028\u202egnp"
PART = {"part": EVIL, "grade": "D", "means": EVIL, "reason": EVIL, "remedy": EVIL, "look": ""}
HOSTS = "https://plaint.example/hosts/abc"
ACCOUNT = "https://plaint.example/account/abc"
COMPLAINT = {
    "subject": EVIL,
    "grade": "A",
    "means": "complete, as it came",
    "lost": EVIL,
    "source": "192.0.2.7",
    "desks": [{"to": EVIL, "why": EVIL}],
    "offered": [EVIL, EVIL],
    "url": "https://plaint.example/review/abc",
    "remark": EVIL,
    "remedy": EVIL,
}
EXPIRED: dict[str, Any] = {
    "expired": [{"subject": EVIL, "url": "https://plaint.example/review/old"}, {"subject": "", "url": HOSTS}],
    "more_expired": 2,
}
VALUES: dict[str, dict[str, Any]] = {
    "people": {"mailbox": "postmaster@plaint.example", "mail_from": EVIL, "subject": EVIL},
    "registration": {"link": "https://plaint.example/r/abc", "code": "012345", "minutes": 30},
    "notice": {
        "complaints": [
            COMPLAINT,
            COMPLAINT | {"subject": "", "source": None, "desks": [], "offered": [], "remark": ""},
        ],
        "known": [PART | {"url": "https://plaint.example/review/abc"}],
        "link": "https://plaint.example/submitted/abc",
        "refused": [PART, PART | {"look": "https://plaint.example/review/abc"}],
        "count": 3,
        "more_known": 2,
        "more_refused": 1,
        "until": NOON,
        **EXPIRED,
        "hosts": HOSTS,
        "account": ACCOUNT,
        "digest": "https://plaint.example/unsubscribe/abc",
        "quiet": "https://plaint.example/unsubscribe/def",
    },
    "reminder": {
        "complaints": [
            {"subject": EVIL, "until": NOON, "url": "https://plaint.example/review/abc"},
            {"subject": "", "until": NOON, "url": "https://plaint.example/review/def"},
        ],
        "count": 3,
        "link": "https://plaint.example/batch/abc",
        "quiet": "https://plaint.example/unsubscribe/def",
        "account": ACCOUNT,
    },
    "waiting": {"count": 3, "url": "https://plaint.example/batch/abc", "until": NOON},
    "refused": {
        "refused": [PART | {"look": "https://plaint.example/review/abc"}, PART],
        "more_refused": 0,
        **EXPIRED,
        "help": "https://plaint.example/help",
        "hosts": HOSTS,
        "account": ACCOUNT,
    },
    "probe": {"to": EVIL, "days": 7, "url": HOSTS, "domain": "plaint.example", "mark": "probe-abc-def"},
    "learned": {
        "to": EVIL,
        "grade": "B",
        "means": EVIL,
        "lost": [EVIL],
        "own": [{"what": EVIL, "new": True}, {"what": "192.0.2.7", "new": False}],
        "passed_over": [EVIL],
        "url": HOSTS,
    },
    "standing": {
        "subject": EVIL,
        "desks": [{"to": EVIL, "why": EVIL}],
        "leaves": NOON,
        "url": "https://p.example/review/abc",
        "standing": "https://p.example/standing/abc",
    },
    "link": {"subject": EVIL, "url": "https://p.example/review/abc", "until": NOON},
    "code": {"wish": "download everything", "code": "012345", "minutes": 15, "known": True},
    "policy": {
        "version": "2",
        "since": NOON,
        "changes": [EVIL],
        "difference": EVIL,
        "url": "https://p.example/policy/abc",
        "whole": "https://p.example/privacy/2",
    },
    "news": {"subject": EVIL, "text": EVIL, "url": "https://plaint.example/unsubscribe/abc"},
    "answer": {
        "desk": EVIL,
        "kind": "verdict",
        "subject": EVIL,
        "text": EVIL,
        "url": "https://p.example/",
        "reply_to": "r@p.example",
    },
}


def mail(letter: Letter, **values: Any) -> bytes:
    fields: dict[str, Any] = {
        "sender": "Plaint <plaint@p.example>",
        "to": "alice@victim.example",
        "message_id": "<l1@p.example>",
        "date": NOON,
    }
    return compose_letter(letter, **(fields | values))


def read(raw: bytes) -> email.message.EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def test_every_letter_is_tried_here() -> None:
    folder = Path(letters.__file__).parent / "templates" / "letters"
    assert {path.name for path in folder.iterdir()} == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_it_renders_with_the_worst_values(name: str) -> None:
    letter = render(name, **VALUES[name])
    assert "\n" not in letter.subject
    assert letter.subject
    assert not set(letter.body) & set("\r\x1b\u2028\u202e")
    assert not [line for line in letter.body.split("\n") if line.startswith(("Bcc:", "https://evil"))]
    assert letter.body.endswith("Plaint\n")
    assert "\n\n\n" not in letter.body
    read(mail(letter)).get_content()


@pytest.mark.parametrize("name", VALUES)
def test_a_missing_value_is_an_error_not_a_gap(name: str) -> None:
    first = next(iter(VALUES[name]))
    with pytest.raises(UndefinedError):
        render(name, **{key: value for key, value in VALUES[name].items() if key != first})


def test_an_unknown_letter_is_an_error() -> None:
    with pytest.raises(TemplateNotFound):
        render("love")


def test_the_registration_holds_link_and_code() -> None:
    body = render("registration", **VALUES["registration"]).body
    assert "\nhttps://plaint.example/r/abc\n" in body
    assert "\n    012345\n" in body


def test_a_letter_is_plain_text_that_nobody_answers_by_machine() -> None:
    message = read(
        mail(
            Letter("Grüße", "Schöne Grüße.\n.\nFrom here\n"),
            reply_to="r@p.example",
            headers={"In-Reply-To": "<a@b>"},
        )
    )
    assert message.get_content_type() == "text/plain"
    assert message["Subject"] == "Grüße"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Reply-To"] == "r@p.example"
    assert message["In-Reply-To"] == "<a@b>"
    assert message.get_content().replace("\r\n", "\n") == "Schöne Grüße.\n.\nFrom here\n"


@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\nX: y", "a\rX: y", "a\x00", "a\u2028X: y", "\u00e4"])
def test_a_value_that_would_start_a_line_or_is_no_ascii_is_refused(bad: str) -> None:
    in_brackets = f"<{bad}@h.example>"
    for write, value in ((raw_field, bad), (message_id_field, in_brackets), (address_field, in_brackets)):
        with pytest.raises(FieldError):
            write("X-Test", value)


def test_a_field_fits_its_line_and_holds_one_message_id_of_that_form() -> None:
    assert len(raw_field("X", "y" * 995)) == 1_000
    for write, value in (
        (raw_field, "y" * 996),
        (message_id_field, "<a@b> <c@d>"),
        (message_id_field, "a@b"),
    ):
        with pytest.raises(FieldError):
            write("X", value)


def test_what_only_looks_like_an_encoded_word_is_read_as_it_was_written() -> None:
    field = text_field("Subject", "=?utf-8?q?You_won?=")
    read = email.message_from_bytes(field + b"\r\n", policy=email.policy.default)["Subject"]
    assert (b"=?utf-8?q?You_won?=" in field, read) == (False, "=?utf-8?q?You_won?=")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.text(max_size=2000), st.text(max_size=30))
def test_no_text_injects_a_field_or_breaks_a_line(subject: str, body: str, name: str) -> None:
    raw = mail(
        Letter(subject, body),
        sender=f"{name} <p@p.example>" if "@" not in name and "<" not in name else "p@p.example",
    )
    head, _, rest = raw.partition(b"\r\n\r\n")
    names = [line.split(b":")[0] for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    assert names == [
        b"From",
        b"To",
        b"Subject",
        b"Date",
        b"Message-ID",
        b"Auto-Submitted",
        b"MIME-Version",
        b"Content-Type",
        b"Content-Transfer-Encoding",
    ]
    for line in raw.split(b"\r\n"):
        assert len(line) <= 998
        assert not set(line) & set(b"\r\n")
    assert rest.endswith(b"\r\n") or not rest
    assert rest.isascii()


@pytest.mark.parametrize(
    "values",
    [
        {"to": "a@b.example, c@d.example"},
        {"to": ""},
        {"sender": "Plaint"},
        {"message_id": "l1@p.example"},
        {"headers": {"In-Reply-To": "<a@b>\r\nBcc: x@y.example"}},
    ],
    ids=str,
)
def test_a_wrong_address_or_id_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(FieldError):
        mail(Letter("a", "b\n"), **values)
