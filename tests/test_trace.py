"""The source is what the last believed host saw, and no forgery moves it."""

import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.hosts import canonical_ip
from complaints.message import parse
from complaints.trace import MAX_HOPS, Trace, Trust, trace
from complaints.trust import is_below, providers

DATA = Path(__file__).parents[1] / "../shared/data"
DATE = "Tue, 24 Nov 2026 01:02:03 +0000"
SPAMMER = "198.51.100.66"
VICTIM = "203.0.113.99"


def line(helo: str, name: str, ip: str, by: str, *, software: str = " (Postfix)", date: str = DATE) -> str:
    return f"Received: from {helo} ({name} [{ip}]) by {by}{software} with ESMTP id X1; {date}"


def walked(*lines: str, trust: tuple[str, ...] = (), body: str = "") -> Trace:
    raw = "\r\n".join([*lines, "From: x@spam.example", "Subject: s", "", body]).encode()
    return trace(parse(raw), Trust.of(trust))


BORDER = line("spam.example", "unknown", SPAMMER, "mx.reporter.example")
INSIDE = line("mx.reporter.example", "mx.reporter.example", "192.0.2.10", "imap.reporter.example")
FORGED = line("mail.victim.example", "mail.victim.example", VICTIM, "mx.reporter.example")


def source(*lines: str, trust: tuple[str, ...] = ()) -> str | None:
    found = walked(*lines, trust=trust).source
    return found.ip if found else None


def test_the_topmost_line_is_believed() -> None:
    found = walked(BORDER)
    assert found.source is not None
    assert (found.source.ip, found.source.hop, found.source.confidence) == (SPAMMER, 0, "high")
    assert [hop.trusted for hop in found.hops] == [True]
    assert SPAMMER in found.source.why
    assert "mx.reporter.example" in found.source.why


def test_the_walk_goes_through_the_reporters_own_hosts() -> None:
    found = walked(INSIDE, BORDER, FORGED)
    assert found.source is not None
    assert (found.source.ip, found.source.hop) == (SPAMMER, 1)
    assert [hop.trusted for hop in found.hops] == [True, True, False]
    assert all(hop.why.endswith(".") for hop in found.hops)


def test_private_neighbours_of_trusted_hosts_are_walked_through() -> None:
    filtered = line("filter", "unknown", "10.1.2.3", "imap.reporter.example")
    itself = line("localhost", "localhost", "127.0.0.1", "mx.reporter.example")
    lmtp = "Received: from mx.reporter.example by mx.reporter.example with LMTP id abc; " + DATE
    assert source(lmtp, filtered, itself, BORDER, FORGED) == SPAMMER


@pytest.mark.parametrize(
    "helo",
    [
        "mx.reporter.example",
        "localhost",
        "192.0.2.10",
        "[192.0.2.10]",
        "[127.0.0.1]",
        "imap.reporter.example",
    ],
)
def test_a_trusted_name_in_the_helo_is_worth_nothing(helo: str) -> None:
    assert (
        source(line(helo, "unknown", SPAMMER, "mx.reporter.example"), FORGED, trust=("reporter.example",))
        == SPAMMER
    )


def test_a_name_that_the_writer_did_not_check_is_worth_nothing() -> None:
    forged_name = f"Received: from h (mx.reporter.example [{SPAMMER}] (may be forged)) by mx.reporter.example (8.17/8.17) with ESMTP id 1; {DATE}"
    unchecked = line("h", "mx.reporter.example", SPAMMER, "mx.reporter.example", software=" (Haraka/3.0)")
    qmail = f"Received: from mx.reporter.example (HELO h) ({SPAMMER}) by mx.reporter.example with SMTP; 24 Nov 2026 01:02:03 -0000"
    for top in (forged_name, unchecked, qmail):
        assert source(top, FORGED) == SPAMMER


def test_a_customer_of_the_same_network_is_no_part_of_the_border() -> None:
    customer = line("h", "vps123.cust.reporter.example", SPAMMER, "mx.reporter.example")
    numbered = line("h", "66-100-51-198.reporter.example", SPAMMER, "mx.reporter.example")
    hexadecimal = line("h", "pc6336442.dip.reporter.example", SPAMMER, "mx.reporter.example")
    assert source(hexadecimal, FORGED) == SPAMMER
    assert source(customer, FORGED) == SPAMMER
    assert source(numbered, FORGED) == SPAMMER


