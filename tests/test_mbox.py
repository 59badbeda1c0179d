"""An mbox of any size and kind: where its mails begin and end, what was quoted, how much is held."""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from complaints.mailboxes import NOTHING, mails_at, mails_from
from complaints.mbox import Piece, go_on, is_mbox, pieces
from complaints.mbox_marks import mails_in
from complaints.unwrap import open_file

FROM = b"From bulk@pills.example Thu Nov 26 10:00:00 2026\n"
MOST = 10_000


def mails(raw: bytes, most: int = MOST) -> list[bytes | None]:
    return [piece.raw for piece in pieces(io.BytesIO(raw), most)]


def in_a_file(folder: Path, raw: bytes) -> list[Piece]:
    file = folder / "mbox"
    file.write_bytes(raw)
    with file.open("rb") as stream:
        return list(pieces(stream, MOST))


def test_each_mail_is_left_without_its_from_line_and_the_blank_line_after_it() -> None:
    raw = FROM + b"Subject: one\n\nA\n\n" + FROM + b"Subject: two\n\nB\n\n"
    assert mails(raw) == [b"Subject: one\n\nA\n", b"Subject: two\n\nB\n"]
    assert mails(raw.replace(b"\n", b"\r\n")) == [b"Subject: one\r\n\r\nA\r\n", b"Subject: two\r\n\r\nB\r\n"]
    assert mails(raw[:-1]) == mails(raw), "the last one is the same whether or not a blank line follows"


@pytest.mark.parametrize(
    "sentence",
    [
        b"From here on the time is 10:00\nmore words\n",  # no header field follows
        b"text right above\n" + FROM + b"Subject: quoted badly\n",  # no blank line before
        b"\nFrom: a field at 10:00\nSubject: x\n",
        b"\nFrom nobody\nSubject: no time in it\n",
    ],
)
def test_a_line_that_only_looks_like_one_begins_no_mail(sentence: bytes) -> None:
    assert mails(FROM + b"Subject: one\n\n" + sentence) == [b"Subject: one\n\n" + sentence]


def test_what_was_quoted_is_as_it_was_before() -> None:
    body = b"\n>From quoted\n>>From quoted twice\n > From a person\n"
    assert mails(FROM + b"Subject: one\n" + body) == [
        b"Subject: one\n\nFrom quoted\n>From quoted twice\n > From a person\n"
    ]
    header = b">From uucp at 10:00\nSubject: one\n\nA\n"
    assert mails(FROM + header) == [header], "a header is never quoted"


def test_an_empty_mail_is_a_mail_and_the_others_are_what_they_were() -> None:
    empty, two = FROM + b"\n", FROM + b"Subject: two\n\nB\n\n"
    for raw, found in (
        (empty + two, [b"", b"Subject: two\n\nB\n"]),
        (empty + empty + b"\n\n" + two, [b"", b"\n\n", b"Subject: two\n\nB\n"]),
        (two + empty + two, [b"Subject: two\n\nB\n", b"", b"Subject: two\n\nB\n"]),
        (empty.replace(b"\n", b"\r\n") + two, [b"", b"Subject: two\n\nB\n"]),
    ):
        assert mails(raw) == found
        assert [raw[start:end] for start, end in mails_in(raw, 9)] == found
        taken = [mail.raw or mail.why for mail in mails_from(io.BytesIO(raw), MOST)]
        assert taken == [one if one.strip() else NOTHING for one in found]
    first, second = open_file(empty + two, "spam.mbox")
    assert (first.spam, second.spam) == (None, b"Subject: two\n\nB\n")
    sentence = b"From here at 10:00\n\nFrom there on\n"
    assert mails(two + sentence) == [(two + sentence).removeprefix(FROM)]


