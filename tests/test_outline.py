"""What page and terminal say beside the evidence: verdicts, pauses, encryption, links by who answers for them."""

from datetime import timedelta
from typing import Any

import pytest

from complaints.grades import GRADES
from complaints.outline import answers, groups, pause, steps


def hop(n: int, *, trusted: bool = True, date: str | None = None, **more: Any) -> dict[str, Any]:
    facts = {"n": n, "from_ip": "198.51.100.7", "from_name": None, "helo": None, "by": f"mx{n}.example"}
    rest = {"with": "ESMTP", "id": None, "for": None, "date": date, "trusted": trusted, "why": "So."}
    return facts | rest | more


def evidence(*hops: dict[str, Any], source: int | None = None, **more: Any) -> dict[str, Any]:
    found = None if source is None else {"ip": "198.51.100.7", "hop": source}
    return {"hops": list(hops), "source": found} | more


def link(url: str, host: str, domain: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "host": host, "domain": domain, "found_in": "text", "via": []} | more


def test_each_hop_has_one_verdict_and_only_believed_ones_are_yours_or_the_source() -> None:
    way = steps(evidence(hop(0), hop(1), hop(2, trusted=False), source=1))
    assert [step.words for step in way] == ["your host", "source", "not believed"]


def test_without_a_source_the_last_believed_line_is_where_the_trace_ends() -> None:
    way = steps(evidence(hop(0), hop(1), hop(2, trusted=False)))
    assert [step.words for step in way] == ["your host", "the trace ends here", "not believed"]


def test_a_source_below_the_boundary_is_never_called_so() -> None:
    way = steps(evidence(hop(0), hop(1, trusted=False), source=1))
    assert [step.verdict for step in way] == ["yours", "claimed"]


def test_the_pause_is_to_the_line_above_and_says_where_a_clock_runs_back() -> None:
    way = steps(
        evidence(
            hop(0, date="2026-11-02T10:00:02Z"),
            hop(1, date="2026-11-02T10:00:01Z"),
            hop(2, date="2026-11-02T10:47:01Z"),
            hop(3),
            hop(4, date="2026-11-02T10:00:00Z"),
        )
    )
    assert [step.before for step in way] == [None, timedelta(seconds=1), timedelta(minutes=-47), None, None]
    assert [step.runs_back for step in way] == [False, False, True, False, False]


@pytest.mark.parametrize("date", ["", "yesterday", "2026-11-02T10:00:99Z", "٢٠٢٦"])
def test_a_date_that_is_none_is_no_date(date: str) -> None:
    [_, step] = steps(evidence(hop(0, date="2026-11-02T10:00:02Z"), hop(1, date=date)))
    assert step.before is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"), (0.4, "0 s"), (7, "7 s"), (-59, "59 s"), (60, "1 min"), (2820, "47 min"), (3600, "1 h"),
        (11_100, "3 h 5 min"), (86_399, "23 h 59 min"), (86_400, "1 d"), (31_536_000, "365 d"),
    ],
)  # fmt: skip
def test_a_pause_is_said_in_two_units_at_most(seconds: float, said: str) -> None:
    assert pause(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("with_", "tls", "said"),
    [
        ("ESMTPS", None, "TLS"), ("esmtpsa (Exim)", None, "TLS"), ("UTF8SMTPS", None, "TLS"), ("LMTPS", None, "TLS"),
        ("ESMTP", None, None), ("ESMTPA", None, None), ("SMTP", None, None), (None, None, None), ("", None, None),
        ("Microsoft SMTP Server", "TLS1.2", "TLS1.2"), ("ESMTPS", "TLS1.3", "TLS1.3"),
    ],
)  # fmt: skip
def test_encryption_is_what_the_line_says(with_: str | None, tls: str | None, said: str | None) -> None:
    [step] = steps(evidence(hop(0) | {"with": with_, "tls": tls}))
    assert step.tls == said


def test_links_stand_together_by_who_answers_for_them_bystanders_last() -> None:
    found = groups(
        evidence(
            links=[
                link("http://www.w3.org/x", "www.w3.org", "w3.org"),
                link(
                    "http://a.pills.example/1",
                    "a.pills.example",
                    "pills.example",
                    notes=["Looks like a bank."],
                ),
                link("http://b.pills.example/2", "b.pills.example", "pills.example", found_in="html"),
                link("http://new.example/", "new.example", "new.example"),
            ],
            hosts=[
                {"host": "b.pills.example", "domain": "pills.example", "bystander": None},
                {"host": "www.w3.org", "domain": "w3.org", "bystander": "A namespace."},
                {"host": "gone.example", "domain": "gone.example", "bystander": None},
            ],
        )
    )
    assert [(group.host, len(group.links), group.bystander) for group in found] == [
        ("b.pills.example", 2, None),
        ("new.example", 1, None),
        ("www.w3.org", 1, "A namespace."),
    ]
    assert (found[0].found_in, found[0].notes) == (["text", "html"], ["Looks like a bank."])


def test_drop_boxes_come_first_and_nothing_is_named_twice() -> None:
    found = answers(
        evidence(
            drop_boxes=[{"address": "a@box.example", "domain": "box.example", "found_in": "reply-to"}],
            lures=[
                {"kind": "mail", "value": "A@box.example", "found_in": "text"},
                {"kind": "phone", "value": "+12025550123", "found_in": "text"},
                {"kind": "mail", "value": "b@victim.example", "found_in": "text"},
            ],
        )
    )
    assert [(answer.value, answer.drop_box) for answer in found] == [
        ("a@box.example", True), ("+12025550123", False), ("b@victim.example", False),
    ]  # fmt: skip


def test_evidence_of_an_earlier_version_is_shown_as_far_as_it_goes() -> None:
    old = evidence(links=[link("http://pills.example/", "pills.example", "pills.example")])
    assert [group.host for group in groups(old)] == ["pills.example"]
    assert groups(evidence()) == []
    assert steps(evidence()) == []


def test_every_grade_has_words() -> None:
    assert set(GRADES) == set("ABCD")
    for grade in GRADES.values():
        assert not grade.short.endswith(".")
        assert grade.means.endswith(".")
        assert "DKIM" in grade.signatures
