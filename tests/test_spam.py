"""The evidence of a spam in the shape that others build on."""

import hashlib
import json
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.spam import read
from complaints.trace import Trust
from tests.test_signatures import rsa_record, sign

DATA = Path(__file__).parents[1] / "../shared/data"
SPAM = (
    b"Authentication-Results: mx.reporter.example; dkim=pass header.d=esp.example header.s=s1\r\n"
    b"Received: from helo.example (rdns.example [198.51.100.7]) by mx.reporter.example (Postfix)\r\n"
    b" with ESMTPS id 4ABC for <you@reporter.example>; Tue, 24 Nov 2026 02:00:00 +0100\r\n"
    b"From: Spammer <x@spam.example>\r\nSubject: =?utf-8?Q?buy=0Anow?=\r\n\r\nBuy at http://shop.example/ or write to drop@box.example\r\n"
)


def test_the_document_has_the_contracted_shape() -> None:
    evidence = read(SPAM, Trust.of([]))
    document = evidence.document()
    assert document["source"]["ip"] == "198.51.100.7"
    assert set(document["source"]) >= {"ip", "hop", "why", "confidence"}
    assert document["hops"] == [
        {
            "n": 0, "from_ip": "198.51.100.7", "from_name": "rdns.example", "helo": "helo.example", "by": "mx.reporter.example", "with": "ESMTPS",
            "id": "4ABC", "for": "you@reporter.example", "date": "2026-11-24T01:00:00Z", "trusted": True, "why": document["hops"][0]["why"],
            "tls": None,
        }
    ]  # fmt: skip
    assert document["links"] == [
        {
            "url": "http://shop.example/",
            "host": "shop.example",
            "domain": "shop.example",
            "found_in": "text",
            "via": [],
            "notes": [],
            "used": "",
        }
    ]
    assert document["lures"] == [{"kind": "mail", "value": "drop@box.example", "found_in": "text"}]
    assert document["authentication"] == [
        {
            "method": "dkim",
            "result": "pass",
            "domain": "esp.example",
            "by": "mx.reporter.example",
            "selector": "s1",
        }
    ]
    assert document["grade"] == "A"
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize(
    ("signer", "border", "trust", "candidate"),
    [
        ("esp.example", "mx.reporter.example", (), True),
        ("list.reporter.example", "mx.reporter.example", (), False),
        ("esp.example", "mx.reporter.example", ("relay.esp.example",), False),
        ("improvmx.com", "mx1.improvmx.com", (), False),
        ("gmail.com", "mx.google.com", (), True),
        ("yahoo.com", "atlas1.mail.ne1.yahoo.com", (), True),
    ],
)
def test_who_passes_the_reporters_mail_on_is_no_candidate_for_signing_it(
    signer: str, border: str, trust: tuple[str, ...], candidate: bool
) -> None:
    raw = sign(SPAM.replace(b"mx.reporter.example", border.encode()), d=signer.encode())
    keys = {f"sel._domainkey.{signer}": [rsa_record()]}
    [found] = read(raw, Trust.of(trust), keys=keys).signatures
    assert (found.result, found.candidate) == ("pass", candidate)
    assert ("your mail passes through its hosts" in found.why) is not candidate


def test_subject_date_and_digest() -> None:
    evidence = read(SPAM, Trust.of([]))
    assert evidence.subject == "buy\ufffdnow"
    assert evidence.received_at == datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
    assert evidence.digest == "sha256:" + hashlib.sha256(SPAM).hexdigest()


def test_no_value_of_the_document_can_break_a_line() -> None:
    raw = (
        SPAM.replace(b"helo.example", b"he\x1b[31mlo")
        .replace(b"4ABC", b"4\x07\xc2\x9bC")
        .replace(b"shop.example/", b"shop.example/\x1b]0;x\x07")
    )
    text = json.dumps(read(raw, Trust.of([])).document(), ensure_ascii=False)
    assert not [letter for letter in text if ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, len(SPAM)), st.integers(0, 40))
def test_mutated_spam_is_always_read(junk: bytes, at: int, cut: int) -> None:
    json.dumps(read(SPAM[:at] + junk + SPAM[at + cut :], Trust.of(["reporter.example"])).document())


@pytest.mark.parametrize(
    "name",
    [
        "spamassassin-public",
        "phishing-pot",
        "spamassassin-tdata",
        "mime-mimekit",
        "mime-misc",
        "mime-stalwart",
        "rspamd",
        "mime-mime4j",
    ],
)
def test_real_messages_are_read_within_a_second_each(name: str) -> None:
    path = DATA / f"messages/{name}.zip"
    if not path.is_file():
        pytest.skip(f"../shared/data/messages/{name}.zip absent")
    with zipfile.ZipFile(path) as archive:
        names = [entry for entry in archive.namelist() if not entry.endswith(("/", ".json", ".jsonl", ".md"))]
        for entry in names[:: max(1, len(names) // 200)]:
            raw = archive.read(entry)
            begun = time.process_time()
            json.dumps(read(raw, Trust.of([])).document())
            assert time.process_time() - begun < 1, entry
