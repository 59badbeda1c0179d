"""What mail programs hand over, one golden case per program and way (docs/intake.md): tests/clients/cases.toml."""

import base64
import gzip
import io
import json
import struct
import time
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import app
from complaints import outlook
from complaints.links import links
from complaints.message import parse
from complaints.rtf import read_rtf
from complaints.signatures import verify
from complaints.signing import dns_record, make_key, sign
from complaints.terminal import UNUSABLE
from complaints.terminal_trace import trace_lines
from complaints.trace import Trust, trace
from complaints.unwrap import Item, open_file, unwrap_forward, unwrap_paste
from tests.outlook_files import (
    BODY,
    CODEPAGE,
    DATA,
    HEADERS,
    HTML,
    LONG_NAME,
    METHOD,
    MIME,
    RTF,
    SENDER,
    SUBJECT,
    Properties,
    msg,
    tnef,
)  # fmt: skip
from tests.website import running_website, spam

HERE = Path(__file__).parent / "clients"
SPAM = (HERE / "spam.eml").read_bytes()
CASES: list[dict[str, Any]] = tomllib.loads((HERE / "cases.toml").read_text())["case"]
LINES = SPAM[: SPAM.index(b"\r\n\r\n")].decode() + "\r\n\r\n--inner-1\r\nContent-Type: text/plain\r\n\r\n"
KEPT: Properties = {
    HEADERS: LINES,
    BODY: "Collect it: http://shop.example/win\r\n",
    HTML: b'<p>Collect it: <a href="http://shop.example/win">f\xfcr Sie</a></p>',
    CODEPAGE: 1252,
}
WITH_BANNER: Properties = KEPT | {HEADERS: f"Microsoft Mail Internet Headers Version 2.0\r\n{LINES}"}
FILE: Properties = {LONG_NAME: "prize.pdf", MIME: "application/pdf", DATA: b"%PDF-1.7" + bytes(5_000)}


def forward(kind: str, content: bytes, name: str = "", more: str = "") -> bytes:
    head = f'From: maria@reporter.example\r\n{more}Content-Type: multipart/mixed; boundary="out"\r\n\r\n'
    part = f'--out\r\n\r\nspam\r\n--out\r\nContent-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: '
    return f"{head}{part}base64\r\n\r\n".encode() + base64.encodebytes(content) + b"--out--\r\n"


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def locked(content: bytes, password: bytes = b"infected") -> bytes:
    """A zip file of one stored member under the classic encryption (APPNOTE.TXT 6.1), as `zip -P` makes it."""
    keys = [0x12345678, 0x23456789, 0x34567890]
    table = [0] * 256
    for n in range(256):
        value = n
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        table[n] = value

    def step(byte: int) -> None:
        keys[0] = keys[0] >> 8 ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = keys[2] >> 8 ^ table[(keys[2] ^ keys[1] >> 24) & 0xFF]

    for byte in password:
        step(byte)
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    coded = bytearray()
    for byte in bytes(11) + bytes([crc >> 24]) + content:
        word = keys[2] | 2
        coded.append(byte ^ (word * (word ^ 1) >> 8 & 0xFF))
        step(byte)
    fields = (20, 1, 0, 0, 33, crc, len(coded), len(content), 8)
    local = b"PK\3\4" + struct.pack("<HHHHHIIIHH", *fields, 0) + b"spam.eml" + bytes(coded)
    entry = b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, *fields, *[0] * 6) + b"spam.eml"
    return local + entry + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)


def cut_at_50_kib() -> bytes:
    long = SPAM.replace(b"Collect it: http", b"x" * 70 + b"\r\n" + b"Collect it: http")
    long = long.replace(b"--inner-1--", b"long text\r\n" * 6_000 + b"--inner-1--")
    return long[: 50 * 1024]


