"""One redaction on its way through a message: every field, delimiter and part, however encoded."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from complaints.archives import Room, is_archive, unpack
from complaints.message import Header, Message, Part, parse
from complaints.redact import packed, stand_in
from complaints.redact.codes import Codes, apart
from complaints.redact.coding import decoded, encoded, spliced
from complaints.redact.find import CannotRedact, Find, splice
from complaints.redact.hide import WORDS, Hider
from complaints.redact.places import Places
from complaints.redact.sieve import automaton
from complaints.redact.strict import boundary_finds, header_finds

MAX_NESTED = 8
"""Messages inside messages that are opened."""
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
_BINARY = ("image/", "audio/", "video/", "font/", "application/")
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_FOLD = re.compile(rb"\r?\n[ \t]+")
_CUT = (
    r"(?:%(?:25){0,4}u?[0-9A-Fa-f]{0,3}|=[0-9A-Fa-f]|&(?:amp;){0,4}#?x?[0-9A-Za-z]{0,8};?"
    r"|\\[ux]?\{?[0-9A-Fa-f]{0,4})\r?\n[ \t]"
)
_CUT_ESCAPE, _MAY_CUT = re.compile(_CUT.encode()), automaton([_CUT])
_CUT_QUOTED = re.compile(rb"=[0-9A-Fa-f]\r?\n[ \t]")
# Charsets whose ASCII does not look like ASCII: only their decoded text can be searched.
_NOT_ASCII = re.compile(
    r"utf-?(?:16|32|7)|unicode|ucs-?[24]|cp(?:037|273|424|500|875|1026|1140)|hz|ebcdic", re.IGNORECASE
)
# Charsets that say in their octets what `spellings.py` looks for.
_LIKE_ASCII = re.compile(r"utf-?8|us-ascii|ascii|iso-8859-1|latin-?1|windows-1252|cp1252|", re.IGNORECASE)
_TEXTUAL = re.compile(
    r"text/|message/|application/(?:.*xml|json|javascript|.*calendar|rtf|pgp|x-sh)|image/svg", re.IGNORECASE
)


class Edit(NamedTuple):
    """One replacement: by which rule, `where` (a field or part), `line` of the raw bytes from 1, old, new.

    In a part with an encoding the line is the one where the part begins, and old and new are decoded.
    """

    rule: str
    where: str
    line: int
    old: bytes
    new: bytes


@dataclass
class Walk:
    """Collects what changed and what was kept. `codes` is there in level `strict` only."""

    hider: Hider
    codes: Codes | None = None
    edits: list[Edit] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    room: Room = field(default_factory=Room)
    packing: packed.Room = field(default_factory=packed.Room)

    def message(self, raw: bytes, own_hops: int = 0, nested: int = 0) -> bytes:
        """Return the message with the identity hidden in its fields, structure and parts."""
        if nested > MAX_NESTED:
            raise CannotRedact(
                f"messages lie more than {MAX_NESTED} deep in each other; send its header only"
            )
        message = parse(raw)
        mended = self._mended(message)
        if mended != raw:
            message, raw = parse(mended), mended
        places = Places(message)
        codes = self._codes_outside(places, message, own_hops)
        mailboxes = self._recipients(places)
        pieces, position = [], 0
        for number, part in enumerate(message.leaves(), 1):
            if not _is_own_world(part):
                continue
            pieces.append(self._open_text(places, position, part.start, codes, mailboxes))
            body = raw[part.start : part.end]
            where = f"part {number} ({part.content_type})"
            pieces.append(self._part(part, body, where, places.line(part.start), nested))
            position = part.end
        pieces.append(self._open_text(places, position, len(raw), codes, mailboxes))
        if self.packing.full and not nested:
            self.kept.append("More is packed in the files of this message than was looked into.")
        return b"".join(pieces)

    def _mended(self, message: Message) -> bytes:
        """Take out the folds of a field where one cuts an escape in two and so hides something."""
        pieces: list[bytes] = []
        position = 0
        # A field's folds are its own, so one look over all fields tells of each of them: nearly always no.
        cut = _may_be_cut(message.raw[: message.body])
        for header in message.headers if cut else ():
            if cut is None:
                break
            if cut.start() >= header.end:
                continue
            if _CUT_ESCAPE.search(header.raw):
                joined = _FOLD.sub(b"", header.raw)
                if len(self.hider.finds(joined)) > len(self.hider.finds(header.raw)):
                    pieces += [message.raw[position : header.start], joined]
                    position = header.end
            cut = _MAY_CUT.search(message.raw, header.end, message.body)
        return b"".join((*pieces, message.raw[position:]))

    def _codes_outside(self, places: Places, message: Message, own_hops: int) -> list[Find]:
        """Find the codes in header fields and delimiters."""
        if self.codes is None:
            return []
        found = header_finds(places, message, self.codes, own_hops)
        return apart([*found, *boundary_finds(places.raw, self.codes)])

    def _open_text(
        self, places: Places, start: int, end: int, codes: list[Find], mailboxes: list[Find]
    ) -> bytes:
        """Hide in what stands there unencoded: header fields, delimiters, 7-bit and 8-bit text."""
        text = places.raw[start:end]
        finds = self.hider.finds(text)
        bare = [find for find in mailboxes if start <= find.start < end]
        finds = [
            find
            for find in _merged(finds, [find.moved(-start) for find in bare])
            if not (find.rule in WORDS and places.in_trace(start + find.start))
        ]
        if self.codes is not None:
            finds = covering(self._open_codes(places, start, end, codes), finds)
        told = places.told([start + find.start for find in finds])
        self.edits += [
            Edit(find.rule, where, line, text[find.start : find.end], find.new)
            for find, (where, line) in zip(finds, told, strict=True)
        ]
        return splice(text, finds)

    def _open_codes(self, places: Places, start: int, end: int, codes: list[Find]) -> list[Find]:
        assert self.codes is not None
        found = [find.moved(-start) if start else find for find in codes if start <= find.start < end]
        for first, last in places.bodies(start, end):
            found += [find.moved(first - start) for find in self.codes.in_text(places.raw[first:last])]
        return found

    def _recipients(self, places: Places) -> list[Find]:
        """Find the bare local part where a mailbox must be meant: recipient fields, `for` (RFC 5321 §4.4)."""
        found: list[Find] = []
        for header in self._naming(places):
            received = header.name.lower() == "received"
            if not received and not _is_recipient(header.name):
                continue
            lower = header.raw.lower()
            pattern = _mailbox(_FOR if received else _ALONE, self.hider.locals)
            for match in pattern.finditer(lower, lower.index(b":") + 1):
                start, end = match.span("hide")
                new = self.hider.pseudonyms[match["hide"].decode()]
                found.append(Find(header.start + start, header.start + end, new, "mailbox"))
        return found

    def _naming(self, places: Places) -> list[Header]:
        """The fields in which a local part stands as it is."""
        found: dict[int, Header] = {}
        for start, end in places.outside_parts():
            fields = places.raw[start:end].lower()
            for local in self.hider.locals:
                place = fields.find(local)
                while place >= 0:
                    header = places.header(start + place)
                    if header is not None:
                        found[header.start] = header
                    place = fields.find(local, header.end - start if header is not None else place + 1)
        return [found[start] for start in sorted(found)]

    def _part(self, part: Part, body: bytes, where: str, line: int, nested: int) -> bytes:
        """Hide in a body with an encoding of its own; it is written anew only where a find sits inside."""
        encoding = part.transfer_encoding
        content = decoded(encoding, body)
        if encoding == "base64" and (odd := body.translate(None, _BASE64_LINES)):
            # What stands readable around the base64, e.g. a footer that a list put there.
            body = self._readable(body, where, line) if odd.strip(b"=") else body
            content = decoded(encoding, body)
        new = self._content(part, body, content, where, line, nested)
        if encoding == "quoted-printable":
            # What reads as an escape to a decoder may be a letter to a reader.
            return self._readable(new, where, line)
        if encoding == "base64" and new is body and _is_odd(part, content):
            # Damaged: somebody may read it from another letter on.
            searched = _is_plain(part, content) and b"=" not in body.rstrip(b"= \t\r\n")
            if not searched or body.translate(None, _BASE64_LINES + b"=") or self.hider.misread(body):
                return self._readable(new, where, line, tokens=True)
        return new

    def _readable(self, body: bytes, where: str, line: int, *, tokens: bool = False) -> bytes:
        """Hide in an encoded body what can be read without decoding it."""
        finds = self.hider.finds(body, tokens=tokens)
        for find in finds:
            self._changed(find, body, where, line + body.count(b"\n", 0, find.start))
        return splice(body, finds)

    def _content(self, part: Part, body: bytes, content: bytes, where: str, line: int, nested: int) -> bytes:
        """Return the body with everything hidden in its content."""
        encoding = part.transfer_encoding
        if part.content_type.startswith("message/"):
            new = self.message(content, 0, nested + 1)
        elif is_archive(content):
            new = self._archive(part, content, where, line)
        elif not _TEXTUAL.match(part.content_type) and self._is_packed(content):
            new = self._whole(part, content, where, line)
        elif part.charset and _NOT_ASCII.search(part.charset):
            new = self._foreign(part.charset, content, where, line)
        elif self._says_more(part.charset, content):
            new = self._foreign(part.charset or "", content, where, line)
        elif not _TEXTUAL.match(part.content_type) and not _is_text(content):
            new = self._binary(content, where, line)
        else:
            finds = self._finds(content)
            for find in finds:
                self._changed(find, content, where, line)
            return spliced(encoding, body, content, finds) if finds else body
        return body if new == content else encoded(encoding, body, new)

    def _says_more(self, charset: str | None, content: bytes) -> bool:
        """Tell whether a text shows more in its charset than its octets do: letters in full width, say."""
        if (
            charset is None
            or _LIKE_ASCII.fullmatch(charset)
            or (content.isascii() and b"\x1b" not in content)
        ):
            return False
        try:
            text = content.decode(charset)
            if text.encode(charset) != content:
                return False
        except (LookupError, UnicodeError):
            return False
        return len(self.hider.finds(text.encode("utf-8"))) > len(self.hider.finds(content))

    def _finds(self, content: bytes) -> list[Find]:
        finds = self.hider.finds(content)
        return finds if self.codes is None else covering(self.codes.in_text(content), finds)

    def _binary(self, content: bytes, where: str, line: int) -> bytes:
        """In a binary only addresses are hidden, by something of the same length: offsets in it count."""
        self.kept.append(f"{where} is no text: what it shows as a picture was not looked into.")
        finds = [find for find in self.hider.finds(content, tokens=False) if find.rule not in WORDS]
        for find in finds:
            self._changed(find, content, where, line)
        return splice(content, map(_same_length, finds))

    def _archive(self, part: Part, content: bytes, where: str, line: int) -> bytes:
        """An archive that holds the identity goes as a whole: a changed member breaks its checksums."""
        files = list(unpack(content, "", self.room))
        self.kept += [f"{where} was not looked into: {one.reason}" for one in files if one.content is None]
        insides = [inside for one in files for inside in (one.name.encode(), one.content or b"")]
        damaged = [content for one in files if one.content is None]
        if any(map(self.hider.finds, insides)) or any(map(self._is_packed, insides + damaged)):
            return self._whole(part, content, where, line)
        return content

    def _is_packed(self, content: bytes) -> bool:
        """Tell whether something packed in a file gives the identity away."""
        return packed.may_hold(content) and packed.shows(content, self.packing, self.hider)

    def _whole(self, part: Part, content: bytes, where: str, line: int) -> bytes:
        """What stands for a file that cannot be written anew without breaking it (decision 44)."""
        new = stand_in.of_part(part.content_type, len(content))
        new = stand_in.WORDS_GONE if self.hider.finds(new) else new
        old = stand_in.described(part.content_type, len(content))
        self.edits.append(Edit(stand_in.PART, where, line, old, new))
        return new + b"\r\n"

    def _foreign(self, charset: str, content: bytes, where: str, line: int) -> bytes:
        """Hide in a text whose charset is no superset of ASCII; UTF-8 stands in for it meanwhile."""
        octets = content
        try:
            octets = content.decode(charset).encode("utf-8")
            finds = self._finds(octets)
            new = splice(octets, finds).decode("utf-8").encode(charset)
        except (LookupError, UnicodeError):
            # Not the charset it claims: then its bytes are all there is.
            octets = content
            finds = [_same_length(find) for find in self.hider.finds(content, tokens=False)]
            new = splice(content, finds)
        for find in finds:
            self._changed(find, octets, where, line)
        return new if finds else content

    def _changed(self, find: Find, text: bytes, where: str, line: int) -> None:
        self.edits.append(Edit(find.rule, where, line, text[find.start : find.end], find.new))


@lru_cache(maxsize=512)
def _mailbox(where: bytes, locals_: tuple[bytes, ...]) -> re.Pattern[bytes]:
    return re.compile(where % b"|".join(map(re.escape, locals_)))


@lru_cache(maxsize=4096)
def _is_recipient(name: str) -> bool:
    return _RECIPIENT.fullmatch(name) is not None


def _may_be_cut(fields: bytes) -> re.Match[bytes] | None:
    """Return the first fold that may cut an escape; nearly all fields have no sign of one but `=`."""
    signs = b"%" in fields or b"&" in fields or b"\\" in fields
    return _MAY_CUT.search(fields) if signs or _CUT_QUOTED.search(fields) else None


def _is_own_world(part: Part) -> bool:
    """Tell whether a part has to be decoded to be searched."""
    coded = part.transfer_encoding in {"base64", "quoted-printable"}
    foreign = part.charset is not None and _LIKE_ASCII.fullmatch(part.charset) is None
    return coded or foreign or (part.depth > 0 and part.content_type.startswith("message/"))


def _is_text(content: bytes) -> bool:
    """Tell whether bytes of an undeclared kind can be read as text: UTF-8, or mostly ASCII, without zeros."""
    head = content[:4096]
    if b"\0" in head:
        return False
    odd = len(head.translate(None, bytes(range(0x20, 0x7F)) + b"\t\r\n"))
    return odd * 8 <= len(head) or len(head.decode("utf-8", "ignore").encode("utf-8")) > len(head) - 4


def _is_plain(part: Part, content: bytes) -> bool:
    """Tell whether a body was searched as the text that it says when decoded."""
    if part.content_type.startswith("message/") or is_archive(content):
        return False
    foreign = part.charset is not None and _NOT_ASCII.search(part.charset) is not None
    return not foreign and _TEXTUAL.match(part.content_type) is not None


def _is_odd(part: Part, content: bytes) -> bool:
    """Tell whether what should be a text holds octets that no text has."""
    if part.content_type.startswith(_BINARY) and not _TEXTUAL.match(part.content_type):
        return False
    return not content.isascii() or bool(content.translate(None, _PRINTABLE))


def covering(codes: list[Find], identity: list[Find]) -> list[Find]:
    """Join the finds of both levels: where they touch, what stands for the code stands for both."""
    codes = apart(codes)
    both = sorted([*codes, *identity], key=attrgetter("start"))
    if all(first.end <= second.start for first, second in pairwise(both)):
        return both
    merged = [*((find, 0) for find in codes), *((find, 1) for find in identity)]
    kept: list[tuple[Find, int]] = []
    for find, rank in sorted(merged, key=lambda pair: (pair[0].start, pair[1])):
        if not kept or find.start >= kept[-1][0].end:
            kept.append((find, rank))
            continue
        last, last_rank = kept[-1]
        first = last if last_rank <= rank else find
        kept[-1] = (
            Find(last.start, max(last.end, find.end), first.new, first.rule, first.plain),
            min(rank, last_rank),
        )
    return [find for find, _ in kept]


def _merged(finds: list[Find], more: list[Find]) -> list[Find]:
    """Add finds that touch none of those there."""
    free = [one for one in more if all(one.end <= find.start or one.start >= find.end for find in finds)]
    return sorted((*finds, *free), key=lambda find: find.start)


def _same_length(find: Find) -> Find:
    """Inside a binary, offsets count: the pseudonym is cut or repeated to the length of what it replaces."""
    length = find.end - find.start
    new = (find.new * (length // len(find.new) + 1))[:length]
    return Find(find.start, find.end, new, find.rule, plain=False)
