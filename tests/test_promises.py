"""One test per promise of docs/promises.md that would fail if the promise broke; each is named after it."""

import asyncio
from pathlib import Path

import aiosmtplib
import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from complaints import consent, forward, tokens
from complaints.db import move
from complaints.loopback import World
from complaints.models import (
    Complaint,
    Consent,
    ConsentedReport,
    Report,
    Reporter,
    ReportState,
    Submission,
    Withdrawal,
)
from complaints.office import Office
from complaints.serve import running
from tests.house import ALICE, House, house, house_settings, spam, unguarded

CLOUD_DESK = "abuse@cloud.example"


def desk_mails(home: House, to: str = CLOUD_DESK) -> int:
    return len([message for message in home.internet.messages if to in message.rcpt_tos])


def test_promise_1_without_consent_nothing_leaves(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url) as home:
            [document] = await home.waiting()
            with home.office.db.transaction() as session:
                unguarded(session)
                report = session.get_one(Report, document["reports"][0]["id"])
                move(session, report, ReportState.CONSENTED)
                move(session, report, ReportState.QUEUED, next_at=home.office.clock())
            held = await home.until(document["id"], "held")
            assert "No consent" in held["reports"][0]["detail"]
            assert desk_mails(home) == 0

    asyncio.run(main())


def test_promise_1_a_consent_covers_only_its_bytes_its_recipient_and_only_until_withdrawn(
    tmp_path: Path, database_url: str
) -> None:
    async def main() -> None:
        # Long enough that the rows are tampered with before the reports leave, on a slow machine too
        async with house(tmp_path, database_url, undo_seconds=5) as home:
            documents = await home.waiting(*(spam(subject=one) for one in TAMPERINGS))
            for document in documents:
                assert (await home.confirm(document, [CLOUD_DESK])).status_code == 202
            with home.office.db.transaction() as session:
                unguarded(session)
                for document, tampering in zip(documents, TAMPERINGS, strict=True):
                    tamper(session, home.office, document["id"], tampering)
            for document in documents:
                held = await home.until(document["id"], "held")
                assert "No consent" in next(
                    one["detail"] for one in held["reports"] if one["state"] == "held"
                )
            assert desk_mails(home) == desk_mails(home, "postmaster@cloud.example") == 0

    asyncio.run(main())


TAMPERINGS = ("bytes", "bytes and digest", "recipient", "withdrawn", "made up", "taken back and put back")


def tamper(session: Session, office: Office, complaint_id: str, tampering: str) -> None:
    reports = select(Report).where(Report.complaint_id == complaint_id, Report.to == CLOUD_DESK)
    report, reporter = session.exec(reports).one(), session.exec(select(Reporter)).one()
    raw = office.vault.unseal(reporter.key, report.raw).replace(b"Hello", b"HELLO", 1)
    if tampering == "recipient":
        report.to = "postmaster@cloud.example"
    elif tampering == "withdrawn":
        given = session.exec(select(Consent).where(Consent.complaint_id == complaint_id)).one()
        session.add(Withdrawal(consent_id=given.id, at=office.clock(), via="by hand"))
    elif tampering == "taken back and put back":
        consent.withdraw(session, office, session.get_one(Complaint, complaint_id), via="test")
        session.flush()
        session.delete(session.exec(select(Withdrawal).where(Withdrawal.via == "test")).one())
        report.state, report.next_at = ReportState.QUEUED, office.clock()
    else:
        report.raw = office.vault.seal(reporter.key, raw)
        report.digest = report.digest if tampering == "bytes" else tokens.digest(raw)
        if tampering == "made up":  # the tables agree, and no entry of the chain says so
            covered = select(ConsentedReport).where(ConsentedReport.report_id == report.id)
            session.exec(covered).one().digest = report.digest


