"""Links in rarer hiding places are found, and words that only look like hosts are none."""

import base64
import binascii
import quopri

import pytest

from complaints.links import Links, links
from complaints.message import parse

EVIL = "http://evil.example.com/a"


def found(body: str | bytes, kind: str = "text/plain", encoding: str = "8bit", name: str = "") -> Links:
    head = f"Content-Type: {kind}; charset=utf-8{name and f'; name={name}'}\nContent-Transfer-Encoding: {encoding}\n\n"
    return links(parse(head.encode() + (body if isinstance(body, bytes) else body.encode())))


def hosts(body: str | bytes, kind: str = "text/plain", encoding: str = "8bit", name: str = "") -> set[str]:
    return {link.host for link in found(body, kind, encoding, name).web}


@pytest.mark.parametrize(
    "html",
    [
        f'<img srcset="x.png 1x,{EVIL} 2x">',
        f"<meta http-equiv=refresh content='0;{EVIL}'>",
        f"<style>p{{background:image-set('{EVIL}' 1x)}}</style>",
        "<a href='/\\evil.example.com/a'>x</a>",
        "<a href='\\/evil.example.com/a'>x</a>",
        f"<a href='\x01{EVIL}'>x</a>",
        f"<a href='&quot;{EVIL}&quot;'>x</a>",
        "<a href='http://evil.example.com&quot;'>x</a>",
        "<a href='http://evil[.]example[.]com/'>x</a>",
        f"<script src='data:application/javascript,location=%22{EVIL}%22'></script>",
        "<script>location=['http:','//evil','.example.com'].join('')</script>",
        "<script>location='moc.elpmaxe.live//:ptth'.split('').reverse().join('')</script>",
        "<script>location.href='//evil.example.com/x'</script>",
        f"<script>location=atob('{base64.b64encode(b'//evil.example.com').decode()}')</script>",
        "<p>shop at evil<!-- x -->.example.com now",
        "<p>shop at ev<span style='font-size:0'>x-</span>il.example.com now",
        "<p>shop at ev<span style='visibility:hidden;color:red'>x-</span>il.example.com now",
    ],
)
def test_a_page_hides_a_link_in_more_than_one_way(html: str) -> None:
    assert hosts(html, "text/html") == {"evil.example.com"}


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("webcal://evil.example.com/x.ics", "webcal://evil.example.com/x.ics"),
        ("feed:https://evil.example.com/x", "https://evil.example.com/x"),
        ("ms-word:ofe|u|https://evil.example.com/x.docx", "https://evil.example.com/x.docx"),
        ("itms-services://?action=download-manifest&url=https://evil.example.com/x.plist&y=1", "https://evil.example.com/x.plist"),
        ("microsoft-edge:https%3A%2F%2Fevil.example.com%2Fx", "https://evil.example.com/x"),
        ("jar:http://evil.example.com!/x", "http://evil.example.com"),
        ("intent://evil.example.com/#Intent;scheme=https;end", "intent://evil.example.com/#Intent;scheme=https;end"),
        ("smb://evil.example.com/share", "smb://evil.example.com/share"),
        ("search-ms:query=x&crumb=location:\\\\evil.example.com\\share", "file://evil.example.com/share"),
    ],
)  # fmt: skip
def test_a_link_with_a_scheme_of_its_own_leads_somewhere(reference: str, url: str) -> None:
    (link,) = found(f'<a href="{reference}">x</a>', "text/html").web
    assert (link.url, link.host) == (url, "evil.example.com")


@pytest.mark.parametrize("reference", ["bitcoin:1Boat?amount=1", "tg://resolve?domain=x", "about:blank", "skype:joe?call", "urn:a.example:b"])  # fmt: skip
def test_one_that_names_no_host_leads_nowhere(reference: str) -> None:
    assert hosts(f'<a href="{reference}">x</a>', "text/html") == set()


