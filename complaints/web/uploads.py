"""The body of a request as files: takes what a client sends, leaves `Upload`s that lie in a sealed spool.

However large a body is, a few blocks of it are in memory (`spool.Spool`). A raw body is one FILE; a form has
as many as it has files.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from complaints import outcomes, tokens
from complaints.fields import one_line
from complaints.mbox import HEAD, is_mbox
from complaints.office import Office
from complaints.spool import BLOCK, NoRoomError, Part, Spool
from complaints.web.problems import Problem

MOST_FILES = 100
MOST_FIELDS = 20
FIELD_BYTES = 1_048_576  # of one field of a form that is no multipart/form-data
LONGEST_NAME = 200
SOON = 60  # seconds after which a disk that was full may have room again
Fields = dict[str, str]
Allowed = Callable[[Fields], bool]
"""Tells by the fields that came before whether more than one submission's octets may follow."""


@dataclass(frozen=True)
class Upload:
    """One FILE: its octets in their spool, and the name its owner gave it."""

    octets: Part
    filename: str
    pasted: bool = False

    @property
    def size(self) -> int:
        """How many octets it has."""
        return self.octets.size

    @property
    def is_mbox(self) -> bool:
        """Whether it is a mailbox, of whatever size, by its first octets."""
        return not self.pasted and is_mbox(self.octets.slice(0, HEAD))

    def raw(self) -> bytes:
        """All of it, for one that is known to be small."""
        return self.octets.slice(0, self.size)

    def digest(self) -> str:
        """As `tokens.digest` of all of it, in constant memory."""
        return tokens.digest_of(self.octets.slice(at, at + BLOCK) for at in range(0, self.size, BLOCK))


@dataclass(frozen=True)
class Form:
    """What a form held: its text fields by name, and its files in order."""

    fields: Fields
    uploads: list[Upload]
    spool: Spool

    def pasted(self, text: str) -> Upload:
        """A message pasted into a text field, kept as it came: it is repaired when it is read."""
        start = self.spool.size
        self.spool.write(text.encode("utf-8", "replace"))
        return Upload(Part(self.spool, start, self.spool.size), "", pasted=True)


def anybody(_: Fields) -> bool:
    """Tell that whoever sends is known already."""
    return True


async def read_body(request: Request, office: Office, filename: str, *, pasted: bool) -> Upload:
    """Read a raw body. Raises Problem: 413 for more than a submission may have, but for a mailbox; 503."""
    spool, most = Spool(office.settings.data), office.settings.max_bytes

    def keep(data: bytes) -> None:
        spool.write(data)
        if spool.size > most and (pasted or not is_mbox(spool.slice(0, HEAD))):
            raise larger(most)

    await _read(request, keep)
    return Upload(Part(spool, 0, spool.size), _name(filename), pasted=pasted)


async def read_form(request: Request, office: Office, allowed: Allowed = anybody) -> Form:
    """Read multipart/form-data (RFC 7578); a file field left empty holds no file.

    Raises Problem: 400 for what is no form, 413 for a file of more than a submission may have unless it is
    a mailbox, or for so much from somebody not `allowed` it, and 503 for want of room.
    """
    spool = Spool(office.settings.data)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        return Form(await _plain_fields(request), [], spool)
    if not (boundary := options.get(b"boundary")):
        raise _no_form("Missing boundary in multipart.")
    parts = _Parts(spool, office.settings.max_bytes, allowed)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        await _read(request, parser.write)
        parser.finalize()
    except FormParserError as error:
        raise _no_form("The multipart data cannot be read.") from error
    return Form(parts.fields(), parts.uploads(), spool)


async def _read(request: Request, keep: Callable[[bytes], Any]) -> None:
    """Give a body on, about a block at a time, to what writes it to the disk."""
    waiting = bytearray()
    try:
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= BLOCK:
                await run_in_threadpool(keep, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(keep, bytes(waiting))
    except NoRoomError as error:
        raise Problem(
            503,
            "Too much at a time",
            "There is no room for so much right now; nothing of it was kept.",
            "Send it again in a minute, or less at a time.",
            headers={"Retry-After": str(SOON)},
        ) from error


async def _plain_fields(request: Request) -> Fields:
    async with request.form(max_fields=MOST_FIELDS, max_part_size=FIELD_BYTES) as form:
        return {name: value for name, value in form.multi_items() if not isinstance(value, UploadFile)}


@dataclass
class _Part:
    """A part of a form as it comes in."""

    start: int
    end: int = 0
    name: str = ""
    filename: str | None = None


class _Parts:
    """The parts of a form: their octets go into the spool one after the other."""

    def __init__(self, spool: Spool, most: int, allowed: Allowed) -> None:
        self._spool, self._most, self._allowed = spool, most, allowed
        self._parts: list[_Part] = []
        self._header, self._value = b"", b""
        self._large, self._in_fields = False, 0

    def callbacks(self) -> Any:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content,
            "on_part_data": self._add_content,
            "on_part_end": self._end,
        }

    def fields(self) -> Fields:
        """The text fields by name, as far as they are complete."""
        found = (one for one in self._parts if one.filename is None and one.end)
        return {one.name: _text(self._spool.slice(one.start, one.end)) for one in found}

    def uploads(self) -> list[Upload]:
        """The files that have a name or something in them."""
        files = (one for one in self._parts if one.filename is not None)
        found = [one for one in files if one.filename or one.end > one.start]
        return [Upload(Part(self._spool, one.start, one.end), _name(one.filename or "")) for one in found]

    def _begin(self) -> None:
        self._parts.append(_Part(self._spool.size))

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            part = self._parts[-1]
            part.name = _text(options.get(b"name", b""))
            part.filename = _text(options[b"filename"]) if b"filename" in options else None
        self._header = self._value = b""

    def _begin_content(self) -> None:
        if not self._parts[-1].name:
            raise _no_form('The Content-Disposition header field "name" must be provided.')
        files = sum(one.filename is not None for one in self._parts)
        if files > MOST_FILES:
            raise _no_form(f"Too many files. Maximum number of files is {MOST_FILES}.")
        if len(self._parts) - files > MOST_FIELDS:
            raise _no_form(f"Too many fields. Maximum number of fields is {MOST_FIELDS}.")

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        part, spool = self._parts[-1], self._spool
        spool.write(memoryview(data)[start:end])
        size = spool.size - part.start
        if part.filename is None:
            size += self._in_fields  # they are held in memory, all together
        elif size > self._most and is_mbox(spool.slice(part.start, part.start + HEAD)):
            size = 0
        if size > self._most:
            raise larger(self._most)
        if spool.size > self._most and not self._large:
            self._large = self._allowed(self.fields())
            if not self._large:
                raise larger(self._most)

    def _end(self) -> None:
        part = self._parts[-1]
        part.end = self._spool.size
        self._in_fields += part.end - part.start if part.filename is None else 0


def larger(most: int) -> Problem:
    """The refusal of a FILE, or a request, of more octets than are taken."""
    detail = f"It is larger than the {most:,} bytes that are taken of anything but a mailbox."
    return Problem(413, "Too large", detail, outcomes.LESS)


def _no_form(detail: str) -> Problem:
    return Problem(400, "The request cannot be read", detail, "Correct it and send it again.")


def _name(filename: str) -> str:
    """A FILE's name, which may be anything."""
    return one_line(filename)[:LONGEST_NAME]


def _text(octets: bytes) -> str:
    with suppress(UnicodeDecodeError):
        return octets.decode()
    return octets.decode("latin-1")
