"""A child of the workbench: reads lines of ids from standard input, answers each when all of them are done.

The first line is the settings. When the parent is gone, the input ends, and so does the child.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from sqlmodel import col, select

from complaints.db import Database
from complaints.models import Complaint
from complaints.office import Office
from complaints.outside import looking_up, sender
from complaints.settings import Settings
from complaints.vault import Vault
from complaints.worker import Worker

T = TypeVar("T")
STEPS = ("evidence", "contacts", "draft")


class AtOnce(ThreadPoolExecutor):
    """Runs what is given to it then and there.

    A child does one thing at a time: threads would only wait for each other, and for being woken up.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """A future that is done."""
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is raised where the future is awaited
            done.set_exception(error)
        return done


async def _work_off(settings: Settings) -> None:
    asyncio.get_running_loop().set_default_executor(AtOnce())
    # The parent has looked at the schema
    office = Office(settings, Vault.open(settings.data), Database(settings.database))
    try:
        async with looking_up(office) as lookup:
            worker = Worker(office, lookup, sender(settings, lookup))
            # In a thread of its own: what the lookups do in the background goes on meanwhile
            lines = ThreadPoolExecutor(1)
            while line := await asyncio.get_running_loop().run_in_executor(lines, sys.stdin.readline):
                ids: list[str] = json.loads(line)
                for step in STEPS:
                    await worker.run(step, *ids)
                _answer(await asyncio.to_thread(_states, office, ids))
    finally:
        office.close()


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