def test_named_networks_and_hosts_are_walked_through() -> None:
    relay = line("relay.friend.example", "relay.friend.example", "192.0.2.77", "mx.reporter.example")
    handed = line("spam.example", "unknown", SPAMMER, "relay.friend.example")
    assert source(relay, handed, FORGED) == "192.0.2.77"
    assert source(relay, handed, FORGED, trust=("192.0.2.64/26",)) == SPAMMER
    assert source(relay, handed, FORGED, trust=("192.0.2.77",)) == SPAMMER
    assert source(relay, handed, FORGED, trust=("friend.example",)) == SPAMMER


@pytest.mark.parametrize(
    ("helo", "name", "ip", "confidence"),
    [
        ("mx.reporter.example", "unknown", "10.0.0.5", "medium"),
        ("mx.reporter.example", "balancer.lan", "10.0.0.5", "medium"),
        ("mx.reporter.example", "mx.reporter.example", "10.0.0.5", "high"),
        ("mail.spam.example", "localhost", "127.0.0.1", "medium"),
        ("localhost", "localhost", "127.0.0.1", "high"),
    ],
)
def test_behind_a_balancer_anybody_may_say_to_be_a_host_of_the_border_which_is_doubted(
    helo: str, name: str, ip: str, confidence: str
) -> None:
    found = walked(line(helo, name, ip, "imap.reporter.example"), FORGED)
    assert found.source is not None
    assert (found.source.hop, found.confidence) == (1, confidence)
    assert (confidence == "high") == (found.source.doubts == ())
    stored = walked(line(helo, name, ip, "imap.reporter.example", software=" (Dovecot)"), FORGED)
    assert stored.confidence == ("medium" if "spam" in helo else "high")
    named = walked(line(helo, name, ip, "imap.reporter.example"), FORGED, trust=(ip,))
    assert named.confidence == ("medium" if "spam" in helo else "high")


def test_a_line_below_a_neighbour_must_be_written_by_a_known_host() -> None:
    found = walked(
        line("pc", "unknown", "10.0.0.5", "mx.reporter.example"),
        line("m", "m.victim.example", VICTIM, "mx.victim.example"),
    )
    assert found.source is None
    assert any("may be forged" in note for note in found.notes)


@pytest.mark.parametrize(
    "ip",
    ["10.0.0.1", "127.0.0.1", "192.168.0.1", "100.64.0.9", "224.0.0.5", "IPv6:fe80::1", "IPv6:2002:a00:1::1"],
)
def test_addresses_of_nobody_are_never_accused(ip: str) -> None:
    found = walked(line("spam.example", "unknown", ip, "mx.reporter.example"))
    assert found.source is None
    assert found.notes


def test_what_the_client_claimed_is_never_accused() -> None:
    found = walked(f"Received: from {VICTIM} by mx.reporter.example with ESMTP id 1; {DATE}")
    assert found.source is None
    assert "claimed" in found.notes[0]


def test_a_program_on_the_trusted_host_is_walked_through() -> None:
    local = f"Received: from localhost (list@localhost) by mx.reporter.example (8.17.1/8.17.1) id 4AB; {DATE}"
    assert source(local, BORDER, FORGED) == SPAMMER


def test_a_broken_line_ends_the_walk() -> None:
    found = walked(f"Received: from attacker.example (open; by mx.reporter.example; {DATE}", FORGED)
    assert found.source is None
    assert "unclosed-comment" in found.notes[0]


def test_without_received_lines_nothing_can_be_traced() -> None:
    found = walked(body="Received: from x ([203.0.113.99]) by mx.reporter.example")
    assert (found.source, found.grade, found.hops) == (None, "D", ())


def test_a_polled_mailbox_hands_the_walk_on() -> None:
    polled = f"Received: from pop.isp.example [192.0.2.5] by localhost with POP3 (fetchmail-6.4) for <me@localhost>; {DATE}"
    local = line("localhost", "localhost", "127.0.0.1", "home")
    assert source(local, polled, line("h", "unknown", SPAMMER, "mx7.isp.example"), FORGED) == SPAMMER


