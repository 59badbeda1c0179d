"""Takes the URL of an RDAP object; leaves its JSON, or why there is none (RFC 7480).

Redirects between registries are followed, bounded and without loops; https only, but for what the operator's
own bootstrap files name. Retry-After is honoured, and so are the texts by which a server says that it was
asked too much (`data/rdap.toml`). No URL is asked twice for one question.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx

from abuse_lookup import journal
from abuse_lookup.answer import Answer, Sighting, Status
from abuse_lookup.bootstrap import Bootstrap
from abuse_lookup.fetch import Fetcher, FetchError, Page
from abuse_lookup.journal import Asked
from abuse_lookup.knowledge import Row, rows
from abuse_lookup.pace import NotNow, Pace, Turn
from abuse_lookup.rdap_answer import is_rdap, notices, span_of
from abuse_lookup.target import IPAddress, parse_ip
from abuse_lookup.whois_dialect import refused

MOST_HOPS = 6
MOST_PAGES = 12
"""Pages asked for one question, redirects and all."""
_MEDIA_TYPE = "application/rdap+json, application/json;q=0.9"
_DEFAULT_PAUSE = 60.0  # seconds, for a 429 without Retry-After
_LONGEST_PAUSE = 86400.0
_LONGEST_NOTICE = 20_000
_LONGEST_REASON = 400
_LONGEST_ERROR = 4096  # octets of an error's page that are looked at
_TAG = re.compile(r"<[^>]{0,500}>")
_REDIRECTS = {301, 302, 303, 307, 308}
_BUSY = {429, 503}
_WAITED_OUT = {408, 425, 429}  # client errors that time cures


class Ended(Exception):  # noqa: N818 - the question ended with this answer
    """There is no object; `answer` is absent or failed, and says why."""

    def __init__(self, answer: Answer[Sighting]) -> None:
        """Keep the answer."""
        super().__init__(answer.reason)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Reply:
    """An RDAP object, from whom at the end of the redirects, and whether it says that we ask too much."""

    url: httpx.URL
    document: Mapping[str, Any]
    limit: str = ""

    @property
    def host(self) -> str:
        """The server that answered."""
        return self.url.host


@dataclass(slots=True)
class Walk:
    """What one look-up may still do: until when (in the loop's time), and which URLs were asked."""

    deadline: float
    asked: set[str] = field(default_factory=set)

    def within(self, share: float) -> "Walk":
        """Give a part of the remaining time to one step; what is asked is remembered for all."""
        now = asyncio.get_running_loop().time()
        return Walk(now + max(0.0, self.deadline - now) * share, self.asked)


class Asker:
    """Asks RDAP servers, each when it is our turn."""

    def __init__(
        self, bootstrap: Bootstrap, fetcher: Fetcher, pace: Pace, clock: Callable[[], datetime]
    ) -> None:
        self._bootstrap, self._fetcher, self._pace, self._clock = bootstrap, fetcher, pace, clock

    async def get(self, first: str, walk: Walk) -> Reply:
        """Fetch an object; raises `Ended` for everything else."""
        url, before = _url(first), set(walk.asked)
        for _ in range(MOST_HOPS):
            if str(url) in walk.asked:
                what = "was asked this already" if str(url) in before else "redirects in a loop"
                raise Ended(failed(url.host, f"{url.host} {what}", permanent=True))
            if len(walk.asked) >= MOST_PAGES:
                raise Ended(failed(url.host, f"gave up after {MOST_PAGES} pages", permanent=True))
            walk.asked.add(str(url))
            read = await self._patient(url, walk.deadline)
            if read.page.status not in _REDIRECTS:
                return read.reply()
            url = _redirected(read.page)
        raise Ended(failed(url.host, f"more than {MOST_HOPS} redirects", permanent=True))

    async def _patient(self, url: httpx.URL, deadline: float) -> "_Read":
        """Ask once more where the server says that it will answer before the deadline."""
        read = await self._once(url, deadline)
        busy = read.page.status in _BUSY
        if busy and self._pause(read.page) < deadline - asyncio.get_running_loop().time():
            read = await self._once(url, deadline)
        return read

    async def _once(self, url: httpx.URL, deadline: float) -> "_Read":
        with journal.asking("rdap", url.host, str(url)) as noted:
            read = await self._get(url, deadline, noted)
            noted.said(read.page.body)
            noted.ended(*_said(read.page))
            return read

    async def _get(self, url: httpx.URL, deadline: float, noted: Asked) -> "_Read":
        plain_allowed = url.scheme == "http" and self._bootstrap.may_be_plain(str(url))
        if url.scheme != "https" and not plain_allowed:
            reason = f"{url.host} would be asked over {url.scheme or 'nothing'}, not over TLS"
            raise Ended(failed(url.host, reason, permanent=True))
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise Ended(failed(url.host, f"no time was left to ask {url.host}"))
        try:
            async with self._pace.turn(url.host, left, *_question(url)) as turn:
                if turn.known is not None:
                    noted.cached = True
                    return _Read.of(Page(url, httpx.codes.OK, httpx.Headers(), turn.known.encode()))
                read = _Read.of(await self._fetcher.get(url, _MEDIA_TYPE))
                self._heed(read, turn)
        except TimeoutError:
            raise Ended(failed(url.host, f"{url.host} did not answer in time")) from None
        except NotNow as error:
            raise Ended(failed(url.host, str(error))) from error
        except FetchError as error:
            raise Ended(failed(url.host, str(error), permanent=error.permanent)) from error
        return read

    def _heed(self, read: "_Read", turn: Turn) -> None:
        """Slow down where the server says so; hand a good answer to whoever waits for it."""
        document, status = read.document, read.status
        if status in _BUSY:
            turn.pause(self._pause(read.page), f"it answered {status} (too many questions)")
        elif read.limit:
            turn.pause(read.limit.seconds, f"it said {read.limit.said!r}")
        elif status == httpx.codes.OK and isinstance(document, dict) and is_rdap(document):
            turn.keep((read.page.body or b"").decode("utf-8", "replace"), span_of(document))

    def _pause(self, page: Page) -> float:
        """Seconds to ask this server nothing, because it says so (RFC 7480 §5.5)."""
        return retry_after(page.headers.get("Retry-After", ""), self._clock())


def failed(server: str, reason: str, *, permanent: bool = False) -> Answer[Sighting]:
    """Make the answer of a server that gave none; what it said may be in the reason, fit to be shown."""
    shown = "".join(letter if letter.isprintable() else " " for letter in reason[:_LONGEST_REASON])
    return Answer(Status.PERMANENT if permanent else Status.TEMPORARY, Sighting(), server, shown)


def retry_after(value: str, now: datetime) -> float:
    """Read seconds or an HTTP date (RFC 9110 §10.2.3)."""
    if value.strip().isdecimal():
        return min(float(value), _LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):  # the last for a zone of more digits than a number has
        return _DEFAULT_PAUSE
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), _LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class _Limit:
    said: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Read:
    """A page, and what its body holds."""

    page: Page
    document: Any
    limit: _Limit | None

    @classmethod
    def of(cls, page: Page) -> "_Read":
        document = _decoded(page.body or b"")
        return cls(page, document, _limit(document) or _refused(page, document))

    @property
    def status(self) -> int:
        return _status(self.page, self.document)

    def reply(self) -> Reply:
        found = _object(self.page, self.document, self.status, limited=self.limit is not None)
        return Reply(self.page.url, found, self.limit.said if self.limit else "")


