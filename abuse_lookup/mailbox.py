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
_ABOUT_ABUSE = re.compile(r"(?i)\babus[eo]|\bspam|\bphish|\bU[BC]E\b|anti-?spam|\bdenuncia|\bmissbrauch")
_DESK_NAME = re.compile(r"(?i)(?:.*[._+-])?(?:abus[eo]|(?:anti|no)?-?spam|phishing|uce)(?:[._+0-9-].*)?")
_NOT = re.compile(r"(?i)\b(?:not|never|don'?t|no|isn'?t|unmonitored)\b")
# A link is shown: what drives a terminal or turns the direction of writing ends it.
_FORM = re.compile(
    r"https?://[^\s<>\"')\]\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]{4,500}", re.IGNORECASE
)
_INVALID = re.compile(r"(?i)\bis invalid\b")
_MOST_LINES = 400


def addresses_in(text: str) -> list[str]:
    """Find mail addresses in a line, also written `abuse[at]example.net`; whole ones only, in order."""
    text = text[:2000]
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
        addresses = list(filter(is_desk_name, addresses)) or addresses
        bare = _ADDRESS.sub(" ", line) if addresses else line
        for address in addresses:
            if _NOT.search(bare) or _INVALID.search(bare):
                continue
            if _ABOUT_ABUSE.search(bare) or (is_desk_name(address) and len(addresses) == 1):
                found[address] = "medium"
            elif introduced:
                found.setdefault(address, "low")
        introduced = about_abuse(line) if not addresses else False
    return sorted(found.items(), key=lambda item: item[1] != "medium")


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
