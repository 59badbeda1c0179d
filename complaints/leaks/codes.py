"""Searching a finished report for codes of the recipient: takes it and the spam, leaves what stands in both.

For level `strict`. It shares no code with the redactor, and cannot share its judgement either: of a code that
might be a word nobody knows what it is. So it looks only for what no person writes (`_is_made`), in places
where senders put codes: what names the message or a part, what bounces and lists carry, fields of unknown
use, and links.
What a report must keep is not asked about: hosts, signatures, and what servers wrote outside the border.
"""

import binascii
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from complaints.leaks.opened import bodies, short_bodies
from complaints.leaks.readings import read
from complaints.leaks.scan import finder

_MOST_INSIDE = 3
_MOST_TIMES = 6
_SPARE = 4 * 1024 * 1024
_MOST = 50_000
"""Codes of one message that are looked for."""
_FIELD = re.compile(rb"\n([!-9;-~]{1,76})[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)")
"""A field behind the end of a line; the first of a text needs one put before it."""
_CODED = re.compile(
    rb"(?:resent-)?message-id|references|in-reply-to|content-id|list-.+"
    rb"|feedback-id|thread-index|x-.+",
    re.IGNORECASE,
)
_KEPT = re.compile(
    rb"(?:x-)?received|from|reply-to|subject|to|cc|content-(?:type|disposition|description)|(?:.*dkim|domainkey)-signature|arc-seal|arc-message-signature|cfbl-.+|x-spam-.*"
    rb"|x-(?:originating|source)-ip|x-php-.*|x-mailer|list-unsubscribe-post|x-redacted",
    re.IGNORECASE,
)
_PATHS = re.compile(
    rb"received-spf|(?:arc-|x-)?authentication-results.*|(?:x-)?return-path|errors-to|bounces?-to|(?:x-)?sender"
    rb"|.*envelope-from",
    re.IGNORECASE,
)
"""Where bounces go, and what a server said of a sender: only local parts of addresses are asked about."""
_APART_FROM_LOCAL = bytes(octet if octet not in b"\t\n\v\f\r<>=;:," else ord(" ") for octet in range(256))
_SHORTEST_LOCAL, _LONGEST_LOCAL = 6, 250
_BOUNDARY = re.compile(rb"boundary\s{0,3}=\s{0,3}\"?([^\s\";]{9,200})", re.IGNORECASE)
_BOUNDARY_FROM = finder(rb"(?i)boundary")
_RECEIVED_ID = re.compile(rb"\sid\s+<?([^\s;<>()]+)", re.IGNORECASE)
_URL = re.compile(
    rb"(?:\b(?:https?|ftp)://|(?<![:\w/])//(?=[a-z0-9-]{1,63}\.)|\bwww\.|\bmailto:)[^\s<>\"'\\^`{}]{3,}",
    re.IGNORECASE,
)
_URL_FROM = finder(rb"(?i)(?:https?|ftp)://|//[a-z0-9-]{1,63}\.|www\.|mailto:")
"""Where one may begin, whatever stands before it."""
_AUTHORITY = re.compile(
    rb"(?://|%2f%2f)(?:(?P<user>[^\s/?#@%<>\"]{0,250})@)?(?P<host>[^\s/?#@%<>\"]*)", re.IGNORECASE
)
_HOST = re.compile(rb"(?:[a-z0-9_-]{1,63}\.){1,10}[a-z]{2,24}(?![a-z0-9_-])", re.IGNORECASE)
_ADDRESSED = re.compile(rb"(?:[@=\s(<;,]|%40)(?=[a-z0-9_-]{1,63}\.)", re.IGNORECASE)
_IN_BASE64 = re.compile(rb"aHR0c[A-Za-z0-9+/_-]{8,}")
_ALNUM = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_IS_ALNUM = bytes(ord("1") if octet in _ALNUM else ord(" ") for octet in range(256))
_ATOMS_ALONE = bytes(octet if octet in _ALNUM else ord(" ") for octet in range(256)).lower()
_ATOM = re.compile(b"1" * 9 + b"1*")
"""Letters and digits in a row that are long enough for a code, in what `_IS_ALNUM` makes of a text."""
_CHUNK = 1 << 20
_LONGEST = 200
_DIGITS = b"0123456789"
_KINDS = bytes(ord("1") if octet in _DIGITS else ord("A") if octet < 97 else ord("a") for octet in range(256))
_CHANGES = (b"1A", b"A1", b"1a", b"a1", b"Aa", b"aA")
_DATE = re.compile(rb"^(?:resent-|delivery-)?date:[^\n]*\d:\d\d:(?!00)\d\d", re.IGNORECASE | re.MULTILINE)
_STANDARD = bytes.maketrans(b"-_", b"+/")


