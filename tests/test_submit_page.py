"""Handing in spam on a page: files, a pasted message, and what became of each."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from complaints import outcomes
from complaints.demo import as_attachments
from complaints.mail_clients import clients
from complaints.models import Complaint, Submission
from tests.house import CLOUD
from tests.visitor import handed_in, problem, result
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
    assert "none is empty" in page.text
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


def paths(website: Website) -> list[str]:
    return [line["id"] for line in website.api("GET", "/complaints").json()["items"]]


BROKEN = b"\r\n".join(b"> " + line for line in spam().replace(b"\r\n\t", b"\r\n").split(b"\r\n"))


def test_each_repair_of_a_paste_is_listed_and_can_be_taken_back_where_it_stands(website: Website) -> None:
    answer = handed_in(website, paste=BROKEN.decode())
    [complaint] = paths(website)
    website.analyse(complaint)
    page = website.http.get(answer.headers["location"])
    for shown in (page, website.http.get(website.review(complaint))):
        assert "Took the marks of a quotation off 17 lines" in shown.text
        assert "Joined 3 broken header lines" in shown.text
        assert "(lines 4\u20135, 7)" in shown.text
    before = website.show(complaint)
    assert (before["grade"], before["source_ip"]) == ("B", CLOUD)
    taking_back = next(form for form in forms(page) if ("repair", "joined") in form.fields)
    assert website.http.post(website.review(complaint), data=taking_back.data("take_back")).status_code == 303
    after = website.show(complaint)
    assert after["state"] == "received"
    assert {one["kind"]: one["revoked"] for one in after["repairs"]} == {"unquoted": False, "joined": True}
    assert after["digest"] != before["digest"]
    with website.office.db.reading() as session:
        row = session.get_one(Complaint, complaint)
        assert b"\r\nby mx.victim.example" in website.office.spam_of(session, row)
        kept = session.get_one(Submission, row.submission_id)
        assert website.office.vault.unseal(website.alice.reporter.key, kept.raw) == BROKEN
    website.analyse(complaint)
    assert website.show(complaint)["state"] == "refused"  # half a line names nobody
    again = next(
        form
        for form in forms(website.http.get(website.review(complaint)))
        if ("repair", "joined") in form.fields
    )
    assert website.http.post(website.review(complaint), data=again.data("do_again")).status_code == 303
    assert website.show(complaint)["digest"] == before["digest"]


def test_a_repair_without_which_nothing_can_be_read_stays(website: Website) -> None:
    handed_in(website, paste=BROKEN.decode())
    [complaint] = paths(website)
    website.analyse(complaint)
    asked = {"kind": "unquoted", "revoked": True}
    refused = website.api("POST", f"/complaints/{complaint}/repairs", json=asked)
    assert problem(refused, 409)["detail"] == "Without this repair no header can be found, so it stays."
    shown = website.http.get(website.review(complaint))
    form = next(form for form in forms(shown) if ("repair", "unquoted") in form.fields)
    page = website.http.post(website.review(complaint), data=form.data("take_back")).text
    assert ("so it stays" in page, "things changed" in page) == (True, False)
    bob = website.api("POST", f"/complaints/{complaint}/repairs", json=asked, who=website.bob)
    assert bob.status_code == 404
    assert website.show(complaint)["state"] == "awaiting_consent"


def test_a_body_of_the_api_is_repaired_only_when_it_says_that_it_was_pasted(website: Website) -> None:
    headers = {"Content-Type": "message/rfc822"}
    [plain] = website.api("POST", "/submissions", content=BROKEN, headers=headers).json()["items"]
    assert plain["status"] == "refused"
    [pasted] = website.api("POST", "/submissions?pasted=1", content=BROKEN, headers=headers).json()["items"]
    assert [one["kind"] for one in pasted["repairs"]] == ["unquoted", "joined"]


def test_the_ways_in_are_told_for_each_mail_program(website: Website) -> None:
    form, help_page = website.http.get("/submit").text, website.http.get("/help").text
    anchors = re.findall(r'href="/help#(with-[^"]+)"', form)
    assert len(anchors) == len(clients())
    assert all(f'<details id="{anchor}">' in help_page for anchor in anchors)
    forward = (
        b"From: a@victim.example\r\nX-Mailer: Zimbra 10\r\n\r\n----- Forwarded Message -----\r\nFrom: x\r\n"
    )
    page = result(website, handed_in(website, [("fw.eml", forward)], forwarded="yes"))
    assert "Forward as attachment" in page.text
    assert 'href="/help#with-zimbra"' in page.text
