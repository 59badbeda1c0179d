"""The list of a reporter's complaints, and the way from one that waits to the next: each opened by its own link."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import select

from complaints import listing, review_groups
from complaints.models import Report, ReportState
from tests.house import CLOUD, unguarded
from tests.visitor import confirm
from tests.website import LINK_DESK, NETWORK_DESK, Website, forms, running_website, spam

ELSEWHERE = "203.0.113.99"


@pytest.fixture
def website(tmp_path: Path, database_url: str) -> Iterator[Website]:
    with running_website(tmp_path, database_url=database_url) as running:
        yield running


def list_of(website: Website, query: str = "") -> httpx.Response:
    return website.http.get(
        urlsplit(website.office.account_url(website.alice.reporter)).path + f"/complaints{query}"
    )


def ids(page: httpx.Response) -> list[str]:
    return re.findall(r"<code>(PL-[^<]+)</code>", page.text)


def onward(page: httpx.Response) -> str:
    """The query of the link that leads on."""
    [path] = re.findall(r'href="([^"]+)" rel="next"', page.text)
    return "?" + urlsplit(html.unescape(path)).query


def test_complaints_are_found_by_subject_source_desk_day_and_state(website: Website) -> None:
    far = spam(subject="Watches für ALLE").replace(CLOUD.encode(), ELSEWHERE.encode())
    pills = website.waiting(spam(subject="Cheap <b>pills</b>"))
    website.clock.turn(days=2)
    watches = website.waiting(far)
    assert website.api("POST", f"/complaints/{pills}/discard").status_code == 202
    page = list_of(website)
    assert ids(page) == [watches, pills]
    assert "Cheap &lt;b&gt;pills" in page.text
    found = {
        "?words=FÜR+watches": [watches],
        f"?words={pills.lower()}": [pills],
        "?words=pills+watches": [],
        "?source=203.0.113.0/24": [watches],
        f"?source={CLOUD}": [pills],
        "?source=2001:db8::/32": [],
        f"?desk={NETWORK_DESK.upper()}": [watches, pills],
        "?desk=nobody": [],
        "?since=2026-11-03": [watches],
        "?until=2026-11-02": [pills],
        "?since=2026-11-02&until=2026-11-04&state=awaiting_consent": [watches],
        "?state=discarded": [pills],
        "?state=no-such-state": [watches, pills],
        "?after=PL-UNKNOWN": [watches, pills],
    }
    assert {query: ids(list_of(website, query)) for query in found} == found
    for query in ("?source=nowhere", "?since=yesterday", "?until=0001-01-01"):
        page = list_of(website, query)
        assert (page.status_code, 'aria-invalid="true"' in page.text) == (422, True), query
    assert ids(list_of(website, "?words=%00%F0%9F%98%80&after=%00")) == []


def test_a_list_is_paged_and_a_long_search_says_how_far_it_came(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "ON_A_PAGE", 2)
    some = []
    for number in range(5):
        some.append(website.waiting(spam(subject=f"Offer {number}")))
        website.clock.turn(seconds=number % 2)  # two of a second, too
    pages = [list_of(website)]
    while 'rel="next"' in pages[-1].text:
        pages.append(list_of(website, onward(pages[-1])))
    assert [len(ids(page)) for page in pages] == [2, 2, 1]
    assert sorted(one for page in pages for one in ids(page)) == sorted(some)
    monkeypatch.setattr(listing, "LOOKED_THROUGH", 2)
    monkeypatch.setattr(listing, "_AT_ONCE", 2)
    pages = [list_of(website, "?words=offer+0")]
    assert (ids(pages[0]), "2 complaints were looked through" in pages[0].text) == ([], True)
    while "Look further back" in pages[-1].text:
        pages.append(list_of(website, onward(pages[-1])))
    assert [one for page in pages for one in ids(page)] == [some[0]]


def test_the_list_opens_no_complaint_and_only_reports_that_left(website: Website) -> None:
    waits, gone = website.waiting(spam(subject="One")), website.waiting(spam(subject="Two"))
    page = list_of(website)
    assert "/review/" not in page.text
    assert "/batch/" not in page.text
    assert "/reports/" not in page.text
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert NETWORK_DESK in page.text
    assert LINK_DESK not in page.text, "what is only offered was chosen by nobody"
    confirm(website, gone)
    with website.office.db.transaction() as session:
        unguarded(session)
        [row] = session.exec(select(Report).where(Report.complaint_id == gone, Report.to == NETWORK_DESK))
        row.state = ReportState.SENT
    [report] = re.findall(r'href="([^"]+/reports/[^"]+)"', list_of(website).text)
    assert website.http.get(report).headers["content-type"] == "message/rfc822"
    own = urlsplit(website.office.account_url(website.alice.reporter)).path
    assert website.http.get(f"{forged(own)}/complaints").status_code == 404
    bobs = urlsplit(website.office.account_url(website.bob.reporter)).path
    assert ids(website.http.get(f"{bobs}/complaints?after={waits}")) == []


def forged(path: str) -> str:
    return path[:-1] + ("0" if path[-1] == "1" else "1")


def batch_of(website: Website, label: str) -> str:
    return urlsplit(website.office.batch_url(website.alice.reporter, label)).path


def way(page: httpx.Response) -> dict[str, str]:
    """Where the links along those that wait lead, by their `rel`, as ids of complaints."""
    return {
        rel: one
        for one, rel in re.findall(r'href="/batch/[^"]+/review/(PL-[^".]+)[^"]*" rel="(\w+)"', page.text)
    }


def test_from_a_batch_one_goes_on_to_the_next_that_waits_in_it(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, other, three = [
        website.waiting(spam(subject=f"Offer {number}"), batch=label)
        for number, label in enumerate(("run", "run", "other", "run"))
    ]
    ordered = sorted([one, two, three])  # all of one second
    paths = [f"{batch_of(website, 'run')}{website.review(complaint)}" for complaint in ordered]
    assert f'href="{paths[0]}"' in website.http.get(batch_of(website, "run")).text
    first, middle, last = (website.http.get(path) for path in paths)
    assert way(first) == {"next": ordered[1]}
    assert way(middle) == {"prev": ordered[0], "next": ordered[2]}
    assert way(last) == {"prev": ordered[1]}
    assert "2 of 3 waiting" in middle.text
    answer = website.http.post(paths[1], data=forms(middle)[0].data("discard"))
    assert (answer.status_code, answer.headers["location"]) == (303, paths[1])
    decided = website.http.get(paths[1])
    assert "2 waiting" in decided.text
    assert way(decided) == {"prev": ordered[0], "next": ordered[2]}
    again = website.http.post(paths[0], data=forms(first)[0].data("confirm"))
    assert (again.status_code, way(again)) == (422, {"next": ordered[2]}), "without the tick"
    monkeypatch.setattr(review_groups, "MOST_COUNTED", 1)
    assert way(website.http.get(f"{batch_of(website, '')}{website.review(other)}")), "of all that waits"


def test_the_way_is_opened_by_the_link_of_the_batch_and_by_no_other(website: Website) -> None:
    one, other = website.waiting(spam(subject="One"), batch="run"), website.waiting(batch="other")
    bobs = urlsplit(website.office.batch_url(website.bob.reporter, "run")).path
    run = batch_of(website, "run")
    alone = website.http.get(website.review(one))
    assert (alone.status_code, "/batch/" in alone.text, 'class="trail"' in alone.text) == (200, False, False)
    fields = forms(alone)[0].data("discard")
    for batch, review in (
        (run, website.review(other)),
        (bobs, website.review(one)),
        (run.replace("-run.", "-other."), website.review(other)),
        (run, forged(website.review(one))),
        ("/batch/x", website.review(one)),
    ):
        assert website.http.get(f"{batch}{review}").status_code == 404, batch
        assert website.http.post(f"{batch}{review}", data=fields).status_code == 404, batch
    assert [website.show(each)["state"] for each in (one, other)] == ["awaiting_consent"] * 2
