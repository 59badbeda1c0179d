"""What holds for every page: looking does nothing, the headers, the markup, and refusals that help."""

import html
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from complaints.mail_clients import clients
from complaints.web.page import age
from complaints.web.visible import visible, visible_bytes
from tests.visitor import PUBLIC, confirm, every_url, handed_in, press, result
from tests.website import Website, running_website, spam


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def test_promise_8_get_acts_on_nothing(website: Website) -> None:
    urls = every_url(website)
    website.clock.turn(minutes=1)
    before = website.dump()
    for url in urls:
        for method in ("GET", "HEAD", "GET", "HEAD"):
            for query in ("", "?do=confirm&read=yes&List-Unsubscribe=One-Click"):
                headers = {"Authorization": f"Bearer {website.alice.token}"}
                answer = website.http.request(method, url + query, headers=headers)
                assert answer.status_code in {200, 404, 405}, f"{method} {url}: {answer.status_code}"
    assert website.dump() == before


def test_every_answer_carries_the_headers_and_sets_no_cookie(website: Website) -> None:
    for url in every_url(website):
        answer = website.http.get(url)
        headers = answer.headers
        assert answer.status_code < 500
        assert headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers
        assert headers["cache-control"] == ("public, max-age=300" if url in PUBLIC[:3] else "no-store")
        assert ("x-robots-tag" in headers) == (url not in PUBLIC)


def test_pages_hold_no_script_no_style_of_their_own_and_nothing_of_third_parties(website: Website) -> None:
    for url in every_url(website):
        page = website.http.get(url)
        assert page.status_code < 500
        if not page.headers["content-type"].startswith("text/html"):
            continue
        assert not re.search(
            r"<(script|style|iframe|object|embed|base)\b|\sstyle=|\son\w+=", page.text, re.IGNORECASE
        )
        for address in re.findall(r'(?:href|src|action)="([^"]*)"', page.text):
            assert re.match(r"[/#][^/]|/$", address), f"{url}: {address}"
        assert page.text.count("<h1") == 1
        assert page.text.startswith('<!doctype html>\n<html lang="en">')
        assert re.search(r"<title>\S.* – Plaint</title>", page.text)


def test_ids_and_what_points_at_them_fit_together(website: Website) -> None:
    for url in every_url(website):
        page = website.http.get(url).text
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), f"{url}: {sorted(ids)}"
        for wanted in re.findall(r'(?:href="#|for="|aria-labelledby="|aria-describedby=")([^"]+)"', page):
            assert wanted in ids, f"{url}: {wanted}"


def test_heads_of_pages_are_like_their_gets(website: Website) -> None:
    for url in ("/", website.review(website.waiting()), "/nothing", "/static/plaint.css"):
        get, head = website.http.get(url), website.http.head(url)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


def test_odd_requests_are_refused_on_both_databases(tmp_path: Path, database_url: str) -> None:
    with running_website(tmp_path, database_url=database_url) as website:
        complaint = website.waiting()
        for path in (
            "/review/%00.a",
            "/stop/%00",
            "/register/%00",
            "/submitted/%00.a",
            f"{website.review(complaint)}/reports/%00",
        ):
            assert website.http.get(path).status_code == 404
        for path in ("/complaints/%00", f"/complaints/{complaint}/reports/%00"):
            assert website.api("GET", path).status_code == 404
        assert website.api("GET", "/complaints?after=%00").status_code == 200
        page = result(website, handed_in(website, [("a\0b.eml", spam(subject="Odd\0name"))]))
        assert "1 item." in page.text
        assert press(website, complaint, "confirm", read="yes", note="a\0b", report=["\0"]).status_code == 409
        confirm(website, complaint, note="a\0b")
        assert website.show(complaint)["note"] == "ab"
        assert website.http.post("/register", data={"address": "a\0@example.com"}).status_code == 422
        assert website.http.get("/metrics").status_code == 200


def test_refusals_of_pages_are_pages_that_say_what_to_do(
    website: Website, caplog: pytest.LogCaptureFixture
) -> None:
    complaint = website.waiting()
    path = website.review(complaint)
    refused = [
        website.http.get("/nothing"),
        website.http.post("/"),
        website.http.delete(path),
        website.http.post(path, data={"note": "x" * 1_100_000}),
    ]
    with website.office.db.transaction() as session:
        session.execute(text("ALTER TABLE complaint RENAME TO hidden"))
    with caplog.at_level(logging.CRITICAL):
        refused.append(website.http.get(path))
    assert [answer.status_code for answer in refused] == [404, 405, 405, 413, 500]
    for answer in refused:
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"]
        assert re.search(r"<h1>[^<]+</h1>\n<p class=\"lead\">[^<]+</p>\n<p>[^<]+</p>", answer.text)
    assert "Traceback" not in refused[-1].text


def test_the_style_sheet_may_be_cached_and_has_a_new_address_when_it_changes(website: Website) -> None:
    [address] = re.findall(r'href="(/static/plaint\.css\?\w+)"', website.http.get("/").text)
    sheet = website.http.get(address)
    assert sheet.headers["content-type"].startswith("text/css")
    assert "max-age" in sheet.headers["cache-control"]
    assert "url(" not in sheet.text
    assert "@import" not in sheet.text
    assert website.http.get("/static/../app.py").status_code == 404
    assert website.http.get("/static/%2e%2e/app.py").status_code == 404


def test_every_mail_program_we_know_has_its_instruction_on_the_help_page(website: Website) -> None:
    page = website.http.get("/help").text
    for client in clients():
        assert f"<summary>{html.escape(client.name)}</summary>" in page
        assert client.remedy in html.unescape(page)


def test_the_help_page_knows_the_card_and_the_test(website: Website) -> None:
    page = website.http.get("/help").text
    assert all(word in page for word in ("vCard", "QR code", "Send me a test", "plaint batch"))


def test_nothing_in_a_text_stays_hidden() -> None:
    assert visible("plain") == "plain"
    assert visible("a\tb\nc") == "a\tb\nc"
    assert visible("\x1b[31m\x00\r\x7f") == "␛[31m␀␍␡"
    assert visible(
        "\x85\u202e\u2066\u200b\ufeff\u2028"
    ) == "\\x85\\u202e\\u2066\\u200b\\ufeff\\u2028".replace("\\x85", "\\u0085")
    assert visible("\ud800 \U000e0041") == "\\ud800 \\U000e0041"
    assert visible("grüße 你好 👩") == "grüße 你好 👩"
    assert visible_bytes(b"a\r\nb\rc\nd\xff\xc3\xa9") == "a\nb␍c\nd\\xffé"


def test_an_age_has_one_number_and_its_unit() -> None:
    ages = {timedelta(seconds=-5): "just now", timedelta(seconds=59): "just now", timedelta(minutes=1): "1 minute ago",
            timedelta(hours=3, minutes=59): "3 hours ago", timedelta(days=1): "1 day ago", timedelta(days=40): "40 days ago"}  # fmt: skip
    assert {passed: age(passed) for passed in ages} == ages
