"""Telling a code from a word: what a machine made up, and what a person could have written."""

import re
from functools import lru_cache

_SHORTEST = 6
_SHORTEST_LABEL = 10
_LONG = 24
"""So many letters and digits without a separator are a code, whichever they are."""
_SEPARATORS = b"-_.+%~|="
_AS_ONE = bytes.maketrans(_SEPARATORS, b"-" * len(_SEPARATORS))
_LONG_PIECE = re.compile(rb"[^-_.+%%~|=]{%d}" % _LONG)
_DIGITS = b"0123456789"
_CHANGES = re.compile(rb"(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])")
_TURNS = re.compile(rb"(?<=[0-9])(?=[A-Za-z])|(?<=[a-z])(?=[0-9A-Z])|(?<=[A-Z])(?=[0-9a-z])")
"""Where the kind of letter changes."""
_RISES = re.compile(rb"[a-z](?=[A-Z])")
_CONSONANTS = re.compile(rb"[bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ]{5}")


def is_code(text: bytes) -> bool:
    """Tell whether a piece of a path, a local part or a field was made by a machine.

    A piece of words and separators is none; a number of six digits, a mixture of letters and digits, letters
    of both cases or without a vowel are. Short codes pass for words: who counts in two letters is not found.
    """
    size = len(text)
    if size < _SHORTEST:
        return False
    return (size >= _LONG and _LONG_PIECE.search(text) is not None) or _is_code(text)


@lru_cache(maxsize=8192)
def _is_code(text: bytes) -> bool:
    pieces = text.translate(_AS_ONE).split(b"-")
    if any(map(_is_random, pieces)):
        return True
    if len(pieces) == 1:
        return False
    # A UUID, or a number in groups.
    joined = b"".join(pieces)
    return len(joined) >= 12 and _digits(joined) >= 6 and len(_CHANGES.findall(joined)) >= 4


def _digits(text: bytes) -> int:
    return len(text) - len(text.translate(None, _DIGITS))


@lru_cache(maxsize=4096)
def is_code_label(label: bytes) -> bool:
    """Tell whether a label of a host name is a code.

    Stricter than for other pieces: the host is evidence, and customers of mailers and clouds have numbers.
    """
    pieces = [piece for piece in label.split(b"-") if len(piece) >= _SHORTEST_LABEL]
    if label.startswith(b"xn--"):
        return False
    joined = label.replace(b"-", b"")
    # A UUID.
    grouped = len(joined) >= 24 and _digits(joined) >= 6 and len(_CHANGES.findall(joined)) >= 4
    return grouped or any(map(_is_random_label, pieces))


def _is_random_label(piece: bytes) -> bool:
    changes = len(_CHANGES.findall(piece))
    if changes >= 3 or piece.isdigit() or len(_RISES.findall(piece)) >= 2:
        return True
    digits = _digits(piece)
    long = len(piece) >= 16 and (digits >= 3 or changes >= 2)
    return long or len(piece) >= 32 or len(_CONSONANTS.findall(piece)) >= 2


def _is_random(piece: bytes) -> bool:
    size = len(piece)
    if size < _SHORTEST:
        return False
    if size >= _SHORTEST_LABEL and len(_TURNS.findall(piece)) * 2 >= size:
        return True
    digits = _digits(piece)
    if digits == size:
        return True
    if digits:
        changes = len(_CHANGES.findall(piece))
        return changes >= 2 or size >= 16 or (digits >= 4 and size >= 8) or bool(_CONSONANTS.search(piece))
    if piece.islower() or piece.isupper():
        return _CONSONANTS.search(piece) is not None
    return len(_RISES.findall(piece)) >= 2 or _CONSONANTS.search(piece) is not None
