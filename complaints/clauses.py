"""Cutting a Received field into its clauses (RFC 5321 §4.4).

Takes the text of the field with single blanks for white space; leaves the pieces of each clause, the date,
and what is broken.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product

from complaints.dates import find_date, parse_date, plain_date

# Comments may nest (RFC 5322 §3.2.2); five levels are read, deeper ones count as unclosed. Atomic
# throughout, so that an unclosed construct costs one scan and not one per retry.
_C1 = r"\((?>(?:[^()\\]++|\\.)*)\)"
_C2 = rf"\((?>(?:[^()\\]++|\\.|{_C1})*)\)"
_C3 = rf"\((?>(?:[^()\\]++|\\.|{_C2})*)\)"
_C4 = rf"\((?>(?:[^()\\]++|\\.|{_C3})*)\)"
_QUOTED = r"\"(?>(?:[^\"\\]++|\\.)*)\""
_CLOSED = (
    rf"\((?>(?:[^()\\]++|\\.|{_C4})*)\)|\[[^\[\]]*+\]|<(?>(?:{_QUOTED}|[^<>\"]++|<[^<>]*+>)*)>|{_QUOTED}"
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


@dataclass(slots=True)
class Clauses:
    """The field cut at its keywords.

    `found` has the pieces of each clause in their order: words, and in their brackets comments, literals,
    angle addresses and quoted strings. `utc` tells whether the date ends in `-0000`. `envelope_from` is what
    a second `from` names, after the `by`.
    """

    found: dict[str, list[str]] = field(default_factory=dict)
    date: datetime | None = None
    utc: bool = False
    defect: str | None = None
    envelope_from: str | None = None


def clauses_of(text: str) -> Clauses:
    """Cut the field at its keywords, which count only outside comments, quotes and literals."""
    head, _, tail = text.rpartition(";")
    if date := plain_date(tail):
        # The semicolon counts only where it stands outside of everything, as it does when nothing is open.
        pieces = _TOKEN.findall(head)
        if not _left_open(pieces):
            return _cut(pieces, Clauses({}, date, "-0000" in tail))
    return _cut_slowly(text)


def _left_open(pieces: list[str]) -> str | None:
    """Say what is wrong with the last piece when it has no end."""
    if not pieces or (defect := _DEFECTS.get(pieces[-1][0])) is None:
        return None
    return None if _IS_CLOSED.fullmatch(pieces[-1]) else defect


def _cut_slowly(text: str) -> Clauses:
    """Cut a field with an extraordinary date, or none, or something left open."""
    pieces = _TOKEN.findall(text)
    if defect := _left_open(pieces):
        return _cut(pieces[:-1], Clauses(defect=defect))
    result = Clauses()
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
    found = result.found
    marks = [n for n, piece in enumerate(pieces) if piece in _KEYWORDS]
    if len(marks) > 1 and marks[1] == marks[0] + 1 == 1 and _is_named_like_a_keyword(pieces):
        del marks[1]
    keyword, begin = "", 0
    for mark in marks:
        following = _KEYWORDS[pieces[mark]]
        if following in found or following == keyword or (following == "from" and found):
            _look_at_second(following, pieces[mark + 1 : mark + 2], result)
            continue
        found[keyword] = pieces[begin:mark]
        keyword, begin = following, mark + 1
    found[keyword] = pieces[begin:]
    return result


def _is_named_like_a_keyword(pieces: list[str]) -> bool:
    """Tell whether the word after a first `from` is a client called `by`, `with` or the like."""
    if len(pieces) < 3 or _KEYWORDS[pieces[0]] != "from":
        return False
    return pieces[2][0] in "([" or _KEYWORDS.get(pieces[2]) == "by"


def _look_at_second(keyword: str, named: list[str], result: Clauses) -> None:
    """Look at what a second `by` or a late `from` names.

    A late `from` names the envelope sender. A second `by` that names a host was brought in by the client, or
    the first was; `by uid 500` and the like are harmless.
    """
    if keyword == "from" and named and named[0].startswith("<"):
        result.envelope_from = named[0].strip("<>")
    elif keyword == "by" and named and ("." in named[0] or named[0].startswith("[")):
        result.defect = TWO_WRITERS
