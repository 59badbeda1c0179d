"""Reading one Received field (RFC 5321 §4.4) as the software that wrote it meant it.

Takes the field body, hostile or not; leaves who handed the message over as the writer saw it, what was only
claimed, and when. The dialects are rows of `data/dialects.toml`. Linear in the length of the field; never
raises.
"""

import re
import tomllib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

from complaints.clauses import Clauses, clauses_of
from complaints.encodings import printable
from complaints.hosts import canonical_ip, clean_host

LONGEST = 8_192
"""Characters read from one field; no mail server writes more."""

_UNKNOWN = frozenset(
    {"", "unknown", "unverified", "untrusted", "unavailable", "localhost.localdomain", "no.name.available"}
)
_WRAPPED = re.compile(r"\(from ([^()]*(?:\([^()]*\)[^()]*)*)\)", re.IGNORECASE)

_HELO = re.compile(
    r"\b(?:HELO|EHLO)[ =]\s*([^\s()]*)|\bhelo=([^\s()]*)|claiming to be \"([^\"]*)\"", re.IGNORECASE
)
_IDENT = re.compile(r"\bident=([^\s()]+)", re.IGNORECASE)
_IP = r"(?:IPv6:)?([0-9A-Fa-f:.]{2,45}(?:%[0-9A-Za-z]+)?)"
_NAME_AND_IP = re.compile(
    r"\(\s*(?:(?:IDENT:)?([^\s@()\[\]]{1,128})@)?(<[^<>]*>|[^\s()\[<>@]*)\s*\[\[?\s*"
    + _IP
    + r"(?::(\d+))?\s*\]",
    re.IGNORECASE,
)
_BARE_IP = re.compile(r"\(\s*(?:([^\s@()]{1,128})@)?" + _IP + r"(?:[ ):]|$)", re.IGNORECASE)
_NAME_ONLY = re.compile(r"\(([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+\.?)(?: \[[a-z]+\])?\)")
_ENVELOPE = re.compile(r"envelope-(?:from|sender)\s+<?([^\s<>()]*)", re.IGNORECASE)
_AUTH = re.compile(r"\bauthenticated\b|\bAUTH[:=]|\baccount\b|\bwith (?:login|plain)\b", re.IGNORECASE)
_AUTH_WITH = re.compile(r"(?:utf8)?(?:e?smtps?a|lmtps?a|asmtp)", re.IGNORECASE)
_TLS = re.compile(r"\b(TLS|SSL)[ _-]?v?(\d)(?:[._](\d))?", re.IGNORECASE)
_FIRST = re.compile(r"\(\s*([^\s/()]+)")
_SENDMAIL_VERSION = re.compile(r"\(\d+\.\d+\.[^()/ ]+/")
_CRITICAL_PATH_VERSION = re.compile(r"\(\d\.\d\.\d{3}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """A row of `data/dialects.toml`: how one kind of software writes the field."""

    name: str
    confirms: bool
    plain: str


@dataclass(frozen=True, slots=True)
class Received:
    """One Received field.

    `from_ip` is the address the writer saw, `from_name` the name it looked up for it, `verified` whether
    that name was also checked forward, `helo` what the client said of itself. `date` is aware and in UTC.
    `defect` names what makes the field unreadable; nothing after the defect was read.
    """

    from_ip: str | None = None
    from_name: str | None = None
    helo: str | None = None
    by: str | None = None
    by_ip: str | None = None
    with_: str | None = None
    via: str | None = None
    id: str | None = None
    for_: str | None = None
    date: datetime | None = None
    dialect: str = ""
    verified: bool = False
    rdns: str | None = None
    ident: str | None = None
    authenticated: bool = False
    envelope_from: str | None = None
    tls: str | None = None
    defect: str | None = None


def parse_received(value: str | bytes) -> Received:
    """Read a Received field body (folded or not)."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    text = " ".join(text[:LONGEST].replace("\x00", "").split())
    if not text.isprintable():
        text = printable(text)
    wrapped = _WRAPPED.match(text)
    if wrapped:
        text = "from " + wrapped[1] + text[wrapped.end() :]
    clauses = clauses_of(text)
    dialect = _dialect(clauses)
    origin = _origin(clauses, dialect)
    by_words, by_comments = clauses.words("by"), clauses.comments("by")
    by = _by_host(by_words)
    return Received(
        from_ip=origin.ip,
        from_name=origin.name if origin.verified or not origin.refuted else None,
        helo=origin.helo,
        by=by,
        by_ip=_by_ip(by, by_comments),
        with_=" ".join(clauses.words("with")) or None,
        via=" ".join(clauses.words("via")) or None,
        id=_first(clauses.words("id")),
        for_=_first(clauses.words("for")),
        date=clauses.date,
        dialect=dialect.name,
        verified=origin.verified,
        rdns=origin.name,
        ident=origin.ident,
        authenticated=dialect.name == "webmail" or _is_authenticated(text, clauses),
        envelope_from=clauses.envelope_from or _envelope_from(text),
        tls=_tls(text),
        defect=clauses.defect,
    )


def _first(words: list[str]) -> str | None:
    return words[0].strip("<>").rstrip(",") or None if words else None


def _by_host(words: list[str]) -> str | None:
    if not words:
        return None
    # Masked mail has an address where a name was; what stands behind the @ is still the host's domain.
    host = words[0].strip("<>[],").rpartition("@")[2]
    return canonical_ip(host) or clean_host(host)


def _by_ip(by: str | None, comments: list[str]) -> str | None:
    """Return the address the writer gave for itself, `by NAME (IP)`."""
    if by and (own := canonical_ip(by)):
        return own
    return canonical_ip(comments[0].strip("()[] ")) if comments else None


@cache
def _dialects() -> tuple[dict[str, Dialect], dict[str, Dialect], dict[str, Dialect]]:
    """Load the table: by comment word, by first word of `with`, by name."""
    rows = tomllib.loads(files("complaints").joinpath("data/dialects.toml").read_text("utf-8"))["dialect"]
    comments: dict[str, Dialect] = {}
    withs: dict[str, Dialect] = {}
    names: dict[str, Dialect] = {}
    for row in rows:
        dialect = Dialect(row["name"], row["confirms"], row["plain"])
        names[dialect.name] = dialect
        comments.update(dict.fromkeys(row.get("comment", ()), dialect))
        withs.update(dict.fromkeys(row.get("with", ()), dialect))
    return comments, withs, names


_GENERIC = Dialect("", confirms=True, plain="helo")
# Google writes a final dot after the name it looked up, and 6to4 forms of its private addresses after `by`.
_GOOGLE = Dialect("google", confirms=True, plain="helo")


def _dialect(clauses: Clauses) -> Dialect:
    """Tell which software wrote the field, from what that software alone can have put there."""
    _, by_with, names = _dialects()
    said = clauses.words("with") or clauses.words("via")
    if said and (found := by_with.get(said[0].lower())):
        return found
    by = clauses.words("by")
    if by and (by[0].startswith("2002:a") or by[0].endswith(".google.com")):
        return _GOOGLE
    for comment in [*clauses.comments("by"), *clauses.comments("with")]:
        if found := _named(comment):
            return found
    # The comments of the from clause hold names that the client chose; only the web mail programs sign there.
    for comment in clauses.comments("from"):
        if (found := _named(comment)) and found.name == "webmail" and "[" not in comment:
            return found
    if said == ["SMTP"] and clauses.utc:
        return names["qmail"]
    return _GENERIC


def _named(comment: str) -> Dialect | None:
    """Return the dialect that a comment such as `(Postfix)` or `(8.17.1/8.17.1)` names."""
    by_comment, _, names = _dialects()
    first = _FIRST.match(comment)
    if first is None:
        return None
    word = first[1].lower()
    if found := by_comment.get(word) or by_comment.get(word.partition(".")[0]):
        return found
    if _SENDMAIL_VERSION.match(comment):
        return names["sendmail"]
    return names["criticalpath"] if _CRITICAL_PATH_VERSION.match(comment) else None


@dataclass(slots=True)
class _Origin:
    """The from clause: address and name as looked up by the writer, and what the client said."""

    ip: str | None = None
    name: str | None = None
    helo: str | None = None
    ident: str | None = None
    verified: bool = False
    refuted: bool = False


def _origin(clauses: Clauses, dialect: Dialect) -> _Origin:
    """Tell apart what the writer saw and what the client claimed."""
    words, comments = clauses.words("from"), clauses.comments("from")
    origin = _Origin()
    said = words[0].strip("<>") if words else ""
    announced = seen = False
    for comment in comments:
        if not announced and (helo := _HELO.search(comment)):
            origin.helo, announced = next((g for g in helo.groups() if g is not None), ""), True
            if ident := _IDENT.search(comment):
                origin.ident = ident[1]
        if not seen:
            seen = _read_address(comment, origin)
    for word in words[1:]:
        if not seen and word.startswith("[") and (ip := _address_in(word.strip("[]() "))):
            origin.ip, seen = ip, True
        elif not announced and word == "be" and len(words) > 4:
            origin.helo, announced = words[-1].strip('"'), True
    _name_the_client(origin, said, announced, seen, dialect, clauses)
    origin.helo = clean_host(origin.helo.strip('[]"').rpartition("@")[2]) if origin.helo else None
    return origin


def _read_address(comment: str, origin: _Origin) -> bool:
    """Read `(name [ip])`, `([ip] ...)` or `(ident@ip)` into `origin`; tell whether there was an address."""
    if match := _NAME_AND_IP.match(comment):
        ip = _address_in(match[3])
        if ip is None:
            return False
        origin.ip = ip
        origin.ident = match[1] or origin.ident
        name = clean_host(match[2].strip("<>"))
        origin.name = name if name and name not in _UNKNOWN and not canonical_ip(name) else None
        origin.refuted = "may be forged" in comment or "unverified" in comment
        return True
    if match := _BARE_IP.match(comment):
        ip = _address_in(match[2])
        if ip is None:
            return False
        origin.ip, origin.ident = ip, match[1] or origin.ident
        return True
    if match := _NAME_ONLY.fullmatch(comment):
        origin.name = clean_host(match[1])
    return False


def _address_in(text: str) -> str | None:
    """Read an address, also with a port behind it: `192.0.2.1:25`, `192.0.2.1.1234`."""
    if found := canonical_ip(text):
        return found
    head, dot, port = text.rpartition("." if text.count(".") == 4 else ":")
    return canonical_ip(head) if dot and port.isdigit() else None


def _name_the_client(
    origin: _Origin, said: str, announced: bool, seen: bool, dialect: Dialect, clauses: Clauses
) -> None:
    """Decide what the word after `from` is: the client's claim, a looked-up name, or the address itself."""
    bare = said.strip("[]")
    if not seen and (ip := _address_in(bare)):
        # A bare address may be the client's own claim; in brackets, or from web and relay software, the
        # writer saw it.
        if said.startswith("[") or announced or dialect.name in {"webmail", "yahoo", "qmail", "fetchmail"}:
            origin.ip = ip
        else:
            origin.helo = said
        return
    looked_up = announced or (origin.name is None and (dialect.plain == "name" or origin.ident is not None))
    name = clean_host(said)
    if name is None or name in _UNKNOWN or canonical_ip(bare):
        looked_up = False
    if looked_up and origin.name is None and origin.ip is not None:
        origin.name = name
    if not announced:
        origin.helo = said or None
        confirmed = any("] verified)" in comment for comment in clauses.comments("from"))
        if confirmed and origin.name is None:
            origin.name, origin.verified = name, True
            return
    origin.verified = origin.name is not None and dialect.confirms and not origin.refuted


def _is_authenticated(text: str, clauses: Clauses) -> bool:
    said = clauses.words("with")
    if said and _AUTH_WITH.fullmatch(said[0]):
        return True
    return _AUTH.search(text) is not None and any(
        _AUTH.search(comment) for name in ("from", "by", "with") for comment in clauses.comments(name)
    )


def _envelope_from(text: str) -> str | None:
    if "envelope-" not in text:
        return None
    match = _ENVELOPE.search(text)
    return match[1] if match else None


def _tls(text: str) -> str | None:
    """Return `TLSv1.2` and the like where the writer noted an encrypted session."""
    if "TLS" not in text and "SSL" not in text:
        return None
    match = _TLS.search(text)
    return f"{match[1].upper()}v{match[2]}.{match[3] or 0}" if match else None
