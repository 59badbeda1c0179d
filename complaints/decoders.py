"""The child process that opens what strangers made: PDF files, pictures and archives.

Takes on stdin one line of JSON, `[{"kind": "pdf" | "image" | "archive", "size": BYTES}, ...]`, and then the
files one after the other; leaves on stdout lines of JSON: `{"found": TEXT, "in": "pdf" | "qr"}` for each
reference at once, `{"member": NAME, "content": BASE64}` for a file of an archive that may have links in it,
`{"unread": N}` for a file that is damaged or too large, `{"ended": true}` when all was looked at.
`attachments.py` runs it.

Nothing here is trusted to end, to stay small or to be free of holes: limits are set before the first byte is
read, and once the libraries are loaded no file or socket can be opened.
"""

import binascii
import importlib
import io
import json
import math
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from struct import unpack_from
from typing import Any

from complaints.confined import close_the_door, limit_space
from complaints.unpacking import is_archive, members, rehearse

SECONDS = 0.5
"""Processor time for all files of one message, once the libraries are loaded."""
MOST_MEMORY = 160 << 20
"""Bytes of address space; what does not fit is refused by the system and ends the one file."""
MOST_OUTPUT = 1 << 20
SMALLEST = 21
"""Pixels of the shorter side: the smallest QR code has 21 dots (ISO/IEC 18004); less is a tracking pixel."""
MOST_PIXELS = 8_000_000
"""Pixels of a picture that are unpacked; a few bytes can stand for many thousand million."""
MOST_UNPACKED = 400_000
"""Bytes of the files of archives that are told, all together."""
_DEEPEST = 2
_SMALLEST_FILE = 60
_MOST_FRAMES, _MOST_PAGES, _PAGE_PIXELS = 4, 4, 1_500_000
_MOST_OBJECTS, _MOST_TEXTS, _LONGEST_TEXT, _LONGEST_SCRIPT = 200_000, 500, 8_000, 100_000
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_URL = re.compile(r"(?i)\b(?:https?://|www\.)[^\s<>\"'()\\\x00-\x1f]{4,2000}")
LIBRARIES = {"pdf": ("pikepdf", "pypdfium2"), "qr": ("zxingcpp", "PIL.WebPImagePlugin")}
"""Modules by extra."""
_TARGETS = ("/URI", "/F", "/UF")

_prepared: list[bool] = []
Step = Callable[[bytes], Iterator[tuple[str, str]]]


def main() -> None:
    """Look at the files on stdin and say what is found in them."""
    limit_space(MOST_MEMORY, MOST_OUTPUT)
    listing = json.loads(sys.stdin.buffer.readline(1 << 20))
    files = [(item["kind"], sys.stdin.buffer.read(item["size"])) for item in listing]
    kinds = {kind for kind, _ in files}
    # Who knows what is in an archive.
    steps = _steps(kinds | {"pdf", "image"} if "archive" in kinds else kinds)
    if not _prepared:
        for _, step in steps:
            _rehearse(step)
        if "archive" in kinds:
            rehearse()
    close_the_door(SECONDS)
    files += _unpacked(files)
    said: set[tuple[str, str]] = set()
    for step_kind, step in steps:
        for number, (kind, content) in enumerate(files):
            if kind != step_kind:
                continue
            try:
                for reference in step(content):
                    _report(reference, said)
            except Exception:  # noqa: BLE001 - foreign decoders raise what they like; the next file may be fine
                _say({"unread": number})
    _say({"ended": True})


def prepare() -> None:
    """Load all libraries that are there, for children that are forked after it."""
    for _, step in _steps({"pdf", "image"}):
        _rehearse(step)
    rehearse()
    _prepared.append(True)


def kind_of(head: bytes, size: int) -> str | None:
    """Tell a PDF file, an archive or a picture worth opening by its first bytes; a tracking pixel is not."""
    if b"%PDF-" in head[:1_024]:
        return "pdf"
    if size < _SMALLEST_FILE:
        return None
    return "archive" if is_archive(head) else _kind_of_picture(head)


