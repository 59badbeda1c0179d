"""Checking who signed a message: DKIM (RFC 6376, with RFC 8463 and RFC 8301).

Takes a message and the keys that the DNS gave for it; leaves one result per signature, each with a sentence.
A signature that fits proves that its domain handled these very bytes. One that does not fit proves nothing
about anybody: whoever passed the message on may have changed it.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from complaints.canonical import BodyHash, UnreadableBodyError, body_digests, field_bytes, unsigned
from complaints.dkim_tags import (
    Claim,
    Key,
    Keys,
    Outcome,
    dns_name,
    read_claim,
    signer_of,
    tags_of,
    usable_keys,
)
from complaints.encodings import without_comments
from complaints.hosts import organisational_domain
from complaints.losses import cut_off
from complaints.message import Header, Message
from complaints.trust import provider_of

__all__ = ["MOST_SIGNATURES", "Keys", "Signature", "key_names", "spare_own", "verify"]

MOST_SIGNATURES = 8
"""Signatures checked in one message, topmost first: the newest signer writes on top."""
_MOST_SHOWN = 16
_LONGEST_AUTHOR = 16_384
_LONGEST_HEADER = 512 * 1024
_LARGEST_MENDED = 16 * 1024 * 1024
_LEEWAY = 36_000  # seconds that clocks may be wrong, as in dkimpy
_WEAKEST = 1024  # bits of an RSA key (RFC 8301 §3.2)
_MBOX_QUOTED = re.compile(rb"(?<=\n)>(>*+From )")
_QUOTED = re.compile(r"\"(?>(?:[^\"\\]|\\.)*)\"", re.DOTALL)
_ANGLES = re.compile(r"<([^<>]*+)>")
_NOTABLE = ("from", "subject", "date", "to", "reply-to")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and what became of it.

    `result` is a word of RFC 8601 §2.7.1, or `not checkable` (the way in damaged the bytes), or `not checked`
    (its key was not asked for). `aligned` says that the signer and the From address are of one organisation
    (RFC 7489 §3.1), `candidate` that the signer answers for these very bytes and can be told about them.
    """

    domain: str | None
    selector: str | None
    result: str
    why: str
    aligned: bool = False
    candidate: bool = False
    covers: tuple[str, ...] = ()
    """The names in h=, in lower case, of a signature that passed without any doubt."""


@dataclass(frozen=True, slots=True)
class _Check:
    claim: Claim
    keys: list[Key]


@dataclass(frozen=True, slots=True)
class _Body:
    """Digests of the body, and its canonical length, relaxed and simple."""

    digests: dict[BodyHash, bytes]
    sizes: dict[bool, int]

    def fits(self, claim: Claim) -> bool:
        return self.digests[claim.body] == claim.body_digest


def key_names(message: Message) -> tuple[str, ...]:
    """Return the DNS names whose TXT records `verify` needs, at most `MOST_SIGNATURES`, lower case."""
    claims = [read_claim(header, tags_of(header)) for header in _checked(message)]
    return tuple(dict.fromkeys(claim.key_name for claim in claims if isinstance(claim, Claim)))


def verify(
    message: Message, keys: Keys | None, grade: str = "A", at: datetime | None = None
) -> tuple[Signature, ...]:
    """Return the signatures in the order of their fields.

    `keys` answers for `key_names` (None: nobody was asked). `grade` is how much of the message survived the
    way to us: below A, one that does not fit is not checkable. `at` is when the message was received, as x=
    and t= are judged by (RFC 6376 §3.5); without it they are not.
    """
    rows = []
    for header in _checked(message):
        tags = tags_of(header)
        claim = read_claim(header, tags)
        rows.append((signer_of(tags), claim if isinstance(claim, Outcome) else _check(claim, keys)))
    body = _body(message, [one.claim for _, one in rows if isinstance(one, _Check)])
    author = _author(message) if rows else None
    signatures = []
    for (domain, selector), one in rows:
        outcome = one if isinstance(one, Outcome) else _judge(message, one, body, grade, at)
        aligned = domain is not None and author is not None and organisational_domain(domain) == author
        covers = one.claim.names if isinstance(one, _Check) and outcome.candidate else ()
        signatures.append(
            Signature(domain, selector, outcome.result, outcome.why, aligned, outcome.candidate, covers)
        )
    return (*signatures, *_uncounted(message))


