"""The verb `lookup`: takes targets from arguments and standard input, leaves answers on stdout as they come.

For a person each as soon as it is there; as JSON lines in the order that was asked, for a script.
"""
# What the verb needs is imported when it runs, so that the others start without it.
# ruff: noqa: PLC0415 - see above

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from complaints import screen, terminal_lookup
from complaints.operate import DataOption, JsonOption, fastest_loop, load
from complaints.terminal import FAILED, TRY_LATER, UNAVAILABLE, UNUSABLE, Json, put, say

if TYPE_CHECKING:
    from abuse_lookup import AbuseLookup
    from complaints.settings import Settings

STDIN = "-"


@dataclass
class Tally:
    """What became of the targets, for the exit code."""

    answered: int = 0
    unusable: int = 0
    unanswered: int = 0
    later: bool = False
    shown: bool = False
    """Whether an answer stands on the screen, so that the next one keeps a distance."""

    def code(self) -> int:
        """0 when all have an answer, 1 when some; else 65, or 75 (asking later may help), or 69."""
        if not self.unusable and not self.unanswered:
            return 0
        if self.answered:
            return FAILED
        if not self.unanswered:
            return UNUSABLE
        return TRY_LATER if self.later else UNAVAILABLE


def lookup(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="IP, CIDR, ASN, domain, URL or address; - is standard input, one a line.",
        ),
    ],
    explain: Annotated[bool, typer.Option("--explain", help="Show every question and every answer.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Find who answers for abuse of an address, network, domain, URL or mail address."""
    settings = load(data)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        tally = runner.run(_look_up_all(settings, targets, as_json=as_json, explain=explain))
    if tally.unanswered and tally.answered:
        say(f"{tally.unanswered} of them got no answer, because servers failed; see above")
    if code := tally.code():
        raise SystemExit(code)


async def _look_up_all(settings: "Settings", targets: list[str], *, as_json: bool, explain: bool) -> Tally:
    from complaints.lookups import look_up_many
    from complaints.progress import Progress, showing

    tally, progress = Tally(), Progress(sys.stderr, _count(targets))
    many = STDIN in targets  # a list takes as long as the limits of servers make it; a few targets do not
    async with _opened(settings) as opened, showing(progress, sys.stderr):
        answers = look_up_many(opened, _each(targets), as_asked=as_json, explain=explain, patient=many)
        async for document in answers:
            progress.step()
            if sys.stdout.isatty():
                progress.hide()
            _show(document, tally, as_json=as_json)
            sys.stdout.flush()
    return tally


@asynccontextmanager
async def _opened(settings: "Settings") -> "AsyncIterator[AbuseLookup]":
    """A lookup that shares limits and answers with the service: in the data directory, or in its database."""
    if not settings.database_url:
        from abuse_lookup import open_lookup
        from complaints.lookup_config import lookup_config

        async with open_lookup(lookup_config(settings)) as lookup:
            yield lookup
        return
    from complaints.office import Office
    from complaints.outside import looking_up

    office = await asyncio.to_thread(Office.open, settings)
    try:
        async with looking_up(office) as lookup:
            yield lookup
    finally:
        office.close()


def _show(document: Json, tally: Tally, *, as_json: bool) -> None:
    from complaints.lookups import may_work_later, unanswered

    if "error" in document:
        tally.unusable += 1
        if not as_json:
            say(screen.clean(document["error"]))
            return
    elif unanswered(document):
        tally.unanswered += 1
        tally.later = tally.later or may_work_later(document)
    else:
        tally.answered += 1
    if tally.shown and not as_json:
        sys.stdout.write("\n")
    tally.shown = True
    put(document, as_json, lambda found: terminal_lookup.lookup_lines(found, datetime.now(UTC)))


async def _each(targets: list[str]) -> AsyncIterator[str]:
    from complaints.lines_in import lines

    for target in targets:
        if target != STDIN:
            yield target
            continue
        async for line in lines(sys.stdin.buffer):
            yield line


def _count(targets: list[str]) -> int | None:
    """How many targets there are, None where standard input does not tell."""
    from complaints.lines_in import count

    named = sum(target != STDIN for target in targets)
    if STDIN not in targets:
        return named
    waiting = count(sys.stdin.buffer)
    return None if waiting is None else named + waiting