ENCAPSULATED = rb"""{\rtf1\ansi\ansicpg1251\fromhtml1 \deff0
{\fonttbl{\f0\fswiss\fcharset204 Arial;}{\f1\fmodern Courier New;}{\f2\fnil\fcharset128 MS Gothic;}}
{\colortbl\red0\green0\blue0;}\uc1\pard\plain\f0\fs24 {\*\htmltag50 <body>}\htmlrtf \lang1033 \htmlrtf0
{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 \'cf\'f0\'e8\'e2\'e5\'f2 \u8364?
{\*\htmltag84 <a href="http://shop.example/win">}\htmlrtf {\field{\*\fldinst{HYPERLINK "http://other.example/"}}
{\fldrslt\htmlrtf0 gift\htmlrtf }\htmlrtf0 \htmlrtf }\htmlrtf0 {\*\htmltag92 </a>}\htmlrtf\par}\htmlrtf0
{\*\mhtmltag84 <a href="cid:x">}{\f2 \'83\'65\'83\'58} \u-10179?\u-8704?{\*\htmltag72 </p>}}"""


def packed(rtf: bytes) -> bytes:
    compressed: bytes = pytest.importorskip("compressed_rtf").compress(rtf, True)
    return compressed


def bomb() -> bytes:
    """A text that unpacks to much, and takes long ([MS-OXRTFCP])."""
    copies = b"\xff" * 700_000
    check = pytest.importorskip("compressed_rtf.crc32").crc32(copies)
    return struct.pack("<II4sI", len(copies) + 12, 9, b"LZFu", check) + copies


MX = "mx.reporter.example"
WHEN = "Tue, 24 Nov 2026 01:00:03 +0000"
ON_THE_WAY = {
    "addy.io": (
        f"from mail.addy.io (mail.addy.io [192.0.2.40]) by {MX} (Postfix) with ESMTPS id 1; {WHEN}",
        f"from helo.example (rdns.example [198.51.100.7]) by mail.addy.io (Postfix) with ESMTPS id 2; {WHEN}",
    ),
    "SimpleLogin": (
        f"from mail-200162.simplelogin.co (mail-200162.simplelogin.co [192.0.2.41]) by {MX} (Postfix) with ESMTPS id 1; {WHEN}",
        f"from helo.example (rdns.example [198.51.100.7]) by mx1.simplelogin.co (Postfix) with ESMTPS id 2; {WHEN}",
    ),
    "Cloudflare Email Routing": (
        f"from di-ci.cloudflare-email.net (di-ci.cloudflare-email.net [192.0.2.42]) by {MX} (Postfix) with ESMTPS id 1; {WHEN}",
        f"from helo.example (198.51.100.7)\r\n        by cloudflare-email.net (cloudflare) id GY1KdjWjOU9O\r\n        for <me@own.example>; {WHEN}",
    ),
    "fetchmail": (
        f"from pop.reporter.example [192.0.2.43] by localhost with POP3 (fetchmail-6.4.39) for <me@localhost> (single-drop); {WHEN}",
        f"from helo.example (rdns.example [198.51.100.7]) by {MX} (Postfix) with ESMTP id 2; {WHEN}",
    ),
    "forward file": (
        f"from old.reporter.example (old.reporter.example [192.0.2.44]) by {MX} (Postfix) with ESMTPS id 1; {WHEN}",
        f"from helo.example (rdns.example [198.51.100.7]) by old.reporter.example (Postfix) with ESMTP id 2; {WHEN}",
    ),
    "Firefox Relay": (
        f"from a1.smtp-out.amazonses.com (a1.smtp-out.amazonses.com [192.0.2.45]) by {MX} (Postfix) with ESMTPS id 1; {WHEN}",
    ),
}


def in_the_text(text: str, head: str) -> bytes:
    """A forward in the text of a new mail."""
    top = f"From: maria@reporter.example\r\nTo: k7m4q2xw9d@in.plaint.example\r\nSubject: Fwd: You have won\r\n{head}\r\n"
    return f"{top}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()


def passed_on(service: str) -> bytes:
    """A spam as it came through a service, attached."""
    lines = "".join(f"Received: {line}\r\n" for line in ON_THE_WAY[service])
    return forward("message/rfc822", lines.encode() + SPAM[SPAM.index(b"From: ") :], "spam.eml")


