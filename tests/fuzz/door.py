"""The SMTP dialogue: whole sessions, cut into packets anywhere, spoken to a door without a network."""

import asyncio
import atexit
import ipaddress
import re
import selectors
from collections.abc import Hashable
from pathlib import Path
from random import Random
from typing import Any

from complaints.smtp_in import Intake
from complaints.smtp_limits import Limits, Lobby
from complaints.smtp_protocol import Door, Entrance
from complaints.smtp_proxy import ProxyError, read_proxy
from tests.dialog import escaped, kind_of
from tests.fuzz.target import Target

HOST = "mx.plaint.example"
_DIALOGS = sorted((Path(__file__).parents[1] / "dialogs").glob("*.smtp"))
_REPLIES = re.compile(rb"(?:[2345][0-9]{2}[ -][\t -~]*\r\n)*")
_KEPT = b"250 2.0.0 Kept; thank you\r\n"
_WORDS = (
    *(b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\r\n..\r\n", b"\r\n", b"\r", b"\n", b"\0", b".", b"EHLO x\r\n"),
    *(
        b"LHLO x\r\n",
        b"MAIL FROM:<a@b.example>\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<report@p>\r\n",
        b"DATA\r\n",
    ),
    *(b"RCPT TO:<nobody@p>\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"VRFY x\r\n", b"STARTTLS\r\n"),
    *(
        b"BDAT 9 LAST\r\n",
        b" SIZE=99",
        b" SMTPUTF8",
        b" BODY=8BITMIME",
        b"GET / HTTP/1.1\r\n",
        b"<@a,@b:c@d>",
    ),
    *(b"PROXY TCP4 198.51.100.7 192.0.2.1 9 25\r\n", b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
)
_FROM_PROXY = {"proxied": (ipaddress.ip_network("192.0.2.0/24"),)}


class _Wire(asyncio.Transport):
    """A connection that remembers what was written to it."""

    def __init__(self, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.said = bytearray()
        self._door, self._loop, self._closing = door, loop, False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.7", 9) if name == "peername" else default

    def write(self, data: Any) -> None:
        if not self._closing:
            self.said += data

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._door.connection_lost, None)

    abort = close


class _Post:
    """Behind the door; keeps mail in a list."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.intake = Intake(known=self.known, accept=self.accept)

    async def known(self, address: str) -> str | None:
        return address if address.startswith("report") else None

    async def accept(self, recipients: list[str], mail_from: str, raw: bytes) -> None:
        self.mails.append(raw)


async def session(packets: list[bytes], kind: str) -> tuple[bytes, list[bytes]]:
    """Say these packets to a door; what it answered, and what it kept."""
    loop = asyncio.get_running_loop()
    # Its clock stands still: however long this process was halted, nobody is slow
    post, lobby = _Post(), Lobby(Limits(), lambda: 0.0)
    entrance = Entrance(HOST, 200, lmtp=kind == "lmtp", proxies=_FROM_PROXY.get(kind, ()))
    door = Door(post.intake, lobby, entrance, loop=loop)
    wire = _Wire(door, loop)
    door.connection_made(wire)
    for packet in packets:
        if wire.is_closing():
            break
        door.data_received(packet)
        await asyncio.sleep(0)
    if not wire.is_closing():
        door.eof_received()
    for _ in range(10_000):
        if wire.is_closing() and not lobby.inside:
            break
        await asyncio.sleep(0)
    else:
        raise AssertionError("the session does not end")
    assert lobby.held == 0, "octets are counted that are gone"
    return bytes(wire.said), post.mails


class _NoNetwork(selectors.DefaultSelector):
    """Nothing ever comes: asking the system at every turn of the loop would take most of the time."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return []


_LOOP = asyncio.SelectorEventLoop(_NoNetwork())
atexit.register(_LOOP.close)


def _cut(data: bytes, how: int) -> list[bytes]:
    """Cut into packets: within line ends and around dots, where it matters, or evenly."""
    if how % 2:
        return [packet for packet in re.split(rb"(?<=[\r\n.])", data) if packet]
    size = max(1 + how, len(data) // 32)
    return [data[at : at + size] for at in range(0, len(data), size)]


def _check(data: bytes) -> Hashable:
    """The first octet chooses the door, the second how the rest is cut into packets."""
    if len(data) < 3:
        return None
    kind, said = ("", "lmtp", "proxied")[data[0] % 3], data[2:]
    replies, mails = _LOOP.run_until_complete(session(_cut(said, data[1]), kind))
    assert _REPLIES.fullmatch(replies), f"no replies: {replies!r}"
    kept = replies.count(_KEPT)
    assert kept >= len(mails) if kind == "lmtp" else kept == len(mails), f"{len(mails)} kept: {replies!r}"
    at = 0
    for mail in mails:
        stuffed = (b"\r\n" + mail).replace(b"\r\n.", b"\r\n..")[2:]
        assert b"\r\n.\r\n" not in b"\r\n" + stuffed, f"an end within a mail: {mail!r}"
        # A client need not stuff what is no end, so the mail is looked for as it may have been written
        at = _written(said, mail, at)
    again = _LOOP.run_until_complete(session([said], kind))
    assert again == (replies, mails), f"packets make a difference: {again!r} {replies!r} {mails!r}"
    return tuple(line[:9] for line in replies.split(b"\r\n"))


def _written(said: bytes, mail: bytes, at: int) -> int:
    """Where a mail ends in what was said: after a line DATA, each line perhaps with a dot before it, then the dot."""
    lines = mail.split(b"\r\n")
    assert lines[-1] == b"", f"a mail without an end of its last line: {mail!r}"
    pattern = b"\\r\\n".join(b"\\.?" + re.escape(line) for line in lines[:-1])
    whole = rb"(?i:DATA)[ \t]*\r\n" + (pattern + rb"\r\n" if mail else b"") + rb"\.\r\n"
    found = re.compile(whole, re.DOTALL).search(said, at)
    assert found, f"{mail!r} was kept and never said"
    return found.end()


def _check_proxy(data: bytes) -> Hashable:
    try:
        header = read_proxy(data)
    except ProxyError as error:
        for end in range(len(data), len(data) + 3):  # what is wrong stays wrong
            try:
                read_proxy(data + bytes(end))
            except ProxyError:
                continue
            raise AssertionError("more octets mend it") from error
        return str(error)
    if header is None:
        return None
    assert 8 <= header.octets <= len(data)
    assert header == read_proxy(data + b"more"), "what follows makes a difference"
    assert read_proxy(data[: header.octets - 1]) is None, "half a header is none"
    if header.client:
        assert str(ipaddress.ip_address(header.client)) == header.client
    return bool(header.client), data[:1]


def _seeds() -> tuple[bytes, ...]:
    """What clients say in the dialogues that are written down."""
    found = []
    for path in _DIALOGS:
        kind = {"lmtp": b"\1", "proxied": b"\2"}.get(kind_of(path), b"\0")
        said = b""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("C: ") and line[3:] != "-":
                said += line[3:].encode() + b"\r\n"
            elif line.startswith("c: "):
                said += escaped(line[3:])
        found += [kind + b"\1" + said, kind + b"\0" + said]
    return tuple(found)


def _made(random: Random) -> bytes:
    """A session of commands in about the right order, with ends of all kinds."""
    door = random.choice((b"\0EHLO x\r\n", b"\1LHLO x\r\n", b"\2PROXY UNKNOWN\r\nEHLO x\r\n"))
    said = door[:1] + bytes([random.choice((0, 1, 1, 1, 2, 30, 254))]) + door[1:]
    for _ in range(random.randint(1, 4)):
        said += b"MAIL FROM:<>\r\nRCPT TO:<report@p>\r\nDATA\r\n"
        said += b"".join(random.choice(_WORDS) for _ in range(random.randint(0, 8))) + b"\r\n.\r\n"
    return said


TARGETS = (
    Target("door", _check, _seeds(), make=_made, longest=1024, words=_WORDS),
    Target(
        "proxy",
        _check_proxy,
        tuple(seed[2:] for seed in _seeds() if seed[:1] == b"\2"),
        longest=256,
        words=(*_WORDS, b"TCP4", b"TCP6", b"2001:db8::1", b"65535", b"\x21\x11\0\x0c", b"\x21\x21\0\x24"),
    ),
)
