"""Mail hosts learned from the reporter: a probe that comes back, a hop that is theirs, a host that is named."""

import asyncio
import base64
import email
import email.policy
import re
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import col, select

from abuse_lookup.answer import Lookup
from complaints import evidence, learned, notice, probes, reporters
from complaints.models import Complaint, ComplaintState, Letter, Probe, Report, Reporter
from complaints.office import utc_now
from complaints.own_hosts import Host
from complaints.policy import POLICY
from complaints.reporters import Secrets
from complaints.spam import Trust, read
from complaints.web.shown import nonce_for
from tests.house import ALICE, BOB, CLOUD, house
from tests.test_flow import text_of
from tests.visitor import problem
from tests.website import NOON, Website, forms, running_website

GATE = "198.51.100.130"


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def way(first: str, moment: Any = NOON) -> bytes:
    """The lines that the reporter's hosts put on top: mx.victim.example, then a gate and a store elsewhere."""
    when = format_datetime(moment)
    return (
        f"Received: from gate.office.example (gate.office.example [{GATE}])\r\n"
        f"\tby store.archive.example (Postfix) with ESMTPS id 3; {when}\r\n"
        f"Received: from mx.victim.example (mx.victim.example [192.0.2.11])\r\n"
        f"\tby gate.office.example (Postfix) with ESMTPS id 2; {when}\r\n"
        f"Received: from {first}\r\n"
        f"\tby mx.victim.example (Postfix) with ESMTP id 1\r\n"
        f"\tfor <{ALICE}>; {when}\r\n"
    ).encode()


FROM_US = "plaint.example (out.operator.example [203.0.113.5])"
FROM_CLOUD = f"seller.example (unknown [{CLOUD}])"


def spam(subject: str = "Cheap pills", moment: Any = NOON) -> bytes:
    """A spam that took the reporter's whole way."""
    return (
        way(FROM_CLOUD, moment)
        + (
            f"From: Shop <shop@pills.example>\r\nTo: {ALICE}\r\nSubject: {subject}\r\n"
            f"Message-ID: <{subject.replace(' ', '.')}@pills.example>\r\n\r\nBuy now.\r\n"
        ).encode()
    )


def hosts_of(website: Website, who: Secrets | None = None) -> dict[str, str]:
    """host → how, of a reporter."""
    with website.office.db.reading() as session:
        reporter = session.get_one(Reporter, (who or website.alice).reporter.id)
        rows = learned.document(website.office, reporter)["hosts"]
    return {row.get("host") or row.get("address") or row["network"]: row["how"] for row in rows}


def hosts_path(website: Website, who: Secrets | None = None) -> str:
    return urlsplit(website.office.hosts_url((who or website.alice).reporter)).path


def sent_probe(website: Website, who: Secrets | None = None) -> bytes:
    """A probe as it leaves us."""
    who = who or website.alice
    with website.office.db.transaction() as session:
        reporter = session.get_one(Reporter, who.reporter.id)
        probe = probes.ask(session, website.office, reporter)
        letter = session.get_one(Letter, probe.letter_id)
        return website.office.vault.unseal(reporter.key, letter.raw)


def handed_in(website: Website, raw: bytes, who: Secrets | None = None) -> dict[str, Any]:
    answer = website.api(
        "POST", "/submissions", who=who, content=raw, headers={"Content-Type": "message/rfc822"}
    )
    assert answer.status_code == 202, answer.text
    [item] = answer.json()["items"]
    found: dict[str, Any] = item
    return found


def letters(website: Website, kind: str) -> list[str]:
    with website.office.db.reading() as session:
        query = select(Letter).where(Letter.kind == kind).order_by(col(Letter.next_at))
        rows = [(row, session.get_one(Reporter, row.reporter_id)) for row in session.exec(query)]
    raws = [website.office.vault.unseal(owner.key, row.raw) for row, owner in rows]
    return [str(email.message_from_bytes(raw, policy=email.policy.default).get_content()) for raw in raws]


# ---- the main job