SUMMARY = "From: Prize Office <win@spam.example>\r\nDate: Tue, 24 Nov 2026\r\nSubject: You have won\r\n\r\nCollect it\r\n"
BOUNCE = (HERE / "mutt-bounce.eml").read_bytes()
ALPINE = b"Resent-Subject: You have won\r\nResent-Message-ID: <alpine.DEB.2.26@reporter.example>"
ABOVE = b"Original Message\nMessage ID\t<prize.1@spam.example>\nCreated at:\tTue, 24 Nov 2026\nDownload Original\tCopy to clipboard\n\n"
BUILT = {
    "inline with all header lines": lambda: in_the_text(
        "-------- Forwarded Message --------\r\n" + SPAM.decode(), "User-Agent: Mozilla Thunderbird"
    ),
    "alpine's bounce": lambda: BOUNCE.replace(b"Resent-Message-ID: <re.1@reporter.example>", ALPINE),
    "sup's bounce": lambda: b"Received: from smtp.reporter.example by in.plaint.example; x\r\n" + SPAM,
    "Gmail app": lambda: in_the_text(
        "---------- Forwarded message ---------\r\n" + SUMMARY, "Message-ID: <CA+1@mail.gmail.com>"
    ),
    "Samsung Email": lambda: in_the_text(
        "-------- Original message --------\r\n" + SUMMARY, "Message-ID: <a.1@email.android.com>"
    ),
    "new Outlook": lambda: in_the_text("________________________________\r\n" + SUMMARY, "X-MS-Has-Attach: "),
    "Yahoo Mail": lambda: in_the_text(
        "----- Forwarded Message -----\r\n" + SUMMARY, "X-Mailer: WebService/1.1 YMailNodin"
    ),
    "through addy.io": lambda: passed_on("addy.io"),
    "through Firefox Relay": lambda: passed_on("Firefox Relay"),
    "through Cloudflare": lambda: passed_on("Cloudflare Email Routing"),
    "Show original": lambda: ABOVE + SPAM.replace(b"\r\n", b"\n"),
    "raw message": lambda: SPAM.replace(b"\r\n", b"\n"),
    "message details": lambda: (
        (HERE / "outlook-internet-headers.txt").read_bytes().replace(b": ", b":\r\n", 3)
    ),
    "zip": lambda: zipped(("spam.eml", SPAM), ("folder/", b""), ("__MACOSX/._spam.eml", b"x")),
    "zip with the password infected": lambda: locked(SPAM),
    "zip with another password": lambda: locked(SPAM, b"secret"),
    "gz": lambda: gzip.compress(SPAM, mtime=0),
    "zip attached": lambda: forward("application/zip", zipped(("spam.eml", SPAM)), "spam.zip"),
    "zip with the password infected, attached": lambda: forward("application/zip", locked(SPAM), "spam.zip"),
    "gz attached": lambda: forward("application/gzip", gzip.compress(SPAM, mtime=0), "spam.eml.gz"),
    "mbox in a zip attached": lambda: forward(
        "application/zip", zipped(("mbox", (HERE / "mailbox.mbox").read_bytes())), "box.zip"
    ),
    "empty zip attached": lambda: forward("application/zip", zipped(), "spam.zip"),
    "cut at 50 KiB": lambda: forward("message/rfc822", cut_at_50_kib(), "message.eml"),
    "cut at 50 KiB, as text": lambda: forward("text/plain", cut_at_50_kib(), "message.txt"),
    "msg": lambda: msg(KEPT, FILE),
    "msg with the old banner": lambda: msg(WITH_BANNER, FILE),
    "msg without header lines": lambda: msg({BODY: "Collect it"}),
    "msg without Received lines": lambda: msg(KEPT | {HEADERS: "From: x@spam.example\r\nSubject: x\r\n"}),
    "msg without a text": lambda: msg({HEADERS: LINES}),
    "msg with the text in RTF": lambda: msg({HEADERS: LINES, RTF: packed(ENCAPSULATED)}),
    "winmail.dat with the text in RTF": lambda: forward(
        "application/ms-tnef", tnef({HEADERS: LINES, RTF: packed(ENCAPSULATED)}), "winmail.dat"
    ),
    "msg with a message attached": lambda: msg(
        {HEADERS: LINES, BODY: "see below"},
        {METHOD: 5, LONG_NAME: "Invoice", DATA: {SENDER: "Shop", SUBJECT: "Pay", RTF: packed(ENCAPSULATED)}},
    ),
    "msg damaged": lambda: msg(KEPT)[:700] + b"__substg1.0_".decode().encode("utf-16-le"),
    "msg attached": lambda: forward(
        "application/octet-stream", msg(KEPT, FILE), "You have won.msg", "X-MS-Has-Attach: yes\r\n"
    ),
    "winmail.dat with the message": lambda: forward("application/ms-tnef", tnef(KEPT), "winmail.dat"),
    "winmail.dat with a file": lambda: forward(
        "application/ms-tnef", tnef(("note.txt", b"hello"), ("spam.eml", SPAM)), "winmail.dat"
    ),
    "winmail.dat without a message": lambda: forward(
        "application/ms-tnef", tnef(), "winmail.dat", "X-MS-Has-Attach: yes\r\n"
    ),
}


