"""What a mail program or host did to a message of ours: takes both forms, leaves sentences and a grade.

Only for messages of which we have the bytes we sent.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from complaints.message import Message

_LINE_END = re.compile(rb"\r\n|\r|\n")


class Returned(NamedTuple):
    """`grade` is A to D (grades.py), `lost` what was lost or changed, a sentence each."""

    grade: str
    lost: tuple[str, ...]


def compare(sent: Message, back: Message, grade: str) -> Returned:
    """What is different in `back`; `grade` is what its way in allows at best."""
    found = list(_differences(sent, back))
    worst = max([grade, *(letter for letter, _ in found)])
    return Returned(worst, tuple(sentence for _, sentence in found))


def _differences(sent: Message, back: Message) -> Iterator[tuple[str, str]]:
    names = [header.name.lower() for header in sent.headers]
    there = {header.name.lower() for header in back.headers}
    if not back.fields("received"):
        yield "D", "The Received lines are gone, and with them every trace of the way."
    if missing := [header.name for header in sent.headers if header.name.lower() not in there]:
        yield "B", f"Header lines are gone: {', '.join(missing)}."
    kept = [header for header in sent.headers if header.name.lower() in there]
    if changed := [header.name for header in kept if _value(sent, header.name) != _value(back, header.name)]:
        yield "B", f"Header lines were written anew: {', '.join(changed)}."
    order = [header.name.lower() for header in back.headers if header.name.lower() in names]
    if order != [name for name in names if name in there]:
        yield "C", "The header lines came in another order."
    yield from _of_text(sent, back)


def _of_text(sent: Message, back: Message) -> Iterator[tuple[str, str]]:
    if _lines(sent) == _lines(back):
        return
    before, after = _words(sent), _words(back)
    if before == after:
        yield "B", "The text was coded anew; its words are the same."
    elif before in after:
        yield "B", "Words were added to the text, as mail hosts do that warn or advertise."
    else:
        yield "C", "The text was changed or cut."


def _value(message: Message, name: str) -> str:
    return " ".join((message.get(name) or "").split())


def _lines(message: Message) -> bytes:
    return _LINE_END.sub(b"\n", message.raw[message.body :]).rstrip()


def _words(message: Message) -> str:
    texts = (part.text() for part in message.leaves() if part.content_type.startswith("text/"))
    return " ".join(" ".join(texts).split())
