"""The tables and the states of their rows; no behaviour.

Every stage takes rows in one state and leaves them in another. `COMPLAINT_STEPS` and `REPORT_STEPS` are
the only place that says which change is legal; `db.move` is the only place that makes one.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, Column, Enum, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

Json = dict[str, Any]


class SubmissionState(StrEnum):
    """received: committed and acknowledged · unwrapped: its spams are complaints · noticed: reporter told."""

    RECEIVED = "received"
    UNWRAPPED = "unwrapped"
    NOTICED = "noticed"


class ComplaintState(StrEnum):
    """Where a complaint stands; `closed` and `expired` are ends."""

    RECEIVED = "received"
    ANALYSED = "analysed"
    AWAITING_CONSENT = "awaiting_consent"
    CONFIRMED = "confirmed"
    CLOSED = "closed"
    REFUSED = "refused"
    EXPIRED = "expired"
    DISCARDED = "discarded"


class ReportState(StrEnum):
    """Where a report stands. `sent`: the next hop answered 250. `unconfirmed`: may have been sent."""

    DRAFT = "draft"
    SUPPRESSED = "suppressed"
    CONSENTED = "consented"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    BOUNCED = "bounced"
    FAILED = "failed"
    HELD = "held"
    CANCELLED = "cancelled"
    UNCONFIRMED = "unconfirmed"


class LetterState(StrEnum):
    """A mail to a reporter on its way out."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"


C, R, L = ComplaintState, ReportState, LetterState
COMPLAINT_STEPS: dict[ComplaintState, frozenset[ComplaintState]] = {
    C.RECEIVED: frozenset({C.ANALYSED, C.REFUSED}),
    C.ANALYSED: frozenset({C.AWAITING_CONSENT, C.REFUSED}),
    # `received` again: the reporter asked to trace and look up anew (refresh)
    # `refused`: when its reports were to be written, none could be without giving the reporter away
    C.AWAITING_CONSENT: frozenset({C.CONFIRMED, C.DISCARDED, C.EXPIRED, C.RECEIVED, C.REFUSED}),
    C.CONFIRMED: frozenset({C.CLOSED, C.AWAITING_CONSENT}),
    C.CLOSED: frozenset(),
    # `received` again: the reporter said that a host of it is theirs, so its source may lie further down
    C.REFUSED: frozenset({C.RECEIVED}),
    C.EXPIRED: frozenset(),
    # taken back: a button pressed by mistake, or by a machine
    C.DISCARDED: frozenset({C.AWAITING_CONSENT}),
}
UNDERWAY = (C.RECEIVED, C.ANALYSED)
"""Still to be read, looked up or proposed."""
REPORT_STEPS: dict[ReportState, frozenset[ReportState]] = {
    R.DRAFT: frozenset({R.SUPPRESSED, R.CONSENTED}),
    R.CANCELLED: frozenset({R.SUPPRESSED, R.CONSENTED}),
    R.CONSENTED: frozenset({R.QUEUED}),
    R.QUEUED: frozenset({R.SENDING, R.FAILED, R.HELD, R.CANCELLED, R.SUPPRESSED}),
    # back to `queued`: the next hop said "try later" (4xx), so it is known not to have taken the mail
    R.SENDING: frozenset({R.SENT, R.FAILED, R.QUEUED, R.UNCONFIRMED}),
    # settled by its own late answer, by a bounce or reply, or sent again by a person
    R.UNCONFIRMED: frozenset({R.SENT, R.BOUNCED, R.QUEUED, R.FAILED}),
    R.SENT: frozenset({R.BOUNCED}),
    R.SUPPRESSED: frozenset(),
    R.BOUNCED: frozenset(),
    R.FAILED: frozenset(),
    R.HELD: frozenset(),
}
LETTER_STEPS: dict[LetterState, frozenset[LetterState]] = {
    L.QUEUED: frozenset({L.SENDING, L.FAILED}),
    L.SENDING: frozenset({L.SENT, L.FAILED, L.QUEUED, L.UNCONFIRMED}),
    L.UNCONFIRMED: frozenset({L.SENT, L.QUEUED, L.FAILED}),
    L.SENT: frozenset(),
    L.FAILED: frozenset(),
}
STEPS: dict[type[StrEnum], Any] = {
    ComplaintState: COMPLAINT_STEPS,
    ReportState: REPORT_STEPS,
    LetterState: LETTER_STEPS,
    SubmissionState: {
        SubmissionState.RECEIVED: frozenset({SubmissionState.UNWRAPPED}),
        SubmissionState.UNWRAPPED: frozenset({SubmissionState.NOTICED}),
        SubmissionState.NOTICED: frozenset(),
    },
}


