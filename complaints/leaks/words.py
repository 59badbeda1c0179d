"""Names and other whole words: takes those of a person, leaves whether one stands in a text for that person.

A word counts where people read words. Inside the name of a host, the address of somebody else, or a field
that servers wrote it is what a report must tell and says nothing of its reporter.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from complaints.leaks.reading import letters_of

_WORD = re.compile(r"\w+")
_SHORTEST = 3
_SHORTEST_MAILBOX = 5
_SHORTEST_TURNED = 7
_IN_TWO_LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe", "þ": "th"}
)
_WITHOUT_STROKE = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
)
"""What has no composition with a mark (Unicode, UnicodeData.txt)."""
_MOST = 50_000
"""Places of a word in one text that are looked at; where there are more, one is taken to count."""
_WINDOW = 2_000
_BETWEEN = rb"(?:[\s._+,-]|\xc2\xa0|&nbsp;){1,4}"
# Mailboxes of offices (RFC 2142 and the habits of today): alone they are words, not persons.
_OFFICES = frozenset(
    {"abuse", "account", "accounts", "admin", "administrator", "alerts", "all", "anfrage", "billing",
     "bounce", "bounces", "client", "contact", "customer", "customers", "daemon", "default", "email",
     "enquiries", "everyone", "feedback", "friend", "friends", "general", "hello", "help", "home",
     "hostmaster", "info", "inquiries", "invoice", "invoices", "jobs", "kontakt", "list", "lists",
     "login", "mail", "mailbox", "mailer", "marketing", "member", "members", "message", "messages",
     "money", "network", "news", "newsletter", "nobody", "noreply", "office", "online", "order",
     "orders", "payment", "payments", "phone", "post", "postmaster", "press", "privacy", "private",
     "reply", "report", "reports", "root", "sales", "security", "server", "service", "services", "shop",
     "spam", "staff", "store", "support", "system", "team", "test", "user", "users", "usenet", "verein",
     "webmaster", "website", "welcome"}
)  # fmt: skip
_RECIPIENT = re.compile(
    rb"(?:resent-)?(?:to|cc|bcc)|(?:x-)?(?:apparently-to|delivered-to|original-to|envelope-to|rcpt-to|real-to|forwarded-to"
    rb"|forwarded-for|loop|original-recipient|envelope-recipient)"
)
_TRACE = re.compile(
    rb"received|x-received|received-spf|message-id|references|in-reply-to|return-path|list-id|content-.+|date|mime-version"
    rb"|arc-.+|.*authentication-results.*|.*dkim-signature"
)
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_HOST = b"abcdefghijklmnopqrstuvwxyz0123456789._-"
_HOST_STARTS = (b"//", b"@", b"%40", b"=40", b"%2f%2f")
_ADDRESS_AFTER = re.compile(rb"[a-z0-9._+-]{0,64}(?:@|%40|=40|&#64;)")
_LABELS_AFTER = re.compile(rb"[\w-]*(?:\.[\w-]+){0,9}")
_FOR = re.compile(rb"\sfor\s{1,9}<?\Z")


@dataclass(frozen=True)
class Word:
    """A word, or several in a row: `forms` in UTF-8 and lower case; any of `siblings` may be beside it."""

    what: str
    forms: tuple[bytes, ...]
    letters: tuple[bytes, ...]
    """The letters of each form, one of which a reading must hold."""
    siblings: frozenset[bytes]
    mailbox: bool = False
    anywhere: bool = True
    """A mailbox that is also looked for where no mailbox must be meant."""

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        spaced = (_BETWEEN.join(map(re.escape, form.split(b" "))) for form in self.forms)
        return re.compile(b"|".join(spaced))

    def stands_in(self, lower: bytes, octets: bytes, letters: bytes) -> bool:
        """Whether it stands in a text for the person: `lower` are its `octets` in lower case."""
        if not any(form in letters for form in self.letters):
            return False
        left = _MOST
        for match in self._pattern.finditer(lower):
            start, end = match.span()
            if _is_letter(lower[max(0, start - 4) : start], -1) or _is_letter(lower[end : end + 4], 0):
                continue
            left -= 1
            if left < 0 or self._counts(lower, octets, start, end):
                return True
        return False

    def _counts(self, lower: bytes, octets: bytes, start: int, end: int) -> bool:
        if self.mailbox and _is_meant(lower, start, end):
            return True
        before = lower[max(0, start - 260) : start]
        ahead = before.rstrip(_HOST)
        if not self.anywhere or ahead.endswith(_HOST_STARTS) or _ADDRESS_AFTER.match(lower, end, end + 70):
            return False
        first = start - (len(before) - len(ahead))
        return not self._is_in_host(lower, octets, first, start, end) and not _is_in_trace(lower, start)

    def _is_in_host(self, lower: bytes, octets: bytes, first: int, start: int, end: int) -> bool:
        """Whether it is a label of a host name such as `mx.archer.example`.

        `alice.archer` is none, nor is the end of a sentence where the space was forgotten (`Alice.Welcome`).
        """
        first += len(lower[first:start]) - len(lower[first:start].lstrip(b"._-"))
        right = _LABELS_AFTER.match(lower, end, end + 260)
        last = right.end() if right else end
        labels = lower[first:last].split(b".")
        if (
            len(labels) == 1
            or self.siblings.issuperset(labels)
            or (self.mailbox and first == start and last == end)
        ):
            return False
        return octets[first:last].split(b".")[-1].islower() or octets[start:end].islower()


def _is_letter(octets: bytes, place: int) -> bool:
    """Whether the character at an edge of these few octets is a letter or digit."""
    text = octets.decode("utf-8", "ignore")
    return bool(text) and text[place].isalnum()


def _field_at(lower: bytes, place: int) -> bytes:
    """The name of the header field that a place seems to be in; b"" when it is in none."""
    first = max(0, place - _WINDOW)
    start = place
    while True:
        start = lower.rfind(b"\n", first, start)
        if start < 0:
            break
        if lower[start + 1 : start + 2] not in {b" ", b"\t"}:
            break
    if start < 0 and first > 0:
        return b""
    name = _NAME.match(lower, start + 1, place + 1)
    return name[1] if name else b""


def _is_in_trace(lower: bytes, place: int) -> bool:
    return _TRACE.fullmatch(_field_at(lower, place)) is not None


def _is_meant(lower: bytes, start: int, end: int) -> bool:
    """Whether a mailbox must be meant: a field of recipients, or `for` (RFC 5321 §4.4), without a domain."""
    if lower[start - 1 : start] in {b".", b"@", b"+", b"=", b"-", b"_"} or lower[end : end + 1] in {
        b"@",
        b"+",
        b"=",
        b"-",
        b"_",
    }:
        return False
    if lower[end : end + 1] == b"." and lower[end + 1 : end + 2].isalnum():
        return False
    if _FOR.search(lower, max(0, start - 20), start) and lower[end : end + 1] in {
        b">",
        b";",
        b" ",
        b"\r",
        b"\n",
        b"\t",
    }:
        return _field_at(lower, start) == b"received"
    return _RECIPIENT.fullmatch(_field_at(lower, start)) is not None


def words_of(
    addresses: tuple[str, ...],
    names: tuple[str, ...],
    phrases: tuple[str, ...],
    own_words: frozenset[str],
) -> tuple[Word, ...]:
    """The words that stand for a person, without those of our own text."""
    made = dict.fromkeys((*_of_names(names, own_words), *_of_phrases(phrases, own_words)))
    siblings = frozenset(form for what, text in made for form in _forms(text))
    found = [_word(what, text, siblings) for what, text in made]
    spelled = ((what, other) for what, text in made for other in in_ascii(text))
    turned = ((what, other) for what, text in made for other in _turned(text))
    others = dict.fromkeys(one for one in (*spelled, *turned) if one not in made and one[1] not in own_words)
    found += [_word(what, text, siblings) for what, text in others]
    for local in dict.fromkeys(address.strip().lower().rpartition("@")[0] for address in addresses):
        telling = len(local) >= _SHORTEST_MAILBOX and local not in _OFFICES and local not in own_words
        found.append(_word(f"mailbox {local}", local, siblings, mailbox=True, anywhere=telling))
    return tuple(found)


def _of_names(names: tuple[str, ...], own_words: frozenset[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        words = _WORD.findall(name.lower())
        yield from (
            (f"name {word}", word) for word in words if len(word) >= _SHORTEST and word not in own_words
        )
        if len(words) < 2:
            continue
        if min(map(len, words)) < _SHORTEST:
            yield f"name {' '.join(words)}", " ".join(words)
            yield f"name {' '.join(words)}", " ".join((words[-1], *words[:-1]))
        first, last = words[0], words[-1]
        if len(first + last) >= 2 * _SHORTEST:
            yield f"name {first} {last}", first + last
            yield f"name {first} {last}", last + first


def in_ascii(text: str) -> Iterator[str]:
    """Yield how a word of Latin letters with marks is written without them: `juergen` and `jurgen`."""
    apart = unicodedata.normalize("NFKD", text.translate(_WITHOUT_STROKE))
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    for one in (text.translate(_IN_TWO_LETTERS), bare):
        if one != text and one.isascii() and len(one) >= _SHORTEST:
            yield one


def _turned(text: str) -> Iterator[str]:
    """Yield a name backwards and in rot13; shorter ones are too often words of some language."""
    if len(text) >= _SHORTEST_TURNED and text.isascii():
        yield from (text[::-1], codecs.encode(text, "rot13"))


def _of_phrases(phrases: tuple[str, ...], own_words: frozenset[str]) -> Iterator[tuple[str, str]]:
    for phrase in phrases:
        words = _WORD.findall(phrase.lower())
        if not own_words.issuperset(words):
            yield f"words {' '.join(words)}", " ".join(words)


def _word(
    what: str, text: str, siblings: frozenset[bytes], *, mailbox: bool = False, anywhere: bool = True
) -> Word:
    forms = _forms(text)
    return Word(what, forms, tuple(dict.fromkeys(map(letters_of, forms))), siblings, mailbox, anywhere)


def _forms(text: str) -> tuple[bytes, ...]:
    """The octets of a text, its ASCII in lower case: in UTF-8, composed or not, garbled, and in Latin-1."""
    found: dict[bytes, None] = {}
    for case in (text.lower(), text.title(), text.upper()):
        for form in ("NFC", "NFD"):
            found[unicodedata.normalize(form, case).encode().lower()] = None
        found.update(dict.fromkeys(form.encode().lower() for form in garbled(case)))
    found.update(dict.fromkeys(octets.lower() for octets in latin(text)))
    return tuple(found)


def garbled(text: str) -> Iterator[str]:
    """Yield what a text beyond ASCII looks like when its UTF-8 was taken for Windows' Latin."""
    if not text.isascii():
        yield text.encode().decode("cp1252", "replace").replace("\ufffd", "")


def latin(text: str) -> Iterator[bytes]:
    """Yield the octets of a text beyond ASCII in Windows' Latin, as far as it can be written in it."""
    for case in (text.lower(), text.title(), text.upper()):
        try:
            octets = case.encode("cp1252")
        except UnicodeError:
            continue
        if not octets.isascii():
            yield octets