THEIRS = ["maria@reporter.example"]


def is_ours(address: str) -> bool:
    return address == "k7m4q2xw9d@in.plaint.example"


def handed_over(case: dict[str, Any]) -> tuple[bytes, list[Item]]:
    raw = BUILT[case["built"]]() if "built" in case else (HERE / case["file"]).read_bytes()
    if "pasted" in case:
        return raw, unwrap_paste(raw)
    return raw, open_file(raw, case["upload"]) if "upload" in case else unwrap_forward(raw, is_ours, THEIRS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["client"])
def test_what_a_client_hands_over_is_taken_or_refused_as_expected(case: dict[str, Any]) -> None:
    raw, items = handed_over(case)
    assert len(items) == len(case["items"])
    for item, expected in zip(items, case["items"], strict=True):
        assert item.grade == expected["grade"]
        assert (item.spam is not None) == ("sha256" in expected), item.reason
        for word in ("lost", "reason", "remedy"):
            said = getattr(item, word)
            assert (said is None) == (word not in expected), said
            assert expected.get(word, "") in (said or ""), said
        if item.spam is not None:
            assert sha256(item.spam).hexdigest() == expected["sha256"]
            assert (item.start is not None) == expected["verbatim"]
            assert item.start is None or raw[item.start : item.end] == item.spam


def test_every_fixture_is_a_case() -> None:
    named = {case.get("file", "cases.toml") for case in CASES}
    assert named == {file.name for file in HERE.iterdir()}
    assert {case["built"] for case in CASES if "built" in case} == set(BUILT)


def test_a_redirect_that_does_not_name_the_submission_address_may_be_forged() -> None:
    raw = (HERE / "mutt-bounce.eml").read_bytes()
    for changed in (raw.replace(b"k7m4q2xw9d@in", b"guessed@in"), raw.replace(b"Resent-To", b"Resent-Xy")):
        (item,) = unwrap_forward(changed, is_ours)
        assert item.spam is None
        assert "no Resent-To line names your submission address" in (item.reason or "")


def test_what_a_spam_says_of_itself_chooses_no_grade() -> None:
    forged = (
        b"Received: from a by mail-1.protonmail.ch; x\r\nX-Pm-Origin: external\r\nX-MS-Has-Attach: yes\r\n"
    )
    told = SPAM.replace(b'From: "Prize', forged + b'X-Mailer: Microsoft Outlook\r\nFrom: "Prize')
    (uploaded,), (attached,) = open_file(told), unwrap_forward(forward("message/rfc822", told))
    assert uploaded.spam == attached.spam == told
    assert [uploaded.grade, attached.grade, uploaded.lost, attached.lost] == ["A", "A", None, None]


