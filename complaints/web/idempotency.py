"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): takes a request, leaves its key.

The draft's key is a string of structured fields, in quotes (RFC 9651 §3.3.3); bare it is the same key.
"""

import json
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from complaints import once, tokens
from complaints.once import Key, ReusedError
from complaints.web.problems import Problem

Name = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern="^[!-~]{1,255}$",
        description="A name of yours for this request, such as a UUID. Sent again within a day under the "
        "same name it is not done again, and gets the same answer; another request under it gets 422.",
    ),
]


def named(name: str | None, *asked: Any) -> Key | None:
    """The key of a request in which this was asked (values that JSON can hold)."""
    return Key(name.strip('"'), tokens.digest(json.dumps(asked).encode())) if name else None


async def _key(request: Request, name: Name = None) -> Key | None:
    body = tokens.digest(await request.body()) if name else ""
    return named(name, request.method, request.url.path, body)


Again = Annotated[Key | None, Depends(_key)]


def reused(error: ReusedError) -> Problem:
    """The refusal of another request under the same name."""
    days = once.KEPT.days
    remedy = f"Give each request a name of its own; a name is free again after {days} day. Nothing was done."
    return Problem(422, "Another request", f"{error}.", remedy)
