"""The evidence in a terminal: takes an evidence document, leaves the lines that draw it for a person.

The hops stand below each other as in the message, the newest on top, with the trust boundary as a line.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from complaints.grades import GRADES
from complaints.outline import Group, Step, answers, groups, pause, steps
from complaints.screen import Marks, Screen, clean

Json = dict[str, Any]

MOST_CLAIMS, MOST_HOSTS, MOST_LINKS = 20, 20, 10
"""Lines not believed, link hosts, and links of one host that are printed; `--json` has them all."""
_LONGEST_NAME = 100


def trace_lines(document: Json, screen: Screen | None = None) -> Iterator[str]:
    """All that was read in one spam: the finding, the way it took, links, lures and signatures."""
    screen = screen or Screen.of(sys.stdout)
    if "file" in document:
        yield f"{clean(document['file'])}:"
    yield from _finding(document, screen)
    yield from _way(document, screen)
    yield from _links(document, screen)
    yield from _vouched(document, screen)
    if document.get("explanation"):
        yield "In words, for a desk:"
        yield from screen.fit(document["explanation"], "  ")


def _finding(document: Json, screen: Screen) -> Iterator[str]:
    source, grade = document["source"], document["grade"]
    if source:
        yield f"Source: {clean(source['ip'])}  (confidence: {source['confidence']})"
        yield from screen.fit(source["why"], "  ")
    else:
        yield "Source: none can be named"
    words = GRADES[grade]
    yield from screen.fit(f"Evidence grade {grade}: {words.short}. {words.signatures}", "", "  ")
    if document.get("lost"):
        yield from screen.fit(document["lost"], "  ", "  ")
    for note in document["notes"]:
        yield from screen.fit(note, "  - ", "    ")


def _way(document: Json, screen: Screen) -> Iterator[str]:
    """The picture: a mark for each host, and beside the line to the next what the hop says."""
    way = steps(document)
    if not way:
        return
    marks = screen.marks
    yield "The way it took, newest first:"
    yield f"  {marks.host} you"
    believed = [step for step in way if step.verdict != "claimed"]
    claimed = [step for step in way if step.verdict == "claimed"]
    for step in believed:
        yield from _hop(step, screen, marks.host, marks.line)
    yield from _origin(document["source"], marks)
    yield from _boundary(screen, "what stands below is claimed, not believed" if claimed else "nothing below")
    for step in claimed[:MOST_CLAIMS]:
        yield from _hop(step, screen, marks.claimed, marks.claimed_line)
    if len(claimed) > MOST_CLAIMS:
        yield f"  {marks.claimed_line} and {len(claimed) - MOST_CLAIMS} more lines not believed"


def _hop(step: Step, screen: Screen, mark: str, line: str) -> Iterator[str]:
    """The host that wrote a line, and below it what the line says."""
    hop = step.hop
    yield f"  {line}"
    words = "your host" if step.verdict in {"source", "end"} else step.words
    yield f"  {mark} {_name(hop['by'] or 'a host that gives no name')}  ({words})"
    margin = f"  {line} "
    yield from screen.fit(_when(step), f"{margin}{hop['n']:>2}  ", f"{margin}    ")
    yield from screen.fit(_who(hop), f"{margin}    ")
    yield from screen.fit(hop["why"], f"{margin}    ")


def _origin(source: Json | None, marks: Marks) -> Iterator[str]:
    yield f"  {marks.line}"
    found = f"{clean(source['ip'])}  SOURCE" if source else "?  no source can be named"
    yield f"  {marks.source} {found}"


def _boundary(screen: Screen, words: str) -> Iterator[str]:
    rule = screen.marks.boundary
    yield f"  {rule * 3} trust boundary: {words} ".ljust(screen.width - 2, rule)


def _when(step: Step) -> str:
    date = step.hop["date"]
    said = [str(date).replace("T", " ").replace("Z", " UTC") if date else "no date"]
    if step.runs_back and step.before is not None:
        said.append(f"{pause(step.before)} after the line above: a clock runs back")
    elif step.before is not None:
        said.append(f"{pause(step.before)} before the line above")
    if step.tls:
        said.append("encrypted" if step.tls == "TLS" else f"encrypted ({step.tls})")
    return ", ".join(said)


def _who(hop: Any) -> str:
    name = f", named {_name(hop['from_name'])}" if hop["from_name"] else ""
    helo = f', calling itself "{_name(hop["helo"])}"' if hop["helo"] else ""
    return f"from {hop['from_ip'] or 'an address nobody wrote down'}{name}{helo}"


def _name(name: str) -> str:
    shown = clean(name)
    return shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 3] + "..."


def _links(document: Json, screen: Screen) -> Iterator[str]:
    found = groups(document)
    if found:
        yield "Links, by the host that answers for them:"
    for group in found[:MOST_HOSTS]:
        yield from _group(group, screen)
    if len(found) > MOST_HOSTS:
        yield f"  and {len(found) - MOST_HOSTS} more hosts"
    for n, answer in enumerate(answers(document)):
        if n == 0:
            yield "Where it wants to be answered:"
        kind = "drop-box" if answer.drop_box else answer.kind
        yield f"  {_name(answer.value)}  ({kind}, {clean(answer.found_in)})"


def _group(group: Group, screen: Screen) -> Iterator[str]:
    places = ", ".join(map(clean, group.found_in))
    yield f"  {_name(group.host)}  ({len(group.links)} in {places})"
    if group.bystander:
        yield from screen.fit(f"bystander: {group.bystander}", "    ")
    for note in group.notes:
        yield from screen.fit(note, "    ! ", "      ")
    yield from (f"    {clean(link['url'])}" for link in group.links[:MOST_LINKS])
    if len(group.links) > MOST_LINKS:
        yield f"    and {len(group.links) - MOST_LINKS} more"


def _vouched(document: Json, screen: Screen) -> Iterator[str]:
    yield from _results("Authentication, as your mail host found it:", document["authentication"])
    if signatures := document.get("signatures"):
        yield "DKIM signatures, checked by us:"
        for one in signatures:
            selector = f" (selector {one['selector']})" if one["selector"] else ""
            text = f"{one['domain'] or 'no domain'}{selector}: {one['result']}. {one['why']}"
            yield from screen.fit(text, "  ", "    ")
    yield from _results("Said by others, not believed:", document.get("unconfirmed") or [])


def _results(title: str, results: Iterable[Json]) -> Iterator[str]:
    for n, result in enumerate(results):
        if n == 0:
            yield title
        by = f"  by {_name(result['by'])}" if result.get("by") else ""
        words = (result["method"], result["result"], result.get("domain") or "")
        yield f"  {' '.join(map(clean, words)).rstrip()}{by}"
