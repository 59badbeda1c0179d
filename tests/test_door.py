"""The door of the whole service: with its database behind it, by LMTP, behind a real Postfix, in hard times."""

import asyncio
import random
import re
import resource
import smtplib
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import event
from sqlmodel import col, select

from complaints import outcomes, reporters, submission
from complaints.demo import as_attachments, free_port
from complaints.loops import MOST_HOPS, in_circles
from complaints.message import parse
from complaints.models import Complaint, Letter, Reporter, Submission, SubmissionState
from complaints.receive import Reception
from complaints.serve import Service, running
from complaints.settings import load
from complaints.unwrap import unwrap_forward
from tests import postfix, postgresql
from tests.dialog import play
from tests.house import ALICE, in_a_thread, spam

DIALOGS = sorted((Path(__file__).parent / "dialogs" / "service").glob("*.smtp"))
CONFIGURATION = Path(__file__).parents[1] / "docs" / "postfix.md"
LONG = b"X-Long: " + b"y" * 5000 + b"\r\n"


@dataclass
class Taking:
    """A service that only takes mail in, with one reporter."""

    service: Service
    address: str

    @property
    def port(self) -> int:
        assert self.service.smtp_port is not None
        return self.service.smtp_port

    def kept(self) -> list[bytes]:
        """Every mail that was kept, oldest first."""
        office = self.service.office
        with office.db.reading() as session:
            found = []
            for one in session.exec(select(Submission).order_by(col(Submission.received_at))):
                key = session.get_one(Reporter, one.reporter_id).key
                found.append(office.vault.unseal(key, one.raw))
            return found

    def hand_in(self, raw: bytes) -> int:
        """Send a mail over SMTP; the code of the answer that decided."""
        return delivered(smtplib.SMTP("127.0.0.1", self.port, timeout=20), self.address, raw)


def delivered(client: smtplib.SMTP, recipient: str, raw: bytes) -> int:
    with client:
        code = begun(client, recipient)
        return code if code != 250 else client.data(raw)[0]


def begun(client: smtplib.SMTP, recipient: str) -> int:
    client.ehlo_or_helo_if_needed()
    client.mail(ALICE)
    return client.rcpt(recipient)[0]


@asynccontextmanager
async def taking(folder: Path, **given: Any) -> AsyncIterator[Taking]:
    settings = load(data=folder, smtp="127.0.0.1:0", mail_domain="plaint.example", **given)
    async with running(settings, roles=("smtp",)) as service:
        with service.office.db.transaction() as session:
            reporter = reporters.find(session, ALICE)
            made = (
                reporters.rotate(session, service.office, reporter)
                if reporter
                else reporters.add(session, service.office, ALICE, verified=True)
            )
        yield Taking(service, made.submission_address)


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taking]:
    folder = tmp_path_factory.mktemp("door")
    given = {"lmtp": str(folder / "lmtp.sock"), "contact": "ops@plaint.example"}
    with in_a_thread(taking(folder / "data", **given)) as opened:
        office = opened.service.office
        with office.db.transaction() as session:
            reporters.ask(session, office, ALICE)  # a letter to the reporter, which nobody sends
        yield opened


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_dialog_with_the_service(inbox: Taking, path: Path) -> None:
    with inbox.service.office.db.reading() as session:
        letter = session.exec(select(Letter.id)).one()
    words = {"address": inbox.address, "ADDRESS": inbox.address.upper(), "letter": letter}
    before = len(inbox.kept())

    async def kept() -> list[bytes]:
        return inbox.kept()[before:]

    async def scene() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", inbox.port)
        await play(path, reader, writer, kept, words)
        writer.close()

    asyncio.run(scene())


