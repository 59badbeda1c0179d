"""The main job, end to end, on both databases: from a reporter's mail client to a desk's mailbox and back."""

import asyncio
import email
import hashlib
from dataclasses import replace
from email import policy
from pathlib import Path

import dkim

from complaints.loopback import Letter, Received, World
from tests.house import ALICE, BOB, CLOUD, SAVANNA, House, house, spam


def sent_bytes(message: Received) -> bytes:
    """What stood below the signature added in transit: the report itself."""
    _, mark, rest = message.raw.partition(b"From: Plaint ")
    return mark + rest


def test_a_spam_goes_from_the_reporters_mail_client_to_the_desk_and_the_answer_comes_back(
    tmp_path: Path, database_url: str
) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url) as home:
            original = spam()
            [document] = await home.waiting(original)
            assert document["source_ip"] == CLOUD
            assert (await home.api("GET", f"/complaints/{document['id']}/raw")).content == original

            [notice] = await home.internet.wait_for(1, to=ALICE)
            assert f"/review/{document['id']}." in text_of(notice)
            assert notice.mail_from == ""

            reports = {report["to"]: report for report in document["reports"]}
            desk = reports["abuse@cloud.example"]
            assert desk["ticked"]
            shown = (await home.api("GET", f"/complaints/{document['id']}/reports/{desk['id']}")).content
            assert desk["digest"] == "sha256:" + hashlib.sha256(shown).hexdigest()
            assert ALICE.encode() not in shown

            assert home.internet.messages == [notice]
            assert (await home.confirm(document, ["abuse@cloud.example"])).status_code == 202
            [arrived] = await home.internet.wait_for(1, to="abuse@cloud.example")
            assert sent_bytes(arrived) == shown
            assert arrived.mail_from.startswith("bounce-")
            await home.until(document["id"], "sent")

            await home.internet.deliver(human_answer(arrived, "We closed the customer's account. Thanks!"))
            replies = await replied(home, document["id"])
            assert replies[0]["kind"] in {"answer", "verdict"}
            assert "closed the customer" in replies[0]["text"]
            _, told = await home.internet.wait_for(2, to=ALICE)
            assert "closed the customer" in text_of(told)
            assert (await home.show(document["id"]))["state"] == "closed"

    asyncio.run(main())


def test_many_spams_in_one_mail_are_one_complaint_each_and_one_notice(
    tmp_path: Path, database_url: str
) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url) as home:
            await home.forward([spam(subject=f"Number {n}") for n in range(5)])
            found = await home.complaints(5)
            assert {item["subject"] for item in found} == {f"Number {n}" for n in range(5)}
            [notice] = await home.internet.wait_for(1, to=ALICE)
            await home.sweeps()
            assert len(home.internet.messages) == 1
            assert all(f"Number {n}" in text_of(notice) for n in range(5))

    asyncio.run(main())


def test_a_bounce_finds_its_report(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url) as home:
            [document] = await home.waiting(spam("203.0.113.210"))
            assert (await home.confirm(document, ["abuse@deadletter.example"])).status_code == 202
            after = await home.until(document["id"], "bounced")
            [report] = [one for one in after["reports"] if one["to"] == "abuse@deadletter.example"]
            assert report["replies"][0]["kind"] == "bounce"
            assert report["replies"][0]["status"] == "5.1.1"

    asyncio.run(main())


def test_an_automatic_answer_is_kept_and_never_passed_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            [document] = await home.waiting(spam("198.51.100.70"))
            assert (await home.confirm(document, ["abuse@isp.example"])).status_code == 202
            replies = await replied(home, document["id"])
            assert replies[0]["kind"] == "automatic"
            [arrived] = [one for one in home.internet.messages if "abuse@isp.example" in one.rcpt_tos]
            letter = human_answer(arrived, "I am away until Monday.")
            away = replace(letter, raw=b"Auto-Submitted: auto-replied\r\n" + letter.raw)
            await home.internet.deliver(away)
            replies = await replied(home, document["id"], 2)
            assert [one["kind"] for one in replies] == ["automatic", "automatic"]
            await home.internet.wait_for(1, to=ALICE)
            await home.sweeps()
            assert len([m for m in home.internet.messages if ALICE in m.rcpt_tos]) == 1

    asyncio.run(main())


def test_the_report_is_signed_and_a_desk_can_check_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            [document] = await home.waiting()
            await home.confirm(document, ["abuse@cloud.example"])
            [arrived] = await home.internet.wait_for(1, to="abuse@cloud.example")
            from complaints import signing

            pem = (home.settings.data / "secrets" / "dkim.pem").read_bytes()
            record = signing.dns_record(pem).encode()
            assert dkim.verify(arrived.raw, dnsfunc=lambda *_, **__: record)
            message = email.message_from_bytes(arrived.raw, policy=policy.default)
            assert message.get_content_type() == "multipart/report"
            assert message["Subject"] == "Cheap pills"
            assert message["Auto-Submitted"] == "auto-generated"

    asyncio.run(main())


