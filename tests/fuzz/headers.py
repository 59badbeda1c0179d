"""Targets that read header fields: Received, dates, hosts, the walk, authentication, encoded words."""

from collections.abc import Hashable
from datetime import UTC

from complaints.authentication import authentication
from complaints.clauses import clauses_of, ordinary_clauses, pieces_of
from complaints.dates import parse_date, rfc3339
from complaints.encodings import decode_words, parameters
from complaints.encodings import printable as shown
from complaints.fields import text_field
from complaints.hosts import canonical_ip, clean_host, is_under, organisational_domain
from complaints.message import parse
from complaints.received import parse_received
from complaints.reserved import is_inside_only, why_not_public
from complaints.smtp_syntax import mail_problem, parse_path
from complaints.trace import trace
from complaints.trust import Trust
from tests.fuzz import grammar, seeds
from tests.fuzz.target import Target, accusable, address, document, host, printable

TRUSTS = (
    Trust.of(["mx.example.org", "203.0.113.0/24", "example.com"]),
    Trust.of(["mx.google.com"]),
    Trust.of([]),
)
_RECEIVED = (
    (
        b"from helo.example (rdns.example [192.0.2.1]) (using TLSv1.3 with cipher X (256/256 bits)) by mx.example.org "
        b"(Postfix) with ESMTPS id 4ABC for <you@example.org>; Tue, 24 Nov 2026 01:02:03 +0100"
    ),
    (
        b"from rdns.example ([192.0.2.1]:4711 helo=helo.example ident=x) by mx.example.org with esmtpsa (TLS1.3) (Exim 4.97) "
        b"(envelope-from <a@b.example>) id 1abc-00-Xx for you@example.org; Tue, 24 Nov 2026 01:02:03 +0100"
    ),
    b"(qmail 12 invoked by uid 0); 24 Nov 2026 01:02:03 -0000",
    b"from unknown (HELO x) (ident@192.0.2.9) by 0 with SMTP; 24 Nov 2026 01:02:03 -0000",
    (
        b"from SENDER.example (192.0.2.1) by MX.example.org (10.1.2.3) with Microsoft SMTP Server (version=TLS1_2) id 15.20.1.2 "
        b"via Frontend Transport; Tue, 24 Nov 2026 01:02:03 +0100"
    ),
    b"by 2002:a05:6a10:d8a:b0:1:2:3 with SMTP id ab12csp3; Mon, 23 Nov 2026 16:02:03 -0800 (PST)",
    b"(from apache@localhost) by web.example (8.17.1/8.17.1/Submit) id 3AB; Tue, 24 Nov 2026 01:02:03 GMT",
    b"from [IPv6:2001:DB8::1] (account a@b HELO [10.0.0.1]) by c.example (CommuniGate Pro SMTP 6) with ESMTPSA",
)
_WORDS = (
    *(
        b"from ",
        b" by ",
        b" with ",
        b" id ",
        b" for ",
        b" via ",
        b"; ",
        b"Received: ",
        b"(HELO ",
        b"EHLO ",
        b"helo=",
        b"ident=",
    ),
    *(
        b"(may be forged)",
        b"(Postfix)",
        b"unknown",
        b"IPv6:",
        b"[192.0.2.1]",
        b"10.0.0.1",
        b"::ffff:",
        b"2002:",
        b"fe80::1%1",
    ),
    *(
        b"envelope-from <",
        b"Authenticated",
        b"TLSv1.2",
        b" +0100",
        b" -0000",
        b"Nov",
        b"2026",
        b"AUTH=",
        b"localhost",
    ),
)


def check_received(data: bytes) -> Hashable:
    line = parse_received(data)
    for ip in (line.from_ip, line.by_ip):
        address(ip)
    for name in (line.from_name, line.rdns, line.helo, line.by):
        host(name)
    printable(
        line.from_name,
        line.helo,
        line.by,
        line.with_,
        line.via,
        line.id,
        line.for_,
        line.ident,
        line.envelope_from,
    )
    assert line.date is None or (line.date.tzinfo is UTC and len(rfc3339(line.date)) == 20), line.date
    if len(data) < 2_700:  # a character written anew takes three bytes, and a field is read up to 8,192
        assert parse_received(data.decode("utf-8", "replace")) == line
    known = (
        line.from_ip,
        line.from_name,
        line.helo,
        line.by,
        line.by_ip,
        line.id,
        line.for_,
        line.date,
        line.tls,
    )
    return (line.dialect, line.defect, line.verified, line.authenticated, *(value is None for value in known))


