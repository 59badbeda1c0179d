"""What is looked for: takes the addresses and names of a person, leaves what of them stands in a reading.

One reading is searched in two steps. First its letters and digits alone, in lower case: where those of an
address do not stand, no way of putting dots, tags, folds or words between them matters, and that costs about
a nanosecond an octet. Only where they do stand, a pattern decides whether it is the address.
"""

import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import quote

from complaints.leaks.addresses import Address
from complaints.leaks.digests import ONE_MAILBOX, digests_of, same_mailbox
from complaints.leaks.escapes import Disturbed
from complaints.leaks.reading import Reading, ascii_letters_of, letters_of
from complaints.leaks.scan import (
    ARCHIVES,
    FUNCTIONS,
    Place,
    exactly,
    finder,
    in_base32,
    in_base64,
    in_each_case,
    kinds_finder,
    readable,
    readable_hex,
    split_by_tags,
    standing_alone,
)
from complaints.leaks.unseen import in_latin
from complaints.leaks.words import Word, garbled, latin, words_of

TELLING = 16
"""So many readable characters in a row noise does not hold by chance."""
_HEAD = 6
"""So many letters of a digest are looked for first."""
_DIGEST_HEAD = 4
_BASE32_HEAD = 8
_ROW = 8
_TELLING_ROW = 4
"""Fewer letters of a name stand in any text."""


