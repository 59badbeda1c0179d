"""Which software wrote a Received field, and what its fields mean.

Takes what the writer itself put into the field: protocol, own name, own comments, id; leaves the row of
`data/dialects.toml` that says how to read the rest. Nothing that a client chooses is looked at.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

_FIRST = re.compile(r"\(\s*(via http|[a-z][a-z.]*(?:-[a-z]+)*)", re.IGNORECASE)
_SENDMAIL_VERSION = re.compile(r"\([A-Za-z]{0,6}-?\d+\.\d+\.[^()/ ]+/", re.ASCII)
_CRITICAL_PATH_VERSION = re.compile(r"\(\d\.\d\.\d{3}(?:\.\d)?\)", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """A row of `data/dialects.toml`: how one kind of software writes the field; one object for each."""

    name: str = ""
    confirms: bool = False
    plain: str = "helo"
    literal: bool = False
    bare: bool = True
    mark: str | None = None
    last: bool = False


GENERIC = Dialect()
"""Software that nobody described: nothing is verified, a name is what the client said."""


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows by what gives them away."""

    names: dict[str, Dialect]
    withs: dict[str, Dialect]
    hosts: dict[str, Dialect]
    comments: dict[str, Dialect]
    ids: dict[str, Dialect]


_SAYS = ("confirms", "plain", "literal", "bare", "mark", "last")


@cache
def _table() -> _Table:
    rows = tomllib.loads(files("complaints").joinpath("data/dialects.toml").read_text("utf-8"))["dialect"]
    table = _Table({}, {}, {}, {}, {})
    for row in rows:
        says = {key: row[key] for key in _SAYS if key in row}
        dialect = Dialect(row["name"], **says)
        table.names[dialect.name] = dialect
        for key, index in (
            ("with", table.withs),
            ("host", table.hosts),
            ("comment", table.comments),
            ("id", table.ids),
        ):
            index.update(dict.fromkeys(row.get(key, ()), dialect))
    return table


def dialect_of(  # noqa: PLR0911 - one return per mark
    protocol: str, domain: str, notes: Sequence[str], id_: str, utc: bool
) -> Dialect:
    """Return the dialect of a field.

    `protocol` is the first word of `with`, else of `via`; `domain` that of the word after `by`; `notes` the
    comments of the two clauses, in their brackets; `id_` what `id` says where only `via` names a protocol;
    `utc` whether the date ends in `-0000`.
    """
    table = _table()
    found = table.withs.get(protocol.lower())
    if found and found.name != "webmail":
        return found
    host = table.hosts.get(domain)
    if found:
        # Microsoft's hosts speak HTTPS among themselves; that is no browser.
        return host if host and host.name == "exchange" else found
    if host:
        return host
    for note in notes:
        if found := _signed(note):
            return found
    if protocol != "SMTP":
        return GENERIC
    if utc:
        return table.names["qmail"]
    return next((row for start, row in table.ids.items() if id_.startswith(start)), GENERIC)


def dialect_named(name: str) -> Dialect:
    """Return the dialect of this name."""
    return _table().names.get(name, GENERIC)


def domain_of(by: str) -> str:
    """Return the last two labels of a name; Google writes its private addresses in 6to4 form."""
    if by[:6] == "2002:a":
        return "google.com"
    return by[by.rfind(".", 0, by.rfind(".")) + 1 :].lower() if "." in by else by.lower()


@lru_cache(maxsize=1024)
def _signed(note: str) -> Dialect | None:
    """Return the dialect that a comment such as `(Postfix)` or `(8.17.1/8.17.1)` names."""
    table = _table()
    if first := _FIRST.match(note):
        word = first[1].lower()
        if found := table.comments.get(word):
            return found
    if _SENDMAIL_VERSION.match(note):
        return table.names["sendmail"]
    return table.names["criticalpath"] if _CRITICAL_PATH_VERSION.fullmatch(note) else None
