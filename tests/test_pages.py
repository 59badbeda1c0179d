"""The pages: what they show, what their forms do, and that looking at them does nothing."""

import asyncio
import base64
import email
import email.policy
import html
import json
import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import col, select

from complaints import outbox, replies, reporters, tokens
from complaints.models import (
    Attempt,
    Complaint,
    ComplaintState,
    Consent,
    ConsentedReport,
    Letter,
    Report,
    ReportState,
    Suppression,
)
from complaints.policy import POLICY, STATEMENT
from complaints.web import words
from complaints.web.page import SHOWN_BYTES, age
from complaints.web.visible import visible, visible_bytes
from tests.house import ALICE, house
from tests.house import spam as fresh_spam
from tests.website import (
    LINK_DESK,
    NETWORK_DESK,
    Website,
    contact,
    forms,
    running_website,
    source_answer,
    spam,
)

PUBLIC = ("/", "/help", "/privacy", "/register", "/submit")


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def shown_texts(page: httpx.Response) -> list[str]:
    """The texts of the page's <pre> elements, as a browser would have them."""
    return [html.unescape(found) for found in re.findall(r"<pre[^>]*>\n(.*?)</pre>", page.text, re.DOTALL)]


def review(website: Website, complaint: str) -> httpx.Response:
    page = website.http.get(website.review(complaint))
    assert page.status_code == 200, page.text
    return page


def press(
    website: Website, complaint: str, do: str, page: httpx.Response | None = None, **more: Any
) -> httpx.Response:
    """Send the page's form with one of its buttons."""
    [form] = forms(page or review(website, complaint))
    return website.http.post(website.review(complaint), data=form.data(do, **more))


def confirm(website: Website, complaint: str, **more: Any) -> httpx.Response:
    answer = press(website, complaint, "confirm", read="yes", **more)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == website.review(complaint)
    return answer


def reports(website: Website) -> dict[str, Report]:
    with website.office.db.reading() as session:
        return {report.to: report for report in session.exec(select(Report))}


def asked(website: Website, address: str = "carol@example.com") -> tuple[str, str]:
    """The link's path and the code of a registration letter, as they stand in the mail."""
    with website.office.db.transaction() as session:
        reporters.ask(session, website.office, address)
    with website.office.db.reading() as session:
        letter = session.exec(
            select(Letter).where(Letter.kind == "registration").order_by(col(Letter.next_at).desc())
        ).first()
        assert letter is not None
        mail = website.office.vault.unseal(None, letter.raw).decode()
    link, code = re.search(r"/register/\w+", mail), re.search(r"^\s+(\d{6})\s*$", mail, re.MULTILINE)
    assert link
    assert code
    return link[0], code[1]


def every_url(website: Website) -> list[str]:
    """Each page and each address of the API that can be asked with GET, in every state there is."""
    waiting, decided = website.waiting(), website.waiting(spam(subject="Decided"))
    received = website.hand_in(spam(subject="Received"))
    confirm(website, decided)
    link, _ = asked(website)
    form = {"address": website.alice.submission_address, "paste": spam(subject="Pasted").decode()}
    submitted = website.http.post("/submit", data=form, files={"files": b""}).headers["location"]
    paths = [*PUBLIC, link, submitted, "/healthz", "/readyz", "/metrics", "/api/v1/openapi.json", "/nothing"]
    for complaint in (waiting, decided, received):
        paths += [website.review(complaint), website.review(complaint) + "/raw"]
        paths += [f"/api/v1/complaints/{complaint}", f"/api/v1/complaints/{complaint}/raw"]
        paths += [f"/api/v1/complaints/{complaint}/confirm", f"/api/v1/complaints/{complaint}/undo"]
    for report in reports(website).values():
        paths += [f"/stop/{report.token}", f"{website.review(report.complaint_id)}/reports/{report.id}"]
        paths += [f"/api/v1/complaints/{report.complaint_id}/reports/{report.id}"]
    return [*paths, "/api/v1/complaints", "/api/v1/submissions"]


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


