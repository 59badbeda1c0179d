"""The evidence in a terminal: drawn where lines can be drawn, typed where not, and never more than text."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from complaints.screen import DRAWN, LONGEST, TYPED, Screen, clean
from complaints.terminal import item_lines
from complaints.terminal_trace import MOST_CLAIMS, MOST_HOSTS, MOST_LINKS, trace_lines
from tests.test_outline import evidence, hop, link

PIPE = Screen()


def document(*hops: dict[str, Any], **more: Any) -> dict[str, Any]:
    source = {"ip": "203.0.113.9", "hop": 1, "why": "mx1.example saw it.", "confidence": "high"}
    facts = {"links": [], "authentication": [], "notes": [], "grade": "A", "source": source}
    way = hops or (
        hop(0, date="2026-11-02T10:00:02Z", by="store.victim.example"),
        hop(1, date="2026-11-02T10:00:01Z", by="mx.victim.example", from_ip="203.0.113.9", helo="evil.example"),
        hop(2, date="2026-11-02T10:47:01Z", by="relay.evil.example", trusted=False, why="Written by strangers."),
    )  # fmt: skip
    return evidence(*way) | facts | more


def said(document: dict[str, Any], screen: Screen = PIPE) -> str:
    return "\n".join(trace_lines(document, screen))


def test_the_way_is_drawn_with_the_newest_on_top_and_the_boundary_below_the_source() -> None:
    assert (
        said(document())
        == """\
Source: 203.0.113.9  (confidence: high)
  mx1.example saw it.
