"""A pasted source is repaired, each repair is said, and no repair lets a forger choose whom to accuse."""

import random
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints import unfinished
from complaints.message import parse
from complaints.pasted import Repaired, repair
from complaints.spam import as_far_as_certain
from complaints.trace import Trace, Trust, trace
from tests.damage import DAMAGES, at_words, escaped
from tests.forged_chains import SPAMMER, chain
from tests.house import CLOUD
from tests.quoted_words import FORGED, quoted
from tests.website import spam

SPAM = spam(
    body="\r\nReceived: from bank.example (bank.example [192.0.2.77]) by mx.victim.example; Mon, 2 Nov 2026\r\n"
)
HEAD, BODY = SPAM.split(b"\r\n\r\n", 1)
LINES = HEAD.split(b"\r\n")
ONE_LINE_EACH = HEAD.replace(b"\r\n\t", b" ").split(b"\r\n")
MINE = Trust.of(["mx.victim.example"])
GMAIL = (
    b"Original Message\nMessage ID\t<20261102.1@pills.example>\nCreated at:\tMon, 2 Nov 2026\nFrom:\tShop <shop@pills.example>\n"
    b"Subject:\tReceived: from bank.example\nSPF:\tPASS\n\nDownload Original\tCopy to clipboard\n\n"
)


def way(repaired: Repaired, trust: Trust = MINE) -> Trace:
    return as_far_as_certain(trace(parse(repaired.spam), trust, "B", ordered=True), repaired.certain)


def source(repaired: Repaired, trust: Trust = MINE) -> str | None:
    found = way(repaired, trust).source
    return found.ip if found else None


def unfolded(raw: bytes) -> list[bytes]:
    return [header.name.encode() + b": " + b" ".join(header.value.split()) for header in parse(raw).headers]


PASTES: dict[str, tuple[bytes, list[str]]] = {
    "as it came": (SPAM, []),
    "with the line ends of a text": (SPAM.replace(b"\r\n", b"\n"), []),
    "a byte order mark and blank lines first": (b"\xef\xbb\xbf\n \n" + SPAM, ["left out 2 blank lines before the header"]),
    "quoted": (b"\n".join(b"> " + line for line in SPAM.split(b"\r\n")), ["took the marks of a quotation off 19 lines"]),
    "quoted twice": (b"\n".join(b">> " + line for line in SPAM.split(b"\r\n")), ["took the marks of a quotation off 19 lines"]),
    "without indent": (SPAM.replace(b"\r\n\t", b"\r\n"), ["joined 3 broken header lines"]),
    "wrapped at 76": (b"\n".join(at_words(line, 76) for line in ONE_LINE_EACH) + b"\n\n" + BODY, ["joined 3 broken header lines"]),
    "blank lines between": (HEAD.replace(b"\r\n", b"\n\n") + b"\n\n\n\n" + BODY, ["left out 12 blank lines between header lines"]),
    "names on lines of their own": (b"\n".join(ONE_LINE_EACH).replace(b": ", b":\n", 1).replace(b"\nReceived: ", b"\nReceived:\n") + b"\n\n" + BODY, ["put 3 names and what belongs to them on one line"]),
    "a table of names": (b"\n".join(line.replace(b": ", b"\n", 1) for line in ONE_LINE_EACH), ["put 10 names and what belongs to them on one line"]),
    "a table with tabs": (b"\n".join(line.replace(b": ", b"\t", 1) for line in ONE_LINE_EACH), ["put 10 names and what belongs to them on one line"]),
    "escaped for HTML": (escaped(SPAM), ["turned the escapes of HTML (such as &lt;) back in 4 lines"]),
    "indented with non-breaking spaces": (SPAM.replace(b"\r\n\t", b"\r\n\xc2\xa0\xc2\xa0"), ["turned non-breaking spaces into ordinary ones in 3 lines"]),
    "non-breaking spaces only": (HEAD.replace(b" ", b"\xc2\xa0") + b"\r\n\r\n" + BODY, ["turned non-breaking spaces into ordinary ones in 13 lines"]),
    "blanks in the empty line": (HEAD + b"\r\n  \xc2\xa0\r\n" + BODY, ["turned non-breaking spaces into ordinary ones in 1 line", "emptied 1 line that held only blanks"]),
    "Gmail's Show original": (GMAIL + SPAM, ["left out 8 lines above the header", "left out 1 blank line before the header"]),
    "Outlook's Internet headers": (b"Internet headers:\n" + HEAD, ["left out 1 line above the header"]),
    "below the line of a forward": (b"-------- Weitergeleitete Nachricht --------\n" + SPAM, ["left out 1 line above the header"]),
}  # fmt: skip


@pytest.mark.parametrize("paste", PASTES)
def test_a_broken_paste_is_read_as_the_message_it_was(paste: str) -> None:
    raw, words = PASTES[paste]
    repaired = repair(raw)
    assert [one.words for one in repaired.repairs] == words
    assert unfolded(repaired.spam) == unfolded(SPAM)
    assert source(repaired) == CLOUD
    assert way(repaired).confidence == "high"