def spare_own(signatures: Iterable[Signature], hosts: Collection[str]) -> tuple[Signature, ...]:
    """Return the signatures, with no candidate of the organisations whose `hosts` the reporter's mail passes.

    A forwarder or mailing list that signs what it passes on did not send it. Mailbox providers stay: they
    sign only what their own customers send.
    """
    spared = []
    for one in signatures:
        if one.candidate and one.domain and _is_own(one.domain, hosts):
            why = f"{one.why.removesuffix('.')}; but your mail passes through its hosts."
            spared.append(replace(one, candidate=False, why=why))
        else:
            spared.append(one)
    return tuple(spared)


def _is_own(signer: str, hosts: Collection[str]) -> bool:
    provider, domain = provider_of(signer), organisational_domain(signer)
    if provider is not None and provider.role == "mailbox":
        return False
    return any(
        organisational_domain(host) == domain or (provider is not None and provider.owns(host))
        for host in hosts
    )


def _checked(message: Message) -> list[Header]:
    return message.fields("dkim-signature")[:MOST_SIGNATURES]


def _check(claim: Claim, keys: Keys | None) -> _Check | Outcome:
    found = usable_keys(claim, keys)
    return found if isinstance(found, Outcome) else _Check(claim, found)


def _body(message: Message, claims: list[Claim]) -> _Body | Outcome:
    """Hash the body for all claims; for one that does not fit, also as it was before an mbox quoted it."""
    try:
        body = _Body(*body_digests(message.raw, message.body, [claim.body for claim in claims]))
        missed = {claim.body for claim in claims if not body.fits(claim)}
        small = len(message.raw) <= _LARGEST_MENDED
        if not (missed and small and _MBOX_QUOTED.search(message.raw, message.body)):
            return body
        unquoted = _MBOX_QUOTED.sub(rb"\1", message.raw[message.body - 1 :])
        before = _Body(*body_digests(unquoted, 1, missed))
    except UnreadableBodyError as error:
        return Outcome("neutral", f"The body was not read: it has {error}.")
    mended = {claim.body for claim in claims if claim.body in missed and before.fits(claim)}
    if not mended:
        return body
    return _Body(body.digests | {one: before.digests[one] for one in mended}, body.sizes | before.sizes)


def _uncounted(message: Message) -> list[Signature]:
    """Name the signatures that are too many."""
    why = f"Only the {MOST_SIGNATURES} topmost signatures are checked."
    rest = message.fields("dkim-signature")[MOST_SIGNATURES:_MOST_SHOWN]
    return [Signature(*signer_of(tags_of(header)), "not checked", why) for header in rest]


def _author(message: Message) -> str | None:
    """Return the organisational domain of the From address, when there is exactly one."""
    fields = message.fields("from")
    if len(fields) != 1 or len(fields[0].raw) > _LONGEST_AUTHOR:
        return None
    text = _QUOTED.sub("", without_comments(fields[0].value.decode("utf-8", "replace")))
    angles = _ANGLES.findall(text)
    address = angles[0] if len(angles) == 1 and text.count("@") == 1 else text
    domain = dns_name(address.rpartition("@")[2].strip()) if address.count("@") == 1 else None
    return organisational_domain(domain) if domain else None


def _judge(
    message: Message, check: _Check, body: _Body | Outcome, grade: str, at: datetime | None
) -> Outcome:
    claim = check.claim
    if isinstance(body, Outcome):
        return body
    signed = _signed(message, claim)
    if signed is None:
        return Outcome("neutral", "The signed header fields are too large to be checked.")
    key = next((key for key in check.keys if _fits(key, claim, signed)), None)
    if key is None or not body.fits(claim):
        return _misfit(message, claim, grade, header=key is not None, body=body.fits(claim))
    if weakness := _weakness(claim, key, at):
        return Outcome("policy", f"The signature of {claim.domain} fits these bytes, but {weakness}.")
    return _passed(message, claim, key, body.sizes[claim.body.relaxed])


