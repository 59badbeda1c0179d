"""Takes text that registries and network owners wrote; leaves the mail addresses in it for complaints.

Pure. Nothing here raises on content, and every pattern takes linear time.
"""

import re
from collections.abc import Iterable

from abuse_lookup.answer import Confidence
from abuse_lookup.target import normal_host

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,64}"
_DOMAIN = r"[^\s@<>()\[\]{},;:\"'|/\\]{3,253}"
_AT = r"(?:@|\[at\]|\(at\)|\{at\})"
_WRITTEN_AT = ("at]", "at)", "at}")
_ADDRESS = re.compile(
    rf"(?<![A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.\-])({_LOCAL}) ?{_AT} ?({_DOMAIN})", re.IGNORECASE
)
_DOT = re.compile(r"(?i) ?[\[({] ?dot ?[\])}] ?")
_ABOUT_ABUSE = re.compile(
    r"(?i)\babus(?:[eo]|\b)|\bspam|\bphish|\bU[BC]E\b|anti-?spam|\bdenuncia|\bmissbr(?:auch|uk)|\bmisbruik"
    r"|\bnadu[zż]y|\bzneu[zž]i"
)
_DESK_NAME = re.compile(r"(?i)(?:.*[._+-])?(?:abus[eo]|(?:anti|no)?-?spam|phishing|uce)(?:[._+0-9-].*)?")
_NOT = re.compile(
    r"(?i)\b(?:not|never|don'?t|no|isn'?t|unmonitored|ignored|discarded|deleted|unread|unattended|nicht|keine?"
    r"|other than|except|unrelated|non-?(?:abuse|spam))\b"
)
# A link is shown: what drives a terminal or turns the direction of writing ends it.
_FORM = re.compile(
    r"https?://[^\s<>\"')\]\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]{4,500}", re.IGNORECASE
)
_INVALID = re.compile(r"(?i)\bis invalid\b")
_CLAUSE = re.compile(r"(?i)[,;!?()]|[.:](?=\s)|\b(?:but|instead|sondern|pero)\b")
_ASKS = re.compile(r"(?i)\b(?:please|send|use|contact|write|forward|direct)\b")
_BETWEEN = re.compile(r"(?i)[\s,;/&<>\"'|()-]*(?:\b(?:and|or|und|oder|y|o|e|ou|et|cc:?)\b[\s,;/&<>\"']*)?")
_LEADS_ON = re.compile(r"(?i)(?:\b(?:to|at|via|mailbox|e?-?mail|address)|[:>=-])\W*$")
_OTHER = re.compile(r"(?i)\b(?:tech\w*|peering|noc|support|routing|sales|billing|legal|admin\w*)\b")
_CONTRAST = re.compile(r"(?i)\b(?:but|instead|sondern|pero)\W*$")
_MOST_LINES = 400


def addresses_in(text: str) -> list[str]:
    """Find mail addresses in a line, also written `abuse[at]example.net`; whole ones only, in order."""
    text = _plain(text)
    if "@" not in text and not any(at in text.lower() for at in _WRITTEN_AT):
        return []
    found = (mail_address(f"{local}@{domain}") for local, domain in _ADDRESS.findall(text))
    return list(dict.fromkeys(address for address in found if address))


def mail_address(text: str) -> str | None:
    """Read one mail address: local part as it is, domain in A-labels and lower case; None if it is none."""
    local, at, domain = text.strip().removeprefix("mailto:").rpartition("@")
    local = local.strip(".")
    host = normal_host(domain.rstrip(".!?"))
    if not at or not host or "." not in host or not re.fullmatch(_LOCAL, local) or ".." in local:
        return None
    return f"{local}@{host}"


def is_desk_name(address: str) -> bool:
    """Whether the local part says that complaints are taken there (`abuse@`, `anti-spam@`; RFC 2142 §4)."""
    return _DESK_NAME.fullmatch(address.partition("@")[0]) is not None


def about_abuse(text: str) -> bool:
    """Whether a line speaks of abuse or spam, and not of where it should not go."""
    return _ABOUT_ABUSE.search(text) is not None and _NOT.search(text) is None


def complaint_addresses(lines: Iterable[str]) -> list[tuple[str, Confidence]]:
    """Find the addresses that free text names for complaints.

    `medium` where the line itself speaks of abuse, `low` where only the line above it does. Of several in
    one line those made for complaints by their name count, where there are such.
    """
    found: dict[str, Confidence] = {}
    introduced = False
    for line in list(lines)[:_MOST_LINES]:
        addresses = addresses_in(line)
        if not addresses:
            other = _NOT.search(line) or _OTHER.search(line)
            leads_on = introduced and not other and _LEADS_ON.search(line[-100:]) is not None
            introduced = about_abuse(line) or leads_on
            continue
        desks = list(filter(is_desk_name, addresses))
        said = _said_of_each(line)
        for address in desks or addresses:
            about, refused = said.get(address, (False, False))
            if refused:
                continue
            if about or desks == [address]:
                found[address] = "medium"
            elif introduced:
                found.setdefault(address, "low")
        introduced = False
    return sorted(found.items(), key=lambda item: item[1] != "medium")


def _plain(text: str) -> str:
    return _DOT.sub(".", text[:2000]) if "dot" in text.lower() else text[:2000]


def _said_of_each(line: str) -> dict[str, tuple[bool, bool]]:
    """Tell of each address in a line whether the words around it speak of abuse, and whether they refuse.

    What is said before an address holds for it; what follows, up to the end of the clause; what was said of
    one holds for the next when nothing but a conjunction is between them. "Not" holds until a clause asks for
    something else.
    """
    line = _plain(line)
    found: dict[str, tuple[bool, bool]] = {}
    matches = list(_ADDRESS.finditer(line))
    about = refused = False
    for number, match in enumerate(matches):
        before = line[matches[number - 1].end() if number else 0 : match.start()]
        after = line[match.end() : matches[number + 1].start() if number + 1 < len(matches) else None]
        tail = _CLAUSE.split(after, maxsplit=1)[0]
        if number == 0 or not _BETWEEN.fullmatch(before):
            clause = [part for part in _CLAUSE.split(before) if part and part.strip()][-1:]
            asks = any(_ASKS.search(part) and not _NOT.search(part) for part in clause)
            refused = _NOT.search(before) is not None and not asks and _CONTRAST.search(before) is None
            about = _ABOUT_ABUSE.search(before) is not None
        doubted = any(pattern.search(tail) for pattern in (_NOT, _INVALID))
        if address := mail_address(f"{match[1]}@{match[2]}"):
            behind = _CLAUSE.split(after.lstrip(" ("), maxsplit=1)[0]
            mentioned = about or _ABOUT_ABUSE.search(behind) is not None
            found.setdefault(address, (mentioned, refused or doubted))
    return found


def found_invalid(lines: Iterable[str]) -> set[str]:
    """Find the addresses of which a registry says that its check failed (APNIC: `x@a.example is invalid`)."""
    said = (line for line in list(lines)[:_MOST_LINES] if _INVALID.search(line))
    return {address for line in said for address in addresses_in(line)}


def complaint_forms(lines: Iterable[str]) -> list[str]:
    """Find web addresses in lines that speak of abuse and of a form or a report."""
    wanted = (line for line in list(lines)[:_MOST_LINES] if about_abuse(line) and "report" in line.lower())
    return list(dict.fromkeys(form.rstrip(".,;") for line in wanted for form in _FORM.findall(line)))


def web_form(text: str) -> str | None:
    """Read one web address that may be shown as a form; None for what is none or would drive a terminal."""
    bare = text.strip()
    return bare if _FORM.fullmatch(bare) else None
