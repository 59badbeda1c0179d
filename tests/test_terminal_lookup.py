"""Who answers, in a terminal: at most 20 calm lines, whatever servers said."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import east_asian_width

import pytest
from hypothesis import given
from hypothesis import strategies as st

from complaints.screen import DRAWN, Screen
from complaints.terminal_lookup import MOST_ANSWER, MOST_LINES, lookup_lines

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
HIDDEN = "\x1b[31m\r\n\x07\x9b2J\u202e\u2028\u200b\ud800"


def contact(address: str = "abuse@cloud.example", **more: Any) -> dict[str, Any]:
    facts = {
        "scope": "network",
        "source": "rdap",
        "server": "rdap.ripe.example",
        "confidence": "high",
        "why": "RDAP names it as the abuse contact of this network.",
        "as_of": (NOON - timedelta(hours=3)).isoformat(),
    }
    return {"address": address} | facts | more


def document(*contacts: dict[str, Any], **more: Any) -> dict[str, Any]:
    facts = {
        "target": "198.51.100.23",
        "kind": "ip",
        "network": "198.51.100.0/26",
        "rejected": [],
        "failures": [],
    }
    return facts | {"contacts": list(contacts)} | more


def question(**more: Any) -> dict[str, Any]:
    facts = {
        "at": NOON.isoformat(),
        "source": "whois",
        "server": "whois.ripe.example",
        "question": "-B 198.51.100.23",
        "status": "found",
        "seconds": 0.0312,
    }
    return facts | more


def said(document: dict[str, Any], screen: Screen | None = None) -> str:
    return "\n".join(lookup_lines(document, NOON, screen or Screen()))


def rejected(n: int, why: str = "It is the registry's own.") -> dict[str, str]:
    return {"address": f"irt{n}@registry.example", "why": why}


def failure(n: int, reason: str = "no answer in time", *, permanent: bool = False) -> dict[str, Any]:
    return {"source": "whois", "server": f"whois{n}.example", "reason": reason, "permanent": permanent}


def test_an_answer_says_who_how_sure_why_and_from_where() -> None:
    low = contact("abuse@pills.example", scope="domain", confidence="low", source="dns", server="")
    assert (
        said(document(contact(), low, rejected=[rejected(1)], failures=[failure(1)]))
        == """\
198.51.100.23  (ip)
  in 198.51.100.0/26
  # abuse@cloud.example  (network, high)
    RDAP names it as the abuse contact of this network.
    RDAP, rdap.ripe.example, asked 3 h ago
  o abuse@pills.example  (domain, low)
    RDAP names it as the abuse contact of this network.
    DNS, asked 3 h ago
  not used: irt1@registry.example: It is the registry's own.
  failed: WHOIS: whois1.example: no answer in time (may work later)"""
    )


def test_a_form_is_shown_where_there_is_no_mailbox() -> None:
    form = {**contact(), "form": "https://host.example/abuse", "source": "known", "server": "Host"}
    del form["address"]
    text = said(document(form, network=None))
    assert "# https://host.example/abuse  (network, high)" in text
    assert "    known to us, Host, as of 2026-11-02" in text


def test_nobody_found_is_said() -> None:
    assert "o no abuse desk found" in said(document())


@pytest.mark.parametrize(
    ("ago", "words"),
    [(timedelta(seconds=5), "asked now"), (timedelta(minutes=7), "asked 7 min ago"), (timedelta(minutes=100), "100 min ago"),
     (timedelta(hours=30), "asked 30 h ago"), (timedelta(days=3), "asked 3 d ago")],
)  # fmt: skip
def test_the_age_of_an_answer_is_in_words(ago: timedelta, words: str) -> None:
    assert words in said(document(contact(as_of=(NOON - ago).isoformat())))


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("word", ["a reason of some length ", "x" * 3000, "漢字"])
def test_no_answer_takes_more_than_twenty_lines(width: int, word: str) -> None:
    text = word * 60
    many = document(
        *(contact(f"abuse{n}@host.example", why=text, server=text) for n in range(12)),
        target="http://pills.example/" + "x" * 5000,
        rejected=[rejected(n, text) for n in range(9)],
        failures=[failure(n, text) for n in range(9)],
    )
    lines = said(many, Screen(width)).splitlines()
    columns = [sum(2 if east_asian_width(char) in "WF" else 1 for char in line) for line in lines]
    assert sum(1 + (count - 1) // width for count in columns) <= MOST_LINES
    assert any("more; --json has them all" in line for line in lines)
    assert "  and 6 more not used" in lines
    assert "  and 6 more failures" in lines


@given(st.text(alphabet=st.sampled_from(HIDDEN + "ab <>\"'“é漢"), max_size=80))
def test_nothing_a_server_says_reaches_the_terminal_as_more_than_text(text: str) -> None:
    hostile = document(
        contact(text, why=text, server=text, scope=text),
        target=text,
        network=text,
        rejected=[{"address": text, "why": text}],
        failures=[{"source": text, "server": text, "reason": text, "permanent": False}],
        questions=[question(server=text, question=text, reason=text, read=[text], answer=text, source=text)],
    )
    for line in lookup_lines(hostile, NOON, Screen()):
        assert not [char for char in line if not char.isprintable()]


def test_an_explanation_shows_each_question_and_its_answer_as_it_came() -> None:
    asked = [
        question(
            read=["198.51.100.0 - 198.51.100.63"], answer="% RIPE\r\n\r\nabuse-mailbox:\tabuse@cloud.example"
        ),
        question(
            source="rdap", status="temporary", reason="It answered 500", question="https://rdap.example/ip/x"
        ),
        question(source="cache", server="", question="198.51.100.23", cached=True, reason="good until noon"),
    ]
    assert (
        said(document(questions=asked)).partition("\n\n")[2]
        == """\
  3 questions, in the order they were asked:

  1 WHOIS whois.ripe.example  0.031 s  found
    > -B 198.51.100.23
    = 198.51.100.0 - 198.51.100.63
    : % RIPE
    :
    : abuse-mailbox:  abuse@cloud.example

  2 RDAP whois.ripe.example  0.031 s  failed, may work later
    > https://rdap.example/ip/x
    It answered 500

  3 kept  0.031 s  kept
    > 198.51.100.23
    good until noon"""
    )
    assert "Nobody was asked." in said(document(questions=[]))


def test_a_long_answer_is_cut_and_says_so() -> None:
    text = said(document(questions=[question(answer="x" * 76 * 100)]))
    assert text.count("x" * 70) == MOST_ANSWER
    assert "and 77 more lines" in text or "more lines; --json has them all" in text


def test_a_terminal_that_can_draw_gets_marks() -> None:
    assert "◆ abuse@cloud.example" in said(document(contact()), Screen(marks=DRAWN))
