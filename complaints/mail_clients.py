"""Which mail program wrote a forward, and how its user hands over a spam whole: `data/clients.toml`."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from complaints.message import Message

UNKNOWN = "Forward the spam as an attachment, or save it as a file (.eml) and upload it."


@dataclass(frozen=True, slots=True)
class _Client:
    name: str
    field: str
    pattern: re.Pattern[str]
    remedy: str


@cache
def _clients() -> tuple[_Client, ...]:
    rows = tomllib.loads(files("complaints").joinpath("data/clients.toml").read_text("utf-8"))["client"]
    return tuple(
        _Client(row["name"], row["field"], re.compile(row["pattern"], re.IGNORECASE), row["remedy"])
        for row in rows
    )


def how_to_forward(message: Message) -> str:
    """Say how to forward a spam whole with the program that wrote this mail."""
    for client in _clients():
        text = message.get(client.field)
        if text is not None and client.pattern.search(text):
            return client.remedy
    return UNKNOWN
