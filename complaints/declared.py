"""Takes a spam and its checked signatures; leaves where its sender wants complaints, as a document.

The rules are those of `abuse_lookup.declared` (RFC 9477). A signature counts when it passed without any
doubt: one over a part of the body, or made with a key under test, lets anybody add to the message.
"""

from collections.abc import Iterable
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from abuse_lookup.declared import Declared, Signed, concerns, declaration, hints
from complaints.message import Header, Message
from complaints.signatures import Signature

Json = dict[str, Any]
IDS = ("Message-ID", "CFBL-Feedback-ID")
"""The fields of a spam that its sender must get back in such a report (RFC 9477 §3.5)."""


def sender_declared(message: Message, signatures: Iterable[Signature]) -> Json:
    """Return what goes into the evidence: `sender_declared` with contacts and rejections, and `hints`."""
    read = [header for name in message.names if concerns(name) for header in message.fields(name)]
    read.sort(key=attrgetter("start"))
    fields = [(header.name, _start(header)) for header in read]
    signed = [Signed(one.domain, one.covers) for one in signatures if one.domain and one.covers]
    found = declaration(fields, signed)
    return {
        "sender_declared": {
            "contacts": [asdict(contact) for contact in found.contacts],
            "rejected": [asdict(item) for item in found.rejected],
        },
        "hints": [asdict(hint) for hint in hints(fields)],
    }


def _start(header: Header) -> str:
    """The start of a field's body: anybody may send a thousand fields of a megabyte."""
    colon = header.raw.index(b":") + 1
    return header.raw[colon : colon + 4_000].decode("utf-8", "replace")


def contacts_in(evidence: Json) -> list[Declared]:
    """The contacts of such a document; none in that of an earlier version."""
    return [Declared(**row) for row in (evidence.get("sender_declared") or {}).get("contacts", [])]


def ids_of(message: Message) -> list[list[bytes]]:
    """What the message has of the fields that its sender must get back, byte for byte."""
    return [[header.raw for header in message.fields(name)] for name in IDS]
