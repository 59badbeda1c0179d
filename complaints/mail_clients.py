"""Mail programs: which one wrote a forward, how its user hands over a spam whole, and what its windows show.

All of it stands in `data/clients.toml`.
"""

import re
import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from complaints.forward_text import forward_texts
from complaints.message import Message

UNKNOWN = "Forward the spam as an attachment, or save it as a file (.eml) and upload it."
LONGEST_TEXT = 65_536
"""Characters of a forward's text in which a program is looked for."""

_NAMES = ("user-agent", "x-mailer")
_MOST_ABOVE = 30
_LONGEST_PHRASE = 300
_BLANKS = "".join(letter for letter in map(chr, range(0x3001)) if letter.isspace())
_BEFORE, _BEHIND = _BLANKS + ">|*_=-", _BLANKS + ":\uff1a*_=-<"


@dataclass(frozen=True, slots=True)
class Client:
    """A mail program: its name, the anchor of its help on `/help`, and how it forwards a message whole."""

    name: str
    anchor: str
    remedy: str
    traces: tuple[tuple[str, re.Pattern[str]], ...]


@cache
def clients() -> tuple[Client, ...]:
    """All mail programs that are known, in the order of the help page."""
    return tuple(
        Client(
            row["name"],
            "with-" + re.sub(r"[^a-z0-9]+", "-", row["name"].lower()).strip("-"),
            row["remedy"],
            tuple((field, re.compile(said, re.IGNORECASE | re.MULTILINE)) for field, said in row["traces"]),
        )
        for row in _rows()["client"]
    )


def client_of(message: Message) -> Client | None:
    """Return the mail program that wrote this mail, as far as its traces tell."""
    said: dict[str, list[str]] = {}
    for client, field, pattern in _traces():
        if field not in said:
            said[field] = _said(message, field)
        for text in said[field]:
            if pattern.search(text):
                return client
    return None


def how_to_forward(message: Message) -> str:
    """Say how to forward a spam whole with the program that wrote this mail."""
    client = client_of(message)
    return client.remedy if client else UNKNOWN


def anchor_of(remedy: str) -> str | None:
    """Return the anchor of the help of the program whose way this is."""
    return next((client.anchor for client in clients() if client.remedy == remedy), None)


def phrase_in(line: str) -> bool:
    """Tell whether a line of text is the one that a mail program puts above what it forwards."""
    words = _folded(line[:_LONGEST_PHRASE].lstrip(_BEFORE).rstrip(_BEHIND))
    return words in _phrases() or any(
        words.startswith(phrase + " ") for phrase in ("forwarded message from",)
    )


def lines_above(lines: Sequence[bytes]) -> int:
    """Return how many of the first lines of a pasted text a viewer shows above the source of a message."""
    texts = [line.decode("utf-8", "replace").strip() for line in lines[:_MOST_ABOVE]]
    if not texts:
        return 0
    for first, last in _above():
        if first.fullmatch(texts[0]):
            if last is None:
                return 1
            found = (n for n, text in enumerate(texts, 1) if last.fullmatch(text))
            if count := next(found, 0):
                return count
    return int(phrase_in(texts[0]))


def _said(message: Message, field: str) -> list[str]:
    if field == "text":
        return [text[:LONGEST_TEXT] for _, text in forward_texts(message)]
    text = message.get(field)
    return [] if text is None else [text]


@cache
def _traces() -> tuple[tuple[Client, str, re.Pattern[str]], ...]:
    """All traces in the order in which they are looked for: a program's own name before anything else."""
    all_of_them = [(client, field, pattern) for client in clients() for field, pattern in client.traces]
    return tuple(sorted(all_of_them, key=lambda trace: trace[1] not in _NAMES))


@cache
def _rows() -> dict[str, Any]:
    return tomllib.loads(files("complaints").joinpath("data/clients.toml").read_text("utf-8"))


def _folded(words: str) -> str:
    """Fold what differs between writers: case (with the Turkish dotted i), composed letters, apostrophes."""
    plain = unicodedata.normalize("NFC", words).replace("\u2019", "'").casefold()
    return plain.replace("i\u0307", "i")


@cache
def _phrases() -> frozenset[str]:
    return frozenset(_folded(words) for row in _rows()["phrase"] for words in row["words"])


@cache
def _above() -> tuple[tuple[re.Pattern[str], re.Pattern[str] | None], ...]:
    return tuple(
        (
            re.compile(row["first"], re.IGNORECASE),
            re.compile(row["last"], re.IGNORECASE) if "last" in row else None,
        )
        for row in _rows()["above"]
    )
