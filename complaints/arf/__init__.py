"""The feedback report (RFC 5965) one desk gets, and reading such reports.

Takes values and the bytes of an already redacted spam; leaves the exact bytes that go between DATA and the
final dot: CRLF line ends, last line ended, the same bytes for the same values. Part 1 says everything part
2 says (RFC 6650 §5.4).
"""

import hashlib
import ipaddress
import quopri
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

from complaints.arf.wire import LONGEST_LINE, legal
from complaints.fields import (
    FieldError,
    address_field,
    check_address,
    date_field,
    message_id_field,
    one_line,
    raw_field,
    text_field,
)
from complaints.message import parse

CHANGED = (
    "a part ({}) is withheld, for it shows the reporter",
    "words, lines or fields that show the reporter are withheld, in {} places",
    "a word, a line or a field that shows the reporter is withheld",
)
"""What `Report.changed` may say of what was withheld."""
_BOUNDARY = "=_report_"
_LONGEST_VALUE = 900
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")
_PRODUCT = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?(?: [ -~]+)?")
_URL = re.compile(r"https?://[!-~]{1,900}")
_URI_SAFE = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report says. Texts may hold anything: control characters in them become spaces.

    `sender`, `to`, `reply_to` are addresses, `sender` may be `Name <address>`; `message_id` is
    `<left@right>`; times are aware. `subject` and `spam` are as the redactor left them. An address or host
    of the spam that is none is left out of part 2, where the RFC asks for its syntax, and shown in part 1
    as it is.
    """

    sender: str
    to: str
    reply_to: str
    message_id: str
    date: datetime
    user_agent: str
    spam: bytes
    subject: str = ""
    why: str
    """One sentence: why this desk gets it, and from whose records its address is."""
    trace: str = ""
    """One paragraph: how the source was found."""
    note: str = ""
    """The reporter's own words."""
    opt_out_url: str
    opt_out_mailto: str
    source_ip: str | None = None
    source_port: int | None = None
    arrival_date: datetime | None = None
    original_mail_from: str | None = None
    original_rcpt_to: tuple[str, ...] = ()
    reporting_mta: str | None = None
    authentication_results: tuple[str, ...] = ()
    reported_domains: tuple[str, ...] = ()
    reported_uris: tuple[str, ...] = ()
    incidents: int = 1
    redacted: bool = True
    """Whether the reporter is hidden behind pseudonyms."""
    headers_only: bool = False
    """Enclose the header block only, as text/rfc822-headers."""
    changed: tuple[str, ...] = ()
    """What is not as it came in the enclosed copy, besides pseudonyms: clauses without a full stop."""


@dataclass(frozen=True)
class Feedback:
    """A report as read: type, fields of part 2 in order, text of part 1, bytes of the enclosed spam."""

    feedback_type: str
    user_agent: str
    version: str
    fields: tuple[tuple[str, str], ...]
    text: str
    spam: bytes
    headers_only: bool

    def all(self, name: str) -> list[str]:
        """Return the values of all fields of this name; `Received-Date` is read as `Arrival-Date` (§3.2)."""
        wanted = {name.lower()} | ({"received-date"} if name.lower() == "arrival-date" else set())
        return [value for field, value in self.fields if field.lower() in wanted]


def compose(report: Report) -> bytes:
    """Write the report. Raises complaints.fields.FieldError for a value of ours that fits no field."""
    spam, changed = legal(_header_block(report.spam) if report.headers_only else report.spam)
    encoding, words = _encoded("\r\n".join(_explain(report, changed)) + "\r\n")
    machine = b"".join(_machine(report))
    kind = b"text/rfc822-headers" if report.headers_only else b"message/rfc822"
    octets = b"7bit" if spam.isascii() else b"8bit"
    boundary = _boundary(report.message_id, words, machine, spam)
    delimiter = b"--" + boundary + b"\r\n"
    return b"".join(
        (
            *_top(report, boundary, octets),
            b"This is a spam report in the format of RFC 5965.\r\n\r\n",
            delimiter,
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
            + encoding
            + b"\r\n\r\n",
            words + b"\r\n" + delimiter,
            b"Content-Type: message/feedback-report\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
            machine + b"\r\n" + delimiter,
            b"Content-Type: " + kind + b"\r\nContent-Disposition: inline\r\n",
            b"Content-Transfer-Encoding: " + octets + b"\r\n\r\n",
            spam + b"\r\n--" + boundary + b"--\r\n",
        )
    )


