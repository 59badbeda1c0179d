"""The independent checker: it finds what is there, and only that. Hiding places are tried in test_redact too."""

import ast
import base64
import gzip
import io
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints import leaks
from complaints.leaks import find_leaks
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


@pytest.mark.parametrize(
    "unit", [b"%41", b"<", b"&", b"=?", b"YWxp", b"\\u0061", b"a\n ", b"alice.reporter", b"6162"], ids=repr
)
def test_hostile_repetition_takes_linear_time(unit: bytes) -> None:
    def seconds(size: int) -> float:
        raw = b"Subject: x\r\n\r\n" + unit * (size // len(unit))
        start = time.process_time()
        find_leaks(raw, ALICE)
        return time.process_time() - start

    small, large = seconds(30_000), seconds(120_000)
    assert large < 0.1 + small * 12
