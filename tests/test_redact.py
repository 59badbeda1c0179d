"""What a desk may see: the redactor against every hiding place we know, and against real mail."""

import base64
import binascii
import email
import hmac
import io
import json
import re
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.encodings import decode_base64
from complaints.leaks import find_leaks
from complaints.redact import CannotRedact, Identity, redact, sha1_pseudonym
from complaints.redact.coding import in_quoted_printable, quoted_printable
from complaints.redact.find import Find
from complaints.redact.pseudonyms import pseudonym
from complaints.redact.words import decoded
from tests.hiding_places import CARRIERS, KEPT, SPELLINGS, Spelling

KEY = b"a redaction key of ours"
ALICE = Identity(("alice.reporter@victim.example",), ("Alice Miller",))
PEOPLE = [
    ALICE,
    Identity(("bob@gmx.example",)),
    Identity(("j-doe77@mail.victim.example", "jane@victim.example"), ("Jane Doe", "Jürgen")),
    Identity(("contact@victim.example",)),
]
DATA = Path(__file__).parent.parent.parent / "shared" / "data"


def hidden(raw: bytes, identity: Identity = ALICE) -> bytes:
    return redact(raw, identity, key=KEY).raw


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.addresses[0])
def test_no_spelling_in_any_hiding_place_survives_and_the_evidence_does(
    carrier: str, person: Identity
) -> None:
    for spelling, spell in SPELLINGS.items():
        raw = CARRIERS[carrier](spell(person.addresses[0]))
        redacted = hidden(raw, person)
        assert find_leaks(redacted, person) == [], spelling
        assert redacted != raw, spelling
        for kept in KEPT:
            assert redacted.count(kept) == raw.count(kept), (spelling, kept)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_checker_sees_each_of_them_in_the_raw_spam(carrier: str) -> None:
    for spelling, spell in SPELLINGS.items():
        raw = CARRIERS[carrier](spell(ALICE.addresses[0]))
        assert find_leaks(raw, Identity(ALICE.addresses)), spelling


def test_only_the_uuencoded_lines_in_which_a_find_sits_are_written_anew() -> None:
    content = (
        b"nothing to see here, one line after another.\n" * 6
        + b"for alice.reporter@victim.example\n"
        + b"the end.\n" * 20
    )
    rows = [
        binascii.b2a_uu(content[place : place + 45], backtick=True) for place in range(0, len(content), 45)
    ]
    raw = (
        b"Subject: x\r\n\r\nbegin 644 a b.txt\r\n"
        + b"".join(rows).replace(b"\n", b"\r\n")
        + b"`\r\nend\r\nbye\r\n"
    )
    done = redact(raw, ALICE, key=KEY)
    assert [edit.rule for edit in done.edits] == ["address in uuencoding"]
    before, after = raw.split(b"\r\n"), done.raw.split(b"\r\n")
    assert (after[:9], after[-6:]) == (before[:9], before[-6:])
    start = after.index(b"begin 644 a b.txt") + 1
    opened = b"".join(binascii.a2b_uu(line) for line in after[start : after.index(b"`")])
    assert opened.replace(b"\0", b"").startswith(content[:274])
    assert b"@victim.example" in opened
    assert b"alice" not in opened


def test_an_address_of_one_letter_is_hidden_each_time_it_stands_there() -> None:
    who = Identity(("x@b4.example",))
    for text in (b"a x@b4.example b x@b4.example c", b"x@b4.example, x@b4.example\r\nx@b4.example"):
        done = redact(b"Subject: a\r\n\r\n" + text, who, key=KEY)
        assert find_leaks(done.raw, who) == []
        assert len(done.edits) == text.count(b"@")


def test_a_last_name_first_and_names_without_a_gap_are_hidden_as_they_are_searched() -> None:
    who = Identity(("x1@victim.example",), ("Li Wu", "Alice Miller"))
    raw = b"Subject: x\r\n\r\nDear Wu Li, see ?n=alicemiller or MillerAlice. Wulin and wu or li stay.\r\n"
    assert {leak.what for leak in find_leaks(raw, who)} == {"name li wu", "name alice miller"}
    done = redact(raw, who, key=KEY)
    assert find_leaks(done.raw, who) == []
    assert b"Wulin and wu or li stay." in done.raw


def test_the_return_path_of_a_verp_bounce_is_hidden_where_spamcop_left_it() -> None:
    raw = b"Return-Path: <bounces+2041509-cd2d-alice=victim.example@esp.example>\r\nTo: x\r\n\r\n"
    redacted = hidden(raw, Identity(("alice@victim.example",)))
    assert re.fullmatch(
        rb"Return-Path: <bounces\+2041509-cd2d-redacted-[a-z2-7]{13}=victim\.example@esp\.example>\r\nTo: x\r\n\r\n",
        redacted,
    )


