"""A submission gives its spams byte for byte, or a reason and a remedy."""

import base64
import gzip
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints import passed_on
from complaints.archives import Room, unpack
from complaints.message import parse
from complaints.unwrap import MAX_ITEMS, open_file, unwrap_forward, unwrap_paste
from tests.bombs import one_for_all

SPAM = (
    b"Received: from helo.example (rdns.example [198.51.100.7]) by mx.reporter.example (Postfix) with ESMTP id 1;\r\n"
    b"\tTue, 24 Nov 2026 01:00:00 +0000\r\n"
    b"From: Spammer <x@spam.example>\r\nTo: you@reporter.example\r\nSubject: buy\r\nDate: Tue, 24 Nov 2026 00:59:00 +0000\r\n"
    b"\r\nBuy at http://shop.example/\r\n"
)


def forward(*parts: bytes, kind: bytes = b"multipart/mixed", extra: bytes = b"") -> bytes:
    body = b"".join(b"--out\r\n" + part + b"\r\n" for part in parts)
    head = b"From: me@reporter.example\r\nSubject: Fwd: buy\r\n" + extra
    return head + b"Content-Type: " + kind + b'; boundary="out"\r\n\r\n' + body + b"--out--\r\n"


def attached(spam: bytes, headers: bytes = b"Content-Type: message/rfc822\r\n") -> bytes:
    return headers + b"\r\n" + spam


TEXT = b"Content-Type: text/plain\r\n\r\nsee attached"


def test_an_attached_message_is_a_slice_of_the_submission() -> None:
    raw = forward(TEXT, attached(SPAM))
    (item,) = unwrap_forward(raw)
    assert item.spam == SPAM
    assert item.start is not None
    assert item.end is not None
    assert raw[item.start : item.end] == SPAM
    assert item.grade == "A"


def test_the_line_break_before_the_boundary_is_not_part_of_the_spam() -> None:
    without = SPAM.rstrip(b"\r\n")
    (item,) = unwrap_forward(forward(attached(without)))
    assert item.spam == without


def test_many_attached_messages_are_many_spams_in_order() -> None:
    spams = [SPAM.replace(b"buy", b"buy %d" % n) for n in range(20)]
    assert [item.spam for item in unwrap_forward(forward(TEXT, *map(attached, spams)))] == spams


@pytest.mark.parametrize("kind", [b"message/rfc822", b"message/global", b"Message/RFC822; name=x.eml"])
@pytest.mark.parametrize("coding", [b"base64", b"quoted-printable"])
def test_a_coded_message_is_decoded_by_hand(kind: bytes, coding: bytes) -> None:
    coded = (
        base64.encodebytes(SPAM)
        if coding == b"base64"
        else SPAM.replace(b"=", b"=3D").replace(b"198", b"=31=39=38")
    )
    head = b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + coding + b"\r\n"
    (item,) = unwrap_forward(forward(attached(coded, head)))
    assert item.spam is not None
    assert parse(item.spam).all("received") == parse(SPAM).all("received")
    assert (item.start, item.end) == (None, None)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: application/octet-stream; name=spam.eml\r\n",
        b"Content-Type: text/plain; name=message.txt\r\nContent-Disposition: attachment\r\n",
        b"Content-Type: application/x-unknown\r\nContent-Disposition: attachment; filename=spam.eml.txt\r\n",
    ],
)
def test_message_sources_under_other_types_are_found(head: bytes) -> None:
    (item,) = unwrap_forward(forward(TEXT, attached(SPAM, head)))
    assert item.spam == SPAM


def test_a_digest_gives_each_message() -> None:
    assert [
        item.spam
        for item in unwrap_forward(forward(b"\r\n" + SPAM, b"\r\n" + SPAM, kind=b"multipart/digest"))
    ] == [SPAM] * 2


def test_a_message_inside_the_spam_is_content() -> None:
    nested = SPAM[: SPAM.index(b"From:")] + forward(TEXT, attached(SPAM)).replace(b"out", b"in")
    (item,) = unwrap_forward(forward(attached(nested)))
    assert item.spam == nested


