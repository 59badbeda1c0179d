"""`plaint demo` as a newcomer meets it: read what it prints, click through it, stop it."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.skipif(
    not CHROMIUM.exists(), reason="Chromium is not installed (Debian: apt-get install chromium)"
)
def test_the_demo_goes_from_the_spam_to_the_desks_answer_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    async def main() -> None:
        demo = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli", "demo",
            stdout=asyncio.subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert demo.stdout is not None
        printed = ""
        async with asyncio.timeout(60):
            while "Ctrl-C" not in printed:
                printed += (await demo.stdout.readline()).decode()
        assert printed.count("awaiting_consent") == 6
        [inbox] = re.findall(r"(http://127\.0\.0\.1:\d+/)\n", printed)[:1]
        [review] = re.findall(r"restricted today .*\n\s+(http://\S+/review/\S+)", printed)
        await click_through(inbox, review)
        demo.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            printed += (await demo.stdout.read()).decode()
            assert await demo.wait() == 0
        assert "stopped and removed" in printed
        assert not list(tmp_path.iterdir())

    asyncio.run(main())


async def click_through(inbox: str, review: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await (await browser.new_context(java_script_enabled=False)).new_page()
        await page.goto(review)
        await page.get_by_label("I have read what will be sent").check()
        await page.get_by_role("button", name="Confirm").click()
        await expect(page.get_by_role("button", name="Undo")).to_be_visible()
        desk = f"{inbox}?to=abuse@cloud.example"
        for _ in range(60):
            await page.goto(desk)
            if await page.locator("table a").count():
                break
            await asyncio.sleep(0.5)
        await page.locator("table a").first.click()
        await page.locator("textarea").fill("The server is off.")
        await page.get_by_role("button", name="Resolved").click()
        await expect(page.get_by_text("Plaint answered: 2.0.0")).to_be_visible()
        await page.goto(review)
        await expect(page.locator("body")).to_contain_text("The server is off.")
        await browser.close()
