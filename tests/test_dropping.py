"""Very many complaints dropped at once: few statements, and each under the conditions that one alone has."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select

from complaints import batches, consent, dropping, review_groups
from complaints.batches import Decided, Decision
from complaints.db import insert_all
from complaints.models import Complaint, ComplaintState
from tests.website import Website, running_website

MANY = 1200


@pytest.fixture
def website(tmp_path: Path, database_url: str) -> Iterator[Website]:
    with running_website(tmp_path, database_url=database_url) as running:
        yield running


def many_alike(website: Website, number: int) -> list[str]:
    """As many complaints that wait, each a copy of one."""
    first = website.waiting()
    with website.office.db.reading() as session:
        row = session.get_one(Complaint, first).model_dump()
    copies = [row | {"id": f"PL-COPY{n:05d}", "digest": f"sha256:{n:064x}"} for n in range(number - 1)]
    with website.office.db.transaction() as session:
        insert_all(session, Complaint, copies)
    return [first, *(one["id"] for one in copies)]


def drop_all(website: Website) -> Decided:
    """Press the button that drops a group as a whole."""
    reporter = website.alice.reporter.id
    with website.office.db.reading() as session:
        [heading] = review_groups.headings(session, website.office, reporter, "", "source")
    decision = Decision("source", heading.key, heading.shown, confirm=False)
    return batches.decide(website.office, reporter, "", decision, "test")


def kept(website: Website, *columns: Any) -> set[Any]:
    with website.office.db.reading() as session:
        return set(session.exec(select(*columns)))


def test_a_thousand_are_dropped_and_brought_back_by_a_few_statements(website: Website) -> None:
    many_alike(website, MANY)
    before = kept(website, Complaint.id, Complaint.version)
    said: list[str] = []
    hear = "before_cursor_execute"
    event.listen(website.office.db.engine, hear, lambda *given: said.append(given[2]))
    assert (drop_all(website).complaints, kept(website, Complaint.state, Complaint.due_at)) == (
        MANY,
        {(ComplaintState.DISCARDED, None)},
    )
    assert kept(website, Complaint.id, Complaint.version) == {(one, version + 1) for one, version in before}
    done = batches.undo(website.office, website.alice.reporter.id, "", "test")
    assert (done.complaints, done.left) == (MANY, [])
    assert len(said) < 60
    [(state, due_at)] = kept(website, Complaint.state, Complaint.due_at)
    assert (state, due_at is not None) == (ComplaintState.AWAITING_CONSENT, True)


def test_what_is_no_longer_as_it_was_seen_stays_and_is_told(website: Website) -> None:
    changed, confirmed, stale, fine = many_alike(website, 4)
    seen = dict(kept(website, Complaint.id, Complaint.version))
    with website.office.db.transaction() as session:
        consent.refresh(session, website.office, session.get_one(Complaint, changed))
        choice = consent.Choice({}, consent.STATISTICS)
        consent.confirm(session, website.office, session.get_one(Complaint, confirmed), choice, via="test")
    with website.office.db.transaction() as session:
        stays = dropping.drop(session, seen | {stale: seen[stale] - 1})
    assert stays == {
        changed: f"{changed} does not await consent: it is received",
        confirmed: f"{confirmed} does not await consent: it is closed",
        stale: f"{stale} changed since it was shown",
    }
    with website.office.db.transaction() as session:
        stays = dropping.bring_back(session, website.office, [stale, fine])
    assert stays == {stale: f"{stale} is no longer discarded: it is awaiting_consent"}
    assert (fine, ComplaintState.AWAITING_CONSENT) in kept(website, Complaint.id, Complaint.state)
