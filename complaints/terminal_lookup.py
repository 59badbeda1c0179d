"""Who answers, in a terminal: takes a lookup document, leaves at most 20 lines of it for a person.

What servers said is a stranger's text: it is cleaned, and cut to what its place has room for. `--explain`
adds every question and answer below, as long as they are.
"""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from unicodedata import east_asian_width

from complaints.screen import Screen, clean

Json = dict[str, Any]

MOST_LINES = 20
_MOST_ASIDE = 3  # mailboxes not used, and failures, that are named; the others are counted
_MOST_ASIDE_LINES = 8
_LONG_WHY, _MOST_WHY = 4, 2  # lines of a reason, where there is room, and where there is not
_LONGEST_REACH = 254  # characters of a mailbox (RFC 5321 §4.5.3.1.3) or the form's address
MOST_ANSWER = 24
"""Lines of one answer that `--explain` prints; `--json` has them all."""

_SOURCES = {
    "rdap": "RDAP",
    "whois": "WHOIS",
    "dns": "DNS",
    "soa": "DNS zone",
    "known": "known to us",
    "header": "the message itself",
    "cache": "kept",
}
_STATES = {"temporary": "failed, may work later", "permanent": "failed"}


def lookup_lines(document: Json, now: datetime, screen: Screen | None = None) -> Iterator[str]:
    """Who answers for a target, how sure that is and why, what was not used, what failed."""
    screen = screen or Screen.of(sys.stdout)
    aside = _aside(document, screen)
    head = _head(document, screen)
    yield from head
    yield from _contacts(document, screen, now, MOST_LINES - _rows(head, screen) - len(aside))
    yield from aside
    if document.get("questions") is not None:
        yield from _questions(document["questions"], screen)


def _head(document: Json, screen: Screen) -> list[str]:
    target = _cut(clean(document["target"]), 2 * screen.width)
    lines = [f"{target}  ({document['kind']})"]
    if document.get("network"):
        lines.append(f"  in {clean(document['network'])}")
    if document.get("stale"):
        lines.append("  older than it should be; it is being asked anew")
    return lines


def _contacts(document: Json, screen: Screen, now: datetime, room: int) -> Iterator[str]:
    """As many contacts, the best first, as there is room for, with long reasons where they fit."""
    if not document["contacts"]:
        yield f"  {screen.marks.claimed} no abuse desk found"
    for most in (_LONG_WHY, _MOST_WHY):
        shown = [_contact(one, screen, now, most, best=n == 0) for n, one in enumerate(document["contacts"])]
        if sum(_rows(lines, screen) for lines in shown) <= room:
            break
    for n, lines in enumerate(shown):
        room -= _rows(lines, screen)
        if room < (n + 1 < len(shown)) and n:
            yield f"  and {len(shown) - n} more; --json has them all"
            return
        yield from lines


