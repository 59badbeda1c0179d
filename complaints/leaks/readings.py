"""The ways a program or a person reads a text: takes octets, leaves what each way makes of them.

Each way is one operation over the whole text, and works on what the one before left, so that escapes inside
encoded words inside quoted-printable are seen through. Nothing is asked about what the message says it is:
a text is read in every way that could change it.
"""

import binascii
import re
from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from complaints.leaks.encoded_words import around_words
from complaints.leaks.escapes import CODES
from complaints.leaks.reading import Reading
from complaints.leaks.scan import BASE64, finder
from complaints.leaks.unseen import in_latin, is_mixed, looks_otherwise, visible

ROUNDS = 6
"""Escapes inside each other, of different kinds, that are undone; of one kind it may be any number."""
_QUOTED_FROM = finder(rb"=(?:[0-9A-Fa-f]{2}|[ \t]*\r?\n)")
_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")
_SOFT_BREAK_FROM = finder(rb"=[ \t]+\r?\n")
_CODE = re.compile(rb"=(?:[0-9A-F]{2}|[ \t]*+\r?\n)")
_CODE_FROM = finder(rb"=(?:[0-9A-F]{2}|[ \t]*\r?\n)")
_DAMAGED = re.compile(rb"=([0-9A-Fa-f]{2}[^\s\"'>]{4,})")
_CONTINUED = re.compile(rb";\s{0,9}[A-Za-z-]{1,20}\*[1-9]\d{0,3}\*?=\"?")
_CONTINUATION = finder(rb"\*[1-9][0-9]{0,3}\*?=")
_PIECE = re.compile(rb"([A-Za-z-]{1,20})\*(\d{1,4})\*?=(\"[^\"\n]*\"|[^;\s]*)")
_CONCATENATED = re.compile(rb"['\"`]\s{0,9}\+\s{0,9}['\"`]")
_JOINT = finder(rb"\+[\t-\r ]{0,9}['\"`]")
_PERCENT = re.compile(rb"(%(?>(?:25)*)(?:u[0-9A-Fa-f]{4}|[0-9A-Fa-f]{2}))")
_ENTITY = re.compile(rb"(&(?>(?:amp;|#38;|#x26;)*)(?:#[xX][0-9A-Fa-f]{1,12}|#[0-9]{1,12}|[A-Za-z]{2,24});?)")
_BACKSLASH = re.compile(
    rb"(\\\\{0,3}+(?:u\{[0-9A-Fa-f]{1,8}\}|[uU]0*[0-9A-Fa-f]{2,4}|x[0-9A-Fa-f]{2}"
    rb"|0{2,4}[2-7][0-9A-Fa-f](?![0-9A-Fa-f]) ?|[0-7]{3}|[2-7][0-9A-Fa-f] ?|[/@.]|\r?\n))"
)
_PERCENT_SIGN, _AMPERSAND = re.compile(rb"%"), re.compile(rb"&")
_ESCAPES = (
    (b"%"[0], _PERCENT, _PERCENT_SIGN),
    (b"&"[0], _ENTITY, _AMPERSAND),
    (b"\\"[0], _BACKSLASH, re.compile(rb"(?<!\\)\\")),
)
"""The sign with which each kind begins, the escapes themselves, and where a text may be cut between them."""
_PART = 1 << 20
_CUT_PERCENT = re.compile(rb"%[0-9A-Fa-fu]{0,9}\r?\n[ \t]+")
_CUT_PERCENT_FROM = finder(rb"%[0-9A-Fa-fu]{0,9}\r?\n[ \t]")
_CUT_ENTITY = re.compile(rb"&[^\s&;]{0,12}\r?\n[ \t]+")
_CUT_ENTITY_FROM = finder(rb"&[^\t-\r &;]{0,12}\r?\n[ \t]")
_BESIDE = 80
_COMMENT = finder(rb"<!--")
_COMMENT_START = re.compile(rb"<!--")
_TAG_START, _TAG = re.compile(rb"<"), re.compile(rb"<[^<>]*+>")
_BEHIND_TAG = finder(rb">[0-9A-Za-z+/_-]{8}", rb">[0-9A-Za-z+/_-]{1,8}(?:<[^<>]*>)+[0-9A-Za-z+/_-]{1,15}<")
"""A long piece of a token behind a tag, or two short ones."""
_LONGEST_TAG, _MOST_TAGS = 300, 4
_TOKEN_LETTERS = BASE64 + b"-_"
_IN_TOKEN = bytes(ord("1" if octet in _TOKEN_LETTERS else "0") for octet in range(256))
_TOKEN = re.compile(b"1" * 16 + b"1*")
_BESIDE_AT, _AT_BESIDE = finder(rb"\)[ \t]?@"), finder(rb"@[ \t]?\(")
"""A comment beside the @ of an address (RFC 5322 §3.2.2)."""
_ASIDE = re.compile(rb"[ \t]*\([^()\r\n]*+\)")
_NO_ESCAPE = bytes(octet for octet in range(256) if octet in b" \t\"'<>=,!()*:-_~|^$[]+?`" or octet >= 0x80)
"""Of these no escape consists, and none needs one of them beside it."""


