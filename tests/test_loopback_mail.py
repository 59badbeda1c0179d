"""The loopback internet's mail hosts and what its mailboxes send back, spoken to in SMTP."""

import asyncio
import email
import email.policy
import logging
import smtplib
import ssl
import time
from email.message import EmailMessage
from typing import cast

import aiosmtplib
import pytest

from complaints.loopback import Internet, mailhost
from tests.loopback_clients import (
    NOW,
    REPORT,
    RETURN_PATH,
    address_of,
    mx_address,
    send,
    trusting,
    with_mail,
    with_plaint,
)


def test_a_mail_host_offers_what_a_modern_one_does_and_its_certificate_holds() -> None:
    async def ask(internet: Internet) -> None:
        host = await mx_address(internet, "cloud.example")

        def talk() -> bytes:
            with smtplib.SMTP(host, internet.mx_port, local_hostname="plaint.example", timeout=5) as client:
                client.ehlo()
                assert all(client.has_extn(name) for name in ("size", "8bitmime", "smtputf8", "starttls"))
                client._host = "mx.cloud.example"  # type: ignore[attr-defined]
                client.starttls(context=trusting(internet))
                client.ehlo()
                client.sendmail(RETURN_PATH, "abuse@cloud.example", REPORT)
                return client.docmd("NOOP")[1]

        await asyncio.to_thread(talk)
        [received] = await internet.wait_for(1, to="Abuse@Cloud.example")
        assert (received.tls, received.helo, received.host) == (True, "plaint.example", "mx.cloud.example")
        assert (received.mail_from, received.rcpt_tos) == (RETURN_PATH, ("abuse@cloud.example",))
        assert (received.raw, received.at, received.number) == (REPORT, NOW, 1)
        assert [q.server for q in internet.asked("smtp", "abuse@cloud.example")] == ["mx.cloud.example"]

    with_mail(ask)


@pytest.mark.parametrize(
    ("on_the_wire", "kept"),
    [
        (b"a\r\n..b\r\n...\r\n", b"a\r\n.b\r\n..\r\n"),
        (b"bare\nlf and bare\rcr\r\n", b"bare\nlf and bare\rcr\r\n"),
        (b"not the end\n.\nstill here\r\n", b"not the end\n.\nstill here\r\n"),
        (b"\x00\xff\xfe 8 bit\r\n", b"\x00\xff\xfe 8 bit\r\n"),
        (b"x" * 3_000_000 + b"\r\n", b"x" * 3_000_000 + b"\r\n"),
        (b"", b""),
    ],
    ids=["dots", "bare line ends", "smuggling", "binary", "long line", "nothing"],
)
def test_what_stood_between_data_and_the_dot_is_kept(on_the_wire: bytes, kept: bytes) -> None:
    async def ask(internet: Internet) -> None:
        reader, writer = await asyncio.open_connection(
            await mx_address(internet, "cloud.example"), internet.mx_port
        )
        for line in (
            b"",
            b"HELO x\r\n",
            b"MAIL FROM:<>\r\n",
            b"RCPT TO:<abuse@cloud.example>\r\n",
            b"DATA\r\n",
        ):
            writer.write(line)
            assert (await reader.readline())[:1] in b"23"
        writer.write(on_the_wire + b".\r\n")
        assert (await reader.readline()).startswith(b"250")
        writer.close()
        await writer.wait_closed()
        [received] = internet.messages
        assert received.raw == kept
        assert received.mail_from == ""

    with_mail(ask)


@pytest.mark.parametrize(
    ("mailbox", "reply", "kept"),
    [
        ("abuse@cloud.example", "2.0.0 kept", 1),
        ("anybody@victim.example", "2.0.0 kept", 1),
        ("abuse@fallback.example", "2.0.0 kept", 1),
        ("tempfail@cloud.example", "451", 0),
        ("permfail+tag@cloud.example", "550 5.7.1 message refused", 0),
        ("norcpt@cloud.example", "550 <norcpt@cloud.example>: user unknown", 0),
    ],
)
def test_a_mailbox_behaves_by_its_local_part(mailbox: str, reply: str, kept: int) -> None:
    async def ask(internet: Internet) -> None:
        said = await send(internet, mailbox)
        assert said.replace("5.1.1 ", "").startswith(reply)
        assert len(internet.messages) == kept

    with_mail(ask)


