"""The reporter's own verbs on their account: what is kept, what they change, a copy of it, leaving.

They work on a server or a data directory. What needs a code is asked twice: first without, to have it mailed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from complaints.on_complaints import on_complaints
from complaints.operate import AddressArgument, JsonOption
from complaints.screen import clean
from complaints.terminal import UNUSABLE, USAGE, Json, fail, kept_private, put, say

if TYPE_CHECKING:
    from complaints.client import Client

account_app = typer.Typer(
    no_args_is_help=True, help="Your own account: what is kept of you, corrections, choices, a copy, leaving."
)
CodeOption = Annotated[
    str, typer.Option(metavar="CODE", help="The code that was mailed to you; without it, one is mailed.")
]

VersionArgument = Annotated[
    str, typer.Argument(metavar="VERSION", help="The version that `plaint account policy` asks about.")
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
        with kept_private(out) as place:
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


@account_app.command()
@on_complaints
def names(
    work: "Client",
    name: Annotated[list[str], typer.Argument(metavar="NAME...", help='All of them; "" for none.')],
) -> None:
    """Say which names of yours are hidden in reports made from now on; those before are forgotten."""
    kept = json.loads(work.account("names", names=name))["names"]
    say(f"hidden from now on: {clean(', '.join(kept)) or 'no name'}")


@account_app.command()
@on_complaints
def alias(work: "Client", address: AddressArgument, code: CodeOption = "") -> None:
    """Add another address of yours, with the code that is mailed to it."""
    if not code:
        _ask(work, "alias", f"plaint account alias {address} --code CODE", address)
        return
    kept = json.loads(work.account("aliases", code=code))["aliases"]
    say(f"also yours: {clean(', '.join(kept))}")


@account_app.command()
@on_complaints
def unalias(work: "Client", address: AddressArgument) -> None:
    """Forget another address of yours; in reports made from now on it is not hidden."""
    work.account("aliases/remove", address=address)
    say(f"{address} is forgotten")


@account_app.command()
@on_complaints
def move(
    work: "Client",
    address: AddressArgument,
    code: Annotated[str, typer.Option(metavar="CODE", help="The code mailed to the old address.")] = "",
    second: Annotated[str, typer.Option(metavar="CODE", help="The code mailed to the new one.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Be registered under another address. Links and token until then end; prints the new token, once."""
    if not code or not second:
        _ask(work, "address", f"plaint account move {address} --code CODE --second CODE", address)
        return
    document = json.loads(work.account("address", code=code, second=second))
    put(
        {"address": document["address"], "token": document["token"], "url": document["url"]},
        as_json,
        lambda moved: [f"{clean(moved['address'])}  token {moved['token']}", f"Your page: {moved['url']}"],
    )


@account_app.command()
@on_complaints
def prefer(
    work: "Client",
    purpose: Annotated[str, typer.Argument(metavar="PURPOSE", help="news, digests, quiet or statistics.")],
    answer: Annotated[str, typer.Argument(metavar="yes|no", help="Whether you agree to it.")],
) -> None:
    """Say yes or no to a use of your data."""
    if answer not in {"yes", "no"}:
        fail(f"{answer}: say yes or no", USAGE)
    for row in json.loads(work.account("preferences", **{purpose: answer == "yes"}))["preferences"]:
        say(f"[{'x' if row['chosen'] else ' '}] {row['purpose']}: {row['words']}")


@account_app.command()
@on_complaints
def policy(work: "Client", as_json: JsonOption = False) -> None:
    """Show which privacy policy applies, which you accepted, and what a new one changes."""
    put(json.loads(work.account("policy")), as_json, policy_lines)


@account_app.command()
@on_complaints
def accept(work: "Client", version: VersionArgument) -> None:
    """Agree to a new version of the privacy policy."""
    work.account("policy", version=version, agree=True)
    say(f"you agreed to version {version}")


@account_app.command()
@on_complaints
def refuse(work: "Client", version: VersionArgument) -> None:
    """Do not agree to a new version: once it applies nothing new is sent. You can leave, or agree later."""
    work.account("policy", version=version, agree=False)
    say("kept. To take your data along: plaint account export; to leave: plaint account erase")


@account_app.command()
@on_complaints
def standing(
    work: "Client",
    daily: Annotated[int, typer.Option(metavar="N", help="Give it, for so many complaints a day.")] = 0,
    revoke: Annotated[bool, typer.Option("--revoke", help="End it at once.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="I agree to the statement that is shown.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show, give or revoke your standing consent: what leaves without asking you each time."""
    document = json.loads(work.account("standing-consent"))
    if revoke:
        document = json.loads(work.account("standing-consent/revoke"))
    elif daily:
        if not yes:
            fail(f"nothing was given. With --yes you agree to this: {document['statement']}", USAGE)
        said = {"daily": daily, "statement": document["statement"]}
        document = json.loads(work.account("standing-consent", **said))
    put(document, as_json, standing_lines)


def standing_lines(document: Json) -> Iterator[str]:
    """A standing consent, for a person."""
    given = document["given"]
    yield f"given {given['given_at']}, {given['daily']} a day" if given else "no standing consent is given"
    for row in document["conditions"]:
        yield f"[{'x' if row['holds'] else ' '}] {row['what']}"
    yield f"Its page: {document['url']}"


def policy_lines(document: Json) -> Iterator[str]:
    """What a reporter has to know of the privacy policy, for a person."""
    yield f"version {document['in_force']} applies; you accepted {document['accepted'] or 'none'}"
    asked = document["asked"]
    if asked is None:
        return
    since = f"since {asked['since']}" if asked["over"] else f"from {asked['since']} on"
    yield f"version {asked['version']}, {since}, changes:"
    yield from (f"  {words}" for words in asked["changes"])
    yield from (f"    {line}" for line in asked["difference"])
    yield f"plaint account accept {asked['version']}, or: plaint account refuse {asked['version']}"
    yield f"Its page: {asked['url']}"


def _ask(work: "Client", wish: str, then: str, address: str = "") -> None:
    said = {"for": wish} | ({"address": address} if address else {})
    mailed = json.loads(work.account("codes", **said))
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
