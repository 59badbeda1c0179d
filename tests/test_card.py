"""The submission address is at hand: as a contact, as a QR code, renewed; and a test shows whether forwarding works."""

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlmodel import select

from complaints import card, probes, reporters, submission_address
from complaints.account_tables import SubmissionAddress
from complaints.alterations import compare
from complaints.demo import as_attachments
from complaints.message import parse
from complaints.models import Letter, Reporter
from complaints.receive import Reception
from complaints.smtp_in import Refuse
from tests.house import ALICE
from tests.test_cli import plaint
from tests.test_probes import FROM_US, letters, sent_probe, way
from tests.visitor import problem
from tests.website import NOON, Website, running_website, spam

ADDRESS = "0a2b4c6d8e9fghjkmnpqrstuvw@in.plaint.example"
PAGE = "https://plaint.example/help"


@pytest.fixture(scope="module")
def website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    with running_website(tmp_path_factory.mktemp("card")) as running:
        yield running


def account(website: Website) -> str:
    return urlsplit(website.office.account_url(website.alice.reporter)).path


# ---- the card


def test_the_contact_is_a_vcard_of_version_4() -> None:
    text = card.vcard(ADDRESS, datetime(2026, 11, 2, 12, tzinfo=UTC), "somebody", PAGE)
    lines = text.split("\r\n")
    assert lines.pop() == ""
    assert all(len(line.encode()) <= 75 for line in lines)
    assert "\n" not in "".join(lines)
    unfolded = text.replace("\r\n ", "").split("\r\n")
    assert unfolded[:2] == ["BEGIN:VCARD", "VERSION:4.0"]
    assert f"EMAIL;PREF=1:{ADDRESS}" in unfolded
    assert "REV:20261102T120000Z" in unfolded
    [uid] = [line for line in unfolded if line.startswith("UID:urn:uuid:")]
    newer = card.vcard("other@in.plaint.example", datetime(2026, 12, 2, tzinfo=UTC), "somebody", PAGE)
    assert uid in newer, "it replaces the older one in an address book"
    assert uid not in card.vcard(ADDRESS, NOON, "somebody else", PAGE)
    assert "EMAIL;PREF=1:a\\,b@p.example" in card.vcard("a,b@p.example", NOON, "x", PAGE)


def test_the_qr_code_holds_the_contact() -> None:
    pytest.importorskip("zxingcpp", reason="zxing-cpp is not installed")
    import zxingcpp
    from PIL import Image

    drawn = re.search(r'd="(M4[^"]+)"', card.qr_svg(ADDRESS))
    assert drawn
    modules, x, y = set(), 0, 0
    for move, a, b in re.findall(r"([Mmh])(-?\d+)(?: ?(-?[\d.]+))?", drawn[1]):
        if move == "h":
            modules |= {(x + n, y) for n in range(int(a))}
            x += int(a)
        else:
            x, y = (int(a), int(float(b))) if move == "M" else (x + int(a), y + int(b))
    side = max(x for x, _ in modules) + 5
    picture = Image.new("L", (side, side), 255)
    for place in modules:
        picture.putpixel(place, 0)
    [found] = zxingcpp.read_barcodes(picture.resize((side * 4, side * 4), Image.Resampling.NEAREST))
    assert f"EMAIL:{ADDRESS}\r\n" in found.text


def test_the_page_shows_the_address_to_its_owner_and_to_nobody_else(website: Website) -> None:
    page = website.http.get(account(website))
    assert f'value="{website.alice.submission_address}"' in page.text
    for name, kind in (("plaint.vcf", "text/vcard"), ("plaint.svg", "image/svg+xml")):
        file = website.http.get(f"{account(website)}/card/{name}")
        assert file.headers["content-type"].startswith(kind)
        assert file.headers["cache-control"] == "no-store"
        assert website.http.get(f"{account(website)[:-1]}/card/{name}").status_code == 404
    assert website.alice.submission_address in website.api("GET", "/account/card").json()["vcard"].replace(
        "\r\n ", ""
    )
    assert website.http.get(f"{account(website)}/card/other").status_code == 404
    assert website.alice.submission_address.partition("@")[0] not in website.dump()


def test_an_address_from_before_addresses_were_kept_is_not_shown(website: Website) -> None:
    with website.office.db.transaction() as session:
        row = session.exec(
            select(SubmissionAddress).where(SubmissionAddress.reporter_id == website.bob.reporter.id)
        ).one()
        row.sealed = None
    document = website.api("GET", "/account/card", who=website.bob).json()
    assert (document["submission_address"], document["vcard"], document["svg"]) == (None, None, None)
    path = urlsplit(website.office.account_url(website.bob.reporter)).path
    assert "before it could be shown again" in website.http.get(path).text
    assert website.http.get(f"{path}/card/plaint.vcf").status_code == 404


def test_a_new_address_leaves_the_old_one_its_time_and_the_links_as_they_are(website: Website) -> None:
    path, old = account(website), website.alice.submission_address
    answer = website.http.post(f"{path}/submission-address", data={"do": "new"})
    assert answer.headers["location"] == f"{path}#submission"
    document = website.api("GET", "/account/card").json()
    new = document["submission_address"]
    assert new != old
    assert [row["submission_address"] for row in document["old"]] == [old]

    def works(address: str) -> bool:
        with website.office.db.reading() as session:
            return reporters.by_submission_address(session, website.office, address) is not None

    assert works(old)
    assert works(new.upper())
    for _ in range(3):
        assert website.api("POST", "/account/card/new").status_code == 200
    assert "work already" in problem(website.api("POST", "/account/card/new"), 429)["detail"]
    website.clock.turn(days=30)
    assert not works(old)
    assert website.api("POST", "/account/card/new").status_code == 200
    website.clock.turn(days=-30)


