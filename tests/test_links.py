"""Every link that a spam advertises is found, undisguised, and none is invented."""

import base64
import json
import re
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.hosts import canonical_ip, organisational_domain
from complaints.links import Links, links
from complaints.message import parse
from complaints.urls import read_url

DATA = Path(__file__).parents[1] / "../shared/data"


def found(body: str, kind: str = "text/plain", head: str = "") -> Links:
    return links(
        parse(f"{head}Content-Type: {kind}; charset=utf-8\n\n{body}".encode("utf-8", "surrogatepass"))
    )


def urls(body: str, kind: str = "text/plain") -> list[str]:
    return [link.url for link in found(body, kind).web]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("go to http://shop.example/a?b=c#d.", "http://shop.example/a?b=c#d"),
        ("(see https://shop.example/a_(b))", "https://shop.example/a_(b)"),
        ("<http://shop.example/x>", "http://shop.example/x"),
        ("visit www.shop.com now", "http://www.shop.com"),
        ("visit shop.com/x, or not", "http://shop.com/x"),
        ("hxxps://shop[.]example/x", "https://shop.example/x"),
        ("http://sh\u00adop\u200b.example/", "http://shop.example/"),
        ("http:\\\\shop.example\\x", "http://shop.example/x"),
        ("HTTP://SHOP.example/X", "HTTP://SHOP.example/X"),
    ],
)
def test_links_in_text(text: str, url: str) -> None:
    assert urls(text) == [url]


@pytest.mark.parametrize(
    "text",
    ["read setup.py and notes.md", "version 1.2.3.4", "It ended.It began", "a.b", "...", "http://", "http://localhost/x", "user@shop.com",
     "http://a..b/", "http://256.1.1.1.1/", "http://-.-/", "foo.invalidtld", "e.g. i.e. p.m."],
)  # fmt: skip
def test_nothing_is_invented(text: str) -> None:
    assert urls(text) == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://%73hop.example/", "shop.example"),
        ("http://0xc0.0x00.0x02.0x01/", "192.0.2.1"),
        ("http://3221225985/", "192.0.2.1"),
        ("http://0300.0.2.1/", "192.0.2.1"),
        ("http://[2001:DB8::1]:8080/", "2001:db8::1"),
        ("http://b\u00fccher.example/", "xn--bcher-kva.example"),
        ("http://shop\u3002example/", "shop.example"),
        ("http://\uff53hop.example/", "shop.example"),
        ("http://www.bank.example@evil.example/", "evil.example"),
        ("http://www.bank.example%2F@evil.example/", "evil.example"),
        ("http:evil.example", "evil.example"),
        ("https:/\\evil.example/", "evil.example"),
        ("http://evil.example:80:90/", None),
        ("ht\ttp://evil.exa\nmple/", "evil.example"),
        ("http://evil.example./", "evil.example"),
    ],
)
def test_disguised_hosts_are_undone(url: str, host: str | None) -> None:
    target = read_url(url)
    assert (target.host if target else None) == host


def test_a_name_before_the_at_sign_is_not_shown_as_the_host() -> None:
    (link,) = found("http://www.bank.example@evil.example/login").web
    assert (link.url, link.domain) == ("http://evil.example/login", "evil.example")


def test_links_in_html_attributes_styles_and_scripts() -> None:
    html = """<html><head><base href="https://base.example/dir/"><meta http-equiv=refresh content="0; URL='http://refresh.example/'">
    <style>body { background: url(http://css.example/a.png) } @import "http://import.example/";</style></head>
    <body background="http://background.example/"><a href="http&#58;//entity.example/&amp;x">www.bank.com</a>
    <area href=relative><img src="//schemeless.example/i.png" srcset="http://one.example/1 1x, http://two.example/2 2x">
    <form action="http://form.example/"></form><div style="background:url('http://inline.example/')">shown.com/x</div>
    <script>location = "http:\\/\\/script.example\\/";</script><a href="javascript:open('http://js.example/')">j</a></body></html>"""
    hosts = [link.host for link in found(html, "text/html").web]
    assert set(hosts) == {
        "refresh.example", "css.example", "import.example", "background.example", "entity.example", "base.example", "schemeless.example",
        "one.example", "two.example", "form.example", "inline.example", "script.example", "js.example", "shown.com",
    }  # fmt: skip
    assert "https://base.example/dir/relative" in urls(html, "text/html")
    assert len(hosts) == len(set(hosts)) + hosts.count("base.example") - 1