def _passed(message: Message, claim: Claim, key: Key, size: int) -> Outcome:
    limit = size if claim.body.limit is None else claim.body.limit
    if limit > size:
        return Outcome("neutral", f"The signature covers {limit} octets of a body that has {size} (l=).")
    doubts = []
    if limit < size:
        doubts.append(f"it covers only {limit} of the body's {size} octets, the rest may be anybody's (l=)")
    if key.testing:
        doubts.append("its key is marked as a test (t=y), to be treated like no signature")
    if organisational_domain(claim.domain) is None:
        doubts.append("its domain is no organisation's")
    covered = [name.title() for name in _NOTABLE if name in claim.names and message.fields(name)]
    why = f"{claim.domain} signed these bytes: {', '.join(covered)} and the body (key {claim.key_name})"
    return Outcome("pass", "; but ".join([why, *doubts]) + ".", candidate=not doubts)


def _signed(message: Message, claim: Claim) -> bytes | None:
    """Return the octets that the signature is over (RFC 6376 §3.7); None when they are too many.

    Of fields with one name the lowest counts first (RFC 6376 §5.4.2). A From field more than was signed
    breaks the signature (RFC 6376 §8.15), as it does for dkimpy.
    """
    used: dict[str, int] = {}
    there = {name: message.fields(name) for name in {*claim.names, "from"}}
    chosen = []
    for name in (*claim.names, "from"):
        fields = there[name]
        used[name] = used.get(name, 0) + 1
        if used[name] <= len(fields):
            chosen.append(fields[-used[name]])
    if sum(len(header.raw) for header in chosen) > _LONGEST_HEADER:
        return None
    own = field_bytes(unsigned(claim.header), relaxed=claim.relaxed)
    return b"".join(field_bytes(header, relaxed=claim.relaxed) for header in chosen) + own.rstrip()


def _fits(key: Key, claim: Claim, signed: bytes) -> bool:
    try:
        if isinstance(key.public, Ed25519PublicKey):
            digest = hashes.Hash(hashes.SHA256())
            digest.update(signed)
            key.public.verify(claim.value, digest.finalize())  # RFC 8463 §3
        else:
            way = hashes.SHA256() if claim.algorithm == "sha256" else hashes.SHA1()  # noqa: S303 - known to be weak
            key.public.verify(claim.value, signed, PKCS1v15(), way)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _weakness(claim: Claim, key: Key, at: datetime | None) -> str | None:
    """Say why a signature that fits is not good enough, or None."""
    if claim.algorithm == "sha1":
        return "it is of the historic kind rsa-sha1 that proves nothing any more (RFC 8301 §3.1)"
    if isinstance(key.public, RSAPublicKey) and key.public.key_size < _WEAKEST:
        return f"its key of {key.public.key_size} bits is too weak to prove anything (RFC 8301 §3.2)"
    if at is not None:
        when = at.timestamp()
        if claim.expires is not None and claim.expires + _LEEWAY < when:
            return "it had expired when the message was received (x=)"
        if claim.made is not None and claim.made - _LEEWAY > when:
            return "it says to have been made after the message was received (t=)"
    return None


def _misfit(message: Message, claim: Claim, grade: str, *, header: bool, body: bool) -> Outcome:
    """Say what a signature that does not fit is worth. It is never called forged: any relay can break one."""
    what = "header and body are" if not (header or body) else "header is" if body else "body is"
    which = f"The {what} not what {claim.domain} signed"
    if grade != "A":
        why = f"{which}; as the message was changed on its way to us (grade {grade}), that says nothing."
        return Outcome("not checkable", why)
    if not body and cut_off(message):
        return Outcome("not checkable", f"{which}; the end of the message is missing, so that says nothing.")
    return Outcome("fail", f"{which}: changed since, or never signed by it.")
