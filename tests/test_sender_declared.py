"""A desk that the spam's own sender names (CFBL-Address): shown with a warning, chosen by hand, told by the RFC."""

import asyncio
import email
import time
from email import policy
from functools import cache
from pathlib import Path

import dkim
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from abuse_lookup import Lookup
from abuse_lookup.answer import Contact
from complaints import arf, draft, signing
from complaints.contacts import Question, declared, snapshot
from complaints.declared import sender_declared
from complaints.loopback import World
from complaints.message import parse
from complaints.models import Json
from complaints.signatures import Signature, verify
from tests.house import ALICE, CLOUD, house, spam
from tests.test_lookup import looking
from tests.visitor import review
from tests.website import NETWORK_DESK, running_website, source_answer

FBL = "fbl@mailer.example"
KEY = "sel._domainkey.mailer.example"
COVERED = [b"from", b"to", b"subject", b"message-id", b"cfbl-address", b"cfbl-feedback-id"]


@cache
def key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def pem() -> bytes:
    return key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def record() -> str:
    return signing.dns_record(pem())


def with_fields(
    fields: str = f"CFBL-Address: {FBL}; report=xarf\r\nCFBL-Feedback-ID: 111:222:\r\n 333\r\n",
) -> bytes:
    """A spam of mailer.example with these fields, not signed."""
    raw = spam().replace(b"shop@pills.example", b"news@mailer.example")
    return raw.replace(b"MIME-Version", fields.encode() + b"MIME-Version")


def signed(raw: bytes, covered: list[bytes] | None = None) -> bytes:
    """The same, signed by mailer.example below what the mail host wrote."""
    top, mark, message = raw.partition(b"From: ")
    field = dkim.sign(mark + message, b"sel", b"mailer.example", pem(), include_headers=covered or COVERED)
    return bytes(top + field + mark + message)


def found_in(raw: bytes) -> Json:
    message = parse(raw)
    found: Json = sender_declared(message, verify(message, {KEY: [record()]}))["sender_declared"]
    return found


def test_a_signed_wish_is_found_and_one_that_was_added_is_not() -> None:
    [contact] = found_in(signed(with_fields()))["contacts"]
    assert (contact["address"], contact["rule"], contact["report"]) == (FBL, "strict", "xarf")
    assert found_in(with_fields())["contacts"] == []
    added = signed(with_fields(""), [b"from", b"subject"]).replace(
        b"MIME-Version", f"CFBL-Address: {FBL}\r\nMIME-Version".encode()
    )
    assert found_in(added)["contacts"] == []
    assert "does not cover CFBL-Address" in found_in(added)["rejected"][0]["why"]


def test_a_signature_over_a_part_of_the_body_or_under_test_vouches_for_nothing() -> None:
    raw = signed(with_fields())
    message = parse(raw)
    testing = {KEY: [record().replace("v=DKIM1;", "v=DKIM1; t=y;")]}
    assert [one.result for one in verify(message, testing)] == ["pass"]
    assert sender_declared(message, verify(message, testing))["sender_declared"]["contacts"] == []
    top, mark, body = with_fields().partition(b"From: ")
    field = dkim.sign(mark + body, b"sel", b"mailer.example", pem(), include_headers=COVERED, length=True)
    assert found_in(top + field + mark + body + b"more\r\n")["contacts"] == []
    assert found_in(top + field + mark + body)["contacts"] != []


def test_a_broken_signature_vouches_for_nothing() -> None:
    raw = signed(with_fields()).replace(b"fbl@", b"abl@")
    assert found_in(raw)["contacts"] == []
    assert "no valid DKIM signature" in found_in(raw)["rejected"][0]["why"]


def test_a_forwarders_signature_is_not_spared_here() -> None:
    """That a list or forwarder is no candidate for a complaint does not make its signature any less valid."""
    one = Signature(
        "mailer.example",
        "sel",
        "pass",
        "",
        candidate=False,
        covers=("from", "cfbl-address", "cfbl-feedback-id"),
    )
    assert sender_declared(parse(with_fields()), [one])["sender_declared"]["contacts"]


