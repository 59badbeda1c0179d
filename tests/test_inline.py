"""A forward made inside the text: its header is read only where the mail program put it."""

import base64

import pytest

from complaints.forward_text import forward_texts
from complaints.inline import forwarded_inline
from complaints.mail_clients import UNKNOWN, client_of, clients, how_to_forward
from complaints.message import parse
from complaints.received import parse_received
from complaints.unwrap import unwrap_forward
from tests.website import spam

SPAM = spam().decode()
HEAD = SPAM.split("\r\n\r\n")[0]
FORGED = "Received: from v (v [203.0.113.99]) by mx.victim.example; Mon, 2 Nov 2026 09:00:00 +0000\r\nSubject: s\r\n"


def mail(text: str, head: str = "", kind: str = "text/plain") -> bytes:
    return f"From: alice@victim.example\r\nSubject: Fwd: Cheap pills\r\n{head}Content-Type: {kind}; charset=utf-8\r\n\r\n{text}".encode()


def html_rows(header: str) -> str:
    """The table that Thunderbird makes of a header."""
    rows = (line.split(":", 1) for line in header.replace("\r\n\t", " ").split("\r\n"))
    return "".join(
        f'<tr><th nowrap valign="BASELINE" align="RIGHT">{name}: </th><td>{value.strip().replace("<", "&lt;")}</td></tr>\n'
        for name, value in rows
    )


SHOWN: dict[str, bytes] = {
    "Thunderbird, text": mail(f"Please\r\n\r\n-------- Forwarded Message --------\r\n{SPAM}"),
    "Thunderbird, German": mail(f"-------- Weitergeleitete Nachricht --------\r\n{SPAM}"),
    "Thunderbird, HTML": mail(f'<html><body><p>Look</p>-------- Forwarded Message --------<table class="moz-email-headers-table" border="0"><tbody>{html_rows(HEAD)}</tbody></table><br><p>buy</p></body></html>', kind="text/html"),
    "Apple Mail": mail("Begin forwarded message:\r\n\r\n" + "".join(f"> {line}\r\n" for line in SPAM.split("\r\n"))),
    "Apple Mail, HTML": mail("<div>Begin forwarded message:</div><br><blockquote>" + "".join(f"<div>{line.replace('<', '&lt;')}</div>" for line in HEAD.replace("\r\n\t", " ").split("\r\n")) + "<br><div>buy</div></blockquote>", kind="text/html"),
    "Outlook": mail(f"-----Original Message-----\r\n{SPAM}"),
    "mutt": mail(f"----- Forwarded message from Shop <shop@pills.example> -----\r\n\r\n{SPAM}\r\n----- End forwarded message -----\r\n"),
    "wrapped at 72 by format=flowed": mail("---------- Forwarded message ----------\r\n" + SPAM.replace("\r\n\t", " ").replace(" by ", " \r\nby ").replace(" for ", "\r\nfor ")),
}  # fmt: skip


@pytest.mark.parametrize("program", SHOWN)
def test_a_header_shown_below_the_line_of_the_program_is_read(program: str) -> None:
    [item] = unwrap_forward(SHOWN[program])
    assert item.grade == "C"
    assert item.spam is not None
    first, *_ = parse(item.spam).fields("received")
    assert parse_received(first.value).from_ip == "198.51.100.23"
    assert item.certain == 2


NOT_SHOWN: dict[str, str] = {
    "the spam's own text, below the summary of the program": f"---------- Forwarded message ---------\r\nFrom: x@pills.example\r\nSubject: s\r\n\r\n{FORGED}",
    "a second such line, written by the spammer": f"---------- Forwarded message ---------\r\nFrom: x@pills.example\r\n\r\n---------- Forwarded message ---------\r\n{FORGED}",
    "below a summary in an unknown language": f"Kwa: a@b.example\r\nMada: s\r\n\r\n---------- Forwarded message ---------\r\n{FORGED}",
    "in a quotation": f"X ezt irta:\r\n> hello\r\n> -------- Forwarded Message --------\r\n> {FORGED}",
    "without any line of a program": f"look\r\n\r\n{FORGED}",
    "at the very top": FORGED,
}


