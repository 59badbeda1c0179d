"""The API: its documents, decisions and refusals."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import select

from complaints import __version__, show, tokens
from complaints.models import Complaint, Consent, Report, ReportState
from complaints.office import Office
from tests.house import ALICE
from tests.test_architecture import ROOT
from tests.visitor import problem
from tests.website import LINK_DESK, NETWORK_DESK, Website, nobody, running_website, spam

ABSENT = "PL-222222222222"


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def items(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 202, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def digests(document: dict[str, Any], to: str = NETWORK_DESK) -> dict[str, str]:
    return {report["id"]: report["digest"] for report in document["reports"] if report["to"] == to}


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer plaint_none"}, {"Authorization": "Basic YTpi"}]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/complaints"), ("GET", f"/complaints/{ABSENT}"), ("GET", f"/complaints/{ABSENT}/raw"),
     ("POST", "/submissions"), ("POST", f"/complaints/{ABSENT}/discard")],
)  # fmt: skip
def test_without_a_token_there_is_nothing(
    website: Website, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = website.http.request(method, f"/api/v1{path}", headers=headers)
    problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_list_is_paged_newest_first_and_nobody_is_seen_twice(website: Website) -> None:
    made = []
    for n in range(7):
        made.append(website.hand_in(spam(subject=f"Number {n}")))
        website.clock.turn(seconds=1)
    seen, url = [], "/api/v1/complaints?limit=3"
    pages = 0
    while url:
        answer = website.http.get(url, headers={"Authorization": f"Bearer {website.alice.token}"}).json()
        seen += [item["id"] for item in answer["items"]]
        url, pages = answer["next"], pages + 1
        assert url is None or url.startswith(website.office.settings.url + "/api/v1/complaints?")
    assert seen == made[::-1]
    assert pages == 3


def test_a_list_shows_one_state_when_asked(website: Website) -> None:
    waiting, _ = website.waiting(), website.hand_in(spam(subject="Only received"))
    found = website.api("GET", "/complaints", params={"state": "awaiting_consent"}).json()
    assert [item["id"] for item in found["items"]] == [waiting]
    assert set(found["items"][0]) >= {"id", "state", "received_at", "subject", "source_ip"}
    assert found["items"][0]["received_at"] == "2026-11-02T12:00:00Z"
    told = problem(website.api("GET", "/complaints?state=lost"), 422)
    assert "awaiting_consent" in told["detail"]
    assert {one["in"] for one in told["errors"]} == {"query.state"}
    problem(website.api("GET", "/complaints?limit=0"), 422)
    problem(website.api("GET", "/complaints?limit=many"), 422)


def test_the_document_of_a_complaint_is_what_the_command_line_shows(website: Website) -> None:
    complaint = website.waiting()
    website.look(complaint)
    with website.office.db.reading() as session:
        wanted = show.complaint_document(session, website.office, session.get_one(Complaint, complaint))
    assert website.show(complaint) == json.loads(json.dumps(wanted))


def test_promise_2_a_digest_is_that_of_the_bytes_served(website: Website) -> None:
    document = website.show(website.waiting())
    assert len(document["reports"]) == 2
    for report in document["reports"]:
        answer = website.api("GET", f"/complaints/{document['id']}/reports/{report['id']}")
        assert report["digest"] == tokens.digest(answer.content)
        assert answer.headers["content-type"] == "message/rfc822"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert ALICE.encode() not in answer.content


def test_confirming_queues_exactly_the_chosen_reports(website: Website) -> None:
    document = website.show(website.waiting())
    answer = website.api("POST", f"/complaints/{document['id']}/confirm", json={"reports": digests(document)})
    assert answer.status_code == 202
    states = {report["to"]: report["state"] for report in answer.json()["reports"]}
    assert states == {NETWORK_DESK: "queued", LINK_DESK: "draft"}
    assert answer.json() == website.show(document["id"])
    with website.office.db.reading() as session:
        [given] = session.exec(select(Consent)).all()
        assert (given.via, given.shown[0]["digest"]) == ("api", next(iter(digests(document).values())))


def test_a_note_and_a_redaction_are_in_what_is_sent(website: Website) -> None:
    document = website.show(website.waiting())
    body = {"reports": digests(document), "redaction": "none", "note": "Third one\r\nfrom them.\0"}
    after = website.api("POST", f"/complaints/{document['id']}/confirm", json=body).json()
    assert (after["redaction"], after["note"]) == ("none", "Third one\nfrom them.")
    [report] = [one for one in after["reports"] if one["state"] == "queued"]
    sent = website.api("GET", f"/complaints/{document['id']}/reports/{report['id']}").content
    assert b"Third one" in sent
    assert ALICE.encode() in sent


def test_a_note_that_gives_the_reporter_away_is_refused_and_nothing_changes(website: Website) -> None:
    document = website.show(website.waiting())
    body = {"reports": digests(document), "note": f"Write to {ALICE}"}
    problem(website.api("POST", f"/complaints/{document['id']}/confirm", json=body), 422)
    assert website.show(document["id"]) == document


def test_a_confirmation_of_what_is_no_longer_so_is_a_conflict(website: Website) -> None:
    document = website.show(website.waiting())
    path, good = f"/complaints/{document['id']}/confirm", {"reports": digests(document)}
    stale = {"reports": dict.fromkeys(digests(document), "sha256:0")}
    assert NETWORK_DESK in problem(website.api("POST", path, json=stale), 409)["changes"][0]
    unknown = {"reports": {f"{document['id']}-9": "sha256:0"}}
    assert problem(website.api("POST", path, json=unknown), 409)["changes"]
    assert website.api("POST", path, json=good).status_code == 202
    assert problem(website.api("POST", path, json=good), 409)["changes"] == ["state: confirmed"]


@pytest.mark.parametrize(
    "body",
    [{"reports": {}}, {}, {"reports": ["x"]}, {"reports": {"x": None}}, [], "confirm",
     {"reports": {"x": "y"}, "redaction": "everything"}, {"reports": {"x": "y"}, "to": "abuse@cloud.example"}],
)  # fmt: skip
def test_a_confirmation_that_is_none_is_refused_with_what_is_wrong(website: Website, body: object) -> None:
    complaint = website.waiting()
    problem(website.api("POST", f"/complaints/{complaint}/confirm", json=body), 422)
    assert website.show(complaint)["state"] == "awaiting_consent"


def test_undo_takes_back_what_has_not_left_and_only_that(website: Website) -> None:
    document = website.show(website.waiting())
    website.api("POST", f"/complaints/{document['id']}/confirm", json={"reports": digests(document)})
    undone = website.api("POST", f"/complaints/{document['id']}/undo")
    assert (undone.status_code, undone.json()["state"]) == (202, "awaiting_consent")
    problem(website.api("POST", f"/complaints/{document['id']}/undo"), 409)
    website.api("POST", f"/complaints/{document['id']}/confirm", json={"reports": digests(document)})
    website.clock.turn(seconds=601)
    problem(website.api("POST", f"/complaints/{document['id']}/undo"), 409)


def test_discard_and_refresh_are_for_what_awaits_consent(website: Website) -> None:
    first, second = website.waiting(), website.waiting(spam(subject="Another"))
    assert website.api("POST", f"/complaints/{first}/discard").json()["state"] == "discarded"
    problem(website.api("POST", f"/complaints/{first}/discard"), 409)
    problem(website.api("POST", f"/complaints/{first}/refresh"), 409)
    before = website.show(second)
    assert website.api("POST", f"/complaints/{second}/refresh").json()["state"] == "received"
    website.analyse(second)
    stale = website.api("POST", f"/complaints/{second}/confirm", json={"reports": digests(before)})
    assert problem(stale, 409)["changes"]


def test_a_strangers_id_is_like_one_that_does_not_exist(website: Website) -> None:
    document = website.show(website.waiting())
    mine, report = document["id"], document["reports"][0]["id"]
    confirmation = {"reports": digests(document)}
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "", {}), ("GET", "/raw", {}), ("GET", f"/reports/{report}", {}),
        ("POST", "/confirm", {"json": confirmation}), ("POST", "/discard", {}), ("POST", "/undo", {}), ("POST", "/refresh", {}),
    ]  # fmt: skip
    for method, rest, more in ways:
        strange = website.api(method, f"/complaints/{mine}{rest}", who=website.bob, **more)
        absent = website.api(method, f"/complaints/{ABSENT}{rest}", who=website.bob, **more)
        assert problem(strange, 404) == problem(absent, 404)
        assert strange.headers.items() - {("date", strange.headers["date"])} == absent.headers.items() - {
            ("date", absent.headers["date"])
        }
    assert website.show(mine) == document
    other = website.waiting(spam(subject="Another"))
    problem(website.api("GET", f"/complaints/{other}/reports/{report}"), 404)


@pytest.mark.parametrize(
    "odd", ["%00", "PL-%00", "..%2f..", "%F0%9F%92%A9", "PL-" + "a" * 5000, "'%20OR%201=1--"]
)
def test_an_odd_id_names_nothing(website: Website, odd: str) -> None:
    problem(website.api("GET", f"/complaints/{odd}"), 404)
    complaint = website.waiting()
    problem(website.api("GET", f"/complaints/{complaint}/reports/{odd}"), 404)
    assert website.api("GET", f"/complaints?after={odd}").status_code == 200


def test_what_the_api_does_not_have_is_refused_as_a_problem(website: Website) -> None:
    problem(website.api("GET", "/nothing"), 404)
    refused = website.api("PUT", "/complaints")
    problem(refused, 405)
    assert "GET" in refused.headers["allow"]


def test_a_failure_of_the_service_is_answered_and_the_log_holds_no_mail(
    website: Website, caplog: pytest.LogCaptureFixture
) -> None:
    website.waiting(spam(subject="Private words"))
    with website.office.db.transaction() as session:
        session.execute(text("ALTER TABLE complaint RENAME TO hidden"))
    with caplog.at_level(logging.DEBUG, "complaints.web"):
        answer = website.api("GET", "/complaints")
    problem(answer, 500)
    assert answer.headers["content-security-policy"]
    assert "OperationalError" in caplog.text
    assert "show.py" in caplog.text
    assert "SELECT" not in caplog.text
    assert "no such table" not in caplog.text, "what an error says may quote a mail"
    assert website.alice.reporter.id not in caplog.text


def test_hostile_headers_of_a_spam_do_not_break_a_document(website: Website) -> None:
    raw = spam(subject="\udcff\udcfe =?utf-8?q?=ED=A0=80=00=E2=80=AE?=\x1b", helo="\udcff\x00<b>")
    complaint = website.hand_in(raw)
    website.analyse(complaint)
    answer = website.api("GET", f"/complaints/{complaint}")
    assert answer.status_code == 200
    subject = answer.json()["subject"]
    assert not any(character in subject for character in "\x00\x1b\u202e\ud800")
    assert website.api("GET", "/complaints").json()["items"][0]["subject"] == subject


def test_the_description_names_every_operation_and_how_to_sign_in(website: Website) -> None:
    answer = website.http.get("/api/v1/openapi.json")
    description = answer.json()
    assert description["info"]["version"] == __version__
    operations = {
        (method, path): operation
        for path, ways in description["paths"].items()
        for method, operation in ways.items()
    }
    rows = re.findall(
        r"^\| `(GET|POST) (/api/v1/[^`]*)`", (ROOT / "docs" / "pages.md").read_text(), re.MULTILINE
    )
    assert set(operations) == {(method.lower(), path) for method, path in rows}
    assert ("get", "/api/v1/lookup") in operations
    for operation in operations.values():
        assert operation["security"] == [{"HTTPBearer": []}]
        assert operation["description"]
        assert "application/problem+json" in operation["responses"]["401"]["content"]
    body = operations["post", "/api/v1/submissions"]["requestBody"]["content"]
    assert {"message/rfc822", "application/mbox", "multipart/form-data"} <= set(body)


def test_health_readiness_and_counts_tell_nothing_of_anybody(website: Website) -> None:
    document = website.show(website.waiting())
    website.api("POST", f"/complaints/{document['id']}/confirm", json={"reports": digests(document)})
    assert website.http.get("/healthz").status_code == 200
    assert website.http.get("/readyz").status_code == 200
    website.up = False
    assert website.http.get("/readyz").status_code == 503
    assert website.http.get("/healthz").status_code == 200
    counts = website.http.get("/metrics").text
    assert 'plaint_complaints{state="confirmed"} 1\n' in counts
    assert 'plaint_reports{state="queued"} 1\n' in counts
    assert 'plaint_reports{state="bounced"} 0\n' in counts
    for private in (
        ALICE,
        "cloud.example",
        "pills",
        document["id"],
        website.alice.reporter.id,
        "198.51.100.23",
    ):
        assert private not in counts
    for line in counts.splitlines():
        assert line.startswith("# ") or len(line.rsplit(" ", 1)) == 2


def test_readiness_that_fails_is_not_ready(tmp_path: Path) -> None:
    import asyncio

    from complaints.web.app import create_app

    async def broken() -> bool:
        raise ConnectionError("the database is gone")

    async def main(office: Office) -> int:
        transport = httpx.ASGITransport(create_app(office, ready=broken, look_up=nobody))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return (await http.get("/readyz")).status_code

    with running_website(tmp_path) as website:
        assert asyncio.run(main(website.office)) == 503


def test_head_answers_like_get_without_a_body(website: Website) -> None:
    complaint = website.waiting()
    for path in (
        "/complaints",
        f"/complaints/{complaint}",
        f"/complaints/{complaint}/raw",
        f"/complaints/{ABSENT}",
    ):
        get, head = website.api("GET", path), website.api("HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "content-length", "cache-control"):
            assert head.headers[name] == get.headers[name]


def test_an_unconfirmed_report_is_shown_as_one(website: Website) -> None:
    document = website.show(website.waiting())
    with website.office.db.transaction() as session:
        report = session.get_one(Report, document["reports"][0]["id"])
        report.state = ReportState.UNCONFIRMED
        session.add(report)
    assert website.show(document["id"])["reports"][0]["state"] == "unconfirmed"
