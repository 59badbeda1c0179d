"""The outgoing SMTP client, against real aiosmtpd mail hosts, scripted rude ones, and Postfix, on loopback."""

import asyncio
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd import smtp as aiosmtpd_smtp

from abuse_lookup.answer import Answer, MailAnswer, Status
from complaints.smtp_out import Direct, Outcome, Relay, send
from tests import postfix

RAW = b"From: report@plaint.example\r\nSubject: spam\r\n\r\n.one dot\r\n..two\r\n.\r\nend\r\n"
TO = "abuse@desk.example"


# A table of names in place of the DNS


@dataclass
class Names:
    """Answers as abuse_lookup's resolver does, from a table."""

    mail: dict[str, MailAnswer] = field(default_factory=dict)
    hosts: dict[str, Answer[tuple[str, ...]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def mx(self, domain: str) -> MailAnswer:
        self.asked.append(f"MX {domain}")
        return self.mail.get(domain, MailAnswer(Status.ABSENT, (), reason=f"{domain} does not exist"))

    async def addresses(self, name: str) -> Answer[tuple[str, ...]]:
        self.asked.append(f"A {name}")
        bare = name.strip("[]")
        if bare.replace(".", "").isdigit():
            return Answer(Status.FOUND, (bare,))
        return self.hosts.get(name, Answer(Status.ABSENT, (), reason=f"{name} has no address"))


def names(*mail_hosts: tuple[int, str, str], domain: str = "desk.example") -> Names:
    """`names((10, "mx1.desk.example", "127.0.0.2"), ...)`: desk.example and its mail hosts."""
    return Names(
        {domain: MailAnswer(Status.FOUND, tuple((preference, host) for preference, host, _ in mail_hosts))},
        {host: Answer(Status.FOUND, (ip,)) for _, host, ip in mail_hosts},
    )


ONE_HOST = (10, "mx.desk.example", "127.0.0.1")


# Mail hosts


@dataclass
class MailHost:
    """An aiosmtpd handler: keeps what it gets, and says what it was told to say."""

    at_rcpt: str = "250 OK"
    at_dot: Callable[[], Awaitable[str]] | None = None
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    ssl: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if self.at_rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.at_rcpt

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.ssl.append(session.ssl is not None)
        answer = await self.at_dot() if self.at_dot else "250-2.0.0 Taken\r\n250 as number 5"
        if answer.startswith("250"):
            self.options += envelope.mail_options
            self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content))
        return answer