def test_microsofts_receiving_servers_are_walked_through_and_its_customers_relays_accused() -> None:
    top = f"Received: from A.prod.outlook.com (::1) by B.prod.outlook.com with HTTPS; {DATE}"
    inner = f"Received: from C.prod.outlook.com (2603:10b6:408:e6::28) by A.prod.outlook.com (2603:10b6:1::1) with Microsoft SMTP Server id 15.20.1; {DATE}"
    edge = (
        "Received: from {} ({}) by C.mail.protection.outlook.com (10.13.1.1) with Microsoft SMTP Server id 15.20.1 via Frontend Transport; "
        + DATE
    )
    assert source(top, inner, edge.format("spam.example", SPAMMER), FORGED) == SPAMMER
    assert source(top, inner, edge.format("C.prod.outlook.com", SPAMMER), FORGED) == SPAMMER
    relay = edge.format("EUR05-obe.outbound.protection.outlook.com", "2a01:111:f400:fe00::725")
    assert source(top, inner, relay, FORGED) == "2a01:111:f400:fe00::725"


def test_googles_own_hops_are_walked_through_and_its_customers_relays_accused() -> None:
    top = f"Received: by 2002:a05:6a10:d8a:b0:1:2:3 with SMTP id ab12csp3; {DATE}"
    edge = "Received: from h ({}. [{}]) by mx.google.com with ESMTPS id a1-2; " + DATE
    assert source(top, edge.format("host.spam.example", SPAMMER), FORGED) == SPAMMER
    assert source(top, edge.format("mail-sor-f41.google.com", "209.85.220.41"), FORGED) == "209.85.220.41"


def test_overlong_chains_are_cut_and_said() -> None:
    found = walked(BORDER, *[FORGED] * (MAX_HOPS + 50))
    assert found.source is not None
    assert found.source.ip == SPAMMER
    assert len(found.hops) == MAX_HOPS
    assert any(str(MAX_HOPS + 51) in note for note in found.notes)


def test_a_strangers_name_behind_a_balancer_lowers_the_confidence() -> None:
    balanced = line("spam.stranger.com", "unknown", "10.0.0.1", "mx.reporter.example")
    found = walked(balanced, BORDER)
    assert found.source is not None
    assert found.source.confidence == "medium"
    assert any("spam.stranger.com" in note for note in found.notes)


def test_clocks_far_apart_and_missing_dates_lower_the_confidence() -> None:
    old = line("h", "unknown", SPAMMER, "mx.reporter.example", date="Tue, 24 Nov 2020 01:02:03 +0000")
    assert walked(INSIDE, old).confidence == "medium"
    assert walked(line("h", "unknown", SPAMMER, "bare", date="")).confidence == "low"


def test_grades_say_what_survived() -> None:
    assert walked(BORDER).grade == "A"
    assert walked(BORDER, "Content-Type: multipart/mixed; boundary=gone", body="<html>").grade == "B"
    late = line("h", "unknown", SPAMMER, "mx.reporter.example", date="Tue, 24 Nov 2026 09:00:00 +0000")
    found = walked(
        FORGED.replace("mx.reporter.example", "mx.other.example"), late, trust=("reporter.example",)
    )
    assert (found.grade, found.confidence) == ("C", "low")


def test_resent_messages_are_noted() -> None:
    found = walked(BORDER, "Resent-From: a@reporter.example", FORGED)
    assert any("resent" in note for note in found.notes)


def test_what_is_excepted_is_not_trusted() -> None:
    relay = line("relay.friend.example", "relay.friend.example", "192.0.2.77", "mx.reporter.example")
    handed = line("spam.example", "unknown", SPAMMER, "relay.friend.example")
    assert source(relay, handed, trust=("!192.0.2.77", "192.0.2.64/26")) == "192.0.2.77"
    assert source(relay, handed, trust=("192.0.2.64/26", "!192.0.2.77")) == SPAMMER
    assert source(relay, handed, trust=("!relay.friend.example", "friend.example")) == "192.0.2.77"


@pytest.mark.parametrize("entry", ["192.0.2.0/33", "a b", "x/24", "@"])
def test_trust_names_the_entry_it_cannot_read(entry: str) -> None:
    with pytest.raises(ValueError, match=entry.split("/", maxsplit=1)[0]):
        Trust.of([entry])


def test_a_message_that_begins_with_a_blank_is_not_glued_to_the_line_above() -> None:
    glued = (
        BORDER
        + "\r\n Received: from a (b [203.0.113.99]) by mx.reporter.example (Postfix) with ESMTP id 1; "
        + DATE
    )
    assert source(glued, FORGED) == SPAMMER


