"""Takes the TOML text of known desks; leaves checked rows. Pure.

Every mistake is a `ConfigError` that names the file, the row, the field and what to do.
"""

import ipaddress
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from abuse_lookup.errors import ConfigError
from abuse_lookup.mailbox import mail_address
from abuse_lookup.target import IPNetwork, normal_host

WHAT = {
    "site": "{provider} runs every site under {name}",
    "file": "{provider} keeps the files under {name}",
    "form": "{provider} runs every form under {name}",
    "link": "{provider} passes every link under {name} on and can switch one off",
    "name": "{provider} hands out the names under {name} and can take one back; the host is somebody else's",
    "tunnel": "{provider} passes everything under {name} on to a machine of its user's, which is not visible",
    "cdn": "{provider} passes everything under {name} on from a host of its customer's, which is not visible",
    "mailing": "{provider} sends mail for its customers and counts clicks under {name}",
    "chat": "{provider} runs every account and file under {name}",
    "mail": "{provider} runs every mailbox under {name}",
}
"""What a platform does (`kind`), and the sentence that says why it answers."""
_PROXY = "{provider} only passes traffic on here; it can tell whose host is behind it, which is not visible"
_FORM = "{provider} wants complaints on its web form, and may answer mail by saying so"
_WANTED: Mapping[str, Sequence[str]] = {
    "platform": ("provider", "kind", "suffixes"),
    "proxy": ("provider",),
    "form": ("provider", "mailboxes", "form"),
    "override": ("why",),
}
_ABOUT: Mapping[str, Sequence[str]] = {
    "platform": ("suffixes",),
    "proxy": ("networks", "asns"),
    "form": ("mailboxes",),
    "override": ("networks", "asns", "domains", "mailboxes"),
}
_ALWAYS = ("source", "date")


@dataclass(frozen=True, slots=True)
class Desk:
    """One row: what it is about, and the desk that is right for it: a mailbox, a form or (`never`) none.

    A proxy may have none either: the registry's answer then names its desk, and the row says what it does.
    """

    table: str
    """`platform`, `proxy`, `form` or `override`."""
    place: str
    """File and number of the row, for messages."""
    source: str
    date: date
    provider: str = ""
    kind: str = ""
    address: str | None = None
    form: str | None = None
    never: bool = False
    told: str = ""
    """The row's own `why`."""
    suffixes: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    mailboxes: tuple[str, ...] = ()
    asns: tuple[int, ...] = ()
    networks: tuple[IPNetwork, ...] = ()
    matched: str = ""
    """The suffix or domain by which it was found."""

    @property
    def why(self) -> str:
        """Why this desk is right, as the beginning of a sentence."""
        if self.told:
            return self.told
        text = {"platform": WHAT.get(self.kind, ""), "proxy": _PROXY, "form": _FORM}[self.table]
        return text.format(provider=self.provider, name=self.matched or ", ".join(self.suffixes[:3]))

    @property
    def sentence(self) -> str:
        """`why` with its source and date, without a full stop."""
        return f"{self.why} ({self.source}, {self.date:%Y-%m-%d})"

    @property
    def about(self) -> tuple[str, ...]:
        """What the row is about, as text."""
        return tuple(
            str(one) for part in (self.suffixes, self.domains, self.mailboxes, self.networks) for one in part
        ) + tuple(f"AS{number}" for number in self.asns)

    def document(self) -> dict[str, Any]:
        """Make the JSON document of `plaint desks known`."""
        right: dict[str, Any] = {"form": self.form} if self.form else {"address": self.address}
        if self.never:
            right = {"use": "never"}
        return {
            "table": self.table,
            "provider": self.provider,
            "kind": self.kind,
            "about": list(self.about),
            **right,
            "why": self.why,
            "source": self.source,
            "date": self.date.isoformat(),
            "place": self.place,
        }