def test_a_desk_that_says_try_later_gets_the_report_later(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        world = demo_with('[mailboxes]\n"abuse@cloud.example" = "greylist"\n')
        async with house(tmp_path, database_url, world=world) as home:
            [document] = await home.waiting()
            await home.confirm(document, ["abuse@cloud.example"])
            [_] = await home.internet.wait_for(1, to="abuse@cloud.example", seconds=20)
            after = await home.until(document["id"], "sent")
            [report] = [one for one in after["reports"] if one["to"] == "abuse@cloud.example"]
            assert [attempt["outcome"] for attempt in report["attempts"]] == ["deferred", "sent"]

    asyncio.run(main())


def test_a_desk_that_refuses_for_good_is_not_asked_again(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        world = demo_with('[mailboxes]\n"abuse@cloud.example" = "permfail"\n')
        async with house(tmp_path, database_url, world=world) as home:
            [document] = await home.waiting()
            await home.confirm(document, ["abuse@cloud.example"])
            after = await home.until(document["id"], "failed")
            [report] = [one for one in after["reports"] if one["to"] == "abuse@cloud.example"]
            assert "550" in report["detail"]
            assert len(report["attempts"]) == 1

    asyncio.run(main())


def test_a_desk_found_only_in_whois_is_told_with_its_reason(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            [document] = await home.waiting(spam(SAVANNA))
            [report] = [one for one in document["reports"] if one["to"] == "abuse@savanna.example"]
            assert report["source"] == "whois"
            assert report["server"] in report["why"] or "WHOIS" in report["why"]
            seen = await home.api("GET", f"/complaints/{document['id']}/reports/{report['id']}")
            assert report["why"] in " ".join(seen.text.split()), "the desk reads why it is told"

    asyncio.run(main())


def test_an_unknown_recipient_is_refused_and_a_strangers_complaint_does_not_exist(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            import aiosmtplib
            import pytest

            with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
                await home.forward([spam()], to="a" * 26 + "@plaint.example")
            assert refused.value.recipients[0].code == 550

            [document] = await home.waiting()
            from complaints import reporters

            with home.office.db.transaction() as session:
                bob = reporters.add(session, home.office, BOB, verified=True)
            for path in ("", "/raw", f"/reports/{document['reports'][0]['id']}"):
                headers = {"Authorization": f"Bearer {bob.token}"}
                strange = await home.http.get(f"/api/v1/complaints/{document['id']}{path}", headers=headers)
                absent = await home.http.get(f"/api/v1/complaints/PL-000000000000{path}", headers=headers)
                assert strange.status_code == absent.status_code == 404
                assert strange.content.replace(document["id"].encode(), b"") == absent.content.replace(
                    b"PL-000000000000", b""
                )

    asyncio.run(main())


def test_the_same_spam_again_is_the_same_complaint(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url) as home:
            original = spam()
            [document] = await home.waiting(original)
            answer = await home.api(
                "POST", "/submissions", content=original, headers={"Content-Type": "message/rfc822"}
            )
            [item] = answer.json()["items"]
            assert item["status"] == "duplicate"
            assert item["complaint"] == document["id"]

    asyncio.run(main())


def test_a_desk_that_asks_for_no_more_gets_no_more(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url, undo_seconds=3) as home:
            first, second = await home.waiting(spam(subject="one"), spam(subject="two"))
            await home.confirm(first, ["abuse@cloud.example"])
            shown = (
                await home.api("GET", f"/complaints/{first['id']}/reports/{first['reports'][0]['id']}")
            ).content
            report = email.message_from_bytes(shown, policy=policy.default)
            url = str(report["List-Unsubscribe"]).partition("<")[2].partition(">")[0]
            answer = await home.http.post(url, data={"List-Unsubscribe": "One-Click"})
            assert answer.status_code == 200
            await home.until(first["id"], "suppressed")
            assert (await home.confirm(second, ["abuse@cloud.example"])).status_code in {202, 409}
            await home.until(second["id"], "suppressed")
            await home.sweeps()
            assert not [m for m in home.internet.messages if "abuse@cloud.example" in m.rcpt_tos]

    asyncio.run(main())


def demo_with(more: str) -> World:

    return World.load("demo").extended(more)


def text_of(message: Received) -> str:
    parsed = email.message_from_bytes(message.raw, policy=policy.default)
    body = parsed.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def human_answer(report: Received, words: str) -> Letter:
    parsed = email.message_from_bytes(report.raw, policy=policy.default)
    to = str(parsed["Reply-To"])
    raw = (
        f"From: Abuse Desk <abuse@cloud.example>\r\nTo: {to}\r\nSubject: Re: {parsed['Subject']}\r\n"
        f"In-Reply-To: {parsed['Message-ID']}\r\nMessage-ID: <answer@cloud.example>\r\n\r\n{words}\r\n"
    )
    return Letter("abuse@cloud.example", to, raw.encode())


async def replied(home: House, complaint: str, count: int = 1) -> list[dict[str, str]]:
    for _ in range(150):
        replies = [reply for report in (await home.show(complaint))["reports"] for reply in report["replies"]]
        if len(replies) >= count:
            return replies
        await asyncio.sleep(0.1)
    raise AssertionError("nothing came back")