def test_a_repair_names_the_lines_as_they_were_pasted() -> None:
    [above, blank, joined] = repair(GMAIL + SPAM.replace(b"\r\n\t", b"\r\n")).repairs
    assert (above.kind, above.lines) == ("above", tuple(range(1, 9)))
    assert (blank.kind, blank.lines) == ("blank", (9,))
    assert (joined.kind, joined.lines) == ("joined", (13, 14, 16))


def test_each_kind_of_repair_can_be_left_out_and_the_others_stay() -> None:
    raw = b"\n" + b"\n".join(b"> " + line for line in SPAM.replace(b"\r\n\t", b"\r\n").split(b"\r\n"))
    assert [one.kind for one in repair(raw).repairs] == ["blank", "unquoted", "joined"]
    without = repair(raw, {"joined"})
    assert [one.kind for one in without.repairs] == ["blank", "unquoted"]
    # What is left of the line that was not joined is none that the host wrote
    assert source(without) is None
    assert not parse(repair(raw, {"unquoted"}).spam).headers


def test_words_of_ones_own_above_the_header_are_not_passed_over() -> None:
    """What stands below them may be the spam's own text."""
    assert not parse(repair(b"Look at this!\n\n" + SPAM).spam).headers


def test_a_long_paste_takes_linear_time() -> None:
    for raw in (b"a b\n" * 50_000, b"Received: x\n" + b"y\n" * 50_000, b"Received: x\n\n" * 25_000, b"> " * 100_000, b"&lt;\n" * 50_000):  # fmt: skip
        assert repair(raw).certain >= 0


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"> ", b" ", b"\t", b"\xc2\xa0", b"\xef\xbb\xbf", b"Received", b":", b"Received: from a (b [192.0.2.1]) by c; Mon, 2 Nov 2026 01:02:03 +0000", b"Subject: &lt;x", b"From x@y Mon\n", b"X-A: b", b"Original message", b"\0", b"\xff"]), max_size=40).map(b"".join))  # fmt: skip
def test_nothing_that_is_pasted_breaks_the_repair(raw: bytes) -> None:
    repaired = repair(raw)
    assert len(repaired.spam) <= 2 * len(raw) + 2 * raw.count(b"\n") + 2
    for one in repaired.repairs:
        again = repair(raw, {one.kind})
        assert one.kind not in {other.kind for other in again.repairs}


def outcomes(damage: str, seeds: range) -> Counter[str]:
    """What comes of forged chains that were damaged and repaired."""
    found: Counter[str] = Counter()
    for seed in seeds:
        made = chain(seed)
        repaired = repair(DAMAGES[damage](made.raw, random.Random(seed)))
        ip = source(repaired, Trust.of(made.trust))
        assert ip in {SPAMMER, None}, (damage, seed, ip, repaired)
        whole = trace(parse(made.raw), Trust.of(made.trust)).source is not None
        found["lost" if whole and ip is None else "named" if ip else "never"] += 1
    return found


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_forged_chain_moves_the_source_of_a_damaged_paste(damage: str) -> None:
    found = outcomes(damage, range(70))
    most = 0.5 if "wrapped" in damage or "cut" in damage else 0.05
    assert found["lost"] <= most * found["named"]


def accused(seed: int) -> tuple[str | None, str | None]:
    """Who is the source of what came as it was, and of the same as a wrapped text."""
    made = quoted(seed)
    whole = trace(parse(made.whole), Trust.of(made.trust)).source
    return whole.ip if whole else None, source(repair(made.pasted), Trust.of(made.trust))


@pytest.mark.parametrize("block", range(4))
def test_words_that_an_honest_host_quoted_never_become_a_line_of_the_way(block: int) -> None:
    for seed in range(block * 500, block * 500 + 500):
        whole, ip = accused(seed)
        assert ip in {SPAMMER, None, whole}, seed


def test_text_of_the_body_never_becomes_a_line_of_the_way() -> None:
    forged = FORGED.encode().rstrip()
    for head in (
        b"From: x@spam.example\nSubject: s",
        b"Delivered-To: me@reporter.example\n\nSubject: s\n\nTo: x\n\nFrom: y\n",
    ):
        for raw in (
            head + b"\n\n" + forged + b"\n",
            head + b"\n \n" + forged,
            b"> " + (head + b"\n\n" + forged).replace(b"\n", b"\n> "),
        ):
            assert source(repair(raw), Trust.of(["mx.reporter.example"])) is None


def test_without_the_guard_a_forger_would_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "_is_finished", lambda *_, **__: True)
    found = map(accused, range(2_000))
    assert any(ip not in {SPAMMER, None, whole} for whole, ip in found)


def test_an_address_cut_in_two_names_nobody() -> None:
    line = f"Received: from x (HELO {'y' * 40}) ({SPAMMER})\n by mx.reporter.example with SMTP; 24 Nov 2026 01:02:03 -0000"
    for cut in range(line.index(SPAMMER) + 1, line.index(SPAMMER) + len(SPAMMER)):
        raw = (line[:cut] + "\n" + line[cut:] + "\nSubject: s\n\n").encode()
        assert source(repair(raw), Trust.of(["mx.reporter.example"])) in {SPAMMER, None}


def test_a_header_line_full_of_nonbreaking_spaces_costs_little_time() -> None:
    line = b"Subject: you won" + b"\xc2\xa0" * 100_000 + b"now or never\r\n"
    began = time.process_time()
    repair(line + SPAM)
    assert time.process_time() - began < 2
