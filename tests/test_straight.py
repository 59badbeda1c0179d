"""What a batch does in one go comes to the same as the steps of the service, and is done wholly or not at all."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from abuse_lookup import AbuseLookup
from complaints import contacts, draft, evidence, reporters, straight
from complaints.client import Local
from complaints.db import OvertakenError, move
from complaints.loopback import loopback_internet
from complaints.models import Complaint, ComplaintState, Report
from complaints.office import Office
from complaints.outside import looking_up
from tests.house import ALICE, BOB, CLOUD, SAVANNA, house_settings, spam

Work = Callable[[Office, AbuseLookup], Coroutine[Any, Any, None]]
ITS_OWN = {
    *("id", "reporter_id", "submission_id", "complaint_id", "token_hash", "message_id"),
    *("raw", "received_at", "drafted_at", "due_at", "version"),
}
"""What differs between two complaints about one spam."""
SPAMS = [
    spam(CLOUD, subject="=?utf-8?q?Pr=C3=A4mie_=F0=9F=92=8A?="),
    spam(SAVANNA, subject="To another", to=BOB),
    spam(
        SAVANNA, body="Write to sales@shop.example, see http://198.51.100.77/ or http://a.pills.example\r\n"
    ),
    spam(CLOUD, body="<a href='http://pills.example/\xed\xa0\xbd'>half of a pair</a>\r\n"),
    spam("192.0.2.200", subject="Nobody answers for it"),
    b"Subject: no trace\r\n\r\nA\r\n",
]


def on_loopback(tmp_path: Path, database_url: str, work: Work) -> None:
    async def run() -> None:
        async with loopback_internet("demo") as internet:
            office = Office.open(house_settings(tmp_path, internet, database_url=database_url))
            with office.db.transaction() as session:
                for address in (ALICE, BOB):
                    reporters.add(session, office, address, verified=True)
            async with looking_up(office) as lookup:
                await work(office, lookup)
            office.close()

    asyncio.run(run())


def handed_in(office: Office, reporter: str) -> list[str]:
    with Local(office.settings, reporter) as work:
        answers = work.hand_in([(raw, "") for raw in SPAMS], "a label", lambda _: None)
        return [item["complaint"] for items in answers for item in items]


def stored(office: Office, ids: list[str]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each complaint with its reports, but what is its own."""
    with office.db.reading() as session:
        rows = {one.id: one for one in session.exec(select(Complaint).where(col(Complaint.id).in_(ids)))}
        reports = session.exec(select(Report).where(col(Report.complaint_id).in_(ids))).all()
    return [
        (
            rows[name].model_dump(exclude=ITS_OWN),
            sorted(
                (row.model_dump(exclude=ITS_OWN) for row in reports if row.complaint_id == name),
                key=lambda row: str(row["to"]),
            ),
        )
        for name in ids
    ]


def test_in_one_go_a_complaint_comes_to_what_it_comes_to_step_by_step(
    tmp_path: Path, database_url: str
) -> None:
    async def both(office: Office, lookup: AbuseLookup) -> None:
        slow, quick = handed_in(office, ALICE), handed_in(office, BOB)
        await evidence.step(office, lookup.resolver, *slow)
        await contacts.step(office, lookup, *slow)
        draft.step(office, *slow)
        assert await straight.step(office, lookup, *quick) == set(quick)
        expected = stored(office, slow)
        for one, other in zip(stored(office, quick), expected, strict=True):
            assert one == other
        states = [complaint["state"] for complaint, _ in expected]
        assert states[0] == ComplaintState.AWAITING_CONSENT
        assert states[-1] == ComplaintState.REFUSED
        assert sum(len(reports) for _, reports in expected) > len(SPAMS)

    on_loopback(tmp_path, database_url, both)


def test_when_one_changed_meanwhile_none_is_touched_and_the_next_go_takes_the_others(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = contacts.answers_to

    async def overtaken(office: Office, lookup: AbuseLookup) -> None:
        first, *others = handed_in(office, ALICE)

        async def meanwhile(*given: Any) -> Any:
            with office.db.transaction() as session:
                move(session, session.get_one(Complaint, first), ComplaintState.ANALYSED)
            return await asked(*given)

        before = stored(office, others)
        monkeypatch.setattr(contacts, "answers_to", meanwhile)
        with pytest.raises(OvertakenError):
            await straight.step(office, lookup, *others, first)
        assert stored(office, others) == before
        monkeypatch.undo()
        assert await straight.step(office, lookup, *others, first) == set(others)

    on_loopback(tmp_path, database_url, overtaken)