def test_a_probe_comes_back_and_spam_that_takes_that_way_is_traced_through_it(
    tmp_path: Path, database_url: str
) -> None:
    async def main() -> None:
        async with house(tmp_path, database_url) as home:
            before = spam("before", utc_now())
            [first] = await home.waiting(before)
            assert first["source_ip"] == GATE, "nobody told us yet that the gate is the reporter's"

            asked = await home.api("POST", "/probes", json={})
            assert asked.status_code == 202, asked.text
            letters = await home.internet.wait_for(2, to=ALICE)
            [probe] = [letter for letter in letters if b"probe-" in letter.raw]
            assert probe.mail_from == ""
            assert asked.json()["to"] == ALICE

            await home.forward([way(FROM_US, utc_now()) + probe.raw])
            [_, _, told] = await home.internet.wait_for(3, to=ALICE)
            assert "store.archive.example" in text_of(told)
            listed = (await home.api("GET", "/hosts")).json()
            rows = {row.get("host") or row.get("address"): row for row in listed["hosts"]}
            assert {name for name, row in rows.items() if row["how"] == "probe"} == {
                "store.archive.example",
                "gate.office.example",
                GATE,
                "192.0.2.11",
                "mx.victim.example",
            } - {name for name, row in rows.items() if row["how"] == "mx"}
            assert rows[GATE]["why"] == f"The test mail to {ALICE} passed through it."
            assert listed["url"] in text_of(told)

            await home.forward([spam("after", utc_now())])
            found = {item["subject"]: item for item in await home.complaints(2)}
            assert set(found) == {"before", "after"}, "the probe itself is no complaint"
            assert found["after"]["source_ip"] == CLOUD
            assert (await home.api("POST", f"/complaints/{first['id']}/refresh")).status_code == 202
            for _ in range(100):
                again = await home.show(first["id"])
                if again["state"] == "awaiting_consent":
                    break
                await asyncio.sleep(0.1)
            assert again["source_ip"] == CLOUD

    asyncio.run(main())


def test_each_way_of_a_reporter_has_its_own_probe(website: Website) -> None:
    with website.office.db.transaction() as session:
        reporter = session.get_one(Reporter, website.alice.reporter.id)
        reporter.aliases = ["Alice@Alias.example"]
        session.add(reporter)
    assert website.api("POST", "/probes", json={"to": "alice@alias.example"}).status_code == 202
    assert website.api("POST", "/probes", json={}).status_code == 202
    with website.office.db.reading() as session:
        sent = {letter.to: letter for letter in session.exec(select(Letter))}
    key = website.alice.reporter.key
    # Others may read mail to an alias, and the link alone changes whom the reporter trusts
    linked = {to: b"/hosts/" in website.office.vault.unseal(key, one.raw) for to, one in sent.items()}
    assert linked == {"Alice@Alias.example": False, ALICE: True}
    refused = problem(website.api("POST", "/probes", json={"to": BOB}), 422)
    assert ALICE in refused["detail"]
    assert BOB in refused["detail"]


# ---- what came back


def test_a_returned_probe_is_no_spam_and_its_hosts_are_told_in_a_letter_of_their_own(
    website: Website,
) -> None:
    item = handed_in(website, way(FROM_US) + sent_probe(website))
    assert (item["status"], item["complaint"]) == ("learned", None)
    assert hosts_of(website) == dict.fromkeys(
        ["store.archive.example", GATE, "gate.office.example", "192.0.2.11", "mx.victim.example"], "probe"
    )
    assert CLOUD not in website.dump()
    [told] = letters(website, "learned")
    assert told.index("store.archive.example") < told.index(GATE) < told.index("mx.victim.example")
    with website.office.db.reading() as session:
        from complaints.models import Submission

        submission = session.exec(select(Submission)).one()
    notice.step(website.office, submission.id)
    assert letters(website, "refused") == letters(website, "notice") == []
    again = handed_in(website, way(FROM_US) + sent_probe(website))
    assert again["reason"].endswith("0 mail hosts of yours learned from it")


