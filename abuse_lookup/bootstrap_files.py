"""Takes the name of a bootstrap file (RFC 9224 §3); leaves its newest good copy, wherever that lies.

`FolderFiles` are the operator's own and read again when they change. `RemoteFiles` are IANA's, or of another
URL: what this package ships answers from the first moment, a newer copy is fetched meanwhile and kept on disk
for other processes and the next start (RFC 9224 §8). A broken file never replaces a good one.
"""

import asyncio
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx

from abuse_lookup import journal
from abuse_lookup.answer import Answer, Status
from abuse_lookup.bootstrap_table import Services
from abuse_lookup.fetch import Fetcher, FetchError
from abuse_lookup.pace import NotNow, Pace

_log = logging.getLogger(__name__)
IANA = "https://data.iana.org/rdap/"
_NOBODY = Services({"services": []})
_SOONEST, _LATEST = timedelta(days=1), timedelta(days=14)  # between two fetches, whatever HTTP says
_RETRIED = timedelta(hours=1)  # after a fetch that failed
_RETRIED_WITHOUT = timedelta(minutes=2)  # the same while there is no copy at all
_SETTLED = timedelta(minutes=10)  # a process that keeps nothing on disk fetches only when it lives that long
_FETCH_SECONDS = 5.0
_PATIENT_SECONDS = 30.0  # while the present copy answers
_MAX_AGE = re.compile(r"(?i)(?:^|[,\s])max-age\s*=\s*\"?(\d{1,10})")