def test_what_an_anchor_shows_is_no_link() -> None:
    assert urls('<a href="http://evil.example/">https://www.bank.com/</a>', "text/html") == [
        "http://evil.example/"
    ]


def test_documents_in_data_urls_are_looked_into() -> None:
    inner = base64.b64encode(b'<a href="http://inner.example/">x</a>').decode()
    assert urls(f'<iframe src="data:text/html;base64,{inner}">', "text/html") == ["http://inner.example/"]


def test_lures_are_kept_apart() -> None:
    html = '<a href="mailto:Drop@Box.example?subject=x">m</a> <a href="tel:+1-202-555-0100">t</a> call +44 20 7946 0958 or (800) 555-0199'
    lures = found(html, "text/html").lures
    assert [(lure.kind, lure.value) for lure in lures] == [
        ("mail", "Drop@box.example"), ("phone", "+12025550100"), ("phone", "+442079460958"), ("phone", "8005550199"),
    ]  # fmt: skip
    assert [lure.value for lure in found("write to drop.box@mail.example, 2026-11-24 10:00:00").lures] == [
        "drop.box@mail.example"
    ]


def test_every_part_and_the_subject_count_once_each() -> None:
    inner = "Subject: in\n\nhttp://nested.example/"
    raw = (
        "Subject: see www.subject.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhttp://one.example/ http://one.example/\n"
        f"--b\nContent-Type: message/rfc822\n\n{inner}\n--b\nContent-Type: text/calendar\n\nURL:http://calendar.example/\n--b--\n"
    )
    web = links(parse(raw.encode())).web
    assert [(link.host, link.found_in) for link in web] == [
        ("www.subject.com", "subject"), ("one.example", "text"), ("nested.example", "text"), ("calendar.example", "text"),
    ]  # fmt: skip


TARGET = "http://evil.example/a?b=c"


@pytest.mark.parametrize(
    "wrapped",
    [
        "https://eur01.safelinks.protection.outlook.com/?url=http%3A%2F%2Fevil.example%2Fa%3Fb%3Dc&data=05%7Cyou%40reporter.example",
        "https://urldefense.proofpoint.com/v1/url?u=http://evil.example/a%3Fb%3Dc&k=x",
        "https://urldefense.proofpoint.com/v2/url?u=http-3A__evil.example_a-3Fb-3Dc&d=DwMF",
        "https://urldefense.com/v3/__http://evil.example/a?b=c__;!!abc!def$",
        "https://urldefense.com/v3/__http://evil.example/a*b=c__;Pw!!abc!def$",
        "https://linkprotect.cudasvc.com/url?a=http%3a%2f%2fevil.example%2fa%3fb%3dc&c=E,1",
        "https://secure-web.cisco.com/1abc/http%3A%2F%2Fevil.example%2Fa%3Fb%3Dc",
        "https://www.google.com/url?sa=t&q=http%3A%2F%2Fevil.example%2Fa%3Fb%3Dc",
        "https://www.google.co.uk/url?q=https://l.facebook.com/l.php%3Fu%3Dhttp%253A%252F%252Fevil.example%252Fa%253Fb%253Dc",
        "https://www.bing.com/ck/a?!&u=a1" + base64.urlsafe_b64encode(TARGET.encode()).decode().rstrip("="),
        "https://eu-west-1.protection.sophos.com?d=x&u=" + base64.b64encode(TARGET.encode()).decode(),
    ],
)
def test_rewritten_links_are_unwrapped_without_asking(wrapped: str) -> None:
    (link,) = found(f'<a href="{wrapped}">x</a>', "text/html").web
    assert (link.url, link.host) == (TARGET, "evil.example")
    assert link.via[0] == wrapped


def zlib_base64(text: str) -> str:
    return base64.urlsafe_b64encode(zlib.compress(text.encode())).decode()