def reply_of(page: Page) -> Reply:
    """Read the object on a page; raises `Ended` with what else is there."""
    return _Read.of(page).reply()


def _status(page: Page, document: Any) -> int:
    """Return the status, also of an error that is sent as if it were none."""
    return _error_code(document) or page.status if page.status == httpx.codes.OK else page.status


def _limit(document: Any) -> _Limit | None:
    """Find the words by which an answer says that we ask too much."""
    said = " ".join(notices(document))[:_LONGEST_NOTICE] if isinstance(document, dict) else ""
    for row in rows("rdap", "limit"):
        if match := _pattern(row).search(said):
            return _Limit(match[0], _worth(row, match))
    return None


def _refused(page: Page, document: Any) -> _Limit | None:
    """Find a refusal as WHOIS servers word it: on an error's page, or in a notice beside shortened data."""
    status, known = _status(page, document), isinstance(document, dict)
    if status == httpx.codes.NOT_FOUND or status in _REDIRECTS:
        return None
    if known:
        lines = notices(document)
    else:
        lines = _TAG.sub("\n", (page.body or b"")[:_LONGEST_ERROR].decode("utf-8", "replace")).splitlines()
    if status == httpx.codes.OK and not known:
        return None
    found = refused(lines, beside_data=status == httpx.codes.OK)
    return _Limit(found.said, found.seconds) if found else None