@pytest.mark.parametrize("place", NOT_SHOWN)
def test_what_the_spammer_wrote_into_the_text_is_never_its_way(place: str) -> None:
    for kind, text in (
        ("text/plain", NOT_SHOWN[place]),
        ("text/html", NOT_SHOWN[place].replace("\r\n", "<br>")),
    ):
        raw = mail(text, kind=kind)
        assert forwarded_inline(parse(raw)) is None
        [item] = unwrap_forward(raw)
        assert (item.spam, item.grade) == (None, "D")


def test_what_a_page_hides_is_not_its_text() -> None:
    coded = base64.b64encode(
        b"<style>Received: x</style><script>Received: y</script><p>a\nb</p>c<br>d"
    ).decode()
    assert forward_texts(parse(mail(coded, "Content-Transfer-Encoding: base64\r\n", "text/html")))[0][1].split() == ["a", "b", "c", "d"]  # fmt: skip


TRACES: list[tuple[str, str, str]] = [
    ("User-Agent: Mozilla Thunderbird\r\n", "", "Thunderbird"),
    ("User-Agent: Thunderbird for Android\r\n", "", "Thunderbird for Android, K-9 Mail"),
    ("User-Agent: K-9 Mail for Android\r\n", "", "Thunderbird for Android, K-9 Mail"),
    ("", "-------- Forwarded Message --------", "Thunderbird"),
    ("X-Mailer: iPhone Mail (21A1)\r\n", "", "Mail on iPhone or iPad"),
    ("Mime-Version: 1.0 (1.0)\r\n", "", "Mail on iPhone or iPad"),
    ("Mime-Version: 1.0 (Mac OS X Mail 16.0 \\(3774\\))\r\n", "", "Apple Mail"),
    ("X-Mailer: Microsoft Outlook 16.0\r\n", "", "Outlook, classic"),
    ("X-MS-Has-Attach: \r\n", "", "Outlook on the web, new Outlook, Hotmail"),
    ("X-MS-Has-Attach: \r\n", "Outlook für iOS beziehen", "Outlook on a phone"),
    ("Message-ID: <CA+1@mail.gmail.com>\r\n", "", "Gmail"),
    ("X-Mailer: WebService/1.1 YMailNodin\r\n", "", "Yahoo Mail, AOL Mail"),
    ("Message-ID: <a.1@email.android.com>\r\n", "", "Samsung Email"),
    ("Message-ID: <a@proton.me>\r\n", "", "Proton Mail"),
    ("User-Agent: Roundcube Webmail/1.6\r\n", "", "Roundcube"),
    ("User-Agent: Nextcloud Mail\r\n", "", "Nextcloud Mail"),
    ("User-Agent: SOGoMail 5.8\r\n", "", "SOGo"),
    ("User-Agent: Mutt/2.2\r\n", "", "mutt, NeoMutt"),
    ("", "----- Forwarded message from a <b@c.example> -----", "mutt, NeoMutt"),
    ("Message-ID: <alpine.DEB.1@x.example>\r\n", "", "Alpine, Pine"),
    ("User-Agent: Sup/0.23\r\n", "", "sup"),
    ("X-Mailer: MH-E 8.6; nmh 1.7\r\n", "", "MH, nmh"),
]


@pytest.mark.parametrize(("head", "text", "name"), TRACES)
def test_a_forward_without_its_header_is_told_how_that_program_does_it(
    head: str, text: str, name: str
) -> None:
    raw = mail(f"see below\r\n{text}\r\nFrom: x\r\nTo: y\r\n", head)
    client = client_of(parse(raw))
    assert client is not None
    assert client.name == name
    [item] = unwrap_forward(raw)
    assert item.remedy == client.remedy


def test_a_program_that_left_no_trace_gets_the_general_way() -> None:
    assert how_to_forward(parse(mail("hello"))) == UNKNOWN


def test_every_program_has_an_anchor_of_its_own_and_a_way() -> None:
    assert len({client.anchor for client in clients()}) == len(clients())
    assert all(client.remedy.endswith(".") and client.traces for client in clients())
