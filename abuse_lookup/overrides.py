"""Takes a mailbox or a host; leaves what is known of it from experience: never use it, or ask these instead.

The knowledge is in `data/refused.toml` and `data/desks.toml`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from abuse_lookup.knowledge import Row, rows


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a mailbox is not to be used, or only as a last resort, and which WHOIS server knows better."""

    why: str
    last_resort: bool
    whois: str | None


@dataclass(frozen=True, slots=True)
class KnownDesk:
    """A provider's desk for everything under a host suffix: a mailbox or a web form."""

    provider: str
    address: str | None
    form: str | None
    why: str


def refusal(address: str, holder: str) -> Refusal | None:
    """Judge a mailbox named for a resource of `holder`; None when nothing is known against it."""
    for row in rows("refused", "mailbox"):
        if not _pattern(row).fullmatch(address):
            continue
        unless = row.get("unless")
        if unless and re.search(str(unless), holder, re.IGNORECASE):
            continue
        return Refusal(str(row["why"]), row.get("use") == "last", row.get("whois"))
    return None


def known_desk(host: str) -> KnownDesk | None:
    """Find the desk of the platform a host name belongs to (`shop.workers.dev`), the longest suffix first."""
    labels = host.split(".")
    desks = _desks()
    found = next((row for n in range(len(labels)) if (row := desks.get(".".join(labels[n:])))), None)
    if found is None:
        return None
    why = f"{found['provider']} runs every site under {_suffix_of(host, found['suffixes'])}"
    return KnownDesk(str(found["provider"]), found.get("address"), found.get("form"), why)


@cache
def _desks() -> dict[str, Row]:
    return {suffix: row for row in rows("desks", "desk") for suffix in row["suffixes"]}


def _suffix_of(host: str, suffixes: Sequence[str]) -> str:
    return max((suffix for suffix in suffixes if host == suffix or host.endswith("." + suffix)), key=len)


@cache
def _compiled(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _pattern(row: Row) -> re.Pattern[str]:
    return _compiled(str(row["pattern"]) if "pattern" in row else re.escape(str(row["address"])))
