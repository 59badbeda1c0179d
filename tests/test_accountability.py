"""Those who run the service look at nothing, and give nothing away, that the reporter does not read of."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlmodel import col, select

from complaints import accountability, export, reporters, submission
from complaints.account_tables import Disclosure, Reading
from complaints.models import Complaint
from complaints.office import Office
from complaints.settings import load
from tests.test_cli import plaint
from tests.website import Website, running_website, spam

CAROL = "carol@example.com"
COURT = ("--authority", "District Court", "--law", "§ 99 order 7", "--what", "the registered address")


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with Carol and one complaint of hers, and nobody serving it."""
    office = Office.open(load(data=tmp_path / "data"))
    with office.db.transaction() as session:
        carol = reporters.add(session, office, CAROL, verified=True).reporter
        row = submission.accept(session, office, carol, spam(subject="Zyzzyva"), via="test", forwarded=False)
        submission.unwrap(session, office, row, submission.contents_of(office, carol, row))
    office.close()
    return tmp_path / "data"


def complaint_of(data: Path) -> str:
    office = Office.open(load(data=data))
    with office.db.reading() as session:
        found = session.exec(select(Complaint.id)).one()
    office.close()
    return found


def readings(data: Path) -> list[tuple[str, str, str]]:
    office = Office.open(load(data=data))
    with office.db.reading() as session:
        rows = session.exec(select(Reading).order_by(col(Reading.at)))
        found = [(row.complaint_id, row.by, row.reason) for row in rows]
    office.close()
    return found


def test_an_operator_reads_a_spam_only_with_a_reason_that_is_on_record(data: Path) -> None:
    complaint = complaint_of(data)
    assert plaint("evidence", complaint, "--data", str(data)).code == 2
    for empty in ("", "  x  "):
        ran = plaint("evidence", complaint, "--reason", empty, "--data", str(data))
        assert (ran.code, ran.out) == (2, b"")
    assert readings(data) == []
    ran = plaint(
        "evidence", complaint, "--reason", "The desk says it is forged", "--by", "Dora", "--data", str(data)
    )
    assert (ran.code, ran.out) == (0, spam(subject="Zyzzyva"))
    assert readings(data) == [(complaint, "Dora", "The desk says it is forged")]
    assert plaint("evidence", "PL-nothing", "--reason", "Just to see it", "--data", str(data)).code == 65


def test_what_cannot_be_put_on_record_is_not_shown(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise accountability.ReasonError("no record")

    monkeypatch.setattr(accountability, "read_evidence", broken)
    ran = plaint(
        "evidence", complaint_of(data), "--reason", "The desk says it is forged", "--data", str(data)
    )
    assert (ran.code, ran.out) == (2, b"")


def test_the_verbs_in_a_reporters_name_leave_a_record_once_a_day(data: Path) -> None:
    complaint = complaint_of(data)
    for verb in ("raw", "show", "raw"):
        assert plaint(verb, complaint, "--data", str(data), "--reporter", CAROL).code == 0
    assert [(what, why) for what, _, why in readings(data)] == [(complaint, accountability.IN_YOUR_NAME)]


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        (("list",), accountability.LISTED),
        (("review", "--json"), accountability.LISTED),
        (("account", "show"), accountability.LISTED),
        (("receipt",), accountability.RECEIPT),
        (("whose", "redacted-aaaaaaaaaaaaa"), accountability.WHOSE),
    ],
)
def test_whatever_tells_of_several_at_once_is_on_record_too(
    data: Path, verb: tuple[str, ...], reason: str
) -> None:
    for _ in range(2):
        plaint(*verb, "--data", str(data), "--reporter", CAROL)
    assert [(what, why) for what, _, why in readings(data)] == [("", reason)]


def test_a_copy_made_by_the_operator_is_on_record_and_says_so_itself(data: Path) -> None:
    import json
    import zipfile

    out = data / "carol.zip"
    assert plaint("reporters", "export", CAROL, "--out", str(out), "--data", str(data)).code == 0
    assert out.stat().st_mode & 0o077 == 0, "everything of a person is for nobody else on the machine"
    [row] = json.loads(zipfile.ZipFile(out).read("account.json"))["readings"]
    assert (row["complaint"], row["reason"]) == ("", accountability.EXPORTED)


