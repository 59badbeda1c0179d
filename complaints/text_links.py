"""Finding links in running text.

Takes what a reader sees: a text part, the words of a page, a subject. Leaves the web links, mail addresses
and phone numbers in it, also those without a scheme that mail readers make clickable, and none that are file
names, abbreviations or sentences without their blank.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from html import unescape

from complaints.bare_names import is_link, is_real
from complaints.urls import INVISIBLE, UNSEEN, lower_ascii, refang

_LONGEST_TOKEN = 20_000
_SHORT = 100
_LONGEST_BARE = 2_000
_QUOTES = "\u2018\u201a-\u201f\u00ab\u00bb\u2039\u203a\u3008-\u3011\u3014-\u301b\uff08\uff09\uff3b\uff3d"
_STOPS = "\u3001\uff0c\uff1b\uff01\uff1f\uff5c\u2026"
# Scripts that are written without blanks between words.
_BLANKLESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
# The colon of a link with its scheme before it; the one character that is searched for comes first.
_AFTER_SCHEME = re.compile(
    r":(?:(?<=[Hh][Tt][Tt][Pp]:)|(?<=[Hh][Tt][Tt][Pp][Ss\u017f]:)"
    r"|(?<=[Ff][Tt][Pp]:)(?<![A-Za-z\u017f\u212a][Ff][Tt][Pp]:))"
    rf"[/\\]{{1,3}}[^\s<>\"'`\x00-\x1f\x7f{_QUOTES}{_STOPS}]++"
)
_SPLIT = re.compile(rf"[\s<>\"'`,;|{_QUOTES}{_STOPS}]+")
_DOTLESS = re.compile(r"[\uff0e\uff0f]|(?i: dot |[\[({]dot)|[-) ]\d{3}[ .-]\d{4}")
# What a link has in it, with the rest of the word: a dot with what can be a part of a host behind it, or the
# end of a scheme. Each begins with the one character that is searched for, the fastest that a pattern can be.
_INNER_DOT = re.compile(
    r"\.(?=[A-Za-z0-9\x80-\U0010ffff])(?=[A-Za-z]{2}|[^\x00-\x7f]|\d{1,3}[/:])(?<![ \n]\.)\S*+"
)
_COLON_SLASH = re.compile(r":(?<![ \n]:)[/\\]\S*+")
_HOSTLIKE = re.compile(r"[A-Za-z0-9-]\.[A-Za-z]{2}|\.[^\x00-\x7f]|[^\x00-\x7f]\.|\d\.\d{1,3}[/:]")
# Host names inside a token; the look-behind keeps a run from being read again from its second letter.
_HOST_CLASS = (
    r"a-z0-9\u00b7\u00c0-\u1fff\u2c00-\u2fef\u3005-\u3007"
    r"\u3040-\ud7ff\uf900-\ufdff\ufe70-\ufefc\U0001f000-\U0003ffff"
)
_BARE = re.compile(
    rf"(?i)(?<![{_HOST_CLASS}._&-])[{_HOST_CLASS}][{_HOST_CLASS}_-]*+(?>(?:\.[{_HOST_CLASS}_-]++)+)"
)
_BARE_REST = re.compile(r"((?::\d{1,5})?(?:[/?#].*)?)(?:&.*)?", re.DOTALL)
_ADDRESS_LINK = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?/[a-zA-Z][^\s]*")
_USERINFO = re.compile(r"[\w.-]+:[^@/:]+@[^@/]+(?::\d|/)|www\.[^@/]+@[^@/]+(?::\d|/)", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?i)(?<![^\s<>\"'`(),;:|=\[\]{}/])([a-z0-9!#$%&*+/=?^_{|}~-][a-z0-9.!#$%&*+/=?^_{|}~-]{0,63}"
    r"@[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9]))(?![\w@])"
)
_PLUS = re.compile(r"\+\(?\d(?>(?:[ .()-]{0,3}\d){6,18})(?![\w/=@+])")
_ZEROS = re.compile(r"00 ?[1-9](?>(?:[ .()-]{0,3}\d){6,18})(?![\w/=@+])")
_MAY_PLUS = re.compile(rf"\+{UNSEEN}*+\(?{UNSEEN}*+\d")
_MAY_ZEROS = re.compile(rf"0{UNSEEN}*+0{UNSEEN}*+ ?{UNSEEN}*+[1-9]")
_TOLL_FREE = re.compile(r"8(?:00|33|44|55|66|77|88)\)?[ .-]\d{3}[ .-]\d{4}(?![\w/=@+])")
_BEFORE_TOLL_FREE = re.compile(r"(?:1[ .-])?\(?\Z")
# A number of North America without its country code, where a word says that it is to be called.
_LAST_FOUR = re.compile(r"-\d{4}(?<=[ .)-][2-9]\d\d-\d{4})(?![\w/=@+-])")
_TO_CALL = re.compile(r"(?i:\bcall\b)[^\d\n]{0,40}?(\(?[2-9]\d\d(?:\)[ .-]?|[ .-])\d{3})\Z")
_JOINED_BEFORE = re.compile(r"[\w+./=@-]\Z")
_SETTLED = re.compile(r"[A-Za-z]++:[/\\]*+[A-Za-z0-9._%@:&-]*+(?:[/\\?#]|\Z)")
_PLACE = re.compile(r"[^:]*:[/\\]*([^/\\?#]*)")
_HOST_START = re.compile(r"(?i)[a-z0-9.-]+")
# Marks that end the host of a link in a sentence; in brackets there is no user name either.
_MARKS = re.compile(r"[]!$'(*+),;=~{}|`[]")
_TRAILING = ".,:;!?'\"*_]>}|-\u2019\u201d\u00bb\u3002"
# Nearly every word with a link or an address in it: nothing around it but brackets and the end of a sentence.
_PLAIN_LINK = re.compile(
    r"[<(]?(https?://[A-Za-z0-9.-]*[A-Za-z0-9](?::\d++)?(?:[/?#][A-Za-z0-9./~_%=?&+#-]*[A-Za-z0-9/~%=&+#]|/)?)[>).,!?]*+"
)
_PLAIN_ADDRESS = re.compile(r"[<(]?([A-Za-z0-9][A-Za-z0-9._+-]{0,63}+@([A-Za-z0-9.-]*[A-Za-z0-9]))[>),.]*+")
_PLAIN_NAME = re.compile(
    r"((?![-.])(?:[A-Za-z0-9-]++\.)+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9])((?:/[A-Za-z0-9./~_%=?+-]*[A-Za-z0-9/~%=+]|/)?)[).,!?:]*+"
)
_ESCAPES = re.compile(r"\x1b[($][@-Z]?")
_ENTITIES = re.compile(r"&(?:lt|gt|quot|nbsp|#\d{1,7}|#x[0-9a-f]{1,6});", re.IGNORECASE)
_SPACED_SCHEME = re.compile(r"(?i)\bh ?t ?t ?p ?(s?) ?: ?/ ?/ ?")
_IN_ANGLES = re.compile(r"(?i)<(?:URL:)?\s*((?:https?|ftp):[^<>\"]{1,2000})>")
_OPENED = re.compile(r"<(?i:http|url:|ftp:)")
_SPOKEN_DOT = re.compile(
    r"(?i)\b(?:www dot [a-z0-9-]{2,63}|[a-z]{1,40}[-\d][a-z0-9-]{0,40})"
    r" dot (?:com|net|org|info|biz|xyz|top|online|shop|site|club|io|co|ru|cn|de|uk)\b"
)
_BETWEEN_SCRIPTS = re.compile(rf"(?<=[{_BLANKLESS}])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[{_BLANKLESS}])")
_WIDE = {0xFF01 + n: 0x21 + n for n in range(0x5E)}


def references_in(text: str, most: int = 20_000) -> list[tuple[str, str]]:
    """Return each reference of a running text with its kind: `web`, `mail` or `phone`.

    A web reference is an absolute URL with the scheme that browsers would add, its disguises not yet undone.
    `most` is the number of words with a dot in them that are looked at.
    """
    if "." not in text and "/" not in text and "+" not in text and not _DOTLESS.search(text):
        return []
    text, lowered = _undisguised(text)
    found: list[tuple[str, str]] = []
    for token in _tokens(text)[:most]:
        found += _short_token(token) if len(token) < _SHORT else _references_of(token)
    calls = b"call" in lowered
    if calls or "+" in text or "00" in text or "8" in text:
        found += [("phone", number) for number in _phones(text, calls)]
    return found


def _tokens(text: str) -> list[str]:
    """Give the words that a host name, an address or a link can stand in; all others are never looked at."""
    tokens: list[str] = []
    places = [match.span() for match in _INNER_DOT.finditer(text)]
    # One letter is looked for many times as fast as two.
    if ":" in text and (schemes := [match.span() for match in _COLON_SLASH.finditer(text)]):
        places += schemes
        places.sort()
    end = 0
    for place, stop in places:
        if place < end:
            continue
        start = text.rfind(" ", end, place) + 1 or end
        word = text[start:stop] if stop - start < _LONGEST_TOKEN else _around(text, start, place, stop)
        if not word.isascii():
            start = max(start, text.rfind("\n", end, place) + 1, text.rfind("\t", end, place) + 1)
            tokens += _visible(_around(text, start, place, stop)).split()
        elif word.isprintable():
            tokens.append(word)
        else:
            # Any other blank in it, a line end for one.
            tokens.append(word.split()[-1])
        end = stop
    return tokens


def _around(text: str, start: int, place: int, stop: int) -> str:
    return text[max(start, place - _LONGEST_TOKEN) : min(stop, place + _LONGEST_TOKEN)]


def _undisguised(text: str) -> tuple[str, bytes]:
    """Undo what spans several words: bracketed dots, spaced letters, a link broken over lines.

    Behind the text what it was in lower case.
    """
    if "\x1b" in text:
        text = _ESCAPES.sub(" ", text)
    if not text.isascii() and (
        "\uff0e" in text or "\uff1a\uff0f" in text or "\uff48\uff54\uff54\uff50" in text
    ):
        text = text.translate(_WIDE)
    lowered = lower_ascii(text)
    text = refang(text, lowered)
    if b"h t t p" in lowered:
        text = _SPACED_SCHEME.sub(r"http\1://", text)
    if b" dot " in lowered:
        text = _SPOKEN_DOT.sub(lambda match: re.sub(" dot ", ".", match[0], flags=re.IGNORECASE), text)
    if "<" in text and _OPENED.search(text):
        # RFC 3986 appendix C: white space inside the angle brackets is no part of the URL.
        text = _IN_ANGLES.sub(_rejoined, text)
    return text, lowered


def _rejoined(match: re.Match[str]) -> str:
    lines = match[1].split("\n")
    whole = "".join(line.strip(" \t\r>") for line in lines)
    # Blanks elsewhere than at a line end are words: what stands in the brackets is more than one link.
    return f"<{whole}>" if 1 < len(lines) < 12 and not re.search(r"\s", whole) else match[0]


def _visible(token: str) -> str:
    """Take invisible characters out, and write letters made to look like ASCII as what they look like."""
    token = INVISIBLE.sub("", token)
    return "".join(
        unicodedata.normalize("NFKC", letter) if "\U0001d400" <= letter <= "\U0001d7ff" else letter
        for letter in token
    )


@lru_cache(maxsize=8192)
def _short_token(token: str) -> list[tuple[str, str]]:
    return _references_of(token)


def _references_of(token: str) -> list[tuple[str, str]]:
    if plain := _PLAIN_LINK.fullmatch(token):
        return [("web", plain[1])]
    if plain := _PLAIN_ADDRESS.fullmatch(token):
        return [("mail", plain[1])] if is_real(plain[2]) else []
    if plain := _PLAIN_NAME.fullmatch(token):
        name, rest = plain.groups()
        return [("web", _with_scheme(name + rest))] if is_link(name.lower(), name, rest, "") else []
    if "@" in token or "&" in token or ":/" in token or ":\\" in token or _HOSTLIKE.search(token):
        return _any_references_of(token)
    return []


def _any_references_of(token: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if "&" in token and ";" in token:
        token = _ENTITIES.sub(lambda match: unescape(match[0]), token)
    rest = token
    if ":/" in token or ":\\" in token:
        for link in schemed(token):
            rest = rest.replace(link, " ", 1)
            found += [("web", _settled(trim(url))) for url in _separate(link)]
    if "." not in rest:
        return found
    if not rest.isascii():
        rest = _BETWEEN_SCRIPTS.sub(" ", rest)
    for piece in _SPLIT.split(rest):
        if "." not in piece:
            continue
        if "@" in piece and not _USERINFO.match(piece):
            addresses = [match[1] for match in _ADDRESS.finditer(piece) if not _names_a_part(piece, match)]
            found += [("mail", address) for address in addresses if is_real(address.rpartition("@")[2])]
        if _HOSTLIKE.search(piece) and len(piece) <= _LONGEST_BARE and (url := schemeless(_unopened(piece))):
            found.append(("web", url))
    return found


def _names_a_part(piece: str, address: re.Match[str]) -> bool:
    """Tell the address of a part or message (RFC 2392), `cid:image001.png@01DA.ABC`, from a mail address."""
    return piece[max(0, address.start() - 4) : address.start()].lower() in {"cid:", "mid:"}


def schemed(text: str) -> Iterator[str]:
    """Give the links of a text that have a scheme, with the punctuation behind them."""
    for match in _AFTER_SCHEME.finditer(text):
        colon = match.start()
        length = 3 if text[colon - 3] in "Ff" else 4 if text[colon - 1] in "Pp" else 5
        yield text[colon - length : match.end()]


def _separate(url: str) -> Iterator[str]:
    """Part links written without a blank between them: the second begins inside the first one's host."""
    later = url.find("http", 8) if url.count(":/") > 1 else -1
    if later > 0 and not any(mark in url[8:later] for mark in "/?#\\@"):
        yield url[:later]
        yield url[later:]
    else:
        yield url


