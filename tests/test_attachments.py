"""What PDF attachments and QR codes lead to is found, and what they are made of hurts nobody."""

import base64
import gzip
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pikepdf
import pytest
import zxingcpp
from pikepdf import Array, Dictionary, Name, String
from PIL import Image

from complaints import attachments, confined
from complaints.attachments import Looked, look_into, references
from complaints.decoders import MOST_MEMORY
from complaints.links import links
from complaints.message import Message, parse

PAYS = "https://pay.seller.example/?id=1"


def mail(*parts: tuple[str, bytes]) -> Message:
    lines = ["Content-Type: multipart/mixed; boundary=b", ""]
    for kind, content in parts:
        lines += ["--b", f"Content-Type: {kind}", "Content-Transfer-Encoding: base64", ""]
        lines.append(base64.encodebytes(content).decode())
    return parse("\n".join([*lines, "--b--", ""]).encode())


def qr(text: str = PAYS, dot: int = 4) -> Image.Image:
    made = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode)
    drawn: Any = zxingcpp.write_barcode_to_image(made, scale=dot)
    height, width = drawn.shape[:2]
    return Image.frombytes("L", (width, height), bytes(drawn))


def saved(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def pdf(fill: Callable[[pikepdf.Pdf], None] = lambda _: None, **more: Any) -> bytes:
    made, out = pikepdf.new(), io.BytesIO()
    made.add_blank_page(page_size=(300, 300))
    fill(made)
    made.save(out, **more)
    return out.getvalue()


def uri(target: str) -> Dictionary:
    return Dictionary(S=Name.URI, URI=String(target))


def with_link(made: pikepdf.Pdf) -> None:
    link = Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=[0, 0, 9, 9], A=uri(PAYS))
    made.pages[0].Annots = Array([made.make_indirect(link)])


def drawn_qr(made: pikepdf.Pdf) -> None:
    code = qr(dot=1)
    dots = (
        f"{x * 4 + 60} {(code.height - y) * 4 + 60} 4 4 re f"
        for y in range(code.height)
        for x in range(code.width)
        if code.getpixel((x, y)) == 0
    )
    made.pages[0].Contents = made.make_stream("\n".join(dots).encode())


def test_a_link_annotation_is_found() -> None:
    assert references(mail(("application/pdf", pdf(with_link)))) == ((PAYS, "pdf"),)


def test_actions_behind_buttons_forms_scripts_and_opening_are_found() -> None:
    def fill(made: pikepdf.Pdf) -> None:
        made.Root.OpenAction = uri("https://open.example/")
        button = Dictionary(Type=Name.Annot, Subtype=Name.Widget, FT=Name.Btn, Rect=[0, 0, 9, 9])
        button.AA = Dictionary(U=uri("https://button.example/"))
        button.A = Dictionary(
            S=Name.JavaScript,
            JS=String('app.launchURL("https://script.example/x", true);'),
            Next=Array([Dictionary(S=Name.Launch, F=String("http://launch.example/a.exe"))]),
        )
        form = Dictionary(S=Name.SubmitForm, F=Dictionary(FS=Name.URL, F=String("https://form.example/")))
        button = made.make_indirect(button)
        made.Root.AcroForm = Dictionary(Fields=Array([button]))
        made.pages[0].Annots = Array([button, Dictionary(Subtype=Name.Link, A=form)])
        made.docinfo["/Producer"] = String("https://producer.example/")

    found = references(mail(("application/pdf", pdf(fill))))
    assert {text for text, _ in found} == {
        "https://open.example/", "https://button.example/", "https://script.example/x",
        "http://launch.example/a.exe", "https://form.example/",
    }  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        pdf(with_link, object_stream_mode=pikepdf.ObjectStreamMode.generate),
        pdf(with_link, encryption=pikepdf.Encryption(owner="secret", user="", R=6)),
        pdf(with_link)[:-200],
        b"\n" * 500 + pdf(with_link),
    ],
    ids=["packed", "locked against changes", "cut", "junk before it"],
)
def test_a_pdf_file_is_read_however_it_is_written(content: bytes) -> None:
    assert references(mail(("application/octet-stream; name=invoice", content))) == ((PAYS, "pdf"),)


def test_addresses_in_the_text_of_a_page_are_found() -> None:
    def fill(made: pikepdf.Pdf) -> None:
        font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
        made.pages[0].Resources = Dictionary(Font=Dictionary(F=font))
        text = b"BT /F 12 Tf 10 100 Td (See invoice.pdf at www.seller.example/pay now) Tj ET"
        made.pages[0].Contents = made.make_stream(text)

    assert references(mail(("application/pdf", pdf(fill)))) == (("www.seller.example/pay", "pdf"),)


