"""Handing in spam on a page: files, a pasted message, and what became of each."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from complaints import outcomes
from complaints.demo import as_attachments
from tests.visitor import handed_in, result
from tests.website import Website, forms, running_website, spam


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def test_a_pasted_message_is_kept_with_the_line_ends_of_mail(website: Website) -> None:
    for pasted in (spam().decode(), spam().decode().replace("\r\n", "\n"), "\r\n\r\n" + spam().decode()):
        page = result(website, handed_in(website, paste=pasted))
    assert "known already" in page.text
    [line] = website.api("GET", "/complaints").json()["items"]
    assert website.api("GET", f"/complaints/{line['id']}/raw").content == spam()


def test_files_are_kept_byte_for_byte_and_the_page_follows_them(website: Website) -> None:
    odd = spam(subject="Odd") + b"\xff\x00\r bare"
    answer = handed_in(
        website, [("one.eml", odd), ("<b>.eml", b"From: x@pills.example\r\n\r\nno way\r\n"), ("none", b"")]
    )
    page = result(website, answer)
    assert '<meta http-equiv="refresh"' in page.text
    assert "&lt;b&gt;.eml" in page.text
    assert "None is empty: the mail program attached a file without anything in it." in page.text
    found = [line["id"] for line in website.api("GET", "/complaints").json()["items"]]
    for complaint in found:
        website.analyse(complaint)
    after = website.http.get(answer.headers["location"])
    assert "http-equiv" not in after.text
    assert "Evidence grade <strong>A</strong>: complete, as it came." in after.text
    assert "Evidence grade <strong>D</strong>" in after.text
    assert outcomes.NO_RECEIVED.says in after.text
    assert {website.review(complaint) for complaint in found} == set(
        re.findall(r'href="(/review/[^"]+)"', after.text)
    )
    [kept] = [one for one in found if website.show(one)["subject"] == "Odd"]
    assert website.api("GET", f"/complaints/{kept}/raw").content == odd


def test_a_forward_is_unwrapped_when_the_box_is_ticked(website: Website) -> None:
    forward = as_attachments([spam(), spam(subject="Another")], "somebody@plaint.example")
    page = result(website, handed_in(website, [("forward.eml", forward)], forwarded="yes"))
    assert "2 items." in page.text


def test_what_cannot_be_handed_in_loses_nothing_typed(website: Website) -> None:
    message = spam().decode().replace("\r\n", "\n") + "</textarea>\n\u202e"
    strange = handed_in(website, address="nobody@plaint.example", paste=message, forwarded="yes")
    assert strange.status_code == 422
    assert '<a href="#address">' in strange.text
    [form] = forms(strange)
    assert (
        dict(form.fields)["paste"] == message.replace("\n", "\r\n") or dict(form.fields)["paste"] == message
    )
    assert ("forwarded", "yes") in form.fields
    empty = handed_in(website, paste=" \r\n ")
    assert empty.status_code == 422
    assert '<a href="#files">' in empty.text
    with website.office.db.reading() as session:
        assert session.execute(text("SELECT count(*) FROM submission")).scalar() == 0


def test_handing_in_over_a_limit_is_refused_on_a_page(tmp_path: Path) -> None:
    with running_website(tmp_path, limit_submissions=1, max_bytes=50_000) as website:
        big = handed_in(website, [("big.eml", b"x" * 200_000)])
        assert big.status_code == 413
        assert outcomes.LESS in big.text
        assert big.headers["content-type"].startswith("text/html")
        result(website, handed_in(website, paste=spam().decode()))
        over = handed_in(website, paste=spam(subject="Another").decode())
        assert over.status_code == 429
        assert over.headers["retry-after"]
        assert "Wait an hour" in over.text


def test_a_result_page_opens_only_with_its_capability(website: Website) -> None:
    good = handed_in(website, paste=spam().decode()).headers["location"]
    assert website.http.get(good).status_code == 200
    for path in (
        good[:-1],
        good.replace("/submitted/", "/submitted/a"),
        "/submitted/x",
        "/submitted/.",
        "/submitted/%00.x",
    ):
        assert website.http.get(path).status_code == 404
