"""The reporter's verbs on their submission address: its card, a new one, a test of forwarding."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from complaints.on_complaints import on_complaints
from complaints.operate import JsonOption
from complaints.terminal import UNUSABLE, Json, fail, put, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from complaints.client import Client


@on_complaints
def card(
    work: "Client",
    qr: Annotated[bool, typer.Option("--qr", help="Print a QR code instead, as an SVG picture.")] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Have a new address first; the old one works for 30 days more.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print your secret submission address as a contact (vCard), for an address book."""
    document = json.loads(work.account("card/new" if new else "card"))
    what = "svg" if qr else "vcard"
    if document[what] is None:
        fail("your address was given before it could be shown; with --new you get another one", UNUSABLE)
    put(document, as_json, lambda shown: shown[what].splitlines())


@on_complaints
def send_test(work: "Client", as_json: JsonOption = False) -> None:
    """Have a test mailed to you: forward it to your submission address, and learn what that loses."""
    document = json.loads(work.account("test"))
    put(document["tests"][0], as_json, _test_lines)
    say("forward it to your submission address as an attachment; what came back is told in a letter")


def _test_lines(document: Json) -> "Iterator[str]":
    yield f"a test was mailed to {document['to']}, good until {document['expires_at']}"
