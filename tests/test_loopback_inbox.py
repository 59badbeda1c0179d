"""The loopback internet's inbox, visited over HTTP."""

import email
import email.policy

import pytest

from complaints.loopback import Internet, Received
from tests.loopback_clients import NOW, REPORT, RETURN_PATH, browsing, send, with_mail, with_plaint


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

    with_mail(ask)


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

    with_mail(ask)


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

    with_mail(ask)


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

    with_mail(ask)


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

    with_mail(ask)


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