@pytest.mark.parametrize(
    "wrapped",
    [
        "https://protect.checkpoint.com/v2/r01/___http://evil.example/a?b=c___.YXAz",
        "https://url.avanan.click/v2/___http://evil.example/a?b=c___.YXAz",
        "https://protect.checkpoint.com/v2/r05/___myyu://janq.jcfruqj/f?g=h___.YXAz",
        "https://links.us1.defend.egress.com/Warning?crId=1&Domain=x.example&Base64Url="
        + zlib_base64(TARGET),
        "https://deref-gmx.net/mail/client/TOKEN/dereferrer/?redirectUrl=http%3A%2F%2Fevil.example%2Fa%3Fb%3Dc",
        "https://antiphishing.vadesecure.com/v4?f=x&u=http%3A//evil.example/a%3Fb%3Dc",
        "https://urlsand.esvalabs.com/?u=http%3A%2F%2Fevil.example%2Fa%3Fb%3Dc&e=1",
        "https://scanmail.trustwave.com/?c=1&d=x&u=http%3a%2f%2fevil%2eexample%2fa%3fb%3dc",
        "https://protect2.fireeye.com/v1/url?k=1&q=1&u=http%3A%2F%2Fevil.example%2Fa%3Fb%3Dc",
        "http://evil-example.translate.goog/a?b=c",
        "https://link.edgepilot.com/s/1/2?u=http://evil.example/a%3Fb%3Dc",
        "https://ci3.googleusercontent.com/meips/AAA=s0-d-e1-ft#http://evil.example/a?b=c",
    ],
)
def test_rewriters_of_many_makers_are_undone(wrapped: str) -> None:
    (link,) = found(wrapped).web
    assert (link.url, link.host, link.via) == (TARGET, "evil.example", (wrapped,))


@pytest.mark.parametrize(
    ("wrapped", "host", "note"),
    [
        ("https://protect-eu.mimecast.com/s/TOKEN?domain=evil.example", "evil.example", "Mimecast rewrote this link and names no more than the host"),
        ("https://protect-eu.mimecast.com/s/TOKEN", "protect-eu.mimecast.com", "Mimecast rewrote this link and does not say where it leads"),
        ("https://url.emailprotection.link/?TOKEN~", "url.emailprotection.link", "Intermedia rewrote this link and does not say where it leads"),
    ],
)  # fmt: skip
def test_what_only_a_rewriter_knows_is_said_to_be_unknown(wrapped: str, host: str, note: str) -> None:
    (link,) = found(wrapped).web
    assert (link.host, link.notes) == (host, (note,))


@pytest.mark.parametrize(
    "url",
    ["https://safelinks.protection.evil.example/?url=https%3A%2F%2Fbank.example%2F", "https://www.google.evil.example/url?q=https://bank.example/",
     "https://evilyoutube.com/redirect?q=https://bank.example/", "https://google.zip/url?q=https://bank.example/"],
)  # fmt: skip
def test_a_redirector_of_the_spammers_own_stays_accused(url: str) -> None:
    outer, inner = found(url).web
    assert (outer.url, outer.via, inner.host, inner.via) == (url, (), "bank.example", (url,))


@pytest.mark.parametrize(
    "url",
    ["http://evil.example/r?u=http://inner.example/x&v=1", "http://evil.example/r/http%3A%2F%2Finner.example%2Fx/1", "http://evil.example/r?u=http%253A%252F%252Finner.example%252Fx",
     "http://evil.example/r?u=" + base64.b64encode(b"http://inner.example/x").decode()],
)  # fmt: skip
def test_a_url_inside_a_url_is_listed_beside_it(url: str) -> None:
    assert [(link.url, link.via) for link in found(url).web] == [
        (url, ()),
        ("http://inner.example/x", (url,)),
    ]


def test_an_inner_url_without_a_real_host_is_none() -> None:
    assert len(found("http://evil.example/r?u=http%3A%2F%2Fno.such-ending%2Fx").web) == 1


def test_look_alike_letters_are_noted() -> None:
    notes = [
        link.notes
        for link in found(
            "http://xn--80ak6aa92e.com/ http://xn--pypal-4ve.com/ http://xn--bcher-kva.example/ http://plain.example/"
        ).web
    ]
    assert notes == [
        (
            "xn--80ak6aa92e.com shows as \u0430\u0440\u0440\u04cf\u0435.com: letters of Cyrillic that look like Latin ones, 'apple'",
        ),
        (
            "xn--pypal-4ve.com shows as p\u0430ypal.com: letters of Cyrillic that look like Latin ones, 'paypal'",
        ),
        ("xn--bcher-kva.example shows as b\u00fccher.example",),
        (),
    ]


def test_an_anchor_that_shows_another_site_is_noted() -> None:
    html = '<a href="http://evil.example/">https://www.bank.com/</a> <a href="http://www.shop.com/x">shop.com</a> <a href="http://fine.example/">see bank.com now</a>'
    assert [link.notes for link in found(html, "text/html").web] == [
        ("The text shows https://www.bank.com/ but leads to evil.example",),
        (),
        (),
    ]


