"""A mailbox of any size over the API and the page: read in constant memory, item by item, each kept before it is told."""

import gc
import itertools
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy import func
from sqlmodel import select

from complaints.mbox_marks import mails_in
from complaints.models import Complaint, Submission
from complaints.remote import ClientError, Remote
from complaints.spool import BLOCK, TAKEN, NoRoomError, Part, Spool
from complaints.terminal import TRY_LATER
from complaints.web import intake
from complaints.web.uploads import Upload
from tests.visitor import problem
from tests.website import Website, running_website, spam

MBOX = {"Content-Type": "application/mbox"}
LINE = b"From x@pills.example Mon Nov  2 09:00:00 2026\n"


def mailbox(spams: list[bytes]) -> bytes:
    return b"".join(LINE + one.replace(b"\r\n", b"\n") + b"\n" for one in spams)


def spams(count: int, size: int = 0, first: int = 0) -> list[bytes]:
    return [
        spam(subject=f"Number {n}", body="x" * 70 + "\r\n" + "y" * size + "\r\n")
        for n in range(first, first + count)
    ]


@pytest.fixture(scope="module")
def website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    with running_website(tmp_path_factory.mktemp("website"), max_bytes=50_000) as running:
        yield running


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "PORTION_BYTES", 10_000)


def told(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    assert "problem" not in document
    found: list[dict[str, Any]] = document["items"]
    return found


def complaints(website: Website) -> int:
    with website.office.db.reading() as session:
        return session.exec(select(func.count()).select_from(Complaint)).one()


def submissions(website: Website, batch: str) -> list[Submission]:
    with website.office.db.reading() as session:
        return list(session.exec(select(Submission).where(Submission.batch == batch)))


def test_what_is_spooled_comes_back_in_any_order_and_lies_there_sealed(tmp_path: Path) -> None:
    raw, random, before = Random(1).randbytes(3 * BLOCK + 777), Random(2), TAKEN.octets
    spool, at = Spool(tmp_path), 0
    while at < len(raw):
        step = random.randrange(1, 400_000)
        spool.write(raw[at : at + step])
        at += step
    assert (spool.size, spool.slice(0, spool.size + 9)) == (len(raw), raw)
    for _ in range(100):
        start, end = sorted(random.choices(range(len(raw) + 99), k=2))
        assert spool.slice(start, end) == raw[start:end]
        assert Part(spool, start, min(end, spool.size)).readall() == raw[start:end]
    assert TAKEN.octets == before + 3 * BLOCK
    assert not list(tmp_path.iterdir()), "it has no name: nobody can open it, and nothing stays behind"
    del spool
    assert TAKEN.octets == before


def test_a_disk_without_room_is_said_and_what_was_taken_is_given_back(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Spool, sealed: bytes) -> None:
        raise OSError(28, "No space left on device")

    before = TAKEN.octets
    with monkeypatch.context() as patched:
        patched.setattr(Spool, "_keep", full)
        answer = website.api("POST", "/submissions", content=mailbox(spams(2, 200_000)), headers=MBOX)
        assert problem(answer, 503)["title"] == "Too much at a time"
        assert int(answer.headers["Retry-After"]) > 0
        assert website.api("POST", "/submissions", content=spam(), headers=MBOX).status_code == 202
    monkeypatch.setattr(TAKEN, "octets", 1 << 60)
    spool = Spool(website.office.settings.data)
    with pytest.raises(NoRoomError):
        spool.write(b"x" * BLOCK)
    monkeypatch.undo()
    del spool
    assert TAKEN.octets == before


@pytest.mark.parametrize("way", ["raw", "form", "many short"])
def test_each_spam_of_a_large_mailbox_is_an_item_and_kept_byte_for_byte(
    website: Website, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_MESSAGES", 100)
    handed = (
        spams(101, first=10_000) if way == "many short" else spams(60, 1_000, 100 if way == "raw" else 300)
    )
    raw = mailbox(handed)
    query = f"/submissions?batch={way.replace(' ', '-')}"
    if way == "form":
        files = [("file", ("a.eml", spam(subject="Single"))), ("file", ("b.mbox", raw))]
        items = told(website.api("POST", query, files=files))
        assert items.pop(0)["file"] == "a.eml"
    else:
        items = told(website.api("POST", f"{query}&filename=b.mbox", content=raw, headers=MBOX))
    assert [(one["file"], one["index"], one["status"]) for one in items] == [
        ("b.mbox", n, "accepted") for n in range(len(handed))
    ]
    kept = submissions(website, way.replace(" ", "-"))
    assert len(kept) > 3
    assert {one.via for one in kept} == {"batch"}, "one answer, and no letter for each portion"
    with website.office.db.reading() as session:
        found = [
            website.office.spam_of(session, session.get_one(Complaint, one["complaint"]))
            for one in items[:60]
        ]
    assert found == [one.replace(b"\r\n", b"\n") for one in handed[:60]]


def test_a_mail_that_is_too_large_is_an_item_among_the_others(website: Website) -> None:
    handed = [*spams(20, 1_000, 500), *spams(1, 60_000, 600), *spams(20, 1_000, 700)]
    items = told(website.api("POST", "/submissions", content=mailbox(handed), headers=MBOX))
    assert [one["status"] for one in items] == ["accepted"] * 20 + ["refused"] + ["accepted"] * 20
    assert [one["index"] for one in items] == list(range(41))
    assert "at most 50,000 are taken" in items[20]["reason"]
    assert items[20]["remedy"]


def test_content_length_says_where_a_mail_of_a_large_mailbox_ends(website: Website) -> None:
    """What a sender wrote into a mail to look like the next one stays within it, as in a file (mbox_marks)."""
    inner = b"\n" + LINE + spam(subject="Forged").replace(b"\r\n", b"\n")
    counted = spam(subject="Counted").replace(b"\r\n", b"\n")
    head, _, body = counted.partition(b"\n\n")
    body += inner
    counted = head + b"\nContent-Length: %d\n\n" % len(body) + body
    raw = mailbox(spams(40, 1_000, 800)) + LINE + counted + b"\n" + mailbox(spams(2, 1_000, 850))
    assert len(told(website.api("POST", "/submissions", content=raw, headers=MBOX))) == 43


def test_wherever_a_mailbox_is_divided_its_mails_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(5)
    words = [
        LINE,
        LINE.replace(b"\n", b"\r\n"),
        b"\n",
        b"\r\n",
        b"\n\n",
        b"a: b\n",
        b"text\n",
        b">From q 1:11\n",
    ]
    words += [b"From me to you\n", b"x" * 50 + b"\n", b"no end"]
    for _ in range(400):
        parts = [LINE, b"a: b\n", *random.choices(words, k=random.randrange(40))]
        for _ in range(random.randrange(3)):
            parts.insert(random.randrange(2, len(parts) + 1), b"Content-Length: %d\n" % random.randrange(200))
        raw = b"".join(parts)
        spool = Spool(tmp_path)
        spool.write(raw)
        monkeypatch.setattr(intake, "PORTION_BYTES", random.choice([1, 60, 200]))
        portions = [raw[start:end] for start, end in intake._spans(Upload(Part(spool, 0, len(raw)), ""))]
        assert b"".join(portions) == raw
        found = [one[start:end] for one in portions for start, end in mails_in(one, 9_999)]
        assert found == [raw[start:end] for start, end in mails_in(raw, 9_999)]


def test_a_large_mailbox_that_is_sent_again_goes_on_where_it_was_stopped(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, key = mailbox(spams(60, 1_000, 900)), MBOX | {"Idempotency-Key": "large"}
    take, taken = intake._take, list[Any]()

    def failing(*given: Any) -> Any:
        if len(taken) == 3:
            raise RuntimeError("the fourth portion")
        taken.append(given)
        return take(*given)

    monkeypatch.setattr(intake, "_take", failing)
    stopped = website.api("POST", "/submissions", content=raw, headers=key).json()
    assert stopped["problem"]["status"] == 500
    assert "Idempotency-Key" in stopped["problem"]["remedy"]
    taken.clear()
    unnamed = website.api("POST", "/submissions", content=raw, headers=MBOX).json()["problem"]
    assert "Idempotency-Key" not in unnamed["remedy"]
    assert unnamed["remedy"].endswith("What is kept will be known again then.")
    count = len(stopped["items"])
    assert 0 < count < 60
    monkeypatch.setattr(intake, "_take", take)
    again = told(
        website.api("POST", "/submissions", content=raw, headers=key | {"Idempotency-Key": '"large"'})
    )
    assert again[:count] == stopped["items"], "what was kept is answered as it was"
    assert {one["status"] for one in again} == {"accepted"}
    third = website.api("POST", "/submissions", content=raw, headers=key)
    assert told(third) == again
    with website.office.db.reading() as session:
        of = {session.get_one(Complaint, one["complaint"]).submission_id for one in again}
        assert len({session.get_one(Submission, one).batch for one in of}) == 1, "one batch, whenever it came"
    problem(website.api("POST", "/submissions", content=raw + b"\n", headers=key), 422)


def test_over_the_hourly_limit_a_large_mailbox_ends_with_the_reason_and_the_time(tmp_path: Path) -> None:
    with running_website(tmp_path, max_bytes=50_000, limit_submissions=3) as website:
        answer = website.api("POST", "/submissions", content=mailbox(spams(60, 1_000)), headers=MBOX).json()
        assert answer["problem"]["status"] == 429
        assert answer["problem"]["retry_after"] == 3600
        assert len({one["complaint"] for one in answer["items"]}) == len(answer["items"]) > 10
        problem(website.api("POST", "/submissions", content=mailbox(spams(60, 1_000)), headers=MBOX), 429)
        website.clock.turn(hours=2)
        with (
            Remote(str(website.http.base_url), website.alice.token) as remote,
            pytest.raises(ClientError) as told,
        ):
            remote.submit(mailbox(spams(60, 1_000, 200)), "b.mbox", forwarded=False)
    assert told.value.code == TRY_LATER
    assert "are kept" in str(told.value)


def test_a_client_lets_go_of_a_mail_as_soon_as_it_is_handed_in(website: Website) -> None:
    [raw] = spams(1, 40_000, 6_000)
    gc.disable()  # so that what is let go of only when Python looks for it is seen
    try:
        with Remote(str(website.http.base_url), website.alice.token) as remote:
            before = sys.getrefcount(raw)
            [item] = remote.submit(raw, "a.eml", forwarded=False)
            assert sys.getrefcount(raw) == before
    finally:
        gc.enable()
    assert item["status"] == "accepted"


@pytest.mark.parametrize("address", ["before", "after", "wrong"])
def test_the_page_takes_a_large_mailbox_from_whoever_has_the_submission_address(
    website: Website, address: str
) -> None:
    handed = [*spams(60, 1_000, 2_000), *spams(1, 60_000, 2_100)]
    given = website.alice.submission_address if address != "wrong" else f"{'a' * 26}@plaint.example"
    fields, files = ("address", (None, given)), ("files", ("b.mbox", mailbox(handed)))
    form: Any = [files, fields] if address == "after" else [fields, files]
    answer = website.http.post("/submit", files=form)
    if address != "before":
        assert answer.status_code == 413
        return
    assert answer.status_code == 200
    assert "60 taken" in " ".join(answer.text.split())
    assert "spam 61: It has" in answer.text
    assert "/batch/" in answer.text


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Closed, it lets two portions of a mailbox be read and no more."""
    opened, take, taken = threading.Event(), intake._take, itertools.count()

    def gated(*asked: Any) -> intake.Taken:
        if next(taken) >= 2:
            assert opened.wait(30)
        return take(*asked)

    monkeypatch.setattr(intake, "_take", gated)
    yield opened
    opened.set()


def page_form(website: Website, first: int) -> Any:
    given = ("address", (None, website.alice.submission_address))
    return [given, ("files", ("b.mbox", mailbox(spams(60, 1_000, first))))]


def test_the_page_tells_how_far_it_is_while_a_mailbox_is_read(
    website: Website, gate: threading.Event
) -> None:
    with website.http.stream("POST", "/submit", files=page_form(website, 3_000)) as answer:
        told = ""
        for text in answer.iter_text():
            told += text
            if not gate.is_set() and " % of it is read" in told:
                assert "taken," not in told
                gate.set()
    assert gate.is_set()
    assert "60 taken" in " ".join(told.split())
    assert told.rstrip().endswith("</html>")


def test_a_mailbox_is_read_to_its_end_when_nobody_waits_for_the_page(
    website: Website, gate: threading.Event
) -> None:
    before = complaints(website)
    with website.http.stream("POST", "/submit", files=page_form(website, 4_000)) as answer:
        for text in answer.iter_text():
            if " % of it is read" in text:
                break
    assert complaints(website) < before + 60
    gate.set()
    deadline = time.monotonic() + 20
    while complaints(website) < before + 60 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert complaints(website) == before + 60


def test_a_service_that_is_stopped_says_how_much_of_a_mailbox_it_kept(
    tmp_path: Path, gate: threading.Event
) -> None:
    with running_website(tmp_path, max_bytes=50_000) as website:
        with website.http.stream("POST", "/submit", files=page_form(website, 5_000)) as answer:
            told = ""
            for text in answer.iter_text():
                told += text
                if not gate.is_set() and " % of it is read" in told:
                    website.stop_reading()
                    gate.set()
        kept = complaints(website)
    assert 0 < kept < 60
    assert f"{kept} taken" in " ".join(told.split())
    assert "The service is being stopped. What is counted below is kept." in told


def memory(of: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{of}:"))


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a new peak of memory"
)
def test_a_mailbox_of_64_mb_is_read_in_constant_memory(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed (Debian: apt-get install curl)")
    large, small = tmp_path / "large.mbox", tmp_path / "small.mbox"
    small.write_bytes(mailbox([spam(subject=f"{n}", body=("z" * 990 + "\r\n") * 2_000) for n in range(2)]))
    with large.open("wb") as writer:
        for n in range(2, 34):
            writer.write(mailbox([spam(subject=f"{n}", body=("z" * 990 + "\r\n") * 2_000)]))
    with running_website(tmp_path) as website:
        # The sender is a process of its own: what is counted is what the service holds
        curl = ["curl", "-sS", f"{website.http.base_url}/api/v1/submissions"]
        curl += ["-H", f"Authorization: Bearer {website.alice.token}", "-F"]
        subprocess.run([*curl, f"file=@{small}"], check=True, capture_output=True)
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, proc(5)
        before = memory("VmRSS")
        answer = subprocess.run([*curl, f"file=@{large}"], check=True, capture_output=True).stdout
        grown = (memory("VmHWM") - before) // 1024
    assert [one["status"] for one in json.loads(answer)["items"]] == ["accepted"] * 32
    assert grown < 30, f"{grown} MiB more for a body of 64 MB"
