"""Everything an operator can set: one `Settings` object, from the environment and `plaint.toml`.

Takes `PLAINT_*` variables and the `plaint.toml` in the data directory (command line over environment
over file), leaves a frozen value. Every outside host and port is in it, so that the whole service runs
against a loopback internet.
"""

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "PLAINT_"
ELSEWHERE = ("PLAINT_SERVER", "PLAINT_TOKEN", "PLAINT_IMAP_PASSWORD")
"""Variables that verbs of the command line read themselves."""
HostPort = tuple[str, int]
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A setting is unusable; the message names it and says what would be right."""


def default_data() -> Path:
    """The data directory when none is given (XDG base directory)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "plaint"


def host_port(text: str) -> HostPort:
    """Split `host:port`, `[v6]:port`. Raises ValueError when there is no port number."""
    host, _, port = text.strip().rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, e.g. 127.0.0.1:2525")
    return host.strip("[]"), int(port)


def networks(text: str) -> tuple[IPNetwork, ...]:
    """The networks of a list like `192.0.2.0/24,2001:db8::1`. Raises ValueError for anything else."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


class Settings(BaseSettings):
    """The operator's settings. Durations are in seconds, sizes in bytes; 0 means no limit."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data: Path = Field(default_factory=default_data)
    database_url: str = ""
    smtp: str = "127.0.0.1:2525"
    smtp_proxy: str = ""
    lmtp: str = ""
    http: str = "127.0.0.1:8080"
    public_url: str = ""
    mail_domain: str = "plaint.localhost"
    contact: str = ""
    hosted_in: str = ""
    smtp_cert: Path | None = None
    smtp_key: Path | None = None
    relay: str = ""
    mx_port: int = 25
    dns: str = ""
    rdap_bootstrap: str = ""
    whois_port: int = 43
    whois_root: str = "whois.iana.org"
    contact_zones: str = "abuse-contacts.abusix.zone,contacts.abuse.net"
    desks: Path | None = None
    ca_file: Path | None = None
    allow_nets: str = ""
    lookup_seconds: float = Field(20, gt=0)
    undo_seconds: int = Field(600, ge=0)
    consent_seconds: int = Field(604_800, gt=0)
    notice_seconds: int = Field(0, ge=0)
    retry_seconds: int = Field(300, gt=0)
    give_up_seconds: int = Field(432_000, gt=0)
    max_bytes: int = Field(26_214_400, gt=0)
    retention_spam_seconds: int | None = Field(None, ge=0)
    retention_report_seconds: int | None = Field(None, ge=0)
    retention_letter_seconds: int | None = Field(None, ge=0)
    limit_submissions: int = Field(0, ge=0)
    limit_reports: int = Field(0, ge=0)
    limit_lookups: int = Field(60, ge=0)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the command line (init) and the environment; `load` puts the file underneath."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings

    @field_validator("smtp", "http")
    @classmethod
    def _listens_somewhere(cls, value: str) -> str:
        host_port(value)
        return value

    @field_validator("smtp_proxy")
    @classmethod
    def _proxies(cls, value: str) -> str:
        networks(value)
        return value

    @field_validator("lmtp")
    @classmethod
    def _takes_lmtp_somewhere(cls, value: str) -> str:
        if value and not value.startswith("/") and host_port(value)[1] == 25:
            raise ValueError("port 25 is for SMTP, never for LMTP (RFC 2033)")  # §5
        return value

    @field_validator("contact")
    @classmethod
    def _contact_is_reachable(cls, value: str) -> str:
        """It stands in a header field of every RDAP question, in a comment."""
        local, at, domain = value.strip().rpartition("@")
        reachable = value.startswith("https://") or (at and local and "." in domain)
        fits = value.isascii() and value.isprintable() and not set(value) & set("()\\")
        if value and not (reachable and fits):
            raise ValueError(f"{value!r} is neither a mail address nor an https address")
        return value.strip()

    @field_validator("database_url")
    @classmethod
    def _is_a_database_we_know(cls, value: str) -> str:
        scheme, separator, rest = value.partition("://")
        known = scheme.partition("+")[0] in {"postgres", "postgresql", "sqlite"}
        if value and not (known and separator and rest):
            # Not the value: a password may stand in it
            raise ValueError("it is not postgresql://user@host/name; empty is SQLite in the data directory")
        return value

    @field_validator("dns")
    @classmethod
    def _name_servers(cls, value: str) -> str:
        for part in filter(None, value.split(",")):
            ipaddress.ip_address(host_port(part)[0])
        return value

    @field_validator("relay")
    @classmethod
    def _relay_is_smtp(cls, value: str) -> str:
        if value and (urlsplit(value).scheme != "smtp" or not urlsplit(value).hostname):
            raise ValueError(f"{value!r} is not smtp://HOST:PORT")
        return value

    @model_validator(mode="after")
    def _public_url_is_safe(self) -> Self:
        url = urlsplit(self.url)
        if url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or "")):
            return self
        raise ValueError(
            f"PLAINT_PUBLIC_URL {self.url!r}: plain http carries review links in clear text and is "
            "accepted on loopback only; give the https address people use"
        )

    @property
    def url(self) -> str:
        """The base of every link we mail, without a trailing slash."""
        return (self.public_url or f"http://{self.http}").rstrip("/")

    @property
    def database(self) -> str:
        """SQLAlchemy URL: the embedded SQLite file, or PostgreSQL through psycopg 3."""
        if not self.database_url:
            return f"sqlite:///{self.data / 'plaint.sqlite'}"
        scheme, separator, rest = self.database_url.partition("://")
        if scheme in {"postgres", "postgresql"}:
            return f"postgresql+psycopg{separator}{rest}"
        return self.database_url

    @property
    def database_host(self) -> str:
        """The host of a database on another machine; "" for one on this machine."""
        host = urlsplit(self.database).hostname or ""
        return "" if is_loopback(host) else host

    @property
    def proxies(self) -> tuple[IPNetwork, ...]:
        """Peers of the SMTP door that name their client in a header of the PROXY protocol."""
        return networks(self.smtp_proxy)

    @property
    def lmtp_at(self) -> HostPort | Path | None:
        """Where LMTP is taken: a host and port, or a socket in the file system."""
        if not self.lmtp:
            return None
        return Path(self.lmtp) if self.lmtp.startswith("/") else host_port(self.lmtp)

    @property
    def desks_file(self) -> Path:
        """Where the operator's own known desks are, if there are any."""
        return self.desks or self.data / "desks.toml"

    @property
    def name_servers(self) -> tuple[HostPort, ...]:
        """The configured resolvers; empty means those of the system."""
        return tuple(host_port(part) for part in self.dns.split(",") if part)

    @property
    def relay_host(self) -> HostPort | None:
        """Where all mail goes out, or None for straight to MX."""
        if not self.relay:
            return None
        url = urlsplit(self.relay)
        return url.hostname or "", url.port or 25

    @property
    def for_people(self) -> bool:
        """Whether people use this installation: it has a public address, whatever name servers it asks."""
        return self.url.startswith("https://")

    def check_for_people(self) -> None:
        """Raises SettingsError where people would use an installation that nobody can be reached about."""
        if self.for_people and not self.contact:
            raise SettingsError(
                "PLAINT_CONTACT is empty: people who use this installation, and desks that get its reports, "
                "must be able to reach whoever runs it; give a mail address or an https address"
            )

    @property
    def on_loopback(self) -> bool:
        """Whether DNS itself is on loopback: only then may we speak to loopback and private targets."""
        return bool(self.name_servers) and all(is_loopback(host) for host, _ in self.name_servers)


