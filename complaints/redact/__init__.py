"""Taking the reporter out of a spam (RFC 6590): takes raw bytes and an identity, leaves bytes a desk may see.

The rule: a local part of the reporter's addresses becomes a keyed pseudonym wherever the address stands, in
whatever encoding; so do the reporter's names, and the bare local part where it is a word by itself. The
domain stays, as in RFC 6590 appendix A: the Received lines name its hosts, and they are the evidence. So
the address `alice+shop@victim.example` becomes `redacted-<13 letters>@victim.example`; the same reporter
under the same key always gets the same pseudonym, and nobody without the key can compute it. A digest of
the address becomes another number of the same length. Everything else stays byte for byte: structure,
boundaries, hosts, Message-ID, Subject. A part in base64 or quoted-printable is written anew only if
something had to be hidden inside the encoding.

Names and bare local parts are left alone inside host names, in the addresses of others, and in the trace
fields.
"""

import base64
import binascii
import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from complaints.archives import Room, is_archive, unpack
from complaints.encodings import decode_base64
from complaints.message import Header, Message, Part, parse
from complaints.redact.hide import WORDS, Find, Hider, hider, splice

MAX_NESTED = 8
"""Messages inside messages that are opened."""
LEVELS = ("identity", "none")
# Fields other hosts wrote about the way of the mail: their words are host names and ids, not the reporter's
# name.
_TRACE = re.compile(
    r"received|received-spf|message-id|references|in-reply-to|return-path|.*authentication-results.*"
    r"|arc-.*|.*dkim-signature|x-received|list-id|content-type|content-transfer-encoding|mime-version|date",
    re.IGNORECASE,
)
# Fields that name the recipient, whose bare local part is then the reporter's mailbox.
_RECIPIENT = re.compile(
    r"(?:resent-)?(?:to|cc|bcc)|apparently-to|(?:x-)?(?:delivered-to|original-to|envelope-to|rcpt-to|real-to"
    r"|forwarded-to|forwarded-for|apparently-to|loop|original-recipient|mdrcpt-to|deliver-to|resolved-to|mailfwd"
    r"|rcptto|envelope-recipient|gmane-.*|yahoo-forwarded|user|auth-user|sieve.*)",
    re.IGNORECASE,
)
_FOR = rb"\sfor\s+<?(?P<hide>%s)>?(?=[\s;])"
_ALONE = rb"(?<![\w.@+=-])(?P<hide>%s)(?![\w@+=-]|\.\w)"
_BASE64_LINES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\r\n \t"
_FOLD = re.compile(rb"\r?\n[ \t]+")
_CUT_ESCAPE = re.compile(
    rb"(?:%(?:25){0,4}u?[0-9A-Fa-f]{0,3}|=[0-9A-Fa-f]|&(?:amp;){0,4}#?x?[0-9A-Za-z]{0,8};?"
    rb"|\\[ux]?\{?[0-9A-Fa-f]{0,4})\r?\n[ \t]"
)
# Charsets whose ASCII does not look like ASCII: only their decoded text can be searched.
_NOT_ASCII = re.compile(
    r"utf-?(?:16|32|7)|unicode|ucs-?[24]|cp(?:037|273|424|500|875|1026|1140)|hz|ebcdic", re.IGNORECASE
)
_TEXTUAL = re.compile(
    r"text/|message/|application/(?:.*xml|json|javascript|.*calendar|rtf|pgp|x-sh)|image/svg", re.IGNORECASE
)


class CannotRedact(ValueError):  # noqa: N818 - the name is part of the contract with the callers
    """The message cannot be made safe to send; the message says what is in the way and what to do."""


@dataclass(frozen=True)
class Identity:
    """Whom to hide: the registered address and all aliases (`local@domain`), and names as written."""

    addresses: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """`count` replacements by one rule, `where` a header field or part, `line` of the raw bytes from 1."""

    rule: str
    where: str
    line: int
    count: int


@dataclass(frozen=True)
class Redacted:
    """The bytes a desk may see, what was changed, and in sentences what could not or was not to be hidden."""

    raw: bytes
    changes: tuple[Change, ...]
    not_hidden: tuple[str, ...]


