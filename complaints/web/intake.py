"""The web's way in: takes the FILEs of a request, leaves submissions, durably stored before anyone is told.

All FILEs of a request are stored and unwrapped in one transaction, so that either every one of them is
acknowledged or none was kept, as long as they are together no more than one submission may have. A larger
request, or a mailbox of more mails than one submission may hold, is divided: each portion is durable before
its items are told and before the next one is read.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from complaints import mbox, once, outcomes, submission
from complaints.archives import MAX_MESSAGES
from complaints.fields import one_line
from complaints.models import Json, Reporter
from complaints.office import Office
from complaints.once import Key, ReusedError
from complaints.outcomes import Outcome
from complaints.spool import BLOCK
from complaints.unwrap import Item
from complaints.web import idempotency
from complaints.web.problems import Problem
from complaints.web.uploads import SOON, Upload, larger

LONGEST_NOTE = 4000  # characters; a desk reads a few lines
MOST_WORDS, LONGEST_WORDS = 20, 100  # what a reporter wants hidden besides, and the characters of one
LIMIT_SECONDS = 3600  # PLAINT_LIMIT_SUBMISSIONS counts an hour: after an idle one all are free again
PORTION_BYTES, PORTION_MAILS = 1_048_576, 500
"""What one submission gets of a mailbox that is divided: each spam is read out of all these octets."""
SMALL = 65_536
"""Octets up to which a request is handled without waiting for its turn."""
AT_ONCE = 8
"""Larger ones that are in memory at a time, each in a thread of its own."""


@dataclass(frozen=True)
class Way:
    """How the FILEs of a request came, and what they are asked to be."""

    via: str
    forwarded: bool = False
    batch: str = ""
    key: str | None = None


@dataclass(frozen=True)
class Taken:
    """What became of one portion: the submissions' ids, and one item per spam or refused part.

    `whole`: it is all of the request, which was not divided. `share`: how much of it was read by now.
    """

    submission_ids: list[str]
    items: list[Json]
    whole: bool = False
    share: float = 1.0


@dataclass(frozen=True)
class Handed:
    """A FILE in memory, or why there is none of it."""

    raw: bytes
    filename: str
    pasted: bool = False
    refused: Outcome | None = None


class Intake:
    """Takes the FILEs of requests in turn, so that few large ones are in memory at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._closing = False
        self._going: set[asyncio.Task[None]] = set()

    def go_on(self, reading: Coroutine[Any, Any, None]) -> None:
        """Read a request to its end, also when whoever sent it is gone."""
        task = asyncio.create_task(reading, name="read a mailbox")
        self._going.add(task)
        task.add_done_callback(self._going.discard)

    async def close(self) -> None:
        """End what is read with the portion that is under way."""
        self._closing = True
        await asyncio.gather(*self._going, return_exceptions=True)

    async def take(
        self, office: Office, reporter: Reporter, uploads: Sequence[Upload], way: Way
    ) -> AsyncIterator[Taken]:
        """Yield what became of each portion of a request, in order and as soon as it is durable.

        Those of one request are one batch, of the label `way.batch` if given; of a divided one no letter
        tells. What came before under the same Idempotency-Key is answered as it was, a divided request from
        where it ended. Raises Problem 413 for a FILE over PLAINT_MAX_BYTES that is no mailbox, 422 for a key
        of something else and 429 over PLAINT_LIMIT_SUBMISSIONS; nothing is kept then, of a divided one
        nothing more.
        """
        portions = _portions(office, reporter, uploads, way)
        small = sum(one.size for one in uploads) <= SMALL
        while True:
            if self._closing:
                raise stopping()
            if small:
                taken = await run_in_threadpool(next, portions, None)
            else:
                async with self._turn:
                    taken = await run_in_threadpool(next, portions, None)
            if taken is None:
                return
            yield taken


def stopping() -> Problem:
    """The refusal of more while the service is being stopped."""
    return Problem(
        503,
        "Not now",
        "The service is being stopped.",
        "Send it again in a minute.",
        headers={"Retry-After": str(SOON)},
    )


async def chained(first: Taken, others: AsyncIterator[Taken]) -> AsyncIterator[Taken]:
    """All of them in order."""
    yield first
    async for taken in others:
        yield taken


def of(request: Request) -> Intake:
    """The intake of this application."""
    found = request.app.state.intake
    assert isinstance(found, Intake)
    return found


def _portions(office: Office, reporter: Reporter, uploads: Sequence[Upload], way: Way) -> Iterator[Taken]:
    """Yield what became of each portion."""
    most = office.settings.max_bytes
    asked = [[one.filename, one.pasted, one.digest()] for one in uploads] if way.key else []
    if sum(one.size for one in uploads) <= most:
        files = [Handed(one.raw(), one.filename, one.pasted) for one in uploads]
        if not any(_is_long(one) for one in files):
            taken = _take(office, reporter, files, way, idempotency.named(way.key, *_said(way), *asked))
            yield replace(taken, whole=True)
            return
        del files
    for one in uploads:
        if one.size > most and (way.forwarded or not one.is_mbox):
            raise larger(most)
    told, batch = [0] * len(uploads), way.batch
    done, all_of_it = 0, sum(one.size for one in uploads)
    for number, (of, portion, octets) in enumerate(_divided(uploads, way, most)):
        # A key has no blank in it, so nobody else can give these names
        name = " ".join([way.key.strip('"'), str(number)]) if way.key and number else way.key
        key = idempotency.named(name, *_said(way), *asked)
        taken = _take(office, reporter, [portion], replace(way, via=submission.BATCH, batch=batch), key)
        batch = batch or next(iter(taken.submission_ids), "")
        done += octets
        items = [item | {"index": item["index"] + told[of]} for item in taken.items]
        yield replace(taken, items=items, share=done / all_of_it)
        told[of] += len(taken.items)


