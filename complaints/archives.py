"""Opening what a spam was packed into on its way: zip, gzip, mbox.

Takes bytes of unknown kind; leaves the files inside, within fixed bounds of number, size and depth.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from complaints.encodings import printable

MAX_FILES = 1_000
"""Files opened from one archive."""
MAX_BYTES = 64 * 1024 * 1024
"""Bytes unpacked from one submission, all files of all its archives together."""
MAX_ENCRYPTED = 8 * 1024 * 1024
"""Bytes of encrypted files: the classic zip cipher runs in Python, about a megabyte in a second."""
MAX_DEPTH = 2
"""Archives inside each other."""
MAX_MESSAGES = 2_000
"""Messages taken from one mbox."""
MAX_OUTLOOK = 50
"""Files of Outlook's (.msg, winmail.dat) opened of one submission: each takes a process of its own."""
LONGEST_NAME = 80
"""Characters of a file's name that are shown, its last ones."""
ORDINARY = "Pack it again as an ordinary zip file."
# Of what else there is (bzip2, LZMA), zipfile unpacks all at once, whatever size was told.
_BOUNDED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
PASSWORD = b"infected"
"""The customary password for samples that a mail server would refuse."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A file out of an archive: its bytes, or the reason why there are none.

    `lost` is set for a message that was put together again, and says so.
    """

    name: str
    content: bytes | None
    reason: str = ""
    remedy: str = ""
    lost: str = ""


@dataclass(slots=True)
class Room:
    """What may still be unpacked, shared by all that comes from one hand.

    Bytes, those of encrypted files among them, and files of Outlook's.
    """

    left: int = MAX_BYTES
    encrypted: int = MAX_ENCRYPTED
    outlook: int = MAX_OUTLOOK


def short_name(name: str) -> str:
    """Return the last part of a file's name; a stranger may have chosen it, and our letters show it."""
    return printable(re.split(r"[/\\]", name.rstrip("/\\"))[-1])[-LONGEST_NAME:]


def is_archive(raw: bytes) -> bool:
    """Tell by the first bytes whether this is a zip or gzip file, whatever its name says."""
    return raw.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08"))


def unpack(raw: bytes, name: str, room: Room | None = None) -> Iterator[Packed]:
    """Yield the files of an archive, as long as there is room for them."""
    room = room or Room()
    if raw.startswith(b"\x1f\x8b"):
        yield _gunzip(raw, name, room)
    else:
        yield from _unzip(raw, name, room)


def _gunzip(raw: bytes, name: str, room: Room) -> Packed:
    engine = zlib.decompressobj(wbits=31)
    try:
        content = engine.decompress(raw, room.left) if room.left > 0 else b""
    except zlib.error as error:
        return Packed(name, None, f"{name or 'The file'} is a damaged gzip file ({error}).", "Pack it again.")
    room.left -= len(content)
    if room.left <= 0 or engine.unconsumed_tail:
        return _too_big(name)
    return Packed(name.removesuffix(".gz"), content)


def _too_big(name: str) -> Packed:
    limit = MAX_BYTES // (1024 * 1024)
    return Packed(
        name,
        None,
        f"{name or 'The archive'} unpacks to more than {limit} MiB.",
        "Send fewer messages at a time.",
    )


def _unzip(raw: bytes, name: str, room: Room) -> Iterator[Packed]:
    if raw.count(b"PK\x01\x02") > 10 * MAX_FILES:
        yield Packed(
            name,
            None,
            f"{name or 'The archive'} holds too many files.",
            f"Send at most {MAX_FILES} messages at a time.",
        )
        return
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
    except Exception as error:  # noqa: BLE001 - zipfile raises whatever it stumbles over
        yield Packed(
            name,
            None,
            f"{name or 'The file'} is a damaged zip file ({printable(str(error))}).",
            "Pack it again.",
        )
        return
    files = [
        entry
        for entry in archive.infolist()
        if not entry.filename.endswith("/") and not entry.filename.startswith("__MACOSX/")
    ]
    for entry in files[:MAX_FILES]:
        yield _read_entry(archive, entry, room)
    if len(files) > MAX_FILES:
        yield Packed(
            name,
            None,
            f"{name or 'The archive'} holds {len(files)} files; {MAX_FILES} were read.",
            "Send the rest in another archive.",
        )


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, room: Room) -> Packed:
    name, encrypted = short_name(entry.filename), bool(entry.flag_bits & 1)
    if entry.compress_type not in _BOUNDED:
        return Packed(name, None, f"{name} is packed in an unusual way.", ORDINARY)
    # Many entries may name the same packed bytes, and these unpack to next to nothing or fail at their end.
    cost = max(entry.file_size, entry.compress_size)
    if cost > (min(room.left, room.encrypted) if encrypted else room.left):
        return _too_big(name)
    room.left -= cost
    room.encrypted -= cost if encrypted else 0
    try:
        with archive.open(entry, pwd=PASSWORD if encrypted else None) as stream:
            return Packed(name, stream.read(cost))
    except Exception as error:  # noqa: BLE001 - zipfile raises whatever it stumbles over
        if encrypted and isinstance(error, RuntimeError):
            remedy = "Use no password, or the password 'infected' with the classic zip encryption."
            return Packed(name, None, f"{name} is encrypted with a password that is not known here.", remedy)
        reason = printable(f"{name} cannot be unpacked ({error}).")
        return Packed(name, None, reason, ORDINARY)