def read_desks(text: str, name: str) -> list[Desk]:
    """Read the rows of a file called `name`; raises `ConfigError` on the first mistake."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}; it must be TOML") from error
    for table, found in document.items():
        if table not in _WANTED:
            raise ConfigError(f"{name}: there is no [[{table}]]; there are {', '.join(_WANTED)}")
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise ConfigError(f"{name}: write [[{table}]] with two brackets before every row")
    return [
        _Row(row, table, f"{name}: [[{table}]] number {number}").desk()
        for table, found in document.items()
        for number, row in enumerate(found, 1)
    ]


@dataclass(frozen=True, slots=True)
class _Row:
    fields: Mapping[str, Any]
    table: str
    place: str

    def desk(self) -> Desk:
        self._fields_are_known()
        if not any(self.fields.get(name) for name in _ABOUT[self.table]):
            raise self._wrong("", f"needs {' or '.join(f'`{name}`' for name in _ABOUT[self.table])}")
        return Desk(
            self.table,
            self.place,
            self._text("source"),
            self._date(),
            provider=self._text("provider"),
            kind=self._kind(),
            told=self._text("why").strip().rstrip("."),
            suffixes=self._each("suffixes", _host, 'host names such as "pages.example"'),
            domains=self._each("domains", _host, 'domains such as "shop.example"'),
            mailboxes=self._each("mailboxes", _mailbox, 'mail addresses such as "abuse@isp.example"'),
            networks=self._each("networks", _network, 'CIDRs such as "192.0.2.0/24"'),
            asns=self._each("asns", _asn, "numbers such as 64496"),
            **self._answer(),
        )

    def _fields_are_known(self) -> None:
        allowed = {*_ALWAYS, *_WANTED[self.table], *_ABOUT[self.table], "provider", "address", "form", "why"}
        allowed |= {"use"} if self.table == "override" else set()
        allowed -= {"address"} if self.table == "form" else set()
        if unknown := sorted(set(self.fields) - allowed):
            raise self._wrong(unknown[0], f"is not known here; there are {', '.join(sorted(allowed))}")
        for name in (*_ALWAYS, *_WANTED[self.table]):
            if not self.fields.get(name):
                raise self._wrong(name, "is missing")

    def _answer(self) -> dict[str, Any]:
        """Read the desk itself: exactly one of a mailbox, a form and `use = "never"`."""
        use, address, form = (self.fields.get(name) for name in ("use", "address", "form"))
        given = sum(value is not None for value in (use, address, form))
        if given == 0 and self.table == "proxy":
            return {}
        if given != 1:
            choice = "`address` or `form`" + (' or `use = "never"`' if self.table == "override" else "")
            raise self._wrong("", f"needs exactly one of {choice}")
        if use is not None:
            if use != "never":
                raise self._wrong("use", f'can only be "never", not {use!r}')
            if not self.fields.get("mailboxes") or len({*self.fields} & set(_ABOUT["override"])) > 1:
                raise self._wrong("use", "is for `mailboxes` only")
            return {"never": True}
        if address is not None:
            return {"address": self._one("address", address, mail_address, "a mail address")}
        return {"form": self._one("form", form, _form, "an https:// address")}

    def _one(self, name: str, value: object, read: Callable[[str], str | None], wanted: str) -> str:
        found = read(value) if isinstance(value, str) else None
        if found is None:
            raise self._wrong(name, f"must be {wanted}, not {value!r}")
        return found

    def _each(self, name: str, read: Callable[[Any], Any], wanted: str) -> tuple[Any, ...]:
        values = self.fields.get(name, [])
        if not isinstance(values, list):
            raise self._wrong(name, f"must be a list of {wanted}")
        found = [read(value) for value in values if isinstance(value, str | int)]
        if len(found) < len(values) or None in found:
            wrong = [value for value in values if not isinstance(value, str | int) or read(value) is None]
            raise self._wrong(name, f"must hold {wanted}, not {wrong[0]!r}")
        return tuple(dict.fromkeys(found))

    def _text(self, name: str) -> str:
        value = self.fields.get(name, "")
        if not isinstance(value, str) or not value.isprintable():
            raise self._wrong(name, f"must be one line of text, not {value!r}")
        return value

    def _date(self) -> date:
        value = self.fields["date"]
        if not isinstance(value, date):
            raise self._wrong("date", f"must be a date such as 2026-11-26 without quotes, not {value!r}")
        return value.date() if isinstance(value, datetime) else value

    def _kind(self) -> str:
        kind = self._text("kind")
        if kind and kind not in WHAT:
            raise self._wrong("kind", f"is {kind!r}; there are {', '.join(WHAT)}")
        return kind

    def _wrong(self, field: str, problem: str) -> ConfigError:
        return ConfigError(f"{self.place}: {f'`{field}` ' if field else ''}{problem}")


def _mailbox(value: object) -> str | None:
    found = mail_address(value) if isinstance(value, str) else None
    return found.lower() if found else None


def _host(value: object) -> str | None:
    found = normal_host(value) if isinstance(value, str) else None
    return found if found and "." in found else None


def _network(value: object) -> IPNetwork | None:
    try:
        return ipaddress.ip_network(value) if isinstance(value, str) and "/" in value else None
    except ValueError:
        return None


def _asn(value: object) -> int | None:
    return value if isinstance(value, int) and 0 < value < 1 << 32 else None


def _form(value: str) -> str | None:
    try:
        url = urlsplit(value)
    except ValueError:
        return None
    return (
        value if url.scheme == "https" and url.hostname and value.isprintable() and " " not in value else None
    )
