"""Reading the from clause of a Received field: what the writer saw, and what the client only said.

Takes the pieces of the clause and the dialect of the writer; leaves the address, the name that was looked up
for it, and the claims. An address counts only where software puts what it saw itself. A client chooses the
word after `from`, everything that is announced as HELO or ident, and, by its own DNS, the name that is
looked up; all of them may be made to look like something else.
"""

import re
from functools import lru_cache

from complaints.clauses import pieces_of
from complaints.dialects import GENERIC, Dialect
from complaints.hosts import canonical_ip, clean_host

TWO_ADDRESSES = "two-addresses"
"""The defect of a field in which two addresses stand where one that was seen belongs."""

UNKNOWN = frozenset(
    {"", "unknown", "unverified", "untrusted", "unavailable", "really", "softdnserr", "localhost.localdomain"}
    | {"no.name.available", "nxdomain", "dnserror", "unknownhost", "unknown_domain"}
    | {"nodnsquery"}
)
"""What software writes where it knows no name."""

_HELO = re.compile(
    r"\b(?:HELO|EHLO|LHLO)(?:[ =] ?|$)\"?([^ ()\"]*)|\bhelo=([^ ()]*)|claiming to be \"([^\"]*)\"",
    re.IGNORECASE,
)
_IDENT = re.compile(r"\bident=([^ ()]+)", re.IGNORECASE)
_GREETINGS = frozenset({"HELO", "EHLO", "LHLO"})
_NAME_ONLY = re.compile(r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+\.?(?: \[[a-z]+\])?")
# What most clauses are: what the client said, and behind it the address, with the name that was looked up.
_USUAL = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*+)"
    r" \((?:([A-Za-z0-9][A-Za-z0-9._-]*+ )?\[((?:IPv6:)?[0-9A-Fa-f.:]+)\]|([0-9A-Fa-f.:]+))\)"
)
_AFTER_ADDRESS = frozenset(" :")
# What PMDF and MailMarshal put before the address; what SquirrelMail says of the header of a browser's proxy.
_NO_NAME = re.compile(r"\"port \d{1,5}\"@|Not Verified")
_PROXYING = re.compile(r"proxying for [0-9A-Fa-f.:, ]+")
# What CommuniGate writes of a user, and TIS smap of a client that said another name.
_BEFORE_OR_BEHIND = re.compile(
    r"account [^\s\[\]()]++ \[([0-9A-Fa-f.:]+)\](?: verified)?"
    r"|([0-9A-Fa-f.:]+), (?:HELO|EHLO) ([^\s()\[\]]*+)"
)
_LOGGED_IN = re.compile(
    r"authenticated(?:\)?$| bits=| \(\d| as | sender: | user )|auth(?:enticated-user)?: ?\S"
    r"|\w+ authenticated user |account ",
    re.IGNORECASE | re.ASCII,
)


class Origin:
    """The from clause.

    `ip` is the address that was seen, `name` what was looked up for it, `rdns` the same also where the writer
    doubts it, `helo` and `ident` what the client said. The attributes in the second group are what the pieces
    say while they are read: `strong` an address in brackets inside a comment, `weak` one alone in a comment,
    `literal` one in brackets outside, `alone` a name alone in a comment, `marked` what stands behind an
    address; `strange` tells of a comment that nobody can read, `greets` of `EHLO [IP]`, where EHLO may
    also be the name that was looked up.
    """

    ip: str | None = None
    name: str | None = None
    rdns: str | None = None
    helo: str | None = None
    ident: str | None = None
    verified: bool = False
    authenticated: bool = False
    defect: str | None = None

    strong: str | None = None
    weak: str | None = None
    literal: str | None = None
    alone: str | None = None
    marked: str = ""
    refuted: bool = False
    strange: bool = False
    greets: bool = False


