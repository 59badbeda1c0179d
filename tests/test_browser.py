"""The pages in a real browser: the way from the mailed link to the desk, and that everybody can use them."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect
from sqlmodel import select

from complaints import account, accountability
from complaints.models import Consent, Report, Reporter, ReportState
from complaints.web.visible import visible_bytes
from tests.house import ALICE, house, unguarded
from tests.house import spam as fresh_spam
from tests.test_flow import human_answer
from tests.visitor import HOSTILE, asked, confirm, reports, stop
from tests.website import NETWORK_DESK, Website, running_website, spam

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="Chromium is not installed (Debian: apt-get install chromium)"
)
WIDE, NARROW = {"width": 1100, "height": 900}, {"width": 320, "height": 640}


Run = Callable[[Callable[[Browser], Awaitable[None]]], None]


@pytest.fixture(scope="module")
def chromium() -> Iterator[tuple[asyncio.Runner, Browser]]:
    """One browser for all tests here, and the loop it lives on."""
    with asyncio.Runner() as runner:
        playwright = runner.run(async_playwright().start())
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        browser = runner.run(started)
        yield runner, browser
        runner.run(browser.close())
        runner.run(playwright.stop())


@pytest.fixture
def run(chromium: tuple[asyncio.Runner, Browser]) -> Run:
    """Runs a scene with the browser; what it opened there is closed."""
    runner, browser = chromium

    async def scene(main: Callable[[Browser], Awaitable[None]]) -> None:
        try:
            await main(browser)
        finally:
            for context in browser.contexts:
                await context.close()

    return lambda main: runner.run(scene(main))


@pytest.fixture
def website(tmp_path: Path) -> Iterator[Website]:
    with running_website(tmp_path) as running:
        yield running


def pages_of(website: Website) -> list[str]:
    """One page of each kind, in each state that looks different, with hostile text in it."""
    hostile = website.waiting(
        spam(
            subject=HOSTILE,
            helo="x" * 120,
            body=f"{HOSTILE} {'y' * 500}\r\nhttp://pills.example/{'z' * 300}\r\n",
        )
    )
    decided = website.waiting(spam(subject="Decided"))
    confirm(website, decided)
    received = website.hand_in(spam(subject="Received"))
    refused = website.hand_in(b"From: a@pills.example\r\n\r\nno way to trace it\r\n")
    website.analyse(refused)
    link, _ = asked(website)
    form = {"address": website.alice.submission_address, "paste": spam(subject="Pasted").decode()}
    submitted = website.http.post("/submit", data=form, files={"files": b""}).headers["location"]
    opt_out = stop(website)
    own = account_pages(website, decided)
    complaints = [website.review(one) for one in (hostile, decided, received, refused)]
    return [
        "/",
        "/help",
        "/privacy",
        "/register",
        "/submit",
        link,
        submitted,
        opt_out,
        "/nothing",
        *own,
        *complaints,
    ]


def account_pages(website: Website, sent: str) -> list[str]:
    """Alice's account with something in each part of it, and the page that ends a use of her data."""
    office, alice = website.office, website.alice.reporter
    with office.db.transaction() as session:
        row = session.get_one(Reporter, alice.id)
        row.aliases = [f"{'a' * 60}@{'b' * 60}.victim.example"]
        unguarded(session)
        for report in session.exec(select(Report).where(Report.complaint_id == sent)):
            report.state, report.sent_at = ReportState.SENT, website.clock()
        accountability.read_evidence(session, office, alice.id, "", by=HOSTILE, reason=HOSTILE)
        accountability.disclose(
            session, office, row, authority=HOSTILE, law="x" * 100, what=HOSTILE, at=website.clock()
        )
        for wish in ("export", "erase"):
            account.ask(session, office, row, wish)
        for wish in ("address", "alias"):
            account.ask(session, office, row, wish, "carol@example.com")
    urls = (office.account_url(row), office.unsubscribe_url(row, "news"), office.batch_url(row))
    account_page, *others = (urlsplit(url).path for url in urls)
    along = f"{others[-1]}{website.review(sent)}"
    return [account_page, *others, along, f"{account_page}/complaints"]


def on_every_page(
    run: Run, website: Website, look: Callable[[Page, str], Awaitable[None]], **context: Any
) -> None:
    """Look at each page in a fresh browser window."""

    async def main(browser: Browser) -> None:
        page = await (await browser.new_context(**context)).new_page()
        for path in pages_of(website):
            await page.goto(str(website.http.base_url) + path)
            await look(page, path)

    run(main)


