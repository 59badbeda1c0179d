"""A generator of texts in which a person is encoded in ways nested at random, whole or in pieces, or nearly so.

`texts` yields the text and its person. Nothing is told about whether the checker should find anything: it is
for comparing two ways to search.
"""

import base64
import binascii
import bz2
import codecs
import gzip
import hashlib
import quopri
import random
from collections.abc import Callable, Iterator
from functools import partial
from html import escape

from complaints.redact import Identity

PEOPLE = (
    Identity(("alice.reporter@victim.example",), ("Alice Miller",)),
    Identity(("bob@gmail.com", "x@b4.example"), ("Bob Ng",)),
    Identity(("jo+lists@sub.post-haus.example",), ("Johanna Weiß",)),
    Identity(("jürgen@bücher.example",), ("Jürgen Groß-Öhler",), ("Rose Street 7",)),
    Identity(("1234567@v.example", "o'neil_x@mail.victim.example"), ("山田 太郎",)),
)
_Rng = random.Random
_Way = Callable[[bytes, _Rng], bytes]
_FILL = (
    "the quick brown fox ", '<p class=3D"x">', "</p>\r\n", "\r\n\r\n", "\r\n ", "\r\n\t", "=20", "=3D", "=\r\n",
    "&nbsp;", "&amp;", "%20", "%", "&", "\\", "<", ">", "<!--", "-->", "=", "=?utf-8?q?", "?=", "é", "\u200b",
    "abcdefghijklmnop", "QUJDREVGR0hJSktM", "4a4b4c4d4e4f50515253545556", "+", "' + '", "0x41, ", "/", "-_", "\0",
    "e\u0301", "ａｂ", "begin 644 x\r\n", "\r\nend\r\n", "Tom\r\n", "%2", "&#", "\\x", "*1=", "@", " at ", "dot", "mail",
)  # fmt: skip


def _some(text: bytes, rng: _Rng, each: Callable[[int], bytes]) -> bytes:
    share = rng.choice((0.1, 0.5, 1))
    return b"".join(each(octet) if rng.random() < share else bytes((octet,)) for octet in text)


def _between(text: bytes, rng: _Rng, *what: bytes) -> bytes:
    share = rng.choice((0.1, 0.3, 1))
    one = rng.choice(what)
    return b"".join(
        bytes((octet,)) + (one if octet < 0x80 and rng.random() < share else b"") for octet in text
    )


def _base64(text: bytes, rng: _Rng) -> bytes:
    whole = base64.b64encode(rng.randbytes(rng.randrange(4)) + text + rng.randbytes(rng.randrange(4)))
    kind = rng.randrange(5)
    if kind == 0:
        return whole.translate(bytes.maketrans(b"+/", b"-_")).rstrip(b"=")
    if kind == 1:
        return b"\r\n".join(whole[place : place + 60] for place in range(0, len(whole), 60)) + b"\r\n"
    if kind == 2:
        return b"=?utf-8?B?" + whole + b"?="
    return b"\r\n\r\n" + whole + b"\r\n" if kind == 3 else rng.choice((b"", b"z", b"zZ", b"u=")) + whole


def _words(text: bytes, rng: _Rng) -> bytes:
    """A row of encoded words, which may be long, of one kind or of both, now and then from another letter on."""
    text = rng.choice((b"", b"Nothing but words. " * 8)) + text
    kinds = rng.choice((b"B", b"Q", b"BQ"))
    row = []
    for place in range(0, len(text), 45):
        piece = text[place : place + 45]
        if (kind := rng.choice(kinds)) == ord("B"):
            coded = rng.choice((b"", b"", b"", b"z")) + base64.b64encode(piece)
        else:
            coded = quopri.encodestring(piece, header=True).replace(b"=\n", b"").replace(b"?", b"=3F")
        row.append(b"=?utf-8?%c?%b?=" % (kind, coded))
    return b"\r\n ".join(row)


def _hex(text: bytes, rng: _Rng) -> bytes:
    digits = binascii.hexlify(text, rng.choice(" -:")) if rng.random() < 0.3 else binascii.hexlify(text)
    return rng.choice((b"", b"a", b"0")) + (digits.upper() if rng.random() < 0.3 else digits)


def _digest(text: bytes, rng: _Rng) -> bytes:
    made = hashlib.new(rng.choice(("md5", "sha1", "sha256")), text.strip().lower())
    return rng.choice((made.hexdigest().encode(), base64.b64encode(made.digest()), made.digest()))


