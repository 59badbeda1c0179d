"""How contacts are ranked: by what sources say together, and by what earlier reports to a mailbox came to."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from abuse_lookup import Contact, Lookup, Record, open_lookup
from abuse_lookup.history import REMEMBERED, remembered
from abuse_lookup.ranking import ranked
from complaints import replies
from complaints.db import move
from complaints.desk_history import DeskHistory
from complaints.models import Attempt, Report, ReportState
from tests.house import house
from tests.house import spam as sent_spam
from tests.test_lookup import config_for, looking
from tests.visitor import confirm
from tests.website import NETWORK_DESK, Website, running_website, spam

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def contact(address: str, **more: Any) -> Contact:
    facts: dict[str, Any] = {
        "scope": "network", "source": "rdap", "server": "rdap.example", "confidence": "high",
        "why": "RDAP names it.", "as_of": NOW,
    }  # fmt: skip
    return Contact(address=address, **(facts | more))


# -- one desk found in several ways ------------------------------------------------------------------


def test_a_desk_found_in_several_ways_stands_once_with_all_its_reasons() -> None:
    found = ranked(
        [
            contact(
                "abuse@isp.example", confidence="medium", source="whois", server="whois.example", why="WHOIS."
            ),
            contact("Abuse@ISP.example"),
            contact("abuse@isp.example", scope="host", why="It answers for 192.0.2.1."),
        ]
    )
    [desk] = found
    assert (desk.source, desk.confidence, desk.why) == ("rdap", "high", "RDAP names it.")
    assert [(reason.source, reason.why) for reason in desk.also] == [
        ("rdap", "It answers for 192.0.2.1."),
        ("whois", "WHOIS."),
    ]
    assert Lookup.from_document(Lookup("t", "ip", contacts=found).document()).contacts == found


@pytest.mark.parametrize(
    ("first", "second", "confidence"),
    [
        (("rdap", "rdap.example", "medium"), ("known", "Shield", "medium"), "high"),
        (("rdap", "rdap.example", "medium"), ("dns", "contacts.abuse.net", "medium"), "high"),
        (("rdap", "rdap.example", "low"), ("known", "Shield", "low"), "medium"),
        (("rdap", "rdap.example", "medium"), ("known", "Shield", "low"), "medium"),
        # one registry's database in two ways, or by way of who copies it, is one witness
        (("rdap", "rdap.example", "medium"), ("whois", "whois.example", "medium"), "medium"),
        (("rdap", "rdap.example", "medium"), ("dns", "abuse-contacts.abusix.zone", "medium"), "medium"),
        # nobody named what we only guessed
        (("rdap", "rdap.example", "low"), ("dns", "isp.example", "low"), "low"),
    ],
)
def test_two_independent_sources_raise_confidence_by_one_step_and_never_to_high_when_weak(
    first: tuple[str, str, str], second: tuple[str, str, str], confidence: str
) -> None:
    ways = [
        contact("abuse@isp.example", source=source, server=server, confidence=sure)
        for source, server, sure in (first, second)
    ]
    for order in (ways, ways[::-1]):
        [desk] = ranked(order)
        assert desk.confidence == confidence
        assert ranked([desk]) == (desk,), "ranking again changes nothing"
    named = "independently names it" in desk.why
    assert named == (second[0] == "known" or second[1] == "contacts.abuse.net")


def test_a_desk_that_joins_a_better_scope_keeps_one_sentence_about_it() -> None:
    ways = [
        contact("abuse@isp.example", confidence="medium"),
        contact("abuse@isp.example", source="known", server="P"),
    ]
    [once] = ranked(ways)
    [twice] = ranked([once, *ways])
    assert twice.why.count("independently") == 1


# -- what earlier reports came to --------------------------------------------------------------------


@dataclass
class Told:
    """A history that was written down, and what it was asked for."""

    records: dict[str, Record]
    asked: list[list[str]] = field(default_factory=list)

    async def of(self, mailboxes: Collection[str]) -> Mapping[str, Record]:
        self.asked.append(list(mailboxes))
        return {mailbox: self.records[mailbox] for mailbox in mailboxes if mailbox in self.records}


def judged(*contacts: Contact, **records: Record) -> Lookup:
    """The contacts after `records`, by the local part of a mailbox."""
    history = Told({f"{name}@isp.example": record for name, record in records.items()})
    return asyncio.run(remembered(Lookup("192.0.2.1", "ip", contacts=contacts), history, NOW))


def names(found: Lookup) -> list[str]:
    return [(contact.address or "").partition("@")[0] for contact in found.contacts]


BEST, OTHER = contact("best@isp.example"), contact("other@isp.example", confidence="medium")


def bounced(times: int, last: datetime = NOW - DAY, over: timedelta = timedelta()) -> Record:
    return Record(bounced=times, first_bounced=last - over, last_bounced=last)


def test_a_mailbox_that_bounced_lately_goes_behind_the_others_and_says_so() -> None:
    found = judged(BEST, OTHER, best=bounced(2))
    assert names(found) == ["other", "best"]
    last = found.contacts[-1]
    assert (last.confidence, last.why) == (
        "low",
        "RDAP names it. It bounced twice, last on 25 November 2026.",
    )
    assert found.rejected == ()


def test_it_goes_behind_even_a_guess_for_another_scope() -> None:
    guess = contact("guess@isp.example", confidence="low", scope="domain")
    assert names(judged(BEST, guess, best=bounced(1))) == ["guess", "best"]


@pytest.mark.parametrize(
    "since",
    [{"last_answered": NOW, "answered": 1}, {"delivered": NOW}],
)
def test_something_good_since_the_bounce_makes_up_for_it(since: dict[str, Any]) -> None:
    record = Record(bounced=1, first_bounced=NOW - DAY, last_bounced=NOW - DAY, **since)
    assert names(judged(BEST, OTHER, best=record)) == ["best", "other"]


def test_a_bounce_of_long_ago_is_forgotten() -> None:
    found = judged(BEST, OTHER, best=bounced(9, NOW - REMEMBERED - DAY, over=30 * DAY))
    assert found.contacts == (BEST, OTHER)


def test_a_mailbox_that_always_bounced_for_days_is_rejected_with_the_reason() -> None:
    found = judged(BEST, OTHER, best=bounced(3, over=4 * DAY))
    assert names(found) == ["other"]
    [rejected] = found.rejected
    assert rejected.address == "best@isp.example"
    assert rejected.why == (
        "reports to it bounced 3 times from 21 November 2026 to 25 November 2026, and none has arrived since"
    )


def test_three_bounces_in_an_hour_are_an_outage_and_no_dead_mailbox() -> None:
    assert names(judged(BEST, OTHER, best=bounced(3, over=timedelta(hours=1)))) == ["other", "best"]


def test_a_mailbox_that_opted_out_is_rejected_with_the_day() -> None:
    found = judged(BEST, best=Record(opted_out=NOW - DAY, answered=3, last_answered=NOW))
    assert found.contacts == ()
    assert found.rejected[0].why == "it asked on 25 November 2026 to get no more reports"


def test_who_answered_comes_first_among_equals_only_and_it_is_said() -> None:
    desk, person = contact("abuse@isp.example"), contact("jane@isp.example")
    answered = Record(answered=2, resolved=1, last_answered=NOW - DAY)
    assert names(judged(desk, person, jane=answered)) == ["jane", "abuse"]
    assert names(judged(BEST, OTHER, other=answered)) == ["best", "other"]
    said = judged(desk, abuse=answered).contacts[0].why
    assert said == "RDAP names it. It answered twice and acted once, last on 25 November 2026."


def test_history_is_asked_for_cached_answers_too_and_once_for_all_mailboxes() -> None:
    history = Told({})

    async def run() -> list[Lookup]:
        async with looking("demo") as (_, net), open_lookup(config_for(net), history=history) as lookup:
            before = await lookup.find_contacts("www.pills.example")
            history.records["abuse@cloud.example"] = bounced(1, datetime.now(UTC))
            return [before, await lookup.find_contacts("www.pills.example")]

    before, after = asyncio.run(run())
    assert before.contacts[0].address == "abuse@cloud.example"
    assert after.contacts[-1].address == "abuse@cloud.example"
    assert history.asked == [["abuse@cloud.example", "abuse@pills.example", "abuse@thrifty.example"]] * 2


# -- the history of a service ------------------------------------------------------------------------


@pytest.fixture
def website(tmp_path: Path, database_url: str) -> Iterator[Website]:
    with running_website(tmp_path, database_url=database_url) as running:
        yield running


def record(website: Website, address: str = NETWORK_DESK) -> Record | None:
    found = asyncio.run(DeskHistory(website.office).of([address, "nobody@cloud.example"]))
    assert set(found) <= {address}
    return found.get(address)


def reported(website: Website, subject: str, *, failed: bool = False) -> str:
    """A report that went to the network's desk just now, or that its mail host refused."""
    complaint = website.waiting(spam(subject=subject))
    confirm(website, complaint)
    with website.office.db.transaction() as session:
        report = session.get_one(Report, f"{complaint}-01")
        assert report.to == NETWORK_DESK
        move(session, report, ReportState.SENDING)
        now = website.clock.now
        if failed:
            move(session, report, ReportState.FAILED)
            session.add(
                Attempt(
                    id=report.id,
                    mail_id=report.id,
                    at=now,
                    worker="w",
                    outcome="refused",
                    code=550,
                    ended_at=now,
                )
            )
        else:
            move(session, report, ReportState.SENT, sent_at=now)
        return report.id