def test_mail_for_other_domains_is_not_relayed() -> None:
    async def ask(internet: Internet) -> None:
        host = await mx_address(internet, "cloud.example")
        async with aiosmtplib.SMTP(hostname=host, port=internet.mx_port, start_tls=False) as client:
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused, match="relaying denied"):
                await client.sendmail(RETURN_PATH, "a@plaint.example", REPORT)

    with_mail(ask)


def test_greylisting_refuses_an_envelope_once() -> None:
    async def ask(internet: Internet) -> None:
        replies = [await send(internet, "greylist@cloud.example") for _ in range(3)]
        replies.append(await send(internet, "greylist@cloud.example", sender="other@plaint.example"))
        assert [reply.partition(" ")[0] for reply in replies] == ["451", "2.0.0", "2.0.0", "451"]
        assert len(internet.asked("smtp", "greylist@")) == 4

    with_mail(ask)


def test_a_slow_mailbox_takes_its_time_for_the_reply() -> None:
    async def ask(internet: Internet) -> None:
        start = time.monotonic()
        assert (await send(internet, "slow@cloud.example")).startswith("2.0.0")
        assert time.monotonic() - start >= 0.3

    with_mail(ask)


def test_a_dropped_connection_leaves_the_sender_without_an_answer() -> None:
    async def ask(internet: Internet) -> None:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await send(internet, "drop@cloud.example")
        [received] = internet.messages
        assert (received.raw, received.answer) == (REPORT, "")
        assert (await send(internet, "abuse@cloud.example")).startswith("2.0.0")

    with_mail(ask)


@pytest.mark.parametrize("host", ["down", "silent", "busy", "plain", "odd"])
def test_a_mail_host_misbehaves_on_request(host: str) -> None:
    async def ask(internet: Internet) -> None:
        address = await address_of(internet, f"{host}.hosts.example")
        client = aiosmtplib.SMTP(hostname=address, port=internet.mx_port, timeout=0.5, start_tls=False)
        if host == "down":
            with pytest.raises(aiosmtplib.SMTPConnectError, match="connect"):
                await client.connect()
        elif host == "silent":
            with pytest.raises(aiosmtplib.SMTPConnectTimeoutError):
                await client.connect()
        elif host == "busy":
            with pytest.raises(aiosmtplib.SMTPConnectResponseError, match="421"):
                await client.connect()
        else:
            await client.connect()
            await client.ehlo()
            assert client.supports_extension("starttls") is (host == "odd")
            if host == "odd":
                with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError, OSError)):
                    await client.starttls(server_hostname="odd.hosts.example", tls_context=trusting(internet))
            client.close()

    with_mail(ask)


def test_waiting_for_mail_that_does_not_come_says_what_came() -> None:
    async def ask(internet: Internet) -> None:
        await send(internet, "abuse@cloud.example")
        with pytest.raises(
            TimeoutError, match=r"0 of 2 messages to spam@cloud\.example .* abuse@cloud\.example"
        ):
            await internet.wait_for(2, to="spam@cloud.example", seconds=0.1)
        waiting = asyncio.create_task(internet.wait_for(2, seconds=5))
        await asyncio.sleep(0)
        await send(internet, "anybody@victim.example", "abuse@victim.example")
        assert [m.number for m in await waiting] == [1, 2]

    with_mail(ask)


def test_only_the_newest_messages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(internet: Internet) -> None:
        for _ in range(5):
            await send(internet, "abuse@cloud.example")
        assert [m.number for m in internet.messages] == [3, 4, 5]

    monkeypatch.setattr(mailhost, "MOST_MESSAGES", 3)
    with_mail(ask)
    monkeypatch.setattr(mailhost, "MOST_MESSAGES", 100)
    monkeypatch.setattr(mailhost, "MOST_BYTES", 3 * len(REPORT) + 1)
    with_mail(ask)


