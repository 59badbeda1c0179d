"""Many mails handed in from a script: every kind of mailbox, both places, and every way to be stopped."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import col, func, select

from complaints import batch, batch_verb, hand, progress, remote, workbench
from complaints.client import Local
from complaints.db import OvertakenError, move, move_all
from complaints.mailboxes import Mail
from complaints.models import Complaint, ComplaintState, Letter, Submission
from complaints.office import Office
from tests.house import ALICE, CLOUD, SAVANNA, House, house, in_a_thread, spam
from tests.test_cli import environment, good, plaint

FROM = b"From bulk@pills.example Thu Nov 26 10:00:00 2026\r\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running service on a loopback internet, in a thread of its own."""
    with in_a_thread(house(tmp_path_factory.mktemp("home"))) as home:
        yield home


@pytest.fixture
def world(home: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> House:
    """A shell on the machine of that service."""
    for name, value in environment(home.settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return home


@pytest.fixture
def server(world: House) -> list[str]:
    return ["--server", world.settings.url, "--token", world.token]


@pytest.fixture
def alone(world: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A data directory without a service."""
    monkeypatch.setenv("PLAINT_DATA", str(tmp_path / "alone"))
    good("reporters", "add", ALICE, "--verified")
    return ["--data", str(tmp_path / "alone"), "--reporter", ALICE]


@pytest.fixture
def spams(request: pytest.FixtureRequest) -> Callable[[int], list[bytes]]:
    """So many spams that nobody handed in before; every other one from another network."""

    ever = [spam((CLOUD, SAVANNA)[n % 2], subject=f"{request.node.name} {n}") for n in range(20)]
    return lambda count: ever[:count]


def mbox(file: Path, mails: list[bytes]) -> str:
    file.write_bytes(b"".join(FROM + mail + b"\r\n" for mail in mails))
    return str(file)


def statuses(documents: list[Any]) -> list[str]:
    return [one["status"] for one in documents]


def complaints(office: Office, state: ComplaintState | None = None) -> int:
    with office.db.reading() as session:
        query = select(func.count()).select_from(Complaint)
        return session.exec(query.where(Complaint.state == state) if state else query).one()


def opened(where: list[str], world: House) -> Office:
    return Office.open(world.settings.model_copy(update={"data": Path(where[1])}))


# ---- what is handed in


def test_an_mbox_is_handed_in_here_and_awaits_consent_and_so_does_what_an_earlier_batch_left(
    alone: list[str],
    world: House,
    spams: Callable[[int], list[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(workbench, "RENEWED", 1)  # the one child is replaced, and the next goes on
    office = opened(alone, world)
    with Local(office.settings, ALICE) as work:  # and then nothing reads it
        [[left]] = work.hand_in([(spams(4)[3], "")], "a label", lambda _: None)
    assert (left["status"], complaints(office, ComplaintState.RECEIVED)) == ("accepted", 1)
    file = mbox(tmp_path / "spam.mbox", [*spams(3), b"Subject: no trace\r\n\r\nA\r\n"])
    ran = good("batch", file, "--json", *alone)
    assert [(one["file"], one["index"], one["status"]) for one in ran.documents] == [
        (file, n, "accepted") for n in range(4)
    ]
    assert "4 accepted" in ran.err
    assert "4 awaiting consent, 1 refused" in ran.err
    [label] = re.findall(r"review with: plaint review --batch (\S+)\n", ran.err)
    groups = good("review", "--batch", label, "--json", *alone).documents
    assert sum(len(group["complaints"]) for group in groups) == 3, "what this batch handed in, and no more"
    assert f"or on its page: {office.settings.url}/batch/" in ran.err
    assert complaints(office, ComplaintState.AWAITING_CONSENT) == 4
    with office.db.reading() as session:
        assert session.exec(select(Letter)).all() == [], "whoever runs it is told by its lines"
        found = {row.id: office.spam_of(session, row) for row in session.exec(select(Complaint))}
    assert [found[one["complaint"]] for one in ran.documents[:3]] == spams(3), "byte for byte"
    office.close()


def test_many_are_moved_at_once_where_each_is_as_it_was_seen_and_none_where_one_is_not(
    alone: list[str], world: House, spams: Callable[[int], list[bytes]]
) -> None:
    office = opened(alone, world)
    with Local(office.settings, ALICE) as work:
        handed = list(work.hand_in([(raw, "") for raw in spams(3)], "a label", lambda _: None))
    ids = [item["complaint"] for items in handed for item in items]
    rows = [{"id": one, "state": ComplaintState.REFUSED, "reason": "a reason"} for one in ids]
    with office.db.transaction() as session:
        move(session, session.get_one(Complaint, ids[1]), ComplaintState.ANALYSED)
    with pytest.raises(OvertakenError), office.db.transaction() as session:
        move_all(session, Complaint, ComplaintState.RECEIVED, rows)
    assert complaints(office, ComplaintState.REFUSED) == 0
    illegal = [row | {"state": ComplaintState.CONFIRMED} for row in rows]
    with pytest.raises(ValueError, match="legal"), office.db.transaction() as session:
        move_all(session, Complaint, ComplaintState.RECEIVED, illegal)
    with office.db.transaction() as session:
        move_all(session, Complaint, ComplaintState.RECEIVED, [rows[0], rows[2]])
    assert complaints(office, ComplaintState.REFUSED) == 2
    office.close()


def test_a_server_is_handed_an_mbox_and_again_it_is_a_duplicate(
    server: list[str], world: House, spams: Callable[[int], list[bytes]], tmp_path: Path
) -> None:
    file = mbox(tmp_path / "spam.mbox", spams(6))
    first, second = (good("batch", file, "--json", *server).documents for _ in range(2))
    assert statuses(first) == ["accepted"] * 6
    assert statuses(second) == ["duplicate"] * 6
    assert [one["complaint"] for one in first] == [one["complaint"] for one in second]
    with world.office.db.reading() as session:
        ids = [one["complaint"] for one in first]
        ways = session.exec(
            select(Submission.via).join(Complaint).where(col(Complaint.id).in_(ids)).distinct()
        ).all()
    assert list(ways) == ["batch"]


def test_resume_takes_only_what_came_since(
    server: list[str], spams: Callable[[int], list[bytes]], tmp_path: Path
) -> None:
    file = mbox(tmp_path / "spam.mbox", spams(2))
    assert len(good("batch", file, "--json", "--resume", *server).documents) == 2
    assert good("batch", file, "--json", "--resume", *server).documents == []
    mbox(tmp_path / "spam.mbox", spams(3))
    [new] = good("batch", file, "--json", "--resume", *server).documents
    assert (new["index"], new["status"]) == (2, "accepted")
    assert statuses(good("batch", file, "--json", *server).documents) == ["duplicate"] * 3


def test_what_remembers_a_batch_is_damaged_and_that_is_said(
    server: list[str], spams: Callable[[int], list[bytes]], tmp_path: Path
) -> None:
    notes = tmp_path / "state/plaint/batch.sqlite"
    notes.parent.mkdir(parents=True)
    notes.write_bytes(b"no database " * 100)
    ran = plaint("batch", mbox(tmp_path / "spam.mbox", spams(1)), "--resume", *server)
    assert ran.code == 65
    assert "batch.sqlite" in ran.err
    assert "may be deleted" in ran.err
    notes.unlink()


def test_a_maildir_is_read_whole_and_a_mail_that_was_read_meanwhile_is_still_done(
    server: list[str], spams: Callable[[int], list[bytes]], tmp_path: Path
) -> None:
    for part in ("new", "cur", "tmp"):
        (tmp_path / part).mkdir()
    one, two, half = spams(3)
    (tmp_path / "new/1.M1.mx").write_bytes(one)
    (tmp_path / "cur/2.M2.mx:2,S").write_bytes(two)
    (tmp_path / "tmp/3.M3.mx").write_bytes(half)
    assert statuses(good("batch", str(tmp_path), "--json", *server).documents) == ["accepted"] * 2
    (tmp_path / "new/1.M1.mx").rename(tmp_path / "cur/1.M1.mx:2,FS")
    assert good("batch", str(tmp_path), "--json", "--resume", *server).documents == []


def test_a_folder_is_searched_for_mails_and_what_cannot_be_taken_is_listed(
    server: list[str], spams: Callable[[int], list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three, four = spams(4)
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/one.eml").write_bytes(one)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as packed:
        packed.writestr("two.eml", two)
        packed.writestr("three.eml", three)
    mbox(tmp_path / "four.mbox", [four])
    (tmp_path / "notes.txt").write_text("not a mail")
    (tmp_path / "large.eml").write_bytes(b"x" * 100_001)
    (tmp_path / "empty.eml").touch()
    monkeypatch.setenv("PLAINT_MAX_BYTES", "100000")
    ran = plaint("batch", str(tmp_path), "--json", *server)
    found = [(Path(line["file"]).name, line["index"], line["status"]) for line in ran.documents]
    assert sorted(found) == [
        ("empty.eml", 0, "refused"),
        ("four.mbox", 0, "accepted"),
        ("large.eml", 0, "refused"),
        ("one.eml", 0, "accepted"),
        ("two.zip", 0, "accepted"),
        ("two.zip", 1, "accepted"),
    ]
    assert ran.code == 1
    assert {line["reason"] for line in ran.documents if line["status"] == "refused"} == {
        "It has 100,001 bytes; at most 100,000 are taken.",
        "There is nothing to read.",
    }


def test_standard_input_is_an_mbox_or_one_mail(
    server: list[str], spams: Callable[[int], list[bytes]]
) -> None:
    one, two, three = spams(3)
    both = b"".join(FROM + mail + b"\r\n" for mail in (one, two))
    ran = good("batch", "-", "--json", *server, stdin=both)
    assert statuses(ran.documents) == ["accepted"] * 2
    assert "review --batch stdin-" in ran.err
    [alone] = good("batch", "-", "--json", *server, stdin=three).documents
    assert (alone["file"], alone["index"], alone["status"]) == ("-", 0, "accepted")
    assert plaint("batch", "-", *server, stdin=b"\n").code == 65


def test_only_so_many_and_only_the_newest(
    server: list[str], spams: Callable[[int], list[bytes]], tmp_path: Path
) -> None:
    new, newer = spams(2)
    stamp = new.partition(b"; ")[2].partition(b"\r\n")[0]
    old = new.replace(stamp, b"Mon, 02 Nov 2026 10:00:00 +0000")
    file = mbox(tmp_path / "spam.mbox", [old, new, newer])
    ran = good("batch", file, "--json", "--since", "2d", *server)
    assert [line["index"] for line in ran.documents] == [1, 2]
    assert "1 older than asked for" in ran.err
    assert len(good("batch", file, "--json", "--limit", "1", *server).documents) == 1
    assert plaint("batch", file, "--since", "yesterday", *server).code == 2


@pytest.mark.parametrize("where", ["server", "alone"])
def test_a_dry_run_shows_the_desks_and_stores_nothing(
    where: str,
    request: pytest.FixtureRequest,
    world: House,
    spams: Callable[[int], list[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options, steps = request.getfixturevalue(where), list[int | None]()
    monkeypatch.setattr(progress.Progress, "step", lambda line, share=None: steps.append(line.total))
    file = mbox(tmp_path / "spam.mbox", [*spams(3), b"Subject: no trace\r\n\r\nA\r\n"])
    office = world.office if where == "server" else opened(options, world)
    before = complaints(office)
    rows = good("batch", file, "--dry-run", "--json", *options).documents
    assert [(row["source"], row["desk"], row["messages"]) for row in rows] == [
        (CLOUD, "abuse@cloud.example", 2),
        (SAVANNA, "abuse@savanna.example", 1),
        (None, None, 1),
    ]
    assert steps == [None] * 4 + [2] * 2, "the mails are counted, then the sources that are looked up"
    assert f"2  {CLOUD}" in good("batch", file, "--dry-run", *options).text
    assert complaints(office) == before


def test_what_is_no_mailbox_is_unusable(server: list[str], tmp_path: Path) -> None:
    assert plaint("batch", str(tmp_path / "absent"), *server).code == 65
    assert plaint("batch", "ftp://mx.example/spam", *server).code == 2
    assert plaint("batch", str(tmp_path), "--move-to", "Done", *server).code == 2


# ---- how it is stopped


@contextmanager
def running(*words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "cli", "batch", *words, "--json"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=dict(os.environ), **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def test_what_was_stopped_goes_on_under_its_own_label_and_what_comes_after_its_end_under_another(
    server: list[str], spams: Callable[[int], list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, run, hour = mbox(tmp_path / "stopped.mbox", spams(2)), batch.Batch.run, iter(range(1, 9))

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Later":
            return cls(2026, 11, 26, next(hour), 0, tzinfo=tz)

    def stopped(one: batch.Batch, mails: Iterable[Mail], tally: batch.Tally) -> None:
        run(one, islice(mails, 1), tally)
        raise batch.StoppedError

    def label(*words: str) -> str:
        [found] = re.findall(r"review --batch (\S+)\n", plaint("batch", file, *words, *server).err)
        return str(found)

    monkeypatch.setattr(batch_verb, "datetime", Later)
    with monkeypatch.context() as patched:
        patched.setattr(batch.Batch, "run", stopped)
        first = label()
    assert label("--resume") == first
    mbox(tmp_path / "stopped.mbox", spams(3))
    assert label("--resume") != first


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_lets_it_finish_what_it_read_and_remember(
    number: int, code: int, server: list[str], spams: Callable[[int], list[bytes]]
) -> None:
    mails = [spam(subject=f"signal {number} {n}") for n in range(7)]
    with running("-", *server) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(FROM + mail + b"\r\n" for mail in mails))
        process.stdin.flush()
        told = [process.stdout.readline() for _ in range(4)]  # one group; two are read, the last may grow
        process.send_signal(number)
        rest, said = process.communicate(timeout=20)
    assert process.returncode == code, said
    lines = [json.loads(line) for line in [*told, *rest.splitlines()]]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert b"--resume" in said


def test_a_child_whose_parent_was_killed_ends_without_a_word(
    alone: list[str], world: House, capfd: pytest.CaptureFixture[str]
) -> None:
    parent, child = socket.socketpair()
    with parent:
        parent.sendall(b"[]\n")
    assert hand._child(child.detach(), world.settings.model_copy(update={"data": Path(alone[1])})) == 1
    assert capfd.readouterr().err == ""


def test_a_child_that_fails_says_where_and_nothing_of_anybody(
    world: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(hand, "Vault", None)
    parent, child = socket.socketpair()
    with parent:
        assert hand._child(child.detach(), world.settings) == 1
    assert "a child of the batch ended: AttributeError at hand.py" in caplog.text
    assert capfd.readouterr().err == "", "a database would tell what it was given"


def test_what_an_earlier_batch_left_is_told_also_where_nothing_is_new(
    alone: list[str], world: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(bench: workbench.Workbench, ids: Sequence[str]) -> None:
        bench.states[workbench.UNREAD] += len(ids)

    for name, what in (("put", put), ("__enter__", lambda bench: bench), ("__exit__", lambda *_: None)):
        monkeypatch.setattr(workbench.Workbench, name, what)
    tally, office = batch.Tally(), opened(alone, world)
    with Local(office.settings, ALICE) as work:
        list(work.hand_in([(spam(subject="left"), "")], "a label", lambda _: None))
        batch.Batch(work, "a label", batch.Stop(), *[lambda _: None] * 3).run([], tally)
    assert tally.states == {workbench.UNREAD: 1}
    office.close()


def test_what_a_batch_left_unfinished_is_said_to_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    for state, goes_on in ((workbench.UNREAD, True), ("analysed", True), ("refused", False)):
        batch_verb._say_sum(batch.Tally(states=Counter({state: 3})))
        assert ("goes on in a running `plaint serve`" in capfd.readouterr().err) == goes_on


def test_a_signal_ends_the_waiting_for_registries_and_what_is_kept_is_read_later(
    alone: list[str], world: House, spams: Callable[[int], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, seen = batch.Stop(), list[Sequence[str] | None]()

    def child(bench: workbench.Workbench, ids: Sequence[str] | None) -> Sequence[str] | None:
        """Waits for registries that do not answer."""
        seen.append(ids)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and list(bench._work.queue) != [None]:
            if bench._work.full() and not stop.by:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        return bench._work.get()

    monkeypatch.setattr(workbench.Workbench, "_child", child)
    monkeypatch.setattr(workbench, "AT_ONCE", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    office, kept = opened(alone, world), list[Mail]()
    before = complaints(office, ComplaintState.RECEIVED)
    mails = [Mail(str(n), n, raw) for n, raw in enumerate(spams(4))]
    with Local(office.settings, ALICE) as work, stop.on_signals(), pytest.raises(batch.StoppedError):
        batch.Batch(work, "a label", stop, lambda _: None, kept.extend, lambda _: None).run(
            mails, batch.Tally()
        )
    assert (len(kept), complaints(office, ComplaintState.RECEIVED)) == (4, before + 4)
    assert len(seen) == 1, "what was not begun is left for later"
    office.close()


def test_after_kill_9_nothing_is_lost_and_nothing_doubled(
    server: list[str], world: House, spams: Callable[[int], list[bytes]], tmp_path: Path
) -> None:
    file, before = mbox(tmp_path / "spam.mbox", spams(20)), complaints(world.office)
    with running(file, *server) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    ran = good("batch", file, "--resume", "--json", *server)
    assert {line["index"] for line in ran.documents} >= set(range(4, 20))
    assert complaints(world.office) == before + 20


# ---- a server that cannot take it now


class Answers(BaseHTTPRequestHandler):
    """Gives the next answer of the server's list, and notes what was asked."""

    server: "Server"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.keys.append(self.headers["Idempotency-Key"])
            status, headers = self.server.answers.pop(0)
        body = b'{"items": [{"index": 0, "complaint": "PL-1", "status": "accepted"}]}'
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - the base's name


class Server(HTTPServer):
    """A server that answers what it is told to."""

    def __init__(self, answers: list[tuple[int, dict[str, str]]]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.answers, self.keys, self.lock = answers, list[str](), threading.Lock()

    @contextmanager
    def up(self) -> Iterator[list[str]]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield ["--server", f"http://127.0.0.1:{self.server_port}", "--token", "t"]
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


def test_a_server_that_is_busy_is_asked_again_as_it_says_and_knows_the_mail_again(world: House) -> None:
    later = {"Retry-After": "1"}
    there = Server([(503, later), (429, later), (202, {})])
    with there.up() as where:
        assert statuses(good("batch", "-", "--json", *where, stdin=spam()).documents) == ["accepted"]
    assert len(there.keys) == 3
    assert len(set(there.keys)) == 1


def test_a_server_that_wants_a_long_pause_ends_the_batch_and_what_was_taken_is_remembered(
    world: House, spams: Callable[[int], list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = mbox(tmp_path / "spam.mbox", spams(2))
    monkeypatch.setattr(remote.Remote, "most_at_once", 1)
    there = Server([(202, {}), (429, {"Retry-After": "3600"}), (202, {})])
    with there.up() as where:
        ran = plaint("batch", file, "--json", *where)
        assert (ran.code, statuses(ran.documents)) == (75, ["accepted"])
        assert "plaint: 1 accepted\nplaint: review with: plaint review --batch " in ran.err
        assert f"plaint batch --resume {file}" in ran.err
        [line] = good("batch", file, "--json", "--resume", *where).documents
    assert line["index"] == 1


def test_what_a_server_refuses_is_told_and_the_rest_goes_on(world: House, tmp_path: Path) -> None:
    file = mbox(tmp_path / "spam.mbox", [spam(subject="large"), spam(subject="small")])
    with Server([(413, {}), (202, {})]).up() as where:
        ran = plaint("batch", file, "--json", *where)
    assert sorted(statuses(ran.documents)) == ["accepted", "refused"]
    assert ran.code == 1


def test_what_a_server_says_is_told_in_whole_sentences() -> None:
    said = {"title": "Too many", "detail": "3 an hour are taken; try again later", "remedy": "Wait an hour."}
    told = remote._problem(httpx.Response(429, json=said), "/api/v1/submissions")
    assert told == "Too many: 3 an hour are taken; try again later. Wait an hour."


def test_progress_tells_rate_and_time_left_by_what_is_read() -> None:
    now = [0.0]
    line = progress.Progress(sys.stderr, None, lambda: now[0])
    for share in (0.50, 0.51, 0.60):  # it went on in the middle
        now[0] += 10
        line.step(share)
    assert line.text() == "3 (60%), 0.1 a second, 2 min left"
