"""Where a reporter can stand in a message: a generator of (bytes, identity, what must not be seen any more).

It knows nothing of the redactor or of the checker: both may be tried against it. `PLACES` take a person and
leave a message that shows the person in one place; `TOKEN_PLACES` take a code that a sender made for one
recipient. `EVIDENCE` is what a report needs and every message holds.
"""

import base64
import binascii
import gzip
import hashlib
import io
import quopri
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from tests.hiding_places import CARRIERS, SPELLINGS
from tests.packed_files import PACKED

SOURCE = b"192.0.2.7"
EVIDENCE = (b"[192.0.2.7]", b"sender.spam.example", b"mx.victim.example", b"Big news: click", b"<20261123.1@spam.example>",
            b"news@spam.example", b"CFBL-Feedback-ID: camp:42:spam", b"click.spam.example", b"[198.51.100.9]", b"origin.spam.example")  # fmt: skip
"""What must survive level `identity`, byte for byte and as often."""
STRICT_EVIDENCE = tuple(item for item in EVIDENCE if item != b"<20261123.1@spam.example>")


@dataclass(frozen=True)
class Person:
    """An identity: `addresses` and `names`, as redaction takes them."""

    addresses: tuple[str, ...]
    names: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return self.addresses[0]


@dataclass(frozen=True)
class Case:
    """A message, whom it shows, and the strings that must not be seen in any reading of it afterwards."""

    place: str
    raw: bytes
    person: Person
    hidden: tuple[str, ...]


_LOCALS = ("alice.reporter", "bob", "carol-anne.smith", "d.e.f", "erika_mustermann", "frank77", "g3h4", "info", "hans.mueller",
           "ivan", "jane.q.public", "k.longlastname-withmore", "lea2001", "m_o_n_a", "nadine.o'neil", "olaf", "peter.pan", "quentin", "rosa.l",
           "x1y2z3", "sales", "tim", "ulla.v.d.berg", "victor.hugo", "wendy")  # fmt: skip
_DOMAINS = ("victim.example", "mail.victim.example", "gmail.com", "post-haus.example", "b4.example")
_NAMES = ((), ("Alice Reporter",), ("Jürgen Möller",), ("Ольга Петрова",), ("Bob",))
PEOPLE: tuple[Person, ...] = tuple(
    Person((f"{_LOCALS[n % 25]}@{_DOMAINS[(n * 7 + n // 25) % 5]}",), _NAMES[n % 5]) for n in range(50)
)

_TOP = (
    b"Received: from sender.spam.example (sender.spam.example [192.0.2.7])\r\n\tby mx.victim.example with ESMTPS id 4Qx;"
    b" Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    b"Received: from origin.spam.example (origin.spam.example [198.51.100.9])\r\n\tby sender.spam.example with SMTP id 77aa;"
    b" Mon, 23 Nov 2026 09:59:58 +0000\r\n"
    b"From: Shop <news@spam.example>\r\nSubject: Big news: click\r\nDate: Mon, 23 Nov 2026 09:59:00 +0000\r\n"
    b"Message-ID: <20261123.1@spam.example>\r\nCFBL-Feedback-ID: camp:42:spam\r\nMIME-Version: 1.0\r\n"
)
_END = b"\r\nBuy at https://click.spam.example/ now.\r\n"
_LINK = b"https://click.spam.example/"


def header(field: str) -> bytes:
    """A message with one more field on top, as `field` says."""
    return field.encode() + b"\r\n" + _TOP + b"\r\n" + _END


def body(kind: str, content: bytes, encoding: str = "8bit") -> bytes:
    """A message of one part."""
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n"
    return _TOP + head.encode() + b"X-Link: " + _LINK + b"\r\n\r\n" + content


def parts(
    *added: tuple[str, bytes], boundary: str = "=_b", preamble: bytes = b"", epilogue: bytes = b""
) -> bytes:
    """A multipart message with a text part and these (fields, body)."""
    head = f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'.encode() + preamble
    line = f"\r\n--{boundary}\r\n".encode()
    texts = [b"Content-Type: text/plain\r\n\r\n" + _END]
    texts += [fields.encode() + b"\r\n\r\n" + content for fields, content in added]
    return (
        _TOP + head + b"".join(line + text for text in texts) + f"\r\n--{boundary}--\r\n".encode() + epilogue
    )


