"""What redaction did to a spam, for the reporter's eyes: takes a redaction, leaves plain values.

It says what went and what stands there now, by which rule; what looks personal and stayed; and what cannot
be hidden. It holds what was hidden: it is for the reporter, computed when asked for and never stored.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from complaints.encodings import printable
from complaints.message import leaves_within, parse
from complaints.redact import Identity, Redacted, redact
from complaints.redact.codes import Codes
from complaints.redact.find import CannotRedact
from complaints.redact.hide import hider
from complaints.redact.pseudonyms import PSEUDONYM
from complaints.redact.stand_in import RULES as WITHHELD
from complaints.redact.walk import Edit, Walk

MOST_EDITS = 200
"""Different replacements that are told one by one."""
MOST_KEPT = 40
_NOBODY = ("nobody-in-particular@nowhere.invalid",)
_LONGEST_SHOWN = 300
_LONGEST_READ = 200_000
# Salutations of the languages that most spam is written in, before a word with a capital letter.
_SALUTATION = re.compile(
    r"\b(?i:dear|hello|hi|hey|hallo|liebe[rs]?|guten tag|bonjour|ch[eè]re?|hola|estimad[oa]|querid[oa]|ciao"
    r"|gentile|car[oa]|ol[aá]|prezad[oa]|hej|beste|geachte|merhaba)[ ,]{1,2}"
    r"(?i:(?:mr|mrs|ms|herr|frau|sr|sra|mme)\.? )?"
    r"([^\W\d_a-z][\w'-]{2,30}(?: [^\W\d_a-z][\w'-]{1,30})?)"
)
_ADDRESS = re.compile(r"[^\s<>\"',;:()]{1,64}@[A-Za-z0-9.-]{3,253}")
_DOMAIN = re.compile(rb"(?:@|%40)[A-Za-z0-9.-]+")
_NUMBER = re.compile(rb"[0-9]")
_TO_ALL = frozenset(
    {
        "customer",
        "sir",
        "madam",
        "friend",
        "user",
        "client",
        "member",
        "kunde",
        "all",
        "winner",
        "beneficiary",
    }
)
KEPT = {
    "link": "a code in a link, which may stand for you",
    "code": "a code in a field, which may stand for you",
    "id": "an id, by which the sender may find you in its records",
    "bounce address": "a code in a bounce address, which may stand for you",
    "rewriter": "a link that your own mail service wrapped; the wrapping may name you",
    "boundary": "a code between the parts of the message",
    "time": "the second at which it came",
    "own mail host": "a mail host of yours",
}
"""What level `strict` would hide, by rule."""


def explain(
    raw: bytes, redacted: Redacted, level: str, kept: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the document: `{"level", "count", "rules", "edits", "more", "kept", "not_hidden"}`.

    `edits` are `{"rule", "where", "line", "old", "new", "count"}`, `kept` are `{"what", "where", "line",
    "text", "why", "count"}`; lines are those of the raw bytes. `kept`: as found for another desk, where it
    is known already.
    """
    # What is gone for good comes first.
    edited = sorted(redacted.edits, key=lambda edit: edit.rule not in WITHHELD)
    counted = Counter((e.rule, e.where, e.line, _shown(e.old), _shown(e.new)) for e in edited)
    names = ("rule", "where", "line", "old", "new")
    edits = [
        dict(zip(names, place, strict=True)) | {"count": count}
        for place, count in list(counted.items())[:MOST_EDITS]
    ]
    return {
        "level": level,
        "count": len(redacted.edits),
        "rules": dict(Counter(edit.rule for edit in redacted.edits).most_common()),
        "edits": edits,
        "more": max(0, len(counted) - MOST_EDITS),
        "kept": kept if kept is not None else _kept_of(raw, redacted, level),
        "not_hidden": list(redacted.not_hidden),
    }


Edits = dict[tuple[str, int], Counter[tuple[str, str]]]
"""By rule and line: what went and what stands there, how often."""