def test_an_unknown_address_costs_the_database_what_a_known_one_costs(inbox: Taking) -> None:
    statements: list[str] = []
    engine = inbox.service.office.db.engine
    reception = Reception(inbox.service.office)

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    async def asked(address: str) -> tuple[int, bool]:
        statements.clear()
        known = await reception.known(address) is not None
        return len([one for one in statements if one.startswith("SELECT")]), known

    async def scene() -> None:
        asking = [
            inbox.address,
            "a" * 26,
            "A" * 26,
            "short",
            "bounce-" + "a" * 20,
            "stop-" + "b" * 20,
            "ünknown",
        ]
        answers = [await asked(f"{one.partition('@')[0]}@plaint.example") for one in asking]
        assert answers == [(1, True), *[(1, False)] * 6]
        await reception.close()

    event.listen(engine, "before_cursor_execute", note)
    try:
        asyncio.run(scene())
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_mail_that_passed_too_many_hosts_goes_in_circles_but_a_spam_in_it_may_have() -> None:
    hops = b"Received: from a.example by b.example; Thu, 26 Nov 2026 12:00:00 +0000\r\n"
    assert not in_circles(parse(hops * MOST_HOPS + b"\r\n"))
    assert in_circles(parse(hops * (MOST_HOPS + 1) + b"\r\n"))
    assert not in_circles(parse(hops + b"Content-Type: message/rfc822\r\n\r\n" + hops * 200))


def test_a_letter_of_ours_that_comes_back_as_an_attachment_is_no_complaint_and_makes_no_letter(
    inbox: Taking,
) -> None:
    office = inbox.service.office
    with office.db.reading() as session:
        letter = session.exec(select(Letter)).one()
        reporter = session.get_one(Reporter, letter.reporter_id)
        came = b"Received: from plaint.example ([192.0.2.9]) by mx.victim.example; Thu, 26 Nov 2026 12:00:00 +0000\r\n"
        written = came + office.vault.unseal(reporter.key, letter.raw)
    hand_over = as_attachments([written], inbox.address)
    with office.db.transaction() as session:
        taken = submission.accept(session, office, reporter, hand_over, via="smtp", forwarded=True)
        submission.unwrap(session, office, taken)
        assert [line["reason"] for line in taken.outcome] == [outcomes.OUR_OWN.says]
        assert taken.state == SubmissionState.NOTICED
        mixed = as_attachments([written, spam(subject="another")], inbox.address)
        taken = submission.accept(session, office, reporter, mixed, via="smtp", forwarded=True)
        submission.unwrap(session, office, taken)
        assert [line["status"] for line in taken.outcome] == ["refused", "accepted"]
        assert taken.state == SubmissionState.UNWRAPPED
        assert len(session.exec(select(Complaint)).all()) == 1


def test_lmtp_answers_for_each_recipient_and_keeps_the_mail_once(inbox: Taking) -> None:
    at = inbox.service.office.settings.lmtp
    before = len(inbox.kept())
    with smtplib.LMTP(at) as client:
        client.ehlo()
        client.mail(ALICE)
        assert client.rcpt("nobody@plaint.example")[0] == 550
        assert client.rcpt(inbox.address)[0] == 250
        assert client.rcpt(inbox.address.upper())[0] == 250
        assert client.data(b"one\r\n")[0] == 250
        assert client.getreply()[0] == 250
        assert client.noop()[0] == 250
    assert inbox.kept()[before:] == [b"one\r\n"]


def test_the_socket_of_lmtp_goes_with_the_service(tmp_path: Path) -> None:
    socket = tmp_path / "lmtp.sock"

    async def scene() -> None:
        for _ in range(2):
            async with taking(tmp_path / "data", lmtp=str(socket)):
                assert socket.is_socket()
            assert not socket.exists()

    asyncio.run(scene())


# Hard times


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """No room in a folder: it is filled where it is a file system of its own, else files may not grow."""
    if folder.is_mount():
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        yield
        filler.unlink()
        return
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    mounted = subprocess.run(mounting, check=False, capture_output=True).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_puts_mail_off_until_there_is_room_again(small_disk: Path) -> None:
    large = b"Subject: spam\r\n\r\n" + random.Random(5321).randbytes(100_000).hex().encode() + b"\r\n"

    async def scene() -> None:
        async with taking(small_disk / "data") as service:
            assert await asyncio.to_thread(service.hand_in, b"before\r\n") == 250
            with full_disk(small_disk):
                assert await asyncio.to_thread(service.hand_in, large) == 451
                assert await asyncio.to_thread(service.hand_in, large) == 451
            assert await asyncio.to_thread(service.hand_in, large) == 250
            assert service.kept() == [b"before\r\n", large]

    asyncio.run(scene())


