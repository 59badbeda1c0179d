"""The finding is told to a desk in one paragraph that does not tell who the recipient is."""

from complaints.finding import explanation
from complaints.message import parse
from complaints.spam import read
from complaints.trace import Trust, trace

DATE = "Tue, 24 Nov 2026 01:02:03 +0100"
INSIDE = f"Received: from mx.reporter.example (mx.reporter.example [192.0.2.10]) by imap.reporter.example (Postfix) with ESMTP id A1 for <me@reporter.example>; {DATE}"
BORDER = f"Received: from me.reporter.example (unknown [198.51.100.66]) by mx.reporter.example (Postfix) with ESMTP id me-7 for <me@reporter.example>; {DATE}"
FORGED = f"Received: from a (b [203.0.113.9]) by mx.victim.example (Postfix) with ESMTP id B2; {DATE}"


def told(*lines: str) -> str:
    return explanation(trace(parse("\r\n".join([*lines, "", ""]).encode()), Trust.of([])))


def test_the_paragraph_says_who_saw_what_when_and_why_the_rest_is_not_used() -> None:
    assert told(INSIDE, BORDER, FORGED, FORGED) == (
        "On 24 November 2026 at 00:02:03 UTC, the recipient's mail host took this message from 198.51.100.66. "
        "Received line 2 from the top says so; lines 1 to 2 were written by the recipient's own mail system, and "
        "the address in that line is the one seen on the connection, not one that was claimed. The 2 lines below "
        "it were already in the message when it arrived: whoever sent it can have written anything there, so "
        "nothing in them is used. Our confidence in this is high."
    )


def test_a_single_line_is_told_as_such() -> None:
    text = told(BORDER)
    assert "The topmost Received line says so" in text
    assert "There are no lines below it." in text


def test_a_line_without_a_date_is_told_without_one() -> None:
    text = told(BORDER.replace(DATE, ""))
    assert "At a time that the recipient's mail host did not record, it took" in text


def test_where_no_source_is_known_none_is_named() -> None:
    text = told(FORGED.replace("[203.0.113.9]", "[10.0.0.1]"))
    assert "no host is named" in text
    assert "10.0.0.1" not in text


def test_nothing_in_it_tells_who_the_recipient_is() -> None:
    text = told(INSIDE, BORDER, FORGED)
    assert "reporter" not in text
    assert "me-7" not in text


def test_the_host_can_be_called_something_else() -> None:
    found = trace(parse(f"{BORDER}\r\n\r\n".encode()), Trust.of([]))
    assert "UTC, our mail host took" in explanation(found, "our mail host")


def test_the_document_carries_it() -> None:
    document = read(f"{BORDER}\r\n\r\n".encode(), Trust.of([])).document()
    assert document["explanation"].startswith("On 24 November 2026 at 00:02:03 UTC")
