"""What the command line prints: takes JSON documents, leaves lines for a person or JSON, and exit codes.

Data goes to stdout, everything else to stderr. Spam is text here too: nothing of it can move the cursor,
colour the screen or start a new line. The evidence is drawn by `terminal_trace`.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from complaints.screen import clean
from complaints.terminal_trace import trace_lines

Json = dict[str, Any]

FAILED, USAGE, UNUSABLE, UNAVAILABLE, TRY_LATER, NOT_ALLOWED, INTERRUPTED = 1, 2, 65, 69, 75, 77, 130


def put(document: Json, as_json: bool, read: Callable[[Json], Iterable[str]]) -> None:
    """A document as JSON on one line, or as the lines that `read` makes of it for a person.

    The JSON is ASCII: every terminal and every program can take it.
    """
    for line in [json.dumps(document)] if as_json else read(document):
        sys.stdout.write(line + "\n")


def say(message: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"plaint: {message}\n")


def kept_private(file: Path) -> IO[bytes]:
    """A new file for what is somebody's own: nobody else on the machine reads it. Raises OSError."""
    return open(file, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong and end with an exit code of the contract."""
    say(message)
    raise SystemExit(code)


def end(*, good: int, bad: int) -> None:
    """The exit after many items: 65 when none of them was usable, 1 when some were not."""
    if bad:
        raise SystemExit(FAILED if good else UNUSABLE)


def complaint_lines(document: Json) -> Iterator[str]:
    """One complaint: its state, its reports and what became of them."""
    yield f"{document['id']}  {document['state']}  {document['received_at']}"
    yield f"Subject: {clean(document['subject'])}"
    if outcome := document.get("outcome"):
        yield clean(outcome["says"])
        yield f"What to do: {clean(outcome['remedy'])}"
    elif document.get("reason"):
        yield f"Reason: {clean(document['reason'])}"
    if document.get("evidence"):
        yield from trace_lines(document["evidence"])
    for report in document["reports"]:
        yield from _report_lines(report)
    yield f"Review: {document['review_url']}"


def _report_lines(report: Json) -> Iterator[str]:
    tick, role = "x" if report["ticked"] else " ", f"{report['scope']}, {report['confidence']}"
    yield f"[{tick}] {report['id']}  {clean(report['to'])}  {report['state']}  {role}"
    yield f"    {clean(report['why'])}"
    if report.get("unticked"):
        yield f"    Not ticked: {clean(report['unticked'])}"
    if report["detail"]:
        yield f"    {clean(report['detail'])}"
    for reply in report["replies"]:
        yield f"    {reply['kind']} at {reply['at']}: {clean(reply['text'][:300])}"


def list_lines(item: Json) -> Iterator[str]:
    """One complaint in a list, with its evidence grade and source."""
    found = f"{item.get('grade') or '-'}  {item['source_ip'] or '-':<16}"
    head = f"{item['id']}  {item['state']:<17}{item['received_at']}  {found}"
    yield f"{head} {clean(item['subject'])}"


def item_lines(item: Json) -> Iterator[str]:
    """What became of one spam of a FILE."""
    what = f"{clean(item['file'])}[{item['index']}]: {item['status']}"
    why = " ".join(clean(item[name]) for name in ("reason", "remedy") if item.get(name))
    yield f"{what} {item['complaint'] or ''}".rstrip() + (f" ({why})" if why else "")
    for repair in item.get("repairs", ()):
        yield f"  repaired: {clean(repair['words'])} ({clean(repair['where'])})"


def desk_count_lines(row: Json) -> Iterator[str]:
    """A row of a dry run: how many messages, their source, the desk; or why there is none."""
    desk = clean(row["desk"]) if row["desk"] else f"({clean(row['why'])})"
    yield f"{row['messages']:>7}  {row['source'] or '-':<39}  {desk}"


def reporter_lines(document: Json) -> Iterator[str]:
    """A reporter, without secrets."""
    state = "verified" if document["verified_at"] else "not verified"
    words = [*document["names"], *document["aliases"], *document["trust"]]
    yield f"{clean(document['address'])}  {state}  {clean(', '.join(words))}".rstrip()


def secret_lines(document: Json) -> Iterator[str]:
    """A reporter's secrets, at the one moment they can be read."""
    return (f"{name.replace('_', ' ')}: {value}" for name, value in document.items())


def stop_lines(document: Json) -> Iterator[str]:
    """A desk that gets no reports."""
    asked = f"asked by {clean(document['asked_by'])} ({clean(document['reason'])})"
    yield f"{clean(document['address'])}  since {document['asked_at'][:10]}, {asked}"


def desk_lines(document: Json) -> Iterator[str]:
    """A row of the known desks: who is right for what, why, and where that is written."""
    right = document.get("address") or document.get("form") or (document.get("use") and "never used")
    named = f"{document['table']} {document['provider']}".strip()
    yield f"{clean(named)}: {clean(right or 'as its registry says')}"
    about = document["about"]
    more = f" and {len(about) - 8} more" if len(about) > 8 else ""
    yield f"  for {clean(', '.join(about[:8]))}{more}"
    yield f"  {clean(document['why'])}"
    yield f"  {clean(document['source'])}, {document['date']} ({clean(document['place'])})"


def finding_lines(document: Json) -> Iterator[str]:
    """One finding of `plaint doctor`."""
    yield f"{'ok ' if document['ok'] else 'NOT'}  {document['name']}: {clean(document['detail'])}"
