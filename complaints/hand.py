"""A child of the workbench: reads lines of ids from standard input, answers each when all of them are done.

The first line is the settings. When the parent is gone, the input ends, and so does the child.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence

from sqlmodel import col, select

from complaints.db import Database
from complaints.models import Complaint
from complaints.office import Office
from complaints.outside import looking_up, sender
from complaints.settings import Settings
from complaints.vault import Vault
from complaints.worker import Worker

STEPS = ("evidence", "contacts", "draft")


async def _work_off(settings: Settings) -> None:
    # The parent has looked at the schema
    office = Office(settings, Vault.open(settings.data), Database(settings.database))
    try:
        async with looking_up(office) as lookup:
            worker = Worker(office, lookup, sender(settings, lookup))
            while line := await asyncio.to_thread(sys.stdin.readline):
                ids: list[str] = json.loads(line)
                await asyncio.gather(*(_steps(worker, one) for one in ids))
                _answer(await asyncio.to_thread(_states, office, ids))
    finally:
        office.close()


async def _steps(worker: Worker, complaint_id: str) -> None:
    for step in STEPS:
        await worker.run(step, complaint_id)


def _states(office: Office, ids: Sequence[str]) -> list[str]:
    with office.db.reading() as session:
        return [str(one) for one in session.exec(select(Complaint.state).where(col(Complaint.id).in_(ids)))]


def _answer(states: list[str]) -> None:
    sys.stdout.write(json.dumps(states) + "\n")
    sys.stdout.flush()


def main() -> None:
    """A child's whole life; Ctrl-C on the terminal is for its parent, which lets it finish."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_work_off(Settings.model_validate_json(sys.stdin.readline())))


if __name__ == "__main__":
    main()
