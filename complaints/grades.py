"""The grades of evidence in words: how much of a spam survived on its way to us.

The one place that says them; pages, letters and the command line print from here.
"""

from typing import NamedTuple

__all__ = ["GRADES", "Grade"]


class Grade(NamedTuple):
    """What a grade says: in a few words, in one sentence, and of the signatures (DKIM, RFC 6376)."""

    short: str
    means: str
    signatures: str


GRADES = {
    "A": Grade(
        "complete, as it came",
        "The message is complete, byte for byte as it came.",
        "Its DKIM signatures can be checked.",
    ),
    "B": Grade(
        "headers as they came, the rest rebuilt",
        "The header lines are as they came, or nearly; a mail program rebuilt the rest.",
        "Its DKIM signatures can no longer be checked, which says nothing against the sender.",
    ),
    "C": Grade(
        "parts of the headers are missing or in another order",
        "Parts of the header lines are missing, or stand in another order than they came in; the source can "
        "still be read, with less certainty.",
        "Its DKIM signatures can no longer be checked, which says nothing against the sender.",
    ),
    "D": Grade(
        "no trace of the way it took",
        "No line tells which way it took, so nobody can be told about it.",
        "Its DKIM signatures are not used.",
    ),
}
