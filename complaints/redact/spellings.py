"""Every way to spell a private string: takes an identity, leaves one pattern per secret.

A secret's characters may each stand as themselves or in any escape of the web (percent, entity, JavaScript,
CSS, quoted-printable, full-width), with invisible things between them (tags, soft hyphens, folds).

All patterns run over lower-case bytes in linear time: repeats are bounded or possessive, and nothing that
repeats overlaps what follows it. Beside each stands a loosened one, which says where it is worth a try
(`sieve.py`).
"""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from html.entities import codepoint2name, html5

import re2

from complaints.redact import sieve

# Local parts that are words of everyday mail or roles (RFC 2142): alone they point at nobody.
COMMON = frozenset(
    {
        "abuse",
        "account",
        "accounts",
        "admin",
        "all",
        "billing",
        "contact",
        "email",
        "feedback",
        "hello",
        "help",
        "home",
        "hostmaster",
        "info",
        "invoice",
        "jobs",
        "mail",
        "marketing",
        "news",
        "newsletter",
        "noreply",
        "office",
        "order",
        "orders",
        "post",
        "postmaster",
        "press",
        "private",
        "root",
        "sales",
        "security",
        "service",
        "shop",
        "spam",
        "support",
        "team",
        "test",
        "user",
        "webmaster",
    }
)
SAME_MAILBOX = {"gmail.com": "googlemail.com", "googlemail.com": "gmail.com"}
"""Providers that deliver both domains, and any dots in the local part, to one mailbox (as of 2026)."""

# Between two characters: soft hyphen, zero-width and direction marks, NUL (UTF-16 as bytes), tags and
# comments, soft line breaks, folds, lines broken in a text or in what it quotes, a string closed and opened
# again in JavaScript, an RFC 2231 continuation.
GAP = (
    r"(?>(?:\xc2?\xad|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf|\xcd\x8f|\xe1\xa0\x8e|\x00|[%=](?:25){0,4}00"
    r"|<!--[^<]{0,300}?-->|<[^<>]{0,300}>|&(?:shy|zwnj|zwj|nobreak|zerowidthspace|lrm|rlm"
    r"|#0{0,6}(?:173|820[3-7]|8288|65279)|#x0{0,6}(?:ad|200[b-f]|2060|feff));?"
    r"|=[ \t]{0,4}\r{0,2}\n|\r{0,2}\n(?:>{1,8} ?|[ \t]{1,8})| \r{0,2}\n|\\\r?\n|['\"]\s{0,5}[+,]\s{0,5}['\"]"
    r"|\"?;\s{0,5}[a-z-]{1,20}\*\d{1,3}\*?=\"?){0,12})"
)
# Quotes around the local part, and comments (RFC 5322 §3.4.1).
_BESIDE_AT = r"(?:[\"']|\s{0,4}\([^()]{0,100}\)\s{0,4}){0,2}"
NUMBERS = "address in numbers"
_COMMA = r"\s{0,4},\s{0,4}"
_SHORTEST_GLUED = 6
_BLANK = r"\t-\r "
"""What `\\s` is in a class of octets, for both engines."""
_AT_SEPARATORS = "@=#!~*:/|%._-,+"
# Sympa's, LISTSERV's and Lyris' return paths: `user==a==host`, `user**host*-tld`, `user--host`.
_AT_IN_BOUNCES = r"={1,2}a={1,2}|\*\*|--"
_DOT_SEPARATORS = "._-"
# The charsets of one octet in which names with marks stand in mail.
_CHARSETS = ("cp1252", "cp437", "cp850", "mac_roman")
# Full-width, small, circled and mathematical letters: what NFKC folds to ASCII one by one.
_TWIN_BLOCKS = ((0xFF01, 0xFF5E), (0xFE50, 0xFE6B), (0x24B6, 0x24E9), (0x1D400, 0x1D7FF))


@dataclass(frozen=True)
class Secret:
    """One thing to hide: where `pattern` (over lower-case bytes) matches, its group `hide` is private.

    `private` is what the pseudonym is made of. `loose` matches wherever `pattern` does (`sieve.py`),
    `letters` is the longest run of ASCII letters and digits in it. `bare`: the local part counts also without
    the domain (no group `rest`), like a word. A `word` counts only as a whole word, and not inside a host
    name or an address of somebody else.
    """

    rule: str
    private: str
    source: str = field(repr=False)
    loose: str = field(repr=False)
    lead: bytes
    """The ASCII letters and digits that it begins with."""
    letters: bytes = b""
    bare: bool = False
    word: bool = False

    @cached_property
    def _alone(self) -> "re2._Regexp":
        return sieve.automaton([self.loose])

    def may_begin(self, lower: bytes, start: int) -> bool:
        """Tell whether it is worth compiling the pattern, which takes ten times as long as asking `loose`."""
        return "pattern" in vars(self) or self._alone.match(lower, start) is not None

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """Compiled when first needed: that takes some 10 ms, and most spellings are never met."""
        return re.compile(self.source.encode("latin-1"), re.DOTALL)


