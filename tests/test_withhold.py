"""What the search before sending finds and redaction does not hide is withheld, and nothing else is."""

import base64
import gzip
import hashlib
import time
import zlib
from collections.abc import Callable

import pytest

from complaints.leaks import find_leaks
from complaints.message import parse
from complaints.redact import Identity, Redacted, redact, stand_in
from complaints.redact.withhold import withheld
from tests.leak_places import EVERYBODY, HOSTILE, MORE_PLACES
from tests.redaction_places import EVIDENCE, PEOPLE, body, header, lines, parts

KEY = b"a redaction key of ours"
ALICE = Identity(("alice.reporter@victim.example",), ("Alice Miller",))
ADDRESS = ALICE.addresses[0]
SPACED = " ".join(ADDRESS).encode()


def searched(raw: bytes, who: Identity = ALICE) -> Redacted:
    """Redacted, and then without what the search finds."""
    return withheld(redact(raw, who, key=KEY), lambda octets: bool(find_leaks(octets, who)))


def test_in_every_place_that_only_the_search_looks_into_the_find_is_withheld_and_the_evidence_stays() -> None:
    for person in (PEOPLE[2], EVERYBODY[-3]):
        who = Identity(person.addresses, person.names)
        for place, make in MORE_PLACES.items():
            raw = make(person.address)
            done = searched(raw, who)
            assert find_leaks(done.raw, who) == [], place
            assert not [item for item in EVIDENCE if done.raw.count(item) != raw.count(item)], place


def test_where_nothing_shows_nothing_is_touched() -> None:
    done = redact(parts(("Content-Type: text/plain", b"for " + ADDRESS.encode())), ALICE, key=KEY)
    assert withheld(done, lambda octets: bool(find_leaks(octets, ALICE))) is done


def test_words_go_and_the_line_around_them_stays() -> None:
    done = searched(body("text/plain", b"first\r\nsent to " + SPACED + b" by us\r\nlast\r\n"))
    assert done.raw.endswith(b"\r\n\r\nfirst\r\nsent to [withheld] by us\r\nlast\r\n")
    [edit] = [edit for edit in done.edits if edit.rule == stand_in.WORDS]
    assert (edit.old, edit.where, edit.new) == (SPACED, "part 1 (text/plain)", b"[withheld]")
    assert done.raw.split(b"\n")[edit.line - 1].startswith(b"sent to")


def test_a_digest_goes_whole_though_half_of_it_is_enough_to_be_found() -> None:
    digest = hashlib.sha256(ADDRESS.encode()).digest()
    for record in (
        base64.b64encode(b"\1" + digest + b"\2"),
        digest.hex(" ").encode(),
        digest.hex(":").encode(),
    ):
        done = searched(body("text/plain", b"hello " + record + b"\r\n"))
        assert done.raw.endswith(b"hello [withheld]\r\n"), record


def test_a_field_loses_its_value_and_one_that_says_how_to_read_a_part_what_is_not_needed() -> None:
    broken = b"\n ".join(base64.b64encode(b"e=" + ADDRESS.encode())[at : at + 7] for at in range(0, 40, 7))
    done = searched(header("X-Id: " + broken.decode()))
    assert done.raw.startswith(b"X-Id: [withheld: it shows the reporter]\r\nReceived: ")
    named = f'Content-Type: text/plain; charset=utf-8;\r\n name*1="{ADDRESS[3:]}";\r\n name*0="{ADDRESS[:3]}"'
    named += "\r\nContent-Transfer-Encoding: 7bit " + SPACED.decode()
    part = parse(searched(parts((named, b"x"))).raw).parts[1]
    assert part.transfer_encoding == "7bit"
    assert (part.content_type, part.charset, part.filename, part.content()) == (
        "text/plain",
        "utf-8",
        None,
        b"x",
    )


@pytest.mark.parametrize("field", ["Subject", "From", "Received", "Message-ID"])
def test_evidence_is_never_withheld(field: str) -> None:
    raw = header(f"{field}: {SPACED.decode()}")
    done = redact(raw, ALICE, key=KEY)
    assert find_leaks(done.raw, ALICE)
    assert searched(raw).raw == done.raw


