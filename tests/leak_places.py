"""Where the checker must find a person: all places of the redactor's generator, and more; innocent and hostile mail.

`cases` yields a message, whose it is, and the place. The people are more varied than the redactor's: tags,
short local parts, hyphens, other scripts in names, domains and local parts, and aliases.
"""

import base64
import gzip
import hashlib
import io
import random
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from urllib.parse import quote

from tests.redaction_places import NAME_PLACES, PEOPLE, PLACES, Case, Person, body, header, lines, parts, qp

_MORE = (
    Person(("bob+lists@victim.example",)),
    Person(("x@b4.example",)),
    Person(("jo@victim.example", "johanna.weiss@post-haus.example"), ("Johanna Weiß",)),
    Person(("kim@bücher.example",)),
    Person(("kim@xn--bcher-kva.example",), ("Kim Ōe",)),
    Person(("jürgen@victim.example",), ("Jürgen Groß-Öhler",)),
    Person(("ольга@пример.example",), ("Ольга Петрова",)),
    Person(("a.b.c.d@googlemail.com",), ("Li Wu",)),
    Person(("o'brien-smith@mail.victim.example",), ("Fionnuala O'Brien",)),
    Person(("per_son=x@victim.example",)),
    Person(("1234567@victim.example",), ("山田 太郎",)),
    Person(("very.long.local.part.of.an.address.indeed@sub.domain.of.victim.example",)),
)
EVERYBODY = (*PEOPLE, *_MORE)
_Make = Callable[[str], bytes]


def _link(token: str) -> bytes:
    return body("text/html", f'<a href="https://click.spam.example/x?u={token}&l=en">x</a>\r\n'.encode())


def _base64(text: str) -> str:
    return base64.b64encode(f"hello {text} hello".encode()).decode()


def _letters(address: str) -> str:
    return "".join(letter for letter in address if letter.isalnum())


def _yenc(content: bytes) -> bytes:
    """A file in yEnc: each octet 42 more, and some behind a sign."""
    coded = b"".join(
        b"=%c" % ((octet + 106) % 256)
        if (octet + 42) % 256 in {0, 10, 13, 61}
        else b"%c" % ((octet + 42) % 256)
        for octet in content
    )
    return b"=ybegin line=128 size=%d name=x\r\n%b\r\n=yend size=%d\r\n" % (len(content), coded, len(content))


_CYRILLIC = str.maketrans("aeopcx", "\u0430\u0435\u043e\u0440\u0441\u0445")


