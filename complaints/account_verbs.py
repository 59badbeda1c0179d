"""The reporter's own verbs on their account: what is kept, everything as a file, and leaving.

They work on a server or a data directory. What needs a code is asked twice: first without, to have it mailed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from complaints.on_complaints import on_complaints
from complaints.operate import JsonOption
from complaints.screen import clean
from complaints.terminal import UNUSABLE, USAGE, Json, fail, put, say

if TYPE_CHECKING:
    from complaints.client import Client

account_app = typer.Typer(
    no_args_is_help=True, help="Your own account: what is kept of you, a copy of it, leaving."
)
CodeOption = Annotated[
    str, typer.Option(metavar="CODE", help="The code that was mailed to you; without it, one is mailed.")
]


@account_app.command()
@on_complaints
def show(work: "Client", as_json: JsonOption = False) -> None:
    """Show what is kept of you, which desks got something, and who read it here."""
    put(json.loads(work.account()), as_json, lines)


@account_app.command()
@on_complaints
def export(
    work: "Client",
    out: Annotated[Path, typer.Option(metavar="FILE", help="The ZIP file to write.")],
    code: CodeOption = "",
) -> None:
    """Write everything that is kept of you into a ZIP file."""
    if not code:
        _ask(work, "export", f"plaint account export --out {out} --code CODE")
        return
    if out.exists():
        fail(f"{out} exists already", UNUSABLE)
    content = work.account("export", code=code)
    try:
        with out.open("xb") as place:
            place.write(content)
    except OSError as error:
        fail(f"{out}: {error.strerror}", UNUSABLE)
    say(f"wrote {out}: everything that is kept of you")


@account_app.command()
@on_complaints
def erase(
    work: "Client",
    code: CodeOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Really: there is no way back.")] = False,
) -> None:
    """Remove yourself and everything of yours. What desks got stays with them."""
    if not code:
        _ask(work, "erase", "plaint account erase --code CODE --yes")
        return
    if not yes:
        fail("nothing was removed. With --yes, everything of yours goes, for good", USAGE)
    work.account("erase", code=code, sure="yes")
    say("you are removed, and everything of yours")


def _ask(work: "Client", wish: str, then: str) -> None:
    mailed = json.loads(work.account("codes", **{"for": wish}))
    to = ", ".join(mailed["mailed_to"])
    say(f"a code was mailed to {to}, good until {mailed['expires_at']}; then: {then}")


def lines(document: Json) -> Iterator[str]:
    """An account, for a person."""
    policy = document["policy"]
    yield f"{clean(document['address'])}  registered {document['registered_at']}, policy {policy['version']}"
    for word in ("names", "aliases"):
        if document[word]:
            yield f"{word}: {clean(', '.join(document[word]))}"
    yield ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in document["kept"].items())
    for desk in document["desks"]:
        yield f"went to {clean(desk['to'])}: {desk['count']}"
    for row in document["readings"]:
        what = row["complaint"] or "everything"
        yield f"{row['at']}: {clean(row['by'])} read {what}: {clean(row['reason'])}"
    for row in document["disclosures"]:
        words = f"{row['authority']}, under {row['law']}: {row['what']}"
        yield f"{row['at']}: disclosed to {clean(words)}"
    for row in document["preferences"]:
        yield f"[{'x' if row['chosen'] else ' '}] {row['purpose']}: {row['words']}"
    yield f"Your page: {document['url']}"