@dataclass
class _Codes:
    """The codes of one message: in fields, in links, ids of own hosts; and what a report must keep."""

    fields: set[bytes] = field(default_factory=set)
    links: set[bytes] = field(default_factory=set)
    boundaries: set[bytes] = field(default_factory=set)
    ids: set[bytes] = field(default_factory=set)
    kept: set[bytes] = field(default_factory=set)
    named: set[bytes] = field(default_factory=set)
    """What fields about a part say of it, such as the name of a file; a boundary is told there, too."""
    seen: set[tuple[bytes, bytes]] = field(default_factory=set)
    """The fields, each with its name, that were looked at: most readings of a spam hold the same."""
    links_seen: set[bytes] = field(default_factory=set)

    def add(self, text: bytes) -> None:
        """Take note of the codes of one reading of the spam."""
        for one in _fields(text):
            if one not in self.seen:
                self.seen.add(one)
                self._add_field(*one)
        for boundary in _BOUNDARY.findall(text) if _BOUNDARY_FROM(text, 0) >= 0 else ():
            self.boundaries |= _made(boundary)
        for link in _links(text, self.links_seen):
            if len(self.links) < _MOST:
                self._add_to(self.links, link)

    def _add_field(self, name: bytes, value: bytes) -> None:
        kind = _kind(name)
        if kind == "path":
            self.fields |= {atom for local in _locals(value) for atom in _made(local)}
        elif kind == "kept":
            kept = self.named if name.lower().startswith(b"content-") else self.kept
            kept |= _made(value)
        elif kind == "coded" and len(self.fields) < _MOST:
            self._add_to(self.fields, value)

    def _add_to(self, codes: set[bytes], text: bytes) -> None:
        if not _ATOM.search(text.translate(_IS_ALNUM)):
            return  # nor can one stand in a piece of it
        rest, hosts = _apart(text)
        codes |= _made(rest)
        # Which label is a customer's and which a recipient's nobody can tell without knowing suffixes
        self.kept |= {atom for host in hosts for atom in _made(host)}


@lru_cache(maxsize=4096)
def _kind(name: bytes) -> str:
    """What a field of this name is to the search; "" for one of a known use that no sender puts codes in."""
    if _PATHS.fullmatch(name):
        return "path"
    if _KEPT.fullmatch(name):
        return "kept"
    return "coded" if _CODED.fullmatch(name) else ""


def codes_in_both(spam: bytes, finished: bytes, *, own_hops: int = 0) -> list[str]:
    """What of the spam's codes still stands in the finished report, in words with the place; sorted.

    `own_hops`: so many Received fields at the top of the spam were written by hosts of the reporter's, and
    the next one at the border: their ids may stand nowhere. Takes time linear in both. Never raises on
    content.
    """
    codes = _Codes()
    for text in _texts(spam):
        codes.add(text)
    received = _received(spam)
    own = (match[1] for value in received[: own_hops + 1] for match in _RECEIVED_ID.finditer(value))
    codes.ids = {atom for one in own for atom in _made(one)}
    codes.ids -= {atom for value in received[own_hops + 1 :] for atom in _made(value)}
    codes.fields = (codes.fields - codes.named | codes.boundaries) - codes.kept
    codes.links -= codes.kept
    return sorted(_standing(finished, codes)) if codes.fields or codes.links or codes.ids else []


def tells_the_second(redacted: bytes) -> bool:
    """Whether a date in the header of a redacted message is told to the second."""
    head = _with_short_ends(redacted).partition(b"\n\n")[0]
    return _DATE.search(head) is not None


def _standing(finished: bytes, codes: _Codes) -> set[str]:
    found: set[str] = set()
    seen: set[bytes] = set()
    for text in _texts(finished):
        found |= {f"an id of the reporter's host ({_shown(one)})" for one in _of(codes.ids, text)}
        if codes.fields:
            found |= {f"a code of a field ({_shown(one)})" for one in _of(codes.fields, _without_kept(text))}
        if codes.links:
            links = b" ".join(_links(text, seen))
            found |= {f"a code in a link ({_shown(one)})" for one in _of(codes.links, links)}
    return found


def _of(codes: set[bytes], text: bytes) -> set[bytes]:
    found: set[bytes] = set()
    position = 0
    alone = text.translate(_ATOMS_ALONE) if codes else b""
    while position < len(alone):
        end = alone.find(b" ", position + _CHUNK) + 1 or len(alone)
        found |= codes.intersection(alone[position:end].split())
        position = end
    return found


def _shown(code: bytes) -> str:
    return f"{code[:4].decode('latin-1')}…, {len(code)} letters"


def _links(text: bytes, seen: set[bytes]) -> Iterator[bytes]:
    """Links that are not among those `seen`, and those that stand in base64 inside a link."""
    end = 0
    while (place := _URL_FROM(text, end)) >= 0:
        match = _URL.match(text, place)
        end = match.end() if match else place + 1
        if match is None or match[0] in seen:
            continue
        seen.add(match[0])
        inner = [_decoded(one) for one in _IN_BASE64.findall(match[0])]
        # One whose codes are taken out is written anew, and begins as before
        yield _IN_BASE64.sub(b" ", match[0]) if inner else match[0]
        yield from inner


