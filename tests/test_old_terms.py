"""What is kept of a reporter stays under the terms that they agreed to, until they agree to others."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from complaints import choices, outbox, policies, policy, reporters, retention
from complaints.choices import ChoiceError, Purpose
from complaints.models import Complaint, Letter, LetterState, Report, Reporter, ReportState, Submission
from complaints.policy import DAY, Kept
from complaints.settings import load
from complaints.web.pages.home import processors
from tests.house import unguarded
from tests.test_data_map import let_go, noticed
from tests.test_policy import page_of
from tests.visitor import confirm
from tests.website import NOON, Website, running_website, spam

OLD = policy.terms("3").kept
FOURTH = """
[[version]]
number = 4
days = { spam = 60, report = 30, letter = 14 }
uses = ["news", "digests", "quiet", "statistics", "research"]
recipients = ["Abuse desks"]
"""
"""A version that keeps spam for longer, reports for less, and names another use."""


@pytest.fixture
def fourth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the program had one more version of the policy, with terms of its own."""
    folder = tmp_path / "policies"
    shutil.copytree(Path(str(policy._FOLDER)), folder)
    (folder / "4.md").write_text("# Privacy policy, version 4\n\nWe keep spam for 60 days.\n")
    for name, row in (
        ("terms.toml", FOURTH),
        ("changes.toml", '\n[[version]]\nnumber = 4\nchanges = ["Longer."]\n'),
    ):
        with (folder / name).open("a") as place:
            place.write(row)
    monkeypatch.setattr(policy, "_FOLDER", folder)
    monkeypatch.setattr(policy, "POLICY", "4")
    monkeypatch.setitem(choices.PURPOSES, "research", Purpose("For research.", "Nothing.", by_itself=True))
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    for one in (policy.versions, policy.text, policy.terms, policy.changes, policy.difference):
        one.cache_clear()


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    """Alice and Bob agreed to version 3."""
    with running_website(tmp_path) as running:
        yield running


def reporter(website: Website, address: str) -> Reporter:
    with website.office.db.reading() as session:
        return session.exec(select(Reporter).where(Reporter.address == address)).one()


def kept_of(website: Website, address: str) -> Kept:
    with website.office.db.reading() as session:
        return policies.kept_of(session, website.office, reporter(website, address))


def the_fourth_applies(website: Website) -> None:
    """It was announced, and its day has come; nobody agreed yet."""
    with website.office.db.transaction() as session:
        policies.announce(session, website.office, "4", website.clock() + timedelta(days=14))
    website.clock.turn(days=14)


def discarded(website: Website, subject: str, who: str) -> str:
    """A spam of hers or of his, whose case ended."""
    complaint = website.waiting(spam(subject=subject))
    website.http.post(website.review(complaint), data={"do": "discard"})
    with website.office.db.transaction() as session:
        row = session.get_one(Complaint, complaint)
        row.reporter_id = reporter(website, who).id
        session.get_one(Submission, row.submission_id).reporter_id = row.reporter_id
        session.add(row)
    return complaint


def has_it(website: Website, complaint: str) -> bool:
    with website.office.db.reading() as session:
        row = session.get_one(Complaint, complaint)
        there = row.reason != retention.DELETED
        assert (session.get_one(Submission, row.submission_id).raw != retention.GONE) == there
        return there


@pytest.mark.usefixtures("fourth")
def test_a_longer_period_is_for_those_who_agreed_to_it_and_the_old_one_for_everybody_else(
    website: Website,
) -> None:
    alice, bob = (one.reporter.address for one in (website.alice, website.bob))
    the_fourth_applies(website)
    website.http.post(page_of(website), data={"choice": "agree", "version": "4"})
    hers, his = discarded(website, "Hers", alice), discarded(website, "His", bob)
    noticed(website)
    website.clock.turn(days=29)
    let_go(website)
    assert (has_it(website, hers), has_it(website, his)) == (True, True)
    website.clock.turn(days=2)
    let_go(website)
    assert (has_it(website, hers), has_it(website, his)) == (True, False)
    website.clock.turn(days=30)
    let_go(website)
    assert not has_it(website, hers)


def test_each_kind_of_thing_goes_by_the_terms_of_whom_it_is_of(website: Website) -> None:
    owners = (website.alice.reporter, website.bob.reporter)
    whose = {discarded(website, one.address, one.address): one for one in owners}
    periods = dict(zip(whose, (OLD, Kept(20 * DAY, 10 * DAY, 10 * DAY)), strict=True))
    with website.office.db.transaction() as session:
        unguarded(session)
        for complaint, owner in whose.items():
            session.get_one(Reporter, owner.id).promised = periods[complaint].written()
            refused = Submission(id=owner.id, reporter_id=owner.id, via="smtp", forwarded=True, received_at=NOON, digest="", size=1, raw=b"sealed")  # fmt: skip
            session.add(refused)
            report = session.get_one(Report, f"{complaint}-01")
            report.state, report.raw = ReportState.SENT, b"sealed"
            letter = outbox.put_letter(session, website.office, "link", to=owner.address, reporter=owner, values={"subject": "x", "url": "u", "until": NOON})  # fmt: skip
            letter.state, letter.sent_at = LetterState.SENT, NOON
    noticed(website)
    website.clock.turn(days=11)
    let_go(website)
    with website.office.db.reading() as session:
        left = {
            whose[row.complaint_id].id for row in session.exec(select(Report)) if row.raw != retention.GONE
        }
        assert left == {website.alice.reporter.id}
        assert session.exec(select(Letter.reporter_id)).all() == [website.alice.reporter.id]
    website.clock.turn(days=14)
    let_go(website)
    with website.office.db.reading() as session:
        assert [session.get_one(Submission, one.id).raw for one in owners] == [b"sealed", retention.GONE]


