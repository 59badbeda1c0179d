"""How the review page shows the evidence: the list first, the picture second, and all of a spam as text."""

import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from complaints.grades import GRADES
from complaints.models import Complaint, ComplaintState, Letter
from complaints.web.pages.review_view import MOST_CLAIMS, MOST_HOSTS, MOST_LINKS
from complaints.web.visible import visible
from tests.house import ALICE
from tests.visitor import HOSTILE, confirm, review
from tests.website import LINK_DESK, Website, contact, forms, running_website, source_answer, spam

SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def with_evidence(website: Website, change: Callable[[dict[str, Any]], dict[str, Any]], **more: Any) -> str:
    """A waiting complaint whose evidence was changed."""
    complaint = website.waiting(spam(**more))
    with website.office.db.transaction() as session:
        row = session.get_one(Complaint, complaint)
        assert row.evidence is not None
        row.evidence = row.evidence | change(row.evidence)
    return complaint


def test_the_list_comes_first_the_picture_second_and_both_say_the_same(website: Website) -> None:
    text = review(website, website.waiting()).text
    [drawn] = SVG.findall(text)
    assert text.index('<ol class="hops"') < text.index("Trust boundary") < text.index(drawn)
    picture = ET.fromstring(drawn)  # well-formed
    words = [element.text for element in picture.iter("text")]
    for said in ("You", "mx.victim.example", "198.51.100.23", "“seller.example”", "source", "192.0.2.77", "bank.example",
                 "not believed", "believed", "trust boundary"):  # fmt: skip
        assert said in words, said
    assert picture.get("role") == "img"
    title = picture.find("title")
    assert title is not None
    assert title.get("id") == picture.get("aria-labelledby")
    assert "which had it from 198.51.100.23" in (title.text or "")


def test_the_picture_is_shapes_and_texts_and_nothing_a_browser_would_act_on(website: Website) -> None:
    [drawn] = SVG.findall(review(website, website.waiting()).text)
    picture = ET.fromstring(drawn)
    assert {element.tag for element in picture.iter()} == {"svg", "title", "g", "path", "rect", "text"}
    names = {name for element in picture.iter() for name in element.keys()}  # noqa: SIM118 - an Element is no mapping
    assert not {name for name in names if name.startswith("on") or name in {"style", "href", "filter"}}


@pytest.mark.parametrize(
    "name",
    [HOSTILE, "x" * 5_000, "</text></svg><script>", "]]>", "&lt;b&gt;", "\u202egnp.exe", "\ud800", "漢" * 90, "\r\n\t ", "é\u0301" * 50],
)  # fmt: skip
def test_whatever_a_hop_is_named_it_is_text_in_the_list_and_in_the_picture(
    website: Website, name: str
) -> None:
    def renamed(evidence: dict[str, Any]) -> dict[str, Any]:
        names = dict.fromkeys(("helo", "from_name", "by", "id", "with", "for", "why"), name)
        return {"hops": [hop | names for hop in evidence["hops"]], "explanation": name, "notes": [name]}

    page = review(website, with_evidence(website, renamed))
    [drawn] = SVG.findall(page.text)
    texts = [element.text or "" for element in ET.fromstring(drawn).iter("text")]
    assert max(map(len, texts)) < 250
    assert "<script" not in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page.text)
    if name.isprintable() and len(name) < 20:
        assert any(name in text for text in texts)
        assert html.escape(name, quote=False) in page.text.replace("&#39;", "'").replace("&#34;", '"')


def test_each_hop_leads_to_its_own_line_in_the_source(website: Website) -> None:
    raw = spam(body="Received: from a by b; in the body\r\n")
    page = review(website, website.waiting(raw)).text
    lines = dict(re.findall(r'<span id="raw-(\d+)" class="line">(.*?)</span>', page, re.DOTALL))
    assert [n for n in lines if f'href="#raw-{n}"' in page] == list(lines) == ["0", "1"]
    assert "seller.example (unknown [198.51.100.23])" in lines["0"]
    assert "4F2A81C0" in lines["0"]
    assert "bank.example (bank.example [192.0.2.77])" in lines["1"]
    assert "Message-ID" not in lines["1"]