def blob(*, nullable: bool = False) -> Any:
    """A column of sealed bytes (vault.Vault.seal)."""
    return Column(LargeBinary, nullable=nullable)


def state(first: StrEnum) -> Any:
    """A column of states, stored as their words so that a person can read the table."""
    words = Enum(
        type(first), native_enum=False, length=20, values_callable=lambda kind: [one.value for one in kind]
    )
    return Field(default=first, sa_column=Column(words, nullable=False))


def json_list() -> Any:
    """A column holding a list as JSON."""
    return Field(default_factory=list, sa_column=Column(JSON, nullable=False))


class Reporter(SQLModel, table=True):
    """A registered person whose address is verified, or about to be."""

    __tablename__: ClassVar[Any] = "reporter"
    # Letter case does not matter, and how long the search takes tells nobody who is registered
    __table_args__ = (Index("reporter_by_address", text("lower(address)")),)
    id: str = Field(primary_key=True)
    address: str = Field(unique=True)
    names: list[str] = json_list()
    aliases: list[str] = json_list()
    # Mail hosts of theirs: named when they were added; learned since ({"host"|"address"|"network", "how",
    # "since", and where from); and those the DNS told last ({"host"|"address", "how", "of", "via"?, "since"})
    trust: list[str] = json_list()
    learned: list[Json] = json_list()
    mail_hosts: list[Json] = json_list()
    key: bytes = Field(sa_column=blob())
    token_hash: str | None = Field(default=None, unique=True)
    created_at: datetime
    verified_at: datetime | None = None
    policy: str | None = None
    policy_at: datetime | None = None
    promised: str | None = None  # how long we said then that we keep what is theirs (`policy.Kept`)
    # When they last changed their address: links made until then open nothing any more
    moved_at: datetime | None = None
    # Set while everything of theirs is being removed: only then do their consents go
    erased_at: datetime | None = None


class Probe(SQLModel, table=True):
    """A letter that a reporter asked for and returns, so that we see which hosts of theirs it passed."""

    __tablename__: ClassVar[Any] = "probe"
    __table_args__ = (Index("probe_of_reporter", "reporter_id", "asked_at"),)
    id: str = Field(primary_key=True)
    reporter_id: str = Field(foreign_key="reporter.id")
    letter_id: str = Field(foreign_key="letter.id")
    to: str
    asked_at: datetime
    expires_at: datetime
    returned_at: datetime | None = None
    returned: str = ""  # digest of the bytes that came back last: they are not answered again
    # How much of it survived the way there and back: A to D
    grade: str | None = None


class Submission(SQLModel, table=True):
    """What a reporter handed in: the raw bytes, kept exactly."""

    __tablename__: ClassVar[Any] = "submission"
    __table_args__ = (
        Index("submission_by_state", "state", "received_at"),
        Index("submission_of_reporter", "reporter_id", "received_at"),
        Index("submission_of_batch", "reporter_id", "batch"),
    )
    id: str = Field(primary_key=True)
    reporter_id: str = Field(foreign_key="reporter.id")
    state: SubmissionState = state(SubmissionState.RECEIVED)
    via: str
    # Whether it came as a forward to be unwrapped; otherwise it is the spam itself (or a mailbox of spams)
    forwarded: bool
    # Whether it was pasted as text, which is repaired where it broke
    pasted: bool = False
    filename: str = ""
    # What is handed in under one label is reviewed together; by itself a submission is its own batch
    batch: str = ""
    received_at: datetime
    digest: str
    size: int
    raw: bytes = Field(sa_column=blob())
    # One line per spam or refused part, as the reporter was told: index, complaint, status, reason, remedy
    outcome: list[Json] = json_list()


