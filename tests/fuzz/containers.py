"""Targets that open what holds something else: submissions, archives, bounces, reports; and redaction, the whole."""

import io
from collections.abc import Hashable

from complaints.archives import MAX_FILES, MAX_MESSAGES, is_archive, unpack
from complaints.arf import parse_report
from complaints.arf.wire import LONGEST_LINE, legal
from complaints.leaks import find_leaks
from complaints.mbox_marks import mails_in
from complaints.pasted import repair
from complaints.redact import CannotRedact, Identity, redact
from complaints.redact.difference import explain
from complaints.returned import LONGEST_TEXT, VERDICTS, classify
from complaints.rtf import read_rtf
from complaints.screen import Screen
from complaints.spam import read
from complaints.terminal_trace import trace_lines
from complaints.unwrap import MAX_ITEMS, Item, open_file, unwrap_forward, unwrap_paste
from tests.fuzz import grammar, seeds
from tests.fuzz.bodies import _HTML_WORDS, _LINK_WORDS, _MAIL_WORDS, _MESSAGE
from tests.fuzz.headers import TRUSTS
from tests.fuzz.target import Target, accusable, document, lies_in, printable

IDENTITY = Identity(("alice.smith@victim.example",), ("Alice Smith",))
_SCREEN = Screen.of(io.StringIO())
_KEY = b"0123456789abcdef"


def _checked(raw: bytes, items: list[Item]) -> Hashable:
    assert 0 < len(items) <= MAX_ITEMS + MAX_FILES
    for item in items:
        assert item.grade in "ABCD"
        if item.spam is None:
            assert item.reason
            assert item.remedy
        elif item.start is not None:
            assert item.end is not None
            assert lies_in(raw, item.start, item.end) == item.spam, "the slice is not the spam"
    return (
        min(len(items), 3),
        *{(item.spam is None, item.start is None, item.grade, (item.reason or "")[:12]) for item in items},
    )


def check_unwrap(data: bytes) -> Hashable:
    return _checked(data, unwrap_forward(data))


def check_file(data: bytes) -> Hashable:
    return _checked(data, open_file(data, "upload.eml"))


def check_paste(data: bytes) -> Hashable:
    found = repair(data)
    kinds = [one.kind for one in found.repairs]
    assert 0 <= found.certain <= data.lower().count(b"received")
    assert len(found.spam) <= 2 * len(data) + 2
    for one in found.repairs:
        printable(one.words, one.where)
        assert one.kind not in {other.kind for other in repair(data, {one.kind}).repairs}
    return (*_checked(data, unwrap_paste(data)), found.certain < 2, *kinds)  # type: ignore[misc]


def check_archive(data: bytes) -> Hashable:
    kinds: set[Hashable] = set()
    if is_archive(data):
        for packed in unpack(data, "x.zip"):
            assert (packed.content is None) == bool(packed.reason)
            kinds.add((packed.content is None, packed.reason[-12:]))
    slices = mails_in(data, MAX_MESSAGES)
    end = 0
    for start, stop in slices:
        assert start >= end, "messages of an mbox lie in each other"
        lies_in(data, start, stop)
        end = stop
    return (len(kinds), *sorted(map(str, kinds))[:2], min(len(slices), 4))


_RTF = (
    (
        rb"{\rtf1\ansi\ansicpg1251\fromhtml1{\fonttbl{\f0\fcharset204 A;}}\uc1\f0{\*\htmltag64 <p>}\'cf\u8364?"
        rb"\htmlrtf{\htmlrtf0 x}{\*\mhtmltag84 y}\par}"
    ),
    rb'{\rtf1{\field{\*\fldinst HYPERLINK "http://a.example/"}{\fldrslt{here}}}{\pict\bin5 }{{{}\~\{\lquote}',
)


def check_rtf(data: bytes) -> Hashable:
    html, text = read_rtf(data)
    assert not (html and text)
    assert len(html) + len(text) <= 4 * len(data) + 8
    (html + text).encode()
    return (bool(html), bool(text), min(len(html + text), 8))


def check_returned(data: bytes) -> Hashable:
    for mail_from in ("", "desk@isp.example"):
        found = classify(data, mail_from=mail_from)
        assert found.kind in {"bounce", "automatic", "answer", "verdict"}
        assert len(found.text) <= LONGEST_TEXT
        printable(*found.text.split("\n"), found.status, found.recipient, found.original_message_id)
        assert (found.kind == "verdict") <= (found.status in VERDICTS.values())
    return (
        found.kind,
        found.status,
        found.failed,
        found.recipient is None,
        found.original_message_id is None,
    )


