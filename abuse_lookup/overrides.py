"""Takes a mailbox; leaves why it must not be used, where it is a placeholder or a registry's own.

The knowledge is in `data/refused.toml`.
"""

import re
from dataclasses import dataclass
from functools import cache

from abuse_lookup.knowledge import Row, rows


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a mailbox is not to be used, or only as a last resort, and which WHOIS server knows better."""

    why: str
    last_resort: bool
    whois: str | None


def refusal(address: str, holder: str) -> Refusal | None:
    """Judge a mailbox named for a resource of `holder`; None when nothing is known against it."""
    if not _any().fullmatch(address):
        return None
    for row in rows("refused", "mailbox"):
        if not _pattern(row).fullmatch(address):
            continue
        unless = row.get("unless")
        if unless and re.search(str(unless), holder, re.IGNORECASE):
            continue
        return Refusal(str(row["why"]), row.get("use") == "last", row.get("whois"))
    return None


@cache
def _any() -> re.Pattern[str]:
    """One pattern for all rows, whose groups have names: nearly all mailboxes match none."""
    return _compiled("|".join(f"(?:{_text(row)})" for row in rows("refused", "mailbox")))


@cache
def _compiled(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _pattern(row: Row) -> re.Pattern[str]:
    return _compiled(_text(row))


def _text(row: Row) -> str:
    return str(row["pattern"]) if "pattern" in row else re.escape(str(row["address"]))
