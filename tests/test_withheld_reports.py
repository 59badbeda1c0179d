"""A spam that shows its reporter where redaction cannot write: what the desk gets, and what the reporter sees."""

import base64
import binascii
import zlib
from collections.abc import Iterator

import pytest
from sqlmodel import select

from complaints import arf
from complaints.forward import sendable_bytes
from complaints.leaks import find_leaks
from complaints.leaks.codes import codes_in_both
from complaints.message import parse
from complaints.models import Report
from complaints.redact import Identity
from tests.house import ALICE
from tests.visitor import confirm, press, review
from tests.website import NETWORK_DESK, Website, running_website, spam

WHO = Identity((ALICE,))
SPACED = " ".join(ALICE)
HEAD = b"Content-Type: text/plain; charset=utf-8\r\n"


@pytest.fixture(scope="module")
def website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    with running_website(tmp_path_factory.mktemp("withheld")) as running:
        yield running


def pdf(text: str) -> bytes:
    """A file with a page that says this."""
    page = zlib.compress(f"BT /F1 12 Tf (Invoice for {text}) Tj ET".encode())
    head = b"%%PDF-1.4\n1 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(page)
    return head + page + b"\nendstream\nendobj\n%%EOF\n"


def with_file(subject: str, kind: str, content: bytes) -> bytes:
    """The usual spam with a file attached."""
    head = b'Content-Type: multipart/mixed; boundary="=_p"\r\n'
    top, _, text = spam(subject=subject).replace(HEAD, head).partition(b"\r\n\r\n")
    added = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
    body = base64.encodebytes(content).replace(b"\n", b"\r\n")
    pieces = (b"--=_p\r\n", HEAD, b"\r\n", text, b"\r\n--=_p\r\n", added, body, b"\r\n--=_p--\r\n")
    return b"\r\n\r\n".join((top, b"".join(pieces)))


def drafted(website: Website, complaint: str) -> dict[str, bytes]:
    """The bytes of each report of a complaint, by its desk."""
    website.look(complaint)
    with website.office.db.reading() as session:
        rows = session.exec(select(Report).where(Report.complaint_id == complaint)).all()
    return {row.to: website.office.vault.unseal(website.alice.reporter.key, row.raw) for row in rows}


def test_a_pdf_file_that_names_the_reporter_is_withheld_and_the_rest_goes_out(website: Website) -> None:
    complaint = website.waiting(with_file("Pay now", "application/pdf", pdf(ALICE)))
    raw = drafted(website, complaint)[NETWORK_DESK]
    feedback = arf.parse_report(raw)
    assert feedback is not None
    assert not feedback.headers_only
    text, file = parse(feedback.spam).parts
    assert b"http://pills.example/buy" in text.content()
    assert (file.content_type, file.transfer_encoding) == ("application/pdf", "base64")
    assert file.content() == b"[withheld: application/pdf, about 1 kB, which shows the reporter]\r\n"
    assert "a part (application/pdf, about 1 kB) is withheld" in " ".join(feedback.text.split())
    page = review(website, complaint)
    assert "1× part withheld" in page.text
    assert "<del>" in page.text
    assert "[withheld: application/pdf, about 1 kB, which shows the reporter]" in page.text
    confirm(website, complaint)
    with website.office.db.reading() as session:
        wanted = (Report.complaint_id == complaint, Report.to == NETWORK_DESK)
        row = session.exec(select(Report).where(*wanted)).one()
        assert sendable_bytes(session, website.office, row) == raw


def test_what_only_the_search_finds_is_withheld_for_every_desk_and_shown_as_such(website: Website) -> None:
    complaint = website.waiting(
        spam(subject="Spaced", body=f"Sent to {SPACED}\r\nhttps://other.example/x\r\n")
    )
    copies = drafted(website, complaint)
    assert len(copies) > 1
    for raw in copies.values():
        feedback = arf.parse_report(raw)
        assert feedback is not None
        assert not feedback.headers_only
        assert b"Sent to [withheld]\r\nhttps://other.example/x\r\n" in feedback.spam
        assert find_leaks(feedback.spam, WHO) == []
        assert "a word, a line or a field that shows the reporter is withheld" in " ".join(
            feedback.text.split()
        )
    page = review(website, complaint)
    assert "1× words withheld" in page.text
    assert SPACED in page.text


def test_at_level_strict_codes_that_redaction_does_not_reach_are_withheld_too(website: Website) -> None:
    link = b"http://pills.example/t/x7Gk29sLqPz4Wn8v?c=1\r\n"
    raw = (
        spam(subject="Coded", body=link.decode() + "begin 644 a.txt\r\n")
        + binascii.b2a_uu(link[:45])
        + b"`\nend\n"
    )
    complaint = website.waiting(raw)
    press(website, complaint, "preview", redaction="strict")
    feedback = arf.parse_report(drafted(website, complaint)[NETWORK_DESK])
    assert feedback is not None
    assert not feedback.headers_only
    assert b"[withheld]\r\n`\r\nend\r\n" in feedback.spam
    assert codes_in_both(raw, feedback.spam) == []


def test_links_of_a_withheld_text_are_named_all_the_same(website: Website) -> None:
    text = f"for {SPACED}, see http://pills.example/more and http://pills.example/?u={base64.b32encode(ALICE.encode()).decode()} "
    raw = with_file("Wide", "text/plain; charset=utf-16le", text.encode("utf-16-le"))
    feedback = arf.parse_report(drafted(website, website.waiting(raw))[NETWORK_DESK])
    assert feedback is not None
    withheld = parse(feedback.spam).parts[1]
    assert withheld.content().startswith(b"[withheld: text/plain")
    assert "Link: http://pills.example/more" in feedback.text
    assert "?u=M" not in feedback.text


def test_what_shows_in_the_evidence_itself_is_never_changed_and_nothing_is_sent(website: Website) -> None:
    raw = spam(subject=f"for {SPACED}")
    complaint = website.waiting(raw)
    website.look(complaint)
    shown = website.show(complaint)
    assert shown["state"] == "refused"
    assert "giving you away" in str(shown)
