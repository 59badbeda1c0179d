"""Only what the reporter's own mail host recorded about a sender is believed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.authentication import Result, authentication
from complaints.message import parse
from complaints.trace import Trust, trace

DATE = "Tue, 24 Nov 2026 01:02:03 +0000"
BORDER = f"Received: from h (host.spam.example [198.51.100.66]) by mx.reporter.example (Postfix) with ESMTP id 1; {DATE}"
STRANGER = f"Received: from a ([203.0.113.9]) by mx.spam.example with ESMTP id 2; {DATE}"
RESULTS = (
    "Authentication-Results: mx.reporter.example; dkim=pass (2048-bit key; secure) header.d=esp.example header.s=s1 header.b=abc;\r\n"
    "\tspf=fail smtp.mailfrom=bounce@spam.example; dmarc=none header.from=spam.example"
)


def read(*lines: str, trust: tuple[str, ...] = ()) -> tuple[Result, ...]:
    message = parse("\r\n".join([*lines, "", "body"]).encode())
    return authentication(message, trace(message, Trust.of(trust)))


def test_the_borders_results_are_believed() -> None:
    by = "mx.reporter.example"
    assert read(RESULTS, BORDER, STRANGER) == (
        Result("dkim", "pass", "esp.example", "s1", by, believed=True),
        Result("spf", "fail", "spam.example", None, by, believed=True),
        Result("dmarc", "none", "spam.example", None, by, believed=True),
    )
    assert all(result.believed for result in read(BORDER, RESULTS, STRANGER))


def test_a_strangers_field_is_not_believed_wherever_it_names_the_border() -> None:
    assert not any(result.believed for result in read(BORDER, STRANGER, RESULTS))
    assert not any(
        result.believed for result in read(RESULTS.replace("mx.reporter", "mx.victim"), BORDER, STRANGER)
    )


def test_a_field_that_came_with_the_message_does_not_join_the_borders_own() -> None:
    forged = "Authentication-Results: mx.reporter.example; dkim=pass header.d=victim.example"
    assert [result.domain for result in read(RESULTS, BORDER, forged) if result.believed] == [
        "esp.example",
        "spam.example",
        "spam.example",
    ]
    assert not any(
        result.believed
        for result in read(BORDER, "Authentication-Results: dkim=pass header.d=victim.example")
    )
    assert not any(
        result.believed
        for result in read(
            BORDER, "Received-SPF: pass client-ip=198.51.100.66; envelope-from=x@victim.example"
        )
    )


def test_microsofts_field_without_a_host_belongs_to_the_border() -> None:
    top = f"Received: from h (198.51.100.66) by A.mail.protection.outlook.com (10.0.0.1) with Microsoft SMTP Server id 15.20.1; {DATE}"
    field = "Authentication-Results: spf=pass (sender IP is 198.51.100.66) smtp.mailfrom=esp.example; dkim=none header.d=none;dmarc=fail action=none header.from=x.example;compauth=fail reason=001"
    found = read(top, field)
    assert [(result.method, result.result, result.domain, result.believed) for result in found] == [
        ("spf", "pass", "esp.example", True), ("dkim", "none", None, True), ("dmarc", "fail", "x.example", True), ("compauth", "fail", None, True),
    ]  # fmt: skip


def test_only_the_topmost_received_spf_of_the_border_counts() -> None:
    spf = "Received-SPF: softfail (mx.reporter.example: domain of transitioning x@spam.example does not designate) client-ip=198.51.100.66; envelope-from=x@spam.example"
    assert read(spf, BORDER) == (
        Result("spf", "softfail", "spam.example", None, "mx.reporter.example", believed=True),
    )
    assert not any(result.believed for result in read(BORDER, STRANGER, spf))


def test_arc_is_shown_and_not_believed() -> None:
    arc = "ARC-Authentication-Results: i=1; mx.reporter.example; dkim=pass header.d=victim.example header.s=k"
    assert read(BORDER, arc) == (
        Result("dkim", "pass", "victim.example", "k", "mx.reporter.example", believed=False),
    )


@pytest.mark.parametrize(
    "field",
    [
        "mx.reporter.example; none",
        "mx.reporter.example",
        "",
        ";;;;",
        "mx.reporter.example; dkim",
        "x; " + "a=b " * 9_000,
    ],
)
def test_fields_without_results_give_none(field: str) -> None:
    assert read(f"Authentication-Results: {field}", BORDER) == ()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["mx.reporter.example", ";", "dkim=pass", "header.d=", '"', "(", ")", "spf=", "i=1;", " ", "smtp.mailfrom=@", "\\", "=?utf-8?q?", "header.i=@x"]), max_size=20).map("".join) | st.text(max_size=80))  # fmt: skip
def test_reading_never_raises(value: str) -> None:
    for name in ("Authentication-Results", "Received-SPF", "ARC-Authentication-Results"):
        read(f"{name}: {value}", BORDER)
