"""Getting the spam out of what a reporter handed in.

Takes the raw bytes of a submission; leaves its spams, each a slice of those bytes wherever that is
possible, and for everything that is no spam the reason and what the reporter can do instead.
"""

from dataclasses import dataclass, replace

from complaints.archives import MAX_DEPTH, Packed, Room, is_archive, mbox_slices, unpack
from complaints.inline import forwarded_inline
from complaints.mail_clients import how_to_forward
from complaints.message import Header, Message, Part, parse

MAX_ITEMS = 2_000
"""Spams taken from one submission."""

_OUTLOOK_MSG = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TNEF = b"\x78\x9f\x3e\x22"
# Parts that speak about messages and are none (RFC 3464, 5965, 8098, 2046 §5.2.2 and §5.2.3).
_NO_MESSAGES = frozenset(
    f"message/{name}"
    for name in (
        *("delivery-status", "feedback-report", "disposition-notification", "partial", "external-body"),
        *("global-delivery-status", "global-disposition-notification", "tracking-status"),
    )
)
_KNOWN_FIELDS = frozenset(
    {
        *("received", "from", "to", "subject", "date", "message-id", "return-path", "delivered-to"),
        *("mime-version", "content-type", "dkim-signature"),
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing found in a submission.

    Either `spam` is the raw bytes (`submission[start:end]` where they stand in it verbatim; decoded from a
    transfer encoding or an archive otherwise, and then without offsets), or `spam` is None and `reason` and
    `remedy` tell the reporter, in one sentence each, what was wrong and what to do. `grade` is the best a
    trace of it can have.
    """

    spam: bytes | None
    start: int | None
    end: int | None
    reason: str | None
    remedy: str | None
    grade: str = "A"
    name: str | None = None


def _refusal(reason: str, remedy: str, name: str | None = None) -> Item:
    return Item(None, None, None, reason, remedy, "D", name)


def open_file(raw: bytes, filename: str = "") -> list[Item]:
    """Return the spams of a file or upload: itself, unless its bytes say that it is a zip, gzip or mbox."""
    return _open(raw, filename, 0, Room())


def _open(raw: bytes, name: str, depth: int, room: Room) -> list[Item]:
    if is_archive(raw):
        if depth >= MAX_DEPTH:
            return [
                _refusal(
                    f"{name or 'The archive'} is an archive inside archives.",
                    "Send the messages in one plain zip file.",
                    name,
                )
            ]
        return _open_archive(raw, name, depth, room)
    if slices := mbox_slices(raw):
        return [_verbatim(raw, start, end, name) for start, end in slices[:MAX_ITEMS]]
    return [_verbatim(raw, 0, len(raw), name)]


def _open_archive(raw: bytes, name: str, depth: int, room: Room) -> list[Item]:
    items: list[Item] = []
    for packed in unpack(raw, name, room):
        items += _open_packed(packed, depth, room)
        if len(items) >= MAX_ITEMS:
            break
    return items or [
        _refusal(
            f"{name or 'The archive'} is empty.", "Pack the spam as a message file (.eml) into it.", name
        )
    ]


def _open_packed(packed: Packed, depth: int, room: Room) -> list[Item]:
    if packed.content is None:
        return [_refusal(packed.reason, packed.remedy, packed.name)]
    # What lay in an archive has no place in the submission's own bytes.
    return [
        replace(item, start=None, end=None) for item in _open(packed.content, packed.name, depth + 1, room)
    ]


def _verbatim(raw: bytes, start: int, end: int, name: str | None) -> Item:
    """Take a slice as a spam, or say why it cannot be one."""
    spam = raw[start:end]
    what = name or "The message"
    if not spam.strip():
        return _refusal(
            f"{what} is empty.",
            "Attach the spam again; some mail programs attach an empty file at the first try.",
            name,
        )
    if spam.startswith(_OUTLOOK_MSG):
        return _refusal(
            f"{what} is an Outlook .msg file.",
            "Save the spam from Outlook on the web with Download (.eml) and send that file.",
            name,
        )
    if spam.startswith(_TNEF):
        return _refusal(
            f"{what} is an Outlook Rich Text attachment (winmail.dat).",
            "Set the message format to HTML or plain text and forward as attachment again.",
            name,
        )
    if not parse(spam).headers:
        return _refusal(
            f"{what} has no mail header inside.",
            "Send the complete source of the message, beginning with its header.",
            name,
        )
    return Item(spam, start, end, None, None, "A", name)


def unwrap_forward(raw: bytes) -> list[Item]:
    """Return the spams in a mail that came to a submission address: every outermost message inside it.

    A message inside a spam is that spam's content. Without any, what was forwarded inline or redirected is
    looked for, and failing that one refusal says how to forward with the program that was used.
    """
    message = parse(raw)
    items: list[Item] = []
    room = Room()
    for part in message.leaves():
        items += _from_part(part, raw, room)
        if len(items) >= MAX_ITEMS:
            break
    if any(item.spam is not None for item in items):
        return items
    inline = _redirected(message) or _inline(message)
    return [inline, *items] if inline else items or [_nothing_attached(message)]


def _from_part(part: Part, raw: bytes, room: Room) -> list[Item]:  # noqa: PLR0911 - one return per kind of part
    """Look into one part: a message, a file that is or holds one, or nothing of interest."""
    kind, name = part.content_type, part.filename
    if kind.startswith("message/") or kind == "text/rfc822-headers":
        return [] if kind in _NO_MESSAGES else [_graded(_from_message(part, raw), kind)]
    if part.depth == 0:
        return []
    content = part.content()
    if is_archive(content):
        return [
            replace(item, start=None, end=None) for item in _open(content, name or "The archive", 0, room)
        ]
    if content.startswith((_OUTLOOK_MSG, _TNEF)):
        return [_verbatim(content, 0, len(content), name)]
    if not kind.startswith(("text/html", "image/", "video/", "audio/")) and _is_source(content, name):
        if slices := mbox_slices(content):
            return [
                replace(_verbatim(content, a, b, name), start=None, end=None) for a, b in slices[:MAX_ITEMS]
            ]
        return [_from_message(part, raw)]
    return []


def _graded(item: Item, kind: str) -> Item:
    return replace(item, grade="B") if item.spam is not None and kind == "text/rfc822-headers" else item


def _from_message(part: Part, raw: bytes) -> Item:
    """Take a part as a spam: its slice, or its decoded bytes where it was coded against RFC 2046 §5.2.1."""
    if part.transfer_encoding in {"base64", "quoted-printable"}:
        decoded = part.content()
        return replace(_verbatim(decoded, 0, len(decoded), part.filename), start=None, end=None)
    return _verbatim(raw, part.start, part.end, part.filename)


def _is_source(content: bytes, name: str | None) -> bool:
    """Tell whether bytes look like the source of a message: a header with fields that every message has."""
    if mbox_slices(content):
        return True
    names = {header.name.lower() for header in parse(content).headers}
    named = name is not None and name.lower().endswith((".eml", ".eml.txt", ".mht"))
    return named or "received" in names or len(names & _KNOWN_FIELDS) >= 4


def _redirected(message: Message) -> Item | None:
    """Take a redirected (resent) message: the spam begins below the Resent- block (RFC 5322 §3.6.6)."""
    last: Header | None = None
    for header in message.headers:
        if header.name.lower().startswith("resent-"):
            last = header
        elif last is not None:
            break
    if last is None:
        return None
    spam = message.raw[last.end :]
    if not parse(spam).fields("received"):
        return None
    return Item(spam, last.end, len(message.raw), None, None, "B", "redirected message")


def _inline(message: Message) -> Item | None:
    """Take a forward whose text shows the header of the spam: lines are lost, the chain can be read."""
    spam = forwarded_inline(message)
    return Item(spam, None, None, None, None, "C", "inline forward") if spam is not None else None


def _nothing_attached(message: Message) -> Item:
    """Refuse a mail without a spam inside, with the instruction for the program that wrote it."""
    reason = "No spam is attached: a forward inside the text lacks the Received lines that a trace needs."
    return _refusal(reason, how_to_forward(message))
