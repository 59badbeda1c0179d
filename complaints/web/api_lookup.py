"""The part of the API that answers who answers: takes targets, leaves their lookups.

It asks on the event loop and waits there for nothing but sockets, so other requests go on meanwhile.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request

from complaints.models import Json
from complaints.web.api import PREFIX
from complaints.web.problems import ANYWHERE, Problem, documented
from complaints.web.security import Asking, Opened
from complaints.web.shapes import LookupDocument, LookupList

LookUp = Callable[[str, bool], Awaitable[Json]]
"""Takes a target and whether to explain; leaves its document, with `error` when it is none."""

MOST_TARGETS = 20
_MINUTE = timedelta(minutes=1)

router = APIRouter(prefix=PREFIX, responses=ANYWHERE)


class Allowance:
    """How many targets each reporter asked about within a minute; this process's own count."""

    def __init__(self) -> None:
        self._asked: dict[str, deque[datetime]] = {}

    def take(self, reporter: str, count: int, limit: int, now: datetime) -> int:
        """Count these and return 0, or return the seconds until there is room for them."""
        for name in [name for name, asked in self._asked.items() if asked[-1] <= now - _MINUTE]:
            del self._asked[name]
        asked = self._asked.get(reporter, deque())
        while asked and asked[0] <= now - _MINUTE:
            asked.popleft()
        if (over := len(asked) + count - limit) > 0:
            free = asked[over - 1] if over <= len(asked) else now
            return max(1, math.ceil((free + _MINUTE - now).total_seconds()))
        asked.extend([now] * count)
        self._asked[reporter] = asked
        return 0


@router.get(
    "/lookup",
    response_model=LookupDocument | LookupList,
    response_model_exclude_unset=True,
    responses=documented(429),
)
async def lookup(
    request: Request,
    office: Opened,
    reporter: Asking,
    target: Annotated[
        list[str],
        Query(
            min_length=1,
            max_length=MOST_TARGETS,
            description="IP address, CIDR, AS number, domain, URL or mail address; may be repeated",
        ),
    ],
    explain: Annotated[
        bool, Query(description="Show every question that was asked, with its answer.")
    ] = False,
) -> Json:
    """Who answers for abuse of a target: one target's document, or for several their list, in the same order.

    Each takes at most the installation's PLAINT_LOOKUP_SECONDS; a target that was asked about lately is
    answered from what is kept.
    """
    limit = office.settings.limit_lookups
    if limit and (wait := request.app.state.allowance.take(reporter.id, len(target), limit, office.clock())):
        raise Problem(
            429,
            "Too many lookups",
            f"{limit} targets a minute are looked up for one reporter.",
            f"Ask again in {wait} s, or about fewer at a time.",
            headers={"Retry-After": str(wait)},
        )
    look_up: LookUp = request.app.state.look_up
    items = await asyncio.gather(*(look_up(one, explain) for one in target))
    if len(items) > 1:
        return {"items": items}
    if "error" in items[0]:
        raise Problem(422, "Not a target", f"{items[0]['error']}.", "Correct it and ask again.")
    return items[0]
