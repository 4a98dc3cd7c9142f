"""The report in a real browser: it opens without an error, draws, prints, and everybody can read
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import SHOTS, chromium, opened, violations
from forecast_files import forecast_file
from test_report import evaluation

import clvcast
from clvcast.configs.schema import OrdersConfig
from clvcast.decisions.report.colours import PAIRS

pytestmark = pytest.mark.slow
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page_file(
    shop_model: clvcast.Model,
    shop_orders: clvcast.Orders,
    shop_config: clvcast.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Every part of a report: channels, what changed, an evaluation, the model."""
    config = shop_config.model_copy(update={"orders": OrdersConfig(currency="GBP")})
    path = tmp_path_factory.mktemp("report") / "report.html"
    clvcast.report(
        clvcast.score(shop_model, shop_orders),
        shop_orders,
        config,
        previous=forecast_file(shop_orders, "2020-12-01", config),
        model=shop_model,
        backtest=evaluation(),
        with_ids=True,
    ).save(path)
    return path


def charts(page: Any) -> list[dict[str, float]]:
    """The size of what is drawn in every chart."""
    found: list[dict[str, float]] = page.evaluate(
        """[...document.querySelectorAll('.chart')].map(place => {
            const drawn = place.querySelector('svg.main-svg')?.getBoundingClientRect();
            const kinds = '.point, .hm image, .hm path, .js-line, .heatmaplayer image';
            const marks = place.querySelectorAll(kinds).length;
            const size = {width: drawn?.width ?? 0, height: drawn?.height ?? 0};
            return {...size, room: place.clientWidth, marks};
        })"""
    )
    return found


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("light", {"viewport": WIDE, "color_scheme": "light"}),
        ("dark", {"viewport": WIDE, "color_scheme": "dark"}),
        ("phone", {"viewport": PHONE, "color_scheme": "light", "has_touch": True}),
    ],
)
def test_it_opens_draws_and_is_readable_by_everybody(
    browser: Any, page_file: Path, name: str, settings: dict[str, Any]
) -> None:
    with opened(browser, page_file, **settings) as page:
        drawn = charts(page)
        assert len(drawn) >= 15
        for chart in drawn:
            assert chart["height"] > 100
            assert 0.9 * chart["room"] <= chart["width"] <= chart["room"] + 1
            assert chart["marks"] > 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        paper = PAIRS["paper"][name == "dark"]
        assert ground == f"rgb({', '.join(str(int(paper[i : i + 2], 16)) for i in (1, 3, 5))})"
        page.screenshot(path=SHOTS / f"report-{name}.png", full_page=True)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert violations(page) == []


def test_charts_follow_the_theme_while_the_page_is_open(browser: Any, page_file: Path) -> None:
    ground = "document.querySelector('.chart svg.main-svg').style.background"
    with opened(browser, page_file, viewport=WIDE, color_scheme="light") as page:
        light = page.evaluate(ground)
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(1000)
        assert page.evaluate(ground) != light


def test_the_keyboard_is_enough(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, viewport=WIDE) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.tagName") == "SUMMARY":
                break
        table = "document.activeElement.parentElement.querySelector('table')"
        assert not page.evaluate(f"{table}.checkVisibility()")
        page.keyboard.press("Enter")
        assert page.evaluate(f"{table}.checkVisibility()")


def test_it_prints_on_white_pages_and_is_as_it_was_after(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, viewport=WIDE, color_scheme="dark") as page:
        before = charts(page)
        paper = page.pdf(path=SHOTS / "report.pdf", prefer_css_page_size=True)
        pages = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", paper)
        assert 5 <= len(pages) <= 30
        assert {(round(float(w)), round(float(h))) for w, h in pages} == {(595, 842)}  # A4
        page.wait_for_timeout(300)
        assert charts(page) == before
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        white = page.evaluate("document.querySelector('.chart svg.main-svg').style.background")
        assert white == "rgb(255, 255, 255)"
        assert (
            page.evaluate(
                "getComputedStyle(document.documentElement).getPropertyValue('--paper')"
            ).strip()
            == PAIRS["paper"][0]
        )


def test_without_scripts_every_number_is_in_a_table(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, viewport=WIDE, java_script_enabled=False) as page:
        assert page.locator("noscript").count() or page.get_by_text("Charts are drawn").count()
        assert page.locator("table").count() == page.locator("figure").count() > 10