Evidence grade A: complete, as it came. Its DKIM signatures can be checked.
The way it took, newest first:
  * you
  |
  * store.victim.example  (your host)
  |  0  2026-11-02 10:00:02 UTC
  |     from 198.51.100.7
  |     So.
  |
  * mx.victim.example  (your host)
  |  1  2026-11-02 10:00:01 UTC, 1 s before the line above
  |     from 203.0.113.9, calling itself "evil.example"
  |     So.
  |
  # 203.0.113.9  SOURCE
  === trust boundary: what stands below is claimed, not believed =============
  :
  o relay.evil.example  (not believed)
  :  2  2026-11-02 10:47:01 UTC, 47 min after the line above: a clock runs back
  :     from 198.51.100.7
  :     Written by strangers."""
    )


def test_a_terminal_that_can_draw_gets_lines_and_the_same_words() -> None:
    drawn, typed = said(document(), Screen(marks=DRAWN)), said(document())
    assert "● store.victim.example" in drawn
    assert "◆ 203.0.113.9  SOURCE" in drawn
    assert "═══ trust boundary" in drawn
    assert typed.isascii()
    marks = str.maketrans(dict(zip("●◆○│┆═", "*#o|:=", strict=True)))
    assert drawn.translate(marks) == typed


def test_without_a_source_nobody_is_named() -> None:
    text = said(document(source=None))
    assert text.startswith("Source: none can be named")
    assert "# ?  no source can be named" in text
    assert "SOURCE" not in text


def test_where_nothing_is_claimed_the_boundary_says_so() -> None:
    assert "trust boundary: nothing below" in said(document(hop(0), hop(1)))


def test_links_lures_signatures_and_claims_stand_in_their_groups() -> None:
    text = said(
        document(
            links=[
                link("http://www.w3.org/x", "www.w3.org", "w3.org"),
                link("http://p.example/1", "p.example", "p.example", notes=["Its text shows bank.example."]),
            ],
            hosts=[
                {"host": "p.example", "domain": "p.example", "bystander": None},
                {"host": "www.w3.org", "domain": "w3.org", "bystander": "A namespace."},
            ],
            lures=[{"kind": "mail", "value": "boss@freemail.example", "found_in": "text"}],
            authentication=[{"method": "spf", "result": "fail", "domain": "p.example", "by": "mx.example"}],
            unconfirmed=[{"method": "dkim", "result": "pass", "domain": "bank.example", "by": None}],
            signatures=[{"domain": "esp.example", "selector": "s1", "result": "pass", "why": "It holds."}],
            explanation="On 2 November we took it.",
            notes=["The message was resent."],
            grade="C",
        )
    )
    for wanted in (
        "  p.example  (1 in text)\n    ! Its text shows bank.example.\n    http://p.example/1",
        "  www.w3.org  (1 in text)\n    bystander: A namespace.\n    http://www.w3.org/x",
        "  boss@freemail.example  (mail, text)",
        "as your mail host found it:\n  spf fail p.example  by mx.example",
        "not believed:\n  dkim pass bank.example",
        "  esp.example (selector s1): pass. It holds.",
        "In words, for a desk:\n  On 2 November we took it.",
        "  - The message was resent.",
        "Evidence grade C: parts of the headers are missing",
    ):
        assert wanted in text, wanted
    assert text.index("p.example  (1") < text.index("www.w3.org  (1")


def test_what_is_too_much_to_read_is_counted() -> None:
    hops = [hop(n, trusted=n < 2) for n in range(2 + MOST_CLAIMS + 7)]
    links = [link(f"http://h{n}.example/", f"h{n}.example", f"h{n}.example") for n in range(MOST_HOSTS + 3)]
    links += [link(f"http://h0.example/{n}", "h0.example", "h0.example") for n in range(MOST_LINKS + 4)]
    text = said(document(*hops, links=links))
    assert "and 7 more lines not believed" in text
    assert "and 3 more hosts" in text
    assert "and 5 more" in text


def test_lines_fit_the_screen_and_a_long_address_is_not_broken() -> None:
    url = "http://p.example/" + "x" * 300
    found = document(
        links=[link(url, "p.example", "p.example")], notes=["word " * 60], explanation="word " * 90
    )
    for width in (40, 80, 120):
        lines = said(found, Screen(width)).splitlines()
        assert [line for line in lines if len(line) > max(width, 66) and url not in line] == []
        assert f"    {url}" in lines


HIDDEN = "\x1b[31m\r\n\x07\x9b2J\u202e\u2028\u200b\ud800"


@given(st.text(alphabet=st.sampled_from(HIDDEN + "ab <>\"'“é漢"), max_size=80))
def test_nothing_a_spam_says_reaches_the_terminal_as_more_than_text(text: str) -> None:
    row = {"method": text, "result": text, "domain": text, "by": text}
    hostile = document(
        *(hop(n, trusted=n < 2, by=text, helo=text, from_name=text, why=text, date=text) for n in range(3)),
        links=[link(text, text, text, notes=[text], found_in=text)],
        hosts=[{"host": text, "domain": text, "bystander": text}],
        lures=[{"kind": "mail", "value": text, "found_in": text}],
        authentication=[row],
        unconfirmed=[row],
        signatures=[{"domain": text, "selector": text, "result": text, "why": text}],
        explanation=text,
        notes=[text],
        file=text,
    )
    for line in trace_lines(hostile, PIPE):
        assert not [char for char in line if not char.isprintable()]


def test_a_text_without_end_is_cut() -> None:
    assert len(clean("x" * 10_000_000)) < LONGEST + 10


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("encoding", "columns", "screen"),
    [
        ("utf-8", "100", Screen(100, DRAWN)),
        ("latin-1", "100", Screen(100, TYPED)),
        ("utf-8", "7", Screen(40, DRAWN)),
        ("utf-8", "500", Screen(120, DRAWN)),
    ],
)
def test_a_terminal_says_how_wide_it_is_and_what_it_can_draw(
    encoding: str, columns: str, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert Screen.of(Terminal(io.BytesIO(), encoding)) == screen
    assert Screen.of(io.TextIOWrapper(io.BytesIO(), encoding)) == Screen(80, TYPED)


def test_why_and_what_to_do_of_an_item_are_two_sentences() -> None:
    told = {"reason": "It waits for you.", "remedy": "Decide there."}
    item = {"file": "a.mbox", "index": 0, "status": "duplicate", "complaint": "PL-1", **told}
    assert list(item_lines(item)) == ["a.mbox[0]: duplicate PL-1 (It waits for you. Decide there.)"]
