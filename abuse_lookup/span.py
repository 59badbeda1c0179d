"""Takes a range of addresses or AS numbers as some registry writes it; leaves a `Span` or a `range`. Pure."""

import ipaddress
import re
from collections.abc import Iterable

from abuse_lookup.answer import Span
from abuse_lookup.special import LARGEST
from abuse_lookup.target import IPAddress

_RANGE = re.compile(r"([0-9A-Fa-f:.]{2,45})\s*-\s*([0-9A-Fa-f:.]{2,45})")
_PREFIX = re.compile(r"([0-9A-Fa-f:.]{1,45})/(\d{1,3})")
_AS_NUMBERS = re.compile(r"(?i)(?:AS)?(\d{1,10})(?: *- *(?:AS)?(\d{1,10}))?")


def parse_span(text: str) -> Span | None:
    """Read `first - last`, CIDR, or LACNIC's shortened CIDR (`190.46/15`); None for anything else.

    Zero-padded numbers (`074.125.000.000`) are decimal here: registries write them so.
    """
    if match := _RANGE.search(text):
        return _span(_ip(match[1]), _ip(match[2]))
    if match := _PREFIX.search(text):
        return _network(match[1], match[2])
    return _span(_ip(text), _ip(text))


def is_beyond_registries(span: Span) -> bool:
    """Whether it is larger than what IANA hands to a registry: an object about it is about nobody's network.

    RIPE, APNIC and AFRINIC answer with 0.0.0.0/0 for addresses that they know nothing of.
    """
    return span.size > 1 << (span.first.max_prefixlen - LARGEST[span.first.version])


def span_text(span: Span) -> str:
    """Write a range as CIDR, or as `first - last` where it is not one prefix."""
    pieces = list(_first_two(ipaddress.summarize_address_range(span.first, span.last)))
    return str(pieces[0]) if len(pieces) == 1 else f"{span.first} - {span.last}"


def _first_two(pieces: Iterable[object]) -> Iterable[object]:
    for piece, _ in zip(pieces, range(2), strict=False):
        yield piece


def _network(address: str, bits: str) -> Span | None:
    if ":" not in address:
        octets = address.strip(".").split(".")
        address = ".".join(octets + ["0"] * (4 - len(octets)))
    ip = _ip(address)
    if ip is None or int(bits) > ip.max_prefixlen:
        return None
    network = ipaddress.ip_network((ip, int(bits)), strict=False)
    return Span(network[0], network[-1])


def _span(first: IPAddress | None, last: IPAddress | None) -> Span | None:
    if first is None or last is None or first.version != last.version or int(first) > int(last):
        return None
    return Span(first, last)


def _ip(text: str) -> IPAddress | None:
    bare = text.strip()
    if ":" not in bare:
        bare = ".".join(part.lstrip("0") or "0" for part in bare.split("."))
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        return None


def as_numbers(text: str) -> range:
    """Read which AS numbers a text names: `AS64500`, `64500`, ARIN's `64500 - 64510`; none for other text."""
    match = _AS_NUMBERS.fullmatch(text.strip())
    return range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
