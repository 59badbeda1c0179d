"""Mails that lie in a file, a folder or a stream: takes its name, leaves its mails one after the other.

No more than one mail is held, and one that is larger than may be taken is passed over, not held.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from complaints.mbox import HEAD, Piece, go_on, is_mbox, pieces
from complaints.mbox_marks import BLANK
from complaints.outcomes import Outcome, of_size

UNUSABLE = 65
MAIL_SUFFIXES = frozenset({".eml", ".msg", ".zip", ".gz"})
MBOX_SUFFIXES = frozenset({".mbox", ".mbx"})
"""What is taken of a folder besides names that are numbers, as in MH, and what lies in a Maildir."""
NOTHING = Outcome("empty", "There is nothing to read.", "Give a whole message with its header.")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, or `why` there is none.

    `file` and `index` name it for a person; `index` is None where it may be an archive of several. `name` is
    that of its file. `key` and `mark` are what a checkpoint keeps once it is done; `share` of all is then
    read.
    """

    file: str
    index: int | None
    raw: bytes | None
    why: Outcome | None = None
    name: str = ""
    key: str = ""
    mark: str = ""
    share: float | None = None


class Kept(Protocol):
    """What a checkpoint knows of a source."""

    def get(self, key: str) -> str | None:
        """The mark under a key; None where there is none."""


class NothingKept:
    """A checkpoint of nothing."""

    def get(self, key: str) -> None:
        """Nothing is done."""


class SourceError(Exception):
    """A source cannot be read; the message says which and why, `code` is the exit code of the contract."""

    def __init__(self, message: str, code: int = UNUSABLE) -> None:
        super().__init__(message)
        self.code = code


def mails_at(name: str, most: int, kept: Kept) -> Iterator[Mail]:
    """The mails of an mbox, a Maildir, a folder, or a FILE as `plaint submit` takes it, but what is kept.

    `most` is the bytes of a mail that is taken. Raises SourceError.
    """
    path = Path(name)
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            yield from _folder(path, most, kept)
        elif _holds_mbox(path):
            yield from _mbox(path, "", most, kept)
        else:
            yield _file(path, "", most, 1.0)
    except OSError as error:
        raise SourceError(f"{error.filename or name}: {error.strerror}") from error


def mails_from(stream: BinaryIO, most: int) -> Iterator[Mail]:
    """The mails of standard input: those of an mbox, or else the one mail it is."""
    if is_mbox(head := _front(stream)):
        yield from (_of_mbox(piece, "-", most) for piece in pieces(stream, most, head=head))
    else:
        yield _whole("-", head + stream.read(max(0, most + 1 - len(head))), most)


def _front(stream: BinaryIO) -> bytes:
    """As many lines as tell an mbox, and no more: whoever writes them may wait for us."""
    head = line = stream.readline(HEAD)
    while line in BLANK or line.startswith(b"From "):
        line = stream.readline(HEAD) if len(head) < HEAD else b""
        head += line
    return head


def _folder(root: Path, most: int, kept: Kept) -> Iterator[Mail]:
    names = [(path, key) for path in _names(root) if _is_due(path, key := _key(root, path), kept)]
    for number, (path, key) in enumerate(names, 1):
        share = number / len(names)
        try:
            if _holds_mbox(path):
                yield from _mbox(path, key, most, kept)
            else:
                yield _file(path, key, most, share)
        except OSError as error:  # gone or moved meanwhile, as mails in a Maildir are
            yield Mail(str(path), 0, None, _unreadable(error), share=share)


def _unreadable(error: OSError) -> Outcome:
    return Outcome("unreadable", f"It cannot be read: {error.strerror}.", "Look whether it is still there.")


def _is_due(path: Path, key: str, kept: Kept) -> bool:
    # Of an mbox, whatever its name, the mark says how far it was read.
    return path.suffix.lower() in MBOX_SUFFIXES or kept.get(key) != ""


def _names(root: Path) -> Iterator[Path]:
    """The mails below a folder in the order of their names; those of a Maildir lie in `new` and `cur`."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        where = Path(folder)
        if {"new", "cur"} <= set(folders):
            folders[:] = [one for one in folders if one not in {"new", "cur", "tmp"}]
            for part in (where / "new", where / "cur"):
                yield from (one for one in sorted(part.iterdir()) if not one.name.startswith("."))
        yield from (where / one for one in sorted(names) if _is_mail(where / one))


def _is_mail(path: Path) -> bool:
    named = path.suffix.lower() in MAIL_SUFFIXES | MBOX_SUFFIXES or path.name.isdecimal()
    return named and path.is_file()


def _key(root: Path, path: Path) -> str:
    """What a mail is known by: in a Maildir without folder and flags, which change when it is read."""
    if path.parent.name in {"new", "cur"}:
        return f"{path.parent.parent.relative_to(root)}/{path.name.partition(':')[0]}"
    return str(path.relative_to(root))


def _file(path: Path, key: str, most: int, share: float) -> Mail:
    size = path.stat().st_size
    if size > most:
        return Mail(str(path), 0, None, of_size(size, most), key=key, share=share)
    with path.open("rb") as stream:
        return _whole(str(path), stream.read(most + 1), most, path.name, key, share)


def _whole(
    file: str, raw: bytes, most: int, name: str = "", key: str = "", share: float | None = None
) -> Mail:
    if not raw.strip():
        return Mail(file, 0, None, NOTHING, key=key, share=share)
    if len(raw) > most:
        return Mail(file, 0, None, of_size(len(raw), most), key=key, share=share)
    return Mail(file, None, raw, name=name, key=key, share=share)


def _holds_mbox(path: Path) -> bool:
    with path.open("rb") as stream:
        return is_mbox(stream.read(HEAD))


def _mbox(path: Path, key: str, most: int, kept: Kept) -> Iterator[Mail]:
    total = path.stat().st_size
    with path.open("rb") as stream:
        start, index = go_on(stream, kept.get(key))
        stream.seek(start)
        for piece in pieces(stream, most, at=start, index=index):
            yield _of_mbox(piece, str(path), most, key, piece.end / total)


def _of_mbox(piece: Piece, file: str, most: int, key: str = "", share: float | None = None) -> Mail:
    why = of_size(piece.size, most) if piece.raw is None else None if piece.raw.strip() else NOTHING
    raw = None if why else piece.raw
    return Mail(file, piece.index, raw, why, key=key, mark=piece.mark(), share=share)
