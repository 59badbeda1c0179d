"""Finding an identity in one text, however deep: takes bytes, leaves what to cut out and put in.

A text is anything already freed of its transfer encoding: a header block, a text part, the inside of a
token. Inside it, tokens are opened: base64 and base64url at any offset, hex, encoded words (RFC 2047); and
digests of the address are recognised. What is found there is hidden there, and the token is written again
in its own encoding.
"""

import base64
import codecs
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from complaints.redact import glance
from complaints.redact.find import Find, splice
from complaints.redact.pseudonyms import pseudonym
from complaints.redact.spellings import Secret, secrets
from complaints.redact.tokens import URL_SAFE, broken, mended, narrow, token_of
from complaints.redact.uu import blocks
from complaints.redact.words import ENCODED_WORDS, as_words, decoded

WORDS = frozenset({"name", "local part", "your words"})
"""Rules whose finds are words, which may also stand for something else."""
MAX_DEPTH = 4
"""Encodings inside each other that are opened."""
_SHORTEST_TOKEN = 8
_SHORTEST_DIGEST = 22
_SHORTEST_HEX_DIGEST = 32
_LONG_TOKEN = 40
_LONG_LETTERS = 5
_PIECE, _OVERLAP = 131_072, 4_096
# A token, folded like a header field, or broken into long lines like an undeclared base64 body.
_RUN = re.compile(
    rb"[A-Za-z0-9+/_-]{8,}+"
    rb"(?>(?:\r?\n[ \t]{1,8}[A-Za-z0-9+/_-]++|(?<=[A-Za-z0-9+/_-]{40})\r?\n[A-Za-z0-9+/_-]++)*)"
)
_SPACE = re.compile(rb"\s+")
_AFTER_LETTERS = 1_000
"""Octets behind the letters of a secret in which the rest of it stands, whatever is in between."""
_ESCAPE_BEFORE = re.compile(rb"(?:[%=][0-9a-f]{2}|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[nrt]|&#x?[0-9a-f]{1,6})\Z")
_HOST = b"abcdefghijklmnopqrstuvwxyz0123456789.-"
_HOST_STARTS = (b"//", b"@", b"%40", b"%2f%2f", b"=40")
_ADDRESS_AFTER = re.compile(rb"[a-z0-9._+-]{0,64}(?:@|%40|=40|&#64;)")