def test_from_the_mailed_link_to_the_desk_and_back_without_scripts(run: Run, tmp_path: Path) -> None:
    async def main(browser: Browser) -> None:
        async with house(tmp_path, undo_seconds=8) as home:
            await home.forward([fresh_spam()])
            [notice] = await home.internet.wait_for(1, to=ALICE)
            letter = message_from_bytes(notice.raw, policy=policy.default).get_content()
            [link] = re.findall(r"http://\S+/review/\S+", letter)
            page = await (await browser.new_context(java_script_enabled=False)).new_page()
            await page.goto(link)
            await expect(page.get_by_role("heading", level=1)).to_have_text("Cheap pills")
            await expect(page.get_by_role("checkbox", name="abuse@cloud.example")).to_be_checked()
            await expect(page.get_by_label("I have read what will be sent")).not_to_be_checked()

            await page.get_by_label("Your words to the desk").fill("The third one this week.")
            await page.get_by_role("button", name="Show the reports with this").click()
            await expect(page.get_by_text("The reports below were written anew")).to_be_visible()
            shown = (
                await page.get_by_role("region", name="Report to abuse@cloud.example")
                .locator("pre")
                .text_content()
            )
            assert shown is not None
            assert "The third one this week." in shown

            await page.get_by_label("I have read what will be sent").check()
            await page.get_by_role("button", name="Confirm").click()
            await expect(page.get_by_role("button", name="Undo")).to_be_visible()
            assert page.url == link
            await page.get_by_role("button", name="Undo").click()
            await expect(page.get_by_text("waits for you")).to_be_visible()
            await page.get_by_label("I have read what will be sent").check()
            await page.get_by_role("button", name="Confirm").click()

            [arrived] = await home.internet.wait_for(1, to="abuse@cloud.example", seconds=30)
            assert visible_bytes(arrived.raw).endswith(shown)
            complaint = link.rpartition("/")[2].partition(".")[0]
            await home.until(complaint, "sent")
            await home.internet.deliver(human_answer(arrived, "We closed the <b>customer</b>. Thanks!"))
            await home.internet.wait_for(2, to=ALICE)
            await page.reload()
            card = page.locator(".card").filter(has_text="abuse@cloud.example").first
            await expect(card).to_contain_text("The next mail host took it.")
            await expect(card.locator(".reply pre")).to_contain_text("We closed the <b>customer</b>. Thanks!")
            assert not page.context.pages[1:]
            assert await page.context.cookies() == []

    run(main)


def test_in_two_tabs_and_after_the_back_button_one_decision_counts(run: Run, website: Website) -> None:
    complaint = website.waiting()

    def decisions() -> int:
        with website.office.db.reading() as session:
            return len(session.exec(select(Consent)).all())

    async def confirmed(page: Page) -> None:
        await page.get_by_label("I have read what will be sent").check()
        await page.get_by_role("button", name="Confirm").click()

    async def main(browser: Browser) -> None:
        context = await browser.new_context(java_script_enabled=False)
        one, two = await context.new_page(), await context.new_page()
        for page in (one, two):
            await page.goto(str(website.http.base_url) + website.review(complaint))
        await one.get_by_label("Your words to the desk").fill("The third one.")
        await one.get_by_role("button", name="Show the reports with this").click()
        await confirmed(two)
        changed = two.get_by_role("alert", name="things changed since you saw them")
        await expect(changed).to_contain_text("The third one.")
        assert decisions() == 0, "what another tab changed is shown, and nothing is sent"
        await expect(two.get_by_label("Your words to the desk")).to_have_value("")
        await one.get_by_label("Your words to the desk").fill("Typed, but not shown yet.")
        await two.goto(two.url)
        await expect(two.get_by_label("Your words to the desk")).to_have_value("The third one.")
        await confirmed(two)
        await expect(two.get_by_role("button", name="Undo")).to_be_visible()
        await confirmed(one)
        await expect(one.get_by_role("alert")).to_contain_text("Not done")
        await two.go_back()  # no copy is kept: it is the page as things are now
        await expect(two.get_by_role("button", name="Undo")).to_be_visible()
        await expect(two.get_by_role("button", name="Confirm")).to_have_count(0)
        assert decisions() == 1
        assert await context.cookies() == []

    run(main)
    [queued] = [one for one in reports(website).values() if one.state == ReportState.QUEUED]
    assert queued.to == NETWORK_DESK


