"""Only what the reporter's own mail host recorded about a sender is believed."""

import time

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


def believed(*lines: str, trust: tuple[str, ...] = ()) -> list[tuple[str, str, str | None]]:
    return [(one.method, one.result, one.domain) for one in read(*lines, trust=trust) if one.believed]


FORGED = "Authentication-Results: mx.reporter.example; dkim=pass header.d=victim.example; spf=pass smtp.mailfrom=victim.example"


def test_a_strangers_field_is_not_believed_wherever_it_stands_and_whatever_it_is_called() -> None:
    genuine = [
        ("dkim", "pass", "esp.example"),
        ("spf", "fail", "spam.example"),
        ("dmarc", "none", "spam.example"),
    ]
    for name in (
        "mx.reporter.example",
        "MX.Reporter.Example",
        "reporter.example",
        '"mx.reporter.example"',
        "(x) mx.reporter.example (y) 1",
        "example",
        "com",
        "other.example",
    ):
        forged = FORGED.replace("mx.reporter.example", name)
        assert believed(BORDER, forged, STRANGER) == []
        assert believed(BORDER, STRANGER, forged) == []
        assert believed(RESULTS, BORDER, forged, STRANGER) == genuine
        assert believed(RESULTS, BORDER, STRANGER, forged, trust=("mx.reporter.example",)) == genuine
    assert believed(BORDER, FORGED.replace("mx.reporter.example; ", "")) == []
    assert (
        believed(BORDER, "Received-SPF: pass client-ip=198.51.100.66; envelope-from=x@victim.example") == []
    )


def test_a_field_above_the_border_with_a_strangers_name_is_not_believed() -> None:
    assert believed(RESULTS.replace("mx.reporter.example", "mx.victim.example"), BORDER, STRANGER) == []
    assert believed(RESULTS.replace("mx.reporter.example", "example"), BORDER, STRANGER) == []


def test_a_field_of_a_host_behind_the_border_is_believed() -> None:
    inner = f"Received: from mx.reporter.example (mx.reporter.example [192.0.2.9]) by store.reporter.example (Postfix) with ESMTP id 0; {DATE}"
    filtered = RESULTS.replace("mx.reporter.example", "filter.reporter.example")
    trust = ("mx.reporter.example", "192.0.2.9")
    for lines in ([filtered, inner, BORDER, FORGED], [inner, filtered, BORDER, FORGED, STRANGER]):
        assert ("dkim", "pass", "esp.example") in believed(*lines, trust=trust)
        assert ("dkim", "pass", "victim.example") not in believed(*lines, trust=trust)


def test_gmail_writes_below_its_own_line_and_takes_forged_ones_out() -> None:
    top = f"Received: from h.spam.example (h.spam.example. [198.51.100.66]) by mx.google.com with ESMTPS id a1si1; {DATE}"
    own = 'Authentication-Results: mx.google.com;\r\n       dkim=pass header.i=@esp.example header.s=s1 header.b="ab/c";\r\n       spf=pass (google.com: domain of x@spam.example designates 198.51.100.66 as permitted sender) smtp.mailfrom=x@spam.example'
    forged = "Authentication-Results: mx.google.com; dkim=pass header.d=victim.example"
    genuine = [("dkim", "pass", "esp.example"), ("spf", "pass", "spam.example")]
    assert believed(top, own, STRANGER) == genuine
    assert believed(top, own, forged) == genuine
    for name in ("smtp.google.com; ", "google.com; ", "com; ", ""):
        assert believed(top, forged.replace("mx.google.com; ", name)) == []


def test_microsofts_field_without_a_host_belongs_to_the_border_above_its_line_alone() -> None:
    top = f"Received: from h (198.51.100.66) by A.mail.protection.outlook.com (10.0.0.1) with Microsoft SMTP Server id 15.20.1; {DATE}"
    field = "Authentication-Results: spf=pass (sender IP is 198.51.100.66) smtp.mailfrom=esp.example; dkim=none header.d=none;dmarc=fail action=none header.from=x.example;compauth=fail reason=001"
    assert believed(field, top) == [
        ("spf", "pass", "esp.example"), ("dkim", "none", None), ("dmarc", "fail", "x.example"), ("compauth", "fail", None),
    ]  # fmt: skip
    assert believed(top, field) == []


