"""Received fields of every dialect are read as their writer meant them."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.dates import parse_date
from complaints.hosts import canonical_ip
from complaints.received import parse_received

DATA = Path(__file__).parents[1] / "../shared/data/received"
DATE = "; Tue, 24 Nov 2026 01:02:03 +0100"

DIALECTS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "Postfix",
        "from helo.example (rdns.example [192.0.2.1]) (using TLSv1.3 with cipher X (256/256 bits)) (No client certificate "
        "requested) by mx.example (Postfix) with ESMTPS id 4ABC for <you@example.com>" + DATE,
        {"from_ip": "192.0.2.1", "from_name": "rdns.example", "helo": "helo.example", "by": "mx.example", "with_": "ESMTPS",
         "id": "4ABC", "for_": "you@example.com", "verified": True, "tls": "TLSv1.3", "dialect": "postfix"},
    ),
    (
        "Postfix, no name",
        "from helo.example (unknown [IPv6:2001:DB8:0:0::1]) by mx.example (Postfix) with ESMTP id 4ABC" + DATE,
        {"from_ip": "2001:db8::1", "from_name": None, "helo": "helo.example", "verified": False},
    ),
    (
        "Sendmail, forged name",
        "from helo.example (rdns.example [192.0.2.1] (may be forged)) by mx.example (8.17.1/8.17.1) with ESMTP id 3AB" + DATE,
        {"from_ip": "192.0.2.1", "from_name": None, "rdns": "rdns.example", "verified": False, "dialect": "sendmail"},
    ),
    (
        "Exim",
        "from rdns.example ([192.0.2.1]:4711 helo=helo.example) by mx.example with esmtps (TLS1.3) tls TLS_AES (Exim 4.97) "
        "(envelope-from <a@example.org>) id 1abc-00-Xx for you@example.com" + DATE,
        {"from_ip": "192.0.2.1", "from_name": "rdns.example", "helo": "helo.example", "verified": True,
         "id": "1abc-00-Xx", "for_": "you@example.com", "envelope_from": "a@example.org", "dialect": "exim"},
    ),
    (
        "Exim, no name",
        "from [192.0.2.1] (helo=trusted.example) by mx.example with esmtp (Exim 4.97) id 1abc" + DATE,
        {"from_ip": "192.0.2.1", "from_name": None, "helo": "trusted.example"},
    ),
    (
        "qmail",
        "from rdns.example (HELO helo.example) (ident@192.0.2.1) by mx.example with SMTP; 24 Nov 2026 00:02:03 -0000",
        {"from_ip": "192.0.2.1", "from_name": "rdns.example", "helo": "helo.example", "verified": False, "ident": "ident"},
    ),
    (
        "Exchange",
        "from SENDER.example (192.0.2.1) by MX.mail.protection.outlook.com (10.1.2.3) with Microsoft SMTP Server (version=TLS1_2, "
        "cipher=X) id 15.20.1.2 via Frontend Transport" + DATE,
        {"from_ip": "192.0.2.1", "from_name": None, "helo": "sender.example", "by": "mx.mail.protection.outlook.com",
         "by_ip": "10.1.2.3", "id": "15.20.1.2", "via": "Frontend Transport", "dialect": "exchange"},
    ),
    (
        "Exchange store",
        "from A.prod.outlook.com ([fe80::1:2]) by A.prod.outlook.com ([fe80::1:2%6]) with mapi id 15.20.1.0" + DATE,
        {"from_ip": "fe80::1:2", "by_ip": "fe80::1:2", "with_": "mapi", "dialect": "exchange"},
    ),
    (
        "Gmail",
        "from helo.example (rdns.example. [192.0.2.1]) by mx.google.com with ESMTPS id a1-2 for <you@gmail.com> "
        "(version=TLS1_3 cipher=TLS_AES bits=128/128)" + DATE + " (PST)",
        {"from_ip": "192.0.2.1", "from_name": "rdns.example", "verified": True, "dialect": "google", "tls": "TLSv1.3"},
    ),
    (
        "Gmail inside",
        "by 2002:a05:6a10:d8a:b0:1:2:3 with SMTP id ab12csp3" + DATE,
        {"from_ip": None, "helo": None, "by": "2002:a05:6a10:d8a:b0:1:2:3", "id": "ab12csp3", "dialect": "google"},
    ),
    (
        "Yahoo",
        "from 192.0.2.1 (EHLO helo.example) (192.0.2.1) by mta1.mail.yahoo.com with SMTPs (version=TLS1_2 cipher=X)" + DATE,
        {"from_ip": "192.0.2.1", "from_name": None, "helo": "helo.example"},
    ),
    (
        "Haraka does not check names forward",
        "from helo.example (rdns.example [192.0.2.1]) by mx.example (Haraka/3.0.1) with ESMTPS id ABC.1" + DATE,
        {"from_ip": "192.0.2.1", "from_name": "rdns.example", "verified": False, "dialect": "haraka"},
    ),
    (
        "OpenSMTPD",
        "from helo.example (rdns.example [192.0.2.1]) by mx.example (OpenSMTPD) with ESMTPS id 5db34e0d (TLSv1.3:AEAD)" + DATE,
        {"from_ip": "192.0.2.1", "verified": False, "dialect": "opensmtpd"},
    ),
    (
        "CommuniGate",
        "from rdns.example ([192.0.2.1] verified) by mx.example (CommuniGate Pro SMTP 6.3) with ESMTP id 875522" + DATE,
        {"from_ip": "192.0.2.1", "from_name": "rdns.example", "verified": True, "dialect": "communigate"},
    ),
    (
        "CommuniGate, authenticated",
        "from [192.0.2.1] (account joe@example.com HELO pc) by mx.example (CommuniGate Pro SMTP 6.3) with ESMTPSA id 9" + DATE,
        {"from_ip": "192.0.2.1", "helo": "pc", "authenticated": True},
    ),
    (
        "MDaemon",
        "from host.example [(192.0.2.1)] by mx.example (192.0.2.9) (MDaemon PRO v24) with ESMTPS id md50.msg" + DATE,
        {"from_ip": "192.0.2.1", "by_ip": "192.0.2.9", "id": "md50.msg"},
    ),
    (
        "Domino",
        "from host.example ([192.0.2.1]) by dom.example (HCL Domino Release 12.0.2) with ESMTP id 2026112401-1 " + DATE,
        {"from_ip": "192.0.2.1", "helo": "host.example", "from_name": None, "dialect": "domino"},
    ),
    (
        "Amazon SES",
        "from a1-2.smtp-out.amazonses.com (a1-2.smtp-out.amazonses.com. [192.0.2.1]) by inbound-smtp.eu-west-1.amazonaws.com "
        "with SMTP id abc123 for you@example.com" + DATE,
        {"from_ip": "192.0.2.1", "from_name": "a1-2.smtp-out.amazonses.com", "by": "inbound-smtp.eu-west-1.amazonaws.com"},
    ),
    (
        "Proofpoint",
        "from helo.example (rdns.example [192.0.2.1]) by mx07-1.pphosted.com (PPS) with ESMTPS id 3n-1 (version=TLSv1.2 cipher=X)" + DATE,
        {"from_ip": "192.0.2.1", "from_name": "rdns.example", "dialect": "proofpoint"},
    ),
    (
        "Mimecast",
        "from helo.example (rdns.example [192.0.2.1]) by relay.mimecast.com with ESMTP with both STARTTLS and AUTH (version=TLSv1.3, "
        "cipher=X) id us-mta-1-abc_1" + DATE,
        {"from_ip": "192.0.2.1", "by": "relay.mimecast.com", "id": "us-mta-1-abc_1"},
    ),
    (
        "webmail",
        "from 192.0.2.1 (SquirrelMail authenticated user joe); by web.example with HTTP" + DATE,
        {"from_ip": "192.0.2.1", "by": "web.example", "with_": "HTTP", "authenticated": True},
    ),
    (
        "fetchmail",
        "from pop.example [192.0.2.1] by localhost with POP3 (fetchmail-6.4.0) for <me@localhost> (single-drop)" + DATE,
        {"from_ip": "192.0.2.1", "by": "localhost", "dialect": "fetchmail"},
    ),
    (
        "Dovecot",
        "from director ([10.0.0.1]) by backend with LMTP id AP/abc (envelope-from <a@example.org>) for <me@example.com>" + DATE,
        {"from_ip": "10.0.0.1", "by": "backend", "with_": "LMTP", "dialect": "lmtp"},
    ),
    ("local", "by host.example (Postfix, from userid 0) id 39DE" + DATE, {"from_ip": None, "by": "host.example", "id": "39DE"}),
    ("a claimed address is no seen one", "from 192.0.2.66 by mx.example with ESMTP id 1" + DATE, {"from_ip": None, "helo": "192.0.2.66"}),
    (
        "keywords in comments and names do not count",
        "from mail.company.by (note by relay; with id [x] (from inside)) (rdns.example [192.0.2.1]) by mx.id.example with ESMTP" + DATE,
        {"from_ip": "192.0.2.1", "by": "mx.id.example", "helo": "mail.company.by"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"), [case[1:] for case in DIALECTS], ids=[case[0] for case in DIALECTS]
)
def test_the_dialect_is_read(value: str, expected: dict[str, Any]) -> None:
    received = parse_received(value)
    assert {name: getattr(received, name) for name in expected} == expected
    assert received.date == datetime(2026, 11, 24, 0, 2, 3, tzinfo=UTC)
    assert parse_received(value.replace(" ", "\r\n\t", 3).encode()) == received


@pytest.mark.parametrize(
    "name", ["fetchmail.spam.example", "postfix", "squirrelmail.spam.example", "exim.spam.example", "dovecot"]
)
def test_a_client_cannot_choose_the_dialect_by_its_name(name: str) -> None:
    received = parse_received(f"from {name} ({name} [192.0.2.1]) by mx.example with ESMTP id 1" + DATE)
    assert (received.dialect, received.from_ip) == ("", "192.0.2.1")


@pytest.mark.parametrize(
    ("value", "defect"),
    [
        ("from attacker.example (open; by mx.example" + DATE, "unclosed-comment"),
        ("from attacker.example [open; by mx.example" + DATE, "unclosed-domain-literal"),
        ("from attacker.example <open; by mx.example" + DATE, "unclosed-angle-address"),
        ('from attacker.example "open; by mx.example' + DATE, "unclosed-quoted-string"),
    ],
)
def test_what_follows_an_unclosed_construct_is_not_read(value: str, defect: str) -> None:
    received = parse_received(value)
    assert (received.defect, received.by, received.from_ip) == (defect, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue, 24 Nov 2026 01:02:03 +0100", "2026-11-24T00:02:03"),
        ("24 Nov 26 01:02 EST", "2026-11-24T06:02:00"),
        ("Tue Nov 24 01:02:03 2026", "2026-11-24T01:02:03"),
        ("2026-11-24 01:02:03.123456789 +0000 UTC m=+1", "2026-11-24T01:02:03"),
        ("Tue, 24 Nov 2026 23:59:60 GMT", "2026-11-24T23:59:59"),
        ("Tue, 24 Nov 2026 01:02:03.516 +0000 (UTC)", "2026-11-24T01:02:03"),
        ("Tue, 31 Feb 2026 01:02:03 +0000", None),
        ("Tue, 24 Nov 2026 01:02:03 +9999", None),
        ("Tue, 01 Jan 0001 00:00:00 +0100", None),
        ("yesterday", None),
    ],
)
def test_dates_are_read_in_utc_or_not_at_all(text: str, expected: str | None) -> None:
    found = parse_date(text)
    assert (found.replace(tzinfo=None).isoformat() if found else None) == expected


@pytest.mark.parametrize(
    "value",
    ["(" * 8_000, "(a" * 4_000, "((((a" * 1_600, "from " + "(\\" * 4_000, ";" * 8_000, "; 1 Jan " * 1_000, "[" * 8_000, "<" * 8_000,
     '"' * 8_001, "from " + "a@" * 4_000, "from x (" + "a" * 8_000, "(from " + "(a)" * 2_500, "by " * 2_600, "1 Jan 2026 " * 700,
     "from x ([" + "1:" * 4_000 + "])", "from x (" + "HELO " * 1_600 + ")", "x" * 1_000_000, "from a b " + " " * 1_000_000],
)  # fmt: skip
def test_hostile_fields_take_no_time(value: str) -> None:
    begun = time.process_time()
    parse_received(value)
    assert time.process_time() - begun < 0.2


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=200) | st.lists(st.sampled_from(["from", "by", "with", "id", "for", "(", ")", "[", "]", "<", ">", ";", '"', "\\", "192.0.2.1", "[192.0.2.1]", "IPv6:", "helo=", "(HELO x)", "::1", "Tue, 24 Nov 2026 01:02:03 +0100", "unknown", "\0", "@", "SMTP"]), max_size=25).map(" ".join))  # fmt: skip
def test_reading_never_raises(value: str) -> None:
    received = parse_received(value)
    assert received.from_ip is None or canonical_ip(received.from_ip) == received.from_ip
    assert parse_received(value.encode()).date == received.date


def cases(name: str) -> list[dict[str, Any]]:
    if not DATA.is_dir():
        pytest.skip("../shared/data/received absent")
    found: list[dict[str, Any]] = json.loads((DATA / name).read_text("utf-8"))["cases"]
    return found


# Where a suite is wrong for us, the case and the reason.
SPAMASSASSIN_DIFFERS = {
    ("rcvd_parser-040", "helo"): "Exim 3 with a patch: the comment behind the name; nothing follows from it",
    ("rcvd_parser-040", "rdns"): "the same; Stalwart's suite reads this line as we do",
    ("rcvd_parser-046", "helo"): "an address literal is what the client said",
    ("rcvd_parser-091", "rdns"): "an address is no name",
    ("rcvd_parser-110", "helo"): "obtuse smtpd writes one name and does not tell which it is",
    ("rcvd_parser-110", "rdns"): "obtuse smtpd writes one name and does not tell which it is",
    ("rcvd_parser-126", "helo"): "the address in brackets is the one seen, not a claim",
    ("rcvd_parser-141", "helo"): "a browser says no HELO; the name is what the web server looked up",
    ("rcvd_parser-141", "rdns"): "a browser says no HELO; the name is what the web server looked up",
}


def test_the_received_cases_of_spamassassin_are_read_alike() -> None:
    differences, fields = [], 0
    for case in cases("spamassassin-rcvd_parser.json"):
        expected = case["expected"]
        if isinstance(expected, str):
            continue
        received = parse_received(case["received"])
        found = {
            "ip": received.from_ip,
            "rdns": received.rdns,
            "helo": received.helo,
            "by": received.by,
            "id": received.id,
        }
        for name, value in found.items():
            fields += 1
            wanted = canonical_ip(expected[name]) if name == "ip" else expected[name].strip("!?").lower()
            if (wanted or "") != (value or "").strip("?").lower() and (
                case["id"],
                name,
            ) not in SPAMASSASSIN_DIFFERS:
                differences.append((case["id"], name, wanted, value))
    assert fields > 300
    assert differences == []


def test_the_received_cases_of_stalwart_are_read_alike() -> None:
    fields, differences = 0, []
    for case in cases("stalwart-received.json"):
        expected, received = case["expected"], parse_received(case["header"])
        wanted = {
            "from_ip": canonical_ip(expected.get("from_ip", "")),
            "by": next(iter(expected.get("by", {}).values()), "").lower(),
            "for_": expected.get("for_"),
            "id": expected.get("id"),
            "helo": next(iter(expected["helo"].values())).lower() if "helo" in expected else None,
            "rdns": expected.get("from_iprev"),
        }
        for name, value in wanted.items():
            if value:
                fields += 1
                if (getattr(received, name) or "") != value.rstrip("."):
                    differences.append((case["id"], name, value, getattr(received, name)))
    assert fields > 250
    assert len(differences) <= 0.02 * fields, differences
