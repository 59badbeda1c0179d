"""Where spam hides its reader's address: ways to spell it, and messages to put that in."""

import base64
import codecs
import hashlib
import quopri
from collections.abc import Callable
from urllib.parse import quote

Spelling = Callable[[str], str]
Carrier = Callable[[str], bytes]


def _each(form: str) -> Spelling:
    return lambda address: "".join(form.format(ord(char)) for char in address)


def _verp(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"bounces+123-{local}={domain}@esp.example"


def _srs(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"SRS0=Ab1=cD={domain}={local}@forwarder.example"


def _tagged(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}+shop-2024@{domain}"


def _between(address: str, gap: str) -> str:
    return gap.join(address)


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


SPELLINGS: dict[str, Spelling] = {
    "plain": str,
    "upper case": str.upper,
    "mixed case": str.title,
    "plus-tagged": _tagged,
    "VERP": _verp,
    "VERP in percent": lambda a: quote(_verp(a), safe=""),
    "SRS": _srs,
    "spoken": lambda a: a.replace("@", " [at] ").replace(".", " [dot] ") if "." not in a.split("@")[0] else a,
    "underscore for at": lambda a: a.replace("@", "_at_"),
    "percent": lambda a: quote(a, safe=""),
    "percent twice": lambda a: quote(quote(a, safe=""), safe=""),
    "percent thrice": lambda a: quote(quote(quote(a, safe=""), safe=""), safe=""),
    "every letter in percent": _each("%{0:02x}"),
    "JavaScript's escape()": _each("%u{0:04x}"),
    "decimal entities": _each("&#{0};"),
    "hex entities": _each("&#x{0:X};"),
    "padded entities": _each("&#{0:07d};"),
    "entity for at": lambda a: a.replace("@", "&commat;"),
    "doubly escaped entities": _each("&amp;#{0};"),
    "unicode escapes": _each("\\u{0:04x}"),
    "hex escapes": _each("\\x{0:02x}"),
    "ES6 escapes": _each("\\u{{{0:x}}}"),
    "octal escapes": _each("\\{0:03o}"),
    "concatenated strings": lambda a: f"'{a[:3]}' + '{a[3:8]}'+'{a[8:]}'",
    "tags inside": lambda a: f"{a[:2]}<b></b>{a[2:6]}<span style='x:y'>{a[6:9]}</span>{a[9:]}",
    "comments inside": lambda a: f"{a[:2]}<!-- x -->{a[2:]}",
    "zero-width space": lambda a: _between(a, "\u200b"),
    "soft hyphen": lambda a: _between(a, "\u00ad"),
    "soft hyphen entity": lambda a: _between(a, "&shy;"),
    "full width": lambda a: "".join(chr(ord(c) + 0xFEE0) for c in a),
    "mathematical": lambda a: "".join(
        chr(0x1D41A + ord(c) - 97) if c.isalpha() and c.islower() else c for c in a
    ),
    "reversed": lambda a: a[::-1],
    "rot13": lambda a: codecs.encode(a, "rot13"),
    "base64": lambda a: _b64(a.encode()),
    "base64 at offset 1": lambda a: _b64(b"|" + a.encode() + b"|1"),
    "base64 at offset 2": lambda a: _b64(b"x|" + a.encode() + b"|12"),
    "base64url without padding": lambda a: (
        base64.urlsafe_b64encode(b"\xfb\xff>" + a.encode()).decode().rstrip("=")
    ),
    "base64 behind other letters": lambda a: "id-" + _b64(b"e=" + a.encode()),
    "base64 of JSON": lambda a: _b64(b'{"r":"' + a.encode() + b'","c":"1"}'),
    "base64 of mixed case": lambda a: _b64(a.title().encode()),
    "base64 of percent": lambda a: _b64(quote(a, safe="").encode()),
    "base64 twice": lambda a: _b64(_b64(a.encode()).encode()),
    "base64 thrice": lambda a: _b64(_b64(_b64(a.encode()).encode()).encode()),
    "base64 of UTF-16": lambda a: _b64(a.encode("utf-16-le")),
    "base64 in a binary record": lambda a: _b64(
        b"\x08\x96\x01\x12" + bytes([len(a)]) + a.encode() + b"\x18\x01"
    ),
    "hex": lambda a: a.encode().hex(),
    "hex in upper case": lambda a: a.encode().hex().upper(),
    "hex at odd offset": lambda a: "f" + a.encode().hex() + "0",
    "hex of base64": lambda a: _b64(a.encode()).encode().hex(),
    "md5": lambda a: hashlib.md5(a.encode()).hexdigest(),
    "sha1": lambda a: hashlib.sha1(a.encode()).hexdigest(),
    "sha256": lambda a: hashlib.sha256(a.encode()).hexdigest(),
    "sha256 in upper case": lambda a: hashlib.sha256(a.encode()).hexdigest().upper(),
    "sha1 in base64": lambda a: _b64(hashlib.sha1(a.encode()).digest()),
    "md5 of the upper-case address": lambda a: hashlib.md5(a.upper().encode()).hexdigest(),
}

TOP = (
    b"Return-Path: <news@spam.example>\r\n"
    b"Received: from sender.spam.example (sender.spam.example [192.0.2.7]) by mx.victim.example\r\n"
    b"\twith ESMTPS id 4Qx; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    b"From: Shop <news@spam.example>\r\nSubject: Big news, click https://click.spam.example/\r\n"
    b"Message-ID: <20261123.1@spam.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
)
KEPT = (b"[192.0.2.7]", b"sender.spam.example", b"mx.victim.example", b"Big news, click https://click.spam.example/",
        b"<20261123.1@spam.example>", b"news@spam.example")  # fmt: skip


def _text(kind: str, encoding: str, body: bytes) -> bytes:
    return TOP + f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


def _html(text: str) -> str:
    return f'<html><body><p>Hello</p><a href="https://click.spam.example/x?u={text}">go</a> {text} </body></html>\r\n'


def _multipart(head: str, body: bytes) -> bytes:
    return (
        TOP
        + b'Content-Type: multipart/mixed; boundary="=_b1"\r\n\r\nThis is MIME.\r\n--=_b1\r\nContent-Type: text/plain\r\n\r\n'
        b"Hello\r\n--=_b1\r\n" + head.encode() + b"\r\n" + body + b"\r\n--=_b1--\r\n"
    )


def _qp(text: str) -> bytes:
    return quopri.encodestring(text.encode().replace(b"\r\n", b"\n"), quotetabs=True).replace(b"\n", b"\r\n")


def _lines(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


CARRIERS: dict[str, Carrier] = {
    "header": lambda t: TOP + b"X-Track: id=" + t.encode() + b"; x=1\r\n\r\nbody\r\n",
    "folded header": lambda t: (
        TOP
        + b"X-Track: "
        + t[: len(t) // 2].encode()
        + b"\r\n\t"
        + t[len(t) // 2 :].encode()
        + b"\r\n\r\nbody\r\n"
    ),
    "list header": lambda t: (
        TOP + b"List-Unsubscribe: <https://u.spam.example/?" + t.encode() + b">\r\n\r\nbody\r\n"
    ),
    "encoded word (B)": lambda t: (
        TOP + b"X-Greeting: =?utf-8?B?" + base64.b64encode(f"Hi {t} !".encode()) + b"?=\r\n\r\nb\r\n"
    ),
    "encoded word (Q)": lambda t: (
        TOP
        + b"X-Greeting: =?utf-8?Q?"
        + "".join(f"={o:02X}" for o in f"Hi {t} !".encode()).encode()
        + b"?=\r\n\r\nb\r\n"
    ),
    "text": lambda t: _text("text/plain; charset=utf-8", "8bit", f"Dear {t} , you won.\r\n".encode()),
    "HTML": lambda t: _text("text/html; charset=utf-8", "8bit", _html(t).encode()),
    "quoted-printable": lambda t: _text("text/html; charset=utf-8", "quoted-printable", _qp(_html(t))),
    "base64": lambda t: _text("text/html; charset=utf-8", "base64", _lines(_html(t).encode())),
    "UTF-16 in base64": lambda t: _text(
        "text/plain; charset=utf-16", "base64", _lines(_html(t).encode("utf-8").decode().encode("utf-16"))
    ),
    "part in base64": lambda t: _multipart(
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
        _lines(_html(t).encode()),
    ),
    "calendar": lambda t: _multipart(
        "Content-Type: text/calendar\r\nContent-Transfer-Encoding: base64\r\n",
        _lines(f"BEGIN:VCALENDAR\r\nDESCRIPTION:{t} x\r\n".encode()),
    ),
    "nested message": lambda t: _multipart(
        "Content-Type: message/rfc822\r\n",
        b"Subject: inner\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + _lines(f"see {t} .".encode()),
    ),
    "nested message in base64": lambda t: _multipart(
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n",
        _lines(f"Subject: inner\r\n\r\nsee {t} .\r\n".encode()),
    ),
    "octet-stream": lambda t: _multipart(
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n",
        _lines(f"<a>{t}</a>".encode()),
    ),
    "undeclared base64": lambda t: TOP + b"\r\n" + _lines((f"Dear {t} , " + "you have won. " * 12).encode()),
    "epilogue": lambda t: _multipart("Content-Type: text/plain\r\n", b"x") + f"after {t} .\r\n".encode(),
}