def test_a_probe_is_known_in_whatever_encoding_and_with_whatever_banner_it_comes(website: Website) -> None:
    header, _, body = sent_probe(website).partition(b"\r\n\r\n")
    banner = b"CAUTION: this mail came from outside.\r\n\r\n" + body
    header = re.sub(rb"Content-Transfer-Encoding: \w+", b"Content-Transfer-Encoding: base64", header)
    raw = way(FROM_US) + header + b"\r\n\r\n" + base64.encodebytes(banner)
    assert handed_in(website, raw)["status"] == "learned"


def test_an_expired_probe_is_refused_with_the_reason(website: Website) -> None:
    raw = way(FROM_US) + sent_probe(website)
    website.clock.turn(days=probes.LIFE.days)
    item = handed_in(website, raw)
    assert (item["status"], item["complaint"]) == ("refused", None)
    assert "older than 7 days" in item["reason"]
    assert hosts_of(website) == {}


def test_another_reporters_probe_is_refused_with_the_reason(website: Website) -> None:
    item = handed_in(website, way(FROM_US) + sent_probe(website, website.bob))
    assert "another reporter" in item["reason"]
    assert item["remedy"]
    assert hosts_of(website) == hosts_of(website, website.bob) == {}


def test_a_spam_that_carries_somebody_elses_good_secret_is_still_a_spam(website: Website) -> None:
    """A spammer can register, return a probe and know a secret of ours: it must shield no spam of theirs."""
    header, _, body = sent_probe(website, website.bob).partition(b"\r\n\r\n")
    for raw in (way(FROM_CLOUD) + header + b"\r\n\r\nBuy pills.\r\n" + body, spam("x") + body):
        item = handed_in(website, raw)
        assert item["status"] == "accepted"
        assert item["complaint"]


def test_a_forged_probe_is_a_spam_like_any_other_and_teaches_nothing(website: Website) -> None:
    raw = sent_probe(website)
    mark = re.search(rb"probe-(\w{12})-(\w{32})", raw)
    assert mark
    for forged in (b"probe-" + mark[1] + b"-" + b"0" * 32, b"probe-" + b"0" * 12 + b"-" + mark[2]):
        item = handed_in(website, way(FROM_CLOUD) + raw.replace(mark[0], forged))
        assert item["status"] == "accepted"
    assert hosts_of(website) == {}


def test_a_probe_without_its_message_id_or_text_is_refused_with_the_reason(website: Website) -> None:
    raw = sent_probe(website)
    copied = re.sub(rb"Message-ID: <[^>]*>", b"Message-ID: <copy@mailer.example>", raw)
    assert "Message-ID" in handed_in(website, way(FROM_US) + copied)["reason"]
    changed = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\nSomething else.\r\n"
    assert "text" in handed_in(website, way(FROM_US) + changed)["reason"]
    assert "no Received line" in handed_in(website, raw)["reason"]
    direct = handed_in(website, way(FROM_CLOUD) + raw)
    assert "shows which host took it from plaint.example" in direct["reason"]
    assert hosts_of(website) == {}


def test_the_secret_of_a_probe_is_not_in_the_database(website: Website) -> None:
    mark = re.search(rb"probe-\w{12}-(\w{32})", sent_probe(website))
    assert mark
    assert mark[1].decode() not in website.dump()


# ---- this hop is mine


def read_again(website: Website, complaint: str) -> Complaint:
    """The evidence step with what the reporter trusts now, without asking the DNS."""
    with website.office.db.reading() as session:
        row = session.get_one(Complaint, complaint)
        reporter = session.get_one(Reporter, row.reporter_id)
        raw = website.office.spam_of(session, row)
    with website.office.db.transaction() as session:
        evidence.record(session, website.office, row, read(raw, Trust.of(learned.trusted(reporter))), [])
    with website.office.db.reading() as session:
        return session.get_one(Complaint, complaint)


