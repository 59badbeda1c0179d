"""Which software wrote a Received field, and what its fields mean.

Takes what the writer itself put into the field: protocol, own name, own comments, id; leaves the row of
`data/dialects.toml` that says how to read the rest. Nothing that a client chooses is looked at.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

_FIRST = re.compile(r"\(\s*(via http|[a-z][a-z.]*(?:-[a-z]+)*)", re.IGNORECASE)
_SENDMAIL_VERSION = re.compile(r"\([A-Za-z]{0,6}-?\d+\.\d+\.[^()/ ]+/", re.ASCII)
_CRITICAL_PATH_VERSION = re.compile(r"\(\d\.\d\.\d{3}(?:\.\d)?\)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Dialect:
    """A row of `data/dialects.toml`: how one kind of software writes the field."""

    name: str = ""
    confirms: bool = False
    plain: str = "helo"
    literal: bool = False
    bare: bool = True
    mark: str | None = None


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


@cache
def _table() -> _Table:
    rows = tomllib.loads(files("complaints").joinpath("data/dialects.toml").read_text("utf-8"))["dialect"]
    table = _Table({}, {}, {}, {}, {})
    for row in rows:
        says = {key: row[key] for key in ("confirms", "plain", "literal", "bare", "mark") if key in row}
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


def dialect_of(protocol: str, by: str, notes: list[str], id_: str, utc: bool) -> Dialect:
    """Return the dialect of a field.

    `protocol` is the first word of `with`, else of `via`; `by` the word after `by`; `notes` the comments of
    the two clauses, in their brackets; `id_` what `id` says where only `via` names a protocol; `utc` whether
    the date ends in `-0000`.
    """
    table = _table()
    if found := table.withs.get(protocol.lower()):
        return found if found.name != "webmail" or not _is_exchange(by) else table.names["exchange"]
    if host := _by_host(by):
        return host
    for note in notes:
        if found := _signed(note):
            return found
    if protocol != "SMTP":
        return GENERIC
    if utc:
        return table.names["qmail"]
    return next((row for start, row in table.ids.items() if id_.startswith(start)), GENERIC)


def _by_host(by: str) -> Dialect | None:
    """Return the dialect of a provider's own hosts; Google writes its private addresses in 6to4 form."""
    hosts = _table().hosts
    if by.startswith("2002:a"):
        return hosts["google.com"]
    end = by.rfind(".")
    return hosts.get(by[by.rfind(".", 0, end) + 1 :].lower()) if end > 0 else None


def _is_exchange(by: str) -> bool:
    """Tell whether a line with HTTPS is one between Microsoft's own hosts, not that of a browser."""
    host = _by_host(by)
    return host is not None and host.name == "exchange"


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