def test_the_name_before_an_at_sign_is_noted() -> None:
    (link,) = found("http://www.bank.example@evil.example/login").web
    assert link.notes == (
        "www.bank.example stood before an @ to be taken for the host, which is evil.example",
    )


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("(\u8bf7\u8bbf\u95eeshop.com\u67e5\u770b)", "http://shop.com"),
        ("\u306ehttps://shop.com/x\u3092", "https://shop.com/x\u3092"),
        ("https://shop.com\u3092\u30af\u30ea\u30c3\u30af", "https://shop.com"),
        ("visit \u201cshop.com\u201d", "http://shop.com"),
        ("\uff48\uff54\uff54\uff50\uff1a\uff0f\uff0fshop\uff0ecom", "http://shop.com"),
        ("\U0001d42c\U0001d421\U0001d428\U0001d429.com", "http://shop.com"),
        ("&lt;shop.com&gt;", "http://shop.com"),
        ("h t t p s : / / shop.com/x", "https://shop.com/x"),
        ("my-shop dot com", "http://my-shop.com"),
        ("shop [dot] com", "http://shop.com"),
        ("<URL:http://shop.com/one\n  two>", "http://shop.com/onetwo"),
        ("192.0.2.7/login.php", "http://192.0.2.7/login.php"),
        ("user:secret@shop.com/x", "http://user:secret@shop.com/x"),
        ("http://shop.com/[x]", "http://shop.com/[x]"),
        ("http://192.0.2.7http://x", "http://192.0.2.7"),
    ],
)
def test_disguises_in_text(text: str, url: str) -> None:
    assert urls(text) == [url]


@pytest.mark.parametrize(
    "text",
    ["the dot com boom", "polka dot org", "AT&T.com", "/etc/mail/local.cf", "cid:part1.example.com", "1.TO 2.TO", "etc.So it is", "in.ftpd: .domain.name", "files.zip setup2.py"],
)  # fmt: skip
def test_prose_and_file_names_are_no_links(text: str) -> None:
    assert urls(text) == []


@pytest.mark.parametrize(
    "html",
    ["<svg><a xlink:href='http://evil.example/'>x</a></svg>", "<!--[if mso]><v:rect href='http://evil.example/'><![endif]-->", "<template><a href='http://evil.example/'>x</a></template>",
     "<noscript><img src=http://evil.example/></noscript>", "<iframe srcdoc='&lt;a href=http://evil.example/&gt;'></iframe>", "<object data=http://evil.example/></object>",
     "<applet codebase=http://evil.example/></applet>", "<param name=movie value=http://evil.example/>", "<button onclick=\"location='http://evil.example/'\">x</button>",
     "<a href='ht\ntp://evil.ex\tample/'>x</a>", "<a href='http&#58;//evil.example/'>x</a>", "<a href='http%3A//evil.example/'>x</a>", "<p style='background:u\\72l(http://evil.example/)'>",
     "<script>location=atob('aHR0cDovL2V2aWwuZXhhbXBsZS8=')</script>", "<script>document.write(unescape('%68ttp://evil.example/'))</script>",
     "<script>x=String.fromCharCode(104,116,116,112,58,47,47,101,118,105,108,46,101,120,97,109,112,108,101,47)</script>",
     "<script>location='http://ev'+'il.example/'</script>", "<script>location='\\x68ttp://evil.example/'</script>", "<a href='http://e&shy;vil.example/'>x</a>",
     "http://ev<b></b>il.example/", "<a>http://evil.example/</a>", "<img srcset='http://evil.example/ 2x'>", "<bgsound src=http://evil.example/>"],
)  # fmt: skip
def test_links_wherever_a_page_hides_them(html: str) -> None:
    assert "http://evil.example/" in urls(html, "text/html")


def test_a_share_on_a_host_is_a_link_of_a_page_only() -> None:
    assert [
        link.host
        for link in found(
            "<img src='file://evil.example/x.png'><img src='\\\\evil2.example\\x'>", "text/html"
        ).web
    ] == ["evil.example", "evil2.example"]
    assert urls("file://evil.example/x.png") == []


def part(body: bytes, head: str) -> list[str]:
    return [link.url for link in links(parse(head.encode() + b"\n\n" + body)).web]


