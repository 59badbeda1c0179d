"""The picture of the way: who stands where, and that nothing a spam says makes it large or false."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from complaints.outline import steps
from complaints.web.hop_picture import MOST_CLAIMS, MOST_HOSTS, Picture, picture
from tests.test_outline import evidence, hop


def drawn(*hops: dict[str, Any], source: int | None = None) -> Picture:
    found = picture(steps(evidence(*hops, source=source)))
    assert found is not None
    return found


def test_from_left_to_right_stand_you_your_hosts_the_source_the_boundary_and_the_claims() -> None:
    found = drawn(
        hop(0, by="store.victim.example"),
        hop(1, by="mx.victim.example", from_ip="203.0.113.9", helo="evil.example"),
        hop(2, trusted=False, from_ip="10.1.2.3", from_name="bank.example"),
        source=1,
    )
    assert [(box.kind, box.lines, box.words) for box in found.boxes] == [
        ("you", ("You",), ""),
        ("yours", ("store.victim.example",), "your host"),
        ("yours", ("mx.victim.example",), "your host"),
        ("source", ("203.0.113.9", "“evil.example”"), "source"),
        ("claimed", ("10.1.2.3", "bank.example"), "not believed"),
    ]
    assert found.boxes[3].x + found.boxes[3].width < found.boundary < found.boxes[4].x
    assert [arrow.claimed for arrow in found.arrows] == [False, False, False, True]
    assert found.words == (
        "You got it from store.victim.example, which had it from mx.victim.example, which had it from "
        "203.0.113.9 “evil.example”. Beyond the trust boundary 1 line is claimed and not believed."
    )


def test_two_lines_of_one_host_are_one_box() -> None:
    found = drawn(hop(0, by="mx.example"), hop(1, by="mx.example"), source=1)
    assert [box.kind for box in found.boxes] == ["you", "yours", "source"]


def test_where_no_source_can_be_named_nobody_is_drawn_as_one() -> None:
    found = drawn(hop(0), hop(1, trusted=False))
    assert [(box.kind, box.lines) for box in found.boxes][2:] == [
        ("end", ("?",)),
        ("claimed", ("198.51.100.7",)),
    ]
    assert "a host that nobody can name" in found.words
    assert found.boxes[2].x < found.boundary < found.boxes[3].x


def test_where_no_line_is_believed_only_you_stand_before_the_boundary() -> None:
    found = drawn(hop(0, trusted=False))
    assert [box.kind for box in found.boxes] == ["you", "claimed"]
    assert found.boxes[0].x < found.boundary < found.boxes[1].x
    assert found.words.startswith("You got it from nobody whose lines are believed.")


def test_without_a_hop_there_is_no_picture() -> None:
    assert picture([]) is None


def test_a_long_way_is_shortened_and_says_by_how_much() -> None:
    found = drawn(*(hop(n) for n in range(20)), *(hop(n, trusted=False) for n in range(20, 60)), source=19)
    own = [box.lines[0] for box in found.boxes if box.kind == "yours"]
    claimed = [box.lines[0] for box in found.boxes if box.kind == "claimed"]
    assert own == ["mx0.example", "… 17 more", "mx18.example", "mx19.example"]
    assert claimed == ["198.51.100.7", "198.51.100.7", "… 38 more"]
    assert (len(own), len(claimed)) == (MOST_HOSTS, MOST_CLAIMS)
    assert "40 lines are claimed" in found.words


def test_a_long_name_keeps_its_end_and_an_address_is_never_cut() -> None:
    ip = "2001:db8:1234:5678:9abc:def0:1234:5678"
    found = drawn(hop(0, from_ip=ip, helo="www.bank.example." * 30 + "evil.example"), source=0)
    assert found.boxes[-1].lines == (ip, "“…bank.example.evil.example”")


@given(st.lists(st.tuples(st.text(max_size=400), st.booleans()), max_size=30))
def test_whatever_a_spam_says_boxes_stand_apart_and_inside_the_picture(lines: list[tuple[str, bool]]) -> None:
    believed = sum(trusted for _, trusted in lines)
    hops = [hop(n, trusted=n < believed, helo=name, by=name) for n, (name, _) in enumerate(lines)]
    found = picture(steps(evidence(*hops, source=believed - 1 if believed else None)))
    assert (found is None) == (not lines)
    if found is None:
        return
    assert found.width < 3_000
    for left, right in zip(found.boxes, found.boxes[1:], strict=False):
        assert left.x + left.width < right.x
    assert found.boxes[-1].x + found.boxes[-1].width < found.width
    inside = [box.x + box.width <= found.boundary for box in found.boxes]
    assert inside == [box.kind != "claimed" for box in found.boxes]
