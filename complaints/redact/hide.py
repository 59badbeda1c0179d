"""Finding an identity in one text, however deep: takes bytes, leaves what to cut out and put in.

A text is anything already freed of its transfer encoding: a header block, a text part, the inside of a
token. Inside it, tokens are opened: base64 and base64url at any offset, hex, encoded words (RFC 2047); and
digests of the address are recognised. What is found there is hidden there, and the token is written again
in its own encoding.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice

from complaints.redact import glance
from complaints.redact.deflated import packed_finds
from complaints.redact.find import Find, splice
from complaints.redact.hints import Hints
from complaints.redact.pseudonyms import pseudonym
from complaints.redact.sieve import Sieve, few_looks
from complaints.redact.spellings import NUMBERS, Secret, longest_run, secrets
from complaints.redact.tokens import URL_SAFE, broken, mended, narrow, token_of
from complaints.redact.uu import blocks
from complaints.redact.words import as_words, encoded_words, readings

WORDS = frozenset({"name", "local part", "your words"})
"""Rules whose finds are words, which may also stand for something else."""
MAX_DEPTH = 4
"""Encodings inside each other that are opened."""
_SHORTEST_TOKEN = 8
_SHORTEST_DIGEST = 22
_UUID = 16
"""Octets of one."""
_GROUPS_OF_UUID = r"(.{8})(.{4})(.{4})(.{4})(.{12})"
_PIECE, _OVERLAP = 131_072, 4_096
_GROUPS = 8
_STRETCHES, _SHORTEST_STRETCH = 16, 600
_NO_TOKEN = re.compile(rb"[^A-Za-z0-9+/_\s-]")
# A token, folded like a header field, or broken into long lines like an undeclared base64 body.
_RUN = re.compile(
    rb"[A-Za-z0-9+/_-]{8,}+"
    rb"(?>(?:\r?\n[ \t]{1,8}[A-Za-z0-9+/_-]++|(?<=[A-Za-z0-9+/_-]{40})\r?\n[A-Za-z0-9+/_-]++)*)"
)
_SPACE = re.compile(rb"\s+")
_ESCAPE_BEFORE = re.compile(
    rb"(?:[%=][0-9a-f]{2}|-(?:2[56f]|3[adf]|40)|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[nrt]|&#x?[0-9a-f]{1,6})\Z"
)
_HOST = b"abcdefghijklmnopqrstuvwxyz0123456789.-"
_HOST_STARTS = (b"//", b"@", b"%40", b"%2f%2f", b"=40")
_ADDRESS_AFTER = re.compile(rb"[a-z0-9._+-]{0,64}(?:@|%40|=40|&#64;)")


@dataclass(frozen=True)
class Hider:
    """What it takes to hide one identity: its secrets, the digests of its addresses, the redaction key."""

    key: bytes
    secrets: tuple[Secret, ...]
    sieve: Sieve
    locals: tuple[bytes, ...]
    """The local parts, the longest first."""
    digests: tuple[tuple[bytes, bool, str], ...]
    """A digest as text, whether in hex, and of which address."""
    hints: Hints
    """Where in letters of base64 and hex something may stand."""
    base64_digests: tuple[bytes, ...]
    hex_digests: tuple[bytes, ...]
    shortest: int
    """Letters of the shortest token that can hold anything."""
    pseudonyms: Mapping[str, bytes]
    """What stands for each private string: `redacted-` and 65 bits of HMAC-SHA-256 (RFC 6590 §3, §4)."""

    def finds(self, text: bytes, *, tokens: bool = True, depth: int = 0) -> list[Find]:
        """Return what gives the identity away in `text`, in order, none overlapping another.

        `tokens` opens what is encoded inside the text; `depth` counts the encodings opened already.
        """
        found = self._spelled(text)
        if tokens and depth < MAX_DEPTH:
            words = encoded_words(text)
            found += self._encoded_words(words, depth)
            if next(glance.beginnings(text), None) is not None:
                found += self._uuencoded(text, depth)
                inside = partial(self.finds, depth=depth + 1)
                found += packed_finds(text, glance.beginnings(text), inside)
            found += self._tokens(text, words, depth)
        return _apart(found) if found else found

    def _spelled(self, text: bytes) -> list[Find]:
        """Find what is written there in any spelling."""
        looks = few_looks(text)
        starts = list(islice(self.sieve.starts(text), looks))
        if not starts:
            return []
        lower = text.lower()
        if len(starts) == looks:
            matches = [(one, match) for one in self.secrets for match in one.pattern.finditer(lower)]
        else:
            matches = list(_at(self.secrets, lower, starts))
        return [find for one, match in matches if (find := self._counted(one, lower, match)) is not None]

    def _counted(self, secret: Secret, lower: bytes, match: re.Match[bytes]) -> Find | None:
        start, end = match.span("hide")
        word = secret.word or ("rest" in secret.pattern.groupindex and match["rest"] is None)
        if word and not (secret.word or secret.bare):
            return None
        if not _counts(secret, lower, start, end, word=word):
            return None
        new = self.pseudonyms[secret.private]
        if secret.rule == NUMBERS:
            new = b",".join(b"%d" % octet for octet in new)
        elif b"\0" in lower[start:end]:
            new = b"".join(bytes((octet, 0)) for octet in new)
        return Find(start, end, new, "local part" if word and secret.bare else secret.rule)

    def _encoded_words(self, words: list[re.Match[bytes]], depth: int) -> Iterator[Find]:
        said = [readings(match[0]) for match in words]
        # Most say nothing, which is told of all of them at once.
        if not words or not self.finds(
            b"\n\n".join([text for texts in said for text in texts]), depth=depth + 1
        ):
            return
        for match, texts in zip(words, said, strict=True):
            for text in texts:
                if inside := self.finds(text, depth=depth + 1):
                    rule = f"{inside[0].rule} in an encoded word"
                    yield Find(match.start(), match.end(), as_words(splice(text, inside)), rule, plain=False)
                    break

    def _uuencoded(self, text: bytes, depth: int) -> Iterator[Find]:
        found = list(blocks(text))
        # Most say nothing, which is told of all of them at once.
        if not found or not self.finds(b"\n\n".join([block.content for block in found]), depth=depth + 1):
            return
        for block in found:
            yield from block.encoded(text, self.finds(block.content, depth=depth + 1))

    def _tokens(self, text: bytes, words: list[re.Match[bytes]], depth: int) -> Iterator[Find]:
        bare = splice(text, (Find(*match.span(), b" ", "") for match in words)) if words else text
        if not self._may_hold(glance.glued(bare), depth):
            return
        stretches = list(_stretches(text))
        tokens: list[tuple[re.Match[bytes], bytes]] = []
        for start, end in stretches:
            if len(stretches) == 1 or self._may_hold(glance.glued(text[start:end]), depth):
                runs = _RUN.finditer(text, start, end)
                tokens += [(run, token_of(run)) for run in runs if run.end() - run.start() >= self.shortest]
        for match, token in self._promising(tokens, depth):
            opened = self._digest(token) or self._hex(token, depth) or self._base64(token, depth)
            if opened is not None:
                new, rule = opened
                breaks = list(_SPACE.finditer(match[0]))
                yield narrow(match, broken(token, new, breaks), rule)

    def _promising(
        self, tokens: list[tuple[re.Match[bytes], bytes]], depth: int
    ) -> list[tuple[re.Match[bytes], bytes]]:
        """Return those that may hold something, when one does: by groups, of which few are parted again."""
        if len(tokens) <= 1:
            return tokens
        size = -(-len(tokens) // _GROUPS)
        groups = (tokens[start : start + size] for start in range(0, len(tokens), size))
        return [
            token
            for group in groups
            if self._may_hold(glance.glued(b"".join([token for _, token in group])), depth)
            for token in self._promising(group, depth)
        ]

    def misread(self, body: bytes) -> bool:
        """Tell whether base64 may show something to whom reads it as it stands, or from another letter on.

        What it says when read from the first letter is not looked at.
        """
        if b"=?" in body or b"begin " in body or self.sieve.spells(body):
            return True
        return self._may_hold(glance.glued(body), 0, shifted=True)

    def _may_hold(self, letters: bytes, depth: int, *, shifted: bool = False) -> bool:
        """Tell whether anything is encoded in glued letters, by opening all of them at once.

        `shifted`: as base64 not from the first letter on.
        """
        if len(letters) < self.shortest:
            return False
        # What is made of each piece stays small; what lies on a cut is in both.
        return any(
            self._piece_may_hold(letters[start : start + _PIECE + _OVERLAP], depth, shifted=shifted)
            for start in range(0, len(letters), _PIECE)
        )

    def _piece_may_hold(self, letters: bytes, depth: int, *, shifted: bool) -> bool:
        digest, stretches = self.hints.look(letters)
        if digest and self._is_digest(letters):
            return True
        for start, end in stretches:
            if self._tells(glance.opened(letters[start:end], shifted=shifted), depth):
                return True
        return False

    def _is_digest(self, letters: bytes) -> bool:
        return glance.holds(letters, self.base64_digests) or glance.holds(letters.lower(), self.hex_digests)

    def _tells(self, octets: bytes, depth: int) -> bool:
        """Tell whether anything may stand in opened letters."""
        spelled, readable = self.sieve.look(octets)
        return spelled or (bool(readable) and bool(self.finds(readable, depth=depth + 1)))

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
        for digest, is_hex, address in self.digests:
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
        """Look into a decoded token, unless it is noise."""
        return self.finds(octets, depth=depth + 1) if self.sieve.tells(octets) else []


@lru_cache(maxsize=64)
def hider(
    key: bytes, addresses: tuple[str, ...], names: tuple[str, ...], words: tuple[str, ...] = ()
) -> Hider:
    """Prepare the hiding of one identity under one key; kept, for one reporter sends many spams."""
    found, sieve, hints = _secrets(addresses, names, words)
    digests = _all_digests(addresses)
    letters = [secret.letters for secret in found if secret.letters]
    return Hider(
        key=key,
        secrets=found,
        sieve=sieve,
        locals=tuple(sorted({one.private.encode() for one in found if one.rule == "address"}, key=len)[::-1]),
        digests=digests,
        hints=hints,
        base64_digests=tuple(digest for digest, is_hex, _ in digests if not is_hex),
        hex_digests=tuple(digest for digest, is_hex, _ in digests if is_hex),
        shortest=max(_SHORTEST_TOKEN, min(map(len, letters), default=0) * 4 // 3),
        pseudonyms={private: pseudonym(key, private) for private in {secret.private for secret in found}},
    )


def privates_of(addresses: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return every private string that a pseudonym may stand for."""
    return tuple(dict.fromkeys(secret.private for secret in secrets(addresses, names)))