def test_recipient_fields_and_for_clauses_lose_the_bare_mailbox() -> None:
    raw = b"Delivered-To: bob\r\nReceived: from a.example by b.example for bob; Mon, 23 Nov 2026\r\nX-Envelope-To: <bob>\r\n\r\nHi\r\n"
    redacted = hidden(raw, Identity(("bob@victim.example",)))
    assert b"bob" not in redacted
    assert redacted.count(b"redacted-") == 3


def test_the_same_address_has_the_same_pseudonym_and_another_key_another_one() -> None:
    raw = b"To: alice.reporter@victim.example\r\nCc: Alice.Reporter+tag@victim.example\r\n\r\n"
    first = re.findall(rb"redacted-[a-z2-7]{13}", hidden(raw))
    assert len(first) == 2
    assert len(set(first)) == 1
    other = redact(raw, ALICE, key=b"another redaction key").raw
    assert first[0] not in other


def test_what_is_not_the_reporter_stays_byte_for_byte() -> None:
    raw = CARRIERS["quoted-printable"]("https://other.example/") + b"\x00\xff\r\r\nodd\nends"
    assert hidden(raw) == raw


def test_only_the_bytes_of_the_find_change_in_a_quoted_printable_part() -> None:
    raw = CARRIERS["quoted-printable"]("alice.reporter=40victim.example")
    before, after = raw, hidden(raw)
    pseudonym = re.search(rb"redacted-[a-z2-7]{13}", after)
    assert pseudonym is not None
    assert re.sub(rb"(?i)alice=?\r?\n?\.reporter|alice\.(=\r\n)?reporter", b"X", before).count(b"X") >= 1
    first, *_, last = re.split(rb"(?:=\r\n)?redacted-[a-z2-7]{13}(?:=\r\n)?", after)
    assert before.startswith(first)
    assert before.endswith(last)
    assert max(map(len, after.split(b"\r\n"))) <= max(76, *map(len, before.split(b"\r\n")))


def test_base64_keeps_the_letters_around_the_find_and_its_line_length() -> None:
    text = b"x" * 300 + b" alice.reporter@victim.example " + b"y" * 300
    raw = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(
        text
    ).replace(b"\n", b"\r\n")
    redacted = hidden(raw)
    lines, old = redacted.split(b"\r\n"), raw.split(b"\r\n")
    assert lines[:8] == old[:8]
    assert max(map(len, lines)) == 76
    assert b"victim.example" in base64.b64decode(redacted.split(b"\r\n\r\n")[1])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_what_follows_a_token_in_a_path_keeps_its_letters(layers: int) -> None:
    token = b"e=alice.reporter@victim.example&c=12"
    for _ in range(layers):
        token = base64.b64encode(token + b" " * (-len(token) % 3))
    raw = b"Subject: x\r\n\r\nhttps://spam.example/t/" + token + b"/campaign/4711/unsubscribe\r\n"
    redacted = hidden(raw)
    assert redacted.startswith(b"Subject: x\r\n\r\nhttps://spam.example/t/")
    assert redacted.endswith(b"/campaign/4711/unsubscribe\r\n")
    assert find_leaks(redacted, ALICE) == []


def test_names_go_from_greetings_but_not_from_hosts_or_other_peoples_addresses() -> None:
    raw = (
        b"Received: from alice.dialup.example ([192.0.2.1]) by mx.victim.example; Mon, 23 Nov 2026 00:00:00 +0000\r\n"
        b"Subject: ALICE, your invoice\r\nFrom: x <alice@shop.example>\r\n\r\nDear Alice,\r\nsee https://alice.shop.example/Alice?n=alice\r\n"
    )
    redacted = hidden(raw)
    for kept in (b"alice.dialup.example", b"<alice@shop.example>", b"https://alice.shop.example/"):
        assert kept in redacted
    assert redacted.lower().count(b"alice") == 3


def test_a_word_of_everyday_mail_is_not_taken_for_a_local_part() -> None:
    raw = b"To: info@victim.example\r\n\r\nMore info on our page.\r\n"
    redacted = hidden(raw, Identity(("info@victim.example",)))
    assert b"More info on" in redacted
    assert b"info@" not in redacted


def test_header_names_and_structure_are_not_words_of_the_reporter() -> None:
    raw = b'Subject: Subject\r\nContent-Type: multipart/mixed; boundary="text"\r\n\r\n--text\r\nContent-Type: text/plain\r\n\r\nx\r\n--text--\r\n'
    redacted = hidden(raw, Identity(("subject@victim.example",), ("Mixed Plain",)))
    assert redacted.startswith(b"Subject: redacted-")
    assert b'multipart/mixed; boundary="text"' in redacted


