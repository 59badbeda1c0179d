"""Takes a target or an entity's handle; leaves the RDAP servers that IANA names for it (RFC 9224)."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from abuse_lookup.answer import Answer, Status
from abuse_lookup.bootstrap_files import IANA, FolderFiles, RemoteFiles
from abuse_lookup.bootstrap_table import Services, Urls
from abuse_lookup.fetch import Fetcher
from abuse_lookup.pace import Pace
from abuse_lookup.target import Target, organisational_domain


class Bootstrap:
    """The bootstrap files of a folder or a URL; None means IANA's own.

    `folder` is where fetched copies are kept; None: nowhere. Close it with `aclose`.
    """

    def __init__(
        self,
        place: Path | str | None,
        fetcher: Fetcher,
        pace: Pace,
        clock: Callable[[], datetime],
        *,
        folder: Path | None = None,
    ) -> None:
        self._own = place is not None
        self.where = where = str(place or IANA)
        self._files: FolderFiles | RemoteFiles
        if where.startswith(("https://", "http://")):
            self._files = RemoteFiles(where, fetcher, pace, clock, folder=folder, shipped=place is None)
        else:
            self._files = FolderFiles(Path(where))
        self._plain: frozenset[str] = frozenset()

    async def bases(self, target: Target) -> Answer[Urls]:
        """Find the base URLs for a target, https first; ABSENT when IANA names none."""
        name = _file_for(target)
        answer = await self._services(name)
        if not answer.found:
            return Answer(answer.status, (), answer.server, answer.reason)
        urls = self._usable(answer.value.find(target))
        if not urls:
            return Answer(Status.ABSENT, (), answer.server, f"{name} names no RDAP server for {target.key}")
        return Answer(Status.FOUND, urls)

    async def bases_of_entity(self, handle: str) -> Urls:
        """Find the base URLs of the registry whose object tag ends the handle (RFC 8521 §2); () for none."""
        answer = await self._services("object-tags.json")
        return self._usable(answer.value.tagged(handle))

    async def base_of_registry(self, host: str, target: Target) -> str | None:
        """Find the RDAP base of the registry that some other host is of (`whois.ripe.net`)."""
        answer = await self._services(_file_for(target))
        domain = organisational_domain(host)
        return answer.value.of_organisation(domain) if domain else None

    def may_be_plain(self, url: str) -> bool:
        """Whether this http URL is under a base that the operator's own files name."""
        return any(url.startswith(base) for base in self._plain)

    async def aclose(self) -> None:
        """End fetches that are under way."""
        await self._files.aclose()

    async def _services(self, name: str) -> Answer[Services]:
        answer = await self._files.services(name)
        if self._own:
            self._plain |= answer.value.plain
        return answer

    def _usable(self, urls: Urls) -> Urls:
        """Put https first; plain http only where nothing else is named, or by the operator's own files."""
        secure = tuple(url for url in urls if url.startswith("https://"))
        return (*secure, *(url for url in urls if url not in secure)) if self._own or not secure else secure


def _file_for(target: Target) -> str:
    if target.asn is not None:
        return "asn.json"
    if target.host is not None:
        return "dns.json"
    number = target.ip or target.network
    return "ipv4.json" if number is not None and number.version == 4 else "ipv6.json"
