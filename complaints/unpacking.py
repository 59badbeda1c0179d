"""Opening an archive in the child process: what a reader of the mail would find in it.

Takes a zip, gzip or tar file of a stranger's; leaves the files inside, and where the links of an office
document lead, within fixed bounds of number and size. Raises what the standard library raises on damage.
"""

import io
import re
import tarfile
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from html import unescape

MOST_MEMBERS = 60
"""Files looked at in one archive."""
LARGEST_MEMBER = 4 << 20
"""Bytes of one file."""
_MOST_ENTRIES = 5_000
_BOUNDED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# Where a document leads (ECMA-376 part 2 §9.3); what else stands in it are names of its own format.
_OFFICE = "[Content_Types].xml"
_LEADS_TO = re.compile(rb"<(?:\w{1,20}:)?Relationship\s([^<>]{1,8000})>")
_TARGET = re.compile(rb"\sTarget\s*=\s*\"([^\"]{4,4000})\"")


def is_archive(head: bytes) -> bool:
    """Tell a zip, gzip or tar file by how it begins."""
    return head.startswith((b"PK\x03\x04", b"\x1f\x8b\x08")) or head[257:262] == b"ustar"


def members(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Iterate the files of an archive, each with its name; an office document gives a text of its links."""
    if content.startswith(b"PK"):
        yield from _of_zip(content)
        return
    ended = True
    if content.startswith(b"\x1f\x8b"):
        engine = zlib.decompressobj(wbits=31)
        content, ended = engine.decompress(content, LARGEST_MEMBER), engine.eof
    if content[257:262] == b"ustar":
        yield from _of_tar(content)
    else:
        yield "", content
    if not ended:
        raise ValueError("cut, or too large")


def rehearse() -> None:
    """Read archives of our own, so that all is loaded that is loaded at the first use."""
    packed, taped = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"a")
    with tarfile.open(fileobj=taped, mode="w") as tape:
        tape.addfile(tarfile.TarInfo("a"))
    for archived in (packed, taped):
        deque(members(archived.getvalue()), 0)


def _of_zip(content: bytes) -> Iterator[tuple[str, bytes]]:
    if content.count(b"PK\x01\x02") > _MOST_ENTRIES:
        raise ValueError("more files than are looked at")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        office = any(entry.filename == _OFFICE for entry in entries)
        if office:
            entries = [entry for entry in entries if entry.filename.endswith(".rels")]
        readable = [entry for entry in entries[:MOST_MEMBERS] if _is_readable(entry)]
        for entry in readable:
            with archive.open(entry) as stream:
                inner = stream.read(LARGEST_MEMBER)
            yield ("links.txt", b"\n".join(_targets(inner))) if office else (entry.filename, inner)
        if len(readable) < len(entries):
            raise ValueError("files that are locked, too large, or packed in an unusual way")


def _is_readable(entry: zipfile.ZipInfo) -> bool:
    size = max(entry.file_size, entry.compress_size)
    return entry.compress_type in _BOUNDED and size <= LARGEST_MEMBER and not entry.flag_bits & 1


def _targets(relations: bytes) -> Iterator[bytes]:
    for relation in _LEADS_TO.finditer(relations):
        target = _TARGET.search(b" " + relation[1])
        if target and b'TargetMode="External"' in relation[1]:
            yield unescape(target[1].decode("utf-8", "replace")).encode()


def _of_tar(content: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for number, entry in enumerate(archive):
            if number >= MOST_MEMBERS:
                return
            if entry.isfile() and entry.size <= LARGEST_MEMBER and (stream := archive.extractfile(entry)):
                yield entry.name, stream.read(LARGEST_MEMBER)
