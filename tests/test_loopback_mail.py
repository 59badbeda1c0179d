"""The loopback internet's mail hosts and inbox: real SMTP and HTTP clients, and how everything ends."""

import asyncio
import contextlib
import email
import email.policy
import gc
import logging
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import aiosmtplib
import dns.asyncresolver
import httpx
import pytest

from complaints.loopback import Internet, Received, World, loopback_internet, mailhost, places

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RETURN_PATH = "r.81a7@plaint.example"
WORLD = """
[world]
slow_seconds = 0.3

[networks."198.51.100.0/26"]
name = "EXAMPLE-CLOUD"
registry = "ripe"
abuse = "abuse@cloud.example"

[domains."victim.example"]
mx = ["mx.victim.example"]

[domains."fallback.example"]
mx = []

[domains."hosts.example"]
mx = ["down.hosts.example", "silent.hosts.example", "busy.hosts.example", "plain.hosts.example", "odd.hosts.example"]

[mail_hosts]
"down.hosts.example" = "down"
"silent.hosts.example" = "silent"
"busy.hosts.example" = "421"
"plain.hosts.example" = "no-starttls"
"odd.hosts.example" = "bad-certificate"

[mailboxes]
"abuse@gone.example" = "bounce"
"""
# Where Plaint would be: another loopback internet, whose mail domain is Plaint's.
PLAINT = '[domains."plaint.example"]\nmx = ["mx.plaint.example"]'
REPORT = (
    b"From: Plaint <report@plaint.example>\r\nReply-To: a.k3m@plaint.example\r\nTo: abuse@cloud.example\r\n"
    b"Subject: =?utf-8?q?=5Babuse=5D_M=C3=BCll?=\r\nMessage-ID: <r81@plaint.example>\r\n"
    b"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nM\xc3\xbcll <b>from</b> 198.51.100.9\r\n"
    b"Review: http://127.0.0.1:8025/r/abc?x=1&y=2 http://pills.example/\r\n"
    b"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: <script>alert(1)</script>\r\n\r\n"
    b'see <a href="http://127.0.0.1:1/x">this</a>\r\n--b--\r\n'
)


@contextlib.asynccontextmanager
async def running(world: str = WORLD) -> AsyncIterator[Internet]:
    async with loopback_internet(World.parse(world), clock=lambda: NOW) as internet:
        yield internet


def on(ask: Callable[[Internet], Awaitable[None]], world: str = WORLD) -> None:
    async def held() -> None:
        async with running(world) as internet:
            await ask(internet)

    asyncio.run(held())


def with_plaint(ask: Callable[[Internet, Internet], Awaitable[None]]) -> None:
    """A world, and beside it a mail host that stands for Plaint's SMTP door."""

    async def held() -> None:
        async with running() as internet, running(PLAINT) as plaint:
            internet.plaint_smtp = (await mx_address(plaint, "plaint.example"), plaint.mx_port)
            await ask(internet, plaint)

    asyncio.run(held())


async def address_of(internet: Internet, host: str) -> str:
    server, port = internet.dns.split(":")
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [server], int(port)
    return str((await resolver.resolve(host, "A"))[0])


async def mx_address(internet: Internet, domain: str) -> str:
    """The loopback address of the first mail host of a domain, found as a sender finds it."""
    server, port = internet.dns.split(":")
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [server], int(port)
    mx = await resolver.resolve(domain, "MX", raise_on_no_answer=False)
    return await address_of(internet, str(mx[0].exchange) if mx.rrset else domain)


async def send(internet: Internet, *to: str, raw: bytes = REPORT, sender: str = RETURN_PATH) -> str:
    """Deliver straight to the MX and return its reply; SMTP refusals are returned as their code and text."""
    host = await mx_address(internet, to[0].rpartition("@")[2])
    try:
        async with aiosmtplib.SMTP(hostname=host, port=internet.mx_port, start_tls=False) as client:
            _, said = await client.sendmail(sender, to, raw)
    except aiosmtplib.SMTPRecipientsRefused as refused:
        return f"{refused.recipients[0].code} {refused.recipients[0].message}"
    except aiosmtplib.SMTPResponseException as refused:
        return f"{refused.code} {refused.message}"
    return said


def trusting(internet: Internet) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(internet.ca_file))


# --- mail hosts -----------------------------------------------------------------------------------------------


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

    on(ask)


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

    on(ask)


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

    on(ask)


