"""What a fuzz target is, and the checks that several of them share."""

import json
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from random import Random

from complaints.hosts import canonical_ip
from complaints.reserved import why_not_public

Check = Callable[[bytes], Hashable]
"""Takes an input, raises where a promise is broken; leaves the kind of answer it got, and a new kind is kept."""
Make = Callable[[Random], bytes]
"""Makes an input by a grammar."""

_STARTS_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN_HOST = re.compile(r"[^\s@\[\]()<>\"',;:/\\A-Z]{1,253}")
_LINK_HOST = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_&!$'(*+),;=~{}\"`.-]*\.)?[a-z0-9_&-]+\.[a-z0-9-]+")


@dataclass(frozen=True)
class Target:
    """One parser under fire. `longest` bounds its inputs in bytes, `seconds` what one of them may take."""

    name: str
    check: Check
    seeds: tuple[bytes, ...]
    shared: Callable[[], Iterable[bytes]] = tuple
    """More seeds, of real mail, where a collection of it is at hand."""
    make: Make | None = None
    longest: int = 4096
    seconds: float = 0.1
    words: tuple[bytes, ...] = field(default=())
    """What its inputs are made of, beside the words that all mail is made of."""


def printable(*texts: str | None) -> None:
    """Nothing that starts a line or drives a terminal may be in a text that is shown."""
    for text in texts:
        if text is not None:
            assert _STARTS_A_LINE.search(text) is None, f"a control character is shown: {text!r}"


def host(name: str | None) -> None:
    """A host is an address in canonical form, or a plain name in lower case."""
    if name is not None and not _is_address(name):
        assert _PLAIN_HOST.fullmatch(name), f"no plain host: {name!r}"


def link_host(name: str) -> None:
    """What a browser would ask the DNS for, marks only before the last two labels; or an address."""
    assert _is_address(name) or _LINK_HOST.fullmatch(name), f"no host of a link: {name!r}"


def address(ip: str | None) -> None:
    """An address stands in its one canonical spelling."""
    assert ip is None or _is_address(ip), f"not canonical: {ip!r}"


def accusable(ip: str) -> None:
    """An address that may be accused is public."""
    address(ip)
    assert why_not_public(ip) is None, f"{ip} is accused: {why_not_public(ip)}"


def document(value: object) -> str:
    """A JSON document that every parser takes; returns it."""
    text = json.dumps(value, allow_nan=False)
    assert json.loads(text) is not None
    text.encode("utf-8")
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # lone surrogates could not be stored
    return text


def lies_in(raw: bytes, start: int, end: int) -> bytes:
    """Return a slice, which must lie inside of `raw`."""
    assert 0 <= start <= end <= len(raw), f"{start}:{end} is no slice of {len(raw)} bytes"
    return raw[start:end]


def _is_address(text: str) -> bool:
    return canonical_ip(text) == text