def lines(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def qp(content: bytes) -> bytes:
    return quopri.encodestring(content).replace(b"\n", b"\r\n")


def _zip(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _words(text: str, kind: str = "B") -> str:
    octets = text.encode()
    if kind == "B":
        return f"=?utf-8?B?{base64.b64encode(octets).decode()}?="
    return "=?utf-8?Q?" + "".join(f"={octet:02X}" for octet in octets) + "?="


def _nested(inner: bytes, deep: int) -> bytes:
    for number in range(deep):
        inner = parts(("Content-Type: message/rfc822", inner), boundary=f"=_n{number}")
    return inner


_Make = Callable[[str], bytes]
_FIELDS = ("To: {}", "To: <{}>", 'To: "{}" <{}>', "Cc: friends: {}, other@third.example;", "Bcc: {}", "Delivered-To: {}", "X-Original-To: {}",
           "X-Envelope-To: <{}>", "X-Rcpt-To: {}", "X-Forwarded-To: {}", "Apparently-To: {}", "X-Apparently-To: {} via 10.0.0.1; Mon", "Resent-To: {}",
           "Envelope-To: {}", "X-Real-To: {}", "Original-Recipient: rfc822;{}", "X-HmXmrOriginalRecipient: {}", "X-Failed-Recipients: {}",
           "Disposition-Notification-To: {}", "Authentication-Results: mx.victim.example; dkim=pass header.d=spam.example smtp.rcpttodomain={}",
           "List-Unsubscribe: <mailto:out@list.example?subject=out%20{}>", "List-Unsubscribe: <https://list.example/out?e={}>", "X-Loop: {}",
           "X-Spam-To: {}", "Comments: sent to ({})", "Keywords: {}, shop", "In-Reply-To: <{}>", "References: <1.{}>\r\n <2.{}>", "X-MSFBL: {}|x",
           "DKIM-Signature: v=1; d=spam.example; i={}; b=abc", "Thread-Topic: {}", "Received: from a.example by b.example for <{}>; Mon, 23 Nov 2026 09:00:00 +0000",
           "Received-SPF: pass (b.example: domain of {} designates 192.0.2.9)", "X-Mailer: Bulk ({})", "X-PHP-Originating-Script: 33:send.php?to={}")  # fmt: skip
_HTML = ("<!-- {} -->", "<title>{}</title>", '<meta name="x" content="{}">', '<p data-to="{}">x</p>', "<p style=\"background:url('https://x.example/{}')\">",
         '<script>var to = "{}";</script>', '<script type="application/ld+json">{{"email":"{}"}}</script>', '<img src="https://x.example/p.gif?e={}" alt="">',
         '<a href="mailto:out@x.example?body={}">x</a>', "<input type=hidden value={}>", "<a href=https://x.example/#{}>x</a>", "<a href='https://x.example/{}/out'>x</a>",
         '<form action="https://x.example/f?to={}">', "<a href='https://x.example/?a=1&amp;e={}&amp;c=2'>x</a>", "<p>{}</p>", "<td>Sent to:&nbsp;{}</td>")  # fmt: skip
_OTHER: dict[str, _Make] = {
    "boundary": lambda a: parts(boundary=f"=_{a}"),
    "preamble": lambda a: parts(preamble=f"for {a}".encode()),
    "epilogue after the end": lambda a: parts(epilogue=f"for {a}".encode()),
    "part field": lambda a: parts((f"Content-Type: text/plain\r\nContent-Description: for {a}", b"x")),
    "content id": lambda a: parts((f"Content-Type: text/plain\r\nContent-ID: <{a}>", b"x")),
    "file name": lambda a: parts((f'Content-Type: image/png; name="{a}.png"', b"x")),
    "file name in RFC 2231": lambda a: parts((f"Content-Disposition: attachment; filename*=utf-8''{quote(a)}.pdf", b"x")),
    "file name in RFC 2231 pieces": lambda a: parts(
        (f'Content-Disposition: attachment; filename*0="{a[:4]}";\r\n filename*1="{a[4:]}"', b"x")
    ),
    "file name as encoded word": lambda a: parts((f'Content-Type: image/png; name="{_words(a)}"', b"x")),
    "subject of a nested message": lambda a: _nested(f"Subject: for {a}\r\n\r\nx\r\n".encode(), 1),
    "three messages deep": lambda a: _nested(f"To: {a}\r\n\r\nfor {a}\r\n".encode(), 3),
    "delivery status": lambda a: parts(
        ("Content-Type: message/delivery-status", f"Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; {a}\r\n".encode())
    ),
    "headers of a returned message": lambda a: parts(("Content-Type: text/rfc822-headers", f"To: {a}\r\nSubject: x\r\n".encode())),
    "calendar": lambda a: parts(("Content-Type: text/calendar", f"BEGIN:VCALENDAR\r\nATTENDEE;CN=x:MAILTO:{a}\r\n".encode())),
    "folded calendar": lambda a: parts(
        ("Content-Type: text/calendar", f"BEGIN:VCALENDAR\r\nATTENDEE:MAILTO:{a[:5]}\r\n {a[5:]}\r\n".encode())
    ),
    "card": lambda a: parts(("Content-Type: text/vcard", f"BEGIN:VCARD\r\nEMAIL:{a}\r\n".encode())),
    "card in quoted-printable": lambda a: parts(
        ("Content-Type: text/x-vcard\r\nContent-Transfer-Encoding: quoted-printable", qp(f"EMAIL:{a}".encode()))
    ),
    "uuencoded": lambda a: body("text/plain", _uu(f"hello {a} hello".encode() * 3)),
    "uuencoded in base64": lambda a: body("text/plain", lines(b"see this\r\n" + _uu(f"<p>{a}</p>".encode()).replace(b"\n", b"\r\n")), "base64"),
    "XML": lambda a: parts(("Content-Type: application/xml", f"<to>{a}</to>".encode())),
    "SVG in base64": lambda a: parts(
        ("Content-Type: image/svg+xml\r\nContent-Transfer-Encoding: base64", lines(f"<svg><text>{a}</text></svg>".encode()))
    ),
    "CSV": lambda a: parts(("Content-Type: text/csv\r\nContent-Transfer-Encoding: base64", lines(f"id;to\r\n1;{a}\r\n".encode()))),
    "JSON": lambda a: parts(("Content-Type: application/json", f'{{"to":"{a}"}}'.encode())),
    "AMP": lambda a: parts(("Content-Type: text/x-amp-html", f"<html amp4email><p>{a}</p>".encode())),
    "page attached as octets": lambda a: parts(
        ("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64", lines(f"<p>{a}</p>".encode()))
    ),
    "binary": lambda a: parts(
        ("Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64", lines(b"%PDF-1.7\0\0 (" + a.encode() + b") " + bytes(range(200))))
    ),
    "gzip": lambda a: parts(
        ("Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64", lines(gzip.compress(f"to {a} ".encode(), mtime=0)))
    ),
    "zip": lambda a: parts(
        ("Content-Type: application/zip\r\nContent-Transfer-Encoding: base64", lines(_zip("x.html", f"<p>{a}</p>".encode())))
    ),
    "name in a zip": lambda a: parts(
        ("Content-Type: application/zip\r\nContent-Transfer-Encoding: base64", lines(_zip(f"{a}.txt", b"x")))
    ),
    "UTF-7": lambda a: body("text/plain; charset=utf-7", f"for {a} .".encode("utf-7")),
    "UTF-16": lambda a: body("text/plain; charset=utf-16le", lines(f"for {a} .".encode("utf-16-le")), "base64"),
    "UTF-32": lambda a: body("text/plain; charset=utf-32be", lines(f"for {a} .".encode("utf-32-be")), "base64"),
    "EBCDIC": lambda a: body("text/plain; charset=cp500", lines(f"for {a} .".encode("cp500")), "base64"),
    "undeclared quoted-printable": lambda a: body("text/plain", "".join(f"={ord(c):02X}" for c in a).encode() + b" x"),
    "soft line breaks": lambda a: body("text/plain", "=\r\n".join(a).encode(), "quoted-printable"),
    "base64 in short lines": lambda a: body("text/plain", b"\r\n".join(_chunks(base64.b64encode(f"for {a} .".encode()), 8)), "base64"),
    "base64 with a footer": lambda a: body("text/plain", lines(b"Hello world") + b"-- \r\nsent to " + a.encode(), "base64"),
    "encoded word": lambda a: header(f"X-Hello: {_words(f'Hi {a} !')}"),
    "encoded word (Q)": lambda a: header(f"X-Hello: {_words(f'Hi {a} !', 'Q')}"),
    "two encoded words": lambda a: header(f"X-Hello: {_words(f'Hi {a[:4]}')}\r\n {_words(a[4:])}"),
    "wrapped link": lambda a: header(
        f"X-L: https://nam02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fx.example&data=05%7C01%7C{quote(a)}%7C0"
    ),
    "mbox line": lambda a: f"From {a} Mon Nov 23 10:00:00 2026\r\n".encode() + _TOP + b"\r\n" + _END,
    "no header end": lambda a: _TOP + f"not a field {a}".encode(),
    "SRS1": lambda a: header(f"X-From: <SRS1=GGG=first.example==HHH=TT={_host(a)}={_local(a)}@forwarder.example>"),
    "SRS in a Return-Path": lambda a: header(f"Return-Path: <SRS0=HHH=TT={_host(a)}={_local(a)}@forwarder.example>"),
    "SRS with plus signs": lambda a: header(f"Return-Path: <SRS0+HHH+TT+{_host(a)}+{_local(a)}@forwarder.example>"),
    "Sympa's bounce": lambda a: header(f"Return-Path: <list-owner+{_local(a)}==a=={_host(a)}@lists.example>"),
    "LISTSERV's bounce": lambda a: header(f"Return-Path: <owner-l*{_local(a)}**{_host(a).replace('.', '*-')}@lists.example>"),
    "Lyris' bounce": lambda a: header(f"Return-Path: <bounce-42-{_local(a)}--{_host(a)}@lists.example>"),
    "VERP with a plus sign": lambda a: header(f"Return-Path: <news-{_local(a)}+{_host(a)}@lists.example>"),
    "URL Defense": lambda a: body(
        "text/html", f'<a href="https://urldefense.proofpoint.com/v2/url?u={_defended(f"https://x.example/?e={a}")}&d=Dw">x</a>'.encode()
    ),
    "packed link of a mailer": lambda a: body("text/html", f'<a href="https://mail.x.example/c/{_deflated(a)}">x</a>'.encode()),
    "packed link in quoted-printable": lambda a: body(
        "text/html", b"=\r\n".join(_chunks(f'<a href=3D"https://x.example/?c=3D{_deflated(a)}">x</a>'.encode(), 60)), "quoted-printable"
    ),
    "packed link in a folded field": lambda a: header(
        f"List-Unsubscribe: <https://x.example/u/{_deflated(a)[:60]}\r\n {_deflated(a)[60:]}>"
    ),
    "encoded words of two kinds": lambda a: header(f"X-Hello: {_words(a[:2])} {_words(a[2:], 'Q')}"),
    "encoded words without a space": lambda a: header(f"X-Hello: {_words(a[:3])}{_words(a[3:])}"),
    "escaped by a list manager": lambda a: header(f"Return-Path: <out-{_local(a).replace('-', '+2D')}={_host(a)}@list.example>"),
    "equals for at": lambda a: body("text/plain", f"for {_local(a)}={_host(a)} .".encode()),
    "sha512": lambda a: header(f"X-Id: {hashlib.sha512(a.encode()).hexdigest()}"),
    "sha512 in base64": lambda a: header(f"X-Id: {base64.b64encode(hashlib.sha512(a.encode()).digest()).decode()}"),
    "sha1 of a mailto": lambda a: header(f"X-Id: {hashlib.sha1(f'mailto:{a}'.encode()).hexdigest()}"),
    "md5 of a line": lambda a: header(f"X-Id: {hashlib.md5(a.encode() + bytes([10])).hexdigest()}"),
    "md5 as UUID": lambda a: header(f"X-Id: {uuid.UUID(hashlib.md5(a.encode()).hexdigest())}"),
    "quotes": lambda a: header(f'X-For: "{_local(a)}"@{_host(a)}'),
    "quoted pair": lambda a: header(f'X-For: "{a[0]}' + chr(92) + f'{_local(a)[1:]}"@{_host(a)}'),
    "comment before the at": lambda a: header(f"X-For: {_local(a)} (x) @{_host(a)}"),
    "comment behind the at": lambda a: header(f"X-For: {_local(a)}@(x){_host(a)}"),
    "broken flowed line": lambda a: body("text/plain; format=flowed; delsp=yes", f"for {a[:2]} \r\n{a[2:]} .".encode()),
    "broken line of a quote": lambda a: body("text/plain", f"> for {a[:-3]}\r\n> {a[-3:]} .".encode()),
    "UTF-16 in quoted-printable": lambda a: body(
        "text/plain; charset=utf-16le", "".join(f"={octet:02X}" for octet in f"for {a} .".encode("utf-16-le")).encode(), "quoted-printable"
    ),
    "UTF-16 in RFC 2231": lambda a: parts(
        (f"Content-Type: text/plain; name*=utf-16le''{_every_octet(a)}", b"x")
    ),
    "RTF": lambda a: parts(("Content-Type: application/rtf", ("{\\rtf1 " + "".join(f"\\'{ord(char):02x}" for char in a) + "}").encode())),
    "full width in Shift_JIS": lambda a: body("text/plain; charset=shift_jis", _wide(a).encode("cp932")),
    "full width in ISO-2022-JP": lambda a: body("text/plain; charset=iso-2022-jp", _wide(a).encode("iso-2022-jp"), "7bit"),
    "full width in GB2312": lambda a: body("text/plain; charset=gb2312", lines(_wide(a).encode("gb18030")), "base64"),
    "character codes": lambda a: body("text/html", f"<script>String.fromCharCode({', '.join(map(str, a.encode()))})</script>".encode()),
    "comment with a sign": lambda a: body("text/html", f"{a[:1]}<!-- a > b -->{a[1:]}".encode()),
    "encoded word broken in a group": lambda a: header(
        f"X-Hello: =?utf-8?B?{_words(a)[10:17]}?=\r\n =?utf-8?B?{_words(a)[17:]}"
    ),
}  # fmt: skip


def _local(address: str) -> str:
    return address.rpartition("@")[0]


def _host(address: str) -> str:
    return address.rpartition("@")[2]


def _defended(link: str) -> str:
    """A link as Proofpoint's URL Defense writes it (version 2)."""
    coded = quote(link, safe="").replace("-", "-2D").replace("_", "-5F").replace("%2F", "_")
    return coded.replace("%", "-")


def _deflated(address: str) -> str:
    """What Mailgun knows of a click, as it stands in its links: zlib in base64."""
    told = f"d=acf2a2&e=1700000000&h=0f9a&i=63722f53e7754_73bcca70%40mail.x.example&r={quote(address)}&t=news"
    return base64.urlsafe_b64encode(zlib.compress(told.encode())).decode().rstrip("=")


def _every_octet(address: str) -> str:
    return "".join(f"%{octet:02X}" for octet in address.encode("utf-16-le"))


def _wide(address: str) -> str:
    """The same in letters of full width, as CJK charsets have them."""
    return "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in address)


def _in_an_older_charset(name: str) -> bytes:
    for label, charset in (("macintosh", "mac_roman"), ("koi8-r", "koi8_r")):
        if name.encode(charset, "replace").decode(charset) == name:
            return body(f"text/plain; charset={label}", f"Dear {name}, you won.\r\n".encode(charset))
    return body("text/plain; charset=utf-8", f"Dear {name}, you won.\r\n".encode())


def _uu(content: bytes) -> bytes:
    rows = [binascii.b2a_uu(content[place : place + 45]) for place in range(0, len(content), 45)]
    return b"begin 644 a.txt\n" + b"".join(rows) + b"`\nend\n"


def _chunks(octets: bytes, size: int) -> list[bytes]:
    return [octets[place : place + size] for place in range(0, len(octets), size)]


def _framed(template: str) -> _Make:
    return lambda a: header(template.replace("{}", a))


def _on_page(template: str) -> _Make:
    return lambda a: body(
        "text/html; charset=utf-8",
        f"<html>{template.replace('{}', a).replace('{{', '{')}</html>\r\n".encode(),
    )


def _attached(pack: Callable[[bytes], bytes]) -> _Make:
    fields = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64"
    return lambda a: parts((fields, lines(pack(f"sent to {a} now".encode()))))


def _spelled(carrier: str, spell: Callable[[str], str]) -> _Make:
    return lambda a: CARRIERS[carrier](spell(a))


PLACES: dict[str, _Make] = {
    **{f"field {template.split('{')[0]}": _framed(template) for template in _FIELDS},
    **{f"page {template}": _on_page(template) for template in _HTML},
    **_OTHER,
    **{name: _attached(pack) for name, pack in PACKED.items()},
    **{f"{name} in HTML": (_spelled("HTML", spell)) for name, spell in SPELLINGS.items()},
    **{f"{name} in a link of a base64 part": (_spelled("base64", spell)) for name, spell in SPELLINGS.items()},
}  # fmt: skip
"""Places of an address: a name, and what makes a message with that address there."""
NAME_PLACES: dict[str, _Make] = {
    "greeting": lambda name: body("text/plain; charset=utf-8", f"Dear {name}, you won.\r\n".encode()),
    "subject": lambda name: header(f"X-Subject: {_words(name)}, your parcel"),
    "display name": lambda name: header(f"To: {_words(name)} <x@third.example>"),
    "page": lambda name: body("text/html; charset=utf-8", qp(f"<p>Hello <b>{name}</b>!</p>".encode()), "quoted-printable"),
    "card": lambda name: parts(("Content-Type: text/vcard; charset=utf-8", f"BEGIN:VCARD\r\nFN:{name}\r\n".encode())),
    "link": lambda name: body("text/plain", f"https://x.example/?n={quote(name)}&x=1\r\n".encode()),
    "older charset": _in_an_older_charset,
    "garbled": lambda name: body("text/plain; charset=utf-8", f"Dear {name.encode().decode('cp1252', 'ignore') if 'ü' in name else name}, hi.\r\n".encode()),
}  # fmt: skip


def cases(person: Person) -> Iterator[Case]:
    """Every place of one person."""
    for place, make in PLACES.items():
        yield Case(place, make(person.address), person, (person.address,))
    for name in person.names[:1]:
        for place, make in NAME_PLACES.items():
            yield Case(f"name: {place}", make(name), person, (name,))


TOKENS: tuple[str, ...] = tuple(
    form
    for n in range(10)
    for form in (
        uuid.UUID(int=0x5EED << 100 | (n * 0x9E3779B97F4A7C15F39CC060)).hex,
        str(uuid.UUID(int=0xABCDEF12345 << 80 | (n + 1) * 0x9E3779B97F4A7C15)),
        base64.urlsafe_b64encode(bytes((n * 37 + k * 91) % 256 for k in range(15))).decode(),
        f"{(n + 3) * 7919 * 104729}",
        f"x{n}Gk{n + 2}sLqP{n}Zt",
    )
)
_T = _Make
TOKEN_PLACES: dict[str, _T] = {
    "Message-ID": lambda t: _TOP.replace(b"20261123.1@", t.encode() + b"@") + b"\r\n" + _END,
    "References": lambda t: header(f"References: <a@spam.example>\r\n <{t}@spam.example>"),
    "In-Reply-To": lambda t: header(f"In-Reply-To: <{t}@spam.example>"),
    "Return-Path (VERP)": lambda t: header(f"Return-Path: <bounces+{t}@esp.example>"),
    "Return-Path with a dash": lambda t: header(f"Return-Path: <bounce-{t}@esp.example>"),
    "Sender": lambda t: header(f"Sender: <b+{t}@esp.example>"),
    "SPF": lambda t: header(f"Received-SPF: pass (mx: domain of b+{t}@esp.example designates 192.0.2.7) envelope-from=b+{t}@esp.example;"),
    "results": lambda t: header(f"Authentication-Results: mx.victim.example; spf=pass smtp.mailfrom=b+{t}@esp.example"),
    "List-Unsubscribe": lambda t: header(f"List-Unsubscribe: <https://u.spam.example/{t}>, <mailto:out+{t}@u.spam.example>"),
    "List-Unsubscribe query": lambda t: header(f"List-Unsubscribe: <https://u.spam.example/out?id={t}>"),
    "List-Unsubscribe folded": lambda t: header(f"List-Unsubscribe: <https://u.spam.example/out/\r\n {t}>"),
    "List-Unsubscribe subject": lambda t: header(f"List-Unsubscribe: <mailto:out@u.spam.example?subject={t}>"),
    "List-Id": lambda t: header(f"List-Id: <{t}.list.spam.example>"),
    "Feedback-ID": lambda t: header(f"Feedback-ID: camp:{t}:shop:spam"),
    "X-Campaign": lambda t: header(f"X-Campaign-Recipient: {t}"),
    "X-SG-EID": lambda t: header(f"X-SG-EID: {t}"),
    "X-Entity-Ref-ID": lambda t: header(f"X-Entity-Ref-ID: {t}"),
    "X-Mailer-RecptId": lambda t: header(f"X-Mailer-RecptId: {t}"),
    "unknown field": lambda t: header(f"X-Whatever: v=1; r={t}; s=2"),
    "unknown field as encoded word": lambda t: header(f"X-Whatever: {_words(f'https://x.example/{t}')}"),
    "boundary": lambda t: parts(boundary=f"--=_{t}"),
    "Content-ID and cid": lambda t: parts(
        (f"Content-Type: image/png\r\nContent-ID: <{t}@x>", b"x"), ("Content-Type: text/html", f'<img src="cid:{t}@x">'.encode())
    ),
    "link query": lambda t: body("text/plain", f"https://click.spam.example/go?u={t}&l=en\r\n".encode()),
    "link query without a name": lambda t: body("text/plain", f"https://click.spam.example/go?{t}\r\n".encode()),
    "link path": lambda t: body("text/plain", f"https://click.spam.example/c/{t}/go.php\r\n".encode()),
    "link fragment": lambda t: body("text/plain", f"https://click.spam.example/#{t}\r\n".encode()),
    "link host": lambda t: body("text/plain", f"https://{host_label(t)}.click.spam.example/\r\n".encode()),
    "link user": lambda t: body("text/plain", f"https://{t}@click.spam.example/\r\n".encode()),
    "link in HTML": lambda t: body("text/html", f'<a href="https://click.spam.example/?a=1&amp;u={t}">x</a>\r\n'.encode()),
    "picture": lambda t: body("text/html", f"<img src=https://click.spam.example/o/{t}.gif width=1>\r\n".encode()),
    "scheme-less link": lambda t: body("text/html", f'<a href="//click.spam.example/{t}">x</a>'.encode()),
    "www link": lambda t: body("text/plain", f"www.click.spam.example/{t}\r\n".encode()),
    "link in quoted-printable": lambda t: body("text/html", qp(f'<a href="https://click.spam.example/go?u={t}">x</a>'.encode()), "quoted-printable"),
    "link in base64": lambda t: body("text/html", lines(f'<a href="https://click.spam.example/{t}">x</a>'.encode()), "base64"),
    "link in UTF-16": lambda t: body("text/plain; charset=utf-16le", lines(f"https://click.spam.example/{t} .".encode("utf-16-le")), "base64"),
    "link in a link": lambda t: body("text/plain", f"https://click.spam.example/r?to={quote(f'https://y.example/?u={t}', safe='')}\r\n".encode()),
    "link in a link, plain": lambda t: body("text/plain", f"https://click.spam.example/r/https://y.example/p?u={t}\r\n".encode()),
    "link in base64 in a link": lambda t: body(
        "text/plain", b"https://click.spam.example/r?to=" + base64.urlsafe_b64encode(f"https://y.example/?u={t}".encode()) + b"\r\n"
    ),
    "Safe Links": lambda t: body(
        "text/plain", f"https://nam02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fclick.spam.example%2F&data={t}&sdata=x\r\n".encode()
    ),
    "URL Defense": lambda t: body("text/plain", f"https://urldefense.com/v3/__https://click.spam.example/__;!!{t}!x$\r\n".encode()),
    "mailto": lambda t: body("text/html", f'<a href="mailto:out+{t}@u.spam.example?subject={t}">x</a>'.encode()),
    "calendar": lambda t: parts(("Content-Type: text/calendar", f"BEGIN:VEVENT\r\nURL:https://click.spam.example/{t}\r\n".encode())),
    "nested message": lambda t: _nested(f"Message-ID: <{t}@spam.example>\r\n\r\nhttps://click.spam.example/{t}\r\n".encode(), 1),
    "id of the host that took it": lambda t: _TOP.replace(b"id 4Qx", b"id " + t.encode()) + b"\r\n" + _END,
    "header code again in the text": lambda t: header(f"X-Campaign: {t}")[:-2] + f"\r\nYour number: {t}\r\n".encode(),
}  # fmt: skip
"""Places of a code: in every one of them level `strict` hides it."""


def host_label(token: str) -> str:
    """A code as a label of a host name."""
    return token.lower().replace("_", "-").replace("=", "").strip("-")
