"""A reporter's complaints in a list, searched: what became of each, the newest first.

Opened by the link of the account and by nothing else: it tells what is kept, and decides on nothing, so a
complaint that waits is not opened from here. What is looked for stands in the query, so that a search can be
kept; GET only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.responses import HTMLResponse

from complaints.account import LEFT
from complaints.listing import ON_A_PAGE, Page, Search, SearchError, find, network
from complaints.models import ComplaintState
from complaints.web import words
from complaints.web.page import page
from complaints.web.problems import FieldError, own_page
from complaints.web.security import Opened

router = APIRouter()
LONGEST = 200
"""Characters of a field that are looked at."""
Text = Annotated[str, Query(max_length=10 * LONGEST)]


@dataclass(frozen=True)
class Asked:
    """The fields of the search as they were typed, and where the list goes on."""

    words: str = ""
    source: str = ""
    desk: str = ""
    since: str = ""
    until: str = ""
    state: str = ""
    after: str = ""

    def query(self, **other: str) -> str:
        """`?...` of this search, or of one that differs in something; "" for all."""
        at = {name: value for name, value in vars(replace(self, **other)).items() if value}
        return f"?{urlencode(at, errors='replace')}" if at else ""

    def search(self) -> Search:
        """What is looked for. Raises SearchError."""
        until = _day("until", self.until)
        return Search(
            self.words[:LONGEST],
            network(self.source[:LONGEST]),
            self.desk[:LONGEST].strip(),
            _day("since", self.since),
            until + timedelta(days=1) if until else None,
            ComplaintState(self.state) if self.state in set(ComplaintState) else None,
        )


def _day(field: str, text: str) -> datetime | None:
    """The midnight (UTC) with which a day begins."""
    if not text.strip():
        return None
    try:
        day = datetime.strptime(text.strip()[:LONGEST], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        day = None
    if day is None or not 1970 <= day.year < 9999:
        raise SearchError(field, "Write a day like 2026-11-02.")
    return day


def _asked(
    words: Text = "",
    source: Text = "",
    desk: Text = "",
    since: Text = "",
    until: Text = "",
    state: Text = "",
    after: Text = "",
) -> Asked:
    return Asked(words, source, desk, since, until, state, after)


@router.get("/account/{token}/complaints")
def complaints(office: Opened, token: str, asked: Annotated[Asked, Depends(_asked)]) -> HTMLResponse:
    """Show a page of them."""
    errors: Sequence[FieldError] = ()
    found = Page(())
    with office.db.reading() as session:
        reporter = own_page(session, office, "account", token)
        try:
            after = asked.after if asked.after.isprintable() else ""
            found = find(session, reporter.id, asked.search(), after or None)
        except SearchError as error:
            errors = [FieldError(error.field, str(error))]
    return page(
        "complaints.html",
        422 if errors else 200,
        account=f"/account/{token}",
        here=f"/account/{token}/complaints",
        asked=asked,
        found=found,
        first=not asked.after,
        searched=asked.query(after="") != "",
        errors=errors,
        states=words.COMPLAINT,
        reports=words.REPORT,
        left=LEFT,
        on_a_page=ON_A_PAGE,
    )