CONTINUED = [
    "\tfrom v (v [203.0.113.99]) by mx.reporter.example (Postfix) with ESMTP id 1; {date}",
    " (v [203.0.113.99]) by mx.reporter.example; {date}",
    " [203.0.113.99]",
    " ([203.0.113.99])",
    " by imap ([203.0.113.99]) with LMTP id 1; {date}",
    " with LMTP id 1; {date}",
    " with local; {date}",
    " invoked from network); {date}",
    " from <x@[203.0.113.99]>; {date}",
    " via SMTP by mx.reporter.example; {date}",
    "\r\tfrom v (v [203.0.113.99]) by mx.reporter.example; {date}",
    " \r\n from v (v [203.0.113.99])\r\n by mx.reporter.example\r\n with POP3 (fetchmail-6.4); {date}",
    "\t\0by mx.reporter.example ([203.0.113.99])",
    " (qmail 1 invoked from network); {date}",
    " helo=[203.0.113.99]",
]


@pytest.mark.parametrize("continued", CONTINUED)
def test_a_message_that_begins_like_the_rest_of_a_line_moves_nothing(continued: str) -> None:
    v6 = BORDER.replace(SPAMMER, "IPv6:2a02:db8::66")
    for border, seen in ((BORDER, SPAMMER), (v6, "2a02:db8::66")):
        glued = f"{border}\r\n{continued.replace('{date}', DATE)}"
        for trust in ((), ("reporter.example",)):
            assert source(glued, FORGED, trust=trust) in {None, seen}


def test_a_line_that_hides_an_address_is_no_delivery_inside() -> None:
    broken = f"Received: from x with LMTP y (unknown [{SPAMMER}]) by mx.reporter.example (Postfix) with ESMTP id 1; {DATE}"
    assert source(broken, FORGED) in {None, SPAMMER}


def test_qmails_own_lines_are_walked_through() -> None:
    queue = f"Received: (qmail 1 invoked from network); {DATE}"
    door = f"Received: from unknown (HELO spam.example) ({SPAMMER}) by mx.reporter.example with SMTP; 24 Nov 2026 01:02:03 -0000"
    found = walked(queue, door, FORGED)
    assert found.source is not None
    assert (found.source.ip, found.source.hop, found.source.confidence) == (SPAMMER, 1, "high")
    inner = line("scanner", "scanner", "192.0.2.30", "store.reporter.example")
    assert source(inner, queue, door, FORGED, trust=("192.0.2.30",)) == SPAMMER


@pytest.mark.parametrize(
    "program",
    [
        "by mx.reporter.example (Postfix, from userid 33) id 4AB",
        "(qmail 1 invoked by uid 89)",
        "from www by mx.reporter.example with local (Exim 4.97) id 1ab",
        "(from www@localhost) by mx.reporter.example (8.17.1/8.17.1/Submit) id 3AB",
    ],
)
def test_what_a_program_on_the_own_host_handed_on_is_less_certain(program: str) -> None:
    found = walked(f"Received: {program}; {DATE}", BORDER, trust=("reporter.example",))
    assert found.source is not None
    assert (found.source.ip, found.confidence) == (SPAMMER, "medium")
    assert "a program on the recipient's host" in found.source.doubts[0]


def test_an_own_address_that_a_line_above_showed_is_never_accused() -> None:
    top = f"Received: from filter.example.net (filter.example.net [192.0.2.40]) by mx.reporter.example (192.0.2.10) with ESMTP id 1; {DATE}"
    back = f"Received: from mx ([192.0.2.10]) by filter.example.net (Postfix) with ESMTP id 2; {DATE}"
    assert source(top, back, BORDER, FORGED, trust=("192.0.2.40",)) == SPAMMER


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([BORDER, INSIDE, FORGED, "Received:", "Received: ;", "Received: (qmail 1 invoked by uid 1)", "Received: by x", "Received: from a by", "Resent-From: q", "Received: from x ([::1]) by y"]) | st.text(max_size=60).map("Received: ".__add__), max_size=12))  # fmt: skip
def test_tracing_never_raises(lines: list[str]) -> None:
    found = trace(parse("\n".join([*lines, "", ""]).encode()), Trust.of(["reporter.example"]))
    assert found.confidence in {"high", "medium", "low"}
    assert found.source is None or found.hops[found.source.hop].from_ip == found.source.ip


