"""Level `strict` in the header: takes the fields of a message, leaves what to hide in each.

What a field may tell is a row of `data/codes.toml`. The Received lines that the reporter's own hosts wrote go
as a whole; the line at the border, which names the source, keeps its hosts and addresses and loses its id
and the second; those outside are evidence and keep all but what bounces carry in addresses.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from complaints.encodings import decode_words
from complaints.message import Header, Message
from complaints.redact.codes import Codes, apart
from complaints.redact.coding import joined, unfolded
from complaints.redact.find import Find, splice
from complaints.redact.opaque import is_code
from complaints.redact.places import Places
from complaints.redact.spots import places as places_of
from complaints.redact.words import as_words, encoded_words

_SECOND = re.compile(rb"\d{1,2}:\d{2}:(?P<second>\d{2}(?:\.\d{1,9})?)(?!\d)")
_ID = re.compile(rb"\sid\s+<?(?P<id>[^\s;<>()]+)", re.IGNORECASE)
_HOST = re.compile(rb"(?<![\w.@-])(?:[a-z0-9_-]{1,63}\.){1,10}[a-z]{2,24}(?![\w-]|\.\w)", re.IGNORECASE)
_IP = re.compile(
    rb"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9a-f]{1,4}:+){2,8}[0-9a-f]{1,4})(?![\w:]|\.\d)",
    re.IGNORECASE,
)
_BOUNDARY = re.compile(rb"boundary\s*=\s*\"?(?P<value>[^\"\r\n;]{6,200})", re.IGNORECASE)
_BOUNDARY_ENDS = re.compile(rb"(?:--)?[ \t]*(?:\r?\n|\Z)|[\";\s]")
_NOTHING = ("none", False)
_DATED = frozenset({"date", "resent-date", "delivery-date", "x-original-date", "x-received"})


@cache
def _rows() -> list[tuple[str, str]]:
    text = files("complaints").joinpath("data/codes.toml").read_text("utf-8")
    return [(name, row["hide"]) for row in tomllib.loads(text)["fields"] for name in row["names"]]


@lru_cache(maxsize=4096)
def _kind(name: str) -> tuple[str, bool]:
    """What a field of this name may tell, as the rows say, `codes` without a row; whether it is a date."""
    lower = name.lower()
    hide = next((hide for pattern, hide in _rows() if fnmatchcase(lower, pattern)), "codes")
    return hide, lower in _DATED


class _Field(NamedTuple):
    """A field to be looked into: what it may tell, where its body begins, its body as it is looked into."""

    header: Header
    hide: str
    is_dated: bool
    at: int
    body: bytes
    text: bytes

    @property
    def begin(self) -> int:
        """Where what is found in the text is to begin: none of it where that is unfolded."""
        return self.at if self.text is self.body else 0


Found = tuple[list[Find], list[Find]]
"""In links and addresses, in words."""


def header_finds(places: Places, message: Message, codes: Codes, own_hops: int) -> list[Find]:
    """Find what fields tell of the recipient, in order and apart; `own_hops` as `redact` says."""
    received = message.fields("received")
    border = received[min(own_hops, len(received) - 1)].start if received else -1
    above = [*received, *message.fields("x-received")]
    own = [header for header in above if header.start < border]
    names = _own_names(own, received, border)
    starts = {header.start for header in own}
    fields = [
        _field(header)
        for header in places.headers
        if (header.start == border or names or _kind(header.name) != _NOTHING) and header.start not in starts
    ]
    found_in = _in_many(fields, codes)
    finds = _taken_out(own)
    for number, field in enumerate(fields):
        found = _timed(field, codes, border) + _told(field, codes, found_in.get(number))
        if names and field.header.start < border:
            found += _own_hosts(field.header, names, codes)
        if found:
            found = apart(found)
            codes.remember(places.raw, found)
            finds += found
    return sorted(finds, key=attrgetter("start"))


def _field(header: Header) -> _Field:
    raw = header.raw
    hide, is_dated = _kind(header.name)
    start = raw.index(b":") + 1
    text = body = raw[start:]
    if hide == "codes" and b"\n" in body[:-1] and not is_dated:  # a fold in a date cuts no word in two
        text = joined(body)
    elif hide == "path" and b"@" not in body and len(body.split(None, 2)) == 1:
        hide = "word"
    return _Field(header, hide, is_dated, header.start + start, body, text)


def _in_many(fields: list[_Field], codes: Codes) -> dict[int, Found]:
    """Find in all fields that are searched alike at once, for nothing that is found goes over a line end.

    Leaves the finds of each field by its number: in the message, or in its text where that is unfolded.
    """
    found: dict[int, Found] = {}
    for hides in ({"codes", "word"}, {"path"}, {"written"}):
        numbers = [number for number, field in enumerate(fields) if field.hide in hides]
        text = b"\n".join([fields[number].text for number in numbers])
        starts = list(accumulate((len(fields[number].text) + 1 for number in numbers), initial=0))
        if "codes" in hides:
            both = (codes.in_links(text, written=False), codes.in_words(text))
        else:
            both = (codes.in_addresses(text, written="written" in hides), [])
        for which, finds in enumerate(both):
            for find in finds:
                index = bisect_right(starts, find.start) - 1
                field = fields[numbers[index]]
                here = found.setdefault(numbers[index], ([], []))
                here[which].append(find.moved(field.begin - starts[index]))
    return found


def _taken_out(own: list[Header]) -> list[Find]:
    # Few words, for any word may be somebody's name.
    words = f"X-Redacted: Received={len(own)}\r\n".encode()
    first = min((header.start for header in own), default=0)
    return [
        Find(one.start, one.end, words if one.start == first else b"", "own mail host", plain=False)
        for one in own
    ]


def _told(field: _Field, codes: Codes, found: Found | None) -> list[Find]:
    """Find what the body of a field tells; `found` is what `_in_many` found in it."""
    hide, at, body, text = field.hide, field.at, field.body, field.text
    if hide == "none" or (found is None and hide in {"path", "written"}):
        return []
    if hide == "id":
        return apart(codes.in_ids(text, at))
    if hide == "all":
        return codes.in_all(text, at)
    links, words = found or ((), ())
    again = codes.elsewhere(text) if hide in {"codes", "word"} else ()
    finds = apart([*links, *(find.moved(field.begin) for find in again), *words])
    if finds and text is not body:
        back = unfolded(body)
        finds = [back.find_in_raw(find).moved(at) for find in finds]
    if hide == "codes" and b"=?" in body:
        finds += _in_words(body, at, codes)
    return finds


def _timed(field: _Field, codes: Codes, border: int) -> list[Find]:
    """Find the second in a field that tells when the message came, and the id in the line at the border."""
    at, is_border = field.at, field.header.start == border
    if not is_border and not field.is_dated:
        return []
    finds: list[Find] = []
    if is_border:
        for match in _ID.finditer(field.body):
            start, end = match.span("id")
            finds.append(Find(at + start, at + end, codes.pseudonym(match["id"]), "id"))
    for match in _SECOND.finditer(field.body):
        start, end = match.span("second")
        if match["second"] != b"00":
            finds.append(Find(at + start, at + end, b"00", "time"))
    return finds


def _in_words(body: bytes, at: int, codes: Codes) -> Iterator[Find]:
    """Look into encoded words (RFC 2047)."""
    for match in encoded_words(body):
        text = decode_words(match[0]).encode("utf-8", "replace")
        if finds := apart(codes.in_field(text)):
            yield Find(
                at + match.start(),
                at + match.end(),
                as_words(codes.clean(splice(text, finds))),
                "code",
                plain=False,
            )


def _own_names(own: list[Header], received: list[Header], border: int) -> set[bytes]:
    """The hosts and addresses that stand in these fields only, and not from the border on."""
    names = _names([header.raw for header in own])
    outside = [header.raw for header in received if header.start >= border] if names else []
    text = b"\n".join(outside).lower()
    return names - _names(outside) if any(name in text for name in names) else names


def _names(fields: list[bytes]) -> set[bytes]:
    """The hosts and addresses named in these fields, in lower case."""
    return {match[0].lower() for raw in fields for pattern in (_HOST, _IP) for match in pattern.finditer(raw)}


def _own_hosts(header: Header, names: set[bytes], codes: Codes) -> Iterator[Find]:
    for pattern in (_HOST, _IP):
        for match in pattern.finditer(header.raw, len(header.name)):
            if match[0].lower() in names:
                start = header.start + match.start()
                yield Find(start, start + len(match[0]), codes.pseudonym(match[0].lower()), "own mail host")


def boundary_finds(text: bytes, codes: Codes) -> list[Find]:
    """Find the boundaries that are codes, declared and at each delimiter (RFC 2046 §5.1.1)."""
    places = places_of(text.lower(), b"boundary")
    declared = [match for place in places if (match := _BOUNDARY.match(text, place))]
    values = {match["value"].rstrip() for match in declared}
    values = {value for value in values if is_code(value)}
    if not values:
        return []
    lengths = sorted({len(value) for value in values}, reverse=True)
    starts = {match.start("value") for match in declared}
    starts |= {place + 3 for place in places_of(text, b"\n--")} | ({2} if text.startswith(b"--") else set())
    finds = []
    for start in sorted(starts):
        ends = (start + length for length in lengths if text[start : start + length] in values)
        end = next((end for end in ends if _BOUNDARY_ENDS.match(text, end)), None)
        if end is not None:
            finds.append(Find(start, end, codes.pseudonym(text[start:end]), "boundary"))
    return finds