@dataclass(eq=False)
class Read:
    """All readings of a text.

    `finished` is False when there were more escapes inside each other than are undone.
    """

    readings: list[Reading]
    finished: bool


def read(text: bytes, *, split: bool = True) -> Read:
    """Read a text, which holds no zeros, in every way; only if `split` also without what splits words.

    Long encoded words are then read as words only.
    """
    rows: set[bytes] = set()
    words, rest = around_words(text, rows)
    text = rest if split else text
    bases = [Reading("", text)]
    aside: list[Reading] = []
    if words:
        aside.append(Reading("encoded words", words))
    if b"="[0] in text and _QUOTED_FROM(text, 0) >= 0:
        bases[0].quoted = True
        closed = _SOFT_BREAK.sub(b"=", text) if _SOFT_BREAK_FROM(text, 0) >= 0 else text
        bases.append(Reading("quoted-printable", binascii.a2b_qp(closed)))
        # Where the text is not encoded, what looks like a code behind a sign of equality is none.
        if damaged := _DAMAGED.findall(text):
            aside.append(Reading("", b"\n".join(damaged)))
    done = Read(bases[:-1], finished=True)
    finished = True
    queue = deque((bases[-1], *aside))
    while queue:
        base = queue.popleft()
        finished &= _see_through(base, done)
        inside = done.readings[-1]
        # Words that only now show, as in a message inside quoted-printable; each round decodes some of them
        if inside.octets is not text and (words := around_words(inside.octets, rows)[0]):
            queue.append(Reading(f"{inside.how}, encoded words".removeprefix(", "), words))
        if split:
            _join(done)
    if len(bases) > 1 and (again := _around_codes(bases[1].octets)):
        done.readings.append(Reading("quoted-printable twice", again))
    return Read(done.readings, finished)


def _see_through(base: Reading, done: Read) -> bool:
    """Add all readings of a base, the whole one last; returns whether all escapes are undone."""
    done.readings.append(base)
    continued = b"*"[0] in base.octets and _CONTINUATION(base.octets, 0) >= 0
    last = _plain(base, done, continued=continued)
    for _ in range(ROUNDS):
        before, (octets, undone) = last, _unescaped(last.octets)
        last = _then(last, "escaped", octets, done, undone=undone)
        if before is last or not any(map(_leads_on, undone)):
            finished = True
            break
    else:
        finished = _unescaped(last.octets)[0] == last.octets
    done.readings.pop()
    if continued:
        done.readings.append(Reading("parameters in order", _unescaped(_in_order(base.octets))[0]))
    done.readings.append(Reading(last.how, last.octets, whole=True))
    return finished


def _join(done: Read) -> None:
    """Add readings of the last one, without what nobody sees and what splits words, such as tags."""
    last = done.readings[-1]
    if b"+"[0] in last.octets and _JOINT(last.octets, 0) >= 0:
        last = _then(last, "concatenated", _CONCATENATED.sub(b"", last.octets), done, whole=True)
    mixed = False
    if not last.octets.isascii() and looks_otherwise(last.octets):
        last = _then(last, "invisible or look-alike letters", visible(last.octets), done)
        mixed = is_mixed(last.octets)
    if b"("[0] in last.octets and (_BESIDE_AT(last.octets, 0) >= 0 or _AT_BESIDE(last.octets, 0) >= 0):
        _then(last, "split by comments of a header", _ASIDE.sub(b"", last.octets), done)
    if b"<"[0] in last.octets:
        split = _is_split(last.octets)
        if last.whole and not (split or mixed):
            last.tagged = True
        else:
            made = without_tags(last)
            done.readings.extend(made)
            last = made[-1] if made else last
        # A token that tags split is whole only without them.
        if split:
            done.readings.append(Reading(last.how, _tokens(last.octets), whole=True, tokens=True))
    if mixed:
        _then(last, "letters of other alphabets", in_latin(last.octets), done)


def _is_split(text: bytes) -> bool:
    """Whether tags may split a token: letters are on both sides of some, and there are enough of them."""
    place = _BEHIND_TAG(text, 0)
    while place >= 0:
        start = place + 1
        for _ in range(_MOST_TAGS):
            start = text.rfind(b"<", max(start - _LONGEST_TAG, 0), start - 1)
            if start <= 0 or text[start - 1] != ord(">"):
                break
        if start > 0 and text[start - 1] in _TOKEN_LETTERS:
            return True
        place = _BEHIND_TAG(text, place + 1)
    return False


def _tokens(text: bytes) -> bytes:
    """The long rows of letters of base64 in a text, each on a line."""
    spans = (match.span() for match in _TOKEN.finditer(text.translate(_IN_TOKEN)))
    return b"\n".join([text[start:end] for start, end in spans])