class Complaint(SQLModel, table=True):
    """The case for one spam: what the reporter reviews and confirms."""

    __tablename__: ClassVar[Any] = "complaint"
    __table_args__ = (
        UniqueConstraint("reporter_id", "digest", name="one_complaint_per_spam"),
        Index("complaint_by_state", "state", "due_at"),
        Index("complaint_of_reporter", "reporter_id", "received_at", "id"),
        Index("complaint_of_reporter_by_state", "reporter_id", "state", "received_at", "id"),
        Index("complaint_of_delivery", "reporter_id", "delivery"),
    )
    id: str = Field(primary_key=True)
    reporter_id: str = Field(foreign_key="reporter.id")
    submission_id: str = Field(foreign_key="submission.id", index=True)
    # Where the spam stands: a slice of the submission's raw bytes, or its own bytes where it was encoded
    slice_start: int | None = None
    slice_end: int | None = None
    raw: bytes | None = Field(default=None, sa_column=blob(nullable=True))
    digest: str
    # By which the same delivery is known in another form (`sameness.delivery_mark`)
    delivery: str | None = None
    state: ComplaintState = state(ComplaintState.RECEIVED)
    # Counts every change of state, draft or evidence: a form shown before it is stale
    version: int = 0
    received_at: datetime
    due_at: datetime | None = None
    reminded_at: datetime | None = None  # when its reporter was told that it is about to expire, or did
    lookups: int = 0
    reason: str | None = None
    subject: str = ""
    campaign: str = ""
    source_ip: str | None = Field(default=None, index=True)
    # How much of the original survived the way in, and what the reading made of it: A to D
    way_in_grade: str = "A"
    grade: str | None = None
    # Done to a text to read it (mended.as_documents); how many of its Received lines are certain
    repairs: list[Json] = json_list()
    certain_hops: int | None = None
    evidence: Json | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    contacts: Json | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    note: str = ""
    redaction: str = "identity"
    # What the reporter wants hidden in this one besides address and names, each as it is written
    hide: list[str] = json_list()


class Report(SQLModel, table=True):
    """What one desk gets of a complaint: the frozen bytes, and what became of them.

    A draft that nobody has looked at has no bytes yet, and "" as its digest (`draft.written`).
    """

    __tablename__: ClassVar[Any] = "report"
    __table_args__ = (
        UniqueConstraint("complaint_id", "to", name="one_report_per_desk"),
        Index("report_by_state", "state", "next_at"),
        Index("report_to_desk", "to", "sent_at"),
        Index("report_to_in_state", "to", "state"),
        Index("report_by_turn", "to", "turn_at"),
        # What went where is counted from it alone, without the rows and their bytes
        Index("report_of_complaint", "complaint_id", "state", "to", "drafted_at", "id"),
    )
    id: str = Field(primary_key=True)
    complaint_id: str = Field(foreign_key="complaint.id")
    # Of the secret in its return, reply and opt-out address, which stands in the sealed bytes only (`outbox`)
    token_hash: str = Field(unique=True)
    to: str
    state: ReportState = state(ReportState.DRAFT)
    ticked: bool
    contact: Json = Field(sa_column=Column(JSON, nullable=False))
    drafted_at: datetime
    raw: bytes = Field(sa_column=blob())
    digest: str
    message_id: str = Field(unique=True)
    changes: list[Json] = json_list()
    attempts: int = 0
    first_at: datetime | None = None
    next_at: datetime | None = None
    sent_at: datetime | None = None
    turn_at: datetime | None = None  # when it took one of those its desk gets an hour
    detail: str | None = None


