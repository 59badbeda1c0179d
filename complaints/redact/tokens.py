"""Base64 and hex inside a text: what is written anew stays as near to what stood there as it can."""

import re

from complaints.redact.find import Find

URL_SAFE = bytes.maketrans(b"-_", b"+/")
_URL_SAFE_BACK = bytes.maketrans(b"+/", b"-_")
_SPACE = re.compile(rb"\s+")


def _unlike(old: bytes, new: bytes) -> tuple[int, int]:
    """How much is the same at the start of both, and at their end."""
    same = _alike(old, new)
    rest = min(len(old), len(new)) - same
    return same, min(_alike(old[::-1], new[::-1]), rest)


def _alike(left: bytes, right: bytes) -> int:
    """How many octets at the start are equal; by halves, for a token may be a whole body."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def narrow(match: re.Match[bytes], new: bytes, rule: str) -> Find:
    """Make a find of what really changes of a token: a path before it, say, is none of it."""
    same, after = _unlike(match[0], new)
    return Find(match.start() + same, match.end() - after, new[same : len(new) - after], rule, plain=False)


def mended(token: bytes, fresh: bytes) -> bytes:
    """Put fresh base64 in the place of a token's letters, in its alphabet; what did not change stays.

    A token may have a path before it, whose slashes are letters of the other alphabet.
    """
    same, after = _unlike(token.translate(URL_SAFE), fresh)
    changed = fresh[same : len(fresh) - after]
    if b"-" in token or b"_" in token:
        changed = changed.translate(_URL_SAFE_BACK)
    return token[:same] + changed + token[len(token) - after :]


def broken(old: bytes, new: bytes, breaks: list[re.Match[bytes]]) -> bytes:
    """Put line breaks back: behind what changed as far from the end as before, else from the start."""
    pairs = zip(reversed(old), reversed(new), strict=False)
    same = next((count for count, (left, right) in enumerate(pairs) if left != right), len(old))
    pieces, position, taken = [], 0, 0
    for gap in breaks:
        place = gap.start() - taken
        taken += len(gap[0])
        if len(old) - place <= same:
            place += len(new) - len(old)
        pieces += [new[position:place], gap[0]]
        position = max(place, position)
    return b"".join((*pieces, new[position:]))


def token_of(match: re.Match[bytes]) -> bytes:
    """Return a token without the line ends inside it."""
    return _SPACE.sub(b"", match[0]) if b"\n" in match[0] else match[0]
