"""The part of the API that reviews many complaints at once: groups of them, and one decision per group."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from complaints import batches
from complaints.batches import BY, Decision
from complaints.consent import ConsentError, EmptyError
from complaints.models import Json
from complaints.web.api import PREFIX, conflict
from complaints.web.problems import Problem, documented
from complaints.web.security import Asking, Opened

router = APIRouter(prefix=PREFIX, responses=documented(500))
Batch = Annotated[
    str, Query(description="The label it was handed in under; all that awaits consent without.")
]
By = Annotated[str, Query(description=f"one of: {', '.join(BY)}")]


class GroupDecision(BaseModel):
    """What to do with one group, as it was shown."""

    model_config = ConfigDict(extra="forbid")
    key: str
    shown: str = Field(description="the group's `shown`; 409 when it is no longer that")
    confirm: bool = Field(description="true: consent to its reports; false: discard its complaints")
    to: list[str] | None = Field(None, description="only these desks; default: all that are proposed")
    without: list[str] = Field([], description="complaints that are left as they are")
    redaction: str | None = Field(None, description="default: as drafted")


@router.get("/review", responses=documented(422))
def review(office: Opened, reporter: Asking, batch: Batch = "", by: By = "source") -> Json:
    """What awaits your consent, in groups, the largest first; each under its own `review_url` too."""
    _check(by, batch)
    return batches.document(office, reporter, batch, by)


@router.post("/review", responses=documented(409, 422))
def decide(
    office: Opened, reporter: Asking, decision: GroupDecision, batch: Batch = "", by: By = "source"
) -> Json:
    """Confirm or discard every complaint of a group; each gets its own consent record."""
    _check(by, batch)
    said = Decision(by, **decision.model_dump())
    try:
        return batches.decide(office, reporter.id, batch, said, "api").document()
    except EmptyError as error:
        raise Problem(
            422, "Not confirmed", str(error), "Name a desk, or discard; nothing was sent."
        ) from error
    except ConsentError as error:
        raise conflict(error, getattr(error, "changes", [])) from error


def _check(by: str, batch: str) -> None:
    if by not in BY:
        raise Problem(
            422, "Unknown grouping", f"by={by!r}: there is no such grouping.", f"One of: {', '.join(BY)}."
        )
    if batch and not batches.LABEL.fullmatch(batch):
        raise Problem(
            422, "Unknown batch", "This is no label of a batch.", "Use the label it was handed in under."
        )
