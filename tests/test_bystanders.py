"""Links grouped by who answers for them: the guilty first, the innocent with their reason."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from complaints.bystanders import Group, drop_boxes, groups
from complaints.links import Link, links
from complaints.message import parse

GUILTY = "https://shop.pills.example/buy"


def html_mail(body: str) -> bytes:
    return f"Content-Type: text/html; charset=utf-8\n\n{body}".encode()


def element(url: str) -> str:
    """What a page writes for this address: pictures, styles and scripts are loaded, all else is an anchor."""
    if url.endswith((".png", ".gif", ".jpg", ".ico", ".svg")):
        return f'<img src="{url}">'
    if url.endswith(".css"):
        return f'<link rel=stylesheet href="{url}">'
    return f'<script src="{url}"></script>' if url.endswith(".js") else f'<a href="{url}">x</a>'


def links_to(*urls: str) -> list[Link]:
    message = html_mail("".join(map(element, urls)))
    found = links(parse(message)).web
    assert [link.url for link in found] == list(urls)
    return list(found)


def reason(*urls: str, own: tuple[str, ...] = ()) -> str | None:
    """Why the host of the first of these links is innocent."""
    found = links_to(*urls)
    return next(group for group in groups(found, own) if group.domain == found[0].domain).bystander


def test_links_are_counted_under_the_domain_that_answers_for_them() -> None:
    found = groups(links_to(GUILTY, "https://www.pills.example/", "https://other.example/a"))
    assert [(group.domain, group.host, group.links) for group in found] == [
        ("pills.example", "shop.pills.example", 2),
        ("other.example", "other.example", 1),
    ]


@pytest.mark.parametrize(
    ("html", "used"),
    [
        ('<img src="https://x.example/a">', "image"),
        ('<table background="https://x.example/a">', "image"),
        ('<div style="background:url(https://x.example/a)">', "style"),
        ('<img src="https://x.example/a"><a href="https://x.example/a">x</a>', "anchor"),
        ('<a href="https://x.example/a"><img src="https://x.example/a"></a>', "anchor"),
        ('<form action="https://x.example/a">', "form"),
        ('<meta http-equiv=refresh content="0; url=https://x.example/a">', "refresh"),
    ],
)
def test_how_a_page_uses_a_link_decides_and_not_its_name(html: str, used: str) -> None:
    [group] = groups(links(parse(html_mail(html))).web)
    assert group.used == used


def test_customers_of_a_platform_are_kept_apart() -> None:
    found = groups(links_to("https://one.github.io/", "https://two.github.io/", "https://two.github.io/b"))
    assert [(group.domain, group.links) for group in found] == [("one.github.io", 1), ("two.github.io", 2)]


def test_what_the_reader_is_led_to_comes_before_what_is_loaded_and_bystanders_come_last() -> None:
    found = groups(
        links_to(
            "https://www.w3.org/1999/xhtml",
            "https://pictures.example/style.css",
            "https://images.example/logo.png",
            GUILTY,
        )
    )
    assert [group.domain for group in found] == [
        "pills.example",
        "images.example",
        "pictures.example",
        "w3.org",
    ]
    assert [group.used for group in found] == ["anchor", "image", "style", "anchor"]
    assert [group.led_to for group in found[:3]] == [True, False, False]


def test_the_guiltiest_link_of_a_host_speaks_for_it() -> None:
    [group] = groups(links_to("https://www.pills.example/a.png", "https://buy.pills.example/now"))
    assert (group.host, group.url, group.used) == (
        "buy.pills.example",
        "https://buy.pills.example/now",
        "anchor",
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd", "names a format"),
        ("http://schemas.microsoft.com/office/2004/12/omml", "names a format"),
        ("http://purl.org/dc/elements/1.1/", "names a format"),
        ("https://fonts.googleapis.com/css?family=Roboto", "fonts"),
        ("https://fonts.gstatic.com/s/roboto/v1/a.woff2", "fonts"),
        ("https://cdnjs.cloudflare.com/ajax/libs/jquery/3.7.1/jquery.min.js", "public copy"),
        ("https://cdn.jsdelivr.net/npm/bootstrap@5/dist/css/bootstrap.min.css", "public copy"),
        ("https://aka.ms/o0ukef", "mail program"),
        ("https://mail.onelink.me/107872968?pid=nativeplacement", "mail program"),
        ("https://www.mozilla.org/thunderbird/", "mail program"),
        ("https://www.avast.com/sig-email?utm_medium=email", "virus scanner"),
        ("https://protect-eu.mimecast.com/s/aBcD", "filter"),
        ("https://www.facebook.com/somebank", "profile"),
        ("https://x.com/somebank", "profile"),
        ("https://apps.apple.com/app/id1", "own program"),
        ("https://support.google.com/mail/answer/1", "explanations"),
        ("https://www.paypal.com/signin", "its own site"),
        ("https://www.paypalobjects.com/digitalassets/logo.png", "its own site"),
        ("https://lists.project.example/mailman/listinfo/users", "list software"),
        ("https://www.ftc.gov/can-spam", "footers"),
    ],
)
def test_a_well_known_bystander_is_told_apart_with_the_reason(url: str, words: str) -> None:
    assert words in (reason(url, GUILTY) or "")


@pytest.mark.parametrize(
    "url",
    [
        "https://forms.gle/aBcD",
        "https://docs.google.com/forms/d/e/1FAIpQ/viewform",
        "https://sites.google.com/view/prize",
        "https://forms.office.com/r/aBcD",
        "https://bit.ly/aBcD",
        "https://t.co/aBcD",
        "https://firebasestorage.googleapis.com/v0/b/a/o/index.html",
        "https://storage.googleapis.com/a/b.html",
        "https://prize.github.io/",
        "https://a.blob.core.windows.net/b/c.html",
        "https://pub-1.r2.dev/index.html",
        "https://ipfs.io/ipfs/bafy/",
        "https://s3.amazonaws.com/a/b.html",
        "https://hacked.gov.br/login",
        "https://cdn.jsdelivr.net/gh/somebody/page/index.html",
        "https://mailchi.mp/abc/offer",
        "https://t.me/seller",
        "https://notpaypal.com/signin",
        "https://paypal.com.evil.example/signin",
        "https://w3.org.evil.example/1999/xhtml",
    ],
)
def test_who_serves_anybodys_pages_is_no_bystander(url: str) -> None:
    assert reason(url, GUILTY) is None


@pytest.mark.parametrize(
    "url",
    ["https://www.youtube.com/watch?v=1", "https://www.paypal.com/invoice/p/1", "https://play.google.com/a"],
)
def test_what_stands_alone_is_what_the_spam_advertises(url: str) -> None:
    assert reason(url) is None
    assert reason(url, "https://www.instagram.com/a") is None, "two of them excuse each other no better"
    assert reason(url, "https://images.example/logo.png") is None, "a picture leads nowhere"
    assert reason(url, GUILTY)


def test_icons_of_a_brand_are_innocent_even_alone() -> None:
    assert reason("https://www.paypalobjects.com/logo.png")
    assert reason("https://www.w3.org/Icons/valid-xhtml10.png")


def test_one_guilty_link_is_enough() -> None:
    found = links_to("https://www.google.com/", "https://docs.google.com/forms/d/e/1/viewform", GUILTY)
    group = next(group for group in groups(found) if group.domain == "google.com")
    assert group.bystander is None
    assert group.url == "https://docs.google.com/forms/d/e/1/viewform"
    assert group.links == 2


def test_the_reporters_own_domain_is_a_bystander() -> None:
    assert "your own" in (reason("https://www.victim.example/login", GUILTY, own=("victim.example",)) or "")
    assert "your own" in (reason("https://victim.example/login", own=("mail.victim.example",)) or "")
    assert reason("https://notvictim.example/", GUILTY, own=("victim.example",)) is None


def test_a_host_that_was_unwrapped_is_never_in_a_group() -> None:
    wrapped = "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fpills.example%2F&data=1"
    found = links(parse(html_mail(f'<a href="{wrapped}">x</a>'))).web
    assert [group.domain for group in groups(found)] == ["pills.example"]


def test_where_it_was_found_and_what_is_remarkable_is_kept() -> None:
    one = Link("https://a.example/", "a.example", "a.example", "qr", (), ("It looks like b.example.",))
    two = Link("https://a.example/b", "a.example", "a.example", "html", (), ("It looks like b.example.",))
    assert groups([one, two]) == (
        Group("a.example", "a.example", "https://a.example/b", 2, ("html", "qr"), "anchor", one.notes),
    )


def boxes(head: str, body: str, own: tuple[str, ...] = ("victim.example",)) -> list[tuple[str, str]]:
    """The drop boxes of a mail with this header and text: address and place."""
    message = parse(f"{head}\nContent-Type: text/plain\n\n{body}".encode())
    return [(box.address, box.found_in) for box in drop_boxes(message, links(message).lures, own)]


def test_a_reply_address_elsewhere_and_addresses_in_the_text_are_drop_boxes() -> None:
    head = "From: Big Bank <info@bank.example>\nReply-To: Mr Smith <smith@freemail.example>"
    assert boxes(head, "write to jones@othermail.example soon") == [
        ("smith@freemail.example", "reply-to"),
        ("jones@othermail.example", "text"),
    ]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("From: info@bank.example\nReply-To: info@bank.example", ""),
        ("From: info@bank.example", "questions? help@mail.bank.example"),
        ("From: a@b.example\nTo: alice@mailbox.example", "Dear alice@mailbox.example,"),
        ("From: a@b.example\nReply-To: alice@victim.example", "or bob@victim.example"),
        ("From: a@b.example\nReply-To: service@paypal.com", ""),
    ],
)
def test_who_may_be_a_victim_is_no_drop_box(head: str, body: str) -> None:
    assert boxes(head, body) == []


def test_drop_boxes_are_few() -> None:
    body = " ".join(f"a{n}@m{n}.example" for n in range(50))
    assert len(boxes("From: a@b.example", body)) == 3


def test_many_links_cost_linear_time() -> None:
    many = [Link(f"https://h{n}.example/", f"h{n}.example", f"h{n}.example", "html") for n in range(5_000)]
    assert len(groups(many)) == 5_000


def test_every_row_says_why_whence_and_when() -> None:
    file = Path(__file__).parent.parent / "complaints/data/bystanders.toml"
    for row in tomllib.loads(file.read_text(encoding="utf-8"))["bystander"]:
        assert row["name"]
        assert row["why"]
        assert row["source"]
        assert date.fromisoformat(row["date"]) <= date(2026, 12, 31)
        assert row.get("only") in {None, "loaded", "beside"}
        assert row["hosts"] == [host.lower() for host in row["hosts"]]
        assert "paths" in row or "*" not in row["hosts"]
        assert set(row) <= {"name", "why", "hosts", "paths", "only", "source", "date"}
