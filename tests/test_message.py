"""A message is read by byte offsets, whatever its bytes are."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.message import MAX_PARTS, Header, parse

MULTIPART = (
    b"From: a@example.com\r\n"
    b"Subject: two parts\r\n"
    b'Content-Type: multipart/mixed; boundary="b1"\r\n'
    b"\r\n"
    b"preamble\r\n"
    b"--b1\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"\r\n"
    b"first\r\n"
    b"--b1 \r\n"
    b"Content-Type: application/octet-stream; name=x.bin\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n"
    b"AAEC\r\n"
    b"--b1--\r\n"
    b"epilogue\r\n"
)


def test_every_header_is_a_slice_of_the_raw_bytes() -> None:
    raw = b"From: a\r\nSubject: long\r\n folded\r\nX-Bare: one\rtwo\n\nbody"
    message = parse(raw)
    assert [header.name for header in message.headers] == ["From", "Subject", "X-Bare"]
    assert all(raw[header.start : header.end] == header.raw for header in message.headers)
    assert b"".join(header.raw for header in message.headers) + b"\nbody" == raw
    assert raw[message.body :] == b"body"


def test_folding_is_undone_and_a_bare_cr_is_content() -> None:
    message = parse(b"Subject: one\r\n two\r\nX: a\rReceived: by forged.example\r\n\r\n")
    assert message.subject == "one two"
    assert message.all("received") == []
    assert message.get("x") == "a\ufffdReceived: by forged.example"


def test_decoded_text_never_holds_a_control_character() -> None:
    raw = b"Subject: =?utf-8?B?YQ0KQmNjOiB4QGV4YW1wbGUuY29tG1szMW0=?= =?utf-8?Q?b=E2=80=A8c?=\r\n\r\n"
    subject = parse(raw).subject
    assert subject is not None
    assert subject.isprintable() or "\ufffd" in subject
    assert not any(ord(letter) < 32 or letter in "\u2028\u2029\x7f" for letter in subject)
    assert "Bcc: x@example.com" in subject


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (b"Subject: =?iso-8859-1?Q?caf=E9_cr=E8me?=\n\n", "café crème"),
        (b"Subject: =?UTF-8?B?w6k=?= =?UTF-8?B?w6g=?=\n\n", "éè"),
        (b"Subject: =?utf-8*fr?Q?=C3=A9?=\n\n", "é"),
        (b"Subject: =?no-such-charset?Q?a=E9?=\n\n", "aé"),
        (b"Subject: caf\xc3\xa9\n\n", "café"),
        (b"Subject: caf\xe9\n\n", "café"),
        (b"Subject:\n\n", ""),
        (b"subject : spaced\n\n", "spaced"),
    ],
)
def test_subjects_are_decoded(raw: bytes, subject: str) -> None:
    assert parse(raw).subject == subject


def test_what_stands_before_the_header_is_passed_over() -> None:
    for before in (
        b"\xef\xbb\xbf",
        b"\r\n\n",
        b"From a@example.com Tue Nov 24 01:00:00 2026\n",
        b"\n>From x y\n",
    ):
        message = parse(before + b"Subject: found\n\nbody")
        assert message.subject == "found"
        assert message.headers[0].start == len(before)


def test_a_line_without_a_name_ends_the_header() -> None:
    message = parse(b"Subject: a\nthis is text\nReceived: by forged.example\n")
    assert [header.name for header in message.headers] == ["Subject"]
    assert message.raw[message.body :].startswith(b"this is text")


def test_parts_are_slices_without_the_line_break_before_the_delimiter() -> None:
    first, second = parse(MULTIPART).leaves()
    assert MULTIPART[first.start : first.end] == b"first"
    assert first.text() == "first"
    assert (second.content_type, second.filename, second.content()) == (
        "application/octet-stream",
        "x.bin",
        b"\0\1\2",
    )
    assert first.depth == second.depth == 1


def test_nested_multiparts_and_unclosed_ones_are_walked() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=i\n\n"
        b"--i\n\none\n--i\nContent-Type: text/html\n\ntwo\n--o\n\nthree\n"
    )
    found = [(part.content_type, part.depth, part.content()) for part in parse(raw).leaves()]
    assert found == [("text/plain", 2, b"one"), ("text/html", 2, b"two"), ("text/plain", 1, b"three\n")]


def test_a_digest_holds_messages_by_default() -> None:
    raw = b"Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: in\n\nx\n--d--\n"
    (part,) = parse(raw).leaves()
    assert part.content_type == "message/rfc822"
    assert parse(part.content()).subject == "in"


def test_a_multipart_whose_structure_was_lost_is_one_text() -> None:
    (part,) = parse(b"Content-Type: multipart/mixed; boundary=gone\n\n<html>only</html>").leaves()
    assert (part.content_type, part.text()) == ("text/plain", "<html>only</html>")


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        (b"aGVsbG8=", b"hello"),
        (b"aGV\r\nsbG8", b"hello"),
        (b"aGVs!!bG8=\n", b"hello"),
        (b"aGVsbG8=d29ybGQ=", b"helloworld"),
        (b"aGVsbG8x=", b"hello1"),
        (b"=====", b""),
    ],
)
def test_damaged_base64_gives_what_can_be_read(encoded: bytes, decoded: bytes) -> None:
    raw = b"Content-Transfer-Encoding: base64 (really)\n\n" + encoded
    (part,) = parse(raw).leaves()
    assert part.content() == decoded


def test_file_names_in_every_coding() -> None:
    raw = (
        b"Content-Type: text/plain; name=plain.txt\n"
        b"Content-Disposition: attachment; filename*0*=utf-8''caf%C3%A9; filename*1*=%20au; filename*2=.eml\n\n"
    )
    (part,) = parse(raw).leaves()
    assert part.filename == "café au.eml"


def test_a_bomb_of_parts_is_linear_and_bounded() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\nx\n" * 30_000 + b"--a--\n"
    begun = time.process_time()
    assert len(parse(raw).parts) == MAX_PARTS
    assert time.process_time() - begun < 1


def test_a_bomb_of_nested_multiparts_ends() -> None:
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(5_000))
    begun = time.process_time()
    assert max(part.depth for part in parse(raw).parts) <= 32
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "raw",
    [
        b"a:" + b"\n " * 500_000,
        b"Subject: " + b"=?" * 300_000 + b"\n\n",
        b"Subject: " + b"?= " * 300_000 + b"\n\n",
        b"Content-Type: x/y" + b';a="' * 200_000 + b"\n\n",
        b"x: y\n" * 200_000,
        b" \t" * 500_000,
        b"Content-Type: multipart/mixed; boundary=a\n\n" + b"\n--" * 300_000,
    ],
)
def test_hostile_messages_take_no_time(raw: bytes) -> None:
    begun = time.process_time()
    message = parse(raw)
    [header.text for header in message.headers[:100]]
    [part.text() for part in message.leaves()]
    assert time.process_time() - begun < 1


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([
            b"\r\n", b"\n", b"\r", b"--a", b"--a--", b"--", b"Content-Type: multipart/mixed; boundary=a", b" ", b"=?utf-8?B?",
            b"Content-Transfer-Encoding: base64", b"Content-Type: text/plain; charset=utf-16", b"?=", b":", b"\xff\xfe", b"\0",
            b"Subject: x", b"Content-Type: message/rfc822", b"From x", b"=\n", b"boundary*0*=''%ff; charset=idna",
        ]),
        max_size=40,
    ).map(b"".join) | st.binary(max_size=300)
)  # fmt: skip
def test_parsing_never_raises(raw: bytes) -> None:
    message = parse(raw)
    assert all(raw[header.start : header.end] == header.raw for header in message.headers)
    for header in message.headers:
        assert not any(ord(letter) < 32 for letter in header.text)
    for part in message.leaves():
        assert 0 <= part.start <= part.end <= len(raw)
        part.text()


_LINES = [
    "A: b\n", "A: b\r\n", " c\n", "\t\r\n", "\n", "\r\n", "From x\n", ">From x\n", "junk\n", "--x: y\n",
    "a b: c\n", "X :y\n", "\r", ": \n", "-a: \n", "Z:",
]  # fmt: skip


@given(st.lists(st.sampled_from(_LINES), max_size=9))
@settings(max_examples=500)
def test_a_header_reads_the_same_whether_or_not_a_blank_line_ends_it_soon(lines: list[str]) -> None:
    def read(raw: bytes) -> list[Header]:
        return [header for header in parse(raw).headers if header.end <= len(head)]

    head = "A: 1\n" + "".join(lines).replace("\n\n", "\n").replace("\n\r\n", "\n")
    head += "" if head.endswith("\n") else "\n"
    # The longer one is read field by field.
    assert read(f"{head}\nB: 1\n".encode()) == read(f"{head}{'X: ' + 'x' * 140_000}\n\nB: 1\n".encode())


def test_a_long_line_without_a_colon_is_passed_over_in_linear_time() -> None:
    for text in (b"a" * 130_000, b"--" * 65_000, b"a " * 65_000, b"a\n" * 65_000, b"a" + b" " * 130_000):
        begun = time.process_time()
        assert [header.name for header in parse(b"A: 1\n" + text + b"\n\n").headers] == ["A"]
        assert time.process_time() - begun < 1