HTML_BODY = b"<html><body><a href='http://evil.example/'>x</a>" + b"<p>words</p>" * 20


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (HTML_BODY, "Content-Type: application/octet-stream"),
        (HTML_BODY, "Content-Type: text/plain"),
        (HTML_BODY, "Content-Type: text/html\nContent-Transfer-Encoding: base64"),
        (base64.encodebytes(HTML_BODY), "Content-Type: text/html"),
        (base64.encodebytes(HTML_BODY), "Content-Type: text/plain\nContent-Transfer-Encoding: 7bit"),
        (
            HTML_BODY.replace(b"=", b"=3D").replace(b"'", b'"').replace(b"evil", b"ev=\nil"),
            "Content-Type: text/html\nContent-Transfer-Encoding: 8bit",
        ),
        (HTML_BODY.decode().encode("utf-16"), "Content-Type: text/html"),
        (HTML_BODY.decode().encode("utf-16-be"), "Content-Type: text/html; charset=us-ascii"),
        (HTML_BODY.replace(b"<", b"+ADw-"), "Content-Type: text/html; charset=utf-7"),
        (HTML_BODY, "Content-Type: text/x-amp-html"),
    ],
)
def test_parts_with_wrong_labels_are_read(body: bytes, head: str) -> None:
    assert part(body, head) == ["http://evil.example/"]


def test_a_page_names_its_own_charset() -> None:
    body = "<meta charset=windows-1251><a href='http://\u043c\u043e\u0439.com/'>x</a>".encode("cp1251")
    assert part(body, "Content-Type: text/html") == ["http://xn--i1afg.com/"]


def test_lines_of_delsp_are_joined() -> None:
    assert part(b"http://evil.example/on \r\ne", "Content-Type: text/plain; format=flowed; delsp=yes") == [
        "http://evil.example/one"
    ]


def test_calendars_are_read_where_people_look() -> None:
    calendar = (
        "BEGIN:VEVENT\r\nUID:1@invites.com\r\nPRODID:-//www.maker.com//\r\nATTENDEE:mailto:victim@reporter.com\r\nDESCRIPTION:see http://evil.exam\r\n ple/a\\, or call\r\n"
        'X-ALT-DESC;FMTTYPE=text/html:<a href="http://alt.example/">x</a>\r\nCONFERENCE;VALUE=URI:https://meet.example/\r\nATTACH:http://file.example/x.pdf\r\nEND:VEVENT\r\n'
    )
    found_ = found(calendar, "text/calendar")
    assert {link.url for link in found_.web} == {
        "http://evil.example/a",
        "http://alt.example/",
        "https://meet.example/",
        "http://file.example/x.pdf",
    }
    assert found_.lures == ()


def test_what_other_readers_found_is_read_like_text() -> None:
    links_ = links(parse(b"\n"), [("http://pdf.example/", "pdf"), ("write to drop@box.example", "qr")])
    assert [(link.url, link.found_in) for link in links_.web] == [("http://pdf.example/", "pdf")]
    assert [(lure.value, lure.found_in) for lure in links_.lures] == [("drop@box.example", "qr")]


def test_lures_of_messengers_and_forms() -> None:
    html = '<a href="https://wa.me/447700900123?text=x">w</a><a href="sms:+12025550100?body=x">s</a><form><input type=hidden name=recipient value="drop@box.example"><input name=email value=you@reporter.example>'
    assert [lure.value for lure in found(html, "text/html").lures] == [
        "+447700900123",
        "+12025550100",
        "drop@box.example",
    ]


def test_a_redirect_to_nowhere_stays_what_it_is() -> None:
    (link,) = found("https://www.google.com/url?q=nothing").web
    assert (link.host, link.via) == ("www.google.com", ())