def secrets(addresses: Iterable[str], names: Iterable[str], phrases: Iterable[str] = ()) -> Iterator[Secret]:
    """Yield the secrets of an identity: addresses, also backwards and in rot13, local parts, names, words."""
    for address in addresses:
        local, _, domain = address.lower().rpartition("@")
        for host in _domains(domain):
            yield from _address(local, host, dots=domain in SAME_MAILBOX)
    for name in names:
        words = tuple(re.findall(r"\w+", name.lower()))
        if any(len(word) < 3 for word in words) and len(words) > 1:
            yield _word("name", name, words)
        for word in words:
            if len(word) >= 3:
                yield _word("name", word, (word,))
        if len(words) > 1:
            yield from _turned(name, words)
    for phrase in phrases:
        if words := tuple(re.findall(r"\w+", phrase.lower())):
            yield _word("your words", " ".join(words), words)


def _turned(name: str, words: tuple[str, ...]) -> Iterator[Secret]:
    """The last name first, where a word of it is too short to count alone; and first and last as one word."""
    first, last = words[0], words[-1]
    if any(len(word) < 3 for word in words):
        yield _word("name", name, (last, *words[:-1]))
    if len(first + last) >= _SHORTEST_GLUED:
        for glued in dict.fromkeys((first + last, last + first)):
            yield _word("name", name, (glued,))


def _domains(domain: str) -> list[str]:
    """Return the domain in all forms: as given, A-label and U-label (RFC 5890), of the same mailbox."""
    forms = [domain]
    try:
        forms.append(domain.encode("idna").decode("ascii"))
        forms.append(domain.encode("ascii").decode("idna"))
    except UnicodeError:
        # No valid IDN: then there is no other form of it.
        forms.append(domain)
    if domain in SAME_MAILBOX:
        forms.append(SAME_MAILBOX[domain])
    return list(dict.fromkeys(forms))


def _address(local: str, domain: str, *, dots: bool) -> Iterator[Secret]:
    plain = local.replace(".", "") if dots else local
    between = f"(?:{letter('.')}{GAP})?" if dots else ""
    loose_between = f"(?:{loose_letter('.')}{sieve.GAP})?" if dots else ""
    left = spelled(plain, between)
    tag = f'(?:{GAP}(?:{letter("+")}|/){GAP}(?:[^\\s@<>"]|\\r?\\n[ \\t]){{0,64}}?)?'
    spoken = f"[{_BLANK}\\[({{<_.-]{{0,4}}(?:at|{letter('@')})[{_BLANK}\\])}}>_.-]{{0,6}}"
    at = f"{GAP}{_BESIDE_AT}(?:{_AT_IN_BOUNCES}|{_any_of(_AT_SEPARATORS)}|{spoken}){_BESIDE_AT}{GAP}"
    dot = f"(?:{_any_of(_DOT_SEPARATORS)}|\\*-|[{_BLANK}\\[({{_-]{{0,6}}(?:dot|\\.)[{_BLANK}\\])}}_-]{{0,6}})"
    right = f"{GAP}{dot}{GAP}".join(spelled(label) for label in domain.split("."))
    # One pass finds the address and the bare local part: `rest` takes part only where the domain follows.
    pattern = f"(?P<hide>{left}(?P<rest>{tag}(?={at}{right}))?)"
    bare = len(local) >= 4 and local not in COMMON
    loose = loosely(plain, loose_between)
    letters = longest_run(plain) if bare else longest_run(plain, domain)
    if not bare:
        tag = f'(?:{sieve.GAP}(?:{loose_letter("+")}|/){sieve.GAP}(?:[^\\s@<>"]|\\r?\\n[ \\t]){{0,64}})?'
        at = f"(?:=+a=+|[*]+|-+|{sieve.loosened(_any_of(_AT_SEPARATORS))}|{sieve.loosened(spoken)})"
        at = f"{sieve.GAP}{sieve.BESIDE_AT}{at}{sieve.BESIDE_AT}{sieve.GAP}"
        loose = loosely(plain, loose_between, most=len(plain)) + tag + at + loosely(domain, most=1)
    yield Secret("address", local, pattern, loose, _lead(plain), letters, bare=bare)
    # Sender Rewriting Scheme and UUCP paths have the domain first: SRS0=hash=tt=domain=local@forwarder.
    first = f"{right}{GAP}{_any_of('=!/#_-+')}{{1,3}}{GAP}(?P<hide>{left})(?![a-z0-9])"
    dot = sieve.loosened(dot)
    loose = f"{sieve.GAP}{dot}{sieve.GAP}".join(
        loosely(label, most=len(label)) for label in domain.split(".")
    )
    loose += (
        f"{sieve.GAP}{sieve.loosened(_any_of('=!/#_-+'))}+{sieve.GAP}{loosely(plain, loose_between, most=3)}"
    )
    yield Secret("address", local, first, loose, _lead(domain), longest_run(plain, domain))
    joint = f"{GAP}{_any_of('@=')}{GAP}"
    back, host_back = local[::-1], domain[::-1]
    pattern = f"{spelled(host_back)}{joint}(?P<hide>{spelled(back)})"
    loose = _loose_pair(host_back, back)
    yield Secret("reversed address", local, pattern, loose, _lead(host_back), longest_run(back, host_back))
    turned, host_turned = codecs.encode(local, "rot13"), codecs.encode(domain, "rot13")
    pattern = f"(?P<hide>{spelled(turned)}){joint}{spelled(host_turned)}"
    loose = _loose_pair(turned, host_turned)
    yield Secret("rot13 address", local, pattern, loose, _lead(turned), longest_run(turned, host_turned))
    yield _numbers(local)


