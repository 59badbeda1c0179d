"""Whether what a client said can make a Received line read otherwise than its writer meant it.

Takes a line that is to be believed; leaves it as it is where it can be read in one way only, as the software
surely meant it where its own words tell, and nothing else. Software repeats what a client says: its HELO, its
reverse name, its certificate, its sender. With blanks, brackets and words like `by` in it, that looks like
what the software wrote itself.

What cannot be made to look otherwise rests on two things. The writer's own `by` stands in the line, so a
single one is the writer's; and all that it says of the client stands before that. And the address that was
seen stands in the line, so a single one is that.
"""

import re
from typing import Any

from complaints.clauses import pieces_of
from complaints.dialects import dialect_named
from complaints.hosts import canonical_ip
from complaints.lines import unglued
from complaints.message import Header
from complaints.received import LONGEST, Received, parse_received, plain_text

TWO_WAYS = "it can be read in two ways"
"""The defect of a line of which nobody can tell what its writer saw."""

UNSURE: dict[str, Any] = {
    "defect": TWO_WAYS, "from_ip": None, "from_name": None, "verified": False, "by": None, "by_ip": None,
}  # fmt: skip
"""What such a line says."""

MOST_OCTETS = 65_536
"""Of a line that is looked at; no mail host writes longer ones (RFC 5321 §4.5.3.1.6 has 1,000 a line)."""

TWO_READINGS = "a line can be read in two ways, and was read as its software must have meant it"
"""The doubt about what such a line says all the same."""

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*)"
_IP = r"(?:IPv6:)?[0-9A-Fa-f.:]+"
# What Postfix and its kin write of a session: the client chooses nothing of it but its login, in one word.
_SESSION = (
    r"(?:\s+\((?:using\s(?:TLS|SSL)v[^()\"\[\]]*(?:\([^()\"\[\]]*\)[^()\"\[\]]*)*"
    r"|No\sclient\scertificate\srequested|Client\sdid\snot\spresent\sa\scertificate"
    r"|Authenticated\ssender:\s[A-Za-z0-9._+=@-]+|authenticated\sbits=\d+)\))*"
)
# What most lines are: HELO or name, and last before `by` the address.
_USUAL = re.compile(
    rf"(?:[A-Za-z]+[ \t]*:)?\s*from\s+{_HOST}\s+(?:\((?:HELO|EHLO)\s[A-Za-z0-9._:\[\]-]+\)\s+)?"
    rf"(?:\((?:(?:[A-Za-z0-9._-]+@)?{_HOST}\s+)?(?:\[({_IP})\](?:\s\(may\sbe\sforged\))?|({_IP}))\)|\[({_IP})\])"
    rf"{_SESSION}\s+by\s".encode()
)
# The same for what software writes that puts the address last, whatever the client said before.
_LAST = re.compile(
    rf"\((?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*) )?(?:\[{_IP}\](?: \(may be forged\))?|{_IP})\){_SESSION} \Z"
)
_WRITER = re.compile(r"(?:(?<=[ )\]>;\"])|\A)by(?=[ ()\[<;\"]|\Z)", re.IGNORECASE)
_WRITER_IN_BYTES = re.compile(rb"(?<=[\s)\]>;\"])by(?=[\s()\[<;\"])", re.IGNORECASE)
_NAMED_BY = re.compile(r"(\Afrom |\((?:HELO|EHLO|LHLO) |helo=)by(?=\)| [(\[])", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?<![0-9A-Za-z.:])(?:(\d{1,3}(?:\.\d{1,3}){3})(?![0-9A-Za-z_-]|\.\d*[A-Za-z_-])"
    r"|(?:IPv6:)?((?=[0-9A-F]*:[0-9A-F:.]*:)[0-9A-F:.]{2,45}))",
    re.IGNORECASE,
)
_WORD = r"\[?[A-Za-z0-9._:?-]+\]?"
# What a client said of itself, where it says so and is one word.
_CLAIM = re.compile(
    rf"(?<=[( ])(?:(?:HELO|EHLO|LHLO)[ =]|helo=|ident=){_WORD}(?=[ )])|claiming to be \"[^\"()]*\""
    rf"|\({_WORD}@(?:{_WORD}@)?|\(proxying for [0-9A-Fa-f.:, ]+\)",
    re.IGNORECASE,
)
# What s/qmail writes of an encrypted session, last before `by`.
_DECRYPTED = re.compile(r" de-crypted with TLSv[0-9.]+: [\w-]+ \[\d+/\d+\] DN=[\w.=,-]*(?= \Z)")
_ANNOUNCED = re.compile(r"HELO|EHLO|LHLO|\(.*\(", re.IGNORECASE)
# The client said one word, and what was seen stands behind it.
_ONE_WORD = re.compile(rf"from {_HOST} \({_WORD}\) \[{_IP}\] ", re.IGNORECASE)
_SAID_AND_SEEN = re.compile(rf"from \[{_IP}\] \(\[{_IP}\]\) ", re.IGNORECASE)
_SEEN_FIRST = frozenset({"exim", "communigate"})
_NOTED = re.compile(rf" \(may be forged\)|{_SESSION}(?= \Z)")
_LITERAL = re.compile(rf"from \[?({_IP})\]? ", re.IGNORECASE)
_CLAUSES = frozenset({"from", "with", "via", "id", "for"})
_SMAP = re.compile(rf"from [^ ()]+\({_IP}\), +via E?SMTP ", re.IGNORECASE)
_MADE_BY_ITSELF = frozenset({"fetchmail", "lmtp", "webmail"})


