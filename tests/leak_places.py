"""Where the checker must find a person: all places of the redactor's generator, and more; and hostile shapes.

`cases` yields a message, whose it is, and the place. The people are more varied than the redactor's: tags,
short local parts, hyphens, other scripts in names, domains and local parts, and aliases.
"""

from collections.abc import Callable, Iterator

from tests.redaction_places import PEOPLE, Case
from tests.redaction_places import cases as cases_of


def cases() -> Iterator[Case]:
    """Every place of every person."""
    for person in PEOPLE:
        yield from cases_of(person)


HOSTILE: dict[str, Callable[[int], bytes]] = {}