def test_the_review_page_shows_everything_the_decision_rests_on(website: Website) -> None:
    complaint = website.waiting()
    page = html.unescape(review(website, complaint).text)
    for wanted in (
        "Cheap pills", "waits for you", "9 Nov 2026 12:00:00 UTC", "198.51.100.23", "certainty: high",
        "mx.victim.example is the last trusted host", NETWORK_DESK, LINK_DESK, "rdap.ripe.example names it",
        "198.51.100.0/26", "RDAP", "WHOIS", "2 Nov 2026 11:58:00 UTC", "hostmaster@victim.example",
        "It is named for technical matters only.", "It did not answer within 20 seconds.", "https://registrar.example/abuse",
        "Trust boundary", "calling itself “seller.example”", "named bank.example", "Below the source: written by strangers",
        "http://pills.example/buy?u=1", STATEMENT, "Redacted", "With my address", "4 replacements to hide you",
        "leaves 10 min later",
    ):  # fmt: skip
        assert wanted in page, wanted


def test_the_form_is_as_the_contract_says_and_nothing_is_ticked_for_the_reporter(website: Website) -> None:
    complaint = website.waiting()
    [form] = forms(review(website, complaint))
    ids = {report.to: report.id for report in reports(website).values()}
    fields = dict(form.fields)
    assert set(fields) == {"nonce", "report", "redaction", "note"}
    assert (fields["report"], fields["redaction"], fields["note"]) == (ids[NETWORK_DESK], "identity", "")
    assert ("report", ids[LINK_DESK]) in form.unticked
    assert ("read", "yes") in form.unticked
    assert {value for name, value in form.buttons if name == "do"} == {
        "confirm",
        "preview",
        "discard",
        "refresh",
    }
    assert form.buttons[0] == ("do", "preview"), "the key Enter must press a button that sends nothing"


def test_promise_2_the_page_shows_the_exact_bytes_whose_digest_is_consented_to(website: Website) -> None:
    complaint = website.waiting(
        spam(body="\x00\x1b[31m \udcff caf\udce9 <b>&amp;</b> \u202e\u2028 \t tab\r bare\r\n")
    )
    page = review(website, complaint)
    rows = reports(website)
    raws = {to: website.office.vault.unseal(website.alice.reporter.key, row.raw) for to, row in rows.items()}
    assert shown_texts(page)[:2] == [visible_bytes(raws[NETWORK_DESK]), visible_bytes(raws[LINK_DESK])]
    path = f"{website.review(complaint)}/reports/{rows[NETWORK_DESK].id}"
    served = website.http.get(path)
    assert served.content == raws[NETWORK_DESK]
    assert served.headers["content-type"] == "message/rfc822"
    assert served.headers["content-disposition"].startswith("attachment")
    assert tokens.digest(served.content) in page.text
    confirm(website, complaint)
    with website.office.db.reading() as session:
        [kept] = session.exec(select(ConsentedReport)).all()
        [given] = session.exec(select(Consent)).all()
    assert kept.digest == given.shown[0]["digest"] == tokens.digest(served.content)
    assert (given.via, given.statement, given.policy) == ("page", STATEMENT, POLICY)


def test_the_raw_spam_is_shown_and_served_as_it_came(website: Website) -> None:
    raw = spam(body="<script>alert(1)</script>\r\n")
    complaint = website.waiting(raw)
    page = review(website, complaint)
    assert visible_bytes(raw) in shown_texts(page)
    assert "<script>" not in page.text
    assert website.http.get(website.review(complaint) + "/raw").content == raw