def _question(url: httpx.URL) -> tuple[str, IPAddress | None]:
    """Split what is asked for from the address it is asked about (RFC 9082 §3.1.1)."""
    base, slash, key = str(url).rpartition("/ip/")
    ip = parse_ip(key) if slash else None
    return (base, ip) if ip else (str(url), None)


def _url(text: str) -> httpx.URL:
    try:
        return _bare(httpx.URL(text))
    except (httpx.InvalidURL, ValueError) as error:
        raise Ended(failed(text[:100], f"{text[:100]!r} is no usable URL", permanent=True)) from error


def _redirected(page: Page) -> httpx.URL:
    try:
        return _bare(page.url.join(page.headers.get("Location", "")))
    except (httpx.InvalidURL, ValueError) as error:
        reason = f"{page.url.host} redirects to no usable URL: {error}"
        raise Ended(failed(page.url.host, reason, permanent=True)) from error


def _bare(url: httpx.URL) -> httpx.URL:
    """Leave out what no server needs; raises ValueError for a host that cannot be read (`xn--`)."""
    bare = url.copy_with(userinfo=b"", fragment=None) if url.userinfo or url.fragment else url
    _ = bare.host  # decoded when it is read, so here
    return bare


def _decoded(body: bytes) -> Any:
    """Read JSON as servers send it: with a byte order mark, in Latin-1, in a list of one; None for others."""
    bare = body.removeprefix(b"\xef\xbb\xbf")
    try:
        try:
            found = json.loads(bare, object_pairs_hook=_joined)
        except UnicodeDecodeError:
            found = json.loads(bare.decode("latin-1"), object_pairs_hook=_joined)
    except (ValueError, RecursionError):
        return None
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def _joined(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; lists of the same name are joined, lest the second hides the contacts of the first."""
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    made.clear()
    for name, value in pairs:
        before = made.get(name)
        made[name] = [*before, *value] if isinstance(before, list) and isinstance(value, list) else value
    return made


def _object(page: Page, document: Any, status: int, *, limited: bool) -> Mapping[str, Any]:
    """Return the document if it is an object; raises `Ended` with what else it is."""
    host = page.url.host
    if status == httpx.codes.NOT_FOUND:
        raise Ended(Answer(Status.ABSENT, Sighting(), host, f"{host} knows nothing of it"))
    if status != httpx.codes.OK:
        words = " ".join(notices(document))[:200] if isinstance(document, dict) else ""
        said = f" ({words})" if words else ""
        permanent = (400 <= status < 500 and status not in _WAITED_OUT) or status in {501, 505}
        permanent = permanent and not limited
        raise Ended(failed(host, f"{host} answered {status}{said}", permanent=permanent))
    if page.body is None:
        raise Ended(failed(host, f"{host} sent more than a registry answer can hold", permanent=True))
    if not isinstance(document, dict) or not is_rdap(document):
        kind = page.headers.get("Content-Type", "something").partition(";")[0]
        raise Ended(failed(host, f"{host} answered with {kind[:60]} that is no RDAP"))
    return document


def _said(page: Page) -> tuple[Status, str]:
    """Tell by the HTTP status alone what became of a question, before its answer is read."""
    where = page.headers.get("Location", "")
    reason = f"HTTP {page.status}" + (f" to {where}" if where else "")
    if page.status == httpx.codes.OK:
        return Status.FOUND, ""
    if page.status in _REDIRECTS:
        return Status.FOUND, reason
    if page.status == httpx.codes.NOT_FOUND:
        return Status.ABSENT, reason
    return Status.TEMPORARY if page.status in _BUSY or page.status >= 500 else Status.PERMANENT, reason


def _error_code(document: Any) -> int:
    code = document.get("errorCode") if isinstance(document, dict) else None
    return int(code) if isinstance(code, int | str) and re.fullmatch("[0-9]{3}", str(code)) else 0


def _worth(row: Row, match: re.Match[str]) -> float:
    """Seconds that the server wants between two questions, or the row's own."""
    said = match.groupdict()
    if int(said.get("count") or 0) and int(said.get("minutes") or 0):
        return min(60.0 * int(said["minutes"]) / int(said["count"]), _LONGEST_PAUSE)
    return float(row["seconds"])


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _pattern(row: Row) -> re.Pattern[str]:
    return _compiled(str(row["pattern"]))