def as_written(header: Header, line: Received) -> Received:
    """Return the line itself where it can be read in one way only.

    Else what its software surely put there, or the line with this defect and without what it says.
    """
    raw = header.raw
    if len(raw) > MOST_OCTETS:
        return line if line.defect else line._replace(**UNSURE)
    if (
        (usual := _USUAL.match(raw))
        and (raw.lower().count(b"by") == 1 or len(_WRITER_IN_BYTES.findall(raw)) == 1)
        and _is_address(usual, line.from_ip)
        and len(raw) <= LONGEST
    ):
        return line
    sure = _one_reading(header, line)
    if sure is None:
        return line._replace(**UNSURE)
    return sure


def _one_reading(header: Header, line: Received) -> Received | None:
    text = _NAMED_BY.sub(r"\1x", plain_text(unglued(header, line)))
    if text[:3].lower() == "by " or not _addresses(text):
        # Nothing of the client's stands before the writer's own name, or nothing that can be accused.
        return line
    writers = list(_WRITER.finditer(text))
    if len(header.body) > LONGEST or len(writers) > 1:
        return line if line.defect or _is_plain(text, writers, line) else None
    before = text[: writers[0].start()] if writers else text
    if line.defect is None and bool(writers) == (line.by is not None) and _tells_one(before, line):
        return line
    again = _by_its_software(before, text[len(before) :]) if writers else None
    return again or (line if line.defect else None)


def _is_address(usual: re.Match[bytes], ip: str | None) -> bool:
    said = usual[usual.lastindex or 0].decode("ascii")
    return said == ip or (ip is not None and canonical_ip(said) == ip)


def _is_plain(text: str, writers: list[re.Match[str]], line: Received) -> bool:
    """Tell whether a line with more than one `by` names its client before the first, and no other behind."""
    usual = _USUAL.match(text[: writers[0].end() + 1].encode()) if writers else None
    if usual is None or not _is_address(usual, line.from_ip):
        return False
    # What was seen is among these, if the client brought in the first `by`.
    others = set(_addresses(text[writers[0].end() :]))
    return not others or (
        others == {line.from_ip} and not line.verified and line.dialect not in _MADE_BY_ITSELF
    )


def _tells_one(before: str, line: Received) -> bool:  # noqa: PLR0911 - one return per way to tell
    """Tell whether the words on the client hold no address but the one that was read, and no other clause."""
    if line.by is None and line.dialect in _MADE_BY_ITSELF and line.from_ip:
        return False
    before = _DECRYPTED.sub("", before) if "de-crypted" in before else before
    smap = _SMAP.match(_CLAIM.sub("", before))
    if line.by is not None and not smap and not _CLAUSES.isdisjoint(map(str.lower, pieces_of(before)[1:])):
        return False
    if line.from_ip is None:
        return True
    found = _addresses(_CLAIM.sub(" ", before))
    if line.verified and found.count(line.from_ip) > 1:
        return False
    if set(found) <= {line.from_ip}:
        return True
    if _ONE_WORD.fullmatch(before):
        return True
    said = _LITERAL.match(before)
    if said is None or found[1:] != [line.from_ip]:
        return False
    # The client said an address; behind it stands the one that was seen.
    dialect = dialect_named(line.dialect)
    if dialect.name not in _SEEN_FIRST and _SAID_AND_SEEN.fullmatch(before):
        return True
    one = _NOTED.sub("", before)
    return dialect.plain == "helo" and not dialect.literal and _ANNOUNCED.search(one) is None


def _by_its_software(before: str, behind: str) -> Received | None:
    """Read the address that stands last before `by`, where software wrote the line that puts it there."""
    if not (last := _LAST.search(before)):
        return None
    name = pieces_of(behind)
    own = name[:2]
    for piece in name[2:4]:
        if piece[0] != "(":
            break
        own.append(piece)
    if name[len(own) : len(own) + 1] == ["with"]:
        own += name[len(own) : len(own) + 2]
    if not dialect_named(parse_received(" ".join(["from x", *own])).dialect).last:
        return None
    again = parse_received(f"from x {last[0]}{behind}")
    if again.defect or again.from_ip is None:
        return None
    # A reverse name with brackets in it would look like this, too.
    return again._replace(helo=None, from_name=None, verified=False)


def _addresses(text: str) -> list[str]:
    """Return all addresses, in their order."""
    found = (canonical_ip(match[1] or match[2]) for match in _ADDRESS.finditer(text))
    return [ip for ip in found if ip]
