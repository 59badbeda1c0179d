"""Searching finished bytes for the reporter: takes what is about to be sent, leaves traces of an identity.

It shares no code with the redactor, so that a mistake there is found here: the message is read by the
standard library, and instead of patterns over the bytes it makes views (one per way of hiding) and looks
for the plain identity in each. A view is made from a view, a few times over, so encodings inside encodings
are seen through too.
"""

import binascii
import codecs
import email.errors
import email.header
import email.message
import email.policy
import hashlib
import html
import io
import re
import unicodedata
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from email.parser import BytesParser
from functools import lru_cache
from typing import Protocol

MAX_ROUNDS = 4
"""Encodings inside each other that are seen through."""
MAX_VIEWS = 400
MAX_UNPACKED = 32 * 1024 * 1024
MAX_NESTED = 10
_RFC2231 = re.compile(r"\"?;\s{0,5}[A-Za-z-]{1,20}\*\d{1,3}\*?=\"?")
_TAG = re.compile(r"<[^<>]{0,500}>")
_INVISIBLE = re.compile("[\xad\u034f\u180e\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2064\x00]+")
_SCRIPT = re.compile(
    r"\\{1,4}(?:u\{?0{0,6}|x|u00)([0-9A-Fa-f]{2})\}?|\\{1,4}([0-7]{3})|\\{1,4}0{0,4}([4-7][0-9A-Fa-f]) ?"
)
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_QUOTED = re.compile(r"=(?:[0-9A-Fa-f]{2}|[ \t]{0,9}\n)")
_PERCENT_U = re.compile(r"%u00([0-9A-Fa-f]{2})")
_CONCATENATION = re.compile(r"['\"]\s{0,3}\+\s{0,3}['\"]")
_READABLE = re.compile(rb"[ -~]{6,}")
_LINE_BREAK = re.compile(r"\n[ \t]*")
_BROKEN = 60
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_WORD = re.compile(r"\w{3,}")
_HEX = re.compile(r"[0-9A-Fa-f]{12,}")
_HOST_OR_ADDRESS = re.compile(r"(?://|@)[^\s/@<>\"'?#]*|[a-z0-9._+-]{1,64}@", re.IGNORECASE)
_DOTTED = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_FIELD_NAME = re.compile(r"^[!-9;-~]+:", re.MULTILINE)
# Fields whose words are host names and ids; only addresses are searched there.
_TRACE_FIELDS = re.compile(
    r"^(?:received|x-received|received-spf|message-id|references|in-reply-to|return-path|list-id|content-\S+|date"
    r"|mime-version|arc-\S+|\S*authentication-results\S*|\S*dkim-signature):[^\n]*(?:\n[ \t][^\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)


class Person(Protocol):
    """Anything with mail addresses and names, such as the redactor's identity."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """`local@domain`, the registered one and the aliases."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names as written; words of at least three letters are searched."""


@dataclass(frozen=True)
class Leak:
    """`what` of the identity was found, `how` it was hidden (the views, outermost first), and `where`."""

    what: str
    how: str
    where: str


def find_leaks(raw: bytes, identity: Person, *, own_words: Collection[str] = ()) -> list[Leak]:
    """Search `raw` for the addresses (also tagged, as in VERP, reversed, rot13, digests) and names.

    `own_words`, in lower case, are words of our own text around the spam: such a name (a Mr Page, a Ms
    Link) proves nothing there, so it is searched in the spam by a call without them. Takes time linear in
    the size of `raw` and of what it holds compressed. Never raises on content.
    """
    names = tuple(
        word for name in identity.names for word in _WORD.findall(name.lower()) if word not in own_words
    )
    wanted = _wanted(tuple(identity.addresses), names)
    leaks: dict[tuple[str, str], Leak] = {}
    for where, text in _texts(raw):
        for how, view in _views(text):
            for what in wanted.found(view, names=not where.startswith("attachment")):
                leaks.setdefault((what, where), Leak(what, how, where))
    return list(leaks.values())


@dataclass(frozen=True)
class _Wanted:
    """What is looked for in a view."""

    addresses: tuple[tuple[str, str, re.Pattern[str]], ...]
    """What it is, a string that must be in the view for it, and the pattern."""
    digests: tuple[tuple[str, str], ...]
    words: tuple[tuple[str, re.Pattern[str]], ...]

    def found(self, view: str, *, names: bool) -> Iterator[str]:
        lower = view.lower()
        for what, needle, pattern in self.addresses:
            if needle in lower and pattern.search(lower):
                yield what
        for what, digest in self.digests:
            if digest in view or digest in lower:
                yield what
        if not names or not any(what in lower for what, _ in self.words):
            return
        shown = _HOST_OR_ADDRESS.sub(" ", _FIELD_NAME.sub(" ", _TRACE_FIELDS.sub(" ", lower)))
        shown = _DOTTED.sub(self._unless_host, shown)
        for what, pattern in self.words:
            if what in shown and pattern.search(shown):
                yield f"name {what}"

    def _unless_host(self, dotted: re.Match[str]) -> str:
        """Keep `alice.archer`, drop `mx.archer.example`: a host name that holds a name stays in a report."""
        names = {what for what, _ in self.words}
        return dotted[0] if names.issuperset(dotted[0].split(".")) else " "


@lru_cache(maxsize=256)
def _wanted(addresses: tuple[str, ...], names: tuple[str, ...]) -> _Wanted:
    searches, digests = [], []
    for address in addresses:
        local, _, domain = address.lower().rpartition("@")
        searches += [(f"address {address}", needle, pattern) for needle, pattern in _patterns(local, domain)]
        digests += [(f"digest of {address}", digest) for digest in _digests(address)]
    patterns = (
        (word, re.compile(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])")) for word in dict.fromkeys(names)
    )
    return _Wanted(tuple(searches), tuple(digests), tuple(patterns))


def _patterns(local: str, domain: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield (needle, pattern) of the address: as such or tagged, as in VERP and SRS, reversed, in rot13."""
    edge = "" if len(local) >= 5 else r"(?<![a-z0-9])"
    host = r"[._-]".join(map(re.escape, domain.split(".")))
    between = r"\s?[@=#!~*:/|%._-]{1,3}\s?|[\s\[({<_.-]{1,3}at[\s\])}>_.-]{1,3}"
    spoken = r"\s?[\s\[({_.-](?:dot|\.)[\s\])}_.-]\s?".join(map(re.escape, domain.split(".")))
    yield (
        local,
        re.compile(rf"{edge}{re.escape(local)}(?:[+/][^\s@<>\"]{{0,64}}?)?(?:{between})(?:{host}|{spoken})"),
    )
    yield local, re.compile(rf"{host}[=!/#_-]{{1,3}}{re.escape(local)}(?![a-z0-9])")
    backwards = f"{local}@{domain}"[::-1]
    yield backwards, re.compile(re.escape(backwards))
    turned = codecs.encode(f"{local}@{domain}", "rot13")
    yield turned, re.compile(re.escape(turned))


def _digests(address: str) -> Iterator[str]:
    for form in {address, address.lower(), address.upper()}:
        for make in (hashlib.md5, hashlib.sha1, hashlib.sha256):
            octets = make(form.encode(), usedforsecurity=False).digest()
            yield octets.hex()
            yield b64encode(octets).decode().rstrip("=")
            yield b64encode(octets, b"-_").decode().rstrip("=")


def _texts(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield (where, text) of all the message: as it stands, its fields, its parts, what is in archives."""
    yield "message", raw.decode("utf-8", "replace").replace("\r\n", "\n")
    try:
        yield from _of_message(BytesParser(policy=email.policy.compat32).parsebytes(raw), 0)
    except (LookupError, ValueError, AttributeError, TypeError, IndexError, RecursionError) as error:
        # The parser gave up on hostile content: the bytes as they stand have been looked at, say what has
        # not.
        yield "message", f"(unreadable: {type(error).__name__})"


def _of_message(message: email.message.Message, nested: int) -> Iterator[tuple[str, str]]:
    for number, part in enumerate(message.walk(), 1):
        fields = ((name, value.encode("utf-8", "surrogateescape")) for name, value in part.raw_items())
        header = "\n".join(
            f"{name}: {_header_text(value.decode('utf-8', 'replace'))}" for name, value in fields
        )
        yield f"header of part {number}", header
        if part.is_multipart():
            yield from _of_encoded_message(part, f"part {number}", nested)
            continue
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            yield from _of_payload(part, payload, f"part {number}", nested)


def _of_encoded_message(part: email.message.Message, where: str, nested: int) -> Iterator[tuple[str, str]]:
    """Open a message/rfc822 in base64, which the parser takes for a message without fields."""
    payload = part.get_payload()
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if part.get_content_maintype() != "message" or encoding != "base64" or not isinstance(payload, list):
        return
    inner = payload[0] if payload else None
    text = str(inner.get_payload()) if isinstance(inner, email.message.Message) else ""
    letters = re.sub(r"[^A-Za-z0-9+/]", "", text) + "AAA"
    octets = binascii.a2b_base64(letters[: len(letters) // 4 * 4])
    yield where, octets.decode("utf-8", "replace")
    if nested < MAX_NESTED:
        yield from _of_message(BytesParser(policy=email.policy.compat32).parsebytes(octets), nested + 1)


def _header_text(value: str) -> str:
    """Return a field unfolded, joined without its folds, and with encoded words and continuations undone."""
    unfolded = re.sub(r"\r?\n[ \t]*", " ", value)
    texts = [unfolded, re.sub(r"\r?\n[ \t]*", "", value)] if "\n" in value else [unfolded]
    if "=?" in unfolded:
        texts.append(_decoded_words(unfolded))
    if "*" in unfolded:
        texts.append(_RFC2231.sub("", unfolded))
    return "\n ".join(texts)


def _decoded_words(value: str) -> str:
    try:
        pieces = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):
        return value  # base64 that is none: other views decode what they can
    return "".join(_text(one, charset) if isinstance(one, bytes) else one for one, charset in pieces)


def _of_payload(
    part: email.message.Message, payload: bytes, where: str, nested: int
) -> Iterator[tuple[str, str]]:
    kind = part.get_content_maintype()
    charset = str(part.get_content_charset() or "")
    if kind not in {"text", "message"} and b"\0" in payload[:4096]:
        where = f"attachment, {where}"
    if str(part.get("Content-Transfer-Encoding", "")).strip() or charset:
        yield where, _text(payload, charset)
    for member in _unpacked(payload):
        yield f"{where}, unpacked", _text(member, None)
    if kind == "message" and nested < MAX_NESTED:
        inner = BytesParser(policy=email.policy.compat32).parsebytes(payload)
        yield from _of_message(inner, nested + 1)


def _text(octets: bytes, charset: str | None) -> str:
    """Decode bytes; UTF-8 unless a charset is named that Python knows."""
    try:
        return octets.decode(charset or "utf-8", "replace")
    except (LookupError, UnicodeError):
        return octets.decode("latin-1")


def _unpacked(payload: bytes) -> Iterator[bytes]:
    """Yield what a gzip or zip holds, up to `MAX_UNPACKED` bytes."""
    left = MAX_UNPACKED
    try:
        if payload[:2] == b"\x1f\x8b":
            yield zlib.decompressobj(31).decompress(payload, left)
        elif payload[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(payload)) as archive:
                for name in archive.namelist()[:500]:
                    with archive.open(name) as member:
                        octets = member.read(left)
                    left -= len(octets)
                    yield name.encode("utf-8", "replace") + b"\n" + octets
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError, ValueError):
        # Damaged or encrypted: there is nothing that anybody without the key could read.
        return


def _views(text: str) -> Iterator[tuple[str, str]]:
    """Yield (how, view) of a text, breadth first: the text, each way to see through it, then through that.

    Only later ways follow one, or the same again where it may be nested, else views would multiply; what
    comes out of a token starts anew.
    """
    seen = {hash(text)}
    front = [(_View("as it stands", text))]
    while front:
        yield from ((view.how, view.text) for view in front)
        following = []
        for view in front:
            for order, (name, see_through, follows) in enumerate(_WAYS):
                if view.rounds >= MAX_ROUNDS or len(seen) > MAX_VIEWS or view.last not in follows:
                    continue
                new = see_through(view.text)
                if new and hash(new) not in seen:
                    seen.add(hash(new))
                    how = name if view.last == _START else f"{view.how}, {name}"
                    following.append(_View(how, new, order, view.rounds + 1))
        front = following


@dataclass(frozen=True)
class _View:
    how: str
    text: str
    last: int = -1
    """Number of the way it was seen through last."""
    rounds: int = 0


def _unescaped(text: str) -> str:
    """Undo percent-encoding, HTML entities and the escapes of scripts and style sheets."""
    view = text
    if "%" in view:
        view = _PERCENT.sub(_from_percent, _PERCENT_U.sub(_from_hex, view))
    if "&" in view:
        view = html.unescape(view)
    if "\\" in view:
        view = _SCRIPT.sub(_from_hex, view)
    return _CONCATENATION.sub("", view) if "+" in view else view


def _from_percent(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "replace")


def _from_hex(match: re.Match[str]) -> str:
    digits, octal, css = (*match.groups(), None, None)[:3]
    return chr(int(octal, 8)) if octal else chr(int(digits or css or "20", 16))


def _quoted_printable(text: str) -> str:
    if not _QUOTED.search(text):
        return ""
    return binascii.a2b_qp(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _untagged(text: str) -> str:
    return _TAG.sub("", text) if "<" in text else ""


def _visible(text: str) -> str:
    """Take out what nobody sees, and fold look-alike letters to ASCII."""
    if text.isascii() and "\0" not in text:
        return ""
    bare = _INVISIBLE.sub("", text)
    return bare if unicodedata.is_normalized("NFKC", bare) else unicodedata.normalize("NFKC", bare)


def _base64(text: str) -> str:
    """Return what can be read in all base64 tokens, each decoded from four places so that one is right."""
    joined = _LINE_BREAK.sub("", text) if "\n" in text else text
    # A long token may be broken into lines, and its lines by themselves would be read out of their context.
    tokens = [token for token in _BASE64.findall(text) if len(token) <= _BROKEN]
    tokens += (token for token in _BASE64.findall(joined) if len(token) > _BROKEN)
    # Four letters that decode to line breaks keep the tokens apart; A fills up to a multiple of four.
    standard = "\n".join(tokens).replace("-", "+").replace("_", "/").split("\n")
    views = []
    for phase in range(4):
        whole = [token[phase:] + "AA"[: (phase - len(token)) % 4] for token in standard]
        octets = binascii.a2b_base64("DQoK".join([letters[: len(letters) // 4 * 4] for letters in whole]))
        views += _readable_runs(octets)
    foreign = (_foreign_text(token) for token in standard if len(token) > _BROKEN)
    return "\n".join((b"\n".join(views).decode("ascii"), *filter(None, foreign)))


def _foreign_text(token: str) -> str:
    """Return what a token holds when that is UTF-8 beyond ASCII, which noise of such a length never is."""
    for phase in range(4):
        octets = binascii.a2b_base64(token[phase : phase + (len(token) - phase) // 4 * 4])
        try:
            text, _ = codecs.utf_8_decode(octets, "strict", False)
        except UnicodeDecodeError:
            continue
        return text
    return ""


def _hexadecimal(text: str) -> str:
    views = []
    runs = _HEX.findall(text)
    for phase in (0, 1):
        even = [digits[phase : phase + (len(digits) - phase) // 2 * 2] for digits in runs]
        views += _readable_runs(bytes.fromhex("0d0a".join(even)))
    return b"\n".join(views).decode("ascii")


def _readable_runs(octets: bytes) -> list[bytes]:
    """Return the runs of printable ASCII in decoded noise; also of UTF-16, whose other octets are zero."""
    runs = _READABLE.findall(octets)
    return runs + _READABLE.findall(octets.translate(None, b"\0")) if octets.count(0) > 4 else runs


_START, _QP, _ESCAPED, _TAGS, _LETTERS, _B64, _HEXED = range(-1, 6)
_TEXT = frozenset({_START, _B64, _HEXED})
# Name, way, and after which ways it is tried.
_WAYS: tuple[tuple[str, Callable[[str], str], frozenset[int]], ...] = (
    ("quoted-printable", _quoted_printable, _TEXT),
    ("escaped", _unescaped, _TEXT | {_QP, _ESCAPED}),
    ("split by tags", _untagged, _TEXT | {_QP, _ESCAPED}),
    ("invisible or look-alike letters", _visible, _TEXT | {_QP, _ESCAPED, _TAGS}),
    ("base64", _base64, _TEXT | {_ESCAPED}),
    ("hex", _hexadecimal, _TEXT | {_ESCAPED}),
)