class FolderFiles:
    """Files in a folder of the operator's; looked at for every question, read when they changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[tuple[int, int, int], Answer[Services]]] = {}

    async def services(self, name: str) -> Answer[Services]:
        """Return what the file says; the last good one while the present one is broken or gone."""
        path = self._folder / name
        before = self._read.get(name)
        try:
            now = path.stat()
            stamp = (now.st_mtime_ns, now.st_size, now.st_ino)
            if before is not None and before[0] == stamp:
                return before[1]
            raw = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            reason = f"bootstrap file not read: {error}"
            return before[1] if before else Answer(Status.TEMPORARY, _NOBODY, str(path), reason)
        with journal.asking("rdap", str(path), name) as noted:
            answer = _read(raw, str(path))
            noted.ended(answer.status, answer.reason)
        if before is not None and before[1].found and (answer.failed or not answer.value.size):
            _log.warning("%s is not used, the one before it is: %s", path, answer.reason or "it is empty")
            answer = before[1]
        self._read[name] = (stamp, answer)
        return answer

    async def aclose(self) -> None:
        """Nothing to end."""


@dataclass(frozen=True, slots=True)
class _Copy:
    services: Services
    document: Any
    due: datetime
    etag: str = ""
    modified: str = ""


class RemoteFiles:
    """Files of a URL, kept in `folder` (None: in memory). `shipped`: this package has a copy of its own."""

    def __init__(
        self,
        base: str,
        fetcher: Fetcher,
        pace: Pace,
        clock: Callable[[], datetime],
        *,
        folder: Path | None,
        shipped: bool,
    ) -> None:
        self._base = base if base.endswith("/") else f"{base}/"
        self._fetcher, self._pace, self._clock = fetcher, pace, clock
        self._folder, self._shipped = folder, shipped
        self._copies: dict[str, _Copy] = {}
        self._failed: dict[str, tuple[Answer[Services], datetime]] = {}
        self._first = asyncio.Lock()
        self._refreshing: dict[str, asyncio.Task[None]] = {}

    async def services(self, name: str) -> Answer[Services]:
        """Return what the newest copy says; waits for the network only when there is none."""
        copy = self._copies.get(name)
        if copy is None:
            async with self._first:
                copy = self._copies.get(name) or await asyncio.to_thread(self._open, name)
                if copy is None:
                    return await self._fetch_first(name)
                self._copies[name] = copy
        if copy.due <= self._clock() and name not in self._refreshing:
            # Nobody who asked waits for it, so it is no part of what was asked for them.
            task = asyncio.create_task(self._refresh(name), context=Context())
            self._refreshing[name] = task
            task.add_done_callback(lambda _: self._refreshing.pop(name, None))
        return Answer(Status.FOUND, copy.services, self._base + name)

    async def aclose(self) -> None:
        """End fetches that are under way."""
        tasks = list(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch_first(self, name: str) -> Answer[Services]:
        failed = self._failed.get(name)
        if failed is not None and failed[1] > self._clock():
            return failed[0]
        try:
            copy = await self._fetched(name, _Copy(_NOBODY, None, self._clock()), _FETCH_SECONDS)
        except ValueError as error:
            answer = Answer(Status.PERMANENT, _NOBODY, self._base + name, _no_file(error))
        except (FetchError, NotNow, TimeoutError) as error:
            reason = f"bootstrap file not read: {str(error) or 'no answer in time'}"
            answer = Answer(Status.TEMPORARY, _NOBODY, self._base + name, reason)
        else:
            self._copies[name] = copy
            await asyncio.to_thread(self._save, name, copy)
            return Answer(Status.FOUND, copy.services, self._base + name)
        self._failed[name] = (answer, self._clock() + _RETRIED_WITHOUT)
        return answer

    async def _refresh(self, name: str) -> None:
        """Fetch a newer copy, unless another process has done so; whatever fails leaves the present one."""
        present = self._copies[name]
        others = await asyncio.to_thread(self._load, name)
        if others is not None and others.due > self._clock():
            self._copies[name] = others
            return
        # Written down before asking, so that processes that share the folder do not all ask.
        present = replace(present, due=self._clock() + _RETRIED)
        self._copies[name] = present
        await asyncio.to_thread(self._save, name, present)
        try:
            fresh = await self._fetched(name, present, _PATIENT_SECONDS)
        except (ValueError, FetchError, NotNow, TimeoutError) as error:
            _log.warning("%s%s not refreshed: %s", self._base, name, str(error) or "no answer in time")
            return
        self._copies[name] = fresh
        await asyncio.to_thread(self._save, name, fresh)

    async def _fetched(self, name: str, present: _Copy, seconds: float) -> _Copy:
        """Ask for a newer copy; raises ValueError for a file that may not replace the present one."""
        url = httpx.URL(self._base + name)
        asked = {"If-None-Match": present.etag, "If-Modified-Since": present.modified}
        conditions = {header: value for header, value in asked.items() if value}
        with journal.asking("rdap", str(url), name):
            async with self._pace.turn(url.host, seconds):
                page = await self._fetcher.get(url, "application/json", conditions)
        due = _due(page.headers, self._clock())
        if page.status == httpx.codes.NOT_MODIFIED and conditions:
            return replace(present, due=due)
        if page.status != httpx.codes.OK or page.body is None:
            raise FetchError(f"{url.host} answered {page.status}")
        services = Services.read(page.body)
        if not services.size or services.size < present.services.size // 2:
            raise ValueError(f"it names {services.size} keys, the copy at hand {present.services.size}")
        etag, modified = (page.headers.get(header, "") for header in ("ETag", "Last-Modified"))
        return _Copy(services, json.loads(page.body), due, etag, modified)

    def _open(self, name: str) -> _Copy | None:
        """Take the newer of the copy on disk and the shipped one; equal ones from disk, for its ETag."""
        kept, own = self._load(name), self._of_package(name)
        if kept is None or own is None:
            return kept or own
        return own if own.services.published > kept.services.published else kept

    def _of_package(self, name: str) -> _Copy | None:
        if not self._shipped:
            return None
        raw = files("abuse_lookup").joinpath("data", "iana", name).read_text(encoding="utf-8")
        due = self._clock() + (timedelta() if self._folder else _SETTLED)
        return _Copy(Services.read(raw), json.loads(raw), due)

    def _load(self, name: str) -> _Copy | None:
        if self._folder is None:
            return None
        try:
            kept = json.loads((self._folder / name).read_bytes())
            if kept["url"] != self._base + name:
                return None
            services = Services.read(json.dumps(kept["document"]))
            due = datetime.fromisoformat(kept["due"]).astimezone(UTC)
            return _Copy(services, kept["document"], due, str(kept["etag"]), str(kept["modified"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _log.warning("%s is not readable, asking again: %s", self._folder / name, error)
            return None

    def _save(self, name: str, copy: _Copy) -> None:
        """Put the copy where other processes find it, whole or not at all."""
        if self._folder is None:
            return
        kept = {
            "url": self._base + name,
            "due": copy.due.isoformat(),
            "etag": copy.etag,
            "modified": copy.modified,
            "document": copy.document,
        }
        own = self._folder / f".{name}.{os.getpid()}.{id(self)}"
        try:
            self._folder.mkdir(exist_ok=True)
            own.write_text(json.dumps(kept), "utf-8")
            own.replace(self._folder / name)
        except OSError as error:
            _log.warning("%s is not written: %s", self._folder / name, error)


def _read(raw: bytes, where: str) -> Answer[Services]:
    try:
        return Answer(Status.FOUND, Services.read(raw), where)
    except ValueError as error:
        return Answer(Status.PERMANENT, _NOBODY, where, _no_file(error))


def _no_file(error: ValueError) -> str:
    return f"not a bootstrap file of RFC 9224: {error}"


def _due(headers: Mapping[str, str], now: datetime) -> datetime:
    """Read until when HTTP lets us keep the answer (RFC 9111 §4.2.1): at least a day, at most two weeks."""
    lifetime = timedelta()
    if match := _MAX_AGE.search(headers.get("Cache-Control", "")):
        lifetime = timedelta(seconds=int(match[1]))
    elif "Expires" in headers:
        try:
            moment = parsedate_to_datetime(headers["Expires"])
        except (ValueError, TypeError, OverflowError):
            moment = now
        lifetime = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return now + min(max(lifetime, _SOONEST), _LATEST)