def _said(way: Way) -> tuple[str, bool, str]:
    return "submissions", way.forwarded, way.batch


def _is_long(file: Handed) -> bool:
    """Tell a mailbox of more mails than one submission may hold."""
    is_mbox = not file.pasted and mbox.is_mbox(file.raw[: mbox.HEAD])
    return is_mbox and file.raw.count(b"\nFrom ") >= MAX_MESSAGES


def _divided(uploads: Sequence[Upload], way: Way, most: int) -> Iterator[tuple[int, Handed, int]]:
    """Yield portions of the FILEs, each with the number of its FILE and its size, one in memory at a time."""
    for number, one in enumerate(uploads):
        if way.forwarded or not one.is_mbox:
            yield number, Handed(one.raw(), one.filename, one.pasted), one.size
            continue
        for start, end in _spans(one):
            if end - start <= most:
                yield number, Handed(one.octets.slice(start, end), one.filename), end - start
            else:
                why = outcomes.of_size(end - start, most)
                yield number, Handed(b"", one.filename, refused=why), end - start


def _spans(upload: Upload) -> Iterator[tuple[int, int]]:
    """Yield where a mailbox is cut: between two mails, but not behind an empty one: the next tells it."""
    start = end = mails = 0
    empty = False
    stream = io.BufferedReader(upload.octets, BLOCK)
    for piece in mbox.pieces(stream, mbox.LONGEST_EMPTY, beside=upload.octets):
        if mails and not empty and (piece.end - start > PORTION_BYTES or mails == PORTION_MAILS):
            yield start, end
            start, mails = end, 0
        end, mails = piece.end, mails + 1
        empty = piece.raw is not None and not piece.raw.strip()
    if mails:
        yield start, end
    stream.detach()


def _take(office: Office, reporter: Reporter, files: Sequence[Handed], way: Way, key: Key | None) -> Taken:
    """Store and unwrap what is in memory, in one transaction; it is durable when this returns."""
    if any(one.refused for one in files):
        return Taken([], [_refused(one.filename, one.refused) for one in files if one.refused])
    try:
        contents = [
            submission.contents(
                office, reporter, one.raw, forwarded=way.forwarded, pasted=one.pasted, filename=one.filename
            )
            for one in files
        ]
        with office.db.transaction() as session:
            done = once.done(
                session, office, reporter, key,
                lambda: _stored(session, office, reporter, files, contents, way),
            )  # fmt: skip
    except submission.TooLargeError as error:
        raise Problem(413, "Too large", str(error), error.remedy) from error
    except submission.OverLimitError as error:
        headers, remedy = {"Retry-After": str(LIMIT_SECONDS)}, "Wait an hour; nothing of this was kept."
        raise Problem(429, "Too many submissions", str(error), remedy, headers=headers) from error
    except ReusedError as error:
        raise idempotency.reused(error) from error
    return Taken(done["submissions"], done["items"])


def _refused(filename: str, why: Outcome) -> Json:
    item: Json = {"file": filename, "index": 0, "complaint": None, "status": "refused", "grade": "D"}
    return item | {"reason": why.says, "remedy": why.remedy}


def _stored(
    session: Session,
    office: Office,
    reporter: Reporter,
    files: Sequence[Handed],
    contents: Sequence[Sequence[Item]],
    way: Way,
) -> Json:
    """Each file as a submission of its own, in one transaction: their ids and items."""
    ids: list[str] = []
    items: list[Json] = []
    batch = way.batch
    for file, found in zip(files, contents, strict=True):
        submission.check_limit(session, office, reporter)
        row = submission.accept(
            session,
            office,
            reporter,
            file.raw,
            via=way.via,
            forwarded=way.forwarded,
            filename=file.filename,
            pasted=file.pasted,
            batch=batch,
        )
        batch = row.batch
        ids.append(row.id)
        outcome = submission.unwrap(session, office, row, found).outcome
        items.extend({"file": file.filename, **item} for item in outcome)
    return {"submissions": ids, "items": items}


def plain_note(text: str) -> str:
    """The reporter's words with plain line ends; NUL is the one character a database column does not take."""
    return text.replace("\0", "").replace("\r\n", "\n").strip()


def words_to_hide(given: Sequence[str]) -> tuple[str, ...]:
    """What a reporter wants hidden besides address and names: each on one line, without empty ones."""
    return tuple(dict.fromkeys(filter(None, (" ".join(one_line(text).split()) for text in given))))