def own_words() -> frozenset[str]:
    """Return the lower-case words that stand in every report: they tell nothing of its reporter."""
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    bare = Report(
        sender="a@b.example",
        to="a@b.example",
        reply_to="a@b.example",
        message_id="<a@b>",
        date=moment,
        user_agent="Plaint/0",
        spam=b"",
        why="",
        opt_out_url="https://b.example/",
        opt_out_mailto="a@b.example",
        note="-",
        trace="-",
        incidents=2,
        source_ip="192.0.2.1",
        source_port=1,
        arrival_date=moment,
        reporting_mta="b.example",
        original_mail_from="",
        original_rcpt_to=("a@b.example",),
        authentication_results=("b.example; none",),
        reported_domains=("b.example",),
        reported_uris=("https://b.example/",),
        changed=CHANGED,
    )
    texts = (compose(report).decode("ascii") for report in (bare, replace(bare, headers_only=True)))
    lines = (line.lower() for text in texts for line in text.splitlines() if _BOUNDARY not in line)
    return frozenset(word for line in lines for word in re.findall(r"[a-z]{3,}", line))


def _top(report: Report, boundary: bytes, octets: bytes) -> Iterator[bytes]:
    """Yield the report's own header fields.

    No Precedence: it is no standard, and Auto-Submitted already keeps vacation programs silent (RFC 3834
    §5).
    """
    yield address_field("From", report.sender)
    yield address_field("To", report.to)
    yield address_field("Reply-To", report.reply_to)
    # RFC 5965 §2 f: the spam's own subject; where it has none, nothing but the forwarding prefix.
    yield text_field("Subject", report.subject if one_line(report.subject) else "FW:")
    yield date_field("Date", report.date)
    yield message_id_field("Message-ID", report.message_id)
    yield b"Auto-Submitted: auto-generated\r\n"
    if not _URL.fullmatch(report.opt_out_url):
        raise FieldError(f"List-Unsubscribe: {report.opt_out_url!r} is not an http(s) URL")
    check_address("List-Unsubscribe", report.opt_out_mailto)
    # On one line each: folded copies have been seen to break DKIM signatures (RFC 8058 §4 wants both signed).
    yield raw_field("List-Unsubscribe", f"<{report.opt_out_url}>, <mailto:{report.opt_out_mailto}>")
    yield b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    yield b"MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report;\r\n"
    yield b' boundary="' + boundary + b'"\r\nContent-Transfer-Encoding: ' + octets + b"\r\n\r\n"


def _machine(report: Report) -> Iterator[bytes]:
    """Yield the fields of part 2 (RFC 5965 §3). What does not fit the syntax or a line is in part 1 only."""
    if not _PRODUCT.fullmatch(report.user_agent):
        raise FieldError(f"User-Agent: {report.user_agent!r} is not of the form product/version")
    once: list[tuple[str, str | None]] = [
        ("Feedback-Type", "abuse"),
        ("User-Agent", report.user_agent),
        ("Version", "1"),
        ("Original-Mail-From", _path(report.original_mail_from)),
        ("Arrival-Date", _date(report.arrival_date)),
        (
            "Reporting-MTA",
            f"dns; {report.reporting_mta}" if _HOST.fullmatch(report.reporting_mta or "") else None,
        ),
        ("Source-IP", _address_literal(report.source_ip)),
        ("Source-Port", str(report.source_port) if report.source_ip and report.source_port else None),
        ("Incidents", str(min(report.incidents, 2**32 - 1)) if report.incidents > 1 else None),
    ]
    many: list[tuple[str, str | None]] = [
        *(
            ("Original-Rcpt-To", _path(recipient))
            for recipient in report.original_rcpt_to
            if recipient.strip("<> ")
        ),
        *(("Authentication-Results", _ascii(results)) for results in report.authentication_results),
        *(
            ("Reported-Domain", domain if _HOST.fullmatch(domain) else None)
            for domain in report.reported_domains
        ),
        *(("Reported-URI", _uri(uri)) for uri in report.reported_uris),
    ]
    for name, value in once + many:
        if value and len(value) <= _LONGEST_VALUE:
            yield raw_field(name, value)


