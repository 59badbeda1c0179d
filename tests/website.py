"""The web on a real socket: its office with a clock one can turn, Alice and Bob, and complaints made by the real steps.

Only the asking of registries is left out: what they would answer is given as the lookup's own values.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn

from abuse_lookup.answer import Contact, Failure, Lookup, Rejected
from complaints import contacts, draft, evidence, reporters, submission
from complaints.contacts import Question
from complaints.demo import free_port
from complaints.models import Complaint, Json, Submission
from complaints.office import Office
from complaints.reporters import Secrets
from complaints.settings import load
from complaints.spam import Trust, read
from complaints.web.app import create_app
from tests.house import ALICE, BOB, CLOUD, NO_TLS

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
NETWORK_DESK = "abuse@cloud.example"
LINK_DESK = "abuse@pills-hosting.example"


def spam(
    *, subject: str = "Cheap pills", helo: str = "seller.example", body: str = "", to: str = ALICE
) -> bytes:
    """A spam that mx.victim.example took from the cloud, with a forged line below."""
    when, before = format_datetime(NOON - timedelta(hours=3)), format_datetime(NOON - timedelta(hours=4))
    return (
        f"Return-Path: <bulk@pills.example>\r\n"
        f"Delivered-To: {to}\r\n"
        f"Received: from {helo} (unknown [{CLOUD}])\r\n"
        f"\tby mx.victim.example (Postfix) with ESMTP id 4F2A81C0\r\n"
        f"\tfor <{to}>; {when}\r\n"
        f"Received: from bank.example (bank.example [192.0.2.77])\r\n"
        f"\tby relay.seller.example with SMTP; {before}\r\n"
        f"From: Shop <shop@pills.example>\r\n"
        f"To: {to}\r\n"
        f"Subject: {subject}\r\n"
        f"Date: {when}\r\n"
        f"Message-ID: <20261102.1@pills.example>\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n"
        f"\r\n"
        f"Hello {to},\r\nbuy now: http://pills.example/buy?u=1\r\n{body}"
    ).encode("utf-8", "surrogateescape")


def contact(address: str, **more: Any) -> Contact:
    """A desk as a registry names it."""
    facts: Json = {
        "scope": "network",
        "source": "rdap",
        "server": "rdap.ripe.example",
        "confidence": "high",
        "why": "rdap.ripe.example names it as the abuse contact of 198.51.100.0/26.",
        "as_of": NOON - timedelta(minutes=2),
    }
    return Contact(address=address, **(facts | more))


def source_answer(*desks: Contact) -> Lookup:
    """What the registries say of the source."""
    return Lookup(
        CLOUD,
        "ip",
        "198.51.100.0/26",
        desks or (contact(NETWORK_DESK),),
        (Rejected("hostmaster@victim.example", "It is named for technical matters only."),),
        (Failure("whois", "whois.ripe.example", "It did not answer within 20 seconds.", permanent=False),),
    )


LINK_ANSWER = Lookup(
    "pills.example",
    "domain",
    None,
    (
        contact(
            LINK_DESK,
            scope="host",
            confidence="medium",
            source="whois",
            server="whois.ripe.example",
            why="It answers for the host of pills.example.",
        ),
        Contact(
            "registrar",
            "known",
            "",
            "low",
            "This registrar takes complaints on its page only.",
            NOON,
            form="https://registrar.example/abuse",
        ),
    ),
)


Answers = Sequence[Lookup | tuple[Question, Lookup]]
"""Answers for link hosts, or for other questions, which then stand beside them."""


@dataclass
class Clock:
    """A clock that stands until it is turned."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **more: float) -> None:
        self.now += timedelta(**more)


