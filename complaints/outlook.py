"""Opening what Outlook made: .msg files and winmail.dat (TNEF).

Takes bytes that begin like one; leaves the messages and files in it, within the room of the submission. The
libraries (extras `msg` and `tnef`) run in a child process with limits (`outlook_reader.py`); without them
every such file is refused with what to do instead.
"""

import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

from complaints.archives import Packed, Room
from complaints.confined import run
from complaints.encodings import printable
from complaints.outlook_reader import LIBRARIES, MOST_OUTPUT, MSG, TNEF

__all__ = ["DOWNLOAD", "is_outlook", "unpack_outlook"]

LARGEST = 20 << 20
"""Bytes of one file."""
_SECONDS = 5.0
_PROPERTY = "__substg1.0_".encode("utf-16-le")
DOWNLOAD = (
    "In Outlook on the web, or in new Outlook, open the spam, choose the three dots, then Download (.eml), "
    "and attach or upload that file."
)
_PLAIN = (
    "In Outlook set the format of the new message to HTML or plain text (Format Text), and forward the spam "
    "as an attachment again (Ctrl+Alt+F)."
)
_WORDS = {
    "msg": ("an Outlook .msg file", DOWNLOAD),
    "tnef": ("an Outlook Rich Text attachment (winmail.dat)", _PLAIN),
}
REMADE = (
    "Outlook keeps a message in pieces: its header lines are as they came, the text and the attachments were "
    "put together again from what was kept."
)
HEADER_ONLY = "Outlook kept the header lines of this message, but not its text in a form that can be read."


def is_outlook(raw: bytes) -> bool:
    """Tell by the bytes whether this is a winmail.dat or a .msg file; others use that container too."""
    return raw.startswith(TNEF) or (raw.startswith(MSG) and _PROPERTY in raw)


@cache
def is_installed(extra: str) -> bool:
    """Tell whether the libraries of an extra (`msg` or `tnef`) are there."""
    return all(find_spec(name) for name in LIBRARIES[extra])


def unpack_outlook(raw: bytes, name: str, room: Room) -> Iterator[Packed]:
    """Yield the messages and files in a file of Outlook's; of a .msg that is the one message it keeps."""
    extra = "msg" if raw.startswith(MSG) else "tnef"
    what, remedy = _WORDS[extra]
    named = name or "The file"
    if not is_installed(extra):
        yield Packed(name, None, f"{named} is {what}, which cannot be opened here.", remedy)
        return
    if len(raw) > LARGEST or room.left <= 0 or room.outlook <= 0:
        reason = f"{named} is {what}, larger or one more than is opened at a time."
        yield Packed(name, None, reason, f"Send fewer or smaller messages at a time. {remedy}")
        return
    room.outlook -= 1
    said = run("complaints.outlook_reader", raw, seconds=_SECONDS, most=min(MOST_OUTPUT, room.left))
    room.left -= len(said)
    found, ended = _heard(said, name)
    yield from found
    if not found and not ended:
        reason = f"{named} is {what} that is damaged, or cannot be read within the limits."
        yield Packed(name, None, reason, remedy)


def _heard(said: bytes, name: str) -> tuple[list[Packed], bool]:
    """Read what the child said, and whether it came to its end; a last piece that is cut is left out."""
    found: list[Packed] = []
    position = 0
    while (end := said.find(b"\n", position)) >= 0:
        match _line(said[position:end]):
            case {"name": str(inner), "size": int(size), "remade": bool(remade), "without": list(without)}:
                position = end + 1 + size
            case {"ended": True}:
                return found, True
            case _:
                break
        if size < 0 or position > len(said):
            break
        shown = printable(inner)[:200] or name
        if remade and "header" in without:
            found.append(Packed(shown, None, *_headless(shown)))
        else:
            lost = (HEADER_ONLY if "body" in without else REMADE) if remade else ""
            found.append(Packed(shown, said[end + 1 : position], lost=lost))
    return found, False


def _headless(shown: str) -> tuple[str, str]:
    reason = (
        f"{shown or 'The message'} holds no header lines: Outlook has them only of mail that came to it over "
        "the internet, and not of every one."
    )
    return reason, DOWNLOAD


def _line(line: bytes) -> object:
    try:
        return json.loads(line[:4_000])
    except (ValueError, RecursionError):
        return None