def test_promise_2_what_was_shown_is_what_is_sent_also_with_a_note(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url, undo_seconds=2) as home:
            [document] = await home.waiting()
            answer = await home.confirm(document, [CLOUD_DESK], note="The third one from this customer.")
            [report] = [one for one in answer.json()["reports"] if one["to"] == CLOUD_DESK]
            shown = (await home.api("GET", f"/complaints/{document['id']}/reports/{report['id']}")).content
            assert b"The third one from this customer." in shown
            assert report["digest"] == tokens.digest(shown)
            [arrived] = await home.internet.wait_for(1, to=CLOUD_DESK)
            assert arrived.raw.endswith(shown)
            with home.office.db.reading() as session:
                kept = session.exec(select(ConsentedReport)).one()
                assert (kept.digest, kept.to) == (tokens.digest(arrived.raw[-len(shown) :]), CLOUD_DESK)

    asyncio.run(main())


def test_promise_2_a_digest_that_is_no_longer_current_confirms_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            [document] = await home.waiting()
            assert (await home.api("POST", f"/complaints/{document['id']}/refresh")).status_code == 202
            await home.complaints(1)
            answer = await home.confirm(document, [CLOUD_DESK])
            assert answer.status_code == 409
            assert answer.json()["changes"]
            await home.sweeps()
            assert desk_mails(home) == 0

    asyncio.run(main())


def test_promise_3_what_cannot_be_committed_is_not_acknowledged(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url, roles=("smtp", "web")) as home:
            with home.office.db.transaction() as session:
                session.execute(text("ALTER TABLE submission RENAME TO hidden_submission"))
            with pytest.raises(aiosmtplib.SMTPDataError) as refused:
                await home.forward([spam()])
            assert refused.value.code == 451
            with home.office.db.transaction() as session:
                session.execute(text("ALTER TABLE hidden_submission RENAME TO submission"))
            await home.forward([spam()])
            with home.office.db.reading() as session:
                assert len(session.exec(select(Submission)).all()) == 1

    asyncio.run(main())


def test_promise_3_commits_are_durable(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url, roles=("smtp",)) as home:
            with home.office.db.transaction() as session:
                if home.office.db.embedded:
                    assert session.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
                    assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
                else:
                    assert session.execute(text("SHOW synchronous_commit")).scalar() == "on"

    asyncio.run(main())


def test_promise_4_a_report_that_may_have_been_sent_is_never_sent_again_by_itself(
    tmp_path: Path, database_url: str
) -> None:
    async def main() -> None:
        world = World.load("demo").extended(f'[mailboxes]\n"{CLOUD_DESK}" = "drop"\n')
        async with house(tmp_path, database_url, world=world) as home:
            [document] = await home.waiting()
            await home.confirm(document, [CLOUD_DESK])
            shown = await home.until(document["id"], "unconfirmed")
            assert desk_mails(home) == 1
            await asyncio.sleep(home.settings.retry_seconds)
            await home.sweeps(3)
            assert desk_mails(home) == 1
            [report] = [one for one in shown["reports"] if one["to"] == CLOUD_DESK]
            with home.office.db.transaction() as session:
                forward.resend(session, home.office, session.get_one(Report, report["id"]))
            first, second = await home.internet.wait_for(2, to=CLOUD_DESK)
            assert first.message["Message-ID"] == second.message["Message-ID"] == report["message_id"]

    asyncio.run(main())


def test_promise_4_an_attempt_left_open_by_a_crash_is_settled_not_repeated(tmp_path: Path) -> None:
    async def main() -> None:
        world = World.load("demo").extended(
            f'[world]\nslow_seconds = 3\n[mailboxes]\n"{CLOUD_DESK}" = "slow"\n'
        )
        async with house(tmp_path, world=world) as home:
            [document] = await home.waiting()
            await home.confirm(document, [CLOUD_DESK])
            await home.until(document["id"], "sending")
            assert await asyncio.to_thread(forward.settle_after_crash, home.office) == 1
            after = await home.until(document["id"], "unconfirmed")
            assert "May have been sent" in next(
                o["detail"] for o in after["reports"] if o["to"] == CLOUD_DESK
            )
            await home.internet.wait_for(1, to=CLOUD_DESK)
            await home.sweeps()
            assert desk_mails(home) == 1

    asyncio.run(main())


