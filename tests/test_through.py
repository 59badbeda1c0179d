"""What the source is a host of is said, and lowers the confidence where its desk could be accused wrongly."""

from complaints.message import parse
from complaints.trace import Trace, Trust, trace

DATE = "Tue, 24 Nov 2026 01:02:03 +0000"


def line(name: str, ip: str, by: str, protocol: str = "ESMTP") -> str:
    return f"Received: from {name} ({name} [{ip}]) by {by} (Postfix) with {protocol} id X1; {DATE}"


def walked(*lines: str, trust: tuple[str, ...] = ()) -> Trace:
    return trace(parse("\r\n".join([*lines, "", ""]).encode()), Trust.of(trust))


FROM_LIST = line("lists.club.example", "192.0.2.50", "mx.reporter.example")
TO_LIST = line("spam.example", "198.51.100.66", "lists.club.example")
LIST = ("List-Id: Our club <talk.club.example>", "List-Post: <mailto:talk@club.example>")


def test_a_mailing_lists_host_is_named_as_one() -> None:
    found = walked(FROM_LIST, TO_LIST, *LIST)
    assert found.source is not None
    assert (found.source.ip, found.source.confidence) == ("192.0.2.50", "medium")
    assert found.source.doubts == ("the host that handed the message over is that of a mailing list",)
    assert any("talk.club.example" in note and "198.51.100.66" in note for note in found.notes)


def test_a_trusted_list_is_walked_through() -> None:
    found = walked(FROM_LIST, TO_LIST, *LIST, trust=("club.example",))
    assert found.source is not None
    assert (found.source.ip, found.source.confidence) == ("198.51.100.66", "high")


def test_a_list_that_another_host_claims_is_none() -> None:
    stranger = line("spam.example", "192.0.2.50", "mx.reporter.example")
    unverified = FROM_LIST.replace("(lists.club.example [", "(unknown [")
    for top in (stranger, unverified):
        assert walked(top, TO_LIST, *LIST).confidence == "high"
    assert walked(FROM_LIST, TO_LIST, LIST[0]).confidence == "high"
    assert walked(FROM_LIST, *LIST).confidence == "high"


def test_a_relay_for_customers_is_named_as_one() -> None:
    found = walked(
        line("out1.esp.example", "192.0.2.60", "mx.reporter.example"),
        line("pc", "198.51.100.66", "in1.esp.example", "ESMTPSA"),
    )
    assert found.source is not None
    assert (found.source.ip, found.source.confidence) == ("192.0.2.60", "high")
    assert any("a client that signed in" in note for note in found.notes)


def test_a_mailbox_that_passed_the_message_on_lowers_the_confidence() -> None:
    lines = (
        line("out1.esp.example", "192.0.2.60", "mx.reporter.example"),
        line("pc", "198.51.100.66", "mx1.esp.example"),
    )
    assert walked(*lines).confidence == "high"
    assert walked(*lines, "X-Forwarded-To: me@reporter.example").confidence == "medium"


def test_a_service_that_writes_mail_anew_is_never_accused() -> None:
    relay = line("a1.smtp-out.amazonses.com", "192.0.2.70", "mx.reporter.example")
    assert walked(relay, "From: x <x@mozmail.com>").source is None
    other = walked(relay, "From: x <x@spam.example>").source
    assert other is not None
    assert other.ip == "192.0.2.70"
