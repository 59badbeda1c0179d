"""Cutting a Received field into its clauses (RFC 5321 §4.4).

Takes the unfolded text of the field; leaves its words and comments by clause, its date, and what is broken.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

from complaints.dates import parse_date

# Comments may nest (RFC 5322 §3.2.2); five levels are read, deeper ones count as unclosed. Possessive
# throughout, so that an unclosed construct costs one scan and not one per retry.
_C1 = r"\((?>(?:[^()\\]++|\\.)*)\)"
_C2 = rf"\((?>(?:[^()\\]++|\\.|{_C1})*)\)"
_C3 = rf"\((?>(?:[^()\\]++|\\.|{_C2})*)\)"
_C4 = rf"\((?>(?:[^()\\]++|\\.|{_C3})*)\)"
_TOKEN = re.compile(
    rf"(?P<comment>\((?>(?:[^()\\]++|\\.|{_C4})*)\))"
    r"|(?P<literal>\[[^\[\]]*+\])"
    r"|(?P<angle><(?>(?:\"(?>(?:[^\"\\]++|\\.)*)\"|[^<>\"]++)*)>)"
    r"|(?P<quoted>\"(?>(?:[^\"\\]++|\\.)*)\")"
    r"|(?P<semicolon>;)"
    r"|(?P<word>[^\s()\[<;\",]++)"
    r"|(?P<open>[(\[<\"])",
    re.DOTALL,
)
_MOST_SEMICOLONS = 4
_BY = re.compile(r"(?:^| )by ", re.IGNORECASE)
_CLAUSES = frozenset({"from", "by", "via", "with", "id", "for"})


@dataclass(slots=True)
class Clauses:
    """The field cut at its keywords; comments keep their brackets."""

    found: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    date: datetime | None = None
    utc: bool = False
    defect: str | None = None
    envelope_from: str | None = None

    def begins(self, keyword: str) -> bool:
        """Tell whether a keyword opens its clause here: each does once, `from` only as the first."""
        return keyword not in self.found and (keyword != "from" or len(self.found) == 1)

    def open(self, keyword: str) -> tuple[list[str], list[str]]:
        """Begin a clause and return its empty lists of words and comments."""
        pair: tuple[list[str], list[str]] = ([], [])
        self.found[keyword] = pair
        return pair

    def ends_with(self, rest: str) -> bool:
        """Take what follows a semicolon as the date, unless the field goes on there."""
        early = "by" not in self.found and _BY.search(rest)
        self.date = None if early else parse_date(rest)
        self.utc = rest.endswith("-0000")
        return self.date is not None

    def words(self, name: str) -> list[str]:
        """Return the words of a clause, literals in their brackets."""
        pair = self.found.get(name)
        return pair[0] if pair else []

    def comments(self, name: str) -> list[str]:
        """Return the comments of a clause in their brackets."""
        pair = self.found.get(name)
        return pair[1] if pair else []


_DEFECTS = {
    "(": "unclosed-comment",
    "[": "unclosed-domain-literal",
    "<": "unclosed-angle-address",
    '"': "unclosed-quoted-string",
}


def clauses_of(text: str) -> Clauses:  # noqa: C901 - one branch per kind of token
    """Cut the field at its keywords, which count only outside comments, quotes and literals."""
    result = Clauses()
    words, comments = result.open("")
    sender, semicolons = False, 0
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match[0]
        if kind == "word":
            keyword = token.lower()
            if keyword in _CLAUSES and result.begins(keyword):
                words, comments = result.open(keyword)
            elif keyword == "from" and "by" in result.found:
                sender = True
            else:
                words.append(token)
        elif kind == "comment":
            comments.append(token)
        elif kind == "semicolon":
            semicolons += 1
            # A stray semicolon may stand before the real one; a field full of them is not read for each.
            if semicolons <= _MOST_SEMICOLONS and result.ends_with(text[match.end() :]):
                break
        elif kind == "open":
            result.defect = _DEFECTS[token]
            return result
        elif sender:
            result.envelope_from, sender = token.strip("<>"), False
        else:
            words.append(token)
    if result.date is None:
        # Some writers leave the semicolon out, or put the date before it.
        result.date = parse_date(text)
    return result
