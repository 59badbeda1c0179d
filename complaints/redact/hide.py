"""Finding an identity in one text, however deep: takes bytes, leaves what to cut out and put in.

A text is anything already freed of its transfer encoding: a header block, a text part, the inside of a
token. Inside it, tokens are opened: base64 and base64url at any offset, hex, encoded words (RFC 2047); and
digests of the address are recognised. What is found there is hidden there, and the token is written again
in its own encoding.
"""

import base64
import binascii
import codecs
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from complaints.encodings import decode_words
from complaints.redact.find import Find, splice
from complaints.redact.pseudonyms import pseudonym
from complaints.redact.spellings import Secret, secrets

WORDS = frozenset({"name", "local part", "your words"})
"""Rules whose finds are words, which may also stand for something else."""
MAX_DEPTH = 4
"""Encodings inside each other that are opened."""
_SHORTEST_TOKEN = 8
_SHORTEST_DIGEST = 22
_LONG_TOKEN = 40
# A token, folded like a header field, or broken into long lines like an undeclared base64 body.
_RUN = re.compile(
    rb"[A-Za-z0-9+/_-]{8,}+"
    rb"(?>(?:\r?\n[ \t]{1,8}[A-Za-z0-9+/_-]++|(?<=[A-Za-z0-9+/_-]{40})\r?\n[A-Za-z0-9+/_-]++)*)"
)
_HEX_RUN = re.compile(rb"[0-9A-Fa-f]{12,}+")
_SPACE = re.compile(rb"\s+")
ENCODED_WORDS = re.compile(
    rb"=\?[^?\s]{1,40}\?[bBqQ]\?[^?]*+\?=(?>(?:\s++=\?[^?\s]{1,40}\?[bBqQ]\?[^?]*+\?=)*)"
)
_ESCAPE_BEFORE = re.compile(rb"(?:[%=][0-9a-f]{2}|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[nrt]|&#x?[0-9a-f]{1,6})\Z")
_HOST = b"abcdefghijklmnopqrstuvwxyz0123456789.-"
_HOST_STARTS = (b"//", b"@", b"%40", b"%2f%2f", b"=40")
_ADDRESS_AFTER = re.compile(rb"[a-z0-9._+-]{0,64}(?:@|%40|=40|&#64;)")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_URL_SAFE_BACK = bytes.maketrans(b"+/", b"-_")
_READABLE = re.compile(rb"[\x20-\x7e\t\r\n]{12,}+")


