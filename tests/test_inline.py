"""A forward made inside the text: its header is read only where the mail program put it."""

import base64
import unicodedata

import pytest

from complaints.forward_text import forward_texts
from complaints.inline import forwarded_inline, shows_a_forward
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
    "below a summary with the colons of Chinese": f"发件人：x@pills.example\r\n主题：s\r\n\r\n---------- Forwarded message ---------\r\n{FORGED}",
    "below a summary in bold": f"*Kwa:* a@b.example\r\n*Mada:* s\r\n\r\n---------- Forwarded message ---------\r\n{FORGED}",
    "below names and values on lines of their own": f"Kwa:\r\na@b.example\r\nMada:\r\ns\r\n\r\n---------- Forwarded message ---------\r\n{FORGED}",
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
    ("X-Mailer: Microsoft-MacOutlook/16.80\r\n", "", "Outlook, classic"),
    ("X-MS-Has-Attach: \r\n", "Отправлено из Outlook для iOS", "Outlook on a phone"),
    ("X-MS-Has-Attach: \r\n", "获取 iOS 版 Outlook", "Outlook on a phone"),
    ("X-MS-Has-Attach: \r\n", "iOS için Outlook’u edinin", "Outlook on a phone"),
    ("X-MS-Has-Attach: \r\n", "________________________________", "Outlook on the web, new Outlook, Hotmail"),
    ("X-Mailer: Microsoft Outlook 16.0\r\n", "-----Ursprüngliche Nachricht-----", "Outlook, classic"),
    ("X-Mailer: iCloud MailClient22 MailServer22\r\n", "", "iCloud Mail on the web"),
    ("User-Agent: Cyrus-JMAP/3.11\r\n", "", "Fastmail"),
    ("Message-ID: <trinity-1@3c-app-gmx-bs01>\r\n", "", "GMX, WEB.DE, mail.com"),
    ("User-Agent: FairEmail/1.2100\r\n", "", "FairEmail"),
    ("User-Agent: eM_Client/9.2\r\n", "", "eM Client"),
    ("User-Agent: Horde Application Framework 5\r\n", "", "Horde"),
    ("X-Mailer: Zimbra 9.0 (ZimbraWebClient - FF100)\r\n", "----- Forwarded Message -----", "Zimbra"),
    ("User-Agent: Evolution 3.50\r\n", "", "Evolution"),
    ("User-Agent: KMail/5.24\r\n", "", "KMail"),
    ("X-Mailer: Claws Mail 4.2 (GTK 3.24)\r\n", "", "Claws Mail"),
    ("X-Mailer: The Bat! (v9.5)\r\n", "", "The Bat!"),
    ("X-mailer: Pegasus Mail for Windows (4.81)\r\n", "", "Pegasus Mail"),
    ("X-Mailer: HCL Notes Release 12\r\n", "", "HCL Notes"),
    (
        "X-Mailer: Open-Xchange Mailer v7.10\r\n",
        "",
        "Open-Xchange App Suite (mailbox.org, IONOS and many providers)",
    ),
    ("User-Agent: SquirrelMail/1.4.23\r\n", "", "RainLoop, SnappyMail, SquirrelMail"),
    ("X-Mailer: Zoho Mail\r\n", "", "Zoho Mail"),
    ("Message-ID: <NxA@tuta.com>\r\n", "", "Tuta"),
    (
        "X-Mailer: QQMail 2.x\r\n",
        "------------------ 原始邮件 ------------------",
        "QQ Mail, NetEase (163, 126)",
    ),
    (
        "X-Mailer: Coremail Webmail Server\r\n",
        "-------- 转发邮件信息 --------",
        "QQ Mail, NetEase (163, 126)",
    ),
    ("X-Mailer: Mail.Ru Mailer 1.0\r\n", "-------- Пересылаемое сообщение --------", "Mail.ru, Yandex Mail"),
]


