"""A folder of an IMAP server: takes its URL, leaves its mails one after the other, unread and where they are.

Reading marks nothing as seen (BODY.PEEK). What became a complaint can be moved or flagged once it is kept.
The connection is encrypted and the server's name verified, always: `imaps://` from the first byte,
`imap://` by STARTTLS before the password. A connection that breaks is made again; a folder whose UIDVALIDITY
changed meanwhile is another one (RFC 9051 §2.3.1.1), and the batch ends.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, unquote, urlsplit

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from complaints import outcomes
from complaints.mailboxes import NOTHING, Kept, Mail, SourceError
from complaints.terminal import NOT_ALLOWED, UNAVAILABLE, UNUSABLE, USAGE

T = TypeVar("T")
DAY = timedelta(days=1)
TIMEOUT = SocketTimeout(connect=15, read=120)
TRIES, FIRST_PAUSE = 4, 1.0
"""A connection is made so often until the batch ends; the pauses double."""
MOST_BYTES, MOST_MAILS = 4 * 1024 * 1024, 50
"""Fetched with one question; one mail alone may be larger."""
SIZES = 1_000  # mails whose sizes are asked for with one question


@dataclass(frozen=True)
class Place:
    """Where a folder is, as its URL says (RFC 5092)."""

    host: str
    port: int
    tls: bool
    user: str
    folder: str

    @classmethod
    def parse(cls, url: str) -> "Place":
        """Read `imaps://USER@HOST[:PORT]/FOLDER`. Raises SourceError; a password has no place in it."""
        try:
            parts = urlsplit(url)
            port = parts.port or (993 if parts.scheme == "imaps" else 143)
        except ValueError as error:
            raise SourceError(f"{url}: {error}", USAGE) from error
        if parts.password is not None:
            raise SourceError("a password in a URL is read by everybody here: give --password-file", USAGE)
        user, folder = unquote(parts.username or ""), unquote(parts.path.strip("/"))
        if parts.scheme not in {"imap", "imaps"} or not parts.hostname or not user or not folder:
            raise SourceError(f"{url}: give imaps://USER@HOST/FOLDER, e.g. imaps://me@mx.example/Junk", USAGE)
        return cls(parts.hostname, port, parts.scheme == "imaps", user, folder)

    @property
    def url(self) -> str:
        """How it is named to a person: without the user."""
        return f"imap{'s' if self.tls else ''}://{self.host}:{self.port}/{quote(self.folder)}"


@dataclass(frozen=True)
class Wish:
    """What is done with the mails that are kept: moved to a folder, given a keyword, or "" for neither."""

    move_to: str = ""
    flag: str = ""


class Folder:
    """One folder, open while it is read; use as a context. Every method raises SourceError."""

    def __init__(self, place: Place, password: str, wish: Wish, ca_file: Path | None = None) -> None:
        self._place, self._password, self._wish = place, password, wish
        self._tls = ssl.create_default_context()
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        self._server: IMAPClient | None = None
        self._validity: int | None = None

    def __enter__(self) -> Self:
        self._do(lambda server: server.noop())
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def mails(self, most: int, kept: Kept, since: datetime | None) -> Iterator[Mail]:
        """Its mails but those kept as done, the oldest first, and none from days before `since`."""
        # A server looks at the day where it is itself (RFC 9051 §6.4.4); the hour is looked at later.
        wanted: Any = "ALL" if since is None else ["SINCE", (since.astimezone(UTC) - DAY).date()]
        found = self._do(lambda server: sorted(server.search(wanted)))
        uids = [uid for uid in found if kept.get(self._key(uid)) is None]
        done = 0
        for first in range(0, len(uids), SIZES):
            some = uids[first : first + SIZES]
            for group in _groups(self._sizes(some)):
                for mail in self._fetched(group, most):
                    done += 1
                    yield Mail(
                        f"{self._place.url}/;UID={mail[0]}",
                        None if mail[1] else 0,
                        mail[1],
                        mail[2],
                        key=self._key(mail[0]),
                        share=done / len(uids),
                    )

    def settle(self, mails: Sequence[Mail]) -> None:
        """Do what was wished with mails that are kept."""
        uids = [int(mail.key.rpartition("/")[2]) for mail in mails]
        if not uids:
            return
        if self._wish.flag:
            self._do(lambda server: server.add_flags(uids, [self._wish.flag], silent=True))
        if self._wish.move_to:
            self._do(lambda server: _move(server, uids, self._wish.move_to))

    def _sizes(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        told: dict[int, Any] = self._do(lambda server: server.fetch(uids, ["RFC822.SIZE"]))
        return [(uid, int(told[uid][b"RFC822.SIZE"])) for uid in uids if uid in told]

    def _fetched(
        self, group: Sequence[tuple[int, int]], most: int
    ) -> Iterator[tuple[int, bytes | None, outcomes.Outcome | None]]:
        wanted = [uid for uid, size in group if size <= most]
        found: dict[int, Any] = {}
        if wanted:
            found = self._do(lambda server: server.fetch(wanted, ["BODY.PEEK[]"]))
        for uid, size in group:
            raw = found.get(uid, {}).get(b"BODY[]")
            if size > most:
                yield uid, None, outcomes.of_size(size, most)
            elif raw is None:
                continue  # deleted meanwhile
            else:
                yield uid, raw if raw.strip() else None, None if raw.strip() else NOTHING

    def _key(self, uid: int) -> str:
        return f"{self._validity}/{uid}"

    def _do(self, what: Callable[[IMAPClient], T]) -> T:
        """One question, asked again on a new connection when the old one broke."""
        for tries in range(TRIES):
            if tries:
                time.sleep(FIRST_PAUSE * 2 ** (tries - 1))
            try:
                return what(self._connected())
            except (OSError, IMAPClientAbortError) as error:
                self._drop()
                if isinstance(error, ssl.SSLCertVerificationError):
                    why = f"its certificate is not to be trusted: {error.verify_message}"
                    raise SourceError(f"{self._place.url}: {why}", UNAVAILABLE) from error
                broken: Exception = error
            except LoginError as error:
                raise SourceError(f"{self._place.url}: {_words(error)}", NOT_ALLOWED) from error
            except IMAPClientError as error:
                raise SourceError(f"{self._place.url}: {_words(error)}", UNUSABLE) from error
        raise SourceError(f"{self._place.url}: {_words(broken)}", UNAVAILABLE) from broken

    def _connected(self) -> IMAPClient:
        if self._server is None:
            place = self._place
            server = IMAPClient(
                place.host,
                place.port,
                ssl=place.tls,
                ssl_context=self._tls if place.tls else None,
                timeout=TIMEOUT,
            )
            try:
                if not place.tls:
                    server.starttls(self._tls)
                server.login(place.user, self._password)
                self._select(server)
            except BaseException:
                with suppress(OSError, IMAPClientError):
                    server.shutdown()
                raise
            self._server = server
        return self._server

    def _select(self, server: IMAPClient) -> None:
        acts = bool(self._wish.move_to or self._wish.flag)
        told = server.select_folder(self._place.folder, readonly=not acts)
        validity = int(told.get(b"UIDVALIDITY", 0))
        if self._validity not in {None, validity}:
            raise SourceError(f"{self._place.url}: it was made anew meanwhile; start again", UNUSABLE)
        self._validity = validity
        if self._wish.move_to and not (server.has_capability("MOVE") or server.has_capability("UIDPLUS")):
            raise SourceError(f"{self._place.url}: the server cannot move mails; use --flag", UNUSABLE)
        if self._wish.move_to and not server.folder_exists(self._wish.move_to):
            what = f"there is no folder {self._wish.move_to} to move mails to"
            raise SourceError(f"{self._place.url}: {what}; make it first", UNUSABLE)

    def _drop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            for end in (server.logout, server.shutdown):  # the first leaves a broken connection open
                with suppress(OSError, IMAPClientError):
                    end()


def _move(server: IMAPClient, uids: list[int], folder: str) -> None:
    """Move (RFC 6851), or copy and then remove exactly these (RFC 4315 §2.1)."""
    if server.has_capability("MOVE"):
        server.move(uids, folder)
        return
    server.copy(uids, folder)
    server.delete_messages(uids, silent=True)
    server.uid_expunge(uids)


def _groups(sized: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    group: list[tuple[int, int]] = []
    for uid, size in sized:
        if group and (len(group) == MOST_MAILS or sum(one for _, one in group) + size > MOST_BYTES):
            yield group
            group = []
        group.append((uid, size))
    if group:
        yield group


def _words(error: Exception) -> str:
    """What an error says, in one printable line: a server may answer anything."""
    text = str(error)
    if text.startswith(("b'", 'b"')):  # imapclient makes a string of the octets of a refused login
        text = text[2:-1]
    return "".join(letter if letter.isprintable() else " " for letter in text)[:300]