def test_an_incomplete_decision_leads_to_the_missing_field(run: Run, website: Website) -> None:
    complaint = website.waiting()

    async def main(browser: Browser) -> None:
        page = await browser.new_page()
        await page.goto(str(website.http.base_url) + website.review(complaint))
        await page.get_by_label("Your words to the desk").fill("Kept as it is: é 你好 <b>")
        await page.get_by_label("With my address").check()
        await page.locator("#buttons").evaluate("form => form.noValidate = true")
        await page.get_by_role("button", name="Confirm").click()
        assert (await page.title()).startswith("Error: ")
        await page.get_by_role("link", name="Tick that you have read").click()
        assert page.url.endswith("#read")
        await expect(page.get_by_label("Your words to the desk")).to_have_value("Kept as it is: é 你好 <b>")
        await expect(page.get_by_label("With my address")).to_be_checked()
        assert website.show(complaint)["state"] == "awaiting_consent"
        await page.get_by_label("I have read what will be sent").check()
        await page.get_by_role("button", name="Confirm").click()
        await expect(page.get_by_role("button", name="Undo")).to_be_visible()

    run(main)


def test_what_the_browser_shows_of_a_report_is_its_bytes(run: Run, website: Website) -> None:
    complaint = website.waiting(
        spam(body="\r\n\r\n  <b>&amp;</b>\x00\x1b[2J\u202e\u2028\t|\r|\udcff caf\udce9\r\n")
    )
    raw = website.office.vault.unseal(website.alice.reporter.key, reports(website)[NETWORK_DESK].raw)

    async def main(browser: Browser) -> None:
        page = await browser.new_page()
        await page.goto(str(website.http.base_url) + website.review(complaint))
        assert await page.locator("pre").first.text_content() == visible_bytes(raw)

    run(main)


def test_the_browser_blocks_nothing_asks_nobody_else_and_runs_no_script_of_a_spam(
    run: Run, website: Website
) -> None:
    said: list[str] = []
    asked_for: set[str] = set()

    async def look(page: Page, path: str) -> None:
        if not said:
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append(dialog.message))
            page.on("request", lambda request: asked_for.add(request.url))
            said.append("listening")
            await page.goto(page.url)
        if path == "/nothing":  # the one page that is not there says so on the console, and nothing more
            assert [text for text in said if "404" not in text] == ["listening"]
            said[1:] = []
        assert said == ["listening"], path

    on_every_page(run, website, look)
    assert asked_for
    assert {url for url in asked_for if not url.startswith(str(website.http.base_url))} == set()


def test_no_page_is_wider_than_a_small_screen(run: Run, website: Website) -> None:
    """WCAG 2.2, success criterion 1.4.10: only tables and the bytes of mail scroll, inside themselves."""

    async def look(page: Page, path: str) -> None:
        assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path

    on_every_page(run, website, look, viewport=NARROW)


