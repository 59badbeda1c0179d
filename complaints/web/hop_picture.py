"""The way a spam took, as a picture: takes the steps of an evidence document, leaves what to draw where.

From left to right: the reporter, their hosts, the source, the trust boundary, and what strangers claim.
Only positions and short texts leave here; the template draws them, escaped like every text of a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from complaints.outline import VERDICTS, Step

__all__ = ["Arrow", "Box", "Picture", "picture"]

MOST_HOSTS, MOST_CLAIMS = 4, 3
"""Boxes drawn on either side of the boundary; what is left out is counted in a box of its own."""
LONGEST = 26
"""Characters of a name that are drawn; its end is kept, for that is who answers for it."""
LONGEST_ADDRESS = 39  # an IPv6 address is never cut
_LETTER, _PADDING, _GAP, _EDGE = 7.3, 22, 34, 8  # pixels: one letter, both sides in a box, between boxes
_TOP, _BOX, _BELOW = 32, 54, 44


@dataclass(frozen=True, slots=True)
class Box:
    """A host: its kind (`you` or a verdict), where it stands, its one or two lines, the words below it."""

    kind: str
    x: float
    width: float
    lines: tuple[str, ...]
    words: str

    @property
    def middle(self) -> float:
        """The horizontal middle."""
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Arrow:
    """Who handed the spam to whom, drawn from right to left; `claimed` arrows are dashed."""

    start: float
    end: float
    claimed: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn, in pixels; `words` say the same in one sentence."""

    width: float
    height: float
    boundary: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    words: str
    top: float = _TOP
    box_height: float = _BOX

    @property
    def middle(self) -> float:
        """The height at which the arrows run."""
        return self.top + self.box_height / 2


@dataclass(frozen=True, slots=True)
class _Host:
    kind: str
    lines: tuple[str, ...]
    words: str


def picture(steps: Sequence[Step]) -> Picture | None:
    """Lay out the way; None where there is not one hop to draw."""
    if not steps:
        return None
    believed = [step for step in steps if step.verdict != "claimed"]
    claimed = [step for step in steps if step.verdict == "claimed"]
    inside = [_Host("you", ("You",), "")]
    inside += _fewer(_own_hosts(believed), MOST_HOSTS, "yours")
    inside += _origin(believed)
    outside = _fewer([_claim(step) for step in claimed], MOST_CLAIMS, "claimed", keep_last=0)
    boxes, boundary, width = _place(inside, outside)
    arrows = tuple(
        Arrow(start=right.x - 3, end=left.x + left.width + 3, claimed=right.kind == "claimed")
        for left, right in pairwise(boxes)
    )
    return Picture(width, _TOP + _BOX + _BELOW, boundary, boxes, arrows, _sentence(inside, claimed))


def _own_hosts(believed: Sequence[Step]) -> list[_Host]:
    """The hosts that wrote the believed lines; two lines of one host are one box."""
    found: list[_Host] = []
    for step in believed:
        host = _Host("yours", (_short(step.hop.get("by") or "unnamed host"),), VERDICTS["yours"])
        if not found or found[-1] != host:
            found.append(host)
    return found


def _origin(believed: Sequence[Step]) -> list[_Host]:
    """What the last believed line says came from outside: the source, or that none can be named."""
    if not believed:
        return []
    step = believed[-1]
    if step.verdict == "source":
        return [_Host("source", _from(step.hop), VERDICTS["source"])]
    return [_Host("end", ("?",), "nobody can be named")]


def _claim(step: Step) -> _Host:
    return _Host("claimed", _from(step.hop), VERDICTS["claimed"])


def _from(hop: Any) -> tuple[str, ...]:
    """The address first, then the name that was looked up for it, or the one that was claimed, in quotes."""
    said = f"“{_short(hop['helo'])}”" if hop.get("helo") else None
    name = _short(hop["from_name"]) if hop.get("from_name") else said
    lines = [hop["from_ip"][:LONGEST_ADDRESS] if hop.get("from_ip") else None, name]
    return tuple(line for line in lines if line) or ("no address",)


def _fewer(hosts: list[_Host], most: int, kind: str, keep_last: int = 2) -> list[_Host]:
    """Leave out hosts in the middle of a long row, and say how many."""
    if len(hosts) <= most:
        return hosts
    first = hosts[: most - 1 - keep_last]
    last = hosts[len(hosts) - keep_last :]
    rest = len(hosts) - len(first) - len(last)
    return [*first, _Host(kind, (f"… {rest} more",), VERDICTS[kind]), *last]


def _place(inside: list[_Host], outside: list[_Host]) -> tuple[tuple[Box, ...], float, float]:
    boxes: list[Box] = []
    x: float = _EDGE
    for host in inside:
        boxes.append(_box(host, x))
        x += boxes[-1].width + _GAP
    boundary = x  # in the middle of a gap that is twice as wide
    x += _GAP
    for host in outside:
        boxes.append(_box(host, x))
        x += boxes[-1].width + _GAP
    # The words on both sides of the boundary need their place, too
    return tuple(boxes), boundary, max(x - _GAP + _EDGE, boundary + 18 * _LETTER)


def _box(host: _Host, x: float) -> Box:
    letters = max(len(text) for text in (*host.lines, host.words))
    return Box(host.kind, x, round(letters * _LETTER + _PADDING, 1), host.lines, host.words)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]


def _sentence(inside: list[_Host], claimed: Sequence[Step]) -> str:
    """The picture in words, for whoever does not see it."""
    hosts = [" ".join(host.lines) for host in inside[1:]]
    way = ", which had it from ".join(hosts) if hosts else "nobody whose lines are believed"
    if inside[-1].kind == "end":
        way = ", which had it from ".join([*hosts[:-1], "a host that nobody can name"])
    lines = "1 line is" if len(claimed) == 1 else f"{len(claimed)} lines are"
    beyond = f" Beyond the trust boundary {lines} claimed and not believed." if claimed else ""
    return f"You got it from {way}.{beyond}"
