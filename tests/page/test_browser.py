"""The page in a real browser, on a real fleet with the simulated GitHub."""

import asyncio

from playwright.async_api import expect

from tests.page.browser import WIDTHS, Seen, axe, chromium, judged, opened, pictures
from tests.support import ADMIN_HASH, until

LIMITS = {"max_runners": 5, "default": 2, "repos": {"acme/web": 1}}
PATIENCE_MS = 150_000


async def test_an_operator_at_the_page(penstock, tmp_path):
    """It shows the true numbers, follows them by itself, drains, resumes, edits a limit.

    All of it by keyboard alone; nothing serious for axe, no word in the console, no other host.
    """
    stack = await penstock(limits=LIMITS, gateway={"temporal_ui_url": "http://127.0.0.1:8233"})
    script = axe()
    await stack.site.jobs("acme/api", 5, seconds=600)
    await stack.site.jobs("acme/web", 3, seconds=600)

    async def busy():
        told = await stack.fleet()
        return told if (told["running"], told["waiting"]) == (3, 5) else None

    await until(busy)
    seen = Seen()
    async with chromium() as browser, opened(browser, stack.url, seen) as page:
        page.set_default_timeout(PATIENCE_MS)
        await shows(page, "#n-running", "3")
        await shows(page, "#n-waiting", "5")
        await shows(page, "#live-repos tbody tr:has-text('acme/api') td:nth-child(3)", "2")
        await shows(page, "#live-repos tbody tr:has-text('acme/web') td:nth-child(4)", "1")
        await expect(page.locator("#live-waiting tbody tr")).to_have_count(5)
        await expect(page.locator("#live-waiting")).to_contain_text("at its limit of 2 (2 in use)")
        assert await judged(page, script) == []

        # By itself: no reload, or the mark would be gone.
        await page.evaluate("window.unchanged = true")
        await stack.site.jobs("acme/new", 1, seconds=600)
        await shows(page, "#n-running", "4")
        assert await page.evaluate("window.unchanged")

        # Drain and resume, by keyboard.
        await press(page, "Drain…")
        await page.keyboard.type("kernel update")
        await page.keyboard.press("Enter")
        await expect(page.locator("#live-mode .state")).to_have_text("draining")
        await expect(page.locator("#live-mode .cause")).to_have_text("kernel update")
        told = await stack.fleet()
        assert (told["mode"], told["reason"]) == ("draining", "kernel update")
        assert told["audit"][-1]["actor"] == f"key {ADMIN_HASH[:8]}"
        await press(page, "Resume…")
        assert await judged(page, script) == []
        await page.keyboard.type("done")
        await page.keyboard.press("Enter")
        await expect(page.locator("#live-mode .state")).to_have_text("normal")
        assert (await stack.fleet())["mode"] == "normal"

        # A limit, previewed and applied, by keyboard.
        await page.locator("nav a", has_text="Limits").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_selector("input[name='repos:acme/web']")
        assert await judged(page, script) == []
        await page.locator("input[name='repos:acme/web']").focus()
        await page.keyboard.press("Control+A")
        await page.keyboard.type("2")
        await page.keyboard.press("Enter")
        await shows(page, "#permits-after", "5")
        await expect(page.locator("main")).to_contain_text("repos.acme/web 1 → 2")
        assert await judged(page, script) == []
        assert (await stack.fleet())["limits"]["repos"] == {"acme/web": 1}
        await page.wait_for_selector("#reason:focus")
        await page.keyboard.type("a machine more")
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_contain_text("these limits hold now")
        assert (await stack.fleet())["limits"]["repos"] == {"acme/web": 2}
        await page.goto(stack.url)
        await shows(page, "#n-running", "5")

        folder = pictures(tmp_path / "screenshots")
        await asyncio.gather(
            *(
                pictured(
                    browser,
                    stack.url,
                    script=script,
                    seen=seen,
                    folder=folder,
                    name=name,
                    scheme=scheme,
                )
                for name in WIDTHS
                for scheme in ("light", "dark")
            )
        )
        assert len(list(folder.glob("*.png"))) == 2 * 2 * len(WIDTHS)
    assert seen.faults == []
    assert seen.hosts == {stack.url.removeprefix("http://")}


async def pictured(browser, url, *, script, seen, folder, name, scheme) -> None:
    """What it looks like, and what axe says of it: both pages in one width and scheme."""
    width, height = WIDTHS[name]
    how = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    async with opened(browser, url, seen, **how) as page:
        for path in ("", "page/limits"):
            await page.goto(f"{url}/{path}")
            file = folder / f"{path.rpartition('/')[2] or 'overview'}-{name}-{scheme}.png"
            await page.screenshot(path=file, full_page=True)
            assert await judged(page, script) == [], (path, name, scheme)
            wider = "document.documentElement.scrollWidth > window.innerWidth"
            assert not await page.evaluate(wider), f"{path} scrolls sideways on a {name}"


async def test_without_script_it_reads(penstock):
    """The same figures, a reload of its own, and the forms."""
    stack = await penstock(limits={"default": 0})
    await stack.site.jobs("acme/api", 2, seconds=1)

    async def waiting():
        return (await stack.fleet())["waiting"] == 2

    await until(waiting)
    seen = Seen()
    async with (
        chromium() as browser,
        opened(browser, stack.url, seen, java_script_enabled=False) as page,
    ):
        await shows(page, "#n-waiting", "2")
        assert await page.locator("noscript meta[http-equiv=refresh]").count() == 1
        await press(page, "Maintenance…")
        await page.keyboard.type("moving")
        await page.keyboard.press("Enter")
        await shows(page, "#live-mode .state", "maintenance")
    assert (await stack.fleet())["mode"] == "maintenance"
    assert seen.faults == []


async def shows(page, selector: str, text: str) -> None:
    """Wait until it is shown."""
    await expect(page.locator(selector)).to_have_text(text, timeout=PATIENCE_MS)


async def press(page, name: str) -> None:
    """Go to a button with the tabulator, and press it."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        text = await page.evaluate("document.activeElement?.textContent")
        if text == name:
            await page.keyboard.press("Enter")
            await page.wait_for_selector("#reason:focus")
            return
    raise AssertionError(f"no way to {name} with the keyboard")
