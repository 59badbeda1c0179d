"""The worker: one poisonous row never stops the others, and its reporter hears of it."""

import asyncio
from pathlib import Path

import pytest
from sqlmodel import select

from complaints import evidence
from complaints.models import Complaint, ComplaintState
from complaints.worker import MOST_TRIES, Worker, due_jobs
from tests.house import CLOUD, House, house, spam
from tests.website import running_website
from tests.website import spam as website_spam


class Broken:
    """Something of ours that fails whatever it is asked."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"{name} is broken, and this text holds {CLOUD}")


def test_a_spam_that_cannot_be_read_is_refused_after_some_tries_and_the_log_names_no_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with house(tmp_path, roles=("smtp", "web")) as home:
            await home.api("POST", "/submissions", content=spam(), headers={"Content-Type": "message/rfc822"})
            complaint = one(home)
            worker = Worker(home.office, Broken(), Broken())  # type: ignore[arg-type]
            await worker.finished()  # that it could not begin was told already
            for tried in range(MOST_TRIES):
                assert one(home).state == ComplaintState.RECEIVED, tried
                await worker.run("evidence", complaint.id)
            refused = one(home)
            assert refused.state == ComplaintState.REFUSED
            assert "our fault" in (refused.reason or "")
            jobs = [job.step for job in due_jobs(home.office, home.office.clock())]
            assert jobs == ["notice"]

    asyncio.run(main())
    assert "RuntimeError at" in caplog.text
    assert CLOUD not in caplog.text


def test_a_large_spam_is_not_held_while_the_dns_is_asked_and_is_read_all_the_same(tmp_path: Path) -> None:
    large, small = website_spam(body="y" * 60 + "\r\n" + "x" * evidence.LARGE), website_spam(body="z" * 70)
    with running_website(tmp_path) as website:
        ids = [website.hand_in(raw) for raw in (large, small)]
        found = {one.complaint.id: one for one in evidence.received(website.office, ids)}
        held = [found[each].message for each in ids]
        assert [one and one.raw for one in held] == [None, small]
        assert [evidence.message_of(website.office, found[each]).raw for each in ids] == [large, small]

    async def main() -> None:
        async with house(tmp_path / "house") as home:
            [document] = await home.waiting(large)
            assert document["evidence"]["source"]["ip"] == CLOUD

    asyncio.run(main())


def test_a_link_that_names_no_host_does_not_stop_the_lookup_of_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            odd = "http://[1.2.3/ http://..../ http://xn--/ http://999.999.999.999/ http://pills.example/\r\n"
            [document] = await home.waiting(spam(body=odd))
            assert "pills.example" in {lookup["target"] for lookup in document["lookups"]}

    asyncio.run(main())


def one(home: House) -> Complaint:
    with home.office.db.reading() as session:
        return session.exec(select(Complaint)).one()