def check_arf(data: bytes) -> Hashable:
    octets, changed = legal(data)
    assert all(
        len(line) <= LONGEST_LINE and b"\n" not in line and b"\r" not in line
        for line in octets.split(b"\r\n")
    )
    assert legal(octets) == (octets, []), "what is legal is legal"
    report = parse_report(data)
    if report is None:
        return (None, *(text[:4] for text in changed))
    printable(report.feedback_type, report.user_agent, report.version, *(text for _, text in report.fields))
    return (report.feedback_type[:5], len(report.fields), report.headers_only)


def check_redact(data: bytes) -> Hashable:
    try:
        done = redact(data, IDENTITY, key=_KEY)
        strict = redact(data, IDENTITY, key=_KEY, level="strict", own_hops=1)
    except CannotRedact:
        return "refused"
    assert IDENTITY.addresses[0].encode() not in strict.raw.lower(), "the address stands there in plain sight"
    seen = [leak for leak in find_leaks(done.raw, IDENTITY) if not leak.what.startswith("name")]
    assert not seen, f"the checker sees what the redactor left: {seen}"
    document(explain(data, strict, "strict"))
    assert IDENTITY.addresses[0].encode() not in done.raw.lower(), "the address stands there in plain sight"
    assert len(done.raw) <= 3 * len(data) + 200
    return (
        min(len(done.changes), 3),
        *sorted({change.rule for change in (*done.changes, *strict.changes)}),
        len(done.not_hidden),
    )


def check_leaks(data: bytes) -> Hashable:
    found = find_leaks(data, IDENTITY)
    plain = IDENTITY.addresses[0].encode() in data.lower() and b"\0" not in data
    assert found or not plain, "the address stands there in plain sight and is not found"
    assert all(leak.how and leak.where for leak in found)
    printable(*(text for leak in found for text in (leak.what, leak.how, leak.where)))
    return (min(len(found), 3), *sorted({leak.how[:20] for leak in found})[:3])


def check_spam(data: bytes) -> Hashable:
    evidence = read(data, TRUSTS[0], own=("victim.example",))
    found = evidence.document()
    written = document(found)
    assert len(written) <= 200 * len(data) + 100_000
    printable(evidence.subject, found["explanation"], *trace_lines(found, _SCREEN))
    source = evidence.trace.source
    if source is not None:
        accusable(source.ip)
    assert len(evidence.digest) == 71
    return (
        source is None,
        evidence.trace.grade,
        min(len(evidence.links.web), 3),
        len(evidence.authentication) // 2,
    )