@pytest.mark.parametrize("mailbox", ["bounce@cloud.example", "abuse@gone.example"])
def test_a_bounce_is_a_delivery_status_notification_to_the_envelope_sender(mailbox: str) -> None:
    async def ask(internet: Internet, plaint: Internet) -> None:
        assert (await send(internet, mailbox)).startswith("2.0.0")
        [bounce] = await plaint.wait_for(1)
        assert (bounce.mail_from, bounce.rcpt_tos) == ("", (RETURN_PATH,))
        message = email.message_from_bytes(bounce.raw, policy=email.policy.default)
        assert message.get_content_type() == "multipart/report"
        assert message["Content-Type"].params["report-type"] == "delivery-status"
        words, status, returned = message.iter_parts()
        assert mailbox in words.get_content()
        per_message, per_recipient = cast("list[EmailMessage]", status.get_payload())
        assert per_message["Reporting-MTA"].startswith("dns; mx.")
        assert per_recipient["Final-Recipient"] == f"rfc822; {mailbox}"
        assert (per_recipient["Action"], per_recipient["Status"]) == ("failed", "5.1.1")
        assert returned.get_content_type() == "text/rfc822-headers"
        assert "Message-ID: <r81@plaint.example>" in returned.get_content()

    with_plaint(ask)


def test_an_automatic_reply_says_that_it_is_one() -> None:
    async def ask(internet: Internet, plaint: Internet) -> None:
        await send(internet, "autoreply@cloud.example")
        [reply] = await plaint.wait_for(1)
        assert (reply.mail_from, reply.rcpt_tos) == ("", (RETURN_PATH,))
        message = email.message_from_bytes(reply.raw, policy=email.policy.default)
        assert (message["Auto-Submitted"], message["In-Reply-To"]) == ("auto-replied", "<r81@plaint.example>")
        assert message["Subject"] == "Auto: [abuse] Müll"

    with_plaint(ask)


def test_a_desk_answers_to_reply_to_like_a_person() -> None:
    async def ask(internet: Internet, plaint: Internet) -> None:
        await send(internet, "answer@cloud.example")
        [reply] = await plaint.wait_for(1)
        assert (reply.mail_from, reply.rcpt_tos) == ("answer@cloud.example", ("a.k3m@plaint.example",))
        message = email.message_from_bytes(reply.raw, policy=email.policy.default)
        assert message["Auto-Submitted"] is None
        assert (message["Subject"], message["References"]) == ("Re: [abuse] Müll", "<r81@plaint.example>")

    with_plaint(ask)


def test_nothing_is_sent_to_the_null_sender(caplog: pytest.LogCaptureFixture) -> None:
    async def ask(internet: Internet, plaint: Internet) -> None:
        for mailbox in ("bounce@cloud.example", "autoreply@cloud.example"):
            await send(internet, mailbox, sender="")
        await send(internet, "answer@cloud.example", raw=b"Subject: no addresses\r\n\r\nx\r\n")
        await send(internet, "bounce@cloud.example")
        assert [m.rcpt_tos for m in await plaint.wait_for(1)] == [(RETURN_PATH,)]

    with_plaint(ask)
    assert not [r for r in caplog.records if r.name.startswith("complaints.loopback")]


def test_a_letter_plaint_does_not_take_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def ask(internet: Internet) -> None:
        with caplog.at_level(logging.WARNING, logger="complaints.loopback"):
            await send(internet, "bounce@cloud.example")
            internet.plaint_smtp = (await mx_address(internet, "cloud.example"), internet.mx_port)
            await send(internet, "bounce@cloud.example")
            for _ in range(100):
                if len(caplog.messages) == 2:
                    break
                await asyncio.sleep(0.02)
        first, second = sorted(caplog.messages)
        assert RETURN_PATH in first
        assert RETURN_PATH in second
        assert "relaying denied" in first + second
        assert "plaint_smtp is not set" in first + second

    with_mail(ask)
