"""Our source is SpamAssassin's last external relay, on real mail and with the same trust settings."""

import pytest

from bench import relays
from complaints.hosts import canonical_ip


@pytest.fixture(scope="module")
def compared() -> list[relays.Pair]:
    if not relays.installed():
        pytest.skip("SpamAssassin absent (Debian: spamassassin)")
    if not relays.DATA.is_dir():
        pytest.skip("../shared/data/messages absent")
    return relays.pairs(list(relays.messages(shrink=3)))


def test_both_name_the_same_host(compared: list[relays.Pair]) -> None:
    different = [(pair.name, pair.our_ip, pair.their_ip) for pair in compared if pair.our_ip != pair.their_ip]
    assert len(compared) > 2_000
    assert len(different) <= 0.005 * len(compared), different


def test_every_difference_has_its_reason(compared: list[relays.Pair]) -> None:
    different = [pair for pair in compared if pair.our_ip != pair.their_ip]
    assert [pair.name for pair in different if relays.reason_of(pair) == "unexplained"] == []


def test_where_they_differ_we_name_nobody_or_the_one_that_the_line_shows(compared: list[relays.Pair]) -> None:
    for pair in compared:
        if pair.our_ip not in {None, pair.their_ip}:
            assert relays.reason_of(pair) in {"unread", "authenticated"}, pair.name
            assert canonical_ip(pair.end.from_ip or "") == pair.our_ip


def test_their_program_times_itself() -> None:
    if not relays.installed():
        pytest.skip("SpamAssassin absent (Debian: spamassassin)")
    raw = b"Received: from a (b [192.0.2.1]) by mx.reporter.example (Postfix) with ESMTP id 1; Tue, 24 Nov 2026 01:02:03 +0000\r\n\r\n"
    assert relays.seconds_of_spamassassin([raw] * 200) > 0
    assert relays.asked([("one", raw, ())])[0]["relays"][0]["ip"] == "192.0.2.1"
