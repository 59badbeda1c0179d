"""Getting the spam out of what a reporter handed in.

Takes the raw bytes of a submission; leaves its spams, each a slice of those bytes wherever that is
possible, and for everything that is no spam the reason and what the reporter can do instead.
"""

import re
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from complaints.archives import MAX_DEPTH, MAX_MESSAGES, Packed, Room, is_archive, short_name, unpack
from complaints.inline import forwarded_inline, shows_a_forward
from complaints.losses import Carriers, carriers, loss_of
from complaints.mail_clients import UNKNOWN, how_to_forward
from complaints.mbox_marks import mails_in
from complaints.message import Message, Part, parse
from complaints.outcomes import NO_RECEIVED, without_received
from complaints.outlook import DOWNLOAD, is_outlook, unpack_outlook
from complaints.passed_on import passed_on
from complaints.pasted import Repair, repair

MAX_ITEMS = 2_000
"""Spams taken from one submission."""

_HEADERS_ONLY = frozenset({"text/rfc822-headers", "message/global-headers"})  # RFC 6522 §4, RFC 6533
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
_RESENT_TO = frozenset({"resent-to", "resent-cc", "resent-bcc"})
_MOST_RESENT_TO = 100
"""Addresses that are looked up of a redirected mail."""
_ADDRESS = re.compile(r"[^\s<>\"(),;:@]{1,64}@[^\s<>\"(),;:@]{1,255}")
_BARE_CHARSET = re.compile(r"\A[A-Za-z0-9-]{1,40}''")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing found in a submission.

    Either `spam` is the raw bytes (`submission[start:end]` where they stand in it verbatim; decoded from a
    transfer encoding or an archive otherwise, and then without offsets), or `spam` is None and `reason` and
    `remedy` tell the reporter, in one sentence each, what was wrong and what to do. `grade` is the best a
    trace of it can have, `lost` says in one sentence what of the message did not survive the way in,
    `repairs` what was done to a pasted text, how many of its Received lines are `certain` (None: no text).
    """

    spam: bytes | None
    start: int | None
    end: int | None
    reason: str | None
    remedy: str | None
    grade: str = "A"
    name: str | None = None
    lost: str | None = None
    repairs: tuple[Repair, ...] = ()
    certain: int | None = None


@dataclass
class _Hand:
    """All that comes from one hand: the room it has, and the mail it came in (None for an upload)."""

    around: Message | None = None
    room: Room = field(default_factory=Room)

    @cached_property
    def carried(self) -> Carriers:
        """Who may have rebuilt what is in the mail."""
        return carriers(self.around) if self.around else ()

    @cached_property
    def remedy(self) -> str:
        """How to forward with the program that wrote the mail."""
        return how_to_forward(self.around) if self.around else ""


def _refusal(reason: str, remedy: str, name: str | None = None) -> Item:
    return Item(None, None, None, reason, remedy, "D", name)


def open_file(raw: bytes, filename: str = "") -> list[Item]:
    """Return the spams of a file or upload: itself, unless its bytes tell a zip, gzip, mbox, .msg, TNEF."""
    return _open(raw, filename, 0, _Hand())


def _open(raw: bytes, name: str, depth: int, hand: _Hand) -> list[Item]:
    """Take bytes as what they are; what holds others is opened `MAX_DEPTH` deep."""
    if is_archive(raw) or is_outlook(raw):
        if depth >= MAX_DEPTH:
            reason = f"{name or 'The archive'} is an archive inside archives."
            return [_refusal(reason, "Send the messages in one plain zip file.", name)]
        return _unpack(raw, name, depth, hand) or [_empty_archive(name)]
    if slices := mails_in(raw, MAX_MESSAGES):
        items: list[Item] = []
        _add(items, [_spam(raw, start, end, name, hand) for start, end in slices])
        return items
    return [_spam(raw, 0, len(raw), name, hand)]


def _add(items: list[Item], more: list[Item]) -> bool:
    """Add what else was found; False, once that is said, when it is more than one submission may hold."""
    room = MAX_ITEMS - len(items)
    items += more[:room]
    if len(more) <= room:
        return True
    reason = f"There are more than {MAX_ITEMS:,} messages; only the first {MAX_ITEMS:,} were looked at."
    items.append(_refusal(reason, "Send the others in another mail or file, or use `plaint batch`."))
    return False


def _unpack(raw: bytes, name: str, depth: int, hand: _Hand) -> list[Item]:
    """Open an archive or a file of Outlook's. What lay in it has no place in the submission's own bytes."""
    items: list[Item] = []
    from_outlook = is_outlook(raw)
    for packed in (unpack_outlook if from_outlook else unpack)(raw, name, hand.room):
        if packed.content is None:
            more = [_refusal(packed.reason, packed.remedy, packed.name)]
        elif packed.lost:
            more = [_remade(packed, packed.content, hand)]
        elif not from_outlook or _is_of_interest(packed.content, packed.name):
            more = _open(packed.content, packed.name, depth + 1, hand)
        else:
            more = []
        if not _add(items, more):
            break
    return [replace(item, start=None, end=None) for item in items]


def _empty_archive(name: str) -> Item:
    reason = f"{name or 'The archive'} is empty, or nothing in it is a message."
    return _refusal(reason, "Pack the spam as a message file (.eml) into it.", name)


def _remade(packed: Packed, content: bytes, hand: _Hand) -> Item:
    """Take a message that was put together from what Outlook keeps; of use only with the way it took."""
    item = _spam(content, 0, len(content), packed.name, hand)
    if item.spam is None or parse(content).fields("received"):
        return item if item.spam is None else replace(item, grade=max(item.grade, "B"), lost=packed.lost)
    return _no_way(packed.name, DOWNLOAD)


def _no_way(name: str | None, remedy: str) -> Item:
    return _refusal(without_received(name), remedy, name)


def _spam(raw: bytes, start: int, end: int, name: str | None, hand: _Hand, kind: str = "") -> Item:
    """Take a slice as a spam, or say why it cannot be one; `kind` is the type of the part it came as."""
    spam = raw[start:end]
    what = name or "The attachment" if hand.around else name or "The message"
    if not spam.strip():
        remedy = "Attach the spam again; some mail programs attach an empty file at the first try."
        reason = f"{what} is empty: the mail program attached a file without anything in it."
        return _refusal(reason, remedy, name)
    message = parse(spam)
    if not message.headers:
        reason = f"{what} has no mail header inside."
        return _refusal(reason, "Send the complete source of the message, beginning with its header.", name)
    if not message.fields("received"):
        if hand.around is None:
            return Item(spam, start, end, None, None, "D", name)
        return _no_way(name, NO_RECEIVED.remedy if hand.remedy == UNKNOWN else hand.remedy)
    grade, lost = loss_of(message, kind, hand.carried)
    return Item(spam, start, end, None, None, grade, name, lost)


HEADER_ALONE = (
    " Only its header is there, so no links can be read. If you pasted text below it, hand it in again with "
    "an empty line between header and text, or take the joining of lines back, if that is listed as a repair."
)


def unwrap_paste(raw: bytes, without: Container[str] = ()) -> list[Item]:
    """Return the spam whose source was pasted as text, repaired but for the kinds of repair in `without`."""
    if len(mails_in(raw, MAX_MESSAGES)) > 1:
        return [replace(item, grade=max(item.grade, "B"), start=None, end=None) for item in open_file(raw)]
    found = repair(raw, without)
    message = parse(found.spam)
    if not message.headers:
        reason = "What you pasted does not begin with the header of a message."
        remedy = (
            "Paste the complete source, from its first header line on (often Return-Path, Delivered-To or "
            "Received), without anything above it; or save the message as a file (.eml) and upload it."
        )
        return [_refusal(reason, remedy, "pasted message")]
    lost = "Pasted: a clipboard does not keep every byte." + (
        HEADER_ALONE if not found.spam[message.body :].strip() else ""
    )
    grade = max(loss_of(message).grade, "B")
    return [
        Item(
            found.spam,
            None,
            None,
            None,
            None,
            grade,
            "pasted message",
            lost,
            found.repairs,
            found.certain,
        )
    ]


def mended_again(raw: bytes, *, forwarded: bool, without: Container[str]) -> Item | None:
    """Return the spam that was pasted or forwarded inline, without some of its repairs; None for none."""
    if forwarded:
        return _inline(parse(raw), without)
    items = unwrap_paste(raw, without)
    return items[0] if len(items) == 1 and items[0].spam is not None else None


def unwrap_forward(
    raw: bytes, is_ours: Callable[[str], bool] | None = None, theirs: Collection[str] = ()
) -> list[Item]:
    """Return the spams in a mail that came to a submission address: every outermost message inside it.

    A message inside a spam is that spam's content, so of a redirected mail nothing is unwrapped. `is_ours`
    tells this reporter's submission addresses, to one of which a redirect must say it went (None: any will
    do), `theirs` are their own addresses: what came to one of those and was passed on whole is no forward,
    and what it carries is the spam's. Without any message, a spam forwarded inline is looked for, and failing
    that one refusal says how to forward with the program that was used.
    """
    message = parse(raw)
    if redirected := _redirected(message, is_ours):
        return [redirected]
    if is_ours and (told := passed_on(message, is_ours, theirs)):
        return [_refusal(*told)]
    items: list[Item] = []
    hand = _Hand(message)
    for part in message.leaves():
        if not _add(items, _from_part(part, raw, hand)):
            break
    if any(item.spam is not None for item in items):
        return [_perhaps_its_own(item, hand) for item in items] if shows_a_forward(message) else items
    inline = _inline(message)
    return [inline, *items] if inline else items or [_nothing_attached(message)]


def _from_part(part: Part, raw: bytes, hand: _Hand) -> list[Item]:
    """Look into one part: a message, a file that is or holds one, or nothing of interest."""
    kind, name = part.content_type, _name_of(part)
    is_message = kind.startswith("message/") or kind in _HEADERS_ONLY
    if kind in _NO_MESSAGES or (part.depth == 0 and kind.startswith("text/") and not is_message):
        return []
    content = part.content()
    if is_archive(content) or is_outlook(content):
        empty = [_empty_archive(name or "")] if is_archive(content) else []
        return _unpack(content, name or "", 0, hand) or empty
    if is_message:
        return [_from_message(part, raw, content, hand)]
    if not _is_file(part) or not _is_source(content, name):
        return []
    if slices := mails_in(content, MAX_MESSAGES):
        taken = (_spam(content, start, end, name, hand) for start, end in slices)
        return [replace(item, start=None, end=None) for item in taken]
    return [_from_message(part, raw, content, hand)]


def _name_of(part: Part) -> str | None:
    """Return a part's name, without the charset that stands alone where RFC 2231 went wrong."""
    return short_name(_BARE_CHARSET.sub("", part.filename)) or None if part.filename else None