def is_loopback(host: str) -> bool:
    """Whether a host name or address literal means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(**given: Any) -> Settings:
    """Settings from the command line (`given`), the environment and `DATA/plaint.toml`, in this order.

    Raises SettingsError naming the setting and what is wrong with it.
    """
    given = {name: value for name, value in given.items() if value is not None}
    data = Path(given.get("data") or os.environ.get(PREFIX + "DATA") or default_data())
    file = data / "plaint.toml"
    try:
        from_file = tomllib.loads(file.read_text()) if file.exists() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from error
    from_file = {name.lower().removeprefix(PREFIX.lower()): value for name, value in from_file.items()}
    shadowed = {name for name in from_file if PREFIX + name.upper() in os.environ}
    values = {name: value for name, value in from_file.items() if name not in shadowed}
    try:
        return Settings(**(values | {"data": data} | given))
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """`PLAINT_*` variables that set nothing, for a warning at start (typing errors are silent otherwise)."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | set(ELSEWHERE)
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = PREFIX + str(problem["loc"][0]).upper() if problem["loc"] else "settings"
        if problem["type"] == "extra_forbidden":  # variables are not looked for: it stands in the file
            lines.append(f"plaint.toml: {name} is no setting of this version; docs/settings.md has all")
        else:
            lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
