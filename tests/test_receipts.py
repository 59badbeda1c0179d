"""Consent receipts: what was decided, in a chain that shows every change, checked without the service."""

import asyncio
import json
from base64 import b64encode
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import select

from complaints.db import move
from complaints.forward import HoldError, resend, sendable_bytes
from complaints.models import Consent, Report, ReportState, Withdrawal
from complaints.receipts import (
    ReceiptError,
    Service,
    canonical,
    entry_digest,
    public_key,
    read,
    receipt,
    verify,
)
from complaints.report import close_if_done
from complaints.tokens import digest
from tests.house import House, house, spam
from tests.test_cli import plaint
from tests.visitor import confirm, review
from tests.website import running_website

CLOUD_DESK = "abuse@cloud.example"
SERVICE = Service("plaint.example", "https://plaint.example")
NOW = datetime(2026, 11, 26, tzinfo=UTC)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PURPOSE_FIELDS = {
    "purpose", "lawful_basis", "pii_information", "pii_controllers", "collection_method", "processing_method",
    "storage_locations", "retention_period", "jurisdiction", "recipient_third_parties", "withdrawal_method", "privacy_rights",
}  # fmt: skip
PARTY_FIELDS = {"party_id", "party_name", "party_type", "party_address", "party_contact"}
EVENT_FIELDS = {"event_time", "event_type", "event_state", "entity_id", "validity_duration"}
RAW = b"Subject: report\r\n\r\nBuy now\r\n"


def chain(*kinds: str) -> list[dict[str, Any]]:
    """Entries as the ledger makes them."""
    entries: list[dict[str, Any]] = []
    for number, kind in enumerate(kinds, 1):
        said: dict[str, Any] = {"consent": "c1", "complaint": "p1", "via": "page"}
        said["reports"] = [{"id": "p1-01", "to": CLOUD_DESK, "digest": digest(RAW)}]
        if kind == "consent":
            said |= {"spam": "sha256:0", "policy": "1", "redaction": "identity", "note": "", "shown": []}
        before = entry_digest(entries[-1]) if entries else ""
        at = f"2026-11-26T10:0{number}:00+00:00"
        entries.append(
            said | {"number": number, "previous": before, "kind": kind, "reporter": "r1", "at": at}
        )
    return entries