def test_a_locked_pdf_file_is_said_to_be_unread() -> None:
    locked = pdf(with_link, encryption=pikepdf.Encryption(owner="a", user="b", R=6))
    looked = look_into(mail(("application/pdf", locked)))
    assert looked.references == ()
    assert looked.notes == ("1 attachment is damaged, locked or too large to be looked into.",)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_qr_code_in_a_picture_is_read(kind: str) -> None:
    content = saved(qr(), kind)
    assert references(mail((f"image/{kind.lower()}", content))) == ((PAYS, "qr"),)
    assert references(mail(("application/octet-stream", content))) == ((PAYS, "qr"),)


def on_glass() -> Image.Image:
    """Black dots, and nothing at all between them."""
    code = qr()
    glass = Image.new("RGBA", code.size, (0, 0, 0, 0))
    glass.paste((0, 0, 0, 255), mask=code.point(lambda grey: 255 - grey))
    return glass


@pytest.mark.parametrize(
    "image",
    [
        on_glass(),
        qr().point(lambda grey: 255 - grey),
        qr().rotate(30, expand=True, fillcolor=255),
        qr(dot=1),
        qr(dot=1).crop(qr(dot=1).point(lambda grey: 255 - grey).getbbox()),
        qr().convert("1"),
        qr().convert("P"),
        qr().convert("CMYK").convert("RGB").resize((600, 600)),
    ],
    ids=["on glass", "inverted", "turned", "tiny", "no margin", "two colours", "palette", "blown up"],
)
def test_a_qr_code_is_read_however_it_is_drawn(image: Image.Image) -> None:
    assert references(mail(("image/png", saved(image)))) == ((PAYS, "qr"),)


def test_a_qr_code_in_a_large_photograph_is_read() -> None:
    photograph = Image.new("RGB", (4_000, 3_000), "grey")
    photograph.paste(qr(dot=20).convert("RGB"), (900, 900))
    assert references(mail(("image/jpeg", saved(photograph, "JPEG")))) == ((PAYS, "qr"),)


def test_a_qr_code_of_a_later_frame_is_read() -> None:
    blank = Image.new("L", qr().size, 255)
    assert references(mail(("image/gif", saved(blank, "GIF", save_all=True, append_images=[qr()])))) == (
        (PAYS, "qr"),
    )


def test_a_qr_code_on_a_page_is_read_as_picture_and_as_drawing() -> None:
    assert references(mail(("application/pdf", pdf(drawn_qr)))) == ((PAYS, "qr"),)
    assert references(mail(("application/pdf", saved(qr(), "PDF")))) == ((PAYS, "qr"),)


def test_a_qr_code_inside_html_is_read() -> None:
    data = base64.b64encode(saved(qr())).decode()
    for html in (
        f'<img src="data:image/png;base64,{data}">',
        f"<p style='background:url(data:image/png;base64,{data})'>",
    ):
        assert references(mail(("text/html", html.encode()))) == ((PAYS, "qr"),)


def test_an_attached_message_is_looked_into() -> None:
    assert references(mail(("message/rfc822", mail(("image/png", saved(qr()))).raw))) == ((PAYS, "qr"),)


def test_what_is_found_becomes_links_and_lures() -> None:
    message = mail(
        ("image/png", saved(qr("HTTPS://SELLER.EXAMPLE/A"))), ("image/png", saved(qr("mailto:a@b.example")))
    )
    found = links(message, references=references(message))
    assert [(link.host, link.found_in) for link in found.web] == [("seller.example", "qr")]
    assert [(lure.value, lure.found_in) for lure in found.lures] == [("a@b.example", "qr")]


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


PAGE = f'<a href="{PAYS}">your invoice</a>'.encode()
RELATIONS = (
    f'<Relationships><Relationship Id="1" Type="hyperlink" Target="{PAYS}" TargetMode="External"/>'
    '<Relationship Id="2" Type="http://type.example.com/" Target="http://inside.example.com/"/></Relationships>'
).encode()


