"""The values this library answers with. No I/O.

`Answer` is what one server said to one question: found, absent, temporary or permanent error.
`Finding` is what one registry answer holds, before it is judged. `Contact`, `Rejected`, `Failure` and
`Lookup` are what the caller gets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from abuse_lookup.target import IPAddress, Kind

T = TypeVar("T")
Scope = Literal["network", "domain", "registrar", "host", "sender"]
"""What a desk answers for: the address; the name; its registration; the network or platform that a name lives
in; what the sender himself declares."""
Confidence = Literal["high", "medium", "low"]
"""Named by who must know; named by somebody; a guess or a last resort."""
CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low")


class Status(StrEnum):
    """How a question ended; the difference of absent and failed is never lost."""

    FOUND = "found"
    ABSENT = "absent"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What one server answered. `value` is empty (not None) unless `status` is FOUND."""

    status: Status
    value: T
    server: str = ""
    """Who answered: a host name, `address:port` of a name server, or the name of a list."""
    reason: str = ""
    """One sentence, for every status but FOUND."""
    expires: datetime | None = None
    """Until when the answer may be used again, aware UTC; None when the server did not say."""

    @property
    def found(self) -> bool:
        """Whether there is a value."""
        return self.status is Status.FOUND

    @property
    def failed(self) -> bool:
        """Whether nothing is known, because of an error."""
        return self.status in {Status.TEMPORARY, Status.PERMANENT}


@dataclass(frozen=True, slots=True)
class MailAnswer(Answer[tuple[tuple[int, str], ...]]):
    """Mail hosts of a domain as (preference, host), best first (RFC 5321 §5.1)."""

    implicit: bool = False
    """No MX record: the domain's own address records stand for one."""
    null: bool = False
    """The domain says by a null MX that it takes no mail (RFC 7505); `status` is ABSENT."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of addresses, both ends included."""

    first: IPAddress
    last: IPAddress

    def __contains__(self, ip: IPAddress) -> bool:
        return ip.version == self.first.version and int(self.first) <= int(ip) <= int(self.last)

    @property
    def size(self) -> int:
        """Number of addresses."""
        return int(self.last) - int(self.first) + 1


@dataclass(frozen=True, slots=True)
class Finding:
    """A mailbox or form that an answer names as the place for complaints, not yet judged."""

    confidence: Confidence
    why: str
    address: str | None = None
    form: str | None = None
    holder: str = ""
    """Who holds the resource, as the answer says."""
    scope: Scope = "network"
    as_of: datetime | None = None
    """Since when this is known, aware UTC; None: said just now."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one registry knows of a target."""

    findings: tuple[Finding, ...] = ()
    span: Span | None = None
    """The address range the answer is about."""
    holder: str = ""
    """Who holds the resource, as the answer says."""
    whois: tuple[str, ...] = ()
    """WHOIS servers that know more, as the answer's remarks say."""

    def told(self) -> tuple[str, ...]:
        """Say in short what was read: the range, then each mailbox or form with its confidence."""
        span = (f"{self.span.first} - {self.span.last}",) if self.span else ()
        desks = (f"{one.address or one.form} ({one.scope}, {one.confidence})" for one in self.findings)
        return (*span, *desks)

    def with_better(self, other: "Sighting") -> "Sighting":
        """Put what a follow-up question found before what the first answer held."""
        return replace(self, findings=other.findings + self.findings)