def signed(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return receipt(entries, SERVICE, NOW, KEY)


def test_a_receipt_holds_and_tells_which_reports_were_consented_to() -> None:
    document = json.loads(json.dumps(signed(chain("consent"))))
    found = verify(document, {"report.eml": RAW}, document["public_key"])
    assert "report.eml: consented to for abuse@cloud.example" in found[-1]
    withdrawn = verify(signed(chain("consent", "withdrawal")), {"report.eml": RAW})
    assert "withdrawn later" in withdrawn[-1]


def test_a_receipt_has_the_sections_of_the_standard() -> None:
    [record] = signed(chain("consent", "withdrawal"))["records"]
    assert record["pii_processing"]["purposes"][0]["recipient_third_parties"] == [CLOUD_DESK]
    assert record["pii_processing"]["purposes"][0]["lawful_basis"] == "consent"
    assert record["parties"][0]["party_type"] == "pii_controller"
    missing = {
        "header": {"schema_version", "record_id", "pii_principal_id"} - record.keys(),
        "processing": {"privacy_notice", "language", "purposes"} - record["pii_processing"].keys(),
        "purpose": PURPOSE_FIELDS - record["pii_processing"]["purposes"][0].keys(),
        **{f"party {place}": PARTY_FIELDS - party.keys() for place, party in enumerate(record["parties"])},
        **{f"event {place}": EVENT_FIELDS - event.keys() for place, event in enumerate(record["events"])},
        "receipt": {"receipt_id", "schema_version"} - signed(chain("consent"))["receipt"].keys(),
    }
    assert not any(missing.values()), missing
    assert [event["event_state"] for event in record["events"]] == ["consent given", "consent withdrawn"]


def test_bytes_that_nobody_consented_to_do_not_hold() -> None:
    with pytest.raises(ReceiptError, match="no consent in this receipt names these bytes"):
        verify(signed(chain("consent")), {"other.eml": RAW + b"x"})


def test_every_single_change_shows() -> None:
    document = signed(chain("consent", "withdrawal", "consent"))
    changed = 0
    for path in paths(document):
        other = deepcopy(document)
        change(other, path)
        with pytest.raises(ReceiptError):
            verify(other, {})
        changed += 1
    assert changed > 60


def test_no_letter_of_the_file_can_be_changed_unseen() -> None:
    """Also those that mean nothing: a last letter of base64 that has bits to spare, a name given twice."""
    document = signed(chain("consent"))
    text = json.dumps(document)
    at = text.index(document["signature"]) + len(document["signature"]) - 3
    for letter in set(ALPHABET) - {text[at]}:
        with pytest.raises(ReceiptError, match="not one of this key"):
            verify(read(f"{text[:at]}{letter}{text[at + 1 :]}".encode()), {})
    with pytest.raises(ReceiptError, match="given twice"):
        read(text.replace('"records"', '"records": [], "records"').encode())
    for place in range(0, len(text), 7):
        other = f"{text[:place]}{'x' if text[place] != 'x' else 'y'}{text[place + 1 :]}".encode()
        with pytest.raises(ValueError, match=r"."):  # a ReceiptError is one
            verify(read(other), {})


def test_what_stands_and_what_was_withdrawn_is_told_without_a_report() -> None:
    told = verify(signed(chain("consent")), {})
    assert told[-1] == f"p1: consent at 2026-11-26T10:01:00+00:00 by page to {CLOUD_DESK}: stands."
    told = verify(signed(chain("consent", "withdrawal")), {})
    assert "withdrawn at 2026-11-26T10:02:00+00:00 by page" in told[-1]
    assert "2 earlier ones" in verify(signed(chain("consent", "withdrawal", "consent")[2:]), {})[1]


def test_changed_line_ends_are_told_to_be_what_is_wrong() -> None:
    with pytest.raises(ReceiptError, match="but for their line ends"):
        verify(signed(chain("consent")), {"report.eml": RAW.replace(b"\r\n", b"\n")})


def test_a_receipt_outlives_the_key_the_service_signs_with_now() -> None:
    old, new = signed(chain("consent")), Ed25519PrivateKey.generate()
    assert verify(old, {"report.eml": RAW}, old["public_key"])
    with pytest.raises(ReceiptError, match="may be an older one"):
        verify(old, {}, public_key(new))


def test_a_chain_made_anew_with_another_key_shows_against_the_key_one_knows() -> None:
    other = Ed25519PrivateKey.generate()
    forged = receipt(chain("consent"), SERVICE, NOW, other)
    assert verify(forged, {})  # of one piece ...
    with pytest.raises(ReceiptError, match="another key"):
        verify(forged, {}, signed(chain("consent"))["public_key"])  # ... but not ours


@pytest.mark.parametrize("broken", ["left out", "changed", "swapped", "record", "events", "another's"])
def test_what_the_signer_itself_changed_shows_in_the_chain(broken: str) -> None:
    entries = chain("consent", "withdrawal", "consent")
    if broken == "left out":
        entries = [entries[0], entries[2] | {"number": 2}]
    elif broken == "changed":
        entries[0]["note"] = "other"
    elif broken == "swapped":
        entries = [entries[0], entries[2], entries[1]]
    elif broken == "another's":
        entries[2] |= {"reporter": "r2"}
    document = signed(entries)
    if broken in {"record", "events"}:
        if broken == "record":
            document["records"][0]["pii_processing"]["purposes"][0]["recipient_third_parties"] = [
                "x@y.example"
            ]
        else:
            del document["records"][0]["events"][1]
        del document["signature"]
        document["signature"] = b64encode(KEY.sign(canonical(document))).decode()
    with pytest.raises(ReceiptError):
        verify(document, {})


@pytest.mark.parametrize(
    "junk", [None, [], {}, {"receipt": {}, "records": [], "chain": [{}], "public_key": ""}]
)
def test_what_is_no_receipt_is_said_to_be_none(junk: Any) -> None:
    with pytest.raises(ReceiptError):
        verify(junk, {})


def paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path for name in value for path in paths(value[name], (*above, name))]
    if isinstance(value, list):
        return [path for place, item in enumerate(value) for path in paths(item, (*above, place))]
    return [above]


def change(document: Any, path: tuple[Any, ...]) -> None:
    for step in path[:-1]:
        document = document[step]
    value = document[path[-1]]
    document[path[-1]] = value + 1 if isinstance(value, int) else f"{value}x"


def test_a_reporter_gets_receipts_by_api_page_and_command_line(tmp_path: Path, database_url: str) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url, undo_seconds=600) as home:
            first, second = await home.waiting(spam(subject="One"), spam(subject="Two"))
            for document in (first, second):
                assert (await home.confirm(document, [CLOUD_DESK], note="Words.")).status_code == 202
            assert (await home.api("POST", f"/complaints/{first['id']}/undo")).status_code == 202
            everything = (await home.api("GET", "/receipt")).json()
            kinds = [link["entry"]["kind"] for link in everything["chain"]]
            assert kinds == ["consent", "consent", "withdrawal"]
            sent = await report_bytes(home, second)
            assert "consented to" in verify(everything, {"sent": sent})[-1]
            await check_one(home, tmp_path, second, sent)

    asyncio.run(main())