def test_confirming_queues_the_ticked_reports_and_the_page_says_when_they_leave(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    states = {to: report.state for to, report in reports(website).items()}
    assert states == {NETWORK_DESK: ReportState.QUEUED, LINK_DESK: ReportState.DRAFT}
    page = review(website, complaint)
    assert "1 report will leave at 12:10 UTC." in page.text
    assert forms(page)[0].buttons == [("do", "undo")]


def test_both_desks_can_be_ticked(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint, report=[report.id for report in reports(website).values()])
    assert {report.state for report in reports(website).values()} == {ReportState.QUEUED}
    assert "2 reports will leave" in review(website, complaint).text


def test_without_the_tick_nothing_is_sent_and_nothing_typed_is_lost(website: Website) -> None:
    complaint = website.waiting()
    chosen = [report.id for report in reports(website).values()]
    answer = press(
        website, complaint, "confirm", report=chosen, note="Mine </textarea><b>\u202e", redaction="none"
    )
    assert answer.status_code == 422
    assert "<title>Error: " in answer.text
    assert '<a href="#read">Tick that you have read what will be sent.</a>' in answer.text
    [form] = forms(answer)
    assert [value for name, value in form.fields if name == "report"] == sorted(chosen)
    assert dict(form.fields)["note"] == "Mine </textarea><b>\u202e"
    assert dict(form.fields)["redaction"] == "none"
    assert website.show(complaint)["state"] == "awaiting_consent"
    again = website.http.post(website.review(complaint), data=form.data("confirm", read="yes"))
    assert again.status_code == 303


def test_without_a_desk_nothing_is_sent(website: Website) -> None:
    complaint = website.waiting()
    answer = press(website, complaint, "confirm", report=[], read="yes")
    assert answer.status_code == 422
    assert 'href="#desks"' in answer.text
    assert ("read", "yes") in forms(answer)[0].fields, "the tick stands, for nothing changed"


@pytest.mark.parametrize(
    "more", [{"redaction": "everything"}, {"note": f"I am {ALICE}"}, {"note": "x" * 4001}]
)
def test_a_choice_that_cannot_be_is_refused_and_nothing_changes(
    website: Website, more: dict[str, Any]
) -> None:
    complaint = website.waiting()
    before = website.dump()
    answer = press(website, complaint, "confirm", read="yes", **more)
    assert answer.status_code == 422
    assert f'href="#{next(iter(more))}"' in answer.text
    assert website.dump() == before


def test_an_unknown_button_does_nothing(website: Website) -> None:
    complaint = website.waiting()
    before = website.dump()
    [form] = forms(review(website, complaint))
    for do in ("", "send", "CONFIRM"):
        answer = website.http.post(
            website.review(complaint), data=form.data() | {"do": [do], "read": ["yes"]}
        )
        assert answer.status_code == 422
    assert website.http.post(website.review(complaint)).status_code == 422
    assert website.dump() == before


def test_a_form_shown_before_a_refresh_is_stale_and_says_what_changed(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    press(website, complaint, "refresh")
    other = "abuse@other.example"
    website.analyse(complaint, source=source_answer(contact(other), contact(NETWORK_DESK)), links=())
    answer = press(website, complaint, "confirm", old, read="yes", note="Kept")
    assert answer.status_code == 409
    assert f"{other} is new." in answer.text
    assert f"The report to {NETWORK_DESK} was written anew." in answer.text
    assert "is no longer proposed." in answer.text
    [form] = forms(answer)
    assert dict(form.fields)["note"] == "Kept"
    assert ("read", "yes") in form.unticked, "what changed must be read anew"
    assert website.show(complaint)["state"] == "awaiting_consent"
    assert (
        website.http.post(website.review(complaint), data=form.data("confirm", read="yes")).status_code == 303
    )


def test_a_form_is_good_once(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    assert press(website, complaint, "confirm", old, read="yes").status_code == 303
    again = press(website, complaint, "confirm", old, read="yes")
    assert again.status_code == 409
    assert press(website, complaint, "undo").status_code == 303
    assert website.show(complaint)["state"] == "awaiting_consent"
    after_undo = press(website, complaint, "confirm", old, read="yes")
    assert after_undo.status_code == 409
    assert "decided on" in after_undo.text
    confirm(website, complaint)


def forged(nonce: str, **more: Any) -> str:
    content, _, mac = nonce.partition(".")
    shown = json.loads(base64.urlsafe_b64decode(content)) | more
    return base64.urlsafe_b64encode(json.dumps(shown).encode()).decode() + "." + mac


@pytest.mark.parametrize(
    "kind", ["missing", "garbage", "digest", "version", "another complaint's", "too old"]
)
def test_a_nonce_that_is_not_for_this_page_confirms_nothing(website: Website, kind: str) -> None:
    complaint = website.waiting()
    page = review(website, complaint)
    good = dict(forms(page)[0].fields)["nonce"]
    other = dict(forms(review(website, website.waiting(spam(subject="Another"))))[0].fields)["nonce"]
    nonces = {
        "missing": "", "garbage": "é.\x00", "another complaint's": other, "too old": good,
        "digest": forged(good, reports={}), "version": forged(good, version=99),
    }  # fmt: skip
    if kind == "too old":
        website.clock.turn(days=8)
    answer = press(website, complaint, "confirm", page, read="yes", nonce=nonces[kind])
    assert answer.status_code == 409
    assert all(report.state == ReportState.DRAFT for report in reports(website).values())
    with website.office.db.reading() as session:
        assert not session.exec(select(Consent)).all()


def test_a_report_the_page_did_not_show_cannot_be_confirmed(website: Website) -> None:
    complaint, other = website.waiting(), website.waiting(spam(subject="Another"))
    answer = press(website, complaint, "confirm", read="yes", report=[f"{other}-1"])
    assert answer.status_code == 409
    assert website.show(complaint)["state"] == website.show(other)["state"] == "awaiting_consent"


def test_promise_2_a_preview_is_what_is_then_sent(website: Website) -> None:
    complaint = website.waiting()
    before = reports(website)[NETWORK_DESK].digest
    answer = press(website, complaint, "preview", note="The third one.", read="yes")
    assert answer.status_code == 200
    assert "The third one." in shown_texts(answer)[0]
    assert ("read", "yes") in forms(answer)[0].unticked, "new bytes must be read anew"
    previewed = reports(website)[NETWORK_DESK].digest
    assert previewed != before
    assert previewed in answer.text
    confirmed = website.http.post(
        website.review(complaint), data=forms(answer)[0].data("confirm", read="yes")
    )
    assert confirmed.status_code == 303
    with website.office.db.reading() as session:
        [kept] = session.exec(select(ConsentedReport)).all()
        [given] = session.exec(select(Consent)).all()
    assert kept.digest == given.shown[0]["digest"] == previewed
    assert given.note == "The third one."


def test_a_preview_makes_forms_shown_before_it_stale(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    assert press(website, complaint, "preview", note="New words").status_code == 200
    assert press(website, complaint, "confirm", old, read="yes").status_code == 409
    assert press(website, complaint, "preview", old).status_code == 409


def test_a_preview_with_the_address_shows_it(website: Website) -> None:
    complaint = website.waiting()
    answer = press(website, complaint, "preview", redaction="none")
    assert f"To: {ALICE}" in shown_texts(answer)[0]
    assert "replacements to hide you" not in answer.text


def test_of_many_presses_at_once_one_counts(tmp_path: Path, database_url: str) -> None:
    with running_website(tmp_path, database_url=database_url) as website:
        complaint = website.waiting()
        page = review(website, complaint)

        def send(do: str) -> int:
            return press(website, complaint, do, page, read="yes", note="Words\0 and more").status_code

        with ThreadPoolExecutor(8) as pool:
            answers = sorted(pool.map(send, ["confirm", "preview"] * 4))
        assert answers in ([200] + [409] * 7, [303] + [409] * 7)
        with website.office.db.reading() as session:
            assert len(session.exec(select(Consent)).all()) == answers.count(303)


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


def test_undo_ends_with_its_window(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    page = review(website, complaint)
    website.clock.turn(minutes=10)
    late = press(website, complaint, "undo", page)
    assert late.status_code == 409
    assert "the undo window is over" in late.text
    assert not forms(review(website, complaint))


def test_discarding_needs_no_tick_and_ends_it(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    assert press(website, complaint, "discard").status_code == 303
    page = review(website, complaint)
    assert "You decided to send nothing." in page.text
    assert not forms(page)
    assert press(website, complaint, "confirm", old, read="yes").status_code == 409
    assert press(website, complaint, "discard", old).status_code == 409


def test_the_page_renews_itself_only_while_something_is_under_way(website: Website) -> None:
    complaint = website.hand_in(spam())
    assert '<meta http-equiv="refresh"' in review(website, complaint).text
    website.analyse(complaint)
    assert "http-equiv" not in review(website, complaint).text
    confirm(website, complaint)
    assert "http-equiv" not in review(website, complaint).text


def test_a_refused_complaint_says_why_and_what_to_do(website: Website) -> None:
    complaint = website.hand_in(b"From: a@pills.example\r\nSubject: x\r\n\r\nno way to trace it\r\n")
    website.analyse(complaint)
    page = review(website, complaint)
    assert "There is no Received line in this message" in page.text
    assert "Forward the spam as an attachment" in page.text
    assert not forms(page)


def test_every_state_has_words(website: Website) -> None:
    assert set(words.COMPLAINT) == set(ComplaintState)
    assert set(words.REPORT) == set(ReportState)
    complaint = website.waiting()
    for state in ReportState:
        with website.office.db.transaction() as session:
            session.get_one(Complaint, complaint).state = ComplaintState.CONFIRMED
            session.get_one(Report, f"{complaint}-1").state = state
        page = review(website, complaint)
        assert html.escape(words.REPORT[state][1], quote=False) in page.text.replace("&#39;", "'")
    for kind in ComplaintState:
        with website.office.db.transaction() as session:
            session.get_one(Complaint, complaint).state = kind
        assert words.COMPLAINT[kind][1] in review(website, complaint).text


def test_what_became_of_a_report_is_told(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    report = reports(website)[NETWORK_DESK]
    with website.office.db.transaction() as session:
        row = session.get_one(Report, report.id)
        row.state, row.attempts, row.detail = ReportState.UNCONFIRMED, 1, "May have been sent: it stopped."
        session.add(
            Attempt(id="a1", mail_id=report.id, at=website.clock(), worker="w", host="mx.cloud.example", tls=True,
                    outcome="deferred", code=451, text="4.7.1 <script>later</script> \x1b[31m")
        )  # fmt: skip
        session.flush()
        answer = b"From: desk@cloud.example\r\nSubject: Re\r\n\r\nWe closed it.\r\n<img src=x>\x1b[2J\r\n"
        replies.receive(session, website.office, outbox.REPLY, row, "desk@cloud.example", answer)
    page = review(website, complaint)
    assert "The next mail host took it." in page.text, "an answer settles what may have been sent"
    assert (
        "mx.cloud.example, encrypted: deferred 451 4.7.1 &lt;script&gt;later&lt;/script&gt; ␛[31m"
        in page.text
    )
    [reply] = [one for one in shown_texts(page) if "We closed it." in one]
    assert "<img src=x>" in reply
    assert "\x1b" not in page.text


HOSTILE = "<script>alert(1)</script>\"'><b>\x1b[31m\u202egnp\u2066\x07"


def test_hostile_text_is_shown_as_text_everywhere(website: Website) -> None:
    complaint = website.waiting(
        spam(subject=HOSTILE, helo="<i>helo</i>\x1b", body=f"http://pills.example/{HOSTILE}\r\n")
    )
    with website.office.db.transaction() as session:
        row = session.get_one(Complaint, complaint)
        assert row.evidence is not None
        assert row.contacts is not None
        row.subject = HOSTILE
        hops = [
            hop
            | {
                "helo": HOSTILE,
                "from_name": HOSTILE,
                "by": HOSTILE,
                "id": HOSTILE,
                "why": HOSTILE,
                "with": HOSTILE,
                "for": HOSTILE,
            }
            for hop in row.evidence["hops"]
        ]
        result = {"method": HOSTILE, "result": HOSTILE, "domain": HOSTILE, "by": HOSTILE}
        link = {"url": HOSTILE, "host": HOSTILE, "domain": HOSTILE, "found_in": HOSTILE}
        row.evidence = row.evidence | {
            "hops": hops,
            "links": [link],
            "authentication": [result],
            "notes": [HOSTILE],
        }
        row.contacts = row.contacts | {"rejected": [{"address": HOSTILE, "why": HOSTILE, "target": HOSTILE}]}
        report = session.get_one(Report, f"{complaint}-1")
        report.contact = report.contact | {
            "why": HOSTILE,
            "server": HOSTILE,
            "network": HOSTILE,
            "targets": [HOSTILE],
        }
        report.changes = [{"rule": HOSTILE, "where": HOSTILE, "line": 1}]
    for _ in range(2):
        page = review(website, complaint)
        assert page.text.count("&lt;script&gt;alert(1)") > 10
        assert "<script" not in page.text
        assert "<b>" not in page.text
        assert "<i>" not in page.text
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page.text)
        if forms(page)[0].buttons[0][1] != "undo":
            confirm(website, complaint)


def test_a_very_large_report_is_cut_on_the_page_and_whole_in_the_file(website: Website) -> None:
    complaint = website.waiting(spam(body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 20_000))
    started = time.monotonic()
    page = review(website, complaint)
    assert time.monotonic() - started < 5
    assert len(page.content) < 4 * SHOWN_BYTES
    assert "Download all of it" in page.text
    report = reports(website)[NETWORK_DESK]
    whole = website.http.get(f"{website.review(complaint)}/reports/{report.id}").content
    assert len(whole) > 1_400_000
    assert tokens.digest(whole) == report.digest


def test_a_capability_that_is_not_ours_opens_nothing(website: Website) -> None:
    complaint, other = website.waiting(), website.waiting(spam(subject="Another"))
    good = website.review(complaint)
    capability = good.rpartition(".")[2]
    absent = website.office.vault.derive("review", "PL-222222222222")
    wrong = [
        f"/review/{complaint}", f"/review/{complaint}.", f"/review/{complaint}.{'a' * 32}", f"/review/{other}.{capability}",
        good[:-1], good + "a", good.upper(), "/review/.", "/review/%00.%00", f"/review/PL-222222222222.{absent}",
    ]  # fmt: skip
    pages = set()
    for path in wrong:
        for rest in ("", "/raw", f"/reports/{complaint}-1"):
            answer = website.http.get(path + rest)
            assert answer.status_code == 404, path
            pages.add(answer.text)
        assert website.http.post(path, data={"do": "discard"}).status_code == 404
    assert len(pages) == 1
    assert website.http.get(f"{good}/reports/{other}-1").status_code == 404
    assert website.show(complaint)["state"] == "awaiting_consent"


def test_an_expired_complaint_can_no_longer_be_confirmed(website: Website) -> None:
    complaint = website.waiting()
    old = review(website, complaint)
    website.clock.turn(days=7)
    from complaints import consent

    consent.step(website.office, complaint)
    assert press(website, complaint, "confirm", old, read="yes").status_code == 409
    assert "expired" in review(website, complaint).text


def test_a_suppressed_desk_is_shown_and_cannot_be_ticked(website: Website) -> None:
    with website.office.db.transaction() as session:
        replies.suppress(session, website.office, LINK_DESK, asked_by="test", reason="test")
    complaint = website.waiting()
    page = review(website, complaint)
    assert "not wanted" in page.text
    assert "This desk asked for no more reports." in page.text
    report = reports(website)[LINK_DESK]
    assert ("report", report.id) not in forms(page)[0].unticked
    assert press(website, complaint, "confirm", read="yes", report=[report.id]).status_code == 409


def test_a_desk_stops_our_reports_with_one_post_and_twice_is_once(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    report = reports(website)[NETWORK_DESK]
    page = website.http.get(f"/stop/{report.token}")
    assert NETWORK_DESK in page.text
    assert "Alice" not in page.text
    assert ALICE not in page.text
    for _ in range(2):
        answer = website.http.post(f"/stop/{report.token}")
        assert answer.status_code == 200
        assert "No more reports" in answer.text
    assert reports(website)[NETWORK_DESK].state == ReportState.SUPPRESSED
    assert "not wanted" in review(website, complaint).text
    with website.office.db.reading() as session:
        [row] = session.exec(select(Suppression)).all()
    assert (row.address, row.asked_by, row.asked_at) == (NETWORK_DESK, "page", website.clock.now)


@pytest.mark.parametrize(
    "form",
    [{"data": {"List-Unsubscribe": "One-Click"}}, {"files": {"List-Unsubscribe": (None, "One-Click")}}],
)
def test_a_mail_programs_one_click_stops_our_reports(website: Website, form: dict[str, Any]) -> None:
    website.waiting()
    report = reports(website)[NETWORK_DESK]
    assert website.http.post(f"/stop/{report.token}", **form).status_code == 200
    with website.office.db.reading() as session:
        assert session.get_one(Suppression, NETWORK_DESK).asked_by == "one-click request"


def test_a_stop_link_that_is_not_ours_stops_nothing(website: Website) -> None:
    website.waiting()
    for token in ("", "a", "a" * 20, "%00" * 20, reports(website)[NETWORK_DESK].token.upper()):
        assert website.http.get(f"/stop/{token}").status_code == 404
        assert website.http.post(f"/stop/{token}").status_code == 404
    with website.office.db.reading() as session:
        assert not session.exec(select(Suppression)).all()


def test_registration_goes_by_a_mailed_link_and_code_and_the_new_address_takes_spam(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            new = await home.http.post("/register", data={"address": " Carol@victim.example "})
            known = await home.http.post("/register", data={"address": ALICE})
            assert new.status_code == known.status_code == 200
            assert new.text.replace("Carol@victim.example", "X") == known.text.replace(ALICE, "X")
            [letter] = await home.internet.wait_for(1, to="carol@victim.example")
            mail = email.message_from_bytes(letter.raw, policy=email.policy.default).get_content()
            [link], [code] = (
                re.findall(r"http://\S+/register/\S+", mail),
                re.findall(r"^ +(\d{6})\s*$", mail, re.MULTILINE),
            )
            assert link.startswith(home.settings.url + "/")
            done = await home.http.post(link, data={"code": code, "policy": POLICY})
            address, token = re.findall(r"<dd><code>(\S+)</code></dd>", done.text)
            await home.forward([fresh_spam(to="carol@victim.example")], to=address)
            home.token = token
            [line] = await home.complaints(1)
            assert line["subject"] == "Cheap pills"

    asyncio.run(main())


def test_nobodys_mailbox_is_flooded_with_registration_letters(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            for address in ("a@nowhere.invalid", "plaint@plaint.example"):
                refused = await home.http.post("/register", data={"address": address})
                assert refused.status_code == 422
            for address in ("carol@victim.example", "CAROL@victim.example") * 4:
                assert (await home.http.post("/register", data={"address": address})).status_code == 200
            await asyncio.sleep(1)
            assert len(home.internet.messages) == 3

    asyncio.run(main())


def test_registering_takes_the_link_the_code_and_the_policy(website: Website) -> None:
    link, code = asked(website)
    page = website.http.get(link)
    assert f'name="policy" value="{POLICY}"' in page.text
    assert "checked" not in page.text
    assert website.http.post(link, data={"code": code}).status_code == 422
    wrong = website.http.post(link, data={"code": "12", "policy": POLICY})
    assert wrong.status_code == 422
    assert '<a href="#code">' in wrong.text
    assert forms(wrong)[0].fields == [("code", "12")]
    done = website.http.post(link, data={"code": f" {code[:3]} {code[3:]} ", "policy": POLICY})
    assert done.status_code == 200
    address, token = re.findall(r"<dd><code>(\S+)</code></dd>", done.text)
    with website.office.db.reading() as session:
        reporter = reporters.by_submission_address(session, website.office, address)
        assert reporter is not None
        assert (reporter.address, reporter.policy) == ("carol@example.com", POLICY)
    assert (
        website.http.get("/api/v1/complaints", headers={"Authorization": f"Bearer {token}"}).status_code
        == 200
    )
    for again in (website.http.get(link), website.http.post(link, data={"code": code, "policy": POLICY})):
        assert again.status_code == 404
        assert "no longer good" in again.text


def test_a_code_can_be_guessed_only_a_few_times(website: Website) -> None:
    link, code = asked(website)
    wrong = "000000" if code != "000000" else "000001"
    for _ in range(reporters.CODE_TRIES):
        assert website.http.post(link, data={"code": wrong, "policy": POLICY}).status_code == 422
    assert website.http.post(link, data={"code": code, "policy": POLICY}).status_code == 404
    with website.office.db.reading() as session:
        assert reporters.find(session, "carol@example.com") is None


def test_a_registration_link_ends(website: Website) -> None:
    link, _ = asked(website)
    website.clock.turn(minutes=reporters.LIFE_MINUTES)
    assert website.http.get(link).status_code == 404
    assert website.http.get("/register/nothing").status_code == 404


def test_an_address_that_is_none_is_refused_with_what_is_wrong(website: Website) -> None:
    for address in ("", "nobody", "a@b@c", "<script>@x"):
        answer = website.http.post("/register", data={"address": address})
        assert answer.status_code == 422
        assert 'aria-describedby="address-error"' in answer.text
        assert forms(answer)[0].fields == [("address", address)]
    with website.office.db.reading() as session:
        assert not session.exec(select(Letter)).all()


def handed_in(
    website: Website, files: list[tuple[str, bytes]] | None = None, **fields: str
) -> httpx.Response:
    """What a browser sends for the form on /submit; without a file it sends one without a name."""
    data = {"address": website.alice.submission_address, "paste": ""} | fields
    sent = [("files", (name, raw)) for name, raw in files or []] or [("files", ("", b""))]
    return website.http.post("/submit", data=data, files=sent)


def result(website: Website, answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == 303, answer.text
    page = website.http.get(answer.headers["location"])
    assert page.status_code == 200
    return page


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
    assert "None is empty." in page.text
    assert "some mail programs attach an empty file" in page.text
    found = [line["id"] for line in website.api("GET", "/complaints").json()["items"]]
    for complaint in found:
        website.analyse(complaint)
    after = website.http.get(answer.headers["location"])
    assert "http-equiv" not in after.text
    assert "Grade <strong>A</strong>" in after.text
    assert "Grade <strong>D</strong>" in after.text
    assert "There is no Received line" in after.text
    assert {website.review(complaint) for complaint in found} == set(
        re.findall(r'href="(/review/[^"]+)"', after.text)
    )
    [kept] = [one for one in found if website.show(one)["subject"] == "Odd"]
    assert website.api("GET", f"/complaints/{kept}/raw").content == odd


def test_a_forward_is_unwrapped_when_the_box_is_ticked(website: Website) -> None:
    from complaints.demo import as_attachments

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
    for program in ("Thunderbird", "Apple Mail", "Outlook", "Gmail", "Proton Mail"):
        assert f"<summary>{program}</summary>" in page


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