@dataclass(frozen=True)
class Hider:
    """What it takes to hide one identity: its secrets, the digests of its addresses, the redaction key."""

    key: bytes
    secrets: tuple[Secret, ...]
    hints: tuple[bytes, ...]
    digests: tuple[tuple[bytes, bool, str], ...]
    """A digest as text, whether in hex, and of which address."""
    shortest: int
    pseudonyms: Mapping[str, bytes]
    """What stands for each private string: `redacted-` and 65 bits of HMAC-SHA-256 (RFC 6590 §3, §4)."""

    def finds(self, text: bytes, *, tokens: bool = True, depth: int = 0) -> list[Find]:
        """Return what gives the identity away in `text`, in order, none overlapping another.

        `tokens` opens what is encoded inside the text; `depth` counts the encodings opened already.
        """
        lower = text.lower()
        found = [find for secret in self.secrets for find in self._spelled(secret, lower)]
        if tokens and depth < MAX_DEPTH:
            found += self._encoded_words(text, depth)
            found += self._tokens(text, depth)
        return _apart(found)

    def _spelled(self, secret: Secret, lower: bytes) -> Iterator[Find]:
        if secret.needle and secret.needle not in lower:
            return
        for match in secret.pattern.finditer(lower):
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
        for match in ENCODED_WORDS.finditer(text):
            decoded = decode_words(match[0]).encode("utf-8", "replace")
            if inside := self.finds(decoded, depth=depth + 1):
                rule = f"{inside[0].rule} in an encoded word"
                yield Find(match.start(), match.end(), as_words(splice(decoded, inside)), rule, plain=False)

    def _tokens(self, text: bytes, depth: int) -> Iterator[Find]:
        runs = [match for match in _RUN.finditer(text) if match.end() - match.start() >= self.shortest]
        tokens = [_SPACE.sub(b"", match[0]) if b"\n" in match[0] else match[0] for match in runs]
        if not self._promising(tokens, depth):
            return
        for match, token in zip(runs, tokens, strict=True):
            opened = self._digest(token) or self._hex(token, depth) or self._base64(token, depth)
            if opened is not None:
                new, rule = opened
                breaks = list(_SPACE.finditer(match[0]))
                yield Find(match.start(), match.end(), _broken(token, new, breaks), rule, plain=False)

    def _promising(self, tokens: list[bytes], depth: int) -> bool:
        """Tell whether any token holds something, by opening all of them at once: most texts end here."""
        whole = b"\n".join(tokens)
        if self._digested(whole):
            return True
        # Between tokens nine spaces, which are control characters when read from another place.
        letters = b"ICAgICAgICAg".join([token + b"AAA"[: -len(token) % 4] for token in tokens]).translate(
            _URL_SAFE
        )
        blobs = [_octets(letters[phase:]) for phase in range(4)]
        runs = _HEX_RUN.findall(whole)
        for phase in (0, 1):
            even = [run[phase : phase + (len(run) - phase) // 2 * 2] for run in runs]
            blobs.append(bytes.fromhex(b"202020".join(even).decode("ascii")))
        if any(
            self.hinted(blob) or self._inside(b"\n".join(_READABLE.findall(blob)), depth) for blob in blobs
        ):
            return True
        texts = (_octets(token.translate(_URL_SAFE)) for token in tokens if len(token) >= _LONG_TOKEN)
        return any(self.finds(text, depth=depth + 1) for text in texts if _is_foreign_text(text))

    def hinted(self, octets: bytes) -> bool:
        """Tell whether anything of the identity stands in `octets` as it is, or in UTF-16."""
        lower = octets.lower()
        bare = lower.replace(b"\0", b"") if b"\0" in lower else lower  # UTF-16 has zeros in between
        return any(hint in bare for hint in self.hints)

    def _digest(self, token: bytes) -> tuple[bytes, str] | None:
        found = self._digested(token) if len(token) >= _SHORTEST_DIGEST else None
        if found is None:
            return None
        place, length, private = found
        other = hmac.new(self.key, private.encode(), hashlib.sha512).hexdigest().encode()
        return token[:place] + other[:length] + token[place + length :], "digest of the address"

    def _digested(self, text: bytes) -> tuple[int, int, str] | None:
        """Return offset, length and address of the first digest in `text`."""
        lower, standard = text.lower(), text.translate(_URL_SAFE)
        for digest, is_hex, address in self.digests:
            place = (lower if is_hex else standard).find(digest)
            if place >= 0:
                return place, len(digest), address
        return None

    def _hex(self, token: bytes, depth: int) -> tuple[bytes, str] | None:
        for match in _HEX_RUN.finditer(token):
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
            letters = token[phase:].translate(_URL_SAFE)
            # A single letter over holds nothing, and what the last ones do not fill up is no content.
            octets = _octets(letters + b"A" * (-len(letters) % 4))[: len(letters) * 3 // 4]
            if inside := self._inside(octets, depth):
                whole = len(letters) // 4 * 3
                # The last letters may belong to something else: they stay unless the find reaches into them.
                used = whole if inside[-1].end <= whole else len(octets)
                new = base64.b64encode(splice(octets[:used], inside, group=3 ** (depth + 1))).rstrip(b"=")
                if b"-" in token or b"_" in token:
                    new = new.translate(_URL_SAFE_BACK)
                rest = token[phase + (used * 4 + 2) // 3 :]
                return token[:phase] + new + rest, f"{inside[0].rule} in base64"
        return None

    def _inside(self, octets: bytes, depth: int) -> list[Find]:
        """Look into a decoded token, unless it is noise: nothing readable, and no hint."""
        if _READABLE.search(octets) or self.hinted(octets) or _is_foreign_text(octets):
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


def _octets(letters: bytes) -> bytes:
    """Decode letters of the standard alphabet; up to three at the end that fill no group are dropped."""
    return binascii.a2b_base64(letters[: len(letters) // 4 * 4])


def hider(
    key: bytes, addresses: tuple[str, ...], names: tuple[str, ...], words: tuple[str, ...] = ()
) -> Hider:
    """Prepare the hiding of one identity under one key."""
    found = _secrets(addresses, names, words)
    hints = tuple(dict.fromkeys(secret.private.split()[0].encode() for secret in found))
    return Hider(
        key=key,
        secrets=found,
        hints=hints,
        digests=_all_digests(addresses),
        shortest=max(_SHORTEST_TOKEN, min(map(len, hints)) * 4 // 3),
        pseudonyms={secret.private: pseudonym(key, secret.private) for secret in found},
    )


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


def _broken(old: bytes, new: bytes, breaks: list[re.Match[bytes]]) -> bytes:
    """Put line breaks back: behind what changed as far from the end as before, else from the start."""
    pairs = zip(reversed(old), reversed(new), strict=False)
    same = next((count for count, (left, right) in enumerate(pairs) if left != right), len(old))
    pieces, position, taken = [], 0, 0
    for gap in breaks:
        place = gap.start() - taken
        taken += len(gap[0])
        if len(old) - place <= same:
            place += len(new) - len(old)
        pieces += [new[position:place], gap[0]]
        position = max(place, position)
    return b"".join((*pieces, new[position:]))


def as_words(text: bytes) -> bytes:
    """Encode UTF-8 text as encoded words of at most 75 characters (RFC 2047 §2), each of whole characters."""
    words, chunk = [], b""
    for char in text.decode("utf-8", "replace"):
        octets = char.encode("utf-8")
        if len(chunk) + len(octets) > 45:
            words.append(chunk)
            chunk = b""
        chunk += octets
    return b"\r\n ".join(b"=?utf-8?B?" + base64.b64encode(word) + b"?=" for word in (*words, chunk))
