"""A reporter's own page: what is kept, what may be changed, and that a link alone does neither harm nor tell all."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import col, select

from complaints import account, accountability, retention, step_up
from complaints.account_tables import Choice, StepUp
from complaints.models import Letter, Report, Reporter, ReportState
from complaints.office import Office
from tests.house import ALICE, BOB, unguarded
from tests.test_erasure import everything
from tests.visitor import confirm
from tests.website import NETWORK_DESK, Website, forms, running_website, spam

NEW = "alice@example.com"


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def path_of(website: Website) -> str:
    return urlsplit(website.office.account_url(website.alice.reporter)).path


def look(website: Website) -> httpx.Response:
    page = website.http.get(path_of(website))
    assert page.status_code == 200, page.text
    return page


def press(website: Website, do: str, **fields: str | list[str]) -> httpx.Response:
    """Send the form of the page that has this button."""
    [form] = [one for one in forms(look(website)) if ("do", do) in one.buttons]
    return website.http.post(path_of(website), data=form.data(do, **fields))


def codes(office: Office) -> dict[str, str]:
    """The last code mailed to each address, as it stands in the letter."""
    with office.db.reading() as session:
        keys = {row.id: row.key for row in session.exec(select(Reporter))}
        letters = session.exec(select(Letter).where(Letter.kind == "code").order_by(col(Letter.next_at)))
        mails = [
            (row.to, office.vault.unseal(keys[row.reporter_id or ""], row.raw).decode()) for row in letters
        ]
    return {to: re.findall(r"^ {4}(\d{6})\r$", mail, re.MULTILINE)[0] for to, mail in mails}


def asked(website: Website, purpose: str, **fields: str) -> dict[str, str]:
    """Ask on the page for the codes of a wish, and read the mail."""
    website.clock.turn(seconds=1)
    answer = press(website, f"ask-{purpose}", **fields)
    assert answer.status_code == 303, answer.text
    return codes(website.office)


def wrong(code: str) -> str:
    return "000000" if code != "000000" else "000001"


def reporter(website: Website) -> Reporter:
    with website.office.db.reading() as session:
        return session.get_one(Reporter, website.alice.reporter.id)


def test_the_page_says_what_is_kept_for_how_long_and_where_it_went(website: Website) -> None:
    page = look(website).text
    assert ALICE in page
    assert "Nothing of yours went to anybody." in page
    complaint = website.waiting(spam(subject="Sent one"))
    confirm(website, complaint)
    with website.office.db.transaction() as session:
        unguarded(session)
        [report] = session.exec(select(Report).where(Report.to == NETWORK_DESK)).all()
        report.state, report.sent_at = ReportState.SENT, website.clock()
        session.add(report)
    page = look(website).text
    assert re.search(rf"<code>{NETWORK_DESK}</code>", page)
    link = re.search(r'<a href="(/account/\S+/reports/\S+)">Sent one</a>', page)
    assert link
    assert website.http.get(link[1]).content == website.office.report_bytes(website.alice.reporter, report)
    drafted = website.waiting(spam(subject="A draft"))
    other = urlsplit(website.office.account_url(website.bob.reporter)).path
    place, name = link[1].rsplit("/", 1)
    for path in (f"{place}/{drafted}-01", f"{place}/%00", f"{other}/reports/{name}"):
        assert website.http.get(path).status_code == 404
    assert "/review/" not in page
    for row in retention.data_map()["table"]:
        assert f'<th scope="row">{row["called"]}<' in page
        assert "_" not in row["called"]
    assert "30 days after it was handed in" in page
    assert website.http.get(path_of(website) + "/receipt").json()


def test_the_link_to_what_waits_is_mailed_and_not_shown(website: Website) -> None:
    website.waiting(spam(subject="One"))
    website.waiting(spam(subject="Two"))
    page = look(website).text
    assert "2 wait for you" in page
    assert "/batch/" not in page, "this page alone opens nothing"
    assert press(website, "waiting").status_code == 303
    again = press(website, "waiting")
    assert again.status_code == 422
    assert "within the last hour" in again.text
    with website.office.db.reading() as session:
        [letter] = session.exec(select(Letter).where(Letter.kind == "waiting"))
    mail = website.office.vault.unseal(website.alice.reporter.key, letter.raw).decode()
    assert letter.to == ALICE
    assert website.office.batch_url(website.alice.reporter) in mail


def test_the_link_ends_with_new_secrets_and_with_its_day(website: Website) -> None:
    path = path_of(website)
    assert website.http.get(path[:-1] + ("a" if path[-1] != "a" else "b")).status_code == 404
    assert website.http.get("/account/%00.1.a").status_code == 404
    website.clock.now += website.office.link_life
    website.clock.turn(days=1)
    assert website.http.get(path).status_code == 410
    assert website.http.post(path, data={"do": "ask-erase"}).status_code == 410
    assert codes(website.office) == {}


def test_names_are_corrected_and_come_into_effect(website: Website) -> None:
    assert (
        press(website, "names", names="Alice  Liddell\r\nA. Liddell\r\n\r\nAlice Liddell").status_code == 303
    )
    assert reporter(website).names == ["Alice Liddell", "A. Liddell"]
    refused = press(website, "names", names="x" * 101)
    assert refused.status_code == 422
    assert 'aria-describedby="names-error"' in refused.text
    assert "x" * 101 in refused.text
    assert press(website, "names", names="").status_code == 303
    assert reporter(website).names == []


def test_an_alias_counts_only_once_its_own_mailbox_answered(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    reachable(monkeypatch)
    mailed = asked(website, "alias", address="alias@example.com")
    assert set(mailed) == {"alias@example.com"}
    assert reporter(website).aliases == []
    assert press(website, "alias", second=wrong(mailed["alias@example.com"])).status_code == 422
    assert reporter(website).aliases == []
    assert press(website, "alias", second=mailed["alias@example.com"]).status_code == 303
    assert reporter(website).aliases == ["alias@example.com"]
    assert (
        website.http.post(
            path_of(website), data={"do": "alias", "second": mailed["alias@example.com"]}
        ).status_code
        == 422
    )
    assert press(website, "remove-alias").status_code == 303
    assert reporter(website).aliases == []


def test_everything_is_downloaded_with_a_fresh_code_and_only_once(website: Website) -> None:
    website.waiting(spam(subject="Zyzzyva"))
    assert website.http.post(path_of(website), data={"do": "export", "code": "123456"}).status_code == 422
    code = asked(website, "export")[ALICE]
    answer = press(website, "export", code=f"{code[:3]} {code[3:]}")
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    assert json.loads(archive.read("account.json"))["address"] == ALICE
    assert any(b"Subject: Zyzzyva" in archive.read(name) for name in archive.namelist())
    assert website.http.post(path_of(website), data={"do": "export", "code": code}).status_code == 422


def test_a_code_is_for_its_wish_alone_and_ends_after_15_minutes_or_5_tries(website: Website) -> None:
    code = asked(website, "export")[ALICE]
    leave = {"do": "erase", "sure": "yes", "code": code}
    assert website.http.post(path_of(website), data=leave).status_code == 422
    asked(website, "erase")
    assert website.http.post(path_of(website), data=leave).status_code == 422
    website.clock.turn(minutes=step_up.LIFE_MINUTES)
    assert website.http.post(path_of(website), data={"do": "export", "code": code}).status_code == 422
    code = asked(website, "export")[ALICE]
    for _ in range(step_up.TRIES):
        answer = website.http.post(path_of(website), data={"do": "export", "code": wrong(code)})
        assert answer.status_code == 422
    assert 'href="#ask-export"' in answer.text
    assert website.http.post(path_of(website), data={"do": "export", "code": code}).status_code == 422
    first = asked(website, "export")[ALICE]
    second = asked(website, "export")[ALICE]
    if first != second:
        assert website.http.post(path_of(website), data={"do": "export", "code": first}).status_code == 422
    assert press(website, "export", code=second).status_code == 200


def test_codes_are_nowhere_in_the_database_and_their_digests_need_the_key(website: Website) -> None:
    import hashlib

    code = asked(website, "export")[ALICE]
    with website.office.db.reading() as session:
        row = session.exec(select(StepUp)).one()
    assert code not in repr(row.model_dump())
    tried = {hashlib.sha256(f"{start}{code}".encode()).hexdigest() for start in ("", row.id, f"{row.id} ")}
    assert row.code_hash not in tried


def test_what_is_kept_of_a_code_goes_after_a_day_and_not_before(website: Website) -> None:
    asked(website, "export")
    website.clock.turn(hours=23)
    retention.step(website.office)
    with website.office.db.reading() as session:
        assert len(session.exec(select(StepUp)).all()) == 1
    website.clock.turn(hours=1)
    retention.step(website.office)
    with website.office.db.reading() as session:
        assert session.exec(select(StepUp)).all() == []


def test_nobodys_mailbox_is_flooded_with_codes(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    reachable(monkeypatch)
    for _ in range(step_up.MOST_TO_ONE):
        assert press(website, "ask-alias", address="bob@example.com").status_code == 303
    refused = press(website, "ask-alias", address="BOB@example.com")
    assert (refused.status_code, "within this hour" in refused.text) == (422, True)
    for _ in range(step_up.MOST - step_up.MOST_TO_ONE):
        assert press(website, "ask-export").status_code == 303
    assert press(website, "ask-erase").status_code == 422
    with website.office.db.reading() as session:
        assert len(session.exec(select(Letter)).all()) == step_up.MOST
    for _ in range(step_up.MOST_DAILY - step_up.MOST):
        website.clock.turn(hours=1)
        assert press(website, "ask-erase").status_code == 303
    website.clock.turn(hours=1)
    refused = press(website, "ask-erase")
    assert (refused.status_code, "within a day" in refused.text) == (422, True)


def test_the_address_changes_with_a_code_from_each_of_both(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    reachable(monkeypatch)
    mailed = asked(website, "address", address=NEW)
    assert set(mailed) == {ALICE, NEW}
    for code, second in (
        (mailed[ALICE], wrong(mailed[NEW])),
        (wrong(mailed[ALICE]), mailed[NEW]),
        ("", ""),
        (mailed[ALICE], ""),
    ):
        assert press(website, "address", code=code, second=second).status_code == 422
        assert reporter(website).address == ALICE
    office, complaint = website.office, website.waiting()
    old = [website.review(complaint), f"{website.review(complaint)}/raw"]
    old += [urlsplit(url(reporter(website))).path for url in (office.account_url, office.hosts_url)]
    website.clock.turn(seconds=1)
    moved = press(website, "address", code=mailed[ALICE], second=mailed[NEW])
    assert (moved.status_code, NEW in moved.text) == (200, True)
    assert (reporter(website).address, reporter(website).aliases) == (NEW, [ALICE])
    # Whoever reads the old mailbox opens nothing any more, from this moment on
    assert {website.http.get(path).status_code for path in old} <= {404, 410}
    assert website.http.post(old[0], data={"do": "discard"}).status_code == 410
    assert website.api("GET", "/account").status_code == 401
    website.clock.turn(seconds=1)
    assert website.http.get(website.review(complaint)).status_code == 200
    assert NEW in website.http.get(urlsplit(office.account_url(reporter(website))).path).text
    [token] = re.findall(r"plaint_[a-z0-9]{32}", moved.text)
    fresh = website.http.get("/api/v1/account", headers={"Authorization": f"Bearer {token}"})
    assert fresh.json()["address"] == NEW


def test_nobody_learns_on_the_page_who_else_reports(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    reachable(monkeypatch)
    unknown, known = (press(website, "ask-address", address=one) for one in ("nobody@victim.example", BOB))
    assert (unknown.status_code, unknown.headers["location"]) == (
        known.status_code,
        known.headers["location"],
    )
    mailed = codes(website.office)
    taken = press(website, "address", code=mailed[ALICE], second=mailed[BOB])
    assert (taken.status_code, reporter(website).address) == (422, ALICE)


def test_whoever_leaves_leaves_nothing(website: Website) -> None:
    website.waiting(spam(subject="Zyzzyva"))
    with website.office.db.transaction() as session:
        accountability.read_evidence(
            session, website.office, website.alice.reporter.id, "", by="root", reason="Alice Liddell asked"
        )
        accountability.disclose(
            session,
            website.office,
            website.alice.reporter,
            authority="Court",
            law="§ 1",
            what="Zyzzyva",
            at=website.clock(),
        )
    press(website, "preferences", **{"for": ["news"]})
    code = asked(website, "erase")[ALICE]
    path = path_of(website)
    unticked = website.http.post(path, data={"do": "erase", "code": code})
    assert (unticked.status_code, 'href="#sure"' in unticked.text) == (422, True)
    done = press(website, "erase", code=code, sure="yes")
    assert (done.status_code, "You are removed" in done.text) == (200, True)
    assert website.http.get(path).status_code == 404
    left = everything(website.office)
    assert [mark for mark in (ALICE.encode(), b"Zyzzyva", b"Liddell") if mark in left] == []
    with website.office.db.reading() as session:
        assert [row.address for row in session.exec(select(Reporter))] == [BOB]
        assert accountability.disclosures_by_year(session) == {2026: 1}


def test_what_is_being_handed_over_stops_an_erasure_and_the_code_stays_good(website: Website) -> None:
    complaint = website.waiting()
    confirm(website, complaint)
    with website.office.db.transaction() as session:
        unguarded(session)
        report = session.exec(select(Report).where(Report.to == NETWORK_DESK)).one()
        report.state = ReportState.SENDING
    code = asked(website, "erase")[ALICE]
    refused = press(website, "erase", code=code, sure="yes")
    assert (refused.status_code, "in a few minutes" in refused.text) == (422, True)
    with website.office.db.transaction() as session:
        session.get_one(Report, report.id).state = ReportState.SENT
    assert press(website, "erase", code=code, sure="yes").status_code == 200


def test_choices_are_kept_with_when_and_how_and_nothing_is_ticked_for_anybody(website: Website) -> None:
    page = look(website).text
    assert 'value="news" checked' not in page
    assert page.count(" checked") == 0
    assert press(website, "preferences", **{"for": ["news", "digests"]}).status_code == 303
    with website.office.db.reading() as session:
        kept = {row.purpose: (row.chosen, row.via) for row in session.exec(select(Choice))}
    assert kept == {"news": (True, "page"), "digests": (True, "page")}
    assert press(website, "preferences", **{"for": ["digests"]}).status_code == 303
    with website.office.db.reading() as session:
        assert session.get_one(Choice, (website.alice.reporter.id, "news")).chosen is False


def test_odd_forms_are_answered(website: Website) -> None:
    path = path_of(website)
    for data in (
        {},
        {"do": "x"},
        {"do": "ask-x"},
        {"do": "ask-"},
        {"do": "remove-alias", "what": "\0"},
        {"do": "export", "code": "\u0661\u0662"},
    ):
        assert website.http.post(path, data=data).status_code == 422, data
    assert account.WRONG_CODE in website.http.post(path, data={"do": "export"}).text


def test_both_databases_keep_one_try_one_try(tmp_path: Path, database_url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with running_website(tmp_path, database_url=database_url) as website:
        code = asked(website, "export")[ALICE]
        guess = wrong(code)

        def post(given: str) -> int:
            return website.http.post(path_of(website), data={"do": "export", "code": given}).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(post, [guess] * 12)) == {422}
        with website.office.db.reading() as session:
            assert session.exec(select(StepUp)).one().tries == step_up.TRIES
        assert post(code) == 422
        website.clock.turn(hours=2)
        code = asked(website, "export")[ALICE]
        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(post, [code] * 8)) == [200] + [422] * 7
        data = {"do": "erase", "sure": "yes", "code": asked(website, "erase")[ALICE]}
        path = path_of(website)
        with ThreadPoolExecutor(4) as pool:
            answers = sorted(
                pool.map(lambda _: website.http.post(path, data=data).status_code, range(4)), reverse=True
            )
        assert (answers[-1], set(answers[:-1])) == (200, {404})


def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every well-formed address can be written to: there is no DNS here."""
    from complaints import reporters

    real = reporters.checked_address
    monkeypatch.setattr(
        reporters, "checked_address", lambda office, text, **_: real(office, text, deliverable=False)
    )