@lru_cache(maxsize=32)
def _secrets(
    addresses: tuple[str, ...], names: tuple[str, ...], words: tuple[str, ...]
) -> tuple[tuple[Secret, ...], Sieve, Hints]:
    """Making them takes some 20 ms an address, and one reporter's spam is redacted for several desks."""
    found = tuple(secrets(addresses, names, words))
    # Numbers of characters are a long text.
    telling = {secret.letters for secret in found if secret.rule != NUMBERS}
    # In some mailboxes dots may stand between any letters.
    telling |= {longest_run(side) for address in addresses for side in address.split("@")} - {b""}
    hints = Hints(telling, ((digest, is_hex) for digest, is_hex, _ in _all_digests(addresses)))
    return found, Sieve(secret.loose for secret in found), hints


@lru_cache(maxsize=512)
def _all_digests(addresses: tuple[str, ...]) -> tuple[tuple[bytes, bool, str], ...]:
    found = ((digest, is_hex, address) for address in addresses for digest, is_hex in _digests(address))
    return tuple(found)


def _digests(address: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the digests of an address that mailers use as its id: in hex, as UUID, in bare base64."""
    forms = dict.fromkeys((address.lower(), address, address.upper()))
    # As FOAF has it, and as a shell does that prints the address.
    texts = [*forms, f"mailto:{address.lower()}", f"{address.lower()}\n"]
    for text in texts:
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(algorithm, text.encode(), usedforsecurity=False)
            yield digest.hexdigest().encode(), True
            yield base64.b64encode(digest.digest()).rstrip(b"="), False
            if digest.digest_size == _UUID:
                grouped = "-".join(re.findall(_GROUPS_OF_UUID, digest.hexdigest())[0]).encode()
                # Dashes are letters in a token.
                yield from ((form.replace(b"-", b"+"), False) for form in (grouped, grouped.upper()))


def _stretches(text: bytes) -> Iterator[tuple[int, int]]:
    """Cut a text in a few between its tokens: where something stands that is in none, nor in a fold."""
    size, start = max(_SHORTEST_STRETCH, len(text) // _STRETCHES), 0
    while start < len(text):
        cut = _NO_TOKEN.search(text, start + size)
        end = cut.end() if cut else len(text)
        yield start, end
        start = end


def _at(
    all_: tuple[Secret, ...], lower: bytes, starts: list[int]
) -> Iterator[tuple[Secret, re.Match[bytes]]]:
    """Match where something may begin, each secret as its `finditer` would."""
    places = [(start, lower[start] if lower[start : start + 1].isalnum() else None) for start in starts]
    for secret in all_:
        lead, done = secret.lead, 0
        first = lead[0] if lead else None
        for start, there in places:
            if start < done or not (there == first or there is None or first is None):
                continue
            if not (_may_begin(lead, lower, start) and secret.may_begin(lower, start)):
                continue
            if match := secret.pattern.match(lower, start):
                yield secret, match
                done = match.end()


def _may_begin(lead: bytes, lower: bytes, start: int) -> bool:
    """Tell whether a secret may begin there: as far as plain letters stand there, they are its own."""
    if lower.startswith(lead, start):
        return True
    there = lower[start : start + len(lead)]
    other = next((at for at, pair in enumerate(zip(there, lead, strict=False)) if pair[0] != pair[1]), None)
    return other is None or not there[other : other + 1].isalnum()


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
    """Keep of overlapping finds the one that starts first, of those the longest, before mere words."""
    kept: list[Find] = []
    for find in sorted(finds, key=lambda find: (find.start, -find.end, find.rule in WORDS)):
        if not kept or find.start >= kept[-1].end:
            kept.append(find)
    return kept