CONTRASTS = """() => {
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push([element.tagName, element.className, element.textContent.slice(0, 30), ratio.toFixed(2)]);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(run: Run, website: Website, scheme: str) -> None:
    """WCAG 2.2, success criterion 1.4.3: at least 4.5 to 1."""

    async def look(page: Page, path: str) -> None:
        assert await page.evaluate(CONTRASTS) == [], path

    on_every_page(run, website, look, viewport=WIDE, color_scheme=scheme)


PICTURE_CONTRASTS = """() => {
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ratio = (one, other) => {
    const [a, b] = [light(parse(one)), light(parse(other))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const paper = getComputedStyle(document.querySelector('.picture .scroll')).backgroundColor;
  const poor = [];
  for (const element of document.querySelectorAll('.picture text, .picture rect, .picture path')) {
    const style = getComputedStyle(element);
    const rect = element.matches('.first, .more') ? element.parentElement.querySelector('rect') : null;
    const filled = rect && getComputedStyle(rect).fill !== 'none' ? getComputedStyle(rect).fill : paper;
    const text = element.tagName === 'text';
    const own = text ? style.fill : (style.stroke === 'none' ? style.fill : style.stroke);
    if (ratio(own, text ? filled : paper) < (text ? 4.5 : 3)) poor.push([element.outerHTML, own, filled]);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_of_the_way_stands_out_and_is_seen(run: Run, website: Website, scheme: str) -> None:
    """WCAG 2.2, success criteria 1.4.3 and 1.4.11."""
    complaint = website.waiting(spam(helo="x" * 120))
    context: dict[str, Any] = {"viewport": WIDE, "color_scheme": scheme}

    async def main(browser: Browser) -> None:
        page = await (await browser.new_context(**context)).new_page()
        await page.goto(str(website.http.base_url) + website.review(complaint))
        assert await page.evaluate(PICTURE_CONTRASTS) == []
        picture = await page.get_by_role("img", name="You got it from mx.victim.example").bounding_box()
        listed = await page.locator(".hops").first.bounding_box()
        assert picture is not None
        assert listed is not None
        assert picture["y"] + picture["height"] < listed["y"], "it is drawn above the list it stands behind"
        assert await page.locator(".picture rect").count() == 4

    run(main)


def test_a_hop_leads_to_its_line_in_the_closed_source(run: Run, website: Website) -> None:
    complaint = website.waiting()

    async def main(browser: Browser) -> None:
        page = await (await browser.new_context(java_script_enabled=False)).new_page()
        await page.goto(str(website.http.base_url) + website.review(complaint))
        await expect(page.locator("#raw-1")).not_to_be_visible()
        await page.get_by_role("link", name="the line itself").nth(1).click()
        await expect(page.locator("#raw-1")).to_be_visible()
        await expect(page.locator("#raw-1")).to_contain_text("by relay.seller.example with SMTP")

    run(main)


def test_what_can_be_pressed_is_large_enough_and_has_a_name(run: Run, website: Website) -> None:
    """WCAG 2.2, success criteria 2.5.8 and 4.1.2."""

    async def look(page: Page, path: str) -> None:
        for control in await page.locator(
            "input:not([type=hidden]), button, summary, .button, nav a, textarea"
        ).all():
            if not await control.is_visible():
                continue  # inside something folded
            box = await control.bounding_box()
            assert box is not None
            assert box["height"] >= 24, f"{path}: {await control.evaluate('element => element.outerHTML')}"
        unnamed = await page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]), textarea')]"
            ".filter(field => !field.labels.length || !field.labels[0].textContent.trim()).map(field => field.outerHTML)"
        )
        assert unnamed == [], path

    on_every_page(run, website, look, viewport=WIDE)


def test_the_keyboard_alone_confirms_and_the_focus_is_seen(run: Run, website: Website) -> None:
    complaint = website.waiting()
    outline = "[getComputedStyle(document.activeElement).outlineStyle, getComputedStyle(document.activeElement).outlineWidth]"

    async def main(browser: Browser) -> None:
        page = await browser.new_page()
        await page.goto(str(website.http.base_url) + website.review(complaint))
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        assert (await page.locator(".skip").bounding_box() or {"x": -1})["x"] >= 0
        for _ in range(60):
            await page.keyboard.press("Tab")
            assert await page.evaluate(outline) == ["solid", "3px"]
            if await page.evaluate("document.activeElement.id") == "read":
                break
        await page.keyboard.press("Space")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Undo")).to_be_visible()

    run(main)
    assert website.show(complaint)["state"] == "confirmed"


def test_the_keyboard_alone_searches_the_complaints_and_goes_along_those_that_wait(
    run: Run, website: Website
) -> None:
    pills, watches = website.waiting(spam(subject="Pills")), website.waiting(spam(subject="Watches"))
    office, alice = website.office, website.alice.reporter
    account_page, batch = (urlsplit(url).path for url in (office.account_url(alice), office.batch_url(alice)))

    async def tab_to(page: Page, what: str) -> None:
        for _ in range(60):
            await page.keyboard.press("Tab")
            if await page.evaluate(f"document.activeElement.matches({what!r})"):
                return
        raise AssertionError(what)

    async def main(browser: Browser) -> None:
        page = await browser.new_page()
        await page.set_viewport_size({"width": 320, "height": 640})
        await page.goto(f"{website.http.base_url}{account_page}/complaints")
        await tab_to(page, "summary")
        await page.keyboard.press("Enter")
        await tab_to(page, "#words")
        await page.keyboard.type("watches")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(watches)).to_be_visible()
        await expect(page.get_by_text(pills)).to_have_count(0)
        first, second = sorted([pills, watches])
        await page.goto(f"{website.http.base_url}{batch}{website.review(first)}")
        await tab_to(page, "a[rel=next]")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(second).first).to_be_visible()
        await tab_to(page, "a[rel=prev]")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(first).first).to_be_visible()

    run(main)


def test_a_printed_page_shows_the_whole_report(run: Run, website: Website) -> None:
    complaint = website.waiting(spam(body="".join(f"line {n} {'w' * 150}\r\n" for n in range(200))))

    async def main(browser: Browser) -> None:
        page = await browser.new_page()
        await page.goto(str(website.http.base_url) + website.review(complaint))
        await page.emulate_media(media="print")
        clipped = await page.locator(".bytes[open] .scroll").evaluate(
            "box => [box.scrollHeight > box.clientHeight + 1, box.scrollWidth > box.clientWidth + 1]"
        )
        assert clipped == [False, False]

    run(main)
