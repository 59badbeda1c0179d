"""Finding what a spam advertises.

Takes a message; leaves every web link in its order of appearance, disguises and rewritings undone, and the
lures: mail addresses and phone numbers the reader is to use. Nothing is fetched, rendered or resolved.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

from complaints.bare_names import is_real
from complaints.hosts import canonical_ip, organisational_domain
from complaints.html_links import read_page
from complaints.message import Message, Part, leaves_within, parse
from complaints.readable import readable, shown_of_calendar
from complaints.redirectors import inner_urls
from complaints.schemes import read_scheme
from complaints.scripts import links_of_script
from complaints.text_links import references_in, schemeless
from complaints.urls import direct_host, read_host, read_one, read_url, refang

MAX_LINKS = 3_000
"""Different links kept from one message."""
MAX_WORDS = 20_000
"""Words with a dot in them that are looked at in one message."""
MAX_TRIED = 5_000
"""References looked at in one message, the useless ones included."""
MAX_TEXT = 2_000_000
"""Characters of text read for links in one message; what lies beyond is said to be unread."""
_MOST_INNER = 12
_LONGEST_SHOWN = 300

_MESSENGER = re.compile(
    r"https?://(?:wa\.me/|(?:api|web|chat)\.whatsapp\.com/send/?\?(?:[^#]*&)?phone=)(?:\+|%2B)?(\d{7,15})",
    re.IGNORECASE,
)
_MESSENGERS = frozenset({"wa.me", "api.whatsapp.com", "web.whatsapp.com", "chat.whatsapp.com"})
# A place without its scheme, as the target of an open redirector.
_BARE_INNER = re.compile(r"=(?:www\.|//|(?i:%2f%2f))")
_SHOWN_URL = re.compile(
    r"(?:https?:[/\\]+)?([^\s/\\?#:@]+\.[^\s/\\?#:@]+)(?::\d+)?(?:[/?#]\S*)?", re.IGNORECASE
)


_LED = frozenset({"anchor", "form", "refresh"})


class Link(NamedTuple):
    """One web link: `domain` is the registrable domain of `host`, or the address; `via` what was unwrapped.

    A rewriter's URL in `via` may carry the reporter's address: show it to nobody else. `notes` are sentences
    about disguises: letters that look like others, a text that shows another site. `used` tells of a link
    in a page whether the reader is led there (`anchor`, `form`, `refresh`) or a mail program only loads it
    (`image`, `style`, `script`); of any other link it is empty.
    """

    url: str
    host: str
    domain: str
    found_in: str
    via: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    used: str = ""


class Lure(NamedTuple):
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
    seen: dict[str, str | None] = field(default_factory=dict)
    tried: int = 0
    left: int = MAX_TEXT
    words: int = MAX_WORDS

    @property
    def full(self) -> bool:
        """Whether all is read that will be."""
        return self.tried > MAX_TRIED or self.left <= 0 or self.words <= 0 or len(self.web) >= MAX_LINKS

    def text(self, text: str, found_in: str) -> None:
        """Take all that stands in a running text."""
        found = references_in(text, max(0, self.words))
        self.words -= text.count(".")
        for kind, value in found:
            if self.tried > MAX_TRIED:
                return
            if kind == "web":
                self.reference(value, found_in)
            else:
                self.tried += 1
                self.lure(kind, value, found_in)

    def page(self, html: str, base: str, found_in: str) -> None:
        """Take all that stands in a page."""
        page = read_page(html, base)
        for reference, shown, used in page.references:
            self.reference(reference, found_in, shown, used)
        for text in page.texts:
            self.text(text, found_in)

    def reference(self, text: str, found_in: str, shown: str = "", used: str = "") -> None:
        """Take one absolute URL, mailto: or tel: reference; `shown` is the text of its anchor."""
        if text in self.seen:
            url = self.seen[text]
            if url and used in _LED and self.web[url].used not in _LED:
                # A picture's address may also be where the reader is led.
                self.web[url] = self.web[url]._replace(used=used)
        else:
            self.tried += 1
            if self.tried > MAX_TRIED or len(self.web) >= MAX_LINKS:
                return
            if host := direct_host(text):
                url = self._keep(text, host, (), (), found_in, used)
            else:
                url = self._new(text, found_in, used)
            self.seen[text] = url
        if shown and url and "." in shown and len(shown) < _LONGEST_SHOWN:
            self._compare(url, shown.strip())

    def _new(self, text: str, found_in: str, used: str) -> str | None:
        scheme = text[:9].lower()
        if scheme[:4] == "http" or scheme[:4] == "ftp:":
            # A quote, a tag or a bracketed dot in the host of an anchor is a slip of whoever wrote it.
            target = read_url(text) or read_url(refang(re.split('[<>"]', text, maxsplit=1)[0].rstrip("'")))
            return self._keep(*target, found_in, used) if target else None
        if scheme.startswith("mailto:"):
            for address in unquote(text[7:2_000].partition("?")[0]).split(","):
                self.lure("mail", address, found_in)
                if address[:4].lower() == "www." and (url := schemeless(address)):
                    # No mailbox, but a host that the sender wants to be seen.
                    return self._new(url, found_in, used)
        elif scheme.startswith(("tel:", "sms:", "callto:", "whatsapp:", "sip:")):
            number = unquote(text[:400]).partition(":")[2]
            phone = re.search(r"phone=([^&#]+)", number)
            self.lure("phone", phone[1] if phone else re.split(r"[?@;]", number)[0], found_in)
        elif scheme.startswith("file:") and (share := read_one("http" + text[4:])):
            return self._keep(*share._replace(url="file" + share.url[4:]), found_in, used)
        elif ":" in text[:31] and (target := read_scheme(text)):
            return self._keep(*target, found_in, used)
        return None

    def _keep(
        self, url: str, host: str, via: tuple[str, ...], notes: tuple[str, ...], found_in: str, used: str
    ) -> str:
        if url not in self.web:
            domain = organisational_domain(host) or host
            # What Link() does, without a call of Python code.
            self.web[url] = tuple.__new__(Link, (url, host, domain, found_in, via, notes, used))
            if "aHR0c" in url or "http" in url[8:].lower() or ("=" in url and _BARE_INNER.search(url)):
                self._keep_inner(url, via, found_in, used)
            if host in _MESSENGERS and (messenger := _MESSENGER.match(url)):
                self.lure("phone", "+" + messenger[1], found_in)
        return url

    def _keep_inner(self, url: str, via: tuple[str, ...], found_in: str, used: str) -> None:
        """Take the URLs inside a URL, and those inside them: an open redirector says where it leads."""
        waiting, taken = [(url, via)], 0
        while waiting and taken < _MOST_INNER:
            outer, before = waiting.pop(0)
            for text in inner_urls(outer):
                target = read_url(text)
                if target is None or target.url in self.web or len(self.web) >= MAX_LINKS:
                    continue
                if not (is_real(target.host) or canonical_ip(target.host)):
                    continue
                taken += 1
                inner, host, after, notes = target
                whole = (*before, outer, *after)
                domain = organisational_domain(host) or host
                self.web[inner] = Link(inner, host, domain, found_in, whole, notes, used)
                waiting.append((inner, whole))

    def _compare(self, url: str, shown: str) -> None:
        """Note an anchor whose text is the URL of another site than the one it leads to."""
        match = _SHOWN_URL.fullmatch(shown)
        host = read_host(match[1]) if match and is_real(match[1].lower()) else None
        link = self.web[url]
        if host is None or (organisational_domain(host) or host) == link.domain:
            return
        note = f"The text shows {shown} but leads to {link.host}"
        if note not in link.notes and len(link.notes) < 8:
            self.web[url] = link._replace(notes=(*link.notes, note))

    def lure(self, kind: str, value: str, found_in: str) -> None:
        """Take one mail address or phone number."""
        if (kind, value) in self.lures:
            return
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
        if (kind, value) not in self.lures and len(self.lures) < MAX_LINKS:
            self.lures[kind, value] = Lure(kind, value, found_in)


def links(
    message: Message, references: Iterable[tuple[str, str]] = (), files: Iterable[tuple[str, bytes]] = ()
) -> Links:
    """Return every link and lure of a message: subject first, then its parts in order.

    `references` are texts found by other readers, each with the place it was found in: `pdf` for a link
    annotation, `qr` for what a picture says to a camera. `files`, by name, are those of attached archives.
    """
    found = _Found()
    if subject := message.subject:
        found.text(subject, "subject")
    for part in leaves_within(message):
        if found.full:
            break
        _read_part(part, found)
    for text, found_in in references:
        found.text(text, found_in)
    for name, content in files:
        for part in _parts_of_file(name, content):
            _read_part(part, found, "archive")
    return Links(tuple(found.web.values()), tuple(found.lures.values()), not found.full)


def _parts_of_file(name: str, content: bytes) -> Iterator[Part]:
    if name.lower().endswith((".eml", ".mht", ".mhtml")):
        yield from leaves_within(parse(content))
    else:
        yield Part(
            (), "application/octet-stream", None, "binary", name or "file.txt", 0, len(content), 0, content
        )


def _read_part(part: Part, found: _Found, place: str = "") -> None:
    """Take all that stands in a part; `place` is where it was found, unless its kind tells."""
    shown = readable(part, found.left)
    if shown is None:
        return
    found.left -= len(shown.text)
    if shown.kind == "page":
        found.page(shown.text, _base_of(part), place or "html")
    elif shown.kind == "code":
        for url in links_of_script(shown.text):
            found.reference(url, place or "text")
    elif shown.kind == "calendar":
        texts, pages = shown_of_calendar(shown.text)
        for text in texts:
            found.text(text, place or "text")
        for page in pages:
            found.page(page, "", place or "html")
    else:
        found.text(shown.text, place or "text")


def _base_of(part: Part) -> str:
    """Return the URL that a part says it came from (RFC 2557 §4.2), or an empty text."""
    texts = (header.text.strip('<>" ') for header in part.locations)
    return next((text for text in texts if text.startswith(("http://", "https://"))), "")