def _settled(url: str) -> str:
    """End a link where its host ends, when the sentence goes on in another script or behind a mark."""
    if _SETTLED.match(url):
        return url
    place = _PLACE.match(url)
    written = place[1] if place else ""
    host = written if ")" in written or "](" in written else written.rpartition("@")[2]
    if host[:1] == "[" or not (_MARKS.search(host) or not (host.isascii() or is_real(host))):
        return url
    start = _HOST_START.match(host)
    if start is None or not is_real(start[0].rstrip(".")):
        return url
    return url[: url.index(host) + len(start[0].rstrip("."))]


def trim(url: str) -> str:
    """Take off punctuation that ends the sentence, and a bracket that was opened before the link."""
    trailing = _TRAILING if "[" not in url else _TRAILING.replace("]", "")
    url = url.rstrip(trailing)
    if ")" not in url and "]" not in url:
        return url
    for closing, opening in (")(", "]["):
        surplus = url.count(closing) - url.count(opening)
        if surplus > 0 and opening not in url:
            url = url[: url.index(closing)]
        elif surplus > 0:
            url = url.rstrip(closing) + closing * max(0, len(url) - len(url.rstrip(closing)) - surplus)
    return url.rstrip(trailing)


def _unopened(piece: str) -> str:
    dot = piece.find(".")
    return piece[max(piece.rfind("(", 0, dot), piece.rfind(")", 0, dot)) + 1 :]


