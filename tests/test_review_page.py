"""What the review page shows: everything the decision rests on, exactly, and as text."""

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlmodel import select

from abuse_lookup.answer import Reason
from complaints import outbox, replies, tokens
from complaints.db import move
from complaints.models import (
    Attempt,
    Complaint,
    ComplaintState,
    Consent,
    ConsentedReport,
    Report,
    ReportState,
)
from complaints.policy import POLICY, STATEMENT
from complaints.web import words
from complaints.web.page import SHOWN_BYTES
from complaints.web.visible import visible_bytes
from tests.house import unguarded
from tests.visitor import HOSTILE, confirm, press, reports, review, shown_texts
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


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


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
        "leaves 10 minutes later",
    ):  # fmt: skip
        assert wanted in page, wanted


def test_the_form_is_as_the_contract_says_and_nothing_is_ticked_for_the_reporter(website: Website) -> None:
    complaint = website.waiting()
    form, mine = forms(review(website, complaint))
    ids = {report.to: report.id for report in reports(website).values()}
    fields = dict(form.fields)
    assert set(fields) == {"nonce", "report", "redaction", "note", "hide"}
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
    assert mine.fields == [("nonce", fields["nonce"]), ("hop", "0")]
    assert mine.buttons == [("do", "mine")]


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
    with website.office.db.transaction() as session:
        unguarded(session)  # so that a report can be put into any state
    for state in ReportState:
        with website.office.db.transaction() as session:
            session.get_one(Complaint, complaint).state = ComplaintState.CONFIRMED
            session.get_one(Report, f"{complaint}-01").state = state
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
        move(session, row, ReportState.SENDING)
        move(session, row, ReportState.UNCONFIRMED, attempts=1, detail="May have been sent: it stopped.")
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
        report = session.get_one(Report, f"{complaint}-01")
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
    absent = urlsplit(website.office.review_url("PL-222222222222")).path
    ended = good.split(".")[1]
    wrong = [
        f"/review/{complaint}.{capability}", f"/review/{complaint}.{int(ended) + 1}.{capability}", f"/review/{other}.{ended}.{capability}",
        f"/review/{complaint}", f"/review/{complaint}.", f"/review/{complaint}.{'a' * 32}", f"/review/{other}.{capability}",
        good[:-1], good + "a", good.upper(), "/review/.", "/review/%00.%00", absent,
    ]  # fmt: skip
    pages = set()
    for path in wrong:
        for rest in ("", "/raw", f"/reports/{complaint}-01"):
            answer = website.http.get(path + rest)
            assert answer.status_code == 404, path
            pages.add(answer.text)
        assert website.http.post(path, data={"do": "discard"}).status_code == 404
    assert len(pages) == 1
    assert website.http.get(f"{good}/reports/{other}-01").status_code == 404
    assert website.show(complaint)["state"] == "awaiting_consent"


def test_hosts_nobody_was_asked_about_are_counted(website: Website) -> None:
    complaint = website.waiting()
    assert "further host" not in review(website, complaint).text
    with website.office.db.transaction() as session:
        row = session.get_one(Complaint, complaint)
        row.contacts = (row.contacts or {}) | {"links_not_looked_up": 7}
    assert "It links to 7 further hosts" in review(website, complaint).text


def test_a_desk_shows_every_way_in_which_it_was_found(website: Website) -> None:
    way = Reason("host", "whois", "whois.ripe.example", "low", f"It says {HOSTILE}.", website.clock.now)
    found = source_answer(contact(NETWORK_DESK, also=(way, way)), contact("other@cloud.example"))
    page = review(website, website.waiting(source=found))
    assert "Found in 2 other ways, too" in page.text
    assert page.text.count("Found in") == 1, "not where there is one way only"
    assert html.escape("It says") in page.text
    assert HOSTILE not in page.text


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
