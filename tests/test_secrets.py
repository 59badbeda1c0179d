"""No secret that opens something lies in clear where the service keeps things, or in what it writes down."""

import asyncio
import email
import email.policy
import logging
import os
import random
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import alembic.command
import pytest
from sqlalchemy import text
from sqlmodel import select

from complaints import erasure, guards, probes, replies, reporters, step_up, tokens
from complaints.account_tables import UnfinishedErasure
from complaints.db import Database
from complaints.forward import Forwarder, Outgoing
from complaints.models import Attempt, Letter, Reply, Reporter
from complaints.settings import load
from complaints.smtp_out import Outcome
from tests.house import ALICE, House, house, spam
from tests.test_erasure import everything
from tests.visitor import confirm, reports, stop
from tests.website import NETWORK_DESK, running_website

CLOUD_DESK = "abuse@cloud.example"
SECRET = re.compile(rf"(?<![0-9A-Za-z])[{tokens.ALPHABET}]{{20,40}}(?![0-9A-Za-z])")
"""The form of every secret of ours but codes: longer than an id, and no digest."""


def found_in(text: str) -> set[str]:
    return {secret for secret in SECRET.findall(text) if re.search(r"\d", secret)}


def words_of(raw: bytes) -> str:
    """A mail as it stands and as it is read."""
    parts = email.message_from_bytes(raw, policy=email.policy.default).walk()
    read = [part.get_content() for part in parts if part.get_content_maintype() == "text"]
    return "\n".join([raw.decode("utf-8", "replace"), *map(str, read)])


async def ask_for_everything(home: House) -> set[str]:
    """Have every kind of secret given out; returns those that pages and answers show."""
    shown = [home.token, home.submission_address]
    office = home.office
    with office.db.transaction() as session:
        alice = session.exec(select(Reporter)).one()
        probes.ask(session, office, alice)
        reporters.ask(session, office, "carol@example.com")
        step_up.ask(session, office, alice, "address", "dora@example.com")
        links = [office.account_url(alice), office.hosts_url(alice), office.batch_url(alice)]
        links += [office.standing_url(alice), office.policy_url(alice), office.unsubscribe_url(alice, "news")]
    # As it looks where a filter passed the spam on to the secret address
    passed_on = spam(subject="Passed on").replace(
        f"for <{ALICE}>".encode(), f"for <{home.submission_address}>".encode()
    )
    for raw in (
        spam(),
        passed_on.replace(
            b"Delivered-To: alice@victim.example", f"Delivered-To: {home.submission_address}".encode()
        ),
    ):
        answer = await home.api(
            "POST", "/submissions", content=raw, headers={"Idempotency-Key": str(len(raw))}
        )
        shown.append(answer.text)
    documents = await home.complaints(2)
    links += [office.review_url(document["id"]) for document in documents]
    links.append(f"{home.settings.url}/submit")
    for link in links:
        page = await home.http.get(link)
        assert page.status_code == 200, link
        shown += [link, page.text]
    for path in ("/account", "/submission-address", "/complaints", f"/complaints/{documents[0]['id']}"):
        shown.append((await home.api("GET", path)).text)
    for document in documents:
        await home.confirm(await home.show(document["id"]), [CLOUD_DESK])
        await home.until(document["id"], "sent")
    return found_in("\n".join(shown))


async def answer_with_all_of_it(home: House) -> None:
    """A desk answers on top of the whole report, and says its address in capital letters too."""
    report, other = [mail for mail in home.internet.messages if CLOUD_DESK in mail.rcpt_tos]
    secret = home.submission_address.partition("@")[0].encode()
    assert secret not in report.raw + other.raw, "the desk can hand in as the reporter"
    [address] = re.findall(rb"Reply-To: <?(\S+@plaint.example)", report.raw)
    quoted = b"".join(b"> " + line + b"\r\n" for line in (*report.raw.split(b"\r\n"), address.upper()))
    head = b"From: abuse@cloud.example\r\nSubject: Re: your report\r\n\r\nWe look into it.\r\n"
    await home.smtp(head + quoted, address.decode(), CLOUD_DESK)