def _path(address: str | None) -> str | None:
    """Return an address as a path of RFC 5321 §4.1.2, or None when it is none. The null sender is `<>`."""
    if address is None:
        return None
    bare = address.strip().removeprefix("<").removesuffix(">")
    try:
        return f"<{check_address('path', bare)}>" if bare else "<>"
    except FieldError:
        return None


def _date(moment: datetime | None) -> str | None:
    """Return a time as RFC 5322 §3.3 writes it; in UTC, which eases comparing logs (RFC 6692 §4)."""
    return format_datetime(moment.astimezone(UTC)) if moment else None


def _address_literal(ip: str | None) -> str | None:
    """Write an address as RFC 5321 §4.1.3 does, without brackets: `192.0.2.1`, `IPv6:2001:db8::1`."""
    if ip is None:
        return None
    try:
        address = ipaddress.ip_address(ip)
    except ValueError as error:
        raise FieldError(f"Source-IP: {ip!r} is no IP address") from error
    return f"IPv6:{address.compressed.partition('%')[0]}" if address.version == 6 else str(address)


def _ascii(text: str) -> str | None:
    line = one_line(text)
    return line if line.isascii() else None


def _uri(uri: str) -> str:
    """Percent-encode what no URI may hold (RFC 3986 §2.1), so that the field is ASCII."""
    return quote(one_line(uri), safe=_URI_SAFE, errors="replace")


def _explain(report: Report, changed: list[str]) -> Iterator[str]:
    """Yield the lines of part 1: all facts, for a person with any mail reader."""
    enclosed = "Its header is enclosed below" if report.headers_only else "It is enclosed below"
    times = f" The same has been reported {report.incidents} times." if report.incidents > 1 else ""
    yield from _paragraph("Hello,")
    yield from _paragraph(
        "we forward spam complaints of the people who got the spam. One of them reports the message"
        " described here as unsolicited, has looked at this report and agreed to our sending it to you."
        f" {enclosed}.{times}"
    )
    yield from _paragraph(f"Why you get this: {report.why}")
    yield from _facts(report)
    if report.trace:
        yield from _paragraph(f"How we know: {report.trace}")
    if report.note.strip():
        yield "The reporter adds:"
        yield ""
        for line in report.note.strip().splitlines():
            yield from textwrap.wrap(one_line(line), 70, initial_indent="> ", subsequent_indent="> ") or [">"]
        yield ""
    if report.redacted:
        yield from _paragraph(
            "The reporter's address and name are replaced by pseudonyms, the same in every report to you."
        )
    for change in (*changed, *report.changed):
        yield from _paragraph(f"In the enclosed copy {change}.")
    yield from _paragraph(
        "Please look into it, and stop what your rules forbid. No answer is needed; to give one, reply to"
        " this mail: the reporter reads it, through us. A first line that is only resolved, in progress, not"
        " ours, innocent, or stop (no more reports to you) is understood by our program, too."
    )
    yield "If you want no more reports from us, open this page and press the button:"
    yield report.opt_out_url
    yield f"or send any mail to {report.opt_out_mailto}"
    yield ""
    yield from _paragraph(
        f"This report was made by {report.user_agent}. Times are UTC. Its format is RFC 5965 (ARF)."
    )