def _numbers(local: str) -> Secret:
    """The local part as codes of its characters, as a script has them: an @ follows, as a code too."""
    codes = [{ord(form) for form in _forms(char)} for char in local]
    each = ["|".join(f"{code}|0x0?{code:x}" for code in sorted(one)) for one in codes]
    numbers = [f"(?:{one})" for one in each]
    pattern = rf"(?<![\w.])(?P<hide>{_COMMA.join(numbers)})(?={_COMMA}(?:64|0x40)(?!\w))"
    loose = sieve.loosened(_COMMA).replace(r"\s", f"[{_BLANK}]").join([*numbers, "(?:64|0x40)"])
    return Secret(NUMBERS, local, pattern, loose, b"")


def _loose_pair(first: str, second: str) -> str:
    """The start of the first, and of the second only where that is short."""
    if len(first) >= sieve.MOST_LETTERS:
        return loosely(first)
    return f"{loosely(first)}{sieve.GAP}{sieve.loosened(_any_of('@='))}{sieve.GAP}{loosely(second, most=4)}"


def _word(rule: str, private: str, words: tuple[str, ...]) -> Secret:
    between = f"(?:{_any_of(' ._+,-')}|[{_BLANK}]|\\xc2\\xa0|&nbsp;)"
    pattern = f"{GAP}{between}{{1,4}}{GAP}".join(map(spelled, words))
    loose, left = [], sieve.MOST_LETTERS
    for word in words:
        if left > 0:
            loose.append(loosely(word, most=left))
            left -= len(word)
    joined = f"{sieve.GAP}{sieve.loosened(between)}+{sieve.GAP}".join(loose)
    hide = f"(?P<hide>{pattern})"
    return Secret(rule, private, hide, joined, _lead(words[0]), longest_run(*words), word=True)


def _lead(text: str) -> bytes:
    return (re.match(rb"[a-z0-9]*", text.lower().encode("utf-8")) or [b""])[0]


def longest_run(*texts: str) -> bytes:
    """Return the longest run of ASCII letters and digits in some texts; one alone tells nothing."""
    runs = [run for text in texts for run in re.findall(rb"[a-z0-9]{2,}", text.lower().encode("utf-8"))]
    return max(runs, key=len, default=b"")


def spelled(text: str, between: str = "") -> str:
    """Return the pattern of `text` with each character in any spelling and gaps allowed between them."""
    first, *rest = map(letter, text)
    if not rest:
        return first
    # Nearly all first letters are followed by something else: one look at the next octet says so.
    second = unicodedata.normalize("NFD", text[1])[0]
    # What is beyond ASCII starts with an octet of the last class.
    starts = (re.escape(second) if second.isascii() else "") + (r"._\-" if text[1] in "._-" else "")
    glance = f"(?=[{starts}\\- (.%=+&\\\\<\\x00\\r\\n'\";\\x80-\\xff])"
    return first + glance + (GAP + between).join(("", *rest))


def loosely(text: str, between: str = "", *, most: int = sieve.MOST_LETTERS) -> str:
    """Return a pattern in the syntax of RE2 that matches wherever `spelled(text)` does: its first letters."""
    return (sieve.GAP + between).join(map(loose_letter, text[:most]))


@lru_cache(maxsize=1024)
def letter(char: str) -> str:
    """Return the pattern of all spellings of one character in lower-case bytes (as latin-1 text)."""
    if char in _DOT_SEPARATORS:
        return rf"(?:\\?{_any_of(_DOT_SEPARATORS)})"
    forms = _forms(char)
    twins = "".join(f"|{_escaped(twin.encode('utf-8'))}" for twin in _TWINS.get(forms[-1].lower(), ()))
    return f"(?:{'|'.join(_literals(forms))}{twins}{_escapes(forms)})"


