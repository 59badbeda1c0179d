"""Cutting a Received field into its clauses (RFC 5321 §4.4).

Takes the text of the field with single blanks for white space; leaves the pieces of each clause, the date,
and what is broken.
"""

import re
from datetime import datetime
from itertools import pairwise, product

from complaints.dates import find_date, parse_date, plain_date

# Comments may nest (RFC 5322 §3.2.2); five levels are read, deeper ones count as unclosed. Atomic
# throughout, so that an unclosed construct costs one scan and not one per retry.
_C1 = r"\((?>(?:[^()\\]++|\\.)*)\)"
_C2 = rf"\((?>(?:[^()\\]++|\\.|{_C1})*)\)"
_C3 = rf"\((?>(?:[^()\\]++|\\.|{_C2})*)\)"
_C4 = rf"\((?>(?:[^()\\]++|\\.|{_C3})*)\)"
_QUOTED = r"\"(?>(?:[^\"\\]++|\\.)*)\""
# Most hold nothing inside, which the first of each pair reads faster.
_CLOSED = (
    rf"\([^()\\]*+\)|\((?>(?:[^()\\]++|\\.|{_C4})*)\)|\[[^\[\]]*+\]"
    rf"|<[^<>\"]*+>|<(?>(?:{_QUOTED}|[^<>\"]++|<[^<>]*+>)*)>|{_QUOTED}"
)
# What is left open takes all the rest.
_TOKEN = re.compile(rf"[^ ()\[<;\"]++|{_CLOSED}|;|[(\[<\"].*", re.DOTALL)
_IS_CLOSED = re.compile(_CLOSED, re.DOTALL)
_MOST_SEMICOLONS = 4
"""Semicolons behind which a date is looked for, from the last one back."""
_DEFECTS = {
    "(": "unclosed-comment",
    "[": "unclosed-domain-literal",
    "<": "unclosed-angle-address",
    '"': "unclosed-quoted-string",
}
TWO_WRITERS = "two-by-clauses"
"""The defect of a field in which two hosts seem to have written."""

_KEYWORDS = {
    "".join(letters): keyword
    for keyword in ("from", "by", "via", "with", "id", "for")
    for letters in product(*((letter, letter.upper()) for letter in keyword))
} | {"id:": "id"}


class Clauses:
    """The field cut at its keywords.

    `found` has the pieces of each clause in their order: words, and in their brackets comments, literals,
    angle addresses and quoted strings. `utc` tells whether the date ends in `-0000`. `envelope_from` is what
    a second `from` names, after the `by`.
    """

    __slots__ = ("date", "defect", "envelope_from", "found", "utc")

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self.date: datetime | None = None
        self.utc = False
        self.defect: str | None = None
        self.envelope_from: str | None = None


def clauses_of(text: str) -> Clauses:
    """Cut the field at its keywords, which count only outside comments, quotes and literals."""
    head, _, tail = text.rpartition(";")
    if date := plain_date(tail):
        # The semicolon counts only where it stands outside of everything, as it does when nothing is open.
        pieces = _TOKEN.findall(head)
        if not pieces or pieces[-1][0] not in _DEFECTS or not _left_open(pieces):
            result = Clauses()
            result.date, result.utc = date, "-0000" in tail
            return _cut(pieces, result)
    return _cut_slowly(text)


def _left_open(pieces: list[str]) -> str | None:
    """Say what is wrong with the last piece when it has no end."""
    if not pieces or (defect := _DEFECTS.get(pieces[-1][0])) is None:
        return None
    return None if _IS_CLOSED.fullmatch(pieces[-1]) else defect


def _cut_slowly(text: str) -> Clauses:
    """Cut a field with an extraordinary date, or none, or something left open."""
    pieces, result = _TOKEN.findall(text), Clauses()
    if defect := _left_open(pieces):
        result.defect = defect
        return _cut(pieces[:-1], result)
    semicolons = [n for n, piece in enumerate(pieces) if piece == ";"]
    for at in reversed(semicolons[-_MOST_SEMICOLONS:]):
        after = pieces[at + 1 :]
        said = " ".join(after)
        if date := parse_date(said):
            result.date, result.utc = date, said.endswith("-0000")
            end = next((n for n, piece in enumerate(after) if piece in _KEYWORDS), len(after))
            return _cut(pieces[:at] + after[end:], result)
    if found := find_date(text):
        # Some writers leave the semicolon out. What stands before the date is read by itself.
        result.date = found[0]
        before = _TOKEN.findall(text[: found[1]])
        if not semicolons and not _left_open(before):
            pieces = before
    return _cut(pieces, result)


def _cut(pieces: list[str], result: Clauses) -> Clauses:
    """Give every piece to its clause: each keyword opens its own once, `from` only as the first."""
    if ";" in pieces:
        # Stray ones, or said by the client.
        pieces = [piece for piece in pieces if piece != ";"]
    found, keyword_of = result.found, _KEYWORDS.get
    clause = found[""] = list[str]()
    again = len(pieces) > 2 and pieces[1] in _KEYWORDS and _is_named_like_a_keyword(pieces)
    if again:
        # The client is called like a keyword: its name is a word of the first clause.
        clause = found["from"] = [pieces[1]]
        pieces = pieces[2:]
    for piece in pieces:
        keyword = keyword_of(piece)
        if keyword is None:
            clause.append(piece)
        elif keyword in found or (keyword == "from" and len(found) > 1):
            clause.append(piece)
            again = True
        else:
            clause = found[keyword] = []
    if again:
        _look_at_repeated(pieces, result)
    return result


def _is_named_like_a_keyword(pieces: list[str]) -> bool:
    """Tell whether the word after a first `from` is a client called `by`, `with` or the like."""
    begins = _KEYWORDS.get(pieces[0]) == "from"
    return begins and (pieces[2][0] in "([" or _KEYWORDS.get(pieces[2]) == "by")


def _look_at_repeated(pieces: list[str], result: Clauses) -> None:
    """Look at what a second `by` or a late `from` names.

    A late `from` names the envelope sender. A second `by` that names a host was brought in by the client, or
    the first was; `by uid 500` and the like are harmless.
    """
    writers = 0
    for piece, named in pairwise(pieces):
        keyword = _KEYWORDS.get(piece)
        if keyword == "from" and writers and named.startswith("<"):
            result.envelope_from = named.strip("<>")
        elif keyword == "by":
            writers += 1
            if writers > 1 and ("." in named or named.startswith("[")):
                result.defect = TWO_WRITERS
