"""Level `strict` in the header: takes the fields of a message, leaves what to hide in each.

What a field may tell is a row of `data/codes.toml`. The Received lines that the reporter's own hosts wrote go
as a whole; the line at the border, which names the source, keeps its hosts and addresses and loses its id
and the second; those outside are evidence and keep all but what bounces carry in addresses.
"""

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files

from complaints.encodings import decode_words
from complaints.message import Header, Message
from complaints.redact.codes import Codes, apart
from complaints.redact.coding import unfolded
from complaints.redact.find import Find, splice
from complaints.redact.opaque import is_code
from complaints.redact.places import Places
from complaints.redact.words import ENCODED_WORDS, as_words

_SECOND = re.compile(rb"\d{1,2}:\d{2}:(?P<second>\d{2}(?:\.\d{1,9})?)(?!\d)")
_ID = re.compile(rb"\sid\s+<?(?P<id>[^\s;<>()]+)", re.IGNORECASE)
_HOST = re.compile(rb"(?<![\w.@-])(?:[a-z0-9_-]{1,63}\.){1,10}[a-z]{2,24}(?![\w-]|\.\w)", re.IGNORECASE)
_IP = re.compile(
    rb"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9a-f]{1,4}:+){2,8}[0-9a-f]{1,4})(?![\w:]|\.\d)",
    re.IGNORECASE,
)
_BOUNDARY = re.compile(rb"boundary\s*=\s*\"?(?P<value>[^\"\r\n;]{6,200})", re.IGNORECASE)
_REMEMBERED = frozenset({"id", "code", "bounce address"})
_DATED = frozenset({"date", "resent-date", "delivery-date", "x-original-date", "x-received"})


@cache
def _rows() -> list[tuple[str, str]]:
    text = files("complaints").joinpath("data/codes.toml").read_text("utf-8")
    return [(name, row["hide"]) for row in tomllib.loads(text)["fields"] for name in row["names"]]


@lru_cache(maxsize=4096)
def _hide(name: str) -> str:
    """What a field of this lower-case name may tell, as the rows say; `codes` without a row."""
    return next((hide for pattern, hide in _rows() if fnmatchcase(name, pattern)), "codes")


def header_finds(places: Places, message: Message, codes: Codes, own_hops: int) -> list[Find]:
    """Find what fields tell of the recipient, in order and apart; `own_hops` as `redact` says."""
    received = message.fields("received")
    border = received[min(own_hops, len(received) - 1)].start if received else 0
    above = [*received, *message.fields("x-received")]
    own = [header.start for header in above if header.start < border]
    names = _names([header.raw for header in above if header.start < border])
    names -= _names([header.raw for header in received if header.start >= border])
    finds: list[Find] = []
    for header in places.headers:
        if header.start in own:
            finds.append(_taken_out(header, own))
            continue
        found = list(_in_header(header, codes, is_border=bool(received) and header.start == border))
        if header.start < border:
            found += _own_hosts(header, names, codes)
        found = apart(found)
        codes.remember(places.raw, [find for find in found if find.rule in _REMEMBERED])
        finds += found
    return sorted(finds, key=lambda find: find.start)


def _taken_out(header: Header, own: list[int]) -> Find:
    # Few words, for any word may be somebody's name.
    words = f"X-Redacted: Received={len(own)}\r\n"
    new = words.encode() if header.start == min(own) else b""
    return Find(header.start, header.end, new, "own mail host", plain=False)


def _in_header(header: Header, codes: Codes, *, is_border: bool) -> Iterator[Find]:
    name = header.name.lower()
    start = header.raw.index(b":") + 1
    body = header.raw[start:]
    at = header.start + start
    if is_border:
        yield from (
            Find(at + m.start("id"), at + m.end("id"), codes.pseudonym(m["id"]), "id")
            for m in _ID.finditer(body)
        )
    if is_border or name in _DATED:
        yield from (_to_the_minute(match, at) for match in _SECOND.finditer(body) if match["second"] != b"00")
    hide = _hide(name)
    if hide == "none":
        return
    folded = b"\n" in body.rstrip(b"\r\n")
    map_ = unfolded(body) if folded and hide == "codes" else None
    text = map_.text if map_ else body
    for find in apart(_finds(text, hide, codes)):
        yield (map_.find_in_raw(find) if map_ else find).moved(at)
    if b"=?" in body and hide == "codes":
        yield from _in_words(body, at, codes)


def _finds(text: bytes, hide: str, codes: Codes) -> list[Find]:
    match hide:
        case "id":
            return codes.in_ids(text)
        case "all":
            return codes.in_all(text)
        case "path" if b"@" not in text and len(text.split()) == 1:
            return codes.in_field(text)
        case "path" | "written":
            return codes.in_addresses(text, written=hide == "written")
        case _:
            return codes.in_field(text)


def _in_words(body: bytes, at: int, codes: Codes) -> Iterator[Find]:
    """Look into encoded words (RFC 2047)."""
    for match in ENCODED_WORDS.finditer(body):
        text = decode_words(match[0]).encode("utf-8", "replace")
        if finds := apart(codes.in_field(text)):
            yield Find(
                at + match.start(),
                at + match.end(),
                as_words(codes.clean(splice(text, finds))),
                "code",
                plain=False,
            )


def _to_the_minute(match: re.Match[bytes], at: int) -> Find:
    start, end = match.span("second")
    return Find(at + start, at + end, b"00", "time")


def _names(fields: list[bytes]) -> set[bytes]:
    """The hosts and addresses named in these fields, in lower case."""
    return {match[0].lower() for raw in fields for pattern in (_HOST, _IP) for match in pattern.finditer(raw)}


def _own_hosts(header: Header, names: set[bytes], codes: Codes) -> Iterator[Find]:
    for pattern in (_HOST, _IP):
        for match in pattern.finditer(header.raw, len(header.name)):
            if match[0].lower() in names:
                start = header.start + match.start()
                yield Find(start, start + len(match[0]), codes.pseudonym(match[0].lower()), "own mail host")


def _boundaries(text: bytes) -> Iterator[re.Match[bytes]]:
    lower, place = text.lower(), -1
    while (place := lower.find(b"boundary", place + 1)) >= 0:
        if match := _BOUNDARY.match(text, place):
            yield match


def boundary_finds(text: bytes, codes: Codes) -> list[Find]:
    """Find the boundaries that are codes, declared and at each delimiter (RFC 2046 §5.1.1)."""
    values = {match["value"].rstrip() for match in _boundaries(text)}
    values = {value for value in values if is_code(value)}
    if not values:
        return []
    any_of = b"|".join(re.escape(value) for value in sorted(values, key=len, reverse=True))
    pattern = re.compile(
        rb"(?:(?i:boundary)\s*=\s*\"?|(?m:^)--)(?P<hide>"
        + any_of
        + rb")(?=(?:--)?[ \t]*(?:\r?\n|\Z)|[\";\s])"
    )
    return [
        Find(*match.span("hide"), codes.pseudonym(match["hide"]), "boundary")
        for match in pattern.finditer(text)
    ]