def _is_file(part: Part) -> bool:
    """Tell a file that may be the source of a message from pictures, pages and what was typed."""
    if part.content_type.startswith(("text/html", "image/", "video/", "audio/")):
        return False
    attached = (one for one in part.headers if one.name.lower() == "content-disposition")
    is_attached = any(one.value[:10].lower() == b"attachment" for one in attached)
    return not part.content_type.startswith("text/") or part.filename is not None or is_attached


def _from_message(part: Part, raw: bytes, content: bytes, hand: _Hand) -> Item:
    """Take a part as a spam: its slice, or its decoded bytes where it was coded against RFC 2046 §5.2.1."""
    if part.transfer_encoding not in {"base64", "quoted-printable"}:
        return _spam(raw, part.start, part.end, _name_of(part), hand, part.content_type)
    item = _spam(content, 0, len(content), _name_of(part), hand, part.content_type)
    return replace(item, start=None, end=None)


def _is_of_interest(content: bytes, name: str | None) -> bool:
    return is_archive(content) or is_outlook(content) or _is_source(content, name)


def _is_source(content: bytes, name: str | None) -> bool:
    """Tell whether bytes look like the source of a message: a header with fields that every message has."""
    if mails_in(content, MAX_MESSAGES):
        return True
    names = {header.name.lower() for header in parse(content).headers}
    named = name is not None and name.lower().endswith((".eml", ".eml.txt", ".mht"))
    return named or "received" in names or len(names & _KNOWN_FIELDS) >= 4