MORE_PLACES: dict[str, _Make] = {
    "gzip in a link": lambda a: _link(base64.urlsafe_b64encode(gzip.compress(f" {a} ".encode())).decode()),
    "hex with spaces": lambda a: body("text/plain", a.encode().hex(" ").encode()),
    "hex with colons": lambda a: body("text/plain", a.encode().hex(":").encode()),
    "hex with 0x": lambda a: body("text/plain", ", ".join(f"0x{octet:02x}" for octet in a.encode()).encode()),
    "hex of hex": lambda a: _link(a.encode().hex().encode().hex()),
    "hex in base64": lambda a: _link(base64.b64encode(a.encode().hex().encode()).decode()),
    "base64 in percent": lambda a: _link(quote(base64.b64encode(f"e={a}".encode()).decode(), safe="")),
    "base64 in entities": lambda a: _link("".join(f"&#{o};" for o in base64.b64encode(f"e={a}".encode()))),
    "base64 five times": lambda a: _link(_times(a.encode(), 5).decode()),
    "base64 broken by soft breaks": lambda a: body(
        "text/html", _broken(base64.b64encode(f"e={a}".encode()), b"=\r\n"), "quoted-printable"
    ),
    "base64 in a folded field": lambda a: header(
        f"X-Id: {_broken(base64.b64encode(f'e={a}'.encode()), chr(10).encode() + b' ').decode()}"
    ),
    "percent of entities": lambda a: _link(quote("".join(f"&#{ord(c)};" for c in a), safe="")),
    "entities of percent": lambda a: _link("".join(f"&#{ord(c)};" for c in quote(a, safe=""))),
    "character codes": lambda a: body(
        "text/html", f"<script>String.fromCharCode({','.join(map(str, a.encode()))})</script>".encode()
    ),
    "digest in a record": lambda a: _link(
        base64.b64encode(b"\x01" + hashlib.sha256(a.lower().encode()).digest() + b"\x02").decode()
    ),
    "digest in capitals": lambda a: _link(hashlib.sha1(a.lower().encode()).hexdigest().upper()),
    "digest broken by a fold": lambda a: header(
        f"X-Id: {hashlib.md5(a.lower().encode()).hexdigest()[:16]}\r\n {hashlib.md5(a.lower().encode()).hexdigest()[16:]}"
    ),
    "spaced": lambda a: body("text/plain; charset=utf-8", " ".join(a).encode()),
    "comment inside": lambda a: body("text/html; charset=utf-8", f"{a[:1]}<!-- a > b -->{a[1:]}".encode()),
    "boundary inside": lambda a: body("text/plain; charset=utf-8", f"--\r\nto:\t<{a}>\r\n--".encode()),
    "no header at all": lambda a: f"hello {a} hello".encode(),
    "only zeros around": lambda a: b"\0\0\0" + a.encode() + b"\0\0\0",
    "declared as something else": lambda a: body("image/png", lines(f"it is {a} here".encode()), "base64"),
    "yEnc": lambda a: body("text/plain", _yenc(f"hello {a} hello".encode())),
    "quoted-printable twice": lambda a: body(
        "text/plain", qp("".join(f"={octet:02X}" for octet in a.encode()).encode())
    ),
    "file name in pieces out of order": lambda a: parts(
        (f'Content-Type: image/png;\r\n name*1="{a[3:]}";\r\n name*0="{a[:3]}"', b"x")
    ),
    "encoded words broken within a group": lambda a: header(
        f"X-To: =?utf-8?b?{_base64(a)[:7]}?=\r\n =?utf-8?b?{_base64(a)[7:]}?="
    ),
    "comment beside the @": lambda a: body("text/plain; charset=utf-8", a.replace("@", "@(here) ").encode()),
    "without any signs": lambda a: body("text/plain; charset=utf-8", _letters(a).encode()),
    "longer digest": lambda a: _link(hashlib.sha512(a.lower().encode()).hexdigest()),
    "digest of a mailto": lambda a: _link(hashlib.sha1(f"mailto:{a.lower()}".encode()).hexdigest()),
    "digest cut short": lambda a: _link(hashlib.sha256(a.lower().encode()).hexdigest()[:20]),
    "middle of an MD5": lambda a: _link(hashlib.md5(a.lower().encode()).hexdigest()[8:24]),
    "digest of a digest": lambda a: _link(
        hashlib.sha1(hashlib.md5(a.lower().encode()).hexdigest().encode()).hexdigest()
    ),
    "base32": lambda a: _link(base64.b32encode(f"e={a.lower()}".encode()).decode()),
    "encoded words in quoted-printable": lambda a: body(
        "text/plain", qp(f"Subject: =?utf-8?b?{_base64(a)}?=".encode())
    ),
    "encoded words in encoded words": lambda a: header(
        f"X-To: =?utf-8?b?{base64.b64encode(f'=?utf-8?b?{_base64(a)}?='.encode()).decode()}?="
    ),
    "letters of another alphabet": lambda a: body(
        "text/html; charset=utf-8", f"x {a.translate(_CYRILLIC)} x".encode()
    ),
    "encoding that nobody knows": lambda a: body("text/plain", lines(f"it is {a} here".encode()), "x-base-64"),
}  # fmt: skip
"""Places that only the checker looks into."""


def _times(octets: bytes, times: int) -> bytes:
    for _ in range(times):
        octets = base64.b64encode(octets)
    return octets


def _broken(octets: bytes, gap: bytes, size: int = 7) -> bytes:
    return gap.join(octets[place : place + size] for place in range(0, len(octets), size))


MORE_NAME_PLACES: dict[str, _Make] = {
    "name in capitals": lambda name: body("text/plain; charset=utf-8", f"DEAR {name.upper()}\r\n".encode()),
    "name in base64": lambda name: body("text/plain; charset=utf-8", lines(f"Dear {name}, hello\r\n".encode()), "base64"),
    "name in UTF-16": lambda name: body("text/plain; charset=utf-16le", lines(f"Dear {name}, hi".encode("utf-16-le")), "base64"),
    "name in entities": lambda name: body("text/html", "".join(f"&#{ord(char)};" for char in name).encode()),
    "name split by tags": lambda name: body("text/html; charset=utf-8", f"<p>{name[:2]}<i></i>{name[2:]}</p>".encode()),
    "name garbled": lambda name: body(
        "text/plain; charset=utf-8", f"Dear {name.encode().decode('cp1252', 'ignore')},".encode()
    ),
    "name decomposed": lambda name: body("text/plain; charset=utf-8", unicodedata.normalize("NFD", f"Hi {name}!").encode()),
    "name with a fold": lambda name: header(f"X-To: =?utf-8?B?{base64.b64encode(name.encode()).decode()}?=\r\n <a@b.example>"),
}  # fmt: skip


def cases() -> Iterator[Case]:
    """Every place of every person, whichever of their addresses; what is no text for a place is left out."""
    for person in EVERYBODY:
        for address in person.addresses:
            for place, make in (PLACES | MORE_PLACES).items():
                if address.isascii() or place in MORE_PLACES:
                    yield Case(place, make(address), person, (address,))
        for name in person.names:
            for place, make in (NAME_PLACES | MORE_NAME_PLACES).items():
                yield Case(f"name: {place}", make(name), person, (name,))