@lru_cache(maxsize=2048)
def origin_of(clause: str, dialect: Dialect) -> Origin:
    """Tell apart what the writer saw and what the client claimed.

    Hosts that hand on to each other write the same for every message. Whoever takes the result leaves it as
    it is.
    """
    origin = Origin()
    if (usual := _USUAL.fullmatch(clause)) and _read_usual(usual, origin, dialect):
        return origin
    said = ""
    pieces = pieces_of(clause)
    for n, piece in enumerate(pieces):
        first = piece[0]
        if first == "(":
            _read_comment(piece[1:-1].strip(), origin, dialect)
        elif n == 0:
            said = piece.strip("<>") if first == "<" else piece
        elif first == "[":
            _read_literal(_address_in(piece.strip("[]() ")), origin)
        elif piece == "claiming" and pieces[n + 1 : n + 3] == ["to", "be"]:
            origin.helo = pieces[n + 3].strip('"') if len(pieces) > n + 3 else ""
        elif pieces[n - 1] == "-" and dialect.name == "exchange":
            origin.literal = _address_in(piece)
        elif piece == "user" and pieces[n - 1] == "as" and n + 1 < len(pieces):
            origin.ident = pieces[n + 1].partition("@")[0]
    _conclude(said, origin, dialect)
    return origin


def _read_usual(usual: re.Match[str], origin: Origin, dialect: Dialect) -> bool:
    """Read `SAID (NAME [IP])`, `SAID ([IP])` and `SAID (IP)`; tell whether it is one of them."""
    said, name, in_brackets, alone = usual.groups()
    ip = canonical_ip(in_brackets or alone)
    if ip is None or not (in_brackets or dialect.bare) or (name and name[:-1].upper() in _GREETINGS):
        return False
    origin.ip = ip
    origin.helo = clean_host(said)
    host = clean_host(name[:-1]) if name else None
    if host in UNKNOWN:
        origin.refuted = host == "unverified"
    elif host and not (host[-1].isdigit() and canonical_ip(host)):
        origin.rdns = host
        origin.name, origin.verified = host, dialect.confirms
        return True
    if dialect.plain != "helo":
        _name_by_said(origin, said, False, _numeric(said) is not None, dialect)
    return True


def _read_literal(ip: str | None, origin: Origin) -> None:
    """Read an address in brackets behind the first word: the last one is what was seen.

    Alone in a comment before it stands what the client said: `NAME (HELO) [IP]`.
    """
    if ip is None:
        return
    if (origin.strong or ip) != ip:
        origin.defect = TWO_ADDRESSES
    origin.literal = ip
    if origin.helo is None:
        origin.helo = origin.weak or origin.alone
    origin.weak = origin.alone = None


def _read_comment(inner: str, origin: Origin, dialect: Dialect) -> None:
    """Read `name [ip]`, `[ip]:port helo=name`, `ident@ip`, `HELO name`, or whatever else is noted."""
    bracket = "[" in inner
    if (bracket and _read_bracketed(inner, origin)) or (" " in inner and _read_known(inner, origin)):
        return
    if ("LO" in inner or "helo=" in inner) and _read_greeting(inner, origin):
        return
    word, _, rest = inner.partition(" ")
    if dialect.bare and (not rest or rest.startswith("with ")):
        ident, _, address = word.rpartition("@")
        if ip := _address_in(address):
            if (origin.strong or ip) != ip or (origin.weak or ip) != ip:
                origin.defect = TWO_ADDRESSES
            origin.weak, origin.literal = ip, None
            origin.ident = ident or origin.ident
            origin.authenticated = origin.authenticated or bool(rest)
            return
        if ident and not rest:
            origin.ident = ident
            return
    if _NAME_ONLY.fullmatch(inner):
        origin.alone = clean_host(word) if canonical_ip(word) is None else None
        return
    # What a browser's proxy says is a claim that cannot be taken for anything else.
    strange = not _PROXYING.fullmatch(inner) and (
        bracket or word.count(".") == 3 or any(canonical_ip(one) for one in inner.split(" ")[:9])
    )
    origin.strange = origin.strange or strange
    if "uth" in inner or "UTH" in inner or inner.startswith("account "):
        known = origin.strong or origin.weak or " " in inner
        origin.authenticated = origin.authenticated or bool(known and is_login(inner))
    elif "unverified" in inner:
        origin.refuted = True


