"""Takes note of every question while somebody wants to know (`plaint lookup --explain`); no I/O of its own.

`recording` opens a journal for the code inside its block and for the tasks started there, in a context
variable: no question of another lookup gets into it, and no caller has to hand it on. Without an open journal
`asking` notes nothing.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime

from abuse_lookup.answer import Answer, Question, Status

MOST_QUESTIONS = 300
MOST_CHARACTERS = 16_384
"""Of one answer: the longest registry answers seen that matter are half of that."""

_journal: ContextVar["list[Question] | None"] = ContextVar("abuse_lookup_journal", default=None)


class Asked:
    """One question on its way; what is not said of it stays as it was."""

    def __init__(self) -> None:
        self.status, self.reason, self.text, self.cached = Status.FOUND, "", "", False
        self.read: tuple[str, ...] = ()

    def said(self, text: str | bytes | None) -> None:
        """Keep what came back, as it came."""
        if isinstance(text, bytes):
            text = text[: 4 * MOST_CHARACTERS].decode("utf-8", "replace")
        self.text = text or ""

    def ended(self, status: Status, reason: str = "", read: tuple[str, ...] = ()) -> None:
        """Keep what came of it, and what was read in the answer."""
        self.status, self.reason, self.read = status, reason, read


@contextmanager
def recording() -> Iterator[list[Question]]:
    """Note every question asked inside the block, in the order in which they ended."""
    questions: list[Question] = []
    token = _journal.set(questions)
    try:
        yield questions
    finally:
        _journal.reset(token)


@contextmanager
def asking(source: str, server: str, question: str) -> Iterator[Asked]:
    """Note one question, which the block asks; an exception that leaves the block is its reason."""
    asked = Asked()
    journal = _journal.get()
    if journal is None:
        yield asked
        return
    at, started = datetime.now(UTC), time.monotonic()
    try:
        yield asked
    except BaseException as error:
        answer = getattr(error, "answer", None)
        status = answer.status if isinstance(answer, Answer) else Status.TEMPORARY
        asked.ended(status, str(error) or "given up: the time was over")
        raise
    finally:
        seconds = time.monotonic() - started
        came = (asked.status, seconds, asked.reason, _bounded(asked.text), asked.read, asked.cached)
        _note(journal, Question(at, source, server, question, *came))


def kept(question: str, expires: datetime) -> None:
    """Note that nobody was asked, because the answer to an earlier lookup is good until `expires`, or was."""
    if (journal := _journal.get()) is not None:
        good = "good" if expires > datetime.now(UTC) else "being asked anew; it was good"
        reason = f"answered earlier, {good} until {expires:%Y-%m-%d %H:%M} UTC"
        _note(
            journal,
            Question(datetime.now(UTC), "cache", "", question, Status.FOUND, 0.0, reason, cached=True),
        )


def in_order(questions: list[Question]) -> tuple[Question, ...]:
    """Sort by when each was asked."""
    return tuple(sorted(questions, key=lambda question: question.at))


def is_open() -> bool:
    """Whether somebody wants to know: for what costs something to find out."""
    return _journal.get() is not None


def read_in(question: str, status: Status, reason: str, read: tuple[str, ...]) -> None:
    """Add to the latest `question` how its answer was judged, and what was read in it."""
    for n, noted in reversed(list(enumerate(journal := _journal.get() or []))):
        if noted.question == question:
            journal[n] = replace(noted, status=status, reason=reason, read=read)
            return


def _note(journal: list[Question], question: Question) -> None:
    if len(journal) < MOST_QUESTIONS:
        journal.append(question)


def _bounded(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}\n[... cut here]"
