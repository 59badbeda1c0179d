"""The independent checker: it finds what is there, and only that. Hiding places are tried in test_redact too."""

import ast
import base64
import binascii
import gzip
import hashlib
import io
import re
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints import leaks
from complaints.leaks import find_leaks, opened, readings, unseen, words_in
from complaints.redact import Identity

ALICE = Identity(("alice.reporter@victim.example", "al@victim.example"), ("Alice Miller",))


def found(body: bytes, head: bytes = b"Subject: x\r\n") -> set[str]:
    return {leak.what for leak in find_leaks(head + b"\r\n" + body, ALICE)}


def test_it_shares_no_code_with_the_redactor() -> None:
    trees = [ast.parse(path.read_text()) for path in Path(leaks.__file__).parent.glob("*.py")]
    assert len(trees) > 5
    imported = {
        name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
        )
    }
    ours = {name for name in imported if name.startswith("complaints")}
    assert not [name for name in ours if not name.startswith("complaints.leaks.")]


def test_a_find_says_what_how_and_where() -> None:
    raw = b"Subject: x\r\n\r\nsee " + base64.b64encode(b"u=alice.reporter%40victim.example&x=1") + b"\r\n"
    leak = find_leaks(raw, Identity(ALICE.addresses))[0]
    assert (leak.what, leak.how, leak.where) == (
        "address alice.reporter@victim.example",
        "base64, escaped",
        "message",
    )


def test_names_count_as_whole_words_of_three_letters() -> None:
    assert found(b"Dear Alice, hello MILLER.") == {"name alice", "name miller"}
    assert found(b"malice and millers, alices") == set()
    assert find_leaks(b"\r\nLi and Wu", Identity(("x1@y.example",), ("Li Wu",))) == []


def test_names_in_hosts_other_addresses_and_trace_fields_are_not_leaks() -> None:
    head = b"Received: from alice.dialup.example by mx.example\r\n\twith SMTP id Alice1\r\nMessage-ID: <alice@x>\r\n"
    assert found(b"see https://alice.shop.example/ or write to alice.x@shop.example", head) == set()


def test_names_in_our_own_text_are_passed_over_when_told() -> None:
    raw = b"Subject: x\r\n\r\nThe page says hello to Alice.\r\n"
    person = Identity(("p1@y.example",), ("Jimmy Page", "Alice"))
    assert {leak.what for leak in find_leaks(raw, person)} == {"name page", "name alice"}
    assert {leak.what for leak in find_leaks(raw, person, own_words={"page"})} == {"name alice"}


def test_somebody_elses_address_is_no_leak() -> None:
    assert (
        found(b"real@victim.example, alice@victim.example.org, al@victim.test, hal@victim.example") == set()
    )
    assert found(b"al@victim.example") == {"address al@victim.example"}


def test_it_looks_into_archives() -> None:
    for pack in (gzip.compress, _zipped):
        body = base64.encodebytes(pack(b"<p>To: alice.reporter@victim.example</p>"))
        head = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        assert "address alice.reporter@victim.example" in found(body, head)


def _zipped(octets: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.html", octets)
    return packed.getvalue()


def test_a_bomb_is_read_up_to_the_bound_and_what_was_not_read_holds_the_report() -> None:
    bomb = base64.encodebytes(gzip.compress(b"a " * 40_000_000, 9))
    start = time.process_time()
    leaks = find_leaks(b"Content-Transfer-Encoding: base64\r\n\r\n" + bomb, ALICE)
    assert [leak.what for leak in leaks] == ["unread"]
    assert "more than 32 MB" in leaks[0].how
    assert time.process_time() - start < 30


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(["", "base64", "quoted-printable", "x-uuencode"]),
    st.text(max_size=12),
)
def test_it_never_raises(noise: bytes, encoding: str, charset: str) -> None:
    head = f"Content-Type: text/html; charset={charset!r}\r\nContent-Transfer-Encoding: {encoding}\r\nX: =?"
    find_leaks(noise, ALICE)
    find_leaks(head.encode("utf-8", "replace") + noise + b"\r\n\r\n" + noise, ALICE)


def test_names_are_found_together_in_either_order() -> None:
    assert found(b"see https://x.example/?n=alicemiller&a=1") == {"name alice miller"}
    assert found(b"MillerAlice") == {"name alice miller"}
    assert found(b"Miller, Alice") == {"name alice", "name miller"}
    assert found(b"A. M.") == set()
    short = Identity(("x1@y.example",), ("Li Wu",))
    assert [leak.what for leak in find_leaks(b"\r\nDear Li Wu", short)] == ["name li wu"]


def test_a_name_behind_a_full_stop_without_a_space_is_no_host() -> None:
    assert found(b"Hello Alice.Welcome back") == {"name alice"}
    assert found(b"see alice.shop.example") == set()