@pytest.mark.parametrize(
    "content",
    [
        zipped(invoice_html=PAGE),
        zipped(empty=b"", folder__Invoice_url=f"[InternetShortcut]\nURL={PAYS}".encode()),
        zipped(inner_zip=zipped(invoice_html=PAGE)),
        zipped(spam_eml=b"Content-Type: text/html\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(PAGE)),
        zipped(code_png=saved(qr()), x_exe=bytes(90)),
        zipped(invoice_pdf=pdf(with_link)),
        zipped(bomb_html=bytes(5 << 20), invoice_html=PAGE),
        tarred("a/invoice.html", PAGE),
        gzip.compress(PAGE + b" " * 90),
        zipped(**{"[Content_Types]_xml": b"<x/>", "word___rels__document_xml_rels": RELATIONS, "word__document_xml": PAGE}),
    ],
    ids=["zip", "shortcut", "zip in zip", "mail", "qr", "pdf", "beside a large one", "tar", "gzip", "office"],
)  # fmt: skip
def test_links_in_a_packed_file_are_found(content: bytes) -> None:
    message = mail(("application/octet-stream", content))
    looked = look_into(message)
    assert [link.url for link in links(message, looked.references, looked.files).web] == [PAYS]


@pytest.mark.parametrize(
    "content",
    [
        zipped(bomb_html=bytes(5 << 20)),
        zipped(**{f"a{n}_txt": b"http://a.example/ " * 9_000 for n in range(9)}),
        zipped(invoice_html=PAGE)[:-30],
        zipped(**{f"{n}_txt": b"a.b" for n in range(70)}),
        zipped(a_zip=zipped(b_zip=zipped(invoice_html=PAGE))),
        tarred("a/invoice.html", PAGE)[:60] + bytes(90),
    ],
    ids=["large", "many letters", "cut", "many", "deep", "damaged"],
)
def test_what_of_a_packed_file_was_not_read_is_said(content: bytes) -> None:
    looked = look_into(mail(("application/zip", content)))
    assert looked.notes == ("1 attachment is damaged, locked or too large to be looked into.",)


def test_an_ordinary_mail_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "_open", pytest.fail)
    pixel, logo = saved(Image.new("P", (1, 1)), "GIF"), saved(Image.new("L", (600, 20)))
    message = mail(
        ("text/plain", b"Hello"), ("image/gif", pixel), ("image/png", logo), ("application/zip", b"PK")
    )
    assert look_into(message) == Looked()


def test_what_is_too_much_is_said_to_be_left_out() -> None:
    many = [("image/png", saved(qr(f"https://{n}.example/"))) for n in range(27)]
    looked = look_into(mail(*many, many[0]))
    assert len(looked.references) == 24
    assert looked.notes == (
        "3 pictures were not looked into: there are more or larger ones than are opened.",
    )
    looked = look_into(mail(("image/png", saved(qr()) + bytes(attachments.LARGEST))))
    assert looked.notes == ("1 picture was not looked into: there are more or larger ones than are opened.",)


def png_bomb() -> bytes:
    """A few kilobytes that stand for 40,000 × 40,000 white dots."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(b"\xff" * 5_001) for _ in range(40_000)) + packer.flush()
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def packed(size: int) -> bytes:
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def page_bomb(made: pikepdf.Pdf) -> None:
    made.pages[0].Contents = pikepdf.Stream(made, packed(300 << 20), Filter=Name.FlateDecode)


def script_bomb(made: pikepdf.Pdf) -> None:
    script = pikepdf.Stream(made, packed(300 << 20), Filter=Name.FlateDecode)
    made.Root.OpenAction = Dictionary(S=Name.JavaScript, JS=made.make_indirect(script))


def endless_drawing(made: pikepdf.Pdf) -> None:
    made.pages[0].Contents = made.make_stream(b"0 0 m 1 300 300 1 5 5 c 300 7 9 300 0 0 c B*\n" * 400_000)


def deep(made: pikepdf.Pdf) -> None:
    made.Root.Deep = made.make_stream(b"[" * 100_000)


def loop(made: pikepdf.Pdf) -> None:
    made.Root.Pages.Kids = Array([made.Root.Pages])


HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a picture that unpacks to 200 MB": ("image/png", png_bomb),
    "a picture of 4,294,836,225 dots": (
        "image/gif",
        lambda: b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(3) + b"," + bytes(500),
    ),
    "a page that unpacks to 300 MB": ("application/pdf", lambda: pdf(page_bomb)),
    "a script that unpacks to 300 MB": ("application/pdf", lambda: pdf(script_bomb)),
    "an endless drawing": ("application/pdf", lambda: pdf(endless_drawing)),
    "brackets in brackets, packed": ("application/pdf", lambda: pdf(deep)),
    "pages that hold themselves": ("application/pdf", lambda: pdf(loop)),
    "objects in objects": ("application/pdf", lambda: b"%PDF-1.7\n" + b"1 0 obj\n<<" * 50_000),
    "brackets in brackets": ("application/pdf", lambda: b"%PDF-1.7\n" + b"[" * 1_000_000),
    "an archive of zeros": ("application/gzip", lambda: gzip.compress(bytes(300 << 20), 1)),
    "an archive of 9,000 files": (
        "application/zip",
        lambda: zipped(**{f"a{n}_txt": b"x" for n in range(9_000)}),
    ),
    "noise called JPEG": ("image/jpeg", lambda: b"\xff\xd8\xff" + bytes(range(256)) * 4_000),
    "noise called WebP": ("image/webp", lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(5_000)),
}


MEASURED = """
import json, resource, sys
from complaints.attachments import look_into
from complaints.message import parse
message = parse(sys.stdin.buffer.read())
before = resource.getrusage(resource.RUSAGE_SELF)
look_into(message)
own, child = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = own.ru_utime - before.ru_utime + child.ru_utime + child.ru_stime
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(json.dumps([seconds, peak]))
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_little_and_break_nothing(name: str) -> None:
    kind, make = HOSTILE[name]
    command, raw = [sys.executable, "-I", "-c", MEASURED], mail((kind, make())).raw
    ran = subprocess.run(command, input=raw, capture_output=True, check=True)
    seconds, peak = json.loads(ran.stdout)
    assert seconds < 2, "the limit is half a second, and starting takes its time"
    assert (peak << 10) + MOST_MEMORY < 256 << 20, "the system gives the child no more than its limit"


