"""Takes header fields and checked signatures of a message; leaves where its sender wants complaints.

CFBL-Address (RFC 9477) is used only under the RFC's own rules: a valid DKIM signature of the author's domain,
and of the mailbox's where that is another one, covers the field. Other fields with such advice are hints,
shown and never obeyed. Pure: values in, values out; nothing here raises on content.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from abuse_lookup.answer import Rejected
from abuse_lookup.knowledge import rows
from abuse_lookup.target import normal_host, organisational_domain

Field = tuple[str, str]
"""Name and body of a header field, folds and all; of a long body its first 4,000 characters are enough."""
Rule = Literal["strict", "relaxed", "third party", "pre-signed"]

ADDRESS, FEEDBACK_ID = "cfbl-address", "cfbl-feedback-id"
_OBEYED = frozenset({ADDRESS, FEEDBACK_ID, "from"})
MOST_ADDRESSES = 5
"""Fields of one message that are looked at: each would be one more report."""
_MOST_HINTS = 10
_LONGEST = 2_000
_LONGEST_SHOWN = 300
# RFC 6532 lets UTF-8 in; what would drive a terminal or turn the direction of writing stays out
_ATOM = (
    r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~"
    r"\u00a0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\U0010ffff]+"
)
_SYNTAX = re.compile(
    rf"[ \t\r\n]*(?P<local>{_ATOM}(?:\.{_ATOM})*|\"(?:[^\"\\]|\\.)*\")@(?P<domain>[^\s@;]+)[ \t\r\n]*"
    r"(?:;[ \t\r\n]*report=(?P<report>arf|xarf)[ \t\r\n]*)?"
)
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_QUOTED = re.compile(r"\"(?>(?:[^\"\\]|\\.)*)\"", re.DOTALL)
_ANGLES = re.compile(r"<([^<>]*)>")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Signed:
    """One DKIM signature that somebody checked: its d=, the names in its h= as listed, and the result."""

    domain: str
    names: tuple[str, ...]
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Declared:
    """A mailbox that the sender declares for complaints, and may; `signer` is the domain vouching for it."""

    address: str
    report: Literal["arf", "xarf"]
    """The format that the sender asks for."""
    rule: Rule
    signer: str
    why: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a message declares; `rejected` holds every CFBL-Address that must not be used, with the reason."""

    contacts: tuple[Declared, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    feedback_ids: tuple[str, ...] = ()
    """CFBL-Feedback-ID, without white space and comments: a report must carry it."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A header field with advice of the sender's, on one line."""

    header: str
    value: str
    why: str


@lru_cache(4_000)
def concerns(name: str) -> bool:
    """Whether a field of this name is read here at all; the others may be left out."""
    lower = name.lower()
    return lower in _OBEYED or _hint(lower) is not None


def declaration(fields: Sequence[Field], signatures: Sequence[Signed]) -> Declaration:
    """Judge every CFBL-Address of a message, `fields` topmost first, by the rules of RFC 9477 §3.1."""
    addresses = [body for name, body in fields if name.lower() == ADDRESS]
    ids = [body for name, body in fields if name.lower() == FEEDBACK_ID]
    author = _author(fields) if addresses else None
    case = _Case(author, len(addresses), len(ids), [one for one in signatures if one.valid])
    contacts: list[Declared] = []
    rejected: list[Rejected] = []
    for number, body in enumerate(addresses[:MOST_ADDRESSES]):
        judged = _judge(case, number, body)
        if isinstance(judged, Rejected):
            rejected.append(judged)
        elif judged.address not in {one.address for one in contacts}:
            contacts.append(judged)
    if len(addresses) > MOST_ADDRESSES:
        why = f"only the {MOST_ADDRESSES} topmost CFBL-Address fields of a message are looked at"
        rejected.append(Rejected(f"{len(addresses) - MOST_ADDRESSES} more", why))
    return Declaration(tuple(contacts), tuple(rejected), tuple(map(_feedback_id, ids[:MOST_ADDRESSES])))


def hints(fields: Sequence[Field]) -> tuple[Hint, ...]:
    """Return the fields in which a sender gives advice on complaints (`data/headers.toml`), at most ten."""
    found = ((name, body, why) for name, body in fields if (why := _hint(name.lower())))
    shown = (Hint(name, _shown(body), why) for name, body, why in found)
    return tuple(dict.fromkeys(hint for hint in shown if hint.value))[:_MOST_HINTS]


@dataclass(frozen=True, slots=True)
class _Case:
    """What all fields of a message are judged by."""

    author: str | None
    addresses: int
    ids: int
    signatures: list[Signed]

    def by(self, domain: str) -> list[Signed]:
        return [one for one in self.signatures if one.domain.lower() == domain]

    def uncovered(self, signature: Signed, number: int) -> str | None:
        """The field that a signature should cover and does not (RFC 9477 §3.1.4); None when there is none.

        Of several fields with one name, a signature that lists it n times covers the lowest n
        (RFC 6376 §5.4.2): what somebody put on top later is not covered.
        """
        names = [name.lower() for name in signature.names]
        if self.addresses - number > names.count(ADDRESS):
            return "CFBL-Address"
        return "CFBL-Feedback-ID" if self.ids > names.count(FEEDBACK_ID) else None


def _judge(case: _Case, number: int, body: str) -> Declared | Rejected:
    read = _read(body)
    if read is None:
        why = "CFBL-Address does not hold what RFC 9477 §5.1 wants: an address, and at most a known report="
        return Rejected(_shown(body), why)
    address, domain, report = read
    if case.author is None:
        return Rejected(address, "the message has no author's domain that a signature could vouch for")
    if not case.signatures:
        return Rejected(address, "no valid DKIM signature vouches for it, and RFC 9477 wants one")
    own = domain == case.author or domain.endswith(f".{case.author}")
    found = _of_author(case, number, domain) if own else _of_third_party(case, number, domain)
    if isinstance(found, str):
        return Rejected(address, found)
    rule, signer = found
    wanted = "" if report == "arf" else "; it would rather have XARF"
    why = f"the sender asks for complaints there, and {signer} signed that (RFC 9477, {rule}){wanted}"
    return Declared(address, report, rule, signer, why)


def _of_author(case: _Case, number: int, domain: str) -> tuple[Rule, str] | str:
    """Judge a mailbox at the author's domain or below it: strict (RFC 9477 §3.1.1) or relaxed (§3.1.2)."""
    author = case.author or ""
    aligned = sorted(
        (one for one in case.signatures if _is_parent(one.domain.lower(), author)),
        key=lambda one: one.domain.lower() != author,
    )
    if not aligned:
        return f"no valid DKIM signature is of {author}, from where the message says to come"
    good = next((one for one in aligned if case.uncovered(one, number) is None), None)
    if good is None:
        return _not_covered(case, aligned[0], number)
    return ("strict" if domain == author == good.domain.lower() else "relaxed"), good.domain.lower()


def _of_third_party(case: _Case, number: int, domain: str) -> tuple[Rule, str] | str:
    """Judge a mailbox elsewhere (RFC 9477 §3.1.3): both domains sign it, or the author signed before."""
    author = case.author or ""
    theirs, authors = case.by(domain), case.by(author)
    if not theirs:
        return f"no valid DKIM signature is of {domain}, where the mailbox is"
    if not authors:
        return (
            f"no valid DKIM signature is of {author}: its owner did not agree to complaints going to {domain}"
        )
    good = next((one for one in theirs if case.uncovered(one, number) is None), None)
    if good is None:
        return _not_covered(case, theirs[0], number)
    if any(case.uncovered(one, number) is None for one in authors):
        return "third party", domain
    if any(not {ADDRESS, FEEDBACK_ID} & {name.lower() for name in one.names} for one in authors):
        return "pre-signed", domain
    return _not_covered(case, authors[0], number)


def _not_covered(case: _Case, signature: Signed, number: int) -> str:
    field = case.uncovered(signature, number)
    signer = signature.domain.lower()
    return f"the signature of {signer} does not cover {field} (h=), so anybody may have added it"


def _is_parent(domain: str, author: str) -> bool:
    """Whether d= is the author's domain, or one above it of the same organisation."""
    above = author.endswith(f".{domain}") and organisational_domain(domain) == organisational_domain(author)
    return domain == author or above


def _read(body: str) -> tuple[str, str, Literal["arf", "xarf"]] | None:
    """Read `addr-spec [; report=arf|xarf]`, comments left out: address, its domain in A-labels, format."""
    match = _SYNTAX.fullmatch(_without_comments(body)) if len(body) <= _LONGEST else None
    domain = normal_host(match["domain"]) if match else None
    if match is None or domain is None or organisational_domain(domain) is None:
        return None
    local = match["local"]
    if local.startswith('"'):
        local = _QUOTED_PAIR.sub(r"\1", local[1:-1])
        if not _DOT_ATOM.fullmatch(local):
            return (
                None  # a mailbox that can only be written in quotes: no desk has one, and few mailers take it
            )
    return f"{local}@{domain}", domain, "xarf" if match["report"] == "xarf" else "arf"


def _author(fields: Sequence[Field]) -> str | None:
    """Return the domain of the one address in the one From field."""
    bodies = [body for name, body in fields if name.lower() == "from"]
    if len(bodies) != 1 or len(bodies[0]) > _LONGEST:
        return None
    text = _QUOTED.sub("", _without_comments(bodies[0]))
    angles = _ANGLES.findall(text)
    address = angles[0] if len(angles) == 1 else text
    if text.count("@") != 1 or address.count("@") != 1:
        return None
    domain = normal_host(address.rpartition("@")[2])
    return domain if domain and organisational_domain(domain) else None


def _feedback_id(body: str) -> str:
    return "".join(_without_comments(body[:_LONGEST]).split())


def _without_comments(text: str) -> str:
    """Take out comments (RFC 5322 §3.2.2), nested ones too, but not inside quotes; an open one to the end."""
    return "".join(_outside_of_comments(text))


def _outside_of_comments(text: str) -> Iterator[str]:
    depth, quoted, escaped = 0, False, False
    for char in text:
        inside, was_escaped = depth > 0, escaped
        escaped = char == "\\" and not escaped and (inside or quoted)
        if char == '"' and not inside and not was_escaped:
            quoted = not quoted
        elif char == "(" and not quoted and not was_escaped:
            depth += 1
        elif char == ")" and inside and not was_escaped:
            depth -= 1
            continue
        if not depth:
            yield char


@cache
def _hint_patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(str(row["name"])), str(row["why"])) for row in rows("headers", "header"))


@lru_cache(1_000)
def _hint(name: str) -> str | None:
    return next((why for pattern, why in _hint_patterns() if pattern.fullmatch(name)), None)


def _shown(body: str) -> str:
    line = _CONTROL.sub(" ", body[:_LONGEST]).strip()
    return line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]} [...]"
