"""Files in which a text stands packed, by what they are: nothing in them can be changed without breaking them."""

import base64
import bz2
import gzip
import io
import lzma
import random
import zipfile
import zlib
from collections.abc import Callable

_PICTURE = b"\x89PNG\r\n\x1a\n"


def zipped(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip that holds one page."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo("a.html"), content, method)
    return packed.getvalue()


def pdf(content: bytes) -> bytes:
    """A file with one page, which is this stream."""
    head = b"%%PDF-1.4\n1 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\r\n"
    stream = zlib.compress(content)
    return head % len(stream) + stream + b"\nendstream\nendobj\n"


def pdf_in_letters(content: bytes) -> bytes:
    """The same as ReportLab writes it: what is packed is ASCII85."""
    head = (
        b"%%PDF-1.4\n%%\x93\x8c\n1 0 obj\n<< /Filter [ /ASCII85Decode /FlateDecode ] /Length %d >>\nstream\n"
    )
    stream = base64.a85encode(zlib.compress(content), wrapcol=72) + b"~>"
    return head % len(stream) + stream + b"endstream\nendobj\n"


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "gzip in a zip": lambda text: zipped(gzip.compress(text, mtime=0)),
    "stored in a zip": lambda text: zipped(text, zipfile.ZIP_STORED),
    "zip behind a picture": lambda text: _PICTURE + bytes(range(256)) + zipped(text),
    "zip without its directory": lambda text: zipped(text)[:-60],
    "gzip cut short": lambda text: gzip.compress(text + random.Random(2).randbytes(9_000), mtime=0)[:-4_000],
    "behind a damaged archive": lambda text: b"\x1f\x8b\x08 no archive" + gzip.compress(text, mtime=0),
    "stream of a PDF file": lambda text: pdf(b"BT (" + text + b") Tj ET"),
    "ASCII85 in a PDF file": lambda text: pdf_in_letters(b"BT (" + text + b") Tj ET"),
    "kerned line of a PDF file": lambda text: pdf(b"BT [(" + text[:8] + b")-20 (" + text[8:] + b")] TJ ET"),
    "wide letters of a PDF file": lambda text: pdf(
        b"BT (\xfe\xff" + text.decode().encode("utf-16-be") + b") Tj ET"
    ),
    "PDF file in a zip in bzip2": lambda text: bz2.compress(zipped(pdf(b"(" + text + b") Tj"))),
    "text in a picture": lambda text: _PICTURE + b"\0\0\0\x09zTXtComment\0\0" + zlib.compress(text),
}
"""Each takes what is to be said in it."""