def _read_known(inner: str, origin: Origin) -> bool:
    """Read `account user [ip] verified` and `ip, HELO name`; tell whether it is one of them."""
    known = _BEFORE_OR_BEHIND.fullmatch(inner)
    if known is None:
        return False
    of_user, alone, said = known.groups()
    ip = canonical_ip(of_user or alone)
    if ip is None:
        return False
    if (origin.strong or ip) != ip or (origin.weak or ip) != ip:
        origin.defect = TWO_ADDRESSES
    origin.strong = ip
    origin.authenticated = origin.authenticated or of_user is not None
    if said is not None and origin.helo is None:
        origin.helo = said
    return True


def is_login(inner: str) -> bool:
    """Tell whether a comment says that the client logged in: `authenticated bits=0`, `AUTH: LOGIN joe`."""
    return _LOGGED_IN.match(inner) is not None


def _read_greeting(inner: str, origin: Origin) -> bool:
    """Read what is announced as HELO: `HELO name`, `account user HELO name`, `port=1 helo=name ident=x`."""
    match = _HELO.search(inner)
    if match is None:
        return False
    if origin.helo is None:
        origin.helo = match[1] or match[2] or match[3] or ""
    if ident := _IDENT.search(inner):
        origin.ident = ident[1]
    origin.authenticated = origin.authenticated or inner.startswith("account ")
    origin.strange = origin.strange or "[" in _IDENT.sub("", inner[: match.start()] + inner[match.end() :])
    return True


def _read_bracketed(inner: str, origin: Origin) -> bool:
    """Read `name [ip]` and what may follow; tell whether it is that."""
    name, _, rest = inner.partition("[")
    address, _, after = rest.partition("]")
    ip = _address_in(address)
    if ip is None or (after and after[0] not in _AFTER_ADDRESS):
        # The looked-up name itself may hold brackets; what was seen stands last.
        name, _, rest = inner.rpartition("[")
        address, _, after = rest.partition("]")
        ip = _address_in(address)
        if ip is None or (after and after[0] not in _AFTER_ADDRESS):
            return False
    name = _NO_NAME.sub("", name).strip() if " " in name else name
    if name and (" " in name or "=" in name or "(" in name or name.upper() in _GREETINGS):
        origin.greets = origin.greets or name.upper() in _GREETINGS
        return False
    if (origin.strong or ip) != ip or (origin.weak or ip) != ip:
        origin.defect = TWO_ADDRESSES
    origin.strong = ip
    if "@" in name:
        ident, _, name = name.rpartition("@")
        origin.ident = ident.removeprefix("IDENT:") or origin.ident
    if name:
        host = clean_host(name.strip("<>") if name[0] == "<" else name)
        if host in UNKNOWN:
            origin.refuted = origin.refuted or host == "unverified"
        elif host and not (host[-1].isdigit() and canonical_ip(host)):
            origin.rdns = host
    if after:
        _read_after_address(after, ip, origin)
    return True


def _read_after_address(after: str, ip: str, origin: Origin) -> None:
    """Read what stands behind the address in its comment: `:port helo=name ident=x`, `(may be forged)`."""
    origin.refuted = origin.refuted or "may be forged" in after or "unverified" in after
    origin.marked = after.strip()
    if ("LO" in after or "helo=" in after) and origin.helo is None:
        _read_greeting(after, origin)
    elif ident := _IDENT.search(after):
        origin.ident = ident[1]
    if "[" in after:
        rest = _IDENT.sub("", _HELO.sub("", after))
        for other in rest.split("[")[1:]:
            seen = _address_in(other.partition("]")[0])
            if (seen or ip) != ip:
                origin.defect = TWO_ADDRESSES