def test_promise_4_confirming_twice_at_once_sends_once(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url) as home:
            [document] = await home.waiting()
            answers = await asyncio.gather(*(home.confirm(document, [CLOUD_DESK]) for _ in range(8)))
            assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
            await home.until(document["id"], "sent")
            await home.sweeps()
            assert desk_mails(home) == 1

    asyncio.run(main())


def test_promise_4_two_workers_on_one_database_send_each_report_once(
    tmp_path: Path, postgresql_url: str
) -> None:
    async def main() -> None:
        async with house(tmp_path, postgresql_url, undo_seconds=4) as home:
            other = house_settings(tmp_path, home.internet, database_url=postgresql_url)
            async with running(other, ("worker",)):
                documents = await home.waiting(*(spam(subject=f"Offer {n}") for n in range(12)))
                for document in documents:
                    assert (await home.confirm(document, [CLOUD_DESK])).status_code == 202
                await home.internet.wait_for(12, to=CLOUD_DESK, seconds=40)
                await home.sweeps(3)
                ids = [m.message["Message-ID"] for m in home.internet.messages if CLOUD_DESK in m.rcpt_tos]
                assert len(ids) == len(set(ids)) == 12

    asyncio.run(main())


def test_promise_6_a_report_that_shows_the_reporter_is_held(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            [document] = await home.waiting()
            with home.office.db.transaction() as session:
                report = session.exec(select(Report).where(Report.to == CLOUD_DESK)).one()
                reporter = session.exec(select(Reporter)).one()
                raw = home.office.vault.unseal(reporter.key, report.raw) + f"hidden: {ALICE}\r\n".encode()
                report.raw, report.digest = home.office.vault.seal(reporter.key, raw), tokens.digest(raw)
            await home.confirm(await home.show(document["id"]), [CLOUD_DESK])
            held = await home.until(document["id"], "held")
            assert "chose to hide" in next(one["detail"] for one in held["reports"] if one["state"] == "held")
            assert desk_mails(home) == 0

    asyncio.run(main())


def test_undo_takes_everything_back_until_the_window_closes(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url, undo_seconds=1) as home:
            [document] = await home.waiting()
            assert (await home.confirm(document, [CLOUD_DESK])).status_code == 202
            undone = await home.api("POST", f"/complaints/{document['id']}/undo")
            assert undone.status_code == 202
            assert undone.json()["state"] == "awaiting_consent"
            await asyncio.sleep(3)
            assert desk_mails(home) == 0
            again = await home.confirm(await home.show(document["id"]), [CLOUD_DESK])
            assert again.status_code == 202
            await home.until(document["id"], "sent")
            assert desk_mails(home) == 1
            assert (await home.api("POST", f"/complaints/{document['id']}/undo")).status_code == 409

    asyncio.run(main())


def test_what_nobody_confirms_expires_and_is_never_sent(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url, consent_seconds=2) as home:
            [document] = await home.waiting()
            await home.complaints(1, "expired")
            assert (await home.confirm(document, [CLOUD_DESK])).status_code == 409
            with home.office.db.reading() as session:
                assert not session.exec(select(Consent)).all()

    asyncio.run(main())


def test_a_report_to_nobody_is_no_consent(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            [document] = await home.waiting()
            answer = await home.api("POST", f"/complaints/{document['id']}/confirm", json={"reports": {}})
            assert answer.status_code == 422
            assert (await home.show(document["id"]))["state"] == "awaiting_consent"
            with home.office.db.transaction() as session:
                row = session.get_one(Complaint, document["id"])
                with pytest.raises(consent.EmptyError):
                    consent.confirm(session, home.office, row, consent.Choice({}), via="test")

    asyncio.run(main())
