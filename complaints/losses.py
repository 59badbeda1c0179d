"""What a message lost on its way in: rebuilt, cut, left without its body.

Takes a message and the mail that carried it; leaves the best grade of evidence it can have, and one sentence
for the reporter. Who rebuilds and who cuts is told by `data/losses.toml`.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from complaints.encodings import parameters
from complaints.message import Message

__all__ = ["Carriers", "Loss", "carriers", "cut_off", "is_unclosed", "loss_of"]

HEADER_ONLY = "Only the header lines came, without the text of the message; no links can be read in it."
_MOST_TRACES = 50
"""Fields of one name that are looked at."""
UNCLOSED = "The message ends before its last part does; its end may be missing."


class Loss(NamedTuple):
    """`grade` is the best that is left, `lost` the sentence; nothing was lost where that is None."""

    grade: str
    lost: str | None


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """A row of the table: who writes messages anew, and how that is told."""

    around: tuple[tuple[str, re.Pattern[str]], ...]
    top: re.Pattern[str] | None
    kinds: frozenset[str]
    loss: Loss


Carriers = tuple[Rebuilder, ...]


@cache
def _table() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads(files("complaints").joinpath("data/losses.toml").read_text("utf-8"))


@cache
def _rebuilders() -> tuple[Rebuilder, ...]:
    return tuple(
        Rebuilder(
            tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in row["around"]),
            re.compile(row["top"], re.IGNORECASE) if "top" in row else None,
            frozenset(row["kinds"]),
            Loss(row["grade"], row["lost"]),
        )
        for row in _table()["rebuilder"]
    )


def carriers(around: Message) -> Carriers:
    """Return who may have rebuilt what a mail carries, by the traces they left in the mail itself."""
    return tuple(
        rebuilder
        for rebuilder in _rebuilders()
        if any(
            pattern.search(one.text)
            for name, pattern in rebuilder.around
            for one in around.fields(name)[:_MOST_TRACES]
        )
    )


def loss_of(message: Message, kind: str = "", carried: Carriers = ()) -> Loss:
    """Say what a message lost: as a part of media type `kind` in a mail of these carriers, or as a file."""
    if kind in {"text/rfc822-headers", "message/global-headers"} or _is_header_only(message):
        return Loss("B", HEADER_ONLY)
    for rebuilder in _rebuilders():
        if _was_at_work(rebuilder, message, kind, carried=rebuilder in carried):
            return rebuilder.loss
    return Loss("A", cut_off(message))


def _was_at_work(rebuilder: Rebuilder, message: Message, kind: str, *, carried: bool) -> bool:
    if rebuilder.kinds and kind not in rebuilder.kinds:
        return False
    if rebuilder.top is None:
        return carried
    # The lines may stand in another order: of a message that this service carried, any of them tells. In a
    # file nobody vouches for, only the topmost was not written by the sender of the spam.
    lines = message.fields("received")[: _MOST_TRACES if carried else 1]
    return any(rebuilder.top.search(one.text) for one in lines)


def _is_header_only(message: Message) -> bool:
    """Tell whether not even the blank line below the header came."""
    return bool(message.headers) and message.body == message.headers[-1].end == len(message.raw)


def cut_off(message: Message) -> str | None:
    """Say whether the end of the message is missing: cut at a known length, or its last part without end."""
    size, breaks = len(message.raw), message.raw.count(b"\r\n")
    end = len(message.raw) - len(message.raw.rstrip(b"\r\n"))
    for row in _table()["cutter"]:
        # The cut may have been made before line ends were changed, and one may have been added since.
        for length in (size, size - breaks):
            if 0 <= length - row["bytes"] <= min(end, 2) and not _is_closed(message):
                return (
                    f"Cut off after {row['bytes']:,} bytes, as {row['name']} does: links below the cut are "
                    "not seen, and signatures over the body cannot be checked."
                )
    return UNCLOSED if is_unclosed(message) else None


def is_unclosed(message: Message) -> bool:
    """Tell whether the message announces parts, and their closing line is not there (RFC 2046 §5.1.1)."""
    closing = _closing(message)
    return closing is not None and message.raw.find(closing, message.body) < 0


def _is_closed(message: Message) -> bool:
    closing = _closing(message)
    return closing is not None and message.raw.find(closing, message.body) >= 0


def _closing(message: Message) -> bytes | None:
    fields = message.fields("content-type")
    kind, values = parameters(fields[0].value) if fields else ("", {})
    if not kind.startswith("multipart/"):
        return None
    return b"--" + values.get("boundary", "").encode("utf-8", "surrogateescape") + b"--"
