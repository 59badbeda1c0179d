"""The table of standing consents; no behaviour."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel


class StandingConsent(SQLModel, table=True):
    """A reporter's revocable grant: reports to the source's network may leave without asking each time."""

    __tablename__: ClassVar[Any] = "standing_consent"
    id: str = Field(primary_key=True)
    reporter_id: str = Field(foreign_key="reporter.id", index=True)
    given_at: datetime
    via: str
    policy: str
    statement: str
    # Complaints a day, at most
    daily: int
    # The mail hosts that the reporter trusted then; none of those given before this was kept
    hosts: list[str] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    revoked_at: datetime | None = None
    revoked_via: str | None = None
