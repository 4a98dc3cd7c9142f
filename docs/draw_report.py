"""Draw docs/report.png, the top of the sample's report, in a headless Chromium.

make score && clvcast backtest configs/online_retail.yaml --output backtest && make report
python docs/draw_report.py report.html
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def draw(report: Path, target: Path) -> None:
    """Write the picture: what fits on a large screen, from the top."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1200, "height": 1000}, color_scheme="light")
        page.goto(report.resolve().as_uri())
        page.wait_for_selector("html[data-drawn]")
        page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    draw(Path(sys.argv[1]), Path(__file__).parent / "report.png")
