"""How far a batch has come, so that the next one goes on there: a small file, safe at any instant.

Takes what names a source and where it is handed in, leaves marks under keys. Both are kept as digests only:
neither paths nor names of mailboxes can be read from the file. It may be lost or deleted at any time: what
is handed in again is recognised as a duplicate.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Self

_SCHEMA = """
CREATE TABLE IF NOT EXISTS done (
    source BLOB NOT NULL, key BLOB NOT NULL, mark TEXT NOT NULL, PRIMARY KEY (source, key)
) WITHOUT ROWID
"""
_BUSY_SECONDS = 30.0


class Checkpoint:
    """What is done of one source; use as a context."""

    def __init__(self, file: Path, source: str) -> None:
        """Raise OSError when the file cannot be made, sqlite3.Error when it is none of ours."""
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._source = _digest(source)
        self._db = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)
        file.chmod(0o600)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _SCHEMA):
            self._db.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def get(self, key: str) -> str | None:
        """The mark under a key; None where there is none."""
        query = "SELECT mark FROM done WHERE source = ? AND key = ?"
        row = self._db.execute(query, (self._source, _digest(key))).fetchone()
        return None if row is None else str(row[0])

    def keep(self, marks: Iterable[tuple[str, str]]) -> None:
        """Remember a mark under each key, all or none, on disk when it returns."""
        rows = [(self._source, _digest(key), mark) for key, mark in marks]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR REPLACE INTO done VALUES (?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def forget(self) -> None:
        """Begin anew."""
        self._db.execute("DELETE FROM done WHERE source = ?", (self._source,))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:16]