def redact_lines(lines: Mapping[int, bytes], identity: Identity, key: bytes, level: str) -> Edits:
    """What redaction does in single lines of a text, by their numbers. Nothing where it cannot be done."""
    numbers, found = list(lines), Edits()
    if not numbers:
        return found
    text = b"".join(b"\r\n" + lines[number].rstrip(b"\r\n") for number in numbers)
    try:
        done = redact(text + b"\r\n", identity, key=key, level=level)
    except CannotRedact:
        return found
    for edit in done.edits:
        at = edit.rule, numbers[edit.line - 2]
        found.setdefault(at, Counter())[_shown(edit.old), _shown(edit.new)] += 1
    return found


def _kept_of(raw: bytes, redacted: Redacted, level: str) -> list[dict[str, Any]]:
    return list(_kept(raw, redacted, level))[:MOST_KEPT] if level != "none" else []


def _kept(raw: bytes, redacted: Redacted, level: str) -> Iterator[dict[str, Any]]:
    yield from _salutations(redacted.raw)
    yield from _other_recipients(redacted.raw)
    if level != "strict":
        yield from _codes(raw, redacted.edits)


def _salutations(raw: bytes) -> Iterator[dict[str, Any]]:
    """A name after a greeting, which the reporter may not have told us."""
    seen: Counter[tuple[str, str]] = Counter()
    for number, part in enumerate(leaves_within(parse(raw)), 1):
        if part.content_type.startswith("text/"):
            where = f"part {number} ({part.content_type})"
            for match in _SALUTATION.finditer(part.text(_LONGEST_READ)):
                name = match[1]
                if name.split()[0].lower() not in _TO_ALL and not PSEUDONYM.match(name.lower()):
                    seen[where, name] += 1
    for (where, name), count in seen.items():
        yield _one("name", where, 0, name, "a greeting by name, which may be yours", count)


def _other_recipients(raw: bytes) -> Iterator[dict[str, Any]]:
    message = parse(raw)
    for name in ("to", "cc"):
        for header in message.fields(name):
            for address in dict.fromkeys(_ADDRESS.findall(header.text)):
                if not PSEUDONYM.match(address.lower()):
                    line = raw.count(b"\n", 0, header.start) + 1
                    why = "another recipient, or an address of yours that you did not name"
                    yield _one("address", f"header {header.name}", line, address, why, 1)


def _codes(raw: bytes, edits: Iterable[Edit]) -> Iterator[dict[str, Any]]:
    """What level `strict` would hide besides `edits`: tried on the same bytes, and forgotten."""
    hidden: dict[int, list[bytes]] = {}
    for edit in edits:
        hidden.setdefault(edit.line, []).append(edit.old)
    # The reporter was searched for already
    walk = Walk(hider(b"only to look at it", _NOBODY, ()), Codes(lambda _code: b"code", bytes))
    try:
        walk.message(raw)
    except CannotRedact:
        return
    found: dict[tuple[str, str], list[Edit]] = {}
    for edit in walk.edits:
        if edit.rule in KEPT and _says_more(edit.old, hidden.get(edit.line, ())):
            found.setdefault((edit.rule, edit.where), []).append(edit)
    for (rule, where), some in sorted(found.items(), key=lambda item: item[0][0] != "link"):
        telling = max(some, key=lambda edit: len(edit.old))
        yield _one(rule, where, telling.line, _shown(telling.old), KEPT[rule], len(some))


def _says_more(code: bytes, hidden: Sequence[bytes]) -> bool:
    """Whether a code is one still, without what was hidden in it."""
    rest = code
    for old in hidden:
        if code in old:
            return False
        rest = rest.replace(old, b"")
    return rest == code or _NUMBER.search(_DOMAIN.sub(b"", rest)) is not None


def _one(what: str, where: str, line: int, text: str, why: str, count: int) -> dict[str, Any]:
    return {"what": what, "where": where, "line": line, "text": text, "why": why, "count": count}


def _shown(octets: bytes) -> str:
    text = printable(octets.decode("utf-8", "replace").strip())
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