@dataclass(frozen=True, slots=True)
class Reason:
    """A further way in which a contact was found: the fields mean what they mean in `Contact`."""

    scope: Scope
    source: str
    server: str
    confidence: Confidence
    why: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Contact:
    """One way to reach a responsible desk: a mailbox or a web form, never both."""

    scope: Scope
    """What the desk answers for."""
    source: str
    """`rdap`, `whois`, `dns`, `known`, `soa` (who keeps the DNS zone), `header` (the message's own word)."""
    server: str
    """Who named it: a host name, or the provider of a known desk."""
    confidence: Confidence
    """How sure it is that this is the desk."""
    why: str
    """One sentence that a desk or a reporter understands."""
    as_of: datetime
    """When the server said so, aware UTC."""
    address: str | None = None
    """The mailbox; its domain takes mail, as far as could be checked."""
    form: str | None = None
    """The address of the web form, https."""
    also: tuple[Reason, ...] = ()
    """The other ways in which the same desk was found, the best first."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A mailbox that an answer named but that must not get a complaint."""

    address: str
    """The mailbox; where the target itself cannot be asked about, the target."""
    why: str
    """Why it is not used."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that could not answer."""

    source: str
    """As in `Contact`; `lookup` when the target's time was over."""
    server: str
    """Who was asked."""
    reason: str
    """What went wrong, in a sentence."""
    permanent: bool
    """Whether asking again later will not help."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question that was asked for a lookup, and what came of it; only noted when asked to explain."""

    at: datetime
    """When it was asked, aware UTC."""
    source: str
    """`rdap`, `whois` or `dns`; `cache` when an answer to an earlier lookup was still good."""
    server: str
    """Who was asked: a host name, `address:port` of name servers, or the place of a bootstrap file."""
    question: str
    """What was asked: a URL, a WHOIS query, or type and name."""
    status: Status
    """What came of it."""
    seconds: float
    """From the wish to ask to the answer, waiting for our turn included."""
    reason: str = ""
    """One sentence, where there is something to say."""
    answer: str = ""
    """What came back, as text, bounded; it is a stranger's and may hold anything."""
    read: tuple[str, ...] = ()
    """What was read in the answer: networks, mailboxes, forms."""
    cached: bool = False
    """Whether nobody was asked, because an earlier answer was still good."""

    def document(self) -> dict[str, Any]:
        """Make its JSON document; what is empty is left out."""
        more = {"reason": self.reason, "read": list(self.read), "answer": self.answer, "cached": self.cached}
        return {
            "at": self.at.isoformat(),
            "source": self.source,
            "server": self.server,
            "question": self.question,
            "status": self.status.value,
            "seconds": round(self.seconds, 3),
            **{name: value for name, value in more.items() if value},
        }


@dataclass(frozen=True, slots=True)
class Lookup:
    """The answer to one target. `contacts` holds only what may be used, the best first."""

    target: str
    """The text that was asked about, as it was given."""
    kind: Kind
    """What the text is: `ip`, `network`, `asn`, `domain`, `url` or `address`."""
    network: str | None = None
    """The range whose registration answered, as CIDR or `first - last`; neighbours need no new question."""
    contacts: tuple[Contact, ...] = ()
    """Who may be told, the best first."""
    rejected: tuple[Rejected, ...] = ()
    """Mailboxes that servers named and that are not used."""
    failures: tuple[Failure, ...] = ()
    """Sources that could not answer; another source may have."""
    as_of: datetime | None = None
    """When it was found out, aware UTC; None where nobody was asked. What is kept is given with its age."""
    stale: bool = False
    """Older than it should be: it is being asked anew, or that failed (then `failures` say how)."""
    questions: tuple[Question, ...] | None = None
    """All that was asked for it, in order; None unless it was to be explained."""

    def document(self) -> dict[str, Any]:
        """Make the JSON document of `plaint lookup`: times are RFC 3339 UTC."""
        explained = {} if self.questions is None else {"questions": [q.document() for q in self.questions]}
        return {
            "target": self.target,
            "kind": self.kind,
            "network": self.network,
            "contacts": [_contact_document(contact) for contact in self.contacts],
            "rejected": [{"address": item.address, "why": item.why} for item in self.rejected],
            "failures": [
                {"source": f.source, "server": f.server, "reason": f.reason, "permanent": f.permanent}
                for f in self.failures
            ],
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "stale": self.stale,
            **explained,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Lookup":
        """Undo `document` but for `questions`; raises KeyError, TypeError or ValueError for other texts."""
        return cls(
            document["target"],
            document["kind"],
            document["network"],
            tuple(
                Contact(**_dated(item), also=tuple(Reason(**_dated(reason)) for reason in item["also"]))
                for item in document["contacts"]
            ),
            tuple(Rejected(**item) for item in document["rejected"]),
            tuple(Failure(**item) for item in document["failures"]),
            datetime.fromisoformat(document["as_of"]) if document["as_of"] else None,
            document["stale"],
        )


def _contact_document(contact: Contact) -> dict[str, Any]:
    reach = {"form": contact.form} if contact.form else {"address": contact.address}
    return {**reach, **_reason_document(contact), "also": [_reason_document(one) for one in contact.also]}


def _reason_document(found: Contact | Reason) -> dict[str, Any]:
    return {
        "scope": found.scope,
        "source": found.source,
        "server": found.server,
        "confidence": found.confidence,
        "why": found.why,
        "as_of": found.as_of.isoformat(),
    }


def _dated(item: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in item.items() if name != "also"}
    return {**kept, "as_of": datetime.fromisoformat(item["as_of"])}
