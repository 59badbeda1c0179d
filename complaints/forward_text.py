"""The text of a forward as lines: what its writer's mail program put around the spam stands in them."""

import re

from selectolax.lexbor import LexborHTMLParser

from complaints.message import Message

MAX_TEXT = 4 * 1024 * 1024
MAX_HTML = 512 * 1024
"""Bytes that are read of the text and of the HTML."""
MOST_TAGS = 10_000
"""Tags that are read: the tree costs the square of its depth, and a forward's own words come first."""

_BLOCK = "p,div,tr,table,blockquote,pre,hr,ul,ol,li,h1,h2,h3,h4,h5,h6"
_CELL = "td,th"
_UNSEEN = ["script", "style", "head", "title", "template", "noscript"]
_EDGE = "\x01"
# A run of blanks is tried at its begin only: at each of a million of them it would take hours.
_EDGES = re.compile(r"(?<! ) *\x01[\x01 ]*")
_SPACES = re.compile(r"[\r\n\t ]+")


def forward_texts(message: Message) -> list[tuple[str, str]]:
    """Return the texts of a forward as they are shown: content type and lines ended by LF, plain first."""
    found: dict[str, str] = {}
    for part in message.leaves():
        if part.filename is None and part.content_type not in found:
            if part.content_type == "text/plain":
                found[part.content_type] = part.text(MAX_TEXT).replace("\r\n", "\n")
            elif part.content_type == "text/html":
                found[part.content_type] = _lines_of(part.text(MAX_HTML))
    return [(kind, found[kind]) for kind in ("text/plain", "text/html") if kind in found]


def _lines_of(html: str) -> str:
    """Return HTML as lines of text; line ends of its source are blanks, but where it may hold <pre>."""
    if html.count("<") > MOST_TAGS:
        html = "<".join(html.split("<", MOST_TAGS)[:MOST_TAGS])
    tree = LexborHTMLParser(html if "<pre" in html.lower() else _SPACES.sub(" ", html))
    tree.strip_tags(_UNSEEN)
    for node in tree.css("br"):
        node.insert_after("\n")
    for node in tree.css(_BLOCK):
        node.insert_before(_EDGE)
        node.insert_after(_EDGE)
    for node in tree.css(_CELL):
        node.insert_after(" ")
    body = tree.body
    text = _EDGES.sub("\n", body.text() if body is not None else "")
    return "\n".join(line.strip(" ") for line in text.split("\n"))
