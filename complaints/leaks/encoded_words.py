"""Encoded words in header fields (RFC 2047): takes a text, leaves what those in it say, in UTF-8."""

import binascii
import re
from itertools import groupby
from operator import itemgetter

from complaints.leaks.reading import octets_of
from complaints.leaks.scan import BASE64, finder

_ENCODED_WORDS = re.compile(
    rb"=\?[^?\s]{1,60}\?[bBqQ]\?[^?]*+\?=(?>(?:\s*+=\?[^?\s]{1,60}\?[bBqQ]\?[^?]*+\?=)*)"
)
_ENCODED_WORD = re.compile(rb"=\?([^?\s*]{1,60})(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*+)\?=")
_WORD_FROM = finder(rb"=\?")
_OPEN_CODE = re.compile(rb"=[^?]?\?")
_SPACED_WORD = re.compile(rb"\?[qQ]\?[^?_]*+_")
_PRINTABLE = bytes(range(0x20, 0x7F))
_LONG_ROW = 100
_NO_BASE64 = bytes(octet for octet in range(256) if octet not in BASE64)
_NO_CHARSETS = frozenset(
    ("utf-8", "utf8", "us-ascii", "ascii", "idna", "punycode", "undefined",
     "unicode_escape", "unicode-escape", "raw_unicode_escape", "raw-unicode-escape")
)  # fmt: skip
"""Nothing to decode, or names of things in Python that are no charset, some of which take quadratic time."""
_BESIDE = 80


def around_words(text: bytes, known: set[bytes]) -> tuple[bytes, bytes]:
    """Decode encoded words; returns them with what stands beside them, each on a line, and the rest.

    Those that are `known` were decoded before, and are left out; others become known.

    Long rows that are nothing but a text once decoded are no longer in the rest: all their letters were read
    as they were meant. Read in another way, from another letter on, they would have to say something as well,
    and no chance makes both of that.
    """
    pieces: list[bytes] = []
    rest: list[bytes] = []
    end = position = 0
    last = text.rfind(b"?") + 2
    first = _WORD_FROM(text, 0) if last > 1 else -1
    for match in _ENCODED_WORDS.finditer(text, first, last) if 0 <= first < last else ():
        if match[0] in known:
            continue
        known.add(match[0])
        before = text[max(end, match.start() - _BESIDE) : match.start()]
        behind = text[match.end() : match.end() + _BESIDE]
        words = _words(match)
        pieces.append(before + words + behind)
        end = match.end()
        if len(words) >= _LONG_ROW and _is_plain(match[0], words):
            rest.append(text[position : match.start()])
            position = end
    return b"\n".join(pieces), b"?".join((*rest, text[position:])) if rest else text


def _is_plain(row: bytes, decoded: bytes) -> bool:
    """Whether encoded words were nothing but a text; what is a space in one may be a letter of base64."""
    return not (decoded.translate(None, _PRINTABLE) or (b"_"[0] in row and _SPACED_WORD.search(row)))


def _words(match: re.Match[bytes]) -> bytes:
    """Decode encoded words that follow each other (RFC 2047 §6.2), to UTF-8."""
    row = match[0]
    charset, kind, _ = row[2:].split(b"?", 2)
    start = b"=?%b?%b?" % (charset, kind)
    end = row.find(b"?=", len(start))
    second = row.find(start, end)
    between = row[end : second + len(start)] if second >= 0 else b"?="
    coded = row[len(start) : -2]
    payloads = coded.split(between) if second >= 0 else [coded]
    if b"?"[0] not in b"".join(payloads):  # all of one kind, with the same between them
        return in_utf8(_decoded(kind, payloads), _name(charset))
    same = next(number for number, payload in enumerate(payloads) if b"?"[0] in payload)
    last, rest = payloads[same].split(b"?", 1)
    rest = between.join([rest, *payloads[same + 1 :]]) + b"?="
    charset = charset.partition(b"*")[0]
    words = [(charset, kind, payload) for payload in (*payloads[:same], last)]
    found: list[tuple[str, bytes]] = []
    for (charset, kind), row_of_kind in groupby((*words, *_ENCODED_WORD.findall(rest)), _of_words):
        octets = _decoded(kind, [payload for _, _, payload in row_of_kind])
        name = _name(charset)
        if found and found[-1][0] == name:
            octets = found.pop()[1] + octets
        found.append((name, octets))
    return b"".join([in_utf8(octets, name) for name, octets in found])


def _name(charset: bytes) -> str:
    """The name of a charset, without the language that may stand behind it (RFC 2231 §5)."""
    return charset.partition(b"*")[0].decode("ascii", "replace").lower()


_of_words = itemgetter(0, 1)


def _decoded(kind: bytes, payloads: list[bytes]) -> bytes:
    """Decode encoded words of one kind, in one go where none ends within a group or a code."""
    joined = b"".join(payloads)
    if kind in b"qQ":
        if _OPEN_CODE.search(b"?".join((*payloads, b""))):
            return b"".join([binascii.a2b_qp(payload, header=True) for payload in payloads])
        return binascii.a2b_qp(joined, header=True)
    within = any([len(payload) % 4 for payload in payloads])  # noqa: C419 - there are many
    letters = joined.rstrip(b"=")
    if within or letters.translate(None, BASE64):
        each = b"".join(map(base64_octets, payloads))
        # Some break a text only after it was encoded, within a group.
        return each + b"\n" + base64_octets(joined) if within and len(payloads) > 1 else each
    return octets_of(letters)


def in_utf8(octets: bytes, charset: str) -> bytes:
    """Octets of a charset in UTF-8; as they are when Python knows no such charset."""
    if charset in _NO_CHARSETS:
        return octets
    try:
        return octets.decode(charset, "ignore").encode("utf-8", "ignore")
    except (LookupError, ValueError):
        return octets


def base64_octets(letters: bytes) -> bytes:
    """Decode the letters of the standard alphabet among these octets, whether they fill a group or not."""
    return octets_of(letters.translate(None, _NO_BASE64))
