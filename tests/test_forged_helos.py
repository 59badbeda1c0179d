"""Nothing that a client says of itself moves the source, in whatever dialect the border repeats it."""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from complaints import trace as walking
from complaints.message import parse
from complaints.trace import Source, Trust, trace
from tests.forged_helos import BENIGN, SPAMMER, TEMPLATES, VICTIM, Client, line

LINES = 3_000


def accused(raw: bytes, trust: tuple[str, ...] = ("reporter.example",)) -> Source | None:
    return trace(parse(raw), Trust.of(trust)).source


def test_no_word_of_a_client_moves_the_source() -> None:
    named = Counter[str | None]()
    for seed in range(LINES):
        made = line(seed)
        found = accused(made.raw, made.trust)
        assert found is None or found.ip == SPAMMER, (seed, made.dialect, found)
        named[found.ip if found else None] += 1
    assert named[SPAMMER] > 0.25 * LINES


@pytest.mark.parametrize(
    ("guard", "without", "seeds"),
    [
        ("as_written", lambda _, line: line, range(300)),
        ("hides_an_address", lambda *_: False, (167, 2_005)),
    ],
)
def test_without_a_guard_it_moves(
    guard: str, without: Callable[..., object], seeds: Iterable[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, guard, without)
    found = [accused(made.raw, made.trust) for made in map(line, seeds)]
    assert {source.ip for source in found if source} - {SPAMMER}


@pytest.mark.parametrize("dialect", TEMPLATES)
@pytest.mark.parametrize("name", ["", "host.spam.example"])
def test_an_ordinary_client_is_named_without_a_doubt(dialect: str, name: str) -> None:
    for helo in BENIGN:
        raw = f"Received: {TEMPLATES[dialect](Client(helo, name))}\r\n\r\n".encode()
        found = accused(raw)
        assert found is not None, helo
        assert (found.ip, found.confidence) == (SPAMMER, "high"), helo


SAID = ["[10.0.0.1]", f"[{VICTIM}]", VICTIM, "[IPv6:2001:db8::99]", "by", "with"]


@pytest.mark.parametrize(
    "dialect",
    ["postfix", "postfix, tls", "sendmail", "exim", "qmail", "exchange", "gmail", "yahoo", "unknown"],
)
def test_so_is_one_that_says_another_address_or_a_word_of_the_line(dialect: str) -> None:
    for helo in SAID:
        found = accused(f"Received: {TEMPLATES[dialect](Client(helo))}\r\n\r\n".encode())
        assert found is not None, helo
        assert found.ip == SPAMMER, helo
        assert found.confidence == "high", helo


@pytest.mark.parametrize(
    "helo",
    [f"v (v [{VICTIM}]) x with LMTP", f"a [{VICTIM}] with ESMTP id 1", f"a ([{VICTIM}])", "a(b", 'a"b'],
)
def test_software_that_writes_the_address_last_is_read_so_at_low_confidence(helo: str) -> None:
    found = accused(f"Received: {TEMPLATES['postfix'](Client(helo))}\r\n\r\n".encode())
    assert found is not None
    assert (found.ip, found.confidence) == (SPAMMER, "low")
    assert "two ways" in found.doubts[0]


@pytest.mark.parametrize("dialect", ["communigate", "exim", "unknown, bare", "mailenable"])
def test_of_other_software_nobody_is_named(dialect: str) -> None:
    raw = f"Received: {TEMPLATES[dialect](Client(f'x) (y [{VICTIM}]'))}\r\n\r\n".encode()
    found = trace(parse(raw), Trust.of(["reporter.example"]))
    assert found.source is None
    assert found.hops[0].from_ip is None
    assert "Hop 0 is broken" in found.notes[0]
