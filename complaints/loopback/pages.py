"""The inbox's HTML: takes received messages, leaves pages. All mail is text: escaped, never rendered."""

import email.header
import email.message
import re
from collections import Counter
from collections.abc import Sequence
from html import escape

from .letters import VERDICTS, Received

MOST_SHOWN = 100_000
REFRESH_SECONDS = 5
# Only addresses of this machine become links: the review pages of a Plaint that runs here.
OWN_LINK = re.compile(r"https?://(?:127\.0\.0\.1|localhost)(?::\d{1,5})?/[^\s<>\"']*")
STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; }
tr { border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; } td.time { white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
pre { background: color-mix(in srgb, currentColor 6%, transparent); padding: 1rem; border-radius: .4rem;
      white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
textarea { width: 100%; box-sizing: border-box; font: inherit; padding: .5rem; }
button { font: inherit; padding: .4rem 1rem; margin-right: .5rem; }
.note { border-left: .3rem solid #2a7; padding: .5rem 1rem; } .failed { border-color: #c33; }
nav a { margin-right: 1rem; } .quiet { opacity: .7; }
"""


def list_page(messages: Sequence[Received], mailbox: str | None) -> str:
    """Return the list of all messages, newest first, or of those to one mailbox; it refreshes itself."""
    counts = Counter(rcpt for m in messages for rcpt in m.rcpt_tos)
    links = "".join(
        f'<a href="/?to={escape(box)}">{escape(box)} ({n})</a>' for box, n in sorted(counts.items())
    )
    shown = [m for m in reversed(messages) if mailbox is None or mailbox in m.rcpt_tos]
    rows = "".join(
        f'<tr><td class="time">{m.at:%H:%M:%S}</td><td>{escape(", ".join(m.rcpt_tos))}</td>'
        f"<td>{escape(m.mail_from or '<>')}</td>"
        f'<td><a href="/messages/{m.number}">{escape(subject_of(m) or "(no subject)")}</a></td></tr>'
        for m in shown
    )
    table = "<tr><th>Time (UTC)</th><th>To</th><th>Envelope sender</th><th>Subject</th></tr>" + rows
    empty = (
        ""
        if shown
        else '<p class="quiet">Nothing has arrived yet. This page looks again every few seconds.</p>'
    )
    what = '<p class="quiet">Mail to the reporter and to the abuse desks, as their mail hosts took it.</p>'
    body = f'{what}<nav><a href="/">All ({len(messages)})</a>{links}</nav><table>{table}</table>{empty}'
    return _page("Inbox of the loopback internet", body, refresh=True)


def message_page(received: Received, *, desk: bool, note: str = "", failed: bool = False) -> str:
    """Return one message: its parts as text, a form to answer if it lies at a desk, envelope, raw source."""
    facts = {
        "From (envelope)": received.mail_from or "<>",
        "To (envelope)": ", ".join(received.rcpt_tos),
        "Received": f"{received.at:%Y-%m-%d %H:%M:%S} UTC by {received.host}",
        "Client": f"{received.helo}, {'TLS' if received.tls else 'without TLS'}",
        "Answer": received.answer or "none: the connection was dropped after the final dot",
        "Size": f"{len(received.raw)} bytes",
    }
    envelope = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    headers = ("From", "Reply-To", "To", "Date", "Message-ID")
    header = "".join(
        f"<dt>{name}</dt><dd>{escape(_decoded(value))}</dd>"
        for name in headers
        if (value := received.message.get(name)) is not None
    )
    notice = f'<p class="note{" failed" if failed else ""}" role="status">{escape(note)}</p>' if note else ""
    form = _form(received) if desk else ""
    source = escape(_cut(received.raw.decode("utf-8", "replace")))
    body = (
        f'<nav><a href="/">Inbox</a><a href="/messages/{received.number}.eml">Download as .eml</a></nav>'
        f"{notice}"
        f"<dl>{header}</dl>{_parts(received)}{form}"
        f"<h2>Envelope</h2><dl>{envelope}</dl>"
        f"<h2>Source, as received</h2><pre>{source}</pre>"
    )
    return _page(subject_of(received) or "(no subject)", body)


def subject_of(received: Received) -> str:
    """Return the decoded subject, on one line."""
    return " ".join(_decoded(received.message.get("Subject", "")).split())


def _parts(received: Received) -> str:
    """Show the parts apart: of a report (RFC 6522) all three, else the text to read."""
    message = received.message
    if message.get_content_type() == "multipart/report" and message.is_multipart():
        parts = [part for part in message.get_payload() if isinstance(part, email.message.Message)]
        return "".join(
            f"<h2>Part {n}: {escape(part.get_content_type())}</h2><pre>{_text(part, own_links=n == 1)}</pre>"
            for n, part in enumerate(parts, start=1)
        )
    readable = [part for part in message.walk() if part.get_content_type() == "text/plain"]
    return "".join(f"<h2>Text</h2><pre>{_text(part, own_links=True)}</pre>" for part in readable)


def _text(part: email.message.Message, *, own_links: bool) -> str:
    """Escape a part's text; a message inside a part stands there in its source."""
    if part.is_multipart():
        text = "\n".join(_source(each) for each in part.get_payload())
    else:
        payload = part.get_payload(decode=True)
        text = _in_charset(
            payload if isinstance(payload, bytes) else b"", part.get_content_charset() or "utf-8"
        )
    shown = escape(_cut(text))
    return OWN_LINK.sub(lambda m: f'<a href="{m[0]}">{m[0]}</a>', shown) if own_links else shown


def _source(part: object) -> str:
    """Return a part in its source; bytes, because as text the generator stumbles over unknown charsets."""
    assert isinstance(part, email.message.Message)
    return part.as_bytes().decode("utf-8", "replace")


def _form(received: Received) -> str:
    """Offer to write to Reply-To what a person at the desk would."""
    buttons = "".join(f'<button name="verdict" value="{v}">{v.capitalize()}</button>' for v in VERDICTS)
    return (
        f"<h2>Answer as {escape(received.rcpt_tos[0])}</h2>"
        f'<form method="post" action="/messages/{received.number}/answer">'
        f'<p><textarea name="text" rows="3" aria-label="Your answer" placeholder="What the desk writes '
        f'(may be empty)"></textarea></p><p>{buttons}</p></form>'
    )


def _page(title: str, body: str, *, refresh: bool = False) -> str:
    again = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if refresh else ""
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{again}'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f'<link rel="stylesheet" href="/style.css"></head><body><h1>{escape(title)}</h1>{body}</body></html>'
    )


def _decoded(value: object) -> str:
    """Decode a header's encoded words (RFC 2047); leave it as it stands when they are broken."""
    try:
        return str(email.header.make_header(email.header.decode_header(str(value))))
    except (LookupError, ValueError):
        return str(value)


def _in_charset(payload: bytes, charset: str) -> str:
    try:
        return payload.decode(charset, "replace")
    except LookupError:
        return payload.decode("utf-8", "replace")


def _cut(text: str) -> str:
    if len(text) <= MOST_SHOWN:
        return text
    return (
        text[:MOST_SHOWN]
        + f"\n[... {len(text) - MOST_SHOWN} more characters: download the message to see them]"
    )