def came_back(website: Website, report_id: str, text: str = "", *, word: str = "reply") -> None:
    head = f"From: desk@cloud.example\r\nMessage-ID: <{report_id}.{len(text)}@cloud.example>\r\nSubject: Re: report\r\n"
    bounce = (
        "From: MAILER-DAEMON@cloud.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n"
        f"Message-ID: <{report_id}@cloud.example>\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nNobody of that name.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.cloud.example\r\n\r\n"
        f"Final-Recipient: rfc822; {NETWORK_DESK}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    raw = f"{head}\r\n{text}\r\n" if text else bounce
    with website.office.db.transaction() as session:
        report = session.get_one(Report, report_id)
        sender = "desk@cloud.example" if text else ""
        replies.receive(session, website.office, word, report, sender, raw.encode())


def test_bounces_are_counted_per_report_since_the_last_that_stayed(website: Website) -> None:
    assert record(website) is None
    came_back(website, reported(website, "one"))
    website.clock.turn(days=1)
    reported(website, "stayed")
    website.clock.turn(days=2)
    started = website.clock.now
    for subject in ("two", "three"):
        came_back(website, reported(website, subject))
        website.clock.turn(hours=1)
    found = record(website)
    assert found is not None
    assert (found.bounced, found.first_bounced, found.last_bounced) == (
        2,
        started,
        started + timedelta(hours=1),
    )
    assert found.delivered == started - 2 * DAY


def test_a_report_that_was_sent_an_hour_ago_may_still_bounce(website: Website) -> None:
    came_back(website, reported(website, "one"))
    website.clock.turn(hours=1)
    reported(website, "two")
    website.clock.turn(hours=1)
    found = record(website)
    assert found is not None
    assert (found.bounced, found.delivered) == (1, None)


def test_what_the_mail_host_refused_counts_as_bounced_but_not_through_a_relay(
    tmp_path: Path, website: Website
) -> None:
    reported(website, "refused", failed=True)
    found = record(website)
    assert found is not None
    assert (found.bounced, found.last_bounced) == (1, website.clock.now)
    with running_website(tmp_path / "relayed", relay="smtp://relay.example:25") as relayed:
        reported(relayed, "refused", failed=True)
        assert record(relayed) is None


def test_answers_and_verdicts_are_counted_but_not_that_it_was_the_wrong_address(website: Website) -> None:
    for subject, text in (("one", "Thank you, we look into it."), ("two", "resolved"), ("three", "not ours")):
        came_back(website, reported(website, subject), text)
        website.clock.turn(minutes=1)
    found = record(website)
    assert found is not None
    assert (found.answered, found.resolved, found.bounced) == (2, 1, 0)
    assert found.last_answered == website.clock.now - timedelta(minutes=2)


def test_an_opt_out_counts_until_the_operator_resumes(website: Website) -> None:
    with website.office.db.transaction() as session:
        replies.suppress(session, website.office, NETWORK_DESK, asked_by="page", reason="report X")
    found = record(website)
    assert found is not None
    assert found.opted_out == website.clock.now
    with website.office.db.transaction() as session:
        assert replies.resume(session, website.office, NETWORK_DESK)
    assert record(website) is None


def test_a_record_holds_nothing_but_counts_and_days(website: Website) -> None:
    came_back(website, reported(website, "one"), "Alice was right")
    values = [getattr(record(website), name) for name in Record.__slots__]
    assert {type(value) for value in values} <= {int, datetime, type(None)}


def test_a_desk_that_opted_out_is_not_proposed_again_and_the_reporter_reads_why(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            [first] = await home.waiting(sent_spam(subject="one"))
            with home.office.db.transaction() as session:
                report = session.get_one(Report, first["reports"][0]["id"])
                replies.suppress(session, home.office, report.to, asked_by="page", reason="report X")
            await home.forward([sent_spam(subject="two")])
            ids = [item["id"] for item in await home.complaints(2)]
            second = await home.show(next(one for one in ids if one != first["id"]))
            assert "abuse@cloud.example" not in [report["to"] for report in second["reports"]]
            whys = {item["address"]: item["why"] for item in second["rejected"]}
            assert whys["abuse@cloud.example"].endswith("to get no more reports")

    asyncio.run(main())