def mine(website: Website, complaint: str, hop: str, nonce: str | None = None) -> httpx.Response:
    website.look(complaint)
    with website.office.db.reading() as session:
        row = session.get_one(Complaint, complaint)
        rows = session.exec(select(Report).where(Report.complaint_id == complaint)).all()
        fresh = nonce_for(website.office, row, rows, POLICY)
    data = {"do": "mine", "hop": hop, "nonce": fresh if nonce is None else nonce}
    return website.http.post(website.review(complaint), data=data)


def test_a_hop_that_is_the_reporters_moves_the_source_down(website: Website) -> None:
    complaint = website.waiting(spam())
    assert website.show(complaint)["source_ip"] == GATE
    old = website.show(complaint)["reports"]
    assert mine(website, complaint, "0").status_code == 303
    assert hosts_of(website) == {GATE: "hop", "gate.office.example": "hop"}
    assert website.show(complaint)["state"] == "received"
    shown = {"reports": {old[0]["id"]: old[0]["digest"]}}
    assert website.api("POST", f"/complaints/{complaint}/confirm", json=shown).status_code == 409, (
        "it is stale"
    )
    assert read_again(website, complaint).source_ip == "192.0.2.11"


def test_a_complaint_refused_because_of_its_source_is_read_again(website: Website) -> None:
    """The desk of the reporter's own network is never written to: the trace ended at a host of theirs."""
    complaint = website.hand_in(spam())
    website.analyse(complaint, source=Lookup(GATE, "ip", None, (), (), ()), links=())
    assert website.show(complaint)["state"] == "refused"
    assert mine(website, complaint, "0").status_code == 303
    assert website.show(complaint)["reason"] is None
    assert read_again(website, complaint).source_ip == "192.0.2.11"


def test_a_private_neighbour_is_named_by_its_verified_name_or_not_at_all(website: Website) -> None:
    for seen, status in (("gate.office.example [10.0.0.20]", 303), ("unknown [10.0.0.20]", 422)):
        raw = (
            f"Received: from gate ({seen}) by store.archive.example (Postfix) with ESMTP id 2\r\n"
            f"Received: from seller.example (unknown [{CLOUD}]) by strange.example with ESMTP id 1\r\n"
            f"Subject: {status}\r\n\r\nBuy.\r\n"
        )
        complaint = website.hand_in(raw.encode())
        assert read_again(website, complaint).state == ComplaintState.REFUSED
        answer = mine(website, complaint, "0")
        assert answer.status_code == status
        assert status == 303 or "10.0.0.20 is a private network" in answer.text
    assert hosts_of(website) == {"gate.office.example": "hop"}


def test_the_button_beside_a_hop_says_that_it_is_mine(website: Website) -> None:
    """Where the trace ended at a host of the reporter's: on a complaint that waits, and on one refused for it."""
    waiting, refused = website.waiting(spam()), website.hand_in(spam("refused"))
    website.analyse(refused, source=Lookup(GATE, "ip", None, (), (), ()), links=())
    for complaint in (waiting, refused):
        page = website.http.get(website.review(complaint))
        [form] = [form for form in forms(page) if ("do", "mine") in form.buttons]
        assert ("hop", "0") in form.fields
        assert website.http.post(website.review(complaint), data=form.data("mine")).status_code == 303
        assert website.show(complaint)["state"] == "received"
    assert hosts_of(website) == {GATE: "hop", "gate.office.example": "hop"}


@pytest.mark.parametrize(
    ("hop", "status", "why"),
    [
        ("1", 409, "line 1 is not one that is believed"),
        ("99", 409, "line 99"),
        ("", 422, "Say at which line"),
        ("-1", 422, "Say at which line"),
        ("²", 422, "Say at which line"),
    ],
)
def test_a_hop_that_is_not_believed_teaches_nothing(
    website: Website, hop: str, status: int, why: str
) -> None:
    complaint = website.waiting(spam())
    answer = mine(website, complaint, hop)
    assert answer.status_code == status
    assert why in answer.text
    assert hosts_of(website) == {}
    assert website.show(complaint)["state"] == "awaiting_consent"