def packed(*files: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return target.getvalue()


def test_zip_and_gzip_are_opened_by_their_bytes() -> None:
    archive = packed(("a.eml", SPAM), ("folder/", b""), ("folder/b", SPAM))
    assert [item.spam for item in open_file(archive, "misleading.txt")] == [SPAM, SPAM]
    assert [item.spam for item in open_file(gzip.compress(SPAM))] == [SPAM]
    assert [item.spam for item in open_file(packed(("inner.zip", archive)))] == [SPAM, SPAM]


def test_an_attached_zip_is_opened() -> None:
    coded = base64.encodebytes(packed(("a.eml", SPAM)))
    head = b"Content-Type: application/zip; name=spam.zip\r\nContent-Transfer-Encoding: base64\r\n"
    assert [item.spam for item in unwrap_forward(forward(TEXT, attached(coded, head)))] == [SPAM]


def test_archives_have_bounds() -> None:
    bomb = gzip.compress(bytes(70 * 1024 * 1024))
    (item,) = open_file(bomb, "bomb.gz")
    assert item.spam is None
    assert "64 MiB" in (item.reason or "")
    deep = packed(("1.zip", packed(("2.zip", packed(("3.eml", SPAM))))))
    (item,) = open_file(deep)
    assert item.spam is None
    assert "archive inside archives" in (item.reason or "")


def test_encrypted_bytes_are_counted_though_they_unpack_to_nothing() -> None:
    raw = one_for_all(bytes(20_000), 10, kind=zipfile.ZIP_STORED, key=1)
    reasons = [one.reason for one in unpack(raw, "x.zip", Room(encrypted=50_000))]
    assert ["more than 64 MiB" in reason for reason in reasons] == [False] * 2 + [True] * 8


def test_damaged_archives_are_refused_with_a_reason() -> None:
    for raw in (packed(("a.eml", SPAM))[:-30], b"PK\x03\x04nonsense", b"\x1f\x8b\x08nonsense"):
        (item,) = open_file(raw, "broken")
        assert item.spam is None
        assert "broken" in (item.reason or "")
        assert item.remedy


def test_an_mbox_gives_each_message_without_its_from_line() -> None:
    line = b"From x@spam.example Tue Nov 24 01:00:00 2026\n"
    spam = SPAM.replace(b"\r\n", b"\n") + b"\nFrom here on it is text.\n>From quoted\n"
    raw = line + spam + b"\n" + line + spam
    items = open_file(raw)
    assert [item.spam for item in items] == [spam, spam]
    assert all(raw[item.start : item.end] == item.spam for item in items)


def test_of_too_many_messages_it_is_said_that_some_were_left_out() -> None:
    one = b"From a@b.example Tue Nov 24 01:00:00 2026\n" + SPAM.replace(b"\r\n", b"\n") + b"\n"
    boxes = attached(one * (MAX_ITEMS + 5), b"Content-Type: application/mbox; name=a.mbox\r\n")
    for items in (open_file(one * (MAX_ITEMS + 1)), unwrap_forward(forward(boxes))):
        assert [item.spam is None for item in items] == [False] * MAX_ITEMS + [True]
        assert "2,000" in (items[-1].reason or "")
    assert len(open_file(one * MAX_ITEMS)) == MAX_ITEMS


def test_a_paste_is_no_better_than_what_its_writer_left_of_it() -> None:
    proton = b"Received: from a.example by mail.protonmail.ch; Tue, 24 Nov 2026 01:00:00 +0000\r\n" + SPAM
    assert (
        [item.grade for item in unwrap_paste(proton)] == ["C"] == [item.grade for item in open_file(proton)]
    )


def test_a_pasted_header_alone_is_told_with_the_way_to_say_that_there_was_a_text() -> None:
    header, text = SPAM.partition(b"\r\n\r\n")[0], b"Buy now: http://pills.example/\r\n"
    for pasted in (header, header + b"\r\n" + text):
        (item,) = unwrap_paste(pasted)
        assert "Only its header is there" in (item.lost or "")
        assert "empty line between header and text" in (item.lost or "")
    assert [one.kind for one in item.repairs] == ["joined"]
    for again in (unwrap_paste(pasted, {"joined"}), unwrap_paste(header + b"\r\n\r\n" + text)):
        spam = again[0].spam or b""
        assert spam[parse(spam).body :].strip() == text.strip()
        assert "Only its header" not in (again[0].lost or "")


def test_a_file_is_the_spam_itself_even_when_it_is_a_forward() -> None:
    raw = forward(TEXT, attached(SPAM))
    (item,) = open_file(raw, "x.eml")
    assert (item.spam, item.start, item.end) == (raw, 0, len(raw))


def test_an_inline_forward_with_its_header_is_grade_c() -> None:
    dump = b"-------- Forwarded Message --------\r\n\r\n" + b"".join(
        b"> " + line + b"\r\n" for line in SPAM.splitlines()
    )
    program = b"User-Agent: Mozilla Thunderbird\r\n"
    raw = b"From: me@reporter.example\r\n" + program + b"Content-Type: text/plain\r\n\r\nlook:\r\n" + dump
    (item,) = unwrap_forward(raw)
    assert item.grade == "C"
    assert item.spam is not None
    assert "198.51.100.7" in (parse(item.spam).get("received") or "")


@pytest.mark.parametrize("of_zip", [False, True])
def test_a_name_that_a_stranger_gave_a_file_says_little_in_our_letters(of_zip: bool) -> None:
    name = "Your account is locked, sign in at https://pills.example/" + "a" * 500 + ".eml"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, "no header")
    named = b'Content-Type: application/x; name="' + name.encode() + b'"\r\n'
    (item,) = unwrap_forward(
        forward(
            attached(
                base64.b64encode(packed.getvalue()),
                b"Content-Type: a/zip\r\nContent-Transfer-Encoding: base64\r\n",
            )
        )
        if of_zip
        else forward(attached(b"no header", named))
    )
    assert "has no mail header inside" in (item.reason or "")
    assert "locked" not in (item.reason or "")
    assert "http" not in (item.reason or "")
    assert len(item.reason or "") < 150


