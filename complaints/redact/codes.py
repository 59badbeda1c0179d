"""Codes that tell a sender whom a message went to: takes one text, leaves where they stand (level `strict`).

In links: every value of a query, a fragment that is one, and pieces of the path and labels of the host that
a machine made (`opaque.py`); scheme, registrable domain, words and the links inside links stay. What the
recipient's own side wrapped around a link (`data/redirectors.toml`) goes, for it names the recipient. In
addresses: what bounces carry (VERP, SRS, BATV). In ids: all left of the @. A code becomes the same keyed
pseudonym wherever it stands.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import le
from urllib.parse import quote_from_bytes, unquote_to_bytes

from complaints.hosts import canonical_ip, organisational_domain
from complaints.redact.find import CannotRedact, Find, splice
from complaints.redact.known import SHORTEST, Known
from complaints.redact.opaque import is_code, is_code_label
from complaints.redact.pseudonyms import MARK, PSEUDONYM_ONLY
from complaints.redact.spots import addresses, begun, ids, places, urls, words
from complaints.redirectors import hidden, redirectors_of
from complaints.urls import read_one

MAX_LINKS = 20_000
"""Links of one message that are looked into for codes."""
_SHORTEST_PREFIX = 8
_MOST_WRAPPINGS = 6
_LONGEST_URL = 65_536
_LONG_LABEL = 20
_SHAPE = re.compile(
    rb"(?P<scheme>(?:[a-z]{3,6}:)?[/\\]{0,3})(?P<authority>(?>(?:&#x?[0-9a-f]{1,6};|[^/?#\\])*))(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_AFTER = b".,;:!?)]>'*|"
_AMPERSAND = re.compile(rb"(?:&(?:amp;|#38;|#x26;)?|;)", re.IGNORECASE)
_INNER = re.compile(
    rb"https?(?::|%(?P<deep>(?:25){0,4})3a)(?:[/\\]|%(?:25){0,4}(?:2f|5c)){1,3}(?=[^/\\])", re.IGNORECASE
)
_BASE64_HTTP = b"aHR0c"
_BASE64_URL = re.compile(rb"aHR0c[A-Za-z0-9+/_-]{8,}={0,2}")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PIECE = re.compile(rb"[^/;,:&@!()]{6,}")
_ENDING = re.compile(rb"\.[A-Za-z]{2,5}\Z")
_LABEL = re.compile(rb"[^.@:\[\]]+")
_HOSTLIKE = re.compile(rb"(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}", re.IGNORECASE)
_SLASHES_HOST = re.compile(rb"//(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}(?![^/?#:])", re.IGNORECASE)
_REMEMBERED = frozenset({"id", "code", "bounce address"})
_DIGITS = b"0123456789"
_LOCAL_PIECE = re.compile(rb"[^+=_#-]+")
_MAILTO = re.compile(rb"mailto:[^\s<>\"'\\]{3,}", re.IGNORECASE)
_CID = re.compile(rb"\bcid:(?P<id>[^\s<>\"'@)]{1,200})", re.IGNORECASE)
_VALUE = re.compile(rb"[^\s<>,;:\"]+")
_MARK = MARK.encode()
_SRS = re.compile(rb"srs[01]", re.IGNORECASE)


@dataclass
class Codes:
    """The search for codes in one message: `known` holds the ones found so far, to be found elsewhere too.

    `pseudonym` gives what stands for a code; `clean` takes the identity out of a link that is written anew.
    """

    pseudonym: Callable[[bytes], bytes]
    clean: Callable[[bytes], bytes]
    known: Known = field(default_factory=Known)
    links: int = 0

    def in_text(self, text: bytes, *, written: bool = True) -> list[Find]:
        """Find codes in links, in addresses (which, says `in_addresses`), and known ones."""
        return [*self.in_links(text, written=written), *self.elsewhere(text)]

    def in_links(self, text: bytes, *, written: bool) -> list[Find]:
        """Find codes in links of all kinds and in addresses."""
        finds: list[Find] = []
        lower = text.lower()
        for match in urls(text, lower):
            self.links += 1
            if self.links > MAX_LINKS:
                raise CannotRedact(f"it holds more than {MAX_LINKS} links; send it at another level")
            end = match.start() + len(match[0][:_LONGEST_URL].rstrip(_AFTER))
            finds += self.in_url(text[match.start() : end], match.start())
        finds += self.in_addresses(text, written=written)
        for match in begun(_MAILTO, text, places(lower, b"mailto:")) if b"mailto:" in lower else ():
            finds += self._in_mailto(match[0], match.start())
        for match in begun(_CID, text, places(lower, b"cid:")) if b"cid:" in lower else ():
            finds.append(self._code(*match.span("id"), match["id"], "id"))
        return finds

    def in_ids(self, text: bytes, at: int = 0) -> list[Find]:
        """Find the ids of a field that names messages or parts, `<left@right>`, or words; `at` as above."""
        finds: list[Find] = []
        position = 0
        for left, middle, end in ids(text):
            # What stands between is an id without a host
            finds += self.in_all(text[position:left], at + position)
            finds.append(self._code(at + left, at + middle, text[left:middle], "id"))
            finds += self._in_right(text[middle + 1 : end], at + middle + 1)
            position = end
        return finds + self.in_all(text[position:], at + position)

    def _in_right(self, right: bytes, at: int) -> list[Find]:
        """Find codes right of the @ of an id: below a domain, or in the place of one."""
        labels = list(_LABEL.finditer(right))
        # No domain of the whole world ends in a code
        odd = [
            match
            for number, match in enumerate(labels, 1)
            if is_code(match[0]) and (number == len(labels) or len(match[0]) >= _LONG_LABEL)
        ]
        return self._in_host(right, at) + [
            self._code(at + match.start(), at + match.end(), match[0], "id") for match in odd
        ]

    def in_all(self, text: bytes, at: int = 0) -> list[Find]:
        """Take the whole value of a field, word by word; `at` is its offset in the text the finds are for."""
        return [
            self._code(at + match.start(), at + match.end(), match[0], "code")
            for match in _VALUE.finditer(text)
        ]

    def in_field(self, text: bytes) -> list[Find]:
        """Find codes in a field nothing is known about: links, addresses, and words a machine made."""
        return [*self.in_text(text, written=False), *self.in_words(text)]

    def in_words(self, text: bytes) -> list[Find]:
        """Find words that a machine made, and labels of hosts."""
        finds: list[Find] = []
        for at, word in words(text, _may_tell):
            if _HOSTLIKE.fullmatch(word):
                finds += self._in_host(word, at)
            else:
                finds.append(self._code(at, at + len(word), word, "code"))
        return finds

    def in_addresses(self, text: bytes, *, written: bool) -> list[Find]:
        """Find what bounces carry in the local parts of addresses.

        `written`: only in those that are made like a bounce's, for others may be where the spammer is
        answered.
        """
        finds: list[Find] = []
        for match in addresses(text):
            local = match["local"]
            if not written or b"+" in local or b"=" in local or (len(local) >= 20 and is_code(local)):
                finds += self._in_local(local, match.start("local"))
        return finds

    def in_url(self, url: bytes, at: int, depth: int = 0) -> list[Find]:
        """Find the codes of one link; `at` is its offset in the text the finds are for."""
        shape = _SHAPE.match(url)
        if shape is None or depth > _MOST_WRAPPINGS:
            return []
        authority, host_at = shape["authority"], shape.start("authority")
        host = _receiving_host(authority)
        if host is not None and (inner := self._unwrapped(host, url)):
            return [Find(at, at + len(url), self._within(inner, depth), "rewriter", plain=False)]
        finds = self._in_host(authority, at + host_at)
        if b"@" in authority and is_code(user := authority.rpartition(b"@")[0]):
            finds.append(self._code(at + host_at, at + host_at + len(user), user, "link"))
        path = shape["path"]
        if (inner_at := _INNER.search(path)) is not None:
            # The query belongs to the link inside.
            start = shape.start("path") + inner_at.start()
            finds += self._in_path(path[: inner_at.start()], at + shape.start("path"))
            end = len(url)
            if b"/" not in inner_at[0]:
                # Its slashes are encoded: those that are not belong to the link outside.
                end = path.find(b"/", inner_at.end())
                end = shape.start("path") + end if end >= 0 else len(url)
                rest = url[end:].partition(b"?")[0].partition(b"#")[0]
                finds += self._in_path(rest, at + end)
            return [*finds, *self._in_value(url[start:end], at + start, depth)]
        finds += self._in_path(path, at + shape.start("path"))
        if shape["query"]:
            finds += self._in_query(shape["query"][1:], at + shape.start("query") + 1, depth)
        if shape["fragment"] and len(shape["fragment"]) > 1:
            finds += self._in_fragment(shape["fragment"][1:], at + shape.start("fragment") + 1, depth)
        return finds

    def _in_host(self, authority: bytes, at: int) -> list[Find]:
        """Find labels that are codes, below the registrable domain."""
        return [
            self._code(at + start, at + end, authority[start:end], "link")
            for start, end in _code_labels(authority)
        ]

    def _in_path(self, path: bytes, at: int) -> Iterator[Find]:
        for match in _PIECE.finditer(path):
            piece = match[0]
            ending = _ENDING.search(piece) if b"." in piece else None
            stem = piece[: ending.start()] if ending else piece
            if stem.startswith(_BASE64_HTTP) and _BASE64_URL.fullmatch(stem):
                yield from self._in_value(stem, at + match.start(), 0)
            elif is_code(stem):
                yield self._code(at + match.start(), at + match.start() + len(stem), stem, "link")

    def _in_query(self, query: bytes, at: int, depth: int) -> Iterator[Find]:
        position = 0
        for match in (*_AMPERSAND.finditer(query), None):
            end = len(query) if match is None else match.start()
            name, equals, value = query[position:end].partition(b"=")
            if _starts_with_host(name):
                # A link without its scheme: what follows is its own query.
                yield from self.in_url(query[position:], at + position, depth + 1)
                return
            if equals:
                start = at + position + len(name) + 1
                yield from self._in_value(value, start, depth)
                if is_code(name):
                    yield self._code(at + position, at + position + len(name), name, "link")
            elif is_code(name) or len(name.translate(None, _DIGITS)) < len(name) or len(name) > 24:
                yield from self._in_value(name, at + position, depth)
            position = end if match is None else match.end()

    def _in_value(self, value: bytes, at: int, depth: int) -> Iterator[Find]:
        """A value is hidden whole, unless it is a link (then its codes are) or a host."""
        inner = _INNER.search(value) if b"http" in value.lower() else None
        if inner is not None:
            link = value[inner.start() :]
            if inner.start() >= _SHORTEST_PREFIX:
                yield self._code(at, at + inner.start(), value[: inner.start()], "link")
            if b"/" in inner[0]:
                yield from self.in_url(link, at + inner.start(), depth + 1)
                return
            times = 1 + len(inner["deep"] or b"") // 2
            kept = ":" if b":" in inner[0] else ""
            for _ in range(times):
                link = unquote_to_bytes(link)
            new = self._within(link, depth)
            if new != link:
                for _ in range(times):
                    new = quote_from_bytes(new, safe=kept).encode("ascii")
                yield Find(at + inner.start(), at + len(value), new, "link", plain=False)
        elif (coded := _coded_link(value)) and (opened := _from_base64(coded[0])):
            yield from self._in_base64(value, coded.start(), coded.end(), opened, at, depth)
        elif b"." in value and (
            _starts_with_host(value) or _HOSTLIKE.fullmatch(value) or _SLASHES_HOST.match(value)
        ):
            yield from self.in_url(value, at, depth + 1)
        elif value:
            yield self._code(at, at + len(value), value, "link")

    def _in_base64(
        self, value: bytes, start: int, end: int, opened: bytes, at: int, depth: int
    ) -> Iterator[Find]:
        """A link in base64, which may have something before it."""
        new = self.clean(splice(opened, apart(list(self._in_value(opened, 0, depth + 1)))))
        if start >= _SHORTEST_PREFIX:
            yield self._code(at, at + start, value[:start], "link")
        if new != opened or end < len(value):
            fresh = base64.urlsafe_b64encode(new).rstrip(b"=")
            yield Find(at + start, at + len(value), fresh, "link", plain=False)

    def _in_fragment(self, fragment: bytes, at: int, depth: int) -> Iterator[Find]:
        if _INNER.search(fragment) or b"=" in fragment:
            yield from self._in_query(fragment, at, depth)
        else:
            yield from self._in_path(fragment, at)

    def _in_mailto(self, url: bytes, at: int) -> Iterator[Find]:
        address, _, query = url.partition(b"?")
        yield from self._in_local(address[7:].partition(b"@")[0], at + 7)
        yield from self._in_query(query, at + len(address) + 1, 0)

    def _in_local(self, local: bytes, at: int) -> Iterator[Find]:
        for number, match in enumerate(_LOCAL_PIECE.finditer(local)):
            piece = match[0]
            if number:
                if b"." in piece and _HOSTLIKE.fullmatch(piece):
                    continue
            elif not is_code(piece) or _SRS.match(piece):
                continue
            short = len(piece) >= 3 and len(piece.translate(None, _DIGITS)) < len(piece)
            if short or is_code(piece) or local[match.start() - 1 : match.start()] == b"+":
                yield self._code(at + match.start(), at + match.end(), piece, "bounce address")

    def elsewhere(self, text: bytes) -> list[Find]:
        """Find the codes of the header again, wherever they stand."""
        return [
            Find(start, end, self.pseudonym(text[start:end]), rule)
            for start, end, rule in self.known.standing(text)
        ]

    def remember(self, text: bytes, finds: list[Find]) -> None:
        """Keep the codes that stood in a header field: they are searched in everything that follows."""
        for find in finds if not self.known.full else ():
            code = text[find.start : find.end]
            is_one = find.plain and find.rule in _REMEMBERED and len(code) >= SHORTEST
            if is_one and is_code(code):
                self.known.add(code, find.rule)

    def _code(self, start: int, end: int, code: bytes, rule: str) -> Find:
        is_pseudonym = code.startswith(_MARK) and PSEUDONYM_ONLY.fullmatch(code)
        return Find(start, end, code if is_pseudonym else self.pseudonym(code), rule)

    def _unwrapped(self, host: str, url: bytes) -> bytes | None:
        text = url.decode("utf-8", "replace").replace("&amp;", "&")
        target = next((found.target for found in hidden(host, text) if found.target), None)
        if target is None:
            return None
        if "://" not in target[:12]:
            target = f"http://{target}"
        return target.encode("utf-8", "replace") if read_one(target) else None

    def _within(self, link: bytes, depth: int) -> bytes:
        """Write a link anew, without its codes and the reporter."""
        return self.clean(splice(link, apart(self.in_url(link, 0, depth + 1))))


@lru_cache(maxsize=8192)
def _may_tell(word: bytes) -> bool:
    """Tell whether a word of a field is a code, or a host with one in it."""
    if _HOSTLIKE.fullmatch(word):
        return bool(_code_labels(word))
    return is_code(word) and not canonical_ip(word.decode("latin-1"))


def _host(authority: bytes) -> bytes:
    return authority.rpartition(b"@")[2].partition(b":")[0]


@lru_cache(maxsize=4096)
def _receiving_host(authority: bytes) -> str | None:
    """The host, where a recipient's own side wraps links."""
    host = _host(authority).lower().decode("ascii", "replace")
    return host if any(row.receiving for row in redirectors_of(host)) else None


