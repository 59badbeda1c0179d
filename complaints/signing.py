"""DKIM (RFC 6376): takes finished message bytes and a private key, leaves the signature header to put on top.

The key is RSA with 2048 bits (RFC 8301 §3.2); signatures are rsa-sha256, relaxed/relaxed.
"""

import base64

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

SIGNED = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
    "Auto-Submitted",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
)
"""Fields named in h=, each once more than it stands there: nobody can then add one (RFC 6376 §8.15)."""


class SigningError(Exception):
    """The message cannot be signed; the message says why."""


def make_key() -> bytes:
    """Make a new RSA key of 2048 bits: PKCS#1 PEM, unencrypted, for a file of mode 0600."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def dns_record(pem: bytes) -> str:
    """Return the text of the TXT record at `<selector>._domainkey.<domain>` (RFC 6376 §3.6.1).

    It is longer than 255 octets: a zone file needs it in two quoted strings.
    Raises ValueError when `pem` is no private key.
    """
    public = load_pem_private_key(pem, password=None).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def sign(raw: bytes, *, selector: str, domain: str, pem: bytes) -> bytes:
    """Return the DKIM-Signature field for `raw`, folded, CRLF line ends, to be put in front of it.

    `raw` must be what goes over the wire: CRLF line ends, before dot-stuffing. Its bytes stay as they are.
    Raises SigningError when there is no From or the key does not load.
    """
    try:
        return bytes(
            dkim.sign(
                raw,
                selector.encode("ascii"),
                domain.encode("ascii"),
                pem,
                canonicalize=(b"relaxed", b"relaxed"),
                include_headers=[name.encode("ascii") for name in SIGNED for _ in range(2)],
            )
        )
    except (dkim.DKIMException, UnicodeEncodeError) as error:
        raise SigningError(
            f"cannot sign for {domain} with selector {selector}: {error}; check mail domain and key"
        ) from error