def schemeless(token: str) -> str | None:
    """Return the link that a token without a scheme stands for, `www.example.com/x`, or None."""
    token = token.lstrip("-_*=@[{!:")
    if token.startswith(".") and not token.startswith(".."):
        # The pattern of all names below one.
        return None
    token = trim(token.lstrip("-_*=.@[{!:"))
    if _ADDRESS_LINK.fullmatch(token) or ("@" in token.partition("/")[0] and _USERINFO.match(token)):
        # A password, a port or a path shows that a browser is meant, not a mail address.
        return f"http://{token}"
    run = _BARE.search(token)
    if run is None or "://" in token or "@" in token.partition("/")[0]:
        return None
    before, found = token[: run.start()], _BARE_REST.fullmatch(token, run.end())
    if found is None or not is_link(run[0].lower(), run[0], found[1], before):
        return None
    return _with_scheme(run[0] + found[1])


def _with_scheme(link: str) -> str:
    return ("ftp://" if link[:4].lower() == "ftp." else "http://") + link


def _phones(text: str, calls: bool) -> list[str]:
    """Find numbers with a country code, and those of North America that are free or that one is to call."""
    found: list[tuple[int, str]] = []
    plus = "+" in text and _MAY_PLUS.search(text)
    zeros = "00" in text and _MAY_ZEROS.search(text)
    if (plus or zeros) and not text.isascii():
        text = INVISIBLE.sub("", text)
    if plus:
        found += [(match.start(), match[0]) for match in _PLUS.finditer(text)]
    if zeros:
        found += [(match.start(), match[0]) for match in _ZEROS.finditer(text)]
    for match in _TOLL_FREE.finditer(text) if "8" in text else ():
        opened = _BEFORE_TOLL_FREE.search(text, max(0, match.start() - 3), match.start())
        start = opened.start() if opened else match.start()
        if (")" in match[0]) == ("(" in text[start : match.start()]):
            found.append((start, text[start : match.end()]))
    for match in _LAST_FOUR.finditer(text) if calls else ():
        if told := _TO_CALL.search(text, max(0, match.start() - 60), match.start()):
            found.append((told.start(1), text[told.start(1) : match.end()]))
    return _unjoined(text, found) if found else []


def _unjoined(text: str, found: list[tuple[int, str]]) -> list[str]:
    """Keep of these numbers, each with its place, what is no piece of something else."""
    numbers: list[str] = []
    end = 0
    for start, number in sorted(found):
        before = text[max(0, start - 1) : start]
        opened_by = text[max(0, start - 2) : start - 1] if before == "(" else ""
        if start >= end and not _JOINED_BEFORE.search(before) and not _JOINED_BEFORE.search(opened_by):
            numbers.append(number)
            end = start + len(number)
    return numbers