PASSED_ON = {
    "Sieve": b"Delivered-To: me@reporter.example\r\n",
    "forward file": b"Received: from a.example by mx.reporter.example for <Me@reporter.example>; x\r\n",
}


@pytest.mark.parametrize("trace", PASSED_ON.values(), ids=PASSED_ON.keys())
def test_a_spam_that_a_rule_passed_on_is_told_from_a_forward_and_what_it_carries_is_not_taken(
    trace: bytes,
) -> None:
    mine = trace + forward(TEXT, attached(SPAM), extra=b"To: undisclosed <a@b.example>\r\n")
    spam = mine.replace(b"From: me@reporter.example", b"From: x@spam.example")
    (item,) = unwrap_forward(spam, lambda _: False, ["me@reporter.example"])
    assert (item.spam, item.reason) == (None, passed_on.PASSED_ON)
    for forwarded in (
        unwrap_forward(spam, lambda _: True, ["me@reporter.example"]),  # it is written to us
        unwrap_forward(mine, lambda _: False, ["me@reporter.example"]),  # by the reporter
        unwrap_forward(spam, lambda _: False, ["boss@spam.example"]),  # by somebody at their domain
    ):
        assert [one.spam for one in forwarded] == [SPAM]
    (item,) = unwrap_forward(
        spam, lambda _: False, ["me@elsewhere.example"]
    )  # by nobody of theirs, to nobody
    assert (item.spam, item.reason, item.remedy) == (None, passed_on.NOT_FROM_YOU, passed_on.WRITE_TO_US)


def test_few_of_very_many_resent_to_addresses_are_looked_up() -> None:
    asked: list[str] = []
    raw = b"Resent-To: a@a.example, b@b.example\r\n" * 1_000 + SPAM

    def is_ours(address: str) -> bool:
        asked.append(address)
        return False

    (item,) = unwrap_forward(raw, is_ours)
    assert item.spam is None
    assert 0 < len(asked) <= 100