@lru_cache(maxsize=4096)
def _code_labels(authority: bytes) -> tuple[tuple[int, int], ...]:
    """Where labels stand that are codes, below the registrable domain."""
    host = _host(authority)
    domain = organisational_domain(host.lower().decode("ascii", "replace"))
    if domain is None:
        return ()
    start = authority.rfind(host)
    below = host[: len(host) - len(domain)]
    labels = [match for match in _LABEL.finditer(below) if is_code_label(match[0])]
    return tuple((start + match.start(), start + match.end()) for match in labels)


def _coded_link(value: bytes) -> re.Match[bytes] | None:
    return _BASE64_URL.search(value) if _BASE64_HTTP in value else None


def _starts_with_host(value: bytes) -> bool:
    host = _HOSTLIKE.match(value)
    return host is not None and value[host.end() : host.end() + 1] == b"/"


def _from_base64(value: bytes) -> bytes | None:
    letters = value.rstrip(b"=")
    # Dashes at the end are letters of the other alphabet, or stand for the padding.
    for text in dict.fromkeys((letters, letters.rstrip(b"-"))):
        standard = text.translate(_STANDARD)
        usable = standard[:-1] if len(standard) % 4 == 1 else standard
        try:
            link = binascii.a2b_base64(usable + b"=" * (-len(usable) % 4))
        except binascii.Error:
            continue
        if link.isascii() and b"\0" not in link:
            return link
    return None


def apart(finds: list[Find]) -> list[Find]:
    """Make finds that touch each other one: what the first says stands for all of them."""
    if all(map(le, [find.end for find in finds], [find.start for find in finds[1:]])):
        return finds
    kept: list[Find] = []
    for find in sorted(finds, key=lambda find: (find.start, -find.end)):
        last = kept[-1] if kept else None
        if last is None or find.start >= last.end:
            kept.append(find)
        elif find.end > last.end:
            kept[-1] = Find(last.start, find.end, last.new, last.rule, last.plain)
    return kept
