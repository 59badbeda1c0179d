"""Names whose letters look like others.

Takes a host as A-labels; leaves a sentence that says how a screen shows it, and which of its letters are
there to be taken for Latin ones. The pairs are rows of `data/lookalikes.toml`.
"""

import tomllib
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files

import idna


@cache
def _latin() -> dict[str, str]:
    text = files("complaints").joinpath("data/lookalikes.toml").read_text("utf-8")
    rows = tomllib.loads(text)["script"]
    return {pair[0]: pair[2:] for row in rows for pair in row["pairs"].split()}


@lru_cache(maxsize=1024)
def lookalike_note(host: str) -> str | None:
    """Say what a name with A-labels (RFC 5890 §2.3.2.1) shows on a screen; None for a plain name."""
    if "xn--" not in host:
        return None
    labels = [_unicode(label) for label in host.split(".")]
    shown = ".".join(labels)
    if shown == host:
        return None
    sentence = f"{host} shows as {shown}"
    for label in labels:
        scripts = {_script(letter) for letter in label if letter.isalpha()}
        others = sorted(scripts - {"Latin"})
        skeleton = "".join(_latin().get(letter, letter) for letter in label)
        if others and skeleton.isascii() and labels[-1].isascii():
            return f"{sentence}: letters of {' and '.join(others)} that look like Latin ones, {skeleton!r}"
        if "Latin" in scripts and {"Cyrillic", "Greek", "Armenian", "Cherokee"} & scripts:
            return f"{sentence}: Latin letters mixed with {' and '.join(others)} ones"
        if not others and not label.isascii() and skeleton.isascii():
            return f"{sentence}: letters that look like other Latin ones, {skeleton!r}"
    return sentence


def _unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return idna.decode(label)
    except (idna.IDNAError, UnicodeError):
        return _plain_punycode(label)


def _plain_punycode(label: str) -> str:
    """Decode a label that IDNA forbids, an emoji for one, unless it could harm the line it is shown in."""
    try:
        decoded = label[4:67].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label
    harmless = all(unicodedata.category(letter)[0] in "LMNS" for letter in decoded)
    return decoded if harmless and decoded else label


def _script(letter: str) -> str:
    return unicodedata.name(letter, "unknown").partition(" ")[0].capitalize()