def _redirected(message: Message, is_ours: Callable[[str], bool] | None) -> Item | None:
    """Take a redirected (resent) message: the spam begins below the Resent- block (RFC 5322 §3.6.6).

    What stands above it is the way from the reporter to us. A program that puts the block below all Received
    lines leaves nothing to tell the two ways apart. Anybody can write such a block above forged Received
    lines, but only the reporter knows the submission address.
    """
    fields = message.headers
    first = next((n for n, one in enumerate(fields) if one.name.lower().startswith("resent-")), None)
    if first is None:
        return None
    last = first
    for n in range(first, len(fields)):
        name = fields[n].name.lower()
        if name.startswith("resent-"):
            last = n
        elif not name.startswith("x-"):
            break
    lines = (one.text for one in fields[first : last + 1] if one.name.lower() in _RESENT_TO)
    named = islice((address for text in lines for address in _ADDRESS.findall(text)), _MOST_RESENT_TO)
    reason = None
    if is_ours and not any(map(is_ours, named)):
        reason = "The message was redirected, but no Resent-To line names your submission address"
    elif not any(one.name.lower() == "received" for one in fields[last + 1 :]):
        reason = "The message was redirected, and no Received lines stand below its Resent- lines"
    if reason:
        reason += ": the way it took to you cannot be told from its way to us."
        return _refusal(reason, how_to_forward(message), "redirected message")
    start = fields[last].end
    lost = "Redirected: some header lines may have been changed; those of its way to us are left out."
    return Item(message.raw[start:], start, len(message.raw), None, None, "B", "redirected message", lost)


def _inline(message: Message, without: Container[str] = ()) -> Item | None:
    """Take a forward whose text shows the header of the spam: lines are lost, the chain can be read."""
    if (found := forwarded_inline(message, without)) is None:
        return None
    spam, repairs, certain = found.spam, found.repairs, found.certain
    return Item(spam, None, None, None, None, "C", "inline forward", None, repairs, certain)


def _perhaps_its_own(item: Item, hand: _Hand) -> Item:
    """Refuse what is attached to a forward made inside the text: the sender of the spam may have attached it.

    Its Received lines would be of their choice, and so would be whom they accuse.
    """
    if item.spam is None:
        return item
    reason = (
        f"{item.name or 'The attachment'} came with a message that was forwarded within the text, so it may "
        "be a part of the spam and not the spam itself."
    )
    return _refusal(reason, hand.remedy, item.name)


def _nothing_attached(message: Message) -> Item:
    """Refuse a mail without a spam inside, with the instruction for the program that wrote it."""
    reason = "No spam is attached: a forward inside the text lacks the Received lines that a trace needs."
    return _refusal(reason, how_to_forward(message))