@pytest.mark.parametrize(
    "text",
    ["a" * 1_000_000, "a." * 300_000, "." * 1_000_000, "@" * 500_000, "+" * 500_000, "+1" * 300_000, "+" + "1" * 500_000, "http://" * 100_000,
     "www." * 200_000, "a@" * 300_000, "(http://x.example/" + ")" * 300_000, "url(" * 200_000, "[.]" * 200_000, "a-" * 400_000, "1 " * 400_000,
     "http://" + "%2e" * 200_000, "<http:" * 200_000, "h t t p " * 200_000, "a1 dot " * 200_000, "a.bc&#x2e;" * 150_000,
     "".join(f"a{n}.com " for n in range(100_000)), "".join(f"x@a{n}.com " for n in range(100_000)), "http://a.example/?u=" * 50_000, "\u8bf7evil.com" * 100_000, "http://" + ":" * 500_000, "x.com " * 20_000, "http://\u00fc" + "\u00fc" * 100_000],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
def test_hostile_text_takes_no_time(text: str, kind: str) -> None:
    begun = time.process_time()
    found(text, kind)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("html", ["<a href=" + "x" * 500_000, "<div>" * 50_000, "<a href='http://x.example/'>" * 20_000, "<style>" + "url(" * 200_000,
                                  "<iframe src='data:text/html," * 1_000, "<!--" * 200_000, "&#" * 300_000, "<!--[if mso]><a href=http://x.example><![endif]-->" * 30_000,
                                  "<template>" * 50_000, "<a>" * 100_000, "<iframe srcdoc='<iframe srcdoc=&quot;'>" * 30_000, "<script>atob('aHR0cDovL2V2aWwuY29t')</script>" * 30_000,
                                  "a<b>b</b>.com<i>x</i>." * 60_000, "".join(f"<a href='http://\u0430{n}.example/'>" for n in range(30_000))])  # fmt: skip
def test_hostile_html_takes_no_time(html: str) -> None:
    begun = time.process_time()
    found(html, "text/html")
    assert time.process_time() - begun < 2


def test_words_that_a_page_hides_are_no_advertisement_but_its_anchors_are() -> None:
    html = (
        "<p>Buy at shop.example.com<span style='color:red;Display: none'>as on news.example.org <b style="
        "'DISPLAY:NONE'>and mail.example.org</b></span></p><div style='display:none'><a href="
        "'http://trap.example/'>x</a> bank.example.net</div><a style='display:none'>or cafe.example.com</a>"
    )
    assert urls(html, "text/html") == [
        "http://trap.example/",
        "http://shop.example.com",
        "http://cafe.example.com",
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<div style='display:none'>" * 15_000 + "x.example.com", "text/html"),
        (
            "<p style='display:none'>x</p>" * 300 + "<div>" * 300 + "<div style='display:none'>" * 9_000,
            "text/html",
        ),
        ("1.a +" + "\u200b" * 500_000, "text/plain"),
        ("1.a 00" + "\u200b" * 500_000, "text/plain"),
        ("http://" + "a." * 9_000 + "\\", "text/plain"),
        ("http://a/" + "a.." * 6_000 + "\\", "text/plain"),
        ("a." * 9_000 + "\\", "text/plain"),
    ],
)
def test_what_is_long_or_deep_takes_no_time(body: str, kind: str) -> None:
    began = time.process_time()
    found(body, kind)
    assert time.process_time() - began < 3


PIECES = ["http://", "https:", "www.", ".example", "/", "\\", "@", "[", "]", "%2e", "%", "0x7f", ".", "..", "xn--", "\u00fc", "\u200b", "<a href='", "'>", "<style>",
          "url(", "data:text/html;base64,", "javascript:", "&#x2e;", ";", "mailto:", "tel:+1", "<base href=http://", "srcset=", ",", " ", "\0", "\ud800"]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=80))
def test_finding_never_raises_and_gives_plain_hosts(body: str) -> None:
    for kind in ("text/plain", "text/html"):
        for link in found(body, kind).web:
            assert re.fullmatch(r"[a-z0-9_&.:-]+", link.host)
            assert not re.search(r"[\x00-\x20\x7f]", link.url.replace(" ", ""))


def cases(name: str) -> list[dict[str, Any]]:
    path = DATA / "urls" / name
    if not path.is_file():
        pytest.skip(f"../shared/data/urls/{name} absent")
    loaded: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cases"]
    return loaded


# The suites of others. What a case asks for is compared as what it says, not as it is written: letter case of hosts and
# mail hosts, percent-encoding of a path, and the scheme that we supply make no difference (RFC 3986 §6.2).
DIFFERS = {
    "uri_text-038": "a name before the @ is shown in a note, not in the URL: it is there to be taken for the host",
    "uri_text-039": "the same",
    "uri_text-112": "a bare word is not made a host by putting .com behind it",
    "uri_html-070": "mailto: with a host alone is no mailbox: it is listed as the link that it stands for",
    "uri_html-075": "the same",
    "uri_html-085": "mailto: without an address leads nowhere",
    "uri_domain-011": "a percent-encoded host is asked for by every browser, so it is a link",
    "uri_domain-023": "a name with & in it resolves by a wildcard, so it is a link (uri_canon-08 wants it too)",
    "uri_domain-038": "SpamAssassin's own list of hosters counts as a suffix there",
    "uri_domain-039": "the same",
}


