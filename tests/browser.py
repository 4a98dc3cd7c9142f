"""A real browser for tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import ROOT, missing

SHOTS = ROOT / "build" / "screenshots"


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; tests that have none are skipped, or fail where everything must be there."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        missing("chromium is not installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, address: Path | str, **settings: Any) -> Iterator[Any]:
    """A page that draws, errors, and asks for nothing from elsewhere."""
    context = browser.new_context(**settings)
    page = context.new_page()
    troubles: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    where = address.as_uri() if isinstance(address, Path) else address
    page.goto(where)
    if settings.get("java_script_enabled", True):
        page.wait_for_selector("html[data-drawn]")
    yield page
    home = where.rpartition("/")[0]
    assert [url for url in asked if not url.startswith((home, "data:", "blob:"))] == []
    assert troubles == []
    context.close()


def violations(page: Any) -> list[str]:
    """What axe-core finds against the page: rule, and the first place."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ModuleNotFoundError:
        missing("axe-playwright-python is not installed")
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['help']} at {each['nodes'][0]['target']}" for each in found]
