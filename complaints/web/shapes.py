"""The documents of the API as its OpenAPI description shows them (the contract's JSON shapes).

Fields may be added to any of them; none is ever renamed or taken away.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from complaints.consent import REDACTIONS
from complaints.grades import GRADES
from complaints.models import ComplaintState, ReportState
from complaints.web.intake import LONGEST_NOTE, LONGEST_WORDS, MOST_WORDS


class _Document(BaseModel):
    model_config = ConfigDict(extra="allow")


class Item(_Document):
    """What became of one spam of a FILE."""

    file: str
    index: int = Field(description="counts the spams of one FILE from 0")
    complaint: str | None
    status: Literal["accepted", "duplicate", "refused", "learned"] = Field(
        description="learned: it is a probe of ours that came back, and no spam"
    )


class Items(_Document):
    """One entry per spam or refused part; durably stored."""

    items: list[Item]
    problem: dict[str, Any] | None = Field(
        None,
        description="why a mailbox was not read to its end, as a problem document (RFC 9457) with"
        " `retry_after` in seconds; absent when it was",
    )


class ComplaintLine(_Document):
    """A complaint in a list."""

    id: str
    state: ComplaintState
    received_at: datetime
    subject: str
    source_ip: str | None
    grade: str | None = Field(
        None,
        description="how much of the spam survived on its way to us: "
        + "; ".join(f"{letter}: {grade.short}" for letter, grade in GRADES.items()),
    )


class ComplaintList(_Document):
    """One page of a list, newest first."""

    items: list[ComplaintLine]
    next: str | None = Field(description="the address of the next page")


class ReportDocument(_Document):
    """What one desk gets of a complaint."""

    id: str
    to: str
    scope: str
    why: str
    confidence: str
    state: ReportState
    digest: str = Field(
        description="sha256: and the hex SHA-256 of exactly the bytes of this report; empty while it is not"
        " written: reports are when the complaint is looked at (GET)"
    )
    ticked: bool
    attempts: list[dict[str, Any]]
    next_at: datetime | None
    sent_at: datetime | None
    detail: str | None
    replies: list[dict[str, Any]]


class ComplaintDocument(ComplaintLine):
    """Everything the reporter may know of a complaint."""

    evidence: dict[str, Any] | None
    reports: list[ReportDocument]
    review_url: str


class Confirmation(BaseModel):
    """The reporter's consent: each report to be sent, with the digest of the bytes that were looked at."""

    model_config = ConfigDict(extra="forbid")
    reports: dict[str, str] = Field(
        description="report id → digest, as the complaint's document shows it; may be empty for `statistics`"
    )
    redaction: str | None = Field(
        None, json_schema_extra={"enum": [*REDACTIONS, None]}, description="default: as drafted"
    )
    note: str | None = Field(
        None,
        max_length=LONGEST_NOTE,
        description="your words to the desks, sent as written; default: as drafted",
    )

    hide: list[Annotated[str, Field(max_length=LONGEST_WORDS)]] | None = Field(
        None,
        max_length=MOST_WORDS,
        description="words to hide besides your address and names; default: as drafted",
    )

    @field_validator("redaction")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in REDACTIONS:
            raise ValueError(f"unknown redaction {value!r}; there are: {', '.join(REDACTIONS)}")
        return value


class Hop(BaseModel):
    """A line of the trace, counted from 0 at the newest."""

    model_config = ConfigDict(extra="forbid")
    hop: int = Field(ge=0, description="`n` of a believed hop of the complaint's evidence")


class Repair(BaseModel):
    """A repair of a complaint's pasted spam, and whether it is to be taken back."""

    model_config = ConfigDict(extra="forbid")
    kind: str = Field(description="`kind` of one of the complaint's repairs")
    revoked: bool = True


class NamedHost(BaseModel):
    """One thing to trust, or to trust no more."""

    model_config = ConfigDict(extra="forbid")
    host: str = Field(max_length=300, description="a host name, an address, or a network like 192.0.2.0/28")


class HostList(_Document):
    """The mail hosts a reporter trusts."""

    hosts: list[dict[str, Any]] = Field(
        description="each with host, address or network; how (named, hop, probe, mx), since, why, removable"
    )
    url: str = Field(description="the page of your mail hosts; who has it can change them")


class ProbeWish(BaseModel):
    """Where a probe is to go."""

    model_config = ConfigDict(extra="forbid")
    to: str = Field("", max_length=320, description="an alias of yours; default: the registered address")


class ProbeDocument(_Document):
    """A probe that is on its way."""

    id: str
    to: str
    expires_at: datetime


class CardDocument(_Document):
    """A submission address: to be kept as a contact, and secret."""

    submission_address: str | None = Field(description="null: given before it could be shown; have a new one")
    since: datetime | None
    old: list[dict[str, Any]] = Field(description="addresses until then, each with the time until it works")
    vcard: str | None = Field(description="the address as a contact, vCard 4.0 (RFC 6350)")
    svg: str | None = Field(description="a QR code that holds the contact")
    tests: list[dict[str, Any]] = Field(
        description="to, asked_at, expires_at, returned_at, grade; newest first"
    )


class DeskContact(_Document):
    """One way to reach a responsible desk: a mailbox (`address`) or a web form (`form`)."""

    address: str | None = None
    form: str | None = None
    scope: Literal["network", "domain", "registrar", "host", "sender"]
    source: str = Field(description="rdap, whois, dns, soa or known")
    server: str
    confidence: Literal["high", "medium", "low"]
    why: str = Field(description="one sentence")
    as_of: str = Field(description="when the server said so, RFC 3339")
    also: list[dict[str, Any]] = Field([], description="what else names it: scope, source, server, why, ...")


class LookupQuestion(_Document):
    """One question that was asked, and what came of it."""

    at: str = Field(description="RFC 3339")
    source: str = Field(description="rdap, whois, dns; cache: an earlier answer was still good")
    server: str
    question: str
    status: Literal["found", "absent", "temporary", "permanent"]
    seconds: float
    reason: str | None = None
    answer: str | None = Field(None, description="what came back, as text, bounded; a stranger's words")


class LookupDocument(_Document):
    """Who answers for one target, best first; what was not used and what failed beside it."""

    target: str
    kind: Literal["ip", "network", "asn", "domain", "url", "address"] | None = None
    network: str | None = Field(None, description="the range whose registration answered")
    contacts: list[DeskContact] = Field([], description="only what may be used")
    rejected: list[dict[str, str]] = Field([], description="address and why it is not used")
    failures: list[dict[str, Any]] = Field([], description="source, server, reason, permanent")
    as_of: str | None = Field(None, description="when it was found out, RFC 3339")
    stale: bool = Field(False, description="older than it should be; it is being asked anew, or that failed")
    questions: list[LookupQuestion] = Field([], description="with explain: all that was asked, in order")
    error: str | None = Field(None, description="in place of all the rest: why it is no target")


class LookupList(_Document):
    """Several targets, in the order they were asked."""

    items: list[LookupDocument]