_FORWARD = (
    b"From: alice.smith@victim.example\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n\r\nhere\r\n--b1\r\n"
    b"Content-Type: message/rfc822\r\n\r\n" + _MESSAGE.split(b"\n", 1)[1] + b"\r\n--b1--\r\n"
)
_RESENT = (
    b"Resent-From: a@b\nResent-Date: x\nReceived: from a (b [192.0.2.1]) by c.example; x\nSubject: y\n\nz\n"
)
_INLINE = b"Subject: Fwd: x\nUser-Agent: mutt\n\nlook\n\n---- Forwarded message ----\n> Received: from a (b [192.0.2.1]) by c.example; 24 Nov 2026 01:02:03 +0000\n> From: x\n>\n> y\n"
_MBOX = b"From a Tue Nov 24 01:02:03 2026\nReceived: x\n\nbody\n\nFrom b Tue Nov 24 01:02:03 2026\nReceived: y\n\nbody\n"
_BOUNCE = (
    b"From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered Mail\r\nContent-Type: multipart/report; boundary=b1\r\n\r\n--b1\r\n\r\n"
    b"no such user\r\n--b1\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
    b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no\r\n\r\n--b1\r\n"
    b"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <a@b>\r\n\r\n--b1--\r\n"
)
_ANSWERS = (
    b"From: desk@isp.example\r\nIn-Reply-To: <a@b>\r\n\r\nresolved\r\n> quoted\r\n",
    b"Subject: Automatic reply: x\r\nAuto-Submitted: auto-replied\r\n\r\nticket 1\r\n",
    b"From: desk@isp.example\r\nContent-Type: text/html\r\n\r\n<p>not <b>ours</b><script>x</script>",
    b"From: postmaster@isp.example\r\nSubject: failure notice\r\n\r\n<a@b.example>:\r\nUser unknown (#5.1.1)\r\n",
)
_ARF = (
    b"Content-Type: multipart/report; report-type=feedback-report; boundary=b1\r\n\r\n--b1\r\n\r\nhi\r\n--b1\r\n"
    b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: X/1\r\nVersion: 1\r\n\r\n--b1\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: spam\r\n\r\nx\r\n--b1--\r\n"
)
_HIDDEN = (
    (
        b"To: Alice Smith <alice.smith@victim.example>\r\nX-M: alice.smith=victim.example@list.example\r\n"
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"<a href=3D'http://x.example/?u=3Dalice.smith%40victim.example'>Dear Alice Smith</a>=\r\n"
    ),
    b"To: x\r\nContent-Transfer-Encoding: base64\r\n\r\nYWxpY2Uuc21pdGhAdmljdGltLmV4YW1wbGU=\r\n",
)
_SECRETS = (
    b"alice.smith@victim.example",
    b"Alice",
    b"Smith",
    b"%40",
    b"=40",
    b"&#64;",
    b"=?utf-8?q?alice.smith=40victim.example?=",
)
_ENCODED = (
    b"YWxpY2Uuc21pdGhAdmljdGltLmV4YW1wbGU",
    b"616c6963652e736d697468",
    b"%2525",
    b"&amp;#37;",
    b"<!--",
    b"=\n",
    b"\nbegin 644 a\n",
    b"PK\3\4",
    b"\x1f\x8b\x08",
    b"UEsDB",
    b"\xe2\x80\x8b",
    b"charset=utf-7",
    b"+AEA-",
    b"; name*1*=",
    b"fromCharCode(97,108,105,99,101,46,115,",
)
_PASTED = (
    *(
        b"> ",
        b"\n\n",
        b"\xc2\xa0",
        b"&lt;",
        b"\xef\xbb\xbf",
        b"Original message\n",
        b"\nReceived\nfrom a by b; ",
    ),
    *(b"\nReceived: from a (b [192.0.2.1])\nby c.example; Tue, 24 Nov 2026 01:02:03 +0000\n", b"Received:\n"),
)
_ALL = _MAIL_WORDS + _HTML_WORDS + _LINK_WORDS
TARGETS = (
    Target("unwrap", check_unwrap, (_FORWARD, _RESENT, _INLINE, *seeds.clients()), seeds.messages, grammar.message, 40_000, 0.4, _MAIL_WORDS),
    Target("files", check_file, (_MBOX, _MESSAGE), make=grammar.archive, longest=40_000, seconds=0.4, words=_MAIL_WORDS),
    Target("paste", check_paste, (_MESSAGE, _INLINE, b"> " + _INLINE, _MESSAGE.replace(b"\n", b"\n\n")), seeds.messages, grammar.message, 20_000, 0.4, (*_PASTED, *_MAIL_WORDS)),
    Target("archives", check_archive, (_MBOX,), make=grammar.archive, longest=40_000, seconds=0.4, words=(b"PK\3\4", b"PK\1\2", b"PK\5\6")),
    Target("rtf", check_rtf, _RTF, longest=20_000, seconds=0.3, words=(b"\\htmlrtf", b"\\htmlrtf0 ", b"{\\*\\htmltag", b"\\u", b"\\'", b"\\bin", b"{", b"}")),
    Target("returned", check_returned, (_BOUNCE, *_ANSWERS), seeds.messages, grammar.message, 40_000, 0.4, _MAIL_WORDS),
    Target("arf", check_arf, (_ARF,), seeds.messages, grammar.message, 40_000, 0.4, _MAIL_WORDS),
    Target("redact", check_redact, _HIDDEN, seeds.messages, grammar.message, 20_000, 0.8, (*_SECRETS, *_MAIL_WORDS)),
    Target("leaks", check_leaks, _HIDDEN, seeds.messages, grammar.message, 40_000, 0.5, (*_SECRETS, *_ENCODED, *_MAIL_WORDS)),
    Target("spam", check_spam, (_MESSAGE, _FORWARD, *_HIDDEN), seeds.messages, grammar.message, 40_000, 0.6, _ALL),
)  # fmt: skip