def test_nothing_that_was_handed_out_lies_in_clear_where_we_keep_things(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            shown = await ask_for_everything(home)
            await answer_with_all_of_it(home)
            mails = await home.internet.wait_for(4, to=ALICE)
            mails += [mail for mail in home.internet.messages if mail not in mails]
            read = "\n".join(f"{mail.mail_from}\n{words_of(mail.raw)}" for mail in mails)
            secrets = shown | found_in(read)
            for kind in (
                "/review/",
                "/account/",
                "/hosts/",
                "/register/",
                "/stop/",
                "reply-",
                "stop-",
                "bounce-",
                "probe-",
            ):
                assert re.search(rf"{kind}\S*?[{tokens.ALPHABET}]{{20}}", read), f"none of {kind} was mailed"
            codes = {f"'{code}'" for code in re.findall(r"^\s+(\d{6})\s*$", read, re.MULTILINE)}
            assert len(codes) == 3
            assert {home.token.removeprefix("plaint_"), home.submission_address.partition("@")[0]} <= secrets
            assert len(secrets) > 12
            kept = everything(home.office).decode("latin-1").lower() + caplog.text.lower()
            assert "we look into it." in kept
            assert [secret for secret in secrets | codes if secret in kept] == []

    caplog.set_level(logging.DEBUG, "complaints")
    asyncio.run(main())


def test_what_a_mail_host_quotes_of_an_address_is_not_written_down(tmp_path: Path) -> None:
    with running_website(tmp_path, undo_seconds=0) as website:
        confirm(website, website.waiting())
        secret = stop(website).rpartition("/")[2]
        froms = []

        async def send(outgoing: Outgoing, before_dot: Callable[[], Awaitable[None]]) -> Outcome:
            froms.append(outgoing.mail_from)
            await before_dot()
            return Outcome(
                "refused", 550, f"<{outgoing.mail_from.upper()}>: who are you?", "mx.cloud.example"
            )

        report = reports(website)[NETWORK_DESK]
        asyncio.run(Forwarder(website.office, "test", send, random.Random(1)).report(report.id))
        assert froms == [f"bounce-{secret}@plaint.example"]
        told = reports(website)[NETWORK_DESK].detail
        assert told == "mx.cloud.example: <BOUNCE-[...]@PLAINT.EXAMPLE>: who are you?"
        assert secret not in website.dump().lower()


ROWS = """
INSERT INTO reporter (id, address, names, aliases, trust, learned, mail_hosts, key, created_at)
    VALUES ('r', 'a@b.example', '[]', '[]', '[]', '[]', '[]', '', :now);
INSERT INTO submission (id, reporter_id, state, via, forwarded, pasted, filename, batch, received_at, digest,
    size, raw, outcome) VALUES ('s', 'r', 'noticed', 'api', :no, :no, '', '', :now, '', 0, '', '[]');
INSERT INTO complaint (id, reporter_id, submission_id, digest, state, version, received_at, lookups, subject,
    campaign, way_in_grade, repairs, note, redaction, hide)
    VALUES ('c', 'r', 's', '', 'confirmed', 1, :now, 0, '', '', 'A', '[]', '', 'identity', '[]');
INSERT INTO report (id, complaint_id, token, "to", state, ticked, contact, drafted_at, raw, digest, message_id,
    changes, attempts, detail)
    VALUES ('c-01', 'c', :token, 'd@e.example', 'draft', :no, '{}', :now, '', '', 'm', '[]', 1, :said);
INSERT INTO reply (id, report_id, at, kind, failed, text, digest, raw)
    VALUES ('y', 'c-01', :now, 'answer', :no, :said, '', '');
INSERT INTO attempt (id, mail_id, at, worker, host, tls, outcome, text)
    VALUES ('t', 'c-01', :now, 'w', 'h', :no, 'refused', :said);
INSERT INTO letter (id, kind, "to", mail_from, state, message_id, raw, attempts)
    VALUES ('l', 'probe', 'a@b.example', '', 'sent', :mark, '', 1)
"""
"""Of a report that was sent, of an answer that quotes it, and of a probe, as they were kept once."""


def test_nobody_else_on_the_machine_reads_the_database_whoever_made_its_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "plaint.sqlite"
    umask = os.umask(0o022)
    try:
        for made_before in (False, True):
            if made_before:
                file.chmod(0o664)
            database = Database(load(data=tmp_path).database)
            database.upgrade()
            with database.transaction() as session:
                session.execute(text("DELETE FROM letter"))
                modes = {path.name: path.stat().st_mode & 0o7 for path in tmp_path.glob("plaint.sqlite*")}
            database.close()
            assert len(modes) == 3, "the file, its log and their index"
            assert not any(modes.values()), modes
    finally:
        os.umask(umask)


def test_an_upgrade_leaves_no_secret_in_an_old_database_and_its_links_still_open(
    bare_database_url: str, tmp_path: Path
) -> None:
    database = Database(load(data=tmp_path / "data", database_url=bare_database_url).database)
    alembic.command.upgrade(database._alembic(), "0015")
    secret, mark = "23456789abcdefghjkmn", "probe-" + "2" * 12 + "-" + "3" * 32
    said = f"550 <bounce-{secret}@plaint.example>: no; see https://plaint.example/stop/{secret.upper()}."
    values = {
        "now": datetime(2026, 11, 1, tzinfo=UTC), "no": False, "token": secret, "mark": mark, "said": said,
    }  # fmt: skip
    with database.transaction() as session:
        for row in ROWS.split(";"):
            session.execute(text(row), {name: one for name, one in values.items() if f":{name}" in row})
        guards.install(session.connection())
    database.upgrade()
    with database.reading() as session:
        report = replies.report_of(session, secret)
        assert report is not None
        texts = {report.detail, session.get_one(Reply, "y").text, session.get_one(Attempt, "t").text}
        assert texts == {"550 <bounce-[...]@plaint.example>: no; see https://plaint.example/stop/[...]."}
        kept = "".join(map(repr, [report, session.get_one(Letter, "l")]))
        assert [one for one in (secret, mark) if one in kept] == []
        assert guards.missing(session.connection()) == []
    found = _in_postgresql(database)
    database.close()
    files = b"".join(file.read_bytes() for file in tmp_path.rglob("*.sqlite*")).lower()
    assert [one for one in (secret, mark) if one.encode() in files + found] == []


def _in_postgresql(database: Database) -> bytes:
    """What stands in the files of the tables once the worker has done what the upgrade asked of it."""
    if database.embedded:
        return b""
    with database.reading() as session:
        tables = [name for row in session.exec(select(UnfinishedErasure)) for name in row.left]
    assert erasure.written_anew(database, tables) == []
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
        folder = connection.execute(text("SHOW data_directory")).scalar_one()
        paths = [
            connection.execute(text(f"SELECT pg_relation_filepath('{table}')")).scalar_one()
            for table in ("report", "letter", "attempt", "reply")
        ]
    return b"".join(Path(folder, path).read_bytes() for path in paths).lower()


def test_an_id_of_somebody_elses_in_the_form_of_a_submission_address_stays_evidence() -> None:
    letters = "23456789abcdefghjkmnpqrstu"
    raw = (
        f"Message-ID: <{letters}@mail.example>\r\nTo: {letters.upper()}@Spam.Plaint.example.\r\n\r\n".encode()
    )
    assert tokens.submission_addresses(raw, "spam.plaint.example") == [f"{letters}@spam.plaint.example"]
