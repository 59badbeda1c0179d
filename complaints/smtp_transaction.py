"""One mail transaction with a mail host that has greeted us: takes a parcel, leaves the host's verdict.

The dangerous part of sending. Until the final dot is written, whatever goes wrong means that the mail was not
taken; from then on, no answer means that nobody knows (RFC 5321 §4.2.5, §6.1; promise 4).
"""

import asyncio
import os
import ssl
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import aiosmtplib
import aiosmtplib.protocol

State = Literal["sent", "deferred", "refused", "unknown"]
BeforeDot = Callable[[], Awaitable[None]]

Answer = aiosmtplib.SMTPResponse | aiosmtplib.SMTPResponseException
LOST = (aiosmtplib.SMTPException, OSError)
"""What aiosmtplib raises when a connection fails or an answer is none; time-outs are among them."""
LONGEST_TEXT = 1000
"""Characters kept of an answer."""


class Verdict(NamedTuple):
    """An `Outcome` before it is known whose it is."""

    state: State
    code: int | None
    text: str


@dataclass(frozen=True)
class Parcel:
    """A mail with its envelope, as it goes over the wire."""

    raw: bytes
    mail_from: str
    to: str

    @property
    def utf8(self) -> bool:
        """Whether SMTPUTF8 is needed: for an address or a header field (RFC 6531 §3.2)."""
        header = self.raw.partition(b"\r\n\r\n")[0]
        return not (self.mail_from.isascii() and self.to.isascii() and header.isascii())


async def transact(client: aiosmtplib.SMTP, parcel: Parcel, before_dot: BeforeDot, seconds: float) -> Verdict:
    """Send one mail. `seconds` bounds each answer, twice as long the last (RFC 5321 §4.5.3.2).

    What `before_dot` raises comes through; the dot is not written then.
    """
    if no := await _envelope(client, parcel):
        return no
    protocol, transport = client.protocol, cast("asyncio.WriteTransport", client.transport)
    if protocol is None:
        return Verdict("deferred", None, "the mail host closed the connection after DATA")
    answering = asyncio.create_task(protocol.read_response())  # also one that comes before the dot is heard
    try:
        no = await _all_but_the_dot(parcel, protocol, transport, answering, seconds)
        no = no or await _hook(before_dot, answering)
        if no:
            transport.abort()  # a mail that was begun can only be dropped together with the connection
            return no
        return await _the_dot(protocol, answering, 2 * seconds)
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


async def _envelope(client: aiosmtplib.SMTP, parcel: Parcel) -> Verdict | None:
    """Come as far as the 354, or bring back why not."""
    if lack := _lack(client, parcel):
        return Verdict("refused", None, lack)
    try:
        for command in (_mail_command(client, parcel), f"RCPT TO:<{parcel.to}>"):
            answer = await client.execute_command(command.encode())
            if answer.code // 100 != 2:
                return refusal(answer)
        answer = await client.execute_command(b"DATA")
    except LOST as error:
        return Verdict("deferred", None, trouble(error))
    return None if answer.code == 354 else refusal(answer)


def _lack(client: aiosmtplib.SMTP, parcel: Parcel) -> str:
    """Say why this host can never take this mail, which we do not re-code: its bytes were consented to."""
    if parcel.utf8 and not client.supports_extension("smtputf8"):
        return "the mail host does not offer SMTPUTF8, which an address or header field needs (RFC 6531)"
    if not parcel.raw.isascii() and not client.supports_extension("8bitmime"):
        return "the mail host does not offer 8BITMIME, which this mail needs (RFC 6152)"
    most = client.esmtp_extensions.get("size", "")
    if most.isdecimal() and 0 < int(most) < len(parcel.raw):
        return f"the mail host takes {most} octets at most, this mail has {len(parcel.raw)} (RFC 1870)"
    return ""


def _mail_command(client: aiosmtplib.SMTP, parcel: Parcel) -> str:
    words = [f"MAIL FROM:<{parcel.mail_from}>"]
    if client.supports_extension("size"):
        words.append(f"SIZE={len(parcel.raw)}")
    if not parcel.raw.isascii():
        words.append("BODY=8BITMIME")
    if parcel.utf8:
        words.append("SMTPUTF8")
    return " ".join(words)


async def _all_but_the_dot(
    parcel: Parcel,
    protocol: aiosmtplib.protocol.SMTPProtocol,
    transport: asyncio.WriteTransport,
    answering: asyncio.Task[aiosmtplib.SMTPResponse],
    seconds: float,
) -> Verdict | None:
    """Send the content, dot-stuffed (RFC 5321 §4.5.2), and wait until all of it is taken off our hands."""
    stuffed = parcel.raw.replace(b"\r\n.", b"\r\n..")
    clock = asyncio.get_running_loop().time
    try:
        protocol.write(b"." + stuffed if stuffed.startswith(b".") else stuffed)
    except LOST as error:
        return Verdict("deferred", None, trouble(error))
    left, since = transport.get_write_buffer_size(), clock()
    while left and not answering.done():
        await asyncio.wait({answering}, timeout=0.02)
        now = transport.get_write_buffer_size()
        if now < left:
            left, since = now, clock()
        elif clock() - since > seconds:
            return Verdict("deferred", None, f"the mail host took nothing for {seconds:g} seconds")
    return _early(answering)


async def _hook(before_dot: BeforeDot, answering: asyncio.Task[aiosmtplib.SMTPResponse]) -> Verdict | None:
    await before_dot()
    return _early(answering)


def _early(answering: asyncio.Task[aiosmtplib.SMTPResponse]) -> Verdict | None:
    """Read what the host said, or that it left, before it had the dot: it has not taken the mail."""
    if not answering.done():
        return None
    if error := answering.exception():
        return Verdict("deferred", None, trouble(error))
    return refusal(answering.result())


async def _the_dot(
    protocol: aiosmtplib.protocol.SMTPProtocol,
    answering: asyncio.Task[aiosmtplib.SMTPResponse],
    seconds: float,
) -> Verdict:
    """Send the dot. From here on no answer means that nobody knows."""
    try:
        protocol.write(b".\r\n")
    except LOST as error:
        return Verdict("deferred", None, trouble(error))  # it was closed before: nothing went out
    try:
        async with asyncio.timeout(seconds):
            answer = await answering
    except LOST as error:
        return Verdict("unknown", None, f"no answer to the final dot: {trouble(error)}")
    if answer.code // 100 in {4, 5}:
        return refusal(answer)
    state: State = "sent" if answer.code // 100 == 2 else "unknown"
    return Verdict(state, answer.code, one_line(f"{answer.code} {answer.message}"))


def refusal(answer: Answer) -> Verdict:
    """Read an answer that is not the one we need: it is refused for good, or for now."""
    state: State = "refused" if answer.code // 100 == 5 else "deferred"
    return Verdict(state, answer.code, one_line(f"{answer.code} {answer.message}"))


def trouble(error: BaseException) -> str:
    """Say in words what went wrong with a connection."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return one_line(str(error)) or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)


def one_line(text: str) -> str:
    """Make one line of what a stranger said that can do no harm in a page, a mail or a terminal."""
    line = " ".join(text.split())
    return "".join(c if unicodedata.category(c)[0] != "C" else "\ufffd" for c in line)[:LONGEST_TEXT]