INNOCENT: tuple[tuple[Person, str], ...] = (
    (Person(("alice@victim.example",)), "alice@victim.exam malice@other.example alice@victim.test"),
    (Person(("al@victim.example",)), "hal@victim.example al@victim.test al.b@victim.example"),
    (Person(("al@victim.example",)), "al and all of victim.example"),
    (Person(("rodrigo-f-p@hotmail.com",)), "rodrigo-fp@hotmail.com and rodrigo_f_p@hotmail.org"),
    (Person(("info@victim.example",)), "info: see https://victim.example/ or info@shop.example"),
    (Person(("mark@victim.example",), ("Mark Will",)), "marked, willing, remarkable, goodwill"),
    (Person(("x1@victim.example",), ("Alice Archer",)), "https://alice.archer.example/ bob.alice@shop.example"),
    (Person(("x1@victim.example",), ("Alice Archer",)), "mx.archer.example told us"),
    (Person(("x1@victim.example",), ("Li Wu",)), "Li and Wu, Wulin, lilac; L. W."),
    (Person(("x1@victim.example",), ("A. B. Miller",)), "A. B. is a person of two letters"),
    (Person(("x1@victim.example",), ("Ольга",)), "Вольгард и Ольгарт"),
    (Person(("x1@victim.example",)), "redacted-abcdefghijklm@victim.example"),
    (Person(("alice@victim.example",)), "d41d8cd98f00b204e9800998ecf8427e 1B2M2Y8AsgTpgAmY7PhCfg=="),
    (Person(("bob@gmail.com",)), "gmail.com for bobby; bob_b@gmail.com; kate.bob@gmail.org"),
)  # fmt: skip
"""People, and what only looks like them."""
_HEAD = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"


def _of(piece: bytes, head: bytes = _HEAD) -> Callable[[int], bytes]:
    return lambda size: head + piece * ((size - len(head)) // len(piece))


def _bomb(size: int) -> bytes:
    return _HEAD + base64.encodebytes(gzip.compress(bytes(size * 20), 1)[: size * 3 // 4])


def _zip_of_many(size: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(min(size // 200, 60_000)):
            archive.writestr(f"{number}.txt", b"The quick brown fox")
    return _HEAD + base64.encodebytes(packed.getvalue())[:size]


def _base64_of_base64(size: int) -> bytes:
    text = b"Nothing is said here, again and again. " * (size // 160)
    for _ in range(4):
        text = base64.encodebytes(text)
    return _HEAD + text[:size]


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "base64 of an attachment": lambda size: (
        _HEAD + base64.encodebytes(random.Random(1).randbytes(size * 3 // 4))
    ),
    "base64 without line breaks": lambda size: (
        _HEAD + base64.b64encode(random.Random(1).randbytes(size * 3 // 4))
    ),
    "base64 of base64 of base64": _base64_of_base64,
    "base64 that is text from any letter": _of(b"QUFB"),
    "percent signs": _of(b"%"),
    "percent signs of percent signs": _of(b"%25"),
    "percent of letters": _of(b"%61%6c"),
    "ampersands": _of(b"&"),
    "entities": _of(b"&#97;&amp;"),
    "backslashes": _of(b"\\"),
    "beginnings of uuencoding": _of(b"begin 644 "),
    "script escapes": _of(b"\\u0061"),
    "parts": _of(b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"),
    "short bodies in base64": _of(b"\n\nYWJjZGVmZ2hpamts\n"),
    "nested messages": _of(
        b"\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n"
    ),
    "archive bomb": _bomb,
    "archive of many files": _zip_of_many,
    "starts of archives": _of(b"PK\3\4 \x1f\x8b\x08 UEsDB H4sIA "),
    "beginnings of tags": _of(b"<"),
    "ends of tags before words": _of(b">abcdefgh"),
    "short words between tags": _of(b"<b>a</b>"),
    "beginnings of comments": _of(b"<!--"),
    "encoded words": _of(b"=?utf-8?q?=41?= ", b"Subject: "),
    "beginnings of encoded words": _of(b"=?a?q?", b"Subject: "),
    "folds": _of(b"a%\r\n ", b"Subject: "),
    "continued parameters": _of(b"; name*1*=a", b"Content-Type: a/b"),
    "local parts": _of(b"alice.reporter"),
    "local parts and domains": _of(b"alice.reporter victim.example al@ "),
    "names in a field of hosts": _of(b" alice", b"Received: x"),
    "names in hosts": _of(b" alice.example"),
    "zero-width spaces": _of("a\u200b".encode()),
    "full-width letters": _of("\uff41".encode()),
    "hex": _of(b"616c"),
    "zeros": _of(b"\0"),
    "uuencoded beginnings": _of(b"begin 644 a\n"),
    "character codes": _of(b"97, 98, ", b"\r\nString.fromCharCode("),
    "text": _of(b"The quick brown fox jumps over the lazy dog.\r\n"),
}
"""What costs most, of any size: none of it shows anybody, and some of it may not be read to the end."""
