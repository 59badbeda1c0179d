"""Targets that read what stands below the header: parts, charsets, links."""

from collections.abc import Hashable

from complaints.encodings import decode_base64, decode_text
from complaints.encodings import printable as shown
from complaints.links import MAX_LINKS, Links, links
from complaints.message import MAX_DEPTH, MAX_HEADERS, MAX_PARTS, parse
from complaints.urls import read_host, read_url, refang
from tests.fuzz import grammar, seeds
from tests.fuzz.target import Target, lies_in, link_host, printable

_MAIL_WORDS = (
    *(
        b"\r\n--b1\r\n",
        b"\r\n--b1--\r\n",
        b"Content-Type: ",
        b"multipart/mixed; boundary=b1",
        b"message/rfc822",
        b"text/html",
    ),
    *(
        b"Content-Transfer-Encoding: base64",
        b"quoted-printable",
        b"From x@y Tue Nov 24 01:02:03 2026\n",
        b"\r\n\r\n",
        b"\n\n",
    ),
    *(
        b"Content-Disposition: attachment; filename=x.eml",
        b"Received: ",
        b"Subject: ",
        b"charset=",
        b"--",
        b">From ",
    ),
)
_HTML_WORDS = (
    *(
        b"<a href=",
        b"<base href=",
        b"<img src=",
        b"srcset=",
        b"<meta http-equiv=refresh content='0;url=",
        b"<style>",
        b"url(",
    ),
    *(
        b"@import '",
        b"<script>",
        b"javascript:",
        b"data:text/html;base64,",
        b"<form action=",
        b"<table background=",
        b"<!--",
        b"-->",
    ),
    *(
        b"&#104;",
        b"&amp;",
        b"&colon;",
        b"<area href=",
        b"<map>",
        b"</a>",
        b"<svg>",
        b"<template>",
        b"<noscript>",
        b"<![CDATA[",
    ),
)
_LINK_WORDS = (
    *(
        b"http://",
        b"https:\\\\",
        b"www.",
        b"hxxp",
        b"[.]",
        b"(dot)",
        b"mailto:",
        b"tel:+1",
        b"a.example",
        b"%2e",
        b"%25",
        b"@",
    ),
    *(
        b"0x7f.1",
        b"0177.1",
        b"3221225985",
        b"[::1]",
        b"[::ffff:192.0.2.1]",
        b"xn--",
        b":80",
        b"?url=",
        b"&u=",
        b"/v3/__",
        b"__;",
    ),
    *(
        b"https://urldefense.com/v3/__https:/*x__;KysrIQ!!",
        b"https://nam01.safelinks.protection.outlook.com/?url=",
        b"u=https-3A__",
    ),
)
CHARSETS = (
    *(
        "utf-8",
        "us-ascii",
        "iso-8859-1",
        "utf-7",
        "utf-16",
        "utf-16-le",
        "utf-32",
        "iso-2022-jp",
        "iso-2022-kr",
        "hz",
        "gb2312",
    ),
    *(
        "big5",
        "shift_jis",
        "euc-kr",
        "koi8-r",
        "cp037",
        "unicode_escape",
        "raw_unicode_escape",
        "idna",
        "punycode",
        "undefined",
    ),
    *(
        "zlib",
        "hex",
        "rot13",
        "base64",
        "bz2",
        "uu",
        "mbcs",
        "cp65001",
        "utf_8_sig",
        "utf-8\0",
        "\u0130",
        "",
        "charmap",
        "palmos",
    ),
)


