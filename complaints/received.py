"""Reading one Received field (RFC 5321 §4.4) as the software that wrote it meant it.

Takes the field body, hostile or not; leaves who handed the message over as the writer saw it, what was only
claimed, and when. Linear in the length of the field; never raises.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from complaints.clauses import clauses_of, ordinary_clauses, pieces_of
from complaints.dialects import Dialect, dialect_of, domain_of
from complaints.encodings import printable
from complaints.hosts import canonical_ip, clean_host
from complaints.origin import is_login, origin_of

LONGEST = 8_192
"""Bytes read from one field; no mail server writes more."""

_WRAPPED = re.compile(r"\(from ([^()]*(?:\([^()]*\)[^()]*)*)\)", re.IGNORECASE)
_ENVELOPE = re.compile(r"envelope-(?:from|sender) <?([^ <>()]*)", re.IGNORECASE)
_NAME_AND_ADDRESS = re.compile(
    r"([A-Za-z0-9.-]*[A-Za-z]) \(([0-9a-f.:]+:[0-9a-f.:]+|\d{2,3}(?:\.\d{1,3}){3})\)"
)
_NAME_AND_NOTE = re.compile(r"([A-Za-z0-9.-]{0,200}[A-Za-z])(?: (\([^()\[\]\\]*\)))?")
_LOGIN_PROTOCOL = re.compile(r"(?:utf8)?(?:e?smtps?a|lmtps?a|asmtp)", re.IGNORECASE)
_TLS = re.compile(r"(TLS|SSL)[ _-]?[vV]?([0-9])(?:[._]([0-9]))?(?![0-9])")


class Received(NamedTuple):
    """One Received field.

    `from_ip` is the address the writer saw, `from_name` the name it looked up for it, `verified` whether
    that name was also checked forward, `helo` what the client said of itself. `rdns` is what stands where the
    looked-up name belongs, also where the writer doubts it. `date` is aware and in UTC. `defect` names what
    makes the field unreadable; nothing after the defect was read, and no address is named.
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
    raw = value if isinstance(value, bytes) else value[:LONGEST].encode("utf-8", "replace")
    # Only the white space of ASCII separates; a client may say a name with other blanks in it.
    text = b" ".join(raw[:LONGEST].split()).decode("utf-8", "replace")
    clauses = ordinary_clauses(text) or clauses_of(text := _tidied(text))
    from_, by, via, with_, id_, recipients, date, utc, defect, envelope_from = clauses
    word = id_.strip("<>,")
    # The id tells of the writer only where the protocol may stand in `via` or is SMTP.
    mark = word if via and with_[:1] in _MAY_BE_SMTP else ""
    host, by_ip, said, via_said, dialect, knows = _writer(by, with_, via, mark, utc)
    origin = origin_of(from_, dialect)
    defect = defect or origin.defect
    if defect:
        host = by_ip = None
    # What Received() does, without a call of Python code.
    return tuple.__new__(
        Received,
        (
            None if defect else origin.ip,
            None if defect else origin.name,
            origin.helo,
            host,
            by_ip,
            said or None,
            via_said or None,
            word or None,
            _recipient(recipients) if recipients else None,
            date,
            dialect.name,
            origin.verified and not defect,
            origin.rdns,
            origin.ident,
            origin.authenticated or knows,
            envelope_from or (_envelope_from(text) if "envelope-" in text else None),
            _tls(text) if "TLS" in text or "SSL" in text else None,
            defect,
        ),
    )


def plain_text(raw: bytes) -> str:
    """Return the text of a field as it is read: in one line, with single blanks."""
    return _tidied(b" ".join(raw.split()).decode("utf-8", "replace"))


def _tidied(text: str) -> str:
    """Return a field without what no screen shows, and one without the bracket that stands around it."""
    if not text.isprintable():
        text = printable(text.replace("\0", ""))
    if text[:1] == "(" and (wrapped := _WRAPPED.match(text)):
        text = "from " + wrapped[1] + text[wrapped.end() :]
    return text


_MAY_BE_SMTP = ("", "S", "(")


class _Writer(NamedTuple):
    """What the writing host put into the field about itself; `knows` tells that the client logged in."""

    host: str | None
    ip: str | None
    said: str
    via: str
    dialect: Dialect
    knows: bool


