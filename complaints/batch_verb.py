"""The verbs `submit` and `batch`: take FILEs and mailboxes, leave a line per spam, and a sum on stderr.

A batch goes on with --resume after any stop, and hands in only what is new to a mailbox that grows.
"""
# What a verb needs is imported when it runs, so that the others start without it.
# ruff: noqa: PLC0415 - see above

import gc
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from complaints import terminal
from complaints.operate import JsonOption
from complaints.terminal import INTERRUPTED, TRY_LATER, UNUSABLE, USAGE, Json, end, fail, put, say

if TYPE_CHECKING:
    from complaints.batch import Tally
    from complaints.client import Client
    from complaints.mailboxes import Kept, Mail

FilesArgument = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Mail files; - is standard input.")
]
BEGAN = "\0began"
"""The key of when a batch began that has not ended; no mail has such a one."""
SINCE_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class UnreadableError(Exception):
    """A FILE cannot be read, or has nothing in it; says why."""


def read(name: str) -> bytes | None:
    """The bytes of FILE or standard input; None, after saying why, when there is nothing to read."""
    try:
        return _read(name)
    except UnreadableError as error:
        say(f"{name}: {error}")
        return None


def _read(name: str) -> bytes:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UnreadableError(error.strerror) from error
    if not raw.strip():
        raise UnreadableError("is empty; give a whole message with its header")
    return raw


