"""The database side of the SMTP door: many submissions by one statement, and addresses that are known for seconds."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from complaints import erasure, receive, reporters, submission
from complaints.models import Reporter, Submission
from complaints.office import Office
from complaints.receive import Reception, Recipient
from complaints.reporters import Secrets
from complaints.settings import load
from tests.house import ALICE, spam


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    office = Office.open(load(data=tmp_path, database_url=database_url, mail_domain="plaint.example"))
    yield office
    office.close()


def registered(office: Office) -> Secrets:
    with office.db.transaction() as session:
        return reporters.add(session, office, ALICE, verified=True)


def test_many_at_once_are_stored_as_one_by_one(office: Office) -> None:
    registered(office)
    with office.db.transaction() as session:
        alice = session.exec(select(Reporter)).one()
        mail = spam()  # it tells the time
        alone = submission.accept(session, office, alice, mail, via="smtp", forwarded=True)
        seal = office.vault.sealer(alice.key)
        several = [
            submission.columns(office, alice.id, seal, mail, via="smtp", forwarded=True) for _ in range(3)
        ]
        submission.accept_with(session, several[:1])
    submission.accept_all(office, several[1:])
    submission.accept_all(office, [])
    with office.db.reading() as session:
        rows = list(session.exec(select(Submission)))
        assert {row.id for row in rows} == {alone.id, *(row["id"] for row in several)}
        assert {row.batch for row in rows} == {row.id for row in rows}
        assert {office.vault.unseal(alice.key, row.raw) for row in rows} == {mail}
        own = {"id", "batch", "received_at", "raw"}
        assert len({str(sorted(row.model_dump(exclude=own).items())) for row in rows}) == 1


def test_an_address_known_a_moment_ago_lets_nothing_in_for_a_reporter_who_is_gone(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = registered(office).submission_address

    async def scene() -> Recipient | None:
        reception = Reception(office)
        recipient = await reception.known(address)
        assert recipient is not None
        with office.db.transaction() as session:
            erasure.erase(session, office, session.exec(select(Reporter)).one())
        assert reception.lately(address) == recipient
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            await reception.accept([recipient], ALICE, spam())
        monkeypatch.setattr(receive, "monotonic", lambda: time.monotonic() + receive.KNOWN_SECONDS)
        assert reception.lately(address) is None
        answer = await reception.known(address)
        await reception.close()
        return answer

    assert asyncio.run(scene()) is None
    with office.db.reading() as session:
        assert session.exec(select(Submission)).all() == []
