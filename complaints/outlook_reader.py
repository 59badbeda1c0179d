"""The child process that opens what Outlook made: .msg files ([MS-OXMSG]), winmail.dat (TNEF, [MS-OXTNEF]).

Takes the file on stdin; leaves on stdout, for each message or file in it, a line of JSON and then its bytes:
`{"name": TEXT, "size": BYTES, "remade": true | false, "without": [...]}`. `remade` is a message put together
again, `without` says what of it is not there: "header" or "body". A last line `{"ended": true}` tells that
all was read. `outlook.py` runs it.
"""

import codecs
import importlib
import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from struct import iter_unpack
from typing import Any

from complaints.confined import close_the_door, limit_space
from complaints.encodings import decode_text, printable
from complaints.remake import File, remake
from complaints.rtf import CHARSETS, read_rtf

SECONDS = 1.0
"""Processor time for one file, once the libraries are loaded."""
MOST_MEMORY = 256 << 20
"""Bytes of address space; the largest file takes ten times its size."""
MOST_OUTPUT = 32 << 20
MSG, TNEF = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x78\x9f\x3e\x22"
"""How the files of the two kinds begin."""
LIBRARIES = {"msg": ("olefile", "compressed_rtf"), "tnef": ("tnefparse", "compressed_rtf")}
"""Modules by extra."""
_MOST_FILES = 100
_DEEPEST = 2
"""Messages attached to messages that are opened."""
_RTF_SECONDS = 0.5
"""Processor time for a text in RTF: without it the rest of the message is still there."""
# Properties ([MS-OXPROPS]): PidTagTransportMessageHeaders, PidTagBody, PidTagHtml, PidTagInternetCodepage,
# PidTagMessageCodepage; of attachments PidTagAttachDataBinary, -LongFilename, -Filename, -MimeTag.
# PidTagRtfCompressed, PidTagSubject, PidTagSenderName.
_HEADERS, _BODY, _HTML, _INTERNET_CODEPAGE, _CODEPAGE = "007D", "1000", "1013", 0x3FDE, 0x3FFD
_RTF, _SUBJECT, _SENDER = "1009", "0037", "0C1A"
_DATA, _LONG_NAME, _NAME, _MIME = "3701", "3707", "3704", "370E"
_FEW = (("From", _SENDER), ("Subject", _SUBJECT))
_MIME_OF_TNEF = 0x370E
_CODEPAGES = {n: f"iso-8859-{n - 28590}" for n in (*range(28591, 28602), *range(28603, 28606))} | {
    20127: "us-ascii",
    20866: "koi8-r",
    21866: "koi8-u",
    50220: "iso-2022-jp",
    51932: "euc-jp",
    51949: "euc-kr",
    54936: "gb18030",
    936: "gb18030",
    950: "big5",
    932: "shift_jis",
    65001: "utf-8",
}
_CHARSETS = (
    *("utf-16-le", "utf-7", *_CODEPAGES.values()),
    *set(CHARSETS.values()),
    *(f"cp{n}" for n in (437, 850, 852, 866, 874, 932, 949, 950, *range(1250, 1259))),
)


@dataclass(slots=True)
class Outlook:
    """A message as Outlook keeps it: the texts of its properties, and its attachments."""

    headers: str = ""
    text: str = ""
    html: str = ""
    files: list[File] = field(default_factory=list)


def main() -> None:
    """Read the file on stdin and give out what is in it."""
    limit_space(MOST_MEMORY, MOST_OUTPUT)
    raw = sys.stdin.buffer.read()
    for name in LIBRARIES["msg" if raw.startswith(MSG) else "tnef"]:
        importlib.import_module(name)
    for charset in _CHARSETS:  # no codec can be loaded any more once the door is shut
        codecs.lookup(charset)
    close_the_door(SECONDS)
    with suppress(Exception):  # libraries raise what they like; what was given out until then counts
        for line, content in read(raw):
            _say(line, content)
        _say({"ended": True})


def prepare() -> None:
    """Load all libraries that are there, for children that are forked after it."""
    for name in (name for names in LIBRARIES.values() for name in names):
        with suppress(ImportError):
            importlib.import_module(name)
    for charset in _CHARSETS:
        codecs.lookup(charset)