@dataclass(frozen=True)
class Wanted:
    """All that is looked for."""

    addresses: tuple[Address, ...]
    digests: tuple[tuple[str, bytes], ...]
    """Whose it is, and its octets."""
    words: tuple[Word, ...]
    usual: int = 0
    """So many digests, the first ones, are of an address in lower case."""

    @cached_property
    def foreign(self) -> tuple[bytes, ...]:
        """What is beyond ASCII, in UTF-8: it may stand in any charset."""
        forms = [form for word in self.words for form in word.forms]
        forms += [part for one in self.addresses for part in (one.local, one.domain)]
        return tuple(
            dict.fromkeys(each for form in forms if not form.isascii() for each in _in_each_case(form))
        )

    @cached_property
    def _may_stand(self) -> Place:
        addresses = (pattern for address in self.addresses for pattern in address.described())
        return finder(*addresses, *(standing_alone(form) for word in self.words for form in word.forms))

    @cached_property
    def _disturbed(self) -> Disturbed:
        words = {form for word in self.words for form in word.forms}
        return Disturbed(words.union(*((one.local, one.domain) for one in self.addresses)) - {b""})

    @cached_property
    def _split_by_tags(self) -> Place:
        rows: set[bytes] = set()
        for one in self.addresses:
            for needle in one.gates[0][1][:1]:
                rows.update(split_by_tags(needle, {letters_of(one.domain)[:1], b"a"}))
        for word in self.words:
            for letters in word.letters:
                rows.update(split_by_tags(letters, set()))
        return finder(*sorted(rows))

    def is_split_by_tags(self, tagged: Reading) -> bool:
        """Whether tags may split what is looked for in a reading whose letters, with tags, do not hold it."""
        return self._split_by_tags(tagged.octets, 0) >= 0

    def stands_in_next(self, reading: Reading, *, plain: bool) -> bool:
        """Whether whatever stands in a reading stands in one behind it as well; `plain` as `told_in` says."""
        if reading.quoted and not plain and not self.has_short_words:
            return self._behind_equals(reading.octets, 0) < 0
        return reading.undone is not None and not any(map(self._disturbed.__getitem__, reading.undone))

    @cached_property
    def _behind_equals(self) -> Place:
        """Where something begins behind a sign of equality with what would be a code of quoted-printable."""
        starts = {part[:4] for one in self.addresses for part in (one.local, one.domain)}
        starts |= {form[:4] for word in self.words for form in word.forms}
        taken = (
            b"=" + more + in_each_case(start)
            for more in (b"", b"[0-9A-Fa-f]")
            for start in sorted(starts)
            if all(octet in b"0123456789abcdef" for octet in start[: 1 if more else 2])
        )
        # Python skips the line behind such a break.
        return finder(*taken, rb"=\r(?:[^\n]|\z)")

    @cached_property
    def _rows(self) -> Callable[[bytes], set[int]]:
        return kinds_finder(self._plain_rows, self._encoded_rows)

    @cached_property
    def _plain_rows(self) -> set[bytes]:
        """Letters of which each address, however it is turned around, and each longer word holds some."""
        rows = {
            ascii_letters_of(needles[0] if needles else b"")
            for one in self.addresses
            for _, needles in one.gates
        }
        if any(len(row) < _TELLING_ROW for row in rows):
            return {b""}
        of_words = (ascii_letters_of(letters) for word in self.words for letters in word.letters)
        return rows.union(row for row in of_words if len(row) >= _TELLING_ROW)

    @cached_property
    def has_short_words(self) -> bool:
        """Whether any word is too short for `told_in` to tell of."""
        return any(
            len(ascii_letters_of(letters)) < _TELLING_ROW for word in self.words for letters in word.letters
        )

    @cached_property
    def _encoded_rows(self) -> set[bytes]:
        """What tells of a digest, of letters beyond ASCII, of an archive or a script, in letters of ASCII."""
        rows = {encoded[:_ROW] for _, encoded in self._base64}
        rows |= {letters[:_ROW] for form in self.foreign for letters in in_base64(form)}
        rows |= {letters[:_ROW] for _, letters in self._base32}
        for octets in {octets[: _HEAD // 2] for _, octets in self.digests}.union(self.foreign):
            rows |= {
                octets.hex()[:_ROW].encode(),
                b"".join(b"0x%02x" % octet for octet in octets)[: 2 * _ROW],
            }
        return {ascii_letters_of(row) for row in (*rows, *ARCHIVES, *FUNCTIONS)}

    def told_in(self, letters: bytes) -> tuple[bool, bool]:
        """What the letters of base64 in a text tell of: something in plain (but short words), or encoded.

        That is, of what is told in another way than by what can be read in it once decoded.
        """
        told = self._rows(ascii_letters_of(letters))
        return 0 in told, 1 in told

    @cached_property
    def _base32(self) -> tuple[tuple[bytes, bytes], ...]:
        """The octets of each address, as it is and in upper case, and their letters in base32."""
        plain = (b"%b@%b" % (one.local, one.domain) for one in self.addresses)
        forms = (form for one in plain for form in (one, one.upper()))
        return tuple((octets, letters) for octets in forms for letters in in_base32(octets))

    @cached_property
    def _any_in_base32(self) -> Place:
        return finder(*map(exactly, {letters[:_BASE32_HEAD] for _, letters in self._base32}))

    def in_base32(self, letters: bytes) -> Iterator[bytes]:
        """Yield the addresses that stand in base32 in letters and digits in lower case."""
        if self._any_in_base32(letters, 0) < 0:
            return iter(())
        return (octets for octets, encoded in self._base32 if encoded in letters)

    @cached_property
    def anything_readable(self) -> Place:
        """Where in letters of base64 anything may begin that can be read, there or in hex."""
        return finder(readable(self.readable), readable_hex(self.readable))

    @cached_property
    def readable_in_hex(self) -> Place:
        """Where in letters of base64 anything may begin that can be read in hex."""
        return finder(readable_hex(self.readable))

    @cached_property
    def fewest_letters(self) -> int:
        """So many letters of base64 are needed to hold anything."""
        sizes = [self.readable, *map(len, self.foreign)]
        return min(sizes) * 4 // 3

    def may_stand_in(self, octets: bytes) -> bool:
        """Whether any address or word may stand in a reading."""
        return self._may_stand(octets, 0) >= 0

    def found(self, reading: Reading, *, words: bool, edges: bool) -> Iterator[tuple[str, str]]:
        """Yield (what, how it was turned around) of all that stands in a reading; names only if `words`.

        `edges`: what stands before a short local part tells whether that begins there; noise does not.
        """
        letters = reading.letters
        if _any_in(self._gates if reading.whole else self._gates_as_written, letters):
            for address in self.addresses:
                way = address.stands_in(reading, edges=edges)
                if way is not None:
                    yield address.what, way
        if words and _any_in(self._stems, letters):
            for word in self.words:
                if word.stands_in(reading.lower, reading.octets, reading.letters):
                    yield word.what, ""

    @cached_property
    def _stems(self) -> tuple[bytes, ...]:
        """Letters of which any word holds some: those of the words that hold no other's."""
        return _inmost({form for word in self.words for form in word.letters})

    @cached_property
    def _gates(self) -> tuple[bytes, ...]:
        """Letters of which any address, whichever way it is turned, holds some."""
        return _inmost({needles[0] if needles else b"" for one in self.addresses for _, needles in one.gates})

    @cached_property
    def _gates_as_written(self) -> tuple[bytes, ...]:
        needles = [one.gates[0][1] for one in self.addresses]
        return _inmost({one[0] if one else b"" for one in needles})

    @cached_property
    def shortest(self) -> int:
        """The length of the shortest address."""
        return min((len(one.local) + 1 + len(one.domain) for one in self.addresses), default=6)

    @property
    def readable(self) -> int:
        """So many readable characters in a row are looked at in what was decoded."""
        return min(self.shortest, TELLING)

    @cached_property
    def fewest(self) -> int:
        """How many different characters stand in the address that has the fewest, or 5."""
        return min((5, *(len({*one.local, *one.domain}) for one in self.addresses)))

    @cached_property
    def _base64(self) -> tuple[tuple[bytes, bytes], ...]:
        """Each digest, and its letters in base64 that depend on nothing else, from each place of a group."""
        found = []
        for number, (_, octets) in enumerate(self.digests):
            # At the start of a token all; behind something else those of the address as most write it.
            for place in range(3 if number < self.usual else 1):
                letters = b64encode(bytes(place) + octets)[(place * 4 + 2) // 3 :]
                found.append((octets, letters[: len(octets) * 4 // 3 - 1]))
        return tuple(found)

    @cached_property
    def _any_in_base64(self) -> Place:
        return finder(*map(exactly, {encoded[:_HEAD] for _, encoded in self._base64}))

    def digested_in(self, letters: bytes) -> Iterator[bytes]:
        """Yield the digests that stand in letters of base64."""
        if self._any_in_base64(letters, 0) < 0:
            return iter(())
        return (octets for octets, encoded in self._base64 if encoded in letters)

    def digested_in_hex(self, letters: bytes) -> Iterator[bytes]:
        """Yield the digests that stand in letters in lower case."""
        return (octets for _, octets in self.digests if octets.hex().encode() in letters)

    @cached_property
    def _any_digest(self) -> Place:
        return finder(*(exactly(digest[:_DIGEST_HEAD]) for _, digest in self.digests))

    def digested(self, octets: bytes) -> Iterator[str]:
        """Yield what is digested of the digests that stand in octets."""
        if self._any_digest(octets, 0) < 0:
            return iter(())
        return (what for what, digest in self.digests if digest in octets)

    def hinted(self, octets: bytes) -> bool:
        """Whether what could be read in noise may hold an address."""
        letters = letters_of(octets)
        for address in self.addresses if _any_in(self._gates, letters) else ():
            for _, needles in address.gates:
                if all(needle in letters for needle in needles):
                    return True
        return False


def _any_in(needles: tuple[bytes, ...], letters: bytes) -> bool:
    for needle in needles:  # noqa: SIM110 - a generator costs as much as the search
        if needle in letters:
            return True
    return False


def _inmost(forms: set[bytes]) -> tuple[bytes, ...]:
    """Those that hold none of the others: where none of them stands, none of the others does."""
    return tuple(form for form in sorted(forms) if not any(other in form for other in forms - {form}))


@lru_cache(maxsize=256)
def wanted(
    addresses: tuple[str, ...],
    names: tuple[str, ...],
    phrases: tuple[str, ...],
    own_words: frozenset[str],
) -> Wanted:
    """Make ready what to look for; `own_words` as `find_leaks` says."""
    spellings: dict[tuple[bytes, bytes], Address] = {}
    for address in addresses:
        for local, domain in same_mailbox(address):
            locals_ = dict.fromkeys((*_forms(local), *_coded_for_bounces(local)))
            pairs = [(one, other) for one in locals_ for other in _forms(domain)]
            for one, other in (*pairs, (_defended(local), _defended(domain))):
                what = f"address {address.lower()}"
                dots = domain in ONE_MAILBOX
                spellings.setdefault((one, other), Address(what, one, other, dots))
    words = words_of(addresses, names, phrases, own_words)
    telling = {word.forms[0].decode() for word in words if word.mailbox and word.anywhere}
    digests, usual = digests_of(addresses, telling)
    return Wanted(tuple(spellings.values()), digests, words, usual)


def _coded_for_bounces(local: str) -> Iterator[bytes]:
    """A local part as some write it into a return path: dashes or all signs as codes: `a-b` as `a+2db`."""
    yield local.replace("-", "+2d").encode()
    yield b"".join(
        octet if octet.isalnum() or octet >= b"\x80" or octet in {b".", b"+"} else b"+%02x" % ord(octet)
        for octet in (bytes((number,)) for number in local.encode())
    )


def _defended(text: str) -> bytes:
    """A part of an address as URL Defense of Proofpoint writes it into a link: `a-b` as `a-2db`."""
    coded = quote(text.lower(), safe="").replace("-", "-2d").replace("_", "-5f")
    return coded.replace("%", "-").lower().encode()


def _forms(text: str) -> list[bytes]:
    """The octets of a text whose ASCII is in lower case, its other letters in either; also in Windows' Latin.

    And in UTF-8 that was taken for that, and written in UTF-8 again.
    """
    forms = [
        form.encode().lower()
        for case in (text.lower(), text.title(), text.upper())
        for form in (unicodedata.normalize("NFC", case), case, *garbled(case))
    ]
    forms += [in_latin(form) for form in forms if not form.isascii()]
    forms += [octets.lower() for octets in latin(text)]
    return list(dict.fromkeys(forms))


def _in_each_case(form: bytes) -> Iterator[bytes]:
    yield form
    try:
        text = form.decode()
    except UnicodeDecodeError:
        yield from (form.title(), form.upper())
    else:
        yield from (text.title().encode(), text.upper().encode())
