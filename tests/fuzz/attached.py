"""Targets that check signatures and open PDF files, pictures and files of Outlook's, where their extras are installed."""

import base64
import io
import logging
import signal
import tarfile
import zipfile
import zlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from unittest.mock import patch

import dkim

from complaints import attachments, decoders, outlook, outlook_reader, unpacking
from complaints.attachments import is_installed
from complaints.links import links
from complaints.message import parse
from complaints.remake import File, remake
from complaints.signatures import MOST_SIGNATURES, key_names, verify
from complaints.signing import dns_record, make_key, sign
from tests.fuzz import seeds
from tests.fuzz.target import Target, host, printable
from tests.outlook_files import BODY, CODEPAGE, DATA, HEADERS, HTML, LONG_NAME, Properties, msg, tnef

# What is broken off in the midst of logging never gives a handler's lock back.
logging.getLogger("tnefparse").disabled = True

_PEM = make_key()
_RESULTS = {
    "pass",
    "fail",
    "neutral",
    "policy",
    "none",
    "temperror",
    "permerror",
    "not checkable",
    "not checked",
}


class OneKey(Mapping[str, Sequence[str] | None]):
    """A DNS in which each name has the same key."""

    records = (dns_record(_PEM),)

    def __getitem__(self, name: str) -> Sequence[str]:
        return self.records

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class OddKeys(OneKey):
    """A DNS whose record stands in the input: between the first two line ends."""

    def __init__(self, record: bytes) -> None:
        self.records = (record.decode("utf-8", "replace"),)


def check_signatures(data: bytes) -> Hashable:
    message = parse(data)
    names = key_names(message)
    assert len(names) <= MOST_SIGNATURES
    for name in names:
        host(name)
    found = verify(message, OneKey())
    odd = verify(message, OddKeys(data[:200].partition(b"\n")[0]))
    for signature in (*found, *odd):
        assert signature.result in _RESULTS, signature.result
        printable(signature.why, signature.domain, signature.selector)
        assert not signature.candidate or signature.result == "pass"
    if any(signature.candidate for signature in found):
        assert _fits_for_dkimpy(data), "a signature fits that fits for nobody else"
    return tuple(sorted({(signature.result, signature.why[:20]) for signature in found}))


def _fits_for_dkimpy(raw: bytes) -> bool:
    record = OneKey.records[0].encode()
    message = parse(raw)
    lines = b"\r\n".join(raw[message.headers[0].start :].replace(b"\r\n", b"\n").split(b"\n"))
    count = len(message.fields("dkim-signature"))
    for index in range(count):
        try:
            if dkim.DKIM(lines, minkey=512).verify(index, dnsfunc=lambda *_, **__: record):
                return True
        except (dkim.DKIMException, ValueError, IndexError):
            continue
    return False


def check_decoders(data: bytes) -> Hashable:
    """What the child does with a file: the decoders may raise; what they give are texts."""
    kinds = []
    for _, step in decoders._steps({"pdf", "image"}):
        try:
            # How long a large picture may take is decided by the limits of the child, not here.
            with patch.object(decoders, "MOST_PIXELS", 40_000):
                given = list(step(data))
        except Exception as error:  # noqa: BLE001 - foreign decoders raise what they like, and the child goes on
            kinds.append(type(error).__name__)
            continue
        assert {type(text) for text, _ in given} <= {str}
        assert {place for _, place in given} <= {"pdf", "qr"}
        kinds.append(str(min(len(given), 3)))
    return tuple(kinds)


def check_unpacking(data: bytes) -> Hashable:
    """What the child takes out of an archive: files with their names, within the bounds."""
    try:
        given = list(unpacking.members(data))
    except Exception as error:  # noqa: BLE001 - zipfile and tarfile raise what they like, and the child goes on
        return type(error).__name__
    assert len(given) <= unpacking.MOST_MEMBERS
    assert all(len(content) <= unpacking.LARGEST_MEMBER for _, content in given)
    links(parse(b"\n"), (), given)
    return min(len(given), 3)


def check_attached(data: bytes) -> Hashable:
    """What we do around the child: finding files, hearing what it says."""
    files = list(attachments._files(parse(data)))
    assert all(kind in attachments.MOST_FILES for kind, _ in files)
    heard = attachments._heard(data)
    printable(*heard.notes)
    assert {type(text) for text, _ in heard.references} <= {str}
    return (tuple(sorted({kind for kind, _ in files})), min(len(heard.references), 3), len(heard.notes))


def check_outlook(data: bytes) -> Hashable:
    """What the child makes of a .msg or winmail.dat: the libraries may raise; what it gives are messages and files."""
    kinds: list[Hashable] = []
    signal.signal(signal.SIGPROF, _too_long)  # in the child the same clock ends everything
    signal.setitimer(signal.ITIMER_PROF, 0.2)
    try:
        for line, content in outlook_reader.read(data):
            assert line["size"] == len(content)
            printable(line["name"])
            assert not line["remade"] or "header" in line["without"] or parse(content).headers
            kinds.append((line["remade"], *line["without"]))
    except Exception as error:  # noqa: BLE001 - the libraries raise what they like, and the child ends
        kinds.append(type(error).__name__)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return tuple(kinds[:3])


