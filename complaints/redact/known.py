"""The codes of a header, searched in everything that follows: takes texts, leaves where each stands again.

There may be 200 of them, which are all letters and digits in long runs: so a text is looked through once for
its long runs, and each code is searched only where it holds one of theirs.
"""

from collections.abc import Iterator

MOST = 200
SHORTEST = 8
_SHORT_RUN = 8
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SPACED = bytes(octet if octet in _LETTERS else 32 for octet in range(256))
_MARKED = bytes(49 if octet in _LETTERS else 48 for octet in range(256))


class Known:
    """The codes known so far, each with the rule by which it was found."""

    def __init__(self) -> None:
        self._rules: dict[bytes, str] = {}
        self._runs: set[bytes] = set()
        self._shortest = 1 << 30
        self._short: set[bytes] = set()
        """Of each code the longest run of letters and digits, by whether it is a long one."""

    @property
    def full(self) -> bool:
        """Whether no more are taken."""
        return len(self._rules) >= MOST

    def add(self, code: bytes, rule: str) -> None:
        """Take a code, unless it is known."""
        if code in self._rules:
            return
        self._rules[code] = rule
        run = code if code.isalnum() else max(code.translate(_SPACED).split(), key=len, default=b"")
        if len(run) < _SHORT_RUN:
            self._short.add(run)
        else:
            self._runs.add(run)
            self._shortest = min(self._shortest, len(run))

    def standing(self, text: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield start, end and rule of each that stands there by itself."""
        for code in self._rules if self._may_stand(text) else ():
            place = text.find(code)
            while place >= 0:
                end = place + len(code)
                alone = not text[place - 1 : place].isalnum() and not text[end : end + 1].isalnum()
                if alone:
                    yield place, end, self._rules[code]
                place = text.find(code, end if alone else place + 1)

    def _may_stand(self, text: bytes) -> bool:
        return any(run in text for run in self._short) or (
            len(text) >= self._shortest and any(run in self._runs for run in _runs(text, self._shortest))
        )


def _runs(text: bytes, shortest: int) -> Iterator[bytes]:
    """Yield the runs of so many letters and digits, or more, at the speed of reading."""
    marked, begins = text.translate(_MARKED), b"1" * shortest
    place = marked.find(begins)
    while place >= 0:
        end = marked.find(b"0", place)
        end = end if end >= 0 else len(text)
        yield text[place:end]
        place = marked.find(begins, end)