def without_tags(tagged: Reading) -> list[Reading]:
    """The readings of a reading from which comments, and then all tags, are taken out."""
    last, done = tagged, Read([tagged], finished=True)
    if _COMMENT(last.octets, 0) >= 0:
        last = _then(last, "split by comments", _uncommented(last.octets), done)
    _then(last, "split by tags", untagged(last.octets), done)
    return done.readings[1:]


def untagged(text: bytes) -> bytes:
    """Take out tags; one is what stands between the signs of it and holds neither."""
    done: list[bytes] = []
    for part in _parts(text, _TAG_START):
        first, *rest = part.split(b"<")
        if 3 * len(rest) > len(part):  # hardly anything else, and most of them begin no tag
            done.append(_TAG.sub(b"", part))
            continue
        behind = [piece.partition(b">") for piece in rest]
        done.append(first + b"".join([tail if end else b"<" + tag for tag, end, tail in behind]))
    return b"".join(done)


def _plain(last: Reading, done: Read, *, continued: bool) -> Reading:
    """Undo what cuts things in pieces in a header: folds in escapes, continued parameters (RFC 2231)."""
    text = last.octets
    mended = text
    if b"%"[0] in text and _CUT_PERCENT_FROM(text, 0) >= 0:
        mended = b"".join([_CUT_PERCENT.sub(_mended, part) for part in _parts(text, _PERCENT_SIGN)])
    if b"&"[0] in text and _CUT_ENTITY_FROM(mended, 0) >= 0:
        mended = b"".join([_CUT_ENTITY.sub(_mended, part) for part in _parts(mended, _AMPERSAND)])
    last = _then(last, "folded", mended, done)
    if continued:
        joined = _CONTINUED.sub(b"", last.octets.replace(b'";', b";"))
        last = _then(last, "continued parameters", joined, done)
    return last


def _in_order(text: bytes) -> bytes:
    """The values of continued parameters, each whole, by their numbers (RFC 2231 §3)."""
    pieces: dict[bytes, dict[int, bytes]] = {}
    for name, number, value in _PIECE.findall(text):
        pieces.setdefault(name.lower(), {})[int(number)] = value.strip(b'"')
    return b"\n".join(b"".join(values[number] for number in sorted(values)) for values in pieces.values())


def _then(
    last: Reading,
    how: str,
    octets: bytes,
    done: Read,
    *,
    whole: bool = False,
    undone: AbstractSet[bytes] | None = None,
) -> Reading:
    """Add a reading of a reading, unless it says the same; `undone` is what alone it differs in."""
    if octets == last.octets:
        return last
    if undone is not None:
        last.undone = undone
    new = Reading(f"{last.how}, {how}" if last.how else how, octets, whole)
    done.readings.append(new)
    return new


def _mended(match: re.Match[bytes]) -> bytes:
    return b"".join(match[0].split())


def _around_codes(text: bytes) -> bytes:
    """Undo quoted-printable in what stands beside codes of it, each on a line."""
    pieces: list[bytes] = []
    first = end = -1
    for match in _CODE.finditer(text) if _CODE_FROM(text, 0) >= 0 else ():
        if match.start() > end:
            pieces += [text[first:end]] * (first >= 0)
            first = max(match.start() - _BESIDE, 0)
        end = match.end() + _BESIDE
    return binascii.a2b_qp(b"\n".join((*pieces, text[first:end]))) if first >= 0 else b""


def _unescaped(text: bytes) -> tuple[bytes, set[bytes]]:
    """Undo percent-encoding, HTML entities and the escapes of scripts and style sheets, once each.

    Returns also which were undone.
    """
    undone: set[bytes] = set()
    for sign, pattern, first in _ESCAPES:
        if sign in text:
            done: list[bytes] = []
            for part in _parts(text, first):
                pieces = pattern.split(part)
                if len(pieces) > 1:
                    codes = pieces[1::2]
                    undone.update(codes)
                    pieces[1::2] = map(CODES.__getitem__, codes)
                    part = b"".join(pieces)  # noqa: PLW2901 - what is left of it
                done.append(part)
            text = b"".join(done)
    return text, undone


def _parts(text: bytes, first: re.Pattern[bytes]) -> Iterable[bytes]:
    """Cut a long text where something begins: a list of all its pieces would take many times their size."""
    return (text,) if len(text) < 2 * _PART else _cut(text, first)


def _cut(text: bytes, first: re.Pattern[bytes]) -> Iterator[bytes]:
    start = 0
    while match := first.search(text, start + _PART):
        yield text[start : match.start()]
        start = match.start()
    yield text[start:]


def _leads_on(code: bytes) -> bool:
    """Whether what an escape stands for may be a piece of another one."""
    meant = CODES[code]
    return meant != code and not (meant and not meant.translate(None, _NO_ESCAPE))


def _uncommented(text: bytes) -> bytes:
    done: list[bytes] = []
    for part in _parts(text, _COMMENT_START):
        first, *rest = part.split(b"<!--")
        done.append(b"".join((first, *map(_behind_comment, rest))))
    return b"".join(done)


def _behind_comment(piece: bytes) -> bytes:
    comment, end, behind = piece.partition(b"-->")
    return behind if end else comment
