"""Finding what a spam advertises.

Takes a message; leaves every web link in its order of appearance, disguises and rewritings undone, and the
lures: mail addresses and phone numbers the reader is to use. Nothing is fetched, rendered or resolved.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from html import unescape
from itertools import islice
from urllib.parse import unquote, unquote_to_bytes, urljoin

from publicsuffixlist import PublicSuffixList
from selectolax.lexbor import LexborHTMLParser, LexborNode

from complaints.encodings import decode_base64, decode_text
from complaints.hosts import organisational_domain
from complaints.message import Message, Part, parse
from complaints.urls import INVISIBLE, Target, read_host, read_url, refang

MAX_LINKS = 5_000
"""Different links kept from one message."""
MAX_TRIED = 20_000
"""References looked at in one message, the useless ones included."""
MAX_TEXT = 2_000_000
"""Characters of text read for links in one message; what lies beyond is said to be unread."""
MAX_NESTING = 4
"""Messages and data: documents inside each other that are looked into."""

_SCHEMED = re.compile(r"(?i)\b(?:https?|ftp):[/\\]{1,3}[^\s<>\"'`\x00-\x1f\x7f]++")
# A token with a dot in it, tried only where a token can begin, so that a long run without one is read once.
_DOTTED = re.compile(r"(?<![^\s<>\"'`(),;|])[^\s<>\"'`(),;|.]++\.[^\s<>\"'`,;|]++")
# Host names inside a token; the look-behind keeps a run from being read again from its second letter.
_BARE = re.compile(
    r"(?i)(?<![a-z0-9\u00a1-\uffff._-])[a-z0-9\u00a1-\uffff][a-z0-9\u00a1-\uffff_-]*+(?>(?:\.[a-z0-9\u00a1-\uffff_-]++)+)"
)
_BARE_REST = re.compile(r"(?::\d{1,5})?(?:[/?#].*)?", re.DOTALL)
_ADDRESS = re.compile(
    r"(?i)(?<![^\s<>\"'`(),;:|=\[\]{}/])([a-z0-9!#$%&*+/=?^_{|}~-][a-z0-9.!#$%&*+/=?^_{|}~-]{0,63}"
    r"@[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9]))(?![\w@])"
)
_PHONE = re.compile(r"(?<![\w+./=@-])(?:\+|00)?\(?\d(?>(?:[ .()-]{0,3}\d){6,18})(?![\w/=@+])")
_TOLL_FREE = re.compile(r"(?:1[ .-])?\(?8(?:00|33|44|55|66|77|88)\)?[ .-]\d{3}[ .-]\d{4}")
_TRAILING = ".,:;!?'\"*_]>}|-\u2019\u201d\u00bb"
_ESCAPES = re.compile(r"\x1b[($][@-Z]?")
_CSS_URL = re.compile(r"(?i)url\(\s*+['\"]?([^'\")]++)|@import\s++['\"]([^'\"]++)")
_REFRESH = re.compile(r"(?i)url\s*=\s*['\"]?([^'\"]+)")
_DATA = re.compile(
    r"(?is)data:(text/[a-z]+|image/svg\+xml|application/xhtml\+xml)?[^,]{0,100}?(;base64)?,(.*)"
)
_ATTRIBUTES = (
    *(
        "href",
        "src",
        "action",
        "formaction",
        "background",
        "poster",
        "data",
        "cite",
        "longdesc",
        "xlink:href",
    ),
    *("lowsrc", "dynsrc", "usemap", "ping", "content", "srcset", "style"),
)
_SELECTOR = ",".join(f"[{name.replace(':', chr(92) + ':')}]" for name in _ATTRIBUTES) + ",style,script"

# Endings that are a country or a new domain and, in running text, far more often a file name.
_HTML_KINDS = frozenset({"text/html", "application/xhtml+xml", "image/svg+xml"})
_HTML_NAMES = (".html", ".htm", ".shtml", ".svg", ".xhtml")
_SCHEME = re.compile(r"(?i)[a-z][a-z0-9+\s-]{1,20}:")
_LONGEST_TOKEN = 2_000
_MOST_TAGS = 20_000
_TAGS_OF_A_PIECE = 1_000
_FILES = frozenset(
    {
        *("py", "pl", "sh", "md", "rs", "cc", "ps", "so", "zip", "mov", "app", "java", "cab", "bat", "doc"),
        *("st", "in", "is", "it", "to", "no", "my", "at", "be", "am", "as", "id", "me", "do", "la", "pm"),
    }
)


@dataclass(frozen=True, slots=True)
class Link:
    """One web link: `domain` is the registrable domain of `host`, or the address; `via` what was unwrapped.

    A rewriter's URL in `via` may carry the reporter's address: show it to nobody else. `notes` are sentences
    about disguises: letters that look like others, a text that shows another site.
    """

    url: str
    host: str
    domain: str
    found_in: str
    via: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lure:
    """A mail address or phone number (`kind` `mail` or `phone`) that the reader is to answer to."""

    kind: str
    value: str
    found_in: str


@dataclass(frozen=True, slots=True)
class Links:
    """What a message advertises, without repetition, in order of appearance.

    `complete` is False when the message is larger than what is read for links.
    """

    web: tuple[Link, ...]
    lures: tuple[Lure, ...]
    complete: bool = True


@dataclass(slots=True)
class _Found:
    web: dict[str, Link] = field(default_factory=dict)
    lures: dict[tuple[str, str], Lure] = field(default_factory=dict)
    tried: int = 0
    left: int = MAX_TEXT

    def add(self, text: str, found_in: str) -> None:
        """Take one absolute URL, mailto: or tel: reference."""
        self.tried += 1
        if self.tried > MAX_TRIED:
            return
        scheme = text[:7].lower()
        if scheme == "mailto:":
            for address in unquote(text[7:].partition("?")[0]).split(","):
                self.lure("mail", address, found_in)
        elif scheme.startswith(("tel:", "sms:")):
            self.lure("phone", unquote(text[4:]).partition("?")[0], found_in)
        elif len(self.web) < MAX_LINKS and (target := read_url(text)):
            self._keep(target, found_in)

    def _keep(self, target: Target, found_in: str) -> None:
        domain = organisational_domain(target.host) or target.host
        self.web.setdefault(target.url, Link(target.url, target.host, domain, found_in, target.via))

    def lure(self, kind: str, value: str, found_in: str) -> None:
        """Take one mail address or phone number."""
        value = value.strip().strip("<>")
        if kind == "mail":
            local, _, host = value.rpartition("@")
            name = read_host(host) if local and len(value) < 320 else None
            if name is None or not value.isprintable():
                return
            value = f"{local}@{name}"
        else:
            value = re.sub(r"[^\d+]", "", value[:40])
            if not 7 <= len(value.lstrip("+")) <= 15:
                return
        if len(self.lures) < MAX_LINKS:
            self.lures.setdefault((kind, value), Lure(kind, value, found_in))


def links(message: Message, references: Iterable[tuple[str, str]] = ()) -> Links:
    """Return every link and lure of a message: subject first, then its parts in order.

    `references` are texts found by other readers, each with the place it was found in: `pdf` for a link
    annotation, `qr` for what a picture says to a camera.
    """
    found = _Found()
    if subject := message.subject:
        _read_text(subject, "subject", found)
    for part in _parts(message, 0):
        _read_part(part, found)
    for text, found_in in references:
        _read_text(text, found_in, found)
    complete = found.left > 0 and found.tried <= MAX_TRIED and len(found.web) < MAX_LINKS
    return Links(tuple(found.web.values()), tuple(found.lures.values()), complete)


def _parts(message: Message, nesting: int) -> Iterator[Part]:
    for part in message.leaves():
        if part.content_type.startswith("message/") and nesting < MAX_NESTING:
            yield from _parts(parse(part.content()), nesting + 1)
        else:
            yield part


def _read_part(part: Part, found: _Found) -> None:
    kind, name = part.content_type, (part.filename or "").lower()
    is_html = kind in _HTML_KINDS or name.endswith(_HTML_NAMES)
    if not is_html and not kind.startswith("text/") and not name.endswith((".txt", ".ics", ".eml")):
        return
    # An encoded byte gives one character at most, but three or four of them may be needed for it.
    text = part.text(4 * found.left)[: found.left]
    found.left -= len(text)
    if is_html or text[:200].lstrip()[:14].lower().startswith(("<html", "<!doctype html")):
        _read_html(text, found, 0)
    else:
        _read_text(text, "text", found)


def _read_text(text: str, found_in: str, found: _Found) -> None:
    """Find links with and without a scheme, mail addresses and phone numbers in running text."""
    text = refang(_ESCAPES.sub(" ", text) if text.isascii() else INVISIBLE.sub("", text))
    hits = [(match.start(), _trim(match[0])) for match in _SCHEMED.finditer(text)]
    rest = _SCHEMED.sub(_blank, text) if hits else text
    if "." in rest:
        hits += _bare(rest)
    for _, url in sorted(hits):
        found.add(url, found_in)
    if "@" in rest:
        for match in _ADDRESS.finditer(rest):
            if _is_real(match[1].rpartition("@")[2]):
                found.lure("mail", match[1], found_in)
    for match in _PHONE.finditer(rest):
        number = match[0]
        if number.startswith(("+", "00")) or _TOLL_FREE.fullmatch(number):
            found.lure("phone", number, found_in)


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


def _trim(url: str) -> str:
    """Take off punctuation that ends the sentence, and a bracket that was opened before the link."""
    url = url.rstrip(_TRAILING)
    for closing, opening in (")(", "]["):
        surplus = url.count(closing) - url.count(opening)
        if surplus > 0 and opening not in url:
            url = url[: url.index(closing)]
        elif surplus > 0:
            url = url.rstrip(closing) + closing * max(0, len(url) - len(url.rstrip(closing)) - surplus)
    return url.rstrip(_TRAILING)


def _bare(text: str) -> list[tuple[int, str]]:
    """Find host names that a mail reader makes clickable though they have no scheme."""
    dotted = islice(_DOTTED.finditer(text), MAX_TRIED)
    tokens = ((match.start(), match[0]) for match in dotted if len(match[0]) <= _LONGEST_TOKEN)
    return [(start, url) for start, token in tokens if (url := _schemeless(token))]


def _schemeless(token: str) -> str | None:
    """Return the link that a token without a scheme stands for, `www.example.com/x`, or None."""
    token = _trim(token).lstrip("-_*=.@[{!:")
    run = _BARE.search(token)
    if run is None or "://" in token:
        return None
    before, rest = token[: run.start()], token[run.end() :]
    if "@" in before or rest.startswith("@"):
        # An address, unless a port or path behind the host shows that a browser is meant.
        userinfo = token.lower().startswith("www.") and re.search(r"@[^@/]+(?::\d|/)", token)
        return f"http://{token}" if userinfo else None
    if not _BARE_REST.fullmatch(rest) or not _is_link(run[0].lower(), run[0], rest):
        return None
    return ("ftp://" if run[0].lower().startswith("ftp.") else "http://") + run[0] + rest


def _is_link(host: str, written: str, rest: str) -> bool:
    """Tell a host name in running text from a file name, an abbreviation or a sentence without its blank."""
    if not _is_real(host):
        return False
    if host.startswith(("www.", "ftp.")) or rest.startswith(("/", ":")):
        return True
    last = written.rpartition(".")[2]
    if last[0].isupper() and last[1:].islower():
        return False
    return last.lower() not in _FILES or host.count(".") > 1


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


@lru_cache(maxsize=16384)
def _is_real(host: str) -> bool:
    """Tell whether a name could be registered: it ends in a listed suffix, or in `example` (RFC 2606)."""
    name = read_host(host)
    if name is None or "-." in name or ".-" in name:
        return False
    return "_" not in (organisational_domain(name) or "") and (
        name.endswith(".example") or bool(_suffixes().privatesuffix(name))
    )


def _read_html(text: str, found: _Found, nesting: int) -> None:
    """Find links in attributes, styles, scripts and in the text outside of anchors."""
    text = text if text.isascii() else INVISIBLE.sub("", text)
    for piece in _pieces(text):
        _read_tree(LexborHTMLParser(piece), found, nesting)


def _pieces(text: str) -> list[str]:
    """Cut a document with far more tags than any mail has: the tree costs the square of its depth."""
    if text.count("<") <= _MOST_TAGS:
        return [text]
    tags = text.split("<")
    return ["<" + "<".join(tags[n : n + _TAGS_OF_A_PIECE]) for n in range(0, len(tags), _TAGS_OF_A_PIECE)]


def _read_tree(tree: LexborHTMLParser, found: _Found, nesting: int) -> None:
    base = tree.css_first("base[href]")
    root = (base.attributes.get("href") or "") if base is not None else ""
    for node in tree.css(_SELECTOR):
        for reference in _references(node):
            _read_reference(reference, root, found, nesting)
    # What an anchor shows is a claim, not a destination: the name of a bank stands there, not the spammer's.
    tree.strip_tags(["script", "style", "a", "head"])
    if tree.root is not None:
        _read_text(tree.root.text(separator=" "), "html", found)


def _references(node: LexborNode) -> Iterator[str]:
    if node.tag == "style":
        yield from _css(node.text())
    elif node.tag == "script":
        yield from (_trim(match[0]) for match in _SCHEMED.finditer(unescape(node.text()).replace("\\/", "/")))
    for name, value in node.attributes.items():
        if not value or name not in _ATTRIBUTES:
            continue
        if name == "style":
            yield from _css(value)
        elif name == "srcset":
            yield from (candidate.split()[0] for candidate in value.split(", ") if candidate.strip())
        elif name == "content":
            refresh = _REFRESH.search(value) if node.tag == "meta" else None
            if refresh:
                yield refresh[1]
        else:
            yield value


def _css(text: str) -> Iterator[str]:
    return (match[1] or match[2] for match in _CSS_URL.finditer(text))


def _read_reference(reference: str, base: str, found: _Found, nesting: int) -> None:
    """Take one reference: absolute, relative to a base, or a data: or javascript: one with links inside."""
    text = refang(reference.strip())
    lowered = text[:11].lower()
    if lowered.startswith("data:"):
        _read_data(text, found, nesting)
    elif lowered.startswith(("javascript:", "vbscript:")):
        for match in _SCHEMED.finditer(unquote(text)):
            found.add(_trim(match[0]), "html")
    elif text.startswith(("//", "\\\\")):
        found.add("http:" + text, "html")
    elif _SCHEME.match(text):
        found.add(text, "html")
    elif not base:
        # By the book such a reference goes nowhere; many mail readers go to the host that it names.
        found.add(_schemeless(text) or "", "html")
    else:
        found.add(_join(base, text), "html")


def _join(base: str, text: str) -> str:
    try:
        return urljoin(base, text)
    except ValueError:
        # urllib refuses unbalanced brackets in a host; such a reference has no host a browser would ask.
        return ""


def _read_data(text: str, found: _Found, nesting: int) -> None:
    match = _DATA.match(text)
    if match is None or nesting >= MAX_NESTING or not match[1]:
        return
    octets = unquote_to_bytes(match[3])
    _read_html(decode_text(decode_base64(octets) if match[2] else octets, None), found, nesting + 1)