@dataclass
class Website:
    """A running web, and what is behind it."""

    office: Office
    clock: Clock
    alice: Secrets
    bob: Secrets
    http: httpx.Client
    up: bool = True
    stop_reading: Callable[[], None] = lambda: None
    complaints: list[str] = field(default_factory=list)

    def api(self, method: str, path: str, *, who: Secrets | None = None, **more: Any) -> httpx.Response:
        """One request to the API, as Alice unless somebody else is named."""
        headers = {"Authorization": f"Bearer {(who or self.alice).token}"} | more.pop("headers", {})
        return self.http.request(method, f"/api/v1{path}", headers=headers, **more)

    def hand_in(self, raw: bytes, batch: str = "") -> str:
        """A complaint of Alice's, just received."""
        with self.office.db.transaction() as session:
            row = submission.accept(
                session, self.office, self.alice.reporter, raw, via="test", forwarded=False, batch=batch
            )
            [item] = submission.unwrap(
                session, self.office, row, submission.contents_of(self.office, self.alice.reporter, row)
            ).outcome
        complaint_id: str = item["complaint"]
        return complaint_id

    def waiting(
        self,
        raw: bytes | None = None,
        *,
        source: Lookup | None = None,
        links: Answers = (LINK_ANSWER,),
        batch: str = "",
    ) -> str:
        """A complaint that awaits Alice's consent."""
        complaint_id = self.hand_in(spam() if raw is None else raw, batch)
        self.analyse(complaint_id, source=source, links=links)
        return complaint_id

    def analyse(
        self, complaint_id: str, *, source: Lookup | None = None, links: Answers = (LINK_ANSWER,)
    ) -> None:
        """The steps from a received complaint to its drafts."""
        with self.office.db.reading() as session:
            row = session.get_one(Complaint, complaint_id)
            raw = self.office.spam_of(session, row)
            told = session.get_one(Submission, row.submission_id).outcome
        trust = Trust.of(["mx.victim.example"])
        found = read(raw, trust, row.way_in_grade, certain=row.certain_hops)
        with self.office.db.transaction() as session:
            evidence.record(session, self.office, row, found, [], told)
        with self.office.db.reading() as session:
            row = session.get_one(Complaint, complaint_id)
        if row.source_ip:
            answers = [(Question(CLOUD, "source"), source or source_answer())]
            answers += [
                (Question(one.target, "link"), one) if isinstance(one, Lookup) else one for one in links
            ]
            with self.office.db.transaction() as session:
                contacts.record(session, self.office, row, answers, 0)
            draft.step(self.office, complaint_id)

    def look(self, complaint_id: str) -> None:
        """Somebody is about to look at a complaint: its reports are written."""
        draft.written(self.office, complaint_id)

    def show(self, complaint_id: str) -> Json:
        """The document of one of Alice's complaints."""
        document: Json = self.api("GET", f"/complaints/{complaint_id}").json()
        return document

    def review(self, complaint_id: str) -> str:
        """The path of the review page."""
        return urlsplit(self.office.review_url(complaint_id)).path

    def dump(self) -> str:
        """Every row of the database, as text."""
        connection = self.office.db.engine.raw_connection()
        try:
            return "\n".join(connection.driver_connection.iterdump())  # type: ignore[union-attr]
        finally:
            connection.close()


async def nobody(target: str, explain: bool) -> Json:
    """A lookup that finds nobody."""
    return Lookup(target, "domain").document()


@contextmanager
def running_website(folder: Path, **settings: Any) -> Iterator[Website]:
    """The web on a free port of 127.0.0.1, until the block ends."""
    clock = Clock()
    port = free_port()
    given = {"data": folder / "data", "http": f"127.0.0.1:{port}", "mail_domain": "plaint.example"}
    office = Office.open(load(**(given | settings)), clock)
    with office.db.transaction() as session:
        alice = reporters.add(session, office, ALICE, names=["Alice Liddell"], verified=True)
        bob = reporters.add(session, office, BOB, verified=True)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, verify=NO_TLS) as http:
        website = Website(office, clock, alice, bob, http)

        async def ready() -> bool:
            return website.up

        app = create_app(office, ready=ready, look_up=nobody)
        server = _Server(uvicorn.Config(app, port=port, log_config=None, access_log=False))
        website.stop_reading = lambda: server.soon(app.state.intake.close())
        thread = threading.Thread(target=server.run, name="website")
        thread.start()
        try:
            while not server.up.wait(1) and thread.is_alive():
                pass
            yield website
            assert not http.cookies, "whatever a visitor did here, no answer set a cookie"
        finally:
            server.end()
            thread.join()
            office.close()


class _Server(uvicorn.Server):
    """Starts and stops at once: the real one looks ten times a second whether it is to stop, and then waits."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def main_loop(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        await self.on_tick(0)  # sets the Date of all answers
        self.up.set()
        await self._over.wait()

    def soon(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result()  # it has begun

    def end(self) -> None:
        if self.up.is_set():
            self._loop.call_soon_threadsafe(self._over.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)
        await self._wait_tasks_to_complete()
        await self.lifespan.shutdown()


@dataclass
class Form:
    """A form of a page: what a browser would send for it, before anybody touched it."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    unticked: list[tuple[str, str]] = field(default_factory=list)

    def data(self, do: str = "", **more: str | list[str]) -> dict[str, list[str]]:
        """What is sent when the button `do` is pressed; `more` replaces fields."""
        assert not do or ("do", do) in self.buttons, f"there is no button {do}: {self.buttons}"
        sent: dict[str, list[str]] = {}
        for name, value in [*self.fields, *([("do", do)] if do else [])]:
            sent.setdefault(name, []).append(value)
        return sent | {name: [value] if isinstance(value, str) else value for name, value in more.items()}


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self._area: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form())
        elif tag == "textarea":
            self._area, self._text = at.get("name"), ""  # without a name it is only shown
        elif tag == "button" and "name" in at:
            self.forms[-1].buttons.append((at["name"], at.get("value", "")))
        elif tag == "input" and "name" in at:
            off = at.get("type") in {"checkbox", "radio"} and "checked" not in at
            (self.forms[-1].unticked if off else self.forms[-1].fields).append(
                (at["name"], at.get("value", ""))
            )

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            self.forms[-1].fields.append((self._area, self._text.removeprefix("\n")))
            self._area = None


def forms(page: httpx.Response) -> list[Form]:
    """The forms of a page."""
    parser = _Forms()
    parser.feed(page.text)
    return parser.forms