def _rows(lines: list[str], screen: Screen) -> int:
    """How many rows lines take on the screen: one that is longer than it goes on in the next."""
    return sum(1 + (_columns(line) - 1) // screen.width for line in lines)


def _contact(contact: Json, screen: Screen, now: datetime, most: int, *, best: bool) -> list[str]:
    marks = screen.marks
    sure = contact["confidence"] != "low"
    mark = marks.source if best and sure else marks.host if sure else marks.claimed
    reached = _cut(clean(contact.get("address") or contact.get("form") or ""), _LONGEST_REACH)
    source = _SOURCES.get(contact["source"], clean(contact["source"]))
    server = f", {_cut(clean(contact['server']), 80)}" if contact["server"] else ""
    known = contact["source"] == "known"
    age = f", as of {contact['as_of'][:10]}" if known else f", {_age(contact['as_of'], now)}"
    return [
        f"  {mark} {reached}  ({clean(contact['scope'])}, {contact['confidence']})",
        *_short(screen, contact["why"], "    ", most),
        *_short(screen, f"{source}{server}{age}", "    ", 1),
    ]


def _age(text: str, now: datetime) -> str:
    seconds = (now - datetime.fromisoformat(text)).total_seconds()
    if seconds < 60:
        return "asked now"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or unit == "min":
            return f"asked {seconds // length:.0f} {unit} ago"
    raise AssertionError("a minute is the least")


def _aside(document: Json, screen: Screen) -> list[str]:
    """What was not used and what failed: in full when that is short, else a line for each."""
    texts = [*_rejected(document), *_failures(document)]
    for most in (_MOST_WHY, 1):
        lines = [line for text in texts for line in _short(screen, text, "  ", most, "    ")]
        if len(lines) <= _MOST_ASIDE_LINES:
            break
    return lines


def _rejected(document: Json) -> Iterator[str]:
    found = document.get("rejected") or []
    for item in found[:_MOST_ASIDE]:
        # What is said of the target itself names it
        yield item["why"] if item["address"] in item["why"] else f"not used: {item['address']}: {item['why']}"
    if len(found) > _MOST_ASIDE:
        yield f"and {len(found) - _MOST_ASIDE} more not used"


def _failures(document: Json) -> Iterator[str]:
    found = document["failures"]
    for item in found[:_MOST_ASIDE]:
        later = "" if item["permanent"] else " (may work later)"
        source = _SOURCES.get(item["source"], item["source"])
        who = "" if item["server"] in item["reason"] else f"{item['server']}: "
        yield f"failed: {source}: {who}{item['reason']}{later}"
    if len(found) > _MOST_ASIDE:
        yield f"and {len(found) - _MOST_ASIDE} more failures"


def _short(screen: Screen, text: str, margin: str, most: int, rest: str | None = None) -> Iterator[str]:
    """A text in at most so many lines of the screen, however long its words are.

    Where there is room for long reasons, a web address is left whole, so that it can be copied.
    """
    lines = list(screen.fit(text, margin, rest))
    if len(lines) > most:
        lines[most - 1] += " ..."
    longest = screen.width * 2 if most == _LONG_WHY else screen.width
    yield from (_cut(line, longest) for line in lines[:most])


def _cut(text: str, most: int) -> str:
    if _columns(text) <= most:
        return text
    shown = text[: most - 4]
    while _columns(shown) > most - 4:
        shown = shown[:-1]
    return shown.rstrip(" .") + " ..."


def _columns(text: str) -> int:
    """How wide a text is on the screen: letters of East Asia take two columns (UAX #11)."""
    return len(text) if text.isascii() else sum(1 + (east_asian_width(char) in "WF") for char in text)


def _questions(questions: list[Json], screen: Screen) -> Iterator[str]:
    yield ""
    many = (
        "1 question" if len(questions) == 1 else f"{len(questions)} questions, in the order they were asked"
    )
    yield f"  {many}:" if questions else "  Nobody was asked."
    for n, question in enumerate(questions, 1):
        yield from _question(n, question, screen)


def _question(n: int, question: Json, screen: Screen) -> Iterator[str]:
    """What was asked of whom, what came of it, what was read in it, and the answer as it came."""
    state = "kept" if question.get("cached") else _STATES.get(question["status"], question["status"])
    source = _SOURCES.get(question["source"], clean(question["source"]))
    server = f" {clean(question['server'])}" if question["server"] else ""
    yield ""
    yield f"{n:>3} {source}{server}  {question['seconds']:.3f} s  {state}"
    yield from screen.fit(question["question"], "    > ", "      ")
    if question.get("reason"):
        yield from screen.fit(question["reason"], "    ")
    for read in question.get("read") or ():
        yield from screen.fit(read, "    = ", "      ")
    yield from _answer(question.get("answer") or "", screen)


def _answer(text: str, screen: Screen) -> Iterator[str]:
    """An answer as it came, cut into lines of the screen; nothing in it is more than text."""
    margin = f"    {screen.marks.claimed_line} "
    width = screen.width - len(margin)
    lines = [
        clean(line[at : at + width])
        for line in text.expandtabs().splitlines()
        for at in range(0, max(len(line), 1), width)
    ]
    yield from (f"{margin}{line}".rstrip() for line in lines[:MOST_ANSWER])
    if len(lines) > MOST_ANSWER:
        yield f"{margin}and {len(lines) - MOST_ANSWER} more lines; --json has them all"
