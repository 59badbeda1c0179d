"""CFBL-Address by the rules of RFC 9477, and header fields that are only hints."""

import time

import pytest

from abuse_lookup.declared import Declaration, Field, Signed, declaration, hints

ALL = ("from", "to", "subject", "Message-ID", "CFBL-Address", "CFBL-Feedback-ID")
NO_ID = ("from", "subject", "cfbl-address")
PLAIN = ("from", "to", "subject", "message-id")


def message(
    *addresses: str, author: str = "News <news@shop.example>", ids: tuple[str, ...] = ()
) -> list[Field]:
    return [
        ("From", author),
        *(("CFBL-Address", address) for address in addresses),
        *(("CFBL-Feedback-ID", one) for one in ids),
        ("Subject", "Deals"),
    ]


def signed(domain: str, names: tuple[str, ...] = ALL, *, valid: bool = True) -> Signed:
    return Signed(domain, names, valid)


def only(found: Declaration) -> tuple[str, str, str]:
    """The one contact there is; nothing was rejected."""
    assert found.rejected == ()
    [contact] = found.contacts
    return contact.address, contact.rule, contact.signer


def refused(found: Declaration) -> str:
    """Why the one field there is must not be used."""
    assert found.contacts == ()
    [rejected] = found.rejected
    return rejected.why


# -- 3.1.1 and 3.1.2: at the author's domain, or below it ----------------------------------------------------------


def test_strict_when_author_mailbox_and_signer_are_one_domain() -> None:
    found = declaration(message("fbl@shop.example; report=arf"), [signed("shop.example")])
    assert only(found) == ("fbl@shop.example", "strict", "shop.example")


def test_relaxed_when_the_mailbox_is_below_the_author() -> None:
    found = declaration(message("fbl@mailer.shop.example"), [signed("shop.example")])
    assert only(found) == ("fbl@mailer.shop.example", "relaxed", "shop.example")


def test_relaxed_when_the_signer_is_above_the_author() -> None:
    fields = message("fbl@mailer.shop.example", author="news@mailer.shop.example")
    assert only(declaration(fields, [signed("shop.example")]))[1:] == ("relaxed", "shop.example")


def test_strict_is_preferred_where_both_would_do() -> None:
    fields = message("fbl@mailer.shop.example", author="news@mailer.shop.example")
    signatures = [signed("shop.example"), signed("mailer.shop.example")]
    assert only(declaration(fields, signatures))[1:] == ("strict", "mailer.shop.example")


def test_a_signer_below_the_author_does_not_vouch() -> None:
    found = declaration(message("fbl@shop.example"), [signed("mailer.shop.example")])
    assert "no valid DKIM signature is of shop.example" in refused(found)


def test_a_public_suffix_is_no_parent() -> None:
    fields = message("fbl@shop.co.uk", author="news@shop.co.uk")
    assert "no valid DKIM signature is of shop.co.uk" in refused(declaration(fields, [signed("co.uk")]))


def test_a_name_that_only_ends_alike_is_no_child() -> None:
    found = declaration(message("fbl@evilshop.example"), [signed("shop.example")])
    assert "no valid DKIM signature is of evilshop.example" in refused(found)


def test_a_signature_that_is_not_valid_vouches_for_nothing() -> None:
    found = declaration(message("fbl@shop.example"), [signed("shop.example", valid=False)])
    assert "no valid DKIM signature vouches" in refused(found)
    assert "no valid DKIM signature vouches" in refused(declaration(message("fbl@shop.example"), []))


def test_somebody_elses_valid_signature_does_not_help() -> None:
    found = declaration(message("fbl@shop.example"), [signed("esp.example")])
    assert "no valid DKIM signature is of shop.example" in refused(found)


# -- 3.1.3: elsewhere ------------------------------------------------------------------------------------------------


def test_a_third_party_needs_both_signatures() -> None:
    fields = message("fbl@esp.example")
    assert only(declaration(fields, [signed("esp.example"), signed("shop.example")])) == (
        "fbl@esp.example",
        "third party",
        "esp.example",
    )


@pytest.mark.parametrize(
    ("signatures", "why"),
    [
        ([signed("esp.example")], "shop.example: its owner did not agree"),
        ([signed("shop.example")], "no valid DKIM signature is of esp.example, where the mailbox is"),
        ([signed("esp.example"), signed("shop.example", valid=False)], "its owner did not agree"),
        ([signed("esp.example", valid=False), signed("shop.example")], "is of esp.example, where"),
        ([signed("mail.esp.example"), signed("shop.example")], "is of esp.example, where"),
        ([signed("esp.example"), signed("mail.shop.example")], "its owner did not agree"),
        ([signed("esp.example", PLAIN), signed("shop.example")], "esp.example does not cover CFBL-Address"),
        (
            [signed("esp.example", PLAIN), signed("shop.example", PLAIN)],
            "esp.example does not cover CFBL-Address",
        ),
    ],
)
def test_a_third_party_without_both_is_refused(signatures: list[Signed], why: str) -> None:
    assert why in refused(declaration(message("fbl@esp.example"), signatures))


