"""The codes of a header, searched in everything that follows: takes texts, leaves where each stands again.

There may be 200 of them, nearly all with a long run of letters and digits: so a text is looked through once
for its long runs, and such a code is searched only where its own is one of these.
"""

import re
from collections.abc import Iterator

from complaints.redact.sieve import runs

MOST = 200
SHORTEST = 8
_LONG_RUN = 12
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_RUN = re.compile(rb"[A-Za-z0-9]{%d,}" % _LONG_RUN)
_BEGINS = b"1" * _LONG_RUN
_IS_LETTER = bytes(ord("1") if octet in _LETTERS else ord("0") for octet in range(256))


class Known:
    """The codes known so far, each with the rule by which it was found."""

    def __init__(self) -> None:
        self._rules: dict[bytes, str] = {}
        self._by_run: dict[bytes, list[bytes]] = {}
        """The codes by their first long run of letters and digits, where they have one."""
        self._others: list[bytes] = []

    @property
    def full(self) -> bool:
        """Whether no more are taken."""
        return len(self._rules) >= MOST

    def add(self, code: bytes, rule: str) -> None:
        """Take a code, unless it is known or there is no more room."""
        if code in self._rules or len(self._rules) >= MOST:
            return
        self._rules[code] = rule
        run = _RUN.search(code)
        (self._others if run is None else self._by_run.setdefault(run[0], [])).append(code)

    def standing(self, text: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield start, end and rule of each that stands there by itself."""
        for code in self._may_stand(text):
            place = text.find(code)
            while place >= 0:
                end = place + len(code)
                alone = not text[place - 1 : place].isalnum() and not text[end : end + 1].isalnum()
                if alone:
                    yield place, end, self._rules[code]
                place = text.find(code, end if alone else place + 1)

    def _may_stand(self, text: bytes) -> list[bytes]:
        if not self._by_run:
            return self._others
        met = self._by_run.keys() & runs(text, _IS_LETTER, _BEGINS)
        return [*self._others, *(code for run in met for code in self._by_run[run])]