def proposed(contact: Contact) -> Json:
    source = (Question(CLOUD, "source"), source_answer())
    theirs = (
        Question("mailer.example", "sender-declared", {"rule": "strict"}),
        Lookup("mailer.example", "domain", contacts=(contact,)),
    )
    desks, _ = draft.proposed_desks(snapshot([source, theirs], 0), set())
    return {desk["address"]: desk for desk in desks}


def wished(address: str = FBL) -> Contact:
    return Contact(
        "sender",
        "header",
        "mailer.example",
        "high",
        "It asks for it.",
        source_answer().contacts[0].as_of,
        address,
    )


def test_it_is_never_ticked_and_the_reporter_is_warned() -> None:
    desk = proposed(wished())[FBL]
    assert not desk["ticked"]
    assert desk["role"] == "sender-declared"
    assert "confirms to the sender that your mailbox exists" in desk["unticked"]


def test_a_desk_of_the_source_stays_ticked_when_the_sender_names_it_too() -> None:
    desk = proposed(wished(NETWORK_DESK))[NETWORK_DESK]
    assert desk["ticked"]
    assert [part["role"] for part in desk["parts"]] == ["source", "sender-declared"]


def test_who_keeps_a_zone_is_never_ticked() -> None:
    hint = Contact("domain", "soa", "dns", "low", "It keeps it.", wished().as_of, "hostmaster@keeper.example")
    source = (Question(CLOUD, "source"), Lookup(CLOUD, "ip", contacts=(hint,)))
    [desk], _ = draft.proposed_desks(snapshot([source], 0), set())
    assert not desk["ticked"]
    assert "need not run the host" in desk["unticked"]


def test_a_declared_mailbox_is_checked_as_any_other() -> None:
    evidence = {
        "sender_declared": {
            "contacts": [
                {
                    "address": address,
                    "report": "arf",
                    "rule": "strict",
                    "signer": "mailer.example",
                    "why": "it asks",
                }
                for address in (FBL, "fbl@null.example", "no-reply@mailer.example", "böse@mailer.example")
            ],
            "rejected": [{"address": "x@y.example", "why": "not covered"}],
        }
    }

    async def run() -> list[tuple[Question, Lookup]]:
        world = (
            '[domains."mailer.example"]\nmx = ["mx.mailer.example"]\n[domains."null.example"]\nmx = ["."]\n'
        )
        async with looking(world) as (lookup, _):
            return await declared(lookup, evidence)

    found = asyncio.run(run())
    assert {question.role for question, _ in found} == {"sender-declared"}
    contacts = [contact for _, answer in found for contact in answer.contacts]
    assert [(one.address, one.scope, one.source) for one in contacts] == [(FBL, "sender", "header")]
    rejected = {item.address: item.why for _, answer in found for item in answer.rejected}
    assert "null MX" in rejected["fbl@null.example"]
    assert "nobody reads" in rejected["no-reply@mailer.example"]
    assert "SMTPUTF8" in rejected["böse@mailer.example"]
    assert rejected["x@y.example"] == "not covered"


def test_evidence_of_an_earlier_version_declares_nothing() -> None:
    async def run() -> list[tuple[Question, Lookup]]:
        async with looking("[domains]") as (lookup, _):
            return await declared(lookup, {})

    assert asyncio.run(run()) == []


def world() -> World:
    text = record()
    strings = " ".join(f'"{text[start : start + 250]}"' for start in range(0, len(text), 250))
    return World.load("demo").extended(
        f"""
[domains."mailer.example"]
addresses = ["198.51.100.77"]
mx = ["mx.mailer.example"]
[mailboxes]
"{FBL}" = "answer"
[zones]
"_domainkey.mailer.example" = 'sel TXT {strings}'
"""
    )


