"""No route shows or changes what is another's: every page and operation there is, with the id or the link of somebody else."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from complaints import reporters
from complaints.models import Reporter
from complaints.office import Office
from complaints.policy import POLICY
from complaints.web.app import create_app
from tests.visitor import confirm, stop
from tests.website import Website, nobody, running_website, spam

# What an operation wants in its body before it looks whose the id is
BODIES: dict[str, Any] = {
    "confirm": {"reports": {}},
    "mine": {"hop": 0},
    "repairs": {"kind": "wrapped", "revoked": True},
}
TICKED = {"policy": POLICY, "adult": "yes"}
# The desk's own link, which a report carries: no reporter's
OTHERS = {"stop"}


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as made:
        yield made


def routes(office: Office) -> list[tuple[str, str]]:
    """Every (method, path) with something to fill in."""

    async def ready() -> bool:
        return True

    app = create_app(office, ready=ready, look_up=nobody)
    inside = [
        one for part in app.routes for one in getattr(getattr(part, "original_router", part), "routes", [])
    ]
    found = {(method, one.path) for one in inside for method in one.methods if "{" in one.path}
    assert len(found) > 40, "the routes of the application are listed in another way now"
    return sorted(found)


def links(office: Office, session: Session, whose: str, complaint: str) -> dict[str, str]:
    """The last part of each link that opens something of a reporter's, by the first part."""
    row = session.get_one(Reporter, whose)
    urls = [
        office.review_url(complaint), office.hosts_url(row), office.account_url(row), office.batch_url(row),
        office.unsubscribe_url(row, "news"), office.policy_url(row), office.standing_url(row),
    ]  # fmt: skip
    return dict(url.rsplit("/", 2)[1:] for url in urls)


def test_a_token_opens_nothing_of_another_reporter(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    ids = {"complaint_id": complaint, "report_id": f"{complaint}-01", "quoted": "redacted-aaaaaaaaaaaaa"}
    before, tried = website.dump(), 0
    for method, path in routes(website.office):
        if not path.startswith("/api/"):
            continue
        body = BODIES.get(path.rsplit("/", 1)[-1]) if method == "POST" else None
        where = path.format(**ids).removeprefix("/api/v1")
        answer = website.api(method, where, who=website.bob, **({"json": body} if body else {}))
        assert answer.status_code == 404, (method, path, answer.text)
        tried += 1
    assert tried > 12
    assert website.dump() == before


def test_a_link_opens_its_own_page_and_no_other(website: Website) -> None:
    """Nor with another's name in it, nor what lies behind the page of another."""
    complaint = website.waiting()
    confirm(website, complaint)
    with website.office.db.reading() as session:
        his = links(website.office, session, website.bob.reporter.id, complaint)
        hers = links(website.office, session, website.alice.reporter.id, complaint)
    opt_out = stop(website).rpartition("/")[2]
    # A link that needs a second one gets that as it is.
    inside = {"report_id": f"{complaint}-01", "name": "card.vcf", "token": hers["review"]}
    before, tried = website.dump(), 0
    for method, path in routes(website.office):
        purpose, rest = path.split("/")[1], path.partition("}")[2].format(**inside)
        if path.startswith("/api/") or "{token}" not in path or purpose in OTHERS:
            continue
        wrong = [token for other, token in hers.items() if other != purpose]
        if purpose in hers:
            wrong.append(f"{hers[purpose].partition('.')[0]}.{his[purpose].partition('.')[2]}")
        for token in (*wrong, opt_out):
            if token == hers.get(purpose):
                continue  # the review link is of the complaint
            answer = website.http.request(
                method, f"/{purpose}/{token}{rest}", data=TICKED if method == "POST" else None
            )
            assert answer.status_code == 404, (method, path, answer.text)
            tried += 1
    for batch, review in product((his["batch"], hers["batch"]), (hers["account"], his["account"], opt_out)):
        assert website.http.get(f"/batch/{batch}/review/{review}").status_code == 404
    assert website.http.get(f"/batch/{his['batch']}/review/{hers['review']}").status_code == 404
    assert website.dump() == before
    assert tried > 100
    assert website.http.get(f"/account/{his['account']}/reports/{complaint}-01").status_code == 404
    strange = website.waiting(spam(subject="Another"))
    assert website.http.get(f"{website.review(strange)}/reports/{complaint}-01").status_code == 404


def test_what_was_read_in_the_database_opens_no_page(website: Website) -> None:
    """Of a reporter's links and tokens there are only hashes, or nothing."""
    complaint = website.waiting()
    with website.office.db.transaction() as session:
        alice = session.get_one(Reporter, website.alice.reporter.id)
        opening = list(links(website.office, session, alice.id, complaint).values())
        reporters.ask(session, website.office, "carol@example.com")
    dump = website.dump()
    secrets = [website.alice.token, website.alice.submission_address.partition("@")[0], *opening]
    assert not [secret for secret in secrets if secret in dump]
    assert not [token for token in opening if token.rsplit(".", 1)[1] in dump]