def test_a_chain_of_the_longest_lines_takes_no_time() -> None:
    begun = time.process_time()
    walked(BORDER, *["Received: from " + "(a" * 4_000] * 300)
    assert time.process_time() - begun < 1


def archive(name: str) -> zipfile.ZipFile:
    path = DATA / "messages" / name
    if not path.is_file():
        pytest.skip(f"../shared/data/messages/{name} absent")
    return zipfile.ZipFile(path)


# Messages whose recorded hand-over lies deeper than the border by default, because the recipient had a relay in front
# that only its owner can name: a filter's tenant, another organisation's mailbox, a mailbox that passes mail on.
BEHIND_A_RELAY = {
    "sample-367.eml": ("pphosted.com",),
    "sample-2934.eml": ("pphosted.com",),
    "sample-392.eml": ("outlook.com", "picture.com.br"),
    "sample-397.eml": ("outlook.com", "picture.com.br"),
    "sample-401.eml": ("outlook.com", "picture.com.br"),
    "sample-406.eml": ("outlook.com", "picture.com.br"),
    "sample-2280.eml": ("google.com",),
}


def test_the_source_is_what_the_receiving_hosts_recorded_elsewhere_in_the_header() -> None:
    with archive("phishing-pot.zip") as pot:
        labels: list[dict[str, Any]] = [
            json.loads(text) for text in pot.read("labels.jsonl").decode().splitlines()
        ]
        labelled = [label for label in labels if label["mx_stated_client_ip"]]
        different = []
        for label in labelled:
            trust = Trust.of(BEHIND_A_RELAY.get(label["file"], ()))
            found = trace(parse(pot.read(label["file"])), trust).source
            if (found.ip if found else None) != canonical_ip(label["mx_stated_client_ip"]):
                different.append(label["file"])
    assert len(labelled) > 2_000
    assert different == []


# Where the suite is wrong for us: without any trust it names nobody, we always believe the topmost line.
MAIL_PARSER_DIFFERS = {"mail-parser-ip-2"}


def test_the_source_is_the_sender_of_mail_parsers_suite() -> None:
    different = set()
    for case in cases("mail-parser-source-ip.json"):
        raw = f"Received: {case.get('received')}\r\n\r\n".encode()
        if "message" in case:
            raw = archive("mail-parser.zip").read(case["message"].rpartition("/")[2])
        found = trace(parse(raw), Trust.of([case["trust"]])).source
        if (found.ip if found else None) != case["ip"]:
            different.add(case["id"])
    assert different == MAIL_PARSER_DIFFERS


def cases(name: str) -> list[dict[str, Any]]:
    path = DATA / "received" / name
    if not path.is_file():
        pytest.skip("../shared/data/received absent")
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cases"]
    return found


# Where the suite is wrong for us, and why.
TRUST_PATH_DIFFERS = {
    "trust_path-23": "X-Originating-IP is a claim that any client can write; what was only claimed is never accused",
    "trust_path-29": "the address is a 6to4 tunnel, for which nobody answers",
}


def test_the_source_is_the_last_external_relay_of_spamassassins_chains() -> None:
    different = set()
    for case in cases("spamassassin-trust_path.json"):
        words = [
            word
            for setting in case["config"]
            if setting.startswith("trusted_networks")
            for word in setting.split()[1:]
        ]
        trust = Trust.of(map(whole, words))
        found = trace(parse("\r\n".join([*case["headers"], "", ""]).encode()), trust).source
        untrusted = case["expected"]["untrusted"]
        if (found.ip if found else None) != (canonical_ip(untrusted[0]["ip"]) if untrusted else None):
            different.add(case["id"])
    assert different == set(TRUST_PATH_DIFFERS)


def whole(network: str) -> str:
    """Write `1.2/16` as `1.2.0.0/16`."""
    ip, _, length = network.removeprefix("!").partition("/")
    octets = ip.split(".")
    return (
        network
        if ":" in ip
        else "!" * network.startswith("!")
        + ".".join([*octets, *["0"] * (4 - len(octets))])
        + f"/{length or 8 * len(octets)}"
    )


def test_no_provider_has_a_domain_below_that_of_another() -> None:
    rows = providers()
    assert not [
        (host, other.name) for row in rows for host in row.hosts for other in rows
        if other is not row and is_below(host, other.hosts)
    ]  # fmt: skip