def test_the_report_is_what_the_rfc_wants_and_gives_nobody_away(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path, world=world()) as home:
            original = signed(with_fields())
            [document] = await home.waiting(original)
            desks = {report["to"]: report for report in document["reports"]}
            assert desks["abuse@cloud.example"]["ticked"]
            assert not desks[FBL]["ticked"]
            assert desks[FBL]["scope"] == "sender"
            assert "confirms to the sender that your mailbox exists" in desks[FBL]["unticked"]
            await home.confirm(document, [FBL])
            [arrived] = await home.internet.wait_for(1, to=FBL)
            secret = (home.settings.data / "secrets" / "dkim.pem").read_bytes()
            assert dkim.verify(arrived.raw, dnsfunc=lambda *_, **__: signing.dns_record(secret).encode())
            message = email.message_from_bytes(arrived.raw, policy=policy.default)
            assert message["From"].addresses[0].domain in str(message["DKIM-Signature"])
            report = arf.parse_report(arrived.raw)
            assert report is not None
            assert report.feedback_type == "abuse"
            assert report.all("Reported-Domain") == ["mailer.example"]
            enclosed, sent = parse(report.spam), parse(original)
            for name in ("Message-ID", "CFBL-Feedback-ID", "CFBL-Address"):
                assert [field.raw for field in enclosed.fields(name)] == [
                    field.raw for field in sent.fields(name)
                ]
            assert ALICE.encode() not in arrived.raw
            assert "asks for reports here (RFC 9477, strict)" in " ".join(report.text.split())

    asyncio.run(main())


def test_the_page_shows_it_as_a_class_of_its_own_and_hints_are_never_desks(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        raw = with_fields("X-Report-Abuse: abuse@hinted.example\r\n")
        complaint = website.hand_in(raw)
        question = Question("mailer.example", "sender-declared", {"rule": "strict", "report": "arf"})
        answer = Lookup("mailer.example", "domain", contacts=(wished(),))
        website.analyse(complaint, links=[(question, answer)])
        page = review(website, complaint).text
        assert "sender-declared" in page
        assert "confirms to the sender that your mailbox exists" in page
        assert "abuse@hinted.example" in page
        assert "anybody can write it" in page
        assert "abuse@hinted.example" not in {one["to"] for one in website.show(complaint)["reports"]}


def test_a_number_that_shows_the_reporter_is_not_sent_back_and_the_desk_hears_why_not(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        raw = with_fields().replace(b"111:222:\r\n 333", b"111:" + ALICE.encode())
        complaint = website.hand_in(raw)
        question = Question("mailer.example", "sender-declared", {"rule": "strict", "report": "arf"})
        website.analyse(
            complaint, links=[(question, Lookup("mailer.example", "domain", contacts=(wished(),)))]
        )
        document = website.show(complaint)
        assert FBL not in {one["to"] for one in document["reports"]}
        assert "shows your address" in {item["address"]: item["why"] for item in document["rejected"]}[FBL]


def test_at_level_strict_the_senders_own_mailbox_gets_nothing(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        complaint = website.hand_in(with_fields())
        question = Question("mailer.example", "sender-declared", {"rule": "strict", "report": "arf"})
        website.analyse(
            complaint, links=[(question, Lookup("mailer.example", "domain", contacts=(wished(),)))]
        )
        reports = {one["to"]: one for one in website.show(complaint)["reports"]}
        body = {"reports": {reports[FBL]["id"]: reports[FBL]["digest"]}, "redaction": "strict"}
        refused = website.api("POST", f"/complaints/{complaint}/confirm", json=body)
        assert refused.status_code == 409
        assert "the strict redaction hides" in refused.json()["detail"]
        assert {one["state"] for one in website.show(complaint)["reports"]} == {"draft"}
        good = website.api("POST", f"/complaints/{complaint}/confirm", json=body | {"redaction": "identity"})
        assert good.status_code == 202


def test_many_large_fields_take_little_time() -> None:
    huge = b"".join(
        b"X-Abuse: %d " % n + b"x" * 50_000 + b"\r\nCFBL-Address: " + b"(" * 9_000 + b"\r\n"
        for n in range(500)
    )
    message = parse(huge + with_fields())
    started = time.process_time()
    found = sender_declared(
        message, [Signature("mailer.example", "sel", "pass", "", covers=("from", "cfbl-address"))]
    )
    assert time.process_time() - started < 1
    assert found["sender_declared"]["contacts"] == []
