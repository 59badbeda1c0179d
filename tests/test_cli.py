"""The command line as a person or a script meets it: exit codes, what stands on stdout, both places it works on."""

import asyncio
import contextlib
import hashlib
import io
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import alembic.command
import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

import cli
from complaints import __version__, batch_verb
from complaints.db import Database, metadata
from complaints.loopback import World, loopback_internet, spams
from complaints.models import ComplaintState, Reporter
from complaints.office import utc_now
from complaints.settings import Settings, load
from tests.house import ALICE, BOB, CLOUD, SAVANNA, House, house, in_a_thread, spam

CLOUD_DESK = "abuse@cloud.example"
HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202etxt.exe"
PLAINT = [sys.executable, "-m", "cli"]


@dataclass
class Ran:
    """What a command left."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def documents(self) -> list[Any]:
        """Standard output, which is nothing but JSON lines."""
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def document(self) -> Any:
        [only] = self.documents
        return only


def plaint(*words: str, stdin: bytes = b"") -> Ran:
    """Run the command line in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["plaint", *words])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            cli.main()
    code = ended.value.code or 0
    assert isinstance(code, int)
    ran = Ran(code, out.buffer.getvalue(), err.buffer.getvalue().decode())
    assert "Traceback" not in ran.err, ran.err
    return ran


def good(*words: str, stdin: bytes = b"") -> Ran:
    ran = plaint(*words, stdin=stdin)
    assert ran.code == 0, ran.err
    return ran


def environment(settings: Settings, *, data: bool = True) -> dict[str, str]:
    """The PLAINT_* variables that make the same settings."""
    names = set(Settings.model_fields) - (set() if data else {"data"})
    values = {name: getattr(settings, name) for name in names}
    return {f"PLAINT_{name.upper()}": str(value) for name, value in values.items() if value is not None}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running service on a loopback internet, in a thread of its own."""
    with in_a_thread(house(tmp_path_factory.mktemp("home"), undo_seconds=3)) as home:
        yield home


@pytest.fixture
def world(home: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """The environment of an operator's shell on the machine of that service."""
    for name, value in environment(home.settings).items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture(params=["server", "data directory"])
