"""The keys of what backups hold, beside the master key and in no backup: takes a reporter, leaves their key.

The file holds one key per reporter, each wrapped under the master key. It is written anew with each backup,
and without a key at the moment its reporter is erased: from then on no backup, however old, tells of them.
"""

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from complaints.vault import Vault

NAME = "backup.keys"


def place(vault: Vault) -> Path:
    """Where the keys lie."""
    return vault.folder / NAME


def read(file: Path) -> dict[str, bytes]:
    """Reporter id → wrapped key; empty when there is no such file. Raises ValueError for another content."""
    try:
        text = file.read_text("ascii")
    except FileNotFoundError:
        return {}
    return {reporter: base64.b64decode(key) for reporter, key in json.loads(text).items()}


def write(vault: Vault, keys: dict[str, bytes]) -> None:
    """Replace all keys, at once and durably."""
    with _alone(vault):
        _replace(place(vault), keys)


def drop(vault: Vault, reporter_id: str) -> None:
    """Forget one key, durably; nothing happens where no backup was ever made."""
    with _alone(vault):
        keys = read(place(vault))
        if keys.pop(reporter_id, None) is not None:
            _replace(place(vault), keys)


@contextmanager
def _alone(vault: Vault) -> Iterator[None]:
    """No other process changes the keys meanwhile: an erasure and a backup may meet."""
    folder = os.open(vault.folder, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(file: Path, keys: dict[str, bytes]) -> None:
    draft = file.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as writer:
        json.dump({reporter: base64.b64encode(key).decode() for reporter, key in keys.items()}, writer)
        writer.flush()
        os.fsync(writer.fileno())
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
