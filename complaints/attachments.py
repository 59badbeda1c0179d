"""Links in PDF attachments, in QR codes of pictures, and in the files of archives.

Takes a message; leaves the texts found there, each with its place (`pdf` or `qr`), the files of archives that
may have links in them, and sentences about what was not looked into. What strangers made is opened by a child
process with limits (`decoders.py`); without the extras `pdf` and `qr` only archives are. Nothing is fetched.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import islice
from urllib.parse import unquote_to_bytes

from complaints.confined import run
from complaints.decoders import LIBRARIES, MOST_OUTPUT, kind_of
from complaints.encodings import decode_base64
from complaints.message import Message, leaves_within

SECONDS = 3.0
"""Wall time after which the child is ended, however busy the machine; its own limit is processor time."""
MOST_FILES = {"pdf": 6, "image": 24, "archive": 4}
"""Files of one kind that are opened in one message; what real mail has, and no more work than a second."""
LARGEST = 12 << 20
"""Bytes of one file, and of all that are opened in one message."""
_MOST_PEEKED = 500
_HEAD = 1_500
_DATA_IMAGE = re.compile(
    rb"(?i)data:image/(?:png|jpe?g|gif|webp)[^,\"'<>]{0,100};base64,([A-Za-z0-9+/=\s%]++)"
)
_HTML_READ = 4 << 20
_NAMES = {
    "pdf": ("PDF attachment", "PDF attachments"),
    "image": ("picture", "pictures"),
    "archive": ("packed file", "packed files"),
}
_EXTRAS = {"pdf": "pdf", "image": "qr"}


@dataclass(frozen=True, slots=True)
class Looked:
    """`references` are (text, `pdf` or `qr`); `notes` say what was not looked into, and why.

    `files` are those of archives that may have links in them, each with its name.
    """

    references: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()


def look_into(message: Message) -> Looked:
    """Open the archives of a message, and its PDF files and pictures as far as the extras are installed."""
    files: list[tuple[str, bytes]] = []
    left_out = dict.fromkeys(MOST_FILES, 0)
    missing = dict.fromkeys(MOST_FILES, 0)
    room, seen = LARGEST, set[bytes]()
    for kind, content in _files(message):
        if kind in _EXTRAS and not is_installed(_EXTRAS[kind]):
            missing[kind] += 1
        elif content in seen:
            continue
        elif len(content) > room or sum(kind == other for other, _ in files) >= MOST_FILES[kind]:
            left_out[kind] += 1
        else:
            files.append((kind, content))
            seen.add(content)
            room -= len(content)
    found = _open(files) if files else Looked()
    notes = [
        f"{_count(kind, number)} not looked into: there are more or larger ones than are opened."
        for kind, number in left_out.items() if number
    ] + [
        f"{_count(kind, number)} not looked into: that needs the extra plaint[{_EXTRAS[kind]}]"
        f" (pip install 'plaint[{_EXTRAS[kind]}]')."
        for kind, number in missing.items() if number
    ]  # fmt: skip
    return Looked(found.references, (*found.notes, *notes), found.files)


def references(message: Message) -> tuple[tuple[str, str], ...]:
    """Return what the PDF files and pictures of a message say: (text, `pdf` or `qr`)."""
    return look_into(message).references


@cache
def is_installed(extra: str) -> bool:
    """Tell whether the libraries of an extra (`pdf` or `qr`) are there."""
    try:
        return all(find_spec(name.partition(".")[0]) for name in LIBRARIES[extra])
    except (ImportError, ValueError):
        return False


def _count(kind: str, number: int) -> str:
    one, many = _NAMES[kind]
    return f"1 {one} was" if number == 1 else f"{number} {many} were"


def _files(message: Message) -> Iterator[tuple[str, bytes]]:
    """The PDF files, pictures and archives of a message, told by how they begin, not by their names."""
    for part in islice(leaves_within(message), _MOST_PEEKED):
        if part.content_type in {"text/html", "application/xhtml+xml", "image/svg+xml"}:
            page = part.content(_HTML_READ)
            # Few pages have one, and letters of either case are looked for slowly
            for hit in _DATA_IMAGE.finditer(page) if b"data:image/" in page.lower() else ():
                encoded = unquote_to_bytes(hit[1]) if b"%" in hit[1] else hit[1]
                content = decode_base64(encoded)
                if kind := kind_of(content[:_HEAD], len(content)):
                    yield kind, content
        elif not part.content_type.startswith("text/"):
            size = (part.end - part.start) * 3 // 4
            if kind := kind_of(part.content(_HEAD), size):
                yield kind, part.content(2 * LARGEST)


def _open(files: list[tuple[str, bytes]]) -> Looked:
    """Let the child look at these files; whatever becomes of it, what it said until then counts."""
    listing = json.dumps([{"kind": kind, "size": len(content)} for kind, content in files]).encode()
    given = b"".join([listing, b"\n", *(content for _, content in files)])
    return _heard(run("complaints.decoders", given, seconds=SECONDS, most=2 * MOST_OUTPUT))


def _heard(said: bytes) -> Looked:
    """Read what the child said; its last line may be cut."""
    found: list[tuple[str, str]] = []
    unread: set[int] = set()
    packed: list[tuple[str, bytes]] = []
    ended = False
    for line in said.splitlines():
        try:
            item = json.loads(line)
        except ValueError:
            break
        match item:
            case {"found": str(text), "in": "pdf" | "qr" as place}:
                found.append((text, place))
            case {"member": str(name), "content": str(content)}:
                packed.append((name, decode_base64(content.encode("ascii", "replace"))))
            case {"unread": int(number)}:
                unread.add(number)
            case {"ended": True}:
                ended = True
    notes = []
    if unread:
        which = "1 attachment is" if len(unread) == 1 else f"{len(unread)} attachments are"
        notes.append(f"{which} damaged, locked or too large to be looked into.")
    if not ended:
        notes.append(
            "Looking into the attachments was ended before its end; there may be more links in them."
        )
    return Looked(tuple(found), tuple(notes), tuple(packed))
