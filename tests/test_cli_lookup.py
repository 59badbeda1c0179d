"""`plaint lookup` as a person or a script meets it: many targets, explanations, exit codes."""

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from complaints.lookup_verb import Tally
from complaints.loopback import Internet, World, loopback_internet
from tests.house import CLOUD, SAVANNA, in_a_thread
from tests.test_cli import CLOUD_DESK, PLAINT, Ran, good, plaint


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    """The demo's internet, in a thread of its own."""
    with in_a_thread(loopback_internet("demo")) as one:
        yield one


@pytest.fixture(autouse=True)
def shell(internet: Internet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a shell inside that internet."""
    for name, value in internet.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PLAINT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PLAINT_LIMIT_LOOKUPS", "0")


def test_many_targets_are_json_lines_in_the_order_asked_with_the_bad_ones_named() -> None:
    listed = f"# from the log\n{CLOUD}\n\ntwo words\n  {SAVANNA}\n10.0.0.1\n".encode()
    ran = plaint("lookup", "www.pills.example", "-", "AS64496", "--json", stdin=listed)
    assert ran.code == 1
    assert [one["target"] for one in ran.documents] == [
        "www.pills.example",
        CLOUD,
        "two words",
        SAVANNA,
        "10.0.0.1",
        "AS64496",
    ]
    assert "two words" in ran.documents[2]["error"]
    assert all("contacts" in one for one in ran.documents if "error" not in one)
    assert ran.err == ""


def test_for_a_person_answers_stand_apart_and_bad_targets_are_named_on_stderr() -> None:
    ran = plaint("lookup", CLOUD, "two words", "10.0.0.1")
    assert ran.code == 1
    assert len(ran.text.split("\n\n")) == 2
    assert ran.err.startswith("plaint: cannot look up 'two words'")
    assert "no abuse desk found" in ran.text
    assert "is private" in ran.text


def test_standard_input_without_a_target_is_no_error_and_none_at_all_is_one() -> None:
    assert good("lookup", "-", stdin=b"\n# nothing\n").text == ""
    assert plaint("lookup").code == 2


def test_every_question_is_explained_to_a_person_and_to_a_script() -> None:
    text = good("lookup", SAVANNA, "--explain").text
    assert "questions, in the order they were asked:" in text
    for part in (
        "WHOIS whois.afrinic.example",
        "> A rdap.afrinic.example",
        "= refers to whois.afrinic.example",
        "% This is the AfriNIC",
    ):
        assert part in text
    again = good("lookup", SAVANNA, "--explain", "--json").document["questions"]
    assert [(one["source"], one["cached"]) for one in again] == [("cache", True)]
    asked = good("lookup", CLOUD, "--explain", "--json").document["questions"]
    assert [one["source"] for one in asked if one["source"] != "dns"] == ["rdap", "rdap"]
    assert "abuse@cloud.example" in asked[1]["answer"]


def test_when_nobody_answers_trying_later_is_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAINT_DNS", "127.0.0.1:9")
    monkeypatch.setenv("PLAINT_LOOKUP_SECONDS", "0.3")
    ran = plaint("lookup", CLOUD, "--json")
    assert ran.code == 75
    assert ran.document["contacts"] == []
    ran = plaint("lookup", CLOUD, "10.0.0.1")
    assert ran.code == 1
    assert "1 of them got no answer" in ran.err


@pytest.mark.parametrize(
    ("tally", "code"),
    [(Tally(), 0), (Tally(answered=3), 0), (Tally(answered=3, unusable=1), 1), (Tally(answered=1, unanswered=1), 1), (Tally(unusable=2), 65),
     (Tally(unanswered=1), 69), (Tally(unanswered=2, later=True), 75), (Tally(unanswered=1, unusable=1), 69)],
)  # fmt: skip
def test_the_exit_code_tells_what_became_of_the_targets(tally: Tally, code: int) -> None:
    assert tally.code() == code


def test_answers_stream_and_ctrl_c_ends_with_130() -> None:
    with subprocess.Popen(
        [*PLAINT, "lookup", "-", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for target in (CLOUD, SAVANNA):
            process.stdin.write(target.encode() + b"\n")
            process.stdin.flush()
            assert target.encode() in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert b"Traceback" not in process.stderr.read()


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(tmp_path: Path) -> None:
    listed = tmp_path / "many"
    listed.write_text("10.0.0.1\n" * 20_000)
    with (
        listed.open("rb") as stdin,
        subprocess.Popen(
            [*PLAINT, "lookup", "-", "--json"], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == b""


@pytest.mark.parametrize("color", [{}, {"NO_COLOR": "1"}])
def test_on_a_terminal_progress_is_shown_and_nothing_drives_it(color: dict[str, str], tmp_path: Path) -> None:
    """The name server never answers one of the targets, so that there is time for a line of progress."""
    listed = tmp_path / "many"
    listed.write_text(f"{CLOUD}\n10.0.0.1\n\x1b[31m.example\n")
    own, theirs = pty.openpty()
    shell = (
        os.environ
        | {"TERM": "xterm-256color", "PLAINT_DNS": "127.0.0.1:9", "PLAINT_LOOKUP_SECONDS": "2"}
        | color
    )
    with listed.open("rb") as stdin:
        process = subprocess.Popen(
            [*PLAINT, "lookup", "-"], stdin=stdin, stdout=theirs, stderr=theirs, env=shell
        )
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # raised when the program closes the terminal
            while part := os.read(own, 4096):
                said += part
        os.close(own)
        assert process.wait(30) == 1
    assert b"2 of 3, " in said
    assert b"\x1b" not in said
    assert "is private" in said.decode()


def test_a_hostile_answer_does_not_drive_the_terminal() -> None:
    world = World.load("demo").extended(
        '[networks."198.51.100.192/28"]\nname = "EVIL"\nregistry = "ripe"\nrdap = "404"\n'
        'whois_body = "\\u001b]0;owned\\u0007 % hello \\u009b2J\\r\\nabuse-mailbox: abuse@cloud.example\\r\\n"\n'
    )

    async def run() -> str:
        async with loopback_internet(world) as net:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in net.settings().items():
                    patch.setenv(name, value)
                return (await asyncio.to_thread(plaint, "lookup", "198.51.100.193", "--explain")).text

    text = asyncio.run(run())
    assert "owned" in text
    assert not [char for char in text if not char.isprintable() and char != "\n"]


def test_the_desk_of_the_demo_is_found_in_at_most_twenty_lines() -> None:
    for target in (CLOUD, SAVANNA, "www.pills.example", "joe@pills.example", "203.0.113.140"):
        lines = good("lookup", target).text.splitlines()
        assert len(lines) <= 20
        assert max(map(len, lines)) <= 80
    assert CLOUD_DESK in good("lookup", "www.pills.example").text


def test_looking_up_starts_neither_a_database_nor_the_web() -> None:
    heavy = "{'fastapi', 'uvicorn', 'starlette', 'sqlalchemy', 'sqlmodel', 'alembic', 'pgqueuer', 'aiosmtpd'}"
    code = f"import sys, cli, atexit; atexit.register(lambda: print({heavy} & set(sys.modules), file=sys.stderr)); cli.main()"
    ran = subprocess.run([sys.executable, "-c", code, "lookup", "10.0.0.1"], capture_output=True, check=True)
    assert ran.stderr.decode() == "set()\n"


def test_limits_and_answers_are_shared_with_the_service_in_its_database(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"lookup_{uuid4().hex}"
    with psycopg.connect(postgres + "postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    monkeypatch.setenv("PLAINT_DATABASE_URL", postgres + name)
    assert good("lookup", CLOUD, "--json").document["contacts"][0]["address"] == CLOUD_DESK
    monkeypatch.setenv("PLAINT_DATA", str(Path(os.environ["PLAINT_DATA"]).with_name("another machine")))
    again = good("lookup", CLOUD, "--explain", "--json").document
    assert [one["source"] for one in again["questions"]] == ["cache"]


def test_a_list_waits_for_the_limits_of_servers_and_a_few_targets_do_not() -> None:
    """One registry that takes one question a second, a target's second over before it is the turn of all."""
    networks = "".join(
        f'[networks."198.51.100.{n * 16}/28"]\nname = "N{n}"\nregistry = "ripe"\nabuse = "abuse@n{n}.example"\n'
        for n in range(5)
    )
    targets = [f"198.51.100.{n * 16 + 1}" for n in range(5)]

    async def run() -> tuple[Ran, Ran]:
        async with loopback_internet(World.parse(networks)) as net:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in net.settings().items():
                    patch.setenv(name, value)
                patch.setenv("PLAINT_LIMIT_LOOKUPS", "60")
                patch.setenv("PLAINT_LOOKUP_SECONDS", "1")
                patch.setenv("PLAINT_DATA", os.environ["PLAINT_DATA"] + "-few")
                few = await asyncio.to_thread(plaint, "lookup", *targets, "--json")
                patch.setenv("PLAINT_DATA", os.environ["PLAINT_DATA"] + "-list")
                listed = "\n".join(targets).encode()
                return few, await asyncio.to_thread(plaint, "lookup", "-", "--json", stdin=listed)

    few, listed = asyncio.run(run())
    assert any(one["failures"] for one in few.documents)
    assert [one["failures"] for one in listed.documents] == [[]] * 5
    assert [one["contacts"][0]["source"] for one in listed.documents] == ["rdap"] * 5