def _wide(text: bytes, rng: _Rng) -> bytes:
    return text.decode("utf-8", "ignore").encode(rng.choice(("utf-16-le", "utf-16-be", "utf-16")))


def _full_width(text: bytes, rng: _Rng) -> bytes:
    return _some(
        text, rng, lambda octet: chr(octet + 0xFEE0).encode() if 0x21 <= octet < 0x7F else bytes((octet,))
    )


def _entity(text: bytes, rng: _Rng) -> bytes:
    form = rng.choice((b"&#%d;", b"&#x%x;", b"&#x%04X;"))
    return _some(text, rng, lambda octet: form % octet if octet < 0x80 else bytes((octet,)))


def _script(text: bytes, rng: _Rng) -> bytes:
    form = rng.choice((b"\\x%02x", b"\\u%04x", b"\\u{%x}", b"\\%03o"))
    return _some(text, rng, lambda octet: form % octet if octet < 0x80 else bytes((octet,)))


WAYS: dict[str, _Way] = {
    "percent": lambda text, rng: _some(text, rng, lambda octet: b"%%%02X" % octet),
    "percent twice": lambda text, rng: _some(text, rng, lambda octet: b"%%25%02x" % octet),
    "entity": _entity,
    "escaped for a page": lambda text, _: escape(text.decode("latin-1")).encode("latin-1"),
    "script": _script,
    "quoted": lambda text, _: quopri.encodestring(text),
    "quoted all": lambda text, rng: _some(text, rng, lambda octet: b"=%02X" % octet),
    "soft breaks": lambda text, rng: _between(text, rng, b"=\r\n", b"= \n"),
    "base64": _base64,
    "words": _words,
    "hex": _hex,
    "digest": _digest,
    "wide": _wide,
    "rot13": lambda text, _: codecs.encode(text.decode("latin-1"), "rot13").encode("latin-1"),
    "reversed": lambda text, _: text[::-1],
    "full width": _full_width,
    "unseen": lambda text, rng: _between(text, rng, "\u200b".encode(), "\u2060".encode(), b"\xc2\xad"),
    "tags": lambda text, rng: _between(text, rng, b"<b>", b"<i class=x></i>", b"</span><span title='a b'>"),
    "comments": lambda text, rng: _between(text, rng, b"<!-- x -->", b"<!--<b>-->"),
    "spaced": lambda text, rng: _between(text, rng, b" ", b".", b"\r\n "),
    "concatenated": lambda text, rng: _between(text, rng, b"' + '", b'"+"'),
    "packed": lambda text, rng: base64.b64encode(
        rng.choice((partial(gzip.compress, mtime=0), bz2.compress))(text)
    ),
    "upper case": lambda text, _: text.upper(),
    "uuencoded": lambda text, _: b"\r\nbegin 644 x\r\n" + binascii.b2a_uu(text[:45]) + b"`\r\nend\r\n",
    "as it is": lambda text, _: text,
}


def carried(who: Identity, rng: _Rng) -> str:
    """A spelling of a person, or something that is nearly one."""
    address = rng.choice(who.addresses)
    local, _, domain = address.partition("@")
    return rng.choice(
        (
            address, address, f"{local}+tag@{domain}", f"bounce-{local}={domain}@spam.example", local, domain,
            f"{local} [at] {domain.replace('.', ' dot ')}", f"{domain}/{local}", address[1:], f"{local}{domain}",
            *who.names, *who.names, *who.words, who.names[0].split()[0], "nobody@nowhere.example",
        )
    )  # fmt: skip


def texts(seed: int, number: int) -> Iterator[tuple[bytes, Identity]]:
    """Yield so many texts, each with whose it may be; the same ones for the same seed."""
    rng = random.Random(seed)
    for _ in range(number):
        who = rng.choice(PEOPLE)
        pieces = [_fill(rng)]
        for _ in range(rng.choice((1, 1, 2))):
            hidden = carried(who, rng).encode()
            for way in rng.choices(list(WAYS), k=rng.choice((0, 1, 1, 2, 2, 3))):
                hidden = WAYS[way](_fill(rng, 3) + hidden + _fill(rng, 3), rng)
            pieces += (hidden, _fill(rng))
        head = b"Subject: x\r\n" + rng.choice(
            (
                b"",
                b"Content-Type: text/html; charset=utf-16le\r\n",
                b"Content-Transfer-Encoding: quoted-printable\r\n",
            )
        )
        yield head + b"\r\n" + b"".join(pieces), who


def _fill(rng: _Rng, most: int = 12) -> bytes:
    return "".join(rng.choices(_FILL, k=rng.randrange(most))).encode()
