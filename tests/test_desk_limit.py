"""A desk gets no more reports an hour than PLAINT_LIMIT_REPORTS says, however many workers send at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from sqlmodel import col, select

from complaints import consent
from complaints.consent import Choice
from complaints.db import OvertakenError
from complaints.forward import Forwarder, Outgoing
from complaints.models import Complaint, Report, ReportState
from complaints.smtp_out import Outcome
from tests.house import CLOUD
from tests.test_consent_property import CLOUD_DESK, Stage, stage

LIMIT = 2
SAID = Outcome("sent", 250, "ok", "mx.cloud.example")


def confirmed(made: Stage) -> list[str]:
    """The reports to one desk, all due at the same moment."""
    with made.office.db.transaction() as session:
        rows = session.exec(select(Report).where(Report.to == CLOUD_DESK).order_by(col(Report.id))).all()
        for row in rows:
            complaint = session.get_one(Complaint, row.complaint_id)
            consent.confirm(session, made.office, complaint, Choice({row.id: row.digest}), via="test")
    made.ahead += timedelta(minutes=2)
    return [row.id for row in rows]


async def at_once(made: Stage, report_ids: Sequence[str], said: Outcome | None) -> list[str]:
    """A worker for each report, all before any hears what its host says; who got to the final dot.

    None: somebody was faster.
    """
    dots = []

    async def send(mail: Outgoing, before_dot: Callable[[], Awaitable[None]]) -> Outcome:
        await asyncio.sleep(0.1)
        if said is None:
            raise OvertakenError
        await before_dot()
        dots.append(mail.mail_id)
        return said

    workers = [Forwarder(made.office, f"worker {one}", send, made.rng).report(one) for one in report_ids]
    await asyncio.gather(*workers)
    return dots


def test_workers_that_send_at_the_same_moment_stay_within_the_limit_of_a_desk(
    tmp_path: Path, database_url: str
) -> None:
    async def main() -> None:
        async with stage(tmp_path, database_url, seed=1, spams=[CLOUD] * 3) as made:
            limited = made.office.settings.model_copy(update={"limit_reports": LIMIT})
            made.office = replace(made.office, settings=limited)
            await made.look()
            ids = confirmed(made)
            later = replace(SAID, state="deferred", code=451)
            assert await at_once(made, ids, None) == []
            made.ahead += timedelta(minutes=61)
            assert await at_once(made, ids, later)
            with made.office.db.reading() as session:
                waiting = session.exec(select(Report).where(col(Report.id).in_(ids))).all()
                assert {row.state for row in waiting} == {ReportState.QUEUED}, "put off, none is lost"
                assert not any(row.turn_at for row in waiting), "the desk got nothing: all turns are free"
            made.ahead += timedelta(minutes=61)
            assert len(await at_once(made, ids, SAID)) == LIMIT
            assert await at_once(made, ids, SAID) == []
            made.ahead += timedelta(minutes=61)
            assert len(await at_once(made, ids, SAID)) == len(ids) - LIMIT

    asyncio.run(main())
