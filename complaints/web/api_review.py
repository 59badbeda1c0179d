"""The part of the API that reviews many complaints at once: groups of them, and one decision per group."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from complaints import batches
from complaints.batches import LABEL, Decision
from complaints.consent import ConsentError, EmptyError
from complaints.models import Json
from complaints.review_groups import BY
from complaints.web.api import PREFIX, conflict
from complaints.web.problems import ANYWHERE, Problem, documented
from complaints.web.security import Asking, Opened

router = APIRouter(prefix=PREFIX, responses=ANYWHERE)
Batch = Annotated[
    str,
    Query(
        pattern=f"^({LABEL.pattern})?$",
        description="The label it was handed in under; all that awaits consent without.",
    ),
]
By = Annotated[
    Literal["source", "campaign", "desk"],
    Query(description="; ".join(f"{name}: {words}" for name, words in BY.items())),
]
Key = Annotated[
    str | None, Query(description="The `key` of a group to look at: its reports are written now.")
]


class GroupDecision(BaseModel):
    """What to do with one group, as it was shown."""

    model_config = ConfigDict(extra="forbid")
    key: str
    shown: str = Field(description="the group's `shown`; 409 when it is no longer that")
    confirm: bool = Field(description="true: consent to its reports; false: discard its complaints")
    to: list[str] | None = Field(None, description="only these desks; default: all that are proposed")
    without: list[str] = Field([], description="complaints that are left as they are")
    redaction: str | None = Field(None, description="default: as drafted")


@router.get("/review")
def review(office: Opened, reporter: Asking, batch: Batch = "", by: By = "source", key: Key = None) -> Json:
    """What awaits your consent, in groups, the largest first; each under its own `review_url` too.

    Reports are written when somebody looks: those of small groups now, a larger one's (`written`: false) when
    its `key` is given. Only what was written can be confirmed.
    """
    return batches.document(office, reporter, batch, by, key)


@router.post("/review", responses=documented(409))
def decide(
    office: Opened, reporter: Asking, decision: GroupDecision, batch: Batch = "", by: By = "source"
) -> Json:
    """Confirm or discard every complaint of a group; each gets its own consent record."""
    said = Decision(by, **decision.model_dump())
    try:
        return batches.decide(office, reporter.id, batch, said, "api").document()
    except EmptyError as error:
        raise Problem(
            422, "Not confirmed", str(error), "Name a desk, or discard; nothing was sent."
        ) from error
    except ConsentError as error:
        raise conflict(error, getattr(error, "changes", [])) from error
