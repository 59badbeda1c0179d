"""The address card of a submission address: takes the address, leaves a vCard and the picture of a QR code.

A mail program or telephone keeps it as a contact, so that nobody types 26 letters.
"""

import io
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

import segno

NAME = "Report spam (Plaint)"
NOTE = (
    "Forward spam here as an attachment. This address is yours alone and a secret: who knows it can hand in "
    "spam in your name."
)
FOLDED = 75
"""Octets of a line (RFC 6350 §3.2)."""
MEDIA_TYPE = "text/vcard"


def vcard(address: str, since: datetime, owner: str, page: str) -> str:
    """The contact as vCard 4.0 (RFC 6350), lines ended by CRLF.

    `owner` names whose it is: the card of a newer address replaces that of the older one in an address book.
    `page` is the URL that tells how to forward.
    """
    uid = uuid5(NAMESPACE_URL, f"{page}#{owner}")
    revised = f"{since.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    fields = [
        "BEGIN:VCARD",
        "VERSION:4.0",
        f"UID:{uid.urn}",
        f"REV:{revised}",
        "KIND:org",
        f"FN:{_escaped(NAME)}",
        f"EMAIL;PREF=1:{_escaped(address)}",
        f"NOTE:{_escaped(NOTE)}",
        f"URL:{page}",
        "END:VCARD",
    ]
    return "".join(map(_folded, fields))


def qr_svg(address: str) -> str:
    """A QR code that holds the address as a contact, as an SVG picture; short, so that it is read easily."""
    contact = (
        f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:{_escaped(NAME)}\r\nEMAIL:{_escaped(address)}\r\nEND:VCARD\r\n"
    )
    picture = io.BytesIO()
    segno.make_qr(contact, error="m").save(
        picture, kind="svg", xmldecl=False, scale=4, border=4, dark="#000", light="#fff"
    )
    return picture.getvalue().decode("ascii")


def _escaped(text: str) -> str:
    """A text value (RFC 6350 §3.4)."""
    for char in "\\,;":
        text = text.replace(char, "\\" + char)
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    """One content line, in pieces of at most FOLDED octets; all of our words are ASCII."""
    pieces = [line[:FOLDED]]
    rest = line[FOLDED:]
    while rest:
        pieces.append(" " + rest[: FOLDED - 1])
        rest = rest[FOLDED - 1 :]
    return "".join(f"{piece}\r\n" for piece in pieces)
