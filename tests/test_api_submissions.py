"""Handing in spam through the API: what is taken, what is refused, and that nothing is half-kept."""

import base64
import contextlib
import gzip
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import select

from complaints.attachments import look_into
from complaints.demo import as_attachments
from complaints.models import Complaint, Submission
from complaints.office import Office
from complaints.spam import Trust, read
from complaints.web import security
from complaints.web.security import HELD_BYTES
from tests.test_architecture import ROOT
from tests.visitor import problem
from tests.website import Website, running_website, spam

MAIL = {"Content-Type": "message/rfc822"}


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def items(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 202, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def stored(website: Website) -> int:
    with website.office.db.reading() as session:
        return len(session.exec(select(Submission)).all())


def test_a_message_is_taken_and_kept_byte_for_byte(website: Website) -> None:
    raw = spam(body="caf\udce9 \x00\x1b[31m\r bare\n") + b"\xff\xfe no line end"
    [item] = items(website.api("POST", "/submissions", content=raw, headers=MAIL))
    assert (item["file"], item["index"], item["status"]) == ("", 0, "accepted")
    answer = website.api("GET", f"/complaints/{item['complaint']}/raw")
    assert answer.content == raw
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.headers["content-disposition"] == f'attachment; filename="{item["complaint"]}.eml"'


def test_the_same_spam_again_is_a_duplicate_and_names_the_complaint(website: Website) -> None:
    [first] = items(website.api("POST", "/submissions", content=spam(), headers=MAIL))
    [again] = items(website.api("POST", "/submissions", content=spam(), headers=MAIL))
    assert (again["status"], again["complaint"]) == ("duplicate", first["complaint"])
    [bobs] = items(website.api("POST", "/submissions", who=website.bob, content=spam(), headers=MAIL))
    assert bobs["status"] == "accepted"


@pytest.mark.parametrize("packing", ["mbox", "gzip", "zip"])
def test_mailboxes_and_archives_become_one_complaint_per_spam(website: Website, packing: str) -> None:
    spams = [spam(subject=f"Number {n}") for n in range(3)]
    mbox = b"".join(
        b"From x@pills.example Mon Nov  2 09:00:00 2026\n" + one.replace(b"\r\n", b"\n") + b"\n"
        for one in spams
    )
    if packing == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for n, one in enumerate(spams):
                archive.writestr(f"{n}.eml", one)
        body, kind = packed.getvalue(), "application/octet-stream"
    else:
        body, kind = (
            (mbox, "application/mbox") if packing == "mbox" else (gzip.compress(mbox), "application/gzip")
        )
    found = items(
        website.api("POST", "/submissions?filename=all", content=body, headers={"Content-Type": kind})
    )
    assert [item["status"] for item in found] == ["accepted"] * 3
    assert [item["index"] for item in found] == [0, 1, 2]
    assert {item["file"] for item in found} == {"all"}


def test_a_form_hands_in_each_of_its_files(website: Website) -> None:
    files = [("file", (f"{n}.eml", spam(subject=f"Number {n}"), "message/rfc822")) for n in range(3)]
    files.append(("other", ("empty.eml", b"", "message/rfc822")))
    found = items(website.api("POST", "/submissions", files=files))
    assert [(item["file"], item["index"], item["status"]) for item in found] == [
        ("0.eml", 0, "accepted"), ("1.eml", 0, "accepted"), ("2.eml", 0, "accepted"), ("empty.eml", 0, "refused"),
    ]  # fmt: skip
    assert found[-1]["reason"]
    assert found[-1]["remedy"]
    assert stored(website) == 4


def test_a_forward_is_unwrapped_only_when_asked_for(website: Website) -> None:
    forward = as_attachments([spam(), spam(subject="Another")], "somebody@plaint.example")
    assert len(items(website.api("POST", "/submissions?forward=1", content=forward, headers=MAIL))) == 2
    assert len(items(website.api("POST", "/submissions", content=forward, headers=MAIL))) == 1
    both = items(
        website.api(
            "POST",
            "/submissions",
            files={"file": ("f.eml", forward)},
            data={"forwarded": "1"},
            who=website.bob,
        )
    )
    assert len(both) == 2


def test_a_form_without_a_file_is_refused(website: Website) -> None:
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="forwarded"\r\n\r\n1\r\n--x--\r\n'
    problem(website.api("POST", "/submissions", content=body, headers=boundary), 422)
    without = {"Content-Type": "multipart/form-data"}
    problem(website.api("POST", "/submissions", content=body, headers=without), 400)
    problem(website.api("POST", "/submissions", content=b"-x\r\n: no form at all", headers=boundary), 400)
    assert stored(website) == 0


def test_promise_3_what_is_acknowledged_is_on_disk(website: Website) -> None:
    [item] = items(website.api("POST", "/submissions", content=spam(), headers=MAIL))
    beside = Office.open(website.office.settings, website.clock)
    with beside.db.reading() as session:
        assert beside.spam_of(session, session.get_one(Complaint, item["complaint"])) == spam()
    beside.close()


def test_promise_3_what_cannot_be_stored_is_not_acknowledged_and_half_of_it_is_not_kept(
    website: Website,
) -> None:
    with website.office.db.transaction() as session:
        session.execute(text("ALTER TABLE complaint RENAME TO hidden"))
    problem(website.api("POST", "/submissions", content=spam(), headers=MAIL), 500)
    with website.office.db.transaction() as session:
        session.execute(text("ALTER TABLE hidden RENAME TO complaint"))
    assert stored(website) == 0
    assert items(website.api("POST", "/submissions", content=spam(), headers=MAIL))[0]["status"] == "accepted"


@pytest.mark.parametrize("way", ["declared", "streamed", "form", "just over"])
def test_what_is_too_large_is_refused_while_it_comes(tmp_path: Path, way: str) -> None:
    with running_website(tmp_path, max_bytes=100_000) as website:
        raw = spam() + b"x" * (3_000_000 if way != "just over" else 100_000)
        if way == "form":
            answer = website.api("POST", "/submissions", files={"file": ("big.eml", raw)})
        else:
            body = raw if way != "streamed" else (raw[n : n + 4096] for n in range(0, len(raw), 4096))
            answer = website.api("POST", "/submissions", content=body, headers=MAIL)
        assert "larger than the 100,000 bytes" in problem(answer, 413)["detail"]
        assert stored(website) == 0
        exactly = spam() + b"x" * (100_000 - len(spam()))
        assert items(website.api("POST", "/submissions", content=exactly, headers=MAIL))


def test_no_mail_is_written_in_clear_to_a_temporary_file(
    website: Website, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form of more than a mebibyte, and a spam whose attachments a child process reads."""
    seen: list[Path] = []

    def opened(**kept: Any) -> Any:
        seen.append(tmp_path / f"kept-{len(seen)}")
        assert kept["dir"] == website.office.settings.data
        return seen[-1].open("w+b", kept["buffering"])

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a temporary file was made")

    page = b"--b\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.4\r\n--b--\r\n"
    mail = spam().replace(b"text/plain; charset=utf-8", b"multipart/mixed; boundary=b") + page
    for maker in ("NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, maker, never)
    monkeypatch.setattr(tempfile, "TemporaryFile", opened)
    large = mail + b"x" * 2_000_000
    for answer in (
        website.api("POST", "/submissions", files={"file": ("a.eml", large)}),
        website.api("POST", "/submissions", content=mail, headers=MAIL),
    ):
        assert items(answer)[0]["status"] in {"accepted", "duplicate"}
    [sealed] = [one.read_bytes() for one in seen]
    assert len(sealed) > 1_800_000
    assert len(zlib.compress(sealed)) > len(sealed), "noise"
    read(mail, Trust.of(["mx.victim.example"]), look_into=look_into)


def test_many_large_uploads_at_once_take_bounded_room_and_slow_ones_only_for_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "AT_ONCE", 3)
    with running_website(tmp_path) as website, contextlib.ExitStack() as stack:
        url = website.http.base_url
        head = (
            f"POST /api/v1/submissions HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n"
            f"Authorization: Bearer {website.alice.token}\r\n\r\n"
        )

        def begin(octets: int = HELD_BYTES - 20_000) -> None:
            """Say that more will be sent, and send no more."""
            opened = socket.create_connection((url.host, url.port or 0), timeout=20)
            stack.enter_context(opened).sendall(head.encode() + b"x" * octets)

        begin()
        begin()
        begin(HELD_BYTES + 700_000)  # what is beyond lies on the disk
        exactly = spam() + b"x" * (HELD_BYTES - len(spam()))

        def upload() -> httpx.Response:
            return website.api("POST", "/submissions", content=exactly, headers=MAIL)

        def refused(answer: httpx.Response) -> bool:
            if answer.status_code == 202:
                begin()  # it may have had the room of one that was refused for it
            return answer.status_code == 503

        answer = until(upload, refused)
        assert problem(answer, 503)["title"] == "Too much at a time"
        assert answer.headers["Retry-After"]
        assert items(website.api("POST", "/submissions", content=spam(), headers=MAIL))
        stack.close()
        until(upload, lambda answer: answer.status_code == 202)


def until(look: Callable[[], httpx.Response], wanted: Callable[[httpx.Response], bool]) -> httpx.Response:
    for _ in range(100):
        if wanted(answer := look()):
            return answer
        time.sleep(0.05)
    raise AssertionError(answer.text)


@pytest.mark.parametrize("head", ["POST /api/v1/submissions", "POST /api/v1/nothing", "POST /submit"])
def test_a_client_that_sends_first_and_listens_then_hears_why_it_was_refused(
    website: Website, head: str
) -> None:
    url = website.http.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
        connection.sendall(
            f"{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30000000\r\n\r\n".encode()
        )
        for _ in range(300):
            connection.sendall(b"x" * 100_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 4")


def test_a_client_that_asks_first_is_told_before_it_sends(website: Website) -> None:
    url = website.http.base_url
    with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
        head = "POST /api/v1/submissions HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\nExpect: 100-continue\r\n"
        connection.sendall(f"{head}\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


def test_other_requests_are_held_to_a_small_body(website: Website) -> None:
    complaint = website.waiting()
    problem(website.api("POST", f"/complaints/{complaint}/confirm", json={"note": "x" * 2_000_000}), 413)


def test_over_the_hourly_limit_everything_of_the_request_is_put_off(tmp_path: Path) -> None:
    with running_website(tmp_path, limit_submissions=3) as website:
        files = [("file", (f"{n}.eml", spam(subject=f"Number {n}"))) for n in range(4)]
        refused = website.api("POST", "/submissions", files=files)
        problem(refused, 429)
        assert int(refused.headers["retry-after"]) > 0
        assert stored(website) == 0
        assert len(items(website.api("POST", "/submissions", files=files[:3]))) == 3
        problem(website.api("POST", "/submissions", content=spam(), headers=MAIL), 429)
        website.clock.turn(seconds=int(refused.headers["retry-after"]))
        assert items(website.api("POST", "/submissions", content=spam(), headers=MAIL))


def test_the_examples_of_the_documentation_work(website: Website, tmp_path: Path) -> None:
    """docs/pages.md, "Handing in from a script", as a shell runs it."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed (Debian: apt-get install curl)")
    section = (ROOT / "docs" / "pages.md").read_text().partition("### Handing in from a script\n")[2]
    commands = re.findall(r"^    curl (?:.*\\\n)*.*", section.partition("\n## ")[0], re.MULTILINE)
    assert len(commands) == 3
    for name in ("spam", "other"):
        (tmp_path / f"{name}.eml").write_bytes(spam(subject=name))
    mbox = b"From x@pills.example Mon Nov  2 09:00:00 2026\n" + spam(subject="third").replace(b"\r\n", b"\n")
    (tmp_path / "spam.mbox").write_bytes(mbox)
    server = {"PLAINT_SERVER": str(website.http.base_url), "PLAINT_TOKEN": website.alice.token}
    told = [
        json.loads(subprocess.run(["sh", "-c", command], cwd=tmp_path, env=os.environ | server, check=True, capture_output=True).stdout)
        for command in commands
    ]  # fmt: skip
    found = [[(item["file"], item["status"]) for item in one["items"]] for one in told]
    assert found == [
        [("", "accepted")], [("spam.mbox", "accepted")], [("spam.eml", "duplicate"), ("other.eml", "accepted")],
    ]  # fmt: skip


def test_a_large_message_is_not_held_many_times(website: Website, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed (Debian: apt-get install curl)")
    file = tmp_path / "large.eml"
    file.write_bytes(spam() + base64.encodebytes(Random(1).randbytes(12_000_000)))
    url = f"{website.http.base_url}/api/v1/submissions"
    # The sender is a process of its own: what is counted is what the service holds
    command = [
        "curl",
        "-sS",
        url,
        "-H",
        f"Authorization: Bearer {website.alice.token}",
        "-F",
        f"file=@{file}",
    ]
    tracemalloc.start()
    try:
        told = subprocess.run(command, check=True, capture_output=True).stdout
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert json.loads(told)["items"][0]["status"] == "accepted"
    assert peak < 3.5 * file.stat().st_size