@asynccontextmanager
async def listening(
    handler: object,
    ip: str = "127.0.0.1",
    port: int = 0,
    *,
    utf8: bool = True,
    tls: ssl.SSLContext | None = None,
    most: int = 1 << 25,
) -> AsyncIterator[int]:
    """Run a stock aiosmtpd mail host; gives its port."""
    loop = asyncio.get_running_loop()
    sessions: list[aiosmtpd_smtp.SMTP] = []

    def protocol() -> aiosmtpd_smtp.SMTP:
        sessions.append(
            aiosmtpd_smtp.SMTP(
                handler, hostname="mx", loop=loop, enable_SMTPUTF8=utf8, tls_context=tls, data_size_limit=most
            )
        )
        return sessions[-1]

    server = await loop.create_server(protocol, ip, port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for session in sessions:
            if session.transport is not None:
                session.transport.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def rude(script: Script, ip: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Run a host that does just what a script says; gives its port."""

    talks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, ip, port, limit=1 << 24)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0.01)


def dialogue(*replies: str | None, heard: list[bytes] | None = None) -> Script:
    """Say the replies one after another, each but the first after a line or, when DATA was said, a whole mail.

    None hangs up at that point; after the last one comes the answer to QUIT.
    """

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = b"\r\n"
        for number, reply in enumerate(replies):
            if number:
                line = await reader.readuntil(end)
                if heard is not None:
                    heard.append(line)
            if reply is None:
                return
            end = b"\r\n.\r\n" if reply.startswith("354") else b"\r\n"
            writer.write(reply.encode() + b"\r\n")
        line = await reader.readuntil(b"\r\n")
        if heard is not None:
            heard.append(line)
        writer.write(b"221 bye\r\n")
        await reader.read()

    return script


HELLO = ("220 mx", "250-mx\r\n250 8BITMIME")
UP_TO_DATA = (*HELLO, "250 OK", "250 OK", "354 go on")


async def nothing() -> None:
    """A before_dot that has nothing to write down."""


async def attempt(
    port: int,
    *,
    raw: bytes = RAW,
    to: str = TO,
    mail_from: str = "b.1@plaint.example",
    resolver: Names | None = None,
    before_dot: Callable[[], Awaitable[None]] = nothing,
    route: Relay | Direct | None = None,
    timeout: float = 20,
    seed: int = 1,
) -> Outcome:
    return await send(
        raw,
        mail_from=mail_from,
        to=to,
        route=route or Direct(port, allow_private=True),
        hostname="plaint.example",
        resolver=resolver or names(ONE_HOST),
        rng=random.Random(seed),
        before_dot=before_dot,
        timeout=timeout,
    )


# Promise 2: what was consented to is what is sent


def test_a_mail_arrives_byte_for_byte_and_the_answer_is_kept_word_for_word() -> None:
    async def scene() -> None:
        host = MailHost()
        async with listening(host) as port:
            outcome = await attempt(port)
        assert outcome == Outcome("sent", 250, "250 2.0.0 Taken as number 5", "mx.desk.example", tls=False)
        assert host.mails == [("b.1@plaint.example", [TO], RAW)]
        assert host.options == [f"SIZE={len(RAW)}"]

    asyncio.run(scene())


def test_five_megabytes_of_every_octet_but_bare_line_ends_arrive() -> None:
    line = bytes(range(256)).replace(b"\r", b"").replace(b"\n", b"") * 3 + b"\r\n."
    raw = b"Subject: x\r\n\r\n" + line * 6500 + b"\r\n"

    async def scene() -> None:
        host = MailHost()
        async with listening(host) as port:
            assert (await attempt(port, raw=raw, mail_from="")).state == "sent"
        assert host.mails == [("<>", [TO], raw)]  # aiosmtpd's way to say the null sender
        assert host.options == [f"SIZE={len(raw)}", "BODY=8BITMIME"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    "raw", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\r\nb", b"", b"a\r\n\n.\n\r\n", b"a\r\r\n"]
)
def test_bytes_that_a_mail_host_might_read_otherwise_are_not_sent(raw: bytes) -> None:
    async def scene() -> None:
        resolver = names(ONE_HOST)
        with pytest.raises(ValueError, match="CR LF"):
            await attempt(1, raw=raw, resolver=resolver)
        assert resolver.asked == []

    asyncio.run(scene())


# Promise 4: at most one


def test_before_dot_runs_when_all_but_the_dot_is_with_the_host_and_the_dot_waits_for_it() -> None:
    received = bytearray()
    at_the_hook: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await dialogue_upto_data(reader, writer)
        while not received.endswith(b"\r\n.\r\n") or not at_the_hook:
            received.extend(await reader.read(65536))
        writer.write(b"250 OK\r\n")
        await reader.readuntil(b"\r\n")

    async def before_dot() -> None:
        await asyncio.sleep(0.2)
        at_the_hook.append(bytes(received))

    async def scene() -> Outcome:
        async with rude(script) as port:
            return await attempt(port, raw=b"x\r\n" + RAW, before_dot=before_dot)

    outcome = asyncio.run(scene())
    stuffed = (b"x\r\n" + RAW).replace(b"\r\n.", b"\r\n..")
    assert outcome.state == "sent"
    assert at_the_hook == [stuffed]
    assert bytes(received) == stuffed + b".\r\n"


def test_what_before_dot_raises_comes_through_and_nothing_is_sent() -> None:
    async def overtaken() -> None:
        raise OSError(28, "No space left on device")

    async def scene() -> None:
        host = MailHost()
        async with listening(host) as port:
            with pytest.raises(OSError, match="No space left"):
                await attempt(port, before_dot=overtaken)
            await asyncio.sleep(0.1)
        assert host.mails == []

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("replies", "state", "code", "text"),
    [
        ((*UP_TO_DATA, None), "unknown", None, "no answer to the final dot: "),
        ((*UP_TO_DATA, "banana"), "unknown", None, "no answer to the final dot: "),
        ((*UP_TO_DATA, "354 more"), "unknown", 354, "354 more"),
        ((*UP_TO_DATA, "451 later"), "deferred", 451, "451 later"),
        ((*UP_TO_DATA, "421 4.3.0 going down"), "deferred", 421, "421 4.3.0 going down"),
        ((*UP_TO_DATA, "554-5.7.1 no\r\n554 spam"), "refused", 554, "554 5.7.1 no spam"),
        ((*UP_TO_DATA, "250 yes", None), "sent", 250, "250 yes"),
    ],
    ids=["hangs up", "babbles", "wants more", "not now", "goes down", "never", "takes it and hangs up"],
)
def test_after_the_dot_no_answer_is_unknown(
    replies: tuple[str, ...], state: str, code: int | None, text: str
) -> None:
    async def scene() -> None:
        async with rude(dialogue(*replies)) as port:
            outcome = await attempt(port)
        assert (outcome.state, outcome.code) == (state, code)
        assert outcome.text.startswith(text)

    asyncio.run(scene())


def test_a_host_too_slow_to_answer_the_dot_gets_twice_the_time_and_is_then_unknown() -> None:
    async def slow() -> str:
        await asyncio.sleep(0.6)
        return "250 at last"

    async def scene() -> None:
        async with listening(MailHost(at_dot=slow)) as port:
            assert (await attempt(port, timeout=0.4)).text == "250 at last"
            outcome = await attempt(port, timeout=0.2)
            assert outcome == Outcome(
                "unknown", None, "no answer to the final dot: timed out", "mx.desk.example"
            )

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("replies", "state", "code"),
    [
        ((*HELLO, "451 later"), "deferred", 451),
        ((*HELLO, "250 OK", "450 4.2.1 greylisted"), "deferred", 450),
        ((*HELLO, "250 OK", "550 5.1.1 no such desk"), "refused", 550),
        ((*HELLO, "250 OK", "250 OK", "554 no"), "refused", 554),
        ((*HELLO, "250 OK", "250 OK", "250 what?"), "deferred", 250),
        ((*HELLO, "250 OK", None), "deferred", None),
        ((*HELLO, "250 OK", "250 OK", None), "deferred", None),
        ((*HELLO, "nonsense"), "deferred", -1),
        (("250 not a greeting",), "deferred", 250),
        (("220 mx", "220 not an answer"), "deferred", 220),
        (("220 mx", None), "deferred", None),
        ((None,), "deferred", None),
        (("554 go away",), "refused", 554),
    ],
)
def test_before_the_dot_nothing_counts_as_sent(
    replies: tuple[str, ...], state: str, code: int | None
) -> None:
    async def never() -> None:
        raise AssertionError("before_dot was called")

    async def scene() -> None:
        async with rude(dialogue(*replies)) as port:
            outcome = await attempt(port, before_dot=never)
        assert (outcome.state, outcome.host) == (state, "mx.desk.example")
        assert outcome.code == code or (code == -1 and outcome.text)
        assert outcome.text

    asyncio.run(scene())


def test_a_host_that_says_no_in_the_middle_of_the_mail_is_heard() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await dialogue_upto_data(reader, writer)
        await reader.readuntil(b"half")
        writer.write(b"552 5.3.4 too much\r\n")
        await asyncio.sleep(0.3)

    async def never() -> None:
        raise AssertionError("before_dot was called")

    async def scene() -> None:
        async with rude(script) as port:
            raw = b"half\r\n" + b"x" * 20_000_000 + b"\r\n"
            outcome = await attempt(port, raw=raw, before_dot=never)
        assert (outcome.state, outcome.text) == ("refused", "552 5.3.4 too much")

    asyncio.run(scene())


async def dialogue_upto_data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for number, reply in enumerate(UP_TO_DATA):
        if number:
            await reader.readuntil(b"\r\n")
        writer.write(reply.encode() + b"\r\n")


def test_a_host_that_leaves_while_the_attempt_is_written_down_did_not_get_the_mail() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await dialogue_upto_data(reader, writer)
        await reader.readuntil(b"end\r\n")

    async def slowly() -> None:
        await asyncio.sleep(0.2)

    async def scene() -> None:
        async with rude(script) as port:
            assert (await attempt(port, before_dot=slowly)).state == "deferred"

    asyncio.run(scene())


def test_a_host_that_says_no_while_the_attempt_is_written_down_never_sees_the_dot() -> None:
    after = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await dialogue_upto_data(reader, writer)
        await reader.readuntil(b"end\r\n")
        writer.write(b"554 5.7.1 no more of this\r\n")
        while said := await reader.read(100):
            after.extend(said)

    async def slowly() -> None:
        await asyncio.sleep(0.2)

    async def scene() -> None:
        async with rude(script) as port:
            outcome = await attempt(port, before_dot=slowly)
            await asyncio.sleep(0.1)
        assert (outcome.state, outcome.text) == ("refused", "554 5.7.1 no more of this")
        assert after == b""

    asyncio.run(scene())


def test_a_host_that_takes_no_more_data_is_given_up() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        await dialogue_upto_data(reader, writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(5)

    async def scene() -> None:
        async with rude(script) as port:
            async with asyncio.timeout(4):
                outcome = await attempt(port, raw=b"x" * 8_000_000 + b"\r\n", timeout=0.3)
        assert (outcome.state, outcome.text) == ("deferred", "the mail host took nothing for 0.3 seconds")

    asyncio.run(scene())


@pytest.mark.parametrize("replies", [(), HELLO, UP_TO_DATA[:-1]])
def test_a_silent_host_is_given_up(replies: tuple[str, ...]) -> None:
    async def scene() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for reply in replies:
                writer.write(reply.encode() + b"\r\n")
                await reader.readuntil(b"\r\n")
            await reader.read()

        async with rude(script) as port:
            outcome = await attempt(port, timeout=0.2)
        assert (outcome.state, outcome.code) == ("deferred", None)
        assert "imed out" in outcome.text

    asyncio.run(scene())


# What a host offers


def test_an_answer_can_do_no_harm_on_a_terminal_or_a_page() -> None:
    async def scene() -> None:
        async with rude(
            dialogue(*HELLO, "250 OK", "550 \x1b[2J\x07 gone\u202e \u2028 away " + "x" * 2000)
        ) as port:
            outcome = await attempt(port)
        assert outcome.text.startswith("550 \ufffd[2J\ufffd gone\ufffd away xxx")
        assert len(outcome.text) == 1000

    asyncio.run(scene())


def test_a_host_that_knows_only_helo_gets_the_mail() -> None:
    heard: list[bytes] = []

    async def scene() -> None:
        script = dialogue(
            "220 old",
            "502 what?",
            "250 hello",
            "250 OK",
            "250 OK",
            "354 go",
            "250 OK",
            "221 bye",
            heard=heard,
        )
        async with rude(script) as port:
            assert (await attempt(port)).state == "sent"

    asyncio.run(scene())
    assert heard[:3] == [
        b"EHLO plaint.example\r\n",
        b"HELO plaint.example\r\n",
        b"MAIL FROM:<b.1@plaint.example>\r\n",
    ]
    assert heard[-1] == b"QUIT\r\n"


def test_8bit_is_declared_where_it_is_offered_and_refused_where_not() -> None:
    raw = b"Subject: x\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"

    async def scene() -> None:
        host = MailHost()
        async with listening(host) as port:
            assert (await attempt(port, raw=raw)).state == "sent"
        assert "BODY=8BITMIME" in host.options
        assert "SMTPUTF8" not in host.options
        async with rude(dialogue("220 mx", "250 mx")) as port:
            outcome = await attempt(port, raw=raw)
        assert (outcome.state, outcome.code) == ("refused", None)
        assert "8BITMIME" in outcome.text

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("to", "raw"), [("grüße@desk.example", RAW), (TO, b"Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx\r\n")]
)
def test_smtputf8_is_used_when_needed_and_the_mail_refused_where_it_is_not_known(to: str, raw: bytes) -> None:
    async def scene() -> None:
        host = MailHost()
        async with listening(host, utf8=True) as port:
            assert (await attempt(port, to=to, raw=raw)).state == "sent"
        assert host.mails == [("b.1@plaint.example", [to], raw)]
        assert "SMTPUTF8" in host.options
        async with listening(MailHost(), utf8=False) as port:
            outcome = await attempt(port, to=to, raw=raw)
        assert outcome.state == "refused"
        assert "SMTPUTF8" in outcome.text

    asyncio.run(scene())


def test_a_domain_beyond_ascii_is_asked_for_and_said_in_a_labels() -> None:
    async def scene() -> None:
        host = MailHost()
        resolver = names(ONE_HOST, domain="xn--mnchen-3ya.example")
        async with listening(host, utf8=False) as port:
            assert (await attempt(port, to="abuse@München.example", resolver=resolver)).state == "sent"
        assert host.mails[0][1] == ["abuse@xn--mnchen-3ya.example"]

    asyncio.run(scene())


def test_a_mail_over_the_size_a_host_takes_is_not_even_begun() -> None:
    async def scene() -> None:
        async with listening(MailHost(), most=50) as port:
            outcome = await attempt(port)
        assert (outcome.state, outcome.code) == ("refused", None)
        assert f"50 octets at most, this mail has {len(RAW)}" in outcome.text

    asyncio.run(scene())


# TLS


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("quite.another.example").configure_cert(context)
    return context


def test_tls_is_used_where_it_is_offered_whoever_signed_the_certificate() -> None:
    async def scene() -> None:
        host = MailHost()
        raw = b"x: y\r\n\r\n" + (b"x" * 898 + b"\r\n") * 4000
        async with listening(host, tls=server_context()) as port:
            outcome = await attempt(port, raw=raw)
        assert (outcome.state, outcome.tls, host.ssl) == ("sent", True, [True])
        assert host.mails[0][2] == raw

    asyncio.run(scene())


@pytest.mark.parametrize("answer", ["220 go on", "454 4.7.0 no TLS right now"])
def test_where_tls_fails_the_mail_goes_in_clear_text(answer: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies = {b"EHLO": "250-mx\r\n250 STARTTLS", b"DATA": "354 go", b"STAR": answer}
        writer.write(b"220 mx\r\n")
        while line := await reader.readline():
            writer.write(replies.get(line[:4], "250 OK").encode() + b"\r\n")
            if line == b"DATA\r\n":
                mails.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 taken\r\n")
            if line == b"STARTTLS\r\n" and answer.startswith("220"):
                await reader.read(100)
                writer.write(b"this is not TLS\r\n")
                return

    mails: list[bytes] = []

    async def scene() -> None:
        async with rude(script) as port:
            outcome = await attempt(port, raw=b"x\r\n")
        assert (outcome.state, outcome.text, outcome.tls) == ("sent", "250 taken", False)
        assert mails == [b"x\r\n.\r\n"]

    asyncio.run(scene())


# Where to


def test_mail_hosts_are_tried_by_preference_until_one_lets_us_in() -> None:
    async def scene() -> None:
        best, last = MailHost(), MailHost()
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(rude(dialogue("421 4.3.2 full up"), "127.0.0.3"))
            await stack.enter_async_context(listening(best, "127.0.0.4", port))
            await stack.enter_async_context(listening(last, "127.0.0.5", port))
            resolver = names(
                (30, "last.desk.example", "127.0.0.5"),
                (5, "down.desk.example", "127.0.0.2"),
                (10, "full.desk.example", "127.0.0.3"),
                (20, "best.desk.example", "127.0.0.4"),
            )
            outcome = await attempt(port, resolver=resolver)
        assert (outcome.state, outcome.host) == ("sent", "best.desk.example")
        assert (len(best.mails), len(last.mails)) == (1, 0)

    asyncio.run(scene())


@pytest.mark.parametrize("reply", ["450 4.2.1 greylisted", "550 5.1.1 no such desk"])
def test_an_answer_about_the_recipient_is_definite_and_no_other_host_is_asked(reply: str) -> None:
    async def scene() -> None:
        other = MailHost()
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(listening(MailHost(at_rcpt=reply), "127.0.0.2"))
            await stack.enter_async_context(listening(other, "127.0.0.3", port))
            resolver = names((1, "one.desk.example", "127.0.0.2"), (2, "two.desk.example", "127.0.0.3"))
            outcome = await attempt(port, resolver=resolver)
        assert (outcome.text, outcome.host) == (reply, "one.desk.example")
        assert other.mails == []

    asyncio.run(scene())


def test_a_greeting_that_says_never_is_definite_too() -> None:
    async def scene() -> None:
        other = MailHost()
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(rude(dialogue("554 5.7.1 you are listed"), "127.0.0.2"))
            await stack.enter_async_context(listening(other, "127.0.0.3", port))
            resolver = names((1, "one.desk.example", "127.0.0.2"), (2, "two.desk.example", "127.0.0.3"))
            outcome = await attempt(port, resolver=resolver)
        assert (outcome.state, outcome.text) == ("refused", "554 5.7.1 you are listed")
        assert other.mails == []

    asyncio.run(scene())


def test_equal_mail_hosts_take_turns_by_chance() -> None:
    async def scene() -> set[str]:
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(listening(MailHost(), "127.0.0.2"))
            await stack.enter_async_context(listening(MailHost(), "127.0.0.3", port))
            resolver = names((10, "one.desk.example", "127.0.0.2"), (10, "two.desk.example", "127.0.0.3"))
            return {(await attempt(port, resolver=resolver, seed=seed)).host for seed in range(12)}

    assert asyncio.run(scene()) == {"one.desk.example", "two.desk.example"}


def test_every_address_of_a_host_is_tried_but_not_more_than_six() -> None:
    async def scene() -> None:
        host = MailHost()
        async with listening(host, "127.0.0.9") as port:
            resolver = names(ONE_HOST)
            resolver.hosts["mx.desk.example"] = Answer(Status.FOUND, ("127.0.0.7", "127.0.0.8", "127.0.0.9"))
            assert (await attempt(port, resolver=resolver)).state == "sent"
            many = tuple(f"127.0.0.{n}" for n in (3, 4, 5, 6, 7, 8, 9))
            resolver.hosts["mx.desk.example"] = Answer(Status.FOUND, many)
            outcome = await attempt(port, resolver=resolver)
        assert (outcome.state, outcome.text) == ("deferred", "Connection refused")
        assert len(host.mails) == 1

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (MailAnswer(Status.ABSENT, (), reason="takes no mail (RFC 7505)", null=True), "refused"),
        (MailAnswer(Status.ABSENT, (), reason="does not exist"), "refused"),
        (MailAnswer(Status.PERMANENT, (), reason="cannot be asked for"), "refused"),
        (MailAnswer(Status.TEMPORARY, (), reason="the servers answered SERVFAIL"), "deferred"),
    ],
)
def test_a_domain_without_mail_hosts(answer: MailAnswer, state: str) -> None:
    async def scene() -> None:
        resolver = Names({"desk.example": answer}, {})
        outcome = await attempt(1, resolver=resolver)
        assert outcome == Outcome(state, None, answer.reason, "desk.example")  # type: ignore[arg-type]
        assert resolver.asked == ["MX desk.example"]

    asyncio.run(scene())


def test_mail_hosts_without_addresses_are_an_error_only_when_the_dns_is_sure() -> None:
    async def scene() -> None:
        resolver = Names({"desk.example": MailAnswer(Status.FOUND, ((1, "a.example"), (2, "b.example")))}, {})
        outcome = await attempt(1, resolver=resolver)
        assert (outcome.state, outcome.host) == ("refused", "a.example")
        resolver.hosts["b.example"] = Answer(Status.TEMPORARY, (), reason="no answer in time")
        outcome = await attempt(1, resolver=resolver)
        assert (outcome.state, outcome.text) == ("deferred", "no answer in time")

    asyncio.run(scene())


@pytest.mark.parametrize("to", ["abuse@desk.example", "abuse@[127.0.0.1]"])
def test_private_addresses_are_never_connected_to_unless_allowed(to: str) -> None:
    async def scene() -> None:
        host = MailHost()
        async with listening(host) as port:
            outcome = await attempt(port, to=to, route=Direct(port))
            assert (outcome.state, outcome.code) == ("refused", None)
            assert "127.0.0.1 is loopback" in outcome.text
            assert host.mails == []
            assert (await attempt(port, to=to, route=Direct(port, allow_private=True))).state == "sent"

    asyncio.run(scene())


def test_a_relay_gets_everything_and_the_recipients_domain_is_not_asked_for() -> None:
    async def scene() -> None:
        host = MailHost()
        resolver = Names({}, {"relay.plaint.example": Answer(Status.FOUND, ("127.0.0.1",))})
        async with listening(host) as port:
            outcome = await attempt(1, route=Relay("relay.plaint.example", port), resolver=resolver)
        assert (outcome.state, outcome.host) == ("sent", "relay.plaint.example")
        assert resolver.asked == ["A relay.plaint.example"]

    asyncio.run(scene())


def test_a_relay_that_is_not_to_be_had_defers_and_never_refuses() -> None:
    async def scene() -> None:
        resolver = Names({}, {"relay.plaint.example": Answer(Status.FOUND, ("127.0.0.1",))})
        async with rude(dialogue("554 5.7.1 who are you?")) as port:
            outcome = await attempt(1, route=Relay("relay.plaint.example", port), resolver=resolver)
            assert (outcome.state, outcome.text) == ("deferred", "554 5.7.1 who are you?")
        assert (await attempt(1, route=Relay("127.0.0.1", 1), resolver=resolver)).text == "Connection refused"
        outcome = await attempt(1, route=Relay("gone.plaint.example", 25), resolver=resolver)
        assert (outcome.state, outcome.text) == ("deferred", "gone.plaint.example has no address")

    asyncio.run(scene())


def test_a_relay_speaks_for_the_recipient_once_it_has_heard_of_it() -> None:
    async def scene() -> None:
        async with listening(MailHost(at_rcpt="550 5.1.1 no such desk")) as port:
            outcome = await attempt(1, route=Relay("127.0.0.1", port), resolver=Names())
        assert (outcome.state, outcome.text) == ("refused", "550 5.1.1 no such desk")

    asyncio.run(scene())


@pytest.mark.parametrize(
    "to",
    [
        "",
        "abuse",
        "abuse@",
        "@desk.example",
        "a b@desk.example",
        "a@desk.example>\r\nRCPT TO:<b@desk.example",
        "a@b@<c>",
        "a\udcff@desk.example",
    ],
)
def test_what_is_no_address_is_refused_and_never_said(to: str) -> None:
    async def scene() -> None:
        resolver = names(ONE_HOST)
        outcome = await attempt(1, to=to, resolver=resolver)
        assert (outcome.state, outcome.code) == ("refused", None)
        assert "not a mail address" in outcome.text
        assert resolver.asked == []
        with pytest.raises(ValueError, match="MAIL FROM"):
            await attempt(1, mail_from="a@b.example> x", resolver=resolver)

    asyncio.run(scene())


# A real mail server


@pytest.mark.skipif(bool(postfix.missing()), reason=postfix.missing() or "Postfix is there")
def test_postfix_takes_a_mail_and_refuses_one(tmp_path: Path) -> None:
    main = "smtpd_recipient_restrictions = check_recipient_access inline:{{desk@full.example = 450 4.2.1 full}}\n"
    main += f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {tmp_path}/tls.pem\n"
    main += "message_size_limit = 1000000\n"
    certificate = trustme.CA().issue_cert("mx.postfix.example")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "tls.pem"))

    async def scene(port: int) -> None:
        resolver = names((1, "mx.postfix.example", "127.0.0.1"))
        sent = await attempt(port, resolver=resolver)
        assert (sent.state, sent.code, sent.tls) == ("sent", 250, True)
        assert sent.text.startswith("250 2.0.0 Ok: queued as ")
        relayed = await attempt(1, to="desk@full.example", route=Relay("127.0.0.1", port), resolver=resolver)
        assert (relayed.state, relayed.code) == ("deferred", 450)
        large = await attempt(port, raw=b"x: y\r\n\r\n" + b"x" * 1_000_000 + b"\r\n", resolver=resolver)
        assert large.state == "refused"

    with postfix.running(main) as server:
        asyncio.run(scene(server.port))
        ends = time.monotonic() + 20
        while f"to=<{TO}>" not in server.log():  # it delivers when it comes to it
            assert time.monotonic() < ends, server.log()
            time.sleep(0.05)
