"""Targets of what is told of a submission: a delivery known again, what was changed on the way, a mistyped address."""

from collections.abc import Hashable

from complaints.alterations import compare
from complaints.message import parse
from complaints.sameness import delivery_mark
from complaints.submission_address import mistake
from tests.fuzz import grammar, seeds
from tests.fuzz.target import Target, printable

_SENT = parse(
    b"From: a@b.example\r\nSubject: x\r\nMessage-ID: <probe-1@p.example>\r\n\r\nHello,\r\nthere.\r\n"
)


def check_delivery(data: bytes) -> Hashable:
    message = parse(data)
    mark = delivery_mark(message)
    assert (mark is None) == (not message.fields("received"))
    assert mark == delivery_mark(parse(data + b"\r\n\r\n")) or message.body >= len(data)
    return mark is None


def check_alteration(data: bytes) -> Hashable:
    found = compare(_SENT, parse(data), "A")
    assert found.grade in "ABCD"
    assert bool(found.lost) == (found.grade != "A")
    printable(*found.lost)
    return found.grade, len(found.lost)


def check_address(data: bytes) -> Hashable:
    says = mistake(data.decode("utf-8", "replace"))
    printable(says)
    assert says is None or len(says) < 200
    return says and says[:12]


TARGETS = (
    Target(
        "delivery", check_delivery, (b"Received: x\r\n" + _SENT.raw,), seeds.headers, grammar.chain, 20_000
    ),
    Target("alteration", check_alteration, (b"Received: x\r\n" + _SENT.raw,), seeds.headers, longest=20_000),
    Target("submission_address", check_address, (b"submit." + b"a" * 26, b"oil" + b"a" * 23), longest=80),
)