def redact(raw: bytes, identity: Identity, *, key: bytes, level: str = "identity") -> Redacted:
    """Hide the identity in a spam. `key` is our redaction key (RFC 6590 §3), of at least 16 bytes.

    Level `identity` hides addresses and names as told above, `none` returns the bytes as they are.
    Raises CannotRedact when there is no address to hide or something cannot be looked into far enough,
    ValueError for another level or a short key.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown redaction level {level!r}; there are: {', '.join(LEVELS)}")
    if len(key) < 16:
        raise ValueError(f"the redaction key has {len(key)} bytes; it needs at least 16")
    if level == "none":
        return Redacted(raw, (), ("Your address and name are shown to the desk, as you chose.",))
    addresses = tuple(address.strip() for address in identity.addresses)
    if not addresses or not all(re.fullmatch(r"[^@\s]+@[^@\s]+", address) for address in addresses):
        raise CannotRedact(
            f"{identity.addresses!r} holds something that is no mail address; correct it and try again"
        )
    pass_ = _Pass(hider(key, addresses, identity.names))
    return Redacted(
        pass_.message(raw), tuple(pass_.changes), tuple(dict.fromkeys((*pass_.kept, *_always(addresses))))
    )


def sha1_pseudonym(key: str, private: str) -> str:
    """Return the transformation of RFC 6590 appendix A, for whoever reproduces it; Plaint does not."""
    digest = hashlib.sha1((key + private).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def _always(addresses: tuple[str, ...]) -> Iterator[str]:
    for domain in dict.fromkeys(address.rpartition("@")[2].lower() for address in addresses):
        yield f"The domain {domain} of your address stays: the Received lines, the evidence, name its hosts."
    yield "The Message-ID, the time, and codes in links may tell the sender of the spam whom it was sent to."


@dataclass
class _Pass:
    """One redaction on its way: collects what changed and what was kept."""

    hider: Hider
    changes: list[Change] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    room: Room = field(default_factory=Room)

    def message(self, raw: bytes, nested: int = 0) -> bytes:
        """Return the message with the identity hidden in its fields, structure and parts."""
        if nested > MAX_NESTED:
            raise CannotRedact(
                f"messages lie more than {MAX_NESTED} deep in each other; send its header only"
            )
        message = parse(raw)
        mended = self._mended(message)
        if mended != raw:
            message, raw = parse(mended), mended
        places = _Places(message)
        pieces, position = [], 0
        for number, part in enumerate(message.leaves(), 1):
            if not _is_own_world(part):
                continue
            pieces.append(self._open_text(places, position, part.start))
            body = raw[part.start : part.end]
            new = self._part(
                part, body, f"part {number} ({part.content_type})", places.line(part.start), nested
            )
            pieces.append(new)
            position = part.end
        pieces.append(self._open_text(places, position, len(raw)))
        return b"".join(pieces)

    def _mended(self, message: Message) -> bytes:
        """Take out the folds of a field where one cuts an escape in two and so hides something."""
        pieces, position = [], 0
        for header in message.headers:
            if _CUT_ESCAPE.search(header.raw):
                joined = _FOLD.sub(b"", header.raw)
                if len(self.hider.finds(joined)) > len(self.hider.finds(header.raw)):
                    pieces += [message.raw[position : header.start], joined]
                    position = header.end
        return b"".join((*pieces, message.raw[position:]))

    def _open_text(self, places: "_Places", start: int, end: int) -> bytes:
        """Hide in what stands there unencoded: header fields, delimiters, 7-bit and 8-bit text."""
        text = places.raw[start:end]
        finds = self.hider.finds(text)
        bare = [find for find in self._recipients(places) if start <= find.start < end]
        finds = [
            find
            for find in _merged(finds, [_moved(find, -start) for find in bare])
            if not (find.rule in WORDS and places.in_trace(start + find.start))
        ]
        for find in finds:
            where, line = places.where(start + find.start), places.line(start + find.start)
            self._changed(find.rule, where, line)
        return splice(text, finds)

    def _recipients(self, places: "_Places") -> Iterator[Find]:
        """Find the bare local part where a mailbox must be meant: recipient fields, `for` (RFC 5321 §4.4)."""
        locals_ = {secret.private for secret in self.hider.secrets if secret.rule == "address"}
        choice = b"|".join(re.escape(local.encode()) for local in sorted(locals_, key=len, reverse=True))
        for header in places.headers:
            received = header.name.lower() == "received"
            if not received and not _RECIPIENT.fullmatch(header.name):
                continue
            pattern = re.compile((_FOR if received else _ALONE) % choice)
            body = header.raw.index(b":") + 1
            for match in pattern.finditer(header.raw.lower(), body):
                start, end = match.span("hide")
                new = self.hider.pseudonyms[match["hide"].decode()]
                yield Find(header.start + start, header.start + end, new, "mailbox")

    def _part(self, part: Part, body: bytes, where: str, line: int, nested: int) -> bytes:
        """Hide in a body with an encoding of its own; it is written anew only where a find sits inside."""
        encoding = part.transfer_encoding
        content = _decoded(encoding, body)
        if encoding == "base64" and (odd := body.translate(None, _BASE64_LINES)):
            # What stands readable around the base64, e.g. a footer that a list put there.
            body = self._readable(body, where, line) if odd.strip(b"=") else body
            content = _decoded(encoding, body)
        elif encoding == "quoted-printable" and self.hider.finds(content):
            # Nearly all finds stand in the encoded text too, and nothing around them need be written anew.
            body = self._readable(body, where, line)
            content = _decoded(encoding, body)
        new = self._content(part, content, where, line, nested)
        return body if new == content else _encoded(encoding, body, new)

    def _readable(self, body: bytes, where: str, line: int) -> bytes:
        """Hide in an encoded body what can be read without decoding it."""
        finds = self.hider.finds(body, tokens=False)
        for find in finds:
            self._changed(find.rule, where, line + body.count(b"\n", 0, find.start))
        return splice(body, finds)

    def _content(self, part: Part, content: bytes, where: str, line: int, nested: int) -> bytes:
        if part.content_type.startswith("message/"):
            return self.message(content, nested + 1)
        if is_archive(content):
            return self._archive(content, where, line)
        if part.charset and _NOT_ASCII.search(part.charset):
            return self._foreign(part.charset, content, where, line)
        if not _TEXTUAL.match(part.content_type) and not _is_text(content):
            return self._binary(content, where, line)
        finds = self.hider.finds(content)
        for find in finds:
            self._changed(find.rule, where, line)
        return splice(content, finds)

    def _binary(self, content: bytes, where: str, line: int) -> bytes:
        """In a binary only addresses are hidden, by something of the same length: offsets in it count."""
        self.kept.append(
            f"{where} is no text: what it holds compressed, or as a picture, was not looked into."
        )
        if not self.hider.hinted(content):
            return content
        finds = [find for find in self.hider.finds(content, tokens=False) if find.rule not in WORDS]
        for find in finds:
            self._changed(find.rule, where, line)
        return splice(content, map(_same_length, finds))

    def _archive(self, content: bytes, where: str, line: int) -> bytes:
        """An archive that holds the identity goes as a whole: a changed member breaks its checksums."""
        files = list(unpack(content, "", self.room))
        self.kept += [f"{where} was not looked into: {one.reason}" for one in files if one.content is None]
        if any(
            self.hider.finds(inside) for one in files for inside in (one.name.encode(), one.content or b"")
        ):
            self._changed("archive", where, line)
            return b"[This archive held the address or name of the reporter and was taken out.]\r\n"
        return content

    def _foreign(self, charset: str, content: bytes, where: str, line: int) -> bytes:
        """Hide in a text whose charset is no superset of ASCII; UTF-8 stands in for it meanwhile."""
        try:
            text = content.decode(charset)
            finds = self.hider.finds(octets := text.encode("utf-8"))
            new = splice(octets, finds).decode("utf-8").encode(charset)
        except (LookupError, UnicodeError):
            # Not the charset it claims: then its bytes are all there is.
            finds = [_same_length(find) for find in self.hider.finds(content, tokens=False)]
            new = splice(content, finds)
        for find in finds:
            self._changed(find.rule, where, line)
        return new if finds else content

    def _changed(self, rule: str, where: str, line: int) -> None:
        last = self.changes[-1] if self.changes else None
        if last is not None and (last.rule, last.where, last.line) == (rule, where, line):
            self.changes[-1] = Change(rule, where, line, last.count + 1)
        else:
            self.changes.append(Change(rule, where, line, 1))


class _Places:
    """Where in a message an offset lies, in words."""

    def __init__(self, message: Message) -> None:
        self.raw = message.raw
        inner = [header for part in message.leaves() if part.depth for header in part.headers]
        self.headers: list[Header] = [*message.headers, *inner]
        self._starts = [header.start for header in self.headers]
        self._parts = [part.start for part in message.leaves()]
        self._kinds = [part.content_type for part in message.leaves()]
        self._newlines = [match.start() for match in re.finditer(rb"\n", self.raw)]

    def line(self, offset: int) -> int:
        """Return the line an offset lies in, counted from 1."""
        return bisect_right(self._newlines, offset - 1) + 1

    def header(self, offset: int) -> Header | None:
        """Return the header field an offset lies in."""
        index = bisect_right(self._starts, offset) - 1
        return self.headers[index] if index >= 0 and offset < self.headers[index].end else None

    def in_trace(self, offset: int) -> bool:
        """Tell whether an offset lies in a field hosts wrote about the mail's way, or in a field's name."""
        header = self.header(offset)
        if header is None:
            return False
        return offset < header.start + len(header.name) or _TRACE.fullmatch(header.name) is not None

    def where(self, offset: int) -> str:
        """Return the header field or part an offset lies in."""
        header = self.header(offset)
        if header is not None:
            return f"header {header.name}"
        index = bisect_right(self._parts, offset) - 1
        return f"part {index + 1} ({self._kinds[index]})" if index >= 0 else "structure"


def _is_own_world(part: Part) -> bool:
    """Tell whether a part has to be decoded to be searched."""
    coded = part.transfer_encoding in {"base64", "quoted-printable"}
    foreign = part.charset is not None and _NOT_ASCII.search(part.charset) is not None
    return coded or foreign or (part.depth > 0 and part.content_type.startswith("message/"))


def _decoded(encoding: str, body: bytes) -> bytes:
    if encoding == "base64":
        return decode_base64(body)
    return binascii.a2b_qp(body) if encoding == "quoted-printable" else body


def _encoded(encoding: str, body: bytes, content: bytes) -> bytes:
    """Encode again, with the line length and line ends the body had."""
    newline = b"\r\n" if b"\r\n" in body else b"\n"
    if encoding == "quoted-printable":
        # The codec writes the line ends it meets; soft breaks take those of the first line.
        return binascii.b2a_qp(content, istext=True)
    if encoding != "base64":
        return content
    lines = body.split(newline, 2)
    width = max(4, len(lines[0].strip()) // 4 * 4) if len(lines) > 1 else max(4, len(body) * 2)
    letters = base64.b64encode(content)
    pieces = [letters[place : place + width] for place in range(0, len(letters), width)]
    return newline.join(pieces) + (newline if body.endswith(newline) else b"")


def _is_text(content: bytes) -> bool:
    """Tell whether bytes of an undeclared kind can be read as text: UTF-8, or mostly ASCII, without zeros."""
    head = content[:4096]
    if b"\0" in head:
        return False
    odd = len(head.translate(None, bytes(range(0x20, 0x7F)) + b"\t\r\n"))
    return odd * 8 <= len(head) or len(head.decode("utf-8", "ignore").encode("utf-8")) > len(head) - 4


def _moved(find: Find, by: int) -> Find:
    return Find(find.start + by, find.end + by, find.new, find.rule, find.plain)


def _merged(finds: list[Find], more: list[Find]) -> list[Find]:
    """Add finds that touch none of those there."""
    free = [one for one in more if all(one.end <= find.start or one.start >= find.end for find in finds)]
    return sorted((*finds, *free), key=lambda find: find.start)


def _same_length(find: Find) -> Find:
    """Inside a binary, offsets count: the pseudonym is cut or repeated to the length of what it replaces."""
    length = find.end - find.start
    new = (find.new * (length // len(find.new) + 1))[:length]
    return Find(find.start, find.end, new, find.rule, plain=False)
