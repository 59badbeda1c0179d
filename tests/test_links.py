"""Every link that a spam advertises is found, undisguised, and none is invented."""

import base64
import json
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_a_redirect_to_nowhere_stays_what_it_is() -> None:
    (link,) = found("https://www.google.com/url?q=nothing").web
    assert (link.host, link.via) == ("www.google.com", ())


@pytest.mark.parametrize(
    "text",
    ["a" * 1_000_000, "a." * 300_000, "." * 1_000_000, "@" * 500_000, "+" * 500_000, "+1" * 300_000, "+" + "1" * 500_000, "http://" * 100_000,
     "www." * 200_000, "a@" * 300_000, "(http://x.example/" + ")" * 300_000, "url(" * 200_000, "[.]" * 200_000, "a-" * 400_000, "1 " * 400_000,
     "http://" + "%2e" * 200_000, "http://" + ":" * 500_000, "x.com " * 20_000, "http://\u00fc" + "\u00fc" * 100_000],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
def test_hostile_text_takes_no_time(text: str, kind: str) -> None:
    begun = time.process_time()
    found(text, kind)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("html", ["<a href=" + "x" * 500_000, "<div>" * 50_000, "<a href='http://x.example/'>" * 20_000, "<style>" + "url(" * 200_000,
                                  "<iframe src='data:text/html," * 1_000, "<!--" * 200_000, "&#" * 300_000])  # fmt: skip
def test_hostile_html_takes_no_time(html: str) -> None:
    begun = time.process_time()
    found(html, "text/html")
    assert time.process_time() - begun < 2


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


# Cases of SpamAssassin's suite that ask for something else than the host a browser goes to.
TEXT_DIFFERS = {
    "uri_text-020",
    "uri_text-105",
    "uri_text-119",
}  # letter case of an address, decoding of a path
TEXT_DIFFERS |= {
    "uri_text-112",
    "uri_text-172",
}  # .com put behind a bare word; a suffix nobody can register under
TEXT_DIFFERS |= {
    "uri_text-038",
    "uri_text-039",
    "uri_text-049",
    "uri_text-052",
}  # a host name before the @; guesses that invent hosts in prose
HTML_DIFFERS = {
    "uri_html-016",
    "uri_html-018",
    "uri_html-019",
}  # the reference as written, where we give the URL it leads to
HTML_DIFFERS |= {"uri_html-029", "uri_html-032"}  # guesses, as above
HTML_DIFFERS |= {
    "uri_html-070",
    "uri_html-071",
    "uri_html-075",
    "uri_html-076",
    "uri_html-085",
}  # mailto: and file: that lead nowhere


@pytest.mark.parametrize(
    ("name", "kind", "frame", "differs"),
    [
        ("spamassassin-uri_text.json", "text/plain", "{}\n", TEXT_DIFFERS),
        ("spamassassin-uri_html.json", "text/html", '<a href="{}">click here</a>', HTML_DIFFERS),
    ],
)
def test_the_link_cases_of_spamassassin(name: str, kind: str, frame: str, differs: set[str]) -> None:
    for case in cases(name):
        links_ = found(frame.replace("{}", case["text"]), kind)
        listed = "\n".join(
            [link.url for link in links_.web] + [f"mailto:{lure.value}" for lure in links_.lures]
        )
        missing = [wanted for wanted in case["must_match"] if not re.search(wanted, listed, re.MULTILINE)]
        invented = [
            unwanted for unwanted in case["must_not_match"] if re.search(unwanted, listed, re.MULTILINE)
        ]
        assert not invented, (case["id"], case["text"], listed)
        assert not missing or case["id"] in differs, (case["id"], case["text"], listed)


def test_the_hosts_of_rspamds_cases() -> None:
    for case in cases("rspamd-url.json"):
        target = read_url(case["text"])
        hosts = {link.host for link in found(case["text"]).web} | {
            lure.value.rpartition("@")[2] for lure in found(case["text"]).lures
        }
        if case.get("parses") is not False and case["host"] != "localhost":
            assert case["host"] in hosts | {target.host if target else ""}, case["id"]


def test_the_links_of_a_whole_message() -> None:
    (case,) = cases("spamassassin-message-uris.json")
    with zipfile.ZipFile(DATA / "messages/spamassassin-tdata.zip") as archive:
        listed = [link.url for link in links(parse(archive.read("spam/009.eml"))).web]
    assert set(case["must_contain"]) <= set(listed)
    assert not [url for url in listed if any(unwanted in url for unwanted in case["must_not_contain"])]