class Consent(SQLModel, table=True):
    """The reporter's act: who, when, how, under which policy, and what was shown. Never changed."""

    __tablename__: ClassVar[Any] = "consent"
    id: str = Field(primary_key=True)
    complaint_id: str = Field(foreign_key="complaint.id", index=True)
    reporter_id: str = Field(foreign_key="reporter.id", index=True)
    given_at: datetime
    via: str
    policy: str
    statement: str
    redaction: str
    note: str
    shown: list[Json] = json_list()


class Withdrawal(SQLModel, table=True):
    """The reporter took a consent back (undo): nothing may leave under it any more."""

    __tablename__: ClassVar[Any] = "withdrawal"
    consent_id: str = Field(primary_key=True, foreign_key="consent.id")
    at: datetime
    via: str


class ConsentedReport(SQLModel, table=True):
    """One report a consent covers: exactly these bytes, to exactly this recipient."""

    __tablename__: ClassVar[Any] = "consented_report"
    consent_id: str = Field(primary_key=True, foreign_key="consent.id")
    report_id: str = Field(primary_key=True, foreign_key="report.id", index=True)
    digest: str
    to: str


class ConsentEntry(SQLModel, table=True):
    """One link of a reporter's chain of consents and withdrawals: sealed words, and their digest."""

    __tablename__: ClassVar[Any] = "consent_entry"
    reporter_id: str = Field(primary_key=True, foreign_key="reporter.id")
    number: int = Field(primary_key=True)
    kind: str
    complaint_id: str | None = Field(default=None, foreign_key="complaint.id")
    at: datetime
    # The digest of the entry before, "" for the first; `digest` covers it and all that is said
    previous: str
    digest: str = Field(unique=True)
    body: bytes = Field(sa_column=blob())
    __table_args__ = (Index("consent_entry_of_complaint", "complaint_id"),)


class Letter(SQLModel, table=True):
    """A mail to a reporter (or to a desk about its own opt-out) on its way out."""

    __tablename__: ClassVar[Any] = "letter"
    __table_args__ = (Index("letter_by_state", "state", "next_at"),)
    id: str = Field(primary_key=True)
    reporter_id: str | None = Field(default=None, foreign_key="reporter.id", index=True)
    kind: str
    to: str
    mail_from: str
    state: LetterState = state(LetterState.QUEUED)
    raw: bytes = Field(sa_column=blob())
    attempts: int = 0
    first_at: datetime | None = None
    next_at: datetime | None = None
    sent_at: datetime | None = None
    detail: str | None = None


class Attempt(SQLModel, table=True):
    """One try to hand a report or a letter to a host: written before the final dot, settled after it."""

    __tablename__: ClassVar[Any] = "attempt"
    __table_args__ = (Index("attempt_of_mail", "mail_id", "at"),)
    id: str = Field(primary_key=True)
    mail_id: str
    at: datetime
    worker: str
    host: str = ""
    tls: bool = False
    outcome: str = "sending"
    code: int | None = None
    text: str = ""
    ended_at: datetime | None = None


class Reply(SQLModel, table=True):
    """Anything that came back for a report."""

    __tablename__: ClassVar[Any] = "reply"
    __table_args__ = (UniqueConstraint("report_id", "digest", name="one_reply_once"),)
    id: str = Field(primary_key=True)
    report_id: str = Field(foreign_key="report.id", index=True)
    at: datetime
    kind: str
    status: str | None = None
    failed: bool = False  # a bounce that says the report will never arrive
    text: str
    digest: str
    raw: bytes = Field(sa_column=blob())


class Suppression(SQLModel, table=True):
    """A mailbox that wants no more reports: who asked, when, and since when it may again be written to."""

    __tablename__: ClassVar[Any] = "suppression"
    address: str = Field(primary_key=True)
    asked_at: datetime
    asked_by: str
    reason: str
    lifted_at: datetime | None = None
