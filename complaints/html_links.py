"""Finding the references of a page.

Takes HTML however broken; leaves every reference in it that a mail reader follows, asks or shows, resolved
against its base, and the running text outside of anchors. Nothing is rendered and no script is run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote, unquote_to_bytes, urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

from complaints.encodings import decode_base64, decode_text
from complaints.scripts import links_of_script
from complaints.text_links import schemeless
from complaints.urls import INVISIBLE, refang

MAX_REFERENCES = 20_000
"""References read from one page, the useless ones included."""
_MAX_NESTING = 4
_MOST_TAGS = 20_000
_TAGS_OF_A_PIECE = 1_000
_LONGEST_SHOWN = 300
_LONGEST_WORDS = 200_000
_MOST_HIDDEN = 500
_MOST_ABOVE = 200

_PLACES = frozenset(
    {
        *("href", "src", "action", "formaction", "background", "poster", "data", "longdesc", "cite", "ping"),
        *("lowsrc", "dynsrc", "xlink:href", "codebase", "archive", "code", "movie", "bgimage", "manifest"),
    }
)
_HOLDERS = _PLACES | {
    *("style", "srcset", "imagesrcset", "content", "value", "srcdoc", "onclick", "onload", "onmouseover"),
    *("onmousedown", "onmouseup", "onsubmit", "onerror", "ontouchstart", "onfocus", "onchange"),
}
_OUTRIGHT = _HOLDERS - {"style"}
# What a reader is led to by other means than an anchor, and what a mail program loads by itself.
_USED = {
    **dict.fromkeys(("action", "formaction"), "form"),
    **dict.fromkeys(
        ("background", "poster", "lowsrc", "dynsrc", "bgimage", "srcset", "imagesrcset"), "image"
    ),
    "content": "refresh",
    "style": "style",
}
_USED_BY_TAG = {
    **dict.fromkeys((("img", "src"), ("input", "src"), ("source", "src"), ("v:fill", "src")), "image"),
    **dict.fromkeys((("image", "xlink:href"), ("image", "href"), ("v:imagedata", "src")), "image"),
    ("link", "href"): "style",
    ("script", "src"): "script",
}
_SPECIAL = frozenset({"a", "base", "input", "template", "style", "script"})
_RECIPIENTS = frozenset({"recipient", "recipients", "mailto", "sendto", "_to", "mail_to"})
_SKIPPED = (
    *("cid:", "mid:", "about:", "x-apple-data-detectors:"),
    *("data:image/png", "data:image/jpeg", "data:image/jpg", "data:image/gif"),
)
_CSS_URL = re.compile(r"url\(\s*+['\"]?([^'\")]++)|(?:@import\s++|image-set\(\s*+)['\"]([^'\"]++)")
_CSS_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})\s?")
_REFRESH = re.compile(r"(?i)(?:url\s*=|\A\s*\d+\s*[;,]\s*(?=https?:|//))\s*['\"]?([^'\"]+)")
# A comma may belong to a URL: one that parts candidates has a blank behind it, or a density or width before.
_CANDIDATES = re.compile(r",\s+|(?<=\d[xw]),")
_DROPPED = re.compile(r"[\t\r\n]+")
# Controls, which browsers drop at both ends, and quotes in quotes.
_AROUND = "".join(map(chr, range(33))) + "\"'"
_DATA = re.compile(
    r"(?is)data:(text/[a-z]+|image/svg\+xml|application/(?:xhtml\+xml|(?:x-)?javascript))?[^,]{0,100}?(;base64)?,(.*)"
)
_SCHEME = re.compile(r"(?i)[a-z][a-z0-9+\s-]{1,20}:")
_FILE = re.compile(r"(?i)(?:file:)?[/\\]{2,5}([^/\\?#]+\.[^/\\?#]+)([/\\].*)?")
_UNSTYLED = ["script", "style", "a", "head"]
# What is not shown is no advertisement; words of others stand there to fool filters.
_HIDES = re.compile(r"(?i)display\s*:\s*none")
# Letters that are not seen, though those around them are: `ev<span style="font-size:0">x</span>il.example`.
_UNSEEN = re.compile(
    r"(?i)(?<![\w-])(?:font-size\s*:\s*0(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:!important\s*)?(?:;|\Z)|visibility\s*:\s*hidden)"
)
# A comment beside something, that is none of those by which mail readers by Microsoft are told apart.
_INSIDE = re.compile(r"<!--(?<=\S<!--)(?!\[|<!)")
_OPEN_COMMENT = re.compile(r"<!--[^<>]*+>?")
_TEMPLATE = re.compile(r"(?i)<template(?=[\s>])")
_SEPARATOR = "\x02"
# Two texts with markup between them that could be one host name.
_EDGE = re.compile(
    r"\x02(?=[.a-z0-9-])(?:(?<=[A-Za-z0-9]\x02)(?:\.[A-Za-z]{2}|[a-z0-9-]{1,40}\.[a-z]{2})|(?<=[./@:]\x02)[a-z0-9-]{2})"
)
_INLINE = [
    *("b", "i", "u", "s", "font", "span", "em", "strong"),
    *("wbr", "small", "big", "sup", "sub", "tt", "code"),
]


@dataclass(slots=True)
class Page:
    """What was found: references with the words their anchor shows and how they are used, and running texts.

    `anchor`, `form` and `refresh` lead the reader there; `image`, `style` and `script` are only loaded.
    """

    references: list[tuple[str, str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, found: tuple[str, str, str]) -> None:
        """Keep one reference unless there are far too many."""
        if found[0] and len(self.references) < MAX_REFERENCES:
            self.references.append(found)


def read_page(html: str, base: str = "") -> Page:
    """Read a document; `base` is the URL it says it came from, for references that are relative."""
    page = Page()
    _read(html, base, page, 0)
    return page


def _read(html: str, base: str, page: Page, nesting: int) -> None:
    if (never_closed := html.find("<!--", html.rfind("-->") + 1)) >= 0:
        # The standard hides the rest of the document; what shows mail mostly ends the comment at its bracket.
        html = html[:never_closed] + _OPEN_COMMENT.sub(" ", html[never_closed:])
    for piece in _pieces(html):
        _read_tree(piece, base, page, nesting)
    if "<!--[" in html and nesting < _MAX_NESTING:
        hidden = "\n".join(
            text for text in _conditional(html) if "http" in text or "href" in text or "src" in text
        )
        if hidden:
            _read(hidden, base, page, _MAX_NESTING)


def _conditional(html: str) -> Iterator[str]:
    """Give what mail readers by Microsoft show, though it is a comment to all others: `<!--[if ...]>`."""
    if "<!--[IF" in html:
        html = html.replace("<!--[IF", "<!--[if")
    for comment in html.split("<!--[if")[1:]:
        yield comment.partition("<![endif]")[0].partition("]>")[2]


def _pieces(html: str) -> list[str]:
    """Cut a document with far more tags than any mail has: the tree costs the square of its depth."""
    if len(html) <= _MOST_TAGS or html.count("<") <= _MOST_TAGS:
        return [html]
    tags = html.split("<")
    return ["<" + "<".join(tags[n : n + _TAGS_OF_A_PIECE]) for n in range(0, len(tags), _TAGS_OF_A_PIECE)]


@dataclass(slots=True)
class _Tree:
    """What the nodes of one tree hold, in their order."""

    references: list[tuple[str, str, str]] = field(default_factory=list)
    base: str = ""
    nameless: list[LexborNode] = field(default_factory=list)
    hidden: list[LexborNode] = field(default_factory=list)
    tried: int = 0
    has_template: bool = False

    def special(self, node: LexborNode, tag: str, attributes: dict[str, str | None]) -> None:
        """Read a node whose attributes are not all there is to it."""
        if tag == "a":
            if "href" in attributes:
                self.references.append((attributes.pop("href") or "", node.text(), "anchor"))
            else:
                self.nameless.append(node)
        elif tag == "base":
            self.base = self.base or (attributes.pop("href", "") or "").strip()
        elif tag == "input":
            # The address that a form is mailed to; other fields may hold the reader's own.
            value = attributes.get("value") or ""
            if "@" in value and (attributes.get("name") or "").lower() in _RECIPIENTS:
                self.references.append((f"mailto:{value}", "", "form"))
        elif tag == "template":
            self.has_template = True
        else:
            read = _css if tag == "style" else links_of_script
            self.references += ((found, "", tag) for found in read(node.text()))

    def hide(self, node: LexborNode, tag: str) -> None:
        """Keep a node that no reader sees, unless it is inside another one."""
        self.tried += 1
        if tag == "a" or self.tried > _MOST_HIDDEN:
            return
        within, known = node.parent, {one.mem_id for one in self.hidden}
        for _ in range(_MOST_ABOVE):
            if within is None or within.mem_id in known:
                break
            within = within.parent
        if within is None:
            self.hidden.append(node)

    def places(self, tag: str, attributes: dict[str, str | None]) -> None:
        """Read the attributes that can hold a reference."""
        for name, value in attributes.items():
            if name not in _HOLDERS or not value:
                continue
            used = _USED[name] if name in _USED else _USED_BY_TAG.get((tag, name), "anchor")
            if name in _PLACES:
                self.references.append((value, "", used))
            elif name != "style":
                self.references += [(found, "", used) for found in _references(tag, name, value)]
            elif _may_refer(value):
                self.references += [(found, "", used) for found in _css(value)]


@cache
def _special_ids() -> frozenset[int]:
    """Return the numbers of the special tags, which cost less than their names."""
    return frozenset(LexborHTMLParser("").create_node(tag).tag_id for tag in _SPECIAL)


def _read_tree(html: str, base: str, page: Page, nesting: int) -> None:
    tree = LexborHTMLParser(html)
    if tree.root is None:
        return
    read = _Tree()
    special, outright = _special_ids(), _OUTRIGHT
    unseen = _may_be_unseen(html)
    for node in tree.root.traverse():
        attributes = node.attributes
        if node.tag_id in special:
            read.special(node, node.tag or "", attributes)
        if not attributes:
            continue
        if style := attributes.get("style"):
            if not outright.isdisjoint(attributes) or "(" in style or "@" in style or "\\" in style:
                read.places(node.tag or "", attributes)
            # Of either case, for the sake of speed.
            if (("isplay" in style or style.isupper()) and _HIDES.search(style)) or (
                unseen and _is_unseen(style, node)
            ):
                read.hide(node, node.tag or "")
        elif not outright.isdisjoint(attributes):
            read.places(node.tag or "", attributes)
    if read.has_template and nesting < _MAX_NESTING:
        # Its content stands apart in the tree; scripts and AMP put it on the page.
        _read(_TEMPLATE.sub("<div", html), base, page, _MAX_NESTING)
        return
    _take_all(read, base, page, nesting)
    _read_words(tree, read, page, commented=_INSIDE.search(html) is not None)


def _may_be_unseen(styles: str) -> bool:
    return "font-size:0" in styles or "font-size: 0" in styles or "visibility:" in styles


def _is_unseen(style: str, node: LexborNode) -> bool:
    """Tell whether nobody sees the words of a node; of one that has others inside, these may be shown."""
    if not _may_be_unseen(style):
        return False
    text = node.child
    alone = text is not None and text.next is None and text.tag == "-text"
    return alone and _UNSEEN.search(style) is not None


def _take_all(read: _Tree, base: str, page: Page, nesting: int) -> None:
    if read.base:
        base = _join(base, read.base) if base else read.base
    for found in read.references:
        reference, shown, used = found
        if (
            reference.startswith(("http://", "https://"))
            and reference.isascii()
            and not reference[-1].isspace()
        ):
            page.add(found)
        else:
            _take(reference, base, page, nesting, shown, used)


def _read_words(tree: LexborHTMLParser, read: _Tree, page: Page, *, commented: bool) -> None:
    """Keep the words a reader sees outside of anchors. `commented`: a comment may stand inside a word.

    What an anchor shows is a claim, not a destination: the name of a bank stands there, not the spammer's.
    """
    for anchor in read.nameless:
        anchor.unwrap()
    for node in read.hidden:
        node.decompose()
    tree.strip_tags(_UNSTYLED)
    if tree.root is None:
        return
    text = tree.root.text(separator=_SEPARATOR)
    if len(text) < _LONGEST_WORDS and _EDGE.search(text):
        # A name written in pieces, `shop<b></b>.example`, reads as one word on the screen.
        nodes = tree.root.traverse(include_text=True) if commented else ()
        for comment in [one for one in nodes if one.is_comment_node]:
            comment.remove()
        tree.unwrap_tags(_INLINE, delete_empty=True)
        tree.merge_text_nodes()
        page.texts.append(tree.root.text(separator=" "))
    else:
        page.texts.append(text.replace(_SEPARATOR, " "))


def _references(tag: str, name: str, value: str) -> Iterator[str]:
    """Read an attribute that holds more than one plain reference."""
    if name in {"srcset", "imagesrcset"}:
        yield from (candidate.split()[0] for candidate in _CANDIDATES.split(value) if candidate.strip())
    elif name == "content":
        refresh = _REFRESH.search(value) if tag == "meta" else None
        if refresh:
            yield refresh[1]
    elif name == "value":
        if tag == "param" and "://" in value:
            yield value
    elif name == "srcdoc":
        yield f"data:text/html,{value.replace('%', '%25')}"
    elif "/" in value or "(" in value:
        yield from links_of_script(value)


def _may_refer(style: str) -> bool:
    return "(" in style or "@" in style or "\\" in style


def _css(text: str) -> Iterator[str]:
    if "\\" in text:
        text = _CSS_ESCAPE.sub(lambda match: chr(min(int(match[1], 16), 0x10FFFF)), text)
    lowered = text.lower()
    if "url(" in lowered or "@import" in lowered or "image-set(" in lowered:
        # A search that minds the case is many times as fast; a letter may be longer in lower case.
        text = text if len(text) == len(lowered) else lowered
        for match in _CSS_URL.finditer(lowered):
            start, end = match.span(match.lastindex or 0)
            yield text[start:end]


def _take(reference: str, base: str, page: Page, nesting: int, shown: str, used: str) -> None:
    """Take one reference: absolute, relative to a base, or a data: or javascript: one with links inside."""
    text = reference.strip()
    if text.startswith(("http://", "https://")) and text.isascii():
        page.add((text, shown, used))
        return
    if text.startswith(_SKIPPED) or (text.startswith("#") and not base):
        return
    text = refang(_DROPPED.sub("", text if text.isascii() else INVISIBLE.sub("", text))).strip(_AROUND)
    lowered = text[:11].lower()
    if lowered.startswith("data:"):
        _take_data(text, base, page, nesting)
    elif lowered.startswith(("javascript:", "vbscript:")):
        for found in links_of_script(unquote(text)):
            page.add((found, "", used))
    else:
        page.add((_absolute(text, lowered, base), shown, used))


def _absolute(text: str, lowered: str, base: str) -> str:
    """Return the absolute reference that a browser makes of one; empty when it goes nowhere."""
    if lowered.startswith(("file:", "\\\\")):
        # A share on a host: Windows asks for it, and hands over a name and a password's hash.
        share = _FILE.fullmatch(text)
        return f"file://{share[1]}{(share[2] or '').replace(chr(92), '/')}" if share else ""
    if text.startswith(("//", "/\\", "\\/")):
        return "http:" + text
    if _SCHEME.match(text) or lowered.startswith(("http%3a", "https%3a")):
        return _resolved_scheme(base, text)
    if base:
        return _join(base, text)
    # By the book such a reference goes nowhere; many mail readers go to the host that it names.
    if "." in text and (found := schemeless(text)):
        return found
    return f"mailto:{text}" if "@" in text and "." in text else ""


def _resolved_scheme(base: str, text: str) -> str:
    """Resolve `http:path`, which browsers take as relative when the base has the same scheme."""
    scheme, _, rest = text.partition(":")
    if base and not rest.startswith(("/", "\\")) and base.lower().startswith(scheme.lower() + "://"):
        return _join(base, rest)
    return text


def _join(base: str, text: str) -> str:
    try:
        return urljoin(base, text)
    except ValueError:
        # urllib refuses unbalanced brackets in a host; such a reference has no host a browser would ask.
        return ""


def _take_data(text: str, base: str, page: Page, nesting: int) -> None:
    match = _DATA.match(text)
    if match is None or nesting >= _MAX_NESTING or not match[1]:
        return
    octets = unquote_to_bytes(match[3])
    _read(decode_text(decode_base64(octets) if match[2] else octets, None), base, page, nesting + 1)
