"""Looking into archives: takes the bytes of an attachment, leaves its members' bytes, within limits."""

import io
import lzma
import zipfile
import zlib

MAX_MEMBERS = 200
MAX_BYTES = 32 * 1024 * 1024
"""Decompressed bytes looked at per archive; a bomb is looked at no further."""


def members(content: bytes) -> list[bytes] | None:
    """Return what a zip or gzip holds, names and contents; None when it is neither. Raises on no content."""
    if content.startswith(b"\x1f\x8b"):
        return [_inflated(content)]
    if content.startswith(b"PK\x03\x04"):
        return _zipped(content)
    return None


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(content, MAX_BYTES)
    except zlib.error:
        # Damaged from the start: nobody can read anything in it.
        return b""


def _zipped(content: bytes) -> list[bytes]:
    found, left = [], MAX_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist()[:MAX_MEMBERS]:
                with archive.open(member) as opened:
                    data = opened.read(left)
                found += [member.filename.encode("utf-8", "replace"), data]
                left -= len(data)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        RuntimeError,
        NotImplementedError,
        EOFError,
        OSError,
        ValueError,
    ):
        # Damaged, encrypted (RuntimeError) or packed by an unknown method: what was read until here is all
        # there is.
        return found
    return found
