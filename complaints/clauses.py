"""Cutting a Received field into its clauses (RFC 5321 §4.4).

Takes the text of the field with single blanks for white space; leaves the pieces of each clause, the date,
and what is broken.
"""

import re
from datetime import datetime
from itertools import pairwise, product
from typing import NamedTuple

from complaints.dates import PLAIN, find_date, moment, parse_date, plain_date

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
# What nearly every field is: printable ASCII, each clause once and in the usual order, one blank before
# everything, nothing quoted, comments one level deep, and an ordinary date.
_COMMENT_TEXT = r"[ -'*-\[\]-~]*+"
_ONE = (
    rf"(?:[!#-'*-:=-Z\\-~]++|\({_COMMENT_TEXT}(?>(?:\({_COMMENT_TEXT}\){_COMMENT_TEXT})*)\)"
    r"|\[[ -Z\\^-~]*+\]|<[ !#-;=?-~]*+>)"
)
_NO_KEYWORD = r"(?![bfivwBFIVW](?i:rom|y|ia|ith|d:?|or)(?:[ ;]|\Z))"
_WORD = rf" {_NO_KEYWORD}{_ONE}"
_CLAUSE = rf" ({_NO_KEYWORD}{_ONE}(?>(?:{_WORD})*))"
_FIRST_WORD = rf" {_NO_KEYWORD}({_ONE})(?>(?:{_WORD})*)"
_ORDINARY = re.compile(
    rf"(?:from{_CLAUSE} )?by{_CLAUSE}(?: via{_CLAUSE})?(?: with{_CLAUSE})?"
    rf"(?: id{_FIRST_WORD})?(?: via{_CLAUSE})?(?: for{_FIRST_WORD})? ?;{PLAIN}"
)
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


class Clauses(NamedTuple):
    """The field cut at its keywords.

    `from_`, `by`, `via` and `with_` are the words of a clause and, in their brackets, its comments, literals,
    angle addresses and quoted strings, all with single blanks between them; of `id` and `for_` the first of
    these. A clause that is not there is empty. `utc` tells whether the date ends in `-0000`. `envelope_from`
    is what a second `from` names, after the `by`.
    """

    from_: str = ""
    by: str = ""
    via: str = ""
    with_: str = ""
    id: str = ""
    for_: str = ""
    date: datetime | None = None
    utc: bool = False
    defect: str | None = None
    envelope_from: str | None = None


def ordinary_clauses(text: str) -> Clauses | None:
    """Return what `clauses_of` does for a field as nearly every one is, None for any other."""
    match = _ORDINARY.fullmatch(text)
    if match is None:
        return None
    from_, by, via, with_, id_, transport, recipient, day, clock, offset = match.groups("")
    date = moment(day, clock, offset)
    if date is None or (via and transport):
        return None
    found = (from_, by, via or transport, with_, id_, recipient, date, offset == "-0000", None, None)
    # What Clauses() does, without a call of Python code.
    return tuple.__new__(Clauses, found)


def clauses_of(text: str) -> Clauses:
    """Cut the field at its keywords, which count only outside comments, quotes and literals."""
    head, _, tail = text.rpartition(";")
    if date := plain_date(tail):
        # The semicolon counts only where it stands outside of everything, as it does when nothing is open.
        pieces = _TOKEN.findall(head)
        if not pieces or pieces[-1][0] not in _DEFECTS or not _left_open(pieces):
            return _cut(pieces, date, "-0000" in tail)
    return _cut_slowly(text)


def pieces_of(clause: str) -> list[str]:
    """Cut a clause into its words, comments, literals and so on."""
    return _TOKEN.findall(clause)


def _left_open(pieces: list[str]) -> str | None:
    """Say what is wrong with the last piece when it has no end."""
    if not pieces or (defect := _DEFECTS.get(pieces[-1][0])) is None:
        return None
    return None if _IS_CLOSED.fullmatch(pieces[-1]) else defect


def _cut_slowly(text: str) -> Clauses:
    """Cut a field with an extraordinary date, or none, or something left open."""
    pieces = _TOKEN.findall(text)
    if defect := _left_open(pieces):
        return _cut(pieces[:-1], None, False, defect)
    semicolons = [n for n, piece in enumerate(pieces) if piece == ";"]
    for at in reversed(semicolons[-_MOST_SEMICOLONS:]):
        after = pieces[at + 1 :]
        said = " ".join(after)
        date = parse_date(said) or parse_date(" ".join(piece for piece in after if piece[0] != "("))
        if date:
            end = next((n for n, piece in enumerate(after) if piece in _KEYWORDS), len(after))
            return _cut(pieces[:at] + after[end:], date, said.endswith("-0000"))
    date = None
    if found := find_date(text):
        # Some writers leave the semicolon out. What stands before the date is read by itself.
        date = found[0]
        before = _TOKEN.findall(text[: found[1]])
        if not semicolons and not _left_open(before):
            pieces = before
    return _cut(pieces, date, False)


def _cut(pieces: list[str], date: datetime | None, utc: bool, defect: str | None = None) -> Clauses:
    """Give every piece to its clause: each keyword opens its own once, `from` only as the first."""
    if ";" in pieces:
        # Stray ones, or said by the client.
        pieces = [piece for piece in pieces if piece != ";"]
    clause = list[str]()
    found = {"": clause}
    again = len(pieces) > 2 and pieces[1] in _KEYWORDS and _is_named_like_a_keyword(pieces)
    if again:
        # The client is called like a keyword: its name is a word of the first clause.
        clause = found["from"] = [pieces[1]]
        pieces = pieces[2:]
    for piece in pieces:
        keyword = _KEYWORDS.get(piece)
        if keyword is None:
            clause.append(piece)
        elif keyword in found or (keyword == "from" and len(found) > 1):
            clause.append(piece)
            again = True
        else:
            clause = found[keyword] = []
    from_, by, via, with_ = (" ".join(found.get(keyword, ())) for keyword in ("from", "by", "via", "with"))
    id_, for_ = (next(iter(found.get(keyword, ())), "") for keyword in ("id", "for"))
    envelope_from, second = _repeated(pieces) if again else (None, None)
    return Clauses(from_, by, via, with_, id_, for_, date, utc, second or defect, envelope_from)


def _is_named_like_a_keyword(pieces: list[str]) -> bool:
    """Tell whether the word after a first `from` is a client called `by`, `with` or the like."""
    begins = _KEYWORDS.get(pieces[0]) == "from"
    return begins and (pieces[2][0] in "([" or _KEYWORDS.get(pieces[2]) == "by")


def _repeated(pieces: list[str]) -> tuple[str | None, str | None]:
    """Return what a late `from` names, the envelope sender, and the defect of a second `by`.

    A second `by` that names a host was brought in by the client, or the first was; `by uid 500` and the like
    are harmless.
    """
    writers, envelope_from, defect = 0, None, None
    for piece, named in pairwise(pieces):
        keyword = _KEYWORDS.get(piece)
        if keyword == "from" and writers and named.startswith("<"):
            envelope_from = named.strip("<>")
        elif keyword == "by":
            writers += 1
            if writers > 1 and ("." in named or named.startswith("[")):
                defect = TWO_WRITERS
    return envelope_from, defect