def test_the_reporter_reads_who_looked_and_why(website: Website) -> None:
    complaint = website.waiting()
    with website.office.db.transaction() as session:
        accountability.read_evidence(
            session,
            website.office,
            website.alice.reporter.id,
            complaint,
            by="Dora <b>",
            reason="The desk says <i>no</i>",
        )
    page = website.http.get(urlsplit(website.office.account_url(website.alice.reporter)).path).text
    assert f"Dora &lt;b&gt; read {complaint}: The desk says &lt;i&gt;no&lt;/i&gt;" in page
    other = website.http.get(urlsplit(website.office.account_url(website.bob.reporter)).path).text
    assert "Dora" not in other
    assert website.api("GET", "/account").json()["readings"][0]["by"] == "Dora <b>"
    assert website.api("GET", "/account", who=website.bob).json()["readings"] == []


def test_a_disclosure_is_told_to_its_reporter_unless_forbidden_until_its_day(website: Website) -> None:
    def told() -> list[str]:
        path = urlsplit(website.office.account_url(website.alice.reporter)).path
        page = website.http.get(path).text
        return [name for name in ("Open Court", "Secret Court") if name in page]

    with website.office.db.transaction() as session:
        for name, until in (("Open Court", None), ("Secret Court", website.clock() + timedelta(days=30))):
            accountability.disclose(
                session,
                website.office,
                website.alice.reporter,
                authority=name,
                law="§ 1",
                what="the address",
                at=website.clock(),
                forbidden_until=until,
            )
    assert told() == ["Open Court"]
    assert len(website.api("GET", "/account").json()["disclosures"]) == 1
    with website.office.db.reading() as session:
        copy = export.account(session, website.office, website.alice.reporter)
    assert [row["authority"] for row in copy["disclosures"]] == ["Open Court"]
    website.clock.turn(days=30)
    assert told() == ["Open Court", "Secret Court"]


def test_disclosures_are_listed_for_the_operator_and_counted_for_everybody(data: Path) -> None:
    there = ("--data", str(data))
    assert plaint("disclosures", "add", CAROL, *COURT, "--on", "2025-03-04", *there).code == 0
    assert plaint("disclosures", "add", CAROL, *COURT, "--forbidden", "2100-01-01", *there).code == 0
    assert plaint("disclosures", "add", CAROL, *COURT[:-1], " ", *there).code == 2
    assert plaint("disclosures", "add", "nobody@example.com", *COURT, *there).code == 65
    listed = plaint("disclosures", "list", "--json", *there).documents
    assert [(row["reporter"], row["authority"]) for row in listed] == [(CAROL, "District Court")] * 2
    assert b"not told before 2100-01-01" in plaint("disclosures", "list", *there).out
    assert plaint("reporters", "erase", CAROL, "--yes", *there).code == 0
    left = plaint("disclosures", "list", "--json", *there).documents
    assert [(row["reporter"], row["what"]) for row in left] == [(None, "")] * 2


def test_the_public_number_counts_secret_and_erased_ones_too(tmp_path: Path, database_url: str) -> None:
    with running_website(tmp_path, database_url=database_url) as website:
        office, alice = website.office, website.alice.reporter
        with office.db.transaction() as session:
            for days, until in ((0, None), (1, website.clock() + timedelta(days=999)), (400, None)):
                accountability.disclose(
                    session,
                    office,
                    alice,
                    authority="A",
                    law="B",
                    what="C",
                    at=website.clock() - timedelta(days=days),
                    forbidden_until=until,
                )
            session.exec(select(Disclosure)).first().reporter_id = None  # type: ignore[union-attr]
        with office.db.reading() as session:
            assert accountability.disclosures_by_year(session) == {2025: 1, 2026: 2}
            assert len(accountability.disclosures(session, office, alice)) == 1