def test_a_hop_is_taken_only_from_the_page_that_showed_it(website: Website) -> None:
    complaint = website.waiting(spam())
    assert mine(website, complaint, "0", nonce="x.y").status_code == 409
    assert website.http.get(website.review(complaint) + "?do=mine&hop=0").status_code == 200
    assert hosts_of(website) == {}


def test_a_relay_of_many_is_never_the_reporters(website: Website) -> None:
    google = b"mail-ed1-f41.google.com (mail-ed1-f41.google.com [209.85.208.41])"
    raw = spam().replace(b"gate.office.example (gate.office.example [198.51.100.130])", google)
    complaint = website.waiting(raw)
    answer = mine(website, complaint, "0")
    assert answer.status_code == 422
    assert "its customers send through it too" in answer.text
    assert "customers send" in problem(website.api("POST", f"/complaints/{complaint}/mine", json={"hop": 0}), 422)["detail"]  # fmt: skip
    assert hosts_of(website) == {}


def test_a_hop_of_a_decided_complaint_stays_as_it_is(website: Website) -> None:
    complaint = website.waiting(spam())
    website.api("POST", f"/complaints/{complaint}/discard")
    assert "discarded" in problem(website.api("POST", f"/complaints/{complaint}/mine", json={"hop": 0}), 409)["detail"]  # fmt: skip
    assert problem(
        website.api("POST", f"/complaints/{complaint}/mine", json={"hop": 0}, who=website.bob), 404
    )


# ---- the page


def test_the_page_shows_what_is_trusted_since_when_and_why_and_each_can_be_removed(website: Website) -> None:
    handed_in(website, way(FROM_US) + sent_probe(website))
    mine(website, website.waiting(), "0")
    path = hosts_path(website)
    assert website.http.post(path, data={"do": "add", "host": "192.0.2.99/28"}).status_code == 303
    page = website.http.get(path)
    for name, how in hosts_of(website).items():
        assert f"<code>{name}</code>" in page.text, how
    assert page.text.count('name="what"') == len(hosts_of(website)) == 7
    assert "You said that it is yours, at line 0 of PL-" in page.text
    assert "Trust only what is yours." in page.text
    for form in forms(page):
        if ("do", "remove") in form.buttons:
            assert website.http.post(path, data=form.data("remove")).status_code == 303
    assert hosts_of(website) == {}
    assert "None yet." in website.http.get(path).text
    gone = website.http.post(path, data={"do": "remove", "what": GATE})
    assert gone.status_code == 422
    assert "not among the hosts" in gone.text


def test_a_removed_host_is_not_trusted_by_the_next_spam(website: Website) -> None:
    complaint = website.waiting(spam())
    mine(website, complaint, "0")
    assert website.api("POST", "/hosts/remove", json={"host": GATE}).status_code == 200
    assert website.api("POST", "/hosts/remove", json={"host": "gate.office.example"}).status_code == 200
    assert read_again(website, website.hand_in(spam("next"))).source_ip == GATE


def test_hosts_named_by_the_operator_can_be_removed_too(website: Website) -> None:
    with website.office.db.transaction() as session:
        dave = reporters.add(
            session, website.office, "dave@victim.example", trust=["mx.dave.example"], verified=True
        )
    assert hosts_of(website, dave) == {"mx.dave.example": "named"}
    website.http.post(hosts_path(website, dave), data={"do": "remove", "what": "mx.dave.example"})
    assert hosts_of(website, dave) == {}


def test_a_host_that_cannot_be_trusted_is_refused_beside_its_field(website: Website) -> None:
    path = hosts_path(website)
    for typed, why in (
        ("no host!", "write mx.example.org"),
        ("google.com", "its customers send"),
        ("", "nothing"),
    ):
        answer = website.http.post(path, data={"do": "add", "host": typed})
        assert answer.status_code == 422
        assert why in answer.text
        assert 'aria-describedby="host-error"' in answer.text
    assert website.http.post(path, data={"do": "dance"}).status_code == 422
    assert problem(website.api("POST", "/hosts", json={"host": "0.0.0.0/0"}), 422)
    assert hosts_of(website) == {}


