"""Many lookups: takes targets as they come, leaves the document of each, so many at once.

The command line and the API both answer from here. A text that is no target gets a document too, with `error`
in place of an answer.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from abuse_lookup import AbuseLookup, UnusableTarget
from abuse_lookup.batch import each_done

Json = dict[str, Any]

AT_ONCE = 200
"""Targets that are looked up at once; how many questions a server gets is the library's business."""
WINDOW = 2_000
"""Targets taken in whose answers are not yet handed on: what memory holds, however many there are."""


async def look_up(lookup: AbuseLookup, target: str, explain: bool = False, patient: bool = False) -> Json:
    """The document of one target, as `plaint lookup --json` prints it; a patient one waits for limits."""
    try:
        return (await lookup.find_contacts(target, explain=explain, patient=patient)).document()
    except UnusableTarget as error:
        return {"target": target, "error": str(error)}


async def look_up_many(
    lookup: AbuseLookup,
    targets: AsyncIterable[str],
    *,
    as_asked: bool,
    explain: bool = False,
    patient: bool = False,
) -> AsyncIterator[Json]:
    """The document of each target: in the order of the targets (`as_asked`), or as they come."""
    room = asyncio.Semaphore(WINDOW)

    async def numbered() -> AsyncIterator[tuple[int, str]]:
        number = 0
        async for target in targets:
            await room.acquire()
            yield number, target
            number += 1

    async def one(item: tuple[int, str]) -> tuple[int, Json]:
        return item[0], await look_up(lookup, item[1], explain, patient)

    early: dict[int, Json] = {}
    due = 0
    async for number, document in each_done(numbered(), one, AT_ONCE):
        early[number] = document
        due = due if as_asked else number
        while due in early:
            room.release()
            yield early.pop(due)
            due += 1


def unanswered(document: Json) -> bool:
    """Whether nobody was found, and a source that might have known somebody failed."""
    return "error" not in document and not document["contacts"] and bool(document["failures"])


def may_work_later(document: Json) -> bool:
    """Whether one of the failures was temporary."""
    return any(not failure["permanent"] for failure in document["failures"])