def test_the_clock_ends_what_does_not_end_and_what_was_found_until_then_counts() -> None:
    def fill(made: pikepdf.Pdf) -> None:
        with_link(made)
        endless_drawing(made)

    looked = look_into(mail(("application/pdf", pdf(fill))))
    assert looked.references == ((PAYS, "pdf"),)
    assert looked.notes == (
        "Looking into the attachments was ended before its end; there may be more links in them.",
    )


@pytest.mark.parametrize(
    "said", [b"", b"\xff\0", b'{"found": 1, "in": "pdf"}\n', b'[]\n{"found": "x", "in": "html"}\n', b'{"fou']
)
def test_a_child_gone_mad_is_not_believed(said: bytes) -> None:
    assert attachments._heard(said).references == ()


def test_a_maker_of_children_that_was_killed_is_replaced_and_no_file_stays_unread() -> None:
    given = b'[{"kind": "archive", "size": 3}]\nxyz'
    said = [confined.run("complaints.decoders", given, seconds=20, most=1_000)]
    _, maker = confined._makers["complaints.decoders"]
    maker.kill()
    maker.wait()
    said.append(confined.run("complaints.decoders", given, seconds=20, most=1_000))
    assert said[0] == said[1]
    assert said[0].endswith(b'{"ended": true}\n')


def test_a_child_that_takes_too_long_is_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as slow:
        confined._await(os.pidfd_open(slow.pid), 0.05)
        assert slow.wait() == -signal.SIGKILL


def test_in_the_child_nothing_can_be_opened() -> None:
    program = (
        "from complaints import confined; import socket; confined.close_the_door(1)\n"
        "for door in (socket.socket, lambda: open('/etc/hostname')):\n"
        "    try: door()\n"
        "    except OSError: print('shut')\n"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "shut\n" * 2


def test_without_the_extras_the_notes_say_what_was_not_looked_into() -> None:
    program = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] in {'pikepdf', 'pypdfium2', 'zxingcpp', 'PIL'}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from complaints.attachments import look_into\n"
        "from complaints.message import parse\n"
        "looked = look_into(parse(sys.stdin.buffer.read()))\n"
        "print(looked.references, *looked.notes, sep='\\n')\n"
    )
    raw = mail(
        ("application/pdf", pdf(with_link)), ("image/png", saved(qr())), ("image/gif", saved(qr(), "GIF"))
    ).raw
    ran = subprocess.run([sys.executable, "-I", "-c", program], input=raw, capture_output=True, check=True)
    assert ran.stdout.decode().splitlines() == [
        "()",
        "1 PDF attachment was not looked into: that needs the extra plaint[pdf] (pip install 'plaint[pdf]').",
        "2 pictures were not looked into: that needs the extra plaint[qr] (pip install 'plaint[qr]').",
    ]