def test_the_page_sends_a_probe_and_takes_it_back(website: Website) -> None:
    path = hosts_path(website)
    assert website.http.post(path, data={"do": "probe", "to": ALICE}).status_code == 303
    assert "forward it as an attachment" in website.http.get(path).text
    assert not re.search(r">[^<]*\bprobes?\b", website.http.get(path).text), "for a person it is a test"
    raw = way(FROM_US) + sent_probe(website)
    nothing = website.http.post(path, data={"do": "return", "paste": ""})
    assert "Choose the file" in nothing.text
    strange = website.http.post(path, data={"do": "return", "paste": spam().decode()})
    assert strange.status_code == 422
    assert "no test mail of ours" in strange.text
    with website.office.db.reading() as session:
        assert session.exec(select(Complaint)).all() == [], "a spam is handed in elsewhere"
    taken = website.http.post(path, data={"do": "return"}, files={"file": ("probe.eml", raw)})
    assert taken.status_code == 303, taken.text
    assert "came back" in website.http.get(path).text
    assert hosts_of(website)[GATE] == "probe"
    pasted = website.http.post(path, data={"do": "return", "paste": raw.decode()})
    assert pasted.status_code == 303
    old = website.http.post(path, data={"do": "return", "paste": sent_probe(website).decode()})
    assert old.status_code == 422
    assert "no Received line" in old.text


def test_nobodys_mailbox_is_flooded_with_probes(website: Website) -> None:
    path = hosts_path(website)
    for _ in range(probes.MOST_A_DAY):
        assert website.http.post(path, data={"do": "probe", "to": ALICE}).status_code == 303
    refused = website.http.post(path, data={"do": "probe", "to": ALICE})
    assert refused.status_code == 422
    assert "5 probes a day" in refused.text
    assert problem(website.api("POST", "/probes", json={}), 422)
    with website.office.db.reading() as session:
        assert len(session.exec(select(Probe)).all()) == probes.MOST_A_DAY
    website.clock.turn(days=1, minutes=1)
    assert website.http.post(path, data={"do": "probe", "to": ALICE}).status_code == 303


def test_promise_8_looking_at_the_page_of_hosts_changes_nothing(website: Website) -> None:
    before = website.dump()
    path = hosts_path(website)
    for query in ("", "?do=probe", "?do=add&host=mx.evil.example"):
        assert website.http.get(path + query).status_code == 200
    assert website.dump() == before


def test_the_page_opens_only_with_its_secret_and_new_secrets_end_it(website: Website) -> None:
    path = hosts_path(website)
    bobs = hosts_path(website, website.bob).rpartition(".")[2]
    alice = path.rpartition(".")[0]
    for wrong in (alice, f"{alice}.", f"{alice}.{bobs}", "/hosts/%00.a", "/hosts/x.y"):
        assert website.http.get(wrong).status_code == 404
        assert website.http.post(wrong, data={"do": "probe"}).status_code == 404
    with website.office.db.transaction() as session:
        reporters.rotate(session, website.office, session.get_one(Reporter, website.alice.reporter.id))
    assert website.http.get(path).status_code == 404


def test_no_more_hosts_are_kept_than_can_be_looked_through(website: Website) -> None:
    with website.office.db.transaction() as session:
        reporter = session.get_one(Reporter, website.alice.reporter.id)
        hosts = [Host("host", f"mx{n}.victim.example") for n in range(learned.MOST)]
        learned.add(session, website.office, reporter, hosts, "named")
    assert "remove some first" in problem(website.api("POST", "/hosts", json={"host": "a.b.example"}), 422)["detail"]  # fmt: skip
    assert website.api("POST", "/hosts", json={"host": "mx1.victim.example"}).status_code == 200
    item = handed_in(website, way(FROM_US) + sent_probe(website))
    assert "remove some first" in item["reason"]
