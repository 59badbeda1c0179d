"""Which hosts a reporter may trust: what a person names, what a hop saw, and the chain of a returned probe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from complaints.message import parse
from complaints.own_hosts import Chain, Host, HostError, handed_over, named, read_probe
from complaints.received import parse_received
from complaints.trace import Source, trace
from complaints.trust import Trust

OURS = "plaint.example"
DATE = "Thu, 26 Nov 2026 08:00:00 +0000"
STORE = f"from gw.victim.example (gw.victim.example [192.0.2.20]) by store.office.example (Postfix) with ESMTPS id 3; {DATE}"
GATE = f"from mx.victim.example (mx.victim.example [192.0.2.10]) by gw.victim.example (Postfix) with ESMTP id 2; {DATE}"
MX = f"from plaint.example (out.operator.example [203.0.113.5]) by mx.victim.example (Postfix) with ESMTP id 1; {DATE}"


def chain(*lines: str, relayed: bool = False, domains: tuple[str, ...] = ("victim.example",)) -> Chain:
    text = "".join(f"Received: {line}\r\n" for line in lines) + "From: a@plaint.example\r\n\r\ntext\r\n"
    return read_probe(parse(text.encode()), ours=OURS, relayed=relayed, domains=domains)


def values(found: Chain) -> list[str]:
    return [host.value for host in found.own]


def test_a_probe_teaches_every_host_above_our_handing_over_in_order() -> None:
    found = chain(STORE, GATE, MX)
    assert found.reason is None
    assert found.passed_over == ()
    assert values(found) == [
        "store.office.example",
        "192.0.2.20",
        "gw.victim.example",
        "192.0.2.10",
        "mx.victim.example",
    ]


def test_what_a_probe_taught_leads_a_spam_through_that_way_to_its_source() -> None:
    """Without it the first host of another organisation would be accused: the reporter's own gateway."""
    spam = f"from seller.example (unknown [198.51.100.23]) by mx.victim.example (Postfix) with ESMTP id 9; {DATE}"
    message = parse("".join(f"Received: {line}\r\n" for line in (STORE, GATE, spam)).encode() + b"\r\nx")
    before, after = trace(message, Trust()), trace(message, Trust.of(values(chain(STORE, GATE, MX))))
    assert before.source
    assert before.source.ip == "192.0.2.20"
    assert isinstance(after.source, Source)
    assert (after.source.ip, after.source.hop, after.confidence) == ("198.51.100.23", 2, "high")


def test_lines_below_our_handing_over_teach_nothing() -> None:
    forged = f"from evil.example (evil.example [198.51.100.66]) by relay.evil.example with ESMTP; {DATE}"
    assert values(chain(GATE, MX, forged)) == values(chain(GATE, MX))


def test_our_own_hosts_are_not_the_reporters() -> None:
    assert not {"203.0.113.5", "out.operator.example", "plaint.example"} & set(values(chain(MX)))
    through = f"from plaint.example (localhost [127.0.0.1]) by out.plaint.example with ESMTP; {DATE}"
    above = (
        f"from out.plaint.example (out.plaint.example [203.0.113.5]) by mx.victim.example with ESMTP; {DATE}"
    )
    assert values(chain(above, through)) == ["mx.victim.example"]


def test_the_lines_of_our_relay_are_passed_over() -> None:
    by_relay = f"from plaint.example (plaint [10.0.0.5]) by relay1.isp.example (Postfix) with ESMTP; {DATE}"
    inside = f"from relay1.isp.example (relay1.isp.example [203.0.113.8]) by relay2.isp.example (Postfix) with ESMTP; {DATE}"
    to_mx = f"from relay2.isp.example (relay2.isp.example [203.0.113.9]) by mx.victim.example (Postfix) with ESMTP; {DATE}"
    assert values(chain(to_mx, inside, by_relay, relayed=True)) == ["mx.victim.example"]
    assert chain(inside, by_relay, relayed=True).reason, "all of it is ours"


def test_neighbours_and_whole_domains_teach_nothing() -> None:
    local = f"from localhost (localhost [127.0.0.1]) by mail.victim.example (Postfix) with ESMTP; {DATE}"
    private = f"from gw (gw [10.1.2.3]) by mail.victim.example (Postfix) with ESMTP; {DATE}"
    bare = f"from plaint.example (unknown [203.0.113.5]) by hoster.example (Postfix) with ESMTP; {DATE}"
    found = chain(local, private, bare)
    assert values(found) == ["mail.victim.example"]
    assert found.passed_over[0] == "hoster.example names a whole domain and not one host."
    assert values(chain(bare, domains=("hoster.example",))) == ["hoster.example"], "it is the reporter's own"


def test_a_relay_of_a_providers_customers_is_refused_and_ends_the_learning() -> None:
    """Mail forwarded by a Gmail mailbox comes out of relays that every Google customer sends through."""
    forwarded = f"from mail-sor-f41.google.com (mail-sor-f41.google.com [209.85.220.41]) by mx.victim.example with ESMTPS; {DATE}"
    gmail = f"from plaint.example (plaint.example. [203.0.113.5]) by mx.google.com with ESMTPS id x; {DATE}"
    found = chain(forwarded, gmail)
    assert values(found) == ["mx.victim.example"]
    why, ends = found.passed_over
    assert "line 0 and no further" in ends
    assert "relay of Google: its customers send through it too" in why
    claimed = forwarded.replace("(mail-sor-f41.google.com [", "(unknown [")
    assert values(chain(claimed, gmail)) == ["mx.victim.example"], (
        "what it says of itself is enough to refuse"
    )