def listing(links_: Links) -> str:
    web = [link.url for link in links_.web]
    return "\n".join(
        [
            *web,
            *map(unquote, web),
            *(url.partition("://")[2] for url in web),
            *(f"mailto:{lure.value}" for lure in links_.lures),
        ]
    )


def hosts_of(links_: Links) -> set[str]:
    return {link.host for link in links_.web} | {
        lure.value.rpartition("@")[2] for lure in links_.lures if lure.kind == "mail"
    }


FRAMES = [
    ("spamassassin-uri_text.json", "text/plain", "{}\n"),
    ("spamassassin-uri_html.json", "text/html", '<a href="{}">click here</a>'),
]


def host_in(pattern: str) -> str:
    """Return the host that a pattern of a suite asks for."""
    written = re.sub(r"\\(.)", r"\1", pattern).strip("^$").rpartition("//")[2].lower()
    return re.split(r"[/:?]", written.removeprefix("mailto:").rpartition("@")[2])[0]


def test_of_the_links_that_the_suites_name_at_most_one_in_a_hundred_is_missed() -> None:
    named: list[tuple[str, bool]] = []
    for name, kind, frame in FRAMES:
        for case in cases(name):
            links_ = found(frame.replace("{}", case["text"]), kind)
            for good in case["must_match"]:
                listed = re.search(good, listing(links_), re.MULTILINE | re.IGNORECASE)
                named.append((case["id"], bool(listed) or host_in(good) in hosts_of(links_)))
    single = [case for case in cases("rspamd-url.json") if case.get("parses") is not False]
    for case in [case for case in single if case["host"] != "localhost"]:
        named += [(case["id"], case["host"] in hosts_of(found(case["text"])))]
    for case in cases("spamassassin-idn_dots.json"):
        named += [(case["id"], case["url"] in urls(case["text"]))]
    for case in cases("spamassassin-uri_relative.json"):
        base, target = (case[key].replace("//a/", "//a.example/") for key in ("base", "target"))
        named += [(case["id"], target in urls(f'<base href="{base}"><a href="{case["ref"]}">', "text/html"))]
    for path, raw in messages_of_rspamd().items():
        there = hosts_of(links(parse(raw)))
        named += [(path, host in there) for host in RSPAMD[path].split()]
    for case in cases("spamassassin-uri_canon.json"):
        named += [(case["id"], bool(urls(f'<a href="{one}">x</a>', "text/html"))) for one in case["input"]]
    for case in cases("eml_parser-ioc-boundaries.json"):
        there = hosts_of(found(case["text"]))
        named += [(case["id"], host in there) for host in case["expected"].get("domains", ())]
    missed = [name for name, is_found in named if not is_found]
    assert len(named) > 200
    assert len(missed) <= 0.01 * len(named), missed


@pytest.mark.parametrize(("name", "kind", "frame"), FRAMES)
def test_the_link_cases_of_spamassassin(name: str, kind: str, frame: str) -> None:
    for case in cases(name):
        links_ = found(frame.replace("{}", case["text"]), kind)
        listed = "\n".join(
            [link.url for link in links_.web] + [f"mailto:{lure.value}" for lure in links_.lures]
        )
        assert not [bad for bad in case["must_not_match"] if re.search(bad, listed, re.MULTILINE)], (
            case["id"],
            listed,
        )
        missing = [
            good
            for good in case["must_match"]
            if not re.search(good, listing(links_), re.MULTILINE | re.IGNORECASE)
        ]
        assert bool(missing) == (case["id"] in DIFFERS), (case["id"], case["text"], listed)


def test_the_hosts_of_rspamds_cases() -> None:
    for case in cases("rspamd-url.json"):
        # `parses: false` are texts that are no single URL; a name without a dot is nobody's to answer for.
        if case.get("parses") is not False and case["host"] != "localhost":
            assert hosts_of(found(case["text"])) == {case["host"]}, case["id"]


def test_the_canonical_forms_of_spamassassin() -> None:
    for case in cases("spamassassin-uri_canon.json"):
        for reference in case["input"]:
            (link,) = found(f'<a href="{reference}">x</a>', "text/html").web
            assert link.url in case["all_forms"], case["id"]


def test_the_registrable_domains_of_spamassassin() -> None:
    for case in cases("spamassassin-uri_domain.json"):
        links_ = found(case["uri"])
        domains = {link.domain for link in links_.web} | {
            organisational_domain(lure.value.rpartition("@")[2]) for lure in links_.lures
        }
        assert (domains == {case["registrable_domain"]} - {None}) == (case["id"] not in DIFFERS), (
            case["id"],
            domains,
        )