async def report_bytes(home: House, document: dict[str, Any]) -> bytes:
    shown = await home.show(document["id"])
    report = next(one for one in shown["reports"] if one["to"] == CLOUD_DESK)
    return (await home.api("GET", f"/complaints/{document['id']}/reports/{report['id']}")).content


async def check_one(home: House, tmp_path: Path, document: dict[str, Any], sent: bytes) -> None:
    """The page's receipt of one complaint, checked by the command line offline."""
    page = await home.http.get(document["review_url"] + "/receipt")
    assert "attachment" in page.headers["Content-Disposition"]
    (tmp_path / "receipt.json").write_bytes(page.content)
    (tmp_path / "report.eml").write_bytes(sent)
    command = ["verify-receipt", str(tmp_path / "receipt.json"), "--report", str(tmp_path / "report.eml")]
    ran = await asyncio.to_thread(plaint, *command)
    assert ran.code == 0, ran.err
    assert f"consented to for {CLOUD_DESK}" in ran.text
    (tmp_path / "report.eml").write_bytes(b"DKIM-Signature: v=1;\r\n b=\r\nReceived: by mx; now\r\n" + sent)
    ran = await asyncio.to_thread(plaint, *command)
    assert "below the fields that were added on its way" in ran.text, "a desk can check what it got"
    (tmp_path / "report.eml").write_bytes(sent.replace(b"Words.", b"Other."))
    ran = await asyncio.to_thread(plaint, *command)
    assert (ran.code, ran.out) == (65, b"")
    assert "no consent in this receipt" in ran.err


def test_what_was_not_sent_yet_can_be_withdrawn_after_the_undo_window(
    tmp_path: Path, database_url: str
) -> None:
    with running_website(tmp_path, database_url=database_url) as website:
        complaint = website.waiting()
        confirm(website, complaint)
        website.clock.turn(minutes=11)
        assert website.api("POST", f"/complaints/{complaint}/undo").status_code == 409
        assert "Withdraw what was not sent" in review(website, complaint).text
        after = website.api("POST", f"/complaints/{complaint}/withdraw").json()
        assert (after["state"], {one["state"] for one in after["reports"]}) == (
            "closed",
            {"cancelled", "draft"},
        )
        assert website.api("POST", f"/complaints/{complaint}/withdraw").status_code == 409
        kinds = [link["entry"]["kind"] for link in website.api("GET", "/receipt").json()["chain"]]
        assert kinds == ["consent", "withdrawal"]
        with website.office.db.reading() as session:
            [given] = session.exec(select(Consent))
            assert [row.consent_id for row in session.exec(select(Withdrawal))] == [given.id]
            cancelled = select(Report).where(Report.state == ReportState.CANCELLED)
            with pytest.raises(HoldError, match="No consent"):
                sendable_bytes(session, website.office, session.exec(cancelled).one())


def test_what_an_operator_sends_again_can_be_withdrawn_too(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        complaint = website.waiting()
        confirm(website, complaint)
        with website.office.db.transaction() as session:
            [row] = session.exec(select(Report).where(Report.state == ReportState.QUEUED))
            for state in (ReportState.SENDING, ReportState.UNCONFIRMED):
                move(session, row, state)
            close_if_done(session, row)
            resend(session, website.office, row)
        assert website.show(complaint)["state"] == "closed"
        website.clock.turn(seconds=-60)
        assert website.api("POST", f"/complaints/{complaint}/undo").status_code == 409
        assert "Withdraw what was not sent" in review(website, complaint).text
        after = website.api("POST", f"/complaints/{complaint}/withdraw").json()
        assert {one["state"] for one in after["reports"]} == {"cancelled", "draft"}


def test_a_clock_that_was_set_back_keeps_nobody_from_taking_back(tmp_path: Path) -> None:
    """What is taken back is the consent that stands, not the one with the latest time."""
    with running_website(tmp_path) as website:
        complaint = website.waiting()
        confirm(website, complaint)
        assert website.api("POST", f"/complaints/{complaint}/undo").status_code == 202
        website.clock.turn(seconds=-60)
        confirm(website, complaint)
        assert website.api("POST", f"/complaints/{complaint}/undo").status_code == 202
        with website.office.db.reading() as session:
            assert len(session.exec(select(Withdrawal)).all()) == 2


def test_a_discarded_complaint_can_be_brought_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            [document] = await home.waiting()
            assert (await home.api("POST", f"/complaints/{document['id']}/discard")).status_code == 202
            assert "Bring it back" in (await home.http.get(document["review_url"])).text
            back = await home.api("POST", f"/complaints/{document['id']}/undo")
            assert back.json()["state"] == "awaiting_consent"
            assert (await home.confirm(back.json(), [CLOUD_DESK])).status_code == 202

    asyncio.run(main())