def test_mail_for_other_domains_is_not_relayed() -> None:
    async def ask(internet: Internet) -> None:
        host = await mx_address(internet, "cloud.example")
        async with aiosmtplib.SMTP(hostname=host, port=internet.mx_port, start_tls=False) as client:
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused, match="relaying denied"):
                await client.sendmail(RETURN_PATH, "a@plaint.example", REPORT)

    on(ask)


def test_greylisting_refuses_an_envelope_once() -> None:
    async def ask(internet: Internet) -> None:
        replies = [await send(internet, "greylist@cloud.example") for _ in range(3)]
        replies.append(await send(internet, "greylist@cloud.example", sender="other@plaint.example"))
        assert [reply.partition(" ")[0] for reply in replies] == ["451", "2.0.0", "2.0.0", "451"]
        assert len(internet.asked("smtp", "greylist@")) == 4

    on(ask)


def test_a_slow_mailbox_takes_its_time_for_the_reply() -> None:
    async def ask(internet: Internet) -> None:
        start = time.monotonic()
        assert (await send(internet, "slow@cloud.example")).startswith("2.0.0")
        assert time.monotonic() - start >= 0.3

    on(ask)


def test_a_dropped_connection_leaves_the_sender_without_an_answer() -> None:
    async def ask(internet: Internet) -> None:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await send(internet, "drop@cloud.example")
        [received] = internet.messages
        assert (received.raw, received.answer) == (REPORT, "")
        assert (await send(internet, "abuse@cloud.example")).startswith("2.0.0")

    on(ask)


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

    on(ask)


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

    on(ask)


def test_only_the_newest_messages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(internet: Internet) -> None:
        for _ in range(5):
            await send(internet, "abuse@cloud.example")
        assert [m.number for m in internet.messages] == [3, 4, 5]

    monkeypatch.setattr(mailhost, "MOST_MESSAGES", 3)
    on(ask)


# --- what comes back ------------------------------------------------------------------------------------------


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

    on(ask)


# --- the inbox ------------------------------------------------------------------------------------------------


def browsing(internet: Internet) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=internet.inbox_url, trust_env=False)


def test_the_inbox_lists_newest_first_and_shows_mail_as_text() -> None:
    async def ask(internet: Internet) -> None:
        await send(internet, "abuse@cloud.example", raw=b"Subject: <img src=x onerror=alert(1)>\r\n\r\nx\r\n")
        await send(internet, "abuse@cloud.example")
        await send(internet, "alice@victim.example", raw=b"Subject: notice\r\n\r\nx\r\n")
        async with browsing(internet) as browser:
            page = await browser.get("/")
            assert (
                page.text.index("notice") < page.text.index("[abuse] Müll") < page.text.index("&lt;img src=x")
            )
            assert "<img" not in page.text
            assert '<meta http-equiv="refresh"' in page.text
            assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
            one = (await browser.get("/", params={"to": "alice@victim.example"})).text
            assert "notice" in one
            assert "Müll" not in one
            assert (await browser.get("/style.css")).headers["content-type"].startswith("text/css")

    on(ask)


def test_a_report_is_shown_in_its_three_parts_and_links_nowhere_but_here() -> None:
    async def ask(internet: Internet) -> None:
        await send(internet, "abuse@cloud.example")
        async with browsing(internet) as browser:
            page = (await browser.get("/messages/1")).text
        for n, kind in enumerate(("text/plain", "message/feedback-report", "message/rfc822"), start=1):
            assert f"Part {n}: {kind}" in page
        assert "Müll &lt;b&gt;from&lt;/b&gt;" in page
        assert "Feedback-Type: abuse" in page
        assert "Subject: &lt;script&gt;" in page
        assert "<script" not in page
        assert 'href="http://127.0.0.1:8025/r/abc?x=1&amp;y=2"' in page
        assert page.count('href="http') == 1
        assert RETURN_PATH in page
        assert "without TLS" in page

    on(ask)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?nosuch?b?////?=\r\nContent-Type: text/plain; charset=nosuch\r\n\r\n\xff",
        b"Content-Type: multipart/report; boundary=x\r\n\r\nno parts",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n--x--",
        b"Subject: \xff\xfe\r\nTo: \x80\r\n\r\n\x1b[31mred\x1b[0m",
        b"x" * 300_000,
    ],
)
def test_odd_mail_does_not_break_the_inbox(raw: bytes) -> None:
    async def ask(internet: Internet) -> None:
        internet.messages.append(
            Received(7, "", ("a@cloud.example",), raw, NOW, False, "", "mx.cloud.example", "250")
        )
        async with browsing(internet) as browser:
            assert [
                (await browser.get(path)).status_code for path in ("/", "/messages/7", "/messages.json")
            ] == [200] * 3
            assert len((await browser.get("/messages/7")).content) < 250_000

    on(ask)