def test_relative_references_of_spamassassin() -> None:
    for case in cases("spamassassin-uri_relative.json"):
        # A base with a dot in its host, for a name without one is no link.
        base, target = (case[key].replace("//a/", "//a.example/") for key in ("base", "target"))
        assert urls(f'<base href="{base}"><a href="{case["ref"]}">x</a>', "text/html") == [target], case["id"]


def test_the_full_stops_of_spamassassin() -> None:
    for case in cases("spamassassin-idn_dots.json"):
        assert urls(case["text"]) == [case["url"]], case["id"]


def test_the_boundaries_of_eml_parser() -> None:
    for case in cases("eml_parser-ioc-boundaries.json"):
        links_ = found(case["text"])
        if "domains" in case["expected"]:
            assert hosts_of(links_) == set(case["expected"]["domains"]), case["id"]
        else:
            # A bare address in running text is a version as often as a host: no link, and none of its parts.
            assert not [link for link in links_.web if canonical_ip(link.host)], case["id"]


def test_the_links_of_a_whole_message() -> None:
    (case,) = cases("spamassassin-message-uris.json")
    with zipfile.ZipFile(DATA / "messages/spamassassin-tdata.zip") as archive:
        listed = [link.url for link in links(parse(archive.read("spam/009.eml"))).web]
    assert set(case["must_contain"]) <= set(listed)
    assert not [url for url in listed if any(unwanted in url for unwanted in case["must_not_contain"])]


RSPAMD = {
    "url1.eml": "tinyurl.com example.com www.example.com",
    "url2.eml": "www.rspamd.com",
    "url3.eml": "www.rspamd.com",
    "url4.eml": "example.com rspamd.com",
    "url5.eml": "www.example.net",
    "url8.eml": "xn--80arbjktj.xn--p1ai",
    "url9.eml": "xn--80arbjktj.xn--p1ai",
    "url10.eml": "testtest.com example.com",
    "url11.eml": "clean.dirty.sanchez.com not.dirty.sanchez.com",
    "url12.eml": "4.very.dirty.sanchez.com not.dirty.sanchez.com",
    "url13.eml": "41.black.sanchez.com black.sanchez.com",
    "url14.eml": "dirty.sanchez.com admin.dirty.sanchez.com",
    "url16.eml": "admin.dirty.sanchez.com 41.black.sanchez.com black.sanchez.com",
    "phishing1.eml": "www.example.net",
    "phishing2.eml": "www.example.net",
    "phishing_query_multi.eml": "www.example.net www.cnn.com evil.org",
    "phishing_query_nested_fire.eml": "www.example.net www.cnn.com evil.org",
    "phishing_query_safe.eml": "www.example.net www.cnn.com",
    "phishing_query_overcap.eml": "www.example.net a.io b.io c.io d.io www.cnn.com ev.io",
    "phishing_same_label_cross_tld.eml": "www.davidaustinroses.com",
    "url_obfuscated_bracket_dots.eml": "example.com",
    "url_obfuscated_spaced.eml": "evil-site.com",
    "url_obfuscated_word_dot.eml": "secure-login.net",
    "url_query_nesting.eml": " ".join(f"h{n}.example.org" for n in range(13)),
    "url_suspect_bad_tld.eml": "phishing.tk",
    "url_suspect_long_user.eml": "phishing.com",
    "url_suspect_multi_query.eml": "wrap.com a.com b.com",
    "url_suspect_normal.eml": "www.example.com",
    "url_suspect_numeric_ip.eml": "203.0.113.42",
    "url_suspect_schemeless_email_href.eml": "example.com",
    "url_suspect_single_query.eml": "wrap.com a.com",
    "url_suspect_user_no_password.eml": "phishing.com",
    "url_suspect_very_long_user.eml": "phishing.com",
    "urlimage.eml": "example.com",
}  # fmt: skip


def messages_of_rspamd() -> dict[str, bytes]:
    path = DATA / "messages/rspamd.zip"
    if not path.is_file():
        pytest.skip("../shared/data/messages/rspamd.zip absent")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in RSPAMD}


def test_the_messages_of_rspamd() -> None:
    for name, raw in messages_of_rspamd().items():
        links_ = links(parse(raw))
        assert hosts_of(links_) == set(RSPAMD[name].split()), name
        shows_another = any(note.startswith("The text shows") for link in links_.web for note in link.notes)
        assert shows_another == (name.startswith("phishing") or name in {"url3.eml", "url4.eml"}), name