@pytest.mark.parametrize(
    "head",
    [
        b"Delivered-To: al\r\n",
        b"X-Original-To: <al>\r\n",
        b"To: friends: al;\r\n",
        b"Received: from a.example by b.example with LMTP id x\r\n\tfor <al>; Mon, 23 Nov 2026 10:00:00 +0000\r\n",
    ],
)
def test_a_mailbox_alone_is_found_where_one_must_be_meant(head: bytes) -> None:
    assert found(b"nothing", head) == {"mailbox al"}


def test_a_mailbox_alone_counts_elsewhere_only_when_it_is_no_word_of_an_office() -> None:
    assert found(b"Dear alice.reporter, you won") >= {"mailbox alice.reporter"}
    assert find_leaks(b"\r\nThe newsletter is here", Identity(("newsletter@victim.example",))) == []
    assert (
        find_leaks(b"\r\nthe words of our report", Identity(("words@victim.example",)), own_words={"words"})
        == []
    )


def test_what_the_reporter_wants_hidden_besides_is_looked_for() -> None:
    person = Identity(("x1@y.example",), (), ("Rose Street 7",))
    assert [leak.what for leak in find_leaks(b"\r\nto rose  street 7, town", person)] == [
        "words rose street 7"
    ]
    assert find_leaks(b"\r\nprimrose street 77", person) == []


def test_a_wish_of_words_of_ours_alone_is_passed_over_when_told() -> None:
    person = Identity(("x1@y.example",), (), ("Our Report", "rose"))
    raw = b"\r\nour report about a rose"
    assert {leak.what for leak in find_leaks(raw, person)} == {"words our report", "words rose"}
    told = find_leaks(raw, person, own_words={"our", "report"})
    assert {leak.what for leak in told} == {"words rose"}
    assert leaks.words_in(person) == {"x1", "our", "report", "rose"}


def test_a_tagged_address_gives_the_untagged_one_away() -> None:
    person = Identity(("bob+lists@victim.example",))
    assert find_leaks(b"\r\nbob@victim.example", person)
    assert find_leaks(b"\r\nbob+other@victim.example", person)


def test_what_is_encoded_too_deep_to_be_opened_holds_the_report() -> None:
    text = b"Nothing is said here, again and again."
    for _ in range(leaks.MOST_INSIDE + 1):
        text = base64.b64encode(text)
    told = find_leaks(b"Subject: x\r\n\r\n" + text, ALICE)
    assert [(leak.what, leak.how) for leak in told] == [("unread", "more than 6 encodings inside each other")]


def test_a_picture_of_one_colour_is_no_text_in_text_in_text() -> None:
    for colour in (b"\x33", b"\xdb\x6d\xb6", b"w"):
        picture = bytes(range(256)) + colour * 900 + bytes(range(256))
        assert found(base64.encodebytes(picture)) == set()
        assert found(base64.b64encode(picture)) == set()


def test_escapes_of_many_kinds_in_each_other_hold_the_report() -> None:
    text = b"%61"
    for _ in range(16):
        text = text.replace(b"%", b"&#37;").replace(b"&", b"%26")
    told = find_leaks(b"Subject: x\r\n\r\n" + text, ALICE)
    assert [(leak.what, leak.how) for leak in told] == [
        ("unread", "more escapes inside each other than are undone")
    ]


@given(st.binary(max_size=40))
def test_base64_is_read_from_each_of_four_letters(octets: bytes) -> None:
    letters = base64.b64encode(octets).rstrip(b"=")
    for phase, read in enumerate(opened._phases(letters)):
        from_here = letters[phase:]
        assert read == base64.b64decode(from_here + b"A" * (-len(from_here) % 4))[: len(from_here) * 3 // 4]


@given(
    st.text(alphabet="aA \u200b\xad\u0430\uff41\u2460\U0001d44e\xe9\ufe0f\u3042", max_size=30),
    st.binary(max_size=4),
)
def test_what_is_seen_of_a_text_is_what_is_seen_of_its_stretches_beyond_ascii(
    text: str, noise: bytes
) -> None:
    octets = text.encode() + noise.translate(None, b"\xcc\xcd") + text.encode()
    assert unseen.visible(octets) == unseen._seen(octets.decode("utf-8", "ignore")).encode("utf-8", "ignore")


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("1234567@victim.example", '"1\\234567"@victim.example'),
        ("o'brien-smith@victim.example", "out-o'brien+2Dsmith=victim.example@list.example"),
        ("ольга@пример.example", "ольга@пример.ехаmрlе"),
    ],
)
def test_a_spelling_that_reading_it_would_destroy_is_found(address: str, written: str) -> None:
    who = Identity((address,), ())
    assert find_leaks(f"Subject: x\r\n\r\n<p>to {written}, hello\r\n".encode(), who)


@pytest.mark.parametrize("payloads", [("Q===",), ("====",), ("QUJD", "Q==="), ("QUJDR", "Q")])
def test_an_encoded_word_that_is_cut_off_is_no_error(payloads: tuple[str, ...]) -> None:
    words = " ".join(f"=?utf-8?B?{payload}?=" for payload in payloads)
    raw = (
        f"Subject: {words} =?utf-8?B?{base64.b64encode(ALICE.addresses[0].encode()).decode()}?=\r\n\r\nhi\r\n"
    )
    assert find_leaks(raw.encode(), ALICE)
    assert not find_leaks(f"Subject: {words}\r\n\r\nhi\r\n".encode(), ALICE)