IN_MANY_LANGUAGES = {
    "en": ("Begin forwarded message:", "From Subject Date To"),
    "de": ("-------- Weitergeleitete Nachricht --------", "Von Betreff Datum An"),
    "de, Zimbra": ("----- Weitergeleitete Mail -----", "Von Betreff Gesendet An"),
    "fr": ("Début du message transféré :", "De Objet Date À"),
    "fr, typographic": ("-----Message d’origine-----", "De Envoyé À Objet"),
    "es": ("---------- Mensaje reenviado ----------", "De Asunto Fecha Para"),
    "it": ("----Messaggio originale----", "Da Data A Ogg"),
    "nl": ("-----Oorspronkelijk bericht-----", "Van Verzonden Aan Onderwerp"),
    "pt": ("Início da mensagem reencaminhada:", "De Assunto Data Para"),
    "pl": ("Początek przekazywanej wiadomości:", "Od Temat Data Do"),
    "sv": ("-----Ursprungligt meddelande-----", "Från Skickat Till Ämne"),
    "da": ("Start på videresendt besked:", "Fra Emne Dato Til"),
    "no": ("Videresendt melding:", "Fra Emne Dato Til"),
    "fi": ("Välitetty viesti alkaa:", "Lähettäjä Aihe Päivämäärä Vastaanottaja"),
    "cs": ("-------- Přeposlaná zpráva --------", "Předmět Datum Od Komu"),
    "sk": ("Začiatok preposlanej správy:", "Od Predmet Dátum Komu"),
    "hu": ("Továbbított levél kezdete:", "Feladó Tárgy Dátum Címzett"),
    "ro": ("Începe mesajul redirecționat:", "De Subiect Dată Către"),
    "hr": ("-------- Proslijeđena poruka --------", "Naslov Datum Šalje Prima"),
    "ru": ("-------- Перенаправленное сообщение --------", "Тема Дата От Кому"),
    "uk": ("Початок листа, що пересилається:", "Від Тема Дата Кому"),
    "tr": ("-------- İletilen İleti --------", "Konu Tarih Kimden Kime"),
    "el": ("-------- Προωθημένο μήνυμα --------", "Θέμα Ημερομηνία Από Προς"),
    "bg": ("-------- Препратено съобщение --------", "Относно Дата От До"),
    "ca": ("-------- Missatge reenviat --------", "Assumpte Data De A"),
    "he": ("-------- הודעה שהועברה --------", "נושא תאריך מאת אל"),
    "ja": ("-----元のメッセージ-----", "差出人 送信日時 宛先 件名"),
    "zh": ("------------------ 原始邮件 ------------------", "发件人 发送时间 收件人 主题"),
    "zh, Taiwan": ("-----原始郵件-----", "寄件者 寄件日期 收件者 主旨"),
    "ko": ("-----원본 메시지-----", "보낸사람 날짜 받는사람 제목"),
}


@pytest.mark.parametrize("language", IN_MANY_LANGUAGES)
def test_in_every_language_a_summary_is_refused_and_nothing_below_it_is_read_as_its_way(
    language: str,
) -> None:
    line, names = IN_MANY_LANGUAGES[language]
    colon = "：" if language.startswith(("zh", "ja")) else ":"
    shown = "\r\n".join(f"{name}{colon} Cheap pills" for name in names.split())
    for above in (line, unicodedata.normalize("NFD", line)):
        text = f"{above}\r\n\r\n{shown}\r\n\r\n-------- Forwarded Message --------\r\n{FORGED}"
        raw = mail(text, "User-Agent: Mozilla Thunderbird\r\n")
        [item] = unwrap_forward(raw)
        assert (item.spam, item.grade) == (None, "D")
        assert "Thunderbird" in (item.remedy or "")
        assert shows_a_forward(parse(mail(f"{above}\r\n"))), "the line itself is known"
        whole = forwarded_inline(parse(mail(f"{above}\r\n{SPAM}")))
        assert whole is not None, "all header lines below it are read"
    without_the_line = mail(f"{shown}\r\n")
    assert shows_a_forward(parse(without_the_line)), "and so is a block of fields by itself"


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
