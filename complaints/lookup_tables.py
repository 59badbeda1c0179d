"""The tables that lookups of all processes share; no behaviour. What is in them can be asked again."""

from datetime import datetime
from typing import Any, ClassVar

from sqlmodel import Field, SQLModel


class LookupAnswer(SQLModel, table=True):
    """What a registry said, under every key it holds for; see abuse_lookup.cache."""

    __tablename__: ClassVar[Any] = "lookup_answer"
    key: str = Field(primary_key=True)
    value: str
    expires_at: datetime = Field(index=True)


class LookupServer(SQLModel, table=True):
    """How a registry's server stands with us: an abuse_lookup.book.Page as JSON."""

    __tablename__: ClassVar[Any] = "lookup_server"
    name: str = Field(primary_key=True)
    page: str