def test_the_authors_parent_domain_is_a_third_party() -> None:
    fields = message("fbl@shop.example", author="news@mailer.shop.example")
    assert "its owner did not agree" in refused(declaration(fields, [signed("shop.example")]))
    both = [signed("shop.example"), signed("mailer.shop.example")]
    assert only(declaration(fields, both))[1:] == ("third party", "shop.example")


def test_a_pre_signed_message_may_get_its_mailers_address() -> None:
    found = declaration(message("fbl@esp.example"), [signed("esp.example"), signed("shop.example", PLAIN)])
    assert only(found) == ("fbl@esp.example", "pre-signed", "esp.example")


def test_pre_signed_means_neither_field_in_the_authors_signature() -> None:
    names = (*PLAIN, "cfbl-feedback-id")
    fields = message("fbl@esp.example", ids=("1:2",))
    found = declaration(fields, [signed("esp.example"), signed("shop.example", names)])
    assert "the signature of shop.example does not cover CFBL-Address" in refused(found)
    names = (*PLAIN, "cfbl-address")
    found = declaration(fields, [signed("esp.example"), signed("shop.example", names)])
    assert "the signature of shop.example does not cover CFBL-Feedback-ID" in refused(found)


# -- 3.1.4: what the signature covers ---------------------------------------------------------------------------------


def test_a_field_that_no_signature_covers_is_never_used() -> None:
    found = declaration(message("fbl@shop.example"), [signed("shop.example", PLAIN)])
    assert "shop.example does not cover CFBL-Address (h=), so anybody may have added it" in refused(found)


def test_the_feedback_id_has_to_be_covered_too_where_there_is_one() -> None:
    without, with_id = message("fbl@shop.example"), message("fbl@shop.example", ids=("1:2",))
    assert only(declaration(without, [signed("shop.example", NO_ID)]))
    assert "CFBL-Feedback-ID" in refused(declaration(with_id, [signed("shop.example", NO_ID)]))
    assert only(declaration(with_id, [signed("shop.example")]))


def test_another_signature_of_the_same_domain_may_cover_it() -> None:
    signatures = [signed("shop.example", PLAIN), signed("SHOP.example")]
    assert only(declaration(message("fbl@shop.example"), signatures))[1] == "strict"


def test_what_was_put_on_top_of_a_signed_field_is_not_covered() -> None:
    found = declaration(message("evil@shop.example", "fbl@shop.example"), [signed("shop.example")])
    assert [contact.address for contact in found.contacts] == ["fbl@shop.example"]
    assert [item.address for item in found.rejected] == ["evil@shop.example"]
    ids = message("fbl@shop.example", ids=("put on top", "1:2"))
    assert "CFBL-Feedback-ID" in refused(declaration(ids, [signed("shop.example")]))


def test_several_signed_fields_are_a_list() -> None:
    names = (*NO_ID, "cfbl-address", "cfbl-address")
    fields = message("a@shop.example", "b@shop.example; report=xarf", "A@shop.example")
    found = declaration(fields, [signed("shop.example", names)])
    assert [(one.address, one.report) for one in found.contacts] == [
        ("a@shop.example", "arf"),
        ("b@shop.example", "xarf"),
        ("A@shop.example", "arf"),
    ]


def test_a_crowd_of_addresses_is_cut() -> None:
    names = ("from", *["cfbl-address"] * 50)
    found = declaration(message(*(f"a{n}@shop.example" for n in range(50))), [signed("shop.example", names)])
    assert len(found.contacts) == 5
    assert [item.address for item in found.rejected] == ["45 more"]


# -- From --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "author",
    [
        "",
        "nobody",
        "a@shop.example, b@shop.example",
        "a@shop.example <b@esp.example>",
        "<a@b@shop.example>",
        "a@com",
        "a@[192.0.2.1]",
    ],
)
def test_without_one_author_nobody_can_vouch(author: str) -> None:
    fields = message("fbl@shop.example", author=author)
    assert "no author's domain" in refused(declaration(fields, [signed("shop.example")]))


def test_two_from_fields_are_no_author() -> None:
    fields = [("From", "evil@other.example"), *message("fbl@shop.example")]
    assert "no author's domain" in refused(declaration(fields, [signed("shop.example")]))