def check_message(data: bytes) -> Hashable:
    message = parse(data)
    assert len(message.headers) <= MAX_HEADERS
    end = 0
    for header in message.headers:
        assert header.start >= end
        end = header.end
        assert lies_in(data, header.start, header.end) == header.raw
        assert header.name.isascii()
        assert header.name.isprintable()
        printable(header.text)
        assert b"\n" not in header.value.replace(
            b"\n", b"", header.value.count(b"\n") if b"\n\n" in header.raw else 0
        )
    assert message.body >= end
    parts = message.parts
    assert len(parts) <= MAX_PARTS + 1
    end = 0
    for part in parts:
        lies_in(data, part.start, part.end)
        assert part.start >= end, "parts lie in each other"
        end = part.end
        assert 0 <= part.depth <= MAX_DEPTH + 1
        printable(part.filename)
        content = part.content()
        assert len(content) <= part.end - part.start
        assert len(part.text(200)) <= 4 * 200
    kinds = sorted({part.content_type.partition("/")[0][:6] for part in parts})
    return (len(message.headers) // 4, len(parts), max((part.depth for part in parts), default=0), *kinds[:3])


def check_text(data: bytes) -> Hashable:
    label, _, content = data.partition(b"\n")
    charset = CHARSETS[label[0] % len(CHARSETS)] if label else label.decode("latin-1")
    text = decode_text(content, charset)
    # A codec may write one octet as an escape of some characters, never as more.
    assert len(text) <= 2 * len(content) + 16, (charset, len(text), len(content))
    printable(shown(text))
    assert len(decode_base64(content)) <= len(content)
    return (charset, "\ufffd" in text, text.isascii())


def _checked(found: Links) -> Hashable:
    assert len(found.web) <= MAX_LINKS
    assert len(found.lures) <= MAX_LINKS
    for link in found.web:
        printable(link.url, *link.via)
        link_host(link.host)
        assert link.url[:8].lower().startswith(("http://", "https://", "ftp://")), link.url
        assert link.host == link.domain or link.host.endswith("." + link.domain), link
    for lure in found.lures:
        printable(lure.value)
        assert lure.value
        assert len(lure.value) <= 320
    return (
        min(len(found.web), 4),
        len(found.lures) > 0,
        found.complete,
        *{link.found_in for link in found.web},
        max((len(link.via) for link in found.web), default=0),
    )


def check_links_text(data: bytes) -> Hashable:
    return _checked(links(parse(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + data)))


def check_links_html(data: bytes) -> Hashable:
    return _checked(links(parse(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + data)))


def check_url(data: bytes) -> Hashable:
    text = data.decode("utf-8", "replace")
    found = read_url(refang(text))
    if found is None:
        return None
    link_host(found.host)
    printable(found.url, *found.via)
    assert len(found.url) <= 4 * len(text) + 300, "a link grew"
    again = read_url(found.url)
    assert again is not None, found
    assert again.host == found.host, (found, again)
    return (found.url[:5], len(found.via), found.host.isascii(), found.host[:4] == "xn--", ":" in found.host)


def check_link_host(data: bytes) -> Hashable:
    name = read_host(data.decode("utf-8", "replace"))
    if name is None:
        return None
    link_host(name)
    assert read_host(name) == name, name
    return (name[:4] == "xn--", name[0].isdigit(), ":" in name, len(name) > 63)


_MESSAGE = (
    b"From a@b Tue Nov 24 01:02:03 2026\nReceived: from a (b [192.0.2.1])\n by mx.example.org; 24 Nov 2026 01:02:03 +0000\n"
    b'Content-Type: multipart/mixed; boundary="b1"\n\n--b1\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\n'
    b"PGEgaHJlZj1odHRwOi8vYS5leGFtcGxlPg==\n--b1\nContent-Type: message/rfc822\n\nSubject: inner\n\nx\n--b1\n"
    b"Content-Type: multipart/digest; boundary=b2\n\n--b2\n\nFrom: x\n\n--b2--\n--b1--\n"
)
_HTML = (
    (
        b"<html><base href='http://base.example/'><a href='x/y'>t</a><img srcset='//c.example/1 1x, d.example/2 2x'>"
        b"<meta http-equiv=refresh content='0; url=http://m.example'><style>a{background:url(http://s.example/b)}</style>"
        b"<a href='data:text/html;base64,PGEgaHJlZj1odHRwOi8vYS5leGFtcGxlPg=='>x</a><script>location='http:\\/\\/j.example'</script>"
    ),
)
_TEXT = (
    "Go to hxxps://a[.]example/x or www.b.example, write to c@d.example, call +1 (202) 555-0100, b\u00fc\u00adcher.example".encode(),
)
_URLS = (
    b"https://user:pw@b%c3%bccher.example:443/p?q=http%3A%2F%2Fa.example#f",
    b"https://urldefense.com/v3/__https:/*a.example/x*y__;Ly8!!abc$",
    b"https://nam01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fa.example%2F&data=x",
    b"https://urldefense.proofpoint.com/v2/url?u=https-3A__a.example_x&d=y",
    b"https://www.google.com/url?q=https://a.example/&sa=D",
    b"http://0300.0.2.1/",
)
TARGETS = (
    Target("message", check_message, (_MESSAGE,), seeds.messages, grammar.message, 40_000, 0.3, _MAIL_WORDS),
    Target(
        "text",
        check_text,
        (b"\0\n\xc3\xa4", *(bytes((n,)) + b"\n+AGE- \\x41 \x1b$B0!\x1b(B" for n in range(len(CHARSETS)))),
        longest=8_000,
    ),
    Target(
        "links_text", check_links_text, _TEXT, seeds.bodies, longest=20_000, seconds=0.4, words=_LINK_WORDS
    ),
    Target(
        "links_html",
        check_links_html,
        _HTML,
        seeds.bodies,
        longest=20_000,
        seconds=0.4,
        words=_HTML_WORDS + _LINK_WORDS,
    ),
    Target("urls", check_url, _URLS, seeds.urls, grammar.link, 20_000, words=_LINK_WORDS),
    Target(
        "link_hosts",
        check_link_host,
        grammar.HOSTS,
        seeds.urls,
        lambda random: random.choice(grammar.HOSTS),
        600,
    ),
)
