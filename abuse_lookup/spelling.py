"""Takes a target as it was typed or pasted; leaves it without what surrounds it and without its disguise.

Reports write `hxxp://www[.]pills[.]example` so that nobody clicks; sentences end in a dot; mail programs put
addresses in angle brackets behind a name.
"""

import re

_AROUND = " \t\r\n\f\v\u00a0\u200b\u200e\u200f\u2060\ufeff\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
_AFTER = ".,;!?"  # not a colon: `2001:db8::` ends in one
_MOST_WRAPPINGS = 4
_HIDDEN_SCHEME = re.compile(r"(?i)h[x*]{2}p(s?)(?=\[?:)")
_HIDDEN_SIGN = re.compile(r"(?i)[\[({](\.|dot|@|at|:|://)[\])}]")
_SIGNS = {"dot": ".", "at": "@"}


def bare_text(text: str) -> str:
    """Take off what stands around a target, and undo what makes it not clickable."""
    bare = text.strip(_AROUND).rstrip(_AFTER)
    if bare.endswith(">") and "<" in bare:
        bare = bare[bare.rindex("<") + 1 : -1]
    for _ in range(_MOST_WRAPPINGS):
        bare = _less(bare)
    if bare[:4].lower() == "url:":
        bare = bare[4:]
    bare = _HIDDEN_SCHEME.sub(r"http\1", bare, count=1) if bare[:1] in {"h", "H"} else bare
    return _HIDDEN_SIGN.sub(lambda match: _SIGNS.get(match[1].lower(), match[1]), bare)


def _less(text: str) -> str:
    """Without marks around it; without a pair of brackets around it all, or half of one."""
    bare = text.strip(_AROUND).rstrip(_AFTER).strip("<>")
    if bare[:1] == "(" and (bare[-1:] == ")" or ")" not in bare):
        bare = bare[1:].removesuffix(")")
    return bare.removesuffix(")") if "(" not in bare else bare
