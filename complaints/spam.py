"""All that is read in one spam.

Takes the raw bytes of a spam and what the reporter trusts; leaves the evidence: trace, links, authentication.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cache, cached_property
from hashlib import sha256
from typing import Any

from complaints.attachments import Looked
from complaints.authentication import Result, authentication
from complaints.bystanders import Group, drop_boxes, groups, recipients
from complaints.dates import rfc3339
from complaints.declared import sender_declared
from complaints.finding import explanation
from complaints.links import Link, Links, links
from complaints.message import Message, parse
from complaints.signatures import Keys, Signature, spare_own, verify
from complaints.trace import Hop, Trace, trace
from complaints.trust import Trust

__all__ = ["Evidence", "Trust", "read"]


_UNCERTAIN = (
    "The header was put together again, and one of the Received lines that would have to be believed may be "
    "the rest of the line above it: nobody is named. Hand the spam in as a file, or as an attachment."
)
_UNREAD = "The message is larger than what is read for links; there may be more."


@dataclass(frozen=True)
class Evidence:
    """What was read in a spam."""

    message: Message
    trace: Trace
    links: Links
    authentication: tuple[Result, ...]
    signatures: tuple[Signature, ...] = ()
    own: tuple[str, ...] = ()
    looked: Looked = field(default_factory=Looked)

    @property
    def subject(self) -> str | None:
        """The decoded subject on one line."""
        return self.message.subject

    @property
    def received_at(self) -> datetime | None:
        """The date of the topmost believed hop, in UTC."""
        return next((hop.date for hop in self.trace.hops if hop.trusted and hop.date), None)

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the hex digest of the spam's bytes."""
        return "sha256:" + sha256(self.message.raw).hexdigest()

    def document(self) -> dict[str, Any]:
        """Return the JSON shape that `plaint trace --json` prints; dates are RFC 3339 in UTC.

        `authentication` is what the reporter's border found; `unconfirmed` what others claim, ARC among it;
        `signatures` what we found ourselves, one entry per DKIM signature, topmost first; `hosts` groups the
        links by who answers for them, most likely guilty first; `drop_boxes` are where answers are to go;
        `sender_declared` where the sender wants complaints, and what that is worth; `hints` its other advice.
        """
        found = self.trace
        victims = recipients(self.message) if self.links.lures else set[str]()
        return {
            "source": {**_flat(found.source), "doubts": [*found.source.doubts]} if found.source else None,
            "hops": [_hop(hop) for hop in found.hops],
            "links": [_link(link) for link in self.links.web],
            "lures": [lure._asdict() for lure in self.links.lures if lure.value.lower() not in victims],
            "hosts": [_group(group) for group in groups(self.links.web, self.own)],
            "drop_boxes": [_flat(box) for box in drop_boxes(self.message, self.links.lures, self.own)],
            "authentication": [_result(result) for result in self.authentication if result.believed],
            "unconfirmed": [_result(result) for result in self.authentication if not result.believed],
            "signatures": [_flat(signature) for signature in self.signatures],
            **sender_declared(self.message, self.signatures),
            "explanation": explanation(found),
            "grade": found.grade,
            "confidence": found.confidence,
            "notes": [*found.notes, *self.looked.notes, *([] if self.links.complete else [_UNREAD])],
        }


def read(
    spam: bytes | Message,
    trust: Trust,
    grade: str = "A",
    *,
    keys: Keys | None = None,
    now: datetime | None = None,
    own: Iterable[str] = (),
    look_into: Callable[[Message], Looked] | None = None,
    certain: int | None = None,
    doubts: Sequence[str] = (),
) -> Evidence:
    """Read a spam, parsed or not. `grade` tells how much of the original survived the way in (`A` to `D`).

    `keys` is what the DNS said for `signatures.key_names`; without it no signature is checked. `now` (UTC)
    stands in for the time of arrival where no believed hop names one. `own` are the mail domains of the
    reporter and of this service, which are never to blame. `look_into` (`attachments.look_into`) opens PDF
    files, pictures and archives; without it they stay closed. `certain` is how many Received lines of a spam
    that came as text are sure to be lines of their own, `doubts` what else that leaves.
    """
    message = spam if isinstance(spam, Message) else parse(spam)
    looked = look_into(message) if look_into else Looked()
    found = as_far_as_certain(
        trace(message, trust, grade, ordered=certain is not None, doubts=doubts), certain
    )
    inside = {hop.by for hop in found.hops if hop.trusted and hop.by} | trust.hosts
    arrived = next((hop.date for hop in found.hops if hop.trusted and hop.date), now)
    return Evidence(
        message=message,
        trace=found,
        links=links(message, looked.references, looked.files),
        authentication=authentication(message, found),
        signatures=spare_own(verify(message, keys, found.grade, arrived), inside),
        own=tuple(own),
        looked=looked,
    )


def as_far_as_certain(found: Trace, certain: int | None) -> Trace:
    """Drop a source that was found only by believing a line that may be the rest of the one above it."""
    if certain is None or certain >= len(found.hops):
        return found
    notes = (*found.notes, f"Only the topmost {certain} Received lines are sure to be lines of their own.")
    if found.source is None or found.source.hop < certain:
        return replace(found, notes=notes)
    return replace(found, source=None, confidence="low", notes=(*notes, _UNCERTAIN))


@cache
def _names(shape: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(shape))


def _flat(one: Any) -> dict[str, Any]:
    """What `asdict` makes of one that holds texts and numbers only, without looking into each."""
    shape: Any = type(one)
    return {name: getattr(one, name) for name in _names(shape)}


def _hop(hop: Hop) -> dict[str, Any]:
    return {
        "n": hop.n,
        "from_ip": hop.from_ip,
        "from_name": hop.from_name,
        "helo": hop.helo,
        "by": hop.by,
        "with": hop.with_,
        "id": hop.id,
        "for": hop.for_,
        "date": rfc3339(hop.date) if hop.date else None,
        "trusted": hop.trusted,
        "why": hop.why,
        "tls": hop.tls,
    }


def _link(link: Link) -> dict[str, Any]:
    return {**link._asdict(), "via": list(link.via), "notes": list(link.notes)}


def _group(group: Group) -> dict[str, Any]:
    lists = {"found_in": list(group.found_in), "notes": list(group.notes)}
    return {**_flat(group), **lists, "led_to": group.led_to}


def _result(result: Result) -> dict[str, Any]:
    shape = {"method": result.method, "result": result.result, "domain": result.domain, "by": result.by}
    return {**shape, "selector": result.selector} if result.selector else shape
