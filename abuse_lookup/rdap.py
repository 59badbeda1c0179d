"""Takes a target; leaves what RDAP servers say about it (RFC 7480, RFC 9082, RFC 9083).

Redirects between registries are followed, bounded and without loops; https only, but for what the operator's
own bootstrap files name. Retry-After is honoured.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

from abuse_lookup import journal
from abuse_lookup.answer import Answer, Sighting, Span, Status
from abuse_lookup.bootstrap import Bootstrap
from abuse_lookup.fetch import Fetcher, FetchError, Page
from abuse_lookup.pace import NotNow, Pace
from abuse_lookup.rdap_answer import (
    linked_abuse_entities,
    notices,
    read_domain,
    read_entity,
    read_number,
    related_links,
)
from abuse_lookup.span import parse_span
from abuse_lookup.target import IPAddress, Target, parse_ip

_log = logging.getLogger(__name__)
MOST_HOPS = 6
_MEDIA_TYPE = "application/rdap+json, application/json;q=0.9"
_DEFAULT_PAUSE = 60.0  # seconds, for a 429 without Retry-After
_LONGEST_PAUSE = 86400.0
_MOST_LINKED = 2  # entities that an answer only links to
_REDIRECTS = {301, 302, 303, 307, 308}
_BUSY = {429, 503}


class _Ended(Exception):  # noqa: N818 - the walk ended with this answer
    def __init__(self, answer: Answer[Sighting]) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class Rdap:
    """An RDAP client."""

    def __init__(
        self, bootstrap: Bootstrap, fetcher: Fetcher, pace: Pace, clock: Callable[[], datetime]
    ) -> None:
        self._bootstrap, self._fetcher, self._pace, self._clock = bootstrap, fetcher, pace, clock

    async def look_up(self, target: Target, seconds: float) -> list[Answer[Sighting]]:
        """Ask the server that IANA names; returns the answer of each server asked, in that order.

        A domain's registrar is asked too, where the registry links to it and names no abuse contact. Takes at
        most `seconds`. Never raises on a server's behaviour.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        bases = await self._bootstrap.bases(target)
        if not bases.found:
            return [Answer(bases.status, Sighting(), bases.server, bases.reason)]
        answers: list[Answer[Sighting]] = []
        for base in bases.value:
            answer, links = await self._from(base + _path(target), target, deadline)
            answers.append(answer)
            if target.host is not None and not answer.value.findings:
                answers += [(await self._from(link, target, deadline))[0] for link in links[:1]]
            if not answer.failed:
                break
        return answers

    async def _from(self, url: str, target: Target, deadline: float) -> tuple[Answer[Sighting], list[str]]:
        """Ask one URL and follow its redirects; returns the answer and the links to related objects."""
        try:
            page = await self._page(url, deadline)
            document = _document(page)
            if target.host is not None:
                return _judged(read_domain(document), target, page.url), related_links(document)
            sighting = await self._with_linked(read_number(document), document, deadline)
            return _judged(sighting, target, page.url), []
        except _Ended as end:
            return end.answer, []

    async def _with_linked(
        self, sighting: Sighting, document: Mapping[str, Any], deadline: float
    ) -> Sighting:
        """Fetch the abuse contacts that the answer only links to; leave out what cannot be had."""
        for link in linked_abuse_entities(document)[:_MOST_LINKED]:
            try:
                entity = _document(await self._page(link, deadline))
            except _Ended as end:
                _log.info("abuse contact %s not read: %s", link, end)
            else:
                sighting = sighting.with_better(read_entity(entity, sighting.holder))
        return sighting

    async def _page(self, first: str, deadline: float) -> Page:
        seen: set[str] = set()
        url = httpx.URL(first)
        for _ in range(MOST_HOPS):
            if str(url) in seen:
                raise _Ended(_failed(url.host, f"{url.host} redirects in a loop", permanent=True))
            seen.add(str(url))
            page = await self._patient(url, deadline)
            if page.status not in _REDIRECTS:
                return page
            url = _redirected(page)
        raise _Ended(_failed(url.host, f"more than {MOST_HOPS} redirects", permanent=True))

    async def _patient(self, url: httpx.URL, deadline: float) -> Page:
        """Ask once more where the server says that it will answer before the deadline."""
        page = await self._once(url, deadline)
        if page.status in _BUSY:
            left = deadline - asyncio.get_running_loop().time()
            if self._seconds_to_pause(page) < left:
                page = await self._once(url, deadline)
        return page

    async def _once(self, url: httpx.URL, deadline: float) -> Page:
        with journal.asking("rdap", url.host, str(url)) as noted:
            page = await self._get(url, deadline)
            noted.said(page.body)
            noted.ended(*_said(page))
            return page

    async def _get(self, url: httpx.URL, deadline: float) -> Page:
        plain_allowed = url.scheme == "http" and self._bootstrap.may_be_plain(str(url))
        if url.scheme != "https" and not plain_allowed:
            reason = f"{url.host} would be asked over {url.scheme or 'nothing'}, not over TLS"
            raise _Ended(_failed(url.host, reason, permanent=True))
        left = deadline - asyncio.get_running_loop().time()
        try:
            async with self._pace.turn(url.host, left, *_question(url)) as turn:
                if turn.known is not None:
                    return Page(url, httpx.codes.OK, httpx.Headers(), turn.known.encode())
                page = await self._fetcher.get(url, _MEDIA_TYPE)
                if page.status in _BUSY:
                    reason = f"it answered {page.status} (too many questions)"
                    turn.pause(self._seconds_to_pause(page), reason)
                elif page.status == httpx.codes.OK and page.body:
                    turn.keep(page.body.decode("utf-8", "replace"), _span(page.body))
        except TimeoutError:
            raise _Ended(_failed(url.host, f"{url.host} did not answer in time")) from None
        except NotNow as error:
            raise _Ended(_failed(url.host, str(error))) from error
        except FetchError as error:
            raise _Ended(_failed(url.host, str(error), permanent=error.permanent)) from error
        return page

    def _seconds_to_pause(self, page: Page) -> float:
        """Seconds to ask this server nothing, because it said so (RFC 7480 §5.5)."""
        return _retry_after(page.headers.get("Retry-After", ""), self._clock())


