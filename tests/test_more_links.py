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
        f"<p>hello<!-- #rotate>you <a href='{EVIL}'>x</a>",
        f"<script><!-- var a = 1;</script><p>hello<a href='{EVIL}'>x</a>",
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
        ("x-safari-https://evil.example.com/x", "https://evil.example.com/x"),
        ("rdp://evil.example.com:3389", "rdp://evil.example.com:3389"),
        ("http://evil.example.com<http://evil.example.com>", "http://evil.example.com"),
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


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("http://good.example.com%00.evil.example.com/", None),
        ("http://evil.example.0x4/", None),
        ("http://it's+you!.evil.example.com/", "it's+you!.evil.example.com"),
        ("http://-evil.example.com/", "-evil.example.com"),
        ("http://www.bank.example%40evil.example.com/", "evil.example.com"),
        ("http://shop,evil.example.com.no,where/", None),
    ],
)
def test_a_host_is_what_browsers_ask_for(reference: str, host: str | None) -> None:
    assert [link.host for link in found(f'<a href="{reference}">x</a>', "text/html").web] == (
        [host] if host else []
    )


@pytest.mark.parametrize(
    "text",
    [
        "[a](https://evil.example.com)[b](mailto:joe@bank.example)",
        "http://evil.example.com,bank.example.org is good",
        "http://evil.example.com!bank.example.org",
        "http://evil.example.com(bank.example.org)",
        "\uff5chttp://evil.example.com\uff5cx",
    ],
)
def test_a_sentence_goes_on_behind_a_link(text: str) -> None:
    assert [link.host for link in found(text).web][:1] == ["evil.example.com"]
    assert "bank.example" not in hosts(text)


@pytest.mark.parametrize(
    "text",
    ["Smith et.al say", "in 2002 etc.now", "DR.WALTER", "2.CONTACT us", "a.mobile", "the FBI.OFFICE", "edit main.cf", "configure.ac", "run setup.py"],
)  # fmt: skip
def test_a_word_behind_a_full_stop_is_no_host(text: str) -> None:
    assert hosts(text) == set()


def test_a_name_in_capitals_or_with_a_number_is_one() -> None:
    assert hosts("Evil.Com, evil1.bar, evil-shop.contact, 163.com, t.co, x.ai") == {
        "evil.com", "evil1.bar", "evil-shop.contact", "163.com", "t.co", "x.ai",
    }  # fmt: skip


IN_PERCENT = "http%3A%2F%2Fevil.example.com%2Fa"
IN_BASE64 = base64.b64encode(EVIL.encode()).decode()


@pytest.mark.parametrize(
    "wrapped",
    [
        f"https://atpscan.global.hornetsecurity.com/?d=1&u={IN_PERCENT}",
        f"https://clicktime.cloud.postoffice.net/clicktime.php?U={IN_PERCENT}&E=x",
        f"https://lsems.gravityzone.bitdefender.com/scan/{IN_BASE64}/AB?c=1",
        "https://antiphishing.vadesecure.com/2/am9l%3D%3D/evil.example.com/a",
        f"https://gw.fortimail.com/fmlurlsvc/?fewReq=:B:1&url={IN_PERCENT}",
        f"https://mail.yandex.ru/re.jsx?h=1&l={IN_BASE64}",
        "https://evil.example.com.mcas.ms/a",
        f"https://www.google.com/url?sa=t&q=two+words&url={IN_PERCENT}",
        f"https://www.bing.com/aclick?u={base64.b64encode(IN_PERCENT.encode()).decode()}",
        f"https://disq.us/url?url={IN_PERCENT}%3AABCDEFGHIJKLMNOPQRSTUV&cuid=1",
        "https://t-info.mail.adobe.com/r/?id=1&p1=evil.example.com/a",
        f"https://secure-web.cisco.com/1a/{IN_PERCENT.replace('%', '%25')}",
    ],
)
def test_a_link_is_read_through_the_service_before_it(wrapped: str) -> None:
    (link,) = found(wrapped).web
    assert (link.url, link.via) == (EVIL, (wrapped,))


@pytest.mark.parametrize(
    ("url", "inner"),
    [
        ("http://shop.example.org/r.php?to=www.evil.example.com/a&x=1", ["http://www.evil.example.com/a"]),
        ("http://shop.example.org/r.php?to=//evil.example.com/a", [EVIL]),
        ("http://shop.example.org/r.php?to=%2F%2Fevil.example.com%2Fa&x=1", [EVIL]),
        ("http://shop.example.org/find?q=www.evil.example.com", []),
        ("http://shop.example.org/r.php?to=/a/b.html&and=www.", []),
    ],
)
def test_a_redirector_may_name_its_target_without_a_scheme(url: str, inner: list[str]) -> None:
    assert [link.url for link in found(url).web][1:] == inner


def test_a_search_for_one_site_leads_there() -> None:
    (link,) = found("http://www.google.com/search?q=site:evil.example.com&btnI=1").web
    assert link.host == "evil.example.com"


def test_a_run_that_url_defense_took_out_is_counted_in_octets() -> None:
    taken = base64.urlsafe_b64encode("\u0444\u044b\u0432".encode() + b"x").decode()
    (link,) = found(f"https://urldefense.com/v3/__http://evil.example.com/**E*a__;{taken}!!x$").web
    assert link.url == "http://evil.example.com/\u0444\u044b\u0432xa"
    (link,) = found("https://urldefense.com/v3/__http://evil.example.com/a*b__;!!x$").web
    assert link.url == "http://evil.example.com/a*b"
