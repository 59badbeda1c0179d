"""Mail to postmaster and abuse at our domain reaches whoever runs the installation, and nobody else."""

import asyncio
from email import message_from_bytes
from pathlib import Path

import aiosmtplib
import pytest
from sqlmodel import select

from complaints import people
from complaints.letters import compose_letter, render
from complaints.models import Letter
from tests.house import House, house
from tests.test_letters import NOON, VALUES
from tests.website import running_website

OPERATOR = "ops@victim.example"
DESK = "abuse@cloud.example"
MAIL = (
    b"From: The desk <abuse@cloud.example>\r\nTo: Postmaster@plaint.example\r\nSubject: Your reports\r\n"
    b"Message-ID: <1@cloud.example>\r\n\r\nPlease call us.\r\n"
)


async def refused(home: House, to: str, raw: bytes = MAIL) -> str:
    with pytest.raises(aiosmtplib.SMTPException) as error:
        await home.smtp(raw, to, DESK)
    return str(error.value)


def test_whoever_answers_a_letter_of_ours_reaches_the_people_who_run_it(tmp_path: Path) -> None:
    for contact, expected in ((OPERATOR, OPERATOR), ("https://example.net/contact", None)):
        with running_website(tmp_path / expected if expected else tmp_path, contact=contact) as website:
            website.http.post("/register", data={"address": "new@victim.example"})
            with website.office.db.reading() as session:
                [letter] = session.exec(select(Letter).where(Letter.kind == "registration"))
            mail = message_from_bytes(website.office.vault.unseal(None, letter.raw))
            assert mail["Reply-To"] == expected


def test_mail_to_people_is_passed_on_to_the_contact_as_it_came_and_nothing_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "MOST_AN_HOUR", 2)

    async def main() -> None:
        async with house(tmp_path, contact=OPERATOR) as home:
            await home.smtp(MAIL, "Postmaster@PLAINT.example", DESK)
            with home.office.db.transaction() as session:  # as the door keeps it; a client would mend it
                smuggled = MAIL.replace(b"call us", b"call\n.\nMAIL FROM:<a@b.example>")
                people.pass_on(session, home.office, "abuse", "", smuggled)
            first, second = await home.internet.wait_for(2, to=OPERATOR)
            assert {one.mail_from for one in (first, second)} == {""}
            assert {one.rcpt_tos for one in home.internet.messages} == {(OPERATOR,)}
            passed = {str(one.message["Subject"]): one for one in (first, second)}
            as_it_came = passed["Mail to postmaster@plaint.example: Your reports"]
            assert MAIL in as_it_came.raw
            letter = message_from_bytes(as_it_came.raw)
            assert (letter["Reply-To"], letter["Auto-Submitted"]) == (DESK, "auto-generated")
            _, text, enclosed, _ = letter.walk()
            assert (text.get_content_type(), enclosed.get_content_type()) == ("text/plain", "message/rfc822")
            assert f"gave it: {DESK}" in str(text)
            other = passed["Mail to abuse@plaint.example: Your reports"]
            assert b"call\r\n.\r\nMAIL FROM" in other.raw  # no bare line end is sent on
            # A mailbox that passes everything on to us again does not make it go round
            assert "554" in await refused(home, "postmaster@plaint.example", as_it_came.raw)
            await home.smtp(MAIL, "postmaster@plaint.example", DESK)
            assert "452" in await refused(home, "postmaster@plaint.example")
            with home.office.db.reading() as session:
                assert [row.kind for row in session.exec(select(Letter))] == ["people"] * 3

    asyncio.run(main())


@pytest.mark.parametrize("contact", ["", "https://example.net/contact", "ops@plaint.example"])
def test_nothing_is_taken_that_could_not_leave(tmp_path: Path, contact: str) -> None:
    async def main() -> None:
        async with house(tmp_path, roles=("smtp",), contact=contact) as home:
            answer = await refused(home, "postmaster@plaint.example")
            assert "550" in answer
            assert contact in answer

    asyncio.run(main())


def test_what_is_too_much_for_a_mailbox_is_refused_before_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "MOST_OCTETS", len(MAIL))

    async def main() -> None:
        async with house(tmp_path, roles=("smtp",), contact=OPERATOR) as home:
            assert "552" in await refused(home, "abuse@plaint.example", MAIL + b"x\r\n")
            await home.smtp(MAIL, "abuse@plaint.example", DESK)

    asyncio.run(main())


@pytest.mark.parametrize("odd", [b"\0", b"x" * 999, "\u00fc".encode()])
def test_a_mail_that_no_relay_carries_as_it_stands_is_attached_as_a_file(odd: bytes) -> None:
    letter = compose_letter(
        render("people", **VALUES["people"]),
        sender="plaint@plaint.example",
        to=OPERATOR,
        message_id="<x@plaint.example>",
        date=NOON,
        enclosed=MAIL + odd,
    )
    assert max(map(len, letter.split(b"\r\n"))) <= 998
    assert b"\0" not in letter
    *_, part = message_from_bytes(letter).walk()
    assert odd in letter or part.get_payload(decode=True) == MAIL + odd
