"""Takes a target; leaves what WHOIS servers say about it, from the root down the referrals (RFC 3912).

Bounded in servers asked, size and time; no server is asked the same thing twice; a cut answer is not believed
where it was cut.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from abuse_lookup import journal
from abuse_lookup.answer import Answer, Sighting, Status
from abuse_lookup.cache import Cache, covering_keys, span_keys
from abuse_lookup.journal import Asked
from abuse_lookup.pace import NotNow, Pace
from abuse_lookup.reach import Reach, Unreachable
from abuse_lookup.target import Target, sellers
from abuse_lookup.whois_answer import Referral, Report, read
from abuse_lookup.whois_dialect import RWHOIS_PORT, decoded, gone, port_of, present_name, query_for

MOST_SERVERS = 6
MOST_BYTES = 256 * 1024
_ROOT_KEPT = timedelta(days=1)  # which registry holds which block changes rarely
_SAMPLE = 4096
_READ_AT_ONCE = 65536
_RWHOIS_DONE = re.compile(rb"(?m)^%(?:ok|error [0-9]{3}[^\r\n]*)\r?\n")
_LONGEST_STATUS = 200  # bytes of the line by which an RWhois server ends


class Whois:
    """A WHOIS client that starts at `root`. `port` is used wherever a referral names none."""

    def __init__(
        self, reach: Reach, pace: Pace, cache: Cache, clock: Callable[[], datetime], *, root: str, port: int
    ) -> None:
        self._reach, self._pace, self._cache, self._clock = reach, pace, cache, clock
        self._root, self._port = root.lower().rstrip("."), port

    async def look_up(
        self,
        target: Target,
        seconds: float,
        *,
        first: str | None = None,
        asked: set[tuple[str, str]] | None = None,
    ) -> list[Answer[Sighting]]:
        """Ask from the root (or `first`) along the referrals; returns the servers' answers in that order.

        `asked` holds (server, question) of what is not to be asked again, and grows. Takes at most `seconds`.
        Never raises on a server's behaviour.
        """
        answers: list[Answer[Sighting]] = []
        asked = set() if asked is None else asked
        before, in_a_ring = set(asked), False
        most = len(asked) + MOST_SERVERS
        deadline = asyncio.get_running_loop().time() + seconds
        waiting = [await self._start(target, first)]
        step: Referral | None = None
        while waiting and len(asked) < most:
            step = waiting.pop(0)
            step = replace(step, host=present_name(step.host))
            query = step.query or query_for(step.host, target)
            if (step.host, query) in asked:
                in_a_ring = in_a_ring or (step.host, query) not in before
                continue
            asked.add((step.host, query))
            with journal.asking("whois", step.host, query) as noted:
                report, answer = await self._ask(step, query, target, deadline, noted)
                noted.ended(*_told(report, answer))
            if answer is not None:
                answers.append(answer)
            if report is not None:
                await self._remember(step, target, report)
                waiting = next_steps(step, report, target) or waiting
        if waiting and len(asked) >= most:
            reason = f"gave up after {MOST_SERVERS} servers, each naming the next"
            answers.append(Answer(Status.PERMANENT, Sighting(), waiting[0].host, reason))
        if not answers and step is not None:
            reason = f"the servers asked only name each other, {step.host} last"
            status = Status.PERMANENT if in_a_ring else Status.ABSENT
            answers.append(Answer(status, Sighting(), step.host, reason))
        return answers

    async def _start(self, target: Target, first: str | None) -> Referral:
        if first is not None:
            return Referral(first)
        if seller := sellers().get((target.organisation or "").partition(".")[2]):
            return Referral(seller)
        known = await self._cache.get(_root_keys(target), self._clock())
        return Referral(known or self._root)

    async def _remember(self, step: Referral, target: Target, report: Report) -> None:
        """Keep which registry the root named, for the whole block that it spoke about."""
        if step.host != self._root or not report.referrals or report.referrals[0].port:
            return
        keys = _root_keys(target)[:1]
        if target.ip is not None and report.sighting.span is not None:
            keys = [f"root:{key}" for key in span_keys(report.sighting.span, target.ip, whole=True)]
        await self._cache.put(keys, report.referrals[0].host, self._clock() + _ROOT_KEPT)

    async def _ask(
        self, step: Referral, query: str, target: Target, deadline: float, noted: Asked
    ) -> tuple[Report | None, Answer[Sighting] | None]:
        """Ask one server; an answer that only refers on is no answer of its own."""
        left = deadline - asyncio.get_running_loop().time()
        if unasked := _unasked(step.host, left):
            return None, unasked
        ip = target.ip if step.query is None else None
        question = f"whois {step.host} {'' if ip else query}"
        try:
            async with self._pace.turn(step.host, left, question, ip) as turn:
                noted.cached = turn.known is not None
                text = turn.known or await self._exchange(step, query)
                report = read(text, target)
                if report.refusal:
                    turn.pause(report.refusal_seconds, report.refusal)
                elif text.strip():
                    turn.keep(text, report.sighting.span, whole=step.host == self._root)
            noted.said(text)
        except TimeoutError:
            return None, _failed(step.host, f"{step.host} did not answer {query!r} in time")
        except (NotNow, Unreachable) as error:
            permanent = isinstance(error, Unreachable) and error.permanent
            return None, _failed(step.host, str(error), permanent=permanent)
        dialect_known = target.host is None and step.query is None
        return self._heard(step.host, text, report, must_tell=dialect_known)

    def _heard(
        self, host: str, text: str, report: Report, *, must_tell: bool
    ) -> tuple[Report | None, Answer[Sighting] | None]:
        """Judge what came. Registries of numbers tell of a range or a number; another text says nothing."""
        if why := _nothing_in(text):
            return None, _failed(host, f"{host} {why}")
        if report.refusal:
            return None, _failed(host, report.refusal)
        if host == self._root and not report.referrals and not report.sighting.findings:
            reason = f"{host} knows of no WHOIS server for it"
            return report, Answer(Status.ABSENT, report.sighting, host, reason)
        if must_tell and not report.told:
            return report, _failed(host, f"{host} answered with nothing that tells of it")
        if report.other and not report.referrals:
            reason = f"{host} answered about {report.other}, not about what was asked"
            return report, _failed(host, reason, permanent=True)
        return report, _answer(host, report)

    async def _exchange(self, step: Referral, query: str) -> str:
        """Send one line, read until the server closes; raises `Unreachable`."""
        port = step.port or port_of(step.host) or self._port
        port = port if port in {self._port, RWHOIS_PORT, 43} else self._port
        reader, writer = await self._reach.connect(step.host, port)
        try:
            writer.write(f"{query}\r\n".encode("ascii", "replace"))
            await writer.drain()
            return decoded(await _read_all(reader, rwhois=port == RWHOIS_PORT), step.host)
        except OSError as error:
            raise Unreachable(f"{step.host} broke off: {error.strerror or type(error).__name__}") from error
        finally:
            writer.close()
            with suppress(OSError):  # the answer is read, or the error of reading it is on its way up
                await writer.wait_closed()


def _unasked(host: str, left: float) -> Answer[Sighting] | None:
    if why := gone(host):
        return _failed(host, f"{host} is not asked: {why}", permanent=True)
    return _failed(host, f"{host} was not asked: no time was left") if left <= 0 else None


def _root_keys(target: Target) -> list[str]:
    ip = target.ip if target.ip is not None else target.network and target.network.network_address
    if ip:
        return [f"root:{key}" for key in covering_keys(ip)]
    return [f"root:{target.host.rpartition('.')[2] if target.host else target.key}"]


def next_steps(step: Referral, report: Report, target: Target) -> list[Referral]:
    """Choose whom to ask next: whom a field names; where nobody was found yet, also whom a text names."""
    spoken = any(finding.confidence != "low" for finding in report.sighting.findings)
    if spoken and target.host is not None:
        return []  # the registry already names the registrar's contact
    named = [r if r.host else replace(r, host=step.host, port=step.port) for r in report.referrals]
    named = [r for r in named if r.query or r.host != step.host]
    binding = [r for r in named if r.binding]
    return binding if binding or spoken else named


async def _read_all(reader: asyncio.StreamReader, *, rwhois: bool) -> bytes:
    """Read to the end, or to the bound; a last line that was cut is left out, lest a mailbox is misread.

    An RWhois server says when it is done, and may hold the connection then (RFC 1714 §3.3.3, §3.3.4).
    """
    received = bytearray()
    while len(received) < MOST_BYTES and (chunk := await reader.read(_READ_AT_ONCE)):
        received += chunk
        if rwhois and _RWHOIS_DONE.search(received, max(0, len(received) - len(chunk) - _LONGEST_STATUS)):
            break
    whole = bytes(received[:MOST_BYTES])
    head, newline, last = whole.rpartition(b"\n")
    if last.strip() and (len(received) >= MOST_BYTES or b"@" in last):
        whole = head + newline
    return whole


def _nothing_in(text: str) -> str | None:
    """Say why an answer is none: it is empty, or a tenth of it and more is what no text has."""
    seen = text[:_SAMPLE]
    if not text.strip():
        return "closed the connection without an answer"
    odd = sum(not (letter.isprintable() or letter.isspace()) for letter in seen)
    return "answered with bytes that are no text" if odd * 10 > len(seen) else None


def _told(report: Report | None, answer: Answer[Sighting] | None) -> tuple[Status, str, tuple[str, ...]]:
    """Say for a journal what came of a question."""
    referrals = report.referrals if report else ()
    referred = tuple(dict.fromkeys(f"refers to {referral.host}" for referral in referrals if referral.host))
    if answer is None:
        return Status.FOUND, "", referred
    return answer.status, answer.reason, (*answer.value.told(), *referred)


def _answer(server: str, report: Report) -> Answer[Sighting] | None:
    if report.sighting.findings:
        return Answer(Status.FOUND, report.sighting, server)
    if report.referrals:
        return None
    if report.absent:
        reason = f"{server} knows nothing of it"
    elif report.registrar:
        reason = f"{server} names the registrar ({report.registrar}), but no mailbox for complaints"
    else:
        reason = f"{server} names no mailbox for complaints"
    return Answer(Status.ABSENT, report.sighting, server, reason)


def _failed(server: str, reason: str, *, permanent: bool = False) -> Answer[Sighting]:
    return Answer(Status.PERMANENT if permanent else Status.TEMPORARY, Sighting(), server, reason)