def submit(
    work: "Client",
    files: FilesArgument,
    forwarded: Annotated[
        bool, typer.Option("--forward", help="FILE is a mail with the spam attached.")
    ] = False,
    pasted: Annotated[
        bool, typer.Option("--pasted", help="FILE is the source as text: repair broken header lines.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Hand in spam: each FILE is the spam itself (.zip, .gz and mbox are opened)."""
    statuses = []
    for name in files:
        for item in _submit(work, name, forwarded=forwarded, pasted=pasted):
            statuses.append(item["status"])
            put(item, as_json, terminal.item_lines)
    refused = statuses.count("refused")
    end(good=len(statuses) - refused, bad=refused)


def _submit(work: "Client", name: str, *, forwarded: bool, pasted: bool) -> list[Json]:
    """What became of each spam of a FILE; one that cannot be read or is too large is refused like a spam."""
    from complaints.remote import ClientError

    refused = {"file": name, "index": 0, "complaint": None, "status": "refused"}
    file = Path(name)
    try:
        # A larger one is a mailbox, which a server takes bit by bit, or refused: it is never held in memory
        large = name != "-" and file.is_file() and file.stat().st_size > work.most_bytes
        raw = file if large else _read(name)
        shown = "" if name == "-" else file.name
        items = work.submit(raw, shown, forwarded=forwarded, pasted=pasted)
    except UnreadableError as error:
        say(f"{name}: {error}")
        return [refused | {"reason": f"{error}"}]
    except ClientError as error:
        if error.code != UNUSABLE:
            raise
        return [refused | {"reason": str(error)}]
    return [item | {"file": name} for item in items]


def batch(
    work: "Client",
    source: Annotated[
        str,
        typer.Argument(
            metavar="MBOX|MAILDIR|DIR|imaps://USER@HOST/FOLDER|-",
            help="Where the mails are; - is standard input.",
        ),
    ],
    since: Annotated[
        str, typer.Option(metavar="DATE|30d", help="Only what was received since; also 12h, 2w.")
    ] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="No more than so many; 0 is all.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Hand nothing in; show which desks would be told.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the last batch of this mailbox stopped.")
    ] = False,
    move_to: Annotated[str, typer.Option(metavar="FOLDER", help="IMAP: move there what was taken.")] = "",
    flag: Annotated[
        str, typer.Option(metavar="KEYWORD", help="IMAP: give what was taken this keyword.")
    ] = "",
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="IMAP: the password's file; else PLAINT_IMAP_PASSWORD, or you are asked."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hand in all mails of a mailbox or folder as spam. Nothing is sent before you confirm it."""
    moment = _moment(since, datetime.now(UTC))
    if (move_to or flag or password_file) and "://" not in source:
        fail("--move-to, --flag and --password-file are for IMAP folders", USAGE)
    with _opened(work, source, moment, (move_to, flag), password_file) as opened:
        if dry_run:
            _dry_run(work, opened, moment, limit, as_json=as_json)
        else:
            _hand_in(work, opened, moment, limit, resume=resume, as_json=as_json)


@dataclass(frozen=True)
class _Source:
    """A mailbox that is open: its name, its mails, and what is done with those that were taken."""

    name: str
    mails: "Callable[[Kept], Iterator[Mail]]"
    settle: "Callable[[Sequence[Mail]], None]"


@contextmanager
def _opened(
    work: "Client", source: str, moment: datetime | None, wish: tuple[str, str], password_file: Path | None
) -> Iterator[_Source]:
    from complaints import mailboxes, settings

    most = work.most_bytes
    if "://" in source:
        from complaints.imap import Folder, Place, Wish

        place = Place.parse(source)
        with Folder(
            place, _password(place.url, password_file), Wish(*wish), settings.load().ca_file
        ) as folder:
            yield _Source(source, lambda kept: folder.mails(most, kept, moment), folder.settle)
    elif source == "-":
        yield _Source("-", lambda _: mailboxes.mails_from(sys.stdin.buffer, most), lambda _: None)
    else:
        path = str(Path(source).resolve())
        yield _Source(path, lambda kept: mailboxes.mails_at(source, most, kept), lambda _: None)


def _password(where: str, file: Path | None) -> str:
    """The password of an IMAP folder; exits 2 where there is none and nobody to ask."""
    if file is not None:
        try:
            return file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is no text in UTF-8"
            fail(f"--password-file {file}: {why}", USAGE)
    if (given := os.environ.get("PLAINT_IMAP_PASSWORD")) is not None:
        return given
    if not sys.stdin.isatty():
        fail(f"{where}: give --password-file FILE or PLAINT_IMAP_PASSWORD", USAGE)
    return getpass(f"Password for {where}: ")


def _hand_in(
    work: "Client", source: _Source, moment: datetime | None, limit: int, *, resume: bool, as_json: bool
) -> None:
    from complaints.batch import Batch, Stop, StoppedError, Tally, chosen
    from complaints.checkpoint import Checkpoint
    from complaints.progress import Progress, drawn

    gc.freeze()  # the program is loaded: it need not be looked through again for every mail
    tally, stop, progress, label = Tally(), Stop(), Progress(sys.stderr, limit or None), ""
    name = re.sub(r"[^0-9A-Za-z]+", "-", source.name.rstrip("/").rpartition("/")[2]).strip("-")
    began = f"{datetime.now(UTC):%Y-%m-%d-%H-%M}"

    def tell(line: Json) -> None:
        if sys.stdout.isatty():
            progress.hide()
        put(line, as_json, terminal.item_lines)

    try:
        with (
            Checkpoint(work.notes / "batch.sqlite", f"{work.name} {source.name}") as checkpoint,
            stop.on_signals(),
            drawn(progress, sys.stderr),
        ):
            if not resume:
                checkpoint.forget()
            began = checkpoint.get(BEGAN) or began  # what was stopped goes on under its own label
            checkpoint.keep([(BEGAN, began)])
            label = f"{name[:40] or 'stdin'}-{began}"

            def keep(done: "Sequence[Mail]") -> None:
                sys.stdout.flush()
                checkpoint.keep((mail.key, mail.mark) for mail in done)
                for mail in done:
                    progress.step(mail.share)

            mails = chosen(source.mails(checkpoint), moment, limit, tally)
            Batch(work, label, stop, tell, source.settle, keep).run(mails, tally)
            checkpoint.keep([(BEGAN, "")])  # what comes later is another batch
    except BaseException as error:
        if isinstance(error, StoppedError) or tally.statuses:  # whatever ended it, what was told is kept
            _say_stopped(tally, label, source.name)
        if isinstance(error, StoppedError):
            raise SystemExit(TRY_LATER if stop.by == signal.SIGTERM else INTERRUPTED) from None
        raise
    _say_sum(tally)
    _say_where(work, label, tally)
    refused = tally.statuses["refused"]
    end(good=tally.statuses.total() - refused, bad=refused)


def _dry_run(work: "Client", source: _Source, moment: datetime | None, limit: int, *, as_json: bool) -> None:
    from complaints.batch import Tally, chosen
    from complaints.batch_desks import desks_of, sources_of
    from complaints.mailboxes import NothingKept
    from complaints.progress import Progress, drawn

    tally, progress = Tally(), Progress(sys.stderr, limit or None)
    with drawn(progress, sys.stderr):
        mails = chosen(source.mails(NothingKept()), moment, limit, tally)
        sources = sources_of(work, mails, progress.step)
    asking = Progress(sys.stderr, len(sources.known))
    say(f"{asking.total:,} sources to look up")
    with drawn(asking, sys.stderr):  # a registry, or a server, may take only so many a minute
        rows = list(desks_of(work, sources, asking.step))
    for row in rows:
        put(row, as_json, terminal.desk_count_lines)
    told = sum(row["messages"] for row in rows if row["desk"])
    say(f"nothing was handed in; {told} reports would be proposed to the desks of their sources")


def _moment(text: str, now: datetime) -> datetime | None:
    """What --since means. Exits 2 for what means nothing."""
    if not text:
        return None
    if text[:-1].isdecimal() and text[-1] in SINCE_UNITS:
        return now - timedelta(**{SINCE_UNITS[text[-1]]: int(text[:-1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--since {text}: give a date like 2026-11-01, or 12h, 30d, 2w", USAGE)
    return moment.astimezone() if moment.tzinfo is None else moment


def _say_sum(tally: "Tally") -> None:
    counts = [f"{count} {status}" for status, count in sorted(tally.statuses.items())]
    if tally.too_old:
        counts.append(f"{tally.too_old} older than asked for")
    say(", ".join(counts) or "nothing new")
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(tally.states.items()))
    if states:
        say(f"of those accepted: {states}")
        from complaints.models import UNDERWAY
        from complaints.workbench import UNREAD

        if tally.states.keys() & {UNREAD, *UNDERWAY}:  # a child died, or a registry did not answer
            say("what does not await consent yet goes on in a running `plaint serve`, or with the next batch")


def _say_stopped(tally: "Tally", label: str, name: str) -> None:
    _say_sum(tally)
    if tally.statuses["accepted"]:
        say(f"review with: plaint review --batch {label}")
    say(f"stopped; go on, with the same options, by: plaint batch --resume {name}")


def _say_where(work: "Client", label: str, tally: "Tally") -> None:
    """How to review what was taken; a server that went away after that is no failure of the batch."""
    from complaints.remote import ClientError

    if not tally.statuses["accepted"]:
        return
    say(f"review with: plaint review --batch {label}")
    with suppress(ClientError):
        say(f"or on its page: {work.page_of(label)}")
