"""The web's way in: takes the body of a request, leaves submissions, durably stored before anyone is told.

A raw body is one FILE; a form is as many as it has files. All FILEs of a request are stored and unwrapped
in one transaction: either every one of them is acknowledged or none was kept.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser

from complaints import once, submission, tokens
from complaints.fields import one_line
from complaints.models import Json, Reporter
from complaints.office import Office
from complaints.once import ReusedError
from complaints.unwrap import Item
from complaints.web import idempotency
from complaints.web.problems import Problem

# A file of a form stays in memory, which `security.BodyLimit` bounds: on the disk it would lie in clear
MultiPartParser.spool_max_size = sys.maxsize
MOST_FILES = 100
MOST_FIELDS = 20
LONGEST_NOTE = 4000  # characters; a desk reads a few lines
MOST_WORDS, LONGEST_WORDS = 20, 100  # what a reporter wants hidden besides, and the characters of one
LIMIT_SECONDS = 3600  # PLAINT_LIMIT_SUBMISSIONS counts an hour: after an idle one all are free again


@dataclass(frozen=True)
class Upload:
    """One FILE: its bytes, and the name its owner gave it."""

    raw: bytes
    filename: str
    pasted: bool = False


@dataclass(frozen=True)
class Taken:
    """What became of one request: the submissions' ids, and one item per spam or refused part."""

    submission_ids: list[str]
    items: list[Json]


@dataclass(frozen=True)
class Form:
    """What a form held: its text fields by name, and its files in order."""

    fields: dict[str, str]
    uploads: list[Upload]


async def read_form(request: Request, office: Office) -> Form:
    """Read multipart/form-data (RFC 7578); a file field left empty holds no file. Raises Problem 400."""
    most = office.settings.max_bytes
    async with request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=most) as form:
        parts = form.multi_items()
        files = [value for _, value in parts if isinstance(value, UploadFile)]
        files = [file for file in files if file.filename or file.size]
        uploads = [named(await file.read(), file.filename) for file in files]
    return Form({name: value for name, value in parts if isinstance(value, str)}, uploads)


def pasted(text: str) -> Upload:
    """A message pasted into a text field, kept as it came: it is repaired when it is read."""
    return Upload(text.encode("utf-8", "replace"), "", pasted=True)


def plain_note(text: str) -> str:
    """The reporter's words with plain line ends; NUL is the one character a database column does not take."""
    return text.replace("\0", "").replace("\r\n", "\n").strip()


def named(raw: bytes, filename: str | None) -> Upload:
    """A FILE with the name its sender gave it, which may be anything."""
    return Upload(raw, one_line(filename or "")[:200])


async def take(
    office: Office,
    reporter: Reporter,
    uploads: Sequence[Upload],
    *,
    via: str,
    forwarded: bool,
    batch: str = "",
    key: str | None = None,
) -> Taken:
    """Store and unwrap the uploads; they are durable when this returns.

    Those of one request are one batch, of the label `batch` if given. What came before under the same
    Idempotency-Key `key` is answered as it was. Raises Problem 413 for a FILE over PLAINT_MAX_BYTES, 422 for
    a key of something else and 429 over PLAINT_LIMIT_SUBMISSIONS; nothing is kept then.
    """
    return await run_in_threadpool(_take, office, reporter, uploads, via, forwarded, batch, key)


def _take(
    office: Office,
    reporter: Reporter,
    uploads: Sequence[Upload],
    via: str,
    forwarded: bool,
    batch: str,
    key: str | None,
) -> Taken:
    asked = ([one.filename, one.pasted, tokens.digest(one.raw)] for one in uploads if key)
    named = idempotency.named(key, "submissions", forwarded, batch, *asked)
    try:
        contents = [
            submission.contents(
                office, reporter, one.raw, forwarded=forwarded, pasted=one.pasted, filename=one.filename
            )
            for one in uploads
        ]
        with office.db.transaction() as session:
            done = once.done(
                session, office, reporter, named,
                lambda: _stored(session, office, reporter, uploads, contents, via, forwarded, batch),
            )  # fmt: skip
    except submission.TooLargeError as error:
        raise Problem(413, "Too large", str(error), error.remedy) from error
    except submission.OverLimitError as error:
        headers, remedy = {"Retry-After": str(LIMIT_SECONDS)}, "Wait an hour; nothing of this was kept."
        raise Problem(429, "Too many submissions", str(error), remedy, headers=headers) from error
    except ReusedError as error:
        raise idempotency.reused(error) from error
    return Taken(done["submissions"], done["items"])


def _stored(
    session: Session,
    office: Office,
    reporter: Reporter,
    uploads: Sequence[Upload],
    contents: Sequence[Sequence[Item]],
    via: str,
    forwarded: bool,
    batch: str,
) -> Json:
    """Each upload as a submission of its own, in one transaction: their ids and items."""
    ids: list[str] = []
    items: list[Json] = []
    for upload, found in zip(uploads, contents, strict=True):
        submission.check_limit(session, office, reporter)
        row = submission.accept(
            session,
            office,
            reporter,
            upload.raw,
            via=via,
            forwarded=forwarded,
            filename=upload.filename,
            pasted=upload.pasted,
            batch=batch,
        )
        batch = row.batch
        ids.append(row.id)
        outcome = submission.unwrap(session, office, row, found).outcome
        items.extend({"file": upload.filename, **item} for item in outcome)
    return {"submissions": ids, "items": items}


def words_to_hide(given: Sequence[str]) -> tuple[str, ...]:
    """What a reporter wants hidden besides address and names: each on one line, without empty ones."""
    return tuple(dict.fromkeys(filter(None, (" ".join(one_line(text).split()) for text in given))))