def _facts(report: Report) -> Iterator[str]:
    """Yield the facts, one to a line, as many as there are."""
    facts: list[tuple[str, str | None]] = [
        ("Source IP address", report.source_ip),
        ("Source port", None if report.source_port is None else str(report.source_port)),
        ("Received at", _utc(report.arrival_date) if report.arrival_date else None),
        ("Received by", report.reporting_mta),
        ("Subject", report.subject or "(none)"),
        (
            "Envelope sender",
            report.original_mail_from if report.original_mail_from != "" else "<> (null sender)",
        ),
        *(("Recipient", recipient) for recipient in report.original_rcpt_to),
        *(("Authentication", results) for results in report.authentication_results),
        *(("Domain", domain) for domain in report.reported_domains),
        *(("Link", uri) for uri in report.reported_uris),
    ]
    for name, value in facts:
        if value is not None:
            yield f"{name}: {_cut(one_line(value))}"
    yield ""


def _paragraph(text: str) -> Iterator[str]:
    yield from textwrap.wrap(one_line(text), 76, break_long_words=False, break_on_hyphens=False)
    yield ""


def _cut(text: str) -> str:
    return text if len(text) <= 900 else text[:880] + " [...]"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _encoded(text: str) -> tuple[bytes, bytes]:
    """Return transfer encoding and octets: what is not ASCII so that relays without 8BITMIME carry it."""
    octets = text.encode("utf-8", "replace")
    if octets.isascii() and max(map(len, octets.split(b"\r\n"))) <= LONGEST_LINE:
        return b"7bit", octets
    lines = octets.removesuffix(b"\r\n").split(b"\r\n")
    return b"quoted-printable", b"".join(
        quopri.encodestring(line).replace(b"\n", b"\r\n") + b"\r\n" for line in lines
    )


def _header_block(spam: bytes) -> bytes:
    """Return the whole header block, which is what text/rfc822-headers holds (RFC 6522 §4)."""
    return spam[: parse(spam).body].rstrip(b"\r\n") + b"\r\n"


def _boundary(message_id: str, *contents: bytes) -> bytes:
    """Derive a boundary from the Message-ID that stands in none of the parts: same report, same bytes."""
    for attempt in range(100):
        digest = hashlib.sha256(f"{attempt} {message_id}".encode()).hexdigest()[:32]
        boundary = f"{_BOUNDARY}{digest}".encode()
        if not any(boundary in content for content in contents):
            return boundary
    raise FieldError(f"the spam of {message_id} holds all boundaries tried")


def parse_report(raw: bytes) -> Feedback | None:
    """Read a feedback report; None when it is none, or one that breaks RFC 5965 §3.1 and §3.2.

    Required fields must stand exactly once; `Received-Date` and `Arrival-Date` may not both be there.
    """
    parts = list(parse(raw).leaves())
    machine = next((part for part in parts if part.content_type == "message/feedback-report"), None)
    if machine is None:
        return None
    # Some services write stray CRs into part 2 (one CR more than CRLF).
    content = re.sub(rb"\r+\n", b"\n", machine.content()).lstrip(b"\n")
    fields = tuple((header.name, header.text) for header in parse(content).headers)
    found = {name: _once(fields, name) for name in ("Feedback-Type", "User-Agent", "Version")}
    both = {"received-date", "arrival-date"} <= {name.lower() for name, _ in fields}
    spam = next(
        (part for part in parts if part.content_type in {"message/rfc822", "text/rfc822-headers"}), None
    )
    text = next((part for part in parts if part.content_type == "text/plain"), None)
    if None in found.values() or both or spam is None:
        return None
    return Feedback(
        feedback_type=(found["Feedback-Type"] or "").lower(),
        user_agent=found["User-Agent"] or "",
        version=found["Version"] or "",
        fields=fields,
        text=text.text() if text else "",
        spam=spam.content(),
        headers_only=spam.content_type == "text/rfc822-headers",
    )


def _once(fields: tuple[tuple[str, str], ...], name: str) -> str | None:
    values = [value for field, value in fields if field.lower() == name.lower()]
    return values[0] if len(values) == 1 else None