def test_content_length_is_believed_where_the_next_mail_follows_and_nowhere_else(tmp_path: Path) -> None:
    body = b"A\n\n" + FROM + b"Subject: inside\n\n>From kept\n"
    length = b"Content-Length: %d\n" % len(body)
    two = FROM + b"Subject: two\n\nB\n"
    right = in_a_file(tmp_path, FROM + b"Subject: one\n" + length + b"\n" + body + b"\n" + two)
    assert [piece.raw for piece in right] == [
        b"Subject: one\n" + length + b"\n" + body,
        b"Subject: two\n\nB\n",
    ]
    wrong = in_a_file(tmp_path, FROM + b"Subject: one\nContent-Length: 5\n\nA long body\n\n" + two)
    assert [piece.raw for piece in wrong] == [
        b"Subject: one\nContent-Length: 5\n\nA long body\n",
        b"Subject: two\n\nB\n",
    ]
    beyond = in_a_file(tmp_path, FROM + b"Content-Length: 999999999999\n\nA\n\n" + two)
    assert len(beyond) == 2


@given(
    st.lists(st.sampled_from([FROM, b"From x\n", b"S: a\n", b"\n", b"\r\n", b"A" * 70_000, b"From ", b"x\n"]))
)
def test_it_is_the_same_however_few_bytes_a_pipe_gives_at_a_time(parts: list[bytes]) -> None:
    class Pipe(io.BytesIO):
        def read1(self, _size: int | None = -1, /) -> bytes:
            return self.read(3_001)

    raw = FROM + b"".join(parts)
    assert list(pieces(Pipe(raw), MOST)) == list(pieces(io.BytesIO(raw), MOST))


def test_a_mail_that_is_too_large_is_counted_and_not_held() -> None:
    raw = FROM + b"Subject: one\n\n" + b"x" * 300_000 + b"\n\n" + FROM + b"Subject: two\n\nB\n"
    large, small = pieces(io.BytesIO(raw), MOST)
    assert (large.raw, large.size) == (None, 300_000 + len(b"Subject: one\n\n\n\n"))
    assert small.raw == b"Subject: two\n\nB\n"


def test_memory_is_that_of_one_mail_whatever_the_mbox_has(tmp_path: Path) -> None:
    file = tmp_path / "mbox"
    with file.open("wb") as stream:
        for _ in range(3):
            stream.write(FROM + b"Subject: a hole\n\n")
            stream.seek(100_000_000, 1)  # a line of zeros without an end, sparse on the disk
            stream.write(b"\n\n")
    program = (
        "import resource, sys; from complaints.mbox import pieces\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(sum(1 for one in pieces(open(sys.argv[1], 'rb'), 1_000_000)))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, check=True)
    count, kilobytes = map(int, done.stdout.split())
    assert count == 3
    assert kilobytes < 20_000


def test_it_goes_on_after_the_mail_that_was_marked(tmp_path: Path) -> None:
    raw = FROM + b"Subject: one\n\nA\n\n" + FROM + b"Subject: two\n\nB\n\n"
    first, second = in_a_file(tmp_path, raw)
    assert go_on(io.BytesIO(raw), first.mark()) == (first.end, 1)
    assert go_on(io.BytesIO(raw), second.mark()) == (len(raw), 2)
    grown = raw + FROM + b"Subject: three\n\nC\n"
    assert go_on(io.BytesIO(grown), second.mark()) == (len(raw), 2)
    assert [one.index for one in pieces(io.BytesIO(grown[len(raw) :]), MOST, at=len(raw), index=2)] == [2]


def test_a_mail_that_was_still_being_written_is_taken_again_and_another_mbox_from_its_front(
    tmp_path: Path,
) -> None:
    half = FROM + b"Subject: one\n\nA\n\n" + FROM + b"Subject: two\n\nhalf of"
    _, second = in_a_file(tmp_path, half)
    assert go_on(io.BytesIO(half + b" it\n"), second.mark()) == (second.start, 1)
    other = FROM + b"Subject: another\n\nX\n\n" + FROM + b"Subject: yet another\n\nY\n"
    assert go_on(io.BytesIO(other), second.mark()) == (0, 0)
    assert go_on(io.BytesIO(b""), second.mark()) == (0, 0)


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [b"", b"text", b"From me", b">From you", b"Subject: x", b"From a@b 10:00", b"x" * 70_000]
            ),
            max_size=6,
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 100),
)
def test_no_byte_is_in_two_mails_or_in_none_and_the_stream_reads_like_the_file(
    bodies: list[list[bytes]], head: int
) -> None:
    raw = b"".join(FROM + b"Subject: one\n\n" + b"\n".join(body) + b"\n\n" for body in bodies)
    found = list(pieces(io.BytesIO(raw), MOST))
    assert [one.start for one in found] == [0, *(one.end for one in found[:-1])]
    assert found[-1].end == len(raw)
    assert list(pieces(io.BytesIO(raw[head:]), MOST, head=raw[:head])) == found


