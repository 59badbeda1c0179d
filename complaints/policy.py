"""The words a reporter agrees to: every version of the privacy policy, and the statement at each consent.

Pure: what is in force in an installation, who accepted what, and what therefore applies to whose data, is
told by `policies`.
"""

import difflib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files

POLICY = "3"
"""The newest version in this program; data/policies has each, and docs/privacy-policy.md is this one."""
STATEMENT = "I have read what will be sent, and this mail was unsolicited."
STATEMENT_VERSION = "1"
STANDING = "standing consent"  # the way of a consent that was given under one
STANDING_STATEMENT = (
    "Report for me, without asking each time, to the desk of the network that a spam came from. "
    "I get a mail about each one before it leaves, can take it back until then, and can end this at any time."
)
_FOLDER = files("complaints").joinpath("data/policies")
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Kept:
    """How long something is kept, in seconds; 0 is without end. What each is of: `data/data_map.toml`."""

    spam: int
    report: int
    letter: int

    def shorter(self, other: "Kept") -> "Kept":
        """Of each period the shorter one."""
        pairs = ((getattr(self, one.name), getattr(other, one.name)) for one in fields(self))
        return Kept(*(min(pair) or max(pair) for pair in pairs))

    def written(self) -> str:
        """As a row keeps it: equal ones are equal texts."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> "Kept":
        """What `written` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Terms:
    """What a version says in a form that code applies (data/policies/terms.toml has what each means)."""

    kept: Kept
    uses: frozenset[str]
    recipients: frozenset[str]


def number(version: str | None) -> int:
    """The place of a version among all, from 1; 0 for none."""
    return int(version) if version and version.isascii() and version.isdecimal() and len(version) < 9 else 0


@cache
def versions() -> tuple[str, ...]:
    """Every version there was, the oldest first."""
    return tuple(str(one) for one in range(1, number(POLICY) + 1))


@cache
def text(version: str) -> str:
    """A version, whole, as Markdown. Raises KeyError when there is none."""
    if version not in versions():
        raise KeyError(version)
    return _FOLDER.joinpath(f"{version}.md").read_text("utf-8")


@cache
def terms(version: str) -> Terms:
    """The terms of a version. Raises KeyError when there is none."""
    rows = tomllib.loads(_FOLDER.joinpath("terms.toml").read_text("utf-8"))["version"]
    row = {str(row["number"]): row for row in rows}[version]
    kept = Kept(**{name: days * DAY for name, days in row["days"].items()})
    return Terms(kept, frozenset(row["uses"]), frozenset(row["recipients"]))


@cache
def changes(old: str, new: str) -> tuple[str, ...]:
    """What is different in `new` for whoever accepted `old`, in plain words, the oldest change first."""
    rows = tomllib.loads(_FOLDER.joinpath("changes.toml").read_text("utf-8"))["version"]
    between = (row for row in rows if number(old) < row["number"] <= number(new))
    return tuple(words for row in between for words in row["changes"])


@cache
def difference(old: str, new: str) -> tuple[tuple[str, str], ...]:
    """(sign, line) of a diff from one version to another: `-` went, `+` came, a blank stayed beside them."""
    return tuple(_compared(text(old) if old in versions() else "", text(new)))


def _compared(old: str, new: str) -> Iterator[tuple[str, str]]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm="")
    yield from ((line[:1], line[1:]) for line in lines if not line.startswith(("---", "+++", "@@")))