def test_a_database_that_is_down_puts_mail_off_until_it_is_back(
    tmp_path: Path, postgres_server: postgresql.Server
) -> None:
    name = f"down_{uuid4().hex}"
    with psycopg.connect(postgres_server.url + "postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')

    async def scene() -> None:
        async with taking(tmp_path, database_url=postgres_server.url + name) as service:
            client = await asyncio.to_thread(smtplib.SMTP, "127.0.0.1", service.port, timeout=20)
            assert await asyncio.to_thread(begun, client, service.address) == 250
            postgres_server.stop()
            try:
                assert (await asyncio.to_thread(client.data, b"one\r\n"))[0] == 451
                assert await asyncio.to_thread(service.hand_in, b"two\r\n") == 451
            finally:
                postgres_server.start()
            assert await asyncio.to_thread(service.hand_in, b"two\r\n") == 250
            assert await asyncio.to_thread(begun, client, service.address) == 250
            assert (await asyncio.to_thread(client.data, b"one\r\n"))[0] == 250
            client.close()
            assert service.kept() == [b"two\r\n", b"one\r\n"]

    asyncio.run(scene())


# Behind Postfix


def configuration(port: int) -> str:
    """The lines of docs/postfix.md, with the port of this test."""
    [lines] = re.findall(r"^```\n(.*?)^```$", CONFIGURATION.read_text(), re.DOTALL | re.MULTILINE)
    assert lines.count("127.0.0.1:2424") == 1
    return str(lines).replace("127.0.0.1:2424", f"127.0.0.1:{port}")


def redirected(raw: bytes, to: str) -> bytes:
    """What a mail program sends when a spam is redirected (RFC 5322 §3.6.6)."""
    resent = f"Resent-From: {ALICE}\r\nResent-To: {to}\r\nResent-Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n"
    return f"{resent}Resent-Message-ID: <r1@victim.example>\r\n".encode() + raw


@pytest.mark.skipif(bool(postfix.missing()), reason=postfix.missing() or "Postfix is there")
def test_postfix_asks_for_recipients_keeps_evidence_whole_and_waits_while_plaint_is_down(
    tmp_path: Path,
) -> None:
    port = free_port()
    evidence = LONG + spam(subject="redirected", body="8 bits: \xe4\r\n.dot\r\n")

    async def until_kept(service: Taking, count: int) -> None:
        for _ in range(100):
            if len(service.kept()) >= count:
                return
            await asyncio.to_thread(server.deliver_now)
            await asyncio.sleep(0.2)
        raise AssertionError(f"{len(service.kept())} of {count} mails arrived: {server.log()}")

    def to_postfix(recipient: str, raw: bytes) -> int:
        return delivered(smtplib.SMTP("127.0.0.1", server.port, timeout=20), recipient, raw)

    async def scene() -> None:
        async with taking(tmp_path, lmtp=f"127.0.0.1:{port}") as service:
            assert await asyncio.to_thread(to_postfix, "nobody@plaint.example", b"x") == 550
            assert await asyncio.to_thread(to_postfix, "somebody@elsewhere.example", b"x") == 554
            raw = redirected(evidence, service.address)
            assert await asyncio.to_thread(to_postfix, service.address, raw) == 250
            await until_kept(service, 1)
            [item] = unwrap_forward(service.kept()[0])
            assert item.spam == evidence
            assert b"by mx.postfix.example" in service.kept()[0][: item.start]
            address = service.address
        assert await asyncio.to_thread(to_postfix, address, b"Subject: late\r\n\r\nlate\r\n") == 250
        async with taking(tmp_path, lmtp=f"127.0.0.1:{port}") as service:
            await until_kept(service, 2)
            assert b"\r\nSubject: late\r\n" in service.kept()[1]

    with postfix.running(configuration(port)) as server:
        asyncio.run(scene())
        assert "bounced" not in server.log()