@dataclass(frozen=True)
class Hider:
    """What it takes to hide one identity: its secrets, the digests of its addresses, the redaction key."""

    key: bytes
    secrets: tuple[Secret, ...]
    by_letters: Mapping[tuple[bytes, ...], list[Secret]]
    gates: tuple[bytes, ...]
    """What the first letters of every secret hold one of: where none stands in a view, nothing does."""
    always: bool
    """Whether a secret has no letters that a view could be asked for."""
    locals: tuple[bytes, ...]
    """The local parts, the longest first."""
    digests: tuple[tuple[bytes, bool, str], ...]
    """A digest as text, whether in hex, and of which address."""
    base64_digests: tuple[bytes, ...]
    letters: tuple[bytes, ...]
    """What a view of a text (`glance.py`) must hold one of to hold anything; those of at least five."""
    short: tuple[bytes, ...]
    """The shorter ones, which noise holds by chance: inside a token they count as they stand."""
    foreign: tuple[bytes, ...]
    """Names that have no such letters, in UTF-8 and in each case."""
    shortest: int
    pseudonyms: Mapping[str, bytes]
    """What stands for each private string: `redacted-` and 65 bits of HMAC-SHA-256 (RFC 6590 §3, §4)."""

    def finds(self, text: bytes, *, tokens: bool = True, escapes: bool = True, depth: int = 0) -> list[Find]:
        """Return what gives the identity away in `text`, in order, none overlapping another.

        `tokens` opens what is encoded inside the text, without `escapes` only plain spellings are looked for;
        `depth` counts the encodings opened already.
        """
        found: list[Find] = []
        lower = text.lower()
        for letters, whole in self._suspects(lower, escapes=escapes).items():
            for secret in self.by_letters[letters]:
                found += self._spelled(secret, lower, whole=whole)
        if tokens and depth < MAX_DEPTH:
            found += self._encoded_words(text, depth)
            found += self._uuencoded(text, depth)
            found += self._tokens(text, depth)
        return _apart(found) if found else found

    def _suspects(self, lower: bytes, *, escapes: bool) -> dict[tuple[bytes, ...], bool]:
        """Return the letters of the secrets that may stand in a text, and whether always in one piece."""
        suspects: dict[tuple[bytes, ...], bool] = {}
        for view, with_gaps in glance.views(lower, escapes=escapes):
            # Nearly always none of the few strings that all of the secrets begin with is in a view.
            if not self.always and not glance.holds(view, self.gates):
                continue
            for letters in self.by_letters:
                if not letters:
                    suspects[letters] = False
                elif letters[0] in view and all(more in view for more in letters[1:]):
                    whole = with_gaps is not None and view.count(letters[0]) == with_gaps().count(letters[0])
                    suspects[letters] = whole and suspects.get(letters, True)
        return suspects

    def _spelled(self, secret: Secret, lower: bytes, *, whole: bool) -> Iterator[Find]:
        for match in _near(secret, lower) if whole else secret.pattern.finditer(lower):
            start, end = match.span("hide")
            word = secret.word or ("rest" in secret.pattern.groupindex and match["rest"] is None)
            if word and not (secret.word or secret.bare):
                continue
            if _counts(secret, lower, start, end, word=word):
                new = self.pseudonyms[secret.private]
                if b"\0" in lower[start:end]:
                    new = b"".join(bytes((octet, 0)) for octet in new)
                yield Find(start, end, new, "local part" if word and secret.bare else secret.rule)

    def _encoded_words(self, text: bytes, depth: int) -> Iterator[Find]:
        if b"=?" not in text:
            return
        words = [(match, decoded(match[0])) for match in ENCODED_WORDS.finditer(text)]
        # Most say nothing, which is told of all of them at once.
        if not words or not self.finds(b"\n\n".join([said for _, said in words]), depth=depth + 1):
            return
        for match, said in words:
            if inside := self.finds(said, depth=depth + 1):
                rule = f"{inside[0].rule} in an encoded word"
                yield Find(match.start(), match.end(), as_words(splice(said, inside)), rule, plain=False)

    def _uuencoded(self, text: bytes, depth: int) -> Iterator[Find]:
        found = list(blocks(text)) if b"begin " in text else []
        # Most say nothing, which is told of all of them at once.
        if not found or not self.finds(b"\n\n".join([block.content for block in found]), depth=depth + 1):
            return
        for block in found:
            yield from block.encoded(text, self.finds(block.content, depth=depth + 1))

    def _tokens(self, text: bytes, depth: int) -> Iterator[Find]:
        bare = ENCODED_WORDS.sub(b" ", text) if b"=?" in text else text
        if not self._may_hold(glance.glued(bare), depth):
            return
        matches = [match for match in _RUN.finditer(text) if match.end() - match.start() >= self.shortest]
        for match, token in self._promising([(match, token_of(match)) for match in matches], depth):
            opened = self._digest(token) or self._hex(token, depth) or self._base64(token, depth)
            if opened is not None:
                new, rule = opened
                breaks = list(_SPACE.finditer(match[0]))
                yield narrow(match, broken(token, new, breaks), rule)

    def _promising(
        self, tokens: list[tuple[re.Match[bytes], bytes]], depth: int
    ) -> list[tuple[re.Match[bytes], bytes]]:
        """Return the tokens that may hold something: most lists end at once, others are halved."""
        if not tokens or not self._may_hold(glance.glued(b"".join([token for _, token in tokens])), depth):
            return []
        if len(tokens) == 1:
            return tokens
        half = len(tokens) // 2
        return self._promising(tokens[:half], depth) + self._promising(tokens[half:], depth)

    def _may_hold(self, letters: bytes, depth: int) -> bool:
        """Tell whether anything is encoded in glued letters, by opening all of them at once."""
        if len(letters) < self.shortest:
            return False
        if glance.holds(letters, self.base64_digests):
            return True
        digits = glance.hex_digits(letters)
        if digits >= _SHORTEST_HEX_DIGEST and self._digested(letters):
            return True
        return any(self._opens(piece, depth, hexadecimal=digits > 0) for piece in _pieces(letters))

    def _opens(self, letters: bytes, depth: int, *, hexadecimal: bool) -> bool:
        """Tell whether anything is encoded in a piece of glued letters."""
        octets = glance.opened(letters, hexadecimal=hexadecimal)
        if self.hinted(octets):
            return True
        readable = glance.readable_in(octets)
        if readable and self.finds(readable, depth=depth + 1):
            return True
        return glance.has_twins(octets) and bool(self.finds(octets, depth=depth + 1))

    def hinted(self, octets: bytes) -> bool:
        """Tell whether anything of the identity stands in `octets` as it is, or in UTF-16."""
        if self.short and glance.holds(octets.lower(), self.short):
            return True
        return glance.holds(octets, self.foreign) or glance.holds(glance.letters_in(octets), self.letters)

    def _digest(self, token: bytes) -> tuple[bytes, str] | None:
        found = self._digested(token) if len(token) >= _SHORTEST_DIGEST else None
        if found is None:
            return None
        place, length, private = found
        other = hmac.new(self.key, private.encode(), hashlib.sha512).hexdigest().encode()
        return token[:place] + other[:length] + token[place + length :], "digest of the address"

    def _digested(self, text: bytes) -> tuple[int, int, str] | None:
        """Return offset, length and address of the first digest in `text`."""
        lower, standard = text.lower(), text.translate(URL_SAFE)
        has_hex = glance.hex_digits(text) >= _SHORTEST_HEX_DIGEST
        for digest, is_hex, address in self.digests:
            if is_hex and not has_hex:
                continue
            place = (lower if is_hex else standard).find(digest)
            if place >= 0:
                return place, len(digest), address
        return None

    def _hex(self, token: bytes, depth: int) -> tuple[bytes, str] | None:
        for match in glance.HEX.finditer(token):
            for phase in (0, 1):
                start = match.start() + phase
                digits = token[start : start + (match.end() - start) // 2 * 2]
                octets = bytes.fromhex(digits.decode("ascii"))
                if inside := self._inside(octets, depth):
                    new = splice(octets, inside, group=3 ** (depth + 1)).hex().encode("ascii")
                    new = new.upper() if digits.isupper() else new
                    return token[:start] + new + token[start + len(digits) :], f"{inside[0].rule} in hex"
        return None

    def _base64(self, token: bytes, depth: int) -> tuple[bytes, str] | None:
        for phase in range(4):
            letters = token[phase:].translate(URL_SAFE)
            # A single letter over holds nothing, and what the last ones do not fill up is no content.
            octets = glance.octets_of(letters + b"A" * (-len(letters) % 4))[: len(letters) * 3 // 4]
            if inside := self._inside(octets, depth):
                whole = len(letters) // 4 * 3
                # The last letters may belong to something else: they stay unless the find reaches into them.
                used = whole if inside[-1].end <= whole else len(octets)
                fresh = base64.b64encode(splice(octets[:used], inside, group=3 ** (depth + 1))).rstrip(b"=")
                new = mended(token[phase : phase + (used * 4 + 2) // 3], fresh)
                rest = token[phase + (used * 4 + 2) // 3 :]
                return token[:phase] + new + rest, f"{inside[0].rule} in base64"
        return None

    def _inside(self, octets: bytes, depth: int) -> list[Find]:
        """Look into a decoded token, unless it is noise: nothing readable, and no hint."""
        if glance.readable_in(octets) or self.hinted(octets) or _is_foreign_text(octets):
            return self.finds(octets, depth=depth + 1)
        return []


def _is_foreign_text(octets: bytes) -> bool:
    """Tell text beyond ASCII from noise: noise of some length is never UTF-8. The end may be cut."""
    if octets.isascii() or len(octets) < _LONG_TOKEN // 2:
        return False
    try:
        codecs.utf_8_decode(octets, "strict", False)
    except UnicodeDecodeError:
        return False
    return True


@lru_cache(maxsize=512)
def hider(
    key: bytes, addresses: tuple[str, ...], names: tuple[str, ...], words: tuple[str, ...] = ()
) -> Hider:
    """Prepare the hiding of one identity under one key; kept, for one reporter sends many spams."""
    found = _secrets(addresses, names, words)
    digests = _all_digests(addresses)
    by_letters: dict[tuple[bytes, ...], list[Secret]] = {}
    for secret in found:
        by_letters.setdefault(secret.letters, []).append(secret)
    hints = dict.fromkeys(max(secret.letters, key=len) for secret in found if secret.letters)
    return Hider(
        key=key,
        secrets=found,
        by_letters=by_letters,
        gates=_inmost(letters[0] for letters in by_letters if letters),
        always=() in by_letters,
        locals=tuple(sorted({one.private.encode() for one in found if one.rule == "address"}, key=len)[::-1]),
        digests=digests,
        base64_digests=tuple(digest for digest, is_hex, _ in digests if not is_hex),
        letters=_inmost(letters for letters in hints if len(letters) >= _LONG_LETTERS),
        short=tuple(letters for letters in hints if len(letters) < _LONG_LETTERS),
        foreign=_foreign(found),
        shortest=max(_SHORTEST_TOKEN, min(map(len, hints), default=0) * 4 // 3),
        pseudonyms={private: pseudonym(key, private) for private in {secret.private for secret in found}},
    )


def _inmost(letters: Iterable[bytes]) -> tuple[bytes, ...]:
    """Drop those that hold another one: where that does not stand, they do not either."""
    distinct = dict.fromkeys(letters)
    return tuple(one for one in distinct if not any(other in one for other in distinct if other != one))


def _foreign(found: tuple[Secret, ...]) -> tuple[bytes, ...]:
    private = [secret.private for secret in found if not secret.letters and not secret.private.isascii()]
    return tuple(form.encode() for text in private for form in (text.lower(), text.title(), text.upper()))


def privates_of(addresses: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return every private string that a pseudonym may stand for."""
    return tuple(dict.fromkeys(secret.private for secret in _secrets(addresses, names, ())))


@lru_cache(maxsize=512)
def _secrets(
    addresses: tuple[str, ...], names: tuple[str, ...], words: tuple[str, ...]
) -> tuple[Secret, ...]:
    """Making patterns takes some 10 ms an address, and one reporter's spam is redacted for several desks."""
    return tuple(secrets(addresses, names, words))


@lru_cache(maxsize=512)
def _all_digests(addresses: tuple[str, ...]) -> tuple[tuple[bytes, bool, str], ...]:
    found = ((digest, is_hex, address) for address in addresses for digest, is_hex in _digests(address))
    return tuple(found)


def _digests(address: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the digests of an address that mailers use as its id: in hex, and in base64 without padding."""
    for form in dict.fromkeys((address.lower(), address, address.upper())):
        for algorithm in ("md5", "sha1", "sha256"):
            digest = hashlib.new(algorithm, form.encode(), usedforsecurity=False)
            yield digest.hexdigest().encode(), True
            yield base64.b64encode(digest.digest()).rstrip(b"="), False


def _pieces(letters: bytes) -> Iterator[bytes]:
    """Cut glued letters so that what is made of each stays small; what lies on a cut is in both pieces."""
    for start in range(0, len(letters), _PIECE):
        yield letters[start : start + _PIECE + _OVERLAP]


def _near(secret: Secret, lower: bytes) -> Iterator[re.Match[bytes]]:
    """Match only where the letters of a secret stand in one piece."""
    letters = secret.letters[0]
    place, done = lower.find(letters), 0
    while place >= 0:
        start, stop = max(done, place - secret.lead), place + len(letters) + _AFTER_LETTERS
        if secret.lead:
            # The first that is found may be another that begins before: all up to this place are tried
            for match in secret.pattern.finditer(lower, start, stop):
                yield match
                done = match.end()
                if match.start() > place:
                    break
            done = max(done, place + 1)
        elif there := secret.pattern.match(lower, start, stop):
            yield there
            done = max(there.end(), place + 1)
        place = lower.find(letters, max(place + 1, done))


def _counts(secret: Secret, lower: bytes, start: int, end: int, *, word: bool) -> bool:
    """Tell a find from a chance likeness: whole words, and not the host or address of somebody else."""
    before = lower[max(0, start - 260) : start]
    alone = not before[-1:].isalnum() or _ESCAPE_BEFORE.search(before[-8:]) is not None
    if not word:
        return alone or len(secret.private) >= 5
    if not alone or lower[end : end + 1].isalnum():
        return False
    telling = secret.bare and not secret.private.isalpha()
    return telling or not (before.rstrip(_HOST).endswith(_HOST_STARTS) or _ADDRESS_AFTER.match(lower, end))


def _apart(finds: list[Find]) -> list[Find]:
    """Keep of overlapping finds the one that starts first, of those the longest."""
    kept: list[Find] = []
    for find in sorted(finds, key=lambda find: (find.start, -find.end)):
        if not kept or find.start >= kept[-1].end:
            kept.append(find)
    return kept