def test_whom_the_spam_was_sent_to_is_not_where_it_wants_to_be_answered(website: Website) -> None:
    page = review(website, website.waiting(spam(body="Write to drop@box.example\r\n"))).text
    wants = page.partition("Where it wants")[2].partition("The spam itself")[0]
    assert "drop@box.example" in wants
    assert ALICE not in wants


def test_a_clock_that_runs_back_is_said_in_words(website: Website) -> None:
    def later(evidence: dict[str, Any]) -> dict[str, Any]:
        first, second = evidence["hops"]
        dates = ("2026-11-02T09:00:00Z", "2026-11-02T09:47:00Z")
        return {"hops": [first | {"date": dates[0]}, second | {"date": dates[1]}]}

    assert "1 h before the line above" in review(website, website.waiting()).text
    page = review(website, with_evidence(website, later, subject="Late")).text
    assert "47 min after the line above: a clock runs back" in page


def test_what_is_too_much_to_read_is_counted(website: Website) -> None:
    def much(evidence: dict[str, Any]) -> dict[str, Any]:
        first, second = evidence["hops"]
        link = evidence["links"][0]
        hosts = [f"h{n}.example" for n in range(MOST_HOSTS + 3)]
        links = [link | {"host": host, "domain": host} for host in hosts]
        links += [
            link | {"host": hosts[0], "domain": hosts[0], "url": f"http://h0.example/{n}"}
            for n in range(MOST_LINKS)
        ]
        lures = [
            {"kind": "mail", "value": f"a{n}@freemail.example", "found_in": "text"}
            for n in range(MOST_LINKS + 2)
        ]
        return {
            "hops": [first, *(second | {"n": n} for n in range(1, MOST_CLAIMS + 6))],
            "links": links,
            "lures": lures,
        }  # fmt: skip

    page = review(website, with_evidence(website, much)).text
    assert "5 further lines of this kind" in page
    assert "And 3 further hosts" in page
    assert "And 1 further one." in page
    assert "And 2 further ones." in page


def test_addresses_without_end_do_not_make_a_page_without_end(website: Website) -> None:
    def endless(evidence: dict[str, Any]) -> dict[str, Any]:
        [link] = evidence["links"]
        url = "http://pills.example/" + "z" * 16_000
        return {"links": [link | {"url": f"{url}{n}", "via": [url] * 6, "notes": [url]} for n in range(500)]}

    page = review(website, with_evidence(website, endless))
    assert "http://pills.example/zzz" in page.text
    assert "And 490 further ones." in page.text
    assert len(page.content) < 150_000


def test_links_stand_by_who_answers_for_them_and_bystanders_say_why(website: Website) -> None:
    def grouped(evidence: dict[str, Any]) -> dict[str, Any]:
        [link] = evidence["links"]
        other = {"url": "http://www.w3.org/x", "host": "www.w3.org", "domain": "w3.org", "found_in": "html"}
        hosts = [
            {"host": "pills.example", "domain": "pills.example", "bystander": None},
            {"host": "www.w3.org", "domain": "w3.org", "bystander": "Every page names it."},
        ]
        return {"links": [other, link | {"notes": ["Its text shows bank.example."]}], "hosts": hosts}

    page = review(website, with_evidence(website, grouped)).text
    first, second = re.findall(r'<li class="card group.*?</li>\n</ul>', page, re.DOTALL)
    assert "pills.example" in first
    assert "Its text shows bank.example." in first
    assert "bystander" not in first
    assert "Every page names it." in second


def test_what_others_claim_of_a_sender_is_said_not_to_be_believed(website: Website) -> None:
    def claims(_evidence: dict[str, Any]) -> dict[str, Any]:
        row = {"method": "dkim", "result": "pass", "domain": "bank.example", "by": "relay.example"}
        signature = {
            "domain": "esp.example",
            "selector": "s1",
            "result": "pass",
            "why": "It holds.",
            "aligned": False,
        }
        return {
            "authentication": [row | {"domain": "esp.example", "by": "mx.victim.example"}],
            "unconfirmed": [row],
            "signatures": [signature | {"candidate": True}],
        }  # fmt: skip

    page = review(website, with_evidence(website, claims)).text
    believed, _, claimed = page.partition("1 claim not believed")
    assert "What your mail host checked" in believed
    assert "It holds." in believed
    assert "relay.example" not in believed.partition("Who vouched for it")[2]
    assert "relay.example" in claimed


