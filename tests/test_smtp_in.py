"""The incoming SMTP door, spoken to over loopback sockets."""

import asyncio
import gc
import io
import ipaddress
import logging
import logging.config
import random
import re
import socket
import ssl
import struct
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from complaints import smtp_wire
from complaints.smtp_in import Intake, Refuse, SmtpServer, serve_smtp
from complaints.smtp_limits import Limits, Lobby
from complaints.smtp_protocol import Entrance
from complaints.smtp_syntax import parse_path
from tests import postfix
from tests.dialog import kind_of, play

DIALOGS = sorted((Path(__file__).parent / "dialogs").glob("*.smtp"))
KINDS: dict[str, dict[str, Any]] = {
    "": {},
    "lmtp": {"lmtp": True},
    "proxied": {"proxies": (ipaddress.IPv4Network("127.0.0.0/8"),)},
    "proxied for others": {"proxies": (ipaddress.IPv4Network("192.0.2.0/24"),)},
}
"""The first line of a dialogue (D:) → the door it is spoken to."""
HELLO = b"EHLO client.example\r\n"
START = b"MAIL FROM:<ann@reporter.example>\r\nRCPT TO:<report@plaint.example>\r\nDATA\r\n"


@dataclass
class Post:
    """Behind the door: one known mailbox, one over its limit, one whose lookup breaks; keeps mail in a list."""

    kept: list[tuple[list[str], str, bytes]] = field(default_factory=list)
    before_keeping: Callable[[], Awaitable[None]] | None = None

    async def known(self, address: str) -> str | None:
        match address.partition("@")[0].lower():
            case "report" | "postmaster":
                return address
            case "full":
                raise Refuse(452, "4.2.2", "This hour's submissions are used up; send it again later")
            case "broken":
                raise RuntimeError(f"no such row: {address}")
        return None

    async def accept(self, recipients: list[str], mail_from: str, raw: bytes) -> None:
        if self.before_keeping:
            await self.before_keeping()
        self.kept.append((recipients, mail_from, raw))

    @property
    def mails(self) -> list[bytes]:
        return [raw for _, _, raw in self.kept]


