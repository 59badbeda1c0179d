"""Digests of an address: takes the addresses of a person, leaves the octets that tell each digest of one.

Eight octets of a digest are no chance, and are all that is left of many: of some the first digits stand in a
link, of MD5 the sixteen in the middle. So no more of any is looked for.
"""

import hashlib
from collections.abc import Callable, Iterator

ONE_MAILBOX = ("gmail.com", "googlemail.com")
"""Two names of one provider, which takes no notice of dots in local parts (support.google.com/mail, 2026)."""
_TURNS: tuple[tuple[Callable[[str], str], tuple[str, ...]], ...] = (
    (str.lower, ("md5", "sha1", "sha256", "sha512")),
    (str.strip, ("md5", "sha1", "sha256")),
    (str.upper, ("md5", "sha1", "sha256")),
    (lambda address: f"mailto:{address.lower()}", ("md5", "sha1")),
    (lambda address: f"{address.lower()}\n", ("md5", "sha1", "sha256")),
    (lambda address: _hex("md5", address.lower()), ("md5", "sha1", "sha256")),
    (lambda address: _hex("sha256", address.lower()), ("sha256",)),
)
"""What of an address people take the digest of: first as most do."""
_OF_LOCAL = ("md5", "sha1", "sha256")
_ENOUGH = 8


def digests_of(addresses: tuple[str, ...], locals_: set[str]) -> tuple[tuple[tuple[str, bytes], ...], int]:
    """Return (whose it is, eight octets) of each digest, and how many, the first ones, are of the usual form.

    `locals_`: local parts that mean nobody else, of which digests tell, too.
    """
    found: dict[bytes, str] = {}
    usual = 0
    for turn, algorithms in _TURNS:
        for address in addresses:
            forms = dict.fromkeys((address, *("@".join(one) for one in same_mailbox(address))))
            for form in forms if not usual else (address,):
                for algorithm in algorithms:
                    for octets in _pieces(algorithm, turn(form)):
                        found.setdefault(octets, f"digest of {address.lower()}")
        usual = usual or len(found)
    for local in sorted(locals_):
        for algorithm in _OF_LOCAL:
            for octets in _pieces(algorithm, local):
                found.setdefault(octets, f"digest of mailbox {local}")
    return tuple((what, octets) for octets, what in found.items()), usual


def _pieces(algorithm: str, text: str) -> Iterator[bytes]:
    digest = hashlib.new(algorithm, text.encode(), usedforsecurity=False).digest()
    yield digest[:_ENOUGH]
    if algorithm == "md5":
        yield digest[4 : 4 + _ENOUGH]


def _hex(algorithm: str, text: str) -> str:
    return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()


def same_mailbox(address: str) -> Iterator[tuple[str, str]]:
    """Yield (local, domain) of all addresses of one mailbox: untagged, and the domain in each form."""
    local, _, domain = address.strip().lower().rpartition("@")
    domains = list(ONE_MAILBOX) if domain in ONE_MAILBOX else [domain]
    for turn in ("idna", "punycode"):
        try:
            domains.append(
                domain.encode("idna").decode("ascii") if turn == "idna" else domain.encode().decode("idna")
            )
        except UnicodeError:
            continue  # no valid IDN (RFC 5890): there is no other form of it
    for one in dict.fromkeys(domains):
        yield local, one
        if "+" in local.strip("+"):
            yield local.partition("+")[0], one
