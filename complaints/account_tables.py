"""The tables of what a reporter asks for, chooses and is told of, besides complaints; no behaviour."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Column, LargeBinary
from sqlmodel import Field, SQLModel


class SubmissionAddress(SQLModel, table=True):
    """The hash of a secret submission address; a retired one still works until its day."""

    __tablename__: ClassVar[Any] = "submission_address"
    hash: str = Field(primary_key=True)
    reporter_id: str = Field(foreign_key="reporter.id", index=True)
    created_at: datetime
    retires_at: datetime | None = None
    # The address itself, so that its owner can see it again; none of those given before this was kept
    sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))


class Registration(SQLModel, table=True):
    """An address that asked to become a reporter's; the link and the code are stored as hashes."""

    __tablename__: ClassVar[Any] = "registration"
    token_hash: str = Field(primary_key=True)
    code_hash: str
    address: str
    asked_at: datetime
    expires_at: datetime = Field(index=True)
    tries: int = 0


class StepUp(SQLModel, table=True):
    """A code that was mailed so that its reader may do one thing; kept for a day, to bound the letters."""

    __tablename__: ClassVar[Any] = "step_up"
    id: str = Field(primary_key=True)
    reporter_id: str = Field(foreign_key="reporter.id", index=True)
    purpose: str
    # The address it is about: the new one, or the alias
    value: str = ""
    # Of the code mailed to the registered address, and of the one mailed to `value`; "" where none was
    code_hash: str = ""
    second_hash: str = ""
    asked_at: datetime = Field(index=True)
    expires_at: datetime
    tries: int = 0
    # Done, or replaced by a newer one
    used_at: datetime | None = None


class Choice(SQLModel, table=True):
    """What a reporter last chose or declared: for a purpose, yes or no, when and how."""

    __tablename__: ClassVar[Any] = "choice"
    reporter_id: str = Field(primary_key=True, foreign_key="reporter.id")
    purpose: str = Field(primary_key=True)
    chosen: bool
    at: datetime
    via: str


class PolicyVersion(SQLModel, table=True):
    """A version of the privacy policy that applies here, or will from its day on."""

    __tablename__: ClassVar[Any] = "policy_version"
    version: str = Field(primary_key=True)
    announced_at: datetime
    effective_at: datetime


class Reading(SQLModel, table=True):
    """Somebody who runs this service looked at what a reporter handed in: written before it is shown."""

    __tablename__: ClassVar[Any] = "reading"
    id: str = Field(primary_key=True)
    reporter_id: str = Field(foreign_key="reporter.id", index=True)
    # "" when it was everything of theirs
    complaint_id: str = ""
    at: datetime
    by: str
    reason: str


class Disclosure(SQLModel, table=True):
    """What was disclosed to an authority. After its reporter is erased only authority, law and day stay."""

    __tablename__: ClassVar[Any] = "disclosure"
    id: str = Field(primary_key=True)
    reporter_id: str | None = Field(default=None, foreign_key="reporter.id", index=True)
    authority: str
    law: str
    what: str
    at: datetime
    # Until then the law forbids to tell the reporter
    forbidden_until: datetime | None = None
    entered_at: datetime


class AnsweredRequest(SQLModel, table=True):
    """A request that its sender may send again, and the answer it got; a day long (`once.py`)."""

    __tablename__: ClassVar[Any] = "answered_request"
    reporter_id: str = Field(primary_key=True, foreign_key="reporter.id")
    # Of the name that the sender gave it, and of what was asked
    key_hash: str = Field(primary_key=True)
    fingerprint: str
    at: datetime = Field(index=True)
    # Empty until it is known, which nobody but the transaction that finds it out ever sees
    answer: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class UnfinishedErasure(SQLModel, table=True):
    """A reporter is erased, and what nobody can read any more still lies in files; `erasure.finish` ends it.

    `id` was the reporter's: by it their key is found where backups have theirs. Or it names an upgrade that
    took something out of rows.
    """

    __tablename__: ClassVar[Any] = "unfinished_erasure"
    id: str = Field(primary_key=True)
    at: datetime
    # Of PostgreSQL: names of tables that still have their dead rows, or its log
    left: list[str] = Field(sa_column=Column(JSON, nullable=False))