def test_what_is_no_mbox_is_told_by_its_first_bytes() -> None:
    assert is_mbox(FROM + b"Received: from a by b; x\n")
    assert is_mbox(b"From me\n>From uucp\n")
    assert not is_mbox(b"From: me\nSubject: x\n\n")
    assert not is_mbox(b"From me to you\n\nA letter\n")


def test_an_mbox_of_any_name_in_a_folder_goes_on_where_it_was_left(tmp_path: Path) -> None:
    one = b"From a@pills.example Thu Nov 26 10:00:00 2026\nSubject: %d\n\nBuy.\n\n"
    (tmp_path / "7").write_bytes(b"".join(one % n for n in range(3)))
    (tmp_path / "8.eml").write_bytes(b"Subject: alone\n\nBuy.\n")
    done: dict[str, str] = {}
    for mail in mails_at(str(tmp_path), 1_000, done):
        done[mail.key] = mail.mark
        break
    rest = list(mails_at(str(tmp_path), 1_000, done))
    assert [mail.index for mail in rest] == [1, 2, None]
    done |= {mail.key: mail.mark for mail in rest}
    assert list(mails_at(str(tmp_path), 1_000, done)) == []


PARTS = st.lists(
    st.sampled_from(
        [FROM, FROM.replace(b"\n", b"\r\n"), b"Subject: x\n", b"\n", b"\r\n", b"A\n", b">From B at 1:00\n", b"From C\n"]
        + [b"Content-Length: %d\n" % length for length in (0, 2, 3, 13, 53, 67)]
    ),
    max_size=30,
)  # fmt: skip


@given(PARTS)
def test_what_is_uploaded_is_cut_as_what_is_read_from_a_file(parts: list[bytes]) -> None:
    raw = FROM + b"".join(parts)
    if not is_mbox(raw):
        raw = FROM + b"Subject: one\n" + b"".join(parts)
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.seek(0)
        # Content of one line end only is no mail in either
        read = [(piece.start, piece.raw) for piece in pieces(file, MOST)]
    cut = [(raw.rindex(b"From ", 0, start), raw[start:end]) for start, end in mails_in(raw, 100)]
    assert [start for start, _ in cut] == [start for start, _ in read]
    assert all(
        mine == theirs or b"\n>From" in mine for (_, mine), (_, theirs) in zip(cut, read, strict=True)
    ), (cut, read)


def test_what_a_sender_made_look_like_another_mail_is_no_mail_where_the_length_is_told() -> None:
    """Else whoever the made-up line names would be accused."""
    body = (
        b"Look:\n\n"
        + FROM
        + b"Received: from [203.0.113.9] by mx.victim.example; today\nSubject: forged\n\n.\n"
    )
    mail = b"Subject: one\nContent-Length: %d\n\n%b" % (len(body), body)
    two = FROM + mail + b"\n" + FROM + b"Subject: two\n\nB\n"
    assert [item.spam for item in open_file(two, "spam.mbox")] == [mail, b"Subject: two\n\nB\n"]
    assert [item.spam for item in open_file(FROM + mail, "spam.eml")] == [mail]