def test_inside_a_provider_its_row_tells_what_is_trusted() -> None:
    """A mailbox at Google or Microsoft: their inner hops teach nothing, the host that took the mail does."""
    store = f"by 2002:a05:6402:1a2b:b0:4f1:2 with SMTP id x; {DATE}"
    gmail = f"from plaint.example (plaint.example. [203.0.113.5]) by mx.google.com with ESMTPS id x; {DATE}"
    found = chain(store, gmail)
    assert (values(found), found.passed_over) == (["mx.google.com"], ())
    inner = (
        "from AM0EUR02FT016.eop-EUR02.prod.protection.outlook.com (2a01:111:f400:7e0e::20b) by "
        f"DB8PR01MB5678.eurprd01.prod.exchangelabs.com (2603:10a6:10:1::1) with Microsoft SMTP Server id 15.20; {DATE}"
    )
    edge = (
        "from plaint.example (203.0.113.5) by AM0EUR02FT016.mail.protection.outlook.com (10.13.1.1) "
        f"with Microsoft SMTP Server id 15.20; {DATE}"
    )
    found = chain(inner, edge)
    assert found.passed_over == ()
    assert set(values(found)) == {
        "db8pr01mb5678.eurprd01.prod.exchangelabs.com",
        "am0eur02ft016.mail.protection.outlook.com",
    }


def test_when_a_probe_does_not_lead_to_us_the_reporter_is_told_where_it_ends() -> None:
    """A balancer hides the host that handed over, and the next line was written under a bare name."""
    hidden = f"from balancer (unknown [10.0.0.1]) by store.office.example (Postfix) with ESMTP id 2; {DATE}"
    found = chain(hidden, MX.replace("mx.victim.example", "mail7"))
    assert values(found) == ["store.office.example"]
    assert found.passed_over[0].startswith("mail7 is no full host name")
    assert "read down to line 0 and no further" in found.passed_over[1]
    assert chain(hidden, MX).passed_over == ()


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (f"from somebody.example (somebody.example [198.51.100.4]) by mx.victim.example with ESMTP; {DATE}",),
        ("nonsense",),
    ],
)
def test_a_chain_that_does_not_name_us_teaches_nothing(lines: tuple[str, ...]) -> None:
    found = chain(*lines)
    assert found.own == ()
    assert found.reason


@given(st.lists(st.text(max_size=200), max_size=50))
def test_no_chain_makes_it_fail(lines: list[str]) -> None:
    read_probe(
        parse("".join(f"Received: {line}\n" for line in lines).encode("utf-8", "replace")),
        ours=OURS,
        relayed=True,
        domains=(),
    )


# ---- one hop


def test_a_hop_gives_the_address_and_the_verified_name() -> None:
    assert handed_over(parse_received(GATE)) == [
        Host("address", "192.0.2.10"),
        Host("host", "mx.victim.example"),
    ]


def test_a_name_that_is_a_customers_or_only_claimed_is_not_learned() -> None:
    for origin in (
        "mail (ec2-192-0-2-10.compute.cloud.example [192.0.2.10])",
        "mx.victim.example (unknown [192.0.2.10])",
        "mail (victim.example [192.0.2.10])",
    ):
        line = parse_received(f"from {origin} by gw.victim.example (Postfix) with ESMTP; {DATE}")
        assert handed_over(line) == [Host("address", "192.0.2.10")], origin


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ("gw (gw.lan [10.0.0.7])", "private network"),
        ("x (x [2002:c0a8:101::1])", "6to4"),
        ("mail-ed1-f41.google.com (mail-ed1-f41.google.com [209.85.208.41])", "customers send through it"),
        (
            "eur05-obe.outbound.protection.outlook.com (mail.eur05.outbound.protection.outlook.com [40.107.8.3])",
            "customers send",
        ),
        ("unknown (HELO x)", "did not write which address"),
    ],
)
def test_a_host_that_must_not_be_trusted_is_refused_with_the_reason(origin: str, why: str) -> None:
    with pytest.raises(HostError, match=why):
        handed_over(parse_received(f"from {origin} by mx.victim.example (Postfix) with ESMTP; {DATE}"))


# ---- what a person names


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (" MX.Victim.example. ", Host("host", "mx.victim.example")),
        ("[192.0.2.7]", Host("address", "192.0.2.7")),
        ("2001:DB8::0:7", Host("address", "2001:db8::7")),
        ("192.0.2.9/28", Host("network", "192.0.2.0/28")),
        ("victim.example", Host("host", "victim.example")),
        ("mx.google.com", Host("host", "mx.google.com")),
    ],
)
def test_a_host_an_address_or_a_network_can_be_named(text: str, host: Host) -> None:
    assert named(text) == host


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing to trust"),
        ("not a host!", "no host, address or network"),
        ("192.0.2.0/99", "not a network"),
        ("0.0.0.0/0", "larger than a network of one reporter"),
        ("2000::/3", "larger than"),
        ("com", "no full host name"),
        ("co.uk", "no full host name"),
        ("10.0.0.7", "private network"),
        ("google.com", "holds relays of Google"),
        ("outlook.com", "holds relays of Microsoft"),
        ("protection.outlook.com", "holds relays of Microsoft"),
        ("x.outbound.protection.outlook.com", "is a relay of Microsoft"),
        ("2a01:111:f400::1", "network of Microsoft"),
        ("2a01:111:f400::/44", "network of Microsoft"),
    ],
)
def test_what_would_let_strangers_in_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(HostError, match=why):
        named(text)