@pytest.mark.parametrize(
    "above",
    [
        b"---------- Forwarded message ---------\r\nFrom: Spammer <x@spam.example>\r\n",
        b"Look at this\r\n\r\nVon: Spammer\r\nGesendet: Dienstag\r\nBetreff: buy\r\n",
    ],
)
@pytest.mark.parametrize(
    "head", [b"Content-Type: message/rfc822\r\n", b"Content-Type: application/x; name=i.eml\r\n"]
)
def test_what_the_spam_itself_had_attached_is_never_taken_for_the_spam(above: bytes, head: bytes) -> None:
    """Whoever wrote it could accuse anybody with Received lines of their own making."""
    forged = SPAM.replace(b"198.51.100.7", b"203.0.113.66")
    text = b"Content-Type: text/plain\r\n\r\n" + above + b"\r\nSee the invoice"
    (item,) = unwrap_forward(forward(text, attached(forged, head)))
    assert item.spam is None
    assert item.remedy
    assert "may be a part of the spam" in (item.reason or "")


def test_a_signature_with_fields_does_not_hinder_an_attached_spam() -> None:
    text = b"Content-Type: text/plain\r\n\r\nSpam.\r\n--\r\nTel: 1\r\nFax: 2\r\nMail: me@reporter.example\r\n"
    (item,) = unwrap_forward(forward(text, attached(SPAM)))
    assert item.spam == SPAM


def test_a_redirected_message_begins_below_the_resent_block() -> None:
    outer = (
        b"Received: from me.example ([203.0.113.9]) by plaint.example; Tue, 24 Nov 2026 02:00:00 +0000\r\n"
    )
    raw = (
        outer + b"Resent-From: me@reporter.example\r\nResent-Date: Tue, 24 Nov 2026 01:59:00 +0000\r\n" + SPAM
    )
    (item,) = unwrap_forward(raw)
    assert item.spam == SPAM
    assert item.grade == "B"


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        (b"User-Agent: Mozilla Thunderbird\r\n", "Thunderbird"),
        (b"X-Mailer: Microsoft Outlook 16.0\r\n", "Ctrl+Alt+F"),
        (b"X-Mailer: iPhone Mail (21A1)\r\n", "iPhone"),
        (b"Message-ID: <abc@mail.gmail.com>\r\n", "Show original"),
        (b"", ".eml"),
    ],
)
def test_a_plain_forward_is_refused_with_the_way_of_that_client(extra: bytes, word: str) -> None:
    (item,) = unwrap_forward(
        b"From: me@reporter.example\r\n" + extra + b"\r\n---- Forwarded ----\r\nFrom: x\r\n"
    )
    assert item.spam is None
    assert "attached" in (item.reason or "")
    assert word in (item.remedy or "")


def test_empty_and_headerless_attachments_are_told_apart() -> None:
    empty, headless = unwrap_forward(forward(attached(b""), attached(b"no header at all\r\nhere")))
    assert "empty" in (empty.reason or "")
    assert "no mail header" in (headless.reason or "")


def test_outlook_files_are_refused_with_a_remedy() -> None:
    (item,) = open_file(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "spam.msg")
    assert item.spam is None
    assert ".msg" in (item.reason or "")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400) | st.lists(st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08", b"From a b\n", b"Subject: x\n", b"\n", b"Received: from a by b\n", b"--out\n", SPAM, b"Content-Type: message/rfc822\n\n", b"Content-Type: multipart/mixed; boundary=out\n\n", b"Resent-From: a\n", b"> "]), max_size=15).map(b"".join))  # fmt: skip
def test_unwrapping_never_raises(raw: bytes) -> None:
    for item in unwrap_forward(raw) + open_file(raw):
        assert (item.spam is None) == (item.reason is not None) == (item.remedy is not None)
        if item.start is not None and item.spam is not None:
            assert raw[item.start : item.end] == item.spam