@pytest.mark.usefixtures("fourth")
def test_what_is_said_to_a_reporter_is_what_applies_to_them(website: Website) -> None:
    the_fourth_applies(website)
    told = website.api("GET", "/account").json()["retention"]
    assert (told["spam"][:7], told["report"][:7]) == ("30 days", "30 days")
    assert "60 days after it was handed in" in website.http.get("/privacy").text
    website.http.post(page_of(website), data={"choice": "agree", "version": "4"})
    assert website.api("GET", "/account").json()["retention"]["spam"].startswith("60 days")


@pytest.mark.usefixtures("fourth")
def test_a_receipt_says_how_long_for_its_reporter(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    path = website.review(complaint) + "/receipt"
    assert '"P90D"' in website.http.get(path).text
    the_fourth_applies(website)
    assert '"P30D"' in website.http.get(path).text


@pytest.mark.usefixtures("fourth")
def test_a_shorter_period_is_in_everybodys_favour_and_applies_from_its_day_on(website: Website) -> None:
    with website.office.db.transaction() as session:
        policies.announce(session, website.office, "4", website.clock() + timedelta(days=14))
    complaint = website.waiting()
    confirm(website, complaint)
    with website.office.db.transaction() as session:
        unguarded(session)
        report = session.get_one(Report, f"{complaint}-01")
        report.state, report.sent_at = ReportState.SENT, website.clock()
        session.get_one(Complaint, complaint).state = "closed"  # type: ignore[assignment]
    assert kept_of(website, website.alice.reporter.address).report == 90 * DAY
    website.clock.turn(days=31)
    let_go(website)
    with website.office.db.reading() as session:
        assert session.get_one(Report, f"{complaint}-01").raw == retention.GONE


@pytest.mark.usefixtures("fourth")
def test_who_agrees_early_is_under_the_old_periods_until_the_day(website: Website) -> None:
    with website.office.db.transaction() as session:
        policies.announce(session, website.office, "4", website.clock() + timedelta(days=14))
    website.http.post(page_of(website), data={"choice": "agree", "version": "4"})
    assert kept_of(website, website.alice.reporter.address).spam == 30 * DAY
    website.clock.turn(days=14)
    assert kept_of(website, website.alice.reporter.address).spam == 60 * DAY


@pytest.mark.usefixtures("fourth")
def test_a_new_use_is_refused_to_whoever_did_not_agree_to_the_version_that_names_it(website: Website) -> None:
    the_fourth_applies(website)
    with website.office.db.transaction() as session:
        alice = session.get_one(Reporter, website.alice.reporter.id)
        assert choices.chosen(session, alice)["research"] is False, "it would be yes by itself"
        assert "research" not in {one["purpose"] for one in choices.document(session, alice)}
        with pytest.raises(ChoiceError, match="agree to the newer one first"):
            choices.choose(session, website.office, alice, {"research": True}, via="test")
        choices.choose(session, website.office, alice, {"research": False, "news": True}, via="test")
        choices._keep(session, website.office, alice, "research", yes=True, via="as if")
        assert session.exec(choices.willing("research")).all() == []
        assert session.exec(choices.willing("news")).all() == [alice.id]
        policies.answer(session, website.office, alice, "4", agree=True, via="test")
        assert choices.chosen(session, alice)["research"] is True
        assert session.exec(choices.willing("research")).all() == [alice.id]


def test_a_longer_period_of_the_operators_is_for_whoever_registers_or_agrees_after_it(
    website: Website,
) -> None:
    settings = load(
        data=website.office.settings.data,
        retention_spam_seconds=0,
        retention_report_seconds=365 * DAY,
        retention_letter_seconds=DAY,
    )
    office = replace(website.office, settings=settings)
    with office.db.transaction() as session:
        carol = reporters.add(session, office, "carol@example.com", verified=True).reporter
        assert policies.kept_of(session, office, carol) == Kept(0, 365 * DAY, DAY)
        assert policies.kept_of(session, office, website.alice.reporter) == Kept(OLD.spam, OLD.report, DAY)
        whose = {kept: session.exec(select(Reporter.id).where(those(Reporter.id))).all() for kept, those in policies.kept_by(session, office)}  # fmt: skip
    theirs = {website.alice.reporter.id, website.bob.reporter.id}
    assert {kept.spam: set(ids) for kept, ids in whose.items()} == {OLD.spam: theirs, 0: {carol.id}}


def test_whoever_agreed_before_this_was_written_down_gets_the_periods_of_that_moment(
    website: Website,
) -> None:
    with website.office.db.transaction() as session:
        for row in session.exec(select(Reporter)):
            row.promised = None
            session.add(row)
    let_go(website)
    assert reporter(website, website.bob.reporter.address).promised == OLD.written()


def test_every_version_says_what_it_keeps_what_for_and_who_gets_something() -> None:
    for version in policy.versions():
        said = policy.terms(version)
        assert min(said.kept.spam, said.kept.report, said.kept.letter) > 0
        assert said.uses <= set(choices.PURPOSES)


def test_nobody_gets_something_of_a_reporter_whom_their_version_does_not_name(tmp_path: Path) -> None:
    """What is added to who gets something must ask for the version of each reporter first."""
    everything = load(
        data=tmp_path, relay="smtp://relay.example:25", dns="192.0.2.53:53", contact_zones="zone.example",
        hosted_in="Frankfurt", database_url="postgresql://plaint@db.example/plaint",
    )  # fmt: skip
    named = {who for who, _ in processors(everything)}
    assert {"A mail relay", "A database server", "Contact zones"} <= named
    for version in policy.versions():
        assert named - policy.terms(version).recipients == set(), version