def _kind_of_picture(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        return "image" if min(unpack_from(">II", head, 16)) >= SMALLEST else None
    if head.startswith(b"GIF8") and len(head) >= 10:
        return "image" if min(unpack_from("<HH", head, 6)) >= SMALLEST else None
    if head.startswith(b"\xff\xd8\xff") or (head.startswith(b"RIFF") and head[8:12] == b"WEBP"):
        return "image"  # where their size stands takes reading; the child asks before it unpacks
    return None


def _unpacked(files: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Tell the files of archives that may have links in them; return those that are opened themselves."""
    opened: list[tuple[str, bytes]] = []
    waiting = [(number, content, 1) for number, (kind, content) in enumerate(files) if kind == "archive"]
    room = MOST_UNPACKED
    while waiting:
        number, content, depth = waiting.pop(0)
        try:
            for name, inner in members(content):
                kind = kind_of(inner[:1_500], len(inner))
                if kind == "archive" and depth < _DEEPEST:
                    waiting.append((number, inner, depth + 1))
                elif kind in {"pdf", "image"}:
                    opened.append((kind, inner))
                elif kind is None and len(inner) <= room and _may_have_links(inner):
                    room -= len(inner)
                    _say(
                        {"member": name[-80:], "content": binascii.b2a_base64(inner, newline=False).decode()}
                    )
                elif kind or _may_have_links(inner):
                    _say({"unread": number})
        except Exception:  # noqa: BLE001 - zipfile and tarfile raise whatever they stumble over
            _say({"unread": number})
    return opened


def _may_have_links(content: bytes) -> bool:
    """Tell a text, in UTF-16 too, from a program: links in that are not meant for the reader."""
    return bool(content) and b"\0\0" not in content[:4_000]


def _steps(kinds: set[str]) -> list[tuple[str, Step]]:
    """What can be done with these kinds, the cheapest that says most first; loads the libraries."""
    qr = _load(*LIBRARIES["qr"])  # for the pages of a PDF file too
    pdf = "pdf" in kinds and _load(*LIBRARIES["pdf"])
    steps = [("pdf", annotations, pdf), ("image", picture, qr), ("pdf", pages, pdf)]
    return [(kind, step) for kind, step, possible in steps if possible]


def _rehearse(step: Step) -> None:
    """Let a step read what its library wrote, so that it loads now what it loads at the first use."""
    if step is picture:
        from PIL import Image  # noqa: PLC0415 - loaded by `_load`, only where it is wanted

        for name in _FORMATS:
            written = io.BytesIO()
            mode, more = ("P", {"transparency": 0}) if name in {"GIF", "PNG"} else ("RGB", {})
            Image.new(mode, (SMALLEST, SMALLEST)).save(written, name, **more)
            deque(step(written.getvalue()), 0)
    else:
        import pikepdf  # noqa: PLC0415

        written = io.BytesIO()
        with pikepdf.new() as pdf:
            page = pdf.add_blank_page()
            font = pikepdf.Dictionary(Type="/Font", Subtype="/Type1", BaseFont="/Helvetica")
            page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font))
            page.Contents = pdf.make_stream(b"BT /F 9 Tf (example) Tj ET")
            pdf.save(written)
        deque(step(_rewritten(written.getvalue())), 0)


def _load(*names: str) -> bool:
    try:
        for name in names:
            importlib.import_module(name)
    except ImportError:
        return False
    return True


def _report(reference: tuple[str, str], said: set[tuple[str, str]]) -> None:
    text, found_in = reference[0].strip("\0 \r\n\t")[:_LONGEST_TEXT], reference[1]
    if text and len(said) < _MOST_TEXTS and (text, found_in) not in said:
        said.add((text, found_in))
        _say({"found": text, "in": found_in})


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def annotations(content: bytes) -> Iterator[tuple[str, str]]:
    """Find where the actions of a PDF file lead: links, buttons, forms, OpenAction, scripts."""
    import pikepdf  # noqa: PLC0415

    try:
        yield from _actions(content)
    except (pikepdf.PdfError, RuntimeError):
        # Damaged beyond what qpdf mends, or encrypted: for that it wants a device of random numbers.
        yield from _actions(_rewritten(content))


def _rewritten(content: bytes) -> bytes:
    """The same file as PDFium understands it: mended, and without the encryption that needs no password."""
    import pypdfium2  # noqa: PLC0415

    out = io.BytesIO()
    pypdfium2.PdfDocument(content).save(out, flags=pypdfium2.raw.FPDF_REMOVE_SECURITY)
    return out.getvalue()


def _actions(content: bytes) -> Iterator[tuple[str, str]]:
    import pikepdf  # noqa: PLC0415

    with pikepdf.open(io.BytesIO(content)) as pdf:
        names = pdf.Root.get("/URI")
        base = _string(names.get("/Base")) if isinstance(names, pikepdf.Dictionary) else ""
        for thing in islice(pdf.objects, _MOST_OBJECTS):
            stack = [thing]
            while stack:
                one = stack.pop()
                if isinstance(one, pikepdf.Array):
                    stack += [inner for inner in one if _is_nested(inner)]
                elif isinstance(one, pikepdf.Dictionary | pikepdf.Stream):
                    yield from ((text, "pdf") for text in _targets(one, base))
                    stack += [inner for _, inner in one.items() if _is_nested(inner)]


def _is_nested(thing: Any) -> bool:
    import pikepdf  # noqa: PLC0415

    return isinstance(thing, pikepdf.Dictionary | pikepdf.Array) and not thing.is_indirect


def _targets(one: Any, base: str) -> Iterator[str]:
    """Read the entries of a dictionary that name where an action leads (ISO 32000-2 §12.6.4)."""
    import pikepdf  # noqa: PLC0415

    for key in _TARGETS:
        text = _string(one.get(key))
        if key == "/URI" and text and base and ":" not in text[:20]:
            text = base + text
        if key == "/URI" or _URL.match(text):
            yield text
    script = one.get("/JS")
    if isinstance(script, pikepdf.Stream):
        text = script.read_bytes()[:_LONGEST_SCRIPT].decode("latin-1")
    else:
        text = _string(script)[:_LONGEST_SCRIPT]
    yield from (hit[0] for hit in _URL.finditer(text))


def _string(thing: Any) -> str:
    import pikepdf  # noqa: PLC0415

    if not isinstance(thing, pikepdf.String):
        return ""
    octets = bytes(thing)
    return str(thing) if octets.startswith((b"\xfe\xff", b"\xff\xfe")) else octets.decode("utf-8", "replace")


def pages(content: bytes) -> Iterator[tuple[str, str]]:
    """Find web addresses in the text of the first pages of a PDF file, and QR codes in how they look."""
    import pypdfium2  # noqa: PLC0415

    document = pypdfium2.PdfDocument(content)
    for page in (document[n] for n in range(min(len(document), _MOST_PAGES))):
        text = page.get_textpage().get_text_range(0, -1)[:_LONGEST_SCRIPT]
        yield from ((hit[0], "pdf") for hit in _URL.finditer(text))
        width, height = page.get_size()
        if "zxingcpp" in sys.modules and width > 0 and height > 0:
            scale = min(2.0, math.sqrt(_PAGE_PIXELS / (width * height)))
            drawn = page.render(scale=scale, grayscale=True)
            rows = memoryview(bytes(drawn.buffer)).cast("B", (drawn.height, drawn.stride))
            yield from _codes(rows)


def picture(content: bytes) -> Iterator[tuple[str, str]]:
    """Find what the QR codes in a picture say."""
    from PIL import Image, ImageFile, ImageSequence  # noqa: PLC0415

    Image.MAX_IMAGE_PIXELS = None  # our own limit is lower and asks before anything is unpacked
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
        opened.draft("L", (1_200, 1_200))  # a JPEG is unpacked smaller at once
        if min(opened.size) < SMALLEST:
            return
        if opened.width * opened.height > MOST_PIXELS:
            raise ValueError("more pixels than are looked at")
        for frame in islice(ImageSequence.Iterator(opened), _MOST_FRAMES):
            grey = _on_white(frame)
            found = list(_codes(grey))
            if not found and max(grey.size) < 250:  # one pixel a dot, and no margin: too fine as it is
                grey = grey.resize((grey.width * 4, grey.height * 4), Image.Resampling.NEAREST)
                wide = Image.new("L", (grey.width + 40, grey.height + 40), 255)
                wide.paste(grey, (20, 20))
                found = list(_codes(wide))
            yield from found


def _on_white(frame: Any) -> Any:
    """As a reader sees it: what is transparent shows the white behind it."""
    from PIL import Image  # noqa: PLC0415

    if frame.mode in {"RGBA", "LA", "PA"} or "transparency" in frame.info:
        colours = frame.convert("RGBA")
        white = Image.new("L", colours.size, 255)
        white.paste(colours.convert("L"), mask=colours.getchannel("A"))
        return white
    return frame.convert("L")


def _codes(image: Any) -> Iterator[tuple[str, str]]:
    import zxingcpp  # noqa: PLC0415

    kinds = zxingcpp.barcode_formats_from_str("QRCode,MicroQRCode")
    for code in zxingcpp.read_barcodes(image, formats=kinds):
        yield code.text, "qr"


if __name__ == "__main__":
    main()