def test_the_verbs_print_the_card_and_mail_a_test(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    made = json.loads(plaint("reporters", "add", "carol@example.com", "--verified", "--json", *data).out)
    mine = (*data, "--reporter", "carol@example.com")
    assert made["submission_address"] in plaint("account", "card", *mine).out.decode().replace("\n ", "")
    assert plaint("account", "card", "--qr", *mine).out.startswith(b"<svg ")
    renewed = json.loads(plaint("account", "card", "--new", "--json", *mine).out)
    assert renewed["old"][0]["submission_address"] == made["submission_address"]
    assert b"carol@example.com" in plaint("account", "test", *mine).out
    assert plaint("account", "prefer", "quiet", "yes", *mine).code == 0
    shown = json.loads(plaint("account", "show", "--json", *mine).out)
    assert {row["purpose"] for row in shown["preferences"] if row["chosen"]} == {"quiet"}


# ---- nearly right


@pytest.mark.parametrize(
    ("local", "says"),
    [
        ("submit.0a2b4c6d8e9fghjkmnpqrstuvw", "take away"),
        ("0a2b4c6d8e9fghjkmnpqrstuvw+spam", "take away"),
        ("0a2b4c6d8e9fghjkmnpqrstuv", "not 25"),
        ("0a2b4c6d8e9fghjkmnpqrstuvwxx", "not 28"),
        ("oa2b4c6d8e9fghjkmnpqrstuvl", "has l or o in it"),
        ("0a2b4c6d8e9fghjkmnpqrstuvw", None),
        ("postmaster", None),
        ("bounce-0a2b4c6d8e9fghjkmnpq", None),
        ("a" * 64, None),
        ("\u212a" * 26, None),
    ],
)
def test_a_local_part_that_is_nearly_an_address_is_told_what_is_wrong(local: str, says: str | None) -> None:
    found = submission_address.mistake(local)
    assert (says in found) if says and found else found is says


def test_the_door_tells_what_is_wrong_and_nothing_of_which_addresses_there_are(website: Website) -> None:
    async def answers(*addresses: str) -> set[str]:
        reception, said = Reception(website.office), set()
        for address in addresses:
            with pytest.raises(Refuse) as refused:
                await reception.known(address)
            said.add(refused.value.reply)
        await reception.close()
        return said

    real = website.alice.submission_address
    [answer] = asyncio.run(answers(f"submit.{real}", f"submit.{'a' * 26}@plaint.example"))
    assert answer.startswith("550 5.1.1 A submission address is 26 letters and digits")


# ---- send me a test


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def test_a_test_comes_back_and_the_page_and_a_letter_tell_the_grade(home: Website) -> None:
    answer = home.http.post(f"{account(home)}/submission-address", data={"do": "test"})
    assert answer.status_code == 303
    with home.office.db.reading() as session:
        letter = session.exec(select(Letter).where(Letter.kind == "probe")).one()
        assert letter.to == ALICE
        sent = home.office.vault.unseal(home.alice.reporter.key, letter.raw)
    assert "not come back yet" in home.http.get(account(home)).text
    forward = as_attachments([way(FROM_US) + sent], home.alice.submission_address)
    for _ in range(2):
        [item] = home.api("POST", "/submissions", params={"forward": 1}, content=forward).json()["items"]
        assert (item["status"], item["grade"]) == ("learned", "A")
    [told] = letters(home, "learned")
    assert "so forwarding works. Grade A: complete, as it came." in " ".join(told.split())
    assert "grade <strong>A</strong>" in home.http.get(account(home)).text


def test_a_test_that_is_forwarded_within_the_text_is_told_how_to_do_better(home: Website) -> None:
    text = parse(sent_probe(home))
    words = next(text.leaves()).text()
    inline = (
        f"From: {ALICE}\r\nUser-Agent: Mozilla Thunderbird\r\n\r\n---- Forwarded ----\r\n{words}".encode()
    )
    [item] = home.api("POST", "/submissions", params={"forward": 1}, content=inline).json()["items"]
    assert (item["status"], item["grade"]) == ("refused", "D")
    assert item["reason"].startswith("Our test mail came back, but without its header lines")
    assert "ttachment" in item["remedy"]
    with home.office.db.reading() as session:
        alice = session.get_one(Reporter, home.alice.reporter.id)
        [row] = probes.recent(session, alice)
        assert (row.grade, row.returned_at is not None) == ("D", True)
        assert not probes.came_inline(session, home.office, home.bob.reporter, inline)


def test_what_was_lost_on_the_way_is_named() -> None:
    sent = spam()[spam().index(b"From: Shop") :]
    arrived = b"Received: from a by b; x\r\n" + sent
    header, _, body = arrived.partition(b"\r\n\r\n")
    coded = header + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(body)
    cases = [
        (arrived, "A", ""),
        (arrived.replace(b"\r\n", b"\n"), "A", ""),
        (coded, "B", "coded anew"),
        (arrived.replace(b"Message-ID: <2026", b"Message-ID: <1999"), "B", "written anew: Message-ID"),
        (re.sub(rb"Date: .*\r\n", b"", arrived), "B", "are gone: Date"),
        (arrived + b"-- \r\nCompany Ltd.\r\n", "B", "Words were added"),
        (arrived.replace(b"buy now", b"b*y"), "C", "changed or cut"),
        (sent, "D", "The Received lines are gone"),
    ]
    for back, grade, says in cases:
        found = compare(parse(sent), parse(back), "A")
        assert (found.grade, says in " ".join(found.lost)) == (grade, True), (says, found)
        assert bool(found.lost) == bool(says), found