def test_names_outside_ascii_are_found_in_every_charset_and_entity() -> None:
    identity = Identity(("jm@victim.example",), ("Jürgen Möller",))
    for body, charset in (
        ("Hallo Jürgen Möller!".encode(), "utf-8"),
        ("Hallo Jürgen Möller!".encode("latin-1"), "iso-8859-1"),
        (b"Hallo J&uuml;rgen M&#246;ller!", "us-ascii"),
        ("Hallo JÜRGEN MÖLLER!".encode(), "utf-8"),
        ("Hallo Ju\u0308rgen Mo\u0308ller!".encode(), "utf-8"),
        (b"Hallo J%C3%BCrgen%20M%C3%B6ller!", "us-ascii"),
    ):
        raw = b"Content-Type: text/plain; charset=" + charset.encode() + b"\r\n\r\n" + body
        redacted = hidden(raw, identity)
        assert b"rgen" not in redacted.lower(), body
        assert b"ller" not in redacted.lower(), body


def test_gmail_finds_the_same_mailbox_with_dots_and_under_its_other_name() -> None:
    identity = Identity(("jane.doe@gmail.com",))
    for address in (b"janedoe@gmail.com", b"j.a.n.e.d.o.e@googlemail.com", b"Jane.Doe+x@GMail.com"):
        assert b"redacted-" in hidden(b"To: " + address + b"\r\n\r\n", identity)


def test_an_archive_that_holds_the_address_is_taken_out() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("invoice.html", "<p>Dear alice.reporter@victim.example</p>" * 50)
    raw = b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(
        packed.getvalue()
    )
    assert find_leaks(raw, ALICE)
    result = redact(raw, ALICE, key=KEY)
    assert find_leaks(result.raw, ALICE) == []
    assert [change.rule for change in result.changes] == ["part withheld"]


def test_a_binary_keeps_its_length_and_says_it_was_not_looked_into() -> None:
    pdf = b"%PDF-1.7\n\0\0<< /URI (https://x.example/?u=alice.reporter@victim.example) >>" + bytes(range(256))
    raw = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(
        pdf
    )
    result = redact(raw, ALICE, key=KEY)
    assert len(result.raw) == len(raw)
    assert find_leaks(result.raw, ALICE) == []
    assert any("no text" in sentence for sentence in result.not_hidden)


def test_changes_say_what_was_hidden_where() -> None:
    raw = b"Subject: x\r\nTo: alice.reporter@victim.example,\r\n alice.reporter@victim.example\r\n\r\nDear Alice,\r\n"
    changes = [(change.rule, change.where, change.line) for change in redact(raw, ALICE, key=KEY).changes]
    assert changes == [
        ("address", "header To", 2),
        ("address", "header To", 3),
        ("name", "part 1 (text/plain)", 5),
    ]


def test_with_my_address_nothing_is_touched() -> None:
    raw = b"To: alice.reporter@victim.example\r\n\r\n"
    result = redact(raw, ALICE, key=KEY, level="none")
    assert (result.raw, result.changes) == (raw, ())


def test_what_cannot_be_redacted_is_refused_with_the_reason() -> None:
    with pytest.raises(CannotRedact, match="no mail address"):
        redact(b"", Identity(()), key=KEY)
    with pytest.raises(ValueError, match="unknown redaction level"):
        redact(b"", ALICE, key=KEY, level="strictest")
    with pytest.raises(ValueError, match="at least 16"):
        redact(b"", ALICE, key=b"short")
    nested = b"To: alice.reporter@victim.example\r\n\r\n"
    for depth in range(12):
        boundary = f"b{depth}".encode()
        nested = (
            b'Content-Type: multipart/mixed; boundary="'
            + boundary
            + b'"\r\n\r\n--'
            + boundary
            + b"\r\nContent-Type: message/rfc822\r\n\r\n"
            + nested
            + b"\r\n--"
            + boundary
            + b"--\r\n"
        )
    with pytest.raises(CannotRedact, match="deep in each other"):
        redact(nested, ALICE, key=KEY)


def test_the_example_of_rfc_6590_appendix_a() -> None:
    assert sha1_pseudonym("potatoes", "bob") == "rZ8cqXWGiKHzhz1MsFRGTysHia4="


