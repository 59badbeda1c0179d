"""Secrets of this installation, and raw mail at rest: compressed, then encrypted under a reporter's key.

Takes the data directory, leaves a `Vault`. Erasing a reporter means dropping their key: what was sealed
under it, in backups too (`backup`), is then noise.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from isal import isal_zlib

from complaints import tokens

KEY_BYTES = 32
LEVEL = 1
"""Of compression: streams as small as those of zlib at its level 1, in a quarter of its time."""
NONCE_BYTES = 12  # NIST SP 800-38D §8.2: 96-bit nonces


class VaultError(Exception):
    """A secret is missing, weak, readable by others, or does not open what it should."""


@dataclass(frozen=True)
class Vault:
    """The master secret and what is derived from it."""

    master: bytes
    folder: Path

    @classmethod
    def open(cls, data: Path) -> "Vault":
        """The vault of a data directory; its secrets are made on first start (mode 0600)."""
        folder = data / "secrets"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = kept_secret(folder / "master.key", lambda: secrets.token_hex(KEY_BYTES).encode())
        try:
            master = bytes.fromhex(text.decode("ascii").strip())
        except ValueError as error:
            raise VaultError(f"{folder / 'master.key'} is not hex; restore it from your backup") from error
        if len(master) < KEY_BYTES or len(set(master)) < KEY_BYTES // 4:
            raise VaultError(f"{folder / 'master.key'} is too weak; delete it to have a new one made")
        return cls(master, folder)

    def derive(self, purpose: str, subject: str, count: int = tokens.CAPABILITY_LETTERS) -> str:
        """A capability only this installation can make; see tokens.derived_letters."""
        return tokens.derived_letters(self.master, purpose, subject, count)

    def new_key(self) -> bytes:
        """A fresh reporter's key, wrapped under the master secret, as the reporter row keeps it."""
        return _encrypt(AESGCM(self._wrapping), secrets.token_bytes(KEY_BYTES))

    def seal(self, wrapped_key: bytes | None, raw: bytes) -> bytes:
        """Compress (zlib, RFC 1950) and encrypt (AES-256-GCM) raw bytes under a reporter's key.

        None is for mail that belongs to no reporter yet: it is sealed under the installation's own key.
        """
        return self.sealer(wrapped_key)(raw)

    def sealer(self, wrapped_key: bytes | None) -> Callable[[bytes], bytes]:
        """`seal` under this key, which is opened once: for who gets much mail."""
        return partial(_seal, AESGCM(self._key(wrapped_key)))

    def unseal(self, wrapped_key: bytes | None, sealed: bytes) -> bytes:
        """The exact bytes `seal` was given. Raises VaultError when they do not open."""
        return isal_zlib.decompress(_decrypt(self._key(wrapped_key), sealed))

    def _key(self, wrapped_key: bytes | None) -> bytes:
        return self._wrapping if wrapped_key is None else _decrypt(self._wrapping, wrapped_key)

    @property
    def _wrapping(self) -> bytes:
        return self.master[:KEY_BYTES]


def kept_secret(file: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a secret file, made atomically with mode 0600 when absent.

    Raises VaultError when others may read it: a secret that leaked is no secret.
    """
    if not file.exists():
        draft = file.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as writer:
            writer.write(make())
            writer.flush()
            os.fsync(writer.fileno())
        try:
            os.link(draft, file)  # fails when another process was first: its secret is then ours
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if file.stat().st_mode & 0o077:
        raise VaultError(f"{file} can be read by others; run: chmod 600 {file}")
    return file.read_bytes()


def _seal(cipher: AESGCM, raw: bytes) -> bytes:
    return _encrypt(cipher, isal_zlib.compress(raw, LEVEL))


def _encrypt(cipher: AESGCM, clear: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    sealed = cipher.encrypt(nonce, clear, None)
    del clear  # of a large mail there are as few copies at a time as possible
    return nonce + sealed


def _decrypt(key: bytes, sealed: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], memoryview(sealed)[NONCE_BYTES:], None)
    except InvalidTag as error:
        raise VaultError("stored bytes do not open with this key: another master.key, or damage") from error