@given(st.text(alphabet="<>ab \n", max_size=30))
def test_what_holds_the_beginning_of_a_tag_is_none(text: str) -> None:
    assert readings.untagged(text.encode()) == re.sub(rb"<[^<>]*>", b"", text.encode())


@pytest.mark.parametrize("charset", ["shift_jis", "gb2312", "euc-kr", "iso-2022-jp"])
def test_letters_in_full_width_are_seen_in_charsets_of_two_octets(charset: str) -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in ALICE.addresses[0]).encode(charset)
    assert "address alice.reporter@victim.example" in found(
        wide, b"Content-Type: text/plain; charset=%s\r\n" % charset.encode()
    )


@pytest.mark.parametrize(
    "text", ["Dear Juergen", "Hi Jurgen", "Herr GROSS", "Oehler", "Strom", "neztiwokvarbuh"]
)
def test_names_are_found_without_their_marks(text: str) -> None:
    person = Identity(("x1@y.example",), ("Jürgen Groß-Öhler", "Ström Hubravkowitzen"))
    assert find_leaks(f"Subject: x\r\n\r\n{text}, you won".encode(), person)


def test_a_short_name_backwards_is_a_word_of_its_own() -> None:
    person = Identity(("x1@y.example",), ("Dennis Green",))
    assert find_leaks(b"\r\nWe have sinned on terra firma", person) == []


def test_a_word_of_our_own_that_a_name_is_without_its_marks_is_passed_over_when_told() -> None:
    person = Identity(("x1@y.example",), ("Pagé",))
    assert words_in(person) >= {"page", "pagé"}
    assert find_leaks(b"\r\nThe page", person, own_words={"page"}) == []


def test_a_digest_of_a_local_part_is_found_where_that_means_somebody() -> None:
    digest = hashlib.md5(b"alice.reporter").hexdigest().encode()
    assert found(b"u=" + digest) == {"digest of mailbox alice.reporter"}
    office = Identity(("info@victim.example",))
    assert find_leaks(b"\r\nu=" + hashlib.md5(b"info").hexdigest().encode(), office) == []


def test_signs_of_an_address_may_be_codes_in_a_return_path() -> None:
    person = Identity(("anna-b-c@victim.example",))
    raw = b"Return-Path: <bounce-anna+2Db+2Dc=victim.example@spam.example>\r\n\r\nx"
    assert [leak.what for leak in find_leaks(raw, person)] == ["address anna-b-c@victim.example"]


def test_letters_of_one_alphabet_are_left_alone() -> None:
    assert find_leaks("\r\nСара и Ольга".encode(), Identity(("x1@y.example",), ("Capa",))) == []


def test_a_picture_in_a_pdf_file_is_not_unpacked() -> None:
    pixels = zlib.compress(bytes(40_000_000))
    pdf = b"%PDF-1.4\n1 0 obj\n<< /Subtype /Image >>\nstream\r\n" + pixels + b"\nendstream"
    head = b"Content-Transfer-Encoding: base64\r\n"
    assert found(base64.encodebytes(pdf), head) == set()


def test_a_packed_file_is_opened_in_uuencoding_of_several_lines() -> None:
    packed = gzip.compress(b"Some words before. Dear Alice Miller, alice.reporter@victim.example\r\n" * 2)
    lines = [binascii.b2a_uu(packed[place : place + 45]) for place in range(0, len(packed), 45)]
    assert len(lines) > 1
    assert "name alice" in found(b"begin 644 a.gz\r\n" + b"".join(lines) + b"`\r\nend\r\n")


@pytest.mark.parametrize("tag", [b"<wbr>", b"</b><b>", b"<!-- x -->", b"</span><span title='a b'>"])
@pytest.mark.parametrize("pieces", [2, 6])
def test_a_token_is_opened_that_tags_split(tag: bytes, pieces: int) -> None:
    token = base64.b64encode(ALICE.addresses[0].encode())
    size = -(-len(token) // pieces)
    split = tag.join(token[place : place + size] for place in range(0, len(token), size))
    assert "address alice.reporter@victim.example" in found(b"<p>see " + split + b" there</p>")


def test_a_calendar_in_a_token_is_read_over_its_folds() -> None:
    calendar = (
        b"BEGIN:VCALENDAR\r\nATTENDEE;ROLE=REQ-PARTICIPANT:mailto:alice.reporter@victim.exa\r\n mple\r\n"
    )
    assert "address alice.reporter@victim.example" in found(
        b"see data:text/calendar;base64," + base64.b64encode(calendar) + b" there"
    )


def test_somebody_elses_address_is_none_of_a_reporters_names_where_tags_split_words_too() -> None:
    raw = b"Subject: News\r\n\r\n rodrigo_vieira82@mail.example, x<!---->September<br>News for all of you"
    assert find_leaks(raw, Identity(("r.silva@victim.example",), ("Rodrigo Silva",))) == []
