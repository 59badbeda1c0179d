"""DKIM: what we sign, another implementation's rules accept; what was changed, they refuse."""

import dkim
import pytest

from complaints.signing import SIGNED, SigningError, dns_record, make_key, sign

RAW = (
    b"From: Plaint <plaint@plaint.example>\r\nTo: abuse@host.example\r\nSubject: =?utf-8?q?W=C3=BCn?=\r\n"
    b"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@plaint.example>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nList-Unsubscribe: <https://plaint.example/stop/a>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nHello \xff world\r\n.dot\r\n\r\n"
)
PEM = make_key()


def verified(raw: bytes) -> bool:
    def lookup(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.plaint.example."
        return dns_record(PEM).encode()

    return bool(dkim.verify(raw, dnsfunc=lookup))


def signature() -> bytes:
    return sign(RAW, selector="s1", domain="plaint.example", pem=PEM)


def test_the_signature_verifies_with_the_published_record() -> None:
    assert verified(signature() + RAW)


def test_the_signature_is_one_folded_field() -> None:
    field = signature()
    assert field.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=plaint.example;")
    assert field.endswith(b"\r\n")
    assert all(line[:1] in b" \t" for line in field.split(b"\r\n")[1:-1])
    assert max(map(len, field.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("name", SIGNED)
def test_every_named_field_is_covered_even_where_it_is_absent(name: str) -> None:
    assert not verified(signature() + f"{name}: added\r\n".encode() + RAW)


@pytest.mark.parametrize(
    "change",
    [
        (b"Hello", b"Hallo"),
        (b"abuse@host", b"other@host"),
        (b"stop/a>", b"stop/b>"),
        (b"One-Click", b"Two-Click"),
    ],
    ids=repr,
)
def test_a_changed_message_does_not_verify(change: tuple[bytes, bytes]) -> None:
    assert not verified(signature() + RAW.replace(*change))


def test_relaxed_signing_survives_what_relays_do_to_white_space() -> None:
    refolded = RAW.replace(b"To: abuse", b"To:   abuse").replace(b"world\r\n", b"world  \r\n")
    assert verified(signature() + refolded)


def test_keys_have_2048_bits_and_differ() -> None:
    assert make_key() != PEM
    assert PEM.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    assert len(dns_record(PEM)) > 390


def test_what_cannot_be_signed_says_why() -> None:
    with pytest.raises(SigningError, match=r"plaint\.example with selector s1"):
        sign(RAW, selector="s1", domain="plaint.example", pem=b"no key")
