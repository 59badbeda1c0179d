"""The spams of a world's `spams/` folder: templates of our own writing, filled in so that they are fresh.

In a template, `[[now-7m]]` is the date that many minutes (m) or hours (h) ago as RFC 5322 §3.3 writes it,
and what follows a line `@@base64@@` is encoded so (RFC 2045 §6.8): the file shows the text itself.
A first line `@@signed NAME DOMAIN@@` has the message signed by DOMAIN (RFC 8463) with the key of that NAME:
`python -m complaints.loopback.spams NAME` prints what the world's zone `_domainkey.DOMAIN` must say at NAME.
"""

import base64
import re
import sys
from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from complaints.canonical import BodyHash, body_digests, field_bytes
from complaints.message import parse

from .world import World

SIGNED = re.compile(r"@@signed (\S+) (\S+)@@\n")
DATE = re.compile(r"\[\[now-(\d+)([mh])\]\]")
UNITS = {"m": "minutes", "h": "hours"}


def spams(world: World, now: datetime) -> dict[str, bytes]:
    """Return file name → message with CRLF line ends, in the order of names; empty if there are none."""
    folder = world.folder / "spams" if world.folder else None
    if folder is None or not folder.is_dir():
        return {}
    return {path.name: _fresh(path.read_text("utf-8"), now) for path in sorted(folder.glob("*.eml"))}


def _fresh(template: str, now: datetime) -> bytes:
    def date(match: re.Match[str]) -> str:
        return format_datetime(now - timedelta(**{UNITS[match[2]]: int(match[1])}))

    signer = SIGNED.match(template)
    text = DATE.sub(date, template[signer.end() if signer else 0 :])
    head, encoded, body = text.partition("@@base64@@\n")
    text = head + base64.encodebytes(body.encode()).decode() if encoded else head
    message = text.replace("\n", "\r\n").encode()
    return _signature(message, signer[1], signer[2]) + message if signer else message


def record(name: str) -> str:
    """Return the key record of a name (RFC 6376 §3.6.1)."""
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(_key(name).public_key().public_bytes_raw()).decode()}"


def _key(name: str) -> Ed25519PrivateKey:
    """Make the key of a name, always the same one: it guards nothing."""
    return Ed25519PrivateKey.from_private_bytes(sha256(f"a demonstration: {name}".encode()).digest())


def _signature(raw: bytes, name: str, domain: str) -> bytes:
    message = parse(raw)
    whole = BodyHash(relaxed=True, algorithm="sha256", limit=None)
    digests, _ = body_digests(raw, message.body, [whole])
    signed = [header for header in message.headers if header.name in {"From", "To", "Subject", "Date"}]
    value = (
        f"v=1; a=ed25519-sha256; c=relaxed/relaxed; d={domain}; s={name};"
        f"\r\n\th={':'.join(header.name for header in signed)};"
        f"\r\n\tbh={base64.b64encode(digests[whole]).decode()};\r\n\tb="
    )
    field = f"DKIM-Signature: {value}".encode()
    [own] = parse(field).headers
    octets = b"".join(field_bytes(header, relaxed=True) for header in (*signed, own)).rstrip()
    return field + base64.b64encode(_key(name).sign(sha256(octets).digest())) + b"\r\n"


if __name__ == "__main__":
    sys.stdout.write(record(sys.argv[1]) + "\n")