def test_a_file_is_withheld_alone_and_the_parts_beside_it_stay() -> None:
    raw = parts(
        ("Content-Type: application/x-any\r\nContent-Transfer-Encoding: 8bit", b"\xff\0" + gzip.compress(ADDRESS.encode())),
        ("Content-Type: text/html", b"<p>hello</p>"),
    )  # fmt: skip
    before, after = parse(raw).parts, parse(searched(raw).raw).parts
    assert [part.content_type for part in after] == [part.content_type for part in before]
    assert after[1].content() == b"[withheld: application/x-any, about 1 kB, which shows the reporter]\r\n"
    assert [after[0].content(), after[2].content()] == [before[0].content(), before[2].content()]


def test_in_a_message_inside_only_what_shows_goes() -> None:
    inner = b"Subject: x\r\nX-Other: y\r\n\r\nfor " + SPACED + b" .\r\n"
    for encoding, content in (("7bit", inner), ("base64", lines(inner))):
        fields = f"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {encoding}"
        done = parse(searched(parts((fields, content))).raw).parts[1]
        assert done.content() == b"Subject: x\r\nX-Other: y\r\n\r\nfor [withheld] .\r\n"


def test_what_stands_around_the_parts_is_withheld_and_the_delimiters_stay() -> None:
    raw = parts(preamble=b"for " + SPACED, epilogue=b"to " + SPACED)
    done = searched(raw)
    assert find_leaks(done.raw, ALICE) == []
    assert done.raw.count(b"\r\n--=_b") == raw.count(b"\r\n--=_b") == 2
    assert [part.content() for part in parse(done.raw).parts] == [part.content() for part in parse(raw).parts]


def test_a_reporter_whose_name_is_a_word_of_ours_is_not_shown_by_it() -> None:
    who = Identity(("x77@victim.example",), ("Vanessa Reporter",))
    done = searched(header("X-A: " + " ".join("x77@victim.example")), who)
    assert done.raw.startswith(b"X-A: [withheld]\r\n")


def test_nothing_tells_a_desk_or_a_sender_which_copy_of_a_file_was_withheld() -> None:
    """A digest or an exact size of what was made for one recipient would name them."""

    def left(name: str) -> bytes:
        file = b"%PDF-1.4\nstream\n" + zlib.compress(b"(for %b) Tj" % name.encode()) + b"\nendstream\n"
        fields = "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64"
        return searched(parts((fields, lines(file))), Identity((name,))).raw

    assert left("al@victim.example") == left("a.much.longer.reporter@other.victim.example")


@pytest.mark.parametrize("shape", ["archive of many files", "parts", "text"])
def test_hostile_mail_that_shows_somebody_takes_time_linear_in_its_size(shape: str) -> None:
    took = []
    for size in (25_000, 100_000):
        raw = HOSTILE[shape](size) + b"\r\n" + SPACED + b"\r\n"
        began = time.process_time()
        done = redact(raw, ALICE, key=KEY)
        withheld(done, lambda octets: bool(find_leaks(octets, ALICE)))
        took.append(time.process_time() - began)
    assert took[1] < 1 + took[0] * 12


def bomb(size: int) -> bytes:
    """A PDF file whose streams unpack to a thousand times their size."""
    stream = b"stream\n" + zlib.compress(b"(nothing) Tj " * 80_000, 9) + b"\nendstream\n"
    return b"%PDF-1.4\n\xff" + stream * (size // len(stream))


def stored(size: int) -> bytes:
    """A zip whose members each claim all that follows them."""
    return b"\xff" + (b"PK\3\4" + bytes(14) + b"\xff\xff\xff\x7f" + bytes(8)) * (size // 30)


@pytest.mark.parametrize("make", [bomb, stored, lambda size: b"%PDF-\xff" + b"stream\n" * (size // 7)])
def test_hostile_files_take_bounded_time(make: Callable[[int], bytes]) -> None:
    fields = "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64"
    raw = parts((fields, lines(make(300_000))))
    began = time.process_time()
    redact(raw, ALICE, key=KEY)
    assert time.process_time() - began < 6