@pytest.mark.parametrize("key", [b"sixteen or more!", b"of one block" * 6, b"x" * 64])
def test_a_pseudonym_is_hmac_sha_256_in_base32(key: bytes) -> None:
    for private in (b"", b"alice", bytes(range(256))):
        told = base64.b32encode(hmac.digest(key, private, "sha256")).decode().lower()
        assert pseudonym(key, private) == f"redacted-{told[:13]}".encode()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*SPELLINGS.values()]), min_size=1, max_size=4),
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12), min_size=5, max_size=5
    ),
)
def test_any_mixture_of_spellings_is_hidden(spellings: list[Spelling], gaps: list[str]) -> None:
    text = " ".join(f"{gap} {spell(ALICE.addresses[0])}" for gap, spell in zip(gaps, spellings, strict=False))
    for carrier in ("text", "quoted-printable", "base64", "nested message"):
        redacted = hidden(CARRIERS[carrier](text))
        assert find_leaks(redacted, Identity(ALICE.addresses)) == []


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail_or_change_without_need(noise: bytes) -> None:
    for raw in (noise, b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" + noise):
        assert hidden(raw) == raw


@pytest.mark.parametrize(
    "unit",
    [
        b"a<b>",
        b"alice.reporter",
        b"alice<x>.",
        b"%2525",
        b"&#97;",
        b"\\",
        b"=?a?b?c?=",
        b"YWxp\r\n ",
        b"a\r\n ",
        b"+",
        b"alice.r\0e",
        b"'+'",
        b"begin 644 ",
    ],
    ids=repr,
)
def test_hostile_repetition_takes_linear_time(unit: bytes) -> None:
    def seconds(size: int) -> float:
        raw = b"Subject: x\r\n\r\n" + unit * (size // len(unit))
        start = time.process_time()
        hidden(raw)
        return time.process_time() - start

    hidden(b"warm: up\r\n\r\n")
    # The best of some runs: linear is 4 times, quadratic 16; one run alone also measures the machine
    small, large = (min(seconds(size) for _ in range(4)) for size in (40_000, 160_000))
    assert large < 0.05 + small * 12


def received(raw: bytes) -> list[str]:
    private = re.compile(r"redacted-[a-z2-7]{13}|(?i:phishing(?=@pot))|(?i:rodrigo-f-p)")
    return [private.sub("X", str(value)) for value in email.message_from_bytes(raw).get_all("received", [])]


def test_real_phishing_leaks_nothing_and_keeps_its_received_chain() -> None:
    archive = DATA / "messages" / "phishing-pot.zip"
    if not archive.exists():
        pytest.skip("shared/data/messages/phishing-pot.zip absent")
    # The collection replaced its trap's address by phishing@pot, but not where it stood encoded.
    identity = Identity(("phishing@pot", "rodrigo-f-p@hotmail.com"), ("Rodrigo",))
    with zipfile.ZipFile(archive) as mails:
        names = [name for name in mails.namelist() if name.endswith(".eml")][::14]
        changed = 0
        for name in names:
            raw = mails.read(name)
            result = redact(raw, identity, key=KEY)
            assert find_leaks(result.raw, identity) == [], name
            assert received(result.raw) == received(raw), name
            changed += bool(result.changes)
    assert len(names) >= 150
    assert changed > len(names) // 2, json.dumps({"messages": len(names), "changed": changed})


def test_encoded_words_read_at_once_say_what_they_say_one_by_one() -> None:
    said = [b"alice", b"", b"a", b"ab", "\u00fcber".encode(), bytes(range(33, 100))]
    for first in said:
        for second in said:
            words = [b"=?utf-8?B?" + base64.b64encode(one) + b"?=" for one in (first, second)]
            assert decoded(b"\r\n ".join(words)) == first + second
    # Letters that fill no group, and padding in the middle, end with their word.
    for odd in (b"YWJjZ", b"YW=JjZA", b"Y W I", b"YWJj===="):
        assert decoded(b"=?utf-8?B?" + odd + b"?= =?utf-8?B?ZGVm?=") == decode_base64(odd) + b"def"


@given(
    st.lists(
        st.sampled_from(["a", "=", "=3D", "=40", "=\r\n", "=\n", "\r\n", "\n", "==", " ", "=4"]), max_size=40
    )
)
def test_a_find_in_quoted_printable_is_mapped_line_by_line_as_in_the_whole_body(pieces: list[str]) -> None:
    body = "".join(pieces).encode()
    whole = quoted_printable(body)
    finds = [Find(at, at + 1, b"x", "name") for at, octet in enumerate(whole.text) if octet not in b"\r\n"]
    there = in_quoted_printable(body, whole.text, finds)
    assert there is None or there == [whole.find_in_raw(find) for find in finds]
    assert there is not None or whole.text != binascii.a2b_qp(body)


def test_many_finds_in_one_endless_line_take_linear_time() -> None:
    def taken(count: int) -> float:
        body = (
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            + b"=3D alice.reporter@victim.example " * count
        )
        began = time.process_time()
        hidden(body)
        return time.process_time() - began

    taken(10)
    assert taken(1_200) < 12 * taken(300) + 0.1