def _fields(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and value of each field in what is a header block, of the message or of a part."""
    for number, block in enumerate(text.split(b"\n\n")):
        head = block[block.rfind(b"\n--") + 1 :]
        head = head[head.find(b"\n") + 1 :] if head.startswith(b"--") else head
        if number and not head[-1:].isspace() and not _FIELD.match(b"\n" + head.lstrip()):
            continue  # its first line is in no field
        found = [(match[1], match[2]) for match in _FIELD.finditer(b"\n" + head)]
        lines = sum(value.count(b"\n") + 1 for _, value in found)
        # A text may hold a line that looks like a field
        if number == 0 or lines >= head.strip().count(b"\n") + 1:
            yield from found


def _locals(value: bytes) -> list[bytes]:
    """What stands before each @ of a field."""
    pieces = value.translate(_APART_FROM_LOCAL).split(b"@")[:-1]
    found = (piece[piece.rfind(b" ") + 1 :][-_LONGEST_LOCAL:] for piece in pieces)
    return [one for one in found if len(one) >= _SHORTEST_LOCAL]


def _decoded(letters: bytes) -> bytes:
    whole = letters[: len(letters) // 4 * 4].translate(_STANDARD)
    return binascii.a2b_base64(whole)


def _without_kept(text: bytes) -> bytes:
    """A text without the fields that stay; of what servers said of senders, only the local parts are left."""
    text = b"\n" + text
    pieces, position = [], 0
    for match in _FIELD.finditer(text):
        kind = _kind(match[1])
        if kind in {"path", "kept"}:
            pieces.append(text[position : match.start()])
            pieces += _locals(match[2]) if kind == "path" else []
            position = match.end()
    return b" ".join((*pieces, text[position:])) if pieces else text


def _apart(text: bytes) -> tuple[bytes, list[bytes]]:
    """A field or link without the hosts in it, and these."""
    hosts: list[bytes] = []
    if b"//" in text or b"%2f%2f" in text.lower():
        hosts = [match["host"] for match in _AUTHORITY.finditer(text)]
        text = _AUTHORITY.sub(rb" \g<user> ", text)
    pieces, position = [], 0
    for match in _ADDRESSED.finditer(text) if b"." in text else ():
        host = _HOST.match(text, match.end())
        if host and match.end() >= position:
            hosts.append(host[0])
            pieces.append(text[position : match.end()])
            position = host.end()
    return b" ".join((*pieces, text[position:])), hosts


def _made(text: bytes) -> set[bytes]:
    """The atoms of a text that no person writes, in lower case."""
    spans = (match.span() for match in _ATOM.finditer(text.translate(_IS_ALNUM)))
    return {atom.lower() for atom in (text[start:end] for start, end in spans) if _is_made(atom)}


@lru_cache(maxsize=16_384)
def _is_made(atom: bytes) -> bool:
    """Whether letters and digits in a row are what no person writes: long, and changing all the time."""
    if len(atom) > _LONGEST:
        return True
    letters = len(atom.translate(None, _DIGITS))
    digits = len(atom) - letters
    if not letters:
        return True
    if len(atom) < 10:
        return False
    if (
        (digits >= 4 and letters >= 2)
        or (len(atom) >= 12 and digits >= 6)
        or (len(atom) >= 16 and digits >= 3)
    ):
        return True
    kinds = atom.translate(_KINDS)
    changes = sum(map(kinds.count, _CHANGES))
    return (len(atom) >= 16 and digits > 0 and changes * 3 >= len(atom)) or changes * 2 >= len(atom)


def _texts(raw: bytes) -> Iterator[bytes]:
    """The message in every way it can be read, with line ends of one octet."""
    left = _MOST_TIMES * len(raw) + _SPARE
    queue = deque([(raw, 0)])
    seen: set[int] = set()
    while queue and left > 0:
        octets, inside = queue.popleft()
        key = hash(octets)
        if key in seen:
            continue
        seen.add(key)
        left -= len(octets)
        plain = octets.translate(None, b"\0") if b"\0" in octets else octets
        rest, long = bodies(plain)
        opened = [*(body for body in long if body.is_likely), *short_bodies(rest)]
        if inside < _MOST_INSIDE:
            queue.extend((one.octets, inside + 1) for one in opened)
        for reading in read(rest, split=False).readings:
            if reading.whole or not reading.how:
                yield _with_short_ends(reading.octets)


def _with_short_ends(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _received(spam: bytes) -> list[bytes]:
    head = _with_short_ends(spam).partition(b"\n\n")[0]
    return [match[2] for match in _FIELD.finditer(b"\n" + head) if match[1].lower() == b"received"]