def test_messages_are_there_as_json_and_as_received() -> None:
    async def ask(internet: Internet) -> None:
        await send(internet, "abuse@cloud.example")
        async with browsing(internet) as browser:
            [row] = (await browser.get("/messages.json")).json()
            assert (row["mail_from"], row["rcpt_tos"]) == (RETURN_PATH, ["abuse@cloud.example"])
            assert (row["subject"], row["size"], row["at"]) == ("[abuse] Müll", len(REPORT), NOW.isoformat())
            source = await browser.get(row["source"])
            assert source.content == REPORT
            assert source.headers["content-disposition"].startswith("attachment")
            assert (await browser.get("/messages/2")).status_code == 404

    on(ask)


def test_one_answers_as_the_desk_and_the_answer_reaches_plaint() -> None:
    async def ask(internet: Internet, plaint: Internet) -> None:
        await send(internet, "abuse@cloud.example")
        await send(internet, "alice@victim.example")
        async with browsing(internet) as browser:
            assert "Answer as abuse@cloud.example" in (await browser.get("/messages/1")).text
            assert "Answer as" not in (await browser.get("/messages/2")).text
            form = {"verdict": "not ours", "text": "Grüße\r\n.\r\nfrom the desk"}
            told = await browser.post("/messages/1/answer", data=form)
            assert (told.status_code, "Sent to a.k3m@plaint.example" in told.text) == (200, True)
        [reply] = await plaint.wait_for(1, to="a.k3m@plaint.example")
        assert reply.mail_from == "abuse@cloud.example"
        words = email.message_from_bytes(reply.raw, policy=email.policy.default).get_content()
        assert "not in our network" in words
        assert "Grüße\r\n.\r\nfrom the desk" in words

    with_plaint(ask)


def test_an_answer_that_cannot_be_sent_says_so() -> None:
    async def ask(internet: Internet) -> None:
        await send(internet, "abuse@cloud.example")
        await send(internet, "abuse@cloud.example", raw=b"Subject: nobody\r\n\r\nx\r\n")
        async with browsing(internet) as browser:
            lost = await browser.post("/messages/1/answer", data={"verdict": "resolved"})
            assert (lost.status_code, "plaint_smtp is not set" in lost.text) == (502, True)
            nobody = await browser.post("/messages/2/answer", data={"verdict": "resolved"})
            assert (nobody.status_code, "names no address" in nobody.text) == (422, True)
            assert (await browser.post("/messages/1/answer", data={"verdict": "?"})).status_code == 422
            assert (await browser.get("/messages/1/answer")).status_code == 405

    on(ask)


def test_other_sites_can_neither_read_the_inbox_nor_answer() -> None:
    async def ask(internet: Internet, plaint: Internet) -> None:
        await send(internet, "abuse@cloud.example")
        async with browsing(internet) as browser:
            rebound = await browser.get("/", headers={"Host": "evil.example"})
            assert rebound.status_code == 400
            form = {"verdict": "resolved"}
            for origin in ("http://evil.example", "null"):
                crossed = await browser.post("/messages/1/answer", data=form, headers={"Origin": origin})
                assert crossed.status_code == 403
            own = internet.inbox_url.rstrip("/")
            assert (
                await browser.post("/messages/1/answer", data=form, headers={"Origin": own})
            ).status_code == 200
        assert len(await plaint.wait_for(1)) == 1

    with_plaint(ask)


# --- the end --------------------------------------------------------------------------------------------------