@pytest.mark.parametrize(
    "author",
    [
        '"news@other.example" <news@Shop.EXAMPLE>',
        "news@shop.example (news@other.example)",
        "=?utf-8?q?News?= <news@shop.example>",
    ],
)
def test_the_author_is_the_address_not_the_name(author: str) -> None:
    assert only(declaration(message("fbl@shop.example", author=author), [signed("shop.example")]))


# -- syntax --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "address", "report"),
    [
        ("fbl@shop.example", "fbl@shop.example", "arf"),
        (" fbl@Shop.Example ;\r\n report=arf", "fbl@shop.example", "arf"),
        ("fbl@shop.example;report=xarf", "fbl@shop.example", "xarf"),
        (
            "(a (nested) comment) fbl@shop.example (so; there) ; (and) report=xarf (end)",
            "fbl@shop.example",
            "xarf",
        ),
        ('"fbl"@shop.example', "fbl@shop.example", "arf"),
        ("fbl+1=2@shop.example", "fbl+1=2@shop.example", "arf"),
        ("böse@shop.example", "böse@shop.example", "arf"),
        ("fbl@bücher.shop.example", "fbl@xn--bcher-kva.shop.example", "arf"),
    ],
)
def test_an_address_and_the_format_it_wants(body: str, address: str, report: str) -> None:
    [contact] = declaration(message(body), [signed("shop.example")]).contacts
    assert (contact.address, contact.report) == (address, report)
    assert ("XARF" in contact.why) is (report == "xarf")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "fbl",
        "<fbl@shop.example>",
        "Desk <fbl@shop.example>",
        "mailto:fbl@shop.example",
        "fbl@shop.example, b@shop.example",
        "fbl@shop.example b@shop.example",
        "fbl@shop.example;",
        "fbl@shop.example; report=ARF",
        "fbl@shop.example; Report=arf",
        "fbl@shop.example; report = arf",
        "fbl@shop.example; report=pdf",
        "fbl@shop.example; report=arf; report=xarf",
        "fbl@shop.example; report=arf x",
        "fbl@[192.0.2.1]",
        "fbl@com",
        "fbl@localhost",
        "f..bl@shop.example",
        ".fbl@shop.example",
        '"a b"@shop.example',
        "a@b@shop.example",
        "x" * 3000 + "@shop.example",
    ],
)
def test_what_is_not_of_the_form_is_refused(body: str) -> None:
    assert "RFC 9477 §5.1" in refused(declaration(message(body), [signed("shop.example")]))


def test_the_feedback_id_is_put_together_without_white_space_and_comments() -> None:
    fields = message("fbl@shop.example", ids=("111:222:\r\n\t333 (a comment) : 444",))
    assert declaration(fields, [signed("shop.example")]).feedback_ids == ("111:222:333:444",)


def test_a_message_that_declares_nothing_is_no_rejection() -> None:
    assert declaration(message(), [signed("shop.example")]) == Declaration()


def test_hostile_fields_take_no_time() -> None:
    started = time.process_time()
    for body in (
        "(" * 60_000,
        "(" * 1900,
        '"' * 1999,
        "\\" * 1999,
        "a." * 999 + "@",
        "a@" + "b." * 990,
        "; report=" * 200,
    ):
        declaration(message(body, author=body, ids=(body,)), [signed("shop.example")])
    assert time.process_time() - started < 1


# -- hints ----------------------------------------------------------------------------------------------------------------


def test_a_senders_advice_is_shown_with_what_it_is_worth() -> None:
    found = hints(
        [
            ("X-Report-Abuse", "Please report to abuse@mailer.example"),
            ("X-CSA-Complaints", "csa@mailer.example"),
            ("Feedback-ID", "1:2:3:mailer"),
            ("List-Unsubscribe", "<https://mailer.example/u?x=1>"),
            ("X-Abuse", "\x1b[31mred\r\n two \u202e lines"),
            ("Subject", "abuse@mailer.example"),
            ("X-Mailer", "mailer"),
            ("X-Complaints-To", " "),
        ]
    )
    assert [hint.header for hint in found] == [
        "X-Report-Abuse",
        "X-CSA-Complaints",
        "Feedback-ID",
        "List-Unsubscribe",
        "X-Abuse",
    ]
    assert "anybody can write it" in found[0].why
    assert found[4].value == "[31mred  two   lines"


def test_hints_are_few_and_short_and_each_once() -> None:
    found = hints([("X-Abuse", f"{n % 20} " + "x" * 5000) for n in range(1000)])
    assert len(found) == 10
    assert all(len(hint.value) < 320 for hint in found)
    assert len(hints([("X-Abuse", "same")] * 5)) == 1