def _too_long(*_: object) -> None:
    raise TimeoutError


def check_remade(data: bytes) -> Hashable:
    """What is put together has the header lines that were kept, and no others; what the child says is heard."""
    text = data.decode("utf-8", "replace")
    content, without = remake(text, text[:100], text[-100:], [File(text[:30], text[:20], data)])
    assert (content, without) == remake(text, text[:100], text[-100:], [File(text[:30], text[:20], data)])
    kept = parse(content)
    assert "header" in without or content[kept.headers[-1].end :].startswith(b"\r\n"), (
        "the body reaches into it"
    )
    found, ended = outlook._heard(data, "x")
    printable(*(one.name for one in found))
    return (min(len(kept.headers), 4), len(kept.parts) > 1, *without, len(found), ended)


def _pdf() -> bytes:
    stream = zlib.compress(b"BT /F1 12 Tf (see http://a.example/) Tj ET")
    return (
        b"%%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/URI/URI(http://b.example/)>>>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents "
        b"4 0 R/Annots[<</Subtype/Link/A<</S/URI/URI(http://c.example/)>>>>]>>endobj\n4 0 obj<</Filter/FlateDecode/Length "
        b"%d>>stream\n%s\nendstream endobj\ntrailer<</Root 1 0 R/Size 5>>\n%%%%EOF\n" % (len(stream), stream)
    )


def _png() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
        )

    rows = b"".join(b"\0" + bytes((n * 37) & 255 for n in range(30)) for _ in range(30))
    size = (30).to_bytes(4, "big") * 2
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", size + b"\x08\0\0\0\0"), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    )


_GIF = b"GIF89a\x20\0\x20\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x20\0\x20\0\0\x02\x03\x84\x8f\x05\0;"
_PLAIN = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\nDate: Tue, 24 Nov 2026 01:02:03 +0000\r\n\r\nhello  \r\n\r\n"
_SIGNED = sign(_PLAIN, selector="s", domain="b.example", pem=_PEM) + _PLAIN
_CANNED = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=simple/relaxed; d=b.example; s=s; l=3; t=1; x=9; i=@b.example;\r\n"
    b" h=from:to:from; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=QUFB\r\n" + _PLAIN
)
_TAGS = (
    b"l=",
    b"c=relaxed/simple",
    b"h=from",
    b"bh=",
    b"b=",
    b"; ",
    b"v=1",
    b"k=ed25519",
    b"p=",
    b"x=99",
    b"DKIM-Signature: ",
)


def _archive(mode: str) -> bytes:
    out = io.BytesIO()
    if mode == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("[Content_Types].xml", "<x/>")
            archive.writestr("a.rels", '<Relationship Target="http://a.example/" TargetMode="External"/>')
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as tape:
            entry = tarfile.TarInfo("a.html")
            entry.size = 40
            tape.addfile(entry, io.BytesIO(b"<a href=http://a.example/>x</a>".ljust(40)))
    return out.getvalue()


_SAID = b'{"found": "http://a.example", "in": "pdf"}\n{"unread": 1}\n{"ended": true}\n'
_LINES = "Received: from a ([192.0.2.1]) by c.example; x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
_KEPT: Properties = {HEADERS: _LINES, BODY: "hello", HTML: b"<p>", CODEPAGE: 1252}
_OUTLOOK = (msg(_KEPT, {LONG_NAME: "a.txt", DATA: b"x" * 99}), tnef(_KEPT, ("a.eml", _PLAIN)))
_TOLD = b'{"name": "a", "size": 3, "remade": true, "without": ["body"]}\nabc{"ended": true}\n'
_MAIL = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n%s\n--b--\n"
TARGETS = (
    Target("signatures", check_signatures, (_SIGNED, _CANNED), seeds.messages, longest=20_000, seconds=0.4, words=_TAGS),
    Target("attached", check_attached, (_SAID, _MAIL % base64.b64encode(_png()), b"Content-Type: text/html\n\n<img src='data:image/png;base64,iVBORw0KGgo='>"), seeds.messages, longest=20_000, seconds=0.4),
    Target("unpacking", check_unpacking, (_archive("zip"), _archive("tar"), b"PK\x03\x04"), longest=20_000, seconds=0.4, words=(b"PK\x01\x02", b"PK\x05\x06", b"ustar", b"\x1f\x8b\x08")),
    Target("remade", check_remade, (_LINES.encode(), _TOLD, _PLAIN), seeds.messages, longest=20_000, seconds=0.4),
    *(
        (Target("outlook", check_outlook, _OUTLOOK, longest=8_000, seconds=0.5, words=(b"\x07\xd0", b"\x1f\0", b"\2\1", b"\xfe\xff\xff\xff")),)
        if outlook.is_installed("msg") and outlook.is_installed("tnef")
        else ()
    ),
    *(
        (Target("decoders", check_decoders, (_pdf(), _png(), _GIF), longest=4_000, seconds=1.0, words=(b"/URI", b"<<", b">>", b"obj", b"/A", b"[", b"]", b"R", b"IDAT", b"/Kids")),)
        if is_installed("pdf") and is_installed("qr")
        else ()
    ),
)  # fmt: skip