def test_it_ends_at_once_and_leaves_nothing_whatever_is_still_open() -> None:
    async def held() -> float:
        async with running(
            WORLD + '[registries.ripe]\nwhois_way = "timeout"\nrdap_way = "timeout"'
        ) as internet:
            folder = internet.ca_file.parent.parent
            host = await mx_address(internet, "cloud.example")
            tls = aiosmtplib.SMTP(hostname=host, port=internet.mx_port, start_tls=False)
            await tls.connect()
            await tls.starttls(server_hostname="mx.cloud.example", tls_context=trusting(internet))
            doors = [
                (host, internet.mx_port),
                (await address_of(internet, "silent.hosts.example"), internet.mx_port),
                (await address_of(internet, "whois.ripe.example"), internet.whois_port),
                (internet.dns.split(":")[0], int(internet.dns.split(":")[1])),
                ("127.0.0.1", httpx.URL(internet.inbox_url).port or 0),
            ]
            opened = [await asyncio.open_connection(*place) for place in doors]
            for _, writer in opened:
                writer.write(b"198.51.100.9\r\n")
            bases = (internet.rdap_bootstrap / "ipv4.json").read_text()
            port = int(bases.partition("rdap.ripe.example:")[2].partition("/")[0])
            waiting = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting(internet), server_hostname="rdap.ripe.example"
            )
            waiting[1].write(
                f"GET /ip/198.51.100.9 HTTP/1.1\r\nHost: rdap.ripe.example:{port}\r\n\r\n".encode()
            )
            while not internet.asked("rdap"):
                await asyncio.sleep(0.01)
            asyncio.get_running_loop().call_soon(lambda: None)
            start = time.monotonic()
        spent = time.monotonic() - start
        tls.close()
        for _, writer in [*opened, waiting]:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others
        assert not folder.exists()
        for place in doors:
            with pytest.raises(OSError):
                await asyncio.open_connection(*place)
        return spent

    assert asyncio.run(held()) < 1
    gc.collect()


def test_every_desk_of_the_demo_can_be_written_to() -> None:
    async def held() -> None:
        async with loopback_internet() as internet:
            for desk in internet.world.desks:
                assert (await send(internet, desk, sender="")).startswith("2.0.0"), desk
            assert len(await internet.wait_for(len(internet.world.desks))) > 10

    asyncio.run(held())


def test_a_port_that_is_free_on_some_addresses_only_is_tried_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, calls = places.tcp_socket, 0

    def second_is_taken(address: str, port: int) -> socket.socket:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("taken")
        return real(address, port)

    monkeypatch.setattr(places, "tcp_socket", second_is_taken)
    found = places.listening_sockets(["127.0.0.10", "127.0.0.11"])
    assert len({sock.getsockname()[1] for sock in found.values()}) == 1
    assert calls == 4
    for sock in found.values():
        sock.close()
    gc.collect()


def test_two_internets_live_side_by_side() -> None:
    async def held() -> None:
        async with running() as one, running() as other:
            await send(one, "abuse@cloud.example")
            assert (len(one.messages), len(other.messages)) == (1, 0)
            assert not set(one.settings().values()) & set(other.settings().values()) - {
                "whois.iana.example",
                "abuse-contacts.example",
            }

    asyncio.run(held())


def test_a_taken_inbox_port_is_named() -> None:
    async def held(port: int) -> None:
        async with loopback_internet(World.parse(WORLD), inbox_port=port):
            pass

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            asyncio.run(held(port))
    gc.collect()


def test_it_runs_alone_and_prints_what_a_shell_needs(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(WORLD)
    command = [sys.executable, "-W", "error", "-m", "complaints.loopback", str(tmp_path / "mine.toml")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    lines = [running.stdout.readline() for _ in range(8)]
    exports = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines[:7])
    assert set(exports) == {
        *("PLAINT_DNS", "PLAINT_WHOIS_ROOT", "PLAINT_WHOIS_PORT", "PLAINT_RDAP_BOOTSTRAP", "PLAINT_CA_FILE"),
        *("PLAINT_MX_PORT", "PLAINT_CONTACT_ZONES"),
    }
    inbox = lines[7].removeprefix("# inbox: ").strip()
    assert httpx.get(inbox, trust_env=False).status_code == 200
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=10)
    assert (running.returncode, errors) == (0, "")
    assert not Path(exports["PLAINT_CA_FILE"]).exists()


def test_an_unknown_world_is_a_usage_error() -> None:
    command = [sys.executable, "-m", "complaints.loopback", "atlantis"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (ran.returncode, "atlantis" in ran.stderr) == (2, True)


def test_it_imports_no_stage_and_no_database() -> None:
    code = "import sys, complaints.loopback; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(ran.stdout.split())
    assert not {"sqlmodel", "sqlalchemy"} & loaded
    assert not [m for m in loaded if m.startswith(("complaints.", "abuse_lookup")) and ".loopback" not in m]
