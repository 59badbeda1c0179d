"""Telling a host name in running text from a file name, an abbreviation, a piece of a program.

Takes a word with a dot in it; leaves whether it is a link, or could be registered at all.
"""

from functools import lru_cache

from complaints.hosts import organisational_domain, suffixes
from complaints.urls import read_host

# Endings that are a country or a new domain and, in running text, far more often a file name or a word.
_FILES = frozenset({"zip", "mov", "app", "java", "cab", "bat", "doc"})
_SOURCES = frozenset({"py", "pl", "sh", "md", "rs", "cc", "ps", "so"})
_WORDS = frozenset(
    {"st", "in", "is", "it", "to", "no", "my", "at", "be", "am", "as", "id", "me", "do", "la", "pm"}
)
_ODD = _FILES | _SOURCES | _WORDS
# Endings under which hardly a name is sold, and words of every sentence.
_SAID = frozenset(
    {
        "now",
        "new",
        "here",
        "how",
        "you",
        "got",
        "like",
        "read",
        "open",
        "call",
        "office",
        "mobile",
        "docs",
        "map",
    }
    | {"dot", "properties", "foo", "boo", "bar", "pub", "contact", "reviews"}
)
_FILE_NAMES = frozenset(
    {"main.cf", "master.cf", "local.cf", "submit.cf", "sendmail.cf", "configure.ac", "init.ml"}
)
_CUT_SHORT = frozenset(
    {
        "et",
        "etc",
        "vs",
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "jr",
        "sr",
        "inc",
        "ltd",
        "dept",
        "approx",
        "tel",
    }
    | {"fax", "ref", "nr", "resp", "bzw", "usw", "ca", "fig", "vol", "ed", "eds", "al", "ext", "pp"}
)
"""Abbreviations; what stands behind their full stop is the next word."""
_CLASSIC = frozenset({"com", "net", "org"})
# What stands in programs and style sheets, `event.target` and `span.red`; and names of software.
_OBJECTS = frozenset(
    {"this", "self", "event", "evt", "e", "window", "document", "element", "node", "obj", "object", "item"}
    | {"data", "date", "java", "javax", "std", "html", "body", "div", "span", "table", "td", "tr", "ul", "ol"}
    | {"li", "img", "font", "margin"}
)
_MEMBERS = frozenset(
    {"name", "data", "target", "top", "style", "map", "link", "next", "now", "host", "id", "is", "to", "io"}
    | {"family", "red", "blue", "green", "black", "menu", "center", "page", "navy", "pink", "zone", "date"}
    | {"email"}
)
_DOTNET = frozenset({"asp", "vb", "ado", "microsoft", "system"})


def is_link(host: str, written: str, rest: str, before: str) -> bool:
    """Tell a host name in running text from a file name, an abbreviation or a sentence without its blank."""
    if host.startswith(("www.", "ftp.")):
        return is_real(host) or (is_real(host, bare_suffix=True) and host.count(".") > 1)
    if before.lower().endswith(("/", "\\", "cid:", "mid:")) or not is_real(host):
        return False
    if rest.startswith(("/", ":")):
        return True
    name, _, last = written.rpartition(".")
    ending = last.lower()
    if last[0].isupper() and last[1:].islower() and ending not in {"com", "org"}:
        return False
    if "." in name or ending not in _ODD:
        return not (
            _is_abbreviation(name, ending)
            or _is_member(name.lower(), ending)
            or ("." not in name and _is_two_words(name.lower(), ending))
        )
    # No word and no usual source file has a digit before its ending.
    marked = any(letter.isdigit() for letter in name) and not name.isdigit()
    return marked and (ending in _WORDS or (ending in _SOURCES and last.isupper()))


def _is_abbreviation(name: str, ending: str) -> bool:
    """Tell `e.g.foo`, `U.S.A.is` and `Ph.D.in` from host names: an abbreviation, and no blank behind it."""
    if "." not in name or ending in _CLASSIC:
        return False
    labels = name.split(".")
    if all(len(label) == 1 for label in labels):
        return True
    return ending in _WORDS and all(
        len(label) < 4 and (label.istitle() or label.isdigit()) for label in labels
    )


def _is_two_words(name: str, ending: str) -> bool:
    """Tell `etc.now`, `2.call`, `a.mobile` and `main.cf` from host names: words, points of a list, files."""
    if f"{name}.{ending}" in _FILE_NAMES:
        return True
    if ending in _CLASSIC or ending in {"gov", "edu"}:
        return False
    if len(ending) > 2 and (len(name) == 1 or (name.isdigit() and len(name) < 3)):
        return True
    return name in _CUT_SHORT or (ending in _SAID and name.isalpha())


def _is_member(name: str, ending: str) -> bool:
    """Tell what stands in programs and style sheets, `event.target` and `span.red`, and names of software."""
    return (name in _OBJECTS and ending in _MEMBERS) or (ending == "net" and name in _DOTNET)


@lru_cache(maxsize=4096)
def _is_listed(ending: str) -> bool:
    """Tell whether names below this are registered by the Public Suffix List."""
    return suffixes().publicsuffix(ending, accept_unknown=False) is not None


@lru_cache(maxsize=16384)
def is_real(host: str, bare_suffix: bool = False) -> bool:
    """Tell whether a name could be registered: it ends in a listed suffix, or in `example` (RFC 2606).

    `bare_suffix` accepts a top-level domain that registers nothing directly below itself.
    """
    name = read_host(host)
    if name is None or "-." in name or ".-" in name:
        return False
    if domain := organisational_domain(name):
        ending = domain.partition(".")[2]
        if ending == "example" or _is_listed(ending):
            return "_" not in domain
    ending = name.rpartition(".")[2]
    return bare_suffix and any(_is_listed(f"{second}.{ending}") for second in ("co", "com", "gov"))