def check_clauses(data: bytes) -> Hashable:
    text = " ".join(data.decode("utf-8", "replace").split())
    found = clauses_of(text)
    clauses = (found.from_, found.by, found.via, found.with_, found.id, found.for_)
    pieces = [piece for clause in clauses for piece in pieces_of(clause)]
    assert all(piece in text for piece in pieces)
    assert sum(map(len, pieces)) <= len(text)
    assert ordinary_clauses(text) in {None, found}
    return (found.defect, *map(bool, clauses), found.date is None, found.utc)


def check_date(data: bytes) -> Hashable:
    moment = parse_date(data.decode("utf-8", "replace"))
    if moment is None:
        return None
    assert moment.tzinfo is UTC
    written = rfc3339(moment)
    assert len(written) == 20, written
    assert parse_date(written) == moment, written
    return (moment.year // 500, moment.month, moment.second)


def check_host(data: bytes) -> Hashable:
    text = data.decode("utf-8", "replace")
    ip, name = canonical_ip(text), clean_host(text)
    reason = None
    if ip is not None:
        assert canonical_ip(ip) == ip
        reason = why_not_public(ip)
        assert not is_inside_only(ip) or reason
        assert organisational_domain(ip) is None
    if name is not None:
        host(name)
        assert clean_host(name) == name
        domain = organisational_domain(name)
        assert domain is None or is_under(name, domain) or not name.isascii()
    return (ip is None, reason and reason[:12], name is None)


def check_trace(data: bytes) -> Hashable:
    message = parse(data[1:])
    trust = TRUSTS[data[0] % len(TRUSTS)] if data else TRUSTS[0]
    found = trace(message, trust)
    assert [hop.n for hop in found.hops] == list(range(len(found.hops)))
    trusted = [hop.trusted for hop in found.hops]
    assert trusted == sorted(trusted, reverse=True), "a believed line below one that is not"
    for hop in found.hops:
        address(hop.from_ip)
        for name in (hop.from_name, hop.helo, hop.by):
            host(name)
        assert hop.why
        printable(hop.why, hop.with_, hop.id, hop.for_)
    printable(*found.notes)
    if found.source is not None:
        accusable(found.source.ip)
        hop = found.hops[found.source.hop]
        assert hop.trusted
        assert hop.from_ip == found.source.ip, "the source is no address that a believed host saw"
        assert not trust.has_ip(found.source.ip)
        printable(found.source.why)
    return (
        found.source is None,
        found.confidence,
        found.grade,
        sum(trusted),
        len(found.hops) // 4,
        len(found.notes),
    )


def check_authentication(data: bytes) -> Hashable:
    message = parse(data[1:])
    results = authentication(message, trace(message, TRUSTS[data[0] % len(TRUSTS)] if data else TRUSTS[0]))
    for result in results:
        printable(result.method, result.result, result.domain, result.selector, result.by)
    document([result.method for result in results])
    assert len(results) <= 100
    return tuple(sorted({(result.method[:4], result.result, result.believed) for result in results}))[:4]


def check_words(data: bytes) -> Hashable:
    text = shown(decode_words(data))
    printable(text)
    # One octet of a charset is one character at most; cp1252 and UTF-8 are what else it may be read as.
    assert len(text) <= 2 * len(data) + 10, (len(text), len(data))
    return (text.isascii(), "=?" in text, "\ufffd" in text, len(text) // 64)


def check_field(data: bytes) -> Hashable:
    field = text_field("Subject", data.decode("utf-8", "replace"))
    assert field.isascii()
    assert b"\n" not in field.replace(b"\r\n ", b"").removesuffix(b"\r\n"), field
    return (field.count(b"\r\n ") // 4, b"=?us-ascii" in field, b"=?utf-8?b" in field, b"=?utf-8?q" in field)


def check_parameters(data: bytes) -> Hashable:
    kind, values = parameters(data)
    assert kind == kind.lower()
    assert sum(map(len, values.values())) <= 3 * len(data) + 100
    for name, value in values.items():
        value.encode("utf-8", "surrogateescape")
        printable(shown(f"{name}={value}"))
    return (
        bool(kind),
        "/" in kind,
        *sorted(name for name in values if name in {"boundary", "charset", "name", "filename"}),
    )


def check_smtp_path(data: bytes) -> Hashable:
    text = data.decode("utf-8", "surrogateescape")
    found = parse_path(text, "FROM:")
    if found is None:
        return None
    problem = mail_problem(found[1], 1 << 20)
    assert problem.isascii()
    assert "\n" not in problem
    assert "\r" not in problem
    return problem[:9]


_CHAIN = b"\0" + b"\r\n".join(b"Received: " + line for line in _RECEIVED) + b"\r\nSubject: x\r\n\r\nx"
_RESULTS = (
    b"\0Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=a.example; dkim=fail (x) header.d=b.example "
    b'header.s=s header.b="x"; dmarc=none header.from=c.example\r\nReceived: '
    + _RECEIVED[0]
    + b"\r\nReceived-SPF: Pass "
    b"(mx: domain of a@b.example designates 192.0.2.1) client-ip=192.0.2.1; envelope-from=a@b.example; helo=x;\r\n"
    b"ARC-Authentication-Results: i=1; mx.example.org; spf=pass\r\n\r\nx"
)
TARGETS = (
    Target("received", check_received, _RECEIVED, seeds.received, grammar.received, 16_384, words=_WORDS),
    Target("clauses", check_clauses, _RECEIVED, seeds.received, grammar.received, 16_384, words=_WORDS),
    Target("dates", check_date, (b"Tue, 24 Nov 2026 01:02:03 +0100", b"2026-11-24 01:02:03Z"), seeds.dates, grammar.date, 2_000),
    Target("hosts", check_host, grammar.HOSTS, seeds.urls, lambda random: random.choice(grammar.HOSTS), 400),
    Target("trace", check_trace, (_CHAIN,), lambda: (b"\0" + one for one in seeds.headers()), grammar.chain, 20_000, 0.3, _WORDS),
    Target("authentication", check_authentication, (_RESULTS,), seeds.headers, grammar.chain, 20_000, 0.3, _WORDS),
    Target(
        "words",
        check_words,
        (b"=?utf-8?b?w6TDtg==?= =?iso-2022-jp?Q?=1B$B?=", b"=?utf-7?q?+AAA-?= =?gb2312*en?b?xOO6ww==?=", b"b\xfccher"),
        seeds.headers,
        longest=8_000,
        words=(b"=?utf-8?q?", b"=?hz?b?", b"=?utf-16?b?", b"?=", b"=?unicode_escape?q?", b"\\u", b"=?idna?q?", b"=?undefined?q?x?="),
    ),
    Target("fields", check_field, ("b\u00fccher =?x".encode(), b"a" * 90), seeds.headers, longest=400),
    Target(
        "parameters",
        check_parameters,
        (
            b'multipart/mixed; boundary="a\\"b"; charset=x',
            b"text/plain; name*0*=utf-8''a%20; name*1=b; name*2*=%FF",
            b"a/b (c); filename==?utf-8?q?x?=",
        ),
        seeds.headers,
        longest=20_000,
        words=(b"; ", b"*0*=", b"*1=", b"''", b"boundary=", b"charset=", b"filename", b'"', b"\\"),
    ),
    Target(
        "smtp_path",
        check_smtp_path,
        (b"FROM:<a@b.example> SIZE=9 BODY=8BITMIME", b'FROM:<@x,@y:"a\\"b"@c> SMTPUTF8'),
        longest=2_000,
    ),
)  # fmt: skip