def _address_in(text: str) -> str | None:
    """Read an address, also with a port behind it: `192.0.2.1:25`, `192.0.2.1.1234`, `192.0.2.1 port:25`."""
    if found := canonical_ip(text):
        return found
    head, dot, port = text.rpartition("." if text.count(".") == 4 else ":")
    if dot and port.isdigit():
        return canonical_ip(head.removesuffix(" port"))
    return None


# Exim, and software that is not known to write otherwise.
_HELO_IN_COMMENT = frozenset({"exim", ""})


def _conclude(said: str, origin: Origin, dialect: Dialect) -> None:
    """Decide what was seen, and what the word after `from` is."""
    ip = origin.strong or origin.weak or origin.literal
    announced = origin.helo is not None
    if origin.defect:
        origin.helo = _spoken(origin.helo or said)
        return
    numeric = _numeric(said)
    contradicted = announced and dialect.name in _HELO_IN_COMMENT and _contradicts(said, numeric, ip, origin)
    # Beside a comment that holds an address and cannot be read, nothing tells which of two was seen.
    if contradicted or (origin.strange and origin.weak and numeric not in {None, origin.weak}):
        origin.defect = TWO_ADDRESSES
        origin.helo = _spoken(origin.helo or ("" if announced else said))
        return
    if ip is None:
        believed = announced or (dialect.literal and (said[:1] == "[" or dialect.plain != "helo"))
        strange = origin.strange or (origin.greets and dialect is GENERIC)
        if numeric and believed and not strange:
            ip, said = numeric, ""
        else:
            origin.name = origin.rdns = origin.alone
            if announced and said and dialect.name == "lmtp":
                origin.ident = origin.ident or said
    elif numeric == ip and said[0] == "[" and not announced:
        said = ""
    origin.ip = ip
    origin.helo = _spoken(origin.helo or "" if announced else said)
    if origin.rdns is None:
        if ip is not None and said:
            _name_by_said(origin, said, announced, numeric is not None, dialect)
    elif ip is not None and not origin.refuted:
        origin.name, origin.verified = origin.rdns, dialect.confirms


def _numeric(said: str) -> str | None:
    """Return the address that the word after `from` is or looks like."""
    if said and (said[0] == "[" or said[-1].isdigit() or ":" in said):
        return _address_in(said.strip("[]"))
    return None


def _contradicts(said: str, first: str | None, ip: str | None, origin: Origin) -> bool:
    """Tell whether an address before the HELO differs from one in a comment behind it.

    Exim writes the address it saw first and the HELO in a comment, which a client may close.
    """
    return said[:1] == "[" and first is not None and ip not in {None, first, origin.literal}


def _spoken(word: str) -> str | None:
    """Return what the client said, as a host name or address."""
    if not word:
        return None
    bare = word.strip('[]"') if word[0] in '["' else word
    return clean_host(bare.rpartition("@")[2]) or canonical_ip(bare)


def _name_by_said(origin: Origin, said: str, announced: bool, numeric: bool, dialect: Dialect) -> None:
    """Decide whether the word after `from` was looked up for the address, and was checked forward."""
    plain = dialect.plain
    if plain == "helo" and not announced and not origin.marked and origin.ident is None:
        return
    name = clean_host(said)
    if name is None or name in UNKNOWN:
        return
    if dialect.mark is not None and origin.marked == dialect.mark:
        origin.name = origin.rdns = name
        origin.verified = True
        return
    if not announced and plain in {"peer", "none"}:
        origin.helo = None
    guessed = origin.ident is not None and origin.weak is not None
    if plain == "none" or not (announced or guessed or plain != "helo"):
        return
    origin.rdns = name
    if not numeric and not origin.refuted:
        origin.name = name
        origin.verified = dialect.confirms and plain == "name"