def test_yahoos_field_stands_above_its_line() -> None:
    top = f"Received: from 198.51.100.66 (EHLO h.spam.example) by 10.253.1.2 with SMTPs (version=TLS1_3); {DATE}"
    inner = f"Received: from 10.253.1.2 by atlas1.mail.ne1.yahoo.com with HTTPS; {DATE}"
    field = "Authentication-Results: atlas1.mail.ne1.yahoo.com; dkim=pass header.i=@esp.example header.s=s1; spf=softfail smtp.mailfrom=spam.example; dmarc=success(p=REJECT) header.from=esp.example;"
    assert ("dkim", "pass", "esp.example") in believed(inner, field, top)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("mx.reporter.example 1; dkim=pass header.d=a.example", [("dkim", "pass", "a.example")]),
        ("mx.reporter.example 2; dkim=pass header.d=a.example", []),
        ("mx.reporter.example (Postfix (3.7; Debian)) (x); dkim=pass header.d=a.example", [("dkim", "pass", "a.example")]),
        ('(border) "mx.reporter.example" (at home) 1 (v); (c) dkim (d) / (e) 1 (f) = (g) pass (h) header (i) . (j) d (k) = (l) a.example (m)', [("dkim", "pass", "a.example")]),
        ("mx.reporter.example;\r\n dkim\r\n\t=pass\r\n header.d=\r\n\ta.example", [("dkim", "pass", "a.example")]),
        ("MX.Reporter.Example.; DKIM=Pass Header.D=A.Example", [("dkim", "pass", "a.example")]),
        ("mx.reporter.example; spf=fail (helo; dkim=pass header.d=victim.example) smtp.mailfrom=a.example", [("spf", "fail", "a.example")]),
        ("mx.reporter.example; spf=fail (a (b) ; dkim=pass header.d=victim.example ; c) smtp.mailfrom=a.example", [("spf", "fail", "a.example")]),
        ("mx.reporter.example; spf=fail (a \\) ; dkim=pass header.d=victim.example) smtp.mailfrom=a.example", [("spf", "fail", "a.example")]),
        ("mx.reporter.example; spf=fail (never closed; dkim=pass header.d=victim.example", [("spf", "fail", None)]),
        ('mx.reporter.example; spf=fail reason="x; dkim=pass header.d=victim.example" smtp.mailfrom=a.example', [("spf", "fail", "a.example")]),
        ('mx.reporter.example; spf=fail reason="smtp.mailfrom=victim.example" smtp.mailfrom=a.example', [("spf", "fail", "a.example")]),
        ('mx.reporter.example; spf=fail smtp.mailfrom="a; dkim=pass header.d=victim.example "@a.example', [("spf", "fail", "a.example")]),
        ('mx.reporter.example; spf=fail smtp.mailfrom="a\\"; dkim=pass header.d=victim.example"@a.example', [("spf", "fail", "a.example")]),
        ("mx.reporter.example; spf=fail smtp.mailfrom==?utf-8?q?x=3B_dkim=3Dpass_header.d=3Dvictim.example?=@a.example", [("spf", "fail", "a.example")]),
        ("mx.reporter.example; dkim=pass header.d=a.example; dkim=fail header.d=b.example", [("dkim", "pass", "a.example"), ("dkim", "fail", "b.example")]),
        ("mx.reporter.example; dkim=pass header.i=x@a.example; dkim=pass header.d=bücher.example", [("dkim", "pass", "a.example"), ("dkim", "pass", "xn--bcher-kva.example")]),
        ("mx.reporter.example; dkim=pass header.d=a.example header.d=victim.example", [("dkim", "pass", "a.example")]),
        ("mx.reporter.example; iprev=pass policy.iprev=198.51.100.66; x-own/2=neutral; auth=pass smtp.auth=joe", [("iprev", "pass", "198.51.100.66"), ("x-own", "neutral", None), ("auth", "pass", None)]),
        ("mx.reporter.example;dkim=pass header.d=a.example;;spf=none", [("dkim", "pass", "a.example"), ("spf", "none", None)]),
    ],
)  # fmt: skip
def test_fields_are_read_as_rfc_8601_writes_them(
    body: str, expected: list[tuple[str, str, str | None]]
) -> None:
    assert believed(f"Authentication-Results: {body}", BORDER) == expected


def test_an_authserv_id_may_be_written_in_letters_or_as_a_label() -> None:
    border = f"Received: from h (host.spam.example [198.51.100.66]) by mx.xn--bcher-kva.example (Postfix) with ESMTP id 1; {DATE}"
    for name in ("mx.bücher.example", "MX.XN--BCHER-KVA.example"):
        assert believed(f"Authentication-Results: {name}; spf=pass smtp.mailfrom=a.example", border) == [
            ("spf", "pass", "a.example")
        ]


def test_where_the_way_in_mixed_up_the_fields_no_position_counts() -> None:
    message = parse(f"{RESULTS}\r\n{BORDER}\r\n{STRANGER}\r\n\r\nbody".encode())
    for grade, count in (("A", 3), ("B", 3), ("C", 0)):
        found = authentication(message, trace(message, Trust.of([]), grade))
        assert sum(one.believed for one in found) == count


def test_many_and_huge_fields_are_read_in_time() -> None:
    for body in (
        "(" * 15_000,
        '"' * 15_000,
        "\\" * 15_000,
        "a.b=" * 4_000,
        "x" * 15_000,
        "a=" * 8_000,
        " ;" * 8_000,
        '"a.b="x' * 2_000,
        "a . " * 4_000,
    ):
        fields = [f"Authentication-Results: mx.reporter.example; spf=pass {body}"] * 500
        raw = "\r\n".join([*fields, BORDER, "", "body"]).encode()
        message = parse(raw)
        found = trace(message, Trust.of([]))
        begun = time.process_time()
        authentication(message, found)
        assert time.process_time() - begun < 1


def test_only_the_topmost_received_spf_of_the_border_counts() -> None:
    spf = "Received-SPF: softfail (mx.reporter.example: domain of transitioning x@spam.example does not designate) client-ip=198.51.100.66; envelope-from=x@spam.example"
    assert read(spf, BORDER) == (
        Result("spf", "softfail", "spam.example", None, "mx.reporter.example", believed=True),
    )
    assert not any(result.believed for result in read(BORDER, STRANGER, spf))


def test_arc_is_shown_and_not_believed() -> None:
    arc = [
        "ARC-Seal: i=2; a=rsa-sha256; t=1; cv=pass; d=list.example; s=two; b=AAAA",
        "ARC-Authentication-Results: i=2; mx.reporter.example 1; dkim=pass header.d=victim.example header.s=k; arc=pass",
        "ARC-Seal: i=1; a=rsa-sha256; t=1; cv=none; d=first.example; s=one; b=AAAA",
    ]
    shown = (
        Result("dkim", "pass", "victim.example", "k", "mx.reporter.example", believed=False),
        Result("arc", "pass", None, None, "mx.reporter.example", believed=False),
        Result("arc", "pass", "first.example", "one", "list.example", believed=False),
    )
    assert read(BORDER, *arc) == shown
    assert read(*arc, BORDER) == shown


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