def where(request: pytest.FixtureRequest, world: House, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options with which the verbs on complaints work on a server, and on the data directory."""
    if request.param == "server":
        return ["--server", world.settings.url, "--token", world.token]
    monkeypatch.setenv("PLAINT_SERVER", "http://127.0.0.1:1")
    return ["--data", str(world.settings.data), "--reporter", ALICE]


@pytest.fixture
def eml(tmp_path: Path) -> Callable[..., Path]:
    def write(subject: str = "Cheap pills", ip: str = CLOUD, name: str = "spam.eml") -> Path:
        file = tmp_path / name
        file.write_bytes(spam(ip, subject=subject))
        return file

    return write


def until(where: list[str], complaint: str, right: Callable[[Any], bool]) -> Any:
    """The show document of a complaint, once it is as wanted."""
    for _ in range(200):
        document = good("show", complaint, "--json", *where).document
        if right(document):
            return document
        time.sleep(0.1)
    raise AssertionError(f"not so after 20 s: {document['state']} {document['reports']}")


def waiting(where: list[str], file: Path) -> Any:
    """The show document of a spam handed in and drafted."""
    [item] = good("submit", str(file), "--json", *where).documents
    return until(where, item["complaint"], lambda document: document["state"] == "awaiting_consent")


def to_cloud(document: Any) -> Any:
    [report] = [one for one in document["reports"] if one["to"] == CLOUD_DESK]
    return report


# ---- one file, no service


def test_the_version_is_printed() -> None:
    assert good("--version").text == f"plaint {__version__}\n"


@pytest.mark.parametrize("words", [("--version",), ("trace", "-")])
def test_looking_at_a_file_starts_neither_a_database_nor_the_web(words: tuple[str, ...]) -> None:
    heavy = "{'fastapi', 'uvicorn', 'starlette', 'httpx', 'sqlalchemy', 'sqlmodel', 'pgqueuer', 'dns', 'aiosmtpd'}"
    code = f"import sys, cli, atexit; atexit.register(lambda: print({heavy} & set(sys.modules), file=sys.stderr)); cli.main()"
    ran = subprocess.run([sys.executable, "-c", code, *words], input=spam(), capture_output=True, check=True)
    assert ran.stderr.decode() == "set()\n"


def test_trace_reads_a_file_and_standard_input_alike(eml: Callable[..., Path]) -> None:
    file = eml()
    document = good("trace", str(file), "--json").document
    assert document["source"]["ip"] == CLOUD
    assert set(document["source"]) >= {"ip", "hop", "why", "confidence"}
    assert document["hops"][0]["by"] == "mx.victim.example"
    assert [link["url"] for link in document["links"]] == ["http://pills.example/buy"]
    assert document["grade"] in "ABCD"
    assert good("trace", "-", "--json", stdin=file.read_bytes()).document == document
    said = good("trace", str(file)).text
    assert f"Source: {CLOUD}" in said
    assert "http://pills.example/buy" in said


def test_signatures_are_verified_with_the_keys_of_the_dns_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "signed.eml"
    file.write_bytes(spams(World.load("demo"), utc_now())["01-bank-phishing.eml"])

    async def run() -> list[Ran]:
        async with loopback_internet("demo") as net:
            monkeypatch.setenv("PLAINT_DNS", net.dns)
            ways = (["--json"], ["--json", "--verify"], ["--verify"])
            return [await asyncio.to_thread(good, "trace", str(file), *way) for way in ways]

    unasked, asked, read = asyncio.run(run())
    assert [one["result"] for one in unasked.document["signatures"]] == ["not checked"]
    assert [one["result"] for one in asked.document["signatures"]] == ["pass"]
    assert "cloud.example (selector web): pass." in read.text


def test_trace_of_many_files_is_one_line_each_and_lists_what_failed(
    eml: Callable[..., Path], tmp_path: Path
) -> None:
    files = [str(eml(ip=CLOUD, name="a.eml")), str(tmp_path / "absent"), str(eml(ip=SAVANNA, name="b.eml"))]
    ran = plaint("trace", *files, "--json")
    assert ran.code == 1
    assert [(one["file"], one["source"]["ip"]) for one in ran.documents] == [
        (files[0], CLOUD),
        (files[2], SAVANNA),
    ]
    assert ran.err == f"plaint: {files[1]}: No such file or directory\n"


@pytest.mark.parametrize("content", [b"", b" \r\n"])
def test_a_file_with_nothing_in_it_is_unusable(content: bytes) -> None:
    ran = plaint("trace", "-", stdin=content)
    assert (ran.code, ran.out) == (65, b"")
    assert "empty" in ran.err


def test_trust_moves_the_border_and_an_unreadable_one_is_a_usage_error(eml: Callable[..., Path]) -> None:
    document = good("trace", str(eml()), "--trust", CLOUD, "--json").document
    assert document["source"] is None
    ran = plaint("trace", str(eml()), "--trust", "not a host!")
    assert (ran.code, ran.out) == (2, b"")
    assert "--trust" in ran.err


def test_nothing_a_spam_says_controls_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "spam\x1b[31m.eml"
    raw = spam(subject="x").replace(b"Subject: x", f"Subject: {HOSTILE}".encode())
    raw = raw.replace(b"seller.example (unknown", b"\x1b[2Jseller.example (\x9b31munknown").replace(
        b"/buy", b"/\x1b[1mbuy"
    )
    file.write_bytes(raw)
    for words in (["trace", str(file)], ["trace", str(file), "--json"], ["trace", str(file), str(file)]):
        text = good(*words).text
        assert not [char for char in text if not char.isprintable() and char != "\n"], words


def test_a_terminal_with_few_letters_is_no_reason_to_fail(eml: Callable[..., Path]) -> None:
    file = eml(subject="Grüße")
    for words in (["trace", str(file)], ["trace", str(file), "--json"]):
        subprocess.run(
            [*PLAINT, *words], env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True
        )


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen([*PLAINT, "trace", pipe], stderr=subprocess.PIPE) as process:
        with pipe.open("wb"):  # waits until the other side reads
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_what_is_no_command_is_a_usage_error() -> None:
    for words in (["nonsense"], ["trace"], ["list", "--nonsense"]):
        ran = plaint(*words)
        assert (ran.code, ran.out) == (2, b"")


@pytest.mark.parametrize("color", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_nothing_is_coloured_on_a_terminal_either(color: dict[str, str], eml: Callable[..., Path]) -> None:
    for words in (["--help"], ["trace", "--help"], ["nonsense"], ["trace", str(eml())]):
        own, theirs = pty.openpty()
        shell = os.environ | {"TERM": "xterm-256color"} | color
        process = subprocess.Popen([*PLAINT, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=shell)
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # raised when the program closes the terminal
            while part := os.read(own, 4096):
                said += part
        os.close(own)
        process.wait()
        assert said
        assert b"\x1b" not in said, words


# ---- who answers


def test_lookup_names_the_desk_with_its_reason(world: House) -> None:
    document = good("lookup", CLOUD, "--json").document
    assert document["target"] == CLOUD
    best = document["contacts"][0]
    assert best["address"] == CLOUD_DESK
    assert set(best) >= {"scope", "source", "server", "confidence", "why", "as_of"}
    assert {"failures", "rejected", "kind"} <= set(document)
    said = good("lookup", CLOUD, SAVANNA).text
    assert CLOUD_DESK in said
    assert "abuse@savanna.example" in said
    assert len(good("lookup", CLOUD).text.splitlines()) <= 20


def test_what_cannot_be_looked_up_is_unusable_and_among_others_a_failure(world: House) -> None:
    ran = plaint("lookup", "two words", "--json")
    assert ran.code == 65
    assert ran.document["target"] == "two words"
    assert ran.document["error"]
    ran = plaint("lookup", "two words", CLOUD)
    assert ran.code == 1
    assert CLOUD_DESK in ran.text
    assert "two words" in ran.err


def test_a_hop_that_is_the_reporters_is_said_on_the_command_line(tmp_path: Path) -> None:
    """In the data directory: the spam is read again at once, and the source lies further down."""

    async def main() -> None:
        async with house(tmp_path, roles=("web", "smtp", "worker")) as home:
            own = f"Received: from gate.office.example (gate.office.example [{SAVANNA}]) by store.victim.example"
            date = format_datetime(utc_now())
            [document] = await home.waiting(f"{own} (Postfix) with ESMTP id 7; {date}\r\n".encode() + spam())
            assert document["source_ip"] == SAVANNA
            where = ["--server", home.settings.url, "--token", home.token]
            ran = await asyncio.to_thread(plaint, "mine", document["id"], "--hop", "9", *where)
            assert (ran.code, "line 9" in ran.err) == (1, True)
            ran = await asyncio.to_thread(plaint, "mine", document["id"], "--hop", "0", "--json", *where)
            assert ran.document["state"] == "received"
            for _ in range(100):
                if (await home.show(document["id"]))["state"] == "awaiting_consent":
                    break
                await asyncio.sleep(0.1)
            assert (await home.show(document["id"]))["source_ip"] == CLOUD
            local = ["--data", str(home.settings.data), "--reporter", ALICE]
            ran = await asyncio.to_thread(plaint, "mine", document["id"], "--hop", "1", *local)
            assert ran.code == 0, ran.err
            shown = good("reporters", "show", ALICE, "--json", "--data", str(home.settings.data)).document
            learned = [entry.get("address") or entry["host"] for entry in shown["learned"]]
            assert learned == [SAVANNA, "gate.office.example", CLOUD]
            assert {entry["complaint"] for entry in shown["learned"]} == {document["id"]}

    asyncio.run(main())


# ---- reporters


def test_a_reporter_is_sent_a_probe(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    good(
        "reporters", "add", "carol@victim.example.com", "--verified", "--alias", "c@other.example.com", *data
    )
    assert "carol@victim.example.com" in good("reporters", "probe", "carol@victim.example.com", *data).err
    sent = good("reporters", "probe", "carol@victim.example.com", "--to", "C@other.example.com", *data)
    assert "c@other.example.com" in sent.err
    ran = plaint("reporters", "probe", "carol@victim.example.com", "--to", "d@other.example.com", *data)
    assert (ran.code, "is not an address of yours" in ran.err) == (65, True)


def test_reporters_are_added_listed_shown_and_get_new_secrets(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    given = ["--name", "Carol C.", "--alias", "carol@other.example.com", "--trust", "mx.victim.example.com"]
    made = good(
        "reporters", "add", "carol@victim.example.com", "--verified", *given, "--json", *data
    ).document
    assert set(made) == {"id", "address", "submission_address", "token"}
    [listed] = good("reporters", "list", "--json", *data).documents
    assert listed["address"] == "carol@victim.example.com"
    assert (listed["names"], listed["aliases"], listed["trust"]) == (
        ["Carol C."],
        ["carol@other.example.com"],
        ["mx.victim.example.com"],
    )
    assert good("reporters", "show", "CAROL@victim.example.com", "--json", *data).document == listed
    again = good("reporters", "rotate", "carol@victim.example.com", "--json", *data).document
    assert again["submission_address"] != made["submission_address"]
    assert again["token"] != made["token"]
    everything = (
        good("reporters", "list", *data).text
        + good("reporters", "show", "carol@victim.example.com", *data).text
    )
    assert again["token"] not in everything + json.dumps(listed)
    assert again["submission_address"] not in everything + json.dumps(listed)


def test_a_reporter_that_cannot_be_is_unusable_with_the_reason(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    good("reporters", "add", "carol@victim.example.com", "--verified", *data)
    for words, why in (
        (["add", "carol@victim.example.com", "--verified"], "registered already"),
        (["add", "no address", "--verified"], "not a mail address"),
        (["add", "dave@victim.example.com", "--verified", "--trust", "not a host!"], "--trust"),
        (["show", "nobody@victim.example.com"], "no reporter"),
        (["rotate", "nobody@victim.example.com"], "no reporter"),
    ):
        ran = plaint("reporters", *words, *data)
        assert (ran.code, ran.out) == (65, b"")
        assert why in ran.err
    assert len(good("reporters", "list", "--json", *data).documents) == 1


def test_a_running_server_sees_a_new_reporter_at_once(world: House) -> None:
    made = good("reporters", "add", BOB, "--verified", "--json").document
    assert good("list", "--server", world.settings.url, "--token", made["token"]).out == b""


# ---- complaints, on a server and on the data directory


def test_a_spam_goes_from_a_file_to_the_desk(
    where: list[str], world: House, eml: Callable[..., Path]
) -> None:
    file = eml(subject=f"All the way {where[0]}")
    [item] = good("submit", str(file), "--json", *where).documents
    told = {"file": str(file), "index": 0, "status": "accepted", "grade": "A"}
    assert item == told | {"complaint": item["complaint"]}
    document = until(where, item["complaint"], lambda one: one["state"] == "awaiting_consent")
    assert document["evidence"] == good("trace", str(file), "--trust", "mx.victim.example", "--json").document
    report = to_cloud(document)
    assert set(report) >= {
        "id",
        "to",
        "scope",
        "why",
        "confidence",
        "state",
        "digest",
        "ticked",
        "attempts",
        "next_at",
        "sent_at",
        "detail",
        "replies",
    }
    assert httpx.get(document["review_url"]).status_code == 200

    assert good("raw", document["id"], *where).out == file.read_bytes()
    shown = good("preview", document["id"], "--to", CLOUD_DESK, *where).out
    assert report["digest"] == "sha256:" + hashlib.sha256(shown).hexdigest()
    assert ALICE.encode() not in shown

    confirmed = good(
        "confirm", document["id"], "--yes", "--to", CLOUD_DESK, "--digest", report["digest"], "--json", *where
    ).document
    assert (confirmed["state"], to_cloud(confirmed)["state"]) == ("confirmed", "queued")
    assert to_cloud(until(where, document["id"], lambda one: one["state"] == "closed"))["state"] == "sent"
    [arrived] = [mail for mail in world.internet.messages if mail.raw.endswith(shown)]
    assert arrived.rcpt_tos == (CLOUD_DESK,)


def test_the_same_file_again_is_a_duplicate(where: list[str], eml: Callable[..., Path]) -> None:
    file = eml(subject=f"Twice {where[0]}")
    first, second = (good("submit", str(file), "--json", *where).document for _ in range(2))
    assert (second["status"], second["complaint"]) == ("duplicate", first["complaint"])
    assert second["reason"]
    assert "duplicate" in good("submit", str(file), *where).text


def test_many_files_are_many_lines_and_the_refused_ones_say_why(
    where: list[str], eml: Callable[..., Path], tmp_path: Path
) -> None:
    mbox = tmp_path / "two.mbox"
    mbox.write_bytes(
        b"".join(
            b"From x@y.example Mon Nov  2 12:00:00 2026\n"
            + spam(subject=f"Box {n} {where[0]}").replace(b"\r\n", b"\n")
            + b"\n"
            for n in (1, 2)
        )
    )
    ran = plaint(
        "submit", str(mbox), str(tmp_path / "absent"), str(eml(subject=f"Third {where[0]}")), "--json", *where
    )
    assert ran.code == 1
    assert [(Path(one["file"]).name, one["index"], one["status"]) for one in ran.documents] == [
        ("two.mbox", 0, "accepted"), ("two.mbox", 1, "accepted"), ("absent", 0, "refused"), ("spam.eml", 0, "accepted"),
    ]  # fmt: skip
    assert "No such file" in ran.err
    assert "No such file" in ran.documents[2]["reason"]
    nothing = plaint("submit", "-", "--json", *where)
    assert nothing.code == 65
    assert nothing.document["status"] == "refused"


def test_a_file_larger_than_is_taken_at_once_is_never_held_and_a_server_reads_it_bit_by_bit(
    where: list[str], eml: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = eml(subject=f"Large {where[0]}")
    monkeypatch.setenv("PLAINT_MAX_BYTES", "50")
    monkeypatch.setattr(batch_verb, "_read", lambda _: pytest.fail("it was read whole"))
    ran = plaint("submit", str(file), "--json", *where)
    if "--server" in where:
        assert (ran.code, ran.document["status"]) == (0, "accepted"), "the server's own bound is higher"
    else:
        assert (ran.code, ran.document["status"]) == (65, "refused")
        assert "plaint batch" in ran.document["reason"]


def test_a_forward_is_unwrapped_only_when_said(where: list[str]) -> None:
    from complaints.demo import as_attachments

    mail = as_attachments([spam(subject=f"Inside {where[0]} {n}") for n in (1, 2)], "x@plaint.example")
    items = good("submit", "-", "--forward", "--json", *where, stdin=mail).documents
    assert [(one["file"], one["index"], one["status"]) for one in items] == [
        ("-", 0, "accepted"),
        ("-", 1, "accepted"),
    ]
    assert len(good("submit", "-", "--json", *where, stdin=mail).documents) == 1


def test_a_list_has_one_line_per_complaint_and_knows_the_states(
    where: list[str], eml: Callable[..., Path]
) -> None:
    document = waiting(where, eml(subject=f"Listed {where[0]}"))
    items = good("list", "--json", *where).documents
    assert set(items[0]) >= {"id", "state", "received_at", "subject", "source_ip"}
    assert [item["received_at"] for item in items] == sorted(
        (item["received_at"] for item in items), reverse=True
    )
    assert document["id"] in [
        item["id"] for item in good("list", "--state", "awaiting_consent", "--json", *where).documents
    ]
    assert document["id"] not in good("list", "--state", "closed", *where).text
    wrong = plaint("list", "--state", "nonsense", *where)
    assert wrong.code == 2
    assert all(state in wrong.err for state in ComplaintState)


def test_a_list_of_more_than_a_page_is_whole(
    where: list[str], eml: Callable[..., Path], tmp_path: Path
) -> None:
    mbox = tmp_path / "many.mbox"
    mbox.write_bytes(
        b"".join(
            b"From x@y.example Mon Nov  2 12:00:00 2026\n"
            + spam(subject=f"Page {n}").replace(b"\r\n", b"\n")
            + b"\n"
            for n in range(60)
        )
    )
    good("submit", str(mbox), *where)
    ids = [item["id"] for item in good("list", "--json", *where).documents]
    assert len(ids) == len(set(ids)) > 60


def test_confirm_without_yes_sends_nothing_and_says_what_it_would(
    where: list[str], eml: Callable[..., Path]
) -> None:
    document = waiting(where, eml(subject=f"Not yet {where[0]}"))
    ran = plaint("confirm", document["id"], *where)
    assert (ran.code, ran.out) == (2, b"")
    assert CLOUD_DESK in ran.err
    assert to_cloud(document)["digest"] in ran.err
    again = good("show", document["id"], "--json", *where).document
    assert again | {"review_url": ""} == document | {"review_url": ""}  # each link is made anew


def test_confirm_refuses_what_was_not_shown(where: list[str], eml: Callable[..., Path]) -> None:
    document = waiting(where, eml(subject=f"Stale {where[0]}"))
    for words, code in (
        (["--digest", "sha256:" + "0" * 64], 1),
        (["--to", "abuse@elsewhere.example"], 2),
        (["--redaction", "nonsense"], 2),
        (["--note", f"write to {ALICE}"], 65),
    ):
        ran = plaint("confirm", document["id"], "--yes", *words, *where)
        assert (ran.code, ran.out) == (code, b""), words
    assert good("show", document["id"], "--json", *where).document["state"] == "awaiting_consent"


def test_a_note_is_in_what_is_sent(where: list[str], eml: Callable[..., Path]) -> None:
    document = waiting(where, eml(subject=f"Noted {where[0]}"))
    good("confirm", document["id"], "--yes", "--to", CLOUD_DESK, "--note", "The third this week.", *where)
    shown = good("preview", document["id"], "--to", CLOUD_DESK, *where).out
    assert b"The third this week." in shown
    after = good("show", document["id"], "--json", *where).document
    assert to_cloud(after)["digest"] == "sha256:" + hashlib.sha256(shown).hexdigest()


def test_a_consent_is_undone_until_it_left(where: list[str], world: House, eml: Callable[..., Path]) -> None:
    document = waiting(where, eml(subject=f"Undone {where[0]}"))
    good("confirm", document["id"], "--yes", "--to", CLOUD_DESK, *where)
    undone = good("undo", document["id"], "--json", *where).document
    assert (undone["state"], to_cloud(undone)["state"]) == ("awaiting_consent", "cancelled")
    again = plaint("undo", document["id"], *where)
    assert (again.code, again.out) == (1, b"")
    assert to_cloud(document)["message_id"].encode() not in b"".join(
        mail.raw for mail in world.internet.messages
    )


def test_what_is_discarded_stays_unsent(where: list[str], eml: Callable[..., Path]) -> None:
    document = waiting(where, eml(subject=f"Discarded {where[0]}"))
    assert good("discard", document["id"], "--json", *where).document["state"] == "discarded"
    for words in (["discard"], ["confirm", "--yes"], ["refresh"]):
        assert plaint(*words, document["id"], *where).code == 1


def test_refresh_looks_again_and_makes_old_digests_stale(where: list[str], eml: Callable[..., Path]) -> None:
    document = waiting(where, eml(subject=f"Refreshed {where[0]}"))
    good("refresh", document["id"], *where)
    fresh = until(where, document["id"], lambda one: one["state"] == "awaiting_consent")
    assert to_cloud(fresh)["digest"] != to_cloud(document)["digest"]
    assert (
        plaint("confirm", document["id"], "--yes", "--digest", to_cloud(document)["digest"], *where).code == 1
    )


def test_a_preview_of_several_reports_lists_them(where: list[str], eml: Callable[..., Path]) -> None:
    document = waiting(where, eml(subject=f"Several {where[0]}"))
    assert len(document["reports"]) > 1
    ran = plaint("preview", document["id"], *where)
    assert (ran.code, ran.out) == (2, b"")
    assert all(f"--to {report['to']}" in ran.err for report in document["reports"])


def test_an_id_that_is_not_yours_is_like_one_that_does_not_exist(where: list[str]) -> None:
    for words in (["show"], ["raw"], ["preview"], ["discard"], ["undo"], ["refresh"], ["confirm", "--yes"]):
        for unknown in ("PL-000000000000", "../../healthz", "?", "\u202e"):
            ran = plaint(*words, unknown, *where)
            assert (ran.code, ran.out) == (65, b""), (words, unknown, ran)


def test_a_spam_shown_to_a_person_cannot_move_the_cursor(where: list[str], tmp_path: Path) -> None:
    raw = spam(subject=f"y {where[0]}").replace(b"Subject: y", f"Subject: {HOSTILE}".encode())
    file = tmp_path / "hostile.eml"
    file.write_bytes(raw)
    document = waiting(where, file)
    for words in (["show", document["id"]], ["list"], ["submit", str(file)], ["list", "--json"]):
        text = good(*words, *where).text
        assert not [char for char in text if not char.isprintable() and char != "\n"], words
    assert "owned" in good("list", *where).text


# ---- where it works


def test_without_a_place_to_work_on_nothing_is_done(tmp_path: Path) -> None:
    for words in ([], ["--server", "http://127.0.0.1:1"], ["--token", "x"], ["--data", str(tmp_path)]):
        ran = plaint("list", *words)
        assert (ran.code, ran.out) == (2, b"")


def test_a_wrong_token_or_reporter_is_not_allowed(world: House) -> None:
    assert plaint("list", "--server", world.settings.url, "--token", "plaint_wrong").code == 77
    assert (
        plaint("list", "--data", str(world.settings.data), "--reporter", "nobody@victim.example").code == 77
    )


def test_a_server_that_is_down_or_no_plaint_is_unavailable(world: House) -> None:
    assert plaint("list", "--server", "http://127.0.0.1:1", "--token", "x").code == 69
    assert plaint("list", "--server", world.internet.inbox_url, "--token", "x").code in {65, 69}
    ran = plaint("list", "--server", world.settings.url + "/register?", "--token", world.token)
    assert ran.code == 69
    assert "no Plaint" in ran.err


@pytest.mark.parametrize("server", ["nonsense", "http://x:y", "ftp://127.0.0.1"])
def test_a_server_that_is_no_url_is_a_usage_error(server: str) -> None:
    assert plaint("list", "--server", server, "--token", "x").code == 2
    assert plaint("list", "--server", "http://127.0.0.1:1", "--token", "a\x00\u20ac").code == 2


def test_a_database_that_does_not_answer_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAINT_DATABASE_URL", "postgresql://127.0.0.1:1/plaint")
    ran = plaint("reporters", "list", "--data", str(tmp_path))
    assert ran.code == 69
    assert "database" in ran.err


def test_settings_that_cannot_be_are_named_and_unknown_ones_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAINT_SMPT", "127.0.0.1:25")
    assert "PLAINT_SMPT" in good("reporters", "list", "--data", str(tmp_path)).err
    monkeypatch.setenv("PLAINT_SMTP", "nowhere")
    ran = plaint("reporters", "list", "--data", str(tmp_path))
    assert ran.code == 2
    assert "PLAINT_SMTP" in ran.err
    monkeypatch.setenv("PLAINT_SMTP", "127.0.0.1:2525")
    for url in ("mysql://u:hunter2@db.example/plaint", "hunter2", "postgresql:hunter2"):
        monkeypatch.setenv("PLAINT_DATABASE_URL", url)
        ran = plaint("reporters", "list", "--data", str(tmp_path))
        assert ran.code == 2
        assert "PLAINT_DATABASE_URL" in ran.err
        assert "hunter2" not in ran.err
    monkeypatch.delenv("PLAINT_DATABASE_URL")
    (tmp_path / "plaint.toml").write_text('mail_domian = "plaint.example"')
    ran = plaint("reporters", "list", "--data", str(tmp_path))
    assert ran.code == 2
    assert "plaint.toml: PLAINT_MAIL_DOMIAN is no setting" in ran.err


# ---- the house


def test_doctor_says_what_is_missing_and_what_to_publish(
    world: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = plaint("doctor", "--json")
    findings = {one["name"]: one for one in ran.documents}
    assert ran.code == 1
    assert findings["database"]["ok"]
    assert findings["contact"]["ok"], "nobody needs one on loopback"
    monkeypatch.setenv("PLAINT_PUBLIC_URL", "https://plaint.example")
    lacking = {one["name"]: one for one in plaint("doctor", "--json").documents}["contact"]
    assert not lacking["ok"]
    assert "PLAINT_CONTACT" in lacking["detail"]
    assert findings["mail domain"]["ok"], findings
    assert not findings["dkim"]["ok"]
    assert "plaint._domainkey.plaint.example. TXT" in findings["dkim"]["detail"]
    assert findings["whois"]["ok"]
    assert "terms" in findings["contact zones"]["detail"]
    assert plaint("doctor").text.count("\n") == len(findings)


def test_upgrading_twice_is_upgrading_once(tmp_path: Path) -> None:
    def schema() -> list[Any]:
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "plaint.sqlite")) as connection:
            return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()

    good("db", "upgrade", "--data", str(tmp_path / "data"))
    first = schema()
    assert good("db", "upgrade", "--data", str(tmp_path / "data")).out == b""
    assert schema() == first


def test_upgrading_makes_exactly_the_declared_schema(
    bare_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAINT_DATABASE_URL", bare_database_url)
    good("db", "upgrade", "--data", str(tmp_path / "data"))
    database = Database(load(data=tmp_path / "data").database)
    own = {"include_name": lambda name, kind, _parents: kind != "table" or name in metadata().tables}
    with database.engine.connect() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*expression-based index")  # SQLite tells nothing of it
        assert compare_metadata(MigrationContext.configure(connection, opts=own), metadata()) == []
    database.close()


def test_an_old_database_keeps_its_reporters_through_the_upgrade(
    bare_database_url: str, tmp_path: Path
) -> None:
    database = Database(load(data=tmp_path / "data", database_url=bare_database_url).database)
    alembic.command.upgrade(database._alembic(), "0001")
    old = "INSERT INTO reporter (id, address, names, aliases, trust, key, created_at)"
    with database.transaction() as session:
        values = "VALUES ('r1', 'a@b.example', '[]', '[]', '[\"mx.b.example\"]', '', '2026-11-24 12:00:00')"
        session.execute(text(f"{old} {values}"))
    database.upgrade()
    with database.reading() as session:
        row = session.get_one(Reporter, "r1")
        assert (row.trust, row.learned, row.mail_hosts) == (["mx.b.example"], [], [])
    database.close()


def test_serve_refuses_a_database_of_another_schema_and_names_the_command(tmp_path: Path) -> None:
    data = tmp_path / "data"
    good("db", "upgrade", "--data", str(data))
    with contextlib.closing(sqlite3.connect(data / "plaint.sqlite")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'another'")
        connection.commit()
    for words in (["serve"], ["reporters", "list"]):
        ran = plaint(*words, "--data", str(data))
        assert (ran.code, ran.out) == (2, b"")
        assert "another" in ran.err
        assert "plaint db upgrade" in ran.err
    newer = plaint("db", "upgrade", "--data", str(data))
    assert newer.code == 2
    assert "another" in newer.err


def test_an_unknown_role_is_a_usage_error(tmp_path: Path) -> None:
    ran = plaint("serve", "--data", str(tmp_path), "--role", "smtp", "--role", "cook")
    assert ran.code == 2
    assert "cook" in ran.err
    assert "worker" in ran.err


def test_a_taken_port_is_named(world: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("--smtp", "--http"):
        other = ["--http", "127.0.0.1:0"] if way == "--smtp" else ["--smtp", "127.0.0.1:0"]
        taken = getattr(world.settings, way.removeprefix("--"))
        ran = subprocess.run(
            [*PLAINT, "serve", "--data", tmp_path / "data", way, taken, *other],
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert ran.returncode == 2
        assert taken in ran.stderr.decode()
        assert b"Traceback" not in ran.stderr


def test_only_an_unconfirmed_report_is_sent_again(world: House, eml: Callable[..., Path]) -> None:
    where = ["--data", str(world.settings.data), "--reporter", ALICE]
    document = waiting(where, eml(subject="Not again"))
    assert plaint("resend", to_cloud(document)["id"]).code == 1
    assert plaint("resend", "PL-000000000000-1").code == 65


OWN_ROW = """[[override]]
networks = ["192.0.2.0/28"]
address = "desk@right.example"
why = "The customer answers"
source = "a call with their desk"
date = 2026-11-20
"""


def test_known_desks_are_listed_by_what_they_hold_for_your_own_first(tmp_path: Path) -> None:
    where = ("--data", str(tmp_path))
    (tmp_path / "desks.toml").write_text(OWN_ROW)
    row = good("desks", "known", "192.0.2.3", "--json", *where).document
    assert (row["address"], row["source"], row["date"]) == (
        "desk@right.example",
        "a call with their desk",
        "2026-11-20",
    )
    assert row["place"] == f"{tmp_path / 'desks.toml'}: [[override]] number 1"
    shown = good("desks", "known", "shop.github.io", *where).text
    assert shown.startswith("platform GitHub: https://support.github.com/contact/report-abuse\n")
    assert "2026-11-26" in shown
    assert good("desks", "known", "abuse@cloudflare.com", "--json", *where).document["table"] == "form"
    everything = good("desks", "known", "--json", *where).documents
    assert everything[0]["place"] == row["place"]
    assert len(everything) > 70
    assert plaint("desks", "known", "nothing.example", *where).code == 65


def test_a_file_of_known_desks_is_checked_before_it_is_used(tmp_path: Path) -> None:
    where = ("--data", str(tmp_path))
    assert plaint("desks", "check", *where).code == 65, "there is none"
    file = tmp_path / "mine.toml"
    file.write_text(OWN_ROW)
    checked = good("desks", "check", str(file), *where)
    assert checked.err == f"plaint: {file}: 1 row, all usable\n"
    file.write_text(OWN_ROW.replace("/28", ""))
    wrong = plaint("desks", "check", str(file), *where)
    assert (wrong.code, wrong.out) == (65, b"")
    assert f"{file}: [[override]] number 1: `networks` must hold CIDRs" in wrong.err


def test_the_doctor_names_a_mistake_in_the_known_desks(world: House) -> None:
    file = world.settings.data / "desks.toml"

    def finding() -> Any:
        found = plaint("doctor", "--json", "--data", str(world.settings.data)).documents
        return next(one for one in found if one["name"] == "known desks")

    file.write_text(OWN_ROW)
    assert (finding()["ok"], f"1 of your own in {file}" in finding()["detail"]) == (True, True)
    file.write_text(OWN_ROW.replace("why", "way"))
    assert not finding()["ok"]
    assert f"{file}: [[override]] number 1: `way` is not known here" in finding()["detail"]
    file.unlink()


def test_a_stopped_desk_is_listed_and_resumed(world: House, eml: Callable[..., Path]) -> None:
    where = ["--data", str(world.settings.data), "--reporter", ALICE]
    document = waiting(where, eml(SAVANNA, ip=SAVANNA))
    good("confirm", document["id"], "--yes", "--to", "abuse@savanna.example", *where)
    until(where, document["id"], lambda one: one["state"] == "closed")
    [report] = [mail for mail in world.internet.messages if mail.rcpt_tos == ("abuse@savanna.example",)]
    stop = report.message["List-Unsubscribe"].replace("\r\n", "").split("<")[1].split(">")[0]
    url = stop if stop.startswith("http") else report.message["List-Unsubscribe"].split("<")[2].split(">")[0]
    assert httpx.post(url, data={"List-Unsubscribe": "One-Click"}).is_success
    [stopped] = good("desks", "list", "--json").documents
    assert stopped["address"] == "abuse@savanna.example"
    assert "abuse@savanna.example" in good("desks", "list").text
    assert good("desks", "resume", "abuse@savanna.example").out == b""
    assert good("desks", "list").out == b""
    assert plaint("desks", "resume", "abuse@savanna.example").code == 65
