"""Lines that came in a mixed order are put back, and never so that a forged one decides."""

import itertools

import pytest

from complaints.finding import explanation
from complaints.message import parse
from complaints.trace import Trace, Trust, trace

SPAMMER, VICTIM = "198.51.100.66", "203.0.113.99"


def line(name: str, ip: str, by: str, minute: int) -> str:
    return f"Received: from {name} ({name} [{ip}]) by {by} (Postfix) with ESMTP id 1; Tue, 24 Nov 2026 01:{minute:02}:03 +0000"


INNER = line("mx.reporter.example", "192.0.2.10", "imap.reporter.example", 3)
BORDER = line("spam.example", SPAMMER, "mx.reporter.example", 2)
OLD = line("pc.spam.example", VICTIM, "spam.example", 1)
FORGED = line("mail.victim.example", VICTIM, "mx.reporter.example", 2)


def walked(lines: tuple[str, ...], trust: tuple[str, ...] = ("reporter.example",)) -> Trace:
    return trace(parse("\r\n".join([*lines, "", ""]).encode()), Trust.of(trust), "C")


@pytest.mark.parametrize("lines", list(itertools.permutations([INNER, BORDER, OLD])))
def test_no_order_leads_to_anybody_but_the_source(lines: tuple[str, ...]) -> None:
    found = walked(lines)
    assert found.grade == "C"
    if lines[0] == BORDER or lines[:2] == (INNER, BORDER):
        assert found.source is not None
        assert found.source.ip == SPAMMER
        assert "line 2 from the top" not in explanation(found)
    else:
        # Nothing but names and times, which a stranger may write, would put the border's line above that one.
        assert found.source is None
    if lines[:2] != (INNER, BORDER):
        assert found.confidence == "low"
        assert any("mixed order" in note for note in found.notes)


def test_a_line_is_not_pulled_over_that_of_a_host_under_a_name_not_seen_before() -> None:
    seen = line("spam.example", SPAMMER, "edge.inside.example", 2)
    found = walked((INNER, seen, line("mail.victim.example", VICTIM, "mx.reporter.example", 3)))
    assert found.source is None
    forged_later = line("mail.victim.example", VICTIM, "mx.reporter.example", 4)
    assert walked((seen, forged_later)).source is None


@pytest.mark.parametrize("lines", list(itertools.permutations([INNER, BORDER, FORGED])))
def test_where_a_line_may_be_forged_nobody_is_named(lines: tuple[str, ...]) -> None:
    found = walked(lines)
    assert found.source is None
    assert any("nobody is named" in note for note in found.notes)


@pytest.mark.parametrize(
    "lines", list(itertools.permutations([BORDER, line("a.example", VICTIM, "b.example", 50)]))
)
def test_a_stranger_may_not_write_later_than_the_trusted_hosts(lines: tuple[str, ...]) -> None:
    found = walked(lines).source
    assert found is None or found.ip == SPAMMER