def _question(url: httpx.URL) -> tuple[str, IPAddress | None]:
    """Split what is asked for from the address it is asked about (RFC 9082 §3.1.1)."""
    base, slash, key = str(url).rpartition("/ip/")
    ip = parse_ip(key) if slash else None
    return (base, ip) if ip else (str(url), None)


def _span(body: bytes) -> Span | None:
    try:
        document = json.loads(body)
        return parse_span(f"{document['startAddress']} - {document['endAddress']}")
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _path(target: Target) -> str:
    """Name the object (RFC 9082 §3.1)."""
    if target.asn is not None:
        return f"autnum/{target.asn}"
    if target.host is not None:
        return f"domain/{quote(target.organisation or target.host)}"
    return f"ip/{target.ip or target.network}"


def _redirected(page: Page) -> httpx.URL:
    try:
        return page.url.join(page.headers.get("Location", ""))
    except (httpx.InvalidURL, ValueError) as error:
        reason = f"{page.url.host} redirects to no usable URL: {error}"
        raise _Ended(_failed(page.url.host, reason, permanent=True)) from error


def _document(page: Page) -> Mapping[str, Any]:
    """Read the JSON of an answer, whatever its Content-Type says; raises `_Ended` with what else it is."""
    host, document = page.url.host, None
    if page.body is not None:
        try:
            document = json.loads(page.body)
        except (ValueError, RecursionError):
            document = None
    if page.status == httpx.codes.NOT_FOUND or _error_code(document) == httpx.codes.NOT_FOUND:
        raise _Ended(Answer(Status.ABSENT, Sighting(), host, f"{host} knows nothing of it"))
    if page.status != httpx.codes.OK:
        said = f" ({notices(document)[:200]})" if isinstance(document, dict) and notices(document) else ""
        permanent = 400 <= page.status < 500 and page.status not in {408, 425, 429}
        raise _Ended(_failed(host, f"{host} answered {page.status}{said}", permanent=permanent))
    if page.body is None:
        raise _Ended(_failed(host, f"{host} sent more than a registry answer can hold", permanent=True))
    if not isinstance(document, dict):
        kind = page.headers.get("Content-Type", "something").partition(";")[0]
        raise _Ended(_failed(host, f"{host} answered with {kind[:60]} that is no RDAP"))
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
    return int(code) if isinstance(code, int | str) and str(code).isdecimal() else 0


def _judged(sighting: Sighting, target: Target, url: httpx.URL) -> Answer[Sighting]:
    """Refuse an answer about some other network; tell one with a mailbox from one without."""
    answer = _checked(sighting, target, url.host)
    journal.read_in(str(url), answer.status, answer.reason, sighting.told())
    return answer


def _checked(sighting: Sighting, target: Target, host: str) -> Answer[Sighting]:
    ip = target.ip if target.ip is not None else target.network and target.network.network_address
    if ip and sighting.span is not None and ip not in sighting.span:
        return _failed(host, f"{host} answered about {sighting.span.first}, not about {ip}", permanent=True)
    if sighting.findings:
        return Answer(Status.FOUND, sighting, host)
    return Answer(Status.ABSENT, sighting, host, f"{host} names no mailbox for complaints")


def _retry_after(value: str, now: datetime) -> float:
    """Read seconds or an HTTP date (RFC 9110 §10.2.3)."""
    if value.strip().isdecimal():
        return min(float(value), _LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return _DEFAULT_PAUSE
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), _LONGEST_PAUSE)


def _failed(server: str, reason: str, *, permanent: bool = False) -> Answer[Sighting]:
    return Answer(Status.PERMANENT if permanent else Status.TEMPORARY, Sighting(), server, reason)