def _say(line: dict[str, Any], content: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n" + content)
    sys.stdout.buffer.flush()


def read(raw: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield what a file of Outlook's holds: of a .msg the one message, of a winmail.dat its attachments.

    Raises whatever the library raises on damaged files.
    """
    if raw.startswith(MSG):
        yield _message(_read_msg(raw), "")
        return
    import tnefparse  # noqa: PLC0415 - an extra

    for one in tnefparse.TNEF(raw, do_checksum=False).attachments[:_MOST_FILES]:
        name = printable(str(one.long_filename()))[:200]
        if hasattr(one, "embed"):
            yield _message(_of_tnef(one.embed), name)
        elif one.data:
            yield {"name": name, "size": len(one.data), "remade": False, "without": []}, one.data


def _message(found: Outlook, name: str) -> tuple[dict[str, Any], bytes]:
    content, without = remake(found.headers, found.text, found.html, found.files)
    return {"name": name, "size": len(content), "remade": True, "without": without}, content


def _of_tnef(read_one: Any) -> Outlook:
    from tnefparse import properties  # noqa: PLC0415 - an extra

    headers = properties.MAPI_TRANSPORT_MESSAGE_HEADERS
    texts = {one.name: one.data for one in read_one.mapiprops if one.name == headers}
    text, html = _text(read_one.body), _text(read_one.htmlbody)
    if not (text.strip() or html.strip()):
        html, text = _of_rtf(lambda: read_one.rtfbody or b"")
    return Outlook(
        _text(texts.get(headers)),
        text,
        html,
        [
            File(printable(str(one.long_filename())), _kind(one), one.data)
            for one in read_one.attachments[:_MOST_FILES]
            if one.data and not hasattr(one, "embed")
        ],
    )


def _kind(attachment: Any) -> str:
    return next((str(one.data) for one in attachment.mapi_attrs if one.name == _MIME_OF_TNEF), "")


def _text(value: Any) -> str:
    return decode_text(value, None) if isinstance(value, bytes) else str(value or "")


def _read_msg(raw: bytes) -> Outlook:
    import olefile  # noqa: PLC0415 - an extra

    with olefile.OleFileIO(io.BytesIO(raw)) as file:
        every = ["/".join(path) for path in file.listdir(storages=True)]
        return _storage(file, "", every, None, 0)


def _storage(file: Any, within: str, every: list[str], outer: str | None, depth: int) -> Outlook:
    """Read a message: the file itself, or one that is attached in it ([MS-OXMSG] 2.2.2.1)."""
    import compressed_rtf  # noqa: PLC0415 - an extra

    pages = _codepages(_stream(file, f"{within}__properties_version1.0"), 24 if within else 32)
    strings = _codepage(pages.get(_CODEPAGE) or pages.get(_INTERNET_CODEPAGE)) or outer
    html = _stream(file, f"{within}__substg1.0_{_HTML}0102")
    found = Outlook(
        _string(file, within, _HEADERS, strings),
        _string(file, within, _BODY, strings),
        decode_text(html, _codepage(pages.get(_INTERNET_CODEPAGE)))
        if html
        else _string(file, within, _HTML, strings),
    )
    rtf = _stream(file, f"{within}__substg1.0_{_RTF}0102")
    if rtf and not (found.text.strip() or found.html.strip()):
        found.html, found.text = _of_rtf(lambda: compressed_rtf.decompress(rtf))
    start = f"{within}__attach_version1.0_#"
    places = sorted(one for one in every if one.startswith(start) and "/" not in one[len(start) :])
    for place in places[:_MOST_FILES]:
        if attached := _attached(file, f"{place}/", every, strings, depth):
            found.files.append(attached)
    return found


def _attached(file: Any, place: str, every: list[str], strings: str | None, depth: int) -> File | None:
    name = _string(file, place, _LONG_NAME, strings) or _string(file, place, _NAME, strings)
    if content := _stream(file, f"{place}__substg1.0_{_DATA}0102"):
        return File(printable(name), _string(file, place, _MIME, strings), content)
    inner = f"{place}__substg1.0_{_DATA}000D"
    if inner not in every or depth >= _DEEPEST:
        return None
    one = _storage(file, f"{inner}/", every, strings, depth + 1)
    headers = one.headers or _few_headers(file, f"{inner}/", strings)
    content, _ = remake(headers, one.text, one.html, one.files)
    return File(printable(name), "message/rfc822", content)


def _few_headers(file: Any, within: str, strings: str | None) -> str:
    """Of a message that did not come over the internet: who wrote it about what."""
    told = ((name, _string(file, within, number, strings)) for name, number in _FEW)
    return "".join(f"{name}: {' '.join(printable(text).split())}\r\n" for name, text in told)


def _of_rtf(unpack: Callable[[], bytes]) -> tuple[str, str]:
    """(HTML, text) of a body in compressed RTF ([MS-OXRTFCP]); nothing of one that takes too long."""

    def over(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, _RTF_SECONDS)
    try:
        return read_rtf(unpack())
    except Exception:  # noqa: BLE001 - a library raises what it likes, and the time may be over
        return "", ""
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _codepages(properties: bytes, head: int) -> dict[int, int]:
    """Read the numbers among the properties of fixed length: they begin at `head` ([MS-OXMSG] 2.4.1)."""
    entries = properties[head : head + max(0, len(properties) - head) // 16 * 16]
    return {number: value for kind, number, _, value, _ in iter_unpack("<HHIII", entries) if kind == 3}


def _codepage(number: int | None) -> str | None:
    name = _CODEPAGES.get(number, f"cp{number}") if number else None
    return name if name in _CHARSETS else None


def _string(file: Any, place: str, number: str, codepage: str | None) -> str:
    if wide := _stream(file, f"{place}__substg1.0_{number}001F"):
        return wide.decode("utf-16-le", "replace").rstrip("\0")
    return decode_text(_stream(file, f"{place}__substg1.0_{number}001E"), codepage).rstrip("\0")


def _stream(file: Any, path: str) -> bytes:
    if not file.exists(path):
        return b""
    content: bytes = file.openstream(path).read()
    return content


if __name__ == "__main__":
    main()
