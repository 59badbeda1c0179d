"""The text of a privacy policy for a page: takes our own Markdown, leaves headings, paragraphs and lists.

Only what our policies are written in: `##` headings, paragraphs, `- ` lists, `**bold**` and `` `code` ``.
"""

import re
from dataclasses import dataclass

_MARKED = re.compile(r"\*\*(.+?)\*\*|`(.+?)`", re.DOTALL)
Span = tuple[str, str]
"""What it is (`text`, `bold` or `code`), and the words."""


@dataclass(frozen=True)
class Block:
    """`kind` is `heading`, `paragraph` or `list`; `lines` holds one entry, or one per item of a list."""

    kind: str
    lines: tuple[tuple[Span, ...], ...]


def blocks(text: str) -> list[Block]:
    """The blocks of a policy, without its title."""
    found: list[Block] = []
    for part in re.split(r"\n{2,}|(?<=\n)(?=- )", text.replace("\r", "")):
        for line in [part] if not part.startswith("## ") else part.split("\n", 1):
            _add(found, line.strip())
    return found


def _add(found: list[Block], part: str) -> None:
    if not part or part.startswith("# "):
        return
    if part.startswith("## "):
        found.append(Block("heading", (_spans(part[3:]),)))
    elif part.startswith("- "):
        item = _spans(part[2:])
        if found and found[-1].kind == "list":
            found[-1] = Block("list", (*found[-1].lines, item))
        else:
            found.append(Block("list", (item,)))
    else:
        found.append(Block("paragraph", (_spans(part),)))


def _spans(text: str) -> tuple[Span, ...]:
    spans: list[Span] = []
    place = 0
    for match in _MARKED.finditer(text):
        spans.append(("text", text[place : match.start()]))
        spans.append(("bold", match[1]) if match[1] else ("code", match[2]))
        place = match.end()
    spans.append(("text", text[place:]))
    return tuple(span for span in spans if span[1])
