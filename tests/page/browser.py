"""Debian's Chromium without a window, driven by Playwright; and axe, which judges pages."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.simulator.published import CACHE, fetched, keep
from tests.support import ADMIN_KEY

AXE = "axe-core@4.14.1"
NAMES = ("chromium", "chromium-browser", "google-chrome")
SCREENSHOTS = os.environ.get("PENSTOCK_SCREENSHOTS")  # read now: no test sees PENSTOCK_…
WIDTHS = {"phone": (390, 844), "tablet": (1024, 768), "wide": (1920, 1080)}


@dataclass
class Seen:
    """What a page's browser had to say, and whom it asked."""

    faults: list[str] = field(default_factory=list[str])
    hosts: set[str] = field(default_factory=set[str])

    def watch(self, page: Page) -> None:
        """From now on."""
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """A browser; skips the test where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no chromium here: .ci/chromium installs it (apt-get install chromium)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, seen: Seen, **how: Any) -> AsyncGenerator[Page]:
    """A page that is signed in, by keyboard, in a window of its own."""
    context = await browser.new_context(**how)
    try:
        page = await context.new_page()
        seen.watch(page)
        await page.goto(url)
        await page.wait_for_selector("#key:focus")
        await page.keyboard.type(ADMIN_KEY)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#live-mode")
        yield page
    finally:
        await context.close()


def axe() -> str:
    """axe-core's script; skips the test where it cannot be fetched."""
    path = CACHE / f"{AXE}.js"
    if not path.exists():
        keep(path, fetched(AXE, "package/axe.min.js"))
    return path.read_text(encoding="utf-8")


async def judged(page: Page, script: str) -> list[str]:
    """What axe finds serious or worse. Evaluated past the page's policy, which lets nothing in."""
    await page.evaluate(script)
    told = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']} {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in told["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def pictures(folder: Path) -> Path:
    """Where screenshots go: PENSTOCK_SCREENSHOTS, or this folder."""
    wanted = Path(SCREENSHOTS or folder)
    wanted.mkdir(parents=True, exist_ok=True)
    return wanted
