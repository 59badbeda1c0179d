"""Which desks are asked for, which are ticked and why not, and what each is told about its part in the spam."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from abuse_lookup.answer import Contact, Lookup, Reason
from complaints import draft
from complaints.contacts import BYSTANDERS, LINK_HOSTS, Question, questions, snapshot
from complaints.models import Json
from complaints.spam import Trust, read
from tests.house import ALICE, CLOUD
from tests.visitor import reports, review
from tests.website import LINK_ANSWER, LINK_DESK, NETWORK_DESK, Website, running_website, source_answer, spam

OWN = {"victim.example", "plaint.example"}


def html(*urls: str) -> Json:
    """The evidence of a mail that links to these."""
    raw = spam().replace(b"text/plain", b"text/html").partition(b"\r\n\r\n")[0]
    body = "".join(f'<a href="{url}">here</a>' for url in urls)
    return read(raw + b"\r\n\r\n" + body.encode(), Trust.of(["mx.victim.example"]), own=OWN).document()


def asked(evidence: Json) -> list[tuple[str, str]]:
    found, _ = questions(CLOUD, evidence, OWN)
    return [(question.role, question.target) for question in found]


def contact(address: str, **more: Any) -> Contact:
    facts: Json = {
        "scope": "host", "source": "rdap", "server": "rdap.example", "confidence": "high",
        "why": "It says so.", "as_of": datetime(2026, 11, 26, tzinfo=UTC),
    }  # fmt: skip
    return Contact(address=address, **(facts | more))


def desks(*answers: tuple[Question, tuple[Contact, ...]]) -> dict[str, Json]:
    """The proposed desks by address, for these answers beside that of the source."""
    first = (Question(CLOUD, "source"), source_answer())
    rest = [(question, Lookup(question.target, "domain", contacts=found)) for question, found in answers]
    found, _ = draft.proposed_desks(snapshot([first, *rest], 0), OWN)
    return {desk["address"]: desk for desk in found}


def link(host: str = "pills.example", **more: Any) -> Question:
    facts = {
        "domain": host,
        "url": f"https://{host}/",
        "found_in": ["html"],
        "led_to": True,
        "bystander": None,
    }
    return Question(host, "link", facts | more)


def signer(domain: str = "pills.example") -> Question:
    return Question(domain, "signer", {"selector": "s1"})


def test_the_guilty_are_asked_about_first_and_bystanders_last() -> None:
    evidence = html("https://www.paypal.com/signin", "https://pills.example/buy")
    assert asked(evidence) == [("source", CLOUD), ("link", "pills.example"), ("link", "www.paypal.com")]


def test_only_so_many_link_hosts_are_asked_about_and_the_rest_is_counted() -> None:
    evidence = html(*(f"https://h{n}.example/" for n in range(LINK_HOSTS + 3)), "https://www.paypal.com/")
    found, not_asked = questions(CLOUD, evidence, OWN)
    hosts = [question.target for question in found if question.role == "link"]
    assert hosts == [*(f"h{n}.example" for n in range(LINK_HOSTS)), "www.paypal.com"]
    assert not_asked == 3


def test_hosts_of_one_domain_are_one_question() -> None:
    evidence = html("https://a.pills.example/", "https://b.pills.example/")
    assert asked(evidence) == [("source", CLOUD), ("link", "a.pills.example")]


def test_few_bystanders_are_asked_about_and_never_the_reporters_own_domain() -> None:
    banks = [f"https://www.{name}.com/" for name in ("paypal", "chase", "dhl", "netflix")]
    evidence = html(
        "https://pills.example/", *banks, "https://webmail.victim.example/", "https://fonts.gstatic.com/a.css"
    )
    roles = [target for role, target in asked(evidence) if role == "link"]
    assert roles == ["pills.example", "www.paypal.com", "www.chase.com"]
    assert BYSTANDERS == 2


def test_signers_that_answer_for_the_message_are_asked_about() -> None:
    one = {"selector": "s", "result": "pass", "why": "", "aligned": False}
    signatures = [
        {**one, "domain": "esp.example", "candidate": True},
        {**one, "domain": "esp.example", "candidate": True},
        {**one, "domain": "broken.example", "candidate": False},
        {**one, "domain": "victim.example", "candidate": True},
        {**one, "domain": None, "candidate": True},
    ]
    evidence = html() | {"signatures": signatures}
    assert asked(evidence) == [("source", CLOUD), ("signer", "esp.example")]


def test_drop_boxes_are_asked_about_but_not_the_reporter() -> None:
    raw = spam(body=f"write to jones@mailbox.example, not to {ALICE}")
    evidence = read(raw, Trust.of(["mx.victim.example"]), own=OWN).document()
    assert ("drop-box", "jones@mailbox.example") in asked(evidence)
    assert all(ALICE not in target for _, target in asked(evidence))


def test_evidence_of_an_earlier_version_is_asked_about_by_its_source() -> None:
    assert asked({"links": [], "source": {"ip": CLOUD}}) == [("source", CLOUD)]


def test_a_link_desk_waits_for_the_reporter() -> None:
    found = desks((link(), (contact(LINK_DESK),)))
    assert found[NETWORK_DESK]["ticked"]
    assert found[NETWORK_DESK]["unticked"] is None
    assert not found[LINK_DESK]["ticked"]
    assert "innocent" in found[LINK_DESK]["unticked"]


def test_a_bystanders_desk_is_shown_with_the_reason() -> None:
    desk = desks((link("bank.example", bystander="Bank: its own site"), (contact("abuse@bank.example"),)))
    assert not desk["abuse@bank.example"]["ticked"]
    assert desk["abuse@bank.example"]["unticked"] == "A bystander. Bank: its own site."


def test_who_only_serves_a_picture_is_not_ticked() -> None:
    found = desks((signer(), ()), (link(led_to=False), (contact(LINK_DESK),)))
    assert "leads nobody" in found[LINK_DESK]["unticked"]


def test_the_host_of_an_advertised_domain_that_signed_the_message_is_ticked() -> None:
    weak, owner = (
        contact("weak@host.example", confidence="medium"),
        contact("abuse@pills.example", scope="domain"),
    )
    found = desks((signer(), ()), (link(), (contact(LINK_DESK), weak, owner)))
    assert found[LINK_DESK]["ticked"]
    assert not found["weak@host.example"]["ticked"]
    assert not found["abuse@pills.example"]["ticked"], "its owner may be the spammer"
    assert not desks((signer("other.example"), ()), (link(), (contact(LINK_DESK),)))[LINK_DESK]["ticked"]


def test_a_bystander_is_not_ticked_even_when_it_signed() -> None:
    question = link("bank.example", bystander="Bank: its own site")
    found = desks((signer("bank.example"), ()), (question, (contact("abuse@bank.example"),)))
    assert not found["abuse@bank.example"]["ticked"]


def test_a_guessed_desk_of_a_signer_waits_and_a_well_founded_one_is_ticked() -> None:
    guess = contact("abuse@esp.example", scope="domain", confidence="low")
    known = contact("abuse@esp.example", scope="domain", source="known")
    assert not desks((signer("esp.example"), (guess,)))["abuse@esp.example"]["ticked"]
    assert desks((signer("esp.example"), (known,)))["abuse@esp.example"]["ticked"]


def test_a_signers_host_counts_only_as_far_as_it_is_the_domains_own_desk() -> None:
    as_domain = Reason(
        "domain", "dns", "esp.example", "low", "It is a guess.", datetime(2026, 11, 26, tzinfo=UTC)
    )
    both = contact("abuse@esp.example", also=(as_domain,))
    found = desks((signer("esp.example"), (both, contact("abuse@shield.example", source="known"))))
    assert list(found) == [NETWORK_DESK, "abuse@esp.example"]
    desk = found["abuse@esp.example"]
    assert (desk["confidence"], desk["why"], desk["ticked"]) == ("low", "It is a guess.", False)


def test_web_hosts_and_registrars_of_a_signer_have_no_part_in_it() -> None:
    others = (contact("abuse@webhost.example"), contact("abuse@registrar.example", scope="registrar"))
    found = desks((signer("esp.example"), (*others, contact("abuse@esp.example", scope="domain"))))
    assert set(found) == {NETWORK_DESK, "abuse@esp.example"}


def test_a_drop_box_desk_has_the_scope_sender_and_waits() -> None:
    question = Question("jones@mailbox.example", "drop-box", {"found_in": "reply-to"})
    found = desks((question, (contact("abuse@mailbox.example", scope="domain"),)))
    assert found["abuse@mailbox.example"]["scope"] == "sender"
    assert found["abuse@mailbox.example"]["role"] == "drop-box"
    assert not found["abuse@mailbox.example"]["ticked"]


def test_one_desk_for_several_parts_gets_one_report_with_all_of_them() -> None:
    found = desks((signer(), (contact(NETWORK_DESK, scope="domain"),)), (link(), (contact(NETWORK_DESK),)))
    [desk] = found.values()
    assert [(part["role"], part["target"]) for part in desk["parts"]] == [
        ("source", CLOUD), ("signer", "pills.example"), ("link", "pills.example"),
    ]  # fmt: skip
    assert desk["targets"] == [CLOUD, "pills.example"]
    assert desk["ticked"]


def told(website: Website, question: Question, raw: bytes | None = None) -> str:
    """The report to the link desk when it answers for this question, its lines joined."""
    answer = Lookup(question.target, "domain", contacts=(contact(LINK_DESK, scope="domain"),))
    complaint = website.hand_in(raw or spam())
    website.analyse(complaint, links=[(question, answer)])
    sent = website.api("GET", f"/complaints/{complaint}/reports/{reports(website)[LINK_DESK].id}").content
    return " ".join(sent.decode().split())


def test_each_desk_is_told_its_part(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        text = told(website, link())
        assert "this mailbox answers for pills.example, which the message advertises." in text
        assert "Reported-Domain: pills.example" in text
        assert "Reported-URI: http://pills.example/buy?u=1" in text


def test_a_signers_desk_is_told_of_the_signature(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        text = told(website, signer("esp.example"))
        assert "esp.example, which signed this message (DKIM, selector s1, verified by us)" in text
        assert "Reported-Domain: esp.example" in text


def test_a_drop_boxs_desk_is_told_the_address(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        text = told(website, Question("jones@mailbox.example", "drop-box", {"found_in": "reply-to"}))
        assert "the mailbox jones@mailbox.example, at which the message wants to be answered" in text
        assert "Reported-Domain: mailbox.example" in text
        assert "Reported-URI: mailto:jones@mailbox.example" in text


def test_a_link_out_of_a_qr_code_is_named_unless_it_shows_the_reporter(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        question = link("qr.example", url="https://qr.example/pay", found_in=["qr"])
        text = told(website, question)
        assert "qr.example, which the message advertises in a QR code" in text
        assert "Reported-URI: https://qr.example/pay" in text
    with running_website(tmp_path / "2") as website:
        question = link("qr.example", url=f"https://qr.example/pay?to={ALICE}", found_in=["qr"])
        text = told(website, question)
        assert "Reported-Domain: qr.example" in text
        assert ALICE not in text


def test_nobody_at_the_reporters_own_domain_or_at_ours_is_told(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        complaint = website.hand_in(spam())
        own = ("abuse@Victim.example", "postmaster@plaint.example")
        answer = source_answer(*(contact(address) for address in own), contact(NETWORK_DESK))
        website.analyse(complaint, source=answer, links=())
        document = website.show(complaint)
        assert [report["to"] for report in document["reports"]] == [NETWORK_DESK]
        why = {row["address"]: row["why"] for row in document["rejected"]}
        assert {why[address] for address in own} == {"This is your own mail domain."}


def test_the_page_says_why_a_desk_is_not_ticked(tmp_path: Path) -> None:
    with running_website(tmp_path) as website:
        complaint = website.hand_in(spam())
        question = link("bank.example", bystander="Bank: its own site")
        website.analyse(complaint, links=[(question, LINK_ANSWER)])
        assert "A bystander. Bank: its own site." in review(website, complaint).text
