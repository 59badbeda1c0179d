"""Inputs made from the grammars of mail: takes a source of chance, leaves a field, a date, a link, a message."""

import base64
import gzip
import io
import zipfile
from random import Random

HOSTS = (
    *(
        b"mx.example.org",
        b"a.example",
        b"localhost",
        b"mail.example.com.",
        b"192.0.2.7",
        b"[192.0.2.7]",
        b"unknown",
    ),
    *(
        b"[IPv6:2001:db8::7]",
        b"2002:a05:6a10::1",
        b"::ffff:192.0.2.1",
        b"10.0.0.1",
        b"xn--bcher-kva.example",
        b"a..b",
    ),
    *(
        "b\u00fccher.example".encode(),
        b"_dmarc.example",
        b"mail-x1-f1.google.com",
        b"mx.google.com",
        b"fe80::1%eth0",
    ),
    *(
        b"x" * 64 + b".example",
        b"127.0.0.1",
        b"198.51.100.9",
        b"203.0.113.77",
        b"0x7f.1",
        b"3221225985",
        b"64:ff9b::1",
    ),
)
_WITH = (
    b"ESMTP",
    b"esmtpsa",
    b"SMTP",
    b"LMTP",
    b"HTTP",
    b"Microsoft SMTP Server",
    b"mapi",
    b"local",
    b"NNFMP",
    b"UTF8SMTPS",
)
_SOFTWARE = (
    b"(Postfix)",
    b"(8.17.1/8.17.1)",
    b"(Exim 4.97)",
    b"(qmail 1 invoked by uid 1)",
    b"(envelope-from <a@b.example>)",
)
_ZONES = (b"+0100", b"-0000", b"GMT", b"EST", b"Z", b"+9999", b"-2400", b"", b"(PST)")
_SCHEMES = (
    b"http://",
    b"https://",
    b"HTTP:\\\\",
    b"ftp:",
    b"hxxp://",
    b"//",
    b"",
    b"javascript:",
    b"data:text/html,",
    b"mailto:",
)
_KINDS = (
    *(
        b"text/plain",
        b"text/html; charset=utf-7",
        b"multipart/mixed",
        b"multipart/digest",
        b"message/rfc822",
        b"text/calendar",
    ),
    *(
        b"multipart/alternative",
        b"application/zip; name=x.zip",
        b"message/delivery-status",
        b"text/rfc822-headers",
        b"x",
    ),
    *(
        b"message/feedback-report",
        b"text/plain; charset*=us-ascii'en'utf%2D8",
        b"image/png; name==?utf-8?q?=41?=",
    ),
)
_ENCODINGS = (b"7bit", b"base64", b"quoted-printable", b"8bit", b"binary", b"x-uuencode", b"BASE64 (c)", b"")
_TEXTS = (
    b"See http://a.example/x?y=1 or www.b.example, call +1 202 555 0100.\r\n",
    b"<html><a href='http://a.example/'>x</a><img src=//b.example/i><form action=\"c.example/f\"></html>",
    b"> From: a\r\n> Received: from x (y [192.0.2.1]) by z.example; 24 Nov 2026 00:00:00 +0000\r\n",
    b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n",
    b"Feedback-Type: abuse\r\nUser-Agent: X/1\r\nVersion: 1\r\n",
    b"",
)


def date(random: Random) -> bytes:
    """Make a date in one of the forms that are met."""
    n = random.randrange
    month = random.choice((b"Jan", b"feb", b"SEP", b"Dez", b"Sept", b"December"))
    if n(3) == 0:
        return b"%04d-%02d-%02dT%02d:%02d:%02d.%d%s" % (
            n(10000),
            n(14),
            n(33),
            n(26),
            n(62),
            n(62),
            n(999),
            random.choice(_ZONES),
        )
    if n(3) == 0:
        return b"Tue %s %2d %02d:%02d:%02d %s %d" % (
            month,
            n(33),
            n(26),
            n(62),
            n(62),
            random.choice(_ZONES),
            n(10000),
        )
    year = random.choice((b"2026", b"26", b"99", b"0001", b"9999", b"0000", b"102"))
    return b"Tue, %d %s %s %02d:%02d:%02d %s" % (
        n(33),
        month,
        year,
        n(26),
        n(62),
        n(62),
        random.choice(_ZONES),
    )


