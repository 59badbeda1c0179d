"""What a DKIM signature and a key record say (RFC 6376 §3.5 and §3.6.1).

Takes their tag lists as they stand in a message and in the DNS; leaves a claim and keys to check it with, or
the outcome where there is nothing to check.
"""

import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import idna
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from complaints.canonical import BodyHash
from complaints.message import Header

Keys = Mapping[str, Sequence[str] | None]
"""TXT records by lower-case DNS name: an empty sequence where there are none, None where nobody answered."""

_MOST_NAMES = 500
_MOST_RECORDS = 3
_LONGEST_SIGNATURE = 16_384
_LONGEST_NAME = 255
_LONGEST_RECORD = 16_384

_ALGORITHMS = {
    "rsa-sha256": ("rsa", "sha256"),
    "rsa-sha1": ("rsa", "sha1"),
    "ed25519-sha256": ("ed25519", "sha256"),
}
_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]{1,76}")
_SPACE = re.compile(r"[ \t\r\n]+")
# SubjectPublicKeyInfo of an RSA key, or a bare RSAPublicKey: no other kind of key is given to the library.
_RSA_KEY = re.compile(
    rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)(?:\x02|\x30[\x00-\x7f]\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a signature; see `signatures.Signature`."""

    result: str
    why: str
    candidate: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """What a well-formed signature says."""

    header: Header
    domain: str
    selector: str
    kind: str
    algorithm: str
    relaxed: bool
    body: BodyHash
    body_digest: bytes
    value: bytes
    names: tuple[str, ...]
    made: int | None
    expires: int | None
    identity: str

    @property
    def key_name(self) -> str:
        """Where its key stands in the DNS."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key; `testing` is t=y of its record."""

    public: RSAPublicKey | Ed25519PublicKey
    testing: bool


def tags_of(header: Header) -> dict[str, str] | None:
    """Read the tag list of a signature (RFC 6376 §3.2); None when it is none."""
    return _tag_list(header.body) if len(header.raw) <= _LONGEST_SIGNATURE else None


def _tag_list(text: bytes) -> dict[str, str] | None:
    pieces = [piece.partition("=") for piece in text.decode("utf-8", "replace").split(";")]
    if not "".join(pieces[-1]).strip():
        pieces.pop()
    tags = {name.strip(): value.strip() for name, _, value in pieces}
    well_formed = len(tags) == len(pieces) and all(mark for _, mark, _ in pieces)
    return tags if well_formed and all(_TAG.fullmatch(name) for name in tags) else None


def signer_of(tags: dict[str, str] | None) -> tuple[str | None, str | None]:
    """Return domain and selector where they are names."""
    domain, selector = (dns_name((tags or {}).get(tag, "")) for tag in ("d", "s"))
    return domain if domain and "." in domain else None, selector


def dns_name(text: str) -> str | None:
    """Return a name in lower case as A-labels (RFC 8616 §3), or None when it cannot be asked for."""
    if len(text) > _LONGEST_NAME:
        return None
    name = text.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    return name if _NAME.fullmatch(name) else None


def read_claim(header: Header, tags: dict[str, str] | None) -> Claim | Outcome:  # noqa: C901, PLR0911 - one return per defect
    """Read a signature and check its form (RFC 6376 §6.1.1)."""
    if tags is None:
        return Outcome("neutral", "The signature is no list of tags that can be read.")
    if missing := [tag for tag in ("v", "a", "b", "bh", "d", "h", "s") if tag not in tags]:
        return Outcome("neutral", f"The signature lacks {', '.join(f'{tag}=' for tag in missing)}.")
    domain, selector = signer_of(tags)
    if domain is None or selector is None or len(f"{selector}._domainkey.{domain}") > 253:
        return Outcome("neutral", "The signature names no domain and selector that can be asked for.")
    if tags["v"] != "1" or tags["a"] not in _ALGORITHMS:
        return Outcome("neutral", "The signature is of a version or algorithm that is not DKIM's.")
    ways = tags.get("c", "simple/simple").split("/")
    if len(ways) > 2 or not {*ways} <= {"simple", "relaxed"}:
        return Outcome("neutral", "The signature's canonicalisation (c=) is none of DKIM's.")
    if "dns/txt" not in (one.strip() for one in tags.get("q", "dns/txt").split(":")):
        return Outcome("neutral", "The signature's key is not in the DNS (q=).")
    numbers = {tag: tags[tag] for tag in "ltx" if tag in tags}
    if not all(_NUMBER.fullmatch(number) for number in numbers.values()):
        return Outcome("neutral", "A number in the signature (l=, t= or x=) is none.")
    length, made, expires = (int(numbers[tag]) if tag in numbers else None for tag in "ltx")
    if made is not None and expires is not None and expires < made:
        return Outcome("neutral", "The signature expires (x=) before it was made (t=).")
    value, digest = _base64(tags["b"]), _base64(tags["bh"])
    if not value or digest is None:
        return Outcome("neutral", "The signature's b= or bh= is not base64.")
    names = tuple(one.strip().lower() for one in tags["h"].split(":"))
    if len(names) > _MOST_NAMES:
        return Outcome("neutral", f"The signature names more than {_MOST_NAMES} fields.")
    if "from" not in names:
        return Outcome("permerror", "The signature does not cover the From field (RFC 6376 §5.4).")
    identity = _identity(tags.get("i"), domain)
    if identity is None:
        return Outcome("permerror", f"The signature speaks for a domain (i=) that is not under {domain}.")
    kind, algorithm = _ALGORITHMS[tags["a"]]
    return Claim(
        header=header,
        domain=domain,
        selector=selector,
        kind=kind,
        algorithm=algorithm,
        relaxed=ways[0] == "relaxed",
        body=BodyHash(relaxed=ways[1:] == ["relaxed"], algorithm=algorithm, limit=length),
        body_digest=digest,
        value=value,
        names=names,
        made=made,
        expires=expires,
        identity=identity,
    )


def _base64(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(_SPACE.sub("", text), strict_mode=True)
    except (binascii.Error, ValueError):
        return None


def _identity(text: str | None, domain: str) -> str | None:
    """Return the domain of i= (quoted-printable, RFC 6376 §2.11), or None when it is not under d=."""
    if text is None:
        return domain
    plain = binascii.a2b_qp(_SPACE.sub("", text).encode("utf-8")).decode("utf-8", "replace")
    found = dns_name(plain.rpartition("@")[2])
    return found if found and (found == domain or found.endswith(f".{domain}")) else None


def usable_keys(claim: Claim, keys: Keys | None) -> list[Key] | Outcome:
    """Return the keys to check a signature with, or what its records are worth (RFC 6376 §6.1.2)."""
    if keys is None or claim.key_name not in keys:
        return Outcome("not checked", "Its key was not asked for.")
    records = keys[claim.key_name]
    if records is None:
        return Outcome("temperror", f"The DNS gave no answer for {claim.key_name}; it may later.")
    if not records:
        return Outcome("permerror", f"There is no key at {claim.key_name}: it is gone, or never was there.")
    found = [_key(record, claim) for record in records[:_MOST_RECORDS]]
    usable = [key for key in found if isinstance(key, Key)]
    return usable or next(outcome for outcome in found if isinstance(outcome, Outcome))


def _key(record: str, claim: Claim) -> Key | Outcome:  # noqa: PLR0911 - one return per defect
    """Read a key record (RFC 6376 §3.6.1)."""
    tags = _tag_list(record.encode("utf-8", "replace")) if len(record) <= _LONGEST_RECORD else None
    where = claim.key_name
    if tags is None or tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return Outcome("permerror", f"What stands at {where} is no DKIM key.")
    if not tags["p"]:
        return Outcome("permerror", f"{claim.domain} has revoked the key at {where}.")
    if tags.get("k", "rsa") != claim.kind or claim.algorithm not in _listed(tags, "h", claim.algorithm):
        return Outcome("permerror", f"The key at {where} is not for signatures of this kind.")
    if not _listed(tags, "s", "*") & {"*", "email"}:
        return Outcome("permerror", f"The key at {where} is not for mail (s=).")
    flags = _listed(tags, "t", "")
    if "s" in flags and claim.identity != claim.domain:
        return Outcome("permerror", f"The key at {where} is not for names under {claim.domain} (t=s).")
    data = _base64(tags["p"])
    public = _public_key(data, claim.kind) if data else None
    if public is None:
        return Outcome("permerror", f"The key at {where} cannot be read.")
    return Key(public, testing="y" in flags)


def _listed(tags: dict[str, str], tag: str, default: str) -> set[str]:
    return {one.strip() for one in tags.get(tag, default).split(":")}


def _public_key(data: bytes, kind: str) -> RSAPublicKey | Ed25519PublicKey | None:
    try:
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(data)
        found = load_der_public_key(data) if _RSA_KEY.match(data) else None
    except (ValueError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, RSAPublicKey) else None