def test_of_a_message_that_was_cut_no_signature_is_called_bad() -> None:
    pem = make_key()
    head = b"Received: from a ([198.51.100.7]) by b.example; x\r\nFrom: x@spam.example\r\nSubject: x\r\n\r\n"
    whole = head + b"long text\r\n" * 6_000
    signed = sign(whole, selector="s", domain="spam.example", pem=pem) + whole
    keys = {"s._domainkey.spam.example": (dns_record(pem),)}
    for raw, result in ((signed, "pass"), (signed[:51_200], "not checkable"), (signed[:51_100], "fail")):
        (item,) = unwrap_forward(forward("message/rfc822", raw, "message.eml"))
        assert item.spam is not None
        (found,) = verify(parse(item.spam), keys, item.grade)
        assert (found.result, item.grade) == (result, "A")
        assert ("Cut off" in (item.lost or "")) == (result == "not checkable")


def test_the_reporters_own_redirect_is_told_by_the_secret_in_it(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        ours, statuses = website.alice.submission_address, []
        for address in (ours.upper(), website.bob.submission_address):
            block = (
                f"Received: from a by b; x\r\nResent-From: a@b.example\r\nResent-To: <{address}>\r\n".encode()
            )
            answer = website.api("POST", "/submissions?forward=1", content=block + spam())
            statuses += [item["status"] for item in answer.json()["items"]]
    assert statuses == ["accepted", "refused"]


@pytest.mark.parametrize("built", ["msg", "winmail.dat with the message"])
def test_what_outlook_keeps_leads_to_the_source_and_the_links(built: str) -> None:
    (item,) = open_file(BUILT[built]()) if built == "msg" else unwrap_forward(BUILT[built]())
    assert item.spam is not None
    message = parse(item.spam)
    found = trace(message, Trust.of({"reporter.example"}), item.grade)
    assert found.source is not None
    assert (found.source.ip, found.grade) == ("198.51.100.7", "B")
    assert [link.url for link in links(message).web] == ["http://shop.example/win"]
    assert "für Sie" in message.parts[1].text()


@pytest.mark.parametrize(
    "built", ["msg with the text in RTF", "winmail.dat with the text in RTF", "msg with a message attached"]
)
def test_links_of_a_text_that_outlook_packed_into_rtf_are_read(built: str) -> None:
    (item,) = open_file(BUILT[built]()) if built.startswith("msg") else unwrap_forward(BUILT[built]())
    assert item.spam is not None
    message = parse(item.spam)
    assert [link.url for link in links(message).web] == ["http://shop.example/win"]
    texts = [part.text() for part in message.leaves()]
    if "attached" in built:
        (inner,) = [
            parse(part.content()) for part in message.leaves() if part.content_type == "message/rfc822"
        ]
        assert (inner.get("from"), inner.get("subject")) == ("Shop", "Pay")
        texts = [part.text() for part in inner.leaves()]
    [text] = [one for one in texts if "</a>" in one]
    assert text.startswith("<body><p>Привет €<a href=")
    assert text.endswith("gift</a>テス 😀</p>")


def test_other_rtf_is_read_as_text_and_hostile_rtf_in_linear_time() -> None:
    given = (
        rb'{\rtf1\ansi{\info{\author X}}\pard Hello \b World\b0\par {\field{\*\fldinst HYPERLINK "http://shop.example/x"}'
        rb"{\fldrslt{here}}}\par{\*\generator Riched20;}{\pict\bin5 }{{{}00}\~end \{\}}"
    )
    assert read_rtf(given) == ("", "Hello World\r\n<http://shop.example/x> here\r\n\xa0end {}")
    assert read_rtf(b"{\\rtf1\\fromtext a\\line b\\") == ("", "a\r\nb")
    assert read_rtf(b"plain") == ("", "")
    for part in (b"{", b"}", b"\\u1", b"{\\*\\fldinst HYPERLINK", b"\\'e4", b"\\f1 x", b"\\bin9999999999"):
        began = time.process_time()
        read_rtf(b"{\\rtf1" + part * 20_000)
        assert time.process_time() - began < 1


def test_a_bomb_of_rtf_leaves_the_header_lines() -> None:
    """A text that would take seconds to unpack costs the text only."""
    (item,) = open_file(msg({HEADERS: LINES, RTF: bomb()}))
    assert item.spam is not None
    assert item.lost == outlook.HEADER_ONLY


def test_trace_reads_what_outlook_saved(tmp_path: Path) -> None:
    file = tmp_path / "spam.msg"
    file.write_bytes(BUILT["msg with the text in RTF"]())
    done = CliRunner().invoke(app, ["trace", "--json", "--trust", "reporter.example", str(file)])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["source"]["ip"] == "198.51.100.7"
    assert [link["url"] for link in document["links"]] == ["http://shop.example/win"]
    assert document["lost"] == outlook.REMADE
    file.write_bytes(BUILT["msg without header lines"]())
    done = CliRunner().invoke(app, ["trace", str(file)])
    assert done.exit_code == UNUSABLE
    assert "holds no header lines" in done.output


@pytest.mark.parametrize("kind", ["msg", "tnef"])
def test_without_the_extra_a_file_of_outlooks_is_refused_with_what_to_do(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "is_installed", lambda extra: False)
    (item,) = open_file(msg(KEPT) if kind == "msg" else tnef(KEPT), "spam")
    assert item.spam is None
    assert "cannot be opened here" in (item.reason or "")
    assert "Outlook" in (item.remedy or "")


def test_a_submission_opens_only_so_many_files_of_outlooks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def run(_: str, given: bytes, **__: float) -> bytes:
        asked.append(given)
        return b""

    monkeypatch.setattr(outlook, "run", run)
    items = open_file(zipped(*((f"{n}.msg", msg({BODY: "x"})) for n in range(60))))
    assert len(asked) == 50
    assert [item.spam for item in items] == [None] * 60
    assert "at a time" in (items[-1].reason or "")


def test_a_file_that_never_ends_is_refused_when_its_time_is_over() -> None:
    many = struct.pack("<BHHIBH", 1, 0, 6, 1, 0, 0) * 300_000  # the library copies the rest for each of them
    (item,) = open_file(tnef() + many, "winmail.dat")
    assert item.spam is None
    assert "cannot be read within the limits" in (item.reason or "")


@pytest.mark.parametrize(
    "said",
    [b"", b"\n", b"nonsense\n", b'{"name": "a"}\n', b'{"name": "a", "size": 9, "remade": true, "without": []}\nshort',
     b'{"name": "a", "size": -9, "remade": true, "without": []}\n', b"[" * 5_000 + b"\n"],
    ids=range(7),
)  # fmt: skip
def test_a_child_gone_mad_gives_a_refusal(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlook, "run", lambda *_, **__: said)
    (item,) = open_file(msg(KEPT), "spam.msg")
    assert item.spam is None
    assert "damaged" in (item.reason or "")


def test_what_was_lost_is_said_at_once_and_where_the_evidence_is_shown(tmp_path: Path) -> None:
    kept = KEPT | {HEADERS: spam().decode().partition("\r\n\r\n")[0]}
    with running_website(tmp_path) as website:
        line = website.api("POST", "/submissions?filename=spam.msg", content=msg(kept)).json()["items"][0]
        website.analyse(line["complaint"])
        page = website.http.get(website.review(line["complaint"])).text
        document = website.show(line["complaint"])
    assert line["lost"] == document["evidence"]["lost"] == outlook.REMADE
    assert outlook.REMADE in page
    assert outlook.REMADE in " ".join(" ".join(trace_lines(document["evidence"])).split())


@pytest.mark.parametrize("service", ON_THE_WAY)
def test_a_service_that_passes_mail_on_to_the_reporter_is_never_accused(service: str) -> None:
    sender = "x@mozmail.com" if service == "Firefox Relay" else "win@spam.example"
    below = f"from victim.example (victim.example [203.0.113.99]) by helo.example with SMTP; {WHEN}"
    lines = [f"Received: {one}" for one in (*ON_THE_WAY[service], below)]
    spam = "\r\n".join([*lines, f"From: {sender}", "Subject: You have won", "", "x"]).encode()
    found = trace(parse(spam), Trust.of({"reporter.example"})).source
    assert (found and found.ip) == (None if service == "Firefox Relay" else "198.51.100.7")