def received(random: Random) -> bytes:
    """Make a Received field body, its clauses in any order, with comments and what breaks them."""
    choice = random.choice
    clauses = [
        b"from %s (%s [%s])" % (choice(HOSTS), choice(HOSTS), choice(HOSTS)),
        b"by %s %s" % (choice(HOSTS), choice(_SOFTWARE)),
        b"with %s" % choice(_WITH),
        b"id %x" % random.getrandbits(40),
        b"for <you@%s>" % choice(HOSTS),
        b"via %s" % choice(_WITH),
        b"(HELO %s) (x@%s)" % (choice(HOSTS), choice(HOSTS)),
        b"([%s]:25 helo=%s ident=x)" % (choice(HOSTS), choice(HOSTS)),
        b"(using TLSv1.%d with cipher X)" % random.randrange(9),
        b"(Authenticated sender: x)",
    ]
    if random.random() < 0.3:
        random.shuffle(clauses)
    kept = [clause for clause in clauses if random.random() < 0.6]
    return b"%s; %s" % (choice((b" ", b"\r\n\t", b"\n ")).join(kept), date(random))


def link(random: Random) -> bytes:
    """Make a link with its disguises."""
    choice = random.choice
    host = choice(HOSTS)
    if random.random() < 0.3:
        host = b"".join(b"%%%02x" % octet if random.random() < 0.3 else bytes((octet,)) for octet in host)
    user = choice((b"", b"", b"www.bank.example@", b"a:b@", b"%40@"))
    port = choice((b"", b"", b":80", b":", b":99999999"))
    rest = choice((b"", b"/", b"/x?u=", b"?url=", b"#", b"/url?q=", b"\\..\\x"))
    tail = link(random) if rest.endswith(b"=") and random.random() < 0.7 else b"x"
    if random.random() < 0.2:
        tail = base64.b64encode(tail)
    return choice(_SCHEMES) + user + host + port + rest + tail


def chain(random: Random) -> bytes:
    """Make a header block: Received fields and what else tells of the way."""
    fields = []
    for _ in range(1 + int(random.random() * 6)):
        fields.append(b"Received: " + received(random))
        if random.random() < 0.2:
            fields.append(
                b"Authentication-Results: %s; spf=pass smtp.mailfrom=%s; dkim=fail header.d=%s"
                % (random.choice(HOSTS), random.choice(HOSTS), random.choice(HOSTS))
            )
        if random.random() < 0.1:
            fields.append(
                b"Received-SPF: pass (x: domain of a@%s) client-ip=192.0.2.1;" % random.choice(HOSTS)
            )
    return b"\r\n".join((*fields, b"Subject: =?utf-8?b?eA==?=", b"", b"x"))


def message(random: Random, depth: int = 0) -> bytes:
    """Make a message: parts in parts, their encodings right or wrong."""
    kind, encoding = random.choice(_KINDS), random.choice(_ENCODINGS)
    head = b"From: a@b.example\r\nSubject: x\r\n" if depth == 0 or kind == b"x" else b""
    if depth == 0:
        head = b"Received: " + received(random) + b"\r\n" + head
    if kind.startswith(b"multipart/"):
        boundary = b"b%d" % random.randrange(3)
        parts = [message(random, depth + 1) for _ in range(random.randrange(4))] if depth < 4 else []
        body = b"".join(b"\r\n--" + boundary + b"\r\n" + part for part in parts)
        body += b"\r\n--" + boundary + b"--\r\n" if random.random() < 0.7 else b""
        return head + b'Content-Type: %s; boundary="%s"\r\n\r\n' % (kind, boundary) + body
    body = (
        message(random, depth + 1) if kind.startswith(b"message/r") and depth < 4 else random.choice(_TEXTS)
    )
    if b"zip" in kind:
        body, encoding = archive(random), b"base64"
    if encoding.lower().startswith(b"base64"):
        body = base64.encodebytes(body)
    elif encoding == b"quoted-printable":
        body = body.replace(b"=", b"=3D").replace(b"e", b"=65")
    return head + b"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (kind, encoding, body)


def archive(random: Random) -> bytes:
    """Make a zip or gzip file, in which there may be another one."""
    inner = (
        archive(random)
        if random.random() < 0.2
        else b"Received: " + received(random) + b"\r\nFrom: a\r\n\r\nx"
    )
    if random.random() < 0.3:
        return gzip.compress(inner, 1, mtime=0)
    packed = io.BytesIO()
    with zipfile.ZipFile(
        packed, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    ) as file:
        for n in range(random.randrange(4)):
            file.writestr(
                zipfile.ZipInfo(random.choice(("a.eml", "../a", "b/", "\x1b[2J", "x" * 50)) + str(n)), inner
            )
    return packed.getvalue()
