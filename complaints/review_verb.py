"""The verb `review`: what awaits consent, in groups, shown and decided on in the terminal.

On a terminal each group is shown and asked about; otherwise, and with --json, the groups are only printed.
Nothing is confirmed by pressing a key: whoever confirms types the word.
"""
# ruff: noqa: PLC0415 - what a verb needs is imported when it runs

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from complaints.on_complaints import on_complaints
from complaints.operate import JsonOption
from complaints.policy import STATEMENT
from complaints.screen import clean
from complaints.terminal import FAILED, USAGE, Json, fail, say

if TYPE_CHECKING:
    from complaints.client import Client

MOST_SHOWN = 5
"""Complaints of a group that are shown before they are asked for."""
KEYS = "[c]onfirm  [t]rim desks  take [o]ut  [l]ist all  [d]iscard  [n]ext  [q]uit"


@on_complaints
def review(
    work: "Client",
    by: Annotated[str, typer.Option(metavar="WHAT", help="Group by source, campaign or desk.")] = "source",
    batch: Annotated[str, typer.Option(metavar="LABEL", help="Only what was handed in under it.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Review what awaits your consent, in groups: confirm, trim or discard each at once."""
    from complaints.review_groups import BY

    if by not in BY:
        fail(f"--by {by}: there are {', '.join(BY)}", USAGE)
    found = work.review(batch, by)["groups"]
    if not found:
        say(f"nothing{' of ' + batch if batch else ''} awaits your consent")
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        for group in found:
            for line in [json.dumps(group)] if as_json else group_lines(group):
                typer.echo(line)
        return
    left = 0
    for number, group in enumerate(found, 1):
        typer.echo(f"\nGroup {number} of {len(found)}")
        part = look(work, batch, by, group)
        while part and (decision := ask(part)) != {}:
            if decision is None:
                raise SystemExit(FAILED if left else 0)
            left += tell(work.decide(batch, by, decision))
            part = opened(work, batch, by, group["key"]) if part["beyond"] else None
    raise SystemExit(FAILED if left else 0)


def look(work: "Client", batch: str, by: str, group: Json) -> Json | None:
    """The group with its reports written; None, after saying so, when nothing of it waits any more."""
    found = group if group["written"] else opened(work, batch, by, group["key"])
    if found is None:
        typer.echo("Nothing of it awaits your consent any more.")
    return found


def opened(work: "Client", batch: str, by: str, key: str) -> Json | None:
    """The first part of a group that still waits, with its reports written; None when there is none."""
    now = work.review(batch, by, key)["groups"]
    return next((one for one in now if one["key"] == key), None)


def group_lines(group: Json) -> Iterator[str]:
    """A group: its desks, and its first complaints."""
    complaints = group["complaints"]
    beyond = f", {group['beyond']} more after them" if group["beyond"] else ""
    yield f"{clean(group['title'])}: {len(complaints)} to review{beyond}"
    for number, desk in enumerate(group["desks"], 1):
        offered = (
            f" ({desk['only_offered']} only offered: each on its own page)" if desk["only_offered"] else ""
        )
        yield f"  {number}. {clean(desk['to'])}  {count(desk['reports'], 'report')}{offered}"
    for one in complaints[:MOST_SHOWN]:
        yield f"  {one['id']}  {one['source_ip']}  {clean(one['subject'])}"
    if len(complaints) > MOST_SHOWN:
        yield f"  and {len(complaints) - MOST_SHOWN} more"


@dataclass
class Trimmed:
    """What was taken out of a group so far."""

    desks: set[str] = field(default_factory=set)
    complaints: set[str] = field(default_factory=set)


def ask(group: Json) -> Json | None:
    """Show a group and ask until it is decided: the decision, {} to leave it, None to end."""
    for line in group_lines(group):
        typer.echo(line)
    out = Trimmed()
    changes = {"t": trim, "o": take_out, "l": list_all}
    while True:
        key = typer.prompt(KEYS, prompt_suffix="\n> ", default="n", show_default=False).strip().lower()[:1]
        if key in changes:
            changes[key](group, out)
        elif key == "c" and (decision := confirmed(group, out)):
            return decision
        elif key == "d":
            return decided(group, out, confirm=False)
        elif key in {"n", "q"}:
            return {} if key == "n" else None
        elif key != "c":
            typer.echo("One of the letters in brackets.")


def count(number: int, word: str) -> str:
    """`1 report`, `2 reports`."""
    return f"{number} {word if number == 1 else word + 's'}"


def list_all(group: Json, _out: Trimmed) -> None:
    """Print every complaint of the group, and where to read exactly what would be sent."""
    for one in group["complaints"]:
        typer.echo(f"{one['id']}  {one['source_ip']}  {clean(one['subject'])}\n  {one['review_url']}")


def confirmed(group: Json, out: Trimmed) -> Json | None:
    """Ask for the word; None when it was not given or nobody is left to write to."""
    desks = [desk["to"] for desk in group["desks"] if desk["reports"] and desk["to"] not in out.desks]
    if not desks:
        typer.echo("No desk is left. Discard it, or go on to the next.")
        return None
    kept = count(len(group["complaints"]) - len(out.complaints), "complaint")
    typer.echo(f"{kept}, to {clean(', '.join(desks))}.")
    typer.echo(STATEMENT)
    if typer.prompt("Type yes to agree", default="", show_default=False).strip().lower() != "yes":
        typer.echo("Not confirmed; nothing was sent.")
        return None
    return decided(group, out, confirm=True) | {"to": desks}


def decided(group: Json, out: Trimmed, *, confirm: bool) -> Json:
    """The decision as the API takes it."""
    without = sorted(out.complaints)
    return {"key": group["key"], "shown": group["shown"], "confirm": confirm, "without": without}


def trim(group: Json, out: Trimmed) -> None:
    """Take desks out, or put them back, by their numbers."""
    for text in typer.prompt("Numbers of desks", default="", show_default=False).replace(",", " ").split():
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= len(group["desks"])):
            typer.echo(f"{clean(text)}: there is no such desk")
            continue
        desk = group["desks"][int(text) - 1]["to"]
        out.desks ^= {desk}
        typer.echo(f"{clean(desk)}: {'gets nothing' if desk in out.desks else 'gets its reports'}")


def take_out(group: Json, out: Trimmed) -> None:
    """Leave complaints as they are, or put them back, by their ids."""
    known = {one["id"] for one in group["complaints"]}
    for text in typer.prompt("Ids of complaints", default="", show_default=False).replace(",", " ").split():
        if text not in known:
            typer.echo(f"{clean(text)}: not in this group")
            continue
        out.complaints ^= {text}
        typer.echo(f"{text}: {'left as it is' if text in out.complaints else 'decided with the others'}")


def tell(done: Json) -> int:
    """Say what a decision did; returns how many complaints were left."""
    decided, leave = count(done["complaints"], "complaint"), count(done["reports"], "report")
    say(f"{decided} decided, {leave} will leave; plaint undo PL-... takes one back")
    for line in done["left"]:
        say(f"{line['complaint']} was left: {line['reason']}")
    return len(done["left"])