def test_the_finding_can_be_copied_without_a_script(website: Website) -> None:
    complaint = with_evidence(website, lambda _evidence: {"explanation": "We took it </textarea><b>."})
    page = review(website, complaint).text
    [area] = re.findall(r"<textarea([^>]*)>\n(We took it.*?)</textarea>", page, re.DOTALL)
    assert "readonly" in area[0]
    assert "name=" not in area[0], "it is no field of the form"
    assert area[1] == "We took it &lt;/textarea&gt;&lt;b&gt;."


def test_evidence_of_an_earlier_version_is_shown(website: Website) -> None:
    old = ("source", "hops", "links", "authentication", "grade", "confidence", "notes")
    complaint = website.waiting()
    with website.office.db.transaction() as session:
        row = session.get_one(Complaint, complaint)
        assert row.evidence is not None
        row.evidence = {name: row.evidence[name] for name in old}
    page = review(website, complaint).text
    assert "The finding in words" not in page
    assert "http://pills.example/buy" in page


# ---- this host is mine


def mine_forms(website: Website, complaint: str) -> list[dict[str, str]]:
    page = review(website, complaint)
    return [dict(form.fields) for form in forms(page) if ("do", "mine") in form.buttons]


def test_the_host_that_is_held_for_the_source_can_be_called_ones_own(website: Website) -> None:
    complaint = website.waiting()
    [form] = mine_forms(website, complaint)
    assert set(form) == {"nonce", "hop"}
    assert form["hop"] == "0"
    assert "Nothing is sent." in review(website, complaint).text
    confirm(website, complaint)
    assert mine_forms(website, complaint) == []


def test_it_can_be_so_also_where_nobody_could_be_told(website: Website) -> None:
    complaint = website.waiting(source=source_answer(contact("abuse@plaint.example")), links=())
    assert website.show(complaint)["state"] == ComplaintState.REFUSED
    [form] = mine_forms(website, complaint)
    assert form["nonce"]


# ---- grades and desks


@pytest.mark.parametrize("grade", GRADES)
def test_a_grade_is_said_in_words_wherever_it_stands(website: Website, grade: str) -> None:
    complaint = with_evidence(website, lambda _evidence: {"grade": grade})
    page = html.unescape(review(website, complaint).text)
    assert f"Evidence grade {grade}: {GRADES[grade].short}." in page
    assert GRADES[grade].means in page
    assert GRADES[grade].signatures in page
    assert GRADES[grade].means in website.http.get("/help").text


def test_lists_and_documents_carry_the_grade(website: Website) -> None:
    complaint = website.waiting()
    assert website.show(complaint)["grade"] == "A"
    [line] = website.api("GET", "/complaints").json()["items"]
    assert line["grade"] == "A"


def test_the_notice_says_what_the_grade_means(website: Website) -> None:
    from complaints import notice

    complaint = website.waiting()
    website.clock.turn(hours=1)
    with website.office.db.reading() as session:
        submission = session.get_one(Complaint, complaint).submission_id
    notice.step(website.office, submission)
    with website.office.db.reading() as session:
        [letter] = session.exec(select(Letter).where(Letter.kind == "notice"))
        mail = website.office.vault.unseal(website.alice.reporter.key, letter.raw).decode()
    assert "Came from: 198.51.100.23\r\n   Evidence: grade A (complete, as it came)\r\n" in mail


def test_a_desk_that_is_not_ticked_says_why(website: Website) -> None:
    page = review(website, website.waiting()).text
    card = page.partition(LINK_DESK)[2].partition("</li>")[0]
    assert "the linked host <code>pills.example</code>" in card
    assert "Not ticked:" in card
    assert visible("A link may lead to somebody innocent") in card
    assert "Not ticked:" not in page.partition(LINK_DESK)[0]