@lru_cache(maxsize=1024)
def loose_letter(char: str) -> str:
    """The same, loosened (`sieve.py`)."""
    if char in _DOT_SEPARATORS:
        return rf"(?:\\?{sieve.loosened(_any_of(_DOT_SEPARATORS))})"
    forms = _forms(char)
    twins = sieve.twins(_TWINS.get(forms[-1].lower(), ()))
    return f"(?:{'|'.join(_literals(forms))}{twins}{sieve.loosened(_escapes(forms))})"


def _forms(char: str) -> list[str]:
    return sorted({char.lower(), char.upper()} if len(char.upper()) == 1 else {char})


def _escapes(forms: list[str]) -> str:
    """Every escape of a character, as further alternatives; list managers write `+2d`, URL Defense `-2d`."""
    hexes = "|".join(dict.fromkeys(f"{ord(form):x}" for form in forms))
    numbers = "|".join(dict.fromkeys(f"{ord(form)}" for form in forms))
    octal = "|".join(dict.fromkeys(f"{ord(form):o}" for form in forms))
    names = "".join(f"|{name.lower()}" for name in _entities(forms))
    percent = "|".join(dict.fromkeys(_percent(form) for form in forms))
    return (
        f"|%(?:25|3d){{0,4}}(?:u00)?(?:{percent})|[+-](?:{percent})|=(?:25|3d){{0,4}}(?:u00)?(?:{percent})"
        f"|&(?:amp;|#0*38;|#x0*26;){{0,4}}(?:#0{{0,6}}(?:{numbers})|#x0{{0,6}}(?:{hexes}){names});?"
        f"|\\\\\\\\{{0,3}}(?:(?:u\\{{?|x|')?0{{0,5}}(?:{hexes})|0{{0,2}}(?:{octal}))[ }}]?"
    )


def _literals(forms: list[str]) -> list[str]:
    """The character itself, as UTF-8 and in charsets of one octet; `ss` for `\u00df`."""
    found: list[str] = []
    for form in forms:
        if form.isascii():
            # Perhaps a quoted pair (RFC 5322 §3.2.1).
            found.append(rf"\\?{re.escape(form.lower())}")
            continue
        found += [_escaped(variant.encode("utf-8")) for variant in (form, unicodedata.normalize("NFD", form))]
        found += [_escaped(form.encode(charset, "ignore") or form.encode("utf-8")) for charset in _CHARSETS]
        # UTF-8 taken for Windows-1252 and encoded again.
        found.append(_escaped(form.encode().decode("cp1252", "ignore").encode()))
        if form.casefold() != form and form.casefold().isascii():
            found.append(form.casefold())
    return list(dict.fromkeys(found))


def _escaped(octets: bytes) -> str:
    return re.escape(octets.lower().decode("latin-1"))


def _percent(form: str) -> str:
    octets = form.encode("utf-8")
    return "[%=](?:25|3d){0,4}".join(f"{octet:02x}" for octet in octets)


def _entities(forms: list[str]) -> list[str]:
    extra = [name.rstrip(";") for name, text in html5.items() if text in forms and name.endswith(";")]
    named = [codepoint2name[ord(form)] for form in forms if ord(form) in codepoint2name]
    return list(dict.fromkeys(re.escape(name.lower()) for name in (*named, *extra)))


@cache
def _any_of(characters: str) -> str:
    """Return the pattern of any of these characters, plain or escaped; one alternative instead of many.

    URL Defense of Proofpoint writes `-40`.
    """
    hexes = "|".join(f"{ord(char):x}" for char in characters)
    numbers = "|".join(str(ord(char)) for char in characters)
    octal = "|".join(f"{ord(char):o}" for char in characters)
    twins = "".join(f"|{_escaped(twin.encode())}" for char in characters for twin in _TWINS.get(char, ()))
    return (
        f"(?:[{re.escape(characters)}]{twins}|[%=](?:25|3d){{0,4}}(?:u00)?(?:{hexes})|[+-](?:{hexes})"
        f"|&(?:amp;){{0,4}}(?:#0{{0,6}}(?:{numbers})|#x0{{0,6}}(?:{hexes})|commat|equals|period);?"
        f"|\\\\{{1,4}}(?:(?:u\\{{?|x|')?0{{0,5}}(?:{hexes})|0{{0,2}}(?:{octal}))\\}}?)"
    )


def _twins() -> dict[str, list[str]]:
    """Map each ASCII character to the characters of the blocks above that NFKC folds to it."""
    twins: dict[str, list[str]] = {}
    for first, last in _TWIN_BLOCKS:
        for code in range(first, last + 1):
            plain = unicodedata.normalize("NFKC", chr(code)).lower()
            if len(plain) == 1 and plain.isascii():
                twins.setdefault(plain, []).append(chr(code))
    return twins


_TWINS = _twins()