PAGE = f'<a href="{EVIL}">click here</a>'.encode()
IN_FOURS = b" ".join(base64.b64encode(PAGE)[n : n + 4] for n in range(0, 60, 4))
UU = b"begin 644 a.html\n" + b"".join(binascii.b2a_uu(PAGE[n : n + 45]) for n in range(0, len(PAGE), 45)) + b"`\nend\n"  # fmt: skip


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "name"),
    [
        (IN_FOURS, "text/html", "base64", ""),
        (base64.encodebytes(PAGE), "text/html", '"base64"', ""),
        (UU, "text/plain", "x-uuencode", ""),
        (b"see below\n" + UU, "text/plain", "7bit", ""),
        (f"[InternetShortcut]\nURL={EVIL}", "application/octet-stream", "7bit", "Invoice.url"),
        (f"window.location = '{EVIL}'", "application/javascript", "7bit", "a.js"),
        (f"window.location = '{EVIL}'", "text/javascript", "7bit", "a.js"),
        ('{"u": "http:\\/\\/evil.example.com"}', "application/json", "7bit", ""),
        (f'{{\\rtf1 {{\\field{{\\*\\fldinst{{HYPERLINK "{EVIL}"}}}}}}}}', "application/rtf", "7bit", "a.rtf"),
        (quopri.encodestring(f"BEGIN:VCARD\nNOTE;ENCODING=QUOTED-PRINTABLE:{EVIL.replace(':', '=3A')}\n".encode()), "text/x-vcard", "quoted-printable", ""),
        (f"--B\nContent-Type: text/html\n\n{PAGE.decode()}\n--B--", "multipart/mixed", "7bit", ""),
        ("\uff48\uff54\uff54\uff50://evil.example.com/", "text/plain", "8bit", ""),
        ("go to http://evil.example.com;then pay", "text/plain", "7bit", ""),
    ],
)  # fmt: skip
def test_a_part_is_read_whatever_it_is(body: str | bytes, kind: str, encoding: str, name: str) -> None:
    assert hosts(body, kind, encoding, name) == {"evil.example.com"}


@pytest.mark.parametrize(
    "text",
    ["cheap drugs e.g.foo bar", "open 9 a.m.to 5 p.m.", "a Ph.D.in it", "the U.S.A.is", "from L.A.is", "a.k.a.me", "an M.Sc.in law", "an ASP.NET page",
     "VB.NET", "this.name = 1", "if (event.target)", "span.red { }", "td.data", "java.io", "date.now()", "[cid:image001.png@01DA.ABC]", "mid:x@host.example.com",
     "report.pdf", "setup.zip", "index.php", "README.md", "version 2.0.1", "Node.js", "window.location", "e-mail@", "@import 'x.css'"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
def test_what_only_looks_like_a_host_is_none(text: str, kind: str) -> None:
    there = found(f"Hello, {text} and so on", kind)
    assert (there.web, there.lures) == ((), ())


def test_names_of_few_letters_are_hosts_all_the_same() -> None:
    text = "see a.b.com, t.co/x, mail.foo.in, Shop.Foo.it, evil.net and e.g.foo/x"
    assert hosts(text) == {"a.b.com", "t.co", "mail.foo.in", "evil.net", "e.g.foo", "shop.foo.it"}  # fmt: skip


@pytest.mark.parametrize("text", ["Call 212-555-0123 now", "please call us at (212) 555-0123.", "CALL NOW (212)555-0123"])  # fmt: skip
def test_a_number_that_one_is_told_to_call_is_a_lure(text: str) -> None:
    assert [lure.value for lure in found(text).lures] == ["2125550123"]


@pytest.mark.parametrize("text", ["order 212-555-0123", "call me. 212-555-0123-9", "we call it ISBN 1-212-555-01239", "the recall of 212-555-0123"])  # fmt: skip
def test_any_other_number_is_none(text: str) -> None:
    assert found(text).lures == ()