class Client:
    """A raw SMTP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> str:
        """One whole reply; "" when the connection is closed."""
        lines = b""
        async with asyncio.timeout(10):
            while line := await self.reader.readline():
                assert line.endswith(b"\r\n"), line
                lines += line
                if line[3:4] == b" ":
                    break
        return lines.decode()

    async def ask(self, command: bytes) -> str:
        await self.send(command + b"\r\n")
        return await self.reply()

    async def open_mail(self) -> None:
        """From the greeting to the 354."""
        await self.send(HELLO + START)
        replies = [await self.reply() for _ in range(5)]
        assert replies[-1].startswith("354"), replies

    async def mail(self, content: bytes) -> str:
        """A whole mail, its content dot-stuffed, by the book; the answer to the dot."""
        await self.send(START)
        replies = [await self.reply() for _ in range(3)]
        assert replies[-1].startswith("354"), replies
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        await self.send(stuffed + b".\r\n")
        return await self.reply()


@asynccontextmanager
async def door(
    post: Post, *, max_bytes: int = 200, limits: Limits | None = None, where: Path | None = None, **more: Any
) -> AsyncIterator[SmtpServer]:
    entrance = Entrance("mx.plaint.example", max_bytes, **more)
    intake = Intake(known=post.known, accept=post.accept, limits=limits)
    server = await serve_smtp(where or ("127.0.0.1", 0), entrance, intake=intake, limits=limits)
    try:
        yield server
    finally:
        server.close()
        await server.wait_closed(0.2)


@asynccontextmanager
async def client(server: SmtpServer) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_dialog(path: Path) -> None:
    async def scene() -> None:
        post = Post()

        async def kept() -> list[bytes]:
            return post.mails

        async with door(post, **KINDS[kind_of(path)]) as server, client(server) as peer:
            await play(path, peer.reader, peer.writer, kept)

    asyncio.run(scene())


def test_every_reported_dialogue_is_there() -> None:
    assert len(DIALOGS) >= 30


# Promise 3: accepted is kept


def test_250_is_said_only_after_the_mail_is_kept() -> None:
    async def scene() -> None:
        post, may_keep = Post(), asyncio.Event()
        post.before_keeping = may_keep.wait  # type: ignore[assignment]
        async with door(post) as server, client(server) as peer:
            await peer.open_mail()
            await peer.send(b"x\r\n.\r\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(peer.reader.read(1), 0.1)
            may_keep.set()
            assert (await peer.reply()).startswith("250 2.0.0")
            assert post.kept == [(["report@plaint.example"], "ann@reporter.example", b"x\r\n")]

    asyncio.run(scene())


def test_a_mail_that_cannot_be_kept_is_to_be_sent_again_and_the_next_one_is_kept() -> None:
    async def disk_full() -> None:
        raise OSError(28, "No space left on device", "mail from ann@reporter.example")

    async def scene() -> None:
        post = Post(before_keeping=disk_full)
        async with door(post) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            assert (await peer.mail(b"x\r\n")).startswith("451 4.3.0 ")
            post.before_keeping = None
            assert (await peer.mail(b"y\r\n")).startswith("250 2.0.0")
            assert post.mails == [b"y\r\n"]

    asyncio.run(scene())


def test_the_keeper_may_refuse_a_mail_in_its_own_words_on_one_line() -> None:
    async def too_many_hops() -> None:
        raise Refuse(554, "5.4.6", "It went in circles\r\n250 through\x1b[2J mail hosts")

    async def scene() -> None:
        async with door(Post(before_keeping=too_many_hops)) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            reply = await peer.mail(b"x\r\n")
            assert reply == "554 5.4.6 It went in circles??250 through?[2J mail hosts\r\n"

    asyncio.run(scene())


def test_a_client_that_hangs_up_does_not_stop_the_keeping_of_its_mail() -> None:
    async def scene() -> None:
        post, may_keep = Post(), asyncio.Event()
        post.before_keeping = may_keep.wait  # type: ignore[assignment]
        async with door(post) as server:
            async with client(server) as peer:
                await peer.open_mail()
                await peer.send(b"x\r\n.\r\n")
                await asyncio.sleep(0.05)
                reset = struct.pack("ii", 1, 0)
                peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                peer.writer.transport.abort()
            await asyncio.wait_for(server.lobby.empty.wait(), 10)
            assert post.mails == []
            may_keep.set()
            await asyncio.sleep(0.05)
            assert post.mails == [b"x\r\n"]

    asyncio.run(scene())


def test_nothing_is_kept_of_a_mail_without_its_dot() -> None:
    async def scene() -> None:
        post = Post()
        async with door(post) as server:
            async with client(server) as peer:
                await peer.open_mail()
                await peer.send(b"half of a mail\r\n.\r")
                peer.writer.write_eof()
                assert await peer.reply() == ""
            await asyncio.wait_for(server.lobby.empty.wait(), 10)
            assert post.mails == []

    asyncio.run(scene())


# Promise 5: evidence is untouched


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([b"\r\n", b"\r\n.", b"\n.\n", b"\r", b".", b".\r\n", b"\r.\r\n"]),
        ),
        max_size=30,
    ),
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_any_content_cut_anywhere_is_kept_byte_for_byte(pieces: list[bytes], cuts: list[int]) -> None:
    content = b"".join(pieces)
    content = content if content.endswith(b"\r\n") else content + b"\r\n"

    async def scene() -> None:
        post = Post()
        async with door(post, max_bytes=10_000) as server, client(server) as peer:
            await peer.open_mail()
            stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\nNOOP\r\n"
            at = 0
            while at < len(stuffed):
                size = cuts[at % len(cuts)]
                await peer.send(stuffed[at : at + size])
                await asyncio.sleep(0)
                at += size
            assert (await peer.reply()).startswith("250 2.0.0 Kept")
            assert (await peer.reply()).startswith("250 2.0.0 OK")
            assert post.mails == [content]

    asyncio.run(scene())


def test_a_line_of_two_megabytes_and_every_octet_come_through() -> None:
    content = bytes(range(256)) * 8192 + b"\r\n"

    async def scene() -> None:
        post = Post()
        async with door(post, max_bytes=3_000_000) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            assert (await peer.mail(content)).startswith("250")
            assert post.mails == [content]

    asyncio.run(scene())


@pytest.mark.parametrize(("size", "code"), [(200, "250"), (201, "552")])
def test_the_size_limit_counts_the_unstuffed_octets_exactly(size: int, code: str) -> None:
    content = b".\r\n" * 60 + b"x" * (size - 182) + b"\r\n"

    async def scene() -> None:
        async with door(Post()) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            assert (await peer.mail(content)).startswith(code)

    asyncio.run(scene())


def test_a_mail_far_over_the_limit_is_drained_without_being_held() -> None:
    async def scene() -> None:
        most = 0
        async with door(Post(), max_bytes=100_000) as server, client(server) as peer:
            await peer.open_mail()
            for _ in range(100):
                await peer.send(b"x" * 99_998 + b"\r\n")
                most = max(most, server.lobby.held)
            await peer.send(b".\r\n")
            assert (await peer.reply()).startswith("552 5.3.4")
            assert 0 < most < 300_000
            assert server.lobby.held == 0

    asyncio.run(scene())


# The open internet


def test_no_octets_at_all_bring_the_door_down_and_every_reply_is_a_reply() -> None:
    rng = random.Random(5321)
    words = [b"EHLO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<report@plaint.example>", b"DATA", b".", b"RSET",
             b"QUIT", b"\r\n", b"\n", b"\x00", b"\xff\xfe", b"<", b">", b'"', b"\\", b"SIZE=9" * 99, b" ", b"STARTTLS",
             b"mail from:", b"rcpt to: <@a:" + b"b" * 5000, b"x" * 70_000, b"BDAT 5", b"NOOP", b"VRFY x"]  # fmt: skip

    async def scene() -> None:
        async with door(Post(), tls=server_context()) as server:
            for _ in range(300):
                async with client(server) as peer:
                    said = b"".join(rng.choice(words) + rng.choice([b"\r\n", b"", b" "]) for _ in range(30))
                    peer.writer.write(said)
                    peer.writer.write_eof()
                    try:
                        heard = await asyncio.wait_for(peer.reader.read(), 10)
                    except ConnectionResetError:
                        continue
                    for line in heard.split(b"\r\n")[:-1]:
                        assert re.fullmatch(rb"[2345]\d\d[ -][ -~]*", line), (said, heard)
            async with client(server) as peer:
                await peer.reply()
                await peer.ask(HELLO.strip())
                assert (await peer.mail(b"still here\r\n")).startswith("250")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("sent", "limits"),
    [
        (b"", Limits(idle_seconds=0.2)),
        (HELLO[:-1], Limits(idle_seconds=0.2)),
        (HELLO + START + b"x\r\n", Limits(idle_seconds=0.2)),
    ],
    ids=["silence", "half a command", "half a mail"],
)
def test_who_says_nothing_for_too_long_is_told_and_let_go(sent: bytes, limits: Limits) -> None:
    async def scene() -> None:
        async with door(Post(), limits=limits) as server, client(server) as peer:
            await peer.send(sent)
            heard = await asyncio.wait_for(peer.reader.read(), 5)
            assert heard.splitlines()[-1].startswith(b"421 4.4.2 ")
            await asyncio.wait_for(server.lobby.empty.wait(), 5)
            assert server.lobby.counts["timeouts"] == 1

    asyncio.run(scene())


def test_a_mail_that_drips_in_for_ever_is_cut_at_the_deadline() -> None:
    async def scene() -> None:
        limits = Limits(idle_seconds=5, data_seconds=0.5)
        post = Post()
        async with door(post, limits=limits) as server, client(server) as peer:
            await peer.open_mail()
            began = asyncio.get_running_loop().time()
            dripping = asyncio.create_task(for_ever(peer, b"x", 0.02))
            heard = await asyncio.wait_for(peer.reader.readline(), 5)
            assert heard.startswith(b"421 4.4.2 ")
            dripping.cancel()
            assert 0.4 < asyncio.get_running_loop().time() - began < 3
            assert post.mails == []

    asyncio.run(scene())


def test_a_slow_line_has_time_for_a_large_mail_as_long_as_it_moves() -> None:
    async def scene() -> None:
        limits = Limits(idle_seconds=5, data_seconds=0.5, slowest=100)
        post = Post()
        async with door(post, max_bytes=10_000, limits=limits) as server, client(server) as peer:
            await peer.open_mail()
            for _ in range(4):
                await peer.send(b"x" * 398 + b"\r\n")
                await asyncio.sleep(0.15)
            await peer.send(b".\r\n")
            assert (await peer.reply()).startswith("250 2.0.0")

    asyncio.run(scene())


def test_no_session_goes_on_for_ever_however_busy() -> None:
    async def scene() -> None:
        async with door(Post(), limits=Limits(session_seconds=0.2)) as server, client(server) as peer:
            await peer.reply()
            assert (await peer.ask(HELLO.strip())).startswith("250")
            assert (await peer.mail(b"x\r\n")).startswith("250")
            await asyncio.sleep(0.2)
            assert (await peer.ask(b"NOOP")).startswith("250")
            assert (await peer.reply()).startswith("421 4.4.2 ")
            assert await peer.reply() == ""

    asyncio.run(scene())


def test_who_is_silent_has_less_time_while_most_connections_are_taken() -> None:
    lobby = Lobby(Limits(connections=4, idle_seconds=300, crowded_seconds=10), lambda: 0.0)
    seconds = []
    for _ in range(4):
        assert lobby.enter(Visitor(b"")) == ""
        seconds.append(lobby.idle_seconds())
    assert seconds == [300, 300, 300, 10]
    assert Lobby(Limits(connections=0), lambda: 0.0).idle_seconds() == 300


def test_a_network_that_connects_again_and_again_waits_for_the_next_minute() -> None:
    now = 0.0
    lobby = Lobby(Limits(arrivals_per_prefix=2), lambda: now)
    one, other = (Visitor(lobby.prefix((address, 25))) for address in ("198.51.100.7", "203.0.113.7"))

    def come_and_go(visitor: Visitor) -> str:
        if not (reply := lobby.enter(visitor)):
            lobby.leave(visitor)
        return reply[:9]

    assert [come_and_go(one) for _ in range(3)] == ["", "", "421 4.7.0"]
    assert come_and_go(other) == ""
    now = 60.0
    assert come_and_go(one) == ""


def test_however_many_networks_come_the_counts_stay_small() -> None:
    lobby = Lobby(Limits(), lambda: 0.0)
    for number in range(25_000):
        lobby.may_ask(Visitor(number.to_bytes(6, "big")))
    assert len(lobby._asked.counts) <= 10_000


def test_a_lookup_that_hangs_is_given_up_for_now() -> None:
    @dataclass
    class Hanging(Post):
        async def known(self, address: str) -> str | None:
            await asyncio.Event().wait()
            return address

    async def scene() -> None:
        post = Hanging()
        async with door(post, limits=Limits(answer_seconds=0.1)) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            await peer.ask(b"MAIL FROM:<>")
            assert (await peer.ask(b"RCPT TO:<report@plaint.example>")).startswith("451 4.3.0")

    asyncio.run(scene())


def test_what_waits_to_be_written_down_is_bounded_while_the_database_hangs() -> None:
    async def scene() -> None:
        post, may_keep = Post(), asyncio.Event()
        post.before_keeping = may_keep.wait  # type: ignore[assignment]
        small = door(post, limits=Limits(held_bytes=100))
        async with small as server, client(server) as first, client(server) as second:
            await first.open_mail()
            await second.open_mail()
            await first.send(b"x" * 99 + b"\r\n.\r\n")
            await asyncio.sleep(0.05)
            await second.send(b"y\r\n.\r\n")
            assert (await second.reply()).startswith("452 4.3.1")
            may_keep.set()
            assert (await first.reply()).startswith("250")
            assert (await second.mail(b"z\r\n")).startswith("250")

    asyncio.run(scene())


def test_behind_a_proxy_its_clients_are_counted_and_not_the_proxy() -> None:
    async def scene() -> None:
        limits = Limits(connections_per_prefix=1)
        proxies = (ipaddress.IPv4Network("127.0.0.0/8"),)
        async with (
            door(Post(), limits=limits, proxies=proxies) as server,
            client(server) as one,
            client(server) as two,
            client(server) as other,
        ):
            heard = []
            for peer, address in ((one, "198.51.100.7"), (two, "198.51.100.9"), (other, "203.0.113.7")):
                await peer.send(f"PROXY TCP4 {address} 192.0.2.1 9 25\r\n".encode())
                heard.append((await peer.reply())[:9])
            assert heard == ["220 mx.pl", "421 4.7.0", "220 mx.pl"]

    asyncio.run(scene())


async def for_ever(peer: Client, data: bytes, pause: float) -> None:
    with suppress(ConnectionError):
        while True:
            await peer.send(data)
            await asyncio.sleep(pause)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_who_never_reads_replies_is_cut() -> None:
    async def scene() -> None:
        patient = door(Post(), limits=Limits(idle_seconds=0.3, patience=10_000_000))
        async with patient as server, client(server) as peer:
            peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
            flooding = asyncio.create_task(for_ever(peer, b"VRFY x\r\n" * 5000, 0))
            await until(lambda: server.lobby.counts["timeouts"] == 1)
            await asyncio.wait_for(server.lobby.empty.wait(), 5)
            flooding.cancel()

    asyncio.run(scene())


def test_connections_and_recipients_are_counted_by_network() -> None:
    async def scene() -> None:
        limits = Limits(connections_per_prefix=2, recipients_per_prefix=3, own_networks=())
        async with door(Post(), limits=limits) as server:
            async with client(server) as one, client(server) as two, client(server) as three:
                assert (await one.reply()).startswith("220")
                assert (await two.reply()).startswith("220")
                assert (await three.reply()).startswith("421 4.7.0")
                assert await three.reply() == ""
                await one.send(b"HELO x\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<nobody@plaint.example>\r\n" * 4)
                replies = [await one.reply() for _ in range(6)]
                assert [reply[:9] for reply in replies[2:]] == ["550 5.1.1"] * 3 + ["450 4.7.1"]
            await asyncio.wait_for(server.lobby.empty.wait(), 5)
            async with client(server) as four:
                assert (await four.reply()).startswith("220")

    asyncio.run(scene())


def test_more_connections_than_the_listener_bears_are_asked_to_come_again() -> None:
    async def scene() -> None:
        one_only = door(Post(), limits=Limits(connections=1))
        async with one_only as server, client(server) as one, client(server) as two:
            assert (await one.reply()).startswith("220")
            assert (await two.reply()).startswith("421 4.3.2")
            assert server.lobby.counts["turned_away"] == 1

    asyncio.run(scene())


def test_a_minute_later_a_network_may_ask_again_and_nothing_of_it_is_remembered() -> None:
    now = 0.0
    lobby = Lobby(Limits(recipients_per_prefix=2), lambda: now)
    visitor = Visitor(lobby.prefix(("198.51.100.7", 25)))
    neighbour = Visitor(lobby.prefix(("198.51.100.200", 25)))
    stranger = Visitor(lobby.prefix(("203.0.113.7", 25)))
    assert [lobby.may_ask(visitor), lobby.may_ask(neighbour), lobby.may_ask(visitor)] == [True, True, False]
    assert lobby.may_ask(stranger)
    now = 61.0
    assert lobby.may_ask(visitor)
    assert len(lobby._asked.counts) == 1


@dataclass(eq=False)
class Visitor:
    prefix: bytes
    heard: float = 0.0
    until: float = 1e9
    idle: bool = True

    def dismiss(self, reply: str) -> None:
        raise AssertionError(reply)

    def time_out(self) -> None:
        raise AssertionError


def test_prefixes_are_24_bits_of_ipv4_and_48_of_ipv6_and_none_for_ourselves() -> None:
    lobby = Lobby(Limits(own_networks=(ipaddress.IPv4Network("192.0.2.0/28"),)), lambda: 0.0)
    assert (
        lobby.prefix(("198.51.100.7", 25))
        == lobby.prefix(("::ffff:198.51.100.9", 25, 0, 0))
        == bytes([198, 51, 100])
    )
    assert lobby.prefix(("2001:db8:1:2ff::1", 25, 0, 0)) == lobby.prefix(("2001:db8:1:9::9%eth0", 25, 0, 0))
    assert lobby.prefix(("2001:db8:2:2ff::1", 25, 0, 0)) != lobby.prefix(("2001:db8:1:2ff::1", 25, 0, 0))
    assert lobby.prefix(("192.0.2.3", 25)) == lobby.prefix("") == lobby.prefix(None) == b""


def test_recipients_over_the_limit_go_into_another_mail() -> None:
    async def scene() -> None:
        async with door(Post(), limits=Limits(recipients=2)) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            await peer.ask(b"MAIL FROM:<a@b.example>")
            assert (await peer.ask(b"RCPT TO:<report@plaint.example>")).startswith("250")
            assert (await peer.ask(b"RCPT TO:<postmaster@plaint.example>")).startswith("250")
            assert (await peer.ask(b"RCPT TO:<postmaster>")).startswith("452 4.5.3 2 recipients")

    asyncio.run(scene())


def test_too_much_mail_at_once_is_refused_for_now_and_taken_later() -> None:
    async def scene() -> None:
        post = Post()
        small = door(post, max_bytes=1_000_000, limits=Limits(held_bytes=300_000))
        async with small as server, client(server) as hoarder, client(server) as peer:
            await hoarder.open_mail()
            await peer.open_mail()
            await hoarder.send(b"x" * 290_000)
            await until(lambda: server.lobby.held > 285_000)
            await peer.send(b"y" * 50_000 + b"\r\n")
            await asyncio.sleep(0.1)
            assert server.lobby.held < 300_000
            await peer.send(b"y" * 50_000 + b"\r\n.\r\n")
            assert (await peer.reply()).startswith("452 4.3.1")
            await hoarder.send(b"x\r\n.\r\n")
            assert (await hoarder.reply()).startswith("250")
            assert server.lobby.held == 0
            assert (await peer.mail(b"z" * 250_000 + b"\r\n")).startswith("250")

    asyncio.run(scene())


def test_idle_commands_wear_patience_out_and_a_mail_restores_it() -> None:
    async def scene() -> None:
        async with door(Post(), limits=Limits(patience=20)) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            for _ in range(3):
                for _ in range(15):
                    assert (await peer.ask(b"NOOP")).startswith("250")
                assert (await peer.mail(b"x\r\n")).startswith("250")
            replies = [await peer.ask(b"NOOP") for _ in range(20)]
            assert all(reply.startswith("250") for reply in replies)
            assert (await peer.reply()).startswith("421 4.7.0")

    asyncio.run(scene())


# Privacy


def test_nothing_of_who_came_and_what_was_said_is_written_down() -> None:
    async def breaks() -> None:
        raise RuntimeError("INSERT failed for ann@reporter.example: Buy now")

    async def scene() -> None:
        post = Post(before_keeping=breaks)
        async with door(post) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            await peer.ask(b"NONSENSE from ann")
            await peer.ask(b"MAIL FROM:<ann@reporter.example>")
            assert (await peer.ask(b"RCPT TO:<broken@plaint.example>")).startswith("451")
            await peer.ask(b"RSET")
            assert (await peer.mail(b"Buy now\r\n")).startswith("451")

    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    level = root.level
    # What servers do at start; it takes back `disabled` and levels that a library set on its loggers.
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "incremental": False})
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        asyncio.run(scene())
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    text = written.getvalue()
    assert "a recipient could not be looked up: RuntimeError at " in text
    assert "a mail could not be kept: RuntimeError at " in text
    for secret in ("ann", "reporter", "broken", "Buy", "127.0.0.1", "client.example", "NONSENSE"):
        assert secret not in text.replace(str(Path(__file__)), ""), text


# STARTTLS


_CA = trustme.CA()


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _CA.issue_cert("mx.plaint.example").configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _CA.configure_trust(context)
    return context


def test_starttls_encrypts_forgets_the_greeting_and_is_not_offered_twice() -> None:
    async def scene() -> None:
        post = Post()
        async with door(post, max_bytes=500_000, tls=server_context()) as server, client(server) as peer:
            await peer.reply()
            assert "250-STARTTLS\r\n" in await peer.ask(HELLO.strip())
            assert (await peer.ask(b"STARTTLS")).startswith("220")
            await peer.writer.start_tls(client_context(), server_hostname="mx.plaint.example")
            assert (await peer.ask(b"MAIL FROM:<a@b.example>")).startswith("503 5.5.1 Say EHLO")
            assert "STARTTLS" not in await peer.ask(HELLO.strip())
            assert (await peer.ask(b"STARTTLS")).startswith("502")
            content = b"secret\r\n" * 50_000
            assert (await peer.mail(content)).startswith("250")
            assert post.mails == [content]
            assert (await peer.ask(b"QUIT")).startswith("221")

    asyncio.run(scene())


@pytest.mark.parametrize("chunk", [65_536, 64], ids=["read with the command", "not read yet"])
def test_what_is_slipped_in_before_tls_is_thrown_away(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_wire, "CHUNK", chunk)

    async def scene() -> None:
        post = Post()
        async with door(post, tls=server_context()) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            await peer.send(b"STARTTLS\r\n" + HELLO + START + b"smuggled\r\n.\r\n")
            assert (await peer.reply()).startswith("220")
            await peer.writer.start_tls(client_context(), server_hostname="mx.plaint.example")
            assert (await peer.ask(b"NOOP")).startswith("250 2.0.0 OK")
            assert (await peer.ask(b"RCPT TO:<report@plaint.example>")).startswith("503 5.5.1 Say EHLO")
            assert post.mails == []

    asyncio.run(scene())


def test_what_is_slipped_in_while_replies_are_not_read_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flush, injected = smtp_wire.Wire._flush, asyncio.Event()

    def slow(wire: smtp_wire.Wire) -> None:
        """As where the connection takes no more with the 220, until what is slipped in has come."""
        full = wire._out.startswith("220 2.0.0")
        flush(wire)
        if full:
            wire.pause_writing()
            waiting = asyncio.create_task(until(lambda: b"NOOP" in wire._in))
            waiting.add_done_callback(lambda _: wire.resume_writing())
            waiting.add_done_callback(lambda _: injected.set())

    monkeypatch.setattr(smtp_wire.Wire, "_flush", slow)

    async def scene() -> None:
        async with door(Post(), tls=server_context()) as server, client(server) as peer:
            await peer.reply()
            await peer.ask(HELLO.strip())
            assert (await peer.ask(b"STARTTLS")).startswith("220")
            await peer.send(b"NOOP\r\n")
            await injected.wait()
            await peer.writer.start_tls(client_context(), server_hostname="mx.plaint.example")
            assert (await peer.ask(b"RCPT TO:<report@plaint.example>")).startswith("503 5.5.1 Say EHLO")

    asyncio.run(scene())


def test_a_failed_handshake_ends_only_its_own_session() -> None:
    async def scene() -> None:
        encrypted = door(Post(), tls=server_context())
        async with encrypted as server, client(server) as peer, client(server) as other:
            await peer.reply()
            assert (await peer.ask(b"STARTTLS")).startswith("220")
            await peer.send(b"MAIL FROM:<a@b.example>\r\n")
            heard = await asyncio.wait_for(peer.reader.read(), 5)
            assert not heard.startswith(b"250")
            await other.reply()
            await other.ask(HELLO.strip())
            assert (await other.mail(b"x\r\n")).startswith("250")
            assert len(server.lobby.inside) == 1
            assert server.lobby.counts["broken"] == 1

    asyncio.run(scene())


@pytest.mark.parametrize("way", ["reset by the client", "never begun", "never begun, and the door closes"])
def test_who_is_lost_in_a_handshake_is_no_longer_inside(way: str) -> None:
    """Else a few hundred such connections would fill the door for ever."""

    async def scene() -> None:
        limits = Limits(idle_seconds=0.2 if way == "never begun" else 300.0)
        async with door(Post(), tls=server_context(), limits=limits) as server, client(server) as peer:
            await peer.reply()
            assert (await peer.ask(b"STARTTLS")).startswith("220")
            if way.startswith("reset"):
                linger = struct.pack("ii", 1, 0)
                peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                peer.writer.transport.abort()
            elif way.endswith("closes"):
                server.lobby.cut()
            await until(lambda: not server.lobby.inside and not server.lobby._watched)
            assert server.lobby.counts["broken"] == 1

    asyncio.run(scene())


def test_a_session_that_is_over_is_freed_at_once_and_nothing_has_to_search_for_it() -> None:
    async def scene() -> None:
        async with door(Post()) as server:
            gc.disable()
            try:
                async with client(server) as peer:
                    await peer.reply()
                    await peer.ask(HELLO.strip())
                    assert (await peer.mail(b"x\r\n")).startswith("250")
                    (session,) = [weakref.ref(one) for one in server.lobby.inside]
                await until(lambda: session() is None)
            finally:
                gc.enable()

    asyncio.run(scene())


# Shutting down


def test_closing_sends_the_idle_away_and_lets_a_mail_under_way_finish() -> None:
    async def scene() -> None:
        post = Post()
        async with door(post) as server, client(server) as idle, client(server) as busy:
            await idle.reply()
            await busy.open_mail()
            port = server.port
            server.close()
            closed = asyncio.create_task(server.wait_closed(10))
            assert (await idle.reply()).startswith("421 4.3.2")
            assert await idle.reply() == ""
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            await busy.send(b"last one\r\n.\r\n")
            assert (await busy.reply()).startswith("250 2.0.0")
            assert (await busy.reply()).startswith("421 4.3.2")
            await asyncio.wait_for(closed, 5)
            assert post.mails == [b"last one\r\n"]

    asyncio.run(scene())


def test_closing_cuts_who_is_too_slow_and_leaves_a_mail_being_kept_some_time() -> None:
    async def scene() -> None:
        post, may_keep = Post(), asyncio.Event()
        post.before_keeping = may_keep.wait  # type: ignore[assignment]
        async with door(post) as server, client(server) as slow, client(server) as keeping:
            await slow.open_mail()
            await keeping.open_mail()
            await keeping.send(b"x\r\n.\r\n")
            await asyncio.sleep(0.05)
            server.close()
            closed = asyncio.create_task(server.wait_closed(0.3))
            assert (await slow.reply()).startswith("421 4.3.2")
            await asyncio.sleep(0.05)
            assert not closed.done()
            may_keep.set()
            await asyncio.wait_for(closed, 5)
            assert post.mails == [b"x\r\n"]

    asyncio.run(scene())


# Addresses


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<a@b.example>", ("a@b.example", {})),
        ("from: <a@b.example>  size=5  X-Y=z", ("a@b.example", {"SIZE": "5", "X-Y": "Z"})),
        ("FROM:a@b.example SIZE=5", ("a@b.example", {"SIZE": "5"})),
        ("FROM:<>", ("", {})),
        ('FROM:<"a>b\\" c"@b.example>', ('"a>b\\" c"@b.example', {})),
        ("FROM:<@x.example,@y.example:a@b.example>", ("a@b.example", {})),
        ("FROM:<a@[IPv6:2001:db8::1]>", ("a@[IPv6:2001:db8::1]", {})),
        ("FROM:<a@b.example", None),
        ("FROM:a@b.example>", None),
        ("FROM:<a b@c.example>", None),
        ("FROM:<a@b.example>SIZE=5", None),
        ("FROM:<a@b.example> =5", None),
        ("FROM:", None),
        ("TO:<a@b.example>", None),
        ("", None),
    ],
)
def test_paths(argument: str, expected: tuple[str, dict[str, str]] | None) -> None:
    assert parse_path(argument, "FROM:") == expected


def test_a_hostile_path_takes_no_longer_than_its_length() -> None:
    for hostile in (
        'FROM:<"' + "\\a" * 2000,
        "FROM:<" + "@a," * 1300,
        "FROM:" + " " * 4000 + "<",
        'FROM:<"' + "a" * 4000,
    ):
        assert parse_path(hostile, "FROM:") is None


# A real mail server


@pytest.mark.skipif(bool(postfix.missing()), reason=postfix.missing() or "Postfix is there")
def test_postfix_relays_mails_to_the_door_byte_for_byte() -> None:
    body = b".dots\r\n..\r\n" + b"x" * 900 + b"\r\n\r\nend\r\n"

    async def scene() -> None:
        post = Post()
        async with door(post, max_bytes=100_000, tls=server_context()) as server:
            main = (
                f"default_transport = smtp:[127.0.0.1]:{server.port}\nrelay_transport = $default_transport\n"
            )
            main += "smtp_tls_security_level = encrypt\nsmtp_tls_loglevel = 1\n"
            running = postfix.running(main)
            relay = await asyncio.to_thread(running.__enter__)
            try:
                await submit(relay.port, b"Subject: spam\r\n\r\n" + body, 3)
                await until(lambda: len(post.kept) == 3)
                assert "TLS connection established" in relay.log()
            finally:
                await asyncio.to_thread(running.__exit__, None, None, None)
        assert all(raw.endswith(b"\r\n\r\n" + body) for raw in post.mails)

    async def submit(port: int, content: bytes, times: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        peer = Client(reader, writer)
        await peer.reply()
        await peer.ask(HELLO.strip())
        for _ in range(times):
            assert (await peer.mail(content)).startswith("250")
        writer.close()

    asyncio.run(scene())