@lru_cache(maxsize=512)
def _writer(by: str, with_: str, via: str, id_: str, utc: bool) -> _Writer:
    """Read the by and with clauses: one host writes them the same for every message."""
    host, ip, domain, notes = _own_name(by) if by else (None, None, "", ())
    said, more = _words(with_)
    via_said = _words(via)[0]
    # The many hosts of one provider differ in name, address and id only: what else they write is read once.
    protocol = said or via_said
    mark = id_ if protocol.startswith("SMTP") else ""
    dialect, knows = _software(domain, notes + more, protocol, mark, utc)
    return _Writer(host, ip, said, via_said, dialect, knows)


@lru_cache(maxsize=1024)
def _software(
    domain: str, notes: tuple[str, ...], protocol: str, id_: str, utc: bool
) -> tuple[Dialect, bool]:
    """Return the dialect, and whether the writer knew the client."""
    dialect = dialect_of(protocol.partition(" ")[0], domain, notes, id_, utc)
    return dialect, _is_login(protocol, notes, dialect.name)


@lru_cache(maxsize=1024)
def _words(clause: str) -> tuple[str, tuple[str, ...]]:
    """Return the words of a clause up to its first comment, one before them aside, and all its comments."""
    words: list[str] = []
    pieces = pieces_of(clause)
    for piece in pieces:
        if piece[0] != "(":
            words.append(piece)
        elif words:
            break
    return " ".join(words).rstrip(","), tuple(piece for piece in pieces if piece[0] == "(")


def _own_name(clause: str) -> tuple[str | None, str | None, str, tuple[str, ...]]:
    """Return name and address of the host that wrote the field: `by NAME`, `by NAME (IP)`, `by [IP]`.

    Behind them the domain of the name as it is written, and the comments, without that address.
    """
    if usual := _NAME_AND_ADDRESS.fullmatch(clause):
        name, address = usual.groups()
        if canonical_ip(address) == address:
            return name.lower(), address, domain_of(name), ()
    if usual := _NAME_AND_NOTE.fullmatch(clause):
        name, note = usual.groups()
        if note is None or canonical_ip(note[1:-1].strip()) is None:
            return name.lower(), None, domain_of(name), (note,) if note else ()
    name, *more = pieces_of(clause)
    domain = domain_of(name)
    if name[0] == "(":
        return None, None, domain, tuple(piece for piece in (name, *more) if piece[0] == "(")
    note = more[0] if more else ""
    address = _address_of(note) if note and note[0] in "([" else None
    host = clean_host(name)
    if host is None or host[-1].isdigit():
        # Masked mail has an address where a name was; what stands behind the @ is still the host's domain.
        name = name.strip("<>[],").rpartition("@")[2]
        if ip := canonical_ip(name):
            host = address = ip
        else:
            host = clean_host(name)
            if host is None and name.rpartition(":")[2].isdigit():
                host = clean_host(name.rpartition(":")[0])
    # An address names no software, unless it can be a version such as 4.3.122.
    notes = tuple(p for p in more if p[0] == "(" and (p[1:-1] != address or p[2] == "."))
    return host, address, domain, notes


def _address_of(note: str) -> str | None:
    """Return the address in what stands behind a host's own name: `(IP)`, `([IP]:25)`, `(inner [IP])`."""
    if found := canonical_ip(note.strip("()[] ")):
        return found
    inner, bracket, rest = note.strip("()").partition("[")
    return canonical_ip(rest.partition("]")[0]) if bracket and inner.count(" ") < 2 else None


def _recipient(word: str) -> str | None:
    """Return the first recipient; `<multiple recipients>` is none."""
    word = word.strip("<>,")
    return None if " " in word and '"' not in word else word or None


def _is_login(protocol: str, notes: Sequence[str], dialect: str) -> bool:
    """Tell whether the writer knew the client as a user of its own: web mail, SMTP with AUTH (RFC 3848)."""
    if protocol in {"ESMTP", "SMTP", "ESMTPS"}:
        known = False
    else:
        known = dialect == "webmail" or _LOGIN_PROTOCOL.fullmatch(protocol) is not None
    for note in notes:
        if "uth" in note:
            known = known or is_login(note[1:-1].strip())
    return known


def _envelope_from(text: str) -> str | None:
    match = _ENVELOPE.search(text)
    return match[1] if match else None


def _tls(text: str) -> str | None:
    """Return `TLSv1.2` and the like where the writer noted an encrypted session."""
    at = text.find("TLS")
    match = _TLS.search(text, at if at >= 0 else text.find("SSL"))
    return f"{match[1]}v{match[2]}.{match[3] or 0}" if match else None
